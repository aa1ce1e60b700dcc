"""Remarks on an answer with L1 that are no warnings: when all weights are zero, and when they are not the only ones.

If several vectors of weights have the same least cost, their scores are the same. They differ only in weights that are
not zero or whose slope is at the kink, along directions that change no score (Tibshirani, The lasso problem and
uniqueness, Electronic Journal of Statistics 2013).
"""

import numpy as np

from xlogreg.fitting.answer import Answer
from xlogreg.fitting.problem import Problem
from xlogreg.inputs.options import Options
from xlogreg.inputs.tables import listed
from xlogreg.math.groups import Grouped
from xlogreg.math.penalties import Elastic
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.curvature import Curvature
from xlogreg.solvers.existence import RANK
from xlogreg.solvers.result import Result

__all__ = ["remark"]

NEAR, NOISES = 1e-9, 1e3  # of a kink, or rounding errors of it: a slope that differs by less is at the kink
LOOSER = 2.0  # times as much as the slopes of weights that are not zero differ from theirs
LEAST = 1e-10  # share of a column that is no combination of those before it, above which none may be one
MOST = 1000  # parameters whose rank is worth its operations
INVOLVED = 1e-4  # share of a feature in the directions that change no score, from which on it is named


def remark(
    problem: Problem, result: Result, answer: Answer, options: Options, names: tuple[str, ...] | None
) -> tuple[str, float]:
    """Return what there is to say of an answer with L1, "" for nothing, and the passes that it took."""
    penalty = problem.objective.penalty
    if not isinstance(penalty, Elastic) or not penalty.kinks.any() or result.reason not in ("converged", "precision"):
        return "", 0.0
    kinked = (penalty.kinks[:-1, 0, 0] > 0) & (problem.objective.free[:-1, 0, 0] > 0)
    if kinked.any() and not answer.parameters.w[kinked].any():
        largest = float(penalty.strongest(as_host(answer.here.gradient))[0]) * options.l1 / options.l1_strength
        return f"every weight that l1 penalises is zero; the first one enters below l1 = {largest:.4g}", 0.0
    if isinstance(penalty, Grouped):
        return "", 0.0
    together, passes = _collinear(problem, result, penalty, as_host(answer.here.gradient))
    if not len(together):
        return "", passes
    called = listed([str(number) if names is None else repr(names[number]) for number in together.tolist()])
    return (
        f"the features {called} are collinear, and l1 alone does not tell how they share their weights: other weights "
        "give the same scores at the same cost; with l2 > 0 there is one answer"
    ), passes


def _collinear(problem: Problem, result: Result, penalty: Elastic, gradient: np.ndarray) -> tuple[np.ndarray, float]:
    """Find the features that may exchange weights at the same cost, by number, and count the passes."""
    curvature, m = getattr(result.method, "curvature", None), problem.objective.source.m
    able, nothing = _able(problem, penalty, result.theta[:, 0, :], gradient[:, 0, :]), np.arange(0)
    if able.shape[1] > 1:  # a constant over the classes changes no score, whatever the features
        able[np.all(able, axis=1), -1] = False
    rows = np.flatnonzero(np.any(able, axis=1))
    if not 2 <= np.sum(able[:-1]) <= MOST or not isinstance(curvature, Curvature) or curvature.is_large(rows):
        return nothing, 0.0
    knowing, numbers = curvature.knowing(rows)
    known = np.isin(numbers, knowing.rows)  # twins work together, as their slopes are the same
    rows, numbers = rows[known], numbers[known]
    if not len(rows) or knowing.is_large(knowing.rows):
        return nothing, 0.0
    rows = rows[_involved(knowing, numbers, able[rows])]
    if not len(rows) or knowing.samples >= m:
        return rows[rows < len(able) - 1], 0.0
    if curvature.price(rows, m) > result.passes:
        return nothing, 0.0
    rows, curvature = np.union1d(rows, len(able) - 1), curvature.of(problem.objective)
    with problem.source.place.computing():
        curvature.buy(result.theta, rows, m)  # they may be collinear in a subset only
    rows = rows[_involved(curvature, rows, able[rows])]
    return rows[rows < len(able) - 1], curvature.spent


def _involved(curvature: Curvature, rows: np.ndarray, able: np.ndarray) -> np.ndarray:
    """Return which of the rows have parameters that may move together without a change of any score."""
    inside = able.ravel()
    numbers = (np.searchsorted(curvature.rows, rows)[:, None] * curvature.k + np.arange(curvature.k)).ravel()[inside]
    H = curvature.H.part(numbers)
    root = np.sqrt(np.maximum(H.diagonal(), np.finfo(float).tiny))
    H = H / root / root[:, None]
    try:  # this takes far less time than eigenvectors: no column is a combination of those before it
        if np.min(np.linalg.cholesky(H).diagonal()) ** 2 > LEAST:
            return np.zeros(len(rows), dtype=bool)
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(H)
    null, part = vectors[:, values <= RANK * values[-1]], np.zeros(len(inside))
    part[inside] = np.sum(null * null, axis=1)
    return np.asarray(np.max(part.reshape(len(rows), -1), axis=1) > INVOLVED**2)


def _able(problem: Problem, penalty: Elastic, theta: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return which parameters (n_x + 1, k) may move without a change of the penalty's slope."""
    kinks, strict = penalty.kinks[:, 0, :], penalty.ridge[:, 0, :] > 0
    free, ups, downs = (problem.objective.free[:, 0, :] > 0) & ~strict, slopes < 0, slopes >= 0
    if penalty.lower is not None and penalty.upper is not None:
        lower, upper = penalty.lower[:, 0, :], penalty.upper[:, 0, :]
        free = free & np.where(theta != 0, (lower < theta) & (theta < upper), ups & (upper > 0) | downs & (lower < 0))
    off, moved = np.abs(np.abs(slopes) - kinks), free & (theta != 0) & (kinks > 0)
    noise = NOISES * problem.objective.noise
    near = max(NEAR, noise, LOOSER * float(np.max((off / np.where(kinks > 0, kinks, 1.0))[moved], initial=0.0)))
    return free & ((theta != 0) | (off <= near * kinks))
