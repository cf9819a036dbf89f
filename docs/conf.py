"""Settings of the documentation: ``python -m sphinx -W --keep-going -b html docs docs/_build/html``.

Needs the ``docs`` extra and no network. Code in the pages runs while they are read (``_ext/run_pages.py``); pictures,
the reference and the list of error messages are made here too, never kept.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "xphotfn"
author = copyright = "The xphotfn developers"  # noqa: A001
release = version = version_of("xphotfn")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "reference",
    "error_messages",
    "benchmark_pictures",
    "floor_plan",
    "run_pages",
]
exclude_patterns = ["_build", "_made/*.md", "README.md"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
root_doc = "index"
templates_path = []

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]

autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
add_module_names = False
toc_object_entries = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

copybutton_prompt_text = r">>> |\.\.\. |\$ "  # copied code is without prompts and output, ready to paste
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = f"xphotfn {release}"
html_static_path = ["_static"]
html_css_files = ["xphotfn.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "xphotfn"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def drop_empty_patterns(app, docname, source):
    """Leave out patterns of pages in toctrees that no page fits, which Sphinx would warn of."""
    folder = Path(app.srcdir, docname).parent
    kept = [
        line
        for line in source[0].splitlines()
        if not (line.startswith("../") and line.endswith("*")) or any(folder.glob(f"{line}.md"))
    ]
    source[0] = "\n".join(kept)


def setup(app):
    """Read the toctrees before Sphinx does."""
    app.connect("source-read", drop_empty_patterns)
