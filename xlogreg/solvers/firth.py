"""Firth's bias reduction for models of two classes: the log loss minus half the log determinant of the information.

The summed cost is sum s_i L_i - log det(I) / 2, where I is the Fisher information (Firth 1993; Heinze & Schemper
2002). A term -log det(I) / 2 is Jeffreys' prior; it is finite far out, so a minimum exists also if the classes are
separated. Its value depends on the units of the features, but by a constant only, so no minimum moves with them.

The steps are those of L-BFGS with the information of the point itself as its first Hessian: scoring, corrected by a few
pairs. A value takes one pass, a gradient a second one for the leverages, which need the inverse information. The cost
is not convex: what is known of the gap is local.
"""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from xlogreg.math.leverages import augmented_terms, leverage_terms
from xlogreg.solvers.descent import ARMIJO, NOISE, decrement
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.preconditioners import Inverse
from xlogreg.solvers.quasi_newton import Pairs, QuasiNewton
from xlogreg.solvers.result import GroupMonitor, Monitor, Result

__all__ = ["Factors", "Jeffreys", "Point", "certified", "method_at", "minimize", "refit_bias", "some_pairs", "tied"]

MEMORY = 5  # pairs that are kept; more teach little, since the information is always that of the point itself
FEW = 5.0  # sum of the weights for each parameter, below which leverages are not small beside the weights
SHORTEST = 2.0**-40  # a step that is cut shorter lowers no cost
REFITS = 100  # passes of a bias that is fitted once more, at most
STILL = 1e-8  # size of the last step of that bias, which is taken
ENDURANCE = 15  # steps that do not halve the gap, after which only rounding errors are assumed to be left


@dataclass(frozen=True)
class Factors:
    """Preconditioners L L' of g models, by ``roots`` (g, p, p), the inverses of the factors L."""

    roots: np.ndarray

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        turned = self.roots @ gradient.transpose(1, 0, 2)
        return (self.roots.mT @ turned).transpose(1, 0, 2)


class Point(NamedTuple):
    """The penalised cost of g models at theta.

    ``value`` (g,) is the mean log loss minus log det(H) / (2 s), infinite where H is not positive definite. ``here``
    has the mean log loss as its value, the gradient of the penalised cost after `Jeffreys.slope`, and H = I / s.
    """

    theta: np.ndarray  # (n_x + 1, g, 1)
    value: np.ndarray
    noise: np.ndarray  # (g,) rounding errors of the values
    here: Evaluation
    roots: np.ndarray  # (g, p, p) inverses of the Cholesky factors of H
    metric: np.ndarray  # (g, p, p) the same of the matrix that steps are taken with

    def keep(self, models: np.ndarray) -> "Point":
        assert self.here.hessian is not None
        here = self.here.keep(models)._replace(hessian=self.here.hessian[models])
        theta, value, noise = self.theta[:, models], self.value[models], self.noise[models]
        return Point(theta, value, noise, here, self.roots[models], self.metric[models])

    def replaced(self, models: np.ndarray, other: "Point") -> "Point":
        """Return these points with those of some models, given by number, replaced."""
        if len(models) == len(self.value):
            return other
        at = {name: getattr(self.here, name).copy() for name in ("value", "loss", "gradient", "hessian")}
        theta, value, noise, roots, metric = (part.copy() for part in (*self[:3], self.roots, self.metric))
        theta[:, models], value[models], noise[models] = other[:3]
        roots[models], metric[models] = other.roots, other.metric
        for name, part in at.items():
            part[(slice(None), models) if part.ndim == 3 and name == "gradient" else models] = getattr(other.here, name)
        return Point(theta, value, noise, self.here._replace(**at), roots, metric)


