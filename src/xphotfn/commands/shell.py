"""Commands as lines of a shell script, for people and for scripts that they keep; nothing here is run."""

import re
import shlex

from xphotfn.commands.command import Command
from xphotfn.commands.parameters import TASKS
from xphotfn.errors import InvalidRecord

__all__ = ("comment", "link_line", "shell_line")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def comment(text: str) -> str:
    r"""Return a text as one comment line, whatever is in it.

    Examples
    --------
    >>> comment("a name\nrm -rf /")
    '# a name rm -rf /'
    """
    words = " ".join(text.split())
    return "# " + "".join(letter if letter.isprintable() else "?" for letter in words)


def link_line(path: str, name: str) -> str:
    r"""Return the line that makes a file known under a plain name in the working directory.

    Examples
    --------
    >>> link_line("/data/it's.fits", "evts.fits")
    'ln -sfn -- \'/data/it\'"\'"\'s.fits\' evts.fits'
    """
    return f"ln -sfn -- {shlex.quote(path)} {shlex.quote(name)}"


def shell_line(command: Command) -> str:
    r"""Return the line that runs a command in the folder of its files.

    A task that SAS does not have is run by ``xphotfn task``. Variables that name its files are given as absolute paths,
    since SAS wants ``SAS_CCF`` so. InvalidRecord if a variable has a name that no shell takes, or a value holds a zero
    byte.

    Examples
    --------
    >>> shell_line(Command(task="eexpmap", parameters=(("pimin", "500 2000"),), inputs=("c.cif",),
    ...                    env=(("SAS_CCF", "c.cif"),)))
    'SAS_CCF="$PWD"/c.cif eexpmap \'pimin=500 2000\''
    """
    files = {*command.inputs, *command.outputs}
    words = []
    for name, value in command.env:
        if not _VARIABLE.fullmatch(name):
            raise InvalidRecord(f"{name!r} cannot be the name of an environment variable")
        words.append(f'{name}="$PWD"/{shlex.quote(value)}' if value in files else f"{name}={shlex.quote(value)}")
    of_sas = command.task not in TASKS or TASKS[command.task].owner == "sas"
    argv = command.argv if of_sas else ("xphotfn", "task", *command.argv)
    line = " ".join([*words, shlex.join(argv)])
    if "\0" in line:
        raise InvalidRecord(f"no shell can hold the zero byte in {command.task}'s parameters")
    return line
