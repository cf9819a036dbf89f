"""Profiles of hypothesis, the ``--slow`` switch, and where the real data lie."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

PROJECT = Path(__file__).resolve().parents[1]

# Derandomised, so that a run says the same twice; health checks of speed would only measure how busy a machine is.
settings.register_profile(
    "default",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", default=False, help="run tests that are marked slow too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: run with --slow")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def project_root():
    """Root of the project's own tree."""
    return PROJECT


@pytest.fixture(scope="session")
def data_root():
    """Real observations: ``XPHOTFN_TEST_DATA``, else ``../shared/data`` beside the project."""
    return _existing("data", _data())


@pytest.fixture(scope="session")
def oracle_root():
    """Values recorded from XGA on the same files."""
    return _existing("oracle", _data().parent / "oracle")


@pytest.fixture(scope="session")
def reference_root():
    """Tables of published and computed values."""
    return _existing("reference", _data().parent / "reference")


def _data():
    return Path(os.environ.get("XPHOTFN_TEST_DATA") or PROJECT.parent / "shared" / "data").absolute()


def _existing(what, folder):
    if not folder.is_dir():
        pytest.skip(f"no {what} folder at {folder}: set XPHOTFN_TEST_DATA to the folder of the test data")
    return folder
