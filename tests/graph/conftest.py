"""Small plans on simulated files."""

import time
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.commands.command import Command
from xphotfn.commands.step import Step, StepInput
from xphotfn.engines.sas import SasEngine
from xphotfn.graph.plan import Plan
from xphotfn.io.write import write_image

OUTPUT = {"evselect": "imageset", "emosaic": "mosaicedset", "eexpmap": "expimageset"}  # what names a task's product
OBS_IDS = ("0000000101", "0000000202")
CAMERAS = (("pn", "EPN", "S003"), ("mos1", "EMOS1", "S001"), ("mos2", "EMOS2", "S002"))


def write_product(path, grid, *, obs_id, instrume, exposure_id, exposure_map, seed):
    rng = np.random.default_rng(seed)
    data = np.full(grid.shape, 500.0, dtype=np.float32) if exposure_map else rng.poisson(1.0, grid.shape).astype("i4")
    cards = [
        ("TELESCOP", "XMM", ""),
        ("INSTRUME", instrume, ""),
        ("OBS_ID", obs_id, ""),
        ("EXPIDSTR", exposure_id, ""),
        ("FILTER", "Thin1", ""),
        ("DATAMODE", "IMAGING", ""),
        ("RA_PNT", grid.ra_deg, ""),
        ("DEC_PNT", grid.dec_deg, ""),
        ("PA_PNT", 0.0, ""),
        ("DATE-OBS", "2004-05-09T16:07:05", ""),
        ("SLCTEXPR", "(PI in [500:2000])", ""),
        ("EXPOSURE", 500.0, ""),
        ("HDUCLAS1", "IMAGE", ""),
    ]
    if exposure_map:
        cards += [("CREATOR", "eexpmap (test)", ""), ("CONTENT", "EPIC EXPOSURE MAP", "")]
    write_image(path, data, grid, cards)


@pytest.fixture
def tree(tmp_path):
    """Two observations of three cameras, 64 x 64 pixels, with images and exposure maps."""
    root = tmp_path / "data"
    root.mkdir()
    for n, obs_id in enumerate(OBS_IDS):
        grid = xp.PixelGrid.from_sky_range(10.0 + 0.01 * n, 20.0, low=22000, high=22000 + 64 * 80 - 1, bin_size=80)
        for name, instrume, exposure_id in CAMERAS:
            for kind in ("img", "expmap"):
                write_product(
                    root / f"{obs_id}_{name}_{kind}.fits",
                    grid,
                    obs_id=obs_id,
                    instrume=instrume,
                    exposure_id=exposure_id,
                    exposure_map=kind == "expmap",
                    seed=n,
                )
    return root


@pytest.fixture
def field(tree):
    target = xp.galaxy_cluster("toy", 10.0, 20.0, redshift=0.1, r500=200 * u.kpc)
    return xp.match_observations(target, xp.find_observations(tree))


@pytest.fixture
def band():
    return xp.energy_band(0.5 * u.keV, 2 * u.keV)


@pytest.fixture
def plan(field, band):
    return xp.plan_photometry(field, band)


def sum_of(path):
    return float(fits.getdata(path).sum())


def made_of(task, number, made=(), obs_id="0000000101"):
    """Return a step whose command is a script: it makes ``p<number>.fits`` from the products of other steps."""
    command = Command(
        task=task,
        parameters=((OUTPUT[task], f"p{number:04d}.fits"),),
        outputs=(f"p{number:04d}.fits",),
        inputs=[s.command.outputs[0] for s in made],
    )
    inputs = [StepInput(name=s.command.outputs[0], step=s.id) for s in made]
    return Step(command=command, inputs=inputs, obs_id=obs_id)


@pytest.fixture
def scripted(tmp_path):
    """Return a function that gives an engine whose evselect and emosaic are a shell script, in real processes.

    The script finds its number in ``$number`` and a folder for notes in ``$NOTES``; afterwards it makes its product.
    """
    fits.PrimaryHDU(np.zeros((4, 4), dtype="i4")).writeto(tmp_path / "good.fits")

    def engine(script="", timeout_s=60):
        (tmp_path / "bin").mkdir(exist_ok=True)
        for task in ("evselect", "emosaic"):
            path = tmp_path / "bin" / task
            path.write_text(
                f'#!/bin/sh\nnumber=${{1#*=p}}\nnumber=${{number%.fits}}\n{script}\ncp "$GOOD" "p$number.fits"\n'
            )
            path.chmod(0o755)
        env = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "GOOD": tmp_path / "good.fits", "NOTES": tmp_path}
        return SasEngine(version="20.0.0", timeout_s=timeout_s, env=[(k, str(v)) for k, v in env.items()])

    return engine


@pytest.fixture
def two_observations():
    """Two images of each of two observations, a mosaic of each, and a mosaic of both."""
    images = [made_of("evselect", n, obs_id=OBS_IDS[n // 2]) for n in range(4)]
    own = [made_of("emosaic", 4 + n, images[2 * n : 2 * n + 2], OBS_IDS[n]) for n in range(2)]
    return Plan(steps=[*images, *own, made_of("emosaic", 6, own, "combined")])


def gone(pid, within=20.0):
    """Return whether a process ends within some seconds; a zombie has ended."""
    stop = time.monotonic() + within
    while time.monotonic() < stop:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def lines_of(path, count, within=30.0):
    """Return the lines of a file once there are so many."""
    stop = time.monotonic() + within
    while time.monotonic() < stop:
        if path.exists() and len(lines := path.read_text().splitlines()) >= count:
            return lines
        time.sleep(0.02)
    raise AssertionError(f"{path} has no {count} lines")


@pytest.fixture
def tools():
    """The functions above, for tests: with ``--import-mode=importlib`` they cannot import this file."""

    class Tools:
        made_of = staticmethod(made_of)
        gone = staticmethod(gone)
        lines_of = staticmethod(lines_of)

    return Tools
