"""The three EPIC cameras."""

from typing import final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.fields import non_empty, one_of

__all__ = (
    "CAMERAS",
    "COMBINED",
    "INSTRUMENTS",
    "Instrument",
    "camera_name",
    "instrument",
    "is_epic",
    "known_instrument",
)


@final
@frozen(kw_only=True)
class Instrument:
    """One EPIC camera and how SAS and the archive call it.

    Parameters
    ----------
    name
        The name used everywhere here: ``pn``, ``mos1`` or ``mos2``.
    sas_name
        Value of INSTRUME in FITS headers.
    pps_name
        The two letters in names of pipeline (PPS) files.
    family
        ``pn`` or ``mos``: cameras of one build.
    telescope
        The X-ray telescope that it is behind, as calibration files are called by it.
    ccds, central_ccd
        How many CCDs it has, numbered from 1, and the one whose times are those of the exposure.
    flag_macro
        The event selection that SAS stores in the event list's header.
    flag_bits
        Bits of FLAG that this selection demands to be 0; where a header lacks it, they stand for it.
    max_pattern
        Highest event pattern of the usual imaging selection.
    """

    name: str = field(validator=non_empty)
    sas_name: str = field(validator=non_empty)
    pps_name: str = field(validator=non_empty)
    family: str = field(validator=one_of("pn", "mos"))
    telescope: str = field(validator=non_empty)
    ccds: int
    central_ccd: int
    flag_macro: str = field(validator=non_empty)
    flag_bits: int
    max_pattern: int

    @property
    def flag_condition(self) -> str:
        """What the macro says, in SAS's language."""
        return f"(FLAG & {self.flag_bits:#x}) == 0"

    @property
    def good_events(self) -> str:
        """The usual imaging selection: good flags and patterns."""
        return f"{self.flag_macro} && (PATTERN <= {self.max_pattern})"

    def _repr_html_(self) -> str:
        return record_html(self)


INSTRUMENTS = (
    Instrument(name="pn", sas_name="EPN", pps_name="PN", family="pn", telescope="XRT3", ccds=12, central_ccd=4,
               flag_macro="#XMMEA_EP", flag_bits=0xCFA0000, max_pattern=4),
    Instrument(name="mos1", sas_name="EMOS1", pps_name="M1", family="mos", telescope="XRT1", ccds=7, central_ccd=1,
               flag_macro="#XMMEA_EM", flag_bits=0x766BA000, max_pattern=12),
    Instrument(name="mos2", sas_name="EMOS2", pps_name="M2", family="mos", telescope="XRT2", ccds=7, central_ccd=1,
               flag_macro="#XMMEA_EM", flag_bits=0x766BA000, max_pattern=12),
)  # fmt: skip
"""The only home of what identifies a camera: names, argv and headers are made from it."""
COMBINED = "combined"
"""What stands for ObsID and camera where several are joined: a mosaic."""
CAMERAS = tuple(camera.name for camera in INSTRUMENTS)


def is_epic(name: str) -> bool:
    """Whether a map's ``instrument`` is an EPIC camera, or several: ``combined`` is a mosaic of EPIC's.

    Examples
    --------
    >>> is_epic("mos1"), is_epic("combined"), is_epic("acis")
    (True, True, False)
    """
    return name == COMBINED or name in CAMERAS


def camera_name(name: str) -> str:
    """Return the name that tables give a camera: ours of EPIC, in small letters of others.

    Examples
    --------
    >>> camera_name("EPN"), camera_name("M1"), camera_name("ACIS")
    ('pn', 'mos1', 'acis')
    """
    camera = known_instrument(name)
    return str(name).strip().lower() if camera is None else camera.name


def known_instrument(name: str) -> Instrument | None:
    """Return the camera of any of its names, in any case; None if no EPIC camera has that name."""
    wanted = str(name).strip().lower()
    names = ((c, (c.name, c.sas_name.lower(), c.pps_name.lower())) for c in INSTRUMENTS)
    return next((camera for camera, known in names if wanted in known), None)


def instrument(name: str) -> Instrument:
    """Return the camera of any of its names, in any case.

    Raises
    ------
    InvalidRecord
        If no EPIC camera has that name.

    Examples
    --------
    >>> instrument("EMOS1").name
    'mos1'
    """
    camera = known_instrument(name)
    if camera is None:
        raise InvalidRecord(f"no EPIC camera is called {name!r}: use one of {', '.join(CAMERAS)}")
    return camera
