"""Many models that share X, minimised together: one pass serves all.

Models of two classes, and of not too many features, are stepped by a few inverses of Hessians. Where all have the same
targets (penalties, folds, replicates) they start at the answer of one of them, and step with its Hessian on all
samples; where each has its own, they start at their log odds, and step with the second moment of the features times
the curvature p (1 - p) of each. Then L-BFGS on all samples. The others go from the strong penalties to the weak, see
`xlogreg.solvers.penalty_path`. What does not converge so is left to the solver of single models.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from xlogreg.fitting.problem import Problem, log_odds
from xlogreg.fitting.solving import centered, solve
from xlogreg.inputs.options import Options
from xlogreg.math.losses import RARE
from xlogreg.math.sums import target_terms
from xlogreg.samples.cluster.distributed import Distributed
from xlogreg.samples.folds import Folds
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Samples
from xlogreg.solvers import penalty_path
from xlogreg.solvers.certificate import EXPANSION_LIMIT
from xlogreg.solvers.coordinates import Coordinates, measure_spreads, user_coordinates
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import Shared
from xlogreg.solvers.quasi_newton import Pairs, QuasiNewton
from xlogreg.solvers.result import Result
from xlogreg.solvers.simultaneous import NARROW_GAP, minimize_in_stages
from xlogreg.solvers.span import Span
from xlogreg.solvers.spectral_lbfgs import axes_pay, principal_axes

__all__ = ["Batch", "minimize_together", "pose_batch", "sharing_pays"]

STEPS = 30  # after which a model goes on alone: what pairs say of a gap after so many is no proof any more
LOOSEST = 1e-8  # relative gap that models are brought to, whatever is asked for: what they share only estimates it
NEAR = 1e-4  # relative gap of the model that the others start from: less than what weights change
ELEMENTWISE = 50  # features whose products take the time of what is done to each score
ALIKE = 8.0  # times larger or smaller than in the preconditioner that a penalty may be: as much may the gap
NARROW_WORK = 5e7  # features times scores of a pass, below which a stage in float32 is not worth its calls
NARROW_SHIFT = 100.0  # standard deviations that a mean may have there
NARROW_REACH = 15.0  # powers of ten that a deviation may have there
THETA_NUMBERS = 2**20  # of all models of a batch: L-BFGS holds up to 40 times as many


class Batch(NamedTuple):
    """g models that share X."""

    problem: Problem  # of one of them without weights: coordinates, penalty, what may move
    source: Samples | Folds  # with the targets and weights of all
    objective: Objective  # of all
    shares: np.ndarray  # of the targets (g, k), by weight
    tracks: np.ndarray  # (g,) one number for models that differ in nothing but their penalty
    same: bool  # whether all have the same targets
    separable: np.ndarray  # (g,) whether separated classes mean that there is no minimum
    users: Coordinates | None = None  # those of each model's penalty (n_x, g), where they differ

    @property
    def models(self) -> int:
        return self.shares.shape[0]

    def single(self, model: int) -> Problem:
        """The problem of one of the models alone."""
        problem, source = self.problem, self.source.alone(model)
        kept = self.objective.keep(np.asarray([model]))
        own = {"l2": kept.l2, "separable": bool(self.separable[model])}
        objective = dataclasses.replace(kept, source=source, separable=own["separable"])
        spread, user = problem.spread, problem.user
        if spread is not None:
            spread = spread._replace(targets=self.shares[model][:, None], opposite=None)
        if self.users is not None:
            user = Coordinates(*(part[:, [model]] for part in self.users))
        given, columns = (_of_the_same(samples, source) for samples in (problem.given, problem.columns))
        whole = problem.full is problem.objective
        full = objective if whole else dataclasses.replace(problem.full, source=columns, **own)
        changed: dict[str, Any] = {
            "spread": spread,
            "user": user,
            "given": given,
            "columns": source if whole else columns,
        }
        return problem._replace(objective=objective, source=source, full=full, solver="batch", **changed)


def _of_the_same(samples: Samples, model: Samples) -> Samples:
    """Samples with the targets and weights of a model."""
    if not isinstance(samples, InMemory):
        return model.uncentered()
    assert isinstance(model, InMemory)
    names = ("Y", "weight", "total_weight", "n_classes")
    return dataclasses.replace(samples, **{name: getattr(model, name) for name in names})


def sharing_pays(problem: Problem) -> bool:
    """Whether models of this kind are minimised faster together than one by one."""
    return _inverses_pay(problem) or (
        problem.solver == "spectral-lbfgs" and axes_pay(problem.source, problem.start.shape[2])
    )


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
    """The batch of g models.

    Parameters
    ----------
    problem : Problem
        Of one of them.
    source : Samples or Folds
        That of the problem, or one with what each model has of its own.
    tracks : ndarray (g,)
    same : bool
        Whether all models have the same targets.
    l2s, hard : ndarray (g,)
        The penalty, and whether the targets are labels.
    scaled : bool
        Whether each model is penalised in the scale of its own samples; there is a bias, then.
    """
    totals, masses = source.sum(target_terms, np.zeros((1, l2s.shape[0], problem.start.shape[2])))
    if source is not problem.source:
        assert isinstance(source, (InMemory, Folds, Distributed))
        source = dataclasses.replace(source, total_weight=totals[:, 0])
    separable = hard & (l2s == 0)
    objective = dataclasses.replace(
        problem.objective, source=source, l2=l2s.reshape(1, -1, 1), separable=bool(np.any(separable))
    )
    with np.errstate(all="ignore"):
        batch = Batch(problem, source, objective, masses / totals, tracks, same, separable)
    return _scaled(batch) if scaled else batch


def _scaled(batch: Batch) -> Batch:
    """The batch with penalties as `pose` has them, from the spread of each model's own samples."""
    problem, first, own = batch.problem, *np.unique(batch.tracks, return_index=True, return_inverse=True)[1:]
    assert isinstance(problem.coordinates, Coordinates), "a span is that of one scale"
    spread = measure_spreads(batch.source.keep(first), batch.shares[first].T)
    mean, scale = user_coordinates(batch.source.n_x, True, spread)
    penalty = (scale / problem.coordinates.scale)[:, own, None] ** 2
    moving = np.append(spread.variance > 0, np.ones((1, len(first))), axis=0)  # a feature that is constant there is not
    free = problem.objective.free * (moving[:, own, None] if not np.all(moving) else 1.0)
    return batch._replace(
        problem=problem._replace(passes=problem.passes + spread.passes),
        objective=dataclasses.replace(batch.objective, penalty=penalty, free=free),
        users=Coordinates((problem.coordinates.center + mean)[:, own], scale[:, own]),
    )


