"""What a background is proportional to, on the command line: maps without vignetting, given or made."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from xphotfn.cli.given_maps import exposure_map_of
from xphotfn.cli.options import FRACTION, PATH
from xphotfn.cli.output import say
from xphotfn.cli.running import run_plan

__all__ = ("made_weights", "out_of_time_option", "weights_of_files", "weights_options")

Function = Callable[..., Any]


def weights_options(command: Function) -> Function:
    """Add the options that say how a background is spread."""
    part = click.option(
        "--vignetted", type=FRACTION, metavar="PHI",
        help="Part of the background on axis that is vignetted like the sky; the rest is particles. Default: all.",
    )  # fmt: skip
    files = click.option(
        "--background-weights", "weight_files", multiple=True, type=PATH, metavar="FITS",
        help="Exposure map without vignetting (withvignetting=no), by which particles are spread; one for each map.",
    )  # fmt: skip
    return part(files(command))


out_of_time_option = click.option(
    "--out-of-time", is_flag=True,
    help="Count the streaks of pn, photons that arrive during the readout, as background.",
)  # fmt: skip


def weights_of_files(files: Sequence[Path], vignetted: float | None) -> Any:
    """Return the weights of maps by files of exposure maps without vignetting; None where there is none."""
    import xphotfn as xp

    if not files and vignetted is not None:
        raise click.UsageError("--vignetted needs the maps without vignetting: --background-weights FITS.")
    if not files:
        return None
    return xp.weights_by_map([exposure_map_of(path) for path in files], fraction=vignetted or 0.0)


def made_weights(plan: Any, files: Sequence[Path], vignetted: float | None, options: Mapping[str, Any]) -> Any:
    """Return the weights of the maps of a plan: of files, or of maps without vignetting that are made now."""
    import xphotfn as xp

    if files or vignetted is None:
        return weights_of_files(files, vignetted)
    bands = list(dict.fromkeys(p.band for p in plan.products))
    say("note: making exposure maps without vignetting for --vignetted")
    flat = xp.plan_exposure_maps(plan.fields, bands, selection=options["selection"], vignetting=False)
    return xp.weights_by_map(xp.rate_maps(run_plan(flat, **options)), fraction=vignetted)
