"""Progress bars: on a terminal and in a notebook, and nowhere else."""

import sys
from collections.abc import Iterable
from typing import Any

from xphotfn.errors import InvalidRecord

__all__ = ("check_progress", "progress_bar")


def check_progress(progress: Any) -> None:
    """Refuse what is neither True nor False: a text such as ``"no"`` would be true.

    Examples
    --------
    >>> check_progress(True)
    """
    if not isinstance(progress, bool):
        raise InvalidRecord(f"progress must be True or False, got {progress!r}")


def progress_bar(
    items: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    desc: str | None = None,
    unit: str = "it",
    unit_scale: bool = False,
    delay: float = 0,
    shown: bool = True,
) -> Any:
    """Return tqdm's bar, which shows itself on a terminal and in a Jupyter notebook, and goes when it is done.

    It counts ``items``, or calls of ``update`` (None), and is silent unless ``shown``; the other arguments are tqdm's.

    Examples
    --------
    >>> list(progress_bar([1, 2]))
    [1, 2]
    """
    here = _in_notebook()
    if here:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm(
        items,
        total=total,
        desc=desc,
        unit=unit,
        unit_scale=unit_scale,
        delay=delay,
        leave=False,
        disable=True if not shown else False if here else None,
    )


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook: there stderr is no terminal, and bars are widgets."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
