"""Inference with Jeffreys' penalty: ends of the penalised profile likelihood, and penalised likelihood-ratio tests.

Both are of Heinze & Schemper (A solution to the problem of separation in logistic regression, Statistics in Medicine
2002). The penalty of a model in which some coefficients are fixed is that of the full model: the information matrix has
the columns of all features.

The ends of an interval are the largest and the smallest value of a'theta where the penalised log-likelihood l is at
least that of its maximum, less half a quantile of chi-squared. There the gradient of l is a multiple of a. With the
inverse Hessian B of -l, l is at its bound after the step B (g - c a), for c^2 = 2 (l + g'B g / 2 - bound) / a'B a: the
step of Venzon & Moolgavkar (Applied Statistics 1988). All ends take their steps together, in the same passes.
"""

import math
from typing import NamedTuple

import numpy as np

from xlogreg.inference.distributions import chi_squared_tail, quantile
from xlogreg.math.losses import LOSSES
from xlogreg.math.penalties import make_penalty
from xlogreg.samples.source import Samples, host_center
from xlogreg.solvers.coordinates import Coordinates, engine_coordinates, measure_spread, user_coordinates
from xlogreg.solvers.firth import Jeffreys, Point, method_at, minimize, some_pairs, tied
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.quasi_newton import Pairs

__all__ = ["Fitted", "drop_tests", "profile_ends", "refitted"]

STEPS = 100  # of an end or of a test, at most
LAST = {"float64": 1e-10, "float32": 1e-5}  # squared size of the last step of an end, in standard errors; it is taken
GAIN = 1e-7  # of the log-likelihood by the last step of a test, which is taken
TOL = {"float64": 1e-12, "float32": 1e-8}  # relative gap of the full model
# longest step of an end, in standard errors. The likelihood may have a second maximum far out, which long steps of the
# first attempt may fall into
LONGEST = (np.inf, 0.5)
FALLEN = 4.0  # times half the quantile, below the bound, from which on a step is halved
FLAT = 1e-12  # squared share of a coefficient in directions that change no score, from which on it has no end
SHORTEST = 2.0**-30  # a step is not cut shorter
NUMBERS = 2**23  # numbers in the information matrices of the models that take their steps together


class Fitted(NamedTuple):
    """The full model at its maximum, in coordinates that suit the steps."""

    cost: Jeffreys
    coordinates: Coordinates
    point: Point

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(np.ravel(self.cost.total)[0])

    @property
    def last(self) -> float:
        """Squared size of a last step, in standard errors."""
        return LAST[self.cost.objective.source.dtype]

    def rows(self, coefficients: np.ndarray) -> np.ndarray:
        """Functionals (n_x + 1, q) of theta that are the coefficients with these numbers; n_x is the bias."""
        scale, center = self.coordinates.scale, self.coordinates.center
        every = np.diag(np.append(1.0 / scale[:, 0], 1.0))
        every[:-1, -1] = -(center / scale)[:, 0]  # b = v - w'center
        return every[:, coefficients]

    def portions(self, count: int) -> int:
        """Number of portions of so many models whose matrices fit in memory."""
        return max(1, math.ceil(count * self.point.theta.shape[0] ** 2 / NUMBERS))


def refitted(samples: Samples, w: np.ndarray, v: np.ndarray, center: np.ndarray, bias: bool) -> Fitted:
    """Maximise the penalised likelihood once more, in a few passes, from the parameters of a model on.

    Parameters
    ----------
    samples : Samples
        With their targets and weights, of two classes.
    w, v : ndarray (n_x, 1), (1, 1)
        Parameters for X - center.
    center : ndarray (n_x, 1)
    bias : bool
        Whether the model has a bias.
    """
    spread = measure_spread(samples)
    inner = engine_coordinates(user_coordinates(samples.n_x, False, None), spread, 0.0, bias)
    samples = samples.uncentered()
    if inner.center.any() and samples.shifts:
        samples = samples.centered(inner.center)
        inner = inner._replace(center=host_center(samples))
    folded = bool(inner.center.any()) and not samples.shifts
    shifted = 0.0 if bias else (spread.mean - inner.center) ** 2
    moving = (spread.variance + shifted > 0)[:, 0].astype(float)
    objective = Objective(
        samples,
        LOSSES["log_loss"],
        make_penalty(np.zeros(1), None, 1.0 / inner.scale[:, :, None]),
        (1.0 / inner.scale)[:, :, None],
        np.append(moving, float(bias))[:, None, None],
        separable=False,
        center=inner.center[:, :, None] if folded else None,
        folded=folded,
    )
    theta = np.concatenate([w * inner.scale, (v + w.T @ (inner.center - center)).T])[:, None, :] * objective.free
    cost = Jeffreys.of(objective)
    (result,) = minimize(cost, theta, tol=TOL[samples.dtype], max_iter=STEPS)
    return Fitted(cost, inner, cost.slope(cost.appraise(result.theta)))


