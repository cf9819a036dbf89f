"""Strategies for images, exposure maps and masks, and for records that hold arrays.

An array is drawn as a seed and a few parameters, never pixel by pixel: cheap to make, and a failing example names what
it was made of.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

from xphotfn.graph.event_mosaics import BinnedList, EventMosaic
from xphotfn.science.detection.search_map import EllipticalSpread
from xphotfn.science.detection.settings import SourceSearch
from xphotfn.science.encircled_energy import EncircledEnergyTable
from xphotfn.science.king import EPIC_KING
from xphotfn.science.pixel_masks import read_only
from xphotfn.testing.strategies.of_basics import CAMERAS, EXPOSURE_IDS, OBS_IDS, SEEDS, TEXT, WORD
from xphotfn.testing.strategies.of_sky import bands, grids

__all__ = (
    "count_maps",
    "elliptical_spreads",
    "encircled_energy_tables",
    "event_mosaics",
    "exposure_maps",
    "masks",
    "source_searches",
)

Shape2D = tuple[int, int]


def _shapes(shape: Shape2D | None) -> st.SearchStrategy[Shape2D]:
    return st.tuples(st.integers(1, 64), st.integers(1, 64)) if shape is None else st.just(shape)


def _pixels(shape: Shape2D) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return row and column of every pixel, from -1 to 1 over the image."""
    y, x = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in shape)
    return y[:, None], x[None, :]


@st.composite
def count_maps(draw: st.DrawFn, *, shape: Shape2D | None = None, dtype: DTypeLike = np.int32) -> NDArray[Any]:
    """Return a strategy for images in counts: a flat Poisson background with up to three sources; read-only.

    The shape is ``(ny, nx)``, up to 64 x 64 if None.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(count_maps(shape=(3, 4)), lambda counts: counts.sum() == 0).shape
    (3, 4)
    """
    size = draw(_shapes(shape))
    mean = np.full(size, 10.0 ** draw(st.floats(-4.0, 1.3)))
    y, x = _pixels(size)
    for _ in range(draw(st.integers(0, 3))):
        y0, x0, width = draw(st.floats(-1, 1)), draw(st.floats(-1, 1)), draw(st.floats(0.02, 0.5))
        mean += draw(st.floats(0.1, 100.0)) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * width**2))
    counts: NDArray[Any] = np.random.default_rng(draw(SEEDS)).poisson(mean).astype(dtype)
    counts.setflags(write=False)
    return counts


