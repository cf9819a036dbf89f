"""A list of sources, and its columns by the names of emldetect and of the 4XMM catalogue."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.html import Html, block, count, details, facts, table
from xphotfn.records.band import Band
from xphotfn.records.fields import (
    each_of,
    finite_or_none,
    finite_size,
    float_or_none,
    items,
    of_kind,
    one_of,
    plain_number,
    size_or_none,
    switch,
)
from xphotfn.records.flag_counts import flagged
from xphotfn.records.instrument import INSTRUMENTS
from xphotfn.records.region import Region
from xphotfn.records.source import FLAG_TEXTS, ORIGINS, DetectedObject, DetectedSource, MapRate, SearchedMap, plus_minus

__all__ = (
    "CAMERA_PREFIXES",
    "LARGEST_EXTENT",
    "MAP_FIELDS",
    "SOURCE_FIELDS",
    "SourceColumn",
    "SourceList",
    "diffuse_text",
    "map_prefixes",
    "source_columns",
    "source_table",
)

MOST_EXTENDED = 0.25  # part of the field above which extended objects may be one that fills it
LARGEST_EXTENT = 120.0  # arcsec, the largest core radius that is fitted
_MOST_AT_LARGEST = 2  # sources that wide; more may be pieces of light that fills the field
_FEW = 0.001  # false ones: fewer is as good as none
_ROWS = 15  # of sources in a notebook
_UNITS = {"s": {}, "cm2 s": {"ct / s": "ph / (s cm2)", "s": "cm2 s"}}  # of columns, where they are others, by exposure
_AT_LARGEST = 0.99  # of the largest, from which a source stands at it


@final
@frozen(kw_only=True, repr=False)
class SourceList:
    """The sources of a field, with what was searched and how.

    Parameters
    ----------
    sources
        In the order of their numbers.
    objects
        What the extended ones form.
    maps
        What was searched, in an order of their own (ObsID, exposure, instrument); empty of a list that was read.
    threshold
        Least likelihood of the list (:attr:`DetectedSource.likelihood`); None where it is not known.
    extent
        Whether extended sources were looked for.
    psf
        Name of the point spread function.
    within
        The region that was searched; None for all of the maps.
    expected_false
        How many of the sources are expected to be fluctuations of the background; None where it is not known.
    extended_fraction
        Part of the live pixels that extended objects cover.
    target
        Name of the target, where it is known.
    origin
        Who made it: one of :data:`ORIGINS`.
    exposure_unit
        Unit of the exposures, ``s``, or ``cm2 s`` of maps of area times time, whose rates are in photon/(cm2 s).

    Examples
    --------
    >>> source = DetectedSource(number=1, ra_deg=149.6, dec_deg=-11.1, position_error_arcsec=1.2, det_ml=25)
    >>> found = SourceList(sources=[source], threshold=10)
    >>> len(found), found[0].det_ml, print(found)
    1 source of likelihood >= 10: 1 point, 0 extended
    (1, 25.0, None)
    """

    sources: tuple[DetectedSource, ...] = field(converter=items, validator=each_of(DetectedSource))
    objects: tuple[DetectedObject, ...] = field(default=(), converter=items, validator=each_of(DetectedObject))
    maps: tuple[SearchedMap, ...] = field(default=(), converter=items, validator=each_of(SearchedMap))
    threshold: float | None = field(default=None, converter=float_or_none, validator=finite_or_none)
    extent: bool = field(default=True, validator=switch)
    psf: str = "epic"
    within: Region | None = None
    expected_false: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    extended_fraction: float = field(default=0.0, converter=plain_number, validator=finite_size)
    target: str | None = None
    origin: str = field(default="xphotfn", validator=one_of(*ORIGINS))
    exposure_unit: str = field(default="s", validator=one_of(*_UNITS))

    def __attrs_post_init__(self) -> None:
        if self.within is not None:
            of_kind(self.within, Region, "read_regions(path)")
        for name, parts in (("sources", self.sources), ("objects", self.objects)):
            if len({item.number for item in parts}) != len(parts):
                raise InvalidRecord(f"SourceList.{name} must have numbers of their own, got one twice")
        there = {source.number for source in self.sources}
        lost = next((o for o in self.objects if not there.issuperset(o.sources)), None)
        if lost is not None:
            raise InvalidRecord(
                f"SourceList.objects must name sources of the list, object {lost.number} names "
                f"{', '.join(str(n) for n in lost.sources if n not in there)}: give the objects that are left, objects="
            )
        wrong = next((s for s in self.sources if s.rates and len(s.rates) != len(self.maps)), None)
        if wrong is not None:
            raise InvalidRecord(
                f"SourceList.sources must have a rate for each of {len(self.maps)} maps, source {wrong.number} has "
                f"{len(wrong.rates)}"
            )

    def __repr__(self) -> str:
        objects = count(len(self.objects), "object")
        return f"SourceList({count(len(self), 'source')}, {objects}, threshold={self.threshold})"

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[DetectedSource]:
        return iter(self.sources)

    def __getitem__(self, index: int) -> DetectedSource:
        return self.sources[index]

    @property
    def points(self) -> tuple[DetectedSource, ...]:
        """The sources without an extent."""
        return tuple(source for source in self.sources if not source.is_extended)

    @property
    def extended(self) -> tuple[DetectedSource, ...]:
        """The sources with an extent."""
        return tuple(source for source in self.sources if source.is_extended)

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands of the maps, each once."""
        return tuple(dict.fromkeys(searched.band for searched in self.maps))

    @property
    def obs_ids(self) -> tuple[str, ...]:
        """The observations of the maps, each once."""
        return tuple(dict.fromkeys(searched.obs_id for searched in self.maps))

    @property
    def is_diffuse(self) -> bool:
        """Whether extended sources may be pieces of light that fills the field: they cover much of it, or are too wide.

        That is more than 25 % of it, or three or more stand at the largest core radius of a search, 120 arcsec.
        """
        return self.extended_fraction > MOST_EXTENDED or _widest(self) > _MOST_AT_LARGEST

    def table(self) -> Any:
        """Return the list as an astropy Table, with the columns of emldetect and 4XMM: :func:`source_columns`."""
        return source_table(self)

    def __str__(self) -> str:
        limit = "" if self.threshold is None else f" of likelihood >= {self.threshold:g}"
        chance = self.expected_false
        rounded = f"about {chance:.2g}" if (chance or 0) >= _FEW else f"fewer than {_FEW:g}"
        false = "" if chance is None else f"; {rounded} of them expected to be false"
        parts = f"{count(len(self.points), 'point')}, {len(self.extended)} extended"
        objects = f" in {count(len(self.objects), 'object')}" if self.objects else ""
        return f"{count(len(self.sources), 'source')}{limit}: {parts}{objects}{false}{flagged(self.sources)}"

    def _repr_html_(self) -> str:
        maps = ", ".join(dict.fromkeys(f"{m.obs_id} {m.instrument} {m.exposure_id}".strip() for m in self.maps))
        rows = [
            ("Target", self.target),
            ("Maps", maps),
            ("Band", ", ".join(map(str, self.bands))),
            ("Point spread function", self.psf if self.origin == "xphotfn" else self.origin),
            ("Extended objects cover", f"{100 * self.extended_fraction:.0f} % of the field" if self.is_diffuse else ""),
        ]
        rate = _UNITS[self.exposure_unit].get("ct / s", "ct/s")
        head = ("Source", "RA, Dec (deg)", "Error", "Counts", f"Rate ({rate})", "DET_ML", "Extent", "Flags")
        shown = table([_row(source) for source in self.sources[:_ROWS]], head, total=len(self.sources))
        return block(self.__str__(), facts(rows), *([details("Sources", Html(shown))] if self.sources else []))


