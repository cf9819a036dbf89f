"""Whether an exposure map holds the vignetting: what the command that made it says."""

from xphotfn.commands.task_rows import BOOLEANS
from xphotfn.commands.xproc import card_parameters
from xphotfn.errors import ExpressionError
from xphotfn.io.cards import card
from xphotfn.typing import Header

__all__ = ("has_vignetting",)

_CARDS = 10  # tasks that a header records


def has_vignetting(header: Header) -> bool | None:
    """Return whether the eexpmap of an exposure map's header took the vignetting; None where no such command is there.

    Examples
    --------
    >>> said = ("withvignetting=no", "withvignetting=yes", "attrebin=4")
    >>> [has_vignetting({"XPROC0": f"eexpmap {word} # (eexpmap-4.8)"}) for word in said], has_vignetting({})
    ([False, True, True], None)
    """
    for number in range(_CARDS):
        task, given = _command(str(card(header, f"XPROC{number}", "")))
        if task == "eexpmap":
            return BOOLEANS.get(given.get("withvignetting", "yes").lower()) != "no"
    return None


def _command(text: str) -> tuple[str, dict[str, str]]:
    try:
        task, pairs = card_parameters(text)
    except ExpressionError:
        task, *words = text.split() or [""]
        pairs = tuple((name, value.strip("'\"")) for name, _, value in (word.partition("=") for word in words))
    return task, dict(pairs)
