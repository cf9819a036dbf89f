"""List every error message of the package, read from its source, with its remedy: docs/_made/messages.md.

A message is the text behind a ``raise``; what is filled in at run time is shown as ‹name›. Where the message does not
itself say what to do, ``remedies.toml`` does, by the words that the message starts with.
"""

import ast
import itertools
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "src" / "xphotfn"
MADE = HERE.parent / "_made"

PASSED_ON = {
    "graph.run": "what is wrong with the record of a run, raised below in the same file",
    "cli.group": "the sentence of any error",
    "commands.selection.macros": "what is wrong with a macro, raised below in the same file",
    "epic.events": "the message of io.blocks",
    "epic.selecting.arithmetic": "a mark without a message",
    "epic.selecting.filter_files": "the message of the reader of the file",
    "engines.shims.command_line": "the rule that a parameter breaks, of commands.parameters",
    "engines.shims.task": "the message of the command",
    "io.regions": "what is wrong with a shape, raised below in the same file",
    "io.tables": "what is wrong with a row of the table, raised below in the same file",
    "io.image_data": "the message of io.blocks",
    "io.products": "what is wrong with the counts, said below in the same file",
    "io.beside": "the message of the reader of the file",
    "graph.cleaned_list": "the message of the reader of the file",
    "graph.one_image": "the message of the reader of the file",
}
"""Modules with a ``raise`` that passes a message on which is raised, and listed, elsewhere."""

FILLED = re.compile("‹[^›]*›")
"""What is filled in at run time."""

WHICH = {"InvalidFile": 1, "CommandFailed": 1, "TaskError": 1}
"""The argument that is the message, where it is not the first."""

RAISED_AS = {"_UnusableError": "ExpressionError"}
"""What a user sees of an exception that is caught and given a place in the text."""

INTERNAL = {
    "AttributeError",  # Python's own protocol of modules
    "Cancelled",  # a run that the user stopped
    "Exit",  # how click ends a command
    "KeyboardInterrupt",  # the same
    "Reschedule",  # how dask is told to try elsewhere
    "NotWholeError",  # caught where it is raised for
    "TypeError",  # a node that no parser makes
    "ValueError",  # caught and given a file's name
}
"""Exceptions that never reach a user as they are."""

ACTION = re.compile(
    r"(?:[:;,(]|\bor|\band) ?(?:use|give|write|make|run|check|fetch|save|put|name|add|keep|mend|ask|get|remove|delete"
    r"|install|choose|load|build|change|take|divide|set)\b"
    r"|there (?:is|are) |it has |they hold |candidates:|pip install"
)
"""Words with which a message says what to do, or what there is to choose from."""

RULE = re.compile(r"\b(?:must|needs?)\b")
"""A message that gives the rule which a value breaks."""


class Message(NamedTuple):
    """One ``raise``: the class, the text, and where it stands."""

    error: str
    text: str
    module: str
    line: int


class Scope(NamedTuple):
    """What the names of a module mean: its functions, texts and remedies, and who calls what, from where."""

    functions: dict[str, ast.FunctionDef]
    texts: dict[str, str]
    calls: list[tuple[str, ast.Call, ast.AST]]
    remedies: dict[str, ast.expr]


