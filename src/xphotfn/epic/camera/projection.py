"""From pixels of an image to pixels of the CCDs, and the weights with which these add to an exposure map.

A tangent projection seen in another one is a projective transformation, and so is everything from the image to the RAW
pixels of a CCD: one 3 x 3 matrix for each CCD and attitude. Points inside each image pixel are sent through it; how
many of them land in each cell of the response, times the live time, makes a sparse matrix. It is built once for an
exposure: each band is then one product of this matrix with the response.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xphotfn.epic.camera.attitude import Attitude, AttitudeTrack, attitude_at
from xphotfn.epic.camera.detector import Camera
from xphotfn.errors import InvalidFile
from xphotfn.records.grid import SKY_UNIT_ARCSEC, XMM_REFERENCE, PixelGrid
from xphotfn.typing import Header

__all__ = ("Boresight", "View", "detector_grid", "fit_boresight", "pixel_to_det", "weights")

Floats: TypeAlias = NDArray[np.float64]
UNIT_RAD = float(np.deg2rad(SKY_UNIT_ARCSEC / 3600))  # DETX, DETY, X and Y
EDGE_SAMPLES = 16
_FEWEST_EVENTS = 50
Landings: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32], float]


class Boresight(NamedTuple):
    """How a camera is mounted: its turn against the position angle, and where on it the attitude points.

    ``residual`` is the rms of the fit in units of 0.05 arcsec and ``events`` their number; 0 for constants.
    """

    roll_deg: float
    det_x: float
    det_y: float
    residual: float = 0.0
    events: int = 0


class View(NamedTuple):
    """One CCD at one attitude.

    ``matrix`` takes 0-based image pixels (x, y, 1) to (RAWX, RAWY, 1) up to a factor, ``labels`` holds the cell of
    each RAW pixel (-1 for none), counted from ``first``, and ``seconds`` is the live time.
    """

    matrix: Floats
    labels: NDArray[np.int32]
    first: int
    seconds: float


def _basis(ra_deg: float, dec_deg: float) -> Floats:
    """Return the unit vectors to the east, to the north and to a position, as rows."""
    ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
    return np.array(
        [
            [-np.sin(ra), np.cos(ra), 0.0],
            [-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)],
            [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)],
        ]
    )


def pixel_to_det(grid: PixelGrid, attitude: Attitude, boresight: Boresight) -> Floats:
    """Return the matrix from 0-based image pixels (x, y, 1) to (DETX, DETY, 1), up to a factor.

    Notes
    -----
    With the offsets (dX, dY) in the tangent plane of the attitude, X to the west, and the turn r = PA + roll,
    ``DETX = cos(r) dX + sin(r) dY + c1`` and ``DETY = sin(r) dX - cos(r) dY + c2``: fitted to event lists, the scale is
    1 to 1e-5. The tangent planes of image and attitude are told apart exactly, at every declination.
    """
    steps = np.deg2rad([grid.cdelt1_deg, grid.cdelt2_deg])
    plane = np.array(
        [[steps[0], 0.0, steps[0] * (1 - grid.crpix1)], [0.0, steps[1], steps[1] * (1 - grid.crpix2)], [0.0, 0.0, 1.0]]
    )
    turned = _basis(attitude.ra_deg, attitude.dec_deg) @ _basis(grid.ra_deg, grid.dec_deg).T @ plane
    r = np.deg2rad(attitude.pa_deg + boresight.roll_deg)
    cos, sin = np.cos(r) / UNIT_RAD, np.sin(r) / UNIT_RAD
    camera = np.array([[-cos, sin, boresight.det_x], [-sin, -cos, boresight.det_y], [0.0, 0.0, 1.0]])
    return np.asarray(camera @ turned)


def detector_grid(header: Header, name: str) -> tuple[tuple[int, int], Floats]:
    """Return the shape of an image in DETX and DETY, and its matrix from 0-based pixels (x, y, 1) to (DETX, DETY, 1).

    Parameters
    ----------
    header
        Header of the image. evselect 3.7 calls its axes DETX_ANG and DETY_ANG, in degrees about the centre, and has
        DETX and DETY in the L cards; evselect 3.6 has DETX and DETY in both.
    name
        Its file, for messages.

    Raises
    ------
    InvalidFile
        If the axes are others.
    """
    kinds = [[str(header.get(f"CTYPE{n}{a}", "")).strip() for n in (1, 2)] for a in ("L", "")]
    if ["DETX", "DETY"] not in kinds:
        raise InvalidFile(name, "is not in DETX and DETY: leave withdetcoords=yes out or give an image of these")
    matrix = np.eye(3)
    for axis in (1, 2):
        suffix = f"{axis}L" if kinds[0] == ["DETX", "DETY"] and f"CDELT{axis}L" in header else f"{axis}"
        pixel, value, step = (float(header.get(f"{key}{suffix}", 1)) for key in ("CRPIX", "CRVAL", "CDELT"))
        matrix[axis - 1, axis - 1] = step
        matrix[axis - 1, 2] = value + step * (1 - pixel)
    return (int(header["NAXIS2"]), int(header["NAXIS1"])), matrix


def fit_boresight(events: dict[str, NDArray[Any]], track: AttitudeTrack, camera: Camera) -> Boresight | None:
    """Return the boresight that an event list itself shows, or None for too few events.

    Parameters
    ----------
    events
        Columns TIME (s), DETX, DETY, X, Y of some events, and ``RA`` and ``DEC`` of the reference point in degrees.
    track
        Attitude history.
    camera
        Events far from its constants are left out (null values).

    Notes
    -----
    Each event gives its place on the sky about the attitude of its moment; a turn and a shift take these to DETX, DETY.
    As complex numbers ``DETX + i DETY = a * exp(i PA) * conj(dX + i dY) + c``, a linear fit in a and c; the modulus of
    a, the scale, is 1 to 1e-5 and is set to 1.
    """
    x, y = (np.asarray(events[name], dtype=np.float64) - XMM_REFERENCE for name in ("X", "Y"))
    ra, dec, pa = attitude_at(track, np.asarray(events["TIME"], dtype=np.float64))
    west, north = _about((x, y), (float(events["RA"]), float(events["DEC"])), (ra, dec))
    turned = np.exp(1j * np.deg2rad(pa)) * (west - 1j * north)
    seen = np.asarray(events["DETX"], dtype=np.float64) + 1j * np.asarray(events["DETY"], dtype=np.float64)
    guess = np.exp(1j * np.deg2rad(camera.roll_deg)) * turned + complex(*camera.pointing)
    good = np.abs(seen - guess) < 1200  # one arcmin
    if np.count_nonzero(good) < _FEWEST_EVENTS:
        return None
    turned, seen = turned[good], seen[good]
    a = np.sum((seen - seen.mean()) * np.conj(turned - turned.mean()))
    a /= abs(a)
    c = np.mean(seen - a * turned)
    residual = float(np.sqrt(np.mean(np.abs(seen - a * turned - c) ** 2) / 2))
    return Boresight(float(np.rad2deg(np.angle(a))), float(c.real), float(c.imag), residual, int(good.sum()))


def _about(
    sky: tuple[Floats, Floats], reference: tuple[float, float], centre: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Return offsets to the west and north in the tangent plane about ``centre`` of offsets about ``reference``."""
    basis = _basis(*reference)
    vector = np.stack([-sky[0] * UNIT_RAD, sky[1] * UNIT_RAD, np.ones_like(sky[0])], axis=1) @ basis
    ra, dec = np.deg2rad(centre[0]), np.deg2rad(centre[1])
    along = vector[:, 0] * np.cos(ra) + vector[:, 1] * np.sin(ra)
    east = -vector[:, 0] * np.sin(ra) + vector[:, 1] * np.cos(ra)
    north = -np.sin(dec) * along + np.cos(dec) * vector[:, 2]
    depth = (np.cos(dec) * along + np.sin(dec) * vector[:, 2]) * UNIT_RAD
    return -east / depth, north / depth


