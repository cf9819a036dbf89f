"""A store that is moved, copied, damaged or attacked: its products are what they say, or they are made again."""

import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings, strategies as st

import xphotfn as xp
from xphotfn.cli import given_maps
from xphotfn.errors import XphotfnError
from xphotfn.reports.from_run import Asked, target_report
from xphotfn.store.digests import DigestCache
from xphotfn.store.inspect import prune, verify
from xphotfn.store.product_store import digest_file, open_store
from xphotfn.testing.examples import example_field

BAND = xp.energy_band("0.5 keV", "2 keV")


def run_of(field, store):
    return xp.run(xp.plan_mosaics(field, BAND), engine=xp.native_engine(), store=store, progress=False)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A finished run whose store tests copy."""
    return xp.raise_for_failures(run_of(example_field(), tmp_path_factory.mktemp("first") / "s"))


@pytest.fixture
def store(first, tmp_path):
    """A copy of that store: new inodes and times, as rsync leaves them."""
    return Path(shutil.copytree(first.store, tmp_path / "copy"))


def with_data_in(folder, field):
    """Return the field with its found files in another folder."""
    folder.mkdir()

    def there(file):
        copy = folder / Path(file.path).name
        shutil.copy(file.path, copy)
        stat = copy.stat()
        return evolve(file, path=str(copy), size=stat.st_size, mtime_ns=stat.st_mtime_ns)

    def moved(exposure):
        return evolve(exposure, products=[evolve(p, file=there(p.file)) for p in exposure.products])

    members = [
        evolve(m, observation=evolve(m.observation, exposures=[moved(e) for e in m.observation.exposures]))
        for m in field.members
    ]
    return evolve(field, members=members)


def test_a_moved_store_is_read_where_it_lies(first, store, tmp_path):
    elsewhere = store.rename(tmp_path / "elsewhere")
    loaded = xp.load_run(elsewhere)
    assert loaded.store == str(elsewhere)
    for done in loaded.done:
        assert all(Path(o.path).is_relative_to(elsewhere) and digest_file(o.path) == o.digest for o in done.outputs)
        assert Path(done.log).is_relative_to(elsewhere)
    assert (xp.combined_rate_map(loaded).data == xp.combined_rate_map(first).data).all()
    assert str(first.store) not in "".join(p.read_text() for p in (elsewhere / "runs").iterdir())
    assert all(o.cached for o in run_of(example_field(), elsewhere).done)


def test_data_in_another_folder_make_nothing_again(store, tmp_path):
    again = run_of(with_data_in(tmp_path / "other user", example_field()), store)
    assert [o.cached for o in again.done] == [True, True]


def spoil(path):
    """Change one byte; neither size nor time of change tells of it."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("damage", ["byte", "link", "cut"])
def test_a_damaged_product_is_not_used_and_is_made_again(first, store, tmp_path, damage):
    path = store / Path(first.done[0].outputs[0].path).relative_to(first.store)
    whole = path.read_bytes()
    if damage == "byte":
        spoil(path)
    elif damage == "cut":
        path.write_bytes(whole[:-2880])
    else:
        other = tmp_path / "other.fits"
        shutil.copy(path, other)
        path.unlink()
        path.symlink_to(other)
    again = run_of(example_field(), store)
    assert [o.cached for o in again.done] == [False, True]
    assert path.read_bytes() == whole
    assert not path.is_symlink()
    assert verify(store).is_good


@pytest.mark.parametrize("damage", ["byte", "link", "manifest"])
def test_a_damaged_product_is_not_measured(store, tmp_path, damage):
    """Each way to its pixels says so; verify and a new run mend it."""
    loaded = xp.load_run(store)
    path = next(Path(p) for item, p, digest in loaded.products() if digest and item.kind == "image")
    if damage == "byte":
        spoil(path)
    elif damage == "manifest":
        path.with_name("manifest.json").write_bytes(b"\xff{")
    else:
        other = tmp_path / "other.fits"
        path.rename(other)
        path.symlink_to(other)
    assert len(xp.rate_maps(loaded)) == 1  # a damaged mosaic costs no other map
    for ask in (xp.combined_rate_map, xp.maps_by_field):
        with pytest.raises(xp.InvalidFile, match=r"is not what was published: .*verify\(.*remove=True\)") as caught:
            ask(loaded)
        assert caught.value.path == str(path)
        assert f"xphotfn verify --remove {store}" in caught.value.told("shell")
    shown = target_report(loaded, "example", Asked())
    assert [f"{path}: is not what was published" in b.combined.problem for b in shown.bands] == [True]
    verify(store, remove=True)
    assert xp.combined_rate_map(run_of(example_field(), store)).counts.any()


