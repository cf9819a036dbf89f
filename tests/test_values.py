# ruff: noqa: ARG005 - every case is given what is shared, whether it needs it or not
"""Results are values: what a public function returns prints, shows, is drawn, is written and read again, or says why.

Each public function has a line in ``CASES`` that calls it on a small example; where one is
missing, tests/test_public_api.py says what to do.
"""

import pickle
import re
from functools import cache
from pathlib import Path

import astropy.units as u
import attrs
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table

import xphotfn as xp
from xphotfn.io.table_files import read_table, write_table
from xphotfn.measure.sensitivity import LimitMap
from xphotfn.testing import simulate_observations
from xphotfn.testing.examples import (
    example_detection,
    example_field,
    example_rate_map,
    example_run,
    example_source_list,
)

mpl.use("Agg")

BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)
ECF = xp.power_law_ecf("pn", filter="Thin1", band=BAND, gamma=1.7, nh=3e20 / u.cm**2, absorbed=True)
SPECTRUM = xp.absorbed_power_law(gamma=1.7, nh=3e20 / u.cm**2)
FLUX = 1e-13 * u.erg / u.cm**2 / u.s
WHERE = [149.591375, -11.0887222] * u.deg
SELECTION = QTable({"flux": [1, 2] * u.ct / u.s, "extent": [0, 0] * u.arcsec, "completeness": [0.2, 0.9],
                   "low": [0.1, 0.8], "high": [0.3, 1.0]})  # fmt: skip
RINGS = [0, 40, 80, 120] * u.arcsec
WIDE = ([0, 20, 40, 200, 400] * u.kpc, [800, 1200] * u.kpc)


class Made:
    """What the cases share; each is made once."""

    def __init__(self, folder):
        self.folder = folder
        self.map, self.field = example_rate_map(), example_field()
        self.drawn = set()

    @property
    def run(self):
        return example_run()

    @property
    def target(self):
        return self.field.target

    @property
    def sources(self):
        return example_source_list()

    @property
    def plan(self):
        return xp.plan_photometry(self.field, BAND)

    @cache  # noqa: B019 - one object for the module
    def table(self):
        return xp.photometry(self.map, WHERE, 20 * u.arcsec, psf="epic")

    @cache  # noqa: B019
    def profile(self):
        return xp.surface_brightness_profile(self.map, self.field, WIDE[0], background=WIDE[1])

    @cache  # noqa: B019
    def limits(self):
        return xp.upper_limit_map(self.map, radius=20 * u.arcsec)

    @cache  # noqa: B019
    def events(self):
        scene = xp.testing.default_scene()
        first = scene.pointings[0]
        camera = attrs.evolve(first, exposures=[e for e in first.exposures if e.instrument == "mos1"])
        root = self.folder / "events"
        simulate_observations(root, scene=attrs.evolve(scene, pointings=[camera]), products=("events",))
        return next(root.rglob("*_evts.fits"))

    @cache  # noqa: B019
    def curve(self):
        return xp.light_curve(self.events())

    def new(self, name):
        """Return a path that is free."""
        count = len(list(self.folder.glob("new-*")))
        (self.folder / f"new-{count}").mkdir()
        return self.folder / f"new-{count}" / name

    def gti(self):
        path = self.new("good.fits")
        columns = [fits.Column(name, "D", array=[v]) for name, v in (("START", 0.0), ("STOP", 9.0))]
        fits.BinTableHDU.from_columns(columns, name="STDGTI").writeto(path)
        return path

    def regions(self):
        path = self.new("some.reg")
        path.write_text('fk5\ncircle(149.6,-11.1,20")\n')
        return path

    def cleaned(self):
        return xp.clean_events(self.events(), self.new("x").parent, engine=xp.native_engine())

    def fine_profile(self):
        edges = np.arange(0, 310, 10) * u.arcsec
        return xp.surface_brightness_profile(self.map, self.field, edges, background=[360, 480] * u.arcsec)

    def two_bands(self):
        again = {"band": xp.energy_band(2 * u.keV, 10 * u.keV)}
        image, exposure = (attrs.evolve(item, **again) for item in (self.map.image, self.map.exposure))
        hard = attrs.evolve(self.map, image=image, exposure=exposure)
        return xp.photometry([self.map, hard], WHERE, 20 * u.arcsec, psf="epic")

    def mosaic_run(self):
        plan = xp.plan_mosaics(self.field, BAND)
        return xp.run(plan, engine=xp.native_engine(), store=self.folder / "store", progress=False)

    def mosaic(self):
        return xp.mosaic_events(xp.find_observations(self.events().parents[1]), BAND, engine=xp.native_engine())


