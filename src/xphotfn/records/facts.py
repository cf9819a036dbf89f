"""What one file holds, as its header and, where headers lie, its data say."""

from typing import final

from attrs import evolve, field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.band import Band
from xphotfn.records.fields import items, non_empty, one_of, strings, whole
from xphotfn.records.good_times import GoodTimes
from xphotfn.records.grid import PixelGrid
from xphotfn.records.left_out import REASONS
from xphotfn.records.observation import FoundFile
from xphotfn.records.subspace import Subspace

__all__ = ("KINDS", "PRODUCTS", "FileFacts")

PRODUCTS = ("image", "exposure_map")
KINDS = (*PRODUCTS, "events", "flare_curve", "attitude", "cif", "regions", "")
"""What a file can be; empty for what is none of these."""


@final
@frozen(kw_only=True)
class FileFacts:
    """What one file holds.

    Parameters
    ----------
    name
        Its path relative to the folder that is searched, for messages: no rule looks at it.
    file
        The file.
    kind
        One of :data:`KINDS`.
    reason, detail
        Why the file cannot be used whatever else there is, one of :data:`REASONS`; empty where it can.
    obs_id, instrument, exposure_id
        What it is of; empty where nothing says.
    band
        Energy band of an image or exposure map.
    grid
        Pixel grid of an image or exposure map.
    subspace
        What its selection keeps.
    cut
        Whether the times of an event list were cut beyond the good time of its CCDs.
    rows
        Rows of the table of an event list or attitude.
    rank
        0 for what goes first among files of one kind, such as a region file of the user's own before the archive's.
    chosen
        0 for a file that nobody named, 1 for one that a template names, 2 for one that ``prefer`` names.
    on_times
        Seconds by the cards that give them: ONTIMEnn of each CCD, and EXPOSURE, of a list the longest ONTIMEnn.
    time_ranges
        Conditions on TIME that are no tables of good time: those are in the on-times.
    exposure_s, filter, submode, pointing, object_name, date
        As in :class:`~xphotfn.records.Exposure` and :class:`~xphotfn.records.Observation`.
    digest
        Of the data; empty until the file was looked at closely, which is done where several files are for one place.
    good_times
        Good time intervals of each CCD, from the same look.
    regions
        Digests of the tables of regions in its data subspace, from the same look.
    """

    name: str = field(validator=non_empty)
    file: FoundFile
    kind: str = field(default="", validator=one_of(*KINDS))
    reason: str = field(default="", validator=one_of("", *REASONS))
    detail: str = ""
    obs_id: str = ""
    instrument: str = ""
    exposure_id: str = ""
    band: Band | None = None
    grid: PixelGrid | None = None
    subspace: Subspace = field(factory=Subspace)
    cut: bool = False
    rows: int = field(default=0, converter=whole)
    rank: int = field(default=0, converter=whole)
    chosen: int = field(default=0, converter=whole)
    on_times: tuple[tuple[str, float], ...] = field(default=(), converter=items)
    time_ranges: tuple[str, ...] = field(default=(), converter=strings)
    exposure_s: float = 0.0
    filter: str = ""
    submode: str = ""
    pointing: tuple[float, float] | None = None
    object_name: str = ""
    date: str = ""
    digest: str = ""
    good_times: tuple[tuple[str, GoodTimes], ...] = field(default=(), converter=items)
    regions: tuple[str, ...] = field(default=(), converter=items)

    def __attrs_post_init__(self) -> None:
        if not self.reason and self.kind in PRODUCTS and (self.band is None or self.grid is None):
            raise InvalidRecord(f"{self.name}: an image or exposure map that can be used has a band and a grid")
        if not self.reason and not self.kind:
            raise InvalidRecord(f"{self.name}: a file without a kind needs a reason why it is left out")

    def with_exposure(self, exposure_id: str) -> "FileFacts":
        """Return the facts with the exposure that the file belongs to."""
        return self if self.exposure_id == exposure_id else evolve(self, exposure_id=exposure_id)

    @property
    def folder(self) -> str:
        """The relative path of its folder."""
        return self.name.rpartition("/")[0]

    def _repr_html_(self) -> str:
        return record_html(self)
