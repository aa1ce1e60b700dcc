"""Matrices B of quadratic models u'Bu / 2 in the features that work: dense, a product for classes, or mostly diagonal.

Each tells its products with vectors, some of its rows and columns, and its diagonal; `Model` adds to one of them what
pairs of moves and changes of the gradient have taught since.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

__all__ = ["TINY", "Matrix", "Model", "Mostly", "Product", "Whole", "numbers_of"]

DAMPED, TINY = 1e-9, 1e-300  # of the curvature along each parameter, added for features that are collinear
CONSTANT = 1e-7  # the same along constants over the classes, which l2 alone may hold: more would slow these down


class Matrix(Protocol):
    """What a quadratic model asks of its matrix (p, p)."""

    def times(self, u: np.ndarray) -> np.ndarray:
        """Compute B u."""
        ...

    def part(self, index: np.ndarray) -> np.ndarray:
        """Make these rows and columns."""
        ...

    def solve(self, index: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Solve the equations of some parameters for slopes (q, r); only where `quick`."""
        ...

    @property
    def quick(self) -> bool:
        """Whether it solves equations without a dense matrix."""
        ...

    @property
    def operations(self) -> int:
        """Operations of a product with a vector."""
        ...

    def diagonal(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Mostly:
    """A matrix (q, q) that is diagonal but for a block: second moments of many features, of which few count most."""

    inside: np.ndarray  # (r,) numbers of the rows in the block, ascending
    block: np.ndarray  # (r, r)
    rest: np.ndarray  # (q,) the diagonal; 0 inside of the block

    def __matmul__(self, U: np.ndarray) -> np.ndarray:
        found = self.rest[:, None] * U
        found[self.inside] += self.block @ U[self.inside]
        return found

    def diagonal(self) -> np.ndarray:
        found = self.rest.copy()
        found[self.inside] = self.block.diagonal()
        return found

    def __getitem__(self, index: tuple[np.ndarray, ...]) -> np.ndarray:
        """Make the dense part of these rows, each of which may occur several times, as from `numpy.ix_`."""
        rows = index[0].ravel()
        found = np.where(rows[:, None] == rows, self.rest[rows], 0.0)
        at, own = self._within(rows)
        found[np.ix_(at, at)] += self.block[np.ix_(own, own)]
        return found

    def _within(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find which of the rows are in the block, and where."""
        place = np.minimum(np.searchsorted(self.inside, rows), len(self.inside) - 1)
        at = np.flatnonzero(self.inside[place] == rows)
        return at, place[at]

    def of(self, rows: np.ndarray) -> "Mostly":
        """Choose rows, in ascending order."""
        at, own = self._within(rows)
        return Mostly(at, self.block[np.ix_(own, own)], self.rest[rows])


class Product(NamedTuple):
    """The matrix S (x) A + diag(added), for parameters (q, k) flattened."""

    S: np.ndarray | Mostly  # (q, q)
    A: np.ndarray  # (k, k)
    added: np.ndarray  # (q k,)

    def times(self, u: np.ndarray) -> np.ndarray:
        return (self.S @ u.reshape(-1, len(self.A)) @ self.A).ravel() + self.added * u

    def part(self, index: np.ndarray) -> np.ndarray:
        rows, classes = np.divmod(index, len(self.A))
        found = self.S[np.ix_(rows, rows)] * self.A[np.ix_(classes, classes)]
        found[np.diag_indices_from(found)] += self.added[index]
        return found

    def solve(self, index: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        assert isinstance(self.S, Mostly)
        S, added, (scale,) = self.S.of(index), self.added[index], self.A[0]
        found = slopes / (scale * S.rest + added)[:, None]
        block = scale * S.block
        block[np.diag_indices_from(block)] += added[S.inside]
        found[S.inside] = np.linalg.solve(block, slopes[S.inside])
        return found

    @property
    def quick(self) -> bool:
        return len(self.A) == 1 and isinstance(self.S, Mostly)

    @property
    def operations(self) -> int:
        k, numbers = len(self.A), self.S.block.size if isinstance(self.S, Mostly) else self.S.size
        return k * numbers + k * len(self.added)

    def diagonal(self) -> np.ndarray:
        return np.outer(self.S.diagonal(), self.A.diagonal()).ravel() + self.added

    def model(self, rows: np.ndarray, ridge: np.ndarray, k: int) -> "Product":
        """Choose rows, and add the ridge and what makes it regular."""
        S = self.S.of(rows) if isinstance(self.S, Mostly) else self.S[np.ix_(rows, rows)]
        flat = CONSTANT * self.A.diagonal().mean() / k
        A = self.A + flat if k > 1 else self.A  # a constant over the classes changes no score
        found = Product(S, A, self.added.reshape(-1, k)[rows].ravel() + ridge)
        return found._replace(added=found.added + DAMPED * np.maximum(found.diagonal(), TINY))


class Whole(NamedTuple):
    """A Hessian (p, p)."""

    H: np.ndarray

    def times(self, u: np.ndarray) -> np.ndarray:
        return self.H @ u

    def part(self, index: np.ndarray) -> np.ndarray:
        return self.H[np.ix_(index, index)]

    @property
    def quick(self) -> bool:
        return False

    @property
    def operations(self) -> int:
        return self.H.size

    def solve(self, index: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        return np.linalg.solve(self.part(index), slopes)

    def diagonal(self) -> np.ndarray:
        return self.H.diagonal()

    def model(self, rows: np.ndarray, ridge: np.ndarray, k: int) -> "Whole":
        """Choose rows, and add the ridge and what makes it regular."""
        index = numbers_of(rows, k)
        H = self.H[np.ix_(index, index)] + np.diag(ridge)
        curvature = np.maximum(H.diagonal(), TINY)
        H[np.diag_indices_from(H)] += DAMPED * curvature
        if k > 1:  # a constant over the classes changes no score
            flat = np.repeat(CONSTANT / k * curvature.reshape(-1, k).mean(axis=1), k)
            H += np.kron(np.eye(len(rows)), np.ones((k, k))) * flat
        return Whole(H)


def numbers_of(rows: np.ndarray, k: int) -> np.ndarray:
    """Numbers of the parameters in these rows of theta (n_x + 1, k), flattened."""
    return (rows[:, None] * k + np.arange(k)).ravel()


class Model:
    """A matrix B and what pairs taught since: B - W'M^-1 W, W = [S B; Y] (Byrd, Nocedal & Schnabel 1994).

    ``S`` and ``Y`` (c, p) hold the moves and the changes of the gradient, the oldest first.
    """

    def __init__(self, B: Whole | Product, S: np.ndarray, Y: np.ndarray) -> None:
        self.B = B
        if not len(S):
            self.W = S
            return
        SB, SY = np.asarray([B.times(s) for s in S]).reshape(S.shape), S @ Y.T
        L = np.tril(SY, -1)
        self.M = np.block([[SB @ S.T, L], [L.T, -np.diag(SY.diagonal())]])
        self.W, self.inverse = np.concatenate([SB, Y]), np.linalg.inv(self.M)

    def times(self, u: np.ndarray) -> np.ndarray:
        return self.B.times(u) - (self.inverse @ (self.W @ u)) @ self.W if len(self.W) else self.B.times(u)

    def part(self, index: np.ndarray) -> np.ndarray:
        if not len(self.W):
            return self.B.part(index)
        W = self.W[:, index]
        return self.B.part(index) - W.T @ (self.inverse @ W)

    def solve(self, index: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        if not len(self.W):
            return self.B.solve(index, slopes)
        W, count = self.W[:, index], slopes.shape[1]
        solved = self.B.solve(index, np.concatenate([slopes, W.T], axis=1))
        plain, turned = solved[:, :count], solved[:, count:]
        return plain + turned @ np.linalg.solve(self.M - W @ turned, W @ plain)  # by Woodbury's identity

    @property
    def quick(self) -> bool:
        return self.B.quick

    @property
    def operations(self) -> int:
        return self.B.operations + 2 * self.W.size

    def diagonal(self) -> np.ndarray:
        if not len(self.W):
            return self.B.diagonal()
        return self.B.diagonal() - np.sum(self.W * (self.inverse @ self.W), axis=0)
