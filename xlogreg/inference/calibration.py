"""Whether probabilities are as large as the shares that come true: by groups, and by a line through the log-odds."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xlogreg.arrays.place import HOST
from xlogreg.inference.significance import Test
from xlogreg.inference.tabular import Shown, Tabular, structured
from xlogreg.math.losses import LOSSES, share_and_curvature

__all__ = ["Calibration", "Line", "calibration_of"]

CAVEAT = (
    "the Hosmer-Lemeshow test depends on the number of groups and on their bounds; of many samples it rejects for a\n"
    "small misfit, of few it seldom does. Look at the table, the slope and the intercept first"
)
TITLES = {
    "group": "group",
    "lower": "from",
    "upper": "to",
    "samples": "samples",
    "observed": "observed",
    "expected": "expected",
    "share": "share",
    "probability": "probability",
}
STEPS = 100  # of Newton's method; a convex function of two unknowns takes about ten
SETTLED = 1e-24  # squared Newton decrement, in units of the log-likelihood of one sample, of a solution


class Line(NamedTuple):
    """The logistic regression of labels on the log-odds z that a model predicts: intercept + slope z (Cox 1958).

    Attributes
    ----------
    intercept, slope : float
    intercept_error, slope_error : float
        Standard errors; the slope has none where it is held at 1.
    log_likelihood : float
    """

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float
    log_likelihood: float


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Tabular):
    """Observed and expected numbers by groups of predicted probability, and what follows; prints as a table.

    Attributes
    ----------
    table : ndarray (groups,)
        Structured: group, lower and upper (the least and the largest probability in it), samples, observed and expected
        (numbers of the second class, by weight), share (observed / samples) and probability (expected / samples).
    hosmer_lemeshow : Test
        sum (observed - expected)^2 / (expected (1 - probability)) (Hosmer & Lemeshow 1980). NaN for too few groups.
    line : Line
        Slope and intercept. A calibrated model has the slope 1 and the intercept 0. A slope below 1 says that
        probabilities are too extreme, as an overfitted model has them.
    in_the_large : Line
        The same with the slope held at 1. An intercept above 0 says that probabilities are too small on the whole.
    test : Test
        Likelihood-ratio test of slope 1 and intercept 0 together.
    new_data : bool
        Whether these samples are others than those of the fit.
    """

    table: np.ndarray
    hosmer_lemeshow: Test
    line: Line
    in_the_large: Line
    test: Test
    new_data: bool

    def _shown(self) -> Shown:
        line, level = self.line, self.in_the_large
        lines = [
            f"slope      {line.slope:.6g}, standard error {line.slope_error:.4g}",
            f"intercept  {line.intercept:.6g}, standard error {line.intercept_error:.4g}",
            f"intercept with slope 1  {level.intercept:.6g}, standard error {level.intercept_error:.4g}",
            str(self.test),
            str(self.hosmer_lemeshow) if self.hosmer_lemeshow.df else "too few groups for a Hosmer-Lemeshow test",
        ]
        if not self.new_data:
            lines.append(
                "the samples are those of the fit, which say little: slope 1 and intercept 0 follow from a fit without "
                "a penalty, a bias reduction or an offset"
            )
        return Shown("", self.table, TITLES, "\n".join([*lines, CAVEAT]))


def calibration_of(z: np.ndarray, y: np.ndarray, weight: np.ndarray, groups: int, new_data: bool) -> Calibration:
    """Judge log-odds z (m,), in float64, by labels y (m,) of 0 and 1, with weights (m,) that count samples.

    Raises
    ------
    ValueError
        If z is not finite, or only one class has weight.
    """
    kept = weight > 0
    z, y, weight = z[kept], y[kept], weight[kept]
    if not np.all(np.isfinite(z)):
        raise ValueError(f"{int(np.sum(~np.isfinite(z)))} scores are infinite, and have no calibration; scale X")
    if np.all(y == y[:1]):
        raise ValueError("Y holds one class only; a calibration needs both")
    with HOST.computing():
        line, level = _line(z, y, weight), _level(z, y, weight)
        gain = line.log_likelihood - _log_likelihood(z, y, weight)
    table = _grouped(z, y, weight, groups)
    test = Test("likelihood-ratio test", "slope 1 and intercept 0", max(2.0 * gain, 0.0), 2)
    return Calibration(table, _hosmer_lemeshow(table, new_data), line, level, test, new_data)


def _grouped(z: np.ndarray, y: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """Sum by groups that hold about the same number of samples; equal scores are in one group.

    The groups are cut at the quantiles of the scores, interpolated linearly, as R's quantile has them.
    """
    order = np.argsort(z, kind="stable")
    z, y, weight = z[order], y[order], weight[order]
    a = share_and_curvature(z)[0]
    before = np.cumsum(weight) - weight
    first = np.append(True, z[1:] != z[:-1])  # of a run of equal scores, whose place is that of its first sample
    before = before[np.maximum.accumulate(np.where(first, np.arange(len(z)), 0))]
    bounds = max(float(np.sum(weight)) - 1.0, 0.0) * np.arange(1, groups) / groups
    numbers = np.searchsorted(bounds, before, side="left")
    starts = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))
    samples, observed, expected = (np.add.reduceat(part, starts) for part in (weight, weight * y, weight * a))
    lower, upper = a[starts], a[np.append(starts[1:], len(z)) - 1]
    shares = {"share": observed / samples, "probability": expected / samples}
    own = {"group": np.arange(1, len(starts) + 1), "lower": lower, "upper": upper}
    return structured(**own, samples=samples, observed=observed, expected=expected, **shares)


def _hosmer_lemeshow(table: np.ndarray, new_data: bool) -> Test:
    G = len(table)
    df = G if new_data else max(G - 2, 0)
    misfit, variance = table["observed"] - table["expected"], table["expected"] * (1.0 - table["probability"])
    with np.errstate(all="ignore"):
        statistic = float(np.sum(np.where(misfit == 0.0, 0.0, misfit**2 / variance)))
    name = f"calibration in {G} group{'s' if G > 1 else ''}"
    return Test("Hosmer-Lemeshow test", name, statistic if df else math.nan, df)


def _log_likelihood(z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    return -float(np.sum(weight * LOSSES["log_loss"].value(z[None, :], y[None, :])[0]))


def _line(z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Line:
    """Fit intercept + slope z; the slope is infinite where z separates the labels, and NaN where z is constant."""
    ends = [(float(np.min(part)), float(np.max(part))) for part in (z[y == 0], z[y == 1])]
    mean = float(np.average(z, weights=weight))
    scale = math.sqrt(float(np.average((z - mean) ** 2, weights=weight)))
    if not scale > 0.0:
        return Line(math.nan, math.nan, math.nan, math.nan, _level(z, y, weight).log_likelihood)
    if ends[0][1] <= ends[1][0] or ends[1][1] <= ends[0][0]:  # separated, up to samples at one end of both
        slope = math.inf if ends[0][1] <= ends[1][0] else -math.inf
        return Line(math.nan, slope, math.nan, math.nan, _tied_log_likelihood(z, y, weight))
    features = np.stack([np.ones_like(z), (z - mean) / scale])
    (alpha, beta), V, value = _newton(features, np.zeros_like(z), y, weight)
    shift = mean / scale
    variance = V[0, 0] - 2.0 * shift * V[0, 1] + shift**2 * V[1, 1]
    errors = math.sqrt(variance), math.sqrt(V[1, 1]) / scale
    return Line(float(alpha - beta * shift), float(beta) / scale, *errors, value)


def _tied_log_likelihood(z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Log-likelihood that separated labels approach: that of the samples at the one score that both classes share."""
    shared = np.isin(z, np.intersect1d(z[y == 0], z[y == 1]))
    masses = [float(np.sum(weight[shared & (y == label)])) for label in (0, 1)]
    return sum(mass * math.log(mass / sum(masses)) for mass in masses if mass > 0.0)


