"""Scores of a model that are too large for their dtype, or whose products are: they have their limits."""

import dataclasses
import math

from xlogreg.arrays.place import Array, array_namespace, to_host
from xlogreg.math.logistic import scores
from xlogreg.math.losses import Loss
from xlogreg.math.scores import report_terms, reported
from xlogreg.math.sums import Block, split
from xlogreg.samples.cluster.distributed import Distributed
from xlogreg.samples.memory import InMemory, map_samples
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.samples.source import host_center

__all__ = ["report_sums", "score_samples"]


def score_samples(source: InMemory, w: Array, b: Array, relative: bool = False) -> Array:
    """Scores Z (k, m) of samples whose X is finite.

    Parameters
    ----------
    source : InMemory
    w, b : arrays (n_x, k), (k, 1)
    relative : bool
        Whether the scores of several classes may be those less the largest of a sample, where one is infinite: of two
        infinite scores these tell which is larger, and they have the same softmax.

    Raises
    ------
    ValueError
        Where X holds values that are not finite.
    """
    # nothing of the size of X is made where it lies ready: the library's own product, of all of it
    whole = source if source.converts else dataclasses.replace(source, block_bytes=2**62)
    Z, xp = map_samples(whole, lambda X: scores(X, w, b)), source.place.xp
    with source.place.computing():
        if math.isfinite(float(xp.sum(Z))):  # which an overflow of the sum alone may not be, either
            return Z
    refuse_nonfinite(source)
    center = xp.zeros_like(w[:, :1]) if source.center is None else source.center
    far = map_samples(source.uncentered(), lambda X: _far_scores(X, w, b, center, relative and w.shape[1] > 1))
    with source.place.computing():
        return _mended(Z, far)


def report_sums(samples: InMemory | Distributed, theta: Array, loss: Loss) -> tuple[Array, Array]:
    """`report_terms` of all samples, on the host, for a theta (n_x + 1, k) there."""
    losses, confusion = (to_host(part) for part in samples.sum(report_terms, theta, loss))
    if math.isfinite(losses[0]):
        return losses, confusion
    refuse_nonfinite(samples)
    sums = samples.uncentered().sum(_far_report_terms, theta, host_center(samples), loss)
    return to_host(sums[0]), to_host(sums[1])


def _far_scores(X: Array, W: Array, b: Array, center: Array, relative: bool) -> Array:
    """Scores (k, m) of X - center (n_x, m) whose products overflow.

    Sums are made of numbers of moderate size, and multiplied by their scales last: so a score is infinite only where
    it is too large for its dtype, and has the right sign.
    """
    xp = array_namespace(X)
    far = xp.maximum(xp.max(xp.abs(X), axis=0, keepdims=True), xp.max(xp.abs(center)))
    steep = xp.max(xp.abs(W)) + xp.zeros_like(far)
    # an eighth, since JAX multiplies by reciprocals, and makes zeros of those of the largest floats
    far, steep = (0.125 * xp.where(size > 0, size, 1.0) for size in (far, steep))
    U = (W / steep[:, :1]).T @ (X / far - center / far) + b / steep / far
    if relative:
        U = U - xp.max(U, axis=0, keepdims=True)
    return U * xp.minimum(far, steep) * xp.maximum(far, steep)


def _mended(Z: Array, far: Array) -> Array:
    """Scores Z (k, m), the far ones of those samples that have a score which is not finite."""
    xp = array_namespace(Z)
    return xp.where(xp.all(xp.isfinite(Z), axis=0, keepdims=True), Z, far)


def _far_report_terms(block: Block, theta: Array, center: Array, loss: Loss) -> tuple[Array, Array]:
    """`report_terms` of X - center."""
    X = block.X
    xp = array_namespace(X)
    theta_like, center = (xp.astype(part, X.dtype, copy=False) for part in (theta, center))
    W, b = split(theta_like)
    Z = _mended(scores(X - center, W, b), _far_scores(X, W, b, center, relative=W.shape[1] > 1))
    return reported(block, Z, loss.value(Z, block.Y), theta)
