"""The loop that Newton's and quasi-Newton methods share: a step, a safeguard, a proof.

The loop stops by the gap that the next step promises to close. For a smooth objective this is half the squared Newton
decrement, g' H^-1 g / 2: an estimate of J - min J that no scaling of the features changes (Boyd & Vandenberghe, Convex
Optimization (2004), section 9.5). The objective is convex, so a step only has to show a sufficient decrease of the
value (Nocedal & Wright 2006, algorithm 3.1).
"""

import collections
import math
from typing import NamedTuple, Protocol, Self

from xlogreg.arrays.place import Array, array_namespace
from xlogreg.math.penalties import inner
from xlogreg.solvers.existence import recede
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.result import Monitor, Result

__all__ = ["Method", "Step", "decrement", "minimize"]

ARMIJO = 1e-4  # a step has to make at least this share of the decrease that it promises
SHORTER = tuple(0.5**halving for halving in range(40))  # lengths of a step that are tried, one after the other
LONGER = 3.0  # a step of Newton's method gets longer than one by this number times gap / cost
LONGEST = 1.5  # and it gets longer than one by at most this number
LAZY_STEPS = 3  # a method is given up after so many steps in a row that gain too little
STEADY_LEAST = 0.2  # least share of the gap that a step of separated classes leaves: the gap ends up falling by e
STEADY_MOST = 0.55  # largest share that such a step leaves
STEADY_STEPS = 2  # so many steps in a row that leave this share start a search for a direction of recession
LOOK_AGAIN = 4  # so many more of these steps start a new search after one that found no direction
TREND_STEPS = 2  # the trend of theta is its move over so many steps
NOISE = 8.0  # rounding errors of a value; a difference of two values that is smaller is not trusted


class Step(NamedTuple):
    """A step of a method, and how far it promises to lower the value of each model.

    The gap is that of the quadratic model that the method steps to the minimum of, so it estimates J - min J. The slope
    of the value along the step is at most twice as large.
    """

    move: Array  # (n_x + 1, g, k)
    gap: Array  # (g,)


class Method(Protocol):
    """The part in which one second-order method differs from another."""

    @property
    def patience(self) -> int:
        """Number of gaps in a row that must be small before convergence is believed."""
        ...

    @property
    def endurance(self) -> int:
        """Number of steps that do not halve the gap, after which only rounding errors are assumed to be left."""
        ...

    def evaluate(self, objective: Objective, theta: Array) -> Evaluation:
        """Evaluate the objective at theta, with as many derivatives as `step` needs: one pass."""
        ...

    def step(self, here: Evaluation, theta: Array) -> Step:
        """Step from theta, where the evaluation is of, to the minimum of a quadratic model with some Hessian B.

        For a smooth penalty the move is -B^-1 g, and the gap g' B^-1 g / 2. If the penalty h has a part with kinks, the
        gradient g is that of the rest, and the gap of the move d is -(g'd + h(theta + d) - h(theta) + d'Bd / 2).
        """
        ...

    def learn(self, moved: Array, change: Array) -> Self:
        """Return a method that also knows that the move ``moved`` of theta changed the gradient by ``change``."""
        ...


def decrement(gradient: Array, move: Array) -> Array:
    """Half the squared Newton decrement of each model (g,): the gap that a step -B^-1 g promises to close."""
    return -0.5 * inner(gradient, move)


def minimize(
    objective: Objective,
    start: Array,
    *,
    method: Method,
    tol: float,
    max_iter: int,
    slow: float = 0.0,
    rent: "Judge | None" = None,
    here: Evaluation | None = None,
    monitor: Monitor | None = None,
) -> Result:
    """Minimise the objective; the models of a batch share their step length.

    Parameters
    ----------
    objective : Objective
    start : array (n_x + 1, g, k)
    method : Method
    tol : float
        Stop when gap <= tol * J for every model. The last step needs no pass and is still taken. 0: do not stop.
    max_iter : int
    slow : float
        Give up with the reason "slow" when three steps in a row do not divide the gap by this factor: the method
        knows too little of the Hessian.
    rent : Judge, optional
        Judges this in place of ``slow``.
    here : Evaluation, optional
        The evaluation at the start, where it is known: it takes no pass then.
    monitor : callable, optional

    Returns
    -------
    Result
        Reason "converged", "separated", "precision" (rounding errors hide any further decrease),
        "diverged" (the cost is not finite), "max_iter", "slow", or the reason that the monitor gives.
    """
    xp = array_namespace(start)
    patience, rounding = Patience(tol, method.patience), Rounding(objective, method.endurance)
    slowness = Slowness(slow) if rent is None else rent
    separation, stride = Separation(objective), Stride(objective)
    theta, at, gap, passes, reason = start, start, None, int(here is None), "max_iter"
    here = method.evaluate(objective, theta) if here is None else here
    costs: list[Array] = []
    path: collections.deque[Array] = collections.deque(maxlen=TREND_STEPS)
    for iteration in range(max_iter):
        value = _total(here.value)
        if not math.isfinite(value):
            reason = "diverged"
            break
        step, gap = method.step(here, theta)
        step, total = objective.confined(step), _total(gap)
        said = slowness.sees(total, value) or ("" if monitor is None else monitor(iteration, theta, here, gap))
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
        method = method.learn(further - theta, there.gradient - here.gradient)  # the move after rounding
        theta, at, here = further, further, there
    else:
        gap = method.step(here, theta).gap if bool(xp.all(xp.isfinite(here.value))) else gap
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


