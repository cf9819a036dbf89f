"""Runs: failures are values, finished products are kept, every scheduler gives the same."""

import threading
import time
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import field as attr_field, frozen

import xphotfn as xp
from xphotfn.commands.messages import SasMessage
from xphotfn.engines.protocol import Printed
from xphotfn.graph import maps as maps_of_runs
from xphotfn.graph.delayed import keys_of
from xphotfn.io.fits import read_header
from xphotfn.store.product_store import open_store

CALLS: dict[str, int] = {}
LOCK = threading.Lock()


@frozen(kw_only=True)
class FailingEngine:
    """The native engine, but outputs whose name holds ``word`` fail the first ``times`` times."""

    word: str
    times: int = 10**6
    label: str = attr_field(default="failing")

    @property
    def identity(self):
        return self.label

    def execute(self, command, folder):
        key = f"{self.label}:{command.outputs[0]}"
        with LOCK:
            CALLS[key] = CALLS.get(key, 0) + 1
        if self.word in command.outputs[0] and CALLS[key] <= self.times:
            (folder / command.outputs[0]).write_text("half")
            raise xp.CommandFailed(command.argv, "the disk melted", 3, "last words")
        return xp.native_engine().execute(command, folder)


@frozen(kw_only=True)
class WarningEngine:
    """The native engine, which warns of something in each step: by a value, or as a SAS task prints it."""

    text: str
    says: object
    label: str

    @property
    def identity(self):
        return self.label

    def execute(self, command, folder):
        xp.native_engine().execute(command, folder)
        return self.says(SasMessage(task="emosaic", severity="warning", name="Odd", text=self.text))


def as_value(message):
    return Printed(log="** emosaic: warning (Other), what a log says is not read\n", warnings=[message])


@pytest.mark.parametrize("text", ["plain", "one (Name)\ntwo", "1)\n** emosaic: error (No), none", " a: b; c "])
def test_warnings_of_a_task_arrive_whole(plan, tmp_path, text):
    engine = WarningEngine(text=text, says=as_value, label="values")
    run = xp.run(plan, engine=engine, store=tmp_path / "s", progress=False, scheduler="synchronous")
    assert [done.warnings for done in run.done] == [(text,), (text,)]
    again = xp.run(plan, engine=engine, store=tmp_path / "s", progress=False, scheduler="synchronous")
    assert [(done.cached, done.warnings) for done in again.done] == [(True, (text,))] * 2


def test_an_engine_may_return_the_text_of_a_log(plan, tmp_path):
    engine = WarningEngine(text="one\ntwo", says=lambda m: f"chatter\n{m.as_printed}\n", label="logs")
    run = xp.run(plan, engine=engine, store=tmp_path / "s", progress=False, scheduler="synchronous")
    assert [done.warnings for done in run.done] == [("one\ntwo",)] * 2
    assert Path(run.done[0].log).read_text() == "chatter\n** emosaic: warning (Odd), one\n   two\n"


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_run_makes_and_then_finds(plan, tmp_path, scheduler):
    engine = xp.native_engine()
    first = xp.run(plan, engine=engine, store=tmp_path / "s", scheduler=scheduler, progress=False)
    assert [o.cached for o in first.done] == [False, False]
    assert xp.raise_for_failures(first) is first
    second = xp.run(plan, engine=engine, store=tmp_path / "s", scheduler=scheduler, progress=False)
    assert [o.cached for o in second.done] == [True, True]
    assert [o.outputs for o in second.done] == [o.outputs for o in first.done]
    assert "2 were there" in str(second)
    assert list((tmp_path / "s" / "scratch").iterdir()) == []


def test_products_are_byte_identical_wherever_they_are_made(plan, tmp_path):
    runs = [xp.run(plan, engine=xp.native_engine(), store=tmp_path / n, progress=False) for n in ("a", "b")]
    for one, other in zip(runs[0].done, runs[1].done, strict=True):
        assert [o.digest for o in one.outputs] == [o.digest for o in other.outputs]
        assert Path(one.outputs[0].path).read_bytes() == Path(other.outputs[0].path).read_bytes()


def test_mosaic_of_the_run_is_the_sum(plan, field, tmp_path):
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    maps, combined = xp.rate_maps(run), xp.combined_rate_map(run)
    assert len(maps) == 6
    assert combined.image.data.sum() <= sum(m.image.data.sum() for m in maps)
    assert combined.image.data.sum() > 0.9 * sum(m.image.data.sum() for m in maps)
    assert combined.image.data.dtype == np.int32
    assert combined.exposure.data.dtype == np.float32
    assert combined.exposure.data.max() == 3000
    assert combined.image.digest
    assert xp.select(maps, obs_id="0000000202", instrument="MOS1").exposure_id == "S001"
    with pytest.raises(xp.ProductMissing, match="2 maps match instrument=pn; candidates: 0000000101 pn"):
        xp.select(maps, instrument="pn")
    with pytest.raises(xp.ProductMissing, match="no maps match obs_id=0000000909; candidates: 0000000101"):
        xp.select(maps, obs_id="0000000909")


