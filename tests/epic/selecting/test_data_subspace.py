"""The data subspace: reading, intersecting, naming and writing it, and what an expression says in it."""

import pytest
from hypothesis import given, strategies as st

from xphotfn.commands.dss import both, dss_cards, intersection, ranges_of_text, read_dss, select
from xphotfn.commands.selection import parse
from xphotfn.epic.selecting.data_subspace import dss_of

UNITS = {"PI": "CHAN", "TIME": "s"}
GOOD = ((0.0, 10.0), (20.0, 30.0))


def of(text):
    return dss_of(parse(text), UNITS, lambda _: GOOD)


def said(subspace):
    return [[f"{f.axis} {f.value}" for f in component] for component in subspace]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PI in [500:2000]", "PI 500:2000"),
        ("PI in (500:2000],3000:,:5", "PI (500:2000],3000:,:5"),
        ("PI == 5", "PI 5"),
        ("PI != 5", "PI :5),(5:"),
        ("PI > 5.5", "PI (5.5:"),
        ("5 <= PI", "PI 5:"),
        ("PI < -5", "PI :-5)"),
        ("PATTERN <= 12", "PATTERN :12"),
        ("PI > 150 || PI < -150", "PI (150:,:-150)"),
        ("(FLAG & 0x766ba000) == 0", "FLAG b000x00xx00x0x000x0xxxxxxxxxxxxx"),
        ("FLAG & 0x762aa000 == 0", "FLAG b000x00xxx0x0x0x0x0xxxxxxxxxxxxx"),
        ("FLAG & 0xcfa0000 == 0", "FLAG b00xx00000x0xxxxxxxxxxxxxxxxx"),
        ("FLAG & 0x10000 != 0", "FLAG b1xxxxxxxxxxxxxxxx"),
        ("(b110 & FLAG) == 2", "FLAG b01x"),
        ("gti(a.fits,TIME)", "TIME TABLE"),
    ],
)
def test_filters_as_sas_writes_them(text, expected):
    assert said(of(text)) == [[expected]]


@pytest.mark.parametrize(
    "text",
    ["true", "X > Y", "X + 1 > 3", "!(PI > 3)", "circle(1,2,A,X,Y)",
     "circle(1,2,3,X+1,Y)", "!(circle(1,2,3,X,Y) && PI > 3)", "PI > 3 || X > Y", "FLAG & 6 != 0",
     "FLAG & 6 == 9", "PI in [A:5]", "gti(a.fits,TIME+1)", "PI", "PI > 3 > 2", "FLAG + 6 == 0", "PI > 5 && PI < 3"],
)  # fmt: skip
def test_what_cannot_be_said_is_left_out(text):
    assert of(text) == ((),)


def test_ranges_of_one_column_are_intersected():
    assert said(of("PI >= 500 && PATTERN == 0 && PI in 100:2000,[3000:4000)")) == [
        ["PATTERN 0", "PI 500:2000,[3000:4000)"]
    ]


def lists(filters):
    """Return a header like that of a list with three CCDs."""
    header = {"DSTYP1": "CCDNR", "DSVAL1": "1", "2DSVAL1": "2", "3DSVAL1": "4"}
    for n, (axis, form, value) in enumerate(filters, start=2):
        header |= {f"DSTYP{n}": axis, f"DSVAL{n}": value}
        header |= {f"DSFORM{n}": form} if form else {}
        if value == "TABLE":
            header |= {f"DSREF{n}": ":STDGTI01", f"2DSREF{n}": ":STDGTI02", f"3DSREF{n}": ":STDGTI04"}
    return read_dss(header, lambda name: ((0.0, 25.0),) if name.startswith("STDGTI") else None)


def test_order_and_names_of_sas():
    """The rules that all real lists and images follow: MOS, then PN, then the image of a filtered list."""
    em, ep = "(FLAG & 0x766ba000) == 0", "(FLAG & 0xcfa0000) == 0"
    mos = lists([("TIME", "", "TABLE"), ("FLAG", "X", "b000x00xxx0x0x0x0x0xxxxxxxxxxxxx")])
    clean = select(mos, of(f"{em} && (PATTERN <= 12) && (FLAG .eq. 0) && GTI(a.fits,TIME)"))
    assert [f.axis for f in clean[0]] == ["CCDNR", "FLAG", "FLAG", "PATTERN", "FLAG", "TIME"]
    assert [component[-1].table for component in clean] == ["GTI00006", "GTI00106", "GTI00206"]
    assert clean[0][-1].intervals == ((0.0, 10.0), (20.0, 25.0))
    image = select(clean, of(f"{em} && (PATTERN <= 12) && (FLAG .eq. 0)&& PI in [500:2000]"))
    assert [f.axis for f in image[0]] == ["CCDNR", "FLAG", "FLAG", "TIME", "FLAG", "PI", "PATTERN", "FLAG"]
    assert image[1][3].table == "GTI00106"
    exod = select(mos, of(f"{em} && gti(a.fits,TIME) && (PATTERN<=12) && (PI in [500:10000])"))
    assert [f.axis for f in exod[0]] == ["CCDNR", "FLAG", "FLAG", "PATTERN", "PI", "TIME"]
    assert exod[2][-1].table == "GTI00204"
    pn = select(lists([("TIME", "", "TABLE")]), of(f"{ep} && PATTERN <= 4 && FLAG == 0 && gti(a.fits,TIME)"))
    assert pn[0][-1].table == "GTI00005"


