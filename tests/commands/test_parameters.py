"""The tables of parameters: complete commands, switches, and what does not fit a table."""

import pickle

import pytest
from hypothesis import given, strategies as st

from xphotfn.commands import Command, Parameter, checked, parameters_of, resolved
from xphotfn.commands.parameters import TASKS
from xphotfn.errors import InvalidRecord, XphotfnError


def test_children_switch_on_their_parents_and_explicit_values_win():
    image = resolved(Command(task="evselect", parameters=(("table", "e.fits"), ("ximagemin", "5"))))
    assert [image.parameter(name) for name in ("withxranges", "withimageset", "withyranges")] == ["yes", "yes", "no"]
    kept = resolved(Command(task="evselect", parameters=(("table", "e.fits"), ("filteredset", "f.fits"))))
    assert [kept.parameter(name) for name in ("withfilteredset", "keepfilteroutput")] == ["yes", "yes"]
    off = resolved(
        Command(task="evselect", parameters=(("table", "e.fits"), ("imageset", "i.fits"), ("withimageset", "False")))
    )
    assert off.parameter("withimageset") == "no"
    index = resolved(Command(task="cifbuild", parameters=(("observationdate", "now"),)))
    assert index.parameter("withobservationdate") == "no"


@pytest.mark.parametrize(
    ("task", "parameters", "message"),
    [
        ("emldetect", (), "no table of parameters"),
        ("evselect", (("colour", "red"),), "no parameter 'colour'"),
        ("evselect", (("table", "a"), ("table", "b")), "given twice"),
        ("evselect", (("table", ""),), "of the kind file"),
        ("evselect", (("flagbit", "1.5"),), "of the kind int"),
        ("evselect", (("ximagemin", "left"),), "of the kind real"),
        ("evselect", (("destruct", "maybe"),), "of the kind bool"),
        ("evselect", (("filtertype", "gti"),), "one of expression, dss"),
    ],
)
def test_commands_are_compared_with_the_tables(task, parameters, message):
    with pytest.raises(InvalidRecord) as caught:
        checked(Command(task=task, parameters=parameters))
    assert message in str(caught.value)


def test_mandatory_parameters_are_asked_for():
    with pytest.raises(InvalidRecord, match="eexpmap needs attitudeset, eventset, expimageset, pimax"):
        resolved(Command(task="eexpmap", parameters=(("imageset", "i.fits"),)))
    assert resolved(Command(task="sasversion")).parameters == ()


@pytest.mark.parametrize("task", TASKS)
def test_tables_are_consistent(task):
    table = {parameter.name: parameter for parameter in parameters_of(task)}
    assert len(table) == len(parameters_of(task))
    for parameter in table.values():
        assert parameter.parent is None or table[parameter.parent].kind == "bool"
        assert not parameter.allowed or parameter.default in parameter.allowed
        if parameter.default is not None:
            checked(Command(task=task, parameters=((parameter.name, parameter.default),)))


@given(st.dictionaries(st.sampled_from([p.name for p in parameters_of("evselect")]), st.text(max_size=8), max_size=6))
def test_any_parameters_resolve_or_are_refused(parameters):
    try:
        complete = resolved(Command(task="evselect", parameters=parameters))
    except XphotfnError:
        return
    assert resolved(complete) == complete


def test_a_parameter_is_a_record():
    parameter = Parameter(name="a", kind="int")
    assert pickle.loads(pickle.dumps(parameter)) == parameter
    with pytest.raises(InvalidRecord, match="kind"):
        Parameter(name="a", kind="float")
    assert hash(parameter) == hash(Parameter(name="a", kind="int"))
