"""Which maps a search leaves out: those on which nothing can be seen."""

import numpy as np
import pytest
from attrs import evolve

import xphotfn as xp
from xphotfn.epic.searched_counts import searched_counts, without_empty
from xphotfn.io.write import write_image

GRID = evolve(xp.PixelGrid.from_sky_range(10.0, 20.0), nx=8, ny=8)


def rate_map(folder, name, counts, seconds):
    """A map of these counts and this exposure in every pixel."""
    parts = {}
    for kind, make, value in (("image", xp.Image, counts), ("exposure", xp.ExposureMap, seconds)):
        path = folder / f"{name}_{kind}.fits"
        write_image(path, np.broadcast_to(value, GRID.shape).astype("i4"), GRID)
        parts[kind] = make(path=str(path), obs_id="0000000101", exposure_id=name, instrument="mos1",
                           band=xp.Band(lo_ev=500, hi_ev=2000), grid=GRID)  # fmt: skip
    return xp.RateMap(**parts)


def test_maps_without_count_or_exposure_are_set_aside(tmp_path):
    good = rate_map(tmp_path, "S001", 1, 500)
    dark, closed = rate_map(tmp_path, "S002", 0, 500), rate_map(tmp_path, "S003", 0, 0)
    assert without_empty([dark, good, closed]) == ((good,), (dark, closed))
    assert without_empty([dark, closed]) == ((dark, closed), ())  # the search says what is wrong
    assert searched_counts(good)[0].sum() == GRID.nx * GRID.ny


def test_counts_where_there_is_no_exposure_are_refused_and_not_set_aside(tmp_path):
    left = np.arange(GRID.nx) < 4
    odd = rate_map(tmp_path, "S004", np.where(left, 1, 0), np.where(left, 0, 500))
    with pytest.raises(xp.InvalidRecord, match="32 counts where there is no exposure"):
        without_empty([odd])
