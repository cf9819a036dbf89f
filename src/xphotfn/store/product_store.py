"""A folder of products named by what made them, published by one rename, with a manifest beside each.

``<store>/products/ab/<key>/`` holds the files of one command, ``manifest.json`` and ``log.txt``. A folder appears there
complete or not at all; what is being made lies in ``<store>/scratch``, whose folders name the process that made them.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, final

from attrs import field, frozen

from xphotfn.errors import InvalidFile, ProductMissing, Remedy
from xphotfn.io.bounded import open_regular, read_regular
from xphotfn.io.tree import STORE_MARK, expanded
from xphotfn.io.write import publish
from xphotfn.records.outcome import Output
from xphotfn.store.digests import DIGESTS, digests_of, file_state
from xphotfn.store.owner import owner_of, scratch_prefix

__all__ = ("MARKER", "Store", "StoreLike", "digest_bytes", "digest_file", "open_store", "product_folder")

MARKER = STORE_MARK
_FOLDERS = ("products", "scratch", "runs")
_STORE_OF_A_RUN = Remedy(
    "give the folder that run(..., store=) wrote to", "give the folder that `xphotfn run --store` wrote to"
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # s3://bucket; Path makes one slash of two


def digest_bytes(*parts: bytes) -> str:
    """Return the hexadecimal blake2b digest of the parts, 32 digits."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def digest_file(path: str) -> str:
    """Return the content digest of a file, which is read for it.

    Raises
    ------
    InvalidFile
        If it cannot be read.
    """
    hasher = hashlib.blake2b(digest_size=16)
    try:
        with open_regular(path) as stream:
            while block := stream.read(1 << 20):
                hasher.update(block)
    except OSError as error:
        raise InvalidFile(path, f"cannot be read: {error.strerror or error}") from error
    return hasher.hexdigest()


def _absolute(path: str | Path) -> str:
    return str(expanded(path).absolute())


def product_folder(key: str) -> str:
    """Return where in a store the products of a key lie."""
    return f"products/{key[:2]}/{key}"


class StoredProduct(NamedTuple):
    """What a store holds under a key: the files, what the command warned of, and where its log is."""

    outputs: tuple[Output, ...]
    warnings: tuple[str, ...]
    log: str


@final
@frozen
class Store:
    """A store at a path; made by :func:`open_store`.

    Parameters
    ----------
    path
        The folder.
    durable
        Whether a product is on the disk itself, not only in the system's memory, before it counts as made.
    """

    path: str = field(converter=_absolute)
    durable: bool = False

    def folder(self, key: str) -> Path:
        """Return where the products of ``key`` lie, whether they are there or not."""
        return Path(self.path, product_folder(key))

    def find(self, key: str) -> tuple[Output, ...] | None:
        """Return the files of a key, or None where they are absent or not what was published."""
        found = self.look_up(key)
        return None if found is None else found.outputs

    def look_up(self, key: str) -> "StoredProduct | None":
        """Return what the store holds under a key, or None as :meth:`find`.

        A file in the state in which it was published (size, times, inode) is what was published; one in another state,
        since the store was copied or somebody wrote to it, is read and its digest compared. A resume asks this of every
        product, so it goes without Path and file objects, which take most of the time.
        """
        folder = f"{self.path}/products/{key[:2]}/{key}"
        try:
            manifest = json.loads(read_regular(f"{folder}/manifest.json"))
            outputs = manifest["outputs"]
            if not all(self._is_published(f"{folder}/{output['name']}", output) for output in outputs):
                return None
            made = tuple(Output(name=o["name"], path=f"{folder}/{o['name']}", digest=o["digest"]) for o in outputs)
            return StoredProduct(
                made, tuple(manifest.get("warnings", ())), f"{folder}/{manifest.get('log', 'log.txt')}"
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidFile):
            return None

    def _is_published(self, path: str, output: Mapping[str, Any]) -> bool:
        """Whether a file is the one that a manifest tells of: a regular file of that content."""
        now = os.lstat(path)
        if not stat.S_ISREG(now.st_mode) or now.st_size != output["size"]:
            return False
        known = [now.st_mtime_ns, now.st_ctime_ns, now.st_ino] == output.get("state")
        return known or self.digest(path) == output["digest"]

    def still_holds(self, file: Output) -> bool:
        """Return whether a file that a command reads, a product or one that was found, still has its content."""
        folder = Path(file.path).parent
        if folder == self.folder(folder.name):
            return file in (self.find(folder.name) or ())
        return self.digest(file.path) == file.digest

    def require_published(self, path: str) -> None:
        """Refuse to hand out a product that is not what was published; an unchanged one costs a look at its state.

        One that is gone is left to its reader, which cannot take anything else for it.

        Raises
        ------
        InvalidFile
            If it is a link, of another size or of another content than its manifest says, or cannot be read.
        """
        if not os.path.lexists(path):
            return
        folder, _, name = path.rpartition("/")
        try:
            outputs = json.loads(read_regular(f"{folder}/manifest.json"))["outputs"]
            if any(output["name"] == name and self._is_published(path, output) for output in outputs):
                return
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError):
            pass  # without its manifest nothing tells what was published
        except OSError as error:
            raise InvalidFile(path, f"cannot be read: {error.strerror or error}") from error
        raise InvalidFile(path, "is not what was published", remedy=_make_again(self.path))

    @contextmanager
    def scratch(self, key: str) -> Iterator[Path]:
        """Give an empty folder on the store's file system; it is removed afterwards, unless it was published."""
        folder = Path(self.path, "scratch", scratch_prefix(key) + uuid.uuid4().hex)
        folder.mkdir()  # not by tempfile, whose folders nobody else may read
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, key: str, folder: Path, names: Sequence[str], about: Mapping[str, Any]) -> tuple[Output, ...]:
        """Move ``folder`` with the named files into the store under ``key`` and return them.

        Where another process was faster its products are kept and returned: equal keys mean equal products.
        """
        outputs = [_published(folder, name) for name in names]
        (folder / "manifest.json").write_text(_lines({**about, "key": key, "outputs": outputs}))
        final = self.folder(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        if self.durable:
            _to_disk(*folder.iterdir(), folder)
        problem: OSError | None = None
        for _ in range(2):  # once more where a damaged product was in the way
            try:
                folder.rename(final)
            except OSError as error:
                problem = error
            found = self.find(key)
            if found is not None:
                if self.durable:
                    _to_disk(final.parent, final.parent.parent)
                return found
            self.discard(key)
        raise InvalidFile(str(final), "could not be published: is the store's disk full or read-only?") from problem

    def digest(self, path: str) -> str:
        """Return the content digest of a file that was found; it is kept, so that the next run need not read the file.

        Raises
        ------
        InvalidFile
            If it cannot be read.
        """
        return digests_of(self.path).get(path, digest_file)

    def known_digest(self, path: str) -> str | None:
        """Return the content digest of a file that was found where it is kept from before, else None.

        Raises
        ------
        InvalidFile
            If the file is gone.
        """
        return digests_of(self.path).known(path)

    def discard(self, key: str) -> None:
        """Remove the product of a key, whole by one rename; the next run that needs it makes it again."""
        with self.scratch(key) as aside, suppress(FileNotFoundError):
            self.folder(key).rename(aside / "old")

    def sweep(self) -> int:
        """Remove the scratch folders that dead processes of this machine left, and return how many there were."""
        swept = 0
        for folder in Path(self.path, "scratch").iterdir():
            owner = owner_of(folder.name)
            if owner is not None and owner.is_here and not owner.is_alive:
                shutil.rmtree(folder, ignore_errors=True)
                swept += 1
        return swept


def _make_again(store: str) -> Remedy:
    """Return what to do about a damaged product."""
    return Remedy(
        f"take it out with verify({store!r}, remove=True) and run the plan again",
        f"take it out with `xphotfn verify --remove {shlex.quote(store)}`, then run again",
    )


def _published(folder: Path, name: str) -> dict[str, Any]:
    """Return what a manifest says of a file: its content, and the state in which it has it."""
    path = str(folder / name)
    digest, state = digest_file(path), file_state(path)
    return {"name": name, "size": state.size, "digest": digest, "state": [state.mtime_ns, state.ctime_ns, state.inode]}


def _lines(content: Mapping[str, Any]) -> str:
    """Return JSON with one line for each key: to be read by people, and written ten times as fast as if indented."""
    return "{\n" + ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items()) + "\n}\n"


