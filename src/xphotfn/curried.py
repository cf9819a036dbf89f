"""The public functions in curried form, for ``toolz.pipe``: what is not given yet is waited for.

Keywords may be given bit by bit. A value given by position to what waits, as ``pipe`` gives it, must complete the call:
an argument that was forgotten is told there, as by the function itself; also where none was given before.

Examples
--------
>>> from toolz import pipe
>>> from xphotfn import curried as xc
>>> from xphotfn.testing.examples import example_field, example_rate_map
>>> measured = pipe(example_rate_map(), xc.snr(field=example_field(), region="r500"))
>>> measured.method
'mid-p'
>>> xc.snr(field=example_field())
<xphotfn.curried.snr: has field, waits for rate_map, region>
>>> pipe(example_rate_map(), xc.snr(field=example_field()))
Traceback (most recent call last):
...
TypeError: snr() missing 1 required positional argument: 'region'
>>> pipe(example_rate_map(), xc.snr())
Traceback (most recent call last):
...
TypeError: snr() missing 2 required positional arguments: 'field' and 'region'
"""

from collections.abc import Callable
from functools import partial, update_wrapper
from inspect import isfunction, signature
from typing import Any

import xphotfn

__all__ = tuple(sorted(n for n in xphotfn.__all__ if n[0].islower() and n not in xphotfn._MODULES))


class Curried(partial[Any]):
    """A function that has some of its arguments and waits for the others."""

    was_called = False  # after that a value given by position is what it has waited for

    def __call__(self, /, *args: Any, **keywords: Any) -> Any:
        """Return what the function returns, or where arguments are missing a function that waits for them."""
        together = self.keywords | keywords
        if (self.was_called and args) or not self._waits_for(*args, **keywords):
            return self.func(*self.args, *args, **together)
        waiting = curried(self.func, *self.args, *args, **together)
        waiting.was_called = True
        return waiting

    def _waits_for(self, *args: Any, **keywords: Any) -> list[str]:
        """Return the names that are missing; none where the function itself will refuse what is given."""
        try:
            bound = signature(self.func).bind_partial(*self.args, *args, **self.keywords | keywords)
        except TypeError:
            return []
        parameters = bound.signature.parameters.values()
        return [p.name for p in parameters if p.default is p.empty and p.name not in bound.arguments]

    def __repr__(self) -> str:
        given = [*list(signature(self.func).parameters)[: len(self.args)], *self.keywords]
        has = f"has {', '.join(given)}, " if given else ""
        return f"<xphotfn.curried.{self.func.__name__}: {has}waits for {', '.join(self._waits_for())}>"


def curried(function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Return a function that waits for the arguments that are not given; one with nothing to wait for as it is."""
    return update_wrapper(Curried(function, *args, **keywords), function) if _waits(function) else function


def _waits(function: Callable[..., Any]) -> bool:
    """Return whether something can be given before the rest: an argument is needed, and there is another one."""
    parameters = signature(function).parameters.values()
    return len(parameters) > 1 and any(p.default is p.empty for p in parameters)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'xphotfn.curried' has no attribute {name!r}")
    value = getattr(xphotfn, name)
    result = curried(value) if isfunction(value) else value
    globals()[name] = result
    return result


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
