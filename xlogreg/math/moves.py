"""Sums over one block of samples that tell how a step moves the scores: see `xlogreg.solvers.existence`.

As in `xlogreg.math.sums`, theta and steps are (n_x + 1, g, k), and sums have their dtype.
"""

from collections.abc import Callable

from xlogreg.arrays.place import Array, array_namespace, device_of
from xlogreg.arrays.products import elementwise, gram, row_sums
from xlogreg.math import sums
from xlogreg.math.effects import slope_terms, value_terms
from xlogreg.math.information import cluster_terms, frequency_terms, importance_terms
from xlogreg.math.logistic import backward
from xlogreg.math.losses import Loss, share_and_curvature
from xlogreg.math.sums import Block, score_moves

__all__ = ["GRAMS", "INSIDE", "TEMPORARIES", "proof_terms", "recession_terms", "restless_terms", "tied_terms"]

# a step must leave this share of each probability to prove that there is a minimum; rounding errors are smaller
INSIDE = 0.1
STILL = 0.1  # a score that moves by less counts as at rest
TIED = 0.5  # move of a score: half of the move that a Newton step makes for samples that it separates


def proof_terms(block: Block, points: Array, loss: Loss) -> tuple[Array, Array]:
    """Sums by which a step may prove that there is a minimum: see `xlogreg.solvers.existence`.

    Parameters
    ----------
    block : Block
    points : array (2 (n_x + 1), g, k)
        theta, and below it the step.
    loss : Loss

    Returns
    -------
    divergence : array (g,)
        Sum of the weighted divergences KL(alpha || a), alpha = a (1 + v - a'v), where v are the moves of the scores.
        The sum is a little too large; the smaller the moves, the smaller the error.
    outside : array (g,)
        Number of samples with an alpha that is not safely above zero.
    """
    rows, g = points.shape[0] // 2, points.shape[1]
    xp, weight = array_namespace(points), block.weight
    both = score_moves(block.X, xp.concat([points[:rows, :, :], points[rows:, :, :]], axis=1))
    Z, V = both[:g, :, :], both[g:, :, :]
    Z = Z if block.offset is None else Z + block.offset
    if points.shape[2] == 1:
        divergence, outside = _divergence_of_two(Z, V, weight)
    else:
        A = loss.link(Z)
        E = V - xp.sum(A * V, axis=-2, keepdims=True)
        divergence = 0.5 * xp.sum(A * E * E * _growth(xp.maximum(-E, 0.0)), axis=-2, keepdims=True)
        divergence, outside = _weighed(divergence, xp.max(-E, axis=-2, keepdims=True), weight)
    return tuple(row_sums(part[:, 0, :], points.dtype) for part in (divergence, outside))


def _weighed(divergence: Array, lost: Array, weight: Array | None) -> tuple[Array, Array]:
    """Weigh the divergence, and return 1 for each sample with an alpha that is not safely above zero."""
    xp, outside = array_namespace(lost), lost > 1.0 - INSIDE
    if weight is not None:
        outside, divergence = xp.logical_and(outside, weight > 0), weight * divergence
    return divergence, xp.astype(outside, lost.dtype)


def _growth(N: Array) -> Array:
    """Bound (1 + e) log(1 + e) - e from above, in units of e^2 / 2, for n = max(-e, 0) <= 0.9.

    The bound needs no logarithm, and nothing cancels.
    """
    N = array_namespace(N).minimum(N, 1.0 - INSIDE)
    return 1.0 + N * (1.0 / 3.0 + 0.45 * N)


@elementwise
def _divergence_of_two(Z: Array, V: Array, weight: Array | None) -> tuple[Array, Array]:
    """Divergence of alpha from a for two classes, and whether alpha is outside, as from `_weighed`."""
    xp = array_namespace(Z)
    rising, curvature = share_and_curvature(xp.where(V < 0.0, -Z, Z))  # both of the class that gains
    lost = xp.abs(V) * rising  # -e of the class that loses
    return _weighed(0.5 * curvature * V * V * (1.0 + rising * (_growth(lost) - 1.0)), lost, weight)


def _of_targets(Y: Array) -> Array:
    """Targets of all classes (..., K, m); for two classes, of both."""
    return array_namespace(Y).concat([1.0 - Y, Y], axis=-2) if Y.shape[-2] == 1 else Y


def _lead(block: Block, step: Array) -> tuple[Array, Array, Array]:
    """Moves D of the scores (k, m), the targets (K, m), and how far each class falls behind a sample's own (K, m).

    For a sample with targets y, this lead is sum_j y_j d_j - d. A step can be repeated for ever if no lead is negative.
    """
    xp = array_namespace(step)
    D = score_moves(block.X, step)[0, :, :]
    moves = xp.concat([0.0 * D, D], axis=0) if D.shape[0] == 1 else D
    Y = _of_targets(block.Y)
    Y = Y / xp.sum(Y, axis=0, keepdims=True)  # so that rounding of probabilities does not count as a move
    return D, Y, xp.sum(Y * moves, axis=0, keepdims=True) - moves


