"""Proximal Newton method for penalties with kinks: few passes over all samples, a small problem on the host in each.

With the gradient g of all samples and a Hessian B, each step minimises g'd + d'Bd / 2 + h(theta + d): zeros come out as
zeros, to the bit (Lee, Sun & Saunders, SIAM J. Optim. 2014; Yuan, Ho & Lin, JMLR 2012). B is the Hessian of a random
subset, or of all samples where these are few, with what the gradients of all samples have taught since (BFGS, in the
compact form of Byrd, Nocedal & Schnabel 1994). It is summed only for features that work: those whose weights are not
zero, and those whose slope is beyond their kink. The others are watched by the gradient of each pass (Johnson &
Guestrin, Blitz, 2015; Massias, Gramfort & Salmon, Celer, 2018).
"""

import copy
import dataclasses
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.math.penalties import Elastic
from xlogreg.samples.products import may_pick, pick_features
from xlogreg.samples.source import Samples
from xlogreg.solvers import descent, piecewise
from xlogreg.solvers.coordinates import Coordinates, Spread
from xlogreg.solvers.descent import Step
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.prices import gradient_price, subset_price
from xlogreg.solvers.result import Clock, Monitor, Result

__all__ = ["minimize"]

LEAST, FEW, MANY = 4, 200, 600  # features, and parameters, up to which all work from the start
START = 30  # samples of the first subset, for each parameter
LEAST_SHARE = 2.5  # of all samples, so many times fewer has a subset at least
RARE = 2  # samples of the rarest class, for each parameter, that a subset needs
MORE = 2.0  # times as many features may work as have weights
PAIRS = 20
LARGER = 4  # times more samples has the subset that follows one whose Hessian made slow steps
QUICK = 0.1  # a step that leaves more than this share of the gap, is slow
EXACT = 0.01  # of the largest slope at the start, that the small problem may leave
RENT, ROUGH_RENT = 1.5, 0.4  # passes that a Hessian of a subset may cost, and for a stronger penalty
SUBSET_STEPS = 30
KEPT = 1.3  # times as many features as work may have their Hessian summed
ROUGH = 1e-2  # relative gap, at which a stronger penalty is left for a weaker one
SHORTER = (1.0, 0.5, 0.25, 0.1)  # parts of a step for a stronger penalty
CONTINUED = 0.3  # of a penalty is the next one
DAMPED, TINY = 1e-9, 1e-300  # of the curvature along each parameter, added for features that are collinear
CONSTANT = 1e-7  # the same along constants over the classes, which l2 alone may hold: more would slow these down
UNSEEN = 0.05  # of a feature's curvature in all samples, that it has at least


Pairs = tuple[tuple[np.ndarray, np.ndarray], ...]  # moves of theta and changes of the gradient without the penalty


def works_in_parts(objective: Objective, theta: np.ndarray) -> bool:
    """Whether only some of the features work at a time: there are many, or more than samples."""
    count = int(np.sum(objective.free[:-1]))
    return count > min(FEW, objective.source.m) or count * theta.shape[2] > MANY or count == 0


