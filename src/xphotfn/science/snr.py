"""Signal-to-noise of a source region against a background region.

Every definition is signed: a deficit is negative.
"""

import math
from typing import Any, final

import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike, NDArray
from scipy import special

from xphotfn.errors import InvalidRecord, NoData
from xphotfn.records.measurement import Measurement

__all__ = (
    "DEFAULT_METHOD",
    "METHODS",
    "LiMaMethod",
    "Method",
    "MidPMethod",
    "XGAMethod",
    "li_ma_significance",
    "method_of",
    "mid_p_significance",
    "signal_to_noise",
    "xga_method",
)


@final
@frozen(kw_only=True)
class MidPMethod:
    """The mid-p conditional binomial test: xphotfn's default, calibrated on blank sky."""

    @property
    def name(self) -> str:
        """Name of the definition."""
        return "mid-p"


@final
@frozen(kw_only=True)
class LiMaMethod:
    """The likelihood ratio of Li & Ma (1983), signed."""

    @property
    def name(self) -> str:
        """Name of the definition."""
        return "li-ma"


@final
@frozen(kw_only=True)
class XGAMethod:
    """XGA's signal-to-noise, to reproduce published values.

    Parameters
    ----------
    exp_corr
        Scale the background by exposure (XGA's default) rather than by area.
    allow_negative
        Keep negative pixels of the background-subtracted map; XGA's default sets them to 0, which gives 2 to 10
        sigma on blank sky.
    """

    exp_corr: bool = True
    allow_negative: bool = False

    @property
    def name(self) -> str:
        """Name of the definition."""
        return "xga"


Method = MidPMethod | LiMaMethod | XGAMethod
DEFAULT_METHOD = "mid-p"
METHODS: dict[str, Method] = {"mid-p": MidPMethod(), "li-ma": LiMaMethod(), "xga": XGAMethod()}


def xga_method(*, exp_corr: bool = True, allow_negative: bool = False) -> XGAMethod:
    """Return XGA's definition with its two switches; the defaults are what ``method="xga"`` stands for.

    Examples
    --------
    >>> xga_method(allow_negative=True)
    XGAMethod(exp_corr=True, allow_negative=True)
    """
    return XGAMethod(exp_corr=bool(exp_corr), allow_negative=bool(allow_negative))


def method_of(method: str | Method) -> Method:
    """Return the record of a definition given by name or as a record.

    Raises
    ------
    InvalidRecord
        If there is no such definition.
    """
    if isinstance(method, (MidPMethod, LiMaMethod, XGAMethod)):
        return method
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidRecord(f"no signal-to-noise is called {method!r}: use one of {', '.join(METHODS)}")
    return METHODS[method]


def mid_p_significance(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike) -> NDArray[np.float64]:
    """Return the signed significance of the mid-p conditional binomial test.

    Parameters
    ----------
    counts
        Counts N in the source region, integers.
    background
        Counts B in the background region, integers.
    alpha
        Expected ratio of background counts, source region over background region, above 0.

    Returns
    -------
    ndarray of float64
        Z with ``1 - Phi(Z) = p``; the inputs are broadcast. 0 for N = B = 0.

    Notes
    -----
    ``p = P(X > N) + P(X = N)/2`` for ``X ~ Binomial(N + B, alpha/(1 + alpha))``. The smaller tail is computed and
    the sign taken from it, in log space below 1e-280, so that hundreds of sigma keep their digits.

    References
    ----------
    Przyborowski & Wilenski (1940), Biometrika 31, 313 (the conditional test); Lancaster (1961), J. Am. Stat.
    Assoc. 56, 223 (mid-p).

    Examples
    --------
    >>> mid_p_significance([0, 10, 1], [0, 5, 20], [1, 0.3, 1]).round(3)
    array([ 0.   ,  3.508, -4.397])
    """
    n, b, a = np.broadcast_arrays(
        np.asarray(counts, dtype=np.float64), np.asarray(background, dtype=np.float64), np.asarray(alpha, np.float64)
    )
    _need_counts(n, b, a)
    upper = _log_mid_tail(n, b, a)
    lower = _log_mid_tail(b, n, 1 / a)
    deficit = lower < upper
    return np.asarray(np.where(deficit, 1, -1) * special.ndtri_exp(np.where(deficit, lower, upper)) + 0.0)


def _need_counts(n: NDArray[np.float64], b: NDArray[np.float64], alpha: NDArray[np.float64]) -> None:
    if not (np.all(n >= 0) and np.all(b >= 0) and np.all((alpha > 0) & np.isfinite(alpha))):
        raise InvalidRecord("counts must not be negative, nor NaN, and alpha must be finite and above 0")


