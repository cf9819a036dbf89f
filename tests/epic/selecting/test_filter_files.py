"""Region tables in a selection: positions in the columns of MFORM1, events in those of the call. SAS's files decide."""

import numpy as np
import pytest
from astropy.io import fits

from xphotfn.commands.command import Command
from xphotfn.commands.selection import parse
from xphotfn.engines.native.evselect.evselect_task import evselect
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.epic.selecting.filter_files import file_resolver, read_region_table

CURVE = "P0001730201M1S002FBKTSR0000.FTZ"
COLUMNS = ("TIME", "DETX", "DETY", "X", "Y", "PI", "FLAG", "PATTERN")


@pytest.fixture(scope="module")
def pps(folders_root):
    return folders_root / "pps" / "0001730201"


@pytest.fixture(scope="module")
def esas(folders_root):
    return folders_root / "esas" / "0203930101"


def columns_of(path):
    table = fits.getdata(path, "EVENTS")
    return {name: np.asarray(table[name]) for name in COLUMNS}


def test_the_pipeline_s_flare_curve(pps):
    """SAS counted events outside the table's circles in DETX, DETY: 997 bins of 26 s, 54000 events, none differs."""
    events = columns_of(pps / "P0001730201M1S002MIEVLI.FTZ")
    text = f"FLAG&0x762ba000==0 && PATTERN in (:12] && PI in (500:7500] && region({CURVE}:REGION,DETX,DETY)"
    chosen = evaluate(parse(text), events, resolve=file_resolver(pps, "none"))
    with fits.open(pps / CURVE) as hdus:
        curve, step = hdus["RATE"].data, hdus["RATE"].header["TIMEDEL"]
    live = curve["FRACEXP"] > 0
    theirs = curve["RATE"][live] * step * curve["FRACEXP"][live]
    edges = np.append(curve["TIME"] - step / 2, curve["TIME"][-1] + step / 2)
    ours = np.histogram(events["TIME"][chosen], edges)[0]
    assert ours.sum() == chosen.sum() == 54000
    np.testing.assert_allclose(ours[live], theirs, atol=0.01)


def test_a_list_that_was_asked_for_in_other_columns(pps, tmp_path):
    """SAS tested X and Y, as it was told, against circles in DETX and DETY, which lie nowhere near: nothing was cut."""
    for name in ("M1_clean.fits.gz", CURVE):
        (tmp_path / name).symlink_to(pps / name)
    pairs = {"table": "M1_clean.fits.gz", "filteredset": "out.fits", "expression": f"region({CURVE}:REGION,X,Y)"}
    evselect(Command(task="evselect", parameters=pairs), tmp_path)
    ours, theirs = (fits.getdata(p, "EVENTS") for p in (tmp_path / "out.fits", pps / "M1_sourceless.fits.gz"))
    assert len(ours) == len(theirs) == 36824
    assert np.array_equal(ours["TIME"], theirs["TIME"])


def test_a_table_that_names_its_columns(pps, tmp_path):
    for name in ("M1_clean.fits.gz", CURVE):
        (tmp_path / name).symlink_to(pps / name)
    kept = []
    for n, call in enumerate((f"region({CURVE}:REGION)", f"region({CURVE}:REGION,DETX,DETY)")):
        pairs = {"table": "M1_clean.fits.gz", "filteredset": f"{n}.fits", "expression": call}
        evselect(Command(task="evselect", parameters=pairs), tmp_path)
        kept.append(fits.getdata(tmp_path / f"{n}.fits", "EVENTS"))
    assert np.array_equal(kept[0]["TIME"], kept[1]["TIME"])
    events = columns_of(pps / "M1_clean.fits.gz")
    circles = fits.getdata(pps / CURVE, "REGION")
    inside = np.zeros(events["X"].shape, dtype=bool)
    for x, y, r in zip(circles["DETX"][:, 0], circles["DETY"][:, 0], circles["R"][:, 0], strict=True):
        inside |= np.hypot(events["DETX"] - float(x), events["DETY"] - float(y)) <= r
    assert len(kept[0]) == np.count_nonzero(~inside) < 36824


def test_esas_tables(esas):
    """Tables are read by MFORM1; a list that SAS cut passes the table that it carries (the file beside it is newer)."""
    for which, columns in (("det", ("DETX", "DETY")), ("sky", ("X", "Y"))):
        table = read_region_table(esas / f"mos1S001-bkg_region-{which}.fits.gz")
        assert table.columns == columns
        assert [len(component) for component in table.components] == [159]
    name = "mos1S001-clean-filtered.fits.gz"
    events = columns_of(esas / name)
    chosen = evaluate(parse(f"region({name}:REG00107,DETX,DETY)"), events, resolve=file_resolver(esas, "none"))
    assert chosen.all()
    assert len(chosen) == 1062
    turned = {**events, "DETX": events["DETY"], "DETY": events["DETX"]}
    swapped = evaluate(parse(f"region({name}:REG00107,DETX,DETY)"), turned, resolve=file_resolver(esas, "none"))
    assert not swapped.all()
