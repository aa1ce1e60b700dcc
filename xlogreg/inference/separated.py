"""The report of a separation: the coefficients that are infinite, and the samples on the hyperplane."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.inference.infinite import FINITE
from xlogreg.inference.tabular import Shown, Tabular, structured

__all__ = ["Separation"]

LINES = 60  # lines of a table above which those of finite coefficients are only counted
HEADS = {
    "none": "no separation: the likelihood has a maximum",
    "complete": "complete separation: a hyperplane has each of the {n} samples on its own side",
    "quasi-complete": "quasi-complete separation: a hyperplane has no sample on the wrong side, {tied} of {n} on it",
    "undecided": "undecided: neither a maximum of the likelihood nor a separating hyperplane was proved",
}
OPEN = "; whether another hyperplane has fewer samples on it is undecided"


@dataclass(frozen=True, eq=False, repr=False)
class Separation(Tabular):
    """The coefficients that are infinite at the maximum of the likelihood; prints as a table.

    Attributes
    ----------
    kind : {"none", "complete", "quasi-complete", "undecided"}
        "complete": a hyperplane has each sample on the side of its class. "quasi-complete": it has none on the wrong
        side, and some on it.
    status : ndarray (n_x + 1, k) of str
        One for each feature, and the bias last if there is one; k = 1 for two classes and K - 1 for more. Of all
        sequences of parameters whose likelihood approaches its supremum: "finite" means that the coefficient tends to
        a finite value, "+inf" and "-inf" that it grows or falls for ever, "either" that it may do the one or the other:
        some of these sequences raise it, and others lower it. "undecided": it is not known.
    names : tuple of str
        Names of the features, such as "age" or "city=Paris", or else their numbers; "bias" is the last.
    classes : ndarray (K,)
    baseline : object
        The class that coefficients are relative to; the first of two classes.
    w, b : ndarray (n_x, k) and (k, 1), or None
        A direction: adding any multiple of it, above zero, to any parameters raises the likelihood. k is 1 or K, as for
        a model; the columns of the baseline are zero. The largest move of a score is one.
    tied : ndarray (m,) of bool
        Samples on the hyperplane: along no direction do they leave all other classes behind. All if there is no
        separation; samples of weight zero are none.
    n_samples : int
        Number of samples whose weight is above zero.
    method : {"linear programming", "rectifier"}
    settled : bool
        False if another direction may leave fewer samples tied, or may exist, where none was found.
    """

    kind: str
    status: np.ndarray
    names: tuple[str, ...]
    classes: np.ndarray
    baseline: Any
    w: np.ndarray | None
    b: np.ndarray | None
    tied: np.ndarray
    n_samples: int
    method: str
    settled: bool

    @property
    def is_separated(self) -> bool:
        """Whether the likelihood has no maximum."""
        return self.kind in ("complete", "quasi-complete")

    @property
    def on_hyperplane(self) -> int:
        """Number of samples that are tied."""
        return int(np.sum(self.tied))

    @property
    def table(self) -> np.ndarray:
        """A structured array: name and estimate, and for three classes or more also class."""
        k, count = self.status.shape[1], len(self.names)
        others = [str(label) for label in self.classes.tolist() if label != self.baseline]
        columns: dict[str, Any] = {} if len(self.classes) == 2 else {"class": np.repeat(others, count)}
        return structured(**columns, name=np.tile(self.names, k), estimate=self.status.T.reshape(-1))

    @property
    def _head(self) -> str:
        open_end = OPEN if self.is_separated and not self.settled else ""
        return HEADS[self.kind].format(n=self.n_samples, tied=self.on_hyperplane) + open_end

    def _shown(self) -> Shown:
        table, titles = self.table, {"class": "class"} if len(self.classes) > 2 else {}
        titles, head = titles | {"name": "", "estimate": "estimate"}, f"{self._head}\n"
        finite = table["estimate"] == FINITE
        if len(table) <= LINES or not np.any(finite):
            return Shown(head, table, titles)
        return Shown(head, table[~finite], titles, f"the other {int(np.sum(finite))} coefficients are finite")
