"""Cuts on light curves of the background: the best signal-to-noise, espfilt's histogram, quiet time by two states.

Two goals need two cuts. A faint source is best seen where T^2 / N is greatest (T live time, N background counts kept);
extended light needs time in which no flare is left. One threshold cannot serve both.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

__all__ = ("FLARE_BAND", "HistogramCut", "QuietStates", "histogram_cut", "optimum_cut", "quiet_states", "within_width")

FLARE_BAND = (500, 7500)
"""Energies of the light curve in eV, those of the pipeline: soft protons and all else that is not the source."""


Floats = NDArray[np.float64]

_STEP = 1 / 51  # ct/s: espfilt's bins of rate, for its running mean of 51 s
_FIRST = 0.1
_BINS = 657
_SMOOTH = 51

_LEVELS = 30
_QUIET_S = 10_000.0  # how long quiet lasts before a flare, and a flare, to an order of magnitude
_FLARE_S = 1_000.0
_IMPOSSIBLE = 1e-200  # a likelihood over the greater one
_ROUNDS = 40
_EVIDENCE = 3.0  # how much likelier (natural logarithm) flares must be than one steady rate
_STARTS = (0.05, 0.15, 0.3, 0.5)


def optimum_cut(rate: Floats, live_s: Floats | None = None) -> tuple[float, int]:
    """Return the greatest rate to keep for the best signal-to-noise of a faint source, and how many bins that keeps.

    Parameters
    ----------
    rate
        Rates, shape (n,); NaN and what is not above 0 is left out, as bkgoptrate does.
    live_s
        Live time of each bin, shape (n,); default equal.

    Returns
    -------
    The rate and the number of bins; (NaN, 0) without a bin.

    Notes
    -----
    With the bins in order of rate, T^2 / sum(rate live) is greatest for the first k: a bin raises it while its rate is
    below twice the mean of those before. So the cut is twice the mean rate that it keeps. Bins with few counts bias
    it: the lowest are chosen. They should hold 25 counts or more.

    References
    ----------
    XMM-Newton SAS, bkgoptrate, nodes 4 and 5: NBINOPT of its tables is met; the scan ends at 5 % of the bins.

    Examples
    --------
    >>> optimum_cut(np.array([1.0, 9.0, 1.2, 0.8, 1.0]))
    (1.2, 4)
    """
    lives = np.ones(rate.shape) if live_s is None else live_s
    with np.errstate(invalid="ignore"):
        used = np.flatnonzero((rate > 0) & (lives > 0))
    if used.size == 0:
        return float("nan"), 0
    order = used[np.argsort(rate[used], kind="stable")]
    times = np.cumsum(lives[order])
    counts = np.cumsum((rate[order] * lives[order]).astype(np.float64))
    first = min(max(round(0.05 * order.size) - 1, 0), order.size - 1)
    best = first + int(np.argmax((times**2 / counts)[first:]))
    return float(rate[order[best]]), best + 1


class HistogramCut(NamedTuple):
    """Centre and width of the Gaussian that fits the histogram's peak, and the histogram (at 0.1 + k / 51 ct/s)."""

    centre: float
    width: float
    histogram: NDArray[np.int64]


def histogram_cut(
    counts: NDArray[np.integer], *, limits: tuple[float, float] = (0.1, 6.5), rangescale: int = 6
) -> HistogramCut:
    """Return the Gaussian that espfilt fits to the histogram of a light curve of 1 s.

    Parameters
    ----------
    counts
        Counts per second, shape (n,). The last bin is not used.
    limits
        Rates between which the peak is sought, ct/s.
    rangescale
        The fit takes this many bins of the histogram on either side of the peak.

    Returns
    -------
    HistogramCut
        Centre and width are NaN where there is no peak that can be fitted.

    Notes
    -----
    Running mean of 51 s; least squares without weights.

    References
    ----------
    XMM-Newton SAS, espfilt, node 3; Kuntz & Snowden 2008, A&A 478, 575.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> cut = histogram_cut(rng.poisson(1.4, 30000))
    >>> round(cut.centre, 1), round(cut.width, 1)
    (1.4, 0.2)
    """
    values = np.asarray(counts, dtype=np.float64)[:-1]
    if values.size < _SMOOTH:
        return HistogramCut(float("nan"), float("nan"), np.zeros(_BINS, dtype=np.int64))
    window = np.ones(_SMOOTH)
    smooth = np.convolve(values, window, "same") / np.convolve(np.ones(values.size), window, "same")
    place = np.floor((smooth - _FIRST) / _STEP + 0.5)
    place = np.clip(place[place < _BINS], 0, None).astype(np.intp)
    histogram = np.bincount(place, minlength=_BINS).astype(np.int64)
    centre, width = _fitted(histogram, limits, rangescale)
    return HistogramCut(centre, width, histogram)


