"""Tables of pandas, polars and Arrow, read as plain columns of numbers with names."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xlogreg.exceptions import expect_memory
from xlogreg.inputs.frames import Levels, Library, known_as
from xlogreg.inputs.stored import Stored, compressed

__all__ = [
    "Frame",
    "column_values",
    "is_collection",
    "is_nullable",
    "joined",
    "lacking",
    "listed",
    "not_numbers",
    "open_frame",
    "open_table",
    "refuse_lacking",
    "refuse_text",
    "split_table",
]

ALIGNMENT = 64  # bytes of a cache line
DENSE_SHARE = 0.25  # of the columns: if more than that are not sparse, none is kept so


def is_collection(value: Any) -> bool:
    """Whether the value is an array or a frame of dask, which dask computes block by block when asked."""
    names = {base.__module__.partition(".")[0] for base in type(value).__mro__[:-1]}
    return "dask" in names and hasattr(type(value), "to_delayed")


class Frame(NamedTuple):
    """A table whose columns can be had by name."""

    reader: Library
    table: Any
    numbers: dict[str, int]  # of the columns, by name

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.numbers)

    @property
    def m(self) -> int:
        return int(self.table.shape[0])

    def column(self, name: str) -> Any:
        return self.reader.column(self.table, self.numbers[name])

    def kind(self, name: str) -> str:
        """What a column holds: "number", "bool", or the name of another type."""
        return self.reader.kind(self.column(name))

    def levels(self, name: str) -> Levels:
        return _converted(self.reader.levels, self.column(name), f"the column {name!r} of X")

    def stored(self, names: tuple[str, ...], others: int = 0) -> Stored | None:
        """Return those columns of numbers that are sparse, unless too many are not; ``others`` are categories."""
        found = self.reader.sparse(self.table, [self.numbers[name] for name in names])
        if found is None or DENSE_SHARE * (len(names) + others) < len(names) - len(found[0]):
            return None
        own = set(found[0])
        return Stored(tuple(name for name in names if self.numbers[name] in own), found[1])

    def numbers_of(self, name: str) -> np.ndarray:
        """Return a column of numbers (m,), NaN where a value is missing; it may share the memory of the table."""
        return _converted(self.reader.numbers, self.column(name), f"the column {name!r} of X")

    def values(self, names: tuple[str, ...]) -> np.ndarray:
        """Return columns of numbers (m, n), NaN where a value is missing."""
        found = self.reader.whole(self.table, [self.numbers[name] for name in names])
        if found is not None:
            return found
        return joined([self.numbers_of(name) for name in names])


def open_frame(X: Any, samples: str, wanted: tuple[str, ...] | None = None) -> Frame | None:
    """Open a table; return None if X is none.

    If there are ``wanted`` names, the columns have their order.

    Raises
    ------
    TypeError
        If the table is not computed yet.
    ValueError
        If columns share a name, are missing or are not wanted; the message names them.
    """
    library, module, name = known_as(X)
    kind = f"{module}.{name}"
    if is_collection(X):
        raise TypeError(f"X is a dask {type(X).__name__}, which holds no numbers yet: X.compute() brings it here")
    if library is None:
        return None
    if name == "LazyFrame":
        raise TypeError(f"X is a {kind}, which holds no numbers yet: use X.collect()")
    if name not in library.frames:
        return None  # a single column, which NumPy turns into one axis
    if samples != "rows":
        raise ValueError(f"X is a {kind}, whose samples are its rows: use samples='rows'")
    names = [str(name) for name in library.names(X)]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"X has several columns of the name {twice[0]!r}; names must differ")
    if not names:
        raise ValueError("X is empty: it has no columns")
    numbers = {name: number for number, name in enumerate(names)}
    if wanted is not None:
        _refuse_other(names, wanted)
        numbers = {name: numbers[name] for name in wanted}
    return Frame(library, X, numbers)


def open_table(X: Any, samples: str, wanted: tuple[str, ...] | None = None) -> tuple[Any, tuple[str, ...] | None]:
    """Return the numbers of a table (m, n_x) and the names of its columns; X itself and None if it is no table.

    If most columns are sparse, the numbers are a sparse matrix of SciPy. If there are ``wanted`` names, the
    columns have their order.

    Raises
    ------
    TypeError
        If columns hold no numbers (the message names them), or for a collection of dask.
    ValueError
        If columns lack values, share a name, are missing or are not wanted; the message names them.
    """
    frame = open_frame(X, samples, wanted)
    if frame is None:
        return X, None
    refuse_text(frame, frame.names)
    stored = frame.stored(frame.names)
    names = frame.names if stored is None else stored.others(frame.names)
    found = frame.values(names) if names else None
    refuse_lacking(lacking(names, found, stored))
    if stored is None:
        return found, frame.names
    features = [np.flatnonzero(np.isin(frame.names, own)) for own in (names, stored.names)]
    return compressed(len(frame.names), found, features[0], stored.X, features[1]), frame.names


def refuse_text(frame: Frame, names: tuple[str, ...], beside: list[str] | None = None) -> None:
    """Raise if columns that should hold numbers do not; the message names them, and those that are categories."""
    kinds = {name: frame.kind(name) for name in names}
    wrong = {name: kind for name, kind in kinds.items() if kind not in ("number", "bool")}
    if wrong:
        raise not_numbers(wrong, beside)


def not_numbers(kinds: dict[str, str], beside: list[str] | None = None) -> TypeError:
    """Error that names columns, and what they hold instead of numbers; ``beside`` are categories already."""
    said = listed([f"{name!r} ({kind})" for name, kind in kinds.items()])
    return TypeError(
        f"X must hold numbers; these columns do not: {said}; leave them out, or take them as categories: "
        f"categorical_features=[{listed(list(map(repr, [*(beside or ()), *kinds])))}]"
    )


def lacking(names: tuple[str, ...], values: np.ndarray | None, stored: Stored | None = None) -> dict[str, np.ndarray]:
    """Find the rows (m,) in which columns of numbers (m, n), and sparse ones, lack values, by name."""
    found = {}
    if values is not None:
        with np.errstate(all="ignore"):
            # the sum of a column is NaN if one of its values is; so only those columns are searched
            sums = np.sum(values, axis=0)
        found = {names[number]: np.isnan(values[:, number]) for number in np.flatnonzero(sums != sums).tolist()}
    found |= {} if stored is None else stored.lacking()
    return {name: rows for name, rows in found.items() if np.any(rows)}


def refuse_lacking(rows: dict[str, np.ndarray]) -> None:
    """Raise if columns lack values, in the rows (m,) given by name; the message names the columns."""
    if rows:
        said = [f"{name!r} ({np.sum(gone)}, the first at row {np.argmax(gone)})" for name, gone in rows.items()]
        raise ValueError(
            f"X lacks values in these columns: {listed(said)}; remove those rows, or let missing='median' fill them in"
        )


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Join columns side by side (m, n), each contiguous; release them one by one, so that few are held twice."""
    dtype, shape = np.result_type(*(part.dtype for part in parts)), (len(parts), len(parts[0]))
    memory = np.empty(shape[0] * shape[1] * dtype.itemsize + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT  # the address decides the order of additions, and so the last bits
    whole = memory[begin : begin + len(memory) - ALIGNMENT].view(dtype).reshape(shape)
    for number in range(len(parts)):
        whole[number] = parts[number]
        parts[number] = whole[number]
    return whole.T


def is_nullable(Y: Any) -> bool:
    """Whether Y is a pandas column, or a frame of one, of integers or bools with a dtype that allows missing values."""
    dtypes = getattr(Y, "dtypes", None) if known_as(Y)[1] == "pandas" else None
    kinds = np.asarray(dtypes, dtype=object).ravel().tolist()
    return len(kinds) == 1 and not isinstance(kinds[0], np.dtype) and getattr(kinds[0], "kind", "O") in "biu"


def split_table(Ys: Any) -> list[Any] | None:
    """Return the columns of a table, each the targets of one model; None if it is no table."""
    library, _, name = known_as(Ys)
    if library is None or name not in library.frames:
        return None
    return [library.column(Ys, number) for number in range(Ys.shape[1])]


def column_values(Y: Any, name: str) -> Any:
    """Return the values of a column or a frame, for Y and sample_weight; Y itself if it is neither.

    Raises
    ------
    ValueError
        If values are missing.
    """
    library, module, kind = known_as(Y)
    if is_collection(Y):
        raise TypeError(f"{name} is a dask {type(Y).__name__}, but X is none; {name}.compute() brings it here")
    if library is None:
        return Y
    if kind == "LazyFrame":
        raise TypeError(f"{name} is a {module}.{kind}, which holds no values yet: use {name}.collect()")
    if kind in library.frames:
        columns = [library.column(Y, number) for number in range(len(library.names(Y)))]
        parts = [_converted(library.values, column, name) for column in columns]
        values, missing = np.stack([part for part, _ in parts], axis=1), sum(count for _, count in parts)
    else:
        values, missing = _converted(library.values, Y, name)
    if missing:
        raise ValueError(f"{name} lacks {missing} value{'s' * (missing > 1)}; remove those samples first")
    return values


def _converted(convert: Callable[[Any], Any], column: Any, name: str) -> Any:
    try:
        return convert(column)
    except Exception as error:  # each library raises its own error for types that NumPy lacks
        expect_memory(error, f"reading {name}")
        kind = getattr(column, "dtype", getattr(column, "type", type(column).__name__))
        raise TypeError(f"{name} is of {kind}, which cannot be read: {str(error).partition(chr(10))[0]}") from None


def _refuse_other(names: list[str], wanted: tuple[str, ...]) -> None:
    here, known = set(names), set(wanted)
    missing = [repr(name) for name in wanted if name not in here]
    extra = [repr(name) for name in names if name not in known]
    if missing:
        raise ValueError(f"X lacks these columns, which the model was fitted on: {listed(missing)}")
    if extra:
        raise ValueError(f"X has columns that the model was not fitted on: {listed(extra)}; leave them out")


def listed(items: list[str]) -> str:
    """List the first items, and say how many more there are."""
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
