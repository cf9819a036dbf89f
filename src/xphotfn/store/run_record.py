"""The record of a run: there from its first moment, growing with each outcome, whole at its end.

``<store>/runs/<name>.json`` holds the run, ``<name>.json.gz`` where it has very many steps; while it goes on
``<name>.outcomes.jsonl`` beside it gets a line for each step that ends, so that a process that is killed leaves what it
made known: the lines count over the record.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from xphotfn.errors import InvalidFile
from xphotfn.io.bounded import open_regular, read_regular, whole_lines
from xphotfn.io.write import publish
from xphotfn.records.outcome import Done, Outcome
from xphotfn.store.record_json import to_json

__all__ = ("RunRecord", "read_run", "run_files")

_LINES = ".outcomes.jsonl"
_GZIP = ".gz"
_MANY_STEPS = 2000  # of these the record is a megabyte or two, and packed a tenth of it
_LEVEL = 5
_MOST_TEXT = 2**28  # bytes: a hundred thousand steps; of more, so many times what it is packed
_MOST_TIMES = 100


class RunRecord:
    """The record of one run in a store.

    Parameters
    ----------
    store
        Path of the store.
    name
        Its name: the plan's and the engine's digests.
    steps
        How many it has.

    Attributes
    ----------
    problem : str
        Why the record is not kept, or empty. A run goes on without: its products are worth more.
    """

    def __init__(self, store: str, name: str, steps: int) -> None:
        self.path = Path(store, "runs", f"{name}.json{_GZIP if steps > _MANY_STEPS else ''}")
        self.lines = _lines_of(self.path)
        self.problem = ""
        self._is_new = not self.path.exists()

    def begin(self, content: Iterable[str]) -> None:
        """Write the record of a run of which nothing is done; one that is there from before is kept until the end."""
        if self._is_new:
            self._write(content)

    def add(self, outcome: Outcome) -> None:
        """Add one outcome as a line of JSON; what an earlier record already tells is not repeated."""
        if self.problem or (not self._is_new and isinstance(outcome, Done) and outcome.cached):
            return
        try:
            descriptor = os.open(self.lines, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
            try:
                os.write(descriptor, f"{to_json(outcome)}\n".encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            self.problem = f"{self.lines} cannot be written: {error.strerror or error}"

    def end(self, content: Iterable[str]) -> None:
        """Write the record whole, from pieces of its text."""
        self.problem = ""
        self._write(content)
        if not self.problem:
            with suppress(OSError):
                self.lines.unlink()

    def _write(self, content: Iterable[str]) -> None:
        try:
            with publish(self.path, overwrite=True) as temporary, _opened(temporary, self.path.suffix) as stream:
                for text in content:
                    stream.write(text.encode())
                stream.write(b"\n")
        except InvalidFile as error:
            self.problem = str(error)


def _opened(path: Path, suffix: str) -> Any:
    """Return a file to write to; one of the same content is the same, byte for byte."""
    return gzip.GzipFile(path, "wb", compresslevel=_LEVEL, mtime=0) if suffix == _GZIP else path.open("wb")


def run_files(store: str, start: str = "") -> list[Path]:
    """Return the records of a store whose names begin with ``start``, the one that was written last first."""
    names = f"{start}*.json" if start else "[!.]*.json"  # dots: being written
    found = [path for ending in ("", _GZIP) for path in Path(store, "runs").glob(f"{names}{ending}")]
    return sorted(found, key=_written, reverse=True)


def read_run(path: Path) -> dict[str, Any]:
    """Return what a record says, with the outcomes that came after it was written.

    Raises
    ------
    InvalidFile
        If it is damaged.
    """
    try:
        content = json.loads(_text(path))
        later = {outcome["step"]: outcome for outcome in _added(path)}
        content["outcomes"] = [later.get(outcome["step"], outcome) for outcome in content["outcomes"]]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidFile(
            str(path), f"is no record of a run ({error!r}): delete it; the same run() finds all that was made"
        ) from error
    return dict(content)


def _text(path: Path) -> bytes:
    """Return the text of a record; a store is read whole, and so is a record, but not one that never ends."""
    if path.suffix != _GZIP:
        return read_regular(path, _MOST_TEXT)
    with open_regular(path) as packed, gzip.GzipFile(fileobj=packed) as stream:
        most = max(_MOST_TEXT, _MOST_TIMES * os.fstat(packed.fileno()).st_size)
        text = stream.read(most + 1)
    if len(text) > most:
        raise ValueError(f"it holds more than {most} bytes")
    return text


def _added(path: Path) -> Iterator[Any]:
    """Yield the outcomes that were added since; a line that was cut short by the end of a process is passed over."""
    with suppress(OSError, InvalidFile), open_regular(_lines_of(path)) as stream:
        for line in whole_lines(stream):
            with suppress(ValueError):
                yield json.loads(line)


def _lines_of(path: Path) -> Path:
    return path.with_name(f"{path.name.partition('.')[0]}{_LINES}")


def _written(path: Path) -> int:
    return max(_mtime(path), _mtime(_lines_of(path)))


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
