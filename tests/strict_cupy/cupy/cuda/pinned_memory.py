"""Pinned memory of the host, from which a device copies while the host goes on."""

import os
import weakref

import numpy as np

from cupy.cuda import runtime

__all__ = ["PinnedMemoryPointer", "PinnedMemoryPool", "alloc_pinned_memory", "default_pool", "pinned"]

LIMIT = float(os.environ.get("STRICT_CUPY_PINNED", "inf"))
_used = [0]


class PinnedMemoryPointer(np.ndarray):
    """A buffer, and nothing else. When it is dropped, others write into its memory."""

    def __getitem__(self, key):
        raise TypeError("'cupy.cuda.pinned_memory.PinnedMemoryPointer' object is not subscriptable")

    @property
    def ptr(self):
        return self.ctypes.data

    def size(self):
        return self.nbytes


def alloc_pinned_memory(size):
    if _used[0] + size > LIMIT:
        raise runtime.CUDARuntimeError("cudaErrorMemoryAllocation: out of memory")
    storage = bytearray(max(size, 1))  # no array: an array made of the pointer must keep the pointer
    pointer = PinnedMemoryPointer(size, np.uint8, storage)
    _used[0] += size
    weakref.finalize(pointer, _reuse, storage, size)
    return pointer


def _reuse(storage, size):
    _used[0] -= size
    np.frombuffer(storage, np.uint8)[...] = 255  # NaN, as a float


def pinned(host):
    """Return a host array that lies in pinned memory, without the pointer that keeps it; None for other memory."""
    base = host
    while base is not None and not isinstance(base, PinnedMemoryPointer):
        base = getattr(base, "base", None)
    if base is None:
        return None
    offset = host.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return np.ndarray(host.shape, host.dtype, base.base, offset, host.strides)


class PinnedMemoryPool:
    """The pool of pinned memory."""

    def free_all_blocks(self):
        pass

    def n_free_blocks(self):
        return 0


_pool = PinnedMemoryPool()


def default_pool():
    return _pool
