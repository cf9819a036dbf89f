"""Column density of neutral gas towards a place, and how much it differs around it."""

from typing import final

import astropy.units as u
from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.fields import non_empty, positive

__all__ = ("ColumnDensity", "nh_text")


def nh_text(nh_cm2: float) -> str:
    """Return a column density as XGA's summary prints it.

    Examples
    --------
    >>> nh_text(5.34e20)
    '0.0534 1e+22 / cm2'
    """
    return f"{nh_cm2 / 1e22:.3g} 1e+22 / cm2"


@final
@frozen(kw_only=True)
class ColumnDensity:
    """Neutral hydrogen towards a place; :func:`column_density` makes it.

    Parameters
    ----------
    nh_cm2
        In 1/cm2.
    low_cm2, high_cm2
        The least and the most of the map's cells around the place: what the map does not resolve.
    source
        The survey.
    """

    nh_cm2: float = field(converter=float, validator=positive)
    low_cm2: float = field(converter=float, validator=positive)
    high_cm2: float = field(converter=float, validator=positive)
    source: str = field(validator=non_empty)

    def __attrs_post_init__(self) -> None:
        if not self.low_cm2 <= self.nh_cm2 <= self.high_cm2:
            raise InvalidRecord(
                f"a column density must lie within its spread, got {self.nh_cm2:g} of "
                f"{self.low_cm2:g} to {self.high_cm2:g}"
            )

    @property
    def value(self) -> u.Quantity:
        """The column density as a Quantity in 1/cm2; functions take the record itself too."""
        return u.Quantity(self.nh_cm2, u.cm**-2)

    @property
    def low(self) -> u.Quantity:
        """Least of the cells around, as a Quantity."""
        return u.Quantity(self.low_cm2, u.cm**-2)

    @property
    def high(self) -> u.Quantity:
        """Most of the cells around, as a Quantity."""
        return u.Quantity(self.high_cm2, u.cm**-2)

    def __str__(self) -> str:
        spread = f"{self.low_cm2 / 1e22:.3g} to {self.high_cm2 / 1e22:.3g} around"
        return f"{nh_text(self.nh_cm2)} ({self.source}, {spread})"

    def _repr_html_(self) -> str:
        return record_html(self)
