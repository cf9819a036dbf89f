"""The files below a folder, each once: no loops, no hidden folders, no run stores."""

import os
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from xphotfn.errors import InvalidFile
from xphotfn.records.observation import FoundFile

__all__ = ("STORE_MARK", "TreeFile", "expanded", "files_below")

STORE_MARK = "xphotfn-store.json"


class TreeFile(NamedTuple):
    """A file and its path relative to the root, with ``/`` on every system."""

    relative: str
    file: FoundFile

    @property
    def name(self) -> str:
        """The file name without its folders."""
        return self.relative.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The relative path of its folder."""
        return self.relative.rpartition("/")[0]


def expanded(path: str | Path) -> Path:
    """Return a path with the home of a user for a ``~`` or ``~user`` at its start.

    Raises
    ------
    InvalidFile
        If there is no such user.

    Examples
    --------
    >>> expanded("data/a.fits").name
    'a.fits'
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidFile(str(path), "begins with ~ and names no user that has a home: write ./~ for a name") from error


def files_below(root: str | Path) -> tuple[tuple[TreeFile, ...], tuple[tuple[str, str], ...]]:
    """Return the files below a folder, sorted by path, and what could not be read: its path and why.

    Parameters
    ----------
    root
        The folder.

    Raises
    ------
    InvalidFile
        If it is missing, no folder, or a run store.

    Notes
    -----
    Links are followed after everything else, and only to what was not seen already, so that a file is reported
    under its own place first and a loop ends. Links to a folder above the root are not followed. Folders whose name
    starts with a dot, and folders that hold ``xphotfn-store.json``, are skipped.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "a.txt").touch()
    >>> [file.relative for file in files_below(root)[0]]
    ['a.txt']
    """
    top = expanded(root).absolute()
    _check_root(top, str(root))
    scan = _Scan(top)
    folders: list[str] = [""]
    while folders or scan.folder_links:
        if folders:
            folders += scan.read(folders.pop())
        else:
            folders += scan.follow(min(scan.folder_links))
    scan.follow_files()
    return tuple(sorted(scan.files)), tuple(scan.problems)


def _check_root(top: Path, shown: str) -> None:
    if not top.exists():
        raise InvalidFile(shown, "there is no such folder: check the path")
    if not top.is_dir():
        raise InvalidFile(shown, "is a file: give the folder that holds the observations")
    if (top / STORE_MARK).exists():
        raise InvalidFile(shown, "is a run store of xphotfn: read it with load_run, or give the folder of your data")


class _Scan:
    """The state of one walk over a tree."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.prefix = str(top).rstrip("/")
        self.above = {(stat.st_dev, stat.st_ino) for stat in (p.stat() for p in top.resolve().parents)}
        self.seen: set[tuple[int, int]] = set()
        self.files: list[TreeFile] = []
        self.folder_links: list[str] = []
        self.file_links: list[str] = []
        self.problems: list[tuple[str, str]] = []

    def read(self, folder: str) -> list[str]:
        """Take in one folder and return its own folders."""
        try:
            stat = (self.top / folder).stat()
            if (stat.st_dev, stat.st_ino) in self.seen:
                return []
            self.seen.add((stat.st_dev, stat.st_ino))
            with os.scandir(self.top / folder) as entries:
                found = [entry for entry in entries if not entry.name.startswith(".") or entry.name == STORE_MARK]
        except OSError as error:
            self.problems.append((folder or ".", f"a folder that cannot be opened ({error.strerror})"))
            return []
        if any(entry.name == STORE_MARK for entry in found):
            return []
        return [path for entry in found if (path := self._take(f"{folder}/{entry.name}".lstrip("/"), entry))]

    def _take(self, relative: str, entry: "os.DirEntry[str]") -> str:
        if entry.is_symlink():
            (self.folder_links if Path(entry.path).is_dir() else self.file_links).append(relative)
        elif entry.is_dir():
            return relative
        elif entry.is_file():
            self._add(relative, entry.stat())
        return ""

    def _add(self, relative: str, stat: os.stat_result) -> None:
        self.seen.add((stat.st_dev, stat.st_ino))
        file = FoundFile(path=f"{self.prefix}/{relative}", size=stat.st_size, mtime_ns=stat.st_mtime_ns)
        self.files.append(TreeFile(relative, file))

    def follow(self, link: str) -> list[str]:
        """Return the folder of a link unless it leads above the root."""
        self.folder_links.remove(link)
        try:
            stat = (self.top / link).stat()
        except OSError:
            return []
        return [] if (stat.st_dev, stat.st_ino) in self.above else [link]

    def follow_files(self) -> None:
        """Add the files that only a link leads to."""
        for link in sorted(self.file_links):
            try:
                stat = (self.top / link).stat()
            except OSError as error:
                self.problems.append((link, f"a link that leads nowhere ({error.strerror})"))
                continue
            if S_ISREG(stat.st_mode) and (stat.st_dev, stat.st_ino) not in self.seen:
                self._add(link, stat)
