"""Draw the pictures that the scripts in benchmarks/ make, into docs/pictures.

Those of the exposure maps need the real observations. Where they are not at hand a picture says so, so that the
pages build everywhere.
"""

import os
import sys
import warnings
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]
BENCHMARKS = DOCS.parent / "benchmarks"
PACKAGE = DOCS.parent / "src" / "xphotfn"
ROOMS = ("engines/native", "science/detection", "data")


def newest() -> float:
    """Return when the code behind the pictures last changed."""
    files = [p for room in ROOMS for p in (PACKAGE / room).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return max(p.stat().st_mtime for p in (*files, *BENCHMARKS.glob("*.py"), Path(__file__)))


def fresh(*paths: Path) -> bool:
    """Tell whether pictures are there and younger than the code."""
    return all(p.exists() and p.stat().st_mtime > newest() for p in paths)


def draw_statistics(folder: Path) -> None:
    """Draw coverage, blank sky, blank fields and growth from the tables of numbers in docs/tables."""
    import bench_scaling
    import blank_fields
    import statistics_tables

    drawings = {
        "coverage": statistics_tables.draw_coverage,
        "blank_sky": statistics_tables.draw_blank_sky,
        "blank_fields": blank_fields.draw_blank_fields,
        "scaling": bench_scaling.draw,
    }
    for name, draw in drawings.items():
        if (DOCS / "tables" / f"{name}.csv").is_file():
            draw(folder / f"{name}.png")
        else:
            draw_note(folder / f"{name}.png", f"this picture needs docs/tables/{name}.csv, which --write makes")


def draw_exposure_ratios(folder: Path) -> None:
    """Draw native against SAS's exposure maps, or a note where the real data are not at hand."""
    import exposure_accuracy

    paths = {camera: folder / f"exposure_ratio_{camera}.png" for camera in exposure_accuracy.CAMERAS}
    data = exposure_accuracy.data_folder()
    if data is None:
        for camera, path in paths.items():
            draw_note(path, f"{camera}: this picture needs the real observations (XPHOTFN_TEST_DATA)")
            os.utime(path, (0, 0))  # older than the code, so that it is drawn once the data are there
        return
    if fresh(*paths.values()):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        maps: dict[str, list[Any]] = {camera: [] for camera in paths}
        for obs_id, camera, band, _, ratio in exposure_accuracy.all_comparisons(data, other_sampling=False):
            maps[camera].append((obs_id, band, ratio))
    for camera, path in paths.items():
        exposure_accuracy.picture(path, camera, maps[camera])


def draw_detection(folder: Path) -> None:
    """Draw the search of the example: its sources, its significance, what its fits leave, and a selection function."""
    import detection_completeness
    from matplotlib.figure import Figure

    import xphotfn as xp
    from xphotfn.reports.detected import draw_residual
    from xphotfn.testing.examples import example_detection

    names = ("detection_sources", "detection_significance", "detection_residual", "completeness")
    paths = {name: folder / f"{name}.png" for name in names}
    if fresh(*paths.values()):
        return
    run = example_detection()
    item, found = xp.rate_maps(run)[0], xp.source_lists(run)
    xp.save_view(item, paths["detection_sources"], sources=found, smooth="8 arcsec", dpi=80, overwrite=True)
    significance = xp.detection_map(item)
    xp.save_view(significance, paths["detection_significance"], like=item, stretch="asinh", dpi=80, overwrite=True)
    figure = Figure(figsize=(9, 4), layout="constrained")
    draw_residual(figure, run, "0999990101")
    figure.savefig(paths["detection_residual"], dpi=80, metadata={"Software": None})
    if detection_completeness.TABLE.is_file():
        detection_completeness.draw_completeness(paths["completeness"])
    else:
        draw_note(paths["completeness"], "this picture needs docs/tables/completeness.csv, which --write makes")


def draw_note(path: Path, words: str) -> None:
    """Draw a sentence where a picture cannot be made."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 1.0), layout="constrained")
    figure.text(0.5, 0.5, words, ha="center", va="center")
    figure.savefig(path, dpi=90, metadata={"Software": None})


def make(app: Any) -> None:
    """Draw all pictures that are missing."""
    del app
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    folder = DOCS / "pictures"
    folder.mkdir(exist_ok=True)
    draw_statistics(folder)
    draw_exposure_ratios(folder)
    draw_detection(folder)


def setup(app: Any) -> dict[str, bool]:
    """Draw before the pages are read."""
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
