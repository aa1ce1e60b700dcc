"""L-BFGS with a given preconditioner as its initial inverse Hessian: a pass is one gradient; memory grows with n_x."""

import dataclasses
from dataclasses import dataclass
from typing import Self

from xlogreg.arrays.place import Array, array_namespace
from xlogreg.math.penalties import inner
from xlogreg.solvers.descent import Step, decrement
from xlogreg.solvers.kronecker import Kronecker
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.preconditioners import Bordered, Preconditioner, Shared
from xlogreg.solvers.restricted import Restricted

__all__ = ["Pairs", "QuasiNewton", "join_pairs", "shift_pairs"]

FEW_PAIRS = 4  # fewer take less time in turn
FEW_PRODUCTS = 4e6  # numbers in S Y', beyond which it takes longer than the two loops
Pairs = tuple[tuple[Array, Array, Array], ...]


@dataclass(frozen=True)
class QuasiNewton:
    """The step of L-BFGS (Nocedal & Wright 2006, algorithm 7.4).

    Attributes
    ----------
    preconditioner : Preconditioner
    pairs : tuple of triples of arrays
        Moves s of theta, changes y of the gradient, and 1 / s'y (1, g, 1), with the newest pair last. 1 / s'y is 0 for
        a model that learnt nothing.
    memory : int
        Number of pairs that are kept.
    rescaling : float
        The power of the newest pair's curvature by which the preconditioner is rescaled. It is 1 if the preconditioner
        may be wrong as a whole, and less if the preconditioner is right in most directions.
    """

    preconditioner: Preconditioner
    pairs: Pairs = ()
    memory: int = 20
    rescaling: float = 1.0
    patience: int = 2  # the pairs know the curvature only where they have been
    endurance: int = 15

    def evaluate(self, objective: Objective, theta: Array) -> Evaluation:
        return objective.evaluate(theta)

    def step(self, here: Evaluation, theta: Array) -> Step:
        move = -self.solve(here.gradient)
        return Step(move, decrement(here.gradient, move))

    def solve(self, gradient: Array) -> Array:
        """Multiply the inverse Hessian by a gradient (n_x + 1, g, k)."""
        count = len(self.pairs)
        together = gradient.shape[1] == 1 and count >= FEW_PAIRS and count * count * len(gradient) <= FEW_PRODUCTS
        return self._solve_together(gradient) if together else self._solve_in_turn(gradient)

    def _solve_in_turn(self, q: Array) -> Array:
        """Multiply the inverse Hessian by q (n_x + 1, g, k), pair by pair."""
        weights = []
        for s, y, inverse in reversed(self.pairs):
            weights.append(inverse * _dot(s, q))
            q = q - weights[-1] * y
        r = self._rescaled(q)
        for (s, y, inverse), weight in zip(self.pairs, reversed(weights), strict=True):
            r = r + s * (weight - inverse * _dot(y, r))
        return r

    def _solve_together(self, q: Array) -> Array:
        """Multiply the inverse Hessian of one model by q (n_x + 1, 1, k), with all pairs in a few products.

        The two loops solve triangular systems of R, whose entries are s_i'y_j for i <= j, of pairs with s'y = 1 (Byrd,
        Nocedal & Schnabel, Representations of quasi-Newton matrices, 1994, theorem 2.2).
        """
        xp, shape = array_namespace(q), q.shape
        known = [(s, y, inverse) for s, y, inverse in self.pairs if bool(inverse[0, 0, 0] > 0)]
        if not known:
            return self._rescaled(q)
        S, Y, inverses = (xp.reshape(xp.stack(parts), (len(known), -1)) for parts in zip(*known, strict=True))
        S, Y = (part * xp.sqrt(inverses) for part in (S, Y))
        R = xp.triu(S @ Y.T)
        weights = xp.linalg.solve(R, S @ xp.reshape(q, (-1, 1)))
        r = xp.reshape(self._rescaled(q - xp.reshape(Y.T @ weights, shape)), (-1, 1))
        return xp.reshape(r + S.T @ xp.linalg.solve(R.T, weights - Y @ r), shape)

    def _rescaled(self, q: Array) -> Array:
        """Solve for q, and rescale by the newest curvature, relative to that of the preconditioner."""
        r = self.preconditioner.solve(q)
        if not self.pairs or not self.rescaling:
            return r
        _, y, inverse = self.pairs[-1]
        measured = inverse * _dot(y, self.preconditioner.solve(y))
        xp = array_namespace(measured)
        return r * xp.where(measured > 0, measured, 1.0) ** -self.rescaling

    def learn(self, moved: Array, change: Array) -> Self:
        # the objective is convex, so s'y >= 0; a pair whose curvature drowns in rounding errors teaches nothing
        pair = _pair(moved, change)
        if not bool(array_namespace(moved).any(pair[2] > 0)):
            return self
        return dataclasses.replace(self, pairs=(*self.pairs[1 - self.memory :], pair))

    def keep(self, models: Array) -> Self:
        """Return the method of some models, given by number."""
        assert isinstance(self.preconditioner, (Shared, Kronecker, Bordered, Restricted)), "others are of one"
        if models.shape[0] == self.preconditioner.models:
            return self
        xp, first = array_namespace(models), int(models[0])
        if models.shape[0] == 1:  # a slice costs far less than a gather, and single models leave one by one
            pairs = tuple(tuple(part[:, first : first + 1, :] for part in pair) for pair in self.pairs)
        else:
            pairs = tuple(tuple(xp.take(part, models, axis=1) for part in pair) for pair in self.pairs)
        return dataclasses.replace(self, pairs=pairs, preconditioner=self.preconditioner.keep(models))


def join_pairs(parts: list[Pairs], like: Array) -> Pairs:
    """Join the pairs of single models, of the shape of ``like``, into pairs of a batch; zeros if a model has fewer."""
    if len(parts) == 1:
        return parts[0]
    xp = array_namespace(like)
    nothing = (xp.zeros_like(like), xp.zeros_like(like), xp.zeros_like(like[:1, :, :1]))
    most = max(len(pairs) for pairs in parts)
    even = [(*[nothing] * (most - len(pairs)), *pairs) for pairs in parts]
    return tuple(
        tuple(xp.concat(list(same), axis=1) for same in zip(*pair, strict=True)) for pair in zip(*even, strict=True)
    )


def shift_pairs(pairs: Pairs, change: Array) -> Pairs:
    """Adapt the pairs to a Hessian to which a diagonal matrix, change (n_x + 1, g, 1), was added."""
    return tuple(_pair(s, y + change * s) for s, y, _ in pairs)


def _pair(moved: Array, change: Array) -> tuple[Array, Array, Array]:
    xp, curvature = array_namespace(moved), _dot(moved, change)
    known = curvature > 1e-14 * xp.sqrt(_dot(moved, moved) * _dot(change, change))
    return moved, change, xp.where(known, 1.0 / xp.where(known, curvature, 1.0), 0.0)


def _dot(a: Array, b: Array) -> Array:
    """Inner product for each model (1, g, 1)."""
    return array_namespace(a).reshape(inner(a, b), (1, -1, 1))
