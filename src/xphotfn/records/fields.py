"""Converters and validators shared by the records."""

import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, SupportsFloat

from attrs import Attribute
from attrs.validators import optional as _if_known

from xphotfn.errors import InvalidRecord

__all__ = (
    "each_of",
    "finite",
    "finite_or_none",
    "finite_size",
    "float_or_none",
    "is_safe_name",
    "items",
    "non_empty",
    "not_negative",
    "of_kind",
    "one_line",
    "one_of",
    "one_or_several",
    "pairs",
    "plain_number",
    "positive",
    "safe_name",
    "size_or_none",
    "strings",
    "switch",
    "valid_obs_id",
    "whole",
)


_MOST_LETTERS = 200
_NO_TEXT = ("Cc", "Cs", "Zl", "Zp")  # Unicode's control characters, halves of characters, ends of lines
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+\-]*")


def of_kind(value: object, kind: type, remedy: str) -> Any:
    """Return a record as it is; anything else is refused with the call that makes such a record."""
    if not isinstance(value, kind):
        shown = repr(value) if isinstance(value, str | int | float) else type(value).__name__
        raise InvalidRecord(f"expected {kind.__name__}, as {remedy} returns it, got {shown[:60]}")
    return value


def one_or_several(value: Any, kind: type, remedy: str) -> tuple[Any, ...]:
    """Return one record or several as a tuple; anything else is refused as by :func:`of_kind`."""
    several = isinstance(value, Iterable) and not isinstance(value, kind | str)
    return tuple(of_kind(item, kind, remedy) for item in (value if several else (value,)))


def items(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return the values as a tuple."""
    try:
        return tuple(values)
    except TypeError as error:
        raise InvalidRecord(f"expected several values, got {str(values)[:60]!r}: put one in a tuple") from error


def pairs(values: Iterable[Any]) -> tuple[tuple[Any, Any], ...]:
    """Return pairs as tuples, so that they hash."""
    return tuple((first, second) for first, second in values)


def whole(value: Any) -> int:
    """Return a whole number as int; a fraction, NaN or a text is refused, never cut."""
    try:
        result = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidRecord(f"expected a whole number, got {value!r}") from error
    if isinstance(value, str) or result != value:
        raise InvalidRecord(f"expected a whole number, got {value!r}")
    return result


def each_of(kind: type) -> Any:
    """Return a validator that accepts a tuple of records of one kind and refuses all else."""

    def check(record: object, attribute: Any, values: tuple[Any, ...]) -> None:
        wrong = [value for value in values if not isinstance(value, kind)]
        if wrong:
            raise InvalidRecord(
                f"{type(record).__name__}.{attribute.name} must be records {kind.__name__}, got "
                f"{str(wrong[0])[:50]!r} ({type(wrong[0]).__name__})"
            )

    return check


def plain_number(value: SupportsFloat) -> float:
    """Return a number as float; a text, None or a quantity with a unit is refused."""
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidRecord(f"expected a plain number, got {str(value)[:60]!r} ({type(value).__name__})") from error
    if isinstance(value, str | bytes):
        raise InvalidRecord(f"expected a plain number, got the text {value[:60]!r}")
    return result


def strings(values: Iterable[Any]) -> tuple[str, ...]:
    """Return the values as a tuple of str; a lone str is refused, it would be split into letters."""
    if isinstance(values, str):
        raise InvalidRecord(f"expected several names, got the single string {values!r}: put it in a tuple")
    given = tuple(values)
    return given if all(type(v) is str for v in given) else tuple(map(str, given))


def switch(record: object, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse what is neither True nor False: a text such as ``"no"`` would be true."""
    if not isinstance(value, bool):
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must be True or False, got {value!r}")


def finite(record: object, attribute: "Attribute[Any]", value: float) -> None:
    """Refuse NaN and infinity."""
    if not math.isfinite(value):
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must be finite, got {value!r}")


def positive(record: object, attribute: "Attribute[Any]", value: float) -> None:
    """Refuse what is not a finite number above zero."""
    if not (math.isfinite(value) and value > 0):
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must be above 0, got {value!r}")


def not_negative(record: object, attribute: "Attribute[Any]", value: Any) -> None:
    """Refuse a number below zero, and NaN."""
    if not value >= 0:
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must not be negative, got {value!r}")


def non_empty(record: object, attribute: "Attribute[Any]", value: str) -> None:
    """Refuse an empty or blank string."""
    if not value.strip():
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must not be empty")


def one_line(record: object, attribute: "Attribute[Any]", value: str) -> None:
    """Refuse a name that is no line of text: empty, longer than 200 characters, with control characters in it."""
    non_empty(record, attribute, value)
    if len(value) > _MOST_LETTERS or any(unicodedata.category(letter) in _NO_TEXT for letter in value):
        raise InvalidRecord(
            f"{type(record).__name__}.{attribute.name} must be one line of text of at most {_MOST_LETTERS} characters, "
            f"got {value[:40]!r} ({len(value)} characters)"
        )


def one_of(*allowed: str) -> Any:
    """Return a validator that accepts the given strings only."""

    def check(record: object, attribute: Any, value: str) -> None:
        if value not in allowed:
            raise InvalidRecord(
                f"{type(record).__name__}.{attribute.name} must be one of {', '.join(allowed)}, got {value!r}"
            )

    return check


def is_safe_name(value: str) -> bool:
    """Return whether a file name is plain and relative: it will become part of a path."""
    return _SAFE.fullmatch(value) is not None and ".." not in value


def safe_name(record: object, attribute: "Attribute[Any]", value: str) -> None:
    """Refuse a file name that is not a plain relative name: it will become part of a path."""
    if not is_safe_name(value):
        raise InvalidRecord(
            f"{type(record).__name__}.{attribute.name} must be a plain file name "
            f"(letters, digits, _ . + -), got {value!r}"
        )


def valid_obs_id(record: object, attribute: "Attribute[Any]", value: str) -> None:
    """Refuse an ObsID that is not ten digits."""
    if not re.fullmatch(r"[0-9]{10}", value):
        raise InvalidRecord(
            f"{type(record).__name__}.{attribute.name} must be an XMM ObsID of ten digits, got {value!r}"
        )


def float_or_none(value: float | None) -> float | None:
    """Return a number as float, None as it is."""
    return None if value is None else plain_number(value)


def finite_size(record: object, attribute: "Attribute[Any]", value: float) -> None:
    """Refuse what is below 0 or not finite."""
    if not 0 <= value < math.inf:
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must be finite and not negative, got {value!r}")


finite_or_none = _if_known(finite)
"""Refuses what is known and not finite."""
size_or_none = _if_known(finite_size)
"""Refuses what is known and below 0 or not finite."""