def _total(values: Array) -> float:
    """Sum the values (g,) of the models; for one model that takes no call of the library."""
    return float(values[0] if values.shape[0] == 1 else array_namespace(values).sum(values))


def _all(mask: Array) -> bool:
    """Whether the mask (g,) holds of all models; for one model that takes no call of the library."""
    return bool(mask[0] if mask.shape[0] == 1 else array_namespace(mask).all(mask))


def _dead_end(objective: Objective, here: Evaluation, gap: float) -> str:
    """Say why no step is worth taking, or "": a hyperplane separates the classes, or the method has no finite step."""
    if objective.separable and _all(here.separated):
        return "separated"
    return "" if math.isfinite(gap) else "precision"


class Judge(Protocol):
    """Says that a run should end, and why, or ""; it sees the gap and the value before each step."""

    def sees(self, gap: float, value: float) -> str: ...


class Patience:
    """Ends a run once the gaps of all models have been small ``times`` times in a row."""

    def __init__(self, tol: float, times: int) -> None:
        self.tol, self.times, self.small = tol, times, 0

    def sees(self, gap: Array, here: Evaluation) -> str:
        small = self.tol > 0 and _all(gap <= self.tol * here.value)
        self.small = self.small + 1 if small else 0
        return "converged" if self.small >= self.times else ""


class Slowness:
    """Gives up a method whose steps do not divide the gap by the factor, several times in a row."""

    def __init__(self, factor: float) -> None:
        self.factor, self.before, self.lazy = factor, math.inf, 0

    def sees(self, gap: float, value: float) -> str:
        self.lazy = self.lazy + 1 if gap * self.factor > self.before else 0
        self.before = gap
        return "slow" if self.lazy >= LAZY_STEPS else ""


class Rounding:
    """Ends a run once rounding of the value hides the remaining gain and the gap does not fall either."""

    def __init__(self, objective: Objective, endurance: int) -> None:
        self.noise, self.endurance = NOISE * objective.noise, endurance
        self.idle, self.halved = 0, math.inf  # steps since the gap was last halved, and the gap at that step
        self.slack = 0.0  # a value may rise by this amount where only the gap can be trusted

    def sees(self, gap: float, value: float) -> str:
        blind = gap <= self.noise * value
        self.slack = self.noise * value if blind else 0.0
        self.idle, self.halved = (0, gap) if gap <= 0.5 * self.halved else (self.idle + 1, self.halved)
        return "precision" if blind and self.idle >= self.endurance else ""


class Separation:
    """Ends a run along a direction of recession: the gap of Newton's method then falls by e at each full step."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self.before, self.steady, self.passes = objective, math.inf, 0, 0

    def sees(self, gap: float, here: Evaluation, step: Array, length: float) -> str:
        steady = STEADY_LEAST * self.before <= gap <= STEADY_MOST * self.before and length == 1.0
        self.before, self.steady = gap, self.steady + 1 if steady else 0
        if self.steady < STEADY_STEPS or not self.objective.separable or here.hessian is None:
            return ""
        recession, passes = recede(self.objective.widened(), step)
        self.passes, self.steady = self.passes + passes, self.steady - LOOK_AGAIN
        return "" if recession is None else "separated"


class Stride:
    """Line search: finds the length of a step at which the cost falls enough."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self.length = objective, 1.0
        self.eager = not objective.separable  # whether steps longer than Newton's are tried

    def along(
        self, method: Method, theta: Array, here: Evaluation, step: Array, known: tuple[float, float, float]
    ) -> tuple[Evaluation | None, int]:
        """Evaluate the objective after the step or a part of it, and count the passes; None if no part lowers the cost.

        ``known`` is the gap, the value, and the amount by which rounding may raise the value.
        """
        gap, value, slack = known
        reach = 1.0
        if self.eager and here.hessian is not None and value > 0.0:
            # far from the minimum the curvature falls along the step, as the margins grow: the step is too short
            reach += min(LONGER * gap / value, LONGEST)
        for passes, length in enumerate(SHORTER if reach == 1.0 else (reach, *SHORTER), start=1):
            there = method.evaluate(self.objective, theta + length * step)
            gained = _total(here.value - there.value)
            if gained >= 2.0 * ARMIJO * gap * length - slack:  # the slope along the step is at most twice the gap
                self.length = length
                self.eager = self.eager and length == reach  # a step that was too long cost a Hessian
                return there, passes
        return None, passes
