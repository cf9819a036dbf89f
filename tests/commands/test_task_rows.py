"""One row for each task: builders, interpreters, programs and checks are those that the rows name, and no others."""

import importlib
import inspect
import pkgutil

import attrs
import pytest

from xphotfn import commands
from xphotfn.commands.command import Command
from xphotfn.commands.parameters import TASKS
from xphotfn.commands.task_rows import Task, loaded
from xphotfn.engines import made
from xphotfn.engines.native.engine import NativeEngine, native_engine
from xphotfn.engines.shims.task import NAMES, write_shims

ROWS = [task for task in TASKS.values() if task.builders]


def builders():
    """Return the functions of the room that make a command of plain values, by their places; `parse_` reads one."""
    found = {}
    for module in pkgutil.iter_modules(commands.__path__, "xphotfn.commands."):
        for name, function in vars(importlib.import_module(module.name)).items():
            own = inspect.isfunction(function) and function.__module__ == module.name
            kinds = list(function.__annotations__.items()) if own else []
            made = ("return", Command) in kinds and not name.startswith("parse_")
            if made and {Command, Task}.isdisjoint(kind for n, kind in kinds if n != "return"):
                found[f"{module.name.removeprefix('xphotfn.commands.')}:{name}"] = function
    return found


def test_tasks_are_builders_are_interpreters_are_programs(tmp_path):
    named = [place for task in ROWS for place in task.builders]
    assert sorted(named) == sorted(builders()), "a builder belongs to one row, and each row names its builders"
    assert [task.name for task in TASKS.values() if not task.builders] == ["sasversion"]
    natives = {task.name for task in ROWS if task.native}
    assert set(native_engine().tasks) == natives == {task.name for task in ROWS} - {"odfingest", "atthkgen"}
    assert set(NAMES) == natives | {"sasversion"}
    assert {path.name for path in write_shims(tmp_path / "bin").iterdir()} == {*NAMES, "xphotfn"}


@pytest.mark.parametrize("task", ROWS, ids=lambda task: task.name)
def test_what_a_row_names_is_there(task):
    assert TASKS[task.name] is task
    for place in task.builders:
        assert getattr(commands, place.partition(":")[2]) is loaded("xphotfn.commands", place), (
            "the room offers every builder"
        )
    for place in (task.native, task.together):
        assert not place or callable(loaded("xphotfn.engines.native", place))
    assert not task.check or callable(getattr(made, task.check))
    names = {p.name: p.role for p in task.parameters}
    assert len(names) == len(task.parameters)
    assert "output" in names.values()
    assert all(names[name] == "input" for name in task.own_inputs)
    assert set(task.options) <= {field.name for field in attrs.fields(NativeEngine)}
    assert task.owner == "sas" or task.native, "what SAS does not have, we execute"


def test_a_builder_that_no_import_lists_is_offered_and_a_typo_is_not(monkeypatch):
    monkeypatch.delattr(commands, "tabgtigen")
    assert commands.tabgtigen is loaded("xphotfn.commands", "timing:tabgtigen")
    with pytest.raises(AttributeError, match="no attribute 'tabgtigenn'"):
        _ = commands.tabgtigenn
