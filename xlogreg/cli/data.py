"""Open the samples of a command: tables and sparse matrices are read whole, arrays and folders of parts in blocks."""

import contextlib
import importlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

import xlogreg
from xlogreg.arrays.stored import stored
from xlogreg.cli.table_files import read_table, without
from xlogreg.inputs.files import expect_file
from xlogreg.inputs.formula_columns import labels_of, names_in, refuse_gone
from xlogreg.inputs.formulas import parse_formula
from xlogreg.inputs.tables import column_values, open_frame
from xlogreg.samples.files.folder import load_sparse

__all__ = ["SampleFile", "as_collection", "open_features", "open_formula", "open_samples", "workers_at"]

COLLECTION_BYTES = 64 * 2**20  # size of a block that a worker reads
CONNECT_SECONDS = 10  # a scheduler must answer within this time


class SampleFile(NamedTuple):
    """Samples X, the rows of a table or of an array that `fit` reads in blocks; their labels (m,), and their offset."""

    X: Any
    Y: np.ndarray
    offset: np.ndarray | None = None  # (m,) or (m, K)

    @property
    def all(self) -> dict[str, Any]:
        """The samples as arguments of `fit` or `Model.evaluate`."""
        X, Y, offset = self
        return {"X": X, "Y": Y} | ({} if offset is None else {"offset": offset})

    def chosen(self, numbers: np.ndarray) -> dict[str, Any]:
        """Select samples, as arguments of `fit` or `Model.evaluate`: rows of a table, or else weights of 0 and 1."""
        if len(numbers) == len(self.Y):
            return self.all
        if isinstance(self.X, pl.DataFrame):
            return {name: part[numbers] for name, part in self.all.items()}
        weight = np.zeros(len(self.Y), dtype=np.uint8)
        weight[numbers] = 1
        return self.all | {"sample_weight": weight}


def open_samples(path: Path, target: str, ignored: list[str], offset: list[str]) -> SampleFile:
    """Open the samples of a table, an array or a folder of parts.

    Parameters
    ----------
    path : Path
    target : str
        The name of a column. For an array or a folder, also the path of a .npy file (m,) or of a folder of such parts.
    ignored : list of str
        Columns of a table to leave out.
    offset : list of str
        Columns of a table that hold the offset; or the path of a .npy file (m,) or (m, K).
    """
    labels, apart = Path(target), target.lower().endswith(".npy") or Path(target).is_dir()
    if _is_sparse(path) and not apart:
        raise ValueError(f"{path} holds a sparse matrix: its labels are a .npy file (m,) of their own, not {target!r}")
    if not path.is_dir() and not (apart and _is_array(path)):
        return _of_table(path, target, ignored, offset)
    known = _array_of_offset(path, offset)
    if ignored:
        raise ValueError(f"{path}: --ignore is for tables; all that an array or a folder of parts holds are features")
    if not apart:
        X, Y = xlogreg.open_parts(path, target=target)
        return SampleFile(X, Y, known)
    X, Y = _opened(path), xlogreg.open_parts(labels) if labels.is_dir() else _load(labels, None)
    if tuple(Y.shape) != (X.shape[0],):
        raise ValueError(f"{target} has the shape {Y.shape}; {path} holds {X.shape[0]} samples, with one label each")
    return SampleFile(X, Y, known)


def open_features(path: Path, ignored: list[str], named: bool, offset: list[str]) -> tuple[Any, np.ndarray | None]:
    """Open the features of a table, an array or a folder of parts, and the offset of the samples.

    Parameters
    ----------
    path : Path
    ignored : list of str
        Columns to leave out.
    named : bool
        Whether features are matched by name; the columns of an array are then named by their numbers.
    offset : list of str
        As for `open_samples`.
    """
    if path.is_dir() and ignored:
        if len(ignored) > 1:
            raise ValueError(f"{path}: --ignore leaves out one of the columns of parts, not {len(ignored)}")
        return xlogreg.open_parts(path, target=ignored[0])[0], _array_of_offset(path, offset)
    if path.is_dir() or (_is_array(path) and not named and not ignored and _is_file(offset)):
        return _opened(path), _array_of_offset(path, offset)
    frame = read_table(path).frame
    return without(frame, [*ignored, *_columns_of(offset)], path), _offset_of(frame, offset, path)


def _is_file(offset: list[str]) -> bool:
    """Whether the offset, if there is one, is a file of its own."""
    return all(name.lower().endswith(".npy") for name in offset)


def _columns_of(offset: list[str]) -> list[str]:
    return [] if _is_file(offset) else offset


def _array_of_offset(path: Path, offset: list[str]) -> np.ndarray | None:
    """Read the offset of an array or of a folder of parts: from a file of its own."""
    if not offset:
        return None
    if len(offset) > 1 or not _is_file(offset):
        raise ValueError(f"{path}: the offset of an array or of a folder of parts is one .npy file, (m,) or (m, K)")
    return _load(Path(offset[0]), None)


