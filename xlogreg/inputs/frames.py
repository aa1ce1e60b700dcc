"""Libraries of tables: pandas, polars and Arrow, and how to read a column of each.

A table is recognised by the module of its class, so that none of these libraries is imported here.
"""

from collections.abc import Callable
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Levels", "Library", "known_as", "numbers_of"]

NUMBERS = (Real, np.bool_, Decimal)  # types of numbers in Python and NumPy


class Levels(NamedTuple):
    """A column of categories."""

    codes: np.ndarray  # (m,) number of each value among the levels; below 0 where it is missing
    values: list[Any]  # the levels, which need not all occur
    ordered: bool  # whether their order has a meaning


class Library(NamedTuple):
    """Functions that read the tables of a library."""

    frames: tuple[str, ...]  # names of the library's classes with several columns
    names: Callable[[Any], list]
    column: Callable[[Any, int], Any]  # table, number of the column
    kind: Callable[[Any], str]  # column -> "number", "bool", or what else it holds
    numbers: Callable[[Any], np.ndarray]  # column of numbers or bools -> floats or bools, NaN where a value is missing
    values: Callable[[Any], tuple[np.ndarray, int]]  # any column -> values, and how many are missing
    levels: Callable[[Any], Levels]  # any column, as categories
    # table, column numbers in order -> values (m, n) without a copy; None where that is not possible
    whole: Callable[[Any, list[int]], np.ndarray | None] = lambda table, order: None
    # the same -> those that are sparse, and their values as a sparse matrix of SciPy (m, s); None where none is
    sparse: Callable[[Any, list[int]], tuple[list[int], Any] | None] = lambda table, order: None


def numbers_of(objects: np.ndarray) -> np.ndarray | None:
    """Convert objects that are all numbers, to the dtype that NumPy gives a list of them; None if some are not."""
    if not all(issubclass(kind, NUMBERS) for kind in {type(item) for item in objects.flat}):
        return None
    return np.asarray(objects.tolist())


def _pandas_kind(column: Any) -> str:
    kind = getattr(column.dtype, "kind", "O")
    if column.dtype == object:
        there = column.dropna()
        return "number" if len(there) and numbers_of(there.to_numpy()) is not None else "object"
    return {"b": "bool", "i": "number", "u": "number", "f": "number"}.get(kind, str(column.dtype))


def _pandas_numbers(column: Any) -> np.ndarray:
    if column.dtype == object:
        return column.to_numpy(dtype="float64", na_value=np.nan)
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    if column.dtype.kind in "iu" and column.dtype.itemsize == 8 and not column.isna().any():
        return column.to_numpy(dtype=column.dtype.numpy_dtype)  # floats might round these integers
    return column.to_numpy(dtype="float64", na_value=np.nan)  # the dtype is nullable, or one of Arrow


def _pandas_whole(table: Any, order: list[int]) -> np.ndarray | None:
    dtypes = set(table.dtypes)
    plain = len(dtypes) == 1 and all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes)
    return table.to_numpy() if plain and order == list(range(table.shape[1])) else None


def _pandas_sparse(table: Any, order: list[int]) -> tuple[list[int], Any] | None:
    dtypes = table.dtypes.tolist()
    own = [number for number in order if _is_stored(dtypes[number])]
    if not own:
        return None
    from scipy.sparse import csc_array  # pandas itself makes sparse columns without SciPy

    columns = [table.iloc[:, number].array for number in own]  # its own to_coo refuses bools beside numbers
    rows = [column.sp_index.to_int_index().indices for column in columns]
    values = np.concatenate([column.sp_values for column in columns])
    starts = np.cumsum([0, *(len(part) for part in rows)])
    return own, csc_array((values, np.concatenate(rows), starts), shape=(len(table), len(own))).tocsr()


def _is_stored(dtype: Any) -> bool:
    """Whether a dtype of pandas stores the numbers that are not zero."""
    return type(dtype).__name__ == "SparseDtype" and dtype.subtype.kind in "biuf" and dtype.fill_value == 0


def _pandas_values(column: Any) -> tuple[np.ndarray, int]:
    missing = int(column.isna().sum())
    if missing or isinstance(column.dtype, np.dtype) or _pandas_kind(column) not in ("number", "bool"):
        return np.asarray(column), missing
    return column.to_numpy(dtype=getattr(column.dtype, "numpy_dtype", None)), 0


