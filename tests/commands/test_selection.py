"""The selection language: what it reads, how it prints, and that nothing but ExpressionError comes out."""

import math
import pickle
import time

import pytest
from hypothesis import given, settings, strategies as st

from xphotfn.commands.selection import (
    Call,
    Chain,
    Column,
    Exactly,
    GtiFilter,
    Integer,
    MaskFilter,
    Membership,
    Range,
    Real,
    RegionFilter,
    Symbol,
    Unary,
    columns,
    expand_macros,
    file_specs,
    locate,
    named_files,
    parse,
    parts_of,
    to_text,
    walk,
    with_file_specs,
    with_region_columns,
)
from xphotfn.errors import ExpressionError, InvalidRecord
from xphotfn.testing import strategies as xst

A, B = Column(name="A"), Column(name="B")


def integer(value, base=10):
    return Integer(value=value, base=base)


# What is read, and the form in which it prints.
PRINTED = [
    # operators in both spellings, any case
    ("PI.eq.5", "PI == 5"),
    ("PI == 5", "PI == 5"),
    ("PI.NE.5", "PI != 5"),
    ("PI .lt. 5 .AND. A .Ge. 2", "PI < 5 && A >= 2"),
    ("A.le.1.or.A.gt.2", "A <= 1 || A > 2"),
    (".not.(A==1)", "!(A == 1)"),
    ("!A", "!A"),
    ("1.and.2", "1 && 2"),
    ("PI==1.and.A==2.5", "PI == 1 && A == 2.5"),
    ("PI==1..and.A==2", "PI == 1.0 && A == 2"),
    ("PI==1.e2.and.A==2", "PI == 100.0 && A == 2"),
    # numbers
    ("A == 1.2E-3", "A == 0.0012"),
    ("A == .111222", "A == 0.111222"),
    ("A == 1e2", "A == 100.0"),
    ("A == b0110", "A == b110"),
    ("A == o17", "A == o17"),
    ("A == h1f", "A == 0x1f"),
    ("A == 0x1F", "A == 0x1f"),
    ("A == 0XffFF", "A == 0xffff"),
    ("A == 5.", "A == 5.0"),
    ("true", "true"),
    ("FALSE || True", "false || true"),
    ("A == -23", "A == -23"),
    ("A == +23", "A == 23"),
    # names: case matters for columns only; b2 and o9 are names, b1 and o7 are constants
    ("pi == PI", "pi == PI"),
    ("b2 == o9", "b2 == o9"),
    ("SQRT(A) > Abs(B)", "sqrt(A) > abs(B)"),
    ("#pi * #Rad == #ROW", "#PI * #RAD == #ROW"),
    # precedence
    ("FLAG & b110 != 0", "(FLAG & b110) != 0"),
    ("FLAG&0xcfa0000==0", "(FLAG & 0xcfa0000) == 0"),
    ("(FLAG & 0x766ba000) == 0", "(FLAG & 0x766ba000) == 0"),
    ("A + B * 2 > 3", "A + B * 2 > 3"),
    ("(A + B) * 2", "(A + B) * 2"),
    ("A - B - 2", "A - B - 2"),
    ("A - (B - 2)", "A - (B - 2)"),
    ("A / B * 2 % 3", "A / B * 2 % 3"),
    ("-A ** 2", "-(A**2)"),
    ("(-A) ** 2", "(-A)**2"),
    ("2 ** -A", "2**(-A)"),
    ("2 ** 3 ** 2", "2**(3**2)"),
    ("-A * B", "-A * B"),
    ("A | B ^ 1 & 2 << 3 + 4", "A | (B ^ (1 & (2 << (3 + 4))))"),
    ("A < B == 1", "(A < B) == 1"),
    ("A == B && A != 1 || B", "(A == B && A != 1) || B"),
    ("A**2 + B**2 <= 100", "A**2 + B**2 <= 100"),
    ("PI in X in 3", "(PI in [X]) in [3]"),
    ("A || B && A", "A || (B && A)"),
    ("!A == B", "(!A) == B"),
    ("!A && B", "!A && B"),
    ("~A & 3", "~A & 3"),
    ("A && (B && A)", "A && (B && A)"),
    # in
    ("PI in 5", "PI in [5]"),
    ("PI in [5]", "PI in [5]"),
    ("PI IN 5:", "PI in [5:]"),
    ("PI in [5:]", "PI in [5:]"),
    ("PI in [5:)", "PI in [5:]"),
    ("PI in [5:", "PI in [5:]"),
    ("PI in (5:", "PI in (5:]"),
    ("PI in (5:]", "PI in (5:]"),
    ("PI in (5:)", "PI in (5:]"),
    ("PI in :5", "PI in [:5]"),
    ("PI in [:5]", "PI in [:5]"),
    ("PI in (:5]", "PI in [:5]"),
    ("PI in :5)", "PI in [:5)"),
    ("PI in [:5)", "PI in [:5)"),
    ("(PI in :5)", "PI in [:5]"),
    ("((PI in :5))", "PI in [:5]"),
    ("PI in 1:5", "PI in [1:5]"),
    ("PI in [1:5]", "PI in [1:5]"),
    ("PI in (1:5)", "PI in (1:5)"),
    ("PI in (1:5]", "PI in (1:5]"),
    ("PI in [1:5)", "PI in [1:5)"),
    ("PI in :", "PI in (:)"),
    ("PI in (:)", "PI in (:)"),
    ("PI in -10:-5", "PI in [-10:-5]"),
    ("PI in A-1:A+1", "PI in [A - 1:A + 1]"),
    ("PI in (A+1)*2:7", "PI in [(A + 1) * 2:7]"),
    ("PI in (5)", "PI in [5]"),
    (
        "PHA in [0:10],(23:40),99,200: && TIME in gti(gti.fits[GTI0])",
        "PHA in [0:10],(23:40),[99],[200:] && gti(gti.fits[GTI0],TIME)",
    ),
    ("3.1415 in :-10,[1:3),3.1,[3.14:3.19),[4:]", "3.1415 in [:-10],[1:3),[3.1],[3.14:3.19),[4:]"),
    ("A + 1 in 3", "A + 1 in [3]"),
    ("FLAG & 3 in 1", "(FLAG & 3) in [1]"),
    ("A in 1 == B in 2", "(A in [1]) == (B in [2])"),
    # regions and files
    ("(RAWX,RAWY) in circle(100,120,10)", "circle(100,120,10,RAWX,RAWY)"),
    ("!(X,Y) IN CIRCLE(1,2,3)", "!circle(1,2,3,X,Y)"),
    (
        "(X,Y) in ELLIPSE(25855.4,24858.6,1400,1370,-44.7579)",
        "ellipse(25855.4,24858.6,1400,1370,-44.7579,X,Y)",
    ),
    ("pie(1,2,3,4,X,Y) || annulus(1,2,3,4,X,Y)", "sector(1,2,3,4,X,Y) || ring(1,2,3,4,X,Y)"),
    ("elliptring(1,2,3,4,5,6,7,8,X,Y)", "elliptannulus(1,2,3,4,5,6,7,8,X,Y)"),
    ("diamond(1,2,3,4,5,X,Y)", "rhombus(1,2,3,4,5,X,Y)"),
    ("(X,Y) in polygon(0,0,4,0,4,4)", "polygon(0,0,4,0,4,4,X,Y)"),
    ("GTI( mos1_exp1_gti.fits , TIME )", "gti(mos1_exp1_gti.fits,TIME)"),
    ("gti(pn.fits+STDGTI,TIME-10)", "gti(pn.fits+STDGTI,TIME - 10)"),
    ("gti(:2,TIME)", "gti(:2,TIME)"),
    ("mask(m.fits:MASK,1,-2,X,Y)", "mask(m.fits:MASK,1,-2,X,Y)"),
    ("(X,Y) in mask(m.fits,0,0)", "mask(m.fits,0,0,X,Y)"),
    ("(X,Y) in region(r.fits)", "region(r.fits,X,Y)"),
    ("ifthenelse(A>1,(B in [1:2],[3]),false)", "ifthenelse(A > 1,(B in [1:2],[3]),false)"),
    ("ifthenelse(A,B && (A in 1),-(B in 2))", "ifthenelse(A,B && (A in [1]),-(B in [2]))"),
    ("ifthenelse((X,Y) in circle(1,2,3), A, B)", "ifthenelse(circle(1,2,3,X,Y),A,B)"),
    ("near(PI,500,0.1) && arctan2(A,B) > #DEG", "near(PI,500,0.1) && atan2(A,B) > #DEG"),
    ("min(A,B,3)>pow(2,3)", "min(A,B,3) > pow(2,3)"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTED)
def test_text_is_read_and_printed(text, printed):
    assert to_text(parse(text)) == printed
    assert parse(printed) == parse(text)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("A", A),
        ("7", integer(7)),
        ("7.0", Real(value=7.0)),
        ("0x10", integer(16, 16)),
        ("-7", Unary(operator="-", operand=integer(7))),
        ("A - B + 7", Chain(first=A, rest=(("-", B), ("+", integer(7))))),
        ("A in 3:", Membership(value=A, items=(Range(lo=integer(3)),))),
        ("A in :3)", Membership(value=A, items=(Range(hi=integer(3), hi_closed=False),))),
        ("A in 3", Membership(value=A, items=(Exactly(value=integer(3)),))),
        ("gti(a.fits,A)", GtiFilter(spec="a.fits", time=A)),
        ("(A,B) in region(r.fits)", RegionFilter(spec="r.fits", x=A, y=B)),
        ("region(r.fits)", RegionFilter(spec="r.fits")),
        ("mask(m,1,2,A,B)", MaskFilter(spec="m", x_offset=integer(1), y_offset=integer(2), x=A, y=B)),
        ("#XMMEA_EM", Symbol(name="XMMEA_EM")),
        ("sin(A)", Call(function="sin", arguments=(A,))),
    ],
)
def test_tree(text, tree):
    assert parse(text) == tree
    assert hash(parse(text)) == hash(tree)
    assert pickle.loads(pickle.dumps(tree)) == tree


