"""Headers of what evselect makes: the primary header of an image, and the new cards of a filtered list."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from xphotfn.commands.command import Command
from xphotfn.commands.dss import Subspace, dss_cards, is_dss_card
from xphotfn.commands.xproc import to_card
from xphotfn.engines.native.evselect.binning import ImageAxis, wcs_cards
from xphotfn.engines.native.evselect.filter_blocks import place_block
from xphotfn.engines.native.evselect.flare_cards import KEPT_CARDS
from xphotfn.engines.native.versions import RULES
from xphotfn.epic.event_source import referenced_tables
from xphotfn.epic.events import Block, ColumnSpec, EventFile
from xphotfn.epic.exposure_times import ccd_intervals, frame_times, gti_block, live_time, on_times
from xphotfn.records.instrument import known_instrument
from xphotfn.typing import Header

__all__ = (
    "CREATOR",
    "copied_cards",
    "image_bytes",
    "image_header",
    "list_header",
    "new_tables",
    "selection_card",
    "step_version",
)

Card = tuple[str, Any, str]

CREATOR = f"evselect (xphotfn {RULES})"
_STRUCTURE = re.compile(r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|GROUPS|PCOUNT|GCOUNT|BSCALE|BZERO|END|CHECKSUM|DATASUM|INHERIT")
_MADE = re.compile(r"XPROC\d+|XDAL\d+|CREATOR|DATE|LONGSTRN|HISTORY|COMMENT|CONTINUE|XMMSEP|")
_ONE_CARD = 68  # letters of a text on one card
_SELECTION = "Filtering expression used by evselect"


def step_version() -> str:
    """Return what XPROC0 says after the number sign."""
    return f"({CREATOR.removeprefix('evselect (')}"


def copied_cards(header: Any) -> list[Any]:
    """Return the cards of a primary header that its products inherit, as they are written there."""
    return [c for c in header.cards if not _STRUCTURE.fullmatch(c.keyword) and not _MADE.fullmatch(c.keyword)]


def selection_card(text: str, is_all: bool, header: Header) -> list[Card]:
    """Return SLCTEXPR; a selection of everything leaves the earlier one."""
    chosen = str(header.get("SLCTEXPR", text)) if is_all else text
    room = len(_SELECTION) if len(chosen) > _ONE_CARD else max(0, _ONE_CARD - 3 - len(chosen))
    return [("SLCTEXPR", chosen, _SELECTION[:room].rstrip())]


def image_header(
    command: Command,
    file: EventFile,
    selection: tuple[str, bool],
    subspace: Subspace,
    image: tuple[NDArray[Any], tuple[ImageAxis, ImageAxis], tuple[ColumnSpec, ColumnSpec]],
    more: Sequence[Card] = (),
) -> Any:
    """Return the primary header of an image, in SAS's order; ``more`` are cards of our own, behind those of SAS.

    ``selection`` is the expression with its macros expanded, and whether it selects everything. SAS adds XDAL0, DATE
    and HISTORY, which name the machine and the time; they are left out, so that a product is the same wherever it is
    made.
    """
    array, axes, columns = image
    events = file.table.block.header
    xproc = to_card(command, version=step_version())
    made = [("XPROC0", xproc, ""), ("CREATOR", CREATOR, "name of code"), ("LONGSTRN", "OGIP 1.0", "")]
    cards = selection_card(*selection, events)
    cards += [
        ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
        ("HDUCLAS1", "IMAGE", "File contains an Image"),
        ("HDUCLAS2", "TOTAL", "Gross Image"),
        ("HDUVERS1", "1.1.0", "Version of format"),
    ]
    cards += wcs_cards(axes, columns, events)
    cards += frame_times(file.blocks)
    if command.parameter("writedss") == "yes":
        cards += dss_cards(subspace)
        if command.parameter("updateexposure") == "yes":
            cards += _exposure_cards(subspace, events)
    cards += more
    separator = ("XMMSEP", len(cards), f"{len(cards)} primary image keywords follow")
    header = fits.Header()
    for card in [*_structure_cards(array), *made, *copied_cards(file.blocks[0].header), separator, *cards]:
        header.append(card, end=True)
    return header


def _structure_cards(array: NDArray[Any]) -> list[Card]:
    bits = array.dtype.itemsize * (-8 if array.dtype.kind == "f" else 8)
    return [
        ("SIMPLE", True, "file does conform to FITS standard"),
        ("BITPIX", bits, "number of bits per data pixel"),
        ("NAXIS", 2, "number of data axes"),
        ("NAXIS1", array.shape[1], "length of data axis 1"),
        ("NAXIS2", array.shape[0], "length of data axis 2"),
        ("EXTEND", True, "FITS dataset may contain extensions"),
    ]


def _exposure_cards(subspace: Subspace, events: Any) -> list[Card]:
    cards, longest = on_times(subspace, events)
    return cards if longest is None else [*cards, ("EXPOSURE", longest, "max of ONTIMEnn values")]


def new_tables(subspace: Subspace, existing: Mapping[str, Block], old: Subspace) -> Mapping[str, bytes]:
    """Return the blocks that a subspace refers to: those of the list as they are, new ones made.

    A table that the old subspace did not refer to is new, even where the list has a block of its name.
    """
    before = set(referenced_tables(old))
    found: dict[str, bytes] = {}
    for component in subspace:
        ccds = [int(f.value) for f in component if f.axis == "CCDNR" and f.value.isdigit()]
        for f in component:
            if not f.table or f.table in found:
                continue
            block = existing.get(f.table)
            same = any(f.table == g.table and f.intervals == g.intervals for c in old for g in c)
            if f.table in before and same and block is not None and block.data is not None:
                found[f.table] = block.raw_header + block.data + b"\x00" * (-len(block.data) % 2880)
            elif f.intervals is not None:
                found[f.table] = gti_block(f.table, ccds[0] if ccds else None, f.intervals)
            elif f.place is not None and f.columns is not None:
                found[f.table] = place_block(f.table, f.place, f.columns)
    return found


def list_header(
    command: Command, file: EventFile, selection: tuple[str, bool], subspace: Subspace, more: Sequence[Card] = ()
) -> tuple[Any, Any]:
    """Return the primary header and the EVENTS header of a filtered list, the latter with NAXIS2 to be set."""
    primary = file.blocks[0].header.copy()
    for name in [n for n in dict.fromkeys(primary) if re.fullmatch(r"XPROC\d+|XDAL\d+|DATE|CHECKSUM|DATASUM", n)]:
        primary.remove(name, remove_all=True)
    primary.set("XPROC0", to_card(command, version=step_version()), after="EXTEND" if "EXTEND" in primary else None)
    primary.set("CREATOR", CREATOR, "name of code")
    events = file.table.block.header.copy()
    for name in ("CHECKSUM", "DATASUM", *KEPT_CARDS):
        events.remove(name, ignore_missing=True)
    for key, value, comment in (*selection_card(*selection, events), *more):
        events.set(key, value, comment)
    if command.parameter("writedss") == "yes":
        _replace_dss(events, subspace)
        if command.parameter("updateexposure") == "yes":
            for key, value, comment in _list_exposure(file, subspace):
                events.set(key, value, comment)
    return primary, events


def _replace_dss(header: Any, subspace: Subspace) -> None:
    place = header.index("DSTYP1") if "DSTYP1" in header else len(header)
    for name in [n for n in dict.fromkeys(header) if is_dss_card(n)]:
        header.remove(name)
    for offset, card in enumerate(dss_cards(subspace)):
        header.insert(place + offset, card)


def _list_exposure(file: EventFile, subspace: Subspace) -> list[Card]:
    """Return the new ONTIMEnn, ONTIME, LIVETInn and LIVETIME of a filtered list."""
    path, header = file.table.path, file.table.block.header
    on = {ccd: sum(b - a for a, b in times) for ccd, times in ccd_intervals(subspace).items() if ccd is not None}
    live = {}
    for ccd, times in ccd_intervals(subspace).items():
        blocks = [b for b in file.blocks if ccd is not None and b.name == f"EXPOSU{ccd:02d}"]
        seconds = live_time(blocks[0], path, times) if blocks else None
        if ccd is not None and seconds is not None:
            live[ccd] = seconds
    camera = known_instrument(str(header.get("INSTRUME", "")))
    central = 1 if camera is None else camera.central_ccd
    cards: list[Card] = [(f"ONTIME{n:02d}", float(v), "Sum of GTIs for a particular CCD") for n, v in on.items()]
    if on:
        cards.append(("ONTIME", float(on.get(central, max(on.values()))), "Sum of GTIs for central CCD"))
    cards += [(f"LIVETI{n:02d}", v, "Live time for a particular CCD") for n, v in live.items()]
    if live:
        cards.append(("LIVETIME", live.get(central, max(live.values())), "Live time for the central CCD"))
    return cards


def image_bytes(header: Any, array: NDArray[Any]) -> bytes:
    """Return a whole primary image as FITS blocks."""
    text = header.tostring(endcard=True, padding=True).encode("ascii")
    data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(">")).tobytes()
    return bytes(text + data + b"\x00" * (-len(data) % 2880))
