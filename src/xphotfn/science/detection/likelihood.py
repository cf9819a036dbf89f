"""Likelihoods of detection and of extent, as emldetect defines them, and what chance makes of them."""

from typing import SupportsFloat

import numpy as np
from astropy.units import Quantity
from numpy.typing import ArrayLike
from scipy import special

from xphotfn.errors import InvalidRecord
from xphotfn.science._numeric import Floats, require_above_zero, require_not_negative

__all__ = ("INDEPENDENT_PLACES", "cash", "detection_likelihood", "expected_false", "extent_likelihood", "threshold_of")

INDEPENDENT_PLACES = 1900.0  # of a field of view in one observation, measured on blank fields; see docs/detection.md
FIELD_ARCMIN2 = 700.0  # its area
_LEAST_THRESHOLD, _MOST_THRESHOLD = 4.0, 1e8
_FAR = 600.0  # from here the incomplete gamma function is taken from its series


def threshold_of(value: object) -> float:
    """Return the least likelihood of a search as a number.

    Raises
    ------
    InvalidRecord
        If it is no number from 4 to 1e8.

    Examples
    --------
    >>> threshold_of(10)
    10.0
    """
    several = isinstance(value, Quantity) or (isinstance(value, np.ndarray) and value.ndim > 0)
    number = float(value) if isinstance(value, SupportsFloat) and not several else np.nan
    if not _LEAST_THRESHOLD <= number <= _MOST_THRESHOLD:
        raise InvalidRecord(
            f"threshold must be a likelihood from {_LEAST_THRESHOLD:g} to {_MOST_THRESHOLD:g}, as 10 is, got {value!r}"
        )
    return number


def cash(counts: Floats, model: Floats) -> Floats:
    """Return Cash's statistic of each pixel, ``2 (m - n ln m)``; the model must be above 0.

    References
    ----------
    Cash (1979), ApJ 228, 939, equation 5.
    """
    return np.asarray(2 * (model - counts * np.log(model)))


def detection_likelihood(difference: ArrayLike, parameters: ArrayLike) -> Floats:
    """Return DET_ML, minus the logarithm of the probability that background alone makes the source.

    Parameters
    ----------
    difference
        By how much the source lowers Cash's statistic, summed over all images; not negative.
    parameters
        Number of fitted parameters nu: 2 for the position and one rate for each image, and one for an extent.

    Returns
    -------
    ndarray of float64
        ``-ln Q(nu/2, L)`` with ``L = difference/2`` and Q the regularised upper incomplete gamma function.

    Raises
    ------
    InvalidRecord
        If the difference is negative or infinite, or nu not above 0.

    Notes
    -----
    It makes likelihoods of different numbers of images comparable: each is worth that of two free parameters. Where Q
    is too small for a float its leading terms are used, ``L - (nu/2 - 1) ln L + ln Gamma(nu/2) - ln(1 + (nu/2-1)/L)``.

    References
    ----------
    SAS task emldetect, "Source detection likelihoods".

    Examples
    --------
    >>> detection_likelihood([0, 20, 4000], [2, 5, 5]).round(3).tolist()
    [-0.0, 6.685, 1988.883]
    """
    half = require_not_negative(difference, "difference") / 2
    shape = require_above_zero(parameters, "parameters") / 2
    half, shape = np.broadcast_arrays(half, shape)
    safe = np.maximum(half, _FAR)
    far = safe - (shape - 1) * np.log(safe) + special.gammaln(shape) - np.log1p((shape - 1) / safe)
    near = -np.log(special.gammaincc(shape, np.minimum(half, _FAR)))
    return np.asarray(np.where(half < _FAR, near, far))


def extent_likelihood(difference: ArrayLike) -> Floats:
    """Return EXT_ML, minus the logarithm of the probability that a point source looks so extended by chance.

    Parameters
    ----------
    difference
        By how much the extent lowers Cash's statistic, not negative.

    Notes
    -----
    ``-ln(P(chi2_1 > difference)/2)``: an extent cannot be negative, so half of all points have none. 0.69 is none.

    Examples
    --------
    >>> extent_likelihood([0, 9, 100]).round(2).tolist()
    [0.69, 6.61, 53.23]
    """
    root = np.sqrt(require_not_negative(difference, "difference"))
    return np.asarray(-special.log_ndtr(-root))


def expected_false(threshold: float, area_arcmin2: float, per_field: float = INDEPENDENT_PLACES) -> float:
    """Return the number of sources that chance is expected to make above a likelihood in an area.

    Parameters
    ----------
    threshold
        TIED_ML, which is DET_ML where no cameras are tied.
    area_arcmin2
        Area searched.
    per_field
        Independent places in 700 arcmin2, the field of view.

    Examples
    --------
    >>> round(expected_false(6, 700), 1), round(expected_false(10, 700), 2)
    (4.7, 0.09)
    """
    return float(per_field * area_arcmin2 / FIELD_ARCMIN2 * np.exp(-threshold))
