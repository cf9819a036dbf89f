"""Other sources near a position: its own region is kept, all others are masked, in circle and ring."""

import itertools

import astropy.units as u
import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings, strategies as st

import xphotfn as xp
from xphotfn.errors import InvalidRecord
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.photometry.apertures import ApertureFlag, photometry
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.science.coords import pix_to_deg
from xphotfn.testing.examples import example_field

PIXEL = 4.0
GRID = PixelGrid(nx=70, ny=60, crpix1=30.5, crpix2=30.5, ra_deg=10.0, dec_deg=-5.0, cdelt1_deg=-PIXEL / 3600,
                 cdelt2_deg=PIXEL / 3600)  # fmt: skip
RADIUS, RING = 19.7 * u.arcsec, (33.1 * u.arcsec, 55.3 * u.arcsec)  # no pixel centre lies on an edge
numbers = itertools.count()
in_a_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=12
)


def a_map(folder, counts, exposure, obs_id="0999990101"):
    names = {"obs_id": obs_id, "exposure_id": "S003", "instrument": "pn", "band": Band(lo_ev=500, hi_ev=2000),
             "grid": GRID}  # fmt: skip
    number = next(numbers)
    paths = [folder / f"{number}_{kind}.fits" for kind in ("image", "exposure")]
    for path, array in zip(paths, (counts, exposure), strict=True):
        write_image(path, array, GRID, [])
    return RateMap(image=Image(path=str(paths[0]), **names), exposure=ExposureMap(path=str(paths[1]), **names))


def noisy(seed):
    rng = np.random.default_rng(seed)
    exposure = 1000.0 + 8 * np.arange(GRID.nx) + 3 * np.arange(GRID.ny)[:, None]
    return rng.poisson(0.5, GRID.shape).astype(np.int32), exposure.astype(np.float32)


def at_pixels(x, y):
    return u.Quantity(np.stack(pix_to_deg(GRID, np.asarray(x, float), np.asarray(y, float)), axis=-1), u.deg)


def circles(places):
    """Return regions in pixels of the grid's own image: (x, y, radius)."""
    return [Region(shape="circle", frame="image", x=x, y=y, size=(r,), colour="red") for x, y, r in places]


def field_of(*, interlopers=(), match=None, kept=(), centre=None):
    field = example_field()
    [member] = field.members
    member = evolve(member, region_grid=GRID, interlopers=interlopers, match=match, kept=kept, alternates=())
    ra, dec = pix_to_deg(GRID, *(centre or (-500.0, -500.0)))
    return evolve(field, members=[member], centre_ra_deg=float(ra), centre_dec_deg=float(dec))


def by_hand(counts, exposure, position, masked, radius=19.7, ring=(33.1, 55.3)):
    """Return counts, background, ratio, mean exposure and live pixels, by the pixel-centre rule of numpy."""
    y, x = np.mgrid[: GRID.ny, : GRID.nx]
    free = np.ones(GRID.shape, dtype=bool)
    for mx, my, mr in masked:
        free &= ~((x - mx) ** 2 + (y - my) ** 2 < mr**2)
    d = np.hypot(x - position[0], y - position[1]) * PIXEL
    circle, annulus = (d < radius) & free, (d >= ring[0]) & (d < ring[1]) & free
    if not circle.any():
        return [np.nan] * 4 + [0.0]
    alpha = exposure[circle].sum(dtype=float) / exposure[annulus].sum(dtype=float)
    return [counts[circle].sum(), counts[annulus].sum(), alpha, exposure[circle].mean(dtype=float), circle.sum()]


def shown(table):
    names = ("counts", "background_counts", "alpha", "exposure_mean", "live_area")
    columns = np.array([getattr(table[n], "value", table[n]) for n in names], dtype=float)
    columns[4] = np.nan_to_num(columns[4]) / PIXEL**2
    return columns.T


def off_edges(region):
    """Return a circle in pixels on whose edge no pixel centre and no position lies."""
    x, y, r = region
    return round(x, 1) + 0.0137, round(y, 1) + 0.0271, round(r, 1) + 0.0411


places = st.lists(
    st.tuples(st.floats(-3, 72), st.floats(-3, 62), st.floats(0.6, 9)).map(off_edges), min_size=1, max_size=7
)