def test_a_failure_is_a_value_and_sinks_nothing_else(plan, tmp_path):
    run = xp.run(plan, engine=FailingEngine(word="expmap"), store=tmp_path / "s", progress=False)
    assert (len(run.done), len(run.failed), len(run.skipped)) == (1, 1, 0)
    assert run.failed[0].reason == "the disk melted"
    assert run.failed[0].log == "last words"
    assert list(run.table()["state"]) == ["failed", "done"]
    with pytest.raises(xp.CommandFailed, match=r"1 of 2 steps failed(.|\n)*the disk melted(.|\n)*last words"):
        xp.raise_for_failures(run)
    with pytest.raises(xp.ProductMissing, match="the mosaic was not made: the disk melted"):
        xp.combined_rate_map(run)
    assert len(xp.rate_maps(run)) == 6
    assert list((tmp_path / "s" / "scratch").iterdir()) == []


@frozen(kw_only=True)
class SlowMapEngine:
    """The native engine; an exposure map goes on until some time after the run was stopped."""

    stopped: threading.Event = attr_field(factory=threading.Event)

    @property
    def identity(self):
        return "slow"

    def execute(self, command, folder):
        if "expmap" in command.outputs[0]:
            assert self.stopped.wait(20)
            time.sleep(0.2)
        return xp.native_engine().execute(command, folder)


def test_the_record_holds_what_was_under_way_when_a_run_was_stopped(plan, tmp_path):
    engine = SlowMapEngine()

    def stop(event):
        if event.state == "done":
            engine.stopped.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        xp.run(plan, engine=engine, store=tmp_path / "s", workers=2, progress=stop)
    assert "the same again makes only what is missing" in caught.value.__notes__[0]
    products = list((tmp_path / "s" / "products").glob("*/*"))
    assert len(xp.load_run(tmp_path / "s").done) == len(products) == 2
    assert list((tmp_path / "s" / "scratch").iterdir()) == []


def test_a_failing_command_is_tried_again(plan, tmp_path):
    engine = FailingEngine(word="img", times=2, label="flaky")
    run = xp.run(plan, engine=engine, store=tmp_path / "s", progress=False, tries=3)
    assert not run.failed
    assert max(CALLS[k] for k in CALLS if k.startswith("flaky")) == 3


def test_what_waits_for_a_failure_is_skipped(plan, tmp_path):
    from xphotfn.records.outcome import Failed, Skipped
    from xphotfn.store.kernel import Work, make

    work = Work(step="next", command=plan.steps[0].command)
    store = open_store(tmp_path / "s")
    assert make(work, xp.native_engine(), store, Failed(step="a", reason="x")) == Skipped(step="next", because="a")
    assert make(work, xp.native_engine(), store, Skipped(step="b", because="a")).because == "a"


def test_a_found_file_that_changed_is_not_used(plan, tree, tmp_path):
    path = tree / "0000000101_pn_img.fits"
    path.write_bytes(path.read_bytes() + b"\0" * 2880)
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    assert [f.reason for f in run.failed] == [f"{path} has changed since it was found: run find_observations again"]


def test_a_truncated_input_fails_its_step_and_keeps_finished_products(plan, tree, field, band, tmp_path):
    store = tmp_path / "s"
    good = xp.run(plan, engine=xp.native_engine(), store=store, progress=False)
    path = tree / "0000000202_pn_img.fits"
    path.write_bytes(path.read_bytes()[:4000])
    broken = xp.find_observations(tree)
    assert any("0000000202_pn_img.fits" in note for o in broken for note in o.notes)
    for done in good.done:
        assert fits.getdata(done.outputs[0].path).shape
    assert xp.load_run(store) == good


def test_load_run_returns_the_last_run(plan, tmp_path):
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    assert xp.load_run(tmp_path / "s") == run
    assert xp.rate_maps(xp.load_run(tmp_path / "s")) == xp.rate_maps(run)
    with pytest.raises(xp.ProductMissing, match="is no store"):
        xp.load_run(tmp_path / "nowhere")
    open_store(tmp_path / "empty")
    with pytest.raises(xp.ProductMissing, match="holds no run$"):
        xp.load_run(tmp_path / "empty")


