"""Lists of sources in files, their regions, and fields with regions of one's own."""

import contextlib
import warnings

import astropy.units as u
import attrs
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings

import xphotfn as xp
from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.io import source_files
from xphotfn.io.table_files import read_table
from xphotfn.records.source import MapRate, SourceFlag
from xphotfn.testing import strategies as xst
from xphotfn.testing.examples import example_field, example_source_list

EMLDETECT = {
    "ML_ID_SRC": [4, 4, 4, 7],
    "ID_INST": [0, 1, 1, 0],
    "ID_BAND": [0, 0, 1, 0],
    "RA": [10.0, 10.0, 10.0, 10.1],
    "DEC": [1.0] * 4,
    "RADEC_ERR": [1.5, 9.0, 9.0, 2.0],
    "DET_ML": [120.0, 60.0, 30.0, 12.0],
    "SCTS": [88.0, 40.0, 20.0, 9.0],
    "SCTS_ERR": [10.0, 7.0, 5.0, 4.0],
    "RATE": [0.01, 0.005, 0.002, 0.001],
    "EXT": [5.0, 5.0, 5.0, 0.0],
    "EXT_ERR": [0.5, 0.5, 0.5, 0.0],
    "EXT_ML": [25.0, 1.0, 1.0, -9.0],
    "X_IMA": [101.0, 0.0, 0.0, 11.0],
    "Y_IMA": [51.0, 0.0, 0.0, 21.0],
    "DIST_NN": [360.0, 0.0, 0.0, np.nan],
}


def write(path, columns, units=()):
    table = Table(columns, meta={"EXTNAME": "SRCLIST"})
    for name, unit in dict(units).items():
        table[name].unit = unit
    table.write(path)
    return path


def test_emldetects_summary_rows_are_the_sources(tmp_path):
    found = xp.read_source_list(write(tmp_path / "emllist.fits", EMLDETECT))
    assert (found.origin, found.threshold, len(found)) == ("emldetect", None, 2)
    first, second = found
    assert (first.number, first.det_ml, first.counts, first.counts_error, first.rate) == (4, 120, 88, 10, 0.01)
    assert (first.extent_arcsec, first.extent_error_arcsec, first.extent_ml) == (20, 2, 25)  # pixels of 4 arcsec
    assert (first.x, first.y, first.position_error_arcsec, first.nearest_arcsec) == (100, 50, 1.5, 360)
    assert (second.is_extended, second.nearest_arcsec, second.rates) == (False, None, ())
    said = xp.read_source_list(write(tmp_path / "arcsec.fits", EMLDETECT, {"EXT": "arcsec", "EXT_ERR": "arcsec"}))
    assert (said[0].extent_arcsec, said[0].extent_error_arcsec) == (5, 0.5)


ROWS = {
    "IAUNAME": ["4XMM J000000.1+010000", "4XMM J000000.2+010000"],
    "SRC_NUM": [3, 3],
    "RA": [0.1, 0.2],
    "DEC": [1.0, 1.0],
    "RADEC_ERR": [0.4, 0.6],
    "EP_8_DET_ML": [55.0, 8.5],
    "EP_8_RATE": [0.02, 0.004],
    "EP_EXTENT": [0.0, 12.0],
    "EP_FLAG": ["TFTFFFFFFFFF", "FFFFFFFFFFFF"],
}


@pytest.mark.parametrize("name", ["rows.fits", "rows.csv", "rows.vot", "rows.ecsv"])
def test_rows_of_the_catalogue(tmp_path, name):
    path = tmp_path / name
    Table(ROWS).write(path, format="votable" if name.endswith("vot") else None)
    found = xp.read_source_list(path)
    assert found.origin == "4XMM"
    assert [s.number for s in found] == [1, 2]  # two observations may both have a source 3
    assert [s.name for s in found] == ROWS["IAUNAME"]
    assert [(s.det_ml, s.extent_arcsec, s.rate) for s in found] == [(55, 0, 0.02), (8.5, 12, 0.004)]
    assert found[0].flags == SourceFlag.LOW_COVERAGE | SourceFlag.INSIDE_EXTENDED


