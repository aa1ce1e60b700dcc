"""Columns of a table, read as numbers or as categories, and what they hold; the samples are the rows."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.exceptions import one_of, shown
from xlogreg.inputs.options import Options
from xlogreg.inputs.stored import Stored
from xlogreg.inputs.tables import Frame, listed, refuse_text

__all__ = [
    "LEVEL_TYPES",
    "MISSING",
    "PLAIN",
    "UNSEEN",
    "Found",
    "Level",
    "Read",
    "TableOptions",
    "look",
    "read",
    "unite",
    "weighted_median",
]

FROM_DTYPE = ("category", "categorical", "enum", "dictionary")  # how the names of such dtypes begin
DROPS, UNSEEN, MISSING = ("auto", "first"), ("error", "zeros"), ("error", "median", "mean")
LEVEL_TYPES = (str, bool, int, float)
Level = str | bool | int | float | None  # None is the level of missing values


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How the columns of a table become features, as handed to `xlogreg.fit`; creating an object checks it.

    ``unpenalised`` says whether there is a bias and no penalty, so that "auto" drops a level.
    """

    categorical_features: Any = None
    drop: str | None = "auto"
    reference: Any = None
    unseen: str = "error"
    missing: str = "error"
    unpenalised: bool = False

    def __post_init__(self) -> None:
        named = self.categorical_features
        if isinstance(named, str) and named != "from_dtype":
            raise ValueError(f"categorical_features must be None, 'from_dtype' or a list of names, not {shown(named)}")
        if not (named is None or isinstance(named, str)):
            names = list(named) if isinstance(named, Iterable) else None
            if names is None or not all(isinstance(name, str) for name in names):
                raise TypeError(
                    f"categorical_features must be None, 'from_dtype' or a list of names of columns, not {shown(named)}"
                )
            object.__setattr__(self, "categorical_features", tuple(names))
        if self.drop is not None and not (isinstance(self.drop, str) and self.drop in DROPS):
            raise ValueError(f"drop must be 'auto', 'first' or None, not {shown(self.drop)}")
        one_of("unseen", self.unseen, UNSEEN)
        one_of("missing", self.missing, MISSING)
        if self.reference is not None and not isinstance(self.reference, dict):
            raise TypeError(f"reference must be a dict, such as {{'city': 'Paris'}}, not {shown(self.reference)}")
        if self.reference and self.drop is None:
            raise ValueError("reference names levels to drop, but drop=None drops none; leave one of the two out")

    @classmethod
    def of(cls, options: Sequence[Options], **asked: Any) -> "TableOptions":
        """Make the options of a call from its arguments; ``options`` are those of its models."""
        factor = 1.0 if options[0].penalty_factor is None else options[0].penalty_factor
        unpenalised = bool(options[0].bias) and not any(np.any((option.l1 + option.l2) * factor) for option in options)
        return cls(unpenalised=unpenalised, **asked)

    @property
    def used(self) -> bool:
        """Whether X has to be a table."""
        return self.categorical_features is not None or self.missing != "error" or bool(self.reference)

    def refusal(self, X: Any) -> TypeError:
        """Error that says that an option needs a table, which X is not."""
        asked = {"categorical_features": self.categorical_features, "reference": self.reference}
        asked |= {} if self.missing == "error" else {"missing": self.missing}
        name, value = next((name, value) for name, value in asked.items() if value not in (None, {}))
        return TypeError(
            f"{name}={shown(value)} is for tables, whose columns have names: X must be a frame of pandas, polars or "
            f"Arrow, not {type(X).__name__}"
        )

    def are_categories(self, frame: Frame) -> list[bool]:
        """Whether each column of a table is to be taken as categories."""
        named = self.categorical_features
        if isinstance(named, tuple):
            unknown = [repr(name) for name in named if name not in frame.numbers]
            if unknown:
                had = listed([repr(name) for name in frame.names])
                raise ValueError(
                    f"categorical_features names columns that X does not have: {listed(unknown)}; it has {had}"
                )
            return [name in named for name in frame.names]
        return [named is not None and frame.kind(name).lower().startswith(FROM_DTYPE) for name in frame.names]


class Found(NamedTuple):
    """What a table, or a part of one, holds in a column."""

    name: str
    levels: tuple[Level, ...] | None  # those that occur; None for a column of numbers
    ordered: tuple[Level, ...] | None  # all levels in order, if the order has a meaning
    meant: bool  # whether many levels are meant: no text, or a dtype of categories
    lacks: bool  # whether values are missing
    mean: tuple[float, float] = (0.0, 0.0)  # weighted sum of the numbers, and sum of their weights
    median: float = math.nan  # of all rows there
    empty: bool = False  # whether no row has a number, also of those without a weight


PLAIN = TableOptions()  # columns of numbers, as they are


