"""Good time without flares as steps of a plan: what is done about the flares of a list, and why.

Pure: what a list is, its record says.
"""

import math
import re
from pathlib import PurePath
from typing import Literal, NamedTuple, TypeAlias, assert_never, final

from attrs import evolve, field, frozen

from xphotfn.commands.command import Command
from xphotfn.commands.default_selection import selection_expression
from xphotfn.commands.own_times import flarecut, gtiwrite
from xphotfn.commands.selection import GtiFilter, columns, parse, walk
from xphotfn.commands.step import Step, StepInput
from xphotfn.commands.timing import evselect_rate, tabgtigen
from xphotfn.errors import ExpressionError, PlanError
from xphotfn.records.fields import items
from xphotfn.records.good_times import GoodTimes
from xphotfn.records.instrument import instrument
from xphotfn.records.observation import Exposure, FoundFile, Observation
from xphotfn.science.flares import FLARE_BAND
from xphotfn.science.joint.flare_state import JOINT_BIN_S
from xphotfn.science.time_bins import FRAME_BINS

__all__ = ("FlareChoice", "Flares", "GoodTimePart", "cuts_times", "flare_choice", "good_time_part", "together")

Flares: TypeAlias = str | GoodTimes
"""``auto``, ``optimum``, ``quiet``, ``keep``, good time, or a condition on a light curve such as ``RATE<=0.4``.

``joint-optimum`` and ``joint-quiet`` judge all cameras of an observation as one.
"""


_HARD = {"pn": "PI in [10000:12000]", "mos": "PI > 10000"}
_HARD_BIN_S = 100
_FITS = re.compile(r"\.(?:fits?|fts|ftz)(?:\.gz)?\Z", re.IGNORECASE)
Kind: TypeAlias = Literal["auto", "keep", "optimum", "quiet", "expression", "given"]
_WORDS: dict[str, tuple[Kind, bool]] = {
    "auto": ("auto", False),
    "keep": ("keep", False),
    "optimum": ("optimum", False),
    "quiet": ("quiet", False),
    "joint-optimum": ("optimum", True),
    "joint-quiet": ("quiet", True),
}
_CURVE = frozenset(("RATE", "ERROR", "TIME"))


@final
@frozen(kw_only=True)
class FlareChoice:
    """What is to be done about flares.

    Parameters
    ----------
    kind
        ``auto``, ``keep``, ``optimum``, ``quiet``, ``expression`` or ``given``.
    expression
        The condition on the light curve, for ``expression``.
    good
        The good time, for ``given``.
    joint
        Whether the lists of an observation are judged as one, for ``optimum`` and ``quiet``.
    """

    kind: Kind = "auto"
    expression: str = ""
    good: GoodTimes = GoodTimes(intervals=())
    joint: bool = False

    @property
    def demands_cut(self) -> bool:
        """Whether the user asks for a cut, so that what was found with other times is not what is wanted."""
        return self.kind not in ("auto", "keep")


@final
@frozen(kw_only=True)
class GoodTimePart:
    """What is added to a selection, the file that this reads, the steps that make it, and what is said of it."""

    selection: str = ""
    inputs: tuple[StepInput, ...] = field(default=(), converter=items)
    steps: tuple[Step, ...] = field(default=(), converter=items)
    notes: tuple[str, ...] = field(default=(), converter=items)


def flare_choice(flares: Flares) -> FlareChoice:
    """Return what an argument ``flares=`` means.

    Raises
    ------
    PlanError
        For a word that is none of these, or a condition that speaks of other columns than RATE, ERROR and TIME.

    Examples
    --------
    >>> flare_choice("quiet").kind, flare_choice("RATE<=0.4").kind
    ('quiet', 'expression')
    """
    if isinstance(flares, GoodTimes):
        if not math.isfinite(flares.seconds):
            raise PlanError(f"flares need good time with a start and an end, got {flares!r}: cut it with & first")
        return FlareChoice(kind="given", good=flares)
    if isinstance(flares, str) and flares in _WORDS:
        kind, joint = _WORDS[flares]
        return FlareChoice(kind=kind, joint=joint)
    problem = PlanError(
        f"flares are cut by {', '.join(map(repr, _WORDS))}, good_times(...), or a condition on a light curve such as "
        f"'RATE<=0.4', got {flares!r}"
    )
    if not isinstance(flares, str):
        raise problem
    try:
        names = set(columns(parse(flares)))
    except ExpressionError:
        raise problem from None
    if not names or not names <= _CURVE:
        raise problem
    return FlareChoice(kind="expression", expression=flares)


