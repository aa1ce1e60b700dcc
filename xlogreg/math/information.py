"""Terms that one block of samples adds to the covariance of parameters: the Fisher information, and what varies.

The score of a sample (not the linear score z) is the derivative of its log-likelihood, -(a - y) (x) [x; 1]. The sums of
the outer products of scores, the "meat", stand between two inverses of the Hessian in robust covariances (White 1982).
"""

from typing import Any

from xlogreg.arrays.place import Array, array_namespace, device_of, is_array
from xlogreg.arrays.products import combine, gram, tally
from xlogreg.math.losses import Loss
from xlogreg.math.sums import Block, hessian_terms, model_scores

__all__ = ["cluster_terms", "frequency_terms", "importance_terms"]

ONE_HOT = 64  # groups whose sums are taken at once where X is no array


def frequency_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, ...]:
    """Compute the sums of `hessian_terms`, and the meat for weights that count samples.

    A weight s is as good as s samples. A soft target y, a share of such samples with each label, adds
    sum_j y_j (e_j - a)(e_j - a)' (x) [x; 1] [x; 1]', where e_j is the one-hot column of class j.

    Returns
    -------
    losses, dTheta, H : as from `hessian_terms`
    meat : array ((n_x + 1) k, (n_x + 1) k)
    """
    xp, Y = array_namespace(theta), block.Y
    A = _shares(block, theta, loss)
    if A.shape[0] == 1:
        C = (Y - 2.0 * Y * A + A * A)[None, :, :]
    else:
        crossed = Y[:, None, :] * A[None, :, :]
        identity = xp.eye(A.shape[0], dtype=A.dtype, device=device_of(A))[:, :, None]
        C = identity * Y[:, None, :] - crossed - xp.permute_dims(crossed, (1, 0, 2)) + A[:, None, :] * A[None, :, :]
    C = C if block.weight is None else block.weight * C
    return (*hessian_terms(block, theta, loss), gram(block.X, xp.astype(C, theta.dtype, copy=False)))


def importance_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, ...]:
    """Compute the sums of `hessian_terms`, and the meat for weights that multiply the score of one sample.

    The meat is the sum of s^2 (a - y)(a - y)' (x) [x; 1] [x; 1]'. It has the shape of that of `frequency_terms`.
    """
    xp = array_namespace(theta)
    D = _residuals(block, theta, loss)
    C = D[:, None, :] * D[None, :, :]
    return (*hessian_terms(block, theta, loss), gram(block.X, xp.astype(C, theta.dtype, copy=False)))


def cluster_terms(block: Block, theta: Array, groups: Array, loss: Loss) -> tuple[Array, ...]:
    """Compute the sums of `hessian_terms`, and the sums of the weighted scores of each group of samples.

    Parameters
    ----------
    block : Block
        With the number of each sample's group.
    theta : array (n_x + 1, 1, k)
    groups : array (G,)
        The numbers 0 to G - 1 of the groups.
    loss : Loss

    Returns
    -------
    losses, dTheta, H : as from `hessian_terms`
    sums : array ((n_x + 1) k, G)
    """
    xp, X = array_namespace(theta), block.X
    D = _residuals(block, theta, loss)
    assert block.group is not None, "the samples have groups"
    if is_array(X):
        rows = xp.concat([X, xp.ones_like(X[:1, :])], axis=0)
        each = xp.reshape(rows[:, None, :] * D[None, :, :], (-1, X.shape[1]))
        sums = tally(block.group[0, :], xp.astype(each, theta.dtype, copy=False).T, groups.shape[0]).T
    else:
        group = xp.astype(block.group, groups.dtype)
        chunks = range(0, groups.shape[0], ONE_HOT)
        sums = xp.concat([_one_hot(X, D, group, groups[first : first + ONE_HOT], theta) for first in chunks], axis=1)
    return (*hessian_terms(block, theta, loss), sums)


def _shares(block: Block, theta: Array, loss: Loss) -> Array:
    """Probabilities A (k, m) of one model theta (n_x + 1, 1, k)."""
    return loss.link(model_scores(block, theta))[0, :, :]


def _residuals(block: Block, theta: Array, loss: Loss) -> Array:
    """Weighted residuals s (a - y) (k, m) of one model."""
    D = _shares(block, theta, loss) - block.Y
    return D if block.weight is None else block.weight * D


def _one_hot(X: Any, D: Array, group: Array, groups: Array, theta: Array) -> Array:
    """Add up the scores of the samples of a few groups (c,), where X is no array: ((n_x + 1) k, c)."""
    xp = array_namespace(theta)
    member = xp.astype(group[0, :, None] == groups[None, :], D.dtype)
    k, count = D.shape[0], groups.shape[0]
    V = xp.reshape(xp.matrix_transpose(D)[:, :, None] * member[:, None, :], (-1, k * count))
    sums = xp.concat([combine(X, V), xp.sum(V, axis=0, keepdims=True)], axis=0)
    return xp.reshape(xp.astype(sums, theta.dtype, copy=False), (-1, count))
