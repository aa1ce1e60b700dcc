"""L-BFGS with a given preconditioner as its initial inverse Hessian: one gradient a pass, n_x memory."""

import dataclasses
from dataclasses import dataclass
from typing import Self

from xlogreg.backends import Array, array_namespace
from xlogreg.objective import Evaluation, Objective
from xlogreg.preconditioners import Preconditioner

__all__ = ["QuasiNewton"]


@dataclass(frozen=True)
class QuasiNewton:
    """The step of the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4).

    Attributes
    ----------
    preconditioner : Preconditioner
    pairs : tuple of pairs of arrays
        How theta moved and how the gradient changed, the newest last; models of a batch share them.
    memory : int
        How many of them are kept.
    rescaling : float
        The power of the newest pair's curvature by which the preconditioner is rescaled: 1 for one that may be off as
        a whole, less for one that is right in most directions.
    """

    preconditioner: Preconditioner
    pairs: tuple[tuple[Array, Array], ...] = ()
    memory: int = 20
    rescaling: float = 1.0
    patience: int = 2  # the pairs know the curvature only where they have been
    endurance: int = 15

    def evaluate(self, objective: Objective, theta: Array) -> Evaluation:
        return objective.evaluate(theta)

    def step(self, here: Evaluation) -> Array:
        q, weights = here.gradient, []
        for s, y in reversed(self.pairs):
            weights.append(_dot(s, q) / _dot(s, y))
            q = q - weights[-1] * y
        r = self.preconditioner.solve(q)
        if self.pairs:  # the newest curvature, measured by the preconditioner's
            s, y = self.pairs[-1]
            r = r * (_dot(s, y) / _dot(y, self.preconditioner.solve(y))) ** self.rescaling
        for (s, y), weight in zip(self.pairs, reversed(weights), strict=True):
            r = r + s * (weight - _dot(y, r) / _dot(s, y))
        return -r

    def learn(self, moved: Array, change: Array) -> Self:
        # convex: s'y >= 0, and a pair whose curvature drowns in rounding errors teaches nothing
        if float(_dot(moved, change)) <= 1e-14 * float(_dot(moved, moved) * _dot(change, change)) ** 0.5:
            return self
        return dataclasses.replace(self, pairs=(*self.pairs[1 - self.memory :], (moved, change)))


def _dot(a: Array, b: Array) -> Array:
    return array_namespace(a).sum(a * b)
