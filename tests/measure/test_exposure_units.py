"""Units of exposure maps: read from BUNIT, carried through every result and file, refused where unknown or mixed."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table, vstack
from attrs import evolve

import xphotfn as xp
from xphotfn.commands.builders import emosaic as emosaic_command
from xphotfn.engines.native.emosaic import emosaic
from xphotfn.errors import UnitMismatch
from xphotfn.io.exposure_units import exposure_unit
from xphotfn.io.fits import read_header
from xphotfn.io.headers import grid_of
from xphotfn.io.write import write_fits, write_image
from xphotfn.measure.photometry.joint_photometry import joint_photometry
from xphotfn.records.grid import PixelGrid
from xphotfn.testing.examples import example_field

AREA = u.cm**2 * u.s
BAND = xp.energy_band(0.5 * u.keV, 7 * u.keV)
GRID = PixelGrid(nx=60, ny=60, crpix1=30.5, crpix2=30.5, ra_deg=10.0, dec_deg=-5.0, cdelt1_deg=-4 / 3600,
                 cdelt2_deg=4 / 3600)  # fmt: skip
PLACE, RADIUS, RING = [10.0, -5.0] * u.deg, 20 * u.arcsec, (40 * u.arcsec, 80 * u.arcsec)


def a_map(folder, unit, *, obs_id="0000001575", instrument="pn", level=2.0e7, seed=1, name=""):
    cards = [("BUNIT", unit, "")] if unit is not None else []
    counts = np.random.default_rng(seed).poisson(0.5, GRID.shape).astype(np.int32)
    counts[29:31, 29:31] += 100
    paths = [folder / f"{name}{seed}{obs_id}_{kind}.fits" for kind in ("img", "expmap")]
    write_image(paths[0], counts, GRID, [])
    write_image(paths[1], np.full(GRID.shape, level, np.float32), GRID, cards)
    names = {"obs_id": obs_id, "exposure_id": "S003", "instrument": instrument, "band": BAND, "grid": GRID}
    return xp.RateMap(image=xp.Image(path=str(paths[0]), **names), exposure=xp.ExposureMap(path=str(paths[1]), **names))


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("s", u.s),
        ("", u.s),
        (None, u.s),
        ("sec", u.s),
        ("cm**2 sec", AREA),
        ("cm2 s", AREA),
        ("s.cm**2", AREA),
        ("cm**2 s counts/photon", AREA),
    ],
)
def test_units_that_are_known(text, unit):
    assert exposure_unit({} if text is None else {"BUNIT": text}, "a map") == unit


@pytest.mark.parametrize("text", ["ks", "m2 s", "counts", "cm2 s / ct", "cm2"])
def test_units_that_are_not_known_are_refused_by_every_call(tmp_path, text):
    item = a_map(tmp_path, text)
    field = evolve(example_field(), centre_ra_deg=10.0, centre_dec_deg=-5.0)
    calls = (
        lambda: xp.photometry(item, PLACE, RADIUS),
        lambda: xp.snr(item, field, RADIUS),
        lambda: xp.surface_brightness_profile(item, field, [0, 20] * u.arcsec),
        lambda: xp.upper_limit_map(item, radius=RADIUS, psf=None),
        lambda: item.data,
        lambda: xp.exposure_at(item, PLACE),
        lambda: xp.live_area([item]),
    )
    for call in calls:
        with pytest.raises(UnitMismatch, match="must be in s or"):
            call()


def test_every_result_carries_the_unit(tmp_path):
    item, rate = a_map(tmp_path, "cm**2 sec"), u.photon / AREA
    field = evolve(
        example_field(), centre_ra_deg=10.0, centre_dec_deg=-5.0,
        members=[evolve(example_field().members[0], interlopers=())],
    )  # fmt: skip
    table = xp.photometry([item, a_map(tmp_path, "cm2 s", obs_id="0000001576")], PLACE, RADIUS, background=RING)
    for name in ("rate", "rate_low", "rate_high", "upper_limit"):
        assert table[name].unit == rate
    for name in ("exposure_mean", "exposure_min", "effective_exposure"):
        assert table[name].unit == AREA
    [row] = table[:1]
    assert row["rate"].value == pytest.approx(row["net_counts"].value / 2e7, rel=0.05)
    assert joint_photometry(table)["rate"].unit == rate
    assert joint_photometry(table)["exposure"].unit == AREA
    measured = xp.snr(item, field, RADIUS, background=(2.0, 4.0))
    assert measured.net_rate.unit == rate
    assert measured.exposure_unit == "cm2 s"
    assert "cm2 s on average" in measured._repr_html_()
    profile = xp.surface_brightness_profile(item, field, [0, 20, 40, 60, 80] * u.arcsec)
    assert profile["brightness"].unit == rate / u.arcmin**2
    assert profile["exposure_mean"].unit == AREA
    assert xp.curve_of_growth(item, field, [20, 40] * u.arcsec)["rate"].unit == rate
    limits = xp.upper_limit_map(item, radius=RADIUS, psf=None)
    assert limits.rate_unit == rate
    assert xp.sky_coverage(limits, [1e-6, 1e-3] * rate)[1] > 0 * u.deg**2
    with pytest.raises(UnitMismatch, match="rates must be in"):
        xp.sky_coverage(limits, 0.1 * u.ct / u.s)
    assert xp.rate_at(item, PLACE).unit == rate
    assert xp.exposure_at(item, PLACE) == 2e7 * AREA


@pytest.mark.parametrize(("unit", "rate", "exposure"), [("cm2 s", "photon/(cm2 s)", "cm2 s"), (None, "ct/s", "s")])
def test_files_carry_the_unit(tmp_path, unit, rate, exposure):
    item = a_map(tmp_path, unit)
    with fits.open(write_fits(item, tmp_path / "rate.fits")) as hdus:
        assert (hdus[0].header["BUNIT"], hdus["EXPOSURE"].header["BUNIT"]) == (rate, exposure)
        assert u.Unit(hdus[0].header["BUNIT"]) == item.rate_unit
    table = xp.photometry(item, PLACE, RADIUS, background=RING)
    for name in ("table.ecsv", "table.fits"):
        table.write(tmp_path / name)
        again = QTable.read(tmp_path / name)
        assert again["rate"].unit == table["rate"].unit
        assert joint_photometry(again)["rate"].unit == table["rate"].unit


@pytest.mark.parametrize("unit", ["cm2 s", None])
def test_text_files_carry_the_unit_to_the_joint_table(tmp_path, unit):
    table = xp.photometry(a_map(tmp_path, unit), PLACE, RADIUS, background=RING, psf="epic")
    table.write(tmp_path / "table.csv")
    again = Table.read(tmp_path / "table.csv")
    assert again["exposure_mean"].unit is None
    one, other = joint_photometry(table), joint_photometry(again)
    for name in ("rate", "upper_limit", "exposure"):
        assert other[name].unit == one[name].unit
        assert u.allclose(one[name], other[name], rtol=1e-9)
    assert other["rate"].unit == table["rate"].unit
    again.remove_column("exposure_unit")
    with pytest.raises(UnitMismatch, match="exposure_mean has no unit"):
        joint_photometry(again)
    again["exposure_mean"].unit = "s" if unit is None else unit
    assert joint_photometry(again)["rate"].unit == table["rate"].unit
    again["exposure_unit"] = "ks"
    with pytest.raises(UnitMismatch, match="must hold s or cm2 s"):
        joint_photometry(again)


def test_stacked_tables_of_both_units_are_refused(tmp_path):
    """Columns without units stack in silence; the one that names them does not."""
    area, seconds = a_map(tmp_path, "cm2 s"), a_map(tmp_path, None, level=1e4, obs_id="0000001576")
    tables = []
    for number, item in enumerate((area, seconds)):
        xp.photometry(item, PLACE, RADIUS, background=RING).write(tmp_path / f"{number}.csv")
        tables.append(Table.read(tmp_path / f"{number}.csv"))
    with pytest.raises(UnitMismatch, match="cannot be joined"):
        joint_photometry(vstack(tables, metadata_conflicts="silent"))
    mixed = xp.photometry(seconds, PLACE, RADIUS, background=RING)
    mixed["rate"] = mixed["rate"].value * u.ct / (u.cm**2 * u.s)
    with pytest.raises(UnitMismatch, match="rate must be in ct / s"):
        joint_photometry(mixed)


def test_units_are_never_mixed(tmp_path):
    area, seconds = a_map(tmp_path, "cm2 s"), a_map(tmp_path, None, level=1e4, obs_id="0000001576")
    field = evolve(example_field(), centre_ra_deg=10.0, centre_dec_deg=-5.0)
    calls = (
        lambda: xp.photometry([area, seconds], PLACE, RADIUS),
        lambda: xp.surface_brightness_profile([area, seconds], field, [0, 20] * u.arcsec),
        lambda: xp.curve_of_growth([area, seconds], field, [20] * u.arcsec),
        lambda: xp.live_area([area, seconds]),
        lambda: xp.weights_by_map([a_map(tmp_path, None, level=3e7, name="flat")])(area),
    )
    for call in calls:
        with pytest.raises(UnitMismatch, match="cannot be joined"):
            call()


def test_mosaics_keep_one_unit_and_refuse_two(tmp_path):
    maps = [a_map(tmp_path, unit, obs_id=f"000000000{n}") for n, unit in enumerate(("cm2 s", "cm2 s", "s"))]
    for m in maps:
        with fits.open(m.exposure.path, mode="update") as hdus:
            hdus[0].header["CONTENT"] = "EPIC EXPOSURE MAP"
    names = [m.exposure.path.rsplit("/", 1)[-1] for m in maps]
    emosaic(emosaic_command(names[:2], "both.fits"), tmp_path)
    assert exposure_unit(read_header(str(tmp_path / "both.fits")), "it") == AREA
    with pytest.raises(UnitMismatch, match="cannot be joined"):
        emosaic(emosaic_command([names[0], names[2]], "mixed.fits"), tmp_path)


def test_a_real_chandra_map(folders_root, tmp_path):
    """The counts of a flat source over a published map in cm2 s: its rate is the number of photons per cm2 and s."""
    path = folders_root / "chandra_xap" / "acisf01575_001N001_r0115b_regexp3.fits.gz"
    header = read_header(str(path))
    assert header["BUNIT"] == "cm**2 sec"
    grid = grid_of(header, str(path))
    names = {"obs_id": "1575", "instrument": "acis", "band": BAND, "grid": grid}
    exposure = xp.ExposureMap(path=str(path), **names)
    truth = 3e-7  # ct/cm2/s per pixel
    counts = np.random.default_rng(3).poisson(np.nan_to_num(exposure.data) * truth).astype(np.int32)
    write_image(tmp_path / "counts.fits", counts, grid, [])
    item = xp.RateMap(image=xp.Image(path=str(tmp_path / "counts.fits"), **names), exposure=exposure)
    middle = xp.coord_conv(item, [grid.nx / 2, grid.ny / 2] * u.pix, "deg")
    pixel = grid.pixel_deg * 3600
    [row] = xp.photometry(item, middle, 8 * pixel * u.arcsec, background=(1.2, 2.0))
    assert row["rate"].unit == u.photon / AREA
    ring_rate = row["background_counts"].value / (row["background_area"].value / pixel**2) / row["exposure_mean"].value
    assert ring_rate == pytest.approx(truth, rel=0.3)
    assert abs(row["significance"]) < 4
