"""Photometry of many positions on many maps: counts, rates, intervals, significances, limits and flags as a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np

from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.io.exposure_units import one_unit
from xphotfn.io.products import RateMap
from xphotfn.measure.background_weights import weights_of_maps
from xphotfn.measure.map_facts import patterns_of, vignetting_of
from xphotfn.measure.photometry.circles import SkyPositions, crowded, part_of, sky_of
from xphotfn.measure.photometry.columns import (
    RATE_OF,
    ApertureFlag,
    Rules,
    columns_of,
    needs_weights,
    units_of,
)
from xphotfn.measure.photometry.crowding import in_the_ring, under_wings
from xphotfn.measure.photometry.neighbours import Patch, circles_of, other_sources, patches
from xphotfn.measure.photometry.spread import light_of, wings_arcsec
from xphotfn.measure.photometry.sums import Frame, Measured, joined, map_arrays, measured_maps
from xphotfn.measure.photometry.together import solved_together
from xphotfn.records.field import Field
from xphotfn.records.region import Region
from xphotfn.science.discs import OVERLAPS, Overlap
from xphotfn.science.intervals import ONE_SIGMA
from xphotfn.science.king import EPIC_KING
from xphotfn.science.light import LIGHTS, Light
from xphotfn.science.significance import FOR_FEW_COUNTS
from xphotfn.science.snr_methods import DEFAULT_METHOD, Method
from xphotfn.science.spreads import PsfLike
from xphotfn.typing import PositionsLike, RadiiLike, TableLike, WeightsLike

__all__ = ("ApertureFlag", "photometry")

MAPS = 8  # maps that are summed together
WIDEST_POINT_DEG = 1.0  # radius of a circle around a point source; no profile is known so far out


class _Request(NamedTuple):
    sky: SkyPositions
    field: Field | None
    circles: tuple[Region, ...]
    psf: Any
    rules: Rules
    together: bool


def photometry(
    rate_map_or_maps: RateMap | Iterable[RateMap],
    positions: PositionsLike | TableLike,
    radius: RadiiLike,
    *,
    background: tuple[Any, Any] | None = None,
    field: Field | None = None,
    neighbours: RadiiLike | Iterable[Region] | None = None,
    overlap: Overlap = "centre",
    psf: PsfLike | None = None,
    light: Light | None = None,
    background_weights: WeightsLike | None = None,
    confidence: float = ONE_SIGMA,
    limit_confidence: float = 0.95,
    method: str | Method = DEFAULT_METHOD,
) -> Any:
    """Measure every position on every map.

    Parameters
    ----------
    rate_map_or_maps
        One rate map or several, of any observations, cameras and bands.
    positions
        Quantity ``[ra, dec]`` or of shape (N, 2) in degrees (any angle), a SkyCoord, anything with a ``position``, or a
        table (astropy, pandas) with columns ``ra`` and ``dec`` in degrees or one SkyCoord column. The other columns of
        a table are carried to the result; one whose name is taken there becomes ``input_<name>``.
    radius
        Radius of the circle: an angle, one for all or one for each position; kpc where ``field`` has a redshift.
    background
        Edges of the background ring, both as factors of the radius or both as Quantities; outside the circle.
        Default: beyond the wings of a point source, 1.05 to 1.5 radii and at least 60 to 90 arcsec
        (:func:`~xphotfn.science.rings.background_ring`; of a profile of one's own, the radius of 92 % of its light and
        1.5 times it). ``RING`` in the meta says which.
    field
        Its regions are other sources: removed from circle and ring, and counted as masked, but for those that hold the
        position itself: where those are of several sources, the flag ``NEIGHBOURS`` says so. The regions of its target
        count as one, that holds the field's centre too.
    neighbours
        Further sources to remove in the same way: ``"positions"``, the circles of all other positions; a radius (one,
        or one for each position) of circles around them, such as one that holds their wings; or regions in degrees.
        ``"together"`` removes nothing: with ``psf`` the rates of positions whose light reaches into each other's
        circles and rings are solved together.
    overlap
        ``centre``: a pixel belongs when its centre does, as in :func:`source_mask`. ``exact``: sums by the area inside.
    psf
        None: rate, interval and limit are those of the light in the whole circle (``light``). ``"epic"``: they are
        those of the whole point source, by the published profile of each map's camera; or a profile of one's own: an
        :class:`EncircledEnergyTable` (of an image: its ``from_image``), a ``KingModel``, or a dict of these by camera.
    light
        Without ``psf``, where the light lies in the circle: ``rings`` (default), anyhow with the distance from the
        position, as of a cluster; ``flat``, evenly.
    background_weights
        What the background of each pixel is proportional to, one image of the map's shape (or an exposure map) for each
        map, or a function of the map that returns it, such as :func:`weights_by_map` makes. Default: the exposure, for
        a background that is vignetted like the source. :func:`background_weights` makes
        that of a background vignetted in part.
    confidence, limit_confidence
        Two-sided probability of the interval ``rate_low`` to ``rate_high``; one-sided one of ``upper_limit``.
    method
        Definition of the significance: ``mid-p`` (default) or another that holds for few counts.

    Returns
    -------
    QTable
        One row for each position and map, all positions of the first map first. ``position`` counts from 0. ``rate``
        is signed and, like interval and limit, of what ``rate_of`` says: the whole ``aperture``, or with ``psf`` the
        whole ``source``. ``effective_exposure`` is what ``net_counts`` are divided by for it.
        ``flags`` is a sum of :class:`ApertureFlag`, listed in the meta (``FLAG1`` and so on). Without live pixel all
        measured columns are NaN; without background, those that need it. ``exposure_unit`` is s or cm2 s in words, for
        files that keep no units. ``psf`` adds ``enclosed_fraction``, ``ring_fraction``,
        ``enclosed_systematic`` and ``off_axis``.

    Raises
    ------
    ProductMissing, UnitMismatch, ShapeMismatch
        If there is no rate map, exposure maps have an unknown unit or several, or positions, radii or weights have a
        wrong unit or shape.
    InvalidRecord
        If radii or probabilities break their rules, a position is none of the sky, there is no profile for a camera, or
        an image does not hold whole counts: a resampled mosaic has no Poisson statistics; measure the single maps and
        join them.

    Notes
    -----
    ``net = N - alpha B`` with ``alpha = sum_circle W / sum_ring W`` over live pixels, W the ``background_weights``.
    Interval and limit are those of :func:`on_off_interval` and :func:`upper_limit_on_off` over the effective exposure;
    they are flat-prior posteriors of a rate of at least 0, so a negative ``rate`` lies below its interval.

    Without ``psf`` the rate is ``sum w_i net_i`` over rings around the position, ``w_i`` the area of the whole ring
    over the exposure summed on its live pixels (:mod:`xphotfn.science.light`): right for light that depends on the
    distance, at any number of counts. Gaps, masks and the image's border are filled ring by ring, but a peak in a gap
    is lost, which the flag ``CORE`` tells. Interval and limit are those of ``N/d`` and ``B/d`` counts with
    ``d = dispersion``, the variance of the weighted counts over that of as many single ones.
    ``effective_exposure`` is ``net/rate`` where the net counts are significant and goes over to
    that of even light, ``sum E / area``, where they are not. ``light="flat"`` takes that everywhere: right for even
    light only, 5 to 25 % too high a rate for a cluster on axis. The flag ``UNEVEN`` says where the two differ by more
    than half the error and the exposure of the rings by more than 5 %.

    With ``psf`` a source of rate s gives ``s E f`` counts in the circle and ``s E g`` in the ring, so
    ``rate = net / [E (f - alpha g)]``, and the posteriors take f and g. ``f = enclosed_fraction`` is the light on
    *live* pixels, each weighed with its exposure: ``f E = F(r) sum E_i p_i / sum p_i``, p the profile, F the fraction
    of a circle of the same area. A gap through the centre takes more than one at the rim. ``g = ring_fraction`` takes
    the light of the ring as spread evenly over it. The profile is that of :func:`encircled_energy` at the geometric
    mean of the band's ends and at the angle from the pointing (RA_PNT, DEC_PNT). ``enclosed_systematic`` is the
    relative error of the profile; it is in no interval. Counts, ratio and significance stay those of the pixels.

    Statistics always use whole counts, of pixels whose centre lies inside. With ``overlap="exact"`` counts, rates,
    areas and exposures are exact sums, while significance, interval and limit stay those of the pixel-centre
    circle, which is added in columns ``centre_counts``, ``centre_background``, ``centre_alpha`` and so on; an interval
    that does not hold the exact rate is stretched to it, with the flag ``PIXELS``.
    ``area = live_area + masked + the rest (gap, off the image)``; ``masked_fraction`` is the part of the area with
    exposure under interlopers. ``exposure_min`` is over live pixels whose centre lies inside.

    On a terminal a call of more than two seconds shows its progress; TQDM_DISABLE=1 turns that off.

    References
    ----------
    Those of :func:`on_off_interval`, :func:`mid_p_significance` and :func:`encircled_energy`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> table = photometry(example_rate_map(), example_field().target, 30 * u.arcsec, background=(1.5, 3))
    >>> float(table["significance"][0]) > 30, ApertureFlag(int(table["flags"][0]))
    (True, <ApertureFlag: 0>)
    """
    maps = _rate_maps(rate_map_or_maps)
    rules = _rules((overlap, _light(light, psf), method), confidence, limit_confidence)
    weights = weights_of_maps(background_weights, maps)
    unit = one_unit((m.exposure.unit for m in maps), "one table of photometry")
    sky = sky_of(positions, radius, background, field, lambda ra, dec: wings_arcsec(psf, maps, ra, dec))
    if psf is not None and np.any(sky.radius > WIDEST_POINT_DEG):
        raise InvalidRecord(f"psf= takes radii of at most {WIDEST_POINT_DEG:g} deg, got {radius}: leave out psf")
    near, tables, words = crowded(sky), {}, np.full(sky.ra.size, str(unit))
    together = isinstance(neighbours, str) and neighbours == "together"
    if together and (psf is None or overlap != "centre"):
        raise InvalidRecord('neighbours="together" needs psf=, which says how light spreads, and overlap="centre"')
    request = _Request(sky, field, circles_of(None if together else neighbours, sky), psf, rules, together)
    with _progress(sky.ra.size * len(maps)) as tell:
        for group in _groups(maps):
            found = _columns_of_group([maps[n] for n in group], [weights[n] for n in group], request, tell)
            for number, columns in zip(group, found, strict=True):
                columns["flags"] |= near * np.int32(ApertureFlag.NEIGHBOURS)
                if weights[number] is None:
                    columns["flags"] += needs_weights(columns) * int(ApertureFlag.VIGNETTING)
                tables[number] = {**_names(maps[number], sky), **columns, "exposure_unit": words}
    table = _table([tables[number] for number in range(len(maps))], sky, rules, psf, units_of(unit))
    table.meta["RING"] = _ring_words(background, sky)
    return table


def _ring_words(background: tuple[Any, Any] | None, sky: SkyPositions) -> str:
    """Say which ring was used, for the table's meta."""
    if background is not None:
        return f"given, {background[0]} to {background[1]}"
    if not sky.inner.size:
        return "beyond the wings"
    inner, outer = ((3600 * np.nanmin(v), 3600 * np.nanmax(v)) for v in (sky.inner, sky.outer))
    ends = " to ".join(f"{low:.1f}" if high - low < 0.05 else f"{low:.1f}-{high:.1f}" for low, high in (inner, outer))
    return f"beyond the wings, {ends} arcsec"


