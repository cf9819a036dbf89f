"""DS9 region files: every statement is read, noted or refused with its line, never skipped.

The package ``regions`` leaves out what it does not know (``physical`` coordinates among them) with a warning, which
can be caught for the whole process only, and names no line; so the files are read here. Every step takes a time that
grows with the length of a line, whatever stands in it: files come from anywhere.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, final

from attrs import field, frozen

from xphotfn.errors import InvalidFile, InvalidRecord, UnitMismatch
from xphotfn.io.bounded import MOST_TEXT, read_bounded
from xphotfn.records.fields import items, pairs
from xphotfn.records.region import Region
from xphotfn.records.several import Several
from xphotfn.units import dec_deg, ra_deg

__all__ = ("RegionFile", "drawn_on", "means_pixels", "read_region_file", "read_regions")

_FRAMES = {"image": "image", "physical": "physical", "fk5": "fk5", "j2000": "fk5", "icrs": "icrs"}
_PIXEL_FRAMES = ("image", "physical")
_OTHER_FRAME = re.compile(r"fk4|b1950|galactic|ecliptic|detector|amplifier|linear|wcs[a-z0]?", re.IGNORECASE)
_ARGUMENTS = {"circle": (3,), "ellipse": (4, 5), "box": (4, 5), "annulus": (4,), "point": (2,)}
_SIZES = {"circle": 1, "ellipse": 2, "box": 2, "annulus": 2}
_KNOWN = "circle, ellipse, box, annulus, polygon and point"

# What repeats never gives back what it took (``*+``), so that nothing is looked at twice.
_GLOBAL = re.compile(r"\s*+global\b", re.IGNORECASE)
_END_OF_SHAPE = re.compile("[;#]")
_CLOSED_BY = {"{": "}", '"': '"', "'": "'"}  # what stands between them may hold a ';'
_END_OF_PROPERTIES = re.compile(r"""[;{"']""")
_PROPERTY = re.compile(r"(\w++)(\s*+=\s*+)?+")
_WORD = re.compile(r"[^\s;]++")
_SHAPE = re.compile(r"([-+!]?+)\s*+([A-Za-z]\w*+)\s*+(?:\(([^()]*+)\)|([^()]*+))")
_NUMBER = r"[-+]?+(?:\d++\.?+\d*+|\.\d++)(?:[eE][-+]?+\d++)?+"
_ANNOTATION = re.compile(
    r"#\s*(text|ruler|vector|composite|compass|projection|segment|line|e?panda|bpanda)\s*\(", re.IGNORECASE
)
_ANNOTATIONS = ("text", "ruler", "vector", "composite", "compass", "projection", "segment", "line")
_DRAWN_ON = re.compile(r"#\s*(?:filename|image)\s*:\s*([^\s\[]+)", re.IGNORECASE)
_POSITION_ERROR = re.compile(rf"position error ({_NUMBER}) deg")
_PLAIN = re.compile(_NUMBER)
_SIXTY = r"[0-5]?\d"
_POSITION = re.compile(
    rf"{_NUMBER}d?|[-+]?\d++:{_SIXTY}:{_SIXTY}(?:\.\d*+)?+|[-+]?\d++[hd]{_SIXTY}m{_SIXTY}(?:\.\d*+)?+s"
)
_ANGLE = re.compile(rf"({_NUMBER})d?")
_SIZE = re.compile(rf"({_NUMBER})([\"'dr]?)")
_PARTS_OF_DEGREE = {'"': 3600, "'": 60}
_SHOWN = 80  # letters of a statement or a number in a message


class _Statement(NamedTuple):
    """One statement of a file, with the properties of its comment."""

    line: int
    text: str
    properties: dict[str, str]
    annotation: str = ""


@final
@frozen(kw_only=True)
class RegionFile:
    """What a region file holds.

    Parameters
    ----------
    regions
        All regions, those that mask nothing too (points, excluded ones).
    image
        Name of the image that it says it was drawn on, or empty.
    notes
        Pairs of line and kind of what is no region: annotations such as ``text`` and ``ruler``.
    """

    regions: tuple[Region, ...] = field(default=(), converter=items)
    image: str = ""
    notes: tuple[tuple[int, str], ...] = field(default=(), converter=pairs)


def read_regions(path: str | Path) -> tuple[Region, ...]:
    r"""Return the regions of a DS9 file, in the order and the frames of the file.

    Parameters
    ----------
    path
        A DS9 region file: shapes circle, ellipse, box, annulus, polygon and point in the frames image, physical, fk5
        (or j2000) and icrs. Or a source list of the pipeline or of emldetect.

    Returns
    -------
    tuple of Region
        Empty for a file without regions.

    Raises
    ------
    InvalidFile
        If the file is missing or no text, or a line is not understood: another shape or frame, a shape before any
        frame, a wrong number of arguments, a size of 0. Annotations (texts, rulers and so on) are no regions;
        :func:`read_region_file` says where they stand.

    Notes
    -----
    ``image`` counts pixels from 1 in the file and from 0 in a Region; ``physical`` numbers stay as they are. Sizes in
    celestial frames become degrees, bare ones are degrees. Angles stay as written: in a celestial frame DS9 and
    ``regions`` measure them from the direction of decreasing RA (west) towards north, so on an image with north up and
    east left, as every EPIC image, they are the angle from +x. The colour is that of the shape, else of the last
    ``global`` line, else green. ``!`` excludes as ``-`` does.

    References
    ----------
    SAOImage DS9 reference manual, Regions.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "sources.reg")
    >>> _ = path.write_text("global color=red\nimage ; ellipse(263.7,275.2,26,23,60) # color=green")
    >>> region = read_regions(path)[0]
    >>> region.shape, region.x, region.size, region.colour, region.line
    ('ellipse', 262.7, (26.0, 23.0), 'green', 2)
    """
    return Several(read_region_file(path).regions)


def read_region_file(path: str | Path) -> RegionFile:
    r"""Return what a region file holds: its regions, what in it is no region, and the image that it was drawn on.

    Parameters
    ----------
    path
        A DS9 region file as for :func:`read_regions`, or a source list (:func:`~xphotfn.io.source_lists.read_sources`).

    Raises
    ------
    InvalidFile
        As :func:`read_regions`.

    Notes
    -----
    Texts, rulers, vectors and the other annotations of DS9 mask nothing; they are noted. A comment ``# Filename: name``
    or ``# image: name`` names the image whose pixels the frame ``image`` means.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "sources.reg")
    >>> _ = path.write_text("# Filename: pn_img.fits\nimage\ncircle(9,9,3)\n# text(5,5) text={a label}")
    >>> found = read_region_file(path)
    >>> len(found.regions), found.image, found.notes
    (1, 'pn_img.fits', ((4, 'text'),))
    """
    raw = _read_bytes(path)
    if raw.startswith((b"\x1f\x8b", b"SIMPLE  =")):
        from xphotfn.io.source_lists import read_sources

        return RegionFile(regions=read_sources(path))
    text = _decoded(path, raw)
    found: list[Region] = []
    notes: list[tuple[int, str]] = []
    frame, defaults = "", {"color": "green", "include": "1"}
    for statement in _statements(str(path), text):
        word = statement.text.lower()
        if statement.annotation or word.startswith("line("):
            notes.append((statement.line, statement.annotation or "line"))
        elif word.startswith("global"):
            defaults.update(statement.properties)
        elif word in _FRAMES:
            frame = _FRAMES[word]
        elif statement.text:
            try:
                found.append(_region(statement, frame, {**defaults, **statement.properties}))
            except InvalidRecord as error:
                raise InvalidFile(str(path), f"{_short(statement.text)!r} {error}", statement.line) from error
    return RegionFile(regions=found, image=_drawn_on(text), notes=notes)


def drawn_on(path: str | Path) -> str:
    """Return the name of the image that a region file says it was drawn on, or nothing."""
    return _drawn_on(_decoded(path, _read_bytes(path)))


def _drawn_on(text: str) -> str:
    found = _DRAWN_ON.search(text)
    return Path(found[1]).name if found else ""


def means_pixels(path: str | Path) -> bool:
    r"""Whether a region file has the frame ``image``; False for a file that cannot be read. No shape is looked at.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "sources.reg")
    >>> _ = path.write_text("image\ncircle(9,9,3)")
    >>> means_pixels(path)
    True
    """
    try:
        text = _decoded(path, _read_bytes(path))
        return any(statement.text.lower() == "image" for statement in _statements(str(path), text))
    except InvalidFile:
        return False


def _read_bytes(path: str | Path) -> bytes:
    return read_bounded(path, most=MOST_TEXT)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _decoded(path: str | Path, raw: bytes) -> str:
    if b"\0" in raw:
        raise InvalidFile(str(path), "is no text file: save the regions in DS9 format")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _statements(path: str, text: str) -> Iterator[_Statement]:
    for line, content in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        if content.lstrip().startswith("#"):
            kind = _ANNOTATION.match(content.lstrip())
            word = kind[1].lower() if kind else ""
            if word and word not in _ANNOTATIONS:
                raise InvalidFile(path, f"{word} is a shape that is not known here: use {_KNOWN}", line)
            yield _Statement(line, "", {}, word)
            continue
        for word, properties in _statements_of(content):
            yield _Statement(line, word, _properties(properties))


def _statements_of(content: str) -> Iterator[tuple[str, str]]:
    """Yield what each statement of a line says, and its properties: all of it after ``global``, else after ``#``."""
    last = _last_closings(content)
    at = 0
    while at < len(content):
        if _GLOBAL.match(content, at):
            stop = after = at
            end = shown = _end_of_properties(content, at, last)
        else:
            mark = _END_OF_SHAPE.search(content, at)
            stop = shown = mark.start() if mark else len(content)
            after = stop + 1
            end = _end_of_properties(content, after, last) if mark and mark[0] == "#" else stop
        yield content[at:shown].strip(), content[after:end]
        at = end + 1


def _last_closings(text: str) -> dict[str, int]:
    """Return where each closing mark stands last: one that opens after that is a letter as others."""
    return {closing: text.rfind(closing) for closing in _CLOSED_BY.values()}


def _end_of_properties(content: str, at: int, last: dict[str, int]) -> int:
    """Return where the next ``;`` outside of quotes and braces stands, or the end."""
    while mark := _END_OF_PROPERTIES.search(content, at):
        closing = _CLOSED_BY.get(mark[0], "")
        if not closing:
            return mark.start()
        at = mark.end()
        if last[closing] >= at:
            at = content.index(closing, at) + 1
    return len(content)


def _properties(text: str) -> dict[str, str]:
    """Return ``name=value`` of a comment; a value is in braces or quotes, or one word."""
    found: dict[str, str] = {}
    last = _last_closings(text)
    at = 0
    while name := _PROPERTY.search(text, at):
        at = name.end()
        if name[2]:
            closing = _CLOSED_BY.get(text[at : at + 1], "")
            if closing and last[closing] > at:
                end = text.index(closing, at + 1) + 1
            else:
                word = _WORD.match(text, at)
                end = word.end() if word else at
            if end > at:
                found[name[1].lower()] = text[at:end]
            at = end
    return found


def _region(statement: _Statement, frame: str, properties: dict[str, str]) -> Region:
    """Return the region of a statement; what is wrong with it is an InvalidRecord that the caller puts in its place."""
    if _OTHER_FRAME.fullmatch(statement.text):
        raise InvalidRecord("is a frame that is not known here: save the regions in fk5, icrs, image or physical")
    match = _SHAPE.fullmatch(statement.text)
    if match is None:
        raise InvalidRecord(f"is no shape: parentheses must match and nothing may follow them; known are {_KNOWN}")
    sign, name = match[1], match[2].lower()
    arguments = re.split(r"[\s,]+", (match[3] or match[4] or "").strip(" ,\t"))
    _check_arguments(name, arguments, frame)
    error = _POSITION_ERROR.fullmatch(_unquoted(properties.get("tag", "")))
    included = sign not in ("-", "!") and properties["include"] != "0"
    return Region(
        **_shape(name, arguments, frame), shape=name, frame=frame, include=included, line=statement.line,
        colour=_unquoted(properties["color"]).lower(), name=_unquoted(properties.get("text", "")),
        position_error_deg=float(error[1]) if error else 0.0,
    )  # fmt: skip


def _unquoted(value: str) -> str:
    return value[1:-1] if value[:1] in ("{", '"', "'") and len(value) > 1 else value


def _check_arguments(name: str, arguments: list[str], frame: str) -> None:
    count = len(arguments) if arguments != [""] else 0
    if name != "polygon" and name not in _ARGUMENTS:
        raise InvalidRecord(f"is a shape that is not known here: use {_KNOWN}")
    if not frame:
        raise InvalidRecord("comes before any frame: put image, physical, fk5 or icrs on a line before it")
    if name == "polygon" and (count < 6 or count % 2):
        raise InvalidRecord(f"has {count} numbers: a polygon needs three or more pairs")
    if name != "polygon" and count not in _ARGUMENTS[name]:
        wanted = " or ".join(map(str, _ARGUMENTS[name]))
        raise InvalidRecord(f"has {count} numbers: {name} needs {wanted}")
    for place, argument in enumerate(arguments):
        allowed, what = _allowed(name, place, frame)
        if not allowed.fullmatch(argument):
            raise InvalidRecord(f"has {_short(argument)!r} where {what} belongs")


def _allowed(name: str, place: int, frame: str) -> tuple[re.Pattern[str], str]:
    if frame in _PIXEL_FRAMES:
        return _PLAIN, "a plain number, in pixels"
    if name == "polygon" or place < 2:
        return _POSITION, "degrees or 9:58:22.1"
    if place < 2 + _SIZES.get(name, 0):
        return _SIZE, "a number with \" or ' or, in degrees, without"
    return _ANGLE, "an angle in degrees"


def _shape(name: str, arguments: list[str], frame: str) -> dict[str, Any]:
    """Return position, size and angle of a shape whose arguments were checked."""
    if name == "polygon":
        corners = [_position(pair, frame) for pair in zip(arguments[::2], arguments[1::2], strict=True)]
        first = corners[0][0]
        turned = [(x if frame in _PIXEL_FRAMES else first + (x - first + 180) % 360 - 180, y) for x, y in corners]
        x, y = (sum(values) / len(corners) for values in zip(*turned, strict=True))
        return {"x": x if frame in _PIXEL_FRAMES else x % 360, "y": y, "vertices": corners}
    x, y = _position((arguments[0], arguments[1]), frame)
    count = 2 + _SIZES[name] if name in _SIZES else 2
    angle = float(arguments[count].rstrip("d")) if len(arguments) > count else 0.0
    return {"x": x, "y": y, "size": [_size(text) for text in arguments[2:count]], "angle_deg": angle}


def _position(pair: tuple[str, str], frame: str) -> tuple[float, float]:
    """Return a position in the numbers of a Region: pixels of images count from 1 in a file."""
    if frame in _PIXEL_FRAMES:
        offset = 1.0 if frame == "image" else 0.0
        return float(pair[0]) - offset, float(pair[1]) - offset
    try:
        ra, dec = ra_deg(pair[0]) % 360, dec_deg(pair[1])
    except UnitMismatch as error:
        raise InvalidRecord(f"has no position: {error}") from error
    if not abs(dec) <= 90:
        raise InvalidRecord(f"has a Dec of {dec:g}: it lies between -90 and 90 degrees")
    return ra, dec


def _size(text: str) -> float:
    """Return a size in degrees, or in pixels where it has no unit."""
    match = _SIZE.fullmatch(text)
    value, unit = (float(match[1]), match[2]) if match else (math.nan, "")
    return math.degrees(value) if unit == "r" else value / _PARTS_OF_DEGREE.get(unit, 1)
