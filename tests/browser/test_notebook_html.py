"""The HTML of records, drawn by a real browser on a light and a dark page, and what may go wrong in it."""

import re

import numpy as np
import pytest
from attrs import evolve

import xphotfn as xp
from xphotfn.io.thumbnails import _palette as palette, thumbnail
from xphotfn.records import FoundFile
from xphotfn.records.outcome import Done, Failed, Skipped
from xphotfn.testing.examples import example_field, example_rate_map, example_run

EVIL = "<script>document.title='broken in'</script><img src=x onerror=\"document.title='broken in'\">"
BAND = xp.energy_band("0.5 keV", "2 keV")
WIDTH = 900

# The page tells about itself: what is wider than the block that holds it, and any text without contrast.
SCRIPT = """
const wide = [...document.querySelectorAll('.xphotfn')].filter(e => e.scrollWidth > e.clientWidth + 1).length;
const lost = [...document.images].filter(i => !i.naturalWidth).length;
const r = document.querySelector('svg text').getBoundingClientRect();
const box = document.querySelector('svg rect').getBoundingClientRect();
const inside = [...document.querySelectorAll('svg g')].every(g => {
  const t = g.querySelector('text').getBoundingClientRect(), b = g.querySelector('rect').getBoundingClientRect();
  return t.left >= b.left && t.right <= b.right;
});
document.body.dataset.report = `blocks=${document.querySelectorAll('.xphotfn').length} wide=${wide} lost=${lost} ` +
  `inside=${inside} title=${document.title}`;
"""


def plan_from_events(observations=3):
    """Return a plan that makes everything: of event lists that are only named."""
    field = example_field()
    (member,) = field.members
    (exposure,) = member.observation.exposures
    made = [
        evolve(
            exposure,
            instrument=camera,
            exposure_id=f"S00{n}",
            products=[],
            events=FoundFile(path=f"/d/{camera}.fits", size=1, mtime_ns=n),
        )
        for n, camera in enumerate(("mos1", "mos2"), 1)
    ]
    attitude = FoundFile(path="/d/attitude.fits", size=1, mtime_ns=1)
    members = [
        evolve(
            member, observation=evolve(member.observation, obs_id=f"099999{n:02d}01", exposures=made, attitude=attitude)
        )
        for n in range(observations)
    ]
    return xp.plan_photometry(evolve(field, members=members), BAND)


def failed_run(plan):
    """Return a run whose fifth step failed, with all that wait for it skipped."""
    bad = next(s for s in plan.steps if s.command.task == "evselect")
    lost, outcomes = {bad.id}, []
    for step in plan.steps:
        if step.id == bad.id:
            outcomes.append(Failed(step=step.id, reason=f"evselect returned 1 {EVIL}", log="first line\nlast line"))
        elif lost & set(step.needs):
            lost.add(step.id)
            outcomes.append(Skipped(step=step.id, because=bad.id))
        else:
            outcomes.append(Done(step=step.id, key="k", outputs=(), seconds=1.0, warnings=("attitude is short",)))
    return xp.Run(plan=plan, outcomes=outcomes, store="products", engine="native-1")


@pytest.fixture(scope="module")
def records():
    """One of each, with hostile text wherever people's text may stand."""
    field, rate_map = example_field(), example_rate_map()
    plan = plan_from_events()
    evil = evolve(field.target, name=EVIL, extra={EVIL: EVIL})
    observation = evolve(field.observations[0], object_name=EVIL, left_out=[xp.LeftOut(file=EVIL, reason="undecided")])
    return {
        "band": BAND,
        "target": evil,
        "field": evolve(field, target=evil, left_out=[("0999990301", EVIL)]),
        "observation": observation,
        "exposure": observation.exposures[0],
        "member": field.members[0],
        "plan": plan,
        "large plan": plan_from_events(40),
        "small plan": example_run().plan,
        "run": example_run(),
        "failed run": failed_run(plan),
        "rate map": evolve(rate_map, image=evolve(rate_map.image, target=EVIL)),
        "image": rate_map.image,
        "exposure map": rate_map.exposure,
        "file gone": evolve(rate_map.image, path=f"/nowhere/{EVIL}.fits"),
        "measurement": xp.snr(rate_map, field, "r500"),
        "peak": xp.find_peak(rate_map, field),
        "diff": xp.diff_plans(plan, plan_from_events(4)),
        "info": xp.info(evolve(field, target=evil), run=None),
        "grid": rate_map.grid,
        "step": plan.steps[0],
        "command": plan.steps[-1].command,
    }  # fmt: skip


@pytest.fixture(scope="module")
def html(records):
    return {name: record._repr_html_() for name, record in records.items()}


def page(html, scheme):
    body = "<hr>".join(html.values())
    colours = {"light": "background:#fff;color:#000", "dark": "background:#111;color:#ddd"}[scheme]
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>calm</title></head><body style="{colours};'
        f'color-scheme:{scheme};font:13px sans-serif">{body}<script>{SCRIPT}</script></body></html>'
    )


