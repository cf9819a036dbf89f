"""Folders as users have them: what each file is, which are used, and why the others are not."""

import shutil

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.records.band import Band

SOFT, WIDE = Band(lo_ev=500, hi_ev=2000), Band(lo_ev=500, hi_ev=10000)


def name_of(file):
    return file.path.rpartition("/")[2]


def reasons(found, obs_id):
    return {n.file.rpartition("/")[2]: n.reason for n in found.left_out if n.obs_id == obs_id}


def used(observation):
    """Return the names of the files that an observation uses."""
    files = [getattr(observation, kind) for kind in ("attitude", "regions", "cif")]
    files += [e.events for e in observation.exposures]
    files += [p.file for e in observation.exposures for p in e.products]
    return {name_of(file) for file in files if file is not None}


@pytest.fixture(scope="module")
def esas(folders_root):
    return xp.inventory(folders_root / "esas")


def test_scratch_files_of_esas_are_what_they_are(esas, folders_root):
    (observation,) = (o for o in esas.observations if o.obs_id == "0203930101")
    corners = dict.fromkeys(("corev", "corevc", "corn"), "outside_field")
    detector = dict.fromkeys(("corimc", "corn-image", "obj-im-det-500-10000", "exp-im-det-500-10000"), "detector")
    expected = {f"mos1S001-{name}.fits.gz": reason for name, reason in (corners | detector).items()} | {
        "temp_events.fits.gz": "outside_field",
        "pnS003-obj-im-oot.fits.gz": "out_of_time",
        "pnS003-obj-image-det-unfilt-oot.fits.gz": "out_of_time",
        "pnS003-obj-image-det-unfilt.fits.gz": "detector",
        "mos1S001-back-im-sky-500-10000.fits.gz": "model",
        "mos1S001-mask-im.fits.gz": "mask",
        "mos1S001-obj-image-sky.fits.gz": "no_band",
    }
    left = reasons(esas, "0203930101")
    assert {name: left[name] for name in expected} == expected
    assert {reason for name, reason in left.items() if name not in expected} == {"other_kind"}
    assert [(n.file.rpartition("/")[2], n.reason) for n in esas.left_out if n.obs_id == "0119700301"] == [
        ("filtered.fits.gz", "closed")
    ]
    files = {path.name for path in (folders_root / "esas").rglob("*") if path.is_file()}
    assert files == used(observation) | set(left) | {"filtered.fits.gz"}


def test_what_esas_truly_left(esas):
    (observation,) = (o for o in esas.observations if o.obs_id == "0203930101")
    pn, mos1 = observation.exposures
    assert [(e.instrument, e.exposure_id) for e in (pn, mos1)] == [("pn", "S003"), ("mos1", "S001")]
    assert name_of(observation.attitude) == "atthk.fits.gz"
    assert name_of(observation.cif) == "ccf.cif.gz"
    products = {(p.kind, str(p.band)): name_of(p.file) for p in mos1.products}
    assert products == {
        ("image", "0.5-8 keV"): "mos1S001-obj-im.fits.gz",
        ("image", "0.5-10 keV"): "mos1S001-obj-im-500-10000.fits.gz",
        ("exposure_map", "0.3-8 keV"): "mos1S001-exp-im.fits.gz",
        ("exposure_map", "0.5-10 keV"): "mos1S001-exp-im-500-10000.fits.gz",
    }
    whole, cut = (mos1.found("image", Band(lo_ev=500, hi_ev=hi)).subspace for hi in (8000, 10000))
    assert whole.places == ()
    assert any("region(mos1S001-bkg_region-sky.fits)" in place for place in cut.places)
    assert [str(p.band) for p in pn.products if p.kind == "image"] == ["0.5-8 keV"]
    assert pn.events is None


