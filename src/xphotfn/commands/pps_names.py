"""Names of the files of the XMM-Newton pipeline (PPS): ``P0404910601PNS003PIEVLI0000.FTZ``.

The archive also hands them out shortened, without energy band and source number (``P0001730201M1S002MIEVLI.FTZ``), and
people gzip them; such names are read too.
"""

import re
from types import MappingProxyType
from typing import Any, final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.records.band import Band
from xphotfn.records.fields import one_of, valid_obs_id
from xphotfn.records.instrument import INSTRUMENTS

__all__ = ("PpsName", "matching", "parse_pps_name")

_CAMERAS = MappingProxyType({camera.pps_name: camera.name for camera in INSTRUMENTS})
_PPS = re.compile(
    r"P(?P<obs_id>[0-9]{10})(?P<source>[A-Z0-9]{2})(?P<flag>[SUX])(?P<exposure>[0-9]{3})(?P<product>[A-Z0-9_]{6})"
    r"(?:(?P<band>[0-9A-Z])(?P<number>[0-9A-F]{3}))?\.(?P<extension>[A-Z]{3})(?P<gzipped>\.gz)?"
)

_BANDS = MappingProxyType(
    {
        "1": ((200, 500),),
        "2": ((500, 1000), (500, 2000)),
        "3": ((1000, 2000), (2000, 4500)),
        "4": ((2000, 4500), (4500, 7500)),
        "5": ((4500, 12000), (7500, 12000)),
        "8": ((200, 12000),),
    }
)
"""Numbers of the energy bands: as of 2XMM and later, then, where it differs, as in the years before."""
_WITH_BAND = ("IMAGE_", "EXPMAP", "BKGMAP", "BKGND_")


def matching(expression: str, meaning: str) -> Any:
    """Return a validator that accepts what matches an expression; ``meaning`` says it in words.

    Examples
    --------
    >>> matching("[A-Z]{3}", "three capitals").__name__
    'check'
    """
    compiled = re.compile(expression)

    def check(record: object, attribute: Any, value: str) -> None:
        if not compiled.fullmatch(value):
            raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must be {meaning}, got {value!r}")

    return check


@final
@frozen(kw_only=True)
class PpsName:
    """What the name of a pipeline product says.

    Parameters
    ----------
    obs_id
        ObsID, ten digits.
    source
        ``M1``, ``M2``, ``PN``, ``EP`` (all EPIC), ``OB`` (the observation), ``R1``, ``R2``, ``RG``, ``OM``, ``CA``.
    flag
        ``S`` scheduled, ``U`` unscheduled, ``X`` where there is no exposure.
    exposure
        Three digits.
    product
        Six characters, such as ``MIEVLI``, ``IMAGE_`` or ``ATTTSR``.
    band
        Energy band, one character; empty in shortened names.
    number
        Number of the source, three hexadecimal digits; empty in shortened names.
    extension
        ``FTZ``, ``FIT``, ``ASC`` and so on.
    gzipped
        True where ``.gz`` follows the extension.

    Examples
    --------
    >>> parse_pps_name("P0404910601PNS003PIEVLI0000.FTZ").camera
    'pn'
    """

    obs_id: str = field(validator=valid_obs_id)
    source: str = field(validator=matching(r"[A-Z0-9]{2}", "two capitals or digits"))
    flag: str = field(validator=one_of("S", "U", "X"))
    exposure: str = field(validator=matching(r"[0-9]{3}", "three digits"))
    product: str = field(validator=matching(r"[A-Z0-9_]{6}", "six capitals, digits or _"))
    band: str = field(default="", validator=matching(r"[0-9A-Z]?", "one capital or digit, or empty"))
    number: str = field(default="", validator=matching(r"([0-9A-F]{3})?", "three hexadecimal digits, or empty"))
    extension: str = field(validator=matching(r"[A-Z]{3}", "three capitals"))
    gzipped: bool = field(default=False, converter=bool)

    def __attrs_post_init__(self) -> None:
        if bool(self.band) != bool(self.number):
            raise InvalidRecord(f"PpsName has band and number or neither, got {self.band!r} and {self.number!r}")

    @property
    def exposure_id(self) -> str:
        """The exposure as SAS names it, such as ``S003``."""
        return f"{self.flag}{self.exposure}"

    @property
    def camera(self) -> str | None:
        """``pn``, ``mos1`` or ``mos2``; None for everything else."""
        return _CAMERAS.get(self.source)

    @property
    def bands(self) -> tuple[Band, ...]:
        """What the number of the energy band may mean, in eV: the present bands first, then those before 2XMM.

        Empty for products without bands, and where the number says none.

        Examples
        --------
        >>> [str(band) for band in parse_pps_name("P0207300201M1S001EXPMAP2000.FTZ").bands]
        ['0.5-1 keV', '0.5-2 keV']
        """
        found = _BANDS.get(self.band, ()) if self.product in _WITH_BAND else ()
        return tuple(Band(lo_ev=lo, hi_ev=hi) for lo, hi in found)

    @property
    def file_name(self) -> str:
        """The name of the file."""
        stem = f"P{self.obs_id}{self.source}{self.exposure_id}{self.product}{self.band}{self.number}"
        return f"{stem}.{self.extension}{'.gz' if self.gzipped else ''}"


def parse_pps_name(name: str) -> PpsName | None:
    """Return what the name of a pipeline product says.

    None for any other name than those of the XMM-Newton Data Files Handbook: 27 characters and an extension. The
    record's ``file_name`` is the name again.

    Examples
    --------
    >>> found = parse_pps_name("P0201901401OBX000ATTTSR0000.FIT.gz")
    >>> found.product, found.gzipped, found.camera
    ('ATTTSR', True, None)
    >>> parse_pps_name("attitude.fits") is None
    True
    """
    found = _PPS.fullmatch(name)
    return None if found is None else PpsName(**found.groupdict(default=""))
