"""Reports of maps of any telescope: the numbers of snr and photometry for each map, with their units."""

import csv
import re

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.reports.page import with_error
from xphotfn.science.coords import pix_to_deg

N, STEP = 120, 4 / 3600
SOFT, HARD = xp.energy_band(0.5 * u.keV, 2 * u.keV), xp.energy_band(2 * u.keV, 7 * u.keV)
HEADER = {
    "CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRPIX1": N / 2 + 0.5, "CRPIX2": N / 2 + 0.5, "CRVAL1": 130.0,
    "CRVAL2": -1.5, "CDELT1": -STEP, "CDELT2": STEP, "TELESCOP": "CHANDRA", "INSTRUME": "ACIS", "RADESYS": "ICRS",
}  # fmt: skip
SOURCES = {"east & <one>": (40, 64), "west": (84, 50)}  # name: pixel


def made(folder, obs_id, band, *, unit, level, source):
    """Write a pair of maps with two sources and read it."""
    y, x = np.indices((N, N))
    light = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 8) / (8 * np.pi) for a, b in SOURCES.values())
    counts = np.random.default_rng(len(obs_id)).poisson(0.1 + source * light).astype(np.int32)
    paths = [folder / f"{obs_id}-{band.name}-{kind}.fits" for kind in ("img", "exp")]
    fits.PrimaryHDU(counts, fits.Header(HEADER | {"OBS_ID": obs_id})).writeto(paths[0])
    exposure = np.full((N, N), level, np.float32)
    fits.PrimaryHDU(exposure, fits.Header(HEADER | {"BUNIT": unit})).writeto(paths[1])
    return xp.rate_map(*paths, band=band)


def fields_of(maps):
    grid = next(iter(maps)).grid
    places = {name: pix_to_deg(grid, x, y) for name, (x, y) in SOURCES.items()}
    return [
        xp.field_of_maps(xp.point_source(name, ra * u.deg, dec * u.deg, radius=40 * u.arcsec), maps)
        for name, (ra, dec) in places.items()
    ]


@pytest.fixture(scope="module")
def photons(tmp_path_factory):
    """Two maps in cm2 s, their fields, and the folder of their report."""
    folder = tmp_path_factory.mktemp("maps")
    maps = [
        made(folder, "11", SOFT, unit="cm**2 s", level=2e7, source=900),
        made(folder, "107", HARD, unit="cm**2 s", level=5e6, source=300),
    ]
    fields = fields_of(maps)
    return maps, fields, xp.report(maps, folder / "report", fields=fields, progress=False).parent


