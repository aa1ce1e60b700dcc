"""What an array library has to say for itself: one row of fields, with the ways that suit most libraries."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

__all__ = [
    "NAMESPACES",
    "Library",
    "array_namespace",
    "center_integers",
    "device_of",
    "is_array",
    "is_out_of_memory",
    "is_sparse",
    "is_traced",
    "move",
    "side_stream",
]

device_of = array_api_compat.device  # None for an array traced by jax.jit
is_array = array_api_compat.is_array_api_obj
move = array_api_compat.to_device
NAMESPACES: dict[type, Any] = {}  # by the type of an array; a library with a namespace of its own puts it here


def array_namespace(array: Any) -> Any:
    """The namespace of an array, by its type: asked for dozens of times in each step of a small fit."""
    kind = type(array)
    if kind not in NAMESPACES:
        xp = array_api_compat.array_namespace(array)
        NAMESPACES[kind] = NAMESPACES[np.ndarray] if array_api_compat.is_numpy_namespace(xp) else xp
    return NAMESPACES[kind]


def _convert(xp: Any, X: Any, dtype: Any, center: Any) -> Any:
    X = xp.astype(X, dtype, copy=False)
    return X if center is None else X - center


def center_integers(xp: Any, X: Any, dtype: Any, center: Any) -> Any:
    """X - center of integers that floats of that dtype do not tell apart: what rounding took from X is given back."""
    kind = xp.iinfo(X.dtype)
    largest = 2.0 ** (kind.bits - (kind.min < 0)) * (1.0 - 0.5 * xp.finfo(dtype).eps)  # float that is such an integer
    rounded = xp.minimum(xp.astype(X, dtype), largest)
    signed = getattr(xp, f"int{kind.bits}")
    lost = xp.astype(X, signed) - xp.astype(xp.astype(rounded, X.dtype), signed)  # small, whatever wraps around
    return (rounded - center) + xp.astype(lost, dtype)


def _log1p(E: Any) -> Any:
    return array_namespace(E).log1p(E)


def _squares(X: Any, weight: Any) -> Any:
    return (X * X) @ weight.T


def _gram(X: Any, C: Any) -> Any:
    xp = array_namespace(X)
    root = xp.sqrt(C)
    half = xp.concat([xp.astype(X, C.dtype, copy=False) * root, root], axis=0)
    return half @ half.T  # a matrix times its own transpose takes half the work, where the library sees it


def _unknown(module: Any, device: Any) -> None:
    """Nobody can say what memory the host has left: others use it, too."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """What differs between array libraries, as data.

    Attributes
    ----------
    module : str
        Name of the module to import.
    owns : callable
        Whether an array is one of the library's.
    device : callable
        From the module, and what the user named or None, to a device of the library.
    device_name : callable
        From a device to what a user would call it.
    namespace : callable
        From the module to the namespace of its arrays.
    fetch : callable
        From an array to one of NumPy.
    detached : callable
        From an array to the same one, outside of any record of gradients.
    context : callable, or None
        From the module and a device to a context that is entered to compute there.
    small_blocks : callable
        Whether blocks of the size of a CPU's cache pay on a device: slices are views there, and calls cheap.
    convert : callable
        From a namespace, X, a dtype, and a center or None, to X - center in that dtype.
    fills : bool
        Whether parts of an array can be written into, as a copy in pieces does.
    squares : callable
        From X (n_x, m) and a weight (1, m) to the weighted sums of squares (n_x, 1).
    gram : callable
        From X (n_x, m) and C (1, m) to [X; 1] diag(C) [X; 1]' (n_x + 1, n_x + 1), in the dtype of C.
    log1p : callable
        From e >= 0 to log(1 + e), to full relative accuracy.
    log1p_folds : int
        How often to multiply factors in pairs before their logarithm is taken.
    compile : callable, or None
        From a function of a block, arrays and one constant to the same function, compiled.
    free : callable
        From the module and a device to the bytes of memory that are left, or None where nobody knows.
    send : callable, or None
        From the module, an array of NumPy and a device to the same array there, copied while others compute.
    is_gpu_default : bool
        Whether backend="auto" takes large host data there.
    remedy : str
        What to do where the library does not work.
    float64_remedy, float64_remedy_of_workers : str
        What to do where it has no float64: here, and with the workers of a cluster. Goes on from a sentence.
    """

    module: str
    owns: Callable[[Any], bool]
    device: Callable[[Any, Any], Any]
    device_name: Callable[[Any], str] = str
    namespace: Callable[[Any], Any] = lambda module: array_namespace(module.empty(0))
    fetch: Callable[[Any], np.ndarray] = np.asarray
    detached: Callable[[Any], Any] = lambda array: array
    context: Callable[[Any, Any], contextlib.AbstractContextManager] | None = None
    small_blocks: Callable[[Any], bool] = lambda device: False
    convert: Callable[[Any, Any, Any, Any], Any] = _convert
    fills: bool = True
    squares: Callable[[Any, Any], Any] = _squares
    gram: Callable[[Any, Any], Any] = _gram
    log1p: Callable[[Any], Any] = _log1p
    log1p_folds: int = 0
    compile: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    free: Callable[[Any, Any], int | None] = _unknown
    send: Callable[[Any, np.ndarray, Any], Any] | None = None
    is_gpu_default: bool = False
    remedy: str = ""
    float64_remedy: str = ""
    float64_remedy_of_workers: str = ""


def is_sparse(value: Any) -> bool:
    """Whether it is a sparse matrix or tensor of any library."""
    scipy_like = hasattr(value, "tocsr") and hasattr(value, "toarray")
    return scipy_like or str(getattr(value, "layout", "")).startswith("torch.sparse") or "BCOO" in type(value).__name__


def is_traced(value: Any) -> bool:
    """Whether it stands for the values that a compiled function will be called with."""
    return "Tracer" in type(value).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that an allocation failed, in the words of any library."""
    named = "OutOfMemory" in type(error).__name__ or "RESOURCE_EXHAUSTED" in str(error)
    return named or isinstance(error, MemoryError)


_streams: dict[str, Any] = {}


def side_stream(device: Any, make: Callable[[], Any]) -> Any:
    """The stream for copies to a device, beside the one that computes."""
    if str(device) not in _streams:
        _streams[str(device)] = make()
    return _streams[str(device)]
