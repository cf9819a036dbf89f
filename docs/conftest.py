"""The Markdown pages are tests, each in an empty folder; the code that builds the site is not, as it needs Sphinx.

The build of the site runs every page, so pages that simulate observations run here with ``--slow`` only, but for the
journey.
"""

import sys
from pathlib import Path

import pytest

collect_ignore_glob = ["*.py", "_build/*", "_made/*", "reference/names/*"]

HERE = Path(__file__).parent
ALWAYS = ("journey.md",)


def pytest_collection_modifyitems(config, items):
    """Leave pages that simulate observations to the build of the site."""
    if config.getoption("--slow", default=False):
        return
    for item in items:
        path = Path(item.path)
        if path.suffix == ".md" and HERE in path.parents and path.name not in ALWAYS:
            text = path.read_text(encoding="utf-8")
            if "simulate_observations(" in text:
                item.add_marker(pytest.mark.skip(reason="the build of the site runs this page; here with --slow"))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
