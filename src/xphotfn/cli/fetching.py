"""The command that downloads: ``fetch``."""

from pathlib import Path
from types import ModuleType

import click

from xphotfn.cli import options as shared
from xphotfn.cli.group import DONE_IN_PART, CliCommand
from xphotfn.cli.output import say, wants_progress
from xphotfn.errors import XphotfnError

__all__ = ("fetch",)


@click.command(
    cls=CliCommand,
    short_help="Download an observation from the archive.",
    examples=("xphotfn fetch 0404910601 -o data", "xphotfn fetch 0404910601 0201903501 -o data --product '*IEVLI*'"),
)
@click.argument("obs_ids", metavar="OBSID...", nargs=-1, required=True)
@click.option("-o", "--output", type=shared.PATH, required=True, metavar="DIR", help="Folder to put them into.")
@click.option(
    "--product", "products", multiple=True, default=lambda: _archive().PRODUCTS,
    show_default="event lists, attitude, background curves, source lists", metavar="PATTERN",
    help="Names of files that are wanted; may be repeated; '*' for all.",
)  # fmt: skip
@click.option(
    "--mirror", default=lambda: _archive().ARCHIVE, metavar="URL",
    help="Another server that answers as the archive does.",
)  # fmt: skip
@click.option("--tries", type=click.IntRange(min=1), default=3, show_default=True, help="Tries for each observation.")
@shared.quiet
@shared.progress
def fetch(obs_ids: tuple[str, ...], output: Path, products: tuple[str, ...], mirror: str, tries: int) -> None:
    """Download pipeline products of observations from the XMM-Newton archive, each into a folder of its ObsID.

    The archive's own files are taken over HTTPS and checked to be whole; what is there already is not written again, so
    the same command goes on after a break. Nothing else of xphotfn needs a network. Next: `xphotfn find DIR`.
    """
    from xphotfn.io.archive import fetch_products

    failed = 0
    for obs_id in obs_ids:
        try:
            found = fetch_products(
                obs_id, output, products=products, mirror=mirror, tries=tries, progress=wants_progress()
            )
        except XphotfnError as error:
            if len(obs_ids) == 1:
                raise
            say(f"{obs_id}: {error}")
            failed += 1
            continue
        click.echo(f"{output / obs_id}: {len(found)} files")
    if failed:
        click.get_current_context().exit(DONE_IN_PART)


def _archive() -> ModuleType:
    """Import what is known of the archive where it is asked for, so that other commands start light."""
    from xphotfn.commands import archive_query as archive

    return archive