CAMERA_PREFIXES: Mapping[str, str] = {camera.name: camera.pps_name for camera in INSTRUMENTS}


class SourceColumn(NamedTuple):
    """A column: its values, one for each source, its unit ("" for none) and what it is."""

    values: NDArray[Any]
    unit: str
    text: str


class _Kind(NamedTuple):
    value: str | Callable[[Any], Any]  # a field of the record, or what is made of it
    unit: str
    text: str


_PIXEL = "of the first image, from 1 as in FITS"
_OF_SOURCES: dict[str, _Kind] = {
    "ID_SRC": _Kind("number", "", "number of the source"),
    "RA": _Kind("ra_deg", "deg", "right ascension"),
    "DEC": _Kind("dec_deg", "deg", "declination"),
    "RADEC_ERR": _Kind("position_error_arcsec", "arcsec", "error of the position, RA and Dec combined"),
    "X_IMA": _Kind("x", "pixel", f"position along x, {_PIXEL}"),
    "Y_IMA": _Kind("y", "pixel", f"position along y, {_PIXEL}"),
    "SCTS": _Kind("counts", "ct", "counts of the source in the maps that see 15 % of its light or more"),
    "SCTS_ERR": _Kind("counts_error", "ct", "their error"),
    "RATE": _Kind("rate", "ct / s", "sum of the rates of the cameras that see 15 % of its light or more"),
    "RATE_ERR": _Kind("rate_error", "ct / s", "its error"),
    "DET_ML": _Kind("det_ml", "", "likelihood of detection, with a rate for each camera"),
    "TIED_ML": _Kind("tied_ml", "", "likelihood of detection, with the cameras of an observation tied"),
    "EXT": _Kind("extent_arcsec", "arcsec", "core radius of the beta model; 0 of a point source"),
    "EXT_ERR": _Kind("extent_error_arcsec", "arcsec", "its error"),
    "EXT_ML": _Kind("extent_ml", "", "likelihood of extent"),
    "BG_MAP": _Kind(lambda s: _sum(s, "background"), "ct / pixel", "background at the source, sum of all maps"),
    "EXP_MAP": _Kind(lambda s: _sum(s, "exposure_s"), "s", "vignetted exposure at the source, sum of all maps"),
    "OFFAX": _Kind(lambda s: _end(min, s, "off_axis_arcmin"), "arcmin", "distance from the optical axis, the least"),
    "MASKFRAC": _Kind(
        lambda s: _end(max, s, "mask_fraction"), "", "part of its light on live pixels, most of all maps"
    ),
    "DIST_NN": _Kind("nearest_arcsec", "arcsec", "distance of the nearest other source"),
    "ID_CLUSTER": _Kind("object_number", "", "object that it is a piece of, 0 for none"),
}
_OF_MAPS: dict[str, _Kind] = {
    "CTS": _Kind("counts", "ct", "counts of the source"),
    "CTS_ERR": _Kind("counts_error", "ct", "their error"),
    "RATE": _Kind("rate", "ct / s", "rate"),
    "RATE_ERR": _Kind("rate_error", "ct / s", "its error"),
    "DET_ML": _Kind("det_ml", "", "likelihood of detection in this map alone"),
    "BG": _Kind("background", "ct / pixel", "background at the source"),
    "EXP": _Kind("exposure_s", "s", "vignetted exposure at the source"),
    "OFFAX": _Kind("off_axis_arcmin", "arcmin", "distance from the optical axis"),
    "MASKFRAC": _Kind("mask_fraction", "", "part of its light on live pixels"),
}
SOURCE_FIELDS = {name: kind.value for name, kind in _OF_SOURCES.items() if isinstance(kind.value, str)}
"""The columns that are fields of a source, and their names."""
MAP_FIELDS = {name: kind.value for name, kind in _OF_MAPS.items() if isinstance(kind.value, str)}
"""The columns, without their prefix, that are fields of a rate."""
_WHOLE, _FROM_ONE = ("ID_SRC", "ID_CLUSTER"), ("X_IMA", "Y_IMA")  # pixels count from 1 in files, from 0 in records


