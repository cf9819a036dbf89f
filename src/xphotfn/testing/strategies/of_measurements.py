"""Strategies for products and for what is measured on them."""

from typing import Any

from hypothesis import strategies as st

from xphotfn.io.products import ExposureMap, Image, Product, RateMap
from xphotfn.records.measurement import CENTRES, Centre, Measurement, Peak
from xphotfn.science.significance import SIGNIFICANCES
from xphotfn.testing.strategies.of_basics import CAMERAS, DIGESTS, EXPOSURE_IDS, NAME, OBS_IDS, PATHS, one_of_kinds
from xphotfn.testing.strategies.of_sky import bands, grids, positions

__all__ = (
    "centres",
    "measurements",
    "peaks",
    "products",
)


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    """Return a strategy for signal-to-noise measurements whose value follows from their counts and exposures.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(measurements(), lambda measured: measured.value > 3).net_counts > 0
    True
    """
    counts, background = draw(st.integers(0, 10**5)), draw(st.integers(0, 10**5))
    source_s, background_s = draw(st.floats(1.0, 1e8)), draw(st.floats(1.0, 1e8))
    method = draw(st.sampled_from(tuple(SIGNIFICANCES)))
    alpha = source_s / background_s
    return Measurement(
        value=float(SIGNIFICANCES[method].significance(counts, background, alpha)), method=method, counts=float(counts),
        background_counts=float(background), area_pix=draw(st.integers(1, 10**6)),
        background_area_pix=draw(st.integers(1, 10**6)), exposure_s=source_s, background_exposure_s=background_s,
        alpha=alpha, scaled_by=draw(st.sampled_from(("exposure", "weights", "area"))),
        exposure_unit=draw(st.sampled_from(("s", "cm2 s"))),
        region_area_pix=draw(st.none() | st.floats(1.0, 1e6)), masked_pix=draw(st.integers(0, 10**5)),
    )  # fmt: skip


@st.composite
def peaks(draw: st.DrawFn) -> Peak:
    """Return a strategy for peaks.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(peaks())
    ... def test_its_position_has_two_coordinates(peak):
    ...     assert peak.position.shape == (2,)
    >>> test_its_position_has_two_coordinates()
    """
    ra, dec = draw(positions())
    return Peak(
        ra_deg=ra, dec_deg=dec, near_edge=draw(st.booleans()), method=draw(st.sampled_from(("clustering", "simple"))),
        converged=draw(st.booleans()),
    )  # fmt: skip


@st.composite
def centres(draw: st.DrawFn) -> Centre:
    """Return a strategy for centres.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(centres())
    ... def test_only_a_peak_is_away_from_the_given_position(centre):
    ...     assert centre.is_peak or centre.offset_arcsec == 0
    >>> test_only_a_peak_is_away_from_the_given_position()
    """
    reason, found = draw(st.sampled_from(tuple(CENTRES))), draw(peaks())
    ra, dec = draw(positions())
    if reason in ("given", "no peak"):
        return Centre(ra_deg=ra, dec_deg=dec, reason=reason)
    search = draw(st.floats(1, 1e4))
    known: dict[str, Any] = {
        "peak": found, "significance": draw(st.floats(-10, 1e3)), "search_arcsec": search, "band": draw(bands()),
    }  # fmt: skip
    if reason != "peak":
        return Centre(ra_deg=ra, dec_deg=dec, reason=reason, **known)
    offset = draw(st.floats(0, 1)) * search
    return Centre(ra_deg=found.ra_deg, dec_deg=found.dec_deg, reason=reason, offset_arcsec=offset, **known)


@st.composite
def products(draw: st.DrawFn, *, kind: str | None = None) -> Product:
    """Return a strategy for products: references to files that need not exist, so ask them for no data.

    Parameters
    ----------
    kind
        ``image``, ``exposure_map`` or ``rate_map``; any of them if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(products(kind="rate_map"))
    ... def test_image_and_exposure_map_share_a_grid(product):
    ...     assert product.image.grid == product.exposure.grid
    >>> test_image_and_exposure_map_share_a_grid()
    """
    chosen = one_of_kinds(draw, kind, ("image", "exposure_map", "rate_map"))
    single = draw(st.booleans())
    shared: dict[str, Any] = {
        "obs_id": draw(OBS_IDS) if single else "combined",
        "exposure_id": draw(EXPOSURE_IDS) if single else "",
        "instrument": draw(st.sampled_from(CAMERAS)) if single else "combined",
        "band": draw(bands()),
        "grid": draw(grids(sky=None if single else False)),
        "target": draw(st.none() | NAME),
        "hdu": draw(st.integers(0, 2)),
    }
    if chosen == "image":
        return Image(path=draw(PATHS), digest=draw(DIGESTS), **shared)
    exposure = ExposureMap(path=draw(PATHS), digest=draw(DIGESTS), **shared)
    if chosen == "exposure_map":
        return exposure
    return RateMap(image=Image(path=draw(PATHS), digest=draw(DIGESTS), **shared), exposure=exposure)