def test_stores_refuse_what_they_cannot_be(plan, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(xp.InvalidFile, match="cannot be a store"):
        xp.run(plan, engine=xp.native_engine(), store=tmp_path / "file", progress=False)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("x")
    with pytest.raises(xp.InvalidFile, match="folder of other things"):
        xp.run(plan, engine=xp.native_engine(), store=tmp_path / "thesis", progress=False)
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]


def test_options_that_mean_nothing_are_refused(plan, tmp_path):
    engine, store = xp.native_engine(), tmp_path / "s"
    with pytest.raises(xp.InvalidRecord, match="engine must be"):
        xp.run(plan, engine="native", store=store)
    with pytest.raises(xp.InvalidRecord, match="workers and tries"):
        xp.run(plan, engine=engine, store=store, workers=0)
    with pytest.raises(xp.InvalidRecord, match='scheduler must be "threads"'):
        xp.run(plan, engine=engine, store=store, scheduler="quantum")


def test_delayed_composes_with_other_graphs(plan, tmp_path):
    import dask

    delayed = xp.to_delayed(plan, engine=xp.native_engine(), store=tmp_path / "s")
    assert set(delayed) == {s.id for s in plan.steps}

    @dask.delayed
    def total(outcome):
        return float(fits.getdata(outcome.outputs[0].path).sum())

    sums = dask.compute(*(total(delayed[s.id]) for s in plan.steps), scheduler="threads")
    assert sums[0] == pytest.approx(6 * 64 * 64, rel=0.1)
    other = keys_of(plan, FailingEngine(word="x"), open_store(tmp_path / "s"))
    assert {d.key for d in delayed.values()}.isdisjoint(other.values())


def test_two_runs_at_once_share_one_store(plan, tmp_path):
    results = []

    def go():
        results.append(xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False))

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert not any(r.failed for r in results)
    assert results[0].done[0].outputs == results[1].done[0].outputs


def test_a_damaged_product_is_made_again(plan, tmp_path):
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    path = Path(run.done[0].outputs[0].path)
    path.write_bytes(path.read_bytes()[:100])
    again = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    assert [o.cached for o in again.done] == [False, True]
    assert fits.getdata(path).sum() > 0


def test_progress_bar_goes_to_stderr_only_on_a_terminal(plan, tmp_path, capsys):
    xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_several_bands_need_a_name(field, tree, band, tmp_path):
    hard = xp.energy_band(2 * u.keV, 10 * u.keV)
    plan = xp.plan_photometry(field, [band])
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    with pytest.raises(xp.ProductMissing, match="the run has no band 2-10 keV; it has 0.5-2 keV"):
        xp.rate_maps(run, band=hard)
    with pytest.raises(xp.ProductMissing, match="the run has no field 'other'; it has toy"):
        xp.rate_maps(run, target="other")
    assert len(xp.rate_maps(run, target=field.target, band=band)) == 6


def test_one_map_of_a_run_is_made_of_its_two_files(plan, tmp_path, monkeypatch):
    """A report shows a hundred thousand maps one by one: none may read the headers of the others."""
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    pairs = maps_of_runs.pairs_of(run)
    assert [what[1] for what in pairs] == ["0000000101"] * 3 + ["0000000202"] * 3 + ["combined"]
    every = {m.image.path: m for m in (*xp.rate_maps(run), xp.combined_rate_map(run))}
    read = []
    monkeypatch.setattr(maps_of_runs, "read_header", lambda path: read.append(path) or read_header(path))
    for what, pair in pairs.items():
        found = maps_of_runs.rate_map_of(run, pair)
        other = every[found.image.path]
        assert (found.obs_id, found.instrument, found.exposure_id, found.band) == what[1:2] + what[3:1:-1] + what[4:]
        assert np.array_equal(found.counts, other.counts)
        assert np.array_equal(found.exposure.data, other.exposure.data)
        assert set(read) <= {path for _, path, _ in pair}
        read.clear()


def test_a_run_without_mosaic_says_why(plan, tmp_path):
    run = xp.run(plan, engine=FailingEngine(word="mosaic_img", label="no-image"), store=tmp_path / "s", progress=False)
    said = str(maps_of_runs.no_mosaic(run))
    assert said.startswith("the mosaic was not made: ")
    assert "the disk melted" in said
    with pytest.raises(xp.ProductMissing, match="the disk melted"):
        xp.combined_rate_map(run)
    other = maps_of_runs.no_mosaic(run, xp.energy_band("2 keV", "10 keV"))
    assert str(other).startswith("the plan has no mosaic")
