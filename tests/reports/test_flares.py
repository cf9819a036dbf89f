"""What cuts of flares kept and left, in the table of a report."""

import csv
import math

import astropy.units as u
import pytest
from astropy.io import fits
from attrs import evolve

import xphotfn as xp
from xphotfn.records.light_curve import FlareCut
from xphotfn.reports.page_records import TargetReport
from xphotfn.testing import default_scene, simulate_observations

BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on a raw list of 6 ks with flares, and its report."""
    pointing = default_scene().pointings[0]
    camera = evolve(pointing.exposure("mos2"), ontime_s=6000.0, cleaned=False)
    scene = evolve(default_scene(), pointings=[evolve(pointing, exposures=[camera])])
    truth = simulate_observations(tmp_path_factory.mktemp("raw"), scene=scene, products="events")
    field = xp.match_observations(truth.cluster.target, xp.find_observations(truth.folder))
    store = tmp_path_factory.mktemp("store")
    run = xp.run(xp.plan_photometry(field, BAND), engine=xp.native_engine(), store=store, progress=False, workers=1)
    return run, xp.report(run, tmp_path_factory.mktemp("report") / "r", progress=False)


def test_columns_hold_what_the_table_of_good_time_says(made):
    run, index = made
    (table,) = [o.path for d in run.done for o in d.outputs if o.name.endswith("_gti.fits")]
    cards = fits.getheader(table, "STDGTI")
    with (index.parent / "targets.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["time_kept"]) == pytest.approx(cards["FLKEPT"] / cards["FLTOTAL"])
    assert float(row["flare_residual"]) == pytest.approx(cards["FLRESID"])
    text = index.read_text(encoding="utf-8")
    assert 'data-key="residual"' in text
    assert f'class="residual" data-v="{cards["FLRESID"]:.6g}"' in text


def test_without_a_cut_there_is_no_column(sample_report):
    text = (sample_report / "index.html").read_text(encoding="utf-8")
    assert 'data-key="residual"' not in text
    assert 'data-key="onchip"' in text


def test_a_cut_that_cannot_be_read_sinks_nothing(made, tmp_path):
    run, _ = made
    broken = tmp_path / "gti.fits"
    broken.write_text("no table")
    tasks = {s.id: s.command.task for s in run.plan.steps}
    outcomes = [
        evolve(o, outputs=[evolve(o.outputs[0], path=str(broken))]) if tasks[o.step] == "flarecut" else o
        for o in run.outcomes
    ]
    index = xp.report(evolve(run, outcomes=outcomes), tmp_path / "r", progress=False)
    assert 'data-key="residual"' not in index.read_text(encoding="utf-8")


def test_several_lists_are_summed_and_the_worst_is_named(made):
    field = made[0].plan.fields[0]
    cut = FlareCut(goal="quiet", rate=2, quiet=1, quiet_error=0.1, kept_s=30.0, total_s=100.0, residual=0.02)
    others = [evolve(cut, kept_s=50.0, residual=0.3), evolve(cut, kept_s=10.0, residual=math.nan)]
    shown = TargetReport(slug="a", field=field, region="r", cuts=[cut, *others])
    assert (shown.kept, shown.residual) == (pytest.approx(0.3), 0.3)
    empty = evolve(shown, cuts=())
    assert math.isnan(empty.kept)
    assert math.isnan(empty.residual)
