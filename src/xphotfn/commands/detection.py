"""The commands that find sources, and join what was found in tiles: tasks of our own, of the native engine."""

from collections.abc import Mapping, Sequence
from typing import SupportsFloat

from xphotfn.commands._writing import build, number, output_file, plain_files, yes
from xphotfn.commands.command import Command
from xphotfn.errors import InvalidRecord

__all__ = ("xdetect", "xdetectadd", "xdetectjoin")


def xdetect(
    mapsets: Mapping[str, str],
    sourceset: str,
    *,
    regionset: str = "",
    backgroundsets: Sequence[str] = (),
    threshold: SupportsFloat = 10,
    extent: bool = True,
    tile: str = "",
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
        Least DET_ML.
    extent
        Whether extended sources are looked for.
    tile
        Name of the tile of the sky in which to search, with a margin around it; none to search all.

    Returns
    -------
    The command.

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
        *((("regionset", regions),) if regions else ()),
        *((("backgroundsets", " ".join(backgrounds)),) if backgrounds else ()),
        *((("threshold", least),) if least != "10" else ()),
        *(() if extent else (("extent", yes(extent)),)),
        *((("tile", tile),) if tile else ()),
    )
    written = (output_file("xdetect", "sourceset", sourceset), *((regions,) if regions else ()), *backgrounds)
    return build("xdetect", pairs, (*images, *maps), written)


def xdetectjoin(tilesets: Mapping[str, str], sourceset: str, *, regionset: str = "") -> Command:
    """Return the command that joins the lists of tiles.

    Parameters
    ----------
    tilesets
        The list of each tile, by the name of the tile: plain file names.
    sourceset
        List of sources to write, a FITS file.
    regionset
        DS9 regions to write, where a name is given.

    Returns
    -------
    The command.

    Raises
    ------
    InvalidRecord
        For a path, a name that comes twice, or no tile.

    Notes
    -----
    It is no task of SAS, and only the native engine executes it.

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
        *((("regionset", regions),) if regions else ()),
    )
    written = (output_file("xdetectjoin", "sourceset", sourceset), *((regions,) if regions else ()))
    return build("xdetectjoin", pairs, lists, written)


def xdetectadd(partsets: Sequence[str], backgroundset: str) -> Command:
    """Return the command that adds up the background maps of an image in its tiles.

    Parameters
    ----------
    partsets
        What each tile has of it, 0 outside its core: plain file names.
    backgroundset
        Background map to write.

    Returns
    -------
    The command, which as :func:`xdetectjoin` is of the native engine.

    Raises
    ------
    InvalidRecord
        For a path, a name that comes twice, or none.

    Examples
    --------
    >>> xdetectadd(["a.fits", "b.fits"], "bkg.fits").argv
    ('xdetectadd', 'partsets=a.fits b.fits', 'backgroundset=bkg.fits')
    """
    parts = plain_files("xdetectadd", "partsets", partsets)
    if not parts:
        raise InvalidRecord("xdetectadd takes one map or more, got none")
    output = output_file("xdetectadd", "backgroundset", backgroundset)
    return build("xdetectadd", (("partsets", " ".join(parts)), ("backgroundset", output)), parts, (output,))
