"""Targets meet observations: a Field holds a target, what covers it and its regions."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, overload

import astropy.units as u
import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.commands.image_grid import ImageGrid
from xphotfn.errors import InvalidRecord, PlanError, Remedy
from xphotfn.io.products import RateMap
from xphotfn.io.region_use import UsedRegions, given_regions, refuse_strange, used_regions
from xphotfn.io.regions import RegionFile, read_regions
from xphotfn.records.field import Field, FieldObservation
from xphotfn.records.fields import of_kind, one_or_several
from xphotfn.records.instrument import is_epic
from xphotfn.records.left_out import FieldNote
from xphotfn.records.observation import XMM, Observation
from xphotfn.records.region import Region
from xphotfn.records.several import Several
from xphotfn.records.source_list import SourceList
from xphotfn.records.target import Target
from xphotfn.science.coords import separation_deg, unit_vectors
from xphotfn.science.distances import radius_deg, size_deg
from xphotfn.science.matching import overlapping, sort_regions
from xphotfn.science.shapes import pixel_shapes
from xphotfn.science.source_regions import source_regions
from xphotfn.typing import QuantityLike

__all__ = ("RegionsLike", "bulk_field", "field_of_maps", "match_observations", "with_regions")

RegionsLike: TypeAlias = SourceList | Iterable[Region] | Mapping[str, SourceList | Iterable[Region]]
"""A list of sources, or regions, for all observations; or one for each, by ObsID."""


CORE_FRACTION = 0.15  # of R500: regions inside belong to a cluster
_FARTHER = Remedy("check the position or give within=", "check the position or give --within")
MOST_LEFT_OUT = 50  # observations named per field: a sample of thousands would hold millions


@overload
def match_observations(
    target_or_targets: Target,
    observations: Iterable[Observation],
    *,
    within: QuantityLike = ...,
    region_image: str | ImageGrid | None = ...,
    regions: RegionsLike | None = ...,
) -> Field: ...


@overload
def match_observations(
    target_or_targets: Iterable[Target],
    observations: Iterable[Observation],
    *,
    within: QuantityLike = ...,
    region_image: str | ImageGrid | None = ...,
    regions: RegionsLike | None = ...,
) -> tuple[Field, ...]: ...


def match_observations(
    target_or_targets: Target | Iterable[Target],
    observations: Iterable[Observation],
    *,
    within: QuantityLike = 30 * u.arcmin,
    region_image: str | ImageGrid | None = None,
    regions: RegionsLike | None = None,
) -> Field | tuple[Field, ...]:
    """Return the field of a target: its observations and their regions, sorted into match and interlopers.

    Parameters
    ----------
    target_or_targets
        One target or several.
    observations
        As :func:`find_observations` gives them, in any order.
    within
        Largest distance of the target from the pointing, such as ``20 * u.arcmin``; a number needs its unit.
    region_image
        Which image the pixels of region files in the frame ``image`` mean: the name of its file (``*`` stands for
        anything), or the :class:`ImageGrid` on which it was made, also as a text ``low:high:bin`` in units of X and Y
        (``3649:48106:87`` is that of the XMM Cluster Survey). Not needed where the region file says it
        (``# Filename: name``, ``# image: name`` or ``# image: low:high:bin``) or the found images of an observation
        have the same pixels.
    regions
        A list of sources or regions that are used in place of all region files, for all observations, or a mapping of
        one for each ObsID (an observation that it does not name has none); as :func:`with_regions` takes them.

    Returns
    -------
    Field or tuple of Field
        One for one target; for several a tuple in their order, in which a target that nothing covers has a field
        without members. What was left out and why is in ``left_out``: the 50 nearest of what is beyond ``within``,
        observations whose regions cannot be used, and regions that mask nothing.

    Raises
    ------
    PlanError
        If one target has no observation within that distance, or none whose regions can be used; the message names the
        nearest, or what is wrong with the regions.
    UnitMismatch
        If ``within`` has no unit, or one of no angle: a bare number could be in degrees or in arcmin.
    InvalidRecord
        If ``within`` is negative, wider than the sky, or not finite, or ``regions`` names an ObsID that is not among
        the observations.

    Notes
    -----
    A region is the target's match when it contains its position and has a colour of its kind (green, magenta, blue,
    cyan, yellow for clusters and extended sources, red for point sources); the nearest wins, others are alternates.
    All other regions, of all observations, are interlopers. To a cluster belong also red and magenta regions within
    0.15 R500 and green regions that overlap the match of another observation.

    An observation whose region file cannot be read, or whose pixels may mean several images, or which has several
    region files that differ, is left out: measured without its regions, sources that should be masked would count.

    References
    ----------
    XGA ``sources/base.py`` and ``sources/extended.py``.

    Examples
    --------
    >>> import xphotfn as xp
    >>> from xphotfn.testing.examples import example_field
    >>> field = xp.match_observations(example_field().target, example_field().observations)
    >>> field.obs_ids
    ('0999990101',)
    """
    targets = one_or_several(target_or_targets, Target, "galaxy_cluster(...) or another of the targets")
    pool = _pool(one_or_several(observations, Observation, "find_observations(root)"), len(targets))
    limit = _limit_deg(within)
    files: dict[str, RegionFile | str] = {}
    given = None if regions is None else _given(regions, [o.obs_id for o in pool.observations], "what is matched")

    def regions_of(observation: Observation) -> UsedRegions:
        if given is None:
            return used_regions(observation, region_image, files)
        return given_regions(observation, given.of(observation.obs_id))

    matches = [_match(target, pool, limit, regions_of) for target in targets]
    if isinstance(target_or_targets, Target):
        return _only(matches[0], pool, limit)
    if matches and not pool.observations:
        raise _nobody_near(targets[0], pool, limit)
    return Several(matches)


def _limit_deg(within: QuantityLike) -> float:
    degrees = size_deg(within, "within", "30*u.arcmin")
    if not 0 <= degrees <= 180:
        raise InvalidRecord(f"within must be 0 or more and no wider than the sky (180 deg), got {within}")
    return degrees


class _Pool(NamedTuple):
    """Observations sorted by ObsID, their pointings in degrees, and for large samples a tree of these on the sphere."""

    observations: tuple[Observation, ...]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    tree: Any = None

    def around(self, target: Target, limit_deg: float) -> NDArray[np.intp]:
        """Return the numbers of all observations within a distance, and of the nearest beyond, in rising order."""
        if self.tree is None:
            return np.arange(len(self.observations))
        [place] = unit_vectors(np.array([target.ra_deg]), np.array([target.dec_deg]))
        reach = 2 * np.sin(np.deg2rad(min(limit_deg, 180.0)) / 2) * _BIT
        within = int(self.tree.query_ball_point(place, reach, return_length=True))
        nearest, _ = self.tree.query(place, k=min(within + MOST_LEFT_OUT, len(self.observations)))
        reach = max(reach, float(np.max(nearest)) * _BIT)  # all that are as near as the last one
        return np.array(self.tree.query_ball_point(place, reach, return_sorted=True), dtype=np.intp)


_MANY = 1_000_000  # pairs of a target and an observation, from which on a tree is worth its making
_BIT = 1 + 1e-9  # a little further than any rounding


def _pool(observations: Iterable[Observation], targets: int) -> _Pool:
    found = tuple(sorted(observations, key=lambda o: o.obs_id))
    ra, dec = (np.array([getattr(o, name) for o in found], dtype=np.float64) for name in ("ra_deg", "dec_deg"))
    if targets * len(found) < _MANY or not np.all(np.isfinite(ra + dec)):
        return _Pool(found, ra, dec)
    from scipy.spatial import cKDTree

    return _Pool(found, ra, dec, cKDTree(unit_vectors(ra, dec)))


def bulk_field(observations: Iterable[Observation]) -> Field:
    """Return a field without a target: observations to be processed, never mosaicked or measured.

    Parameters
    ----------
    observations
        The observations, as :func:`find_observations` gives them.

    Raises
    ------
    InvalidRecord
        If there is none.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field
    >>> bulk_field(example_field().observations).target is None
    True
    """
    pool = sorted(observations, key=lambda o: o.obs_id)
    if not pool:
        raise InvalidRecord("a bulk field needs at least one observation: find_observations(root) found none to choose")
    found = [(o, used_regions(o)) for o in pool]
    return Field(
        members=[FieldObservation(observation=o, region_grid=r.grid, interlopers=r.regions) for o, r in found],
        left_out=[_of_regions(o, text) for o, r in found for text in (*r.notes, r.problem) if text],
    )


def field_of_maps(
    target: Target, rate_map_or_maps: RateMap | Iterable[RateMap], *, regions: str | Path | RegionsLike = ()
) -> Field:
    """Return the field of a target on maps of any telescope, for masks, signal-to-noise, profiles and pictures.

    Parameters
    ----------
    target
        The target.
    rate_map_or_maps
        Maps as :func:`rate_map` gives them. Those of one ObsID are one observation of the field.
    regions
        A DS9 region file, regions or a list of sources, for all maps; or a mapping of regions or lists by ObsID. They
        are in degrees (fk5, icrs), or in pixels of the first map of their observation (image).

    Returns
    -------
    Field
        Its regions are sorted as by :func:`match_observations`: what holds the target is its own, the rest is masked.

    Raises
    ------
    InvalidRecord
        If there is no map, ``regions`` names an ObsID of none, or a region is in coordinates that no map of another
        telescope has.
    InvalidFile
        If the region file cannot be read.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> field = field_of_maps(example_field().target, example_rate_map())
    >>> field.name, field.obs_ids
    ('example', ('0999990101',))
    """
    of_kind(target, Target, "galaxy_cluster(...), extended_source(...) or point_source(...)")
    maps = one_or_several(rate_map_or_maps, RateMap, "rate_map(image, exposure_map, band=...)")
    if not maps:
        raise InvalidRecord("a field needs at least one map: give those that rate_map() made")
    firsts = {item.obs_id: item for item in reversed(maps)}
    read = read_regions(regions) if isinstance(regions, str | Path) else regions
    given = _given(read, list(firsts), "what was given")
    members = [_member_of_map(target, item, given.of(obs_id)) for obs_id, item in firsts.items()]
    members = _keep_overlaps(members) if target.kind == "cluster" else members
    return Field(target=target, members=members, centre_ra_deg=target.ra_deg, centre_dec_deg=target.dec_deg)


def _member_of_map(target: Target, item: RateMap, regions: Sequence[Region]) -> FieldObservation:
    strange = next((r for r in regions if r.frame not in ("fk5", "icrs", "image") and not item.grid.has_sky), None)
    if strange is not None:
        raise InvalidRecord(f"{item} has no coordinates {strange.frame}: give regions in fk5, icrs or image")
    header = item.header
    ra, dec = (
        float(header.get(name, at)) for name, at in (("RA_PNT", item.grid.ra_deg), ("DEC_PNT", item.grid.dec_deg))
    )
    telescope = XMM if is_epic(item.instrument) else str(header.get("TELESCOP", "")).strip() or "unknown"
    observation = Observation(obs_id=item.obs_id, ra_deg=ra, dec_deg=dec, telescope=telescope)
    away = 60 * float(separation_deg(ra, dec, target.ra_deg, target.dec_deg))
    masking = tuple(region for region in regions if region.masks)
    return _member(target, observation, away, UsedRegions(masking, item.grid))


def with_regions(field: Field, sources_or_regions: RegionsLike) -> Field:
    """Return a field with other regions, sorted anew into match, alternates, kept ones and interlopers.

    Parameters
    ----------
    field
        The field; it is not changed, and its centre stays.
    sources_or_regions
        A list of sources, of which :func:`source_regions` are taken, or regions: for all observations, each of which
        has those that touch its images; or a mapping of one for each ObsID (an observation that it does not name has
        none). Pixels of regions in the frames ``image`` and ``physical`` are those of the regions before.

    Raises
    ------
    InvalidRecord
        If it is neither, or the mapping names an ObsID that the field does not have.

    Warns
    -----
    UserWarning
        If none of the regions lies on the images of the field, as those of another field: nothing would be masked.
        Where that is so of some observations only, ``left_out`` says it.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_source_list
    >>> field = with_regions(example_field(), example_source_list())
    >>> field.members[0].match.name, len(field.members[0].interlopers)
    ('object 1', 2)
    """
    given = _given(sources_or_regions, field.obs_ids, field.name)
    used = [given_regions(m.observation, given.of(m.obs_id), m.region_grid) for m in field.members]
    if any(given.of(m.obs_id) for m in field.members) and not any(u.regions for u in used):
        warnings.warn(f"none of the regions that were given lies on the images of {field.name}, or masks anything: are "
                      "they of another field?", stacklevel=2)  # fmt: skip
    if field.target is None:
        members = [FieldObservation(observation=m.observation, region_grid=u.grid, interlopers=u.regions)
                   for m, u in zip(field.members, used, strict=True)]  # fmt: skip
    else:
        target = field.target
        members = [_member(target, m.observation, m.separation_arcmin or 0.0, u)
                   for m, u in zip(field.members, used, strict=True)]  # fmt: skip
        members = _keep_overlaps(members) if target.kind == "cluster" else members
    notes = [_of_regions(m.observation, text) for m, u in zip(field.members, used, strict=True) for text in u.notes]
    left = [note for note in field.left_out if note.obs_id not in field.obs_ids]
    return evolve(field, members=members, left_out=[*notes, *left])


class _Given(NamedTuple):
    """Regions that were given: for all observations, or for each."""

    for_all: tuple[Region, ...]
    by_obs_id: Mapping[str, tuple[Region, ...]] | None = None

    def of(self, obs_id: str) -> tuple[Region, ...]:
        return self.for_all if self.by_obs_id is None else self.by_obs_id.get(obs_id, ())


def _given(value: RegionsLike, obs_ids: Sequence[str], who: str) -> _Given:
    if isinstance(value, Mapping):
        refuse_strange(value, obs_ids, who)
        return _Given((), {obs_id: _as_regions(each) for obs_id, each in value.items()})
    return _Given(_as_regions(value))


def _as_regions(value: Any) -> tuple[Region, ...]:
    if isinstance(value, SourceList):
        return source_regions(value)
    return one_or_several(value, Region, "read_regions(path), source_regions(sources) or a SourceList")


def _of_regions(observation: Observation, text: str) -> FieldNote:
    return FieldNote(obs_id=observation.obs_id, reason="regions", detail=text)


def _match(target: Target, pool: _Pool, limit_deg: float, regions_of: Callable[[Observation], UsedRegions]) -> Field:
    around = pool.around(target, limit_deg)
    distances = 60 * separation_deg(target.ra_deg, target.dec_deg, pool.ra[around], pool.dec[around])
    near = np.flatnonzero(distances <= 60 * limit_deg)
    observations = [pool.observations[n] for n in around]
    found = [(observations[n], float(distances[n]), regions_of(observations[n])) for n in near]
    members = [_member(target, o, distance, used) for o, distance, used in found if not used.problem]
    by_distance = np.argsort(distances, kind="stable")[near.size :][:MOST_LEFT_OUT]
    far = [(observations[n].obs_id, float(distances[n])) for n in sorted(by_distance)]
    return Field(
        target=target,
        members=_keep_overlaps(members) if target.kind == "cluster" else members,
        centre_ra_deg=target.ra_deg,
        centre_dec_deg=target.dec_deg,
        left_out=[
            *(_of_regions(o, text) for o, _, used in found for text in (used.problem, *used.notes) if text),
            *(FieldNote(obs_id=o, reason="far", arcmin=d, limit_arcmin=60 * limit_deg) for o, d in far),
            *((FieldNote(reason="none"),) if not pool.observations else ()),
        ],
    )


def _only(field: Field, pool: _Pool, limit_deg: float) -> Field:
    """Return the field of the only target, which must have an observation."""
    if field.members or field.target is None:
        return field
    target = field.target
    distances = separation_deg(target.ra_deg, target.dec_deg, pool.ra, pool.dec)
    if not (distances <= limit_deg).any():
        raise _nobody_near(target, pool, limit_deg)
    reasons = "; ".join(map(str, field.left_out[:3]))
    raise PlanError(f"no observation of {target.name} can be used, mend its regions or take them away: {reasons}")


def _nobody_near(target: Target, pool: _Pool, limit_deg: float) -> PlanError:
    start = f"no observation within {60 * limit_deg:g} arcmin of {target.name} ({target.ra_deg}, {target.dec_deg})"
    if not pool.observations:
        return PlanError(f"{start}: no observation was given; does find_observations(root) find any?")
    distances = 60 * separation_deg(target.ra_deg, target.dec_deg, pool.ra, pool.dec)
    least = int(np.argmin(distances))
    nearest = f"{pool.observations[least].obs_id} at {distances[least]:.1f} arcmin"
    return PlanError(f"{start}: the nearest of {len(distances)} is {nearest}", remedy=_FARTHER)


def _member(target: Target, observation: Observation, separation: float, used: UsedRegions) -> FieldObservation:
    core = 0.0 if target.r500 is None else CORE_FRACTION * radius_deg(target.r500, target)
    found = sort_regions(used.regions, used.grid, target, core)
    return FieldObservation(
        observation=observation,
        separation_arcmin=separation,
        region_grid=used.grid,
        match=found.match,
        alternates=found.alternates,
        kept=found.kept,
        interlopers=found.interlopers,
    )


def _keep_overlaps(members: Sequence[FieldObservation]) -> list[FieldObservation]:
    """Keep green regions of observations that overlap the match of another observation: the same cluster."""
    result = []
    for member in members:
        matches = [
            pixel_shapes((m.match,), m.region_grid, member.region_grid)[0]
            for m in members
            if m is not member and m.match is not None
        ]
        shapes = pixel_shapes(member.interlopers, member.region_grid, member.region_grid)
        same = [
            region.colour == "green" and any(overlapping(match, shape) for match in matches)
            for region, shape in zip(member.interlopers, shapes, strict=True)
        ]
        kept = tuple(r for r, s in zip(member.interlopers, same, strict=True) if s)
        rest = tuple(r for r, s in zip(member.interlopers, same, strict=True) if not s)
        result.append(evolve(member, kept=(*member.kept, *kept), interlopers=rest) if kept else member)
    return result
