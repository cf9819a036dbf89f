"""The library changes nothing that belongs to the whole process: warnings, umask, environment, folder, seeds, settings.

Only a run may: SIGTERM ends it as Ctrl-C does, in the main thread, and is given back. The command line has its process
to itself.
"""

import ast
import os
import random
import signal
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.testing.examples import example_field, example_rate_map

mpl.use("Agg")

OF_THE_PROCESS = {
    "catch_warnings", "simplefilter", "filterwarnings", "resetwarnings", "showwarning", "umask", "chdir", "putenv",
    "unsetenv", "seterr", "setlocale", "setrecursionlimit", "setswitchinterval", "setdefaulttimeout", "rc_context",
    "rcdefaults", "set_enabled_units", "add_enabled_units", "redirect_stdout", "redirect_stderr", "basicConfig",
    "captureWarnings", "excepthook", "freeze", "set_threshold", "setrlimit", "nice", "setitimer", "alarm",
}  # fmt: skip
STATES = {"environ", "rcParams"}  # what is not to be assigned into
CHANGING = ("update", "pop", "setdefault", "clear")
CALLS = {("signal", "signal"), ("random", "seed"), ("gc", "disable")}
MAY = {"signal": "processes", "catch_warnings": "group", "showwarning": "group"}


def touches(tree):
    """Yield the names by which a module changes what is of the whole process."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in OF_THE_PROCESS:
                yield name
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            name = getattr(node.value, "attr", getattr(node.value, "id", ""))
            if name in STATES:
                yield name
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = getattr(node.func.value, "id", "")
            of_state = getattr(node.func.value, "attr", owner) in STATES and node.func.attr in (
                "update",
                "pop",
                "setdefault",
            )
            if of_state or (owner, node.func.attr) in {("signal", "signal"), ("random", "seed"), ("gc", "disable")}:
                yield owner or "environ"


def test_no_module_changes_the_process():
    root = Path(xp.__file__).parent
    found = {
        (path.stem, name)
        for path in root.rglob("*.py")
        for name in touches(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found <= {(stem, name) for name, stem in MAY.items()}
    assert ("processes", "signal") in found, "what is looked for is not seen"


@pytest.mark.parametrize(
    "line", ["os.umask(0)", "os.environ['A'] = '1'", "os.environ.update(a=1)", "warnings.catch_warnings()",
             "random.seed(1)", "mpl.rcParams['a'] = 1", "signal.signal(1, f)"]
)  # fmt: skip
def test_a_line_that_does_is_seen(line):
    assert list(touches(ast.parse(line)))


def state():
    umask = os.umask(0)
    os.umask(umask)
    return {
        "umask": umask, "environment": dict(os.environ), "folder": os.getcwd(),  # noqa: PTH109
        "filters": list(warnings.filters), "numpy": np.geterr(), "settings": dict(mpl.rcParams),
        "random": random.getstate(), "numpy's": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "signals": [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)],
    }  # fmt: skip


def test_a_journey_leaves_the_process_as_it_was(tmp_path):
    def journey(store):
        field, band = example_field(), xp.energy_band("0.5 keV", "2 keV")
        run = xp.run(xp.plan_mosaics(field, band), engine=xp.native_engine(), store=store, progress=False)
        xp.snr(xp.combined_rate_map(run), field, "1 arcmin")
        xp.save_view(example_rate_map(), store.with_suffix(".png"))
        xp.write_fits(example_rate_map(), store.with_suffix(".fits"))
        xp.verify(store)

    journey(tmp_path / "first")  # imports
    before = state()
    journey(tmp_path / "second")
    after = state()
    assert [name for name in before if before[name] != after[name]] == []
