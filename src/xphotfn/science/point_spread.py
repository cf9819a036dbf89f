"""Which part of a point source's light lies on live pixels of a circle, and with how much exposure.

A gap takes more from a source at its centre than at its rim. So the light of each pixel is weighed with the profile of
the source: a circle cut through its centre loses half its light, one cut far out almost nothing.
"""

import numpy as np
from numpy.typing import NDArray

from xphotfn.science._numeric import Floats
from xphotfn.science.discs import DiscWeights
from xphotfn.science.encircled_energy import EncircledEnergyTable, table_density

__all__ = ("king_density", "light_exposure", "light_kernel")

PIXEL_MEAN = 1 / 6  # mean square distance of the points of a pixel of side 1 from its centre


def king_density(squared: Floats, core: Floats, slope: Floats) -> Floats:
    """Return a King profile relative to its centre, ``[1 + r^2/core^2]^-slope``.

    Examples
    --------
    >>> king_density(np.array([0.0, 4.0]), np.array([2.0, 2.0]), np.array([1.5, 1.5])).round(4).tolist()
    [1.0, 0.3536]
    """
    return np.asarray((1 + squared / (core * core)) ** -slope)


def light_exposure(
    weights: DiscWeights,
    x: Floats,
    y: Floats,
    exposure: NDArray[np.floating],
    profile: EncircledEnergyTable | tuple[Floats, Floats],
    pixel_arcsec: float,
) -> Floats:
    """Return the mean exposure of each circle, weighed with a point source's light, 0 where a pixel is not live.

    Parameters
    ----------
    weights
        Circles as :func:`~xphotfn.science.discs.disc_weights` gives them, whole: the image must hold all of
        each circle (put a border of zeros around it).
    x, y
        Their centres in pixels, shape (n,).
    exposure
        Exposure in s, 0 where a pixel is not live, of the shape of the weights.
    profile
        A table, or core radius (arcsec) and slope of a King profile for each circle.
    pixel_arcsec
        Pixel size.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``sum E p w / sum p w`` in s over the pixels, p the profile, w the part of each inside; NaN for a circle
        without a pixel.

    Notes
    -----
    p is taken at the root mean square distance of a pixel, ``d^2 + 1/6``, which is its mean over the pixel to second
    order; what is left cancels between numerator and denominator.

    Examples
    --------
    >>> from xphotfn.science.discs import disc_weights
    >>> centre = np.array([10.0])
    >>> seconds = np.ones((21, 1)) * np.linspace(0, 200, 21)  # a slope: its mean is the value at the centre
    >>> profile = (np.array([6.0]), np.array([1.5]))
    >>> light_exposure(disc_weights((21, 21), centre, centre, 8.0), centre, centre, seconds, profile, 4.0).round(9)
    array([100.])
    """
    disc, pixel, weight = weights.pixels()
    row, column = np.divmod(pixel, weights.shape[1])
    squared = ((column - x[disc]) ** 2 + (row - y[disc]) ** 2 + PIXEL_MEAN) * pixel_arcsec**2
    if isinstance(profile, EncircledEnergyTable):
        light = table_density(profile, np.sqrt(squared)) * weight
    else:
        light = king_density(squared, profile[0][disc], profile[1][disc]) * weight
    size = weights.area.size
    whole = np.bincount(disc, weights=light, minlength=size)
    live = np.bincount(disc, weights=light * exposure.ravel()[pixel], minlength=size)
    return np.asarray(live / np.where(whole > 0, whole, np.nan))


def light_kernel(
    kernel: NDArray[np.bool_], profile: EncircledEnergyTable | tuple[Floats, Floats], pixel_arcsec: float
) -> Floats:
    """Return the light of a point source on the pixels of a circle around its own pixel, of sum 1.

    Parameters
    ----------
    kernel
        As :func:`~xphotfn.science.kernels.disc_kernel` gives it.
    profile, pixel_arcsec
        As in :func:`light_exposure`, for one source. Sums over an exposure map with this kernel are what that function
        gives for a source at the middle of each pixel.

    Examples
    --------
    >>> from xphotfn.science.kernels import disc_kernel
    >>> light_kernel(disc_kernel(1.2), (np.array([6.0]), np.array([1.5])), 4.0).round(3).tolist()
    [[0.0, 0.176, 0.0], [0.176, 0.296, 0.176], [0.0, 0.176, 0.0]]
    """
    steps = (np.arange(len(kernel)) - len(kernel) // 2.0) ** 2
    squared = (steps + steps[:, None] + PIXEL_MEAN) * pixel_arcsec**2
    if isinstance(profile, EncircledEnergyTable):
        light = table_density(profile, np.sqrt(squared))
    else:
        light = king_density(squared, profile[0], profile[1])
    return np.asarray(np.where(kernel, light, 0.0) / np.sum(light, where=kernel))
