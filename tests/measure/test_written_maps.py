"""Files of limits and mosaics, read again by astropy alone; what else is refused, with what to do."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.graph.event_mosaics import BinnedList, EventMosaic
from xphotfn.io.write import write_image
from xphotfn.measure.sensitivity import LimitMap
from xphotfn.records.grid import PixelGrid
from xphotfn.testing.examples import example_rate_map

GRID = PixelGrid(nx=4, ny=3, crpix1=2, crpix2=1, ra_deg=10, dec_deg=-5, cdelt1_deg=-1e-3, cdelt2_deg=1e-3)
ONES = np.ones(GRID.shape)
COUNTS = np.array([[3.0, 4.0, 5.0, np.nan]] * 3)


def limits(**changes):
    given = {
        "kind": "upper limit", "of": "source", "name": "0404910601 pn 0.50-2.00keV", "grid": GRID, "counts": COUNTS,
        "background": 2 * ONES, "exposure_s": 1000 * ONES, "live_fraction": 0.9 * ONES, "probability": 0.95,
        "enclosed": 0.8,
    }  # fmt: skip
    return LimitMap(**given | changes)


@pytest.mark.parametrize(("seconds", "rate"), [("s", u.ct / u.s), ("cm2 s", u.photon / u.s / u.cm**2)])
def test_an_upper_limit_reads_again_as_numbers(tmp_path, seconds, rate):
    path = xp.write_fits(limits(exposure_unit=seconds), tmp_path / "limit.fits")
    with fits.open(path) as hdus:
        assert hdus[0].data == pytest.approx(COUNTS / 1000 / 0.8, rel=1e-12, nan_ok=True)
        assert np.array_equal(hdus["COUNTS"].data, COUNTS, equal_nan=True)
        values = [float(hdus[name].data[1, 2]) for name in ("BACKGROUND", "EXPOSURE", "LIVE", "ENCLOSED")]
        assert values == [2, 1000, 0.9, 0.8]
        header = hdus[0].header
        assert (header["LIMIT"], header["LIMITOF"], header["CONFLEV"]) == ("upper limit", "source", 0.95)
        assert header["MAPNAME"] == "0404910601 pn 0.50-2.00keV"
        assert "PROBDET" not in header
        assert [u.Unit(hdu.header["BUNIT"]) for hdu in hdus] == [rate, u.ct, u.ct, u.Unit(seconds), u.one, u.one]
        for hdu in hdus:
            assert WCS(hdu.header).wcs_pix2world(1, 0, 0) == pytest.approx([10, -5])


def test_a_detection_limit_says_both_probabilities(tmp_path):
    item = limits(kind="detection limit", of="aperture", probability=0.5, false_alarm=4e-6, enclosed=0.8 * ONES)
    header = fits.getheader(xp.write_fits(item, tmp_path / "limit.fits"))
    assert (header["LIMIT"], header["LIMITOF"]) == ("detection limit", "aperture")
    assert (header["PROBDET"], header["FALSEAL"]) == (0.5, 4e-6)
    assert "CONFLEV" not in header
    unknown = fits.getheader(xp.write_fits(evolve(item, false_alarm=None), tmp_path / "unknown.fits"))
    assert unknown["FALSEAL"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"exposure_unit": "cm2 s", "name": "Größe"},
        {"kind": "detection limit", "of": "aperture", "false_alarm": 4e-6, "enclosed": 0.8 * ONES},
        {"kind": "detection limit"},
    ],
)
def test_limits_are_read_as_they_were_written(tmp_path, changes):
    item = limits(**{"enclosed": 0.8 * ONES} | changes)
    path = xp.write_fits(item, tmp_path / "limit.fits")
    again = xp.read_limit_map(path)
    assert not again.grid.difference(item.grid)
    assert evolve(again, grid=GRID) == item
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["LIMITOF"] = "nothing"
    with pytest.raises(xp.InvalidFile, match="is a damaged map of limits"):
        xp.read_limit_map(path)


def test_files_of_another_kind_are_named_with_what_reads_them(tmp_path):
    """Each as what it is: write_fits wrote it, or something else did."""
    pair, own = example_rate_map(), {"like": example_rate_map()}
    listed = BinnedList(obs_id="0999990101", exposure_id="S003", instrument="pn", file="a.fits", inside=1, outside=1)
    mosaic = EventMosaic(data=np.ones((3, 4), np.int32), grid=GRID, band=pair.band, lists=[listed])
    write_image(tmp_path / "plain.fits", np.ones((3, 4)), GRID)
    for path, kind, reader in (
        (xp.write_fits(pair, tmp_path / "rate.fits"), "a rate map", "read_rate_map reads it"),
        (xp.write_fits(limits(), tmp_path / "limit.fits"), "a map of limits", "read_limit_map reads it"),
        (xp.write_fits(mosaic, tmp_path / "mosaic.fits"), "a mosaic of events", "with the mosaic of the exposure maps"),
        (xp.write_fits(pair.sensor_mask, tmp_path / "mask.fits", **own), "an array", "getdata"),
        (tmp_path / "plain.fits", "not written by write_fits", "use rate_map"),
    ):
        refused = [read for read in (xp.read_rate_map, xp.read_limit_map) if f"{read.__name__} reads" not in reader]
        for read in refused:
            with pytest.raises(xp.InvalidFile, match=f"{kind}.*{reader}"):
                read(path)
        drawn = CliRunner().invoke(main, ["view", str(path), "-o", f"{path}.svg"])
        assert drawn.exit_code == 0, drawn.output


def test_a_map_that_the_library_made_is_written(tmp_path):
    found = xp.upper_limit_map(example_rate_map(), radius=15 * u.arcsec, confidence=0.9)
    with fits.open(xp.write_fits(found, tmp_path / "limit.fits")) as hdus:
        assert np.array_equal(hdus[0].data, found.data, equal_nan=True)
        assert hdus[0].header["CONFLEV"] == 0.9
        assert np.isfinite(hdus[0].data).any()


def test_a_mosaic_of_events_is_written(tmp_path):
    inputs = BinnedList(file="a.fits", obs_id="0404910601", instrument="pn", exposure_id="S003", inside=12, outside=0)
    counts = np.arange(12).reshape(GRID.shape)
    mosaic = EventMosaic(data=counts, grid=GRID, band=xp.energy_band(0.5 * u.keV, 2 * u.keV), lists=[inputs])
    with fits.open(xp.write_fits(mosaic, tmp_path / "mosaic.fits")) as hdus:
        assert np.array_equal(hdus[0].data, counts)
        assert (hdus[0].header["BUNIT"], hdus[0].header["EMSCA001"]) == ("ct", "0404910601")
        assert WCS(hdus[0].header).wcs_pix2world(1, 0, 0) == pytest.approx([10, -5])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda item: item.image, "got Image: .* is a file already: copy it"),
        (lambda item: item.exposure, "got ExposureMap: .* is a file already"),
        (lambda item: xp.smoothed(item, 8 * u.arcsec), "got ndarray: .*like=map"),
        (lambda item: item.sensor_mask, "got ndarray: .*like=map"),
        (lambda _: 3, "got int: tables have a method write"),
    ],
)
def test_what_is_no_map_is_refused_with_what_to_do(tmp_path, what, message):
    with pytest.raises(xp.InvalidRecord, match="RateMap, LimitMap or EventMosaic, got") as caught:
        xp.write_fits(what(example_rate_map()), tmp_path / "no.fits")
    assert caught.match(message)
    assert not list(tmp_path.iterdir())


def test_masks_are_written_as_the_message_says(tmp_path):
    item = example_rate_map()
    write_image(tmp_path / "mask.fits", item.sensor_mask, item.grid)
    assert np.array_equal(fits.getdata(tmp_path / "mask.fits"), item.sensor_mask.astype(int))
