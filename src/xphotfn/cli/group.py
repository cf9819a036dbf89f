"""The group of all commands: mistakes in one sentence, nearest names for typos, examples at the end of the help."""

import difflib
import errno
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import click

from xphotfn.cli.output import check_inputs, printable, say
from xphotfn.errors import XphotfnError

__all__ = ("CONTEXT", "DONE_IN_PART", "MISTAKE", "CliCommand", "Group")

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
MISTAKE = 1
DONE_IN_PART = 2
STOPPED = 130  # as shells have it after Ctrl-C


@contextmanager
def _usage_mistakes_have_status_1() -> Iterator[None]:
    """Keep status 2 for work that is done in part: a script must tell it from a typo."""
    try:
        yield
    except click.UsageError as error:
        error.show()
        raise click.exceptions.Exit(MISTAKE) from error


@contextmanager
def _warnings_are_notes(ctx: click.Context) -> Iterator[None]:
    """Say what Python would print as warnings, with the file and line of the code, as notes."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        say(f"note: {message}", ctx)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _has_one_value(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and not (parameter.multiple or parameter.is_flag or parameter.count)


class CliCommand(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words, none of which may be empty: a script whose variable is not set would get the default."""
        for before, word in pairwise(["", *args]):
            if not word or (word.startswith("--") and word.endswith("=")):
                what = word[:-1] or (before if before.startswith("-") else "An argument")
                raise click.UsageError(f"{what} is empty: give a value, or leave it out.", ctx)
        self._refuse_repeated(ctx, args)
        return super().parse_args(ctx, args)

    def _refuse_repeated(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an option that is given twice and has one value: the first would be lost without a word."""
        if ctx.resilient_parsing:
            return
        given = [option for option in self.make_parser(ctx).parse_args(list(args))[2] if _has_one_value(option)]
        repeated = next((option for option in given if given.count(option) > 1), None)
        if repeated is not None:
            raise click.UsageError(f"{repeated.opts[-1]} is given more than once and takes one value.", ctx)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless what it would write is a file that it is given to read."""
        check_inputs(ctx.params)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are: they must work when they are copied."""
        del ctx
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in self.examples))


class Group(CliCommand, click.Group):
    """Turns a user's mistake into one sentence and exit status 1; anything else is a bug and keeps its traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a new user needs them."""
        del ctx
        return list(self.commands)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the options of the group itself."""
        with _usage_mistakes_have_status_1():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            with _usage_mistakes_have_status_1(), _warnings_are_notes(ctx):
                return super().invoke(ctx)
        except XphotfnError as error:
            click.echo(printable(f"xphotfn: {error.told('shell')}"), err=True)
            ctx.exit(MISTAKE)
        except OSError as error:
            if error.errno == errno.EPIPE:  # who reads has ended, as `head` does: click ends in silence
                raise
            where = f"{error.filename}: " if error.filename else ""
            click.echo(printable(f"xphotfn: {where}{error.strerror or error}"), err=True)
            ctx.exit(MISTAKE)
        except KeyboardInterrupt as stop:
            kept = "; ".join(getattr(stop, "__notes__", ()))
            click.echo(f"\nxphotfn: stopped. {kept}".rstrip(), err=True)
            ctx.exit(STOPPED)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command; for a typo name the nearest, which old versions of click do not."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near and "Did you mean" not in error.format_message():
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
            raise
