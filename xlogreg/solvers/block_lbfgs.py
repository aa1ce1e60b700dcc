"""L-BFGS for sparse X: its first metric is a Hessian in the features that count most, and a diagonal in the others.

In a text a few hundred words make up most of the numbers of X, and these words are correlated with each other and with
the bias. Their second moment S comes from a subset. The metric is a (S + penalty) in the coordinates of the classes, a
the curvatures at their shares; a feature outside of the block has its own second moment. On Zipf-distributed words the
gap falls in half of the passes that a diagonal takes. Under a weak penalty, where L-BFGS is slow, `NewtonCG` goes on.
"""

import dataclasses
import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from xlogreg.samples.memory import InMemory
from xlogreg.samples.products import may_pick, pick_features
from xlogreg.samples.source import Samples
from xlogreg.solvers import descent
from xlogreg.solvers.certificate import fading
from xlogreg.solvers.coordinates import Coordinates, Spread
from xlogreg.solvers.few_samples import Few, are_few
from xlogreg.solvers.newton_cg import NewtonCG
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.preconditioners import Bordered
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.result import Clock, Monitor, Result
from xlogreg.solvers.spectral_lbfgs import class_axes

__all__ = ["FEATURES", "Frequent", "frequent", "minimize"]

FEATURES = 300  # in the block: more cost more than the passes that they save
SAMPLES = 20  # of the subset, for each feature of the block
MEMORY_BYTES = 64 * 2**20  # that the pairs of L-BFGS take at most
LEAST_PAIRS, MOST_PAIRS = 10, 30
RESCALING = 0.0  # of the metric by the newest pair
MOVING = 0.5  # share of the features, below which those that may move are copied out of X
TIED_NUMBERS = 2**24  # that the ties of the metric may hold
FADED = 0.1  # share of the curvature along a feature, below which the metric is made anew
FADING = 0.7  # the same for the metrics after that: while samples far out become certain, curvature falls step by step
LOOKS = 40  # metrics, at most
TINY = 1e-300  # least mean curvature of the samples: all may be certain
RECENT, PACE = 10, 20  # steps whose mean gap is compared, and steps between two such means
PATIENT = 50  # steps of L-BFGS that may be left: more of them take more passes than Newton's method
LEAST = 1e-15  # relative gap, below which none is asked for
NEAR = 0.03  # gap / cost, from which on Newton's method has few steps to make
FLAT = 1e-12  # of the largest curvature of the classes: a constant over the classes has none


class Frequent(NamedTuple):
    """What the metrics of all models need: the block and its second moment, that of the others, and the passes."""

    rows: np.ndarray  # (r,) numbers of theta's rows in the block, that of the bias last
    S: np.ndarray  # (r, r)
    moment: np.ndarray  # (n_x + 1, 1)
    subset: InMemory
    passes: float
    ties: np.ndarray | None = None  # Q (n_x + 1, c) of sums Q'theta that are zero at the minimum, see `_ties`

    def renew(self, objective: Objective, theta: np.ndarray) -> Bordered:
        """Make the metric of g models at theta (n_x + 1, g, k), with the curvature of their classes in the subset."""
        fixed = np.asarray(1.0 - objective.free)
        held = np.asarray(objective.penalty.curvature(theta)) * (1.0 - fixed) + fixed
        held = np.broadcast_to(held[:, :, :1], (*theta.shape[:2], 1))
        a, right = class_axes(objective, self.subset, theta)
        # no gradient has a part along a constant over the classes, which has no curvature
        largest = a.max(axis=1, keepdims=True)
        a = np.where(a > FLAT * largest, a, largest)
        added = held[self.rows].transpose(1, 2, 0)[:, :, None, :] * np.eye(len(self.rows))
        blocks = a[:, :, None, None] * self.S + added
        diagonal = np.maximum(self.moment[:, None, :] * (1.0 - fixed), FLAT) * a + held
        metric = Bordered.from_blocks(right, self.rows, blocks, diagonal, objective.precision)
        return metric if self.ties is None else metric.tied(self.ties)

    def curved(self, objective: Objective, theta: np.ndarray) -> Bordered:
        """Make the metric of one model, with the curvature of all samples along each feature at theta: one pass."""
        found = np.mean(np.asarray(objective.curvatures(theta)), axis=2)
        moment = np.where(self.moment > 0.0, found / max(float(found[-1, 0]), TINY), 0.0)
        root = np.sqrt(moment[self.rows] / np.where(moment[self.rows] > 0.0, self.moment[self.rows], 1.0))
        return self._replace(S=self.S * root * root.T, moment=moment).renew(objective, theta)

    def faded(self, share: np.ndarray) -> "Frequent":
        """Return this with the share (n_x,) of each feature's curvature that is left, at most all of it."""
        left = np.append(np.minimum(share, 1.0), 1.0)[:, None]
        root = np.sqrt(left[self.rows])
        return self._replace(S=self.S * root * root.T, moment=self.moment * left)


