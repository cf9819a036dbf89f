"""Tables of results: printed with six digits, kept and written with all of them."""

from typing import Any

from astropy.table import QTable

__all__ = ("ResultTable",)

_DIGITS = {  # by column: degrees to some milliarcseconds; the others have six significant ones
    "ra": ".6f", "dec": ".6f", "snr": ".2f", "significance": ".2f", "alpha": ".3f", "alpha_by_area": ".3f",
    "background_shift": ".2f",
}  # fmt: skip


class ResultTable(QTable):  # type: ignore[misc]
    """An astropy QTable whose real numbers are shown with six digits, in a terminal and in a notebook.

    What it holds, and what its ``write`` puts into a file, keeps all digits: a column's own ``info.format`` would cut
    them in CSV too, and counts where it is set.

    Examples
    --------
    >>> table = ResultTable({"rate": [1 / 3], "ra": [149.59137512345]})
    >>> print(table)
      rate       ra
    -------- ----------
    0.333333 149.591375
    >>> float(table["rate"][0])
    0.3333333333333333
    """

    def _with_formats(self) -> QTable:
        shown = QTable(self, copy=False)
        for name in shown.colnames:
            column = shown[name]
            dtype = getattr(column, "dtype", None)
            if dtype is not None and dtype.kind == "f" and column.info.format is None:
                column.info.format = _DIGITS.get(name, ".6g")
        return shown

    def __str__(self) -> str:
        return str(self._with_formats())

    def __repr__(self) -> str:
        return repr(self._with_formats())

    def _repr_html_(self) -> str:
        return str(self._with_formats()._repr_html_())

    def pformat(self, *args: Any, **options: Any) -> list[str]:
        """Return the lines of the printed table; as that of astropy."""
        lines: list[str] = self._with_formats().pformat(*args, **options)
        return lines

    def pprint(self, *args: Any, **options: Any) -> None:
        """Print the table; as that of astropy."""
        self._with_formats().pprint(*args, **options)

    def pprint_all(self, *args: Any, **options: Any) -> None:
        """Print all rows and columns; as that of astropy."""
        self._with_formats().pprint_all(*args, **options)
