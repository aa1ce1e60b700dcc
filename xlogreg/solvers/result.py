"""What every solver returns."""

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xlogreg.arrays.place import Array, array_namespace, to_host
from xlogreg.solvers.objective import Evaluation

__all__ = ["Clock", "Monitor", "Result"]

# called before each step with the iteration, theta, its evaluation, and the gap (g,) where the solver has an estimate;
# what it returns is the reason to stop, or "" to go on
Monitor = Callable[[int, Array, Evaluation, Array | None], str]


@dataclass(frozen=True, kw_only=True)
class Result:
    """Where a solver stopped, and why.

    Attributes
    ----------
    theta : array (n_x + 1, g, k)
    reason : {"converged", "max_iter", "time_limit", "precision", "separated", "callback", "diverged", "slow"}
    iterations : int
    passes : float
    costs : array (iterations, g)
        J before each step.
    last : Evaluation
        The objective where it was last evaluated, with all the derivatives that the solver asked for.
    at : array (n_x + 1, g, k)
        Where that was: theta, or a step before it.
    gap : array (g,), or None
        The solver's own estimate of J - min J there, where it has one.
    method : object
        What a second-order method has learnt.
    trend : array (n_x + 1, g, k), or None
        How theta moved in the last steps: where the cost falls for ever, the direction along which it does.
    """

    theta: Array
    reason: str
    iterations: int
    passes: float
    costs: Array
    last: Evaluation
    at: Array
    gap: Array | None
    method: Any = None
    trend: Array | None = None

    def followed_by(self, other: "Result") -> "Result":
        """Both as one run: where the other stopped, with the steps, passes and costs of the two."""
        return dataclasses.replace(
            other,
            iterations=self.iterations + other.iterations,
            passes=self.passes + other.passes,
            costs=array_namespace(self.costs).concat([self.costs, other.costs], axis=0),
        )


class Clock:
    """A monitor that says "time_limit" when the time is up, or would be before the end of one more step.

    A step is taken to last as long as the one before; the first of a stage is never judged so.

    Parameters
    ----------
    end : float
        When the time is up, by `time.perf_counter`.
    """

    def __init__(self, end: float) -> None:
        self.end, self.last, self.took = end, -math.inf, 0.0

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.perf_counter() >= self.end

    def allows(self, steps: float) -> bool:
        """Whether there is time for so many steps as long as the last."""
        return time.perf_counter() + steps * self.took < self.end

    def __call__(self, iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        to_host(here.value)  # waits for the device, where steps would only be queued
        now = time.perf_counter()
        self.took = now - self.last if iteration > 0 else 0.0
        self.last = now
        return "time_limit" if now + self.took >= self.end else ""
