"""Factors folded with response files: a real pair, closed forms, every shape of an RMF, and what is refused."""

import math

import astropy.units as u
import attrs
import numpy as np
import pytest
from astropy.io import fits
from scipy.integrate import quad

import xphotfn as xp
from xphotfn.errors import InvalidFile, InvalidRecord, UnitMismatch
from xphotfn.science.spectra import ERG_PER_KEV, absorption_cm2, k_correction

SOFT, HARD = xp.energy_band(0.5 * u.keV, 2 * u.keV), xp.energy_band(2 * u.keV, 7 * u.keV)
POWER_LAW = xp.absorbed_power_law(gamma=1.7, nh=3e20 / u.cm**2)
BARE = xp.absorbed_power_law(gamma=2.0, nh=0 / u.cm**2)
EDGES = np.linspace(0.1, 12.0, 239)
CHANNELS = np.linspace(0.0, 13.0, 261)


def fold(spectrum, *files, band=SOFT, arf_includes=(), absorbed=True):
    return xp.ecf_from_response(spectrum, *files, band=band, arf_includes=arf_includes, absorbed=absorbed)


def write_arf(path, area=lambda energy: 100.0 + 0 * energy, edges=EDGES, **header):
    middle = (edges[1:] + edges[:-1]) / 2
    columns = {"ENERG_LO": edges[:-1], "ENERG_HI": edges[1:], "SPECRESP": area(middle)}
    units = {"ENERG_LO": "keV", "ENERG_HI": "keV", "SPECRESP": "cm**2"}
    table = fits.BinTableHDU.from_columns([fits.Column(n, "E", units[n], array=v) for n, v in columns.items()])
    table.header.update({"EXTNAME": "SPECRESP", "INSTRUME": "EPN", "FILTER": "Thin1"} | header)
    table.writeto(path)
    return path


def write_rmf(path, *, tlmin=0, cut=1, blur=0.05, edges=EDGES, scale=1.0, first_channel=None):
    """Write a Gaussian matrix; each row in ``cut`` groups, with an empty one among them; none for some rows."""
    middle = (edges[1:] + edges[:-1]) / 2
    rows = []
    for energy in middle:
        cdf = np.array([0.5 * (1 + math.erf((edge - energy) / (blur * math.sqrt(2)))) for edge in CHANNELS])
        part = scale * np.diff(cdf)
        held = np.flatnonzero(part > 1e-9)
        groups = [g for g in np.array_split(held, cut) if g.size]
        rows.append([(int(g[0]) + tlmin, g.size, part[g]) for g in groups] + [(tlmin, 0, np.array([]))] * (cut > 1))
    arrays = {
        "N_GRP": [len(row) for row in rows],
        "F_CHAN": np.array([np.array([c for c, _, _ in row], "i2") for row in rows] + [None], object)[:-1],
        "N_CHAN": np.array([np.array([n for _, n, _ in row], "i2") for row in rows] + [None], object)[:-1],
        "MATRIX": np.array([np.concatenate([v for *_, v in row]).astype("f4") for row in rows] + [None], object)[:-1],
    }
    formats = {"N_GRP": "I", "F_CHAN": "PI()", "N_CHAN": "PI()", "MATRIX": "PE()"}
    energies = [fits.Column(n, "E", "keV", array=v) for n, v in (("ENERG_LO", edges[:-1]), ("ENERG_HI", edges[1:]))]
    table = fits.BinTableHDU.from_columns(energies + [fits.Column(n, formats[n], array=v) for n, v in arrays.items()])
    table.header.update({"EXTNAME": "MATRIX"} | ({} if first_channel is not None else {"TLMIN4": tlmin}))
    numbers = np.arange(CHANNELS.size - 1) + (tlmin if first_channel is None else first_channel)
    bounds = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "I", array=numbers),
            fits.Column("E_MIN", "E", "keV", array=CHANNELS[:-1]),
            fits.Column("E_MAX", "E", "keV", array=CHANNELS[1:]),
        ],
        name="EBOUNDS",
    )
    fits.HDUList([fits.PrimaryHDU(), table, bounds]).writeto(path)
    return path


@pytest.mark.parametrize(("band", "expected"), [(SOFT, 0.2370e11), (HARD, 0.1733e11)])
def test_the_fold_of_3c273(folders_root, band, expected):
    files = [folders_root / "responses" / f"3c273.{kind}.gz" for kind in ("arf", "rmf")]
    found = fold(POWER_LAW, *files, band=band)
    assert found.ct_cm2_per_erg == pytest.approx(expected, rel=1e-3)
    assert (found.instrument, found.filter) == ("acis", "")
    assert found.source == "3c273.arf.gz and 3c273.rmf.gz"