def _pandas_levels(column: Any) -> Levels:
    if hasattr(column, "cat"):
        return Levels(column.cat.codes.to_numpy(), column.cat.categories.tolist(), bool(column.cat.ordered))
    codes, values = column.factorize()
    return Levels(codes, values.tolist(), False)


def _polars_kind(column: Any) -> str:
    if column.dtype.is_numeric():
        return "number"
    return "bool" if str(column.dtype) == "Boolean" else str(column.dtype)


def _polars_numbers(column: Any) -> np.ndarray:
    if str(column.dtype) in ("Int128", "UInt128"):
        column = column.cast(float)
    values = column.to_numpy()
    return values.astype(np.float64) if values.dtype == object else values  # decimals, or bools with nulls


def _polars_levels(column: Any) -> Levels:
    name = str(column.dtype)
    if name.startswith("Enum"):
        codes = column.to_physical().cast(int).fill_null(-1).to_numpy()
        return Levels(codes, column.dtype.categories.to_list(), True)
    column = column.cast(str) if name.startswith("Categorical") else column
    column = column.fill_nan(None) if column.dtype.is_float() else column
    values = column.drop_nulls().unique().to_list()
    codes = column.replace_strict(values, list(range(len(values))), default=-1, return_dtype=int)
    return Levels(codes.fill_null(-1).to_numpy(), values, False)


def _arrow_kind(column: Any) -> str:
    name = str(column.type)
    if name.startswith(("int", "uint", "float", "double", "halffloat", "decimal")):
        return "number"
    return name


def _arrow_numbers(column: Any) -> np.ndarray:
    values = column.to_numpy() if hasattr(column, "chunks") else column.to_numpy(zero_copy_only=False)
    return values.astype(np.float64) if values.dtype == object else values


def _arrow_values(column: Any) -> tuple[np.ndarray, int]:
    kind = str(column.type)
    if column.null_count == 0 and (kind == "bool" or kind.startswith(("int", "uint", "float", "double", "halffloat"))):
        return _arrow_numbers(column), 0
    if column.null_count == 0 and len(column) and kind in ("string", "large_string"):
        coded = column.dictionary_encode()  # so that each text becomes a Python string only once
        chunks = getattr(coded, "chunks", [coded])
        texts, numbers = chunks[-1].dictionary.to_pylist(), [chunk.indices.to_numpy() for chunk in chunks]
        return np.asarray(texts)[np.concatenate(numbers)], 0
    return np.asarray(column.to_pylist()), column.null_count


def _arrow_levels(column: Any) -> Levels:
    coded = column if str(column.type).startswith("dictionary") else column.dictionary_encode()
    coded = coded.combine_chunks() if hasattr(coded, "chunks") else coded
    return Levels(coded.indices.fill_null(-1).to_numpy(), coded.dictionary.to_pylist(), bool(coded.type.ordered))


FRAMES = {
    "pandas": Library(
        ("DataFrame",),
        lambda table: list(table.columns),
        lambda table, number: table.iloc[:, number],
        _pandas_kind,
        _pandas_numbers,
        _pandas_values,
        _pandas_levels,
        _pandas_whole,
        _pandas_sparse,
    ),
    "polars": Library(
        ("DataFrame",),
        lambda table: list(table.columns),
        lambda table, number: table.to_series(number),
        _polars_kind,
        _polars_numbers,
        lambda column: (column.to_numpy(), column.null_count()),
        _polars_levels,
    ),
    "pyarrow": Library(
        ("Table", "RecordBatch"),
        lambda table: list(table.column_names),
        lambda table, number: table.column(number),
        _arrow_kind,
        _arrow_numbers,
        _arrow_values,
        _arrow_levels,
    ),
}


def known_as(value: Any) -> tuple[Library | None, str, str]:
    """Find the library of a frame or column, its name, and the name of the class; subclasses count as their bases."""
    for base in type(value).__mro__[:-1]:
        name = base.__module__.partition(".")[0]
        if name in FRAMES:
            return FRAMES[name], name, base.__name__
    return None, "", ""
