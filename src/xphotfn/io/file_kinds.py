"""Of what kind a file is, by its first bytes or its name: only what is of the kind that is written is overwritten."""

import re
import zlib
from contextlib import suppress
from pathlib import Path

from xphotfn.errors import InvalidFile
from xphotfn.io.blocks import open_stream, walk_units
from xphotfn.io.cards import Cards
from xphotfn.io.headers import is_exposure_map

__all__ = ("FITS_TABLE", "kind_of_content", "kind_of_name", "refuse_other_kind")

_START = 8192
_MAGIC = (
    (b"SIMPLE  =", "FITS"),
    (b"\x89PNG", "PNG"),
    (b"%PDF", "PDF"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"PAR1", "Parquet"),
    (b"# %ECSV", "ECSV"),
    (b"#!", "a script"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)
_MARKUP = ((b"<votable", "VOTable"), (b"<svg", "SVG"), (b"<html", "HTML"))
_REGION = re.compile(
    rb"^\s*(?:# region file format|(?:global|image|physical|fk5|icrs|j2000)\b"
    rb"|[-+!]?(?:circle|ellipse|box|annulus|polygon|point)\s*\()",
    re.IGNORECASE | re.MULTILINE,
)
_NAMES = {
    ".fits": "FITS", ".fit": "FITS", ".ftz": "FITS", ".png": "PNG", ".pdf": "PDF", ".svg": "SVG",
    ".csv": "a table of text", ".ecsv": "ECSV", ".vot": "VOTable", ".votable": "VOTable", ".xml": "VOTable",
    ".reg": "a region file", ".parquet": "Parquet",
}  # fmt: skip

FITS_TABLE = "a FITS table"
_FITS_KINDS = {
    "EVENTS": "a FITS event list", "RATE": "a FITS light curve", "SRCLIST": "a FITS list of sources",
    "SPECTRUM": "a FITS spectrum", "SPECRESP": "a FITS response", "MATRIX": "a FITS response",
    "EBOUNDS": "a FITS response", "STDGTI": "a FITS table of good times", "GTI": "a FITS table of good times",
}  # fmt: skip
"""What a FITS file is that has an extension of this name, and none of those before it."""


def kind_of_name(path: Path) -> str:
    """Return what a file of this name is, by its ending, or nothing.

    Examples
    --------
    >>> kind_of_name(Path("map.fits")), kind_of_name(Path("map"))
    ('FITS', '')
    """
    return _NAMES.get(path.suffix.lower(), "")


def kind_of_content(path: Path) -> str:
    r"""Return what a file is, by what it starts with; nothing for an empty one.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "notes")
    >>> for text in ("SIMPLE  =", "name,ra\nA,1\n", "fk5\ncircle(1,2,3)", "Dear all,\n\nit works.", ""):
    ...     _ = path.write_text(text)
    ...     print(kind_of_content(path))
    FITS
    a table of text
    a region file
    text
    <BLANKLINE>
    """
    with path.open("rb") as stream:
        start = stream.read(_START)
    if start.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            packed_fits = zlib.decompressobj(31).decompress(start, 9) == b"SIMPLE  ="
            return _kind_of_fits(path) if packed_fits else "other packed data"
        return "other packed data"
    if not start.strip():
        return ""
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return _kind_of_fits(path) if kind == "FITS" else kind
    if start.lstrip().startswith(b"<"):
        return next((kind for tag, kind in _MARKUP if tag in start.lower()), "markup")
    if b"\0" in start:
        return "other binary data"
    if _REGION.search(start):
        return "a region file"
    return "a table of text" if _is_table(start) else "text"


def _kind_of_fits(path: Path) -> str:
    """Return what a FITS file holds, as far as it can be read; only "FITS" of one that holds nothing."""
    headers: list[Cards] = []
    with suppress(InvalidFile), open_stream(path) as (stream, _):
        headers.extend(unit.cards for unit in walk_units(stream, str(path), check=False))
    names = {str(header.get("EXTNAME", "")).strip().upper() for header in headers}
    if {"EVENTS", "RATE"} & names or not any(_is_image(header) for header in headers):
        tables = FITS_TABLE if len(headers) > 1 else "FITS"
        return next((kind for name, kind in _FITS_KINDS.items() if name in names), tables)
    return "a FITS exposure map" if is_exposure_map(headers[0]) else "a FITS image"


def _is_image(header: Cards) -> bool:
    is_table = str(header.get("XTENSION", "IMAGE")).strip() != "IMAGE" and not header.get("ZIMAGE", False)
    return not is_table and header.whole("NAXIS") > 1


def _are_alike(one: str, other: str) -> bool:
    """Whether two kinds are the same; of what is only known to be FITS nothing more is asked."""
    if "FITS" in (one, other):
        return all(kind == "FITS" or kind.startswith("a FITS ") for kind in (one, other))
    return one == other


def _is_table(start: bytes) -> bool:
    """Whether the first lines have the same number of commas, which notes and programs seldom have."""
    lines = start.splitlines()[: -1 if len(start) == _START else None]
    counts = {line.count(b",") for line in lines if line.strip() and b'"' not in line}
    return len(counts) <= 1 and (counts != {0} or all(len(line.split()) <= 1 for line in lines))


def refuse_other_kind(path: Path, kind: str) -> None:
    """Raise InvalidFile where a file is there that is not of the kind which shall replace it.

    An empty file may go, and so may a link, which leads to a file that stays.
    """
    if not kind or path.is_symlink() or not path.is_file():
        return
    found = kind_of_content(path)
    if found and not _are_alike(found, kind):
        raise InvalidFile(
            str(path), f"exists and is {found}, not {kind}, and so is not replaced: give another name, or remove it"
        )
