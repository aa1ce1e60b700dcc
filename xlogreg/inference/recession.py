"""Directions along which no sample moves to its wrong side: the recession cone of the log loss.

With V_j the parameters of class j less those of class 0, a sample x of class c gives one row for each other class j:
its move V_c'x - V_j'x must not be negative. The likelihood rises for ever along such a direction if one of the moves is
positive, and has a maximum if there is no such direction (Albert & Anderson, Biometrika 1984). Rows are numbered sample
by sample. Moves are compared with the rounding errors of their own sums, so that rounding never makes a direction.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["CROOKED", "FLAT", "Cone", "dusted", "null_space", "reduced_to"]

EPS = float(np.finfo(np.float64).eps)
DUST = 1e-13  # share of the largest number below which another one is what rounding left of zero
FLAT = 1e-13  # singular value, as a share of the largest, that is rounding alone in any case
MANY = 10.0  # such shares in the move of a row
STILL = 1e-12  # move of a row along a direction of length one that is rounding alone
CROOKED = 1e-5  # singular value, as a share of the largest, from which on coordinates are made orthogonal
SAMPLED = 3  # rows for each parameter, of which a null space is made before all rows are looked at


@dataclass(frozen=True, eq=False)
class Cone:
    """The rows of all samples; directions are vectors d (q,), the parameters (p,) of class 1, then those of class 2.

    Attributes
    ----------
    F : ndarray or csr_array (m, p)
        Samples in rows, with a column of ones if there is a bias; the largest value of each row is about one.
    own : ndarray (m,)
        The class of each sample; class 0 is the one that others are compared with.
    K : int
        Number of classes.
    flat : float
        A singular value of the rows, as a share of the largest, that the rounding of the features alone explains.
    """

    F: Any
    own: np.ndarray
    K: int
    flat: float = FLAT

    @property
    def size(self) -> int:
        """Number q of parameters."""
        return self.F.shape[1] * (self.K - 1)

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.own) * (self.K - 1)

    def _pairs(self, values: np.ndarray, sign: float) -> np.ndarray:
        """Add or subtract the values (m, K) of other classes from those of the own class: (m (K - 1),)."""
        own = np.take_along_axis(values, self.own[:, None], axis=1)
        others = values[np.arange(self.K) != self.own[:, None]].reshape(len(values), -1)
        return (own + sign * others).reshape(-1)

    def _scores(self, F: Any, d: np.ndarray) -> np.ndarray:
        scores = F @ d.reshape(self.K - 1, -1).T
        return np.concatenate([np.zeros((len(scores), 1)), scores], axis=1)

    def moves(self, d: np.ndarray) -> np.ndarray:
        """Compute the move of each row along d."""
        return self._pairs(self._scores(self.F, d), -1.0)

    def blur(self, d: np.ndarray) -> np.ndarray:
        """Bound the rounding errors of each move; those of p products grow as sqrt(p), as their signs are random."""
        sizes = self._pairs(self._scores(abs(self.F), abs(d)), 1.0)
        return (4.0 + self.F.shape[1] ** 0.5) * EPS * sizes

    def pull(self, weights: np.ndarray) -> np.ndarray:
        """Sum the rows, each with its weight: the transpose of ``moves``."""
        of_pairs = weights.reshape(len(self.own), -1)
        values = np.zeros((len(self.own), self.K))
        values[np.arange(self.K) != self.own[:, None]] = -of_pairs.reshape(-1)
        np.put_along_axis(values, self.own[:, None], np.sum(of_pairs, axis=1, keepdims=True), axis=1)
        return np.asarray(self.F.T @ values[:, 1:]).T.reshape(-1)

    def rows(self, chosen: np.ndarray) -> Any:
        """Make some of the rows (n, q), sparse if the samples are."""
        sample, slot = np.divmod(chosen, self.K - 1)
        own = self.own[sample]
        other = slot + (slot >= own)
        part = self.F[sample]
        signs = [(own == k).astype(float) - (other == k) for k in range(1, self.K)]
        if isinstance(part, np.ndarray):
            return np.concatenate([part * sign[:, None] for sign in signs], axis=1)
        from scipy.sparse import csr_array, diags_array, hstack

        found = csr_array(hstack([diags_array(sign) @ part for sign in signs]))
        found.eliminate_zeros()
        return found

    def dense(self, chosen: np.ndarray) -> np.ndarray:
        """Make some of the rows (n, q) as an array."""
        rows = self.rows(chosen)
        return rows if isinstance(rows, np.ndarray) else rows.toarray()


def dusted(values: np.ndarray) -> np.ndarray:
    """Set numbers to zero that are next to nothing beside the largest of their column."""
    return np.where(np.abs(values) > DUST * np.max(np.abs(values), axis=0), values, 0.0)


def null_space(cone: Cone, chosen: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Find an orthonormal basis (q, n) of the directions along which none of the chosen rows moves.

    A random part of the rows is decomposed. A random direction of its null space moves some other row, unless none of
    them moves; such rows join the part, which is returned, too: it spans all chosen rows.
    """
    if not len(chosen):
        return np.eye(cone.size), chosen
    part = rng.permutation(chosen)[: SAMPLED * cone.size]
    while True:
        _, values, axes = np.linalg.svd(np.linalg.qr(cone.dense(part), mode="r"), full_matrices=True)
        basis = dusted(axes[int(np.sum(values > cone.flat * values[0])) :].T)
        if not basis.shape[1]:
            return basis, part
        d = basis @ rng.standard_normal(basis.shape[1])
        share = np.abs(cone.moves(d))[chosen] / np.linalg.norm(d)
        order = np.argsort(-share)[: SAMPLED * cone.size]
        moving = np.setdiff1d(chosen[order[share[order] > max(STILL, MANY * cone.flat)]], part)
        if not len(moving):
            return basis, part
        part = np.concatenate([part, moving])


def reduced_to(cone: Cone, basis: np.ndarray | None, part: np.ndarray) -> np.ndarray | None:
    """Return coordinates T (q, r) of the span of a basis, d = T z, that are nearly orthogonal; None for d itself.

    Nearly collinear features have directions with small moves only, which a linear program takes for none. ``part``
    holds the numbers of rows that span all rows.
    """
    rows = cone.dense(part)
    rows = rows if basis is None else rows @ basis
    _, values, axes = np.linalg.svd(np.linalg.qr(rows, mode="r"), full_matrices=False)
    kept = values > cone.flat * values[0]
    if values[kept][-1] > CROOKED * values[0]:
        return basis
    T = axes[kept].T * (values[0] / values[kept])
    return T if basis is None else basis @ T