CASES = {
    "absorbed_bremsstrahlung": lambda m: xp.absorbed_bremsstrahlung(kt=5 * u.keV, nh=3e20 / u.cm**2),
    "absorbed_power_law": lambda m: xp.absorbed_power_law(gamma=1.7, nh=3e20 / u.cm**2),
    "background_map": lambda m: xp.background_map(m.map),
    "background_ring": lambda m: xp.background_ring([20.0, 60.0]),
    "background_weights": lambda m: xp.background_weights(m.map.exposure.data, m.map.exposure.data, 0.5),
    "bulk_field": lambda m: xp.bulk_field(m.field.observations),
    "clean_events": lambda m: m.cleaned(),
    "column_density": lambda m: xp.column_density(xp.galaxy_cluster("c", 10, -5, redshift=0.1, nh=3e20 / u.cm**2)),
    "combined_rate_map": lambda m: xp.combined_rate_map(m.mosaic_run()),
    "completeness": lambda m: xp.completeness(m.map, fluxes=[0.2] * u.ct / u.s, trials=1, rng=np.random.default_rng(1)),
    "concentration": lambda m: xp.concentration(m.profile()),
    "coord_conv": lambda m: xp.coord_conv(m.map, WHERE, "pix"),
    "counts_at": lambda m: xp.counts_at(m.map, WHERE),
    "curve_of_growth": lambda m: xp.curve_of_growth(m.map, m.field, RINGS[1:]),
    "crowded_rates": lambda m: xp.crowded_rates([9], [[1.0]], background=[1.0], alpha=[0.1]),
    "custom_mask": lambda m: xp.custom_mask(m.map, m.field, outer=1 * u.arcmin),
    "describe": lambda m: xp.describe(m.plan),
    "detect_sources": lambda m: xp.detect_sources(m.map),
    "detected_field": lambda m: xp.detected_field(example_detection()),
    "detection_limit": lambda m: xp.detection_limit([1.0, 2.0], false_alarm=1e-4),
    "detection_map": lambda m: xp.detection_map(m.map),
    "detection_probability": lambda m: xp.detection_probability([9.0], [1.0], false_alarm=1e-4),
    "diff_plans": lambda m: xp.diff_plans(m.plan, xp.plan_images(m.field, BAND)),
    "ds9_command": lambda m: xp.ds9_command(m.map, folder=m.new("x").parent),
    "edge_mask": lambda m: xp.edge_mask(m.map),
    "encircled_energy": lambda m: xp.encircled_energy([20.0], instrument="pn", energy_ev=1000, off_axis_arcmin=0),
    "energy_band": lambda m: BAND,
    "exact_significance": lambda m: xp.exact_significance([9], [10], 0.1),
    "explain": lambda m: xp.explain(m.mosaic_run().done[0].outputs[0].path),
    "exposure_at": lambda m: xp.exposure_at(m.map, WHERE),
    "extended_source": lambda m: xp.extended_source("e", 10, -5, radius=1 * u.arcmin),
    "field_of_maps": lambda m: xp.field_of_maps(m.field.target, m.map),
    "find_centre": lambda m: xp.find_centre(m.map, m.field, region=1 * u.arcmin),
    "find_observations": lambda m: xp.find_observations(Path(m.map.path).parent),
    "find_peak": lambda m: xp.find_peak(m.map, m.field),
    "fit_beta_model": lambda m: xp.fit_beta_model(m.fine_profile()),
    "flare_cut": lambda m: xp.flare_cut(m.curve(), "quiet"),
    "fluxes": lambda m: xp.fluxes(m.table(), ecf=ECF),
    "galaxy_cluster": lambda m: m.target,
    "garwood_interval": lambda m: xp.garwood_interval([3, 4]),
    "gaussian_significance": lambda m: xp.gaussian_significance([9], [10], 0.1),
    "good_times": lambda m: xp.good_times([(0, 1), (2, 3)]),
    "hardness_ratio": lambda m: xp.hardness_ratio((20, 10, 0.2), (5, 10, 0.2)),
    "hardness_ratios": lambda m: xp.hardness_ratios(m.two_bands()),
    "in_out_ratio": lambda m: xp.in_out_ratio(100, 30, 100.0, 40.0),
    "info": lambda m: xp.info(m.field),
    "interloper_mask": lambda m: xp.interloper_mask(m.map, m.field),
    "inventory": lambda m: xp.inventory(Path(m.map.path).parent),
    "join_runs": lambda m: xp.join_runs([m.run]),
    "joined": lambda m: xp.joined(m.map.image, m.map.exposure),
    "joint_photometry": lambda m: xp.joint_photometry(m.table()),
    "k_correction": lambda m: xp.k_correction(SPECTRUM, BAND, redshift=0.16),
    "kraft_interval": lambda m: xp.kraft_interval([3], [1.0]),
    "li_ma_significance": lambda m: xp.li_ma_significance([9], [10], 0.1),
    "light_curve": lambda m: m.curve(),
    "live_area": lambda m: xp.live_area([m.map]),
    "live_mask": lambda m: xp.live_mask([m.map]),
    "load_run": lambda m: xp.load_run(m.mosaic_run().store),
    "luminosity": lambda m: xp.luminosity(FLUX, m.target, kcorrection=1, absorbed=False),
    "maps_by_field": lambda m: xp.maps_by_field(m.run),
    "mask": lambda m: xp.mask(m.map, m.field, 1 * u.arcmin),
    "match_observations": lambda m: xp.match_observations([m.target], m.field.observations),
    "mid_p_significance": lambda m: xp.mid_p_significance([9], [10], 0.1),
    "mosaic_events": lambda m: m.mosaic(),
    "native_engine": lambda m: xp.native_engine(),
    "near_edge": lambda m: xp.near_edge(m.map, WHERE),
    "on_off_interval": lambda m: xp.on_off_interval([9], [10], 0.1),
    "out_of_time_image": lambda m: xp.out_of_time_image(m.map),
    "out_of_time_weights": lambda m: xp.out_of_time_weights(),
    "photometry": lambda m: m.table(),
    "plan_detection": lambda m: xp.plan_detection(m.field, BAND),
    "plan_exposure_maps": lambda m: xp.plan_exposure_maps(m.field, BAND),
    "plan_images": lambda m: xp.plan_images(m.field, BAND),
    "plan_mosaics": lambda m: xp.plan_mosaics(m.field, BAND),
    "plan_photometry": lambda m: m.plan,
    "point_source": lambda m: xp.point_source("p", 10, -5, radius=10 * u.arcsec),
    "power_law_ecf": lambda m: ECF,
    "prune": lambda m: xp.prune(m.mosaic_run().store, dry_run=True),
    "radius_of_fraction": lambda m: xp.radius_of_fraction([0.5], instrument="pn", energy_ev=1000, off_axis_arcmin=0),
    "raise_for_failures": lambda m: xp.raise_for_failures(m.run),
    "rate_at": lambda m: xp.rate_at(m.map, WHERE),
    "rate_map": lambda m: xp.rate_map(m.map.image.path, m.map.exposure.path, band=BAND),
    "rate_maps": lambda m: xp.rate_maps(m.run),
    "read_flare_cut": lambda m: xp.read_flare_cut(m.cleaned().good_times),
    "read_good_times": lambda m: xp.read_good_times(m.gti()),
    "read_limit_map": lambda m: xp.read_limit_map(xp.write_fits(m.limits(), m.new("limits.fits"))),
    "read_rate_map": lambda m: xp.read_rate_map(xp.write_fits(m.map, m.new("rate.fits"))),
    "read_regions": lambda m: xp.read_regions(m.regions()),
    "read_source_list": lambda m: xp.read_source_list(xp.write_source_list(m.sources, m.new("s.fits"))),
    "report": lambda m: xp.report(m.run, m.new("report"), progress=False),
    "retry_failed": lambda m: xp.retry_failed(m.mosaic_run(), engine=xp.native_engine(), progress=False),
    "run": lambda m: m.run,
    "runs": lambda m: xp.runs(m.mosaic_run().store),
    "save_light_curve": lambda m: xp.save_light_curve(m.curve(), m.new("curve.png")),
    "save_view": lambda m: xp.save_view(m.map, m.new("map.png")),
    "select": lambda m: xp.select([m.map], obs_id=m.map.obs_id),
    "significance_map": lambda m: xp.significance_map(m.map, radius=20 * u.arcsec),
    "sensitivity_map": lambda m: xp.sensitivity_map(m.map, radius=20 * u.arcsec),
    "sensor_mask": lambda m: xp.sensor_mask(m.map),
    "sky_coverage": lambda m: xp.sky_coverage(m.limits(), [1e-3, 1e-2] * u.ct / u.s),
    "smoothed": lambda m: xp.smoothed(m.map, 8 * u.arcsec),
    "snr": lambda m: xp.snr(m.map, m.field, 1 * u.arcmin),
    "snr_ranking": lambda m: xp.snr_ranking([m.map], m.field, 1 * u.arcmin),
    "source_lists": lambda m: xp.source_lists(example_detection()),
    "source_mask": lambda m: xp.source_mask(m.map, m.field, 1 * u.arcmin),
    "source_regions": lambda m: xp.source_regions(m.sources, cut=60 * u.arcsec),
    "spectrum_table": lambda m: xp.spectrum_table([0.5, 1.0] * u.keV, [1.0, 2.0] * u.keV, [1.0, 2.0] / u.cm**2 / u.s),
    "surface_brightness_profile": lambda m: m.profile(),
    "surviving_plan": lambda m: xp.surviving_plan(m.run),
    "targets_from_table": lambda m: xp.targets_from_table([{"name": "A", "ra": 10.0, "dec": -5.0, "z": 0.1}]),
    "to_delayed": lambda m: xp.to_delayed(m.plan, engine=xp.native_engine(), store=m.new("store")),
    "to_shell": lambda m: xp.to_shell(m.plan),
    "upper_limit": lambda m: xp.upper_limit([3], [1.0]),
    "upper_limit_map": lambda m: m.limits(),
    "upper_limit_on_off": lambda m: xp.upper_limit_on_off([3], [10], 0.1),
    "verify": lambda m: xp.verify(m.mosaic_run().store),
    "view": lambda m: xp.view(m.map),
    "view_completeness": lambda m: xp.view_completeness(SELECTION),
    "view_light_curve": lambda m: xp.view_light_curve(m.curve()),
    "weighted_exposure": lambda m: xp.weighted_exposure([m.map]),
    "weights_by_map": lambda m: xp.weights_by_map([m.map], fraction=0.5),
    "with_centre": lambda m: xp.with_centre(m.field, WHERE),
    "with_regions": lambda m: xp.with_regions(m.field, xp.read_regions(m.regions())),
    "write_fits": lambda m: xp.write_fits(m.map, m.new("rate.fits")),
    "write_regions": lambda m: xp.write_regions(m.field, m.new("field.reg")),
    "write_source_list": lambda m: xp.write_source_list(m.sources, m.new("s.fits")),
    "xga_method": lambda m: xp.xga_method(),
}  # fmt: skip

