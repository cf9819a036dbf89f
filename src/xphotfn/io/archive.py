"""Files of the XMM-Newton archive over HTTPS: the one thing here that downloads files, and nothing else needs it.

The archive streams one tar file of all pipeline products (PPS) of an observation. It is read as it comes: members that
are asked for become files, whole or not at all, and the rest is passed over.
"""

import re
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any

from xphotfn.commands.archive_query import ARCHIVE, PRODUCTS, archive_address
from xphotfn.errors import InvalidFile, XphotfnError
from xphotfn.io.bars import progress_bar
from xphotfn.io.fits import check_whole
from xphotfn.io.tree import expanded
from xphotfn.io.write import publish
from xphotfn.records.fields import is_safe_name

__all__ = ("fetch_products",)

CHUNK = 2**18
_PRODUCT = re.compile(r"P(\d{10})", re.IGNORECASE)  # the beginning of the name of a pipeline product
_HEADERS = {"User-Agent": "xphotfn", "Accept": "application/x-tar, */*"}
TIMEOUT_S, PAUSE_S = 60.0, 2.0
_DAMAGE = (OSError, HTTPException, EOFError, tarfile.TarError, zlib.error)  # of a stream: whole the next time, perhaps
_FITS = (".FTZ", ".FIT", ".FITS", ".FTS", ".GZ")
_GZIP = b"\x1f\x8b"
END = 1024  # zeros behind the last member of a tar file


def fetch_products(
    obs_id: str,
    folder: str | Path,
    *,
    products: Sequence[str] = PRODUCTS,
    mirror: str = ARCHIVE,
    tries: int = 3,
    progress: bool = True,
) -> tuple[Path, ...]:
    """Download pipeline products of an observation from the XMM-Newton archive.

    Parameters
    ----------
    obs_id
        ObsID of ten digits.
    folder
        Where they go: into a folder of the ObsID in it, which is made.
    products
        Patterns of the names that are wanted, such as ``"*IEVLI*"``; those of the default are what images without SAS
        take. ``"*"`` takes all.
    mirror
        The archive's address, or that of another server that answers ``?obsno=...&level=PPS`` with a tar file.
    tries
        How often to ask before giving up.
    progress
        Show a bar on a terminal.

    Returns
    -------
    tuple of Path
        The files, also those that were there already, sorted by name.

    Raises
    ------
    InvalidRecord
        If the ObsID is none, or the address is not one of http or https.
    InvalidFile
        If the archive has no such products, a file that is there is another one, or a member of the tar file is
        damaged, of another observation, or must not be written: it is not, and those before it are kept.
    XphotfnError
        If no try brought the whole of it; files that came whole are kept, and the next call goes on from there.

    Notes
    -----
    Members that leave the folder, links and other things that are no files are refused (tarfile's filter ``data``,
    PEP 706). Each FITS file is checked to be whole, and published by one rename; a file of the same size that is there
    already is not written again. Proprietary data need a login and cannot be had by this call.

    Examples
    --------
    >>> fetch_products("0404910601", "data")  # doctest: +SKIP
    """
    address, target = archive_address(obs_id, mirror), expanded(folder) / obs_id
    reason = "no answer"
    for number in range(max(tries, 1)):
        time.sleep(PAUSE_S * number)
        try:
            return _taken(address, target, tuple(products), progress)
        except _DAMAGE as error:
            reason = str(error) or type(error).__name__
    raise XphotfnError(
        f"{obs_id} could not be fetched whole from {mirror} ({reason}): what came whole is in {target}; check the "
        "network and run the same again"
    )


def _taken(address: str, target: Path, products: Sequence[str], progress: bool) -> tuple[Path, ...]:
    found: list[Path] = []
    with _stream(address, target.name, progress) as stream:
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                name = _name_of(member, address)
                _require_of(target.name, name, address)
                if any(fnmatchcase(name.upper(), pattern.upper()) for pattern in products if name):
                    found.append(_kept(archive, member, target / name))
            end = archive.offset
        stream.require_end(end)
    if not found:
        asked = ", ".join(products)
        raise InvalidFile(address, f"holds none of {asked}: check that the observation has public pipeline products")
    return tuple(sorted(found))


