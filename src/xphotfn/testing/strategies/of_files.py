"""Strategies for what files hold: energies, selections, facts of files for one place, and reasons."""

from hypothesis import strategies as st

from xphotfn.records.energies import Energies, PiRanges
from xphotfn.records.facts import KINDS, PRODUCTS, FileFacts
from xphotfn.records.good_times import GoodTimes
from xphotfn.records.left_out import FIELD_REASONS, REASONS, FieldNote, LeftOut
from xphotfn.records.observation import FoundFile
from xphotfn.records.subspace import EVERY_FLAG, Subspace
from xphotfn.testing.strategies.of_basics import CAMERAS, DATES, EXPOSURE_IDS, OBS_IDS, WORD
from xphotfn.testing.strategies.of_sky import bands, grids, positions

__all__ = ("energies", "field_notes", "file_facts", "left_outs", "subspaces")

_RANGES = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 9000)).map(lambda ends: (ends[0], sum(ends))), max_size=2
).map(lambda found: PiRanges(ranges=found or [(None, None)]))
_FLAGS = st.sampled_from((0, 0x762A0000, 0x766A0000, 0x766BA000, EVERY_FLAG))
_TIMES = st.sampled_from(((), ("gti(a.fits,TIME)",), ("gti(a.fits,TIME)", "gti(b.fits,TIME)")))
_PLACES = st.sampled_from(((), ("circle(25921,25921,3000,X,Y)",), ("DETX,DETY in :REG00107",)))
_FILTERS, _MODES = st.sampled_from(("", "Thin1", "Medium")), st.sampled_from(("", "PrimeFullWindow"))
_ON_TIMES = st.sampled_from(((), (("EXPOSURE", 9e3),), (("EXPOSURE", 3e3),)))
_CONTENTS = st.sampled_from(("a" * 32, "b" * 32, "c" * 32, "d" * 32))


def energies() -> st.SearchStrategy[Energies]:
    """Return a strategy for the energies that a selection lets through.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(energies())
    ... def test_what_passes_everywhere_passes_somewhere(found):
    ...     assert found.everywhere & found.somewhere == found.everywhere
    >>> test_what_passes_everywhere_passes_somewhere()
    """
    return st.builds(
        lambda one, two, unread: Energies(everywhere=one & two, somewhere=one, unread=unread),
        _RANGES, _RANGES, st.booleans(),
    )  # fmt: skip


def subspaces() -> st.SearchStrategy[Subspace]:
    """Return a strategy for selections; a few of each thing, so that one often holds another.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(subspaces())
    ... def test_flags_are_bits(subspace):
    ...     assert 0 <= subspace.flags < 2**32
    >>> test_flags_are_bits()
    """
    return st.builds(
        Subspace, energies=energies(), times=_TIMES, places=_PLACES, flags=_FLAGS,
        patterns=st.sampled_from((None, 4, 12)), other=st.sampled_from(((), ("PHA > 10",))),
    )  # fmt: skip


def left_outs(*, obs_id: str | None = None) -> st.SearchStrategy[LeftOut]:
    """Return a strategy for files that are not used, with the reason; of any ObsID or none if ``obs_id`` is None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(left_outs())
    ... def test_its_text_names_the_file(item):
    ...     assert str(item).startswith(item.file)
    >>> test_its_text_names_the_file()
    """
    names = st.lists(WORD, max_size=2)
    return st.builds(
        LeftOut, file=WORD, reason=st.sampled_from(tuple(REASONS)),
        obs_id=st.just("") | OBS_IDS if obs_id is None else st.just(obs_id),
        instrument=st.sampled_from(("", *CAMERAS)), exposure_id=st.just("") | EXPOSURE_IDS, kind=st.sampled_from(KINDS),
        band=st.none() | bands(), preferred=names, differs=names, detail=st.just("") | WORD,
    )  # fmt: skip


@st.composite
def field_notes(draw: st.DrawFn) -> FieldNote:
    """Return a strategy for what a field leaves out, with the reason.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(field_notes())
    ... def test_its_text_begins_with_the_observation(note):
    ...     assert str(note).startswith(f"{note.obs_id}: ")
    >>> test_its_text_begins_with_the_observation()
    """
    reason = draw(st.sampled_from(tuple(FIELD_REASONS)))
    is_far, arcmin = reason == "far", st.floats(0, 1e4)
    return FieldNote(
        obs_id="" if reason == "none" else draw(OBS_IDS), reason=reason, detail="" if is_far else draw(WORD),
        arcmin=draw(arcmin) if is_far else None, limit_arcmin=draw(arcmin) if is_far else None,
    )  # fmt: skip


@st.composite
def file_facts(draw: st.DrawFn, *, kind: str | None = None) -> FileFacts:
    """Return a strategy for what one file holds, after a close look; files of equal content hold the same.

    The kind is image, exposure_map, events, flare_curve, attitude, cif or regions; any of them if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(file_facts(kind="image"))
    ... def test_an_image_that_can_be_used_has_a_band(facts):
    ...     assert facts.reason or facts.band is not None
    >>> test_an_image_that_can_be_used_has_a_band()
    """
    chosen = draw(st.sampled_from([k for k in KINDS if k])) if kind is None else kind
    name = draw(st.builds("{}/{}".format, WORD, WORD))
    start, stop = draw(st.sampled_from(((0.0, 10.0), (0.0, 20.0), (10.0, 30.0))))
    product, camera = chosen in PRODUCTS, chosen in (*PRODUCTS, "events", "flare_curve")
    return FileFacts(
        name=name, file=FoundFile(path=f"/{name}", size=draw(st.integers(0, 99)), mtime_ns=0), kind=chosen,
        reason=draw(st.sampled_from(("", "", "", "closed"))), detail=draw(st.just("") | WORD),
        obs_id=draw(st.sampled_from(("0999990101", "0999990201"))), exposure_s=draw(st.floats(0.0, 1e5)),
        filter=draw(_FILTERS), submode=draw(_MODES), object_name=draw(WORD), date=draw(st.just("") | DATES),
        pointing=draw(st.none() | positions()), regions=draw(st.sampled_from(((), ("e" * 32,)))),
        instrument=draw(st.sampled_from(CAMERAS)) if camera else "",
        exposure_id=draw(st.sampled_from(("", "S001", "U002"))) if camera else "",
        band=draw(bands()) if product else None, grid=draw(grids()) if product else None,
        subspace=draw(subspaces()), cut=draw(st.booleans()), rows=draw(st.integers(0, 3)), rank=draw(st.integers(0, 1)),
        chosen=draw(st.integers(0, 2)), on_times=draw(_ON_TIMES),
        time_ranges=draw(st.sampled_from(((), ("TIME < 9",)))), digest=draw(_CONTENTS),
        good_times=draw(st.sampled_from(((), (("1", GoodTimes(intervals=[(start, stop)])),)))),
    )  # fmt: skip