ELSEWHERE = {
    "ecf_from_response": "needs a response: power_law_ecf returns the same",
    "sas_engine": "needs SAS",
    "fetch_products": "needs the archive: tests/io/test_archive.py has a server of its own",
    "open_in_ds9": "needs DS9",
    "in_out": "needs a raw list: in_out_ratio returns the same",
}
# fmt: off
SLOW = {
    "background_map", "clean_events", "completeness", "detect_sources", "detection_map", "flare_cut",
    "light_curve", "mosaic_events", "read_flare_cut", "report", "save_light_curve",
    "read_limit_map", "sensitivity_map", "view_light_curve",
}
# fmt: on
PLAIN = (str, bool, int, float, Path, np.ndarray, np.generic, u.Quantity)
FOREIGN = ("matplotlib.", "astropy.visualization.", "dask.")  # drawn axes, delayed steps


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("values"))


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in CASES]
)
def test_what_it_returns_is_a_value(made, name):
    value = CASES[name](made)
    prints(value)
    shows(value)
    travels(value)
    if isinstance(value, Table):
        is_written_as_a_table(value, made)
    for part in value if isinstance(value, tuple) else (value,):
        if hasattr(part, "grid") and hasattr(part, "data"):
            is_drawn_and_written_as_a_map(part, made)
        elif isinstance(part, np.ndarray) and not isinstance(part, u.Quantity) and part.shape == made.map.grid.shape:
            is_drawn_and_written_with_a_place(part, made)
        else:
            says_why_it_is_no_map(part, made)


