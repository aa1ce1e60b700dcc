"""Open the samples of a command: tables and sparse matrices are read whole, arrays and folders of parts in blocks."""

import contextlib
import importlib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

import xlogreg
from xlogreg.arrays.stored import stored
from xlogreg.cli.column_names import TYPED, find_columns
from xlogreg.cli.preparation import Prepared, trained_on
from xlogreg.cli.table_cells import as_labels
from xlogreg.cli.table_files import STANDARD_INPUT, read_table
from xlogreg.cli.whole_tables import Wishes, columns_of, known_in, labels_in, prepared_in, text_of, text_to_fit
from xlogreg.inputs.files import expect_file
from xlogreg.inputs.formula_columns import labels_of, names_in, refuse_gone
from xlogreg.inputs.formulas import parse_formula
from xlogreg.inputs.tables import column_values, open_frame
from xlogreg.model.model import Model
from xlogreg.samples.files.folder import load_sparse

__all__ = ["SampleFile", "as_collection", "open_formula", "open_known", "open_samples", "workers_at"]

COLLECTION_BYTES = 64 * 2**20  # size of a block that a worker reads
CONNECT_SECONDS = 10  # a scheduler must answer within this time


class SampleFile(NamedTuple):
    """Samples X, the rows of a table or of an array that `fit` reads in blocks; their labels (m,), and their offset."""

    X: Any
    Y: np.ndarray | None
    offset: np.ndarray | None = None  # (m,) or (m, K)
    prepared: Prepared | None = None  # what becomes of the columns of a table in a fit
    kept: pl.DataFrame | None = None  # columns of a table that are written beside its predictions
    remarks: tuple[str, ...] = ()  # on how a table was read

    @property
    def all(self) -> dict[str, Any]:
        """The samples as arguments of `fit` or `Model.evaluate`."""
        return {name: part for name, part in zip(("X", "Y", "offset"), self[:3], strict=True) if part is not None}

    def chosen(self, numbers: np.ndarray) -> dict[str, Any]:
        """Select samples, as arguments of `fit` or `Model.evaluate`: rows of a table, or else weights of 0 and 1."""
        assert self.Y is not None
        if len(numbers) == len(self.Y):
            return self.all
        if isinstance(self.X, pl.DataFrame):
            return {name: part[numbers] for name, part in self.all.items()}
        weight = np.zeros(len(self.Y), dtype=np.uint8)
        weight[numbers] = 1
        return self.all | {"sample_weight": weight}

    def trained_on(self, numbers: np.ndarray) -> "SampleFile":
        """Leave out columns of a table of which the samples to train on have no values."""
        if self.prepared is None:
            return self
        prepared = trained_on(self.prepared, numbers)
        return self._replace(X=prepared.frame, prepared=prepared)


def open_samples(path: Path, target: str, wishes: Wishes) -> SampleFile:
    """Open the samples of a table, an array or a folder of parts, to fit a model to them.

    Parameters
    ----------
    path : Path
    target : str
        The name of a column. For an array or a folder, also the path of a .npy file (m,) or of a folder of such parts.
    wishes : Wishes
        What becomes of columns of a table, and which hold the offset; or the offset is the path of a .npy file (m,) or
        (m, K).
    """
    labels, apart = Path(target), target.lower().endswith(".npy") or Path(target).is_dir()
    if _is_sparse(path) and not apart:
        raise ValueError(f"{path} holds a sparse matrix: its labels are a .npy file (m,) of their own, not {target!r}")
    if path == STANDARD_INPUT or not (path.is_dir() or (apart and _is_array(path))):
        written = text_to_fit(target, wishes)
        frame, remarks = read_table(path, text=written, thousands=wishes.thousands)
        if path.suffix.lower() not in TYPED:
            frame = frame.with_columns(as_labels(frame[name]) for name in frame.columns if name in written)
        return _to_fit(path, frame, target, wishes)._replace(remarks=remarks)
    given = wishes.named("ignore", "categorical", "numeric")
    if not apart:
        X, Y = xlogreg.open_parts(path, target=target)
        if X.text or given:
            return _to_fit(path, _whole(path), target, wishes)
        return SampleFile(X, Y, _array_of_offset(path, wishes.offset))
    if given:
        option = next(iter(given))
        raise ValueError(f"{path}: {option} is for tables; all that an array or a folder of parts holds are features")
    X, Y = _opened(path), xlogreg.open_parts(labels) if labels.is_dir() else _load(labels, None)
    if tuple(Y.shape) != (X.shape[0],):
        raise ValueError(f"{target} has the shape {Y.shape}; {path} holds {X.shape[0]} samples, with one label each")
    return SampleFile(X, Y, _array_of_offset(path, wishes.offset))


