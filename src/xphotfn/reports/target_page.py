"""The page of a target: its picture, a picture of each map, what was measured, failures and provenance."""

import math
from collections.abc import Sequence
from typing import Any

from xphotfn.html import Html
from xphotfn.io.thumbnails import UNEXPOSED
from xphotfn.plot.map_png import colours
from xphotfn.records.field import FieldObservation
from xphotfn.records.observation import XMM
from xphotfn.reports.detected import Residual, sources_section
from xphotfn.reports.index_page import failure, flag_words, sky
from xphotfn.reports.page import DASH, RATE_UNITS, element, exposure, number, page, with_error
from xphotfn.reports.page_records import BandReport, MapReport, StepReport, TargetReport
from xphotfn.reports.pictures import BandPictures, PictureFile

__all__ = ("target_page",)


def target_page(
    target: TargetReport,
    pictures: Sequence[BandPictures],
    *,
    before: tuple[str, str] | None,
    after: tuple[str, str] | None,
    script: str = "",
    residuals: Sequence[Residual] = (),
) -> str:
    """Return the page of a target, with the pictures of each of its bands and of what the fits of its sources leave.

    ``before`` and ``after`` are names and path-safe names of the neighbours, ``script`` is that of a shell script with
    its commands beside the page.
    """
    failures = [failure(s) for s in target.steps if not s.is_good]
    several = len(target.bands) > 1
    bands = [_band(target, b, p, several) for b, p in zip(target.bands, pictures, strict=True)]
    return page(
        target.name,
        element("header", _ways(before, after), element("h1", target.name), _lead(target)),
        element(
            "main",
            element("section", element("h2", "Failures"), *failures, id="failures") if failures else None,
            *bands,
            sources_section(target.lists, residuals),
            _about(target),
            _steps(target, script),
        ),
    )


def _ways(before: tuple[str, str] | None, after: tuple[str, str] | None) -> Html:
    links = [element("a", "All targets", href="../index.html", class_="up")]
    if before is not None:
        links.append(element("a", "\u2190 ", before[0], href=f"{before[1]}.html", rel="prev", title="key k"))
    if after is not None:
        links.append(element("a", after[0], " \u2192", href=f"{after[1]}.html", rel="next", title="key j"))
    return element("nav", *links, aria_label="Targets")


def _lead(target: TargetReport) -> Html:
    t = target.field.target
    words = [f"measured within {target.region_label}"]
    if t is not None:
        words[0] += " around the given position" * target.field.is_centred_on_target
        z = [] if t.redshift is None else [f"z = {t.redshift:g}"]
        words = [t.kind, f"{t.ra_deg:.5f} {number(t.dec_deg, 5)} deg", *z, *words]
        if not target.field.is_centred_on_target:
            ra, dec = target.field.centre_ra_deg, target.field.centre_dec_deg
            words.append(f"centred on {number(ra, 5)} {number(dec, 5)} deg")
        if target.centre is not None and target.centre.reason != "given":
            words.append(f"measured at {target.centre}")
    return element("p", " \u00b7 ".join(words), class_="lead")


def _band(target: TargetReport, band: BandReport, pics: BandPictures, several: bool) -> Html:
    title = f"{band.band}" if several else "Measurement"
    if target.files:
        title = f"{band.combined.name}, {band.band}"
    each = [
        element("h3", "Each map"),
        _maps_table(band),
        element("div", *(_single(m, p) for m, (_, p) in zip(band.maps, pics.singles, strict=True)), class_="multiples"),
    ]
    return element(
        "section",
        element("h2", title),
        element("p", flags) if (flags := flag_words(band.flags)) else None,
        element("div", _large(target, band, pics.large), _facts(band), class_="beside"),
        *([] if target.files else each),
        element("p", "Colours of each map are scaled to it. Counts and exposure are smoothed for looking, the more the "
                "fewer counts there are. Regions are those of the observation.", class_="note"),
    )  # fmt: skip


_LAYERS = (("region", "Region"), ("others", "Other sources"), ("marks", "Positions"), ("axes", "Axes"),
           ("veil", "Mask"))  # fmt: skip


