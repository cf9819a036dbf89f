"""What is on disk of an observation: event lists, images, exposure maps, attitude, regions."""

from collections.abc import Iterable
from typing import final

from attrs import field, fields, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import Html, block, count, facts, file_name, record_html, table
from xphotfn.records.band import Band
from xphotfn.records.fields import (
    finite,
    items,
    non_empty,
    not_negative,
    of_kind,
    one_of,
    safe_name,
    valid_obs_id,
    whole,
)
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import CAMERAS
from xphotfn.records.left_out import LeftOut
from xphotfn.records.subspace import Subspace

__all__ = ("XMM", "Exposure", "FoundFile", "FoundProduct", "Observation")

XMM = "XMM"
"""TELESCOP of XMM-Newton's files."""


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

    def _repr_html_(self) -> str:
        return record_html(self)


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
    subspace
        What the selection of an image keeps.
    whole_list
        False where it is known to hold other times than the event list of its exposure.
    """

    kind: str = field(validator=one_of("image", "exposure_map"))
    band: Band
    grid: PixelGrid
    file: FoundFile
    subspace: Subspace = field(factory=Subspace)
    whole_list: bool = True

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True, repr=False)
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
    cut
        Whether the times of the event list were cut already, as by a file of good time.
    products
        Images and exposure maps found on disk.
    flare_curve
        The pipeline's light curve of flares (FBKTSR) with its cut (FLCUTTHR), or None.
    subspace
        What the selection of the event list keeps.
    """

    instrument: str = field(validator=one_of(*CAMERAS))
    exposure_id: str = field(validator=non_empty)
    filter: str = ""
    submode: str = ""
    exposure_s: float = field(default=0.0, converter=float, validator=finite)
    events: FoundFile | None = None
    filtered: bool = False
    cut: bool = False
    products: tuple[FoundProduct, ...] = field(default=(), converter=items)
    flare_curve: FoundFile | None = None
    subspace: Subspace = field(factory=Subspace)

    def found(self, kind: str, band: Band) -> FoundProduct | None:
        """Return the found product of that kind and band, or None.

        One with the same channels comes first, then one that is called by this band (:attr:`Band.nominal`). The band
        of an exposure map only says at which energy the response was taken, so there the name is enough.
        """
        mine = [p for p in self.products if p.kind == kind]
        exact = (p for p in mine if p.band == band)
        wanted = band.nominal if kind == "exposure_map" else band
        return next(exact, next((p for p in mine if p.band.nominal == wanted), None))

    def __repr__(self) -> str:
        return (
            f"Exposure(instrument={self.instrument!r}, exposure_id={self.exposure_id!r}, filter={self.filter!r}, "
            f"exposure_s={self.exposure_s:.6g}, events={self.events is not None}, products={len(self.products)})"
        )

    def _repr_html_(self) -> str:
        return block(f"Exposure {self.instrument} {self.exposure_id}", exposure_table([self]))


