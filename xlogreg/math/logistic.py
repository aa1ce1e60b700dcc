"""The mathematics of logistic regression, once, for every array library.

Notation of the course notes: samples are the columns of X (n_x, m); Y, Z and A are (k, m) with
k = 1 for two classes (sigmoid) and k = K for K classes (softmax); W (n_x, k), b (k, 1); a derivative
of the cost with respect to ``var`` is ``dvar``. Z, A and Y may carry leading axes (several models at
once): the classes are always the last axis but one, the samples the last.

These are pure functions of arrays: the namespace, the device and the dtype come from the arguments, no
argument is changed, and no value on a device is turned into a Python number. So everything here runs
under ``jax.jit`` and on a remote worker unchanged.
"""

from collections.abc import Callable
from typing import Any

from xlogreg.arrays.place import Array, array_namespace
from xlogreg.arrays.products import combine, elementwise, row_sums, scores
from xlogreg.math.losses import LOSSES, sigmoid

__all__ = ["backward", "cost", "curvature", "forward", "gradients", "update"]


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


def cost(Z: Array, Y: Array, loss: str = "log_loss") -> Array:
    """Cost J: the mean of the losses over the samples (notes 1.3).

    Parameters
    ----------
    Z : array (..., k, m)
        Scores. The result has the shape (...): for Z (k, m), it is an array without axes, left on its device.
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
    """Linear part of the backward pass, as sums over the samples: X dZ' (n_x, k), sum dZ (k, 1)."""
    return combine(X, dZ.T), row_sums(dZ, dtype)[:, None]


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
    dW, db = backward(X, dZ, dZ.dtype)
    return dW / m, db / m


@elementwise
def update(parameter: Array, derivative: Array, learning_rate: float | Array) -> Array:
    """One step of gradient descent, w - alpha dw (notes 1.4), for w or for b.

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

    It is a (1 - a) for two classes, and diag(a) - a a' for K classes. The Hessian of J is X curvature X' / m.

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
