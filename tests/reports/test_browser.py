"""Reports in a real browser: sorting, filtering, keys, narrow screens, dark mode, and that nothing else may load."""

import base64
import hashlib
import html
import json
import re

import numpy as np
import pytest
from matplotlib.image import imread

from xphotfn.reports.detected import sources_section
from xphotfn.reports.page import page
from xphotfn.testing.examples import example_source_list

pytestmark = pytest.mark.browser

# Chromium has no window narrower than 500 pixels, so a page stands in a frame. What it finds goes to the page around
# it, which Chromium prints as it stands in the end.
FRAME = """<!doctype html><iframe src="%s" width="360" height="800" style="border: 0"></iframe><script>
addEventListener("message", (event) => {
  const out = document.createElement("pre");
  out.id = "result"; out.textContent = event.data; document.body.append(out);
});
</script>"""
RESULT = """<script>
const result = {};
const done = () => parent.postMessage(JSON.stringify(result), "*");
%s
</script>"""

MANY = """
const key = (name, target = document.body) =>
  target.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true, cancelable: true}));
const shown = () => [...document.querySelectorAll("#targets tbody tr")].filter((r) => !r.hidden);
const column = (name) => shown().map((r) => r.querySelector("." + name).dataset.v);
const head = (name) => document.querySelector(`th[data-key=${name}]`);
const press = (name) => head(name).querySelector("button").click();
const filter = (text) => { box.value = text; box.dispatchEvent(new Event("input", {bubbles: true})); };
const box = document.getElementById("filter");
const measure = () => {
  result.opened_ms = performance.now();
  result.fromHash = column("snr").slice(0, 3);
  result.width = [innerWidth, document.scrollingElement.scrollWidth];
  const style = (element, part) => getComputedStyle(element, part);
  result.card = [style(shown()[0]).display, style(shown()[0].querySelector(".snr"), "::before").content];
  const before = performance.now();
  press("snr");
  document.body.offsetHeight;
  result.sort_ms = performance.now() - before;
  press("snr");
  result.down = column("snr"); result.ariaDown = head("snr").getAttribute("aria-sort"); result.hashDown = location.hash;
  press("snr");
  result.up = column("snr"); result.ariaUp = head("snr").getAttribute("aria-sort");
  press("snr");
  result.unsorted = [column("snr").slice(0, 3), head("snr").hasAttribute("aria-sort")];
  press("offset");
  result.offset = column("offset");
  press("name"); press("name"); press("name");
  key("/");
  result.slash = document.activeElement === box;
  filter("j001");
  result.filtered = shown().length; result.said = document.getElementById("shown").textContent;
  filter("J0012 0000001101");
  result.two = shown().map((r) => r.querySelector("th").firstElementChild.textContent);
  key("Escape", box);
  result.escaped = [box.value, shown().length, document.activeElement === box];
  const chip = document.querySelector("[data-flag=few-counts]");
  chip.click();
  result.chip = [shown().length, chip.getAttribute("aria-pressed"), location.hash];
  key("j"); key("j");
  result.j = document.activeElement.textContent;
  key("k");
  result.k = document.activeElement.textContent;
  document.getElementById("gallery").click();
  result.gallery = [location.hash, document.scrollingElement.scrollWidth];
  location.hash = "#q=XCS+J0499&sort=name";
};
addEventListener("hashchange", () => { result.shared = [shown().length, box.value]; done(); });
measure();
"""

TARGET = """
const circle = document.querySelector(".large .source");
const visible = () => getComputedStyle(circle).display;
result.width = [innerWidth, document.scrollingElement.scrollWidth];
result.before = visible();
document.querySelector(".show-region").click();
result.after = visible();
result.veil = getComputedStyle(document.querySelector(".veil")).display;
result.blocked = [];
addEventListener("securitypolicyviolation", (event) => {
  result.blocked.push(event.effectiveDirective);
  if (result.blocked.length === 3) done();
});
const image = new Image(); image.src = "https://example.org/x.png";
const script = document.createElement("script");
script.textContent = "document.title = 'taken'";
document.body.append(script);
document.body.setAttribute("style", "color: red");
result.title = document.title;
"""

