"""Templates that say where the files of a tree are and what their names mean."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from xphotfn.errors import InvalidRecord
from xphotfn.records.band import Band
from xphotfn.records.instrument import INSTRUMENTS, instrument

__all__ = ("Hint", "Layout", "compile_layout", "hint_of")

KINDS = ("image", "exposure_map", "events", "attitude", "cif", "regions")
_NAMES = "|".join(name for c in INSTRUMENTS for name in (c.sas_name, c.name, c.pps_name))
_FIELDS = {
    "obs_id": "[0-9]{10}",
    "instrument": f"(?i:{_NAMES})",
    "exposure_id": "[SUXsux]?[0-9]{1,3}",
    "lo": r"[0-9]+(?:\.[0-9]*)?",
    "hi": r"[0-9]+(?:\.[0-9]*)?",
}
_PART = re.compile(r"\{([^{}]*)\}|(\*)|([^{}*]+)|(.)", re.DOTALL)

Layout = tuple[tuple[str, re.Pattern[str]], ...]


class Hint(NamedTuple):
    """What a template says of one file; empty where it says nothing."""

    kind: str = ""
    obs_id: str = ""
    instrument: str = ""
    exposure_id: str = ""
    band: Band | None = None


def compile_layout(layout: Mapping[str, str | Sequence[str]] | None) -> Layout:
    """Return the templates of a layout as regular expressions.

    Parameters
    ----------
    layout
        Kind of file (image, exposure_map, events, attitude, cif, regions) to one template or several. A template is
        a path relative to the root with the fields ``{obs_id}``, ``{instrument}``, ``{exposure_id}``, ``{lo}`` and
        ``{hi}`` (keV), and ``*`` for anything within a name. A ``.gz`` after it is always allowed.

    Raises
    ------
    InvalidRecord
        If a kind or a field is not known.

    Examples
    --------
    >>> templates = compile_layout({"image": "{obs_id}/{instrument}-{lo}-{hi}keV_img.fits"})
    >>> hint_of(templates, "0404910601/pn-0.5-2.0keV_img.fits.gz").band
    Band(lo_ev=500, hi_ev=2000)
    """
    result = []
    for kind, templates in (layout or {}).items():
        if kind not in KINDS:
            raise InvalidRecord(f"layout has no kind {kind!r}: use {', '.join(KINDS)}")
        for template in (templates,) if isinstance(templates, str) else templates:
            result.append((kind, _expression(kind, template)))
    return tuple(result)


def _expression(kind: str, template: str) -> re.Pattern[str]:
    parts, known = [], set()
    for part in _PART.finditer(template):
        name = part[1]
        if name is None:
            if part[4]:
                raise InvalidRecord(f"layout[{kind!r}] has a single {part[4]!r}: write fields as {{obs_id}}")
            parts.append("[^/]*" if part[2] else re.escape(part[3]))
        elif name not in _FIELDS:
            raise InvalidRecord(f"layout[{kind!r}] has no field {{{name}}}: use {', '.join(_FIELDS)}")
        else:
            parts.append(f"(?P={name})" if name in known else f"(?P<{name}>{_FIELDS[name]})")
            known.add(name)
    if ("lo" in known) != ("hi" in known):
        raise InvalidRecord(f"layout[{kind!r}] names one end of the band: give both {{lo}} and {{hi}}")
    return re.compile("".join(parts) + r"(?:\.gz)?")


def hint_of(layout: Layout, relative: str) -> Hint:
    """Return what the first template that fits says of a path; an empty hint where none fits."""
    for kind, expression in layout:
        match = expression.fullmatch(relative)
        if match:
            said = match.groupdict()
            ends = [round(1000 * float(said[end])) for end in ("lo", "hi") if said.get(end)]
            return Hint(
                kind=kind,
                obs_id=said.get("obs_id") or "",
                instrument=instrument(said["instrument"]).name if said.get("instrument") else "",
                exposure_id=_exposure_id(said.get("exposure_id") or ""),
                band=Band(lo_ev=ends[0], hi_ev=ends[1]) if ends and ends[0] < ends[1] else None,
            )
    return Hint()


def _exposure_id(text: str) -> str:
    """Return ``S003`` for ``s3``, ``003`` and ``S003``."""
    if not text:
        return ""
    letter = text[0].upper() if text[0].isalpha() else "S"
    return f"{letter}{int(text.lstrip('SUXsux')):03d}"