def _left_out(values: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    return tuple(of_kind(value, LeftOut, "find_observations(root)") for value in values)


@final
@frozen(kw_only=True, repr=False)
class Observation:
    """One observation, as found on disk: of XMM-Newton, or of another telescope whose maps were given.

    Parameters
    ----------
    obs_id
        Ten digits; of another telescope any plain name.
    ra_deg, dec_deg
        Pointing (RA_PNT, DEC_PNT).
    object_name, date
        OBJECT and DATE-OBS of the headers.
    exposures
        Every exposure of each camera, sorted by camera (pn, mos1, mos2) and exposure.
    attitude, regions, cif
        Attitude history, DS9 region file and calibration index, or None.
    left_out
        Files of EPIC that were found and are not used, and why.
    telescope
        ``XMM``, or what another telescope's headers call it (TELESCOP).
    """

    obs_id: str
    ra_deg: float = field(converter=float, validator=finite)
    dec_deg: float = field(converter=float, validator=finite)
    object_name: str = ""
    date: str = ""
    exposures: tuple[Exposure, ...] = field(default=(), converter=items)
    attitude: FoundFile | None = None
    regions: FoundFile | None = None
    cif: FoundFile | None = None
    left_out: tuple[LeftOut, ...] = field(default=(), converter=_left_out)
    telescope: str = field(default=XMM, validator=non_empty)

    def __attrs_post_init__(self) -> None:
        check = valid_obs_id if self.telescope == XMM else safe_name
        check(self, fields(Observation).obs_id, self.obs_id)
        names = [(e.instrument, e.exposure_id) for e in self.exposures]
        if len(set(names)) != len(names):
            raise InvalidRecord(f"observation {self.obs_id} lists an exposure twice: {names}")

    @property
    def notes(self) -> tuple[str, ...]:
        """What is left out and why, as texts."""
        return tuple(map(str, self.left_out))

    @property
    def instruments(self) -> tuple[str, ...]:
        """Cameras with an exposure, each once, in the order pn, mos1, mos2."""
        return tuple(dict.fromkeys(e.instrument for e in self.exposures))

    @property
    def grid(self) -> PixelGrid:
        """Grid of its found images, which the ``image`` frame of its region file means; else the default grid."""
        for exposure in self.exposures:
            for product in exposure.products:
                return product.grid
        return PixelGrid.from_sky_range(self.ra_deg, self.dec_deg)

    def exposure(self, instrument: str, exposure_id: str = "") -> Exposure | None:
        """Return the exposure of a camera, or None.

        Raises
        ------
        InvalidRecord
            If the camera has several and ``exposure_id`` does not say which.
        """
        mine = [e for e in self.exposures if e.instrument == instrument and exposure_id in ("", e.exposure_id)]
        if len(mine) > 1:
            names = ", ".join(e.exposure_id for e in mine)
            raise InvalidRecord(f"{self.obs_id} has several exposures of {instrument}: say which of {names}")
        return mine[0] if mine else None

    def undecided(self, kind: str, exposure: Exposure | None = None, band: Band | None = None) -> tuple[LeftOut, ...]:
        """Return the files of one kind, exposure and band of which nothing says which is right; none of them is used.

        Parameters
        ----------
        kind
            events, image, exposure_map, attitude, cif or regions.
        exposure
            The exposure of an event list, image or exposure map.
        band
            The band of an image or exposure map.
        """
        who = ("", "") if exposure is None else (exposure.instrument, exposure.exposure_id)
        return tuple(
            note
            for note in self.left_out
            if note.reason == "undecided"
            and (note.kind, note.instrument, note.exposure_id) == (kind, *who)
            and (band is None or (note.band is not None and note.band.nominal == band.nominal))
        )

    def __repr__(self) -> str:
        kinds = [p.kind for e in self.exposures for p in e.products]
        return (
            f"Observation(obs_id={self.obs_id!r}, object_name={self.object_name!r}, instruments={self.instruments}, "
            f"event_lists={sum(e.events is not None for e in self.exposures)}, images={kinds.count('image')}, "
            f"exposure_maps={kinds.count('exposure_map')})"
        )

    def _repr_html_(self) -> str:
        rows: list[tuple[str, str]] = [
            ("Object", self.object_name),
            ("Date", self.date),
            ("Pointing", f"RA {self.ra_deg:.5f}, Dec {self.dec_deg:.5f} deg"),
        ]
        for what, file in (("Attitude", self.attitude), ("Regions", self.regions), ("Calibration index", self.cif)):
            rows.append((what, "none" if file is None else file_name(file.path)))
        rows += [("Note", note) for note in self.notes]
        return block(f"Observation {self.obs_id}", facts(rows), exposure_table(self.exposures))


def exposure_table(exposures: Iterable[Exposure]) -> Html:
    """Return exposures as a table of HTML: what each is and what is on disk of it."""
    head = ("Camera", "Exposure", "Filter", "Mode", "On-time", "Event list", "Images", "Exposure maps")
    rows = [
        (
            e.instrument,
            e.exposure_id,
            e.filter,
            e.submode,
            f"{e.exposure_s / 1000:.1f} ks",
            "none" if e.events is None else file_name(e.events.path),
            _bands(e, "image"),
            _bands(e, "exposure_map"),
        )
        for e in exposures
    ]
    return table(rows, head) if rows else Html("<div>no exposure</div>")


def _bands(exposure: Exposure, kind: str) -> str:
    bands = sorted({(p.band.lo_ev, p.band.hi_ev, str(p.band)) for p in exposure.products if p.kind == kind})
    return ", ".join(name for *_, name in bands) if len(bands) <= 4 else count(len(bands), "band")
