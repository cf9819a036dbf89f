"""Luminosities of fluxes, at the distance of a target in its cosmology."""

import math
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ProductMissing, UnitMismatch
from xphotfn.measure.factors import FLUX_COLUMNS, EcfLike, band_texts, ecfs_of
from xphotfn.measure.photometry.joint_rows import texts_of
from xphotfn.records.ecf import FLUX_UNIT, Ecf
from xphotfn.records.fields import of_kind
from xphotfn.records.spectrum import Bremsstrahlung
from xphotfn.records.target import Target
from xphotfn.science.distances import luminosity_distance_cm
from xphotfn.science.spectra import k_correction

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ("luminosity",)


def luminosity(
    flux: "u.Quantity | Table", target: Target, *, kcorrection: float | EcfLike, absorbed: bool | None = None
) -> Any:
    """Return luminosities, ``4 pi D_L^2 F k``.

    Parameters
    ----------
    flux
        Unabsorbed: a Quantity in erg/cm2/s of any shape, or a table of :func:`fluxes` or of :func:`joint_photometry`
        with factors.
    target
        Gives redshift and cosmology.
    kcorrection
        The :class:`Ecf` of the flux (several, for the bands of a table): its spectrum says what turns the flux of its
        band into the luminosity of the same band at the source (:func:`k_correction`). Or a number; 1 for none, which
        is the luminosity of the band ``E (1 + z)`` at the source.
    absorbed
        Has to be said, as False, of a Quantity with a number: nothing else tells which flux it is.

    Returns
    -------
    Quantity or QTable
        In erg/s; of a table a copy with ``luminosity``, ``luminosity_low``, ``luminosity_high`` and
        ``luminosity_limit`` for its fluxes. Their relative systematic error is that of the fluxes.

    Raises
    ------
    InvalidRecord
        If the flux is absorbed or does not say that it is not, the target has no redshift, a k-correction is no number
        above 0, a factor of bremsstrahlung is of another redshift than the target's, or one is of
        another spectrum than the fluxes of the table.
    ProductMissing
        If the table has no fluxes, or no factor is of a row's band.
    UnitMismatch
        If a flux is not in erg/cm2/s.

    References
    ----------
    Hogg 1999, arXiv:astro-ph/9905116; Hogg et al. 2002, arXiv:astro-ph/0210394, for the k-correction.

    Examples
    --------
    >>> from xphotfn.records.target import galaxy_cluster
    >>> cluster = galaxy_cluster("one", 10, -5, redshift=0.16, cosmology="Planck15")
    >>> f"{luminosity(1e-13 * u.erg / u.cm**2 / u.s, cluster, kcorrection=1, absorbed=False):.3e}"
    '7.470e+42 erg / s'
    """
    redshift = of_kind(target, Target, "galaxy_cluster(...)").redshift
    if redshift is None:
        raise InvalidRecord(f"{target.name} has no redshift, so no distance: give redshift= to the target")
    area = 4 * math.pi * luminosity_distance_cm(target.cosmology, redshift) ** 2
    if hasattr(flux, "colnames"):
        return _of_table(flux, area, kcorrection, redshift)
    return u.Quantity(_in_flux_units(flux) * area * _of_value(kcorrection, redshift, absorbed), u.erg / u.s)


def _require_unabsorbed(is_unabsorbed: bool) -> None:
    if not is_unabsorbed:
        raise InvalidRecord(
            "a luminosity needs the unabsorbed flux, before the gas of our Galaxy: use a factor of absorbed=False"
        )


def _in_flux_units(flux: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(u.Quantity(flux).to_value(FLUX_UNIT), dtype=np.float64)
    except (u.UnitConversionError, TypeError, ValueError) as error:
        raise UnitMismatch(f"a flux must be in erg/cm2/s, got {flux!r}") from error


def _of_value(kcorrection: Any, redshift: float, absorbed: bool | None) -> float:
    if isinstance(kcorrection, Ecf):
        _require_unabsorbed(not (kcorrection.absorbed or absorbed))
        return _of_ecf(kcorrection, redshift)
    if absorbed is None:
        raise InvalidRecord("this flux does not say whether it is absorbed: give absorbed=False if it is not")
    _require_unabsorbed(not absorbed)
    return _number(kcorrection)


def _number(kcorrection: Any) -> float:
    if isinstance(kcorrection, bool) or not isinstance(kcorrection, Real) or not 0 < float(kcorrection) < math.inf:
        raise InvalidRecord(f"kcorrection must be an Ecf or a number above 0, 1 for none, got {kcorrection!r}")
    return float(kcorrection)


def _of_ecf(ecf: Ecf, redshift: float) -> float:
    spectrum = ecf.spectrum
    if isinstance(spectrum, Bremsstrahlung) and not math.isclose(spectrum.redshift, redshift, rel_tol=1e-6):
        raise InvalidRecord(
            f"the factor is of bremsstrahlung at redshift {spectrum.redshift:g}, and the target's is {redshift:g}: "
            f"make it with absorbed_bremsstrahlung(..., redshift={redshift:g})"
        )
    return k_correction(spectrum, ecf.band, redshift=redshift)


def _of_table(table: Any, area: float, kcorrection: Any, redshift: float) -> Any:
    from astropy.table import QTable

    names = [name for name in FLUX_COLUMNS if name in table.colnames]
    if not names or "flux_kind" not in table.colnames:
        raise ProductMissing("luminosity needs a table with fluxes: use fluxes(table, ecf=...) first")
    _require_unabsorbed(bool(np.all(texts_of(table, "flux_kind") == "unabsorbed")))
    result = QTable(table, copy=True)
    factor = area * _of_rows(table, kcorrection, redshift)
    for name in names:
        values = _in_flux_units(u.Quantity(result[name], getattr(result[name], "unit", None) or FLUX_UNIT))
        result[name.replace("flux", "luminosity")] = u.Quantity(values * factor, u.erg / u.s)
    return result


def _of_rows(table: Any, kcorrection: Any, redshift: float) -> NDArray[np.float64]:
    """Return the k-correction of each row, by its band."""
    if not isinstance(kcorrection, Ecf | Iterable):
        return np.full(len(table), _number(kcorrection))
    said = texts_of(table, "flux_spectrum") if "flux_spectrum" in table.colnames else np.full(len(table), "")
    by_band: dict[str, float] = {}
    spectra: dict[str, Any] = {}
    for ecf in ecfs_of(kcorrection):
        _require_unabsorbed(not ecf.absorbed)
        for text in band_texts(ecf.band):
            if spectra.setdefault(text, ecf.spectrum) != ecf.spectrum:
                raise InvalidRecord(f"factors of {text} are of several spectra: give one of them for the k-correction")
            by_band[text] = by_band.get(text) or _of_ecf(ecf, redshift)
    bands = texts_of(table, "band")
    for text, spectrum in dict.fromkeys(zip(map(str, bands), map(str, said), strict=True)):
        if text not in by_band:
            raise ProductMissing(f"no factor is of {text}, which a row has: give the one of its flux")
        if spectrum and spectrum != str(spectra[text]):
            raise InvalidRecord(
                f"a flux of {text} is of a {spectrum}, and its k-correction of a {spectra[text]}: give the factor of "
                "the flux"
            )
    return np.array([by_band[str(text)] for text in bands], dtype=np.float64)