def source_columns(sources: SourceList) -> dict[str, SourceColumn]:
    """Return the columns of a list by their names.

    Parameters
    ----------
    sources
        The list.

    Returns
    -------
    dict of str to SourceColumn
        Values of shape (number of sources,); NaN where something is not known. ID_SRC, RA, DEC, RADEC_ERR, X_IMA,
        Y_IMA, SCTS, RATE, DET_ML, TIED_ML, EXT, EXT_ML, BG_MAP, EXP_MAP, OFFAX, MASKFRAC, DIST_NN, ID_CLUSTER, errors
        of those that have them, then CTS, RATE, DET_ML, BG, EXP, OFFAX and MASKFRAC for each map with the prefix of its
        camera (``PN_``, ``M1_``, ``M2_``; with the ObsID, and the exposure, where the camera alone does not tell), then
        FLAG and FLAGS, and IAUNAME where the sources have names. Units are those of the exposure maps.

    References
    ----------
    XMM-Newton SAS, emldetect, columns of the output table; 4XMM, description of the columns.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_source_list
    >>> columns = source_columns(example_source_list())
    >>> columns["RADEC_ERR"].values.tolist(), columns["RADEC_ERR"].unit, columns["PN_RATE"].unit
    ([0.4, 1.1, 1.6], 'arcsec', 'ct / s')
    """
    units = _UNITS[sources.exposure_unit]
    columns = {name: _column(name, kind, sources.sources, units) for name, kind in _OF_SOURCES.items()}
    for index, prefix in enumerate(map_prefixes(sources.maps)):
        rates = [source.rates[index] if source.rates else None for source in sources.sources]
        for name, kind in _OF_MAPS.items():
            columns[f"{prefix}_{name}"] = _column(name, kind, rates, units)
    bits = "; ".join(f"{int(flag)} {text}" for flag, text in FLAG_TEXTS.items())
    flags = [source.flags for source in sources.sources]
    columns["FLAG"] = SourceColumn(np.array(flags, dtype=np.int64), "", f"0, or a sum of: {bits}")
    columns["FLAGS"] = SourceColumn(_texts([",".join(s.flag_names) for s in sources.sources]), "", "the flags by name")
    if any(source.name for source in sources.sources):
        columns["IAUNAME"] = SourceColumn(_texts([s.name for s in sources.sources]), "", "name in a catalogue")
    return columns


