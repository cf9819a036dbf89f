"""How a plan searches: point spread functions come back from their text, and what is none is refused."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from xphotfn.errors import InvalidRecord
from xphotfn.science.detection.search_map import EllipticalSpread
from xphotfn.science.detection.settings import SourceSearch, spread_of_text, spread_to_text
from xphotfn.science.king import EPIC_KING, KingModel
from xphotfn.testing import strategies as xst


@settings(max_examples=20)
@given(xst.elliptical_spreads() | xst.encircled_energy_tables())
def test_a_text_holds_all_digits(spread):
    text = spread_to_text({"pn": spread, "mos1": "epic"})
    back = spread_of_text(text)["pn"]
    for one, other in ((spread, back), (getattr(spread, "profile", spread), getattr(back, "profile", back))):
        for name in ("axis_ratios", "core", "slope", "radii_arcsec", "fractions"):
            assert np.array_equal(getattr(one, name, 0), getattr(other, name, 0))
    assert spread_to_text(text) == text
    assert text.isprintable()


def test_one_text_for_equal_ones():
    pn, mos = EPIC_KING["pn"], EPIC_KING["mos1"]
    assert spread_to_text({"pn": pn, "mos1": mos}) == spread_to_text({"mos1": mos, "pn": pn})
    renamed = KingModel(core=pn.core, slope=pn.slope, source="the same numbers", systematic=(1, 1, 1))
    assert spread_to_text(renamed) == spread_to_text(pn)
    assert hash(SourceSearch(psf={"pn": pn})) == hash(SourceSearch(psf={"pn": renamed}))
    assert SourceSearch(psf=pn).psf != SourceSearch(psf=mos).psf


NONE = (None, 3, "king", "", "[]", "{}", '"pn"', '{"core":1}', '{"pn":null}', "{" * 99, {}, {"pn": None}, {1: "epic"},
        '{"core":[NaN,0,0,0],"slope":[1,0,0,0]}', EllipticalSpread, b"epic")  # fmt: skip


@pytest.mark.parametrize("psf", NONE, ids=str)
def test_what_is_no_point_spread_function_is_refused(psf):
    with pytest.raises(InvalidRecord, match="psf must be"):
        SourceSearch(psf=psf)


@given(st.sampled_from([{"threshold": 3}, {"threshold": "6"}, {"extent": "no"}, {"joint": 1}]))
@settings(max_examples=8)
def test_other_settings_are_those_of_a_search(wrong):
    with pytest.raises(InvalidRecord):
        SourceSearch(**wrong)
