"""Reports: what they say, and what they never do."""

import base64
import csv
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import astropy.units as u
import numpy as np
import pytest
from attrs import evolve
from matplotlib.image import imread

import xphotfn as xp
from xphotfn.graph.plan import Plan
from xphotfn.graph.result import Run
from xphotfn.reports import from_run as report_data
from xphotfn.reports.folder import MARKER
from xphotfn.reports.from_run import Asked, target_report
from xphotfn.reports.index_page import index_page
from xphotfn.reports.page import asset
from xphotfn.reports.page_records import MapReport
from xphotfn.reports.run_steps import parts_of
from xphotfn.reports.site import _common, _run_report

from .conftest import BROKEN, LOG, NAMES, obs_id_of

VOID = {"img", "input", "meta", "br", "link"}


class Page(HTMLParser):
    """A page as its elements; unbalanced tags and attributes without quotes fail the test."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.elements, self._open, self.scripts, self.styles = [], [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self._open == [], f"{path.name}: not closed {self._open}"

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", "in": [e["tag"] for e in self._open], **dict(attrs)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, tag, **having):
        return [e for e in self.elements if e["tag"] == tag and all(e.get(k) == v for k, v in having.items())]


def pages(folder):
    return [folder / "index.html", *sorted((folder / "targets").glob("*.html"))]


def rows(folder):
    """Return the rows of the first page: by target, the text and the value of each cell by its class."""
    page = Page(folder / "index.html")
    found, current = {}, None
    for e in page.elements:
        if e["tag"] == "tr" and "data-q" in e:
            current = {"flags": e["data-f"].split()}
        elif current is not None and "tbody" in e["in"] and e["tag"] == "th":
            link = page.elements[page.elements.index(e) + 1]
            current["href"] = link["href"]
            found[link["text"]] = current
        elif current is not None and e["tag"] == "td" and e.get("class") not in ("pic", "flags"):
            current[e["class"]] = (e["text"], e["data-v"])
        if e.get("class") == "plain":
            current = None
    return found


def test_every_target_has_its_row_with_what_was_measured(sample_run, sample_report):
    found = rows(sample_report)
    assert set(found) == set(NAMES)
    for field in sample_run.plan.fields:
        if field.name == BROKEN:
            continue
        row = found[field.name]
        combined = xp.combined_rate_map(sample_run, target=field.name)
        measured, peak = xp.snr(combined, field, "r500"), xp.find_centre(combined, field).peak
        n, b, alpha, exposure = measured.counts, measured.background_counts, measured.alpha, 1000.0
        assert row["snr"] == (f"{measured.value:.1f}", f"{measured.value:.6g}")
        assert row["counts"][0] == f"{n:.0f}"
        rate, error = (float(v) for v in row["rate"][0].split(" ± "))
        assert rate == pytest.approx((n - alpha * b) / exposure, abs=error / 10)
        assert error == pytest.approx(np.sqrt(n + alpha**2 * b) / exposure, rel=0.05)
        assert float(row["exposure"][0]) == 1.0  # two cameras of 500 s
        from astropy.coordinates import SkyCoord

        away = SkyCoord(*field.centre).separation(SkyCoord(*peak.position)).arcsec
        assert float(row["offset"][1]) == pytest.approx(away, rel=1e-5)
        assert away > 80  # the source lies 8 and 12 pixels of 8 arcsec from the position
        assert row["flags"] == []


def test_a_failure_is_a_row_and_comes_first_with_its_log(sample_report):
    found = rows(sample_report)
    assert next(iter(found)) == BROKEN
    assert found[BROKEN]["flags"] == ["failed-steps", "not-measured"]
    assert found[BROKEN]["snr"] == ("\u2013", "")
    for path in (sample_report / "index.html", sample_report / found[BROKEN]["href"]):
        page = Page(path)
        (failed,) = [e for e in page.all("details") if "no space left" in e["text"]]
        assert "emosaic" in failed["text"]
        assert LOG in failed["text"]
        assert "<b>full" not in page.source
        assert page.source.index('id="failures"') < page.source.index("<table")
    assert "the mosaic was not made: no space left" in Page(sample_report / "index.html").source
    assert "There is no map of all observations" in page.source
    assert len([e for e in page.all("img") if "-combined" in e["src"]]) == 0
    assert len(page.all("img")) == 2  # its two cameras are shown all the same


def test_pages_are_whole_and_every_link_leads_somewhere_inside(sample_report):
    for path in pages(sample_report):
        page = Page(path)
        (root,) = page.all("html")
        assert root["lang"] == "en"
        assert len(page.all("h1")) == 1
        assert all(e["text"].strip() for t in ("h1", "h2", "h3", "th", "button", "a") for e in page.all(t)
                   if e.get("aria-hidden") != "true")  # fmt: skip
        assert all("alt" in e and e["width"] and e["height"] for e in page.all("img"))
        assert all(e.get("alt") for e in page.all("img") if e.get("class") != "veil" and "a" not in e["in"])
        links = [e.get("href") or e.get("src") for t in ("a", "img", "script", "link") for e in page.all(t)]
        for link in filter(None, links):
            found = (path.parent / unquote(link)).resolve()
            assert found.is_relative_to(sample_report.resolve())
            assert found.is_file(), link
        assert len({e["id"] for e in page.elements if "id" in e}) == sum("id" in e for e in page.elements)


def test_nothing_is_loaded_from_elsewhere_and_the_policy_names_the_very_script(sample_report):
    for path in pages(sample_report):
        page = Page(path)
        (policy,) = [e["content"] for e in page.all("meta") if e.get("http-equiv") == "Content-Security-Policy"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert set(rules) == {"default-src", "img-src", "style-src", "script-src", "base-uri", "form-action"}
        for tag, rule in (("script", "script-src"), ("style", "style-src")):
            (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", page.source, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            assert rules[rule] == f"'sha256-{digest}'"
        assert not re.search(r"https?:|@import|url\(", page.source)
        assert not any(key == "style" or key.startswith("on") for e in page.elements for key in e if key != "text")


def test_names_do_no_harm(sample_report):
    names = {p.name for p in sample_report.iterdir()}
    assert names == {"index.html", "targets", "pictures", "targets.csv", MARKER}
    for path in pages(sample_report):
        assert "<script>alert" not in path.read_text(encoding="utf-8")
        assert re.fullmatch(r"[a-z0-9.-]+", path.name)
    assert len(list((sample_report / "targets").glob("*.html"))) == len(NAMES)


def test_the_page_of_a_target_says_how_its_products_were_made(sample_run, sample_report):
    field = next(f for f in sample_run.plan.fields if f.name == "A 2029")
    page = Page(sample_report / "targets" / "a-2029.html")
    text = " ".join(e["text"] for e in page.all("body"))
    combined = xp.combined_rate_map(sample_run, target=field.name)
    manifest = xp.explain(combined.image)
    for word in (*combined.digest.split("+"), manifest.key, manifest.made, *(s.digest for s in manifest.inputs)):
        assert word in text
    assert f"numpy {np.__version__}" in text
    assert "richness" in text
    assert "3 observations of other places left out" in text
    assert [e["text"] for e in page.all("pre") if "emosaic" in e["text"]]
    (shell,) = [e["href"] for e in page.all("a") if "shell script" in e["text"]]
    assert "emosaic 'imagesets=" in (sample_report / "targets" / shell).read_text()
    table = [e["text"] for e in page.all("tr")]
    for camera in ("pn", "mos1"):
        one = xp.select(xp.rate_maps(sample_run, target=field.name), instrument=camera)
        value = xp.snr(one, field, "r500").value
        assert any(row.startswith(f"{obs_id_of(0)} {camera}") and f"{value:.1f}" in row for row in table)


def test_the_error_of_a_rate_is_that_of_its_counts():
    m = xp.Measurement(
        value=1, method="mid-p", counts=100, background_counts=400, area_pix=50, background_area_pix=1000,
        exposure_s=50 * 200.0, background_exposure_s=1.0, alpha=0.1,
    )  # fmt: skip
    shown = MapReport(obs_id="combined", instrument="combined", band=xp.Band(lo_ev=1, hi_ev=2), measurement=m)
    assert shown.exposure == 200.0
    assert shown.net_rate == pytest.approx((100 - 40) / 200)
    assert shown.net_rate_error == pytest.approx(np.sqrt(100 + 0.01 * 400) / 200, rel=1e-12)


def one_target(sample_run, **options):
    part = next(p for p in parts_of(sample_run) if p.plan.fields[0].name == "A 2029")
    return target_report(part, "a", Asked(**options)).bands[0]


def test_flags_say_what_is_odd(sample_run, monkeypatch):
    assert one_target(sample_run).flags == ()
    assert one_target(sample_run, region=10 * u.arcsec).flags == ("few counts", "no peak")
    wide = one_target(sample_run, region=5.5 * u.arcmin)
    assert wide.flags == ()
    assert wide.combined.on_chip == pytest.approx(1.0, abs=0.01)
    beyond = one_target(sample_run, region=8 * u.arcmin)  # the detector ends at 46 pixels of 8 arcsec
    assert beyond.flags == ("not measured", "no background", "low on-chip")
    assert beyond.combined.on_chip == pytest.approx((46 / 60) ** 2, abs=0.01)
    edge = xp.Peak(ra_deg=10.0, dec_deg=20.0, near_edge=True, method="simple")
    centre = xp.Centre(ra_deg=10.0, dec_deg=20.0, reason="edge", peak=edge)
    monkeypatch.setattr(report_data, "find_centre", lambda *_, **__: centre)
    assert one_target(sample_run).flags == ("peak near edge",)
    assert one_target(sample_run, peak=None).flags == ("peak not used", "peak near edge")
    assert one_target(sample_run).offset_arcsec == 0
    monkeypatch.setattr(report_data, "find_centre", lambda *_, **__: evolve(centre, reason="no peak", peak=None))
    assert one_target(sample_run).flags == ("no peak",)
    monkeypatch.setattr(report_data, "interloper_mask", lambda m, _: np.zeros(m.grid.shape, dtype=bool))
    assert "much masked" in one_target(sample_run).flags


def test_a_report_may_measure_on_the_peak_and_says_so(sample_run, tmp_path):
    """Within 2 arcmin the source, 115 arcsec away, is at the rim; within 3 it is the centre of masks and pictures."""
    part = next(p for p in parts_of(sample_run) if p.plan.fields[0].name == "A 2029")
    (field,) = part.plan.fields
    combined = xp.combined_rate_map(part)
    near = target_report(part, "a", Asked(peak=None))
    assert (near.centre.reason, near.bands[0].flags) == ("far", ("peak not used",))
    assert near.bands[0].combined.measurement == xp.snr(combined, field, "r500")
    region = 3 * u.arcmin
    moved = target_report(part, "a", Asked(region=region, peak=None))
    centre = xp.find_centre(combined, field, region=region)
    assert moved.bands[0].flags[-1] == "moved"
    assert moved.bands[0].combined.measurement == xp.snr(combined, xp.with_centre(field, centre), region)
    assert moved.bands[0].offset_arcsec == pytest.approx(centre.offset_arcsec, rel=1e-6)
    assert moved.field.centre.value.tolist() == centre.position.value.tolist()
    made = xp.report(part, tmp_path / "r", region=region, peak=None, progress=False)
    text = Page(next((made.parent / "targets").glob("*.html"))).source
    assert "measured at the X-ray peak, " in text
    assert "arcsec from the position that was given" in text
    with (made.parent / "targets.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert [float(row["centre_ra_deg"]), float(row["centre_dec_deg"])] == centre.position.value.tolist()


def test_the_veil_is_over_what_is_neither_source_nor_background(sample_run, sample_report):
    (field,) = [f for f in sample_run.plan.fields if f.name == "A 2029"]
    combined = xp.combined_rate_map(sample_run, target=field.name)
    source, background = xp.mask(combined, field, "r500")
    on = xp.sensor_mask(combined)
    opacity = imread(sample_report / "pictures" / "a-2029-500-2000-combined-veil.png")[::-1, :, 3]
    rows, columns = np.flatnonzero(on.any(axis=1)), np.flatnonzero(on.any(axis=0))
    part = np.s_[max(rows[0] - 4, 0) : rows[-1] + 5, max(columns[0] - 4, 0) : columns[-1] + 5]
    assert np.array_equal(opacity > 0, (on & ~source & ~background)[part])


def test_the_csv_holds_the_same_rows(sample_run, sample_report):
    with (sample_report / "targets.csv").open(encoding="utf-8", newline="") as stream:
        table = {row["target"]: row for row in csv.DictReader(stream)}
    assert set(table) == set(NAMES)
    assert table[BROKEN]["snr"] == table[BROKEN]["net_rate_ct_s"] == ""
    assert table[BROKEN]["flags"] == "failed steps; not measured"
    field = next(f for f in sample_run.plan.fields if f.name == NAMES[2])
    measured = xp.snr(xp.combined_rate_map(sample_run, target=field.name), field, "r500")
    assert float(table[NAMES[2]]["snr"]) == measured.value
    assert float(table[NAMES[2]]["ra_deg"]) == field.target.ra_deg


def test_region_method_and_title_are_the_callers(sample_run, tmp_path):
    part = evolve(sample_run, plan=evolve(sample_run.plan, fields=sample_run.plan.fields[:1]))
    made = xp.report(part, tmp_path / "r", region=1 * u.arcmin, method="li-ma", title="A <sample>", progress=False)
    page = Page(made)
    assert page.all("h1")[0]["text"] == "A <sample>"
    field = part.plan.fields[0]
    measured = xp.snr(xp.combined_rate_map(part, target=field.name), field, 1 * u.arcmin, method="li-ma")
    assert rows(made.parent)[field.name]["snr"] == (
        f"{measured.value:.1f}".replace("-", "\u2212"),
        f"{measured.value:.6g}",
    )
    with pytest.raises(xp.InvalidRecord):
        xp.report(part, tmp_path / "other", method="magic", progress=False)
    for nonsense in ("r5000", "big", 3, 5 * u.keV, -1 * u.arcmin, [1, 2] * u.arcmin):
        with pytest.raises((xp.UnitMismatch, xp.InvalidRecord), match="region|radius"):
            xp.report(part, tmp_path / "other", region=nonsense, progress=False)
    with pytest.raises(xp.InvalidRecord, match="needs a run"):
        xp.report("store", tmp_path / "other", progress=False)
    assert not (tmp_path / "other").exists()


def test_bytes_that_are_no_text_are_shown_by_their_number(tmp_path):
    run = Run(plan=Plan(), store="/data/caf\udce9", engine="native-1")
    made = xp.report(run, tmp_path / "r", progress=False)
    assert "/data/caf\\udce9" in made.read_text(encoding="utf-8")


def test_a_region_larger_than_the_sky_that_was_seen(sample_run, tmp_path):
    made = xp.report(sample_run, tmp_path / "r", region=40 * u.deg, progress=False)
    assert all("not-measured" in row["flags"] for row in rows(made.parent).values())
    picture = imread(made.parent / "pictures" / "a-2029-500-2000-small.png")
    assert picture.shape[0] <= 128
    assert (picture[..., 0] > 0.8).any()  # the map is there, in the middle


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_letters_stand_out_in_light_and_in_dark():
    themes = re.findall(r":root \{(.*?)\}", asset("report.css"), re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", theme))
        pairs = [(ink, back) for ink in ("ink", "soft", "link", "bad", "warn") for back in ("page", "card", "hover")]
        pairs += [(name, f"{name}-back") for name in ("bad", "warn", "good")] + [("ink", "code")]
        for pair in pairs:
            dark, light = sorted(luminance(colours[name]) for name in pair)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


@pytest.mark.slow
def test_the_report_of_abell_907_says_what_the_tutorial_says(data_root, tmp_path):
    target = xp.galaxy_cluster("A907", 149.59209, -11.05972, redshift=0.16, r500=1200 * u.kpc)
    field = xp.match_observations(target, xp.find_observations(data_root / "a907"))
    field = xp.with_centre(field, [149.59251340970866, -11.063958320861634])  # the tutorial's peak
    plan = xp.plan_photometry(field, xp.energy_band(0.5 * u.keV, 2 * u.keV), reference="0404910601")
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    page = Page(xp.report(run, tmp_path / "r", method="xga", progress=False).parent / "targets" / "a907.html")
    shown = {e["text"] for e in page.all("td")}
    expected = ("71.9", "88.8", "94.2", "96.2", "108.1", "108.7", "114.6", "124.7", "251.6")
    assert shown.issuperset(expected)
    text = page.all("body")[0]["text"]
    assert "251.61 \u03c3 (xga)" in text
    assert "149.59251 \u221211.06396 deg" in text  # the peak
    assert "centred on 149.59251 \u221211.06396 deg" in text


def test_what_cannot_be_measured_has_its_reason(sample_run, tmp_path):
    made = xp.report(sample_run, tmp_path / "r", region="r200", progress=False)
    found = rows(made.parent)
    assert all("not-measured" in row["flags"] for row in found.values())
    assert "A 2029 has no r200" in Page(made).source


def test_a_run_that_ended_early_and_a_product_that_is_gone(sample_plan, sample_run, tmp_path):
    early = Run(plan=sample_plan, store=str(tmp_path / "none"), engine="native-1")
    found = rows(xp.report(early, tmp_path / "early", progress=False).parent)
    assert all(row["flags"] == ["failed-steps", "not-measured"] for row in found.values())
    assert "not run" in (tmp_path / "early" / "targets" / "a-2029.html").read_text()
    gone = [evolve(o, outputs=[evolve(x, path=str(tmp_path / x.name)) for x in getattr(o, "outputs", ())])
            if isinstance(o, xp.Done) else o for o in sample_run.outcomes]  # fmt: skip
    made = xp.report(evolve(sample_run, outcomes=gone), tmp_path / "gone", progress=False)
    assert all("not-measured" in row["flags"] for row in rows(made.parent).values())
    assert "is no longer in the store" in made.read_text()


def test_a_bulk_field_and_an_empty_run(sample_plan, tmp_path):
    bulk = xp.bulk_field(sample_plan.fields[0].observations)
    plan = xp.plan_photometry(bulk, xp.energy_band(0.5 * u.keV, 2 * u.keV))
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    made = xp.report(run, tmp_path / "r", progress=False)
    assert set(rows(made.parent)) == {"bulk"}
    assert len(list((made.parent / "pictures").glob("*.png"))) == 3  # two cameras and a thumbnail
    empty = xp.report(Run(plan=Plan(), store="s", engine="native-1"), tmp_path / "empty", progress=False)
    assert "0 targets" in Page(empty).all("h1")[0]["text"]


def test_two_bands_are_two_rows(sample_plan, sample_run, tmp_path):
    (field,) = [f for f in sample_plan.fields if f.name == "A 2029"]
    other = xp.Band(lo_ev=2000, hi_ev=10_000)
    own = [p for p in sample_plan.products if p.field_name == field.name]
    plan = Plan(steps=sample_plan.steps, fields=(field,), products=[*own, *(evolve(p, band=other) for p in own)])
    page = Page(xp.report(evolve(sample_run, plan=plan), tmp_path / "r", progress=False))
    assert [e["text"] for e in page.all("td", **{"class": "band"})] == ["0.5-2", "2-10"]
    assert [e["text"] for e in Page(tmp_path / "r/targets/a-2029.html").all("h2")][:2] == ["0.5-2 keV", "2-10 keV"]


def test_thousands_of_failures_are_told_by_their_reasons(sample_run):
    part = next(p for p in parts_of(sample_run) if p.plan.fields[0].name == BROKEN)
    one = target_report(part, "a", Asked())
    failed = next(s for s in one.steps if s.state == "failed")
    targets = [
        evolve(one, bands=(), steps=[evolve(failed, id=f"{n}-{m}", reason=f"reason {m % 2}") for m in range(20)])
        for n in range(400)
    ]
    text = index_page(_run_report(_common(targets, "mid-p", None), sample_run, []), [()] * len(targets))
    assert text.count('class="failure"') == 6  # three of each reason in full
    for n in (0, 1):
        assert f"3997 more failed for this reason: reason {n}" in text
    assert len(text) < 300_000


def test_500_targets_are_a_small_page(many_targets):
    page = Page(Path(many_targets))
    assert len([e for e in page.all("tr") if "data-q" in e]) == 500
    assert many_targets.stat().st_size < 1_000_000
    assert all(e["loading"] == "lazy" for e in page.all("img"))
