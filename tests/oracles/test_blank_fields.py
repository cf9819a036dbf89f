"""Blank sky through the whole chain: simulated events, native images and exposure maps, masks, significances."""

import math
import runpy

import numpy as np
import pytest
from scipy import stats


@pytest.fixture(scope="module")
def script(project_root):
    return runpy.run_path(str(project_root / "benchmarks" / "blank_fields.py"))


@pytest.fixture(scope="module")
def few(script):
    """Two fields of sky and one of sky with particles."""
    return {kind: script["fields"](kind, count, seed=5) for kind, count in (("sky", 2), ("cluster", 1))}


def pulls(found, name, power=1):
    """Return values of a method, less what exact sums expect of mid-p there, over their expected scatter."""
    values = np.array([v[name] ** power for places in found for _, _, v in places])
    expected = np.array([m[power - 1] for places in found for _, m, _ in places])
    return (values - expected).sum() / math.sqrt(len(values) * (1 if power == 1 else 2))


def test_a_few_fields_are_blank(few):
    """Within 4 sigma of the scatter of independent places; XGA's default and the wrong alpha are far outside."""
    assert sum(map(len, few["sky"])) == 12
    assert abs(pulls(few["sky"], "mid-p")) < 4
    assert abs(pulls(few["sky"], "mid-p", power=2)) < 4
    assert pulls(few["sky"], "xga") > 15
    assert abs(pulls(few["cluster"], "mid-p, mixed alpha")) < 4
    assert pulls(few["cluster"], "mid-p") < -4


def test_the_scenes_are_empty_and_differ(script):
    for kind in ("sky", "cluster"):
        scenes = [script["blank_scene"](kind, number, 1) for number in range(0, 200, 10)]
        assert not any(scene.all_sources for scene in scenes)
        assert {scene.particle_rate > 0 for scene in scenes} == {kind == "cluster"}
        assert len({scene.sky_rate for scene in scenes}) == len(scenes)
        assert len({scene.pointings[0].pa_deg for scene in scenes}) == 8  # 25 fields share a pointing


def test_exact_sums_of_one_place(script):
    """Against a Poisson sample."""
    source, background, alpha = 3.0, 5.0, 0.6
    mean, square, *alarms = script["moments"](source, background, alpha)
    random = np.random.default_rng(1)
    n, b = random.poisson(source, 200_000), random.poisson(background, 200_000)
    z = script["mid_p_significance"](n, b, alpha)
    assert z.mean() == pytest.approx(mean, abs=4 / math.sqrt(z.size))
    assert (z**2).mean() == pytest.approx(square, abs=4 * math.sqrt(2 / z.size))
    for sigma, alarm in zip((1, 2, 3), alarms, strict=True):
        assert (np.abs(z) >= sigma).mean() == pytest.approx(alarm, abs=4 * math.sqrt(alarm / z.size) + 1e-6)


def test_averages_over_fields(script):
    mean, error = script["average"]([np.array([1.0, 3.0]), np.array([5.0]), np.array([])])
    assert (mean, error) == (3.5, pytest.approx(1.5))


@pytest.mark.slow
def test_a_thousand_fields(script):
    """Mean, width and false alarms of the default: within three errors of exact sums, and of a unit normal."""
    found = script["fields"]("sky", 1000, seed=1)
    assert len(found) == 1000
    mean, width, alarms, number = script["statistics"](found, "mid-p")
    assert number == 6000
    expected_mean, expected_width, expected_alarms = script["expectation"](found)
    assert abs(mean[0]) <= 3 * mean[1]
    assert abs(mean[0] - expected_mean) <= 3 * mean[1]
    assert abs(width[0] - expected_width) <= 3 * width[1]
    for (rate, error), expected in zip(alarms, expected_alarms, strict=True):
        assert abs(rate - expected) <= 3 * error
    assert script["statistics"](found, "xga")[0][0] > 5
    many = script["statistics"](found, "mid-p", lambda expected: expected >= 40)
    assert abs(many[1][0] - 1) <= 3 * many[1][1]
    assert many[2][2][0] <= 2 * stats.norm.sf(3) + 3 * many[2][2][1]