def minimize(
    objective: Objective,
    source: Samples,
    start: np.ndarray,
    *,
    spread: Spread,
    coordinates: Coordinates,
    rng: np.random.Generator,
    tol: float,
    strict: float,
    max_iter: int,
    monitor: Monitor | None = None,
    clock: Clock | None = None,
) -> Result:
    """Minimise the cost of one model; theta is on the host.

    Parameters are those of `sampled_newton.minimize`, for a start (n_x + 1, 1, k). ``strict`` is the tolerance to go on
    to once a feature has lost its curvature: while samples far out become certain, the steps show less than the gap.
    """
    moving = np.flatnonzero(objective.free[:-1, 0, 0])
    if 0 < len(moving) < MOVING * source.n_x and may_pick(source, len(moving)):
        limits = {"tol": tol, "strict": strict, "max_iter": max_iter, "clock": clock}
        return _of_some(moving, objective, source, start, spread, coordinates, rng, limits, monitor)
    found, pairs = frequent(objective, source, spread, coordinates, rng), pairs_that_fit(start.nbytes)
    Q, start = _ties(objective, source, start, coordinates)
    found = found._replace(ties=Q if Q.shape[1] else None)
    method = QuasiNewton(found.renew(objective, start), memory=pairs, rescaling=RESCALING)
    result: Result | None = None
    theta, passes, enough, asked = start, found.passes, FADED, tol
    for _ in range(LOOKS):
        left = max_iter - (0 if result is None else result.iterations)
        seen = Pace(objective, tol, monitor)
        last = descent.minimize(objective, theta, method=method, tol=asked, max_iter=left, monitor=seen)
        result, theta = last if result is None else result.followed_by(last), last.theta
        if last.reason == "slow" and result.iterations < max_iter:
            steps = max_iter - result.iterations
            last = _exactly(objective, source, found, theta, tol, steps, monitor, clock=clock)
            return dataclasses.replace(result.followed_by(last), passes=result.passes + passes + last.passes)
        if (
            last.reason not in ("converged", "precision")
            or result.iterations >= max_iter
            or _is_small(objective, result.last, result.gap, tol)
        ):
            break
        share, passes = fading(objective, theta, found.moment[:-1])[:, 0], passes + 1
        if np.any(share < enough):
            found, enough, tol = found.faded(share), FADING, strict
            method, asked = QuasiNewton(found.renew(objective, theta), memory=pairs, rescaling=RESCALING), tol
        elif asked > 0.0 and objective.held[0] and last.reason == "converged":
            method, asked = last.method, 0.0  # on, until the gradient confirms what the pairs say
        else:
            break
    assert result is not None
    return dataclasses.replace(result, passes=result.passes + passes, gap=_bounded(objective, result.last, result.gap))


def _ties(
    objective: Objective, source: Samples, start: np.ndarray, coordinates: Coordinates
) -> tuple[np.ndarray, np.ndarray]:
    """Find sums of weights that are zero at the minimum: of features that add up to one, all levels of a category.

    If a number is added to all of these weights, the bias can undo it, so the penalty alone decides: sum_j f_j w_j = 0.
    L-BFGS is slow to find that out, since nothing but the penalty curves the cost along such a shift.

    Returns
    -------
    Q : ndarray (n_x + 1, c)
        The sums are Q'theta.
    start : ndarray (n_x + 1, 1, k)
        The start without them; its scores are the same.
    """
    free, (center, scale) = objective.free[:, 0, 0] > 0, (part[:, 0] for part in coordinates)
    ties = [tie for tie in source.ties if free[-1] and free[tie].all()]
    Q, shifts = np.zeros((2, len(free), len(ties) if len(ties) * start.size <= TIED_NUMBERS else 0))
    ridge = objective.penalty.curvature(start)[:-1, 0, 0]
    for tie, q, shift in zip(ties, Q.T, shifts.T, strict=False):
        weight = ridge[tie] * scale[tie] if np.any(ridge[tie] > 0) else 1.0 / scale[tie]
        q[tie], shift[tie], shift[-1] = weight / (weight @ scale[tie]), scale[tie], center[tie].sum() - 1.0
    return Q, start - (shifts @ (Q.T @ start[:, 0, :]))[:, None, :]


def _exactly(
    objective: Objective,
    source: Samples,
    found: Frequent,
    theta: np.ndarray,
    tol: float,
    steps: int,
    monitor: Monitor | None,
    **own: Any,
) -> Result:
    """Go on from theta by Newton's method, whose products count as steps."""
    metric = Few(objective, source).at if are_few(source, theta.shape[2]) else partial(found.curved, objective)
    method = NewtonCG(objective, metric, tol, most=steps, **own)

    def seen(iteration: int, theta: np.ndarray, here: Evaluation, gap: Any) -> str:
        said = "" if monitor is None else monitor(iteration, theta, here, gap)
        return said or ("max_iter" if sum(method.spent[:-1]) >= steps and gap[0] > tol * here.value[0] else "")

    last = descent.minimize(objective, theta, method=method, tol=tol, max_iter=steps, monitor=seen)
    costs = np.repeat(last.costs, method.spent[: last.iterations], axis=0)[:steps]
    return dataclasses.replace(last, passes=last.passes + sum(method.spent), iterations=len(costs), costs=costs)