def rows(folder):
    with (folder / "targets.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_map_of_each_target_has_the_numbers_of_snr(photons):
    maps, fields, folder = photons
    found, index = rows(folder), (folder / "index.html").read_text()
    assert len(found) == len(maps) * len(fields)
    cases = [(field, m) for field in fields for m in maps]
    for row, (field, m) in zip(found, cases, strict=True):
        measured = xp.snr(m, field, "point")
        assert (row["target"], row["obs_id"], row["instrument"]) == (field.name, m.obs_id, "acis")
        assert float(row["snr"]) == measured.value
        assert float(row["net_rate_photon_cm2_s"]) == measured.net_rate.to_value(u.photon / u.cm**2 / u.s)
        assert float(row["exposure_cm2_s"]) == pytest.approx({"11": 2e7, "107": 5e6}[m.obs_id], rel=1e-6)
        assert f'data-v="{measured.value:.6g}"' in index
        error = np.sqrt(measured.counts + measured.alpha**2 * measured.background_counts) / float(row["exposure_cm2_s"])
        shown = with_error(measured.net_rate.value, error)
        page = (folder / row["page"]).read_text()
        assert f"{shown} photon/(cm2 s)" in page
        assert f'<td class="rate" data-v="{measured.net_rate.value:.6g}"' in index
        assert shown in index
        assert m.image.path in page
        assert m.exposure.path in page


def test_its_rates_are_those_of_photometry(photons):
    """Whole pixels of snr and exact circles of photometry differ by the pixels at the rim of source and ring."""
    maps, fields, folder = photons
    for row, (field, m) in zip(rows(folder), [(f, m) for f in fields for m in maps], strict=True):
        ring = (80 * u.arcsec, 120 * u.arcsec)
        table = xp.photometry(m, field.centre, 40 * u.arcsec, background=ring)
        assert table["rate"].unit == u.photon / u.cm**2 / u.s
        error = float(row["net_rate_error_photon_cm2_s"])
        assert float(row["net_rate_photon_cm2_s"]) == pytest.approx(table["rate"][0].value, abs=error)
        assert error == pytest.approx((table["rate_high"][0] - table["rate_low"][0]).value / 2, rel=0.2)


def test_its_words_are_of_no_other_telescope_and_no_run(photons):
    _, _, folder = photons
    pages = [folder / "index.html", *(folder / "targets").glob("*.html")]
    assert len(pages) == 3
    for page in pages:
        body = re.sub(r"<(style|script)>.*?</\1>|<svg.*?</svg>", "", page.read_text(), flags=re.DOTALL)
        words = re.sub("<[^>]*>", " ", body)
        found = re.findall(r"XMM|EPIC|\bSAS\b|ct/s|\bks\b|[Ss]tore|[Ee]ngine|Plan|all cameras|Off-axis|step", words)
        assert found == [], page.name
        assert "photon/(cm2 s)" in words
    ids = re.findall(r' id="([^"]*)"', pages[1].read_text())
    assert len(ids) == len(set(ids))  # two maps on one page
    assert "CHANDRA" in pages[1].read_text()
    names = {row["page"] for row in rows(folder)}
    assert names == {f"targets/{page.name}" for page in pages[1:]}
    for file in re.findall(r'src="([^"]*)"', pages[1].read_text()):
        assert (pages[1].parent / file).is_file()


def test_seconds_are_counts_per_second_and_one_map_is_enough(tmp_path):
    one = made(tmp_path, "3", SOFT, unit="s", level=4000, source=200)
    field = fields_of([one])[1]
    index = xp.report(one, tmp_path / "r", fields=field, progress=False)
    (row,) = rows(index.parent)
    measured = xp.snr(one, field, "point")
    assert float(row["net_rate_ct_s"]) == measured.net_rate.to_value(u.ct / u.s)
    assert float(row["exposure_s"]) == pytest.approx(4000)
    text = index.read_text()
    assert "<small>ct/s</small>" in text
    assert "<small>ks</small>" in text
    assert "4.00 ks" in (index.parent / "targets" / "west.html").read_text()


def test_what_does_not_fit_is_refused(photons, tmp_path):
    maps, fields, _ = photons
    seconds = made(tmp_path, "3", SOFT, unit="s", level=4000, source=200)
    out = tmp_path / "report"
    with pytest.raises(InvalidRecord, match="needs fields="):
        xp.report(maps, out)
    with pytest.raises(InvalidRecord, match="is of no observation of fields="):
        xp.report([*maps, seconds], out, fields=fields)
    with pytest.raises(InvalidRecord, match="no map is of an observation of west"):
        xp.report(maps, out, fields=[fields[0], fields_of([seconds])[1]])
    with pytest.raises(UnitMismatch, match=r"photon/\(cm2 s\) and ct/s"):
        xp.report([maps[0], seconds], out, fields=fields_of([maps[0], seconds]))
    with pytest.raises(InvalidRecord, match="or rate maps"):
        xp.report("store", out, fields=fields)
    with pytest.raises(InvalidRecord):
        xp.report([], out, fields=fields)
    assert not out.exists()
    from xphotfn.testing.examples import example_run

    with pytest.raises(InvalidRecord, match="fields of its own"):
        xp.report(example_run(), out, fields=fields)
