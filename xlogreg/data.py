"""Samples in blocks: the only file that knows rows from columns, block sizes and devices.

A `Source` gives one operation to everything above it: `sum`, one pass over the samples. What the
blocks are and where they live is its own affair, so memory maps, parts and clusters are other Sources.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from xlogreg.backends import HOST, Array, Place, array_namespace, dtype_name, is_array, place_of, to_host
from xlogreg.terms import Block

__all__ = ["InMemory", "Source", "host_center", "map_samples", "refuse_nonfinite", "total_of", "tree_sum"]

SMALL_BLOCK_BYTES = 4 * 2**20  # the temporaries of a block stay in cache, Python's overhead stays small
LARGE_BLOCK_BYTES = 256 * 2**20  # enough to keep a GPU busy; bounds the temporaries of a conversion


class Source(Protocol):
    """The training samples, as far as an objective needs them."""

    @property
    def n_x(self) -> int: ...
    @property
    def m(self) -> int: ...
    @property
    def place(self) -> Place: ...
    @property
    def dtype(self) -> str: ...
    @property
    def total_weight(self) -> float: ...
    def sum(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """ONE pass: function(block, *arguments) of every block, added in a fixed tree.

        Array arguments travel to the samples and the sums travel back to where the first of them
        lives (without one, to the host). A block has the computing dtype, the sums the widest of its place.
        """
        ...


@dataclass(frozen=True)
class InMemory:
    """Samples that lie in one array, on the place that computes.

    Attributes
    ----------
    X : array (n_x, m), or (m, n_x) when ``rows``
        Any real dtype, any layout; converted block by block, never written into.
    Y : array (k, m) of probabilities, or (1, m) of class numbers when ``n_classes`` is not None
        None only where nothing but X is looked at.
    weight : array (1, m), or None
    place, dtype : Place, str
        Where and in what the blocks are computed.
    total_weight : float
        Sum of the weights; m without.
    rows : bool
        Whether the samples are the rows of X.
    n_classes : int or None
        Number of classes that the class numbers in Y stand for; they become one-hot columns by block.
    center : array (n_x, 1), or None
        Subtracted from every block of X before anything is computed with it.
    """

    X: Array
    Y: Array
    weight: Array | None
    place: Place
    dtype: str
    total_weight: float
    rows: bool = False
    n_classes: int | None = None
    center: Array | None = None
    block_bytes: int | None = None

    @property
    def n_x(self) -> int:
        return self.X.shape[1] if self.rows else self.X.shape[0]

    @property
    def m(self) -> int:
        return self.X.shape[0] if self.rows else self.X.shape[1]

    def centered(self, center: Array) -> "InMemory":
        """The same samples, as X - center."""
        return dataclasses.replace(self, center=self.place.put(center, self.dtype))

    def raw_blocks(self) -> Iterator[tuple[int, int, Array]]:
        """Start, stop and X (n_x, stop - start) of each block, in X's own dtype."""
        itemsize = 8 if self.dtype == "float64" else 4
        limit = self.block_bytes or (SMALL_BLOCK_BYTES if self.place.small_blocks else LARGE_BLOCK_BYTES)
        count = math.ceil(self.m * self.n_x * itemsize / limit)  # of equal size, as far as they can be
        size = math.ceil(self.m / max(1, min(count, self.m)))
        whole = not self.place.small_blocks and self.center is None and dtype_name(self.X) == self.dtype
        xp = self.place.xp
        if size >= self.m or whole:  # where slices are copies, there is nothing to gain
            yield 0, self.m, xp.matrix_transpose(self.X) if self.rows else self.X
            return
        for start in range(0, self.m, size):
            stop = min(start + size, self.m)
            # rows are cut before they are transposed: some libraries copy what they transpose
            yield start, stop, xp.matrix_transpose(self.X[start:stop, :]) if self.rows else self.X[:, start:stop]

    def blocks(self) -> Iterator[Block]:
        """The samples, block by block."""
        xp, dtype = self.place.xp, self.place.dtype(self.dtype)
        for start, stop, part in self.raw_blocks():
            X = xp.astype(part, dtype, copy=False)
            if self.center is not None:
                X = X - self.center
            Y = self.Y[:, start:stop]
            if self.n_classes is not None:
                numbers = xp.reshape(xp.arange(self.n_classes, dtype=Y.dtype, device=self.place.device), (-1, 1))
                Y = numbers == Y
            weight = None if self.weight is None else self.weight[:, start:stop]
            yield Block(X, xp.astype(Y, dtype, copy=False), weight, start)

    def sum(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """One pass, see `Source.sum`."""
        home = next((place_of(argument) for argument in arguments if is_array(argument)), HOST)
        with self.place.computing():
            widest = self.place.widest
            sent = [self.place.put(a, widest) if is_array(a) else a for a in arguments]
            return home.bring(tree_sum(function(block, *sent) for block in self.blocks()))


def map_samples(source: InMemory, function: Callable[[Array], Array]) -> Array:
    """function(X of a block) (k, samples) of every block, side by side (k, m)."""
    with source.place.computing():
        dtype = source.place.dtype(source.dtype)
        parts = [function(source.place.xp.astype(X, dtype, copy=False)) for _, _, X in source.raw_blocks()]
        return parts[0] if len(parts) == 1 else source.place.xp.concat(parts, axis=-1)


def tree_sum(terms: Iterable[tuple[Array, ...]]) -> tuple[Array, ...]:
    """Sum of tuples of arrays, added pairwise in a tree that depends on their number only.

    Errors grow with the logarithm of the number of terms, and only as many sums are held at a time.

    Examples
    --------
    >>> tree_sum((number, 2 * number) for number in range(5))
    (10, 20)
    """
    partial: list[tuple[int, tuple[Array, ...]]] = []  # (how many terms, their sum), ever smaller
    for term in terms:
        partial.append((1, term))
        while len(partial) > 1 and partial[-1][0] == partial[-2][0]:
            _merge(partial)
    while len(partial) > 1:
        _merge(partial)
    return partial[0][1]


def _merge(partial: list[tuple[int, tuple[Array, ...]]]) -> None:
    (count, right), (more, left) = partial.pop(), partial.pop()
    partial.append((count + more, tuple(a + b for a, b in zip(left, right, strict=True))))


def refuse_nonfinite(source: InMemory) -> None:
    """Say where X holds values that cannot be computed with; returns if there are none.

    Raises
    ------
    ValueError
        Names the first such value by row and column of X as it was handed in, and how many there are.
    """
    xp = source.place.xp
    dtype = source.place.dtype(source.dtype)
    count, first = 0, None
    with source.place.computing():
        for start, _, part in source.raw_blocks():
            X = to_host(xp.astype(part, dtype, copy=False))
            bad = ~np.isfinite(X)
            here = int(np.sum(bad))
            if here and first is None:
                at = np.unravel_index(np.argmax(bad), bad.shape)
                first = int(at[0]), start + int(at[1]), float(X[at]), dtype_name(part)
            count += here
    if first is None:
        return
    feature, sample, value, stored = first
    row, column = (sample, feature) if source.rows else (feature, sample)
    where = f"the first is {value} at row {row}, column {column}"
    overflow = f" in {source.dtype}, computed from {stored}" if stored != source.dtype else ""
    raise ValueError(
        f"X holds {count} value{'s' * (count > 1)} that {'are' if count > 1 else 'is'} not finite (NaN or infinity)"
        f"{overflow}: {where}; remove or impute {'them' if count > 1 else 'it'} first"
    )


def host_center(source: InMemory) -> Array:
    """The centre that blocks are really shifted by, as float64 on the host; zeros without one."""
    xp = HOST.xp
    if source.center is None:
        return xp.zeros((source.n_x, 1))
    return xp.astype(to_host(source.center), xp.float64)


def total_of(weight: Array | None, m: int) -> float:
    """Sum of the sample weights; m without."""
    return float(m) if weight is None else float(array_namespace(weight).sum(weight))
