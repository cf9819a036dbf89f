"""What a plan says of files that are not used; where nothing decides, it makes the product anew or is refused."""

from collections.abc import Iterable, Sequence

from xphotfn.errors import PlanError, Remedy
from xphotfn.records.left_out import LeftOut
from xphotfn.records.observation import Exposure

__all__ = ("beside_it", "made_instead", "refuse_undecided")

_NAME_ONE = Remedy("name one with prefer=", "name one with --prefer")
_MOST = 3  # files that are named


def refuse_undecided(who: str, files: Sequence[LeftOut]) -> None:
    """Refuse to choose between files that differ.

    Raises
    ------
    PlanError
        If there are such files; it names them, what differs, and how to say which is right.
    """
    if files:
        raise PlanError(f"{who}: {_named(files)}, and no rule says which is right", remedy=_NAME_ONE)


def made_instead(who: str, files: Sequence[LeftOut]) -> tuple[str, ...]:
    """Return the note of a product that is made anew beside files that differ; none where there are none.

    Examples
    --------
    >>> made_instead("0404910601 pn", [LeftOut(file=f, reason="undecided", differs=["grid"]) for f in ("a", "b")])
    ('0404910601 pn: a and b differ (grid); it is made anew, or name one with prefer= or --prefer',)
    """
    return (f"{who}: {_named(files)}; it is made anew, or name one with prefer= or --prefer",) if files else ()


def beside_it(notes: Iterable[LeftOut], exposure: Exposure) -> str:
    """Return a text that names the images and event lists of an exposure that are not used; empty where there are none.

    Examples
    --------
    >>> model = LeftOut(file="a.fits", reason="model", instrument="pn", exposure_id="S003", kind="image")
    >>> beside_it([model], Exposure(instrument="pn", exposure_id="S003"))
    '; a.fits is a model: its pixels are not whole counts'
    """
    who = (exposure.instrument, exposure.exposure_id)
    mine = [n for n in notes if (n.instrument, n.exposure_id) == who and n.kind in ("image", "events")]
    more = f"; {len(mine) - _MOST} more are left out" if len(mine) > _MOST else ""
    return "".join(f"; {note.file} {note.why}" for note in mine[:_MOST]) + more


def _named(files: Sequence[LeftOut]) -> str:
    differs = ", ".join(dict.fromkeys(axis for file in files for axis in file.differs)) or "content"
    return f"{' and '.join(file.file for file in files)} differ ({differs})"
