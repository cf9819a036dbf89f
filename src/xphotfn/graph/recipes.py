"""Recipes: what steps give images, exposure maps and mosaics of fields. Nothing runs.

Pure, and no disk is looked at, but for the files that a selection names.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal

from attrs import evolve

from xphotfn.commands.image_grid import ImageGrid
from xphotfn.errors import PlanError
from xphotfn.graph.detection_steps import detection_part
from xphotfn.graph.flare_steps import Flares, flare_choice
from xphotfn.graph.plan import Plan
from xphotfn.graph.product_steps import Part, Wish, exposure_map_part, exposures_of, image_part, join, mosaic_part
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.fields import one_or_several
from xphotfn.science.detection.settings import SourceSearch, spread_to_text
from xphotfn.science.spreads import PsfLike

__all__ = ("plan_detection", "plan_exposure_maps", "plan_images", "plan_mosaics", "plan_photometry")

Fields = Field | Iterable[Field]
Bands = Band | Iterable[Band]


def plan_images(
    field_or_fields: Fields,
    band_or_bands: Bands,
    *,
    grid: ImageGrid | None = None,
    selection: str | None = None,
    reference: str | None = None,
    flares: Flares = "auto",
) -> Plan:
    """Return the plan of one image per observation, camera and band.

    Parameters
    ----------
    field_or_fields
        One field or several; observations that they share are processed once.
    band_or_bands
        One band or several.
    grid
        Pixels of the images; default X and Y 3649..48106 in bins of 87, 512 x 512.
    selection
        Event selection in SAS's language, to which the band is added. Default: the band alone where the event list's
        own record holds flags and patterns, else also ``#XMMEA_EM && PATTERN <= 12`` (pn: ``#XMMEA_EP``, ``<= 4``); a
        selection that speaks of neither, such as ``gti(good.fits,TIME)``, is added to that default. The files of
        ``gti()``, ``region()`` and ``mask()`` are looked for beside each event list, then as they are given; they are
        inputs of the step.
    reference
        ObsID whose image sets the grid of mosaics; without effect here.
    flares
        What is done about flares in event lists that images are made from. ``"auto"``: a list whose own record holds
        flags and patterns, or a cut of its times, counts as clean and is left alone, as is one whose times
        ``selection`` cuts; a raw list is cut as by ``"optimum"``. ``"optimum"``: the best signal-to-noise of faint
        sources; ``"quiet"``: until no flare is left, for extended light; ``"keep"``: all of the time. Good time
        (:func:`good_times`) is used as it is. A condition such as ``"RATE<=0.4"`` is the usual recipe: single events of
        high energy in bins of 100 s, not corrected for live time. Exposure maps hold the same times as their images;
        the plan's notes say what is done and the warnings of the run what was kept.

    Returns
    -------
    Plan
        Images that were found are used as they are, unless ``grid`` differs from theirs, ``selection`` is given or
        ``flares`` asks for a cut: ``"optimum"``, ``"quiet"``, good time or a condition.

    Raises
    ------
    PlanError
        If a field has neither an image nor an event list, there is no band, a file of the selection is nowhere, or
        ``flares`` is none of these.
    ExpressionError
        If the selection cannot be read.

    Examples
    --------
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_images(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> len(plan.steps), [p.kind for p in plan.products]
    (0, ['image'])
    """
    wish = _wish(band_or_bands, grid, selection, reference, flares)
    return _plan(field_or_fields, wish, _images)


def plan_exposure_maps(
    field_or_fields: Fields,
    band_or_bands: Bands,
    *,
    grid: ImageGrid | None = None,
    selection: str | None = None,
    reference: str | None = None,
    vignetting: bool = True,
    flares: Flares = "auto",
) -> Plan:
    """Return the plan of one exposure map per image, with the images.

    Parameters
    ----------
    field_or_fields, band_or_bands, grid, selection, reference
        As :func:`plan_images`, with its errors. A found map is used for a found image, and for one that is made with
        the times of the whole list; of an image whose times are cut the map is made, too.
    vignetting
        False: maps without the vignetting of the telescope, by which particles are spread. Found maps have it, so all
        are made. :func:`rate_maps` of that run pairs them with the images; their ``exposure`` is what
        :func:`background_weights` takes.
    flares
        As :func:`plan_images`.

    Examples
    --------
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_exposure_maps(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> [p.kind for p in plan.products]
    ['image', 'exposure_map']
    """
    wish = evolve(_wish(band_or_bands, grid, selection, reference, flares), vignetting=vignetting)
    return _plan(field_or_fields, wish, _exposure_maps)


def plan_mosaics(
    field_or_fields: Fields,
    band_or_bands: Bands,
    *,
    grid: ImageGrid | None = None,
    selection: str | None = None,
    reference: str | None = None,
    flares: Flares = "auto",
) -> Plan:
    """Return the plan of one mosaic of images and one of exposure maps per field and band.

    Parameters
    ----------
    field_or_fields, band_or_bands, grid, selection
        As :func:`plan_images`.
    reference
        ObsID whose image sets the grid of the mosaic; default the lowest ObsID.
    flares
        As :func:`plan_images`.

    Returns
    -------
    Plan
        With all images and exposure maps that go into the mosaics.

    Raises
    ------
    PlanError
        If a field has no target, no exposure of it has both an image and an exposure map, or no field holds
        ``reference``.

    Examples
    --------
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> [step.command.task for step in plan.steps]
    ['emosaic', 'emosaic']
    """
    wish = _wish(band_or_bands, grid, selection, reference, flares)
    return _plan(field_or_fields, wish, _mosaics)


def plan_photometry(
    field_or_fields: Fields,
    band_or_bands: Bands,
    *,
    grid: ImageGrid | None = None,
    selection: str | None = None,
    reference: str | None = None,
    flares: Flares = "auto",
    regions: Literal["detect"] | SourceSearch | None = None,
) -> Plan:
    """Return the plan of everything that photometry needs: images, exposure maps and their mosaics.

    Parameters
    ----------
    field_or_fields, band_or_bands, grid, selection, reference, flares
        As :func:`plan_mosaics`, with its errors; a field without a target gets no mosaic here.
    regions
        ``"detect"``: also the sources of each observation, as :func:`plan_detection` finds them by default, or a
        :class:`SourceSearch`, such as ``SourceSearch(threshold=6)``, that says how. :func:`detected_field` gives the
        field with their regions in place of those of files.

    Examples
    --------
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_photometry(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> len(plan.products)
    4
    """
    search = SourceSearch() if isinstance(regions, str) and regions == "detect" else regions
    if not isinstance(search, SourceSearch | None):
        raise PlanError(
            f'regions must be "detect", a SourceSearch, or None for those of files, got {str(regions)[:60]!r}: '
            "give lists and regions that are there already to match_observations or with_regions"
        )
    wish = _wish(band_or_bands, grid, selection, reference, flares)
    return _plan(
        field_or_fields, wish, _photometry if search is None else partial(_photometry_with_sources, search=search)
    )


def plan_detection(
    field_or_fields: Fields,
    band_or_bands: Bands,
    *,
    grid: ImageGrid | None = None,
    selection: str | None = None,
    flares: Flares = "auto",
    threshold: float = 10.0,
    extent: bool = True,
    joint: bool = False,
    psf: PsfLike = "epic",
) -> Plan:
    """Return the plan of a list of sources per observation and band, with what it is made of.

    Parameters
    ----------
    field_or_fields, band_or_bands, grid, selection, flares
        As :func:`plan_images`, with its errors.
    threshold, extent
        As :func:`detect_sources`: least likelihood, and whether extended sources are looked for.
    joint
        One list of all observations of a field, searched together, instead of one of each.
    psf
        The point spread function, as :func:`detect_sources` takes it. Its numbers are part of the command, so that
        other ones make other products.

    Returns
    -------
    Plan
        Images, exposure maps, and for each list one step for all its cameras, which makes the list (FITS), its regions
        (DS9) and a background map for each image. :func:`source_lists` reads the lists of a run.

    Raises
    ------
    PlanError
        If no exposure of a field has both an image and an exposure map.
    InvalidRecord
        If ``threshold`` is no likelihood from 4, ``extent`` or ``joint`` is not True or False, or ``psf`` is none.

    Notes
    -----
    Only the native engine finds sources. A joint search of observations that point more than 15 arcmin apart has a step
    for each tile of the sky, of 30 arcmin with a margin of 6, and steps that join what the tiles have; any other is one
    step, with all maps in memory.

    Examples
    --------
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_detection(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> [p.kind for p in plan.products]
    ['image', 'exposure_map', 'source_list', 'regions', 'background_map']
    """
    wish = _wish(band_or_bands, grid, selection, None, flares)
    search = SourceSearch(threshold=threshold, extent=extent, joint=joint, psf=spread_to_text(psf))
    return _plan(field_or_fields, wish, partial(_detection, search=search))


def _wish(bands: Bands, grid: ImageGrid | None, selection: str | None, reference: str | None, flares: Flares) -> Wish:
    wanted = one_or_several(bands, Band, "energy_band(0.5*u.keV, 2*u.keV)")
    if not wanted:
        raise PlanError("no energy band was given: use energy_band(0.5*u.keV, 2*u.keV)")
    if grid is not None and grid.bins[0] != grid.bins[1]:
        x_bin, y_bin = grid.bins
        raise PlanError(
            f"pixels of {x_bin} by {y_bin} units are not square: only square ones are measured; give equal bins"
        )
    unique = tuple(sorted(set(wanted), key=lambda b: (b.lo_ev, b.hi_ev)))
    choice = flare_choice(flares)
    return Wish(bands=unique, grid=grid, selection=selection, reference=reference, flares=choice)


def _plan(fields: Fields, wish: Wish, recipe: "type | object") -> Plan:
    wanted = one_or_several(fields, Field, "match_observations(target, observations)")
    if not wanted:
        raise PlanError("no field was given: use match_observations(target, observations)")
    twice = sorted(name for name, count in Counter(f.name for f in wanted).items() if count > 1)
    if twice:
        raise PlanError(f"several fields are called {', '.join(twice)}: give each target a name of its own")
    if wish.reference is not None and not any(wish.reference in f.obs_ids for f in wanted):
        raise PlanError(f"the reference {wish.reference!r} is in no field; they hold {_listed(wanted)}")
    empty = [f"{f.name}: no observation can be used: {'; '.join(note.why for note in f.left_out[:3])}"
             for f in wanted if not f.members]  # fmt: skip
    ordered = sorted((f for f in wanted if f.members), key=lambda f: f.name)
    if not ordered:
        raise PlanError(f"no field has an observation: {empty[0]}; does find_observations(root) find any near?")
    whole = join(recipe(f, wish) for f in ordered)  # type: ignore[operator]
    return Plan(steps=whole.steps, fields=ordered, products=whole.products, notes=dict.fromkeys([*empty, *whole.notes]))


def _listed(fields: Sequence[Field]) -> str:
    obs_ids = sorted({o for f in fields for o in f.obs_ids})
    return ", ".join(obs_ids[:10]) + (f" and {len(obs_ids) - 10} more" if len(obs_ids) > 10 else "")


def _images(target: Field, wish: Wish) -> Part:
    empty = [f"{o.obs_id}: no usable exposure" for o in target.observations if not o.exposures]
    images = [image_part(target, o, e, band, wish) for o, e in exposures_of(target) for band in wish.bands]
    part = join([Part(notes=empty), *images])
    if not part.products:
        raise PlanError(f"{target.name}: no image can be made: " + ("; ".join(part.notes[:3]) or "it has no exposure"))
    return part


def _exposure_maps(target: Field, wish: Wish) -> Part:
    images = _images(target, wish)
    by_what = {p.what: p for p in images.products}
    maps = [
        exposure_map_part(by_what[(target.name, o.obs_id, e.exposure_id, e.instrument, band)], o, e, wish)
        for o, e in exposures_of(target)
        for band in wish.bands
        if (target.name, o.obs_id, e.exposure_id, e.instrument, band) in by_what
    ]
    return join([images, *maps])


def _mosaics(target: Field, wish: Wish) -> Part:
    if target.target is None:
        raise PlanError(
            "a bulk field has no target, so its observations may lie anywhere: a mosaic of them is not made; "
            "use match_observations(target, observations)"
        )
    maps = _exposure_maps(target, wish)
    return join([maps, *(mosaic_part(target, maps, band, wish.reference) for band in wish.bands)])


def _detection(target: Field, wish: Wish, *, search: SourceSearch) -> Part:
    maps = _exposure_maps(target, wish)
    return join([maps, detection_part(target, maps, wish.bands, search)])


def _photometry_with_sources(target: Field, wish: Wish, *, search: SourceSearch) -> Part:
    maps = _photometry(target, wish)
    return join([maps, detection_part(target, maps, wish.bands, search)])


def _photometry(target: Field, wish: Wish) -> Part:
    return _exposure_maps(target, wish) if target.target is None else _mosaics(target, wish)