@dataclass(frozen=True)
class Jeffreys:
    """The penalised cost of an objective, for g models.

    Attributes
    ----------
    objective : Objective
        Of the log loss, without a penalty, for a theta on the host.
    ground : ndarray (g, p, p)
        Added to the Hessians where collinear features leave directions without curvature: I is then that of the others.
    """

    objective: Objective
    ground: np.ndarray

    @classmethod
    def of(cls, objective: Objective) -> Self:
        """Find the directions that have no curvature, where all weights are zero: one pass."""
        H = objective.expand(np.zeros((len(objective.free), objective.models, 1))).hessian
        assert H is not None
        grounds = np.zeros_like(H)
        for number, conditioning in enumerate(Inverse.from_hessians(H, objective.precision).conditioning):
            if conditioning.null is not None:
                grounds[number] = conditioning.null @ conditioning.null.T
        return cls(objective, grounds)

    @functools.cached_property
    def total(self) -> float | np.ndarray:
        """Sum of the weights, or that of each model (g,)."""
        total = self.objective.total
        return total if isinstance(total, float) else np.ravel(total)

    @functools.cached_property
    def augmented(self) -> bool:
        """Whether the leverages are not small beside the weights, so that their curvature counts."""
        return bool(np.min(self.total) < FEW * len(self.objective.free))

    def keep(self, models: np.ndarray) -> "Jeffreys":
        ground = self.ground if len(self.ground) == 1 else self.ground[models]
        return dataclasses.replace(self, objective=self.objective.keep(models), ground=ground)

    def appraise(self, theta: np.ndarray) -> Point:
        """Compute values and Hessians: one pass. The gradient is that of the log loss alone."""
        here = self.objective.expand(theta)
        assert here.hessian is not None
        roots, halves, lost = _factorised(here.hessian + self.ground)
        rows, objective = len(theta), self.objective
        with np.errstate(invalid="ignore"):
            value = here.loss - halves / self.total
            noise = objective.noise * (here.loss + 0.5 * rows / self.total) + objective.precision * lost / self.total
        value = np.where(np.isfinite(value), value, math.inf)
        return Point(theta, value, NOISE * noise, here._replace(value=here.loss), roots, roots)

    def slope(self, point: Point) -> Point:
        """Add the gradient of the penalty: one pass."""
        objective, share = self.objective, np.reshape(1.0 / np.sqrt(self.total), (1, -1, 1))
        parameters, roots = point.theta * objective.factors, point.roots.transpose(2, 0, 1) * share * objective.rows
        source, center = objective.source, objective.center if objective.folded else None
        if center is not None:
            (source, parameters), (_, roots) = objective.in_blocks(parameters), objective.in_blocks(roots)
        terms = augmented_terms if self.augmented else leverage_terms
        dTheta, *added = source.sum(terms, parameters, roots, objective.loss)
        if center is not None:  # from sums over [X; 1] to sums over [X - center; 1]
            dTheta = np.concatenate([dTheta[:-1] - center * dTheta[-1:], dTheta[-1:]])
        gradient = point.here.gradient + dTheta * objective.means
        metric = self._augmented(point, added[0], center) if added else point.roots
        return point._replace(here=point.here._replace(gradient=gradient), metric=metric)

    def _augmented(self, point: Point, added: np.ndarray, center: np.ndarray | None) -> np.ndarray:
        """Inverses of the Cholesky factors of H with what the leverages add to it, which are sums over [X; 1]."""
        H, rows = point.here.hessian, self.objective.rows[:, :, 0].T[:, :, None]
        turn = np.eye(added.shape[1])
        if center is not None:
            turn[:-1, -1:] = -center[:, 0]
        turned = rows * (turn @ added @ turn.T) * rows.mT
        metric = _factorised(H + self.ground + turned / np.reshape(self.total, (-1, 1, 1)))[0]
        return np.where(np.isfinite(metric), metric, point.roots)


