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

ARMIJO = 1e-4  # share of the decrease that a step promises, which it has to make
SHORTER = tuple(0.5**halving for halving in range(40))  # lengths of a step that are tried
LONGER = 3.0  # by which a step of Newton's method is made longer than one, for each gap in costs
LONGEST = 1.5  # by which it is made longer at most
LAZY_STEPS = 3  # in a row that gain too little, after which a method is given up
STEADY_FALL = (0.2, 0.55)  # shares of the gap that the steps of separated classes leave: it ends up falling by e
STEADY_STEPS = 2  # in a row that leave such a share, after which a direction of recession is looked for
LOOK_AGAIN = 4  # such steps after a look that found none
TREND_STEPS = 2  # of which the trend of theta is made
NOISE = 8.0  # rounding errors of a value, below which no difference of two is trusted


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
    patience, slowness, rounding = Patience(tol, method.patience), Slowness(slow), Rounding(objective, method.endurance)
    separation, stride = Separation(objective), Stride(objective)
    theta, at, gap, passes, reason = start, start, None, 1, "max_iter"
    here = method.evaluate(objective, theta)
    costs: list[Array] = []
    path: collections.deque[Array] = collections.deque(maxlen=TREND_STEPS)
    for iteration in range(max_iter):
        value = float(xp.sum(here.value))
        if not math.isfinite(value):
            reason = "diverged"
            break
        step = method.step(here)
        gap = decrement(here.gradient, step)
        total = float(xp.sum(gap))
        said = slowness.sees(total) or ("" if monitor is None else monitor(iteration, theta, here, gap))
        if said := said or _dead_end(objective, here, total):
            reason = said
            break
        costs.append(here.value)
        path.append(theta)
        if said := patience.sees(gap, here) or separation.sees(total, here, step, stride.length):
            theta, reason = theta + step, said
            break
        if said := rounding.sees(total, value):
            reason = said
            break
        there, more = stride.along(method, theta, here, step, (total, value, rounding.slack))
        passes += more
        if there is None:
            reason = "precision"
            break
        further = theta + stride.length * step
        method = method.learn(further - theta, there.gradient - here.gradient)  # as rounding lets theta move
        theta, at, here = further, further, there
    else:
        gap = decrement(here.gradient, method.step(here)) if bool(xp.all(xp.isfinite(here.value))) else gap
    return Result(
        theta=theta,
        reason=reason,
        iterations=len(costs),
        passes=passes + separation.passes,
        costs=xp.stack([*costs, here.value])[:-1, :],
        last=here,
        at=at,
        gap=gap,
        method=method,
        trend=theta - path[0] if path else None,
    )


def _dead_end(objective: Objective, here: Evaluation, gap: float) -> str:
    """Say why there is no step worth taking: a hyperplane separates the classes, or the method has none; or ""."""
    if objective.separable and bool(array_namespace(here.value).all(here.separated)):
        return "separated"
    return "" if math.isfinite(gap) else "precision"


class Patience:
    """Ends a run once the gaps of all models have been small so many times in a row."""

    def __init__(self, tol: float, times: int) -> None:
        self.tol, self.times, self.small = tol, times, 0

    def sees(self, gap: Array, here: Evaluation) -> str:
        small = self.tol > 0 and bool(array_namespace(gap).all(gap <= self.tol * here.value))
        self.small = self.small + 1 if small else 0
        return "converged" if self.small >= self.times else ""


class Slowness:
    """Gives up a method whose steps do not divide the gap by the factor, several times in a row."""

    def __init__(self, factor: float) -> None:
        self.factor, self.before, self.lazy = factor, math.inf, 0

    def sees(self, gap: float) -> str:
        self.lazy = self.lazy + 1 if gap * self.factor > self.before else 0
        self.before = gap
        return "slow" if self.lazy >= LAZY_STEPS else ""


class Rounding:
    """Ends a run where rounding of the value hides what is left to gain, once the gap falls no more either."""

    def __init__(self, objective: Objective, endurance: int) -> None:
        self.noise, self.endurance = NOISE * objective.noise, endurance
        self.idle, self.halved = 0, math.inf  # steps since the gap was last halved, and what it was then
        self.slack = 0.0  # by which a value may rise, for only the gap can be trusted

    def sees(self, gap: float, value: float) -> str:
        blind = gap <= self.noise * value
        self.slack = self.noise * value if blind else 0.0
        self.idle, self.halved = (0, gap) if gap <= 0.5 * self.halved else (self.idle + 1, self.halved)
        return "precision" if blind and self.idle >= self.endurance else ""


class Separation:
    """Ends a run along a direction of recession: there the gap of Newton's method falls by e at each full step."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self.before, self.steady, self.passes = objective, math.inf, 0, 0

    def sees(self, gap: float, here: Evaluation, step: Array, length: float) -> str:
        least, most = STEADY_FALL
        steady = least * self.before <= gap <= most * self.before and length == 1.0
        self.before, self.steady = gap, self.steady + 1 if steady else 0
        if self.steady < STEADY_STEPS or not self.objective.separable or here.hessian is None:
            return ""
        recession, passes = recede(self.objective.widened(), step)
        self.passes, self.steady = self.passes + passes, self.steady - LOOK_AGAIN
        return "" if recession is None else "separated"


class Stride:
    """Finds out how far along a step the cost falls enough."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self.length = objective, 1.0
        self.eager = not objective.separable  # to take longer steps than Newton's

    def along(
        self, method: Method, theta: Array, here: Evaluation, step: Array, known: tuple[float, float, float]
    ) -> tuple[Evaluation | None, int]:
        """Evaluate the objective after the step, or a part of it; None where no part lowers the cost. And the passes.

        ``known``: the gap, the value, and by how much rounding may have that rise.
        """
        gap, value, slack = known
        reach = 1.0
        if self.eager and here.hessian is not None and value > 0.0:
            # far from the minimum the curvature falls along the step, as the margins grow: it goes too short
            reach += min(LONGER * gap / value, LONGEST)
        for passes, length in enumerate(SHORTER if reach == 1.0 else (reach, *SHORTER), start=1):
            there = method.evaluate(self.objective, theta + length * step)
            gained = float(array_namespace(theta).sum(here.value - there.value))
            if gained >= 2.0 * ARMIJO * gap * length - slack:
                self.length = length
                self.eager = self.eager and length == reach  # a step that was too long cost a Hessian
                return there, passes
        return None, passes
