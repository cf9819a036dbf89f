"""Maps in a place that the user names: the store of a run, a folder with images and exposure maps, or one file."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from attrs import frozen

from xphotfn.cli.missing_maps import how_to_make
from xphotfn.errors import InvalidFile, InvalidRecord, ProductMissing, XphotfnError

if TYPE_CHECKING:
    from xphotfn.typing import Header

__all__ = ("MapThere", "Place", "exposure_map_of", "is_store", "maps_in", "maps_of", "place_of", "product_of", "run_of",
           "unique")  # fmt: skip


def is_store(path: Path) -> bool:
    """Whether a folder is the store of runs."""
    from xphotfn.io.tree import STORE_MARK

    return (path / STORE_MARK).is_file()


def run_of(store: Path, which: str | None = None) -> Any:
    """Return all runs of a store as one, or the one whose id begins as ``which``; notes are said."""
    import xphotfn as xp
    from xphotfn.cli.output import say

    runs = xp.runs(store)
    fitting = [run for run in runs if which is None or run.plan.id.startswith(which)]
    if which is not None and len(fitting) != 1:
        if not fitting:
            _read_as_named(store, which)
        there = ", ".join(run.plan.id[:8] for run in fitting or runs)
        raise ProductMissing(
            f"{len(fitting) or 'no'} runs of {store} begin with {which!r}: choose one of {there or '-'}"
        )
    run = xp.join_runs(fitting)
    for note in run.notes:
        say(f"note: {note}")
    return run


def _read_as_named(store: Path, which: str) -> None:
    """Raise what is wrong with the record of a run that is asked for by its name."""
    from xphotfn.graph.run import read_record
    from xphotfn.store.product_store import there
    from xphotfn.store.run_record import run_files

    folder = there(store)
    for path in run_files(folder.path):
        if path.name.startswith(which):
            read_record(path, folder)


@frozen
class MapThere:
    """A map that a store or a folder has, as people choose it, and its two files."""

    target: str
    obs_id: str
    instrument: str
    band: Any
    is_mosaic: bool
    files: tuple[str, str]
    key: Any


class Place(NamedTuple):
    """The maps that a place has, and how some of them are opened: what nobody asks for may be damaged."""

    maps: tuple[MapThere, ...]
    opened: Callable[[Collection[MapThere]], tuple[Any, ...]]
    observations: tuple[Any, ...] = ()  # of a folder


def place_of(place: Path, run: str | None = None) -> Place:
    """Return what the runs of a store have, or one of them, or a folder."""
    if run is not None and not is_store(place):
        raise InvalidRecord(f"--run chooses a run of a store, and {place} is a folder: leave it out")
    return _store_place(run_of(place, run)) if is_store(place) else _folder_place(place)


def maps_of(
    place: Path, bands: Sequence[Any] = (), *, combined: bool = False, run: str | None = None
) -> tuple[Any, ...]:
    """Return the rate maps of all runs of a store, of one of them, or of a folder, in bands or in all."""
    there = place_of(place, run)
    return there.opened(maps_in(place, there, bands, combined=combined))


def maps_in(place: Path, there: Place, bands: Sequence[Any], *, combined: bool) -> list[MapThere]:
    """Return the maps of a place in bands or in all; ProductMissing if there is none."""
    from xphotfn.cli.output import say

    found = [m for m in there.maps if combined or not m.is_mosaic]
    maps = [m for m in found if not bands or m.band in bands]
    if not maps:
        others = ", ".join(dict.fromkeys(str(m.band) for m in found))
        what = f"maps of {others} only" if found else "no image with an exposure map of its band"
        raise ProductMissing(f"{place} holds {what}: {how_to_make(place, there.observations, bands)}")
    for band in bands:
        if all(m.band != band for m in maps):
            say(f"note: {place} has no map of {band}, so the table has none: make it with `xphotfn run`")
    return maps


def unique(maps: Iterable[Any]) -> tuple[Any, ...]:
    """Return each rate map once: targets that share an observation share its maps."""
    return tuple({(m.path, m.exposure.path): m for m in maps}.values())


def _store_place(run: Any) -> Place:
    from xphotfn.graph.maps import named_maps, pairs_of

    flat = {p.what for p in run.plan.products if p.is_unvignetted}
    maps = []
    for what, ((image, path, _), (_, exposure, _)) in pairs_of(run).items():
        target = run.fields[what[0]].target
        who = (target.name if target else "", image.obs_id, image.instrument, image.band, image.is_mosaic)
        if what in flat:
            _say_flat(image)
        else:
            maps.append(MapThere(*who, (path, exposure), what))

    def opened(asked: Collection[MapThere]) -> tuple[Any, ...]:
        keys = {m.key for m in asked}
        return tuple(m for _, m in named_maps(run, wanted=lambda product: product.what in keys))

    return Place(tuple(maps), opened)


def _say_flat(image: Any) -> None:
    from xphotfn.cli.output import say

    who = " ".join(dict.fromkeys((image.obs_id, image.instrument)))
    why = "has an exposure map without vignetting only, by which no rate is made: left out"
    say(f"note: the map {who} {image.band} {why}")


def _folder_place(folder: Path) -> Place:
    from xphotfn.cli.observations import observations_of

    observations = observations_of(folder)
    found = tuple(_of_folder(observations))
    maps = [
        MapThere("", m.obs_id, m.instrument, m.band, m.is_mosaic, (m.path, m.exposure.path), n)
        for n, m in enumerate(found)
    ]
    return Place(tuple(maps), lambda asked: tuple(found[m.key] for m in asked), observations)


def _of_folder(observations: Iterable[Any]) -> Iterator[Any]:
    """Yield the images of observations with their exposure maps; pairs that do not fit are left out, and said."""
    import xphotfn as xp
    from xphotfn.cli.output import say
    from xphotfn.epic.joined import joined

    for observation in observations:
        for exposure in observation.exposures:
            for product in exposure.products:
                band = product.band.nominal
                other = exposure.found("exposure_map", band)
                if product is exposure.found("image", band) and other is not None:
                    try:
                        yield joined(
                            _found(xp.Image, observation, exposure, product),
                            _found(xp.ExposureMap, observation, exposure, other),
                        )
                    except XphotfnError as error:  # a pair that is of no use leaves the others
                        say(f"note: {observation.obs_id}: {error}")


def _found(kind: Any, observation: Any, exposure: Any, product: Any) -> Any:
    return kind(
        path=product.file.path,
        obs_id=observation.obs_id,
        exposure_id=exposure.exposure_id,
        instrument=exposure.instrument,
        band=product.band.nominal,
        grid=product.grid,
    )


def product_of(path: Path, exposure: Path | None) -> Any:
    """Return what a file holds: an image, an exposure map, a rate map (also of an image with --exposure), or limits."""
    import xphotfn as xp
    from xphotfn.epic.joined import joined
    from xphotfn.io.fits import read_header
    from xphotfn.measure.map_files import written_kind

    if exposure is None:
        match written_kind(read_header(str(path))):
            case "rate map":
                return xp.read_rate_map(path)
            case "limit map":
                return xp.read_limit_map(path)
            case "event mosaic" | "array" | "other":
                return _file(None, path)
            case kind:
                assert_never(kind)
    first, second = _file(None, path), _file(None, exposure)
    if not (isinstance(first, xp.Image) and isinstance(second, xp.ExposureMap)):
        raise InvalidRecord(f"a rate map is an image and its --exposure map, got {path} and {exposure}")
    return joined(first, second)


def exposure_map_of(path: Path) -> Any:
    """Return the exposure map of a file."""
    import xphotfn as xp

    return _file(xp.ExposureMap, path)


def _file(kind: Any, path: Path) -> Any:
    import xphotfn as xp
    from xphotfn.io.cards import card, text_of_ascii
    from xphotfn.io.fits import read_header
    from xphotfn.io.headers import grid_of, is_exposure_map, is_mosaic

    header = read_header(str(path))
    try:
        grid = grid_of(header, str(path))
    except InvalidFile as error:
        remedy = "; of an event list make an image first: xphotfn image" if card(header, "NAXIS", 0) == 0 else ""
        raise InvalidFile(error.path, error.problem + remedy) from error
    is_map = is_exposure_map(header) or "_expmap" in path.name
    mosaic = is_mosaic(header) or card(header, "OBS_ID") == "combined"
    return (kind or (xp.ExposureMap if is_map else xp.Image))(
        path=str(path),
        target=text_of_ascii(str(card(header, "OBJECT", ""))) or None,
        obs_id="combined" if mosaic else str(card(header, "OBS_ID", "")) or path.name,
        exposure_id="" if mosaic else str(card(header, "EXPIDSTR", "")),
        instrument="combined" if mosaic else _camera(str(card(header, "INSTRUME", ""))),
        band=_band_or_none(header, path, "exposure_map" if is_map else "image"),
        grid=grid,
    )


def _camera(text: str) -> str:
    from xphotfn.records.instrument import instrument

    try:
        return instrument(text).name
    except InvalidRecord:
        return text or "unknown camera"


def _band_or_none(header: "Header", path: Path, kind: str) -> Any:
    """Return the band of a file, or what stands for none: one can look at it all the same."""
    from xphotfn.records.band import NOT_NAMED

    try:
        return _band(header, path, kind)
    except InvalidFile:
        return NOT_NAMED


def _band(header: "Header", path: Path, kind: str) -> Any:
    """Return the band of a file: what its header says, else its name, where it is one of ours or the pipeline's."""
    from xphotfn.commands.names import parse_mosaic_name, parse_product_name
    from xphotfn.io.cards import card
    from xphotfn.io.file_energies import band_of_product, energies_of
    from xphotfn.records.band import Band

    low, high = card(header, "E_MIN"), card(header, "E_MAX")
    if isinstance(low, float) and isinstance(high, float):
        return Band(lo_ev=round(1000 * low), hi_ev=round(1000 * high))
    try:
        return band_of_product(header, str(path), kind=kind)
    except InvalidFile:
        if energies_of(header).kind != "all":
            raise
        name = path.name.removesuffix(".gz")
        said = parse_product_name(name) or parse_mosaic_name(name)
        if said is None:
            raise
        return Band(lo_ev=said.lo_ev, hi_ev=said.hi_ev)
