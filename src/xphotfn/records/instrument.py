"""The three EPIC cameras."""

from typing import final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.records._fields import non_empty
from xphotfn.records._html import record_html

__all__ = ("INSTRUMENTS", "Instrument", "camera_name", "instrument", "is_epic")


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
    flag_macro
        The event selection that SAS stores in the event list's header.
    max_pattern
        Highest event pattern of the usual imaging selection.
    """

    name: str = field(validator=non_empty)
    sas_name: str = field(validator=non_empty)
    pps_name: str = field(validator=non_empty)
    flag_macro: str = field(validator=non_empty)
    max_pattern: int

    def _repr_html_(self) -> str:
        return record_html(self)


INSTRUMENTS = (
    Instrument(name="pn", sas_name="EPN", pps_name="PN", flag_macro="#XMMEA_EP", max_pattern=4),
    Instrument(name="mos1", sas_name="EMOS1", pps_name="M1", flag_macro="#XMMEA_EM", max_pattern=12),
    Instrument(name="mos2", sas_name="EMOS2", pps_name="M2", flag_macro="#XMMEA_EM", max_pattern=12),
)


def is_epic(name: str) -> bool:
    """Whether a map's ``instrument`` is an EPIC camera, or several: ``combined`` is a mosaic of EPIC's.

    Examples
    --------
    >>> is_epic("mos1"), is_epic("combined"), is_epic("acis")
    (True, True, False)
    """
    return name == "combined" or any(name == camera.name for camera in INSTRUMENTS)


def camera_name(name: str) -> str:
    """Return the name that tables give a camera: ours of EPIC, in small letters of others.

    Examples
    --------
    >>> camera_name("EPN"), camera_name("M1"), camera_name("ACIS")
    ('pn', 'mos1', 'acis')
    """
    text = str(name).strip()
    names = {known.upper(): c.name for c in INSTRUMENTS for known in (c.name, c.sas_name, c.pps_name)}
    return names.get(text.upper(), text.lower())


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
    wanted = str(name).strip().lower()
    for camera in INSTRUMENTS:
        if wanted in (camera.name, camera.sas_name.lower(), camera.pps_name.lower()):
            return camera
    raise InvalidRecord(f"no EPIC camera is called {name!r}: use one of pn, mos1, mos2")
