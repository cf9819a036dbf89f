"""Folding a spectrum with an effective area and a redistribution matrix, as arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.records.band import Band
from xphotfn.records.spectrum import PowerLaw, Spectrum, SpectrumTable
from xphotfn.science.spectra import ERG_PER_KEV, energy_flux, light_in_bins

__all__ = ("Area", "Redistribution", "counts_per_erg", "part_in_band")

Floats = NDArray[np.float64]
MOST_UNSEEN = 0.01  # part of the counts in a band that a table of a spectrum may leave out


class Area(NamedTuple):
    """Effective area in cm2 in bins of true energy, in keV; all of shape (n,)."""

    lo_kev: Floats
    hi_kev: Floats
    cm2: Floats


class Redistribution(NamedTuple):
    """A redistribution matrix as its groups: which row each is of, its first channel from 0, and its probabilities.

    ``lo_kev`` and ``hi_kev``, shape (n,), are the rows' energies; ``channel_lo`` and ``channel_hi`` the energies of the
    channels. The probabilities of group k are ``values[starts[k]:starts[k + 1]]``.
    """

    lo_kev: Floats
    hi_kev: Floats
    channel_lo: Floats
    channel_hi: Floats
    energy_rows: NDArray[np.intp]
    first: NDArray[np.intp]
    starts: NDArray[np.intp]
    values: Floats


def _overlap(lo: Floats, hi: Floats, band: Band) -> Floats:
    """Return which part of each bin lies in a band."""
    inside = np.minimum(hi, band.hi_ev / 1000) - np.maximum(lo, band.lo_ev / 1000)
    return np.asarray(np.clip(inside / (hi - lo), 0.0, 1.0))


def part_in_band(matrix: Redistribution, band: Band) -> Floats:
    """Return the part of the counts of each true energy that is measured in a band, shape (n,)."""
    weights = _overlap(matrix.channel_lo, matrix.channel_hi, band)
    sizes = np.diff(matrix.starts)
    channel = np.arange(matrix.values.size) - np.repeat(matrix.starts[:-1] - matrix.first, sizes)
    rows = np.repeat(matrix.energy_rows, sizes)
    return np.asarray(np.bincount(rows, matrix.values * weights[channel], matrix.lo_kev.size), dtype=np.float64)


def counts_per_erg(
    spectrum: Spectrum, area: Area, matrix: Redistribution | None, band: Band, *, absorbed: bool
) -> float:
    """Return counts per second in a band for a flux of 1 erg/cm2/s in it.

    Parameters
    ----------
    spectrum
        What is folded; the counts are those behind its gas.
    area, matrix
        On one grid of energies; without a matrix energies are measured exactly.
    band
        Of counts and flux.
    absorbed
        Whether the flux is that behind the gas.

    Raises
    ------
    InvalidRecord
        If the area or the spectrum leaves out part of the band, or there are no counts.
    """
    _require_reach(area, band)
    if matrix is None:
        lo, hi = (np.clip(v, band.lo_ev / 1000, band.hi_ev / 1000) for v in (area.lo_kev, area.hi_kev))
        part = (hi > lo).astype(np.float64)
    else:
        lo, hi, part = area.lo_kev, area.hi_kev, part_in_band(matrix, band)
    seen = area.cm2 * part
    if isinstance(spectrum, SpectrumTable):
        _require_seen(spectrum, (lo, hi), seen, band)
    counts = float(np.sum(light_in_bins(spectrum, lo, hi, absorbed=True).photons * seen))
    flux = ERG_PER_KEV * energy_flux(spectrum, band.lo_ev / 1000, band.hi_ev / 1000, absorbed=absorbed)
    if not (counts > 0 and flux > 0):
        raise InvalidRecord(f"the response gives no counts of {spectrum} in {band}: is it the right band and detector?")
    return counts / flux


def _require_reach(area: Area, band: Band) -> None:
    if band.lo_ev / 1000 < area.lo_kev[0] * (1 - 1e-4) or band.hi_ev / 1000 > area.hi_kev[-1] * (1 + 1e-4):
        raise InvalidRecord(
            f"the effective area reaches from {area.lo_kev[0]:g} to {area.hi_kev[-1]:g} keV and leaves out part of "
            f"{band}: use a band within it"
        )


def _require_seen(spectrum: SpectrumTable, ends: tuple[Floats, Floats], seen: Floats, band: Band) -> None:
    """Refuse a table that is dark where counts of the band come from, judged by a power law of Gamma 2."""
    first, last = spectrum.lo_kev[0], spectrum.hi_kev[-1]
    counts = light_in_bins(PowerLaw(gamma=2.0), *ends, absorbed=True).photons * seen
    outside = float(np.sum(counts[(ends[0] < first * (1 - 1e-4)) | (ends[1] > last * (1 + 1e-4))]))
    whole = band.lo_ev / 1000 >= first * (1 - 1e-4) and band.hi_ev / 1000 <= last * (1 + 1e-4)
    if not whole or outside > MOST_UNSEEN * float(np.sum(counts)):
        raise InvalidRecord(
            f"the spectrum {spectrum.name} reaches from {first:g} to {last:g} keV only, and counts in {band} come from "
            "beyond: give a wider one"
        )