def recession_terms(block: Block, points: Array) -> tuple[Array, ...]:
    """Count how a step of one model moves the samples, leaving out samples of weight zero.

    Parameters
    ----------
    block : Block
    points : array (2 (n_x + 1), 1, k)
        The step, and below it its absolute value.

    Returns
    -------
    wrong : array (1,)
        Number of samples on which some class gains by more than the rounding errors of the sample's own products.
        An outlier elsewhere does not raise that limit.
    moved : array (1,)
        Number of samples that leave some class behind, by far more than that limit.
    tied : array (1,)
        Number of samples that do not leave behind every class but their own.
    """
    X, weight = block.X, block.weight
    xp, rows = array_namespace(points), points.shape[0] // 2
    D, Y, lead = _lead(block, points[:rows, :, :])
    size = xp.max(score_moves(abs(X), points[rows:, :, :])[0, :, :], axis=0, keepdims=True)
    rounding = xp.finfo(D.dtype).eps * (8.0 + 2.0 * X.shape[0] ** 0.5) * size
    wrong = xp.min(lead, axis=0, keepdims=True) < -rounding
    moved = xp.max(lead, axis=0, keepdims=True) > 1e4 * rounding
    tied = xp.min(xp.where(Y == 1, xp.full_like(lead, xp.inf), lead), axis=0, keepdims=True) <= 1e4 * rounding
    present = xp.ones_like(wrong) if weight is None else weight > 0
    parts = (xp.logical_and(part, present) for part in (wrong, moved, tied))
    return tuple(xp.reshape(xp.sum(xp.astype(part, points.dtype)), (1,)) for part in parts)


def restless_terms(block: Block, step: Array) -> tuple[Array]:
    """Count the samples (g,) of each model with a score that a step moves by `STILL` or more."""
    xp, weight = array_namespace(step), block.weight
    D = score_moves(block.X, step)
    moved = xp.max(xp.abs(D), axis=-2, keepdims=True) >= STILL
    moved = moved if weight is None else xp.logical_and(moved, weight > 0)
    return (row_sums(xp.astype(moved, step.dtype)[:, 0, :], None),)


def tied_terms(block: Block, points: Array) -> tuple[Array, Array]:
    """Sum over the samples that a direction of recession must not move, and tell how a direction moves them.

    Parameters
    ----------
    block : Block
    points : array (2 (n_x + 1), 1, k)
        A step, and below it a direction. The step tells which classes are tied: those that fall behind by less than
        half of the move that a Newton step makes for samples that it separates.

    Returns
    -------
    H : array (1, (n_x + 1) k, (n_x + 1) k)
        Sum of [x; 1] [x; 1]' (x) sum_j (e_j - y)(e_j - y)' over the tied classes j of each sample.
    pull : array (n_x + 1, 1, k)
        H times the direction, summed sample by sample.
    """
    rows, k = points.shape[0] // 2, points.shape[2]
    X, weight = block.X, block.weight
    xp, dtype = array_namespace(points), points.dtype
    _, Y, lead = _lead(block, points[:rows, :, :])
    tied = xp.astype(xp.logical_or(Y > 0, lead < TIED), X.dtype)
    tied = tied if weight is None else tied * xp.astype(weight > 0, X.dtype)
    if k == 1:
        C = (tied[:1, :] * Y[1:, :] ** 2 + tied[1:, :] * Y[:1, :] ** 2)[None, :, :]
    else:
        across = xp.expand_dims(tied, axis=1) * xp.expand_dims(Y, axis=0)
        C = xp.expand_dims(xp.sum(tied, axis=0), axis=0) * xp.expand_dims(Y, axis=1) * xp.expand_dims(Y, axis=0)
        identity = xp.eye(k, dtype=X.dtype, device=device_of(points))[:, :, None]
        C = C + identity * xp.expand_dims(tied, axis=1) - across - xp.permute_dims(across, (1, 0, 2))
    D = score_moves(X, points[rows:, :, :])
    R = xp.sum(C * D, axis=1) if k > 1 else C[0, :, :] * D[0, :, :]
    dW, db = backward(X, R, dtype)
    pull = xp.concat([xp.astype(dW, dtype, copy=False), db.T], axis=0)
    return gram(X, xp.astype(C, dtype))[None, ...], xp.reshape(pull, (rows, 1, k))


# temporaries of all functions of a block, as in `xlogreg.math.sums`
# functions that make products of features with each other
SANDWICHES = (frequency_terms, importance_terms, cluster_terms)
GRAMS = frozenset((sums.expansion_terms, sums.hessian_terms, sums.second_moment_terms, tied_terms, *SANDWICHES))
TEMPORARIES: dict[Callable[..., tuple[Array, ...]], int] = (
    sums.TEMPORARIES
    | {tied_terms: 4, recession_terms: 2, value_terms: 3, slope_terms: 2}
    | dict.fromkeys(SANDWICHES, 4)
)
