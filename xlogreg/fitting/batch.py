"""Many models that share X, minimised together: one pass serves all.

Models of two classes, and of not too many features, step with a few inverses of Hessians. If all have the same targets
(penalties, folds, replicates), they start at the answer of one of them, and step with its Hessian on all samples. If
each has its own targets, they start at their log odds, and step with the second moment of the features times the
curvature p (1 - p) of each model. L-BFGS on all samples does the rest. The other models go from the strong penalties to
the weak, see `xlogreg.solvers.penalty_path`. Models that do not converge are left to the solver of single models.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import HOST
from xlogreg.fitting.problem import Problem
from xlogreg.fitting.solving import centered, solve
from xlogreg.inputs.options import Options
from xlogreg.math.losses import RARE
from xlogreg.math.sums import size_terms, target_terms
from xlogreg.samples.folds import Folds
from xlogreg.samples.source import Samples
from xlogreg.solvers import block_lbfgs, firth, penalty_path
from xlogreg.solvers.certificate import EXPANSION_LIMIT, hides
from xlogreg.solvers.constant import Constant, fit_constants, log_odds
from xlogreg.solvers.coordinates import Coordinates, measure_spreads, user_coordinates
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import Shared
from xlogreg.solvers.quasi_newton import Pairs, QuasiNewton
from xlogreg.solvers.result import GroupMonitor, Result
from xlogreg.solvers.simultaneous import NARROW_GAP, minimize_in_stages
from xlogreg.solvers.spectral_lbfgs import axes_pay, principal_axes

__all__ = ["Batch", "minimize_together", "pose_batch", "reduce_together", "sharing_pays"]

STEPS = 30  # steps after which a model goes on alone: by then its pairs no longer prove its gap
LOOSEST = 1e-8  # largest relative gap, even if tol is larger: shared inverses only estimate the gap
NEAR = 1e-4  # relative gap of the model that the others start from; different weights move the minimum further
ELEMENTWISE = 50  # features whose products take as long as the elementwise work on a score
ALIKE = 8.0  # factor by which a penalty may differ from the preconditioner's; the gap may be wrong by as much
NARROW_WORK = 5e7  # features times scores of a pass; below it a stage in float32 costs more in calls than it saves
NARROW_SHIFT = 100.0  # largest mean of a feature, in standard deviations, for a stage in float32
NARROW_REACH = 15.0  # largest absolute log10 of a feature's standard deviation, for a stage in float32
FEW_HOLDING = 0.1  # of the samples: if fewer hold the variance of a feature, they may hide its curvature
HESSIAN_NUMBERS = 2**23  # numbers in the Hessians of a portion of models that each have their own
THETA_NUMBERS = 2**20  # parameters of all models of a portion: L-BFGS holds up to 40 times as many numbers


class Batch(NamedTuple):
    """g models that share X."""

    problem: Problem  # of one model without weights: the coordinates, the penalty, the parameters that may move
    source: Samples | Folds  # with the targets and weights of all models
    objective: Objective  # of all models
    shares: np.ndarray  # (g, k) mean of the targets of each model, by weight
    tracks: np.ndarray  # (g,) models with the same number differ only in their penalty
    same: bool  # whether all have the same targets
    separable: np.ndarray  # (g,) whether there is no minimum if the classes are separated
    users: Coordinates | None = None  # coordinates of each model's penalty (n_x, g), if these differ
    constant: Constant | None = None  # the models without features, if the samples have an offset
    reference: np.ndarray | None = None  # theta near the minimum of all, if known
    monitor: GroupMonitor | None = None

    @property
    def models(self) -> int:
        return self.shares.shape[0]

    @property
    def stopped(self) -> str:
        """The reason why the monitor stopped the models, or ""."""
        return "" if self.monitor is None else self.monitor.stopped

    def watch(self, part: np.ndarray) -> GroupMonitor | None:
        """Return the monitor of some of the models."""
        return None if self.monitor is None else self.monitor.keep(part)

    def single(self, model: int) -> Problem:
        """Return the problem of one of the models alone."""
        problem, source = self.problem, self.source.alone(model)
        kept = self.objective.keep(np.asarray([model]))
        separable = bool(self.separable[model])
        objective = dataclasses.replace(kept, source=source, separable=separable)
        spread, user = problem.spread, problem.user
        if spread is not None:
            constant = None if self.constant is None else self.constant.of(model)
            spread = spread._replace(targets=self.shares[model][:, None], opposite=None, constant=constant)
        if self.users is not None:
            user = Coordinates(*(part[:, [model]] for part in self.users))
        given, columns = (samples.like(source) for samples in (problem.given, problem.columns))
        whole = problem.full is problem.objective
        full = objective
        if not whole:
            penalty = problem.full.penalty.of_strengths(kept.penalty.strength)
            full = dataclasses.replace(problem.full, source=columns, penalty=penalty, separable=separable)
        changed: dict[str, Any] = {
            "spread": spread,
            "user": user,
            "given": given,
            "columns": source if whole else columns,
        }
        return problem._replace(objective=objective, source=source, full=full, solver="batch", **changed)


def sharing_pays(problem: Problem) -> bool:
    """Whether models of this kind are minimised faster together than one by one."""
    axes = problem.solver in ("spectral-lbfgs", "rent-or-buy") and axes_pay(problem.source, problem.start.shape[2])
    pays = _inverses_pay(problem) or axes or problem.solver == "block-lbfgs"
    return problem.objective.penalty.quadratic and (pays or problem.solver == "firth")


def _inverses_pay(problem: Problem) -> bool:
    return problem.start.shape[0] <= EXPANSION_LIMIT and problem.start.shape[2] == 1


def pose_batch(
    problem: Problem,
    source: Samples | Folds,
    tracks: np.ndarray,
    same: bool,
    l2s: np.ndarray,
    hard: np.ndarray,
    scaled: bool = False,
) -> Batch:
    """Make the batch of g models.

    Parameters
    ----------
    problem : Problem
        The problem of one of the models.
    source : Samples or Folds
        The samples of the problem, or samples with the targets and weights of each model.
    tracks : ndarray (g,)
    same : bool
        Whether all models have the same targets.
    l2s, hard : ndarray (g,)
        The penalty of each model, and whether its targets are labels.
    scaled : bool
        Whether each model is penalised in the scale of its own samples; the models then have a bias.
    """
    totals, masses = source.sum(target_terms, np.zeros((1, l2s.shape[0], problem.start.shape[2])))
    if source is not problem.source:
        source = source.weighing(totals[:, 0])
    penalty = problem.objective.penalty.of_strengths(l2s)
    objective = dataclasses.replace(problem.objective, source=source, penalty=penalty)
    separable = hard & ~objective.held
    objective = dataclasses.replace(objective, separable=bool(np.any(separable)))
    with np.errstate(all="ignore"):
        batch = Batch(problem, source, objective, masses / totals, tracks, same, separable)
    if source.has_offset:
        batch = batch._replace(constant=fit_constants(source, batch.shares, bool(problem.objective.free[-1, 0, 0])))
    return _scaled(batch) if scaled else batch


def _scaled(batch: Batch) -> Batch:
    """Scale the penalties as `pose` does, but by the spread of each model's own samples."""
    problem, first, own = batch.problem, *np.unique(batch.tracks, return_index=True, return_inverse=True)[1:]
    assert not problem.is_reduced, "a span is that of one scale"
    spread = measure_spreads(batch.source.keep(first), batch.shares[first].T)
    mean, scale = user_coordinates(batch.source.n_x, True, spread)
    penalty = batch.objective.penalty.in_units((scale / problem.inner.scale)[:, own, None])
    center = problem.inner.center if batch.source.shifts else 0.0  # the means are measured from there
    moving = np.append(spread.variance > 0, np.ones((1, len(first))), axis=0)  # constant features do not move
    free = problem.objective.free * (moving[:, own, None] if not np.all(moving) else 1.0)
    return batch._replace(
        problem=problem._replace(passes=problem.passes + spread.passes),
        objective=dataclasses.replace(batch.objective, penalty=penalty, free=free),
        users=Coordinates((center + mean)[:, own], scale[:, own]),
    )


