"""Energy conversion factors of the EPIC cameras: from the packaged tables, by name."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xphotfn.errors import InvalidRecord
from xphotfn.io.conversion_tables import factor_table, published_factors
from xphotfn.io.responses import read_responses
from xphotfn.records.band import Band
from xphotfn.records.ecf import Ecf, blocking_filter, said_absorbed
from xphotfn.records.fields import of_kind
from xphotfn.records.instrument import camera_name, instrument as camera_of
from xphotfn.records.spectrum import (
    Bremsstrahlung,
    PowerLaw,
    Spectrum,
    SpectrumTable,
    absorbed_power_law,
    spectrum_table,
)
from xphotfn.science.folding import counts_per_erg
from xphotfn.science.interpolation import bilinear, require_on_nodes
from xphotfn.typing import ColumnDensityLike

__all__ = ("CALIBRATION", "ecf_from_response", "power_law_ecf")

CALIBRATION = 0.04
"""Relative error of the effective area of one camera, from how the cameras differ (Read+ 2014, Mateos+ 2009)."""
PN_FLOOR_EV = 500
_SOFT_MOS = {2000: 0.06, 12000: 0.06, 500: 0.17}  # by the band's upper end, where it begins below 0.5 keV
_SOURCES = {
    "2xmm": "Mateos+ 2009, A&A 496, 879, table 1",
    "4xmm": "Rosen+ 2016, A&A 590, A1, and ESA's EPIC upper limits",
    None: "ecfxa 1.0 (Clear BSD), default epochs",
}
PUBLISHED = PowerLaw(gamma=1.7, nh_cm2=3e20)
Cell = tuple[str, str, Band]
_OWN = "fold your spectrum with the function ecf_from_response"


def power_law_ecf(
    instrument: str,
    *,
    filter: str,  # noqa: A002 (the field's word)
    band: Band,
    gamma: float,
    nh: ColumnDensityLike,
    absorbed: bool,
    table: Literal["2xmm", "4xmm"] | None = None,
) -> Ecf:
    """Return the counts that a power law of one erg/cm2/s gives in an EPIC camera.

    Parameters
    ----------
    instrument
        ``pn``, ``mos1``, ``mos2``, or another of their names.
    filter
        ``Thin1``, ``Thin2``, ``Thin``, ``Medium`` or ``Thick``.
    band
        Of rate and flux: 0.5-1, 1-2, 2-4.5, 4.5-12, 0.5-2, 2-10, 2-12 or 0.5-4.5 keV; of MOS 0.2-0.5, 0.2-2 and
        0.2-12 keV too.
    gamma
        Photon index, 1.4 to 2.2.
    nh
        Column density, 1e19 to 1e22 cm-2: a Quantity, or what :func:`column_density` returns.
    absorbed
        True for the flux that arrives, False for that before the absorption. It has no default: in 0.2-2 keV they are
        22 % apart at 3e20 cm-2.
    table
        ``4xmm`` or ``2xmm``: the published factors of those catalogues, of Gamma 1.7 and 3e20 cm-2 only (and ``2xmm``
        of the filter ``Open`` too), to the absorbed flux. Default: the table of ecfxa.

    Returns
    -------
    Ecf
        With ``systematic``: 4 % of calibration (17 % and 6 % where MOS begins at 0.2 keV), and the largest relative
        change of the factor over Gamma 1.4 to 2.2 of the table, in quadrature. If you know the spectrum better, say so
        with ``attrs.evolve(ecf, systematic=0.04)``.

    Raises
    ------
    InvalidRecord
        If a value lies outside the table (nothing is clamped), the band or filter is not in it, or ``absorbed`` is not
        said. For pn below 0.5 keV: those factors are of PATTERN 0, and images are of PATTERN 0 to 4.
    UnitMismatch
        If ``nh`` has no unit.

    Notes
    -----
    Linear in Gamma and log10 nH between the nodes of ecfxa. Effective areas are on axis, for the whole source: rates
    have to be exposure-corrected, and those of a point ``psf``-corrected. Factors of pn do not change with the epoch;
    those of MOS by 0.9 % above 0.5 keV, and much more below.

    References
    ----------
    Rosen et al. 2016, A&A 590, A1. Mateos et al. 2009, A&A 496, 879. ecfxa, https://github.com/ruizca/ecfxa.
    Read et al. 2014, A&A 564, A75, for the calibration.

    Examples
    --------
    >>> import astropy.units as u
    >>> from xphotfn.records.band import energy_band
    >>> soft = energy_band(0.5 * u.keV, 2 * u.keV)
    >>> ecf = power_law_ecf("pn", filter="Thin1", band=soft, gamma=1.7, nh=3e20 / u.cm**2, absorbed=True)
    >>> f"{ecf.value:.4g}, {ecf.systematic:.3f}"
    '6.851e+11 cm2 ct / erg, 0.048'
    """
    camera, kind = camera_of(instrument).name, said_absorbed(absorbed)
    name, of = _filter(filter, table), of_kind(band, Band, "energy_band(0.5*u.keV, 2*u.keV)").nominal
    cell, spectrum = (camera, name, of), absorbed_power_law(gamma=gamma, nh=nh)
    _require_honest(camera, of)
    values = _of_table(cell, spectrum, kind) if table is None else _published(table, cell, spectrum, kind)
    return Ecf(
        ct_cm2_per_erg=values[0], instrument=camera, filter=name, band=of, spectrum=spectrum, absorbed=kind,
        systematic=values[1], source=_SOURCES[table], patterns=f"0-{camera_of(camera).max_pattern}",
    )  # fmt: skip


def _filter(given: str, table: str | None) -> str:
    name = blocking_filter(given)
    if table not in _SOURCES:
        raise InvalidRecord(f"no table of factors is called {table!r}: use '4xmm' or '2xmm', or none for that of ecfxa")
    if name == "Closed":
        raise InvalidRecord(
            "with the filter Closed no light of the sky arrives: there is no factor; use another exposure"
        )
    if name == "Open" and table != "2xmm":
        raise InvalidRecord(f"no factors for the filter Open in this table: use table='2xmm', or {_OWN}")
    return name


def _require_honest(camera: str, band: Band) -> None:
    if camera == "pn" and band.lo_ev < PN_FLOOR_EV:
        raise InvalidRecord(
            f"no factor of pn for {band}: below 0.5 keV those that are known are of PATTERN 0, and images are of "
            f"PATTERN 0 to 4, whose rate is another; use a band from 0.5 keV, or {_OWN}"
        )


def _known(cells: Any, camera: str, name: str) -> str:
    bands = sorted({cell[2] for cell in cells if cell[:2] == (camera, name)}, key=lambda b: (b.lo_ev, b.hi_ev))
    return ", ".join(str(band) for band in bands)


def _published(table: str, cell: Cell, spectrum: PowerLaw, absorbed: bool) -> tuple[float, float]:
    """Return a published factor and its relative error, whose spread is that of the other table."""
    known = published_factors()[table]
    if cell not in known:
        raise InvalidRecord(_no_cell(cell, known))
    if not (spectrum.gamma == PUBLISHED.gamma and math.isclose(spectrum.nh_cm2, PUBLISHED.nh_cm2, rel_tol=1e-9)):
        raise InvalidRecord(
            f"the table {table} is of a {PUBLISHED} only, got Gamma {spectrum.gamma:g}, nH {spectrum.nh_cm2:g} cm-2: "
            "leave out table= for other spectra"
        )
    if not absorbed:
        raise InvalidRecord(f"the table {table} gives the absorbed flux only: leave out table= for absorbed=False")
    camera, name, band = cell
    like = (camera, "Thin" if name == "Open" else name, band)
    return known[cell], _of_table(like, spectrum, absorbed)[1]


def _no_cell(cell: Cell, known: Iterable[Cell]) -> str:
    camera, name, band = cell
    bands = sorted({of for *who, of in known if who == [camera, name]}, key=lambda of: (of.lo_ev, of.hi_ev))
    if not bands:
        return f"no factors of {camera} for the filter {name!r}: use one of Thin, Medium, Thick"
    return f"no factor of {camera} {name} for {band}: there are {', '.join(map(str, bands))}; for others {_OWN}"


def _of_table(cell: Cell, spectrum: PowerLaw, absorbed: bool) -> tuple[float, float]:
    """Return the factor of the packaged table and its relative error."""
    table = factor_table()
    if (cell, absorbed) not in table.factors:
        raise InvalidRecord(_no_cell(cell, [of for of, _ in table.factors]))
    require_on_nodes(spectrum.gamma, table.gamma, "the photon index", _OWN)
    log10_nh = math.log10(spectrum.nh_cm2) if spectrum.nh_cm2 > 0 else -math.inf
    if not table.log10_nh[0] <= log10_nh <= table.log10_nh[-1]:
        raise InvalidRecord(f"a column density must lie between 1e19 and 1e22 cm-2, got {spectrum.nh_cm2!r}: {_OWN}")
    values, nodes = table.factors[cell, absorbed], (table.log10_nh, table.gamma)
    value = bilinear(values, (log10_nh, spectrum.gamma), nodes)
    others = np.array([bilinear(values, (log10_nh, float(gamma)), nodes) for gamma in table.gamma])
    band = cell[2]
    calibration = _SOFT_MOS[band.hi_ev] if band.lo_ev < PN_FLOOR_EV else CALIBRATION
    return value, math.hypot(calibration, float(np.max(np.abs(others / value - 1))))


def ecf_from_response(
    spectrum: Spectrum | Sequence[Any],
    arf: str | Path,
    rmf: str | Path | None = None,
    *,
    band: Band,
    arf_includes: Iterable[str],
    absorbed: bool,
    patterns: str = "",
) -> Ecf:
    """Return the counts that a spectrum of one erg/cm2/s gives, by the response files of any telescope.

    Parameters
    ----------
    spectrum
        What :func:`absorbed_power_law`, :func:`absorbed_bremsstrahlung` or :func:`spectrum_table` returns, or a
        sequence of its three columns: lower and upper energies in keV and photons/cm2/s in each bin, as they arrive.
    arf
        OGIP file of the effective area.
    rmf
        OGIP file of the redistribution, on the same energies. Without it energies count as measured exactly: 0.5 to 1 %
        off above 0.5 keV for a CCD and a spectrum that is not much absorbed, and far off below.
    band
        Of counts and flux.
    arf_includes
        What the area holds beside the area on axis for the whole source: of ``vignetting`` and ``enclosed``, both as
        arfgen makes it of a source, ``()`` for none. It has no default: rates of maps are corrected for vignetting, and
        with ``psf`` for the enclosed fraction, and would be corrected twice.
    absorbed
        True for the flux that arrives, False for that before the absorption.
    patterns
        Event patterns of the response, such as ``0-4`` or ``0``: rows of others are refused. Not compared by default.

    Returns
    -------
    Ecf
        ``instrument`` and ``filter`` are those of the ARF. ``systematic`` is the 4 % of a camera's calibration only:
        the spectrum is taken to be known. Fold others, and give what they differ by with ``attrs.evolve``.

    Raises
    ------
    InvalidFile
        If a file is no ARF or RMF, or their energies differ.
    InvalidRecord
        If the area or a table leaves out part of the band, a table does not know its unabsorbed flux, or
        ``arf_includes`` or ``absorbed`` is not said.

    Notes
    -----
    ``sum A_i P_i N_i / int E N(E) dE``: area, part of the counts of energy i that is measured in the band, and photons.
    Channels at the band's ends count by their part. Channels are counted from TLMIN of F_CHAN, else as EBOUNDS begins.

    References
    ----------
    OGIP memos CAL/GEN/92-002 and 92-002a (response files). Morrison & McCammon 1983, ApJ 270, 119 (absorption).

    Examples
    --------
    >>> import astropy.units as u
    >>> from xphotfn.records.band import energy_band
    >>> ecf_from_response(
    ...     absorbed_power_law(gamma=1.7, nh=3e20 / u.cm**2), "no.arf", band=energy_band(0.5 * u.keV, 2 * u.keV),
    ...     arf_includes=(), absorbed=True,
    ... )
    Traceback (most recent call last):
    ...
    xphotfn.errors.InvalidFile: no.arf: there is no such file: check the path
    """
    kind, of = said_absorbed(absorbed), of_kind(band, Band, "energy_band(0.5*u.keV, 2*u.keV)").nominal
    model = spectrum if isinstance(spectrum, PowerLaw | Bremsstrahlung | SpectrumTable) else _columns(spectrum)
    files = read_responses(arf, rmf)
    if blocking_filter(files.filter) == "Closed":
        raise InvalidRecord(
            f"{Path(arf).name} is of the filter Closed, which passes no light of the sky: give the ARF of an exposure "
            "that sees it"
        )
    value = counts_per_erg(model, files.area, files.matrix, of, absorbed=kind)
    names = (name for name in (arf, rmf) if name is not None)
    return Ecf(
        ct_cm2_per_erg=value, instrument=camera_name(files.instrument), filter=files.filter, band=of, spectrum=model,
        absorbed=kind, systematic=CALIBRATION, source=" and ".join(Path(name).name for name in names),
        arf_includes=arf_includes, patterns=patterns,
    )  # fmt: skip


def _columns(spectrum: Any) -> SpectrumTable:
    try:
        lo, hi, photons = spectrum
    except (TypeError, ValueError) as error:
        raise InvalidRecord(
            "a spectrum is what absorbed_power_law, absorbed_bremsstrahlung or spectrum_table returns, or three "
            f"columns: lower and upper energies and photons/cm2/s, got {type(spectrum).__name__}"
        ) from error
    return spectrum_table(lo, hi, photons)