def open_known(path: Path, model: Model, target: str | None, wishes: Wishes) -> SampleFile:
    """Open samples for a model: of a table the columns that it knows, and the labels if there is a target.

    Parameters
    ----------
    path : Path
    model : Model
    target : str, optional
        As for `open_samples`.
    wishes : Wishes
        Which columns hold the offset, and those that are no features of a model that knows no names.
    """
    apart = target is not None and (target.lower().endswith(".npy") or Path(target).is_dir())
    if apart and (_is_array(path) or path.is_dir()):
        return open_samples(path, str(target), wishes)
    if path.is_dir() and path != STANDARD_INPUT:
        return _known_parts(path, model, target, wishes)
    plain = not columns_of(model) and not wishes.ignore and _is_file(wishes.offset)
    if _is_sparse(path) or (_is_array(path) and target is None and plain):
        return SampleFile(_opened(path), None, _array_of_offset(path, wishes.offset))
    thousands = wishes.thousands or (None if model.encoding is None else model.encoding.thousands)
    table = read_table(path, text=text_of(model, target, wishes), thousands=thousands)
    return _known(path, table.frame, model, target, wishes)._replace(remarks=table.remarks)


def _known_parts(path: Path, model: Model, target: str | None, wishes: Wishes) -> SampleFile:
    """Open a folder of parts in blocks, or read it whole where a block alone does not say enough."""
    known = _array_of_offset(path, wishes.offset)
    tables = sorted(part for part in path.iterdir() if part.suffix.lower() == ".parquet")
    if not tables:
        return SampleFile(_opened(path), None, known)
    names, own = pl.read_parquet_schema(tables[0]), {column.name for column in columns_of(model)}
    others = [name for name in names if name not in own] if own else [*filter(None, [target]), *wishes.ignore]
    if len(others) <= 1 and target in (None, *others) and not wishes.keep:
        opened = xlogreg.open_parts(path, target=others[0] if others else None)
        X, Y = opened if others else (opened, None)
        if not X.text:
            return SampleFile(X, None if target is None else Y, known)
    return _known(path, _whole(path), model, target, wishes)


def _to_fit(path: Path, frame: pl.DataFrame, target: str, wishes: Wishes) -> SampleFile:
    apart = _columns_of(wishes.offset)
    prepared = prepared_in(path, frame, target, wishes, apart)
    known = _offset_of(frame, wishes.offset, path)
    return SampleFile(prepared.frame, labels_in(frame, target), known, prepared)


def _known(path: Path, frame: pl.DataFrame, model: Model, target: str | None, wishes: Wishes) -> SampleFile:
    offset = _columns_of(wishes.offset)
    if target in offset:
        raise ValueError(f"--offset {target}: that column holds the classes")
    given: dict[str, Any] = dict(wishes.named("ignore", "keep")) | ({"--offset": offset} if offset else {})
    found = find_columns(path, frame.columns, given | ({} if target is None else {"--target": target}))
    apart = {name for option in ("--ignore", "--offset", "--target") for name in found.get(option, ())}
    X, known = known_in(path, frame, model, apart), _offset_of(frame, wishes.offset, path)
    labels = None if target is None else labels_in(frame, target, model.classes)
    kept = frame.select(found.get("--keep", []))
    # read as they are written, so that codes keep their zeros
    kept = kept if path.suffix.lower() in TYPED else kept.select(as_labels(column) for column in kept)
    return SampleFile(X, labels, known, kept=kept)


