"""The first page of a report: summary, failures, the table of targets, plan and provenance."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toolz import groupby, partition_all

from xphotfn.html import Html
from xphotfn.reports.page import (
    DASH,
    RATE_UNITS,
    element,
    exposure,
    number,
    page,
    sort_heading,
    sort_value,
    with_error,
)
from xphotfn.reports.page_records import FLAGS, BandReport, RunReport, StepReport, TargetReport
from xphotfn.reports.pictures import BandPictures, PictureFile

__all__ = ("MOST_ROWS", "failure", "flag_words", "index_pages", "sky")

MOST_ROWS = 1000  # of the table on one page, and targets whose pictures are in one folder
_SHOWN_FAILURES, _SHOWN_OF_REASON, _MOST_LISTED = 6, 3, 200
_HEADINGS = (  # key, words, unit, title
    ("name", "Target", "", "sort by name"),
    ("which", "Map", "", "sort by observation and camera"),
    ("band", "Band", "keV", "sort by energy band"),
    ("snr", "SNR", "\u03c3", "signal-to-noise in the region, in Gaussian sigma; a deficit is negative"),
    ("rate", "Net rate", "ct/s", "net counts over the mean exposure of the region: an average over cameras"),
    ("counts", "Counts", "ct", "counts in the region, source and background"),
    ("offset", "Peak offset", "arcsec", "distance of the X-ray peak from the position that was given"),
    ("exposure", "Exposure", "ks", "mean exposure of the region, summed over cameras"),
    ("onchip", "On-chip", "%", "part of the region that was exposed"),
    ("kept", "Kept", "%", "part of the live time of raw event lists that was kept when flares were cut"),
    ("residual", "Flare left", "%", "mean rate that was kept over the quiet rate, minus one, of the worst list"),
    ("obs", "Obs", "", "observations"),
    ("flags", "Flags", "", "sort by number of flags"),
)  # fmt: skip


def index_page(report: RunReport, pictures: Sequence[Sequence[BandPictures]]) -> str:
    """Return the first page; parameters as for :func:`index_pages`."""
    return index_pages(report, pictures)[0][1]


def index_pages(report: RunReport, pictures: Sequence[Sequence[BandPictures]]) -> list[tuple[str, str]]:
    """Return names and texts of the first page and, where the table is long, of those that go on with it."""
    rows = [
        (target, band, pics)
        for target, of_target in zip(report.targets, pictures, strict=True)
        for band, pics in zip(target.bands, of_target, strict=True)
    ]
    rows.sort(key=lambda row: not _is_bad(row[1]))
    unused = set() if len({band.band for _, band, _ in rows}) > 1 else {"band"}
    unused |= set() if any(target.cuts for target in report.targets) else {"kept", "residual"}
    unused |= {"which"} if report.is_of_run else {"obs"}
    portions = list(partition_all(MOST_ROWS, rows)) or [()]
    head = element("header", element("h1", report.title), _subtitle(report))
    found = []
    for place, some in enumerate(portions):
        links = _page_links(place, len(portions), len(rows))
        table = _targets(report, list(some), unused, links)
        around = (
            _summary(report),
            _failures(report),
            table,
            _plan(report) if report.is_of_run else None,
            _provenance(report),
        )
        main = element("main", *(around if place == 0 else (table,)))
        found.append((_page_name(place), page(report.title, head, main)))
    return found


def _page_name(place: int) -> str:
    return f"index-{place + 1}.html" if place else "index.html"


def _page_links(place: int, count: int, rows: int) -> Html | None:
    """Return links to the other pages of the table; None where there is one page only."""
    if count == 1:
        return None
    first, last = place * MOST_ROWS + 1, min(rows, (place + 1) * MOST_ROWS)
    links = [
        element("b", str(n + 1)) if n == place else element("a", str(n + 1), href=_page_name(n)) for n in range(count)
    ]
    words = [f"Rows {first} to {last} of {rows}; sorting and the filter are of this page, the CSV has all. Pages: "]
    return element("p", *words, *(part for link in links for part in (link, " ")), class_="note")


def _is_bad(band: BandReport) -> bool:
    return bool({"failed steps", "not measured"}.intersection(band.flags))


def _subtitle(report: RunReport) -> Html:
    bands = dict.fromkeys(str(b.band) for t in report.targets for b in t.bands)
    regions = dict.fromkeys(t.region for t in report.targets)
    words = [", ".join(bands), f"within {', '.join(regions)}" if regions else "", f"{report.method} significance"]
    return element("p", " \u00b7 ".join(w for w in words if w), class_="lead")


def _summary(report: RunReport) -> Html:
    counts = dict(report.counts)
    bad = [(state, counts[state]) for state in ("failed", "skipped", "not run") if counts.get(state)]
    when = report.first[:10] if report.first[:10] == report.last[:10] else f"{report.first[:10]} to {report.last[:10]}"
    facts: list[tuple[str, Any, str]] = [
        ("Targets", len(report.targets), ""),
        ("Observations", report.observations, ""),
    ]
    made: list[tuple[str, Any, str]] = [
        ("Steps done", counts.get("done", 0), ""),
        *((f"Steps {state}", n, "bad" if state == "failed" else "warn") for state, n in bad),
        ("Products made", when or DASH, ""),
        ("Engine", report.engine, ""),
    ]
    facts += made if report.is_of_run else [("Maps", sum(len(t.bands) for t in report.targets), "")]
    cells = [element("div", element("dt", n), element("dd", v, class_=c or None)) for n, v, c in facts]
    return element("dl", *cells, class_="facts")


def _failures(report: RunReport) -> Html | None:
    steps = {s.id: (s, t) for t in report.targets for s in t.steps if not s.is_good}
    failed = [(s, t) for s, t in steps.values() if s.state == "failed"]
    waiting = Counter(s.state for s, _ in steps.values() if s.state != "failed")
    missing = [(t, b) for t in report.targets for b in t.bands if "not measured" in b.flags]
    if not (failed or waiting or missing):
        return None
    also = [f"{n} step{'' if n == 1 else 's'} {_WAITED[state]}" for state, n in waiting.items()]
    return element(
        "section",
        element("h2", "Failures", id="failures-title"),
        element("p", "; ".join(also).capitalize() + ".") if also else None,
        *_by_reason(failed),
        *_folded([_missing(t, b) for t, b in missing], _SHOWN_FAILURES, "more targets were not measured"),
        id="failures",
        aria_labelledby="failures-title",
    )


_WAITED = {"skipped": "waited for one of these and did not run", "not run": "did not run: the run ended before"}


def _by_reason(failed: list[tuple[StepReport, TargetReport]]) -> Iterable[Html]:
    """Yield the first failures of each reason in full, and the names of the others."""
    for reason, members in groupby(lambda pair: pair[0].reason, failed).items():
        yield from (failure(s, t.name) for s, t in members[:_SHOWN_OF_REASON])
        names = [
            element("p", element("a", t.name, href=f"targets/{t.slug}.html"), f" {s.obs_id} {s.task} {s.products[0]}")
            for s, t in members[_SHOWN_OF_REASON:]
        ]
        yield from _folded(names, 0, f"more failed for this reason: {reason}")


def _folded(items: list[Html], shown: int, words: str) -> Iterable[Html]:
    """Yield the first items, and the others folded up; of very many, only how many there are."""
    yield from items[:shown]
    rest = items[shown:]
    if rest:
        end = [element("p", f"and {len(rest) - _MOST_LISTED} more")] if len(rest) > _MOST_LISTED else []
        yield element("details", element("summary", f"{len(rest)} {words}"), *rest[:_MOST_LISTED], *end, class_="more")


def failure(step: StepReport, name: str = "") -> Html:
    """Return a step that is not done, with its reason, command line and log."""
    who = " \u00b7 ".join(w for w in (name, step.obs_id, step.task, *step.products[:1]) if w)
    return element(
        "details",
        element("summary", element("span", step.state, class_=f"pill {_COLOURS[step.state]}"), " ", element("b", who),
                " ", element("span", step.reason, class_="why")),
        element("p", "Command", class_="label"),
        element("pre", step.command, tabindex="0"),
        element("p", "Last lines of its log", class_="label"),
        element("pre", step.log.strip() or "it printed nothing", tabindex="0"),
        class_="failure",
    )  # fmt: skip


_COLOURS = {"failed": "bad", "skipped": "warn", "not run": "warn", "done": "good"}


def _missing(target: TargetReport, band: BandReport) -> Html:
    link = element("a", target.name, href=f"targets/{target.slug}.html")
    pill = element("span", "not measured", class_="pill warn")
    return element("p", pill, " ", link, f" ({band.band}): {band.combined.problem}", class_="failure")


def _targets(
    report: RunReport,
    rows: list[tuple[TargetReport, BandReport, BandPictures]],
    unused: set[str],
    links: Html | None,
) -> Html:
    heads = [element("th", element("span", "PictureFile", class_="hidden"), scope="col", class_="pic")]
    headings = _headings(report)
    heads += [sort_heading(*h) for h in headings if h[0] not in unused]
    units = {key: f"{words} ({unit})" for key, words, unit, _ in headings if key in ("rate", "exposure")}
    body = [_row(target, band, pics, unused, units) for target, band, pics in rows]
    table = element(
        "table",
        element("caption", _caption(report), class_="hidden"),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
        id="targets",
    )
    counts = Counter(flag for _, band, _ in rows for flag in band.flags)
    return element(
        "section",
        element("h2", "Targets", id="targets-title"),
        links,
        _controls(counts, len(rows)),
        element("div", table, class_="scroll", tabindex="0", role="region", aria_labelledby="targets-title"),
        element(
            "p",
            "Pictures: count rate, smoothed for looking, the more the fewer counts there are; each has colours of "
            "its own. The circle is the measured region, the cross the X-ray peak. Errors of rates are 1 \u03c3, from ",
            element("i", "N"), " + \u03b1\u00b2", element("i", "B"), ". ",
            element("a", "The table as CSV", href="targets.csv", download="targets.csv"),
            class_="note",
        ),
        aria_labelledby="targets-title",
    )  # fmt: skip


def _headings(report: RunReport) -> list[tuple[str, str, str, str]]:
    """Return the headings with the units of the report; what an average is over is said where there is one."""
    unit = report.exposure_unit
    shown = {"rate": RATE_UNITS[unit], "exposure": exposure(0.0, unit)[1]}
    titles = {} if report.is_of_run else {
        "rate": "net counts over the mean exposure of the region", "exposure": "mean exposure of the region",
    }  # fmt: skip
    return [(key, words, shown.get(key, own), titles.get(key, title)) for key, words, own, title in _HEADINGS]


def _caption(report: RunReport) -> str:
    return f"{len(report.targets)} targets; the buttons in the first row sort"


def _controls(counts: Counter[str], total: int) -> Html:
    chips = [
        element("button", flag, element("span", counts[flag]), type="button", data_flag=_word(flag),
                aria_pressed="false", title=FLAGS[flag], class_="chip")
        for flag in FLAGS if counts[flag]
    ]  # fmt: skip
    box = element("input", type="search", id="filter", placeholder="name, ObsID, flag", autocomplete="off",
                  spellcheck="false", aria_describedby="shown")  # fmt: skip
    return element(
        "div",
        element("label", "Filter", for_="filter"),
        element("span", box, element("kbd", "/"), class_="box"),
        element("span", *chips, class_="chips", role="group", aria_label="Only targets with these flags"),
        element("button", "Gallery", type="button", id="gallery", aria_pressed="false", class_="chip"),
        element("output", _rows(total), id="shown", for_="filter"),
        class_="controls",
    )


def _rows(number_of: int) -> str:
    return f"{number_of} row" if number_of == 1 else f"{number_of} rows"


def _row(
    target: TargetReport, band: BandReport, pics: BandPictures, unused: set[str], units: Mapping[str, str]
) -> Html:
    combined, href = band.combined, f"targets/{target.slug}.html"
    m = combined.measurement
    cells = [
        element("td", sky(pics.thumbnail, "", folder="pictures/", href=href), class_="pic"),
        element("th", element("a", target.name, href=href), element("small", _where(target)), scope="row",
                class_="name"),
        *([element("td", combined.name, class_="which")] if "which" not in unused else []),
        *([_cell("band", band.band.lo_ev, str(band.band).removesuffix(" keV"))] if "band" not in unused else []),
        _cell("snr", None if m is None else m.value, number(None if m is None else m.value, 1)),
        _cell("rate", combined.net_rate, with_error(combined.net_rate, combined.net_rate_error), unit=units["rate"]),
        _cell("counts", None if m is None else m.counts, number(None if m is None else m.counts, 0)),
        _cell("offset", band.offset_arcsec, number(band.offset_arcsec, 1),
              f"{band.offset_kpc:.0f} kpc" if math.isfinite(band.offset_kpc) else ""),
        _cell("exposure", combined.exposure, exposure(combined.exposure, combined.exposure_unit)[0],
              unit=units["exposure"]),
        _cell("onchip", combined.on_chip, number(combined.on_chip * 100, 0)),
        *(_of_flares(target) if "kept" not in unused else ()),
        *([_cell("obs", (n := len(target.field.members)), str(n))] if "obs" not in unused else []),
        element("td", flag_words(band.flags), class_="flags", data_v=len(band.flags)),
    ]  # fmt: skip
    words = " ".join([target.name, *target.field.obs_ids, *band.flags, str(band.band), combined.instrument]).lower()
    return element("tr", *cells, data_q=words, data_f=" ".join(_word(f) for f in band.flags))


def _of_flares(target: TargetReport) -> tuple[Html, Html]:
    kept, residual = target.kept, target.residual
    return _cell("kept", kept, number(kept * 100, 0)), _cell("residual", residual, number(residual * 100, 1))


def _where(target: TargetReport) -> str:
    t = target.field.target
    if t is None:
        return "bulk field"
    z = "" if t.redshift is None else f"z {t.redshift:g} \u00b7 "
    return f"{z}{t.ra_deg:.4f} {number(t.dec_deg, 4)}"


def _cell(key: str, value: float | None, shown: str, more: str = "", *, unit: str | None = None) -> Html:
    small = element("small", more) if more else None
    return element("td", shown, small, class_=key, data_v=sort_value(value), data_unit=unit)


def _word(flag: str) -> str:
    return flag.replace(" ", "-")


def flag_words(flags: Iterable[str]) -> Html | None:
    """Return flags as small labels, or None."""
    serious = ("failed steps", "not measured")
    labels = [element("span", f, class_="pill bad" if f in serious else "pill warn", title=FLAGS[f]) for f in flags]
    return Html(" ".join(labels)) if labels else None


def sky(picture: PictureFile | None, alt: str, *, folder: str, href: str = "") -> Html:
    """Return a picture under its overlay; a hint where there is none."""
    if picture is None:
        return element("span", "no map", class_="sky none")
    image = element("img", src=folder + picture.file, alt=alt, width=picture.width, height=picture.height,
                    loading="lazy", decoding="async")  # fmt: skip
    if not href:
        return element("span", image, picture.overlay, class_="sky")
    return element("a", image, picture.overlay, class_="sky", href=href, tabindex="-1", aria_hidden="true")


def _plan(report: RunReport) -> Html:
    return element(
        "section",
        element("h2", "Plan", id="plan-title"),
        element("pre", report.plan, tabindex="0"),
        element("p", "The page of each target gives its commands, and a shell script that runs them.", class_="note"),
        aria_labelledby="plan-title",
    )


def _provenance(report: RunReport) -> Html:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions) or DASH
    run = [
        ("Store", report.store),
        ("Engine", report.engine),
        ("Made with", versions),
        ("Products made", f"{report.first} to {report.last}" if report.first else DASH),
    ]
    facts = [
        *(run if report.is_of_run else [("Maps", "as they were given: the page of each target names their files")]),
        ("Report made", f"{report.made} by xphotfn {report.version}"),
    ]
    rows = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in facts]
    return element(
        "section",
        element("h2", "Provenance", id="provenance-title"),
        element("div", element("table", element("tbody", *rows), class_="plain"), class_="scroll"),
        aria_labelledby="provenance-title",
    )
