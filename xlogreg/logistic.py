"""The mathematics of logistic regression, once, for every array library.

Notation of the course notes: samples are the columns of X (n_x, m); Y, Z and A are (k, m) with
k = 1 for two classes (sigmoid) and k = K for K classes (softmax); W (n_x, k), b (k, 1); a derivative
of the cost with respect to ``var`` is ``dvar``. Z, A and Y may carry leading axes (several models at
once): the classes are always the last axis but one, the samples the last.

Pure functions of arrays: the namespace, the device and the dtype come from the arguments, nothing
is written into, and no value on a device is turned into a Python number, so everything here runs
under ``jax.jit`` and on a remote worker unchanged.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from xlogreg.backends import Array, array_namespace, device_of

__all__ = [
    "LOSSES",
    "Loss",
    "cost",
    "cross_entropy",
    "curvature",
    "forward",
    "gradients",
    "log_loss",
    "sigmoid",
    "softmax",
    "squared_error",
    "update",
]


def sigmoid(Z: Array) -> Array:
    """Logistic function 1 / (1 + exp(-z)), element by element (notes 1.2).

    Z is of real floats, of any shape; the result, like Z, is in [0, 1]: no overflow, and exact in both tails.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid(np.asarray([[-1e4, 0.0, 1e4]]))
    array([[0. , 0.5, 1. ]])
    """
    xp = array_namespace(Z)
    # both exponents are <= 0, so both exps are in (0, 1]: no overflow and no mask
    return xp.exp(xp.minimum(Z, 0.0)) / (1.0 + xp.exp(-xp.abs(Z)))


def softmax(Z: Array) -> Array:
    """Probabilities exp(z_j) / sum_i exp(z_i) over the classes, the last axis but one.

    Z and the result are (..., K, m); every column of the result sums to one.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.asarray([[0.0, 1e4], [0.0, 0.0]]))
    array([[0.5, 1. ],
           [0.5, 0. ]])
    """
    xp = array_namespace(Z)
    E = xp.exp(Z - xp.max(Z, axis=-2, keepdims=True))  # in [0, 1], at least one of them 1
    return E / xp.sum(E, axis=-2, keepdims=True)


def scores(X: Array, W: Array, b: Array) -> Array:
    """Linear part of the forward pass, Z = W'X + b (k, m) (notes 2.3)."""
    xp = array_namespace(X)
    return xp.matrix_transpose(W) @ X + b


def forward(X: Array, W: Array, b: Array, link: Callable[[Array], Array] = sigmoid) -> tuple[Array, Array]:
    """Forward pass Z = W'X + b, A = link(Z) (notes 2.3).

    Parameters
    ----------
    X : array (n_x, m)
        Samples are columns.
    W : array (n_x, k)
    b : array (k, 1)
        Broadcast over the samples.
    link : `sigmoid` or `softmax`

    Returns
    -------
    Z, A : arrays (k, m)
        Scores and probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> Z, A = forward(np.asarray([[1.0, 3.0]]), np.asarray([[2.0]]), np.asarray([[-2.0]]))
    >>> Z
    array([[0., 4.]])
    >>> A.round(4)
    array([[0.5  , 0.982]])
    """
    Z = scores(X, W, b)
    return Z, link(Z)


def log_loss(Z: Array, Y: Array) -> Array:
    """Log loss -(y log a + (1 - y) log(1 - a)) of each sample, a = sigmoid(z) (notes 1.3).

    Computed from the score z, not from a, so that it stays finite and accurate where a rounds to 0 or 1.

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
    """
    xp = array_namespace(Z)
    # maximum(z, 0) - y z first: for a sample on its own side they cancel exactly and leave the tail
    return xp.maximum(Z, 0.0) - Y * Z + xp.log1p(xp.exp(-xp.abs(Z)))


