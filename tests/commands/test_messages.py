"""Messages of SAS tasks: lines from real logs, chatter of other programs, and texts of any kind."""

import pickle

import pytest
from hypothesis import given, strategies as st

from xphotfn.commands import SasMessage, parse_messages, sas_version, suppressed_warnings
from xphotfn.errors import InvalidRecord

LOG = """\
evselect:- Executing (routine): evselect table=e.fits -w 1 -V 2
evselect:- evselect (evselect-3.71.1)  [xmmsas_20211130_0941-20.0.0] started:  2024-04-24T19:20:01.000
** evselect: warning (NoWCS), No WCS information available for image column DETX.
evselect:- selected 101285 rows from the input table.
** evselect: warning (SummaryOfWarnings),
   warning NoWCS silently occurred 1 times
   warning ExpNoDss silently occurred 12 times
** espfilt: error (noCounts), All histo counts are zero! Check your FOV Lightcurve!
** eexpmap: error (NoGTI/noExposure), nothing
    to integrate over
"""


def test_a_real_log_is_read_in_order():
    found = parse_messages(LOG)
    assert [(m.task, m.severity, m.name) for m in found] == [
        ("evselect", "info", ""),
        ("evselect", "info", ""),
        ("evselect", "warning", "NoWCS"),
        ("evselect", "info", ""),
        ("evselect", "warning", "SummaryOfWarnings"),
        ("espfilt", "error", "noCounts"),
        ("eexpmap", "error", "NoGTI/noExposure"),
    ]
    assert found[2].text == "No WCS information available for image column DETX."
    assert found[3].text == "selected 101285 rows from the input table."
    assert found[-1].text == "nothing\nto integrate over"
    assert suppressed_warnings(found) == (("NoWCS", 1), ("ExpNoDss", 12))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sh: 1: evselect: not found",
        "warning: LC_ALL is not set",
        "error (XRangeVal), without its head",
        'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: error (a), b',
        "    indented from the start",
        "Info: ** evselect: error (inside), a line of another program",
        "** evselect: note (Name), text",
        "**evselect: error (Name), text",
        "** evselect error (Name), text",
    ],
)
def test_chatter_is_no_message(text):
    assert parse_messages(text) == ()


def test_lines_continue_only_the_message_before_them():
    found = parse_messages("** a: error (E), one\n\n  two\nchatter\n  three\n** b: warning (W), four\r\n\tfive\r\n")
    assert [m.text for m in found] == ["one", "four\nfive"]


def test_fatal_counts_as_an_error():
    (message,) = parse_messages("** evselect: fatal (Memory), none left")
    assert message.severity == "error"


def test_a_message_is_a_record():
    (message,) = parse_messages("** a: error (E), one")
    assert pickle.loads(pickle.dumps(message)) == message
    assert hash(message) == hash(SasMessage(task="a", severity="error", name="E", text="one"))
    with pytest.raises(InvalidRecord, match="severity"):
        SasMessage(task="a", severity="panic")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("sasversion:- sasversion (sasversion-1.3)  [xmmsas_20210526_1931-20.0.0] started:", "20.0.0"),
        ("sas (sas-1.0.0) [xmmsas_20190531_1155-18.0.0]", "18.0.0"),
        ("sas-1.0 [22.0.0-9173c7d25-20250127]", "22.0.0"),
        ("[xmmsas_20230412_1735-21.0.0]", "21.0.0"),
        ("[22.1.0-a8f2c2afa-20250304]", "22.1.0"),
        ("evselect (evselect-3.71.1)", None),
        ("bash: sas: command not found", None),
        ("", None),
    ],
)
def test_version_is_that_of_the_build(text, version):
    assert sas_version(text) == version


LINES = st.lists(
    st.one_of(st.sampled_from(LOG.splitlines()), st.sampled_from(("", "  more", "chatter")), st.text(max_size=20)),
    max_size=12,
)


@given(LINES)
def test_any_text_is_read(lines):
    text = "\n".join(lines)
    found = parse_messages(text)
    assert len(found) <= len(text.splitlines())
    assert parse_messages(text + "\n") == found
    assert all(isinstance(times, int) for _, times in suppressed_warnings(found))
    sas_version(text)


@given(
    st.sampled_from(("evselect", "eexpmap")),
    st.sampled_from(("error", "warning")),
    st.text("abcXYZ/", min_size=1, max_size=8),
    st.lists(st.text("abc .,:()", min_size=1, max_size=12).map(str.strip).filter(bool), min_size=1, max_size=4),
)
def test_a_written_message_is_read_back(task, severity, name, lines):
    printed = f"** {task}: {severity} ({name}), " + "\n   ".join(lines)
    assert parse_messages(printed) == (SasMessage(task=task, severity=severity, name=name, text="\n".join(lines)),)
