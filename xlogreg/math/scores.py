"""Sums over one block of samples by which models are judged; terms as in `xlogreg.math.sums`."""

from xlogreg.arrays.place import Array, array_namespace, device_of
from xlogreg.math.losses import Loss
from xlogreg.math.sums import Block, model_scores

__all__ = ["class_numbers", "clipped_terms", "report_terms", "reported", "score_terms"]


def class_numbers(Z: Array) -> Array:
    """Number of the most probable class (..., 1, m), int32, for scores (..., k, m); the first class if classes tie."""
    xp, k = array_namespace(Z), Z.shape[-2]
    if k == 1:
        return xp.astype(Z > 0, xp.int32)
    # argmax would return 64-bit integers, which some devices do not have
    numbers = xp.reshape(xp.arange(k, dtype=xp.int32, device=device_of(Z)), (-1, 1))
    return xp.min(xp.where(xp.max(Z, axis=-2, keepdims=True) == Z, numbers, k), axis=-2, keepdims=True)


def report_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, Array]:
    """Sum of the weighted losses (1,), and the weights counted by true class and predicted class (K, K)."""
    Z = model_scores(block, theta[:, None, :])[0, :, :]
    return reported(block, Z, loss.finite(Z, block.Y), theta)


def reported(block: Block, Z: Array, losses: Array, theta: Array) -> tuple[Array, Array]:
    """Compute the sums of `report_terms` from the scores Z (k, m) and their losses (1, m)."""
    Y, weight = block.Y, block.weight
    xp = array_namespace(Z)
    Y = xp.concat([1.0 - Y, Y], axis=0) if Z.shape[0] == 1 else Y
    predicted = class_numbers(Z)
    numbers = xp.reshape(xp.arange(Y.shape[0], dtype=predicted.dtype, device=device_of(Z)), (-1, 1))
    predicted = xp.astype(predicted == numbers, theta.dtype)
    Y = xp.astype(Y, theta.dtype, copy=False)
    if weight is not None:
        losses, Y = _weighted(losses, weight), xp.astype(weight, theta.dtype, copy=False) * Y
    return xp.reshape(xp.sum(losses, dtype=theta.dtype), (1,)), Y @ predicted.T


def _weighted(losses: Array, weight: Array) -> Array:
    """Multiply losses by weights; the product is 0 where the weight is zero, even if the loss is infinite."""
    return array_namespace(losses).where(weight > 0, weight * losses, 0.0)


def score_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, Array, Array]:
    """Sums (g,) of the weighted losses, of the weights of correctly predicted samples, and of all weights."""
    Z = model_scores(block, theta)
    return _score_sums(block, theta, Z, loss.value(Z, block.Y))


def clipped_terms(block: Block, theta: Array, loss: Loss) -> tuple[Array, Array, Array]:
    """Compute the sums of `score_terms` with probabilities of eps or more, like `sklearn.metrics.log_loss`."""
    xp, Y = array_namespace(theta), block.Y
    Z = model_scores(block, theta)
    A = loss.link(Z)
    if Z.shape[-2] == 1:
        A, Y = (xp.concat([1.0 - part, part], axis=-2) for part in (A, Y))
    losses = -xp.sum(Y * xp.log(xp.maximum(A, xp.finfo(A.dtype).eps)), axis=-2, keepdims=True)
    return _score_sums(block, theta, Z, losses)


def _score_sums(block: Block, theta: Array, Z: Array, losses: Array) -> tuple[Array, Array, Array]:
    xp, Y, weight = array_namespace(theta), block.Y, block.weight
    same = (Z > 0) == (Y > 0.5) if Y.shape[-2] == 1 else class_numbers(Z) == class_numbers(Y)
    right = xp.astype(same, Z.dtype)
    if weight is not None:
        losses, right = _weighted(losses, weight), weight * right
    lost, hit = (xp.sum(part, axis=(-2, -1), dtype=theta.dtype) for part in (losses, right))
    if weight is None:
        return lost, hit, xp.full_like(hit, 1.0 * Z.shape[-1])
    return lost, hit, xp.sum(weight, axis=(-2, -1), dtype=theta.dtype) + xp.zeros_like(hit)
