"""Records as JSON and back: the form in which a store keeps runs."""

from importlib import import_module
from typing import Any

import attrs

from xphotfn.errors import InvalidRecord

__all__ = ("from_plain", "to_plain")

_ROOMS = ("records", "commands", "graph", "science", "io")


def to_plain(value: Any) -> Any:
    """Return a record as dicts, lists and scalars that ``json`` can write; the inverse of :func:`from_plain`.

    Examples
    --------
    >>> from xphotfn.records import Band
    >>> to_plain(Band(lo_ev=500, hi_ev=2000))
    {'#': 'xphotfn.records.band:Band', 'lo_ev': 500, 'hi_ev': 2000}
    """
    if attrs.has(type(value)):
        kind = type(value)
        return {
            "#": f"{kind.__module__}:{kind.__name__}",
            **{a.alias: to_plain(getattr(value, a.name)) for a in attrs.fields(kind) if a.init},
        }
    if isinstance(value, tuple | list):
        return [to_plain(v) for v in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise InvalidRecord(f"a {type(value).__name__} cannot be kept as JSON: {value!r}")


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