class _List(NamedTuple):
    """The event list of an exposure, as a plan knows it."""

    observation: Observation
    exposure: Exposure
    table: StepInput

    @property
    def who(self) -> str:
        return f"{self.observation.obs_id} {self.exposure.instrument} {self.exposure.exposure_id}"

    def name(self, kind: str) -> str:
        return f"{self.observation.obs_id}_{self.exposure.instrument}_{self.exposure.exposure_id}_{kind}.fits"


def good_time_part(
    observation: Observation, exposure: Exposure, table: StepInput, choice: FlareChoice, selection: str | None
) -> GoodTimePart:
    """Return what is added to the selection of an exposure so that its flares are cut.

    Parameters
    ----------
    observation, exposure
        Which; the exposure has an event list.
    table
        The event list under its plain name.
    choice
        What is to be done.
    selection
        What the user selects: one that cuts times itself counts as cut by ``auto``.
    """
    events = _List(observation, exposure, table)
    kind = choice.kind
    if kind == "auto":
        if _names_time(selection) or not cuts_times(exposure, choice, selection):
            return GoodTimePart()
        return _cut(events, "optimum") if exposure.flare_curve is None else _by_pipeline(events, exposure.flare_curve)
    match kind:
        case "keep":
            return _kept_as_it_is(events)
        case "optimum" | "quiet":
            return _cut_together(events, kind) if choice.joint else _cut(events, kind)
        case "expression":
            return _by_rate(events, choice.expression)
        case "given":
            return _given(events, choice.good)
        case _:
            assert_never(kind)


def cuts_times(exposure: Exposure, choice: FlareChoice, selection: str | None) -> bool:
    """Return whether an image that is made of a list holds less time than the list: by its selection or its flares.

    Examples
    --------
    >>> raw = Exposure(instrument="mos1", exposure_id="S001")
    >>> cuts_times(raw, FlareChoice(kind="keep"), "PATTERN == 0"), cuts_times(raw, FlareChoice(kind="keep"), "TIME < 9")
    (False, True)
    """
    if _names_time(selection) or choice.demands_cut:
        return True
    return choice.kind == "auto" and not (exposure.filtered or exposure.cut)


def _names_time(selection: str | None) -> bool:
    if selection is None:
        return False
    tree = parse(selection)
    return "TIME" in {name.upper() for name in columns(tree)} or any(isinstance(node, GtiFilter) for node in walk(tree))


def _kept_as_it_is(events: _List) -> GoodTimePart:
    if events.exposure.filtered or events.exposure.cut:
        return GoodTimePart()
    return GoodTimePart(notes=(f"{events.who}: a raw event list is used with its flares (flares='keep')",))


_GOALS = {"optimum": "for the best signal-to-noise of faint sources", "quiet": "until no flare is left"}


def _cut(events: _List, goal: str) -> GoodTimePart:
    curve = events.exposure.flare_curve
    listed = curve or _source_list(events.observation)
    without = "" if listed is None else f", without the sources of {PurePath(listed.path).name}"
    return _judged(events, goal, f"flares are cut {_GOALS[goal]}{without} (flares='{goal}')")


def _cut_together(events: _List, goal: str) -> GoodTimePart:
    """Return the cut on the curves of all lists of the observation as one."""
    lists = [_other(events, e) for e in events.observation.exposures if e.events is not None]
    others = [item for item in lists if item.exposure.events != events.exposure.events]
    if not others:
        alone = _cut(events, goal)
        note = f"{events.who}: no other list of the observation is there to judge its flares with"
        return evolve(alone, notes=(*alone.notes, note))
    curves = [_curve_step(item) for item in others]
    cameras = ", ".join(f"{item.exposure.instrument} {item.exposure.exposure_id}" for item in others)
    note = f"flares are cut {_GOALS[goal]}, judged together with {cameras} (flares='joint-{goal}')"
    return _judged(events, goal, note, others=tuple(curves))


def _other(events: _List, exposure: Exposure) -> _List:
    name = f"{events.observation.obs_id}_{exposure.instrument}_{exposure.exposure_id}_evts.fits"
    ending = "" if exposure.events is None else _packed(exposure.events)
    table = StepInput(name=f"{name}{ending}", file=exposure.events)
    return _List(events.observation, exposure, table)


def _curve_step(events: _List) -> Step:
    """Return the step that makes the light curve of a list for the cuts of the others."""
    command, inputs = _flarecut(events, "curve", JOINT_BIN_S)
    return Step(command=command, inputs=inputs, obs_id=events.observation.obs_id)


