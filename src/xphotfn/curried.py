"""The public functions in curried form, for ``toolz.pipe``: what is not given yet is waited for.

Examples
--------
>>> from toolz import pipe
>>> from xphotfn import curried as xc
>>> from xphotfn.testing.examples import example_field, example_rate_map
>>> measured = pipe(example_rate_map(), xc.snr(field=example_field(), region="r500"))
>>> measured.method
'mid-p'
"""

from inspect import isfunction
from typing import Any

from toolz import curry

import xphotfn

__all__ = tuple(sorted(n for n in xphotfn.__all__ if n[0].islower() and n not in ("commands", "curried", "testing")))


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'xphotfn.curried' has no attribute {name!r}")
    value = getattr(xphotfn, name)
    result = curry(value) if isfunction(value) else value
    globals()[name] = result
    return result


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
