"""The commands that find sources, and join what was found in tiles: tasks of our own, of the native engine."""

from collections.abc import Mapping, Sequence
from typing import SupportsFloat

from xphotfn.commands.command import Command
from xphotfn.commands.task_rows import Task, row
from xphotfn.commands.writing import build, changed, number, output_file, plain_files, yes
from xphotfn.errors import InvalidRecord

__all__ = ("SOURCE_TASKS", "xdetect", "xdetectadd", "xdetectjoin")

_XDETECT = Task(
    name="xdetect",
    parameters=(
        row("imagesets", "list", role="input"),
        row("exposuresets", "list", role="input"),
        row("sourceset", "file", role="output"),
        row("withregions", "bool", "no"),
        row("regionset", "file", "sources.reg", "withregions", role="output"),
        row("withbackgrounds", "bool", "no"),
        row("backgroundsets", "list", "background.ds", "withbackgrounds", role="output"),
        row("threshold", "real", "10"),
        row("extent", "bool", "yes"),
        row("tile", "str", ""),
        row("psf", "str", "epic"),
    ),
    builders=["source_detection:xdetect"],
    owner="native",
    native="xdetect:xdetect",
)
_XDETECTJOIN = Task(
    name="xdetectjoin",
    parameters=(
        row("tilesets", "list", role="input"),
        row("tiles", "list"),
        row("sourceset", "file", role="output"),
        row("withregions", "bool", "no"),
        row("regionset", "file", "sources.reg", "withregions", role="output"),
    ),
    builders=["source_detection:xdetectjoin"],
    owner="native",
    native="xdetect:xdetectjoin",
)
_XDETECTADD = Task(
    name="xdetectadd",
    parameters=(row("partsets", "list", role="input"), row("backgroundset", "file", role="output")),
    builders=["source_detection:xdetectadd"],
    owner="native",
    native="xdetect:xdetectadd",
)
SOURCE_TASKS = (_XDETECT, _XDETECTJOIN, _XDETECTADD)


def xdetect(
    mapsets: Mapping[str, str],
    sourceset: str,
    *,
    regionset: str = "",
    backgroundsets: Sequence[str] = (),
    threshold: SupportsFloat = 10,
    extent: bool = True,
    tile: str = "",
    psf: str = "epic",
) -> Command:
    """Return the command that finds the sources of images, jointly.

    Parameters
    ----------
    mapsets
        The exposure map of each image of counts, of one band: plain file names.
    sourceset
        List of sources to write, a FITS file.
    regionset
        DS9 regions to write, where a name is given.
    backgroundsets
        Background maps to write, one for each image, where names are given.
    threshold
        Least likelihood.
    extent
        Whether extended sources are looked for.
    tile
        Name of the tile of the sky in which to search, with a margin around it; none to search all.
    psf
        The point spread function as text: ``epic``, or as
        :func:`xphotfn.science.detection.settings.spread_to_text` writes it.

    Raises
    ------
    InvalidRecord
        For a path, a name that comes twice, or numbers of names that do not fit.

    Notes
    -----
    It is no task of SAS, and only the native engine executes it.

    Examples
    --------
    >>> xdetect({"pn.fits": "pn_exp.fits"}, "list.fits", threshold=6).argv[-1]
    'threshold=6'
    """
    images = plain_files("xdetect", "imagesets", tuple(mapsets))
    maps = plain_files("xdetect", "exposuresets", tuple(mapsets.values()))
    backgrounds = plain_files("xdetect", "backgroundsets", backgroundsets)
    if not images or len(backgrounds) not in (0, len(images)):
        raise InvalidRecord(
            f"xdetect takes an image or more, with a background map for each or none, got {len(images)} images and "
            f"{len(backgrounds)} background maps"
        )
    regions = output_file("xdetect", "regionset", regionset) if regionset else ""
    least = number("xdetect", "threshold", threshold)
    pairs = (
        ("imagesets", " ".join(images)),
        ("exposuresets", " ".join(maps)),
        ("sourceset", sourceset),
        *changed("regionset", regions),
        *changed("backgroundsets", " ".join(backgrounds)),
        *changed("threshold", least, "10"),
        *changed("extent", yes(extent), "yes"),
        *changed("tile", tile),
        *changed("psf", psf, "epic"),
    )
    written = (output_file("xdetect", "sourceset", sourceset), *((regions,) if regions else ()), *backgrounds)
    return build(_XDETECT, pairs, (*images, *maps), written)


def xdetectjoin(tilesets: Mapping[str, str], sourceset: str, *, regionset: str = "") -> Command:
    """Return the command that joins the lists of tiles into one list (FITS) and, if named, DS9 regions.

    ``tilesets`` has the list of each tile by its name. Names are plain and differ, else InvalidRecord. It is no task of
    SAS, and only the native engine executes it.

    Examples
    --------
    >>> xdetectjoin({"t157-293": "a.fits", "t157-294": "b.fits"}, "list.fits").argv[:3]
    ('xdetectjoin', 'tilesets=a.fits b.fits', 'tiles=t157-293 t157-294')
    """
    lists = plain_files("xdetectjoin", "tilesets", tuple(tilesets.values()))
    if not lists:
        raise InvalidRecord("xdetectjoin takes the list of one tile or more, got none")
    regions = output_file("xdetectjoin", "regionset", regionset) if regionset else ""
    pairs = (
        ("tilesets", " ".join(lists)),
        ("tiles", " ".join(tilesets)),
        ("sourceset", sourceset),
        *changed("regionset", regions),
    )
    written = (output_file("xdetectjoin", "sourceset", sourceset), *((regions,) if regions else ()))
    return build(_XDETECTJOIN, pairs, lists, written)


def xdetectadd(partsets: Sequence[str], backgroundset: str) -> Command:
    """Return the command that adds up the background maps of an image in its tiles: each 0 outside the tile's core.

    Names are plain and differ, else InvalidRecord. As :func:`xdetectjoin`, it is of the native engine alone.

    Examples
    --------
    >>> xdetectadd(["a.fits", "b.fits"], "bkg.fits").argv
    ('xdetectadd', 'partsets=a.fits b.fits', 'backgroundset=bkg.fits')
    """
    parts = plain_files("xdetectadd", "partsets", partsets)
    if not parts:
        raise InvalidRecord("xdetectadd takes one map or more, got none")
    output = output_file("xdetectadd", "backgroundset", backgroundset)
    return build(_XDETECTADD, (("partsets", " ".join(parts)), ("backgroundset", output)), parts, (output,))
