"""The keywords of a FITS header as they stand in the file, parsed only when asked for.

astropy's Header does more and takes some 50 microseconds per value; finding a thousand observations looks up a
million values.
"""

import re
from collections.abc import Iterator
from typing import Any, final

from xphotfn.typing import Header

__all__ = ("MOST_FIELDS", "Cards", "ascii_text", "card", "text_of_ascii")

MOST_FIELDS = 999
"""Columns of a table, and axes of an image, at most (FITS standard 4.0)."""
_MOST = 2**53
_TEXT = re.compile(r" *'((?:[^']|'')*)'")
_PLAIN = re.compile(r" *([^/ ][^/]*?) *(?:/|\Z)")
_NO_ASCII = re.compile(r"[^ -~]|\\(?=[xuU])")
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_INTEGER = re.compile(r"[-+]?\d+")
_REAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?")


@final
class Cards:
    """A header that is read and not written: keyword to value, the first card of a keyword counts.

    Parameters
    ----------
    raw
        Whole header blocks, with END.

    Attributes
    ----------
    start
        The first bytes of the data, where they were read.

    Examples
    --------
    >>> cards = Cards(b"FILTER  = 'Thin1   '           / it''s thin".ljust(80) + b"END".ljust(80))
    >>> cards.get("FILTER"), "EXPOSURE" in cards, list(cards)
    ('Thin1', False, ['FILTER'])
    """

    __slots__ = ("_at", "_selection", "_text", "_values", "start")

    def __init__(self, raw: bytes) -> None:
        self._text = raw.decode("latin-1")
        self._at: dict[str, int] = {}
        self._values: dict[str, Any] = {}
        self._selection: str | None = None
        self.start = b""
        for at in range(0, len(self._text), 80):
            name = self._text[at : at + 8]
            if name == "END     ":
                break
            if self._text[at + 8 : at + 10] == "= ":
                self._at.setdefault(name.rstrip(), at)

    def __contains__(self, name: object) -> bool:
        return name in self._at

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)

    @property
    def text(self) -> str:
        """The header as it stands in the file, a letter for each byte."""
        return self._text

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a keyword: str, int, float or bool; ``default`` where it is absent or not readable."""
        if name not in self._values:
            at = self._at.get(name)
            self._values[name] = None if at is None else self._read(at)
        value = self._values[name]
        return default if value is None else value

    def whole(self, name: str, default: int = 0) -> int:
        """Return the value of a keyword as a whole number, at most 2^53 in size; ``default`` where it is no number."""
        value = self.get(name)
        return int(max(-_MOST, min(_MOST, value))) if isinstance(value, int | float) else default

    def number(self, name: str, default: float) -> float:
        """Return the value of a keyword as a finite number; else ``default``."""
        value = self.get(name)
        return float(value) if isinstance(value, int | float) and abs(value) < float("inf") else default

    def _read(self, at: int) -> Any:
        field = self._text[at + 10 : at + 80]
        text = _TEXT.match(field)
        if text:
            return self._continued(text[1].rstrip(), at + 80)
        plain = _PLAIN.match(field)
        return None if plain is None else _number(plain[1])

    def selection(self) -> str:
        """Return the cards of the selection and the data subspace as one text, which many headers of a tree share.

        ``Cards(text.encode("latin-1"))`` has the same values of SLCTEXPR, DSTYPn, DSVALn and the like.
        """
        if self._selection is None:
            cards = list(self._at.items())
            ends = [at for _, at in cards[1:]] + [len(self._text)]
            self._selection = "".join(
                self._text[at:end]
                for (name, at), end in zip(cards, ends, strict=True)
                if "DS" in name or name == "SLCTEXPR"
            )
        return self._selection

    def _continued(self, text: str, at: int) -> str:
        """Return a string with the CONTINUE cards that follow it."""
        parts = []
        while text.endswith("&") and self._text[at : at + 8] == "CONTINUE":
            more = _TEXT.match(self._text[at + 8 : at + 80])
            if more is None:
                break
            parts.append(text[:-1])
            text, at = more[1].rstrip(), at + 80
        return "".join((*parts, text)).replace("''", "'")


def _number(text: str) -> int | float | bool | None:
    if text in ("T", "F"):
        return text == "T"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text.upper().replace("D", "E"))
    return None


def card(header: Header, name: str, default: Any = None) -> Any:
    """Return the value of a keyword, or ``default`` where it is absent, blank or cannot be read.

    Examples
    --------
    >>> from astropy.io import fits
    >>> card(fits.Header({"FILTER": "Thin1   "}), "FILTER"), card(fits.Header(), "FILTER", "")
    ('Thin1', '')
    """
    if isinstance(header, Cards):
        return header.get(name, default)
    from astropy.io.fits import VerifyError
    from astropy.io.fits.card import Undefined

    try:
        value = header.get(name, default)
    except (VerifyError, ValueError):
        return default
    if value is None or isinstance(value, Undefined):
        return default
    return value.strip() if isinstance(value, str) else value


def ascii_text(text: str) -> str:
    r"""Return a text as FITS can hold it, in printable ASCII: what else it holds as Python's escapes.

    Examples
    --------
    >>> ascii_text("NGC 253 α"), text_of_ascii(ascii_text("NGC 253 α"))
    ('NGC 253 \\u03b1', 'NGC 253 α')
    """
    return _NO_ASCII.sub(_escaped, text)


def text_of_ascii(text: str) -> str:
    """Return the text of which :func:`ascii_text` made this."""
    return _ESCAPE.sub(lambda found: chr(int(found[0][2:], 16)), text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