def weights(shape: tuple[int, int], views: Sequence[View], cells: int, samples: int = 4) -> Any:
    """Return the live seconds with which each cell adds to each image pixel.

    Parameters
    ----------
    shape
        Shape (ny, nx) of the image.
    views
        CCDs at attitudes.
    cells
        Number of cells of all CCDs.
    samples
        Points along each side of an image pixel that lies wholly on pixels that count.

    Returns
    -------
    scipy CSR matrix of shape (ny * nx, cells), float64, in s. Its product with a response per cell is the exposure.

    Notes
    -----
    A point counts where it falls on a RAW pixel that counts, so that at the edges and at bad columns a pixel of the
    image gets the part of its area that is exposed. Image pixels there, of which some points count and some do not or
    which touch one that is reached, are done again with 16 x 16 points: bad columns are a quarter of a pixel wide.
    """
    from scipy import sparse

    total = sparse.csr_matrix((shape[0] * shape[1], cells), dtype=np.float64)
    parts: list[Landings] = []
    for view in views:
        parts += _landings(shape, view, samples)
        if sum(p[0].size for p in parts) > 4_000_000:  # keeps a long list of attitudes in bounded memory
            total, parts = total + _gathered(parts, total.shape), []
    return total + _gathered(parts, total.shape) if parts else total


