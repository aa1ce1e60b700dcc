"""Read and write tables in files: text, compressed or not, .parquet, .npy, .npz; and read them from standard input."""

import contextlib
import io
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from xlogreg.cli.table_bytes import MAGIC, head_of, open_packed, unpacked
from xlogreg.cli.table_cells import THOUSANDS
from xlogreg.cli.table_text import read_text
from xlogreg.exceptions import expect_memory, one_of
from xlogreg.inputs.files import expect_file, write_atomically

__all__ = ["STANDARD_INPUT", "Table", "expect_writable", "read_table", "write_table"]

STANDARD_INPUT = Path("-")
TEXTS = (".csv", ".tsv", ".txt")
ARRAYS = (".npy", ".npz")
FORMATS = f"{', '.join(TEXTS)} (each also with {' or '.join(MAGIC)}), .parquet, {', '.join(ARRAYS)}"
KINDS = {b"PAR1\x15": ".parquet", b"\x93NUMPY": ".npy", b"PK\x03\x04": ".npz"}  # of standard input, by its first bytes
FOREIGN = {  # first bytes of files that are called text, and are none
    b"PK\x03\x04": "it is a sheet of Excel or an archive; save the sheet as CSV",
    b"PAR1\x15": "it is a Parquet file; name it .parquet",
    **{magic: f"it is compressed; name it {kind} at the end" for kind, magic in MAGIC.items()},
}
REMEDIES = {  # what to do with files that hold tables in another way
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), "save the sheet as CSV"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".feather", ".arrow", ".ipc", ".orc"), "save it as .parquet or CSV"),
    **dict.fromkeys((".sav", ".dta", ".sas7bdat", ".rds", ".rda", ".mat"), "save it as CSV"),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "save it as .parquet or CSV; pickles run code and are never read"),
    **dict.fromkeys((".zip", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz"), "unpack it, or pack it with gzip or zstd"),
    **dict.fromkeys(MAGIC, "name it by what is in it: .csv.gz or .csv.zst"),
}
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
        "-" is standard input: text, or another of these formats, as its first bytes say.
    text : collection of str
        Columns of text files that stay text, as written but for blanks around cells. Names that the table lacks are
        ignored.
    thousands : {",", ".", " ", "'"}, optional
        The sign between groups of three digits, in columns that hold no numbers otherwise.

    Raises
    ------
    ValueError
        If the file holds no table.
    OSError
        If there is no file to read.
    """
    if thousands is not None:
        one_of("thousands", thousands, tuple(THOUSANDS))
    called = _called(path)
    kind, packing = ("", "") if path == STANDARD_INPUT else _format(path)
    with _told(called):
        source, kind = (_unpacked(path, packing), kind) if kind else _standard_input()
    head = head_of(source)
    if not head.strip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"):  # neither a byte order mark nor blanks are a table
        raise ValueError(f"{called} is empty")
    remarks: list[str] = []
    with _told(called):
        if kind in TEXTS:
            foreign = next((said for magic, said in FOREIGN.items() if head.startswith(magic)), None)
            if foreign is not None:
                raise ValueError(foreign)
            frame, remarks = read_text(source, kind == ".tsv", text, thousands)
        else:
            stream = io.BytesIO(source) if isinstance(source, bytes) else source
            frame = pl.read_parquet(stream, glob=False) if kind == ".parquet" else _read_arrays(stream)
    if frame.height == 0 or frame.width == 0:
        raise ValueError(f"{called} holds no samples: {frame.width} columns, {frame.height} rows")
    return Table(frame, tuple(f"{called}: {remark}" for remark in remarks))


def _called(path: Path) -> str:
    return "standard input" if path == STANDARD_INPUT else str(path)


@contextlib.contextmanager
def _told(called: str) -> Iterator[None]:
    """Say of any error that the file holds no table: a damaged file can make its reader raise anything."""
    try:
        yield
    except (Exception, pl.exceptions.PanicException) as error:
        expect_memory(error, f"reading {called}")
        if isinstance(error, ImportError) or getattr(error, "filename", None) is not None:
            raise  # a package is missing, or the system does not let us read
        raise ValueError(f"{called} holds no table: {str(error).partition(chr(10))[0]}") from None


def _format(path: Path) -> tuple[str, str]:
    """Read off the suffixes what a file holds, and how it is compressed, if it is."""
    expect_file(path)
    packing = path.suffix.lower() if path.suffix.lower() in MAGIC else ""
    kind = Path(path.stem if packing else path.name).suffix.lower()
    if kind in TEXTS or (kind in (".parquet", *ARRAYS) and not packing):
        return kind, packing
    suffix = repr(kind + packing or path.suffix) if path.suffix else "one without a suffix"
    remedy = "unpack it" if packing and kind else REMEDIES.get(path.suffix.lower())
    raise ValueError(f"{path}: tables are files of {FORMATS}, not {suffix}{f'; {remedy}' if remedy else ''}")


def _unpacked(path: Path, packing: str) -> Path | bytes:
    if not packing:
        return path
    with path.open("rb") as file:
        return unpacked(file, packing, path.stat().st_size)


def _standard_input() -> tuple[bytes, str]:
    """Read standard input to its end; its first bytes say what it holds."""
    source = sys.stdin.buffer.read()
    packing = next((packing for packing, magic in MAGIC.items() if source.startswith(magic)), None)
    if packing is not None:
        source = unpacked(io.BytesIO(source), packing, len(source))
    return source, next((kind for magic, kind in KINDS.items() if source.startswith(magic)), ".csv")


def _read_arrays(source: Path | io.BytesIO) -> pl.DataFrame:
    with source if isinstance(source, io.BytesIO) else source.open("rb") as file:
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


def expect_writable(path: Path) -> tuple[str, str]:
    """Read off the suffixes what a table is to be written as, and how it is compressed, if it is."""
    packing = path.suffix.lower() if path.suffix.lower() in MAGIC else ""
    kind = Path(path.stem if packing else path.name).suffix.lower()
    if kind not in (".csv", ".tsv", ".parquet") or (packing and kind == ".parquet"):
        raise ValueError(f"{path}: tables are written as .csv or .tsv (each also with .gz or .zst), or as .parquet")
    return kind, packing


def write_table(columns: Mapping[str, np.ndarray | pl.Series], path: Path | None) -> None:
    """Write a table as .parquet or as text, which can be compressed; without a path, as CSV to standard output.

    Spreadsheets see no formula in the text.

    Parameters
    ----------
    columns : mapping of str to array or Series (m,)
    path : Path, optional
        A file of .csv or .tsv, each also with .gz or .zst, or of .parquet.
    """
    kind, packing = (".csv", "") if path is None else expect_writable(path)
    frame = pl.DataFrame({name: _column(values) for name, values in columns.items()})
    if kind != ".parquet":
        frame = pl.DataFrame({_inert(column.name): _inert_cells(column) for column in frame})
    separator = "\t" if kind == ".tsv" else ","
    if path is None:
        sys.stdout.write(frame.write_csv(separator=separator))
        return
    with write_atomically(path) as file:
        if kind == ".parquet":
            frame.write_parquet(file)
        elif packing:
            with open_packed(file, packing, "wb") as packed:
                packed.write(frame.write_csv(separator=separator).encode())
        else:
            frame.write_csv(file, separator=separator)


def _column(values: np.ndarray | pl.Series) -> pl.Series:
    if isinstance(values, pl.Series):
        return values
    values = np.char.decode(values, "latin-1") if values.dtype.kind == "S" else values
    return pl.Series(values.tolist() if values.dtype.kind == "O" else values)


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _inert_cells(column: pl.Series) -> pl.Series:
    """Turn a column into one that CSV can hold, and that no spreadsheet computes."""
    if column.dtype == pl.Duration:
        column = column.dt.to_string()
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        raise ValueError(f"the column {column.name!r} of {column.dtype} cannot be written as text; write .parquet")
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return column
    column = column.cast(pl.String)
    formula = pl.any_horizontal(column.str.starts_with(sign) for sign in FORMULA)
    return pl.select(pl.when(formula).then("'" + column).otherwise(column)).to_series()
