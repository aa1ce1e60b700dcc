"""Work on the current device: one kernel at a time, on its current stream."""

import math

import numpy as np

from cupy._counts import counts, lock
from cupy.cuda import memory, runtime, stream

__all__ = ["LONELY_ELEMENTS", "LONELY_OUTPUTS", "check_devices", "kernel", "touched", "use"]

LONELY_ELEMENTS = 20_000  # so many for one block of threads take longer than the launch
LONELY_OUTPUTS = 8  # so few blocks leave nearly all of a GPU idle


def check_devices(*arrays):
    current = runtime.getDevice()
    for array in arrays:
        if array._memory.device != current:
            text = "Array device must be same as the current device: array device = {} while current = {}"
            raise ValueError(text.format(array._memory.device, current))


def touched(array):
    """Bytes of memory that an array stands for: a broadcast axis is read once."""
    sizes = [size for size, stride in zip(array.shape, array.strides, strict=True) if stride or not size]
    return math.prod(sizes) * array.itemsize


def use(reads, writes):
    """Start work on the current stream that reads and writes these arrays."""
    check_devices(*reads, *writes)
    if memory.lost:
        raise stream.RaceError(memory.lost.pop())
    timeline = stream.current_timeline()
    number = timeline.begin()
    for arrays, writing in ((reads, False), (writes, True)):
        for array in arrays:
            array._memory.use(timeline, number, array._a, writing)


def kernel(kind, function, reads=(), writes=(), gathers=False, wrote=None):
    """Run one kernel: call the function of the host, and return what it made, or None if it writes into arrays.

    A kernel that gathers reads as much of the first array as it makes. ``wrote`` are the bytes that it writes, if these
    are not all of the arrays.
    """
    with lock:
        use(reads, writes)
        with np.errstate(all="ignore"):
            result = function()
        made = () if writes else result if isinstance(result, tuple | list) else (result,)
        read = sum(touched(array._a) for array in reads[gathers:])
        if wrote is None:
            wrote = sum(touched(part) for part in (*made, *(array._a for array in writes)))
        counts.add("kernels", kind, read + (1 + gathers) * wrote)
    return None if writes else result


def count_reduction(kind, shape, axis):
    """Count a reduction as lonely where CuPy 14 gives each output to one block of threads, and there are few.

    Over all axes, or into many outputs, the whole device takes part.
    """
    if axis is None:
        return
    axes = {number % len(shape) for number in (axis if isinstance(axis, tuple) else (axis,))}
    reduced = math.prod(shape[number] for number in axes)
    outputs = math.prod(shape) // max(reduced, 1)
    if len(axes) < len(shape) and reduced >= LONELY_ELEMENTS and outputs <= LONELY_OUTPUTS:
        counts.add("lonely", kind)
