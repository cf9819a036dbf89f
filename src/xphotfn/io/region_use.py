"""What becomes of each region of a file: used, or left out with the reason; and which image its pixels mean."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from xphotfn.commands.image_grid import ImageGrid
from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.io.regions import RegionFile, drawn_on, means_pixels, read_region_file
from xphotfn.records.grid import PixelGrid
from xphotfn.records.left_out import LeftOut
from xphotfn.records.observation import Observation
from xphotfn.records.region import Region
from xphotfn.science.shapes import pixel_shapes

__all__ = ("UsedRegions", "given_regions", "pixel_note", "refuse_strange", "used_regions")

_MOST_LINES = 8
_GRID = re.compile(r"(\d{1,6}):(\d{1,6}):(\d{1,6})")
_TELL = "give the option region_image (its name, or its X and Y as low:high:bin), or a line '# image: name' in the file"


class UsedRegions(NamedTuple):
    """The regions of an observation that can mask something, the grid of their pixels, and what was left out.

    With a ``problem`` none of them can be used.
    """

    regions: tuple[Region, ...]
    grid: PixelGrid
    notes: tuple[str, ...] = ()
    problem: str = ""


def used_regions(
    observation: Observation, image: str | ImageGrid | None = None, cache: dict[str, RegionFile | str] | None = None
) -> UsedRegions:
    """Return the regions of an observation and what is left out of its region file.

    Parameters
    ----------
    observation
        The observation, with its region file and the images that were found.
    image
        Which image the frame ``image`` means: the name of its file (``*`` stands for anything), or the grid on which it
        was made, also as a text ``low:high:bin`` in units of X and Y; None where the file says it, or where all found
        images have the same pixels.
    cache
        Region files that were read already, by path.

    Notes
    -----
    Left out are excluded regions (``-circle``, ``!circle``, ``include=0``), which DS9 takes out of the others and which
    mask nothing, points, which have no area, and annotations.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field
    >>> used_regions(example_field().observations[0]).regions
    ()
    """
    grids = _grids(observation)
    default = next((grid for _, grid in grids if grid.has_sky), None) or observation.grid
    if observation.regions is None:
        return UsedRegions((), default, problem=_undecided(observation))
    path = observation.regions.path
    read = _read(path, {} if cache is None else cache)
    if isinstance(read, str):
        return UsedRegions((), default, problem=f"its regions cannot be used: {read}")
    name = Path(path).name
    regions = tuple(region for region in read.regions if region.masks)
    notes = [f"{name}, {text}" for text in _left_out(read)]
    images = [grid for _, grid in grids if grid.has_sky] or [observation.grid]
    if not any(region.frame == "image" for region in regions):
        return UsedRegions(regions, default, (*notes, *(f"{name}, {t}" for t in _beside(regions, default, images))))
    try:
        grid, note = _meant(observation, grids, image, read.image)
    except InvalidRecord as error:
        return UsedRegions((), default, tuple(notes), f"its regions cannot be used: {name}: {error}")
    notes += [f"{name}, {text}" for text in _beside(regions, grid, images)]
    known = any(left.reason == "assumed" for left in observation.left_out)
    return UsedRegions(regions, grid, (*notes, *([f"{name}: {note}"] if note and not known else [])))


def given_regions(observation: Observation, regions: Sequence[Region], grid: PixelGrid | None = None) -> UsedRegions:
    """Return which of some regions that were given, not found, can mask something on the images of an observation.

    Regions of the whole sky may be given: what lies off its images is left out without a word, but a note says where
    none lies on them. Their pixels mean ``grid``, by default that of the images that were found.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field
    >>> far = Region(shape="circle", frame="fk5", x=10.0, y=10.0, size=(0.01,))
    >>> given_regions(example_field().observations[0], [far]).regions
    ()
    """
    images = [g for _, g in _grids(observation) if g.has_sky] or [observation.grid]
    meant = grid or images[0]
    masking = [region for region in regions if region.masks]
    on = _on(masking, meant, images)
    notes = tuple(f"of the regions that were given, {text}" for text in _left_out(RegionFile(regions=regions)))
    if masking and not on:
        notes = (*notes, f"none of the regions that were given ({len(masking)}) lies on its images: nothing is masked")
    return UsedRegions(tuple(region for number, region in enumerate(masking) if number in on), meant, notes)


def refuse_strange(given: Iterable[str], known: Sequence[str], who: str) -> None:
    """Refuse regions by ObsID whose ObsID is not there: a misspelt one would mask and draw nothing.

    Raises
    ------
    InvalidRecord
        It names what was given and, as far as they fit, the ObsIDs of ``who``.

    Examples
    --------
    >>> refuse_strange(["0404910601"], ["0404910601", "0201901401"], "Abell 907")
    """
    strange = sorted(str(name) for name in set(given) - set(known))
    if strange:
        raise InvalidRecord(f"regions of {_some(strange)} were given, but {who} has {_some(known) or 'none'}")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_LINES
    return ", ".join(names[:_MOST_LINES]) + (f" and {more} more" if more > 0 else "")


def pixel_note(observation: Observation, name: str) -> LeftOut | None:
    """Return what must be said of the image that the pixels of an observation's region file mean, if anything.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field
    >>> pixel_note(example_field().observations[0], "sources.reg") is None
    True
    """
    if observation.regions is None or not means_pixels(observation.regions.path):
        return None
    reason = "assumed"
    try:
        detail = _meant(observation, _grids(observation), None, drawn_on(observation.regions.path))[1]
    except InvalidRecord as error:
        reason, detail = "pixels", str(error)
    if not detail:
        return None
    return LeftOut(file=name, reason=reason, obs_id=observation.obs_id, kind="regions", detail=detail)


def _undecided(observation: Observation) -> str:
    """Return what is wrong where several region files differ: without the right one sources would count."""
    names = [note.file for note in observation.undecided("regions")]
    if not names:
        return ""
    return (
        f"its regions cannot be used: {' and '.join(names)} differ, and no rule says which is right: name one "
        "with prefer= or --prefer"
    )


def _read(path: str, cache: dict[str, RegionFile | str]) -> RegionFile | str:
    if path not in cache:
        try:
            cache[path] = read_region_file(path)
        except InvalidFile as error:
            cache[path] = str(error)
    return cache[path]


def _left_out(read: RegionFile) -> Iterable[str]:
    excluded = [r.line for r in read.regions if not r.include]
    points = [r.line for r in read.regions if r.include and r.shape == "point"]
    if excluded:
        yield f"{_lines(excluded)}: excluded regions (-) mask nothing; to mask them, write them without the sign"
    if points:
        yield f"{_lines(points)}: points have no area and mask nothing; to mask them, write circles"
    if read.notes:
        kinds = ", ".join(dict.fromkeys(kind for _, kind in read.notes))
        yield f"{_lines([line for line, _ in read.notes])}: annotations ({kinds}) are no regions"


def _beside(regions: Sequence[Region], grid: PixelGrid, images: Sequence[PixelGrid]) -> Iterable[str]:
    """Say which regions touch no pixel of the images, and which are wider than all of them."""
    yield from _off(regions, grid, images)
    shapes = [pixel_shapes(regions, grid, image) for image in dict.fromkeys(images)]
    sizes = [image.shape for image in dict.fromkeys(images)]
    lines = [
        region.line
        for region, *drawn in zip(regions, *shapes, strict=True)
        if all(min(shape.reach[0] / nx, shape.reach[1] / ny) >= 1 for shape, (ny, nx) in zip(drawn, sizes, strict=True))
    ]
    if lines:
        what = 'a size without a unit is in degrees in fk5 and icrs, write 12" for arcsec'
        yield f"{_lines(lines)}: wider than the images of this observation; {what}"


def _off(regions: Sequence[Region], grid: PixelGrid, images: Iterable[PixelGrid]) -> Iterable[str]:
    """Say which regions touch no pixel of the images."""
    on = _on(regions, grid, images)
    lines = [region.line for number, region in enumerate(regions) if number not in on]
    if lines:
        yield f"{_lines(lines)}: off the images of this observation, where they mask nothing"


def _on(regions: Sequence[Region], grid: PixelGrid, images: Iterable[PixelGrid]) -> set[int]:
    """Return the numbers of the regions that touch one of the images."""
    return {
        number
        for image in dict.fromkeys(images)
        for number, shape in enumerate(pixel_shapes(regions, grid, image))
        if shape.touches((-0.5, image.nx - 0.5, -0.5, image.ny - 0.5))
    }


def _lines(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:_MOST_LINES])) + (" and more" if len(lines) > _MOST_LINES else "")
    return f"line {shown}" if len(lines) == 1 else f"{len(lines)} lines ({shown})"


def _grids(observation: Observation) -> list[tuple[str, PixelGrid]]:
    """Return the names and grids of the found images and exposure maps, images first."""
    found = [p for e in observation.exposures for p in e.products]
    ordered = sorted(found, key=lambda p: p.kind != "image")
    return [(Path(p.file.path).name, p.grid) for p in ordered]


def _meant(
    observation: Observation, grids: Sequence[tuple[str, PixelGrid]], told: str | ImageGrid | None, said: str
) -> tuple[PixelGrid, str]:
    """Return the grid that the pixels of a region file mean, and what must be said of the choice."""
    for wanted in (told, said):
        grid_told = wanted if isinstance(wanted, ImageGrid) else _grid_text(wanted or "")
        if grid_told is not None:
            return _grid_of(observation, grid_told), ""
        if wanted:
            break
    distinct: list[tuple[str, PixelGrid]] = []
    for name, grid in grids:
        if all(grid.difference(other) for _, other in distinct):
            distinct.append((name, grid))
    for wanted, who in ((str(told or ""), "region_image"), (said, "it")):
        named = [grid for name, grid in grids if wanted and _is_named(name, wanted)]
        if named and all(not named[0].difference(grid) for grid in named):
            return named[0], ""
        if wanted and (who == "region_image" or len(distinct) > 1):
            what = "several images of other pixels" if named else "no image that was found"
            raise InvalidRecord(f"{who} names {wanted!r}, {what}; {_TELL}")
    if len(distinct) > 1:
        names = ", ".join(f"{name} ({grid.nx} x {grid.ny})" for name, grid in distinct[:3])
        raise InvalidRecord(f"the images found have other pixels each, {names}; {_TELL}")
    grid = distinct[0][1] if distinct else observation.grid
    size = f"{grid.nx} x {grid.ny} pixels of {grid.pixel_deg * 3600:.4g} arcsec"
    if not distinct:
        return grid, f"no image was found, so its pixels are taken for those of the usual one, {size}; {_TELL}"
    if said:
        return grid, f"it names {said}, and {distinct[0][0]} is taken, {size}, the only ones found; {_TELL}"
    return grid, ""


def _grid_of(observation: Observation, wanted: ImageGrid) -> PixelGrid:
    """Return the grid of the image that evselect makes of an observation."""
    (low, high), (y_low, y_high) = wanted.limits
    if (wanted.x_column, wanted.y_column) != ("X", "Y") or len(set(wanted.bins)) > 1 or (low, high) != (y_low, y_high):
        raise InvalidRecord("the option region_image needs an ImageGrid of X and Y of the same range and bins")
    ra, dec = observation.ra_deg, observation.dec_deg
    return PixelGrid.from_sky_range(ra, dec, low=low, high=high, bin_size=wanted.bins[0])


def _grid_text(text: str) -> ImageGrid | None:
    """Return the grid that ``low:high:bin`` says, in units of X and Y."""
    numbers = _GRID.fullmatch(text)
    if numbers is None:
        return None
    low, high, step = map(int, numbers.groups())
    return ImageGrid(x_range=(low, high), y_range=(low, high), x_bin=step, y_bin=step)


def _is_named(name: str, wanted: str) -> bool:
    return any(fnmatchcase(given, pattern) for given in (name, _stem(name)) for pattern in (wanted, _stem(wanted)))


def _stem(name: str) -> str:
    stem = name.removesuffix(".gz")
    return stem.rpartition(".")[0] or stem
