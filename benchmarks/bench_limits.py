"""A million upper limits, intervals and significances against the bare scipy.special calls that they rest on.

The peer is the smallest number of scipy.special calls that gives the same numbers, without any check of its inputs
and without care for tails that underflow. Counts and backgrounds change from call to call.
"""

import numpy as np
from scipy import special
from timing import arguments, compare

from xphotfn.science.intervals import garwood_interval
from xphotfn.science.limits import detection_limit, detection_threshold, upper_limit, upper_limit_on_off
from xphotfn.science.significance import exact_significance, poisson_significance

ALPHA = 6 / 7


def bare_upper_limit(data):
    n, b = data
    return special.gammainccinv(n + 1, 0.05 * special.gammaincc(n + 1, b)) - b


def bare_garwood(data):
    n, _ = data
    return special.gammaincinv(n, 0.16), special.gammainccinv(n + 1, 0.16)


def bare_poisson(data):
    n, b = data
    return -special.ndtri(special.gammainc(n, b))


def bare_exact(data):
    n, b = data
    return -special.ndtri(special.betainc(n, np.floor(b) + 1, ALPHA / (1 + ALPHA)))


def bare_mixture(data):
    """One value of the on/off posterior's distribution as a sum of incomplete gamma functions, weights included."""
    n, b = data
    total, norm = np.zeros_like(n), np.zeros_like(n)
    for k in range(int(n.max()) + 1):
        weight = np.where(k <= n, special.binom(b + k, k) * (ALPHA / (1 + ALPHA)) ** k, 0.0)
        total += weight * special.gammainc(np.maximum(n - k, 0) + 1, n + 3)
        norm += weight
    return total / norm


def main():
    options = arguments(__doc__)
    size, repeats = (100_000, 2) if options.small else (1_000_000, 5)
    inputs = []
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        b = rng.uniform(0.01, 12, size)
        inputs.append((rng.poisson(b + rng.exponential(4, size)).astype(float), b))
    n, b = inputs[0]
    np.testing.assert_allclose(upper_limit(n, b), bare_upper_limit((n, b)), rtol=1e-12)
    k = detection_threshold(b, false_alarm=4e-6)
    cases = [
        ("upper limit, known background", lambda d: upper_limit(*d), bare_upper_limit),
        ("  against its one inverse only", lambda d: upper_limit(*d), lambda d: special.gammainccinv(d[0] + 1, 0.05)),
        ("Garwood interval", lambda d: garwood_interval(d[0]), bare_garwood),
        (
            "detection limit, threshold included",
            lambda d: detection_limit(d[1], false_alarm=4e-6, power=0.9),
            lambda d: special.gammaincinv(k, 0.9) - d[1],
        ),
        ("Poisson significance", lambda d: poisson_significance(*d), bare_poisson),
        ("exact on/off significance", lambda d: exact_significance(d[0], np.floor(d[1]), ALPHA), bare_exact),
        ("on/off upper limit, against one value of its sum", lambda d: upper_limit_on_off(*d, ALPHA), bare_mixture),
    ]
    for title, ours, bare in cases:
        limit = 3 if "limit" in title or "Garwood" in title or "inverse" in title else 6
        compare(f"{title}, {size:.0e}", ours, bare, inputs, limit=limit, check=options.check)


if __name__ == "__main__":
    main()
