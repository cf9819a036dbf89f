"""Convolutions of sequences that span more than a float64 holds, given by their logarithms."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ("convolve_concave",)

Floats = NDArray[np.float64]

NEGLIGIBLE = 50.0  # what lies below exp(-50) of the largest is not asked for
MARGIN = 15.0  # by which the estimate of a sum by its largest term may be off: ln of the number of terms
SMALLEST = 1e-4  # part of the largest value down to which one Fourier transform is right to 1e-9


def convolve_concave(first: Floats, second: Floats, factor: Floats) -> Floats:
    """Return ``ln sum_i exp(first[i] + second[t - i]) + factor[t]`` where it matters.

    Parameters
    ----------
    first, second
        Logarithms of the sequences, concave (as those of all binomial and Poisson terms are), float64, 1-d.
    factor
        What is added to the result, of the length of the convolution; -inf where it is not wanted.

    Returns
    -------
    Array of the shape of ``factor``, right to 1e-9; -inf where it is below exp(-50) of the largest value.

    Notes
    -----
    A Fourier transform is right to 1e-16 of its largest value only. The sequences are therefore tilted by
    ``exp(slope i)``, which turns into ``exp(slope t)`` in the convolution and puts its peak where it is wanted, and
    each transform gives the stretch around the peak. Where that is follows from the largest terms alone: the largest
    of ``first[i] + second[t - i]`` takes the t largest differences of both sequences.

    Examples
    --------
    >>> logs = convolve_concave(np.log([1.0, 2.0, 1.0]), np.log([1.0, 1.0]), np.zeros(4))
    >>> np.exp(logs).round(9).tolist()
    [1.0, 3.0, 3.0, 1.0]
    """
    slopes = -np.sort(-np.concatenate((np.diff(first), np.diff(second))), kind="stable")
    estimate = first[0] + second[0] + np.concatenate(([0.0], np.cumsum(slopes))) + factor
    wanted = np.flatnonzero(estimate > np.max(estimate) - NEGLIGIBLE - MARGIN)
    result = np.full(factor.size, -np.inf)
    t, end = int(wanted[0]), int(wanted[-1])
    while t <= end:
        slope = -slopes[min(t, slopes.size - 1)] if slopes.size else 0.0
        begin, logs = _around_peak(first, second, slope)
        result[begin : begin + logs.size] = logs
        t = max(begin + logs.size, t + 1)
    result += factor
    return np.where(result > np.max(result) - NEGLIGIBLE, result, -np.inf)


def _around_peak(first: Floats, second: Floats, slope: float) -> tuple[int, Floats]:
    """Return the logarithms of the convolution around the peak that a tilt gives it, and where they begin."""
    (low, u, top), (other, v, summit) = (_tilted(logs, slope) for logs in (first, second))
    size = u.size + v.size - 1
    length = fft.next_fast_len(size, real=True)
    found = fft.irfft(fft.rfft(u, length) * fft.rfft(v, length), length)[:size]
    good = np.flatnonzero(found > SMALLEST * np.max(found))
    begin, stop = int(good[0]), int(good[-1]) + 1
    t = low + other + np.arange(begin, stop)
    return low + other + begin, np.log(found[begin:stop]) + top + summit - slope * t


def _tilted(logs: Floats, slope: float) -> tuple[int, Floats, float]:
    """Return where a tilted sequence is not negligible, its values there over the largest, and ln of the largest."""
    tilted = logs + slope * np.arange(logs.size)
    top = float(np.max(tilted))
    kept = np.flatnonzero(tilted > top - NEGLIGIBLE)
    low, stop = int(kept[0]), int(kept[-1]) + 1
    return low, np.exp(tilted[low:stop] - top), top
