"""Builders of SAS commands: plain values in, a frozen :class:`Command` out; nothing runs and no disk is looked at.

Each builder carries the name of its task, and its options carry SAS's own names, so that SAS's pages describe them;
that is why some have more options than functions elsewhere. A builder writes the parameters that are mandatory,
differ from SAS's default or make the call readable; :func:`~xphotfn.commands.parameters.resolved` gives the complete
list. The ``sas`` engine runs these commands as they are; ``xphotfn.engines.native`` interprets the same records.
"""

from collections.abc import Sequence
from typing import cast

from xphotfn.commands.command import Command
from xphotfn.commands.default_selection import Channels, channels
from xphotfn.commands.image_grid import XCS_GRID, ImageGrid
from xphotfn.commands.task_rows import Parameter, Task, choice, row
from xphotfn.commands.writing import (
    Pairs,
    build,
    changed,
    files_of,
    number,
    one_line,
    output_file,
    plain_file,
    plain_files,
    yes,
)
from xphotfn.errors import InvalidRecord, PlanError

__all__ = (
    "EVSELECT",
    "MAP_TASKS",
    "MOST_IMAGES",
    "eexpmap",
    "emosaic",
    "evselect_image",
)

MOST_IMAGES = 999


def _axis(axis: str) -> tuple[Parameter, ...]:
    switch = f"with{axis}ranges"
    return (
        row(f"{axis}imagemin", "real", "1", switch),
        row(f"{axis}imagemax", "real", "640", switch),
        row(switch, "bool", "no", "withimageset"),
    )


