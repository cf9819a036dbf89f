"""Pictures in files, and what happens without matplotlib."""

import re
import subprocess
import sys

import astropy.units as u
import pytest

import xphotfn as xp
from xphotfn.errors import InvalidFile, InvalidRecord, XphotfnError
from xphotfn.plot.view import MatplotlibMissing, save_view, view
from xphotfn.science.pixel_masks import disc
from xphotfn.testing import example_rate_map
from xphotfn.testing.examples import example_source_list

mpl = pytest.importorskip("matplotlib")
mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


@pytest.fixture
def rate_map():
    return example_rate_map()


@pytest.fixture
def core():
    return disc((512, 512), 255.5, 255.5, 50.0)


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF"), ("a.svg", b"<?xml")])
def test_saved_pictures(rate_map, core, tmp_path, name, magic):
    path = save_view(rate_map, tmp_path / name, mask=core, zoom_in=True, cross_hair=[250, 250] * u.pix, dpi=50)
    assert path == tmp_path / name
    content = path.read_bytes()
    assert content.startswith(magic)
    save_view(rate_map, path, mask=core, zoom_in=True, cross_hair=[250, 250] * u.pix, dpi=50, overwrite=True)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
    assert plt.get_fignums() == []


def test_a_saved_picture_is_the_same_each_time_and_leaves_the_settings_alone(rate_map, core, tmp_path, monkeypatch):
    monkeypatch.setattr(mpl, "rc_context", None)
    texts = [save_view(rate_map, tmp_path / f"{n}.svg", mask=core, zoom_in=True, dpi=50).read_text() for n in range(2)]
    assert texts[0] == texts[1]
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', texts[0]))
    assert used
    assert used <= set(re.findall(r'id="([^"]+)"', texts[0]))


def test_size_of_a_saved_picture(rate_map, tmp_path):
    path = save_view(rate_map, tmp_path / "a.png", figsize=(4, 3), dpi=50)
    assert plt.imread(path).shape[:2] == (150, 200)


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.fits", "png"])
def test_unknown_suffixes_are_refused(rate_map, tmp_path, name):
    with pytest.raises(InvalidFile, match=r"\.png, \.pdf, \.svg"):
        save_view(rate_map, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_what_was_there(rate_map, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG old")
    with pytest.raises(InvalidFile, match="overwrite=True"):
        save_view(rate_map, path)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(InvalidFile, match="No space"):
        save_view(rate_map, path, overwrite=True)
    assert path.read_bytes() == b"\x89PNG old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("draw", [view, lambda product: save_view(product, "never.png")])
def test_missing_matplotlib_says_what_to_install(rate_map, monkeypatch, draw):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MatplotlibMissing, match=r'pip install "xphotfn\[plot\]"') as caught:
        draw(rate_map)
    assert isinstance(caught.value, XphotfnError)
    assert isinstance(caught.value, ImportError)


def test_lists_of_another_observation_are_refused(rate_map, tmp_path):
    """One of those that are shown is enough: source_lists(run) has all of a run."""
    lists = {"0000000077": example_source_list()}
    with pytest.raises(InvalidRecord, match=f"regions of 0000000077 were given, but the picture has {rate_map.obs_id}"):
        save_view([rate_map, rate_map.image], tmp_path / "a.png", sources=lists)
    with pytest.raises(InvalidRecord, match="regions of 0000000077"):
        view(rate_map, sources=lists)
    save_view(rate_map, tmp_path / "b.png", dpi=30, sources=lists | {rate_map.obs_id: example_source_list()})


def test_importing_view_loads_no_matplotlib():
    code = "import sys, xphotfn.plot.view; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_sources_of_another_field_are_not_passed_over_in_silence(rate_map, tmp_path):
    """Nothing of them is seen: that is said; one of two in the picture is enough."""
    near, far = (
        xp.Region(shape="circle", frame="fk5", x=ra, y=rate_map.grid.dec_deg, size=(0.01,))
        for ra in (rate_map.grid.ra_deg, rate_map.grid.ra_deg + 3)
    )
    for sources, words in (([far], "the one region lies not"), ([far, far], "none of the 2"), ([], "is empty")):
        with pytest.warns(UserWarning, match=words):
            save_view(rate_map, tmp_path / "a.png", dpi=30, sources=sources, overwrite=True)
    with pytest.warns(UserWarning, match="none of the 2 regions lies in the picture"):
        view(
            [rate_map.image, rate_map.exposure],
            sources={rate_map.obs_id: xp.SourceList(sources=[source_at(1, 40.0), source_at(2, 41.0)])},
        )
    save_view(rate_map, tmp_path / "b.png", dpi=30, sources=[near, far])


def source_at(number, ra_deg):
    return xp.DetectedSource(number=number, ra_deg=ra_deg, dec_deg=-33.7, position_error_arcsec=1.0, det_ml=20.0)
