"""Categorical columns by the number of each sample's level: their features, one for each level, are never stored.

A feature has the value 1 for the samples of its level, and 0 for the others. Where a centre is subtracted, both values
change, and nothing is rounded that counts.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.place import Array, Place, array_namespace, device_of, name_of, to_host

__all__ = ["Categories", "Codes", "narrowest"]

NARROW = (np.int8, np.int16, np.int32)


class Codes(NamedTuple):
    """A block of samples; a tuple of arrays, so that JAX compiles it.

    Attributes
    ----------
    levels : tuple of arrays (samples,) of int
        The level of each sample in each column j: 0 to L_j - 1, or L_j for none.
    on : tuple of arrays (L_j,)
        The value of each feature for the samples of its level, in the computing dtype; 1 unless ``off`` is given.
    off : tuple of arrays (L_j,), or None
        The value of each feature for the other samples; None for 0.
    """

    levels: tuple[Array, ...]
    on: tuple[Array, ...]
    off: tuple[Array, ...] | None = None

    @property
    def n_x(self) -> int:
        return sum(values.shape[0] for values in self.on)

    def __abs__(self) -> "Codes":
        return self._replace(on=tuple(map(abs, self.on)), off=self.off and tuple(map(abs, self.off)))

    def converted(self, dtype: Any, center: Array | None) -> "Codes":
        """Convert the values of the features, and subtract a centre (L, 1) in that dtype."""
        if not self.levels or (center is None and self.on[0].dtype == dtype):
            return self
        on, off = (
            None if values is None else tuple(array_namespace(part).astype(part, dtype, copy=False) for part in values)
            for values in (self.on, self.off)
        )
        assert on is not None
        if center is None:
            return self._replace(on=on, off=off)
        parts = [part[:, 0] for part in self.split(center)]
        on = tuple(value - part for value, part in zip(on, parts, strict=True))
        before = (0.0,) * len(parts) if off is None else off
        return self._replace(on=on, off=tuple(value - part for value, part in zip(before, parts, strict=True)))

    def split(self, rows: Array) -> list[Array]:
        """Split rows (L, ...) into those of each column."""
        stops = np.cumsum([0, *(values.shape[0] for values in self.on)]).tolist()
        return [rows[start:stop, ...] for start, stop in itertools.pairwise(stops)]

    def _values(self, dtype: Any) -> tuple[Array, Array]:
        """Values of the features (L, 1) where they are on and where they are off."""
        xp = array_namespace(self.on[0])
        assert self.off is not None
        on, off = (xp.expand_dims(xp.concat(values), axis=1) for values in (self.on, self.off))
        return xp.astype(on, dtype, copy=False), xp.astype(off, dtype, copy=False)

    def scores(self, W: Array, Z: Array) -> Array:
        """Compute Z + W'X (k, m) for W (L, k) and Z (k, m)."""
        if not self.levels:
            return Z
        xp = array_namespace(W)
        if self.off is not None:
            on, off = self._values(W.dtype)
            Z = Z + xp.sum(W * off, axis=0, keepdims=True).T
            W = W * (on - off)
        for levels, part in zip(self.levels, self.split(W), strict=True):
            table = xp.concat([part.T, xp.zeros_like(part[:1, :].T)], axis=1)
            Z = Z + xp.take(table, _index(levels), axis=1)
        return Z

    def tallies(self, V: Array) -> Array:
        """Sum the rows of V (m, p) over the samples of each level (L, p)."""
        xp, tally = array_namespace(V), LIBRARIES[name_of(V)].tally
        parts = [tally(_index(levels), V, on.shape[0] + 1) for levels, on in zip(self.levels, self.on, strict=True)]
        return xp.concat([part[:-1, :] for part in parts], axis=0) if parts else V[:0, :]

    def combine(self, V: Array) -> Array:
        """Compute X V (L, k) for V (m, k)."""
        return self._summed(self.tallies(V), V, 1) if self.off is not None else self.tallies(V)

    def _summed(self, tallies: Array, V: Array, power: int, scale: Array | float = 1.0) -> Array:
        """Sum the powers of the features times V, given the tallies of V."""
        if self.off is None:
            return tallies if isinstance(scale, float) else tallies * scale**power
        on, off = ((values * scale) ** power for values in self._values(V.dtype))
        total = array_namespace(V).sum(V, axis=0, keepdims=True)
        return on * tallies + off * (total - tallies)

    def squares(self, V: Array, scale: Array | None = None, twice: bool = False) -> Array:
        """Compute sums of squares (L, k), see `xlogreg.arrays.products`."""
        tallies, scale = self.tallies(V), 1.0 if scale is None else scale
        sums = [self._summed(tallies, V, power, scale) for power in ((2, 4) if twice else (2,))]
        return array_namespace(V).concat(sums, axis=1) if twice else sums[0]

    def crossed(self, c: Array, tallies: Array) -> Iterator[tuple[tuple[int, int], Array]]:
        """Yield sums of c (m,) over the samples of each two levels, for columns a <= b; ``tallies`` (L,) are of c."""
        xp, tally = array_namespace(c), LIBRARIES[name_of(c)].tally
        index = [_counting(levels) for levels in self.levels]
        sizes, V = [values.shape[0] for values in self.on], c[:, None]
        for a, own in enumerate(self.split(tallies)):
            yield (a, a), xp.eye(sizes[a], dtype=c.dtype, device=device_of(c)) * own
            for b in range(a + 1, len(sizes)):
                counts = tally(index[a] * (sizes[b] + 1) + index[b], V, (sizes[a] + 1) * (sizes[b] + 1))
                yield (a, b), xp.reshape(counts, (sizes[a] + 1, sizes[b] + 1))[:-1, :-1]

    def recentered(self, H: Array, first: int) -> Array:
        """Turn sums over ones and zeros (n, n) into sums over the values; the features are the rows from ``first`` on.

        The last row is that of the ones: [..., off + (on - off) x, ..., 1] is T [..., x, ..., 1].
        """
        if self.off is None:
            return H
        xp, (on, off) = array_namespace(H), self._values(H.dtype)
        ones, zeros = xp.ones_like(H[:, :1]), xp.zeros_like(H[:, :1])
        factor = xp.concat([ones[:first, :], on - off, ones[:1, :]], axis=0)
        added = xp.concat([zeros[:first, :], off, zeros[:1, :]], axis=0)
        H = factor * H + added * H[-1:, :]
        return H * factor.T + H[:, -1:] * added.T


