"""A CuPy without a GPU, for tests: NumPy underneath, with the rules, the refusals and the costs of CuPy 14.2.

It has the names and signatures of the real one, as far as xlogreg and array-api-compat use them, and refuses what the
real one refuses. Memory that nobody has written yet holds NaN. Copies on a stream of their own run as late as they may,
and work that is not ordered after what it needs raises `cupy.cuda.stream.RaceError`. `cupy._counts.counts` holds what a
GPU would do. It models no time.

These environment variables change the machine:

==========================  ============================================================
STRICT_CUPY_DEVICES         number of devices, default 2
STRICT_CUPY_LIMIT           bytes that can be allocated on each device, default unlimited
STRICT_CUPY_DEVICE_BYTES    size that each device names, default 141 GB
STRICT_CUPY_PINNED          bytes of pinned memory that can be allocated, default unlimited
==========================  ============================================================
"""

from cupy import _counts, cuda
from cupy._core import functions
from cupy._core.core import ndarray
from cupy._core.fusion import fuse
from cupy._core.ufuncs import ufunc

__version__ = "14.2.0"
__all__ = ["_counts", "cuda", "fft", "fuse", "get_default_memory_pool", "get_default_pinned_memory_pool", "linalg"]
__all__ += ["is_available", "ndarray", "size", "ufunc", *functions.NAMES]

globals().update(functions.NAMES)
from cupy import fft, linalg  # noqa: E402 - they are made of the functions above

is_available = cuda.is_available
get_default_memory_pool = cuda.memory.default_pool
get_default_pinned_memory_pool = cuda.pinned_memory.default_pool


def size(a, axis=None):
    return a.size if axis is None else a.shape[axis]
