"""Profiles of hypothesis, the ``--slow`` switch, and where the real data lie."""

import gc
import inspect
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

PROJECT = Path(__file__).resolve().parents[1]

# Before numpy is imported, here and in what tests start: a second thread waits for our small matrices and does nothing,
# on a core that another worker wants (a search of sources took 8.5 s of a core instead of 3.5).
for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# Derandomised, so that a run says the same twice; health checks of speed would only measure how busy a machine is.
settings.register_profile(
    "default",
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def _tell_streams_apart() -> None:
    """Make the runner of click 8.1 that of 8.2: stderr is kept apart, and ``output`` holds both."""
    from functools import partialmethod

    from click.testing import CliRunner, Result

    if "mix_stderr" in inspect.signature(CliRunner.__init__).parameters:
        CliRunner.__init__ = partialmethod(CliRunner.__init__, mix_stderr=False)
        Result.output = property(lambda result: result.stdout + result.stderr)


_tell_streams_apart()


def _settings_of_workers() -> None:
    """Give workers of LocalClusters the settings that the documentation recommends: without them a run says so."""
    import dask

    sizes = {"MALLOC_TRIM_THRESHOLD_": 2**27, "MALLOC_MMAP_THRESHOLD_": 2**25}
    dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": size for name, size in sizes.items()})


_settings_of_workers()

gc.set_threshold(20_000, 20, 20)  # syntax trees of test files are no garbage: to look through them took a quarter of it


def pytest_collection_finish():
    """Leave what was collected, seven thousand tests, out of what is looked through for garbage from now on."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def folders_root():
    """Real folders as users have them: ``XPHOTFN_TEST_FOLDERS``, else ``../shared/folders`` beside the project."""
    named = os.environ.get("XPHOTFN_TEST_FOLDERS")
    folder = Path(named).absolute() if named else _data().parent / "folders"
    return _existing("folders", folder, "XPHOTFN_TEST_FOLDERS")


def _data():
    return Path(os.environ.get("XPHOTFN_TEST_DATA") or PROJECT.parent / "shared" / "data").absolute()


def _existing(what, folder, variable="XPHOTFN_TEST_DATA"):
    if not folder.is_dir():
        pytest.skip(f"no {what} folder at {folder}: set {variable} to the folder of the test data")
    return folder


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Open a page in headless Chromium, which writes nothing outside its own folder, and return what it prints."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on PATH: install Debian's package chromium")

    def start(address, *flags, size="1280,900"):
        own = tmp_path_factory.mktemp("chromium")
        words = [found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                 "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking",
                 f"--user-data-dir={own / 'profile'}", f"--window-size={size}", *flags, address]  # fmt: skip
        env = os.environ | {"HOME": str(own), "XDG_CONFIG_HOME": str(own), "XDG_CACHE_HOME": str(own)}
        return subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=True).stdout

    return start
