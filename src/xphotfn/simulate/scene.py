"""What is simulated: a cluster, point sources, two backgrounds, and the pointings that look at them.

All rates are pn count rates on axis in 0.5-2.0 keV. A camera and another band scale them: the count spectrum of
everything is a power law ``E**-slope``, so rates of adjoining bands add up.
"""

import math
from collections.abc import Iterable
from typing import Any, final

import astropy.units as u
import numpy as np
from attrs import field, frozen

from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.records.band import Band
from xphotfn.records.fields import finite, items, non_empty, one_of, positive, valid_obs_id
from xphotfn.records.grid import PixelGrid
from xphotfn.records.target import Target, galaxy_cluster

__all__ = (
    "EFFICIENCY",
    "OUT_OF_TIME",
    "SOFT",
    "CameraExposure",
    "Cluster",
    "Pointing",
    "Scene",
    "Source",
    "band_share",
    "default_scene",
)

EFFICIENCY = {"pn": 1.0, "mos1": 0.34, "mos2": 0.35}
"""On-axis count rate of a camera relative to pn."""

SOFT = Band(lo_ev=500, hi_ev=2000)
"""The band that rates are given in."""


OUT_OF_TIME = {"PrimeFullWindow": 0.063, "PrimeFullWindowExtended": 0.023}
"""Part of the photons of pn that arrive while a CCD is read out, by mode (XMM-Newton Users' Handbook)."""


def band_share(slope: float, band: Band) -> float:
    """Return the count rate of a spectrum ``E**-slope`` in a band, relative to that in 0.5-2.0 keV.

    Examples
    --------
    >>> from xphotfn.records import Band
    >>> band_share(1.8, Band(lo_ev=500, hi_ev=2000)), round(band_share(1.8, Band(lo_ev=2000, hi_ev=10000)), 3)
    (1.0, 0.356)
    """
    return _integral(slope, band) / _integral(slope, SOFT)


def _integral(slope: float, band: Band) -> float:
    lo, hi = max(band.lo_ev, 1) / 1000, band.hi_ev / 1000
    return math.log(hi / lo) if slope == 1 else float((hi ** (1 - slope) - lo ** (1 - slope)) / (1 - slope))


def _not_negative(record: object, attribute: Any, value: float) -> None:
    if not 0 <= value < math.inf:
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must be 0 or above, got {value!r}")


def _date(record: object, attribute: Any, value: str) -> None:
    try:
        np.datetime64(value, "s")
    except ValueError as error:
        raise InvalidRecord(
            f"{type(record).__name__}.{attribute.name} must be like 2020-01-11T06:12:30, got {value!r}"
        ) from error


