"""What a run tells while it goes on: a step has started, or has ended one way or another."""

from typing import final

from attrs import field, frozen

from xphotfn.html import record_html
from xphotfn.records.fields import non_empty, one_of

__all__ = ("StepEvent",)


@final
@frozen(kw_only=True)
class StepEvent:
    """Something that happened to a step of a run: what ``run(progress=...)`` hands to its callback.

    Each step gives two of them, on every scheduler: ``started``, then how it ended.

    Parameters
    ----------
    step
        Id of the step.
    task
        Its task, such as ``evselect``.
    obs_id
        The observation it belongs to, or ``combined``.
    product
        Name of its (first) product.
    state
        ``started``, ``done``, ``cached`` (done, the product was there), ``failed`` or ``skipped``.
    seconds
        Wall-clock time of the command; 0 unless ``done``.
    why
        The reason of a failure, or the step because of which this one was skipped; else empty.
    ended, total
        How many steps of the run have ended by now, and how many there are.

    Examples
    --------
    >>> print(StepEvent(step="evselect-0f", task="evselect", obs_id="0404910601", product="a.fits", state="started",
    ...                 ended=3, total=12))
    [3/12] started evselect 0404910601 a.fits
    """

    step: str = field(validator=non_empty)
    task: str
    obs_id: str
    product: str
    state: str = field(validator=one_of("started", "done", "cached", "failed", "skipped"))
    seconds: float = 0.0
    why: str = ""
    ended: int = 0
    total: int = 0

    def __str__(self) -> str:
        head = f"[{self.ended}/{self.total}] {self.state} {self.task} {self.obs_id} {self.product}"
        return head + (f": {self.why}" if self.why else "")

    def _repr_html_(self) -> str:
        return record_html(self)
