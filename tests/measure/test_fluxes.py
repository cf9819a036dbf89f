"""Fluxes of tables of rates: one ratio in each row and column, which factor fits, and what never meets silently."""

import astropy.units as u
import attrs
import numpy as np
import pytest
from astropy.table import QTable, Table
from hypothesis import given, settings, strategies as st

import xphotfn as xp
from xphotfn.errors import InvalidRecord, ProductMissing, UnitMismatch
from xphotfn.science.intervals import on_off_interval
from xphotfn.science.limits import upper_limit_on_off

SOFT, HARD = xp.Band(lo_ev=500, hi_ev=2000), xp.Band(lo_ev=2000, hi_ev=10000)
CAMERAS = ("pn", "mos1", "mos2")
COLUMNS = {"flux": "rate", "flux_low": "rate_low", "flux_high": "rate_high", "flux_limit": "upper_limit"}
FLUX = u.erg / u.cm**2 / u.s


def factor(camera="pn", **how):
    given = {"filter": "Thin1", "band": SOFT, "gamma": 1.7, "nh": 3e20 / u.cm**2, "absorbed": True}
    return xp.power_law_ecf(camera, **given | how)


ECFS = [factor(camera) for camera in CAMERAS]


def rates(rows):
    """Return a table as photometry makes it, of rows (position, camera, counts, background counts)."""
    position, camera, n, b = (np.array(column) for column in zip(*rows, strict=True))
    n, b, alpha, exposure = n.astype(float), b.astype(float), 0.1, 2e4
    low, high = on_off_interval(n, b, alpha)
    size = len(rows)
    columns = {
        "obs_id": np.full(size, "0404910601"), "exposure_id": np.char.add("S00", np.arange(size).astype(str)),
        "instrument": camera, "filter": np.full(size, "Thin1"), "band": np.full(size, str(SOFT)),
        "position": position, "ra": position / 10 * u.deg, "dec": np.zeros(size) * u.deg, "counts": n * u.ct,
        "background_counts": b * u.ct, "alpha": np.full(size, alpha), "rate": (n - alpha * b) / exposure * u.ct / u.s,
        "rate_low": low / exposure * u.ct / u.s, "rate_high": high / exposure * u.ct / u.s,
        "upper_limit": upper_limit_on_off(n, b, alpha) / exposure * u.ct / u.s,
        "rate_of": np.full(size, "aperture"), "effective_exposure": np.full(size, exposure) * u.s,
        "dispersion": np.ones(size), "exposure_mean": np.full(size, exposure) * u.s,
        "exposure_unit": np.full(size, "s"),
    }  # fmt: skip
    return QTable(columns)


