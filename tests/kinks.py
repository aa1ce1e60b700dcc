"""Whether a model is at the minimum of a cost with kinks, in extended precision, without the library."""

import numpy as np

from xlogreg.arrays.place import to_host

__all__ = ["beyond", "largest"]


def _parts(X, targets, weight, standardize, bias):
    """X (m, n) and the scale (n,) that the penalty sees, in extended precision."""
    X = np.asarray(X, dtype=np.longdouble)
    s = np.ones(len(X), np.longdouble) if weight is None else np.asarray(weight, np.longdouble)
    s = s / s.sum()
    T = np.asarray(targets)
    T = np.eye(int(T.max()) + 1, dtype=np.longdouble)[T] if T.ndim == 1 else T.astype(np.longdouble)
    scale = np.full(X.shape[1], np.longdouble(standardize or 1))
    if standardize is True:
        mean = s @ X
        scale = np.sqrt(s @ (X - mean) ** 2)
        scale[scale == 0] = 1
        X = X if bias else X - mean  # features of mean zero
    return X, T, s, scale


def beyond(model, X, targets, l1, *, l2=0.0, penalty_factor=None, sample_weight=None, standardize=False, bias=True):
    """Return the cost, and the largest slope that would lower it, relative to l1.

    Parameters
    ----------
    model : Model
        Of rows.
    X : ndarray (m, n)
    targets : ndarray (m,) of class numbers, or (m, K) of probabilities
    """
    given, (X, T, s, scale) = np.asarray(X, np.longdouble), _parts(X, targets, sample_weight, standardize, bias)
    w, b = to_host(model.w).astype(np.longdouble), to_host(model.b).astype(np.longdouble)[:, 0]
    f = np.ones((len(w), 1)) if penalty_factor is None else np.asarray(penalty_factor)[:, None]
    Z = given @ w + b
    Z = np.concatenate([np.zeros_like(Z), Z], axis=1) if Z.shape[1] == 1 else Z
    Z = Z - Z.max(axis=1, keepdims=True)
    logs = Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))
    D = (np.exp(logs) - T) * s[:, None]
    D = D[:, 1:] if w.shape[1] == 1 else D
    u = w * scale[:, None]
    slope, kink = (X.T @ D) / scale[:, None] + l2 * f * u, l1 * f
    off = np.where(u != 0, np.abs(slope + kink * np.sign(u)), np.maximum(np.abs(slope) - kink, 0))
    off = np.append(off, np.abs(D.sum(axis=0)) * bias)
    cost = -(s @ (T * logs)).sum() + np.sum(kink * np.abs(u)) + 0.5 * l2 * np.sum(f * u * u)
    return float(cost), float(off.max() / l1)


def largest(X, targets, *, l2=0.0, penalty_factor=None, sample_weight=None, standardize=False, bias=True):
    """Return the smallest l1 with which all weights are zero, where each has a penalty."""
    X, T, s, scale = _parts(X, targets, sample_weight, standardize, bias)
    p = s @ T if bias else np.full(T.shape[1], 1 / T.shape[1])
    f = np.ones(X.shape[1]) if penalty_factor is None else np.asarray(penalty_factor)
    return float(np.max(np.abs(X.T @ ((p - T) * s[:, None])) / (scale * f)[:, None]))
