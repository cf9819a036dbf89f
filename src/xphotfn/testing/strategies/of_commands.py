"""Strategies for SAS commands."""

from hypothesis import strategies as st

from xphotfn.commands.builders import eexpmap, emosaic, evselect_image
from xphotfn.commands.command import Command
from xphotfn.commands.default_selection import selection_expression
from xphotfn.commands.preparation import atthkgen, cifbuild
from xphotfn.testing.strategies.of_basics import CAMERAS, WORD, names_ending
from xphotfn.testing.strategies.of_sky import bands

__all__ = ("commands",)


@st.composite
def _image_commands(draw: st.DrawFn) -> Command:
    band = draw(bands())
    expression = selection_expression(
        band.lo_ev, band.hi_ev, draw(st.sampled_from(CAMERAS)), filtered=draw(st.booleans())
    )
    return evselect_image(draw(names_ending("evts.fits")), draw(names_ending("img.fits")), expression=expression)


@st.composite
def _exposure_commands(draw: st.DrawFn) -> Command:
    band = draw(bands())
    image, attitude, events, exposure = (
        draw(names_ending(ending)) for ending in ("img.fits", "att.fits", "evts.fits", "expmap.fits")
    )
    return eexpmap(
        image, attitude, events, exposure, band=(band.lo_ev, band.hi_ev), withvignetting=draw(st.booleans())
    )  # fmt: skip


@st.composite
def _mosaic_commands(draw: st.DrawFn) -> Command:
    label, count = draw(WORD), draw(st.integers(1, 6))
    return emosaic([f"{label}_{i}.img.fits" for i in range(count)], draw(names_ending("mosaic.fits")))


def commands() -> st.SearchStrategy[Command]:
    """Return a strategy for commands as the plans hold them: cifbuild, atthkgen, evselect, eexpmap and emosaic.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(commands(), lambda command: command.task == "emosaic").inputs
    ('0_0.img.fits',)
    """
    dates = st.none() | st.dates().map(lambda date: date.isoformat())
    return st.one_of(
        st.builds(cifbuild, names_ending("cif"), observation_date=dates),
        st.builds(atthkgen, names_ending("att.fits")),
        _image_commands(),
        _exposure_commands(),
        _mosaic_commands(),
    )
