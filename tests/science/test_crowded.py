"""Sources solved together: the published example of XAP, recovery of known rates, intervals that hold."""

import re

import numpy as np
import pytest
from numpy.linalg import solve

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science.crowded import crowded_rates
from xphotfn.science.intervals import on_off_interval

PUBLISHED = (2.504735e-04, 8.667643e-05, 7.024156e-06, 1.735807e-05)
COUNTS, BACKGROUND = np.array([2395.0, 759.0, 90.0, 273.0]), 1043.0


@pytest.fixture(scope="module")
def response(folders_root):
    """The response matrix of the log: four sources and the background in four circles and the ring."""
    text = (folders_root / "chandra_xap" / "published.log").read_text()
    block = re.search(r"^F:\n(\[\[.*?\]\])", text, re.MULTILINE | re.DOTALL)[1]
    rows = re.findall(r"\[([^\[\]]+)\]", block)
    return np.array([[float(v) for v in re.findall(r"[\d.]+e[+-]\d+", row)] for row in rows])


def of_circles(matrix, which):
    """Return what crowded_rates takes of some of the circles."""
    some = list(which)
    return {
        "counts": COUNTS[some], "response": matrix[np.ix_(some, some)], "background": np.full(len(some), BACKGROUND),
        "alpha": matrix[some, 4] / matrix[4, 4], "ring_response": np.tile(matrix[4, some], (len(some), 1)),
    }  # fmt: skip


def test_four_sources_of_chandra_have_the_published_rates(response):
    found = crowded_rates(**of_circles(response, range(4)))
    np.testing.assert_allclose(found.rate, PUBLISHED, rtol=1e-3)
    np.testing.assert_allclose(found.rate, solve(response, [*COUNTS, BACKGROUND])[:4], rtol=1e-6)
    for number, ends in ((0, (2.453738e-04, 2.557455e-04)), (2, (6.038933e-06, 8.099839e-06)),
                         (3, (1.557834e-05, 1.921893e-05))):  # fmt: skip
        interval = on_off_interval(COUNTS[number], found.background[number], found.alpha[number])
        assert np.array(interval) / found.exposure[number] == pytest.approx(ends, rel=5e-3)


def test_alone_three_are_right_and_the_one_in_a_wing_is_half_too_bright(response):
    for number in (0, 1, 2):
        alone = crowded_rates(**of_circles(response, [number]))
        assert alone.rate[0] == pytest.approx(PUBLISHED[number], rel=5e-3)
        assert alone.background[0] == pytest.approx(BACKGROUND)
    assert crowded_rates(**of_circles(response, [3])).rate[0] == pytest.approx(1.5 * PUBLISHED[3], rel=0.01)


def test_intervals_hold_where_circles_overlap():
    """Three circles of which two share a third of their pixels; pulls of simulated counts are normal."""
    rng, size = np.random.default_rng(3), 150
    rates, response = np.array([200.0, 90.0, 40.0]), np.array([[0.7, 0.25, 0.02], [0.2, 0.7, 0.1], [0.02, 0.1, 0.7]])
    both = np.array([0.15, 0.15, 0.0])  # of the light of each, what lies in circles 0 and 1 at once
    pulls, covered = [], []
    for _ in range(size):
        shared = rng.poisson(both @ rates)
        own = rng.poisson(response @ rates - np.array([1, 1, 0]) * (both @ rates) + 8.0)
        n = own + np.array([shared, shared, 0])
        b = rng.poisson(80.0, 3)
        in_both = np.zeros((3, 3))
        in_both[0, 1] = in_both[1, 0] = shared
        found = crowded_rates(n, response, background=b, alpha=np.full(3, 0.1), in_both=in_both)
        single = n / found.dispersion, found.background / found.dispersion, found.alpha
        low, high = (
            np.array(v) / found.exposure * found.dispersion for v in on_off_interval(np.rint(single[0]), *single[1:])
        )
        pulls.append((found.rate - rates) / ((high - low) / 2))
        covered.append((low <= rates) & (rates <= high))
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.25
    assert np.all((np.std(pulls, axis=0) > 0.85) & (np.std(pulls, axis=0) < 1.15))
    assert np.all((np.mean(covered, axis=0) > 0.57) & (np.mean(covered, axis=0) < 0.79))


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"response": [[1.0, 1.0], [1.0, 1.0]]}, InvalidRecord, "at one place"),
        ({"response": [[1.0, 0.1]]}, ShapeMismatch, "square"),
        ({"background": [1.0]}, ShapeMismatch, "as many"),
        ({"counts": [-1, 3]}, InvalidRecord, "not negative"),
        ({"alpha": [0.1, 0.0]}, InvalidRecord, "above 0"),
        ({"alpha": [0.1, np.nan]}, InvalidRecord, "alpha must be finite"),
        ({"response": [[1.0, np.nan], [0.1, 1.0]]}, InvalidRecord, "response must be finite"),
        ({"response": np.ma.array(np.eye(2), mask=np.eye(2))}, InvalidRecord, "not masked"),
        ({"response": [[0.0, 1.0], [1.0, 0.5]]}, InvalidRecord, "diagonal, got 0 for circle 0"),
        ({"response": [[0.1, 1.0], [1.0, 0.1]]}, InvalidRecord, "order of its columns"),
        ({"in_both": [[0, 4], [4, 0]]}, InvalidRecord, "share 4 counts, of which one has only 3"),
        ({"in_both": [[0, 2], [1, 0]]}, InvalidRecord, "symmetric"),
    ],
)
def test_what_cannot_be_solved_is_refused(how, error, words):
    good = {"counts": [5, 3], "response": np.eye(2), "background": [1.0, 1.0], "alpha": [0.1, 0.1]}
    with pytest.raises(error, match=words):
        crowded_rates(**{**good, **how})


def test_a_masked_count_is_not_read():
    good = {"response": np.eye(2), "background": [1.0, 1.0], "alpha": [0.1, 0.1]}
    found = crowded_rates(np.ma.array([5, 3], mask=[True, False]), **good)
    assert np.isnan(found.rate[0])
