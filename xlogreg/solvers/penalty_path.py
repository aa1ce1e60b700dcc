"""Models that differ in their penalty, from the strong to the weak: each starts where those before it point to.

For softmax models and many features, where there is no inverse Hessian to share. The answer is a smooth function of
log l2, so a polynomial through the last few points to the next: of the degree that would have come nearest to the
last. L-BFGS keeps its pairs, for the curvature of the losses changes little; only what the penalty adds to them is
exchanged. Models of other targets or weights are minimised beside each other, one penalty after the other.
"""

import dataclasses
import functools
import math

import numpy as np

from xlogreg.solvers.objective import Objective
from xlogreg.solvers.quasi_newton import Pairs, QuasiNewton, join_pairs, shift_pairs
from xlogreg.solvers.result import Result
from xlogreg.solvers.simultaneous import minimize_in_stages
from xlogreg.solvers.spectral_lbfgs import RENEWALS, Axes, pairs_that_fit, renew

__all__ = ["minimize"]

DEGREE = 3  # of the polynomials, at most
UNKNOWN = 2  # penalties at the beginning, when nothing points to the next: the curvature is taken anew on the way


def minimize(
    objective: Objective,
    start: np.ndarray,
    *,
    given: np.ndarray,
    tracks: np.ndarray,
    axes: Axes,
    tol: float,
    max_iter: int,
) -> list[Result]:
    """Minimise the g models of a batch.

    Parameters
    ----------
    objective : Objective
    start : ndarray (n_x + 1, g, k)
    given : ndarray (g,)
        Which of the models begin there though others point elsewhere.
    tracks : ndarray (g,)
        Models of one number differ in nothing but their penalty.
    axes : Axes
    tol, max_iter
        As for `minimize_in_stages`.

    Returns
    -------
    list of Result
        As from `minimize_in_stages`; the passes count work on subsets as its share, but not that of the axes.
    """
    l2s, share = objective.l2[0, :, 0], axes.subset.m / objective.source.m
    memory = pairs_that_fit(objective.source, start[:, 0, :].size * len(np.unique(tracks)))
    results: dict[int, Result] = {}
    pairs: dict[int, Pairs] = dict.fromkeys(np.unique(tracks).tolist(), ())
    done: dict[int, list[int]] = {track: [] for track in pairs}  # the models that point to the next
    roads = [[n for n in np.argsort(-l2s, kind="stable").tolist() if tracks[n] == track] for track in pairs]
    for level in range(max(map(len, roads))):
        models = [road[level] for road in roads if level < len(road)]
        begin, carried = [], []
        for model in models:
            track = int(tracks[model])
            points = [(float(l2s[n]), results[n].theta) for n in done[track]]
            begin.append(_predicted(points, float(l2s[model])) if points and not given[model] else start[:, [model], :])
            change = objective.ridge[:, [model], :] - objective.ridge[:, done[track][-1:], :]
            carried.append(shift_pairs(pairs[track], change))
        part = objective.keep(np.asarray(models))
        renewals = [gap for gap in RENEWALS if gap > tol] if level < UNKNOWN else []
        stages = [(part, gap) for gap in (*renewals, tol)]
        method = functools.partial(_renewed, axes, memory, join_pairs(carried, begin[0]))
        ended = minimize_in_stages(stages, np.concatenate(begin, axis=1), method=method, max_iter=max_iter)
        for model, result in zip(models, ended, strict=True):
            track = int(tracks[model])
            result = dataclasses.replace(result, passes=result.passes + share * len(stages))
            if result.reason in ("converged", "precision"):
                pairs[track] = result.method.pairs
                twins = [n for n in done[track] if l2s[n] == l2s[model]]
                done[track] = done[track] if twins else [*done[track][-DEGREE - 1 :], model]
            results[model] = dataclasses.replace(result, method=dataclasses.replace(result.method, pairs=()))
    return [results[model] for model in range(start.shape[1])]


def _renewed(
    axes: Axes, memory: int, known: Pairs, part: Objective, left: np.ndarray, theta: np.ndarray, pairs: Pairs | None
) -> QuasiNewton:
    """The method of a stage: the curvature at its start, and the pairs so far."""
    pairs = known if pairs is None else pairs
    return QuasiNewton(renew(part, axes, theta), pairs, memory, rescaling=0.5, patience=2)


def _predicted(points: list[tuple[float, np.ndarray]], l2: float) -> np.ndarray:
    """theta at l2, by the polynomial in log l2 that would have come nearest to the last point, from those before it."""
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
    """The polynomial in log l2 through all points (Lagrange's form)."""
    at = np.log([point for point, _ in points])
    others = [np.delete(at, number) for number in range(len(at))]
    weights = [np.prod((math.log(l2) - x) / (own - x)) for own, x in zip(at, others, strict=True)]
    return sum(weight * theta for weight, (_, theta) in zip(weights, points, strict=True))
