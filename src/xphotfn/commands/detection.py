"""The command that finds sources: a task of our own, which the native engine executes."""

from collections.abc import Sequence
from typing import SupportsFloat

from xphotfn.commands._writing import build, number, output_file, plain_files, yes
from xphotfn.commands.command import Command
from xphotfn.errors import InvalidRecord

__all__ = ("xdetect",)


def xdetect(
    imagesets: Sequence[str],
    exposuresets: Sequence[str],
    sourceset: str,
    *,
    regionset: str = "",
    backgroundsets: Sequence[str] = (),
    threshold: SupportsFloat = 10,
    extent: bool = True,
) -> Command:
    """Return the command that finds the sources of images, jointly.

    Parameters
    ----------
    imagesets, exposuresets
        Images of counts of one band, and their exposure maps in the same order: plain file names.
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
    >>> xdetect(["pn.fits"], ["pn_exp.fits"], "list.fits", threshold=6).argv[-1]
    'threshold=6'
    """
    images, maps = plain_files("xdetect", "imagesets", imagesets), plain_files("xdetect", "exposuresets", exposuresets)
    backgrounds = plain_files("xdetect", "backgroundsets", backgroundsets)
    if not images or len(maps) != len(images) or len(backgrounds) not in (0, len(images)):
        raise InvalidRecord(
            f"xdetect takes an exposure map, and a background map or none, for each image, got {len(images)} images, "
            f"{len(maps)} exposure maps and {len(backgrounds)} background maps"
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
    )
    written = (output_file("xdetect", "sourceset", sourceset), *((regions,) if regions else ()), *backgrounds)
    return build("xdetect", pairs, (*images, *maps), written)
