"""alpha of vignetted, unvignetted and mixed backgrounds, and what the wrong one does to blank sky."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch
from xphotfn.science.background_ratio import (
    background_weights,
    mixed_alpha,
    net_bias,
    unvignetted_alpha,
    vignetted_alpha,
)
from xphotfn.science.pixel_masks import annulus, disc
from xphotfn.science.significance import li_ma_significance, log_p_value, mid_p_significance

SOURCE, BACKGROUND = [10.0, 9.0, 8.0], [7.0, 6.0, 5.0, 4.0, 3.0, 2.0]
FLAT = [10.0] * 3, [10.0] * 6


def test_values_of_the_reference():
    assert vignetted_alpha(SOURCE, BACKGROUND) == 1.0
    assert unvignetted_alpha(*FLAT) == 0.5
    assert mixed_alpha(SOURCE, BACKGROUND, *FLAT, 0.5) == pytest.approx(0.6551724138, abs=1e-10)
    right, wrong = vignetted_alpha(SOURCE, BACKGROUND), unvignetted_alpha(*FLAT)
    assert float(li_ma_significance(20, 20, right)) == 0
    assert float(log_p_value(20, 20, right)) == pytest.approx(-0.5750346991, abs=1e-9)
    assert float(li_ma_significance(20, 20, wrong)) == pytest.approx(2.170557861, abs=1e-9)
    assert float(log_p_value(20, 20, wrong)) == pytest.approx(-3.84246273, abs=1e-8)


def test_pure_mixtures_are_the_pure_ratios():
    assert mixed_alpha(SOURCE, BACKGROUND, *FLAT, 1) == vignetted_alpha(SOURCE, BACKGROUND)
    assert mixed_alpha(SOURCE, BACKGROUND, *FLAT, 0) == unvignetted_alpha(*FLAT)


@given(fraction=st.floats(0, 1), scale=st.floats(1e-3, 1e3))
def test_a_mixture_lies_between_and_knows_no_unit(fraction, scale):
    found = mixed_alpha(SOURCE, BACKGROUND, *FLAT, fraction)
    assert 0.5 <= found <= 1.0
    scaled = [np.multiply(v, scale) for v in (SOURCE, BACKGROUND, *FLAT)]
    assert mixed_alpha(*scaled, fraction) == pytest.approx(found, rel=1e-12)


def test_pixels_off_the_detector_add_nothing():
    assert vignetted_alpha([*SOURCE, 0, -1, np.nan], BACKGROUND) == vignetted_alpha(SOURCE, BACKGROUND)
    weights = background_weights([4.0, 0.0, np.nan, 4.0], [5.0, 5.0, 5.0, 0.0], 0.25)
    assert weights.tolist() == [4.75, 0, 0, 0]


def test_what_is_refused():
    with pytest.raises(NoData, match="background"):
        vignetted_alpha(SOURCE, [0.0, np.nan])
    with pytest.raises(NoData, match="source"):
        unvignetted_alpha([], BACKGROUND)
    with pytest.raises(InvalidRecord, match="fraction"):
        mixed_alpha(SOURCE, BACKGROUND, *FLAT, 1.2)
    with pytest.raises(ShapeMismatch):
        mixed_alpha(SOURCE, BACKGROUND, [1.0], FLAT[1], 0.5)


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_only_the_right_alpha_leaves_blank_sky_blank(fraction):
    """A source 8 arcmin off axis, its background around the axis: simulated counts, 4000 blank fields."""
    y, x = np.indices((240, 240))
    live = np.full((240, 240), 1e4)
    exposure = live / (1 + (np.hypot(x - 60, y - 120) / 120) ** 2)
    source, background = disc((240, 240), 180.0, 120.0, 15.0), annulus((240, 240), 60.0, 120.0, 0.0, 30.0)
    mean = 0.2 * background_weights(exposure, live, fraction) / 1e4
    rng = np.random.default_rng(5)
    n, b = (rng.poisson(mean[region].sum(), 4000) for region in (source, background))
    pixels = [a[m] for a in (exposure, live) for m in (source, background)]
    right = mixed_alpha(*pixels, fraction)
    error = 1 / np.sqrt(4000)
    assert abs(mid_p_significance(n, b, right).mean()) < 4 * error
    for wrong in (vignetted_alpha(*pixels[:2]), unvignetted_alpha(*pixels[2:])):
        net = (n - wrong * b).mean()
        expected = net_bias(wrong, right, mean[background].sum())
        assert net == pytest.approx(float(expected), abs=4 * error * np.sqrt(n.mean() + wrong**2 * b.mean()))
        if wrong != pytest.approx(right):
            assert abs(mid_p_significance(n, b, wrong).mean()) > 1