def test_the_slim_catalogue(tmp_path):
    columns = {
        "SRCID": [5],
        "SC_RA": [1.0],
        "SC_DEC": [2.0],
        "SC_POSERR": [0.7],
        "SC_DET_ML": [20.0],
        "SC_EXTENT": [9.0],
    }
    found = xp.read_source_list(write(tmp_path / "slim.fits", columns))
    assert [(s.position_error_arcsec, s.det_ml, s.extent_arcsec) for s in found] == [(0.7, 20, 9)]


def test_what_is_no_list_is_refused(tmp_path):
    with pytest.raises(InvalidFile, match="needs columns RA and DEC .* DET_ML, EP_8_DET_ML, SC_DET_ML"):
        xp.read_source_list(write(tmp_path / "a.fits", {"RA": [1.0], "DEC": [1.0], "RADEC_ERR": [1.0], "SRC_NUM": [1]}))
    with pytest.raises(InvalidFile, match=r"ends with .csv, .*\.reg"):
        xp.write_source_list(example_source_list(), tmp_path / "sources.txt")


@settings(max_examples=12, deadline=None)
@given(xst.source_lists())
def test_a_fits_file_gives_the_list_back(tmp_path_factory, sources):
    path = tmp_path_factory.mktemp("lists") / "sources.fits"
    assert xp.read_source_list(xp.write_source_list(sources, path)) == sources
    first = path.read_bytes()
    xp.write_source_list(sources, path, overwrite=True)
    assert path.read_bytes() == first


def test_regions_are_drawn_where_the_light_falls_to_the_cut():
    example = example_source_list()
    alone = attrs.evolve(example, objects=[], sources=[attrs.evolve(s, object_number=0) for s in example])
    core, counts = 26.0, 3000.0
    background = 0.05 / (3600 * xp.testing.examples.example_rate_map().grid.pixel_deg) ** 2
    for level in (0.3, 3.0):  # beta model of slope 2/3: S(r) = N / (2 pi rc^2) (1 + r^2/rc^2)^-1.5
        radius = 3600 * xp.source_regions(alone, level=level)[0].size[0]
        light = counts / (2 * np.pi * core**2) * (1 + (radius / core) ** 2) ** -1.5
        assert light == pytest.approx(level * background, rel=1e-6)
    points = [3600 * r.size[0] for r in xp.source_regions(example)[1:]]
    assert points[0] > points[1] >= 12
    half = [3600 * r.size[0] for r in xp.source_regions(example, cut="encircled", level=0.9)[1:]]
    expected = float(xp.radius_of_fraction(0.9, instrument="pn", energy_ev=1250, off_axis_arcmin=0))
    assert half == pytest.approx([expected] * 2)
    assert [3600 * r.size[0] for r in xp.source_regions(alone, cut=20 * u.arcsec)] == pytest.approx([78, 20, 20])
    with pytest.raises(InvalidRecord, match="cut must be surface-brightness, encircled or an angle"):
        xp.source_regions(example, cut="by eye")
    with pytest.raises(InvalidRecord, match="level must be above 0"):
        xp.source_regions(example, cut="encircled", level=1.0)


def test_an_object_is_one_ellipse_whose_long_axis_has_its_position_angle(tmp_path):
    """North through east: at 30 degrees the end of the long axis lies north and, in RA, east of the centre."""
    example = example_source_list()
    item = attrs.evolve(example.objects[0], position_angle_deg=30.0, semi_minor_arcsec=1.0)
    grid = xp.testing.examples.example_rate_map().grid
    region = xp.source_regions(attrs.evolve(example, objects=[item]))[0]
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS
    from regions import EllipseSkyRegion  # the oracle: its angle runs from west over north, as DS9's

    wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": grid.ra_deg, "CRVAL2": grid.dec_deg,
               "CRPIX1": 1, "CRPIX2": 1, "CDELT1": -0.001, "CDELT2": 0.001})  # fmt: skip
    ellipse = EllipseSkyRegion(SkyCoord(region.x, region.y, unit="deg"), 2 * region.size[0] * u.deg,
                               2 * region.size[1] * u.deg, region.angle_deg * u.deg)  # fmt: skip
    centre = SkyCoord(item.ra_deg, item.dec_deg, unit="deg")
    assert ellipse.contains(centre.directional_offset_by(30 * u.deg, 80 * u.arcsec), wcs)
    assert not ellipse.contains(centre.directional_offset_by(-30 * u.deg, 80 * u.arcsec), wcs)
    path = xp.write_source_list(attrs.evolve(example, objects=[item]), tmp_path / "sources.reg")
    assert [r.colour for r in xp.read_regions(path)] == ["green", "red", "red"]


