"""The energies of an event list, an image or an exposure map: what its header and its name say of PI.

One owner: the selection (SLCTEXPR, else the expression of XPROC0) and the data subspace (DSTYPn, DSVALn) are read by
the parser of selection expressions, the command of an exposure map by that of commands, names by that of the pipeline.
"""

from functools import lru_cache
from pathlib import PurePosixPath

from xphotfn.commands.dss import RANGE, Component, DssFilter, ranges_of_text, read_dss
from xphotfn.commands.pps_names import parse_pps_name
from xphotfn.commands.selected_energies import channels, energies_of_expression
from xphotfn.commands.xproc import card_parameters
from xphotfn.errors import ExpressionError, InvalidFile
from xphotfn.io.cards import Cards, card
from xphotfn.records.band import Band
from xphotfn.records.energies import ALL_PI, NO_PI, Energies, EnergyKind, PiRanges
from xphotfn.typing import Header

__all__ = ("band_of_exposure_map", "band_of_image", "band_of_product", "energies_of")

_UNREAD = Energies(everywhere=NO_PI, unread=True)
_SUFFIXES = (".gz", ".fits", ".fit", ".ftz", ".fts")


def energies_of(header: Header) -> Energies:
    """Return the energies of the events in an event list or an image, by the header of its table or image.

    What passes both the selection (SLCTEXPR, else the expression of the command in XPROC0) and the data subspace: the
    first says all that the last selection asked for, the second also what came before it. SAS 19 to 22 lose the upper
    bound in the data subspace of some images; the selection has it.

    Examples
    --------
    >>> from astropy.io import fits
    >>> str(energies_of(fits.Header({"SLCTEXPR": "PI in [200:12000]", "DSTYP1": "PI", "DSVAL1": "500:10000"})))
    '0.5-10 keV'
    """
    said = _of_cards(header.selection()) if isinstance(header, Cards) else _of_selection(header)
    return _selected(header) & said[1] if said[0] is None else said[0]


@lru_cache(maxsize=4096)  # the files of a tree share a few selections
def _of_cards(text: str) -> tuple[Energies | None, Energies]:
    return _of_selection(Cards(text.encode("latin-1")))


def _of_selection(header: Header) -> tuple[Energies | None, Energies]:
    """Return the energies of selection and subspace, None where SLCTEXPR does not say, and those of the subspace."""
    selected, subspace = _of_text(str(card(header, "SLCTEXPR", ""))), _subspace(header)
    return (None if selected is None else selected & subspace), subspace


def _selected(header: Header) -> Energies:
    """Return what the command of a file whose SLCTEXPR is absent or cannot be read let through.

    A command that selects all (``true``) keeps the selection of its list, so it says nothing where that cannot be read.
    """
    said = str(card(header, "SLCTEXPR", ""))
    command = dict(_command(header)).get("expression", "")
    found = _of_text("" if said and command.lower() == "true" else command)
    return found if found is not None else _UNREAD if said or command else Energies()


def _of_text(text: str) -> Energies | None:
    """Return the energies of an expression; None where there is none or it cannot be read."""
    try:
        return energies_of_expression(text) if text else None
    except ExpressionError:
        return None


def _command(header: Header, task: str = "evselect") -> tuple[tuple[str, str], ...]:
    """Return the parameters of the command in XPROC0; none where it is of another task or cannot be read."""
    try:
        found, parameters = card_parameters(str(card(header, "XPROC0", "")))
    except ExpressionError:
        return ()
    return parameters if found == task else ()


def _subspace(header: Header) -> Energies:
    """Return the energies of the data subspace, in which each component (each CCD) may have its own."""
    components = [_of_component(component) for component in read_dss(header, lambda _: None)]
    if not components:
        return Energies()
    everywhere, somewhere = ALL_PI, NO_PI
    for each in components:
        everywhere &= each
        somewhere |= each
    return Energies(everywhere=everywhere, somewhere=somewhere)


def _of_component(component: Component) -> PiRanges:
    result = ALL_PI
    for item in component:
        if item.axis.upper() == "PI" and item.kind == RANGE:
            result &= _of_filter(item)
    return result


def _of_filter(item: DssFilter) -> PiRanges:
    ranges = ranges_of_text(item.value)
    return ALL_PI if ranges is None else channels(ranges)


def band_of_image(header: Header) -> Band | None:
    """Return the energy band of an image, or None where its energies are not one band.

    It has the channels that were counted: ``PI > 499`` is 500 and more. :attr:`Band.nominal` is what it is called.

    Examples
    --------
    >>> from astropy.io import fits
    >>> band_of_image(fits.Header({"SLCTEXPR": "(PATTERN <= 12) && PI in [500:2000]"}))
    Band(lo_ev=500, hi_ev=2000)
    """
    return energies_of(header).band


