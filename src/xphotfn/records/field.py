"""A target with the observations that cover it."""

import math
from collections.abc import Iterable
from typing import final

import astropy.units as u
from attrs import evolve, field, frozen

from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.html import block, count, details, facts, table
from xphotfn.records.fields import items
from xphotfn.records.grid import PixelGrid
from xphotfn.records.left_out import FieldNote
from xphotfn.records.observation import Observation
from xphotfn.records.region import Region
from xphotfn.records.target import Target, target_facts
from xphotfn.typing import PositionLike
from xphotfn.units import position_deg

__all__ = ("Field", "FieldObservation", "with_centre")


@final
@frozen(kw_only=True, repr=False, cache_hash=True)
class FieldObservation:
    """One observation of a field, with its regions sorted by what they are to the target.

    Parameters
    ----------
    observation
        The observation.
    separation_arcmin
        Distance of the target from the pointing; None without a target.
    region_grid
        The grid that the ``image`` and ``physical`` frames of its regions mean.
    match
        The region of the target, or None.
    alternates
        Further regions that contain the target: neither measured nor masked.
    kept
        Regions that belong to a cluster though they do not contain its centre: not masked.
    interlopers
        All other regions: masked.
    """

    observation: Observation
    separation_arcmin: float | None = None
    region_grid: PixelGrid
    match: Region | None = None
    alternates: tuple[Region, ...] = field(default=(), converter=items)
    kept: tuple[Region, ...] = field(default=(), converter=items)
    interlopers: tuple[Region, ...] = field(default=(), converter=items)

    @property
    def obs_id(self) -> str:
        """ObsID."""
        return self.observation.obs_id

    @property
    def on_axis(self) -> bool:
        """Whether the target lies within 3 arcmin of the pointing."""
        return self.separation_arcmin is not None and self.separation_arcmin <= 3.0

    @property
    def roles(self) -> dict[str, tuple[Region, ...]]:
        """All regions of the observation by what they are to the target."""
        match = () if self.match is None else (self.match,)
        return {"match": match, "alternate": self.alternates, "kept": self.kept, "interloper": self.interlopers}

    @property
    def regions(self) -> tuple[Region, ...]:
        """All regions of the observation."""
        return tuple(region for regions in self.roles.values() for region in regions)

    def __repr__(self) -> str:
        away = None if self.separation_arcmin is None else round(self.separation_arcmin, 3)
        return (
            f"FieldObservation(obs_id={self.obs_id!r}, separation_arcmin={away}, match={self.match is not None}, "
            f"alternates={len(self.alternates)}, kept={len(self.kept)}, interlopers={len(self.interlopers)})"
        )

    def _repr_html_(self) -> str:
        rows = [_region_row(role, region) for role, regions in self.roles.items() for region in regions]
        away = "" if self.separation_arcmin is None else f"{self.separation_arcmin:.2f} arcmin off-axis"
        what = self.observation
        known = [("Object", what.object_name), ("Target", away), ("Cameras", ", ".join(what.instruments))]
        regions = table(rows, ("Role", "Colour", "Shape", "Frame", "x", "y", "Size", "Name")) if rows else None
        parts = [facts(known)] if regions is None else [facts(known), regions]
        return block(f"Observation {self.obs_id} of a field: {count(len(rows), 'region')}", *parts)


def _region_row(role: str, region: Region) -> tuple[str, ...]:
    place = ".5f" if region.frame in ("fk5", "icrs") else ".1f"
    size = ", ".join(f"{s:.4g}" for s in region.size)
    return (
        role,
        region.colour,
        region.shape,
        region.frame,
        f"{region.x:{place}}",
        f"{region.y:{place}}",
        size,
        region.name,
    )


def _by_obs_id(members: Iterable[FieldObservation]) -> tuple[FieldObservation, ...]:
    return tuple(sorted(members, key=lambda m: m.obs_id))


def _notes(values: Iterable[FieldNote | tuple[str, str]]) -> tuple[FieldNote, ...]:
    """Return notes; pairs of ObsID and text stand in what older versions kept."""
    return tuple(
        v if isinstance(v, FieldNote) else FieldNote(obs_id=v[0], reason="regions", detail=v[1]) for v in values
    )


