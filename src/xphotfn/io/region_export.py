"""Regions and fields as DS9 files, which :func:`~xphotfn.io.regions.read_regions` reads back."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve

from xphotfn.errors import InvalidRecord
from xphotfn.io.products import Product
from xphotfn.io.write import publish
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.science.coords import pix_to_deg
from xphotfn.science.distances import radius_deg
from xphotfn.science.shapes import pixel_shapes
from xphotfn.typing import RadiiLike
from xphotfn.units import quantities

__all__ = ("Marked", "write_marked", "write_regions")

FRAMES = ("fk5", "image")
_CIRCLE_COLOUR = "white"  # marks neither a point source nor an extended one


class Marked(NamedTuple):
    """A region, the grid that its pixels mean, and the properties that only DS9 shows."""

    region: Region
    grid: PixelGrid | None = None
    style: str = ""
    tags: tuple[str, ...] = ()


def write_regions(
    regions_or_field: Iterable[Region] | Field, path: str | Path, *, frame: str | None = None,
    product: Product | None = None, circles: RadiiLike = (), overwrite: bool = False,
) -> Path:  # fmt: skip
    """Write regions, or all regions and radii of a field, as a DS9 file, whole or not at all.

    Parameters
    ----------
    regions_or_field
        Regions in any frames, written in their order; or a field, of which all regions are written, the matched ones
        with a thick line, and the target's radii as dashed white circles around its centre.
    path
        The file to write.
    frame
        ``"fk5"`` or ``"image"``. By default a field is written in fk5, since the pixels of its observations differ,
        and regions stay in their own frames.
    product
        The image whose pixels ``frame="image"`` means. For loose regions it is also the one whose pixels their own
        ``image`` and ``physical`` frames mean.
    circles
        Further radii of a field to write: one Quantity or several, angles or, with a redshift, kpc.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidFile
        If the file exists already (without ``overwrite``) or cannot be written; what was there stays as it was.
    InvalidRecord
        If a name or colour cannot be written (a name with line ends or with all of ``}``, ``"`` and ``'``), the frame
        is unknown, a change of frame lacks its product, or circles have no field with a target.
    UnitMismatch
        If a radius is neither angle nor length, or in kpc without a redshift.

    Notes
    -----
    ``image`` counts pixels from 1 in the file and from 0 in a Region. A change of frame moves centres and vertices
    through the sky, scales sizes by the size of a pixel and keeps angles: EPIC images have north up and east left.
    fk5 and icrs are taken as one, as everywhere in this library.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> path = Path(tempfile.mkdtemp(), "sources.reg")
    >>> print(write_regions([Region(shape="circle", frame="image", x=9, y=19, size=(3,))], path).read_text())
    # Region file format: DS9
    image
    circle(10.0,20.0,3.0) # color=green
    >>> _ = write_regions(example_field(), path, frame="image", product=example_rate_map(), overwrite=True)
    >>> print(path.read_text().splitlines()[-1])
    circle(256.5057...,256.5057...,96.9001...) # color=white text={r500} dash=1
    """
    if frame not in (None, *FRAMES):
        raise InvalidRecord(f"regions are written in the frame fk5 or image, got {frame!r}")
    grid = None if product is None else product.grid
    if isinstance(regions_or_field, Field):
        marked = [*_of_field(regions_or_field), *_circles(regions_or_field, circles)]
        frame = frame or "fk5"
    else:
        if quantities(circles, "circles="):
            raise InvalidRecord("circles= belong to a field with a target: give the field and not its regions")
        marked = [Marked(region, grid) for region in regions_or_field]
    return write_marked(marked, path, frame=frame, grid=grid, overwrite=overwrite)


def write_marked(
    marked: Iterable[Marked], path: str | Path, *, frame: str | None = None, grid: PixelGrid | None = None,
    overwrite: bool = False,
) -> Path:  # fmt: skip
    """Write regions with what only DS9 shows of them, as :func:`write_regions` does."""
    lines, current = ["# Region file format: DS9"], ""
    for item in marked:
        region = item.region if frame is None else _in_frame(item, frame, grid)
        if region.frame != current:
            current = region.frame
            lines.append(current)
        lines.append(_line(region, item.tags) + item.style)
    with publish(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(("\n".join(lines) + "\n").encode("utf-8"))
    return Path(path)


def _of_field(field: Field) -> Iterator[Marked]:
    for member in field.members:
        for region in member.regions:
            style = " width=3" if region is member.match else ""
            yield Marked(region, member.region_grid, style)


def _circles(field: Field, more: Any) -> Iterator[Marked]:
    target = field.target
    given = [(f"{radius:g}", radius) for radius in quantities(more, "circles=")]
    if target is None:
        if given:
            raise InvalidRecord("circles= need a field with a target: a bulk field has no centre")
        return
    ra, dec = (float(v) for v in field.centre.value)
    for name, radius in [*target.radii, *given]:
        size = (radius_deg(radius, target),)
        circle = Region(shape="circle", frame="fk5", x=ra, y=dec, size=size, colour=_CIRCLE_COLOUR, name=name)
        yield Marked(circle, None, " dash=1")


def _in_frame(item: Marked, frame: str, grid: PixelGrid | None) -> Region:
    """Return a region in another frame; ``grid`` is the one whose pixels the frame image means."""
    region = item.region
    if frame == "image" and grid is None:
        raise InvalidRecord('frame="image" needs product=: the image whose pixels are meant')
    in_pixels = region.frame in ("image", "physical")
    if in_pixels and item.grid is None:
        raise InvalidRecord(
            f"a region in the frame {region.frame} becomes {frame} only with product=: the image whose pixels it means"
        )
    if frame == "fk5" and not in_pixels:
        return evolve(region, frame="fk5")
    meant = grid if frame == "image" else item.grid
    if meant is None:  # a sky frame stays what it is
        return region
    shape = pixel_shapes([region], item.grid or meant, meant)[0]
    points, scale = np.array([(shape.x, shape.y), *shape.vertices]), 1.0
    if frame == "fk5":
        points, scale = np.stack(pix_to_deg(meant, *points.T), axis=1), meant.pixel_deg
    if not np.isfinite(points).all():
        raise InvalidRecord(f"the region {_line(region)!r} lies on the other side of the sky from the image")
    (x, y), vertices = points[0], points[1:]
    return evolve(
        region, frame=frame, x=x, y=y, size=tuple(s * scale for s in shape.size),
        vertices=tuple((float(a), float(b)) for a, b in vertices),
    )  # fmt: skip


def _line(region: Region, tags: Iterable[str] = ()) -> str:
    """Return a line of a file; the reader takes the last tag, so the error of the position ends it."""
    offset = 1.0 if region.frame == "image" else 0.0
    points = region.vertices or ((region.x, region.y),)
    numbers = [value + offset for point in points for value in point] + list(region.size)
    if region.shape in ("ellipse", "box"):
        numbers.append(region.angle_deg)
    if not re.fullmatch(r"[#\w]+", region.colour):
        raise InvalidRecord(f"a colour must be one word, got {region.colour!r}")
    text = f" text={_quoted(region.name)}" if region.name else ""
    sign = "" if region.include else "-"
    error = f" tag={{position error {region.position_error_deg!r} deg}}" if region.position_error_deg else ""
    others = "".join(f" tag={{{tag}}}" for tag in tags)
    return f"{sign}{region.shape}({','.join(map(repr, numbers))}) # color={region.colour.lower()}{text}{others}{error}"


def _quoted(name: str) -> str:
    for opening, closing in ("{}", '""', "''"):
        if closing not in name and not re.search(r"[\r\n\0]", name):
            return f"{opening}{name}{closing}"
    raise InvalidRecord(f"a name may not hold line ends, nor all of }} \" and ', got {name!r}")
