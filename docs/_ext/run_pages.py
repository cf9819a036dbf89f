"""Run the code of every Markdown page while it is read, and put the pictures it draws behind it.

The ``>>>`` examples of a page run in order in one namespace and in an empty folder, as pytest runs them; commands after
a ``$`` in its ``console`` blocks run in that folder too. What prints something else than the page says is a warning, so
that ``sphinx -W`` fails. A figure of pyplot that is open after a block is saved and shown behind it; a line
``<!-- picture: caption -->`` after the block gives its caption.
"""

import contextlib
import doctest
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = re.compile(
    r"^```(?P<kind>python|console)\n(?P<code>.*?)^```\n(?:\n*<!-- picture: (?P<caption>.*?) -->\n)?",
    re.MULTILINE | re.DOTALL,
)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
PICTURES = "_made/pictures"


def blocks(text: str) -> Iterator[re.Match[str]]:
    """Yield the blocks of a page that run: Python with examples, and commands of a shell."""
    return (b for b in BLOCK.finditer(text) if ">>>" in b["code"] or b["kind"] == "console")


def run_examples(code: str, names: dict[str, Any], *, page: str, line: int) -> str:
    """Run the examples of a Python block and return what went wrong, or nothing."""
    test = doctest.DocTestParser().get_doctest(code, names, page, page, line)
    said: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=FLAGS).run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    return "".join(said)


def run_console(code: str) -> str:
    """Run each command of a console block in the present folder and return what went wrong, or nothing.

    What a page shows is what a command prints to its standard output, or to both.
    """
    wrong = []
    paths = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        command, _, wanted = part.partition("\n")
        ran = subprocess.run(
            ["bash", "-c", command], env=os.environ | paths, capture_output=True, text=True, check=False, timeout=300
        )
        printed, check = ran.stdout + ran.stderr, doctest.OutputChecker().check_output
        fits = any(check(wanted.strip() + "\n", text, FLAGS) for text in (ran.stdout, printed))
        if wanted.strip() and not fits:
            wrong.append(f"$ {command}\nexpected:\n{wanted}\ngot:\n{printed}")
        elif not wanted.strip() and ran.returncode:
            wrong.append(f"$ {command}\nended with status {ran.returncode}:\n{printed}")
    return "\n".join(wrong)


def run_block(block: re.Match[str], names: dict[str, Any], *, page: str, line: int) -> str:
    """Run a block of either kind and return what went wrong, or nothing."""
    if block["kind"] == "console":
        return run_console(block["code"])
    return run_examples(block["code"], names, page=page, line=line)


@contextlib.contextmanager
def empty_folder() -> Iterator[None]:
    """Work in an empty folder, which is removed afterwards."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def save_figures(folder: Path, stem: str) -> list[str]:
    """Save all open figures of pyplot, close them, and return the names of the files."""
    if "matplotlib.pyplot" not in sys.modules:
        return []
    import matplotlib.pyplot as plt

    saved = []
    for number in plt.get_fignums():
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{stem}-{number}.png"
        plt.figure(number).savefig(folder / name, dpi=110, metadata={"Software": None})
        saved.append(name)
    plt.close("all")
    return saved


def as_figure(name: str, caption: str | None) -> str:
    """Return the Markdown of a picture with its caption."""
    words = caption or "Drawn by the code above"
    return f"\n:::{{figure}} /{PICTURES}/{name}\n:alt: {words}\n\n{caption or ''}\n:::\n"


def run_page(app: Any, docname: str, source: list[str]) -> None:
    """Run a page and put its pictures in."""
    text = source[0]
    if not str(app.env.doc2path(docname)).endswith(".md") or next(blocks(text), None) is None:
        return
    from sphinx.util import logging

    logger = logging.getLogger(__name__)
    names: dict[str, Any] = {"__name__": "__main__"}
    parts, done = [], 0
    folder, stem = Path(app.srcdir, PICTURES), docname.replace("/", "-")
    with empty_folder():
        for number, block in enumerate(blocks(text)):
            line = text.count("\n", 0, block.start("code"))
            problem = run_block(block, names, page=docname, line=line)
            if problem:
                logger.warning("the code does not do what the page says\n%s", problem, location=(docname, line))
            pictures = save_figures(folder, f"{stem}-{number}")
            end = block.end("code") + len("```\n")
            shown = f"{text[done : block.start('code')]}{block['code'].rstrip()}\n```\n"
            parts += [shown, *(as_figure(name, block["caption"]) for name in pictures)]
            done = block.end() if pictures else end
    source[0] = "".join(parts) + text[done:]


def setup(app: Any) -> dict[str, bool]:
    """Use a backend without windows, and run each page when it is read."""
    os.environ["MPLBACKEND"] = "Agg"
    app.connect("source-read", run_page)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