class Read(NamedTuple):
    """Columns of a table, by name: numbers, and levels with the code of each value, -1 where it is missing."""

    m: int
    names: tuple[str, ...]  # of the columns of numbers that are not sparse
    numbers: np.ndarray | None  # (m, d), NaN where a value is missing
    stored: Stored | None  # the others
    levels: dict[str, tuple[np.ndarray, list[Level], bool]]  # and whether their order has a meaning

    def values(self, name: str, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers of a column and their weights; zeros that are not stored are one number."""
        if name in self.names:
            assert self.numbers is not None
            return self.numbers[:, self.names.index(name)], np.ones(self.m) if weight is None else weight
        assert self.stored is not None
        return self.stored.values(name, weight)


def read(frame: Frame, categorical: Sequence[bool], apart: bool = True) -> Read:
    """Read the columns of a table; raise if a column holds something else.

    ``apart``: whether sparse columns may be kept apart.
    """
    names = tuple(name for name, yes in zip(frame.names, categorical, strict=True) if not yes)
    levels = tuple(name for name, yes in zip(frame.names, categorical, strict=True) if yes)
    refuse_text(frame, names, list(levels))
    stored = frame.stored(names, len(levels)) if apart else None
    names = names if stored is None else stored.others(names)
    numbers = frame.values(names) if names else None
    return Read(frame.m, names, numbers, stored, {name: _levels(frame, name) for name in levels})


def _levels(frame: Frame, name: str) -> tuple[np.ndarray, list[Level], bool]:
    """Codes (m,) and levels of a column: plain values of Python, and -1 for missing values."""
    codes, values, ordered = frame.levels(name)
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    gone = [value is None or value != value for value in plain]
    kinds = {type(value).__name__ for value, none in zip(plain, gone, strict=True) if not none}
    if not all(none or isinstance(value, LEVEL_TYPES) for value, none in zip(plain, gone, strict=True)):
        raise TypeError(
            f"the column {name!r} of X holds values of the type {', '.join(sorted(kinds))}; categories must be text, "
            "numbers or bools"
        )
    if "str" in kinds and len(kinds) > 1:
        raise TypeError(f"the column {name!r} of X mixes values of the types {', '.join(sorted(kinds))}")
    if any(isinstance(value, float) and math.isinf(value) for value in plain):
        raise ValueError(f"the column {name!r} of X holds an infinite level; levels must be finite")
    present = dict.fromkeys(value for value, none in zip(plain, gone, strict=True) if not none)
    number_of = {value: number for number, value in enumerate(present)}
    numbers = np.asarray([-1 if none else number_of[value] for value, none in zip(plain, gone, strict=True)] + [-1])
    return numbers[codes.astype(np.int64)], list(number_of), ordered  # a code of -1 takes the last


def look(frame: Frame, asked: TableOptions, weight: np.ndarray | None = None) -> tuple[tuple[Found, ...], Read]:
    """Look at the columns of a table, or of a part of one; ``weight`` is (m,)."""
    categorical = asked.are_categories(frame)
    columns = read(frame, categorical)
    found = []
    for name in frame.names:
        if name not in columns.levels:
            found.append(_of_numbers(name, columns, asked.missing, weight))
            continue
        codes, levels, ordered = columns.levels[name]
        occurs = np.bincount(codes + 1, minlength=len(levels) + 1) > 0
        here = tuple(level for level, yes in zip(levels, occurs[1:].tolist(), strict=True) if yes)
        declared = frame.kind(name).lower().startswith(FROM_DTYPE)
        meant = declared or not any(isinstance(level, str) for level in here)
        found.append(Found(name, here, tuple(levels) if ordered else None, meant, bool(occurs[0])))
    return tuple(found), columns


def _of_numbers(name: str, columns: Read, missing: str, weights: np.ndarray | None) -> Found:
    if missing == "error":
        return Found(name, None, None, False, False)
    x, weight = columns.values(name, weights)
    there = ~np.isnan(x) if x.dtype.kind == "f" else np.ones(len(x), dtype=bool)
    lacks = not there.all()
    x, weight = x[there].astype(np.float64), weight[there].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.sum(weight * x)), float(np.sum(weight))
    median = weighted_median(x, weight) if missing == "median" else math.nan
    return Found(name, None, None, False, lacks, mean, median, not len(x))


def weighted_median(x: np.ndarray, weight: np.ndarray) -> float:
    """Median of numbers (n,) by weight: the middle of all values between which half of the weight lies on each side."""
    kept = weight > 0
    x, weight = x[kept], weight[kept]
    if not len(x):
        return math.nan
    order = np.argsort(x, kind="stable")
    x, below = x[order], np.cumsum(weight[order])
    half, slack = 0.5 * below[-1], 1e-12 * below[-1]  # sums of weights are rounded
    low, high = np.searchsorted(below, [half - slack, half + slack], side="left")
    return float(0.5 * x[low] + 0.5 * x[min(high, len(x) - 1)])  # the sum of large numbers is infinite


def unite(parts: Sequence[tuple[Found, ...]]) -> tuple[Found, ...]:
    """Unite what the parts of a table hold; medians cannot be united."""
    united = []
    for found in zip(*parts, strict=True):
        first = found[0]
        levels = None
        if len({part.levels is None for part in found}) > 1:
            raise TypeError(f"the column {first.name!r} of X is of categories in some parts and of numbers in others")
        texts = {isinstance(level, str) for part in found for level in part.levels or ()}
        if len(texts) > 1:
            raise TypeError(f"the column {first.name!r} of X holds text in some parts and numbers in others")
        if first.levels is not None:
            levels = tuple(dict.fromkeys(level for part in found for level in part.levels or ()))
        ordered = first.ordered if all(part.ordered == first.ordered for part in found) else None
        mean = math.fsum(part.mean[0] for part in found), math.fsum(part.mean[1] for part in found)
        median = first.median if len(found) == 1 else math.nan
        lacks, empty = any(part.lacks for part in found), all(part.empty for part in found)
        united.append(Found(first.name, levels, ordered, first.meant, lacks, mean, median, empty))
    return tuple(united)