def _rate_maps(given: Any) -> tuple[RateMap, ...]:
    try:
        maps = (given,) if isinstance(given, RateMap) else tuple(given)
    except TypeError as error:
        raise ProductMissing(f"photometry needs rate maps (counts and exposure), got {type(given).__name__}") from error
    if not maps:
        raise ProductMissing("no map to measure: rate_maps(run) gave none; see describe(plan)")
    for item in (m for m in maps if not isinstance(m, RateMap)):
        raise ProductMissing(f"photometry needs rate maps (counts and exposure), got {type(item).__name__}")
    return maps


def _light(light: Light | None, psf: Any) -> Light:
    if light is None:
        return "rings"
    if light not in LIGHTS:
        raise InvalidRecord(f"no light is called {light!r}: use {' or '.join(LIGHTS)}, or psf= for a point source")
    if psf is not None:
        raise InvalidRecord(f"psf= says that the light is that of a point: leave out light={light!r}, or psf")
    return light


def _rules(how: tuple[Overlap, Light, str | Method], confidence: float, limit_confidence: float) -> Rules:
    overlap, light, method = how
    name = method if isinstance(method, str) else method.name
    if name not in FOR_FEW_COUNTS:
        raise InvalidRecord(f"photometry has no significance {name!r}: use one of {', '.join(FOR_FEW_COUNTS)}")
    if overlap not in OVERLAPS:
        raise InvalidRecord(f"no overlap is called {overlap!r}: use {' or '.join(OVERLAPS)}")
    for what, value in (("confidence", confidence), ("limit_confidence", limit_confidence)):
        if not 0 < value < 1:
            raise InvalidRecord(f"{what} must lie between 0 and 1, got {value!r}")
    return Rules(overlap, light, name, float(confidence), float(limit_confidence))


