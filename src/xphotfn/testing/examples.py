"""A tiny field with one rate map, for the examples of the documentation.

The files are written once per process into a temporary folder that is removed at exit.
"""

import atexit
import os
import shutil
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.engines.native.engine import native_engine
from xphotfn.graph.recipes import plan_photometry
from xphotfn.graph.result import Run
from xphotfn.graph.run import run
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.records.field import Field, FieldObservation
from xphotfn.records.observation import Exposure, FoundFile, FoundProduct, Observation
from xphotfn.records.region import Region
from xphotfn.records.source import DetectedObject, DetectedSource, MapRate, SearchedMap
from xphotfn.records.source_list import SourceList
from xphotfn.records.target import galaxy_cluster
from xphotfn.science.coords import deg_to_pix
from xphotfn.simulate.file_headers import exposure_cards, image_cards, product_name
from xphotfn.simulate.scene import SOFT, CameraExposure, Pointing

__all__ = ("example_detection", "example_field", "example_rate_map", "example_run", "example_source_list")

_CAMERA = CameraExposure(instrument="pn", exposure_id="S003", ontime_s=1000.0)
_POINTING = Pointing(obs_id="0999990101", ra_deg=149.591375, dec_deg=-11.0887222222222, exposures=[_CAMERA])
_GRID = _POINTING.grid
_SENSOR_PIX, _BACKGROUND = 240.0, 0.05
_CORE_PIX, _CENTRAL_COUNTS = 6.0, 3000.0
_LOCK = threading.Lock()
_POINTS = ((330.0, 300.0, 150.0), (180.0, 215.0, 90.0), (225.0, 360.0, 60.0))


def example_rate_map() -> RateMap:
    """Return a rate map of 1000 s: one bright compact source at its centre, three faint ones, flat background.

    ObsID 0999990101, pn, 0.5-2.0 keV, 512 x 512 pixels; the exposure is 1000 s on a disc and 0 outside. The same in
    every process but for the folder it lies in.

    Examples
    --------
    >>> rate_map = example_rate_map()
    >>> rate_map.data.shape, float(rate_map.exposure.data.max())
    ((512, 512), 1000.0)
    """
    image, exposure = _files()
    names: dict[str, Any] = {
        "target": "example", "obs_id": _POINTING.obs_id, "exposure_id": _CAMERA.exposure_id,
        "instrument": _CAMERA.instrument, "band": SOFT, "grid": _GRID,
    }  # fmt: skip
    return RateMap(image=Image(path=image.path, **names), exposure=ExposureMap(path=exposure.path, **names))


def example_field() -> Field:
    """Return the field of :func:`example_rate_map`: a cluster at redshift 0.16 in one observation.

    Its target ``example`` lies on the bright source; one green region matches it, three red ones are interlopers.

    Examples
    --------
    >>> field = example_field()
    >>> field.name, field.obs_ids, len(field.members[0].interlopers)
    ('example', ('0999990101',), 3)
    """
    target = galaxy_cluster(
        "example", _GRID.ra_deg, _GRID.dec_deg, redshift=0.16, r500=1200 * u.kpc, r200=1700 * u.kpc
    )  # fmt: skip
    member = FieldObservation(
        observation=_observation(), separation_arcmin=0.0, region_grid=_GRID, match=_match(),
        interlopers=[
            Region(shape="ellipse", frame="image", x=x, y=y, size=(6.0, 6.0), colour="red", line=line)
            for line, (x, y, _) in enumerate(_POINTS, start=3)
        ],
    )  # fmt: skip
    return Field(target=target, members=[member], centre_ra_deg=target.ra_deg, centre_dec_deg=target.dec_deg)


def example_run() -> Run:
    """Return the run of :func:`plan_photometry` on :func:`example_field`, in a store of its own.

    Examples
    --------
    >>> len(example_run().done)
    2
    """
    return _run(os.getpid())


def example_source_list() -> SourceList:
    """Return a list such as a search makes: one extended source and two points, in pn of one observation.

    Examples
    --------
    >>> print(example_source_list())
    3 sources of likelihood >= 10: 2 points, 1 extended in 1 object; about 0.1 of them expected to be false
    """
    ra, dec = _GRID.ra_deg, _GRID.dec_deg
    rows = (
        (ra, dec, 0.4, 1830.0, 3000.0, 56.0),
        (ra - 0.05, dec + 0.02, 1.1, 92.5, 150.0, 13.0),
        (ra + 0.03, dec - 0.04, 1.6, 31.0, 60.0, 9.0),
    )
    return SourceList(
        sources=[_example_source(number, row) for number, row in enumerate(rows, start=1)],
        objects=[
            DetectedObject(number=1, ra_deg=ra, dec_deg=dec, semi_major_arcsec=90.0, semi_minor_arcsec=70.0,
                           position_angle_deg=65.0, sources=[1])
        ],
        maps=[
            SearchedMap(obs_id=_POINTING.obs_id, exposure_id=_CAMERA.exposure_id, instrument=_CAMERA.instrument,
                        band=SOFT, pixel_arcsec=3600 * _GRID.pixel_deg, vignetted=5e-5, flat=0.0,
                        sensitivity=6.85)
        ],
        threshold=10.0, expected_false=0.1, target="example",
    )  # fmt: skip


