"""The background ratio alpha where some of the background is vignetted and some is not.

Sky photons pass the mirrors and are vignetted; particles are not. An exposure map with vignetting scales the first
rightly, one without it the second. With the wrong one the background of an off-axis annulus is too large or too
small by the ratio of the vignetting, and blank sky shows sources.
"""

import numpy as np
from numpy.typing import ArrayLike

from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch
from xphotfn.science._numeric import Floats

__all__ = ("background_weights", "mixed_alpha", "net_bias", "unvignetted_alpha", "vignetted_alpha")


def vignetted_alpha(source_exposure: ArrayLike, background_exposure: ArrayLike) -> float:
    """Return alpha of a background that is vignetted like the sky.

    Parameters
    ----------
    source_exposure, background_exposure
        Exposures in s of the pixels of the source and background regions, any shape, from the map with vignetting.
        Pixels off the detector (0, negative, NaN) add nothing.

    Returns
    -------
    float
        Expected background counts in the source region over those in the background region.

    Raises
    ------
    NoData
        If a region has no exposure.

    Notes
    -----
    ``alpha = sum_src E / sum_bkg E``. What masks leave out must be left out of the arrays.

    References
    ----------
    Li & Ma (1983), ApJ 272, 317, section 2, with exposure in place of time.

    Examples
    --------
    >>> vignetted_alpha([10, 9, 8], [7, 6, 5, 4, 3, 2])
    1.0
    """
    return _ratio(_on_detector(source_exposure), _on_detector(background_exposure))


def unvignetted_alpha(source_unvignetted: ArrayLike, background_unvignetted: ArrayLike) -> float:
    """Return alpha of a background that is not vignetted: particles.

    Parameters
    ----------
    source_unvignetted, background_unvignetted
        As in :func:`vignetted_alpha`, from the map without vignetting (live time on the detector).

    Raises
    ------
    NoData
        If a region has no exposure.

    Notes
    -----
    ``alpha = sum_src U / sum_bkg U``: the ratio of areas where the live time is the same.

    Examples
    --------
    >>> unvignetted_alpha([10, 10, 10], [10, 10, 10, 10, 10, 10])
    0.5
    """
    return _ratio(_on_detector(source_unvignetted), _on_detector(background_unvignetted))


def mixed_alpha(
    source_exposure: ArrayLike,
    background_exposure: ArrayLike,
    source_unvignetted: ArrayLike,
    background_unvignetted: ArrayLike,
    fraction: float,
) -> float:
    """Return alpha of a background of which a part is vignetted.

    Parameters
    ----------
    source_exposure, background_exposure
        Exposures in s of the pixels of both regions, with vignetting.
    source_unvignetted, background_unvignetted
        The same pixels without vignetting.
    fraction
        Vignetted part phi of the background on axis, within 0 and 1.

    Returns
    -------
    float
        :func:`vignetted_alpha` for phi = 1, :func:`unvignetted_alpha` for phi = 0.

    Raises
    ------
    NoData
        If a region has no exposure.
    InvalidRecord
        If the fraction does not lie within 0 and 1.
    ShapeMismatch
        If the two maps of a region differ in shape.

    Notes
    -----
    ``alpha = sum_src [phi E + (1 - phi) U] / sum_bkg [phi E + (1 - phi) U]``, with E = v U: sums of
    ``phi v + 1 - phi`` weighted by live time. Pixels off the detector in either map add nothing.

    References
    ----------
    Derived from ``N ~ sum_src (b_v v + b_p)``, ``phi = b_v / (b_v + b_p)``.

    Examples
    --------
    >>> round(mixed_alpha([10, 9, 8], [7, 6, 5, 4, 3, 2], [10] * 3, [10] * 6, 0.5), 10)
    0.6551724138
    """
    source = background_weights(source_exposure, source_unvignetted, fraction)
    return _ratio(source, background_weights(background_exposure, background_unvignetted, fraction))


def background_weights(exposure: ArrayLike, unvignetted: ArrayLike, fraction: float) -> Floats:
    """Return what the background of each pixel is proportional to.

    Parameters
    ----------
    exposure, unvignetted
        Maps, or their pixels, in s, with and without vignetting.
    fraction
        Vignetted part phi of the background on axis.

    Returns
    -------
    ndarray of float64
        ``phi E + (1 - phi) U`` in s, 0 off the detector. Scaled to counts it is a background image.

    Raises
    ------
    InvalidRecord
        If the fraction does not lie within 0 and 1.
    ShapeMismatch
        If the maps differ in shape.

    Examples
    --------
    >>> background_weights([10.0, 5.0, 0.0], [10.0, 10.0, 0.0], 0.5).tolist()
    [10.0, 7.5, 0.0]
    """
    if not 0 <= fraction <= 1:
        raise InvalidRecord(f"the vignetted fraction must lie within 0 and 1, got {fraction!r}")
    with_vignetting, without = _on_detector(exposure), _on_detector(unvignetted)
    if with_vignetting.shape != without.shape:
        raise ShapeMismatch(
            f"exposures with and without vignetting have shapes {with_vignetting.shape} and {without.shape}"
        )
    both = (with_vignetting > 0) & (without > 0)
    return np.asarray(np.where(both, fraction * with_vignetting + (1 - fraction) * without, 0.0))


def net_bias(alpha_used: ArrayLike, alpha_true: ArrayLike, background: ArrayLike) -> Floats:
    """Return by how much a wrong alpha shifts net counts.

    Parameters
    ----------
    alpha_used, alpha_true
        The ratios.
    background
        Counts expected in the background region.

    Returns
    -------
    ndarray of float64
        ``(alpha_true - alpha_used) B`` counts: positive where the background was underestimated.

    Examples
    --------
    >>> net_bias(0.5, 1.0, 20).tolist()
    10.0
    """
    used, true, counts = (np.asarray(v, dtype=np.float64) for v in (alpha_used, alpha_true, background))
    return np.asarray((true - used) * counts)


def _on_detector(exposure: ArrayLike) -> Floats:
    values = np.asarray(exposure, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.where((values > 0) & np.isfinite(values), values, 0.0)


def _ratio(source: Floats, background: Floats) -> float:
    sums = float(source.sum()), float(background.sum())
    for total, what in zip(sums, ("source", "background"), strict=True):
        if total <= 0:
            raise NoData(f"the {what} region has no exposure: it lies in a gap, off the image or under masks")
    return sums[0] / sums[1]
