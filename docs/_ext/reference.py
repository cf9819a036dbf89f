"""Write the reference: a page for each public name, by themes, and one for each module with names of its own.

What is public is read from the package, so that no name can be missing. The pages are made in docs/reference/names
before Sphinx looks for its sources; only docs/reference/index.md is kept.
"""

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parents[1] / "reference"


class Theme(NamedTuple):
    """A page of the reference: file, title, a sentence, and the modules whose names it lists."""

    file: str
    title: str
    about: str
    modules: tuple[str, ...]


THEMES = (
    Theme(
        "finding",
        "Finding and matching",
        "From a folder and a position to a field: which observations see a target, and which regions belong to it.",
        ("io.find", "io.archive", "io.match", "io.tables", "io.regions", "io.region_export"),
    ),
    Theme(
        "records",
        "Records",
        "Frozen values that describe targets, bands, observations, regions and grids, and what makes them.",
        (
            "records.target",
            "records.band",
            "records.field",
            "records.observation",
            "records.region",
            "records.grid",
            "records.instrument",
            "units",
        ),
    ),
    Theme(
        "detection",
        "Lists of sources",
        "What a search for sources finds, and what is made of it.",
        (
            "records.source",
            "records.source_list",
            "io.source_lists",
            "io.source_files",
            "graph.run_sources",
            "science.source_regions",
            "measure.source_search",
            "measure.completeness",
            "science.detection.search_map",
            "science.detection.settings",
        ),
    ),
    Theme(
        "plans",
        "Plans and runs",
        "What is to be made, as data, and what came of it.",
        ("graph", "records.outcome", "records.event", "commands.command", "commands.step", "commands.image_grid"),
    ),
    Theme(
        "engines-and-stores",
        "Engines and stores",
        "What executes a plan, and the folder of its products.",
        ("engines", "store"),
    ),
    Theme(
        "products",
        "Images, exposure maps, rate maps, mosaics",
        "References to files whose data load when they are touched.",
        (
            "io.products",
            "io.write",
            "graph.maps",
            "epic.joined",
            "measure.map_files",
            "measure.limit_files",
            "measure.mosaics",
            "graph.event_mosaics",
            "graph.one_image",
            "measure.smoothing",
        ),
    ),
    Theme(
        "coordinates-and-masks",
        "Coordinates and masks",
        "Positions in degrees, pixels and XMM sky units, and which pixels belong to a region.",
        ("measure.coordinates", "measure.masks"),
    ),
    Theme(
        "measuring",
        "Peaks, signal-to-noise, photometry",
        "Numbers from maps.",
        (
            "measure.peak",
            "measure.centre",
            "measure.signal_to_noise",
            "measure.significance_map",
            "measure.photometry.apertures",
            "measure.background_weights",
            "measure.out_of_time_weights",
            "measure.photometry.joint_photometry",
            "measure.hardness",
            "reports.summary",
            "records.measurement",
            "science.background_ratio",
            "science.snr_methods",
        ),
    ),
    Theme(
        "flares",
        "Light curves, good time and flares",
        "From events to a light curve, from that to the time that is kept, and what is left in it.",
        (
            "measure.curves",
            "graph.cleaned_list",
            "measure.flare_cuts",
            "io.good_time_files",
            "records.good_times",
            "records.light_curve",
            "science.flare_cut",
        ),
    ),
    Theme(
        "profiles-and-depth",
        "Profiles, enclosed light and depth",
        "Surface brightness, curves of growth, encircled energy, sensitivity and upper-limit maps.",
        ("measure.profile", "measure.sensitivity", "science.encircled_energy", "science.rings"),
    ),
    Theme(
        "fluxes",
        "Fluxes",
        "From count rates to fluxes and luminosities: conversion factors, spectra, absorption.",
        (
            "records.column_density",
            "records.ecf",
            "records.spectrum",
            "measure.hydrogen",
            "measure.conversion",
            "measure.fluxes",
            "measure.luminosities",
            "science.spectra",
        ),
    ),
    Theme(
        "statistics",
        "Significances, intervals and limits",
        "The statistics behind the numbers, on counts.",
        (
            "science.significance",
            "science.intervals",
            "science.limits",
            "science.hardness_ratio",
            "science.crowded",
            "science.joint.rate",
            "science.joint.one_measurement",
            "science.consistency",
        ),
    ),
    Theme("pictures", "Pictures and reports", "Matplotlib axes, picture files, reports.", ("plot", "reports.site")),
    Theme(
        "errors",
        "Error classes",
        "What each means and its remedy: see [the errors page](../../errors.md).",
        ("errors",),
    ),
)
MORE = Theme("more", "More names", "Names that belong to no page above.", ())
MODULES = ("xphotfn.testing", "xphotfn.commands", "xphotfn.curried", "xphotfn.typing")
ROOMS = ("xphotfn.science", "xphotfn.commands", "xphotfn.testing")


def theme_of(module: str) -> Theme:
    """Return the page that lists the names of a module, such as ``io.find``; a room stands for all its modules."""
    for name in (module, module.partition(".")[0]):
        for theme in THEMES:
            if name in theme.modules:
                return theme
    return MORE


def public_names() -> dict[str, str]:
    """Return each public name that is no module, and the module that it comes from, such as ``io.find``."""
    import xphotfn

    modules = xphotfn._WHERE
    return {name: module for module, names in modules.items() for name in names.split()}


