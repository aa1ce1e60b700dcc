"""Sums over one block of samples from which the effects of features on probabilities follow; terms as in `sums`.

The probabilities of a sample are A = g(Z) (k, m), the sigmoid or the softmax of its scores. With respect to the scores,
they have the first derivatives G (k, k, m), and the second derivatives T (k, k, k, m).
"""

from xlogreg.arrays.place import Array, array_namespace, device_of
from xlogreg.arrays.products import combine, squares
from xlogreg.math.logistic import backward
from xlogreg.math.losses import Loss, share_and_curvature
from xlogreg.math.sums import Block, model_scores, score_moves, weights

__all__ = ["change_terms", "slope_terms", "value_terms"]

ROWS = 64  # values of each sample that are held at a time


def value_terms(block: Block, origin: Array) -> tuple[Array, ...]:
    """Sums that tell the mean of each feature, and whether all of its values are 0 or 1; in the dtype of origin.

    Returns
    -------
    weight : array (1, 1)
        Sum of the weights.
    first : array (n_x, 1)
        Weighted sum of x.
    values : array (n_x, 4)
        Sums of x, abs(x), x^2 and x^4, without weights.
    offset : array (k, 1), or (1, 1)
        Weighted sum of the offset; zero if there is none.
    """
    xp, X, weight = array_namespace(origin), block.X, weights(block)
    ones = xp.ones_like(weight).T
    both = combine(X, xp.concat([weight.T, ones], axis=1))
    values = xp.concat([both[:, 1:], combine(abs(X), ones), squares(X, ones, twice=True)], axis=1)
    offset = 0.0 * weight if block.offset is None else weight * block.offset
    total, offset = (xp.sum(part, axis=1, keepdims=True, dtype=origin.dtype) for part in (weight, offset))
    sums = total, both[:, :1], values, offset
    return tuple(xp.astype(part, origin.dtype, copy=False) for part in sums)


def _derivatives(Z: Array, loss: Loss) -> tuple[Array, Array]:
    """Probabilities A (u, k, m) and their first derivatives G (u, k, k, m), for scores Z (u, k, m)."""
    if Z.shape[1] == 1:
        A, C = share_and_curvature(Z)
        return A, C[:, None, :, :]
    A = loss.link(Z)
    assert loss.curvature is not None, "only a model of a likelihood has a covariance"
    return A, loss.curvature(A)


def _second(A: Array, G: Array, number: int) -> Array:
    """Second derivatives (k, k, m) of the probability of one class, for A (k, m) and G (k, k, m)."""
    xp, k = array_namespace(A), A.shape[0]
    a, g = A[number : number + 1, :], G[number, :, :]
    if k == 1:
        return ((1.0 - 2.0 * A) * g)[None, :, :]
    own = xp.astype(xp.arange(k, device=device_of(A)) == number, A.dtype)[:, None, None]
    return own * g[None, :, :] - g[None, :, :] * A[:, None, :] - a[None, :, :] * G


def slope_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, Array]:
    """Sum the first derivatives of the probabilities, and how these sums move with theta (n_x + 1, 1, k).

    Returns
    -------
    G : array (k, k)
        Weighted sum of the derivative of class c with respect to the score of class l.
    moves : array (n_x + 1, k, k, k)
        Weighted sum of [x; 1] T: the derivative of G[c, l] with respect to theta[i, p] is moves[i, c, l, p].
    """
    xp, X, weight = array_namespace(theta), block.X, weights(block)
    A, G = (part[0, ...] for part in _derivatives(model_scores(block, theta), loss))
    k, m = A.shape
    moves = []
    for number in range(k):
        T = xp.reshape(weight[None, :, :] * _second(A, G, number), (k * k, m))
        dW, db = backward(X, T, theta.dtype)
        moves.append(xp.concat([xp.astype(dW, theta.dtype, copy=False), db.T], axis=0))
    sums = xp.reshape(xp.stack(moves, axis=1), (theta.shape[0], k, k, k))
    return xp.sum(weight[None, :, :] * G, axis=-1, dtype=theta.dtype), sums


def change_terms(block: Block, changes: Array, theta: Array, loss: Loss) -> tuple[Array, ...]:
    """Sum the differences of the probabilities that u changes of the features make, and how these move with theta.

    Parameters
    ----------
    block : Block
    changes : array (n_x + 3, u, k)
        For each change, the part of theta that is taken out of the scores, n_x + 1 rows; then the row of theta that is
        added to these after the change, and that before it.
    theta : array (n_x + 1, 1, k)
    loss : Loss

    Returns
    -------
    differences : array (u, k)
        Weighted sums of A after the change, less A before it.
    after, before : arrays (u, k, k)
        Weighted sums of the derivatives G.
    moves : array (n_x + 1, u, k, k)
        Weighted sums of [x; 1] (G after - G before).
    """
    xp, X, weight = array_namespace(theta), block.X, weights(block)[None, :, :]
    Z, rows = model_scores(block, theta), theta.shape[0]
    _, count, k = changes.shape
    step, found = max(1, ROWS // (k * k)), []
    for first in range(0, count, step):
        part = changes[:, first : min(first + step, count), :]
        added = xp.astype(part[rows:, :, :], Z.dtype, copy=False)
        rest = Z - score_moves(X, part[:rows, :, :])
        (A1, G1), (A0, G0) = (_derivatives(rest + added[own, :, :, None], loss) for own in (0, 1))
        u, m = A1.shape[0], A1.shape[2]
        V = xp.reshape(weight[None, :, :, :] * (G1 - G0), (u * k * k, m))
        dW, db = backward(X, V, theta.dtype)
        moves = xp.concat([xp.astype(dW, theta.dtype, copy=False), db.T], axis=0)
        differences = xp.sum(weight * (A1 - A0), axis=-1, dtype=theta.dtype)
        after, before = (xp.sum(weight[None, :, :, :] * G, axis=-1, dtype=theta.dtype) for G in (G1, G0))
        found.append((differences, after, before, xp.reshape(moves, (rows, u, k, k))))
    axes = (0, 0, 0, 1)
    return tuple(xp.concat(list(parts), axis=axis) for parts, axis in zip(zip(*found, strict=True), axes, strict=True))
