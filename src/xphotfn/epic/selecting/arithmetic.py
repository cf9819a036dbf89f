"""Arithmetic of the selection language on numbers and arrays.

Integers stay integers as in C and Fortran: a quotient of integers is cut towards zero, a remainder has the
sign of its dividend, and both are NaN (so never selected) where the divisor is 0. Bitwise operators work on
32-bit two's complement. Powers and the functions of analysis give real numbers.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

__all__ = ("FUNCTION_OF", "NotWholeError", "Value", "binary", "complement", "negative", "number", "truth")

Value: TypeAlias = Any
"""A Python number or bool, or an array with one value per event."""

_INT64 = float(2**63)


class NotWholeError(TypeError):
    """A bitwise operator met a real number."""


def truth(value: Value) -> Value:
    """Return a value as a condition: numbers are true when they are neither 0 nor NaN."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "b":
            return value
        return (value != 0) & (value == value) if value.dtype.kind == "f" else value != 0
    return bool(value) and value == value  # NaN is not equal to itself


def number(value: Value) -> Value:
    """Return a value as int64 or float64, for arithmetic."""
    array = np.asarray(value)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64, copy=False)


def plain(value: Value) -> Value:
    """Return a result without dimensions as a Python number, so that it does not widen arrays."""
    return (
        value.item() if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim) else value
    )


def _bits(value: Value) -> Value:
    """Return the low 32 bits as int32."""
    array = np.asarray(value)
    if array.dtype.kind not in "iub":
        raise NotWholeError
    return array if array.dtype == np.int32 else array.astype(np.int64).astype(np.int32)


def negative(value: Value) -> Value:
    """Return ``-value``."""
    return plain(-number(value))


def complement(value: Value) -> Value:
    """Return ``~value`` in 32 bits."""
    return plain(~_bits(value))


def _is_integer(value: Value) -> bool:
    return bool(value.dtype.kind == "i")


def _divide(a: Value, b: Value) -> Value:
    if not (_is_integer(a) and _is_integer(b)):
        return a / b
    safe = np.where(b == 0, 1, b)
    quotient = a // safe
    quotient = quotient + ((quotient * safe != a) & ((a < 0) != (safe < 0)))
    return quotient if np.all(b != 0) else np.where(b == 0, np.nan, quotient)


def _remainder(a: Value, b: Value) -> Value:
    if not (_is_integer(a) and _is_integer(b)) or np.all(b != 0):
        return np.fmod(a, b)
    return np.where(b == 0, np.nan, np.fmod(a, np.where(b == 0, 1, b)))


def _power(a: Value, b: Value) -> Value:
    return np.power(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))


def _shift(shift: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    def apply(a: Value, b: Value) -> Value:
        return np.where((b >= 0) & (b < 32), shift(a, np.clip(b, 0, 31)), np.int32(0))

    return apply


_ARITHMETIC: Mapping[str, Callable[[Value, Value], Value]] = MappingProxyType(
    {"+": np.add, "-": np.subtract, "*": np.multiply, "/": _divide, "%": _remainder, "**": _power}
)
_BITWISE: Mapping[str, Callable[[Value, Value], Value]] = MappingProxyType(
    {
        "&": np.bitwise_and,
        "|": np.bitwise_or,
        "^": np.bitwise_xor,
        "<<": _shift(np.left_shift),
        ">>": _shift(np.right_shift),
    }
)
_COMPARE: Mapping[str, Callable[[Value, Value], Value]] = MappingProxyType(
    {
        "==": np.equal,
        "!=": np.not_equal,
        "<": np.less,
        "<=": np.less_equal,
        ">": np.greater,
        ">=": np.greater_equal,
    }
)


def binary(operator: str, a: Value, b: Value) -> Value:
    """Return ``a operator b`` for all binary operators but ``&&`` and ``||``."""
    if operator in _ARITHMETIC:
        return plain(_ARITHMETIC[operator](number(a), number(b)))
    if operator in _BITWISE:
        return plain(_BITWISE[operator](_bits(a), _bits(b)))
    if operator in ("==", "!="):
        a, b = _as_word(a, b), _as_word(b, a)
    return plain(_COMPARE[operator](a, b))


def _as_word(value: Value, other: Value) -> Value:
    """Return a constant of 2**31 to 2**32-1 as the 32-bit integer of the same bits, next to such integers."""
    if type(value) is int and 2**31 <= value < 2**32 and _is_word(other):
        return value - 2**32
    return value


def _is_word(value: Value) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.dtype.kind == "i" and value.dtype.itemsize == 4)
    return isinstance(value, int) and -(2**31) <= value < 0


def _whole(rounded: Value) -> Value:
    """Return rounded reals as integers where all of them fit."""
    if rounded.dtype.kind != "f" or not np.all(np.abs(rounded) < _INT64):
        return rounded
    return rounded.astype(np.int64)


def _nearest(a: Value) -> Value:
    return a if _is_integer(a) else _whole(np.trunc(a + np.copysign(0.5, a)))


def _real(function: Callable[..., Value]) -> Callable[..., Value]:
    def apply(*arguments: Value) -> Value:
        return function(*(np.asarray(a, dtype=np.float64) for a in arguments))

    return apply


def _fold(function: Callable[[Value, Value], Value]) -> Callable[..., Value]:
    def apply(*arguments: Value) -> Value:
        result = arguments[0]
        for argument in arguments[1:]:
            result = function(result, argument)
        return result

    return apply


def _near(value: Value, other: Value, tolerance: Value) -> Value:
    return np.abs(value - other) / np.abs(value).astype(np.float64) <= tolerance


FUNCTION_OF: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {
        "abs": np.abs,
        "sqrt": _real(np.sqrt),
        "exp": _real(np.exp),
        "log": _real(np.log),
        "log10": _real(np.log10),
        "sin": _real(np.sin),
        "cos": _real(np.cos),
        "tan": _real(np.tan),
        "asin": _real(np.arcsin),
        "acos": _real(np.arccos),
        "atan": _real(np.arctan),
        "sinh": _real(np.sinh),
        "cosh": _real(np.cosh),
        "tanh": _real(np.tanh),
        "floor": _real(np.floor),
        "ceil": _real(np.ceil),
        "int": lambda a: a if _is_integer(a) else _whole(np.trunc(a)),
        "nint": _nearest,
        "modf": lambda a: a - np.trunc(a),
        "sign": np.sign,
        "atan2": _real(np.arctan2),
        "pow": _power,
        "mod": _remainder,
        "fmod": _real(np.fmod),
        "min": _fold(np.minimum),
        "max": _fold(np.maximum),
        "near": _near,
    }
)
"""Functions of numbers; their arguments are int64 or float64 arrays."""