def test_a_field_takes_the_list_in_place_of_its_regions():
    field, sources = example_field(), example_source_list()
    new = xp.with_regions(field, sources)
    assert new.centre.value.tolist() == field.centre.value.tolist()
    assert new.members[0].match.name == "object 1"
    assert [r.name for r in new.members[0].interlopers] == ["2", "3"]
    same = xp.match_observations(field.target, field.observations, regions={"0999990101": sources})
    assert same.members[0].regions == new.members[0].regions
    assert xp.with_regions(field, {}).members[0].regions == ()
    far = attrs.evolve(sources.sources[1], number=9, ra_deg=10.0)
    assert len(xp.with_regions(field, attrs.evolve(sources, sources=[*sources, far])).members[0].regions) == 3
    kept = np.count_nonzero(xp.interloper_mask(xp.testing.examples.example_rate_map(), new))
    assert kept == np.count_nonzero(
        xp.interloper_mask(xp.testing.examples.example_rate_map(), xp.with_regions(field, xp.source_regions(sources)))
    )
    with pytest.raises(InvalidRecord, match="regions of 0000000001 were given, but example has 0999990101"):
        xp.with_regions(field, {"0000000001": sources})
    with pytest.raises(InvalidRecord, match="regions of 0999990109 were given, but .* has 0999990101"):
        xp.match_observations(field.target, field.observations, regions={"0999990109": sources})
    with pytest.raises(InvalidRecord, match="regions of 0999990109 were given, but .* has 0999990101"):
        xp.field_of_maps(field.target, xp.testing.examples.example_rate_map(), regions={"0999990109": sources})
    with pytest.raises(InvalidRecord, match="expected Region, as read_regions"):
        xp.with_regions(field, "sources.reg")
    with pytest.warns(UserWarning, match="none of the regions that were given lies on the images of example"):
        none = xp.with_regions(field, attrs.evolve(sources, sources=[far], objects=()))
    assert "(1) lies on its images: nothing is masked" in none.left_out[0].why
    missed = xp.match_observations(field.target, field.observations, regions=[
        attrs.evolve(xp.source_regions(sources)[1], x=10.0)])  # fmt: skip
    assert "nothing is masked" in missed.left_out[0].why


def without(hdu, name):
    """Return a table of a list without a column (`del_col` would leave it the units of others)."""
    kept = fits.BinTableHDU.from_columns([column for column in hdu.columns if column.name != name], name=hdu.name)
    kept.header["SETTINGS"] = hdu.header["SETTINGS"]
    return kept


def csv_warns(name):
    """Return what is expected of reading a file: a CSV holds no word of the maps, and that is told."""
    told = pytest.warns(UserWarning, match="is a table of our own without the maps")
    return told if name.endswith(".csv") else contextlib.nullcontext()


TABLES = ["list.csv", "list.ecsv", "list.vot", "list.xml", "list.parquet", "list.fits.gz"]


def test_both_likelihoods_are_kept_and_a_file_may_lack_the_second(tmp_path):
    tied = attrs.evolve(example_source_list()[1], number=1, det_ml=9.0, tied_ml=10.5)
    listed = attrs.evolve(example_source_list(), sources=[tied], objects=[])
    path = xp.write_source_list(listed, tmp_path / "list.fits")
    assert [(s.det_ml, s.tied_ml, s.likelihood) for s in xp.read_source_list(path)] == [(9.0, 10.5, 10.5)]
    table = xp.write_source_list(listed, tmp_path / "list.ecsv")
    assert [(s.det_ml, s.tied_ml) for s in xp.read_source_list(table)] == [(9.0, 10.5)]
    with fits.open(path) as hdus:
        hdus["SRCLIST"] = without(hdus["SRCLIST"], "TIED_ML")
        hdus.writeto(tmp_path / "older.fits")
    assert [(s.tied_ml, s.likelihood) for s in xp.read_source_list(tmp_path / "older.fits")] == [(None, 9.0)]
    assert np.isnan(xp.read_source_list(tmp_path / "older.fits").table()["TIED_ML"][0])


