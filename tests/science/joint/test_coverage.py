"""Coverage of joint intervals and limits, and false alarms: a small part of the published table, and that table."""

import csv
import itertools
import runpy

import numpy as np
import pytest


@pytest.fixture(scope="module")
def bench(project_root):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(project_root / "benchmarks"))
        return runpy.run_path(str(project_root / "benchmarks" / "joint_coverage.py"))


@pytest.mark.parametrize(
    ("kind", "maps", "alpha", "background"),
    [
        ("flat", 9, 0.84, 3.0),
        ("flat", 18, 0.84, 30.0),
        ("unequal", 9, 0.3, 10.0),
        ("point", 2, 0.84, 1.0),
        ("extended", 9, 0.3, 10.0),
    ],
)
def test_intervals_and_limits_cover(bench, kind, maps, alpha, background):
    """Four standard errors of 1500 draws; a flat prior on each background covers 36 % with nine maps, not 68 %."""
    _, _, interval, _, _, limit, outside = bench["coverage"](kind, maps, alpha, background, draws=1500)
    assert 0.66 - 0.04 < interval < 0.72 + 0.04
    assert 0.94 - 0.02 < limit < 0.98 + 0.02
    assert outside == 0


@pytest.mark.parametrize("contrast", [1.0, 10.0])
@pytest.mark.parametrize("method", ["mid-p", "exact"])
def test_blank_sky_has_no_more_false_alarms_than_nominal(bench, method, contrast):
    """Six maps at alpha 0.8, where the likelihood ratio with free backgrounds has 2.6 times nominal."""
    for background in (3.0, 18.0, 60.0):
        ratio, error = bench["false_alarms"](6, 0.8, background, method=method, draws=15_000, contrast=contrast)
        assert ratio < 1.1
        assert error < 0.08


def test_weights_of_draws_add_up(bench):
    """What is drawn with more counts and weighted back has the tail of the binomial distribution, summed exactly."""
    from scipy import stats

    n, b = np.arange(60)[:, None], np.arange(60)[None, :]
    p = stats.poisson.pmf(n, 10.0) * stats.poisson.pmf(b, 10.0 / 0.84)
    tail = stats.binom.sf(n, n + b, 0.84 / 1.84) + 0.5 * stats.binom.pmf(n, n + b, 0.84 / 1.84)
    exact = float(np.sum(p[tail <= stats.norm.sf(3)])) / stats.norm.sf(3)
    ratio, error = bench["false_alarms"](1, 0.84, 10.0, draws=15_000)
    assert abs(ratio - exact) < 4 * error


@pytest.mark.parametrize(("maps", "source"), [(2, 20.0), (9, 100.0)])
def test_maps_of_one_rate_seldom_disagree(bench, maps, source):
    assert bench["disagreement"](maps, 0.84, 10.0, source, draws=40_000) < 1.1 + 0.55  # four standard errors


def test_the_published_table(project_root):
    """What the page and the README say of every row with one background count or more."""
    with (project_root / "docs" / "tables" / "joint_coverage.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if float(row["background counts"]) >= 1]
    kinds = {(row["light"], int(row["maps"]), float(row["alpha"])) for row in rows}
    assert set(itertools.product(("flat", "point", "extended"), (1, 2, 9, 18), (0.04, 0.3, 0.84))) <= kinds
    for row in rows:
        assert 0.66 <= float(row["68 %"]) <= 0.72, row
        assert 0.94 <= float(row["95 %"]) <= 0.98, row
        assert float(row["outside its interval"]) == 0, row
        for method in ("mid-p", "exact"):
            assert float(row[method] or 0) <= 1.1, row


@pytest.mark.parametrize("source", [0.0, 30.0])
def test_averages_by_exposure_are_unbiased_and_joint_rates_nearly(bench, source):
    """What the page says of the mean of rates: it was told as unbiased, and is not where backgrounds differ much."""
    draws = 8000
    for name, (alpha, background) in bench["UNLIKE"].items():
        mean, scatter, plain, plain_scatter, *_ = bench["bias"](alpha, background, source, draws=draws)
        assert abs(plain) < 4 * plain_scatter / draws**0.5, name
        assert abs(mean) < 0.25 * scatter, name
    alike, unlike = (bench["bias"](*bench["UNLIKE"][name], 0.0, draws=draws) for name in list(bench["UNLIKE"])[::4])
    assert abs(alike[0]) < 4 * alike[1] / draws**0.5
    assert unlike[0] > 0.1 * unlike[1]


def test_the_page_prints_the_measured_bias(bench, project_root):
    text = (project_root / "docs" / "statistics.md").read_text(encoding="utf-8")
    table = text.split("<!-- joint: bias -->")[1].split("<!-- end of joint: bias -->")[0]
    lines = {cells[0]: cells[1:] for cells in ([c.strip() for c in r.split("|")[1:-1]] for r in table.split("\n") if r)}
    for name, (alpha, background) in bench["UNLIKE"].items():
        mean, scatter, *_, sigma, error = bench["bias"](alpha, background, 0.0, draws=8000)
        assert abs(float(lines[name][0].split()[0]) - mean) < 4 * scatter / 8000**0.5 + 0.025, name
        assert abs(float(lines[name][-1]) - sigma) < 4 * error + 0.01, name
