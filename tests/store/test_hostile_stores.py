"""Stores that somebody prepared: pipes, devices, links that go nowhere, names of any kind; nothing hangs or surprises.

Whatever lies in a store, every call on it gives an answer or one of our errors, soon, and a run says what it made.
"""

import errno
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

import xphotfn as xp
from xphotfn.io.write import publish
from xphotfn.store.owner import host

BAND = xp.energy_band("0.5 keV", "2 keV")


@pytest.fixture(scope="module")
def plan():
    from xphotfn.testing.examples import example_field

    return xp.plan_mosaics(example_field(), BAND)


@pytest.fixture(scope="module")
def pristine(plan, tmp_path_factory):
    store = tmp_path_factory.mktemp("pristine") / "s"
    run_in(store, plan)
    return store


def run_in(store, plan):
    return xp.run(plan, engine=xp.native_engine(), store=store, progress=False, scheduler="synchronous")


def product(store):
    return min((store / "products").glob("*/*"))


def replaced(path, how):
    """Put something else at a path."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    match how:
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
        case "nowhere":
            path.symlink_to("/nonexistent/x")
        case "zeros":
            path.symlink_to("/dev/zero")
        case "file":
            path.write_text("x")
        case "folder":
            path.mkdir()
        case "sparse":
            with path.open("wb") as stream:
                stream.truncate(2**40)


PLACES = {
    "manifest": lambda store: product(store) / "manifest.json",
    "product": lambda store: product(store),
    "group": lambda store: product(store).parent,
    "image": lambda store: next(product(store).glob("*.fits")),
    "record": lambda store: next((store / "runs").iterdir()),
    "digests": lambda store: store / "digests.jsonl",
    "marker": lambda store: store / "xphotfn-store.json",
    "runs": lambda store: store / "runs",
    "scratch": lambda store: store / "scratch",
}
RARE = ("nowhere", "zeros", "file", "folder", "sparse")
MADE = {"manifest", "product", "image", "record", "digests"}  # a run is whole all the same


def answered(call, what=""):
    """Return what a call gives, or None where it raises one of our errors; it does not take half a minute."""
    found = []

    def go():
        try:
            found.append(call())
        except xp.XphotfnError:
            found.append(None)
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(30)
    assert found, f"it hangs: {what}"
    assert not isinstance(found[0], BaseException), (what, repr(found[0]))
    return found[0]


@pytest.mark.parametrize("how", ["pipe", "loop", *(pytest.param(how, marks=pytest.mark.slow) for how in RARE)])
def test_whatever_lies_in_a_store_there_is_an_answer(plan, pristine, tmp_path, how):
    for name, place in PLACES.items():
        store = tmp_path / name / "s"
        shutil.copytree(pristine, store)
        (store / "digests.jsonl").touch()
        replaced(place(store), how)
        for call in (xp.load_run, xp.runs, xp.verify, xp.prune, lambda s: xp.rate_maps(xp.load_run(s))):
            answered(lambda call=call, store=store: call(store), (name, call))
        answered(lambda store=store: xp.explain(product(store)), name)
        answered(lambda store=store: xp.verify(store, remove=True), (name, "remove"))
        run = answered(lambda store=store: run_in(store, plan), (name, "run"))
        assert run is None or len(run.done) + len(run.failed) == 2
        if name in MADE:
            assert run is not None
            assert len(run.done) == 2, (name, run.failed)
        shutil.rmtree(store)


def test_what_lies_in_the_way_of_products_is_said(pristine, tmp_path):
    store = tmp_path / "s"
    shutil.copytree(pristine, store)
    replaced(product(store), "file")
    (damage,) = xp.verify(store).damaged
    assert damage.problem == "lies in the way of products and is no folder"


def test_scratch_folders_of_any_name_are_left_or_swept(plan, pristine, tmp_path):
    store = tmp_path / "s"
    shutil.copytree(pristine, store)
    names = [f"k.{host()}.{10**30}.x", f"k.{host()}.0.x", f"k.{host()}.\u0661.x", "x" * 200, "\u00e9", "a\nb"]
    for name in names:
        (store / "scratch" / name).mkdir()
    (store / "scratch" / f"k.{host()}.4194305.y").symlink_to("/etc")
    assert len(run_in(store, plan).done) == 2
    assert not (store / "scratch" / names[0]).exists(), "no process has that number"
    assert all((store / "scratch" / name).exists() for name in names[1:2])
    assert Path("/etc").is_dir()


def test_a_home_that_nobody_has_is_said(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (xp.load_run, xp.find_observations, lambda path: run_in(path, plan)):
        with pytest.raises(xp.InvalidFile, match="names no user that has a home"):
            call("~nobody-of-that-name/s")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_store_that_may_not_be_read_is_said(pristine, tmp_path):
    closed = tmp_path / "closed"
    shutil.copytree(pristine, closed / "s")
    closed.chmod(0)
    try:
        with pytest.raises(xp.InvalidFile, match="may not be read by you"):
            xp.load_run(closed / "s")
    finally:
        closed.chmod(0o700)


def mounted(folder, *options):
    words = ["mount", *options, str(folder)]
    return shutil.which("mount") and subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture
def mount(tmp_path):
    """Return a function that mounts something, skipping where that is not allowed."""
    folders = []

    def go(folder, *options):
        if not mounted(folder, *options):
            pytest.skip("needs mounts: root on Linux")
        folders.append(folder)

    yield go
    for folder in reversed(folders):
        subprocess.run(["umount", str(folder)], capture_output=True, check=False)  # noqa: S607


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_that_numpy_tells_without_a_number_is_known_by_its_number(tmp_path):
    with pytest.raises(xp.InvalidFile, match="No space left on device") as told, publish(tmp_path / "a.fits") as there:
        there.unlink()
        there.symlink_to("/dev/full")
        raise OSError("262144 requested and 95840 written")
    assert told.value.__cause__.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("size", ["size=400k", "size=40k,nr_inodes=8"])
def test_a_full_disk_is_a_reason_and_nothing_is_half_there(plan, tmp_path, mount, size):
    mount(tmp_path, "-t", "tmpfs", "-o", size, "none")
    run = run_in(tmp_path / "s", plan)
    assert len(run.failed) == 2
    assert all("No space left" in failed.reason and failed.of_machine for failed in run.failed)
    assert not list((tmp_path / "s").glob("products/*/*"))
    assert not list((tmp_path / "s").glob("scratch/*"))


@pytest.mark.slow
def test_a_store_that_may_only_be_read_is_read_and_says_what_cannot_be_done(plan, pristine, tmp_path, mount):
    store = tmp_path / "s"
    shutil.copytree(pristine, store)
    path = next(product(store).glob("*.fits"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    mount(store, "--bind", str(store))
    mount(store, "-o", "remount,ro,bind")
    assert len(xp.load_run(store).done) == 2
    assert len(xp.verify(store).damaged) == 1
    with pytest.raises(xp.InvalidFile, match="nothing more can be removed"):
        xp.verify(store, remove=True)
    run = run_in(store, plan)
    assert (len(run.done), len(run.failed)) == (1, 1)
    assert "Read-only file system" in run.failed[0].reason
