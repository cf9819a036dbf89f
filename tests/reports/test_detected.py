"""The sources that a run has found, in pictures and on the pages of a report."""

from html import escape

import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.plot.overlays import overlay
from xphotfn.reports.detected import residual_levels
from xphotfn.testing.examples import example_detection, example_rate_map, example_source_list


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    xp.report(example_detection(), folder / "report", progress=False)
    return (folder / "report" / "targets" / "example.html").read_text(), folder / "report" / "pictures"


def test_the_report_lists_the_sources_and_draws_them(page):
    text, pictures = page
    found = xp.source_lists(example_detection())["0999990101"]
    for source in found:
        assert f'<td data-v="{source.ra_deg:.9g}">{source.ra_deg:.5f}</td>' in text
    assert escape(str(found)) in text
    assert "example-0999990101-residual.png" in text
    assert (pictures / "example-0999990101-residual.png").read_bytes().startswith(b"\x89PNG")
    drawn = text.count('class="interloper"')
    assert drawn >= len(found.points)
    assert text.count("0999990101 pn") > 0
    assert "epic" not in {line.partition("</th>")[0] for line in text.split("<th")}  # a list is no map


def test_what_is_left_of_a_fit_is_noise():
    """Of the example's own model: sigma of the smoothed residual is 1, so 95 % lie within 2 of the 5 sigma shown."""
    run = example_detection()
    path = next(p for product, p, _ in run.products() if product.kind == "background_map")
    with fits.open(path) as hdus:
        model = sum(hdus[n].data.astype(float) for n in (0, "SOURCES"))
    levels = residual_levels(example_rate_map().counts.astype(float), model)
    part = (levels[levels > 0].astype(float) - 32) / 31 * 5
    assert abs(part.mean()) < 0.1
    assert np.mean(np.abs(part) < 2) > 0.93
    noise = residual_levels(np.random.default_rng(1).poisson(4.0, (200, 200)), np.full((200, 200), 4.0))
    assert ((noise.astype(float) - 32) / 31 * 5)[10:-10, 10:-10].std() == pytest.approx(1, abs=0.1)


def test_view_draws_the_regions_of_a_list():
    example, grid = example_source_list(), example_rate_map().grid
    one = overlay(grid, None, (), np.zeros((0, 2)), example).regions
    assert [(r.role, r.shape.shape) for r in one] == [("source", "ellipse"), ("source", "circle"), ("source", "circle")]
    x, y = xp.coord_conv(example_rate_map(), example[1].position, "pix", rounded=False).value
    assert (one[1].shape.x, one[1].shape.y) == (pytest.approx(float(x)), pytest.approx(float(y)))
    regions = overlay(grid, None, (), np.zeros((0, 2)), xp.source_regions(example)).regions
    assert regions == one
    both = overlay(grid, None, (), np.zeros((0, 2)), {"a": example, "b": example}).regions
    assert len(both) == 6
