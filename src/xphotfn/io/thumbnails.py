"""Products as HTML for notebooks, with a small picture that needs no plotting library."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import XphotfnError
from xphotfn.io.products import ExposureMap, Image, Product, RateMap
from xphotfn.records._html import Html, block, escape, facts, file_name

__all__ = ("UNEXPOSED", "palette", "picture", "png", "product_html", "shown_values", "thumbnail")

Bytes = NDArray[np.uint8]

UNEXPOSED = (92, 98, 108)
"""Colour of pixels that were not exposed, or have no value; no map has it, so that a pixel of 0 counts differs."""
_LARGEST_SIDE = 180
_MOST = 254  # of the colours of values; the last one of a picture is that of pixels without a value
# The colour map "inferno" of matplotlib (public domain, CC0): every sixteenth colour; those between are interpolated.
_INFERNO = (
    "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d04545 e35933 f1711f f98c0a fcaa0f f9c932 f2e865 "
    "fcffa4"
)


def palette() -> Bytes:
    """Return the 256 colours of thumbnails, shape (256, 3), from dark to bright.

    Examples
    --------
    >>> palette()[[0, 255]].tolist()
    [[0, 0, 4], [252, 255, 164]]
    """
    known = np.array([list(bytes.fromhex(colour)) for colour in _INFERNO.split()], dtype=np.float64)
    places = np.linspace(0, 255, len(known))
    colours = [np.interp(np.arange(256), places, known[:, channel]) for channel in range(3)]
    return np.rint(np.stack(colours, axis=1)).astype(np.uint8)


def png(levels: Bytes, colours: Bytes, *, alpha: tuple[int, ...] = ()) -> bytes:
    r"""Return an image as a PNG file of indexed colours.

    Parameters
    ----------
    levels
        Shape (ny, nx): the row of ``colours`` of each pixel. The first row is the top of the picture.
    colours
        Shape (N, 3), at most 256 colours as red, green and blue.
    alpha
        Opacity of the first colours, 0 to 255; the others are opaque.

    References
    ----------
    W3C, Portable Network Graphics (PNG) Specification, sections 5, 9, 11.2 and 11.3.

    Examples
    --------
    >>> png(np.zeros((2, 3), np.uint8), palette())[:4]
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
    return png(levels[::-1], np.vstack([palette()[: _MOST + 1], [UNEXPOSED]]).astype(np.uint8))


def _averaged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means of square blocks; the last ones may hold fewer pixels."""
    step = -(-max(values.shape) // _LARGEST_SIDE)
    starts = [np.arange(0, size, step) for size in values.shape]
    sums = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    sizes = [np.diff([*start, size]) for start, size in zip(starts, values.shape, strict=True)]
    return np.asarray(sums / np.outer(*sizes))


def shown_values(product: Any) -> NDArray[Any]:
    """Return what a picture shows of a map: its values, NaN where it was not exposed, as far as it knows.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> values = shown_values(example_rate_map())
    >>> bool(np.isnan(values[0, 0])), bool(np.isnan(values[256, 256]))
    (True, False)
    """
    match product:
        case RateMap():
            return np.where(product.exposure.data > 0, product.data, np.nan)
        case ExposureMap():
            return np.where(product.data > 0, product.data, np.nan)
        case _:
            return np.asarray(product.data)


def picture(values: NDArray[Any], what: str) -> Html:
    """Return a thumbnail as HTML that needs no other file."""
    encoded = base64.b64encode(thumbnail(values)).decode("ascii")
    return Html(f'<img alt="{escape(what)}" src="data:image/png;base64,{encoded}" style="max-width:100%;margin:0"/>')


def product_html(product: Product) -> str:
    """Return a product as HTML: a thumbnail, and what it is; where its file cannot be read, that is said instead."""
    try:
        shown = picture(shown_values(product), f"thumbnail of the {_kind(product)}; grey was not exposed")
    except (XphotfnError, OSError) as error:
        shown = Html(f"<div>no picture: {escape(error)}</div>")
    side = "display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start"
    body = Html(f'<div style="{side}"><div>{shown}</div><div>{facts(_facts(product))}</div></div>')
    who = product.obs_id if product.obs_id == product.instrument else f"{product.obs_id} {product.instrument}"
    return block(f"{_kind(product).capitalize()} {who}, {product.band}", body)


def _kind(product: Product) -> str:
    return {Image: "image", ExposureMap: "exposure map", RateMap: "rate map"}[type(product)]


def _facts(product: Product) -> list[tuple[str, Any]]:
    grid = product.grid
    if isinstance(product, RateMap):
        files = [("Image", product.image.path), ("Exposure map", product.exposure.path)]
    else:
        files = [("File", product.path)]
    return [
        ("Target", product.target or ""),
        ("Exposure", product.exposure_id),
        ("Pixels", f"{grid.ny} x {grid.nx} of {grid.pixel_deg * 3600:.3g} arcsec"),
        *((what, file_name(path)) for what, path in files),
        *_numbers(product),
    ]


def _numbers(product: Product) -> list[tuple[str, str]]:
    """Return the sums that say most of a product; none where it cannot be read."""
    try:
        if isinstance(product, ExposureMap):
            return [("Longest exposure", f"{np.nanmax(product.data) / 1000:.2f} ks")]
        image = product.image if isinstance(product, RateMap) else product
        longest = [*_numbers(product.exposure)] if isinstance(product, RateMap) else []
        return [("Counts", f"{np.nansum(image.data):.0f}"), *longest]
    except (XphotfnError, OSError):
        return []