def _fitted(histogram: NDArray[np.int64], limits: tuple[float, float], rangescale: int) -> tuple[float, float]:
    from scipy.optimize import OptimizeWarning, curve_fit

    rates = _FIRST + np.arange(_BINS) * _STEP
    peak = int(np.argmax(np.where((rates >= limits[0]) & (rates <= limits[1]), histogram, -1)))
    near = slice(max(peak - rangescale, 0), peak + rangescale + 1)
    start = (float(histogram[peak]), float(rates[peak]), 0.2)
    try:
        (_, centre, width), _ = curve_fit(_gaussian, rates[near], histogram[near], p0=start)
    except (RuntimeError, TypeError, OptimizeWarning):  # no peak, or too few bins beside it
        return float("nan"), float("nan")
    return float(centre), abs(float(width))


def _gaussian(x: Floats, height: float, centre: float, width: float) -> Floats:
    return np.asarray(height * np.exp(-0.5 * ((x - centre) / width) ** 2))


def within_width(
    counts: NDArray[np.integer], centre: float, width: float, *, allowsigma: float = 2.5, binsize: int = 60
) -> NDArray[np.bool_]:
    """Return which bins espfilt keeps: those within some widths of the centre, but for single bins on their own.

    Parameters
    ----------
    counts
        Counts per second, shape (n,). The last bin is not used.
    centre, width
        Of :func:`histogram_cut`.
    allowsigma
        How many widths are allowed on either side.
    binsize
        Seconds per bin; the last bin may be shorter and has its own length.

    Returns
    -------
    Shape (m,), bool, one per bin.

    Examples
    --------
    >>> within_width(np.array([1, 1, 9, 1, 9, 9]), 1.0, 0.1, binsize=1).tolist()
    [True, True, False, False, False]
    """
    values = np.asarray(counts, dtype=np.float64)[:-1]
    starts = np.arange(0, values.size, binsize)
    rate = np.add.reduceat(values, starts) / np.minimum(binsize, values.size - starts) if values.size else values
    good = np.abs(rate - centre) <= allowsigma * width
    before, after = np.concatenate(([False], good[:-1])), np.concatenate((good[1:], [False]))
    return np.asarray(good & (before | after))


class QuietStates(NamedTuple):
    """The quiet rate, its error, and for each bin the probability of a flare and the flare's rate, ct/s."""

    rate: float
    error: float
    flare: Floats
    excess: Floats


def quiet_states(counts: NDArray[np.integer], live_s: Floats, bin_s: float, *, smallest: float = 0.05) -> QuietStates:
    """Return the quiet rate of a light curve by a model of two states, quiet and flare, that last.

    Parameters
    ----------
    counts
        Counts of each bin, shape (n,); 25 or more where it is quiet, for what a bin can tell.
    live_s
        Live time of each bin in s, shape (n,); bins without any say nothing.
    bin_s
        Width of the bins in s.
    smallest
        The smallest excess that is called a flare, in units of the quiet rate. It is a matter of physics, not of
        statistics: a flare that rises by less stays in what is kept.

    Returns
    -------
    QuietStates
        NaN where there is no live time or no count.

    Notes
    -----
    Quiet counts are Poisson of one rate q. In a flare the rate is q (1 + e), and all e from ``smallest`` to that of the
    highest bin are alike in logarithm. Quiet lasts 10 ks and a flare 1 ks on average, to an order of magnitude. The
    probability of each bin follows from all others (forward and backward); q is found by expectation and maximisation
    from several starts, of which the likeliest counts. The error is that of the counts in quiet time.

    References
    ----------
    Rabiner 1989, Proc. IEEE 77, 257 (hidden Markov models).

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> mean = np.full(500, 84.0); mean[200:240] *= 4
    >>> states = quiet_states(rng.poisson(mean), np.full(500, 60.0), 60.0)
    >>> round(states.rate, 2), int((states.flare > 0.5).sum())
    (1.41, 40)
    """
    nothing = np.zeros(len(counts))
    lives = live_s > 0
    if not lives.any() or not np.sum(counts[lives]) > 0:
        return QuietStates(float("nan"), float("nan"), nothing, nothing)
    rates = np.divide(counts, live_s, out=np.zeros(len(counts)), where=lives)
    starts = np.quantile(rates[lives], _STARTS)
    model = _Model(np.asarray(counts, dtype=np.float64), live_s, rates, bin_s, smallest)
    found = [model.fitted(max(float(start), 1e-9)) for start in dict.fromkeys(starts.tolist())]
    likelihood, rate, flare = max(found, key=lambda fit: fit[0])
    if likelihood < model.steady() + _EVIDENCE:
        rate, flare = float(np.sum(counts[lives]) / np.sum(live_s)), nothing
    quiet = (1 - flare) * lives
    error = float(np.sqrt(np.sum(quiet * counts)) / np.sum(quiet * live_s)) if np.sum(quiet * live_s) > 0 else np.nan
    return QuietStates(rate, error, np.where(lives, flare, 0.0), np.where(lives, model.excess(rate), 0.0))


