"""The significance of an aperture around each pixel of a map."""

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, NoData
from xphotfn.io.products import RateMap
from xphotfn.measure.photometry.every_pixel import aperture_maps
from xphotfn.records.field import Field
from xphotfn.records.fields import of_kind
from xphotfn.science.significance import SIGNIFICANCES
from xphotfn.science.snr_methods import DEFAULT_METHOD, CountsMethod, Method, method_of
from xphotfn.typing import RadiusLike, WeightsLike

__all__ = ("significance_map",)


def significance_map(
    rate_map: RateMap,
    field: Field | None = None,
    *,
    radius: RadiusLike,
    method: str | Method = DEFAULT_METHOD,
    background: tuple[float, float] = (1.5, 3.0),
    background_weights: WeightsLike | None = None,
) -> NDArray[np.float64]:
    """Return the significance of the counts in an aperture around each pixel: :func:`snr` of all places at once.

    Parameters
    ----------
    rate_map
        One map; several as :func:`combined_rate_map`.
    field
        Its interlopers are removed from aperture and ring.
    radius
        Radius of the aperture, a Quantity (arcsec, deg, kpc with a field).
    method
        As in :func:`snr`, but for ``"xga"``.
    background
        Edges of the background ring around each pixel, in units of the radius.
    background_weights
        As in :func:`snr`.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        In sigma, negative for a deficit; NaN where aperture or ring have no pixel with exposure. Neighbouring pixels
        share most of their counts.

    Raises
    ------
    InvalidRecord
        If it is no rate map, the image does not hold whole counts, the method is XGA's, or radius or background break
        their rules, as circles wider than the map do.
    NoData
        If no place has exposure in aperture and ring.
    UnitMismatch
        If the radius has a wrong unit.

    Notes
    -----
    At each pixel what :func:`snr` gives for a circle around its centre, with the same ring. The aperture that fits a
    point source best is not a circle but its profile: :func:`detection_map` is matched to that, joint over maps, with
    a smooth background.

    References
    ----------
    Those of :func:`snr`.

    Examples
    --------
    >>> import astropy.units as u
    >>> from xphotfn.testing.examples import example_rate_map
    >>> sigma = significance_map(example_rate_map(), radius=15 * u.arcsec)
    >>> bool(sigma[255, 256] > 10), bool(abs(np.nanmedian(sigma)) < 0.5)
    (True, True)
    """
    of_kind(rate_map, RateMap, "one of rate_maps(run), or combined_rate_map(...),")
    if field is not None:
        of_kind(field, Field, "match_observations(...)")
    definition = method_of(method)
    if not isinstance(definition, CountsMethod):
        raise InvalidRecord(f"a significance map is made by {', '.join(SIGNIFICANCES)}, not by {definition.name}")
    ring = isinstance(background, tuple | list) and len(background) == 2
    found = aperture_maps(rate_map, field, radius, background, None, background_weights) if ring else None
    if found is None or found.ring_counts is None:
        raise InvalidRecord(f"background must be two factors such as (1.5, 3), got {background!r}")
    alpha = np.where(found.alpha > 0, found.alpha, np.nan)
    if np.all(np.isnan(alpha)):
        raise NoData(f"{rate_map} has no place with exposure in aperture and ring: give another map, radius or ring")
    return np.asarray(SIGNIFICANCES[definition.name].significance(found.counts, found.ring_counts, alpha))
