"""Native exposure maps against SAS's maps of a real field: Abell 907, three observations."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from scipy import ndimage

from xphotfn.commands.builders import eexpmap as built
from xphotfn.commands.command import Command
from xphotfn.commands.xproc import parse_xproc
from xphotfn.engines.native.eexpmap.eexpmap_task import eexpmap, exposure_geometry, exposure_map
from xphotfn.engines.native.eexpmap.map_inputs import read_inputs, read_job
from xphotfn.epic.camera.attitude import pointing_of
from xphotfn.epic.camera.response import packaged_table
from xphotfn.errors import InvalidFile
from xphotfn.io.fits import band_of_exposure_map, grid_of, is_exposure_map
from xphotfn.records.band import Band

OBSERVATIONS = ("0201901401", "0201903501", "0404910601")
BANDS = (("0.50-2.00", 500, 2000), ("2.00-10.00", 2000, 10000))


def real_command(obs_id, camera, bands=BANDS, **options):
    image = f"{obs_id}_{camera}_0.50-2.00keV_img.fits.gz"
    attitude = f"P{obs_id}OBX000ATTTSR0000.FIT.gz"
    events = f"{obs_id}_{camera}_clean_evts.fits.gz"
    maps = tuple(f"{camera}_{lo}.fits" for _, lo, _ in bands)
    if camera != "pn":
        return built(image, attitude, events, maps, band=[b[1:] for b in bands], **options)
    pairs = (
        ("imageset", image),
        ("attitudeset", attitude),
        ("expimageset", " ".join(maps)),
        ("pimin", " ".join(str(lo) for _, lo, _ in bands)),
        ("pimax", " ".join(str(hi) for _, _, hi in bands)),
    )
    return Command(task="eexpmap", parameters=pairs, inputs=(image, attitude), outputs=maps)


def link_inputs(command, source, folder):
    folder.mkdir(exist_ok=True)
    for name in command.inputs:
        (folder / name).symlink_to(source / name)
    return folder


@pytest.fixture(scope="module")
def real_maps(data_root, tmp_path_factory):
    """Native and SAS maps of an exposure, two bands in one pass; each exposure is made once."""
    known = {}

    def make(obs_id, camera):
        if (obs_id, camera) not in known:
            source = data_root / "a907" / obs_id
            command = real_command(obs_id, camera)
            folder = link_inputs(command, source, tmp_path_factory.mktemp("maps"))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore" if camera == "pn" else "error", UserWarning)
                eexpmap(command, folder)
            known[obs_id, camera] = [
                (
                    fits.getdata(folder / name).astype(float),
                    fits.getdata(source / f"{obs_id}_{camera}_{band}keV_expmap.fits.gz").astype(float),
                )
                for name, (band, _, _) in zip(command.outputs, BANDS, strict=True)
            ]
        return known[obs_id, camera]

    return make


def compared(sas):
    return (sas > 0.2 * sas.max()) & (ndimage.distance_transform_edt(sas > 0) >= 3)


def overlap(first, second):
    return np.count_nonzero((first > 0) & (second > 0)) / np.count_nonzero((first > 0) | (second > 0))


@pytest.mark.parametrize("camera", ["mos1", "mos2"])
@pytest.mark.parametrize("obs_id", OBSERVATIONS)
def test_mos_maps_are_those_of_sas(real_maps, obs_id, camera):
    for native, sas in real_maps(obs_id, camera):
        ratio = (native / np.where(sas > 0, sas, 1))[compared(sas)] - 1
        assert np.median(np.abs(ratio)) <= 0.0004
        assert np.percentile(np.abs(ratio), 95) <= 0.02
        assert abs(np.median(ratio)) <= 0.0003
        assert overlap(native, sas) >= 0.992
        assert abs(native.sum() / sas.sum() - 1) <= 0.003


def test_the_held_out_observation_is_no_worse(real_maps):
    median = {}
    for obs_id in OBSERVATIONS:
        for camera in ("mos1", "mos2"):
            for native, sas in real_maps(obs_id, camera):
                pixels = compared(sas)
                worst = np.median(np.abs(native[pixels] / sas[pixels] - 1))
                median[obs_id] = max(median.get(obs_id, 0), worst)
    assert median["0404910601"] <= max(median["0201901401"], median["0201903501"]) <= 0.00035


@pytest.mark.parametrize("obs_id", OBSERVATIONS)
def test_pn_maps_have_the_shape_of_sas_maps_without_an_event_list(real_maps, obs_id):
    scales = []
    for native, sas in real_maps(obs_id, "pn"):
        pixels = compared(sas)
        scales.append(np.median(sas[pixels] / native[pixels]))
        ratio = native[pixels] * scales[0] / sas[pixels] - 1
        assert np.median(np.abs(ratio)) <= 0.004
        assert np.percentile(np.abs(ratio), 95) <= 0.03
        assert overlap(native, sas) >= 0.955
    assert abs(scales[1] / scales[0] - 1) <= 0.003
    assert 0.97 < scales[0] < 1.015  # what the usual live time of the mode leaves


def test_the_two_samplings_differ_as_documented(data_root):
    job = read_job(real_command("0201903501", "mos1"), data_root / "a907" / "0201903501")
    inputs = read_inputs(job)
    maps = [exposure_map(exposure_geometry(job, inputs, sampling=s), 1250, packaged_table()) for s in ("sas", "pixel")]
    both = (maps[0] > 0.2 * maps[0].max()) & (maps[1] > 0)
    assert 0.01 < np.median(np.abs(maps[0][both] / maps[1][both] - 1)) < 0.02


def test_the_parts_of_a_real_pointing_add(data_root):
    job = read_job(real_command("0201903501", "mos2"), data_root / "a907" / "0201903501")
    inputs = read_inputs(job)
    low = min(c.intervals[0][0] for c in inputs.chips.values())
    high = max(c.intervals[-1][1] for c in inputs.chips.values())
    cut = low + 0.37 * (high - low)

    def part(keep):
        chips = {
            n: c._replace(intervals=tuple((a, b) for a, b in map(keep, c.intervals) if b > a))
            for n, c in inputs.chips.items()
        }
        return exposure_map(exposure_geometry(job, inputs._replace(chips=chips)), 1250, packaged_table())

    whole, first, second = (
        part(k) for k in (lambda i: i, lambda i: (i[0], min(i[1], cut)), lambda i: (max(i[0], cut), i[1]))
    )
    seen = whole > 0.2 * whole.max()
    assert 0.1 < first[seen].sum() / whole[seen].sum() < 0.9
    difference = np.abs(first + second - whole)[seen] / whole[seen]
    assert np.median(difference) < 1e-4  # each part has its own mean attitude
    assert abs((first + second).sum() / whole.sum() - 1) < 1e-4


def test_the_header_of_a_real_map_is_that_of_sas_and_says_what_was_done(data_root, tmp_path):
    source = data_root / "a907" / "0404910601"
    command = real_command("0404910601", "mos1", BANDS[:1])
    eexpmap(command, link_inputs(command, source, tmp_path))
    ours = fits.getheader(tmp_path / command.outputs[0])
    theirs = fits.getheader(source / "0404910601_mos1_0.50-2.00keV_expmap.fits.gz")
    made = {
        "XPROC0",
        "XDAL0",
        "CREATOR",
        "DATE",
        "HISTORY",
        "XMMSEP",
        "",
        "COMMENT",
        "SIMPLE",
        "EXTEND",
        "XCEN",
        "YCEN",
    }
    for key in set(theirs) - made:
        same = pytest.approx(theirs[key]) if isinstance(theirs[key], float) else theirs[key]
        assert (key, ours[key]) == (key, same)
    for key in ("XCEN", "YCEN"):  # the maximum, from 0: SAS's lies in the same block or the next
        assert abs(ours[key] - theirs[key]) <= 5
    assert ours["BITPIX"] == -32
    assert ours["SAMPLING"] == "sas"
    assert ours["DETSKY"] == "fit to events"
    assert "ASSUME01" not in ours
    assert not {"DATE", "XDAL0", "HISTORY"} & set(ours)
    assert parse_xproc(ours["XPROC0"]).parameter("attrebin") == "4"
    assert is_exposure_map(ours)
    assert band_of_exposure_map(ours) == Band(lo_ev=500, hi_ev=2000)
    assert grid_of(ours, "a").difference(grid_of(theirs, "b")) == ""


@pytest.mark.parametrize(("events", "limit"), [("mos1S001-corev.fits.gz", 0.0013), ("none", 0.0013)])
def test_a_map_in_detector_coordinates(folders_root, events, limit):
    """SAS calls the axes DETX_ANG and DETY_ANG and has DETX and DETY in the L cards."""
    place = folders_root / "esas" / "0203930101"
    pairs = {"imageset": "mos1S001-obj-im-det-500-10000.fits.gz", "attitudeset": "atthk.fits.gz", "eventset": events}
    pairs |= {"expimageset": "o.fits", "pimin": "500", "pimax": "10000", "withdetcoords": "yes"}
    job = read_job(Command(task="eexpmap", parameters=tuple(pairs.items())), place)
    native = exposure_map(exposure_geometry(job, read_inputs(job)), 5250, packaged_table()).astype(float)
    sas = fits.getdata(place / "mos1S001-exp-im-det-500-10000.fits.gz").astype(float)
    pixels = compared(sas)
    ratio = native[pixels] / sas[pixels] - 1
    assert np.median(np.abs(ratio)) <= limit
    assert overlap(native, sas) >= (0.995 if events != "none" else 0.98)


@pytest.mark.parametrize("camera", ["mos1", "mos2"])
def test_without_an_attitude_file_the_header_points(data_root, camera):
    """Pointings of Abell 907 are steady to 0.6 arcsec, so that one pointing does as well as their history."""
    place = data_root / "a907" / "0201903501"
    command = real_command("0201903501", camera)
    pairs = tuple((name, "none" if name == "attitudeset" else value) for name, value in command.parameters)
    job = read_job(evolve(command, parameters=pairs), place)
    inputs = read_inputs(job)
    assert any("no attitude history: the pointing of the header" in note for note in inputs.notes)
    native = exposure_map(exposure_geometry(job, inputs), 1250, packaged_table()).astype(float)
    sas = fits.getdata(place / f"0201903501_{camera}_0.50-2.00keV_expmap.fits.gz").astype(float)
    assert np.median(np.abs(native[compared(sas)] / sas[compared(sas)] - 1)) <= 0.0004
    assert overlap(native, sas) >= 0.99
    bare = {k: v for k, v in inputs.header.items() if k != "PA_PNT"}
    with pytest.raises(InvalidFile, match="has no RA_PNT, DEC_PNT and PA_PNT"):
        pointing_of(bare, "image.fits")
