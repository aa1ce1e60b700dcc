"""The result that every solver returns, and the monitors that may stop a solver."""

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from xlogreg.arrays.place import Array, array_namespace, to_host
from xlogreg.solvers.objective import Evaluation

__all__ = ["Clock", "GroupMonitor", "Monitor", "Result"]

# A monitor is called before each step with the iteration, theta, its evaluation, and the gap (g,) if the solver has an
# estimate of it. It returns the reason to stop, or "" to go on.
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
        The last evaluation of the objective, with all the derivatives that the solver asked for.
    at : array (n_x + 1, g, k)
        The point of that evaluation: theta, or one step before it.
    gap : array (g,), or None
        The solver's own estimate of J - min J at that point, if it has one.
    method : object
        A second-order method with everything that it has learnt.
    trend : array (n_x + 1, g, k), or None
        The move of theta over the last steps. If the cost falls for ever, it falls along this direction.
    unseen : bool
        Whether the curvature came from a subset that has next to nothing of some feature.
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
    unseen: bool = False

    def followed_by(self, other: "Result") -> "Result":
        """Join both to one run, which ends where ``other`` stopped and has the steps, passes and costs of both."""
        return dataclasses.replace(
            other,
            iterations=self.iterations + other.iterations,
            passes=self.passes + other.passes,
            costs=array_namespace(self.costs).concat([self.costs, other.costs], axis=0),
            trend=self.trend if other.trend is None else other.trend,  # of a run that ended at its start
        )


class GroupMonitor(Protocol):
    """Watches models that are minimised together, and may stop all of them. Numbers of models are those of the group.

    Attributes
    ----------
    stopped : str
        The reason why the models were stopped, or "".
    """

    @property
    def stopped(self) -> str: ...

    def keep(self, models: Any, final: bool = True) -> Self:
        """Return the monitor of some of the models; ``final`` says whether no stage follows that they may go on in."""
        ...

    def sees(self, iteration: int, costs: dict[int, float]) -> str:
        """Look at the costs of the models that are left, before a step; return the reason to stop, or "" to go on."""
        ...

    def ended(self, found: dict[int, Result]) -> None:
        """Look at the results of models that leave because they are done."""
        ...


class Clock:
    """A monitor that says "time_limit" when the time is up, or would be up before the end of one more step.

    The next step is assumed to last as long as the last one. Before the first step of a stage nothing is assumed.

    Parameters
    ----------
    end : float
        The moment when the time is up, on the clock of `time.perf_counter`.
    """

    def __init__(self, end: float) -> None:
        self.end, self.last, self.took = end, -math.inf, 0.0

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.perf_counter() >= self.end

    def allows(self, steps: float) -> bool:
        """Whether there is time for ``steps`` more steps that are as long as the last one."""
        return time.perf_counter() + steps * self.took < self.end

    def __call__(self, iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        to_host(here.value)  # this waits for the device, which otherwise would only queue the steps
        return self.tick(iteration == 0)

    def tick(self, first: bool) -> str:
        """Say whether the time is up before a step, which is the ``first`` of a stage or follows another."""
        now = time.perf_counter()
        self.took = 0.0 if first else now - self.last
        self.last = now
        return "time_limit" if now + self.took >= self.end else ""
