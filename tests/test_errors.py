"""Errors: one root, the fitting builtin, and all fields kept on the way through pickle, processes and clusters."""

import copy
import importlib
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import given, strategies as st

from xphotfn import errors

ARGV = ("evselect", "table=evts.fits", "expression=(PI in [500:2000])")

EXAMPLES = (
    (errors.XphotfnError("something"), Exception),
    (errors.InvalidRecord("Region.x must be finite, got nan"), ValueError),
    (errors.UnitMismatch("a radius needs a unit"), ValueError),
    (errors.ShapeMismatch("shapes (2, 3) and (3, 2)"), ValueError),
    (errors.OffImage("1 of 2 positions lie off the image"), ValueError),
    (errors.NoData("the mask leaves no pixel"), ValueError),
    (errors.PlanError("a mosaic needs at least one image"), ValueError),
    (errors.ProductMissing("no map of rgs1; there are pn, mos1"), LookupError),
    (errors.InvalidFile("/data/a.fits", "is truncated: fetch it again"), ValueError),
    (errors.InvalidFile("/data/a.reg", "has a circle without radius", 7), ValueError),
    (errors.InvalidFile("/data/a.png", "exists already", remedy=errors.Remedy("say so", "say --so")), ValueError),
    (errors.PlanError("two files differ", remedy=errors.Remedy("name one with prefer=", "with --prefer")), ValueError),
    (errors.SasMissing("no SAS", (("SAS_DIR is not set", "initialise SAS"), ("HEADAS", "set it"))), Exception),
    (errors.ExpressionError("unknown operator", "PI <> 5", 3), ValueError),
    (errors.CommandFailed(ARGV, "left no image"), RuntimeError),
    (errors.CommandFailed(ARGV, "was stopped", -9, "** evselect: error (XRangeVal)\n"), RuntimeError),
)

each_error = pytest.mark.parametrize(
    ("error", "builtin"), EXAMPLES, ids=lambda value: value.__name__ if isinstance(value, type) else str(value)[:20]
)


def same(one, other):
    return (
        type(one) is type(other)
        and one.args == other.args
        and str(one) == str(other)
        and repr(one) == repr(other)
        and vars(one) == vars(other)
    )


def raise_from_another(error):
    raise error from KeyError("cause")


def test_every_error_has_an_example():
    classes = {vars(errors)[name] for name in errors.__all__} - {errors.Remedy}
    assert classes == {type(error) for error, _ in EXAMPLES}


@pytest.mark.parametrize(
    "kind", [errors.XphotfnError, errors.PlanError, lambda text, **how: errors.InvalidFile("a.fits", text, 3, **how)]
)
@given(st.text(), st.text(), st.text())
def test_what_to_do_is_said_in_words_of_python_or_of_the_command_line(kind, text, python, shell):
    plain, error = kind(text), kind(text, remedy=errors.Remedy(python, shell))
    assert plain.told("python") == plain.told("shell") == str(plain)
    assert str(error) == error.told("python") == f"{plain}: {python}"
    assert error.told("shell") == f"{plain}: {shell}"
    assert pickle.loads(pickle.dumps(error)).remedy == (python, shell)
    assert pickle.loads(pickle.dumps(kind(text, sas_name="NoGTI"))).sas_name == "NoGTI"


@each_error
def test_is_ours_and_the_fitting_builtin(error, builtin):
    assert isinstance(error, errors.XphotfnError)
    assert isinstance(error, builtin)
    with pytest.raises(builtin):
        raise error


@each_error
def test_fields_live_in_dict(error, builtin):
    """Slotted fields would be lost once distributed has put tblib's pickler in place."""
    del builtin
    assert not any("__slots__" in vars(cls) and vars(cls)["__slots__"] for cls in type(error).__mro__[:-3])
    own = {name: value for name, value in vars(error).items() if name not in ("remedy", "sas_name")}
    assert len(error.args) >= len(own)
    for value in own.values():
        assert value in error.args


@each_error
@pytest.mark.parametrize("with_distributed", [False, True])
def test_survives_pickle_and_copy(error, builtin, with_distributed):
    del builtin
    if with_distributed:
        pytest.importorskip("distributed")
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert same(pickle.loads(pickle.dumps(error, protocol)), error)
    assert same(copy.copy(error), error)
    assert same(copy.deepcopy(error), error)


@each_error
def test_survives_pickle_with_its_traceback(error, builtin):
    """Tracebacks travel once tblib is installed; raised and chained errors must still come out whole."""
    importlib.import_module("distributed")
    with pytest.raises(builtin) as caught:
        raise_from_another(error)
    received = pickle.loads(pickle.dumps(caught.value))
    error.__traceback__ = error.__cause__ = error.__context__ = None
    assert same(received, error)


def test_survives_a_process_pool():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(exec, "raise error", {"error": error}) for error, _ in EXAMPLES]
        for (error, _), future in zip(EXAMPLES, futures, strict=True):
            assert same(future.exception(timeout=60), error)


def test_a_file_is_named_with_its_line():
    assert str(errors.InvalidFile("a.reg", "has no frame")) == "a.reg: has no frame"
    assert str(errors.InvalidFile("a.reg", "has no frame", 3)) == "a.reg, line 3: has no frame"


def test_a_command_is_named_with_its_status_and_last_lines():
    assert str(errors.CommandFailed(ARGV, "left no image")) == "evselect: left no image"
    assert str(errors.CommandFailed(ARGV, "failed", 1, " why \n")) == "evselect: failed (exit status 1)\nwhy"
    assert str(errors.CommandFailed((), "was empty", None, "\n")) == "command: was empty"


def pointed_at(error):
    """Return the character of the expression above the caret."""
    _, shown, caret = str(error).split("\n")
    return shown[caret.index("^") :][:1]


def test_an_expression_error_points_at_its_position():
    assert str(errors.ExpressionError("unknown operator", "PI <> 5", 3)) == "unknown operator\n  PI <> 5\n     ^"


@given(st.text("abc=<>&|() \n", min_size=1, max_size=300), st.data())
def test_an_expression_error_points_at_any_position(text, data):
    position = data.draw(st.integers(0, len(text) - 1))
    error = errors.ExpressionError("problem", text, position)
    assert pointed_at(error) == text[position].replace("\n", " ")
    assert max(len(line) for line in str(error).split("\n")) < 120


def test_an_expression_error_may_point_past_the_end():
    error = errors.ExpressionError("expected a value", "PI ==", 5)
    assert str(error).split("\n")[2].index("^") == 2 + 5
    assert pointed_at(error) == ""
