"""What every solver returns."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xlogreg.arrays.place import Array, array_namespace
from xlogreg.solvers.objective import Evaluation

__all__ = ["Monitor", "Result"]

# called before each step with the iteration, theta, its evaluation, and the gap (g,) where the solver has an estimate;
# what it returns is the reason to stop, or "" to go on
Monitor = Callable[[int, Array, Evaluation, Array | None], str]


@dataclass(frozen=True)
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
