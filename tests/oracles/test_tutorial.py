"""The tutorial's printed numbers, on the tutorial's own observations, and the same under every other definition."""

import runpy

import astropy.units as u
import numpy as np
import pytest
from astropy.units import Quantity
from toolz import pipe

import xphotfn as xp
from xphotfn import curried as xc
from xphotfn.science.snr_methods import METHODS

RANKING = (
    ("0201901401", "mos1", "71.88691358"),
    ("0201901401", "mos2", "71.90096549"),
    ("0201901401", "pn", "88.79940544"),
    ("0201903501", "mos1", "94.18597822"),
    ("0201903501", "mos2", "96.22761135"),
    ("0404910601", "mos2", "108.10871705"),
    ("0404910601", "mos1", "108.73900404"),
    ("0404910601", "pn", "114.58252691"),
    ("0201903501", "pn", "124.73613614"),
)
USER = Quantity([149.59209, -11.05972], u.deg)


def maps_of_0404910601(a907):
    maps = [m for m in a907.maps if m.obs_id == "0404910601"]
    return [*maps, *(m.image for m in maps), *(m.exposure for m in maps)]


def test_coordinates_on_any_map_of_0404910601(a907):
    products = maps_of_0404910601(a907)
    assert len(products) == 18
    for product in products:
        deg = xp.coord_conv(product, Quantity([100, 100], "pix"), "deg")
        assert [round(v, 8) for v in deg.value] == pytest.approx([149.782975, -11.27656289], abs=1e-8)
        assert xp.coord_conv(product, Quantity([100, 100], "pix"), "xmm_sky").value.tolist() == [12392, 12392]
        sky = Quantity([15000, 15000], xp.xmm_sky)
        assert xp.coord_conv(product, sky, "pix").value.tolist() == [130, 130]
        assert xp.coord_conv(product, sky, "deg").value == pytest.approx([149.74602109, -11.24036252], abs=5e-9)
        assert xp.coord_conv(product, USER, "pix").value.tolist() == [255, 280]
        peak = Quantity([149.59251341, -11.06395832], u.deg)
        assert xp.coord_conv(product, peak, u.pix).value.tolist() == [255, 276]


def test_counts_and_exposure_at_the_user_position(a907):
    soft = xp.select(a907.maps, obs_id="0404910601", instrument="pn", band=a907.soft)
    hard = xp.select(a907.maps, obs_id="0404910601", instrument="pn", band=a907.hard)
    assert (xp.counts_at(soft, USER).value, xp.counts_at(hard, USER).value) == (23, 8)
    assert xp.exposure_at(soft, USER).value == pytest.approx(4985.9956, abs=5e-5)
    assert xp.exposure_at(hard, USER).value == pytest.approx(4978.3926, abs=5e-5)
    assert pytest.approx(31) == 0.006222707412880577 * 4981.75439453125
    assert xp.rate_at(soft, USER).to_value("ct/s") == pytest.approx(23 / xp.exposure_at(soft, USER).value)


def test_products_as_the_tutorial_prints_them(a907):
    pn = xp.select(a907.maps, obs_id="0404910601", instrument="pn", band=a907.soft)
    assert pn.header["OBSERVER"] == "Prof Hans Boehringer"
    assert (pn.target, pn.obs_id, pn.instrument, pn.exposure_id) == ("A907", "0404910601", "pn", "S003")
    assert pn.path.endswith("0404910601_pn_0.50-2.00keV_img.fits.gz")
    assert pn.data.shape == (512, 512)
    assert not pn.data.flags.writeable
    assert not pn.image.data.flags.writeable


def test_regions_and_observations(a907):
    members = a907.field.members
    assert [len(m.regions) for m in members] == [16, 32, 21]
    assert [m.match.colour for m in members] == ["green"] * 3
    assert not any(m.alternates or m.kept for m in members)
    assert sum(len(m.interlopers) for m in members) == 66
    assert all(m.on_axis for m in members)
    summary = xp.info(a907.field)
    names = ("XMM ObsIDs", "PN observations", "MOS1 observations", "MOS2 observations", "On-axis")
    assert [summary[n] for n in names] == ["3"] * 5


