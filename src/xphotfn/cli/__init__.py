"""The command line: ``xphotfn COMMAND``; one module for each group of commands."""

from xphotfn.cli.main_group import main

__all__ = ("main",)
