"""X in several files of a folder: .npy parts are read in place, .parquet parts are decoded anew for each pass.

Sparse matrices, in .npz parts, are read into memory.
"""

import copy
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from xlogreg.arrays.place import to_host
from xlogreg.arrays.stored import FileRange, Stored, state_of
from xlogreg.exceptions import BlockError, expect_memory, one_of
from xlogreg.inputs.columns import Found, TableOptions, look, unite
from xlogreg.inputs.door import Features
from xlogreg.inputs.encoding import Encoding
from xlogreg.inputs.labels import as_weight
from xlogreg.inputs.options import SAMPLES
from xlogreg.inputs.tables import Frame, column_values, open_frame, open_table
from xlogreg.samples.files.sequential import Sequential

__all__ = ["Chain", "load_sparse", "open_parts"]

BATCH_BYTES = 16 * 2**20  # size of the batches in which a table is decoded, counted in float64
READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def open_parts(folder: str | os.PathLike, *, target: str | None = None, samples: str = "rows") -> Any:
    """Open the parts of X in a folder as one X, which `fit` and the predictions of a model read block by block.

    Parameters
    ----------
    folder : str or path
        Holds .npy files, .parquet files (which need pyarrow) or .npz files (which need SciPy). The parts are in the
        order of their file names; other files are ignored. A .npy file holds an array (m_i, n_x), or (n_x, m_i) for
        samples="columns", or labels (m_i,).
        A .parquet file holds a table with one column for each feature. Parts without samples are left out. A .npz file
        holds a sparse matrix of `scipy.sparse.save_npz`; such parts become one sparse matrix in memory.
    target : str, optional
        Column of the tables that holds the labels.
    samples : {"rows", "columns"}
        Orientation of X, as in `fit`.

    Returns
    -------
    X, or (X, Y) with a target, or Y if the parts are labels
        X has a ``shape`` and a ``dtype``, the common one of the parts, but no samples in memory. Y is an array (m,).

    Raises
    ------
    ValueError, TypeError
        If the folder has no parts, or the parts do not fit together; the message names the file.
    OSError
        If the folder or a file cannot be read.

    Examples
    --------
    >>> import os, tempfile, numpy as np, xlogreg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(os.path.join(folder, "0.npy"), np.asarray([[1.0], [2.0], [3.0]]))
    ...     np.save(os.path.join(folder, "1.npy"), np.asarray([[4.0], [5.0], [6.0]]))
    ...     X = xlogreg.open_parts(folder)
    ...     model = xlogreg.fit(X, [0, 0, 1, 0, 1, 1], samples="rows")
    >>> X.shape, model.w.round(4)
    ((6, 1), array([[1.214]]))
    """
    one_of("samples", samples, SAMPLES)
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in OPENERS and path.is_file())
    if not paths:
        raise ValueError(f"{os.fspath(folder)} holds no parts: no file there ends in {' or '.join(OPENERS)}")
    kinds = {path.suffix.lower() for path in paths}
    if len(kinds) > 1:
        raise ValueError(f"{os.fspath(folder)} holds parts of several kinds: {', '.join(sorted(kinds))}")
    return OPENERS[kinds.pop()](paths, target, samples)


def _open_arrays(paths: list[Path], target: str | None, samples: str) -> Any:
    if target is not None:
        raise ValueError(f"target={target!r} names a column of tables; labels of .npy parts are a folder of their own")
    axis = 0 if samples == "rows" else 1
    parts = [_array(path, axis) for path in paths]
    for part in parts:
        if part.ndim != parts[0].ndim or (part.ndim == 2 and part.shape[1 - axis] != parts[0].shape[1 - axis]):
            raise ValueError(
                f"{part.path} has the shape {part.shape}, the first part {parts[0].shape}: they do not fit"
            )
    if parts[0].ndim == 1:
        return np.concatenate([np.load(path) for path in paths])
    kept: list[Stored] = [part for part in parts if part.m > 0]
    if not kept:
        raise ValueError(f"{paths[0].parent} holds no samples: every part is empty")
    return Chain(kept)


