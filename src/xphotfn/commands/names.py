"""Names of the files that xphotfn makes; those that the XMM-Newton pipeline made are read in ``pps_names``.

Our names say what a file is: ``0404910601_mos1_S001_500-2000_img.fits``. Every part is checked and parts are joined by
a character that none of them can hold, so different products never share a name and a name can be read back.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import final

from attrs import field, frozen

from xphotfn.commands.pps_names import PpsName, matching, parse_pps_name
from xphotfn.errors import InvalidRecord
from xphotfn.records.band import Band
from xphotfn.records.fields import one_of, strings, valid_obs_id, whole
from xphotfn.records.instrument import CAMERAS

__all__ = (
    "MosaicName",
    "PpsName",
    "ProductName",
    "attitude_name",
    "ccf_name",
    "mosaic_name",
    "parse_mosaic_name",
    "parse_pps_name",
    "parse_product_name",
    "product_name",
    "source_list_name",
)

_KINDS = ("img", "expmap", "expmap_novig", "evts", "bkgmap")
_LIST_KINDS = ("srclist.fits", "sources.reg")
_MOSAIC_KINDS = ("img", "expmap")

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9+\-]|\.(?!\.)){0,47}"
_BAND = r"(0|[1-9][0-9]{0,8})-([1-9][0-9]{0,8})"
_PRODUCT = re.compile(rf"([0-9]{{10}})_({'|'.join(CAMERAS)})_([SUX][0-9]{{3}})_{_BAND}_({'|'.join(_KINDS)})\.fits")
_MOSAIC = re.compile(rf"({_LABEL})(?:_([0-9a-f]{{16}}))?_{_BAND}_mosaic_({'|'.join(_MOSAIC_KINDS)})\.fits")


def _named(lo_ev: int, hi_ev: int) -> Band:
    """Return a band that a name can hold."""
    band = Band(lo_ev=lo_ev, hi_ev=hi_ev)
    if band.hi_ev >= 10**9:
        raise InvalidRecord(
            f"a band that runs to {band.hi_ev} eV cannot stand in the name of a file: give one below 1e9"
        )
    return band


@final
@frozen(kw_only=True)
class ProductName:
    """What the name of a product of one exposure says.

    Parameters
    ----------
    obs_id
        ObsID, ten digits.
    instrument
        ``pn``, ``mos1`` or ``mos2``.
    exposure_id
        Such as ``S003``.
    lo_ev, hi_ev
        Band in eV.
    kind
        ``img``, ``expmap``, ``expmap_novig`` (without vignetting), ``evts`` or ``bkgmap``.

    Examples
    --------
    >>> parse_product_name("0404910601_pn_S003_500-2000_expmap.fits").kind
    'expmap'
    """

    obs_id: str = field(validator=valid_obs_id)
    instrument: str = field(validator=one_of(*CAMERAS))
    exposure_id: str = field(validator=matching(r"[SUX][0-9]{3}", "S, U or X and three digits"))
    lo_ev: int = field(converter=whole)
    hi_ev: int = field(converter=whole)
    kind: str = field(validator=one_of(*_KINDS))

    def __attrs_post_init__(self) -> None:
        _named(self.lo_ev, self.hi_ev)

    @property
    def file_name(self) -> str:
        """The name of the file."""
        exposure = f"{self.obs_id}_{self.instrument}_{self.exposure_id}"
        return f"{exposure}_{self.lo_ev}-{self.hi_ev}_{self.kind}.fits"


@final
@frozen(kw_only=True)
class MosaicName:
    """What the name of a mosaic says.

    Parameters
    ----------
    label
        Readable form of what the mosaic shows, such as the name of the target: at most 48 of letters, digits, ``.``,
        ``+`` and ``-``.
    digest
        16 hexadecimal digits that tell apart mosaics of one label; empty where the label says all.
    lo_ev, hi_ev
        Band in eV.
    kind
        ``img`` or ``expmap``.

    Examples
    --------
    >>> parse_mosaic_name("A907_500-2000_mosaic_img.fits").label
    'A907'
    """

    label: str = field(validator=matching(_LABEL, "letters, digits, . + or -, at most 48"))
    digest: str = field(default="", validator=matching(r"([0-9a-f]{16})?", "16 hexadecimal digits or empty"))
    lo_ev: int = field(converter=whole)
    hi_ev: int = field(converter=whole)
    kind: str = field(validator=one_of(*_MOSAIC_KINDS))

    def __attrs_post_init__(self) -> None:
        _named(self.lo_ev, self.hi_ev)

    @property
    def file_name(self) -> str:
        """The name of the file."""
        shown = f"{self.label}_{self.digest}" if self.digest else self.label
        return f"{shown}_{self.lo_ev}-{self.hi_ev}_mosaic_{self.kind}.fits"


def product_name(obs_id: str, instrument: str, exposure_id: str, lo_ev: int, hi_ev: int, kind: str) -> str:
    """Return the name of a product of one exposure, of the parts of a :class:`ProductName`; others give another name.

    >>> product_name("0404910601", "mos1", "S001", 500, 2000, "img")
    '0404910601_mos1_S001_500-2000_img.fits'
    """
    return ProductName(
        obs_id=obs_id, instrument=instrument, exposure_id=exposure_id, lo_ev=lo_ev, hi_ev=hi_ev, kind=kind
    ).file_name


def parse_product_name(name: str) -> ProductName | None:
    """Return what one of our product names says, the inverse of :func:`product_name`; None of any other name.

    Examples
    --------
    >>> parse_product_name("0404910601_mos1_S001_500-2000_img.fits").lo_ev
    500
    >>> parse_product_name("image.fits") is None
    True
    """
    found = _PRODUCT.fullmatch(name)
    if found is None or int(found.group(4)) >= int(found.group(5)):
        return None
    obs_id, instrument, exposure_id, lo_ev, hi_ev, kind = found.groups()
    return ProductName(
        obs_id=obs_id, instrument=instrument, exposure_id=exposure_id, lo_ev=int(lo_ev), hi_ev=int(hi_ev), kind=kind
    )


def mosaic_name(label: str, lo_ev: int, hi_ev: int, kind: str, *, members: Iterable[str] = ()) -> str:
    """Return the name of a mosaic.

    Parameters
    ----------
    label
        What the mosaic shows, such as the name of the target; any text.
    lo_ev, hi_ev
        Band in eV.
    kind
        ``img`` or ``expmap``.
    members
        Names of the images in it, in their order, where the label alone does not tell mosaics apart.

    Returns
    -------
    The file name: short for any number of members. A label that cannot be part of a file name is written in a
    readable form, and a digest of label and members keeps different mosaics apart.

    Raises
    ------
    InvalidRecord
        For a band or kind of another form.

    Notes
    -----
    The digest is blake2b, 8 bytes, of the JSON list ``[label, [members]]``: the same on every machine.

    Examples
    --------
    >>> mosaic_name("A907", 500, 2000, "img")
    'A907_500-2000_mosaic_img.fits'
    >>> mosaic_name("Abell 907", 500, 2000, "img")
    'Abell-907_68a125cb999b950c_500-2000_mosaic_img.fits'
    """
    names = strings(members)
    if not names and re.fullmatch(_LABEL, label):
        return MosaicName(label=label, lo_ev=lo_ev, hi_ev=hi_ev, kind=kind).file_name
    text = json.dumps([label, names]).encode("ascii")
    digest = hashlib.blake2b(text, digest_size=8).hexdigest()
    shown = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9.+\-]+", "-", label)).strip("-+.")[:48] or "mosaic"
    return MosaicName(label=shown, digest=digest, lo_ev=lo_ev, hi_ev=hi_ev, kind=kind).file_name


def parse_mosaic_name(name: str) -> MosaicName | None:
    """Return what the name of one of our mosaics says; None of any other name.

    Examples
    --------
    >>> parse_mosaic_name("A907_500-2000_mosaic_img.fits").digest
    ''
    """
    found = _MOSAIC.fullmatch(name)
    if found is None or int(found.group(3)) >= int(found.group(4)):
        return None
    label, digest, lo_ev, hi_ev, kind = found.groups()
    return MosaicName(label=label, digest=digest or "", lo_ev=int(lo_ev), hi_ev=int(hi_ev), kind=kind)


def source_list_name(obs_id: str, lo_ev: int, hi_ev: int, kind: str, *, members: Iterable[str] = ()) -> str:
    """Return the name of the list of sources of an observation, or of several together, or of its regions.

    Parameters
    ----------
    obs_id
        ObsID, ten digits, or ``combined``.
    lo_ev, hi_ev
        Band in eV.
    kind
        ``srclist.fits`` or ``sources.reg``.
    members
        Names of the images of a list of several observations, which tell such lists apart.

    Raises
    ------
    InvalidRecord
        For an argument of another form.

    Examples
    --------
    >>> source_list_name("0404910601", 500, 2000, "srclist.fits")
    '0404910601_epic_500-2000_srclist.fits'
    """
    if kind not in _LIST_KINDS:
        raise InvalidRecord(f"a list of sources is one of {', '.join(_LIST_KINDS)}, got {kind!r}")
    names = strings(members)
    digest = hashlib.blake2b(json.dumps(names).encode("ascii"), digest_size=8).hexdigest()
    ending = f"epic_{_named(lo_ev, hi_ev).name}_{kind}"
    return f"combined_{digest}_{ending}" if names else _of_observation(obs_id, ending)


def _of_observation(obs_id: str, ending: str) -> str:
    if not re.fullmatch(r"[0-9]{10}", obs_id):
        raise InvalidRecord(f"obs_id must be an XMM ObsID of ten digits, got {obs_id!r}")
    return f"{obs_id}_{ending}"


def ccf_name(obs_id: str) -> str:
    """Return the name of the calibration index of an observation, whose ObsID has ten digits.

    >>> ccf_name("0404910601")
    '0404910601_ccf.cif'
    """
    return _of_observation(obs_id, "ccf.cif")


def attitude_name(obs_id: str) -> str:
    """Return the name of the attitude history of an observation, whose ObsID has ten digits.

    >>> attitude_name("0404910601")
    '0404910601_atthk.fits'
    """
    return _of_observation(obs_id, "atthk.fits")
