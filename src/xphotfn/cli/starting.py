"""Commands for the first minutes: ``demo`` and ``completion``."""

from pathlib import Path
from typing import Any

import click

from xphotfn.cli import options as shared
from xphotfn.cli.group import CliCommand
from xphotfn.cli.output import as_table, say, tell, write_table

__all__ = ("completion", "demo")

_HOW = {
    "bash": '# in ~/.bashrc:  eval "$(xphotfn completion bash)"',
    "zsh": '# in ~/.zshrc:  eval "$(xphotfn completion zsh)"',
    "fish": "# once:  xphotfn completion fish > ~/.config/fish/completions/xphotfn.fish",
}


@click.command(
    cls=CliCommand,
    short_help="Simulate data of known truth and measure it.",
    examples=("xphotfn demo",),
)
@click.option(
    "-o",
    "--output",
    type=shared.PATH,
    default=Path("xphotfn-demo"),
    show_default=True,
    help="Folder to write to; must be new or from an earlier demo.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Seed of the simulated photons."
)
@click.option("--detect", is_flag=True, help="Without region files: the sources are found; takes a minute more.")
@shared.workers
@shared.quiet
def demo(output: Path, seed: int, detect: bool, workers: int | None) -> None:
    """Simulate a small data set of known truth, measure it, and show recovered against true.

    The examples in the help of the other commands run on what it writes.
    """
    from xphotfn.cli.demo import run_demo

    click.echo(run_demo(output, seed=seed, workers=workers, detect=detect, say=say))
    _write_tables(output)
    tell(f"samples    {output / 'targets.csv'}, {output / 'positions.csv'}")
    then = f"detect {output / 'store'} -o sources.reg" if detect else "snr --help"
    say(f"\nnext       xphotfn find {output / 'data'}\n           xphotfn {then}")


def _write_tables(folder: Path) -> None:
    """Write the cluster and the point sources as tables that other commands read."""
    from xphotfn.simulate.scene import default_scene

    scene = default_scene()
    target: Any = scene.cluster.target if scene.cluster else None
    radius = {"r200": target.r200.value, "r500": target.r500.value}
    where = {"name": target.name, "ra": target.ra_deg, "dec": target.dec_deg, "redshift": target.redshift}
    write_table(as_table([where | radius]), folder / "targets.csv", overwrite=True)
    sources = [{"name": s.name, "ra": s.ra_deg, "dec": s.dec_deg} for s in scene.sources]
    write_table(as_table(sources), folder / "positions.csv", overwrite=True)


@click.command(
    cls=CliCommand,
    short_help="Print the completion script of a shell.",
    examples=("xphotfn completion bash",),
)
@click.argument("shell", type=click.Choice(sorted(_HOW)))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete the commands and options of xphotfn."""
    from click.shell_completion import get_completion_class

    group = click.get_current_context().find_root().command
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"No completion for {shell}.")
    click.echo(_HOW[shell])
    click.echo(found(group, {}, "xphotfn", "_XPHOTFN_COMPLETE").source())
