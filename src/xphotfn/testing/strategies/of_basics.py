"""Small strategies that the others are made of: names, numbers, texts and files."""

import string

from hypothesis import strategies as st

from xphotfn.errors import InvalidRecord
from xphotfn.records.instrument import CAMERAS
from xphotfn.records.observation import FoundFile

__all__ = (
    "CAMERAS",
    "DATES",
    "DIGESTS",
    "EXPOSURE_IDS",
    "EXTRA",
    "IMAGES",
    "NAME",
    "NUMBERS",
    "OBS_IDS",
    "PATHS",
    "SEEDS",
    "TEXT",
    "TEXTS",
    "WORD",
    "files",
    "names_ending",
    "one_of_kinds",
)

WORD = st.text(alphabet=string.ascii_letters + string.digits, min_size=1, max_size=8)
_ONE_LINE = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
NAME = st.builds(str.__add__, st.sampled_from(string.ascii_letters), st.text(_ONE_LINE, max_size=8))
SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 10**6), st.floats(-1e6, 1e6), st.text(max_size=8)
)  # fmt: skip
EXTRA = st.dictionaries(WORD, SCALAR, max_size=3)
NUMBERS = st.integers(0, 2**40)
EXPOSURE_IDS = st.builds("{}{:03d}".format, st.sampled_from("SU"), st.integers(0, 999))
OBS_IDS = st.integers(0, 9_999_999_999).map("{:010d}".format)
DATES = st.datetimes().map(lambda date: date.replace(microsecond=0).isoformat())
TEXT = st.text(max_size=8)
TEXTS = st.lists(TEXT, max_size=2)
SEEDS = st.integers(0, 2**32 - 1)
PATHS = WORD.map("/products/{}.fits".format)
DIGESTS = st.just("") | st.integers(0, 2**128).map("{:032x}".format)


def one_of_kinds(draw: st.DrawFn, kind: str | None, kinds: tuple[str, ...]) -> str:
    """Return ``kind`` if it is given, else draw one; refuse any other."""
    if kind is not None and kind not in kinds:
        raise InvalidRecord(f"kind must be one of {', '.join(kinds)}, got {kind!r}")
    return draw(st.sampled_from(kinds)) if kind is None else kind


def names_ending(ending: str) -> st.SearchStrategy[str]:
    """Return a strategy for names of files."""
    return WORD.map(lambda word: f"{word}.{ending}")


@st.composite
def files(draw: st.DrawFn, ending: str) -> FoundFile:
    """Return a strategy for found files, which need not exist."""
    path, size = f"/data/{draw(NUMBERS)}.{ending}", draw(NUMBERS)
    return FoundFile(path=path, size=size, mtime_ns=draw(NUMBERS))


IMAGES = files("img.fits")
