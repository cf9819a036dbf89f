"""Positions as people write them: every form of a place is the same place, and what is ambiguous is refused."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, strategies as st

import xphotfn as xp
from xphotfn.testing.examples import example_field, example_rate_map
from xphotfn.units import dec_deg, position_deg, positions_deg, ra_deg

SKY = st.tuples(st.floats(0.01, 359.99), st.floats(-89.9, 89.9))
LAST_DIGIT = 1e-9  # of texts with eight decimals of a second


def texts(coordinate):
    """Return a position as astropy writes it: with colons, blanks, letters, and in degrees."""
    ra, dec = coordinate.ra, coordinate.dec
    for sep in (":", " ", "hms"):
        letters = "dms" if sep == "hms" else sep
        yield (
            ra.to_string(u.hour, sep=sep, precision=8),
            dec.to_string(u.deg, sep=letters, precision=8, alwayssign=True),
        )
    yield repr(float(ra.deg)), repr(float(dec.deg))
    yield ra.to_string(u.deg, precision=8), dec.to_string(u.deg, precision=8)


@given(SKY)
def test_every_form_is_the_same_place(place):
    coordinate = SkyCoord(*place, unit="deg")
    for ra, dec in texts(coordinate):
        assert ra_deg(ra) % 360 == pytest.approx(place[0], abs=LAST_DIGIT)
        assert dec_deg(dec) == pytest.approx(place[1], abs=LAST_DIGIT)
        for one in (f"{ra} {dec}", f"{ra}, {dec}", (ra, dec)):
            got = position_deg(one)
            assert (got[0] % 360, got[1]) == pytest.approx(place, abs=LAST_DIGIT)
            assert positions_deg([one, one])[1] == pytest.approx(got, abs=1e-12)
    assert position_deg(coordinate.galactic) == pytest.approx(place, abs=1e-9)
    assert positions_deg(coordinate.galactic).tolist() == pytest.approx(place, abs=1e-9)


@given(st.floats(0.001, 0.999))
def test_the_sign_of_minus_nought_degrees_counts(fraction):
    seconds = 3600 * fraction
    for sign in ("-", "\u2212"):
        text = f"{sign}00:{int(seconds // 60):02d}:{seconds % 60:.9f}"
        if not text.endswith("60.000000000"):
            assert dec_deg(text) == pytest.approx(-fraction, abs=LAST_DIGIT)


@pytest.mark.parametrize("text", ["149:35:31", "24:00:00", "9:58", "9 58", "", "noon", "09:75:22", "10 kpc", "149,59"])
def test_what_could_be_hours_or_degrees_or_is_neither_is_refused(text):
    with pytest.raises(xp.UnitMismatch, match="RA"):
        ra_deg(text)


@pytest.mark.parametrize("text", ["9", "1 2 3", "1, 2, 3", "", "a b"])
def test_a_text_that_is_no_pair_is_no_position(text):
    with pytest.raises(xp.UnitMismatch):
        position_deg(text)


def test_the_verbs_take_positions_in_every_form():
    rate_map, field = example_rate_map(), example_field()
    sky = SkyCoord(*field.centre)
    text = sky.to_string("hmsdms", precision=6, sep=":")
    there = [field.centre, sky, sky.fk4, text, tuple(text.split())]
    radius = 30 * u.arcsec
    counts = [xp.photometry(rate_map, at, radius)["counts"][0] for at in there]
    masks = [xp.custom_mask(rate_map, field, outer=radius, centre=at) for at in there]
    pixels = [xp.coord_conv(rate_map, at, "pix").value.tolist() for at in there[:4]]
    assert len(set(counts)) == 1
    assert all(np.array_equal(mask, masks[0]) for mask in masks)
    assert all(pixel == pixels[0] for pixel in pixels)
    assert {xp.with_centre(field, at).centre[0].round(6) for at in there} == {field.centre[0].round(6)}
    two = xp.photometry(rate_map, [text, sky], radius)
    assert two["counts"].value.tolist() == [counts[0].value] * 2
    star = xp.point_source("s", *text.split(), radius=radius)
    assert star.position.value == pytest.approx(field.centre.value, abs=1e-6)
