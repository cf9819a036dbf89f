"""HTML as text: elements that escape what they hold, the frame of a page, and numbers for people."""

import base64
import hashlib
import math
from functools import cache
from importlib.resources import files
from typing import Any

from xphotfn.html import Html, escape

__all__ = (
    "DASH",
    "RATE_UNITS",
    "element",
    "exposure",
    "number",
    "page",
    "sort_heading",
    "sort_value",
    "with_error",
)


DASH, MINUS = "\u2013", "\u2212"
RATE_UNITS = {"s": "ct/s", "cm2 s": "photon/(cm2 s)"}
"""Unit of the rates by that of the exposure."""

_MOST_DIGITS = 6
_RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
_VOID = ("img", "input", "meta", "link", "br")


def element(name: str, /, *children: Any, **attributes: Any) -> Html:
    """Return an element; children that are no :class:`Html` are escaped, None is left out.

    Underscores of attributes become hyphens, a trailing one goes (``class_``). None and False are left out, True stands
    alone.

    Examples
    --------
    >>> element("a", "<x> & y", href='t/"a".html', class_="name", hidden=None)
    '<a href="t/&quot;a&quot;.html" class="name">&lt;x&gt; &amp; y</a>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is not None and value is not False:
            word = key.rstrip("_") if key.endswith("_") else key.replace("_", "-")
            words.append(word if value is True else f'{word}="{escape(str(value))}"')
    if name in _VOID:
        return Html(f"<{' '.join(words)}>")
    inner = "".join(escape(c) for c in children if c is not None)
    return Html(f"<{' '.join(words)}>{inner}</{name}>")


@cache
def asset(name: str) -> str:
    """Return the text of a file that is shipped with the report: its styles or its script."""
    return files("xphotfn.reports").joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _hash(name: str) -> str:
    return base64.b64encode(hashlib.sha256(asset(name).encode()).digest()).decode()


def page(title: str, *body: Any) -> str:
    """Return a whole page. It may load nothing but pictures beside it, and run no script but its own.

    Examples
    --------
    >>> page("A <b>", element("p", "text")).startswith("<!doctype html>")
    True
    """
    policy = (
        f"default-src 'none'; img-src 'self' file:; style-src 'sha256-{_hash('report.css')}'; "
        f"script-src 'sha256-{_hash('report.js')}'; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        Html(f"<style>{asset('report.css')}</style>"),
    )
    end = Html(f"<script>{asset('report.js')}</script>")
    return f"<!doctype html>\n{element('html', head, element('body', *body, end), lang='en')}\n"


def error_digits(error: float) -> int:
    """Return how many decimals show two digits of an error.

    Examples
    --------
    >>> error_digits(0.0123), error_digits(45.0)
    (3, 0)
    """
    if not (math.isfinite(error) and error > 0):
        return 3
    return min(9, max(0, 1 - math.floor(math.log10(error))))


def with_error(value: float, error: float) -> str:
    """Return a value with its error, or a dash.

    Examples
    --------
    >>> with_error(0.41234, 0.0042), with_error(float("nan"), 1.0)
    ('0.4123 ± 0.0042', '–')
    >>> with_error(2.34567e-7, 1.2e-9)
    '(2.346 ± 0.012) × 10⁻⁷'
    """
    if not math.isfinite(value):
        return DASH
    if 0 < error < 10.0 ** (1 - _MOST_DIGITS):
        power = math.floor(math.log10(max(abs(value), error)))
        raised = str(power).translate(_RAISED)
        return f"({with_error(value / 10.0**power, error / 10.0**power)}) \u00d7 10{raised}"
    digits = error_digits(error)
    text = f"{value:.{digits}f}".replace("-", MINUS)
    return f"{text} ± {error:.{digits}f}" if math.isfinite(error) else text


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with a fixed number of decimals, or a dash.

    Examples
    --------
    >>> number(3.14159, 2), number(None), number(float("nan"))
    ('3.14', '–', '–')
    """
    return DASH if value is None or not math.isfinite(value) else f"{value:.{digits}f}".replace("-", MINUS)


def exposure(value: float, unit: str, digits: int = 1) -> tuple[str, str]:
    """Return an exposure for people and its unit: seconds as ks, cm2 s as they are.

    Examples
    --------
    >>> exposure(12345.0, "s"), exposure(12345678.0, "cm2 s")
    (('12.3', 'ks'), ('1.235e+07', 'cm2 s'))
    """
    if unit == "s":
        return number(value / 1000, digits), "ks"
    return (f"{value:.4g}" if math.isfinite(value) else DASH), unit


def sort_heading(key: str, words: str, unit: str, title: str) -> Html:
    """Return a heading whose button sorts its column.

    Examples
    --------
    >>> sort_heading("ra", "RA", "deg", "sort by RA")[:45]
    '<th scope="col" data-key="ra" class="ra"><but'
    """
    shown = [words, element("small", unit)] if unit else [words]
    button = element("button", *shown, type="button", title=title)
    return element("th", button, scope="col", data_key=key, class_=key)


def sort_value(value: float | None, digits: int = 6) -> str:
    """Return the number by which a cell is sorted, in a form that the script reads; nothing where it is not known.

    Examples
    --------
    >>> sort_value(149.592091, 9), sort_value(None), sort_value(float("nan"))
    ('149.592091', '', '')
    """
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"
