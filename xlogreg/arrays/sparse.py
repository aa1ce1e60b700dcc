"""Sparse X: the values that are not zero, sample by sample, as compressed sparse rows of samples.

It comes from SciPy, CuPy, PyTorch or JAX, in any of their formats. Nothing below makes an array of all its zeros but
`Rows.gram`, whose result has n_x^2 numbers anyway.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.libraries.numpy import lies_ready
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.matrix import Flaw, Range, flaw_in
from xlogreg.arrays.place import HOST, Array, Place, array_namespace, dtype_name, name_of, place_of, to_host
from xlogreg.arrays.traits import FILLED, SparseProducts, is_sparse

__all__ = ["Sparse", "sparse"]

NUMERIC = ("bool", "int", "uint", "float", "bfloat")


class Rows(NamedTuple):
    """A block of samples: a sparse matrix (samples, n_x) of the library that computes."""

    matrix: Any

    @property
    def shape(self) -> tuple[int, int]:
        samples, n_x = self.matrix.shape
        return n_x, samples

    @property
    def dtype(self) -> Any:
        return self.matrix.dtype

    @property
    def row(self) -> SparseProducts:
        """The products of the library."""
        kind = type(self.matrix)
        if kind not in _rows:
            _rows[kind] = next(row for row in _products().values() if row.owns(self.matrix))
        return _rows[kind]

    def changed(self, change: Callable[[Array], Array]) -> "Rows":
        """Change the values."""
        values, _ = self.row.parts(self.matrix)
        return Rows(self.row.with_values(self.matrix, change(values)))

    def __abs__(self) -> "Rows":
        return self.changed(abs)

    def scores(self, W: Array, b: Array) -> Array:
        return self.row.times(self.matrix, W).T + b

    def combine(self, V: Array) -> Array:
        return self.row.back(self.matrix, V)

    def squares(self, V: Array, scale: Array | None = None, twice: bool = False) -> Array:
        xp = array_namespace(V)
        values, features = self.row.parts(self.matrix)
        S = values if scale is None else values * xp.take(scale[:, 0], features, axis=0)
        powers = (S * S, (S * S) ** 2) if twice else (S * S,)
        sums = [self.row.back(self.row.with_values(self.matrix, power), V) for power in powers]
        return sums[0] if len(sums) == 1 else xp.concat(sums, axis=1)

    def gram(self, C: Array) -> Array:
        return self.row.gram(self.matrix, C)


_rows: dict[type, SparseProducts] = {}  # keys are types of sparse matrices


def _products() -> dict[str, SparseProducts]:
    """Return the sparse products of the libraries that have them, by name."""
    return {name: library.sparse for name, library in LIBRARIES.items() if library.sparse is not None}


@dataclass(frozen=True)
class Sparse:
    """X by its values that are not zero, in the order of the samples.

    Attributes
    ----------
    values : array (n,)
        The values of the first sample, then those of the second, and so on.
    features : array (n,) of int
        The number of each value's feature; it grows within a sample.
    starts : ndarray (m + 1,) of int
        Where the values of each sample start; on the host.
    n_x : int
    rows : bool
        Whether the samples were the rows of X.
    """

    values: Array
    features: Array
    starts: np.ndarray
    n_x: int
    rows: bool = False
    dense = False
    shifts = False
    is_read = False
    sequential = False
    concurrent = True
    ties = ()
    drawable: None = None
    names: None = None

    @property
    def m(self) -> int:
        return self.starts.shape[0] - 1

    @property
    def shape(self) -> tuple[int, int]:
        return (self.m, self.n_x) if self.rows else (self.n_x, self.m)

    @property
    def dtype(self) -> Any:
        return self.values.dtype

    @property
    def home(self) -> Place:
        return place_of(self.values)

    @property
    def nbytes(self) -> int:
        return self.values.shape[0] * (getattr(self.values.dtype, "itemsize", 8) + 4) + self.starts.nbytes

    def width(self, place: Place, gram: bool) -> float:
        width = self.values.shape[0] / self.m
        # where products of two sparse matrices are not worth it, a Gram matrix is that of dense blocks
        return self.n_x if gram and (place != HOST or width > FILLED * self.n_x) else max(width, 1.0)

    def is_ready(self, place: Place, dtype: str) -> bool:
        return lies_ready(self.values, place.dtype(dtype))

    def put(self, place: Place) -> "Sparse":
        if place.name not in _products():
            able = ", ".join(map(repr, _products()))
            raise TypeError(f"X is sparse, and {place.name} has no sparse products; use {able}, or a dense X")
        if place == self.home:
            return self
        return dataclasses.replace(self, values=place.put(self.values), features=place.put(self.features))

    def astype(self, place: Place, dtype: str, center: Array | None, exact: bool) -> "Sparse":
        """Convert the values once."""
        assert center is None, "no centre is ever subtracted from it"
        return dataclasses.replace(self, values=place.put(self.values, dtype))

    def cut(self, start: int, stop: int, place: Place) -> Rows:
        part = self.between(start, stop)
        row = _products()[name_of(part.values)]
        return Rows(row.made(part.values, part.features, part.starts, (part.m, part.n_x)))

    def converted(self, block: Rows, place: Place, dtype: str, center: Array | None, exact: bool) -> Rows:
        assert center is None, "no centre is ever subtracted from blocks that are no arrays"
        wanted = place.dtype(dtype)
        return block if block.dtype == wanted else block.changed(lambda values: place.xp.astype(values, wanted))

    def fetched(
        self, ranges: list[Range], arrived: Callable[[Range], Any], in_threads: bool, whole: bool
    ) -> tuple[Iterable[tuple[Range, Any]], int]:
        return ((range, None) for range in ranges), 0

    def between(self, start: int, stop: int) -> "Sparse":
        if (start, stop) == (0, self.m):
            return self
        first, last = (int(self.starts[number]) for number in (start, stop))
        changed = {"values": self.values[first:last], "features": self.features[first:last]}
        return dataclasses.replace(self, **changed, starts=self.starts[start : stop + 1] - self.starts[start])

    def take(self, index: Array, place: Place) -> "Sparse":
        numbers = to_host(index)
        first, counts = self.starts[numbers], self.starts[numbers + 1] - self.starts[numbers]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(self.starts.dtype)
        return self._chosen(np.arange(starts[-1]) + np.repeat(first - starts[:-1], counts), starts)

    def pick(self, numbers: np.ndarray) -> "Sparse":
        """Copy some of the features, by number in ascending order."""
        place_in = np.full(self.n_x, -1, dtype=np.int32)
        place_in[numbers] = np.arange(len(numbers), dtype=np.int32)
        features = place_in[to_host(self.features)]
        kept = features >= 0
        starts = np.concatenate([[0], np.cumsum(kept)])[self.starts].astype(self.starts.dtype)
        part = self._chosen(np.flatnonzero(kept), starts)
        return dataclasses.replace(part, features=self.home.put(features[kept]), n_x=len(numbers))

    @classmethod
    def joined(cls, parts: Sequence["Sparse"]) -> "Sparse":
        """Join the samples of several matrices of the host."""
        values, features = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "features"))
        ends = np.cumsum([0, *(part.starts[-1] for part in parts)])
        starts = np.concatenate([[0], *(part.starts[1:] + end for part, end in zip(parts, ends, strict=False))])
        return dataclasses.replace(parts[0], values=values, features=features, starts=starts)

    def _chosen(self, at: np.ndarray, starts: np.ndarray) -> "Sparse":
        """Copy the values at these places."""
        place = self.home
        with place.computing():
            index = place.put(at)
            values, features = (place.xp.take(part, index, axis=0) for part in (self.values, self.features))
        return dataclasses.replace(self, values=values, features=features, starts=starts)

    def host(self) -> np.ndarray:
        X = self.host_rows(np.arange(self.m)).toarray()
        return X if self.rows else X.T

    def host_rows(self, index: np.ndarray) -> Any:
        """Copy some of the samples (n, n_x) to the host, as a sparse matrix of SciPy."""
        from scipy.sparse import csr_array  # whoever asks for this uses scikit-learn, which needs SciPy

        part = self.take(index, self.home)
        return csr_array((to_host(part.values), to_host(part.features), part.starts), shape=(part.m, part.n_x))

    def flaw(self, block: Rows, place: Place, dtype: str) -> Flaw | None:
        values, features = block.row.parts(block.matrix)
        found = flaw_in(values[None, :], place, dtype)
        if found is None:
            return None
        first = found.sample
        sample = int(np.searchsorted(block.row.starts(block.matrix), first, side="right")) - 1
        return found._replace(feature=int(to_host(features[first : first + 1])[0]), sample=sample)

    def name(self, sample: int) -> str:
        return ""


def sparse(X: Any, rows: bool) -> Sparse | None:
    """Return X as `Sparse` if it is a sparse matrix of a library that is known; duplicates are added up.

    Raises
    ------
    TypeError, ValueError
        If X holds no numbers, has not two axes, or its indices are out of range.
    """
    if isinstance(X, Sparse) or not is_sparse(X):
        return X if isinstance(X, Sparse) else None
    for row in _products().values():
        if row.owns(X):
            if len(X.shape) != 2:
                raise ValueError(f"X must have two axes, samples and features; got the shape {tuple(X.shape)}")
            if not dtype_name(X).startswith(NUMERIC):
                raise TypeError(f"X must hold numbers; got a sparse {type(X).__name__} of {X.dtype}")
            try:
                values, features, starts = row.taken(X, rows)
            except ValueError as error:
                raise ValueError(f"X is no valid sparse matrix: {error}") from None
            return Sparse(values, features, starts, X.shape[1 if rows else 0], rows)
    return None
