"""The order of the rooms, purity, and a few rules for every module, read from the source with ``ast``.

``problems`` returns one line per broken rule; the second half of this file feeds it small trees that break each rule.
"""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = "xphotfn"
SOURCE = Path(__file__).resolve().parents[1] / "src" / PACKAGE

_NOUNS = ("errors", "html", "typing", "units", "records")
_BOTH = (*_NOUNS, "data", "science", "commands", "io", "epic")
# Each room, and the rooms that it may import from beside itself. Two wings stand side by side on what both use:
# measuring (measure, plot) and making (engines, store, graph). Reports, tests and the command line use both.
ROOMS = {
    "data": (),  # tables that are shipped, no code
    "errors": (),
    "html": (),
    "typing": (),
    "units": ("errors", "typing"),
    "records": ("errors", "html", "typing", "units"),
    "science": _NOUNS,
    "commands": _NOUNS,
    "io": (*_NOUNS, "science", "commands"),
    "epic": (*_NOUNS, "science", "commands", "io"),
    "measure": _BOTH,
    "plot": (*_BOTH, "measure"),
    "engines": _BOTH,
    "store": (*_BOTH, "engines"),
    "graph": (*_BOTH, "engines", "store"),
    "reports": (*_BOTH, "measure", "plot", "store", "graph"),
    "simulate": _BOTH,
    "testing": (*_BOTH, "measure", "plot", "engines", "store", "graph", "reports", "simulate"),
    "cli": (*_BOTH, "measure", "plot", "engines", "store", "graph", "reports", "simulate", "testing"),
}
FRONT = ("", "curried", "__main__")  # the public faces: they import from anywhere, and only the cli imports them
PURE = ("errors", "html", "units", "records", "science", "commands")
IMPURE_MODULES = ("os", "subprocess", "time", "random", "logging", "warnings", "pathlib", "dask")
ONLY_IN = {"dask": "graph/delayed.py", "matplotlib": "plot/", "hypothesis": "testing/strategies/"}
# What changes the state of the whole process, and the one file that may. Warnings can be caught for all threads only.
# fmt: off
OF_THE_PROCESS = dict.fromkeys((
    "catch_warnings", "simplefilter", "filterwarnings", "resetwarnings", "umask", "chdir", "fchdir", "putenv",
    "unsetenv", "setlocale", "seterr", "set_enabled_units", "set_enabled_aliases", "add_enabled_units",
    "add_enabled_aliases", "setdefaulttimeout", "set_printoptions", "setrecursionlimit", "setswitchinterval",
    "set_start_method", "setrlimit", "set_int_max_str_digits",
), "") | dict.fromkeys(("SIGTERM", "SIGINT"), "engines/processes.py") | {"catch_warnings": "cli/group.py"}
# fmt: on
NAMES_A_MODULE = re.compile(rf"{PACKAGE}(\.\w+)+(:\w+)?")


class Module:
    """One file of the package: its place, its room and its syntax tree."""

    def __init__(self, path, root):
        self.place = path.relative_to(root).as_posix()
        parts = path.relative_to(root).with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join((PACKAGE, *(parts[:-1] if self.is_package else parts)))
        self.room = "" if self.name == PACKAGE else parts[0]
        self.tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        self.nodes = tuple(ast.walk(self.tree))
        self.imports = ()  # what ``imported`` finds, once all modules are known
        self.uses = frozenset()  # the names of modules of ours among it

    def says(self, node, what):
        return f"{self.place}:{getattr(node, 'lineno', 1)}: {what}"


def imported(module, known):
    """Yield (node, dotted name) of everything that a module imports, wherever in it.

    ``from xphotfn import engines`` is expanded to ``xphotfn.engines`` where that is a module. A string that names a
    module of ours (``"xphotfn.engines.sas:run"``) counts too: it is there to be imported.
    """
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in known:
                    yield node, whole
                elif not alias.name.startswith("__"):
                    yield node, node.module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMES_A_MODULE.fullmatch(node.value):
            yield node, node.value.partition(":")[0]


