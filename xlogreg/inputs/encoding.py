"""The columns of a table as features: numbers as they are, categories by indicators, missing values filled in.

A model keeps the encoding of the table that it was fitted on, so that a table to predict on gets the same features.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.exceptions import UnseenLevelWarning, shown, warn
from xlogreg.inputs.columns import LEVEL_TYPES, Found, Level, Read, TableOptions, read
from xlogreg.inputs.stored import Stored, compressed
from xlogreg.inputs.tables import Frame, lacking, listed, open_frame, refuse_lacking

__all__ = ["Arranged", "Column", "Encoding", "Term"]

# up to so many features for each column, or so many numbers in all, an array is fitted faster
NARROW = 3
FEW_NUMBERS = 2**18
TEXT_LEVELS = 1000  # of a column that no dtype declares to hold categories


class Column(NamedTuple):
    """A column of the fitted table.

    Attributes
    ----------
    name : str
    levels : tuple, or None
        Levels in order, None for that of missing values, which is the last; None for a column of numbers.
    dropped : int or None
        Number of the level without a feature.
    fill : float or None
        Value in place of a missing number; None if numbers may not be missing.
    indicator : bool
        Whether a feature tells where numbers are missing.
    """

    name: str
    levels: tuple[Level, ...] | None = None
    dropped: int | None = None
    fill: float | None = None
    indicator: bool = False

    @property
    def features(self) -> list[str]:
        """Names of the features."""
        if self.levels is None:
            return [self.name] + [f"{self.name} missing"] * self.indicator
        names = [f"{self.name} missing" if level is None else f"{self.name}={level}" for level in self.levels]
        return names if self.dropped is None else names[: self.dropped] + names[self.dropped + 1 :]


class Term(NamedTuple):
    """A column of the fitted table, and the rows of w that belong to it.

    Attributes
    ----------
    name : str
    levels : tuple, or None
        Levels of a category; None for a column of numbers.
    rows : tuple of int or None
        The row of w of each level, None for the level that was dropped. For a column of numbers its row, and that of
        the indicator of missing values if there is one.
    """

    name: str
    levels: tuple[Level, ...] | None
    rows: tuple[int | None, ...]


class Arranged(NamedTuple):
    """The features of a table, without the indicators of its categories.

    Attributes
    ----------
    m : int
    numbers : ndarray (m, d), or None
        Columns of numbers.
    at : ndarray (d,)
        The features that these are.
    stored : Stored or None
        Columns of numbers that are sparse.
    stored_at : ndarray
        The features that these are.
    codes : list of ndarray (m,)
        For each category the place of each value among the features of the category, or the number of these for none.
    features : list of ndarray
        The features of each category.
    """

    m: int
    numbers: np.ndarray | None
    at: np.ndarray
    stored: Stored | None
    stored_at: np.ndarray
    codes: list[np.ndarray]
    features: list[np.ndarray]

    def dense(self, n_x: int, dtype: Any = None) -> np.ndarray:
        """Make all features (m, n_x) in one array; each feature is contiguous."""
        kinds = [] if self.numbers is None else [self.numbers.dtype]
        kinds += [] if self.stored is None else [self.stored.X.dtype]
        flags = all(own.kind == "b" for own in kinds)  # ones and zeros alone
        kind = np.dtype(np.float64 if flags else np.result_type(np.float32, *kinds)) if dtype is None else dtype
        numbers = self.numbers
        if numbers is not None and np.array_equal(self.at, np.arange(n_x)) and numbers.flags.f_contiguous:
            return numbers.astype(kind, copy=False)
        X = np.zeros((n_x, self.m), dtype=kind)
        if self.numbers is not None:
            X[self.at] = self.numbers.T
        if self.stored is not None:
            X[self.stored_at] = self.stored.X.toarray().T
        for own, rows in zip(self.codes, self.features, strict=True):
            there = np.flatnonzero(own < len(rows))
            X[rows[own[there]], there] = 1
        return X.T

    def sparse(self, n_x: int) -> Any:
        """Make all features (m, n_x) a sparse matrix of SciPy, if some are sparse already."""
        assert self.stored is not None
        return compressed(n_x, self.numbers, self.at, self.stored.X, self.stored_at, self.codes, self.features)


@dataclass(frozen=True)
class Encoding:
    """The columns of the fitted table, and how they become features.

    Attributes
    ----------
    columns : tuple of Column
        In the order of the table.
    unseen : {"error", "zeros"}
        Whether a level that the fitted table did not have is an error, or has zeros in all features of its column.
    missing : {"error", "median", "mean"}
        Whether missing values are an error; or missing numbers are filled in, and missing categories are a level.
    target : str or None
        The column of the fitted table that held the labels, if it is known.
    thousands : str or None
        The sign between groups of three digits in the text of the fitted table, if it was said.
    """

    columns: tuple[Column, ...]
    unseen: str = "error"
    missing: str = "error"
    target: str | None = None
    thousands: str | None = None

    @classmethod
    def of(cls, found: tuple[Found, ...], asked: TableOptions, m: int) -> "Encoding":
        """Decide what becomes of the columns of a table of m rows."""
        reference = dict(asked.reference or {})
        categories = {column.name for column in found if column.levels is not None}
        unknown = [repr(name) for name in reference if name not in categories]
        if unknown:
            raise ValueError(f"reference names columns that are no categories of X: {listed(unknown)}")
        encoding = cls(tuple(_column(one, asked, reference, m) for one in found), asked.unseen, asked.missing)
        names = encoding.names
        if not names:
            raise ValueError("X has no features: each of its columns has one level, which is dropped; use drop=None")
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1] if len(set(names)) < len(names) else []
        if twice:
            raise ValueError(f"several features would have the name {twice[0]!r}; rename a column of X")
        return encoding

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features (n_x,)."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def n_x(self) -> int:
        return len(self.names)

    @functools.cached_property
    def terms(self) -> tuple[Term, ...]:
        terms, row = [], 0
        for column in self.columns:
            count = len(column.features)
            rows: list[int | None] = list(range(row, row + count))
            if column.dropped is not None:
                rows.insert(column.dropped, None)
            terms.append(Term(column.name, column.levels, tuple(rows)))
            row += count
        return tuple(terms)

    @property
    def owners(self) -> np.ndarray:
        """The number (n_x,) of the column that each feature belongs to."""
        return np.repeat(np.arange(len(self.columns)), [len(column.features) for column in self.columns])

    def is_narrow(self, m: int) -> bool:
        """Whether an array of all features of m rows serves better than codes of the categories."""
        return m * self.n_x <= FEW_NUMBERS or self.n_x <= NARROW * len(self.columns)

    def open(self, X: Any, samples: str) -> Frame | None:
        """Open a table that must have the columns of the fitted one; return None if X is no table."""
        return open_frame(X, samples, self.table_names)

    def read(self, frame: Frame, apart: bool = False) -> Read:
        return read(frame, [column.levels is not None for column in self.columns], apart)

    def arrange(self, frame: Frame, apart: bool = False) -> "Arranged":
        """Read the columns of a table, and arrange them by feature."""
        return self.arranged(self.read(frame, apart))

    @functools.cached_property
    def fills(self) -> dict[int, tuple[int, float]]:
        """The indicators of missing numbers: from their rows of w to the rows of the numbers, and what fills these."""
        found = {}
        for column, term in zip(self.columns, self.terms, strict=True):
            if column.indicator and column.fill is not None:
                number, indicator = (row for row in term.rows if row is not None)
                found[indicator] = number, column.fill
        return found

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of the columns of the table."""
        return tuple(column.name for column in self.columns)

    def dense(self, X: Any, samples: str, dtype: Any = None) -> np.ndarray:
        """Make the features (m, n_x) of a table in one array."""
        frame = self.open(X, samples)
        if frame is None:
            raise TypeError(f"X must be a table with the columns of the fitted one, not {type(X).__name__}")
        return self.arrange(frame).dense(self.n_x, dtype)

    def arranged(self, columns: Read) -> "Arranged":
        """Arrange the columns of a table by feature, missing values filled in."""
        places: dict[bool, list[int]] = {False: [], True: []}  # whether sparse -> features
        fills: dict[str, float] = {}
        codes: list[np.ndarray] = []
        features: list[np.ndarray] = []
        gone = lacking(columns.names, columns.numbers, columns.stored)
        if self.missing == "error":
            refuse_lacking(gone)
        apart = set() if columns.stored is None else set(columns.stored.names)
        for column, term in zip(self.columns, self.terms, strict=True):
            rows = [row for row in term.rows if row is not None]
            if column.levels is not None:
                codes.append(self._codes(column, *columns.levels[column.name][:2]))
                features.append(np.asarray(rows, dtype=np.int64))
                continue
            places[column.name in apart].append(rows[0])
            if column.name in gone:
                assert column.fill is not None
                fills[column.name] = column.fill
            if column.indicator:
                lacks = gone.get(column.name)
                codes.append(np.ones(columns.m, np.int8) if lacks is None else (~lacks).astype(np.int8))
                features.append(np.asarray(rows[1:], dtype=np.int64))
        numbers, stored = _filled(columns, gone, fills)
        at, stored_at = (np.asarray(places[own], dtype=np.int64) for own in (False, True))
        return Arranged(columns.m, numbers, at, stored, stored_at, codes, features)

    def _codes(self, column: Column, codes: np.ndarray, levels: list[Level]) -> np.ndarray:
        """Number the values (m,) of a category among its features; those without a feature get the number of these."""
        assert column.levels is not None
        fitted, found = ({isinstance(v, str) for v in some if v is not None} for some in (column.levels, levels))
        if len(fitted | found) > 1:
            kinds = [("text" if kind == {True} else "numbers") for kind in (found, fitted)]
            raise TypeError(
                f"the column {column.name!r} of X holds {kinds[0]}; that of the fitted table held {kinds[1]}"
            )
        known = {level: number for number, level in enumerate(column.levels)}
        places = np.asarray([known.get(level, -1) for level in [*levels, None]])[codes]  # a code of -1 takes the last
        lost = places < 0
        if np.any(lost):
            self._meet(column, codes, levels, lost)
        count = len(column.levels)
        if column.dropped is not None:
            place_of = np.arange(count + 1)
            place_of[column.dropped] = count
            place_of -= place_of > column.dropped
            return place_of[np.where(lost, count, places)]
        return np.where(lost, count, places)

    def _meet(self, column: Column, codes: np.ndarray, levels: list[Level], lost: np.ndarray) -> None:
        """Say that a table has levels that the fitted one did not have."""
        first = int(np.argmax(lost))
        numbers = np.unique(codes[lost]).tolist()
        said = listed(sorted("missing values" if number < 0 else repr(levels[number]) for number in numbers))
        where = f"{int(np.sum(lost))} rows, the first is row {first}" if np.sum(lost) > 1 else f"row {first}"
        if self.missing == "error" and numbers == [-1]:
            raise ValueError(f"X lacks values in the column {column.name!r}: {where}; remove those rows")
        if self.unseen == "error":
            raise ValueError(
                f"the column {column.name!r} of X has levels that the model was not fitted on: {said} ({where}); leave "
                "those rows out, or fit with unseen='zeros'"
            )
        if column.dropped is not None:
            reference = column.levels[column.dropped] if column.levels else None
            warn(
                f"the column {column.name!r} of X has levels that the model was not fitted on: {said} ({where}); they "
                f"are predicted as {reference!r}, the level without a feature",
                UnseenLevelWarning,
            )


