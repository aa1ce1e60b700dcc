"""X that comes one block after the other, so that reading a few samples means reading all samples before them.

Therefore a subset is drawn while all samples pass by for the first time: a reservoir of short runs.
"""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from xlogreg.arrays.stored import Stored, cut
from xlogreg.exceptions import BlockError

__all__ = ["Reservoir", "Sequential"]

RUN = 8  # samples in a run of neighbours; few, since data are often sorted by label
KEPT_BYTES = 128 * 2**20  # size of the reservoir; up to twice that while it is filled


class Reservoir:
    """Runs of neighbouring samples, drawn at random from blocks that pass by once.

    Each run gets a random key, and the runs with the smallest keys are kept: they are a random subset (Vitter, ACM TOMS
    1985, does the same for single items).
    """

    def __init__(self, axis: int) -> None:
        self.axis, self.rng, self.limit = axis, np.random.default_rng(0), 1.0
        self.keys: list[float] = []
        self.runs: list[tuple[int, np.ndarray]] = []

    def add(self, begin: int, block: np.ndarray) -> None:
        """Draw runs from the next block; its first sample has the number ``begin``."""
        m = block.shape[self.axis]
        keys = self.rng.random(-(-m // RUN))
        for number in np.flatnonzero(keys < self.limit).tolist():
            start = number * RUN
            run = cut(block, start, min(start + RUN, m), self.axis)
            self.keys.append(float(keys[number]))
            self.runs.append((begin + start, run.copy()))
        most = max(KEPT_BYTES // max(block.nbytes // m * RUN, 1), 1)
        if len(self.runs) > 2 * most:
            self._thin(most)

    def _thin(self, most: int) -> None:
        kept = np.argsort(self.keys, kind="stable")[:most].tolist()
        self.keys, self.runs = [self.keys[i] for i in kept], [self.runs[i] for i in kept]
        self.limit = self.keys[-1]

    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers (n,) of the drawn samples, in order, and the samples."""
        runs = sorted(self.runs, key=lambda run: run[0])
        index = np.concatenate([np.arange(start, start + run.shape[self.axis]) for start, run in runs])
        return index, np.concatenate([run for _, run in runs], axis=self.axis)


class Sequential(Stored):
    """Samples in blocks that `blocks` makes anew for every pass.

    The shape has to be known. Only one thread reads at a time. Reading earlier samples restarts the iterator.
    """

    sequential = True

    def __init__(self, shape: tuple[int, int], dtype: np.dtype, axis: int, names: tuple[str, ...] | None) -> None:
        self.shape, self.dtype, self.axis, self.names = shape, dtype, axis, names
        self._unread()

    def _unread(self) -> None:
        self._lock = threading.RLock()
        self._iterator: Iterator[np.ndarray] = iter(())
        self._block, self._begin, self._end = np.empty((0, 0)), 0, -1
        self._reservoir: Reservoir | None = None
        self._kept, self.drawable = np.empty((0, 0)), None

    def __getstate__(self) -> dict[str, Any]:
        """State without the position of the reader and without the drawn samples."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_") and name != "drawable"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._unread()

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all samples in blocks, in the orientation of ``shape``."""
        raise NotImplementedError  # abstract: files and factories each make their blocks in their own way

    def keep(self, reservoir: Reservoir) -> None:
        """Keep the samples of the reservoir, so that subsets are drawn from them."""
        self.drawable, self._kept = reservoir.drawn()

    def read(self, start: int, stop: int, features: slice = slice(None)) -> np.ndarray:
        with self._lock:
            if start < self._begin or self._end < 0:
                self._begin_anew()
            try:
                part = self._through(start, stop)
            except BaseException:
                self._end = -1  # an iterator that has failed is at its end
                raise
        return part[:, features] if self.axis == 0 else part[features, :]

    def _through(self, start: int, stop: int) -> np.ndarray:
        found = []
        while start < stop:
            if start >= self._end:
                self._move_on()
                continue
            end = min(stop, self._end)
            # copied, since the next block may be made in the same memory
            found.append(cut(self._block, start - self._begin, end - self._begin, self.axis).copy())
            start = end
        if stop == self.m:
            self._finish()
        return found[0] if len(found) == 1 else np.concatenate(found, axis=self.axis)

    def _begin_anew(self) -> None:
        self._iterator = iter(self.blocks())
        self._begin = self._end = 0
        self._reservoir = Reservoir(self.axis) if self.drawable is None else None

    def _move_on(self) -> None:
        block = next(self._iterator, None)
        if block is None:
            raise BlockError(f"X ended after {self._end} samples; it held {self.m} when the fit began")
        self._block, self._begin = block, self._end
        self._end += block.shape[self.axis]
        if self._reservoir is not None:
            self._reservoir.add(self._begin, block)

    def _finish(self) -> None:
        if next(self._iterator, None) is not None:
            raise BlockError(f"X goes on after {self.m} samples, which were all when the fit began")
        if self._reservoir is not None:
            self.keep(self._reservoir)
            self._reservoir = None

    def read_some(self, index: np.ndarray) -> np.ndarray:
        if self.drawable is not None:
            at = np.minimum(np.searchsorted(self.drawable, index), len(self.drawable) - 1)
            if np.array_equal(self.drawable[at], index):
                return np.take(self._kept, at, axis=self.axis)
        with self._lock:
            return super().read_some(index)
