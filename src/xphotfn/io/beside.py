"""What lies beside an event list that is given alone: the pipeline's light curve of flares and its list of sources."""

from pathlib import Path
from typing import NamedTuple

from xphotfn.commands.pps_names import parse_pps_name
from xphotfn.errors import InvalidFile
from xphotfn.io.cache import file_key
from xphotfn.io.layout import Hint
from xphotfn.io.recognise import recognise
from xphotfn.io.tree import TreeFile
from xphotfn.records.facts import FileFacts
from xphotfn.records.observation import FoundFile
from xphotfn.science.identity import left_out

__all__ = ("Beside", "beside_list", "event_list", "found_file")


class Beside(NamedTuple):
    """Files of the exposure and of the observation of a list, in its folder; None where there is none, or several."""

    flare_curve: FoundFile | None = None
    sources: FoundFile | None = None


def beside_list(found: FileFacts) -> Beside:
    """Return what the pipeline put beside an event list: files of its names, that say they are of this exposure.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "events.fits")
    >>> beside_list(FileFacts(name="events.fits", kind="events", file=FoundFile(path=str(path), size=1, mtime_ns=1)))
    Beside(flare_curve=None, sources=None)
    """
    curves, lists = [], []
    for path in sorted(Path(found.file.path).parent.iterdir()):
        name = parse_pps_name(path.name)
        if name is None or name.product not in ("FBKTSR", "OBSMLI") or name.obs_id != found.obs_id:
            continue
        said = _facts(path)
        mine = (said.instrument, said.exposure_id) == (found.instrument, found.exposure_id)
        if said.kind == "flare_curve" and not said.reason and mine:
            curves.append(said.file)
        elif said.kind == "regions" and not said.reason:
            lists.append(said.file)
    return Beside(*(files[0] if len(files) == 1 else None for files in (curves, lists)))


def found_file(path: str | Path) -> FoundFile:
    """Return a file with its size and time of change; InvalidFile if it is not there."""
    key = file_key(str(Path(path).absolute()))
    return FoundFile(path=key[0], size=key[3], mtime_ns=key[2])


def _facts(path: Path) -> FileFacts:
    try:
        return recognise(TreeFile(path.name, found_file(path)), Hint())
    except InvalidFile:  # a link that leads nowhere
        return FileFacts(name=path.name, file=FoundFile(path=str(path), size=0, mtime_ns=0), reason="unreadable")


def event_list(path: Path) -> FileFacts:
    """Return what a file says of itself that must be an event list; anything else is refused with what it is."""
    found = recognise(TreeFile(path.name, found_file(path)), Hint())
    if found.reason == "unreadable":
        raise InvalidFile(str(path), found.detail)
    if found.kind != "events":
        what = found.kind.replace("_", " ")
        instead = found.detail or f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
        raise InvalidFile(str(path), f"is no event list but {instead}: give a file with an EVENTS table")
    if found.reason:
        raise InvalidFile(str(path), left_out(found).why)
    if not found.instrument:
        raise InvalidFile(str(path), "does not say which camera it is of (INSTRUME): EPIC event lists do")
    return found