def _filled(
    columns: Read, gone: dict[str, np.ndarray], fills: dict[str, float]
) -> tuple[np.ndarray | None, Stored | None]:
    """Fill in the numbers that are gone; ``fills`` has a value for each column that lacks some."""
    numbers, stored = columns.numbers, columns.stored
    own = [number for number, name in enumerate(columns.names) if name in fills]
    if own:
        assert numbers is not None
        numbers = numbers.copy()
        for number in own:
            numbers[gone[columns.names[number]], number] = fills[columns.names[number]]
    return numbers, stored and stored.filled(fills)


def _column(found: Found, asked: TableOptions, reference: dict[str, Any], m: int) -> Column:
    if found.levels is None:
        return _of_fill(found, asked.missing)
    if found.lacks and asked.missing == "error":
        raise ValueError(
            f"X lacks values in the column {found.name!r}; remove those rows, or make a level of them by "
            "missing='median' or 'mean'"
        )
    here: set[Any] = set(found.levels)  # all are text, or all are numbers
    levels: list[Level] = sorted(here)
    if found.ordered is not None:
        levels = [level for level in found.ordered if level in here]
    if not found.meant and len(levels) > min(TEXT_LEVELS, m / 2):
        many = f"over {TEXT_LEVELS}" if len(levels) > TEXT_LEVELS else f"for {m} rows"
        raise ValueError(
            f"the column {found.name!r} of X is text with {len(levels)} levels, {many}: that looks like names, not "
            "categories; leave the column out, merge rare levels, or give it a dtype of categories if it is meant"
        )
    levels += [None] * found.lacks
    if not levels:
        raise ValueError(f"the column {found.name!r} of X has no values")
    dropped = None
    if found.name in reference:
        level = reference[found.name]
        if not isinstance(level, LEVEL_TYPES) or level not in levels:
            known = listed([repr(level) for level in levels if level is not None])
            raise ValueError(f"reference[{found.name!r}] is {shown(level)}, which is no level of that column: {known}")
        dropped = levels.index(level)
    elif asked.drop == "first" or (asked.drop == "auto" and asked.unpenalised):
        dropped = 0
    return Column(found.name, tuple(levels), dropped)


def _of_fill(found: Found, missing: str) -> Column:
    if missing == "error":
        return Column(found.name)
    total, mass = found.mean
    fill = found.median if missing == "median" else (total / mass if mass else math.nan)
    if missing == "mean" and mass and not math.isfinite(fill):
        raise ValueError(f"the column {found.name!r} of X is too large to take the mean of: the sum of it overflows")
    if mass and fill != fill:
        raise ValueError("missing='median' needs all rows in one table; use missing='mean'")
    if fill != fill and not found.empty:
        fill = 0.0  # no sample that counts has a value, as in the training part of a fold: its weight will be 0
    if fill != fill:
        raise ValueError(f"the column {found.name!r} of X has no values to take the {missing} of; leave it out")
    return Column(found.name, fill=fill, indicator=found.lacks)
