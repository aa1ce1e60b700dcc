"""Many models at once: quasi-Newton steps, and each model leaves when it is done.

One pass over the samples serves all models that are left. Steps have the length one. A model whose value rises goes
back and takes half of its step in the next pass, while the others move on. A model whose gap does not fall as it should
leaves, too, and goes to a solver of single models.
"""

import collections
import dataclasses
import math
from collections.abc import Callable

from xlogreg.arrays.place import Array, array_namespace
from xlogreg.solvers.descent import TREND_STEPS
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.quasi_newton import Pairs, QuasiNewton, join_pairs
from xlogreg.solvers.result import GroupMonitor, Result

__all__ = ["NARROW_GAP", "minimize", "minimize_in_stages"]

NARROW_GAP = 1e-5  # relative gap for which float32 is enough: some hundred times the gap that its rounding errors hide
DONE = ("converged", "precision")  # reasons of models that need no other solver
HOPEFUL = 8  # a model leaves if so many steps do not halve its gap
DROWNED = 1 / 16  # gap, in rounding errors of the value, below which changes of the gradient may be rounding errors


def minimize(
    objective: Objective,
    start: Array,
    *,
    method: QuasiNewton,
    tol: float,
    max_iter: int,
    monitor: GroupMonitor | None = None,
) -> list[Result]:
    """Minimise the g models of a batch.

    Parameters
    ----------
    objective : Objective
    start : array (n_x + 1, g, k), or (n_x + 1, 1, k) for all of them
    method : QuasiNewton
    tol : float
        A model is done when its gap is at most tol * J, as many times in a row as the patience of the method. The last
        step needs no pass and is still taken.
    max_iter : int
    monitor : GroupMonitor, optional

    Returns
    -------
    list of Result
        One result for each model. Its reason is "converged", "precision", "left", or the one that the monitor gives.
        If the model left or was stopped, nothing is claimed of it, and theta is its last position.
    """
    xp = array_namespace(start)
    results: dict[int, Result] = {}
    here = objective.evaluate(start)  # this is cheaper if all models start at the same theta
    theta, alive = start + xp.zeros_like(here.gradient), list(range(here.gradient.shape[1]))
    costs: list[dict[int, float]] = []
    path: collections.deque[Array] = collections.deque(maxlen=TREND_STEPS)
    small = xp.zeros_like(here.value)
    idle, halved = small, small + math.inf
    step, taken = xp.zeros_like(theta), small == 0
    for iteration in range(max_iter + 1):
        new = method.step(here, theta)
        step = xp.where(xp.reshape(taken, (1, -1, 1)), objective.confined(new.move), 0.5 * step)
        gap = xp.where(taken, new.gap, halved)
        path.append(theta)
        costs.append(dict(zip(alive, here.value.tolist(), strict=True)))
        small = xp.where(taken & (gap <= tol * here.value), small + 1.0, 0.0)
        fell = gap <= 0.5 * halved
        idle, halved = xp.where(fell, 0.0, idle + 1.0), xp.where(fell, gap, halved)
        blind = gap <= 8.0 * objective.noise * here.value
        stuck = blind & (idle >= HOPEFUL)
        done = small >= method.patience
        lost = ~xp.isfinite(gap) | (gap < 0) | (idle >= HOPEFUL) | here.separated
        said = "" if monitor is None else monitor.sees(iteration, costs[-1])
        if said or iteration == max_iter:
            lost = lost | ~done
        stays = ~(done | lost)
        if not bool(xp.all(stays)):
            for number, model in enumerate(alive):
                if bool(stays[number]):
                    continue
                reason = "converged" if bool(done[number]) else "precision" if bool(stuck[number]) else said or "left"
                history = [c[model] for c in costs] if reason in DONE else [c[model] for c in costs[:-1]]
                found = here, theta, step, gap, method, path[0]
                results[model] = _alone(number, reason, history, iteration + 1, *found)
            if monitor is not None:
                left = {model: results[model] for model in alive if model in results}
                monitor.ended({model: result for model, result in left.items() if result.reason in DONE})
            kept = xp.asarray([n for n in range(len(alive)) if bool(stays[n])])
            alive = [alive[n] for n in kept.tolist()]
            if not alive:
                break
            objective, method = objective.keep(kept), method.keep(kept)
            theta, step = xp.take(theta, kept, axis=1), xp.take(step, kept, axis=1)
            small, idle, halved, gap = (xp.take(part, kept, axis=0) for part in (small, idle, halved, gap))
            here = here.keep(kept)
            path = collections.deque((xp.take(part, kept, axis=1) for part in path), maxlen=TREND_STEPS)
        # rounding errors of so small a change would look like zero curvature, and the next step would go too far
        tells = gap > DROWNED * objective.noise * here.value
        trial = theta + step
        there = objective.evaluate(trial)
        taken = there.value <= here.value + 8.0 * objective.noise * xp.abs(here.value)
        here, previous = there.where(taken, here), here.gradient
        theta = theta + xp.where(xp.reshape(taken, (1, -1, 1)), step, 0.0)
        method = method.learn(xp.where(xp.reshape(taken & tells, (1, -1, 1)), step, 0.0), here.gradient - previous)
    return [results[model] for model in range(len(results))]


