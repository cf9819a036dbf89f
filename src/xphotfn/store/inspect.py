"""Looking after a store: is every product whole, how was one made, and what can go."""

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import final

from attrs import field, frozen

from xphotfn.errors import InvalidFile
from xphotfn.html import record_html
from xphotfn.records.fields import items, strings
from xphotfn.store.explanation import Explanation, InputState, existing_store, explain, read_manifest
from xphotfn.store.owner import owner_of
from xphotfn.store.product_store import Store, StoreLike, digest_file
from xphotfn.store.run_record import read_run, run_files

__all__ = ("Damage", "Explanation", "InputState", "Pruned", "Verified", "explain", "prune", "verify")

_DAY_S = 86_400.0


@final
@frozen(kw_only=True)
class Damage:
    """A product that is not what was published.

    Parameters
    ----------
    key
        Its key in the store.
    path
        The file, or the folder where its manifest is damaged.
    problem
        What is wrong.
    certain
        False where it could not be read, which may be the disk's or the network's fault: it is never removed for that.
    """

    key: str
    path: str
    problem: str
    certain: bool = True


@final
@frozen(kw_only=True)
class Verified:
    """What :func:`verify` found.

    Parameters
    ----------
    store
        The store.
    products, size
        How many products it looked at, and their bytes.
    damaged
        Those that are damaged.
    removed
        Whether these were taken out, so that the next run makes them again.
    """

    store: str
    products: int
    size: int
    damaged: tuple[Damage, ...] = field(default=(), converter=items)
    removed: bool = False

    def _repr_html_(self) -> str:
        return record_html(self)

    @property
    def is_good(self) -> bool:
        """Whether every product is as it was published."""
        return not self.damaged

    def __str__(self) -> str:
        what = "taken out, to be made again" if self.removed else "still there"
        head = f"{self.products} products of {self.size / 2**20:.1f} MiB in {self.store}, {len(self.damaged)} damaged"
        lines = [f"  {d.path}: {d.problem}" for d in self.damaged]
        return "\n".join([head + (f" ({what})" if lines else ""), *lines])


@final
@frozen(kw_only=True)
class Pruned:
    """What :func:`prune` removed.

    Parameters
    ----------
    store
        The store.
    products
        Keys of the products that no run uses.
    scratch
        Scratch folders that were left behind.
    size
        Their bytes.
    kept
        How many products stay.
    dry_run
        Whether nothing was removed after all.
    """

    store: str
    products: tuple[str, ...] = field(default=(), converter=strings)
    scratch: tuple[str, ...] = field(default=(), converter=strings)
    size: int = 0
    kept: int = 0
    dry_run: bool = False

    def _repr_html_(self) -> str:
        return record_html(self)

    def __str__(self) -> str:
        did = "would remove" if self.dry_run else "removed"
        what = f"{len(self.products)} products and {len(self.scratch)} scratch folders"
        return f"{did} {what} of {self.size / 2**20:.1f} MiB from {self.store}; {self.kept} products stay"


def verify(store: StoreLike, *, remove: bool = False) -> Verified:
    """Read every product of a store and compare it with the digest under which it was published.

    What was made from a damaged product counts as damaged too.

    Parameters
    ----------
    store
        Its folder.
    remove
        Take damaged products out, so that the next run makes them again; by default nothing is changed.

    Raises
    ------
    ProductMissing
        If the folder is no store.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.store.product_store import open_store
    >>> verify(open_store(tempfile.mkdtemp())).is_good
    True
    """
    opened = existing_store(store)
    folders = list(_folders(opened))
    size = sum(map(_size, folders))
    damaged = {folder.name: damage for folder in folders if (damage := _damage(folder)) is not None}
    damaged |= _spoiled({folder.name: folder for folder in folders}, damaged)
    damaged |= {path.name: _stray(path) for path in _strays(opened)}
    if remove:
        _discard(opened, [damage.key for damage in damaged.values() if damage.certain])
    removed = remove and any(damage.certain for damage in damaged.values())
    return Verified(
        store=opened.path, products=len(folders), size=size, damaged=tuple(damaged.values()), removed=removed
    )


def prune(store: StoreLike, *, min_age_s: float = _DAY_S, dry_run: bool = False) -> Pruned:
    """Remove what no run of a store needs: products that no kept run names, and scratch folders left behind.

    Parameters
    ----------
    store
        Its folder. Runs are kept in its ``runs``; a run that you delete there no longer keeps its products.
    min_age_s
        Products and foreign scratch folders younger than this stay, for a run that goes on now has not yet said what it
        needs; default one day.
    dry_run
        Only say what would go.

    Raises
    ------
    ProductMissing
        If the folder is no store.
    InvalidFile
        If a run cannot be read: then nothing is known of what it needs, and nothing is removed.

    Notes
    -----
    Not while a run over the store goes on: what that run only finds, and no finished run names, would go. What a step
    of a kept run may have made just as the run was stopped stays too: its
    product, where the record does not say that it is done.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.store.product_store import open_store
    >>> prune(open_store(tempfile.mkdtemp())).products
    ()
    """
    opened = existing_store(store)
    needed, unended = _needed(opened)
    before = time.time() - min_age_s
    folders = list(_folders(opened))
    old = [f for f in folders if f.name not in needed and _changed(f) <= before]
    going = [f for f in old if _step_of(f) not in unended]
    scratch = [f for f in Path(opened.path, "scratch").iterdir() if _is_left(f, before)]
    size = sum(_size(folder) for folder in (*going, *scratch))
    if not dry_run:
        _discard(opened, [folder.name for folder in going])
        for folder in scratch:
            shutil.rmtree(folder, ignore_errors=True)
    return Pruned(
        store=opened.path,
        products=[f.name for f in going],
        scratch=[f.name for f in scratch],
        size=size,
        kept=len(folders) - len(going),
        dry_run=dry_run,
    )


