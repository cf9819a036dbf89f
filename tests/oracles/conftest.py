"""The real observations of Abell 907, processed once for all tests of this folder."""

import json
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest

import xphotfn as xp


@pytest.fixture(scope="session")
def oracle(oracle_root):
    """Recorded answers: the JSON file, masks, coordinates and the mosaic."""
    folder = oracle_root / "a907"
    return SimpleNamespace(
        values=json.loads((folder / "oracle_a907.json").read_text()),
        masks=np.load(folder / "masks.npz"),
        coords=np.load(folder / "coord_conv.npz"),
        combined=np.load(folder / "combined_0.5-2.0.npz"),
    )


@pytest.fixture(scope="session")
def a907(data_root, tmp_path_factory):
    """The journey up to the peak, in both bands."""
    observations = xp.find_observations(data_root / "a907")
    target = xp.galaxy_cluster(
        "A907", 149.59209 * u.deg, -11.05972 * u.deg, redshift=0.16, r500=1200 * u.kpc, r200=1700 * u.kpc
    )
    field = xp.match_observations(target, observations)
    soft, hard = xp.energy_band(0.5 * u.keV, 2 * u.keV), xp.energy_band(2 * u.keV, 10 * u.keV)
    plan = xp.plan_photometry(field, [soft, hard], reference="0404910601")
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path_factory.mktemp("a907"), progress=False)
    xp.raise_for_failures(run)
    combined = xp.combined_rate_map(run, band=soft)
    peak = xp.find_peak(combined, field)
    return SimpleNamespace(
        observations=observations,
        target=target,
        field=field,
        soft=soft,
        hard=hard,
        plan=plan,
        run=run,
        maps=xp.rate_maps(run),
        combined=combined,
        peak=peak,
        centred=xp.with_centre(field, peak.position),
    )
