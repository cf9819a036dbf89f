"""The observations of a folder as commands see them: with --prefer and --layout, and what is left out told briefly."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from xphotfn.cli.options import LAYOUT, PREFER
from xphotfn.cli.output import say, wants_progress
from xphotfn.errors import InvalidRecord

__all__ = ("file_rows", "observations_of", "say_left_out", "searched")

MOST_NOTES = 60  # lines; of more files their number is told for each reason


def searched(root: Path) -> Any:
    """Return the inventory of a folder, with what --prefer and --layout say."""
    from xphotfn.io.find import inventory

    given = click.get_current_context().meta
    layout = _layout(given.get(LAYOUT, ()))
    found = inventory(root, layout=layout, prefer=given.get(PREFER, ()), progress=wants_progress())
    for text in _without_effect(layout, root, found):
        say(f"note: --layout {text!r} fits no file below {root}")
    return found


def observations_of(root: Path) -> tuple[Any, ...]:
    """Return the observations of a folder, and say which files of EPIC are not used and why."""
    observations: tuple[Any, ...] = searched(root).observations
    say_left_out([note for observation in observations for note in observation.left_out])
    return observations


def _layout(given: Iterable[str]) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for text in given:
        kind, found, template = text.partition("=")
        if not found:
            raise InvalidRecord(f"--layout {text!r} is no KIND=TEMPLATE, such as events='{{obs_id}}/mos1_clean.fits'")
        result.setdefault(kind, []).append(template)
    return result


def _without_effect(layout: Mapping[str, Iterable[str]], root: Path, found: Any) -> list[str]:
    """Return the templates that fit no file."""
    from xphotfn.io.layout import compile_layout, hint_of

    if not layout:
        return []
    files = [row["file"] for row in file_rows(root, found)]
    each = [(kind, template) for kind, templates in layout.items() for template in templates]
    return [
        f"{kind}={template}"
        for kind, template in each
        if not any(hint_of(compile_layout({kind: template}), file).kind for file in files)
    ]


def say_left_out(notes: Sequence[Any]) -> None:
    """Say which files are left out and why: a line for each, or of many the number for each reason."""
    undecided = [note for note in notes if note.reason == "undecided"]
    others = [note for note in notes if note.reason != "undecided"]
    for note in undecided:
        say(f"note: {note.obs_id}: {note}")
    if len(others) <= MOST_NOTES:
        for note in others:
            say(f"note: {f'{note.obs_id}: ' if note.obs_id else ''}{note}")
        return
    for (obs_id, why), count in sorted(Counter((note.obs_id, _kind_of(note)) for note in others).items()):
        say(f"note: {obs_id or 'no observation'}: {count} left out: {why}")
    say("note: xphotfn find --all names each file")


def _kind_of(note: Any) -> str:
    from xphotfn.records.left_out import REASONS

    return f"is {note.detail}" if note.reason == "other_kind" and note.detail else REASONS[note.reason]


def file_rows(root: Path, found: Any) -> list[Mapping[str, Any]]:
    """Return a row for each file below a folder: what it is used for, or why it is not."""
    from xphotfn.io.tree import expanded

    top = expanded(root).absolute()
    rows = [_left_out_row(note) for note in found.left_out]
    for observation in found.observations:
        singles = [(kind, getattr(observation, kind)) for kind in ("attitude", "regions", "cif")]
        rows += [_used_row(observation, file, kind, top) for kind, file in singles if file is not None]
        for exposure in observation.exposures:
            if exposure.events is not None:
                rows.append(_used_row(observation, exposure.events, "events", top, exposure))
            rows += [_used_row(observation, p.file, p.kind, top, exposure, p.band) for p in exposure.products]
    return sorted(rows, key=lambda row: (row["obs_id"], row["file"]))


def _used_row(
    observation: Any, file: Any, kind: str, top: Path, exposure: Any = None, band: Any = None
) -> dict[str, Any]:
    path = Path(file.path)
    return {
        "obs_id": observation.obs_id,
        "file": path.relative_to(top).as_posix() if path.is_relative_to(top) else file.path,
        "used": "yes",
        "kind": kind,
        "instrument": exposure.instrument if exposure else "",
        "exposure_id": exposure.exposure_id if exposure else "",
        "band": str(band or ""),
        "why": "",
    }


def _left_out_row(note: Any) -> dict[str, Any]:
    return {
        "obs_id": note.obs_id,
        "file": note.file,
        "used": "no",
        "kind": note.kind,
        "instrument": note.instrument,
        "exposure_id": note.exposure_id,
        "band": str(note.band or ""),
        "why": note.why,
    }