def _gathered(parts: list[Landings], shape: tuple[int, int]) -> Any:
    from scipy import sparse

    pixels, cells = (np.concatenate([p[n] for p in parts]) for n in (0, 1))
    seconds = np.concatenate([np.full(p[0].size, p[2]) for p in parts])
    return sparse.coo_matrix((seconds, (pixels, cells)), shape=shape).tocsr()


def _labels_at(view: View, x: Floats, y: Floats) -> NDArray[np.int32]:
    """Return the cell at positions on the image, -1 where no pixel counts; ``x`` and ``y`` are broadcast."""
    rows, columns = view.labels.shape
    m = view.matrix
    depth = 1.0 / (m[2, 0] * x + (m[2, 1] * y + m[2, 2]))
    raw_x = (m[0, 0] * x + (m[0, 1] * y + m[0, 2])) * depth + 0.5
    raw_y = (m[1, 0] * x + (m[1, 1] * y + m[1, 2])) * depth + 0.5
    inside = (raw_x >= 1) & (raw_x < columns + 1) & (raw_y >= 1) & (raw_y < rows + 1) & (depth > 0)
    index = raw_y[inside].astype(np.int32) * np.int32(columns) + raw_x[inside].astype(np.int32)
    found = np.full(inside.shape, -1, dtype=np.int32)
    found[inside] = view.labels.ravel()[index - (columns + 1)]
    return found


def _landings(shape: tuple[int, int], view: View, samples: int) -> list[Landings]:
    """Return image pixels, cells and seconds of the points that land: first of whole pixels, then of edges."""
    from scipy.ndimage import maximum_filter

    x0, x1, y0, y1 = _box(shape, view)
    if x0 >= x1 or y0 >= y1:
        return []
    x, y = np.arange(x0, x1, dtype=np.float64), np.arange(y0, y1, dtype=np.float64)[:, None]
    pixel = (y * shape[1] + x).astype(np.int32)
    steps = _steps(samples)
    labels = np.stack([_labels_at(view, x + dx, y + dy) for dy in steps for dx in steps])
    hits = np.count_nonzero(labels >= 0, axis=0)
    edge = (hits < len(labels)) & maximum_filter(hits > 0, size=3)
    whole = hits == len(labels)
    first = np.int32(view.first)
    found: list[Landings] = [
        (np.tile(pixel[whole], len(labels)), labels[:, whole].ravel() + first, view.seconds / len(labels))
    ]
    fine = _steps(EDGE_SAMPLES)
    edge_x, edge_y = (np.broadcast_to(v, pixel.shape)[edge][:, None] for v in (x, y))
    for dy in fine:
        label = _labels_at(view, edge_x + fine, edge_y + dy)
        counted = label >= 0
        pixels = np.broadcast_to(pixel[edge][:, None], label.shape)[counted]
        found.append((pixels, label[counted] + first, view.seconds / EDGE_SAMPLES**2))
    return found


def _steps(samples: int) -> Floats:
    """Return where points lie along a pixel, from -0.5 to 0.5."""
    return (np.arange(samples) + 0.5) / samples - 0.5


def _box(shape: tuple[int, int], view: View) -> tuple[int, int, int, int]:
    """Return the first and last (exclusive) column and row of the image that a CCD can reach."""
    rows, columns = view.labels.shape
    corners = np.array([[0.5, columns + 0.5, 0.5, columns + 0.5], [0.5, 0.5, rows + 0.5, rows + 0.5], [1, 1, 1, 1]])
    back = np.linalg.solve(view.matrix, corners)
    if np.any(back[2] * np.sign(back[2, 0]) <= 0):
        return 0, 0, 0, 0
    x, y = back[0] / back[2], back[1] / back[2]
    low_x, low_y = max(int(np.floor(x.min())), 0), max(int(np.floor(y.min())), 0)
    high_x, high_y = min(int(np.ceil(x.max())) + 1, shape[1]), min(int(np.ceil(y.max())) + 1, shape[0])
    return low_x, high_x, low_y, high_y
