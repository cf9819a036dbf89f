"""Records as JSON and back: the form in which a store keeps runs."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import attrs
from toolz import partition_all

from xphotfn.errors import InvalidRecord

__all__ = ("from_plain", "json_chunks", "to_json", "to_plain")

_AT_ONCE = 500  # items of a tuple, as one text
_ROOMS = ("records", "commands", "graph", "science", "io")
_FORMERLY = {  # where records of version 0.1.0 stood: its stores name them so
    "graph.plan:Step": "xphotfn.commands.step:Step",
    "graph.plan:StepInput": "xphotfn.commands.step:StepInput",
}


def to_json(value: Any) -> str:
    """Return a record as JSON; :func:`from_plain` of what ``json`` reads from it is the record again.

    Raises
    ------
    InvalidRecord
        If it holds something that is neither a record nor a tuple, list, str, number, bool or None.

    Examples
    --------
    >>> from xphotfn.records import Band
    >>> to_json((Band(lo_ev=500, hi_ev=2000), 1))
    '[{"#": "xphotfn.records.band:Band", "lo_ev": 500, "hi_ev": 2000}, 1]'
    """
    return _ENCODER.encode(value)


def json_chunks(record: Any, **others: Iterable[Any]) -> Iterator[str]:
    """Yield pieces of :func:`to_json` of a record whose tuples are too long to be held as text, or at all.

    Parameters
    ----------
    record
        A record, perhaps with records that hold long tuples.
    **others
        What stands in fields of that name instead of what the record holds.

    Examples
    --------
    >>> from xphotfn.records.outcome import Done, Skipped
    >>> done = Done(step="a", key="b", outputs=(), warnings=("odd", "even"))
    >>> "".join(json_chunks(done)) == to_json(done)
    True
    """
    start = "{"
    for name, value in _shallow(record).items():
        yield f'{start}"{name}": '
        start = ", "
        if name in others or isinstance(value, tuple):
            yield from _list_chunks(others.get(name, value))
        elif attrs.has(type(value)):
            yield from json_chunks(value)
        else:
            yield to_json(value)
    yield "}"


def _list_chunks(items: Iterable[Any]) -> Iterator[str]:
    start = "["
    for some in partition_all(_AT_ONCE, items):
        yield start + to_json(some)[1:-1]
        start = ", "
    yield "[]" if start == "[" else "]"


def to_plain(value: Any) -> Any:
    """Return a record as dicts, lists and scalars that ``json`` can write; the inverse of :func:`from_plain`.

    Examples
    --------
    >>> from xphotfn.records import Band
    >>> to_plain(Band(lo_ev=500, hi_ev=2000))
    {'#': 'xphotfn.records.band:Band', 'lo_ev': 500, 'hi_ev': 2000}
    """
    return json.loads(to_json(value))


def _shallow(value: Any) -> dict[str, Any]:
    """Return a record as a dict, and leave what it holds to ``json``, which is faster at it."""
    kind: Any = type(value)
    fields = _fields(kind)
    if fields is None:
        raise InvalidRecord(f"a {type(value).__name__} cannot be kept as JSON: {value!r}")
    return {**fields[0], **{alias: getattr(value, name) for alias, name in fields[1]}}


_ENCODER = json.JSONEncoder(default=_shallow)


@cache
def _fields(kind: Any) -> tuple[dict[str, str], tuple[tuple[str, str], ...]] | None:
    """Return how a record's class is named, and pairs of what its fields are called in the constructor and in it."""
    if not attrs.has(kind):
        return None
    pairs = tuple((str(a.alias), str(a.name)) for a in attrs.fields(kind) if a.init)
    return {"#": f"{kind.__module__}:{kind.__name__}"}, pairs


def from_plain(value: Any) -> Any:
    """Return the record that :func:`to_plain` wrote; validators run again, lists become tuples.

    Raises
    ------
    InvalidRecord
        If it names something that is no record of xphotfn.
    """
    if isinstance(value, dict):
        fields = {k: from_plain(v) for k, v in value.items() if k != "#"}
        return _record_class(str(value.get("#")))(**fields)
    return tuple(from_plain(v) for v in value) if isinstance(value, list) else value


def _record_class(name: str) -> Any:
    module, _, kind = _FORMERLY.get(name.removeprefix("xphotfn."), name).partition(":")
    parts = module.split(".")
    if parts[0] != "xphotfn" or len(parts) < 2 or parts[1] not in _ROOMS:
        raise InvalidRecord(f"{name!r} names no record of xphotfn")
    try:
        found = getattr(import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise InvalidRecord(f"{name!r} names no record of this version of xphotfn") from error
    if not attrs.has(found):
        raise InvalidRecord(f"{name!r} is no record")
    return found
