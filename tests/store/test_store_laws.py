"""Laws of a store, over random plans, damages and orders: whatever was done to it, a run gives what it must.

The engine is a pure function of the content that a command reads, so what every product must hold is known without a
store. Stores are moved and copied, data renamed, products damaged anywhere in a chain, two plans run one after the
other or at once, verified and pruned in between.
"""

import hashlib
import os
import shutil
import threading
from pathlib import Path

import pytest
from attrs import evolve, frozen
from hypothesis import example, given, settings, strategies as st

import xphotfn as xp
from xphotfn.commands.command import Command
from xphotfn.commands.step import Step, StepInput
from xphotfn.graph.joined_runs import join_runs
from xphotfn.graph.plan import Plan
from xphotfn.records.observation import FoundFile
from xphotfn.store.inspect import prune, verify

OUTPUT = {"evselect": "imageset", "eexpmap": "expimageset", "emosaic": "mosaicedset"}


def product(word):
    """Return a FITS file that holds a word."""
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0",
             f"COMMENT {word}", "END"]  # fmt: skip
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode()


def made_of(name, contents):
    """Return what a command makes that reads these contents."""
    return product(hashlib.sha256(b"\0".join([name.encode(), *contents])).hexdigest()[:32])


@frozen
class Pure:
    """An engine whose products are a function of what a command reads; it counts what it makes."""

    notes: str
    identity: str = "pure"

    def execute(self, command, folder):
        contents = [(folder / name).read_bytes() for name in command.inputs]
        for name in command.outputs:
            (folder / name).write_bytes(made_of(name, contents))
            with open(self.notes, "a") as file:  # noqa: PTH123
                file.write(f"{name}\n")
        return ""


def step_of(task, name, inputs):
    command = Command(task=task, parameters=((OUTPUT[task], name),), outputs=(name,), inputs=[i.name for i in inputs])
    return Step(command=command, inputs=inputs, obs_id="0000000101")


@st.composite
def shapes(draw):
    """Return which steps a plan has: for each the numbers of earlier steps that it reads, at most three."""
    shape = []
    for number in range(draw(st.integers(2, 6))):
        shape.append(tuple(sorted(draw(st.sets(st.integers(0, number - 1), max_size=3)))) if number else ())
    return tuple(shape)


def plan_of(shape, data):
    """Return the plan of a shape over files in a folder: a step without others reads the file of its number."""
    steps = []
    for number, reads in enumerate(shape):
        if reads:
            inputs = [StepInput(name=f"p{n}.fits", step=steps[n].id) for n in reads]
        else:
            path = data / f"d{number}.fits"
            stat = path.stat()
            file = FoundFile(path=str(path), size=stat.st_size, mtime_ns=stat.st_mtime_ns)
            inputs = [StepInput(name=f"d{number}.fits", file=file)]
        steps.append(step_of("emosaic" if reads else "evselect", f"p{number}.fits", inputs))
    return Plan(steps=steps)


def wanted(shape):
    """Return what each product must hold."""
    found = []
    for number, reads in enumerate(shape):
        contents = [found[n] for n in reads] or [product(f"data {number}")]
        found.append(made_of(f"p{number}.fits", contents))
    return found


