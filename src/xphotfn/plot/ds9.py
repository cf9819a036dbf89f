"""Products in SAOImage DS9."""

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from xphotfn.errors import InvalidRecord, XphotfnError
from xphotfn.io.products import Product, RateMap
from xphotfn.io.region_export import write_regions
from xphotfn.io.write import write_fits
from xphotfn.records.field import Field
from xphotfn.typing import RadiiLike
from xphotfn.units import quantities

__all__ = ("Ds9Missing", "ds9_command", "open_in_ds9")

_LOOK = ("-scale", "log", "-scale", "mode", "99.5", "-cmap", "heat")


class Ds9Missing(XphotfnError, LookupError):
    """DS9 is not on PATH."""


def ds9_command(
    product: Product, *, field: Field | None = None, circles: RadiiLike = (), folder: str | Path | None = None
) -> tuple[str, ...]:
    """Return the command line that shows a product in DS9, and write the files that it needs.

    Parameters
    ----------
    product
        Image, ExposureMap or RateMap. A rate map, which has no file of its own, is written as one.
    field
        Its regions and radii are shown.
    circles
        Further radii of the field: one Quantity or several.
    folder
        Where the rate map and the region file are written, under names that start with ``xphotfn-``; files of these
        names are replaced. By default a new temporary folder, which stays, since DS9 reads from it.

    Returns
    -------
    tuple of str
        Program and arguments, ready for ``subprocess.run``; ``shlex.join`` gives a line for a shell.

    Raises
    ------
    InvalidRecord
        If it is no product, or circles are given without a field.
    InvalidFile
        If a file cannot be written.

    References
    ----------
    SAOImage DS9 reference manual, Command Line Options.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> command = ds9_command(example_rate_map().image, field=example_field())
    >>> [Path(word).name for word in command][:2], command[-2]
    (['ds9', '0999990101_pn_0.50-2.00keV_img.fits'], '-regions')
    """
    if not isinstance(product, Product):
        raise InvalidRecord(f"what DS9 shows is an Image, ExposureMap or RateMap, got {type(product).__name__}")
    if field is None and quantities(circles, "circles="):
        raise InvalidRecord("circles= lie around the centre of a field: give field= too")
    shown, regions = str(Path(product.path).absolute()), ""
    if isinstance(product, RateMap) or field is not None:
        root = Path(tempfile.mkdtemp(prefix="xphotfn-ds9-") if folder is None else folder).absolute()
        name = f"xphotfn-{product.obs_id}-{product.instrument}-{product.exposure_id or 'all'}-{product.band.name}"
        if isinstance(product, RateMap):
            shown = str(write_fits(product, root / f"{name}-rate.fits", overwrite=True))
        if field is not None:
            written = write_regions(field, root / f"{name}.reg", circles=circles, overwrite=True)
            regions = str(written)
    return ("ds9", shown, *_LOOK, *(("-regions", regions) if regions else ()))


def open_in_ds9(
    product: Product, *, field: Field | None = None, circles: RadiiLike = (), folder: str | Path | None = None
) -> tuple[str, ...]:
    """Show a product in DS9, with the regions of a field; DS9 is started and not waited for.

    Parameters
    ----------
    product, field, circles, folder
        As :func:`ds9_command`.

    Returns
    -------
    tuple of str
        The command that was started.

    Raises
    ------
    Ds9Missing
        If no ``ds9`` is on PATH; the message names the files to open.
    InvalidRecord, InvalidFile
        As :func:`ds9_command`.

    Examples
    --------
    >>> import os
    >>> from xphotfn.testing.examples import example_rate_map
    >>> open_in_ds9(example_rate_map())  # doctest: +SKIP
    """
    command = ds9_command(product, field=field, circles=circles, folder=folder)
    program = shutil.which(command[0])
    if program is None:
        files = " and ".join(word for word in command[1:] if word.startswith(os.sep))
        raise Ds9Missing(f"no ds9 on PATH: install SAOImage DS9, or open {files} in another viewer")
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(  # noqa: S603 - a tuple, no shell
        (program, *command[1:]), stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    threading.Thread(target=process.wait, daemon=True).start()  # so that no dead process is left when it is closed
    return command
