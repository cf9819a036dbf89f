"""Mosaics of events: evselect's own images, counts that are kept, and the mosaic of images they stand for."""

import pickle
import warnings
from pathlib import Path

import astropy.units as u
import attrs
import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import maximum_filter, uniform_filter

import xphotfn as xp
from xphotfn.graph.event_mosaics import EventMosaic, mosaic_events
from xphotfn.graph.one_image import image_of_events
from xphotfn.io.headers import band_of_image, grid_of, is_mosaic
from xphotfn.io.write import write_image
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.science.mosaic import mosaic
from xphotfn.simulate.observing import simulate_observations
from xphotfn.simulate.scene import default_scene

BAND = Band(lo_ev=500, hi_ev=2000)
NATIVE = xp.native_engine()


@pytest.fixture(scope="module")
def observations(tmp_path_factory):
    """Two simulated observations of one field, as event lists of pn and MOS1."""
    folder, scene = tmp_path_factory.mktemp("simulated"), default_scene()
    pointings = [attrs.evolve(p, exposures=p.exposures[:2]) for p in scene.pointings]
    simulate_observations(folder, scene=attrs.evolve(scene, pointings=pointings), products=("events",))
    return xp.find_observations(folder)


@pytest.fixture(scope="module")
def images(observations, tmp_path_factory):
    """The image that evselect makes of each list, in the order of mosaics."""
    folder, found = tmp_path_factory.mktemp("images"), []
    for observation in observations:
        for exposure in observation.exposures:
            path = folder / f"{observation.obs_id}_{exposure.instrument}.fits"
            image_of_events(exposure.events.path, BAND, path, engine=NATIVE)
            data, header = fits.getdata(path, header=True)
            found.append((observation, exposure, data, grid_of(header, path.name)))
    return found


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """The observation of a raw list of 6 ks with flares."""
    folder, pointing = tmp_path_factory.mktemp("raw"), default_scene().pointings[0]
    camera = attrs.evolve(pointing.exposure("mos2"), ontime_s=6000.0, cleaned=False)
    scene = attrs.evolve(default_scene(), pointings=[attrs.evolve(pointing, exposures=[camera])])
    simulate_observations(folder, scene=scene, products="events")
    return xp.find_observations(folder)[0]


def only(observation, exposure):
    return attrs.evolve(observation, exposures=[exposure])


def test_one_list_on_its_own_grid_is_the_image_of_evselect(images):
    for observation, exposure, image, grid in images:
        found = mosaic_events(only(observation, exposure), BAND, engine=NATIVE)
        assert not found.grid.difference(grid)
        assert np.array_equal(found.data, image)
        given = mosaic_events(only(observation, exposure), BAND, engine=NATIVE, grid=grid)
        assert np.array_equal(given.data, image)
        assert [(b.instrument, b.inside) for b in found.lists] == [(exposure.instrument, image.sum())]
        assert found.data.dtype == np.int32
        assert not found.data.flags.writeable


@pytest.mark.parametrize("flares", ["auto", "quiet", "RATE<=0.05", "given"])
def test_flares_are_cut_as_in_images(raw, tmp_path, flares):
    """A raw list: the same counts as the image, by the same words, and the list, the notes and the cards say it."""
    events = raw.exposures[0].events.path
    if flares == "given":
        start = fits.getheader(events, "EVENTS")["TSTART"]
        flares = xp.good_times([(start + 100, start + 2000)])
    image_of_events(events, BAND, tmp_path / "image.fits", engine=NATIVE, flares=flares)
    image, header = fits.getdata(tmp_path / "image.fits", header=True)
    found = mosaic_events(raw, BAND, engine=NATIVE, flares=flares)
    assert np.array_equal(found.data, image)
    assert found.data.sum() < mosaic_events(raw, BAND, engine=NATIVE, flares="keep").data.sum()
    (binned,) = found.lists
    assert (binned.flares.goal, binned.flares.kept_s) == (header["FLGOAL"], header["FLKEPT"])
    assert found.notes[-1] == f"0999990101 mos2 {binned.exposure_id}: {binned.flares.goal}: {binned.flares}"
    cards = {name: value for name, value, _ in found.cards}
    assert (cards["EMSCG001"], cards["EMSCK001"]) == (binned.flares.goal, binned.flares.kept)
    with pytest.raises(xp.PlanError, match="flares are cut by"):
        mosaic_events(raw, BAND, engine=NATIVE, flares="best")


