"""NumPy: the array standard without wrappers, and functions rewritten for blocks that fit a cache."""

import contextlib
import ctypes
import functools
import importlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import array_api_compat
import numpy as np

from xlogreg.arrays import traits
from xlogreg.arrays.libraries.compressed import compressed
from xlogreg.arrays.traits import NAMESPACES, Library, counted

__all__ = ["NUMPY", "NumPy", "convert", "gram", "lies_ready", "log1p", "pages_kept", "squares", "sum_squares", "tally"]

# samples, in all and for each number of the sums, from which on SciPy's products count faster; other threads then run
TALLIED, WIDE = 2**13, 8
_add: Any = np.add.reduce
_maximum: Any = np.maximum.reduce
_all: Any = np.logical_and.reduce
_any: Any = np.logical_or.reduce


class NumPy:
    """Namespace of NumPy without wrappers: NumPy follows the standard, and wrappers take as long as small arrays do."""

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
    def any(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return _any(x, axis, None, None, keepdims)

    @staticmethod
    def matrix_transpose(x: Any, /) -> Any:
        return x.mT


# glibc gives freed memory back to the system if it is larger than the largest block freed so far (128 kB at first,
# 32 MB at most). Freeing a large block here raises that limit. Otherwise, fresh pages for the temporaries of every
# block would make many models take half as long again.
np.empty(31 * 2**20, dtype=np.uint8)

# options of glibc's mallopt: number, bytes while pages are kept, environment variable that sets it, default in bytes
THRESHOLDS = ((-1, 2**26, "MALLOC_TRIM_THRESHOLD_", 2**17), (-3, 2**25, "MALLOC_MMAP_THRESHOLD_", 2**17))
_keeping = threading.Lock()
_keepers = 0


@functools.cache
def _mallopt() -> Any:
    """Return glibc's mallopt if an environment variable has switched off glibc's own adaptation; else None.

    Dask sets a variable of this kind for its workers.
    """
    if not any(name in os.environ for _, _, name, _ in THRESHOLDS):
        return None
    return getattr(ctypes.CDLL(None), "mallopt", None)


@contextlib.contextmanager
def pages_kept() -> Iterator[None]:
    """Keep freed memory for reuse inside the context, instead of giving it back: this saves half the time of a pass."""
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


FEW_FEATURES = 10  # up to this number, the symmetry of a Gram matrix saves less time than it costs
_scratch = threading.local()


def _memory(name: str, count: int, dtype: Any) -> np.ndarray:
    """Return memory of this thread for so many numbers; it is reused: fresh pages cost more than the arithmetic."""
    size, memory = count * np.dtype(dtype).itemsize, vars(_scratch).get(name)
    if memory is None or memory.nbytes < size:
        memory = vars(_scratch)[name] = np.empty(size, dtype=np.uint8)
    return memory[:size].view(dtype)


def lies_ready(X: Any, dtype: Any) -> bool:
    """Whether an array of any library can be computed with as it lies in memory.

    A NumPy array may have the byte order of another machine. Or it may not be aligned to whole numbers, like data that
    came over a network: BLAS does not take unaligned arrays, and NumPy's own products are slow.
    """
    return bool(X.dtype == dtype) and getattr(getattr(X, "flags", None), "aligned", True)


def convert(xp: Any, X: np.ndarray, dtype: Any, center: np.ndarray | None) -> np.ndarray:
    """Compute X - center in that dtype: X if nothing differs, else memory that the thread's next call overwrites."""
    ready = lies_ready(X, dtype)
    if center is None and ready:
        return X
    out = _memory("block", X.size, dtype).reshape(X.shape, order="F" if X.flags.f_contiguous else "C")
    if not ready:  # X is rounded before it is centred, like the centre
        np.copyto(out, X, casting="unsafe")
        X = out
    if center is not None:
        np.subtract(X, center, out=out)
    return out


def log1p(E: np.ndarray) -> np.ndarray:
    """Compute log(1 + e) as precisely as NumPy, up to three times faster: a second term adds what 1 + e rounded off."""
    U = 1.0 + E
    return np.log(U) + (E - (U - 1.0)) / U


def squares(X: np.ndarray, V: np.ndarray, scale: np.ndarray | None = None, twice: bool = False) -> np.ndarray:
    """Sum weighted squares in the order of memory; only weights other than 1 make a temporary of the size of X."""
    if V.shape[1] > 1 or scale is not None or twice:
        return traits.squares(X, V, scale, twice)
    weight = V.T
    weighted = X if (weight == 1).all() else X * weight
    across = X.strides[1] == X.itemsize
    return (np.vecdot(X, weighted) if across else np.einsum("ij,ij->i", X, weighted))[:, None]


def sum_squares(X: np.ndarray) -> np.ndarray:
    """Sum the squares of the rows in the order of memory, without a temporary of the size of X."""
    return (np.vecdot(X, X) if X.strides[1] == X.itemsize else np.einsum("ij,ij->i", X, X))[:, None]


def gram(X: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Compute the Gram matrix in reused memory, like `convert`; for few features, do not use its symmetry."""
    if C.shape[0] > 1:
        return traits.bordered_grams(X, C)
    C = C[0]
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


def tally(index: np.ndarray, V: np.ndarray, size: int) -> np.ndarray:
    """Sum the rows of V (m, p) by index; see `Library`."""
    sparse = _sparse() if len(index) >= max(TALLIED, WIDE * size) else None
    if sparse is None:
        return counted(index, V, size)
    ones, numbers = _ones(1 << (len(index) - 1).bit_length(), V.dtype.char)  # the same for blocks of about one length
    m = len(index)
    indicators = sparse.csc_array((ones[:m], index.astype(np.int32, copy=False), numbers[: m + 1]), shape=(size, m))
    return indicators @ V


@functools.cache
def _sparse() -> Any:
    """Return `scipy.sparse`, or None without SciPy."""
    try:
        return importlib.import_module("scipy.sparse")
    except ImportError:
        return None


@functools.lru_cache(maxsize=4)
def _ones(count: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    return np.ones(count, dtype=kind), np.arange(count + 1, dtype=np.int32)


NUMPY = Library(
    module="numpy",
    owns=array_api_compat.is_numpy_array,
    device=_device,
    namespace=lambda module: NAMESPACES[np.ndarray],
    small_blocks=lambda device: True,
    convert=convert,
    squares=squares,
    gram=gram,
    sum_squares=sum_squares,
    tally=tally,
    log1p=log1p,
    sparse=compressed("scipy.sparse", "scipy."),
    log1p_folds=3,  # makes products (1 + e)^8, which overflow in float32 only for 65,000 classes and more
)
