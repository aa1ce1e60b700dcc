"""Shares of the classes among samples, by weight."""

from typing import Any

import numpy as np

from xlogreg.arrays.place import Array, to_host
from xlogreg.samples.threads import tree_sum

__all__ = ["class_shares"]


def class_shares(source: Any) -> np.ndarray:
    """Share of each class (K,) by weight, of both classes if there are two, in an `InMemory`; X is not read."""
    xp, place = source.place.xp, source.place
    with place.computing():
        widest, weight = place.dtype(place.widest), source.columns.weight
        if weight is None:
            weight = xp.ones((1, source.m), dtype=widest, device=place.device)
        weight = xp.astype(weight, widest, copy=False)
        mass = tree_sum((_hot(source, *span) @ weight[:, span[0] : span[1]].T,) for span in source.spans())[0]
    return to_host(mass)[:, 0].astype(np.float64) / source.total_weight


def _hot(source: Any, start: int, stop: int) -> Array:
    """Targets (K, stop - start) of all classes, of both if there are two, in the widest float."""
    xp, place = source.place.xp, source.place
    Y = xp.astype(source.targets(start, stop), place.dtype(place.widest))
    return xp.concat([1.0 - Y, Y], axis=0) if Y.shape[0] == 1 else Y
