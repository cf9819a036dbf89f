"""Pictures of light curves: the curve with what is kept of it, its histogram, rate against signal-to-noise, IN/OUT."""

from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.plot.view import figure_for, need_matplotlib, save_figure
from xphotfn.records.light_curve import FlareCut, InOut, LightCurve
from xphotfn.science.flare_cut import histogram_of_rates, judge, quiet_bins, snr_by_cut

__all__ = ("save_light_curve", "view_light_curve")

Contamination: TypeAlias = InOut | str | None

FIGSIZE = (9.0, 6.4)
_DATA, _KEPT, _CUT, _MODEL = "#33475b", "#9fc9a4", "#c0392b", "#1f6fb2"
_SCALE = ((1.15, "not"), (1.3, "slightly"), (1.5, "very"))  # De Luca & Molendi (2004)


class _Panels(NamedTuple):
    """What the panels show."""

    curve: LightCurve
    cut: FlareCut
    before: Contamination
    after: Contamination


def view_light_curve(
    curve: LightCurve,
    cut: FlareCut | None = None,
    *,
    before: Contamination = None,
    after: Contamination = None,
    figsize: tuple[float, float] | None = None,
) -> Any:
    """Draw a light curve and the cut that is made on it.

    Parameters
    ----------
    curve
        The light curve.
    cut
        What is kept; default :func:`flare_cut` with its default goal.
    before, after
        IN/OUT of all of the time and of what is kept, as :func:`in_out` gives it, or why there is none.
    figsize
        Width and height in inches; default 9 x 6.4.

    Returns
    -------
    Array of 4 matplotlib Axes
        The curve, with the time that is kept shaded, the greatest rate kept and the quiet rate; the histogram of its
        rates with the Poisson distribution of the quiet rate; signal-to-noise of a faint source against the greatest
        rate kept; IN/OUT before and after on the scale of De Luca & Molendi. Bins of the histogram and of the
        signal-to-noise are joined as the cut joins them, until a quiet one holds 25 counts.

    Raises
    ------
    InvalidRecord
        If it is no light curve, or one without live time.
    MatplotlibMissing
        If matplotlib is not installed.

    Notes
    -----
    The axes belong to a new pyplot figure, as those of :func:`view` do.

    References
    ----------
    De Luca & Molendi 2004, A&A 419, 837.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from xphotfn.measure.flare_cuts import flare_cut
    >>> rng = np.random.default_rng(3)
    >>> mean = np.full(600, 70.0); mean[100:150] *= 5
    >>> curve = LightCurve(start_s=0.0, bin_s=50.0, counts=rng.poisson(mean), live_s=np.full(600, 50.0))
    >>> axes = view_light_curve(curve, flare_cut(curve, "quiet"))
    >>> axes[0].get_title()
    'quiet: kept 27.5 of 30.0 ks (92 %), quiet 1.408 +- 0.007 /s, residual 0.0 %'
    >>> plt.close("all")
    """
    need_matplotlib()
    panels = _panels(curve, cut, before, after)
    import matplotlib.pyplot as plt

    return _fill(plt.figure(figsize=figsize or FIGSIZE, layout="constrained"), panels)


def save_light_curve(
    curve: LightCurve,
    path: str | Path,
    cut: FlareCut | None = None,
    *,
    before: Contamination = None,
    after: Contamination = None,
    overwrite: bool = False,
) -> Path:
    """Draw a light curve and the cut that is made on it into a file.

    Parameters
    ----------
    curve, cut, before, after
        As :func:`view_light_curve`.
    path
        The picture; its suffix, ``.png``, ``.pdf`` or ``.svg``, says which kind.
    overwrite
        Replace an existing file.

    Returns
    -------
    Path
        The picture, whole: it appears by a rename when it is complete.

    Raises
    ------
    InvalidFile
        If the suffix is unknown, the file cannot be written, or it exists and ``overwrite`` is False.
    InvalidRecord, MatplotlibMissing
        As :func:`view_light_curve`.

    Examples
    --------
    >>> import tempfile
    >>> curve = LightCurve(start_s=0.0, bin_s=50.0, counts=[70, 75, 300, 71], live_s=[50.0] * 4)
    >>> save_light_curve(curve, Path(tempfile.mkdtemp(), "curve.png")).name
    'curve.png'
    """
    figure_class = figure_for(path)
    panels = _panels(curve, cut, before, after)
    figure = figure_class(figsize=FIGSIZE, layout="constrained")
    _fill(figure, panels)
    return save_figure(figure, path, dpi=110, overwrite=overwrite)


def _panels(curve: Any, cut: FlareCut | None, before: Contamination, after: Contamination) -> _Panels:
    if not isinstance(curve, LightCurve):
        raise InvalidRecord(f"a light curve is drawn, got {type(curve).__name__}: make one with light_curve(events)")
    return _Panels(curve, judge(curve).cut if cut is None else cut, before, after)


