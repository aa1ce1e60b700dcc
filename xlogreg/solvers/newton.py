"""Newton's method with a fresh Hessian at every step: few passes, each of m p^2 work for p parameters."""

from dataclasses import dataclass
from typing import Self

from xlogreg.arrays.place import Array
from xlogreg.solvers.descent import Step, decrement
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.preconditioners import Dense

__all__ = ["Newton"]


@dataclass(frozen=True)
class Newton:
    """The step -H^-1 g (Nocedal & Wright 2006, section 3.3).

    Attributes
    ----------
    precision, noise : float
        Relative rounding errors of the entries of Hessian and gradient.
    """

    precision: float
    noise: float
    patience: int = 1
    endurance: int = 1

    @classmethod
    def for_objective(cls, objective: Objective) -> Self:
        """Build the method with the rounding errors of the objective."""
        return cls(objective.precision, objective.noise)

    def evaluate(self, objective: Objective, theta: Array) -> Evaluation:
        return objective.expand(theta)

    def step(self, here: Evaluation, theta: Array) -> Step:
        assert here.hessian is not None
        move = -Dense(here.hessian, self.precision, self.noise).solve(here.gradient)
        return Step(move, decrement(here.gradient, move))

    def learn(self, moved: Array, change: Array) -> Self:
        return self
