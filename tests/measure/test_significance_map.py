"""A significance map is snr at each of its pixels."""

import astropy.units as u
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.errors import InvalidRecord
from xphotfn.science.coords import pix_to_deg
from xphotfn.testing.examples import example_field, example_rate_map

RADIUS, RING = 40 * u.arcsec, (1.2, 2.5)
PLACES = [(256, 255), (300, 330), (120, 200), (20, 256), (256, 500), (200, 180)]  # x, y: source, sky, rim


@pytest.mark.parametrize("method", ["mid-p", "li-ma"])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_snr_of_a_circle_around_each_pixel(method, weighted):
    item, field = example_rate_map(), example_field()
    weights = np.ones(item.grid.shape) if weighted else None
    found = xp.significance_map(item, field, radius=RADIUS, background=RING, method=method, background_weights=weights)
    seen = 0
    for x, y in PLACES:
        at = xp.with_centre(field, np.array(pix_to_deg(item.grid, x, y)) * u.deg)
        try:
            one = float(xp.snr(item, at, RADIUS, background=RING, method=method, background_weights=weights))
        except xp.errors.NoData:
            assert np.isnan(found[y, x])
            continue
        assert found[y, x] == pytest.approx(one, rel=1e-9, abs=1e-9)
        seen += 1
    assert seen >= 4


def test_what_it_does_not_know_is_refused():
    with pytest.raises(InvalidRecord, match="not by xga"):
        xp.significance_map(example_rate_map(), radius=RADIUS, method="xga")
    with pytest.raises(InvalidRecord, match="two factors"):
        xp.significance_map(example_rate_map(), radius=RADIUS, background=1.5)
    with pytest.raises(InvalidRecord, match="above 0"):
        xp.significance_map(example_rate_map(), radius=0 * u.arcsec)
    with pytest.raises(InvalidRecord, match="expected RateMap"):
        xp.significance_map([example_rate_map()], radius=RADIUS)
    with pytest.raises(InvalidRecord, match="expected Field"):
        xp.significance_map(example_rate_map(), "field", radius=RADIUS)
    with pytest.raises(InvalidRecord, match="wider than the map"):
        xp.significance_map(example_rate_map(), radius=RADIUS, background=(1.5, 1e9))
    with pytest.raises(InvalidRecord, match="wider than the map"):
        xp.significance_map(example_rate_map(), radius=100 * u.deg)
