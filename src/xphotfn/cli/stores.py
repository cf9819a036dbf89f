"""Commands that look after a store: ``runs``, ``explain``, ``verify`` and ``prune``."""

from pathlib import Path
from typing import Any

import click

from xphotfn.cli import options as shared
from xphotfn.cli.given_maps import is_store
from xphotfn.cli.group import DONE_IN_PART, CliCommand
from xphotfn.cli.output import print_json, print_rows, tell
from xphotfn.errors import UnitMismatch

__all__ = ("explain", "prune", "runs", "verify")


@click.command(
    cls=CliCommand,
    short_help="Show how products were made.",
    examples=("xphotfn explain xphotfn-demo/store/products/*/*/*_mosaic_img.fits",),
)
@click.argument("products", nargs=-1, required=True, metavar="PRODUCT...")
@click.option("--store", type=shared.PATH, help="The store, where PRODUCT is a key and no path.")
@click.option("--script", is_flag=True, help="Print a shell script that makes the product again.")
@shared.json_option
def explain(products: tuple[str, ...], store: Path | None, script: bool, as_json: bool) -> None:
    """Show how products of a store were made: command, inputs and their state, engine, versions, time.

    A PRODUCT is a file in a store, its folder, or a key; a store stands for all its products.
    """
    import xphotfn as xp
    from xphotfn.store.record_json import to_plain

    paths = [path for product in products for path in _products_in(product)]
    found = [xp.explain(path, store=store) for path in paths]
    if as_json:
        print_json(to_plain(found))
        return
    for item in found:
        click.echo(item.script if script else str(item), nl=not script)


def _products_in(named: str) -> list[str]:
    """Return the folders of the products of a store; anything else as it is."""
    if not is_store(Path(named)):
        return [named]
    return [str(path.parent) for path in sorted(Path(named, "products").glob("*/*/manifest.json"))]


@click.command(
    cls=CliCommand,
    short_help="List the runs of a store.",
    examples=("xphotfn runs xphotfn-demo/store",),
)
@click.argument("store", type=shared.PATH)
@shared.json_option
def runs(store: Path, as_json: bool) -> None:
    """List the runs that a store keeps, the last first; `report` shows all of them, or one with --run."""
    import xphotfn as xp

    names = ("run", "engine", "targets", "bands", "done", "failed", "skipped", "not ended")
    rows = [
        (
            run.plan.id[:8],
            run.engine,
            _several([field.name for field in run.plan.fields]),
            _several(list(dict.fromkeys(str(product.band) for product in run.plan.products))),
            *_counts(run),
        )
        for run in xp.runs(store)
    ]
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        print_rows(names, rows)


def _counts(run: Any) -> tuple[str, ...]:
    """Return how many steps are done, failed, were skipped, and had not ended when the run was stopped."""
    stopped = sum(step.interrupted for step in run.failed)
    return tuple(map(str, (len(run.done), len(run.failed) - stopped, len(run.skipped), stopped)))


def _several(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


@click.command(
    cls=CliCommand,
    short_help="Check every product of a store.",
    examples=(
        "xphotfn verify xphotfn-demo/store",
        "xphotfn verify xphotfn-demo/store --remove",
    ),
)
@click.argument("store", type=shared.PATH)
@click.option("--remove/--keep", default=False, help="Take damaged products out, to be made again; default keep.")
@shared.json_option
def verify(store: Path, remove: bool, as_json: bool) -> None:
    """Compare every product of a store with the digest under which it was published.

    Ends with status 2 where one is damaged.
    """
    import xphotfn as xp
    from xphotfn.store.record_json import to_plain

    found = xp.verify(store, remove=remove)
    if as_json:
        print_json(to_plain(found))
    else:
        tell(str(found))
    if not found.is_good:
        click.get_current_context().exit(DONE_IN_PART)


@click.command(
    cls=CliCommand,
    short_help="Remove what no run needs.",
    examples=("xphotfn prune xphotfn-demo/store --dry-run",),
)
@click.argument("store", type=shared.PATH)
@click.option("--min-age", default="1day", show_default=True, metavar="T", help="Younger products stay: 2h, 7day.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@shared.json_option
def prune(store: Path, min_age: str, dry_run: bool, as_json: bool) -> None:
    """Remove products that no run of a store names, and scratch folders that were left behind."""
    import astropy.units as u

    import xphotfn as xp
    from xphotfn.store.record_json import to_plain
    from xphotfn.units import quantity

    try:
        age = float(quantity(min_age, "--min-age", "2h or 7day").to_value(u.s))
    except u.UnitConversionError as error:
        raise UnitMismatch(f"--min-age must be a time such as 2h or 7day, got {min_age!r}") from error
    found = xp.prune(store, min_age_s=age, dry_run=dry_run)
    if as_json:
        print_json(to_plain(found))
    else:
        tell(str(found))
