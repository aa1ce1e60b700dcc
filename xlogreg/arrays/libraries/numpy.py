"""NumPy's own ways: the standard without detours, and what is worth writing anew for blocks in a cache."""

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Iterator
from typing import Any

import array_api_compat
import numpy as np

from xlogreg.arrays.library import NAMESPACES, Library

__all__ = ["NUMPY", "NumPy", "convert", "gram", "lies_ready", "log1p", "pages_kept", "squares"]

_add: Any = np.add.reduce
_maximum: Any = np.maximum.reduce
_all: Any = np.logical_and.reduce


class NumPy:
    """NumPy, which follows the standard by itself, without the detours that take as long as small arrays do."""

    concat = staticmethod(np.concatenate)

    def __getattr__(self, name: str) -> Any:
        setattr(self, name, getattr(np, name))
        return getattr(np, name)

    @staticmethod
    def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        return x.astype(dtype, copy=copy)

    @staticmethod
    def reshape(x: Any, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Any:
        return x.reshape(shape, copy=copy)

    @staticmethod
    def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        return _add(x, axis, dtype, None, keepdims)

    @staticmethod
    def max(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return _maximum(x, axis, None, None, keepdims)

    @staticmethod
    def all(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return _all(x, axis, None, None, keepdims)

    @staticmethod
    def matrix_transpose(x: Any, /) -> Any:
        return x.mT


# glibc gives memory back to the system above the size of the largest block freed so far, 128 kB at first and 32 MB at
# most: fresh pages for the temporaries of every block would cost many models half as much again
np.empty(31 * 2**20, dtype=np.uint8)

# the options of glibc's mallopt, with their values while pages are kept and the names of the variables that set them
THRESHOLDS = ((-1, 2**26, "MALLOC_TRIM_THRESHOLD_", 2**17), (-3, 2**25, "MALLOC_MMAP_THRESHOLD_", 2**17))
_keeping = threading.Lock()
_keepers = 0


@functools.cache
def _mallopt() -> Any:
    """That of glibc, where a variable has taken away what it does by itself: dask sets one for its workers."""
    if not any(name in os.environ for _, _, name, _ in THRESHOLDS):
        return None
    return getattr(ctypes.CDLL(None), "mallopt", None)


@contextlib.contextmanager
def pages_kept() -> Iterator[None]:
    """Inside, memory that is freed is used again instead of being given back to the system: half the time of a pass."""
    global _keepers
    mallopt = _mallopt()
    if mallopt is None:
        yield
        return
    with _keeping:
        _keepers += 1
        for option, value, _, _ in THRESHOLDS:
            mallopt(option, value)
    try:
        yield
    finally:
        with _keeping:
            _keepers -= 1
            for option, _, name, default in THRESHOLDS if _keepers == 0 else ():
                mallopt(option, int(os.environ.get(name, default)))


FEW_FEATURES = 10  # up to which symmetry saves less than it costs
_scratch = threading.local()


def _memory(name: str, count: int, dtype: Any) -> np.ndarray:
    """So many numbers of this thread, used again: fresh pages for every block cost more than the arithmetic."""
    size, memory = count * np.dtype(dtype).itemsize, vars(_scratch).get(name)
    if memory is None or memory.nbytes < size:
        memory = vars(_scratch)[name] = np.empty(size, dtype=np.uint8)
    return memory[:size].view(dtype)


def lies_ready(X: Any, dtype: Any) -> bool:
    """Whether an array of any library is computed with as it lies in memory.

    NumPy's arrays may lie in the order of bytes of another machine. Or they begin at no whole number, as what has come
    through a wire: BLAS does not take those, and NumPy's own products are slow.
    """
    return bool(X.dtype == dtype) and getattr(getattr(X, "flags", None), "aligned", True)


def convert(xp: Any, X: np.ndarray, dtype: Any, center: np.ndarray | None) -> np.ndarray:
    """X - center in that dtype: X itself where it lies ready, else in memory that the thread's next call overwrites."""
    ready = lies_ready(X, dtype)
    if center is None and ready:
        return X
    out = _memory("block", X.size, dtype).reshape(X.shape, order="F" if X.flags.f_contiguous else "C")
    if not ready:  # rounded before it is centred, as the centre was
        np.copyto(out, X, casting="unsafe")
        X = out
    if center is not None:
        np.subtract(X, center, out=out)
    return out


def log1p(E: np.ndarray) -> np.ndarray:
    """Up to three times faster than NumPy's, and as accurate: the second term is what rounding of 1 + e lost."""
    U = 1.0 + E
    return np.log(U) + (E - (U - 1.0)) / U


def squares(X: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """In the order that the samples lie in, so that at most the weights make a temporary of the size of X."""
    weighted = X if np.all(weight == 1) else X * weight
    across = X.strides[1] == X.itemsize
    return (np.vecdot(X, weighted) if across else np.einsum("ij,ij->i", X, weighted))[:, None]


def gram(X: np.ndarray, C: np.ndarray) -> np.ndarray:
    """In memory of the thread that is used again, as `convert`; and of few features without symmetry."""
    half = _memory("gram", X.size + C.size, C.dtype).reshape(-1, C.size)
    factor = C if X.shape[0] <= FEW_FEATURES else np.sqrt(C)
    np.multiply(X, factor, out=half[:-1])
    half[-1:] = factor
    if factor is not C:
        return half @ half.T
    return np.concatenate([half @ X.T, half.sum(axis=1, keepdims=True)], axis=1)


def _device(module: Any, name: Any) -> str:
    if name not in (None, "cpu"):
        raise ValueError(f"NumPy has the device 'cpu' only, not {name!r}")
    return "cpu"


NAMESPACES[np.ndarray] = NumPy()
NUMPY = Library(
    module="numpy",
    owns=array_api_compat.is_numpy_array,
    device=_device,
    namespace=lambda module: NAMESPACES[np.ndarray],
    small_blocks=lambda device: True,
    convert=convert,
    squares=squares,
    gram=gram,
    log1p=log1p,
    log1p_folds=3,  # (1 + e)^8 overflows for 65,000 classes and more, in float32
)