def _fill(figure: Any, panels: _Panels) -> NDArray[np.object_]:
    grid = figure.add_gridspec(2, 3, height_ratios=(1.15, 1.0))
    places = (grid[0, :], grid[1, 0], grid[1, 1], grid[1, 2])
    axes = np.empty(len(places), dtype=object)
    axes[:] = [figure.add_subplot(place) for place in places]
    for ax, draw in zip(axes, (_draw_curve, _draw_histogram, _draw_snr, _draw_in_out), strict=True):
        draw(ax, panels)
    return axes


def _draw_curve(ax: Any, panels: _Panels) -> None:
    curve, cut = panels.curve, panels.cut
    since = (curve.time - curve.start_s) / 1000
    for number, (start, stop) in enumerate(cut.good.intervals):
        limits = ((start - curve.start_s) / 1000, (stop - curve.start_s) / 1000)
        ax.axvspan(*limits, color=_KEPT, alpha=0.45, lw=0, label="kept" if number == 0 else None)
    ax.errorbar(since, curve.rate, curve.error, fmt=".", ms=2.5, lw=0.5, color=_DATA)
    _lines(ax.axhline, cut)
    counted = curve.rate[curve.counts > 0]
    if counted.size and counted.max() > 8 * np.median(counted):
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    lives = np.flatnonzero(curve.live_s > 0)  # a list may end long after its last frame
    ax.set_xlim(lives[0] * curve.bin_s / 1000, (lives[-1] + 1) * curve.bin_s / 1000)
    ax.set_xlabel(f"time since {curve.start_s:.0f} s (ks)")
    ax.set_ylabel("count/s")
    ax.set_title(f"{cut.goal}: {cut}", fontsize="medium")
    ax.legend(fontsize="small", loc="upper right")


def _lines(draw: Any, cut: FlareCut) -> None:
    if np.isfinite(cut.rate):
        draw(cut.rate, color=_CUT, lw=1, ls="--", label="greatest rate kept")
    if np.isfinite(cut.quiet) and cut.quiet > 0:
        draw(cut.quiet, color=_MODEL, lw=1, label="quiet rate")


def _draw_histogram(ax: Any, panels: _Panels) -> None:
    found = histogram_of_rates(quiet_bins(panels.curve), panels.cut.quiet)
    ax.stairs(found.bins, found.edges, color=_DATA)
    if np.any(found.quiet > 0):
        ax.stairs(found.quiet, found.edges, color=_MODEL, label="Poisson, quiet rate")
        ax.legend(fontsize="small")
    _lines(ax.axvline, panels.cut)
    ax.set_xlim(found.edges[0], found.edges[-1])
    ax.set_xlabel("count/s; the last bin holds all above")
    ax.set_ylabel("bins")


def _draw_snr(ax: Any, panels: _Panels) -> None:
    rate, snr = snr_by_cut(quiet_bins(panels.curve))
    ax.plot(rate, snr, color=_DATA)
    if np.isfinite(panels.cut.rate):
        ax.axvline(panels.cut.rate, color=_CUT, lw=1, ls="--")
    ax.set_xlabel("greatest rate kept (count/s)")
    ax.set_ylabel("S/N of a faint source / best")
    ax.set_ylim(0, 1.05)


def _draw_in_out(ax: Any, panels: _Panels) -> None:
    found = [(n, c) for n, c in enumerate((panels.before, panels.after)) if isinstance(c, InOut)]
    ax.set_xticks([0, 1], ["before", "after"])
    ax.set_xlim(-0.5, 1.5)
    ax.set_ylabel("IN/OUT, 6-12 keV")
    if not found:
        texts = [c for c in (panels.after, panels.before) if isinstance(c, str)]
        text = "\n".join(_broken(texts[0])) if texts else "no IN/OUT given"
        ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, fontsize="small")
        ax.set_yticks([])
        return
    ax.errorbar([n for n, _ in found], [c.ratio for _, c in found], [c.error for _, c in found], fmt="o", color=_DATA)
    top = 1.1 * max(1.5, *(c.ratio + c.error for _, c in found))
    ax.set_ylim(min(0.9, *(c.ratio - c.error for _, c in found)), top)
    for limit, word in _SCALE:
        ax.axhline(limit, color="0.6", lw=0.7)
        ax.text(1.48, limit, word, ha="right", va="top", fontsize="x-small", color="0.35")
    ax.text(1.48, top, "extremely contaminated", ha="right", va="top", fontsize="x-small", color="0.35")


def _broken(text: str) -> list[str]:
    """Return a sentence in lines of some 28 letters."""
    from textwrap import wrap

    return wrap(text, 28)
