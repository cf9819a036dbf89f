"""The files that all sides read: maps of three observations, larger maps, event lists; and their facts as JSON."""

import gzip
import json
from pathlib import Path

import numpy as np
from astropy.io import fits

from xphotfn.io.write import write_image
from xphotfn.records.grid import PixelGrid

__all__ = ("make",)

CAMERAS = {"pn": ("EPN", 1.0), "mos1": ("EMOS1", 0.34), "mos2": ("EMOS2", 0.35)}
RA, DEC, R500_DEG = 149.592, -11.06, 0.1170877
_KINDS = (
    "TIME >f8, RAWX >i2, RAWY >i2, DETX >i2, DETY >i2, X >i4, Y >i4, PHA >i2, PI >i2, FLAG >i4, PATTERN u1, CCDNR u1"
)
ROW = np.dtype([tuple(column.split()) for column in _KINDS.split(", ")])
FORMS = {">f8": "D", ">i4": "J", ">i2": "I", "|u1": "B"}


def make(folder, small=False):
    """Write everything into a folder."""
    rng = np.random.default_rng(4)
    facts = {
        "ra": RA, "dec": DEC, "r500_deg": R500_DEG, "small": small,
        "maps": [a_map(folder, rng, n, 512, 87) for n in range(9)],
        "large": [a_map(folder, rng, n, 256 if small else 2048, 174 if small else 22) for n in range(9)],
    }  # fmt: skip
    facts["regions"] = [
        [RA + rng.uniform(-0.25, 0.25), DEC + rng.uniform(-0.25, 0.25), 3.1 if n > 4 else rng.uniform(4, 8),
         3.1 if n > 4 else rng.uniform(4, 8), rng.uniform(0, 360)]
        for n in range(66)
    ]  # fmt: skip
    facts["events"], facts["packed_events"] = events(folder, 100_000 if small else 2_000_000)
    Path(folder, "facts.json").write_text(json.dumps(facts))
    return facts


def a_map(folder, rng, number, size, step):
    """Write an image and an exposure map of one camera and return where they are and what they show."""
    observation, (name, (card, response)) = divmod(number, 3)[0], list(CAMERAS.items())[number % 3]
    ra, dec = RA + 0.01 * observation, DEC - 0.01 * observation
    grid = PixelGrid.from_sky_range(ra, dec, low=3649, high=3649 + step * size - 1, bin_size=step)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    r = np.hypot(x, y) * step / 87
    exposure = np.where(r < 240, 10_000 / (1 + (r / 145) ** 2), 0) * ((x % (37 * 87 / step)) > 1)
    lam = response * (step / 87) ** 2 * (0.15 + 20 / (1 + (r / 12) ** 2) ** 1.5) * (exposure > 0)
    obs_id = f"099999010{observation + 1}"
    cards = [("TELESCOP", "XMM", ""), ("INSTRUME", card, ""), ("OBS_ID", obs_id, ""), ("EXPIDSTR", "S003", "")]
    paths = [Path(folder, f"{size}_{step}_{number}_{kind}.fits") for kind in ("img", "expmap")]
    write_image(paths[0], rng.poisson(lam).astype(np.int32), grid, cards)
    write_image(paths[1], exposure.astype(np.float32), grid, [*cards, ("CONTENT", "EPIC EXPOSURE MAP", "")])
    return {"image": str(paths[0]), "exposure": str(paths[1]), "obs_id": obs_id, "instrument": name, "ra": ra,
            "dec": dec, "size": size, "step": step}  # fmt: skip


def events(folder, count, seed=0):
    """Write an event list of the shape of an EPIC-MOS one, plain and packed, and return both."""
    columns = [fits.Column(name=name, format=FORMS[ROW[name].str]) for name in ROW.names]
    header = fits.BinTableHDU.from_columns(columns, name="EVENTS").header
    header["NAXIS2"], header["INSTRUME"] = count, "EMOS1"
    for name in ("X", "Y"):
        number = ROW.names.index(name) + 1
        header[f"TLMIN{number}"], header[f"TLMAX{number}"] = 1, 51840
    rng, rows = np.random.default_rng(seed), np.zeros(count, dtype=ROW)
    rows["TIME"] = np.sort(rng.uniform(0, 5e4, count))
    for name in ("X", "Y"):
        rows[name] = np.clip(rng.normal(25921, 6000, count), 1, 51840)
    rows["PI"] = np.clip(rng.gamma(1.5, 1200, count), 0, 15000)
    rows["CCDNR"] = rng.integers(1, 8, count)
    content = fits.PrimaryHDU().header.tostring().encode() + header.tostring().encode() + rows.tobytes()
    content += bytes(-len(content) % 2880)
    plain = Path(folder, f"events_{count}.fits")
    plain.write_bytes(content)
    packed = Path(folder, f"events_{count}.fits.gz")
    packed.write_bytes(gzip.compress(content, 4))
    return str(plain), str(packed)