def _to_disk(*paths: Path) -> None:
    """Have the system write files and folders to the disk before going on."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


StoreLike: TypeAlias = str | Path | Store
"""A store, or the folder of one."""


def there(store: StoreLike) -> Store:
    """Return the store at a path, as it is.

    Raises
    ------
    ProductMissing
        If it is none.
    InvalidFile
        If it is another user's and may not be read.
    """
    found = store if isinstance(store, Store) else Store(store)
    try:
        is_store = stat.S_ISREG(Path(found.path, MARKER).stat().st_mode)
    except PermissionError as error:
        raise InvalidFile(found.path, "may not be read by you: ask whose it is") from error
    except (OSError, ValueError):  # ValueError: a name with NUL
        is_store = False
    if not is_store:
        raise ProductMissing(f"{found.path} is no store", remedy=_STORE_OF_A_RUN)
    return found


def open_store(path: StoreLike, *, durable: bool = False) -> Store:
    """Return the store at ``path``; the folder is made where it is missing, and what dead processes left is removed.

    Parameters
    ----------
    path
        The folder, or a store, which keeps its own ``durable``.
    durable
        Have each product written to the disk itself before it counts as made: it then outlives a loss of power. Every
        product costs some milliseconds more; without it a killed process or a crash of Python costs nothing either.

    Raises
    ------
    InvalidFile
        If the path is a regular file, cannot be made or written, or is a folder of other things.

    Examples
    --------
    >>> import tempfile
    >>> store = open_store(tempfile.mkdtemp(), durable=True)
    >>> store.durable, open_store(store) == store
    (True, True)
    """
    if _ADDRESS.match(str(path)):
        raise InvalidFile(str(path), "is an address: a store is a folder, on a file system that all its machines share")
    store = path if isinstance(path, Store) else Store(path, durable)
    root = Path(store.path)
    try:
        foreign = root.is_dir() and any(_is_foreign(item.name) for item in root.iterdir())
        if foreign and not (root / MARKER).exists():  # asked last: another driver may be making the store now
            raise InvalidFile(store.path, "is a folder of other things, not a store: give a new or an empty folder")
        root.mkdir(parents=True, exist_ok=True)
        if not (root / MARKER).exists():
            with publish(root / MARKER, own=True) as temporary:
                temporary.write_text('{"format": "xphotfn store", "version": 1}\n')
        for name in _FOLDERS:
            (root / name).mkdir(exist_ok=True)
        store.sweep()
    except OSError as error:
        raise InvalidFile(
            store.path, f"cannot be a store ({error.strerror or error}): give a folder that you may write to"
        ) from error
    return store


def _is_foreign(name: str) -> bool:
    """Return whether a name is none of a store's own, of which another process may be making some right now."""
    return name not in (*_FOLDERS, DIGESTS) and not name.startswith(f".{MARKER}")
