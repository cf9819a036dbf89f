"""Which file is the one: decided from what files hold, never from names or their order."""

import itertools

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from xphotfn.records.band import Band
from xphotfn.records.energies import Energies, PiRanges
from xphotfn.records.facts import FileFacts
from xphotfn.records.good_times import GoodTimes
from xphotfn.records.grid import PixelGrid
from xphotfn.records.left_out import REASONS, LeftOut
from xphotfn.records.observation import FoundFile
from xphotfn.records.subspace import EVERY_FLAG, Subspace
from xphotfn.science.identity import decide, differences, rivals
from xphotfn.testing import strategies as xst

SOFT = Band(lo_ev=500, hi_ev=2000)
GRID, OTHER = PixelGrid.from_sky_range(149.6, -11.1), PixelGrid.from_sky_range(149.6, -11.1, bin_size=40)
CUT = Energies(everywhere=PiRanges(ranges=[(500, 10000)]), somewhere=PiRanges(ranges=[(500, 10000)]))


def file(name, kind="events", **said):
    """Return what a file holds, of MOS1 S001 and with a content of its own."""
    camera = {"instrument": "mos1", "exposure_id": "S001"} if kind in ("events", "image", "exposure_map") else {}
    product = {"band": SOFT, "grid": GRID} if kind in ("image", "exposure_map") else {}
    found = FoundFile(path=f"/{name}", size=1, mtime_ns=1)
    return FileFacts(**({"name": name, "file": found, "kind": kind, "digest": name} | camera | product | said))


def outcome(*facts, **options):
    """Return the names that are used, and for each other its reason, what is preferred, and what differs."""
    decision = decide(facts, **options)
    return [f.name for f in decision.used], {n.file: (n.reason, n.preferred, n.differs) for n in decision.left_out}


@pytest.mark.parametrize(
    ("axis", "narrow", "wide"),
    [
        ("energies", Subspace(energies=CUT), Subspace()),
        ("times", Subspace(times=["gti(a.fits,TIME)"]), Subspace()),
        ("places", Subspace(places=["circle(1,2,3,X,Y)"]), Subspace()),
        ("flags", Subspace(flags=EVERY_FLAG), Subspace(flags=0x766BA000)),
        ("patterns", Subspace(patterns=4), Subspace(patterns=12)),
        ("patterns", Subspace(patterns=12), Subspace()),
        ("selection", Subspace(other=["PHA > 10"]), Subspace()),
    ],
)
def test_the_widest_selection_is_used(axis, narrow, wide):
    for order in (1, -1):
        facts = [file("short", subspace=narrow, rows=5), file("a_long_name", subspace=wide, rows=9)][::order]
        assert outcome(*facts) == (["a_long_name"], {"short": ("narrower", ("a_long_name",), (axis,))})


def test_selections_of_which_neither_holds_the_other_are_undecided():
    one, two = file("one", subspace=Subspace(energies=CUT), rows=5), file("two", subspace=Subspace(patterns=4), rows=5)
    used, lost = outcome(one, two)
    assert used == []
    differs = ("energies", "patterns")
    assert lost == {"one": ("undecided", ("two",), differs), "two": ("undecided", ("one",), differs)}


def test_equal_selections_with_other_content_are_undecided():
    assert outcome(file("one"), file("two"))[1]["one"] == ("undecided", ("two",), ("content",))


def test_a_header_that_says_more_and_holds_fewer_events_is_not_believed():
    wide, narrow = file("wide", rows=5), file("narrow", subspace=Subspace(energies=CUT), rows=9)
    used, lost = outcome(wide, narrow)
    assert used == []
    assert lost["wide"][2] == ("energies", "rows")


def test_what_the_wide_list_beats_is_named_beside_what_is_undecided():
    pair = [file("one", rows=9), file("two", rows=9)]
    used, lost = outcome(*pair, file("cut", subspace=Subspace(energies=CUT), rows=5))
    assert (used, lost["cut"][:2], lost["one"][0]) == ([], ("narrower", ("one", "two")), "undecided")