def _groups(maps: Sequence[RateMap]) -> Iterator[list[int]]:
    """Yield the numbers of maps that are summed together: of one grid, and few enough to bound the memory."""
    for grid in dict.fromkeys(m.grid for m in maps):
        same = [number for number, m in enumerate(maps) if m.grid == grid]
        yield from (same[begin : begin + MAPS] for begin in range(0, len(same), MAPS))


@contextmanager
def _progress(size: int) -> Iterator[Any]:
    from tqdm import tqdm

    with tqdm(total=size, desc="photometry", unit="aperture", delay=2, leave=False, disable=None) as bar:
        yield bar.update


def _columns_of_group(
    maps: Sequence[RateMap], weights: Sequence[Any], request: _Request, tell: Callable[[int], Any]
) -> Iterator[dict[str, Any]]:
    """Yield the measured columns of maps of one grid; positions that share a mask are summed together."""
    grid, sky, rules = maps[0].grid, request.sky, request.rules
    others = other_sources(grid, request.field, request.circles, sky)
    found, ring = list(patches(grid, others, sky)), in_the_ring(sky, others)
    order = np.concatenate([patch.positions for patch in found])
    parts = [_sums_of_patch((maps, weights), patch, request, tell) for patch in found]
    for item, of_patches in zip(maps, zip(*parts, strict=True), strict=True):
        light = light_of(request.psf, item, sky.ra, sky.dec)
        measured = joined(of_patches, order)
        columns = columns_of(measured, rules, grid, light)
        columns["flags"] += ring * np.int32(ApertureFlag.RING_NEIGHBOURS)
        if others is not None:
            columns["flags"] += others.shared * np.int32(ApertureFlag.NEIGHBOURS)
        shine = light_of("epic", item, sky.ra, sky.dec) if light is None and item.instrument in EPIC_KING else light
        if shine is not None:
            wings = under_wings(columns, sky, shine, others)
            columns["flags"] += wings.beyond_error * np.int32(ApertureFlag.WINGS)
            columns["flags"] += wings.beyond_share * np.int32(ApertureFlag.SHARED)
        if request.together and light is not None:
            columns = solved_together(columns, measured.shown, (item, sky), light, rules)
        yield columns