def _alike(batch: Batch) -> np.ndarray:
    """Which of the models (g,) are penalised about as the problem is, whose preconditioner they share."""
    if batch.users is None:
        return np.ones(batch.models, dtype=bool)
    ratio = batch.objective.penalty / batch.problem.objective.penalty
    near = (ratio <= ALIKE) & (ratio >= 1.0 / ALIKE) | (batch.objective.free[:-1] == 0) | (batch.objective.l2 == 0)
    return np.all(near, axis=(0, 2))


def minimize_together(batch: Batch, options: Options, starts: dict[int, np.ndarray]) -> list[Result | None]:
    """Results of the models, None for those that have to go on alone; their passes count what prepared the batch.

    ``starts``: where the models begin that have a start of their own, by number (n_x + 1, 1, k).
    """
    results: list[Result | None] = [None] * batch.models
    rare = RARE[batch.source.dtype]
    fits = np.flatnonzero(np.all((batch.shares > rare) & (batch.shares < 1.0 - rare), axis=1) & _alike(batch))
    minimize = _by_inverses if _inverses_pay(batch.problem) else _along_penalties
    with batch.problem.source.place.computing():
        for part, ended, passes in minimize(batch, options, fits, starts):
            rests, more = _at_rest(batch.objective.keep(part), ended, batch.separable[part])
            for model, result in zip(part[rests].tolist(), itertools.compress(ended, rests), strict=True):
                total = result.passes + passes + more * batch.separable[model]
                results[model] = dataclasses.replace(result, passes=float(total))
    return results


Ended = Iterator[tuple[np.ndarray, list[Result], float]]  # of some of the models, by number, and the passes before


def _by_inverses(batch: Batch, options: Options, fits: np.ndarray, starts: dict[int, np.ndarray]) -> Ended:
    """Those of the models that fit, stepped by inverses of Hessians of all samples."""
    if fits.size == 0:
        return
    problem, whole, shared = batch.problem, batch.objective, batch.problem.objective
    found = _at_reference(batch, options) if batch.same else None
    prepared = _at_log_odds(batch) if found is None else found
    penalty = shared.free[:, :, 0] * np.concatenate([shared.penalty[:, 0, :], [[0.0]]])
    M = Shared.from_moment(prepared.S, penalty, prepared.curvature[fits], whole.l2[0, fits, 0], whole.precision)
    fits, M = fits[M.regular], M.keep(np.flatnonzero(M.regular))
    tol, stages = min(problem.tolerance(options), LOOSEST), []
    narrow = _narrow(batch) if found is None and tol < NARROW_GAP else None  # from a reference it is near anyway
    if narrow is not None:
        stages.append((narrow, NARROW_GAP))
    for numbers in _portions(np.arange(len(fits)), batch):
        part = fits[numbers]
        ended = minimize_in_stages(
            [(objective.keep(part), gap) for objective, gap in (*stages, (whole, tol))],
            _begun(prepared.start, part, starts),
            method=functools.partial(_inverted, M.keep(numbers), prepared.patience),
            max_iter=min(STEPS, options.steps),
        )
        yield part, ended, prepared.passes


