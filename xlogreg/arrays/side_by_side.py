"""X of a table with categories: its numeric columns as an array beside the levels of its categorical columns.

A categorical column of L levels stands for L features of ones and zeros. These are never made.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from xlogreg.arrays import products
from xlogreg.arrays.categories import Categories, Codes, narrowest
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.matrix import Dense, Flaw, Range, flaw_in
from xlogreg.arrays.place import HOST, Array, Place, array_namespace, device_of, name_of, to_host
from xlogreg.arrays.traits import joined_pairs

__all__ = ["Mixed", "SideBySide", "beside", "side_by_side"]


class Mixed(NamedTuple):
    """A block of samples: an array below which the features of the categories stand, in another order if ``turns``.

    Attributes
    ----------
    dense : array (d, samples)
    codes : Codes
        Of L = n_x - d features.
    turns : tuple of two arrays (n_x,) of int, or None
        The feature of each row of [dense; codes], and the row of each feature; None if the order is the same.
    """

    dense: Array
    codes: Codes
    turns: tuple[Array, Array] | None

    @property
    def shape(self) -> tuple[int, int]:
        d, samples = self.dense.shape
        return d + self.codes.n_x, samples

    @property
    def dtype(self) -> Any:
        return self.dense.dtype

    def __abs__(self) -> "Mixed":
        return self._replace(dense=abs(self.dense), codes=abs(self.codes))

    def _stacked(self, rows: Array) -> tuple[Array, Array]:
        """Split what the features have (n_x, ...) into the parts of the array and of the codes."""
        rows = rows if self.turns is None else array_namespace(rows).take(rows, self.turns[0], axis=0)
        d = self.dense.shape[0]
        return rows[:d, :], rows[d:, :]

    def _in_order(self, dense: Array, codes: Array) -> Array:
        """Join the sums of both parts, in the order of the features."""
        xp = array_namespace(dense)
        rows = xp.concat([dense, codes], axis=0)
        return rows if self.turns is None else xp.take(rows, self.turns[1], axis=0)

    def scores(self, W: Array, b: Array) -> Array:
        upper, lower = self._stacked(W)
        return self.codes.scores(lower, products.scores(self.dense, upper, b))

    def combine(self, V: Array) -> Array:
        return self._in_order(products.combine(self.dense, V), self.codes.combine(V))

    def squares(self, V: Array, scale: Array | None = None, twice: bool = False) -> Array:
        upper, lower = (None, None) if scale is None else self._stacked(scale)
        return self._in_order(products.squares(self.dense, V, upper, twice), self.codes.squares(V, lower, twice))

    def gram(self, C: Array) -> Array:
        xp, k, d = array_namespace(C), C.shape[0], self.dense.shape[0]
        X = xp.astype(self.dense, C.dtype, copy=False)
        bordered = xp.concat([X, xp.ones_like(C[0, :1, :])], axis=0)
        # of no numbers, the gram of a library has no row of ones
        upper = xp.reshape(products.gram(X, C) if d else xp.sum(C, axis=-1), (d + 1, k, d + 1, k))
        H = []
        for i in range(k):
            for j in range(i, k):  # C is symmetric
                c, U = C[i, j, :], upper[:, i, :, j]
                side = self.codes.tallies((bordered * c).T)
                H.append(self._turned(self.codes.recentered(_assembled(U, side, self.codes, c), d)))
        return H[0] if k == 1 else joined_pairs(xp.stack(H), k)

    def _turned(self, H: Array) -> Array:
        """Bring the rows and columns of H (n_x + 1, n_x + 1) into the order of the features; the last ones stay."""
        if self.turns is None:
            return H
        xp, last = array_namespace(H), H.shape[0] - 1
        order = xp.concat([self.turns[1], xp.full_like(self.turns[1][:1], last)])
        return xp.take(xp.take(H, order, axis=0), order, axis=1)


def _assembled(upper: Array, side: Array, codes: Codes, c: Array) -> Array:
    """Make the weighted sums of products of all features and a row of ones (n_x + 1, n_x + 1).

    Parameters
    ----------
    upper : array (d + 1, d + 1)
        Those of the numbers and the ones.
    side : array (L, d + 1)
        Those of the codes with these.
    codes : Codes
    c : array (samples,)
        The weights.
    """
    xp, d, L = array_namespace(upper), upper.shape[0] - 1, side.shape[0]
    pairs = codes.crossed(c, side[:, d])
    if not LIBRARIES[name_of(upper)].fills:
        blocks = dict(pairs)
        columns = range(len(codes.levels))
        rows = [xp.concat([blocks[a, b] if a <= b else blocks[b, a].T for b in columns], axis=1) for a in columns]
        middle = [xp.concat([side[:, :d], xp.concat(rows, axis=0), side[:, d:]], axis=1)] if rows else []
        top, last = (
            xp.concat([part[:, :d], own.T, part[:, d:]], axis=1)
            for part, own in ((upper[:d, :], side[:, :d]), (upper[d:, :], side[:, d:]))
        )
        return xp.concat([top, *middle, last], axis=0)
    H = xp.empty((d + L + 1, d + L + 1), dtype=upper.dtype, device=device_of(upper))
    own, ends = slice(d, d + L), [slice(0, d), slice(d + L, None)]
    for rows_of, part in zip(ends, (slice(0, d), slice(d, None)), strict=True):
        H[own, rows_of], H[rows_of, own] = side[:, part], side[:, part].T
        for columns_of, other in zip(ends, (slice(0, d), slice(d, None)), strict=True):
            H[rows_of, columns_of] = upper[part, other]
    starts = np.cumsum([d, *(values.shape[0] for values in codes.on)]).tolist()
    for (a, b), block in pairs:  # one at a time, each written once, where joining would copy large blocks twice
        rows_of, columns_of = slice(*starts[a : a + 2]), slice(*starts[b : b + 2])
        H[rows_of, columns_of] = block
        if a != b:
            H[columns_of, rows_of] = block.T
    return H


@dataclass(frozen=True)
class SideBySide:
    """Numeric columns and categorical columns, sample by sample; the samples are the rows.

    Attributes
    ----------
    numbers : array (m, d)
    categories : Categories
        Their values ``on`` have the dtype of the numbers.
    turns : tuple of two arrays (n_x,), or None
        The order of the features, see `Mixed`.
    ties : tuple of ndarray
        The features of each categorical column in which every sample has a level.
    """

    numbers: Array
    categories: Categories
    turns: tuple[Array, Array] | None = None
    ties: tuple[np.ndarray, ...] = ()
    rows = True
    dense = False
    shifts = True
    is_read = False
    sequential = False
    concurrent = True
    drawable: None = None
    names: None = None
    features: ClassVar[Any] = None  # never had in one piece

    @property
    def m(self) -> int:
        return self.numbers.shape[0]

    @functools.cached_property
    def n_x(self) -> int:
        return self.numbers.shape[1] + sum(values.shape[0] for values in self.categories.on)

    @property
    def shape(self) -> tuple[int, int]:
        return self.m, self.n_x

    @property
    def _numeric(self) -> Dense:
        return Dense(self.numbers, rows=True)

    @property
    def dtype(self) -> Any:
        return self.numbers.dtype

    @property
    def home(self) -> Place:
        return self._numeric.home

    @property
    def nbytes(self) -> int:
        levels = self.categories.levels
        return self._numeric.nbytes + sum(self.m * getattr(part.dtype, "itemsize", 4) for part in levels)

    @property
    def order(self) -> np.ndarray:
        """The feature (n_x,) of each row of a block, on the host."""
        return np.arange(self.n_x) if self.turns is None else to_host(self.turns[0])

    def width(self, place: Place, gram: bool) -> float:
        return float(max(1, self.numbers.shape[1] + len(self.categories.levels)))

    def is_ready(self, place: Place, dtype: str) -> bool:
        return self._numeric.is_ready(place, dtype)

    def put(self, place: Place) -> "SideBySide":
        if place == self.home:
            return self
        turns = None if self.turns is None else (place.put(self.turns[0]), place.put(self.turns[1]))
        return SideBySide(place.put(self.numbers), self.categories.put(place), turns, self.ties)

    def astype(self, place: Place, dtype: str, center: Array | None, exact: bool) -> "SideBySide":
        """Convert the numbers once, and subtract a centre (n_x, 1)."""
        block = self.converted(self.cut(0, self.m, place), place, dtype, center, exact)
        numbers = block.dense.T
        if place.small_blocks:
            numbers = place.xp.asarray(numbers, copy=True)  # the thread's next block may overwrite it
        return SideBySide(numbers, Categories(*block.codes), self.turns, self.ties)

    def cut(self, start: int, stop: int, place: Place) -> Mixed:
        return Mixed(self._numeric.cut(start, stop, place), self.categories.codes(start, stop), self.turns)

    def converted(self, block: Mixed, place: Place, dtype: str, center: Array | None, exact: bool) -> Mixed:
        upper, lower = (None, None) if center is None else block._stacked(center)
        exact = exact and block.dense.shape[0] > 0
        return block._replace(
            dense=place.convert(block.dense, dtype, upper, exact),
            codes=block.codes.converted(place.dtype(dtype), lower),
        )

    def fetched(
        self, ranges: list[Range], arrived: Callable[[Range], Any], in_threads: bool, whole: bool
    ) -> tuple[Iterable[tuple[Range, Any]], int]:
        return ((range, None) for range in ranges), 0

    def between(self, start: int, stop: int) -> "SideBySide":
        numbers, categories = self.numbers[start:stop, :], self.categories.between(start, stop)
        return dataclasses.replace(self, numbers=numbers, categories=categories)

    def take(self, index: Array, place: Place) -> "SideBySide":
        numbers = place.take(self.numbers, index, axis=0)
        return dataclasses.replace(self, numbers=numbers, categories=self.categories.take(index, place))

    def pick(self, numbers: np.ndarray) -> "SideBySide":
        """Copy some of the features, by number in ascending order."""
        order, d, place = self.order, self.numbers.shape[1], self.home
        rows = np.flatnonzero(np.isin(order, numbers))  # of a block
        with place.computing():
            dense = place.xp.take(self.numbers, place.put(rows[rows < d]), axis=1)
            categories = self.categories.pick(rows[rows >= d] - d, place)
        ties = tuple(np.searchsorted(numbers, tie) for tie in self.ties if np.isin(tie, numbers).all())
        return SideBySide(dense, categories, _turns(np.searchsorted(numbers, order[rows]), place), ties)

    @staticmethod
    def joined(parts: Sequence["SideBySide"]) -> "SideBySide":
        """Join the samples of several matrices of the host."""
        numbers = np.concatenate([part.numbers for part in parts])
        categories = Categories.joined([part.categories for part in parts])
        tied = [{tuple(tie) for tie in part.ties} for part in parts]
        ties = tuple(tie for tie in parts[0].ties if all(tuple(tie) in known for known in tied))
        return dataclasses.replace(parts[0], numbers=numbers, categories=categories, ties=ties)

    def host(self) -> np.ndarray:
        return self.host_rows(np.arange(self.m)).toarray()

    def host_rows(self, index: np.ndarray) -> Any:
        """Copy some of the samples (n, n_x) to the host, as a sparse matrix of SciPy."""
        from scipy.sparse import csr_array  # whoever asks for this uses scikit-learn, which needs SciPy

        assert self.categories.off is None, "a centred X stays inside of a fit"
        part = self.take(self.home.put(index), self.home)
        numbers, positions = to_host(part.numbers), part.categories.positions(part.m)
        d = numbers.shape[1]
        at = np.concatenate([np.broadcast_to(np.arange(d), numbers.shape), positions + d], axis=1)
        there = np.concatenate([np.ones_like(numbers, dtype=bool), positions >= 0], axis=1)
        values = np.concatenate([numbers, np.ones_like(positions, dtype=numbers.dtype)], axis=1)
        starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        return csr_array((values[there], self.order[at[there]], starts), shape=part.shape)

    def flaw(self, block: Mixed, place: Place, dtype: str) -> Flaw | None:
        flaw = flaw_in(block.dense, place, dtype)
        return None if flaw is None else flaw._replace(feature=int(self.order[flaw.feature]))

    def name(self, sample: int) -> str:
        return ""


def _turns(order: np.ndarray, place: Place) -> tuple[Array, Array] | None:
    """Make the order of a block from the feature (n_x,) of each of its rows."""
    if np.array_equal(order, np.arange(len(order))):
        return None
    there, back = (place.put(part.astype(np.int32)) for part in (order, np.argsort(order)))
    return there, back


def side_by_side(
    numbers: np.ndarray | None, at: np.ndarray, codes: Sequence[np.ndarray], features: Sequence[np.ndarray]
) -> SideBySide:
    """Put numeric and categorical columns side by side, on the host; the samples are the rows.

    Parameters
    ----------
    numbers : ndarray (m, d), or None
        The numeric columns, of any real dtype.
    at : ndarray (d,) of int
        The feature that each of them is.
    codes : sequence of ndarray (m,) of int
        The level of each sample in each categorical column: 0 to L_j - 1, or L_j for none, whose features are all 0.
    features : sequence of ndarray (L_j,) of int
        The feature of each level. ``at`` and these hold each number from 0 to n_x - 1 once.
    """
    numbers = np.zeros((len(codes[0]), 0), dtype=bool) if numbers is None else numbers
    columns = [(np.asarray(part), len(own)) for part, own in zip(codes, features, strict=True) if len(own)]
    levels = tuple(narrowest(part, size) for part, size in columns)
    on = tuple(np.ones(size, dtype=numbers.dtype) for _, size in columns)
    order = np.concatenate([np.asarray(part, dtype=np.int64) for part in (at, *features)])
    ties = tuple(
        own for part, own in zip(codes, features, strict=True) if len(own) and np.max(part, initial=-1) < len(own)
    )
    return SideBySide(numbers, Categories(levels, on), _turns(order, HOST), ties)


def beside(X: Any, rows: bool) -> SideBySide | None:
    """Return X if it is such a matrix already."""
    return X if isinstance(X, SideBySide) else None
