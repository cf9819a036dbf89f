"""Whether several observations of one position agree with one rate."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from xphotfn.science._numeric import Floats
from xphotfn.science.joint.one_measurement import over_positions, require_joint
from xphotfn.science.wstat import fitted_background

__all__ = ("joint_consistency",)

ROUNDS = 4  # of rate and variances
LEAST_FREEDOM = 0.5
LOG_FAR = float(np.log(1e-280))


def joint_consistency(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike) -> Floats:
    """Return ln p that observations of one rate scatter as much as these do, or more.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`xphotfn.science.joint.one_measurement.equivalent_on_off`, with its errors.

    Returns
    -------
    ndarray of float64
        Natural logarithm of the p-value, 0 where nothing can disagree; NaN where fewer than two observations cover
        the position. `log_p_to_sigma` makes sigmas of it.

    Notes
    -----
    ``X^2 = sum (N_i - alpha_i B_i - s E_i)^2/V_i`` at the s that makes it smallest, V_i the variance at the
    background that fits best for this s (with one source count more over all observations). Its mean is the number of
    observations less one; its variance and skewness are larger than those of chi-square at few counts and follow from
    the cumulants of Poisson variables. The p-value is that of the Gamma distribution, shifted, with these three
    moments (Pearson's type III). Counts are whole: at few counts there are fewer false alarms than nominal.

    References
    ----------
    Pearson (1900), Phil. Mag. 50, 157 (the statistic); Johnson, Kotz & Balakrishnan (1994), Continuous Univariate
    Distributions 1, chapter 17 (type III).

    Examples
    --------
    >>> p = np.exp(joint_consistency([[20, 24, 15], [60, 24, 15]], [20, 20, 20], 0.1, [1000, 1000, 1000]))
    >>> p.round(2)
    array([0.36, 0.  ])
    """
    return over_positions(_log_p, 1, require_joint(counts, background, alpha, exposure))[0]


def _log_p(n: Floats, b: Floats, a: Floats, e: Floats) -> tuple[Floats]:
    seen, total, net = e > 0, np.sum(e, axis=1), n - a * b
    rate = np.sum(net, axis=1) / total
    for _ in range(ROUNDS):
        source = (np.maximum(rate, 0.0) + 1 / total)[:, None] * e
        off = fitted_background(n, b, a, source)
        on = source + a * off
        precision = np.where(seen, 1 / np.where(seen, on + a * a * off, 1.0), 0.0)
        weight = e * e * precision
        rate = np.sum(e * precision * net, axis=1) / np.sum(weight, axis=1)
    statistic = np.sum((net - rate[:, None] * e) ** 2 * precision, axis=1)
    free = np.where(seen, 1 - weight / np.sum(weight, axis=1, keepdims=True), 0.0)
    fourth = (on + a**4 * off) * precision**2
    sixth = (on + a**6 * off) * precision**3 + 10 * (on - a**3 * off) ** 2 * precision**3
    mean = np.count_nonzero(seen, axis=1) - 1.0
    variance = 2 * mean + np.sum(fourth * free**2, axis=1)
    third = 8 * mean + np.sum(12 * fourth * free**2 + sixth * free**3, axis=1)
    log_p = _type_three(statistic, mean, variance, third)
    return (np.where(mean > LEAST_FREEDOM, log_p, np.nan),)


def _type_three(x: Floats, mean: Floats, variance: Floats, third: Floats) -> Floats:
    """Return ln P of more than x for the shifted Gamma distribution of these moments."""
    single = third == 0
    shape = 4 * variance**3 / np.where(single, 1.0, third) ** 2
    at = np.maximum(shape + np.sqrt(shape) * (x - mean) / np.sqrt(np.where(single, 1.0, variance)), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = np.log(special.gammaincc(shape, at))
        far = (shape - 1) * np.log(at) - at - special.gammaln(shape) - np.log1p(-(shape - 1) / at)
    return np.asarray(np.where(log_p < LOG_FAR, far, log_p))
