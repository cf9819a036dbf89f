"""The documentation: every name, page, picture and error message has its place.

The build of the site (``sphinx -W``) runs in CI; these are the statements that need no Sphinx.
"""

import fnmatch
import importlib.util
import re
import sys

import pytest

import xphotfn as xp
from xphotfn.science.snr_methods import METHODS

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+\.(?:md|png))(?:#[^)]*)?\)")
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_PAGES = ("_build/*", "_made/*", "README.md", "reference/names/*")


def extension(docs, name):
    """Return a module of docs/_ext, which is no package."""
    spec = importlib.util.spec_from_file_location(name, docs / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def docs(project_root):
    return project_root / "docs"


@pytest.fixture(scope="module")
def pages(docs):
    names = {path.relative_to(docs).as_posix(): path for path in sorted(docs.rglob("*.md"))}
    kept = {n: p for n, p in names.items() if not any(fnmatch.fnmatch(n, pattern) for pattern in NOT_PAGES)}
    return {name: path.read_text(encoding="utf-8") for name, path in kept.items()}


@pytest.fixture(scope="module")
def reference(docs):
    return extension(docs, "reference")


@pytest.fixture(scope="module")
def floor_plan(docs):
    return extension(docs, "floor_plan")


@pytest.fixture(scope="module")
def error_messages(docs):
    return extension(docs, "error_messages")


def test_every_public_name_has_a_page_and_is_in_a_list(reference):
    made = reference.files()
    lists = "\n".join(text for path, text in made.items() if path.startswith("names/_"))
    for name in xp.__all__:
        assert f":: xphotfn.{name}\n" in made[f"names/xphotfn.{name}.rst"]
        assert f"   ./xphotfn.{name}\n" in lists, name


def listed(folder, text):
    """Return the patterns of pages that a page's toctrees list, relative to docs/."""
    lines = [line.strip() for block in TOCTREE.findall(text) for line in block.splitlines()]
    names = [line for line in lines if line and not line.startswith(":")]
    return [re.sub(r"(^|/)[^/]+/\.\./", r"\1", f"{folder}/{name}".removeprefix("./")) for name in names]


def test_every_page_is_in_a_toctree(pages):
    patterns = [p for name, text in pages.items() for p in listed(name.rpartition("/")[0] or ".", text)]
    for name in pages:
        page = name.removesuffix(".md")
        assert page == "index" or any(fnmatch.fnmatchcase(page, pattern) for pattern in patterns), name


def test_every_link_between_pages_leads_somewhere(docs, pages):
    for name, text in pages.items():
        for target in LINK.findall(text):
            if "://" not in target and not target.startswith(("pictures/", "_made/")):
                assert (docs / name).parent.joinpath(target).resolve().is_file(), f"{name}: {target}"


def test_every_block_of_python_runs(pages):
    """A block that is no example would neither be run by pytest nor by the build."""
    for name, text in pages.items():
        for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            assert code.startswith(">>>"), f"{name}: {code}"


def test_pictures_are_made_and_not_kept(docs, pages):
    shown = {t for text in pages.values() for t in LINK.findall(text) if t.endswith(".png")}
    drawn = "".join(
        (docs / "_ext" / f"{n}.py").read_text(encoding="utf-8") for n in ("benchmark_pictures", "floor_plan")
    )
    for target in shown:
        stem = target.removeprefix("pictures/").removesuffix(".png")
        assert stem in drawn or re.sub("_(mos1|mos2|pn)$", "_{camera}", stem) in drawn, target
    ignored = (docs.parent / ".gitignore").read_text(encoding="utf-8").split()
    assert {"docs/pictures/", "docs/_made/"} <= set(ignored)


def test_every_raise_has_a_message_with_a_remedy(error_messages):
    """Each ``raise`` of the source is on the page of all messages, or of a class that no user meets."""
    page = error_messages.document()
    for module, line, texts in error_messages.sites():
        own = [m for m in texts if m.error not in error_messages.INTERNAL and error_messages.words(m.text)]
        for message in own:
            assert f"| {error_messages.code(message.text)} | {error_messages.remedy(message)} |" in page, message
            assert error_messages.remedy(message)
        if not own and not (texts and all(m.error in error_messages.INTERNAL for m in texts)):
            assert module in error_messages.PASSED_ON, (
                f"{module}, line {line}: its message cannot be read from the source"
            )


def test_messages_read_from_source_are_those_that_are_raised(error_messages):
    """The reader of the source against real errors, so that the page shows what a user sees."""
    texts = {(m.error, m.text) for m in error_messages.messages()}
    with pytest.raises(xp.PlanError) as plain:
        xp.plan_photometry((), xp.energy_band("0.5 keV", "2 keV"))
    assert ("PlanError", str(plain.value)) in texts
    with pytest.raises(xp.InvalidRecord) as filled:
        xp.energy_band("2 keV", "0.5 keV")
    shown = next(t for e, t in texts if e == "InvalidRecord" and t.startswith("a band needs"))
    pattern = ".*".join(re.escape(part) for part in error_messages.FILLED.split(shown))
    assert re.fullmatch(pattern, str(filled.value))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["start.md", "errors.md", "command-line.md", "how-to/own-script.md"])
def test_the_commands_of_a_page_do_what_it_says(docs, pages, name, tmp_path, monkeypatch):
    run_pages = extension(docs, "run_pages")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    ran = [b["kind"] for b in run_pages.blocks(pages[name]) if not run_pages.run_block(b, names, page=name, line=0)]
    assert len(ran) == sum(1 for _ in run_pages.blocks(pages[name]))
    assert "console" in ran
    run_pages.save_figures(tmp_path, "figure")


@pytest.mark.slow
def test_the_python_of_the_readme_runs(project_root, tmp_path, monkeypatch):
    """With the position of the simulated cluster in the place of Abell 907's."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    code = re.search(r"^```python\n(.*?)^```", (project_root / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    xp.testing.simulate_observations("my_xmm_data")
    exec(code.replace("149.59209", "52.31").replace("-11.05972", "-33.72"), {})  # noqa: S102 - our own page
    assert pyplot.get_fignums()
    pyplot.close("all")


def test_the_page_lists_the_definitions_of_the_signal_to_noise(pages):
    rows = re.findall(r"^\| `\"([a-z-]+)\"`", pages["signal-to-noise.md"], re.MULTILINE)
    assert rows == list(METHODS)


def test_code_that_does_not_do_what_the_page_says_is_noticed(docs, tmp_path, monkeypatch):
    run_pages = extension(docs, "run_pages")
    monkeypatch.chdir(tmp_path)
    python, good, bad = "```python\n>>> 1 + 1\n3\n\n```\n", "$ echo good\ngood\n", "$ echo good\nbad\n"
    page = f"{python}\n```console\n{bad}{good}```\n\n```console\n$ false\n```\n"
    said = [run_pages.run_block(block, {}, page="page", line=0) for block in run_pages.blocks(page)]
    assert "Got:\n    2" in said[0]
    assert said[1].count("expected:") == 1
    assert "ended with status 1" in said[2]


def test_the_page_for_developers_has_a_line_for_each_room(floor_plan, pages):
    rooms = floor_plan.rooms()
    table = pages["developer.md"].partition("| room |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == sorted(rooms)


def test_every_file_that_the_page_for_developers_names_is_there(docs, pages, project_root):
    files = set(re.findall(r"`([\w./-]+\.(?:py|pyi|md|toml))`", pages["developer.md"] + pages["conventions.md"]))
    assert len(files) > 30
    for file in files:
        assert (project_root / file).is_file() or (project_root / "src" / "xphotfn" / file).is_file(), file


def test_the_floor_plan_is_drawn_from_the_imports(floor_plan, tmp_path):
    """The same picture each time; a room stands above all that it imports, and an arrow is drawn or said by others."""
    pytest.importorskip("matplotlib")
    plan, found = floor_plan, floor_plan.rooms()
    level = plan.floors(found)
    assert found["graph"].uses >= {"store", "engines", "commands"}
    assert {plan.side(name, found) for name in ("measure", "plot")} == {-1}
    assert {plan.side(name, found) for name in ("engines", "store", "graph")} == {1}
    drawn = plan.arrows(found)
    for name, room in found.items():
        below = [other for start, other in drawn if start == name]
        assert all(level[other] < level[name] for other in room.uses)
        assert set(below).union(*(plan.reached(other, found) for other in below)) == plan.reached(name, found)
    for path in (tmp_path / "one.png", tmp_path / "two.png"):
        plan.draw(path)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
