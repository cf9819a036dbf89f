"""Builders of SAS commands: plain values in, a frozen :class:`Command` out; nothing runs and no disk is looked at.

Each builder carries the name of its task, and its options carry SAS's own names, so that SAS's pages describe them;
that is why some have more options than functions elsewhere. A builder writes the parameters that are mandatory,
differ from SAS's default or make the call readable; :func:`~xphotfn.commands.parameters.resolved` gives the complete
list. The ``sas`` engine runs these commands as they are; ``xphotfn.engines.native`` interprets the same records.
"""

import math
from collections.abc import Sequence
from typing import SupportsFloat, cast

from xphotfn.commands._writing import Pairs, build, number, output_file, plain_file, plain_files, yes
from xphotfn.commands.command import Command
from xphotfn.commands.image_grid import XCS_GRID, ImageGrid
from xphotfn.commands.preparation import atthkgen, cifbuild, odfingest, with_environment
from xphotfn.commands.selection import Symbol, columns, named_files, parse, walk
from xphotfn.commands.times import evselect_list, evselect_rate, flarecut, gtibuild, gtiwrite, tabgtigen
from xphotfn.errors import InvalidRecord, PlanError
from xphotfn.records.instrument import instrument as camera_of

__all__ = (
    "MOST_IMAGES",
    "atthkgen",
    "cifbuild",
    "clean_expression",
    "eexpmap",
    "emosaic",
    "evselect_image",
    "evselect_list",
    "evselect_rate",
    "flarecut",
    "gtibuild",
    "gtiwrite",
    "odfingest",
    "pi_channel",
    "selection_expression",
    "tabgtigen",
    "with_environment",
)

Band = tuple[int, int]

MOST_IMAGES = 999


def pi_channel(energy_ev: SupportsFloat) -> int:
    """Return the PI channel of an energy: EPIC PI channels are 1 eV wide.

    Parameters
    ----------
    energy_ev
        Energy in eV.

    Returns
    -------
    The nearest channel.

    Raises
    ------
    InvalidRecord
        For a negative energy, NaN or infinity.

    Notes
    -----
    Rounded, never cut: 1.001 keV is 1000.9999999999999 eV in floating point and channel 1001 (XGA takes 1000).
    An exact half goes to the even channel.

    References
    ----------
    XMM-Newton Data Files Handbook, EPIC event lists: PI in eV.

    Examples
    --------
    >>> 1.001 * 1000.0, pi_channel(1.001 * 1000.0)
    (1000.9999999999999, 1001)
    """
    energy = float(energy_ev)
    if not (math.isfinite(energy) and energy >= 0):
        raise InvalidRecord(f"energy_ev must be 0 or more, got {energy_ev!r}")
    return round(energy)


def _channels(band: Sequence[SupportsFloat]) -> Band:
    if len(band) != 2:
        raise InvalidRecord(f"a band is a pair (lo_ev, hi_ev), got {band!r}")
    lo, hi = pi_channel(band[0]), pi_channel(band[1])
    if lo >= hi:
        raise InvalidRecord(f"a band must run upwards in energy, got {lo} to {hi} eV")
    return lo, hi


def clean_expression(instrument: str) -> str:
    """Return the condition of good flags and patterns of a camera.

    Parameters
    ----------
    instrument
        ``pn``, ``mos1`` or ``mos2``.

    Returns
    -------
    The expression.

    Raises
    ------
    InvalidRecord
        For an unknown instrument.

    Examples
    --------
    >>> clean_expression("pn")
    '#XMMEA_EP && (PATTERN <= 4)'
    """
    return camera_of(instrument).good_events


