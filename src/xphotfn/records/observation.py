"""What is on disk of an observation: event lists, images, exposure maps, attitude, regions."""

from typing import final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.records._fields import finite, items, non_empty, not_negative, one_of, strings, valid_obs_id, whole
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid

__all__ = ("Exposure", "FoundFile", "FoundProduct", "Observation")


@final
@frozen(kw_only=True)
class FoundFile:
    """A file as it was when it was found: it counts as another file once size or time change.

    Parameters
    ----------
    path
        Absolute path.
    size
        Bytes.
    mtime_ns
        Time of last change, ns.
    """

    path: str = field(validator=non_empty)
    size: int = field(converter=whole, validator=not_negative)
    mtime_ns: int = field(converter=whole, validator=not_negative)


@final
@frozen(kw_only=True)
class FoundProduct:
    """An image or exposure map that is already on disk.

    Parameters
    ----------
    kind
        ``image`` or ``exposure_map``.
    band
        Its energy band.
    grid
        Its pixel grid.
    file
        The file.
    """

    kind: str = field(validator=one_of("image", "exposure_map"))
    band: Band
    grid: PixelGrid
    file: FoundFile


@final
@frozen(kw_only=True)
class Exposure:
    """One exposure of one camera.

    Parameters
    ----------
    instrument
        ``pn``, ``mos1`` or ``mos2``.
    exposure_id
        Such as ``S003`` (EXPIDSTR).
    filter
        Optical blocking filter, such as ``Thin1``.
    submode
        Such as ``PrimeFullWindow``.
    exposure_s
        Longest on-time of a CCD in seconds; 0 where no header says.
    events
        The event list, or None.
    filtered
        Whether the event list's own selection already holds flags and patterns.
    products
        Images and exposure maps found on disk.
    """

    instrument: str = field(validator=one_of("pn", "mos1", "mos2"))
    exposure_id: str = field(validator=non_empty)
    filter: str = ""
    submode: str = ""
    exposure_s: float = field(default=0.0, converter=float, validator=finite)
    events: FoundFile | None = None
    filtered: bool = False
    products: tuple[FoundProduct, ...] = field(default=(), converter=items)

    def found(self, kind: str, band: Band) -> FoundProduct | None:
        """Return the found product of that kind and band, or None."""
        return next((p for p in self.products if p.kind == kind and p.band == band), None)


@final
@frozen(kw_only=True)
class Observation:
    """One XMM-Newton observation, as found on disk.

    Parameters
    ----------
    obs_id
        Ten digits.
    ra_deg, dec_deg
        Pointing (RA_PNT, DEC_PNT).
    object_name, date
        OBJECT and DATE-OBS of the headers.
    exposures
        One per camera: the longest; others are named in ``notes``.
    attitude, regions, cif
        Attitude history, DS9 region file and calibration index, or None.
    notes
        What was found and left out, and why.
    """

    obs_id: str = field(validator=valid_obs_id)
    ra_deg: float = field(converter=float, validator=finite)
    dec_deg: float = field(converter=float, validator=finite)
    object_name: str = ""
    date: str = ""
    exposures: tuple[Exposure, ...] = field(default=(), converter=items)
    attitude: FoundFile | None = None
    regions: FoundFile | None = None
    cif: FoundFile | None = None
    notes: tuple[str, ...] = field(default=(), converter=strings)

    def __attrs_post_init__(self) -> None:
        names = [(e.instrument, e.exposure_id) for e in self.exposures]
        if len(set(names)) != len(names):
            raise InvalidRecord(f"observation {self.obs_id} lists an exposure twice: {names}")

    @property
    def instruments(self) -> tuple[str, ...]:
        """Cameras with an exposure, in the order pn, mos1, mos2."""
        return tuple(e.instrument for e in self.exposures)

    @property
    def grid(self) -> PixelGrid:
        """Grid of its found images, which the ``image`` frame of its region file means; else the default grid."""
        for exposure in self.exposures:
            for product in exposure.products:
                return product.grid
        return PixelGrid.from_sky_range(self.ra_deg, self.dec_deg)

    def exposure(self, instrument: str) -> Exposure | None:
        """Return the exposure of a camera, or None."""
        return next((e for e in self.exposures if e.instrument == instrument), None)
