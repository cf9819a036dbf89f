"""The lists of several tiles as one: each source once, by the tile whose core holds it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from attrs import evolve

from xphotfn.records.instrument import CAMERAS
from xphotfn.records.source import DetectedObject, DetectedSource, MapRate, SearchedMap
from xphotfn.records.source_list import SourceList
from xphotfn.science.coords import separation_deg, unit_vectors
from xphotfn.science.detection.flags import camera_missing
from xphotfn.science.detection.tiles import Tile

__all__ = ("joined_lists", "order_of_map")

_SAME_PIX = 1.5  # two sources of one list are never nearer; two of different tiles are then the same
_UNSEEN = MapRate(
    counts=None, counts_error=None, rate=None, rate_error=None, exposure_s=0, background=0, mask_fraction=0
)  # on a map that does not reach into the tile
_CAMERAS = {name: number for number, name in enumerate(CAMERAS)}


class _Unit(NamedTuple):
    """What belongs to one tile as a whole: a point, or an object with its pieces."""

    tile: Tile
    members: tuple[DetectedSource, ...]
    whole: DetectedObject | None
    ra_deg: float
    dec_deg: float

    @property
    def size_deg(self) -> float:
        """Semi-axis of an object, 0 of a point."""
        return 0.0 if self.whole is None else self.whole.semi_major_arcsec / 3600


def order_of_map(obs_id: str, instrument: str, exposure_id: str, image: str) -> tuple[str, int, str, str, str]:
    """Return what maps are ordered by: ObsID, camera, exposure and the digest of the image."""
    return obs_id, _CAMERAS.get(instrument, 9), instrument, exposure_id, image


def joined_lists(lists: Mapping[Tile, SourceList]) -> SourceList:
    """Return the lists of tiles as one.

    Parameters
    ----------
    lists
        For each tile what was found in its core and in the margin around it. Each counts as false what is expected in
        the core alone, and its extended part is that of the core.

    Returns
    -------
    SourceList
        A point belongs to the tile whose core holds it, an object with all its pieces to that which holds its centre.
        What lies within 1.5 pixels (an object: within its long semi-axis) of the border of a core is kept as well where
        no other tile has it, and of what two tiles have within that distance the first stays: the fits of two tiles
        differ by a hair, which must neither lose nor double what lies on their border. Sources have no pixels, and
        no rate on maps that do not reach into their tile. The same for any order of the lists.

    Examples
    --------
    >>> from xphotfn.science.detection.tiles import tiles_around
    >>> from xphotfn.testing.examples import example_source_list
    >>> found = example_source_list()
    >>> tiles = tiles_around(found[0].ra_deg, found[0].dec_deg)
    >>> len(tiles), len(joined_lists(dict.fromkeys(tiles, found)))
    (4, 3)
    """
    ordered = sorted(lists.items())
    first = ordered[0][1]
    maps = _maps(found for _, found in ordered)
    pixel_deg = max((m.pixel_arcsec for m in maps), default=0.0) / 3600
    units = [unit for tile, found in ordered for unit in _units(tile, found, maps)]
    sources, objects = _numbered(_chosen(units, _SAME_PIX * pixel_deg))
    false = [found.expected_false or 0.0 for _, found in ordered]
    wide = [found.extended_fraction * weight for (_, found), weight in zip(ordered, false, strict=True)]
    return evolve(
        first,
        sources=sources,
        objects=objects,
        maps=maps,
        expected_false=sum(false),
        extended_fraction=sum(wide) / sum(false) if sum(false) > 0 else 0.0,
    )


def _maps(lists: Iterable[SourceList]) -> tuple[SearchedMap, ...]:
    """Return all maps of some lists, each once, without the backgrounds that were fitted: each tile has its own."""
    excised: dict[SearchedMap, int] = {}
    for found in lists:
        for item in found.maps:
            key = _plain(item)
            excised[key] = excised.get(key, 0) + item.excised_pix
    alone = [evolve(item, excised_pix=number) for item, number in excised.items()]
    return tuple(sorted(alone, key=lambda m: order_of_map(m.obs_id, m.instrument, m.exposure_id, m.image)))


def _plain(item: SearchedMap) -> SearchedMap:
    return evolve(item, vignetted=None, vignetted_error=None, flat=None, flat_error=None, excised_pix=0)


def _units(tile: Tile, found: SourceList, maps: Sequence[SearchedMap]) -> list[_Unit]:
    number = {_plain(item): n for n, item in enumerate(found.maps)}
    places = [number.get(_plain(item)) for item in maps]
    cameras = [item.instrument for item in maps]
    whole = {s.number: _on_all(s, places, cameras) for s in found}
    pieces = {n for item in found.objects for n in item.sources}
    alone = [_Unit(tile, (s,), None, s.ra_deg, s.dec_deg) for n, s in whole.items() if n not in pieces]
    objects = [_Unit(tile, tuple(whole[n] for n in o.sources), o, o.ra_deg, o.dec_deg) for o in found.objects]
    return [*objects, *alone]


def _on_all(source: DetectedSource, places: Sequence[int | None], cameras: Sequence[str]) -> DetectedSource:
    """Return a source with a rate for each of all maps, given the place of each among those of its tile."""
    if not source.rates:
        return evolve(source, x=None, y=None)
    rates = [_UNSEEN if n is None else source.rates[n] for n in places]
    missing = camera_missing(cameras, [rate.mask_fraction for rate in rates])
    return evolve(source, x=None, y=None, rates=rates, flags=source.flags | missing)


def _chosen(units: Sequence[_Unit], same_deg: float) -> list[_Unit]:
    """Return each unit once: those in the core of their tile, then those at its border that no other tile has."""
    largest = max((unit.size_deg for unit in units), default=0.0)

    def within(unit: _Unit, margin_deg: float) -> bool:
        return bool(unit.tile.within(unit.ra_deg, unit.dec_deg, 60 * margin_deg))

    held = [bool(unit.tile.holds(unit.ra_deg, unit.dec_deg)) for unit in units]
    own = [unit for unit, is_own in zip(units, held, strict=True) if is_own]
    beside = [u for u, is_own in zip(units, held, strict=True) if not is_own and within(u, max(same_deg, u.size_deg))]
    chosen: list[_Unit] = []
    at_border: list[_Unit] = []
    for unit in (*own, *beside):
        if within(unit, -(same_deg if unit.whole is None else max(same_deg, largest))):
            chosen.append(unit)
        elif not any(_same(unit, other, same_deg) for other in at_border if other.tile != unit.tile):
            chosen.append(unit)
            at_border.append(unit)
    return chosen


def _same(one: _Unit, other: _Unit, same_deg: float) -> bool:
    both = one.whole is not None and other.whole is not None
    reach = max(one.size_deg, other.size_deg, same_deg) if both else same_deg
    if abs(one.dec_deg - other.dec_deg) > reach:
        return False
    return bool(separation_deg(one.ra_deg, one.dec_deg, other.ra_deg, other.dec_deg) <= reach)


def _numbered(units: Sequence[_Unit]) -> tuple[list[DetectedSource], list[DetectedObject]]:
    """Return the sources, the highest likelihood first, and the objects in the order of their first piece."""
    pairs = [(source, number) for number, unit in enumerate(units) for source in unit.members]
    pairs.sort(key=lambda pair: (-pair[0].likelihood, pair[0].ra_deg, pair[0].dec_deg))
    wholes = [n for n in dict.fromkeys(number for _, number in pairs) if units[n].whole is not None]
    object_of = {number: position for position, number in enumerate(wholes, start=1)}
    nearest = _nearest_arcsec([source for source, _ in pairs])
    sources = [
        evolve(source, number=n, object_number=object_of.get(number, 0), nearest_arcsec=away)
        for n, ((source, number), away) in enumerate(zip(pairs, nearest, strict=True), start=1)
    ]
    pieces: dict[int, list[int]] = {}
    for source in sources:
        pieces.setdefault(source.object_number, []).append(source.number)
    whole = {object_of[n]: units[n].whole for n in wholes}
    objects = [evolve(item, number=n, sources=pieces[n]) for n, item in whole.items() if item is not None]
    return sources, objects


def _nearest_arcsec(sources: Sequence[DetectedSource]) -> list[float | None]:
    if len(sources) < 2:
        return [None] * len(sources)
    from scipy.spatial import cKDTree

    places = unit_vectors(np.array([s.ra_deg for s in sources]), np.array([s.dec_deg for s in sources]))
    chord = cKDTree(places).query(places, k=2)[0][:, 1]
    return [float(v) for v in 3600 * np.rad2deg(2 * np.arcsin(np.minimum(chord / 2, 1.0)))]
