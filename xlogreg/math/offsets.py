"""Sums over one block of samples that have an offset, a known term in their scores; terms as in `xlogreg.math.sums`.

But for the correlations, X is not used: these are sums for models without features, whose scores are the offset plus a
bias.
"""

from xlogreg.arrays.place import Array, array_namespace, device_of
from xlogreg.math import sums
from xlogreg.math.losses import Loss, sum_losses
from xlogreg.math.sums import Block, weights

__all__ = ["constant_terms", "correlation_terms", "offset_terms"]


def constant_terms(block: Block, biases: Array, loss: Loss) -> tuple[Array, Array, Array]:
    """Sum losses, gradients and curvatures of models without features.

    Parameters
    ----------
    block : Block
        With an offset.
    biases : array (1, g, k)
        The biases of g models; the sums have their dtype.
    loss : Loss

    Returns
    -------
    losses : array (g,)
    db : array (1, g, k)
    curvature : array (k, g, k)
        Sum of s (diag(a) - a a'), or of s a (1 - a) for k = 1.
    """
    xp, offset, weight = array_namespace(biases), block.offset, block.weight
    assert offset is not None
    Z = offset + xp.astype(xp.permute_dims(biases, (1, 2, 0)), offset.dtype, copy=False)  # (g, k, m)
    excess, tail, dZ = loss.first(Z, block.Y)
    A = loss.link(Z)
    mass = A if weight is None else weight * A
    if A.shape[-2] == 1:
        C = xp.sum(mass * (1.0 - A), axis=-1, keepdims=True)
    else:
        identity = xp.eye(A.shape[-2], dtype=A.dtype, device=device_of(A))
        C = identity * xp.sum(mass, axis=-1, keepdims=True) - mass @ xp.matrix_transpose(A)
    db = xp.sum(dZ if weight is None else weight * dZ, axis=-1)[None, :, :]
    curvature = xp.permute_dims(C, (1, 0, 2))
    db, curvature = (xp.astype(part, biases.dtype, copy=False) for part in (db, curvature))
    return sum_losses(excess, tail, weight, biases.dtype), db, curvature


def correlation_terms(block: Block, origin: Array) -> tuple[Array, Array]:
    """Weighted sums of [x; 1] (n_x + 1, 1) and of [x; 1] o' (n_x + 1, k) for the offset o, in origin's dtype."""
    return sums.correlation_terms(block._replace(Y=block.offset), origin)


def offset_terms(block: Block, origin: Array) -> tuple[Array, Array]:
    """Sums of the weighted offsets o (1, g, k), and of their products y'o (g,), for each of g models.

    The models and outputs are those of origin (..., g, k), like the dtype.
    """
    xp, offset, (g, k) = array_namespace(block.Y), block.offset, origin.shape[-2:]
    assert offset is not None
    weighted = weights(block) * offset
    o, yo = xp.sum(weighted, axis=-1), xp.sum(weighted * block.Y, axis=(-2, -1))
    o, yo = (xp.astype(part, origin.dtype, copy=False) for part in (o, yo))
    return xp.broadcast_to(o, (g, k))[None, :, :], xp.broadcast_to(yo, (g,))
