"""The usual part of the good time that a camera recorded."""

import pytest

from xphotfn.science.live_fraction import usual_live_fraction


@pytest.mark.parametrize(
    ("instrument", "submode", "value", "says"),
    [
        ("mos1", "PrimeFullWindow", 0.991, "99.1 % (98.8 to 99.3 % on 9 real maps)"),
        ("mos2", "PrimePartialW3", 0.991, "99.1 %"),
        ("pn", "PrimeFullWindow", 0.949, "94.9 % (as on the one real map of this mode)"),
        ("pn", "", 0.949, "94.9 %"),
        ("pn", "PrimeFullWindowExtended", 0.875, "85.0 to 88.5 %"),
        ("pn", "PrimeSmallWindow", 0.997, "99.7 %"),
        ("pn", "PrimeLargeWindow", 1.0, "nothing is known of this mode"),
    ],
)
def test_what_is_usual(instrument, submode, value, says):
    found = usual_live_fraction(instrument, submode)
    assert found.value == value
    assert found.low <= found.value <= found.high
    assert says in str(found)
