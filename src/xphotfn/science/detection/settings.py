"""How sources are searched for in a plan, and point spread functions as text: commands and their keys hold text."""

import json
from collections.abc import Mapping
from typing import Any, final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.fields import switch
from xphotfn.science.detection.likelihood import threshold_of
from xphotfn.science.detection.search_map import EllipticalSpread
from xphotfn.science.encircled_energy import EncircledEnergyTable, PointSpread
from xphotfn.science.king import KingModel
from xphotfn.science.spreads import PsfLike

__all__ = ("SourceSearch", "spread_of_text", "spread_to_text")

_EPIC = "epic"


def spread_to_text(psf: PsfLike) -> str:
    """Return a point spread function as one line of text, the same for equal ones.

    Parameters
    ----------
    psf
        ``"epic"``, a KingModel, an EncircledEnergyTable, an EllipticalSpread or a mapping of these by camera; or a text
        that this function has made.

    Returns
    -------
    str
        ``epic``, or JSON of what a search uses: not the systematic error, nor where the numbers come from.

    Raises
    ------
    InvalidRecord
        If it is none of these.

    Examples
    --------
    >>> spread_to_text("epic"), spread_to_text(KingModel(core=(5, 0, 0, 0), slope=(1.5, 0, 0, 0)))
    ('epic', '{"core":[5.0,0.0,0.0,0.0],"slope":[1.5,0.0,0.0,0.0]}')
    """
    meant = spread_of_text(psf) if isinstance(psf, str) else psf
    return _EPIC if meant == _EPIC else json.dumps(_plain(meant), sort_keys=True, separators=(",", ":"))


def spread_of_text(text: str) -> Any:
    """Return the point spread function that :func:`spread_to_text` has written.

    Raises
    ------
    InvalidRecord
        If the text is not of that function.

    Examples
    --------
    >>> spread_of_text('{"pn":{"fractions":[0.5,1.0],"radii":[10.0,60.0]},"mos1":"epic"}')["pn"].fractions.tolist()
    [0.5, 1.0]
    """
    if text == _EPIC:
        return _EPIC
    try:
        return _spread(json.loads(text), text)
    except (ValueError, TypeError, KeyError) as error:
        raise _is_none(text) from error


@final
@frozen(kw_only=True)
class SourceSearch:
    """How a plan searches for sources: what :func:`plan_detection` and ``plan_photometry(regions=...)`` take.

    Parameters
    ----------
    threshold
        Least likelihood, 4 or above, as :func:`detect_sources` takes it.
    extent
        Whether extended sources are looked for.
    joint
        Whether all observations of a field are searched together.
    psf
        The point spread function as :func:`detect_sources` takes it; kept as text, which is part of the command and so
        of the key of what it makes.

    Raises
    ------
    InvalidRecord
        If one is not of these.

    Examples
    --------
    >>> import xphotfn as xp
    >>> from xphotfn.testing.examples import example_field
    >>> deep = SourceSearch(threshold=6, extent=False)
    >>> plan = xp.plan_photometry(example_field(), xp.energy_band("0.5 keV", "2 keV"), regions=deep)
    >>> plan.steps[-1].command.argv[-2:]
    ('threshold=6', 'extent=no')
    """

    threshold: float = field(default=10.0, converter=threshold_of)
    extent: bool = field(default=True, validator=switch)
    joint: bool = field(default=False, validator=switch)
    psf: str = field(default=_EPIC, converter=spread_to_text)

    def _repr_html_(self) -> str:
        return record_html(self)


def _plain(psf: Any) -> Any:
    """Return a point spread function as what JSON holds."""
    match psf:
        case "epic":
            return _EPIC
        case KingModel():
            return {"core": list(psf.core), "slope": list(psf.slope)}
        case EncircledEnergyTable():
            return {"radii": psf.radii_arcsec.tolist(), "fractions": psf.fractions.tolist()}
        case EllipticalSpread():
            return {"profile": _plain(psf.profile), "ratios": [list(pair) for pair in psf.axis_ratios]}
        case Mapping() if psf and all(isinstance(camera, str) for camera in psf):
            return {camera: _plain(each) for camera, each in psf.items()}
    raise _is_none(psf)


def _spread(plain: Any, text: str) -> Any:
    if plain == _EPIC:
        return _EPIC
    if not isinstance(plain, dict) or not plain:
        raise _is_none(text)
    if "core" in plain:
        return KingModel(core=plain["core"], slope=plain["slope"])
    if "radii" in plain:
        return EncircledEnergyTable(radii_arcsec=plain["radii"], fractions=plain["fractions"])
    if "profile" in plain:
        profile: PointSpread = _spread(plain["profile"], text)
        return EllipticalSpread(profile=profile, axis_ratios=plain["ratios"])
    return {camera: _spread(each, text) for camera, each in plain.items()}


def _is_none(found: Any) -> InvalidRecord:
    shown = repr(found)
    return InvalidRecord(
        'psf must be "epic", a KingModel, an EncircledEnergyTable, an EllipticalSpread or a dict of these by camera, '
        f"got {shown[:80]}"
    )
