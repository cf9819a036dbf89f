"""What a report shows: frozen records of targets, maps and steps."""

import math
from typing import final

from attrs import field as value, frozen

from xphotfn.io.products import RateMap
from xphotfn.measure.aperture import Aperture
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.fields import items, pairs, strings
from xphotfn.records.light_curve import FlareCut
from xphotfn.records.measurement import Centre, Measurement, Peak
from xphotfn.records.source_list import SourceList

__all__ = ("FLAGS", "BandReport", "MapReport", "RunReport", "StepReport", "TargetReport")

FEW_COUNTS = 20
LOW_ON_CHIP = 0.75
MUCH_MASKED = 0.25

FLAGS = {
    "failed steps": "a step of this target failed, or waited for one that did",
    "not measured": "there is no map to measure (of a run: of all observations), or the region has no data",
    "no background": "the background ring has no pixel with exposure",
    "few counts": f"fewer than {FEW_COUNTS} counts in the region",
    "low on-chip": f"less than {LOW_ON_CHIP:.0%} of the region was exposed",
    "much masked": f"other sources cover more than {MUCH_MASKED:.0%} of the exposed region",
    "moved": "measured on the X-ray peak, not at the position that was given: the offset says how far",
    "peak not used": "an X-ray peak was looked for and not used (its page says why): measured at the position given",
    "no peak": "no X-ray peak was found",
    "peak near edge": "the X-ray peak lies within two pixels of the edge of the field or of a gap",
}
"""The flags and what they mean, most serious first."""


@final
@frozen(kw_only=True)
class MapReport:
    """One map with what was measured on it in the region.

    Parameters
    ----------
    obs_id, exposure_id, instrument, band
        What it shows.
    rate_map
        The map, or None where it is not there.
    measurement
        What was measured, or None.
    on_chip
        Part of the region that was exposed, 0 to 1.
    masked
        Part of the exposed region that other sources cover, 0 to 1.
    has_background
        Whether the background ring has a pixel with exposure.
    problem
        Why map or measurement is missing.
    """

    obs_id: str
    exposure_id: str = ""
    instrument: str
    band: Band
    rate_map: RateMap | None = None
    measurement: Measurement | None = None
    on_chip: float = math.nan
    masked: float = math.nan
    has_background: bool = True
    problem: str = ""

    @property
    def name(self) -> str:
        """Name for people."""
        return "combined" if self.obs_id == "combined" else f"{self.obs_id} {self.instrument}"

    @property
    def exposure_unit(self) -> str:
        """Unit of its exposure: ``s`` or ``cm2 s``; of what is not measured ``s``."""
        return "s" if self.measurement is None else self.measurement.exposure_unit

    @property
    def exposure(self) -> float:
        """Mean exposure of the region in ``exposure_unit``; NaN where nothing was measured."""
        m = self.measurement
        return math.nan if m is None or m.area_pix == 0 else m.exposure_s / m.area_pix

    @property
    def net_rate(self) -> float:
        """Net count rate in ct/s, or in photon/(cm2 s) where the exposure is in cm2 s."""
        return math.nan if self.measurement is None else float(self.measurement.net_rate.value)

    @property
    def net_rate_error(self) -> float:
        """Its error, from the variance ``N + alpha**2 B`` of the net counts, in the same unit."""
        m = self.measurement
        if m is None or not self.exposure > 0:
            return math.nan
        return math.sqrt(max(m.counts + m.alpha**2 * m.background_counts, 0.0)) / self.exposure


@final
@frozen(kw_only=True)
class BandReport:
    """A target in one band.

    Parameters
    ----------
    band
        The band.
    combined
        The map that is measured: of all observations, or one of those that were given.
    maps
        The map of each exposure; none where each map that was given is measured by itself.
    peak
        The X-ray peak of the combined maps, the same in all bands, or None where none was looked for or found.
    offset_arcsec, offset_kpc
        Its distance from the target's position; NaN where it is not known.
    flags
        Names out of :data:`FLAGS`.
    """

    band: Band
    combined: MapReport
    maps: tuple[MapReport, ...] = value(default=(), converter=items)
    peak: Peak | None = None
    offset_arcsec: float = math.nan
    offset_kpc: float = math.nan
    flags: tuple[str, ...] = value(default=(), converter=strings)