def test_an_even_area_gives_photons_over_energy(tmp_path):
    arf = write_arf(tmp_path / "a.arf")
    found = fold(BARE, arf)
    assert found.ct_cm2_per_erg == pytest.approx(100 * (1 / 0.5 - 1 / 2) / (math.log(4) * ERG_PER_KEV), rel=1e-6)
    assert (found.instrument, found.filter) == ("pn", "Thin")


def test_absorbed_and_unabsorbed_are_apart_by_what_the_gas_takes(tmp_path):
    arf = write_arf(tmp_path / "a.arf")
    behind, before = (fold(POWER_LAW, arf, absorbed=absorbed).ct_cm2_per_erg for absorbed in (True, False))
    through = quad(lambda e: e**-0.7 * math.exp(-3e20 * float(absorption_cm2(e))), 0.5, 2, limit=200)[0]
    assert before / behind == pytest.approx(through / quad(lambda e: e**-0.7, 0.5, 2)[0], rel=1e-4)


def test_every_shape_of_a_matrix_says_the_same(tmp_path):
    arf = write_arf(tmp_path / "a.arf", lambda energy: 300 * np.exp(-energy / 3))
    shapes = {"tlmin": 0}, {"tlmin": 1}, {"tlmin": 1, "cut": 3}, {"tlmin": 1, "first_channel": 1}
    files = [write_rmf(tmp_path / f"{number}.rmf", **how) for number, how in enumerate(shapes)]
    found = [fold(POWER_LAW, arf, rmf).ct_cm2_per_erg for rmf in files]
    assert found == pytest.approx([found[0]] * 4, rel=1e-6)
    sharp = write_rmf(tmp_path / "sharp.rmf", blur=1e-4)
    assert fold(POWER_LAW, arf, sharp).ct_cm2_per_erg == pytest.approx(fold(POWER_LAW, arf).ct_cm2_per_erg, rel=2e-3)
    assert found[0] != pytest.approx(fold(POWER_LAW, arf).ct_cm2_per_erg, rel=2e-3)


def test_a_table_of_the_same_spectrum_gives_the_same_factor(tmp_path):
    arf, rmf = write_arf(tmp_path / "a.arf"), write_rmf(tmp_path / "a.rmf")
    edges = np.geomspace(0.05, 13, 4000)
    photons = 1 / edges[:-1] - 1 / edges[1:]
    table = xp.spectrum_table(edges[:-1] * u.keV, edges[1:] * u.keV, photons, unabsorbed=photons)
    for given in (table, (edges[:-1], edges[1:], 1e-4 * photons)):
        assert fold(given, arf, rmf).ct_cm2_per_erg == pytest.approx(fold(BARE, arf, rmf).ct_cm2_per_erg, rel=1e-4)
    assert fold(table, arf, rmf, absorbed=False).ct_cm2_per_erg == pytest.approx(
        fold(BARE, arf, rmf).ct_cm2_per_erg, rel=1e-4
    )


def table_of(lo, hi, **how):
    edges = np.geomspace(lo, hi, 50)
    return xp.spectrum_table(edges[:-1], edges[1:], 1 / edges[:-1] - 1 / edges[1:], **how)


@pytest.mark.parametrize(
    ("spectrum", "how", "said"),
    [
        (table_of(0.6, 13), {}, "give a wider one"),
        (table_of(0.5, 2.0), {}, "give a wider one"),
        (table_of(0.05, 13), {"absorbed": False}, "unabsorbed="),
        (POWER_LAW, {"absorbed": None}, "absorbed must be True"),
        (POWER_LAW, {"arf_includes": "vignetting"}, "several names"),
        (POWER_LAW, {"arf_includes": ("psf",)}, "vignetting, enclosed"),
        (POWER_LAW, {"band": xp.Band(lo_ev=50, hi_ev=2000)}, "leaves out part"),
        (POWER_LAW, {"band": xp.Band(lo_ev=500, hi_ev=13000)}, "leaves out part"),
        ("power law", {}, "three columns|three"),
        (3.0, {}, "three"),
    ],
)
def test_spectra_and_bands_that_do_not_fit_are_refused(tmp_path, spectrum, how, said):
    files = write_arf(tmp_path / "a.arf"), write_rmf(tmp_path / "a.rmf")
    with pytest.raises(InvalidRecord, match=said):
        fold(spectrum, *files, **how)


