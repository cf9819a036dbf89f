"""Hypothesis strategies for records, arrays and products, for the tests of users as well as our own.

Every value is valid by construction: nothing is drawn and thrown away. Arrays are drawn as a seed and a few
parameters, never pixel by pixel, so they are cheap to make, and a failing example names what it was made of.
This is the only module that imports hypothesis, which comes with the ``test`` extra.
"""

import itertools
import math
import string
from collections.abc import Sequence
from typing import Any

import astropy.units as u
import attrs
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from xphotfn.commands.builders import atthkgen, cifbuild, eexpmap, emosaic, evselect_image, selection_expression
from xphotfn.commands.command import Command
from xphotfn.errors import InvalidRecord
from xphotfn.graph.plan import Plan, PlannedProduct, Step, StepInput
from xphotfn.io.products import ExposureMap, Image, Product, RateMap
from xphotfn.records.band import Band
from xphotfn.records.field import Field, FieldObservation
from xphotfn.records.grid import XMM_REFERENCE, PixelGrid
from xphotfn.records.instrument import INSTRUMENTS
from xphotfn.records.measurement import Measurement
from xphotfn.records.observation import Exposure, FoundFile, FoundProduct, Observation
from xphotfn.records.region import EXTENDED_COLOURS, POINT_COLOURS, Region
from xphotfn.records.target import CosmologyParameters, Target, extended_source, galaxy_cluster, point_source
from xphotfn.science.masks import read_only
from xphotfn.science.snr import li_ma_significance, mid_p_significance

__all__ = (
    "bands",
    "commands",
    "count_maps",
    "exposure_maps",
    "fields",
    "grids",
    "masks",
    "measurements",
    "observations",
    "plans",
    "positions",
    "products",
    "region_sets",
    "regions",
    "steps",
    "targets",
)

Shape2D = tuple[int, int]

_CAMERAS = tuple(camera.name for camera in INSTRUMENTS)
_WORD = st.text(alphabet=string.ascii_letters + string.digits, min_size=1, max_size=8)
_NAME = st.builds(str.__add__, st.sampled_from(string.ascii_letters), st.text(max_size=8))
_SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 10**6), st.floats(-1e6, 1e6), st.text(max_size=8)
)  # fmt: skip
_EXTRA = st.dictionaries(_WORD, _SCALAR, max_size=3)
_RADIUS_UNITS = {"arcsec": (1.0, 1800.0), "arcmin": (0.1, 30.0), "deg": (0.001, 0.5), "kpc": (1.0, 3000.0)}
_FRAMES = ("image", "physical", "fk5", "icrs")
_PLACES = {"image": (-50.0, 562.0, 60.0), "physical": (3649.0, 48106.0, 5000.0)}


@st.composite
def bands(draw: st.DrawFn, *, lowest_ev: int = 0, highest_ev: int = 15000) -> Band:
    """Return a strategy for energy bands.

    Parameters
    ----------
    lowest_ev, highest_ev
        Limits of the energies in eV.

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

    Parameters
    ----------
    max_dec_deg
        How near to the poles, in degrees.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(positions(), lambda position: position[1] < -30)[0]
    0.0
    """
    ra = st.floats(0.0, 360.0, exclude_max=True, allow_subnormal=False)
    return st.tuples(ra, st.floats(-max_dec_deg, max_dec_deg, allow_subnormal=False))


def _chosen(draw: st.DrawFn, kind: str | None, kinds: tuple[str, ...]) -> str:
    if kind is not None and kind not in kinds:
        raise InvalidRecord(f"kind must be one of {', '.join(kinds)}, got {kind!r}")
    return draw(st.sampled_from(kinds)) if kind is None else kind


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
    """Return a strategy for targets: clusters, extended sources and point sources.

    Parameters
    ----------
    kind
        ``cluster``, ``extended`` or ``point``; any of them if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(targets(kind="cluster"))
    ... def test_a_cluster_has_a_redshift(target):
    ...     assert target.redshift > 0
    >>> test_a_cluster_has_a_redshift()
    """
    chosen = _chosen(draw, kind, ("cluster", "extended", "point"))
    name, extra = draw(_NAME), draw(_EXTRA)
    ra, dec = draw(positions())
    if chosen == "point":
        return point_source(name, ra, dec, radius=draw(_ANGULAR_RADII), extra=extra)
    redshift = draw(st.floats(1e-3, 3.0))
    if chosen == "extended":
        far = draw(st.booleans())
        radius = draw(_ALL_RADII if far else _ANGULAR_RADII)
        return extended_source(name, ra, dec, radius=radius, redshift=redshift if far else None, extra=extra)
    r200, r500, r2500 = (draw(_ALL_RADII) if draw(st.booleans()) else None for _ in range(3))
    return galaxy_cluster(
        name, ra, dec, redshift=redshift, r200=r200, r500=r500, r2500=r2500,
        cosmology=draw(_cosmologies()), extra=extra,
    )  # fmt: skip


