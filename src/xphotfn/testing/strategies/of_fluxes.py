"""Strategies for spectra and for the factors that make fluxes of rates."""

from hypothesis import strategies as st

from xphotfn.records.column_density import ColumnDensity
from xphotfn.records.ecf import ARF_PARTS, Ecf
from xphotfn.records.spectrum import Bremsstrahlung, PowerLaw, Spectrum, SpectrumTable
from xphotfn.testing.strategies.of_basics import CAMERAS, NAME
from xphotfn.testing.strategies.of_sky import bands

__all__ = ("column_densities", "ecfs", "spectra")

_COLUMNS = st.just(0.0) | st.floats(1e19, 1e23)


@st.composite
def _tables(draw: st.DrawFn) -> SpectrumTable:
    size, first, step = draw(st.integers(1, 6)), draw(st.floats(0.1, 2.0)), draw(st.floats(0.05, 2.0))
    ends = [first + step * n for n in range(size + 1)]
    fluxes = st.lists(st.floats(1e-9, 1e-2), min_size=size, max_size=size)
    photons, gas = draw(fluxes), draw(st.none() | st.floats(0.0, 1.0))
    return SpectrumTable(
        lo_kev=ends[:-1],
        hi_kev=ends[1:],
        photons=photons,
        unabsorbed=[] if gas is None else [value * (1 + gas) for value in photons],
        name=draw(NAME),
    )


def spectra(*, kind: type | None = None) -> st.SearchStrategy[Spectrum]:
    """Return a strategy for spectra: power laws, bremsstrahlung, tables.

    Parameters
    ----------
    kind
        One of the three classes; default all.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(spectra(kind=PowerLaw), lambda spectrum: spectrum.gamma > 1).nh_cm2
    0.0
    """
    kinds: dict[type, st.SearchStrategy[Spectrum]] = {
        PowerLaw: st.builds(PowerLaw, gamma=st.floats(-1.0, 4.0), nh_cm2=_COLUMNS),
        Bremsstrahlung: st.builds(
            Bremsstrahlung, kt_kev=st.floats(0.1, 20.0), nh_cm2=_COLUMNS, redshift=st.floats(0.0, 2.0)
        ),
        SpectrumTable: _tables(),
    }
    return st.one_of(*kinds.values()) if kind is None else kinds[kind]


def ecfs() -> st.SearchStrategy[Ecf]:
    """Return a strategy for energy conversion factors, as a user may make them.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(ecfs())
    ... def test_kinds_go_by_absorption(ecf):
    ...     assert (ecf.kind == "absorbed") == ecf.absorbed
    >>> test_kinds_go_by_absorption()
    """
    return st.builds(
        Ecf,
        ct_cm2_per_erg=st.floats(1e8, 1e13),
        instrument=st.sampled_from(CAMERAS),
        filter=st.sampled_from(("Thin1", "Medium", "Thick", "Open")),
        band=bands(),
        spectrum=spectra(),
        absorbed=st.booleans(),
        systematic=st.floats(0.0, 1.0),
        source=NAME.filter(str.strip),
        patterns=st.sampled_from(("", "0", "0-4", "0-12")),
        arf_includes=st.lists(st.sampled_from(ARF_PARTS), unique=True),
    )


@st.composite
def column_densities(draw: st.DrawFn) -> ColumnDensity:
    """Return a strategy for column densities of neutral gas, within the spread around them.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(column_densities())
    ... def test_they_lie_in_their_range(nh):
    ...     assert nh.low_cm2 <= nh.nh_cm2 <= nh.high_cm2
    >>> test_they_lie_in_their_range()
    """
    low, value, high = sorted(draw(st.lists(st.floats(1e18, 1e23), min_size=3, max_size=3)))
    return ColumnDensity(nh_cm2=value, low_cm2=low, high_cm2=high, source=draw(NAME.filter(str.strip)))