EVSELECT = Task(
    name="evselect",
    parameters=(
        row("table", "file", role="input"),
        row("filteredset", "file", "filtered.fits", "withfilteredset", "output"),
        row("withfilteredset", "bool", "no", "keepfilteroutput"),
        row("keepfilteroutput", "bool", "no"),
        row("flagcolumn", "str", "EVFLAG"),
        row("flagbit", "int", "-1"),
        row("destruct", "bool", "yes"),
        row("dssblock", "str", ""),
        row("expression", "str", "true"),
        choice("filtertype", "expression", None, "expression", "dss"),
        row("cleandss", "bool", "no", "writedss"),
        row("updateexposure", "bool", "yes", "writedss"),
        row("filterexposure", "bool", "yes", "writedss"),
        row("writedss", "bool", "yes"),
        row("blockstocopy", "list", ""),
        row("attributestocopy", "list", ""),
        row("energycolumn", "str", "PHA"),
        row("zcolumn", "str", "WEIGHT", "withzcolumn"),
        row("zerrorcolumn", "str", "EWEIGHT", "withzerrorcolumn"),
        row("withzerrorcolumn", "bool", "no", "withzcolumn"),
        row("withzcolumn", "bool", "no"),
        row("ignorelegallimits", "bool", "no"),
        row("imageset", "file", "image.fits", "withimageset", "output"),
        row("xcolumn", "str", "RAWX", "withimageset"),
        row("ycolumn", "str", "RAWY", "withimageset"),
        row("ximagebinsize", "real", "1", "withimageset"),
        row("yimagebinsize", "real", "1", "withimageset"),
        row("squarepixels", "bool", "no", "withimageset"),
        row("ximagesize", "int", "600", "withimageset"),
        row("yimagesize", "int", "600", "withimageset"),
        choice("imagebinning", "imageSize", "withimageset", "imageSize", "binSize"),
        *_axis("x"),
        *_axis("y"),
        choice("imagedatatype", "Real64", "withimagedatatype", "Int8", "Int16", "Int32", "Real32", "Real64"),
        row("withimagedatatype", "bool", "no", "withimageset"),
        row("raimagecenter", "real", "0", "withcelestialcenter"),
        row("decimagecenter", "real", "0", "withcelestialcenter"),
        row("withcelestialcenter", "bool", "no", "withimageset"),
        row("withimageset", "bool", "no"),
        row("spectrumset", "file", "spectrum.fits", "withspectrumset", "output"),
        row("spectralbinsize", "real", "5", "withspectrumset"),
        row("specchannelmin", "int", "0", "withspecranges"),
        row("specchannelmax", "int", "11999", "withspecranges"),
        row("withspecranges", "bool", "no", "withspectrumset"),
        row("nonStandardSpec", "bool", "no", "withspectrumset"),
        row("withspectrumset", "bool", "no"),
        row("rateset", "file", "rate.fits", "withrateset", "output"),
        row("timecolumn", "str", "TIME", "withrateset"),
        row("timebinsize", "real", "1", "withrateset"),
        row("timemin", "real", "0", "withtimeranges"),
        row("timemax", "real", "1000", "withtimeranges"),
        row("withtimeranges", "bool", "no", "withrateset"),
        row("maketimecolumn", "bool", "no", "withrateset"),
        row("makeratecolumn", "bool", "no", "withrateset"),
        row("withrateset", "bool", "no"),
        row("histogramset", "file", "histo.fits", "withhistogramset", "output"),
        row("histogramcolumn", "str", "TIME", "withhistogramset"),
        row("histogrambinsize", "real", "1", "withhistogramset"),
        row("histogrammin", "real", "0", "withhistoranges"),
        row("histogrammax", "real", "1000", "withhistoranges"),
        row("withhistoranges", "bool", "no", "withhistogramset"),
        row("withhistogramset", "bool", "no"),
    ),
    builders=[
        "builders:evselect_image",
        "timing:evselect_list",
        "timing:evselect_rate",
    ],
    native="evselect.evselect_task:evselect",
    together="evselect.evselect_task:evselect_many",
    check="shape_problem",
)
_EEXPMAP = Task(
    name="eexpmap",
    parameters=(
        row("imageset", "file", role="input"),
        row("attitudeset", "file", role="input"),
        row("eventset", "file", role="input"),
        row("expimageset", "list", role="output"),
        row("withdetcoords", "bool", "no"),
        row("withvignetting", "bool", "yes"),
        row("usefastpixelization", "bool", "no"),
        row("usedlimap", "bool", "no"),
        row("attrebin", "real", "4"),
        row("pimin", "list", "2000"),
        row("pimax", "list"),  # SAS has a default that no source we could read states: it must be given here
    ),
    builders=["builders:eexpmap"],
    native="eexpmap.eexpmap_task:eexpmap",
    together="eexpmap.eexpmap_task:eexpmap_many",
    own_inputs=["imageset"],
    options=["sampling", "ccf"],
    check="grid_problem",
)
_EMOSAIC = Task(
    name="emosaic",
    parameters=(
        row("imagesets", "list", role="input"),
        row("exposuresets", "list", "expmap.ds", "withexposure", "input"),
        row("withexposure", "bool", "no"),
        row("mosaicedset", "file", role="output"),
        choice("sampling", "point", None, "point"),
        row("forceuniformkwds", "bool", "no"),  # the pipeline writes yes explicitly, so no is taken as the default
    ),
    builders=["builders:emosaic"],
    native="emosaic:emosaic",
)
MAP_TASKS = (EVSELECT, _EEXPMAP, _EMOSAIC)


def _axis_pairs(axis: str, interval: Channels | None) -> Pairs:
    if interval is None:
        return ((f"with{axis}ranges", "no"),)
    lo, hi = interval
    return ((f"{axis}imagemin", str(lo)), (f"{axis}imagemax", str(hi)), (f"with{axis}ranges", "yes"))


def _size_pairs(grid: ImageGrid) -> Pairs:
    """Return the size asked for, or with binSize the one that results: there SAS echoes it and does not use it."""
    rows, columns = grid.y_size, grid.x_size
    if grid.binning == "binSize":
        try:
            rows, columns = grid.shape
        except InvalidRecord:  # known to the event list only
            return ()
    return (("ximagesize", str(columns)), ("yimagesize", str(rows)))