def _alike(fitted: Fitted, g: int) -> Jeffreys:
    """Return the cost for g models of the same samples."""
    return fitted.cost.keep(np.zeros(g, dtype=np.intp))


def profile_ends(fitted: Fitted, coefficients: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the ends of the penalised profile likelihood intervals of some coefficients.

    Parameters
    ----------
    fitted : Fitted
    coefficients : ndarray (q,) of int
        Numbers of features; n_x is the bias.
    level : float
        Such as 0.95.

    Returns
    -------
    lower, upper : ndarray (q,)
        NaN where no end was found, or where the feature is constant; infinite where it is collinear with others. If the
        likelihood has several maxima for one value of the coefficient, they are the ends of one of these maxima.
    """
    contrasts = np.repeat(fitted.rows(coefficients), 2, axis=1)
    contrasts[:, ::2] = -contrasts[:, ::2]
    flat = np.sum(contrasts * (fitted.cost.ground[0] @ contrasts), axis=0) > FLAT * np.sum(contrasts**2, axis=0)
    ends = np.where(flat, np.inf, np.nan)
    for longest in LONGEST:
        left = np.flatnonzero(np.isnan(ends) & (np.abs(contrasts * fitted.cost.objective.free[:, 0]).max(axis=0) > 0))
        for part in np.array_split(left, fitted.portions(len(left))):
            if len(part):
                ends[part] = _Ends(fitted, contrasts[:, part], 0.5 * quantile(level) ** 2, longest).found()
    return -ends[::2], ends[1::2]


class _Ends:
    """Models that move to the largest values of a'theta, for the columns a of ``contrasts`` (n_x + 1, g)."""

    def __init__(self, fitted: Fitted, contrasts: np.ndarray, drop: float, longest: float) -> None:
        g = contrasts.shape[1]
        numbers = np.zeros(g, dtype=np.intp)
        self.fitted, self.cost, self.point = fitted, _alike(fitted, g), fitted.point.keep(numbers)
        self.contrasts = (contrasts * fitted.cost.objective.free[:, 0, :])[:, :, None]
        self.bound, self.drop, self.start = float(fitted.point.value[0]) + drop / fitted.total, drop, fitted.point.theta
        self.pairs: Pairs = ()
        self.alive, self.ends = np.arange(g), np.full(g, np.nan)
        self.length, self.step, self.longest = np.ones(g), np.zeros_like(self.contrasts), longest

    def found(self) -> np.ndarray:
        """Values (g,) of a'theta at the ends; NaN where none was found."""
        for _ in range(STEPS):
            done = self._aim()
            self.ends[self.alive[done]] = np.sum(self.contrasts * (self.point.theta + self.step), axis=(0, 2))[done]
            self._keep(np.flatnonzero(~done & (self.length >= SHORTEST) & np.isfinite(self.step).all(axis=(0, 2))))
            if not len(self.alive):
                break
            self._move()
        return self.ends

    def _aim(self) -> np.ndarray:
        """Find the full steps; return which models (g,) are as good as at their ends."""
        gradient, method = self.point.here.gradient, method_at(self.point, self.pairs)
        downhill, along = method.solve(gradient), method.solve(self.contrasts)
        with np.errstate(all="ignore"):
            least = self.point.value - 0.5 * np.sum(gradient * downhill, axis=(0, 2))  # of the quadratic model
            room, unit = self.bound - least, np.sum(self.contrasts * along, axis=(0, 2))
            reaches = room >= 0.0
            pull = np.sqrt(2.0 * np.where(reaches, room, 0.0) / unit)
            self.step = pull[:, None] * along - downhill
            size = np.sum((pull[:, None] * self.contrasts - gradient) * self.step, axis=(0, 2)) * self.fitted.total
            self.step = self.step * np.minimum(self.longest / np.sqrt(size), 1.0)[:, None]
        beyond = np.sum(self.contrasts * (self.point.theta + self.step - self.start), axis=(0, 2)) > 0.0
        return reaches & beyond & (size <= self.fitted.last)

    def _move(self) -> None:
        """Take the steps that do not fall far below the bound; of the other models, halve the steps."""
        before, total = self.point, self.fitted.total
        trial = before.theta + self.length[:, None] * self.step
        there = self.cost.appraise(trial)
        taken = np.flatnonzero(there.value <= self.bound + FALLEN * self.drop / total)
        length = 0.5 * self.length
        length[taken] = 1.0
        self.length = length
        if not len(taken):
            return
        some = self.cost if len(taken) == len(length) else self.cost.keep(taken)
        self.point = before.replaced(taken, some.slope(there if some is self.cost else there.keep(taken)))
        change = self.point.here.gradient - before.here.gradient
        self.pairs = method_at(before, self.pairs).learn(self.point.theta - before.theta, change).pairs

    def _keep(self, kept: np.ndarray) -> None:
        if len(kept) == len(self.alive):
            return
        self.alive = self.alive[kept]
        if len(kept):
            self.cost, self.point = self.cost.keep(kept), self.point.keep(kept)
            self.pairs = some_pairs(self.pairs, kept)
            self.contrasts, self.step, self.length = self.contrasts[:, kept], self.step[:, kept], self.length[kept]


def drop_tests(fitted: Fitted, groups: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test by penalised likelihood ratios whether all coefficients of a group are zero, for each group.

    Parameters
    ----------
    fitted : Fitted
    groups : list of ndarray of int
        Numbers of the features of each group; n_x is the bias.

    Returns
    -------
    chi2, df, p : ndarray (g,)
        NaN where the maximum under the hypothesis was not found. A coefficient that is not free to move, since its
        feature is constant, is no degree of freedom.
    """
    free = fitted.cost.objective.free[:, 0, 0]
    moving = [[number for number in group.tolist() if free[number] > 0] for group in groups]
    df, least = np.asarray([len(some) for some in moving]), np.full(len(groups), np.nan)
    ties = np.zeros((len(free), len(groups), max(1, *df.tolist())))
    for number, some in enumerate(moving):
        ties[:, number, : len(some)] = fitted.rows(np.asarray(some, dtype=np.intp))
    for part in np.array_split(np.arange(len(groups)), fitted.portions(len(groups))):
        least[part] = _constrained(fitted, ties[:, part])
    value = float(fitted.point.value[0])
    chi2 = np.where(df > 0, np.maximum(2.0 * fitted.total * (least - value), 0.0), 0.0)
    p = [chi_squared_tail(x, n) for x, n in zip(chi2.tolist(), df.tolist(), strict=True)]
    return chi2, df, np.asarray(p)


def _constrained(fitted: Fitted, ties: np.ndarray) -> np.ndarray:
    """Least values (g,) of the cost where C'theta = 0, for the ties C (n_x + 1, g, q); NaN where none was found."""
    g = ties.shape[1]
    cost, point = _alike(fitted, g), fitted.point.keep(np.zeros(g, dtype=np.intp))
    # the point of the constraint that is nearest to the maximum, by the information there
    amounts = ties.transpose(1, 2, 0) @ point.theta.transpose(1, 0, 2)
    start = point.theta - tied(method_at(point, ()), ties, amounts)
    small = GAIN / (fitted.total * float(point.here.loss[0]))
    results = minimize(cost, start, tol=small, max_iter=STEPS, ties=ties)
    end = cost.appraise(np.concatenate([result.theta for result in results], axis=1)).value
    lost = np.asarray([result.reason not in ("converged", "precision") for result in results])
    return np.where(lost, np.nan, end)
