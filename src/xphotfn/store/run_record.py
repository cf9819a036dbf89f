"""The record of a run: there from its first moment, growing with each outcome, whole at its end.

``<store>/runs/<name>.json`` holds the run; while it goes on ``<name>.outcomes.jsonl`` beside it gets a line for each
step that ends, so that a process that is killed leaves what it made known: the lines count over the record.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from xphotfn.errors import InvalidFile
from xphotfn.io.write import publish

__all__ = ("RunRecord", "read_run", "run_files")

_LINES = ".outcomes.jsonl"


class RunRecord:
    """The record of one run in a store.

    Parameters
    ----------
    store
        Path of the store.
    name
        Its name: the plan's and the engine's digests.

    Attributes
    ----------
    problem : str
        Why the record is not kept, or empty. A run goes on without: its products are worth more.
    """

    def __init__(self, store: str, name: str) -> None:
        self.path = Path(store, "runs", f"{name}.json")
        self.lines = self.path.with_name(f"{name}{_LINES}")
        self.problem = ""
        self._is_new = not self.path.exists()

    def begin(self, content: str) -> None:
        """Write the record of a run of which nothing is done; one that is there from before is kept until the end."""
        if self._is_new:
            self._write(content)

    def add(self, outcome: str, *, cached: bool) -> None:
        """Add one outcome as a line of JSON; what an earlier record already tells is not repeated."""
        if self.problem or (cached and not self._is_new):
            return
        try:
            descriptor = os.open(self.lines, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, f"{outcome}\n".encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            self.problem = f"{self.lines} cannot be written: {error.strerror or error}"

    def end(self, content: str) -> None:
        """Write the record whole."""
        self.problem = ""
        self._write(content)
        if not self.problem:
            with suppress(OSError):
                self.lines.unlink()

    def _write(self, content: str) -> None:
        try:
            with publish(self.path, own=True) as temporary:
                temporary.write_text(f"{content}\n")
        except InvalidFile as error:
            self.problem = str(error)


def run_files(store: str, start: str = "") -> list[Path]:
    """Return the records of a store whose names begin with ``start``, the one that was written last first."""
    found = Path(store, "runs").glob(f"{start}*.json" if start else "[!.]*.json")  # dots: being written
    return sorted(found, key=_written, reverse=True)


def read_run(path: Path) -> dict[str, Any]:
    """Return what a record says, with the outcomes that came after it was written.

    Raises
    ------
    InvalidFile
        If it is damaged.
    """
    try:
        content = json.loads(path.read_bytes())
        later = {outcome["step"]: outcome for outcome in _added(path)}
        content["outcomes"] = [later.get(outcome["step"], outcome) for outcome in content["outcomes"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidFile(
            str(path), f"is no record of a run ({error!r}): delete it; the same run() finds all that was made"
        ) from error
    return dict(content)


def _added(path: Path) -> Iterator[Any]:
    """Yield the outcomes that were added since; a line that was cut short by the end of a process is passed over."""
    try:
        lines = path.with_name(f"{path.stem}{_LINES}").read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError):
            yield json.loads(line)


def _written(path: Path) -> int:
    return max(_mtime(path), _mtime(path.with_name(f"{path.stem}{_LINES}")))


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
