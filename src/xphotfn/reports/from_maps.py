"""From maps that were given to the records that a report shows: one measurement for each map, no run behind them."""

from collections.abc import Iterable, Sequence
from typing import Any

from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.io.products import RateMap
from xphotfn.measure.aperture import region_words
from xphotfn.records.field import Field
from xphotfn.records.fields import one_or_several
from xphotfn.reports.from_run import Asked, aperture_if_known, band_report, centre_of, centred
from xphotfn.reports.page import RATE_UNITS
from xphotfn.reports.page_records import MapReport, TargetReport

__all__ = ("exposure_unit_of", "fields_with_maps", "report_of_maps")

_EXAMPLE = "rate_map(image, exposure_map, band=...)"


def fields_with_maps(maps: Any, fields: Any) -> list[tuple[Field, tuple[RateMap, ...]]]:
    """Return each field with its maps: those of its observations, and mosaics that bear its name or stand alone.

    Raises
    ------
    InvalidRecord
        If a field has no map, or a map no field.
    """
    if fields is None:
        raise InvalidRecord("a report of maps needs fields=: field_of_maps(target, maps)")
    given = one_or_several(maps, RateMap, _EXAMPLE)
    several = one_or_several(fields, Field, "field_of_maps(target, maps)")
    found = [(field, tuple(m for m in given if _is_of(m, field, len(several)))) for field in several]
    bare = next((field.name for field, own in found if not own), None)
    if bare is not None or not found:
        raise InvalidRecord(
            f"no map is of an observation of {bare or 'a field'}: give its maps, or leave it out of fields="
        )
    used = {id(m) for _, own in found for m in own}
    lost = next((m for m in given if id(m) not in used), None)
    if lost is not None:
        raise InvalidRecord(f"{lost} is of no observation of fields=: give field_of_maps(target, maps) of all maps")
    return found


def _is_of(rate_map: RateMap, field: Field, fields: int) -> bool:
    if rate_map.obs_id == "combined":
        return fields == 1 or rate_map.target == field.name
    return rate_map.obs_id in field.obs_ids


def exposure_unit_of(maps: Iterable[RateMap]) -> str:
    """Return the unit of the exposures of all maps, ``s`` or ``cm2 s``.

    Raises
    ------
    UnitMismatch
        If they differ: their rates would stand in one column.
    """
    units: list[str] = sorted({m.exposure.unit.to_string() for m in maps})
    if len(units) > 1:
        kinds = " and ".join(RATE_UNITS[unit] for unit in units)
        raise UnitMismatch(f"the maps give rates in {kinds}, which cannot stand in one table: make a report of each")
    return units[0]


def report_of_maps(field: Field, maps: Sequence[RateMap], slug: str, asked: Asked) -> TargetReport:
    """Return everything that is shown of one field on maps that were given, each measured by itself.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> shown = report_of_maps(example_field(), [example_rate_map()], "example", Asked())
    >>> [(b.combined.name, b.combined.measurement.value > 10) for b in shown.bands]
    [('0999990101 pn', True)]
    """
    centre = centre_of(maps, field, asked)
    measured = centred(field, centre, asked)
    return TargetReport(
        slug=slug,
        field=measured,
        region=region_words(asked.region_of(field)),
        aperture=aperture_if_known(field, asked),
        bands=[band_report(_unmeasured(m), measured, asked, centre) for m in maps],
        centre=None if asked.peak is False else centre,
        files=[pair for m in maps for pair in _files(m)],
    )


def _unmeasured(m: RateMap) -> MapReport:
    return MapReport(obs_id=m.obs_id, exposure_id=m.exposure_id, instrument=m.instrument, band=m.band, rate_map=m)


def _files(m: RateMap) -> list[tuple[str, str]]:
    """Return where image and exposure map of a map lie, with the number of the HDU where it is not the first."""
    parts = (("image", m.image), ("exposure map", m.exposure))
    return [
        (f"{m.obs_id} {m.instrument}, {m.band}: {words}", f"{part.path}[{part.hdu}]" if part.hdu else part.path)
        for words, part in parts
    ]