def is_ours(value):
    return type(value).__module__.startswith("xphotfn")


def prints(value):
    for text in (str(value), repr(value)):
        assert text or value == ""
        assert len(text) < 50_000
        if is_ours(value):
            assert not re.search(r"<xphotfn[\w.]+ object at 0x", text)
            assert not re.search(r"\barray\(\[\[", text), "a record prints what it is, not its pixels"


def shows(value):
    if callable(value) or isinstance(value, PLAIN) or type(value).__module__.startswith(FOREIGN):
        return
    if type(value) is tuple and all(isinstance(part, (*PLAIN, xp.PixelGrid)) for part in value):
        return
    if isinstance(value, dict):
        for part in value.values():
            shows(part)
        return
    html = value._repr_html_()
    assert html.startswith("<div")
    assert "object at 0x" not in html
    assert "<script" not in html
    assert len(html) < 500_000


def travels(value):
    """What is a value is the same on a worker."""
    if is_ours(value) and not callable(value):
        again = pickle.loads(pickle.dumps(value))
        same = str(again) == str(value) if isinstance(value, Table) or _holds_arrays(value) else again == value
        assert same
        assert type(again) is type(value)


def _holds_arrays(value):
    return isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value)


def is_written_as_a_table(table, made):
    shown = "\n".join(table.pformat(max_lines=-1, max_width=-1))
    assert not re.search(r"\d\.\d{9,}", shown), "numbers are printed with six digits: return a ResultTable"
    flat = table.copy()
    for name in list(flat.colnames):
        if hasattr(flat[name], "icrs"):
            flat.remove_column(name)  # astropy writes positions as columns of their own
    for ending in ("ecsv", "fits", "csv"):
        again = read_table(write_table(flat, made.new(f"t.{ending}")))
        for name in flat.colnames:
            before, after = (np.asarray(getattr(t[name], "value", t[name])) for t in (flat, again))
            if before.dtype.kind == "f":
                np.testing.assert_array_equal(np.ma.filled(np.ma.asarray(after, float), np.nan), before)
            elif before.dtype.kind in "iub":
                assert [str(v) for v in after] == [str(v) for v in before]