class World:
    """A store, a folder of data, and what the laws ask of them."""

    def __init__(self, top, shape):
        self.top, self.shape, self.count = top, shape, 0
        self.data, self.store = top / "data", top / "store"
        self.data.mkdir()
        for number in range(len(shape)):
            (self.data / f"d{number}.fits").write_bytes(product(f"data {number}"))
        self.notes = str(top / "notes")
        self.wanted = wanted(shape)

    def run(self, shape=None, **how):
        """Run the plan, or a part of it: every product is what it must be."""
        shape = shape or self.shape
        run = xp.run(plan_of(shape, self.data), engine=Pure(self.notes), store=self.store, progress=False, **how)
        for number, outcome in enumerate(run.outcomes):
            assert isinstance(outcome, xp.Done), outcome
            assert Path(outcome.outputs[0].path).read_bytes() == self.wanted[number]
        return run

    def made(self):
        path = Path(self.notes)
        return path.read_text().split() if path.exists() else []

    def there(self):
        return sorted(self.store.glob("products/*/*/*.fits"))

    # What can happen.

    def twice(self, _number):
        self.run()
        before = self.made()
        assert all(done.cached for done in self.run().done)
        assert self.made() == before, "something was made again"

    def other(self, number):
        self.run(self.shape[: 1 + number % len(self.shape)])

    def move(self, _number):
        self.store.mkdir(exist_ok=True)
        self.store = self.store.rename(self.top / f"store {self.count}")

    def copy(self, _number):
        if self.store.exists():
            self.store = Path(shutil.copytree(self.store, self.top / f"copy {self.count}", symlinks=True))

    def rename(self, _number):
        self.data = self.data.rename(self.top / f"data {self.count}")

    def flip(self, number):
        self.spoil(number, lambda path, content: path.write_bytes(content[:-1] + b"!"))

    def cut(self, number):
        self.spoil(number, lambda path, content: path.write_bytes(content[:100]))

    def lose(self, number):
        self.spoil(number, lambda path, _content: path.unlink())

    def link(self, number):
        def replace(path, _content):
            other = self.top / f"other{self.count}"
            other.write_bytes(product("other"))
            path.unlink()
            path.symlink_to(other)

        self.spoil(number, replace)

    def manifest(self, number):
        self.spoil(number, lambda path, _content: (path.parent / "manifest.json").write_bytes(b"{"))

    def spoil(self, number, change):
        """Damage a product; neither size nor time of change tells of a flipped byte."""
        there = [path for path in self.there() if path.exists()]
        if there:
            path = there[number % len(there)]
            stat = path.stat()
            change(path, path.read_bytes())
            if path.exists() and not path.is_symlink():
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def verify(self, _number):
        if self.store.exists() and any(self.store.iterdir()):
            verify(self.store, remove=True)
            assert verify(self.store).is_good

    def prune(self, _number):
        if self.store.exists() and any(self.store.iterdir()):
            prune(self.store)

    def at_once(self, number):
        """Two drivers, one with a part of the plan, and a look at every product beside them."""
        problems = []

        def attempt(function):
            try:
                function()
            except BaseException as error:
                problems.append(error)

        self.run(self.shape[:1])
        works = [self.run, lambda: self.run(self.shape[: 1 + number % len(self.shape)]), lambda: verify(self.store)]
        threads = [threading.Thread(target=attempt, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not problems


HAPPENINGS = ("twice", "other", "move", "copy", "rename", "flip", "cut", "lose", "link", "manifest", "verify", "prune",
              "at_once")  # fmt: skip
CHAIN = ((), (0,), (1,), (2,))


@settings(max_examples=12)
@given(shape=shapes(), happenings=st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 9)), max_size=6))
@example(shape=CHAIN, happenings=[("move", 0), ("rename", 0), ("twice", 0), ("flip", 2)])
@example(shape=CHAIN, happenings=[("flip", 1), ("verify", 0), ("flip", 0), ("copy", 1), ("flip", 3)])
@example(shape=CHAIN, happenings=[("other", 1), ("at_once", 2), ("link", 1), ("manifest", 2), ("prune", 0)])
def test_whatever_happens_a_run_gives_what_it_must(shape, happenings, tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"), shape)
    for world.count, (name, number) in enumerate([("twice", 0), *happenings]):
        getattr(world, name)(number)
        if number % 3 == 1:
            world.run()
    run = world.run()
    assert {tuple(o.outputs for o in r.done) for r in (xp.load_run(world.store, plan=run.plan),)} == {
        tuple(o.outputs for o in run.done)
    }
    assert not list((world.store / "scratch").iterdir())
    world.verify(0)
    world.twice(0)


@settings(max_examples=8)
@given(shape=shapes(), at=st.integers(0, 5))
def test_moving_and_renaming_make_nothing_again(shape, at, tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"), shape)
    world.run()
    before = world.made()
    assert sorted(before) == sorted(f"p{n}.fits" for n in range(len(shape)))
    for name in ("move", "rename", "copy")[at % 3 :]:
        getattr(world, name)(0)
        world.run()
    assert world.made() == before


@settings(max_examples=10)
@given(shape=shapes(), at=st.integers(0, 9))
def test_verify_takes_out_what_was_made_of_a_damage_and_nothing_else(shape, at, tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"), shape)
    run = world.run()
    number = at % len(shape)
    path = Path(run.done[number].outputs[0].path)
    spoilt = {number}
    for later, reads in enumerate(shape):
        if spoilt.intersection(reads):
            spoilt.add(later)
    path.write_bytes(product("wrong"))
    found = verify(world.store, remove=True)
    assert {d.key for d in found.damaged} == {run.done[n].key for n in spoilt}
    before = len(world.made())
    world.run()
    assert sorted(world.made()[before:]) == sorted(f"p{n}.fits" for n in spoilt)


@settings(max_examples=6)
@given(shape=shapes(), cut=st.integers(1, 5))
def test_two_runs_are_the_contents_of_their_store(shape, cut, tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"), shape)
    world.run(shape[: min(cut, len(shape))])
    whole = world.run()
    joined = join_runs(xp.runs(world.store))
    assert {d.step: d.outputs for d in joined.done} == {d.step: d.outputs for d in whole.done}
    assert not prune(world.store, min_age_s=0).products
    assert len(world.made()) == len(shape)


def test_a_wrong_engine_is_seen(tmp_path):
    """The laws above can fail: an engine that gives something else does not pass."""
    world = World(tmp_path, CHAIN)
    world.wanted[2] = product("something else")
    with pytest.raises(AssertionError):
        world.run()
    assert evolve(Pure(world.notes), identity="x").identity == "x"
