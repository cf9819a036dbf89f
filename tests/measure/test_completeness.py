"""The selection function: what is put into images comes back, with binomial errors."""

import re
import shutil

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from scipy.stats import binomtest

import xphotfn as xp
from xphotfn.errors import InvalidRecord, ProductMissing, UnitMismatch
from xphotfn.io.write import write_image
from xphotfn.measure.completeness import _clopper_pearson, _of_rate
from xphotfn.testing.examples import example_rate_map


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A blank map of 96 x 96 pixels, 20 ks, 0.05 counts a pixel."""
    folder, pair = tmp_path_factory.mktemp("blank"), example_rate_map()
    grid = xp.PixelGrid.from_sky_range(149.6, -11.1, low=20000, high=20000 + 96 * 87 - 1, bin_size=87)
    counts = np.random.default_rng(4).poisson(0.05, grid.shape).astype("i4")
    planes = (("image", counts), ("exposure", np.full(grid.shape, 2e4, dtype="f4")))
    cards = [("TELESCOP", "XMM", ""), ("INSTRUME", "EPN", ""), ("FILTER", "Thin1", "")]
    cards += [("SLCTEXPR", "PATTERN <= 4", "")]
    parts = {}
    for name, plane in planes:
        path = folder / f"{name}.fits"
        write_image(path, plane, grid, cards)
        parts[name] = evolve(getattr(pair, name), path=str(path), grid=grid)
    return xp.RateMap(**parts)


def test_bright_sources_are_found_and_faint_ones_are_not(small, monkeypatch, capsys):
    monkeypatch.setattr("xphotfn.io.bars._in_notebook", lambda: True)  # where bars are shown
    table = xp.completeness(
        small, fluxes=[1e-4, 1e-2] * u.ct / u.s, extents=[0, 30] * u.arcsec, trials=2, rng=np.random.default_rng(2)
    )
    monkeypatch.undo()
    assert re.search(r"[1-7]/8 \[[0-9]", capsys.readouterr().err)  # and it goes when it is done
    assert table["flux"].unit == u.ct / u.s
    assert table["extent"].to_value("arcsec").tolist() == [0, 0, 30, 30]
    assert table["trials"].tolist() == [2] * 4
    assert table["completeness"].tolist()[1] == table["completeness"].tolist()[3] == 1
    assert table["completeness"][2] == 0
    assert (table["extended"][1], table["extended"][3]) == (0, 2)
    assert 160 < table["counts"].value[1] < 201  # 0.01 ct/s in 20 ks, less what lies off the map
    assert table.meta["searches"] > 1
    again = xp.completeness(small, fluxes=1e-2 * u.ct / u.s, trials=2, rng=np.random.default_rng(2))
    assert len(again) == 1
    ax = xp.view_completeness(table)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["points", "core radius 30 arcsec"]


def test_the_interval_is_that_of_scipy():
    found, trials = np.array([0, 3, 7, 10]), np.array([10, 10, 7, 10])
    low, high = _clopper_pearson(found, trials)
    for k, n, a, b in zip(found, trials, low, high, strict=True):
        expected = binomtest(int(k), int(n)).proportion_ci(0.6827, method="exact")
        assert (a, b) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_of_exposures_in_cm2_s_fluxes_are_of_photons(small, tmp_path):
    """The same source in the same counts, as 400 cm2 make 400 times the exposure."""
    exposure = np.full(small.grid.shape, 400 * 2e4, dtype="f4")
    cards = [("TELESCOP", "XMM", ""), ("INSTRUME", "EPN", ""), ("BUNIT", "cm2 s", "")]
    write_image(tmp_path / "exposure.fits", exposure, small.grid, cards)
    area = evolve(small, exposure=evolve(small.exposure, path=str(tmp_path / "exposure.fits")))
    flux = u.photon / u.cm**2 / u.s
    how = {"trials": 1, "progress": False}
    table = xp.completeness(area, fluxes=[1e-2 / 400] * flux, rng=np.random.default_rng(2), **how)
    assert table["flux"].unit == flux
    assert 160 < table["counts"].value[0] < 201
    assert table["completeness"][0] == 1
    for item, wrong in ((area, u.ct / u.s), (small, flux)):
        with pytest.raises(UnitMismatch, match="as the rates of these maps are"):
            xp.completeness(item, fluxes=[0.1] * wrong, rng=np.random.default_rng(2), **how)
    two = [evolve(area, image=evolve(area.image, instrument=c), exposure=evolve(area.exposure, instrument=c))
           for c in ("pn", "mos1")]  # fmt: skip
    assert _of_rate(two).tolist() == [1, 1]


def test_cameras_share_a_rate_by_their_areas(small, tmp_path):
    cameras = [evolve(small, image=evolve(small.image, instrument=c), exposure=evolve(small.exposure, instrument=c))
               for c in ("pn", "mos1", "mos2")]  # fmt: skip
    assert _of_rate(cameras).tolist() == pytest.approx([0.62, 0.19, 0.19])
    assert _of_rate(cameras[1:]).tolist() == pytest.approx([0.5, 0.5])
    ecf = xp.power_law_ecf("pn", filter="Thin1", band=small.band, gamma=1.7, nh=3e20 / u.cm**2, absorbed=True)
    flux = [1e-13] * u.erg / u.cm**2 / u.s
    table = xp.completeness(small, fluxes=flux, trials=1, rng=np.random.default_rng(3), ecf=ecf)
    expected = 1e-13 * ecf.ct_cm2_per_erg * 2e4
    assert 0.5 * expected < table["counts"].value[0] <= expected * 1.01
    medium = xp.power_law_ecf("pn", filter="Medium", band=small.band, gamma=1.7, nh=3e20 / u.cm**2, absorbed=True)
    path = shutil.copy(small.path, tmp_path / "image.fits")
    plain = shutil.copy(small.exposure.path, tmp_path / "exposure.fits")
    for file in (path, plain):
        fits.delval(file, "FILTER")
    without = xp.RateMap(image=evolve(small.image, path=str(path)), exposure=evolve(small.exposure, path=str(plain)))
    for maps, given, error, said in (
        (cameras[1], ecf, ProductMissing, "no factor is of mos1 .*0.5-2 keV"),
        (small, medium, ProductMissing, "no factor is of pn Thin"),
        (without, ecf, ProductMissing, "card FILTER"),
        (small, None, InvalidRecord, "need ecf="),
        (small, evolve(ecf, patterns="0"), InvalidRecord, "PATTERN 0-4, and its factor is of 0"),
        (small, evolve(ecf, arf_includes=("enclosed",)), InvalidRecord, "enclosed fraction"),
    ):
        with pytest.raises(error, match=said):
            xp.completeness(maps, fluxes=flux, trials=1, rng=np.random.default_rng(3), ecf=given)


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"fluxes": [0.0] * u.ct / u.s}, InvalidRecord, "fluxes must be above 0"),
        ({"fluxes": [1.0] * u.keV}, UnitMismatch, "must be in ct/s, .*or in erg"),
        ({"fluxes": [1.0] * u.ct / u.s, "extents": [1.0] * u.s}, UnitMismatch, "extents must be angles"),
        ({"fluxes": [1.0] * u.ct / u.s, "extents": [900] * u.arcsec}, InvalidRecord, "within 0 and 120"),
        ({"fluxes": [1.0] * u.ct / u.s, "trials": 0}, InvalidRecord, "trials must be a whole number from 1"),
        ({"fluxes": [1.0] * u.ct / u.s, "threshold": np.nan}, InvalidRecord, "threshold must be a likelihood"),
        ({"fluxes": [1.0] * u.ct / u.s, "rng": 3}, InvalidRecord, "rng must be numpy's generator"),
    ],
)
def test_what_does_not_go_is_said(small, options, error, what):
    with pytest.raises(error, match=what):
        xp.completeness(small, **{"rng": np.random.default_rng(1), "trials": 1} | options)
