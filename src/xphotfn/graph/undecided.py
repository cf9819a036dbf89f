"""What a plan does with files of which nothing says which is right: it makes the product anew, or is refused."""

from collections.abc import Sequence

from xphotfn.errors import PlanError
from xphotfn.records.left_out import LeftOut

__all__ = ("made_instead", "refuse_undecided")


def refuse_undecided(who: str, files: Sequence[LeftOut]) -> None:
    """Refuse to choose between files that differ.

    Raises
    ------
    PlanError
        If there are such files; it names them, what differs, and how to say which is right.
    """
    if files:
        raise PlanError(f"{who}: {_named(files)}, and no rule says which is right: name one with prefer=")


def made_instead(who: str, files: Sequence[LeftOut]) -> tuple[str, ...]:
    """Return the note of a product that is made anew beside files that differ; none where there are none.

    Examples
    --------
    >>> made_instead("0404910601 pn", [LeftOut(file=f, reason="undecided", differs=["grid"]) for f in ("a", "b")])
    ('0404910601 pn: a and b differ (grid); it is made anew, or name one with prefer=',)
    """
    return (f"{who}: {_named(files)}; it is made anew, or name one with prefer=",) if files else ()


def _named(files: Sequence[LeftOut]) -> str:
    differs = ", ".join(dict.fromkeys(axis for file in files for axis in file.differs)) or "content"
    return f"{' and '.join(file.file for file in files)} differ ({differs})"
