"""A map and no figure left open; a small sample, its report, and a report of many targets."""

import math
import sys

import astropy.units as u
import numpy as np
import pytest
from attrs import evolve, frozen

import xphotfn as xp
from xphotfn.io.write import write_image
from xphotfn.testing import example_rate_map

NAMES = ("A 2029", "../../etc/passwd", "<script>alert('x')</script>", "Ωmega/05")
BROKEN = "Ωmega/05"
LOG = "** emosaic: error (noSpace), the disk is <b>full</b>"
SIDE = 96


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def rate_map():
    return example_rate_map()


@frozen
class FailingEngine:
    """The native engine, but for the exposure maps of one observation's mosaic."""

    obs_id: str
    identity: str = "native-1"

    def execute(self, command, folder):
        if command.outputs[0].endswith("expmap.fits") and any(n.startswith(self.obs_id) for n in command.inputs):
            raise xp.CommandFailed(command.argv, "no space left", 28, LOG)
        return xp.native_engine().execute(command, folder)


def obs_id_of(n):
    return f"000000{n + 1}101"


def grid_of(n):
    half = SIDE * 160 // 2
    low = 25921 - half
    return xp.PixelGrid.from_sky_range(10.0 + n, 20.0, low=low, high=low + 160 * SIDE - 1, bin_size=160)


def write_pair(root, n, name, instrume, exposure_id):
    """Write an image, with a bright source to the upper left of the middle, and an exposure map."""
    grid, rng = grid_of(n), np.random.default_rng(n)
    y, x = np.mgrid[:SIDE, :SIDE]
    exposure = np.where(np.hypot(x - 48, y - 48) < 46, 500.0, 0.0).astype(np.float32)
    mean = np.where(exposure > 0, 0.3 + 40 * np.exp(-((x - 40) ** 2 + (y - 60) ** 2) / 8), 0.0)
    for kind, data in (("img", rng.poisson(mean).astype("i4")), ("expmap", exposure)):
        cards = {
            "TELESCOP": "XMM", "INSTRUME": instrume, "OBS_ID": obs_id_of(n), "EXPIDSTR": exposure_id,
            "FILTER": "Thin1", "DATAMODE": "IMAGING", "RA_PNT": grid.ra_deg, "DEC_PNT": grid.dec_deg, "PA_PNT": 0.0,
            "DATE-OBS": "2004-05-09T16:07:05", "SLCTEXPR": "(PI in [500:2000])", "EXPOSURE": 500.0,
            "HDUCLAS1": "IMAGE",
        }  # fmt: skip
        if kind == "expmap":
            cards |= {"CREATOR": "eexpmap (test)", "CONTENT": "EPIC EXPOSURE MAP"}
        path = root / f"{obs_id_of(n)}_{name}_{kind}.fits"
        write_image(path, data, grid, [(key, value, "") for key, value in cards.items()])


@pytest.fixture(scope="session")
def sample_plan(tmp_path_factory):
    """Four targets with awkward names, one observation of two cameras each, 96 x 96 pixels of 8 arcsec."""
    root = tmp_path_factory.mktemp("data")
    targets = []
    for n, name in enumerate(NAMES):
        for camera in (("pn", "EPN", "S003"), ("mos1", "EMOS1", "S001")):
            write_pair(root, n, *camera)
        (root / f"{obs_id_of(n)}_sources.reg").write_text("image\nellipse(70,30,4,3,20) # color=red\n")
        targets.append(xp.galaxy_cluster(name, 10.0 + n, 20.0, redshift=0.1, r500=2 * u.arcmin, extra={"richness": n}))
    fields = xp.match_observations(targets, xp.find_observations(root))
    return xp.plan_photometry(fields, xp.energy_band(0.5 * u.keV, 2 * u.keV))


@pytest.fixture(scope="session")
def sample_run(sample_plan, tmp_path_factory):
    """The sample's run: the mosaic of one target failed."""
    engine = FailingEngine(obs_id_of(NAMES.index(BROKEN)))
    store = tmp_path_factory.mktemp("store") / "s"
    return xp.run(sample_plan, engine=engine, store=store, scheduler="synchronous", progress=False)


@pytest.fixture(scope="session")
def sample_report(sample_run, tmp_path_factory):
    """The folder of the sample's report."""
    return xp.report(sample_run, tmp_path_factory.mktemp("report") / "r", progress=False).parent


@pytest.fixture(scope="session")
def many_targets(sample_run, tmp_path_factory):
    """The first page of 500 targets whose signal-to-noise is 1 to 500 in mixed order; the last has none."""
    from xphotfn.reports.from_run import Asked, target_report
    from xphotfn.reports.index_page import index_page
    from xphotfn.reports.pictures import band_pictures
    from xphotfn.reports.run_steps import parts_of
    from xphotfn.reports.site import _common, _run_report

    folder = tmp_path_factory.mktemp("many")
    (folder / "pictures").mkdir()
    part = next(p for p in parts_of(sample_run) if p.plan.fields[0].name == "A 2029")
    one = target_report(part, "a", Asked())
    (band,), combined = one.bands, one.bands[0].combined
    pictures = band_pictures(folder / "pictures", "a", band, one.field, one.aperture)
    targets = []
    for n in range(500):
        measured = evolve(combined.measurement, value=(n * 191) % 500 + 1)
        shown = evolve(combined, measurement=measured if n < 499 else None)
        flags = ("few counts",) if n % 50 == 0 else ()
        field = evolve(one.field, target=evolve(one.field.target, name=f"XCS J{n:04d}"))
        bands = [evolve(band, combined=shown, flags=flags, offset_arcsec=math.nan if n % 7 == 0 else n)]
        targets.append(evolve(one, slug=f"t{n}", field=field, steps=[], bands=bands))
    text = index_page(_run_report(_common(targets, "mid-p", None), sample_run, []), [[pictures]] * len(targets))
    (folder / "index.html").write_text(text, encoding="utf-8")
    return folder / "index.html"
