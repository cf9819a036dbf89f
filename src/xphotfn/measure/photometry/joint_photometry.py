"""One rate for each position from all its observations, of a table of photometry."""

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from xphotfn.errors import InvalidRecord, ProductMissing, ShapeMismatch
from xphotfn.io.bars import progress_bar
from xphotfn.measure.factors import EcfLike
from xphotfn.measure.fluxes import light_of_rates
from xphotfn.measure.photometry.columns import ApertureFlag, units_of
from xphotfn.measure.photometry.joint_response import FLUX_UNITS, as_fluxes, response_of
from xphotfn.measure.photometry.joint_rows import (
    carried,
    events_of_groups,
    exposure_unit_of,
    flags_of,
    groups_of,
    require_different_maps,
    require_one_place,
    require_one_rate,
    require_possible,
    require_same_events,
    single_counts,
    texts_of,
    values_of,
)
from xphotfn.science.gamma_mixture import GammaMixture, mixture_quantile, mixture_shortest
from xphotfn.science.intervals import ONE_SIGMA
from xphotfn.science.joint.conditional import joint_method
from xphotfn.science.joint.one_measurement import equivalent_on_off
from xphotfn.science.joint.rate import interval_of, joint_consistency, joint_significance, quantile_of
from xphotfn.science.on_off import of_on_off
from xphotfn.science.significance import log_p_to_sigma
from xphotfn.science.snr_methods import DEFAULT_METHOD, Method

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ("JointFlag", "joint_photometry")

Floats = NDArray[np.float64]
KEYS = ("position", "band", "instrument", "obs_id")
WEIGHTED = ("rate", "effective_exposure", "dispersion")
NEEDED = (*KEYS, "ra", "dec", "counts", "background_counts", "alpha", "exposure_mean", *WEIGHTED)
FILL = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)  # of what does not count
GROUPS = 20_000  # positions of one step, which bounds the memory
SIGMA = 3.0  # beyond which flags are raised
NOMINAL = float(special.ndtr(-SIGMA))


