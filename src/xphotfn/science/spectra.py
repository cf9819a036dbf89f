"""Photons and energy of spectra in bins, with the absorption of neutral gas; what any response is folded with."""

import math
from typing import NamedTuple, assert_never

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.records.band import Band
from xphotfn.records.spectrum import Bremsstrahlung, PowerLaw, Spectrum, SpectrumTable

__all__ = ("ERG_PER_KEV", "Light", "absorption_cm2", "energy_flux", "k_correction", "light_in_bins")

Floats = NDArray[np.float64]
ERG_PER_KEV = 1.602176634e-9
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
FINE = 400  # bins over a band, across which the gas has its edges

# Morrison & McCammon 1983, table 2: from each energy in keV, cross section = (c0 + c1 E + c2 E^2)/E^3 in 1e-24 cm2
_MM83 = np.array(
    (
        (0.030, 17.3, 608.1, -2150.0), (0.100, 34.6, 267.9, -476.1), (0.284, 78.1, 18.8, 4.3),
        (0.400, 71.4, 66.8, -51.4), (0.532, 95.5, 145.8, -61.1), (0.707, 308.9, -380.6, 294.0),
        (0.867, 120.6, 169.3, -47.7), (1.303, 141.3, 146.8, -31.5), (1.840, 202.7, 104.7, -17.0),
        (2.471, 342.7, 18.7, 0.0), (3.210, 352.2, 18.7, 0.0), (4.038, 433.9, -2.4, 0.75),
        (7.111, 629.0, 30.9, 0.0), (8.331, 701.2, 25.2, 0.0),
    )
)  # fmt: skip


class Light(NamedTuple):
    """Photons/cm2/s and keV/cm2/s in each bin."""

    photons: Floats
    energy: Floats


def absorption_cm2(energy_kev: ArrayLike) -> Floats:
    """Return the photoelectric cross section of cosmic gas per hydrogen atom.

    Parameters
    ----------
    energy_kev
        Energies of any shape, in keV; the fits hold from 0.03 to 10 keV, and their ends are extended beyond.

    Returns
    -------
    ndarray of float64
        Cross sections in cm2.

    References
    ----------
    Morrison & McCammon 1983, ApJ 270, 119, table 2.

    Examples
    --------
    >>> f"{float(absorption_cm2(1.0)):.4g}"
    '2.422e-22'
    """
    energy = np.asarray(energy_kev, dtype=np.float64)
    row = np.clip(np.searchsorted(_MM83[:, 0], energy, side="right") - 1, 0, len(_MM83) - 1)
    c0, c1, c2 = (_MM83[row, n] for n in (1, 2, 3))
    return np.asarray(1e-24 * (c0 + c1 * energy + c2 * energy**2) / energy**3)


def _density(spectrum: PowerLaw | Bremsstrahlung, energy: Floats, absorbed: bool) -> Floats:
    """Return photons per keV, of any scale."""
    match spectrum:
        case PowerLaw(gamma=gamma):
            result = energy**-gamma
        case Bremsstrahlung(kt_kev=kt, redshift=redshift):
            rest = energy * (1 + redshift)
            result = rest**-1.4 * np.exp(-rest / kt)
        case _:
            assert_never(spectrum)
    return result * np.exp(-spectrum.nh_cm2 * absorption_cm2(energy)) if absorbed else result


def light_in_bins(spectrum: Spectrum, lo_kev: Floats, hi_kev: Floats, *, absorbed: bool) -> Light:
    """Return photons and energy of a spectrum in bins, shape (n,); of any scale, but one for both kinds of flux.

    Parameters
    ----------
    spectrum
        What is binned. A table is even within its bins, and dark outside them.
    lo_kev, hi_kev
        Ends of the bins, shape (n,).
    absorbed
        Behind the gas, or without it.

    Raises
    ------
    InvalidRecord
        If a table does not know its unabsorbed flux.

    Examples
    --------
    >>> edges = np.array([1.0, 2.0, 4.0])
    >>> light_in_bins(PowerLaw(gamma=2.0), edges[:-1], edges[1:], absorbed=True).photons.round(6).tolist()
    [0.5, 0.25]
    """
    if isinstance(spectrum, SpectrumTable):
        return _table_in_bins(spectrum, lo_kev, hi_kev, absorbed)
    half, middle = (hi_kev - lo_kev) / 2, (hi_kev + lo_kev) / 2
    energy = middle[:, None] + half[:, None] * NODES
    density = _density(spectrum, energy, absorbed)
    return Light(half * (density @ WEIGHTS), half * ((density * energy) @ WEIGHTS))