def _grid_pairs(grid: ImageGrid) -> Pairs:
    by_bin = grid.binning == "binSize"
    return (
        ("xcolumn", grid.x_column),
        ("ycolumn", grid.y_column),
        *((("ximagebinsize", str(grid.x_bin)), ("yimagebinsize", str(grid.y_bin))) if by_bin else ()),
        ("squarepixels", yes(grid.square_pixels)),
        *_size_pairs(grid),
        ("imagebinning", grid.binning),
        *_axis_pairs("x", grid.x_range),
        *_axis_pairs("y", grid.y_range),
    )


def evselect_image(
    table: str, imageset: str, *, expression: str, grid: ImageGrid = XCS_GRID, datatype: str | None = "Int32"
) -> Command:
    """Return the command that makes an image from an event list.

    Parameters
    ----------
    table
        Event list: a plain file name, which may name a block (``evts.fits:EVENTS``).
    imageset
        Image to write.
    expression
        Selection of events; files that it names in ``gti()``, ``mask()`` or ``region()`` become inputs.
    grid
        Columns, ranges and bins of the image.
    datatype
        ``Int8``, ``Int16``, ``Int32``, ``Real32`` or ``Real64``; None leaves the choice to SAS.

    Raises
    ------
    InvalidRecord
        For a path, an unknown data type, or an expression that no FITS header can hold.
    ExpressionError
        If the expression cannot be read.

    References
    ----------
    SAS evselect, nodes 10 and 16.

    Examples
    --------
    >>> image = evselect_image("evts.fits", "img.fits", expression="(PI in [500:2000])")
    >>> image.argv[:3], image.argv[-1]
    (('evselect', 'table=evts.fits', 'imageset=img.fits'), 'expression=(PI in [500:2000])')
    >>> image.inputs, image.outputs
    (('evts.fits',), ('img.fits',))
    """
    kind = () if datatype is None else (("imagedatatype", datatype), ("withimagedatatype", "yes"))
    pairs = (
        ("table", table),
        ("imageset", imageset),
        *_grid_pairs(grid),
        *kind,
        ("expression", one_line("evselect", expression)),
    )
    inputs = files_of("evselect", table, expression)
    return build(EVSELECT, pairs, inputs, (output_file("evselect", "imageset", imageset),))


def _bands(band: Channels | Sequence[Channels]) -> tuple[Channels, ...]:
    several = len(band) > 0 and isinstance(band[0], (tuple, list))
    return tuple(channels(one) for one in (cast(Sequence[Channels], band) if several else (cast(Channels, band),)))


