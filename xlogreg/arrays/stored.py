"""An X outside of memory (a file, a data set with slices, or parts of them), read block by block.

For the rest of the library, this X has a shape and a dtype like an array; `read` returns its numbers as NumPy arrays.
"""

import contextlib
import functools
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import numpy as np

from xlogreg.arrays.matrix import Dense, Flaw, Range, flaw_in
from xlogreg.arrays.place import HOST, Array, Place, to_host
from xlogreg.arrays.traits import is_sparse
from xlogreg.exceptions import BlockError, expect_memory

__all__ = ["FileRange", "Slices", "Stored", "announce", "cut", "read_ahead", "runs_of", "state_of", "stored"]

READ_AHEAD = 2  # blocks that are read before they are needed
ANNOUNCED = 8  # blocks announced in one call; one call for each block would take longer
COPIED_BYTES = 64 * 2**20  # largest read that is copied from the file; larger ones go through a memory map
Layout = Literal["C", "F"]
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def cut(block: np.ndarray, start: int, stop: int, axis: int) -> np.ndarray:
    """Return the samples from start to stop of a block, as a view."""
    return block[start:stop] if axis == 0 else block[:, start:stop]


class Stored:
    """An X whose samples are read when they are asked for.

    Attributes
    ----------
    shape : tuple of int
        (n_x, m), or (m, n_x) where the samples are rows.
    dtype : numpy.dtype
    axis : {0, 1}
        Axis of the samples.
    names : tuple of str, or None
        Names of the features.
    text : tuple of str
        Names of columns that hold no numbers; they have to be encoded before X is read.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    axis: int
    names: tuple[str, ...] | None = None
    text: tuple[str, ...] = ()
    dense = True
    shifts = True
    is_read = True
    sequential = False
    concurrent = False
    ties = ()
    drawable: np.ndarray | None = None

    @property
    def home(self) -> Place:
        """Place of the parameters of a model, and of the blocks that are read."""
        return HOST

    @property
    def rows(self) -> bool:
        """Whether the samples are the rows."""
        return self.axis == 0

    @property
    def m(self) -> int:
        """Number of samples."""
        return self.shape[self.axis]

    @property
    def n_x(self) -> int:
        """Number of features."""
        return self.shape[1 - self.axis]

    @property
    def nbytes(self) -> int:
        """Size of all samples in bytes."""
        return self.m * self.n_x * self.dtype.itemsize

    def read(self, start: int, stop: int, features: slice = slice(None)) -> np.ndarray:
        """Read the samples from start to stop, with these features only, in the orientation of ``shape``.

        Raises
        ------
        BlockError
            If the samples cannot be read, or have changed.
        """
        raise NotImplementedError  # abstract: each kind of storage reads in its own way

    def expect(self, start: int, stop: int) -> None:
        """Tell the system that these samples will be read soon, so that it can fetch them."""

    def read_some(self, index: np.ndarray) -> np.ndarray:
        """Read the samples of these numbers (n,), which are in ascending order."""
        parts = [self.read(start, stop) for start, stop in runs_of(index)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=self.axis)

    @property
    def pieces(self) -> list["Stored"]:
        """Parts that this X consists of; each can be read alone."""
        return [self]

    def name(self, sample: int) -> str:
        """Name the block of a sample, for errors; return "" if only the number of the sample is known."""
        return ""

    def is_ready(self, place: Place, dtype: str) -> bool:
        return False

    def put(self, place: Place) -> "Stored":
        return self

    def cut(self, start: int, stop: int, place: Place) -> Array:
        X = place.send(self.read(start, stop))
        return X.T if self.rows else X

    def converted(self, block: Array, place: Place, dtype: str, center: Array | None, exact: bool) -> Array:
        return place.convert(block, dtype, center, exact)

    def fetched(
        self, ranges: list[Range], arrived: Callable[[Range], Any], in_threads: bool, whole: bool
    ) -> tuple[Iterable[tuple[Range, Any]], int]:
        if not (in_threads and self.concurrent):
            return read_ahead(arrived, ranges), 0
        # each thread reads its own blocks and finds them in its cache
        return announce(self.expect, ranges) if whole else ((range, None) for range in ranges), len(ranges)

    def between(self, start: int, stop: int) -> Dense:
        return Dense(self.read(start, stop), self.rows)

    def take(self, index: Array, place: Place) -> Dense:
        return Dense(place.put(self.read_some(to_host(index))), self.rows)

    def width(self, place: Place, gram: bool) -> float:
        return self.n_x

    def features(self, part: slice, place: Place) -> Array:
        X = place.put(self.read(0, self.m, part))
        return X.T if self.rows else X

    def host(self) -> np.ndarray:
        return self.read(0, self.m)

    def host_rows(self, index: np.ndarray) -> np.ndarray:
        X = self.read_some(index)
        return X if self.rows else X.T

    def flaw(self, block: Array, place: Place, dtype: str) -> Flaw | None:
        return flaw_in(block, place, dtype)


def read_ahead(read: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
    """Yield each item with read(item), in order: one thread reads all items, a few of them ahead."""
    pending: deque[tuple[Item, Future[Answer]]] = deque()
    with ThreadPoolExecutor(1, "xlogreg-reader") as reader, contextlib.ExitStack() as stack:
        stack.callback(lambda: [future.cancel() for _, future in pending])
        for item in items:
            pending.append((item, reader.submit(read, item)))
            if len(pending) > READ_AHEAD:
                item, future = pending.popleft()
                yield item, future.result()
        while pending:
            item, future = pending.popleft()
            yield item, future.result()


def announce(expect: Callable[[int, int], None], spans: list[Range]) -> Iterator[tuple[Range, None]]:
    """Yield each span, after calling expect(start, stop) for the next spans; for threads that read their own blocks."""
    for number, span in enumerate(spans):
        if number % ANNOUNCED == 0:
            later = spans[number + ANNOUNCED if number else 0 : number + 2 * ANNOUNCED]
            if later:
                expect(later[0][0], later[-1][1])
        yield span, None


def runs_of(index: np.ndarray) -> list[tuple[int, int]]:
    """Find the start and stop of each run of neighbours in numbers (n,)."""
    cuts = np.flatnonzero(np.diff(index) != 1) + 1
    starts, stops = np.append(0, cuts), np.append(cuts, len(index))
    return [(int(index[i]), int(index[j - 1]) + 1) for i, j in zip(starts, stops, strict=True)]


class Slices(Stored):
    """An X that has a shape, a dtype and slices: data sets of h5py and zarr, arrays that stay on the host."""

    def __init__(self, values: Any, axis: int) -> None:
        self.values, self.axis, self.ndim = values, axis, len(values.shape)
        self.shape, self.dtype = tuple(values.shape), np.dtype(values.dtype).newbyteorder("=")

    def read(self, start: int, stop: int, features: slice = slice(None)) -> np.ndarray:
        at = (slice(start, stop), features) if self.axis == 0 else (features, slice(start, stop))
        try:
            part = np.asarray(self.values[at])
        except Exception as error:  # each library raises its own error for a damaged or missing file
            expect_memory(error, f"reading {_samples(start, stop)} of X")
            raise BlockError(f"X: {_samples(start, stop)} cannot be read: {type(error).__name__}: {error}") from error
        return part.astype(self.dtype, copy=False)


def state_of(file: str | os.PathLike | int) -> tuple[int, int, int]:
    """Return inode, size and modification time of a file (path or descriptor), which differ once the file changes."""
    state = os.stat(file)
    return state.st_ino, state.st_size, state.st_mtime_ns


class FileRange(Stored):
    """An array in a file. Each reading raises if the file has changed since this object was made.

    Blocks of contiguous samples are copied from the file, into memory that is in the processor's cache. That is faster
    than a memory map. Also, if the file shrinks, reading raises an error; reading a memory map would kill the process.
    Large reads, samples that are not contiguous, and reads of some features only go through a memory map.
    """

    concurrent = True

    def __init__(
        self, path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype, order: Layout, axis: int
    ) -> None:
        self.path, self.offset, self.order, self.axis, self.ndim = path, offset, order, axis, len(shape)
        self.shape, self.file_dtype, self.dtype = shape, dtype, dtype.newbyteorder("=")
        self.state = state_of(path)

    @functools.cached_property
    def _map(self) -> np.ndarray:
        return np.memmap(self.path, self.file_dtype, "r", self.offset, self.shape, self.order).view(np.ndarray)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_map"}

    @property
    def _contiguous(self) -> bool:
        """Whether each sample is contiguous in the file."""
        return self.ndim == 2 and (self.order == "C") == (self.axis == 0)

    def read(self, start: int, stop: int, features: slice = slice(None)) -> np.ndarray:
        if self._contiguous and features == slice(None) and (stop - start) * self._bytes <= COPIED_BYTES:
            return self._copied([(start, stop)])
        with self._opened(start, stop):
            part = self._map[(slice(start, stop), features) if self.axis == 0 else (features, slice(start, stop))]
        return part.astype(self.dtype, copy=False)

    def read_some(self, index: np.ndarray) -> np.ndarray:
        return self._copied(runs_of(index)) if self._contiguous else super().read_some(index)

    @contextlib.contextmanager
    def _opened(self, start: int, stop: int) -> Iterator[Any]:
        """Open the file, and raise at the end if it has changed."""
        try:
            with open(self.path, "rb", buffering=0) as file:
                yield file
                if state_of(file.fileno()) != self.state:
                    where = f"{_samples(start, stop)}, and maybe others"
                    raise BlockError(f"{self.path} changed while it was read: {where}")
        except (OSError, ValueError) as error:
            expect_memory(error, f"reading {self.path}, {_samples(start, stop)}")
            raise BlockError(f"{self.path}: {_samples(start, stop)} cannot be read: {error}") from error

    def _copied(self, runs: list[tuple[int, int]]) -> np.ndarray:
        """Copy the samples of the runs from the file, side by side."""
        count = sum(stop - start for start, stop in runs)
        found = np.empty((count, self.shape[1 - self.axis]), self.file_dtype)
        rest = found.reshape(-1).view(np.uint8).data
        with self._opened(runs[0][0], runs[-1][1]) as file:
            for run in runs if len(runs) > 1 else ():
                self._hint(file.fileno(), *run)
            for start, stop in runs:
                file.seek(self.offset + start * self._bytes)
                size = (stop - start) * self._bytes
                part, rest = rest[:size], rest[size:]
                while part:
                    if not (read := file.readinto(part)):
                        raise BlockError(f"{self.path} ends before {_samples(start, stop)} do: it shrank")
                    part = part[read:]
        return (found if self.axis == 0 else found.T).astype(self.dtype, copy=False)

    @property
    def _bytes(self) -> int:
        """Size in bytes of a contiguous sample."""
        return self.file_dtype.itemsize * self.shape[1 - self.axis]

    def expect(self, start: int, stop: int) -> None:
        if not self._contiguous:
            return
        with self._opened(start, stop) as file:
            if not _is_cached(file.fileno(), self.offset + stop * self._bytes - 1):
                self._hint(file.fileno(), start, stop)

    def _hint(self, file: int, start: int, stop: int) -> None:
        """Tell the system to fetch these samples at once, and not page by page."""
        if hasattr(os, "posix_fadvise"):
            at, size = self.offset + start * self._bytes, (stop - start) * self._bytes
            os.posix_fadvise(file, at, size, os.POSIX_FADV_WILLNEED)

    def name(self, sample: int) -> str:
        return os.path.basename(self.path)


def stored(X: Any, rows: bool) -> Stored | None:
    """Wrap X, as the user handed it in, if it is an array in a file, or has slices and is no array; else return None.

    ``rows`` says whether its samples are the rows.
    """
    axis = 0 if rows else 1
    if isinstance(X, Stored):
        return X
    if isinstance(X, np.memmap):
        return _mapped(X, axis)
    if isinstance(X, (np.ndarray, np.generic)) or hasattr(X, "__array_namespace__") or is_sparse(X):
        return None
    sliced = all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__")) and not hasattr(X, "__dlpack__")
    return Slices(X, axis) if sliced and _kind(X.dtype) in "biuf" else None


def _kind(dtype: Any) -> str:
    try:
        return np.dtype(dtype).kind
    except TypeError:  # a dtype of another library
        return "O"


def _mapped(X: np.memmap, axis: int) -> FileRange | None:
    """Return a memory map as a `FileRange` of its file; None if it has no file, or is no contiguous part of one."""
    base: Any = X
    while isinstance(base, np.ndarray):
        base = base.base
    path = X.filename
    contiguous = X.flags.c_contiguous or X.flags.f_contiguous
    if not (isinstance(base, mmap.mmap) and path and os.path.isfile(path) and X.ndim == 2 and contiguous and X.size):
        return None
    if X.dtype.kind not in "biuf":  # what holds no numbers is refused as an array is
        return None
    if X.mode == "c":  # copy-on-write: the file does not have the changes made to X
        return None
    start = X.__array_interface__["data"][0] - np.frombuffer(base, np.uint8).__array_interface__["data"][0]
    # where the map begins in the file; a view has the offset of the whole array
    begins = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY
    order: Layout = "C" if X.flags.c_contiguous else "F"
    if os.path.getsize(path) < begins + start + X.nbytes:
        raise BlockError(f"{path} is shorter than the map of it: it shrank since it was mapped")
    found = FileRange(str(path), begins + start, X.shape, X.dtype, order, axis)
    # another file may have replaced the mapped one: compare the first and the last sample
    same = all(
        found.read(i, i + 1).tobytes() == cut(X, i, i + 1, axis).astype(found.dtype).tobytes() for i in (0, found.m - 1)
    )
    return found if same else None


def _is_cached(file: int, at: int) -> bool:
    """Whether a byte of a file is in memory, as far as the system tells."""
    try:
        return os.preadv(file, [bytearray(1)], at, os.RWF_NOWAIT) == 1
    except (AttributeError, OSError):  # only Linux has this, not for all file systems; or the byte is not in memory
        return False


def _samples(start: int, stop: int) -> str:
    return f"samples {start} to {stop - 1}"
