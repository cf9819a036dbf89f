"""Every number of every row of the reference table: a kind of row or a name that nobody checks is an error.

The tables of the topics (intervals, limits, joint fits ...) are tested in their own files too, function by function.
This file walks the whole table once, so that no row can be left out in silence.
"""

import csv
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import optimize

from xphotfn.science.encircled_energy import king_fraction, king_radius
from xphotfn.science.intervals import (
    ONE_SIGMA,
    garwood_interval,
    gehrels_interval,
    kraft_interval,
    on_off_estimate,
    on_off_interval,
    on_off_quantile,
)
from xphotfn.science.joint.rate import joint_w_statistic
from xphotfn.science.limits import detection_limit, detection_probability, detection_threshold, upper_limit
from xphotfn.science.radial import flux_concentration
from xphotfn.science.significance import (
    cash_significance,
    exact_significance,
    li_ma_significance,
    log_p_to_sigma,
    log_p_value,
    poisson_log_p_value,
    poisson_significance,
)
from xphotfn.science.wstat import fitted_background, w_statistic

ROWS = 236
CONFIDENCES = {"68": 0.68, "90": 0.90, "95": 0.95, "99": 0.99}


def number(text):
    if "inf" in text:
        return float(text)
    above, _, below = text.partition("/")
    return float(Fraction(above) / Fraction(below or "1"))


def named(text):
    return dict(item.split("=") for item in text.split(";"))


def on_off(given_):
    n, b = number(given_["N"]), number(given_["B"])
    alpha = number(given_["alpha"]) if "alpha" in given_ else 1 / number(given_["tau"])
    return {
        "S_LiMa": li_ma_significance(n, b, alpha),
        "lnp_binom": log_p_value(n, b, alpha),
        "Z_Bi": exact_significance(n, b, alpha),
    }


def known_background(given_):
    data = number(given_["N"]), number(given_["mu"])
    return {
        "lnp_poisson": poisson_log_p_value(*data),
        "Z_poisson": poisson_significance(*data),
        "Z_cash": cash_significance(*data),
    }


def kraft(given_):
    names = {"": float(given_["CL"])} if "CL" in given_ else CONFIDENCES
    found = {name: kraft_interval(number(given_["N"]), number(given_["B"]), confidence=c) for name, c in names.items()}
    return {f"{end}{name}": pair[i] for name, pair in found.items() for i, end in enumerate(("lo", "up"))}


def garwood(given_):
    n = number(given_["N"])
    found = {f"UL{name}": upper_limit(n, 0, confidence=CONFIDENCES[name]) for name in ("90", "95", "99")}
    for name, confidence in (("68", ONE_SIGMA), ("95", 0.95)):
        found[f"lo{name}"], found[f"up{name}"] = garwood_interval(n, confidence=confidence)
    return found


def gehrels(given_):
    assert given_["S"] == "1"
    lower, simple = gehrels_interval(number(given_["N"]))
    return {"lo_eq12": lower, "up_eq7": simple, "up_eq9": gehrels_interval(number(given_["N"]), form="cubic").upper}


def posterior(data, fractions):
    mode, mean = on_off_estimate(*data, fractions=fractions)
    sides = {"q15.865": (1 - ONE_SIGMA) / 2, "median": 0.5, "q84.135": (1 + ONE_SIGMA) / 2, "UL95": 0.95}
    sides |= {"q16": sides["q15.865"], "q84": sides["q84.135"]}
    found = {name: on_off_quantile(*data, p, fractions=fractions) for name, p in sides.items()}
    lower, upper = on_off_interval(*data, confidence=0.9, fractions=fractions)
    return found | {"mode": mode, "mean": mean, "hpd90lo": lower, "hpd90up": upper}


def bayes(given_):
    return posterior([number(given_[name]) for name in ("N", "B", "alpha")], (1.0, 0.0))


def aprates(given_):
    n, m, f, g, r = (number(given_[name]) for name in ("n", "m", "f", "g", "r"))
    # No function of ours gives the maximum-likelihood source counts: this checks the table alone.
    linear = (n - m / r) / (f - g / r)
    return posterior((n, m, 1 / r), (f, g)) | {"S_linear": linear}


def flat_limit(given_):
    return {"UL": upper_limit(*(number(given_[name]) for name in ("N", "B")), confidence=float(given_["CL"]))}


def kashyap(given_):
    b, level = number(given_["bkg"]), number(given_["alpha"])
    return {
        "k_det": detection_threshold(b, false_alarm=level),
        "alpha_actual": detection_probability(0, b, false_alarm=level),
        "UL": detection_limit(b, false_alarm=level, power=number(given_["beta"])),
    }


