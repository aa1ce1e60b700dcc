"""Many models of one X: what they share, and how to solve them, together where that pays, else one by one."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import HOST, Array, Place, dtype_name
from xlogreg.fitting.batch import minimize_together, pose_batch, reduce_together, sharing_pays
from xlogreg.fitting.monitors import Course, Together
from xlogreg.fitting.outcome import parameters_at
from xlogreg.fitting.penalty import penalty_of
from xlogreg.fitting.problem import Problem, pose, start_of
from xlogreg.fitting.solving import solve
from xlogreg.inputs import labels
from xlogreg.inputs.options import Options
from xlogreg.math.losses import LOSSES
from xlogreg.math.penalties import Penalty
from xlogreg.math.scores import score_terms
from xlogreg.model.model import Model
from xlogreg.samples.folds import Folds
from xlogreg.samples.intake import Arrival, Origin, Received
from xlogreg.samples.source import Columns, Samples, host_center
from xlogreg.solvers.ahead import AHEAD, look_ahead
from xlogreg.solvers.coordinates import measure_spread, user_coordinates
from xlogreg.solvers.parameters import as_stored
from xlogreg.solvers.proximal import Known, Proximal
from xlogreg.solvers.result import Result
from xlogreg.solvers.span import Span, is_even, reduce_wide, reduction_pays, turns_alike

__all__ = ["Plan", "Solved", "naming_errors", "reduce_plan", "solve_plan"]


ENOUGH = 10  # samples for each parameter; with fewer, a part of them may have another curvature than all
EXPLAINED = 0.999  # share of the deviance, from which on weaker penalties are left out, as glmnet does
GAINED = 1e-5  # the same for what a model explains more than the one before, as a share
NEAR = 0.6  # of an l1, down to which the features are foreseen that weaker penalties select
HIDDEN = 1e-5  # variance of features that a span may lose, as a share of the penalty


class Plan(NamedTuple):
    """The data and options of g models of one X."""

    arrival: Arrival
    targets: list[labels.Targets]  # distinct ones
    weights: list[Array | None]  # distinct ones, as from `labels.as_weight`
    target_of: list[int]  # (g,) which of the targets each model has
    weight_of: list[int]  # (g,) which of the weights each model has
    options: list[Options]  # (g,)
    initials: list[Any] | None = None  # (g,) where each model starts, or None
    folds: np.ndarray | None = None  # (m,) the fold of each sample
    fold_of: list[int] | None = None  # (g,) which fold each model leaves out, -1 for none
    reference: Model | None = None  # that all are near to, and start from if they are fitted together
    ends: bool = False  # whether models of a path are left out once they explain no more than the ones before

    @classmethod
    def of_one(
        cls,
        received: Received,
        options: list[Options],
        folds: np.ndarray | None = None,
        fold_of: list[int] | None = None,
    ) -> "Plan":
        """Make the plan of models that have the same targets and weights."""
        arrival, targets, weight = received
        same = [0] * len(options)
        return cls(arrival, [targets], [weight], same, same, options, None, folds, fold_of)

    @property
    def course(self) -> Course | None:
        """The course of the call, if anybody follows it."""
        return self.options[0].course

    @property
    def stopped(self) -> str:
        """The reason why the call was stopped, or ""."""
        return "" if self.course is None else self.course.stopped

    def initial(self, model: int) -> Any:
        return None if self.initials is None else self.initials[model]

    def target(self, model: int) -> labels.Targets:
        return self.targets[self.target_of[model]]

    def lack(self, model: int) -> str:
        """Say why the model has no sample of a class, as the beginning of a sentence."""
        if self.fold_of is not None:
            return f"fold {self.fold_of[model]} holds every sample"
        return f"sample_weights[{model}] is zero for every sample"

    def kinds(self) -> list[list[int]]:
        """Group the models, by number, so that all of a group have as many classes, in targets of one kind.

        Models with kinks in their cost are of one group if they have the same samples.
        """
        kinds: dict[tuple[Any, ...], list[int]] = {}
        for model, options in enumerate(self.options):
            target = self.target(model)
            kind: tuple[Any, ...] = len(target.classes), target.numbers
            if options.l1:
                kind = self.target_of[model], self.weight_of[model], self.fold_of and self.fold_of[model], "l1"
            kinds.setdefault(kind, []).append(model)
        return list(kinds.values())


class Solved(NamedTuple):
    """The problem of one model, and its result."""

    problem: Problem
    result: Result | None  # None if the model's weights leave a class without a sample, or if it never began
    erased: int | None = None  # the number of that class


def naming_errors(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call function(*arguments), and let its errors say which of many arguments they are about."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def solve_plan(plan: Plan) -> list[Solved]:
    """Solve the models of a plan, together if they can be, and return what was found for each."""
    solved: dict[int, Solved] = {}
    course = plan.course
    if course is not None and course.looks and course.score and plan.folds is not None:
        course.scorer = _scorer(plan, course.score)
    for models in plan.kinds():
        if len(models) > 1 and not (solved and plan.stopped):
            solved |= _in_turn(plan, models) if plan.options[models[0]].l1 else _together(plan, models)
    for model in range(len(plan.options)):
        if model not in solved and not (plan.ends and solved):
            solved[model] = _unbegun(plan, model, solved) if solved and plan.stopped else _alone(plan, model)
    return [solved[model] for model in sorted(solved)]


def _alone(plan: Plan, model: int) -> Solved:
    posed = _posed(plan, model)
    if posed.erased is not None:
        return posed
    return posed._replace(result=_solve(plan, model, posed.problem))


def _solve(plan: Plan, model: int, problem: Problem) -> Result:
    """Solve the problem of a model of the plan, and tell the course of the call."""
    course = plan.course
    if course is None:
        return solve(problem, plan.options[model])
    course.number = model
    result = solve(problem, plan.options[model])
    course.number = None
    course.finds(problem, {} if course.stopped else {model: result}, plan.options)
    return result


def _unbegun(plan: Plan, model: int, solved: dict[int, Solved]) -> Solved:
    """Make the entry of a model that did not begin before the call was stopped; it has no result."""
    outputs = _outputs(plan.target(model))
    alike = next((one.problem for one in solved.values() if one.problem.start.shape[2] == outputs), None)
    if alike is None:
        return _alone(plan, model)  # which ends at its start
    source = plan.arrival.samples.holding(plan.target(model), plan.weights[plan.weight_of[model]])
    return Solved(alike._replace(given=source), None)


def _outputs(target: labels.Targets) -> int:
    return 1 if len(target.classes) == 2 else len(target.classes)


def _scorer(plan: Plan, score: str) -> Callable[[list[int], list[np.ndarray]], np.ndarray]:
    """Return the function that scores models by their parameters (n_x + 1, k) on the fold that each leaves out."""
    assert plan.folds is not None
    held = plan.arrival.samples.holding(plan.targets[0], plan.weights[0])
    held = held.leaving_out(plan.folds, np.asarray(plan.fold_of), held_out=True)
    loss = LOSSES["log_loss" if _outputs(plan.targets[0]) == 1 else "cross_entropy"]

    def scores(models: list[int], thetas: list[np.ndarray]) -> np.ndarray:
        losses, right, mass = held.keep(np.asarray(models)).sum(score_terms, np.stack(thetas, axis=1), loss)
        return (losses if score == "log_loss" else right) / mass

    return scores


def _posed(plan: Plan, model: int) -> Solved:
    """Pose the problem of a model; it has no result yet."""
    target, options = plan.target(model), plan.options[model]
    source = plan.arrival.samples.holding(target, plan.weights[plan.weight_of[model]])
    if plan.folds is not None and plan.fold_of is not None:
        source = source.without_fold(plan.folds, plan.fold_of[model])
    lost = source.lost_class(target)
    if lost is not None:
        problem = pose(plan.arrival.samples.holding(target, None), target, None, options)
        return Solved(problem._replace(given=source), None, lost)
    return Solved(pose(source, target, plan.initial(model), options), None)


def _in_turn(plan: Plan, models: list[int]) -> Iterator[tuple[int, Solved]]:
    """Minimise models of the same samples from the strong penalties to the weak, each from where the last one ended."""
    if any(plan.initial(model) is not None for model in models):
        return
    order = sorted(models, key=lambda model: (-plan.options[model].l1, -plan.options[model].l2))
    posed = _posed(plan, order[0])
    if posed.erased is not None:
        yield from ((model, posed) for model in models)
        return
    problem, explained, seen = posed.problem, 0.0, dict[int, tuple[Known, float]]()
    for place, model in enumerate(order):
        if place and plan.stopped:
            return
        options = plan.options[model]
        if place in seen:
            known, passes = seen.pop(place)
            problem = problem._replace(start=known.theta, known=known, passes=passes)
        own = problem.with_strengths(options.l1_strength, options.strength)
        result = _solve(plan, model, own)
        yield model, Solved(own, result)
        before, explained = explained, 1.0 + float(result.last.loss[0]) / problem.null
        if plan.ends and (explained > EXPLAINED or 0.0 < explained - before < GAINED * explained):
            return
        if isinstance(result.method, Proximal):  # start where the gradient is known, without the last step
            known = result.method.learnt(result)
            problem = problem._replace(start=result.at, warm=True, passes=0, known=known)
            ahead = [plan.options[model] for model in order[place + 1 :][:AHEAD]]
            ahead = [option for option in ahead if option.l1 >= NEAR * options.l1]
            if not seen and len(ahead) > 1:
                seen = dict(enumerate(_look_ahead(problem, known, ahead), start=place + 1))


def _look_ahead(problem: Problem, known: Known, options: list[Options]) -> list[tuple[Known, float]]:
    """Find what the next models, with these options, can know in one pass together."""
    posed = [problem.with_strengths(option.l1_strength, option.strength) for option in options]
    tols = [own.tolerance(option) for own, option in zip(posed, options, strict=True)]
    with problem.source.place.computing():
        return look_ahead(known, [own.objective for own in posed], tols)


def _together(plan: Plan, models: list[int]) -> Iterator[tuple[int, Solved]]:
    """Minimise together those of the models that allow it, and yield their numbers and results."""
    middle = sorted(models, key=lambda model: plan.options[model].l2)[len(models) // 2]
    target, options = plan.target(middle), plan.options[middle]
    given = next((plan.initial(model) for model in models if plan.initial(model) is not None), None)
    distinct = {plan.weight_of[model] for model in models}
    own = plan.folds is not None or len(distinct) > 1  # whether the models have samples of their own
    source = plan.arrival.samples.holding(target, plan.weights[distinct.pop()] if len(distinct) == 1 else None)
    scaled = own and options.standardize is True
    if scaled and (not options.bias or reduction_pays(source, options.steps)):
        return  # without a bias each centre would move the scores; a span has one scale for all
    if source.lost_class(target) is not None:
        return
    problem = pose(source, target, given, options)
    if not sharing_pays(problem) or (own and problem.source.m < ENOUGH * problem.start.size):
        return
    batch = pose_batch(
        problem,
        *_columns(plan, problem, models),
        np.asarray([plan.options[model].strength for model in models]),
        np.asarray([plan.target(model).hard and options.bias_reduction is None for model in models]),
        scaled,
    )
    batch = batch._replace(monitor=Together.of(problem, plan.options, models))
    if plan.reference is not None and not problem.is_reduced:
        batch = batch._replace(reference=start_of(problem, plan.reference))
    starts = {
        position: start_of(problem, plan.initial(model))
        for position, model in enumerate(models)
        if plan.initial(model) is not None
    }
    together = minimize_together if options.bias_reduction is None else reduce_together
    for position, result in enumerate(together(batch, options, starts)):
        if result is not None:
            result = dataclasses.replace(result, costs=np.asarray(result.costs)[:, 0])
            yield models[position], Solved(batch.single(position), result)


def _columns(plan: Plan, problem: Problem, models: list[int]) -> tuple[Samples | Folds, np.ndarray, bool]:
    """Return the samples with the models' own columns, a number for each model, and whether all have the same Y.

    Models with the same number differ only in their penalty.
    """
    if plan.folds is not None and plan.fold_of is not None:
        fold_of = np.asarray([plan.fold_of[model] for model in models])
        return problem.source.leaving_out(plan.folds, fold_of), fold_of, True
    targets, target_of = np.unique([plan.target_of[model] for model in models], return_inverse=True)
    weights, weight_of = np.unique([plan.weight_of[model] for model in models], return_inverse=True)
    tracks = np.unique(np.stack([target_of, weight_of]), axis=1, return_inverse=True)[1]
    several, weighted = len(targets) > 1, len(weights) > 1
    if not (several or weighted):
        return problem.source, tracks, True
    columns = Columns(
        _put_targets(plan, targets.tolist()) if several else None,
        _put_weights(plan, weights.tolist()) if weighted else None,
    )
    numbers = target_of if several else None, weight_of if weighted else None
    return problem.source.sharing(columns, *numbers), tracks, not several


def _put_targets(plan: Plan, numbers: list[int]) -> Array:
    """Stack the targets with these numbers into an array (t, k, m)."""
    targets = [plan.targets[number] for number in numbers]
    small = len(targets[0].classes) == 2 and all(target.hard for target in targets)
    dtype = "int32" if targets[0].numbers else "int8" if small else plan.arrival.origin.dtype
    return _put_stack([target.Y for target in targets], plan.arrival.samples.place, dtype)


def _put_weights(plan: Plan, numbers: list[int]) -> Array:
    """Stack the weights with these numbers into an array (t, 1, m)."""
    weights, samples = [plan.weights[number] for number in numbers], plan.arrival.samples
    small = all(weight is not None and dtype_name(weight) == "uint8" for weight in weights)
    # small counts stay as they are, and are converted block by block
    dtype = "uint8" if small else plan.arrival.origin.dtype
    even = np.ones((1, samples.m), dtype=dtype)
    put = _put_stack([even if weight is None else weight for weight in weights], samples.place, dtype)
    for number, total in zip(numbers, labels.totals_of(put), strict=True):
        naming_errors(f"sample_weights[{number}]", labels.expect_total, total, dtype)
    return put


def _put_stack(parts: list[Array], place: Place, dtype: str) -> Array:
    """Stack arrays (k, m) on a place, in ``dtype``; what is on the host goes there in one transfer."""
    with place.computing():
        if all(isinstance(part, np.ndarray) for part in parts):
            rows = np.stack([np.ravel(part) for part in parts], dtype=dtype, casting="unsafe")
            return place.xp.reshape(place.put(rows), (len(parts), *parts[0].shape))
        return place.xp.stack([place.put(part, dtype) for part in parts])


def reduce_plan(plan: Plan) -> tuple[Plan, Callable[[list[Model]], list[Model]]]:
    """Reduce the models to r <= m features where that pays, and return a function that makes them models of X again.

    The reduction takes two passes, the way back takes one.
    """
    origin, options = plan.arrival.origin, plan.options[0]
    source = plan.arrival.samples
    penalty = penalty_of(plan.options, *np.ones((2, source.n_x, 1, 1)))
    if not _shared(plan, penalty) or not reduction_pays(source, sum(option.steps for option in plan.options)):
        return plan, lambda models: models
    source = source.holding(plan.targets[0], None)
    spread = measure_spread(source)
    if not np.all(np.isfinite(spread.variance)):
        return plan, lambda models: models  # the fit raises the error that tells the user
    user = user_coordinates(source.n_x, options.standardize, None)
    user = user._replace(scale=user.scale * options.roots)
    if not is_even(spread.variance, user):
        return plan, lambda models: models
    if options.bias:
        source = source.centered(spread.mean)
    user = user._replace(center=host_center(source))
    reduced, basis, spectrum, means = reduce_wide(source, user, options.bias)
    # the variance that rounding of the products hides must be small against the penalty
    hidden = source.m * np.finfo(float).eps * np.max(spectrum, initial=0.0) / (4.0 * source.total_weight)
    if not len(spectrum) or hidden > HIDDEN * np.min(penalty.strength):
        return plan, lambda models: models
    dtype = reduced.dtype
    inside = origin._replace(samples="columns", names=None, home=source.place, dtype_home=dtype, dtype=dtype)
    inner = Arrival(inside, dataclasses.replace(reduced, columns=Columns(offset=reduced.columns.offset)))
    same: dict[str, Any] = {"standardize": False, "penalty_factor": None}
    plain = [dataclasses.replace(option, l2=option.strength, **same) for option in plan.options]
    span = Span(source.widened(), basis, np.ones((len(spectrum), 1)), user, means)
    return plan._replace(arrival=inner, options=plain), functools.partial(_in_full, origin._replace(home=HOST), span)


def _shared(plan: Plan, penalty: Penalty) -> bool:
    """Whether several models have one span, and each has a penalty.

    Without a penalty, a warning would name features of the span.
    """
    kinds = {(option.bias, option.standardize) for option in plan.options}
    same = len(plan.options) > 1 and len(kinds) == 1 and plan.options[0].standardize is not True
    cold = all(plan.initial(model) is None for model in range(len(plan.options)))
    return same and cold and turns_alike(penalty, descends=False) and bool(np.all(penalty.active))


def _in_full(origin: Origin, span: Span, models: list[Model]) -> list[Model]:
    """Turn models of the span into models of X, in one pass for all of them; all are on the host."""
    thetas = [np.concatenate([model.w, model.b.T]) for model in models]
    theta = np.concatenate(thetas, axis=1)
    w, v = span.centered_parameters_of(theta[:, None, :])
    found, start = [], 0
    for model in models:
        own = slice(start, start + model.w.shape[1])
        start = own.stop
        parameters = parameters_at(origin, as_stored(w[:, own], v[own], span.center, origin.dtype_home))
        found.append(dataclasses.replace(model, samples=origin.samples, feature_names=origin.names, **parameters))
    return found
