"""Proof of the gap where the penalty has kinks: by the step to the minimum of the exact quadratic model.

At the end of that step d, X (alpha - Y)' / s is a subgradient of the penalty, for alpha = a (1 + v - a'v) and v = X'd,
as `xlogreg.solvers.existence` explains. So alpha is a dual point, and J - min J is at most
mean KL(alpha || a) + h(theta) + h*(V) - theta'V, with V = -X (alpha - Y)' / s. Where rounding leaves V beyond a kink, a
mixture of alpha and Y, whose V is zero, brings it back; KL is convex, and mean KL(Y || a) is at most the loss.
"""

import math

import numpy as np

from xlogreg.math.groups import Grouped
from xlogreg.math.penalties import Elastic, inner
from xlogreg.solvers import piecewise
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.curvature import Curvature
from xlogreg.solvers.matrices import TINY
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.proximal import Proximal

__all__ = ["prove"]

EXACT = 1e-13  # of the slopes, that the quadratic model leaves
MIXED = 1e-9  # share of Y in the mixture, at most
ROUNDED = 1e-15  # of a kink
LEFT = 1e-9  # of the largest slope, that rounding may leave along weights without a penalty
ROUNDS = 3  # times that features join which the step would let in


def prove(
    objective: Objective, theta: np.ndarray, here: Evaluation, curvature: Curvature
) -> tuple[float, float, float]:
    """Bound J - min J at theta (n_x + 1, 1, k), where the evaluation is of; NaN if the step proves nothing.

    Return also an estimate, how far the quadratic model of all samples falls, and the passes that it took.
    """
    penalty = objective.penalty
    assert isinstance(penalty, Elastic)
    curvature, passes, promise = curvature.of(objective), 0.0, math.nan
    method = Proximal(objective, curvature, 0.0, exact=EXACT)
    free, loose = objective.free[:, 0, 0] > 0, ~np.asarray(penalty.mask)[:, 0, 0]
    free[-1] = True  # the bias has its row, even if it may not move
    beyond = penalty.least_slope(theta, here.gradient) * objective.free
    works, outside = np.any((theta != 0) | (beyond != 0), axis=(1, 2)), loose
    if not np.any((works | outside)[:-1] & free[:-1]):  # a model of the bias alone needs a curvature, too
        number = np.argmax(np.max(np.abs(here.gradient[:-1]), axis=(1, 2)) * free[:-1])
        works[number] = free[number] = True
    for _ in range(ROUNDS):
        works = np.asarray(penalty.whole(works | outside)) & free
        rows = np.flatnonzero(works)
        if curvature.is_large(rows):
            return math.nan, promise, passes + curvature.spent
        curvature.buy(theta, rows, objective.source.m)
        move, promise = method.solved(here, theta, rows)
        move = _polished(penalty, theta, here, curvature, rows, move)
        smooth = objective.confined(penalty.curvature(theta) * move + penalty.slope(theta))
        V, passes = smooth - as_host(objective.hessian_times(theta, move)) - here.gradient, passes + 1.0
        outside = np.any(penalty.shrunk(V) * objective.free != 0, axis=(1, 2)) & ~works
        if not outside.any():
            break
    left, V = float(np.max(np.abs(V[loose]))), np.where(loose[:, None, None], 0.0, V)
    share = 1.0
    if not penalty.strength[0] > 0:
        share = min(1.0, (1.0 - ROUNDED) * float(penalty.l1[0]) / max(float(penalty.strongest(V)[0]), TINY))
    if 1.0 - share > MIXED or left > LEFT * float(np.max(np.abs(here.gradient))):
        return math.nan, promise, passes + curvature.spent
    divergence, escaped = (float(part[0]) for part in objective.proof(theta, move))
    value, slopes = float(penalty.value(theta)[0]), float(inner(theta, V)[0])
    gap = share * divergence + (1.0 - share) * float(here.loss[0]) + value - share * slopes
    gap += float(penalty.conjugate(share * V)[0]) + 8.0 * objective.noise * (value + abs(slopes))
    return (math.nan if escaped or not math.isfinite(gap) else gap), promise, passes + curvature.spent + 1.0


def _polished(
    penalty: Elastic, theta: np.ndarray, here: Evaluation, curvature: Curvature, rows: np.ndarray, move: np.ndarray
) -> np.ndarray:
    """Solve once more for the weights that are not zero, from their slopes at theta: to the last digit of these."""
    there, k = (theta + move)[rows, 0, :], theta.shape[2]
    loose, free = ~np.asarray(penalty.mask)[rows, 0, 0], curvature.objective.free[rows, 0, 0] > 0
    active = np.flatnonzero(((there != 0) | loose[:, None]) & free[:, None])
    if isinstance(penalty, Grouped) or not len(active):
        return move
    slope = here.gradient[rows, 0, :] + penalty.kinks[rows, 0, :] * np.sign(there)
    d = -piecewise.solve(curvature.model(rows, ()).part(active), slope.ravel()[active])
    inner = np.where(there != 0, 0.0, move[rows, 0, :]).ravel()
    if np.any(inner[np.setdiff1d(np.arange(inner.size), active)] != 0):
        return move
    inner[active] = d
    polished = np.zeros_like(move)
    polished[rows, 0, :] = inner.reshape(-1, k)
    same = np.sign((theta + polished)[rows, 0, :]) == np.sign(there)
    return polished if np.all(same | loose[:, None]) else move
