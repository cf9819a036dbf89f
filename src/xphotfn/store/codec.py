"""Records as JSON and back: the form in which a store keeps runs."""

import json
from functools import cache
from importlib import import_module
from typing import Any

import attrs

from xphotfn.errors import InvalidRecord

__all__ = ("from_plain", "to_json", "to_plain")

_ROOMS = ("records", "commands", "graph", "science", "io")


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
    return json.dumps(value, default=_shallow)


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
    module, _, kind = name.partition(":")
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
