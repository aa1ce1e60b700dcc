"""Results of tests: one hypothesis, or several in a table."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.inference.distributions import chi_squared_tail
from xlogreg.inference.tabular import Shown, Tabular, p_text, structured

__all__ = ["Test", "Tests"]

TITLES = {"name": "", "statistic": "chi2", "df": "df", "p": "p"}


@dataclass(frozen=True)
class Test:
    """A test whose statistic is chi-squared under its hypothesis, for many samples.

    Attributes
    ----------
    kind : str
        Such as "Wald test" or "likelihood-ratio test".
    hypothesis : str
        What is tested.
    statistic : float
    df : int
        Degrees of freedom: the number of independent equations of the hypothesis.
    """

    __test__ = False  # no test of pytest's

    kind: str
    hypothesis: str
    statistic: float
    df: int

    @property
    def p(self) -> float:
        """Probability of so large a statistic, or a larger one, if the hypothesis is true."""
        return chi_squared_tail(self.statistic, self.df)

    def __str__(self) -> str:
        found = f"chi2 {self.statistic:.6g} with {self.df} degree{'s' if self.df != 1 else ''} of freedom"
        return f"{self.kind} of {self.hypothesis}: {found}, p {p_text(self.p)}"


@dataclass(frozen=True, eq=False, repr=False)
class Tests(Tabular):
    """Tests of several hypotheses, one in each row; prints as a table.

    Attributes
    ----------
    kind : str
        Such as "Wald tests", or "likelihood-ratio tests".
    table : ndarray (n,)
        Structured, with the fields name, statistic, df and p.
    note : str
        What else there is to know; printed below.
    """

    __test__ = False  # no test of pytest's

    kind: str
    table: np.ndarray
    note: str = ""

    @classmethod
    def of(cls, kind: str, names: Any, statistics: Any, df: Any, note: str = "") -> "Tests":
        """Make the tests of these hypotheses (n,), with p-values of the chi-squared distribution."""
        statistics, df = np.asarray(statistics, np.float64), np.asarray(df, np.int64)
        p = [chi_squared_tail(x, n) if n else math.nan for x, n in zip(statistics.tolist(), df.tolist(), strict=True)]
        columns = {"name": np.asarray(names, dtype=np.str_), "statistic": statistics, "df": df}
        return cls(kind, structured(**columns, p=np.asarray(p, np.float64)), note)

    def _shown(self) -> Shown:
        return Shown(self.kind, self.table, TITLES, self.note)
