"""Strategies for lists of sources."""

from typing import Any

from hypothesis import strategies as st

from xphotfn.records.source import DetectedObject, DetectedSource, MapRate, SearchedMap, SourceFlag
from xphotfn.records.source_list import SourceList
from xphotfn.testing.strategies.of_basics import CAMERAS, DIGESTS, EXPOSURE_IDS, NAME, OBS_IDS, WORD, one_of_kinds
from xphotfn.testing.strategies.of_regions import regions
from xphotfn.testing.strategies.of_sky import bands, positions

__all__ = ("detected_sources", "source_lists", "source_parts")

_SIZES = st.floats(0.0, 1e6, allow_subnormal=False)
_MAYBE = ("tied_ml", "counts", "counts_error", "rate", "rate_error", "nearest_arcsec", "x", "y")
_KNOWN = st.none() | _SIZES


@st.composite
def source_parts(draw: st.DrawFn, *, kind: str | None = None) -> Any:
    """Return a strategy for the parts of a list: ``map``, ``rate`` or ``object``; any of them if None.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(source_parts(kind="object"), lambda one: True).semi_minor_arcsec > 0
    True
    """
    makers = {"map": _maps, "rate": _rates, "object": _objects}
    return draw(makers[one_of_kinds(draw, kind, tuple(makers))]())


@st.composite
def _maps(draw: st.DrawFn) -> SearchedMap:
    parts: dict[str, Any] = {
        name: draw(_KNOWN) for name in ("vignetted", "vignetted_error", "flat", "flat_error")
    }  # fmt: skip
    parts["sensitivity"] = draw(st.none() | st.floats(0.1, 10))
    return SearchedMap(
        obs_id=draw(OBS_IDS), exposure_id=draw(EXPOSURE_IDS), instrument=draw(st.sampled_from(CAMERAS)),
        band=draw(bands()), pixel_arcsec=draw(st.floats(0.1, 10)), image=draw(DIGESTS), exposure=draw(DIGESTS),
        slow_arcmin=draw(st.none() | st.floats(1, 10)), excised_pix=draw(st.integers(0, 10**5)), **parts,
    )  # fmt: skip


@st.composite
def _rates(draw: st.DrawFn) -> MapRate:
    names = ("counts", "counts_error", "rate", "rate_error")
    sees = draw(st.booleans())  # the source; if not, neither counts nor rate are known
    said: dict[str, Any] = {name: draw(_SIZES) if sees else None for name in names}
    return MapRate(
        **said, exposure_s=draw(_SIZES) if sees else 0.0, background=draw(_SIZES),
        mask_fraction=draw(st.floats(0, 1)) if sees else 0.0,
        off_axis_arcmin=draw(_KNOWN), det_ml=draw(_KNOWN),
    )  # fmt: skip


@st.composite
def _objects(draw: st.DrawFn, sources: tuple[int, ...] | None = None) -> DetectedObject:
    (ra, dec), major = draw(positions()), draw(st.floats(1, 600))
    return DetectedObject(
        number=draw(st.integers(1, 9)), ra_deg=ra, dec_deg=dec, semi_major_arcsec=major,
        sources=sources or draw(st.lists(st.integers(1, 99), min_size=1, max_size=2, unique=True)),
        semi_minor_arcsec=major * draw(st.floats(0.1, 1)), position_angle_deg=draw(st.floats(0, 180)),
    )  # fmt: skip


@st.composite
def detected_sources(draw: st.DrawFn, *, number: int | None = None, maps: int | None = None) -> DetectedSource:
    """Return a strategy for sources, with rates in up to two maps, and any number in the list, if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(detected_sources())
    ... def test_extended_sources_have_an_extent(source):
    ...     assert source.extent_arcsec > 0 or not source.is_extended
    >>> test_extended_sources_have_an_extent()
    """
    ra, dec = draw(positions())
    known: dict[str, Any] = {name: draw(_KNOWN) for name in _MAYBE}
    extent: dict[str, Any] = {
        "extent_arcsec": draw(st.floats(6, 120)), "extent_error_arcsec": draw(st.floats(0, 9)),
        "extent_ml": draw(st.floats(4, 1e4)), "object_number": draw(st.integers(1, 9)),
    }  # fmt: skip
    count = draw(st.integers(0, 2)) if maps is None else maps
    return DetectedSource(
        number=number or draw(st.integers(1, 99)), ra_deg=ra, dec_deg=dec, position_error_arcsec=draw(st.floats(0, 20)),
        det_ml=draw(st.floats(5, 1e5)), flags=draw(st.integers(0, int(sum(SourceFlag)))),
        rates=[draw(_rates()) for _ in range(count)], name=draw(st.just("") | WORD),
        **known, **(extent if draw(st.booleans()) else {}),
    )  # fmt: skip


@st.composite
def source_lists(draw: st.DrawFn, *, rates: bool = True) -> SourceList:
    """Return a strategy for lists of sources, some of which were read and have no maps.

    Parameters
    ----------
    rates
        Whether the sources have a rate for each map.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(source_lists())
    ... def test_bands_are_those_of_maps(found):
    ...     assert len(found.bands) <= len(found.maps)
    >>> test_bands_are_those_of_maps()
    """
    maps = draw(st.lists(_maps(), max_size=2))
    sources = [
        draw(detected_sources(number=n + 1, maps=len(maps) if rates else 0)) for n in range(draw(st.integers(0, 3)))
    ]
    pieces = tuple(source.number for source in sources if source.is_extended)
    return SourceList(
        sources=sources, objects=[draw(_objects(sources=pieces))] if pieces else [], maps=maps,
        threshold=draw(st.none() | st.floats(5, 20)), extent=draw(st.booleans()), psf=draw(st.sampled_from(("epic",
        "own"))), within=draw(st.none() | regions()), expected_false=draw(_KNOWN), target=draw(st.none() | NAME),
        extended_fraction=draw(st.floats(0, 1)), origin=draw(st.sampled_from(("xphotfn", "emldetect", "4XMM"))),
        exposure_unit=draw(st.sampled_from(("s", "cm2 s"))),
    )  # fmt: skip
