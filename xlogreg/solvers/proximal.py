"""Proximal Newton method for penalties with kinks: few passes over all samples, a small problem on the host in each.

With the gradient g of all samples and a Hessian B, each step minimises g'd + d'Bd / 2 + h(theta + d): zeros come out as
zeros, to the bit (Lee, Sun & Saunders, SIAM J. Optim. 2014; Yuan, Ho & Lin, JMLR 2012). B is the Hessian of a random
subset, or of all samples where these are few, with what the gradients of all samples have taught since (BFGS, in the
compact form of Byrd, Nocedal & Schnabel 1994). It is summed only for features that work: those whose weights are not
zero, and those whose slope is beyond their kink. The others are watched by the gradient of each pass (Johnson &
Guestrin, Blitz, 2015; Massias, Gramfort & Salmon, Celer, 2018).
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from xlogreg.math.groups import Grouped
from xlogreg.math.penalties import Elastic
from xlogreg.samples.source import Samples
from xlogreg.solvers import descent, groupwise, piecewise
from xlogreg.solvers.coordinates import Coordinates, Spread
from xlogreg.solvers.curvature import RENT, START, Curvature, Pairs
from xlogreg.solvers.descent import Step
from xlogreg.solvers.matrices import TINY
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.result import Clock, Monitor, Result

__all__ = ["Proximal", "begins_small", "minimize"]

LEAST, FEW, MANY = 4, 200, 600  # features, and parameters, up to which all work from the start
LEAST_SHARE = 2.5  # of all samples, so many times fewer has a subset at least
RARE = 2  # samples of the rarest class, for each parameter, that a subset needs
MORE = 2.0  # times as many features may work as have weights
PAIRS, FEWER_PAIRS = 20, 6  # that are kept; the second of many features of sparse X
LARGER = 4  # times more samples has the subset that follows one whose Hessian made slow steps
QUICK = 0.1  # a step that leaves more than this share of the gap, is slow
EXACT, LESS_EXACT = 0.01, 0.2  # of the slopes at the start, that the small problem may leave; the second as above
SUBSET_STEPS = 30
ROUGH_RENT = 0.4  # passes that a Hessian may cost for a stronger penalty
CHEAP = 2.7  # passes that a Hessian may cost which is summed for each step, as in Newton's method
LOOSE = 1e-9  # relative gap to stop at, above which the last step needs no Hessian of its own
RENEWED = 1e-2  # of the gap, at which the mean curvature of the classes is taken anew
STEADY = 0.9  # of the gap, that a step is taken to leave at most
MOST = 30.0  # times that a step is taken to bring more than it promises, at most
KEPT = 1.3  # times as many features as work may have their Hessian summed
ROUGH = 1e-2  # relative gap, at which a stronger penalty is left for a weaker one
SHORTER = (1.0, 0.5, 0.25, 0.1)  # parts of a step for a stronger penalty
INNER, INNER_STEPS = 0.1, 30  # of the relative gap, that passes over a part of the features leave, and their number
RECENT = 8  # steps by which it is told how fast the gap falls
CONTINUED = 0.2  # of a penalty is the next one


def works_in_parts(objective: Objective, theta: np.ndarray) -> bool:
    """Whether only some of the features work at a time: there are many, or more than samples."""
    count = int(np.sum(objective.free[:-1]))
    return count > min(FEW, objective.source.m) or count * theta.shape[2] > MANY or count == 0


class Known(NamedTuple):
    """What is known of the loss of the same samples: its curvature, and value and gradient at one theta."""

    curvature: Curvature
    pairs: Pairs
    theta: np.ndarray
    loss: np.ndarray
    gradient: np.ndarray

    def at(self, objective: Objective, theta: np.ndarray) -> Evaluation | None:
        """Evaluate an objective, whose penalty may be another, without a pass; None if theta is not that one."""
        if not np.array_equal(theta, self.theta):
            return None
        gradient = objective.confined(self.gradient + objective.penalty.slope(theta))
        return Evaluation(self.loss + objective.penalty.value(theta), self.loss, gradient, np.zeros(1, dtype=bool))


def begins_small(source: Samples, parameters: int) -> bool:
    """Whether a fit begins with a subset of the samples."""
    return source.effective_samples >= LEAST_SHARE * START * parameters


@dataclass
class Proximal:
    """A step to the minimum of the quadratic model with the kinks; see the module."""

    objective: Objective
    curvature: Curvature
    tol: float
    pairs: Pairs = ()
    patience: int = 1
    endurance: int = 15
    parts: bool = True  # whether a step may take passes over a copy of a few features
    exact: float | None = None  # share of the slopes that the quadratic model may leave
    before: float = math.inf
    age: int = 0  # steps since a Hessian was bought
    bought_at: float = math.inf  # the gap then
    value: float = math.inf  # at the last step
    promised: float = 0.0  # by that step
    more: float = 1.0  # times as much as it promised did it bring

    def evaluate(self, objective: Objective, theta: np.ndarray) -> Evaluation:
        return objective.evaluate(theta)

    def learnt(self, result: Result) -> "Known":
        """What this run, of this result, found out that serves other penalties, too."""
        gradient = result.last.gradient - self.objective.confined(self.objective.penalty.slope(result.at))
        return Known(self.curvature, self.pairs, result.at, result.last.loss, gradient)

    def learn(self, moved: np.ndarray, change: np.ndarray) -> Self:
        s, y = moved[:, 0, :], (change - np.asarray(self.objective.penalty.curvature(moved)) * moved)[:, 0, :]
        if np.sum(s * y) > 1e-14 * math.sqrt(np.sum(s * s) * np.sum(y * y)):
            self.pairs = (*self.pairs[1 - (FEWER_PAIRS if self.curvature.is_broad else PAIRS) :], (s, y))
        return self

    def step(self, here: Evaluation, theta: np.ndarray) -> Step:
        penalty = self.objective.penalty
        assert isinstance(penalty, Elastic)
        free = self.objective.free[:, 0, 0] > 0
        beyond = np.abs(penalty.least_slope(theta, here.gradient))[:, 0, :] * free[:, None]
        rows = self._working(theta, here.gradient[:, 0, :], beyond, free)
        known = self.curvature.knows(rows) and not (self.age and self.tol <= LOOSE and self._is_cheap(rows))
        found = self.solved(here, theta, rows) if known else None
        if self.parts and not (found is not None and self._is_last(found[1], here)):
            few = np.append(np.any((theta[:-1, 0, :] != 0) | (beyond[:-1] != 0), axis=1), True)
            part = self.curvature.of_part(self.objective, np.flatnonzero(np.asarray(penalty.whole(few)) & (free | few)))
            if part is not None:
                return self._step_in_part(here, theta, beyond, *part)
        if found is None or self._pays(found[1], here, rows):
            self._buy(theta, rows)
            found = self.solved(here, theta, rows)
        move, promise = found
        gap = promise + self._outside(beyond, rows, self.curvature)
        rate = min(gap / self.before, STEADY) if self.age else 0.0
        self.before, self.age = gap, self.age + 1
        value = float(here.value[0])
        if math.isfinite(self.value) and self.promised > 0.0:  # steps that brought more than they promised may again
            self.more = min(max(1.0, (self.value - value) / self.promised), MOST)
        self.value, self.promised = value, gap
        return Step(move, np.asarray([gap * self.more / (1.0 - rate)]))  # steps that follow bring as much again

    def _step_in_part(
        self,
        here: Evaluation,
        theta: np.ndarray,
        beyond: np.ndarray,
        rows: np.ndarray,
        part: Objective,
        curvature: Curvature,
    ) -> Step:
        """Step to the minimum over a small part of the features, which their copy finds in passes over this part."""
        tol = max(INNER * float(self.tol), 1e-14)
        method = Proximal(part, curvature, tol, parts=False)
        at = here._replace(gradient=here.gradient[rows])
        found = descent.minimize(part, theta[rows], method=method, tol=tol, max_iter=INNER_STEPS, here=at)
        assert found.gap is not None
        self.curvature.spent += (found.passes + curvature.spent) * (len(rows) - 1) / (len(theta) - 1)
        move = np.zeros_like(theta)
        move[rows] = found.theta - theta[rows]
        gap = max(float(here.value[0] - found.last.value[0]), 0.0) + float(found.gap[0])
        gap += self._outside(beyond, rows, curvature)
        return Step(move, np.asarray([gap]))

    def _outside(self, beyond: np.ndarray, rows: np.ndarray, curvature: Curvature) -> float:
        """Estimate how far the cost would fall along features that do not work, each alone."""
        left = np.ones(len(beyond), dtype=bool)
        left[rows] = False
        scale = np.maximum(np.append(self.curvature.moment[:, 0], 1.0), 1e-3)[:, None] * curvature.usual
        return 0.5 * float(np.sum((beyond * beyond / scale)[left]))

    def _working(self, theta: np.ndarray, gradient: np.ndarray, beyond: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Choose the rows that work, the bias last."""
        n, support = len(theta) - 1, np.any(theta[:-1, 0, :] != 0, axis=1)
        self.curvature.working = int(np.sum(support))
        if not works_in_parts(self.objective, theta):
            return np.flatnonzero(np.append(free[:-1], True))
        if self.curvature.is_broad:
            support |= np.any(beyond[:-1] != 0, axis=1)
            for s, _ in self.pairs:
                support |= np.any(s[:-1] != 0, axis=1)
            return np.append(np.flatnonzero(support & free[:-1]), n)
        support |= free[:-1] & ~np.asarray(self.objective.penalty.mask)[:-1, 0, 0]
        size = np.max(beyond[:-1], axis=1) * ~support
        first = min(FEW, max(LEAST, self.objective.source.m // 4))
        count = int(max(first, MORE * support.sum()) - support.sum())
        worst = np.argsort(-size, kind="stable")[:count]
        support[worst[size[worst] > 0]] = True
        if not support.any():  # a model of the bias alone needs a curvature, too
            support[np.argmax(np.max(np.abs(gradient[:-1]), axis=1) * free[:-1])] = True
        penalty = self.objective.penalty
        assert isinstance(penalty, Elastic)
        support |= np.asarray(penalty.whole(np.append(support, True)))[:-1] & free[:-1]
        return np.append(np.flatnonzero(support), n)

    def _is_last(self, gap: float, here: Evaluation) -> bool:
        """Whether the step that promises to close this gap leaves one that is small enough, if it is like the last."""
        rate = min(gap / self.before, 1.0) if self.age else 1.0
        return gap * rate <= self.tol * float(here.value[0])

    def _is_cheap(self, rows: np.ndarray) -> bool:
        """Whether a Hessian of all samples may be summed for each step."""
        curvature, m = self.curvature, self.objective.source.m
        return curvature.size(rows) == m and not curvature.is_large(rows) and curvature.relative_price(rows, m) <= CHEAP

    def _pays(self, gap: float, here: Evaluation, rows: np.ndarray) -> bool:
        """Whether a new Hessian pays, where the known one promises a step to close this gap."""
        if self.age == 0:
            return False
        relative = gap / max(self.tol * float(here.value[0]), 1e-300)
        if self._is_cheap(rows):
            return relative > 1.0
        if self.curvature.is_large(rows) and gap > RENEWED * self.bought_at:
            return False  # that of other samples would be no better
        rate = gap / self.before if math.isfinite(self.before) else 0.0
        steps = math.log(max(relative, 1.0)) / -math.log(min(max(rate, 1e-4), 0.95))
        return rate >= QUICK and steps >= 1.8 * (self.curvature.relative_price(rows, self._size(rows)) + 1.0)

    def _size(self, rows: np.ndarray) -> int:
        """Number of samples of a Hessian: more than those of one that is known and makes slow steps."""
        size, larger = self.curvature.size(rows), LARGER * self.curvature.samples
        return min(max(size, larger), self.objective.source.m) if self.curvature.knows(rows) else size

    def _buy(self, theta: np.ndarray, rows: np.ndarray) -> None:
        size, both = self._size(rows), np.union1d(rows, self.curvature.rows)  # some that worked may work again
        rows = both if len(both) <= KEPT * len(rows) else rows
        self.curvature.buy(theta, rows, size)
        self.age, self.bought_at = 0, self.before
        if not self.curvature.is_large(rows):  # which knows all that the pairs have taught
            self.pairs = ()

    def solved(self, here: Evaluation, theta: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Step to the minimum of the quadratic model of the rows that work; return also how far it falls."""
        k, penalty = theta.shape[2], self.objective.penalty
        assert isinstance(penalty, Elastic)
        B = self.curvature.model(rows, self.pairs)
        x, g = theta[rows, 0, :].ravel(), here.gradient[rows, 0, :].ravel()
        free, kink = (np.repeat(part[rows, 0, 0], k) for part in (self.objective.free > 0, penalty.kinks))
        bounds = [np.full_like(x, side) for side in (-np.inf, np.inf)]
        if penalty.lower is not None and penalty.upper is not None:
            bounds = [np.repeat(part[rows, 0, 0], k) for part in (penalty.lower, penalty.upper)]
        bounds = [np.where(free, bound, x) for bound in bounds]
        diagonal = np.maximum(B.B.diagonal(), TINY)
        exact = self.exact or (LESS_EXACT if self.curvature.is_broad else EXACT)
        if isinstance(penalty, Grouped):
            groups = groupwise.Groupwise.of(penalty.of_rows(rows), k, B, g - B.times(x))
            u, left = groupwise.minimize(groups, x, exact, diagonal)
        else:
            u, left = piecewise.minimize(piecewise.Piecewise(B, g - B.times(x), kink, *bounds), x, exact)
        move, d = np.zeros_like(theta), u - x
        move[rows, 0, :] = d.reshape(-1, k)
        fall = -(g @ d + float(penalty.bent(theta, move)[0]) + 0.5 * (d @ B.times(d)))
        return move, max(float(fall), 0.0) + 0.5 * float(np.sum(left * left / diagonal))


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
    known: Known | None = None,
    monitor: Monitor | None = None,
    clock: Clock | None = None,
) -> Result:
    """Minimise the cost of one model; theta is on the host.

    Parameters are those of `sampled_newton.minimize`. ``known`` is what a `Proximal` has learnt of the same samples.
    """
    theta, passes, k = start, 0.0, start.shape[2]
    penalty = objective.penalty
    if isinstance(penalty, Elastic) and penalty.lower is not None:
        theta = np.clip(theta, penalty.lower, penalty.upper)
    rare, count = float(np.min(spread.shares)) * source.effective_samples, START * theta.size
    if not warm and begins_small(source, theta.size) and rare >= RARE * theta.size:
        (subset,) = source.samples((count,), spread.shares, rng)
        part = dataclasses.replace(objective.over(subset), separable=False)
        curvature = Curvature(part, subset, spread, coordinates, rng, k)
        found = _in_stages(part, theta, curvature, 0.1 / START, SUBSET_STEPS, clock, clock)
        passes += found.passes * subset.m / source.m
        if found.reason in ("converged", "max_iter", "time_limit"):
            theta = found.theta
    curvature = Curvature(objective, source, spread, coordinates, rng, k)
    pairs: Pairs = ()
    here: Evaluation | None = None
    if known is not None:
        curvature, pairs, here = known.curvature, known.pairs, known.at(objective, theta)
    elif not warm and theta is start:
        here = _constant(objective, source, theta, spread, coordinates)
    result = _in_stages(objective, theta, curvature.of(objective), tol, max_iter, monitor, clock, pairs, here)
    return dataclasses.replace(result, passes=result.passes + passes)


def _constant(
    objective: Objective, source: Samples, theta: np.ndarray, spread: Spread, coordinates: Coordinates
) -> Evaluation | None:
    """Evaluate at weights of zero and the log odds without a pass, from the covariance; None if it is not known.

    With an offset, samples of one class have residuals of their own, and the covariance does not tell the gradient.
    """
    if spread.covariance is None or source.has_offset or source.dtype != "float64" or not objective.free[-1]:
        return None
    gradient = np.concatenate([-spread.covariance / coordinates.scale, np.zeros((1, theta.shape[2]))])[:, None, :]
    shares = np.maximum(spread.shares, TINY)
    loss = np.asarray([-float(spread.shares @ np.log(shares))])
    return Evaluation(loss, loss, gradient * objective.free, np.zeros(1, dtype=bool))


def _in_stages(
    objective: Objective,
    theta: np.ndarray,
    curvature: Curvature,
    tol: float,
    max_iter: int,
    monitor: Monitor | None,
    clock: Clock | None,
    pairs: Pairs = (),
    here: Evaluation | None = None,
) -> Result:
    """Minimise the cost with stronger penalties first, one step each, where none of many features works yet."""
    passes, start = int(here is None), theta
    begun = objective.evaluate(theta) if here is None else here
    here, curvature.rent = begun, ROUGH_RENT
    for stage in _stages(objective, theta, here, curvature):
        step = Proximal(stage, curvature, ROUGH, parts=False).step(here, theta)
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
    judge = Stalled(curvature, tol) if curvature.is_broad else None
    result = descent.minimize(objective, theta, method=method, here=here, rent=judge, **run)
    if judge is not None and judge.ends(result):  # its steps may have led far away
        first = dataclasses.replace(result, passes=result.passes + passes)
        steps = max(max_iter - result.iterations, 1)
        curvature.narrow()
        return first.followed_by(_in_stages(objective, start, curvature, tol, steps, monitor, clock, here=begun))
    return dataclasses.replace(result, passes=result.passes + passes + curvature.spent)


class Stalled:
    """Ends steps in the metric of many features, once those that are left take longer than a fit by Hessians."""

    def __init__(self, curvature: Curvature, tol: float) -> None:
        self.curvature, self.tol, self.logs = curvature, tol, list[float]()

    def sees(self, gap: float, value: float) -> str:
        self.logs.append(math.log(max(gap, TINY)))
        if len(self.logs) <= RECENT:
            return ""
        fall = max(self.logs[-1 - RECENT] - self.logs[-1], 0.0) / RECENT
        return "slow" if self.logs[-1] - math.log(max(self.tol * value, TINY)) > fall * self.curvature.patience else ""

    def ends(self, result: Result) -> bool:
        """Whether Hessians have to go on from a result."""
        left = 0.0 if result.gap is None else float(result.gap[0])
        lost = result.reason == "precision" and left > self.tol * float(result.last.value[0])
        return result.reason == "slow" or (lost and self.curvature.patience < math.inf)


def _stages(objective: Objective, theta: np.ndarray, here: Evaluation, curvature: Curvature) -> Iterator[Objective]:
    """Yield the objective with stronger penalties, down to its own, if many features could work and none does yet."""
    penalty = objective.penalty
    assert isinstance(penalty, Elastic)
    if not works_in_parts(objective, theta) or np.any(theta[:-1] != 0):
        return
    beyond = np.any(penalty.least_slope(theta, here.gradient)[:, 0, :] * objective.free[:, 0] != 0, axis=1)
    if curvature.has_parts(np.flatnonzero(beyond)) or not penalty.l1[0] > 0:
        return
    ratio = float(penalty.strongest(here.gradient * objective.free)[0] / penalty.l1[0])
    while (ratio := ratio * CONTINUED) > 1.0:
        yield dataclasses.replace(objective, penalty=dataclasses.replace(penalty, l1=penalty.l1 * ratio))