@st.composite
def grids(draw: st.DrawFn, *, max_side: int = 1024, sky: bool | None = None) -> PixelGrid:
    """Return a strategy for pixel grids: up to 89 degrees from the equator, pixels of 1 to 10 arcsec.

    Parameters
    ----------
    max_side
        Most columns and rows.
    sky
        With XMM sky coordinates or without; either if None.

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
    known: dict[str, float] = {}
    if has_sky:
        known = {"x0_sky": XMM_REFERENCE - (crpix1 - 1) * bin_size, "y0_sky": XMM_REFERENCE - (crpix2 - 1) * bin_size}
    return PixelGrid(
        nx=nx, ny=ny, crpix1=crpix1, crpix2=crpix2, ra_deg=ra, dec_deg=dec, cdelt1_deg=-step, cdelt2_deg=step,
        dx_sky=bin_size, dy_sky=bin_size, **known,
    )  # fmt: skip


@st.composite
def _around(draw: st.DrawFn, x: float, y: float, reach: float) -> tuple[tuple[float, float], ...]:
    """Draw the corners of a polygon without crossing edges, in order around (x, y)."""
    corners = draw(st.integers(3, 7))
    points = []
    for i in range(corners):
        phase = 2 * math.pi * (i + draw(st.floats(0.0, 0.8))) / corners
        radius = reach * draw(st.floats(0.2, 1.0))
        points.append((x + radius * math.cos(phase), y + radius * math.sin(phase)))
    return tuple(points)


@st.composite
def regions(draw: st.DrawFn, *, frame: str | None = None) -> Region:
    """Return a strategy for regions of all shapes and colours.

    Parameters
    ----------
    frame
        ``image``, ``physical``, ``fk5`` or ``icrs``; any of them if None. Pixels are those of the default 512 x 512
        grid, a few regions lie off it.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(regions(frame="image"), lambda region: region.shape == "annulus").include
    True
    """
    shape = draw(st.sampled_from(("circle", "ellipse", "box", "annulus", "polygon", "point")))
    where = draw(st.sampled_from(_FRAMES)) if frame is None else frame
    if where in _PLACES:
        low, high, reach = _PLACES[where]
        x, y = draw(st.floats(low, high)), draw(st.floats(low, high))
    else:
        x, y, reach = draw(st.floats(1.0, 359.0)), draw(st.floats(-89.0, 89.0)), 0.1
    first = draw(st.floats(0.01, 1.0)) * reach
    second = draw(st.floats(0.05, 0.95)) * first
    size = {"circle": (first,), "ellipse": (first, second), "box": (second, first), "annulus": (second, first)}
    vertices = draw(_around(x, y, reach)) if shape == "polygon" else ()
    if vertices:
        x, y = (sum(values) / len(vertices) for values in zip(*vertices, strict=True))
    turned = shape in ("ellipse", "box")
    return Region(
        shape=shape, frame=where, x=x, y=y, size=size.get(shape, ()), vertices=vertices,
        angle_deg=draw(st.floats(-180.0, 360.0)) if turned else 0.0, include=not draw(st.booleans()),
        colour=draw(st.sampled_from(POINT_COLOURS + EXTENDED_COLOURS)), name=draw(st.text(max_size=8)),
        line=draw(st.integers(0, 200)),
    )  # fmt: skip


@st.composite
def region_sets(draw: st.DrawFn, *, frame: str | None = None, max_size: int = 8) -> tuple[Region, ...]:
    """Return a strategy for the regions of one file: one frame, in the order of their lines.

    Parameters
    ----------
    frame
        As for :func:`regions`.
    max_size
        Most regions.

    Examples
    --------
    >>> from hypothesis import find
    >>> [region.line for region in find(region_sets(), lambda regions: len(regions) == 3)]
    [2, 3, 4]
    """
    where = draw(st.sampled_from(_FRAMES)) if frame is None else frame
    found = draw(st.lists(regions(frame=where), max_size=max_size))
    return tuple(attrs.evolve(region, line=line) for line, region in enumerate(found, start=2))


@st.composite
def _files(draw: st.DrawFn, ending: str) -> FoundFile:
    path, size = f"/data/{draw(_NUMBERS)}.{ending}", draw(_NUMBERS)
    return FoundFile(path=path, size=size, mtime_ns=draw(_NUMBERS))


_NUMBERS = st.integers(0, 2**40)
_EVENT_LISTS, _IMAGES, _ATTITUDES, _REGION_FILES, _INDICES = (
    _files(ending) for ending in ("evts.fits", "img.fits", "ATS.FIT", "reg", "cif")
)
_EXPOSURE_IDS = st.builds("{}{:03d}".format, st.sampled_from("SU"), st.integers(0, 999))
_OBS_IDS = st.integers(0, 9_999_999_999).map("{:010d}".format)
_FILTERS = st.sampled_from(("", "Thin1", "Thin2", "Medium", "Thick"))
_SUBMODES = st.sampled_from(("", "PrimeFullWindow", "PrimeFullWindowExtended", "PrimeSmallWindow"))
_DATES = st.datetimes().map(lambda date: date.replace(microsecond=0).isoformat())
_TEXT = st.text(max_size=8)
_TEXTS = st.lists(_TEXT, max_size=2)


@st.composite
def _exposures(draw: st.DrawFn, instrument: str, grid: PixelGrid) -> Exposure:
    kinds = draw(st.sampled_from(((), ("image",), ("image", "exposure_map"))))
    band = draw(bands())
    return Exposure(
        instrument=instrument, exposure_id=draw(_EXPOSURE_IDS), filter=draw(_FILTERS), submode=draw(_SUBMODES),
        exposure_s=draw(st.floats(0.0, 2e5)), events=draw(_EVENT_LISTS) if draw(st.booleans()) else None,
        filtered=draw(st.booleans()),
        products=[FoundProduct(kind=kind, band=band, grid=grid, file=draw(_IMAGES)) for kind in kinds],
    )  # fmt: skip


@st.composite
def observations(draw: st.DrawFn, *, obs_id: str | None = None) -> Observation:
    """Return a strategy for observations as they may be found on disk; their files need not exist.

    Parameters
    ----------
    obs_id
        The ObsID; any ten digits if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(observations(obs_id="0404910601"))
    ... def test_a_camera_has_one_exposure(observation):
    ...     assert len(set(observation.instruments)) == len(observation.exposures)
    >>> test_a_camera_has_one_exposure()
    """
    grid = draw(grids())
    cameras = [camera for camera in _CAMERAS if draw(st.booleans())]
    attitude, region_file, cif = (
        draw(files) if draw(st.booleans()) else None for files in (_ATTITUDES, _REGION_FILES, _INDICES)
    )
    return Observation(
        obs_id=draw(_OBS_IDS) if obs_id is None else obs_id, ra_deg=grid.ra_deg, dec_deg=grid.dec_deg,
        object_name=draw(_TEXT), date=draw(_DATES), exposures=[draw(_exposures(camera, grid)) for camera in cameras],
        attitude=attitude, regions=region_file, cif=cif, notes=draw(_TEXTS),
    )  # fmt: skip


@st.composite
def _members(draw: st.DrawFn, obs_id: str, has_target: bool) -> FieldObservation:
    observation = draw(observations(obs_id=obs_id))
    found = draw(region_sets(frame="image", max_size=5))
    if not has_target:
        return FieldObservation(observation=observation, region_grid=observation.grid, interlopers=found)
    cut = [0, *sorted(draw(st.integers(0, len(found))) for _ in range(2)), len(found)]
    kept, alternates, others = (found[start:stop] for start, stop in itertools.pairwise(cut))
    matched = bool(others) and draw(st.booleans())
    return FieldObservation(
        observation=observation, separation_arcmin=draw(st.floats(0.0, 30.0)), region_grid=observation.grid,
        match=others[0] if matched else None, alternates=alternates, kept=kept, interlopers=others[matched:],
    )  # fmt: skip


@st.composite
def fields(draw: st.DrawFn, *, bulk: bool | None = None, max_members: int = 3) -> Field:
    """Return a strategy for fields: a target with observations that are sorted by ObsID, or a bulk field.

    Parameters
    ----------
    bulk
        Without a target or with one; either if None.
    max_members
        Most observations.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(fields(bulk=False))
    ... def test_members_are_sorted(field):
    ...     assert field.obs_ids == tuple(sorted(field.obs_ids))
    >>> test_members_are_sorted()
    """
    gaps = draw(st.lists(st.integers(1, 10**8), min_size=1, max_size=max_members))
    names = [f"{number:010d}" for number in itertools.accumulate(gaps)]
    has_target = draw(st.booleans()) if bulk is None else not bulk
    members = [draw(_members(name, has_target)) for name in names]
    left_out = [("0999999999", reason) for reason in draw(_TEXTS)]
    if not has_target:
        return Field(members=members, left_out=left_out)
    target = draw(targets())
    ra, dec = draw(positions()) if draw(st.booleans()) else (target.ra_deg, target.dec_deg)
    return Field(target=target, members=members, centre_ra_deg=ra, centre_dec_deg=dec, left_out=left_out)


_SEEDS = st.integers(0, 2**32 - 1)


def _shapes(shape: Shape2D | None) -> st.SearchStrategy[Shape2D]:
    return st.tuples(st.integers(1, 64), st.integers(1, 64)) if shape is None else st.just(shape)


def _pixels(shape: Shape2D) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return row and column of every pixel, from -1 to 1 over the image."""
    y, x = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in shape)
    return y[:, None], x[None, :]


