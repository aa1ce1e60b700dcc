"""Terms that one block of samples adds to the covariance of parameters: the Fisher information, and what varies.

The score of a sample (not the linear score z) is the derivative of its log-likelihood, -(a - y) (x) [x; 1]. The sums of
the outer products of scores, the "meat", stand between two inverses of the Hessian in robust covariances (White 1982).
"""

from typing import Any

from xlogreg.arrays.place import Array, array_namespace, device_of, is_array
from xlogreg.arrays.products import combine, gram, squares, tally
from xlogreg.math.losses import Loss
from xlogreg.math.sums import Block, hessian_terms, model_scores, weights

__all__ = ["candidate_sums", "cluster_terms", "frequency_terms", "importance_terms", "null_columns", "null_weights"]

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
    sums : array ((n_x + 1) k + 1, G)
        Below the scores stand the weights of the groups.
    """
    xp, X = array_namespace(theta), block.X
    D, mass = _residuals(block, theta, loss), weights(block)
    assert block.group is not None, "the samples have groups"
    if is_array(X):
        rows = xp.concat([X, xp.ones_like(X[:1, :])], axis=0)
        each = xp.concat([xp.reshape(rows[:, None, :] * D[None, :, :], (-1, X.shape[1])), mass], axis=0)
        sums = tally(block.group[0, :], xp.astype(each, theta.dtype, copy=False).T, groups.shape[0]).T
    else:
        group = xp.astype(block.group, groups.dtype)
        chunks = (groups[first : first + ONE_HOT] for first in range(0, groups.shape[0], ONE_HOT))
        sums = xp.concat([_one_hot(X, D, mass, group, chunk, theta) for chunk in chunks], axis=1)
    return (*hessian_terms(block, theta, loss), sums)


def _shares(block: Block, theta: Array, loss: Loss) -> Array:
    """Probabilities A (k, m) of one model theta (n_x + 1, 1, k)."""
    return loss.link(model_scores(block, theta))[0, :, :]


def _residuals(block: Block, theta: Array, loss: Loss) -> Array:
    """Weighted residuals s (a - y) (k, m) of one model."""
    D = _shares(block, theta, loss) - block.Y
    return D if block.weight is None else block.weight * D


def _one_hot(X: Any, D: Array, mass: Array, group: Array, groups: Array, theta: Array) -> Array:
    """Add up the scores and weights of the samples of a few groups (c,), where X is no array."""
    xp = array_namespace(theta)
    member = xp.astype(group[0, :, None] == groups[None, :], D.dtype)
    k, count = D.shape[0], groups.shape[0]
    V = xp.reshape(xp.matrix_transpose(D)[:, :, None] * member[:, None, :], (-1, k * count))
    sums = xp.concat([combine(X, V), xp.sum(V, axis=0, keepdims=True)], axis=0)
    sums = xp.concat([xp.reshape(sums, (-1, count)), mass @ member], axis=0)
    return xp.astype(sums, theta.dtype, copy=False)


def null_weights(block: Block, theta: Array, loss: Loss, basis: Array) -> tuple[Array, Array]:
    """Compute what score tests of further features need of each sample under one model theta (n_x + 1, 1, k).

    Returns
    -------
    D : array (c, m)
        Weighted residuals s (y - a) in the coordinates of the basis (k, c) of the classes.
    C : array (c (c + 1) / 2, m)
        Weighted curvatures in these coordinates, for the pairs of outputs i <= j, row by row.
    """
    assert loss.second is not None, "only a convex cost is expanded"
    xp, weight = array_namespace(theta), block.weight
    _, _, dZ, C = loss.second(model_scores(block, theta), block.Y)
    D, C = -dZ[0, :, :], C[0, :, :, :]
    if weight is not None:
        D, C = weight * D, weight * C
    if basis.shape[0] == 1:
        return D, C[0, :, :]
    (k, c), m = basis.shape, D.shape[1]
    basis = xp.astype(basis, D.dtype, copy=False)
    turned = xp.reshape(basis.T @ xp.reshape(C, (k, k * m)), (c, k, m))
    turned = xp.reshape(xp.permute_dims(turned, (1, 0, 2)), (k, c * m))
    turned = xp.reshape(basis.T @ turned, (c, c, m))
    return basis.T @ D, xp.concat([turned[output, output:, :] for output in range(c)], axis=0)


def null_columns(X: Any, D: Array, C: Array) -> Array:
    """Join the factors (m, c + p + p n_x) of all sums over the samples that a candidate is multiplied by.

    They are the residuals D (c, m), the curvatures C (p, m), and, if X is an array, the curvatures times X (n_x, m).
    """
    xp, parts = array_namespace(D), [D, C]
    if is_array(X):
        parts = [*parts, xp.reshape(C[:, None, :] * X[None, :, :], (-1, X.shape[1]))]
    return xp.matrix_transpose(xp.concat(parts, axis=0))


def candidate_sums(T: Any, columns: Array, C: Array, X: Any) -> Array:
    """Multiply candidates T (b, m) by the columns of `null_columns`, and sum their squares by the curvatures C (p, m).

    Returns
    -------
    array (b, c + p + p n_x + p)
        The sums of g (y - a), of C g, of C g x and of C g^2 over the samples.
    """
    xp = array_namespace(columns)
    if is_array(T):
        sums = [T @ columns]
        last = (T * T) @ xp.matrix_transpose(C)
    else:
        sums, last = [combine(T, columns)], squares(T, xp.matrix_transpose(C))
    if not is_array(X):
        dense = T if is_array(T) else combine(T, xp.eye(C.shape[1], dtype=C.dtype, device=device_of(C)))
        crossed = [combine(X, xp.matrix_transpose(C[pair : pair + 1, :] * dense)) for pair in range(C.shape[0])]
        sums = [*sums, *(xp.matrix_transpose(part) for part in crossed)]
    return xp.concat([*sums, last], axis=1)
