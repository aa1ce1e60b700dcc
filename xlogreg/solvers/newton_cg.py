"""Newton's method for many parameters: each step by conjugate gradients, with a metric as their preconditioner.

A product of the Hessian and a move is one pass (Nocedal & Wright 2006, algorithm 7.1). L-BFGS takes fewer passes where
its metric is good. Under a weak penalty it is not, and L-BFGS forgets more than it learns.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from xlogreg.math.penalties import inner
from xlogreg.solvers.descent import Step
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.preconditioners import Preconditioner
from xlogreg.solvers.result import Clock

__all__ = ["NewtonCG"]

COARSE = 0.1  # share of the promised decrease that a step may leave; near the minimum it is gap / cost
GOAL = 0.3  # of the gap to stop at: the last step may leave so much of what its quadratic model promises
MOST_PRODUCTS = 500  # for a step
IDLE = 20  # products in a row that gain nothing, after which only rounding errors are left
NOTHING = 1e-3  # of the goal


@dataclass(frozen=True)
class NewtonCG:
    """A method of `xlogreg.solvers.descent` for one model whose penalty holds all weights.

    Attributes
    ----------
    objective : Objective
    metric : callable
        Makes a preconditioner at theta (n_x + 1, 1, k) in one pass.
    tol : float
        The relative gap to stop at.
    most : int
        Passes that all steps may take for products and metrics.
    clock : Clock, optional
    spent : list of int
        Passes that each step so far took for them.
    """

    objective: Objective
    metric: Callable[[np.ndarray], Preconditioner]
    tol: float
    most: int
    clock: Clock | None = None
    spent: list[int] = field(default_factory=list)
    patience: int = 1
    endurance: int = 3

    def evaluate(self, objective: Objective, theta: np.ndarray) -> Evaluation:
        return objective.evaluate(theta)

    def step(self, here: Evaluation, theta: np.ndarray) -> Step:
        value, metric = float(here.value[0]), self.metric(theta)
        small, r = self.tol * value, -here.gradient
        ridge = np.asarray(self.objective.penalty.curvature(theta))
        ridge = np.where(ridge > 0.0, ridge, np.inf)
        move, gap, idle = np.zeros_like(r), 0.0, 0
        z = p = metric.solve(r)
        square, left = float(inner(r, z)[0]), _left(r, z, ridge)
        self.spent.append(1)
        for _ in range(MOST_PRODUCTS):
            q = self.objective.hessian_times(theta, p)
            self.spent[-1] += 1
            curvature = float(inner(p, q)[0])
            if not curvature > 0.0:
                break
            length = square / curvature
            gained = 0.5 * length * square
            move, r, gap = move + length * p, r - length * q, gap + gained
            z = metric.solve(r)
            square, before, left = float(inner(r, z)[0]), square, _left(r, z, ridge)
            idle = idle + 1 if gained <= NOTHING * small else 0
            near = gap > small and 0.5 * square <= min(COARSE, gap / value) * gap
            if near or left <= GOAL * small or idle >= IDLE or self._over:
                break
            p = z + (square / before) * p
        # a step that promises little promises too little, unless the rest is bounded
        return Step(move, np.asarray([gap if gap > small else gap + left]))

    @property
    def _over(self) -> bool:
        return sum(self.spent) >= self.most or (self.clock is not None and self.clock.late)

    def learn(self, moved: np.ndarray, change: np.ndarray) -> Self:
        return self


def _left(r: np.ndarray, z: np.ndarray, ridge: np.ndarray) -> float:
    """Bound what a residual r leaves to the minimum of the quadratic model, whose Hessian is at least the ridge.

    The bias has no ridge, and is judged by the step z of the metric.
    """
    return 0.5 * (float(np.sum(r * r / ridge)) + abs(float(np.sum(r[-1] * z[-1]))))
