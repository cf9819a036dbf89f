"""Flags of positions that others spoil: against all pairs by hand, and wings drawn from the profile itself."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.photometry.apertures import ApertureFlag, photometry
from xphotfn.measure.photometry.circles import SkyPositions
from xphotfn.measure.photometry.crowding import in_the_ring, light_in_circles
from xphotfn.measure.photometry.spread import MapLight
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import pix_to_deg, separation_deg
from xphotfn.science.encircled_energy import encircled_energy

GRID = PixelGrid.from_sky_range(40.0, -20.0)
PIXEL = GRID.pixel_deg * 3600


def sky_at(ra, dec, radius, inner, outer):
    n = np.size(ra)
    sizes = (np.broadcast_to(np.asarray(v, dtype=float) / 3600, n) for v in (radius, inner, outer))
    return SkyPositions(np.asarray(ra, float), np.asarray(dec, float), *sizes, {})


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([2, 5, 40, 300, 1000]), st.sampled_from([-60.0, 0.0, 89.9]))
def test_sources_in_the_ring_are_those_of_all_pairs(seed, number, dec):
    """Oracle: every pair by the formula of the separation, sparse and crowded, also near a pole."""
    rng = np.random.default_rng(seed)
    a = 30 + rng.uniform(-0.1, 0.1, number) / np.cos(np.deg2rad(dec))
    d = dec + rng.uniform(-0.05, 0.05, number)
    radius = rng.uniform(5, 25, number)
    apart = 3600 * separation_deg(a[:, None], d[:, None], a, d)
    reaches = (apart + radius > 60) & (apart - radius < 90) & ~np.eye(number, dtype=bool)
    assert np.array_equal(in_the_ring(sky_at(a, d, radius, 60, 90), None), reaches.any(axis=1))


def a_map(folder, sources, background=0.05, seed=1):
    """Return a map with King sources (x, y, counts): photons drawn from the inverse of the enclosed light."""
    from xphotfn.science.king import EPIC_KING, king_parameters, king_radius

    rng = np.random.default_rng(seed)
    counts = rng.poisson(background, GRID.shape).astype(np.int32)
    core, slope, _ = king_parameters(EPIC_KING["pn"], energy_ev=1000.0, off_axis_arcmin=0.0)
    for x, y, number in sources:
        r, phi = king_radius(rng.uniform(size=number), core, slope) / PIXEL, rng.uniform(0, 2 * np.pi, number)
        where = np.rint([y + r * np.sin(phi), x + r * np.cos(phi)]).astype(int)
        np.add.at(counts, tuple(where), 1)
    names = {"obs_id": "0999990101", "exposure_id": "S003", "instrument": "pn", "band": Band(lo_ev=500, hi_ev=2000),
             "grid": GRID}  # fmt: skip
    for kind, array in (("img", counts), ("expmap", np.full(GRID.shape, 1e4, np.float32))):
        write_image(folder / f"{kind}.fits", array, GRID, [])
    return RateMap(
        image=Image(path=str(folder / "img.fits"), **names),
        exposure=ExposureMap(path=str(folder / "expmap.fits"), **names),
    )


def flags(table):
    return [ApertureFlag(int(v)) & (ApertureFlag.WINGS | ApertureFlag.RING_NEIGHBOURS) for v in table["flags"]]


def test_wings_of_a_bright_source_are_flagged_where_they_matter(tmp_path):
    x, y = np.array([256.0, 256.0, 256.0, 100.0]), np.array([256.0, 268.0, 315.0, 100.0])
    item = a_map(tmp_path, [(256, 256, 20_000), (256, 268, 60), (256, 315, 60), (100, 100, 60)])
    places = u.Quantity(np.stack(pix_to_deg(GRID, x, y), axis=-1), u.deg)
    table = photometry(item, places, 15 * u.arcsec)
    bright, near, middle, far = flags(table)
    assert bright == ApertureFlag.RING_NEIGHBOURS
    assert near == ApertureFlag.WINGS | ApertureFlag.RING_NEIGHBOURS
    assert far == 0
    light = [float(encircled_energy(r, instrument="pn", energy_ev=1000, off_axis_arcmin=0)) for r in (241.65, 271.65)]
    expected = 20_000 * (light[1] - light[0]) * 15 / (4 * 256.65)
    assert expected < 0.5 * np.sqrt(60), "what the wings give at 59 pixels"
    assert middle == 0
    masked = photometry(item, places, 15 * u.arcsec, neighbours="positions")
    assert not any(f & ApertureFlag.RING_NEIGHBOURS for f in flags(masked))
    assert flags(masked)[1] & ApertureFlag.WINGS, "a mask takes the core, not the wings"


def test_one_source_measured_twice_has_no_brighter_neighbour_in_its_best_row(tmp_path):
    item = a_map(tmp_path, [(256, 256, 5000)])
    places = u.Quantity(np.stack(pix_to_deg(GRID, np.array([256, 256, 258.0]), np.full(3, 256.0)), axis=-1), u.deg)
    table = photometry(item, places, 15 * u.arcsec)
    assert table["net_counts"][2] < table["net_counts"][0]
    assert flags(table) == [0, 0, ApertureFlag.WINGS], "most of what the fainter row holds is light of the brighter"
    assert all(int(v) & ApertureFlag.NEIGHBOURS for v in table["flags"])


@pytest.mark.parametrize("neighbours", [None, "positions", 30 * u.arcsec])
@pytest.mark.parametrize("apart", [10, 18, 22, 30, 39, 41])
def test_wings_are_flagged_where_circles_overlap_too(tmp_path, apart, neighbours):
    """A source 500 times as bright spoils the circle of its neighbour, whether its own circle is masked or not."""
    y = 256 + apart / PIXEL
    item = a_map(tmp_path, [(256, 256, 60), (256, y, 30_000)])
    places = u.Quantity(np.stack(pix_to_deg(GRID, np.full(2, 256.0), np.array([256.0, y])), axis=-1), u.deg)
    faint, bright = photometry(item, places, 20 * u.arcsec, psf="epic", neighbours=neighbours)
    assert faint["rate_low"] > 2 * 60 / 1e4 * u.ct / u.s, "many times the truth"
    assert ApertureFlag.WINGS in ApertureFlag(int(faint["flags"]))
    assert ApertureFlag.WINGS not in ApertureFlag(int(bright["flags"]))


def test_a_mask_that_takes_the_light_takes_the_flag(tmp_path):
    """Of a neighbour 28 arcsec away a circle holds 8 % of the light, and 1 % beyond a mask of 27 arcsec."""
    y = 256 + 28 / PIXEL
    item = a_map(tmp_path, [(256, 256, 100), (256, y, 200)])
    places = u.Quantity(np.stack(pix_to_deg(GRID, np.full(2, 256.0), np.array([256.0, y])), axis=-1), u.deg)
    found = [photometry(item, places, 20 * u.arcsec, neighbours=n)[0] for n in (None, 27 * u.arcsec)]
    assert [bool(int(row["flags"]) & ApertureFlag.WINGS) for row in found] == [True, False]


@pytest.mark.parametrize("hidden", [0.0, 20.0])
def test_the_light_in_a_circle_is_that_of_photons_drawn_from_the_profile(hidden):
    """Oracle: photons drawn from the inverse of the enclosed light, and counted."""
    from xphotfn.science.king import EPIC_KING, king_parameters, king_radius

    rng, size = np.random.default_rng(8), 400_000
    core, slope, _ = king_parameters(EPIC_KING["pn"], energy_ev=1000.0, off_axis_arcmin=0.0)
    r, phi = king_radius(rng.uniform(size=size), core, slope), rng.uniform(0, 2 * np.pi, size)
    x, y = r * np.cos(phi), r * np.sin(phi)
    apart, radius = np.array([0.0, 5.0, 19.0, 21.0, 35.0, 60.0]), np.full(6, 20.0)
    drawn = [np.mean((np.hypot(x - a, y) < 20) & (r > hidden)) for a in apart]
    light = MapLight(EPIC_KING["pn"], 1000.0, np.zeros(1))
    assert light_in_circles(light, apart, radius, np.full(6, hidden)) == pytest.approx(drawn, rel=0.06, abs=0.001)


def test_a_crowd_costs_little():
    """A regular crowd of 30,000 positions: one look per position, not all pairs."""
    side = np.arange(173) * 3.0 / 3600
    a, d = (v.ravel() for v in np.meshgrid(40 + side, side))
    assert in_the_ring(sky_at(a, d, 10, 60, 90), None).all()
    assert not in_the_ring(sky_at([10.0, np.nan], [0.0, 0.0], 10, 60, 90), None).any()


@pytest.mark.parametrize("number", [0, 1])
def test_no_position_has_no_neighbour(number):
    assert not in_the_ring(sky_at(np.full(number, 10.0), np.zeros(number), 10, 60, 90), None).any()