def band_of_exposure_map(header: Header, name: str = "") -> Band | None:
    """Return the energy band of an exposure map, or None where nothing says which.

    The command (XPROC0) says what eexpmap used: the n-th map of ``expimageset``, found by its ``name``, has the n-th
    ``pimin`` and ``pimax``. Without it the selection of the image counts that the map was made for, whose keywords
    eexpmap copies.

    Examples
    --------
    >>> from astropy.io import fits
    >>> command = "eexpmap imageset=i.fits expimageset='a.fits b.fits' pimin='200 500' pimax='500 1000' # (eexpmap-4.8)"
    >>> band_of_exposure_map(fits.Header({"XPROC0": command}), "b.fits.gz")
    Band(lo_ev=500, hi_ev=1000)
    """
    said = dict(_command(header, "eexpmap"))
    limits = [_numbers(said.get(end, "")) for end in ("pimin", "pimax")]
    if not limits[0] or not limits[1]:
        return band_of_image(header)
    bands = list(zip(*limits, strict=False))
    names = [_stem(word) for word in said.get("expimageset", "").replace('"', " ").split()]
    if len(bands) == 1:
        place: int | None = 0
    else:
        place = names.index(_stem(name)) if names.count(_stem(name)) == 1 and len(names) == len(bands) else None
    if place is None or len(limits[0]) != len(limits[1]):
        return None
    lo, hi = bands[place]
    return Band(lo_ev=lo, hi_ev=hi) if 0 <= lo < hi else None


def _numbers(text: str) -> list[int]:
    words = text.replace('"', " ").split()
    return [round(float(word)) for word in words] if all(w.replace(".", "", 1).isdigit() for w in words) else []


def _stem(name: str) -> str:
    """Return the name of a file without folders and endings, which change when it is packed."""
    stem = PurePosixPath(name).name.partition(":")[0]
    for suffix in _SUFFIXES:
        if stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
    return stem


def band_of_product(header: Header, path: str, *, kind: str) -> Band:
    """Return the energy band of an image or exposure map, from its header and the name that the pipeline gave it.

    The numbers of the pipeline's bands changed with 2XMM, so a name alone decides only where both mean the same
    (1: 0.2-0.5 keV, 8: 0.2-12 keV). InvalidFile if its energies are not one band, nothing says them, or header and name
    contradict each other.

    Examples
    --------
    >>> from astropy.io import fits
    >>> header = fits.Header({"SLCTEXPR": "PI in (1000:2000]"})
    >>> band_of_product(header, "P0207300201M1S001IMAGE_3000.FTZ", kind="image").nominal
    Band(lo_ev=1000, hi_ev=2000)
    """
    pps = parse_pps_name(PurePosixPath(path).name)
    called = pps.bands if pps is not None else ()
    found = band_of_exposure_map(header, path) if kind == "exposure_map" else band_of_image(header)
    names = " or ".join(map(str, called))
    if found is None and len(called) == 1 and (kind == "exposure_map" or energies_of(header).kind == "all"):
        return called[0]
    if found is None:
        also = f"; the number of the band in its name means {names}" if called else ""
        raise InvalidFile(path, f"{_without_band(header, kind)}{also}")
    if called and found.nominal not in called:
        raise InvalidFile(path, f"contradicts itself: its header says {found}, the band in its name means {names}")
    return found


def _without_band(header: Header, kind: str) -> str:
    """Say why the header of a product names no band."""
    if kind == "exposure_map" and dict(_command(header, "eexpmap")).get("pimin"):
        return (
            "names no energy band: its command made maps of several bands and its file has none of their names; "
            "give it the name of expimageset that is its own, or the option layout"
        )
    energies = energies_of(header)
    return _WITHOUT_BAND[energies.kind].format(energies)


_WITHOUT_BAND: dict[EnergyKind, str] = {
    "all": "names no energy band: neither SLCTEXPR, DSS nor XPROC0 has PI; give the option layout",
    "open": "has the energies {}, no band with two ends; make an image of the band",
    "several": "has the energies {}, which are no one band; make an image of each band",
    "narrow": "has the energies {}, which no band of counts is; limits of PI are in eV",
    "none": "has conditions on PI that contradict each other (SLCTEXPR, DSS), so no energies; give the option layout",
    "uneven": "has {}: it is no image of one band; make one of the same band for all CCDs",
    "unread": "has {}: its energies are unknown; give the option layout",
}
