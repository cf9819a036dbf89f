"""The curried face: what waits, what is told, and the stub that type checkers read.

``python tests/test_curried.py`` writes the stub anew.
"""

import ast
import inspect
import pickle
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from toolz import pipe

import xphotfn as xp
from xphotfn import curried as xc

STUB = Path(xc.__file__).with_suffix(".pyi")
HEAD = '''"""What the curried functions take and return, made from the functions by tests/test_curried.py."""

from collections.abc import Callable
from typing import overload

# ruff: noqa: E501
# fmt: off
'''


def functions():
    return {name: getattr(xp, name) for name in xc.__all__ if inspect.isfunction(getattr(xp, name))}


class Source:
    """The definitions of a public function in its module, and where its module's names come from."""

    def __init__(self, name):
        self.module = getattr(xp, name).__module__
        tree = ast.parse(Path(import_module(self.module).__file__).read_text(encoding="utf-8"))
        found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
        self.definitions = [n for n in found if n.decorator_list] or found
        self.imports = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    text = f" as {alias.asname}" if alias.asname else ""
                    self.imports[alias.asname or alias.name] = f"import {alias.name}{text}"
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    text = f" as {alias.asname}" if alias.asname else ""
                    self.imports[alias.asname or alias.name] = f"from {node.module} import {alias.name}{text}"

    def needed(self, name):
        """Return the line that imports a name that annotations use."""
        if name in dir(__import__("builtins")):
            return None
        return self.imports.get(name, f"from {self.module} import {name}")


def annotation(node):
    """Return an annotation without quotation marks."""
    text = ast.unparse(node)
    return ast.parse(text.strip("'\""), mode="eval").body if text.startswith(("'", '"')) else node


def shape(definition):
    """Return the parameters (name, annotation, needed or not), the keywords, and what is returned."""
    args = definition.args
    first = len(args.args) - len(args.defaults)
    places = [(a.arg, ast.unparse(annotation(a.annotation)), n < first) for n, a in enumerate(args.args)]
    pairs = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    keywords = [(a.arg, ast.unparse(annotation(a.annotation)), d is None) for a, d in pairs]
    return places, keywords, ast.unparse(annotation(definition.returns))


def written(name, places, keywords, result):
    """Return one overload."""
    star = ["*"] if keywords else []
    parts = [f"{n}: {a}{'' if needed else ' = ...'}" for n, a, needed in places]
    parts += star + [f"{n}: {a}{'' if needed else ' = ...'}" for n, a, needed in keywords]
    return f"@overload\ndef {name}({', '.join(parts)}) -> {result}: ...\n"


def overloads(name, definitions):
    """Yield the whole calls, then those that leave out the first or the second of the arguments that are needed."""
    shapes = [shape(definition) for definition in definitions]
    yield from (written(name, *one) for one in shapes)
    for left_out, forms in ((0, shapes[-1:]), (1, shapes)):
        for places, keywords, result in forms:
            if len(places) > left_out and places[left_out][2] and len(places) + len(keywords) > 1:
                before, (_, kind, _), after = places[:left_out], places[left_out], places[left_out + 1 :]
                yield written(name, before, [*after, *keywords], f"Callable[[{kind}], {result}]")


def stub():
    """Return the text of the stub."""
    imports, texts = {}, []
    for name in functions():
        source = Source(name)
        forms = list(overloads(name, source.definitions))
        texts += [forms[0].removeprefix("@overload\n")] if len(forms) == 1 else forms
        for definition in source.definitions:
            parts = [a.annotation for a in (*definition.args.args, *definition.args.kwonlyargs)] + [definition.returns]
            names = {n.id for part in parts for n in ast.walk(annotation(part)) if isinstance(n, ast.Name)}
            imports = {n: source.needed(n) for n in names} | imports  # aliases such as Floats are the same everywhere
    imports |= {n: f"from xphotfn import {n} as {n}" for n in set(xc.__all__) - set(functions())}
    return HEAD + "\n".join(sorted(filter(None, imports.values()))) + "\n\n" + "".join(texts)


def meant(text):
    """Return a stub without its layout: the names that it imports and its definitions in order."""
    tree = ast.parse(text)
    imports = {
        (getattr(node, "module", ""), alias.name)
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return imports, [ast.dump(node) for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_the_stub_is_that_of_the_functions():
    assert meant(STUB.read_text(encoding="utf-8")) == meant(stub()), "run python tests/test_curried.py"


def test_every_function_is_there_and_says_what_it_takes():
    assert set(functions()) <= set(xc.__all__)
    for name, function in functions().items():
        mirrored = getattr(xc, name)
        assert getattr(mirrored, "func", mirrored) is function
        assert inspect.signature(mirrored) == inspect.signature(function)
        assert mirrored.__doc__ == function.__doc__
    assert xc.xmm_sky is xp.xmm_sky


def test_what_waits_says_for_what():
    assert repr(xc.snr) == "<xphotfn.curried.snr: waits for rate_map, field, region>"
    assert repr(xc.snr(region="r500")) == "<xphotfn.curried.snr: has region, waits for rate_map, field>"
    assert repr(xc.coord_conv("a map")) == "<xphotfn.curried.coord_conv: has product, waits for coords, to>"
    assert repr(xc.snr(region="r500")(field=1)(method="exact")).endswith("waits for rate_map>")


def test_what_needs_nothing_is_not_curried():
    assert xc.describe is xp.describe
    assert xc.xga_method is xp.xga_method


def test_an_argument_that_was_forgotten_is_told():
    with pytest.raises(TypeError, match=r"snr\(\) missing 1 required positional argument: 'region'"):
        pipe("a map", xc.snr(field="a field"))
    with pytest.raises(TypeError, match=r"snr\(\) missing 2 required positional arguments: 'field' and 'region'"):
        pipe("a map", pickle.loads(pickle.dumps(xc.snr())))
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'redshift'"):
        pipe("a name", xc.galaxy_cluster(ra=1.0))
    with pytest.raises(TypeError, match=r"snr\(\) got an unexpected keyword argument 'regoin'"):
        xc.snr(regoin="r500")
    with pytest.raises(TypeError, match=r"multiple values for argument 'product'"):
        pipe("a place", xc.coord_conv(product="a map", to="deg"))


def test_what_is_complete_is_called():
    assert xc.energy_band("0.5 keV", "2 keV") == xc.energy_band(hi="2 keV")("0.5 keV")
    assert xc.energy_band("0.5 keV")("2 keV") == xc.energy_band(lo="0.5 keV", hi="2 keV")


def test_what_waits_can_be_sent():
    waiting = pickle.loads(pickle.dumps(xc.energy_band(hi="2 keV")))
    assert isinstance(waiting, partial)
    assert waiting("0.5 keV") == xp.energy_band("0.5 keV", "2 keV")


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
    print(f"wrote {STUB}: sort its imports with ruff check --fix")