def order_problems(module, known):
    if module.room in FRONT:
        return
    if module.room not in ROOMS:
        yield module.says(module.tree, f"unknown room {module.room}: add it to the order of the rooms")
        return
    for node, name in module.imports:
        package, _, rest = name.partition(".")
        room = rest.partition(".")[0]
        if package != PACKAGE:
            continue
        if room in FRONT and module.room != "cli":
            yield module.says(node, f"imports {name}: import from the module that defines the name")
        elif room in ROOMS and room != module.room and room not in ROOMS[module.room]:
            yield module.says(node, f"{module.room} imports {name}, which is no room that it may use")


def relative_import_problems(module, known):
    del known
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and node.level:
            yield module.says(node, "relative import")
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield module.says(node, "import of *")


def purity_problems(module, known):
    if module.room not in PURE:
        return
    for node, name in module.imports:
        if name.partition(".")[0] in IMPURE_MODULES:
            yield module.says(node, f"{module.room} is pure but imports {name}")
    for node in module.nodes:
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            if called == "open":
                yield module.says(node, f"{module.room} is pure but opens a file")
            if getattr(node.func, "attr", "") in ("now", "utcnow", "today"):
                yield module.says(node, f"{module.room} is pure but asks the time: take it as an argument")
            if called == "default_rng" or getattr(node.func, "attr", "") == "default_rng":
                yield module.says(node, f"{module.room} is pure but makes its own random numbers: take a Generator")


def exclusive_import_problems(module, known):
    for node, name in module.imports:
        home = ONLY_IN.get(name.partition(".")[0])
        if home is not None and not (module.place == home or (home.endswith("/") and module.place.startswith(home))):
            yield module.says(node, f"imports {name}, which only {home} may")


