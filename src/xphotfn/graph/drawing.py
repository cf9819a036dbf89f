"""The graph of a plan as a small picture (SVG): what waits for what, from found files to mosaics."""

from collections import Counter
from typing import NamedTuple

from toolz import groupby

from xphotfn.commands.step import Step
from xphotfn.html import Html, count, escape

__all__ = ("plan_svg",)

_MOST_IN_A_LAYER = 8
_HEIGHT, _GAP, _LINK = 26, 8, 56  # of a box, between boxes, and between layers, in px
_LETTER, _PADDING = 7.4, 18  # width of a letter of 12 px, some being wide, and what a box is wider than its text


class _Box(NamedTuple):
    """One node as it is drawn: one step, or all steps of a task where there are many."""

    layer: int
    text: str
    tip: str
    is_found: bool = False


def plan_svg(steps: tuple[Step, ...]) -> Html:
    """Return the graph of a plan as SVG: a box per step, or per observation and task, or per task where there are many.

    Parameters
    ----------
    steps
        Those of any plan.

    Returns
    -------
    str of HTML
        An inline ``<svg>`` in the colours of its page; empty for a plan without steps.

    Examples
    --------
    >>> from xphotfn.graph.recipes import plan_mosaics
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> svg = plan_svg(plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV")).steps)
    >>> svg.count("<rect"), svg.count("<path")
    (3, 2)
    """
    if not steps:
        return Html("")
    layers = _layers(steps)
    levels = [_grouped(steps, layers, level) for level in range(3)]
    groups = next((g for g in levels if _is_small(g, layers)), levels[-1])
    boxes = _boxes(steps, groups, layers)
    return _svg(boxes, _links(steps, groups, layers))


def _layers(steps: tuple[Step, ...]) -> dict[str, int]:
    """Return the layer of each step: one more than that of the last step it waits for."""
    layers: dict[str, int] = {}
    for step in steps:
        layers[step.id] = 1 + max((layers[n] for n in step.needs), default=0)
    return layers


def _grouped(steps: tuple[Step, ...], layers: dict[str, int], level: int) -> dict[str, str]:
    """Return the group of each step: itself (0), its observation's steps of a task (1), or all of the task (2).

    Steps of one task in different layers stay apart, so that no link crosses a box between them.
    """
    return {
        s.id: (s.id, f"{s.command.task} {layers[s.id]} {s.obs_id}", f"{s.command.task} {layers[s.id]}")[level]
        for s in steps
    }


def _is_small(groups: dict[str, str], layers: dict[str, int]) -> bool:
    sizes = Counter(layers[ids[0]] for ids in _members(groups).values())
    return max(sizes.values()) <= _MOST_IN_A_LAYER


def _members(groups: dict[str, str]) -> dict[str, list[str]]:
    return dict(groupby(groups.__getitem__, groups))


def _boxes(steps: tuple[Step, ...], groups: dict[str, str], layers: dict[str, int]) -> dict[str, _Box]:
    by_id = {s.id: s for s in steps}
    files: dict[int, dict[str, None]] = {}
    for step in steps:
        files.setdefault(layers[step.id], {}).update({i.file.path: None for i in step.inputs if i.file is not None})
    tip = "files that are on disk already"
    boxes = {_found(k): _Box(k - 1, count(len(f), "found file"), tip, is_found=True) for k, f in files.items() if f}
    for group, ids in _members(groups).items():
        first, task, layer = by_id[ids[0]], by_id[ids[0]].command.task, layers[ids[0]]
        if len(ids) > 1:
            place = f" {first.obs_id}" if group.endswith(first.obs_id) else ""
            text = f"{len(ids)} \N{MULTIPLICATION SIGN} {task}{place}"
            boxes[group] = _Box(layer, text, f"{count(len(ids), 'step')} of {task}")
        else:
            name = (*first.command.outputs, task)[0]
            text = f"{task} {_shortened(name.rpartition('.')[0] or name)}"
            boxes[group] = _Box(layer, text, " ".join(first.command.argv)[:300])
    return boxes


def _found(layer: int) -> str:
    """Return the name of the box of found files that steps of a layer read."""
    return f"found {layer}"


def _shortened(name: str) -> str:
    return name if len(name) <= 34 else f"{name[:16]}…{name[-17:]}"


def _links(steps: tuple[Step, ...], groups: dict[str, str], layers: dict[str, int]) -> list[tuple[str, str]]:
    links: dict[tuple[str, str], None] = {}
    for step in steps:
        for item in step.inputs:
            source = groups[item.step] if item.step else _found(layers[step.id])
            links[source, groups[step.id]] = None
    return list(links)


def _svg(boxes: dict[str, _Box], links: list[tuple[str, str]]) -> Html:
    used = sorted({box.layer for box in boxes.values()})
    columns = [[name for name, box in boxes.items() if box.layer == layer] for layer in used]
    widths = [max(_width(boxes[n]) for n in names) for names in columns]
    height = max(map(len, columns)) * (_HEIGHT + _GAP) - _GAP
    places: dict[str, tuple[float, float, float]] = {}  # left, top, width
    left = 1.0
    for names, width in zip(columns, widths, strict=True):
        top = (height - len(names) * (_HEIGHT + _GAP) + _GAP) / 2 + 1
        for row, name in enumerate(names):
            own = _width(boxes[name]) if boxes[name].is_found else width
            places[name] = (left + width - own, top + row * (_HEIGHT + _GAP), own)
        left += width + _LINK
    parts = [_path(places[a], places[b]) for a, b in links] + [_box(places[n], box) for n, box in boxes.items()]
    wide, high = left - _LINK + 1, height + 2
    return Html(
        f'<svg role="img" aria-label="graph of the plan" viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}" '
        f'height="{high:.0f}" style="max-width:100%;height:auto;display:block;margin:0.5em 0" fill="none" '
        f'stroke="currentColor" font-family="sans-serif" font-size="12">{"".join(parts)}</svg>'
    )


def _width(box: _Box) -> float:
    return len(box.text) * _LETTER + _PADDING


def _path(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    x0, y0, x1, y1 = start[0] + start[2], start[1] + _HEIGHT / 2, end[0], end[1] + _HEIGHT / 2
    middle = (x0 + x1) / 2
    curve = f"M{x0:.1f},{y0:.1f} C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f}"
    return f'<path d="{curve}" stroke-opacity="0.5"/>'


def _box(place: tuple[float, float, float], box: _Box) -> str:
    left, top, width = place
    dashes = ' stroke-dasharray="4 3"' if box.is_found else ""
    return (
        f"<g><title>{escape(box.tip)}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_HEIGHT}" rx="4" stroke-opacity="0.7"'
        f' fill="currentColor" fill-opacity="0.05"{dashes}/>'
        f'<text x="{left + width / 2:.1f}" y="{top + _HEIGHT / 2 + 4:.1f}" text-anchor="middle" stroke="none" '
        f'fill="currentColor">{escape(box.text)}</text></g>'
    )
