"""Why a file is not used: a value, of which text is made only where people read it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.band import Band
from xphotfn.records.fields import non_empty, one_of, strings

__all__ = ("FIELD_REASONS", "REASONS", "FieldNote", "LeftOut")

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "unreadable": "cannot be read",
        "other_kind": "is no event list, image or exposure map of EPIC",
        "no_camera": "is of no EPIC camera",
        "no_observation": "belongs to no ObsID that was found",
        "no_pointing": "is of an observation whose pointing no header gives (RA_PNT, DEC_PNT)",
        "no_exposure": "does not say which exposure it belongs to (EXPIDSTR)",
        "closed": "was taken with the filter closed, so without sky",
        "mode": "was taken in a mode that makes no images",
        "out_of_time": "holds simulated out-of-time events, not the events of the sky",
        "outside_field": "holds what lies outside the field of view: events of the corners",
        "unplaced": "was cut in places, and its data subspace does not say which: nothing tells where it looked",
        "no_events": "is an event list without events",
        "detector": "is an image in detector coordinates, not of the sky",
        "grid": "has pixels that are not used here",
        "model": "is a model: its pixels are not whole counts",
        "mask": "is a mask",
        "extension": "holds its image in an extension: copy it into the primary HDU",
        "mosaic": "is a mosaic of several images; mosaics are made again from what they show",
        "unvignetted": "is without vignetting, by which no rate of the sky is made",
        "no_band": "has no energy band that could be used",
        "same": "is the same",
        "not_preferred": "another file was named by the user",
        "other_grid": "has other pixels than the image or exposure map that goes with it",
        "other_times": "holds other times than the image that goes with it",
        "second_choice": "another kind of file goes first",
        "narrower": "holds less",
        "pixels": "has regions in pixels of an image, and nothing says of which",
        "assumed": "has regions in pixels of an image that is not here",
        "part": "is used and holds a part only",
        "undecided": "differs, and no rule says which is right: name one with prefer= or --prefer",
    }
)
"""Each reason why a file is not used, and its text."""

_USED = ("assumed", "part")  # of files that are used all the same
_SAID_BY_DETAIL = ("grid", "no_band")  # whose detail is a sentence of its own


def _text(reason: str, detail: str) -> str:
    if not detail:
        return REASONS[reason]
    if reason == "other_kind":
        return f"is {detail}"
    return detail if reason in _SAID_BY_DETAIL else f"{REASONS[reason]}: {detail}"


@final
@frozen(kw_only=True)
class LeftOut:
    """A file that was found and is not used, and why; or, for ``assumed`` and ``part``, what to know of one that is.

    Parameters
    ----------
    file
        Its path relative to the folder that was searched.
    reason
        One of :data:`REASONS`.
    obs_id, instrument, exposure_id, kind
        What the file is of, as far as it says; empty where it does not.
    band
        Its energy band, where it has one.
    preferred
        The file that is used in its place; where nothing is decided, the files that it stands against.
    differs
        What is different: energies, times, places, flags, patterns, selection, grid, content.
    detail
        What the reason alone does not say, such as the filter or what is damaged.

    Examples
    --------
    >>> str(LeftOut(file="M1_clean.fits", reason="narrower", preferred=["M1.FTZ"], differs=["energies"]))
    'M1_clean.fits left out: holds less (energies); M1.FTZ is used'
    """

    file: str = field(validator=non_empty)
    reason: str = field(validator=one_of(*REASONS))
    obs_id: str = ""
    instrument: str = ""
    exposure_id: str = ""
    kind: str = ""
    band: Band | None = None
    preferred: tuple[str, ...] = field(default=(), converter=strings)
    differs: tuple[str, ...] = field(default=(), converter=strings)
    detail: str = ""

    @property
    def why(self) -> str:
        """The reason as a text."""
        text = _text(self.reason, self.detail)
        if self.differs:
            text += f" ({', '.join(self.differs)})"
        if not self.preferred:
            return text
        return f"{text}; {'against ' if self.reason == 'undecided' else ''}{', '.join(self.preferred)}" + (
            "" if self.reason == "undecided" else " is used"
        )

    def __str__(self) -> str:
        return f"{self.file}{'' if self.reason in _USED else ' left out'}: {self.why}"

    def _repr_html_(self) -> str:
        return record_html(self)


FIELD_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "far": "lies beyond the distance within which observations are taken",
        "regions": "has regions that cannot be used, or that mask nothing",
        "none": "no observation was given",
    }
)
"""Why a field does not have an observation, or not all regions of one."""


@final
@frozen(kw_only=True)
class FieldNote:
    """An observation that a field leaves out, or what is left out of one, and why.

    Parameters
    ----------
    obs_id
        The observation; empty where there was none.
    reason
        One of :data:`FIELD_REASONS`.
    arcmin, limit_arcmin
        For ``far``: the distance of the target from the pointing, and the largest that is taken; else None.
    detail
        What the reason alone does not say, a sentence.

    Examples
    --------
    >>> str(FieldNote(obs_id="0404910601", reason="far", arcmin=41.53, limit_arcmin=30.0))
    '0404910601: 41.5 arcmin from the pointing, beyond 30'
    """

    obs_id: str = ""
    reason: str = field(validator=one_of(*FIELD_REASONS))
    arcmin: float | None = None
    limit_arcmin: float | None = None
    detail: str = ""

    def __attrs_post_init__(self) -> None:
        if (self.reason == "far") != (self.arcmin is not None and self.limit_arcmin is not None):
            raise InvalidRecord("arcmin and limit_arcmin say how far what is left out as far lies, and only that")

    @property
    def why(self) -> str:
        """The reason as a text."""
        if self.arcmin is not None:
            return f"{self.arcmin:.1f} arcmin from the pointing, beyond {self.limit_arcmin:g}"
        return self.detail or FIELD_REASONS[self.reason]

    def __str__(self) -> str:
        return f"{self.obs_id}: {self.why}"

    def _repr_html_(self) -> str:
        return record_html(self)