def test_real_lists_give_the_images_of_sas(data_root):
    compared = 0
    for observation in xp.find_observations(data_root / "a907"):
        for exposure in observation.exposures:
            if exposure.events is None:
                continue
            image = exposure.found("image", BAND)
            found = mosaic_events(only(observation, exposure), BAND, engine=NATIVE)
            assert not found.grid.difference(image.grid)
            assert np.array_equal(found.data, fits.getdata(image.file.path))
            compared += 1
    assert compared == 6


def test_a_real_unfiltered_list_in_other_pixels(data_root, tmp_path):
    (observation,) = xp.find_observations(data_root / "pps")
    grid = xp.ImageGrid(x_range=None, y_range=None, x_bin=80, y_bin=80)
    path = tmp_path / "image.fits"
    image_of_events(observation.exposures[0].events.path, BAND, path, engine=NATIVE, grid=grid, flares="keep")
    found = mosaic_events(observation, BAND, engine=NATIVE, grid=grid, flares="keep")
    assert found.notes == ("0001730201 mos1 S001: a raw event list is used with its flares (flares='keep')",)
    image, header = fits.getdata(path, header=True)
    assert not found.grid.difference(grid_of(header, path.name))
    assert np.array_equal(found.data, image)
    assert found.lists[0].outside == 0


def selected_in(exposure):
    """Count the selected events of a simulated list with astropy, wherever they lie."""
    events = fits.getdata(exposure.events.path, "EVENTS")
    flags = events["FLAG"] == 0 if exposure.instrument == "pn" else (events["FLAG"] & 0x766B0000) == 0
    pattern = events["PATTERN"] <= (4 if exposure.instrument == "pn" else 12)
    return int(np.sum((events["PI"] >= BAND.lo_ev) & (events["PI"] <= BAND.hi_ev) & flags & pattern))


def test_every_selected_event_counts_once(observations, images):
    found = mosaic_events(observations, BAND, engine=NATIVE)
    assert [(b.obs_id, b.instrument) for b in found.lists] == [(o.obs_id, e.instrument) for o, e, _, _ in images]
    assert found.data.sum() == sum(b.inside for b in found.lists)
    # the grid holds all images, so what they count is here too; the lists know what lies beside them
    for binned, (_, exposure, image, _) in zip(found.lists, images, strict=True):
        assert binned.inside >= image.sum()
        assert binned.inside + binned.outside == selected_in(exposure)
    huge = attrs.evolve(found.grid, nx=1600, ny=1600, crpix1=found.grid.crpix1 + 500, crpix2=found.grid.crpix2 + 500)
    assert mosaic_events(observations, BAND, engine=NATIVE, grid=huge).data.sum() == sum(
        selected_in(e) for _, e, _, _ in images
    )


def test_lists_add_up_and_their_order_does_not_matter(observations):
    found = mosaic_events(observations, BAND, engine=NATIVE)
    alone = [
        mosaic_events(only(o, e), BAND, engine=NATIVE, grid=found.grid).data for o in observations for e in o.exposures
    ]
    assert np.array_equal(found.data, sum(alone))
    backwards = mosaic_events(tuple(observations)[::-1], BAND, engine=NATIVE)
    assert backwards == found


def test_the_grid_is_that_of_the_mosaic_of_images(observations, images):
    for reference in (None, observations[1].obs_id):
        found = mosaic_events(observations, BAND, engine=NATIVE, reference=reference)
        ordered = sorted(images, key=lambda i: i[0].obs_id != reference)
        _, grid = mosaic([i[3] for i in ordered], [i[2] for i in ordered])
        assert not found.grid.difference(grid)
        assert found.lists[0].obs_id == (reference or observations[0].obs_id)


