"""Where reports are written: safe names, and a folder that appears whole or not at all."""

import re

import pytest

import xphotfn as xp
from xphotfn.graph.plan import Plan
from xphotfn.graph.result import Run
from xphotfn.reports import site as report_module
from xphotfn.reports.folder import published_folder, slugs


def test_slugs_differ_and_are_plain():
    names = ["con", "CON", "a/b", "a b", "A.B", "\N{SNOWMAN}", "", "x" * 500, "RXJ1200+05", "RXJ1200-05"]
    made = slugs(names)
    assert len(set(made)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", s) for s in made)
    assert "con" not in made


def test_an_earlier_report_is_replaced_and_other_folders_are_left_alone(tmp_path):
    run = Run(plan=Plan(), store="s", engine="native-1")
    made = xp.report(run, tmp_path / "deep" / "r", progress=False)
    (made.parent / "old.txt").write_text("of the first report")
    xp.report(run, tmp_path / "deep" / "r", progress=False)
    assert not (made.parent / "old.txt").exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "index.html").write_text("precious")
    with pytest.raises(xp.InvalidFile, match="left as it was"):
        xp.report(run, foreign, progress=False)
    assert [(p.name, p.read_text()) for p in foreign.iterdir()] == [("index.html", "precious")]
    (tmp_path / "file").write_text("precious")
    with pytest.raises(xp.InvalidFile, match="is a file"):
        xp.report(run, tmp_path / "file", progress=False)
    (tmp_path / "empty").mkdir()
    assert xp.report(run, tmp_path / "empty", progress=False).is_file()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert xp.report(run, tmp_path / "link", progress=False).is_file()
    assert (tmp_path / "link").is_symlink()
    assert {p.name for p in tmp_path.iterdir()} == {"deep", "foreign", "file", "empty", "link"}


def test_a_report_that_breaks_leaves_the_earlier_one(tmp_path, monkeypatch):
    run = Run(plan=Plan(), store="s", engine="native-1")
    first = xp.report(run, tmp_path / "r", title="first", progress=False)
    monkeypatch.setattr(report_module, "_write_csv", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        xp.report(run, tmp_path / "r", title="second", progress=False)
    assert "first" in first.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(xp.InvalidFile, match="cannot be written"), published_folder(tmp_path / "file" / "r"):
        pass


def test_the_folder_has_the_rights_that_the_user_gives_all_folders(tmp_path):
    with published_folder(tmp_path / "r"):
        pass
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "r").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = xp.report(Run(plan=Plan(), store="s", engine="native-1"), "~/r", progress=False)
    assert made == tmp_path / "r" / "index.html"
    assert made.is_file()