def _alone(
    number: int,
    reason: str,
    costs: list[float],
    passes: int,
    here: Evaluation,
    theta: Array,
    step: Array,
    gap: Array,
    method: QuasiNewton,
    before: Array,
) -> Result:
    """Build the result of one model, given by number. ``before`` is the theta of all models some steps ago."""
    xp, one = array_namespace(theta), slice(number, number + 1)
    only = xp.asarray([number])
    at = theta[:, one, :]
    end = at + step[:, one, :] if reason == "converged" else at
    history = xp.reshape(xp.asarray(costs, dtype=theta.dtype), (-1, 1))
    return Result(
        theta=end,
        reason=reason,
        iterations=len(costs),
        passes=passes,
        costs=history,
        last=here.keep(only),
        at=at,
        gap=gap[one],
        method=method.keep(only),
        trend=end - before[:, one, :],
    )


def minimize_in_stages(
    stages: list[tuple[Objective, float]],
    start: Array,
    *,
    method: Callable[[Objective, Array, Array, Pairs | None], QuasiNewton],
    max_iter: int,
    monitor: GroupMonitor | None = None,
) -> list[Result]:
    """Minimise in stages, each to its own gap and with its own objective: float32 is enough for large gaps.

    Parameters
    ----------
    stages : list of (Objective, tol)
    start : array (n_x + 1, g, k), or (n_x + 1, 1, k) for all of them
    method : callable
        Returns the method of a stage, given the objective of the models that are left, their numbers, their theta, and
        the pairs so far (None at first).
    max_iter : int
        Largest number of steps in each stage.
    monitor : GroupMonitor, optional

    Returns
    -------
    list of Result
        One result for each model, like those of `minimize`. A model that a stage in float32 does not bring to its gap
        goes on in the next stage.
    """
    xp = array_namespace(start)
    whole: dict[int, Result] = {}
    alive, theta, pairs = xp.arange(stages[0][0].models), start, None
    finest = stages[-1][0].noise
    for stage, (objective, tol) in enumerate(stages, start=1):
        last = stage == len(stages)
        part = objective.keep(alive)
        chosen = method(part, alive, theta, pairs)
        chosen = chosen if last else dataclasses.replace(chosen, patience=1)
        watch = None if monitor is None else monitor.keep(alive, final=last)
        ended = minimize(part, theta, method=chosen, tol=tol, max_iter=max_iter, monitor=watch)
        for model, result in zip(alive.tolist(), ended, strict=True):
            whole[model] = whole[model].followed_by(result) if model in whole else result
        # a model that rounding errors keep from the gap of a stage goes on in a stage with smaller rounding errors
        going = [n for n, result in enumerate(ended) if objective.noise > finest or result.reason == "converged"]
        if last or not going or (monitor is not None and monitor.stopped):
            break
        alive = xp.take(alive, xp.asarray(going), axis=0)
        theta = xp.concat([ended[number].theta for number in going], axis=1)
        pairs = join_pairs([ended[number].method.pairs for number in going], theta[:, :1, :])
    return [whole[model] for model in range(len(whole))]
