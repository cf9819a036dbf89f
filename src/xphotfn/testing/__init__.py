"""What tests and examples need: simulated observations and a tiny example field; shipped to users."""

from xphotfn.simulate.observing import (
    CameraExposure,
    Cluster,
    Pointing,
    Scene,
    Source,
    Truth,
    blank_field,
    default_scene,
    model_counts,
    simulate_observations,
)
from xphotfn.simulate.scene import OUT_OF_TIME
from xphotfn.testing.examples import example_field, example_rate_map

__all__ = (
    "OUT_OF_TIME",
    "CameraExposure",
    "Cluster",
    "Pointing",
    "Scene",
    "Source",
    "Truth",
    "blank_field",
    "default_scene",
    "example_field",
    "example_rate_map",
    "model_counts",
    "simulate_observations",
)
