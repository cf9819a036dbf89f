"""Fetching from the archive, against a server of our own: what comes whole is kept, all else told, nothing escapes."""

import io
import re
import shlex
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from xphotfn.cli import main
from xphotfn.errors import InvalidFile, InvalidRecord, XphotfnError
from xphotfn.io import archive
from xphotfn.io.archive import fetch_products

OBS = "0404910601"
NAMES = tuple(f"P{OBS}{rest}" for rest in ("M1S001MIEVLI0000.FTZ", "OBX000ATTTSR0000.FTZ", "M1S001FBKTSR0000.FTZ",
                                           "EPX000OBSMLI0000.FTZ", "PNS003IMAGE_1000.FTZ"))  # fmt: skip


def product(seed=1):
    data = np.random.default_rng(seed).integers(0, 9, (40, 40)).astype(np.int16)
    stream = io.BytesIO()
    fits.PrimaryHDU(data).writeto(stream)
    return stream.getvalue()


CONTENT = {name: product(number) for number, name in enumerate(NAMES)}


def tar_of(members, mode="w"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as made:
        for name, data in members:
            if isinstance(data, tarfile.TarInfo):
                made.addfile(data)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return stream.getvalue()


WHOLE = tar_of([(f"{OBS}/pps/{name}", data) for name, data in CONTENT.items()])


BOUNDARY = 512 + -(-len(CONTENT[NAMES[0]]) // 512) * 512  # of the first member, and no further one
ABSOLUTE = "/absolute_IEVLI.txt"


class Server(ThreadingHTTPServer):
    """Answers with one reply after the other, the last one again and again: status, body, announced length."""

    replies = ((200, WHOLE, len(WHOLE)),)

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/servlet/data"


class Handler(BaseHTTPRequestHandler):
    """Says what the server is told to say."""

    def do_GET(self):
        status, body, length = self.server.replies[min(len(self.server.asked), len(self.server.replies) - 1)]
        self.server.asked.append(self.path)
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(archive, "PAUSE_S", 0.0)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def fetched(server, folder, **how):
    return fetch_products(OBS, folder, mirror=server.url, progress=False, **how)


def test_what_is_wanted_comes_as_it_is(server, tmp_path):
    found = fetched(server, tmp_path / "data")
    assert [path.name for path in found] == sorted(NAMES[:4])
    assert all(path.read_bytes() == CONTENT[path.name] for path in found)
    assert server.asked == [f"/servlet/data?obsno={OBS}&level=PPS"]
    assert {path.parent for path in found} == {tmp_path / "data" / OBS}
    assert len(fetched(server, tmp_path / "all", products=["*"])) == 5


@pytest.mark.parametrize("cut", [len(WHOLE) // 3, BOUNDARY])
@pytest.mark.parametrize("length", [len(WHOLE), None])
def test_a_cut_stream_is_asked_for_again_and_goes_on(server, tmp_path, cut, length):
    """Also where it is cut between two members, which is a whole tar file for tarfile."""
    with tarfile.open(fileobj=io.BytesIO(WHOLE[:BOUNDARY]), mode="r|") as short:
        assert len(short.getnames()) == 1
    server.replies = ((200, WHOLE[:cut], length), (503, b"", 0), (200, WHOLE, len(WHOLE)))
    found = fetched(server, tmp_path)
    assert len(server.asked) == 3
    assert all(path.read_bytes() == CONTENT[path.name] for path in found)
    assert sorted(p.name for p in (tmp_path / OBS).iterdir()) == sorted(NAMES[:4])  # nothing half made is left


def test_what_came_whole_is_kept_and_not_written_again(server, tmp_path):
    cut = 2 * BOUNDARY + 600
    server.replies = ((200, WHOLE[:cut], len(WHOLE)),)
    with pytest.raises(XphotfnError, match="run the same again"):
        fetched(server, tmp_path, tries=2)
    kept = sorted((tmp_path / OBS).iterdir())
    assert [p.name for p in kept] == sorted(NAMES[:2])
    before = [p.stat().st_mtime_ns for p in kept]
    server.replies = ((200, WHOLE, len(WHOLE)),)
    assert len(fetched(server, tmp_path)) == 4
    assert [p.stat().st_mtime_ns for p in kept] == before


def test_a_file_of_the_users_own_is_left_alone(server, tmp_path):
    (tmp_path / OBS).mkdir()
    mine = tmp_path / OBS / NAMES[1]
    mine.write_text("mine")
    with pytest.raises(InvalidFile, match="move it away"):
        fetched(server, tmp_path)
    assert mine.read_text() == "mine"


def link(name, kind, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        ("../../evil_IEVLI.txt", b"x"),
        (ABSOLUTE, b"x"),
        ("a_IEVLI.FTZ", link("a_IEVLI.FTZ", tarfile.SYMTYPE, "/etc/passwd")),
        ("b_IEVLI.FTZ", link("b_IEVLI.FTZ", tarfile.SYMTYPE, "c")),
        ("c_IEVLI.FTZ", link("c_IEVLI.FTZ", tarfile.FIFOTYPE, "")),
        ("-rf_IEVLI.FTZ", b"x"),
        ("bad_IEVLI\x1b[2J.FTZ", b"x"),
    ],
)
def test_members_that_must_not_be_written_are_not(server, tmp_path, member):
    body = tar_of([(NAMES[0], CONTENT[NAMES[0]]), member])
    server.replies = ((200, body, len(body)),)
    if member[0] == ABSOLUTE:  # of which the root is cut off
        assert {p.name for p in fetched(server, tmp_path / "in")} == {NAMES[0], ABSOLUTE[1:]}
    else:
        with pytest.raises(InvalidFile, match="check the address"):
            fetched(server, tmp_path / "in")
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and p.parent != tmp_path / "in" / OBS]
    assert not outside
    assert not any(p.is_symlink() for p in tmp_path.rglob("*"))


def test_products_of_another_observation_are_refused(server, tmp_path):
    body = tar_of([(NAMES[0], CONTENT[NAMES[0]]), (NAMES[1].replace(OBS, "0000000001"), CONTENT[NAMES[1]])])
    server.replies = ((200, body, len(body)),)
    with pytest.raises(InvalidFile, match=f"another observation than {OBS}"):
        fetched(server, tmp_path)
    assert [p.name for p in (tmp_path / OBS).iterdir()] == [NAMES[0]]


def test_a_damaged_member_is_not_kept(server, tmp_path):
    body = tar_of([(NAMES[0], CONTENT[NAMES[0]][:3000])])
    server.replies = ((200, body, len(body)),)
    with pytest.raises(InvalidFile, match="came damaged"):
        fetched(server, tmp_path)
    assert not list((tmp_path / OBS).iterdir())


@pytest.mark.parametrize(
    ("replies", "error", "words"),
    [
        (((404, b"", 0),), InvalidFile, "status 404"),
        (((200, b"<html>no such observation</html>", None),), XphotfnError, "could not be fetched whole"),
        (((500, b"", 0),), XphotfnError, "status 500"),
        (((200, tar_of([("README", b"x")]), None),), InvalidFile, "holds none of"),
    ],
)
def test_other_answers_are_told(server, tmp_path, replies, error, words):
    server.replies = replies
    with pytest.raises(error, match=words):
        fetched(server, tmp_path, tries=2)
    assert not list(tmp_path.rglob("*.FTZ"))


def test_a_compressed_tar_file_is_read_too(server, tmp_path):
    body = tar_of(CONTENT.items(), "w:gz")
    server.replies = ((200, body[: len(body) // 2], None), (200, body, None))
    assert len(fetched(server, tmp_path)) == 4
    assert len(server.asked) == 2


def test_no_server_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "PAUSE_S", 0.0)
    with pytest.raises(XphotfnError, match="check the network"):
        fetch_products(OBS, tmp_path, mirror="http://127.0.0.1:1/none", tries=2, progress=False)


@pytest.mark.parametrize(
    ("obs_id", "how"), [("404910601", {}), (404910601, {}), ("../4910601", {}), (OBS, {"mirror": "file:///etc"})]
)
def test_what_is_no_question_is_not_asked(tmp_path, obs_id, how):
    with pytest.raises(InvalidRecord):
        fetch_products(obs_id, tmp_path, **how)


def test_the_examples_of_the_help_work_as_printed(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = tar_of([(name.replace(OBS, "0201903501"), data) for name, data in CONTENT.items()])
    server.replies = (*[(200, WHOLE, len(WHOLE))] * 2, (200, other, len(other)))  # of both examples
    shown = CliRunner().invoke(main, ["fetch", "--help"]).output.partition("Examples:\n")[2]
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    assert len(lines) == 2
    for line in lines:
        program, *words = shlex.split(line)
        result = CliRunner().invoke(main, [*words, "--mirror", server.url])
        assert (program, result.exit_code) == ("xphotfn", 0), result.output
        assert re.search(rf"data/{OBS}: \d files", result.output)


def test_one_of_several_that_fails_is_listed(server, tmp_path):
    server.replies = ((404, b"", 0), (200, WHOLE, len(WHOLE)))
    result = CliRunner().invoke(main, ["fetch", "0000000001", OBS, "-o", str(tmp_path), "--mirror", server.url])
    assert result.exit_code == 2
    assert "status 404" in result.output
    assert (tmp_path / OBS / NAMES[0]).exists()
