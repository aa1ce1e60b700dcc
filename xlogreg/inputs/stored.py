"""Columns of a table that are sparse, and their place beside other columns; the samples are the rows."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Stored", "compressed"]


@dataclass(frozen=True)
class Stored:
    """Columns of numbers that are sparse.

    Attributes
    ----------
    names : tuple of str (s,)
    X : scipy.sparse.csr_array (m, s)
        NaN where a value is missing.
    """

    names: tuple[str, ...]
    X: Any

    @functools.cached_property
    def _by_column(self) -> Any:
        return self.X.tocsc()

    @functools.cached_property
    def _gone(self) -> np.ndarray:
        """Where the values that are missing lie among those that are stored."""
        return np.flatnonzero(np.isnan(self.X.data))

    def others(self, names: Sequence[str]) -> tuple[str, ...]:
        own = set(self.names)
        return tuple(name for name in names if name not in own)

    def values(self, name: str, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the stored values of a column and, last, one zero for all others; with their weights."""
        columns, number = self._by_column, self.names.index(name)
        own = slice(*columns.indptr[number : number + 2].tolist())
        rows, m = columns.indices[own], columns.shape[0]
        weights = np.ones(len(rows)) if weight is None else weight[rows]
        rest = float(m - len(rows) if weight is None else np.sum(np.delete(weight, rows)))
        return np.append(columns.data[own], 0), np.append(weights, rest)

    def lacking(self) -> dict[str, np.ndarray]:
        """Rows (m,) in which columns lack values, by name."""
        rows = np.searchsorted(self.X.indptr, self._gone, side="right") - 1
        columns, found = self.X.indices[self._gone], {}
        for number in np.unique(columns).tolist():
            gone = np.zeros(self.X.shape[0], dtype=bool)
            gone[rows[columns == number]] = True
            found[self.names[number]] = gone
        return found

    def filled(self, fills: dict[str, float]) -> "Stored":
        """Fill in missing values by the value of their column."""
        if not len(self._gone):
            return self
        X = self.X.copy()
        by_column = np.asarray([fills.get(name, np.nan) for name in self.names])
        X.data[self._gone] = by_column[X.indices[self._gone]]
        return Stored(self.names, X)


def compressed(
    n_x: int,
    numbers: np.ndarray | None,
    at: np.ndarray,
    stored: Any,
    stored_at: np.ndarray,
    codes: Sequence[np.ndarray] = (),
    features: Sequence[np.ndarray] = (),
) -> Any:
    """Put columns side by side as compressed sparse rows of SciPy (m, n_x).

    Parameters
    ----------
    n_x : int
    numbers : ndarray (m, d), or None
    at : ndarray (d,)
        The features that the numbers are.
    stored : scipy.sparse.csr_array (m, s)
    stored_at : ndarray (s,)
    codes, features : sequence of ndarray
        Categories, see `xlogreg.inputs.encoding.Arranged`.
    """
    from scipy.sparse import csr_array  # the columns came as SciPy's already

    found = stored.tocoo()
    parts = [(found.data, found.row, stored_at[found.col])]
    if numbers is not None:
        rows, columns = np.nonzero(numbers)
        parts.append((numbers[rows, columns], rows, at[columns]))
    for own, of_level in zip(codes, features, strict=True):
        rows = np.flatnonzero(own < len(of_level))
        parts.append((np.ones(len(rows), dtype=bool), rows, of_level[own[rows]]))
    values, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return csr_array((values, (rows, columns)), shape=(stored.shape[0], n_x))
