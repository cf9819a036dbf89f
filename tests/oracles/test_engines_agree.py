"""The journey of Abell 907 by both engines, on threads and on a cluster: the same pixels and the same numbers.

The SAS engine runs our interpreters as programs under SAS's names (``write_shims``), each in a process of its own with
SAS's environment: everything of that engine but SAS itself. pn images and exposure maps are found, all of MOS is made.
"""

import os
import shutil
from contextlib import contextmanager
from types import SimpleNamespace

import dask
import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.engines.shims.task import write_shims

A907 = xp.galaxy_cluster("A907", 149.59209, -11.05972, redshift=0.16, r500="1200 kpc", r200="1700 kpc")
SOFT = xp.energy_band("0.5 keV", "2 keV")
ENGINES, PLACES = ("native", "sas"), ("threads", "cluster")


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    shims = write_shims(tmp_path_factory.mktemp("sas") / "bin")
    home = dict.fromkeys(("SAS_DIR", "SAS_CCFPATH", "HEADAS"), str(shims.parent))
    return {"native": xp.native_engine(), "sas": xp.sas_engine(env=home | {"PATH": f"{shims}:/usr/bin:/bin"})}


def hidden_from(data_root, folder, *patterns):
    """Return the observations of a tree of links to the real one, without the files of the patterns."""
    shutil.copytree(data_root / "a907", folder, copy_function=os.symlink, ignore=shutil.ignore_patterns(*patterns))
    return xp.find_observations(folder)


def numbers(run, field):
    """Return everything that the journey gives: peak, signal-to-noise by two definitions, counts and rates."""
    combined = xp.combined_rate_map(run)
    peak = xp.find_peak(combined, field)
    centred = xp.with_centre(field, peak)
    maps = (*xp.rate_maps(run), combined)
    found = [xp.snr(m, centred, "r500", method=method) for m in maps for method in ("mid-p", "xga")]
    sums = [(float(m.image.data.sum()), float(m.exposure.data.sum(dtype=np.float64))) for m in maps]
    return peak, found, sums


def same_products(one, other):
    """Check that two runs have the same files, byte for byte, and return how many."""
    for a, b in zip(one.done, other.done, strict=True):
        assert [(o.name, o.digest) for o in a.outputs] == [(o.name, o.digest) for o in b.outputs]
    return sum(len(done.outputs) for done in one.done)


def test_images_of_one_camera_by_both_engines(data_root, engines, tmp_path):
    observations = hidden_from(data_root, tmp_path / "a907", "*_mos2*_img.fits.gz", "*_mos1*", "*_pn_*", "02*")
    field = xp.match_observations(A907, observations)
    plan = xp.plan_exposure_maps(field, SOFT)
    assert [s.command.task for s in plan.steps] == ["evselect"]
    runs = [
        xp.raise_for_failures(xp.run(plan, engine=engine, store=tmp_path / name, progress=False))
        for name, engine in engines.items()
    ]
    assert same_products(*runs) == 1
    assert runs[0].done[0].key != runs[1].done[0].key
    assert runs[1].engine.startswith("sas-")
    real = fits.getdata(data_root / "a907" / "0404910601" / "0404910601_mos2_0.50-2.00keV_img.fits.gz")
    snrs = []
    for run in runs:
        (rate_map,) = xp.rate_maps(run)
        assert np.array_equal(rate_map.image.data, real)
        snrs.append(xp.snr(rate_map, field, "r500"))
    assert snrs[0] == snrs[1]


@contextmanager
def scheduler(place):
    if place == "threads":
        yield "threads"
        return
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def journeys(data_root, engines, tmp_path_factory):
    """The same plan run by each engine in each place, every one into a store of its own."""
    root = tmp_path_factory.mktemp("journeys")
    hide = ("*_mos*_img.fits.gz", "*_mos*_expmap.fits.gz")
    field = xp.match_observations(A907, hidden_from(data_root, root / "a907", *hide))
    plan = xp.plan_photometry(field, SOFT, reference="0404910601")
    runs = {}
    for place in PLACES:
        with scheduler(place) as where:
            for name in ENGINES:
                store = root / f"{name}-{place}"
                runs[name, place] = xp.run(plan, engine=engines[name], store=store, scheduler=where, progress=False)
    return SimpleNamespace(root=root, field=field, plan=plan, runs=runs)


@pytest.mark.slow
def test_every_engine_in_every_place_gives_the_same_pixels_and_numbers(journeys):
    first = xp.raise_for_failures(journeys.runs["native", "threads"])
    wanted = numbers(first, journeys.field)
    assert len(wanted[1]) == 2 * (9 + 1)
    for (name, _), run in journeys.runs.items():
        xp.raise_for_failures(run)
        assert [s.command.task for s in run.plan.steps].count("evselect") == 6
        assert not any(done.cached for done in run.done)
        assert same_products(first, run) == 6 + 6 + 2
        assert numbers(run, journeys.field) == wanted
        keys, ours = ({done.key for done in r.done} for r in (run, first))
        assert keys == ours if name == "native" else keys.isdisjoint(ours)


@pytest.mark.slow
def test_a_store_of_both_engines_keeps_their_products_apart(journeys, engines):
    store = journeys.root / "native-threads"
    again = xp.run(journeys.plan, engine=engines["native"], store=store, progress=False)
    other = xp.run(journeys.plan, engine=engines["sas"], store=store, progress=False)
    assert all(done.cached for done in again.done)
    assert not any(done.cached for done in xp.raise_for_failures(other).done)
    assert same_products(again, other) == 14


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_the_graph_composes_with_a_users_own_functions(journeys, engines, place, tmp_path):
    counts_of = dask.delayed(lambda outcome: float(fits.getdata(outcome.outputs[0].path).sum()))
    made = [s for s in journeys.plan.steps if s.command.task == "evselect" and s.obs_id == "0404910601"]
    assert len(made) == 2
    sums = {}
    with scheduler(place) as where:
        for name in ENGINES:
            graph = xp.to_delayed(journeys.plan, engine=engines[name], store=tmp_path / name)
            total = dask.delayed(sum)([counts_of(graph[step.id]) for step in made])
            sums[name] = total.compute(scheduler=where)
            assert len(list((tmp_path / name / "products").glob("*/*"))) == len(made), "only what was asked for"
    images = {(p.obs_id, p.name): path for p, path, _ in journeys.runs["native", "threads"].products()}
    expected = sum(float(fits.getdata(images[s.obs_id, s.command.outputs[0]]).sum()) for s in made)
    assert sums == {"native": expected, "sas": expected}