def test_integers_and_reals_differ():
    assert parse("7") != parse("7.0")
    assert parse("16") != parse("0x10")


@pytest.mark.parametrize(
    ("text", "radians"),
    [
        ("45d23m59.9s", math.radians(45 + 23 / 60 + 59.9 / 3600)),
        ("23h59m24.1s", math.radians(15 * (23 + 59 / 60 + 24.1 / 3600))),
        ("0d0m1s", math.radians(1 / 3600)),
    ],
)
def test_angles_are_radians(text, radians):
    assert parse(text) == Real(value=radians)
    assert parse(f"-{text}") == Unary(operator="-", operand=Real(value=radians))


# Text, the position that the error must point at, and a word of its message.
BAD = [
    ("", 0, "too early"),
    ("   ", 3, "too early"),
    ("PI >", 4, "too early"),
    ("PI > 500 &&", 11, "too early"),
    ("PI = 500", 3, "=="),
    ("PI > 500)", 8, "unexpected"),
    ("(PI > 500", 9, "expected"),
    ("PI > > 500", 5, "unexpected"),
    ("PI 500", 3, "unexpected"),
    ("circl(1,2,3,X,Y)", 0, "circle"),
    ("5 > nosuch(3)", 4, "nosuch"),
    ("(X,Y) in circl(1,2,3)", 9, "circle"),
    ("(X,Y) in sin(1)", 9, "region function"),
    ("(X,Y)", 5, "in"),
    ("(X,Y) > 3", 6, "in"),
    ("circle(1,2,X,Y)", 0, "5 arguments"),
    ("A && circle(1,2,3,4,X,Y)", 5, "5 arguments"),
    ("polygon(1,2,3,4,X,Y)", 0, "corner"),
    ("(X,Y) in polygon(1,2,3,4,5,6,7)", 9, "corner"),
    ("sin()", 0, "1 arguments"),
    ("sin(1,2)", 0, "1 arguments"),
    ("ifthenelse(PI in 1,2,3)", 0, "brackets around an in list"),
    ("PI in", 5, "too early"),
    ("PI in [1:5", 10, "']'"),
    ("PI in [1", 8, "']'"),
    ("PI in [1,2]", 8, "']'"),
    ("PI in (1,2)", 8, "':'"),
    ("PI in 1:5)", 9, "unexpected"),
    ("gti(,TIME)", 4, "file"),
    ("gti()", 4, "file"),
    ("gti(a.fits)", 0, "gti(file,TIME)"),
    ("TIME in gti", 11, "'('"),
    ("mask(m.fits,X,Y)", 0, "mask(file,dx,dy,X,Y)"),
    ("region(r.fits,A)", 0, "region(file,X,Y) or region(file)"),
    ("5abc", 1, "runs into"),
    ("0x", 1, "runs into"),
    ("12d", 2, "runs into"),
    ("1e999", 0, "too large"),
    ("99999999999999999999", 0, "too large"),
    ("0x1ffffffff", 0, "32 bits"),
    ("b" + 33 * "1", 0, "32 bits"),
    ("1" * 500, 0, "too long"),
    ("PI > 'a'", 5, "quotes"),
    ("PI > $", 5, "unexpected character"),
    ("PI > \u0663", 5, "unexpected character"),
    ("PI .foo. 3", 3, "expected a number"),
    ("#", 0, "unexpected character"),
    ("in", 0, "unexpected"),
    ("(" * 200 + "A" + ")" * 200, 84, "nested"),
    ("-" * 200 + "A", 201, "nested"),
    ("2**" * 200 + "2", 601, "nested"),
    ("abs(" * 200 + "A" + ")" * 200, 339, "nested"),
]


