"""Commands to look at things: ``view`` and ``report``."""

from pathlib import Path
from typing import Any

import click

from xphotfn.cli import options as shared, values
from xphotfn.cli.given_maps import maps_in, place_of, product_of, run_of
from xphotfn.cli.group import CliCommand
from xphotfn.cli.output import tell, wants_progress
from xphotfn.cli.positions import pair_of
from xphotfn.errors import InvalidRecord, ProductMissing

__all__ = ("report", "view")

_KINDS = {"Image": "image", "ExposureMap": "exposure map", "RateMap": "rate map"}
_WHICH = ("target", "obs_id", "instrument", "band")
_STRETCHES = ("log", "linear", "sqrt", "asinh")


@click.command(
    cls=CliCommand,
    short_help="Draw a map into a picture.",
    examples=(
        "xphotfn view xphotfn-demo/combined_rate.fits -o combined.png --cross-hair 52.31,-33.72 --smooth 8arcsec",
        "xphotfn view xphotfn-demo/store -o pn.png --obs-id 0999990101 --instrument pn --band 0.5-2.0keV",
        "xphotfn view xphotfn-demo/combined_rate.fits -o sources.png "
        "--sources xphotfn-demo/data/0999990101/0999990101_sources.reg",
    ),
)
@click.argument("what", type=shared.PATH)
@click.option("-o", "--output", type=shared.PATH, required=True, metavar="PICTURE", help="Such as map.png or map.pdf.")
@click.option("--exposure", type=shared.PATH, metavar="EXPMAP", help="Exposure map of an image: draw the rate.")
@click.option(
    "--cross-hair",
    "crosses",
    multiple=True,
    metavar="RA,DEC",
    help="Mark a position, such as 149.592,-11.06 or '09:58:22 -11:03:35'; may come twice.",
)
@click.option(
    "--sources",
    type=shared.PATH,
    metavar="LIST",
    help="Draw the sources of a list (as `xphotfn detect` writes it, or the pipeline's) or of a region file (.reg).",
)
@click.option(
    "--significance",
    metavar="R",
    help="Draw the significance of a circle of this radius around each pixel, as `snr` has it, in place of the rate.",
)
@click.option(
    "--stretch",
    type=click.Choice(_STRETCHES),
    show_default="log; linear with --significance",
    help="Scale of colours.",
)
@click.option("--smooth", metavar="SIGMA", help="Smooth, for looking only: width of a Gaussian such as 8arcsec.")
@click.option("--zoom", is_flag=True, help="Show the part with data only.")
@click.option("--obs-id", help="Which map of a store or folder; default the combined one.")
@click.option("--instrument", help="Which map: pn, mos1, mos2.")
@click.option("--band", metavar="LO-HI", help="Which map: its energy band.")
@click.option("--target", help="Which map: its target.")
@shared.run
@shared.overwrite
@shared.which_files
@shared.quiet
def view(
    what: Path, output: Path, exposure: Path | None, crosses: tuple[str, ...], stretch: str | None, smooth: str | None,
    significance: str | None, zoom: bool, overwrite: bool, run: str | None, sources: Path | None, **which: str | None,
) -> None:  # fmt: skip
    """Draw an image, an exposure map or a rate map on the sky.

    WHAT is a file, or a store or folder of which --obs-id, --instrument, --band and --target choose one map.
    """
    import astropy.units as u

    import xphotfn as xp

    if significance is not None and smooth is not None:
        raise click.UsageError(
            "--significance and --smooth exclude each other: circles overlap, and are smooth as it is."
        )
    radius = None if significance is None else values.radius(significance, "--significance")
    sigma = None if smooth is None else values.radius(smooth, "--smooth")
    marks = [pair_of(text, "--cross-hair") for text in crosses] * u.deg if crosses else None
    drawn = None if sources is None else _sources_of(sources)
    if what.is_dir():
        product = _chosen(what, which, run)
    elif run or any(which.values()):
        raise InvalidRecord(f"{what} is one file: --obs-id, --instrument, --band, --target, --run choose from a folder")
    else:
        product = product_of(what, exposure)
    shown = product if radius is None else _significance(product, radius)
    colours = stretch or ("log" if radius is None else "linear")
    xp.save_view(
        shown, output, cross_hair=marks, stretch=colours, smooth=sigma, zoom_in=zoom, overwrite=overwrite,
        sources=drawn,
    )  # fmt: skip
    tell(f"{output}: {_called(product) if radius is None else shown.title}")