def _chips(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


_rate: Any = {"converter": float, "validator": _not_negative}


@final
@frozen(kw_only=True)
class Source:
    """A point source.

    Parameters
    ----------
    name
        Any text.
    ra_deg, dec_deg
        Position.
    rate
        pn count rate on axis in 0.5-2.0 keV, ct/s.
    slope
        Slope of its count spectrum.
    """

    name: str = field(validator=non_empty)
    ra_deg: float = field(converter=float, validator=finite)
    dec_deg: float = field(converter=float, validator=finite)
    rate: float = field(**_rate)
    slope: float = field(default=1.8, converter=float, validator=finite)

    def rate_in(self, instrument: str, band: Band) -> float:
        """Return the on-axis count rate in a camera and band, ct/s."""
        return self.rate * EFFICIENCY[instrument] * band_share(self.slope, band)


@final
@frozen(kw_only=True)
class Cluster:
    """A galaxy cluster whose surface brightness is a beta model.

    Parameters
    ----------
    name
        Name of the target.
    ra_deg, dec_deg
        Position.
    redshift, r500_kpc, r200_kpc
        Distance and radii that its target gets.
    rate
        pn count rate on axis in 0.5-2.0 keV, integrated to infinity, ct/s.
    core_arcsec, beta
        Core radius, and slope above 0.5: ``S(r) = S0 (1 + (r/core)**2)**(0.5 - 3 beta)``.
    slope
        Slope of its count spectrum.
    blurred
        Whether the point spread function blurs it; without it images hold the beta model as it is.
    """

    name: str = field(default="simulated", validator=non_empty)
    ra_deg: float = field(converter=float, validator=finite)
    dec_deg: float = field(converter=float, validator=finite)
    redshift: float = field(default=0.16, converter=float, validator=positive)
    r500_kpc: float = field(default=1200.0, converter=float, validator=positive)
    r200_kpc: float = field(default=1700.0, converter=float, validator=positive)
    rate: float = field(**_rate)
    core_arcsec: float = field(default=60.0, converter=float, validator=positive)
    beta: float = field(default=2 / 3, converter=float, validator=finite)
    slope: float = field(default=1.8, converter=float, validator=finite)
    blurred: bool = field(default=True, converter=bool)

    def __attrs_post_init__(self) -> None:
        if self.beta <= 0.5:
            raise InvalidRecord(f"a beta model has a finite flux for beta above 0.5 only, got {self.beta}")

    def rate_in(self, instrument: str, band: Band) -> float:
        """Return the on-axis count rate to infinity in a camera and band, ct/s."""
        return self.rate * EFFICIENCY[instrument] * band_share(self.slope, band)

    def fraction_within(self, radius_arcsec: float) -> float:
        """Return the part of its flux within a radius, ``1 - (1 + (r/core)**2)**(1.5 - 3 beta)``.

        Examples
        --------
        >>> Cluster(ra_deg=10, dec_deg=0, rate=1, core_arcsec=60).fraction_within(60 * 3**0.5)
        0.5
        """
        return 1 - float((1 + (radius_arcsec / self.core_arcsec) ** 2) ** (1.5 - 3 * self.beta))

    @property
    def target(self) -> Target:
        """It as a target, with redshift, R500 and R200."""
        return galaxy_cluster(
            self.name, self.ra_deg, self.dec_deg, redshift=self.redshift, r500=self.r500_kpc * u.kpc,
            r200=self.r200_kpc * u.kpc,
        )  # fmt: skip


@final
@frozen(kw_only=True)
class CameraExposure:
    """One exposure of one camera.

    Parameters
    ----------
    instrument
        ``pn``, ``mos1`` or ``mos2``.
    exposure_id
        Such as ``S003``.
    ontime_s
        Good time in s; the header's EXPOSURE.
    live_fraction
        Exposure of the map on axis over ``ontime_s``.
    filter, submode
        As in the header.
    lost_chips
        CCDs that gave no data, from 1.
    out_of_time
        Part of the photons that arrive during the readout and are smeared along RAWY, pn only; 0 unless it is given.
        :data:`OUT_OF_TIME` holds the real values.
    cleaned
        Whether flares are cut out of the event list. If not, it holds the whole exposure with the flares, and the good
        time intervals lie in a file beside it.
    """

    instrument: str = field(validator=one_of(*EFFICIENCY))
    exposure_id: str = field(validator=non_empty)
    ontime_s: float = field(converter=float, validator=positive)
    live_fraction: float = field(default=1.0, converter=float, validator=positive)
    filter: str = field(default="Thin1", validator=non_empty)
    submode: str = field(default="PrimeFullWindow", validator=non_empty)
    lost_chips: tuple[int, ...] = field(default=(), converter=_chips)
    out_of_time: float = field(default=0.0, converter=float)
    cleaned: bool = field(default=True, converter=bool)

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.out_of_time < 0.5:
            raise InvalidRecord(f"CameraExposure.out_of_time must lie from 0 to below 0.5, got {self.out_of_time!r}")
        if self.out_of_time and self.instrument != "pn":
            raise InvalidRecord(f"out_of_time is for pn, whose CCDs have no frame store, not for {self.instrument}")

    @property
    def live_s(self) -> float:
        """Exposure of the map on axis, s."""
        return self.ontime_s * self.live_fraction


@final
@frozen(kw_only=True)
class Pointing:
    """One observation.

    Parameters
    ----------
    obs_id
        Ten digits.
    ra_deg, dec_deg, pa_deg
        Pointing and position angle (RA_PNT, DEC_PNT, PA_PNT).
    date
        Its start, DATE-OBS.
    exposures
        One per camera.
    """

    obs_id: str = field(validator=valid_obs_id)
    ra_deg: float = field(converter=float, validator=finite)
    dec_deg: float = field(converter=float, validator=finite)
    pa_deg: float = field(default=0.0, converter=float, validator=finite)
    date: str = field(default="2020-01-01T00:00:00", validator=_date)
    exposures: tuple[CameraExposure, ...] = field(converter=items)

    def __attrs_post_init__(self) -> None:
        cameras = [e.instrument for e in self.exposures]
        if len(set(cameras)) != len(cameras):
            raise InvalidRecord(f"pointing {self.obs_id} lists a camera twice: {', '.join(cameras)}")

    @property
    def grid(self) -> PixelGrid:
        """The default image grid of XMM-Newton about the pointing, 512 x 512."""
        return PixelGrid.from_sky_range(self.ra_deg, self.dec_deg)

    def exposure(self, instrument: str) -> CameraExposure:
        """Return the exposure of a camera.

        Raises
        ------
        ProductMissing
            If it has none.
        """
        for item in self.exposures:
            if item.instrument == instrument:
                return item
        has = ", ".join(e.instrument for e in self.exposures)
        raise ProductMissing(f"pointing {self.obs_id} has no exposure of {instrument}; it has {has}")


@final
@frozen(kw_only=True)
class Scene:
    """Everything that is simulated.

    Parameters
    ----------
    cluster
        The target, or None.
    sources
        Point sources.
    extended
        Extended sources besides the cluster.
    sky_rate, particle_rate
        Vignetted and unvignetted background, pn rate in 0.5-2.0 keV, ct/s/arcmin2.
    sky_slope, particle_slope
        Slopes of their count spectra.
    flare_rate, flare_slope
        Peak rate, in the same unit, and slope of the soft protons between the good time intervals. They are in lists
        that are not cleaned, see :class:`CameraExposure`, and in no image.
    pointings
        The observations.
    bands
        Energy bands; each gives an image and an exposure map per camera.
    """

    cluster: Cluster | None = None
    sources: tuple[Source, ...] = field(default=(), converter=items)
    extended: tuple[Cluster, ...] = field(default=(), converter=items)
    sky_rate: float = field(default=1.4e-3, **_rate)
    particle_rate: float = field(default=5e-4, **_rate)
    sky_slope: float = field(default=2.2, converter=float, validator=finite)
    particle_slope: float = field(default=0.5, converter=float, validator=finite)
    flare_rate: float = field(default=0.02, **_rate)
    flare_slope: float = field(default=0.8, converter=float, validator=finite)
    pointings: tuple[Pointing, ...] = field(converter=items)
    bands: tuple[Band, ...] = field(default=(SOFT,), converter=items)

    def __attrs_post_init__(self) -> None:
        names = [p.obs_id for p in self.pointings]
        if not names or len(set(names)) != len(names):
            raise InvalidRecord(f"a scene needs pointings of different ObsIDs, got {names}")
        if not self.bands or len(set(self.bands)) != len(self.bands):
            raise InvalidRecord(f"a scene needs bands that differ, got {[str(b) for b in self.bands]}")

    @property
    def diffuse(self) -> tuple[Cluster, ...]:
        """All extended sources, the cluster first."""
        return (*(() if self.cluster is None else (self.cluster,)), *self.extended)

    @property
    def all_sources(self) -> tuple[Cluster | Source, ...]:
        """The extended sources, then the point sources."""
        both: tuple[Cluster | Source, ...] = self.diffuse
        return both + self.sources

    def pointing(self, obs_id: str) -> Pointing:
        """Return the pointing with that ObsID.

        Raises
        ------
        ProductMissing
            If there is none.
        """
        for item in self.pointings:
            if item.obs_id == obs_id:
                return item
        raise ProductMissing(f"no pointing {obs_id} in the scene; it has {', '.join(p.obs_id for p in self.pointings)}")


_CENTRE = (52.31, -33.72)
_OFFSETS = (  # arcmin to the east and north of the cluster, and rate; the first four lie inside R500
    (3.1, 2.4, 0.030), (-4.6, 1.2, 0.012), (1.0, -5.4, 0.008), (-2.2, -3.3, 0.005), (8.5, 3.0, 0.050),
    (-9.0, 6.1, 0.020), (5.5, -9.2, 0.015), (-7.4, -7.0, 0.010), (0.8, 10.6, 0.006), (10.4, -3.8, 0.004),
    (-10.6, -1.5, 0.003), (-3.0, 8.2, 0.0025),
)  # fmt: skip


def default_scene() -> Scene:
    """Return a cluster at redshift 0.16 and twelve point sources, seen by all cameras in two observations.

    Examples
    --------
    >>> scene = default_scene()
    >>> [p.obs_id for p in scene.pointings], len(scene.sources), str(scene.bands[0])
    (['0999990101', '0999990201'], 12, '0.5-2 keV')
    """
    ra, dec = _CENTRE
    stretch = 1 / math.cos(math.radians(dec))
    sources = [
        Source(name=f"point {number}", ra_deg=ra + east / 60 * stretch, dec_deg=dec + north / 60, rate=rate)
        for number, (east, north, rate) in enumerate(_OFFSETS, start=1)
    ]
    first = Pointing(
        obs_id="0999990101", ra_deg=ra - 0.012, dec_deg=dec + 0.009, pa_deg=114.2, date="2020-01-11T06:12:30",
        exposures=_cameras(9000.0),
    )  # fmt: skip
    second = Pointing(
        obs_id="0999990201", ra_deg=ra + 0.014, dec_deg=dec - 0.004, pa_deg=287.5, date="2020-07-24T21:40:05",
        exposures=_cameras(5200.0, lost_on_mos1=(6,)),
    )  # fmt: skip
    return Scene(cluster=Cluster(ra_deg=ra, dec_deg=dec, rate=0.75), sources=sources, pointings=[first, second])


def _cameras(ontime_s: float, *, lost_on_mos1: tuple[int, ...] = ()) -> list[CameraExposure]:
    """Return exposures of the three cameras; pn starts later and loses time to its readout."""
    return [
        CameraExposure(instrument="pn", exposure_id="S003", ontime_s=0.8 * ontime_s, live_fraction=0.89),
        CameraExposure(
            instrument="mos1", exposure_id="S001", ontime_s=ontime_s, live_fraction=0.990, lost_chips=lost_on_mos1
        ),
        CameraExposure(instrument="mos2", exposure_id="S002", ontime_s=1.01 * ontime_s, live_fraction=0.985),
    ]