def _array(path: Path, axis: int) -> FileRange:
    """Open the array in a .npy file, as its header describes it."""
    with path.open("rb") as file:
        try:
            shape, fortran, dtype = READERS[npy.read_magic(file)](file)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path} holds no array that can be read: {error}") from None
        if len(shape) not in (1, 2) or dtype.kind not in ("biuf" if len(shape) == 2 else "biufU"):
            raise ValueError(f"{path} holds {dtype} of the shape {shape}; parts are numbers of two axes, labels of one")
        part = FileRange(str(path), file.tell(), shape, dtype, "F" if fortran else "C", axis)
        if os.fstat(file.fileno()).st_size < file.tell() + int(np.prod(shape)) * dtype.itemsize:
            raise ValueError(f"{path} is shorter than its header says")
    return part


def _open_tables(paths: list[Path], target: str | None, samples: str) -> Any:
    if samples != "rows":
        raise ValueError("the samples of tables are their rows: use samples='rows'")
    import pyarrow.parquet  # imported here, since it is an optional dependency

    opened = pyarrow.parquet.ParquetFile
    columns = [opened(path).schema_arrow.names for path in paths]
    names = [name for name in columns[0] if name != target]
    if target is not None and target not in columns[0]:
        raise ValueError(f"{paths[0]} has no column {target!r} (target); it has {', '.join(map(repr, names))}")
    for path, found in zip(paths, columns, strict=True):
        wanted = {*names, target} - {None}
        if set(found) != wanted:
            raise ValueError(f"{path} has the columns {found}; expected {sorted(map(str, wanted))}")
    X = Tables(paths, names, opened)
    if target is None:
        return X

    def labels(path: Path) -> np.ndarray:
        try:
            column = pyarrow.parquet.read_table(path, columns=[target]).column(target)
        except Exception as error:
            expect_memory(error, f"reading {path}")
            raise
        return np.asarray(column_values(column, f"the column {target!r}"))

    return X, np.concatenate([labels(path) for path in X.paths])


def _open_sparse(paths: list[Path], target: str | None, samples: str) -> Any:
    if target is not None:
        raise ValueError(
            f"target={target!r} names a column of tables; labels of .npz parts are .npy files of their own"
        )
    import scipy.sparse  # imported here, since it is an optional dependency

    parts, axis = [load_sparse(path) for path in paths], 0 if samples == "rows" else 1
    for path, part in zip(paths, parts, strict=True):
        if part.shape[1 - axis] != parts[0].shape[1 - axis]:
            raise ValueError(f"{path} has the shape {part.shape}, the first part {parts[0].shape}: they do not fit")
    return scipy.sparse.vstack(parts, format="csr") if axis == 0 else scipy.sparse.hstack(parts, format="csc")


def load_sparse(path: Path) -> Any:
    """Read the sparse matrix in a file of `scipy.sparse.save_npz`.

    Raises
    ------
    ValueError
        If the file holds none.
    """
    import scipy.sparse  # imported here, since it is an optional dependency

    try:
        return scipy.sparse.load_npz(path)
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} holds no sparse matrix of scipy.sparse.save_npz: {error}") from None


def _opened(table: Any, names: tuple[str, ...]) -> Frame:
    frame = open_frame(table, "rows", names)
    assert frame is not None
    return frame


