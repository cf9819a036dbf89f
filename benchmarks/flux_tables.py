"""The tables of docs/fluxes.md: what the spectrum costs in each band, and how the cameras compare on Abell 907.

    python benchmarks/flux_tables.py [--write] [--data FOLDER] [--responses FOLDER]

``--data`` is the folder with ``a907``, ``--responses`` that with ``3c273.arf.gz`` and ``3c273.rmf.gz``; what has no
data keeps its table. ``--write`` puts the tables into docs/fluxes.md.
"""

import argparse
import tempfile
from pathlib import Path

import astropy.units as u
import numpy as np

import xphotfn as xp

PAGE = Path(__file__).resolve().parents[1] / "docs" / "fluxes.md"
NH = 5e20 / u.cm**2
A907_NH = 5.34e20 / u.cm**2
BANDS = ((0.5, 1), (1, 2), (0.5, 2), (2, 4.5), (0.5, 4.5), (4.5, 12), (2, 10), (2, 12))
ACIS_BANDS = ((0.5, 2), (2, 7), (0.5, 7))
GAMMAS = (1.4, 2.0, 2.2)
TEMPERATURES = (1, 2, 5, 8)


def band_of(lo, hi):
    return xp.energy_band(lo * u.keV, hi * u.keV)


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(head, rows):
    return [row(*head), row(*["---"] * len(head)), *(row(*cells) for cells in rows)]


def percent(value, other):
    return f"{100 * (value / other - 1):+.1f}"


def spectrum_costs():
    """Return by how much the factor of a power law changes with Gamma, and from the absorbed to the unabsorbed flux."""
    rows = []
    for lo, hi in BANDS:
        cells = [f"{lo:g}-{hi:g} keV"]
        for camera in ("pn", "mos1"):
            factors = [_factor(camera, (lo, hi), gamma, True) for gamma in (1.7, *GAMMAS)]
            cells += [percent(factor, factors[0]) for factor in factors[1:]]
        cells.append(percent(_factor("pn", (lo, hi), 1.7, False), _factor("pn", (lo, hi), 1.7, True)))
        rows.append(cells)
    gammas = [f"{camera}, {gamma:g}" for camera in ("pn", "mos1") for gamma in GAMMAS]
    return table(["band", *gammas, "pn, unabsorbed"], rows)


def _factor(camera, band, gamma, absorbed):
    ecf = xp.power_law_ecf(camera, filter="Thin1", band=band_of(*band), gamma=gamma, nh=NH, absorbed=absorbed)
    return ecf.ct_cm2_per_erg


def plasma_costs(responses):
    """Return by how much factors of hot plasma differ from that of Gamma 1.7, with the response of a Chandra source."""
    files = [responses / f"3c273.{kind}.gz" for kind in ("arf", "rmf")]
    spectra = [xp.absorbed_bremsstrahlung(kt=kt * u.keV, nh=NH) for kt in TEMPERATURES]
    spectra += [xp.absorbed_power_law(gamma=gamma, nh=NH) for gamma in (1.4, 2.2, 3.0)]
    rows = []
    for lo, hi in ACIS_BANDS:
        one, *others = (
            xp.ecf_from_response(s, *files, band=band_of(lo, hi), arf_includes=(), absorbed=True).ct_cm2_per_erg
            for s in (xp.absorbed_power_law(gamma=1.7, nh=NH), *spectra)
        )
        rows.append([f"{lo:g}-{hi:g} keV", *(percent(other, one) for other in others)])
    names = [f"{kt} keV" for kt in TEMPERATURES] + ["Gamma 1.4", "Gamma 2.2", "Gamma 3.0"]
    return table(["band", *names], rows)


def a907_rates(data):
    """Return the rates of Abell 907 within 4 arcmin: all cameras, three observations, two bands."""
    target = xp.galaxy_cluster("A907", 149.59209, -11.05972, redshift=0.16)
    field = xp.match_observations(target, xp.find_observations(data / "a907"))
    plan = xp.plan_exposure_maps(field, [band_of(0.5, 2), band_of(2, 10)])
    with tempfile.TemporaryDirectory() as store:
        run = xp.run(plan, engine=xp.native_engine(), store=store, scheduler="synchronous", progress=False)
        ring = (6 * u.arcmin, 8 * u.arcmin)
        return xp.photometry(xp.rate_maps(run), target.position, 4 * u.arcmin, background=ring, field=field)


def a907_factors(*cameras):
    return [
        xp.power_law_ecf(camera, filter="Thin1", band=band_of(*band), gamma=1.7, nh=A907_NH, absorbed=True)
        for camera in cameras
        for band in ((0.5, 2), (2, 10))
    ]


def cameras(rates):
    """Return fluxes of pn and what MOS has over them, with statistical errors."""
    found = xp.fluxes(rates, ecf=a907_factors("pn", "mos1", "mos2"))
    mos = rates[rates["instrument"] != "pn"]
    factors = a907_factors("mos1", "mos2")
    joint = [xp.joint_photometry(mos[mos["obs_id"] == obs_id], response=factors) for obs_id in obs_ids(rates)]
    rows = []
    for obs_id, both in zip(obs_ids(rates), joint, strict=True):
        for band in dict.fromkeys(rates["band"]):
            one = {r["instrument"]: r for r in found if (r["obs_id"], r["band"]) == (obs_id, band)}
            one["mos1 and mos2"] = next(r for r in both if r["band"] == band)
            pn = one.pop("pn")
            ratios = [over(other, pn) for other in one.values()]
            rows.append([obs_id, band, f"{pn['flux'].value * 1e12:.2f} ± {error(pn) * 1e12:.2f}", *ratios])
    return table(["observation", "band", "pn, 1e-12 erg/cm2/s", "mos1 / pn", "mos2 / pn", "both MOS / pn"], rows)


def obs_ids(rates):
    return list(dict.fromkeys(str(v) for v in rates["obs_id"]))


def error(row):
    return float((row["flux_high"] - row["flux_low"]).value) / 2


def over(one, pn):
    ratio = float(one["flux"] / pn["flux"])
    spread = ratio * float(np.hypot(error(one) / one["flux"].value, error(pn) / pn["flux"].value))
    return f"{ratio:.3f} ± {spread:.3f}"


def replaced(text, mark, lines):
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    head, rest = text.split(begin)
    return "\n".join([head + begin, *lines, end + rest.split(end)[1]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the tables into docs/fluxes.md")
    parser.add_argument("--data", type=Path, help="folder with a907")
    parser.add_argument("--responses", type=Path, help="folder with the response files of 3C 273")
    options = parser.parse_args()
    tables = {"spectrum": spectrum_costs()}
    if options.responses:
        tables["plasma"] = plasma_costs(options.responses)
    if options.data:
        tables["cameras"] = cameras(a907_rates(options.data))
    text = PAGE.read_text(encoding="utf-8")
    for mark, lines in tables.items():
        print(f"\n{mark}\n" + "\n".join(lines))
        text = replaced(text, mark, lines)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
