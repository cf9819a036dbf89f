"""Small pictures of maps as PNG, for notebooks: they need no plotting library."""

import base64
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import XphotfnError
from xphotfn.html import Html, block, escape, facts, file_name

__all__ = ("UNEXPOSED", "counts_of", "exposed", "longest_of", "picture", "png", "product_html", "thumbnail")

Bytes = NDArray[np.uint8]
Facts = Sequence[tuple[str, str]]
Values = Callable[[], NDArray[Any]]

UNEXPOSED = (92, 98, 108)
"""Colour of pixels that were not exposed, or have no value; no map has it, so that a pixel of 0 counts differs."""
_LARGEST_SIDE = 180
_MOST = 254  # of the colours of values; the last one of a picture is that of pixels without a value
# The colour map "inferno" of matplotlib (public domain, CC0): every sixteenth colour; those between are interpolated.
_INFERNO = (
    "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d04545 e35933 f1711f f98c0a fcaa0f f9c932 f2e865 "
    "fcffa4"
)


def _palette() -> Bytes:
    """Return the 256 colours of thumbnails, shape (256, 3), from dark to bright."""
    known = np.array([list(bytes.fromhex(colour)) for colour in _INFERNO.split()], dtype=np.float64)
    places = np.linspace(0, 255, len(known))
    colours = [np.interp(np.arange(256), places, known[:, channel]) for channel in range(3)]
    return np.rint(np.stack(colours, axis=1)).astype(np.uint8)


def png(levels: Bytes, colours: Bytes, *, alpha: tuple[int, ...] = ()) -> bytes:
    r"""Return an image as a PNG file of indexed colours.

    ``levels`` of shape (ny, nx), its first row the top of the picture, name rows of ``colours``, shape (N, 3), at most
    256 of red, green and blue; ``alpha`` is the opacity of the first of them, 0 to 255, the others are opaque.

    References
    ----------
    W3C, Portable Network Graphics (PNG) Specification, sections 5, 9, 11.2 and 11.3.

    Examples
    --------
    >>> png(np.zeros((2, 3), np.uint8), np.zeros((256, 3), np.uint8))[:4]
    b'\x89PNG'
    """
    height, width = levels.shape
    rows = np.full((height, width + 1), 2, dtype=np.uint8)  # each row starts with its filter; 2: less the row above
    rows[:, 1:] = levels
    rows[1:, 1:] -= levels[:-1]
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits, colour type 3: a palette
    chunks = [(b"IHDR", header), (b"PLTE", colours.tobytes()), *([(b"tRNS", bytes(alpha))] if alpha else [])]
    chunks += [(b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def thumbnail(values: NDArray[Any]) -> bytes:
    """Return a small picture of a map as PNG, its last row on top (north), in a logarithmic stretch.

    Notes
    -----
    Blocks of pixels are averaged until no side is longer than 180 pixels. Pixels of NaN are grey. Colours go from half
    the first percentile of the positive values to their 99.9th, as in :func:`~xphotfn.plot.view.view`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> len(thumbnail(example_rate_map().data)) < 30_000
    True
    """
    small = _averaged(np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0))
    positive = small[small > 0]
    levels = np.zeros(small.shape, dtype=np.uint8)
    if positive.size:
        low, high = np.percentile(positive, (1, 99.9)) * (0.5, 1.0)
        levels[small > 0] = np.clip(np.rint(_MOST * np.log(positive / low) / np.log(high / low)), 0, _MOST)
    levels[_averaged(np.isnan(values).astype(np.float64)) == 1] = _MOST + 1
    return png(levels[::-1], np.vstack([_palette()[: _MOST + 1], [UNEXPOSED]]).astype(np.uint8))


def _averaged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means of square blocks; the last ones may hold fewer pixels."""
    step = -(-max(values.shape) // _LARGEST_SIDE)
    starts = [np.arange(0, size, step) for size in values.shape]
    sums = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    sizes = [np.diff([*start, size]) for start, size in zip(starts, values.shape, strict=True)]
    return np.asarray(sums / np.outer(*sizes))


def picture(values: NDArray[Any], what: str) -> Html:
    """Return a thumbnail as HTML that needs no other file."""
    encoded = base64.b64encode(thumbnail(values)).decode("ascii")
    return Html(f'<img alt="{escape(what)}" src="data:image/png;base64,{encoded}" style="max-width:100%;margin:0"/>')


def exposed(values: NDArray[Any], exposure: NDArray[Any]) -> NDArray[Any]:
    """Return values, NaN where nothing was exposed."""
    return np.where(exposure > 0, values, np.nan)


def counts_of(data: NDArray[Any]) -> tuple[str, str]:
    """Return what says most of an image."""
    return "Counts", f"{np.nansum(data):.0f}"


def longest_of(data: NDArray[Any]) -> tuple[str, str]:
    """Return what says most of an exposure map."""
    return "Longest exposure", f"{np.nanmax(data) / 1000:.2f} ks"


def product_html(product: Any, kind: str, files: Facts, values: Values, sums: Callable[[], Facts]) -> str:
    """Return a product as HTML: a thumbnail, and what it is; where its file cannot be read, that is said instead.

    ``files`` are pairs of what and path; ``values`` and ``sums`` give what the picture shows and what says most, and
    read its files.
    """
    try:
        shown = picture(values(), f"thumbnail of the {kind}; grey was not exposed")
        said = sums()
    except (XphotfnError, OSError) as error:
        shown, said = Html(f"<div>no picture: {escape(error)}</div>"), []
    grid = product.grid
    rows = [
        ("Target", product.target or ""),
        ("Exposure", product.exposure_id),
        ("Pixels", f"{grid.ny} x {grid.nx} of {grid.pixel_deg * 3600:.3g} arcsec"),
        *((what, file_name(path)) for what, path in files),
        *said,
    ]
    side = "display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start"
    body = Html(f'<div style="{side}"><div>{shown}</div><div>{facts(rows)}</div></div>')
    who = product.obs_id if product.obs_id == product.instrument else f"{product.obs_id} {product.instrument}"
    return block(f"{kind.capitalize()} {who}, {product.band}", body)
