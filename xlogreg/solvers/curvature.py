"""Hessians of the features that work, as the proximal Newton method needs them: some rows and columns, and products.

They come from a subset of the samples or from all. Those of many features and classes would be too large: the second
moment of the features times the mean curvature of the classes takes their place.
"""

import copy
import functools
from typing import Any, NamedTuple

import numpy as np

from xlogreg.samples.products import may_pick, pick_features
from xlogreg.samples.source import Samples
from xlogreg.solvers.coordinates import Spread
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.prices import gradient_price, moment_price, subset_price
from xlogreg.solvers.spectral_lbfgs import class_axes

__all__ = ["RENT", "START", "TINY", "Curvature", "Model", "Pairs"]

START = 30  # samples of a subset, for each parameter
RENT = 1.5  # passes that a Hessian of a subset may cost
DENSE = 1500  # parameters of several classes, up to which a Hessian is made
DAMPED, TINY = 1e-9, 1e-300  # of the curvature along each parameter, added for features that are collinear
CONSTANT = 1e-7  # the same along constants over the classes, which l2 alone may hold: more would slow these down
UNSEEN = 0.05  # of a feature's curvature in all samples, that it has at least

Pairs = tuple[tuple[np.ndarray, np.ndarray], ...]  # moves of theta and changes of the gradient without the penalty


class Product(NamedTuple):
    """The matrix S (x) A + diag(added), for parameters (q, k) flattened."""

    S: np.ndarray  # (q, q)
    A: np.ndarray  # (k, k)
    added: np.ndarray  # (q k,)

    def times(self, u: np.ndarray) -> np.ndarray:
        return (self.S @ u.reshape(len(self.S), -1) @ self.A).ravel() + self.added * u

    def part(self, index: np.ndarray) -> np.ndarray:
        rows, classes = np.divmod(index, len(self.A))
        found = self.S[np.ix_(rows, rows)] * self.A[np.ix_(classes, classes)]
        found[np.diag_indices_from(found)] += self.added[index]
        return found

    def diagonal(self) -> np.ndarray:
        return np.outer(self.S.diagonal(), self.A.diagonal()).ravel() + self.added

    def model(self, rows: np.ndarray, ridge: np.ndarray, k: int) -> "Product":
        """Choose rows, and add the ridge and what makes it regular."""
        S, flat = self.S[np.ix_(rows, rows)], CONSTANT * self.A.diagonal().mean() / k
        A = self.A + flat  # a constant over the classes changes no score
        found = Product(S, A, self.added.reshape(-1, k)[rows].ravel() + ridge)
        return found._replace(added=found.added + DAMPED * np.maximum(found.diagonal(), TINY))


class Whole(NamedTuple):
    """A Hessian (p, p)."""

    H: np.ndarray

    def times(self, u: np.ndarray) -> np.ndarray:
        return self.H @ u

    def part(self, index: np.ndarray) -> np.ndarray:
        return self.H[np.ix_(index, index)]

    def diagonal(self) -> np.ndarray:
        return self.H.diagonal()

    def model(self, rows: np.ndarray, ridge: np.ndarray, k: int) -> "Whole":
        """Choose rows, and add the ridge and what makes it regular."""
        index = _numbers(rows, k)
        H = self.H[np.ix_(index, index)] + np.diag(ridge)
        curvature = np.maximum(H.diagonal(), TINY)
        H[np.diag_indices_from(H)] += DAMPED * curvature
        if k > 1:  # a constant over the classes changes no score
            flat = np.repeat(CONSTANT / k * curvature.reshape(-1, k).mean(axis=1), k)
            H += np.kron(np.eye(len(rows)), np.ones((k, k))) * flat
        return Whole(H)


