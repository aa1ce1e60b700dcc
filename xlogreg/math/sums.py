"""Terms that one block of samples adds to the sums of a fit; built from `xlogreg.math.logistic`.

theta (n_x + 1, g, k) holds the parameters of g models with k outputs each, the bias in the last row; X
never gets a row of ones. The terms are sums, not means, so that blocks add up. They are accumulated in the
dtype of theta, which may be wider than that of X: float32 samples, float64 sums. Capitals stand for matrices.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from xlogreg.arrays.place import Array, array_namespace, device_of, is_array
from xlogreg.arrays.products import combine, elementwise, fused, gram, row_sums, scores, squares, sum_squares
from xlogreg.math.logistic import backward
from xlogreg.math.losses import Loss, sum_losses
from xlogreg.math.samples import sample_terms

__all__ = [
    "TEMPORARIES",
    "Block",
    "class_terms",
    "combine_terms",
    "correlation_terms",
    "crossed_terms",
    "curvature_terms",
    "diagonal_terms",
    "expansion_terms",
    "gradient_terms",
    "hessian_terms",
    "hessian_times_terms",
    "model_scores",
    "moment_terms",
    "pair_terms",
    "pass_terms",
    "score_moves",
    "second_moment_terms",
    "size_terms",
    "split",
    "spread_terms",
    "spreads_terms",
    "target_terms",
    "weights",
]


class Block(NamedTuple):
    """A block of samples, on the computing device and in the computing dtype."""

    X: Any  # (n_x, samples): an array, or another object with the four products of `xlogreg.arrays.products`
    Y: Array  # (k, samples)
    weight: Array | None  # (1, samples)
    start: int  # number of the first sample
    offset: Array | None = None  # (k, samples) or (1, samples), added to the scores of every model
    group: Array | None = None  # (1, samples): number of the group that each sample belongs to


def gradient_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, Array]:
    """Sum the losses and the gradients of one block: forward pass, loss, backward pass.

    Parameters
    ----------
    block : Block
    theta : array (n_x + 1, g, k)
        Parameters of g models, bias in the last row; or (n_x + 1, 1, k), the same parameters for the targets and
        weights of all models. The sums have theta's dtype, which may be wider than X's.
    loss : Loss

    Returns
    -------
    losses : array (g,)
        Sum of the weighted losses.
    dTheta : array (n_x + 1, g, k)
        Sum of the weighted gradients.
    """
    found = _fused_sums(block, theta, loss)
    return found or _first_sums(block, theta, *loss.first(model_scores(block, theta), block.Y))


def pass_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, Array, Array]:
    """Compute the sums of `gradient_terms`, and a proof that theta separates the classes.

    Returns
    -------
    losses, dTheta : as from `gradient_terms`
    unsettled : array (g,)
        0 if the loss of every sample, without its offset, is below log 2. With hard labels 0 proves that theta
        separates the classes: every sample is strictly on its own side.
    """
    found = _fused_sums(block, theta, loss, proves=True)
    if found:
        return found
    moves = score_moves(block.X, theta)
    excess, tail, dZ = loss.first(_with_offset(block, moves), block.Y)
    return (*_first_sums(block, theta, excess, tail, dZ), _unsettled(block, theta, loss, moves, excess, tail))


def _fused_sums(block: Block, theta: Array, loss: Loss, proves: bool = False, curves: bool = False) -> Any:
    """Compute the sums of `pass_terms` or `expansion_terms` with one kernel for all work on samples, else ().

    The library makes such a kernel, or the functions of each element in turn take about thirty.
    """
    X, Y, weight, dtype = block.X, block.Y, block.weight, theta.dtype
    single = theta.shape[1] == 1 and Y.ndim == 2 and (weight is None or weight.ndim == 2)
    kernel = loss.elements and fused(Y, sample_terms, loss.elements, dtype, proves, curves, single)
    if not kernel:
        return ()
    xp, (rows, g, _), m = array_namespace(theta), theta.shape, X.shape[1]
    W, b = split(xp.reshape(xp.astype(theta, X.dtype, copy=False), (rows, g)))
    Z, b = (W.T @ X, xp.reshape(b, (g, 1, 1))) if is_array(X) else (scores(X, W, b), 0.0)
    dZ, *found = kernel(xp.reshape(Z, (g, 1, m)), b, block.offset, Y, weight)
    dZ = xp.reshape(dZ, (-1, m))  # theta may stand for several models
    C = found.pop() if curves else None
    # one model's derivatives are summed in one go, if they lie there in the dtype of the sums
    sums = [row_sums(part[:, 0, :], dtype) for part in found]
    db = sums.pop(1) if single else row_sums(dZ, dtype)
    dTheta = xp.reshape(xp.concat([combine(X, dZ.T), db[None, :]], axis=0), (rows, -1, 1))
    del Z, dZ, found  # which may take as much memory as the next products
    H = () if C is None else [gram(X, C[model : model + 1, :, :]) for model in range(C.shape[0])]
    return (sums[0], dTheta, *sums[1:], *([H[0][None, ...] if len(H) == 1 else xp.stack(H)] if H else []))


def _first_sums(block: Block, theta: Array, excess: Array, tail: Array, dZ: Array) -> tuple[Array, Array]:
    """Sum the losses excess + log1p(tail) (g, 1, m), and the gradients that follow from dZ (g, k, m)."""
    X, weight = block.X, block.weight
    xp = array_namespace(dZ)
    dZ = dZ if weight is None else weight * dZ
    g, k, m = dZ.shape
    dW, db = backward(X, xp.reshape(dZ, (g * k, m)), theta.dtype)
    dTheta = xp.concat([dW, db.T], axis=0)  # in the wider of both dtypes
    return sum_losses(excess, tail, weight, theta.dtype), xp.reshape(dTheta, (theta.shape[0], g, k))


def _unsettled(block: Block, theta: Array, loss: Loss, moves: Array, excess: Array, tail: Array) -> Array:
    """Return 1 for each model (g,) if the loss of any sample is not below log 2, else 0.

    With hard labels, the excess is 0 for a sample on its own side. Its loss is below log 2 if its tail is below 1. An
    offset may bring samples to their own side that theta does not, so what counts are the ``moves`` X'theta alone.
    """
    if block.offset is not None:
        excess, tail, _ = loss.first(moves, block.Y)
    xp, worst = array_namespace(excess), (excess, tail)
    if block.weight is not None:
        present = xp.astype(block.weight > 0, excess.dtype)
        worst = present * excess, present * tail
    one = excess.shape[0] == 1  # then no axis is left, so that all threads of a GPU work
    wrong, near = (xp.reshape(xp.max(part), (1,)) if one else xp.max(part, axis=(-2, -1)) for part in worst)
    return xp.astype((wrong > 0.0) | (near >= 1.0), theta.dtype)


def expansion_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, ...]:
    """Compute the sums of `pass_terms`, and the sum of the weighted Hessians.

    Returns
    -------
    losses, dTheta, unsettled : as from `pass_terms`
    H : array (g, (n_x + 1) k, (n_x + 1) k)
        The rows have the order of ``theta[:, j, :]`` flattened.
    """
    if sums := _fused_sums(block, theta, loss, proves=True, curves=True):
        return sums
    losses, dTheta, H, *found = _second_sums(block, theta, loss)
    return losses, dTheta, _unsettled(block, theta, loss, *found), H


def hessian_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, ...]:
    """Compute losses, dTheta and H, like `expansion_terms`, but without the proof of separation."""
    return _fused_sums(block, theta, loss, curves=True) or _second_sums(block, theta, loss)[:3]


def _second_sums(block: Block, theta: Array, loss: Loss) -> tuple[Array, ...]:
    """Sum losses (g,), gradients (n_x + 1, g, k) and Hessians (g, p, p).

    Return the scores of each sample without its offset, and its excess and tail, too.
    """
    xp, moves = array_namespace(theta), score_moves(block.X, theta)
    excess, tail, dZ, C = _second(loss)(_with_offset(block, moves), block.Y)
    C = _weighted(C, block, theta)
    # H is in theta's dtype: a Hessian rounded to float32 would hide the directions that decide convergence
    H = [gram(block.X, C[model, :, :, :]) for model in range(theta.shape[1])]
    sums = _first_sums(block, theta, excess, tail, dZ)
    return (*sums, H[0][None, ...] if len(H) == 1 else xp.stack(H), moves, excess, tail)


def _second(loss: Loss) -> Callable[[Array, Array], tuple[Array, Array, Array, Array]]:
    assert loss.second is not None, "only a convex cost is expanded"
    return loss.second


def model_scores(block: Block, theta: Array) -> Array:
    """Compute the scores Z (g, k, m) of g models, with the offset of the samples."""
    return _with_offset(block, score_moves(block.X, theta))


def _with_offset(block: Block, Z: Array) -> Array:
    return Z if block.offset is None else Z + block.offset


def score_moves(X: Any, theta: Array) -> Array:
    """Compute how a step moves the scores (g, k, m) of g models: one matrix product, without an offset."""
    xp = array_namespace(theta)
    rows, g, k = theta.shape
    W, b = split(xp.reshape(xp.astype(theta, X.dtype, copy=False), (rows, g * k)))
    return xp.reshape(scores(X, W, b), (g, k, X.shape[1]))


def _weighted(C: Array, block: Block, theta: Array) -> Array:
    """Multiply the curvature C (g, k, k, m) by the weights of the samples, in theta's dtype."""
    xp, weight = array_namespace(C), block.weight
    if weight is not None and weight.ndim == 3:  # models have weights of their own
        weight = xp.expand_dims(weight, axis=1)
    C = xp.astype(C if weight is None else weight * C, theta.dtype, copy=False)
    if C.shape[-2] == 1:
        return C
    # a constant over the classes has no curvature; this must hold to the rounding of theta's dtype, not of X's
    identity = xp.eye(C.shape[-2], dtype=C.dtype, device=device_of(C))
    return C - identity[:, :, None] * xp.sum(C, axis=-3, keepdims=True)