class Tables(Sequential):
    """Tables in .parquet files, one after the other along the samples."""

    encoding: Encoding | None

    def __init__(self, paths: list[Path], names: list[str], opened: Callable[[Path], Any]) -> None:
        self.opened = opened
        tables = {path: table for path in paths if (table := opened(path)).metadata.num_rows}
        if not tables:
            raise ValueError(f"{paths[0].parent} holds no samples: every part is empty")
        self.paths, self.states = list(tables), [state_of(path) for path in tables]
        self.stops = np.cumsum([table.metadata.num_rows for table in tables.values()])
        frames = [_opened(table.schema_arrow.empty_table().select(names), tuple(names)) for table in tables.values()]
        kinds = [frame.kind(name) for frame in frames for name in names]
        self.text = tuple(
            name for name, kind in zip(names * len(frames), kinds, strict=True) if kind not in ("number", "bool")
        )
        kept = tuple(name for name in names if name not in self.text)
        dtype = np.result_type(*(frame.values(kept).dtype for frame in frames)) if kept else np.dtype(np.float64)
        self.columns, self.encoding = tuple(names), None
        super().__init__((int(self.stops[-1]), len(names)), dtype, 0, tuple(names))

    def encoded(self, asked: TableOptions, weight: Any = None) -> Features:
        """Decide in one pass what becomes of the columns; ``weight`` is that of all rows, unchecked."""
        known = None if weight is None else to_host(as_weight(weight, self.m))[0]
        start = 0

        def looked(batch: Any) -> tuple[Found, ...]:
            nonlocal start
            own = None if known is None else known[start : start + batch.num_rows]
            start += batch.num_rows
            return look(_opened(batch, self.columns), asked, own)[0]

        found = list(self._batches(looked))
        encoding = Encoding.of(unite(found), asked, self.m)
        X = self.with_encoding(encoding)
        return Features(X, encoding.names, encoding)

    def blocks(self) -> Iterator[np.ndarray]:
        encoding = self.encoding

        def numbers(batch: Any) -> np.ndarray:
            if encoding is not None:
                return encoding.dense(batch, "rows", self.dtype)
            return open_table(batch, "rows", self.columns)[0].astype(self.dtype, copy=False)

        return self._batches(numbers)

    def _batches(self, convert: Callable[[Any], Any]) -> Iterator[Any]:
        """Yield all rows, batch by batch, as the function converts them."""
        size = max(1, BATCH_BYTES // (8 * self.shape[1]))
        for path, state in zip(self.paths, self.states, strict=True):
            try:
                if state_of(path) != state:
                    raise BlockError(f"{path} changed while it was read")
                with self.opened(path) as table:
                    for batch in table.iter_batches(batch_size=size, columns=list(self.columns)):
                        yield convert(batch)
            except OSError as error:  # also raised by pyarrow
                expect_memory(error, f"reading {path}")
                raise BlockError(f"{path} cannot be read: {error}") from error
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
            except Exception as error:
                expect_memory(error, f"reading {path}")
                raise

    @property
    def pieces(self) -> list[Stored]:
        return [self._like(Tables([path], list(self.columns), self.opened)) for path in self.paths]

    def _like(self, part: "Tables") -> "Tables":
        """Encode a part as all parts are."""
        if self.encoding is None:
            return part
        part = part.with_encoding(self.encoding)
        part.dtype = self.dtype
        return part

    def with_encoding(self, encoding: Encoding) -> "Tables":
        """Return these tables with their columns encoded."""
        X, dtype = copy.copy(self), np.result_type(np.float32, self.dtype)
        X.encoding, X.dtype, X.text, X.names, X.shape = encoding, dtype, (), encoding.names, (self.m, encoding.n_x)
        return X

    def name(self, sample: int) -> str:
        number = int(np.searchsorted(self.stops, sample, side="right"))
        begin = int(np.append(0, self.stops)[number])
        return f"part {number}, {self.paths[number].name}, row {sample - begin} of it"


OPENERS: dict[str, Callable[[list[Path], str | None, str], Any]] = {
    ".npy": _open_arrays,
    ".parquet": _open_tables,
    ".npz": _open_sparse,
}


class Chain(Stored):
    """Parts, one after the other along the samples, in their common dtype."""

    def __init__(self, parts: list[Stored]) -> None:
        first = parts[0]
        self.parts, self.axis, self.names = parts, first.axis, first.names
        self.concurrent = all(part.concurrent for part in parts)
        self.dtype = np.result_type(*(part.dtype for part in parts))
        self.stops = np.cumsum([part.m for part in parts])
        other = first.shape[1 - self.axis]
        self.shape = (int(self.stops[-1]), other) if self.axis == 0 else (other, int(self.stops[-1]))

    def _within(self, start: int, stop: int) -> Iterator[tuple[Stored, tuple[int, int]]]:
        """Yield each part that holds some of these samples, with the samples' start and stop in the part."""
        first, last = np.searchsorted(self.stops, [start, stop - 1], side="right").tolist()
        for number in range(first, last + 1):
            part, begin = self.parts[number], int(self.stops[number]) - self.parts[number].m
            yield part, (max(start - begin, 0), min(stop - begin, part.m))

    def expect(self, start: int, stop: int) -> None:
        for part, span in self._within(start, stop):
            part.expect(*span)

    def read(self, start: int, stop: int, features: slice = slice(None)) -> np.ndarray:
        found = [part.read(*span, features) for part, span in self._within(start, stop)]
        whole = found[0] if len(found) == 1 else np.concatenate(found, axis=self.axis)
        return whole.astype(self.dtype, copy=False)

    @property
    def pieces(self) -> list[Stored]:
        return self.parts

    def name(self, sample: int) -> str:
        number = int(np.searchsorted(self.stops, sample, side="right"))
        begin = int(self.stops[number]) - self.parts[number].m
        return f"part {number}, {self.parts[number].name(sample - begin)}, sample {sample - begin} of it"
