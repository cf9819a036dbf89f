"""What is asked of the XMM-Newton archive: its address, and the names of the products that are wanted."""

from urllib.parse import urlencode, urlsplit

from xphotfn.errors import InvalidRecord

__all__ = ("ARCHIVE", "PRODUCTS", "archive_address")

ARCHIVE = "https://nxsa.esac.esa.int/nxsa-sl/servlet/data-action-aio"
"""Where the archive (XSA) answers; ``mirror=`` takes another place that answers the same question."""
PRODUCTS = ("*IEVLI*", "*ATTTSR*", "*FBKTSR*", "*OBSMLI*")
"""Event lists, attitude, background curves and source lists, by their names in the pipeline."""


def archive_address(obs_id: str, mirror: str = ARCHIVE) -> str:
    """Return the address of all pipeline products of an observation, as one tar file.

    Raises
    ------
    InvalidRecord
        If the ObsID is none, or the address is not one of http or https.

    References
    ----------
    https://www.cosmos.esa.int/web/xmm-newton/xsa (Archive Inter-Operability)

    Examples
    --------
    >>> archive_address("0404910601").partition("?")[2]
    'obsno=0404910601&level=PPS'
    """
    if not (isinstance(obs_id, str) and len(obs_id) == 10 and obs_id.isascii() and obs_id.isdigit()):
        raise InvalidRecord(f"an ObsID has ten digits, got {obs_id!r}: give it with its leading zeros, as text")
    if urlsplit(mirror).scheme not in ("http", "https"):
        raise InvalidRecord(f"mirror must be an address of http or https, got {mirror!r}: leave it out for the archive")
    return f"{mirror}?{urlencode({'obsno': obs_id, 'level': 'PPS'})}"