def split(theta: Array) -> tuple[Array, Array]:
    """Split theta (n_x + 1, k) into W (n_x, k) and b (k, 1)."""
    return theta[:-1, :], theta[-1:, :].T


def moment_terms(block: Block, V: Array) -> tuple[Array]:
    """Compute [X; 1] diag(weight) [X; 1]' V (n_x + 1, 1) for V (n_x + 1, 1): the Hessian of unit curvature, times V."""
    X, weight = block.X, block.weight
    xp = array_namespace(V)
    Z = scores(X, *split(xp.astype(V, X.dtype, copy=False)))
    dW, db = backward(X, Z if weight is None else weight * Z, V.dtype)
    return (xp.concat([xp.astype(dW, V.dtype, copy=False), db], axis=0),)


def hessian_times_terms(block: Block, points: Array, loss: Loss) -> tuple[Array]:
    """Sum the products (n_x + 1, g, k) of the weighted Hessians at theta and a move; both are stacked in ``points``."""
    X, xp, rows, g = block.X, array_namespace(points), points.shape[0] // 2, points.shape[1]
    both = score_moves(X, xp.concat([points[:rows, :, :], points[rows:, :, :]], axis=1))
    A, D = loss.link(both[:g, :, :] if block.offset is None else both[:g, :, :] + block.offset), both[g:, :, :]
    R = A * (1.0 - A) * D if D.shape[1] == 1 else A * (D - xp.sum(A * D, axis=-2, keepdims=True))
    R = xp.reshape(R if block.weight is None else block.weight * R, (-1, X.shape[1]))
    dW, db = backward(X, R, points.dtype)
    product = xp.concat([xp.astype(dW, points.dtype, copy=False), db.T], axis=0)
    return (xp.reshape(product, (rows, g, points.shape[2])),)