def selection_expression(
    band_lo_ev: SupportsFloat, band_hi_ev: SupportsFloat, instrument: str, *, filtered: bool, extra: str = ""
) -> str:
    """Return the default selection of events for an image in a band.

    Parameters
    ----------
    band_lo_ev, band_hi_ev
        Band in eV, both channels included.
    instrument
        ``pn``, ``mos1`` or ``mos2``.
    filtered
        True where the event list has been cleaned already, so that its own record holds flags and patterns.
    extra
        A further condition, which must hold too. One that speaks of flags or patterns itself (FLAG, PATTERN, a macro
        such as ``#XMMEA_EM``) replaces SAS's; any other, such as good times or a region, is added to them.

    Returns
    -------
    The expression: the band alone for a filtered list, else also SAS's flags and patterns for the camera.

    Raises
    ------
    InvalidRecord
        For an unknown instrument or a band that does not run upwards.
    ExpressionError
        If ``extra`` cannot be read.

    References
    ----------
    SAS selectlib, nodes 14 and 24 (the language); XMM-Newton SAS Users Guide, EPIC images (flags and patterns).

    Examples
    --------
    >>> selection_expression(500, 2000, "pn", filtered=True)
    '(PI in [500:2000])'
    >>> selection_expression(500, 2000, "mos1", filtered=False)
    '#XMMEA_EM && (PATTERN <= 12) && (PI in [500:2000])'
    >>> selection_expression(500, 2000, "mos1", filtered=False, extra="gti(good.fits,TIME)")
    '#XMMEA_EM && (PATTERN <= 12) && (PI in [500:2000]) && (gti(good.fits,TIME))'
    >>> selection_expression(500, 2000, "mos1", filtered=False, extra="FLAG == 0")
    '(PI in [500:2000]) && (FLAG == 0)'
    """
    clean = clean_expression(instrument)
    lo, hi = _channels((band_lo_ev, band_hi_ev))
    parts = () if filtered or _names_quality(extra) else (clean,)
    more = (f"({extra.strip()})",) if extra.strip() else ()
    return " && ".join((*parts, f"(PI in [{lo}:{hi}])", *more))


def _names_quality(selection: str) -> bool:
    """Whether a selection speaks of flags or patterns, itself or by one of SAS's macros."""
    if not selection.strip():
        return False
    tree = parse(selection)
    macros = any(isinstance(node, Symbol) and node.name.startswith("XMMEA") for node in walk(tree))
    return macros or not {"FLAG", "PATTERN"}.isdisjoint(columns(tree))


def _axis_pairs(axis: str, interval: Band | None) -> Pairs:
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

    Returns
    -------
    The command.

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
    if not expression.strip() or "'" in expression or not (expression.isascii() and expression.isprintable()):
        raise InvalidRecord(f"evselect expression must be one line of plain text without ', got {expression!r}")
    kind = () if datatype is None else (("imagedatatype", datatype), ("withimagedatatype", "yes"))
    pairs = (("table", table), ("imageset", imageset), *_grid_pairs(grid), *kind, ("expression", expression))
    events = plain_file("evselect", "table", table)
    files = (plain_file("evselect", "expression", name) for name in named_files(expression))
    inputs = dict.fromkeys((events, *files))
    return build("evselect", pairs, inputs, (output_file("evselect", "imageset", imageset),))


def _bands(band: Band | Sequence[Band]) -> tuple[Band, ...]:
    several = len(band) > 0 and isinstance(band[0], (tuple, list))
    return tuple(_channels(one) for one in (cast(Sequence[Band], band) if several else (cast(Band, band),)))


def eexpmap(
    imageset: str,
    attitudeset: str | None,
    eventset: str | None,
    expimageset: str | Sequence[str],
    *,
    band: Band | Sequence[Band],
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

    Returns
    -------
    The command.

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
        *((("usefastpixelization", "yes"),) if usefastpixelization else ()),
        *((("usedlimap", "yes"),) if usedlimap else ()),
        *((("attrebin", rebin),) if rebin != "4" else ()),
        ("pimin", " ".join(str(lo) for lo, _ in bands)),
        ("pimax", " ".join(str(hi) for _, hi in bands)),
    )
    inputs = (plain_file("eexpmap", name, value) for name, value in read)
    return build("eexpmap", pairs, inputs, (output_file("eexpmap", "expimageset", name) for name in maps))


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

    Returns
    -------
    The command.

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
    other = () if sampling == "point" else (("sampling", sampling),)
    pairs = (("imagesets", " ".join(imagesets)), ("mosaicedset", mosaicedset), *exposure, *other)
    return build("emosaic", pairs, (*images, *maps), (output_file("emosaic", "mosaicedset", mosaicedset),))
