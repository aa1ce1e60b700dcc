"""Products of samples in memory that are no sums over blocks: scores of all samples, and products between samples."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import numpy as np

from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import Array, to_host
from xlogreg.arrays.products import scores
from xlogreg.samples.blocks import LARGE_BLOCK_BYTES, ROOM_SHARE, SMALL_BLOCK_BYTES
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Source
from xlogreg.samples.threads import tree_sum

__all__ = ["combine_features", "link_samples", "map_samples", "may_pick", "multiply_samples", "pick_features"]

PICKED_BYTES = 2**30  # largest copy of some features


def map_samples(source: InMemory, function: Callable[[Any], Array], raw: bool = False) -> Array:
    """Apply a function from X (n_x, samples) to (..., samples) to every block, and join the results to (..., m).

    ``raw``: blocks in X's own dtype, and without the centre subtracted.
    """
    spans = source.spans()

    def block(start: int, stop: int, given: Any = None) -> Any:
        return (source.raw(start, stop) if given is None else given) if raw else source.computed(start, stop, given)

    with source.place.computing():
        if len(spans) == 1 and not source.is_read:
            return function(block(*spans[0]))
        parts = list(source.each(lambda *found: function(block(*found)), spans))
        return parts[0] if len(parts) == 1 else source.place.xp.concat(parts, axis=-1)


def link_samples(source: InMemory, link: Callable[[Array], Array], theta: np.ndarray) -> Array:
    """Compute link(Z) (g, k, m) of the scores Z of all samples, with the offset, for theta (n_x + 1, g, k)."""
    offset, place, (rows, g, k) = source.columns.offset, source.place, theta.shape
    sent = place.put(np.reshape(theta, (rows, g * k)), source.dtype)
    W, b = sent[:-1, :], sent[-1:, :].T

    def moves(X: Any) -> Array:
        return place.xp.reshape(scores(X, W, b), (g, k, -1))

    if offset is None:
        return map_samples(source, lambda X: link(moves(X)))
    Z = map_samples(source, moves)
    with place.computing():
        return link(Z + place.xp.astype(offset, Z.dtype, copy=False))


def may_pick(source: Source, count: int) -> TypeGuard[InMemory]:
    """Whether `pick_features` may copy so many features of these samples."""
    if not isinstance(source, InMemory) or (source.dense and not source.has_features):
        return False
    stored = count if source.dense else min(count, source.widths[0])
    return 8 * source.m * stored <= min(PICKED_BYTES, source.room / ROOM_SHARE)


def pick_features(source: InMemory, numbers: np.ndarray) -> InMemory:
    """Copy some of the features, by number in ascending order; arrays are centred, and in the computing dtype."""
    if not source.dense:
        X = source.compact().pick(numbers)
        with source.place.computing():
            index = source.place.put(numbers)
            center = None if source.center is None else source.place.xp.take(source.center, index, axis=0)
        return dataclasses.replace(source, X=X, center=center, index=None)
    place = source.place
    with place.computing():
        index = place.put(numbers)
        center = None if source.center is None else place.xp.take(source.center, index, axis=0)

    def picked(X: Array) -> Array:
        taken = place.take(X, index, axis=0)
        part = place.convert(taken, source.dtype, center, source.exact)
        if part is taken or not place.small_blocks:
            return part
        return place.xp.asarray(part, copy=True)  # the next block may overwrite it

    X = map_samples(source, picked, raw=True)
    return dataclasses.replace(source, X=Dense(X), center=None, index=None)


def multiply_samples(source: InMemory, inverse_scale: np.ndarray, dtype: str | None = None) -> Array:
    """Compute X~'X~ (m, m) of X~ = (X - center) * inverse_scale in one pass, in dtype or the widest float of the place.

    It takes some features at a time, so that wide data of a small dtype never become a whole float copy.
    """
    parts = _scaled_features(source, inverse_scale, dtype or source.place.widest)
    return tree_sum((X.T @ X,) for X in parts)[0]


def combine_features(source: InMemory, alpha: np.ndarray, inverse_scale: np.ndarray) -> np.ndarray:
    """Compute X~ alpha (n_x, r) for alpha (m, r) in one pass, see `multiply_samples`; the result is on the host."""
    alpha = source.place.put(alpha, source.dtype)
    return np.concatenate([to_host(X @ alpha) for X in _scaled_features(source, inverse_scale, source.dtype)])


def _scaled_features(source: InMemory, inverse_scale: np.ndarray, dtype: str) -> Iterator[Array]:
    """Yield (X - center) * inverse_scale, some features at a time, (n, m) each."""
    place, xp = source.place, source.place.xp
    scale, scaled = place.put(inverse_scale, dtype), bool(np.any(inverse_scale != 1.0))
    most = min(SMALL_BLOCK_BYTES if place.small_blocks else LARGE_BLOCK_BYTES, source.room / ROOM_SHARE)
    step = max(1, int(most / (8 * source.m)))
    for start in range(0, source.n_x, step):
        part = slice(start, min(start + step, source.n_x))
        center = None if source.center is None else xp.astype(source.center[part, :], place.dtype(dtype), copy=False)
        X = source.X.features(part, place)
        X = X if source.index is None else place.take(X, source.index, axis=1)
        X = place.convert(X, dtype, center, source.exact)
        yield X * scale[part, :] if scaled else X
