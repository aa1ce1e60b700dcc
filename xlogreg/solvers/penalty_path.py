"""Models that differ in their penalty, from strong to weak: each starts where the models before it point to.

This is for softmax models and for many features, which have no inverse Hessian to share. The answer is a smooth
function of log l2, so a polynomial through the last few answers points to the next. It has the degree that would have
come nearest to the last answer. L-BFGS keeps its pairs, because the curvature of the losses changes little; only the
penalty's part in the pairs is exchanged. Models of other targets or weights are minimised side by side, one penalty
after the other.
"""

import dataclasses
import functools
import math
from typing import Protocol

import numpy as np

from xlogreg.samples.memory import InMemory
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import Preconditioner
from xlogreg.solvers.quasi_newton import Pairs, QuasiNewton, join_pairs, shift_pairs
from xlogreg.solvers.result import GroupMonitor, Result
from xlogreg.solvers.simultaneous import minimize_in_stages
from xlogreg.solvers.spectral_lbfgs import RENEWALS, pairs_that_fit

__all__ = ["Curvature", "minimize"]

DEGREE = 3  # highest degree of the polynomials
UNKNOWN = 2  # the first penalties, for which earlier answers tell too little: their fits take the curvature anew


class Curvature(Protocol):
    """What the preconditioners of all models have in common."""

    @property
    def subset(self) -> InMemory: ...
    @property
    def passes(self) -> float: ...

    def renew(self, objective: Objective, theta: np.ndarray) -> Preconditioner:
        """Make the preconditioner from the curvature of the classes of each model at theta (n_x + 1, g, k)."""
        ...


def minimize(
    objective: Objective,
    start: np.ndarray,
    *,
    given: np.ndarray,
    tracks: np.ndarray,
    axes: "Curvature",
    tol: float,
    max_iter: int,
    monitor: GroupMonitor | None = None,
) -> list[Result | None]:
    """Minimise the g models of a batch.

    Parameters
    ----------
    objective : Objective
    start : ndarray (n_x + 1, g, k)
    given : ndarray (g,)
        Whether each model begins at its ``start``, even if other models point elsewhere.
    tracks : ndarray (g,)
        A number for each model. Models with the same number differ only in their penalty.
    axes : Curvature
    tol, max_iter, monitor
        See `minimize_in_stages`.

    Returns
    -------
    list of Result or None
        One result for each model, as from `minimize_in_stages`, and None for those that had not begun when the monitor
        stopped the others. The passes count the work on subsets as its share of a
        pass, but leave out the work on the axes.
    """
    l2s, share = objective.penalty.strength, axes.subset.m / objective.source.m
    memory = pairs_that_fit(objective.source, start[:, 0, :].size * len(np.unique(tracks)))
    results: dict[int, Result] = {}
    pairs: dict[int, Pairs] = dict.fromkeys(np.unique(tracks).tolist(), ())
    done: dict[int, list[int]] = {track: [] for track in pairs}  # the models whose answers point to the next
    ridge = objective.penalty.curvature(start)
    roads = [[n for n in np.argsort(-l2s, kind="stable").tolist() if tracks[n] == track] for track in pairs]
    for level in range(max(map(len, roads))):
        models = [road[level] for road in roads if level < len(road)]
        begin, carried = [], []
        for model in models:
            track = int(tracks[model])
            points = [(float(l2s[n]), results[n].theta) for n in done[track]]
            begin.append(_predicted(points, float(l2s[model])) if points and not given[model] else start[:, [model], :])
            change = ridge[:, [model], :] - ridge[:, done[track][-1:], :]
            carried.append(shift_pairs(pairs[track], change))
        part = objective.keep(np.asarray(models))
        renewals = [gap for gap in RENEWALS if gap > tol] if level < UNKNOWN else []
        stages = [(part, gap) for gap in (*renewals, tol)]
        method = functools.partial(_renewed, axes, memory, join_pairs(carried, begin[0]))
        watch = None if monitor is None else monitor.keep(np.asarray(models))
        ended = minimize_in_stages(
            stages, np.concatenate(begin, axis=1), method=method, max_iter=max_iter, monitor=watch
        )
        for model, result in zip(models, ended, strict=True):
            track = int(tracks[model])
            result = dataclasses.replace(result, passes=result.passes + share * len(stages))
            if result.reason in ("converged", "precision"):
                pairs[track] = result.method.pairs
                twins = [n for n in done[track] if l2s[n] == l2s[model]]
                done[track] = done[track] if twins else [*done[track][-DEGREE - 1 :], model]
            results[model] = dataclasses.replace(result, method=dataclasses.replace(result.method, pairs=()))
        if watch is not None and watch.stopped:
            break
    return [results.get(model) for model in range(start.shape[1])]


def _renewed(
    axes: "Curvature",
    memory: int,
    known: Pairs,
    part: Objective,
    left: np.ndarray,
    theta: np.ndarray,
    pairs: Pairs | None,
) -> QuasiNewton:
    """Return the method of a stage, with the curvature at its start and the pairs so far."""
    pairs = known if pairs is None else pairs
    return QuasiNewton(axes.renew(part, theta), pairs, memory, rescaling=0.5, patience=2)


def _predicted(points: list[tuple[float, np.ndarray]], l2: float) -> np.ndarray:
    """Predict theta at l2 by a polynomial in log l2.

    It has the degree that would have come nearest to the last point, from the points before it.
    """
    *before, (last, there) = points
    if l2 in (0.0, last) or not before:
        return there
    misses = [
        float(np.linalg.norm(_interpolated(before[-degree - 1 :], last) - there))
        for degree in range(min(DEGREE, len(before) - 1) + 1)
    ]
    degree = int(np.argmin(misses))
    return _interpolated(points[-degree - 1 :], l2)


def _interpolated(points: list[tuple[float, np.ndarray]], l2: float) -> np.ndarray:
    """Evaluate at l2 the polynomial in log l2 through all points (Lagrange's form)."""
    at = np.log([point for point, _ in points])
    others = [np.delete(at, number) for number in range(len(at))]
    weights = [np.prod((math.log(l2) - x) / (own - x)) for own, x in zip(at, others, strict=True)]
    return sum(weight * theta for weight, (_, theta) in zip(weights, points, strict=True))