@in_a_folder
@given(st.integers(0, 10**6), places, st.sampled_from([None, "epic"]))
def test_each_position_keeps_its_own_region_and_loses_all_others(tmp_path, seed, regions, psf):
    """Oracle: sums over masks that numpy paints from the regions that do not hold the position."""
    counts, exposure = noisy(seed)
    item, rng = a_map(tmp_path, counts, exposure), np.random.default_rng(seed)
    x = np.concatenate([rng.uniform(2, 66, 3), [r[0] for r in regions]])
    y = np.concatenate([rng.uniform(2, 56, 3), [r[1] for r in regions]])
    x, y = np.clip(x, 0.5137, 68.5137), np.clip(y, 0.5271, 58.5271)
    field = field_of(interlopers=circles(regions))
    table = photometry(item, at_pixels(x, y), RADIUS, background=RING, field=field, psf=psf)
    wanted = []
    for px, py in zip(x, y, strict=True):
        others = [r for r in regions if (px - r[0]) ** 2 + (py - r[1]) ** 2 >= r[2] ** 2]
        wanted.append(by_hand(counts, exposure, (px, py), others))
    assert shown(table) == pytest.approx(np.array(wanted, dtype=float), rel=1e-6, nan_ok=True)
    masked = np.array([bool(ApertureFlag(int(v)) & ApertureFlag.MASKED) for v in table["flags"]])
    assert np.array_equal(masked, table["masked_fraction"] > 0)


def test_a_source_in_its_own_region_is_measured_as_without_regions(tmp_path):
    counts, exposure = noisy(4)
    counts[30, 30] += 60
    item, place = a_map(tmp_path, counts, exposure), at_pixels(30, 30)
    alone, own = (
        photometry(item, place, RADIUS, background=RING, field=field_of(interlopers=circles(regions)))
        for regions in ([(60.0, 5.0, 2.0)], [(60.0, 5.0, 2.0), (30.4, 29.8, 4.0)])
    )
    assert np.array_equal(shown(alone), shown(own))
    assert own["significance"][0] > 8, "its own region was masked"
    assert own["masked_fraction"][0] == 0


def test_no_position_gives_no_row(tmp_path):
    item, field = a_map(tmp_path, *noisy(1)), field_of(interlopers=circles([(30.0, 30.0, 3.0)]))
    assert len(photometry(item, np.zeros((0, 2)) * u.deg, RADIUS, field=field, neighbours="positions")) == 0


def test_the_regions_of_the_target_count_as_one_source(tmp_path):
    """They are masked for a position beside them, and not for one inside or for the field's centre."""
    counts, exposure = noisy(5)
    item = a_map(tmp_path, counts, exposure)
    both = [(30.03, 30.01, 8.07), (40.03, 30.01, 3.07)]
    match, kept = circles(both)
    field = field_of(match=match, kept=[kept], centre=(12.0, 30.0))
    places = at_pixels([33.05, 40.05, 48.05, 12.05], [28.03, 30.03, 30.03, 30.03])
    table = photometry(item, places, RADIUS, background=RING, field=field)
    wanted = [by_hand(counts, exposure, p, m) for p, m in (((33.05, 28.03), []), ((40.05, 30.03), []),
              ((48.05, 30.03), both), ((12.05, 30.03), []))]  # fmt: skip
    assert shown(table) == pytest.approx(np.array(wanted, dtype=float), rel=1e-6)


def test_neighbours_are_positions_radii_or_regions(tmp_path):
    counts, exposure = noisy(6)
    item = a_map(tmp_path, counts, exposure)
    x, y = np.array([20.03, 30.03, 33.03, 60.03]), np.array([30.01, 30.01, 31.01, 50.01])
    places, plain = at_pixels(x, y), {"background": RING}
    for given_as, radius in (("positions", 4.925), (24.3 * u.arcsec, 6.075), (0.11 * u.arcmin * np.ones(4), 1.65)):
        table = photometry(item, places, RADIUS, neighbours=given_as, **plain)
        wanted = []
        for px, py in zip(x, y, strict=True):
            others = [(a, b, radius) for a, b in zip(x, y, strict=True) if np.hypot(a - px, b - py) >= radius]
            wanted.append(by_hand(counts, exposure, (px, py), others))
        assert shown(table) == pytest.approx(np.array(wanted, dtype=float), rel=1e-6)
    ra, dec = places[1].value
    region = Region(shape="circle", frame="fk5", x=ra, y=dec, size=(12.3 / 3600,))
    for regions in (region, [region]):
        table = photometry(item, places, RADIUS, neighbours=regions, **plain)
        masked = [[(30.03, 30.01, 3.075)], [], [(30.03, 30.01, 3.075)], []]
        wanted = [by_hand(counts, exposure, p, m) for p, m in zip(zip(x, y, strict=True), masked, strict=True)]
        assert shown(table) == pytest.approx(np.array(wanted, dtype=float), rel=1e-6)
    alone = photometry(item, places[3], 20 * u.arcsec, neighbours="positions", **plain)
    assert alone["masked_fraction"][0] == 0