def eexpmap(
    imageset: str,
    attitudeset: str | None,
    eventset: str | None,
    expimageset: str | Sequence[str],
    *,
    band: Channels | Sequence[Channels],
    withvignetting: bool = True,
    withdetcoords: bool = False,
    attrebin: float = 4,
    usefastpixelization: bool = False,
    usedlimap: bool = False,
) -> Command:
    """Return the command that makes exposure maps on the grid of an image.

    Parameters
    ----------
    imageset
        The image that gives the grid; it must carry its data subspace, as evselect writes it.
    attitudeset
        Attitude history, from atthkgen or the pipeline. None where it is not at hand: the native engine then takes the
        pointing of the image's header; SAS cannot.
    eventset
        The event list: bad pixels, frame exposures and offsets are read from it. None where it is not at hand: the
        native engine then takes the good times of the image itself; SAS cannot.
    expimageset
        Exposure map to write, or one for each band.
    band
        ``(lo_ev, hi_ev)``, or several; the response is taken at the mean of each pair.
    withvignetting
        Include the vignetting of the telescope.
    withdetcoords
        The image is in detector coordinates.
    attrebin
        Changes of attitude below this are merged, in arcsec; 0.020626481 or less matches the image exactly.
    usefastpixelization
        Up to twice as fast, inaccurate in border pixels.
    usedlimap
        Use the map of discarded lines (pn).

    Raises
    ------
    InvalidRecord
        For a path, a bad band, or a number of maps that differs from the number of bands.

    References
    ----------
    SAS eexpmap, nodes 3 and 4.

    Examples
    --------
    >>> eexpmap("img.fits", "att.fits", "evts.fits", "exp.fits", band=(500, 2000)).argv[-2:]
    ('pimin=500', 'pimax=2000')
    """
    maps = (expimageset,) if isinstance(expimageset, str) else tuple(expimageset)
    bands = _bands(band)
    if len(maps) != len(bands):
        raise InvalidRecord(f"eexpmap expimageset needs one map for each band, got {len(maps)} for {len(bands)}")
    rebin = number("eexpmap", "attrebin", attrebin)
    given = (("imageset", imageset), ("attitudeset", attitudeset), ("eventset", eventset))
    read = [(name, value) for name, value in given if value is not None]
    pairs = (
        *((name, value or "none") for name, value in given),
        ("expimageset", " ".join(maps)),
        ("withdetcoords", yes(withdetcoords)),
        ("withvignetting", yes(withvignetting)),
        *changed("usefastpixelization", yes(usefastpixelization), "no"),
        *changed("usedlimap", yes(usedlimap), "no"),
        *changed("attrebin", rebin, "4"),
        ("pimin", " ".join(str(lo) for lo, _ in bands)),
        ("pimax", " ".join(str(hi) for _, hi in bands)),
    )
    inputs = (plain_file("eexpmap", name, value) for name, value in read)
    return build(_EEXPMAP, pairs, inputs, (output_file("eexpmap", "expimageset", name) for name in maps))


def emosaic(
    imagesets: Sequence[str],
    mosaicedset: str,
    *,
    exposuresets: Sequence[str] = (),
    withexposure: bool = False,
    sampling: str = "point",
) -> Command:
    """Return the command that adds images into one mosaic.

    Parameters
    ----------
    imagesets
        The images, at most 999; the first one sets the pixel size and the reference point.
    mosaicedset
        The mosaic to write.
    exposuresets
        Exposure maps, one for each image, in the same order.
    withexposure
        Divide the summed image by the summed exposure.
    sampling
        ``point``: the nearest pixel of each image.

    Raises
    ------
    PlanError
        For no image, or more than 999.
    InvalidRecord
        For a path, a repeated image, or exposure maps that do not match.

    Notes
    -----
    Images are summed, not averaged; the sum of exposure maps is this command on the maps themselves.

    References
    ----------
    SAS emosaic, nodes 3 and 8.

    Examples
    --------
    >>> emosaic(("a.fits", "b.fits"), "m.fits").argv
    ('emosaic', 'imagesets=a.fits b.fits', 'mosaicedset=m.fits')
    """
    images, maps = plain_files("emosaic", "imagesets", imagesets), plain_files("emosaic", "exposuresets", exposuresets)
    if not 1 <= len(images) <= MOST_IMAGES:
        raise PlanError(
            f"emosaic takes 1 to {MOST_IMAGES} images, got {len(images)}: make mosaics of parts, then a mosaic of those"
        )
    if bool(maps) != withexposure or (withexposure and len(maps) != len(images)):
        raise InvalidRecord(
            f"emosaic withexposure={yes(withexposure)} goes with one exposure map for each image if yes, none if no; "
            f"got {len(maps)} maps for {len(images)} images"
        )
    exposure = (("exposuresets", " ".join(exposuresets)), ("withexposure", "yes")) if withexposure else ()
    pairs = (
        ("imagesets", " ".join(imagesets)),
        ("mosaicedset", mosaicedset),
        *exposure,
        *changed("sampling", sampling, "point"),
    )
    return build(_EMOSAIC, pairs, (*images, *maps), (output_file("emosaic", "mosaicedset", mosaicedset),))