@st.composite
def count_maps(draw: st.DrawFn, *, shape: Shape2D | None = None, dtype: Any = np.int32) -> NDArray[Any]:
    """Return a strategy for images in counts: a flat Poisson background with up to three sources.

    Parameters
    ----------
    shape
        ``(ny, nx)``; up to 64 x 64 if None.
    dtype
        Type of the array.

    Returns
    -------
    SearchStrategy of ndarray, shape (ny, nx)
        Whole counts; read-only.

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
    counts: NDArray[Any] = np.random.default_rng(draw(_SEEDS)).poisson(mean).astype(dtype)
    counts.setflags(write=False)
    return counts


@st.composite
def exposure_maps(draw: st.DrawFn, *, shape: Shape2D | None = None, dtype: Any = np.float32) -> NDArray[Any]:
    """Return a strategy for exposure maps in s: a round field of view with vignetting, CCD gaps and dead pixels.

    Parameters
    ----------
    shape
        ``(ny, nx)``; up to 64 x 64 if None.
    dtype
        Type of the array.

    Returns
    -------
    SearchStrategy of ndarray, shape (ny, nx)
        Zero or above, at least one pixel above; read-only.

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
    exposure[np.random.default_rng(draw(_SEEDS)).random(size) < dead] = 0
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
        mask = np.random.default_rng(draw(_SEEDS)).random(size) < draw(st.floats(0.0, 1.0))
    else:
        mask = np.full(size, kind == "all")
    return np.asarray(read_only(mask))


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    """Return a strategy for signal-to-noise measurements whose value follows from their counts and exposures.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(measurements(), lambda measured: measured.value > 3).net_counts > 0
    True
    """
    counts, background = draw(st.integers(0, 10**5)), draw(st.integers(0, 10**5))
    source_s, background_s = draw(st.floats(1.0, 1e8)), draw(st.floats(1.0, 1e8))
    method = draw(st.sampled_from(("mid-p", "li-ma")))
    significance = mid_p_significance if method == "mid-p" else li_ma_significance
    alpha = source_s / background_s
    return Measurement(
        value=float(significance(counts, background, alpha)), method=method, counts=float(counts),
        background_counts=float(background), area_pix=draw(st.integers(1, 10**6)),
        background_area_pix=draw(st.integers(1, 10**6)), exposure_s=source_s, background_exposure_s=background_s,
        alpha=alpha,
    )  # fmt: skip


