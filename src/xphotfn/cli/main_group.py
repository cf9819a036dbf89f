"""The group of all commands: ``xphotfn COMMAND``."""

import click

from xphotfn.cli.catalogues import hardness, limits
from xphotfn.cli.cleaning import clean, lightcurve
from xphotfn.cli.detecting import detect
from xphotfn.cli.fetching import fetch
from xphotfn.cli.group import CONTEXT, Group
from xphotfn.cli.looking import report, view
from xphotfn.cli.making import find, image, plan, run, shims, task
from xphotfn.cli.measuring import photometry, snr
from xphotfn.cli.profiles import peak, profile
from xphotfn.cli.starting import completion, demo
from xphotfn.cli.stores import explain, prune, runs, verify

__all__ = ("main",)


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        "xphotfn demo",
        "xphotfn find xphotfn-demo/data",
        "xphotfn snr xphotfn-demo/data --ra 52.31 --dec -33.72 --radius 3arcmin --store xphotfn-demo/store",
    ),
)
@click.version_option(package_name="xphotfn", prog_name="xphotfn")
def main() -> None:
    """X-ray photometry for XMM-Newton EPIC: images, exposure maps, mosaics, masks, peaks, signal-to-noise.

    Exit status: 0 all is done; 1 a mistake, told in a sentence on stderr; 2 done in part, failures are listed.
    """


for _command in (
    demo,
    fetch,
    find,
    plan,
    run,
    view,
    image,
    clean,
    lightcurve,
    snr,
    photometry,
    hardness,
    limits,
    profile,
    peak,
    detect,
    report,
    runs,
    explain,
    verify,
    prune,
    task,
    shims,
    completion,
):
    main.add_command(_command)
