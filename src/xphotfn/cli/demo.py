"""The demo: simulate event lists of known truth, make the whole journey on them, and compare.

Images of two bands are made from the event lists, which are read once for both; exposure maps are found beside them.
"""

import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve

from xphotfn.cli.comparison import compare, comparison_table
from xphotfn.engines.native.engine import native_engine
from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.graph.maps import combined_rate_map, rate_maps
from xphotfn.graph.plan import describe
from xphotfn.graph.recipes import plan_photometry
from xphotfn.graph.result import Run, raise_for_failures
from xphotfn.graph.run import run
from xphotfn.graph.run_sources import detected_field, source_lists
from xphotfn.io.find import find_observations
from xphotfn.io.match import match_observations
from xphotfn.io.products import RateMap
from xphotfn.io.source_files import write_source_list
from xphotfn.io.write import publish, write_fits
from xphotfn.measure.masks import mask
from xphotfn.measure.peak import find_peak
from xphotfn.measure.signal_to_noise import snr_ranking
from xphotfn.records.band import Band
from xphotfn.records.field import Field, with_centre
from xphotfn.reports.summary import info
from xphotfn.science.coords import separation_deg
from xphotfn.simulate.observing import Truth, simulate_observations
from xphotfn.simulate.scene import SOFT, default_scene

__all__ = ("run_demo",)

MARKER = "xphotfn-demo.txt"
REGION = "r500"
_SAME_ARCSEC = 12.0
HARD = Band(lo_ev=2000, hi_ev=10_000)


def run_demo(
    folder: str | Path, *, seed: int = 42, workers: int | None = None, detect: bool = False,
    say: Callable[[str], Any] = print,
) -> str:  # fmt: skip
    """Simulate, measure and compare; write data, products, pictures and tables under ``folder``.

    Parameters
    ----------
    folder
        New, or of an earlier demo, which is replaced.
    seed
        Seed of the simulated photons.
    workers
        Threads; default 90 % of the cores.
    detect
        Whether there are no region files: the sources are found, mask, and are written where the files would be.
    say
        Called with a line of text as the work goes on.

    Returns
    -------
    str
        The comparison of recovered and true values, as a table for people.

    Raises
    ------
    InvalidFile
        If the folder holds other things than an earlier demo.
    """
    root = _fresh(Path(folder))
    say(f"simulating two observations of a cluster with pn, MOS1 and MOS2 under {root / 'data'} (seed {seed})")
    scene = evolve(default_scene(), bands=(SOFT, HARD))
    truth = simulate_observations(root / "data", seed=seed, scene=scene, products=("events",))
    if truth.cluster is None:
        raise InvalidRecord("the demo needs a scene with a cluster")
    region_files = _without_regions(root / "data") if detect else {}
    field = match_observations(truth.cluster.target, find_observations(root / "data"))
    plan = plan_photometry(field, truth.scene.bands)
    say(describe(plan))
    how: dict[str, Any] = {"engine": native_engine(), "store": root / "store", "workers": workers}
    raise_for_failures(run(plan, **how))
    soft = plan_photometry(field, SOFT, regions="detect" if detect else None)
    result = raise_for_failures(run(soft, progress=detect, **how))  # images and maps are there already
    field = _with_found(result, region_files) if detect else field
    combined = combined_rate_map(result)
    field = with_centre(field, find_peak(combined, field))
    table = comparison_table(compare(truth, field, result))
    found = _found(truth, result) if detect else []
    text = "\n".join(["", str(info(field, run=result)), "", *found, table, "", _written(root, field, result, detect)])
    with publish(root / "recovered.txt", overwrite=True) as path:
        path.write_text(table + "\n", encoding="utf-8")
    return text


def _without_regions(folder: Path) -> dict[str, Path]:
    """Take the region files of simulated observations away, and return their names by ObsID."""
    files = {path.parent.name: path for path in sorted(folder.glob("*/*.reg"))}
    for path in files.values():
        path.unlink()
    return files


def _with_found(result: Run, files: Mapping[str, Path]) -> Field:
    """Write the regions that a run has found, and return its field with them."""
    for obs_id, sources in source_lists(result).items():
        write_source_list(sources, files[obs_id])
    return detected_field(result)


def _found(truth: Truth, result: Run) -> list[str]:
    """Return a line for each list of sources: how many of the true points it has, and what else."""
    lines = []
    for obs_id, sources in source_lists(result).items():
        places = np.array([[s.ra_deg, s.dec_deg] for s in sources.points]).reshape(-1, 2)
        apart = [separation_deg(s.ra_deg, s.dec_deg, *places.T) * 3600 for s in truth.scene.sources]
        hits = sum(bool(np.any(distance < _SAME_ARCSEC)) for distance in apart)
        lines.append(f"{obs_id}: {hits} of {len(apart)} true point sources are among {sources}")
    return [*lines, ""]


def _fresh(root: Path) -> Path:
    if root.exists():
        if not (root / MARKER).is_file() and (not root.is_dir() or any(root.iterdir())):
            raise InvalidFile(str(root), "is not an earlier demo and is left as it was: give another --output folder")
        shutil.rmtree(root)
    try:
        root.mkdir(parents=True)
        (root / MARKER).write_text("Made by `xphotfn demo`, which may replace everything in this folder.\n")
    except OSError as error:
        why = f"cannot be written ({error.strerror or error}): give a place that you may write to"
        raise InvalidFile(str(root), why) from error
    return root


def _written(root: Path, field: Field, result: Run, detect: bool) -> str:
    """Write the combined rate map, the ranking and the pictures, and say what is where."""
    regions = "the regions that were found" if detect else "regions as a user has them"
    combined, maps = combined_rate_map(result), rate_maps(result)
    write_fits(combined, root / "combined_rate.fits")
    table = snr_ranking(maps, field, REGION)
    with publish(root / "snr_ranking.ecsv", overwrite=True) as path:
        table.write(path, format="ascii.ecsv", overwrite=True)
    lines = [
        f"data       {root / 'data'}  (event lists, attitude, {regions})",
        f"products   {root / 'store'}  and {root / 'combined_rate.fits'}",
        f"tables     {root / 'recovered.txt'}, {root / 'snr_ranking.ecsv'}",
        f"pictures   {_pictures(root / 'pictures', field, combined, maps)}",
    ]
    return "\n".join(lines)


def _pictures(folder: Path, field: Field, combined: RateMap, maps: tuple[RateMap, ...]) -> str:
    if find_spec("matplotlib") is None:
        return 'none: matplotlib is missing, pip install "xphotfn[plot]"'
    from xphotfn.plot.view import save_view

    folder.mkdir()
    source, background = mask(combined, field, REGION)
    save_view(combined, folder / "combined.png", cross_hair=field.centre, field=field)
    save_view(combined, folder / "combined_masked.png", mask=source | background, zoom_in=True)
    for item in maps:
        save_view(item, folder / f"{item.obs_id}_{item.instrument}.png", cross_hair=field.centre)
    return f"{folder}  ({len(maps) + 2} PNG files)"
