"""Whether a product that SAS made is the one that its command asked for."""

from pathlib import Path

from xphotfn.commands.command import Command
from xphotfn.io.fits import grid_of, read_header
from xphotfn.records.grid import SKY_LIMITS

__all__ = ("grid_problem", "shape_problem")


def grid_problem(command: Command, folder: Path) -> str:
    """Return which exposure map is not on the grid of its image, or nothing."""
    image = command.parameter("imageset")
    wanted = grid_of(read_header(str(folder / image)), image, measured=False)
    for name in command.outputs:
        difference = wanted.difference(grid_of(read_header(str(folder / name)), name, measured=False))
        if difference:
            return f"{name} is on another grid than its image: {difference}"
    return ""


def shape_problem(command: Command, folder: Path) -> str:
    """Return what is wrong with the shape of an image whose pixels the command alone decides, or nothing.

    Those are images of X and Y in bins of a given size over ranges that SAS does not clip (SAS evselect, node 10).
    """
    given = dict(command.parameters)
    name = given.get("imageset", "")
    if name not in command.outputs or given.get("imagebinning") != "binSize":
        return ""
    shape = []
    for axis in "xy":
        words = [given.get(f"{axis}{what}", "") for what in ("imagemin", "imagemax", "imagebinsize")]
        if given.get(f"{axis}column") != axis.upper() or not all(word.isdecimal() for word in words):
            return ""
        low, high, size = map(int, words)
        if not (SKY_LIMITS[0] <= low <= high <= SKY_LIMITS[1] and size):
            return ""
        shape.append((high - low) // size + 1)
    header = read_header(str(folder / name))
    made = [header.get("NAXIS1"), header.get("NAXIS2")]
    return "" if made == shape else f"{name} has {made[0]} x {made[1]} pixels, not {shape[0]} x {shape[1]}"
