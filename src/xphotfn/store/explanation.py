"""How a product of a store was made: its command, what it read, and what has become of that."""

import json
from pathlib import Path
from typing import Any, final

from attrs import field, frozen

from xphotfn.commands.command import Command
from xphotfn.commands.shell import comment, link_line, shell_line
from xphotfn.errors import InvalidFile, InvalidRecord, ProductMissing
from xphotfn.html import record_html
from xphotfn.io.bounded import read_regular
from xphotfn.io.tree import expanded
from xphotfn.records.fields import items, pairs
from xphotfn.store.product_store import Store, StoreLike, digest_file, open_store, there
from xphotfn.typing import HasPath

__all__ = ("Explanation", "InputState", "existing_store", "explain", "read_manifest")


@final
@frozen(kw_only=True)
class InputState:
    """An input of a product.

    Parameters
    ----------
    name
        The name under which the command read it.
    path
        Where it lies.
    digest
        Its content when it was read.
    key
        Key of the product that it is; empty for a file that was found.
    state
        ``same``, ``changed`` or ``missing``: what has become of it.
    """

    name: str
    path: str
    digest: str
    key: str = ""
    state: str = "same"


@final
@frozen(kw_only=True)
class Explanation:
    """How a product was made; ``str`` gives it as text.

    Parameters
    ----------
    key
        Its key in the store.
    folder
        Where it lies.
    command
        The command, with the files it read and made.
    inputs
        What it read.
    outputs
        Pairs of file name and digest.
    engine, versions
        What executed it: identity, and pairs of program and version.
    host, made, seconds
        Where, when (UTC) and how long.
    log
        Path of what it printed.
    """

    key: str
    folder: str
    command: Command
    inputs: tuple[InputState, ...] = field(default=(), converter=items)
    outputs: tuple[tuple[str, str], ...] = field(default=(), converter=pairs)
    engine: str = ""
    versions: tuple[tuple[str, str], ...] = field(default=(), converter=pairs)
    host: str = ""
    made: str = ""
    seconds: float = 0.0
    log: str = ""

    def _repr_html_(self) -> str:
        return record_html(self)

    @property
    def replayable(self) -> bool:
        """Whether every input is still what it was, so that the command can run again."""
        return all(source.state == "same" for source in self.inputs)

    @property
    def script(self) -> str:
        """A shell script that makes the product again in the working directory."""
        lines = [comment(f"{' '.join(n for n, _ in self.outputs)}, made {self.made} by {self.engine}"), "set -eu"]
        lines += [link_line(source.path, source.name) for source in self.inputs]
        return "\n".join(["#!/bin/sh", *lines, shell_line(self.command)]) + "\n"

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions)
        lines = [
            f"{self.folder}: {', '.join(name for name, _ in self.outputs)}",
            f"  made     {self.made or 'some time'} on {self.host or 'some machine'} in {self.seconds:.2f} s",
            f"  by       {self.engine}" + (f" ({versions})" if versions else ""),
            f"  command  {shell_line(self.command)}",
        ]
        for source in self.inputs:
            origin = f"product {source.key}" if source.key else "found"
            lines.append(f"  input    {source.name}: {source.path} ({origin}, {source.state}, digest {source.digest})")
        lines += [f"  output   {name}: digest {digest}" for name, digest in self.outputs]
        lines.append(f"  {'can' if self.replayable else 'cannot'} be made again; log in {self.log}")
        return "\n".join(lines)


def explain(product: str | Path | HasPath, *, store: StoreLike | None = None) -> Explanation:
    """Return how a product was made.

    Parameters
    ----------
    product
        Path of a product in a store, its folder, a record with a ``path``, or a key.
    store
        The store's folder; needed with a key.

    Raises
    ------
    ProductMissing
        If it is no product of a store.
    InvalidFile
        If its manifest is damaged.

    Examples
    --------
    >>> explain("/no/such/image.fits")
    Traceback (most recent call last):
    xphotfn.errors.ProductMissing: /no/such/image.fits is no product of a store: there is no manifest beside it
    """
    folder = _folder_of(product, store)
    manifest = read_manifest(folder)
    try:
        return _explanation(folder, manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidFile(str(folder / "manifest.json"), f"is damaged ({error!r}): run verify(store)") from error


def existing_store(store: StoreLike) -> Store:
    """Return the store at a path, which must be one already; else ProductMissing."""
    return open_store(there(store))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest in the folder of a product.

    Raises
    ------
    InvalidFile
        If there is none that can be read.
    """
    try:
        manifest = json.loads(read_regular(folder / "manifest.json"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidFile(str(folder), f"has no readable manifest ({error}): run verify(store)") from error
    if not isinstance(manifest, dict):
        raise InvalidFile(str(folder), "has a manifest that is none: run verify(store)")
    return manifest


def _folder_of(product: Any, store: Any) -> Path:
    named = str(getattr(product, "path", product))
    if store is not None and "/" not in named:
        folder = existing_store(store).folder(named)
        if not folder.is_dir():
            raise ProductMissing(f"the store {existing_store(store).path} holds no product {named}")
        return folder
    path = expanded(named).absolute()
    folder = path if path.is_dir() else path.parent
    if not (folder / "manifest.json").is_file():
        raise ProductMissing(f"{path} is no product of a store: there is no manifest beside it")
    return folder


def _explanation(folder: Path, manifest: dict[str, Any]) -> Explanation:
    inputs = [_source(folder, item) for item in manifest["inputs"]]
    outputs = [_texts((item["name"], item["digest"])) for item in manifest["outputs"]]
    task, *words = _texts(manifest["argv"])
    command = Command(
        task=task,
        parameters=[tuple(word.partition("=")[::2]) for word in words],
        inputs=[source.name for source in inputs],
        outputs=[name for name, _ in outputs],
        env=[_texts(pair) for pair in manifest.get("env", ())],
    )
    about: dict[str, Any] = {name: _text(manifest[name]) for name in ("engine", "host", "made") if name in manifest}
    return Explanation(
        key=manifest["key"],
        folder=str(folder),
        command=command,
        inputs=inputs,
        outputs=outputs,
        versions=[_texts(pair) for pair in manifest.get("versions", {}).items()],
        seconds=_number(manifest.get("seconds", 0.0)),
        log=str(folder / _text(manifest.get("log", "log.txt"))),
        **about,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRecord(f"{value!r} is no text")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        raise InvalidRecord(f"{values!r} is one text and not several")
    return tuple(map(_text, values))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRecord(f"{value!r} is no number")
    return value


def _source(folder: Path, item: dict[str, Any]) -> InputState:
    """Return an input as it is now; a product of this store is looked for where the store lies now."""
    name, digest = _texts((item["name"], item["digest"]))
    path, key = Path(item["path"]), ""
    made = folder.parent.parent / path.parent.parent.name / path.parent.name
    if path.parent.name[:2] == path.parent.parent.name and (made / "manifest.json").is_file():
        path, key = made / path.name, path.parent.name
    try:
        state = "same" if digest_file(str(path)) == digest else "changed"
    except InvalidFile:
        state = "missing"
    return InputState(name=name, path=str(path), digest=digest, key=key, state=state)
