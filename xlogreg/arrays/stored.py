"""X that does not lie in memory: a file, a data set with slices, parts of either. Read as the blocks are asked for.

To the rest of the library such an X has a shape and a dtype like an array; its numbers are NumPy arrays from `read`.
"""

import contextlib
import functools
import mmap
import os
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from xlogreg.exceptions import BlockError, expect_memory

__all__ = ["FileRange", "Slices", "Stored", "cut", "opened", "runs_of", "state_of"]

COPIED_BYTES = 64 * 2**20  # at most, of what is read at a time
Layout = Literal["C", "F"]


def cut(block: np.ndarray, start: int, stop: int, axis: int) -> np.ndarray:
    """Some of the samples of a block, as a view."""
    return block[start:stop] if axis == 0 else block[:, start:stop]


class Stored:
    """An X whose samples are read when they are asked for.

    Attributes
    ----------
    shape : tuple of int
        (n_x, m), or (m, n_x) where the samples are rows.
    dtype : numpy.dtype
    axis : {0, 1}
        That of the samples.
    names : tuple of str, or None
        Of the features.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    axis: int
    names: tuple[str, ...] | None = None
    ndim: int = 2
    sequential = False  # whether it costs as much to read a few samples as to read all
    concurrent = False  # whether threads may read at the same time
    drawable: np.ndarray | None = None  # the samples (n,), by number, that a subset may be of; None for all

    @property
    def m(self) -> int:
        """Number of samples."""
        return self.shape[self.axis]

    def read(self, start: int, stop: int, features: slice = slice(None)) -> np.ndarray:
        """These samples, and of them these features, in the orientation of ``shape``.

        Raises
        ------
        BlockError
            If they cannot be read, or are not what they were.
        """
        raise NotImplementedError  # abstract: each kind of storage reads in its own way

    def expect(self, start: int, stop: int) -> None:
        """Let the system fetch these samples: they will be read soon."""

    def take(self, index: np.ndarray) -> np.ndarray:
        """The samples (n,), by number in ascending order."""
        parts = [self.read(start, stop) for start, stop in runs_of(index)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=self.axis)

    @property
    def pieces(self) -> list["Stored"]:
        """What it is put together of, each to be read alone."""
        return [self]

    def name(self, sample: int) -> str:
        """What the block of a sample is called in errors; "" where nothing is known but the number of the sample."""
        return ""


def runs_of(index: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of the runs of neighbours in numbers (n,)."""
    cuts = np.flatnonzero(np.diff(index) != 1) + 1
    starts, stops = np.append(0, cuts), np.append(cuts, len(index))
    return [(int(index[i]), int(index[j - 1]) + 1) for i, j in zip(starts, stops, strict=True)]


class Slices(Stored):
    """Whatever has a shape, a dtype and slices: data sets of h5py and zarr, arrays that stay on the host."""

    def __init__(self, values: Any, axis: int) -> None:
        self.values, self.axis, self.ndim = values, axis, len(values.shape)
        self.shape, self.dtype = tuple(values.shape), np.dtype(values.dtype).newbyteorder("=")

    def read(self, start: int, stop: int, features: slice = slice(None)) -> np.ndarray:
        at = (slice(start, stop), features) if self.axis == 0 else (features, slice(start, stop))
        try:
            part = np.asarray(self.values[at])
        except Exception as error:  # each library has its own for a file that is damaged or gone
            expect_memory(error, f"reading {_samples(start, stop)} of X")
            raise BlockError(f"X: {_samples(start, stop)} cannot be read: {type(error).__name__}: {error}") from error
        return part.astype(self.dtype, copy=False)


def state_of(file: str | os.PathLike | int) -> tuple[int, int, int]:
    """What changes when a file does, by its path or its descriptor."""
    state = os.stat(file)
    return state.st_ino, state.st_size, state.st_mtime_ns