@pytest.mark.parametrize("name", ["list.fits", *TABLES])
def test_a_map_that_does_not_see_a_source_is_nan_in_each_table_and_none_in_a_list(tmp_path, name):
    unseen = MapRate(counts=None, counts_error=None, rate=None, rate_error=None, exposure_s=0, background=0,
                     mask_fraction=0)  # fmt: skip
    source, example = example_source_list()[1], example_source_list()
    mos = attrs.evolve(example.maps[0], instrument="mos1", exposure_id="S001")
    found = attrs.evolve(
        example, maps=[*example.maps, mos], objects=(), sources=[attrs.evolve(source, rates=[*source.rates, unseen])]
    )
    path = xp.write_source_list(found, tmp_path / name)
    row = fits.getdata(path, 1)[0] if ".fits" in name else read_table(path)[0]
    for column in ("CTS", "CTS_ERR", "RATE", "RATE_ERR", "DET_ML"):
        assert np.ma.is_masked(row[f"M1_{column}"]) or np.isnan(row[f"M1_{column}"])
    assert (row["M1_EXP"], row["RATE"], row["RATE_ERR"]) == (0, source.rate, source.rate_error)
    with csv_warns(name):
        again = xp.read_source_list(path)
    if not name.endswith(".csv"):
        assert again == found
    assert (again[0].rate, again[0].rate_error) == (source.rate, source.rate_error)
    for cut, level in (("surface-brightness", 1.0), ("encircled", 0.8)):
        (with_mos,), (alone,) = (
            xp.source_regions(attrs.evolve(found, maps=found.maps[:n], sources=[attrs.evolve(source, rates=rates)]),
                              cut=cut, level=level)
            for n, rates in ((2, [*source.rates, unseen]), (1, source.rates))
        )  # fmt: skip
        assert with_mos.size == alone.size


@pytest.mark.parametrize("name", ["list.fits", *TABLES])
def test_rates_are_in_the_unit_of_the_exposure_maps(tmp_path, name):
    found = attrs.evolve(example_source_list(), exposure_unit="cm2 s")
    flux, area = u.photon / u.cm**2 / u.s, u.cm**2 * u.s
    units = {"RATE": flux, "RATE_ERR": flux, "PN_RATE": flux, "EXP_MAP": area, "PN_EXP": area, "SCTS": u.ct}
    assert {column: found.table()[column].unit for column in units} == units
    path = xp.write_source_list(found, tmp_path / name)
    if ".fits" in name:
        with fits.open(path) as hdus:
            assert {c.name: u.Unit(c.unit) for c in hdus[1].columns if c.name in units} == units
    if name != "list.csv":  # which holds no units
        assert xp.read_source_list(path).exposure_unit == "cm2 s"
        assert xp.read_source_list(path).table()["RATE"].unit == flux
    assert "Rate (ph / (s cm2))" in found._repr_html_()