def test_files_that_do_not_fit_are_refused(tmp_path):
    arf, rmf = write_arf(tmp_path / "a.arf"), write_rmf(tmp_path / "a.rmf")
    other = write_rmf(tmp_path / "other.rmf", edges=EDGES[:-1])
    holds_area = write_rmf(tmp_path / "holds.rmf", scale=100)
    off = write_rmf(tmp_path / "off.rmf", tlmin=0)
    with fits.open(off, mode="update") as hdus:
        hdus["MATRIX"].header["TLMIN4"] = 200
    dark = write_arf(tmp_path / "dark.arf", lambda energy: 0 * energy)
    cases = [
        ((arf, other), "make the ARF with this RMF"),
        ((arf, holds_area), "give the RMF without it"),
        ((arf, off), "TLMIN"),
        ((rmf, rmf), "SPECRESP"),
        ((arf, arf), "N_GRP"),
        ((dark,), "above 0"),
        ((tmp_path / "none.arf",), "no such file"),
    ]
    for files, said in cases:
        with pytest.raises(InvalidFile, match=said):
            fold(POWER_LAW, *files)


def test_arf_includes_stands_in_the_factor_and_has_no_default(tmp_path):
    arf = write_arf(tmp_path / "a.arf")
    assert fold(POWER_LAW, arf, arf_includes=("enclosed", "vignetting")).arf_includes == ("vignetting", "enclosed")
    with pytest.raises(TypeError, match="arf_includes"):
        xp.ecf_from_response(POWER_LAW, arf, band=SOFT, absorbed=True)


def test_absorption_is_that_of_the_published_fits():
    """The fits join at their edges but for the jumps of O, Ne to Fe; at 1 keV the table gives 2.42e-22 cm2."""
    assert absorption_cm2([0.1, 1.0, 5.0]).tolist() == pytest.approx([5.663e-20, 2.422e-22, 3.525e-24], rel=5e-4, abs=0)
    assert np.all(np.diff(absorption_cm2(np.geomspace(0.55, 0.70, 50))) < 0)


def test_k_corrections():
    hot = xp.absorbed_bremsstrahlung(kt=5 * u.keV, nh=5e20 / u.cm**2)
    hard = xp.energy_band(2 * u.keV, 10 * u.keV)
    assert k_correction(hot, SOFT, redshift=0.16) == pytest.approx(0.9489, abs=5e-5)
    assert k_correction(hot, hard, redshift=0.16) == pytest.approx(1.0577, abs=5e-5)
    edges = np.geomspace(0.1, 12, 3000)
    steep = edges[:-1] ** -1.5 - edges[1:] ** -1.5
    table = xp.spectrum_table(edges[:-1], edges[1:], steep, unabsorbed=steep)
    assert k_correction(table, SOFT, redshift=0.5) == pytest.approx(1.5**0.5, rel=1e-4)
    with pytest.raises(InvalidRecord, match="wider"):
        k_correction(table_of(0.5, 2, unabsorbed=np.ones(49)), SOFT, redshift=0.5)
    with pytest.raises(InvalidRecord, match="above 0"):
        k_correction(hot, SOFT, redshift=0.0)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: xp.absorbed_bremsstrahlung(kt=5, nh=1e20 / u.cm**2), UnitMismatch),
        (lambda: xp.absorbed_bremsstrahlung(kt=5 * u.m, nh=1e20 / u.cm**2), UnitMismatch),
        (lambda: xp.absorbed_bremsstrahlung(kt=-5 * u.keV, nh=1e20 / u.cm**2), InvalidRecord),
        (lambda: xp.absorbed_power_law(gamma=1.7, nh=1e20), UnitMismatch),
        (lambda: xp.spectrum_table([500], [2000], [1]), InvalidRecord),
        (lambda: xp.spectrum_table([1, 2], [2, 1.5], [1, 1]), InvalidRecord),
        (lambda: xp.spectrum_table([1], [2], [-1]), InvalidRecord),
        (lambda: xp.spectrum_table([1] * u.m, [2] * u.m, [1]), UnitMismatch),
        (lambda: xp.spectrum_table([1], [2], ["a"]), InvalidRecord),
        (lambda: attrs.evolve(table_of(1, 2), unabsorbed=[1]), InvalidRecord),
    ],
)
def test_spectra_of_wrong_values_are_refused(make, error):
    with pytest.raises(error):
        make()


def test_an_arf_of_the_closed_filter_is_refused(tmp_path):
    for name in ("Closed", "CalClosed"):
        with pytest.raises(InvalidRecord, match="filter Closed"):
            xp.ecf_from_response(
                POWER_LAW, write_arf(tmp_path / f"{name}.arf", FILTER=name), band=SOFT, arf_includes=(), absorbed=True
            )