class FileRange(Stored):
    """An array in a file, as it lies there. Each time that it is read, the file must be the one that it was.

    Blocks of samples that are contiguous are copied out of it, into memory that the processor's cache knows: faster
    than a map of it, and a file that shrinks is an error, which to who reads a map is the end of the process. All of
    it at once, samples that are not contiguous and some of the features are looked at through a map.
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
        """Whether each sample is."""
        return self.ndim == 2 and (self.order == "C") == (self.axis == 0)

    def read(self, start: int, stop: int, features: slice = slice(None)) -> np.ndarray:
        if self._contiguous and features == slice(None) and (stop - start) * self._bytes <= COPIED_BYTES:
            return self._copied([(start, stop)])
        with self._opened(start, stop):
            part = self._map[(slice(start, stop), features) if self.axis == 0 else (features, slice(start, stop))]
        return part.astype(self.dtype, copy=False)

    def take(self, index: np.ndarray) -> np.ndarray:
        return self._copied(runs_of(index)) if self._contiguous else super().take(index)

    @contextlib.contextmanager
    def _opened(self, start: int, stop: int) -> Iterator[Any]:
        """The file; at the end it has to be what it was."""
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
        """The samples of the runs, side by side."""
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
        """Of a sample that is contiguous."""
        return self.file_dtype.itemsize * self.shape[1 - self.axis]

    def expect(self, start: int, stop: int) -> None:
        if not self._contiguous:
            return
        with self._opened(start, stop) as file:
            if not _is_cached(file.fileno(), self.offset + stop * self._bytes - 1):
                self._hint(file.fileno(), start, stop)

    def _hint(self, file: int, start: int, stop: int) -> None:
        """To the system, which then fetches all at once and not page by page."""
        if hasattr(os, "posix_fadvise"):
            at, size = self.offset + start * self._bytes, (stop - start) * self._bytes
            os.posix_fadvise(file, at, size, os.POSIX_FADV_WILLNEED)

    def name(self, sample: int) -> str:
        return os.path.basename(self.path)


def opened(X: Any, axis: int) -> Any:
    """X as `Stored` where it is an array in a file, or has slices and is no array; else X itself.

    Parameters
    ----------
    X : object
        As handed in by the user.
    axis : {0, 1}
        That of the samples.
    """
    if isinstance(X, np.memmap):
        return _mapped(X, axis)
    if isinstance(X, (Stored, np.ndarray, np.generic)) or hasattr(X, "__array_namespace__"):
        return X
    sliced = all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__")) and not hasattr(X, "__dlpack__")
    return Slices(X, axis) if sliced and _kind(X.dtype) in "biuf" else X


def _kind(dtype: Any) -> str:
    try:
        return np.dtype(dtype).kind
    except TypeError:  # a dtype of another library
        return "O"


def _mapped(X: np.memmap, axis: int) -> Any:
    """A memory map as what it is of: X itself where it has no file, or is no contiguous part of it."""
    base: Any = X
    while isinstance(base, np.ndarray):
        base = base.base
    path = X.filename
    contiguous = X.flags.c_contiguous or X.flags.f_contiguous
    if not (isinstance(base, mmap.mmap) and path and os.path.isfile(path) and X.ndim == 2 and contiguous and X.size):
        return X
    if X.mode == "c":  # whose changes the file does not have
        return X
    start = X.__array_interface__["data"][0] - np.frombuffer(base, np.uint8).__array_interface__["data"][0]
    begins = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY  # of the map; the offset of a view is that of the whole
    order: Layout = "C" if X.flags.c_contiguous else "F"
    if os.path.getsize(path) < begins + start + X.nbytes:
        raise BlockError(f"{path} is shorter than the map of it: it shrank since it was mapped")
    found = FileRange(str(path), begins + start, X.shape, X.dtype, order, axis)
    # a file that took the place of the one that was mapped would be another X
    same = all(
        found.read(i, i + 1).tobytes() == cut(X, i, i + 1, axis).astype(found.dtype).tobytes() for i in (0, found.m - 1)
    )
    return found if same else X


def _is_cached(file: int, at: int) -> bool:
    """Whether a byte of a file is in memory, as far as the system tells."""
    try:
        return os.preadv(file, [bytearray(1)], at, os.RWF_NOWAIT) == 1
    except (AttributeError, OSError):  # Linux alone has it, and not on all of its file systems; or it is not there
        return False


def _samples(start: int, stop: int) -> str:
    return f"samples {start} to {stop - 1}"
