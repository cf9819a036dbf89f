"""What to do where a place has no maps of a band: the whole command that makes them, also for who has no target."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ("how_to_make",)

_MAPS = ("image", "exposure_map")
_REACH_ARCMIN = 30  # the default of --within
_MOST = 5  # observations that are named


def _beyond_reach(first: Any, others: Sequence[Any]) -> str:
    """Return the observations that a run at the pointing of the first does not take; empty where there is none."""
    from xphotfn.science.coords import separation_deg

    there = (first.ra_deg, first.dec_deg)
    far = [o.obs_id for o in others if 60 * float(separation_deg(*there, o.ra_deg, o.dec_deg)) > _REACH_ARCMIN]
    more = f" and {len(far) - _MOST} more" if len(far) > _MOST else ""
    return ", ".join(far[:_MOST]) + more


def how_to_make(place: Path, observations: Sequence[Any], bands: Iterable[Any]) -> str:
    """Return what makes the maps of a band that a place lacks, or names those among which nothing decides.

    Without observations the place is a store, whose data lie elsewhere.
    """
    asked = " ".join(f"--band {str(band).replace(' ', '')}" for band in bands)
    if not observations:
        words = ["xphotfn run DATA --ra RA --dec DEC", asked, f"--store {shlex.quote(str(place))}"]
        return f"make them of the data, as with `{' '.join(filter(None, words))}`"
    notes = [note for o in observations for note in o.left_out if note.kind in _MAPS]
    undecided = dict.fromkeys(note.file for note in notes if note.reason == "undecided")
    choose = f"name one of {' and '.join(undecided)} with --prefer" if undecided else ""
    with_events = [o for o in observations if any(e.events is not None for e in o.exposures)]
    if not with_events:
        return choose or "there is no event list to make them of: add images and exposure maps of whole counts"
    first = with_events[0]
    words = ["xphotfn run", shlex.quote(str(place)), f"--ra {first.ra_deg:.5f} --dec {first.dec_deg:.5f}", asked]
    command = " ".join(filter(None, words))
    make = f"make them with `{command}` (the pointing of {first.obs_id}), then give its store, xphotfn-store"
    far = _beyond_reach(first, with_events)
    make += f"; {far} farther than {_REACH_ARCMIN} arcmin from there: each at its own pointing" if far else ""
    return f"{choose}; or {make}" if choose else make