def _bounded(objective: Objective, here: Evaluation, gap: Any) -> Any:
    """Add a bound by the penalty to a gap (g,) that L-BFGS tells, if the penalty holds all weights.

    J - |w|^2 ridge / 2 is convex, so J - min J <= sum_j dw_j^2 / (2 ridge_j) once the slope of the bias is zero; the
    gap that the metric tells makes up for that slope.
    """
    if gap is None or not objective.held[0]:
        return gap
    ridge = np.asarray(objective.penalty.curvature(here.gradient))[:-1]
    slopes = here.gradient[:-1] * objective.free[:-1]
    return gap + np.sum(slopes * slopes / np.where(ridge > 0.0, 2.0 * ridge, 1.0), axis=(0, 2))


def _is_small(objective: Objective, here: Evaluation, gap: Any, tol: float) -> bool:
    return bool(objective.held[0] and _bounded(objective, here, gap)[0] <= tol * here.value[0])


class Pace:
    """A monitor that also ends L-BFGS once the bound by the penalty is small, or where it falls too slowly."""

    def __init__(self, objective: Objective, tol: float, monitor: Monitor | None) -> None:
        self.objective, self.tol, self.monitor, self.logs = objective, tol, monitor, list[float]()

    def __call__(self, iteration: int, theta: np.ndarray, here: Evaluation, gap: Any) -> str:
        said = "" if self.monitor is None else self.monitor(iteration, theta, here, gap)
        if said or not self.objective.held[0]:
            return said
        bounded, value = float(_bounded(self.objective, here, gap)[0]), float(here.value[0])
        if bounded <= self.tol * value:
            return "converged"
        self.logs.append(math.log(bounded))
        if len(self.logs) < PACE + RECENT or not gap[0] <= NEAR * value:
            return ""
        now, then = (sum(part) / RECENT for part in (self.logs[-RECENT:], self.logs[-PACE - RECENT : -PACE]))
        far = now - math.log(max(self.tol, LEAST) * value)
        return "slow" if far > PATIENT * max(then - now, 0.0) / PACE else ""


def _of_some(
    moving: np.ndarray,
    objective: Objective,
    source: InMemory,
    start: np.ndarray,
    spread: Spread,
    coordinates: Coordinates,
    rng: np.random.Generator,
    limits: dict[str, Any],
    monitor: Monitor | None,
) -> Result:
    """Minimise over the features that may move, by number: hashed texts have few among many that are empty."""
    rows, some = np.append(moving, source.n_x), pick_features(source, moving)

    def whole(part: np.ndarray) -> np.ndarray:
        full = np.zeros(start.shape)
        full[rows] = part
        return full

    def seen(iteration: int, theta: np.ndarray, here: Evaluation, gap: Any) -> str:
        assert monitor is not None
        return monitor(iteration, whole(theta), here._replace(gradient=whole(here.gradient)), gap)

    result = minimize(
        objective.of_features(some, rows),
        some,
        start[rows],
        spread=spread._replace(mean=spread.mean[moving], variance=spread.variance[moving]),
        coordinates=Coordinates(coordinates.center[moving], coordinates.scale[moving]),
        rng=rng,
        monitor=None if monitor is None else seen,
        **limits,
    )
    last = result.last._replace(gradient=whole(result.last.gradient))
    trend = None if result.trend is None else whole(result.trend)
    return dataclasses.replace(result, theta=whole(result.theta), at=whole(result.at), last=last, trend=trend)


def pairs_that_fit(nbytes: int) -> int:
    """How many pairs of L-BFGS may be held, of so many bytes each."""
    return int(np.clip(MEMORY_BYTES // (2 * nbytes), LEAST_PAIRS, MOST_PAIRS))


def frequent(
    objective: Objective, source: Samples, spread: Spread, coordinates: Coordinates, rng: np.random.Generator
) -> Frequent:
    """Choose the features of the block, and measure their second moment in a subset."""
    scale, center = coordinates.scale, coordinates.center
    around_zero = (spread.variance + spread.mean**2) / scale**2
    weighed = around_zero / objective.penalty.units[:-1, :, 0] ** 2 * objective.free[:-1, :, 0]
    numbers = np.sort(np.argsort(-weighed[:, 0], kind="stable")[:FEATURES])
    count = SAMPLES * (len(numbers) + 1)
    few = 2 * count >= source.effective_samples
    subset = source.gathered() if few else source.samples((count,), spread.shares, rng)[0]
    rows = np.append(numbers, source.n_x)
    S = objective.of_features(pick_features(subset, numbers), rows).second_moment()
    moment = np.append((spread.variance + (spread.mean - center) ** 2) / scale**2, 1.0)[:, None]
    own = np.diagonal(S)[:, None]  # of few samples where features are rare, so the diagonal of all takes its place
    root = np.sqrt(np.where(own > 0, moment[rows] / np.where(own > 0, own, 1.0), 0.0))
    S = S * root * root.T
    np.fill_diagonal(S, moment[rows])
    return Frequent(rows, S, moment, subset, subset.m / source.m)
