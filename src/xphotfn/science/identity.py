"""Which file is *the* event list, image, exposure map, attitude or region file: one rule, from what files hold.

Nothing here looks at names, at the order of files or at the clock: files that are renamed, copied or listed in another
order give the same answer.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from toolz import groupby

from xphotfn.records.energies import Energies
from xphotfn.records.facts import PRODUCTS, FileFacts
from xphotfn.records.good_times import GoodTimes
from xphotfn.records.grid import PixelGrid
from xphotfn.records.left_out import LeftOut

__all__ = ("Decision", "Timed", "decide", "differences", "different_on_times", "rivals", "same_times")

_UNKNOWN_EXPOSURE = "X000"  # as the pipeline names what belongs to no single exposure
_NEVER = GoodTimes(intervals=())
_ROUND_S, _ROUND_SHARE = 1.0, 1e-3  # by which on-times may differ: rates are then right to 0.1 %
_SLACK_S = 0.01  # by which the ends of good times may differ for each interval: they are written in decimals


class Decision(NamedTuple):
    """The files that are used, and the others with the reason."""

    used: tuple[FileFacts, ...]
    left_out: tuple[LeftOut, ...]


def decide(facts: Iterable[FileFacts], exposures: Iterable[str] = ()) -> Decision:
    """Return which files of one observation are used, and why the others are not.

    Parameters
    ----------
    facts
        What each file holds. Of several for one place (see :func:`rivals`) the digest is needed.
    exposures
        Exposures that the user chose, such as ``S001``: of a camera that has one of them the others are left out.

    Notes
    -----
    Of several files for one place, in this order:

    1. what the user named goes first (``prefer=``, then a template of ``layout=``);
    2. files of equal content are the same;
    3. a region file of the user's own goes before the pipeline's source list (OBSMLI), that before other source lists,
       those before the pipeline's drawing of regions;
    4. an image goes first that has an exposure map with its pixels, and an exposure map with the pixels of an image;
    5. the widest selection: a file that holds all that the other holds, in energies, times, places, flags, patterns
       and every other condition, and more;
    6. else nothing is decided, and none of them is used.

    Examples
    --------
    >>> from xphotfn.records import FoundFile
    >>> cut, whole = (
    ...     FileFacts(name=name, file=FoundFile(path=f"/{name}", size=1, mtime_ns=1), kind="attitude", digest=name,
    ...         rows=rows, good_times=[("", GoodTimes(intervals=[(0.0, stop)]))])
    ...     for name, rows, stop in (("a", 10, 50.0), ("b", 20, 90.0))
    ... )
    >>> decision = decide([cut, whole])
    >>> [f.name for f in decision.used], [str(item) for item in decision.left_out]
    (['b'], ['a left out: holds less (times, rows); b is used'])
    """
    placed, lost = _placed(facts, frozenset(exposures))
    lost += [left_out(item) for item in placed if item.reason]
    usable = [item for item in placed if not item.reason]
    used: list[FileFacts] = []
    for key, items in sorted(_places(usable).items(), key=lambda pair: str(pair[0])):
        if key.kind not in PRODUCTS:
            winners, losers = _settle(items)
            used, lost = used + winners, lost + losers
    for items in _places(usable, whatever_kind=True).values():
        winners, losers = _settle_products([item for item in items if item.kind in PRODUCTS])
        used, lost = used + winners, lost + losers
    used, apart = _without_maps_of_other_times(used)
    lost += apart
    return Decision(tuple(sorted(used, key=_by_name)), tuple(sorted(lost, key=lambda item: item.file)))


def rivals(facts: Iterable[FileFacts]) -> tuple[FileFacts, ...]:
    """Return the files of one observation of which a rule has to choose: those must be looked at closely first."""
    usable = [item for item in _placed(facts, frozenset())[0] if not item.reason]
    several = [items for items in _places(usable).values() if len(items) > 1]
    return tuple(item for items in several for item in items)


class _Place(NamedTuple):
    kind: str
    instrument: str
    exposure_id: str
    band: Any


def _places(facts: Iterable[FileFacts], *, whatever_kind: bool = False) -> dict[_Place, list[FileFacts]]:
    """Return the files for each place; with ``whatever_kind`` an image and the exposure map of its band together."""
    found: dict[_Place, list[FileFacts]] = groupby(
        lambda f: _Place("" if whatever_kind else f.kind, f.instrument, f.exposure_id, f.band), facts
    )
    return found


def _placed(facts: Iterable[FileFacts], exposures: frozenset[str]) -> tuple[list[FileFacts], list[LeftOut]]:
    """Return the files with the exposure that they belong to, and those that no exposure owns."""
    result, lost = [], []
    for camera, items in groupby(lambda f: f.instrument, facts).items():
        if not camera:
            result += items
            continue
        named = sorted({f.exposure_id for f in items if f.exposure_id and not f.reason})
        wanted = exposures & set(named)
        default = named[0] if len(named) == 1 else "" if named else _UNKNOWN_EXPOSURE
        for item in items:
            mine = item.exposure_id or default
            if item.reason:
                result.append(item)
            elif not mine:
                lost.append(left_out(item, "no_exposure", detail=f"which of {', '.join(named)}"))
            elif wanted and mine not in wanted:
                lost.append(left_out(item, "not_preferred", detail=f"exposure {', '.join(sorted(wanted))}"))
            else:
                result.append(item.with_exposure(mine))
    return result, lost


def left_out(item: FileFacts, reason: str = "", **more: Any) -> LeftOut:
    """Return a file as one that is not used, with its own reason or another."""
    return LeftOut(
        file=item.name,
        reason=reason or item.reason,
        obs_id=item.obs_id,
        instrument=item.instrument,
        exposure_id=item.exposure_id,
        kind=item.kind,
        band=item.band,
        **({"detail": item.detail} | more),
    )


def _by_name(item: FileFacts) -> str:
    return item.name


Settled = tuple[list[FileFacts], list[LeftOut]]


def _settle_products(items: Sequence[FileFacts]) -> Settled:
    """Return the image and the exposure map of one band that are used."""
    images, maps = ([item for item in items if item.kind == kind] for kind in PRODUCTS)
    found, lost = _settle(images, _grids(maps))
    others, more = _settle(maps, _grids(found or images))
    return found + others, lost + more


def _without_maps_of_other_times(used: list[FileFacts]) -> Settled:
    """Leave out the exposure maps that hold other times than an image of their band, by which rates would be wrong."""
    kept, lost = list[FileFacts](), list[LeftOut]()
    for item in used:
        others = sorted(o.name for o in used if _go_together(o, item) and not same_times(o, item))
        if others:
            lost.append(left_out(item, "other_times", preferred=others, differs=("times",)))
        else:
            kept.append(item)
    return kept, lost


def _go_together(image: FileFacts, found: FileFacts) -> bool:
    if image.kind != "image" or found.kind != "exposure_map" or image.band is None or found.band is None:
        return False
    places = [(item.instrument, item.exposure_id) for item in (image, found)]
    return places[0] == places[1] and image.band.nominal == found.band.nominal


class Timed(Protocol):
    """What says which times it holds: seconds by the cards that give them, and conditions on TIME beside."""

    @property
    def on_times(self) -> tuple[tuple[str, float], ...]:
        """Seconds by card."""

    @property
    def time_ranges(self) -> tuple[str, ...]:
        """Conditions on TIME."""


def same_times(one: Timed, other: Timed) -> bool:
    """Return whether two files hold the same times, as far as they say: on-times by the same cards, ranges of TIME.

    Examples
    --------
    >>> from xphotfn.records import FoundFile
    >>> file = FoundFile(path="/a", size=1, mtime_ns=1)
    >>> whole, half, silent = (
    ...     FileFacts(name="a", file=file, kind="events", on_times=on_times)
    ...     for on_times in ([("EXPOSURE", 9000.0)], [("EXPOSURE", 4500.0)], [])
    ... )
    >>> same_times(whole, half), same_times(whole, silent)
    (False, True)
    """
    return set(one.time_ranges) == set(other.time_ranges) and not different_on_times(one, other)


def different_on_times(one: Timed, other: Timed) -> tuple[str, ...]:
    """Return the cards by which two files were on for different times, the largest difference first.

    Examples
    --------
    >>> from xphotfn.records import FoundFile
    >>> file = FoundFile(path="/a", size=1, mtime_ns=1)
    >>> whole, half = (FileFacts(name="a", file=file, kind="events", on_times=[("EXPOSURE", s)]) for s in (9e3, 5e3))
    >>> different_on_times(whole, half)
    ('EXPOSURE',)
    """
    first, second = dict(one.on_times), dict(other.on_times)
    apart = {card: abs(first[card] - second[card]) for card in first.keys() & second.keys()}
    found = (c for c, s in apart.items() if s > max(_ROUND_S, _ROUND_SHARE * max(first[c], second[c])))
    return tuple(sorted(found, key=lambda card: (-apart[card], card)))


def _grids(items: Iterable[FileFacts]) -> list[PixelGrid]:
    return [item.grid for item in items if item.grid is not None]


def _settle(items: Sequence[FileFacts], grids: Sequence[PixelGrid] = ()) -> Settled:
    """Return the one file of several for one place, or none, and the others with the reason."""
    rest, lost = list(items), list[LeftOut]()
    steps: tuple[tuple[str, Callable[[list[FileFacts]], list[FileFacts]]], ...] = (
        ("not_preferred", _most_chosen),
        ("same", _one_of_each),
        ("second_choice", _first_rank),
        ("other_grid", lambda found: _on_a_grid(found, grids)),
        ("narrower", _widest),
    )
    dropped: list[tuple[str, list[FileFacts]]] = []
    for reason, keep in steps:
        kept = keep(rest) if len(rest) > 1 else rest
        dropped.append((reason, [item for item in rest if item not in kept]))
        rest = kept
    for reason, gone in dropped:
        for item in gone:
            better = [other for other in rest if reason != "same" or other.digest == item.digest] or rest
            lost.append(_beaten(item, reason, better))
    if len(rest) <= 1:
        return rest, lost
    return [], lost + [_beaten(item, "undecided", [o for o in rest if o is not item]) for item in rest]


def _beaten(item: FileFacts, reason: str, better: Sequence[FileFacts]) -> LeftOut:
    says_how = reason in ("narrower", "undecided", "other_grid")
    differs = dict.fromkeys(axis for other in better for axis, _ in differences(item, other)) if says_how else ()
    return left_out(item, reason, preferred=sorted(other.name for other in better), differs=tuple(differs))


def _most_chosen(items: list[FileFacts]) -> list[FileFacts]:
    most = max(item.chosen for item in items)
    return [item for item in items if item.chosen == most]


def _one_of_each(items: list[FileFacts]) -> list[FileFacts]:
    """Return one of the files of each content: the one that says the least of a selection, for it lost nothing."""
    result = []
    for same in groupby(lambda f: f.digest or f.name, items).values():
        result.append(min(_widest(same), key=lambda f: (f.rank, repr(f.subspace), f.name)))
    return result


def _first_rank(items: list[FileFacts]) -> list[FileFacts]:
    first = min(item.rank for item in items)
    return [item for item in items if item.rank == first]


def _on_a_grid(items: list[FileFacts], grids: Sequence[PixelGrid]) -> list[FileFacts]:
    fitting = [item for item in items if any(not _grid_difference(item.grid, grid) for grid in grids)]
    return fitting or items


def _grid_difference(one: PixelGrid | None, other: PixelGrid | None) -> bool:
    if one is None or other is None:
        return one is not other
    return bool(one.difference(other))


def _widest(items: list[FileFacts]) -> list[FileFacts]:
    """Return the files that no other file holds whole."""
    return [item for item in items if not any(_holds(other, item) for other in items if other is not item)]


def _holds(wide: FileFacts, narrow: FileFacts) -> bool:
    """Whether a file holds all that another holds, and more."""
    found = [relation for _, relation in differences(wide, narrow)]
    return bool(found) and all(relation == 1 for relation in found)


def differences(one: FileFacts, other: FileFacts) -> tuple[tuple[str, int], ...]:
    """Return in what two files for one place differ: 1 where the first holds more, -1 where less, 0 where neither.

    Examples
    --------
    >>> from xphotfn.records import FoundFile
    >>> file = FoundFile(path="/a", size=1, mtime_ns=1)
    >>> differences(FileFacts(name="a", file=file, kind="cif"), FileFacts(name="b", file=file, kind="cif", digest="1"))
    (('content', 0),)
    """
    found = [(axis, compare(one, other)) for axis, compare in _AXES[one.kind].items()]
    different = tuple((axis, relation) for axis, relation in found if relation is not None)
    if not different and one.digest != other.digest:
        return (("content", 0),)
    wider = {relation for _, relation in different} == {1}
    narrower = {relation for _, relation in different} == {-1}
    if one.kind == "events" and ((wider and one.rows < other.rows) or (narrower and one.rows > other.rows)):
        return (*different, ("rows", 0))  # the headers lie: what holds more has no fewer events
    return different


Relation = int | None  # None: no difference


def _of_energies(one: FileFacts, other: FileFacts) -> Relation:
    first, second = one.subspace.energies, other.subspace.energies
    if first == second:
        return None
    more, less = _spans(first, second), _spans(second, first)
    return 0 if more == less else 1 if more else -1


def _spans(wide: Energies, narrow: Energies) -> bool:
    return wide.everywhere & narrow.somewhere == narrow.somewhere and not narrow.unread


def _of_sets(one: Iterable[Any], other: Iterable[Any]) -> Relation:
    """Compare conditions: more of them hold less."""
    first, second = set(one), set(other)
    return None if first == second else 1 if first < second else -1 if second < first else 0


def _of_times(one: FileFacts, other: FileFacts) -> Relation:
    if not (one.good_times and other.good_times):
        return _of_sets(one.subspace.times, other.subspace.times)
    first, second = dict(one.good_times), dict(other.good_times)
    each = {_of_intervals(first.get(ccd, _NEVER), second.get(ccd, _NEVER)) for ccd in first.keys() | second.keys()} - {
        None
    }
    return None if not each else each.pop() if len(each) == 1 else 0


def _of_intervals(one: GoodTimes, other: GoodTimes) -> Relation:
    slack, common = _SLACK_S * max(len(one.intervals), len(other.intervals), 1), (one & other).seconds
    more, less = one.seconds - common > slack, other.seconds - common > slack
    return (0 if less else 1) if more else -1 if less else None


def _of_places(one: FileFacts, other: FileFacts) -> Relation:
    by_text = _of_sets(one.subspace.places, other.subspace.places)
    return 0 if by_text is None and one.regions != other.regions else by_text


def _of_flags(one: FileFacts, other: FileFacts) -> Relation:
    first, second = one.subspace.flags, other.subspace.flags
    return None if first == second else 1 if first & second == first else -1 if first & second == second else 0


def _of_patterns(one: FileFacts, other: FileFacts) -> Relation:
    first, second = (math.inf if f.subspace.patterns is None else f.subspace.patterns for f in (one, other))
    return None if first == second else 1 if first > second else -1


def _of_selections(one: FileFacts, other: FileFacts) -> Relation:
    return _of_sets(one.subspace.other, other.subspace.other)


def _of_rows(one: FileFacts, other: FileFacts) -> Relation:
    return None if one.rows == other.rows else 1 if one.rows > other.rows else -1


def _of_grids(one: FileFacts, other: FileFacts) -> Relation:
    return 0 if _grid_difference(one.grid, other.grid) else None


Compare = Callable[[FileFacts, FileFacts], Relation]
_SELECTION: Mapping[str, Compare] = MappingProxyType(
    {
        "energies": _of_energies,
        "times": _of_times,
        "places": _of_places,
        "flags": _of_flags,
        "patterns": _of_patterns,
        "selection": _of_selections,
    }
)
_AXES: Mapping[str, Mapping[str, Compare]] = MappingProxyType(
    {
        "events": _SELECTION,
        "image": {**_SELECTION, "grid": _of_grids},
        "exposure_map": {"grid": _of_grids},
        "attitude": {"times": _of_times, "rows": _of_rows},
        "flare_curve": {},
        "cif": {},
        "regions": {},
    }
)
