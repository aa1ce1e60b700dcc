"""Samples that live with the workers of a dask cluster, as a `Source`: theta travels out, sums travel back.

The blocks of a collection become parts, each an `InMemory` where dask put it. Parts are the results of tasks that dask
can run again, so what is lost with a worker is made anew; nothing is scattered. A pass is one task for each part; their
sums are added in the order of the parts, in a fixed tree, so that the answer does not depend on which came first.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.backends import HOST, Array, Place
from xlogreg.data import InMemory
from xlogreg.labels import Targets
from xlogreg.parts import Order, View, fetch, ordered, viewed
from xlogreg.subsets import draw_subsets
from xlogreg.threads import tree_sum
from xlogreg.workers import Workers

__all__ = ["Distributed", "Parts", "Piece"]


class Piece(NamedTuple):
    """One of the parts."""

    future: Any  # of an `InMemory`
    start: int  # number of its first sample
    stop: int
    name: str  # of the block that it was made of: "block 7 (samples 70000 to 79999)"


@dataclass(frozen=True)
class Parts:
    """What a collection was made into.

    Attributes
    ----------
    workers : Workers
    pieces : tuple of Piece
        In the order of the samples; empty blocks are left out.
    n_x : int
    samples : {"columns", "rows"}
    names : tuple of str, or None
        Of the features.
    stored, dtype : str
        The dtype of X, and the one computed in.
    targets : Targets
        The labels of all blocks, without Y, which is with the parts.
    total_weight, effective_samples : float
        Of all samples.
    masses : ndarray (K,)
        Weight of each class (of both of two).
    backend, device : str
        What computes.
    fallback : str or None
    """

    workers: Workers
    pieces: tuple[Piece, ...]
    n_x: int
    samples: str
    names: tuple[str, ...] | None
    stored: str
    dtype: str
    targets: Targets
    total_weight: float
    effective_samples: float
    masses: np.ndarray
    backend: str
    device: str
    fallback: str | None

    @property
    def m(self) -> int:
        return self.pieces[-1].stop

    def source(self) -> "Distributed":
        """The samples."""
        return Distributed(self, self.dtype)


@dataclass(frozen=True)
class Distributed:
    """The samples of all parts, in a view.

    Attributes
    ----------
    parts : Parts
    dtype : str
        What is computed in.
    center : ndarray (n_x, 1), or None
        What X is shifted by.
    view : tuple
        Methods of `InMemory` with their arguments, which every part goes through before it is passed over.
    """

    parts: Parts
    dtype: str
    center: np.ndarray | None = None
    view: View = ()
    drawable: None = None  # a subset may be of any of the samples

    @property
    def n_x(self) -> int:
        return self.parts.n_x

    @property
    def m(self) -> int:
        return self.parts.m

    @property
    def rows(self) -> bool:
        return self.parts.samples == "rows"

    @property
    def place(self) -> Place:
        """Where theta and sums are: the host of the client."""
        return HOST

    @property
    def total_weight(self) -> float:
        return self.parts.total_weight

    @property
    def effective_samples(self) -> float:
        """(sum s)^2 / sum s^2 of the weights s; m without."""
        return self.parts.effective_samples

    def shares(self) -> np.ndarray:
        """Share of every class (K,), both of two, by weight."""
        return self.parts.masses / self.total_weight

    def centered(self, center: Array) -> "Distributed":
        """The same samples, as X - center."""
        return self._viewed("centered", center, center=HOST.put(center, self.dtype))

    def uncentered(self) -> "Distributed":
        """The same samples, as X."""
        return self if self.center is None else self._viewed("uncentered", center=None)

    def widened(self) -> "Distributed":
        """The same samples, computed with in float64."""
        return self._viewed("widened", dtype="float64")

    def narrowed(self) -> "Distributed":
        """The same samples, computed with in float32."""
        return self._viewed("narrowed", dtype="float32")

    def _viewed(self, name: str, *arguments: Any, **changed: Any) -> "Distributed":
        return dataclasses.replace(self, view=(*self.view, (name, arguments)), **changed)

    def settled(self) -> "Distributed":
        """Themselves: what is converted anew in each pass takes less time than asking for it."""
        return self

    def keep(self, models: np.ndarray) -> "Distributed":
        """Themselves: all models have the same targets and weights."""
        return self

    def alone(self, model: int) -> "Distributed":
        """Themselves, as `keep`."""
        return self

    def each(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """function(part, *arguments) of every part, in order, where they live."""
        pieces, order = self.parts.pieces, Order(self.view, function, arguments)
        return self._collect(ordered, pieces, [order] * len(pieces))

    def sum(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """One pass, see `Source.sum`; arrays among the arguments are on the host, and so are the sums."""
        return tree_sum(self.each(InMemory.sum, function, *arguments))

    def samples(self, counts: tuple[int, ...], shares: np.ndarray, rng: np.random.Generator) -> list[InMemory]:
        """Disjoint random subsets in the memory of the client, see `draw_subsets`."""
        return draw_subsets(self, counts, shares, rng)

    def sample(self, count: int, shares: np.ndarray, rng: np.random.Generator) -> InMemory:
        """About ``count`` samples at random in the memory of the client, see `draw_subsets`."""
        return draw_subsets(self, (count,), shares, rng)[0]

    def take(self, index: np.ndarray) -> InMemory:
        """Some of the samples, by number in ascending order, in the memory of the client."""
        local = list(self._split(index))
        found = self._collect(fetch, tuple(piece for piece, _ in local), [numbers for _, numbers in local])
        X, Y = (np.concatenate([block[number] for block in found], axis=1) for number in (0, 1))
        weights = [block[2] for block in found]
        weight = None if any(part is None for part in weights) else np.concatenate(weights, axis=1)
        total = float(len(index) if weight is None else np.sum(weight, dtype=np.float64))
        n_classes = len(self.parts.targets.classes) if self.parts.targets.numbers else None
        return viewed(InMemory(X, Y, weight, HOST, self.parts.dtype, total, n_classes=n_classes), self.view)

    def _split(self, index: np.ndarray) -> Iterator[tuple[Piece, np.ndarray]]:
        """The parts that hold any of the samples, with their numbers there."""
        for piece in self.parts.pieces:
            first, last = np.searchsorted(index, (piece.start, piece.stop)).tolist()
            if last > first:
                yield piece, index[first:last] - piece.start

    def _collect(self, function: Callable[..., Any], pieces: tuple[Piece, ...], each: list[Any]) -> list[Any]:
        """function(part, argument) of those parts, with an argument of each."""
        workers = self.parts.workers
        tasks = workers.send(function, [piece.future for piece in pieces], each)
        return workers.collect(tasks, [piece.name for piece in pieces])
