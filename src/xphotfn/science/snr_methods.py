"""Signal-to-noise of a source region against a background region.

Every definition is signed: a deficit is negative.
"""

import math
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, assert_never, final

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, NoData
from xphotfn.html import record_html
from xphotfn.records.fields import one_of
from xphotfn.records.measurement import Measurement
from xphotfn.science.pixel_masks import sensor_mask
from xphotfn.science.significance import SIGNIFICANCES

__all__ = (
    "DEFAULT_METHOD",
    "METHODS",
    "CountsMethod",
    "Method",
    "XGAMethod",
    "method_of",
    "signal_to_noise",
    "xga_method",
)


@final
@frozen(kw_only=True)
class CountsMethod:
    """A definition that needs the counts of both regions and their ratio alone: one of `SIGNIFICANCES`."""

    name: str = field(validator=one_of(*SIGNIFICANCES))
    whole_pixels: ClassVar[bool] = False
    takes_weights: ClassVar[bool] = True


@final
@frozen(kw_only=True)
class XGAMethod:
    """XGA's signal-to-noise, to reproduce published values.

    Parameters
    ----------
    exp_corr
        Scale the background by exposure (XGA's default) rather than by area.
    allow_negative
        Keep negative pixels of the background-subtracted map; XGA's default sets them to 0, which gives 2 to 10
        sigma on blank sky.

    Notes
    -----
    ``whole_pixels`` says that its regions are XGA's too: centre and radii rounded to pixels.
    """

    exp_corr: bool = True
    allow_negative: bool = False
    name: ClassVar[str] = "xga"
    whole_pixels: ClassVar[bool] = True
    takes_weights: ClassVar[bool] = False

    def _repr_html_(self) -> str:
        return record_html(self)


Method = CountsMethod | XGAMethod
DEFAULT_METHOD = "mid-p"
METHODS: dict[str, Method] = {name: CountsMethod(name=name) for name in SIGNIFICANCES} | {"xga": XGAMethod()}
"""Every definition by its name."""


def xga_method(*, exp_corr: bool = True, allow_negative: bool = False) -> XGAMethod:
    """Return XGA's definition with its two switches; the defaults are what ``method="xga"`` stands for.

    Examples
    --------
    >>> xga_method(allow_negative=True)
    XGAMethod(exp_corr=True, allow_negative=True)
    """
    for name, value in (("exp_corr", exp_corr), ("allow_negative", allow_negative)):
        if not isinstance(value, (bool, np.bool_)):
            raise InvalidRecord(f"{name} must be True or False, got {value!r}")
    return XGAMethod(exp_corr=bool(exp_corr), allow_negative=bool(allow_negative))


def method_of(method: str | Method) -> Method:
    """Return the record of a definition given by name or as a record.

    Raises
    ------
    InvalidRecord
        If there is no such definition.
    """
    if isinstance(method, Method):
        return method
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidRecord(f"no signal-to-noise is called {method!r}: use one of {', '.join(METHODS)}")
    return METHODS[method]


def signal_to_noise(
    counts: NDArray[Any],
    exposure: NDArray[Any],
    source: NDArray[np.bool_],
    background: NDArray[np.bool_],
    method: str | Method = DEFAULT_METHOD,
    *,
    weights: NDArray[Any] | None = None,
) -> Measurement:
    """Return the signal-to-noise of a source region against a background region.

    Parameters
    ----------
    counts, exposure
        Image in counts and exposure map in s, both of shape (ny, nx).
    source, background
        Masks of shape (ny, nx), True = used. Only pixels on the detector (exposure above 0) count.
    method
        Name or record of the definition.
    weights
        What the background of each pixel is proportional to, shape (ny, nx); None for the exposure.

    Raises
    ------
    NoData
        If a region has no pixel on the detector, or the background region no weight.
    InvalidRecord
        If XGA's definition, which knows no weights, is given some.
    """
    definition = method_of(method)
    if weights is not None and not definition.takes_weights:
        raise InvalidRecord(
            f"the method {definition.name} scales the background by exposure or area: it takes no background_weights"
        )
    live = sensor_mask(exposure)
    around, ring = (_Region.under(mask & live, counts, exposure, weights) for mask in (source, background))
    for region, what in ((around, "source"), (ring, "background")):
        if not region.counts.size:
            raise NoData(
                f"the {what} region has no pixel on the detector: it lies in a gap, off the image or under masked "
                "sources, or is smaller than a pixel; use another radius or centre, or a map that covers it"
            )
    sums = [_total(v) for v in (around.counts, ring.counts, around.exposure, ring.exposure)]
    if not all(math.isfinite(v) for v in sums):
        raise NoData("counts or exposure under a region are not finite: mend the image, or mask those pixels")
    n, b, exposure_source, exposure_background = sums
    alpha = exposure_source / exposure_background if weights is None else _alpha(around, ring)
    match definition:
        case CountsMethod():
            value = float(SIGNIFICANCES[definition.name].significance(n, b, alpha))
        case XGAMethod():
            off = (_total(counts[mask & ~live]) for mask in (source, background))
            value = _xga(around, ring, definition, off)
        case _:
            assert_never(definition)
    return Measurement(
        value=value,
        method=definition.name,
        counts=n,
        background_counts=b,
        area_pix=around.counts.size,
        background_area_pix=ring.counts.size,
        exposure_s=exposure_source,
        background_exposure_s=exposure_background,
        alpha=alpha,
        scaled_by=_scale(definition, weights is not None),
    )


def _scale(definition: Method, weighted: bool) -> str:
    if isinstance(definition, XGAMethod) and not definition.exp_corr:
        return "area"
    return "weights" if weighted else "exposure"


class _Region(NamedTuple):
    """The pixels under a mask, in row order, as float64."""

    counts: NDArray[Any]
    exposure: NDArray[Any]
    weights: NDArray[Any]

    @classmethod
    def under(
        cls, mask: NDArray[np.bool_], counts: NDArray[Any], exposure: NDArray[Any], weights: NDArray[Any] | None
    ) -> "_Region":
        """Return the pixels of images under a mask."""
        seconds = exposure[mask].astype(np.float64)
        return cls(counts[mask].astype(np.float64), seconds, seconds if weights is None else weights[mask])


def _total(values: NDArray[Any]) -> float:
    return float(np.sum(values, dtype=np.float64))


def _alpha(source: _Region, background: _Region) -> float:
    over, under = _total(source.weights), _total(background.weights)
    if not under > 0:
        raise NoData("the background weights are 0 in the whole background region: no background can be scaled from it")
    return over / under


def _xga(source: _Region, background: _Region, method: XGAMethod, off: Iterator[float]) -> float:
    """XGA ``products/phot.py``, ``signal_to_noise``: the background's own variance is left out.

    The counts of a region are those ``off`` the detector too, as there; of the background they matter by area alone.
    """
    dark = next(off)
    total = _total(source.counts) + dark
    if total == 0:
        return 0.0
    if not method.exp_corr:
        other = _total(background.counts) + next(off)
        return (total - other * source.counts.size / background.counts.size) / math.sqrt(total)
    per_second = np.sum(background.counts / background.exposure) / background.counts.size
    net = source.exposure * per_second
    np.subtract(source.counts, net, out=net)
    if not method.allow_negative:
        np.maximum(net, 0.0, out=net)
    return (float(np.sum(net)) + dark) / math.sqrt(total)
