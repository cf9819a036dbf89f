"""Grids of evselect images: their pixels against real headers, and what they refuse."""

import pickle

import attrs
import pytest
from hypothesis import given, strategies as st

from xphotfn.commands import ImageGrid
from xphotfn.errors import InvalidRecord

PPS_GRID = ImageGrid(x_range=None, y_range=None, x_bin=80, y_bin=80, square_pixels=False)
ESAS_GRID = ImageGrid(x_range=(3401, 48400), y_range=(3401, 48400), x_size=900, y_size=900, binning="imageSize")
DETECTOR_GRID = ImageGrid(x_column="DETX", y_column="DETY", x_range=None, y_range=None, x_bin=80, y_bin=80)


@pytest.mark.parametrize(
    ("grid", "bins", "shape"),
    [
        (ImageGrid(), (87, 87), (512, 512)),
        (PPS_GRID, (80, 80), (648, 648)),
        (ESAS_GRID, (50, 50), (900, 900)),
        (attrs.evolve(ESAS_GRID, x_range=None, y_range=None, x_size=600, y_size=600), (87, 87), (596, 596)),
        (attrs.evolve(ESAS_GRID, y_size=450), (100, 100), (450, 450)),
        (attrs.evolve(ESAS_GRID, y_size=450, square_pixels=False), (50, 100), (450, 900)),
        (
            ImageGrid(
                x_column="DETX", y_column="DETY", x_range=(-18283, 13916), y_range=(-17527, 15312), x_bin=80, y_bin=80
            ),
            (80, 80),
            (411, 403),
        ),
        (ImageGrid(x_range=(5, 5), y_range=(1, 10), x_bin=3, y_bin=3), (3, 3), (4, 1)),
    ],
)
def test_grids_have_the_pixels_of_sas(grid, bins, shape):
    assert (grid.bins, grid.shape) == (bins, shape)


@given(lo=st.integers(-30000, 30000), width=st.integers(0, 60000), step=st.integers(1, 500), size=st.integers(1, 900))
def test_every_value_of_the_range_has_a_pixel(lo, width, step, size):
    interval = (lo, lo + width)
    for binning in ("binSize", "imageSize"):
        grid = ImageGrid(
            x_range=interval, y_range=interval, x_bin=step, y_bin=step, x_size=size, y_size=size, binning=binning
        )
        rows, columns = grid.shape
        assert rows == columns == (interval[1] - lo) // grid.bins[0] + 1
        assert binning == "binSize" or columns <= size


REFUSED = {
    "column": (lambda: ImageGrid(x_column="X Y"), "x_column must name a column"),
    "half bin": (lambda: ImageGrid(x_bin=0.5), "a whole number, got 0.5"),
    "no bin": (lambda: ImageGrid(x_bin=0, y_bin=0), "x_bin must be at least 1"),
    "word bin": (lambda: ImageGrid(x_bin="wide"), "a whole number, got 'wide'"),
    "range down": (lambda: ImageGrid(x_range=(2, 1)), "x_range must run upwards"),
    "range of one": (lambda: ImageGrid(x_range=(2,)), "ranges"),
    "square": (lambda: ImageGrid(x_bin=80, y_bin=87), "square_pixels needs equal bins"),
    "binning": (lambda: ImageGrid(binning="auto"), "binSize, imageSize"),
    "legal range": (lambda: DETECTOR_GRID.shape, "give its range"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_what_was_found(name):
    call, message = REFUSED[name]
    with pytest.raises(InvalidRecord) as caught:
        call()
    assert message in str(caught.value)


def test_a_grid_is_a_record():
    assert pickle.loads(pickle.dumps(ImageGrid())) == ImageGrid()
    assert hash(ImageGrid(x_range=[3649, 48106])) == hash(ImageGrid())
    assert attrs.evolve(ImageGrid(), x_bin=80, y_bin=80) != ImageGrid()
