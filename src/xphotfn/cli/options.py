"""Options that several commands share."""

import math
import os
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from xphotfn.cli.output import NO_PROGRESS, QUIET

__all__ = ("ABOVE_ZERO", "FRACTION", "LAYOUT", "NUMBER", "PATH", "PREFER", "background", "bands", "engine", "extent",
           "flares", "json_option", "method", "output", "overwrite", "part", "peak", "place_options",
           "position_options", "progress", "quiet", "root", "run", "run_options", "selection", "store", "table_options",
           "target_options", "threshold", "together", "which_files", "workers")  # fmt: skip

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class _FilePath(click.Path):
    """A path that a file system can hold."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        text = os.fsdecode(value)
        if "\0" in text:
            self.fail("a path cannot hold the zero byte", param, ctx)
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):
            self.fail(f"{text} is an address: give a path on a file system, such as a mount of it", param, ctx)
        if any(len(os.fsencode(part)) > _LONGEST_NAME for part in Path(text).parts) or len(text) > _LONGEST_PATH:
            self.fail(f"{text[:40]}... is longer than the name of a file can be", param, ctx)
        return super().convert(value, param, ctx)


class _Number(click.FloatRange):
    """A number that is one: neither nan nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no finite number", param, ctx)
        return found


_LONGEST_NAME, _LONGEST_PATH = 255, 4096
PATH = _FilePath(path_type=Path)
NUMBER, ABOVE_ZERO, FRACTION = _Number(), _Number(min=0, min_open=True), _Number(0, 1)


def together(*options: Decorator) -> Decorator:
    """Return several options as one decorator, in the order in which the help shows them."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


PREFER, LAYOUT = "xphotfn.prefer", "xphotfn.layout"


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def keep(ctx: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        ctx.meta[name] = value
        return value

    return keep


quiet = click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, callback=_remember(QUIET), help="Say only errors on stderr."
)  # fmt: skip
progress = click.option(
    "--no-progress", is_flag=True, expose_value=False, callback=_remember(NO_PROGRESS), help="Show no progress bar."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
output = click.option(
    "-o", "--output", type=PATH, metavar="TABLE", help="Write a .csv, .ecsv, .fits, .vot or .parquet table."
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace an existing file.")
workers = click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Threads; default 90 % of the cores.")
bands = click.option(
    "--band",
    "bands",
    multiple=True,
    default=("0.5-2.0keV",),
    show_default=True,
    metavar="LO-HI",
    help="Energy band such as 0.5-2.0keV; may be repeated.",
)
background = click.option(
    "--background",
    show_default="1.05,1.5; around point sources at least 60arcsec,90arcsec",
    metavar="IN,OUT",
    help="Edges of the background ring: factors of the radius, or radii such as 40arcsec,60arcsec.",
)
selection = click.option(
    "--selection",
    metavar="EXPR",
    help="Event selection in SAS's language, such as 'gti(good.fits,TIME)'; default: good flags and patterns.",
)
flares = click.option(
    "--flares",
    default="auto",
    show_default=True,
    metavar="HOW",
    help="What is done about flares in raw event lists: optimum (best signal-to-noise), quiet (none left), the same "
    "for all cameras of an observation as one (joint-optimum, joint-quiet), keep, a condition such as 'RATE<=0.4', or "
    "a file of good times; auto: optimum, and lists that were cut are left alone.",
)
peak = click.option(
    "--peak/--no-peak",
    default=None,
    help="Measure on the X-ray peak, where there is one within the region that is significant and away from its rim, "
    "from edges and gaps; or at the given position. Default: the peak for clusters (--kind), the position for others.",
)
engine = click.option(
    "--engine",
    type=click.Choice(["native", "sas", "auto"]),
    default="native",
    show_default=True,
    help="What executes the commands: xphotfn's own interpreter, SAS, or SAS where it is ready (auto).",
)
store = click.option(
    "--store",
    type=PATH,
    default=Path("xphotfn-store"),
    show_default=True,
    help="Folder of the products; what is there is used.",
)
run = click.option("--run", metavar="ID", help="One run of the store, as `xphotfn runs` names it; default all of them.")
part = click.option(
    "--part",
    metavar="I/N",
    help="Only the I-th of N parts of the work, from 1, for jobs that share nothing but the store, such as those of a "
    "job array: --part $SLURM_ARRAY_TASK_ID/100. What several parts make together is made by the one that ends last.",
)
root = click.argument("root", type=PATH)
which_files = together(
    click.option(
        "--prefer",
        multiple=True,
        expose_value=False,
        callback=_remember(PREFER),
        metavar="FILE",
        help="A file to use where several are for one place: a name, a path, or a pattern such as '*_clean.fits'; or "
        "an exposure such as S001. May be repeated.",
    ),
    click.option(
        "--layout",
        multiple=True,
        expose_value=False,
        callback=_remember(LAYOUT),
        metavar="KIND=TEMPLATE",
        help="Where files are whose headers do not say what they are, such as "
        "image='{obs_id}/{instrument}-{lo}-{hi}keV.fits'. May be repeated.",
    ),
)


class _Definitions(click.Choice):  # type: ignore[type-arg]  # generic since click 8.2
    """The definitions of the significance, read when a command is used: `xphotfn --help` loads no numpy for them."""

    def __init__(self, *, few_counts: bool) -> None:
        self.case_sensitive, self._few_counts = True, few_counts

    @cached_property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names."""
        from xphotfn.science.significance import FOR_FEW_COUNTS
        from xphotfn.science.snr_methods import METHODS

        return FOR_FEW_COUNTS if self._few_counts else tuple(METHODS)


