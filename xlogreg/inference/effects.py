"""Effects of features on probabilities, with standard errors by the delta method.

The effect e of a feature is a function of the parameters theta, so its variance is J V J' for the covariance V of theta
and J = de/dtheta (Oehlert 1992). Means over samples are taken before derivatives, so that J is made of the sums in
`xlogreg.math.effects`.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["Change", "Effects", "changes_of", "difference_effects", "slope_effects"]


class Change(NamedTuple):
    """A change of some features: all of ``rows`` become zero, then one of them becomes 1.

    Attributes
    ----------
    on : int
        The feature that is 1 after the change; it gives the effect its name.
    rows : tuple of int
        The features that are changed: this one, or all levels of a category.
    off : int or None
        The feature that is 1 before the change; None if all of ``rows`` are zero then.
    """

    on: int
    rows: tuple[int, ...]
    off: int | None = None


class Effects(NamedTuple):
    """Effects of n features on the probabilities of k classes, and their derivatives."""

    values: np.ndarray  # (n, k)
    jacobian: np.ndarray  # (n, k, (n_x + 1) k), with respect to theta (n_x + 1, k) flattened

    def errors(self, covariance: np.ndarray) -> np.ndarray:
        """Standard errors (n, k), for the covariance of theta."""
        variance = np.sum((self.jacobian @ covariance) * self.jacobian, axis=-1)
        return np.sqrt(np.maximum(variance, 0.0))


def changes_of(changes: list[Change], w: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Make the argument (n_x + 3, u, k) of `change_terms`, for w (n_x, k) and a centre (n_x, 1) subtracted from X."""
    n_x, k = w.shape
    found = np.zeros((n_x + 3, len(changes), k))
    for number, (on, rows, off) in enumerate(changes):
        own = list(rows)
        found[own, number, :] = w[own]
        found[n_x, number, :] = center[own, 0] @ w[own]
        found[n_x + 1, number, :] = w[on]
        found[n_x + 2, number, :] = 0.0 if off is None else w[off]
    return found


def _uncentred(moves: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Turn sums (n_x + 1, ...) over [X - center; 1] into sums over [X; 1]."""
    shift = np.tensordot(center, moves[-1:], axes=(1, 0))
    return np.concatenate([moves[:-1] + shift, moves[-1:]])


def slope_effects(
    rows: list[int], w: np.ndarray, total: float, slopes: np.ndarray, moves: np.ndarray, center: np.ndarray
) -> Effects:
    """Mean derivatives of the probabilities with respect to some features.

    With the sums G and ``moves`` of `slope_terms`, the effect of feature j on class c is sum_l w_jl G_cl / total.
    """
    moves, k = _uncentred(moves, center) / total, w.shape[1]
    G = slopes / total
    jacobian = np.einsum("jl,iclp->jcip", w[rows], moves)  # (n, k, n_x + 1, k)
    jacobian[np.arange(len(rows)), :, rows, :] += G
    return Effects(w[rows] @ G.T, jacobian.reshape(len(rows), k, -1))


def difference_effects(changes: list[Change], total: float, sums: list[np.ndarray], center: np.ndarray) -> Effects:
    """Mean differences of the probabilities that the changes make, from the sums of `change_terms`."""
    differences, after, before, moves = sums
    jacobian = np.array(np.moveaxis(_uncentred(moves, center), 0, 2)) / total  # (u, k, n_x + 1, k)
    for number, (on, rows, off) in enumerate(changes):
        jacobian[number][:, list(rows), :] = 0.0
        jacobian[number][:, on, :] += after[number] / total
        if off is not None:
            jacobian[number][:, off, :] -= before[number] / total
    u, k = differences.shape
    return Effects(differences / total, jacobian.reshape(u, k, -1))