def _large(target: TargetReport, band: BandReport, picture: PictureFile | None) -> Html:
    if picture is None:
        what = "There is no picture of this map" if target.files else "There is no map of all observations"
        return element("p", f"{what}: {band.combined.problem}" if band.combined.problem else what, class_="empty")
    shows = band.combined.name if target.files else "all observations together"
    alt = f"Count rate of {target.name}, {band.band}, {shows}"
    image = element("img", src=f"../pictures/{picture.file}", alt=alt, width=picture.width, height=picture.height)
    veil = element("img", src=f"../pictures/{picture.veil}", alt="", width=picture.width, height=picture.height,
                   class_="veil") if picture.veil else None  # fmt: skip
    name = picture.file.removesuffix(".png")
    switches = [
        element("label", element("input", type="checkbox", checked=True, class_=f"show-{key}",
                                 id=f"{key}-{name}"), " ", words)
        for key, words in _LAYERS if key != "veil" or veil is not None
    ]  # fmt: skip
    return element(
        "figure",
        element("div", element("div", image, veil, picture.overlay, class_="sky large"), class_="frame"),
        _colour_bar(picture),
        element("fieldset", element("legend", "Show"), *switches),
        element("figcaption", _legend()),
        class_="map",
    )


def _colour_bar(picture: PictureFile) -> Html:
    table = colours()[1:]
    picked = [table[round(i * (len(table) - 1) / 15)] for i in range(16)]
    bars = [
        element("rect", x=i * 20, y=0, width=20.5, height=10, fill="#{:02x}{:02x}{:02x}".format(*(int(v) for v in c)))
        for i, c in enumerate(picked)
    ]
    low, high = (f"{v:.2g}" for v in picture.rates)
    return element(
        "p",
        low,
        element("svg", *bars, viewBox="0 0 320 10", preserveAspectRatio="none", aria_hidden="true"),
        f"{high} {RATE_UNITS[picture.exposure_unit]} per pixel (asinh); smoothed by {picture.sigma_arcsec:.0f} arcsec",
        class_="colours",
    )


def _legend() -> Html:
    items = (("source", "measured region"), ("ring", "background ring"), ("match", "matched region"),
             ("interloper", "other source, masked"), ("kept", "kept: belongs to the target"))  # fmt: skip
    keys = [
        element("li", element("svg", element("circle", class_=kind, cx=9, cy=9, r=7), viewBox="0 0 18 18",
                              aria_hidden="true"), words)
        for kind, words in items
    ]  # fmt: skip
    marks = (
        ("peak", "X-ray peak", "M1 9h5M12 9h5M9 1v5M9 12v5"),
        ("target", "position given", "M3 3l12 12M15 3l-12 12"),
    )
    keys += [
        element("li", element("svg", element("path", class_=kind, d=d), viewBox="0 0 18 18", aria_hidden="true"), words)
        for kind, words, d in marks
    ]
    grey = "#{:02x}{:02x}{:02x}".format(*UNEXPOSED)
    box = element("rect", width=18, height=18, fill=grey)
    keys.append(element("li", element("svg", box, viewBox="0 0 18 18", aria_hidden="true"), "not exposed"))
    return element("ul", *keys, class_="legend")


def _facts(band: BandReport) -> Html:
    shown = band.combined
    m = shown.measurement
    rows: list[tuple[str, str]] = []
    if m is None:
        rows.append(("Not measured", shown.problem))
    else:
        cameras = ", all cameras" if shown.obs_id == "combined" else ""
        rows += [
            ("Signal-to-noise", f"{number(m.value, 2)} \u03c3 ({m.method})"),
            ("Net rate", f"{with_error(shown.net_rate, shown.net_rate_error)} {RATE_UNITS[shown.exposure_unit]}"),
            *([("Note", m.note)] if m.note else []),
            ("Net counts", f"{number(m.net_counts, 1)} of {number(m.counts, 0)}"),
            ("Background counts", f"{number(m.background_counts, 0)} \u00d7 \u03b1 {m.alpha:.4g}"),
            (f"Exposure{cameras}", " ".join(exposure(shown.exposure, shown.exposure_unit, 2))),
        ]
    if math.isfinite(shown.on_chip):
        rows += [("On-chip part", f"{shown.on_chip:.1%}"), ("Masked part", f"{shown.masked:.1%}")]
    if band.peak is not None:
        p = band.peak
        kpc = f" ({band.offset_kpc:.0f} kpc)" if math.isfinite(band.offset_kpc) else ""
        rows += [
            ("X-ray peak", f"{p.ra_deg:.5f} {number(p.dec_deg, 5)} deg"),
            ("Peak offset", f"{number(band.offset_arcsec, 1)} arcsec{kpc}"),
        ]
    return _pairs(rows, "measured")


def _pairs(rows: Sequence[tuple[str, Any]], class_: str) -> Html:
    cells = [element("div", element("dt", name), element("dd", value)) for name, value in rows]
    return element("dl", *cells, class_=class_)


def _single(shown: MapReport, picture: PictureFile | None) -> Html:
    alt = f"Count rate of {shown.name}, {shown.band}"
    return element("figure", sky(picture, alt, folder="../pictures/"), element("figcaption", shown.name))


