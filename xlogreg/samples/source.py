"""Interface between an objective and its samples.

A `Source` has one operation for all code above it: `sum`, one pass over the samples. The source alone knows its blocks
and where they live: `xlogreg.samples.memory` has the blocks of an array, `xlogreg.samples.folds` those of models that
leave out some samples.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np

from xlogreg.arrays.place import HOST, Array, Place, to_host

__all__ = ["Samples", "Source", "draw_subsets", "host_center"]


LONGEST_RUN = 64  # samples in a run of neighbours in a random subset, at most
RUNS_A_CLASS = 64  # at least so many, so that data sorted by label are drawn as if shuffled


class Source(Protocol):
    """Training samples, with the methods that an objective needs."""

    @property
    def n_x(self) -> int: ...
    @property
    def m(self) -> int: ...
    @property
    def place(self) -> Place: ...
    @property
    def dtype(self) -> str: ...
    @property
    def total_weight(self) -> float | Array: ...
    def keep(self, models: Array) -> "Source": ...
    def uncentered(self) -> "Source": ...
    def widened(self) -> "Source": ...
    def shares(self) -> Array: ...
    def sum(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """Sum function(block, *arguments) over all blocks in ONE pass, in a fixed tree.

        Array arguments travel to the samples. The sums travel back to the place of the first array argument (without
        one, to the host). A block has the computing dtype; the sums have the widest dtype of its place.
        """
        ...


class Samples(Source, Protocol):
    """All samples of a fit, with the methods needed to pose its problem, draw subsets and judge its result."""

    @property
    def total_weight(self) -> Any: ...
    @property
    def rows(self) -> bool: ...
    @property
    def center(self) -> Array | None: ...
    @property
    def effective_samples(self) -> float: ...
    @property
    def drawable(self) -> np.ndarray | None: ...
    def keep(self, models: np.ndarray) -> Self: ...
    def alone(self, model: int) -> Self: ...
    def centered(self, center: Array) -> Self: ...
    def uncentered(self) -> Self: ...
    def widened(self) -> Self: ...
    def narrowed(self) -> Self: ...
    def settled(self) -> Self: ...
    def samples(self, counts: tuple[int, ...], shares: np.ndarray, rng: np.random.Generator) -> list[Any]: ...
    def take(self, index: Array) -> Any: ...


def host_center(source: Samples) -> Array:
    """Centre that is subtracted from blocks, as rounded there, in float64 on the host; zeros without a centre."""
    xp = HOST.xp
    if source.center is None:
        return xp.zeros((source.n_x, 1))
    return xp.astype(to_host(source.center), xp.float64)


def draw_subsets(source: Any, counts: tuple[int, ...], shares: np.ndarray, rng: np.random.Generator) -> list[Any]:
    """Draw disjoint random subsets of about ``counts`` samples, reweighted so that each class has its share again.

    The samples are drawn in runs of neighbours, which are cheap to read. The runs are short, since data are often
    sorted by label. If the weights are uneven, the subsets have more samples.

    Parameters
    ----------
    source
        Samples with ``m``, ``effective_samples``, ``place``, ``drawable`` (the numbers (n,) of the samples that may be
        drawn, None for all) and ``take``, which brings some of them into memory.
    counts : tuple of int
        Samples of each subset, as if all weights were equal.
    shares : array (K,)
        Shares of the classes by weight; of both classes if there are two.
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
