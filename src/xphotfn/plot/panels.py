"""Several pictures side by side in one figure."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.plot.picture import Look, Picture, Shown, draw, new_axes, picture

__all__ = ("draw_panels", "panel_pictures", "panels_figsize")

_PANEL_INCHES = (4.0, 3.1)


def rows_and_columns(count: int) -> tuple[int, int]:
    """Return the rows and columns of so many panels: as square as can be, wider rather than higher.

    Examples
    --------
    >>> [rows_and_columns(n) for n in (1, 2, 3, 6, 9)]
    [(1, 1), (1, 2), (1, 3), (2, 3), (3, 3)]
    """
    columns = count if count <= 3 else math.ceil(math.sqrt(count))
    return math.ceil(count / columns), columns


def panels_figsize(count: int) -> tuple[float, float]:
    """Return the size of a figure of so many panels in inches."""
    rows, columns = rows_and_columns(count)
    return columns * _PANEL_INCHES[0], rows * _PANEL_INCHES[1]


def panel_pictures(products: Sequence[Shown], look: Look) -> tuple[Picture, ...]:
    """Return the picture of each product; ``mask`` of the look is one for all, or a list with one for each."""
    if not products:
        raise InvalidRecord("there is nothing to draw: the sequence of products is empty")
    masks = look.mask if isinstance(look.mask, (list, tuple)) else [look.mask] * len(products)
    if len(masks) != len(products):
        raise InvalidRecord(
            f"mask= must be one mask or a list of one per product, got {len(masks)} for {len(products)}"
        )
    return tuple(picture(item, look._replace(mask=mask)) for item, mask in zip(products, masks, strict=True))


def draw_panels(figure: Any, pictures: Sequence[Picture]) -> NDArray[np.object_]:
    """Draw pictures into a figure and return their axes, in order; the target's name stands above all."""
    rows, columns = rows_and_columns(len(pictures))
    axes = np.empty(len(pictures), dtype=object)
    names = {p.target for p in pictures}
    above = names.pop() if len(names) == 1 else ""
    for place, item in enumerate(pictures):
        axes[place] = ax = new_axes(figure, item.grid, (rows, columns, place + 1))
        draw(ax, item, above=above)
        _tidy(ax, is_left=place % columns == 0, is_lowest=place + columns >= len(pictures))
    if above:
        figure.suptitle(above, fontsize=11.0, parse_math=False)
    return axes


def _tidy(ax: Any, *, is_left: bool, is_lowest: bool) -> None:
    """Name an axis on the outer panels only, and have few ticks."""
    if not hasattr(ax, "coords"):
        return
    for axis, is_outer in ((0, is_lowest), (1, is_left)):
        ax.coords[axis].set_ticks(number=4)
        if not is_outer:
            ax.coords[axis].set_axislabel(" ")