_PATHS = _WORD.map("/products/{}.fits".format)
_DIGESTS = st.just("") | st.integers(0, 2**128).map("{:032x}".format)


@st.composite
def products(draw: st.DrawFn, *, kind: str | None = None) -> Product:
    """Return a strategy for products: references to files that need not exist, so ask them for no data.

    Parameters
    ----------
    kind
        ``image``, ``exposure_map`` or ``rate_map``; any of them if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(products(kind="rate_map"))
    ... def test_image_and_exposure_map_share_a_grid(product):
    ...     assert product.image.grid == product.exposure.grid
    >>> test_image_and_exposure_map_share_a_grid()
    """
    chosen = _chosen(draw, kind, ("image", "exposure_map", "rate_map"))
    single = draw(st.booleans())
    shared: dict[str, Any] = {
        "obs_id": draw(_OBS_IDS) if single else "combined",
        "exposure_id": draw(_EXPOSURE_IDS) if single else "",
        "instrument": draw(st.sampled_from(_CAMERAS)) if single else "combined",
        "band": draw(bands()),
        "grid": draw(grids(sky=None if single else False)),
        "target": draw(st.none() | _NAME),
    }
    if chosen == "image":
        return Image(path=draw(_PATHS), digest=draw(_DIGESTS), **shared)
    exposure = ExposureMap(path=draw(_PATHS), digest=draw(_DIGESTS), **shared)
    if chosen == "exposure_map":
        return exposure
    return RateMap(image=Image(path=draw(_PATHS), digest=draw(_DIGESTS), **shared), exposure=exposure)


