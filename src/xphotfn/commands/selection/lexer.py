"""Words of the selection language, read one at a time from a position."""

import math
import re
from typing import NamedTuple

from xphotfn.commands.selection.nodes import radix_constant
from xphotfn.errors import ExpressionError

__all__ = ("Token", "next_token", "raw_text")

_FORTRAN = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "or": "||",
    "and": "&&",
    "not": "!",
}
_BLANK = re.compile(r"[ \t\r\n]*")
_ANGLE = re.compile(r"([0-9]+)([dDhH])([0-9]+)[mM]([0-9]+(?:\.[0-9]*)?)[sS]")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SYMBOL = re.compile(r"#([A-Za-z][A-Za-z0-9_]*)")
_DOTTED = re.compile(rf"\.({'|'.join(_FORTRAN)})\.", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(
    rf"(?:[0-9]+(?:\.(?!(?:{'|'.join(_FORTRAN)})\.)[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    re.IGNORECASE | re.ASCII,
)
_OPERATOR = re.compile(r"\*\*|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>()\[\]:,]")
_RAW = re.compile(r"[^,()]*")
_LONGEST_NUMBER = 400


class Token(NamedTuple):
    """One word: its kind (``number``, ``word``, ``symbol``, ``operator`` or ``end``), place and value."""

    kind: str
    text: str
    start: int
    end: int
    value: int | float = 0
    base: int = 10


def raw_text(text: str, position: int) -> tuple[str, int]:
    """Return the text up to the next comma or bracket, and where it ends: the name of a file."""
    match = _RAW.match(text, position)
    end = match.end() if match else position
    return text[position:end].strip(), end


def next_token(text: str, position: int) -> Token:
    """Return the word at or after a position."""
    blank = _BLANK.match(text, position)
    start = blank.end() if blank else position
    if start >= len(text):
        return Token("end", "", len(text), len(text))
    if match := _DOTTED.match(text, start):
        return Token("operator", _FORTRAN[match.group(1).lower()], start, match.end())
    if text[start] in "0123456789.":
        return _whole(text, _number(text, start))
    if match := _WORD.match(text, start):
        constant = radix_constant(match.group())
        if constant:
            return _whole(text, Token("number", match.group(), start, match.end(), *constant))
        return Token("word", match.group(), start, match.end())
    if match := _SYMBOL.match(text, start):
        return Token("symbol", match.group(1).upper(), start, match.end())
    if match := _OPERATOR.match(text, start):
        return Token("operator", match.group(), start, match.end())
    raise ExpressionError(_complaint(text, start), text, start)


def _number(text: str, start: int) -> Token:
    if match := _ANGLE.match(text, start):
        return Token("number", match.group(), start, match.end(), _radians(*match.groups()), 0)
    if match := _HEX.match(text, start):
        return Token("number", match.group(), start, match.end(), int(match.group(), 16), 16)
    match = _NUMBER.match(text, start)
    if not match:
        raise ExpressionError("expected a number or an operator such as .and.", text, start)
    word = match.group()
    if len(word) > _LONGEST_NUMBER:
        raise ExpressionError(f"a number of {len(word)} characters is too long", text, start)
    if word.isdigit():
        return Token("number", word, start, match.end(), int(word))
    return Token("number", word, start, match.end(), float(word), 0)


def _radians(whole: str, unit: str, minutes: str, seconds: str) -> float:
    parts = [float(x) if len(x) <= _LONGEST_NUMBER else math.inf for x in (whole, minutes, seconds)]
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    return math.radians(degrees * (15 if unit in "hH" else 1))


def _whole(text: str, token: Token) -> Token:
    """Refuse a number that runs into letters, a number out of range, or text that is none."""
    after = text[token.end : token.end + 1]
    if after.isalnum() or after == "_":
        raise ExpressionError(f"number {token.text!r} runs into {after!r}", text, token.end)
    if token.base == 0 and not math.isfinite(token.value):
        raise ExpressionError("this number is too large", text, token.start)
    if token.base == 10 and token.value >= 2**63:
        raise ExpressionError("this whole number is too large; write it as a real number", text, token.start)
    if token.base in (2, 8, 16) and token.value >= 2**32:
        raise ExpressionError("this constant has more than 32 bits", text, token.start)
    return token


def _complaint(text: str, start: int) -> str:
    character = text[start]
    if character == "=":
        return "a single = is no operator; compare with =="
    if character in "'\"":
        return "quotes are not part of an expression; names of files are written without them"
    return f"unexpected character {character!r}"
