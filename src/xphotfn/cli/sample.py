"""One target or a sample: its fields and its plan. In a sample a target that fails is listed and sinks nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from xphotfn.cli import values
from xphotfn.cli.group import DONE_IN_PART
from xphotfn.cli.observations import observations_of
from xphotfn.cli.output import printable, say
from xphotfn.cli.positions import asked_position
from xphotfn.errors import PlanError, XphotfnError
from xphotfn.html import count

__all__ = ("Sample", "end", "failed_fields", "measured_field", "sample_of")

_OF_ONE = ("ra", "dec")
_WORDS = {
    "cluster": "taken as a cluster, for it has a redshift and a radius in kpc",
    "position": "taken as a plain position, to which every region that holds it belongs",
}


class Sample(NamedTuple):
    """Fields with their plan, and the targets that have none: pairs of name and reason."""

    plan: Any
    failures: tuple[tuple[str, str], ...]
    is_table: bool


def sample_of(root: Path, options: Mapping[str, Any], *, needs_radius: bool = False) -> Sample:
    """Return the plan of the target or targets that the options name."""
    import xphotfn as xp

    search = _search(options)
    targets, unusable = _targets(options, needs_radius)
    within = values.radius(options["within"], "--within")
    bands = [values.band(text) for text in options["bands"]]
    observations = observations_of(root)
    where: dict[str, Any] = {"region_image": options["region_image"]} if search is None else {"regions": ()}

    def match(some: Any) -> Any:
        found = xp.match_observations(some, observations, within=within, **where)
        _say_regions((found,) if isinstance(found, xp.Field) else found, observations, within)
        return found

    def plan(some: Any) -> Any:
        given = {name: options[name] for name in ("reference", "selection")}
        return xp.plan_photometry(some, bands, flares=values.flares(options["flares"]), regions=search, **given)

    if options["targets"] is None:
        planned = plan(match(targets[0]))
        if options["kind"] is None:
            say(f"note: no --kind is given: {_WORDS[targets[0].kind]}")
        return Sample(planned, (), False)
    fields, far = _covered(match, targets)
    good, unplanned = _each(lambda some: (plan(some), some)[1], fields)
    failures = (*unusable, *far, *unplanned)
    if not good:
        raise PlanError(f"none of the {len(failures)} targets can be measured:\n{_listed(failures)}")
    return Sample(plan(tuple(good)), failures, True)


def _search(options: Mapping[str, Any]) -> Any:
    """Return how sources are searched for, None where regions are those of files."""
    asked = {name: options[name] for name in ("threshold", "extent") if options[name] is not None}
    if options["regions"] == "detect":
        if options["region_image"] is not None:
            raise click.UsageError("--region-image and --regions detect exclude each other: no region file is read.")
        import xphotfn as xp

        return xp.SourceSearch(**asked)
    if asked:
        verb = "needs" if len(asked) == 1 else "need"
        raise click.UsageError(f"{' and '.join(_SEARCHED[name] for name in asked)} {verb} --regions detect.")
    return None


_SEARCHED = {"threshold": "--threshold", "extent": "--extent/--no-extent"}


def _covered(match: Callable[[Any], Any], targets: Sequence[Any]) -> tuple[tuple[Any, ...], list[tuple[str, str]]]:
    """Return the fields of the targets that are covered, and the names of the others with the reason."""
    fields = match(tuple(targets))
    failures: list[tuple[str, str]] = []
    for field in fields:
        if not field.members:
            try:
                match(field.target)
            except XphotfnError as error:
                failures.append((field.name, error.told("shell")))
    return tuple(field for field in fields if field.members), failures


def _say_regions(fields: Iterable[Any], observations: Sequence[Any], within: Any) -> None:
    """Say which regions, and observations for their regions, are not used; once, and nothing that find has said."""
    from xphotfn.science.coords import separation_deg

    ra, dec = ([getattr(o, name) for o in observations] for name in ("ra_deg", "dec_deg"))
    known = {(o.obs_id, str(note)) for o in observations for note in o.notes}
    said: dict[Any, None] = {}
    for field in fields:
        apart = separation_deg(field.target.ra_deg, field.target.dec_deg, ra, dec)
        near = {o.obs_id for o, d in zip(observations, apart, strict=True) if d <= within.to_value("deg")}
        here = (note for note in field.left_out if note.obs_id in near and (note.obs_id, note.why) not in known)
        said |= dict.fromkeys(here)
    for note in said:
        say(f"note: {note}")


def _each(make: Callable[[Any], Any], items: Sequence[Any]) -> tuple[tuple[Any, ...], list[tuple[str, str]]]:
    """Return what a function makes of all items at once or, where one fails, of each, with the names of those."""
    try:
        return tuple(make(tuple(items))), []
    except XphotfnError:
        pass
    made: list[Any] = []
    failures: list[tuple[str, str]] = []
    for item in items:
        try:
            made.append(make(item))
        except XphotfnError as error:
            failures.append((item.name, error.told("shell")))
    return tuple(made), failures


def _targets(options: Mapping[str, Any], needs_radius: bool) -> tuple[tuple[Any, ...], tuple[tuple[str, str], ...]]:
    """Return the targets, and those of a table whose row is wrong: pairs of name and reason."""
    if options["targets"] is not None:
        return _of_table(options)
    missing = [f"--{name}" for name in _OF_ONE if options[name] is None and options["name"] is None]
    if needs_radius and not options["radii"]:
        missing.append("--radius")
    if missing:
        what = "it" if len(missing) == 1 else "them"
        raise click.UsageError(f"Missing {', '.join(missing)}: give {what}, or a table of a sample with --targets.")
    ra, dec = asked_position(*(options[name] for name in (*_OF_ONE, "name")))
    radius = values.radius(options["radii"][0]) if options["radii"] else None
    return (_one(options, ra, dec, radius),), ()


def _of_table(options: Mapping[str, Any]) -> tuple[tuple[Any, ...], tuple[tuple[str, str], ...]]:
    from xphotfn.io.table_files import read_table
    from xphotfn.io.tables import target_rows
    from xphotfn.records.target import Target

    given = [f"--{name}" for name in (*_OF_ONE, "kind", "redshift") if options[name] is not None]
    if given:
        raise click.UsageError(f"{', '.join(given)} and --targets exclude each other: the table holds them.")
    rows = target_rows(read_table(options["targets"]))
    wrong = tuple((printable(name), found.told("shell")) for name, found in rows if isinstance(found, XphotfnError))
    return tuple(found for _, found in rows if isinstance(found, Target)), wrong


def _one(options: Mapping[str, Any], ra: float, dec: float, radius: Any) -> Any:
    """Return the target; what is made does not depend on its radius, which may be missing."""
    from xphotfn.records.target import Target

    kind, redshift = options["kind"], options["redshift"]
    if kind is None:
        far = redshift is not None and radius is not None and radius.unit.is_equivalent("kpc")
        kind = "cluster" if far else "position"
    return Target(name=options["name"] or "target", kind=kind, ra_deg=ra, dec_deg=dec, radius=radius, redshift=redshift)


def measured_field(run: Any, field: Any, options: Mapping[str, Any]) -> Any:
    """Return a field with the regions that mask in it: its own or, with --regions detect, those that the run found."""
    import xphotfn as xp

    if options["regions"] != "detect":
        if options["targets"] is None:
            _say_masked(field)
        return field
    band = min((values.band(text) for text in options["bands"]), key=lambda b: (b.lo_ev, b.hi_ev))
    for obs_id, found in xp.source_lists(run, target=field.name, band=band).items():
        say(f"note: {field.name}: {obs_id}, {band}: {found}")
    detected = xp.detected_field(run, target=field.name, band=band)
    for note in detected.left_out:
        if note not in field.left_out:
            say(f"note: {field.name}: {note}")
    return detected


def _say_masked(field: Any) -> None:
    """Say which region file masks other sources in each observation, and with how many regions."""
    for member in field.members:
        file = member.observation.regions
        if file is None:
            say(f"note: {field.name}: {member.obs_id}: no region file, no other source is masked: see --regions detect")
        else:
            number, own = len(member.interlopers), len(member.regions) - len(member.interlopers)
            rest = f"; {own} of the target not" if own else ""
            say(
                f"note: {field.name}: {member.obs_id}: {count(number, 'region')} of {Path(file.path).name} masked{rest}"
            )


def failed_fields(run: Any) -> dict[str, str]:
    """Return the fields of a run with a step that failed or waited for one, and why."""
    failed = {outcome.step: outcome.reason for outcome in run.failed}
    reasons = failed | {outcome.step: failed.get(outcome.because, "") for outcome in run.skipped}
    found: dict[str, dict[str, None]] = {}
    for product in run.plan.products:
        if product.step in reasons:
            found.setdefault(product.field_name, {})[reasons[product.step]] = None
    return {name: "; ".join(list(why)[:3]) for name, why in found.items()}


def end(failures: Iterable[tuple[str, str]]) -> None:
    """List targets that failed on stderr, and end with the status of work that is done in part."""
    listed = tuple(failures)
    if listed:
        many = "1 target" if len(listed) == 1 else f"{len(listed)} targets"
        click.echo(printable(f"xphotfn: {many} failed:\n{_listed(listed)}"), err=True)
        click.get_current_context().exit(DONE_IN_PART)


def _listed(failures: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"  {name}: {reason}" for name, reason in failures)
