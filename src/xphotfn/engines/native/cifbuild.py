"""cifbuild in numpy: a small index that names the calibration in use. Built by ``commands.cifbuild``."""

import re
from pathlib import Path
from typing import NamedTuple

from xphotfn.commands.command import Command
from xphotfn.errors import InvalidFile
from xphotfn.io.write import publish
from xphotfn.records.instrument import INSTRUMENTS

__all__ = ("CalibrationFile", "cifbuild", "read_ccf_folder")

_CCF_NAME = re.compile(r"([A-Za-z0-9]+)_([A-Za-z0-9]+)_(\d{4})\.ccf(?:\.gz)?", re.IGNORECASE)


class CalibrationFile(NamedTuple):
    """One calibration file: what it is for (scope and type), its issue and its name."""

    scope: str
    type_id: str
    issue: int
    name: str


def packaged_calibration() -> tuple[CalibrationFile, ...]:
    """Return the calibration that comes with xphotfn: the mirror vignetting, the same for the three telescopes.

    Source: XMM-Newton current calibration file XRT3_XAREAEF_0012; the other two agree with it to 2.3e-7.

    Examples
    --------
    >>> [c.scope for c in packaged_calibration()]
    ['XRT1', 'XRT2', 'XRT3']
    """
    name = "vignetting_xrt3_xareaef_0012.csv"
    return tuple(CalibrationFile(scope, "XAREAEF", 12, name) for scope in sorted({c.telescope for c in INSTRUMENTS}))


def read_ccf_folder(folder: str | Path) -> tuple[CalibrationFile, ...]:
    """Return the newest issue of each calibration file in a folder of CCF files, sorted by name.

    Raises
    ------
    InvalidFile
        If the folder is missing or holds no CCF file.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InvalidFile(str(folder), "is no folder: give the folder that holds the CCF files (SAS_CCFPATH)")
    newest: dict[tuple[str, str], CalibrationFile] = {}
    for path in sorted(root.iterdir()):
        found = _CCF_NAME.fullmatch(path.name)
        if found:
            scope, type_id, issue = found.groups()
            newest[scope, type_id] = CalibrationFile(scope, type_id, int(issue), path.name)  # sorted: last is newest
    if not newest:
        raise InvalidFile(str(folder), "holds no CCF file such as XRT3_XAREAEF_0012.CCF")
    return tuple(newest[key] for key in sorted(newest))


def cifbuild(command: Command, folder: Path, *, ccf: str | None = None) -> None:
    """Execute a cifbuild command in ``folder``: write the index, which keeps the dates as they were given.

    ``ccf`` is a user's folder of CCF files; without one the index names the calibration that comes with xphotfn. The
    table CALINDEX has the columns SCOPE, TYPEID, ISSUE and FNAME of SAS's index. All issues in a folder are taken as
    valid for the observation; their validity dates are not read.

    References
    ----------
    SAS cifbuild, https://xmm-tools.cosmos.esa.int/external/sas/current/doc/cifbuild/node19.html.
    """
    import numpy as np
    from astropy.io import fits

    files = packaged_calibration() if ccf is None else read_ccf_folder(ccf)
    rows = np.array(
        [tuple(f) for f in files], dtype=[("SCOPE", "S6"), ("TYPEID", "S32"), ("ISSUE", ">i2"), ("FNAME", "S64")]
    )
    table = fits.BinTableHDU(rows, name="CALINDEX")
    primary = fits.PrimaryHDU()
    cards = [
        ("CREATOR", "cifbuild (xphotfn)", "program"),
        ("CALSRC", "packaged" if ccf is None else "folder", "packaged with xphotfn, or a user's folder"),
        ("OBSDATE", command.parameter("observationdate", "now"), "observation date as given"),
        ("ANADATE", command.parameter("analysisdate", "now"), "analysis date as given"),
    ]
    for hdu in (primary, table):
        hdu.header.extend(cards)
    with publish(folder / command.parameter("calindexset", "ccf.cif")) as temporary:
        fits.HDUList([primary, table]).writeto(temporary, overwrite=True)
