"""The same plan on a cluster: the same products, byte for byte, and the same values for failures."""

import attrs
import pytest

import xphotfn as xp

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with cluster, distributed.Client(cluster) as client:
        yield client


def test_products_are_those_of_threads(plan, tmp_path, client):
    here = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "threads", progress=False)
    there = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "cluster", scheduler=client, progress=False)
    assert [[o.digest for o in d.outputs] for d in there.done] == [[o.digest for o in d.outputs] for d in here.done]
    assert len(there.done) == len(plan.steps)


def test_a_failure_on_a_worker_is_a_value(plan, tree, tmp_path, client):
    path = tree / "0000000101_pn_img.fits"
    path.write_bytes(path.read_bytes() + b"\0" * 2880)
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", scheduler=client, progress=False)
    assert [f.reason for f in run.failed] == [f"{path} has changed since it was found: run find_observations again"]
    assert len(run.done) == 1


def test_errors_that_carry_data_survive_the_way_back(client):
    def fail():
        raise xp.CommandFailed(("evselect", "table=a"), "it broke", 3, "last words")

    with pytest.raises(xp.CommandFailed) as caught:
        client.submit(fail, pure=False).result()
    error = caught.value
    assert (error.argv, error.problem, error.returncode, error.tail) == (
        ("evselect", "table=a"),
        "it broke",
        3,
        "last words",
    )


def test_records_survive_the_way_there_and_back(plan, client):
    assert client.submit(attrs.evolve, plan, notes=("sent",), pure=False).result() == attrs.evolve(
        plan, notes=("sent",)
    )


def test_delayed_composes_on_a_cluster(plan, tmp_path, client):
    import dask

    delayed = xp.to_delayed(plan, engine=xp.native_engine(), store=tmp_path / "s")
    names = dask.delayed(lambda outcome: outcome.outputs[0].name)(delayed[plan.steps[0].id])
    assert client.compute(names).result() == plan.steps[0].command.outputs[0]
