"""Files from anywhere, read up to a size: what is larger than it can be is said, and takes no memory."""

from pathlib import Path

from xphotfn.errors import InvalidFile

__all__ = ("MOST_TEXT", "read_bounded")

MOST_TEXT = 64 * 2**20
"""Bytes of a text: a region file, a table."""


def read_bounded(path: str | Path, *, most: int) -> bytes:
    """Return the content of a file.

    Parameters
    ----------
    path
        The file.
    most
        How many bytes it may have.

    Raises
    ------
    InvalidFile
        If it is missing, cannot be read, or is larger.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "sources.reg")
    >>> _ = path.write_text("image")
    >>> read_bounded(path, most=5)
    b'image'
    >>> read_bounded(path, most=4)
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: ...sources.reg: is larger than 4 bytes, more than is read of such a file: ...
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(most + 1)
    except FileNotFoundError as error:
        raise InvalidFile(str(path), "there is no such file: check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        why = getattr(error, "strerror", None) or error
        raise InvalidFile(str(path), f"cannot be read ({why})") from error
    if len(content) > most:
        size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most} bytes"
        raise InvalidFile(str(path), f"is larger than {size}, more than is read of such a file: give a smaller one")
    return content