def _by_pipeline(events: _List, curve: FoundFile) -> GoodTimePart:
    """Return the pipeline's own cut on its own curve, found beside the list."""
    note = f"flares are cut as the pipeline does, at FLCUTTHR of its light curve {PurePath(curve.path).name}"
    return _judged(events, "pipeline", f"{note} (flares='auto')")


def _judged(
    events: _List, goal: str, note: str, before: tuple[Step, ...] = (), others: tuple[Step, ...] = ()
) -> GoodTimePart:
    """Return a cut that is found in a light curve, with the pipeline's curve as an input where it is known.

    The last step ``before`` makes the good time, where it is not to be found; ``others`` make the curves of the other
    lists that are judged with this one.
    """
    width = JOINT_BIN_S if others else FRAME_BINS[events.exposure.instrument]
    command, inputs = _flarecut(events, goal, width, before, others)
    step = Step(command=command, inputs=inputs, obs_id=events.observation.obs_id)
    return _with_table(step, (*before, *others, step), (f"{events.who}: {note}",))


def _flarecut(
    events: _List, goal: str, width_s: float, before: tuple[Step, ...] = (), others: tuple[Step, ...] = ()
) -> tuple[Command, tuple[StepInput, ...]]:
    """Return the command that judges a list, and what it reads."""
    camera, curve = events.exposure.instrument, events.exposure.flare_curve
    name = "" if curve is None else events.name("flare_curve") + _packed(curve)
    made, joint = (
        [StepInput(name=step.command.outputs[0], step=step.id) for step in steps] for steps in (before[-1:], others)
    )
    listed = _source_list(events.observation)
    sources = "" if listed is None else f"{events.observation.obs_id}_sources.fits{_packed(listed)}"
    command = flarecut(
        events.table.name,
        events.name(f"{'joint_' if others else ''}{goal}_gti"),
        expression=selection_expression(*FLARE_BAND, camera, filtered=events.exposure.filtered),
        goal=goal,
        timebinsize=width_s,
        curve=name,
        sources=sources,
        goodtime=made[0].name if made else "",
        jointcurves=[item.name for item in joint],
    )
    files = ((name, curve), (sources, listed))
    beside = (StepInput(name=link, file=file) for link, file in files if file is not None)
    return command, (events.table, *beside, *made, *joint)


def _packed(file: FoundFile) -> str:
    return ".gz" if file.path.lower().endswith((".gz", ".ftz")) else ""


def _source_list(observation: Observation) -> FoundFile | None:
    """Return the list of sources of an observation; region files of DS9 may mean anything."""
    found = observation.regions
    return found if found is not None and _FITS.search(found.path) else None


def _given(events: _List, good: GoodTimes) -> GoodTimePart:
    table = Step(command=gtiwrite(events.name("given_times"), good), obs_id=events.observation.obs_id)
    return _judged(events, "given", f"good time of {good.seconds / 1000:.1f} ks is used as given", (table,))


def _by_rate(events: _List, expression: str) -> GoodTimePart:
    """Return the usual recipe: a condition on the curve of single events of high energy in bins of 100 s."""
    obs_id = events.observation.obs_id
    camera = instrument(events.exposure.instrument)
    hard = f"{camera.flag_macro} && ({_HARD[camera.family]}) && (PATTERN == 0)"
    rate = evselect_rate(events.table.name, events.name("rate"), expression=hard, timebinsize=_HARD_BIN_S)
    curve = Step(command=rate, inputs=(events.table,), obs_id=obs_id)
    made = StepInput(name=rate.outputs[0], step=curve.id)
    table = tabgtigen(f"{made.name}:RATE", events.name("rate_times"), expression=expression)
    step = Step(command=table, inputs=(made,), obs_id=obs_id)
    note = f"flares are cut where not {expression} in single events of high energy, bins of 100 s"
    return _judged(events, "expression", note, (curve, step))


def _with_table(step: Step, steps: tuple[Step, ...], notes: tuple[str, ...]) -> GoodTimePart:
    name = step.command.outputs[0]
    made = StepInput(name=name, step=step.id)
    return GoodTimePart(selection=f"gti({name},TIME)", inputs=(made,), steps=steps, notes=notes)


def together(selection: str, good: str) -> str:
    """Return a selection and a condition on good time as one; either may be empty.

    Examples
    --------
    >>> together("PATTERN == 0 || PI > 900", "gti(a.fits,TIME)")
    '(PATTERN == 0 || PI > 900) && gti(a.fits,TIME)'
    """
    return f"({selection}) && {good}" if selection and good else selection or good
