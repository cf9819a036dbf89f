"""A closer look at the data of a file, where its header does not say enough or several files are for one place."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.commands.dss import read_dss
from xphotfn.errors import InvalidFile
from xphotfn.io.blocks import UNREADABLE
from xphotfn.io.cards import MOST_FIELDS, Cards
from xphotfn.io.fits import open_checked, read_array, start_of_data
from xphotfn.records.facts import PRODUCTS, FileFacts
from xphotfn.records.good_times import GoodTimes, Pairs
from xphotfn.records.subspace import OUT_OF_FIELD
from xphotfn.science.ratemap import not_whole

__all__ = ("holds_whole_counts", "looked_at_closely", "share_outside_field")

_FITS_OR_GZIP = (b"SIMPLE  =", b"\x1f\x8b")
_MOST_ROWS = 4096
_MOST_BYTES = 64 * 2**20
_FORM = re.compile(r" *(\d*)([LXBIJKAEDCMPQ])")
_SIZES = {"L": 1, "X": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


def holds_whole_counts(path: str, header: Cards) -> bool:
    """Return whether the pixels of an image (primary HDU) are whole numbers, none of them negative.

    Integers without a scale are whole, and are not read. Of an image of real numbers the first 64 MiB are read, and no
    more than the first pixels that are not whole.
    """
    if header.whole("BITPIX", 8) > 0 and header.get("BSCALE", 1) == 1:
        return True
    scale, zero = header.number("BSCALE", 1), header.number("BZERO", 0)
    bits = header.whole("BITPIX", 8)
    if bits not in _TYPES:
        raise InvalidFile(path, f"has BITPIX {bits}, which FITS does not know: get it again")
    kind = np.dtype(_TYPES[bits])
    whole = header.whole("NAXIS1") * header.whole("NAXIS2") * kind.itemsize
    for chunk in (header.start,) if len(header.start) == whole else _chunks(path):
        values = zero + scale * np.frombuffer(chunk, dtype=kind).astype(float)
        if not_whole(values[np.isfinite(values)]):
            return False
    return True


def _chunks(path: str, size: int = 2**18) -> Iterator[bytes]:
    with start_of_data(path) as (_, length, read):
        left = min(length, _MOST_BYTES)
        while left > 0 and (chunk := read(min(size, left))):
            left -= len(chunk)
            yield chunk[: len(chunk) - len(chunk) % 8]


def share_outside_field(path: str) -> float:
    """Return which share of the first events of a list are marked as outside the field of view; 0 without flags."""
    with start_of_data(path) as (header, length, read):
        width = header.whole("NAXIS1")
        rows = max(0, min(header.whole("NAXIS2"), _MOST_ROWS, _MOST_BYTES // max(width, 1)))
        place = _column(header, "FLAG")
        raw = read(min(length, width * rows)) if place is not None else b""
    rows = len(raw) // width if width else 0
    if place is None or not rows:
        return 0.0
    start, size = place
    table = np.frombuffer(raw, dtype=np.uint8, count=rows * width).reshape(rows, width)
    values = np.ascontiguousarray(table[:, start : start + size]).view(f">i{size}")[:, 0].astype(np.int64)
    return float(np.mean((values & OUT_OF_FIELD) != 0))


def _column(header: Cards, name: str) -> tuple[int, int] | None:
    """Return where a column of whole numbers starts in a row, and its bytes; None where there is none of the name."""
    start = 0
    for number in range(1, min(header.whole("TFIELDS"), MOST_FIELDS) + 1):
        form = _FORM.match(str(header.get(f"TFORM{number}", "")))
        if form is None:
            return None
        count, letter = int(form[1] or 1), form[2]
        if str(header.get(f"TTYPE{number}", "")).upper() == name:
            return (start, _SIZES[letter]) if letter in "IJK" and count == 1 else None
        start += (count + 7) // 8 if letter == "X" else count * _SIZES[letter]
    return None


def looked_at_closely(facts: FileFacts) -> FileFacts:
    """Return the facts of a file with the digest of its data, its good times and its tables of regions.

    A file whose data cannot be read becomes one that is left out.
    """
    try:
        return _LOOKS[facts.kind](facts)
    except InvalidFile as error:
        return evolve(facts, reason="unreadable", detail=error.problem)
    except UNREADABLE as error:
        why = " ".join(str(error).split())
        return evolve(facts, reason="unreadable", detail=f"has data that cannot be understood ({why})")


def _at_bytes(facts: FileFacts) -> FileFacts:
    try:
        content = Path(facts.file.path).read_bytes()
    except OSError as error:
        raise InvalidFile(facts.file.path, f"cannot be read ({error.strerror})") from error
    return _at_tables(facts) if content.startswith(_FITS_OR_GZIP) else evolve(facts, digest=_digest(content))


def _at_pixels(facts: FileFacts) -> FileFacts:
    """Take the digest of the pixels as numbers: an image that was made twice is the same, whatever its dates are."""
    data, _ = read_array(facts.file.path)
    found = _at_tables(facts)
    return evolve(found, digest=_digest(np.ascontiguousarray(data, dtype=">f8").tobytes()))


def _at_tables(facts: FileFacts) -> FileFacts:
    with open_checked(facts.file.path) as hdus:
        blocks = {hdu.name: hdu for hdu in hdus[1:]}
        digests = [_digest(_raw(hdu)) for hdu in hdus[1:]]
        main: Any = blocks.get("EVENTS", hdus[0])

        def intervals_of(name: str) -> Pairs | None:
            return _intervals(blocks.get(name))

        components = read_dss(main.header, intervals_of)
        tables = {f.table for part in components for f in part if f.table and intervals_of(f.table) is None}
        regions = sorted(_digest(_raw(blocks[name])) for name in tables if name in blocks)
        return evolve(
            facts, digest=_digest("".join(digests).encode()), good_times=_good_times(components), regions=regions
        )


def _good_times(components: Any) -> tuple[tuple[str, GoodTimes], ...]:
    """Return the good times of each CCD, which several components may share."""
    found: dict[str, set[tuple[float, float]]] = defaultdict(set)
    for component in components:
        ccd = next((f.value for f in component if f.axis == "CCDNR"), "")
        for each in component:
            found[ccd] |= set(each.intervals or ())
    return tuple((ccd, GoodTimes(intervals=times)) for ccd, times in sorted(found.items()) if times)


def _intervals(hdu: Any) -> Pairs | None:
    if hdu is None or hdu.data is None or not {"START", "STOP"} <= {name.upper() for name in hdu.columns.names}:
        return None
    return tuple(zip(map(float, hdu.data["START"]), map(float, hdu.data["STOP"]), strict=True))


def _at_attitude(facts: FileFacts) -> FileFacts:
    with open_checked(facts.file.path) as hdus:
        table = next((hdu for hdu in hdus if hdu.name == "ATTHK"), None)
        if table is None or table.data is None or "TIME" not in table.columns.names:
            return _at_bytes(facts)
        times = np.asarray(table.data["TIME"], dtype=float)
        span = ((float(times.min()), float(times.max())),) if times.size else ()
        return evolve(facts, digest=_digest(_raw(table)), rows=times.size, good_times=[("", GoodTimes(intervals=span))])


def _raw(hdu: Any) -> bytes:
    data: NDArray[Any] | None = hdu.data
    return b"" if data is None else np.asarray(data).tobytes()


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


_LOOKS: dict[str, Callable[[FileFacts], FileFacts]] = {
    **dict.fromkeys(PRODUCTS, _at_pixels),
    "events": _at_tables,
    "attitude": _at_attitude,
    "flare_curve": _at_tables,
    "cif": _at_tables,
    "regions": _at_bytes,
}