def sensitivity(given_):
    b, level = number(given_["B"]), number(given_["Pfalse"])
    found = {f"Pdet_s{s}": detection_probability(s, b, false_alarm=level) for s in (5, 10, 20)}
    return found | {"L": detection_threshold(b, false_alarm=level)}


def wstat(given_):
    data = [number(given_[name]) for name in ("N", "B", "alpha", "mu")]
    return {"W": w_statistic(*data), "b_off": fitted_background(*(np.array(v) for v in data))}


def joint(text):
    n, b, a, e = data = np.array([[float(v) for v in one.split(":")] for one in text.split("|")]).T

    def slope(s):
        return float(np.sum(e * (1 - n / (s * e + a * fitted_background(n, b, a, s * e)))))

    rate = optimize.brentq(slope, 1e-12, 1.0, xtol=1e-18) if slope(1e-12) < 0 else 0.0
    least = float(joint_w_statistic(*data, rate))
    above = optimize.brentq(
        lambda s: float(joint_w_statistic(*data, s)) - least - 1, rate, rate + 0.01, xtol=1e-16
    )  # fmt: skip
    return {"s_mle": rate, "W0": joint_w_statistic(*data, 0), "Wmin": least, "up_dW1": above}


def king(text):
    core, slope, outer = (float(part.split("=")[-1].split()[0]) for part in text.split("rc=")[1].split(";"))
    found = {f"EEF{r}": king_fraction(r, core, slope, outer=outer) for r in (5, 10, 15, 20, 30, 45, 60, 120)}
    if slope != 1:
        found |= {f"r{q}": king_radius(q / 100, core, slope, outer=outer) for q in (50, 80, 90)}
    return found


def concentration(given_):
    beta = 2 / 3 if given_["beta"] == "0.6666" else number(given_["beta"])  # 2/3 is what the table was made with
    core, (inner, outer) = number(given_["rc"]), (float(v) for v in given_["r"].split("/"))
    edges = np.array([0, inner / 2, inner, 2 * inner, outer])
    flux = 1 - (1 + (edges / core) ** 2) ** (1.5 - 3 * beta)
    brightness = np.diff(flux) / np.diff(np.pi * edges**2)
    return {"c_SB": flux_concentration(edges, brightness, inner=inner, outer=outer).value}


KINDS = {
    "onoff": on_off, "onoff_real": on_off, "known_bkg": known_background, "kbn": kraft, "garwood": garwood,
    "p_to_Z": lambda given_: {"Z": log_p_to_sigma(float(given_["lnp"]))}, "gehrels_approx": gehrels,
    "bayes_onoff": bayes, "aprates_model": aprates, "flat_UL": flat_limit, "kashyap": kashyap,
    "sensitivity": sensitivity, "wstat": wstat, "concentration": concentration, "joint": joint, "king": king,
}  # fmt: skip
REFUTED = {"joint": ("median", "UL95", "mean")}  # of a flat prior on each background: see docs/statistics.md
AS_TEXT = ("joint", "king")  # their inputs are no list of names
DIGITS = {"p_to_Z": 1e-10, "known_bkg": 1e-6, "joint": 1e-8}  # known_bkg: scipy's p is good to 4e-6 at 1e6 counts


def check(kind, inputs, outputs):
    """Compare all outputs of a row; return how many there were."""
    found = KINDS[kind](inputs if kind in AS_TEXT else named(inputs))
    expected = {name: number(text) for name, text in named(outputs).items() if name not in REFUTED.get(kind, ())}
    assert expected.keys() <= found.keys(), f"nobody checks {sorted(expected.keys() - found.keys())} of {kind}"
    for name, value in expected.items():
        close = pytest.approx(value, rel=DIGITS.get(kind, 2e-9), abs=1e-9)
        assert float(found[name]) == close or float(found[name]) == value, (kind, inputs, name)
    return len(expected)


def test_every_number_of_every_row(reference_root):
    with (reference_root / "statistics_test_vectors.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["test", "inputs", "outputs"]
    assert all(len(row) == 3 for row in rows)
    assert {row[0] for row in rows[1:]} == set(KINDS)
    checked = [check(*row) for row in rows[1:]]
    assert len(checked) == ROWS
    assert min(checked) >= 1


def test_a_wrong_or_unknown_number_is_noticed():
    assert check("p_to_Z", "lnp=-1", "Z=0.33747496376420244") == 1
    with pytest.raises(AssertionError, match="lnp=-1"):
        check("p_to_Z", "lnp=-1", "Z=0.3374749")
    with pytest.raises(AssertionError, match="nobody checks"):
        check("p_to_Z", "lnp=-1", "p=0.3")
    assert math.isinf(number("-inf"))
