"""What is true of a logistic regression, found without the library: the cost of a model, and the least cost there is.

Shares no code with the library. Costs are computed in extended precision (`numpy.longdouble`), minima by Newton's
method with least squares for each step; whether a minimum exists is told by `tests.existence`.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["Minimum", "Problem", "minimise", "pose"]

STEPS = 300  # of Newton's method
HALVINGS = 60  # of a step
SMALL = 4e7  # operations of a least-squares solution, up to which it is affordable; beyond, normal equations
FLAT = 1e-8  # curvature of a sample that is on its wrong side, at the least
LOWEST = 1e-14  # relative singular value of what counts


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples that count, and what is minimised over w (n_x, k) and b (k, 1).

    Attributes
    ----------
    given : ndarray (n_x, m)
        X as it was given, in its own dtype.
    Y : ndarray (K, m)
        Probabilities, K = 2 for two classes.
    weight : ndarray (m,) of longdouble
        Above zero, with the sum one.
    l2 : float
    bias : bool
    standardize : bool or float
    kept : ndarray (K, m) of bool
        Classes that take part in the loss of each sample: all, but in the limit of separated classes.
    """

    given: np.ndarray
    Y: np.ndarray
    weight: np.ndarray
    l2: float
    bias: bool
    standardize: bool | float
    kept: np.ndarray

    @property
    def binary(self) -> bool:
        return self.Y.shape[0] == 2

    @functools.cached_property
    def X(self) -> np.ndarray:
        return self.given.astype(np.longdouble)

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """Of the features, by weight (n_x, 1); exactly that of one that is constant, not what rounding leaves of it."""
        least, most = self.X.min(axis=1, keepdims=True), self.X.max(axis=1, keepdims=True)
        counts = self.weight / self.weight.min()  # exactly one each where all are the same
        return np.where(least == most, least, (self.X @ counts / counts.sum())[:, None])

    @functools.cached_property
    def center(self) -> np.ndarray:
        """What may be subtracted from the features without changing the problem, or has to be (n_x, 1)."""
        return self.mean if self.bias or self.standardize is True else np.zeros_like(self.mean)

    @functools.cached_property
    def centered(self) -> np.ndarray:
        return self.X - self.center

    @functools.cached_property
    def unit(self) -> np.ndarray:
        """What the user's penalty divides each feature by (n_x, 1)."""
        if self.standardize is True:
            deviation = np.sqrt((self.centered**2) @ self.weight)[:, None]
            return np.where(deviation > 0, deviation, 1.0)
        return np.full_like(self.mean, float(self.standardize or 1.0))

    @functools.cached_property
    def scale(self) -> np.ndarray:
        """What makes features whose curvature, the penalty's included, is about one (n_x, 1)."""
        size = (self.centered**2) @ self.weight
        scale = np.sqrt(size[:, None] + 4.0 * self.l2 * self.unit**2)
        return np.where(scale > 0, scale, 1.0)

    @functools.cached_property
    def features(self) -> np.ndarray:
        """X in the judge's coordinates, and ones below it where there is a bias (p, m)."""
        X = self.centered / self.scale
        return np.vstack([X, np.ones((1, X.shape[1]), X.dtype)]) if self.bias else X

    @functools.cached_property
    def ridge(self) -> np.ndarray:
        """Penalty on half the square of each row of the parameters (p, 1)."""
        ridge = np.longdouble(self.l2) * (self.unit / self.scale) ** 2
        return np.vstack([ridge, np.zeros((1, 1), ridge.dtype)]) if self.bias else ridge

    @functools.cached_property
    def null_cost(self) -> float:
        """Of the classes' shares."""
        shares = (self.Y @ self.weight).astype(float)
        return float(-np.sum(shares * np.log(np.maximum(shares, 1e-300))))

    def losses(self, Z: np.ndarray) -> np.ndarray:
        """Log losses (m,) of scores Z (k, m)."""
        Z = np.vstack([np.zeros_like(Z), Z]) if self.binary else Z
        with np.errstate(all="ignore"):
            S = np.where(self.kept, Z, -np.inf)
            top = np.argmax(S, axis=0)
            samples = np.arange(S.shape[1])
            S = S - S[top, samples]
            E = np.exp(S)
            E[top, samples] = 0.0  # log1p of the others keeps the tail of a sample on its own side
            pull = np.sum(np.where(self.Y > 0, self.Y * np.where(self.kept, S, 0.0), 0.0), axis=0)
            return np.log1p(np.sum(E, axis=0)) - pull

    def cost(self, theta: np.ndarray) -> np.longdouble:
        """J of parameters (p, k) in the judge's coordinates."""
        penalty = 0.5 * np.sum(self.ridge * theta**2)
        return self.losses(theta.T @ self.features) @ self.weight + penalty

    def model_cost(self, w, b, center=None, centered_b=None) -> float:
        """J of a model, w (n_x, k) and b (k, 1), computed as its predictions are."""
        w, b = np.asarray(w).astype(np.longdouble), np.asarray(b).astype(np.longdouble)
        with np.errstate(all="ignore"):
            if center is None:
                Z = w.T @ self.X + b
            else:
                Z = w.T @ (self.X - np.asarray(center).astype(np.longdouble)) + np.asarray(centered_b, np.longdouble)
            penalty = 0.5 * np.longdouble(self.l2) * np.sum((self.unit * w) ** 2)
            return float(self.losses(Z) @ self.weight + penalty)

    def probabilities(self, theta: np.ndarray) -> np.ndarray:
        """(K, m) of parameters (p, k), zero for the classes that do not take part."""
        return _softmax(self, theta.T @ self.features)

    def parameters(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """w (n_x, k) and b (k, 1) for X as given."""
        n = self.given.shape[0]
        w = theta[:n] / self.scale
        v = theta[n:].T if self.bias else np.zeros((w.shape[1], 1), w.dtype)
        return w, v - w.T @ self.center


class Minimum(NamedTuple):
    """The lowest cost found; ``decrement`` estimates what is left above the minimum."""

    cost: float
    theta: np.ndarray  # (p, k), in the judge's coordinates
    decrement: float
    steps: int


def pose(X, Y, weight=None, l2=0.0, bias=True, standardize=False) -> Problem:
    """The problem of X (n_x, m) and labels Y (m,), or probabilities (1, m) or (K, m), without samples of weight 0."""
    X, Y = np.asarray(X), np.asarray(Y)
    if Y.ndim == 1:
        classes, numbers = np.unique(Y, return_inverse=True)
        Y = np.eye(len(classes))[:, numbers.reshape(-1)]
    elif Y.shape[0] == 1:
        Y = np.vstack([1.0 - Y.astype(float), Y.astype(float)])
    weight = np.ones(X.shape[1]) if weight is None else np.asarray(weight)
    counted = weight > 0
    weight = weight[counted].astype(np.longdouble)
    Y = Y[:, counted].astype(float)
    return Problem(X[:, counted], Y, weight / weight.sum(), float(l2), bool(bias), standardize, np.ones(Y.shape, bool))


def minimise(problem: Problem, steps: int = STEPS) -> Minimum:
    """Newton's method, each step the solution of a least-squares problem, halved until the cost falls."""
    k = 1 if problem.binary else problem.Y.shape[0]
    theta = np.zeros((problem.features.shape[0], k), np.longdouble)
    if problem.bias and np.all(problem.kept):
        shares = problem.Y @ problem.weight
        theta[-1] = np.log(shares[1] / shares[0]) if problem.binary else np.log(shares) - np.mean(np.log(shares))
    cost, decrement, made = problem.cost(theta), np.inf, 0
    while made < steps:
        step, decrement = _newton_step(problem, theta)
        if not np.all(np.isfinite(step)):
            break
        length, lower = _length(problem, theta, step, cost)
        if length == 0.0:
            break
        made, theta, fall, cost = made + 1, theta + length * step, cost - lower, lower
        if decrement <= 1e-17 * cost or fall <= 1e-18 * cost or cost < 1e-12 * problem.null_cost:
            break
    return Minimum(float(cost), theta, float(decrement), made)


def _length(problem: Problem, theta: np.ndarray, step: np.ndarray, cost: np.longdouble) -> tuple[float, np.longdouble]:
    """The best of the step and its halves, and the cost there: a step that is too long ends where the loss is flat."""
    length, best = 1.0, (0.0, cost)
    for _ in range(HALVINGS):
        lower = problem.cost(theta + length * step)
        if best[0] > 0 and not lower < best[1]:
            break
        if lower < best[1]:
            best = (length, lower)
        length *= 0.5
    return best


def _softmax(problem: Problem, Z: np.ndarray) -> np.ndarray:
    Z = np.vstack([np.zeros_like(Z), Z]) if problem.binary else Z
    with np.errstate(all="ignore"):
        S = np.where(problem.kept, Z, -np.inf)
        E = np.exp(S - S.max(axis=0))
    return E / E.sum(axis=0)


def _newton_step(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, float]:
    """The step (p, k), and half its squared Newton decrement.

    The Hessian of a sample is B B' with B = (I - a 1') diag(sqrt a), its gradient a - y = -B diag(1 / sqrt a)(y - a):
    the step solves the least-squares problem B' D'x = (y - a) / sqrt a of all samples, by weight. Any
    other diagonal in B leaves the gradient as it is: samples far on their wrong side have more curvature than is true.
    """
    A = problem.probabilities(theta)
    root = np.sqrt(problem.weight)
    with np.errstate(all="ignore"):
        if problem.binary:
            curvature = np.sqrt(np.maximum(A[:1] * A[1:], FLAT * (problem.Y[1:] - A[1:]) ** 2))
            M = (root * curvature * problem.features).T.astype(float)
            R = (root * np.where(curvature > 0, (problem.Y[1:] - A[1:]) / curvature, 0.0)).T.astype(float)
        else:
            C = np.sqrt(np.maximum(A, FLAT * np.abs(problem.Y - A)))
            B = root[:, None, None] * C.T[:, :, None] * (np.eye(len(A)) - A.T[:, None, :])  # (m, K, K)
            M = np.einsum("ijl,qi->ijql", B.astype(float), problem.features.astype(float))
            M = M.reshape(B.shape[0] * B.shape[1], -1)
            R = (root * np.where(C > 0, (problem.Y - A) / C, 0.0)).T.reshape(-1, 1).astype(float)
    penalty = np.repeat(np.sqrt(problem.ridge), theta.shape[1], axis=0)[:, 0].astype(float)
    loaded = penalty > 0
    R = np.vstack([R, (-penalty * theta.reshape(-1).astype(float))[loaded, None]])
    M = np.vstack([M, np.diag(penalty)[loaded]])
    size = np.linalg.norm(M, axis=0)
    size[size == 0] = 1.0
    M /= size
    if not (np.all(np.isfinite(M)) and np.all(np.isfinite(R))):
        return np.full_like(theta, np.nan), np.inf
    if M.shape[0] * M.shape[1] ** 2 <= SMALL:
        step = np.linalg.lstsq(M, R, rcond=LOWEST)[0]
    else:
        values, vectors = np.linalg.eigh(M.T @ M)
        inverse = np.where(values > 1e-13 * values[-1], 1.0 / np.maximum(values, 1e-300), 0.0)
        step = vectors @ (inverse[:, None] * (vectors.T @ (M.T @ R)))
    decrement = 0.5 * float(np.sum((M @ step) ** 2))
    return (step[:, 0] / size).reshape(theta.shape).astype(np.longdouble), decrement