def _alike(batch: Batch) -> np.ndarray:
    """Return which of the models (g,) have about the penalty of the problem, whose preconditioner they share."""
    if batch.users is None:
        return np.ones(batch.models, dtype=bool)
    penalty, shared = batch.objective.penalty, batch.problem.objective.penalty.profile
    near = (penalty.profile <= ALIKE * shared) & (penalty.profile >= shared / ALIKE)
    return np.all(near | (batch.objective.free == 0) | ~penalty.mask, axis=(0, 2))


def minimize_together(batch: Batch, options: Options, starts: dict[int, np.ndarray]) -> list[Result | None]:
    """Minimise the models, and return their results, None for each model that has to go on alone.

    The passes of a result include those that prepared the batch. ``starts`` holds, by number, the start
    (n_x + 1, 1, k) of each model that has its own.
    """
    results: list[Result | None] = [None] * batch.models
    rare = RARE[batch.source.dtype]
    fits = np.flatnonzero(np.all((batch.shares > rare) & (batch.shares < 1.0 - rare), axis=1) & _alike(batch))
    minimize = _by_inverses if _inverses_pay(batch.problem) else _along_penalties
    with batch.problem.source.place.computing():
        wary = not batch.problem.is_reduced and _is_heavy(batch.problem)
        for part, ended, passes in minimize(batch, options, fits, starts):
            objective = batch.objective.keep(part)
            rests, more = _at_rest(objective, ended, batch.separable[part])
            if batch.stopped:  # no solver of single models follows, so each stays where it is
                ended = [result if rest else _stopped(batch, result) for result, rest in zip(ended, rests, strict=True)]
                rests = np.ones(len(part), dtype=bool)
            if wary and not batch.stopped:
                thetas = np.concatenate([result.theta for result in ended], axis=1)
                rests &= ~hides(objective, thetas, batch.problem.moment)
                passes += 2.0
            for model, result in zip(part[rests].tolist(), itertools.compress(ended, rests), strict=True):
                total = result.passes + passes + more * batch.separable[model]
                results[model] = dataclasses.replace(result, passes=float(total))
    return results


