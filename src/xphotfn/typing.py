"""The forms in which an argument may be given: for annotations of your own, and to read what a function takes.

Each form is turned into one value by one function, where it comes in: an angle by
:func:`~xphotfn.units.angle_deg`, a position by :func:`~xphotfn.units.position_deg`, a radius by
:func:`~xphotfn.science.distances.radius_deg`. Forms of which records are a part stand beside that function, such as
``RegionLike`` of :mod:`xphotfn.measure.aperture` and ``PsfLike`` of :mod:`xphotfn.science.spreads`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

from astropy.units import Quantity, UnitBase
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.cosmology import FLRW
    from astropy.io import fits
    from astropy.table import Table
    from pandas import DataFrame

__all__ = ("AngleLike", "ColumnDensityLike", "CosmologyLike", "EnergyLike", "ExtraLike", "HasData", "HasPath",
           "HasPosition", "HasSubmit", "HasValue", "Header", "PositionLike", "PositionsLike", "QuantityLike",
           "RadiiLike", "RadiusLike", "SchedulerLike", "TableLike", "UnitLike", "WeightsLike")  # fmt: skip


class HasPosition(Protocol):
    """What lies somewhere on the sky: a Peak, a Centre, a Target, a DetectedSource."""

    @property
    def position(self) -> Any:
        """RA and Dec, a Quantity of shape (2,)."""


class HasValue(Protocol):
    """What holds a quantity: a ColumnDensity."""

    @property
    def value(self) -> Any:
        """The quantity."""


class HasData(Protocol):
    """What holds an image: an Image, an ExposureMap, a RateMap, a LimitMap."""

    @property
    def data(self) -> NDArray[Any]:
        """The image, shape (ny, nx)."""


class HasPath(Protocol):
    """What lies in a file: an Image, an ExposureMap, an Output."""

    @property
    def path(self) -> str:
        """The file."""


class HasSubmit(Protocol):
    """What runs functions elsewhere: a ``distributed.Client``."""

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Run a function."""


QuantityLike: TypeAlias = Quantity | str
"""A Quantity, or a text such as ``"0.5 keV"``; one with a unit."""

UnitLike: TypeAlias = UnitBase | str
"""A unit of astropy or its name."""

EnergyLike: TypeAlias = Quantity | str
"""An energy, such as ``0.5*u.keV`` or ``"0.5 keV"``: :func:`~xphotfn.units.energy_ev`."""

AngleLike: TypeAlias = Quantity | str | float
"""An angle: a Quantity, degrees, or a text such as ``"9h58m22s"``: :func:`~xphotfn.units.angle_deg`."""

RadiusLike: TypeAlias = Quantity | str
"""An angle or a length at the target: :func:`~xphotfn.science.distances.radius_deg`."""

RadiiLike: TypeAlias = RadiusLike | Sequence[RadiusLike]
"""One radius or several: :func:`~xphotfn.units.quantities`."""

ColumnDensityLike: TypeAlias = Quantity | str | HasValue
"""A column density, such as ``3e20/u.cm**2``, or what holds one: :func:`~xphotfn.units.column_density_cm2`."""

PositionLike: TypeAlias = Union["SkyCoord", Quantity, str, HasPosition, Sequence[AngleLike]]
"""RA and Dec: a SkyCoord, a Quantity or pair, a text, a Peak: :func:`~xphotfn.units.position_deg`."""

PositionsLike: TypeAlias = PositionLike | Sequence[PositionLike] | NDArray[Any]
"""One position or several: :func:`~xphotfn.units.positions_deg`."""

ExtraLike: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Anything else to keep with a target: names and single values."""

CosmologyLike: TypeAlias = Union["FLRW", str]
"""A cosmology of astropy or its name: :func:`~xphotfn.records.target.cosmology_of`."""

TableLike: TypeAlias = Union["Table", "DataFrame", Mapping[str, ArrayLike], Sequence[Mapping[str, object]]]
"""A table of astropy or pandas, columns by name, or rows."""

WeightsLike: TypeAlias = NDArray[Any] | HasData | Callable[[Any], Any] | Sequence[NDArray[Any] | HasData]
"""What the background of each pixel is proportional to: images, exposure maps, or a function of the map."""

SchedulerLike: TypeAlias = str | HasSubmit
"""``"threads"``, ``"synchronous"``, or a ``distributed.Client``."""

Header: TypeAlias = Union["fits.Header", Mapping[str, Any]]
"""Keywords and values of a FITS header."""
