"""A map, and no figure left open."""

import sys

import pytest

from xphotfn.testing import example_rate_map


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def rate_map():
    return example_rate_map()