def reduce_together(batch: Batch, options: Options, starts: dict[int, np.ndarray]) -> list[Result | None]:
    """Minimise the models with Jeffreys' penalty; see `minimize_together`."""
    results: list[Result | None] = [None] * batch.models
    with batch.problem.source.place.computing():
        size = batch.problem.start.shape[0] ** 2
        for part in np.array_split(np.arange(batch.models), math.ceil(batch.models * size / HESSIAN_NUMBERS)):
            if batch.stopped:
                break
            objective = batch.objective.keep(part)
            start = objective.confined(_begun(_biased(batch), part, starts))
            cost = firth.Jeffreys.of(objective)
            tol, group = batch.problem.tolerance(options), batch.watch(part)
            found = firth.minimize(cost, start, tol=tol, max_iter=options.steps, group=group)
            for model, result in zip(part.tolist(), firth.certified(cost, found), strict=True):
                results[model] = dataclasses.replace(result, passes=result.passes + 1)
    return results


def _stopped(batch: Batch, result: Result) -> Result:
    """Say of a model that needs another solver that the call was stopped before."""
    return dataclasses.replace(result, reason=batch.stopped)


def _is_heavy(problem: Problem) -> bool:
    """Whether few samples may hold most of the variance of a feature: one pass."""
    source = problem.source
    totals = source.sum(size_terms, HOST.put(1.0 / problem.inner.scale))
    second, fourth = (np.asarray(total) * problem.objective.free[:-1, :, 0] for total in totals)
    holding = second**2 * source.m / np.where(fourth > 0, fourth * source.total_weight, np.inf)  # samples, in effect
    return bool(np.any((holding < FEW_HOLDING * source.effective_samples) & (second > 0)))