def test_ranking_to_every_printed_digit(a907):
    soft = [m for m in a907.maps if m.band == a907.soft]
    table = xp.snr_ranking(soft, a907.centred, "r500", method="xga")
    got = [(r["obs_id"], r["instrument"], f"{r['snr']:.8f}") for r in table]
    assert got == list(RANKING)


def test_combined_snr(a907):
    assert float(xp.snr(a907.combined, a907.centred, "r500", method="xga")) == pytest.approx(
        251.61136957214998, rel=1e-9
    )
    assert float(xp.snr(a907.combined, a907.centred, 300 * u.kpc, method="xga")) == pytest.approx(
        206.61225573609303, rel=1e-9
    )


def test_info_prints_the_tutorials_snr(a907):
    text = xp.info(a907.centred, run=a907.run, method="xga")
    assert text["R200 SNR 0.5-2 keV"] == "230.23"
    assert text["R500 SNR 0.5-2 keV"] == "251.61"
    assert "251.61" in text._repr_html_()
    assert "251.61" in str(text)


def test_peak(a907):
    assert a907.peak.position.value == pytest.approx([149.59251340970866, -11.063958320861634], abs=1e-8)
    assert a907.peak.method == "clustering"
    assert not a907.peak.near_edge
    assert a907.centred.centre.value.tolist() == a907.peak.position.value.tolist()
    assert a907.field.centre.value.tolist() == USER.value.tolist()


def test_the_journey_as_a_pipe(data_root, a907, tmp_path):
    run = pipe(
        data_root / "a907",
        xp.find_observations,
        xc.match_observations(a907.target),
        xc.plan_photometry(band_or_bands=a907.soft, reference="0404910601"),
        xc.run(engine=xp.native_engine(), store=tmp_path, progress=False),
        xp.raise_for_failures,
    )
    value = pipe(run, xp.combined_rate_map, xc.snr(field=a907.centred, region="r500", method="xga"), float)
    assert value == pytest.approx(251.61136957214998, rel=1e-9)


def test_default_significance_of_the_cluster_is_signed_and_large(a907):
    measured = xp.snr(a907.combined, a907.centred, "r500")
    assert measured.method == "mid-p"
    assert 100 < measured.value < 251
    assert measured.net_counts == pytest.approx(measured.counts - measured.alpha * measured.background_counts)
    inner = np.asarray(xp.mask(a907.combined, a907.centred, "r500")[0])
    assert measured.counts == a907.combined.image.data[inner].sum()


# the nine maps under every definition, as docs/statistics.md prints them


@pytest.fixture(scope="module")
def script(project_root):
    return runpy.run_path(str(project_root / "benchmarks" / "methods_on_a907.py"))


@pytest.fixture(scope="module")
def rows(script, a907):
    soft = [m for m in a907.maps if m.band == a907.soft]
    assert len(soft) == 9
    return [*script["ranked"](soft, a907.centred), *script["ranked"]([a907.combined], a907.centred)]


def test_the_page_holds_what_the_maps_give(script, rows, a907, project_root):
    page = (project_root / "docs" / "statistics.md").read_text(encoding="utf-8")
    for table in (script["values_table"](rows), script["steps_table"](rows), script["masks_table"](rows, a907.centred)):
        assert table in page


def test_the_table_is_of_definitions_that_there_are(script):
    named = {getattr(method, "name", method) for method in script["METHODS"].values()}
    assert {"mid-p", "xga"} < named <= set(METHODS)


def test_the_steps_lead_from_xga_to_the_default(script, rows):
    for _, values, _ in rows:
        changes = script["steps"](values)
        assert values["xga"] + sum(changes.values()) == pytest.approx(values["mid-p"], abs=1e-9)
        assert changes["clipping"] < -10
        assert changes["background variance"] < -6
        assert abs(changes["whole counts"]) < 0.02


def test_clipping_is_the_sum_of_the_negative_pixels(script, rows, a907):
    """Written out for each map: what is set to 0, over the root of all counts."""
    for item, values, _ in rows:
        source, background = xp.mask(item, a907.centred, "r500")
        counts, exposure = item.image.data.astype(float), item.exposure.data.astype(float)
        background = background & (exposure > 0)
        net = (counts - exposure * (counts[background] / exposure[background]).mean())[source]
        expected = net[net < 0].sum() / counts[source].sum() ** 0.5
        assert script["steps"](values)["clipping"] == pytest.approx(expected, rel=1e-9)
