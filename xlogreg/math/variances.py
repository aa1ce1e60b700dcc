"""Variances of scores and of what follows from them, sample by sample."""

from typing import Any

from xlogreg.arrays.place import Array, array_namespace, device_of
from xlogreg.arrays.products import scores
from xlogreg.math.losses import sigmoid
from xlogreg.math.sums import split

__all__ = ["class_logits", "probability_bounds", "score_covariance", "scores_and_covariance"]

ROWS = 16  # values of each sample that are held at a time


def score_covariance(X: Any, factor: Array) -> Array:
    """Covariance S (k, k, m) of the scores of each sample, for X (n_x, m).

    Parameters
    ----------
    X : array (n_x, m), or another block
    factor : array (n_x + 1, k, r)
        A factor L of the covariance L L' of theta (n_x + 1, k): for two classes, S = x'L L'x, a sum of squares.
    """
    xp = array_namespace(factor)
    rows, k, r = factor.shape
    step, S = max(1, ROWS // k), None
    for first in range(0, r, step):
        part = xp.astype(factor[:, :, first : min(first + step, r)], X.dtype, copy=False)
        M = xp.reshape(scores(X, *split(xp.reshape(part, (rows, -1)))), (k, part.shape[2], X.shape[1]))
        one = xp.sum(M[:, None, :, :] * M[None, :, :, :], axis=2)
        S = one if S is None else S + one
    return S


def class_logits(Z: Array) -> tuple[Array, Array]:
    """Log-odds (k, m) of each class, and their derivatives (k, k, m) with respect to the scores Z (k, m).

    With K classes, log(p_c / (1 - p_c)) = z_c - log sum_{l != c} exp(z_l). The derivative with respect to z_c is 1, and
    -p_l / (1 - p_c) with respect to another z_l. For one output these are the score itself and 1.
    """
    xp, k = array_namespace(Z), Z.shape[0]
    if k == 1:
        return Z, xp.ones_like(Z)[None, :, :]
    own = xp.eye(k, dtype=Z.dtype, device=device_of(Z))[:, :, None]
    others = xp.where(own > 0, -xp.inf, Z[None, :, :])  # (c, l, m)
    top = xp.max(others, axis=1, keepdims=True)
    E = xp.exp(others - top)
    total = xp.sum(E, axis=1, keepdims=True)
    return Z - (top + xp.log(total))[:, 0, :], own - E / total


def scores_and_covariance(X: Any, theta: Array, factor: Array) -> Array:
    """Stack the scores Z of X (n_x, m) and their covariance S, flattened: (k + k^2, m).

    Parameters
    ----------
    X : array (n_x, m), or another block
    theta : array (n_x + 1, k)
    factor : array (n_x + 1, k, r)
        As for `score_covariance`.
    """
    xp = array_namespace(theta)
    Z = scores(X, *split(xp.astype(theta, X.dtype, copy=False)))
    return xp.concat([Z, xp.reshape(score_covariance(X, factor), (-1, Z.shape[1]))], axis=0)


def probability_bounds(Z: Array, S: Array, reach: Array) -> Array:
    """Lower and upper bounds (2 K, m) of the probabilities of K classes.

    They are g(l - r) and g(l + r) for the log-odds l of a class and the sigmoid g, where r is ``reach`` (1,) times the
    standard error of l by the delta method. The lower bounds of all classes come first.

    Parameters
    ----------
    Z : array (k, m)
        Scores.
    S : array (k^2, m)
        Their covariance, flattened.
    """
    xp = array_namespace(Z)
    L, D = class_logits(Z)
    k, m = Z.shape
    variance = xp.sum(D[:, :, None, :] * D[:, None, :, :] * xp.reshape(S, (1, k, k, m)), axis=(1, 2))
    R = xp.astype(reach, L.dtype, copy=False) * xp.sqrt(variance)
    if L.shape[0] == 1:
        L, R = xp.concat([-L, L], axis=0), xp.concat([R, R], axis=0)
    return sigmoid(xp.concat([L - R, L + R], axis=0))