@st.composite
def exposure_maps(draw: st.DrawFn, *, shape: Shape2D | None = None, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return a strategy for exposure maps in s: a round field of view with vignetting, CCD gaps and dead pixels.

    Zero or above, at least one pixel above; read-only. The shape is ``(ny, nx)``, up to 64 x 64 if None.

    Examples
    --------
    >>> from hypothesis import find
    >>> exposure = find(exposure_maps(shape=(8, 8)), lambda exposure: bool((exposure == 0).any()))
    >>> exposure.dtype, bool((exposure > 0).any())
    (dtype('float32'), True)
    """
    size = draw(_shapes(shape))
    y, x = _pixels(size)
    distance = np.hypot(x, y)
    on_axis = 10.0 ** draw(st.floats(0.0, 5.0))
    exposure = on_axis * (1 - draw(st.floats(0.0, 0.7)) * np.minimum(distance, 1) ** 2)
    exposure[distance > draw(st.floats(0.3, 1.5))] = 0
    for axis, side in ((0, size[0]), (1, size[1])):
        for gap in draw(st.lists(st.integers(0, side - 1), max_size=3)):
            exposure[(slice(None),) * axis + (gap,)] = 0
    dead = draw(st.sampled_from((0.0, 0.01, 0.3)))
    exposure[np.random.default_rng(draw(SEEDS)).random(size) < dead] = 0
    if not exposure.any():
        exposure[size[0] // 2, size[1] // 2] = on_axis
    result: NDArray[Any] = exposure.astype(dtype)
    result.setflags(write=False)
    return result


@st.composite
def masks(draw: st.DrawFn, shape: Shape2D | None = None) -> NDArray[np.bool_]:
    """Return a strategy for masks: all, nothing, a disc, or scattered pixels.

    Parameters
    ----------
    shape
        ``(ny, nx)``; up to 64 x 64 if None.

    Returns
    -------
    SearchStrategy of ndarray of bool, shape (ny, nx)
        Read-only.

    Examples
    --------
    >>> from hypothesis import find
    >>> bool(find(masks((4, 4)), lambda mask: not mask.all()).any())
    False
    """
    size = draw(_shapes(shape))
    kind = draw(st.sampled_from(("nothing", "all", "disc", "scattered")))
    if kind == "disc":
        y, x = _pixels(size)
        mask = np.hypot(x - draw(st.floats(-1, 1)), y - draw(st.floats(-1, 1))) < draw(st.floats(0.0, 2.0))
    elif kind == "scattered":
        mask = np.random.default_rng(draw(SEEDS)).random(size) < draw(st.floats(0.0, 1.0))
    else:
        mask = np.full(size, kind == "all")
    return np.asarray(read_only(mask))


@st.composite
def encircled_energy_tables(draw: st.DrawFn) -> EncircledEnergyTable:
    """Return a strategy for tables of encircled energy: rising radii, fractions that never fall.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(encircled_energy_tables(), lambda table: table.radii_arcsec.size == 3).radii_arcsec.tolist()
    [1.0, 2.0, 3.0]
    """
    steps = draw(st.lists(st.floats(1.0, 60.0), min_size=2, max_size=12))
    parts = draw(st.lists(st.floats(0.0, 1.0), min_size=len(steps), max_size=len(steps)))
    return EncircledEnergyTable(
        radii_arcsec=np.cumsum(steps), fractions=np.sort(parts), systematic=draw(st.floats(0.0, 0.2)), source=draw(TEXT)
    )


@st.composite
def elliptical_spreads(draw: st.DrawFn) -> EllipticalSpread:
    """Return a strategy for point spread functions that are stretched off the axis.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(elliptical_spreads(), lambda spread: len(spread.axis_ratios) == 2).axis_ratios
    ((1.0, 1.0), (2.0, 1.0))
    """
    angles = np.cumsum(draw(st.lists(st.floats(1.0, 5.0), min_size=1, max_size=4))).tolist()
    ratios = draw(st.lists(st.floats(1.0, 3.0), min_size=len(angles), max_size=len(angles)))
    profile = draw(st.one_of(st.sampled_from(tuple(EPIC_KING.values())), encircled_energy_tables()))
    return EllipticalSpread(profile=profile, axis_ratios=list(zip(angles, ratios, strict=True)))


@st.composite
def source_searches(draw: st.DrawFn) -> SourceSearch:
    """Return a strategy for ways in which a plan searches for sources.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(source_searches(), lambda search: search.threshold == 4).psf
    'epic'
    """
    own = st.one_of(elliptical_spreads(), encircled_energy_tables(), st.sampled_from(tuple(EPIC_KING.values())))
    return SourceSearch(
        threshold=draw(st.floats(4, 20)),
        extent=draw(st.booleans()),
        joint=draw(st.booleans()),
        psf=draw(st.just("epic") | own | st.dictionaries(st.sampled_from(["pn", "mos1"]), own, min_size=1)),
    )


@st.composite
def event_mosaics(draw: st.DrawFn) -> EventMosaic:
    """Return a strategy for mosaics of events whose lists hold the counts of the image.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(event_mosaics())
    ... def test_every_event_lies_on_the_grid(mosaic):
    ...     assert mosaic.data.sum() == sum(one.inside for one in mosaic.lists)
    >>> test_every_event_lies_on_the_grid()
    """
    grid = draw(grids(max_side=64))
    data = draw(count_maps(shape=grid.shape))
    total = int(data.sum())
    first = draw(st.integers(0, total))
    lists = [
        BinnedList(
            file=f"{draw(WORD)}.fits", obs_id=draw(OBS_IDS), instrument=draw(st.sampled_from(CAMERAS)),
            exposure_id=draw(EXPOSURE_IDS), inside=inside, outside=draw(st.integers(0, 1000)),
        )
        for inside in (first, total - first)
    ]  # fmt: skip
    left_out = [(draw(WORD), draw(TEXT)) for _ in range(draw(st.integers(0, 2)))]
    return EventMosaic(data=data, grid=grid, band=draw(bands()), lists=lists, left_out=left_out)
