"""Many models of two classes that share X, minimised together: one pass serves all, a few inverses step all.

Where all have the same targets (penalties, folds, replicates) they start at the answer of one of them, and step with
its Hessian on all samples; where each has its own, they start at their log odds, and step with the second moment of
the features times the curvature p (1 - p) of each. Then L-BFGS on all samples. What does not converge
so is left to the solver of single models.
"""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

from xlogreg.backends import Array
from xlogreg.certificate import EXPANSION_LIMIT
from xlogreg.data import InMemory
from xlogreg.objective import Objective
from xlogreg.options import Options
from xlogreg.preconditioners import Shared
from xlogreg.problem import Problem
from xlogreg.solvers import descent, simultaneous
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.result import Result
from xlogreg.solving import solve
from xlogreg.terms import target_terms

__all__ = ["Batch", "minimize_together", "pose_batch", "sharing_pays"]

STEPS = 30  # after which a model goes on alone: what pairs say of a gap after so many is no proof any more
THETA_NUMBERS = 2**20  # of all models of a batch: L-BFGS holds up to 40 times as many


class Batch(NamedTuple):
    """g models that share X."""

    problem: Problem  # of one of them without weights: coordinates, penalty, what may move
    source: InMemory  # with the targets and weights of all
    objective: Objective  # of all
    shares: np.ndarray  # of the second class (g,), by weight
    same: bool  # whether all have the same targets
    separable: np.ndarray  # (g,) whether separated classes mean that there is no minimum

    @property
    def models(self) -> int:
        return self.shares.shape[0]

    def single(self, model: int) -> Problem:
        """The problem of one of the models alone."""
        source = self.source.alone(model)
        objective = dataclasses.replace(
            self.objective,
            source=source,
            l2=self.objective.l2[:, [model], :],
            separable=bool(self.separable[model]),
        )
        spread = self.problem.spread
        if spread is not None:
            spread = spread._replace(targets=self.shares[model].reshape(1, 1))
        return self.problem._replace(objective=objective, source=source, spread=spread, solver="batch")


def sharing_pays(problem: Problem) -> bool:
    """Whether the Hessian of all samples is worth its work, so that the batch has something to step with."""
    return problem.start.shape[0] <= EXPANSION_LIMIT and problem.start.shape[2] == 1


def pose_batch(
    problem: Problem,
    Y: Array | None,
    weight: Array | None,
    rows: tuple[np.ndarray, np.ndarray],
    l2s: np.ndarray,
    hard: np.ndarray,
) -> Batch:
    """The batch of g models.

    Parameters
    ----------
    problem : Problem
        Of one of them, without weights.
    Y, weight : array (t, 1, m), or None
        Distinct targets and weights, where not all models have the same targets, or none have weights.
    rows : pair of ndarrays (g,)
        Which of these each model has.
    l2s, hard : ndarray (g,)
        The penalty, and whether the targets are labels.
    """
    source, g = problem.source, l2s.shape[0]
    if Y is not None:
        source = dataclasses.replace(source, Y=Y, target_of=rows[0])
    if weight is not None:
        source = dataclasses.replace(source, weight=weight, weight_of=rows[1])
    totals, masses = source.sum(target_terms, np.zeros((1, g, 1)))
    if Y is not None or weight is not None:
        source = dataclasses.replace(source, total_weight=totals[:, 0])
    separable = hard & (l2s == 0)
    objective = dataclasses.replace(
        problem.objective, source=source, l2=l2s.reshape(1, -1, 1), separable=bool(np.any(separable))
    )
    with np.errstate(all="ignore"):
        return Batch(problem, source, objective, masses[:, 0] / totals[:, 0], Y is None, separable)


def minimize_together(batch: Batch, options: Options) -> list[Result | None]:
    """Results of the models, None for those that have to go on alone; their passes count what prepared the batch."""
    problem, whole = batch.problem, batch.objective
    found = _at_reference(batch, options) if batch.same else None
    prepared = _at_log_odds(batch) if found is None else found
    results: list[Result | None] = [None] * batch.models
    fits = np.flatnonzero((batch.shares > 0) & (batch.shares < 1))
    penalty = whole.free[:, :, 0] * np.concatenate([whole.penalty[:, 0, :], [[0.0]]])
    M = Shared.of(prepared.S, penalty, prepared.curvature[fits], whole.l2[0, fits, 0], whole.precision)
    fits, M = fits[M.regular], M.keep(np.flatnonzero(M.regular))
    size = max(1, THETA_NUMBERS // prepared.start.shape[0])
    for first in range(0, len(fits), size):
        numbers = np.arange(first, min(first + size, len(fits)))
        part = fits[numbers]
        objective = whole.keep(part)
        with problem.source.place.computing():
            ended = simultaneous.minimize(
                objective,
                prepared.start[:, part, :],
                method=QuasiNewton(M.keep(numbers), patience=prepared.patience),
                tol=problem.tolerance(options),
                max_iter=min(STEPS, options.steps),
            )
        rests, more = _at_rest(objective, ended, batch.separable[part])
        for model, result in zip(part[rests].tolist(), itertools.compress(ended, rests), strict=True):
            passes = result.passes + prepared.passes + more * batch.separable[model]
            results[model] = dataclasses.replace(result, passes=float(passes))
    return results


class Prepared(NamedTuple):
    """What the models of a batch start and step with."""

    start: np.ndarray  # (n_x + 1, g, 1)
    S: np.ndarray  # (n_x + 1, n_x + 1), the Hessian of the losses but for the curvature of each model
    curvature: np.ndarray  # (g,)
    patience: int  # gaps that must be small in a row
    passes: float


def _at_reference(batch: Batch, options: Options) -> Prepared | None:
    """From the minimum of the model with the middle penalty, where it is found."""
    problem = batch.problem
    result = solve(problem, options)
    if result.reason not in ("converged", "precision"):
        return None
    hessian = problem.objective.expand(result.theta).hessian
    H = np.asarray(hessian)[0] - problem.objective.shift(1)[0]
    start = np.repeat(result.theta, batch.models, axis=1)
    return Prepared(start, H, np.ones(batch.models), 1, result.passes + 1.0)


def _at_log_odds(batch: Batch) -> Prepared:
    """From the models without features, whose Hessian is a multiple of the second moment."""
    start = np.zeros((batch.problem.start.shape[0], batch.models, 1))
    with np.errstate(divide="ignore"):
        odds = np.log(batch.shares) - np.log1p(-batch.shares)
    start[-1, :, 0] = np.where(np.isfinite(odds), odds, 0.0) * batch.objective.free[-1, 0, 0]
    S = dataclasses.replace(batch.problem.objective, center=None).second_moment()
    return Prepared(start, S, batch.shares * (1.0 - batch.shares), 2, 1.0)


def _at_rest(objective: Objective, ended: list[Result], separable: np.ndarray) -> tuple[np.ndarray, float]:
    """Which of the models (g,) ended at a minimum: their scores have come to rest where there may be none."""
    done = np.asarray([result.reason != "left" for result in ended])
    open_ended = np.flatnonzero(done & separable)
    if open_ended.size == 0:
        return done, 0.0
    trend = np.concatenate([ended[model].trend for model in open_ended.tolist()], axis=1)
    _, moved = objective.keep(open_ended).recession(trend)
    done[open_ended] = moved < descent.STILL
    return done, 1.0
