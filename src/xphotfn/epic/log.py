"""Warnings of native tasks: into the log of the command that is being executed, or to Python's warnings.

Python's own way of catching warnings changes the whole process and so cannot be used from several threads; a context
variable belongs to the thread that executes the command.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ("collected", "warn")

_MESSAGES: ContextVar[list[tuple[str, str]] | None] = ContextVar("xphotfn_messages", default=None)


def warn(name: str, text: str) -> None:
    """Report under a short name, as SAS gives its warnings, that something was assumed or is odd."""
    messages = _MESSAGES.get()
    if messages is None:
        warnings.warn(text, UserWarning, stacklevel=3)
    else:
        messages.append((name, text))


@contextmanager
def collected() -> Iterator[list[tuple[str, str]]]:
    """Give a list that fills with the (name, text) of warnings reported in this thread inside the block."""
    messages: list[tuple[str, str]] = []
    token = _MESSAGES.set(messages)
    try:
        yield messages
    finally:
        _MESSAGES.reset(token)