def source_table(sources: SourceList) -> Any:
    """Return a list as an astropy Table: :func:`source_columns` with units; what was searched and how as ``meta``."""
    from astropy.table import Column, Table

    columns = [
        Column(column.values, name=name, unit=column.unit or None, description=column.text)
        for name, column in source_columns(sources).items()
    ]
    return Table(columns, meta=_meta(sources))


def _widest(sources: SourceList) -> int:
    """Return how many sources stand at the largest extent."""
    return sum(source.extent_arcsec >= _AT_LARGEST * LARGEST_EXTENT for source in sources.sources)


def diffuse_text(sources: SourceList) -> str:
    """Return why the extended sources of a list may be pieces of light that fills the field.

    Examples
    --------
    >>> diffuse_text(SourceList(sources=(), extended_fraction=0.5))
    'extended sources cover 50 % of the field'
    """
    covered = f"extended sources cover {100 * sources.extended_fraction:.0f} % of the field"
    if _widest(sources) <= _MOST_AT_LARGEST:
        return covered
    return (
        f"{covered} and {_widest(sources)} of them stand at the largest extent of a search, {LARGEST_EXTENT:g} arcsec"
    )


def _meta(sources: SourceList) -> dict[str, Any]:
    known = {
        "EXTNAME": "SRCLIST",
        "CREATOR": sources.origin,
        "OBJECT": sources.target,
        "MLMIN": sources.threshold,
        "EXTENDED": sources.extent,
        "PSF": sources.psf,
        "EXPFALSE": sources.expected_false,
        "EXTFRAC": sources.extended_fraction,
        "BANDS": " ".join(f"{band.lo_ev}-{band.hi_ev}" for band in sources.bands) or None,
        "OBSIDS": " ".join(sources.obs_ids) or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _column(name: str, kind: _Kind, owners: Any, units: Mapping[str, str]) -> SourceColumn:
    value, unit = kind.value, units.get(kind.unit, kind.unit)
    values = [None if o is None else getattr(o, value) if isinstance(value, str) else value(o) for o in owners]
    if name in _WHOLE:
        return SourceColumn(np.array(values, dtype=np.int64), unit, kind.text)
    numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return SourceColumn(numbers + 1 if name in _FROM_ONE else numbers, unit, kind.text)


def _texts(values: list[str]) -> NDArray[Any]:
    return np.array(values, dtype=f"U{max([1, *map(len, values)])}")


def map_prefixes(maps: Sequence[SearchedMap]) -> list[str]:
    """Return a prefix for each map: the camera, with as much more as tells it from the others."""
    cameras = [CAMERA_PREFIXES.get(m.instrument, m.instrument.upper()) for m in maps]
    forms = (
        cameras,
        [f"{camera}_{m.obs_id}" for camera, m in zip(cameras, maps, strict=True)],
        [f"{camera}_{m.obs_id}_{m.exposure_id}" for camera, m in zip(cameras, maps, strict=True)],
        [
            f"{camera}_{m.obs_id}_{m.exposure_id}_{m.band.lo_ev}_{m.band.hi_ev}"
            for camera, m in zip(cameras, maps, strict=True)
        ],
    )
    numbered = [f"{camera}_{index + 1}" for index, camera in enumerate(cameras)]
    return next((form for form in forms if len(set(form)) == len(form)), numbered)


def _known(source: DetectedSource, name: str) -> list[float]:
    rates: tuple[MapRate, ...] = source.rates
    return [value for value in (getattr(rate, name) for rate in rates) if value is not None]


def _sum(source: DetectedSource, name: str) -> float | None:
    return sum(_known(source, name)) if source.rates else None


def _end(of: Callable[..., float | None], source: DetectedSource, name: str) -> float | None:
    return of(_known(source, name), default=None)


def _row(source: DetectedSource) -> tuple[Any, ...]:
    extent = plus_minus(source.extent_arcsec, source.extent_error_arcsec, ".1f") if source.is_extended else "point"
    return (
        source.name or source.number,
        f"{source.ra_deg:.5f}, {source.dec_deg:.5f}",
        f'{source.position_error_arcsec:.1f}"',
        plus_minus(source.counts, source.counts_error, ".0f"),
        plus_minus(source.rate, source.rate_error, ".2g"),
        f"{source.det_ml:.1f}",
        extent,
        ", ".join(source.flag_names),
    )