@pytest.mark.parametrize(("text", "position", "word"), BAD)
def test_bad_text_is_refused_at_its_place(text, position, word):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.position == position
    assert caught.value.text == text
    assert word in caught.value.problem


def test_long_expressions_are_read_in_linear_time():
    one = " && ".join(f"PI != {n}" for n in range(20_000))
    start = time.perf_counter()
    tree = parse(one)
    assert time.perf_counter() - start < 20
    assert to_text(tree) == one
    assert len(parts_of(tree, "&&")) == 20_000
    many = "PI in " + ",".join(f"[{n}:{n + 1})" for n in range(0, 20_000, 2))
    assert to_text(parse(many)) == many


def test_columns_and_files():
    tree = parse("PI in [A:5] && (X,Y) in mask(m.fits,0,0) && gti(g.fits,TIME) && !gti(g.fits,TIME) && PI > 3")
    assert columns(tree) == ("A", "PI", "TIME", "X", "Y")
    assert file_specs(to_text(tree)) == ("m.fits", "g.fits")
    assert columns(parse("true")) == ()
    assert file_specs("true") == ()


def test_locate_points_into_the_printed_text():
    tree = parse("PI>500 && FLAG&3==0")
    for node in walk(tree):
        text, position = locate(tree, node)
        assert text == to_text(tree)
        assert text[position:].lstrip("(").startswith(to_text(node).lstrip("("))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Column(name="in"),
        lambda: Column(name="b101"),
        lambda: Column(name="A-B"),
        lambda: Column(name="É"),
        lambda: Real(value=-1.0),
        lambda: Real(value=-0.0),
        lambda: Real(value=math.inf),
        lambda: Real(value=math.nan),
        lambda: Integer(value=-1),
        lambda: Integer(value=2**63),
        lambda: Integer(value=2**32, base=16),
        lambda: Integer(value=1, base=7),
        lambda: Symbol(name="low"),
        lambda: Unary(operator="+", operand=A),
        lambda: Chain(first=A, rest=()),
        lambda: Chain(first=A, rest=(("+", A), ("*", B))),
        lambda: Chain(first=A, rest=(("**", A), ("**", B))),
        lambda: Chain(first=A, rest=(("in", A),)),
        lambda: Call(function="nosuch", arguments=(A,)),
        lambda: Call(function="circle", arguments=(A,)),
        lambda: Membership(value=A, items=()),
        lambda: Range(lo_closed=False),
        lambda: GtiFilter(spec="a,b", time=A),
        lambda: GtiFilter(spec="", time=A),
        lambda: GtiFilter(spec=" a", time=A),
    ],
)
def test_nodes_that_cannot_be_written_are_refused(build):
    with pytest.raises(InvalidRecord):
        build()


