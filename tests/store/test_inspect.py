"""Looking after a store: verify, prune, explain; stale scratch, kept digests, durable products."""

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.engines.shims.task import write_shims
from xphotfn.graph.recipes import plan_mosaics
from xphotfn.records import energy_band
from xphotfn.records.outcome import Output
from xphotfn.store import digests, product_store as store_module
from xphotfn.store.digests import DigestCache
from xphotfn.store.inspect import explain, prune, verify
from xphotfn.store.owner import host, owner_of
from xphotfn.store.product_store import digest_file, open_store
from xphotfn.testing.examples import example_field


@pytest.fixture
def plan():
    return plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))


@pytest.fixture
def made(plan, tmp_path):
    return xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False))


def spoil(path):
    """Change a byte, and neither size nor time."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


# verify


def test_a_changed_byte_is_found_and_the_product_is_made_again(made, plan, tmp_path):
    store = tmp_path / "s"
    assert verify(store).is_good
    assert (verify(store).products, verify(store).removed) == (2, False)
    path = Path(made.done[0].outputs[0].path)
    whole = path.read_bytes()
    spoil(path)
    seen = verify(store)
    assert [(d.key, d.problem) for d in seen.damaged] == [(made.done[0].key, "is not what was published")]
    assert "1 damaged (still there)" in str(seen)
    assert path.exists()
    removed = verify(store, remove=True)
    assert removed.removed
    assert str(path) in str(removed)
    assert not path.exists()
    again = xp.run(plan, engine=xp.native_engine(), store=store, progress=False)
    assert [o.cached for o in again.done] == [False, True]
    assert path.read_bytes() == whole
    assert verify(store).is_good
    assert list((store / "scratch").iterdir()) == []


@pytest.mark.parametrize("damage", ["gone", "manifest", "no manifest", "other", "list", "link"])
def test_every_kind_of_damage_is_found(made, tmp_path, damage):
    path = Path(made.done[0].outputs[0].path)
    manifest = path.parent / "manifest.json"
    if damage == "gone":
        path.unlink()
    elif damage == "manifest":
        manifest.write_text('{"outputs": ')
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "other":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"key": "ffff"}))
    elif damage == "list":
        manifest.write_text("[]")
    else:
        other = tmp_path / "elsewhere.fits"
        path.rename(other)
        path.symlink_to(other)
    found = verify(tmp_path / "s", remove=True)
    assert [d.key for d in found.damaged] == [made.done[0].key]
    assert verify(tmp_path / "s").products == 1


@pytest.mark.parametrize("kind", ["digest", "file"])
def test_what_cannot_be_read_is_reported_and_stays(made, tmp_path, monkeypatch, kind):
    from xphotfn.store import inspect

    def unreadable(path, **kwargs):
        raise OSError(5, "Input/output error")

    def unread(path, **kwargs):
        try:
            unreadable(path)
        except OSError as error:
            raise xp.InvalidFile(path, f"cannot be read: {error.strerror}") from error

    monkeypatch.setattr(inspect, "digest_file", unread if kind == "digest" else unreadable)
    found = verify(tmp_path / "s", remove=True)
    assert [d.certain for d in found.damaged] == [False, False]
    assert not found.is_good
    assert not found.removed
    assert "cannot be read: Input/output error" in str(found)
    monkeypatch.undo()
    assert verify(tmp_path / "s").is_good


# prune


def test_prune_keeps_what_runs_name(made, plan, tmp_path):
    store = tmp_path / "s"
    with open_store(store).scratch("0f0f") as folder:
        (folder / "a.fits").write_bytes(b"x" * 100)
        open_store(store).publish("0f0f", folder, ["a.fits"], {"task": "t"})
    assert prune(store).products == (), "a young product may belong to a run that goes on"
    would = prune(store, min_age_s=0, dry_run=True)
    assert (would.products, would.kept, would.dry_run) == (("0f0f",), 2, True)
    assert would.size > 100
    assert open_store(store).find("0f0f")
    gone = prune(store, min_age_s=0)
    assert gone.products == ("0f0f",)
    assert "removed 1 products and 0 scratch folders" in str(gone)
    assert open_store(store).find("0f0f") is None
    assert all(o.cached for o in xp.run(plan, engine=xp.native_engine(), store=store, progress=False).done)
    for path in (store / "runs").iterdir():
        path.unlink()
    assert len(prune(store, min_age_s=0).products) == 2


def test_prune_keeps_what_was_finished_as_its_run_was_stopped(made, tmp_path):
    record = next((tmp_path / "s" / "runs").glob("*.json"))
    content = json.loads(record.read_text())
    step = content["outcomes"][1]["step"]
    content["outcomes"][1] = {"#": "xphotfn.records.outcome:Failed", "step": step, "reason": "interrupted"}
    record.write_text(json.dumps(content))
    assert (len(xp.load_run(tmp_path / "s").done), prune(tmp_path / "s", min_age_s=0).products) == (1, ())
    content["outcomes"][1]["step"] = "another"
    record.write_text(json.dumps(content))
    assert prune(tmp_path / "s", min_age_s=0).products == (made.done[1].key,)


def test_prune_touches_nothing_where_a_run_cannot_be_read(made, tmp_path):
    (tmp_path / "s" / "runs" / "odd.json").write_text("{")
    with pytest.raises(xp.InvalidFile, match="is no record of a run.*Nothing was removed"):
        prune(tmp_path / "s", min_age_s=0)
    assert verify(tmp_path / "s").products == 2


@pytest.mark.parametrize("function", [verify, prune])
def test_a_folder_that_is_no_store_is_left_alone(tmp_path, function):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(xp.ProductMissing, match="is no store"):
        function(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


# explain


def test_explain_says_how_a_product_was_made(made, tmp_path):
    output = made.done[0].outputs[0]
    found = explain(output.path)
    assert found == explain(output) == explain(Path(output.path).parent)
    assert found == explain(made.done[0].key, store=tmp_path / "s")
    assert found.command == made.plan.steps[0].command
    assert found.engine == made.engine
    assert found.outputs == ((output.name, output.digest),)
    assert found.replayable
    assert dict(found.versions)["xphotfn"] == xp.__version__
    assert found.host == host()
    assert found.made.startswith("20")
    assert Path(found.log).read_text()
    text = str(found)
    for word in (
        "emosaic 'imagesets=" if " " in found.command.argv[1] else "emosaic",
        output.digest,
        "can be made again",
    ):
        assert word in text


def test_a_product_can_be_made_again_by_its_script(made, tmp_path):
    found = explain(made.done[0].outputs[0])
    folder = tmp_path / "again"
    folder.mkdir()
    env = {"PATH": f"{write_shims(tmp_path / 'bin')}:/usr/bin:/bin"}
    subprocess.run(["/bin/sh"], input=found.script, cwd=folder, env=env, text=True, check=True, capture_output=True)
    name, digest = found.outputs[0]
    assert digest_file(str(folder / name)) == digest


def test_explain_sees_what_became_of_the_inputs(tmp_path):
    store = open_store(tmp_path / "s")
    (tmp_path / "found.fits").write_bytes(b"found")
    first = publish(store, "aa11", [])
    about = [
        {"name": "i.fits", "path": first[0].path, "digest": first[0].digest},
        {"name": "f.fits", "path": str(tmp_path / "found.fits"), "digest": digest_file(str(tmp_path / "found.fits"))},
    ]
    publish(store, "bb22", about)
    found = explain("bb22", store=store)
    assert [(s.name, s.key, s.state) for s in found.inputs] == [("i.fits", "aa11", "same"), ("f.fits", "", "same")]
    spoil(tmp_path / "found.fits")
    assert [s.state for s in explain("bb22", store=store).inputs] == ["same", "changed"]
    (tmp_path / "found.fits").unlink()
    found = explain("bb22", store=store)
    assert [s.state for s in found.inputs] == ["same", "missing"]
    assert not found.replayable
    assert "cannot be made again" in str(found)
    moved = tmp_path / "moved"
    (tmp_path / "s").rename(moved)
    assert explain("bb22", store=moved).inputs[0].path.startswith(str(moved))


def publish(store, key, inputs):
    with store.scratch(key) as folder:
        (folder / "a.fits").write_bytes(b"x")
        about = {"engine": "test", "argv": ["emosaic", "mosaicedset=a.fits", "odd=a=b"], "inputs": inputs}
        return store.publish(key, folder, ["a.fits"], about)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((("argv", 1), value) for value in (float("nan"), None, ["a"])),
        (("argv",), "emosaic"),
        (("versions",), "2.1"),
        (("versions", "numpy"), None),
        (("seconds",), "long"),
        (("engine",), 7),
        (("log",), None),
        (("outputs", 0, "name"), float("nan")),
        (("inputs", 0, "name"), None),
        (("inputs", 0, "path"), []),
    ],
)
def test_explain_of_an_edited_manifest(made, path, value):
    manifest = Path(made.done[0].outputs[0].path).with_name("manifest.json")
    content = place = json.loads(manifest.read_text())
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    manifest.write_text(json.dumps(content))
    with pytest.raises(xp.InvalidFile, match="is damaged"):
        explain(manifest)


def test_explain_of_nothing(made, tmp_path):
    with pytest.raises(xp.ProductMissing, match="holds no product ffff"):
        explain("ffff", store=tmp_path / "s")
    with pytest.raises(xp.ProductMissing, match="is no store"):
        explain("ffff", store=tmp_path)
    path = Path(made.done[0].outputs[0].path)
    (path.parent / "manifest.json").write_text("{}")
    with pytest.raises(xp.InvalidFile, match="is damaged"):
        explain(path)


# scratch


def test_scratch_of_dead_processes_of_this_machine_is_swept(tmp_path):
    store = open_store(tmp_path / "s")
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    names = {
        f"0123456789ab.{host()}.{dead.pid}.abcdefgh": False,
        f"damaged.{host()}.{dead.pid}._bcd_fgh": False,
        f"0123456789ab.{host()}.{os.getpid()}.abcdefgh": True,
        f"0123456789ab.{host()}.1.abcdefgh": True,
        f"0123456789ab.elsewhere@0.{dead.pid}.abcdefgh": True,
        "something else": True,
    }
    for name in names:
        (tmp_path / "s" / "scratch" / name / "product").mkdir(parents=True)
    open_store(tmp_path / "s")
    assert {p.name for p in (tmp_path / "s" / "scratch").iterdir()} == {n for n, stays in names.items() if stays}
    assert prune(store).scratch == ()
    old = time.time() - 100_000
    os.utime(tmp_path / "s" / "scratch" / f"0123456789ab.elsewhere@0.{dead.pid}.abcdefgh", (old, old))
    assert prune(store).scratch == (f"0123456789ab.elsewhere@0.{dead.pid}.abcdefgh",)


def test_the_name_of_a_scratch_folder_says_whose_it_is(tmp_path, monkeypatch):
    host.cache_clear()
    monkeypatch.setattr(socket, "gethostname", lambda: "node17.cluster.example.org")
    try:
        with open_store(tmp_path / "s").scratch("0123456789abcdef") as folder:
            owner = owner_of(folder.name)
            assert owner is not None
            assert owner.is_here
            assert owner.is_alive
            assert (owner.host.partition("@")[0], owner.pid) == ("node17-cluster-example-org", os.getpid())
    finally:
        host.cache_clear()
    assert owner_of("damaged.abcdefgh") is None


# digests


def aged(path, content, age_s=10):
    """Write a file that looks settled, as far as its times can say."""
    path.write_bytes(content)
    stamp = time.time_ns() - age_s * 10**9
    os.utime(path, ns=(stamp, stamp))
    return str(path)


@pytest.fixture
def settled(monkeypatch):
    """Let a file count as settled at once: its status change cannot be set back."""
    monkeypatch.setattr(digests, "_SETTLED_NS", 0)


def test_a_digest_is_kept_for_the_next_process(tmp_path, settled):
    path = aged(tmp_path / "a", b"one")
    calls = []

    def digest_of(name):
        calls.append(name)
        return digest_file(name)

    first = DigestCache(tmp_path / "digests.jsonl").get(path, digest_of)
    assert DigestCache(tmp_path / "digests.jsonl").get(path, digest_of) == first
    assert len(calls) == 1
    aged(tmp_path / "a", b"two", age_s=10)
    assert DigestCache(tmp_path / "digests.jsonl").get(path, digest_of) != first
    spoil(tmp_path / "a")
    before = len(calls)
    DigestCache(tmp_path / "digests.jsonl").get(path, digest_of)
    assert len(calls) == before + 1, "size and time are the same, the time of the status change is not"


def test_a_file_that_changed_just_now_is_not_kept(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    DigestCache(tmp_path / "digests.jsonl").get(str(tmp_path / "a"), digest_file)
    assert not (tmp_path / "digests.jsonl").exists()


def test_a_file_that_changes_while_it_is_read_is_not_kept(tmp_path, settled):
    path = aged(tmp_path / "a", b"one")

    def digest_of(name):
        found = digest_file(name)
        aged(tmp_path / "a", b"three")
        return found

    with pytest.raises(xp.InvalidFile, match="changed while it was read"):
        DigestCache(tmp_path / "digests.jsonl").get(path, digest_of)
    assert not (tmp_path / "digests.jsonl").exists()


def test_damaged_lines_are_passed_over(tmp_path, settled):
    path = aged(tmp_path / "a", b"one")
    cache = tmp_path / "digests.jsonl"
    first = DigestCache(cache).get(path, digest_file)
    line = cache.read_bytes()
    cache.write_bytes(b'{\nnull\n["a"]\n7\n\xff\xfe\n[[],1,2,3,4,5]\n' + line + line[:20])
    assert DigestCache(cache).get(path, lambda _: "read again") == first
    assert DigestCache(cache).get(aged(tmp_path / "b", b"two"), lambda _: "b") == "b"


def test_a_file_that_is_gone_is_said(tmp_path):
    with pytest.raises(xp.InvalidFile, match="cannot be read"):
        open_store(tmp_path / "s").digest(str(tmp_path / "gone"))


def test_a_run_reads_found_files_once_and_a_resume_reads_none(plan, tmp_path, monkeypatch, settled):
    reads = []

    def counted(path, **kwargs):
        reads.append(path)
        return digest_file(path, **kwargs)

    monkeypatch.setattr(store_module, "digest_file", counted)
    engine, store = xp.native_engine(), tmp_path / "s"
    xp.run(plan, engine=engine, store=store, progress=False)
    found = {i.file.path for s in plan.steps for i in s.inputs if i.file}
    assert set(reads) & found == found
    reads.clear()
    digests._CACHES.clear()
    again = xp.run(plan, engine=engine, store=store, progress=False)
    assert all(o.cached for o in again.done)
    assert reads == []


# durable


def test_durable_products_are_on_the_disk_before_they_count(plan, tmp_path, monkeypatch):
    synced = []
    real = os.fsync

    def fsync(descriptor):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(store_module.os, "fsync", fsync)
    xp.run(plan, engine=xp.native_engine(), store=tmp_path / "quick", progress=False)
    assert synced == []
    store = open_store(tmp_path / "s", durable=True)
    run = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=store, progress=False))
    assert run.store == store.path
    for done in run.done:
        assert sum(Path(name).name == done.outputs[0].name for name in synced) == 1
        assert any(name.endswith(f"/{done.key[:2]}") for name in synced)
    assert sum(name.endswith("manifest.json") for name in synced) == 2
    assert open_store(store) is store


def test_a_manifest_says_it_all(made):
    manifest = json.loads((Path(made.done[0].log).parent / "manifest.json").read_text())
    assert set(manifest) == {
        "engine", "task", "argv", "env", "step", "inputs", "outputs", "seconds", "made", "host", "pid", "versions",
        "log", "key", "warnings",
    }  # fmt: skip
    assert manifest["pid"] == os.getpid()
    assert set(manifest["versions"]) == {"python", "xphotfn", "numpy", "scipy", "astropy"}
    header = fits.getheader(made.done[0].outputs[0].path)
    for word in (manifest["made"][:10], manifest["host"], str(Path(manifest["inputs"][0]["path"]).parent)):
        assert word not in repr(header), "no date, machine or folder goes into a product"


def test_an_output_record_explains_itself(made):
    output = made.done[1].outputs[0]
    assert isinstance(output, Output)
    assert explain(output).key == made.done[1].key