def test_it_differs_from_the_resampled_mosaic_by_what_sampling_does(observations, images):
    """A resampled count lies within one pixel of where it belongs, and counts as often as its pixel was taken."""
    found = mosaic_events(observations, BAND, engine=NATIVE)
    resampled, _ = mosaic([i[3] for i in images], [i[2] for i in images], found.grid)
    taken_oddly = 0
    for _, _, image, grid in images:
        number = np.arange(image.size).reshape(image.shape) + 1
        sampled, _ = mosaic([grid], [number], found.grid)
        often = np.bincount(sampled.ravel(), minlength=image.size + 1)[1:]
        taken_oddly += int((np.abs(often - 1) * image.ravel()).sum())
        once = sampled[np.isin(sampled, np.flatnonzero(often == 1) + 1)]
        assert once.size > 0.99 * image.size
    outside_of_images = int(found.data.sum()) - sum(int(i[2].sum()) for i in images)
    assert abs(int(resampled.sum()) - int(found.data.sum())) <= taken_oddly + outside_of_images
    assert taken_oddly < 0.005 * found.data.sum()
    # a count may not move by more than one pixel: no pixel holds counts where none are around it
    around = maximum_filter(found.data, size=3) > 0
    assert not np.any((resampled > 0) & ~around)
    # and in areas much larger than a pixel both say the same, within the counts on the rim
    wide = [uniform_filter(d.astype(float), 32) for d in (found.data, resampled)]
    assert np.abs(wide[0] - wide[1]).max() < 6 * np.sqrt(4 * 32 * found.data.max()) / 32**2


def test_a_selection_of_ones_own(observations):
    (first,) = [only(observations[0], e) for e in observations[0].exposures[:1]]
    events = fits.getdata(first.exposures[0].events.path, "EVENTS")
    found = mosaic_events(first, BAND, engine=NATIVE, selection="PATTERN == 0")
    wanted = (events["PATTERN"] == 0) & (events["PI"] >= 500) & (events["PI"] <= 2000)
    assert found.lists[0].inside + found.lists[0].outside == wanted.sum()
    with pytest.raises(xp.ExpressionError):
        mosaic_events(first, BAND, engine=NATIVE, selection="PATTERN ==")


class Filtering:
    """An engine that is not the native one: it gets evselect commands."""

    identity = "other"

    def __init__(self):
        self.commands = []

    def execute(self, command, folder):
        self.commands.append(command)
        return NATIVE.execute(command, folder)


def test_another_engine_filters_the_lists(observations):
    engine = Filtering()
    found = mosaic_events(observations, BAND, engine=engine)
    assert found.data.sum() > 0
    native = mosaic_events(observations, BAND, engine=NATIVE)
    assert np.array_equal(found.data, native.data)
    assert found == native
    assert len(engine.commands) == len(native.lists)
    assert all(c.task == "evselect" and c.parameter("filteredset") == "selected.fits" for c in engine.commands)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # evselect says that nothing is selected
        none = mosaic_events(observations, BAND, engine=engine, selection="PATTERN == 99")
    assert none.data.sum() == 0
    assert {b.outside for b in none.lists} == {0}


def test_it_can_be_written_and_read(observations, tmp_path):
    found = mosaic_events(observations, BAND, engine=NATIVE)
    write_image(tmp_path / "m.fits", found.data, found.grid, found.cards)
    data, header = fits.getdata(tmp_path / "m.fits", header=True)
    assert np.array_equal(data, found.data)
    assert not grid_of(header, "m.fits").difference(found.grid)
    assert is_mosaic(header)
    assert band_of_image(header) == BAND
    assert header["EMSNUM"] == len(found.lists)
    assert header["EMSCN001"] == found.lists[0].inside
    assert header["EXPMEANS"].startswith("no EXPOSURE")


def test_it_is_measured_with_the_mosaic_of_exposure_maps(observations, tmp_path):
    """Written and paired by `rate_map`, its counts in a circle are those of its own pixels, its rate per second."""
    target = default_scene().cluster.target
    field = xp.match_observations(target, observations)
    run = xp.run(xp.plan_mosaics(field, BAND), engine=NATIVE, store=tmp_path / "s", progress=False)
    exposure = xp.combined_rate_map(run).exposure
    found = mosaic_events(field, BAND, engine=NATIVE)
    path = xp.write_fits(found, tmp_path / "events.fits")
    rate_map = xp.rate_map(path, exposure.path, band=BAND, name="epic-events", obs_id="sum")
    assert np.array_equal(rate_map.counts, np.where(exposure.data > 0, found.data, 0))
    measured = xp.snr(rate_map, field, "2 arcmin")
    inside = xp.source_mask(rate_map, field, "2 arcmin")[0]
    assert measured.counts == found.data[inside & (exposure.data > 0)].sum() > 100
    assert measured.value > 5