# Macros


def test_macros_expand_as_sas_writes_them():
    header = {"XMMEA_EM": "(FLAG & 0x766ba000) == 0", "INSTRUME": "EMOS1"}
    text = "#XMMEA_EM && (PATTERN <= 12) && (FLAG .eq. 0)&& PI in [500:2000]"
    assert expand_macros(text, header) == (
        "(FLAG & 0x766ba000) == 0 && (PATTERN <= 12) && (FLAG .eq. 0)&& PI in [500:2000]"
    )


@pytest.mark.parametrize(
    ("text", "header", "expanded"),
    [
        ("#DISTSEL", {"DISTSEL": "#DIST <= 128", "DIST": "sqrt(#SQ)", "SQ": "(RAWX-1)**2"}, "sqrt((RAWX-1)**2) <= 128"),
        ("#XMMEA_EP", {"INSTRUME": "EPN"}, "(FLAG & 0xcfa0000) == 0"),
        ("#xmmea_em", {"INSTRUME": "EMOS2"}, "(FLAG & 0x766ba000) == 0"),
        ("#XMMEA_EP", {"INSTRUME": "EPN", "XMMEA_EP": " FLAG==0 "}, "FLAG==0"),
        ("PI > #LOW", {"LOW": 500}, "PI > 500"),
        ("PI > #LOW || #OK", {"LOW": 0.5, "OK": True}, "PI > 0.5 || TRUE"),
        ("#PI*#ROW+#E*#RAD+#DEG+#ARCSEC+#ARCMIN", {"PI": "no"}, "#PI*#ROW+#E*#RAD+#DEG+#ARCSEC+#ARCMIN"),
        ("PI > 5", {}, "PI > 5"),
    ],
)
def test_macros(text, header, expanded):
    assert expand_macros(text, header) == expanded


