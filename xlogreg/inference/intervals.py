"""Intervals of coefficients as a result that prints as a table."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.inference.tabular import as_html, as_text, to_frame

__all__ = ["Intervals"]


@dataclass(frozen=True, eq=False)
class Intervals:
    """Intervals of coefficients, one in each row; prints as text, and as HTML in notebooks.

    Attributes
    ----------
    kind : str
        Such as "profile-likelihood intervals".
    table : ndarray (n,)
        Structured, with the fields name, lower, upper and coefficient; for three classes or more also class.
    level : float
        Coverage of the intervals.
    note : str
        What else there is to know; printed below.
    """

    kind: str
    table: np.ndarray
    level: float
    note: str = ""

    @property
    def confint(self) -> np.ndarray:
        """Intervals (n, 2), in the order of the table."""
        return np.stack([self.table["lower"], self.table["upper"]], axis=1)

    @property
    def _titles(self) -> dict[str, str]:
        tail = 0.5 * (1.0 - self.level)
        titles = {"class": "class"} if "class" in (self.table.dtype.names or ()) else {}
        return titles | {"name": "", "coefficient": "coef", "lower": f"[{tail:.4g}", "upper": f"{1.0 - tail:.4g}]"}

    def __str__(self) -> str:
        return "\n".join(part for part in (self.kind, as_text(self.table, self._titles), self.note) if part)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.table, self._titles, self.note)

    def to_frame(self, library: str | None = None) -> Any:
        """Return the table as a frame of pandas or polars; None takes the first that is installed.

        Raises
        ------
        ImportError
            If the library is not installed.
        """
        return to_frame(self.table, library)
