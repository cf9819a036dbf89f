"""Every mask, coordinate, value, peak and signal-to-noise that XGA's own run recorded on the same files."""

import re

import astropy.units as u
import numpy as np
import pytest
from astropy.units import Quantity

import xphotfn as xp

OBS_IDS = ("0404910601", "0201901401", "0201903501")


def map_of(a907, obs_id, instrument="pn", band=None):
    if obs_id == "combined":
        return a907.combined
    return xp.select(a907.maps, obs_id=obs_id, instrument=instrument, band=band or a907.soft)


def test_every_mask(a907, oracle):
    names = [n for n in oracle.masks.files if not n.endswith("__shape")]
    assert len(names) == 88
    differing = {n: int((recorded(oracle, n) != ours(a907, n)).sum()) for n in names}
    assert {n: d for n, d in differing.items() if d} == {}


def recorded(oracle, name):
    shape = oracle.masks[name + "__shape"]
    return np.unpackbits(oracle.masks[name])[: np.prod(shape)].reshape(shape).astype(bool)


def ours(a907, name):
    who = name.rsplit(".", 1)[1]
    product = map_of(a907, who)
    field = a907.field if ".nopeak." in name else a907.centred
    if name.startswith("interloper"):
        return xp.interloper_mask(product, field)
    if name.startswith("custom_0.01deg"):
        return xp.custom_mask(product, field, outer=0.01 * u.deg, overlap="xga")
    if name.startswith("custom_300kpc"):
        return xp.custom_mask(product, field, outer=300 * u.kpc, overlap="xga")
    if name.startswith("custom_0.15-1r500_nointer"):
        r500 = a907.target.r500
        return xp.custom_mask(product, field, outer=r500, inner=0.15 * r500, remove_interlopers=False, overlap="xga")
    verb, region, part = name.split(".")[0].split("_")
    make = xp.source_mask if verb == "source" else xp.mask
    return make(product, field, 500 * u.kpc if region == "search" else region)[part == "bck"]


@pytest.mark.parametrize("who", [*OBS_IDS, "combined"])
def test_coordinates(a907, oracle, who):
    product, z = map_of(a907, who), oracle.coords
    pix = Quantity(z[f"{who}.pix"], "pix")
    deg = xp.coord_conv(product, pix, "deg")
    assert np.abs(deg.value - z[f"{who}.pix2deg"]).max() < 1e-9
    assert np.array_equal(xp.coord_conv(product, deg, "pix").value, z[f"{who}.pix2deg2pix"])
    assert np.array_equal(xp.coord_conv(product, Quantity(z[f"{who}.deg"], "deg"), "pix").value, z[f"{who}.deg_to_pix"])
    if who == "combined":
        with pytest.raises(xp.ShapeMismatch, match="no XMM sky coordinates"):
            xp.coord_conv(product, pix, "xmm_sky")
        return
    sky = xp.coord_conv(product, pix, xp.xmm_sky)
    assert np.abs(sky.value - z[f"{who}.pix2sky"]).max() < 1e-9
    assert np.array_equal(xp.coord_conv(product, sky, "pix").value, z[f"{who}.pix2sky2pix"])
    assert np.abs(xp.coord_conv(product, sky, "deg").value - z[f"{who}.sky2deg"]).max() < 1e-9
    assert np.abs(xp.coord_conv(product, deg, "xmm_sky").value - z[f"{who}.deg2sky"]).max() < 1e-6


def test_mosaic(a907, oracle):
    assert np.array_equal(a907.combined.image.data, oracle.combined["image"])
    assert np.array_equal(a907.combined.exposure.data, oracle.combined["expmap"])
    header = a907.combined.header
    for n in (1, 2):
        for card, name in (("CRPIX", "crpix"), ("CRVAL", "crval"), ("CDELT", "cdelt")):
            assert header[f"{card}{n}"] == pytest.approx(oracle.combined[name][n - 1], abs=1e-9)
    assert [header[f"EMSCA{n:03d}"] for n in (1, 4, 7)] == list(OBS_IDS)
    assert header["EMSCI001"] == "EPN"
    assert "CRVAL1L" not in header
    assert "DATE" not in header


@pytest.mark.parametrize(
    "name", [f"{o}.{i}.{b}" for o in OBS_IDS for i in ("pn", "mos1", "mos2") for b in ("0.5-2.0", "2.0-10.0")]
)
def test_values_of_each_map(a907, oracle, name):
    obs_id, instrument, band = name.split(".", 2)
    rate_map = map_of(a907, obs_id, instrument, a907.soft if band == "0.5-2.0" else a907.hard)
    check_values(rate_map, oracle.values["ratemap"][name], oracle.values["peak"]["value"])


def test_values_of_the_combined_map(a907, oracle):
    check_values(a907.combined, oracle.values["combined"], oracle.values["peak"]["value"])