Ended = Iterator[tuple[np.ndarray, list[Result], float]]  # numbers of some models, their results, the passes before


def _by_inverses(batch: Batch, options: Options, fits: np.ndarray, starts: dict[int, np.ndarray]) -> Ended:
    """Minimise the models ``fits`` with steps by inverses of Hessians of all samples."""
    if fits.size == 0:
        return
    problem, whole, shared = batch.problem, batch.objective, batch.problem.objective
    found = _at_reference(batch, options) if batch.same else None
    prepared = _at_log_odds(batch) if found is None else found
    profile, strength = (shared.free * shared.penalty.profile)[:, :, 0], whole.penalty.strength[fits]
    M = Shared.from_moment(prepared.S, profile, prepared.curvature[fits], strength, whole.precision)
    fits, M = fits[M.regular], M.keep(np.flatnonzero(M.regular))
    tol, stages = min(problem.tolerance(options), LOOSEST), []
    narrow = _narrow(batch) if found is None and tol < NARROW_GAP else None  # a start at the reference is near anyway
    if narrow is not None:
        stages.append((narrow, NARROW_GAP))
    for numbers in _portions(np.arange(len(fits)), batch):
        part = fits[numbers]
        if batch.stopped and numbers[0] > 0:
            return
        ended = minimize_in_stages(
            [(objective.keep(part), gap) for objective, gap in (*stages, (whole, tol))],
            whole.keep(part).confined(_begun(prepared.start, part, starts)),
            method=functools.partial(_inverted, M.keep(numbers), prepared.patience),
            max_iter=min(STEPS, options.steps),
            monitor=batch.watch(part),
        )
        yield part, ended, prepared.passes


def _inverted(
    inverses: Shared, patience: int, part: Objective, left: np.ndarray, theta: np.ndarray, pairs: Pairs | None
) -> QuasiNewton:
    """Make the method of a stage from the inverses and the pairs so far."""
    return QuasiNewton(inverses.keep(left), pairs or (), patience=patience)


def _along_penalties(batch: Batch, options: Options, fits: np.ndarray, starts: dict[int, np.ndarray]) -> Ended:
    """Minimise the models ``fits``, from the strong penalties to the weak."""
    problem = batch.problem
    assert problem.spread is not None
    rng = np.random.default_rng(options.rng)
    block = problem.solver == "block-lbfgs"
    find: Callable[..., penalty_path.Curvature] = block_lbfgs.frequent if block else principal_axes
    axes = find(problem.objective, problem.source, problem.spread, problem.coordinates, rng)
    for tracks in _portions(np.unique(batch.tracks[fits]), batch):
        part = fits[np.isin(batch.tracks[fits], tracks)]
        objective = batch.objective.keep(part)
        ended = penalty_path.minimize(
            objective,
            objective.confined(_begun(_biased(batch), part, starts)),
            given=np.isin(part, list(starts)),
            tracks=batch.tracks[part],
            axes=axes,
            tol=min(problem.tolerance(options), LOOSEST),
            max_iter=options.steps,
            monitor=batch.watch(part),
        )
        begun = [number for number, result in enumerate(ended) if result is not None]
        yield part[begun], [centered(problem.objective, result) for result in ended if result is not None], axes.passes
        if batch.stopped:
            return