def _index(levels: Array) -> Array:
    """Levels as numbers that every library takes as an index."""
    if isinstance(levels, np.ndarray):
        return levels
    xp = array_namespace(levels)
    return xp.astype(levels, xp.int32, copy=False)


def _counting(levels: Array) -> Array:
    """Levels as numbers whose products do not overflow."""
    return levels.astype(np.intp, copy=False) if isinstance(levels, np.ndarray) else _index(levels)


def narrowest(levels: np.ndarray, size: int) -> np.ndarray:
    """Return the levels in the smallest type that holds 0 to ``size``."""
    return levels.astype(next(kind for kind in NARROW if size <= np.iinfo(kind).max), copy=False)


@dataclass(frozen=True)
class Categories:
    """The categorical columns of all samples; the attributes are those of a block."""

    levels: tuple[Array, ...]
    on: tuple[Array, ...]
    off: tuple[Array, ...] | None = None

    def codes(self, start: int, stop: int) -> Codes:
        """Give the samples from start to stop as a block."""
        return Codes(tuple(levels[start:stop] for levels in self.levels), self.on, self.off)

    def between(self, start: int, stop: int) -> "Categories":
        return Categories(*self.codes(start, stop))

    def take(self, index: Array, place: Place) -> "Categories":
        """Copy some of the samples, by number."""
        return dataclasses.replace(self, levels=tuple(place.xp.take(part, index, axis=0) for part in self.levels))

    def put(self, place: Place) -> "Categories":
        off = None if self.off is None else tuple(map(place.put, self.off))
        return Categories(tuple(map(place.put, self.levels)), tuple(map(place.put, self.on)), off)

    def pick(self, numbers: np.ndarray, place: Place) -> "Categories":
        """Copy some of the features, by number in ascending order; a level whose feature is left out becomes none."""
        stops = np.cumsum([0, *(values.shape[0] for values in self.on)])
        found: list[tuple[Array, Array, Any]] = []
        for column, levels in enumerate(self.levels):
            start, stop = stops[column : column + 2].tolist()
            chosen = numbers[(numbers >= start) & (numbers < stop)] - start
            if len(chosen):
                renamed = np.full(stop - start + 1, len(chosen))
                renamed[chosen] = np.arange(len(chosen))
                index, of_none = place.put(chosen), None if self.off is None else self.off[column]
                found.append(
                    (
                        place.xp.take(place.put(narrowest(renamed, len(chosen))), _index(levels), axis=0),
                        place.xp.take(self.on[column], index, axis=0),
                        None if of_none is None else place.xp.take(of_none, index, axis=0),
                    )
                )
        picked, on, off = (tuple(part) for part in zip(*found, strict=True)) if found else ((), (), ())
        return Categories(picked, on, None if self.off is None else off)

    @staticmethod
    def joined(parts: Sequence["Categories"]) -> "Categories":
        """Join the samples of several, on the host."""
        levels = tuple(np.concatenate(column) for column in zip(*(part.levels for part in parts), strict=True))
        return dataclasses.replace(parts[0], levels=levels)

    def positions(self, m: int) -> np.ndarray:
        """Number of the feature (m, columns) of each sample's levels, or -1 for none; on the host."""
        found, start = np.full((m, len(self.levels)), -1), 0
        for column, (levels, on) in enumerate(zip(self.levels, self.on, strict=True)):
            numbers, size = to_host(levels), on.shape[0]
            found[:, column] = np.where(numbers < size, numbers + np.int64(start), -1)
            start += size
        return found