def weights(block: Block) -> Array:
    """Return the weights of the samples (1, m), or (g, 1, m); ones if there are none."""
    if block.weight is not None:
        return block.weight
    xp, Y = array_namespace(block.Y), block.Y
    return xp.ones_like(xp.reshape(Y, (-1, Y.shape[-1]))[:1, :])


def spread_terms(block: Block, origin: Array) -> tuple[Array, Array, Array]:
    """Weighted sums of X and of its square (n_x, 1), and of Y (k, 1), in origin's dtype."""
    X, Y, xp, weight = block.X, block.Y, array_namespace(origin), weights(block).T
    even = block.weight is None and is_array(X)
    sums = combine(X, weight), sum_squares(X) if even else squares(X, weight), Y @ weight
    return tuple(xp.astype(part, origin.dtype, copy=False) for part in sums)


def crossed_terms(block: Block, origin: Array) -> tuple[Array, Array, Array, Array]:
    """Compute the sums of `spread_terms`, and the weighted sum X Y' (n_x, k)."""
    xp = array_namespace(origin)
    crossed = combine(block.X, xp.matrix_transpose(weights(block) * block.Y))
    return (*spread_terms(block, origin), xp.astype(crossed, origin.dtype, copy=False))


def spreads_terms(block: Block, origin: Array) -> tuple[Array, Array]:
    """Weighted sums of X and of its square (n_x, g, 1) for each of g models; g is read from origin (n_x, g, 1)."""
    X, xp = block.X, array_namespace(origin)
    weight = xp.matrix_transpose(xp.reshape(weights(block), (-1, X.shape[1])))
    sums = (xp.astype(part, origin.dtype, copy=False) for part in (combine(X, weight), squares(X, weight)))
    return tuple(xp.broadcast_to(xp.expand_dims(part, axis=-1), origin.shape) for part in sums)


