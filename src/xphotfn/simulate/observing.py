"""Simulated observations with a known truth: counts images or event lists, exposure maps and region files on disk.

From a :class:`Scene` to the expected counts of a pixel everything is pure; only :func:`simulate_observations`
touches the disk. Each image draws from a random generator of its own, made from the seed, the ObsID, the camera and
the band: leaving a camera or band out changes no other image. So does each event list, for all its energies.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, final

import astropy.units as u
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.io.write import publish, write_image
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.simulate.event_files import (
    attitude_name,
    event_list_name,
    good_time_name,
    write_attitude,
    write_event_list,
    write_good_time,
)
from xphotfn.simulate.file_headers import exposure_cards, image_cards, product_name, region_text
from xphotfn.simulate.model import (
    ModelCounts,
    blank_field,
    detected_regions,
    expected_counts,
    model_counts,
    source_counts,
)
from xphotfn.simulate.photons import random_of_list, simulate_events
from xphotfn.simulate.scene import (
    EFFICIENCY,
    SOFT,
    CameraExposure,
    Cluster,
    Pointing,
    Scene,
    Source,
    default_scene,
)

__all__ = (
    "PRODUCTS",
    "CameraExposure",
    "Cluster",
    "ModelCounts",
    "Pointing",
    "Scene",
    "Source",
    "Truth",
    "blank_field",
    "default_scene",
    "expected_counts",
    "model_counts",
    "simulate_observations",
)

PRODUCTS = ("image", "exposure_map", "events")
"""What can be simulated; the attitude files come with the events, region files always."""


@final
@frozen(kw_only=True)
class Truth:
    """What was simulated, to compare measurements with.

    Parameters
    ----------
    scene
        The scene: cluster, sources, pointings, bands.
    seed
        Seed of the noise.
    folder
        Where the files are.
    files
        Their names in ``folder``.
    """

    scene: Scene
    seed: int
    folder: str
    files: tuple[str, ...]

    @property
    def cluster(self) -> Cluster | None:
        """The cluster with the parameters of its beta model, or None."""
        return self.scene.cluster

    @property
    def positions(self) -> u.Quantity:
        """Positions of the point sources, shape (N, 2), degrees."""
        return u.Quantity(np.array([(s.ra_deg, s.dec_deg) for s in self.scene.sources]).reshape(-1, 2), u.deg)

    def rates(self, instrument: str, band: Band = SOFT) -> u.Quantity:
        """Return the on-axis count rates of the point sources in a camera, shape (N,), ct/s; default 0.5-2.0 keV."""
        return u.Quantity([s.rate_in(instrument, band) for s in self.scene.sources], u.ct / u.s)

    def expected_counts(
        self, obs_id: str, instrument: str, mask: NDArray[np.bool_], band: Band | None = None
    ) -> tuple[float, float]:
        """Return the expected source and background counts under a mask; as :func:`expected_counts` of the scene."""
        return expected_counts(self.scene, obs_id, instrument, mask, band)

    def table(self) -> Any:
        """Return what every source is expected to leave in every image, as an astropy Table.

        Columns ``source``, ``ra``, ``dec``, ``obs_id``, ``instrument``, ``band``, ``rate`` (on axis) and ``counts``
        (on the detector, in time).
        """
        from astropy.table import QTable

        rows = [
            (item.name, item.ra_deg, item.dec_deg, pointing.obs_id, camera.instrument, str(band), rate, counts)
            for pointing in self.scene.pointings
            for camera in pointing.exposures
            for band in self.scene.bands
            for item, rate, counts in _of_sources(self.scene, pointing.obs_id, camera.instrument, band)
        ]
        names = ("source", "ra", "dec", "obs_id", "instrument", "band", "rate", "counts")
        table = QTable(rows=rows, names=names, dtype=(str, float, float, str, str, str, float, float))
        for name, unit in (("ra", u.deg), ("dec", u.deg), ("rate", u.ct / u.s), ("counts", u.ct)):
            table[name].unit = unit
        return table


def _of_sources(
    scene: Scene, obs_id: str, instrument: str, band: Band
) -> Iterator[tuple[Source | Cluster, float, float]]:
    counts = source_counts(scene, obs_id, instrument, band)
    for item, number in zip(scene.all_sources, counts, strict=True):
        yield item, item.rate_in(instrument, band), float(number)


def simulate_observations(
    folder: str | Path,
    *,
    seed: int = 42,
    scene: Scene | None = None,
    overwrite: bool = False,
    products: Iterable[str] = ("image", "exposure_map"),
) -> Truth:
    """Write simulated observations to disk.

    Parameters
    ----------
    folder
        Where to write; made if missing. Each ObsID gets a folder of its own.
    seed
        Equal seeds and scenes give equal bytes.
    scene
        Default :func:`default_scene`: a cluster and twelve point sources, two observations, 0.5-2.0 keV.
    overwrite
        Replace files that are already there.
    products
        Some of ``image``, ``exposure_map`` and ``events``.

    Raises
    ------
    InvalidFile
        If a file exists and ``overwrite`` is False; nothing is written then. If the folder cannot be written to.
    InvalidRecord
        If ``products`` names something else, or nothing.

    Notes
    -----
    Per camera and band a counts image (int32) and an exposure map (float32, s), per camera an event list, per ObsID a
    DS9 region file in image coordinates and, with events, an attitude file. Each file appears whole or not at all.

    Event lists hold 0.2-12 keV in two or three good time intervals between flares. Their record names those
    intervals but no flags and patterns: the default selection, ``#XMMEA_EM && PATTERN <= 12`` (pn: ``#XMMEA_EP``,
    ``<= 4``), drops the 6 % of events that are in no model. An image and the list of an exposure are drawn
    separately: their counts agree with one model, not with each other.

    The list of an exposure with ``cleaned=False`` holds the flares too, and its good time intervals lie beside it in
    ``<obs_id>_<camera>_gti.fits``. Images and exposure maps are always those of the good time.

    Examples
    --------
    >>> import tempfile
    >>> from attrs import evolve
    >>> scene = evolve(default_scene(), pointings=default_scene().pointings[:1])
    >>> truth = simulate_observations(tempfile.mkdtemp(), scene=scene)
    >>> truth.files[:2]
    ('0999990101/0999990101_pn_0.50-2.00keV_img.fits', '0999990101/0999990101_pn_0.50-2.00keV_expmap.fits')
    """
    scene, wanted = default_scene() if scene is None else scene, _wanted(products)
    root, names = Path(folder), _names(scene, wanted)
    there = [name for name in names if (root / name).exists()]
    if there and not overwrite:
        raise InvalidFile(str(root / there[0]), "is already there: give another folder or overwrite=True")
    for pointing in scene.pointings:
        _make_folder(root / pointing.obs_id)
        for camera in pointing.exposures:
            for band in scene.bands:
                _write_products(root, scene, (pointing, camera, band), seed, wanted)
            if "events" in wanted:
                _write_events(root, scene, (pointing, camera), seed)
        if "events" in wanted:
            write_attitude(root / _attitude_path(pointing), pointing)
        image = _pixels(pointing.grid)
        with publish(root / _region_name(pointing), overwrite=True) as path:
            text = region_text(detected_regions(scene, pointing), image)
            path.write_text(text, encoding="ascii", newline="\n")
    return Truth(scene=scene, seed=seed, folder=str(root), files=names)


def _pixels(grid: PixelGrid) -> str:
    """Return the first and last X and Y of a grid and its bin, as region files say which pixels they mean."""
    step = round(grid.dx_sky)
    low = round((grid.x0_sky or 0.0) - (step - 1) / 2)
    return f"{low}:{low + step * grid.nx - 1}:{step}"


def _wanted(products: Iterable[str]) -> tuple[str, ...]:
    given = (products,) if isinstance(products, str) else tuple(products)
    if not given or not set(given) <= set(PRODUCTS):
        raise InvalidRecord(
            f"products must be some of {', '.join(PRODUCTS)}, got {', '.join(map(str, given)) or 'none'}"
        )
    return tuple(p for p in PRODUCTS if p in given)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidFile(str(folder), f"cannot be made: {error.strerror or error}") from error


def _title(scene: Scene) -> str:
    return "blank field" if scene.cluster is None else scene.cluster.name


def _write_products(
    root: Path, scene: Scene, which: tuple[Pointing, CameraExposure, Band], seed: int, wanted: tuple[str, ...]
) -> None:
    """Write the image and the exposure map of one camera in one band, if they are wanted."""
    if wanted == ("events",):
        return
    pointing, camera, band = which
    model = model_counts(scene, pointing, camera.instrument, band)
    image_name, exposure_name = _product_names(*which)
    if "image" in wanted:
        counts = _random(seed, *which).poisson(model.total).astype(np.int32)
        write_image(root / image_name, counts, pointing.grid, image_cards(*which, _title(scene)), overwrite=True)
    if "exposure_map" in wanted:
        exposure, cards = model.exposure.astype(np.float32), exposure_cards(*which, _title(scene))
        write_image(root / exposure_name, exposure, pointing.grid, cards, overwrite=True)


def _write_events(root: Path, scene: Scene, which: tuple[Pointing, CameraExposure], seed: int) -> None:
    """Write the event list of one camera."""
    events = simulate_events(scene, which, random_of_list(seed, *which))
    write_event_list(root / _event_list_path(*which), events, which, _title(scene))
    for name in _good_time_paths(*which):
        write_good_time(root / name, which)


def _random(seed: int, pointing: Pointing, camera: CameraExposure, band: Band) -> np.random.Generator:
    key = (int(pointing.obs_id), tuple(EFFICIENCY).index(camera.instrument), band.lo_ev, band.hi_ev)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _names(scene: Scene, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of all files, in the order in which they are written."""
    names: list[str] = []
    for pointing in scene.pointings:
        for camera in pointing.exposures:
            for band in scene.bands:
                kinds = zip(("image", "exposure_map"), _product_names(pointing, camera, band), strict=True)
                names += [name for kind, name in kinds if kind in wanted]
            if "events" in wanted:
                names += [_event_list_path(pointing, camera), *_good_time_paths(pointing, camera)]
        names += [_attitude_path(pointing)] if "events" in wanted else []
        names.append(_region_name(pointing))
    return tuple(names)


def _product_names(pointing: Pointing, camera: CameraExposure, band: Band) -> tuple[str, str]:
    """Return the names of the image and the exposure map."""
    first, second = (product_name(pointing.obs_id, camera.instrument, band, kind) for kind in ("img", "expmap"))
    return f"{pointing.obs_id}/{first}", f"{pointing.obs_id}/{second}"


def _region_name(pointing: Pointing) -> str:
    return f"{pointing.obs_id}/{pointing.obs_id}_sources.reg"


def _event_list_path(pointing: Pointing, camera: CameraExposure) -> str:
    return f"{pointing.obs_id}/{event_list_name(pointing.obs_id, camera.instrument, cleaned=camera.cleaned)}"


def _good_time_paths(pointing: Pointing, camera: CameraExposure) -> tuple[str, ...]:
    return () if camera.cleaned else (f"{pointing.obs_id}/{good_time_name(pointing.obs_id, camera.instrument)}",)


def _attitude_path(pointing: Pointing) -> str:
    return f"{pointing.obs_id}/{attitude_name(pointing.obs_id)}"
