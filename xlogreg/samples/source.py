"""Interface between an objective and its samples.

A `Source` has one operation for all code above it: `sum`, one pass over the samples. The source alone knows its blocks
and where they live: `xlogreg.samples.memory` has the blocks of an array, `xlogreg.samples.folds` those of models that
leave out some samples.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from xlogreg.arrays.place import HOST, Array, Place, to_host
from xlogreg.inputs.labels import Targets

__all__ = ["Columns", "Flaws", "Samples", "Source", "draw_subsets", "host_center"]


LONGEST_RUN = 64  # samples in a run of neighbours in a random subset, at most
RUNS_A_CLASS = 64  # at least so many, so that data sorted by label are drawn as if shuffled


class Columns(NamedTuple):
    """Values that belong to the samples beside X; the samples are the last axis of each.

    Attributes
    ----------
    Y : array (k, m) of probabilities, or (1, m) of class numbers
        If models that share X have targets of their own, (t, k, m) or (t, 1, m). None if nothing but X is used.
    weight : array (1, m), or (t, 1, m), or None
    offset : array (1, m) or (k, m), or None
        Added to the scores of every model.
    group : array (1, m), or None
        Number of the group that a sample belongs to.
    """

    Y: Array | None = None
    weight: Array | None = None
    offset: Array | None = None
    group: Array | None = None

    def map(self, function: Callable[[Array], Array]) -> "Columns":
        """Apply a function to every column that is there."""
        return Columns(*(None if part is None else function(part) for part in self))

    def cut(self, start: int, stop: int) -> "Columns":
        """Return the samples from start to stop, as views where the library allows them."""
        return self.map(lambda part: part[..., start:stop])

    def take(self, index: Array, xp: Any) -> "Columns":
        """Copy some of the samples, by number."""
        return self.map(lambda part: xp.take(part, index, axis=-1))

    def put(self, place: Place) -> "Columns":
        """Bring the columns to a place, each in its own dtype."""
        return self.map(place.put)

    @staticmethod
    def joined(parts: Sequence["Columns"]) -> "Columns":
        """Join the columns of several parts, on the host, along the samples."""
        return Columns(
            *(None if part[0] is None else np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
        )


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
    @property
    def dense(self) -> bool:
        """Whether blocks are arrays."""
        ...

    @property
    def shifts(self) -> bool:
        """Whether a centre can be subtracted from blocks."""
        ...

    @property
    def has_offset(self) -> bool:
        """Whether a known term is added to the scores of each sample."""
        ...

    def bare(self) -> "Source":
        """Return samples with the same columns whose features mean nothing, for sums that do not need them."""
        ...

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
    def center(self) -> Array | None: ...
    @property
    def effective_samples(self) -> float: ...
    @property
    def drawable(self) -> np.ndarray | None: ...
    @property
    def is_read(self) -> bool:
        """Whether each pass reads X from outside of the memory of the process."""
        ...

    @property
    def is_here(self) -> bool:
        """Whether this process computes the sums."""
        ...

    @property
    def has_features(self) -> bool:
        """Whether some features of all samples can be had in one piece, in about the time of their part of a pass."""
        ...

    @property
    def ties(self) -> Sequence[np.ndarray]:
        """Numbers of features that add up to one in every sample, such as all levels of a category; if known."""
        ...

    def bare(self) -> Self: ...
    def keep(self, models: np.ndarray) -> Self: ...
    def centered(self, center: Array) -> Self: ...
    def uncentered(self) -> Self: ...
    def widened(self) -> Self: ...
    def narrowed(self) -> Self: ...
    def settled(self) -> Self: ...
    def samples(self, counts: tuple[int, ...], shares: np.ndarray, rng: np.random.Generator) -> list[Any]: ...
    def take(self, index: Array) -> Any: ...
    def gathered(self) -> Any:
        """Bring all samples into the memory of the process."""
        ...

    def alone(self, model: int) -> Self:
        """Return these samples with the targets and weights of one of the models."""
        ...

    def weighing(self, totals: np.ndarray) -> Self:
        """Return these samples with the sums of the weights (g,) of each model."""
        ...

    def holding(self, targets: Targets, weight: Array | None) -> Self:
        """Return these samples with the targets and weights (1, m) of one model."""
        ...

    def sharing(self, columns: Columns, target_of: np.ndarray | None, weight_of: np.ndarray | None) -> Self:
        """Return these samples with targets and weights of several models.

        ``columns`` has those that differ; ``target_of``, ``weight_of`` (g,) number them for each model.
        """
        ...

    def like(self, model: Self) -> Self:
        """Return these samples with the targets and weights of ``model``, samples of one model of the same X."""
        ...

    def leaving_out(self, numbers: np.ndarray, fold_of: np.ndarray, held_out: bool = False) -> Any:
        """Return these samples for g models, each of which leaves out a fold; or uses that fold alone if ``held_out``.

        ``numbers`` (m,) holds the fold of each sample, from 0 on; ``fold_of`` (g,) the fold of each model, -1 for none.
        """
        ...

    def without_fold(self, numbers: np.ndarray, fold: int) -> Self:
        """Return these samples with a weight of zero for those in a fold; -1 changes nothing."""
        ...

    def ordered(self, order: np.ndarray) -> Self | None:
        """Copy these samples in another order (m,); None if that takes too much memory."""
        ...

    def grouping(self, numbers: np.ndarray) -> Self:
        """Return these samples with the number of each sample's group (m,)."""
        ...

    def lost_class(self, targets: Targets) -> int | None:
        """Return the number of a class whose samples all have the weight zero; None if every class has weight."""
        ...

    def host_rows(self, index: np.ndarray) -> np.ndarray:
        """Copy X (n, n_x) of some samples, by number in ascending order, to the host."""
        ...

    def flaws(self) -> "Flaws":
        """Find the values of X that are not finite."""
        ...


class Flaws(NamedTuple):
    """Values of X that are not finite: how many, the first of them, and how X was handed in."""

    values: int
    value: float = 0.0
    feature: int = 0
    sample: int = 0
    part: str = ""  # of X, with that sample
    rows: bool = False
    dtype_given: str = ""


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
        weight = xp.ones_like(hot[:1, :]) if drawn.columns.weight is None else drawn.columns.weight
        mass = to_host(xp.sum(weight * hot, axis=1, keepdims=True))
        factor = np.reshape(shares, (-1, 1)) / np.where(mass > 0, mass, 1.0)
        weight = weight * xp.sum(place.put(factor, drawn.dtype) * hot, axis=0, keepdims=True)
        total = float(np.sum(factor * mass))  # that of the new weights, but for rounding
        return dataclasses.replace(drawn, columns=drawn.columns._replace(weight=weight), total_weight=total)