def test_the_record_is_a_value(observations):
    found = mosaic_events(observations[0], BAND, engine=NATIVE)
    assert pickle.loads(pickle.dumps(found)) == found
    assert hash(found) == hash(attrs.evolve(found))
    other = found.data.copy()
    other[0, 0] += 1
    assert attrs.evolve(found, data=other) != found
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.band = BAND
    assert "data" not in repr(found)
    assert isinstance(found, EventMosaic)


def test_fields_and_what_has_no_list(observations):
    target = xp.point_source("x", observations[0].ra_deg, observations[0].dec_deg, radius=0.01 * u.deg)
    field = xp.match_observations(target, observations)
    assert mosaic_events(field, BAND, engine=NATIVE) == mosaic_events(field.observations, BAND, engine=NATIVE)
    exposures = list(observations[0].exposures)
    exposures[0] = attrs.evolve(exposures[0], events=None)
    found = mosaic_events(attrs.evolve(observations[0], exposures=exposures), BAND, engine=NATIVE)
    lacking = f"{observations[0].obs_id} {exposures[0].instrument} {exposures[0].exposure_id}"
    assert found.left_out == ((lacking, "no event list was found"),)
    assert len(found.lists) == len(exposures) - 1


def test_bad_input_is_refused(observations, tmp_path):
    with pytest.raises(xp.PlanError, match="has an event list"):
        mosaic_events([attrs.evolve(observations[0], exposures=[])], BAND, engine=NATIVE)
    with pytest.raises(xp.PlanError, match="has an event list"):
        mosaic_events([], BAND, engine=NATIVE)
    with pytest.raises(xp.PlanError, match="the reference '0000000000'"):
        mosaic_events(observations, BAND, engine=NATIVE, reference="0000000000")
    with pytest.raises(xp.PlanError, match="there twice"):
        mosaic_events([observations[0], observations[0]], BAND, engine=NATIVE)
    with pytest.raises(xp.InvalidRecord, match="engine"):
        mosaic_events(observations, BAND, engine=None)
    with pytest.raises(xp.PlanError, match="needs X and Y"):
        grid = xp.ImageGrid(x_column="DETX", x_range=(1, 100), y_range=(1, 100))
        mosaic_events(observations, BAND, engine=NATIVE, grid=grid)
    first = observations[0].exposures[0]
    for name, change in (("cut.fits", "cut"), ("sine.fits", "sine"), ("blind.fits", "blind")):
        path = tmp_path / name
        _spoil(Path(first.events.path), path, change)
        spoilt = attrs.evolve(first, events=attrs.evolve(first.events, path=str(path)))
        with pytest.raises(xp.InvalidFile, match=name.replace(".", r"\.")):
            mosaic_events(only(observations[0], spoilt), BAND, engine=NATIVE)


def _spoil(source, path, change):
    raw = source.read_bytes()
    if change == "cut":
        path.write_bytes(raw[: len(raw) // 3])
        return
    old, new = {"sine": (b"RA---TAN", b"RA---SIN"), "blind": (b"'X       '", b"'Q       '")}[change]
    assert old in raw
    path.write_bytes(raw.replace(old, new))


def test_illegal_positions_lie_outside(observations, tmp_path):
    first = observations[0].exposures[0]
    path = tmp_path / "events.fits"
    with fits.open(first.events.path) as hdus:
        events = hdus["EVENTS"].data
        events["X"][:50] = -99999999
        hdus.writeto(path)
    spoilt = attrs.evolve(first, events=attrs.evolve(first.events, path=str(path)))
    found = mosaic_events(only(observations[0], spoilt), BAND, engine=NATIVE)
    whole = mosaic_events(only(observations[0], first), BAND, engine=NATIVE)
    assert found.lists[0].inside + found.lists[0].outside == whole.lists[0].inside + whole.lists[0].outside
    assert 0 < whole.lists[0].inside - found.lists[0].inside <= 50
    one = PixelGrid.from_sky_range(10.0, 20.0)
    assert mosaic_events(only(observations[0], first), BAND, engine=NATIVE, grid=one).data.sum() == 0