def _narrow(batch: Batch) -> Objective | None:
    """Return the objective in float32, which is half the work; None if the work is little, or float32 too coarse for X.

    It is also None if classes may be separated, since the steps have to show that.
    """
    (problem, source), spread = batch[:2], batch.problem.spread
    work = source.m * batch.shares.size * (source.n_x + ELEMENTWISE)
    if spread is None or batch.objective.separable or source.dtype != "float64" or work < NARROW_WORK:
        return None
    varies = spread.variance > 0
    mean, deviation = np.abs(spread.mean[varies]), np.sqrt(spread.variance[varies])
    told = np.all(mean <= NARROW_SHIFT * deviation) and np.all(np.abs(np.log10(deviation)) <= NARROW_REACH)
    if problem.is_reduced or not told:
        return None
    return batch.objective.over(source.narrowed())


def _portions(numbers: np.ndarray, batch: Batch) -> list[np.ndarray]:
    """Split the numbers of models into as many portions as the memory for their parameters requires."""
    count = math.ceil(len(numbers) * batch.problem.start.size / THETA_NUMBERS)
    return np.array_split(numbers, count) if count else []


def _begun(start: np.ndarray, part: np.ndarray, starts: dict[int, np.ndarray]) -> np.ndarray:
    """Return the start of some models, their own start if they have one; a single column if all start at one point."""
    if start.shape[1] == 1:
        if not any(model in starts for model in part.tolist()):
            return start
        start = np.repeat(start, part.max() + 1, axis=1)
    return np.concatenate([starts.get(model, start[:, [model], :]) for model in part.tolist()], axis=1)


def _biased(batch: Batch) -> np.ndarray:
    """Return the parameters (n_x + 1, g, k) of the models without features: the biases alone."""
    start = np.zeros((batch.problem.start.shape[0], *batch.shares.shape))
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = log_odds(batch.shares) if batch.constant is None else batch.constant.bias
    start[-1] = np.where(np.isfinite(odds), odds, 0.0) * batch.objective.free[-1]
    return start


class Prepared(NamedTuple):
    """The point that the models of a batch start at, and the Hessian that they step with."""

    start: np.ndarray  # (n_x + 1, g, 1), or (n_x + 1, 1, 1) for all
    S: np.ndarray  # (n_x + 1, n_x + 1), Hessian of the losses without the curvature of each model as a factor
    curvature: np.ndarray  # (g,)
    patience: int  # how many gaps in a row must be small
    passes: float


def _at_reference(batch: Batch, options: Options) -> Prepared | None:
    """Prepare from the minimum of the model with the middle penalty, unless one is known; None if it is not found."""
    problem, theta, passes = batch.problem, batch.reference, 0.0
    if theta is None:
        result = solve(problem, dataclasses.replace(options, tol=max(problem.tolerance(options), NEAR)))
        if result.reason not in ("converged", "precision"):
            return None
        theta, passes = result.theta, result.passes
    hessian = problem.objective.expand(theta).hessian
    H = np.asarray(hessian)[0] - problem.objective.shift(theta)[0]
    return Prepared(theta, H, np.ones(batch.models), 1, passes + 1.0)


def _at_log_odds(batch: Batch) -> Prepared:
    """Prepare from the models without features, whose Hessian is a multiple of the second moment."""
    S = batch.problem.objective.over(batch.problem.source).second_moment()
    shares, constant = batch.shares[:, 0], batch.constant
    curvature = shares * (1.0 - shares) if constant is None else constant.curvature[:, 0, 0]
    return Prepared(_biased(batch), S, curvature, 2, 1.0)


def _at_rest(objective: Objective, ended: list[Result], separable: np.ndarray) -> tuple[np.ndarray, float]:
    """Return which of the models (g,) ended at a minimum, and the passes that it took to find out.

    If a model may have no minimum, its scores must have come to rest.
    """
    done = np.asarray([result.reason != "left" for result in ended])
    open_ended = np.flatnonzero(done & separable)
    if open_ended.size == 0:
        return done, 0.0
    trend = np.concatenate([ended[model].trend for model in open_ended.tolist()], axis=1)
    done[open_ended] = np.asarray(objective.keep(open_ended).restless(trend)) == 0
    return done, 1.0
