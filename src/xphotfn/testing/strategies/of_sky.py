"""Strategies for what is on the sky and how it is looked at: bands, positions, targets, cameras and pixel grids."""

from collections.abc import Sequence

import astropy.units as u
from attrs import evolve
from hypothesis import strategies as st

from xphotfn.commands.image_grid import ImageGrid
from xphotfn.records.band import Band
from xphotfn.records.grid import XMM_REFERENCE, PixelGrid
from xphotfn.records.instrument import INSTRUMENTS, Instrument
from xphotfn.records.target import KINDS, CosmologyParameters, Target, extended_source, galaxy_cluster, point_source
from xphotfn.testing.strategies.of_basics import EXTRA, NAME, one_of_kinds

__all__ = (
    "bands",
    "grids",
    "image_grids",
    "instruments",
    "positions",
    "targets",
)

_RADIUS_UNITS = {"arcsec": (1.0, 1800.0), "arcmin": (0.1, 30.0), "deg": (0.001, 0.5), "kpc": (1.0, 3000.0)}


@st.composite
def bands(draw: st.DrawFn, *, lowest_ev: int = 0, highest_ev: int = 15000) -> Band:
    """Return a strategy for energy bands between two energies in eV.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(bands(), lambda band: band.lo_ev >= 500)
    Band(lo_ev=500, hi_ev=501)
    """
    lo_ev = draw(st.integers(lowest_ev, highest_ev - 1))
    return Band(lo_ev=lo_ev, hi_ev=draw(st.integers(lo_ev + 1, highest_ev)))


def positions(*, max_dec_deg: float = 90.0) -> st.SearchStrategy[tuple[float, float]]:
    """Return a strategy for sky positions: pairs of RA in [0, 360) and Dec, in degrees.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(positions(), lambda position: position[1] < -30)[0]
    0.0
    """
    ra = st.floats(0.0, 360.0, exclude_max=True, allow_subnormal=False)
    return st.tuples(ra, st.floats(-max_dec_deg, max_dec_deg, allow_subnormal=False))


def _radii(units: Sequence[str]) -> st.SearchStrategy[u.Quantity]:
    return st.one_of([st.builds(u.Quantity, st.floats(*_RADIUS_UNITS[unit]), st.just(unit)) for unit in units])


_ANGULAR_RADII = _radii(("arcsec", "arcmin", "deg"))
_ALL_RADII = _radii(tuple(_RADIUS_UNITS))


@st.composite
def _cosmologies(draw: st.DrawFn) -> str | CosmologyParameters:
    if draw(st.booleans()):
        return draw(st.sampled_from(("Planck13", "Planck15", "Planck18", "WMAP9")))
    values: list[tuple[str, float | tuple[float, ...] | None]] = [
        ("H0", draw(st.floats(40.0, 100.0))),
        ("Om0", draw(st.floats(0.1, 0.9))),
        ("Tcmb0", 2.7255),
        ("m_nu", tuple(draw(st.lists(st.floats(0.0, 0.5), min_size=3, max_size=3)))),
    ]
    return CosmologyParameters(kind="FlatLambdaCDM", parameters=tuple(values))