def form_problems(module, known):
    del known
    docstring = ast.get_docstring(module.tree) or ""
    if not any(letter.isalpha() for letter in docstring):
        yield module.says(module.tree, "no docstring that says what it is for")
    only_docstring = all(isinstance(node, ast.Expr) for node in module.tree.body)
    if module.name.endswith("__main__") or (module.is_package and only_docstring):
        return
    targets = [
        target
        for node in module.tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
        yield module.says(module.tree, "no __all__")


def shell_problems(module, known):
    del known
    for node in module.nodes:
        if isinstance(node, ast.keyword) and node.arg == "shell":
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                yield module.says(node.value, "runs a shell: pass the command line as a tuple")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in (("os", "system"), ("os", "popen")):
                yield module.says(node, f"calls os.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            for alias in node.names:
                if alias.name in ("system", "popen"):
                    yield module.says(node, f"imports os.{alias.name}")


def shared_state_problems(module, known):
    """Find what changes the whole process, and so every other thread in it."""
    del known
    for node in module.nodes:
        name = getattr(node, "attr", "") or getattr(node, "id", "")
        if name in OF_THE_PROCESS and module.place != OF_THE_PROCESS[name]:
            yield module.says(node, f"{name} changes the whole process, which belongs to others too")
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name in OF_THE_PROCESS:
                    yield module.says(node, f"imports {alias.name}, which changes the whole process")
        targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else []
        for target in targets:
            if isinstance(target, ast.Subscript) and ast.unparse(target.value).endswith(("environ", "rcParams")):
                yield module.says(node, f"changes {ast.unparse(target.value)}, which belongs to the whole process")
        changes = isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("update", "setdefault")
        if changes and ast.unparse(node.func.value).endswith("environ"):
            yield module.says(node, "changes os.environ, which belongs to the whole process")


def loop_problems(module, known):
    """Find files that import each other in a loop, inside functions too; each loop is told at its first file."""
    if module.is_package:
        return  # it hands names on: whoever takes them from there is told by the other modules of the loop
    path = shortest_way_back(module, known)
    if path and module.name == min(path):
        yield module.says(module.tree, f"a loop of imports: {' > '.join((*path, module.name))}")


def shortest_way_back(module, known):
    """Return the names on the shortest loop of imports that starts at a module; none where there is no loop."""
    came_from, waiting = {}, [module.name]
    for name in waiting:
        for other in sorted(known[name].uses):
            if other == module.name:
                path = [name]
                while path[-1] in came_from:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if other not in came_from and not known[other].is_package:
                came_from[other] = name
                waiting.append(other)
    return []


def name_problems(module, known):
    """Find two files, or a file and a folder, of one name: a name has to find its file."""
    last = module.name.rpartition(".")[2]
    twins = [n for n in known if n != module.name and n.rpartition(".")[2] == last]
    twin = next((n for n in sorted(twins) if known[n].is_package or n < module.name), None)
    if twin is not None and not module.is_package:
        yield module.says(module.tree, f"{twin} has the same name")


def room_name_problems(module, known):
    """Find rooms that hide a public name: importing a room puts it under its name in the package."""
    if module.name != PACKAGE:
        return
    values = [value for node in module.nodes if isinstance(node, ast.Dict) for value in node.values]
    texts = [n.value for value in values for n in ast.walk(value) if isinstance(n, ast.Constant)]
    handed_on = {word for text in texts for word in str(text).split()}
    for room in sorted({other.room for other in known.values()} & handed_on):
        yield module.says(module.tree, f"the room {room} hides the public name {room}")


def init_problems(module, known):
    """Find an ``__init__`` that defines something: it only hands names on."""
    del known
    if not module.is_package or module.name == PACKAGE:
        return
    for node in module.tree.body:
        of_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for item in node.body + node.orelse if of_types else [node]:
            is_text = isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)
            is_all = isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "__all__"
            hands_on = getattr(item, "name", "") in ("__getattr__", "__dir__")  # PEP 562
            if not (is_text or is_all or hands_on or isinstance(item, ast.Import | ast.ImportFrom)):
                yield module.says(item, "an __init__ only hands names on: define it in a file of its own")


RULES = (
    order_problems,
    loop_problems,
    name_problems,
    room_name_problems,
    init_problems,
    relative_import_problems,
    purity_problems,
    exclusive_import_problems,
    form_problems,
    shell_problems,
    shared_state_problems,
)


def read(root):
    """Return the modules of the package whose folder is ``root``, by name, each with what it imports."""
    known = {module.name: module for module in (Module(path, root) for path in sorted(root.rglob("*.py")))}
    for module in known.values():
        module.imports = tuple(imported(module, known))
        module.uses = frozenset(name for _, name in module.imports if name in known) - {module.name}
    return known


def problems(known, rules=RULES):
    """Return what breaks the rules in a package."""
    return [line for rule in rules for module in known.values() for line in rule(module, known)]


@pytest.fixture(scope="module")
def package():
    return read(SOURCE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rules(rule, package):
    found = problems(package, [rule])
    assert not found, "\n" + "\n".join(found)


def test_all_rooms_are_read(package):
    rooms = {module.room for module in package.values()}
    assert set(PURE) <= rooms
    assert rooms <= {*ROOMS, *FRONT}


GOOD = {
    "__init__.py": '"""A package."""\n__all__ = ()\n',
    "curried.py": '"""Curried."""\nfrom xphotfn import cli\n__all__ = ()\n',
    "errors.py": '"""Errors."""\n__all__ = ()\n',
    "units.py": '"""Units."""\nfrom xphotfn.errors import X\n__all__ = ()\n',
    "science/__init__.py": '"""Science."""\n',
    "engines/__init__.py": '"""Engines."""\n',
    "engines/sas.py": '"""Real SAS."""\nimport os\nfrom xphotfn import science, __version__\n__all__ = ()\n',
    "graph/__init__.py": '"""Graph."""\n',
    "graph/delayed.py": '"""Dask."""\nimport dask\nfrom dask.base import tokenize\n__all__ = ()\n',
    "plot/__init__.py": '"""Pictures."""\n',
    "plot/view.py": '"""View."""\nimport matplotlib.pyplot as plt\n__all__ = ()\n',
    "testing/__init__.py": '"""Testing."""\n',
    "testing/strategies/__init__.py": '"""Strategies."""\nimport hypothesis\n__all__ = ()\n',
    "cli.py": '"""Command line."""\nimport xphotfn\nfrom xphotfn.plot import view\n__all__ = ()\n',
    "__main__.py": '"""Run it."""\nfrom xphotfn.cli import main\n',
}

MODULE = '"""A module."""\n__all__ = ()\n'

BAD = [
    ("science/a.py", MODULE + "from xphotfn.engines import sas\n", "science imports xphotfn.engines.sas, which is no"),
    ("science/a.py", MODULE + "import xphotfn.engines.sas as s\n", "science imports xphotfn.engines.sas, which is no"),
    ("science/a.py", MODULE + "from xphotfn import engines\n", "science imports xphotfn.engines, which is no room"),
    ("science/a.py", MODULE + "def f():\n    from xphotfn import engines\n", "science imports xphotfn.engines"),
    (
        "science/a.py",
        MODULE + "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from xphotfn.engines.sas import X\n",
        "science imports xphotfn.engines.sas",
    ),
    ("units.py", MODULE + "from importlib import import_module\nimport_module('xphotfn.plot')\n", "units imports"),
    ("units.py", MODULE + "WHERE = {'view': 'xphotfn.plot.view:view'}\n", "units imports xphotfn.plot.view"),
    ("plot/a.py", MODULE + "from xphotfn.testing.strategies import bands\n", "plot imports xphotfn.testing.strategies"),
    ("plot/a.py", MODULE + "from xphotfn import cli\n", "plot imports xphotfn.cli, which is no room"),
    ("science/a.py", MODULE + "import xphotfn\n", "imports xphotfn: import from the module that defines the name"),
    ("science/a.py", MODULE + "from xphotfn import energy_band\n", "imports xphotfn: import from the module"),
    ("science/a.py", MODULE + "from xphotfn.curried import snr\n", "imports xphotfn.curried: import from"),
    ("cellar/a.py", MODULE, "unknown room cellar"),
    ("science/sas.py", MODULE, "xphotfn.engines.sas has the same name"),
    ("science/engines.py", MODULE, "xphotfn.engines has the same name"),
    (
        "engines/__init__.py",
        '"""Engines."""\n__all__ = ()\ndef f():\n    """Do."""\n',
        "an __init__ only hands names on",
    ),
    (
        "__init__.py",
        '"""A package."""\n__all__ = ()\nW = {"plot.view": "view plot"}\n',
        "the room plot hides the public",
    ),
    ("science/a.py", MODULE + "from . import b\n", "relative import"),
    ("science/a.py", MODULE + "from ..engines import sas\n", "relative import"),
    ("plot/a.py", MODULE + "from xphotfn.science import *\n", "import of *"),
    *(("science/a.py", MODULE + f"import {name}\n", f"science is pure but imports {name}") for name in IMPURE_MODULES),
    ("science/a.py", MODULE + "import os.path\n", "science is pure but imports os.path"),
    ("errors.py", MODULE + "def f():\n    from time import sleep\n", "errors is pure but imports time"),
    ("units.py", MODULE + "with open('a') as f: pass\n", "units is pure but opens a file"),
    ("science/a.py", MODULE + "import numpy as np\nnp.random.default_rng(1)\n", "makes its own random numbers"),
    ("graph/a.py", MODULE + "import dask\n", "imports dask, which only graph/delayed.py may"),
    ("graph/a.py", MODULE + "from dask.delayed import Delayed\n", "which only graph/delayed.py may"),
    ("cli.py", MODULE + "import matplotlib.pyplot\n", "imports matplotlib.pyplot, which only plot/ may"),
    ("testing/a.py", MODULE + "from hypothesis import given\n", "which only testing/strategies/ may"),
    ("science/a.py", "__all__ = ()\n", "science/a.py:1: no docstring"),
    ("science/__init__.py", '"""."""\n', "science/__init__.py:1: no docstring"),
    ("science/a.py", '"""A module."""\nx = 1\n', "science/a.py:1: no __all__"),
    ("science/__init__.py", '"""A package."""\nimport numpy\n', "science/__init__.py:1: no __all__"),
    ("engines/a.py", MODULE + "run('true', shell=True)\n", "runs a shell"),
    ("engines/a.py", MODULE + "run('true', shell=bool(1))\n", "runs a shell"),
    ("engines/a.py", MODULE + "import os\nos.system('true')\n", "calls os.system"),
    ("engines/a.py", MODULE + "import os\nos.popen('true')\n", "calls os.popen"),
    ("engines/a.py", MODULE + "from os import system\n", "imports os.system"),
    ("engines/a.py", MODULE + "import warnings\nwith warnings.catch_warnings(): pass\n", "changes the whole process"),
    ("engines/a.py", MODULE + "from warnings import simplefilter\n", "imports simplefilter"),
    ("engines/a.py", MODULE + "import os\nos.umask(0)\n", "umask changes the whole process"),
    ("engines/a.py", MODULE + "import os\nos.environ['A'] = 'b'\n", "changes os.environ"),
    ("engines/a.py", MODULE + "import os\ndel os.environ['A']\n", "changes os.environ"),
    ("engines/a.py", MODULE + "import os\nos.environ.update(A='b')\n", "changes os.environ"),
    ("engines/a.py", MODULE + "import signal\nsignal.signal(signal.SIGTERM, print)\n", "SIGTERM changes"),
]


def write(root, files):
    for place, text in files.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_a_good_tree_passes(tmp_path):
    assert problems(read(write(tmp_path / PACKAGE, GOOD))) == []


@pytest.mark.parametrize(("place", "text", "complaint"), BAD)
def test_a_bad_tree_is_found(tmp_path, place, text, complaint):
    found = problems(read(write(tmp_path / PACKAGE, GOOD | {place: text})))
    assert any(line.startswith(f"{place}:") and complaint in line for line in found), found
    assert len({line.split(": ", 1)[0] for line in found}) == 1, found


@pytest.mark.parametrize("place", ["top", "inside a function", "as a string"])
def test_a_loop_of_imports_is_found_and_told_once(tmp_path, place):
    back = {
        "top": "from xphotfn.science.a import x\n",
        "inside a function": "def f():\n    from xphotfn.science import a\n",
        "as a string": "WHERE = 'xphotfn.science.a:x'\n",
    }[place]
    files = GOOD | {
        "science/a.py": MODULE + "from xphotfn.science.b import x\n",
        "science/b.py": MODULE + "from xphotfn.science import c\n",
        "science/c.py": MODULE + back,
    }
    found = problems(read(write(tmp_path / PACKAGE, files)))
    names = "xphotfn.science.a > xphotfn.science.b > xphotfn.science.c > xphotfn.science.a"
    assert found == [f"science/a.py:1: a loop of imports: {names}"]
    files["science/c.py"] = MODULE
    assert problems(read(write(tmp_path / PACKAGE, files))) == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_may_import_itself_and_the_rooms_that_it_may_use(tmp_path, room):
    for other in ROOMS:
        files = {f"{name}/__init__.py": '"""A room."""\n' for name in ROOMS} | {
            f"{room}/a.py": MODULE + f"from xphotfn import {other}\n"
        }
        found = problems(read(write(tmp_path / other / PACKAGE, files)), [order_problems])
        assert bool(found) == (other != room and other not in ROOMS[room]), found


def test_the_rooms_stand_above_those_that_they_use():
    order = list(ROOMS)
    assert all(order.index(used) < order.index(room) for room, those in ROOMS.items() for used in those)


def test_the_two_wings_stand_side_by_side():
    measuring, making = {"measure", "plot"}, {"engines", "store", "graph"}
    assert not any(making & set(ROOMS[room]) for room in measuring)
    assert not any(measuring & set(ROOMS[room]) for room in making)