class _Model:
    """The likelihood of a light curve for a quiet rate."""

    def __init__(self, counts: Floats, live: Floats, rates: Floats, bin_s: float, smallest: float) -> None:
        self.counts, self.live, self.smallest = counts, live, smallest
        self.highest = float(rates.max())
        self.constant = gammaln(counts + 1)
        enter, leave = min(bin_s / _QUIET_S, 0.5), min(bin_s / _FLARE_S, 0.5)
        self.step = np.array([[1 - enter, enter], [leave, 1 - leave]])
        self.first = np.array([leave, enter]) / (enter + leave)

    def steady(self) -> float:
        """Return the log-likelihood of one rate for all bins."""
        lives = self.live > 0
        mean = self.live[lives] * float(np.sum(self.counts[lives]) / np.sum(self.live))
        return float(np.sum(self.counts[lives] * np.log(mean) - mean - self.constant[lives]))

    def levels(self, rate: float) -> Floats:
        """Return the rates that a flare may have."""
        top = max(self.highest / rate - 1, 2 * self.smallest)
        return np.asarray(rate * (1 + np.geomspace(self.smallest, top, _LEVELS)))

    def by_level(self, rate: float) -> Floats:
        """Return the log-likelihood of each bin (rows) at each rate of a flare."""
        mean = np.maximum(self.live[:, None] * self.levels(rate)[None, :], 1e-300)
        log = self.counts[:, None] * np.log(mean) - mean - self.constant[:, None]
        return np.where(self.live[:, None] > 0, log, 0.0)

    def of_states(self, rate: float) -> tuple[Floats, Floats]:
        """Return the likelihood of each bin in both states over the greater one, and that one's logarithm."""
        mean = np.maximum(self.live * rate, 1e-300)
        quiet = np.where(self.live > 0, self.counts * np.log(mean) - mean - self.constant, 0.0)
        levels = self.by_level(rate)
        top = levels.max(axis=1)
        flare = top + np.log(np.mean(np.exp(levels - top[:, None]), axis=1))
        both = np.stack((quiet, flare), axis=1)
        highest = both.max(axis=1)
        return np.exp(both - highest[:, None]), highest

    def fitted(self, rate: float) -> tuple[float, float, Floats]:
        """Return log-likelihood, quiet rate and probability of a flare, from a first rate."""
        likelihood, flare = -np.inf, np.zeros(self.counts.size)
        for _ in range(_ROUNDS):
            likelihood, flare = self.smoothed(rate)
            quiet = (1 - flare) * (self.live > 0)
            time = float(np.sum(quiet * self.live))
            found = float(np.sum(quiet * self.counts)) / time if time > 0 else rate
            if not found > 0 or abs(found / rate - 1) < 1e-5:
                break
            rate = found
        return likelihood, rate, flare

    def smoothed(self, rate: float) -> tuple[float, Floats]:
        """Return the log-likelihood and the probability of a flare in each bin, by the forward-backward algorithm.

        Both passes hold the odds of a flare alone: before a bin is seen, and of all bins behind it.
        """
        likely, highest = self.of_states(rate)
        (stay, enter), (leave, last) = self.step.tolist()
        ratio = likely[:, 1] / np.maximum(likely[:, 0], _IMPOSSIBLE)
        odds, before = float(self.first[1] / self.first[0]), []
        for seen in ratio.tolist():
            before.append(odds)
            odds *= seen
            odds = (enter + odds * last) / (stay + odds * leave)
        odds, behind = 1.0, []
        for seen in ratio[::-1].tolist():
            behind.append(odds)
            odds *= seen
            odds = (leave + odds * last) / (stay + odds * enter)
        prior = np.array(before)
        each = (likely[:, 0] + prior * likely[:, 1]) / (1 + prior)
        after = prior * ratio * np.array(behind[::-1])
        return float(np.sum(np.log(each)) + np.sum(highest)), after / (1 + after)

    def excess(self, rate: float) -> Floats:
        """Return the mean rate above quiet of each bin, if it is in a flare."""
        levels = self.by_level(rate)
        weight = np.exp(levels - levels.max(axis=1)[:, None])
        return np.asarray(weight @ (self.levels(rate) - rate) / weight.sum(axis=1))