def good(*pairs, ccd="1"):
    return ((ccd, GoodTimes(intervals=pairs)),)


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        (good((0, 10), (20, 30)), good((0, 10), (20, 30)), None),
        (good((0, 10), (20, 30)), good((2, 9)), 1),
        (good((2, 9)), good((0, 10)), -1),
        (good((0, 10)), good((5, 15)), 0),
        (good((0, 10)), good((0, 10.001)), None),  # ends are written in decimals
        (good((0, 10)) + good((0, 10), ccd="2"), good((0, 10)), 1),
        (good((0, 10)) + good((0, 5), ccd="2"), good((0, 5)) + good((0, 10), ccd="2"), 0),
    ],
)
def test_good_times_are_compared_and_not_the_names_of_their_files(one, other, relation):
    first, second = file("a", good_times=one, subspace=Subspace(times=["gti(x,TIME)"])), file("b", good_times=other)
    assert dict(differences(first, second)).get("times") == relation


def test_copies_are_the_same_and_go_with_the_one_that_lost_nothing():
    copies = [file(name, digest="d") for name in ("b", "a", "c")]
    assert outcome(*copies) == (["a"], dict.fromkeys("bc", ("same", ("a",), ())))
    marked = file("aa", digest="d", subspace=Subspace(places=["circle(1,2,3,X,Y)"]))
    assert outcome(marked, file("zz", digest="d"))[0] == ["zz"]


def test_the_user_chooses_before_every_rule():
    cut = file("cut", subspace=Subspace(energies=CUT), chosen=1)
    assert outcome(cut, file("raw", rows=9)) == (["cut"], {"raw": ("not_preferred", ("cut",), ())})
    assert outcome(cut, file("raw", chosen=2))[0] == ["raw"]


def test_an_image_goes_with_the_exposure_map_of_its_pixels():
    image, other = file("i", "image"), file("other", "image", grid=OTHER)
    assert outcome(image, other, file("m", "exposure_map")) == (
        ["i", "m"], {"other": ("other_grid", ("i",), ("grid",))}
    )  # fmt: skip
    assert outcome(image, file("m", "exposure_map"), file("n", "exposure_map", grid=OTHER))[0] == ["i", "m"]
    assert outcome(image, other)[0] == []


def test_a_region_file_of_ones_own_goes_before_the_pipelines():
    own, drawn = file("mine.reg", "regions"), file("P.ASC", "regions", rank=2)
    assert outcome(drawn, own) == (["mine.reg"], {"P.ASC": ("second_choice", ("mine.reg",), ())})


def test_the_attitude_of_the_longest_time_is_used():
    whole = file("long", "attitude", good_times=good((0, 100)), rows=100)
    assert outcome(file("a", "attitude", good_times=good((0, 50)), rows=50), whole)[0] == ["long"]
    assert outcome(file("a", "attitude", good_times=good((0, 50)), rows=500), whole)[0] == []


def test_each_exposure_has_its_own_files_unless_one_is_chosen():
    both = file("s", exposure_id="S001"), file("u", exposure_id="U002")
    assert outcome(*both) == (["s", "u"], {})
    assert outcome(*both, exposures=["U002"]) == (["u"], {"s": ("not_preferred", (), ())})
    assert outcome(*both, exposures=["S009"]) == (["s", "u"], {})


def test_rivals_are_the_files_for_one_place():
    files = [file("a"), file("b"), file("i", "image"), file("c", reason="closed"), file("cif", "cif")]
    assert {f.name for f in rivals(files)} == {"a", "b"}


FACTS = st.lists(xst.file_facts(), max_size=7, unique_by=lambda facts: facts.name)


def content(decision):
    """Return a decision without the names of files: what is used, and why how many others are not."""
    used = sorted((f.kind, f.instrument, f.exposure_id, str(f.band), f.digest, repr(f.subspace)) for f in decision.used)
    lost = sorted((n.kind, n.instrument, n.exposure_id, str(n.band), n.reason, n.differs) for n in decision.left_out)
    return used, lost