def _example_source(number: int, row: tuple[float, ...]) -> DetectedSource:
    ra, dec, position_error, det_ml, counts, error = row
    live = _CAMERA.ontime_s
    total = {"counts": counts, "counts_error": error, "rate": counts / live, "rate_error": error / live}
    extent = {"extent_arcsec": 26.0, "extent_error_arcsec": 0.6, "extent_ml": 900.0, "object_number": 1}
    values: dict[str, Any] = {**total, **(extent if number == 1 else {})}
    return DetectedSource(
        number=number, ra_deg=ra, dec_deg=dec, position_error_arcsec=position_error, det_ml=det_ml,
        tied_ml=det_ml, **values,
        rates=[MapRate(**total, exposure_s=live, background=_BACKGROUND, mask_fraction=1.0)],
    )  # fmt: skip


def example_detection() -> Run:
    """Return the run of :func:`plan_photometry` with ``regions="detect"`` on :func:`example_field`.

    Examples
    --------
    >>> [product.kind for product, _, _ in example_detection().products() if product.instrument == "epic"]
    ['source_list', 'regions']
    """
    return _run(os.getpid(), detects=True)


@cache
def _run(process: int, *, detects: bool = False) -> Run:
    folder = tempfile.mkdtemp(prefix="xphotfn-example-")
    atexit.register(_remove, folder, process)
    plan = plan_photometry(example_field(), SOFT, regions="detect" if detects else None)
    return run(plan, engine=native_engine(), store=folder, scheduler="synchronous", progress=False)


def _observation() -> Observation:
    kinds = zip(("image", "exposure_map"), _files(), strict=True)
    exposure = Exposure(
        instrument=_CAMERA.instrument, exposure_id=_CAMERA.exposure_id, filter=_CAMERA.filter,
        submode=_CAMERA.submode, exposure_s=_CAMERA.ontime_s,
        products=[FoundProduct(kind=kind, band=SOFT, grid=_GRID, file=file) for kind, file in kinds],
    )  # fmt: skip
    return Observation(
        obs_id=_POINTING.obs_id, ra_deg=_GRID.ra_deg, dec_deg=_GRID.dec_deg, object_name="example",
        date=_POINTING.date, exposures=[exposure],
    )  # fmt: skip


def _match() -> Region:
    x, y = _centre()
    return Region(shape="ellipse", frame="image", x=x, y=y, size=(20.0, 16.0), angle_deg=30.0, colour="green", line=2)


def _centre() -> tuple[float, float]:
    x, y = deg_to_pix(_GRID, _GRID.ra_deg, _GRID.dec_deg)
    return float(x), float(y)


def _arrays() -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return counts and exposure."""
    x, y = np.arange(_GRID.nx)[None, :], np.arange(_GRID.ny)[:, None]
    x0, y0 = _centre()
    on = np.hypot(x - x0, y - y0) < _SENSOR_PIX
    mean = np.full(_GRID.shape, _BACKGROUND)
    for px, py, counts, core in ((x0, y0, _CENTRAL_COUNTS, _CORE_PIX), *((*point, 1.6) for point in _POINTS)):
        mean += counts / (np.pi * core**2) * (1 + ((x - px) ** 2 + (y - py) ** 2) / core**2) ** -2
    counts_image = np.random.default_rng(2020).poisson(np.where(on, mean, 0.0)).astype(np.int32)
    return counts_image, np.where(on, np.float32(_CAMERA.ontime_s), np.float32(0))


def _files() -> tuple[FoundFile, FoundFile]:
    """Return the image and the exposure map of this process, also where several threads ask at once."""
    with _LOCK:
        return _written(os.getpid())


@cache
def _written(process: int) -> tuple[FoundFile, FoundFile]:
    """Write image and exposure map once per process (a forked child makes its own, so it may clean up at exit)."""
    folder = Path(tempfile.mkdtemp(prefix="xphotfn-example-"))
    atexit.register(_remove, str(folder), process)
    found = []
    for array, kind, cards in zip(_arrays(), ("img", "expmap"), (image_cards, exposure_cards), strict=True):
        path = folder / product_name(_POINTING.obs_id, _CAMERA.instrument, SOFT, kind)
        write_image(path, array, _GRID, cards(_POINTING, _CAMERA, SOFT, "example"))
        stat = path.stat()
        found.append(FoundFile(path=str(path), size=stat.st_size, mtime_ns=stat.st_mtime_ns))
    return found[0], found[1]


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