@pytest.mark.parametrize(
    ("text", "header", "position", "word"),
    [
        ("PI > 5 && #NONE", {}, 10, "NONE"),
        ("#XMMEA_EP", {"INSTRUME": "EMOS1"}, 0, "EMOS1"),
        ("#A", {"A": "#B", "B": "#A"}, 0, "#A -> #B -> #A"),
        ("#A", {"A": "#A"}, 0, "itself"),
        ("X>#A", {"A": "#B", "B": "#MISSING"}, 2, "#MISSING"),
        ("#N0", {f"N{n}": f"#N{n + 1}" for n in range(50)}, 0, "deep"),
        ("#N0", {f"N{n}": f"#N{n + 1} #N{n + 1}" for n in range(18)} | {"N18": "x"}, 0, "grows"),
    ],
)
def test_bad_macros(text, header, position, word):
    with pytest.raises(ExpressionError) as caught:
        expand_macros(text, header)
    assert caught.value.position == position
    assert word in caught.value.problem


# Laws


@settings(max_examples=100, deadline=None)
@given(xst.expressions())
def test_printed_trees_read_back(tree):
    assert parse(to_text(tree)) == tree


WORDS = (
    "PI X Y in TRUE false gti( mask( region( circle( polygon( ifthenelse( sin( near( ( ) [ ] : , ** * / % + - << >> "
    "& ^ | < <= > >= == != && || ! ~ .and. .or. .not. .eq. . 5 0x1f b01 h 1.5 1e3 1. #PI #ROW # a.fits + = ' \" $ \n "
    "45d23m59.9s 1e999 0x \u00e9 \u0663 \u212a"
)
words = st.sampled_from(WORDS.split(" "))
texts = st.one_of(
    st.text(max_size=60), st.lists(words, max_size=25).map(" ".join), st.lists(words, max_size=25).map("".join)
)


def refusal(function, *arguments):
    """Return the ExpressionError that a call raises, or None; anything else goes through."""
    try:
        function(*arguments)
    except ExpressionError as error:
        return error
    return None


@settings(max_examples=100, deadline=None)
@given(texts)
def test_any_text_is_read_or_refused_with_its_place(text):
    error = refusal(parse, text)
    if error is None:
        assert parse(to_text(parse(text))) == parse(text)
    else:
        assert 0 <= error.position <= len(text)
        assert str(error)


@settings(max_examples=100, deadline=None)
@given(texts, st.dictionaries(st.sampled_from(["A", "B", "XMMEA_EM"]), texts))
def test_any_macro_expands_or_is_refused(text, header):
    error = refusal(expand_macros, text + " #A && #B", header)
    assert error is None or 0 <= error.position <= len(error.text)


def test_files_by_the_tree_not_by_the_eye():
    """Signs in names, macros, blocks, quotes, the table itself; what merely looks like a file filter is none."""
    text = "gti(my+gti.fits,TIME) && region( 'two words.fits' ) && #XMMEA_EM && mask(m.fits[2],0,0,X,Y) && gti(:S,TIME)"
    assert file_specs(text) == ("my+gti.fits", "two words.fits", "m.fits[2]", ":S")
    assert named_files(text) == ("my+gti.fits", "two words.fits", "m.fits")
    new = with_file_specs(text, lambda spec: spec.replace("my+", "your-"))
    assert new == text.replace("my+", "your-").replace("'", "")
    assert named_files("nearly_gti > 3") == ()


@given(xst.expressions())
def test_renaming_files_changes_nothing_else(tree):
    text = to_text(tree)
    assert with_file_specs(text, lambda spec: spec) == text
    renamed = with_file_specs(text, lambda _: "a.fits:B")
    assert set(file_specs(renamed)) <= {"a.fits:B"}
    assert len(file_specs(text)) >= len(file_specs(renamed))
    filled = with_region_columns(tree, lambda _: ("U", "V"))
    assert set(columns(filled)) - set(columns(tree)) <= {"U", "V"}
    assert with_region_columns(filled, lambda _: ("A", "B")) == filled
