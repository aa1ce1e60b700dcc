"""L-BFGS with a given preconditioner as its initial inverse Hessian: one gradient a pass, n_x memory."""

import dataclasses
from dataclasses import dataclass
from typing import Self

from xlogreg.backends import Array, array_namespace
from xlogreg.objective import Evaluation, Objective
from xlogreg.preconditioners import Preconditioner, Shared

__all__ = ["QuasiNewton"]


@dataclass(frozen=True)
class QuasiNewton:
    """The step of the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4).

    Attributes
    ----------
    preconditioner : Preconditioner
    pairs : tuple of pairs of arrays
        How theta moved and how the gradient changed, the newest last; zeros for a model that learnt nothing of it.
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
        curvatures = [_dot(s, y) for s, y in self.pairs]
        for (s, y), curvature in zip(reversed(self.pairs), reversed(curvatures), strict=True):
            weights.append(_ratio(_dot(s, q), curvature))
            q = q - weights[-1] * y
        r = self.preconditioner.solve(q)
        if self.pairs:  # the newest curvature, measured by the preconditioner's
            y = self.pairs[-1][1]
            r = r * _ratio(curvatures[-1], _dot(y, self.preconditioner.solve(y)), 1.0) ** self.rescaling
        for (s, y), curvature, weight in zip(self.pairs, curvatures, reversed(weights), strict=True):
            r = r + s * (weight - _ratio(_dot(y, r), curvature))
        return -r

    def learn(self, moved: Array, change: Array) -> Self:
        # convex: s'y >= 0, and a pair whose curvature drowns in rounding errors teaches nothing
        xp = array_namespace(moved)
        known = _dot(moved, change) > 1e-14 * xp.sqrt(_dot(moved, moved) * _dot(change, change))
        if not bool(xp.any(known)):
            return self
        if not bool(xp.all(known)):
            moved, change = (xp.where(known, part, xp.zeros_like(part)) for part in (moved, change))
        return dataclasses.replace(self, pairs=(*self.pairs[1 - self.memory :], (moved, change)))

    def keep(self, models: Array) -> Self:
        """The method of some of the models, by number."""
        assert isinstance(self.preconditioner, Shared), "only that one is of many models"
        xp = array_namespace(models)
        pairs = tuple((xp.take(s, models, axis=1), xp.take(y, models, axis=1)) for s, y in self.pairs)
        return dataclasses.replace(self, pairs=pairs, preconditioner=self.preconditioner.keep(models))


def _dot(a: Array, b: Array) -> Array:
    """Of each model (1, g, 1)."""
    return array_namespace(a).sum(a * b, axis=(0, 2), keepdims=True)


def _ratio(part: Array, whole: Array, otherwise: float = 0.0) -> Array:
    """part / whole, where the whole is not 0."""
    xp = array_namespace(whole)
    none = whole == 0
    return xp.where(none, otherwise, part / xp.where(none, 1.0, whole))
