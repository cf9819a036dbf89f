"""Images in detector coordinates by SAS's own commands: SAS's pixels, and its cards of the world coordinates."""

import numpy as np
import pytest
from astropy.io import fits

from xphotfn.commands import Command, parse_xproc
from xphotfn.engines.native.evselect.evselect_task import evselect

STEMS = ("CTYPE", "CRPIX", "CRVAL", "CUNIT", "CDELT", "LTV", "LTM", "WCS", "NAXIS")


@pytest.mark.parametrize(
    ("image", "table"),
    [("mos1S001-corn-image", "mos1S001-corn"), ("mos1S001-corimc", "mos1S001-corevc")],
)
def test_images_of_mos_in_detector_coordinates_are_those_of_sas(folders_root, tmp_path, image, table):
    """SAS calls the axes DETX_ANG and DETY_ANG, in degrees about the centre, and has DETX and DETY in the L cards."""
    esas = folders_root / "esas" / "0203930101"
    (tmp_path / "events.fits").symlink_to(esas / f"{table}.fits.gz")
    parameters = dict(parse_xproc(fits.getheader(esas / f"{image}.fits.gz")["XPROC0"]).parameters)
    parameters |= {"table": "events.fits", "imageset": "ours.fits", "withfilteredset": "no"}
    evselect(Command(task="evselect", parameters=parameters), tmp_path)
    ours, ours_header = fits.getdata(tmp_path / "ours.fits", header=True)
    theirs, theirs_header = fits.getdata(esas / f"{image}.fits.gz", header=True)
    np.testing.assert_array_equal(ours, theirs)
    assert theirs.sum() > 0
    said = [name for name in theirs_header if name.startswith(STEMS)]
    assert theirs_header["CTYPE1"] == "DETX_ANG"
    assert [name for name in ours_header if name.startswith(STEMS)] == said
    for name in said:
        value = theirs_header[name]
        assert ours_header[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-13)), name
        assert type(ours_header[name]) is type(theirs_header[name]), name
