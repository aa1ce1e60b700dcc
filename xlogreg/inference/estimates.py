"""Tables of estimates with their intervals, such as effects, odds ratios, and coefficients with profile intervals."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.exceptions import shown
from xlogreg.inference.distributions import quantile, two_sided
from xlogreg.inference.tabular import Shown, Tabular, bounds, structured

__all__ = ["Estimates", "expect_level", "tabulated"]

# columns of a table that are shown, with their titles; the bounds of the intervals are titled by their tails
TITLES = {
    "class": "class",
    "name": "",
    "kind": "kind",
    "coefficient": "coef",
    "effect": "effect",
    "odds_ratio": "odds ratio",
    "standard_error": "std err",
    "z": "z",
    "p": "p",
}


@dataclass(frozen=True, eq=False, repr=False)
class Estimates(Tabular):
    """Estimates with their intervals, one in each row; prints as a table, and as HTML in notebooks.

    Attributes
    ----------
    kind : str
        What is estimated, such as "profile-likelihood intervals".
    table : ndarray (n,)
        Structured. The methods that make it name its fields; "lower" and "upper" are among them.
    level : float
        Coverage of the intervals from lower to upper.
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
        titles = {name: title for name, title in TITLES.items() if name in (self.table.dtype.names or ())}
        return Shown(self.kind, self.table, titles | bounds(self.level), self.note)


def expect_level(level: Any) -> float:
    """Return the coverage of an interval as a float.

    Raises
    ------
    ValueError
        If it is not between 0 and 1.
    """
    if not isinstance(level, (int, float)) or not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, such as 0.95; got {shown(level)}")
    return float(level)


def tabulated(labels: dict[str, Any], name: str, values: np.ndarray, errors: np.ndarray, level: float) -> np.ndarray:
    """Make a structured table of estimates (n,) and their standard errors, with Wald's tests of zero and intervals."""
    with np.errstate(all="ignore"):
        z = np.where(errors > 0.0, values / errors, math.nan)
    reach = quantile(level) * errors
    tests = {"standard_error": errors, "z": z, "p": two_sided(z)}
    return structured(**labels, **{name: values}, **tests, lower=values - reach, upper=values + reach)