class Curvature:
    """Hessians of the features that work, of a subset or of all samples, bought when they are needed.

    Attributes
    ----------
    spent : float
        Passes over all samples that they have taken.
    """

    def __init__(
        self, objective: Objective, source: Samples, spread: Spread, moment: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.objective, self.source, self.spread, self.moment, self.rng = objective, source, spread, moment, rng
        self.rows, self.k = np.arange(0), 1
        self.H = np.zeros((0, 0))
        self.subset: Any = None
        self.spent, self.bought, self.samples, self.rent = 0.0, 0, 0, RENT

    def knows(self, rows: np.ndarray) -> bool:
        return bool(np.isin(rows, self.rows).all())

    def price(self, rows: np.ndarray, m: float) -> float:
        """Price of a Hessian, in passes."""
        pass_of_all = gradient_price(self.source.m, self.source.n_x, self.k)
        return subset_price(int(m), len(rows), self.k) / pass_of_all

    def size(self, rows: np.ndarray) -> int:
        """Number of samples of which a Hessian costs about as much as a pass or two."""
        m, q = self.source.m, len(rows) * self.k
        size = m
        while size > 2 * START * q and self.price(rows, size) > self.rent:
            size //= 2
        return m if size > m / 2 or not self.draws else size

    @property
    def draws(self) -> bool:
        return self.source.effective_samples > 0

    def buy(self, theta: np.ndarray, rows: np.ndarray, size: int) -> None:
        """Sum a Hessian at theta over so many samples."""
        self.k = theta.shape[2]
        whole = size >= self.source.m
        if whole:
            subset: Any = self.source
        elif self.subset is not None and self.subset.m >= size:
            subset = self.subset
        else:
            (subset,) = self.source.samples((size,), self.spread.shares, self.rng)
            self.subset = subset
        objective, numbers = self.objective.over(subset) if not whole else self.objective, rows[:-1]
        if len(rows) < len(theta) and may_pick(subset, len(numbers)):
            here = objective.of_features(pick_features(subset, numbers), rows).expand(theta[rows])
            H = np.asarray(here.hessian)[0]
        else:
            index = _numbers(rows, self.k)
            H = np.asarray(objective.expand(theta).hessian)[0][np.ix_(index, index)]
        H = H - np.diag(self._ridge(rows))
        if not whole:
            H = self._raised(H, rows)
        self.rows, self.H, self.samples = rows, H, subset.m
        self.__dict__.pop("usual", None)
        self.spent += subset.m / self.source.m
        self.bought += 1

    def _raised(self, H: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Raise the curvature along features of which a subset happens to see too little."""
        k, diagonal = self.k, H.diagonal()
        least = UNSEEN * np.append(self.moment[rows[:-1], 0], 0.0)[:, None] * diagonal[-k:]
        return H + np.diag(np.maximum(least.ravel() - diagonal, 0.0))

    def _ridge(self, rows: np.ndarray) -> np.ndarray:
        """What the penalty adds to the diagonal, and a one for rows that may not move."""
        free = self.objective.free[rows, 0, 0]
        ridge = np.asarray(self.objective.penalty.curvature(np.zeros((len(self.objective.free), 1, 1))))[rows, 0, 0]
        return np.repeat(ridge * free + (1.0 - free), self.k)

    def model(self, rows: np.ndarray, pairs: Pairs) -> "Model":
        """Make the Hessian of rows that are known, with what the pairs taught since."""
        index = _numbers(np.searchsorted(self.rows, rows), self.k)
        ridge, own = self._ridge(rows), []
        for s, y in pairs:
            if not np.delete(s, rows, axis=0).any():
                own.append((s[rows].ravel(), y[rows].ravel() + ridge * s[rows].ravel()))
        H = self.H[np.ix_(index, index)] + np.diag(ridge)
        own_curvature = np.maximum(H.diagonal(), TINY)
        H[np.diag_indices_from(H)] += DAMPED * own_curvature
        if self.k > 1:  # a constant over the classes changes no score
            flat = np.repeat(CONSTANT / self.k * own_curvature.reshape(-1, self.k).mean(axis=1), self.k)
            H += np.kron(np.eye(len(rows)), np.ones((self.k, self.k))) * flat
        return Model(H, own)

    @functools.cached_property
    def usual(self) -> float:
        """Curvature (a mean) of a feature of second moment one."""
        moment = np.append(self.moment[:, 0], 1.0)[self.rows]
        free = self.objective.free[self.rows, 0, 0] > 0
        found = self.H.diagonal().reshape(-1, self.k).mean(axis=1)[free] / np.maximum(moment[free], TINY)
        return max(float(np.median(found)), TINY) if free.any() else 1.0

    def of(self, objective: Objective) -> "Curvature":
        """Return what is known, for an objective that differs in its penalty only."""
        other = copy.copy(self)
        other.objective, other.spent = objective, 0.0
        return other


def _numbers(rows: np.ndarray, k: int) -> np.ndarray:
    """Numbers of the parameters in these rows of theta (n_x + 1, k), flattened."""
    return (rows[:, None] * k + np.arange(k)).ravel()


@dataclass
class Proximal:
    """A step to the minimum of the quadratic model with the kinks; see the module."""

    objective: Objective
    curvature: Curvature
    tol: float
    pairs: Pairs = ()
    patience: int = 1
    endurance: int = 15
    before: float = math.inf
    age: int = 0  # steps since a Hessian was bought

    def evaluate(self, objective: Objective, theta: np.ndarray) -> Evaluation:
        return objective.evaluate(theta)

    @property
    def learnt(self) -> tuple[Curvature, Pairs]:
        """What serves other penalties, too."""
        return self.curvature, self.pairs

    def learn(self, moved: np.ndarray, change: np.ndarray) -> Self:
        s, y = moved[:, 0, :], (change - np.asarray(self.objective.penalty.curvature(moved)) * moved)[:, 0, :]
        if np.sum(s * y) > 1e-14 * math.sqrt(np.sum(s * s) * np.sum(y * y)):
            self.pairs = (*self.pairs[1 - PAIRS :], (s, y))
        return self

    def step(self, here: Evaluation, theta: np.ndarray) -> Step:
        penalty = self.objective.penalty
        assert isinstance(penalty, Elastic)
        free = self.objective.free[:, 0, 0] > 0
        beyond = np.abs(penalty.least_slope(theta, here.gradient))[:, 0, :] * free[:, None]
        rows = self._working(theta, here.gradient[:, 0, :], beyond, free)
        self._curve(here, theta, rows)
        move, promise = self._solved(here, theta, rows)
        left = np.ones(len(theta), dtype=bool)
        left[rows] = False
        scale = np.maximum(np.append(self.curvature.moment[:, 0], 1.0), 1e-3)[:, None] * self.curvature.usual
        gap = promise + 0.5 * float(np.sum((beyond * beyond / scale)[left]))
        self.before, self.age = gap, self.age + 1
        return Step(move, np.asarray([gap]))

    def _working(self, theta: np.ndarray, gradient: np.ndarray, beyond: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Choose the rows that work, the bias last."""
        n = len(theta) - 1
        if not works_in_parts(self.objective, theta):
            return np.flatnonzero(np.append(free[:-1], True))
        support = np.any(theta[:-1, 0, :] != 0, axis=1)
        support |= free[:-1] & ~np.asarray(self.objective.penalty.mask)[:-1, 0, 0]
        size = np.max(beyond[:-1], axis=1) * ~support
        first = min(FEW, max(LEAST, self.objective.source.m // 4))
        count = int(max(first, MORE * support.sum()) - support.sum())
        worst = np.argsort(-size, kind="stable")[:count]
        support[worst[size[worst] > 0]] = True
        if not support.any():  # a model of the bias alone needs a curvature, too
            support[np.argmax(np.max(np.abs(gradient[:-1]), axis=1) * free[:-1])] = True
        return np.append(np.flatnonzero(support), n)

    def _curve(self, here: Evaluation, theta: np.ndarray, rows: np.ndarray) -> None:
        """Buy a Hessian if none is known for the rows that work, or a new one if it pays."""
        curvature, known = self.curvature, self.curvature.knows(rows)
        if known and self.age == 0:
            return
        size = curvature.size(rows)
        if known:
            gap = self._solved(here, theta, rows)[1]
            left = math.log(max(gap / max(self.tol * float(here.value[0]), 1e-300), 1.0))
            rate = gap / self.before if math.isfinite(self.before) else 0.0
            steps = left / -math.log(min(max(rate, 1e-4), 0.95))
            size = min(max(size, LARGER * curvature.samples), self.objective.source.m)
            if rate < QUICK or steps < 1.8 * (curvature.price(rows, size) + 1.0):
                return
        both = np.union1d(rows, curvature.rows)  # some that worked may work again
        rows = both if len(both) <= KEPT * len(rows) else rows
        curvature.buy(theta, rows, size)
        self.pairs, self.age = (), 0

    def _solved(self, here: Evaluation, theta: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Step to the minimum of the quadratic model of the rows that work; return also how far it falls."""
        k, penalty = theta.shape[2], self.objective.penalty
        assert isinstance(penalty, Elastic)
        B = self.curvature.model(rows, self.pairs)
        x, g = theta[rows, 0, :].ravel(), here.gradient[rows, 0, :].ravel()
        free, kink = (np.repeat(part[rows, 0, 0], k) for part in (self.objective.free > 0, penalty.kinks))
        bounds = (np.where(free, side * np.inf, x) for side in (-1.0, 1.0))
        u, left = piecewise.minimize(piecewise.Piecewise(B.times, B.part, g - B.times(x), kink, *bounds), x, EXACT)
        move, d = np.zeros_like(theta), u - x
        move[rows, 0, :] = d.reshape(-1, k)
        fall = -(g @ d + kink @ (np.abs(x + d) - np.abs(x)) + 0.5 * (d @ B.times(d)))
        return move, max(float(fall), 0.0) + 0.5 * float(np.sum(left * left / np.maximum(B.H.diagonal(), TINY)))


class Model:
    """A Hessian and what pairs (s, y) taught: B - W M^-1 W', W = [B S, Y]."""

    def __init__(self, H: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self.H, self.W, self.inner = H, np.zeros((len(H), 0)), np.zeros((0, len(H)))
        if pairs:
            S, Y = (np.stack(part, axis=1) for part in zip(*pairs, strict=True))
            HS, SY = H @ S, S.T @ Y
            L = np.tril(SY, -1)
            M = np.block([[S.T @ HS, L], [L.T, -np.diag(SY.diagonal())]])
            self.W = np.concatenate([HS, Y], axis=1)
            self.inner = np.linalg.solve(M, self.W.T)

    def times(self, u: np.ndarray) -> np.ndarray:
        return self.H @ u - self.W @ (self.inner @ u)

    def part(self, index: np.ndarray) -> np.ndarray:
        return self.H[np.ix_(index, index)] - self.W[index] @ self.inner[:, index]


def minimize(
    objective: Objective,
    source: Samples,
    start: np.ndarray,
    *,
    spread: Spread,
    coordinates: Coordinates,
    rng: np.random.Generator,
    tol: float,
    max_iter: int,
    warm: bool = False,
    known: tuple[Curvature, Pairs] | None = None,
    monitor: Monitor | None = None,
    clock: Clock | None = None,
) -> Result:
    """Minimise the cost of one model; theta is on the host.

    Parameters are those of `sampled_newton.minimize`. ``known`` is what `Proximal` has learnt on the same samples.
    """
    moment, theta, passes = spread.moment(coordinates), start, 0.0
    rare, count = float(np.min(spread.shares)) * source.effective_samples, START * theta.size
    if not warm and source.effective_samples >= LEAST_SHARE * count and rare >= RARE * theta.size:
        (subset,) = source.samples((count,), spread.shares, rng)
        part = dataclasses.replace(objective.over(subset), separable=False)
        curvature = Curvature(part, subset, spread, moment, rng)
        found = _in_stages(part, theta, curvature, 0.1 / START, SUBSET_STEPS, clock, clock)
        passes += found.passes * subset.m / source.m
        if found.reason in ("converged", "max_iter", "time_limit"):
            theta = found.theta
    curvature, pairs = (Curvature(objective, source, spread, moment, rng), ()) if known is None else known
    result = _in_stages(objective, theta, curvature.of(objective), tol, max_iter, monitor, clock, pairs)
    return dataclasses.replace(result, passes=result.passes + passes)


def _in_stages(
    objective: Objective,
    theta: np.ndarray,
    curvature: Curvature,
    tol: float,
    max_iter: int,
    monitor: Monitor | None,
    clock: Clock | None,
    pairs: Pairs = (),
) -> Result:
    """Minimise the cost with stronger penalties first, one step each, where none of many features works yet."""
    here, passes = objective.evaluate(theta), 1
    curvature.rent = ROUGH_RENT
    for stage in _stages(objective, theta, here):
        step = Proximal(stage, curvature, ROUGH).step(here, theta)
        before = float(here.loss[0] + stage.penalty.value(theta)[0])
        for length in SHORTER:
            further = theta + length * objective.confined(step.move)
            there, passes = objective.evaluate(further), passes + 1
            if float(there.loss[0] + stage.penalty.value(further)[0]) < before:
                theta, here = further, there
                break
        else:
            break
        if clock is not None and clock.late:
            break
    curvature.rent, method = RENT, Proximal(objective, curvature, tol, pairs)
    run: dict[str, Any] = {"tol": tol, "max_iter": max_iter, "monitor": monitor}
    result = descent.minimize(objective, theta, method=method, here=here, **run)
    return dataclasses.replace(result, passes=result.passes + passes + curvature.spent)


def _stages(objective: Objective, theta: np.ndarray, here: Evaluation) -> Iterator[Objective]:
    """Yield the objective with stronger penalties, down to its own, if many features could work and none does yet."""
    penalty = objective.penalty
    assert isinstance(penalty, Elastic)
    if not works_in_parts(objective, theta) or np.any(theta[:-1] != 0):
        return
    kinks = penalty.kinks[:-1]
    slopes = np.abs(here.gradient[:-1]) * objective.free[:-1]
    ratio = float(np.max(np.where(kinks > 0, slopes / np.where(kinks > 0, kinks, 1.0), 0.0)))
    while (ratio := ratio * CONTINUED) > 1.0:
        yield dataclasses.replace(objective, penalty=dataclasses.replace(penalty, l1=penalty.l1 * ratio))
