"""The files that a selection of events names, as inputs of a step: beside the event list, or where they are given."""

from pathlib import Path
from typing import NamedTuple

from xphotfn.commands.selection import split_spec, with_file_specs
from xphotfn.commands.step import StepInput
from xphotfn.errors import PlanError
from xphotfn.records.fields import is_safe_name
from xphotfn.records.observation import FoundFile

__all__ = ("Selection", "selection_inputs")


class Selection(NamedTuple):
    """A selection whose files are plain names, and where each of these is."""

    text: str
    inputs: tuple[StepInput, ...]


def selection_inputs(selection: str, events: FoundFile, *, taken: tuple[str, ...] = ()) -> Selection:
    """Return a selection with plain names of files, and these files.

    Parameters
    ----------
    selection
        As the user gave it: ``gti(good.fits,TIME)``, ``region(/data/src.fits:REGION,X,Y)``.
    events
        The event list. Its folder comes first, then the name as it is given, from the current folder.
    taken
        Names that the step needs for something else.

    Raises
    ------
    PlanError
        If a file is in neither place.
    ExpressionError
        If the selection cannot be read.

    Examples
    --------
    >>> events = FoundFile(path="/data/evts.fits", size=1, mtime_ns=1)
    >>> selection_inputs("PATTERN == 0 && gti(:STDGTI01,TIME)", events)
    Selection(text='PATTERN == 0 && gti(:STDGTI01,TIME)', inputs=())
    """
    names: dict[str, str] = {}

    def renamed(spec: str) -> str:
        path, block = _found(spec, Path(events.path).parent)
        if not path:
            return spec
        if path not in names:
            names[path] = _plain(path, {*taken, *names.values()})
        return names[path] + (f":{block}" if block else "")

    text = with_file_specs(selection, renamed)
    return Selection(text, tuple(StepInput(name=name, file=_file(path)) for path, name in names.items()))


def _found(spec: str, folder: Path) -> tuple[str, str]:
    """Return the absolute path and the block of a file; no path for a block of the event list itself."""
    file, block = split_spec(spec)
    if not file:
        return "", block
    for place in (folder, Path()):
        for name, part in ((spec, ""), (file, block)):  # a file that is there may hold a colon
            if (place / name).is_file():
                return str((place / name).absolute()), part
    given = Path(file).absolute()
    beside = "" if Path(file).is_absolute() else f" beside the event list ({folder / file}) nor"
    raise PlanError(f"the file {file!r} of the selection is not there: not{beside} at {given}")


def _plain(path: str, taken: set[str]) -> str:
    name = Path(path).name
    if is_safe_name(name) and name not in taken and split_spec(name) == (name, ""):
        return name
    ending = ".fits.gz" if path.lower().endswith((".gz", ".ftz")) else ".fits"
    return next(n for n in (f"selection{k}{ending}" for k in range(1, len(taken) + 2)) if n not in taken)


def _file(path: str) -> FoundFile:
    status = Path(path).stat()
    return FoundFile(path=path, size=status.st_size, mtime_ns=status.st_mtime_ns)
