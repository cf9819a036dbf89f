"""Grids on which nothing is measured: refused where a file is read and where a product is made by hand."""

import attrs
import pytest
from hypothesis import given

from xphotfn.errors import InvalidFile
from xphotfn.io.headers import check_measurable
from xphotfn.io.products import ExposureMap, Image
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.testing.strategies import grids

DEFAULT = PixelGrid.from_sky_range(149.591375, -11.0887222222222)
STEP = DEFAULT.cdelt2_deg


@given(grids())
def test_grids_of_epic_are_measured(grid):
    check_measurable(grid, "image.fits")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cdelt1_deg": 0.001}, "is mirrored (CDELT1 is 0.001)"),
        ({"cdelt2_deg": -0.001}, "is mirrored (CDELT2 is -0.001)"),
        ({"cdelt2_deg": 2 * STEP}, "has pixels of 4.35 x 8.7 arcsec: only square ones are measured"),
        ({"cdelt2_deg": STEP * (1 + 1e-4)}, "has pixels of 4.35 x 4.35044 arcsec"),
    ],
)
@pytest.mark.parametrize("product", [Image, ExposureMap])
def test_other_grids_are_refused(product, changes, says):
    grid = attrs.evolve(DEFAULT, **changes)
    with pytest.raises(InvalidFile, match="file.fits") as caught:
        product(path="file.fits", obs_id="0404910601", instrument="pn", band=Band(lo_ev=500, hi_ev=2000), grid=grid)
    assert caught.value.problem.startswith(says)


def test_round_off_is_no_other_pixel():
    check_measurable(attrs.evolve(DEFAULT, cdelt2_deg=STEP * (1 + 1e-6)), "file.fits")
