"""Names, headers and region files of simulated observations, as evselect, eexpmap and XAPA write them."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from xphotfn.records.band import Band
from xphotfn.records.instrument import instrument
from xphotfn.records.region import Region
from xphotfn.simulate.scene import CameraExposure, Pointing

__all__ = ("exposure_cards", "image_cards", "product_name", "region_text")

Card = tuple[str, Any, str]


def product_name(obs_id: str, camera: str, band: Band, kind: str) -> str:
    """Return the name of a product.

    Examples
    --------
    >>> product_name("0999990101", "pn", Band(lo_ev=500, hi_ev=2000), "img")
    '0999990101_pn_0.50-2.00keV_img.fits'
    """
    return f"{obs_id}_{camera}_{band.lo_ev / 1000:.2f}-{band.hi_ev / 1000:.2f}keV_{kind}.fits"


def image_cards(pointing: Pointing, exposure: CameraExposure, band: Band, object_name: str) -> list[Card]:
    """Return the cards of a counts image, without its coordinates."""
    camera = instrument(exposure.instrument)
    kind = camera.family.upper()
    selection = f"{camera.flag_condition} && (PATTERN <= {camera.max_pattern}) && PI in [{band.lo_ev}:{band.hi_ev}]"
    return [
        ("CREATOR", "evselect (xphotfn simulation)", "name of code"),
        *_common_cards(pointing, exposure, object_name),
        ("CONTENT", f"EPIC {kind} IMAGING MODE EVENT LIST", ""),
        ("SLCTEXPR", selection, ""),
        ("HDUCLASS", "OGIP", "Format conforms to OGIP conventions"),
        ("HDUCLAS1", "IMAGE", "File contains an Image"),
        ("HDUCLAS2", "TOTAL", "Gross counts"),
        ("HDUVERS1", "1.1.0", "Version of format"),
    ]


def exposure_cards(pointing: Pointing, exposure: CameraExposure, band: Band, object_name: str) -> list[Card]:
    """Return the cards of an exposure map, without its coordinates."""
    image, own = (product_name(pointing.obs_id, exposure.instrument, band, kind) for kind in ("img", "expmap"))
    command = (
        f"eexpmap imageset={image} attitudeset=attitude.fits eventset=events.fits expimageset={own} "
        f"withdetcoords=no withvignetting=yes usefastpixelization=no usedlimap=no attrebin=4 pimin={band.lo_ev} "
        f"pimax={band.hi_ev} # (xphotfn simulation)"
    )
    return [
        ("XPROC0", command, ""),
        ("CREATOR", "eexpmap (xphotfn simulation)", "name of code"),
        *_common_cards(pointing, exposure, object_name),
        ("CONTENT", "EPIC EXPOSURE MAP", "Content of file"),
    ]


def _common_cards(pointing: Pointing, exposure: CameraExposure, object_name: str) -> list[Card]:
    end = np.datetime64(pointing.date, "s") + np.timedelta64(round(exposure.ontime_s), "s")
    return [
        ("ORIGIN", "simulation", ""),
        ("TELESCOP", "XMM", "Telescope (mission) name"),
        ("INSTRUME", instrument(exposure.instrument).sas_name, "Instrument name"),
        ("FILTER", exposure.filter, ""),
        ("OBS_MODE", "POINTING", "Pointing or slew"),
        ("DATAMODE", "IMAGING", "Instrument mode"),
        ("SUBMODE", exposure.submode, ""),
        ("OBS_ID", pointing.obs_id, "Observation identifier"),
        ("EXP_ID", f"{pointing.obs_id}{exposure.exposure_id[1:]}", "Exposure identifier"),
        ("EXPIDSTR", exposure.exposure_id, "Exposure identifier (Xnnn)"),
        ("OBJECT", object_name.encode("ascii", "replace").decode(), ""),
        ("OBSERVER", "xphotfn simulation", "Name of PI"),
        ("DATE-OBS", pointing.date, "Start Time (UTC) of exposure"),
        ("DATE-END", str(end), "End Time (UTC) of exposure"),
        ("EXPOSURE", exposure.ontime_s, "max of ONTIMEnn values"),
        ("RA_PNT", pointing.ra_deg, "[deg] Mean pointing RA"),
        ("DEC_PNT", pointing.dec_deg, "[deg] Mean pointing Dec"),
        ("PA_PNT", pointing.pa_deg, "[deg] Mean position angle"),
        ("EQUINOX", 2000.0, "Equinox for sky coordinate x/y axes"),
        ("RADECSYS", "FK5", "World coord. system for this file"),
    ]


def region_text(regions: Iterable[Region], image: str) -> str:
    """Return ellipses in 0-based pixels of an image as a DS9 file, which counts from 1, in XAPA's style.

    ``image`` is the name of that image, or its X and Y as ``low:high:bin``.

    Examples
    --------
    >>> region = Region(shape="ellipse", frame="image", x=9, y=19, size=(3, 2), colour="blue")
    >>> print(region_text([region], "a.fits"), end="")
    # image: a.fits
    global color=red
    image ; ellipse(10.0000,20.0000,3.00000,2.00000,0.00000) # color=blue
    """
    lines = [f"# image: {image}", "global color=red"]
    for region in regions:
        numbers = ",".join(f"{v:#.6g}" for v in (region.x + 1, region.y + 1, *region.size, region.angle_deg))
        colour = "" if region.colour == "red" else f" # color={region.colour}"
        lines.append(f"image ; ellipse({numbers}){colour}")
    return "\n".join(lines) + "\n"
