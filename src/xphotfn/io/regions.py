"""DS9 region files: every statement is read, noted or refused with its line, never skipped.

The shapes themselves are parsed by the ``regions`` package. It leaves out with a warning what it does not know
(``physical`` coordinates among them) and names no line, so the statements are told apart here.
"""

import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, final

from attrs import field, frozen

from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.records._fields import items, pairs
from xphotfn.records.region import Region

__all__ = ("RegionFile", "drawn_on", "means_pixels", "read_region_file", "read_regions")

_FRAMES = {"image": "image", "physical": "physical", "fk5": "fk5", "j2000": "fk5", "icrs": "icrs"}
_PIXEL_FRAMES = ("image", "physical")
_OTHER_FRAME = re.compile(r"fk4|b1950|galactic|ecliptic|detector|amplifier|linear|wcs[a-z0]?", re.IGNORECASE)
_ARGUMENTS = {"circle": (3,), "ellipse": (4, 5), "box": (4, 5), "annulus": (4,), "point": (2,)}
_SIZES = {"circle": 1, "ellipse": 2, "box": 2, "annulus": 2}
_KNOWN = "circle, ellipse, box, annulus, polygon and point"

_PROPERTIES = r"""(?:\{[^}]*\}|"[^"]*"|'[^']*'|[^;])*"""  # quotes and braces may hold a ';'
_STATEMENT = re.compile(rf"\s*(?:(global\b{_PROPERTIES})|([^#;]*)(#{_PROPERTIES})?)(?:;|\Z)", re.IGNORECASE)
_PROPERTY = re.compile(r"""(\w+)\s*=\s*(\{[^}]*\}|"[^"]*"|'[^']*'|[^\s;]+)""")
_SHAPE = re.compile(r"([-+!]?)\s*([A-Za-z]\w*)\s*(?:\(([^()]*)\)|([^()]*))")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ANNOTATION = re.compile(
    r"#\s*(text|ruler|vector|composite|compass|projection|segment|line|e?panda|bpanda)\s*\(", re.IGNORECASE
)
_ANNOTATIONS = ("text", "ruler", "vector", "composite", "compass", "projection", "segment", "line")
_DRAWN_ON = re.compile(r"#\s*(?:filename|image)\s*:\s*([^\s\[]+)", re.IGNORECASE)
_POSITION_ERROR = re.compile(rf"position error ({_NUMBER}) deg")
_PLAIN = re.compile(_NUMBER)
_POSITION = re.compile(rf"{_NUMBER}d?|[-+]?\d+:\d+:\d+\.?\d*|[-+]?\d+[hd]\d+m\d+\.?\d*s")
_ANGLE = re.compile(rf"{_NUMBER}d?")
_SIZE = re.compile(rf"{_NUMBER}[\"'dr]?")
_FILTERS = threading.Lock()  # the warning filters belong to the whole process


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
    return read_region_file(path).regions


def read_region_file(path: str | Path) -> RegionFile:
    r"""Return what a region file holds: its regions, what in it is no region, and the image that it was drawn on.

    Parameters
    ----------
    path
        A DS9 region file as for :func:`read_regions`, or a source list (:func:`~xphotfn.io.source_lists.read_sources`).

    Returns
    -------
    RegionFile

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
                raise InvalidFile(str(path), f"{statement.text!r} {error}", statement.line) from error
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
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InvalidFile(str(path), "there is no such file: check the path") from error
    except OSError as error:
        raise InvalidFile(str(path), f"cannot be read ({error.strerror or error})") from error


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
        at = 0
        while at < len(content):
            match = _STATEMENT.match(content, at)
            if match is None:
                raise InvalidFile(path, f"cannot be understood: {content[at:].strip()!r}", line)
            properties = {key.lower(): value for key, value in _PROPERTY.findall(match[1] or match[3] or "")}
            yield _Statement(line, (match[1] or match[2]).strip(), properties)
            at = match.end()


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
    sizes = _SIZES.get(name, 0)
    for place, argument in enumerate(arguments):
        if frame in _PIXEL_FRAMES:
            allowed, what = _PLAIN, "a plain number, in pixels"
        elif name == "polygon" or place < 2:
            allowed, what = _POSITION, "degrees or 9:58:22.1"
        elif place < 2 + sizes:
            allowed, what = _SIZE, "a number with \" or ' or, in degrees, without"
        else:
            allowed, what = _ANGLE, "an angle in degrees"
        if not allowed.fullmatch(argument):
            raise InvalidRecord(f"has {argument!r} where {what} belongs")


def _shape(name: str, arguments: list[str], frame: str) -> dict[str, Any]:
    """Return position, size and angle of a shape as ``regions`` reads them."""
    if name in ("ellipse", "box") and len(arguments) == 4:
        arguments = [*arguments, "0"]
    if name == "annulus" and float(arguments[2].rstrip("\"'dr")) == 0:  # which is a circle to `regions`
        circle = _shape("circle", [*arguments[:2], arguments[3]], frame)
        return {**circle, "size": (0.0, *circle["size"])}
    region = _parsed(f"{'image' if frame == 'physical' else frame}\n{name}({','.join(arguments)})")
    if name == "polygon":
        corners = _points(region.vertices, frame)
        first = corners[0][0]
        turned = [(x if frame in _PIXEL_FRAMES else first + (x - first + 180) % 360 - 180, y) for x, y in corners]
        x, y = (sum(values) / len(corners) for values in zip(*turned, strict=True))
        return {"x": x if frame in _PIXEL_FRAMES else x % 360, "y": y, "vertices": corners}
    (x, y), *_ = _points(region.center, frame)
    names = {
        "circle": ("radius",), "annulus": ("inner_radius", "outer_radius"), "point": (),
        "ellipse": ("width", "height"), "box": ("width", "height"),
    }[name]  # fmt: skip
    sizes = [_degrees(getattr(region, attribute)) / (2 if name == "ellipse" else 1) for attribute in names]
    angle = _degrees(region.angle) if name in ("ellipse", "box") else 0.0
    return {"x": x, "y": y, "size": sizes, "angle_deg": angle}


def _parsed(text: str) -> Any:
    """Return the one region of a text; everything that ``regions`` has against it is an InvalidRecord."""
    from regions import Regions

    try:
        with _FILTERS, warnings.catch_warnings():
            warnings.simplefilter("error")
            (region,) = Regions.parse(text, format="ds9")
    except Exception as error:
        raise InvalidRecord(f"is not possible: {error}") from error
    return region


def _points(positions: Any, frame: str) -> list[tuple[float, float]]:
    """Return positions in the numbers of a Region; `regions` took 1 off what the file says in pixels."""
    if frame in _PIXEL_FRAMES:
        offset = 1.0 if frame == "physical" else 0.0
        xs, ys = positions.x + offset, positions.y + offset
    else:
        xs, ys = positions.ra.deg, positions.dec.deg
    if getattr(xs, "ndim", 0) == 0:
        return [(float(xs), float(ys))]
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def _degrees(value: Any) -> float:
    return float(value.to_value("deg")) if hasattr(value, "to_value") else float(value)
