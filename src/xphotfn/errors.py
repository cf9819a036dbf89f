"""Every error that xphotfn raises on purpose.

One root, :class:`XphotfnError`, and a handful of subclasses that also inherit the fitting builtin, so
``except ValueError`` works too. Each message says what was wrong, what was found and what to do.
Errors travel between processes: all arguments go to ``super().__init__`` and fields live in ``__dict__``.
"""

from typing import Any, Literal, NamedTuple

__all__ = (
    "CommandFailed",
    "ExpressionError",
    "InvalidFile",
    "InvalidRecord",
    "NoData",
    "OffImage",
    "PlanError",
    "ProductMissing",
    "Remedy",
    "SasMissing",
    "ShapeMismatch",
    "UnitMismatch",
    "XphotfnError",
)


class Remedy(NamedTuple):
    """What to do about an error, where Python and the command line have other words for it."""

    python: str
    shell: str


class XphotfnError(Exception):
    """Root of all errors that xphotfn raises on purpose.

    Attributes
    ----------
    remedy : Remedy or None
        What to do, where that is not in the message itself; ``str`` ends with its words of Python.
    sas_name : str
        The name that SAS gives this error; empty where it gives none.
    """

    def __init__(self, *args: object, remedy: Remedy | None = None, sas_name: str = "") -> None:
        super().__init__(*args)
        self.remedy = remedy
        self.sas_name = sas_name

    def _said(self) -> str:
        return super().__str__()

    def told(self, where: Literal["python", "shell"]) -> str:
        """Return the message, with what to do in words of Python or of the command line."""
        return self._said() if self.remedy is None else f"{self._said()}: {getattr(self.remedy, where)}"

    def __str__(self) -> str:
        return self.told("python")


class InvalidRecord(XphotfnError, ValueError):
    """A record was given a value that breaks one of its rules."""


class UnitMismatch(XphotfnError, ValueError):
    """A quantity has a unit that cannot mean what is asked (an energy in kg, kpc without a redshift)."""


class ShapeMismatch(XphotfnError, ValueError):
    """Arrays, masks, coordinates or grids that do not fit together."""


class OffImage(XphotfnError, ValueError):
    """A position that lies outside the image."""


class NoData(XphotfnError, ValueError):
    """A question with no pixel or count to answer it: an empty background, a mask of zeros."""


class PlanError(XphotfnError, ValueError):
    """A plan that cannot work, found before anything has run."""


class ProductMissing(XphotfnError, LookupError):
    """A product that was asked for is not there, or the question fits several."""


class InvalidFile(XphotfnError, ValueError):
    """A file that is missing, truncated or not what it should be.

    Attributes
    ----------
    path : str
        The file.
    problem : str
        What is wrong with it, and what to do.
    line : int or None
        The line of a text file, from 1.
    """

    def __init__(self, path: str, problem: str, line: int | None = None, **more: Any) -> None:
        super().__init__(path, problem, line, **more)
        self.path = path
        self.problem = problem
        self.line = line

    def _said(self) -> str:
        where = self.path if self.line is None else f"{self.path}, line {self.line}"
        return f"{where}: {self.problem}"


class ExpressionError(XphotfnError, ValueError):
    """A selection expression that cannot be read or evaluated; ``str`` points at the place.

    Attributes
    ----------
    problem : str
        What is wrong.
    text : str
        The whole expression.
    position : int
        Index into ``text`` where the problem is.
    """

    def __init__(self, problem: str, text: str, position: int) -> None:
        super().__init__(problem, text, position)
        self.problem = problem
        self.text = text
        self.position = position

    def _said(self) -> str:
        start = max(0, self.position - 60)
        shown = self.text[start : self.position + 20].replace("\n", " ")
        return f"{self.problem}\n  {shown}\n  {' ' * (self.position - start)}^"


class CommandFailed(XphotfnError, RuntimeError):
    """A command did not do its work.

    Attributes
    ----------
    argv : tuple of str
        The command line.
    problem : str
        What went wrong, in a sentence.
    returncode : int or None
        Exit status, negative for a signal; None where no process ended by itself.
    tail : str
        The last lines that it printed.
    """

    def __init__(self, argv: tuple[str, ...], problem: str, returncode: int | None = None, tail: str = "") -> None:
        super().__init__(argv, problem, returncode, tail)
        self.argv = argv
        self.problem = problem
        self.returncode = returncode
        self.tail = tail

    def _said(self) -> str:
        task = self.argv[0] if self.argv else "command"
        end = "" if self.returncode is None else f" (exit status {self.returncode})"
        tail = f"\n{self.tail.strip()}" if self.tail.strip() else ""
        return f"{task}: {self.problem}{end}{tail}"


class SasMissing(XphotfnError):
    """SAS cannot be used: it is not there, or not initialised.

    Attributes
    ----------
    problem : str
        In a few words.
    missing : tuple of (str, str)
        What is missing, and how to mend each.
    """

    def __init__(self, problem: str, missing: tuple[tuple[str, str], ...]) -> None:
        super().__init__(problem, missing)
        self.problem = problem
        self.missing = missing

    def _said(self) -> str:
        lines = "\n".join(f"  {what}: {mend}" for what, mend in self.missing)
        return f"{self.problem}:\n{lines}\nnative_engine() needs no SAS."
