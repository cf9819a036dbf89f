"""The vignetting table: published values, interpolation, edges."""

import pickle

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from xphotfn.epic.camera.response import packaged_table
from xphotfn.errors import InvalidRecord
from xphotfn.science.vignetting import VignettingTable, vignetting

# factors of XRT3_XAREAEF_0012 at 0, 3, 6, 9, 12 and 15 arcmin
PUBLISHED = {
    500: (1.0, 0.9143, 0.7562, 0.5767, 0.4349, 0.3293),
    1250: (1.0, 0.9143, 0.7562, 0.5767, 0.4349, 0.3293),
    5250: (1.0, 0.9083, 0.7378, 0.5467, 0.3965, 0.2897),
    6000: (1.0, 0.9024, 0.7179, 0.5145, 0.3600, 0.2579),
    10000: (1.0, 0.8058, 0.5151, 0.3049, 0.2005, 0.1468),
}


def small():
    return VignettingTable(
        energies_ev=[1000, 2000, 4000], angles_arcmin=[0, 5, 10], factors=[[1, 0.8, 0.5], [1, 0.7, 0.4], [1, 0.5, 0.2]]
    )


@pytest.mark.parametrize("energy", PUBLISHED)
def test_the_packaged_table_has_the_published_values(energy):
    # the published values are rounded, and were taken between the steps of the table at 3, 9 and 15 arcmin
    np.testing.assert_allclose(vignetting(packaged_table(), energy, [0, 3, 6, 9, 12, 15]), PUBLISHED[energy], atol=9e-3)
    assert packaged_table().source == "XRT3_XAREAEF_0012"
    assert packaged_table().factors.shape == (packaged_table().energies_ev.size, 27)


def test_nodes_are_kept_and_between_them_energies_are_lines_and_angles_a_round_spline():
    table = small()
    for n, energy in enumerate(table.energies_ev):
        np.testing.assert_allclose(vignetting(table, float(energy), table.angles_arcmin), table.factors[n], rtol=1e-14)
    halves = [vignetting(table, energy, 7.5) for energy in (2000, 4000)]
    assert vignetting(table, 3000, 7.5) == pytest.approx(np.mean(halves))
    angles = np.arange(0, 16, 0.6)
    parabola = VignettingTable(energies_ev=[1000], angles_arcmin=angles, factors=[1 - 0.003 * angles**2])
    between = np.linspace(0, 15, 101)
    np.testing.assert_allclose(vignetting(parabola, 1000, between), 1 - 0.003 * between**2, rtol=1e-12)


@given(st.floats(-1e5, 1e5), st.floats(0, 100))
def test_outside_the_table_its_edge_counts(energy, angle):
    table = small()
    inside = vignetting(table, min(max(energy, 1000), 4000), min(angle, 10))
    assert vignetting(table, energy, angle) == inside
    assert 0.2 <= inside <= 1


def test_nan_angles_give_nan_and_energies_must_be_finite():
    assert np.isnan(vignetting(small(), 1500, [np.nan, 1]))[0]
    with pytest.raises(InvalidRecord, match="energy_ev"):
        vignetting(small(), float("nan"), 1)


def test_one_energy_will_do():
    one = VignettingTable(energies_ev=[1000], angles_arcmin=[0, 10], factors=[[1, 0.5]])
    assert vignetting(one, 9999, 5) == pytest.approx(27 / 32)  # 1 - 3/4 t^2 + 1/4 t^3 halfway: level on the axis
    flat = VignettingTable(energies_ev=[1000], angles_arcmin=[0], factors=[[1]])
    assert np.array_equal(vignetting(flat, 1, [0, np.nan]), [1, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"factors": [[1, 2]]}, "shape"),
        ({"energies_ev": [1000, 1000, 2000]}, "must rise"),
        ({"angles_arcmin": [0, 5, 4]}, "must rise"),
        ({"factors": [[1, 1, np.nan]] * 3}, "finite"),
    ],
)
def test_tables_that_make_no_sense_are_refused(change, problem):
    with pytest.raises(InvalidRecord, match=problem):
        evolve(small(), **change)


def test_the_table_is_a_record():
    table = small()
    assert table == small()
    assert hash(table) == hash(small())
    assert pickle.loads(pickle.dumps(table)) == table
    with pytest.raises(ValueError, match="read-only"):
        table.factors[0, 0] = 2
    assert table != evolve(table, factors=np.ones((3, 3)))
