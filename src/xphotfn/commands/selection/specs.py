"""Names of files in a selection expression, with the block that they point at."""

import re

__all__ = ("split_spec", "without_quotes")

_BRACKETS = re.compile(r"(.*)\[\s*([^\[\]]*?)\s*\]")
_SEPARATED = re.compile(r"(.*)[:+]([A-Za-z0-9_]+)")


def split_spec(spec: str) -> tuple[str, str]:
    """Return the file and the block of ``set``, ``set+block``, ``set[block]`` or ``set:block``.

    The block is an extension's name or its number from 1; an empty file means that of the table that is read, an empty
    block the first. Source: XMM-Newton SAS, selectlib 4.77, node 17.

    Examples
    --------
    >>> split_spec("gti.fits"), split_spec("gti.fits[STDGTI]"), split_spec("a+b.fits+2"), split_spec(":GTI00006")
    (('gti.fits', ''), ('gti.fits', 'STDGTI'), ('a+b.fits', '2'), ('', 'GTI00006'))
    """
    text = spec.strip()
    match = _BRACKETS.fullmatch(text) or _SEPARATED.fullmatch(text)
    return (match.group(1).strip(), match.group(2)) if match else (text, "")


def without_quotes(spec: str) -> str:
    """Return a specification without the quotes that a shell's user may put around it.

    Examples
    --------
    >>> without_quotes("'my gti.fits'"), without_quotes("gti.fits:GTI")
    ('my gti.fits', 'gti.fits:GTI')
    """
    quoted = len(spec) > 2 and spec[0] == spec[-1] and spec[0] in "\"'"
    return spec[1:-1] if quoted else spec
