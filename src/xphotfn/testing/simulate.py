"""Simulated observations with a known truth: counts images, exposure maps and region files on disk.

From a :class:`Scene` to the expected counts of a pixel everything is pure; only :func:`simulate_observations`
touches the disk. Each image draws from a random generator of its own, made from the seed, the ObsID, the camera and
the band: leaving a camera or band out changes no other image.
"""

from pathlib import Path
from typing import final

import astropy.units as u
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile
from xphotfn.io.write import publish, write_image
from xphotfn.records.band import Band
from xphotfn.testing.files import exposure_cards, image_cards, product_name, region_text
from xphotfn.testing.model import ModelCounts, blank_field, detected_regions, expected_counts, model_counts
from xphotfn.testing.scene import (
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


def simulate_observations(
    folder: str | Path, *, seed: int = 42, scene: Scene | None = None, overwrite: bool = False
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

    Returns
    -------
    Truth

    Raises
    ------
    InvalidFile
        If a file exists and ``overwrite`` is False; nothing is written then. If the folder cannot be written to.

    Notes
    -----
    Per camera and band a counts image (int32) and an exposure map (float32, s), per ObsID a DS9 region file in image
    coordinates. Each file appears whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> from attrs import evolve
    >>> scene = evolve(default_scene(), pointings=default_scene().pointings[:1])
    >>> truth = simulate_observations(tempfile.mkdtemp(), scene=scene)
    >>> truth.files[:2]
    ('0999990101/0999990101_pn_0.50-2.00keV_img.fits', '0999990101/0999990101_pn_0.50-2.00keV_expmap.fits')
    """
    scene = default_scene() if scene is None else scene
    root, names = Path(folder), _names(scene)
    there = [name for name in names if (root / name).exists()]
    if there and not overwrite:
        raise InvalidFile(str(root / there[0]), "is already there: give another folder or overwrite=True")
    for pointing in scene.pointings:
        _make_folder(root / pointing.obs_id)
        for camera in pointing.exposures:
            for band in scene.bands:
                _write_products(root, scene, (pointing, camera, band), seed)
        with publish(root / _region_name(pointing), overwrite=True) as path:
            path.write_text(region_text(detected_regions(scene, pointing)), encoding="ascii", newline="\n")
    return Truth(scene=scene, seed=seed, folder=str(root), files=names)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidFile(str(folder), f"cannot be made: {error.strerror or error}") from error


def _write_products(root: Path, scene: Scene, which: tuple[Pointing, CameraExposure, Band], seed: int) -> None:
    """Write the image and the exposure map of one camera in one band."""
    pointing, camera, band = which
    title = "blank field" if scene.cluster is None else scene.cluster.name
    model = model_counts(scene, pointing, camera.instrument, band)
    counts = _random(seed, *which).poisson(model.source + model.background).astype(np.int32)
    exposure = model.exposure.astype(np.float32)
    image_name, exposure_name = _product_names(*which)
    write_image(root / image_name, counts, pointing.grid, image_cards(*which, title), overwrite=True)
    write_image(root / exposure_name, exposure, pointing.grid, exposure_cards(*which, title), overwrite=True)


def _random(seed: int, pointing: Pointing, camera: CameraExposure, band: Band) -> np.random.Generator:
    key = (int(pointing.obs_id), tuple(EFFICIENCY).index(camera.instrument), band.lo_ev, band.hi_ev)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _names(scene: Scene) -> tuple[str, ...]:
    """Return the names of all files, in the order in which they are written."""
    names: list[str] = []
    for pointing in scene.pointings:
        for camera in pointing.exposures:
            for band in scene.bands:
                names += _product_names(pointing, camera, band)
        names.append(_region_name(pointing))
    return tuple(names)


def _product_names(pointing: Pointing, camera: CameraExposure, band: Band) -> tuple[str, str]:
    """Return the names of the image and the exposure map."""
    first, second = (product_name(pointing.obs_id, camera.instrument, band, kind) for kind in ("img", "expmap"))
    return f"{pointing.obs_id}/{first}", f"{pointing.obs_id}/{second}"


def _region_name(pointing: Pointing) -> str:
    return f"{pointing.obs_id}/{pointing.obs_id}_sources.reg"
