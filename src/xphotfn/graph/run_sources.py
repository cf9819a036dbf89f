"""The lists of sources of a run, and its fields with the regions that were found."""

from attrs import evolve

from xphotfn.errors import ProductMissing, Remedy
from xphotfn.graph.result import Run
from xphotfn.io.match import with_regions
from xphotfn.io.source_lists import read_source_list
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.fields import of_kind
from xphotfn.records.left_out import FieldNote
from xphotfn.records.source_list import SourceList
from xphotfn.records.target import Target
from xphotfn.store.product_store import Store

__all__ = ("detected_field", "source_lists")

_NAME_BAND = Remedy("name one with band=", "name one with --band")
_NAME_TARGET = Remedy("name one with target=", "name one with --target")


def source_lists(run: Run, *, target: Target | str | None = None, band: Band | None = None) -> dict[str, SourceList]:
    """Return the lists of sources that a run has found, by ObsID.

    Parameters
    ----------
    run
        Of :func:`plan_detection`, or of :func:`plan_photometry` with ``regions="detect"``.
    target
        The field; needed where the run has several.
    band
        The band; needed where lists of several were made.

    Returns
    -------
    dict of str to SourceList
        In the order of ObsIDs; a joint list has the key ``combined``. :func:`with_regions` takes it.

    Raises
    ------
    ProductMissing
        If the run has several fields, or lists of several bands, and none is named; or it has no list.
    InvalidFile
        If a list is not what was published.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_detection
    >>> [(obs_id, len(sources.points)) for obs_id, sources in source_lists(example_detection()).items()]
    [('0999990101', 4)]
    """
    field = _field(run, target)
    there = [(p, path) for p, path, _ in run.products(field.name) if p.kind == "source_list"]
    bands = tuple(dict.fromkeys(p.band for p, _ in there))
    chosen = bands if band is None else tuple(b for b in bands if b == band)
    if not chosen:
        failed = "; ".join(dict.fromkeys(outcome.reason for outcome in run.failed))
        where = "" if band is None else f" in {band}"
        raise ProductMissing(
            f"the run has no list of sources of {field.name}{where}{f' ({failed})' if failed else ''}: use "
            'plan_detection, or plan_photometry(..., regions="detect")'
        )
    if len(chosen) > 1:
        listed = ", ".join(map(str, bands))
        raise ProductMissing(f"the run has lists of sources of {listed}", remedy=_NAME_BAND)
    names = {p.obs_id: path for p, path in there if p.band == chosen[0]}
    for path in names.values():  # a list is always made, never found
        Store(run.store).require_published(path)
    return {obs_id: evolve(read_source_list(names[obs_id]), target=field.name) for obs_id in sorted(names)}


def detected_field(run: Run, *, target: Target | str | None = None, band: Band | None = None) -> Field:
    """Return a field of a run with the regions of the sources that the run has found.

    Parameters
    ----------
    run, target, band
        As :func:`source_lists`, with its errors.

    Returns
    -------
    Field
        As :func:`with_regions` makes it of the lists. An observation of which none was made is left out, and
        ``left_out`` says so: measured without regions, sources that should be masked would count.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_detection
    >>> member = detected_field(example_detection()).members[0]
    >>> member.match.colour, len(member.interlopers)
    ('green', 4)
    """
    lists = source_lists(run, target=target, band=band)
    field = _field(run, target)
    if tuple(lists) == ("combined",):
        return with_regions(field, lists["combined"])
    found = with_regions(field, lists)
    without = [
        FieldNote(obs_id=obs_id, reason="regions", detail="no list of its sources was made: nothing would be masked")
        for obs_id in field.obs_ids
        if obs_id not in lists
    ]
    members = [member for member in found.members if member.obs_id in lists]
    return evolve(found, members=members, left_out=[*found.left_out, *without])


def _field(run: Run, target: Target | str | None) -> Field:
    of_kind(run, Run, "run(plan, ...)")
    name = target.name if isinstance(target, Target) else target
    if name is None and len(run.fields) == 1:
        return next(iter(run.fields.values()))
    if name is None or name not in run.fields:
        listed = ", ".join(run.fields)
        raise ProductMissing(f"the run has the fields {listed}", remedy=_NAME_TARGET)
    return run.fields[name]