def target_terms(block: Block, origin: Array) -> tuple[Array, Array]:
    """Sums of the weights (g, 1) and of the weighted targets (g, k) for each of g models; origin is (..., g, k)."""
    Y, weight, dtype = block.Y, block.weight, origin.dtype
    xp, g = array_namespace(Y), origin.shape[-2]
    if weight is None:
        total = xp.full((1,), Y.shape[-1], dtype=dtype, device=device_of(origin))
    else:
        total, Y = row_sums(weight, dtype), weight * Y
    return tuple(xp.broadcast_to(part, (g, part.shape[-1])) for part in (total, row_sums(Y, dtype)))


def size_terms(block: Block, inverse_scale: Array) -> tuple[Array, Array]:
    """Weighted sums of the squares and of the fourth powers of X * inverse_scale (n_x, 1), in inverse_scale's dtype."""
    X, xp, weight = block.X, array_namespace(inverse_scale), weights(block).T
    scale = xp.astype(inverse_scale, X.dtype, copy=False)
    sums = xp.astype(squares(X, weight, scale, twice=True), inverse_scale.dtype, copy=False)
    return sums[:, :1], sums[:, 1:]


def second_moment_terms(block: Block, origin: Array) -> tuple[Array]:
    """Second moment [X; 1] diag(weight) [X; 1]' (n_x + 1, n_x + 1), in origin's dtype."""
    xp, X = array_namespace(origin), block.X
    if block.weight is None and is_array(X):
        total, count = row_sums(X, None)[:, None], xp.full((1, 1), X.shape[1], dtype=X.dtype, device=device_of(X))
        S = xp.concat([xp.concat([X @ X.T, total], axis=1), xp.concat([total.T, count], axis=1)], axis=0)
    else:
        S = gram(X, weights(block)[None, :, :])
    return (xp.astype(S, origin.dtype, copy=False),)


def class_terms(block: Block, origin: Array) -> tuple[Array]:
    """Sum the curvatures diag(p) - p p' (g, k, k), for a block whose Y (g, k, m) holds the probabilities p."""
    P, weight = block.Y, block.weight
    xp = array_namespace(P)
    weighted = P if weight is None else P * weight
    diagonal = xp.eye(P.shape[-2], dtype=P.dtype, device=device_of(P)) * xp.sum(weighted, axis=-1, keepdims=True)
    return (xp.astype(diagonal - weighted @ xp.matrix_transpose(P), origin.dtype, copy=False),)


