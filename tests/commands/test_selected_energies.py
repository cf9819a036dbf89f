"""The energies of selections: against the events that our interpreter of selections lets through, and by hand."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.commands.selected_energies import energies_of_expression
from xphotfn.commands.selection import parse
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.errors import ExpressionError
from xphotfn.records.band import Band
from xphotfn.records.energies import ALL_PI, NO_PI, PiRanges

TOP = 30
PI, PATTERN = (grid.ravel() for grid in np.meshgrid(np.arange(TOP), np.arange(3)))
NUMBERS = st.sampled_from(("4", "7", "7.5", "12", "12.25", "20", "29"))
OPERATORS = st.sampled_from(("<", "<=", ">", ">=", "==", "!="))
CONDITIONS = st.one_of(
    st.builds("PI {} {}".format, OPERATORS, NUMBERS),
    st.builds("{} {} PI".format, NUMBERS, OPERATORS),
    st.builds("PI in {}{}:{}{}".format, st.sampled_from("[("), NUMBERS, NUMBERS, st.sampled_from("])")),
    st.builds("PI in {},[{}:{}]".format, NUMBERS, NUMBERS, NUMBERS),
    st.sampled_from(("PATTERN == 0", "PATTERN > 1", "true", "false", "PI + PATTERN > 9")),
)
SELECTIONS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds("({}) && ({})".format, inner, inner),
        st.builds("({}) || ({})".format, inner, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=5,
)


def members(ranges):
    inside = np.zeros(TOP, dtype=bool)
    for lo, hi in ranges.ranges:
        inside[slice(None if lo is None else max(lo, 0), None if hi is None else max(hi + 1, 0))] = True
    return inside


@given(SELECTIONS)
def test_energies_are_those_of_the_events_that_pass(text):
    passed = np.zeros(PI.size, dtype=bool) | evaluate(parse(text), {"PI": PI, "PATTERN": PATTERN})
    by_pattern = passed.reshape(3, TOP)
    found = energies_of_expression(text)
    everywhere = members(found.everywhere)
    assert not (by_pattern.any(axis=0) & ~members(found.somewhere)).any()
    assert len({tuple(column) for column in by_pattern.T[everywhere]}) <= 1
    if "PATTERN" not in text:
        np.testing.assert_array_equal(everywhere, by_pattern[0])
        assert found.everywhere == found.somewhere


@given(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 4)), max_size=4), st.integers(0, 25), st.integers(0, 4))
def test_sets_of_channels(pairs, start, width):
    ranges = PiRanges(ranges=[(lo, lo + more) for lo, more in pairs])
    other = PiRanges(ranges=[(start, None)])
    band = Band(lo_ev=start, hi_ev=start + width + 1)
    inside, above = members(ranges), members(other)
    np.testing.assert_array_equal(members(ranges & other), inside & above)
    np.testing.assert_array_equal(members(ranges | other), inside | above)
    np.testing.assert_array_equal(members(~ranges), ~inside)
    assert ~~ranges == ranges
    assert ranges & ~ranges == NO_PI
    assert ranges | ~ranges == ALL_PI
    channels = {lo + n for lo, more in pairs for n in range(more + 1)}
    wanted = set(range(band.lo_ev, band.hi_ev + 1))
    assert ranges.contains(band) == (wanted <= channels)
    assert ranges.overlaps(band) == bool(wanted & channels)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("PATTERN <= 12 && #XMMEA_EM", "all", "all energies"),
        ("PI > 150", "open", "from 0.151 keV"),
        ("PI < 2000", "open", "up to 1.999 keV"),
        ("PI>150||PI<-150", "several", "up to -0.151 and from 0.151 keV"),
        ("PI in [500:2000] && !(PI in [1400:1600])", "several", "0.5-1.399 and 1.601-2 keV"),
        ("PI in [400:1250],[2000:7200]", "several", "0.4-1.25 and 2-7.2 keV"),
        ("PI in [0.5:2.0]", "narrow", "0.001-0.002 keV"),
        ("PI == 500", "narrow", "0.5 keV"),
        ("PI > 2000 && PI < 500", "none", "no energy"),
        ("(CCDNR==1 && PI>500) || (CCDNR==2 && PI>600)", "uneven",
         "from 0.501 keV in some places, from 0.601 keV in all"),
        ("PI/1000. > 0.5", "unread", "a selection on PI that cannot be read, within all energies"),
        ("int(PI) > 5 && PI < 900", "unread", "a selection on PI that cannot be read, within up to 0.899 keV"),
        ("(PI in [500:2000] && CCDNR==1) || (PI in [500:2000] && CCDNR==2)", "band", "0.5-2 keV"),
        ("PI>=500 && PI<2000", "band", "0.5-1.999 keV"),
        ("(PATTERN<=12) && (PI& in [500:10000])", "band", "0.5-10 keV"),
    ],
)  # fmt: skip
def test_what_selections_are_said_to_hold(text, kind, said):
    found = energies_of_expression(text)
    assert (found.kind, str(found)) == (kind, said)
    assert (found.band is not None) == (kind == "band")


def test_a_band_is_held_where_each_of_its_channels_passes_alike():
    soft = Band(lo_ev=500, hi_ev=2000)
    assert energies_of_expression("PI > 150").contains(soft)
    assert energies_of_expression("(CCDNR==1 && PI>150) || (CCDNR==2 && PI>200)").contains(soft)
    assert not energies_of_expression("(CCDNR==1 && PI>150) || (CCDNR==2 && PI>600)").contains(soft)
    assert not energies_of_expression("PI in (500:2000]").contains(soft)
    assert not energies_of_expression("PI in [300:2500] && PI != 1000").contains(soft)
    assert not energies_of_expression("int(PI) > 300").contains(soft)
    assert not energies_of_expression("PI in [4500:12000]").somewhere.overlaps(soft)


def test_a_text_that_is_no_expression_is_refused():
    with pytest.raises(ExpressionError):
        energies_of_expression("PI in [500:2000] && (PATTERN")


@pytest.mark.parametrize(
    ("channels", "called"),
    [((500, 1999), (500, 2000)), ((501, 2000), (500, 2000)), ((1001, 2000), (1000, 2000)), ((201, 11999), (200, 12000)),
     ((500, 2000), (500, 2000)), ((505, 1995), (505, 1995)), ((1, 9), (0, 10))],
)  # fmt: skip
def test_what_a_band_is_called(channels, called):
    band = Band(lo_ev=channels[0], hi_ev=channels[1])
    assert band.nominal == Band(lo_ev=called[0], hi_ev=called[1])
    assert band.nominal.nominal == band.nominal
