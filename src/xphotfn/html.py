"""Small pieces of HTML for notebooks: everything is escaped, nothing is loaded, and colours are those of the page."""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import fields, has

__all__ = ("Html", "block", "count", "details", "escape", "facts", "file_name", "record_html", "table")

# Backgrounds and text are inherited, lines are half transparent: readable on light and on dark pages.
_CELL = "padding:0.15em 0.8em 0.15em 0;text-align:left;vertical-align:top;background:none;border:0;color:inherit"
_RULE = ";border-bottom:1px solid rgba(128,128,128,0.35)"
_MAX_ROWS, _MAX_ITEMS, _MAX_TEXT = 30, 5, 300


class Html(str):
    """Text that is HTML already, and is not escaped again."""

    __slots__ = ()


def escape(value: object) -> Html:
    """Return any value as HTML text."""
    if isinstance(value, Html):
        return value
    from html import escape as escaped

    return Html(escaped(str(value)))


def count(number: int, word: str, plural: str = "") -> str:
    """Return a number with its word.

    Examples
    --------
    >>> count(1, "step"), count(2, "step"), count(0, "event list")
    ('1 step', '2 steps', '0 event lists')
    """
    return f"{number} {word if number == 1 else plural or word + 's'}"


def file_name(path: str) -> Html:
    """Return the last part of a path, with the whole path as its tooltip."""
    return Html(f'<span title="{escape(path)}">{escape(path.rpartition("/")[2])}</span>')


def block(title: object, *parts: Html) -> str:
    """Return a title with parts below it: the whole of a record."""
    head = f'<div style="font-weight:600;margin-bottom:0.3em">{escape(title)}</div>'
    style = "color:inherit;line-height:1.35;margin:0.2em 0;max-width:100%;overflow-x:auto"
    return f'<div class="xphotfn" style="{style}">{head}{"".join(parts)}</div>'


def table(
    rows: Iterable[Sequence[Any]], head: Sequence[Any] = (), *, most: int = _MAX_ROWS, total: int = 0
) -> Html:  # fmt: skip
    """Return a table, of its first rows only where there are many; or those of the first rows of ``total``."""
    given = list(rows)
    lines = [_row("td", row) for row in given[:most]]
    left = max(len(given), total) - len(lines)
    if left:
        width = max(len(head), len(given[0]))
        lines.append(f'<tr><td colspan="{width}" style="{_CELL}">and {left} more</td></tr>')
    top = f"<thead>{_row('th', head, _RULE)}</thead>" if head else ""
    style = "border-collapse:collapse;border:0;margin:0.2em 0;color:inherit"
    return Html(f'<table style="{style}">{top}<tbody>{"".join(lines)}</tbody></table>')


def facts(pairs: Iterable[tuple[Any, Any]]) -> Html:
    """Return a table of two columns, what and value."""
    shown = [(what, value) for what, value in pairs if value not in (None, "")]
    return table(
        [(Html(f'<span style="opacity:0.7">{escape(what)}</span>'), value) for what, value in shown], most=len(shown)
    )


def details(summary: object, body: Html, *, opened: bool = False) -> Html:
    """Return a part that folds away."""
    top = f'<summary style="cursor:pointer">{escape(summary)}</summary>'
    return Html(f'<details{" open" if opened else ""} style="margin:0.2em 0">{top}{body}</details>')


def record_html(record: Any) -> str:
    """Return any record, or named tuple, as a table of its fields."""
    kind = type(record)
    names = [item.name for item in fields(kind) if item.repr] if has(kind) else list(kind._fields)
    pairs = [(name, _shown(getattr(record, name))) for name in names]
    return block(type(record).__name__, facts((name.strip("_"), value) for name, value in pairs))


def _row(tag: str, cells: Sequence[Any], extra: str = "") -> str:
    return "<tr>" + "".join(f'<{tag} style="{_CELL}{extra}">{escape(cell)}</{tag}>' for cell in cells) + "</tr>"


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        items = [_short(item) for item in value[:_MAX_ITEMS]]
        more = [f"and {len(value) - _MAX_ITEMS} more"] if len(value) > _MAX_ITEMS else []
        return Html("<br/>".join(escape(item) for item in [*items, *more]))
    return _short(value)


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, (str, int, float)) or has(type(value)) else repr(value)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
