"""Plans as shell scripts, and what differs between plans."""

import os
import subprocess
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

import xphotfn as xp
from xphotfn.commands.command import Command
from xphotfn.commands.shell import comment, link_line, shell_line
from xphotfn.commands.step import Step, StepInput
from xphotfn.engines.shims.task import write_shims
from xphotfn.graph.compare import diff_plans
from xphotfn.graph.export import to_shell
from xphotfn.graph.plan import Plan
from xphotfn.records.observation import FoundFile
from xphotfn.store.product_store import digest_file


def shell(script, folder, *, path="", check=True):
    env = {"PATH": f"{path}:/usr/bin:/bin"}
    return subprocess.run(
        ["/bin/sh", "-s", str(folder)],
        input=script,
        env=env,
        text=True,
        check=check,
        capture_output=True,
        cwd=folder.parent,
    )


def test_the_script_makes_what_the_run_makes(plan, tmp_path):
    run = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False))
    script = to_shell(plan)
    lines = script.splitlines()
    assert lines[0] == "#!/bin/sh"
    assert "set -eu" in lines
    assert sum(line.startswith("emosaic ") for line in lines) == 2
    folder = tmp_path / "by hand"
    for _ in range(2):  # the script may be run again
        shell(script, folder, path=write_shims(tmp_path / "bin"))
    for done in run.done:
        for output in done.outputs:
            assert digest_file(str(folder / output.name)) == output.digest


def test_the_script_stops_at_the_first_failure(plan, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "emosaic").write_text('#!/bin/sh\necho once >> "$0.calls"\nexit 3\n')
    (tmp_path / "bin" / "emosaic").chmod(0o755)
    done = shell(to_shell(plan), tmp_path / "out", path=tmp_path / "bin", check=False)
    assert done.returncode == 3
    assert (tmp_path / "bin" / "emosaic.calls").read_text() == "once\n"


def chain(paths):
    """Return a plan of evselect and eexpmap for each of two observations, in an order that mixes them."""
    steps = []
    for task in ("evselect", "eexpmap"):
        for obs_id, path in paths.items():
            made = {s.obs_id: s for s in steps}
            if task == "evselect":
                inputs = [StepInput(name=f"{obs_id}.evts", file=FoundFile(path=path, size=1, mtime_ns=1))]
            else:
                inputs = [StepInput(name=f"{obs_id}.img", step=made[obs_id].id)]
            names = [i.name for i in inputs]
            output = f"{obs_id}.{'img' if task == 'evselect' else 'exp'}"
            command = Command(task=task, inputs=names, outputs=(output,), env={"SAS_CCF": names[0]})
            steps.append(Step(command=command, inputs=inputs, obs_id=obs_id))
    return Plan(steps=steps)


def test_steps_of_an_observation_stand_together_below_a_comment():
    script = to_shell(chain({"0000000101": "/a", "0000000202": "/b"}))
    body = script.split("\n\n")[1:]
    assert [part.splitlines()[0] for part in body] == ["# observation 0000000101", "# observation 0000000202"]
    assert body[0].splitlines()[1:] == [
        "ln -sfn -- /a 0000000101.evts",
        'SAS_CCF="$PWD"/0000000101.evts evselect',
        'SAS_CCF="$PWD"/0000000101.img eexpmap',
    ]


def test_an_order_that_cannot_be_grouped_is_kept():
    first = Step(command=Command(task="evselect", outputs=("a",)), obs_id="combined")
    second = Step(
        command=Command(task="emosaic", inputs=("a",), outputs=("b",)),
        inputs=[StepInput(name="a", step=first.id)],
        obs_id="0000000101",
    )
    lines = [line for line in to_shell(Plan(steps=[first, second])).splitlines() if line in ("evselect", "emosaic")]
    assert lines == ["evselect", "emosaic"]


def test_files_of_one_name_are_refused():
    one = Step(command=Command(task="evselect", outputs=("a",)))
    two = Step(command=Command(task="emosaic", outputs=("a",)))
    with pytest.raises(xp.PlanError, match="two steps write a"):
        to_shell(Plan(steps=[one, two]))
    found = StepInput(name="a", file=FoundFile(path="/a", size=1, mtime_ns=1))
    reads = Step(command=Command(task="emosaic", inputs=("a",), outputs=("b",)), inputs=[found])
    with pytest.raises(xp.PlanError, match="a is written by a step and found by another"):
        to_shell(Plan(steps=[one, reads]))