def test_cards_hold_what_differs_only():
    cards = [(name, value) for name, value, _ in dss_cards(select(lists([("TIME", "", "TABLE")]), of("PI > 3")))]
    assert cards == [
        ("DSTYP1", "CCDNR"), ("DSTYP2", "TIME"), ("DSTYP3", "PI"), ("DSUNI3", "CHAN"),
        ("DSVAL1", "1"), ("DSVAL2", "TABLE"), ("DSREF2", ":STDGTI01"), ("DSVAL3", "(3:"),
        ("2DSVAL1", "2"), ("2DSREF2", ":STDGTI02"), ("3DSVAL1", "4"), ("3DSREF2", ":STDGTI04"),
    ]  # fmt: skip
    assert dss_cards(()) == []


def test_cards_read_back():
    subspace = select(lists([("TIME", "", "TABLE")]), of("FLAG & 0x5 == 0 && PI in (3:5],8"))
    header = {name: value for name, value, _ in dss_cards(subspace)}
    again = read_dss(header, lambda _: ((0.0, 25.0),))
    assert said(again) == said(subspace)
    assert [[f.table for f in c] for c in again] == [[f.table for f in c] for c in subspace]


def test_components_that_nothing_can_pass_are_left_out():
    assert said(select(lists([]), of("CCDNR in 2:3"))) == [["CCDNR 2"]]
    assert select(lists([]), of("CCDNR == 7")) == ()


def test_alternatives_multiply_components():
    found = select((), of("(CCDNR==1 && gti(a.fits,TIME)) || (CCDNR==2 && gti(b.fits,TIME) && PI > 3)"))
    assert said(found) == [["CCDNR 1", "TIME TABLE", "PI :"], ["CCDNR 2", "TIME TABLE", "PI (3:"]]
    assert [c[1].table for c in found] == ["GTI00001", "GTI00101"]
    some = select((), of("(CCDNR==1 && gti(a.fits,TIME)) || CCDNR==2 && FLAG & 1 == 0"))
    assert said(some) == [["CCDNR 1", "FLAG bx"], ["CCDNR 2", "FLAG b0"]]


def test_too_many_alternatives_are_not_written():
    many = " && ".join(f"(A{n} == 1 || B{n} == 1)" for n in range(12))
    old = lists([])
    assert len(select(old, of(many))) <= 999
    assert select(old, tuple(c for n in range(400) for c in of(f"PI == {n}"))) == old


def test_long_names_are_avoided():
    twelve = tuple(of(f"CCDNR == {n} && gti(a.fits,TIME)")[0] for n in range(12))
    wide = select(twelve, of(" && ".join(f"A{n} == 1" for n in range(7)) + " && FLAG & 1 == 0" * 3))
    assert len(wide[0]) == 12
    assert all(len(name) <= 8 for name, *_ in dss_cards(wide))
    assert {name for name, value, _ in dss_cards(wide) if value == "FLAG"} == {"DSTYP10"}


def test_pairs_are_found_once():
    old, new = of("FLAG & 1 == 0 && PI > 3 && A == 1")[0], of("A < 5 && FLAG & 1 == 0 && PI < 9")[0]
    found = both(old, new)
    assert [f"{f.axis} {f.value}" for f in found] == ["FLAG b0", "FLAG b0", "PI (3:9)", "A 1"]
    assert both(of("A == 1")[0], of("A == 2")[0]) is None


bounds = st.one_of(
    st.integers(-9, 9).map(str),
    st.tuples(st.sampled_from("[("), st.integers(-9, 9), st.integers(-9, 9), st.sampled_from("])")).map(
        lambda t: f"{t[0]}{min(t[1], t[2])}:{max(t[1], t[2]) + 1}{t[3]}"
    ),
    st.integers(-9, 9).map(lambda n: f":{n}"),
    st.integers(-9, 9).map(lambda n: f"({n}:"),
)
texts = st.lists(bounds, min_size=1, max_size=3).map(",".join)


def holds(text, value):
    return any(
        (r.lo is None or (value >= r.lo if r.lo_closed else value > r.lo))
        and (r.hi is None or (value <= r.hi if r.hi_closed else value < r.hi))
        for r in ranges_of_text(text)
    )


@given(texts, texts)
def test_intersection_of_ranges_value_by_value(one, other):
    found = both(of(f"PI in {one}")[0], of(f"PI in {other}")[0])
    for value in (n / 2 for n in range(-24, 25)):
        expected = holds(one, value) and holds(other, value)
        assert (found is not None and holds(found[0].value, value)) == expected


pieces = st.lists(st.integers(0, 40), min_size=2, max_size=10, unique=True).map(
    lambda v: tuple(zip(sorted(v)[::2], sorted(v)[1::2], strict=False))
)


@given(pieces, pieces)
def test_intersection_of_intervals_moment_by_moment(one, other):
    found = intersection(one, other)
    assert found == intersection(other, one)
    for t in (n + 0.5 for n in range(41)):
        inside = [any(a < t < b for a, b in intervals) for intervals in (one, other, found)]
        assert inside[2] == (inside[0] and inside[1])