def is_drawn_and_written_as_a_map(part, made):
    if is_new(made, part):
        assert xp.save_view(part, made.new("map.png")).read_bytes()[:4] == b"\x89PNG"
    path = made.new("map.fits")
    if isinstance(part, xp.Image | xp.ExposureMap):
        with pytest.raises(xp.InvalidRecord, match="is a file already: copy it"):
            xp.write_fits(part, path)
        return
    xp.write_fits(part, path)
    assert np.array_equal(fits.getdata(path), part.data, equal_nan=True)
    if isinstance(part, xp.RateMap):
        again = xp.read_rate_map(path)
        assert np.array_equal(again.data, part.data)
        assert np.array_equal(again.exposure.data, part.exposure.data)
        assert (again.band, again.obs_id, again.target) == (part.band, part.obs_id, part.target)
        assert not again.grid.difference(part.grid)
    if isinstance(part, LimitMap):
        again = xp.read_limit_map(path)
        assert not again.grid.difference(part.grid)
        assert repr(again) == repr(attrs.evolve(part, grid=again.grid))
        assert np.array_equal(again.data, part.data, equal_nan=True)


def is_drawn_and_written_with_a_place(array, made):
    if is_new(made, array):
        assert xp.save_view(array, made.new("array.png"), like=made.map).stat().st_size > 1000
    path = xp.write_fits(array, made.new("array.fits"), like=made.map)
    assert np.array_equal(fits.getdata(path), array, equal_nan=True)
    says_why_it_is_no_map(array, made)


def is_new(made, part):
    """Whether nothing of its kind was drawn yet: a picture takes a while."""
    kind = type(part), part.dtype.kind if isinstance(part, np.ndarray) else ""
    new = kind not in made.drawn
    made.drawn.add(kind)
    return new


def says_why_it_is_no_map(part, made):
    """Refuse what is no map in a sentence, and leave no file."""
    path = made.new("no.fits")
    with pytest.raises(xp.InvalidRecord, match="write_fits takes a RateMap, LimitMap or EventMosaic, got .*: .*"):
        xp.write_fits(part, path)
    with pytest.raises(xp.InvalidRecord):
        xp.save_view(part, path.with_suffix(".png"))
    assert not list(path.parent.iterdir())