NASTY = [
    "it's",
    "a b",
    "$(touch pwned)",
    "`touch pwned`",
    "a;touch pwned",
    "new\nline",
    "\\",
    '"',
    "*",
    "-rf",
    "#",
    "~",
    "",
]


@pytest.mark.parametrize("text", NASTY)
def test_nothing_escapes_its_quotes(tmp_path, text):
    source = tmp_path / "data" / f"x{text}"
    source.parent.mkdir()
    source.write_text("found")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "evselect").write_text(
        '#!/bin/sh\nprintf \'%s\\n\' "$1" "$VALUE" > args; cp in.fits out.fits\n'
    )
    (tmp_path / "bin" / "evselect").chmod(0o755)
    command = Command(
        task="evselect", parameters=[("p", text)], inputs=("in.fits",), outputs=("out.fits",), env=(("VALUE", text),)
    )
    item = StepInput(name="in.fits", file=FoundFile(path=str(source), size=5, mtime_ns=1))
    plan = Plan(steps=[Step(command=command, inputs=[item])], notes=[f"note {text}\ntouch pwned"])
    folder = tmp_path / "out"
    shell(to_shell(plan), folder, path=tmp_path / "bin")
    assert (folder / "args").read_text() == f"p={text}\n{text}\n"
    assert (folder / "out.fits").read_text() == "found"
    assert not list(tmp_path.rglob("pwned"))


@given(st.text())
def test_a_comment_is_one_line(text):
    assert len(comment(text).splitlines()) == 1
    assert comment(text).startswith("# ")


def test_what_no_shell_can_hold_is_refused():
    with pytest.raises(xp.InvalidRecord, match="environment variable"):
        shell_line(Command(task="t", env=(("A B", "x"),)))
    with pytest.raises(xp.InvalidRecord, match="zero byte"):
        shell_line(Command(task="t", parameters=(("a", "b\0"),)))
    assert link_line("/a b", "c") == "ln -sfn -- '/a b' c"


# diff_plans


def test_equal_plans_do_not_differ(plan):
    diff = diff_plans(plan, plan)
    assert diff.is_empty
    assert diff.same == 2
    assert str(diff) == "2 steps are the same, 0 removed, 0 added, 0 changed"


def test_steps_of_one_plan_only_are_removed_or_added(plan):
    diff = diff_plans(plan, Plan(fields=plan.fields))
    assert [c.kind for c in diff.changes] == ["removed", "removed"]
    back = diff_plans(Plan(fields=plan.fields), plan)
    assert [c.kind for c in back.changes] == ["added", "added"]
    assert any("not there -> found at " in line for line in back.found)
    assert str(back).splitlines()[1].startswith("+ combined emosaic combined")


def test_a_changed_parameter_and_a_changed_file_are_named(plan, tree):
    step = plan.steps[0]
    command = evolve(step.command, parameters=(*step.command.parameters, ("sampling", "point")))
    path = Path(step.inputs[0].file.path)
    os.utime(path, ns=(1, 1))
    stat = path.stat()
    file = FoundFile(path=str(path), size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    changed = Step(command=command, inputs=[evolve(step.inputs[0], file=file), *step.inputs[1:]], obs_id=step.obs_id)
    diff = diff_plans(plan, evolve(plan, steps=[changed, plan.steps[1]], notes=["lacks pn"]))
    assert diff.same == 1
    (change,) = diff.changes
    assert (change.kind, change.task) == ("changed", "emosaic")
    assert change.details[0] == "sampling: not given -> 'point'"
    assert change.details[1].startswith(f"input {step.inputs[0].name}: {path} (")
    assert diff.notes == ("+ note: lacks pn",)
    assert hash(diff) == hash(diff_plans(plan, evolve(plan, steps=[changed, plan.steps[1]], notes=["lacks pn"])))


def test_a_step_that_waits_for_a_changed_one_says_so():
    a = chain({"0000000101": "/a"})
    b = chain({"0000000101": "/b"})
    diff = diff_plans(a, b)
    assert [c.kind for c in diff.changes] == ["changed", "changed"]
    assert diff.changes[1].details[0].startswith("input 0000000101.img: made by evselect-")