@st.composite
def targets(draw: st.DrawFn, *, kind: str | None = None) -> Target:
    """Return a strategy for targets: ``cluster``, ``extended``, ``point`` or ``position``; any of these kinds if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(targets(kind="cluster"))
    ... def test_a_cluster_has_a_redshift(target):
    ...     assert target.redshift > 0
    >>> test_a_cluster_has_a_redshift()
    """
    chosen = one_of_kinds(draw, kind, KINDS)
    name, extra = draw(NAME), draw(EXTRA)
    ra, dec = draw(positions())
    nh = draw(st.none() | st.floats(1e19, 1e23).map(lambda value: value / u.cm**2))
    if chosen == "point":
        return point_source(name, ra, dec, radius=draw(_ANGULAR_RADII), nh=nh, extra=extra)
    redshift = draw(st.floats(1e-3, 3.0))
    if chosen in ("extended", "position"):
        far = draw(st.booleans())
        radius = draw(_ALL_RADII if far else _ANGULAR_RADII)
        known = extended_source(name, ra, dec, radius=radius, redshift=redshift if far else None, nh=nh, extra=extra)
        return evolve(known, kind=chosen)
    r200, r500, r2500 = (draw(_ALL_RADII) if draw(st.booleans()) else None for _ in range(3))
    return galaxy_cluster(
        name, ra, dec, redshift=redshift, r200=r200, r500=r500, r2500=r2500,
        cosmology=draw(_cosmologies()), nh=nh, extra=extra,
    )  # fmt: skip


@st.composite
def grids(
    draw: st.DrawFn, *, max_side: int = 1024, sky: bool | None = None, projections: Sequence[str] = ("TAN",)
) -> PixelGrid:
    """Return a strategy for pixel grids: up to 89 degrees from the equator, pixels of 1 to 10 arcsec.

    At most ``max_side`` columns and rows; with or without XMM sky coordinates, either if None; projections such as
    those of :data:`~xphotfn.records.grid.PROJECTIONS`.

    Examples
    --------
    >>> from hypothesis import find
    >>> grid = find(grids(sky=True, max_side=64), lambda grid: grid.nx > 2)
    >>> grid.shape, grid.has_sky
    ((1, 64), True)
    """
    sides = st.sampled_from((1, 2, 512)) | st.integers(1, 1024)
    nx, ny = (min(draw(sides), max_side) for _ in range(2))
    crpix1, crpix2 = (draw(st.floats(-0.5, 1.5)) * side + 0.5 for side in (nx, ny))
    ra, dec = draw(positions(max_dec_deg=89.0))
    has_sky = draw(st.booleans()) if sky is None else sky
    bin_size = draw(st.integers(20, 200)) if has_sky else draw(st.floats(20.0, 200.0))
    step = 0.05 / 3600 * bin_size
    known: dict[str, float | None] = {"x0_sky": None, "y0_sky": None}
    if has_sky:
        known = {"x0_sky": XMM_REFERENCE - (crpix1 - 1) * bin_size, "y0_sky": XMM_REFERENCE - (crpix2 - 1) * bin_size}
    return PixelGrid(
        nx=nx, ny=ny, crpix1=crpix1, crpix2=crpix2, ra_deg=ra, dec_deg=dec, cdelt1_deg=-step, cdelt2_deg=step,
        dx_sky=bin_size, dy_sky=bin_size, x0_sky=known["x0_sky"], y0_sky=known["y0_sky"],
        projection=draw(st.sampled_from(tuple(projections))),
    )  # fmt: skip


def instruments() -> st.SearchStrategy[Instrument]:
    """Return a strategy for cameras: pn, MOS1 and MOS2.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(instruments(), lambda camera: camera.max_pattern > 4).name
    'mos1'
    """
    return st.sampled_from(INSTRUMENTS)


@st.composite
def image_grids(draw: st.DrawFn) -> ImageGrid:
    """Return a strategy for the pixels that evselect bins events into: sky or detector columns, bins or sizes.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(image_grids(), lambda grid: grid.x_column == "DETX").y_column
    'DETY'
    """
    x, y = draw(st.sampled_from((("X", "Y"), ("DETX", "DETY"))))
    low, width = draw(st.integers(1, 9000)), draw(st.integers(500, 40_000))
    size, pixels = draw(st.integers(20, 400)), draw(st.integers(1, 600))
    return ImageGrid(
        x_column=x, y_column=y, x_range=(low, low + width), y_range=(low, low + width), x_bin=size, y_bin=size,
        x_size=pixels, y_size=pixels, binning=draw(st.sampled_from(("binSize", "imageSize"))),
    )  # fmt: skip
