"""The summary of a field."""

from collections.abc import Iterable
from typing import Any, final

from attrs import field, frozen

from xphotfn.errors import XphotfnError
from xphotfn.graph.maps import combined_rate_map, rate_maps
from xphotfn.graph.result import Run
from xphotfn.html import block, facts
from xphotfn.measure.background_weights import Weights, function_of_maps
from xphotfn.measure.hydrogen import nh_row
from xphotfn.measure.signal_to_noise import snr
from xphotfn.records.field import Field
from xphotfn.records.fields import items
from xphotfn.records.instrument import INSTRUMENTS
from xphotfn.records.target import OVERDENSITIES
from xphotfn.science.coords import separation_deg
from xphotfn.science.snr_methods import DEFAULT_METHOD, Method, method_of

__all__ = ("Info", "info")


@final
@frozen(kw_only=True, repr=False)
class Info:
    """Summaries of fields, as text (``str``) and as HTML in a notebook.

    Parameters
    ----------
    sections
        Per field a tuple of pairs ``(what, value)``.
    """

    sections: tuple[tuple[tuple[str, str], ...], ...] = field(converter=items)

    def __str__(self) -> str:
        return "\n\n".join(_text(section) for section in self.sections)

    def __getitem__(self, what: str) -> str:
        """Return one value of the first field, by its name."""
        return dict(self.sections[0])[what]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return "".join(block(": ".join(section[0]), facts(section[1:])) for section in self.sections)


def _text(section: tuple[tuple[str, str], ...]) -> str:
    width = max(len(name) for name, _ in section)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in section)


def info(
    field_or_fields: Field | Iterable[Field],
    *,
    run: Run | None = None,
    method: str | Method = DEFAULT_METHOD,
    background_weights: Weights | None = None,
) -> Info:
    """Return a summary of a field: target, observations, regions and signal-to-noise.

    Parameters
    ----------
    field_or_fields
        One field or several.
    run
        A run with their mosaics: then the signal-to-noise of the combined map within each known radius is given, around
        the field's centre: :func:`find_centre` and :func:`with_centre` put it on the X-ray peak.
    method
        Definition of the signal-to-noise.
    background_weights
        What the background of each pixel is proportional to: a function of the map, as :func:`weights_by_map` makes.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field
    >>> summary = info(example_field())
    >>> summary["XMM ObsIDs"]
    '1'
    """
    fields = (field_or_fields,) if isinstance(field_or_fields, Field) else tuple(field_or_fields)
    how = {"method": method, "background_weights": function_of_maps(background_weights)}
    return Info(sections=[tuple(_section(f, run, how)) for f in fields])


def _section(target_field: Field, run: Run | None, how: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [*_target_rows(target_field), *_observation_rows(target_field)]
    if run is not None:
        maps = rate_maps(run, target=target_field.name)
        rows.append(("Rate maps", str(len(maps))))
        rows += _snr_rows(target_field, run, how)
    return rows


def _target_rows(target_field: Field) -> list[tuple[str, str]]:
    target = target_field.target
    if target is None:
        return [("Bulk field", ", ".join(target_field.obs_ids))]
    rows = [
        ("Source name", target.name),
        ("Coordinates", f"({target.ra_deg}, {target.dec_deg}) deg"),
    ]
    if not target_field.is_centred_on_target:
        ra, dec = (float(v) for v in target_field.centre.value)
        away = 3600 * float(separation_deg(target.ra_deg, target.dec_deg, ra, dec))
        rows.append(("Centre", f"({ra}, {dec}) deg, {away:.1f} arcsec from the coordinates"))
    if target.redshift is not None:
        cosmology = target.cosmology if isinstance(target.cosmology, str) else target.cosmology.kind
        rows += [("Redshift", f"{target.redshift:g}"), ("Cosmology", cosmology)]
    return [*rows, *nh_row(target), *((name, str(value)) for name, value in target.extra)]


def _observation_rows(target_field: Field) -> list[tuple[str, str]]:
    members = target_field.members
    rows = [("XMM ObsIDs", str(len(members)))]
    for camera in INSTRUMENTS:
        number = sum(camera.name in m.observation.instruments for m in members)
        rows.append((f"{camera.name.upper()} observations", str(number)))
    exposures = [e.exposure_s for m in members for e in m.observation.exposures]
    rows += [
        ("On-axis", str(sum(m.on_axis for m in members))),
        ("With regions", str(sum(bool(m.regions) for m in members))),
        ("Total regions", str(sum(len(m.regions) for m in members))),
        ("Obs with a match", str(sum(m.match is not None for m in members))),
        ("Obs with >1 matches", str(sum(bool(m.alternates) for m in members))),
        ("Interlopers", str(sum(len(m.interlopers) for m in members))),
        ("Total on-time", f"{sum(exposures) / 1000:.1f} ks"),
    ]
    return rows + [(f"Left out {note.obs_id}", note.why) for note in target_field.left_out]


def _snr_rows(target_field: Field, run: Run, how: dict[str, Any]) -> list[tuple[str, str]]:
    if target_field.target is None:
        return []
    bands = dict.fromkeys(p.band for p in run.plan.products if p.field_name == target_field.name)
    rows = []
    for name, radius in target_field.target.radii:
        label, region = (name.upper(), name) if name in OVERDENSITIES else ("Radius", radius)
        rows.append((label, str(radius)))
        for band in bands:
            title = f"{label} SNR" if len(bands) == 1 else f"{label} SNR {band}"
            try:
                combined = combined_rate_map(run, target=target_field.name, band=band)
                measured = snr(combined, target_field, region, **how)
                rows.append((title, f"{measured.value:.2f}"))
                if measured.note:
                    rows.append((f"{title} note", measured.note))
            except XphotfnError as error:
                rows.append((title, f"not measured: {error}"))
    return [*rows, ("SNR method", method_of(how["method"]).name)]
