"""The place that was asked for, on real observations of Abell 907: on the command line, in reports and summaries."""

import csv
import json

import astropy.units as u
import pytest
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main

POINT = ("149.6725", "-11.073")


def call(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


@pytest.fixture(scope="module")
def store(data_root, tmp_path_factory):
    return data_root / "a907", tmp_path_factory.mktemp("place") / "store"


def rows_of(store, *words):
    root, kept = store
    result = call("snr", root, "--store", kept, "--json", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), result.stderr


@pytest.mark.parametrize("kind", [(), ("--kind", "point")])
def test_a_point_source_is_measured_where_it_is_and_not_masked(store, kind):
    """A source of 60 sigma, 5 arcmin from the cluster, in a red region of each observation."""
    rows, said = rows_of(store, "--ra", POINT[0], "--dec", POINT[1], "--radius", "20arcsec", *kind)
    assert rows[-1]["instrument"] == "combined"
    assert rows[-1]["snr"] > 55
    for row in rows:
        assert (row["ra"], row["dec"]) == tuple(map(float, POINT))
        assert (row["offset_arcsec"], row["centre"]) == (0, "given")
    assert "note: measured at the position that was given" in said
    assert ("every region that holds it belongs" in said) == (not kind)


def test_declared_extended_its_red_regions_are_those_of_others(store):
    rows, _ = rows_of(store, "--ra", POINT[0], "--dec", POINT[1], "--radius", "20arcsec", "--kind", "extended")
    assert rows[-1]["snr"] < 25


def test_snr_report_and_info_measure_at_one_place_in_both_bands(store, tmp_path):
    words = ["--ra", "149.59209", "--dec", "-11.05972", "--redshift", "0.16", "--radius", "1200kpc"]
    rows, said = rows_of(store, *words, "--band", "0.5-2keV", "--band", "2-10keV")
    assert "taken as a cluster" in said
    assert "note: measured at the X-ray peak, 15." in said
    assert {row["centre"] for row in rows} == {"peak"}
    assert len({(row["ra"], row["dec"], row["offset_arcsec"]) for row in rows}) == 1, "one centre for all bands"
    combined = [row for row in rows if row["instrument"] == "combined"]
    run = xp.load_run(store[1])
    assert call("report", store[1], "-o", tmp_path / "report").exit_code == 0
    with (tmp_path / "report/targets.csv").open(newline="") as stream:
        shown = list(csv.DictReader(stream))
    assert [float(r["snr"]) for r in shown] == [row["snr"] for row in combined]
    assert [float(r["centre_ra_deg"]) for r in shown] == [row["ra"] for row in combined]
    assert {r["flags"] for r in shown} == {"moved"}
    maps = [xp.combined_rate_map(run, band=band) for band in (xp.energy_band("0.5 keV", "2 keV"),)]
    (field,) = run.plan.fields
    centred = xp.with_centre(field, xp.find_centre(maps, field))
    text = xp.info(centred, run=run)
    assert text["Radius SNR 0.5-2 keV"] == f"{combined[0]['snr']:.2f}"
    assert text["Centre"].endswith(f"{combined[0]['offset_arcsec']:.1f} arcsec from the coordinates")
    stayed, _ = rows_of(store, *words, "--no-peak")
    assert call("report", store[1], "-o", tmp_path / "stayed", "--no-peak").exit_code == 0
    with (tmp_path / "stayed/targets.csv").open(newline="") as stream:
        row = next(row for row in csv.DictReader(stream) if row["band_kev"] == "0.5-2")
    assert (float(row["snr"]), float(row["centre_ra_deg"])) == (stayed[-1]["snr"], 149.59209)
    assert (stayed[-1]["ra"], stayed[-1]["centre"]) == (149.59209, "given")


def test_the_anchored_peak_is_that_of_the_tutorial(a907):
    centre = xp.find_centre(a907.combined, a907.field)
    assert (centre.reason, centre.peak) == ("peak", a907.peak)
    assert centre.position.value == pytest.approx([149.59251340970866, -11.063958320861634], abs=1e-8)


def test_a_radius_as_text_is_its_quantity(a907):
    for region in ("300 kpc", 300 * u.kpc):
        measured = xp.snr(a907.combined, a907.centred, region, method="xga")
        assert float(measured) == pytest.approx(206.61225573609303, rel=1e-9)
