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


def _grouped(v, f, groups, joint):
    """The norm of the group of each entry (n, k) of v, and the root of the number of its features with a penalty."""
    n, k = v.shape
    row = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    number = np.repeat(row[:, None], k, axis=1) if joint else k * row[:, None] + np.arange(k)
    squares, counts = np.zeros(n * k, v.dtype), np.zeros(n, int)
    np.add.at(squares, number, v * v)
    np.add.at(counts, row, f[:, 0] > 0)
    return np.sqrt(squares[number]), np.sqrt(np.maximum(counts[row], 1))[:, None], number


def beyond(
    model,
    X,
    targets,
    l1,
    *,
    l2=0.0,
    penalty_factor=None,
    sample_weight=None,
    standardize=False,
    bias=True,
    groups=None,
    joint=False,
):
    """Return the cost, and the largest slope that would lower it, relative to l1.

    Parameters
    ----------
    model : Model
        Of rows.
    X : ndarray (m, n)
    targets : ndarray (m,) of class numbers, or (m, K) of probabilities
    groups : ndarray (n,), optional
        The group of each feature; the slope is the shortest of each group.
    joint : bool
        Whether a group holds the weights of all classes.
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
    slope, held = (X.T @ D) / scale[:, None] + l2 * f * u, np.broadcast_to(f > 0, u.shape)
    norms, root, number = _grouped(f * u, f, groups, joint)
    steep = _grouped(np.where(held, slope / (np.where(f > 0, f, 1) * root), 0), f, groups, joint)[0]
    zero = held & (norms == 0)
    outward = l1 * root * f * f * u / np.where(norms > 0, norms, 1)
    off = np.abs(np.where(zero, slope * np.maximum(1 - l1 / np.where(steep > 0, steep, 1), 0), slope + outward))
    off = np.append(off, np.abs(D.sum(axis=0)) * bias)
    first = np.unique(number, return_index=True)[1]
    cost = -(s @ (T * logs)).sum() + l1 * np.sum((root * norms).ravel()[first]) + 0.5 * l2 * np.sum(f * u * u)
    return float(cost), float(off.max() / l1)


def largest(
    X,
    targets,
    *,
    l2=0.0,
    penalty_factor=None,
    sample_weight=None,
    standardize=False,
    bias=True,
    groups=None,
    joint=False,
):
    """Return the smallest l1 with which all weights are zero, where each has a penalty."""
    X, T, s, scale = _parts(X, targets, sample_weight, standardize, bias)
    p = s @ T if bias else np.full(T.shape[1], 1 / T.shape[1])
    f = np.ones((X.shape[1], 1)) if penalty_factor is None else np.asarray(penalty_factor)[:, None]
    slope = X.T @ ((p - T) * s[:, None]) / (scale[:, None] * f)
    slope = slope if slope.shape[1] > 2 else slope[:, 1:]
    norms, root, _ = _grouped(slope, f, groups, joint)
    return float(np.max(norms / root))
