"""Importing xphotfn writes nothing, configures nothing and loads nothing heavy; its public names are all there."""

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"

HEAVY = ("dask", "distributed", "matplotlib", "regions", "astropy.cosmology", "hypothesis", "pandas", "scipy")

# The names that the tutorial and its rules use.
TUTORIAL = (
    "bulk_field",
    "combined_rate_map",
    "coord_conv",
    "counts_at",
    "curried",
    "commands",
    "custom_mask",
    "describe",
    "energy_band",
    "exposure_at",
    "extended_source",
    "find_observations",
    "find_peak",
    "galaxy_cluster",
    "info",
    "interloper_mask",
    "load_run",
    "mask",
    "match_observations",
    "native_engine",
    "plan_exposure_maps",
    "plan_images",
    "plan_mosaics",
    "plan_photometry",
    "point_source",
    "raise_for_failures",
    "rate_at",
    "rate_maps",
    "run",
    "select",
    "snr",
    "snr_ranking",
    "source_mask",
    "targets_from_table",
    "to_delayed",
    "view",
    "with_centre",
    "xga_method",
    "xmm_sky",
)
RECORDS = ("Field", "Observation", "Peak", "Plan", "RateMap", "Target")


def python(folder, script, *flags):
    """Run a script in a fresh interpreter whose home and working folder are ``folder``; return what it prints."""
    keep = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    env = keep | {"HOME": str(folder), "USERPROFILE": str(folder), "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-B", *flags, "-c", script],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_writes_no_file_and_says_nothing(tmp_path):
    assert python(tmp_path, "import xphotfn", "-W", "error") == []
    assert list(tmp_path.rglob("*")) == []


def test_first_use_writes_no_file(tmp_path):
    script = "import xphotfn as xp; print(xp.energy_band('0.5 keV', '2 keV').name, xp.xmm_sky)"
    assert python(tmp_path, script, "-W", "error") == ["500-2000", "xmm_sky"]
    assert list(tmp_path.rglob("*")) == []


def test_import_loads_nothing_heavy(tmp_path):
    script = f"import sys, xphotfn; print(*(name for name in {HEAVY} if name in sys.modules))"
    assert python(tmp_path, script) == []


def test_records_load_nothing_heavy(tmp_path):
    """Declaring a target needs astropy.units, no more."""
    script = (
        "import sys, astropy.units as u, xphotfn as xp\n"
        "xp.galaxy_cluster('A907', 149.6*u.deg, -11.1*u.deg, redshift=0.16, r500=1200*u.kpc)\n"
        "xp.energy_band(0.5*u.keV, 2*u.keV)\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules))"
    )
    assert python(tmp_path, script) == []


def test_import_and_first_use_change_no_warnings_filter_and_register_no_unit(tmp_path):
    script = (
        "import warnings, numpy, attrs, scipy.special, scipy.spatial, scipy.sparse.csgraph, astropy.table\n"
        "import astropy.units as u, astropy.io.fits\n"
        "filters, units = list(warnings.filters), set(u.get_current_unit_registry().all_units)\n"
        "def check():\n"
        "    assert warnings.filters == filters\n"
        "    assert u.get_current_unit_registry().all_units == units\n"
        "    try: u.Unit('xmm_sky')\n"
        "    except ValueError: print('unknown')\n"
        "import xphotfn\n"
        "check()\n"
        "xphotfn.xmm_sky\n"
        "check()\n"
        "[getattr(xphotfn, name) for name in ('mask', 'snr', 'Target')]\n"
        "check()"
    )
    assert python(tmp_path, script) == ["unknown"] * 3


def test_a_unit_that_was_sent_is_not_registered_either(tmp_path):
    script = (
        "import pickle, astropy.units as u, xphotfn\n"
        "units = set(u.get_current_unit_registry().all_units)\n"
        "assert pickle.loads(pickle.dumps([1, 2] * xphotfn.xmm_sky)).unit == xphotfn.xmm_sky\n"
        "assert u.get_current_unit_registry().all_units == units"
    )
    assert python(tmp_path, script) == []


def test_import_starts_no_logging(tmp_path):
    script = (
        "import logging\nroot = list(logging.root.handlers)\nimport xphotfn\n"
        "assert logging.root.handlers == root\n"
        "print(*(n for n in logging.root.manager.loggerDict if n.startswith('xphotfn')))"
    )
    assert python(tmp_path, script) == []


def test_the_names_of_the_tutorial_are_public(tmp_path):
    script = (
        "import xphotfn\n"
        f"print(*(name for name in {TUTORIAL + RECORDS} if name not in xphotfn.__all__ or name not in dir(xphotfn)))"
    )
    assert python(tmp_path, script) == []


def test_every_public_name_is_there_and_of_its_name(tmp_path):
    script = (
        "import xphotfn\n"
        "for name in xphotfn.__all__:\n"
        "    found = getattr(xphotfn, name)\n"
        "    if getattr(found, '__name__', name).rpartition('.')[2] not in (name, ''):\n"
        "        print(name, 'is', found)\n"
        "    assert getattr(xphotfn, name) is found\n"
        "assert len(set(xphotfn.__all__)) == len(xphotfn.__all__)"
    )
    assert python(tmp_path, script) == []


def test_an_unknown_name_is_an_attribute_error(tmp_path):
    script = (
        "import xphotfn\n"
        "try: xphotfn.no_such_name\n"
        "except AttributeError as error: print(error)\n"
        "try: from xphotfn import no_such_name\n"
        "except ImportError: print('too')"
    )
    assert " ".join(python(tmp_path, script)) == "module 'xphotfn' has no attribute 'no_such_name' too"
