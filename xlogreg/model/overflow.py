"""Scores that overflow their dtype, or whose products do: the scores are right, or infinite with the right sign."""

import dataclasses
import math

from xlogreg.arrays.place import Array, array_namespace, is_array, to_host
from xlogreg.arrays.products import scores
from xlogreg.math.losses import Loss
from xlogreg.math.scores import report_terms, reported
from xlogreg.math.sums import Block, split
from xlogreg.samples.cluster.distributed import Distributed
from xlogreg.samples.memory import InMemory
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.samples.products import map_samples
from xlogreg.samples.source import host_center

__all__ = ["report_sums", "score_samples"]


def score_samples(source: InMemory, w: Array, b: Array, relative: bool = False) -> Array:
    """Compute the scores Z (k, m) of samples whose X is finite, with their offset.

    Parameters
    ----------
    source : InMemory
    w, b : arrays (n_x, k), (k, 1)
    relative : bool
        Whether the largest score of a sample may be subtracted from its scores, if there are several classes and a
        score is infinite. The differences tell which of two infinite scores is larger, and have the same softmax.

    Raises
    ------
    ValueError
        If X holds values that are not finite.
    """
    # if X needs no conversion, a single product of all of it makes no copy of the size of X
    whole = source if source.converts else dataclasses.replace(source, block_bytes=2**62)
    Z, xp = map_samples(whole, lambda X: scores(X, w, b)), source.place.xp
    with source.place.computing():
        finite = math.isfinite(float(xp.sum(Z)))  # if only the sum overflows, the slow way below returns the same Z
    if not finite:
        refuse_nonfinite(source)
        if source.dense:  # otherwise its blocks are no arrays, which alone can be scaled here
            with source.place.computing():
                center = xp.zeros_like(w[:, :1]) if source.center is None else source.center
                several = relative and w.shape[1] > 1
                far = map_samples(source.uncentered(), lambda X: _far_scores(X, w, b, center, several))
                Z = _mended(Z, far)
    offset = source.columns.offset
    with source.place.computing():
        return Z if offset is None else Z + xp.astype(offset, Z.dtype, copy=False)


def report_sums(samples: InMemory | Distributed, theta: Array, loss: Loss) -> tuple[Array, Array]:
    """Sum `report_terms` over all samples; both the result and theta (n_x + 1, k) are on the host."""
    losses, confusion = (to_host(part) for part in samples.sum(report_terms, theta, loss))
    if math.isfinite(losses[0]):
        return losses, confusion
    refuse_nonfinite(samples)
    sums = samples.uncentered().sum(_far_report_terms, theta, host_center(samples), loss)
    return to_host(sums[0]), to_host(sums[1])


def _far_scores(X: Array, W: Array, b: Array, center: Array, relative: bool) -> Array:
    """Compute scores (k, m) of X - center (n_x, m) whose products overflow.

    The sums add numbers of moderate size, and are multiplied by their scales last. So a score is infinite only if it
    is too large for its dtype, and it has the right sign.
    """
    xp = array_namespace(X)
    far = xp.maximum(xp.max(xp.abs(X), axis=0, keepdims=True), xp.max(xp.abs(center)))
    steep = xp.max(xp.abs(W)) + xp.zeros_like(far)
    # an eighth of each: JAX multiplies by reciprocals, and those of the largest floats would become zero
    far, steep = (0.125 * xp.where(size > 0, size, 1.0) for size in (far, steep))
    U = (W / steep[:, :1]).T @ (X / far - center / far) + b / steep / far
    if relative:
        U = U - xp.max(U, axis=0, keepdims=True)
    return U * xp.minimum(far, steep) * xp.maximum(far, steep)


def _mended(Z: Array, far: Array) -> Array:
    """Replace the scores Z (k, m) of a sample by those of ``far`` if one of them is not finite."""
    xp = array_namespace(Z)
    return xp.where(xp.all(xp.isfinite(Z), axis=0, keepdims=True), Z, far)


def _far_report_terms(block: Block, theta: Array, center: Array, loss: Loss) -> tuple[Array, Array]:
    """Compute `report_terms` of X - center, with `_far_scores` where a score is not finite."""
    X = block.X
    if not is_array(X):
        return report_terms(block, theta, loss)
    xp = array_namespace(X)
    theta_like, center = (xp.astype(part, X.dtype, copy=False) for part in (theta, center))
    W, b = split(theta_like)
    Z = _mended(scores(X - center, W, b), _far_scores(X, W, b, center, relative=W.shape[1] > 1))
    Z = Z if block.offset is None else Z + block.offset
    return reported(block, Z, loss.value(Z, block.Y), theta)
