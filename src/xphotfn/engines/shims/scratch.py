"""The files of a SAS command line: paths outside become plain names in a scratch folder, and results move out again.

The interpreter works on plain names in one folder. A name is kept where it can be, for it goes into headers; else the
file gets one of ours. Inputs are links. Outputs replace what was there by one rename each, once all of them are whole.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from attrs import evolve

from xphotfn.commands.command import Command
from xphotfn.commands.parameters import parameters_of
from xphotfn.commands.selection import split_spec, with_file_specs
from xphotfn.commands.task_rows import Parameter
from xphotfn.engines.shims.command_line import TaskError, split_list
from xphotfn.errors import InvalidRecord
from xphotfn.io.write import publish

__all__ = ("TaskFolder", "staged")

_NOTHING = ("", "none")  # eexpmap's eventset and attitudeset


class TaskFolder(NamedTuple):
    """A command whose files are plain names in ``folder``, and the paths that they stand for."""

    command: Command
    folder: Path
    given: Mapping[str, str]

    def restored(self, text: str) -> str:
        """Return a text with our names replaced by the paths that the user gave."""
        ours = "|".join(re.escape(name) for name, path in self.given.items() if name != path)
        if not ours:
            return text
        return re.sub(rf"(?<![\w./+-])({ours})(?![\w+-])", lambda found: self.given[found[1]], text)


class _Names:
    """The plain names that have been given out, and what they stand for."""

    def __init__(self) -> None:
        self.inputs: dict[str, str] = {}
        self.outputs: dict[str, str] = {}

    def of_input(self, path: str) -> str:
        """Return the plain name of an input; the same for the same path."""
        for name, known in self.inputs.items():
            if known == path:
                return name
        name = self._free(path, "input")
        self.inputs[name] = path
        return name

    def of_output(self, path: str) -> str:
        """Return the plain name of an output."""
        if path in self.outputs.values():
            raise TaskError("ParamWrongType", f"{path} is to be written twice")
        name = self._free(path, "output")
        self.outputs[name] = path
        return name

    def _free(self, path: str, stem: str) -> str:
        name = Path(path).name
        taken = {*self.inputs, *self.outputs}
        try:
            Command(task="any", inputs=(name,))  # Command is the judge of what a plain name is
        except InvalidRecord:
            name = ""
        if name and name not in taken and split_spec(name) == (name, ""):
            return name
        number = len(taken) + 1
        while f"{stem}{number}.fits" in taken:
            number += 1
        return f"{stem}{number}.fits"


@contextmanager
def staged(command: Command, *, clobber: bool) -> Iterator[TaskFolder]:
    """Give a complete command's work in a scratch folder; if the block ends well, its outputs go where they belong.

    Parameters
    ----------
    command
        A command with all its parameters, paths as the user gave them.
    clobber
        Replace outputs that exist.

    Raises
    ------
    TaskError
        If an input is missing, an output exists and may not be replaced, or its folder is missing.
    """
    names = _Names()
    inside = _renamed(command, names)
    for path in names.outputs.values():
        _check_output(Path(path), clobber)
        _check_is_no_input(Path(path), names.inputs.values())
    first = next(iter(names.outputs.values()), "")
    folder = Path(tempfile.mkdtemp(prefix=".xphotfn-", dir=Path(first).absolute().parent if first else None))
    try:
        for name, path in names.inputs.items():
            _check_input(Path(path))
            (folder / name).symlink_to(Path(path).absolute())
        yield TaskFolder(inside, folder, names.inputs | names.outputs)
        for name, path in names.outputs.items():
            _deliver(folder / name, Path(path), clobber)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_input(path: Path) -> None:
    if not path.is_file():
        raise TaskError("FileNotFound", f"{path} is {'no file' if path.exists() else 'not there'}")


def _check_output(path: Path, clobber: bool) -> None:
    if not path.absolute().parent.is_dir():
        raise TaskError("FileNotCreated", f"{path} cannot be made: there is no folder {path.absolute().parent}")
    if path.exists() and not path.is_file():
        raise TaskError("FileNotCreated", f"{path} cannot be made: it is a folder, a device or a pipe")
    if not clobber and (path.exists() or path.is_symlink()):
        raise TaskError("FileExists", f"{path} exists already and may not be replaced (-c, or SAS_CLOBBER=0)")


def _check_is_no_input(output: Path, inputs: Iterable[str]) -> None:
    """Refuse an output that is one of the files read, under whatever name: inputs are never modified."""
    for path in map(Path, inputs):
        if output.resolve() == path.resolve() or (output.exists() and path.exists() and output.samefile(path)):
            raise TaskError("FileExists", f"{output} is read by this command and would be lost: name another output")


def _deliver(made: Path, final: Path, clobber: bool) -> None:
    if not made.is_file():
        raise TaskError("FileNotCreated", f"{final} was not made")
    with publish(final, overwrite=clobber) as temporary:
        if temporary.stat().st_dev == made.stat().st_dev:
            made.replace(temporary)
        else:
            shutil.copyfile(made, temporary)


def _renamed(command: Command, names: _Names) -> Command:
    """Return the command with plain names, inputs and outputs; files whose switch is off are left alone."""
    table = {p.name: p for p in parameters_of(command.task)}
    values = dict(command.parameters)
    used = [p for p in table.values() if p.role and _is_used(p, table, values)]
    for parameter in sorted(used, key=lambda p: p.role):  # inputs first: an output never takes an input's name
        values[parameter.name] = _renamed_value(parameter, values[parameter.name], names)
    if "expression" in values:
        values["expression"] = with_file_specs(values["expression"], lambda spec: _renamed_input(spec, names))
    return evolve(command, parameters=tuple(values.items()), inputs=tuple(names.inputs), outputs=tuple(names.outputs))


def _is_used(parameter: Parameter, table: Mapping[str, Parameter], values: Mapping[str, str]) -> bool:
    while parameter.parent is not None:
        parameter = table[parameter.parent]
        if values[parameter.name] != "yes":
            return False
    return True


def _renamed_value(parameter: Parameter, value: str, names: _Names) -> str:
    if parameter.name in ("eventset", "attitudeset") and value.strip().lower() in _NOTHING:
        return value
    if parameter.role == "input":
        if parameter.kind == "list":
            return " ".join(_renamed_input(item, names) for item in split_list(value))
        return _renamed_input(value, names)
    items = split_list(value) if parameter.kind == "list" else (value,)
    return " ".join(names.of_output(item) for item in items)


def _renamed_input(value: str, names: _Names) -> str:
    """Return a file, or a file and its block, with the file's plain name; a file that is there may hold a colon."""
    file, block = (value, "") if Path(value).is_file() else split_spec(value)
    if not file:
        return value
    return names.of_input(file) + (f":{block}" if block else "")