class _Rows(NamedTuple):
    """What the rate needs, one element for each row of the table; exposures 0 where it does not count.

    Counts in circle and ring, their ratio and the effective exposure; and the measurement on single counts that a row
    of weighted counts is worth: the same where the dispersion is 1.
    """

    counts: Floats
    background: Floats
    alpha: Floats
    exposure: Floats
    single_counts: Floats
    single_background: Floats
    single_exposure: Floats

    @property
    def single(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Counts, background, alpha and exposure of the measurement on single counts."""
        return self.single_counts, self.single_background, self.alpha, self.single_exposure


class JointFlag(enum.IntFlag):
    """What the bits of the column ``flags`` of a joint table say; they add up.

    Examples
    --------
    >>> JointFlag(3)
    <JointFlag.INCONSISTENT|VARIABLE: 3>
    """

    INCONSISTENT = 1
    """The rows scatter more than one rate allows, beyond 3 sigma: do not read the rate as that of one source."""
    VARIABLE = 2
    """The observations differ beyond 3 sigma."""


class _Rules(NamedTuple):
    """The options after their check."""

    method: str
    confidence: float
    limit_confidence: float


def joint_photometry(
    table: "Table",
    *,
    response: EcfLike | Mapping[str, float] | None = None,
    enclosed: ArrayLike | None = None,
    method: str | Method = DEFAULT_METHOD,
    confidence: float = ONE_SIGMA,
    limit_confidence: float = 0.95,
) -> Any:
    """Combine several observations of each position into one rate.

    Parameters
    ----------
    table
        As :func:`photometry` gives it, or read back from a file.
    response
        What joins the cameras, whose rates differ; without it they stay apart. :class:`Ecf` records, as
        :func:`fluxes` takes them, one for each camera, filter and band of the rows: the result has fluxes. Or numbers
        by camera, the count rate relative to that in which the result is wanted, whose own is 1, such as ``{"pn": 1,
        "mos1": 0.34, "mos2": 0.35}``.
    enclosed
        Part of the source's light in the live circle, one value for each row of the table, times whose mean exposure
        counts. Default: the ``effective_exposure`` of the table.
    method, confidence, limit_confidence
        As in :func:`photometry`.

    Returns
    -------
    QTable
        One row for each position, band and camera (``combined`` with ``response``): the summed ``counts``,
        ``background_counts`` and effective ``exposure``, the number of ``observations`` that see it, ``rate``
        (negative for a deficit) of the whole circle (of the whole source with a ``psf`` or ``enclosed``), its
        interval, ``significance`` and ``upper_limit``. ``consistency`` is the p-value of one rate for all rows: small
        where they disagree. ``variability`` is by how many sigma the observations differ, their cameras joined
        first; 0 where they differ no more than half of all constant sources would. Both are NaN with fewer than two.
        ``flags`` is a sum of :class:`JointFlag`. NaN where no row sees the position. ``left_out`` is the number of rows
        that have exposure there and cannot be used (no background, or no light of the source expected); they are in
        nothing. ``aperture_flags`` are the flags of all rows used (of all rows where none is), a sum of
        :class:`ApertureFlag`; ``rate_of`` is that of the rows, ``source`` with ``enclosed``. Other columns, such as
        those of a catalogue, come along where they have one value in all rows that are joined.
        With :class:`Ecf` records there are ``flux``, ``flux_low``, ``flux_high`` and ``flux_limit`` in erg/cm2/s for
        the rates and the upper limit, ``exposure`` is in ct per erg/cm2/s, ``flux_systematic`` is the largest of the
        rows used, and ``flux_kind`` says whether the flux is absorbed, ``flux_spectrum`` of what
        spectrum it is. Fluxes that the rows had already become ``input_flux`` and so on: they are no joint ones.

    Raises
    ------
    ProductMissing
        If a column is missing, or ``response`` lacks a camera, or a factor for a row's camera, filter and band.
    InvalidRecord
        If a response, fraction, probability or method breaks its rule, a column holds what no measurement gives (counts
        below 0), or the rows are of no one rate: one ``position`` at several places, rates of apertures and of
        sources, apertures of several radii, several event patterns of one camera, exposures with and without
        vignetting, a map that comes twice, a combined map beside single ones. Also if numbers in ``response`` are
        relative to none of the cameras, absorbed and unabsorbed factors are mixed, or those of one
        position are of several spectra.
    ShapeMismatch
        If ``enclosed`` does not fit the rows.
    UnitMismatch
        If exposures have no unit, an unknown one or several; cm2 s with :class:`Ecf` records.

    Notes
    -----
    ``N_i ~ Poisson(s E_i + alpha_i b_i)``, ``B_i ~ Poisson(b_i)`` with one rate s and a background of its own each,
    ``E_i`` = effective exposure x response: :mod:`xphotfn.science.joint.rate`. A row of weighted counts is the
    measurement on single ones that has its rate and dispersion d: ``(rate E + alpha B)/d`` and ``B/d`` counts over
    ``E/d``. The counts and significances are those of pixel centres. Wrong responses and wrong enclosed parts look like
    disagreement too. Where backgrounds differ much the mean of many joint rates is too high by up to some 0.2 of their
    scatter: stacks average the rates of single rows, weighted by ``exposure_mean`` (docs/statistics.md).

    On a terminal a call of more than two seconds shows its progress; TQDM_DISABLE=1 turns that off.

    References
    ----------
    As :func:`xphotfn.science.joint.rate.joint_rate` and :func:`xphotfn.science.joint.rate.joint_significance`.

    Examples
    --------
    >>> from xphotfn.measure.photometry.apertures import photometry
    >>> from xphotfn.testing.examples import example_rate_map
    >>> position = [149.591375, -11.0887] * u.deg
    >>> table = photometry(example_rate_map(), position, 5 * u.arcsec, background=(60 * u.arcsec, 90 * u.arcsec))
    >>> joint = joint_photometry(table)
    >>> bool(abs(joint["rate"][0] / table["rate"][0] - 1) < 1e-9), str(joint["instrument"][0])
    (True, 'pn')
    """
    _require_columns(table)
    how, rules = response_of(table, response), _rules(method, confidence, limit_confidence)
    data = _rows(table, how.relative, enclosed)
    camera = texts_of(table, "instrument") if response is None else np.full(len(table), "combined")
    first, group = groups_of(np.asarray(table["position"]), texts_of(table, "band"), camera)
    used = data.exposure > 0
    _require_joinable(table, used, (first, group), enclosed)
    rows = _side_by_side(data, group, first.size)
    variability = _variability(data, group, texts_of(table, "obs_id"), first.size)
    columns = {
        "position": np.asarray(table["position"])[first],
        "ra": values_of(table, "ra")[first],
        "dec": values_of(table, "dec")[first],
        "band": texts_of(table, "band")[first],
        "instrument": camera[first],
        **_measured(rows, rules),
        "variability": variability,
    }
    if enclosed is None and "ring_fraction" in table.colnames:
        columns |= _of_lone_rows(table, data, group, columns, rules)
    columns["flags"] = np.where(columns["consistency"] < NOMINAL, int(JointFlag.INCONSISTENT), 0)
    columns["flags"] += np.where(variability > SIGMA, int(JointFlag.VARIABLE), 0)
    columns = as_fluxes(columns, how, table, (used, group))
    columns |= _of_the_table(table, used, (first, group), columns, enclosed)
    meta: dict[str, Any] = {f"FLAG{flag.value}": str(flag.name) for flag in JointFlag}
    meta |= {f"AFLG{flag.value}": str(flag.name) for flag in ApertureFlag}
    meta |= {"METHOD": rules.method, "CONFID": rules.confidence, "LIMCONF": rules.limit_confidence}
    units = units_of(exposure_unit_of(table))
    if how.factors is not None:
        meta |= {"FLUXOF": light_of_rates(columns.get("rate_of", ())), **how.factors.meta}
        units |= FLUX_UNITS
    return _as_table(columns, meta, units)


def _require_joinable(table: Any, used: NDArray[np.bool_], groups: tuple[Any, Any], enclosed: Any) -> None:
    require_one_place(table)
    if enclosed is None:
        require_one_rate(table, *groups)
    require_same_events(table, groups[1])
    require_different_maps(table, used, groups[1])


def _of_the_table(
    table: Any, used: NDArray[np.bool_], groups: tuple[Any, Any], columns: Mapping[str, Any], enclosed: Any
) -> dict[str, Any]:
    """Return what the rows say beside their numbers: how many could not be used, whose light it is, flags, the rest."""
    first, group = groups
    unused = (values_of(table, "exposure_mean") > 0) & ~used
    result: dict[str, Any] = {"left_out": np.bincount(group[unused], minlength=first.size)}
    if enclosed is not None:
        result["rate_of"] = np.full(first.size, "source")
    elif "rate_of" in table.colnames:
        result["rate_of"] = texts_of(table, "rate_of")[first]
    if "flags" in table.colnames:
        result["aperture_flags"] = flags_of(table, used, group, first.size)
    result |= events_of_groups(table, first, group)
    return result | carried(table, first, group, {*columns, *result})


def _rules(method: str | Method, confidence: float, limit_confidence: float) -> _Rules:
    name = method if isinstance(method, str) else method.name
    joint_method(name)
    for what, value in (("confidence", confidence), ("limit_confidence", limit_confidence)):
        if not 0 < value < 1:
            raise InvalidRecord(f"{what} must lie between 0 and 1, got {value!r}")
    return _Rules(name, float(confidence), float(limit_confidence))


def _measured(rows: _Rows, rules: _Rules) -> dict[str, Any]:
    """Return the measured columns of arrays (groups, observations), some groups at a time."""
    size, parts = rows.counts.shape[0], []
    with progress_bar(total=size, desc="joint photometry", unit="position", delay=2) as bar:
        for begin in range(0, max(size, 1), GROUPS):
            part = _Rows(*(values[begin : begin + GROUPS] for values in rows))
            parts.append(_columns(part, rules))
            bar.update(part.counts.shape[0])
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(rows: _Rows, rules: _Rules) -> dict[str, Any]:
    n, b, alpha, exposure, *_ = rows
    one, seen = equivalent_on_off(*rows.single), exposure > 0
    any_seen = np.any(seen, axis=1)
    low, high = interval_of(one, np.asarray(rules.confidence))
    return {
        "observations": np.count_nonzero(seen, axis=1),
        "counts": np.where(any_seen, np.sum(n * seen, axis=1), np.nan),
        "background_counts": np.where(any_seen, np.sum(b * seen, axis=1), np.nan),
        "exposure": np.where(any_seen, np.sum(exposure, axis=1), np.nan),
        "rate": one.rate,
        "rate_low": low,
        "rate_high": high,
        "significance": joint_significance(n, b, alpha, exposure, method=rules.method),
        "upper_limit": quantile_of(one, np.asarray(rules.limit_confidence)),
        "consistency": np.exp(joint_consistency(*rows.single)),
    }


def _of_lone_rows(
    table: Any, data: _Rows, group: NDArray[np.intp], columns: Mapping[str, Any], rules: _Rules
) -> dict[str, Floats]:
    """Return interval and limit with those of a single row where that is all there is: its posterior takes f and g.

    The measurement that several rows are worth takes ``f - alpha g`` for what they have of a point source: the same to
    first order, but not where the circle saw nearly nothing of it and the ring is empty.
    """
    rows = np.flatnonzero((data.exposure > 0) & (np.asarray(columns["observations"])[group] == 1))
    prefix = "centre_" if "centre_ring_fraction" in table.colnames else ""
    f, g, effective = (
        values_of(table, f"{prefix}{n}")[rows] for n in ("enclosed_fraction", "ring_fraction", "effective_exposure")
    )
    exposure = data.single_exposure[rows] * values_of(table, "exposure_mean")[rows] / effective
    measured = data.single_counts[rows], data.single_background[rows], data.alpha[rows], f, g

    def ends(mixture: GammaMixture, _: Floats) -> tuple[Floats, Floats, Floats]:
        level, limit = (np.full(mixture.first.shape, v) for v in (rules.confidence, rules.limit_confidence))
        return *mixture_shortest(mixture, level), mixture_quantile(mixture, limit)

    found = of_on_off(ends, 3, measured, np.asarray(0.5))
    result = {name: np.array(columns[name]) for name in ("rate_low", "rate_high", "upper_limit")}
    for name, end in zip(result, found, strict=True):
        result[name][group[rows]] = end / exposure
    return result


def _variability(data: _Rows, group: NDArray[np.intp], obs_id: NDArray[np.str_], size: int) -> Floats:
    """Return by how many sigma the observations of each group differ, after all rows of each are joined."""
    first, pair = groups_of(group, obs_id)
    one = equivalent_on_off(*_side_by_side(data, pair, first.size).single)
    n, b, alpha, exposure = (
        np.where(np.isnan(one.exposure), fill, part) for part, fill in zip(one, FILL, strict=False)
    )
    rows = _side_by_side(_Rows(n, b, alpha, exposure, n, b, exposure), group[first], size)
    return np.maximum(log_p_to_sigma(joint_consistency(*rows.single)), 0.0)


def _as_table(columns: Mapping[str, Any], meta: Mapping[str, Any], units: Mapping[str, Any]) -> Any:
    from xphotfn.records.result_table import ResultTable

    return ResultTable(
        {name: u.Quantity(v, units[name]) if name in units else v for name, v in columns.items()}, meta=dict(meta)
    )


def _require_columns(table: Any) -> None:
    missing = [name for name in NEEDED if name not in getattr(table, "colnames", ())]
    if missing:
        raise ProductMissing(f"a table of photometry() has the columns {', '.join(missing)}; this one lacks them")


def _rows(table: Any, response: Floats, enclosed: Any) -> _Rows:
    prefix = "centre_" if "centre_counts" in table.colnames else ""
    exposure_unit_of(table)
    names = ("centre_counts", "centre_background") if prefix else ("counts", "background_counts")
    n, b = (values_of(table, name) for name in names)
    alpha, mean = values_of(table, f"{prefix}alpha"), values_of(table, "exposure_mean")
    require_possible(table, (*names, f"{prefix}alpha", "exposure_mean", "effective_exposure", "dispersion"))
    exposure, each, on = mean * _parts(enclosed, mean.size), np.ones(n.size), n
    if enclosed is None:
        rate, exposure, each = (
            values_of(table, f"{prefix}{name}") for name in ("rate", "effective_exposure", "dispersion")
        )
        on = single_counts(n, alpha * b, rate * exposure, each)
    exposure = exposure * response
    found = (n, b, alpha, exposure, on, b / each, exposure / each)
    good = np.all(np.isfinite(found), axis=0) & (alpha > 0)  # no background can be told without a ratio
    return _Rows(*(np.where(good, v, fill) for v, fill in zip(found, FILL, strict=True)))


def _parts(enclosed: Any, size: int) -> Floats:
    try:
        part = np.asarray(1.0 if enclosed is None else enclosed, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"enclosed must be numbers, one for each of the {size} rows, got {enclosed!r}") from error
    if part.shape not in ((), (size,)):
        raise ShapeMismatch(f"enclosed must be one value for each of the {size} rows, got {part.shape}")
    if np.any((part < 0) | (part > 1) | np.isinf(part)):
        raise InvalidRecord("an enclosed part must lie between 0 and 1")
    return np.broadcast_to(part, (size,))


def _side_by_side(data: _Rows, group: NDArray[np.intp], size: int) -> _Rows:
    """Return arrays (groups, observations); groups with fewer observations are filled with exposure 0."""
    order = np.argsort(group, kind="stable")
    count = np.bincount(group, minlength=size)
    place = np.arange(order.size) - np.repeat(np.cumsum(count) - count, count)
    results = []
    for values, fill in zip(data, FILL, strict=True):
        wide = np.full((size, int(count.max(initial=1))), fill)
        wide[group[order], place] = values[order]
        results.append(wide)
    return _Rows(*results)