def _log_mid_tail(n: NDArray[np.float64], b: NDArray[np.float64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ln(P(X > n) + P(X = n)/2) for X ~ Binomial(n + b, alpha/(1 + alpha)), capped at ln 1."""
    log_q, log_1_q = -np.log1p(1 / alpha), -np.log1p(alpha)
    log_pmf = special.gammaln(n + b + 1) - special.gammaln(n + 1) - special.gammaln(b + 1) + n * log_q + b * log_1_q
    above = np.where(b > 0, special.betainc(n + 1, np.where(b > 0, b, 1.0), alpha / (1 + alpha)), 0.0)
    with np.errstate(divide="ignore"):
        direct = np.log(above + 0.5 * np.exp(log_pmf))
    far = direct < math.log(1e-280)
    if np.any(far):
        direct = np.array(direct)
        direct[far] = log_pmf[far] + np.log(0.5 + _tail_over_pmf(n[far], b[far], alpha[far]))
    return np.asarray(np.minimum(direct, 0.0))


def _tail_over_pmf(n: NDArray[np.float64], b: NDArray[np.float64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(X > n)/P(X = n) by its series; so far in the tail that the terms fall geometrically."""
    total, term, k = np.zeros_like(n), np.ones_like(n), 0
    while np.any(term > 1e-17 * (1 + total)):
        term = term * np.maximum(b - k, 0.0) / (n + k + 1) * alpha
        total = total + term
        k += 1
    return total


def li_ma_significance(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike) -> NDArray[np.float64]:
    """Return the signed likelihood-ratio significance of Li & Ma.

    Parameters
    ----------
    counts, background, alpha
        As in :func:`mid_p_significance`.

    Returns
    -------
    ndarray of float64

    Notes
    -----
    ``S = sqrt(2 [D(N; m1) + D(B; m2)])`` with ``m1 = alpha (N+B)/(1+alpha)``, ``m2 = (N+B)/(1+alpha)`` and
    ``D(x; m) = x ln(x/m) + m - x``, which is equation 17 in a form that does not cancel.

    References
    ----------
    Li & Ma (1983), ApJ 272, 317, equation 17.

    Examples
    --------
    >>> li_ma_significance([5, 10, 1], [1, 5, 20], [1, 0.3, 1]).round(7)
    array([ 1.7061746,  3.5853813, -4.5903736])
    """
    n, b, a = (np.asarray(v, dtype=np.float64) for v in (counts, background, alpha))
    _need_counts(n, b, a)
    total = n + b
    first, second = a * total / (1 + a), total / (1 + a)
    half = _deviance(n, first) + _deviance(b, second)
    return np.asarray(np.sign(n - a * b) * np.sqrt(2 * np.maximum(half, 0.0)))


def _deviance(x: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x ln(x/m) + m - x, written with log1p so that x close to m keeps its digits."""
    safe = np.where(mean > 0, mean, 1.0)
    d = (x - mean) / safe
    return np.where(mean > 0, safe * (special.xlog1py(1 + d, d) - d), 0.0)


def signal_to_noise(
    counts: NDArray[Any],
    exposure: NDArray[Any],
    source: NDArray[np.bool_],
    background: NDArray[np.bool_],
    method: str | Method = DEFAULT_METHOD,
) -> Measurement:
    """Return the signal-to-noise of a source region against a background region.

    Parameters
    ----------
    counts, exposure
        Image in counts and exposure map in s, both of shape (ny, nx).
    source, background
        Masks of shape (ny, nx), True = used. Only pixels on the detector (exposure above 0) count.
    method
        Name or record of the definition.

    Returns
    -------
    Measurement

    Raises
    ------
    NoData
        If a region has no pixel on the detector.
    """
    definition = method_of(method)
    with np.errstate(invalid="ignore"):
        on_source, on_background = source & (exposure > 0), background & (exposure > 0)
    areas = int(np.count_nonzero(on_source)), int(np.count_nonzero(on_background))
    for area, what in zip(areas, ("source", "background"), strict=True):
        if area == 0:
            raise NoData(
                f"the {what} region has no pixel on the detector: it lies in a gap, off the image or under masked "
                "sources; use another radius or centre, or a map that covers it"
            )
    sums = [float(np.sum(a[m], dtype=np.float64)) for a in (counts, exposure) for m in (on_source, on_background)]
    n, b, exposure_source, exposure_background = sums
    alpha = exposure_source / exposure_background
    if isinstance(definition, XGAMethod):
        value = _xga(counts, exposure, (source, background), definition)
    elif isinstance(definition, LiMaMethod):
        value = float(li_ma_significance(n, b, alpha))
    else:
        value = float(mid_p_significance(n, b, alpha))
    return Measurement(
        value=value,
        method=definition.name,
        counts=n,
        background_counts=b,
        area_pix=areas[0],
        background_area_pix=areas[1],
        exposure_s=exposure_source,
        background_exposure_s=exposure_background,
        alpha=alpha,
    )


def _xga(
    counts: NDArray[Any],
    exposure: NDArray[Any],
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    method: XGAMethod,
) -> float:
    """XGA ``products/phot.py``, ``signal_to_noise``: the background's own variance is left out."""
    source, background = masks
    total = float(np.sum(counts[source], dtype=np.float64))
    if total == 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        on_chip = exposure > 0
    if method.exp_corr:
        used = background & on_chip
        per_second = np.sum(counts[used] / exposure[used].astype(np.float64)) / np.count_nonzero(used)
        net = counts[source] - exposure[source].astype(np.float64) * per_second
        return float(np.sum(net if method.allow_negative else np.maximum(net, 0.0))) / math.sqrt(total)
    areas = np.count_nonzero(source & on_chip), np.count_nonzero(background & on_chip)
    other = float(np.sum(counts[background], dtype=np.float64))
    return (total - other * areas[0] / areas[1]) / math.sqrt(total)
