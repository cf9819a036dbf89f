"""Joint lists in tiles: two observations 16 arcmin apart at a corner of four tiles, with sources on the borders."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve

import xphotfn as xp
from xphotfn.commands import xdetectadd, xdetectjoin
from xphotfn.epic import map_search as detection
from xphotfn.errors import CommandFailed, InvalidRecord
from xphotfn.io.fits import read_array
from xphotfn.io.write import write_image
from xphotfn.science.coords import deg_to_pix, separation_deg
from xphotfn.science.detection.tiles import Tile, tile_named, tiles_of

BAND = xp.Band(lo_ev=500, hi_ev=2000)
CORNER = (10.0, 0.0)  # of tiles t179-019, t179-020, t180-019 and t180-020
BIN, SIDE, REACH = 160, 160, 9.5  # pixels of 8 arcsec; arcmin
ARCSEC = 1 / 3600
ON_BORDERS = [(0, 0), (0, 150), (0, -200), (240, 0), (-260, 1), (2, 270)]  # arcsec east and north of the corner
ELSEWHERE = [(400, 200), (-380, -150), (-150, 260), (130, -280)]
POINTS = [(CORNER[0] + x * ARCSEC, CORNER[1] + y * ARCSEC) for x, y in (*ON_BORDERS, *ELSEWHERE)]
CLUSTER = (CORNER[0] - 620 * ARCSEC, CORNER[1] + 3 * ARCSEC)
OBSERVATIONS = {"0000000101": CORNER[0] - 8 / 60, "0000000202": CORNER[0] + 8 / 60}


def drawn(grid, seed):
    """Return counts and exposure: points of 120 counts in the King profile of pn, a cluster of 1500, 0.3 a pixel."""
    y, x = np.indices(grid.shape)
    live = np.hypot(x - grid.crpix1 + 1, y - grid.crpix2 + 1) * grid.pixel_deg * 60 < REACH
    pixel = grid.pixel_deg * 3600

    def profile(place, core, slope):
        x0, y0 = deg_to_pix(grid, *place)
        squared = ((x - x0) ** 2 + (y - y0) ** 2) * pixel**2
        return (slope - 1) / (np.pi * core**2) * pixel**2 * (1 + squared / core**2) ** -slope

    mean = 0.3 + sum(120 * profile(place, 5.3, 1.5) for place in POINTS) + 1500 * profile(CLUSTER, 25.0, 1.5)
    return np.random.default_rng(seed).poisson(mean * live).astype("i4"), np.where(live, 5000.0, 0.0).astype("f4")


def write(path, data, grid, kind, obs_id):
    cards = [("TELESCOP", "XMM", ""), ("INSTRUME", "EPN", ""), ("OBS_ID", obs_id, ""), ("EXPIDSTR", "S003", ""),
             ("FILTER", "Thin1", ""), ("DATAMODE", "IMAGING", ""), ("RA_PNT", grid.ra_deg, ""),
             ("DEC_PNT", grid.dec_deg, ""), ("PA_PNT", 0.0, ""), ("DATE-OBS", "2004-05-09T16:07:05", ""),
             ("SLCTEXPR", "(PI in [500:2000])", ""), ("EXPOSURE", 5000.0, ""), ("HDUCLAS1", "IMAGE", "")]  # fmt: skip
    if kind == "expmap":
        cards += [("CREATOR", "eexpmap (test)", ""), ("CONTENT", "EPIC EXPOSURE MAP", "")]
    write_image(path, data, grid, cards)


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    root = tmp_path_factory.mktemp("maps")
    for seed, (obs_id, ra) in enumerate(OBSERVATIONS.items()):
        low = 25921 - SIDE * BIN // 2
        grid = xp.PixelGrid.from_sky_range(ra % 360, CORNER[1], low=low, high=low + SIDE * BIN - 1, bin_size=BIN)
        for kind, data in zip(("img", "expmap"), drawn(grid, seed), strict=True):
            write(root / f"{obs_id}_{kind}.fits", data, grid, kind, obs_id)
    target = xp.galaxy_cluster("corner", *CORNER, redshift=0.1, r500=300 * u.kpc)
    return xp.match_observations(target, xp.find_observations(root))


@pytest.fixture(scope="module")
def done(field, tmp_path_factory):
    plan = xp.plan_detection(field, BAND, joint=True)
    return xp.run(plan, engine=xp.native_engine(), store=tmp_path_factory.mktemp("store"), progress=False)


@pytest.fixture(scope="module")
def found(done):
    return xp.source_lists(done)["combined"]


def test_each_source_is_found_once_wherever_the_borders_are(done, found):
    tiles = [dict(step.command.parameters)["tile"] for step in done.plan.steps if step.command.task == "xdetect"]
    assert {tile.name for tile in tiles_of(*np.array(POINTS).T)} == {"t179-019", "t179-020", "t180-019", "t180-020"}
    assert {"t179-019", "t179-020", "t180-019", "t180-020"} == set(tiles)
    places = np.array([(s.ra_deg, s.dec_deg) for s in found.points])
    away = [3600 * separation_deg(*place, *places.T) for place in POINTS]
    assert [int(np.sum(distances < 8)) for distances in away] == [1] * len(POINTS)
    assert len(found.points) == len(POINTS)
    (cluster,) = found.objects
    assert 3600 * separation_deg(*CLUSTER, cluster.ra_deg, cluster.dec_deg) < 12
    assert sum(found[n - 1].rate for n in cluster.sources) == pytest.approx(1500 / 5000, rel=0.15)
    assert {found[n - 1].object_number for n in cluster.sources} == {1}


def test_the_same_list_without_a_plan_and_for_any_order_of_maps(done, found):
    maps = xp.rate_maps(done)
    again = xp.detect_sources(maps[::-1])
    assert again == found
    assert repr(tuple(again)) == repr(tuple(found))
    assert [m.obs_id for m in found.maps] == list(OBSERVATIONS)


def test_tiles_find_what_a_search_of_the_whole_finds(done, found, monkeypatch):
    """The margin holds what acts on a source: only the slow part of the background differs by a little."""
    monkeypatch.setattr(detection, "needs_tiles", lambda _: False)
    whole = xp.detect_sources(xp.rate_maps(done))
    assert len(whole) == len(found)
    assert found.expected_false == pytest.approx(whole.expected_false, rel=0.01)  # the cores cover the live pixels once
    assert found.extended_fraction == pytest.approx(whole.extended_fraction, rel=0.15)
    for one in whole:
        other = min(found, key=lambda s: separation_deg(s.ra_deg, s.dec_deg, one.ra_deg, one.dec_deg))
        assert 3600 * separation_deg(other.ra_deg, other.dec_deg, one.ra_deg, one.dec_deg) < 0.5
        assert other.det_ml == pytest.approx(one.det_ml, rel=0.05)
        assert other.rate == pytest.approx(one.rate, rel=0.02)
        assert other.nearest_arcsec == pytest.approx(one.nearest_arcsec, abs=1)


def test_the_background_of_an_image_is_that_of_its_tiles(done):
    """Each pixel has the background of the tile whose core holds it."""
    maps = {item.obs_id: item for item in xp.rate_maps(done)}
    for product, path, _ in done.products():
        if product.kind == "background_map":
            image = maps[product.obs_id]
            background, light = (read_array(path, hdu)[0] for hdu in (0, "SOURCES"))
            live = image.sensor_mask
            assert np.all(background[live] > 0)
            assert not background[~live].any()
            assert (background + light).sum() == pytest.approx(image.counts[live].sum(), rel=0.02)
            assert np.median(background[live]) == pytest.approx(0.3, rel=0.05)


def test_a_tile_is_made_once_and_depends_on_what_lies_near_it_alone(field, done):
    again = xp.run(xp.plan_detection(field, BAND, joint=True), engine=xp.native_engine(), store=done.store,
                   scheduler="threads", workers=2, progress=False)  # fmt: skip
    assert all(outcome.cached for outcome in again.done)
    (first, second) = field.members
    moved = evolve(second, observation=evolve(second.observation, ra_deg=12.0))
    far = xp.plan_detection(evolve(field, members=[first, moved]), BAND, joint=True)
    alone = {step.id for step in far.steps if step.command.task == "xdetect" and len(step.inputs) == 2}
    third = evolve(moved, observation=evolve(moved.observation, ra_deg=14.0))
    other = xp.plan_detection(evolve(field, members=[first, third]), BAND, joint=True)
    kept = alone & {step.id for step in other.steps}
    assert len(kept) >= 4  # the tiles of the first


def test_a_map_of_no_single_pointing_is_refused(done, tmp_path):
    """The plan knows where maps lie from their pointings alone: what lies farther off would be missed in silence."""
    (item, _) = xp.rate_maps(done)
    path = tmp_path / "turned.fits"
    with fits.open(item.image.path) as hdus:
        hdus[0].header["RA_PNT"] = 10.4
        hdus.writeto(path)
    with pytest.raises(xp.InvalidRecord, match="arcmin from its pointing, more than 20"):
        detection.find_sources([evolve(item, image=evolve(item.image, path=str(path)))], tile=Tile(180, 19))


def test_commands_of_tiles_say_what_does_not_fit(done, tmp_path):
    for step in done.plan.steps:
        if step.command.task == "xdetectjoin":
            command = step.command
    parameters = {**dict(command.parameters), "tiles": "t179-019"}
    with pytest.raises(CommandFailed, match="lists need as many tiles, got 1"):
        xp.native_engine().execute(evolve(command, parameters=tuple(parameters.items())), tmp_path)
    with pytest.raises(InvalidRecord, match="a tile is called as"):
        tile_named("t400-001")
    with pytest.raises(InvalidRecord, match="one tile or more"):
        xdetectjoin({}, "list.fits")
    with pytest.raises(InvalidRecord, match="one map or more"):
        xdetectadd((), "bkg.fits")