def directive_of(value: Any) -> list[str]:
    """Return the directive that documents a value, and its options."""
    if isinstance(value, ModuleType):
        return ["automodule"]
    if inspect.isclass(value):
        bases = ["   :show-inheritance:"] if issubclass(value, Exception) else []
        return ["autoclass", "   :members:", *bases]
    return ["autofunction"] if inspect.isroutine(value) else ["autodata", "   :no-value:"]


def page(title: str, *lines: str) -> str:
    """Return a page in reStructuredText."""
    return "\n".join([title, "=" * len(title), "", *lines, ""])


def name_page(name: str, full: str, value: Any) -> str:
    """Return the page of one name."""
    directive, *options = directive_of(value)
    return page(name, f".. {directive}:: {full}", *options)


def listing(names: list[str], prefix: str = "") -> list[str]:
    """Return a table of names with their summaries, and the tree of their pages."""
    bare = [".. currentmodule:: xphotfn", ""] if prefix else []
    table = [*bare, ".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in names), ""]
    tree = [".. toctree::", "   :hidden:", "", *(f"   ./{prefix}{name}" for name in names)]
    return [*table, *tree]


def theme_page(theme: Theme, names: list[str]) -> str:
    """Return the page of a theme, in Markdown."""
    lines = "\n".join(listing(names, "xphotfn."))
    return f"# {theme.title}\n\n{theme.about}\n\n```{{eval-rst}}\n{lines}\n```\n"


def documented_modules() -> list[str]:
    """Return the modules whose own names are documented too."""
    found = list(MODULES)
    for room in ROOMS:
        inside = pkgutil.iter_modules(import_module(room).__path__)
        found += [f"{room}.{m.name}" for m in inside if not m.name.startswith("_")]
    return list(dict.fromkeys(found))


def module_page(module: str) -> str:
    """Return the page of a module with the names that it lists itself and that have no page elsewhere."""
    if module == "xphotfn.curried":
        return page(module, f".. automodule:: {module}")
    parent, names = import_module(module.rpartition(".")[0]), vars(import_module(module))
    elsewhere = [n for n in getattr(parent, "__all__", ()) if n in names]
    if parent.__name__ != "xphotfn":
        elsewhere += [n for n in public_names() if n in names]
    hidden = [f"   :exclude-members: {', '.join(sorted(set(elsewhere)))}"] if elsewhere else []
    return page(module, f".. automodule:: {module}", "   :members:", *hidden)


def modules_page() -> str:
    """Return the page that lists the modules, in Markdown."""
    lines = "\n".join(listing(documented_modules()))
    about = "Names beside those of `xphotfn` itself: building blocks on plain arrays, SAS's commands, tests."
    return f"# Modules\n\n{about}\n\n```{{eval-rst}}\n{lines}\n```\n"


def files() -> dict[str, str]:
    """Return the text of each page of the reference by its path in the folder."""
    import xphotfn

    made: dict[str, str] = {}
    by_theme: dict[str, list[str]] = {theme.file: [] for theme in (*THEMES, MORE)}
    for name, module in sorted(public_names().items(), key=lambda item: item[0].lower()):
        by_theme[theme_of(module).file].append(name)
        made[f"names/xphotfn.{name}.rst"] = name_page(name, f"xphotfn.{name}", getattr(xphotfn, name))
    themes = [theme for theme in (*THEMES, MORE) if by_theme[theme.file]]
    made |= {
        f"names/_{number:02}-{theme.file}.md": theme_page(theme, by_theme[theme.file])
        for number, theme in enumerate(themes, start=1)
    }
    made |= {f"names/{module}.rst": module_page(module) for module in documented_modules()}
    made["names/_99-modules.md"] = modules_page()
    return made


def write(app: Any = None, config: Any = None) -> None:
    """Write the pages that have changed, and remove those that no name has any more."""
    del app, config
    names = FOLDER / "names"
    names.mkdir(parents=True, exist_ok=True)
    wanted = files()
    for old in names.iterdir():
        if f"names/{old.name}" not in wanted:
            old.unlink()
    for path, text in wanted.items():
        target = FOLDER / path
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
    made = FOLDER.parent / "_made"
    made.mkdir(exist_ok=True)
    (made / "commands.md").write_text(command_pages(), encoding="utf-8")


def command_pages() -> str:
    """Return what ``xphotfn --help`` says, and the help of every command, in Markdown."""
    import click

    from xphotfn.cli import main

    def help_of(command: click.Command, name: str, parent: click.Context | None = None) -> str:
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
        return command.get_help(context)

    top = click.Context(main, info_name="xphotfn")
    parts = [f"```text\n{help_of(main, 'xphotfn')}\n```\n"]
    for name in main.list_commands(top):
        command = main.get_command(top, name)
        if command is not None and not command.hidden:
            parts.append(f"### xphotfn {name}\n\n```text\n{help_of(command, name, top)}\n```\n")
    return "\n".join(parts)


def drop_return_types(app: Any, doctree: Any) -> None:
    """Leave out the annotation of what is returned where the docstring names the type in its own words."""
    del app
    from docutils import nodes

    for fields in list(doctree.findall(nodes.field_list)):
        named = {field[0].astext(): field for field in fields}
        if "Returns" in named and "Return type" in named:
            fields.remove(named["Return type"])


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx looks for its sources."""
    app.connect("config-inited", write)
    app.connect("doctree-read", drop_return_types)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
