"""Where the light of a source lies in an aperture, and the exposure that turns its counts into a rate.

Three answers. *Point*: a profile says where (:mod:`xphotfn.science.point_spread`). *Rings*: the light depends on the
distance from the centre only, in whatever way, and the counts of each ring say how much lies there. *Flat*: the light
is even, which is the answer with one ring.

A cluster's light sits where the exposure is highest, so its counts over the *mean* exposure of a circle are too high a
rate, by 5 to 20 % on maps of XMM. Rings have no such bias: ``rate = sum w_i net_i`` with ``w_i = area_i / sum_i E``,
the area of the whole ring over the exposure summed on its live pixels. That also fills what gaps, masks and the border
of the image take from a ring with the ring's own mean brightness. The weights come from the exposure map alone, so
they do not bias the rate at any number of counts. A gap on a peak is another matter: what the rings that are left do
not hold of it is lost.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from xphotfn.science._numeric import Floats

__all__ = ("LIGHTS", "Light", "RingLight", "effective_exposure", "ring_light", "ring_radii", "ring_weights")

Light = Literal["rings", "flat"]
LIGHTS = ("rings", "flat")

WIDTH = 2.0  # pixels of the innermost ring at least
GROWTH = 1.2  # radii grow with this power of the ring's number: light changes fastest at the centre
MOST = 16  # rings of a circle
PART = 0.5  # of the circle's mean exposure per area that rings have at least, or they are joined


class RingLight(NamedTuple):
    """What rings say about circles, shape (n,): the rate is ``counts - b/ring_weights * background``.

    ``counts`` is ``sum w_i n_i`` in ct/s and ``squares`` is ``sum w_i^2 n_i``; ``background`` the first sum over what
    the background is proportional to; ``flat`` the weight of even light in 1/s; ``least`` and ``most``
    are the smallest and the largest weight of the rings.
    """

    counts: Floats
    squares: Floats
    background: Floats
    flat: Floats
    least: Floats
    most: Floats


def ring_radii(radius: ArrayLike) -> Floats:
    """Return the outer radii of the rings into which circles are cut, in pixels.

    Sixteen rings at most, ``radius (k/rings)^1.2``, the innermost of two pixels or more: one ring below 4.6 pixels.

    Returns
    -------
    ndarray of float64, shape (rings, n)
        For as many rings as the largest circle has; smaller circles end with rings of no width.

    Examples
    --------
    >>> ring_radii([16.0, 3.0]).round(2).tolist()
    [[2.32, 3.0], [5.33, 3.0], [8.67, 3.0], [12.24, 3.0], [16.0, 3.0]]
    """
    r = np.atleast_1d(np.asarray(radius, dtype=np.float64))
    number = np.clip(np.floor((r / WIDTH) ** (1 / GROWTH) + 1e-9), 1, MOST)
    step = np.arange(1, int(np.max(number, initial=1)) + 1)[:, None]
    return np.where(step < number, r * (step / number) ** GROWTH, r)


def ring_weights(area: Floats, exposure: Floats) -> Floats:
    """Return what the counts of each ring are multiplied with: the area of the whole ring over its exposure.

    Parameters
    ----------
    area, exposure
        Pixels of each whole ring, and the exposure summed over its live pixels (s), shape (rings, n), from the centre
        outwards.

    Returns
    -------
    ndarray of float64, shape (rings, n)
        In 1/s; NaN for a circle without exposure.

    Notes
    -----
    A ring that sees little would multiply its few counts with a large number. So rings are joined, from the centre
    outwards, until they have half of the exposure per area that the circle has, and the rest too: no weight is
    more than twice that of even light.

    Examples
    --------
    >>> ring_weights(np.array([[4.0], [12.0], [20.0]]), np.array([[40.0], [2.0], [100.0]])).round(4).ravel()
    array([0.1   , 0.3137, 0.3137])
    """
    inside, seconds = np.cumsum(area, axis=0), np.cumsum(exposure, axis=0)
    whole, total = inside[-1], seconds[-1]
    least = PART * total / np.where(whole > 0, whole, 1.0)
    group, area_before, seconds_before = np.zeros(whole.size, dtype=np.intp), 0.0 * whole, 0.0 * whole
    number = np.zeros(area.shape, dtype=np.intp)
    for ring in range(area.shape[0]):
        number[ring] = group
        good = (inside[ring] > area_before) & (whole > inside[ring])
        good &= seconds[ring] - seconds_before >= least * (inside[ring] - area_before)
        good &= total - seconds[ring] >= least * (whole - inside[ring])
        area_before, seconds_before = (
            np.where(good, now[ring], before) for now, before in ((inside, area_before), (seconds, seconds_before))
        )
        group = group + good
    flat = number * whole.size + np.arange(whole.size)
    sums = (np.bincount(flat.ravel(), weights=v.ravel(), minlength=area.size) for v in (area, exposure))
    joined_area, joined_exposure = sums
    weight = joined_area / np.where(joined_exposure > 0, joined_exposure, np.nan)
    return np.asarray(weight[flat])


def ring_light(counts: Floats, background: Floats, area: Floats, exposure: Floats) -> RingLight:
    """Return the weighted sums of circles from the sums of their rings, all of shape (rings, n).

    Examples
    --------
    >>> area, exposure = np.array([[4.0], [12.0]]), np.array([[40.0], [60.0]])
    >>> found = ring_light(np.array([[10.0], [3.0]]), exposure, area, exposure)
    >>> found.counts.round(6), found.flat.round(6), found.most / found.least  # 10/10 s and 3/5 s
    (array([1.6]), array([0.16]), array([2.]))
    """
    weight = ring_weights(area, exposure)
    return RingLight(
        counts=np.sum(weight * counts, axis=0),
        squares=np.sum(weight * weight * counts, axis=0),
        background=np.sum(weight * background, axis=0),
        flat=np.sum(area, axis=0) / _positive(np.sum(exposure, axis=0)),
        least=np.min(weight, axis=0),
        most=np.max(weight, axis=0),
    )


def _positive(values: Floats) -> Floats:
    return np.where(values > 0, values, np.nan)


def effective_exposure(light: RingLight, rate: ArrayLike, net: ArrayLike, variance: ArrayLike) -> Floats:
    """Return the exposure that net counts are divided by to give the rate, as far as the counts know it.

    Parameters
    ----------
    light
        The rings.
    rate
        Rate that they give, ct/s, signed.
    net, variance
        Net counts and their variance.

    Returns
    -------
    ndarray of float64
        In s.

    Notes
    -----
    ``1/exposure = flat + (rate - net flat) net / (net^2 + variance + 1)``, kept between the weights of the rings:
    ``rate/net`` where the net counts are
    significant, that of even light where they are not, and in between what is best in the mean square: the ratio has
    the relative error of the net counts times the relative spread of the weights, so the spread cancels.

    Examples
    --------
    >>> light = RingLight(*np.array([[0.9], [0.0], [0.0], [0.01], [0.008], [0.015]]))
    >>> effective_exposure(light, [0.9, 0.0, 90.0], [100.0, 0.0, 1e4], [100.0, 3.0, 1e4]).round(2).tolist()
    [110.99, 100.0, 111.11]
    """
    s, n, v = (np.asarray(value, dtype=np.float64) for value in (rate, net, variance))
    seen = np.maximum(n, 0.0)
    weight = light.flat + (s - n * light.flat) * seen / (seen * seen + v + 1)
    return np.asarray(1 / np.clip(weight, light.least, light.most))
