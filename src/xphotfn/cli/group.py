"""The group of all commands: mistakes in one sentence, nearest names for typos, examples at the end of the help."""

import difflib
import errno
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from xphotfn.cli.output import printable, say
from xphotfn.errors import XphotfnError

__all__ = ("CONTEXT", "DONE_IN_PART", "MISTAKE", "CliCommand", "Group", "as_options")

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
MISTAKE = 1
DONE_IN_PART = 2
STOPPED = 130  # as shells have it after Ctrl-C


# What messages of the library advise, where it is a keyword of Python, as the option that does the same.
_ADVICE = (
    (re.compile(r"overwrite=True \(--overwrite\)"), "--overwrite"),
    (re.compile(r"run\(\.\.\., store=\)"), "`xphotfn run --store`"),
    (re.compile(r"\b(reference|prefer)='([^']*)'"), r"--\1 \2"),
    (re.compile(r"\b(within|redshift|reference|band|target|prefer|layout|flares)=(?=[\s,;:.)(]|\Z)"), r"--\1"),
    (re.compile(r"\bregion_image=(?=[\s,;:.)(]|\Z)"), "--region-image"),
    (re.compile(r"give background_weights$"), "give --vignetted or --background-weights"),
    (re.compile(r"use plan_images for images alone"), "make images alone with `xphotfn image`"),
    (re.compile(r"or give your own, such as nh=3e20/u\.cm\*\*2"), "or give a number, such as --nh 3e20"),
    (re.compile(r"^nh must lie between"), "--nh must lie between"),
    (re.compile(r"^gamma must lie between"), "the photon index of --flux must lie between"),
    (
        re.compile(r"\bfold your spectrum with ecf_from_response"),
        "fold your spectrum in Python, with ecf_from_response",
    ),
    (re.compile(r"run\.table\(\)"), "the table of `xphotfn run`"),
)


def as_options(text: str) -> str:
    """Return a message of the library in words of the command line."""
    for pattern, words in _ADVICE:
        text = pattern.sub(words, text)
    return text


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
        say(as_options(f"note: {message}"), ctx)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write command lines as they are: they must work when they are copied."""
    if examples:
        with formatter.section("Examples"):
            formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in examples))


class CliCommand(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        del ctx
        _write_examples(self.examples, formatter)


class Group(click.Group):
    """Turns a user's mistake into one sentence and exit status 1; anything else is a bug and keeps its traceback."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        del ctx
        _write_examples(self.examples, formatter)

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
            click.echo(printable(f"xphotfn: {as_options(str(error))}"), err=True)
            ctx.exit(MISTAKE)
        except OSError as error:
            if error.errno == errno.EPIPE:  # who reads has ended, as `head` does: click ends in silence
                raise
            where = f"{error.filename}: " if error.filename else ""
            click.echo(printable(f"xphotfn: {where}{error.strerror or error}"), err=True)
            ctx.exit(MISTAKE)
        except KeyboardInterrupt as stop:
            kept = "; ".join(getattr(stop, "__notes__", ())).replace("the same run() again", "the same command again")
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
