"""Several records together: a tuple that a notebook shows as a table."""

from typing import Any, TypeVar

from attrs import fields, has

from xphotfn.html import block, count, table

__all__ = ("Several",)

T = TypeVar("T")
_MOST_COLUMNS, _FEWEST_COLUMNS = 8, 3
_MOST_TEXT = 120


class Several(tuple[T, ...]):
    """A tuple of records, equal to any other tuple of the same; functions that return several records return it.

    Examples
    --------
    >>> from xphotfn.records.band import Band
    >>> bands = Several([Band(lo_ev=500, hi_ev=2000), Band(lo_ev=2000, hi_ev=7000)])
    >>> bands == (Band(lo_ev=500, hi_ev=2000), Band(lo_ev=2000, hi_ev=7000)), "2-7 keV" in bands._repr_html_()
    (True, True)
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        kinds = {type(item) for item in self}
        kind = kinds.pop() if len(kinds) == 1 else object
        title = count(len(self), "item" if kind is object else kind.__name__)
        names = _columns(self, kind)
        if names:
            return block(title, table([[_cell(getattr(item, name)) for name in names] for item in self], names))
        return block(title, table([(_short(str(item)),) for item in self]))


def _columns(items: tuple[Any, ...], kind: type) -> list[str]:
    """Return the fields that hold numbers and texts, where there are some that are not empty in all items."""
    if not has(kind) or kind.__str__ is not object.__str__:
        return []
    plain = [
        item.name
        for item in fields(kind)
        if item.repr and all(isinstance(getattr(one, item.name), (str, int, float, type(None))) for one in items)
    ]
    names = [name for name in plain if any(getattr(one, name) not in (None, "") for one in items)]
    return names[:_MOST_COLUMNS] if len(names) >= _FEWEST_COLUMNS else []


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.8g}"
    return "" if value is None else _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 3]}..."
