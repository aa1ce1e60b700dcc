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
    """Samples X, the rows of a table or of an array that `fit` reads in blocks; and their labels (m,)."""

    X: Any
    Y: np.ndarray

    def chosen(self, numbers: np.ndarray) -> dict[str, Any]:
        """Select samples, as arguments of `fit` or `Model.evaluate`: rows of a table, or else weights of 0 and 1."""
        X, Y = self
        if len(numbers) == len(Y):
            return {"X": X, "Y": Y}
        if isinstance(X, pl.DataFrame):
            return {"X": X[numbers], "Y": Y[numbers]}
        weight = np.zeros(len(Y), dtype=np.uint8)
        weight[numbers] = 1
        return {"X": X, "Y": Y, "sample_weight": weight}


def open_samples(path: Path, target: str, ignored: list[str]) -> SampleFile:
    """Open the samples of a table, an array or a folder of parts.

    Parameters
    ----------
    path : Path
    target : str
        The name of a column. For an array or a folder, also the path of a .npy file (m,) or of a folder of such parts.
    ignored : list of str
        Columns of a table to leave out.
    """
    labels, apart = Path(target), target.lower().endswith(".npy") or Path(target).is_dir()
    if _is_sparse(path) and not apart:
        raise ValueError(f"{path} holds a sparse matrix: its labels are a .npy file (m,) of their own, not {target!r}")
    if not path.is_dir() and not (apart and _is_array(path)):
        return _of_table(path, target, ignored)
    if ignored:
        raise ValueError(f"{path}: --ignore is for tables; all that an array or a folder of parts holds are features")
    if not apart:
        return SampleFile(*xlogreg.open_parts(path, target=target))
    X, Y = _opened(path), xlogreg.open_parts(labels) if labels.is_dir() else _load(labels, None)
    if tuple(Y.shape) != (X.shape[0],):
        raise ValueError(f"{target} has the shape {Y.shape}; {path} holds {X.shape[0]} samples, with one label each")
    return SampleFile(X, Y)


def open_features(path: Path, ignored: list[str], named: bool) -> Any:
    """Open the features of a table, an array or a folder of parts.

    Parameters
    ----------
    path : Path
    ignored : list of str
        Columns to leave out.
    named : bool
        Whether features are matched by name; the columns of an array are then named by their numbers.
    """
    if path.is_dir() and ignored:
        if len(ignored) > 1:
            raise ValueError(f"{path}: --ignore leaves out one of the columns of parts, not {len(ignored)}")
        return xlogreg.open_parts(path, target=ignored[0])[0]
    if path.is_dir() or (_is_array(path) and not named and not ignored):
        return _opened(path)
    return without(read_table(path), ignored, path)


def open_formula(path: Path, formula: str, ignored: list[str], missing: str) -> SampleFile:
    """Open a table with the labels that a formula gives; X has all columns, and Y the labels.

    Parameters
    ----------
    path : Path
    formula : str
    ignored : list of str
        Columns that "." in the formula leaves out.
    missing : {"error", "drop"}
        Whether rows that lack values in columns of the formula are left out.
    """
    if path.is_dir() or _is_array(path):
        raise ValueError(f"{path}: --formula is for tables, in .csv, .parquet or .npz files")
    if missing not in ("error", "drop"):
        raise ValueError(f"--missing {missing} is not for a formula; --missing drop leaves out rows that lack values")
    frame = without(read_table(path), ignored, path)
    parsed = parse_formula(formula, frame.columns)
    names = names_in(parsed, {})
    if missing == "drop" and set(names) <= set(frame.columns):
        frame = frame.drop_nulls(names).drop_nans([name for name in names if frame[name].dtype.is_float()])
    opened = open_frame(frame, "rows")
    assert opened is not None
    Y, gone = labels_of(parsed.left, opened, {})
    refuse_gone(gone, ", or leave them out by --missing drop")
    return SampleFile(frame, Y)


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


def _of_table(path: Path, target: str, ignored: list[str]) -> SampleFile:
    frame = read_table(path)
    features = without(frame, [target, *ignored], path)
    labels = frame[target]
    if labels.dtype == pl.String:
        labels = labels.str.strip_chars().replace("", None)  # a blank cell in quotes is missing, too
    try:
        return SampleFile(features, np.asarray(column_values(labels, f"the column {target!r}")))
    except ValueError as error:
        row = labels.is_null().arg_max()
        raise ValueError(f"{error}: the first is in row {row}, counted from 0") from None