def check_values(rate_map, want, peak):
    assert int(np.sum(xp.sensor_mask(rate_map))) == want["sensor_sum"]
    assert int(np.sum(~xp.edge_mask(rate_map))) == want["edge_zero"]
    assert rate_map.data.sum() == pytest.approx(want["rate_sum"], rel=1e-9)
    if "counts" in want:
        assert rate_map.image.data.sum() == want["counts"]
        assert rate_map.data.max() == pytest.approx(want["max"], rel=1e-12)
        assert list(np.unravel_index(rate_map.data.argmax(), rate_map.data.shape)) == want["argmax_yx"]
    for where, position in (("radec", [149.59209, -11.05972]), ("peak", peak)):
        at = Quantity(position, "deg")
        assert xp.coord_conv(rate_map, at, "pix").value.tolist() == want[f"pix.{where}"]["value"]
        assert xp.rate_at(rate_map, at).value == pytest.approx(want[f"rate.{where}"]["value"], rel=1e-9)
        assert xp.exposure_at(rate_map, at).value == pytest.approx(want[f"exp.{where}"]["value"], rel=1e-9)
        if f"count.{where}" in want:
            assert xp.counts_at(rate_map, at).value == want[f"count.{where}"]["value"]
        if f"near_edge.{where}" in want:
            assert xp.near_edge(rate_map, at) == want[f"near_edge.{where}"]


def test_every_snr(a907, oracle):
    checked = 0
    for name, want in oracle.values["snr"].items():
        found = re.fullmatch(
            r"(peak|nopeak)\.(r500|r200|300kpc|region)\.exp_corr=(True|False)\.allow_negative=(True|False)\."
            r"(?:(\d+)\.(\w+)|combined)",
            name,
        )
        hard = re.fullmatch(r"peak\.r500\.2\.0-10\.0\.(\d+)\.(\w+)", name)
        if hard:
            got = xp.snr(map_of(a907, *hard.groups(), a907.hard), a907.centred, "r500", method="xga")
        else:
            when, region, exp_corr, negative, obs_id, instrument = found.groups()
            method = xp.xga_method(exp_corr=exp_corr == "True", allow_negative=negative == "True")
            rate_map = map_of(a907, obs_id, instrument) if obs_id else a907.combined
            field = a907.centred if when == "peak" else a907.field
            got = xp.snr(rate_map, field, 300 * u.kpc if region == "300kpc" else region, method=method)
        assert float(got) == pytest.approx(want, rel=1e-9), name
        checked += 1
    assert checked == 321


@pytest.mark.parametrize("when", ["peak", "nopeak"])
def test_rankings(a907, oracle, when):
    want = oracle.values[f"snr_ranking.r500.{when}"]
    maps = [m for m in a907.maps if m.band == a907.soft]
    table = xp.snr_ranking(maps, a907.centred if when == "peak" else a907.field, "r500", method="xga")
    assert [[r["obs_id"], r["instrument"]] for r in table] == want["oi"]
    assert list(table["snr"]) == pytest.approx(want["snr"], rel=1e-9)


@pytest.mark.parametrize("name", [*(f"{o}.{i}" for o in OBS_IDS for i in ("pn", "mos1", "mos2")), "combined"])
def test_peaks(a907, oracle, name):
    want = oracle.values["peaks"][name]
    rate_map = map_of(a907, *name.split("."))
    for method, record in (("clustering", "find_peak.hierarchical"), ("simple", "find_peak.simple")):
        position, near_edge, _ = want[record]
        peak = xp.find_peak(rate_map, a907.field, method=method)
        assert peak.position.value == pytest.approx(position["value"], abs=1e-9)
        assert peak.near_edge == near_edge


def test_radii(a907, oracle):
    from xphotfn.science.distances import angular_diameter_distance_kpc, radius_deg

    for name in ("r200", "r500"):
        assert radius_deg(getattr(a907.target, name), a907.target) == pytest.approx(
            oracle.values["radii_deg"][name], rel=1e-12
        )
    assert radius_deg(500 * u.kpc, a907.target) == pytest.approx(oracle.values["radii_deg"]["search"], rel=1e-12)
    assert angular_diameter_distance_kpc("Planck15", 0.16) == pytest.approx(oracle.values["D_A_Mpc"] * 1000, rel=1e-12)


def test_matched_regions(a907, oracle):
    for obs_id, want in oracle.values["regions.matched"].items():
        member = a907.field.member(obs_id)
        assert member.match.colour == want["colour"]
        # XGA passes the axes through a local Jacobian of the WCS; the recipe, and we, keep them in pixels
        assert 2 * member.match.size[0] * 0.00120833333333333 == pytest.approx(want["width_deg"], rel=1e-6)
        assert len(member.interlopers) == len(oracle.values["regions.interlopers"][obs_id])