def _significance(product: Any, radius: Any) -> Any:
    """Return the significance of a circle around each pixel, as something to be drawn."""
    import xphotfn as xp
    from xphotfn.io.on_grid import ArrayOnGrid

    if not isinstance(product, xp.RateMap):
        raise InvalidRecord("--significance needs counts and exposure: give a rate map, or an image with --exposure")
    return ArrayOnGrid(
        data=xp.significance_map(product, radius=radius),
        grid=product.grid,
        title=f"Significance of {product}",
        meaning=f"Significance in a circle of {radius:g} ($\\sigma$)",
    )


def _called(product: Any) -> str:
    """Return what was drawn, in a few words."""
    kind = _KINDS.get(type(product).__name__)
    if kind is None:
        return str(product)  # a map of limits says all of it
    who = " ".join(dict.fromkeys(filter(None, (product.obs_id, product.instrument, product.exposure_id))))
    return f"{kind} {who}, {product.band}"


def _sources_of(path: Path) -> Any:
    """Return the list of a FITS file, or the regions of a region file."""
    import xphotfn as xp

    return xp.read_regions(path) if path.suffix.lower() == ".reg" else xp.read_source_list(path)


def _chosen(folder: Path, which: dict[str, str | None], run: str | None) -> Any:
    """Return the one map that was asked for; where nothing tells several apart, the combined one."""
    from xphotfn.records.instrument import instrument

    bands = [values.band(which["band"])] if which["band"] else []
    place = place_of(folder, run)
    maps = maps_in(folder, place, bands, combined=True)
    asked: dict[str, Any] = {n: v for n, v in which.items() if v and n != "band"}
    if "instrument" in asked:
        asked["instrument"] = instrument(asked["instrument"]).name
    if "obs_id" not in asked and "instrument" not in asked and any(m.is_mosaic for m in maps):
        asked["obs_id"] = "combined"
    fitting = {m.files: m for m in maps if all(getattr(m, name) == value for name, value in asked.items())}
    if len(fitting) == 1:
        return place.opened(tuple(fitting.values()))[0]
    shown = tuple(fitting.values()) or maps
    there = {name: dict.fromkeys(str(getattr(m, name)) for m in shown) for name in _WHICH}
    open_ = [name for name, found in there.items() if len(found) > 1 or (not fitting and name in asked)]
    choices = [f"--{name.replace('_', '-')} ({', '.join(there[name])})" for name in open_]
    raise ProductMissing(f"{len(fitting) or 'none'} of the maps of {folder} fit: choose with {', '.join(choices)}")


@click.command(
    cls=CliCommand,
    short_help="Write a report as web pages.",
    examples=("xphotfn report xphotfn-demo/store -o report",),
)
@click.argument("store", type=shared.PATH)
@click.option("-o", "--output", type=shared.PATH, required=True, metavar="FOLDER", help="Folder of the report.")
@click.option("--region", metavar="R", help="Region to measure: r500, or a radius such as 3arcmin; default each own.")
@shared.method()
@shared.peak
@click.option("--title", help="Title of the report.")
@shared.run
@shared.quiet
@shared.progress
def report(
    store: Path, output: Path, region: str | None, method: str, peak: bool | None, title: str | None, run: str | None
) -> None:
    """Write a report of the runs of a store, of one target or a sample, as web pages with pictures and tables."""
    import xphotfn as xp

    chosen = None if region is None else values.region(region, "--region")
    path = xp.report(
        run_of(store, run), output, region=chosen, method=method, title=title, peak=peak, progress=wants_progress()
    )
    tell(str(path))