_COLUMNS = (("Map", ""), ("SNR", "\u03c3"), ("Net rate", "ct/s"), ("Counts", "ct"), ("Net counts", "ct"),
            ("Exposure", "ks"), ("On-chip", "%"), ("Masked", "%"))  # fmt: skip


def _maps_table(band: BandReport) -> Html:
    heads = [
        element("th", words, element("small", unit) if unit else None, scope="col", class_="name" if n == 0 else None)
        for n, (words, unit) in enumerate(_COLUMNS)
    ]
    rows = [_map_row(m) for m in (*band.maps, band.combined)]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *rows), class_="numbers maps")
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Each map")


def _map_row(shown: MapReport) -> Html:
    m = shown.measurement
    name = element("th", shown.name, element("small", shown.exposure_id) if shown.exposure_id else None, scope="row",
                   class_="name")  # fmt: skip
    if m is None:
        return element("tr", name, element("td", shown.problem, colspan=len(_COLUMNS) - 1, class_="why"))
    values = (
        number(m.value, 1),
        with_error(shown.net_rate, shown.net_rate_error),
        number(m.counts, 0),
        number(m.net_counts, 1),
        exposure(shown.exposure, shown.exposure_unit, 2)[0],
        number(shown.on_chip * 100, 1),
        number(shown.masked * 100, 1),
    )
    return element("tr", name, *(element("td", v) for v in values))


def _columns(m: FieldObservation) -> dict[str, Any]:
    """Return what is shown of an observation; maps of another telescope do not say where its axis was."""
    seen = {
        "Date": m.observation.date[:10] or DASH,
        "Cameras": ", ".join(m.observation.instruments) or DASH,
        "Off-axis (arcmin)": number(m.separation_arcmin, 1),
    }
    regions = {
        "Regions": len(m.regions),
        "Match": "none" if m.match is None else f"{m.match.shape}, {m.match.colour}",
        "Masked regions": len(m.interlopers),
    }
    telescope = m.observation.telescope
    return {"ObsID": m.obs_id, **(seen if telescope == XMM else {"Telescope": telescope}), **regions}


def _about(target: TargetReport) -> Html:
    field = target.field
    shown = [_columns(m) for m in field.members]
    heads = tuple(dict.fromkeys(head for columns in shown for head in columns))
    rows = [
        element(
            "tr",
            element("th", columns["ObsID"], scope="row", class_="name"),
            *(element("td", columns.get(head, DASH)) for head in heads[1:]),
        )
        for columns in shown
    ]
    table = element(
        "table",
        element("thead", element("tr", *(element("th", h, scope="col") for h in heads))),
        element("tbody", *rows),
        class_="texts",
    )
    radii = [] if field.target is None else [(name.upper(), f"{r:g}") for name, r in field.target.radii]
    extra = [] if field.target is None else [(name, str(value)) for name, value in field.target.extra]
    return element(
        "section",
        element("h2", "Observations and regions"),
        element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Observations"),
        _pairs([*radii, *extra], "facts") if radii or extra else None,
        element("ul", *(element("li", note) for note in target.notes), class_="notes") if target.notes else None,
    )


def _steps(target: TargetReport, script: str) -> Html:
    if target.files:
        return element("section", element("h2", "Provenance"), _pairs(target.files, "digests"))
    done = [_step(s) for s in target.steps if s.is_good]
    link = element("p", element("a", "All commands as a shell script", href=script, download=script), class_="note")
    return element(
        "section",
        element("h2", "Provenance"),
        link if script else None,
        *(done or [element("p", "Nothing was made: all products were found on disk.")]),
    )


def _step(step: StepReport) -> Html:
    versions = ", ".join(f"{name} {version}" for name, version in step.versions)
    facts = [
        ("Made", f"{step.made or DASH} by {step.engine or DASH} in {number(step.seconds, 2)} s"),
        ("Versions", versions or DASH),
        ("Key in the store", step.key),
        *((f"Output {name}", digest) for name, digest in step.outputs),
        *((f"Input {name}", digest) for name, digest in step.inputs),
        *(("Warning", text) for text in step.warnings),
    ]
    warned = element("span", "warning", class_="pill warn") if step.warnings else None
    return element(
        "details",
        element("summary", element("b", step.task), " ", element("span", " ".join(step.products), class_="why"), " ",
                warned),
        element("pre", step.command, tabindex="0"),
        _pairs(facts, "digests"),
        element("pre", step.log.strip(), tabindex="0") if step.log.strip() else None,
        class_="step",
    )  # fmt: skip
