"""The store: whole products or none."""

import os
from pathlib import Path

import pytest

import xphotfn as xp
from xphotfn.errors import InvalidFile
from xphotfn.io.cache import BoundedCache
from xphotfn.store.product_store import MARKER, digest_bytes, digest_file, open_store


def publish(store, key, content=b"x"):
    with store.scratch(key) as scratch:
        folder = scratch / "product"
        folder.mkdir()
        (folder / "a.fits").write_bytes(content)
        return store.publish(key, folder, ["a.fits"], {"task": "t"})


def test_publish_and_find(tmp_path):
    store = open_store(tmp_path / "s")
    assert store.find("ab12") is None
    outputs = publish(store, "ab12", b"hello")
    assert store.find("ab12") == outputs
    assert outputs[0].digest == digest_bytes(b"hello")
    assert digest_file(outputs[0].path) == outputs[0].digest
    assert list((tmp_path / "s" / "scratch").iterdir()) == []


def test_the_first_to_publish_wins_and_nothing_is_replaced(tmp_path):
    store = open_store(tmp_path / "s")
    first = publish(store, "ab12", b"one")
    assert publish(store, "ab12", b"one") == first
    inode = os.stat(first[0].path).st_ino
    publish(store, "ab12", b"one")
    assert os.stat(first[0].path).st_ino == inode


@pytest.mark.parametrize("damage", ["truncate", "manifest", "remove"])
def test_a_damaged_product_is_not_found_and_can_be_published_again(tmp_path, damage):
    store = open_store(tmp_path / "s")
    publish(store, "ab12", b"hello")
    folder = store.folder("ab12")
    if damage == "truncate":
        (folder / "a.fits").write_bytes(b"he")
    elif damage == "manifest":
        (folder / "manifest.json").write_text("{")
    else:
        (folder / "a.fits").unlink()
    assert store.find("ab12") is None
    publish(store, "ab12", b"hello")
    assert (folder / "a.fits").read_bytes() == b"hello"


def test_scratch_is_removed_when_the_work_fails(tmp_path):
    store = open_store(tmp_path / "s")
    with pytest.raises(RuntimeError), store.scratch("ab") as folder:
        (folder / "half.fits").write_bytes(b"half")
        raise RuntimeError
    assert list((tmp_path / "s" / "scratch").iterdir()) == []


def test_digests_follow_the_content(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"one")
    first = digest_file(str(path))
    path.write_bytes(b"three")
    assert digest_file(str(path)) != first
    with pytest.raises(xp.InvalidFile, match="cannot be read"):
        digest_file(str(tmp_path / "gone"))


def test_the_cache_is_bounded_by_bytes():
    cache = BoundedCache(100)
    loads = []

    def load(name, size):
        return lambda: (loads.append(name) or name, size)

    assert [cache.get(n, load(n, 40)) for n in "aab"] == ["a", "a", "b"]
    cache.get("a", load("a", 40))
    cache.get("c", load("c", 40))
    cache.get("a", load("a", 40))
    cache.get("b", load("b", 40))
    assert loads == ["a", "b", "c", "b"]
    cache.get("huge", load("huge", 101))
    cache.get("huge", load("huge", 101))
    assert loads[-2:] == ["huge", "huge"]
    cache.clear()
    cache.get("a", load("a", 40))
    assert loads[-1] == "a"


def test_a_store_that_another_driver_makes_right_now_is_one(tmp_path, monkeypatch):
    folder = tmp_path / "s"
    folder.mkdir()
    listed = Path.iterdir

    def made_meanwhile(path):
        if path == folder and not (folder / MARKER).exists():
            (folder / MARKER).write_text("{}")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", made_meanwhile)
    assert open_store(folder).path == str(folder)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(InvalidFile, match="folder of other things"):
        open_store(tmp_path / "notes")
