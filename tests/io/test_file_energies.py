"""The band of a product: from its header and from the name that the pipeline gave it."""

import pytest
from astropy.io import fits

from xphotfn.errors import InvalidFile
from xphotfn.io.file_energies import band_of_exposure_map, band_of_product, energies_of
from xphotfn.io.fits import read_header
from xphotfn.io.headers import is_exposure_map
from xphotfn.records.band import Band

LIMITS = "pimin='200 500 1000' pimax='500 1000 2000' # (eexpmap-4.12)"
NAMES = "P0001730201M1S002EXPMAP{}000.FIT"
COMMAND = (
    f"eexpmap imageset=i.fits expimageset='{' '.join(map(NAMES.format, '123'))}' attitudeset=a.fits {LIMITS}"
)  # fmt: skip
BOTH = {"XPROC0": COMMAND, "SLCTEXPR": "PI in [200:500]"}  # eexpmap copies the keywords of its one image to every map


def said(cards, name, kind="image"):
    band = band_of_product(fits.Header(cards), f"/data/{name}", kind=kind)
    return band.lo_ev, band.hi_ev


@pytest.mark.parametrize(("number", "band"), [("1", (200, 500)), ("2", (500, 1000)), ("3", (1000, 2000))])
@pytest.mark.parametrize("ending", ["FIT", "FTZ", "FIT.gz"])
@pytest.mark.parametrize("cards", [{"XPROC0": COMMAND}, BOTH])
def test_a_map_has_the_band_of_its_own_name_among_those_of_the_command(number, band, ending, cards):
    assert said(cards, NAMES.format(number).replace("FIT", ending), "exposure_map") == band


def test_a_map_that_was_renamed_has_no_band_of_a_command_for_several():
    with pytest.raises(InvalidFile, match="made maps of several bands") as caught:
        said(BOTH, "map.fits", "exposure_map")
    assert caught.value.problem.endswith("or the option layout")
    assert band_of_exposure_map(fits.Header({"XPROC0": COMMAND.replace(" pimax='500 1000 2000'", "")}), "x") is None
    assert band_of_exposure_map(fits.Header({"XPROC0": COMMAND.replace("1000 2000'", "1000'")}), NAMES[:-7]) is None


@pytest.mark.parametrize(
    ("cards", "name", "kind", "band"),
    [
        ({"SLCTEXPR": "PI in (1000:2000]"}, "P0001730201M1S002IMAGE_3000.FTZ", "image", (1001, 2000)),
        ({"SLCTEXPR": "PI>=500 && PI<2000"}, "P0001730201M1S002IMAGE_2000.FTZ", "image", (500, 1999)),
        ({}, "P0001730201M1S002IMAGE_1000.FTZ", "image", (200, 500)),
        ({"CREATOR": "eexpmap"}, "P0001730201PNS003EXPMAP8000.FTZ", "exposure_map", (200, 12000)),
        ({"SLCTEXPR": "PI in [300:700]"}, "P0001730201M1S002IMAGE_0000.FTZ", "image", (300, 700)),
        ({"SLCTEXPR": "PI in [300:700]"}, "image.fits", "image", (300, 700)),
    ],
)
def test_names_of_the_pipeline_say_the_band_too(cards, name, kind, band):
    assert said(cards, name, kind) == band


@pytest.mark.parametrize(
    ("cards", "name", "problem"),
    [
        ({"SLCTEXPR": "PI in [500:2000]"}, "P0001730201M1S002IMAGE_4000.FTZ", "its header says 0.5-2 keV"),
        ({}, "P0001730201M1S002IMAGE_2000.FTZ", "means 0.5-1 keV or 0.5-2 keV"),
        ({"SLCTEXPR": "PI in [200:500] && !(PI in [300:310])"}, "P0001730201M1S002IMAGE_1000.FTZ", "are no one band"),
        ({"SLCTEXPR": "PI > 150"}, "image.fits", "from 0.151 keV, no band with two ends"),
        ({"SLCTEXPR": "PI in [500:2000] && !(PI in [1400:1600])"}, "i.fits", "0.5-1.399 and 1.601-2 keV"),
        ({"SLCTEXPR": "PI in [0.5:2.0]"}, "i.fits", "limits of PI are in eV"),
        ({"SLCTEXPR": "PI in [500:2000]", "DSTYP1": "PI", "DSVAL1": "4500:"}, "i.fits", "contradict each other"),
        ({"SLCTEXPR": "PI in [500:2000] && (PATTERN"}, "i.fits", "cannot be read"),
        ({"SLCTEXPR": "(CCDNR==1&&PI in [1:50])||(CCDNR==2&&PI in [1:60])"}, "i.fits", "in some places"),
        ({"SLCTEXPR": "FLAG==0"}, "i.fits", "names no energy band"),
    ],
)  # fmt: skip
def test_what_is_no_band_is_refused_with_the_reason(cards, name, problem):
    with pytest.raises(InvalidFile, match="keV|eV|read|band|other") as caught:
        said(cards, name)
    assert problem in caught.value.problem


def test_energies_are_what_selection_and_subspace_leave():
    cards = {"SLCTEXPR": "PI in [200:12000]", "DSTYP1": "PI", "DSVAL1": "500:2000)"}
    assert str(energies_of(fits.Header(cards))) == "0.5-1.999 keV"
    assert energies_of(fits.Header({"DSTYP1": "PI", "DSVAL1": "(150:"})).somewhere.ranges == ((151, None),)
    assert energies_of(fits.Header()).kind == "all"


def test_real_images_and_maps_of_the_archive_are_of_one_band(folders_root):
    found = {}
    for path in sorted((folders_root / "pps" / "0207300201").glob("*.FTZ")):
        if "BKGND" not in path.name:
            header = read_header(path)
            kind = "exposure_map" if is_exposure_map(header) else "image"
            found[path.name[11:27]] = band_of_product(header, str(path), kind=kind)
    assert len(found) == 4
    assert {name: band for name, band in found.items() if "IMAGE" in name} == {
        "M1S001IMAGE_2000": Band(lo_ev=500, hi_ev=1999),
        "M2S002IMAGE_2000": Band(lo_ev=500, hi_ev=1999),
    }
    assert {band.nominal for band in found.values()} == {Band(lo_ev=500, hi_ev=2000)}


def test_a_real_list_that_was_cut_says_so(folders_root):
    header = read_header(folders_root / "pps" / "0001730201" / "M1_clean.fits.gz", "EVENTS")
    found = energies_of(header)
    assert str(found) == "0.5-10 keV"
    assert not found.contains(Band(lo_ev=200, hi_ev=500))
    assert found.contains(Band(lo_ev=500, hi_ev=2000))