@given(FACTS, st.randoms(use_true_random=False))
def test_the_order_and_the_names_of_files_change_nothing(facts, random):
    expected = decide(facts)
    shuffled = random.sample(facts, len(facts))
    assert decide(shuffled) == expected
    names = random.sample([f"n{number}" for number in range(len(facts))], len(facts))
    renamed = [evolve(f, name=name) for f, name in zip(facts, names, strict=True)]
    assert content(decide(renamed)) == content(expected)


@given(FACTS, st.data())
def test_a_copy_adds_one_note_and_changes_nothing_else(facts, data):
    usable = decide(facts).used
    if not usable:
        return
    original = data.draw(st.sampled_from(usable))
    before, after = decide(facts), decide([*facts, evolve(original, name="0/copy")])
    assert [f.digest for f in after.used] == [f.digest for f in before.used] or content(after)[0] == content(before)[0]
    assert len(after.left_out) == len(before.left_out) + 1


@given(FACTS)
def test_every_file_is_used_or_left_out_and_a_place_has_one(facts):
    decision = decide(facts)
    assert sorted([*(f.name for f in decision.used), *(n.file for n in decision.left_out)]) == sorted(
        f.name for f in facts
    )
    places = [(f.kind, f.instrument, f.exposure_id, f.band) for f in decision.used]
    assert len(set(places)) == len(places)
    assert not any(f.reason for f in decision.used)
    for note in decision.left_out:
        assert all(name in {f.name for f in facts} for name in note.preferred)


@settings(max_examples=50)
@given(st.lists(xst.file_facts(kind="events"), min_size=2, max_size=2))
def test_differences_are_seen_alike_from_both_sides(pair):
    one, two = pair
    there, back = dict(differences(one, two)), dict(differences(two, one))
    assert there == {axis: -relation for axis, relation in back.items()}
    for a, b in itertools.product(pair, repeat=2):
        assert a is not b or not differences(a, b)


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_a_text(reason):
    text = str(LeftOut(file="a.fits", reason=reason, preferred=["b.fits"], differs=["times"], detail="closely"))
    assert text.startswith("a.fits")
    assert all(word in text for word in ("closely", "times", "b.fits"))


@pytest.mark.parametrize(
    ("image", "other", "pairs"),
    [
        ({"EXPOSURE": 9000.0}, {"EXPOSURE": 9000.5}, True),
        ({"EXPOSURE": 9000.0}, {"EXPOSURE": 8900.0}, False),
        ({"EXPOSURE": 9000.0, "ONTIME01": 5000.0}, {"EXPOSURE": 9000.0, "ONTIME01": 9000.0}, False),
        ({"EXPOSURE": 9000.0, "ONTIME01": 5000.0}, {"EXPOSURE": 9000.0}, True),
        ({"EXPOSURE": 9000.0}, {}, True),
        ({"EXPOSURE": 0.0}, {"EXPOSURE": 9000.0}, False),
    ],
)
@pytest.mark.parametrize("hi_ev", [1999, 2000])  # PI < 2000 goes with a map of 0.5-2 keV
def test_a_map_of_other_times_than_its_image_is_left_out(image, other, pairs, hi_ev):
    files = (
        file("i", "image", on_times=image.items(), band=Band(lo_ev=500, hi_ev=hi_ev)),
        file("m", "exposure_map", on_times=other.items()),
    )
    assert outcome(*files) == ((["i", "m"], {}) if pairs else (["i"], {"m": ("other_times", ("i",), ("times",))}))


@pytest.mark.parametrize("of_map", [(), ("TIME < 9",), ("TIME < 8",)])
def test_a_range_of_time_is_that_of_the_map_too(of_map):
    cut, found = file("i", "image", time_ranges=["TIME < 9"]), file("m", "exposure_map", time_ranges=of_map)
    assert ("m" in outcome(cut, found)[0]) == (of_map == ("TIME < 9",))
