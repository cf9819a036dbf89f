"""How the rates of several cameras become one: relative responses, or energy conversion factors, which give fluxes."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ProductMissing, UnitMismatch
from xphotfn.measure.factors import FLUX_COLUMNS, RATE_COLUMNS, RowFactors, factors_of_rows
from xphotfn.measure.fluxes import with_enclosed
from xphotfn.measure.photometry.joint_rows import exposure_unit_of, texts_of
from xphotfn.records.ecf import ECF_UNIT, FLUX_UNIT

__all__ = ("FLUX_UNITS", "Response", "as_fluxes", "response_of")

Floats = NDArray[np.float64]
FLUX_UNITS = {**dict.fromkeys(FLUX_COLUMNS, FLUX_UNIT), "exposure": ECF_UNIT * u.s}


class Response(NamedTuple):
    """What the exposure of each row is multiplied with; with ``factors``, a flux is the joint rate over ``scale``."""

    relative: Floats
    scale: float = 1.0
    factors: RowFactors | None = None


def response_of(table: Any, response: Any) -> Response:
    """Return the response of each row.

    Raises
    ------
    ProductMissing
        If a camera of the table has none.
    InvalidRecord
        If numbers are not above 0, are relative to no camera, or as those of :func:`factors_of_rows`.
    UnitMismatch
        If the exposures of a table with factors are not in s.
    """
    if response is None:
        return Response(np.ones(len(table)))
    if not (isinstance(response, Mapping) and all(isinstance(value, Real) for value in response.values())):
        if exposure_unit_of(table) != u.s:
            raise UnitMismatch(
                "with exposures in cm2 s rates are photon fluxes already, and a factor would count the area twice: "
                "make the maps in s"
            )
        factors = factors_of_rows(table, response)
        scale = float(np.max(factors.values, initial=0.0)) or 1.0
        return Response(factors.values / scale, scale, factors)
    return Response(_relative(texts_of(table, "instrument"), response))


def _relative(cameras: NDArray[np.str_], response: Mapping[str, float]) -> Floats:
    result = np.ones(cameras.size)
    for camera in np.unique(cameras):
        value = response.get(str(camera))
        if value is None:
            raise ProductMissing(f"response has no {camera}: give the count rate of every camera in the table")
        if not 0 < float(value) < np.inf:
            raise InvalidRecord(f"the response of {camera} must be finite and above 0, got {value!r}")
        result[cameras == camera] = float(value)
    if not any(float(value) == 1 for value in response.values()):
        raise InvalidRecord(
            f"a response is relative to a camera whose own is 1, got {dict(response)}: divide all by that of the "
            "camera in whose rate the result is wanted; for fluxes give Ecf records, as power_law_ecf returns them"
        )
    return result


def as_fluxes(
    columns: Mapping[str, Any], response: Response, table: Any, rows: tuple[NDArray[np.bool_], NDArray[np.intp]]
) -> dict[str, Any]:
    """Return the columns of a joint table with fluxes for its rates.

    The systematic of a joint flux is the largest of its rows: how those of several cameras go together is not known,
    and no weighted mean is further off than the worst of what it is of.
    """
    factors = response.factors
    if factors is None:
        return dict(columns)
    new = dict(zip(RATE_COLUMNS, FLUX_COLUMNS, strict=True))
    result = {new.get(name, name): v / response.scale if name in new else v for name, v in columns.items()}
    result["exposure"] = columns["exposure"] * response.scale
    used, group = rows
    first = _of_one_spectrum(factors, table, group)
    systematic = np.full(len(columns["position"]), np.nan)
    np.fmax.at(systematic, group[used], with_enclosed(table, factors.systematic)[used])
    said = {"flux_kind": np.full(systematic.size, factors.kind, dtype="<U10"), "flux_spectrum": factors.spectrum[first]}
    return {**result, "flux_systematic": systematic, **said}


def _of_one_spectrum(factors: RowFactors, table: Any, group: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first row of each group; factors of several spectra in one are refused, their fluxes are no one."""
    spectra = [ecf.spectrum for ecf in factors.used]
    number = np.array([spectra.index(spectrum) for spectrum in spectra], dtype=np.intp)[factors.of_row]
    _, first = np.unique(group, return_index=True)
    for row in np.flatnonzero(number != number[first][group])[:1]:
        one, other = spectra[number[first[group[row]]]], spectra[number[row]]
        raise InvalidRecord(
            f"position {table['position'][row]} joins factors of several spectra, {one} and {other}: one flux is of "
            "one spectrum; make all factors with it"
        )
    return np.asarray(first, dtype=np.intp)