def method(*, few_counts: bool = False) -> Decorator:
    """Return the option that names the definition of the significance: one of all, or of those for few counts."""
    choice = _Definitions(few_counts=few_counts)
    return click.option("--method", default="mid-p", show_default=True, type=choice, help="Definition of significance.")


threshold = click.option(
    "--threshold",
    type=_Number(min=4),
    metavar="ML",
    help="Least likelihood (TIED_ML); default 10: by chance about 0.1 source a field reach 10, and some 5 reach 6.",
)
extent = click.option(
    "--extent/--no-extent", default=None, help="Whether extended sources are looked for; default they are."
)

position_options = together(
    click.option("--ra", help="RA: degrees, with a unit such as 9h58m22s, or 09:58:22, which is hours."),
    click.option("--dec", help="Dec: degrees, with a unit such as -11d03m35s, or -11:03:35."),
    click.option(
        "--name", help="Name of the target; without --ra and --dec its position is asked of the CDS (SIMBAD)."
    ),
)

place_options = together(
    click.option(
        "--positions", type=PATH, metavar="TABLE", help=".csv, .txt, .ecsv, .fits, .vot or .parquet with ra, dec; name."
    ),
    position_options,
    click.option("--radius", metavar="R", help="Radius such as 20arcsec; default the table's column radius (arcsec)."),
    click.option("--band", "bands", multiple=True, metavar="LO-HI", help="Energy band; may be repeated; default all."),
)

target_options = together(
    root,
    which_files,
    position_options,
    click.option(
        "--radius",
        "radii",
        multiple=True,
        metavar="R",
        help="Radius such as 1200kpc, 5arcmin or 30arcsec; r500 and so on with --targets. May be repeated. Needed to "
        "measure one target; what is made does not depend on it.",
    ),
    click.option("--redshift", type=ABOVE_ZERO, help="Redshift; needed for a radius in kpc."),
    click.option(
        "--kind",
        type=click.Choice(["point", "extended", "cluster"]),
        help="What the target is: which regions are its own and which are masked, and whether `snr` looks for a peak. "
        "Default: a cluster with --redshift and a radius in kpc; else a plain position, measured where it is, to which "
        "every region that holds it belongs.",
    ),
    click.option(
        "--targets",
        type=PATH,
        metavar="TABLE",
        help="A sample instead of one target: .csv, .txt, .ecsv, .fits, .vot or .parquet with name, ra, dec and, "
        "where known, redshift (z), r500, r200, radius, kind.",
    ),
    click.option(
        "--within", default="30arcmin", show_default=True, metavar="R", help="Largest distance from a pointing."
    ),
    click.option(
        "--region-image",
        metavar="NAME",
        help="File of the image whose pixels region files in the frame image mean (* stands for anything); needed "
        "where images of several binnings lie beside them.",
    ),
    click.option(
        "--regions",
        type=click.Choice(["files", "detect"]),
        default="files",
        show_default=True,
        help="Whose regions mask other sources: those of files beside the data, or of the sources that are found in "
        "each observation (in the softest band, where there are several); how, say --threshold and --extent.",
    ),
    threshold,
    extent,
    bands,
    selection,
    flares,
    click.option("--reference", metavar="OBSID", help="ObsID whose image sets the mosaic's grid; default the lowest."),
    json_option,
)

run_options = together(
    store,
    engine,
    workers,
    click.option(
        "--scheduler",
        default="threads",
        show_default=True,
        metavar="WHERE",
        help="threads, synchronous, or the address of a dask scheduler such as tcp://host:8786.",
    ),
    click.option("--tries", type=click.IntRange(min=1), default=1, show_default=True, help="Tries for each command."),
    quiet,
    progress,
)

table_options = together(run, json_option, output, overwrite, which_files, quiet)