def test_an_unchanged_copy_is_read_once(store, monkeypatch):
    """What a copied store holds is digested for the first question, and remembered for the next."""
    age = 10_000_000_000
    monkeypatch.setattr("xphotfn.store.digests.time.time_ns", lambda now=time.time_ns: now() + age)
    read = []
    monkeypatch.setattr("xphotfn.store.product_store.digest_file", lambda path: read.append(path) or digest_file(path))
    for _ in range(3):
        xp.combined_rate_map(xp.load_run(store))
    assert len(read) == 2


class Meddling:
    """The native engine; something happens to an input while the command runs."""

    identity = "meddling"

    def __init__(self, happens):
        self.happens = happens

    def execute(self, command, folder):
        printed = xp.native_engine().execute(command, folder)
        self.happens((folder / command.inputs[0]).resolve())
        return printed


def test_an_input_that_is_replaced_while_it_is_read_gives_no_product(tmp_path):
    field = with_data_in(tmp_path / "data", example_field())
    plan = xp.plan_mosaics(field, BAND)
    result = xp.run(plan, engine=Meddling(spoil), store=tmp_path / "s", progress=False, scheduler="sync")
    assert not result.done
    assert all("is not what it was" in f.reason for f in result.failed)
    assert list((tmp_path / "s" / "products").rglob("*.fits")) == []


def test_a_product_that_is_damaged_before_it_is_read_gives_no_product(first, store):
    path = store / Path(first.done[0].outputs[0].path).relative_to(first.store)
    opened = open_store(store)
    output = opened.find(path.parent.name)[0]
    assert opened.still_holds(output)
    spoil(path)
    assert not opened.still_holds(output)


def test_what_was_made_from_a_damaged_product_counts_as_damaged(tmp_path):
    store = open_store(tmp_path / "s")
    made = []
    for key in ("aa", "bb", "cc", "dd"):
        with store.scratch(key) as folder:
            (folder / "a.fits").write_bytes(key.encode() * 1440)
            inputs = (
                [{"name": "a.fits", "path": made[-1].path, "digest": made[-1].digest}] if key in ("bb", "cc") else []
            )
            made += store.publish(key, folder, ["a.fits"], {"inputs": inputs})
    spoil(Path(made[0].path))
    found = verify(store, remove=True)
    assert {d.key: d.problem for d in found.damaged} == {
        "aa": "is not what was published",
        "bb": "was made from aa, which is damaged",
        "cc": "was made from bb, which is damaged",
    }
    assert [key for key in ("aa", "bb", "cc", "dd") if store.find(key)] == ["dd"]