def test_the_archives_images_pair_with_their_exposure_maps_and_models_are_left_out(folders_root):
    folder = folders_root / "pps" / "0207300201"
    found = xp.inventory(folder)
    (observation,) = found.observations
    assert [(n.file, n.reason) for n in found.left_out] == [
        ("P0207300201M1S001BKGND_2000.FTZ", "model"), ("P0207300201M2S002BKGND_2000.FTZ", "model")
    ]  # fmt: skip
    field = xp.match_observations(
        xp.point_source("centre", observation.ra_deg, observation.dec_deg, radius="2 arcmin"), [observation]
    )
    plan = xp.plan_exposure_maps(field, SOFT)
    assert plan.steps == ()
    assert [(p.instrument, p.kind, name_of(p.file)[17:]) for p in plan.products] == [
        ("mos1", "image", "IMAGE_2000.FTZ"), ("mos2", "image", "IMAGE_2000.FTZ"),
        ("mos1", "exposure_map", "EXPMAP2000.FTZ"), ("mos2", "exposure_map", "EXPMAP2000.FTZ"),
    ]  # fmt: skip


def test_counts_of_the_archive_are_those_of_its_images(folders_root, tmp_path):
    folder = folders_root / "pps" / "0207300201"
    observations = xp.find_observations(folder)
    field = xp.bulk_field(observations)
    run = xp.run(xp.plan_exposure_maps(field, SOFT), engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    maps = xp.rate_maps(run)
    assert [m.instrument for m in maps] == ["mos1", "mos2"]
    for rate_map in maps:
        with fits.open(rate_map.path) as hdus:
            image = hdus[0].data
        assert image.sum() in (49876, 50583)  # as astropy reads them
        y, x = np.unravel_index(np.argmax(image), image.shape)
        assert xp.counts_at(rate_map, [x, y] * u.pix).value == image.max()


def test_the_raw_list_goes_before_lists_that_were_cut(folders_root):
    found = xp.inventory(folders_root / "pps" / "0001730201")
    (observation,) = found.observations
    assert name_of(observation.exposures[0].events) == "P0001730201M1S002MIEVLI.FTZ"
    left = {n.file: n for n in found.left_out if n.kind == "events"}
    assert {name: note.reason for name, note in left.items()} == {
        "M1_clean.fits.gz": "narrower", "M1_sourceless.fits.gz": "narrower"
    }  # fmt: skip
    assert left["M1_clean.fits.gz"].differs == ("energies", "times", "flags", "patterns")
    assert left["M1_sourceless.fits.gz"].differs == ("energies", "times", "places", "flags", "patterns")
    assert {note.preferred for note in left.values()} == {("P0001730201M1S002MIEVLI.FTZ",)}


def test_the_user_may_prefer_the_cut_list(folders_root):
    found = xp.find_observations(folders_root / "pps" / "0001730201", prefer="M1_clean.fits.gz")
    exposure = found[0].exposures[0]
    assert name_of(exposure.events) == "M1_clean.fits.gz"
    assert str(exposure.subspace.energies) == "0.5-10 keV"
    assert exposure.filtered
    with pytest.raises(xp.InvalidRecord, match=r"'M2_clean\.fits', to be preferred, is no file below"):
        xp.find_observations(folders_root / "pps" / "0001730201", prefer="M2_clean.fits")


def test_names_change_nothing(folders_root, tmp_path):
    """Files under other names, in other folders and twice: the same is used, by content."""
    folder = folders_root / "pps" / "0001730201"
    names = ("M1_clean.fits.gz", "M1_sourceless.fits.gz", "P0001730201M1S002MIEVLI.FTZ", "M1_image.fits")
    for number, name in enumerate(names):
        (tmp_path / f"x{number}").mkdir()
        shutil.copy(folder / name, tmp_path / f"x{number}" / f"{9 - number}.fits")
        shutil.copy(folder / name, tmp_path / f"{'long' * number}{number}.fits")
    (observation,) = xp.find_observations(tmp_path)
    (exposure,) = observation.exposures
    raw = (folder / "P0001730201M1S002MIEVLI.FTZ").stat().st_size
    assert exposure.events.size == raw
    assert [p.file.size for p in exposure.products] == [(folder / "M1_image.fits").stat().st_size]
    assert sorted(n.reason for n in observation.left_out) == ["narrower", "narrower", "same", "same", "same", "same"]


def test_a_folder_of_another_telescope_is_refused(folders_root):
    with pytest.raises(xp.InvalidFile, match="holds no EPIC event list, image or exposure map"):
        xp.find_observations(folders_root / "chandra_xap")