def scope_of(tree: ast.Module) -> Scope:
    """Return the functions, texts and calls of a module."""
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    texts = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = [
        (node.func.id, node, function)
        for function in functions.values()
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    remedies = {
        t.id: n.value for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }
    return Scope(functions, texts, calls, remedies)


def part(node: ast.expr, scope: Scope, inside: ast.AST, depth: int) -> list[str]:
    """Return what may stand in a place of an f-string: a text of the module or of those who call, else ‹name›."""
    if isinstance(node, ast.Name) and node.id in scope.texts:
        return [scope.texts[node.id]]
    if isinstance(node, ast.Name) and isinstance(inside, ast.FunctionDef) and depth < 2:
        passed = [
            (given, caller)
            for name, call, caller in scope.calls
            if name == inside.name and (given := parameter(node, inside, call)) is not None
        ]
        said = [t for given, caller in passed for t in shown(given, scope, caller, depth + 1) if words(t)]
        if said:
            return list(dict.fromkeys(said))
    return [filled(node)]


def spelled_out(node: ast.JoinedStr, scope: Scope, inside: ast.AST, depth: int) -> list[str]:
    """Return an f-string of nothing but names, with what is assigned to the names in its function."""
    parts = [
        [str(p.value)]
        if isinstance(p, ast.Constant)
        else (followed(p.value, scope, inside, depth + 1) or [filled(p.value)])
        for p in node.values
        if isinstance(p, ast.Constant | ast.FormattedValue)
    ]
    return ["".join(texts) for texts in itertools.product(*parts)]


def shown(node: ast.expr, scope: Scope, inside: ast.AST, depth: int = 0) -> list[str]:
    """Return the texts that an expression may be, with ‹names› for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        parts = [
            [str(p.value)] if isinstance(p, ast.Constant) else part(p.value, scope, inside, depth)
            for p in node.values
            if isinstance(p, ast.Constant | ast.FormattedValue)
        ]
        texts = ["".join(texts) for texts in itertools.product(*parts)]
        return texts if any(map(words, texts)) else spelled_out(node, scope, inside, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        pairs = shown(node.left, scope, inside, depth), shown(node.right, scope, inside, depth)
        return [a + b for a in pairs[0] for b in pairs[1]]
    if isinstance(node, ast.IfExp):
        return [*shown(node.body, scope, inside, depth), *shown(node.orelse, scope, inside, depth)]
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in shown(value, scope, inside, depth)]
    if depth < 4:
        return followed(node, scope, inside, depth) or [filled(node)]
    return [filled(node)]


def followed(node: ast.expr, scope: Scope, inside: ast.AST, depth: int) -> list[str]:
    """Return the texts of a variable or of a call: what is assigned to it, or what the function returns."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "str" and node.args:
            return followed(node.args[0], scope, inside, depth)
        function = scope.functions.get(name)
        if function is None or function is inside:
            return []
        values = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]
        return [t for value in values for t in shown(value, scope, function, depth + 1) if words(t)]
    if isinstance(node, ast.Name):
        values = [
            n.value
            for n in ast.walk(inside)
            if isinstance(n, ast.Assign | ast.NamedExpr)
            and any(
                isinstance(t, ast.Name) and t.id == node.id
                for t in (n.targets if isinstance(n, ast.Assign) else [n.target])
            )
        ]
        return [t for value in values for t in shown(value, scope, inside, depth + 1) if words(t)]
    return []


def words(text: str) -> bool:
    """Tell whether a text says anything beside what is filled in."""
    return bool(re.search(r"[a-z]{2}", FILLED.sub("", text)))


def filled(node: ast.expr) -> str:
    """Return what is filled in as a short word between ‹ ›."""
    names = [
        n.attr if isinstance(n, ast.Attribute) else n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute | ast.Name)
    ]
    names = [
        n.strip("_") for n in names if n not in {"join", "sorted", "str", "map", "type", "len", "self", "repr", "shlex"}
    ]
    return f"‹{names[0].lower() if names else '...'}›"


def raises(tree: ast.Module) -> Iterator[tuple[ast.Raise, ast.AST]]:
    """Yield each ``raise`` of a module with the innermost function it stands in."""

    def walk(node: ast.AST, inside: ast.AST) -> Iterator[tuple[ast.Raise, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Raise) and child.exc is not None:
                yield child, inside
            within = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else inside
            yield from walk(child, within)

    yield from walk(tree, tree)


def built(
    node: ast.expr, scope: Scope, inside: ast.AST, depth: int = 0
) -> Iterator[tuple[str, ast.expr | None, ast.AST]]:
    """Yield the class of an error, the expression of its message and the function it stands in."""
    if isinstance(node, ast.Name):
        for n in ast.walk(inside):
            if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id == node.id for t in n.targets):
                yield from built(n.value, scope, inside, depth)
        return
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    function = scope.functions.get(name)
    if function is not None and depth < 3:
        for n in ast.walk(function):
            if isinstance(n, ast.Return) and n.value is not None:
                for error, message, where in built(n.value, scope, function, depth + 1):
                    passed = parameter(message, function, node)
                    yield (error, passed, inside) if passed is not None else (error, message, where)
        return
    place = WHICH.get(name, 0)
    message = node.args[place] if len(node.args) > place else None
    yield name or "error", message if message is None else with_remedy(message, node, scope), inside


