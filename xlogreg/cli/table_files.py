"""Read and write tables in files: .csv, .parquet, .npy, .npz. polars reads both CSV and Parquet, and strictly."""

import codecs
import csv
import io
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from xlogreg.exceptions import expect_memory
from xlogreg.inputs.files import expect_file, write_atomically

__all__ = ["Table", "read_table", "without", "write_table"]

HEAD_BYTES = 2**16  # beginning of a CSV file, which shows its separator
SEPARATORS = ",;\t|"
MISSING = ["NA", "N/A", "n/a", "#N/A", "nan", "NaN", "null", "NULL", "None"]  # missing values, like empty cells
# these match complete numbers: 1,5 but not 1,000, which may be a thousand; 1.5 but not the date 31.12.2020
DECIMAL_COMMA = re.compile(rb"(?<![\d.,])\d+,(?!\d{3}(?!\d))\d+(?![\d.,])")
DECIMAL_POINT = re.compile(rb"(?<![\d.,])\d+\.\d+(?![\d.,])")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # beginnings that make a spreadsheet compute a cell


class Table(NamedTuple):
    """The table in a file, and what readers of the result should know about how it was read, in one line each."""

    frame: pl.DataFrame
    remarks: tuple[str, ...]


def read_table(path: Path, *, text: Collection[str] = (), thousands: str | None = None) -> Table:
    """Read the table in a file; the suffix of the file says the format.

    The columns of an array (m, n) are named by their numbers. A .npz archive holds columns (m,), or tables (m, n) whose
    columns are named by the name of the table and their number.

    Parameters
    ----------
    path : Path
    text : collection of str
        Columns that stay text, exactly as written; names that the table lacks are ignored.
    thousands : {",", ".", " ", "'"}, optional
        The sign between groups of three digits, in columns that hold no numbers otherwise.

    Raises
    ------
    ValueError
        If the file holds no table.
    OSError
        If there is no file to read.
    """
    expect_file(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES) + file.readline()  # read the last line to its end
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ValueError(f"{path}: tables are files of {', '.join(READERS)}, not {path.suffix or 'without a suffix'!r}")
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise ValueError(f"{path} is empty")
    try:
        frame = READERS[suffix](path, head)
    except (Exception, pl.exceptions.PanicException) as error:  # a damaged file can make its reader raise any error
        expect_memory(error, f"reading {path}")
        raise ValueError(f"{path} holds no table: {str(error).partition(chr(10))[0]}") from None
    if frame.height == 0 or frame.width == 0:
        raise ValueError(f"{path} holds no samples: {frame.width} columns, {frame.height} rows")
    return Table(frame, remarks=())


def _read_csv(path: Path, head: bytes) -> pl.DataFrame:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is encoded in UTF-16; save it in UTF-8")
    separator, names = _header(head)
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ValueError(f"several columns have the name {twice!r}")
    comma = separator != "," and DECIMAL_COMMA.search(head) is not None and DECIMAL_POINT.search(head) is None
    try:
        frame = pl.read_csv(
            path, separator=separator, decimal_comma=comma, infer_schema_length=None, null_values=MISSING, glob=False
        )
    except pl.exceptions.ComputeError:
        _refuse_ragged(path, separator)
        raise
    if any("\ufffd" in name for name in frame.columns):
        raise ValueError("the names of its columns are not encoded in UTF-8")
    while frame.height and frame.width > 1 and all(value is None for value in frame.row(-1)):
        frame = frame.head(-1)  # drop blank lines at the end
    return frame.rename({name: name.strip() for name in frame.columns})


def _refuse_ragged(path: Path, separator: str) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=separator)
        width = len(next(rows))
        for row in rows:
            if len(row) > width:
                raise ValueError(f"line {rows.line_num} has {len(row)} cells, the header has {width}")


def _header(head: bytes) -> tuple[str, list[str]]:
    """Find the separator, which cuts the first line into most pieces (quoted names stay whole), and the names."""
    text = head.decode("utf-8-sig", errors="ignore")
    first = {sign: next(csv.reader(io.StringIO(text), delimiter=sign)) for sign in SEPARATORS}
    separator = max(first, key=lambda sign: len(first[sign]))
    return separator, first[separator]


def _read_arrays(path: Path, head: bytes) -> pl.DataFrame:
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    columns: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"the member {name!r} is no array")
        if array.ndim not in (1, 2) or array.dtype.kind not in "biufU":
            raise ValueError(f"the array {name!r} of {array.dtype} has the shape {array.shape}, not (m,) or (m, n)")
        table = {name or "0": array} if array.ndim == 1 else {f"{name}{i}": part for i, part in enumerate(array.T)}
        for column, part in table.items():
            if column in columns:
                raise ValueError(f"several columns have the name {column!r}")
            columns[column] = np.ascontiguousarray(part)
    if len({len(part) for part in columns.values()}) > 1:
        raise ValueError("its arrays are not of the same length")
    return pl.DataFrame(columns)


READERS: dict[str, Any] = {
    ".csv": _read_csv,
    ".parquet": lambda path, head: pl.read_parquet(path, glob=False),
    ".npy": _read_arrays,
    ".npz": _read_arrays,
}


def without(frame: pl.DataFrame, names: list[str], path: Path) -> pl.DataFrame:
    """Drop columns of a table; raise if it lacks one of them."""
    for name in names:
        if name not in frame.columns:
            some = ", ".join(map(repr, frame.columns[:8])) + (" ..." if frame.width > 8 else "")
            raise ValueError(f"{path} has no column {name!r}; it has {some}")
    return frame.drop(set(names))


def write_table(columns: dict[str, np.ndarray], path: Path | None) -> None:
    """Write a table as .csv or .parquet, or as CSV to standard output. Spreadsheets see no formula in the CSV."""
    if path is not None and path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path}: predictions are written as .csv or .parquet")
    if path is not None and path.suffix == ".parquet":
        with write_atomically(path) as file:
            pl.DataFrame(columns).write_parquet(file)
        return
    text = pl.DataFrame({_inert(name): _inert_cells(values) for name, values in columns.items()}).write_csv()
    if path is None:
        sys.stdout.write(text)
    else:
        with write_atomically(path) as file:
            file.write(text.encode())


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _inert_cells(values: np.ndarray) -> np.ndarray:
    values = np.char.decode(values, "latin-1") if values.dtype.kind == "S" else values
    return np.asarray([_inert(text) for text in values.tolist()]) if values.dtype.kind == "U" else values
