"""Sources of rate maps: the list, the map of significance, and the background under them."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.epic.map_search import find_sources, in_order, search_maps
from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.io.products import RateMap
from xphotfn.records.fields import of_kind
from xphotfn.records.region import Region
from xphotfn.records.source import DetectedSource
from xphotfn.records.source_list import LARGEST_EXTENT, SourceList, diffuse_text
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.detection.fit import FittedSource
from xphotfn.science.detection.search import first_backgrounds, under_sources, weight_in_background
from xphotfn.science.detection.search_map import shape_at
from xphotfn.science.detection.sky import SLOW_ARCMIN, Sky
from xphotfn.science.detection.templates import coarse_text, step_of
from xphotfn.science.distances import size_deg
from xphotfn.science.spreads import PsfLike
from xphotfn.typing import QuantityLike

__all__ = ("background_map", "detect_sources", "detection_map")

Floats = NDArray[np.float64]
_WIDEST_ARCMIN = 600.0  # wider than any field: more is the same background


def detect_sources(
    rate_maps: Iterable[RateMap],
    *,
    threshold: float = 10.0,
    extent: bool = True,
    psf: PsfLike = "epic",
    within: Region | None = None,
    progress: bool = True,
) -> SourceList:
    """Find the sources of rate maps, jointly over cameras and observations.

    Parameters
    ----------
    rate_maps
        One or several, of one band and target and with pixels of one size, such as those of :func:`rate_maps`.
    threshold
        Least TIED_ML, 4 or above: the likelihood of a source that the cameras of an observation see in the ratio of
        their sensitivities. At 10, the default, 0.1 sources of a field of view are expected to be chance; at 6, 5.
    extent
        Whether extended sources (beta models of slope 2/3) are looked for; without it all are points.
    psf
        ``"epic"``, a KingModel, an EncircledEnergyTable, an
        :class:`~xphotfn.science.detection.search_map.EllipticalSpread` or a dict of these by camera.
    within
        A region: only sources inside are looked for. The background is that of all of the maps.
    progress
        Whether a bar shows how far the search is, on a terminal and in a notebook: one observation takes some ten
        seconds, many of them minutes.

    Returns
    -------
    SourceList
        The highest TIED_ML first. The same for any order of the maps.

    Raises
    ------
    InvalidRecord
        If there is no map, one comes twice, they are of several bands or targets, counts are not whole numbers or lie
        where there is no exposure, there is no such point spread function, or ``progress`` is neither
        True nor False.
    NoData
        If a map has no live pixel or no count.
    ShapeMismatch, UnitMismatch
        If pixel sizes or units of exposure differ.

    Warns
    -----
    UserWarning
        If extended sources cover more than 25 % of the field, or three or more stand at the largest core radius that is
        fitted, 120 arcsec: light that fills the field is no source among others. If pixels are larger than 10 arcsec.

    Notes
    -----
    Each source has one position and extent, and a rate of its own in each map. It is fitted on the pixels of each map
    as they are; only the search for candidates brings maps of other pointings onto one grid. DET_ML and EXT_ML are
    those of emldetect; a rate that is held at 0, its bound, is no fitted parameter. TIED_ML is that of a second fit
    with one amplitude for each observation, which the cameras see in the ratio of the factors of :func:`power_law_ecf`
    for a photon index of 1.7 and 3e20 cm-2. Having fewer parameters it is some 1 higher for faint sources: a list holds
    sources whose DET_ML is below the threshold. A map whose camera, filter or band has no such factor, or whose
    exposure is not in s, keeps a rate of its own; of a single camera TIED_ML is DET_ML. A source that an error of the
    models of its neighbours could make (10 % of the light of points, 20 % of that of extended sources) is left out.
    Errors are those of the Fisher matrix. How calibrated all this is: docs/detection.md.

    Maps that point more than 15 arcmin apart are searched in tiles of 30 arcmin with a margin of 6, one after another,
    and each source is that of the tile in which it lies; the backgrounds are those of the tiles.

    References
    ----------
    SAS task emldetect; Cash (1979), ApJ 228, 939.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> found = detect_sources(example_rate_map())
    >>> len(found.points), len(found.extended)
    (4, 1)
    """
    how: dict[str, Any] = {"threshold": threshold, "extent": extent, "psf": psf, "within": within}
    searched = find_sources(rate_maps, progress=progress, **how)
    found, coarse = searched.sources, coarse_text(3600 * searched.maps[0].grid.pixel_deg)
    if coarse:
        warnings.warn(coarse, stacklevel=2)
    if found.is_diffuse:
        warnings.warn(
            f"{diffuse_text(found)}: where light fills the field the background is not known, and pieces of it are no "
            "sources; search without extended ones (extent=False, --no-extent), or a smaller field",
            stacklevel=2,
        )
    return found


def detection_map(
    rate_maps: Iterable[RateMap],
    *,
    scale: QuantityLike = 0 * u.arcsec,
    psf: PsfLike = "epic",
    backgrounds: Sequence[NDArray[Any]] | None = None,
) -> Floats:
    """Return the significance of a source at each pixel, joint over maps.

    Parameters
    ----------
    rate_maps, psf
        As in :func:`detect_sources`.
    scale
        Core radius of the source: 0 for points, at most 120 arcsec.
    backgrounds
        One for each map, in their order, in counts; default as :func:`background_map` gives them.

    Returns
    -------
    ndarray of float64
        In sigma, negative for a deficit, 0 where there is no exposure; on the grid of the map that comes first by ObsID
        and camera.

    Raises
    ------
    InvalidRecord, NoData, ShapeMismatch, UnitMismatch
        As :func:`detect_sources`; also for a scale that is negative or above 120 arcsec.

    Notes
    -----
    A matched filter for Poisson counts in a closed form, see :mod:`xphotfn.science.detection.score`: half its square is
    the logarithm of the likelihood ratio of the best rate, within some 10 %.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> bool(detection_map(example_rate_map())[300, 330] > 10)
    True
    """
    arcsec = 3600 * size_deg(scale, "scale")
    if not 0 <= arcsec <= LARGEST_EXTENT:
        raise InvalidRecord(f"scale must lie within 0 and {LARGEST_EXTENT:g} arcsec, got {arcsec:g}")
    given = (rate_maps,) if isinstance(rate_maps, RateMap) else tuple(rate_maps)
    maps = in_order(given)
    sky = Sky(search_maps(maps, psf))
    first_backgrounds(sky)
    if backgrounds is not None:
        if len(backgrounds) != len(given):
            raise ShapeMismatch(f"backgrounds must be one for each of {len(given)} maps, got {len(backgrounds)}")
        paths = [m.path for m in given]
        sky.take_backgrounds([np.asarray(backgrounds[paths.index(m.path)], dtype=np.float64) for m in maps])
    x0, y0 = sky.frame[:2]
    ny, nx = maps[0].grid.shape
    return np.asarray(sky.significances((arcsec,))[0][-y0 : -y0 + ny, -x0 : -x0 + nx])


def background_map(
    rate_map: RateMap,
    *,
    sources: SourceList | None = None,
    unvignetted: NDArray[Any] | None = None,
    scale: QuantityLike = SLOW_ARCMIN * u.arcmin,
    psf: PsfLike = "epic",
) -> Floats:
    """Return the background of a map, in counts.

    Parameters
    ----------
    rate_map
        The map.
    sources
        Sources whose light is part of the model, such as :func:`detect_sources` gives them; those of likelihood above 7
        count, in full from 9 (of extended ones 18 and 22). Without them the pixels above 4.5 sigma are left out, and
        the light of all fainter sources is part of the background: 6 to 17 % of it at 10 ks, where it is right within
        1 % with them.
    unvignetted
        Exposure without vignetting, of the map's shape; default the exposure over the packaged vignetting.
    scale
        Sigma of the Gaussian with which the fit is corrected, above 0 and at most 600 arcmin.
    psf
        As in :func:`detect_sources`.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        Expected counts of the background, above 0 where there is exposure and 0 elsewhere.

    Raises
    ------
    InvalidRecord, NoData, ShapeMismatch, UnitMismatch
        As :func:`detect_sources`; if ``scale`` has no unit or lies outside its range, ``unvignetted`` does not fit, or
        the map is not among those of ``sources``.

    Notes
    -----
    ``(a E + c F) s + k K``: vignetted and flat component and, in pn, out-of-time events, fitted by Poisson likelihood;
    the slow correction s is within 0.3 and 3.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> pair = example_rate_map()
    >>> background_map(pair)[256, 30].round(2)
    np.float64(0.05)
    """
    (item,) = in_order((rate_map,))
    (arrays,) = search_maps((item,), psf)
    if unvignetted is not None:
        flat = _plain_array(unvignetted)
        if flat.shape != arrays.exposure.shape:
            raise ShapeMismatch(f"unvignetted must have the shape {arrays.exposure.shape} of the map, got {flat.shape}")
        if not np.all(np.isfinite(flat) & ((flat > 0) | (arrays.exposure <= 0))):
            raise InvalidRecord("unvignetted must be finite, and above 0 where the map has exposure")
        arrays = arrays._replace(flat=flat)
    arcmin = 60 * size_deg(scale, "scale", "4*u.arcmin")
    if not 0 < arcmin <= _WIDEST_ARCMIN:
        raise InvalidRecord(
            f"scale must be above 0 and at most {_WIDEST_ARCMIN:g} arcmin, such as 4 * u.arcmin, got {arcmin:g} arcmin"
        )
    if sources is not None:
        of_kind(sources, SourceList, "detect_sources(...)")
    sky = Sky((arrays,), arcmin)
    first_backgrounds(sky)
    if sources is not None:
        weights = [(s, weight_in_background(s.likelihood, extended=s.extent_arcsec > 0)) for s in sources]
        under_sources(sky, ((_drawn(sky, item, s, sources), weight) for s, weight in weights if weight > 0))
    return np.asarray(sky.backgrounds[0].image)


def _plain_array(unvignetted: Any) -> Floats:
    try:
        return np.asarray(unvignetted, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(
            "unvignetted must be an array of exposure times, such as the data of an ExposureMap, got "
            f"{type(unvignetted).__name__}"
        ) from error


def _drawn(sky: Sky, item: RateMap, source: DetectedSource, sources: SourceList) -> FittedSource:
    """Return a source of a list as it is fitted, with its rate in one map."""
    wanted = (item.obs_id, item.exposure_id, item.instrument)
    number = next((n for n, m in enumerate(sources.maps) if (m.obs_id, m.exposure_id, m.instrument) == wanted), None)
    if number is None or not source.rates:
        raise InvalidRecord(f"sources hold no rates for {item}: give the list that detect_sources makes of this map")
    x, y = deg_to_pix(item.grid, source.ra_deg, source.dec_deg)
    u_step = step_of(source.extent_arcsec)
    shape = shape_at(sky.maps, float(x), float(y), u_step)
    return FittedSource(float(x), float(y), u_step, np.array([source.rates[number].rate]), u_step > 0, shape)