def _names(ending: str) -> st.SearchStrategy[str]:
    return _WORD.map(lambda word: f"{word}.{ending}")


@st.composite
def _image_commands(draw: st.DrawFn) -> Command:
    band = draw(bands())
    expression = selection_expression(
        band.lo_ev, band.hi_ev, draw(st.sampled_from(_CAMERAS)), filtered=draw(st.booleans())
    )
    return evselect_image(draw(_names("evts.fits")), draw(_names("img.fits")), expression=expression)


@st.composite
def _exposure_commands(draw: st.DrawFn) -> Command:
    band = draw(bands())
    return eexpmap(
        draw(_names("img.fits")), draw(_names("att.fits")), draw(_names("evts.fits")), draw(_names("expmap.fits")),
        band=(band.lo_ev, band.hi_ev), withvignetting=draw(st.booleans()),
    )  # fmt: skip


@st.composite
def _mosaic_commands(draw: st.DrawFn) -> Command:
    label, count = draw(_WORD), draw(st.integers(1, 6))
    return emosaic([f"{label}_{i}.img.fits" for i in range(count)], draw(_names("mosaic.fits")))


def commands() -> st.SearchStrategy[Command]:
    """Return a strategy for commands as the plans hold them: cifbuild, atthkgen, evselect, eexpmap and emosaic.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(commands(), lambda command: command.task == "emosaic").inputs
    ('0_0.img.fits',)
    """
    dates = st.none() | st.dates().map(lambda date: date.isoformat())
    return st.one_of(
        st.builds(cifbuild, _names("cif"), observation_date=dates),
        st.builds(atthkgen, _names("att.fits")),
        _image_commands(),
        _exposure_commands(),
        _mosaic_commands(),
    )


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Return a strategy for steps of a plan whose inputs are all found files.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(steps(), lambda step: True).needs
    ()
    """
    command = draw(commands())
    inputs = [StepInput(name=name, file=draw(_IMAGES)) for name in command.inputs]
    return Step(command=command, inputs=inputs, obs_id=draw(st.just("combined") | _OBS_IDS))


@st.composite
def plans(draw: st.DrawFn, *, max_steps: int = 4) -> Plan:
    """Return a strategy for plans: steps that wait for nothing, and the products that they make.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(plans(max_steps=1), lambda plan: True).steps
    ()
    """
    made = draw(st.lists(steps(), max_size=max_steps, unique_by=lambda step: step.id))
    there = [
        PlannedProduct(
            kind=draw(st.sampled_from(("image", "exposure_map"))),
            field_name=draw(_WORD),
            obs_id=step.obs_id,
            instrument=draw(st.sampled_from(_CAMERAS)),
            band=draw(bands()),
            name=step.command.outputs[0],
            step=step.id,
        )
        for step in made
        if step.command.outputs
    ]
    return Plan(steps=made, fields=draw(st.lists(fields(), max_size=1)), products=there, notes=draw(st.lists(_WORD)))