def _inverted(
    inverses: Shared, patience: int, part: Objective, left: np.ndarray, theta: np.ndarray, pairs: Pairs | None
) -> QuasiNewton:
    """The method of a stage: the inverses, and the pairs so far."""
    return QuasiNewton(inverses.keep(left), pairs or (), patience=patience)


def _along_penalties(batch: Batch, options: Options, fits: np.ndarray, starts: dict[int, np.ndarray]) -> Ended:
    """Those of the models that fit, from the strong penalties to the weak."""
    problem = batch.problem
    assert problem.spread is not None
    rng = np.random.default_rng(options.rng)
    axes = principal_axes(problem.objective, problem.source, problem.spread, problem.coordinates, rng)
    for tracks in _portions(np.unique(batch.tracks[fits]), batch):
        part = fits[np.isin(batch.tracks[fits], tracks)]
        ended = penalty_path.minimize(
            batch.objective.keep(part),
            _begun(_biased(batch), part, starts),
            given=np.isin(part, list(starts)),
            tracks=batch.tracks[part],
            axes=axes,
            tol=min(problem.tolerance(options), LOOSEST),
            max_iter=options.steps,
        )
        yield part, [centered(result) for result in ended], axes.passes


def _narrow(batch: Batch) -> Objective | None:
    """The same in float32, half the work; None where it is little, or where float32 would say nothing of X.

    Nor where classes may be separated, which the steps have to tell.
    """
    (problem, source), spread = batch[:2], batch.problem.spread
    work = source.m * batch.shares.size * (source.n_x + ELEMENTWISE)
    if spread is None or batch.objective.separable or source.dtype != "float64" or work < NARROW_WORK:
        return None
    varies = spread.variance > 0
    mean, deviation = np.abs(spread.mean[varies]), np.sqrt(spread.variance[varies])
    told = np.all(mean <= NARROW_SHIFT * deviation) and np.all(np.abs(np.log10(deviation)) <= NARROW_REACH)
    if isinstance(problem.coordinates, Span) or not told:
        return None
    return dataclasses.replace(batch.objective, source=source.narrowed(), center=None)


def _portions(numbers: np.ndarray, batch: Batch) -> list[np.ndarray]:
    """The numbers of models, in as many portions as the memory of their parameters asks for."""
    count = math.ceil(len(numbers) * batch.problem.start.size / THETA_NUMBERS)
    return np.array_split(numbers, count) if count else []


def _begun(start: np.ndarray, part: np.ndarray, starts: dict[int, np.ndarray]) -> np.ndarray:
    """The start of some of the models, with those of their own; of one column where it is the same for all."""
    if start.shape[1] == 1:
        if not any(model in starts for model in part.tolist()):
            return start
        start = np.repeat(start, part.max() + 1, axis=1)
    return np.concatenate([starts.get(model, start[:, [model], :]) for model in part.tolist()], axis=1)


def _biased(batch: Batch) -> np.ndarray:
    """The models without features (n_x + 1, g, k)."""
    start = np.zeros((batch.problem.start.shape[0], *batch.shares.shape))
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = log_odds(batch.shares)
    start[-1] = np.where(np.isfinite(odds), odds, 0.0) * batch.objective.free[-1]
    return start


class Prepared(NamedTuple):
    """What the models of a batch start and step with."""

    start: np.ndarray  # (n_x + 1, g, 1), or (n_x + 1, 1, 1) for all
    S: np.ndarray  # (n_x + 1, n_x + 1), the Hessian of the losses but for the curvature of each model
    curvature: np.ndarray  # (g,)
    patience: int  # gaps that must be small in a row
    passes: float


def _at_reference(batch: Batch, options: Options) -> Prepared | None:
    """From the minimum of the model with the middle penalty, where it is found."""
    problem = batch.problem
    result = solve(problem, dataclasses.replace(options, tol=max(problem.tolerance(options), NEAR)))
    if result.reason not in ("converged", "precision"):
        return None
    hessian = problem.objective.expand(result.theta).hessian
    H = np.asarray(hessian)[0] - problem.objective.shift(1)[0]
    return Prepared(result.theta, H, np.ones(batch.models), 1, result.passes + 1.0)


def _at_log_odds(batch: Batch) -> Prepared:
    """From the models without features, whose Hessian is a multiple of the second moment."""
    S = dataclasses.replace(batch.problem.objective, center=None).second_moment()
    shares = batch.shares[:, 0]
    return Prepared(_biased(batch), S, shares * (1.0 - shares), 2, 1.0)


def _at_rest(objective: Objective, ended: list[Result], separable: np.ndarray) -> tuple[np.ndarray, float]:
    """Which of the models (g,) ended at a minimum: their scores have come to rest where there may be none."""
    done = np.asarray([result.reason != "left" for result in ended])
    open_ended = np.flatnonzero(done & separable)
    if open_ended.size == 0:
        return done, 0.0
    trend = np.concatenate([ended[model].trend for model in open_ended.tolist()], axis=1)
    done[open_ended] = np.asarray(objective.keep(open_ended).restless(trend)) == 0
    return done, 1.0