SOURCES = """
const table = document.querySelector("table.sortable");
const head = (name) => table.querySelector(`th[data-key=${name}]`);
const press = (name) => head(name).querySelector("button").click();
const values = (name) => [...table.tBodies[0].rows].map((r) => r.cells[head(name).cellIndex].dataset.v);
result.width = [innerWidth, document.scrollingElement.scrollWidth];
result.listed = values("name");
press("detml"); result.down = values("detml"); result.aria = head("detml").getAttribute("aria-sort");
press("detml"); result.up = values("detml");
press("extml"); result.unknown = values("extml"); result.moved = head("detml").hasAttribute("aria-sort");
press("name"); result.first = values("name");
press("name"); press("name"); result.back = values("name"); result.none = head("name").hasAttribute("aria-sort");
done();
"""


@pytest.fixture
def ask(chromium):
    """Run a script in a copy of a page on a narrow screen and return what it found."""

    def start(path, script, address=""):
        copy, frame = path.with_name("copy.html"), path.with_name("frame.html")
        copy.write_text(with_script(path, script), encoding="utf-8")
        frame.write_text(FRAME % f"copy.html{address}", encoding="utf-8")
        try:
            printed = chromium(frame.as_uri(), "--dump-dom", "--virtual-time-budget=20000")
        finally:
            copy.unlink()
            frame.unlink()
        found = re.search(r'<pre id="result">(.*?)</pre>', printed, re.DOTALL)
        assert found, "the script in the page did not end"
        return json.loads(html.unescape(found[1]))

    return start


def with_script(path, script):
    """Return a page with one more script, which its policy allows."""
    text = path.read_text(encoding="utf-8")
    code = RESULT % script
    digest = base64.b64encode(hashlib.sha256(code[len("<script>") : -len("</script>")].encode()).digest()).decode()
    assert text.count("script-src 'sha256-") == 1
    text = text.replace("script-src 'sha256-", f"script-src 'sha256-{digest}' 'sha256-")
    return text.replace("</body>", code + "</body>")


def test_500_targets_sort_filter_and_fit_a_narrow_screen(ask, many_targets):
    result = ask(many_targets, MANY, "#sort=snr")
    assert result["opened_ms"] < 20_000
    assert result["sort_ms"] < 5_000
    assert result["fromHash"] == ["1", "2", "3"]  # the least first, as the address says
    assert result["width"] == [360, 360]
    assert result["card"] == ["grid", '"SNR (\u03c3)"']  # a row is a card whose numbers have their names
    values = sorted(int((n * 191) % 500 + 1) for n in range(499))
    assert result["down"] == [*map(str, reversed(values)), ""]
    assert result["up"] == [*map(str, values), ""]  # what is not measured comes last either way
    assert (result["ariaDown"], result["ariaUp"], result["hashDown"]) == ("descending", "ascending", "#sort=-snr")
    assert result["unsorted"] == [["1", "192", "383"], False]
    known = [float(v) for v in result["offset"] if v]
    assert known == sorted(known, reverse=True)
    assert result["offset"][len(known) :] == [""] * len(range(0, 500, 7))
    assert result["slash"]
    assert (result["filtered"], result["said"]) == (10, "10 of 500 rows")
    assert result["two"] == ["XCS J0012"]
    assert result["escaped"] == ["", 500, False]
    assert result["chip"] == [10, "true", "#flags=few-counts"]
    assert (result["j"], result["k"]) == ("XCS J0050", "XCS J0000")
    assert result["gallery"] == ["#flags=few-counts&view=gallery", 360]
    assert result["shared"] == [1, "XCS J0499"]