class Curvature:
    """Hessians of the features that work, of a subset or of all samples, bought when they are needed.

    Attributes
    ----------
    spent : float
        Passes over all samples that they have taken.
    """

    def __init__(
        self,
        objective: Objective,
        source: Samples,
        spread: Spread,
        moment: np.ndarray,
        rng: np.random.Generator,
        k: int,
    ) -> None:
        self.objective, self.source, self.spread, self.moment, self.rng = objective, source, spread, moment, rng
        self.rows, self.k = np.arange(0), k
        self.H: Whole | Product = Whole(np.zeros((0, 0)))
        self.subset: Any = None
        self.spent, self.bought, self.samples, self.rent = 0.0, 0, 0, RENT

    def knows(self, rows: np.ndarray) -> bool:
        return bool(np.isin(rows, self.rows).all())

    def price(self, rows: np.ndarray, m: float) -> float:
        """Price of a Hessian, in passes."""
        pass_of_all = gradient_price(self.source.m, self.source.n_x, self.k)
        if self.is_large(rows):
            return moment_price(int(m), len(rows)) / pass_of_all
        return subset_price(int(m), len(rows), self.k) / pass_of_all

    def is_large(self, rows: np.ndarray) -> bool:
        """Whether these rows have too many parameters for a Hessian."""
        return self.k > 1 and len(rows) * self.k > DENSE

    def size(self, rows: np.ndarray) -> int:
        """Number of samples of which a Hessian costs about as much as a pass or two."""
        m, least = self.source.m, 2 * START * len(rows) * (1 if self.is_large(rows) else self.k)
        size = m
        while size > least and self.price(rows, size) > self.rent:
            size //= 2
        return m if size > m / 2 else size

    def buy(self, theta: np.ndarray, rows: np.ndarray, size: int) -> None:
        """Sum a Hessian at theta over so many samples."""
        whole = size >= self.source.m
        if whole:
            subset: Any = self.source
        elif self.subset is not None and self.subset.m >= size:
            subset = self.subset
        else:
            (subset,) = self.source.samples((size,), self.spread.shares, self.rng)
            self.subset = subset
        objective = self.objective if whole else self.objective.over(subset)
        make = self._product if self.is_large(rows) else self._hessian
        self.H = make(objective, subset, theta, rows)
        self.rows, self.samples = rows, subset.m
        self.__dict__.pop("usual", None)
        self.spent += subset.m / self.source.m
        self.bought += 1

    def _hessian(self, objective: Objective, subset: Any, theta: np.ndarray, rows: np.ndarray) -> "Whole":
        numbers = rows[:-1]
        if len(rows) < len(theta) and may_pick(subset, len(numbers)):
            here = objective.of_features(pick_features(subset, numbers), rows).expand(theta[rows])
            H = np.asarray(here.hessian)[0]
        else:
            index = _numbers(rows, self.k)
            H = np.asarray(objective.expand(theta).hessian)[0][np.ix_(index, index)]
        H = H - np.diag(self._ridge(rows))
        return Whole(H if subset.m >= self.source.m else self._raised(H, rows))

    def _product(self, objective: Objective, subset: Any, theta: np.ndarray, rows: np.ndarray) -> Product:
        subset = subset.gathered()
        if len(rows) < len(theta) and may_pick(subset, len(rows) - 1):
            objective, subset = objective.of_features(pick_features(subset, rows[:-1]), rows), objective.source
            S, at = objective.second_moment(), theta[rows]
            subset = objective.source
        else:
            S, at = objective.second_moment()[np.ix_(rows, rows)], theta
        values, Q = class_axes(objective, subset, at)
        A = (Q * values) @ Q.T
        root = np.sqrt(np.maximum(S.diagonal(), UNSEEN * np.append(self.moment[rows[:-1], 0], 0.0)) - S.diagonal())
        return Product(S + np.diag(root * root), A, np.zeros(len(rows) * self.k))

    def _raised(self, H: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Raise the curvature along features of which a subset happens to see too little."""
        k, diagonal = self.k, H.diagonal()
        least = UNSEEN * np.append(self.moment[rows[:-1], 0], 0.0)[:, None] * diagonal[-k:]
        return H + np.diag(np.maximum(least.ravel() - diagonal, 0.0))

    def _ridge(self, rows: np.ndarray) -> np.ndarray:
        """What the penalty adds to the diagonal, and a one for rows that may not move."""
        free = self.objective.free[rows, 0, 0]
        ridge = np.asarray(self.objective.penalty.curvature(np.zeros((len(self.objective.free), 1, 1))))[rows, 0, 0]
        return np.repeat(ridge * free + (1.0 - free), self.k)

    def model(self, rows: np.ndarray, pairs: Pairs) -> "Model":
        """Make the Hessian of rows that are known, with what the pairs taught since."""
        ridge, own = self._ridge(rows), []
        for s, y in pairs:
            inner = s[rows].ravel()
            if np.count_nonzero(inner) == np.count_nonzero(s):  # others moved features that do not work now
                own.append((inner, y[rows].ravel() + ridge * inner))
        return Model(self.H.model(np.searchsorted(self.rows, rows), ridge, self.k), own)

    @functools.cached_property
    def usual(self) -> float:
        """Curvature (a mean) of a feature of second moment one."""
        moment = np.append(self.moment[:, 0], 1.0)[self.rows]
        free = self.objective.free[self.rows, 0, 0] > 0
        found = self.H.diagonal().reshape(-1, self.k).mean(axis=1)[free] / np.maximum(moment[free], TINY)
        return max(float(np.median(found)), TINY) if free.any() else 1.0

    def of(self, objective: Objective) -> "Curvature":
        """Return what is known, for an objective that differs in its penalty only."""
        other = copy.copy(self)
        other.objective, other.spent = objective, 0.0
        return other


def _numbers(rows: np.ndarray, k: int) -> np.ndarray:
    """Numbers of the parameters in these rows of theta (n_x + 1, k), flattened."""
    return (rows[:, None] * k + np.arange(k)).ravel()


class Model:
    """A Hessian B and what pairs (s, y) taught since: B - W M^-1 W', W = [B S, Y] (Byrd, Nocedal & Schnabel 1994)."""

    def __init__(self, B: Whole | Product, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self.B, p = B, len(B.diagonal())
        self.W, self.inner = np.zeros((p, 0)), np.zeros((0, p))
        if pairs:
            S, Y = (np.asarray(part).T for part in zip(*pairs, strict=True))
            BS, SY = np.asarray([B.times(s) for s, _ in pairs]).T, S.T @ Y
            L = np.tril(SY, -1)
            M = np.block([[S.T @ BS, L], [L.T, -np.diag(SY.diagonal())]])
            self.W = np.concatenate([BS, Y], axis=1)
            self.inner = np.linalg.solve(M, self.W.T)

    def times(self, u: np.ndarray) -> np.ndarray:
        return self.B.times(u) - self.W @ (self.inner @ u)

    def part(self, index: np.ndarray) -> np.ndarray:
        return self.B.part(index) - self.W[index] @ self.inner[:, index]
