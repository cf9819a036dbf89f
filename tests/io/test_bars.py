"""Bars appear on a terminal and in a notebook, and nowhere else."""

import sys
from types import SimpleNamespace

import pytest

from xphotfn.io.bars import progress_bar


@pytest.fixture
def notebook(monkeypatch):
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def test_no_bar_in_a_pipe(capsys):
    assert list(progress_bar(range(3), desc="steps")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_bar_in_a_notebook(capsys, notebook):
    assert list(progress_bar(range(3), desc="steps")) == [0, 1, 2]
    assert "steps" in capsys.readouterr().err


def test_no_bar_where_none_is_wanted(capsys, notebook):
    assert list(progress_bar(range(3), desc="steps", shown=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""
