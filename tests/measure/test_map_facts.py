"""Event patterns and vignetting of maps: what headers say of them, and that fluxes are of the same events."""

import shutil

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table, vstack
from attrs import evolve

import xphotfn as xp
from xphotfn.errors import InvalidRecord
from xphotfn.io.vignetting_card import has_vignetting
from xphotfn.measure.map_facts import patterns_kept, same_patterns
from xphotfn.testing.examples import example_rate_map

PLACE = [149.591375, -11.0887] * u.deg


def dss(*values):
    """Return a data subspace whose components have these patterns."""
    first = {"DSTYP1": "CCDNR", "DSVAL1": "1", "DSTYP2": "PATTERN", "DSVAL2": values[0]}
    return first | {f"{n}DSVAL2": value for n, value in enumerate(values[1:], start=2)}


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ({"SLCTEXPR": "(PATTERN .LE. 4) && (FLAG == 0)"}, "0-4"),
        ({"SLCTEXPR": "pattern < 1"}, "0"),
        ({"SLCTEXPR": "PATTERN in [0:4]"}, "0-4"),
        ({"SLCTEXPR": "PATTERN == 0 || PATTERN in (0:3)"}, "0-2"),
        ({"SLCTEXPR": "PATTERN >= 1 && PATTERN <= 4"}, "1-4"),
        ({"SLCTEXPR": "PATTERN == 0 || PATTERN in [3:4]"}, "0, 3-4"),
        ({"SLCTEXPR": "PATTERN <= 12"} | dss("0"), "0"),
        ({"XPROC0": "evselect table=a.fits expression='PI>500 && PATTERN<=4' # (evselect-3.62)"}, "0-4"),
        ({"SLCTEXPR": "PI > 500"} | dss(":12"), "0-12"),
        (dss(":4", ":4"), "0-4"),
        (dss(":4", "0"), "0 or 0-4"),
        ({"DSTYP1": "PI", "DSVAL1": "500:2000"}, "all"),
        ({"SLCTEXPR": "PI > 500"}, "unknown"),
        ({"SLCTEXPR": "(PATTERN == 0 && PI < 500) || (PATTERN <= 4 && PI >= 500)"}, None),
        ({"SLCTEXPR": "PATTERN <= <="}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_patterns_that_a_header_keeps(header, kept):
    found = patterns_kept(header)
    assert found == kept if kept is not None else "PATTERN" in found


def test_patterns_and_vignetting_of_real_files(data_root, folders_root):
    """As the tasks of SAS wrote them; the old image of the pipeline has no condition on PATTERN."""
    field = data_root / "a907" / "0201901401"
    found = [patterns_kept(fits.getheader(field / f"0201901401_{name}_0.50-2.00keV_img.fits.gz"))
             for name in ("pn", "mos1")]  # fmt: skip
    assert found == ["0-4", "0-12"]
    folder = folders_root / "pps" / "0207300201"
    assert patterns_kept(fits.getheader(folder / "P0207300201M1S001IMAGE_2000.FTZ")) == "all"
    assert has_vignetting(fits.getheader(folder / "P0207300201M1S001EXPMAP2000.FTZ")) is True


def test_more_patterns_of_mos_change_no_rate_of_a_source(data_root):
    """The brightest source of a pipeline list, whose patterns are not cut: net counts above 12 over those below."""
    with fits.open(data_root / "pps" / "0001730201" / "P0001730201M1S002MIEVLI.FTZ") as hdus:
        events = Table(hdus["EVENTS"].data)
    events = events[(events["PI"] >= 500) & (events["PI"] <= 2000) & (events["FLAG"].astype(int) & 0x766BA000 == 0)]
    from_source = ((events["X"] - 24800) ** 2 + (events["Y"] - 24200) ** 2) ** 0.5
    circle, ring = from_source < 400, (from_source > 1500) & (from_source < 3000)
    over = events["PATTERN"] > 12
    above, below = (float((circle & p).sum() - 400**2 / (3000**2 - 1500**2) * (ring & p).sum()) for p in (over, ~over))
    assert below > 4000
    assert above / below < 0.001
    assert same_patterns("mos2", "all", "0-12")


@pytest.fixture
def singles(tmp_path):
    """The example's pair, whose image says that it was made of PATTERN 0."""
    pair = example_rate_map()
    shutil.copy(pair.image.path, tmp_path / "image.fits")
    fits.setval(tmp_path / "image.fits", "SLCTEXPR", value="PATTERN == 0 && PI in [500:2000]")
    return xp.RateMap(image=evolve(pair.image, path=str(tmp_path / "image.fits")), exposure=pair.exposure)


def factor(pair):
    return xp.power_law_ecf(
        pair.instrument, filter=pair.filter, band=pair.band, gamma=1.7, nh=3e20 / u.cm**2, absorbed=True
    )


def test_a_flux_is_of_the_events_of_its_factor(singles):
    table, ecf = xp.photometry(singles, PLACE, 20 * u.arcsec, psf="epic"), factor(singles)
    assert (table["patterns"][0], ecf.patterns) == ("0", "0-4")
    for measure in (xp.fluxes, lambda table, ecf: xp.joint_photometry(table, response=ecf)):
        with pytest.raises(InvalidRecord, match="PATTERN 0, and its factor is of 0-4"):
            measure(table, ecf=ecf)
    with pytest.raises(InvalidRecord, match="PATTERN 0, and its factor is of 0-4"):
        xp.fluxes(xp.joint_photometry(table), ecf=ecf)
    mine = xp.fluxes(table, ecf=evolve(ecf, patterns="0"))
    assert np.isclose(mine["flux"][0] * ecf.value, table["rate"][0], rtol=1e-12, atol=0)
    assert mine.meta["FLUXOF"] == "the whole point source"
    assert "NOTE1" not in mine.meta
    assert "patterns" in xp.fluxes(table, ecf=evolve(ecf, patterns="")).meta["NOTE1"]


def test_rates_of_other_events_are_not_joined(singles):
    other = xp.photometry(singles, PLACE, 20 * u.arcsec)
    table = xp.photometry(example_rate_map(), PLACE, 20 * u.arcsec)
    other["obs_id"] = ["0999990102"]
    with pytest.raises(InvalidRecord, match="patterns 0-4 and 0"):
        xp.joint_photometry(vstack([table, other], metadata_conflicts="silent"))
    other["patterns"] = ["unknown"]
    [joint] = xp.joint_photometry(vstack([table, other], metadata_conflicts="silent"))
    assert (joint["patterns"], joint["vignetting"]) == ("0-4", "corrected")


def test_what_is_not_known_is_said():
    table = xp.photometry(example_rate_map(), PLACE, 20 * u.arcsec)
    table.remove_columns(["patterns", "vignetting", "rate_of"])
    held = evolve(factor(example_rate_map()), arf_includes=("enclosed",))
    found = xp.fluxes(table, ecf=held)
    assert [word in found.meta[f"NOTE{n}"] for n, word in ((1, "vignetting"), (2, "circle"), (3, "patterns"))] == [
        True
    ] * 3
    assert "NOTE4" not in found.meta
    assert "rate_of" in found.meta["FLUXOF"]


@pytest.mark.parametrize("patterns", ["0 to 4", "singles", "0-", 4])
def test_a_factor_refuses_what_are_no_patterns(patterns):
    with pytest.raises(InvalidRecord, match="patterns must be"):
        evolve(factor(example_rate_map()), patterns=patterns)
