"""Strategies for observations and exposures as they may be found on disk, and for fields."""

import itertools

from hypothesis import strategies as st

from xphotfn.io.find import Inventory
from xphotfn.records.field import Field, FieldObservation
from xphotfn.records.grid import PixelGrid
from xphotfn.records.observation import Exposure, FoundProduct, Observation
from xphotfn.testing.strategies.of_basics import (
    CAMERAS,
    DATES,
    EXPOSURE_IDS,
    IMAGES,
    OBS_IDS,
    TEXT,
    files,
)
from xphotfn.testing.strategies.of_files import field_notes, left_outs, subspaces
from xphotfn.testing.strategies.of_regions import region_sets
from xphotfn.testing.strategies.of_sky import bands, grids, positions, targets

__all__ = (
    "exposures",
    "field_observations",
    "fields",
    "inventories",
    "observations",
)

_EVENT_LISTS, _ATTITUDES, _REGION_FILES, _INDICES, _FLARE_CURVES = (
    files(ending) for ending in ("evts.fits", "ATS.FIT", "reg", "cif", "FBKTSR0000.FIT")
)
_FILTERS = st.sampled_from(("", "Thin1", "Thin2", "Medium", "Thick"))
_SUBMODES = st.sampled_from(("", "PrimeFullWindow", "PrimeFullWindowExtended", "PrimeSmallWindow"))


def exposures(*, instrument: str | None = None) -> st.SearchStrategy[Exposure]:
    """Return a strategy for exposures: an event list, products, both or neither; their files need not exist.

    The instrument is ``pn``, ``mos1`` or ``mos2``; any of them if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(exposures(instrument="pn"))
    ... def test_it_is_of_that_camera(exposure):
    ...     assert exposure.instrument == "pn"
    >>> test_it_is_of_that_camera()
    """
    cameras = st.sampled_from(CAMERAS) if instrument is None else st.just(instrument)
    return st.tuples(cameras, grids()).flatmap(lambda pair: _exposures(*pair))


@st.composite
def _exposures(draw: st.DrawFn, instrument: str, grid: PixelGrid) -> Exposure:
    kinds = draw(st.sampled_from(((), ("image",), ("image", "exposure_map"))))
    band = draw(bands())
    return Exposure(
        instrument=instrument, exposure_id=draw(EXPOSURE_IDS), filter=draw(_FILTERS), submode=draw(_SUBMODES),
        exposure_s=draw(st.floats(0.0, 2e5)), events=draw(_EVENT_LISTS) if draw(st.booleans()) else None,
        filtered=draw(st.booleans()), cut=draw(st.booleans()),
        products=[
            FoundProduct(
                kind=kind,
                band=band,
                grid=grid,
                file=draw(IMAGES),
                subspace=draw(subspaces()),
                whole_list=draw(st.booleans()),
            )
            for kind in kinds
        ],
        flare_curve=draw(_FLARE_CURVES) if draw(st.booleans()) else None,
        subspace=draw(subspaces()),
    )  # fmt: skip


@st.composite
def observations(draw: st.DrawFn, *, obs_id: str | None = None) -> Observation:
    """Return a strategy for observations as they may be found on disk (any ObsID if None); their files need not exist.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(observations(obs_id="0404910601"))
    ... def test_a_camera_has_one_exposure(observation):
    ...     assert len(set(observation.instruments)) == len(observation.exposures)
    >>> test_a_camera_has_one_exposure()
    """
    grid = draw(grids())
    cameras = [camera for camera in CAMERAS if draw(st.booleans())]
    attitude, region_file, cif = (
        draw(files) if draw(st.booleans()) else None for files in (_ATTITUDES, _REGION_FILES, _INDICES)
    )
    return Observation(
        obs_id=draw(OBS_IDS) if obs_id is None else obs_id, ra_deg=grid.ra_deg, dec_deg=grid.dec_deg,
        object_name=draw(TEXT), date=draw(DATES), exposures=[draw(_exposures(camera, grid)) for camera in cameras],
        attitude=attitude, regions=region_file, cif=cif, left_out=draw(st.lists(left_outs(), max_size=2)),
        telescope="XMM" if obs_id else draw(st.sampled_from(("XMM", "CHANDRA"))),
    )  # fmt: skip


def inventories() -> st.SearchStrategy[Inventory]:
    """Return a strategy for what is below a folder: observations, and files that are not used.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(inventories())
    ... def test_observations_are_told_apart(found):
    ...     assert len({o.obs_id for o in found.observations}) == len(found.observations)
    >>> test_observations_are_told_apart()
    """
    return st.builds(
        Inventory,
        observations=st.lists(observations(), max_size=2, unique_by=lambda o: o.obs_id),
        left_out=st.lists(left_outs(), max_size=2),
    )


def field_observations(*, has_target: bool = True) -> st.SearchStrategy[FieldObservation]:
    """Return a strategy for observations of a field, with their regions sorted: all interlopers without a target.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(field_observations(has_target=False))
    ... def test_without_a_target_nothing_matches(member):
    ...     assert member.match is None
    >>> test_without_a_target_nothing_matches()
    """
    return OBS_IDS.flatmap(lambda obs_id: _members(obs_id, has_target))


@st.composite
def _members(draw: st.DrawFn, obs_id: str, has_target: bool) -> FieldObservation:
    observation = draw(observations(obs_id=obs_id))
    found = draw(region_sets(frame="image", max_size=5))
    if not has_target:
        return FieldObservation(observation=observation, region_grid=observation.grid, interlopers=found)
    cut = [0, *sorted(draw(st.integers(0, len(found))) for _ in range(2)), len(found)]
    kept, alternates, others = (found[start:stop] for start, stop in itertools.pairwise(cut))
    matched = bool(others) and draw(st.booleans())
    return FieldObservation(
        observation=observation, separation_arcmin=draw(st.floats(0.0, 30.0)), region_grid=observation.grid,
        match=others[0] if matched else None, alternates=alternates, kept=kept, interlopers=others[matched:],
    )  # fmt: skip


@st.composite
def fields(draw: st.DrawFn, *, bulk: bool | None = None, max_members: int = 3) -> Field:
    """Return a strategy for fields: a target with observations sorted by ObsID, or a bulk field; either if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(fields(bulk=False))
    ... def test_members_are_sorted(field):
    ...     assert field.obs_ids == tuple(sorted(field.obs_ids))
    >>> test_members_are_sorted()
    """
    gaps = draw(st.lists(st.integers(1, 10**8), min_size=1, max_size=max_members))
    names = [f"{number:010d}" for number in itertools.accumulate(gaps)]
    has_target = draw(st.booleans()) if bulk is None else not bulk
    members = [draw(_members(name, has_target)) for name in names]
    left_out = draw(st.lists(field_notes(), max_size=2))
    if not has_target:
        return Field(members=members, left_out=left_out)
    target = draw(targets())
    ra, dec = draw(positions()) if draw(st.booleans()) else (target.ra_deg, target.dec_deg)
    return Field(target=target, members=members, centre_ra_deg=ra, centre_dec_deg=dec, left_out=left_out)