def has_neighbours(table):
    return [bool(int(v) & ApertureFlag.NEIGHBOURS) for v in table["flags"]]


def test_a_region_of_another_source_that_holds_the_position_too_is_said(tmp_path):
    """It is not masked, since that would take the position: the circle then holds light of both."""
    item, (ra, dec) = a_map(tmp_path, *noisy(8)), at_pixels([30, 37.5], [30, 30]).value.T
    own, wide, narrow = (
        Region(shape="circle", frame="fk5", x=ra[n], y=dec[n], size=(size / 3600,))
        for n, size in ((0, 20), (1, 45), (1, 28))
    )
    for regions, said in (([own, wide], True), ([wide, own], True), ([own, narrow], False), ([own], False)):
        table = photometry(item, at_pixels(30, 30), RADIUS, background=RING, neighbours=regions)
        assert has_neighbours(table) == [said]
    in_file = circles([(30.0, 30.0, 5.0), (37.5, 30.0, 11.25)])
    table = photometry(item, at_pixels([30, 37.5], [30, 30])[:1], RADIUS, field=field_of(interlopers=in_file))
    assert has_neighbours(table) == [True]


def test_a_source_that_several_observations_list_is_one(tmp_path):
    """A region of another file is the same source where its own holds that centre; a wide one beside is not."""
    item, field = a_map(tmp_path, *noisy(9)), field_of(interlopers=circles([(30.0, 30.0, 5.0)]))
    [member] = field.members
    for (x, size), said in (((31.0, 6.0), False), ((31.0, 3.0), False), ((37.5, 11.25), True)):
        other = evolve(
            member,
            observation=evolve(member.observation, obs_id="0999990201"),
            interlopers=circles([(x, 30.0, size)]),
        )
        two = evolve(field, members=[member, other])
        assert has_neighbours(photometry(item, at_pixels(30, 30), RADIUS, background=RING, field=two)) == [said]


@pytest.mark.parametrize(
    ("neighbours", "message"),
    [("all", "positions"), (3, "regions"), (circles([(30.0, 30.0, 2.0)]), "in the frame image"), ([1], "got one 1")],
)
def test_other_forms_of_neighbours_are_refused(tmp_path, neighbours, message):
    item = a_map(tmp_path, *noisy(7))
    with pytest.raises(InvalidRecord, match=message):
        photometry(item, at_pixels(30, 30), 20 * u.arcsec, neighbours=neighbours)


@pytest.fixture(scope="module")
def a907_maps(data_root, tmp_path_factory):
    """The pn maps of two real observations and their field."""
    observations = xp.find_observations(data_root / "a907")
    target = xp.galaxy_cluster("A907", 149.59209 * u.deg, -11.05972 * u.deg, redshift=0.16, r500=1200 * u.kpc)
    field = xp.match_observations(target, observations)
    plan = xp.plan_exposure_maps(field, xp.energy_band(0.5 * u.keV, 2 * u.keV))
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path_factory.mktemp("pn"), progress=False)
    return field, [m for m in xp.rate_maps(run) if m.instrument == "pn"]


def test_the_sources_of_a_real_region_file_keep_their_rates(a907_maps):
    field, maps = a907_maps
    item, member = xp.select(maps, obs_id="0201903501"), field.member("0201903501")
    places = u.Quantity([pix_to_deg(member.region_grid, r.x, r.y) for r in member.interlopers], u.deg)
    assert len(places) == 31
    plain = photometry(item, places, 20 * u.arcsec)
    table = photometry(item, places, 20 * u.arcsec, field=field)
    assert np.nanmedian(table["rate"].value) / np.nanmedian(plain["rate"].value) == pytest.approx(1, abs=0.03)
    assert np.nanmedian(table["significance"]) > 3
    assert np.all(table["background_area"] <= plain["background_area"] * (1 + 1e-12))
    assert np.sum(table["background_area"] < plain["background_area"]) > 5, "neighbours are still there"


def test_a_bright_source_keeps_its_significance_with_the_defaults(a907_maps):
    _, maps = a907_maps
    item, place = xp.select(maps, obs_id="0201901401"), [149.6725, -11.073] * u.deg
    [row] = photometry(item, place, 20 * u.arcsec)
    assert row["significance"] > 55
    assert photometry(item, place, 20 * u.arcsec, background=(1.05, 1.5))["significance"][0] < 30
    star = xp.match_observations(
        xp.point_source("star", *place, radius=20 * u.arcsec), [m.observation for m in a907_maps[0].members]
    )
    assert xp.snr(item, star, "point").value > 55
