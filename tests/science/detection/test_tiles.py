"""Tiles of the sky: each position has one; and what the lists of neighbours say of a source on their border."""

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, strategies as st

import xphotfn as xp
from xphotfn.records.source import DetectedObject, DetectedSource, SearchedMap
from xphotfn.records.source_list import SourceList
from xphotfn.science.coords import separation_deg
from xphotfn.science.detection.tile_lists import joined_lists
from xphotfn.science.detection.tiles import TILE_ARCMIN, Tile, tile_named, tiles_around, tiles_of

ARCSEC = 1 / 3600
WEST, EAST = Tile(180, 19), Tile(180, 20)  # their border lies at RA 10, Dec 0 to 0.5
MAP = SearchedMap(obs_id="0000000101", instrument="pn", exposure_id="S003", band=xp.Band(lo_ev=500, hi_ev=2000),
                  pixel_arcsec=4.35)  # fmt: skip


@given(st.floats(0, 360), st.floats(-90, 90))
def test_each_position_lies_in_one_tile_and_its_tile_reaches_over_it(ra, dec):
    (tile,) = tiles_of(ra, dec)
    assert tile_named(tile.name) == tile
    assert tile.holds(ra, dec)
    assert tile.within(ra, dec, 0.001)
    neighbours = tiles_around(ra, dec, 5)
    assert tile in neighbours
    assert sum(bool(other.holds(ra, dec)) for other in neighbours) == 1


@given(st.floats(0, 360), st.floats(-89, 89), st.floats(0, 2 * np.pi), st.floats(0, 1))
def test_a_circle_lies_in_the_tiles_around_its_middle(ra, dec, angle, part):
    """Haversine's formula turned round: the point at a distance of up to 20 arcmin in any direction."""
    away, here = np.radians(part * 20 / 60), np.radians(dec)
    there = np.arcsin(np.sin(here) * np.cos(away) + np.cos(here) * np.sin(away) * np.cos(angle))
    turn = np.arctan2(np.sin(angle) * np.sin(away) * np.cos(here), np.cos(away) - np.sin(here) * np.sin(there))
    (tile,) = tiles_of((ra + np.degrees(turn)) % 360, np.degrees(there))
    assert tile in tiles_around(ra, dec, 20)


@pytest.mark.parametrize("band", [0, 1, 100, 179, 180, 300, 359])
def test_no_tile_is_wider_than_30_arcmin(band):
    edges = np.linspace(0, 360, 100_001)
    middle = (band + 0.5) / 2 - 90
    _, sizes = np.unique([t.cell for t in tiles_of(edges, np.full(edges.shape, middle))], return_counts=True)
    cells = len(sizes)
    assert 360 / cells * np.cos(np.radians(abs(middle) - 0.25)) * 60 <= TILE_ARCMIN * 1.001
    assert separation_deg(0, middle, 360 / cells, middle) * 60 <= TILE_ARCMIN or band in (0, 359)


def listed(*sources, objects=()):
    numbered = [
        DetectedSource(number=n, ra_deg=10 + x * ARCSEC, dec_deg=0.2 + y * ARCSEC, position_error_arcsec=1, det_ml=ml,
                       extent_arcsec=wide, x=1, y=1)
        for n, (x, y, ml, wide) in enumerate(sources, start=1)
    ]  # fmt: skip
    wholes = [
        DetectedObject(number=n, ra_deg=10 + x * ARCSEC, dec_deg=0.2, semi_major_arcsec=60, semi_minor_arcsec=50,
                       sources=pieces)
        for n, (x, pieces) in enumerate(objects, start=1)
    ]  # fmt: skip
    return SourceList(sources=numbered, objects=wholes, threshold=10, expected_false=0.1, extended_fraction=0.2)


def places(found):
    return [(round(3600 * (s.ra_deg - 10), 2), s.det_ml) for s in found]


@pytest.mark.parametrize(
    ("west", "east", "kept"),
    [
        ([-0.3], [-0.2], [-0.3]),  # both say west: the west has it
        ([-0.3], [0.3], [-0.3]),  # each says that it is its own: once
        ([0.3], [-0.3], [0.3]),  # each says that it is the other's: once
        ([0.3], [], [0.3]),  # the other does not find it: kept
        ([20.0], [], []),  # well inside the other, which does not find it: none
        ([-4.0, 4.0], [-4.0, 4.0], [-4.0, 4.0]),  # two, 8 arcsec apart: two
        ([-200.0], [-200.0], [-200.0]),
    ],
)
def test_what_lies_on_a_border_is_there_once(west, east, kept):
    lists = {EAST: listed(*((x, 0, 30 - n, 0) for n, x in enumerate(east))),
             WEST: listed(*((x, 0, 30 - n, 0) for n, x in enumerate(west)))}  # fmt: skip
    lists = {tile: SourceList(**{**fields(found), "maps": [MAP]}) for tile, found in lists.items()}
    found = joined_lists(lists)
    assert [x for x, _ in places(found)] == kept
    assert found == joined_lists(dict(reversed(lists.items())))
    assert [s.number for s in found] == list(range(1, len(kept) + 1))
    assert all(s.x is None and s.y is None for s in found)
    assert found.expected_false == pytest.approx(0.2)
    assert found.extended_fraction == pytest.approx(0.2)
    assert found.maps == (MAP,)


def fields(found):
    return {name: getattr(found, name) for name in
            ("sources", "objects", "threshold", "expected_false", "extended_fraction")}  # fmt: skip


def test_an_object_keeps_its_pieces_and_is_there_once():
    """Two pieces in the west, three in the east, whose middles lie 20 arcsec apart on both sides of the border."""
    one = listed((-30, 0, 90, 20), (40, 0, 50, 10), (-200, 0, 15, 0), objects=[(-8, [1, 2])])
    other = listed((-25, 0, 80, 20), (45, 0, 40, 10), (10, 0, 20, 8), (200, 0, 12, 0), objects=[(12, [1, 2, 3])])
    found = joined_lists({WEST: one, EAST: other})
    assert places(found) == [(-30, 90), (40, 50), (-200, 15), (200, 12)]
    (whole,) = found.objects
    assert whole.sources == (1, 2)
    assert [s.object_number for s in found] == [1, 1, 0, 0]
    assert found[0].nearest_arcsec == pytest.approx(70, abs=0.01)


def test_a_camera_that_does_not_reach_into_a_tile_is_told_as_missing():
    rate = xp.MapRate(counts=9, counts_error=3, rate=0.1, rate_error=0.03, exposure_s=90, background=1, mask_fraction=1)
    source = DetectedSource(number=1, ra_deg=9.9, dec_deg=0.2, position_error_arcsec=1, det_ml=9, rates=[rate])
    mos = evolve(MAP, instrument="mos1", exposure_id="S001")
    other = evolve(source, ra_deg=10.1, rates=[rate, rate])
    (east, west) = joined_lists({
        WEST: SourceList(sources=[source], maps=[MAP]), EAST: SourceList(sources=[other], maps=[MAP, mos]),
    })  # fmt: skip
    flags = {round(s.ra_deg, 1): s.flags for s in (east, west)}
    assert flags == {9.9: xp.SourceFlag.CAMERA_MISSING, 10.1: 0}