def _whole(path: Path) -> pl.DataFrame:
    """Read a folder of .parquet parts as one table."""
    paths = sorted(part for part in path.iterdir() if part.suffix.lower() == ".parquet" and part.is_file())
    try:
        parts = [pl.read_parquet(part, glob=False) for part in paths]
        same = [part.select(parts[0].columns) if set(part.columns) == set(parts[0].columns) else part for part in parts]
        return pl.concat(same, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path} holds parts that are no one table: {str(error).partition(chr(10))[0]}") from None


def _is_file(offset: Sequence[str]) -> bool:
    """Whether the offset, if there is one, is a file of its own."""
    return all(name.lower().endswith(".npy") for name in offset)


def _columns_of(offset: Sequence[str]) -> list[str]:
    return [] if _is_file(offset) else list(offset)


def _array_of_offset(path: Path, offset: Sequence[str]) -> np.ndarray | None:
    """Read the offset of an array or of a folder of parts: from a file of its own."""
    if not offset:
        return None
    if len(offset) > 1 or not _is_file(offset):
        raise ValueError(f"{path}: the offset of an array or of a folder of parts is one .npy file, (m,) or (m, K)")
    return _load(Path(offset[0]), None)


def _offset_of(frame: pl.DataFrame, offset: Sequence[str], path: Path) -> np.ndarray | None:
    """Take the offset from columns of a table, or from a file of its own."""
    if not offset or _is_file(offset):
        return _array_of_offset(path, offset)
    columns = [np.asarray(column_values(frame[name], f"the column {name!r}")) for name in offset]
    for name, column in zip(offset, columns, strict=True):
        if column.dtype.kind not in "biuf":
            raise ValueError(f"the column {name!r} cannot be an offset: it holds {frame[name].dtype}, not numbers")
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def open_formula(path: Path, formula: str, missing: str, wishes: Wishes) -> SampleFile:
    """Open a table with the labels that a formula gives; X has all columns, and Y the labels.

    Parameters
    ----------
    path : Path
    formula : str
    missing : {"error", "drop"}
        Whether rows that lack values in columns of the formula are left out.
    wishes : Wishes
        Columns that "." in the formula leaves out, and those that hold the offset.
    """
    if path != STANDARD_INPUT and (path.is_dir() or _is_array(path)):
        raise ValueError(f"{path}: --formula is for tables, in .csv, .parquet or .npz files")
    if missing not in ("error", "drop"):
        raise ValueError(f"--missing {missing} is not for a formula; --missing drop leaves out rows that lack values")
    (frame, remarks), offset = read_table(path, thousands=wishes.thousands), wishes.offset
    apart = _columns_of(offset)
    given: dict[str, Any] = dict(wishes.named("ignore")) | ({"--offset": apart} if apart else {})
    frame = frame.drop(find_columns(path, frame.columns, given).get("--ignore", []))
    parsed = parse_formula(formula, [name for name in frame.columns if name not in apart])
    names = [*names_in(parsed, {}), *apart]
    if missing == "drop" and offset and not apart:
        raise ValueError("--missing drop leaves out rows, but not those of an offset in a file of its own")
    if missing == "drop" and set(names) <= set(frame.columns):
        frame = frame.drop_nulls(names).drop_nans([name for name in names if frame[name].dtype.is_float()])
    known, frame = _offset_of(frame, offset, path), frame.drop(apart)
    opened = open_frame(frame, "rows")
    assert opened is not None
    Y, gone = labels_of(parsed.left, opened, {})
    refuse_gone(gone, ", or leave them out by --missing drop")
    return SampleFile(frame, Y, known, remarks=remarks)


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
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{path} holds {X.dtype}, not numbers")
    return X[:, None] if X.ndim == 1 else X


def _load(path: Path, mode: Any) -> np.ndarray:
    expect_file(path)
    try:
        return np.load(path, mmap_mode=mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} holds no array: {error}") from None