def _table_in_bins(spectrum: SpectrumTable, lo: Floats, hi: Floats, absorbed: bool) -> Light:
    """Return the light of a table in bins, exactly: its sums up to an energy rise in straight lines and parabolas."""
    if not (absorbed or spectrum.unabsorbed):
        raise InvalidRecord(
            f"the spectrum {spectrum.name} knows its absorbed flux only: give spectrum_table(..., unabsorbed=...), the "
            "same model with nH 0, or absorbed=True"
        )
    photons = np.array(spectrum.photons if absorbed else spectrum.unabsorbed)
    edges = np.array([spectrum.lo_kev[0], *spectrum.hi_kev])
    density = photons / np.diff(edges)
    steps = np.array((photons, density * (edges[1:] ** 2 - edges[:-1] ** 2) / 2))
    sums = np.concatenate((np.zeros((2, 1)), np.cumsum(steps, axis=1)), axis=1)

    def below(energy: Floats) -> Floats:
        at = np.clip(energy, edges[0], edges[-1])
        part = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, density.size - 1)
        more = np.array((at - edges[part], (at**2 - edges[part] ** 2) / 2))
        return np.asarray(sums[:, part] + density[part] * more)

    return Light(*(below(hi) - below(lo)))


def energy_flux(spectrum: Spectrum, lo_kev: float, hi_kev: float, *, absorbed: bool) -> float:
    """Return the energy of a spectrum between two energies in keV/cm2/s, on the scale of :func:`light_in_bins`.

    Examples
    --------
    >>> round(energy_flux(PowerLaw(gamma=2.0), 0.5, 2.0, absorbed=False), 6)  # ln 4
    1.386294
    """
    edges = np.geomspace(lo_kev, hi_kev, FINE + 1)
    return float(np.sum(light_in_bins(spectrum, edges[:-1], edges[1:], absorbed=absorbed).energy))


def k_correction(spectrum: Spectrum, band: Band, *, redshift: float) -> float:
    """Return what turns ``4 pi D_L^2 F`` of a band into the luminosity of the same band at the source.

    Parameters
    ----------
    spectrum
        Of the source, unabsorbed. A power law of any redshift; bremsstrahlung of its temperature at the source; a table
        as it arrives, which has to reach down to the band's lower end over 1 + z.
    band
        Of the flux, and of the luminosity.
    redshift
        Of the source, above 0.

    Returns
    -------
    float
        ``int_E1^E2 / int_E1(1+z)^E2(1+z)`` of ``E f(E)`` at the source: ``(1+z)^(Gamma-2)`` of a power law.

    Raises
    ------
    InvalidRecord
        If the redshift is not above 0, or not that of the spectrum where it has one, or a table does not reach or does
        not know its unabsorbed flux.

    Examples
    --------
    >>> round(k_correction(PowerLaw(gamma=1.7), Band(lo_ev=500, hi_ev=2000), redshift=0.16), 6)
    0.956451
    """
    if not 0 < redshift < np.inf:
        raise InvalidRecord(f"a k-correction needs a redshift above 0, got {redshift!r}")
    lo, hi = band.lo_ev / 1000, band.hi_ev / 1000
    match spectrum:
        case PowerLaw(gamma=gamma):
            return float((1 + redshift) ** (gamma - 2))
        case Bremsstrahlung(redshift=own_z) if own_z and not math.isclose(own_z, redshift, rel_tol=1e-6):
            raise InvalidRecord(
                f"the spectrum is at redshift {own_z:g}, and the k-correction is for {redshift:g}: give one of them"
            )
        case Bremsstrahlung(kt_kev=kt):
            own, far = Bremsstrahlung(kt_kev=kt), 1 + redshift
            return energy_flux(own, lo, hi, absorbed=False) / energy_flux(own, lo * far, hi * far, absorbed=False)
        case SpectrumTable(lo_kev=first, hi_kev=last, name=name):
            near = lo / (1 + redshift)
            if near < first[0] * (1 - 1e-6) or hi > last[-1] * (1 + 1e-6):
                raise InvalidRecord(
                    f"the spectrum {name} reaches from {first[0]:g} to {last[-1]:g} keV, and the k-correction of "
                    f"{band} at redshift {redshift:g} needs {near:.4g} to {hi:g} keV: give a wider one"
                )
            at_source = energy_flux(spectrum, near, hi / (1 + redshift), absorbed=False)
            return at_source / energy_flux(spectrum, lo, hi, absorbed=False)
        case _:
            assert_never(spectrum)
