"""The receiver operating characteristic: how well a score tells a class from the rest, with an error of its area."""

import math
from dataclasses import dataclass

import numpy as np

from xlogreg.inference.distributions import quantile
from xlogreg.inference.estimates import expect_level

__all__ = ["Roc", "roc_of"]


@dataclass(frozen=True, eq=False)
class Roc:
    """A curve over all thresholds of a score, and the area under it; prints the area with its interval.

    Attributes
    ----------
    false_positive_rate, true_positive_rate : ndarray (n + 1,)
        Shares, by weight, of the samples without and with the class whose score is at least each threshold.
    thresholds : ndarray (n + 1,)
        The n different scores in descending order, after infinity.
    auc : float
        Area under the curve: the probability that a sample with the class has the larger score, ties counted half.
    standard_error : float
        Standard error of the area by DeLong, DeLong & Clarke-Pearson (1988), where a weight counts as that many
        samples; NaN if there is no more than one sample on a side.
    positive : object
        The label of the class.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray
    auc: float
    standard_error: float
    positive: object

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Compute the interval of the area, on the scale of its log-odds (Pepe 2003), so that it stays within 0 and 1.

        It is the area itself where its standard error is zero.
        """
        reach = quantile(expect_level(level)) * self.standard_error
        if not 0.0 < self.auc < 1.0 or not reach > 0.0:
            return (self.auc, self.auc) if reach == 0.0 else (math.nan, math.nan)
        logit, reach = math.log(self.auc / (1.0 - self.auc)), reach / (self.auc * (1.0 - self.auc))
        lower, upper = (1.0 / (1.0 + math.exp(-end)) for end in (logit - reach, logit + reach))
        return lower, upper

    def __str__(self) -> str:
        lower, upper = self.interval()
        about = f"AUC {self.auc:.6g} of {self.positive}"
        return f"{about}, standard error {self.standard_error:.4g}, 95 % interval {lower:.6g} to {upper:.6g}"

    __repr__ = __str__


def roc_of(scores: np.ndarray, positive: np.ndarray, weight: np.ndarray, label: object) -> Roc:
    """Make the curve of scores (m,), from the weights (m,) of all samples and whether each has the class.

    Raises
    ------
    ValueError
        If all samples that have weight are on one side.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    scores, positive, weight = scores[order], positive[order], weight[order]
    first = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))
    with_class, without = (np.add.reduceat(weight * own, first) for own in (positive, ~positive))
    P, N = float(np.sum(with_class)), float(np.sum(without))
    if not (P > 0.0 and N > 0.0):
        raise ValueError(f"Y holds {'no' if P == 0.0 else 'only'} samples of {label!r}; a curve needs both sides")
    true, false = np.cumsum(with_class), np.cumsum(without)
    # share of the other side that each score is ahead of, or behind
    ahead = (N - false + 0.5 * without) / N
    behind = (true - 0.5 * with_class) / P
    auc = float(np.sum(with_class * ahead) / P)
    variance = math.nan
    if P > 1.0 and N > 1.0:
        spread = (np.sum(s * (part - auc) ** 2) for s, part in ((with_class, ahead), (without, behind)))
        variance = sum(float(square) / (n - 1.0) / n for square, n in zip(spread, (P, N), strict=True))
    false, true = np.append(0.0, false / N), np.append(0.0, true / P)
    return Roc(false, true, np.append(np.inf, scores[first]), auc, math.sqrt(variance), label)