def with_remedy(message: ast.expr, call: ast.Call, scope: Scope) -> ast.expr:
    """Return the expression of a message with that of its remedy in Python behind it, where it has one."""
    given = next((k.value for k in call.keywords if k.arg == "remedy"), None)
    given = scope.remedies.get(given.id) if isinstance(given, ast.Name) else given
    if not isinstance(given, ast.Call):
        return message
    return ast.BinOp(ast.BinOp(message, ast.Add(), ast.Constant(": ")), ast.Add(), given.args[0])


def parameter(message: ast.expr | None, function: ast.FunctionDef, call: ast.Call) -> ast.expr | None:
    """Return what a call gives for the parameter that is the message, if the message is one."""
    names = [a.arg for a in function.args.args if a.arg not in ("self", "cls")]
    if isinstance(message, ast.Name) and message.id in names:
        place = names.index(message.id)
        return call.args[place] if place < len(call.args) else None
    return None


@cache
def sites() -> tuple[tuple[str, int, tuple[Message, ...]], ...]:
    """Return each ``raise`` with an argument: module, line, and the messages it may have."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        scope = scope_of(tree)
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for node, inside in raises(tree):
            texts = []
            for error, message, where in built(node.exc, scope, inside):
                given = shown(message, scope, where) if message is not None else [""]
                texts += [
                    Message(RAISED_AS.get(error, error), " ".join(text.split()), module, node.lineno) for text in given
                ]
            found.append((module, node.lineno, tuple(texts)))
    return tuple(found)


def bare(text: str) -> str:
    """Return a text with empty ‹› for what is filled in."""
    return FILLED.sub("‹›", text)


@cache
def remedies() -> tuple[dict[str, str], dict[str, str]]:
    """Return the remedies by words, and by class."""
    read: dict[str, Any] = tomllib.loads((HERE / "remedies.toml").read_text(encoding="utf-8"))
    classes = read.pop("classes")
    return read, classes


def remedy(message: Message) -> str:
    """Return what to do about a message: its own words, an entry, or the remedy of its class."""
    by_words, by_class = remedies()
    if RULE.search(message.text):
        return "Correct the value: the message gives the rule."
    if ACTION.search(message.text):
        return "As the message says."
    fitting = [key for key in by_words if key in bare(message.text)]
    if fitting:
        return by_words[max(fitting, key=len)]
    return by_class.get(message.error, by_class["XphotfnError"])


@cache
def messages() -> tuple[Message, ...]:
    """Return the messages that users meet, each once, by class and text."""
    seen: dict[tuple[str, str], Message] = {}
    for _, _, texts in sites():
        for message in texts:
            if message.error not in INTERNAL and words(message.text):
                seen.setdefault((message.error, message.text), message)
    return tuple(seen[key] for key in sorted(seen, key=lambda k: (k[0], k[1].lower())))


def code(text: str) -> str:
    """Return a message as code that may stand in a table."""
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}".replace("|", "\\|")


def document() -> str:
    """Return the tables, one for each class, in Markdown."""
    from xphotfn import errors

    order = [*errors.__all__, *sorted({m.error for m in messages()} - set(errors.__all__))]
    parts = []
    for error in order:
        rows = [f"| {code(m.text)} | {remedy(m)} |" for m in messages() if m.error == error]
        if rows:
            title = TITLES.get(error, f"`{error}`")
            parts += [f"## {title}\n", "| message | remedy |", "|---|---|", *rows, ""]
    return "\n".join(parts)


TITLES = {
    "UsageError": "`UsageError` of the command line",
    "MatplotlibMissing": "`ImportError` of matplotlib",
    "TaskError": "`xphotfn task`, printed in SAS's form",
    "error": "Errors of a table's row, of any class",
}


def write(app: Any = None, config: Any = None) -> None:
    """Write the tables where docs/error-messages.md includes them."""
    del app, config
    MADE.mkdir(exist_ok=True)
    path, text = MADE / "messages.md", document()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Write the tables before the pages are read."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
