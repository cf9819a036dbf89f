"""The example field: what the examples of the documentation rely on, and that it leaves nothing behind."""

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
from attrs import evolve

from xphotfn.io.find import find_observations
from xphotfn.measure.coordinates import coord_conv, exposure_at
from xphotfn.measure.masks import interloper_mask, source_mask
from xphotfn.measure.signal_to_noise import snr
from xphotfn.records import PixelGrid
from xphotfn.testing import example_field, example_rate_map


def test_what_the_examples_rely_on():
    rate_map, field = example_rate_map(), example_field()
    assert rate_map.grid == PixelGrid.from_sky_range(149.591375, -11.0887222222222)
    assert rate_map.data.shape == (512, 512)
    assert set(np.unique(rate_map.exposure.data)) == {0.0, 1000.0}
    assert exposure_at(rate_map, [256, 256] * u.pix) == 1000 * u.s
    assert coord_conv(rate_map, [100, 100] * u.pix, "xmm_sky").value.tolist() == [12392.0, 12392.0]
    assert float(snr(rate_map, field, 60 * u.arcsec)) > 3
    assert not interloper_mask(rate_map, field).all()
    assert source_mask(rate_map, field, "region")[0].any()
    assert field.members[0].on_axis


def test_target_lies_on_the_brightest_source():
    rate_map = example_rate_map()
    x, y = coord_conv(rate_map, example_field().centre, "pix", rounded=False).value
    brightest = np.unravel_index(np.argmax(rate_map.data), rate_map.data.shape)
    assert abs(brightest[1] - x) < 3
    assert abs(brightest[0] - y) < 3


def test_field_belongs_to_the_map():
    rate_map, field = example_rate_map(), example_field()
    assert field.target.name == rate_map.target == "example"
    assert field.obs_ids == (rate_map.obs_id,)
    (exposure,) = field.observations[0].exposures
    assert exposure.instrument == rate_map.instrument
    assert exposure.found("image", rate_map.band).file.path == rate_map.path
    assert exposure.found("exposure_map", rate_map.band).file.path == rate_map.exposure.path


def test_files_are_those_of_an_observation():
    field = example_field()
    (found,) = find_observations(Path(example_rate_map().path).parent)
    (exposure,), (own,) = found.exposures, field.observations[0].exposures
    for product, mine in zip(exposure.products, own.products, strict=True):
        assert product.grid.difference(mine.grid) == ""
        assert evolve(product, grid=mine.grid, subspace=mine.subspace) == mine
    assert evolve(exposure, products=own.products) == own
    assert (found.obs_id, found.ra_deg, found.object_name) == ("0999990101", 149.591375, "example")


def test_it_is_made_once_and_survives_a_pickle():
    assert example_rate_map() == example_rate_map()
    assert example_field() == example_field()
    assert hash(example_field()) == hash(example_field())
    assert pickle.loads(pickle.dumps(example_rate_map())) == example_rate_map()


def test_it_is_the_same_in_every_process_and_leaves_no_file():
    code = (
        "import hashlib; from xphotfn.testing.examples import example_rate_map; m = example_rate_map();"
        "print(m.path, hashlib.sha256(m.image.data.tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    path, digest = done.stdout.split()
    here = example_rate_map()
    assert digest == hashlib.sha256(here.image.data.tobytes()).hexdigest()
    assert path != here.path
    assert not Path(path).parent.exists()
    assert done.stderr == ""


def test_importing_it_needs_no_hypothesis_and_writes_nothing():
    code = (
        "import sys, tempfile, os; before = set(os.listdir(tempfile.gettempdir())); import xphotfn.testing;"
        "new = [n for n in set(os.listdir(tempfile.gettempdir())) - before if n.startswith('xphotfn-example')];"
        "print('hypothesis' in sys.modules, 'matplotlib' in sys.modules, new)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "[]"]
