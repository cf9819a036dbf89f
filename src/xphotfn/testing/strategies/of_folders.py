"""Folders as users have them: lists, images and exposure maps of one observation that were cut, copied or modelled."""

from pathlib import Path
from typing import Any, final

import numpy as np
from attrs import field, frozen
from hypothesis import strategies as st
from numpy.typing import NDArray

from xphotfn.records.band import Band
from xphotfn.records.fields import items
from xphotfn.records.grid import PixelGrid

__all__ = ("CIRCLE", "HARD", "SOFT", "Folder", "FolderFile", "events_of", "folders", "grid_of_folder", "image_of")

OBS_ID, RA, DEC = "0999990101", 52.3, -33.7
SOFT, HARD = Band(lo_ev=500, hi_ev=2000), Band(lo_ev=3000, hi_ev=10000)
GRIDS = {"coarse": 800, "fine": 400}
CIRCLE = (25921.0, 25921.0, 4000.0)
_SPAN = (19521, 32320)
_CLEAN = "(FLAG & 0x766ba000) == 0 && PATTERN <= 12"
_BANDS = {
    "soft": "PI in [500:2000]",
    "half-open": "PI >= 500 && PI < 2000",
    "hole": "PI in [500:2000] && !(PI in [900:1100])",
    "hard": "PI in [3000:10000]",
    "open": "PI > 150",
}
_CUTS = {
    "": "",
    "place": "circle(25921,25921,4000,X,Y)",
    "corners": "!circle(25921,25921,6000,X,Y) && (FLAG & 0x766aa000) == 0",
    "energy": "PI in [3000:10000]",
    "time": "TIME in [0:500]",
}


@final
@frozen(kw_only=True)
class FolderFile:
    """One file of a folder.

    Parameters
    ----------
    name
        Its name, which says nothing of what it holds.
    kind
        events, image or exposure_map.
    exposure_id
        S001 or U002, of MOS1.
    band
        Of an image or exposure map: soft, half-open, hole, hard, open.
    cut
        What its selection cuts beside: place, corners, energy, time, or empty.
    grid
        coarse or fine.
    trap
        model (real numbers with the cards of an image), out-of-time, no-subspace (cut in places that only its selection
        names), or empty.
    """

    name: str
    kind: str
    exposure_id: str
    band: str = ""
    cut: str = ""
    grid: str = "coarse"
    trap: str = ""

    def _repr_html_(self) -> str:
        return f"<code>{self!r}</code>"


@final
@frozen(kw_only=True)
class Folder:
    """The files of one observation, to be written with :meth:`write`.

    Parameters
    ----------
    files
        The files.
    """

    files: tuple[FolderFile, ...] = field(converter=items)

    def write(self, root: str | Path) -> None:
        """Write the files below a folder."""
        for file in self.files:
            _write(file, Path(root))

    def _repr_html_(self) -> str:
        return f"<code>{self!r}</code>"


def events_of(exposure_id: str) -> NDArray[Any]:
    """Return the events of an exposure, the same at each call: TIME, X, Y, PI, FLAG, PATTERN, CCDNR."""
    rng = np.random.default_rng(int(exposure_id[1:]))
    count = 400
    columns = {
        "TIME": ("f8", np.sort(rng.uniform(0, 1000, count))),
        "X": ("i4", rng.integers(*_SPAN, count)),
        "Y": ("i4", rng.integers(*_SPAN, count)),
        "PI": ("i2", rng.integers(200, 11000, count)),
        "FLAG": ("i4", np.zeros(count)),
        "PATTERN": ("u1", rng.integers(0, 16, count)),
        "CCDNR": ("u1", np.ones(count)),
    }
    result = np.zeros(count, dtype=[(name, kind) for name, (kind, _) in columns.items()])
    for name, (_, values) in columns.items():
        result[name] = values
    outside = np.hypot(result["X"] - CIRCLE[0], result["Y"] - CIRCLE[1]) > 6000
    result["FLAG"] = np.where(outside, 0x10000, 0)
    return result


