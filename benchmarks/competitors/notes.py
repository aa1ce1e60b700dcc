"""The loop of the course notes in NumPy, section 2.4: all samples, plain gradient descent."""

import numpy as np

from benchmarks.contest import Answer, Competitor
from benchmarks.problems import Problem


def prepare(problem: Problem) -> tuple[np.ndarray, np.ndarray, float]:
    """X (n_x, m) with samples in columns, Y (k, m) with a row for each output."""
    Y = problem.y[None, :] == (np.arange(problem.K)[:, None] if problem.K > 2 else 1)
    return np.ascontiguousarray(problem.X.T), Y.astype(problem.X.dtype), problem.l2


def activation(Z: np.ndarray) -> np.ndarray:
    if len(Z) == 1:
        return 1 / (1 + np.exp(-Z))
    raised = np.exp(Z - Z.max(axis=0))
    return raised / raised.sum(axis=0)


def safe_rate(X: np.ndarray, k: int, l2: float) -> float:
    """1/L, L the largest curvature that the data allow, by power iteration."""
    v, bias, size = np.ones((len(X), 1), dtype=X.dtype), 1.0, 1.0
    for _ in range(30):
        scores = v.T @ X + bias
        v, bias = X @ scores.T / X.shape[1], float(scores.mean())
        size = float(np.sqrt(np.sum(v * v) + bias**2))
        v, bias = v / size, bias / size
    return 1 / (1.05 * size * (0.25 if k == 1 else 0.5) + l2)


def fit(data: tuple[np.ndarray, np.ndarray, float], iterations: int = 2_000, rate: float | str = 0.005) -> Answer:
    X, Y, l2 = data
    m = X.shape[1]
    w, b = np.zeros((len(X), len(Y)), dtype=X.dtype), np.zeros((len(Y), 1), dtype=X.dtype)
    alpha = safe_rate(X, len(Y), l2) if isinstance(rate, str) else rate
    for _ in range(iterations):
        A = activation(np.dot(w.T, X) + b)
        dZ = A - Y
        w -= (alpha * (np.dot(X, dZ.T) / m + l2 * w)).astype(X.dtype)
        b -= (alpha * dZ.mean(axis=1, keepdims=True)).astype(X.dtype)
    return Answer(w, b[:, 0], iterations, iterations)


BEST = tuple({"iterations": count, "rate": "1/L"} for count in (1_000, 10_000))
COMPETITORS = [Competitor("the notes' loop", "NumPy by hand", ("numpy",), prepare, fit, ({}, *BEST))]
