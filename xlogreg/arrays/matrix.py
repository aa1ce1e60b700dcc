"""X of the samples behind one interface, whatever it is: an array, data that are read, or another kind of matrix.

A matrix knows whether its samples are rows or columns, where it lies and how it is read. Its blocks have the samples in
columns. `xlogreg.arrays.kinds` lists the kinds of X that are no arrays.
"""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from xlogreg.arrays.libraries.numpy import lies_ready
from xlogreg.arrays.place import Array, Place, place_of, to_host

__all__ = ["Dense", "Flaw", "Matrix", "Range", "apart", "flaw_in"]

Range = tuple[int, int]  # start and stop of a block


class Flaw(NamedTuple):
    """Number of values in a block that are not finite, and the first of them."""

    values: int
    feature: int
    sample: int
    value: float


class Matrix(Protocol):
    """X as it was handed in; every method that gives blocks gives them on a place.

    Attributes
    ----------
    shape : tuple of int
        (n_x, m); (m, n_x) if ``rows``.
    dtype
        Its ``name`` is that of NumPy.
    rows : bool
        Whether the samples are the rows.
    home : Place
        Where X lies, and where the parameters of a model go.
    names : tuple of str, or None
        Names of the features, if X has them.
    dense : bool
        Whether blocks are arrays. Other blocks have the products of `xlogreg.arrays.products`. Their matrix also has
        ``pick(numbers)``, which copies some of the features, ``joined(parts)``, which joins samples on the host,
        and ``astype(place, dtype, center, exact)``, which does once what `converted` does to each block.
    ties : sequence of ndarray
        Numbers of features that add up to one in every sample, where that is known.
    shifts : bool
        Whether a centre can be subtracted from blocks.
    is_read : bool
        Whether each pass reads X from outside of the memory.
    sequential : bool
        Whether reading a few samples takes as long as reading all.
    concurrent : bool
        Whether several threads may read at the same time.
    drawable : ndarray (n,), or None
        Numbers of the samples that a subset may use; None for all.
    """

    @property
    def rows(self) -> bool: ...
    @property
    def dense(self) -> bool: ...
    @property
    def shifts(self) -> bool: ...
    @property
    def ties(self) -> Sequence[np.ndarray]: ...
    @property
    def is_read(self) -> bool: ...
    @property
    def sequential(self) -> bool: ...
    @property
    def concurrent(self) -> bool: ...
    @property
    def drawable(self) -> np.ndarray | None: ...
    @property
    def names(self) -> tuple[str, ...] | None: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def home(self) -> Place: ...
    @property
    def n_x(self) -> int: ...
    @property
    def m(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def is_ready(self, place: Place, dtype: str) -> bool:
        """Whether blocks are parts of X itself, in that dtype and without a copy."""
        ...

    def put(self, place: Place) -> "Matrix":
        """Bring X to a place; an X that is read stays where it is."""
        ...

    def cut(self, start: int, stop: int, place: Place) -> Any:
        """Give the samples from start to stop, in X's own dtype."""
        ...

    def converted(self, block: Any, place: Place, dtype: str, center: Array | None, exact: bool) -> Any:
        """Convert a block to a dtype and subtract the centre; see `Place.convert`."""
        ...

    def fetched(
        self, ranges: list[Range], arrived: Callable[[Range], Any], in_threads: bool, whole: bool
    ) -> tuple[Iterable[tuple[Range, Any]], int]:
        """Give each range with its block, or with None if the thread that computes it has to fetch it.

        ``arrived`` fetches the block of a range; ``whole`` says whether the ranges are those of all samples. The number
        is that of the ranges if they take no memory before they are computed, else 0.
        """
        ...

    def between(self, start: int, stop: int) -> "Matrix":
        """Give the samples from start to stop as a matrix."""
        ...

    def take(self, index: Array, place: Place) -> "Matrix":
        """Copy some of the samples, by number in ascending order, to a place."""
        ...

    def width(self, place: Place, gram: bool) -> float:
        """Numbers of a sample that a pass holds at a time, on average; ``gram``: that makes products of features."""
        ...

    def features(self, part: slice, place: Place) -> Array:
        """Give some of the features of a dense X (n, m), in its own dtype."""
        ...

    def host(self) -> np.ndarray:
        """Bring X, in the orientation in which it was handed in, to the host."""
        ...

    def host_rows(self, index: np.ndarray) -> np.ndarray:
        """Copy some of the samples (n, n_x), by number in ascending order, to the host."""
        ...

    def flaw(self, block: Any, place: Place, dtype: str) -> Flaw | None:
        """Find the values of a block that are not finite in that dtype; None if there are none."""
        ...

    def name(self, sample: int) -> str:
        """Name the part of X that holds a sample, for errors; "" if X has no parts."""
        ...


@dataclass(frozen=True)
class Dense:
    """X in one array of any library, any real dtype and any layout; it is never written into."""

    array: Array
    rows: bool = False
    dense = True
    shifts = True
    is_read = False
    sequential = False
    concurrent = True
    ties = ()
    drawable: None = None
    names: None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    @property
    def home(self) -> Place:
        return place_of(self.array)

    @functools.cached_property
    def n_x(self) -> int:
        return self.array.shape[1 if self.rows else 0]

    @functools.cached_property
    def m(self) -> int:
        return self.array.shape[0 if self.rows else 1]

    @property
    def nbytes(self) -> int:
        return math.prod(self.array.shape) * getattr(self.array.dtype, "itemsize", 8)

    def is_ready(self, place: Place, dtype: str) -> bool:
        return lies_ready(self.array, place.dtype(dtype))

    def put(self, place: Place) -> "Dense":
        return Dense(place.put(self.array), self.rows)

    def cut(self, start: int, stop: int, place: Place) -> Array:
        if self.rows:  # cut first: some libraries copy an array when they transpose it
            return self.array[start:stop, :].T
        return self.array if stop - start == self.m else self.array[:, start:stop]

    def converted(self, block: Array, place: Place, dtype: str, center: Array | None, exact: bool) -> Array:
        return place.convert(block, dtype, center, exact)

    def fetched(
        self, ranges: list[Range], arrived: Callable[[Range], Any], in_threads: bool, whole: bool
    ) -> tuple[Iterable[tuple[Range, Any]], int]:
        return ((range, None) for range in ranges), 0

    def between(self, start: int, stop: int) -> "Dense":
        return Dense(self.array[start:stop, :] if self.rows else self.array[:, start:stop], self.rows)

    def take(self, index: Array, place: Place) -> "Dense":
        return Dense(place.take(self.array, index, axis=0 if self.rows else 1), self.rows)

    def width(self, place: Place, gram: bool) -> float:
        return self.n_x

    def features(self, part: slice, place: Place) -> Array:
        return self.array[:, part].T if self.rows else self.array[part, :]

    def host(self) -> np.ndarray:
        return to_host(self.array)

    def host_rows(self, index: np.ndarray) -> np.ndarray:
        home = self.home
        with home.computing():
            rows = to_host(home.take(self.array, home.put(index), axis=0 if self.rows else 1))
        return rows if self.rows else rows.T

    def flaw(self, block: Array, place: Place, dtype: str) -> Flaw | None:
        return flaw_in(block, place, dtype)

    def name(self, sample: int) -> str:
        return ""


def apart(X: Matrix, place: Place) -> Matrix:
    """Copy a part of an array whose samples are columns, since its rows do not lie one after the other."""
    if not isinstance(X, Dense) or X.rows:
        return X
    with place.computing():
        return Dense(place.xp.asarray(X.array, copy=True))


def flaw_in(block: Array, place: Place, dtype: str) -> Flaw | None:
    """Find the values of an array (n_x, samples) that are not finite in a dtype; None if there are none.

    They are found where they are: only the number of them in each row leaves the place.
    """
    xp, (_, m) = place.xp, block.shape
    bad = ~xp.isfinite(xp.astype(block, place.dtype(dtype), copy=False))
    counts = to_host(xp.sum(xp.astype(bad, xp.int8), axis=1, dtype=xp.int32))
    if not np.any(counts):
        return None
    feature = int(np.argmax(counts > 0))
    later = xp.arange(-m, 0, dtype=xp.int32, device=place.device)  # 0 stands for the values that are finite
    sample = m + int(xp.min(xp.astype(bad[feature, :], xp.int32) * later))
    value = to_host(xp.astype(block[feature : feature + 1, sample : sample + 1], place.dtype(dtype), copy=False))
    return Flaw(int(np.sum(counts, dtype=np.int64)), feature, sample, float(value[0, 0]))