def _offset_of(frame: pl.DataFrame, offset: list[str], path: Path) -> np.ndarray | None:
    """Take the offset from columns of a table, or from a file of its own."""
    if not offset or _is_file(offset):
        return _array_of_offset(path, offset)
    without(frame, offset, path)  # raises if there is no such column
    columns = [np.asarray(column_values(frame[name], f"the column {name!r}")) for name in offset]
    for name, column in zip(offset, columns, strict=True):
        if column.dtype.kind not in "biuf":
            raise ValueError(f"the column {name!r} cannot be an offset: it holds {frame[name].dtype}, not numbers")
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def open_formula(path: Path, formula: str, ignored: list[str], missing: str, offset: list[str]) -> SampleFile:
    """Open a table with the labels that a formula gives; X has all columns, and Y the labels.

    Parameters
    ----------
    path : Path
    formula : str
    ignored : list of str
        Columns that "." in the formula leaves out.
    missing : {"error", "drop"}
        Whether rows that lack values in columns of the formula are left out.
    offset : list of str
        Columns that hold the offset, or the path of a .npy file.
    """
    if path.is_dir() or _is_array(path):
        raise ValueError(f"{path}: --formula is for tables, in .csv, .parquet or .npz files")
    if missing not in ("error", "drop"):
        raise ValueError(f"--missing {missing} is not for a formula; --missing drop leaves out rows that lack values")
    frame, apart = without(read_table(path).frame, ignored, path), _columns_of(offset)
    parsed = parse_formula(formula, [name for name in frame.columns if name not in apart])
    names = [*names_in(parsed, {}), *apart]
    if missing == "drop" and offset and not apart:
        raise ValueError("--missing drop leaves out rows, but not those of an offset in a file of its own")
    if missing == "drop" and set(names) <= set(frame.columns):
        frame = frame.drop_nulls(names).drop_nans([name for name in names if frame[name].dtype.is_float()])
    known, frame = _offset_of(frame, offset, path), without(frame, apart, path)
    opened = open_frame(frame, "rows")
    assert opened is not None
    Y, gone = labels_of(parsed.left, opened, {})
    refuse_gone(gone, ", or leave them out by --missing drop")
    return SampleFile(frame, Y, known)


@contextlib.contextmanager
def workers_at(address: str | None) -> Iterator[None]:
    """Connect to the scheduler of a dask cluster, whose workers then compute; without an address, do nothing."""
    if address is None:
        yield
        return
    try:
        from distributed import Client  # in the extra "dask"
    except ImportError as error:
        raise ImportError("--dask needs dask.distributed", name="distributed") from error
    try:
        client = Client(address, set_as_default=True, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise ValueError(f"--dask {address}: no scheduler answers there within {CONNECT_SECONDS} s ({error})") from None
    with client:
        yield


def as_collection(X: Any) -> Any:
    """Turn X into a dask array whose blocks the workers read from the files themselves."""
    X = stored(X, rows=True)
    if X is None:
        raise ValueError("--dask is for .npy arrays and folders of parts, which every worker can read for itself")
    delayed = importlib.import_module("dask").delayed
    arrays, blocks = importlib.import_module("dask.array"), []
    for piece in X.pieces:
        step = piece.m if piece.sequential else max(1, COLLECTION_BYTES // (piece.shape[1] * piece.dtype.itemsize))
        for start in range(0, piece.m, step):
            stop = min(start + step, piece.m)
            read = delayed(piece.read, pure=False)(start, stop)
            blocks.append(arrays.from_delayed(read, (stop - start, piece.shape[1]), dtype=piece.dtype))
    return arrays.concatenate(blocks, axis=0)


def _is_array(path: Path) -> bool:
    return path.suffix.lower() == ".npy" or _is_sparse(path)


def _is_sparse(path: Path) -> bool:
    """Whether the file holds a sparse matrix of SciPy, and no table."""
    if path.suffix.lower() != ".npz" or not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"format.npy", "shape.npy", "data.npy"} <= set(archive.namelist())


def _opened(path: Path) -> Any:
    if path.is_dir():
        return xlogreg.open_parts(path)
    if _is_sparse(path):
        return load_sparse(path)
    X = _load(path, "r")
    return X[:, None] if X.ndim == 1 else X


def _load(path: Path, mode: Any) -> np.ndarray:
    expect_file(path)
    try:
        return np.load(path, mmap_mode=mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} holds no array: {error}") from None


def _of_table(path: Path, target: str, ignored: list[str], offset: list[str]) -> SampleFile:
    frame = read_table(path).frame
    features, known = without(frame, [target, *ignored, *_columns_of(offset)], path), _offset_of(frame, offset, path)
    labels = frame[target]
    if labels.dtype == pl.String:
        labels = labels.str.strip_chars().replace("", None)  # a blank cell in quotes is missing, too
    try:
        return SampleFile(features, np.asarray(column_values(labels, f"the column {target!r}")), known)
    except ValueError as error:
        row = labels.is_null().arg_max()
        raise ValueError(f"{error}: the first is in row {row}, counted from 0") from None
