"""Leverages of samples in one block, and the gradient of Jeffreys' penalty that follows from them.

As in `xlogreg.math.sums`, theta is (n_x + 1, g, k) with the bias in the last row, and sums have its dtype.
"""

from collections.abc import Callable
from typing import Any

from xlogreg.arrays.place import Array, array_namespace
from xlogreg.arrays.products import gram, scores
from xlogreg.math import moves
from xlogreg.math.logistic import backward
from xlogreg.math.losses import Loss
from xlogreg.math.sums import Block, model_scores, split

__all__ = ["GRAMS", "TEMPORARIES", "augmented_terms", "leverage_terms"]


def leverage_terms(block: Block, theta: Array, roots: Array, loss: Loss) -> tuple[Array]:
    """Sum the gradient of -log det(I) / 2 for the Fisher information I of each model of two classes.

    A sample has the leverage h = s a (1 - a) x' I^-1 x, where s is its weight and x ends with a one. The gradient is
    sum h (a - 1/2) x (Firth 1993, section 3.3; Heinze & Schemper 2002).

    Parameters
    ----------
    block : Block
    theta : array (n_x + 1, g, 1)
    roots : array (n_x + 1, g, q)
        A root R of each inverse, I^-1 = R R', so that x' I^-1 x is the squared norm of R'x.
    loss : Loss

    Returns
    -------
    dTheta : array (n_x + 1, g, 1)
    """
    leverages, D, _ = _leverages(block, theta, roots, loss)
    return (_slope(block, theta, leverages, D),)


def augmented_terms(block: Block, theta: Array, roots: Array, loss: Loss) -> tuple[Array, Array]:
    """Compute the sum of `leverage_terms`, and the sum (g, n_x + 1, n_x + 1) of h a (1 - a) x x'.

    The latter is what the leverages, taken for constants, add to the Hessian: samples then weigh s + h.
    """
    leverages, D, C = _leverages(block, theta, roots, loss)
    weights = array_namespace(theta).astype(leverages * C, theta.dtype, copy=False)
    grams = [gram(block.X, weights[model, :, :][None, :, :]) for model in range(theta.shape[1])]
    return _slope(block, theta, leverages, D), array_namespace(theta).stack(grams)


def _leverages(block: Block, theta: Array, roots: Array, loss: Loss) -> tuple[Array, Array, Array]:
    """Return the leverages h, a - y and a (1 - a), all (g, 1, m) and exact in both tails."""
    assert loss.second is not None, "only a convex cost has an information matrix"
    X, weight, xp = block.X, block.weight, array_namespace(theta)
    _, _, D, C = loss.second(model_scores(block, theta), block.Y)
    C = C[:, :, 0, :]
    norms = [_squared_norms(X, roots[:, model, :]) for model in range(theta.shape[1])]
    leverages = C * (xp.stack(norms) if len(norms) > 1 else norms[0][None, :, :])
    return leverages if weight is None else weight * leverages, D, C


def _slope(block: Block, theta: Array, leverages: Array, D: Array) -> Array:
    """Sum h (a - 1/2) x (n_x + 1, g, 1); D is a - y."""
    X, xp = block.X, array_namespace(theta)
    dZ = leverages * (D + block.Y - 0.5)
    dW, db = backward(X, xp.reshape(dZ, (-1, X.shape[1])), theta.dtype)
    dTheta = xp.concat([xp.astype(dW, theta.dtype, copy=False), db.T], axis=0)
    return xp.expand_dims(dTheta, axis=-1)


def _squared_norms(X: Any, root: Array) -> Array:
    """Squared norms (1, m) of R'x for a root R (n_x + 1, q)."""
    xp = array_namespace(root)
    U = scores(X, *split(xp.astype(root, X.dtype, copy=False)))
    return xp.sum(U * U, axis=0, keepdims=True)


# temporaries of all functions of a block, and those that make products of features, as in `xlogreg.math.moves`
GRAMS = moves.GRAMS | {augmented_terms, leverage_terms}
TEMPORARIES: dict[Callable[..., tuple[Array, ...]], int] = (
    moves.TEMPORARIES | {leverage_terms: 2} | {augmented_terms: 4}
)