def test_digests_are_of_the_file_that_is_there_now(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    cache = DigestCache(tmp_path / "digests.jsonl")
    before = cache.get(str(path), digest_file)
    stat = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cache.get(str(path), digest_file) != before


# Records of runs


def test_a_killed_run_keeps_its_products(first, store):
    """A process that is killed writes no last record: what it had made stays known."""
    record = next((store / "runs").glob("*.json"))
    content = json.loads(record.read_text())
    lines = [json.dumps(o) for o in content["outcomes"]]
    unknown = {"#": "xphotfn.records.outcome:Failed", "reason": "not done", "log": ""}
    content["outcomes"] = [unknown | {"step": o["step"]} for o in content["outcomes"]]
    record.write_text(json.dumps(content))
    assert xp.load_run(store).done == ()
    record.with_name(f"{record.stem}.outcomes.jsonl").write_text("\n".join([lines[0], lines[1][:20]]))
    assert [d.step for d in xp.load_run(store).done] == [first.done[0].step]
    assert prune(store, min_age_s=0).products == (), "what its run did not come to say is done stays"


def test_the_record_is_there_while_the_run_goes_on(tmp_path):
    seen = []

    def look(event):
        files = sorted(p.name for p in (tmp_path / "s" / "runs").iterdir())
        seen.append((len(files), len(xp.load_run(tmp_path / "s").done)))

    run = xp.run(xp.plan_mosaics(example_field(), BAND), engine=xp.native_engine(), store=tmp_path / "s", progress=look)
    assert seen[0] == (1, 0)
    assert seen[-1] == (2, 2)
    assert [p.suffix for p in (tmp_path / "s" / "runs").iterdir()] == [".json"]
    assert xp.load_run(tmp_path / "s") == run


def test_a_record_that_cannot_be_written_costs_no_outcome(tmp_path):
    store = open_store(tmp_path / "s")
    runs = Path(store.path, "runs")
    runs.rmdir()
    runs.write_text("a file is in the way")
    plan = xp.plan_mosaics(example_field(), BAND)
    Path(store.path, "runs").unlink()
    runs.mkdir()

    def in_the_way(event):
        if runs.is_dir():
            shutil.rmtree(runs)
            runs.write_text("a file is in the way")

    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=in_the_way)
    assert len(run.done) == 2
    assert "the record of this run is not kept" in str(run)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("plan", "steps", 0, "command", "task"), "sh"),
        (("plan", "steps", 0, "command", "parameters"), [["script", "rm -rf ."]]),
        (("plan", "steps", 0, "command", "env"), [["LD_PRELOAD", "evil.so"]]),
        (("plan", "steps", 0, "command", "outputs"), ["../../x.fits"]),
        (("plan", "steps", 0, "command", "parameters"), [["mosaicedset", "/home/me/thesis.tex"]]),
        (("outcomes", 0, "key"), "../../../etc"),
        (("outcomes", 0, "#"), "xphotfn.graph.run:run"),
        (("outcomes", 0, "#"), "os:system"),
        (("outcomes", 0, "cached"), "../../etc/passwd"),
        (("plan", "products", 0, "file"), float("inf")),
        (("outcomes",), 7),
        (("plan",), None),
        (("#",), "xphotfn.records.band:Band"),
    ],
)
def test_an_edited_record_is_refused(store, path, value):
    record = next((store / "runs").glob("*.json"))
    content = json.loads(record.read_text())
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    record.write_text(json.dumps(content))
    with pytest.raises(xp.InvalidFile, match="is no record of a run"):
        xp.load_run(store)


def test_a_damaged_record_leaves_the_other_runs(store):
    record = next((store / "runs").glob("*.json"))
    whole = xp.load_run(store)
    record.with_name("ffff-cut.json").write_bytes(record.read_bytes()[:100])
    with pytest.warns(UserWarning, match="left out: .*ffff-cut.json.*is no record of a run"):
        assert xp.runs(store) == (whole,)
    with pytest.warns(UserWarning, match="left out"):
        assert given_maps.run_of(store, whole.plan.id[:8]) == whole
    with pytest.warns(UserWarning, match="left out"), pytest.raises(xp.InvalidFile, match="ffff-cut"):
        given_maps.run_of(store, "ffff")


def test_a_lost_mosaic_says_what_makes_it_again(first, tmp_path):
    store = tmp_path / "lost"
    shutil.copytree(first.store, store)
    made = xp.load_run(store)
    path = Path(next(path for product, path, digest in made.products() if product.is_mosaic and digest))
    shutil.rmtree(path.parent)
    with pytest.raises(xp.ProductMissing, match="is no longer in the store") as caught:
        xp.combined_rate_map(made)
    assert "`xphotfn run` makes it again" in caught.value.told("shell")
    assert len(xp.rate_maps(made)) == len(given_maps.maps_of(store, (), combined=False)) > 0  # no mosaic is asked for


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_edit_of_a_record_is_a_typed_error_or_a_run(first, data):
    record = next(Path(first.store, "runs").glob("*.json"))
    whole = record.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    put = data.draw(st.sampled_from([b"", b"0", b'"', b"[", b"null", b"{}", b"\xff", b"-1", b"1e999", b"," * 3]))
    drop = data.draw(st.sampled_from([0, 1, 5, 40, 400]))
    try:
        record.write_bytes(whole[:at] + put + whole[at + drop :])
        for read in (xp.load_run, xp.runs):
            with suppress(XphotfnError):
                read(first.store)
    finally:
        record.write_bytes(whole)


def test_the_names_of_two_machines_differ_even_if_they_have_one(monkeypatch):
    from xphotfn.store import owner as module

    boots = iter(["aaaaaaaa-1", "bbbbbbbb-2"])
    monkeypatch.setattr(module.Path, "read_text", lambda _self: next(boots))
    names = set()
    for _ in range(2):
        module.host.cache_clear()
        names.add(module.host())
    module.host.cache_clear()
    assert len(names) == 2
