"""Bands and grids of the files in a folder: what is found, what pairs, and what is left out."""

import attrs
import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.records.grid import PixelGrid

OBS = "0404910601"
GRID = PixelGrid.from_sky_range(149.6, -11.1)
SOFT = xp.energy_band("0.5 keV", "2 keV")
TARGET = xp.point_source("place", 149.6, -11.1, radius="30 arcsec")
COMMON = {
    "OBS_ID": OBS, "INSTRUME": "EMOS1", "EXPIDSTR": "S001", "RA_PNT": 149.6, "DEC_PNT": -11.1, "FILTER": "Thin1",
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 149.6, "CRVAL2": -11.1, "CRPIX1": GRID.crpix1,
    "CRPIX2": GRID.crpix2, "CDELT1": GRID.cdelt1_deg, "CDELT2": GRID.cdelt2_deg,
}  # fmt: skip
LIMITS = "pimin='200 500 1000' pimax='500 1000 2000' # (eexpmap-4.12)"


def image(folder, name, selection, **cards):
    counts = np.ones((512, 512), dtype=np.int32)
    header = fits.Header({**COMMON, "HDUCLAS1": "IMAGE", "SLCTEXPR": selection, **cards})
    fits.PrimaryHDU(counts, header).writeto(folder / name)


def exposure_map(folder, name, **cards):
    header = fits.Header({**COMMON, "CONTENT": "EPIC EXPOSURE MAP", **cards})
    fits.PrimaryHDU(np.full((512, 512), 1e4, dtype=np.float32), header).writeto(folder / name)


def of_folder(folder):
    (observation,) = xp.find_observations(folder)
    found = sorted((p.kind, str(p.band)) for e in observation.exposures for p in e.products)
    return observation, found, " ".join(map(str, observation.notes))


def test_an_image_with_a_hole_is_never_the_image_of_the_hole_or_of_the_band(tmp_path):
    image(tmp_path, "all.fits", "(PATTERN<=12) && PI in [500:2000] && !(PI in [1400:1600])")
    image(tmp_path, "hard.fits", "PI in [2000:10000]")
    observation, found, notes = of_folder(tmp_path)
    assert found == [("image", "2-10 keV")]
    assert "all.fits left out: " in notes
    assert "0.5-1.399 and 1.601-2 keV" in notes
    assert observation.exposures[0].found("image", xp.energy_band("1.4 keV", "1.6 keV")) is None


@pytest.mark.parametrize("selection", ["PI>=500 && PI<2000", "PI in (500:2000]", "PI > 500 && PI < 2000"])
def test_an_image_of_open_ends_and_its_map_make_a_rate_map(tmp_path, selection):
    image(tmp_path, "img.fits", selection)
    exposure_map(tmp_path, "expmap.fits", XPROC0="eexpmap pimin=500 pimax=2000 # (eexpmap-4.2) [???]")
    field = xp.match_observations(TARGET, [of_folder(tmp_path)[0]])
    plan = xp.plan_exposure_maps(field, SOFT)
    assert [(p.kind, p.band, p.file is not None) for p in plan.products] == [
        ("image", SOFT, True), ("exposure_map", SOFT, True)
    ]  # fmt: skip
    assert "an open end of this band" in plan.notes[0]


def test_maps_that_one_command_made_have_each_its_own_band(tmp_path):
    names = [f"P{OBS}M1S001EXPMAP{n}000.FTZ" for n in (1, 2, 3)]
    made = f"eexpmap imageset=i.fits expimageset='{' '.join(n.replace('FTZ', 'FIT') for n in names)}' {LIMITS}"
    for name in names:
        exposure_map(tmp_path, name, XPROC0=made, SLCTEXPR="PI in [200:500]")
    assert of_folder(tmp_path)[1] == [("exposure_map", b) for b in ("0.2-0.5 keV", "0.5-1 keV", "1-2 keV")]
    (tmp_path / names[1]).rename(tmp_path / "other.fits")
    _, found, notes = of_folder(tmp_path)
    assert found == [("exposure_map", "0.2-0.5 keV"), ("exposure_map", "1-2 keV")]
    assert "made maps of several bands" in notes


def test_a_name_that_contradicts_its_header_is_left_out(tmp_path):
    image(tmp_path, f"P{OBS}M1S001IMAGE_4000.FTZ", "PI in [500:2000]")
    image(tmp_path, f"P{OBS}M1S001IMAGE_5000.FTZ", "PI in (4500:12000]")
    _, found, notes = of_folder(tmp_path)
    assert found == [("image", "4.501-12 keV")]
    assert "IMAGE_4000.FTZ left out: " in notes
    assert "its header says 0.5-2 keV, the band in its name means 2-4.5 keV or 4.5-7.5 keV" in notes


@pytest.mark.parametrize(
    ("cards", "says"),
    [({"CDELT1": -GRID.cdelt1_deg}, "is mirrored"), ({"CDELT2": 2 * GRID.cdelt2_deg}, "only square ones"),
     ({"CROTA2": 30.0}, "is rotated")],
)  # fmt: skip
def test_pixels_that_are_not_measured_are_left_out(tmp_path, cards, says):
    image(tmp_path, "turned.fits", "PI in [500:2000]", **cards)
    image(tmp_path, "hard.fits", "PI in [2000:10000]")
    _, found, notes = of_folder(tmp_path)
    assert found == [("image", "2-10 keV")]
    assert says in notes


def test_a_matrix_counts_and_what_stands_beside_it_does_not(tmp_path):
    matrix = {"CD1_1": GRID.cdelt1_deg, "CD1_2": 1e-17, "CD2_1": 0.0, "CD2_2": GRID.cdelt2_deg}
    image(tmp_path, "img.fits", "PI in [500:2000]", **matrix, CDELT1=-1.0, CDELT2=1.0)
    observation, _, _ = of_folder(tmp_path)
    assert not observation.grid.difference(GRID)
    assert observation.grid.pixel_deg == pytest.approx(GRID.pixel_deg, rel=1e-12)


def test_images_and_maps_of_the_archive_pair(folders_root):
    field = xp.match_observations(
        attrs.evolve(TARGET, ra_deg=_pointing(folders_root)[0], dec_deg=_pointing(folders_root)[1]),
        xp.find_observations(folders_root / "pps" / "0207300201"),
    )
    plan = xp.plan_exposure_maps(field, SOFT)
    assert {(p.kind, p.instrument) for p in plan.products if p.file is not None} == {
        (kind, camera) for kind in ("image", "exposure_map") for camera in ("mos1", "mos2")
    }
    assert not plan.steps


def _pointing(folders_root):
    header = fits.getheader(folders_root / "pps" / "0207300201" / "P0207300201M1S001IMAGE_2000.FTZ")
    return header["RA_PNT"], header["DEC_PNT"]
