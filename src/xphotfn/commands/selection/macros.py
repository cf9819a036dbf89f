"""Textual substitution of ``#NAME`` by the value of a header keyword, as SAS does it."""

import re
from collections.abc import Mapping

from xphotfn.commands.selection.nodes import CONSTANTS
from xphotfn.errors import ExpressionError
from xphotfn.records.instrument import known_instrument

__all__ = ("expand_macros",)

_SYMBOL = re.compile(r"#([A-Za-z][A-Za-z0-9_]*)")
_LANGUAGE = frozenset(name for name, _ in CONSTANTS) | {"ROW"}
_LONGEST = 100_000
_DEEPEST = 20


def expand_macros(text: str, header: Mapping[str, object]) -> str:
    """Return an expression with every ``#NAME`` replaced by the value of that header keyword.

    Parameters
    ----------
    text
        The expression.
    header
        Header of the event table, with keywords in capitals; a mapping such as a FITS header or a dict.

    Returns
    -------
    str
        The text with all macros replaced, those inside macros too. ``#PI #E #RAD #DEG #ARCSEC #ARCMIN`` and
        ``#ROW`` belong to the language and stay.

    Raises
    ------
    ExpressionError
        If a keyword is absent, refers to itself, or grows too long; the error points at its place in ``text``.

    Notes
    -----
    The value goes in as plain text without brackets, as SAS does. A header without ``XMMEA_EM`` or
    ``XMMEA_EP`` falls back on the flags of the camera that ``INSTRUME`` names.

    References
    ----------
    XMM-Newton SAS, selectlib 4.77, node 13.

    Examples
    --------
    >>> expand_macros("#XMMEA_EM && PATTERN <= 12", {"INSTRUME": "EMOS1"})
    '(FLAG & 0x766ba000) == 0 && PATTERN <= 12'
    >>> expand_macros("#DIST <= 128*#PI", {"DIST": "sqrt(#SQUARE)", "SQUARE": "(RAWX-1)**2"})
    'sqrt((RAWX-1)**2) <= 128*#PI'
    """
    known: dict[str, str] = {}
    pieces: list[str] = []
    end = 0
    for match in _SYMBOL.finditer(text):
        name = match.group(1).upper()
        try:
            value = match.group() if name in _LANGUAGE else _value(name, header, (), known)
        except _UnusableError as problem:
            raise ExpressionError(str(problem), text, match.start()) from None
        pieces += [text[end : match.start()], value]
        end = match.end()
    pieces.append(text[end:])
    if sum(map(len, pieces)) > max(_LONGEST, 2 * len(text)):
        raise ExpressionError(f"the expression is longer than {_LONGEST} characters with its macros", text, 0)
    return "".join(pieces)


class _UnusableError(ValueError):
    """A macro that has no usable value."""


def _value(name: str, header: Mapping[str, object], outer: tuple[str, ...], known: dict[str, str]) -> str:
    """Return the full text of one macro; ``outer`` are the macros that it stands in."""
    if name in known:
        return known[name]
    if name in outer or len(outer) >= _DEEPEST:
        chain = " -> ".join(f"#{n}" for n in (*outer, name))
        problem = "refers to itself" if name in outer else f"is nested more than {_DEEPEST} deep"
        raise _UnusableError(f"#{outer[0] if outer else name} {problem}: {chain}")

    def replacement(match: "re.Match[str]") -> str:
        inner = match.group(1).upper()
        return match.group() if inner in _LANGUAGE else _value(inner, header, (*outer, name), known)

    raw = _raw(name, header)
    length = sum(len(replacement(match)) for match in _SYMBOL.finditer(raw))
    if length + len(raw) > _LONGEST:
        raise _UnusableError(f"#{name} grows to more than {_LONGEST} characters")
    known[name] = _SYMBOL.sub(replacement, raw)
    return known[name]


def _raw(name: str, header: Mapping[str, object]) -> str:
    value = header.get(name)
    if value is None:
        instrument = str(header.get("INSTRUME", "")).strip().upper()
        camera = known_instrument(instrument)
        if camera is not None and camera.flag_macro == f"#{name}":
            return camera.flag_condition
        raise _UnusableError(
            f"#{name} is no constant, and the header (INSTRUME {instrument or 'unknown'}) has no {name}"
        )
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value).strip()