@pytest.mark.parametrize("name", TABLES)
def test_our_own_tables_come_back_with_their_extents(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    example = example_source_list()
    path = xp.write_source_list(example, tmp_path / name)
    with csv_warns(name):
        found = xp.read_source_list(path)
    for ours, read in zip(example, found, strict=True):
        for what in ("number", "ra_deg", "dec_deg", "extent_arcsec", "extent_error_arcsec", "det_ml", "flags", "x"):
            assert getattr(read, what) == pytest.approx(getattr(ours, what)), what
    assert found.origin == ("table" if name.endswith(".csv") else "xphotfn")
    empty = xp.write_source_list(attrs.evolve(example, sources=[], objects=[]), tmp_path / f"empty_{name}")
    with csv_warns(name):
        assert len(xp.read_source_list(empty)) == 0
    # a list that was read, without maps, keeps its extents too
    again = xp.write_source_list(found, tmp_path / f"again_{name}")
    with csv_warns(name):
        assert xp.read_source_list(again)[0].extent_arcsec == pytest.approx(example[0].extent_arcsec)


@pytest.mark.parametrize("ending", [".ecsv", ".vot", ".parquet"])
def test_our_own_tables_give_the_list_back_whole(tmp_path, ending):
    """With rates, objects, threshold and expected false ones, so that their regions are those of the list."""
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    example = attrs.evolve(example_source_list(), expected_false=0.25, target="A907", within=xp.read_regions(
        written_text(tmp_path / "w.reg", "fk5; circle(10,20,1)"))[0])  # fmt: skip
    assert example.threshold is not None
    path = xp.write_source_list(example, tmp_path / f"list{ending}")
    assert xp.read_source_list(path) == example


def written_text(path, text):
    path.write_text(text)
    return path


@settings(max_examples=4, deadline=None)
@given(xst.source_lists())
def test_a_table_gives_any_list_back(tmp_path_factory, sources):
    folder = tmp_path_factory.mktemp("lists")
    for ending in (".ecsv", ".vot"):
        assert xp.read_source_list(xp.write_source_list(sources, folder / f"list{ending}")) == sources


def test_our_own_list_in_a_folder_has_the_regions_of_the_list(tmp_path):
    """An ellipse for the object, radii where the light falls to the background: as the same list in a .reg file."""
    example = example_source_list()
    found = xp.read_regions(xp.write_source_list(example, tmp_path / "sources.fits"))
    assert tuple(found) == tuple(xp.source_regions(example))
    drawn = xp.read_regions(xp.write_source_list(example, tmp_path / "sources.reg"))
    for ours, other in zip(found, drawn, strict=True):
        assert (ours.shape, ours.colour, ours.name) == (other.shape, other.colour, other.name)
        assert (ours.x, ours.y, *ours.size) == pytest.approx((other.x, other.y, *other.size), rel=1e-6)
    table = example.table()
    table.write(tmp_path / "alone.fits")  # without the maps: told, and 30 arcsec
    with pytest.warns(UserWarning, match="circles of 30 arcsec"):
        alone = xp.read_regions(tmp_path / "alone.fits")
    assert 3600 * alone[1].size[0] == pytest.approx(30)


def test_a_table_without_the_maps_keeps_threshold_and_expected_false(tmp_path):
    example = attrs.evolve(example_source_list(), expected_false=0.25)
    example.table().write(tmp_path / "alone.ecsv")
    with pytest.warns(UserWarning, match="without the maps"):
        found = xp.read_source_list(tmp_path / "alone.ecsv")
    assert (found.threshold, found.expected_false) == (example.threshold, 0.25)


@pytest.mark.parametrize("ending", [".fits", ".ecsv", ".vot"])
def test_rows_that_were_taken_out_take_their_object_with_them(tmp_path, ending):
    example = example_source_list()
    gone = example.objects[0].sources
    path = xp.write_source_list(example, tmp_path / f"list{ending}")
    if ending == ".fits":
        with fits.open(path, mode="update") as hdus:
            hdus["SRCLIST"].data = hdus["SRCLIST"].data[[n not in gone for n in hdus["SRCLIST"].data["ID_SRC"]]]
    elif ending == ".ecsv":
        table = Table.read(path)
        table[[n not in gone for n in table["ID_SRC"]]].write(path, overwrite=True)
    else:
        path = xp.write_source_list(attrs.evolve(example, sources=[s for s in example if s.number not in gone],
            objects=()), path, overwrite=True)  # fmt: skip
    found = xp.read_source_list(path)
    assert (len(found), found.objects) == (len(example) - len(gone), ())


UNITS = {  # of a column: another one, and how many of them are one of ours
    "RA": ("rad", np.pi / 180),
    "DEC": ("arcmin", 60),
    "RADEC_ERR": ("arcmin", 1 / 60),
    "RATE": ("ct / ks", 1000),
    "RATE_ERR": ("1 / h", 3600),
    "EXT": ("deg", 1 / 3600),
}


@pytest.mark.parametrize("name", ["list.fits", "list.ecsv", "list.vot"])
@pytest.mark.parametrize("whose", ["ours", "of others"])
def test_columns_in_other_units_are_converted_or_refused(tmp_path, name, whose):
    example, path = example_source_list(), tmp_path / name
    of_map = {"PN_RATE": ("ct / ks", 1000)} if whose == "ours" else {}
    hours = [{"RA": ("hourangle", 1 / 15)}] if not name.endswith(".fits") else []  # FITS has no such unit
    for changed in ({**UNITS, **of_map}, *hours):
        with_units(path, whose, changed)
        found = xp.read_source_list(path)
        for read, source in zip(found, example, strict=True):
            for what in ("ra_deg", "dec_deg", "position_error_arcsec", "rate", "rate_error", "extent_arcsec"):
                assert getattr(read, what) == pytest.approx(getattr(source, what), rel=1e-12), what
            if whose == "ours":
                assert read.rates[0].rate == pytest.approx(source.rates[0].rate, rel=1e-12)
    for column, unit in (("RA", "kg"), ("RATE", "deg"), ("DET_ML", "s")):
        with_units(path, whose, {column: (unit, 1)})
        with pytest.raises(InvalidFile, match=f"column {column} has the unit '{unit}'"):
            xp.read_source_list(path)


def with_units(path, whose, changed):
    """Write the example with columns in other units; as a list of others without what makes it ours."""
    listed = source_files._whole_table(example_source_list())
    for column, (unit, factor) in changed.items():
        listed[column] = np.array(listed[column]) * factor
        listed[column].unit = unit
    if whose == "of others":
        listed.rename_column("ID_SRC", "ML_ID_SRC")
        listed.meta = {}
    if path.suffix == ".vot":
        source_files._votable(listed).to_xml(str(path))
    elif path.suffix == ".ecsv" or whose == "of others":
        listed.write(path, overwrite=True)
    else:
        hdus = source_files._hdus(example_source_list())
        settings_card, listed.meta = hdus["SRCLIST"].header["SETTINGS"], {"EXTNAME": "SRCLIST"}
        hdus[1] = fits.table_to_hdu(listed)
        hdus[1].header["SETTINGS"] = settings_card
        hdus.writeto(path, overwrite=True)


def test_a_unit_in_the_words_of_older_files(tmp_path):
    said = {"RA": "degrees", "SCTS": "counts", "RATE": "cts/s", "X_IMA": "image pixels", "EXT": "pixels"}
    path = write(tmp_path / "emllist.fits", EMLDETECT)
    with fits.open(path, mode="update") as hdus:
        for name, unit in {**said, "RADEC_ERR": "arcmin"}.items():
            hdus[1].header[f"TUNIT{hdus[1].columns.names.index(name) + 1}"] = unit
    first = xp.read_source_list(path)[0]
    assert (first.ra_deg, first.counts, first.rate, first.x, first.extent_arcsec) == (10, 88, 0.01, 100, 20)
    assert first.position_error_arcsec == 90
    assert 3600 * xp.read_regions(path)[0].position_error_deg == pytest.approx(90)


def test_a_damaged_list_of_our_own_names_row_and_column(tmp_path):
    path = xp.write_source_list(example_source_list(), tmp_path / "own.fits")
    for column, value in (("RA", np.nan), ("PN_BG", np.nan), ("DEC", 200.0)):
        with fits.open(path) as hdus:
            hdus["SRCLIST"].data[column][1] = value
            hdus.writeto(tmp_path / "changed.fits", overwrite=True)
        what = "row 2: DetectedSource.dec_deg must" if column == "DEC" else f"row 2, column {column} holds no number"
        with pytest.raises(InvalidFile, match=what):
            xp.read_source_list(tmp_path / "changed.fits")
    with fits.open(path) as hdus:
        hdus["SRCLIST"] = without(hdus["SRCLIST"], "RA")
        hdus.writeto(tmp_path / "lacking.fits")
    with pytest.raises(InvalidFile, match="column RA is missing"):
        xp.read_source_list(tmp_path / "lacking.fits")


def test_an_extent_without_a_unit_must_be_of_somebody_known(tmp_path):
    row = {"RA": [1.0], "DEC": [1.0], "DET_ML": [20.0], "EXT": [5.0]}
    with pytest.raises(InvalidFile, match="column EXT has no unit"):
        xp.read_source_list(write(tmp_path / "a.csv", row))
    assert xp.read_source_list(write(tmp_path / "b.ecsv", row, {"EXT": "arcmin"}))[0].extent_arcsec == 300
    assert xp.read_source_list(write(tmp_path / "c.csv", {**row, "ML_ID_SRC": [1]}))[0].extent_arcsec == 20
    with pytest.raises(InvalidFile, match="column RA must hold numbers"):
        xp.read_source_list(write(tmp_path / "d.csv", {**row, "RA": ["09:58:24"], "ML_ID_SRC": [1]}))
    with pytest.raises(InvalidFile, match="use read_regions"):
        xp.read_source_list(tmp_path / "x.reg")


@pytest.mark.parametrize(
    "wrong",
    [{"RA": 400.0}, {"DEC": 100.0}, {"DET_ML": -10.0}, {"DET_ML": np.inf}, {"EXTENT": -5.0}, {"EXTENT": np.inf}],
)
def test_rows_that_cannot_be_are_left_out_with_a_warning(tmp_path, wrong):
    row = {"RA": 1.0, "DEC": 1.0, "DET_ML": 20.0, "EXTENT": 5.0}
    path = write(tmp_path / "a.csv", {name: [value, wrong.get(name, value)] for name, value in row.items()})
    with pytest.warns(UserWarning, match="left out 1 row whose.*row 2"):
        assert len(xp.read_source_list(path)) == 1
    fields = {"RA": "ra_deg", "DEC": "dec_deg", "DET_ML": "det_ml", "EXTENT": "extent_arcsec"}
    ((name, value),) = wrong.items()
    with pytest.raises(InvalidRecord, match=fields[name]):
        attrs.evolve(example_source_list()[0], **{fields[name]: value})


def test_a_list_that_was_damaged_is_refused_or_read(tmp_path):
    """Bytes changed at random in header or table: what comes of it is a list or the error of a damaged file."""
    path = xp.write_source_list(example_source_list(), tmp_path / "own.fits")
    content, rng, refused = path.read_bytes(), np.random.default_rng(3), 0
    for _ in range(60):
        changed = bytearray(content)
        for place in rng.integers(len(content), size=4):
            changed[place] = rng.integers(256)
        path.write_bytes(bytes(changed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of astropy, of cards that it mends
            try:
                xp.read_source_list(path)
            except InvalidFile:
                refused += 1
    assert 0 < refused < 60


def test_a_column_of_several_numbers_is_refused(tmp_path):
    rows = {"RA": [[1.0, 2.0]], "DEC": [1.0], "DET_ML": [9.0]}
    with pytest.raises(InvalidFile, match="column RA must hold one number in a row"):
        xp.read_source_list(write(tmp_path / "a.fits", rows))


def test_flags_are_tags_of_regions(tmp_path):
    flags = (SourceFlag.HOT_COLUMN | SourceFlag.AT_EDGE, SourceFlag.HOT_COLUMN, 0)
    plain = example_source_list()
    flagged = attrs.evolve(plain, sources=[attrs.evolve(s, flags=f) for s, f in zip(plain, flags, strict=True)])
    path = xp.write_source_list(flagged, tmp_path / "flagged.reg")
    tags = [line.count("tag={HOT_COLUMN}") for line in path.read_text().splitlines() if "(" in line]
    assert tags == [1, 1, 0]
    assert list(xp.read_regions(path)) == list(xp.read_regions(xp.write_source_list(plain, tmp_path / "plain.reg")))
    from regions import Regions  # the tags are DS9's

    assert Regions.read(path, format="ds9")[0].meta["tag"][:2] == ["AT_EDGE", "HOT_COLUMN"]
