"""The loop that Newton's and quasi-Newton methods share: a step, a safeguard, a proof.

Stops by half the squared Newton decrement, g' H^-1 g / 2, an estimate of J - min J that no scaling of the
features changes (Boyd & Vandenberghe, Convex Optimization (2004), section 9.5). The objective is convex, so
a sufficient decrease of the value is all that a step must show (Nocedal & Wright 2006, algorithm 3.1).
"""

import collections
import math
from typing import Protocol, Self

from xlogreg.arrays.place import Array, array_namespace
from xlogreg.solvers.existence import recede
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.result import Monitor, Result

__all__ = ["Method", "decrement", "minimize"]

ARMIJO = 1e-4
SHORTER = tuple(0.5**halving for halving in range(40))  # lengths of a step that are tried
LONGER, LONGEST = 3.0, 1.5  # by how much a step of Newton's method is longer than one, for gaps in costs, and at most
LAZY_STEPS = 3
STEADY_STEPS = 2
LOOK_AGAIN = 4  # steady steps after a look for a direction of recession that found none
TREND_STEPS = 2


class Method(Protocol):
    """What tells one second-order method from another."""

    @property
    def patience(self) -> int:
        """How many gaps in a row must be small before that is believed."""
        ...

    @property
    def endurance(self) -> int:
        """How many steps may pass without the gap's halving before rounding errors are held to be all that is left."""
        ...

    def evaluate(self, objective: Objective, theta: Array) -> Evaluation:
        """The objective at theta, with as many derivatives as `step` needs: one pass."""
        ...

    def step(self, here: Evaluation) -> Array:
        """-B^-1 g, for an approximate Hessian B."""
        ...

    def learn(self, moved: Array, change: Array) -> Self:
        """The method that also knows that moving theta so changed the gradient so."""
        ...


def decrement(gradient: Array, step: Array) -> Array:
    """Half the squared Newton decrement of each model (g,): the gap that the step promises to close."""
    return -0.5 * array_namespace(step).sum(gradient * step, axis=(0, 2))


def minimize(
    objective: Objective,
    start: Array,
    *,
    method: Method,
    tol: float,
    max_iter: int,
    slow: float = 0.0,
    monitor: Monitor | None = None,
) -> Result:
    """Minimise; the models of a batch share their step length.

    Parameters
    ----------
    objective : Objective
    start : array (n_x + 1, g, k)
    method : Method
    tol : float
        Stop when gap <= tol * J for every model. The last step, which needs no pass, is taken. 0: go on.
    max_iter : int
    slow : float
        Give up with the reason "slow" when the gap was not divided by this in three steps running: the method
        knows too little of the Hessian.
    monitor : callable, optional

    Returns
    -------
    Result
        Reason "converged", "separated", "precision" (rounding errors hide any further decrease),
        "diverged" (the cost is not finite), "max_iter", "slow", or what the monitor says.
    """
    xp = array_namespace(start)
    theta, reason, gap = start, "max_iter", None
    here, at, passes = method.evaluate(objective, theta), theta, 1
    costs: list[Array] = []
    path: collections.deque[Array] = collections.deque(maxlen=TREND_STEPS)
    lazy, steady, total, length = 0, 0, math.inf, 1.0
    eager = True  # to take longer steps than Newton's
    small, idle, halved = 0, 0, math.inf  # gaps in a row that are small; steps since the gap was last halved
    for iteration in range(max_iter):
        value = float(xp.sum(here.value))
        if not math.isfinite(value):
            reason = "diverged"
            break
        step = method.step(here)
        gap = decrement(here.gradient, step)
        previous, total = total, float(xp.sum(gap))
        lazy = lazy + 1 if total * slow > previous else 0
        if lazy >= LAZY_STEPS:
            reason = "slow"
            break
        said = None if monitor is None else monitor(iteration, theta, here, gap)
        if said := said or _dead_end(objective, here, total):
            reason = said
            break
        costs.append(here.value)
        path.append(theta)
        small = small + 1 if tol > 0 and bool(xp.all(gap <= tol * here.value)) else 0
        if small >= method.patience:
            theta, reason = theta + step, "converged"
            break
        # where rounding of the value hides what is left to gain, only the gap can still be trusted
        slack = 8.0 * objective.noise * value
        # where separated classes let the cost fall for ever, Newton's decrement ends up falling by e at each full step
        steady = steady + 1 if 0.2 * previous <= total <= 0.55 * previous and length == 1.0 else 0
        if steady >= STEADY_STEPS and objective.separable and here.hessian is not None:
            recession, more = recede(objective.widened(), step)
            passes, steady = passes + more, steady - LOOK_AGAIN
            if recession is not None:
                theta, reason = theta + step, "separated"
                break
        blind = total <= slack
        idle, halved = (0, total) if total <= 0.5 * halved else (idle + 1, halved)
        if blind and idle >= method.endurance:
            reason = "precision"
            break
        reach = 1.0
        if eager and here.hessian is not None and not objective.separable:
            # far from the minimum the curvature falls along the step, as the margins grow: it goes too short
            reach += min(LONGER * total / value, LONGEST) if value > 0.0 else 0.0
        slope = 2.0 * ARMIJO * total
        length, there, more = _searched(objective, method, (theta, here, step), reach, slope, slack if blind else 0.0)
        passes += more
        if there is None:
            reason = "precision"
            break
        eager = eager and length == reach  # a step that was too long cost a Hessian
        trial = theta + length * step
        method = method.learn(trial - theta, there.gradient - here.gradient)
        theta, at, here = trial, trial, there
    else:
        gap = decrement(here.gradient, method.step(here)) if bool(xp.all(xp.isfinite(here.value))) else gap
    trend = theta - path[0] if path else None
    history = xp.stack([*costs, here.value])[:-1, :]
    return Result(theta, reason, len(costs), passes, history, here, at, gap, method, trend)


def _dead_end(objective: Objective, here: Evaluation, gap: float) -> str:
    """Why there is no step worth taking: a hyperplane separates the classes, or the method has none; or ""."""
    if objective.separable and bool(array_namespace(here.value).all(here.separated)):
        return "separated"
    return "" if math.isfinite(gap) else "precision"


def _searched(
    objective: Objective,
    method: Method,
    line: tuple[Array, Evaluation, Array],
    reach: float,
    slope: float,
    slack: float,
) -> tuple[float, Evaluation | None, int]:
    """The length of a step that lowers the cost enough, what is known there (None: no length does), and the passes.

    ``line``: theta, what is known there, and the step; ``reach``: the length to try first; ``slope``: decrease that is
    asked for, for each unit of length; ``slack``: what rounding may hide of it.
    """
    theta, here, step = line
    lengths = SHORTER if reach == 1.0 else (reach, *SHORTER)
    for passes, length in enumerate(lengths, start=1):
        there = method.evaluate(objective, theta + length * step)
        if float(array_namespace(theta).sum(here.value - there.value)) >= slope * length - slack:
            return length, there, passes
    return 0.0, None, len(lengths)
