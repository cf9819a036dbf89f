"""The sides of the comparisons, and the inputs that both take: they depend on the number of a call alone."""

import numpy as np

__all__ = ("FEW", "MANY", "circles", "pairs", "places", "scene", "sky_pairs")

MANY, FEW = 64, 5  # inputs that are made before the clock starts


def places(facts):
    """Return positions in degrees around the target."""
    return [
        np.array([facts["ra"], facts["dec"]]) + np.random.default_rng(n).uniform(-0.01, 0.01, 2) for n in range(MANY)
    ]


def pairs(number):
    """Return 1e5 whole pixels."""
    return np.random.default_rng(number).integers(0, 512, (100_000, 2)).astype(float)


def sky_pairs(number, facts):
    """Return 1e5 positions in degrees."""
    return np.array([facts["ra"], facts["dec"]]) + np.random.default_rng(number).uniform(-0.15, 0.15, (100_000, 2))


def circles(number, facts):
    """Return many positions in pixels, x and y."""
    return np.random.default_rng(number).uniform(20, 490, (2, 500 if facts["small"] else 10_000))


def scene(number):
    """Return a rate image of some 110,000 lit pixels and a mask that holds them."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:600, :600] - 300.0
    counts = rng.poisson(0.55 + 5 / (1 + (np.hypot(x, y) / 20) ** 2) ** 1.5)
    return counts / (1e4 * (1 - np.hypot(x, y) / 800)), np.hypot(x, y) < 290