def cross_entropy(Z: Array, Y: Array) -> Array:
    """Log loss of K classes, -sum_j y_j log a_j of each sample, A = softmax(Z).

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
    S = Z - xp.max(Z, axis=-2, keepdims=True)
    top = xp.astype(S == 0, S.dtype)  # the largest score, whose exp is exactly 1
    # log sum exp(s) as log1p of the other terms: keeps the tail of a sample on its own side
    rest = xp.sum(xp.exp(S) - top, axis=-2, keepdims=True) + (xp.sum(top, axis=-2, keepdims=True) - 1.0)
    return xp.log1p(rest) - xp.sum(Y * S, axis=-2, keepdims=True)


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
    xp = array_namespace(A)
    return xp.expand_dims(A * (1.0 - A), axis=-2)


def _curvature_softmax(A: Array) -> Array:
    xp = array_namespace(A)
    identity = xp.eye(A.shape[-2], dtype=A.dtype, device=device_of(A))
    return xp.expand_dims(A, axis=-2) * (xp.expand_dims(identity, axis=-1) - xp.expand_dims(A, axis=-3))


class Loss(NamedTuple):
    """A loss as data: everything that the engine needs to know of it."""

    name: str
    link: Callable[[Array], Array]  # Z -> A
    value: Callable[[Array, Array], Array]  # Z, Y -> losses (..., 1, m)
    derivative: Callable[[Array, Array], Array]  # A, Y -> dZ (..., k, m)
    curvature: Callable[[Array], Array] | None  # A -> (..., k, k, m); None where the cost is not convex
    bound: float  # no eigenvalue of the second derivative in Z exceeds it


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("log_loss", sigmoid, log_loss, _residual, _curvature_sigmoid, 1 / 4),
        Loss("cross_entropy", softmax, cross_entropy, _residual, _curvature_softmax, 1 / 2),
        # 0.0771 = max |a^2 (1 - a) (2 - 3 a)| on [0, 1], the second derivative at y = 0
        Loss("squared_error", sigmoid, squared_error, _residual_squared_error, None, 0.0771),
    )
}


def cost(Z: Array, Y: Array, loss: str = "log_loss") -> Array:
    """Cost J: the mean of the losses over the samples (notes 1.3).

    Parameters
    ----------
    Z : array (..., k, m)
        Scores. The result is (...): for Z (k, m) an array of no axes, left on its device.
    Y : array, broadcastable to Z
    loss : {"log_loss", "cross_entropy", "squared_error"}

    Examples
    --------
    >>> import numpy as np
    >>> float(cost(np.zeros((1, 4)), np.asarray([[0.0, 1.0, 1.0, 0.0]])))  # log 2
    0.6931471805599453
    """
    xp = array_namespace(Z)
    return xp.mean(LOSSES[loss].value(Z, Y), axis=(-2, -1))


def backward(X: Array, dZ: Array, dtype: Any = None) -> tuple[Array, Array]:
    """Linear part of the backward pass, sums over the samples: X dZ' (n_x, k), sum dZ (k, 1)."""
    xp = array_namespace(X)
    return X @ xp.matrix_transpose(dZ), xp.sum(dZ, axis=-1, keepdims=True, dtype=dtype)


def gradients(X: Array, A: Array, Y: Array, loss: str = "log_loss") -> tuple[Array, Array]:
    """Gradients of the cost J by back-propagation (notes 2.4).

    dZ = A - Y, dW = X dZ' / m, db = sum(dZ) / m; for the squared error dZ = (A - Y) A (1 - A).

    Parameters
    ----------
    X : array (n_x, m)
    A, Y : arrays (k, m)
        Probabilities of the forward pass, and labels.
    loss : {"log_loss", "cross_entropy", "squared_error"}

    Returns
    -------
    dW : array (n_x, k)
    db : array (k, 1)

    Examples
    --------
    The loop of the notes:

    >>> import numpy as np
    >>> X, Y = np.asarray([[-2.0, -1.0, 1.0, 2.0]]), np.asarray([[0.0, 1.0, 0.0, 1.0]])
    >>> W, b = np.zeros((1, 1)), np.zeros((1, 1))
    >>> for iteration in range(1000):
    ...     Z, A = forward(X, W, b)
    ...     dW, db = gradients(X, A, Y)
    ...     W, b = update(W, dW, 0.5), update(b, db, 0.5)
    >>> W.round(4)
    array([[0.4196]])
    """
    m = X.shape[-1]
    dZ = LOSSES[loss].derivative(A, Y)
    dW, db = backward(X, dZ)
    return dW / m, db / m


def update(parameter: Array, derivative: Array, learning_rate: float | Array) -> Array:
    """One step of gradient descent, w - alpha dw (notes 1.4); the same for w and for b.

    Parameters
    ----------
    parameter, derivative : arrays of one shape
        Neither is changed; the result is a new array.
    learning_rate : float
        alpha.

    Examples
    --------
    >>> import numpy as np
    >>> update(np.asarray([[1.0]]), np.asarray([[4.0]]), 0.25)
    array([[0.]])
    """
    return parameter - learning_rate * derivative


def curvature(A: Array, loss: str = "log_loss") -> Array:
    """Second derivative of each sample's log loss with respect to its scores.

    a (1 - a) for two classes, diag(a) - a a' for K: with it the Hessian of J is X curvature X' / m.

    Parameters
    ----------
    A : array (..., k, m)
        Probabilities; the result is (..., k, k, m).
    loss : {"log_loss", "cross_entropy"}

    Raises
    ------
    ValueError
        For the squared error, whose curvature is not a function of A alone and may be negative.

    Examples
    --------
    >>> import numpy as np
    >>> curvature(np.asarray([[0.5, 0.25]]))
    array([[[0.25  , 0.1875]]])
    """
    function = LOSSES[loss].curvature
    if function is None:
        raise ValueError(f"loss {loss!r} has no curvature here: its cost is not convex; use 'log_loss'")
    return function(A)