@st.composite
def folders(draw: st.DrawFn) -> Folder:
    """Return a strategy for folders of one observation: real files among files that were cut, copied or modelled.

    Names say nothing. Of each exposure (one or two) there may be a raw list, lists that were cut in energy, place, time
    or to the corners, out-of-time lists, images of several bands and grids, whole or cut, models with the cards of an
    image, exposure maps, and copies of each.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(folders())
    ... def test_names_are_told_apart(folder):
    ...     assert len({file.name for file in folder.files}) == len(folder.files)
    >>> test_names_are_told_apart()
    """
    exposures = st.sampled_from(draw(st.sampled_from((("S001",), ("S001", "U002")))))
    trap = st.sampled_from(("", "", "", "", "model", "out-of-time", "no-subspace"))
    grids = st.sampled_from(("coarse", "coarse", "fine"))
    drawn = draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("events"), exposures, st.just(""), st.sampled_from(tuple(_CUTS)), st.just("coarse"),
                          st.sampled_from(("", "", "", "out-of-time", "no-subspace"))),
                st.tuples(st.just("image"), exposures, st.sampled_from(("soft", "soft", *_BANDS)),
                          st.sampled_from(("", "place", "place", "time")), grids, trap),
                st.tuples(st.just("exposure_map"), exposures, st.sampled_from(("soft", "soft", "hard")), st.just(""),
                          grids, st.just("")),
            ),
            min_size=1, max_size=8,
        )
    )  # fmt: skip
    images = [said for said in drawn if said[0] == "image"] if draw(st.booleans()) else []
    drawn += [("exposure_map", e, "hard" if b == "hard" else "soft", "", g, "") for _, e, b, _, g, _ in images]
    names = draw(st.permutations([f"{'x' * (number % 5)}{number}.fits" for number in range(len(drawn))]))
    keys = ("kind", "exposure_id", "band", "cut", "grid", "trap")
    pairs = zip(names, drawn, strict=True)
    return Folder(files=[FolderFile(name=name, **dict(zip(keys, said, strict=True))) for name, said in pairs])


def _selected(file: FolderFile) -> NDArray[Any]:
    """Return the events that the selection of a file keeps, by numpy and not by the interpreter that is tested."""
    events = events_of(file.exposure_id)
    x, y, pi = events["X"], events["Y"], events["PI"].astype(int)
    radius = np.hypot(x - CIRCLE[0], y - CIRCLE[1])
    keep = np.ones(len(events), dtype=bool)
    if file.kind == "image":
        keep &= (events["FLAG"] == 0) & (events["PATTERN"] <= 12)
        keep &= {
            "soft": (pi >= 500) & (pi <= 2000),
            "half-open": (pi >= 500) & (pi < 2000),
            "hole": (pi >= 500) & (pi <= 2000) & ~((pi >= 900) & (pi <= 1100)),
            "hard": (pi >= 3000) & (pi <= 10000),
            "open": pi > 150,
        }[file.band]
    keep &= {
        "": np.ones(len(events), dtype=bool),
        "place": radius < CIRCLE[2],
        "corners": radius > 6000,
        "energy": (pi >= 3000) & (pi <= 10000),
        "time": events["TIME"] <= 500,
    }[file.cut]
    return np.asarray(events[keep])


def _expression(file: FolderFile) -> str:
    parts = [_CUTS[file.cut]]
    if file.kind == "image":
        parts = [_CLEAN, _BANDS[file.band], *parts]
    return " && ".join(part for part in parts if part)


def _cards(file: FolderFile) -> dict[str, Any]:
    made_from = "list-oot.fits" if file.trap == "out-of-time" else "list.fits"
    cards = {
        "OBS_ID": OBS_ID, "INSTRUME": "EMOS1", "EXPIDSTR": file.exposure_id, "FILTER": "Thin1", "DATAMODE": "IMAGING",
        "SUBMODE": "PrimeFullWindow", "RA_PNT": RA, "DEC_PNT": DEC, "EXPOSURE": 1000.0,
        "DATE-OBS": "2005-01-01T00:00:00",
        "XPROC0": f"evselect table={made_from} # (evselect-3.62)",
    }  # fmt: skip
    cards |= {"SLCTEXPR": text} if (text := _expression(file)) else {}
    subspace = {"DSTYP1": "POS(X,Y)", "DSVAL1": "TABLE", "DSREF1": ":REG00101"}
    return cards | (subspace if _has_table(file) else {})