@pytest.fixture
def browse(chromium, tmp_path):
    """Open the text of a page and return what the browser prints."""

    def start(text, *options):
        source = tmp_path / "page.html"
        source.write_text(text, encoding="utf-8")
        return chromium(source.as_uri(), *options, size=f"{WIDTH},5000")

    return start


@pytest.mark.browser
def test_everything_is_drawn_and_nothing_overflows(html, browse, tmp_path):
    picture = tmp_path / "dark.png"
    dom = browse(page(html, "dark"), "--dump-dom", f"--screenshot={picture}")
    report = re.search(r'data-report="([^"]*)"', dom)[1]
    assert report == f"blocks={len(html)} wide=0 lost=0 inside=true title=calm"
    assert "0999990101" in dom
    assert picture.stat().st_size > 10_000
    plt = pytest.importorskip("matplotlib.image")
    pixels = plt.imread(picture)[..., :3]
    background = np.array([0x11] * 3) / 255
    drawn = np.abs(pixels - background).max(axis=2) > 0.3
    assert pixels.shape[1] == WIDTH
    assert 0.01 < drawn.mean() < 0.4
    used = np.flatnonzero(drawn.any(axis=1))
    assert np.diff(used).max() < 80  # no part of the page, up to the last record, is blank


@pytest.mark.slow
@pytest.mark.browser
def test_a_light_page_shows_dark_text(html, browse, tmp_path):
    picture = tmp_path / "light.png"
    browse(page(html, "light"), f"--screenshot={picture}")
    pixels = pytest.importorskip("matplotlib.image").imread(picture)[..., :3]
    grey = np.ptp(pixels, axis=2) < 0.05
    assert 0.01 < (grey & (pixels.max(axis=2) < 0.5)).mean() < 0.4


def test_html_loads_nothing_and_escapes_everything(html):
    for name, text in html.items():
        assert "<script" not in text, name
        assert 'onerror="' not in text, name
        sources = re.findall(
            r'(?:src|href|url)\s*[=(]\s*["\']?([^"\'\s>]{0,22})', re.sub(r"&[a-z#0-9]+;.*?&gt;", "", text)
        )
        assert all(s.startswith("data:image/png;base64,") for s in sources), (name, sources)
        assert not re.search(
            r"(?<![-\w])(background|color):\s*(#|rgb\(|black|white)", text.replace("color:#d9534f", "")
        ), name


def test_html_names_what_matters(html):
    assert "1 step" not in html["run"]
    assert (
        html["failed run"].index("returned 1")
        < html["failed run"].index("skipped")
        < html["failed run"].index("Were there")
    )
    assert "last line" in html["failed run"]
    assert "attitude is short" in html["failed run"]
    assert html["plan"].count("<rect") > html["large plan"].count("<rect") > 3
    assert "160 \N{MULTIPLICATION SIGN} " not in html["large plan"]
    assert "80 \N{MULTIPLICATION SIGN} evselect" in html["large plan"]
    assert "2 found files" in html["small plan"]
    assert "no picture" in html["file gone"]
    assert "Counts" in html["rate map"]
    assert "0999990301" in html["field"]


def test_thumbnail_is_a_png_of_the_map_with_north_up():
    plt = pytest.importorskip("matplotlib.image")
    import io

    values = np.zeros((400, 600))
    values[300:, :200] = 50.0  # upper left on the sky
    values[:100, 400:] = 1.0
    values[0, 0] = np.nan
    pixels = plt.imread(io.BytesIO(thumbnail(values)))
    assert pixels.shape[:2] == (100, 150)
    colours = palette() / 255
    assert np.allclose(
        pixels[5, 5, :3], colours[254], atol=0.01
    )  # the last colour of a picture is that of what was not exposed
    assert np.allclose(pixels[-3, -3, :3], colours[round(254 * np.log(2) / np.log(100))], atol=0.05)
    assert np.allclose(pixels[-3, 3, :3], colours[0], atol=0.01)


def test_thumbnail_averages_blocks_at_the_rim_too():
    plt = pytest.importorskip("matplotlib.image")
    import io

    pixels = plt.imread(io.BytesIO(thumbnail(np.full((181, 7), 3.0))))
    assert pixels.shape[:2] == (91, 4)
    assert np.ptp(pixels[..., :3], axis=(0, 1)).max() == 0


def test_colours_of_thumbnails_are_inferno():
    mpl = pytest.importorskip("matplotlib")
    expected = 255 * mpl.colormaps["inferno"](np.arange(256))[:, :3]
    assert np.abs(palette() - expected).max() < 8


@pytest.mark.parametrize("value", [0.0, np.nan, -1.0, np.inf])
def test_thumbnail_of_nothing(value):
    assert thumbnail(np.full((10, 10), value)).startswith(b"\x89PNG")


def test_reprs_hold_no_list_of_regions(records):
    for name, record in records.items():
        if name not in ("info", "target"):
            assert len(repr(record)) < 500, name
            assert "\n" not in repr(record), name
