"""Which pixels of an image its events may come from: the filters on places in its data subspace, evaluated.

SAS's eexpmap follows the times, CCDs and flags of the subspace and no places, so that a map made for an image that was
cut by regions shows exposure where no event could be counted.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from xphotfn.commands.dss import (
    RANGE,
    TABLE,
    Component,
    Intervals,
    Subspace,
    dss_names_places,
    place_columns,
    ranges_of_text,
)
from xphotfn.commands.selected_energies import read_selection
from xphotfn.commands.selection import FileFilter, GtiFilter, MaskFilter, with_region_columns
from xphotfn.epic.camera.attitude import Attitude
from xphotfn.epic.camera.detector import Camera, camera_named
from xphotfn.epic.camera.projection import Boresight, detector_grid, pixel_to_det
from xphotfn.epic.events import scan
from xphotfn.epic.livetime import ccds_of, subspace_of
from xphotfn.epic.selecting.data_subspace import dss_of
from xphotfn.epic.selecting.filter_files import read_places
from xphotfn.epic.selecting.filters import MaskImage, RegionShape, RegionTable, in_mask
from xphotfn.epic.selecting.planes import in_region
from xphotfn.errors import ExpressionError, InvalidFile
from xphotfn.io.cache import BoundedCache, file_key
from xphotfn.io.cards import card
from xphotfn.io.headers import grid_of
from xphotfn.science.pixel_masks import read_only
from xphotfn.typing import Header

__all__ = ("looked_at", "names_places")

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Place: TypeAlias = tuple[tuple[str, str], RegionTable | MaskImage] | tuple[str, str]  # a range: its column and text

_SAMPLES = 4
_CACHE = BoundedCache(64 * 2**20)


def names_places(header: Header) -> bool:
    """Whether the data subspace of a header has a filter on places; without a subspace (writedss=no) its SLCTEXPR.

    Examples
    --------
    >>> names_places({"DSTYP1": "PI", "DSTYP2": "POS(X,Y)"}), names_places({"DSTYP1": "PI"})
    (True, False)
    >>> names_places({"SLCTEXPR": "PI > 500 && circle(25921,25921,900,X,Y)"})
    True
    """
    if "DSTYP1" in header:
        return dss_names_places(header)
    return any(place_columns(f.axis) for c in _of_selection(header, _marked) for f in c)


def _of_selection(header: Header, read: Callable[[FileFilter], Intervals | RegionTable | MaskImage]) -> Subspace:
    """Return the subspace of the expression of a header; none where it cannot be read."""
    text = str(card(header, "SLCTEXPR", "") or "").strip()
    try:
        tree = read_selection(text) if text else None
    except ExpressionError:
        return ()
    return () if tree is None else dss_of(with_region_columns(tree, lambda _: ("X", "Y")), {}, read)


def _marked(node: FileFilter) -> Intervals | RegionTable | MaskImage:
    """Return a stand-in for what the file of an expression holds."""
    return MaskImage(pixels=np.ones((1, 1), bool)) if isinstance(node, MaskFilter) else _of_no_file(node)


def _of_no_file(node: FileFilter) -> Intervals | RegionTable:
    return () if isinstance(node, GtiFilter) else RegionTable(components=())


def looked_at(path: Path) -> NDArray[np.float32] | None:
    """Return the part of each pixel of an image from which its selection takes events.

    Parameters
    ----------
    path
        An image as evselect writes it, with its data subspace and the tables of it.

    Returns
    -------
    Array of the shape of the image, float32, 0 to 1; None where the selection names no place.

    Raises
    ------
    InvalidFile
        If the image is damaged, or lacks what is needed to place its filters: a table, or the pointing.

    Notes
    -----
    Filters of regions, masks and ranges on X, Y, DETX, DETY, RAWX and RAWY count; a pixel on a border is divided into
    4 x 4 points. On an image of the sky the detector lies as RA_PNT, DEC_PNT, PA_PNT and the constants of the camera
    say, which are right to 4 arcsec.
    """

    def load() -> tuple[NDArray[np.float32] | None, int]:
        found = _looked_at(path)
        return found, 0 if found is None else found.nbytes

    result: NDArray[np.float32] | None = _CACHE.get(file_key(str(path)), load)
    return result


def _looked_at(path: Path) -> NDArray[np.float32] | None:
    from scipy import ndimage

    blocks = scan(path)
    header = blocks[0].header
    if not names_places(header):
        return None
    subspace = subspace_of(blocks, header, path) or _of_selection(header, _refusing(path.name))
    components = _resolved(subspace, path)
    pixels = _Pixels(header, path.name)
    shape = pixels.shape
    y, x = np.indices(shape, dtype=np.float64)
    inside = _inside(components, pixels, x.ravel(), y.ravel()).reshape(shape)
    result = inside.astype(np.float32)
    border = ndimage.maximum_filter(inside, 3) != ndimage.minimum_filter(inside, 3)
    rows, columns = np.nonzero(border)
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    dy, dx = (v.ravel() for v in np.meshgrid(steps, steps))
    points = (columns[:, None] + dx).ravel(), (rows[:, None] + dy).ravel()
    result[rows, columns] = _inside(components, pixels, *points).reshape(rows.size, _SAMPLES**2).mean(axis=1)
    read_only(result)
    return result


def _refusing(name: str) -> Callable[[FileFilter], Intervals | RegionTable | MaskImage]:
    def read(node: FileFilter) -> Intervals | RegionTable | MaskImage:
        if isinstance(node, GtiFilter):
            return ()
        raise InvalidFile(
            name, f"was cut by {node.spec!r} and does not hold it (writedss=no): make the image again with writedss=yes"
        )

    return read


Resolved: TypeAlias = tuple[tuple[int, ...] | None, tuple[Place, ...]]


def _resolved(subspace: Subspace, path: Path) -> tuple[Resolved, ...]:
    """Return the CCDs (None for all) and the places of each component, each pair once."""
    placed = [f for c in subspace for f in c if f.kind == TABLE and f.columns and place_columns(f.axis)]
    tables = [f.table for f in placed if f.place is None]
    known = read_places(path, dict.fromkeys(tables)) if tables else {}
    found = {(ccds_of(c), tuple(_places_of(c, known))): None for c in subspace}
    by_ccd: dict[tuple[int, ...] | None, set[tuple[Place, ...]]] = {}
    for ccds, places in found:
        by_ccd.setdefault(ccds, set()).add(places)
    groups = list(by_ccd.values())
    if all(group == groups[0] for group in groups):  # the same on all CCDs: where they lie does not matter
        return tuple((None, places) for places in groups[0])
    return tuple(found)


def _places_of(component: Component, known: Mapping[str, RegionTable | MaskImage]) -> Iterable[Place]:
    for f in component:
        names = place_columns(f.axis)
        if len(names) == 2 and f.kind == TABLE:
            place = f.place if isinstance(f.place, RegionTable | MaskImage) else known[f.table]
            yield (names[0], names[1]), place
        elif len(names) == 1 and f.kind == RANGE:
            yield names[0], f.value


class _Pixels:
    """Where pixels lie in the columns of an event list."""

    def __init__(self, header: Header, name: str) -> None:
        self.header, self.name = header, name
        self.camera: Camera | None = None
        self.to_det: Floats | None = None
        if str(card(header, "CTYPE1", "")).startswith("DET"):
            self.shape, self.to_det = detector_grid(header, name)
            self.sky = None
        else:
            grid = grid_of(header, name)
            self.shape = grid.shape
            self.sky = (grid.x0_sky, grid.dx_sky, grid.y0_sky, grid.dy_sky)
            self.grid = grid

    def columns(self, names: Iterable[str], x: Floats, y: Floats) -> dict[str, Floats]:
        """Return columns other than RAWX and RAWY at some places of the image, 0-based."""
        wanted = set(names)
        found: dict[str, Floats] = {}
        if wanted & {"X", "Y"}:
            if self.sky is None or None in self.sky:
                raise InvalidFile(self.name, "was cut in X and Y, which its header does not place (CRVAL1L and so on)")
            x0, dx, y0, dy = (float(v) for v in self.sky if v is not None)
            found |= {"X": x0 + dx * x, "Y": y0 + dy * y}
        if wanted & {"DETX", "DETY"}:
            across, up, depth = self._matrix() @ np.stack([x, y, np.ones_like(x)])
            found |= {"DETX": across / depth, "DETY": up / depth}
        return found

    def _matrix(self) -> Floats:
        if self.to_det is None:
            camera = self.the_camera()
            words = [card(self.header, name) for name in ("RA_PNT", "DEC_PNT", "PA_PNT")]
            if any(isinstance(v, bool) or not isinstance(v, int | float) for v in words):
                raise InvalidFile(
                    self.name,
                    "was cut in coordinates of the detector, and has no RA_PNT, DEC_PNT and PA_PNT that place them: "
                    "use an image of the whole field",
                )
            self.to_det = pixel_to_det(
                self.grid, Attitude(*map(float, words)), Boresight(camera.roll_deg, *camera.pointing)
            )
        return self.to_det

    def the_camera(self) -> Camera:
        """Return the camera of the image."""
        if self.camera is None:
            self.camera = camera_named(str(card(self.header, "INSTRUME", "")), self.name)
        return self.camera


def _inside(components: Iterable[Resolved], pixels: _Pixels, x: Floats, y: Floats) -> Bools:
    """Return whether some places of an image pass any of the components."""
    memo: dict[object, Bools] = {}
    result = np.zeros(x.shape, dtype=bool)
    for ccds, places in components:
        names = {name for place in places for name in (place[0] if isinstance(place[0], tuple) else (place[0],))}
        raw = ccds is not None or not names.isdisjoint({"RAWX", "RAWY"})
        columns = pixels.columns(names | ({"DETX", "DETY"} if raw else set()), x, y)
        if not raw:
            result |= _passes(places, columns, memo)
            continue
        for chip in pixels.the_camera().chips:
            if ccds is None or chip.number in ccds:
                at = np.stack([columns["DETX"], columns["DETY"], np.ones_like(x)])
                raw_x, raw_y, _ = np.linalg.solve(chip.matrix, at)
                camera = pixels.the_camera()
                on = (np.abs(raw_x - (camera.columns + 1) / 2) <= camera.columns / 2) & (
                    np.abs(raw_y - (camera.rows + 1) / 2) <= camera.rows / 2
                )
                here = columns | {"RAWX": np.floor(raw_x + 0.5), "RAWY": np.floor(raw_y + 0.5)}
                result |= on & _passes(places, here, {})
    return result


def _passes(places: tuple[Place, ...], columns: Mapping[str, Floats], memo: dict[object, Bools]) -> Bools:
    """Return whether places pass all filters of a component; ``memo`` keeps what several components share."""
    result = np.ones(next(iter(columns.values())).shape if columns else (), dtype=bool)
    for place in places:
        if place not in memo:
            memo[place] = _passes_one(place, columns, memo)
        result = result & memo[place]
    return result


def _passes_one(place: Place, columns: Mapping[str, Floats], memo: dict[object, Bools]) -> Bools:
    names, what = place
    if isinstance(what, str):
        values = columns[str(names)]
        inside = np.zeros(values.shape, dtype=bool)
        for bounds in ranges_of_text(what) or ():
            low = values >= (-np.inf if bounds.lo is None else bounds.lo)
            inside |= low & (values <= (np.inf if bounds.hi is None else bounds.hi))
        return inside
    u, v = columns[names[0]], columns[names[1]]
    if isinstance(what, MaskImage):
        return np.asarray(in_mask(what, (0.0, 0.0), u, v), dtype=bool)
    inside = np.zeros(u.shape, dtype=bool)
    for component in what.components:
        cut = tuple(shape for shape in component if shape.excluded)
        key = (names, cut)
        if key not in memo:
            memo[key] = _in_any(cut, u, v)
        within = ~memo[key]
        for shape in component:
            if not shape.excluded:
                within = within & _in_any((shape,), u, v)
        inside |= within
    return inside


def _in_any(shapes: tuple[RegionShape, ...], u: Floats, v: Floats) -> Bools:
    """Return whether points lie in any shape; only those near a shape are looked at."""
    found = np.zeros(u.shape, dtype=bool)
    for shape in shapes:
        x, y, reach = _reach(shape)
        near = np.flatnonzero((np.abs(u - x) <= reach) & (np.abs(v - y) <= reach))
        found[near] |= np.asarray(in_region(shape.name, shape.numbers, u[near], v[near]), dtype=bool)
    return found


def _reach(shape: RegionShape) -> tuple[float, float, float]:
    """Return a centre and a distance in each axis beyond which a shape has no points."""
    numbers = shape.numbers
    match shape.name:
        case "circle" | "ring" | "ellipse":
            return numbers[0], numbers[1], 1.001 * max(numbers[2:4]) + 1
        case "box" | "rhombus":
            return numbers[0], numbers[1], 1.001 * float(np.hypot(numbers[2], numbers[3])) + 1
        case _:
            return 0.0, 0.0, np.inf
