"""Tables as people have them: the frames of pandas, polars and Arrow as plain columns of numbers with names.

Known by the module of their class, so that none of these libraries is imported here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["column_values", "open_table"]


class Library(NamedTuple):
    """How to read the tables of a library."""

    frames: tuple[str, ...]  # names of its classes with several columns
    names: Callable[[Any], list]
    column: Callable[[Any, int], Any]  # table, number of the column
    kind: Callable[[Any], str]  # column -> "number", "bool", or what else it holds
    numbers: Callable[[Any], np.ndarray]  # column of numbers or bools -> floats or bools, NaN where a value is missing
    values: Callable[[Any], tuple[np.ndarray, int]]  # any column -> values, and how many are missing


def _pandas_kind(column: Any) -> str:
    kind = getattr(column.dtype, "kind", "O")
    return {"b": "bool", "i": "number", "u": "number", "f": "number"}.get(kind, str(column.dtype))


def _pandas_numbers(column: Any) -> np.ndarray:
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    return column.to_numpy(dtype="float64", na_value=np.nan)  # nullable, or of Arrow


def _pandas_values(column: Any) -> tuple[np.ndarray, int]:
    missing = int(column.isna().sum())
    if missing or isinstance(column.dtype, np.dtype) or _pandas_kind(column) not in ("number", "bool"):
        return np.asarray(column), missing
    return column.to_numpy(dtype=getattr(column.dtype, "numpy_dtype", None)), 0


def _polars_kind(column: Any) -> str:
    if column.dtype.is_numeric():
        return "number"
    return "bool" if str(column.dtype) == "Boolean" else str(column.dtype)


def _polars_numbers(column: Any) -> np.ndarray:
    values = column.to_numpy()
    return values.astype(np.float64) if values.dtype == object else values  # decimals, or bools some of them null


def _arrow_kind(column: Any) -> str:
    name = str(column.type)
    if name.startswith(("int", "uint", "float", "double", "halffloat", "decimal")):
        return "number"
    return name


def _arrow_numbers(column: Any) -> np.ndarray:
    values = column.to_numpy() if hasattr(column, "chunks") else column.to_numpy(zero_copy_only=False)
    return values.astype(np.float64) if values.dtype == object else values


LIBRARIES = {
    "pandas": Library(
        ("DataFrame",),
        lambda table: list(table.columns),
        lambda table, number: table.iloc[:, number],
        _pandas_kind,
        _pandas_numbers,
        _pandas_values,
    ),
    "polars": Library(
        ("DataFrame",),
        lambda table: list(table.columns),
        lambda table, number: table.to_series(number),
        _polars_kind,
        _polars_numbers,
        lambda column: (column.to_numpy(), column.null_count()),
    ),
    "pyarrow": Library(
        ("Table", "RecordBatch"),
        lambda table: list(table.column_names),
        lambda table, number: table.column(number),
        _arrow_kind,
        _arrow_numbers,
        lambda column: (np.asarray(column.to_pylist()), column.null_count),
    ),
}


def _library_of(value: Any) -> Library | None:
    return LIBRARIES.get(type(value).__module__.partition(".")[0])


def open_table(X: Any, samples: str, wanted: tuple[str, ...] | None = None) -> tuple[Any, tuple[str, ...] | None]:
    """The numbers of a table (m, n_x) and the names of its columns; X itself and None where it is no table.

    In the order of the ``wanted`` names, where there are any.

    Raises
    ------
    TypeError
        Naming the columns that hold no numbers.
    ValueError
        Naming the columns that lack values, have one name, are missing or not wanted.
    """
    library = _library_of(X)
    if library is None:
        return X, None
    kind = f"{type(X).__module__.partition('.')[0]}.{type(X).__name__}"
    if type(X).__name__ == "LazyFrame":
        raise TypeError(f"X is a {kind}, which holds no numbers yet: use X.collect()")
    if type(X).__name__ not in library.frames:
        return X, None  # one column, of which NumPy makes one axis
    if samples != "rows":
        raise ValueError(f"X is a {kind}, whose samples are its rows: use samples='rows'")
    names = [str(name) for name in library.names(X)]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"X has several columns of the name {twice[0]!r}; names must differ")
    numbers = {name: number for number, name in enumerate(names)}
    if wanted is not None:
        _refuse_other(names, wanted)
        names = list(wanted)
    columns = [library.column(X, numbers[name]) for name in names]
    kinds = dict(zip(names, map(library.kind, columns), strict=True))
    wrong = [f"{name!r} ({kind})" for name, kind in kinds.items() if kind not in ("number", "bool")]
    if wrong:
        raise TypeError(f"X must hold numbers; these columns do not: {_listed(wrong)}; leave them out or encode them")
    if not columns:
        raise ValueError("X is empty: it has no columns")
    parts = [library.numbers(column) for column in columns]
    lacking = {name: np.isnan(part) for name, part in zip(names, parts, strict=True) if part.dtype.kind == "f"}
    lacking = {name: missing for name, missing in lacking.items() if np.any(missing)}
    if lacking:
        said = [f"{name!r} ({np.sum(gone)}, the first at row {np.argmax(gone)})" for name, gone in lacking.items()]
        raise ValueError(f"X lacks values in these columns: {_listed(said)}; remove or impute them first")
    return np.stack(parts, axis=1), tuple(names)


def column_values(Y: Any, name: str) -> Any:
    """The values of a column of a table, for Y and sample_weight; Y itself where it is none.

    Raises
    ------
    ValueError
        If values are missing.
    """
    library = _library_of(Y)
    if library is None or type(Y).__name__ == "LazyFrame":
        return Y
    if type(Y).__name__ in library.frames:
        columns = [library.values(library.column(Y, number)) for number in range(len(library.names(Y)))]
        values, missing = np.stack([part for part, _ in columns], axis=1), sum(count for _, count in columns)
    elif hasattr(Y, "to_numpy"):
        values, missing = library.values(Y)
    else:
        return Y
    if missing:
        raise ValueError(f"{name} lacks {missing} value{'s' * (missing > 1)}; remove those samples first")
    return values


def _refuse_other(names: list[str], wanted: tuple[str, ...]) -> None:
    here, known = set(names), set(wanted)
    missing = [repr(name) for name in wanted if name not in here]
    extra = [repr(name) for name in names if name not in known]
    if missing:
        raise ValueError(f"X lacks these columns, which the model was fitted on: {_listed(missing)}")
    if extra:
        raise ValueError(f"X has columns that the model was not fitted on: {_listed(extra)}; leave them out")


def _listed(items: list[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
