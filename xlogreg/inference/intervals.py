"""Intervals of coefficients as a result that prints as a table."""

from dataclasses import dataclass

import numpy as np

from xlogreg.inference.tabular import Shown, Tabular, bounds

__all__ = ["Intervals"]


@dataclass(frozen=True, eq=False, repr=False)
class Intervals(Tabular):
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

    def _shown(self) -> Shown:
        titles = {"class": "class"} if "class" in (self.table.dtype.names or ()) else {}
        titles |= {"name": "", "coefficient": "coef"} | bounds(self.level)
        return Shown(self.kind, self.table, titles, self.note)
