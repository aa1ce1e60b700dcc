"""Links and losses of logistic regression, element by element: what a score z costs, and its derivatives.

Z, Y and A are (..., k, m): the classes are always the last axis but one, the samples the last; k = 1 for two classes
(sigmoid), k = K for K classes (softmax). Pure functions of arrays, as in `xlogreg.math.logistic`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from xlogreg.arrays.place import Array, array_namespace, device_of, log1p, log1p_folds

__all__ = [
    "LOSSES",
    "PRECISE",
    "RARE",
    "Loss",
    "both_classes",
    "cross_entropy",
    "log_loss",
    "share_and_curvature",
    "sigmoid",
    "softmax",
    "squared_error",
    "sum_losses",
]

BEYOND = 0.5  # share of the largest float; larger scores count as infinite, so that no difference of two overflows
WORTH_FOLDING = 2000  # with fewer terms, the extra calls cost more than the logarithms that they save


def sigmoid(Z: Array) -> Array:
    """Logistic function 1 / (1 + exp(-z)), element by element (notes 1.2).

    Z holds real floats and has any shape. The result has the shape of Z and lies in [0, 1]; nothing overflows, and it
    is exact in both tails.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid(np.asarray([[-1e4, 0.0, 1e4]]))
    array([[0. , 0.5, 1. ]])
    """
    return _sigmoid(Z, *_decay(Z))


def _decay(Z: Array) -> tuple[Array, Array]:
    """Compute E = exp(-|z|) and U = 1 + E; probability, loss and curvature all follow from this one exponential."""
    xp = array_namespace(Z)
    E = xp.exp(-xp.abs(Z))  # in (0, 1], so nothing below overflows
    return E, 1.0 + E


def both_classes(Z: Array) -> Array:
    """Probabilities (..., 2, m) of the two classes, 1 - a and a, each exact in its tail, for scores Z (..., 1, m)."""
    xp = array_namespace(Z)
    E, U = _decay(Z)
    likely = xp.astype(Z >= 0, E.dtype)
    return xp.maximum(E, xp.concat([1.0 - likely, likely], axis=-2)) / U  # as in `_sigmoid`


def share_and_curvature(Z: Array) -> tuple[Array, Array]:
    """Compute a = sigmoid(z) and a (1 - a), both exact in both tails."""
    E, U = _decay(Z)
    return _sigmoid(Z, E, U), E / (U * U)


def _sigmoid(Z: Array, E: Array, U: Array) -> Array:
    return _over(Z, E) / U  # 1 / (1 + e^-z), or e^z / (1 + e^z) for z < 0: no mask


def _over(Z: Array, E: Array) -> Array:
    """Return U times the probability: 1, or E for z < 0."""
    xp = array_namespace(Z)
    return xp.maximum(E, xp.astype(Z >= 0, E.dtype))


def softmax(Z: Array) -> Array:
    """Probabilities exp(z_j) / sum_i exp(z_i) over the classes, the last axis but one.

    Z and the result are (..., K, m); every column of the result sums to one. For infinite scores, the result is the
    limit: classes of the score inf share the probability one equally, and so do all classes if every score is -inf.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.asarray([[0.0, 1e4, np.inf], [0.0, 0.0, np.inf], [-np.inf, 0.0, 1.0]]))
    array([[0.5, 1. , 0.5],
           [0.5, 0. , 0.5],
           [0. , 0. , 0. ]])
    """
    return _softmax(_bounded(Z)[0])


def _bounded(Z: Array) -> tuple[Array, float]:
    """Replace infinite scores by finite ones; also return the finite size that stands for infinity."""
    xp = array_namespace(Z)
    infinity = BEYOND * xp.finfo(Z.dtype).max
    return xp.minimum(xp.maximum(Z, -infinity), infinity), infinity  # `clip` waits for the device on CuPy


def _softmax(Z: Array) -> Array:
    """Compute `softmax` for finite scores."""
    xp = array_namespace(Z)
    E = xp.exp(Z - xp.max(Z, axis=-2, keepdims=True))  # in [0, 1], at least one of them 1
    return E / xp.sum(E, axis=-2, keepdims=True)


def log_loss(Z: Array, Y: Array) -> Array:
    """Log loss -(y log a + (1 - y) log(1 - a)) of each sample, a = sigmoid(z) (notes 1.3).

    It is computed from the score z, not from a, so that it stays finite and accurate where a rounds to 0 or 1. For
    infinite scores, it is the limit: 0 on the side of the label, else inf.

    Parameters
    ----------
    Z : array (..., 1, m)
        Scores; the result has their shape.
    Y : array, broadcastable to Z
        Labels in {0, 1}, or probabilities in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> log_loss(np.asarray([[0.0, 1e4]]), np.asarray([[1.0, 0.0]])).round(4)
    array([[6.931e-01, 1.000e+04]])
    >>> log_loss(np.asarray([[np.inf, -np.inf]]), np.asarray([[1.0, 1.0]]))
    array([[ 0., inf]])
    """
    xp = array_namespace(Z)
    Z, infinity = _bounded(Z)
    excess, size = _excess(Z, Y), xp.abs(Z)
    return xp.where((size >= infinity) & (excess > 0), xp.inf, excess) + log1p(xp.exp(-size))


def _finite_log_loss(Z: Array, Y: Array) -> Array:
    return _excess(Z, Y) + log1p(_decay(Z)[0])


def _excess(Z: Array, Y: Array) -> Array:
    """Log loss without its tail log1p(exp(-|z|)): how far z is on the wrong side, exactly 0 on its own side."""
    return array_namespace(Z).maximum(Z, 0.0) - Y * Z


def sum_losses(excess: Array, tail: Array, weight: Array | None, dtype: Any) -> Array:
    """Sum over the samples (...) of the losses excess + log1p(tail), both (..., 1, m), added up in dtype."""
    xp = array_namespace(tail)
    if weight is not None:
        return xp.sum(weight * (excess + log1p(tail)), axis=(-2, -1), dtype=dtype)
    return xp.sum(excess, axis=(-2, -1), dtype=dtype) + _sum_log1p(tail, dtype, log1p_folds(tail))


def _sum_log1p(E: Array, dtype: Any, folds: int) -> Array:
    """Sum log1p(e) over the last two axes; each fold makes one term of two, (1 + a)(1 + b) = 1 + (a + b + ab).

    No accuracy is lost: e >= 0, so nothing cancels. Folding saves time, since a logarithm costs as much as a dozen
    additions.
    """
    xp = array_namespace(E)
    for _ in range(folds if E.shape[-1] >= WORTH_FOLDING else 0):
        half = E.shape[-1] // 2
        A, B, rest = E[..., :half], E[..., half : 2 * half], E[..., 2 * half :]
        E = A + B * (1.0 + A)
        E = xp.concat([E, rest], axis=-1) if rest.shape[-1] else E
    return xp.sum(log1p(E), axis=(-2, -1), dtype=dtype)


def cross_entropy(Z: Array, Y: Array) -> Array:
    """Log loss of K classes, -sum_j y_j log a_j of each sample, A = softmax(Z); for infinite scores, the limit.

    Parameters
    ----------
    Z : array (..., K, m)
        Scores; the result is (..., 1, m).
    Y : array, broadcastable to Z
        One-hot columns, or probabilities whose columns sum to one.

    Examples
    --------
    >>> import numpy as np
    >>> cross_entropy(np.asarray([[0.0, 9.0], [0.0, 0.0]]), np.asarray([[1.0, 0.0], [0.0, 1.0]])).round(4)
    array([[0.6931, 9.0001]])
    """
    xp = array_namespace(Z)
    Z, infinity = _bounded(Z)
    excess, tail, _ = _cross_entropy(Z, Y)
    lost = (Y > 0) & (xp.max(Z, axis=-2, keepdims=True) - Z >= 0.5 * infinity)
    return xp.where(xp.any(lost, axis=-2, keepdims=True), xp.inf, excess) + log1p(tail)


def _finite_cross_entropy(Z: Array, Y: Array) -> Array:
    excess, tail, _ = _cross_entropy(Z, Y)
    return excess + log1p(tail)


def _cross_entropy(Z: Array, Y: Array) -> tuple[Array, Array, Array]:
    """Excess and tail of the loss excess + log1p(tail), and softmax(Z) times 1 + tail, which is 1 for the top score."""
    xp = array_namespace(Z)
    S = Z - xp.max(Z, axis=-2, keepdims=True)
    E = xp.exp(S)
    top = xp.astype(S == 0, S.dtype)  # the largest score, whose exp is exactly 1
    # log sum exp(s) is taken as log(1 + the other terms), which keeps the tail of a sample on its own side
    rest = xp.sum(E - top, axis=-2, keepdims=True) + (xp.sum(top, axis=-2, keepdims=True) - 1.0)
    return -xp.sum(Y * S, axis=-2, keepdims=True), rest, E


def squared_error(Z: Array, Y: Array) -> Array:
    """Squared error (a - y)^2 / 2 of each sample, a = sigmoid(z) (notes 1.3).

    Its cost is not convex in (w, b), which is why the log loss is preferred: gradient descent may
    stop at a plateau that is no minimum.

    Z, Y and the result are (..., 1, m).

    Examples
    --------
    >>> import numpy as np
    >>> squared_error(np.asarray([[0.0]]), np.asarray([[1.0]]))
    array([[0.125]])
    """
    return 0.5 * (sigmoid(Z) - Y) ** 2


def _residual(A: Array, Y: Array) -> Array:
    return A - Y


def _residual_squared_error(A: Array, Y: Array) -> Array:
    return (A - Y) * A * (1.0 - A)


def _curvature_sigmoid(A: Array) -> Array:
    return (A * (1.0 - A))[..., None, :]


def _curvature_softmax(A: Array) -> Array:
    xp = array_namespace(A)
    identity = xp.eye(A.shape[-2], dtype=A.dtype, device=device_of(A))
    return A[..., :, None, :] * (identity[:, :, None] - A[..., None, :, :])


def _first_log_loss(Z: Array, Y: Array) -> tuple[Array, Array, Array]:
    E, U = _decay(Z)
    return _excess(Z, Y), E, _sigmoid(Z, E, U) - Y


def _exact_log_loss(Z: Array, Y: Array) -> tuple[Array, Array, Array]:
    E, U = _decay(Z)
    return _excess(Z, Y), E, _exact(_over(Z, E), Y, E, U)


def _second_log_loss(Z: Array, Y: Array) -> tuple[Array, Array, Array, Array]:
    E, U = _decay(Z)
    C = E / (U * U)  # a (1 - a), exact in both tails
    return _excess(Z, Y), E, _exact(_over(Z, E), Y, E, U), C[..., None, :, :]


def _exact(M: Array, Y: Array, tail: Array, U: Array) -> Array:
    """Compute a - y, exact where it vanishes, from M = U a (1 for the most probable class) and U = 1 + tail.

    Far from the boundary, a - y must fall as the curvature does, or the steps of Newton's method would grow there.
    """
    return (M - Y - Y * tail) / U


def _first_cross_entropy(Z: Array, Y: Array) -> tuple[Array, Array, Array]:
    excess, tail, E = _cross_entropy(Z, Y)
    return excess, tail, E / (1.0 + tail) - Y


def _exact_cross_entropy(Z: Array, Y: Array) -> tuple[Array, Array, Array]:
    excess, tail, E = _cross_entropy(Z, Y)
    return excess, tail, _exact(E, Y, tail, 1.0 + tail)


def _second_cross_entropy(Z: Array, Y: Array) -> tuple[Array, Array, Array, Array]:
    excess, tail, E = _cross_entropy(Z, Y)
    U = 1.0 + tail
    return excess, tail, _exact(E, Y, tail, U), _curvature_softmax(E / U)


def _first_squared_error(Z: Array, Y: Array) -> tuple[Array, Array, Array]:
    A = sigmoid(Z)
    loss = 0.5 * (A - Y) ** 2
    return loss, array_namespace(Z).zeros_like(loss), _residual_squared_error(A, Y)


class Loss(NamedTuple):
    """A loss as data: everything that the engine needs to know about it."""

    name: str
    link: Callable[[Array], Array]  # finite Z -> A
    value: Callable[[Array, Array], Array]  # Z, Y -> losses (..., 1, m), their limits where Z is infinite
    finite: Callable[[Array, Array], Array]  # Z, Y -> losses (..., 1, m), not finite where Z is not
    derivative: Callable[[Array, Array], Array]  # A, Y -> dZ (..., k, m)
    curvature: Callable[[Array], Array] | None  # A -> (..., k, k, m); None where the cost is not convex
    # Z, Y -> excess and tail (..., 1, m) of the losses excess + log1p(tail), for `sum_losses`; dZ; in second, curvature
    first: Callable[[Array, Array], tuple[Array, Array, Array]]
    second: Callable[[Array, Array], tuple[Array, Array, Array, Array]] | None
    bound: float  # no eigenvalue of the second derivative in Z exceeds it


LOSSES = {
    loss.name: loss
    for loss in (
        Loss(
            "log_loss",
            sigmoid,
            log_loss,
            _finite_log_loss,
            _residual,
            _curvature_sigmoid,
            _first_log_loss,
            _second_log_loss,
            1 / 4,
        ),
        Loss(
            "cross_entropy",
            _softmax,
            cross_entropy,
            _finite_cross_entropy,
            _residual,
            _curvature_softmax,
            _first_cross_entropy,
            _second_cross_entropy,
            1 / 2,
        ),
        # 0.0771 = max |a^2 (1 - a) (2 - 3 a)| on [0, 1], the second derivative at y = 0
        Loss(
            "squared_error",
            sigmoid,
            squared_error,
            squared_error,
            _residual_squared_error,
            None,
            _first_squared_error,
            None,
            0.0771,
        ),
    )
}

# A sample on its own side has the residual a - y = -(1 - a), which is lost where a rounds to one. Usually the residuals
# of the other samples are far larger, so that this does not matter. But if the weights of the classes differ by as
# much, the sums of both have the same size. RARE is, for each dtype, the share of a class below which the error would
# show. PRECISE holds losses whose gradients are exact even then.
RARE = {"float32": 1e-5, "float64": 1e-8}
PRECISE = {
    "log_loss": LOSSES["log_loss"]._replace(first=_exact_log_loss),
    "cross_entropy": LOSSES["cross_entropy"]._replace(first=_exact_cross_entropy),
}
