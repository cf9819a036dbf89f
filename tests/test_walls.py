"""Walls inside the house: what each file may not do, read from the source with ``ast``; each wall is shown to stand.

``test_layers.py`` keeps the order of the rooms; here stand names, records, sizes, errors, state, files and faces. What
may go beyond a limit is listed beside it. A list may shrink: an entry that nothing needs any more is an error, too.
"""

import ast
import builtins
import gc
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path

import pytest

PACKAGE = "xphotfn"
SOURCE = Path(__file__).resolve().parents[1] / "src" / PACKAGE
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class File:
    """One file of the package: its place, its text and its syntax tree."""

    def __init__(self, path, root):
        self.place = path.relative_to(root).as_posix()
        self.room = self.place.removesuffix(".py").partition("/")[0]
        self.module = ".".join((PACKAGE, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text, filename=str(path))
        self.nodes = list(ast.walk(self.tree))

    def says(self, node, what):
        return f"{self.place}:{getattr(node, 'lineno', 1)}: {what}"

    @cached_property
    def exported(self):
        """The names of ``__all__``."""
        values = [
            n.value for n in self.tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"
        ]
        return {item.value for value in values for item in ast.walk(value) if isinstance(item, ast.Constant)}


def read(root):
    gc.disable()  # it would go through all trees again and again
    try:
        return [File(path, root) for path in sorted(root.rglob("*.py"))]
    finally:
        gc.enable()


# Imports

DISTRIBUTED = ("graph/cluster", "graph/workers.py", "graph/futures.py", "cli/running.py")


def distributed_problems(files):
    """A cluster's library stays where clusters are driven: everything else runs without it."""
    for file in files:
        for node in file.nodes:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(n.partition(".")[0] == "distributed" for n in names) and not file.place.startswith(DISTRIBUTED):
                yield file.says(node, f"imports distributed, which only {', '.join(DISTRIBUTED)} may")


# Names


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def private_name_problems(files):
    """What another room imports has no underscore."""
    for file in files:
        modules = {}
        for node in file.nodes:
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(f"{PACKAGE}."):
                continue
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                modules[alias.asname or alias.name] = whole
                rooms = whole.split(".")[1:]
                if any(map(is_private, rooms)) and rooms[0] != file.room:
                    yield file.says(node, f"imports {whole} of another room: give it a public name there")
        for node in file.nodes:
            if isinstance(node, ast.Attribute) and is_private(node.attr) and isinstance(node.value, ast.Name):
                whole = modules.get(node.value.id, "")
                if whole and node.value.id.islower() and whole.split(".")[1] != file.room:
                    yield file.says(node, f"uses {whole}.{node.attr} of another room: give it a public name there")


def class_name_problems(files):
    """A name of a class means one thing in the whole package."""
    where = defaultdict(list)
    for file in files:
        for node in file.nodes:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append((file, node))
    for name, places in where.items():
        for file, node in places[1:]:
            yield file.says(node, f"class {name} is also in {places[0][0].place}: one name, one meaning")


# Records

CHANGES = {"_Task", "_Dealer", "_Member"}  # what a cluster's driver keeps of a run that goes on
TUPLES_OF_RECORDS = {"SourceColumn"}  # values, unit and text of a column, which its writers unpack
LONG_TUPLES = {  # to become frozen attrs when they are next touched; none may be added
    "ApertureMaps", "ApertureSums", "AttitudeTrack", "Background", "BetaModelFit", "Block", "Camera", "Chip",
    "ColumnSpec", "Demands", "DiscWeights", "EventTable", "Events", "EvselectJob", "ExposureGeometry", "ExposureMapJob",
    "FittedSource", "GammaMixture", "Inputs", "Look", "Picture", "RateRequest", "Redistribution", "RingLight",
    "Rings", "RowFactors", "SearchMap", "SkyPositions", "Token", "Window", "_Betas", "_Input", "_Job", "_Light",
    "_Request", "_Rings", "_Row", "_Rows",
}  # fmt: skip
WITHOUT_FROZEN = ("Protocol", "Enum", "IntFlag", "Flag", "IntEnum", "StrEnum", "TypedDict")


def record_problems(files):
    """What has fields cannot change: attrs, frozen; a NamedTuple for at most five fields, and in records none."""
    for file in files:
        for node in (n for n in file.nodes if isinstance(n, ast.ClassDef)):
            fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
            bases = {ast.unparse(base).rpartition(".")[2].partition("[")[0] for base in node.bases}
            made_by = [ast.unparse(item) for item in node.decorator_list]
            if not fields or bases & set(WITHOUT_FROZEN):
                continue
            if "NamedTuple" in bases:
                if file.room == "records" and node.name not in TUPLES_OF_RECORDS and not is_private(node.name):
                    yield file.says(node, f"{node.name} is a NamedTuple: a record is frozen attrs with keywords")
                elif len(fields) > 5 and node.name not in LONG_TUPLES:
                    yield file.says(node, f"NamedTuple {node.name} has {len(fields)} fields: frozen attrs for over 5")
            elif node.name not in CHANGES and not any("frozen" in item for item in made_by):
                yield file.says(node, f"{node.name} has fields and is not frozen attrs")
            elif file.room == "records" and not any("kw_only=True" in item for item in made_by):
                yield file.says(node, f"{node.name} is a record: its fields are given by keyword (kw_only=True)")


# Sizes

MOST_LINES, MOST_CODE, MOST_PARAMETERS = (400, 500), (25, 50), 6  # in general, and of those that are listed
LONG_FILES = {  # up to 500: one table, grammar or record each, which two files would only scatter
    "commands/builders.py", "commands/dss.py", "commands/selection/parser.py",
    "engines/native/eexpmap/map_inputs.py", "epic/events.py", "graph/cluster.py", "io/find.py", "io/match.py",
    "io/products.py", "graph/event_mosaics.py", "measure/sensitivity.py",
    "science/identity.py", "science/significance.py",
}  # fmt: skip
LONG_FUNCTIONS = {  # up to 50: one table or one sequence of steps each
    "_about", "_level_pair", "_meant", "_new_cards", "_of_headers", "_product", "_rates", "_rings_of",
    "_solve", "_source", "_table_cards", "_target", "_targets", "_write", "clean", "clean_events",
    "columns_of", "crowded_rates", "exposure_map_part", "flarecut", "image_part", "in_the_ring", "join_runs",
    "joint_photometry", "make", "mosaic_grid", "other_sources", "picture", "place_block", "profile", "read_job",
    "run", "signal_to_noise", "snr", "target_report", "under_wings",
}  # fmt: skip
MANY_PARAMETERS = {
    # public verbs: one thing, and keywords that each have a default; their names are a promise
    "clean_events": 7, "completeness": 9, "curve_of_growth": 7, "custom_mask": 7, "ecf_from_response": 7,
    "extended_source": 7, "galaxy_cluster": 10, "mosaic_events": 7, "photometry": 13, "plan_detection": 9,
    "plan_exposure_maps": 7, "plan_photometry": 7, "power_law_ecf": 7, "report": 9, "run": 8, "save_view": 14,
    "sensitivity_map": 9, "surface_brightness_profile": 7, "upper_limit_map": 8, "view": 12,
    # builders of commands: the parameters are the task's own
    "eexpmap": 10, "evselect_rate": 7, "flarecut": 11, "tabgtigen": 7, "xdetect": 8,
    # inside
    "_safe": 7, "compute": 9, "compute_on": 8, "find_sources": 7, "progress_bar": 7, "image_of_events": 8,
    "run_plan": 7,
}  # fmt: skip


def code_of(function, lines):
    """Return how many lines a function has beside its docstring, blank lines and comments."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    inside = [line.strip() for line in lines[body[0].lineno - 1 : body[-1].end_lineno]] if body else []
    return sum(bool(line) and not line.startswith("#") for line in inside)


def parameters_of(function):
    """Return how many parameters a function has beside ``self``."""
    several = function.args
    names = [item.arg for item in (*several.posonlyargs, *several.args, *several.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def is_command(decorator):
    return isinstance(decorator, ast.Call) and last_name(decorator.func) == "command"


def file_size_problems(files):
    """A file has at most 400 lines."""
    for file in files:
        size = len(file.text.splitlines())
        if size > MOST_LINES[file.place in LONG_FILES]:
            yield file.says(file.tree, f"{size} lines, above {MOST_LINES[file.place in LONG_FILES]}: part it")


def function_size_problems(files):
    """A function has at most 25 lines of code and 6 parameters."""
    for file in files:
        lines = file.text.splitlines()
        for node in (n for n in file.nodes if isinstance(n, FUNCTIONS)):
            code, most = code_of(node, lines), MOST_CODE[node.name in LONG_FUNCTIONS]
            if code > most:
                yield file.says(node, f"{node.name} has {code} lines of code, above {most}: part it")
            if file.room == "cli" and any(is_command(item) for item in node.decorator_list):
                continue  # the options of a command line
            count, most = parameters_of(node), MANY_PARAMETERS.get(node.name, MOST_PARAMETERS)
            if count > most:
                yield file.says(node, f"{node.name} has {count} parameters, above {most}: give it a record")


# Errors

# Functions that raise what Python's protocols ask for, or what their own file turns into an error of ours.
BUILTIN_RAISES = {
    "__getattr__": "AttributeError",  # the protocol of modules
    "columns_of": "ValueError",  # walkers of FITS files: their caller adds which file and which block
    "_text_table": "ValueError",
    "_text": "ValueError",
    "read": "EOFError",  # the archive: a broken connection, which is tried again
    "require_end": "OSError",
    "_stream": "OSError",
    "_kept": "EOFError",
    "unpacked": "EOFError",
    "interrupt": "KeyboardInterrupt",  # Ctrl-C that came while a task was stopped
    "_leaf": "TypeError",  # not reached by typed code
    "place_block": "TypeError",
    "file_filter": "TypeError",
}


def raise_problems(files):
    """An error has a type of ours, so that users can tell it from a bug."""
    for file in files:
        raises = [n for n in file.nodes if isinstance(n, ast.Raise) and n.exc is not None]
        functions = [n for n in file.nodes if isinstance(n, FUNCTIONS)] if raises else []
        for node in raises:
            kind = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            around = [f.name for f in functions if f.lineno <= node.lineno <= f.end_lineno]
            where = around[-1] if around else "the module"
            if isinstance(getattr(builtins, kind, None), type) and kind != BUILTIN_RAISES.get(where):
                yield file.says(node, f"{where} raises {kind}: raise an error of xphotfn.errors that says what to do")


# State and files

STATE = {  # what belongs to the process, and the files that keep it
    "engines/processes.py": "the tasks that run now",
    "graph/futures.py": "who listens to a worker",
    "graph/workers.py": "what a worker was asked",
    "io/products.py": "maps and masks that were read, up to a size",
    "store/digests.py": "digests of files that have not changed",
    "testing/examples.py": "one example for a whole session",
}
MUTABLE = ("dict", "list", "set", "defaultdict", "OrderedDict", "deque", "Counter", "WeakValueDictionary",
           "WeakKeyDictionary", "count", "local", "Lock", "RLock", "Condition", "Event")  # fmt: skip
CHANGING = ("append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "clear", "remove", "discard",
            "appendleft")  # fmt: skip


def last_name(node):
    return ast.unparse(node).rpartition(".")[2]


def is_empty_container(value):
    if isinstance(value, ast.Call):
        return last_name(value.func) in MUTABLE and not value.args
    return not getattr(value, "keys", getattr(value, "elts", True)) and not isinstance(value, ast.Tuple)


def changed_names(function):
    """Yield (node, name) of what a function changes by assignment to an item or by a method."""
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else []
        targets = [node.target] if isinstance(node, ast.AugAssign) else targets
        for target in targets:
            if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                yield node, target.value.id
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in CHANGING and isinstance(called.value, ast.Name):
            yield node, called.value.id


def own_names(function):
    """Return the names that are a function's own: parameters and what it assigns."""
    nodes = list(ast.walk(function))
    return {n.arg for n in nodes if isinstance(n, ast.arg)} | {
        n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def held_by(file):
    """Return the nodes of the names that a module assigns."""
    nodes = [n for n in file.tree.body if isinstance(n, ast.Assign | ast.AnnAssign) and n.value is not None]
    return {ast.unparse(n.targets[0] if isinstance(n, ast.Assign) else n.target): n for n in nodes}


def state_problems(files):
    """No module keeps what calls leave behind; functions that remember use ``functools.cache`` on values."""
    for file in (f for f in files if f.place not in STATE):
        held = held_by(file)
        for name, node in held.items():
            if is_empty_container(node.value):
                yield file.says(node, f"{name} is state of the module: pass it, or return it")
        for node in file.nodes:
            if isinstance(node, ast.Global):
                yield file.says(node, f"changes {', '.join(node.names)} of the module")
        for function in (n for n in file.tree.body if isinstance(n, (*FUNCTIONS, ast.ClassDef))):
            changed = [(node, name) for node, name in changed_names(function) if name in held]
            for node, name in changed:
                if name not in own_names(function):
                    yield file.says(node, f"changes {name} of the module")


WRITES = ("write_text", "write_bytes", "writeto", "mkdir", "makedirs", "unlink", "rename", "renames", "touch",
          "savefig", "tofile", "savetxt", "savez", "rmtree", "copyfile", "copytree", "symlink_to", "hardlink_to",
          "link", "symlink", "mkdtemp", "mkstemp", "TemporaryDirectory", "NamedTemporaryFile", "to_csv",
          "to_parquet")  # fmt: skip
MAY_WRITE = {"io", "engines", "store", "graph", "cli", "testing", "simulate"}
WRITING_FILES = {  # verbs that are named for the file they make; a list that is unpacked to be read in chunks
    "epic/events.py", "plot/ds9.py", "plot/view.py", "reports/detected.py", "reports/folder.py", "reports/pictures.py",
    "reports/site.py",
}  # fmt: skip


def writes(node):
    """Return the name of the call that writes a file, or nothing."""
    if not isinstance(node, ast.Call):
        return ""
    name = last_name(node.func)
    if name in WRITES:
        return name
    if name == "replace" and isinstance(node.func, ast.Attribute) and len(node.args) == 1 and not node.keywords:
        return name
    modes = [*node.args[:2], *(k.value for k in node.keywords if k.arg == "mode")]
    texts = [m.value for m in modes if isinstance(m, ast.Constant) and isinstance(m.value, str)]
    opens = any(set(text) <= set("rwabxt+") and set(text) & set("wax+") for text in texts)
    return name if name == "open" and opens else ""


def writing_problems(files):
    """Only the rooms whose work it is write files, and the verbs that are named for it."""
    for file in files:
        for node in file.nodes if file.room not in MAY_WRITE and file.place not in WRITING_FILES else ():
            if name := writes(node):
                yield file.says(node, f"{file.room} writes files ({name}): return the value, io and store write")


# Faces

OFFERED = ("science", "commands", "testing", "records", "simulate")  # rooms whose modules the reference lists


def words_of(file):
    """Return the words in a file's texts: the names that a table of names offers."""
    texts = (n.value for n in file.nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
    spoken = file.tree.body[0].value.value  # the docstring, whose words are no names
    return {word.rpartition(":")[2] for text in texts if text is not spoken for word in text.split()}


def face_problems(files):
    """A function that a module exports is offered to users or used by another file; else it is nobody's."""
    offered = {word for file in files if file.module == PACKAGE for word in words_of(file)}
    users = defaultdict(set)
    for file in files:
        names = {n.attr for n in file.nodes if isinstance(n, ast.Attribute)} | {
            alias.name for n in file.nodes if isinstance(n, ast.ImportFrom) for alias in n.names
        }
        for name in names | {text for text in words_of(file) if text not in file.exported}:
            users[name].add(file.place)
    for file in files:
        for node in file.tree.body:
            public = isinstance(node, FUNCTIONS) and node.name in file.exported and file.room not in OFFERED
            if public and node.name not in offered and not users[node.name] - {file.place}:
                yield file.says(
                    node, f"{node.name} is on no face: offer it in {PACKAGE}/__init__.py, or keep it private"
                )


# Choices

REST = {
    "children",  # nodes of an expression that have none below them
    "new",
    "node",
    "compound",  # files, whose kinds the next function tells apart
    "place_filter",  # what is no place
    "_named_ccds",  # conditions that name no CCD
    "_row",  # shapes with a centre, sizes and no angle
    "_reach",  # shapes whose reach nobody needs: as far as one likes
    "_inner_radius",  # shapes that may be hollow
    "_cells",  # values that a table holds as they are
    "_shown_values",  # maps without an exposure
    "_is_kind",
}


def inside(function):
    """Yield the nodes of a function without those of functions in it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, FUNCTIONS):
            yield child
            yield from inside(child)


def match_problems(files):
    """A choice among kinds has no silent rest: the last case is ``assert_never``, an error, or listed."""
    for file in files:
        for function in (n for n in file.nodes if isinstance(n, FUNCTIONS) and n.name not in REST):
            for node in (n for n in inside(function) if isinstance(n, ast.Match)):
                last = node.cases[-1]
                wild = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
                inner = list(ast.walk(last))
                told = any(isinstance(item, ast.Raise) or getattr(item, "id", "") == "assert_never" for item in inner)
                if wild and not told:
                    yield file.says(node, f"{function.name} takes the rest in silence: end in assert_never")


# Types

UNTYPED = {  # at most ten
    "one_or_several": "passes on what it is given, of any type",
    "whole": "refuses whatever is no whole number",
    "not_negative": "compares whatever has an order",
    "radius_of": "refuses whatever is no radius",
}


def is_any(annotation):
    """Return whether an annotation says nothing: ``Any``, alone or in a union."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.BinOp):
        return is_any(annotation.left) or is_any(annotation.right)
    return isinstance(annotation, ast.Name) and annotation.id == "Any"


def public_functions(file, offered):
    """Yield the functions, and the methods of classes, that users can reach."""
    for node in file.tree.body:
        reached = getattr(node, "name", "") in file.exported and (
            node.name in offered or file.room in (*OFFERED, "units")
        )
        if reached and isinstance(node, FUNCTIONS):
            yield node
        elif reached and isinstance(node, ast.ClassDef):
            yield from (n for n in node.body if isinstance(n, FUNCTIONS) and not n.name.startswith("_"))


def any_problems(files):
    """A public parameter says what it takes: a type, or one of the forms of ``xphotfn.typing``."""
    offered = {word for file in files if file.module == PACKAGE for word in words_of(file)}
    for file in files:
        for function in public_functions(file, offered):
            several = function.args
            for item in (*several.posonlyargs, *several.args, *several.kwonlyargs):
                if is_any(item.annotation) and function.name not in UNTYPED:
                    yield file.says(
                        item, f"{function.name}({item.arg}=) takes Any: name the form, see xphotfn/typing.py"
                    )


def test_few_parameters_are_untyped():
    assert len(UNTYPED) <= 10


RULES = (
    any_problems,
    distributed_problems,
    private_name_problems,
    class_name_problems,
    record_problems,
    file_size_problems,
    function_size_problems,
    raise_problems,
    state_problems,
    writing_problems,
    face_problems,
    match_problems,
)


@pytest.fixture(scope="module")
def package():
    return read(SOURCE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_its_walls(rule, package):
    found = list(rule(package))
    assert not found, "\n" + "\n".join(found)


LISTS = (
    "BUILTIN_RAISES", "CHANGES", "LONG_FILES", "LONG_FUNCTIONS", "LONG_TUPLES", "MANY_PARAMETERS", "REST", "STATE",
    "TUPLES_OF_RECORDS", "UNTYPED", "WRITING_FILES",
)  # fmt: skip


def test_no_list_holds_what_needs_no_exception(package, monkeypatch):
    listed = {name: list(globals()[name]) for name in LISTS}
    for name in LISTS:
        monkeypatch.setitem(globals(), name, type(globals()[name])())
    found = "\n".join(line for rule in RULES for line in rule(package))
    words = set(re.findall(r"[\w/.]+", found.replace(".py:", ".py ").replace("(", " ")))
    not_needed = [f"{name}: {item}" for name, items in listed.items() for item in items if item not in words]
    assert not not_needed, f"take from the lists in {Path(__file__).name}: {', '.join(not_needed)}"


# Each wall is shown to stand: a small tree that breaks it

MODULE = '"""A module."""\n__all__ = ()\n'
GOOD = {
    "__init__.py": '"""A package."""\n_WHERE = {"measure.a": "peak"}\n',
    "measure/a.py": '"""A module."""\n__all__ = ("peak",)\ndef peak():\n    return 1\n',
    "records/a.py": MODULE + "@frozen(kw_only=True)\nclass Band:\n    lo: int\n",
    "science/a.py": MODULE + "class Pair(NamedTuple):\n    a: int\n    b: int\n",
}
FIELDS = "".join(f"    f{n}: int\n" for n in range(6))
LINES = "".join(f"    x{n} = {n}\n" for n in range(26))
PARAMETERS = ", ".join(f"p{n}" for n in range(7))

BAD = [
    ("measure/b.py", MODULE + "from distributed import Client\n", "imports distributed, which only"),
    ("measure/b.py", MODULE + "def f():\n    import distributed.protocol\n", "imports distributed, which only"),
    ("plot/b.py", MODULE + "from xphotfn.measure.a import _found\n", "imports xphotfn.measure.a._found of"),
    ("plot/b.py", MODULE + "from xphotfn.measure import _tools\n", "imports xphotfn.measure._tools of another room"),
    ("plot/b.py", MODULE + "from xphotfn.measure import a\na._found()\n", "uses xphotfn.measure.a._found of another"),
    ("science/b.py", MODULE + "class Band:\n    pass\n", "class Band is also in records/a.py"),
    ("records/b.py", MODULE + "@dataclass\nclass New:\n    a: int\n", "New has fields and is not frozen attrs"),
    ("science/b.py", MODULE + "@define\nclass New:\n    a: int\n", "New has fields and is not frozen attrs"),
    ("records/b.py", MODULE + "@frozen\nclass New:\n    a: int\n", "its fields are given by keyword"),
    ("records/b.py", MODULE + "class New(NamedTuple):\n    a: int\n", "a record is frozen attrs with keywords"),
    ("science/b.py", MODULE + f"class New(NamedTuple):\n{FIELDS}", "has 6 fields: frozen attrs for over 5"),
    ("science/b.py", MODULE + "# a line\n" * 400, "402 lines, above 400"),
    ("science/b.py", MODULE + f"def f():\n{LINES}", "f has 26 lines of code, above 25"),
    ("science/b.py", MODULE + f"def f({PARAMETERS}):\n    pass\n", "f has 7 parameters, above 6"),
    ("science/b.py", MODULE + "def f():\n    raise ValueError('no')\n", "f raises ValueError"),
    ("science/b.py", MODULE + "def f():\n    raise KeyError\n", "f raises KeyError"),
    ("science/b.py", MODULE + "_SEEN = {}\n", "_SEEN is state of the module"),
    ("science/b.py", MODULE + "_SEEN: list[int] = []\n", "_SEEN is state of the module"),
    ("science/b.py", MODULE + "_SEEN = defaultdict()\n", "_SEEN is state of the module"),
    ("science/b.py", MODULE + "_SEEN = {0: 1}\ndef f(n):\n    _SEEN[n] = n\n", "changes _SEEN of the module"),
    ("science/b.py", MODULE + "_SEEN = [1]\ndef f(n):\n    _SEEN.append(n)\n", "changes _SEEN of the module"),
    ("science/b.py", MODULE + "_n = 0\ndef f():\n    global _n\n    _n = 1\n", "changes _n of the module"),
    ("measure/b.py", MODULE + "def f(path):\n    path.write_text('a')\n", "measure writes files (write_text)"),
    ("measure/b.py", MODULE + "def f():\n    open('a', 'w')\n", "measure writes files (open)"),
    ("measure/b.py", MODULE + "def f(p):\n    p.open(mode='wb')\n", "measure writes files (open)"),
    ("measure/b.py", MODULE + "def f(hdus):\n    hdus.writeto('a.fits')\n", "measure writes files (writeto)"),
    ("plot/b.py", MODULE + "def f(a, b):\n    a.replace(b)\n", "plot writes files (replace)"),
    ("measure/b.py", '"""A module."""\n__all__ = ("lost",)\ndef lost():\n    pass\n', "lost is on no face"),
    ("measure/a.py", GOOD["measure/a.py"].replace("peak()", "peak(at: Any)"), "peak(at=) takes Any"),
    ("measure/a.py", GOOD["measure/a.py"].replace("peak()", "peak(*, at: Any | None)"), "peak(at=) takes Any"),
    ("measure/a.py", GOOD["measure/a.py"].replace("peak()", "peak(at: 'Any | int')"), "peak(at=) takes Any"),
    ("measure/b.py", MODULE + "def f(x):\n    match x:\n        case int():\n            return 1\n"
     "        case _:\n            return 2\n", "f takes the rest in silence"),
]  # fmt: skip


def tree(root, files):
    for place, text in files.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text, encoding="utf-8")
    return read(root)


def problems(files):
    return [line for rule in RULES for line in rule(files)]


def test_a_good_tree_passes(tmp_path):
    assert problems(tree(tmp_path, GOOD)) == []


@pytest.mark.parametrize(("place", "text", "complaint"), BAD)
def test_a_bad_tree_is_found(tmp_path, place, text, complaint):
    found = problems(tree(tmp_path, GOOD | {place: text}))
    assert any(complaint in line for line in found), found
    assert {line.partition(":")[0] for line in found} == {place}


# Sentences that other code wrote

READING = {
    "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "replace", "rpartition", "rsplit",
    "split", "splitlines", "startswith",
}  # fmt: skip
FOREIGN_ERRORS = {"units.py": "astropy has one class for each mistake in a position"}
"""Files that read the message of an error of another package."""


def read_messages(nodes):
    """Yield the lines on which the text of a caught error, or its arguments, is taken apart."""
    for handler in (n for n in nodes if isinstance(n, ast.ExceptHandler) and n.name):
        texts = {f"str({handler.name})", f"{handler.name}.args[0]", f"{handler.name}.problem"}
        for node in ast.walk(handler):
            match node:
                case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in READING:
                    is_layout = attr == "split" and not node.args  # " ".join(text.split()): one line of it
                    if ast.unparse(value) in texts and not is_layout:
                        yield node.lineno
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"))):
                    if any(ast.unparse(argument) in texts for argument in node.args):
                        yield node.lineno
                case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[held]) if ast.unparse(held) in texts:
                    yield node.lineno


@pytest.mark.parametrize(
    ("handling", "lines"),
    [("str(e).split(': ')", [4]), ("'range' in str(e)", [4]), ("re.search('a', str(e))", [4]), ("e.problem[1:]", []),
     ("' '.join(str(e).split())", []), ("str(e).removeprefix('a')", [4]), ("e.args[0].startswith('a')", [4])],
)  # fmt: skip
def test_the_reader_of_messages_is_found(handling, lines):
    tree = ast.parse(f"try:\n    work()\nexcept E as e:\n    x = {handling}\n")
    assert list(read_messages(ast.walk(tree))) == lines


def test_no_message_of_an_error_is_read(package):
    """What a caller must know of an error is a field of it; its sentence is for people."""
    found = {file.place: lines for file in package if (lines := list(read_messages(file.nodes)))}
    assert set(found) == set(FOREIGN_ERRORS), found