@final
@frozen(kw_only=True)
class StepReport:
    """One step with what became of it.

    Parameters
    ----------
    id, obs_id, task, command
        What ran; the command as a shell line.
    products
        Names of the files that it makes.
    state
        ``done``, ``failed``, ``skipped`` or ``not run``.
    reason
        Why it is not done.
    log
        The last lines that it printed.
    warnings
        What it warned of.
    key, engine, made, seconds
        Where in the store its product lies, what made it, when (UTC), how long.
    inputs, outputs
        Pairs of file name and digest.
    versions
        Pairs of program and version.
    """

    id: str
    obs_id: str
    task: str
    command: str
    products: tuple[str, ...] = value(converter=strings)
    state: str
    reason: str = ""
    log: str = ""
    warnings: tuple[str, ...] = value(default=(), converter=strings)
    key: str = ""
    engine: str = ""
    made: str = ""
    seconds: float = math.nan
    inputs: tuple[tuple[str, str], ...] = value(default=(), converter=pairs)
    outputs: tuple[tuple[str, str], ...] = value(default=(), converter=pairs)
    versions: tuple[tuple[str, str], ...] = value(default=(), converter=pairs)

    @property
    def is_good(self) -> bool:
        """Whether its products are there."""
        return self.state == "done"


@final
@frozen(kw_only=True)
class TargetReport:
    """A target.

    Parameters
    ----------
    slug
        Its name in paths.
    field
        The field.
    region
        What the region that is measured is called.
    aperture
        The region itself; None where its target lacks it.
    bands
        One for each band.
    centre
        Where it is measured and why, or None where no peak was asked for.
    steps
        The steps that its products come from.
    notes
        What could not be made or was left out, and why.
    cuts
        The cuts of flares that were made for it, one for each raw event list.
    lists
        Pairs of ObsID (or ``combined``) and the list of sources that was found there.
    files
        Pairs of what and where, of maps that were given; empty for a run.
    """

    slug: str
    field: Field
    region: str
    aperture: Aperture | None = None
    bands: tuple[BandReport, ...] = value(default=(), converter=items)
    centre: Centre | None = None
    steps: tuple[StepReport, ...] = value(default=(), converter=items)
    notes: tuple[str, ...] = value(default=(), converter=strings)
    cuts: tuple[FlareCut, ...] = value(default=(), converter=items)
    lists: tuple[tuple[str, SourceList], ...] = value(default=(), converter=pairs)
    files: tuple[tuple[str, str], ...] = value(default=(), converter=pairs)

    @property
    def region_label(self) -> str:
        """The region in words, such as ``R500 = 1200 kpc``."""
        return self.region if self.aperture is None else self.aperture.label

    @property
    def kept(self) -> float:
        """Part of the live time of its raw event lists that the cuts of flares kept; NaN where none was cut."""
        total = sum(cut.total_s for cut in self.cuts)
        return sum(cut.kept_s for cut in self.cuts) / total if total > 0 else math.nan

    @property
    def residual(self) -> float:
        """Greatest of what the cuts left over the quiet rate; NaN where none was cut or none says."""
        return max((cut.residual for cut in self.cuts if math.isfinite(cut.residual)), default=math.nan)

    @property
    def name(self) -> str:
        """Name of the field."""
        return self.field.name


@final
@frozen(kw_only=True)
class RunReport:
    """A run, or maps that were given.

    Parameters
    ----------
    title
        Title of the report.
    targets
        Its targets; their steps are only those that are not done.
    plan
        The plan in words; empty for maps, which no plan made.
    counts
        Pairs of a state and how many steps are in it.
    observations
        How many observations.
    store, engine, method
        Where the products are, what made them, and the definition of the signal-to-noise.
    first, last
        When the products were made (UTC).
    versions
        Pairs of program and version; of every version that made a product.
    made, version
        When the report was made (UTC), and by which version of xphotfn.
    exposure_unit
        Unit of the exposures of all maps, ``s`` or ``cm2 s``.
    """

    title: str
    targets: tuple[TargetReport, ...] = value(converter=items)
    observations: int
    method: str
    plan: str = ""
    counts: tuple[tuple[str, int], ...] = value(default=(), converter=pairs)
    store: str = ""
    engine: str = ""
    first: str = ""
    last: str = ""
    versions: tuple[tuple[str, str], ...] = value(default=(), converter=pairs)
    made: str = ""
    version: str = ""
    exposure_unit: str = "s"

    @property
    def is_of_run(self) -> bool:
        """Whether a plan made its maps."""
        return bool(self.plan)