def _has_table(file: FolderFile) -> bool:
    return file.cut == "place" and file.trap != "no-subspace"


def _tables(file: FolderFile) -> list[Any]:
    """Return the table of the circle to which the data subspace of a cut file refers."""
    from astropy.io import fits

    values = {"SHAPE": ("16A", ["CIRCLE"]), "X": ("E", [CIRCLE[0]]), "Y": ("E", [CIRCLE[1]]), "R": ("E", [CIRCLE[2]])}
    columns = [fits.Column(name, kind, array=array) for name, (kind, array) in values.items()]
    header = fits.Header({"HDUCLAS1": "REGION", "MTYPE1": "pos", "MFORM1": "X,Y"})
    return [fits.BinTableHDU.from_columns(columns, header=header, name="REG00101")] if _has_table(file) else []


def _write(file: FolderFile, root: Path) -> None:
    from astropy.io import fits

    header = fits.Header(list(_cards(file).items()))
    if file.kind == "events":
        sky = {"REFXCRVL": RA, "REFYCRVL": DEC, "REFXCRPX": 25921.0, "REFYCRPX": 25921.0, "REFXCDLT": -0.05 / 3600,
               "REFYCDLT": 0.05 / 3600, "REFXCTYP": "RA---TAN", "REFYCTYP": "DEC--TAN"}  # fmt: skip
        header.update(sky)
        table = fits.BinTableHDU(_selected(file), header=header, name="EVENTS")
        fits.HDUList([fits.PrimaryHDU(header=header), table, *_tables(file)]).writeto(root / file.name)
        return
    grid = grid_of_folder(file.grid)
    header.update({
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": grid.crpix1, "CRPIX2": grid.crpix2, "CRVAL1": RA,
        "CRVAL2": DEC, "CDELT1": grid.cdelt1_deg, "CDELT2": grid.cdelt2_deg, "CTYPE1L": "X", "CTYPE2L": "Y",
        "CRPIX1L": 1.0, "CRPIX2L": 1.0, "CRVAL1L": grid.x0_sky, "CRVAL2L": grid.y0_sky, "CDELT1L": grid.dx_sky,
        "CDELT2L": grid.dy_sky, "HDUCLAS1": "IMAGE",
    })  # fmt: skip
    if file.kind == "exposure_map":
        band = HARD if file.band == "hard" else SOFT
        header["CONTENT"] = "EPIC EXPOSURE MAP"
        header["XPROC0"] = f"eexpmap pimin={band.lo_ev} pimax={band.hi_ev} # (eexpmap-4.8)"
        header.remove("SLCTEXPR", ignore_missing=True)
        fits.PrimaryHDU(np.full(grid.shape, 1000.0, dtype=np.float32), header).writeto(root / file.name)
        return
    counts = image_of(_selected(file), grid)
    data = (counts * 0.5 + 0.25).astype(np.float32) if file.trap == "model" else counts.astype(np.int32)
    fits.HDUList([fits.PrimaryHDU(data, header), *_tables(file)]).writeto(root / file.name)


def grid_of_folder(name: str) -> PixelGrid:
    """Return one of the two grids of the images of a folder."""
    return PixelGrid.from_sky_range(RA, DEC, low=19521, high=32320, bin_size=GRIDS[name])


def image_of(events: NDArray[Any], grid: PixelGrid) -> NDArray[np.int64]:
    """Return events binned on a grid."""
    step, edges = grid.dx_sky, []
    for first, count in ((grid.y0_sky, grid.ny), (grid.x0_sky, grid.nx)):
        edges.append((first or 0.0) + (np.arange(count + 1) - 0.5) * (step or 1.0))
    found, _, _ = np.histogram2d(events["Y"], events["X"], bins=edges)
    return np.asarray(found, dtype=np.int64)
