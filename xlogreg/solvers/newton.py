"""Newton's method with a fresh Hessian at every step: few passes, each of m p^2 work for p parameters."""

from dataclasses import dataclass
from typing import Self

from xlogreg.backends import Array
from xlogreg.objective import Evaluation, Objective
from xlogreg.preconditioners import Dense

__all__ = ["Newton"]


@dataclass(frozen=True)
class Newton:
    """The step -H^-1 g (Nocedal & Wright 2006, section 3.3).

    Attributes
    ----------
    precision : float
        Relative rounding error of the Hessian's entries.
    """

    precision: float
    patience: int = 1

    def evaluate(self, objective: Objective, theta: Array) -> Evaluation:
        return objective.expand(theta)

    def step(self, here: Evaluation) -> Array:
        return -Dense(here.hessian, self.precision).solve(here.gradient)

    def learn(self, moved: Array, change: Array) -> Self:
        return self