class _Stream:
    """What comes from the archive, read once: its length is compared with what was announced, and a bar told."""

    def __init__(self, answer: Any, bar: Any) -> None:
        self._answer, self._bar = answer, bar
        self._came, self._first = 0, b""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        try:
            data: bytes = self._answer.read(size)
        except OSError as error:  # of the network, which is no error of the file that is written meanwhile
            raise EOFError(f"the connection broke: {error}") from error
        self._came += len(data)
        self._first = (self._first + data)[:2] if len(self._first) < 2 else self._first
        self._bar.update(len(data))
        return data

    def require_end(self, last: int) -> None:
        """Read to the end, which lies beyond the ``last`` byte of the members.

        What is cut between two members is a whole tar file for tarfile, and is refused here.
        """
        while self.read(CHUNK):
            pass
        total = _length(self._answer)
        if total is not None and self._came != total:
            raise OSError(f"{self._came} of {total} bytes came")
        if self._first != _GZIP and self._came < last + END:
            raise OSError("the answer ends before the end of its tar file")


def _length(answer: Any) -> int | None:
    text = answer.headers.get("Content-Length") or ""
    return int(text) if text.isdigit() else None


@contextmanager
def _stream(address: str, obs_id: str, progress: bool) -> Iterator[Any]:
    """Give the archive's answer; what will be the same the next time is told at once."""
    request = urllib.request.Request(address, headers=_HEADERS)  # noqa: S310 - http or https
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code >= 500 or error.code in (408, 429):
            raise OSError(f"status {error.code}") from error
        refused = f"is refused by the archive (status {error.code}): check the ObsID, and whether its data are public"
        raise InvalidFile(address, refused) from error
    with answer:
        if not progress:
            yield _Stream(answer, _Silent())
            return
        with progress_bar(total=_length(answer), desc=obs_id, unit="B", unit_scale=True) as bar:
            yield _Stream(answer, bar)


class _Silent:
    """A bar that is not shown."""

    def update(self, _: int) -> None:
        """Do nothing."""


def _name_of(member: tarfile.TarInfo, address: str) -> str:
    """Return the plain name of a member that is a file; empty for folders. Anything else is refused."""
    try:
        tarfile.data_filter(member, str(Path.cwd()))
    except tarfile.FilterError as error:
        raise InvalidFile(address, f"sends what must not be written ({error}): check the address") from error
    if member.isdir():
        return ""
    name = PurePosixPath(member.name).name
    if not member.isreg() or not is_safe_name(name):
        raise InvalidFile(address, f"sends {member.name!r}, which is no plain file: check the address")
    return name


def _require_of(obs_id: str, name: str, address: str) -> None:
    """Refuse a product of another observation, whose name holds its ObsID."""
    said = _PRODUCT.match(name)
    if said and said[1] != obs_id:
        raise InvalidFile(address, f"sends {name}, a product of another observation than {obs_id}: check the address")


def _kept(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> Path:
    """Write a member, whole or not at all; what is there stays."""
    if path.exists():
        if path.stat().st_size == member.size:
            return path
        raise InvalidFile(
            str(path), f"is there with another size than the archive's ({member.size} bytes): move it away"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    source: Any = archive.extractfile(member)
    with publish(path) as temporary:
        with source, temporary.open("wb") as file:
            shutil.copyfileobj(source, file, CHUNK)
        if temporary.stat().st_size != member.size:
            raise EOFError(f"{member.name} was cut short")
        if path.suffix.upper() in _FITS:
            _require_fits(temporary, path)
    return path


def _require_fits(temporary: Path, path: Path) -> None:
    try:
        check_whole(temporary)
    except InvalidFile as error:
        raise InvalidFile(str(path), f"came damaged from the archive and was not kept: it {error.problem}") from error
