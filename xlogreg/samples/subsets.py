"""Random subsets of samples: drawn in short runs of neighbours, and reweighted by class."""

import dataclasses
import math
from typing import Any

import numpy as np

from xlogreg.arrays.place import to_host

__all__ = ["draw_subsets"]

LONGEST_RUN = 64  # of neighbouring samples in a random subset
RUNS_A_CLASS = 64  # at the least, so that data sorted by label are drawn as if shuffled


def draw_subsets(source: Any, counts: tuple[int, ...], shares: np.ndarray, rng: np.random.Generator) -> list[Any]:
    """Disjoint random subsets of about so many samples each, reweighted so that each class has its share again.

    Drawn in runs of neighbours, which are cheap to read, but short ones: data are often sorted by label. They are more
    samples where weights count little.

    Parameters
    ----------
    source
        Samples with ``m``, ``effective_samples``, ``place``, ``drawable`` (the samples (n,), by number, that may be
        drawn, None for all) and ``take``, which gives some of them in memory.
    counts : tuple of int
    shares : array (K,)
        Of the classes (both of two), by weight.
    rng : numpy.random.Generator
    """
    counts = tuple(min(source.m, math.ceil(count * source.m / source.effective_samples)) for count in counts)
    space = source.drawable
    there = source.m if space is None else len(space)
    if space is not None and sum(counts) > there:
        counts = tuple(max(1, count * there // sum(counts)) for count in counts)
    length = int(np.clip(min(counts) * np.min(shares) / RUNS_A_CLASS, 1, LONGEST_RUN))
    order = rng.permutation(math.ceil(there / length))
    stops = np.cumsum([math.ceil(count / length) for count in counts]).tolist()
    found = []
    for start, stop in zip([0, *stops], stops, strict=False):
        index = (np.sort(order[start:stop])[:, None] * length + np.arange(length)).ravel()
        index = index[index < there]
        found.append(_drawn(source, index if space is None else space[index], shares))
    return found


def _drawn(source: Any, index: np.ndarray, shares: np.ndarray) -> Any:
    xp, place = source.place.xp, source.place
    drawn = source.take(place.put(index))
    with place.computing():
        hot = drawn.targets(0, drawn.m)
        hot = xp.concat([1.0 - hot, hot], axis=0) if hot.shape[0] == 1 else hot
        weight = xp.ones_like(hot[:1, :]) if drawn.weight is None else drawn.weight
        mass = to_host(xp.sum(weight * hot, axis=1, keepdims=True))
        factor = place.put(np.reshape(shares, (-1, 1)) / np.where(mass > 0, mass, 1.0), drawn.dtype)
        weight = weight * xp.sum(factor * hot, axis=0, keepdims=True)
        total = float(xp.sum(weight, dtype=place.dtype(place.widest)))
        return dataclasses.replace(drawn, weight=weight, total_weight=total)
