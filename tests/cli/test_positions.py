"""Positions on the command line and in tables of every kind that people have; names of a stand-in for the CDS."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import astropy.units as u
import pytest
from astropy.coordinates.name_resolve import sesame_url
from astropy.table import QTable, Table
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.io.table_files import read_table
from xphotfn.simulate.observing import simulate_observations

RA, DEC = 52.31, -33.72
FORMS = [
    ("52.31", "-33.72"), ("3h29m14.4s", "-33d43m12s"), ("03:29:14.4", "-33:43:12"), ("3 29 14.4", "-33 43 12"),
    ("52.31deg", "-33.72 deg"), ("52d18m36s", "\u221233\u00b043\u203212\u2033"),
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("positions") / "data"
    simulate_observations(folder)
    return folder


def call(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def plan_of(data, *words):
    return call("plan", data, "--radius", "3arcmin", *words)


@pytest.mark.parametrize(("ra", "dec"), FORMS)
def test_positions_in_every_form_are_the_same_place(data, ra, dec):
    result = call("photometry", data, "--ra", ra, "--dec", dec, "--radius", "20arcsec", "--json")
    assert result.exit_code == 0, result.output
    first = json.loads(result.stdout)[0]
    assert (first["ra"], first["dec"]) == pytest.approx((RA, DEC), abs=1e-9)
    said = "is hours, minutes and seconds: 52.310000 deg"
    assert (said in result.stderr) == bool(re.match(r"0?3[: ]", ra)), "what could be read in two ways is said"


@pytest.mark.parametrize(("ra", "dec", "why"), [("52:18:36", DEC, "write degrees as 149d35m31s"), ("3:29", DEC, "got")])
def test_what_could_be_hours_or_degrees_is_refused(data, ra, dec, why):
    result = plan_of(data, "--ra", ra, "--dec", dec)
    assert result.exit_code == 1
    assert why in result.stderr


def test_half_a_position_is_no_position(data):
    for words in (["--ra", RA], ["--dec", DEC], []):
        result = plan_of(data, *words)
        assert result.exit_code == 1
        assert "Missing" in result.stderr


class Sesame(BaseHTTPRequestHandler):
    """Answers as the name resolver of the CDS does."""

    def do_GET(self):
        body = f"%J {RA} {DEC} = 03:29:14.4 -33:43:12\n" if "known" in self.path else "#!S=Simbad: Nothing found\n"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def resolver(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sesame)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sesame_url.set([f"http://127.0.0.1:{server.server_port}/"]):
        yield
    server.shutdown()
    server.server_close()


def test_a_name_is_looked_up_only_where_there_is_no_position(data, resolver):
    result = call("photometry", data, "--name", "known object", "--radius", "20arcsec", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert (rows[0]["ra"], rows[0]["dec"], rows[0]["name"]) == (RA, DEC, "known object")
    assert "known object is at 52.310000 -33.720000 deg, says the name resolver of the CDS" in result.stderr
    assert plan_of(data, "--name", "known object").exit_code == 0
    unknown = plan_of(data, "--name", "nothing")
    assert unknown.exit_code == 1
    assert "check the name and the network, or give --ra and --dec" in unknown.stderr
    assert plan_of(data, "--name", "nothing", "--ra", RA, "--dec", DEC).exit_code == 0, "then it is a label"


def test_without_a_network_a_name_is_one_sentence(data):
    with sesame_url.set(["http://127.0.0.1:9/"]):
        result = plan_of(data, "--name", "M 82")
    assert result.exit_code == 1
    assert result.stderr.startswith("xphotfn: no position was found for --name 'M 82'")
    assert "Traceback" not in result.output


TEXTS = {
    "plain.csv": b"name,ra,dec,radius\nc,52.31,-33.72,180\n",
    "spreadsheet.csv": "\ufeffname,ra,dec,radius\r\nc,52.31,-33.72,180\r\n".encode(),
    "semicolons.csv": b"name;ra;dec;radius\nc;52.31;-33.72;180\n",
    "decimal_commas.csv": b"name;ra;dec;radius\nc;52,31;-33,72;180\n",
    "tabs.csv": b"name\tra\tdec\tradius\nc\t52.31\t-33.72\t180\n",
    "blanks.txt": b"name  ra     dec     radius\nc     52.31  -33.72  180\n",
    "quoted.txt": b'name ra dec radius\n"c" "03 29 14.4" "-33 43 12" 180\n',
    "comments.csv": b"# my sample\n# of one\nname,ra,dec,radius\n\nc,52.31,-33.72,180\n\n# the end\n",
    "colons.csv": b"Name,RAJ2000,DEJ2000,Radius\nc,03:29:14.4,-33:43:12,180\n",
    "latin1.csv": "name,ra,dec,radius,note\nc,52.31,-33.72,180,caf\u00e9\n".encode("latin-1"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_every_kind_are_the_same_table(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(TEXTS[name])
    (target,) = xp.targets_from_table(read_table(path))
    assert (target.name, target.kind, target.radius) == ("c", "position", 180 * u.arcsec)
    assert (target.ra_deg, target.dec_deg) == pytest.approx((RA, DEC), abs=1e-9)


@pytest.mark.parametrize(("ending", "kind"), [("vot", "votable"), ("ecsv", "ascii.ecsv"), ("fits", "fits")])
def test_tables_with_units_go_in_and_out(data, tmp_path, ending, kind):
    path, out = tmp_path / f"t.{ending}", tmp_path / f"out.{ending}"
    QTable({"name": ["c"], "RAJ2000": [RA / 15] * u.hourangle if ending == "ecsv" else [RA] * u.deg,
            "DEJ2000": [DEC] * u.deg, "radius": [20 / 60] * u.arcmin}).write(path, format=kind)  # fmt: skip
    result = call("photometry", data, "--positions", path, "-o", out)
    assert result.exit_code == 0, result.output
    rows = Table.read(out, format=kind)
    assert [rows["ra"][0], rows["dec"][0]] == pytest.approx([RA, DEC], abs=1e-9)
    alone = call("photometry", data, "--ra", RA, "--dec", DEC, "--radius", "20arcsec", "--json")
    assert list(rows["counts"]) == [row["counts"] for row in json.loads(alone.stdout)]
    assert str(rows["name"][0]) == "c"
