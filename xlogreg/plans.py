"""Many models of one X: what they share, and their results, found together where that pays, else one by one."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from xlogreg import labels
from xlogreg.assembly import Setting, erased_class, gather, weigh
from xlogreg.backends import Array
from xlogreg.batches import minimize_together, pose_batch, sharing_pays
from xlogreg.options import Options
from xlogreg.problem import Problem, pose, start_of
from xlogreg.solvers.result import Result
from xlogreg.solving import solve

__all__ = ["Plan", "Solved", "named", "solve_plan"]


class Plan(NamedTuple):
    """g models of one X."""

    setting: Setting
    targets: list[labels.Targets]  # distinct ones
    weights: list[Array | None]  # distinct ones, as from `labels.as_weight`
    target_of: list[int]  # (g,) which of them each model has
    weight_of: list[int]  # (g,)
    options: list[Options]  # (g,)
    initials: list[Any]  # (g,) where each starts, or None

    def target(self, model: int) -> labels.Targets:
        return self.targets[self.target_of[model]]

    def kinds(self) -> list[list[int]]:
        """The models, by number, with those together that have as many classes, in targets of one kind."""
        kinds: dict[tuple[int, bool], list[int]] = {}
        for model in range(len(self.options)):
            target = self.target(model)
            kinds.setdefault((len(target.classes), target.numbers), []).append(model)
        return list(kinds.values())


class Solved(NamedTuple):
    """One of the models."""

    problem: Problem
    result: Result | None  # None where its weights leave a class without a sample
    erased: int | None = None  # the number of that class


def named(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """function(*arguments), whose errors say which of many arguments they are about."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def solve_plan(plan: Plan) -> list[Solved]:
    """What was found of each model."""
    solved: dict[int, Solved] = {}
    for models in plan.kinds():
        if len(models) > 1:
            solved |= _together(plan, models)
    for model in range(len(plan.options)):
        if model not in solved:
            solved[model] = _alone(plan, model)
    return [solved[model] for model in range(len(plan.options))]


def _alone(plan: Plan, model: int) -> Solved:
    target, options = plan.target(model), plan.options[model]
    source = gather(plan.setting, target, plan.weights[plan.weight_of[model]])
    erased = erased_class(source, target)
    if erased is not None:
        source = dataclasses.replace(source, weight=None, total_weight=float(source.m))
        return Solved(pose(source, target, None, options), None, erased)
    problem = pose(source, target, plan.initials[model], options)
    return Solved(problem, solve(problem, options))


def _together(plan: Plan, models: list[int]) -> Iterator[tuple[int, Solved]]:
    """Those of the models that can be minimised together."""
    middle = sorted(models, key=lambda model: plan.options[model].l2)[len(models) // 2]
    target, options = plan.target(middle), plan.options[middle]
    given = next((plan.initials[model] for model in models if plan.initials[model] is not None), None)
    problem = pose(gather(plan.setting, target, None), target, given, options)
    if not sharing_pays(problem):
        return
    Y, target_of = _stacked(plan, models, plan.target_of, _put_targets)
    weight, weight_of = _stacked(plan, models, plan.weight_of, _put_weights)
    batch = pose_batch(
        problem,
        Y,
        weight,
        (target_of, weight_of),
        np.asarray([plan.options[model].l2 for model in models]),
        np.asarray([plan.target(model).hard for model in models]),
    )
    starts = {
        position: start_of(problem, plan.initials[model])
        for position, model in enumerate(models)
        if plan.initials[model] is not None
    }
    for position, result in enumerate(minimize_together(batch, options, starts)):
        if result is not None:
            result = dataclasses.replace(result, costs=np.asarray(result.costs)[:, 0])
            yield models[position], Solved(batch.single(position), result)


def _stacked(
    plan: Plan, models: list[int], of: list[int], put: Callable[[Plan, list[int]], Array | None]
) -> tuple[Array | None, np.ndarray]:
    """The distinct ones of the models' targets or weights, and which of them each model has."""
    distinct, numbers = np.unique([of[model] for model in models], return_inverse=True)
    return put(plan, distinct.tolist()), numbers


def _put_targets(plan: Plan, numbers: list[int]) -> Array | None:
    """(t, k, m), or None where all models have the same."""
    if len(numbers) == 1:
        return None
    targets, place = [plan.targets[number] for number in numbers], plan.setting.place
    small = len(targets[0].classes) == 2 and all(target.hard for target in targets)
    dtype = "int32" if targets[0].numbers else "int8" if small else plan.setting.dtype
    with place.computing():
        return place.xp.stack([place.put(target.Y, dtype) for target in targets])


def _put_weights(plan: Plan, numbers: list[int]) -> Array | None:
    """(t, 1, m), or None where no model has any."""
    weights, place, m = [plan.weights[number] for number in numbers], plan.setting.place, plan.targets[0].Y.shape[1]
    if all(weight is None for weight in weights):
        return None
    with place.computing():
        even = place.xp.ones((1, m), dtype=place.dtype(plan.setting.dtype), device=place.device)
        put = [even if weight is None else weigh(plan.setting, weight) for weight in weights]
        for number, weight in zip(numbers, put, strict=True):
            named(f"sample_weights[{number}]", labels.total_of, weight, m)
        return place.xp.stack(put)
