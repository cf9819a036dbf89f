"""The object that is measured: its position, size and distance."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, final

import astropy.units as u
from attrs import field, frozen
from attrs.converters import optional

from xphotfn.errors import InvalidRecord, Remedy, UnitMismatch
from xphotfn.html import Html, block, facts, record_html
from xphotfn.records.fields import non_empty, one_line, one_of, pairs
from xphotfn.typing import AngleLike, ColumnDensityLike, CosmologyLike, ExtraLike, PositionLike, RadiusLike
from xphotfn.units import column_density_cm2, dec_deg, position_deg, quantity, ra_deg

__all__ = (
    "OVERDENSITIES",
    "CosmologyParameters",
    "Radius",
    "Target",
    "cosmology_of",
    "extended_source",
    "galaxy_cluster",
    "point_source",
)

KINDS = ("cluster", "extended", "point", "position")
OVERDENSITIES = ("r500", "r200", "r2500")
"""Radii of a cluster by name; the first that is known is measured where none is asked for."""
Scalar = str | int | float | bool | None


@final
@frozen(kw_only=True)
class CosmologyParameters:
    """A cosmology that has no name in astropy: its class and its parameters as floats.

    Parameters
    ----------
    kind
        Name of the astropy class, such as ``FlatLambdaCDM``.
    parameters
        Pairs ``(name, value)``, sorted; H0 in km/s/Mpc, Tcmb0 in K, neutrino masses in eV as a tuple.
    """

    kind: str = field(validator=non_empty)
    parameters: tuple[tuple[str, float | tuple[float, ...] | None], ...] = field(default=(), converter=pairs)

    def _repr_html_(self) -> str:
        return record_html(self)


def cosmology_of(value: CosmologyLike) -> "str | CosmologyParameters":
    """Return a cosmology given by astropy name or as a FLRW instance in a form that can be hashed."""
    if isinstance(value, (str, CosmologyParameters)):
        return value
    parameters = getattr(value, "parameters", None)
    if not isinstance(parameters, Mapping):
        raise InvalidRecord(f"cosmology must be the name of an astropy cosmology or an instance, got {value!r}")
    plain = {name: _plain(item) for name, item in parameters.items()}
    return CosmologyParameters(kind=type(value).__name__, parameters=tuple(sorted(plain.items())))


def _plain(item: Any) -> float | tuple[float, ...] | None:
    if item is None:
        return None
    value = item.value if isinstance(item, u.Quantity) else item
    return tuple(float(v) for v in value) if getattr(value, "ndim", 0) else float(value)


@final
@frozen(kw_only=True)
class Radius:
    """A radius as it was given: a number and its unit (an angle or a length)."""

    value: float = field(converter=float)
    unit: str

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            raise InvalidRecord(f"a radius must be above 0, got {self.value} {self.unit}")

    @property
    def quantity(self) -> u.Quantity:
        """The radius as a Quantity."""
        return u.Quantity(self.value, self.unit)

    @property
    def is_length(self) -> bool:
        """Whether it is a length (kpc), which needs a redshift, and no angle."""
        return bool(u.Unit(self.unit).is_equivalent(u.kpc))

    def _repr_html_(self) -> str:
        return record_html(self)


def _radius(value: Any) -> Radius | None:
    if value is None or isinstance(value, Radius):
        return value
    given = quantity(value, "a radius", "1200*u.kpc or 30*u.arcsec")
    if not (given.isscalar and (given.unit.is_equivalent(u.kpc) or given.unit.is_equivalent(u.deg))):
        raise UnitMismatch(f"a radius must be one length or angle such as 1200*u.kpc or 30*u.arcsec, got {value}")
    return Radius(value=float(given.value), unit=given.unit.to_string())


def _extra(values: Any) -> tuple[tuple[str, Scalar], ...]:
    if hasattr(values, "colnames"):  # a row of an astropy Table
        values = {name: values[name] for name in values.colnames}
    try:
        given = list(values.items() if isinstance(values, Mapping) else values)
        found = {str(name): _scalar(value) for name, value in given}
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"extra must be a mapping or pairs of names and single values, got {values!r}") from error
    if len(found) != len(given) or any(isinstance(pair, str) for pair in given):
        raise InvalidRecord(f"extra must be pairs of a name, each once, and a value, got {values!r}")
    return tuple(sorted(found.items()))


def _scalar(value: Any) -> Scalar:
    """Return a plain value; a blank cell of a table (masked, NaN) is None."""
    if isinstance(value, u.Quantity):
        return str(value)
    if type(value).__name__ == "MaskedConstant":
        return None
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and math.isnan(plain):
        return None
    return plain if isinstance(plain, (str, int, float, bool, type(None))) else str(plain)


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"redshift must be a number, got {value!r}") from error


_FARTHEST = 1100.0  # the last scattering


def _redshift(_record: object, _attribute: object, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InvalidRecord(f"redshift must be above 0, got {value!r}")
    if value is not None and value > _FARTHEST:
        raise InvalidRecord(f"redshift must be at most {_FARTHEST:g}, beyond which nothing shines, got {value!r}")


def _column(_record: object, _attribute: object, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InvalidRecord(f"nh must be above 0, got {value!r} cm-2: leave it out where it is not known")


def _nh(value: Any) -> float | None:
    return None if value is None else column_density_cm2(value)


@final
@frozen(kw_only=True)
class Target:
    """An object on the sky; made by :func:`galaxy_cluster`, :func:`extended_source` or :func:`point_source`.

    Parameters
    ----------
    name
        One line of text, of at most 200 characters.
    kind
        ``cluster``, ``extended``, ``point``, or ``position`` where nothing is known but where it is: then any region
        that holds it is its own.
    ra_deg, dec_deg
        Position in degrees, ICRS.
    redshift
        Needed wherever a radius is given in kpc.
    r200, r500, r2500
        Radii of a cluster, each a Quantity in kpc or an angle.
    radius
        Radius of an extended or point source.
    cosmology
        Name of an astropy cosmology, or its parameters.
    nh_cm2
        Column density of neutral hydrogen in front of it, in 1/cm2.
    extra
        Anything else known of it (richness): pairs kept through to the result tables.
    """

    name: str = field(converter=str, validator=one_line)
    kind: str = field(validator=one_of(*KINDS))
    ra_deg: float = field(converter=ra_deg)
    dec_deg: float = field(converter=dec_deg)
    redshift: float | None = field(default=None, converter=_number, validator=_redshift)
    _r200: Radius | None = field(default=None, converter=_radius)
    _r500: Radius | None = field(default=None, converter=_radius)
    _r2500: Radius | None = field(default=None, converter=_radius)
    _radius: Radius | None = field(default=None, converter=_radius)
    cosmology: str | CosmologyParameters = field(default="Planck15", converter=cosmology_of)
    nh_cm2: float | None = field(default=None, converter=optional(float), validator=_column)
    extra: tuple[tuple[str, Scalar], ...] = field(default=(), converter=_extra)

    def __attrs_post_init__(self) -> None:
        if not (0 <= self.ra_deg < 360 and abs(self.dec_deg) <= 90):
            raise InvalidRecord(
                f"{self.name}: RA must lie in [0, 360) and Dec within +-90 deg, got {self.ra_deg}, {self.dec_deg}"
            )
        lengths = [r for r in (self._r200, self._r500, self._r2500, self._radius) if r is not None and r.is_length]
        if lengths and self.redshift is None:
            raise UnitMismatch(
                f"{self.name}: a radius of {lengths[0].quantity} needs a redshift to become an angle",
                remedy=Remedy("give redshift= or the radius in arcmin", "give --redshift or the radius in arcmin"),
            )

    @property
    def position(self) -> u.Quantity:
        """Position as a Quantity ``[ra, dec]`` in degrees."""
        return u.Quantity([self.ra_deg, self.dec_deg], u.deg)

    @property
    def r200(self) -> u.Quantity | None:
        """R200 as given."""
        return None if self._r200 is None else self._r200.quantity

    @property
    def r500(self) -> u.Quantity | None:
        """R500 as given."""
        return None if self._r500 is None else self._r500.quantity

    @property
    def r2500(self) -> u.Quantity | None:
        """R2500 as given."""
        return None if self._r2500 is None else self._r2500.quantity

    @property
    def radius(self) -> u.Quantity | None:
        """Radius of an extended or point source, as given."""
        return None if self._radius is None else self._radius.quantity

    @property
    def nh(self) -> u.Quantity | None:
        """Column density in 1/cm2 as a Quantity; None where none was given."""
        return None if self.nh_cm2 is None else u.Quantity(self.nh_cm2, u.cm**-2)

    @property
    def radii(self) -> tuple[tuple[str, u.Quantity], ...]:
        """The radii that are known, as pairs ``(name, Quantity)``, largest overdensity radius first."""
        known = (("r200", self.r200), ("r500", self.r500), ("r2500", self.r2500), (self.kind, self.radius))
        return tuple((name, value) for name, value in known if value is not None)

    def __repr__(self) -> str:
        known = [("name", self.name), ("kind", self.kind), ("ra_deg", self.ra_deg), ("dec_deg", self.dec_deg)]
        shown = [f"{name}={value!r}" for name, value in known]
        if self.redshift is not None:
            shown.append(f"redshift={self.redshift!r}")
        shown += [f"{'radius' if name == self.kind else name}={value}" for name, value in self.radii]
        if self.redshift is not None:
            shown.append(f"cosmology={self.cosmology!r}")
        if self.nh_cm2 is not None:
            shown.append(f"nh_cm2={self.nh_cm2!r}")
        if self.extra:
            shown.append(f"extra={dict(self.extra)}")
        return f"Target({', '.join(shown)})"

    def _repr_html_(self) -> str:
        return block(f"{self.kind.capitalize()} {self.name}", target_facts(self))


def target_facts(target: Target, more: Iterable[tuple[str, str]] = ()) -> Html:
    """Return what is known of a target as a table of HTML, with further rows after its position."""
    rows: list[tuple[str, str]] = [("Position", f"RA {target.ra_deg:.6f}, Dec {target.dec_deg:.6f} deg"), *more]
    if target.redshift is not None:
        cosmology = target.cosmology if isinstance(target.cosmology, str) else target.cosmology.kind
        rows.append(("Redshift", f"{target.redshift:g} ({cosmology})"))
    rows += [("Radius" if name == target.kind else name, f"{radius:g}") for name, radius in target.radii]
    return facts([*rows, *((name, str(value)) for name, value in target.extra)])


def _place(name: str, ra: Any, dec: Any) -> tuple[Any, Any]:
    """Return RA and Dec, of both in one where there is no Dec."""
    return (ra, dec) if dec is not None else position_deg(ra, f"the position of {name}")


def galaxy_cluster(
    name: str,
    ra: AngleLike | PositionLike,
    dec: AngleLike | None = None,
    *,
    redshift: float,
    r200: RadiusLike | None = None,
    r500: RadiusLike | None = None,
    r2500: RadiusLike | None = None,
    cosmology: CosmologyLike = "Planck15",
    nh: ColumnDensityLike | None = None,
    extra: ExtraLike = (),
) -> Target:
    """Return a galaxy cluster.

    Parameters
    ----------
    name
        One line of text, of at most 200 characters.
    ra, dec
        Position: Quantity, degrees, or a text such as ``"09:58:22"`` (RA in hours) and ``"-11d03m35s"``; or, without
        ``dec``, both in one: a SkyCoord of any frame, a Quantity ``[ra, dec]``, a text such as ``"149.59 -11.06"``.
    redshift
        Above 0.
    r200, r500, r2500
        Overdensity radii as Quantity, in kpc or as angles; leave out what is not known.
    cosmology
        Name of an astropy cosmology or a FLRW instance.
    nh
        Column density of neutral hydrogen in front of it, a Quantity such as ``5.34e20/u.cm**2``. It wins over that of
        a map.
    extra
        Mapping or pairs of anything else, kept to the result tables.

    Raises
    ------
    InvalidRecord, UnitMismatch
        If a value breaks its rule; the message names it.

    Examples
    --------
    >>> import astropy.units as u
    >>> a907 = galaxy_cluster("A907", 149.59209*u.deg, -11.05972*u.deg, redshift=0.16, r500=1200*u.kpc)
    >>> a907.r500
    <Quantity 1200. kpc>
    """
    if redshift is None:
        raise InvalidRecord(f"{name}: a cluster needs its redshift; without one use extended_source")
    ra, dec = _place(name, ra, dec)
    return Target(
        name=name,
        kind="cluster",
        ra_deg=ra,
        dec_deg=dec,
        redshift=redshift,
        r200=r200,
        r500=r500,
        r2500=r2500,
        cosmology=cosmology,
        nh_cm2=_nh(nh),
        extra=extra,
    )


def extended_source(
    name: str, ra: AngleLike | PositionLike, dec: AngleLike | None = None, *, radius: RadiusLike,
    redshift: float | None = None, nh: ColumnDensityLike | None = None, extra: ExtraLike = (),
) -> Target:  # fmt: skip
    """Return an extended source with one radius (an angle, or a length where there is a redshift).

    The position and ``nh`` are as in :func:`galaxy_cluster`.

    Examples
    --------
    >>> import astropy.units as u
    >>> extended_source("remnant", 83.6*u.deg, 22.0*u.deg, radius=3*u.arcmin).radius
    <Quantity 3. arcmin>
    """
    ra, dec = _place(name, ra, dec)
    return Target(
        name=name,
        kind="extended",
        ra_deg=ra,
        dec_deg=dec,
        redshift=redshift,
        radius=radius,
        nh_cm2=_nh(nh),
        extra=extra,
    )


def point_source(
    name: str, ra: AngleLike | PositionLike, dec: AngleLike | None = None, *, radius: RadiusLike,
    nh: ColumnDensityLike | None = None, extra: ExtraLike = (),
) -> Target:  # fmt: skip
    """Return a point source with the radius of the aperture to use for it.

    The position and ``nh`` are as in :func:`galaxy_cluster`.

    Examples
    --------
    >>> import astropy.units as u
    >>> point_source("star", 10*u.deg, 5*u.deg, radius=30*u.arcsec).kind
    'point'
    """
    ra, dec = _place(name, ra, dec)
    return Target(name=name, kind="point", ra_deg=ra, dec_deg=dec, radius=radius, nh_cm2=_nh(nh), extra=extra)