def _level(z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Line:
    (alpha,), V, value = _newton(np.ones((1, len(z))), z, y, weight)
    return Line(float(alpha), 1.0, math.sqrt(V[0, 0]), math.nan, value)


def _newton(
    X: np.ndarray, offset: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Maximise the log-likelihood of one or two unknowns by Newton's method with halved steps.

    Returns
    -------
    beta : ndarray (r,)
    V : ndarray (r, r)
        Inverse Fisher information.
    value : float
        Log-likelihood.
    """
    beta = np.zeros(len(X))
    value = _log_likelihood(offset, y, weight)
    for _ in range(STEPS):
        z = beta @ X + offset
        a, c = share_and_curvature(z)
        V = np.linalg.pinv((X * (weight * c)) @ X.T, hermitian=True)
        gradient = X @ (weight * (y - a))
        step = V @ gradient
        if float(gradient @ step) <= SETTLED * float(np.sum(weight)):
            break
        for _ in range(STEPS):
            found = _log_likelihood((beta + step) @ X + offset, y, weight)
            if found >= value or float(np.max(np.abs(step))) <= 1e-15 * float(np.max(np.abs(beta))):
                break
            step = 0.5 * step
        if not found > value and float(gradient @ step) <= 1e-12 * float(np.sum(weight)):  # no more than rounding
            beta = beta + step if found == value else beta
            break
        beta, value = beta + step, found
    return beta, V, value