ROWS = st.lists(
    st.tuples(st.just(0), st.sampled_from(CAMERAS), st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=4
)


@settings(max_examples=15)
@given(ROWS, st.booleans())
def test_every_flux_is_its_rate_over_the_factor(rows, absorbed):
    ecfs = {camera: factor(camera, absorbed=absorbed) for camera in CAMERAS}
    table = rates(rows)
    found = xp.fluxes(table, ecf=ecfs)
    per_row = np.array([ecfs[camera].ct_cm2_per_erg for camera in table["instrument"]])
    for flux, rate in COLUMNS.items():
        assert found[flux].unit == FLUX
        assert found[flux].value * per_row == pytest.approx(found[rate].value, rel=1e-12, abs=0)
        assert np.array_equal(found[rate], table[rate])
    assert set(found["flux_kind"]) == {"absorbed" if absorbed else "unabsorbed"}
    assert list(found["flux_systematic"]) == [ecfs[camera].systematic for camera in table["instrument"]]
    assert "flux" not in table.colnames


@settings(max_examples=8)
@given(st.sampled_from(CAMERAS), st.integers(0, 300), st.integers(0, 300))
def test_a_joint_flux_of_one_camera_is_the_flux_of_its_joint_rate(camera, n, b):
    table = rates([(0, camera, n, b), (0, camera, n // 2, b)])
    one = xp.joint_photometry(table, response=factor(camera))
    other = xp.fluxes(xp.joint_photometry(table), ecf=factor(camera))
    for flux in COLUMNS:
        assert one[flux].unit == FLUX
        assert one[flux].to_value(FLUX) == pytest.approx(other[flux].to_value(FLUX), rel=1e-9, abs=0)
    assert one["exposure"].unit.is_equivalent(u.ct * u.cm**2 * u.s / u.erg)
    assert not {"rate", "rate_low", "upper_limit"} & set(one.colnames)
    assert one["significance"][0] == pytest.approx(other["significance"][0], abs=1e-9)


def test_three_cameras_give_one_flux_with_the_largest_systematic():
    flux, exposure = 3e-14, 2e4
    rows = [(0, ecf.instrument, round(flux * ecf.ct_cm2_per_erg * exposure) + 20, 200) for ecf in ECFS]
    [joint] = xp.joint_photometry(rates(rows), response=ECFS)
    assert joint["flux"].to_value(FLUX) == pytest.approx(flux, rel=0.005, abs=0)
    assert joint["flux_systematic"] == max(ecf.systematic for ecf in ECFS)
    assert joint["instrument"] == "combined"
    assert joint["flux_kind"] == "absorbed"


def simulated_pulls(size, seed):
    """Return the pulls of joint fluxes of simulated sources in three cameras with their own backgrounds."""
    rng = np.random.default_rng(seed)
    flux, exposure, alpha = 2e-14, 2e4, 0.1
    rows, fields = [], {"pn": 40.0, "mos1": 15.0, "mos2": 15.0}
    for position in range(size):
        for ecf in ECFS:
            expected = flux * ecf.ct_cm2_per_erg * exposure
            behind = fields[ecf.instrument]
            rows.append((position, ecf.instrument, rng.poisson(expected + behind), rng.poisson(behind / alpha)))
    joint = xp.joint_photometry(rates(rows), response=ECFS)
    half = (joint["flux_high"] - joint["flux_low"]) / 2
    return np.asarray((joint["flux"].to_value(FLUX) - flux) / half.to_value(FLUX))


def test_pulls_of_joint_fluxes():
    """Of 600 sources the mean and the width are known to 0.04 and 0.03; the slow test has 20,000."""
    pulls = simulated_pulls(600, 4)
    assert abs(np.mean(pulls)) < 0.1
    assert 0.93 < np.std(pulls) < 1.07


@pytest.mark.slow
def test_pulls_of_many_joint_fluxes():
    pulls = simulated_pulls(20_000, 1)
    assert abs(np.mean(pulls)) < 0.05
    assert 0.97 < np.std(pulls) < 1.03


# Which factor fits a row.


def test_both_thin_filters_and_the_bands_of_one_name_have_one_factor():
    table = rates([(0, "pn", 50, 100)])
    table["filter"], table["band"] = ["Thin2"], ["0.501-1.999 keV"]
    assert xp.fluxes(table, ecf=factor())["flux"][0] > 0 * FLUX


def test_factors_by_camera_go_by_any_of_its_names():
    by_name = {"EPN": factor(), "M1": factor("mos1")}
    assert xp.fluxes(rates([(0, "pn", 50, 100)]), ecf=by_name)["flux"] == xp.fluxes(changed(), ecf=factor())["flux"]
    with pytest.raises(InvalidRecord, match="under 'EMOS2'"):
        xp.fluxes(changed(), ecf={"EMOS2": factor()})


def test_the_systematic_of_the_profile_is_in_that_of_the_flux():
    table = rates([(0, "pn", 50, 100)])
    table["enclosed_systematic"] = 0.03
    assert xp.fluxes(table, ecf=factor())["flux_systematic"][0] == pytest.approx(np.hypot(0.03, factor().systematic))


def test_a_table_read_back_without_units_gives_the_same_fluxes(tmp_path):
    table = rates([(0, "pn", 50, 100), (1, "pn", 5, 100)])
    table.write(tmp_path / "rates.csv")
    found, again = (xp.fluxes(t, ecf=factor())["flux"] for t in (table, Table.read(tmp_path / "rates.csv")))
    assert again.to_value(FLUX) == pytest.approx(found.to_value(FLUX), rel=1e-9, abs=0)


def changed(**columns):
    table = rates([(0, "pn", 50, 100)])
    for name, value in columns.items():
        if value is None:
            table.remove_column(name)
        else:
            table[name] = [value] if isinstance(value, str) else value
    return table


@pytest.mark.parametrize(
    ("table", "ecf", "error", "said"),
    [
        (changed(), factor("mos1"), ProductMissing, "no factor is of pn Thin1 0.5-2 keV"),
        (changed(), factor(filter="Medium"), ProductMissing, "pn Medium 0.5-2 keV"),
        (changed(), factor(band=HARD), ProductMissing, "2-10 keV"),
        (changed(), [], ProductMissing, "no factor"),
        (changed(filter="unknown"), factor(), ProductMissing, "does not say its filter"),
        (changed(filter=None), factor(), ProductMissing, "column filter"),
        (changed(filter="Closed"), factor(), InvalidRecord, "Closed"),
        (changed(filter="CalClosed"), factor(), InvalidRecord, "no light of the sky"),
        (changed(), factor(band=HARD), ProductMissing, "given are of pn Thin 2-10 keV: make one"),
        (changed(), factor().value, InvalidRecord, "expected Ecf"),
        (changed(rate=[1.0] / u.s), factor(), UnitMismatch, "give the unit of a rate"),
        (changed(instrument="combined"), factor(), InvalidRecord, "several cameras"),
        (changed(), [factor(), factor("mos1", absorbed=False)], InvalidRecord, "absorbed and unabsorbed"),
        (changed(), [factor(), factor(gamma=1.8)], InvalidRecord, "two factors"),
        (changed(), {"mos1": factor()}, InvalidRecord, "under 'mos1'"),
        (changed(), 6.85e11, InvalidRecord, "expected Ecf"),
        (changed(), {"pn": 6.85e11}, InvalidRecord, "expected Ecf"),
        (changed(rate=[1.0] * u.photon / u.s / u.cm**2), factor(), UnitMismatch, "area twice"),
        (changed(rate=[1.0], exposure_unit=None), factor(), UnitMismatch, "no unit"),
        (changed(flux=[1.0]), factor(), InvalidRecord, "already"),
        (changed(band=None), factor(), ProductMissing, "lacks band"),
        (None, factor(), ProductMissing, "table of rates"),
        (changed()[0], factor(), ProductMissing, "got Row"),
        (changed().to_pandas(), factor(), ProductMissing, "got DataFrame"),
        (changed(), attrs.evolve(factor(), arf_includes=("vignetting",)), InvalidRecord, "on axis"),
        (changed(rate_of="source"), attrs.evolve(factor(), arf_includes=("enclosed",)), InvalidRecord, "psf="),
    ],
)
def test_what_does_not_fit_is_refused(table, ecf, error, said):
    with pytest.raises(error, match=said):
        xp.fluxes(table, ecf=ecf)


def test_an_area_with_the_enclosed_fraction_goes_with_rates_of_the_circle():
    held = attrs.evolve(factor(), arf_includes=("enclosed",))
    assert xp.fluxes(changed(), ecf=held)["flux"][0] > 0 * FLUX


@pytest.mark.parametrize(
    ("response", "error", "said"),
    [
        ({"pn": 6.85e11}, InvalidRecord, "give Ecf records"),
        ({"pn": 6.85, "mos1": 1.78, "mos2": 1.78}, InvalidRecord, "whose own is 1"),
        (factor("mos1"), ProductMissing, "no factor"),
        ([factor(), factor("mos1", absorbed=False)], InvalidRecord, "absorbed and unabsorbed"),
    ],
)
def test_a_joint_flux_never_comes_from_a_bare_number(response, error, said):
    with pytest.raises(error, match=said):
        xp.joint_photometry(changed(), response=response)


@pytest.mark.parametrize("other", [{"gamma": 2.2}, {"nh": 1e21 / u.cm**2}])
def test_a_joint_flux_is_of_one_spectrum(other):
    table = rates([(0, "pn", 50, 100), (0, "mos1", 20, 50), (1, "pn", 5, 100)])
    assert len(xp.joint_photometry(table, response=ECFS)) == 2
    with pytest.raises(InvalidRecord, match="position 0 joins factors of several spectra"):
        xp.joint_photometry(table, response=[factor(), factor("mos1", **other)])
    assert len(set(xp.fluxes(table, ecf=[factor(), factor("mos1", **other)])["flux_spectrum"])) == 2


def test_fluxes_of_single_rows_are_none_of_joint_ones():
    table = xp.fluxes(rates([(0, "pn", 50, 100), (1, "pn", 0, 100)]), ecf=UNABSORBED)
    given = xp.luminosity(table, CLUSTER, kcorrection=UNABSORBED)
    how = {"confidence": 0.95, "limit_confidence": 0.9987}
    for found in (xp.joint_photometry(given, **how), xp.joint_photometry(given, response=UNABSORBED, **how)):
        assert list(found["input_flux_limit"]) == list(table["flux_limit"])
        assert "luminosity" not in found.colnames
    rate = xp.joint_photometry(given, **how)
    assert not [name for name in rate.colnames if name.startswith("flux")]
    with pytest.raises(ProductMissing, match="with fluxes"):
        xp.luminosity(rate, CLUSTER, kcorrection=UNABSORBED)
    again = xp.fluxes(rate, ecf=UNABSORBED)
    assert again["flux_limit"].value * UNABSORBED.ct_cm2_per_erg == pytest.approx(rate["upper_limit"].value, rel=1e-12)


def test_exposures_in_cm2_s_do_not_meet_a_factor():
    table = changed()
    for name in ("exposure_mean", "effective_exposure"):
        table[name] = table[name].value * u.s * u.cm**2
    for name in ("rate", "rate_low", "rate_high", "upper_limit"):
        table[name] = table[name].value * u.photon / u.s / u.cm**2
    table["exposure_unit"] = ["cm2 s"]
    with pytest.raises(UnitMismatch, match="area twice"):
        xp.joint_photometry(table, response=factor())


# Luminosities.

CLUSTER = xp.galaxy_cluster("A907", 149.59209, -11.05972, redshift=0.16)
UNABSORBED = factor(absorbed=False)


def test_luminosities_of_a_table_keep_the_ratios_of_its_fluxes():
    table = xp.fluxes(rates([(0, "pn", 50, 100), (1, "pn", 5, 100)]), ecf=UNABSORBED)
    found = xp.luminosity(table, CLUSTER, kcorrection=UNABSORBED)
    one = xp.luminosity(1e-13 * FLUX, CLUSTER, kcorrection=UNABSORBED) / (1e-13 * FLUX)
    for name in ("", "_low", "_high", "_limit"):
        assert found[f"luminosity{name}"].unit == u.erg / u.s
        expected = (table[f"flux{name}"] * one).to_value(u.erg / u.s)
        assert found[f"luminosity{name}"].value == pytest.approx(expected, rel=1e-12)
    bare = xp.luminosity(1e-13 * FLUX, CLUSTER, kcorrection=1, absorbed=False) / (1e-13 * FLUX)
    assert float(one / bare) == pytest.approx(1.16**-0.3, rel=1e-12)


@pytest.mark.parametrize("make", [lambda t, e: xp.fluxes(t, ecf=e), lambda t, e: xp.joint_photometry(t, response=e)])
def test_the_k_correction_is_of_the_spectrum_of_the_flux(make):
    table = make(rates([(0, "pn", 50, 100)]), UNABSORBED)
    other = factor("mos1", absorbed=False)  # of another camera and the same spectrum
    assert xp.luminosity(table, CLUSTER, kcorrection=other)["luminosity"][0] > 0 * u.erg / u.s
    with pytest.raises(InvalidRecord, match="give the factor of the flux"):
        xp.luminosity(table, CLUSTER, kcorrection=factor(gamma=2.2, absorbed=False))


def test_a_spectrum_at_a_redshift_has_no_k_correction_of_another():
    spectrum = brems(0.1).spectrum
    assert xp.k_correction(spectrum, SOFT, redshift=0.1) == xp.k_correction(brems(0.0).spectrum, SOFT, redshift=0.1)
    with pytest.raises(InvalidRecord, match="give one of them"):
        xp.k_correction(spectrum, SOFT, redshift=0.3)


def brems(redshift):
    spectrum = xp.absorbed_bremsstrahlung(kt=5 * u.keV, nh=5e20 / u.cm**2, redshift=redshift)
    return attrs.evolve(UNABSORBED, spectrum=spectrum)


@pytest.mark.parametrize(
    ("flux", "target", "how", "error", "said"),
    [
        (1e-13 * FLUX, CLUSTER, {"kcorrection": factor()}, InvalidRecord, "unabsorbed flux"),
        (1e-13 * FLUX, CLUSTER, {"kcorrection": 1, "absorbed": True}, InvalidRecord, "unabsorbed flux"),
        (1e-13 * FLUX, CLUSTER, {"kcorrection": 1}, InvalidRecord, "absorbed=False"),
        (1e-13 * FLUX, CLUSTER, {"kcorrection": 0, "absorbed": False}, InvalidRecord, "above 0"),
        (1e-13 * FLUX, CLUSTER, {"kcorrection": "none", "absorbed": False}, InvalidRecord, "above 0"),
        (1e-13, CLUSTER, {"kcorrection": UNABSORBED}, UnitMismatch, "erg/cm2/s"),
        (1e-13 * FLUX, CLUSTER, {"kcorrection": brems(0.0)}, InvalidRecord, "redshift=0.16"),
        (
            1e-13 * FLUX,
            xp.point_source("star", 10, -5, radius=10 * u.arcsec),
            {"kcorrection": UNABSORBED},
            InvalidRecord,
            "no redshift",
        ),
        (xp.fluxes(changed(), ecf=factor()), CLUSTER, {"kcorrection": UNABSORBED}, InvalidRecord, "unabsorbed flux"),
        (changed(), CLUSTER, {"kcorrection": UNABSORBED}, ProductMissing, "fluxes"),
        (
            xp.fluxes(changed(), ecf=UNABSORBED),
            CLUSTER,
            {"kcorrection": factor(band=HARD, absorbed=False)},
            ProductMissing,
            "no factor is of",
        ),
    ],
)
def test_what_is_no_luminosity_is_refused(flux, target, how, error, said):
    with pytest.raises(error, match=said):
        xp.luminosity(flux, target, **how)


def test_bremsstrahlung_of_the_targets_redshift_has_its_k_correction():
    ratio = xp.luminosity(1e-13 * FLUX, CLUSTER, kcorrection=brems(0.16)) / xp.luminosity(
        1e-13 * FLUX, CLUSTER, kcorrection=1, absorbed=False
    )
    assert float(ratio) == pytest.approx(0.9489, abs=5e-5)


def test_a_table_without_rows_has_columns_of_fluxes():
    none = xp.fluxes(rates([(0, "pn", 50, 100)])[:0], ecf=factor())
    assert len(none) == 0
    assert none["flux"].unit == FLUX


def test_a_map_says_its_filter(tmp_path):
    from xphotfn.testing.examples import example_rate_map

    found = xp.photometry(example_rate_map(), [149.591375, -11.0887] * u.deg, 20 * u.arcsec)
    assert list(found["filter"]) == [example_rate_map().filter] == ["Thin1"]