def test_a_target_page_fits_a_narrow_screen_and_refuses_all_else(ask, sample_report):
    result = ask(sample_report / "targets" / "a-2029.html", TARGET)
    assert result["width"] == [360, 360]
    assert (result["before"], result["after"], result["veil"]) == ("inline", "none", "block")
    assert sorted(result["blocked"]) == ["img-src", "script-src-elem", "style-src-attr"]
    assert result["title"] == "A 2029"


def test_dark_mode_and_pictures_are_drawn(chromium, sample_report, tmp_path):
    picture = tmp_path / "dark.png"
    dark = "--blink-settings=preferredColorScheme=0"
    chromium((sample_report / "index.html").as_uri(), f"--screenshot={picture}", dark, size="1000,1400")
    pixels = imread(picture)[..., :3]
    assert pixels.shape == (1400, 1000, 3)
    assert np.median(pixels.sum(axis=2)) < 0.6  # the page is dark
    assert (pixels.min(axis=2) > 0.8).any()  # and its letters are light
    hot = (pixels[..., 0] > 0.8) & (pixels[..., 1] > 0.3) & (pixels[..., 2] < 0.25)  # colours of bright pixels of maps
    assert len(np.unique(np.flatnonzero(hot.any(axis=1)) // 80)) >= 4  # in every row of the table


PRINTED = """
const print = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
  .filter((rule) => rule.media && rule.media.mediaText === "print");
result.rules = print.length;
const sheet = document.createElement("style");
for (const rule of print) { rule.media.mediaText = "all"; }
document.body.offsetHeight;
const box = document.querySelector("#targets").getBoundingClientRect();
const cells = [...document.querySelectorAll("#targets th.flags, #targets td.flags")];
const flags = cells.map((cell) => cell.getBoundingClientRect());
result.page = [innerWidth, document.scrollingElement.scrollWidth, Math.ceil(box.right)];
result.flags = [cells.length, Math.ceil(Math.max(...flags.map((e) => e.right)))];
result.narrowest = Math.min(...flags.map((e) => e.width));
done();
"""


@pytest.mark.parametrize("width", [1047, 718])  # of A4 across and upright, less its margins, at 96 dots per inch
def test_on_paper_the_table_has_all_its_columns(chromium, many_targets, width):
    copy, frame = many_targets.with_name("copy.html"), many_targets.with_name("frame.html")
    copy.write_text(with_script(many_targets, PRINTED), encoding="utf-8")
    frame.write_text((FRAME % "copy.html").replace('width="360"', f'width="{width}"'), encoding="utf-8")
    printed = chromium(frame.as_uri(), "--dump-dom", "--virtual-time-budget=20000", size="1200,900")
    found = re.search(r'<pre id="result">(.*?)</pre>', printed, re.DOTALL)
    assert found, "the script in the page did not end"
    result = json.loads(html.unescape(found[1]))
    assert result["rules"] == 1
    assert result["page"][0] == width
    assert max(result["page"]) <= width, "something reaches beyond the sheet, where nobody can scroll"
    count, right = result["flags"]
    assert (count, right <= width, result["narrowest"] > 20) == (501, True, True)


def test_lists_of_sources_sort_by_each_column(ask, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page("Sources", sources_section([("0999990101", example_source_list())], ())))
    result = ask(path, SOURCES)
    found = example_source_list()
    numbers = [str(source.number) for source in found]
    assert result["width"] == [360, 360]
    assert result["listed"] == result["first"] == result["back"] == numbers
    likelihoods = sorted(source.det_ml for source in found)
    assert [float(v) for v in result["up"]] == pytest.approx(likelihoods)
    assert [float(v) for v in result["down"]] == pytest.approx(likelihoods[::-1])
    assert result["aria"] == "descending"
    assert result["unknown"] == [f"{source.extent_ml:.9g}" for source in found if source.is_extended] + [""] * 2
    assert (result["moved"], result["none"]) == (False, False)