def _factorised(H: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverses of the Cholesky factors (g, p, p), and half the log determinants (g,); NaN if H is not positive.

    And the errors (g,) of the latter, in rounding errors: a pivot that is small beside its entry of H loses digits.
    """
    try:
        L = np.linalg.cholesky(H)
    except np.linalg.LinAlgError:
        if len(H) == 1:
            return np.full_like(H, np.nan), *np.full((2, 1), np.nan)
        each = zip(*(_factorised(one[None]) for one in H), strict=True)
        roots, halves, lost = (np.concatenate(parts) for parts in each)
        return roots, halves, lost
    pivots, entries = (np.diagonal(part, axis1=1, axis2=2) for part in (L, H))
    return np.linalg.inv(L), np.log(pivots).sum(axis=1), 0.5 * (entries / pivots**2).sum(axis=1)


def some_pairs(pairs: Pairs, models: np.ndarray) -> Pairs:
    """Return the pairs of some models, given by number."""
    return tuple(tuple(part[:, models] for part in pair) for pair in pairs)


def tied(method: QuasiNewton, ties: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Return the shortest move (n_x + 1, g, 1), by the Hessian of the method, that changes C'theta by ``amounts``.

    With the inverse Hessian B it is B C (C'B C)^-1 amounts, for the ties C (n_x + 1, g, q) and amounts (g, q, 1).
    Columns of zeros tie nothing.
    """
    columns = [method.solve(ties[:, :, number : number + 1]) for number in range(ties.shape[2])]
    BC, C = np.concatenate(columns, axis=2).transpose(1, 0, 2), ties.transpose(1, 0, 2)
    empty = np.eye(C.shape[2]) * np.all(C == 0, axis=1)[:, None, :]
    return (BC @ np.linalg.solve(C.mT @ BC + empty, amounts)).transpose(1, 0, 2)


def method_at(point: Point, pairs: Pairs) -> QuasiNewton:
    """Make the method whose inverse Hessian is that of the point's metric, corrected by pairs."""
    return QuasiNewton(Factors(point.metric), pairs, memory=MEMORY, rescaling=0.0)


def _held(method: QuasiNewton, gradient: np.ndarray, ties: np.ndarray | None) -> np.ndarray:
    """Return the step (n_x + 1, g, 1) of the method that keeps C'theta."""
    move = -method.solve(gradient)
    if ties is None:
        return move
    return move - tied(method, ties, ties.transpose(1, 2, 0) @ move.transpose(1, 0, 2))


def minimize(
    cost: Jeffreys,
    start: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    monitor: Monitor | None = None,
    ties: np.ndarray | None = None,
    group: GroupMonitor | None = None,
) -> list[Result]:
    """Minimise the penalised costs of g models; each has steps of its own length, and one pass serves all.

    Parameters
    ----------
    cost : Jeffreys
    start : ndarray (n_x + 1, g, 1)
    tol : float
        A model is done when its gap is at most tol times its mean log loss, by the local decrement. The last step needs
        no pass and is still taken.
    max_iter : int
    monitor : callable, optional
        Of a single model. Its evaluations have the mean log loss as their value.
    ties : ndarray (n_x + 1, g, q), optional
        Columns c with c'theta = 0 at the start; it stays so.
    group : GroupMonitor, optional
        Of all models.

    Returns
    -------
    list of Result
        Reason "converged", "precision", "diverged" (the cost is not finite at the start), "max_iter", or the reason
        that the monitor gives. ``costs`` are mean log losses.
    """
    run = _Run(cost, start, ties)
    for iteration in range(max_iter + 1):
        step, gap = run.steps()
        said, before = "" if monitor is None else monitor(iteration, run.point.theta, run.point.here, gap), run.alive
        if group is not None:
            said = group.sees(iteration, dict(zip(before.tolist(), run.point.here.value.tolist(), strict=True)))
        run.leave(step, gap, tol, said or ("max_iter" if iteration == max_iter else ""))
        if group is not None:
            left = {model: run.results[model] for model in before.tolist() if model in run.results}
            group.ended({model: result for model, result in left.items() if result.reason != said})
        if not len(run.alive):
            break
        run.move()
    return [run.results[model] for model in range(start.shape[1])]


def certified(cost: Jeffreys, results: list[Result]) -> list[Result]:
    """Evaluate the costs where the results ended: two passes. Their gaps are the decrements of scoring."""
    theta = np.concatenate([result.theta for result in results], axis=1)
    point = cost.slope(cost.appraise(theta))
    step = -method_at(point, ()).solve(point.here.gradient)
    gaps = decrement(point.here.gradient, cost.objective.confined(step))
    found = []
    for number, result in enumerate(results):
        one = np.asarray([number])
        here, more = point.keep(one).here, result.passes + 2
        found.append(dataclasses.replace(result, last=here, at=result.theta, gap=gaps[one], passes=more))
    return found


def refit_bias(objective: Objective, theta: np.ndarray, curvature: float) -> tuple[float, int]:
    """Return by how much the bias has to move to minimise the log loss of one model, and the passes.

    Parameters
    ----------
    objective : Objective
    theta : ndarray (n_x + 1, 1, 1)
    curvature : float
        Second derivative of the log loss in the bias, at theta.
    """
    moved, passes, unit = 0.0, 1, np.zeros_like(theta)
    unit[-1] = 1.0
    slope = float(objective.evaluate(theta).gradient[-1, 0, 0])
    while passes < REFITS:
        step = -slope / curvature
        moved, before = moved + step, slope
        if abs(step) <= STILL * max(1.0, abs(moved)):
            break
        slope, passes = float(objective.evaluate(theta + moved * unit).gradient[-1, 0, 0]), passes + 1
        secant = (slope - before) / step
        # with the largest curvature there is, a step never goes too far
        curvature = secant if 0.0 < secant <= objective.loss.bound else objective.loss.bound
    return moved, passes


class _Run:
    """The models that are still under way, and the results of the others."""

    def __init__(self, cost: Jeffreys, start: np.ndarray, ties: np.ndarray | None) -> None:
        self.cost, self.ties = cost, ties
        self.pairs: Pairs = ()
        self.point = cost.slope(cost.appraise(start))
        g = start.shape[1]
        self.alive, self.length, self.step = np.arange(g), np.ones(g), np.zeros_like(start)
        self.idle, self.halved = np.zeros(g), np.full(g, math.inf)
        self.passes = 2
        self.costs: list[list[float]] = [[] for _ in range(g)]
        self.results: dict[int, Result] = {}

    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Full steps (n_x + 1, g, 1), and the gaps (g,) that they promise to close."""
        gradient = self.point.here.gradient
        method = method_at(self.point, self.pairs)
        self.step = self.cost.objective.confined(_held(method, gradient, self.ties))
        return self.step, decrement(gradient, self.step)

    def leave(self, step: np.ndarray, gap: np.ndarray, tol: float, said: str) -> None:
        """Let the models leave that are done, or that rounding errors or ``said`` stop."""
        loss, fell = self.point.here.loss, gap <= 0.5 * self.halved
        moved = self.length == 1.0
        self.idle = np.where(fell, 0.0, self.idle + moved)
        self.halved = np.where(fell, gap, self.halved)
        done = gap <= tol * loss
        blind = gap <= self.point.noise
        lost = ~np.isfinite(self.point.value) | ~np.isfinite(gap)
        stuck = (blind & (self.idle >= ENDURANCE)) | (self.length < SHORTEST)
        ends = done | lost | stuck | bool(said)
        for number in np.flatnonzero(ends).tolist():
            reason = "converged" if done[number] else "diverged" if lost[number] else said or "precision"
            self._end(number, reason, gap)
        if ends.any():
            self._keep(np.flatnonzero(~ends))

    def _end(self, number: int, reason: str, gap: np.ndarray) -> None:
        model, one = int(self.alive[number]), np.asarray([number])
        point = self.point.keep(one)
        self.results[model] = Result(
            theta=point.theta + self.step[:, one] if reason == "converged" else point.theta,
            reason=reason,
            iterations=len(self.costs[model]),
            passes=self.passes,
            costs=np.reshape(self.costs[model], (-1, 1)),
            last=point.here,
            at=point.theta,
            gap=gap[one],
        )

    def _keep(self, kept: np.ndarray) -> None:
        self.alive = self.alive[kept]
        if len(kept):
            self.cost, self.point = self.cost.keep(kept), self.point.keep(kept)
            self.ties = None if self.ties is None else self.ties[:, kept]
            self.pairs, self.step = some_pairs(self.pairs, kept), self.step[:, kept]
            self.length, self.idle, self.halved = (part[kept] for part in (self.length, self.idle, self.halved))

    def move(self) -> None:
        """Take the steps that lower the costs enough; of the other models, halve the steps."""
        before = self.point
        for model, loss in zip(self.alive.tolist(), before.here.loss.tolist(), strict=True):
            self.costs[model].append(loss)
        trial = before.theta + self.length[:, None] * self.step
        there, self.passes = self.cost.appraise(trial), self.passes + 1
        promised = 2.0 * decrement(before.here.gradient, self.step) * self.length
        with np.errstate(invalid="ignore"):
            taken = np.flatnonzero(there.value <= before.value - ARMIJO * promised + before.noise)
        length = 0.5 * self.length
        length[taken] = 1.0
        self.length = length
        if not len(taken):
            return
        some = self.cost if len(taken) == len(trial[0]) else self.cost.keep(taken)
        self.point = before.replaced(taken, some.slope(there if some is self.cost else there.keep(taken)))
        self.passes += 1
        change = self.point.here.gradient - before.here.gradient
        self.pairs = method_at(before, self.pairs).learn(self.point.theta - before.theta, change).pairs
