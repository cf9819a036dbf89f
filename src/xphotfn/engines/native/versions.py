"""The versions of the rules by which the native engine makes products."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ("RULES", "VERSIONS", "rules_of")

RULES = "native-2"
"""It grows when native tasks write other bytes for the same command and inputs: stores then make all anew."""
VERSIONS: Mapping[str, int] = MappingProxyType({"xdetect": 13})
"""The same of one task, where it changes and others do not; 1 of those that are not named."""


def rules_of(task: str) -> str:
    """Return name and version of the rules by which a task is executed.

    Examples
    --------
    >>> rules_of("evselect"), rules_of("xdetect")
    ('native-2', 'native-2-xdetect-13')
    """
    return RULES if VERSIONS.get(task, 1) == 1 else f"{RULES}-{task}-{VERSIONS[task]}"