@final
@frozen(kw_only=True, repr=False)
class Field:
    """A target with its observations and their regions; made by :func:`match_observations` or :func:`bulk_field`.

    Parameters
    ----------
    target
        The target, or None for a bulk field.
    members
        Its observations, sorted by ObsID; none where ``left_out`` says why.
    centre_ra_deg, centre_dec_deg
        Where masks and signal-to-noise are centred: the target's position until :func:`with_centre`.
    left_out
        Observations that were left out, and regions of others that mask nothing, each with the reason; pairs
        ``(ObsID, text)`` are notes on regions.
    """

    target: Target | None = None
    members: tuple[FieldObservation, ...] = field(converter=_by_obs_id)
    centre_ra_deg: float | None = None
    centre_dec_deg: float | None = None
    left_out: tuple[FieldNote, ...] = field(default=(), converter=_notes)

    def __attrs_post_init__(self) -> None:
        names = [m.obs_id for m in self.members]
        if not names and not self.left_out:
            raise InvalidRecord("a field needs at least one observation, or the reason why it has none in left_out")
        if len(set(names)) != len(names):
            raise InvalidRecord(f"a field lists an observation twice: {names}")
        if (self.target is None) != (self.centre_ra_deg is None) or (self.target is None) != (
            self.centre_dec_deg is None
        ):
            raise InvalidRecord("a field with a target, and only such a field, has a centre")
        ra, dec = self.centre_ra_deg, self.centre_dec_deg
        if not all(v is None or math.isfinite(v) for v in (ra, dec)):
            raise InvalidRecord(f"a centre must be finite, got {ra}, {dec}")
        if ra is not None and dec is not None and not (0 <= ra < 360 and abs(dec) <= 90):
            raise InvalidRecord(f"a centre needs RA in [0, 360) and Dec within +-90 deg, got {ra}, {dec}")

    @property
    def name(self) -> str:
        """Name of the target, or of the bulk field."""
        return "bulk" if self.target is None else self.target.name

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The observations, sorted by ObsID."""
        return tuple(m.observation for m in self.members)

    @property
    def obs_ids(self) -> tuple[str, ...]:
        """The ObsIDs, sorted."""
        return tuple(m.obs_id for m in self.members)

    @property
    def centre(self) -> u.Quantity:
        """Where masks and signal-to-noise are centred, ``[ra, dec]`` in degrees."""
        if self.centre_ra_deg is None or self.centre_dec_deg is None:
            raise ProductMissing("a bulk field has no centre: give centre= or match a target")
        return u.Quantity([self.centre_ra_deg, self.centre_dec_deg], u.deg)

    @property
    def is_centred_on_target(self) -> bool:
        """Whether the centre is still the target's own position."""
        return self.target is not None and (self.centre_ra_deg, self.centre_dec_deg) == (
            self.target.ra_deg,
            self.target.dec_deg,
        )

    def member(self, obs_id: str) -> FieldObservation:
        """Return the member with that ObsID.

        Raises
        ------
        ProductMissing
            If the field has no such observation.
        """
        for item in self.members:
            if item.obs_id == obs_id:
                return item
        raise ProductMissing(f"field {self.name} has no observation {obs_id}; it has {', '.join(self.obs_ids)}")

    def __repr__(self) -> str:
        centre = None if self.centre_ra_deg is None else (self.centre_ra_deg, self.centre_dec_deg)
        regions = sum(len(m.regions) for m in self.members)
        return f"Field(name={self.name!r}, observations={len(self.members)}, regions={regions}, centre={centre})"

    def _repr_html_(self) -> str:
        regions = sum(len(m.regions) for m in self.members)
        title = f"Field {self.name}: {count(len(self.members), 'observation')}, {count(regions, 'region')}"
        moved = self.target is not None and not self.is_centred_on_target
        centre = [("Centre", f"RA {self.centre_ra_deg:.6f}, Dec {self.centre_dec_deg:.6f} deg")] if moved else []
        parts = [] if self.target is None else [target_facts(self.target, centre)]
        head = ("ObsID", "Off-axis", "Cameras", "On-time", "Match", "Alternates", "Kept", "Interlopers")
        parts.append(table([_member_row(m) for m in self.members], head))
        if self.left_out:
            left = table([(note.obs_id, note.why) for note in self.left_out])
            parts.append(details(f"{count(len(self.left_out), 'observation')} left out", left))
        return block(title, *parts)


def _member_row(member: FieldObservation) -> tuple[str, ...]:
    exposures = member.observation.exposures
    return (
        member.obs_id,
        "" if member.separation_arcmin is None else f"{member.separation_arcmin:.1f} arcmin",
        ", ".join(e.instrument for e in exposures),
        f"{sum(e.exposure_s for e in exposures) / 1000:.1f} ks",
        "none" if member.match is None else f"{member.match.colour} {member.match.shape}",
        *(str(len(regions)) for regions in (member.alternates, member.kept, member.interlopers)),
    )


def with_centre(field: Field, position: PositionLike) -> Field:
    """Return a field whose masks and signal-to-noise are centred on ``position`` from now on.

    Parameters
    ----------
    field
        The field; it is not changed.
    position
        Quantity ``[ra, dec]``, a pair in degrees, a SkyCoord or a Peak.

    Raises
    ------
    UnitMismatch
        If the position is no pair of angles.
    InvalidRecord
        If the field has no target.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field
    >>> field = example_field()
    >>> with_centre(field, [149.6, -11.1]).centre
    <Quantity [149.6, -11.1] deg>
    """
    if field.target is None:
        raise InvalidRecord("a bulk field has no target to centre on: use match_observations(target, observations)")
    ra, dec = position_deg(position, "centre")
    return evolve(field, centre_ra_deg=ra, centre_dec_deg=dec)
