"""Lists that are not cleaned: flares between the good times, and a file of intervals that cuts them out."""

import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve

import xphotfn as xp
from xphotfn.commands.builders import eexpmap, evselect_image
from xphotfn.engines.native.eexpmap.eexpmap_task import eexpmap as make_map
from xphotfn.engines.native.evselect.evselect_task import evselect
from xphotfn.simulate.photons import flare_intervals, good_intervals
from xphotfn.simulate.scene import SOFT
from xphotfn.testing import default_scene, model_counts, simulate_observations

GOOD = "#XMMEA_EM && PATTERN <= 12 && (PI in [500:2000])"


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    pointing = default_scene().pointings[0]
    camera = evolve(pointing.exposure("mos2"), ontime_s=2000.0, cleaned=False)
    scene = evolve(default_scene(), pointings=[evolve(pointing, exposures=[camera])])
    return simulate_observations(tmp_path_factory.mktemp("flares"), scene=scene, products="events")


@pytest.fixture(scope="module")
def folder(truth):
    from pathlib import Path

    return Path(truth.folder) / truth.scene.pointings[0].obs_id


def names(truth):
    return [name.split("/")[1] for name in truth.files]


def which(truth):
    pointing = truth.scene.pointings[0]
    return pointing, pointing.exposures[0]


def image(folder, name, expression):
    evselect(evselect_image("0999990101_mos2_evts.fits", name, expression=expression), folder)
    return fits.getdata(folder / name), fits.getheader(folder / name)


def test_files_are_found_and_the_intervals_lie_beside_the_list(truth, folder):
    assert names(truth) == [
        "0999990101_mos2_evts.fits",
        "0999990101_mos2_gti.fits",
        "P0999990101OBX000ATTTSR0000.FIT",
        "0999990101_sources.reg",
    ]
    (observation,) = xp.find_observations(folder)
    assert observation.exposures[0].events.path.endswith("_evts.fits")
    table = fits.getdata(folder / "0999990101_mos2_gti.fits", 1)
    assert np.allclose(
        np.column_stack([table["START"], table["STOP"]]), good_intervals(*which(truth)), rtol=0, atol=1e-6
    )


def test_the_rate_rises_in_the_flares_and_only_there(truth, folder):
    """Counts in the middle of each flare against the good time, from what the scene says of both."""
    events = fits.getdata(folder / "0999990101_mos2_evts.fits", "EVENTS")
    times = events["TIME"][(events["PI"] >= 500) & (events["PI"] <= 2000) & (events["FLAG"] == 0)]
    good = sum(np.count_nonzero((times >= a) & (times < b)) for a, b in good_intervals(*which(truth)))
    quiet = good / which(truth)[1].ontime_s
    model = model_counts(truth.scene, *[which(truth)[0], "mos2"], SOFT)
    assert quiet * which(truth)[1].ontime_s == pytest.approx(model.total.sum(), abs=5 * model.total.sum() ** 0.5)
    for start, stop in flare_intervals(*which(truth)):
        third = (stop - start) / 3
        counts, _ = np.histogram(times, np.array([start, start + third, stop - third, stop]))
        assert counts[1] > 1.5 * counts[0]
        assert counts[1] > 1.5 * counts[2]
        assert counts[1] / third > 3 * quiet


def test_the_intervals_cut_the_flares_out(truth, folder):
    """The image of the good times has the counts and the exposure of the model; the whole one has more of both."""
    counts, header = image(folder, "good.fits", f"{GOOD} && gti(0999990101_mos2_gti.fits,TIME)")
    everything, all_header = image(folder, "all.fits", GOOD)
    model = model_counts(truth.scene, which(truth)[0], "mos2", SOFT)
    expected = float(model.total.sum())
    assert abs(counts.sum() - expected) < 4 * expected**0.5
    assert everything.sum() > 1.5 * counts.sum()
    on_time = which(truth)[1].ontime_s
    assert header["EXPOSURE"] == pytest.approx(on_time, rel=1e-6)
    lost = sum(b - a for a, b in flare_intervals(*which(truth)))
    assert all_header["EXPOSURE"] == pytest.approx(on_time + lost, rel=1e-6)
    make_map(
        eexpmap(
            "good.fits", "P0999990101OBX000ATTTSR0000.FIT", "0999990101_mos2_evts.fits", "exp.fits", band=(500, 2000)
        ),
        folder,
    )
    exposure = fits.getdata(folder / "exp.fits")
    inner = model.exposure > 0.5 * model.exposure.max()
    assert np.median(exposure[inner] / model.exposure[inner]) == pytest.approx(1, abs=5e-3)
