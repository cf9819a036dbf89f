"""Where a report is written: names that are safe in paths, and a folder that appears whole or not at all."""

import json
import re
import shutil
import tempfile
import unicodedata
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xphotfn.errors import InvalidFile
from xphotfn.io.tree import expanded

__all__ = ("MARKER", "published_folder", "slugs")

MARKER = "xphotfn-report.json"
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")
_LONGEST = 60


def slugs(names: Iterable[str]) -> tuple[str, ...]:
    """Return a short name of plain letters, digits and hyphens for each name, no two alike.

    Examples
    --------
    >>> slugs(["A 907", "a/907", "../../etc", "Ωσ", "<script>", "Abell 1689"])
    ('a-907', 'a-907-2', 'etc', 'target', 'script', 'abell-1689')
    """
    used: set[str] = set()
    result = []
    for name in names:
        first = _slug(name)
        slug, n = first, 1
        while slug in used:
            n += 1
            slug = f"{first}-{n}"
        used.add(slug)
        result.append(slug)
    return tuple(result)


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    signed = re.sub(r"(?<=\d)\+(?=\d)", "p", plain)  # RXJ1200+05 and RXJ1200-05 differ
    slug = re.sub(r"[^a-z0-9]+", "-", signed).strip("-")[:_LONGEST].strip("-") or "target"
    return f"target-{slug}" if _RESERVED.fullmatch(slug) else slug


@contextmanager
def published_folder(output: str | Path) -> Iterator[Path]:
    """Give an empty folder that becomes ``output``, by a rename, if the block ends well.

    Raises
    ------
    InvalidFile
        If ``output`` is there and no earlier report, or cannot be written; it stays as it was.
    """
    final = expanded(output).resolve()
    _refuse_foreign(final, str(output))
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        building = final.with_name(f".{final.name}.{uuid.uuid4().hex[:12]}")
        building.mkdir()
    except OSError as error:
        why = f"cannot be written ({error.strerror or error}): give a place that you may write to"
        raise InvalidFile(str(output), why) from error
    try:
        (building / MARKER).write_text(json.dumps({"format": "xphotfn report", "version": 1}) + "\n")
        yield building
        _refuse_foreign(final, str(output))
        _swap(building, final)
    except OSError as error:
        if isinstance(error, InvalidFile):
            raise
        why = f"cannot be written ({error.strerror or error}): give a place that you may write to"
        raise InvalidFile(str(output), why) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _refuse_foreign(final: Path, shown: str) -> None:
    if not final.exists():
        return
    if not final.is_dir():
        raise InvalidFile(shown, "is a file, not a folder: give another folder for the report")
    if not (final / MARKER).is_file() and any(final.iterdir()):
        raise InvalidFile(shown, "holds other things than an earlier report and is left as it was: give a new folder")


def _swap(building: Path, final: Path) -> None:
    """Put the new folder in the place of the old one; the old one comes back where that fails."""
    if not final.exists():
        building.rename(final)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{final.name}.old.", dir=final.parent))
    old = aside / "report"
    try:
        final.rename(old)
        try:
            building.rename(final)
        except OSError:
            with suppress(OSError):
                old.rename(final)
            raise
    finally:
        if final.exists():
            shutil.rmtree(aside, ignore_errors=True)
