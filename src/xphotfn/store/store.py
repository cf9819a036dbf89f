"""A folder of products named by what made them, published by one rename, with a manifest beside each.

``<store>/products/ab/<key>/`` holds the files of one command, ``manifest.json`` and ``log.txt``. A folder appears there
complete or not at all; what is being made lies in ``<store>/scratch``.
"""

import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from attrs import field, frozen

from xphotfn.errors import InvalidFile
from xphotfn.io.cache import BoundedCache, file_key
from xphotfn.io.tree import STORE_MARK
from xphotfn.io.write import publish
from xphotfn.records.outcome import Output

__all__ = ("MARKER", "Store", "digest_bytes", "digest_file", "open_store")

MARKER = STORE_MARK
_FOLDERS = ("products", "scratch", "runs")
_DIGESTS = BoundedCache(8 * 2**20)


def digest_bytes(*parts: bytes) -> str:
    """Return the hexadecimal blake2b digest of the parts, 32 digits."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def digest_file(path: str) -> str:
    """Return the content digest of a file; kept for as long as its size and time stay the same.

    Raises
    ------
    InvalidFile
        If it cannot be read.
    """

    def load() -> tuple[str, int]:
        hasher = hashlib.blake2b(digest_size=16)
        try:
            with Path(path).open("rb") as stream:
                while block := stream.read(1 << 20):
                    hasher.update(block)
        except OSError as error:
            raise InvalidFile(path, f"cannot be read: {error.strerror or error}") from error
        return hasher.hexdigest(), 400

    result: str = _DIGESTS.get(file_key(path), load)
    return result


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().absolute())


@final
@frozen
class Store:
    """A store at a path; made by :func:`open_store`."""

    path: str = field(converter=_absolute)

    def folder(self, key: str) -> Path:
        """Return where the products of ``key`` lie, whether they are there or not."""
        return Path(self.path, "products", key[:2], key)

    def find(self, key: str) -> tuple[Output, ...] | None:
        """Return the files of a key, or None where they are absent or not of the size that was published."""
        folder = self.folder(key)
        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
            outputs = manifest["outputs"]
            if any((folder / o["name"]).stat().st_size != o["size"] for o in outputs):
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return tuple(Output(name=o["name"], path=str(folder / o["name"]), digest=o["digest"]) for o in outputs)

    @contextmanager
    def scratch(self, key: str) -> Iterator[Path]:
        """Give an empty folder on the store's file system; it is removed afterwards."""
        parent = Path(self.path, "scratch")
        folder = Path(tempfile.mkdtemp(prefix=f"{key[:12]}.{socket.gethostname()}.{os.getpid()}.", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, key: str, folder: Path, names: Sequence[str], about: Mapping[str, Any]) -> tuple[Output, ...]:
        """Move ``folder`` with the named files into the store under ``key`` and return them.

        Where another process was faster its products are kept and returned: equal keys mean equal products.
        """
        outputs = [
            {"name": n, "size": (folder / n).stat().st_size, "digest": digest_file(str(folder / n))} for n in names
        ]
        (folder / "manifest.json").write_text(json.dumps({**about, "key": key, "outputs": outputs}, indent=1) + "\n")
        final = self.folder(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            try:
                folder.rename(final)
            except OSError:
                found = self.find(key)
                if found is not None:
                    return found
                self._set_aside(final)
        found = self.find(key)
        if found is None:
            raise InvalidFile(str(final), "could not be published: is the store's disk full or read-only?")
        return found

    def _set_aside(self, damaged: Path) -> None:
        """Move a damaged product out of the way, into scratch, and remove it."""
        if damaged.exists():
            aside = Path(tempfile.mkdtemp(prefix="damaged.", dir=Path(self.path, "scratch")))
            damaged.rename(aside / "old")
            shutil.rmtree(aside, ignore_errors=True)

    def write_run(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep what a run was and what became of it, as ``runs/<name>.json``."""
        with publish(Path(self.path, "runs", f"{name}.json"), overwrite=True) as temporary:
            temporary.write_text(json.dumps(content) + "\n")

    def last_run(self) -> Any:
        """Return the content of the last run that was written, or None."""
        runs = sorted(Path(self.path, "runs").glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
        return json.loads(runs[-1].read_bytes()) if runs else None


def open_store(path: str | Path) -> Store:
    """Return the store at ``path``; the folder is made where it is missing.

    Raises
    ------
    InvalidFile
        If the path is a regular file, cannot be made or written, or is a folder of other things.
    """
    store = Store(path)
    root = Path(store.path)
    try:
        if root.is_dir() and not (root / MARKER).exists() and any(_is_foreign(item.name) for item in root.iterdir()):
            raise InvalidFile(store.path, "is a folder of other things, not a store: give a new or an empty folder")
        root.mkdir(parents=True, exist_ok=True)
        if not (root / MARKER).exists():
            with publish(root / MARKER, overwrite=True) as temporary:
                temporary.write_text('{"format": "xphotfn store", "version": 1}\n')
        for name in _FOLDERS:
            (root / name).mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidFile(store.path, f"cannot be a store ({error.strerror or error}): give a folder") from error
    return store


def _is_foreign(name: str) -> bool:
    """Return whether a name is none of a store's own, of which another process may be making some right now."""
    return name not in _FOLDERS and not name.startswith(f".{MARKER}")
