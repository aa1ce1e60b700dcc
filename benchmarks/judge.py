"""One judge for everybody: J in float64 of any parameters, and a proof of how far above the minimum it is at most.

It shares no code with xlogreg. The losses are exact at any score: max(z, 0) - y z + log(1 + exp(-|z|)) of two classes;
log sum exp(z_j - max z) + max z - z_y of more. Sums are taken in blocks and added exactly (`math.fsum`).
"""

import math
from typing import NamedTuple

import numpy as np

__all__ = ["Verdict", "agreement", "judge"]

BLOCK = 2**20  # numbers of X at a time
STEPS = 50  # of Newton's method for b
CONFIRMED = 1e-10  # of the cost, that two libraries have to agree to


class Verdict(NamedTuple):
    """J, and a number that J - min J cannot exceed: infinite where nothing is proved."""

    cost: float
    bound: float


def losses(Z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of every sample; Z (m, k)."""
    if Z.shape[1] == 1:
        z = Z[:, 0]
        return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
    largest = Z.max(axis=1)
    return np.log(np.exp(Z - largest[:, None]).sum(axis=1)) + (largest - Z[np.arange(len(y)), y])


def probabilities(Z: np.ndarray) -> np.ndarray:
    """(m, k)."""
    if Z.shape[1] == 1:
        small = np.exp(-np.abs(Z))
        return np.where(Z >= 0, 1, small) / (1 + small)
    raised = np.exp(Z - Z.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def blocks(X: np.ndarray) -> list[slice]:
    step = max(1, BLOCK // X.shape[1])
    return [slice(start, start + step) for start in range(0, len(X), step)]


def mean_loss(Z: np.ndarray, y: np.ndarray) -> float:
    step = BLOCK // Z.shape[1]
    parts = (losses(Z[i : i + step], y[i : i + step]) for i in range(0, len(y), step))
    return math.fsum(float(np.sum(part)) for part in parts) / len(y)


def targets(y: np.ndarray, k: int) -> np.ndarray:
    """(m, k)."""
    return (y[:, None] == (1 if k == 1 else np.arange(k))).astype(float)


def best_bias(Z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What to add to the scores for the lowest mean loss: Newton's method in k numbers, halving steps that rise."""
    k = Z.shape[1]
    added, here, goal = np.zeros(k), mean_loss(Z, y), targets(y, k).mean(axis=0)
    for _ in range(STEPS):
        P = probabilities(Z + added)
        slope = P.mean(axis=0) - goal
        curvature = np.diag(P.mean(axis=0)) - P.T @ P / len(y)
        step = -np.linalg.lstsq(curvature, slope, rcond=1e-12)[0]
        if -slope @ step < 1e-30 or not np.all(np.isfinite(step)):
            break
        size = 1.0
        while size > 1e-6 and not (there := mean_loss(Z + added + size * step, y)) <= here:
            size /= 2
        if size <= 1e-6:
            break
        added, here = added + size * step, there
    return added


def judge(X: np.ndarray, y: np.ndarray, w: np.ndarray, b: np.ndarray, l2: float, prove: bool = True) -> Verdict:
    """J(w, b) = mean loss + (l2/2) ||w||^2 of parameters w (n_x, k), b (k,); k = 1 of two classes, or K.

    With a penalty, min over b of J is strongly convex in w by l2, so J(w, b) - min J is at most J(w, b) - J(w, b*) +
    ||dJ/dw(w, b*)||^2 / (2 l2), b* the best b (Boyd & Vandenberghe, *Convex Optimization*, 2004, section 9.1.2). J
    itself is not strongly convex in b: without that step the bound would be false.

    Raises
    ------
    ValueError
        Where the shapes are not those of parameters for this problem.
    """
    w, b = np.asarray(w, dtype=float), np.asarray(b, dtype=float)
    K = int(y.max()) + 1
    if (
        w.ndim != 2
        or b.shape != (w.shape[1],)
        or len(w) != X.shape[1]
        or w.shape[1] not in {K} | ({1} if K == 2 else set())
    ):
        raise ValueError(f"w must be ({X.shape[1]}, {1 if K == 2 else K}) and b (k,), not {w.shape} and {b.shape}")
    if not (np.all(np.isfinite(w)) and np.all(np.isfinite(b))):
        return Verdict(math.inf, math.inf)
    Z = np.concatenate([X[part].astype(float) @ w for part in blocks(X)])
    cost = mean_loss(Z + b, y) + 0.5 * l2 * float(np.sum(w * w))
    if not (prove and l2 > 0 and math.isfinite(cost)):
        return Verdict(cost, math.inf)
    Z += b
    Z += best_bias(Z, y)
    dZ = probabilities(Z) - targets(y, Z.shape[1])
    dw = sum(X[part].astype(float).T @ dZ[part] for part in blocks(X)) / len(y) + l2 * w
    better = mean_loss(Z, y) + 0.5 * l2 * float(np.sum(w * w))
    return Verdict(cost, max(cost - better, 0.0) + float(np.sum(dw * dw)) / (2 * l2))


def agreement(costs: dict[str, float]) -> tuple[float, list[str]]:
    """The lowest cost, by the name of each library its lowest, and the libraries that come within 1e-10 of it."""
    lowest = min(costs.values())
    return lowest, sorted(name for name, cost in costs.items() if cost - lowest <= CONFIRMED * abs(lowest))
