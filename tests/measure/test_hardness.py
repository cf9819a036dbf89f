"""Hardness ratios of tables: the counts of two bands at one centre, in tables as photometry made and read back."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table, vstack
from attrs import evolve

import xphotfn as xp
from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.testing.examples import example_rate_map

SOFT, HARD, HARDEST = (xp.energy_band(lo * u.keV, hi * u.keV) for lo, hi in ((0.5, 2), (2, 5), (5, 10)))
RING = (60 * u.arcsec, 90 * u.arcsec)
PLACES = [[149.591375, 149.68, 10.0], [-11.0887, -11.15, 10.0]] * u.deg


def in_band(item, band):
    return evolve(item, image=evolve(item.image, band=band), exposure=evolve(item.exposure, band=band))


@pytest.fixture(scope="module")
def maps():
    return [in_band(example_rate_map(), band) for band in (HARDEST, SOFT, HARD)]


def test_the_ratio_is_that_of_the_counts(maps):
    table = xp.photometry(maps[:2], PLACES.T, 20 * u.arcsec, background=RING, psf="epic")
    result = xp.hardness_ratios(table)
    assert list(result["position"]) == [0, 1, 2]
    assert set(result["soft_band"]) == {"0.5-2 keV"}
    for row, soft, hard in zip(result[:2], table[3:5], table[:2], strict=True):
        sides = [
            (r["counts"].value, r["background_counts"].value, r["alpha"],
             r["enclosed_fraction"] * r["exposure_mean"].value, r["ring_fraction"] * r["exposure_mean"].value)
            for r in (soft, hard)
        ]  # fmt: skip
        expected = [float(v) for v in xp.hardness_ratio(*sides)]
        assert [row["hardness_low"], row["hardness"], row["hardness_high"]] == pytest.approx(expected)
        assert row["soft_rate"] == soft["rate"]
    assert np.isnan(result["hardness"][2])
    assert result["flags"][2] & int(xp.ApertureFlag.OFF_IMAGE)


@pytest.mark.parametrize("overlap", ["centre", "exact"])
@pytest.mark.parametrize("psf", [None, "epic"])
def test_every_kind_of_table_gives_about_the_ratio_of_its_rates(maps, overlap, psf):
    table = xp.photometry(maps, PLACES.T[:1], 20 * u.arcsec, background=RING, psf=psf, overlap=overlap)
    result = xp.hardness_ratios(table)
    assert list(result["hard_band"]) == ["2-5 keV", "5-10 keV"]
    for row in result:  # equal counts: 0, but for the profile, which changes with energy
        s, h = row["soft_rate"].value, row["hard_rate"].value
        assert row["hardness"] == pytest.approx((h - s) / (h + s), abs=0.005)
        assert 0.02 < row["hardness_high"] - row["hardness_low"] < 0.1


def test_a_table_from_a_file_gives_the_same(maps, tmp_path):
    table = xp.photometry(maps, PLACES.T, 20 * u.arcsec, background=RING)
    whole = xp.hardness_ratios(table, bands=[(SOFT, HARDEST)], prior=0.5, confidence=0.9)
    assert whole.meta["PRIOR"] == 0.5
    for name, reader in (("table.ecsv", QTable), ("table.csv", Table)):
        table.write(tmp_path / name)
        again = xp.hardness_ratios(reader.read(tmp_path / name), bands=[(SOFT, HARDEST)], prior=0.5, confidence=0.9)
        np.testing.assert_allclose(again["hardness"], whole["hardness"], atol=1e-9)


@pytest.mark.parametrize(("name", "form"), [("table.csv", "csv"), ("table.vot", "votable")])
def test_a_table_of_another_telescope_can_be_read_back(maps, tmp_path, name, form):
    """Its exposures have no identifier: files give back a masked column, of integers in CSV."""
    other = [evolve(m, image=evolve(m.image, exposure_id=""), exposure=evolve(m.exposure, exposure_id=""))
             for m in maps[:2]]  # fmt: skip
    table = xp.photometry(other, PLACES.T[:1], 20 * u.arcsec, background=RING)
    table.write(tmp_path / name, format=form)
    read = Table.read(tmp_path / name, format=form)
    assert xp.hardness_ratios(read)["hardness"][0] == pytest.approx(xp.hardness_ratios(table)["hardness"][0])
    assert xp.joint_photometry(read)["rate"][0] == xp.joint_photometry(table)["rate"][0]


def test_a_camera_without_a_band_has_no_ratio(maps):
    other = evolve(maps[1], image=evolve(maps[1].image, instrument="mos1"),
                   exposure=evolve(maps[1].exposure, instrument="mos1"))  # fmt: skip
    table = xp.photometry([*maps[:2], other], PLACES.T[:1], 20 * u.arcsec, background=RING)
    result = xp.hardness_ratios(table)
    assert dict(zip(result["instrument"], np.isfinite(result["hardness"]), strict=True)) == {"pn": True, "mos1": False}


@pytest.mark.parametrize(
    ("bands", "error", "words"),
    [
        ([(SOFT, xp.energy_band("1 keV", "5 keV"))], ProductMissing, "it has 0.5-2 keV, 2-5 keV"),
        ([(HARD, SOFT)], InvalidRecord, "must lie below"),
        ([(SOFT,)], InvalidRecord, "pairs"),
        ([("soft", "hard")], InvalidRecord, "energy_band"),
    ],
)
def test_pairs_that_are_none_are_refused(maps, bands, error, words):
    table = xp.photometry(maps, PLACES.T[:1], 20 * u.arcsec, background=RING)
    with pytest.raises(error, match=words):
        xp.hardness_ratios(table, bands=bands)


def test_tables_that_have_no_ratio_are_refused(maps):
    one = xp.photometry(maps[0], PLACES.T[:1], 20 * u.arcsec, background=RING)
    with pytest.raises(ProductMissing, match="two bands"):
        xp.hardness_ratios(one)
    with pytest.raises(ProductMissing, match="photometry"):
        xp.hardness_ratios(Table({"counts": [1]}))
    with pytest.raises(InvalidRecord, match="there twice"):
        xp.hardness_ratios(xp.photometry([*maps[:2], maps[0]], PLACES.T[:1], 20 * u.arcsec, background=RING))
    whole = in_band(maps[0], xp.energy_band("1 keV", "8 keV"))
    wide = xp.photometry(whole, PLACES.T[:1], 20 * u.arcsec, background=RING)
    with pytest.raises(InvalidRecord, match="bands overlap"):
        xp.hardness_ratios(vstack([one, wide], metadata_conflicts="silent"))
    other = xp.photometry(maps[1], PLACES.T[:1], 30 * u.arcsec, background=(2, 3))
    with pytest.raises(InvalidRecord, match="whose light differs"):
        xp.hardness_ratios(vstack([one, other], metadata_conflicts="silent"))
