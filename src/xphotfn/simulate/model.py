"""From a scene to the counts that are expected in each pixel: pure functions, no noise but in :func:`blank_field`."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ProductMissing, ShapeMismatch
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.pixel_masks import read_only
from xphotfn.simulate.field_of_view import geometry, response_image
from xphotfn.simulate.psf import King, beta_model, blurred_beta_model, king_of, point_spread, radius_holding
from xphotfn.simulate.readout import out_of_time_counts
from xphotfn.simulate.scene import EFFICIENCY, SOFT, Cluster, Pointing, Scene, Source, band_share

__all__ = (
    "ModelCounts",
    "blank_field",
    "detected_regions",
    "expected_counts",
    "model_counts",
    "source_counts",
)

Floats = NDArray[np.float64]
_REACH_ARCSEC = 300.0  # all the light of a point source falls within it
_REGION_ARCSEC = (14.0, 40.0)  # smallest and largest radius of a point source's region
_DETECTED = 10.0  # counts that a source needs to get a region, and that its region leaves outside


class ModelCounts(NamedTuple):
    """What is expected in an image: read-only arrays of shape (ny, nx), float64.

    ``source`` holds counts of clusters and point sources, ``background`` those of sky and particles, ``exposure`` the
    exposure map in s, ``out_of_time`` the counts of both that arrive during the readout and lie elsewhere.
    """

    source: Floats
    background: Floats
    exposure: Floats
    out_of_time: Floats

    @property
    def total(self) -> Floats:
        """All counts that the image is expected to hold."""
        return np.asarray(self.source + self.background + self.out_of_time)


def model_counts(scene: Scene, pointing: Pointing, instrument: str, band: Band) -> ModelCounts:
    """Return the expected counts of one image.

    Parameters
    ----------
    scene
        What is on the sky.
    pointing
        One observation; its grid is ``pointing.grid``.
    instrument
        ``pn``, ``mos1`` or ``mos2``.
    band
        Any band, also one that the scene does not list.

    Raises
    ------
    ProductMissing
        If the pointing has no exposure of that camera.

    Notes
    -----
    Sources and sky are multiplied by the exposure map (float32, as in its file), particles by live time and coverage:
    they are not vignetted. Sources are blurred by the King profile of the camera at the middle of the band and their
    angle from the pointing, see :mod:`xphotfn.simulate.psf`.

    Examples
    --------
    >>> from xphotfn.simulate.scene import default_scene
    >>> scene = default_scene()
    >>> model = model_counts(scene, scene.pointings[0], "pn", scene.bands[0])
    >>> model.source.shape, round(float(model.source.sum())), round(float(model.exposure.max()))
    ((512, 512), 4576, 6404)
    """
    camera, grid = pointing.exposure(instrument), pointing.grid
    seen = geometry(grid, instrument, pointing.pa_deg, camera.lost_chips)
    response = response_image(seen, band)
    exposure = (camera.live_s * response).astype(np.float32).astype(np.float64)
    pixel_arcmin2 = (grid.pixel_deg * 60) ** 2 * EFFICIENCY[instrument]
    sky = scene.sky_rate * band_share(scene.sky_slope, band) * pixel_arcmin2
    particles = scene.particle_rate * band_share(scene.particle_slope, band) * pixel_arcmin2
    source = _source_rates(scene, grid, instrument, band) * exposure
    background = sky * exposure + particles * camera.live_s * seen.coverage
    late = out_of_time_counts(source + background, pointing, camera)
    return ModelCounts(*(_read_only(array) for array in (source, background, exposure, late)))


def _read_only(array: Floats) -> Floats:
    return np.asarray(read_only(array), dtype=np.float64)


def _source_rates(scene: Scene, grid: PixelGrid, instrument: str, band: Band) -> Floats:
    """Return on-axis ct/s per pixel of all sources."""
    rates = np.zeros(grid.shape)
    for item in scene.all_sources:
        _add(rates, item, grid, instrument, band)
    return rates


def _add(rates: Floats, item: Source | Cluster, grid: PixelGrid, instrument: str, band: Band) -> None:
    """Add on-axis ct/s per pixel of one source to ``rates`` in place."""
    pixel, rate = _pixel_of(item, grid), item.rate_in(instrument, band)
    king = _king_at(pixel, grid, instrument, band)
    if isinstance(item, Cluster) and item.blurred:
        rates += rate * blurred_beta_model(grid, pixel, item.core_arcsec, item.beta, king)
    elif isinstance(item, Cluster):
        rates += rate * beta_model(grid, pixel, item.core_arcsec, item.beta)
    else:
        _add_point(rates, grid, pixel, rate, king)


def _king_at(pixel: tuple[float, float], grid: PixelGrid, instrument: str, band: Band) -> King:
    offset = np.hypot(pixel[0] + 1 - grid.crpix1, pixel[1] + 1 - grid.crpix2) * grid.pixel_deg * 60
    return king_of(instrument, (band.lo_ev + band.hi_ev) / 2, float(offset))


def _pixel_of(item: Source | Cluster, grid: PixelGrid) -> tuple[float, float]:
    x, y = deg_to_pix(grid, item.ra_deg, item.dec_deg)
    return float(x), float(y)


def _add_point(rates: Floats, grid: PixelGrid, pixel: tuple[float, float], rate: float, king: King) -> None:
    """Add a point source to ``rates`` in place."""
    x, y = pixel
    reach = _REACH_ARCSEC / 3600 / grid.pixel_deg
    if not (-reach < x < grid.nx - 1 + reach and -reach < y < grid.ny - 1 + reach):
        return
    columns = slice(max(0, round(x - reach)), min(grid.nx, round(x + reach) + 1))
    rows = slice(max(0, round(y - reach)), min(grid.ny, round(y + reach) + 1))
    dx = np.arange(columns.start, columns.stop, dtype=np.float64) - x
    dy = np.arange(rows.start, rows.stop, dtype=np.float64)[:, None] - y
    rates[rows, columns] += rate * point_spread(dx, dy, grid, king)


def source_counts(scene: Scene, obs_id: str, instrument: str, band: Band) -> Floats:
    """Return the counts in time that each of ``scene.all_sources`` is expected to leave on the detector, float64.

    ProductMissing if there is no such pointing or camera.

    Examples
    --------
    >>> from xphotfn.simulate.scene import default_scene
    >>> source_counts(default_scene(), "0999990101", "pn", SOFT).round().astype(int).tolist()[:3]
    [3929, 161, 59]
    """
    pointing = scene.pointing(obs_id)
    camera, grid = pointing.exposure(instrument), pointing.grid
    seen = geometry(grid, instrument, pointing.pa_deg, camera.lost_chips)
    exposure = camera.live_s * response_image(seen, band)
    found = []
    for item in scene.all_sources:
        rates = np.zeros(grid.shape)
        _add(rates, item, grid, instrument, band)
        found.append(float(np.sum(rates * exposure)))
    return np.array(found)


def expected_counts(
    scene: Scene, obs_id: str, instrument: str, mask: NDArray[np.bool_], band: Band | None = None
) -> tuple[float, float]:
    """Return the expected source and background counts (with out-of-time events) under a mask (True = counted).

    The band is by default the only one of the scene.

    Raises
    ------
    ShapeMismatch
        If the mask does not have the shape of the image.
    ProductMissing
        If there is no such pointing or camera, or the scene has several bands and none is named.

    Examples
    --------
    >>> from xphotfn.simulate.scene import default_scene
    >>> source, background = expected_counts(default_scene(), "0999990101", "pn", np.ones((512, 512), dtype=bool))
    >>> 3000 < source < 6000, 2000 < background < 10000
    (True, True)
    """
    if band is None:
        if len(scene.bands) > 1:
            raise ProductMissing(f"the scene has several bands, name one: {', '.join(map(str, scene.bands))}")
        band = scene.bands[0]
    model = model_counts(scene, scene.pointing(obs_id), instrument, band)
    wanted = np.asarray(mask, dtype=bool)
    if wanted.shape != model.source.shape:
        raise ShapeMismatch(f"the mask has shape {wanted.shape}, the image {model.source.shape}")
    return float(model.source[wanted].sum()), float((model.background + model.out_of_time)[wanted].sum())


def detected_regions(scene: Scene, pointing: Pointing) -> tuple[Region, ...]:
    """Return what a source detection on one observation would draw: ellipses in 0-based pixels of its image.

    Returns
    -------
    tuple of Region
        A red circle for each point source that leaves at least ten counts on the detectors, as large as it takes to
        leave no more than about ten outside (14 to 40 arcsec), then green ones for the cluster and other extended
        sources.
    """
    regions = []
    for source in scene.sources:
        x, y = _pixel_of(source, pointing.grid)
        counts = _counts_at(source, pointing, (x, y))
        if counts >= _DETECTED:
            king = _king_at((x, y), pointing.grid, "mos1", SOFT)
            inner = radius_holding(1 - _DETECTED / counts, king)
            radius = float(np.clip(inner, *_REGION_ARCSEC)) / 3600 / pointing.grid.pixel_deg
            regions.append(_ellipse(x, y, (radius, radius), 0.0, "red"))
    for cluster in scene.diffuse:
        x, y = _pixel_of(cluster, pointing.grid)
        size = 2 * cluster.core_arcsec / 3600 / pointing.grid.pixel_deg
        regions.append(_ellipse(x, y, (size, size), 0.0, "green"))
    return tuple(regions)


def _ellipse(x: float, y: float, size: tuple[float, float], angle_deg: float, colour: str) -> Region:
    return Region(shape="ellipse", frame="image", x=x, y=y, size=size, angle_deg=angle_deg, colour=colour)


def _counts_at(source: Source, pointing: Pointing, pixel: tuple[float, float]) -> float:
    """Return the counts in 0.5-2.0 keV of a point source on all cameras, from the exposure at its position."""
    column, row = (round(v) for v in pixel)
    if not (0 <= column < pointing.grid.nx and 0 <= row < pointing.grid.ny):
        return 0.0
    total = 0.0
    for camera in pointing.exposures:
        seen = geometry(pointing.grid, camera.instrument, pointing.pa_deg, camera.lost_chips)
        response = response_image(seen, SOFT)[row, column]
        total += source.rate_in(camera.instrument, SOFT) * camera.live_s * float(response)
    return total


def blank_field(
    seed: int | np.random.Generator, *, counts_per_pixel: float, grid: PixelGrid | None = None,
    instrument: str = "pn", exposure_s: float = 10_000.0,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:  # fmt: skip
    """Return an image of empty sky, with chip gaps and vignetting, to test how often chance looks like a source.

    Parameters
    ----------
    seed
        Seed or generator of the noise.
    counts_per_pixel
        Mean counts on the optical axis; elsewhere in proportion to the exposure.
    grid
        Default: the default image grid, 512 x 512.
    instrument
        Camera whose layout is used.
    exposure_s
        Exposure on the optical axis.

    Returns
    -------
    counts : ndarray of int32, shape (ny, nx)
    exposure : ndarray of float32, shape (ny, nx), s
        Both read-only.

    Raises
    ------
    InvalidRecord
        If there is no such camera, or a number is negative.

    Examples
    --------
    >>> counts, exposure = blank_field(1, counts_per_pixel=0.5)
    >>> counts.shape, float(exposure.max()) <= 10_000, bool((counts[exposure == 0] == 0).all())
    ((512, 512), True, True)
    """
    if instrument not in EFFICIENCY:
        raise InvalidRecord(f"no camera is called {instrument!r}: use one of {', '.join(EFFICIENCY)}")
    if not (counts_per_pixel >= 0 and exposure_s >= 0):
        raise InvalidRecord(f"counts and exposure must not be negative, got {counts_per_pixel} and {exposure_s}")
    seen = geometry(PixelGrid.from_sky_range(0.0, 0.0) if grid is None else grid, instrument)
    response = response_image(seen, SOFT)
    counts = np.random.default_rng(seed).poisson(counts_per_pixel * response).astype(np.int32)
    exposure = (exposure_s * response).astype(np.float32)
    return np.asarray(read_only(counts), dtype=np.int32), np.asarray(read_only(exposure), dtype=np.float32)
