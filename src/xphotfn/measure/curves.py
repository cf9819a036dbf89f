"""Light curves of event lists, and what soft protons are left in a list."""

import math
import warnings
from pathlib import Path
from typing import NamedTuple

import astropy.units as u
from attrs import evolve

from xphotfn.commands.default_selection import selection_expression
from xphotfn.epic.in_out import in_out_of_list
from xphotfn.epic.live_curve import NOTHING, LeftOutSources, read_curve
from xphotfn.errors import InvalidRecord
from xphotfn.io.beside import beside_list, event_list
from xphotfn.io.flare_curves import holds_regions
from xphotfn.io.recognise import is_filtered
from xphotfn.io.source_lists import read_sources
from xphotfn.records.band import Band
from xphotfn.records.good_times import GoodTimes
from xphotfn.records.light_curve import InOut, LightCurve
from xphotfn.science.flares import FLARE_BAND
from xphotfn.science.time_bins import FRAME_BINS

__all__ = ("in_out", "light_curve")


def light_curve(
    events: str | Path,
    *,
    band: Band | None = None,
    selection: str | None = None,
    bin_s: float | u.Quantity | None = None,
    cut_sources: bool = True,
    sources: str | Path | None = None,
) -> LightCurve:
    """Return the light curve of an event list, with the live time of each bin.

    Parameters
    ----------
    events
        The event list, plain or gzipped.
    band
        Energy band; default 0.5-7.5 keV, in which flares are looked for.
    selection
        Event selection in SAS's language, to which the band is added; default good flags and patterns.
    bin_s
        Width of the bins, a time or a number in s; default 26 s for MOS, which are 10 frames, and 10 s for pn.
    cut_sources
        Leave sources out, for a variable source is no flare: those of the pipeline's light curve of flares (FBKTSR)
        where that lies beside the list, else those of its list of sources (OBSMLI), each with 30 arcsec or more, and
        circles of 1 arcmin around the bright ones that the events show.
    sources
        A list of sources (FITS) to take instead of what lies beside.

    Returns
    -------
    LightCurve
        Bins start with the list (TSTART). The live time of a bin is a mean over the CCDs; a bin without any is a gap.

    Raises
    ------
    InvalidFile
        If the event list is not one or cannot be read.
    InvalidRecord
        For a width that is no time above 0 s, or makes more than 2e6 bins.

    Warns
    -----
    UserWarning
        Where frames (EXPOSUnn) are missing, with what counts as live then; or where no event passes.

    Notes
    -----
    What the selection cuts in time, by ``gti()`` or ranges of TIME, has no live time: it is a gap, not a quiet bin.

    References
    ----------
    XMM-Newton SAS, evselect, node 11, and epiclccorr: counts and FRACEXP of the pipeline's flare curves are met.

    Examples
    --------
    >>> import tempfile
    >>> from attrs import evolve
    >>> from xphotfn.testing import default_scene, simulate_observations
    >>> pointing = default_scene().pointings[0]
    >>> one = evolve(pointing, exposures=[pointing.exposure("mos1")])
    >>> scene = evolve(default_scene(), pointings=[one])
    >>> truth = simulate_observations(tempfile.mkdtemp(), scene=scene, products="events")
    >>> curve = light_curve(f"{truth.folder}/0999990101/0999990101_mos1_clean_evts.fits")
    >>> curve.bin_s, round(curve.seconds, -2)
    (26.0, 8900.0)
    """
    found = event_list(Path(events))
    width = FRAME_BINS[found.instrument] if bin_s is None else _seconds(bin_s)
    limits = FLARE_BAND if band is None else (band.lo_ev, band.hi_ev)
    filtered = is_filtered(found.instrument, found.subspace)
    text = selection_expression(*limits, found.instrument, filtered=filtered, extra=selection or "")
    path, out = Path(found.file.path), sources_of(events, sources) if cut_sources else NO_SOURCES
    chosen = f"({text}) && {out.condition}" if out.condition else text
    reading = read_curve(path.parent, path.name, chosen, width, without=out.circles)
    empty = () if reading.curve.counts.any() else (f"no event passes {chosen!r}",)
    for note in (*reading.notes, *empty):
        warnings.warn(f"{path.name}: {note}", UserWarning, stacklevel=2)
    return evolve(reading.curve, source=path.name)


def _seconds(width: float | u.Quantity) -> float:
    try:
        seconds = float(u.Quantity(width, u.s).value)
    except (TypeError, ValueError):  # UnitConversionError is one
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InvalidRecord(f"bin_s must be above 0 s, got {width!r}")
    return seconds


class SourcesOfList(NamedTuple):
    """What is left out of the curve of a list: a condition or circles, and the file that says so."""

    condition: str = ""
    circles: LeftOutSources = NOTHING
    file: str = ""


NO_SOURCES = SourcesOfList()


def sources_of(events: str | Path, sources: str | Path | None = None) -> SourcesOfList:
    """Return what is left out of the light curve of a list: what a file says that is given or lies beside it."""
    beside = beside_list(event_list(Path(events)))
    curve = beside.flare_curve if sources is None else None
    if curve is not None and holds_regions(Path(curve.path)):
        name = Path(curve.path).name
        return SourcesOfList(condition=f"region({name}:REGION,DETX,DETY)", file=name)
    listed = sources or (None if beside.sources is None else beside.sources.path)
    if listed is None:
        return SourcesOfList(circles=LeftOutSources(bright=True))
    circles = LeftOutSources(bright=True, listed=read_sources(listed))
    return SourcesOfList(circles=circles, file=Path(listed).name)


def in_out(events: str | Path, *, good: GoodTimes | None = None) -> InOut:
    """Return the rate of the outer field of view over that of the corners: what soft protons are left in a list.

    Parameters
    ----------
    events
        A MOS event list that holds the corners, such as a raw one of the pipeline.
    good
        Good time; default that of the list.

    Returns
    -------
    InOut
        1 where the field sees what the corners see. ``category`` is that of De Luca & Molendi: below 1.15 not, to 1.3
        slightly, to 1.5 very, above extremely contaminated.

    Raises
    ------
    NoData
        For pn, window modes and lists without events of the corners.
    InvalidFile
        If the event list is not one or cannot be read.

    Notes
    -----
    6 to 12 keV: other energies and other pixels than those that flares are cut by, so it checks the cut.

    References
    ----------
    De Luca & Molendi 2004, A&A 419, 837.

    Examples
    --------
    >>> in_out("nowhere.fits")
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: ...nowhere.fits: cannot be read (...): was it moved or deleted?
    """
    path = Path(event_list(Path(events)).file.path)
    return in_out_of_list(path.parent, path.name, good)