def _folders(store: Store) -> Iterator[Path]:
    """Yield the folder of every product."""
    for group in sorted(Path(store.path, "products").iterdir()):
        if group.is_dir():
            yield from sorted(folder for folder in group.iterdir() if folder.is_dir())


def _strays(store: Store) -> Iterator[Path]:
    """Yield what lies among the products and is none: a link that goes nowhere, a file."""
    for group in sorted(Path(store.path, "products").iterdir()):
        yield from (item for item in (group.iterdir() if group.is_dir() else (group,)) if not item.is_dir())


def _stray(path: Path) -> Damage:
    return Damage(key=path.name, path=str(path), problem="lies in the way of products and is no folder", certain=False)


def _discard(store: Store, keys: Iterable[str]) -> None:
    try:
        for key in keys:
            store.discard(key)
    except OSError as error:
        why = f"nothing more can be removed ({error.strerror or error}): you need to be allowed to write there"
        raise InvalidFile(store.path, why) from error


def _damage(folder: Path) -> Damage | None:
    """Return what is wrong with a product, or None."""
    try:
        manifest = read_manifest(folder)
        for output in manifest["outputs"]:
            path = folder / output["name"]
            if not path.is_file() or path.is_symlink():
                return Damage(key=folder.name, path=str(path), problem="is missing")
            if path.stat().st_size != output["size"] or digest_file(str(path)) != output["digest"]:
                return Damage(key=folder.name, path=str(path), problem="is not what was published")
        if manifest["key"] != folder.name:
            return Damage(key=folder.name, path=str(folder), problem=f"has the manifest of {manifest['key']}")
    except InvalidFile as error:
        unread = isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError)
        return Damage(key=folder.name, path=error.path, problem=error.problem, certain=not unread)
    except OSError as error:
        return Damage(key=folder.name, path=str(folder), problem=f"cannot be read: {error.strerror}", certain=False)
    except (KeyError, TypeError) as error:
        return Damage(key=folder.name, path=str(folder), problem=f"has a damaged manifest ({error!r})")
    return None


def _spoiled(folders: Mapping[str, Path], damaged: Mapping[str, Damage]) -> dict[str, Damage]:
    """Return the products that were made from a damaged one, or from one that was: they may hold the damage."""
    made_from = {key: _products_read(folder) for key, folder in folders.items() if key not in damaged}
    spoiled: dict[str, Damage] = {}
    while True:
        known = {**damaged, **spoiled}
        found = {
            key: Damage(
                key=key,
                path=str(folders[key]),
                problem=f"was made from {bad}, which is damaged",
                certain=known[bad].certain,
            )
            for key, sources in made_from.items()
            if key not in spoiled and (bad := next((s for s in sources if s in known), None)) is not None
        }
        if not found:
            return spoiled
        spoiled |= found


def _products_read(folder: Path) -> tuple[str, ...]:
    """Return the keys of the products of which one was made."""
    try:
        return tuple(Path(item["path"]).parent.name for item in read_manifest(folder)["inputs"])
    except (InvalidFile, KeyError, TypeError):
        return ()


def _needed(store: Store) -> tuple[set[str], set[str]]:
    """Return the keys that the kept runs name, and the ids of their steps of which no key is known."""
    keys: set[str] = set()
    unended: set[str] = set()
    for path in run_files(store.path):
        try:
            for outcome in read_run(path)["outcomes"]:
                if "key" in outcome:
                    keys.add(str(outcome["key"]))
                else:
                    unended.add(str(outcome["step"]))
        except InvalidFile as error:
            raise InvalidFile(str(path), f"{error.problem}. Nothing was removed") from error
    return keys, unended


def _step_of(folder: Path) -> str:
    """Return the id of the step that made a product; empty where its manifest does not say."""
    try:
        return str(read_manifest(folder).get("step", ""))
    except InvalidFile:
        return ""


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return time.time()


def _size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            size += path.lstat().st_size
    return size


def _is_left(folder: Path, before: float) -> bool:
    """Return whether a scratch folder's process is dead; one of another machine counts as dead when it is old."""
    owner = owner_of(folder.name)
    if owner is not None and owner.is_here:
        return not owner.is_alive
    return _changed(folder) <= before