def _sums_of_patch(
    measured: tuple[Sequence[RateMap], Sequence[Any]], patch: Patch, request: _Request, tell: Callable[[int], Any]
) -> list[Measured]:
    maps, weights = measured
    sky = part_of(request.sky, patch.positions)
    lights = [light_of(request.psf, m, sky.ra, sky.dec) for m in maps]
    arrays = [map_arrays(m, patch.free, w, patch.window) for m, w in zip(maps, weights, strict=True)]
    frame = Frame(maps[0].grid, patch.window)
    return measured_maps(frame, arrays, lights, sky, request.rules.overlap, lambda n: tell(n * len(maps)))


def _names(item: RateMap, sky: SkyPositions) -> dict[str, Any]:
    who = {
        "obs_id": item.obs_id,
        "exposure_id": item.exposure_id,
        "instrument": item.instrument,
        "filter": item.filter or "unknown",
        "band": str(item.band),
        "patterns": patterns_of(item),
        "vignetting": vignetting_of(item),
    }
    names = {name: np.full(sky.ra.size, text) for name, text in who.items()}
    return {**names, "position": np.arange(sky.ra.size), "ra": sky.ra, "dec": sky.dec, "radius": 3600 * sky.radius}


def _table(parts: list[dict[str, Any]], sky: SkyPositions, rules: Rules, psf: Any, units: Mapping[str, Any]) -> Any:
    from xphotfn.records.result_table import ResultTable

    columns = {}
    for name in parts[0]:
        whole = np.concatenate([part[name] for part in parts]) if len(parts) > 1 else parts[0][name]
        columns[name] = u.Quantity(whole, units[name], copy=False) if name in units else whole
    rows = np.tile(np.arange(sky.ra.size), len(parts))
    for name, column in sky.given.items():
        columns[f"input_{name}" if name in columns else name] = column[rows]
    result = ResultTable(columns, copy=False)
    for name in ("rate", "rate_low", "rate_high", "upper_limit"):
        result[name].info.description = f"{name} of {RATE_OF['aperture' if psf is None else 'source']}"
    result.meta.update({f"FLAG{flag.value}": str(flag.name) for flag in ApertureFlag})
    light = rules.light if psf is None else "point"
    result.meta.update({"OVERLAP": rules.overlap, "LIGHT": light, "METHOD": rules.method})
    result.meta.update({"CONFID": rules.confidence, "LIMCONF": rules.limit_confidence})
    result.meta["PSF"] = "none" if psf is None else psf if isinstance(psf, str) else "given"
    return result
