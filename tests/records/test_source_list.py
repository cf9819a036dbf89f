"""Lists of sources: their table has the names and units of emldetect and 4XMM."""

import astropy.units as u
import attrs
import numpy as np
import pytest
from hypothesis import given, settings

from xphotfn.errors import InvalidRecord
from xphotfn.records.source import FLAG_TEXTS, SourceFlag
from xphotfn.records.source_list import source_columns
from xphotfn.testing import strategies as xst
from xphotfn.testing.examples import example_source_list

# Columns of emldetect's output table with their units, from the documentation of the task; EXT as 4XMM has it.
EMLDETECT = {
    "RA": "deg",
    "DEC": "deg",
    "RADEC_ERR": "arcsec",
    "X_IMA": "pix",
    "Y_IMA": "pix",
    "SCTS": "ct",
    "SCTS_ERR": "ct",
    "RATE": "ct / s",
    "RATE_ERR": "ct / s",
    "EXP_MAP": "s",
    "DIST_NN": "arcsec",
    "OFFAX": "arcmin",
    "EXT": "arcsec",
    **dict.fromkeys(("DET_ML", "EXT_ML", "MASKFRAC", "ID_CLUSTER", "FLAG"), None),
}


def test_the_table_has_emldetects_names_and_units():
    table = example_source_list().table()
    units = {name: table[name].unit and table[name].unit.to_string() for name in EMLDETECT}
    assert units == EMLDETECT
    assert table.meta["MLMIN"] == 10.0
    assert table.meta["EXPFALSE"] == 0.1
    assert table["ID_SRC"].tolist() == [1, 2, 3]


@settings(max_examples=20)
@given(xst.source_lists())
def test_every_source_is_a_row_and_what_is_unknown_is_nan(sources):
    columns = source_columns(sources)
    assert {len(column.values) for column in columns.values()} == {len(sources)}
    for row, source in enumerate(sources):
        assert columns["RA"].values[row] == source.ra_deg
        assert np.isnan(columns["SCTS"].values[row]) == (source.counts is None)
        assert columns["FLAG"].values[row] == sum(SourceFlag[name] for name in source.flag_names)
        x = columns["X_IMA"].values[row]
        assert np.isnan(x) if source.x is None else x == source.x + 1


def test_cameras_are_told_apart_as_far_as_needed():
    example = example_source_list()
    one = example.maps[0]
    same_camera = attrs.evolve(one, obs_id="0201903501")
    two = attrs.evolve(
        example, maps=[one, same_camera], sources=[attrs.evolve(s, rates=[s.rates[0]] * 2) for s in example]
    )
    assert "PN_RATE" in source_columns(example)
    assert {"PN_0999990101_RATE", "PN_0201903501_RATE"} <= set(source_columns(two))


def test_rates_must_be_of_the_maps_and_numbers_once():
    example = example_source_list()
    with pytest.raises(InvalidRecord, match="a rate for each of 2 maps, source 1 has 1"):
        attrs.evolve(example, maps=[example.maps[0]] * 2)
    with pytest.raises(InvalidRecord, match="numbers of their own"):
        attrs.evolve(example, sources=[example[0], example[0]])


def test_an_object_has_a_number_and_sources_of_its_own():
    example = example_source_list()
    piece = example.objects[0]
    for objects, told in (
        ([piece, piece], "objects must have numbers of their own"),
        ([attrs.evolve(piece, sources=[1, 7])], "object 1 names 7: give the objects that are left"),
        ([example[0]], "must be records DetectedObject, got .*DetectedSource"),
    ):
        with pytest.raises(InvalidRecord, match=told):
            attrs.evolve(example, objects=objects)
    with pytest.raises(InvalidRecord, match="object 1 names 1"):
        attrs.evolve(example, sources=example.points)
    assert len(attrs.evolve(example, sources=example.points, objects=())) == 2


WRONG = {
    "counts_error": -1, "rate_error": np.nan, "det_ml": np.inf, "position_error_arcsec": -0.1, "extent_arcsec": -5,
    "extent_ml": np.nan, "nearest_arcsec": -1, "ra_deg": 360.1, "dec_deg": -90.5, "counts": np.inf, "number": 0,
    "object_number": -1, "flags": 2**20, "rates": [3], "name": None, "x": np.nan, "rate": "0.1", "y": "a",
}  # fmt: skip
OF_OBJECTS = {
    "number": 0, "semi_major_arcsec": np.nan, "semi_minor_arcsec": 0, "ra_deg": None, "dec_deg": np.nan,
    "position_angle_deg": np.inf, "sources": ["a"],
}  # fmt: skip
OF_LISTS = {
    "sources": 3, "threshold": np.nan, "extent": "no", "expected_false": -1, "extended_fraction": -0.1,
    "within": "circle", "origin": "wavdetect", "maps": [None],
}  # fmt: skip
OF_RATES = {"mask_fraction": 1.1, "counts": None, "rate_error": -1, "exposure_s": np.inf, "off_axis_arcmin": -1}


def test_what_cannot_be_is_refused():
    example = example_source_list()
    parts = (
        (example[1], WRONG),
        (example.objects[0], OF_OBJECTS),
        (example, OF_LISTS),
        (example[1].rates[0], OF_RATES),
    )
    for record, wrong in parts:
        for name, value in wrong.items():
            with pytest.raises(InvalidRecord):
                attrs.evolve(record, **{name: value})
    with pytest.raises(InvalidRecord, match="must be numbers from 1, each once"):
        attrs.evolve(example.objects[0], sources=[1, 1])
    with pytest.raises(InvalidRecord, match="expected a plain number, got '12.0 arcsec'"):
        attrs.evolve(example[1], position_error_arcsec=12 * u.arcsec)


def test_each_flag_has_a_text():
    assert set(FLAG_TEXTS) == set(SourceFlag)
