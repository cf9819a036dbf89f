"""What the work costs at least, by code that is not ours: numpy, astropy, scipy and the standard library."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.sides import FEW, pairs

__all__ = ()


def imports(folder, facts):
    """Import numpy, astropy.units and astropy.io.fits, in a new process."""
    return _script("import numpy, astropy.units, astropy.io.fits")


def _script(code):
    def run(number):
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    return run


def modules_of_snr(folder, facts):
    """Import what ``xphotfn snr`` imports, and do nothing, in a new process."""
    names = (Path(folder) / "modules_of_snr.txt").read_text().split()
    code = "import contextlib, importlib\nfor name in " + repr(names) + ":\n"
    return _script(code + "    with contextlib.suppress(Exception):\n        importlib.import_module(name)")


def quotient(folder, facts):
    """Open an image and its exposure map with astropy, each once, and divide."""
    from astropy.io import fits

    def run(number):
        item = facts["maps"][number % 9]
        with fits.open(item["image"]) as image, fits.open(item["exposure"]) as exposure:
            counts, seconds = image[0].data, exposure[0].data
            image[0].header["CRVAL1"], exposure[0].header["CRVAL1"]
            return np.divide(counts, seconds, out=np.zeros(counts.shape), where=seconds > 0, dtype=np.float64)

    return run


def reading(folder, facts):
    """Read eighteen files with astropy, as it reads them for a user."""
    from astropy.io import fits

    return lambda number: [fits.getdata(m[kind]) for m in facts["maps"] for kind in ("image", "exposure")] and None


def counting(folder, facts):
    """Read X, Y and PI of a plain list with astropy and count them, after decompressing the packed one."""
    from astropy.io import fits

    def run(number):
        content = Path(facts["packed_events"]).read_bytes()
        gzip.decompress(content)
        with fits.open(facts["events"], memmap=True) as hdus:
            data = hdus[1].data
            keep = (data["PI"] >= 500) & (data["PI"] <= 2000)
            x, y = (np.asarray(data[n])[keep].astype(np.int64) - 3649 for n in ("X", "Y"))
            inside = (x >= 0) & (x <= 44457) & (y >= 0) & (y <= 44457)
            return np.bincount(y[inside] // 87 * 512 + x[inside] // 87, minlength=512 * 512).reshape(512, 512)

    return run


def world(folder, facts):
    """Convert 1e5 pairs to the sky and back with astropy.wcs."""
    from astropy.io import fits
    from astropy.wcs import WCS

    wcs, given = WCS(fits.getheader(facts["maps"][0]["image"])).celestial, [pairs(n) for n in range(FEW)]
    return lambda number: wcs.all_world2pix(wcs.all_pix2world(given[number % FEW], 0), 0)
