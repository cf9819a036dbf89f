"""Draw the rooms of the package and what each imports, from the imports themselves, into docs/pictures.

A room is a folder or a file of ``src/xphotfn``. It stands one floor above the highest room that it imports; an arrow
that another way of arrows says already is not drawn. Rooms that reach ``measure`` stand on the left, those that reach
``engines`` on the right, those that reach both, or neither, in the middle.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).resolve().parents[1]
PACKAGE = DOCS.parent / "src" / "xphotfn"
FACES = ("__init__", "__main__", "curried")
WINGS = ("measure", "engines")
WIDTH, HEIGHT, LEFT, RIGHT = 1.7, 0.52, -2.6, 2.6


class Room(NamedTuple):
    """A room: its name, how many files and lines it has, and the rooms that it imports."""

    name: str
    files: int
    lines: int
    uses: frozenset[str]


def room_of(path: Path) -> str:
    """Return the room of a file."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the dotted names that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "xphotfn":
            yield from (f"xphotfn.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@cache
def rooms() -> dict[str, Room]:
    """Return the rooms of the package by name, in the order of the alphabet."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    names = sorted({room_of(path) for path in texts} - set(FACES))
    found = {}
    for name in names:
        own = [text for path, text in texts.items() if room_of(path) == name]
        whole = {
            full.split(".")[1] for text in own for full in imported(ast.parse(text)) if full.startswith("xphotfn.")
        }
        uses = frozenset(whole & set(names) - {name})
        found[name] = Room(name, len(own), sum(text.count("\n") for text in own), uses)
    return found


def reached(name: str, found: Mapping[str, Room]) -> frozenset[str]:
    """Return all rooms that a room imports, directly or through others."""
    uses = found[name].uses
    return uses.union(*(reached(other, found) for other in uses))


def floors(found: Mapping[str, Room]) -> dict[str, int]:
    """Return the floor of each room, from 1."""
    known: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in known:
            known[name] = 1 + max(map(floor, found[name].uses), default=0)
        return known[name]

    return {name: floor(name) for name in found}


def arrows(found: Mapping[str, Room]) -> list[tuple[str, str]]:
    """Return the pairs of rooms between which an arrow is drawn."""
    return [
        (name, other)
        for name, room in found.items()
        for other in sorted(room.uses)
        if not any(other in reached(between, found) for between in room.uses - {other})
    ]


def side(name: str, found: Mapping[str, Room]) -> int:
    """Return -1 for a room of the left wing, 1 for one of the right, 0 for one of neither or both."""
    left, right = (name == wing or wing in reached(name, found) for wing in WINGS)
    return int(right) - int(left)


def places(found: Mapping[str, Room]) -> dict[str, tuple[float, float]]:
    """Return where the middle of each room is drawn."""
    level, where = floors(found), {}
    for height in sorted(set(level.values())):
        for which, centre in ((-1, LEFT), (0, 0.0), (1, RIGHT)):
            row = [name for name in found if level[name] == height and side(name, found) == which]
            for number, name in enumerate(row):
                where[name] = (centre + (number - (len(row) - 1) / 2) * (WIDTH + 0.35), float(height))
    return where


def draw(path: Path) -> None:
    """Draw the floor plan."""
    from matplotlib.figure import Figure

    found = rooms()
    where = places(found)
    figure = Figure(figsize=(9, 0.75 * max(y for _, y in where.values()) + 0.6), layout="constrained")
    axes = figure.add_subplot()
    for above, below in arrows(found):
        arrow(axes, where[above], where[below])
    for name, (x, y) in where.items():
        box(axes, found[name], x, y, ("#cfe3f7", "#eeeeee", "#f9e0c7")[1 + side(name, found)])
    axes.set(xlim=(-4.4, 4.4), ylim=(0.5, max(y for _, y in where.values()) + 0.5))
    axes.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})


def box(axes: Any, room: Room, x: float, y: float, colour: str) -> None:
    """Draw one room."""
    from matplotlib.patches import FancyBboxPatch

    corner = (x - WIDTH / 2 + 0.05, y - HEIGHT / 2 + 0.05)
    style = "round,pad=0.05,rounding_size=0.08"
    axes.add_patch(
        FancyBboxPatch(
            corner, WIDTH - 0.1, HEIGHT - 0.1, boxstyle=style, facecolor=colour, edgecolor="#444444", zorder=2
        )
    )
    axes.text(x, y + 0.1, room.name, ha="center", va="center", weight="bold", fontsize=10, zorder=3)
    files = "1 file" if room.files == 1 else f"{room.files} files"
    axes.text(x, y - 0.12, f"{files}, {room.lines} lines", ha="center", va="center", fontsize=7, zorder=3)


def arrow(axes: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow from a room to one that it imports; around what stands between the two."""
    bend = 0.22 if start[0] == end[0] and start[1] - end[1] > 1 else 0.0
    axes.annotate(
        "",
        xy=(end[0], end[1] + HEIGHT / 2),
        xytext=(start[0], start[1] - HEIGHT / 2),
        arrowprops={
            "arrowstyle": "-|>",
            "color": "#777777",
            "linewidth": 0.9,
            "shrinkA": 0,
            "shrinkB": 0,
            "connectionstyle": f"arc3,rad={bend}",
        },
        zorder=1,
    )


def setup(app: Any) -> dict[str, bool]:
    """Draw before the pages are read."""
    app.connect("builder-inited", lambda _: draw(DOCS / "pictures" / "floor_plan.png"))
    return {"parallel_read_safe": True}