def diagonal_terms(block: Block, right: Array) -> tuple[Array]:
    """Diagonals (r, g, k) of Hessians, in the coordinates of the features X (r, m) and of the classes, Q = right.

    Sample x adds x_i^2 (sum_l q_lj^2 p_l - (sum_l q_lj p_l)^2) to that of each model, which has its own Q (g, k, k); Y
    (g, k, m) holds the probabilities p.
    """
    X, P, weight = block.X, block.Y, block.weight
    xp = array_namespace(right)
    Q = xp.matrix_transpose(xp.astype(right, X.dtype, copy=False))
    F = xp.maximum((Q * Q) @ P - (Q @ P) ** 2, 0.0)  # F is a variance, but rounding may make it negative
    F = xp.reshape(F if weight is None else F * weight, (-1, X.shape[1]))
    return (xp.reshape(xp.astype(squares(X, F.T), right.dtype, copy=False), (-1, *P.shape[:-1])),)


def pair_terms(block: Block, origin: Array) -> tuple[Array, Array]:
    """Sums of x_i^2 p_l p_j (r, g, k, k), and of p_l p_j (1, g, k, k), for each two classes; p as for `class_terms`.

    They hold both of the sums above, whatever the coordinates of the classes. For k = 1, p (1 - p) takes the place of
    the products.
    """
    X, P, weight = block.X, block.Y, block.weight
    xp, (g, k, m) = array_namespace(P), P.shape
    weighted = P if weight is None else P * weight
    F = weighted * (1.0 - P) if k == 1 else weighted[:, :, None, :] * P[:, None, :, :]
    F = xp.reshape(F, (-1, m))
    sums = squares(X, F.T), xp.sum(F, axis=-1)
    return tuple(xp.reshape(xp.astype(part, origin.dtype, copy=False), (-1, g, k, k)) for part in sums)


def curvature_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, Array, Array]:
    """Sums of c x^2 and of c x (n_x, g, k), and of c (1, g, k), for the curvature c = a (1 - a) of each output."""
    X, xp = block.X, array_namespace(theta)
    C = _own_curvature(loss.link(model_scores(block, theta)), block.weight)
    g, k, m = C.shape
    C = xp.reshape(C, (g * k, m))
    sums = squares(X, C.T), combine(X, C.T), row_sums(C, None)
    return tuple(xp.reshape(xp.astype(part, theta.dtype, copy=False), (-1, g, k)) for part in sums)


def correlation_terms(block: Block, origin: Array) -> tuple[Array, Array]:
    """Weighted sums of [x; 1] (n_x + 1, 1) and of [x; 1] y' (n_x + 1, k), in origin's dtype."""
    xp, weight = array_namespace(origin), weights(block)
    sums = (backward(block.X, part, origin.dtype) for part in (weight, weight * block.Y))
    return tuple(xp.concat([xp.astype(dW, origin.dtype, copy=False), db.T], axis=0) for dW, db in sums)


@elementwise
def _own_curvature(A: Array, weight: Array | None) -> Array:
    return A * (1.0 - A) if weight is None else weight * A * (1.0 - A)


def combine_terms(block: Block, alpha: Array) -> tuple[Array]:
    """Sum the samples of the block, weighted by their rows of alpha (m, k): X alpha (n_x, k)."""
    X, xp = block.X, array_namespace(alpha)
    part = alpha[block.start : block.start + X.shape[1], :]
    return (xp.astype(combine(X, xp.astype(part, X.dtype, copy=False)), alpha.dtype, copy=False),)


# number of temporaries of the size of a block that a function makes, some of them in twice the precision
TEMPORARIES: dict[Callable[..., tuple[Array, ...]], int] = {
    expansion_terms: 4,
    hessian_terms: 4,
    second_moment_terms: 2,
    curvature_terms: 2,
    size_terms: 2,
    spreads_terms: 2,
}
