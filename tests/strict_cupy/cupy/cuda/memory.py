"""Device memory: how much there is, and which work uses it."""

import collections
import os

import numpy as np

from cupy._counts import counts, lock
from cupy.cuda import runtime, stream

__all__ = ["Memory", "MemoryPool", "OutOfMemoryError", "default_pool"]

LIMIT = float(os.environ.get("STRICT_CUPY_LIMIT", "inf"))
UNIT = 512  # bytes: what an allocation is rounded up to
_used = collections.Counter()  # of each device
lost = []  # races that were found when memory was given back; the next kernel raises them


class OutOfMemoryError(MemoryError):
    """An allocation failed."""


class Memory:
    """A block of device memory, and the work that has used it.

    A pool may hand out memory that earlier work of the current stream still uses, so that a new block counts as
    written by that stream. Memory goes back to its stream, which then has to come after all of its uses.
    """

    def __init__(self, nbytes):
        self.device, self.nbytes = runtime.getDevice(), -(-nbytes // UNIT) * UNIT
        with lock:
            if _used[self.device] + self.nbytes > LIMIT:
                self.nbytes = 0
                text = f"Out of memory allocating {nbytes:,} bytes (allocated so far: {_used[self.device]:,} bytes)."
                raise OutOfMemoryError(text)
            self.owner = stream.current_timeline()
            self.uses = {(self.owner, 0, 2**63, True): self.owner.number}  # (timeline, first, last, writes): number
            _used[self.device] += self.nbytes
            counts.allocate(self.nbytes)

    def use(self, timeline, number, array, writes):
        """Note work that uses the array's part of the memory; raise stream.RaceError if it is not ordered."""
        first, last = _bounds(array)
        for (other, start, stop, wrote), when in self.uses.items():
            if other is not timeline and (wrote or writes) and start < last and first < stop:
                _check(timeline, other, when, "writes" if writes else "reads", "writing" if wrote else "reading")
        if writes:
            self.uses = {key: when for key, when in self.uses.items() if not (first <= key[1] and key[2] <= last)}
        self.uses[timeline, first, last, writes] = number

    def __del__(self):
        if self.nbytes:
            with lock:
                _used[self.device] -= self.nbytes
                counts.allocate(-self.nbytes)
                for (other, *_), when in self.uses.items():
                    if not self.owner.comes_after(other, when):
                        lost.append(f"Memory of {self.owner.name} was given back while {other.name} still used it")


def _check(timeline, other, when, does, did):
    if not timeline.comes_after(other, when):
        raise stream.RaceError(f"{timeline.name} {does} memory that {other.name} may still be {did}, and does not wait")


def _bounds(array):
    first = array.__array_interface__["data"][0]
    if array.flags.forc:
        return first, first + array.nbytes
    return np.lib.array_utils.byte_bounds(array)


class MemoryPool:
    """The pool: what is free goes back to the device at once."""

    def free_bytes(self):
        return 0

    def used_bytes(self):
        return _used[runtime.getDevice()]

    total_bytes = used_bytes

    def free_all_blocks(self, stream=None):
        pass


_pool = MemoryPool()


def default_pool():
    return _pool
