"""Description of an array library: one row of fields, with defaults that suit most libraries."""

import contextlib
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

__all__ = [
    "FILLED",
    "NAMESPACES",
    "HeldSetting",
    "Library",
    "SparseProducts",
    "array_namespace",
    "bordered_grams",
    "center_integers",
    "counted",
    "device_of",
    "is_array",
    "is_out_of_memory",
    "is_sparse",
    "is_traced",
    "joined_pairs",
    "move",
    "side_stream",
    "squares",
]

FILLED = 0.1  # share of values that are not zero, from which on a Gram matrix takes less time from dense blocks
PAIRED_NUMBERS = 2**17  # numbers of X times curvature that are made at once; they stay in a cache
device_of = array_api_compat.device  # None for an array traced by jax.jit
is_array = array_api_compat.is_array_api_obj
move = array_api_compat.to_device
NAMESPACES: dict[type, Any] = {}  # keys are types of arrays; a library with its own namespace adds it here


def array_namespace(array: Any) -> Any:
    """Return the namespace of an array, cached by type: each step of a small fit asks for it dozens of times."""
    kind = type(array)
    if kind not in NAMESPACES:
        try:
            xp = array_api_compat.array_namespace(array)
        except TypeError:
            raise TypeError(f"expected an array, such as np.asarray([0.5]), not {kind.__name__}") from None
        NAMESPACES[kind] = NAMESPACES[np.ndarray] if array_api_compat.is_numpy_namespace(xp) else xp
    return NAMESPACES[kind]


def _convert(xp: Any, X: Any, dtype: Any, center: Any) -> Any:
    X = xp.astype(X, dtype, copy=False)
    return X if center is None else X - center


def center_integers(xp: Any, X: Any, dtype: Any, center: Any) -> Any:
    """Compute X - center for integers that floats of that dtype round; add back what rounding took from X."""
    kind = xp.iinfo(X.dtype)
    # the largest float that is an integer of X's dtype
    largest = 2.0 ** (kind.bits - (kind.min < 0)) * (1.0 - 0.5 * xp.finfo(dtype).eps)
    rounded = xp.minimum(xp.astype(X, dtype), largest)
    signed = getattr(xp, f"int{kind.bits}")
    # the difference is small and right, even if both terms wrap around
    lost = xp.astype(X, signed) - xp.astype(xp.astype(rounded, X.dtype), signed)
    return (rounded - center) + xp.astype(lost, dtype)


def _log1p(E: Any) -> Any:
    return array_namespace(E).log1p(E)


def _scores(X: Any, W: Any, b: Any) -> Any:
    return W.T @ X + b


def _combine(X: Any, V: Any) -> Any:
    return X @ V


def squares(X: Any, V: Any, scale: Any = None, twice: bool = False) -> Any:
    """Compute weighted sums of squares, see `xlogreg.arrays.products`."""
    S = X if scale is None else X * scale
    S = S * S
    return array_namespace(V).concat([S @ V, (S * S) @ V], axis=1) if twice else S @ V


def _gram(X: Any, C: Any) -> Any:
    if C.shape[0] > 1:
        return bordered_grams(X, C)
    xp, C = array_namespace(X), C[0, :, :]
    root = xp.sqrt(C)
    half = xp.concat([xp.astype(X, C.dtype, copy=False) * root, root], axis=0)
    return half @ half.T  # a matrix times its own transpose takes half the work, if the library detects it


def bordered_grams(X: Any, C: Any) -> Any:
    """Sum the Kronecker products [x; 1] [x; 1]' (x) C, ((n_x + 1) k, (n_x + 1) k), over the samples; C is (k, k, m).

    C is symmetric, so only the pairs of outputs i <= j are computed: as many at once as a cache holds, or k.
    """
    xp = array_namespace(X)
    X = xp.astype(X, C.dtype, copy=False)
    (k, _, m), rows = C.shape, X.shape[0] + 1
    bordered = xp.concat([X, xp.ones_like(X[:1, :])], axis=0)
    pairs = xp.concat([C[output, output:, :] for output in range(k)], axis=0)
    count, step = pairs.shape[0], max(k, PAIRED_NUMBERS // (rows * m))
    H = []
    for start in range(0, count, step):
        some = pairs[start : min(start + step, count), :]
        part = xp.reshape(some[:, None, :] * bordered, (-1, m)) @ bordered.T
        H.append(xp.reshape(part, (-1, rows, rows)))
    return joined_pairs(H[0] if len(H) == 1 else xp.concat(H, axis=0), k)


def joined_pairs(blocks: Any, k: int) -> Any:
    """Join sums (pairs, n, n) of the pairs of outputs i <= j, row by row, to all sums (n k, n k)."""
    xp, rows = array_namespace(blocks), blocks.shape[1]
    blocks = xp.take(blocks, xp.asarray(_pair_numbers(k), device=device_of(blocks)), axis=0)
    return xp.reshape(xp.permute_dims(xp.reshape(blocks, (k, k, rows, rows)), (2, 0, 3, 1)), (rows * k, rows * k))


@functools.cache
def _pair_numbers(k: int) -> np.ndarray:
    """Number (k k,) of the pair i <= j of each two outputs, row by row."""
    numbers = np.zeros((k, k), dtype=np.int32)
    upper = np.triu_indices(k)
    numbers[upper] = numbers.T[upper] = np.arange(len(upper[0]))
    return numbers.ravel()


def _row_sums(V: Any, dtype: Any) -> Any:
    return array_namespace(V).sum(V, axis=-1, dtype=dtype)


def _sum_squares(X: Any) -> Any:
    return array_namespace(X).sum(X * X, axis=1, keepdims=True)


def _tally(index: Any, V: Any, size: int) -> Any:
    xp = array_namespace(V)
    numbers = xp.arange(size, dtype=index.dtype, device=device_of(V))
    return xp.astype(xp.expand_dims(index, axis=1) == numbers, V.dtype).T @ V


def counted(index: Any, V: Any, size: int) -> Any:
    """Compute tallies by the function `bincount` of a library."""
    xp = array_namespace(V)
    if V.shape[1] == 1:
        return xp.astype(xp.bincount(index, V[:, 0], size), V.dtype, copy=False)[:, None]
    index = xp.astype(index, xp.int64, copy=False)  # once, not for each column
    columns = [xp.bincount(index, V[:, column], size) for column in range(V.shape[1])]
    return xp.astype(xp.stack(columns, axis=1), V.dtype, copy=False)


def _unknown(module: Any, device: Any) -> None:
    """Return None: the free memory of the host is not known, since other processes use it, too."""


class SparseProducts(NamedTuple):
    """Sparse matrices of a library, with the samples in rows.

    Attributes
    ----------
    owns : callable
        Takes an object; returns whether it is a sparse matrix of the library.
    taken : callable
        Takes a sparse matrix of any format, and whether its samples are the rows; returns its values, the features of
        these, and where each sample starts, an array of the host. Raises ValueError if an index is out of range.
    made : callable
        Takes values, features, starts and a shape; returns a matrix of the format that the others take.
    parts : callable
        Takes A; returns its values and their features.
    starts : callable
        Takes A; returns where each row starts, on the host.
    with_values : callable
        Takes A and other values; returns A with these.
    times : callable
        Takes A and W (n_x, k); returns A W.
    back : callable
        Takes A and V (m, k); returns A'V.
    gram : callable
        Takes A and C (k, k, m); returns the sums of `xlogreg.arrays.products.gram`.
    """

    owns: Callable[[Any], bool]
    taken: Callable[[Any, bool], tuple[Any, Any, np.ndarray]]
    made: Callable[[Any, Any, np.ndarray, tuple[int, int]], Any]
    parts: Callable[[Any], tuple[Any, Any]]
    starts: Callable[[Any], np.ndarray]
    with_values: Callable[[Any, Any], Any]
    times: Callable[[Any, Any], Any]
    back: Callable[[Any, Any], Any]
    gram: Callable[[Any, Any], Any]


@dataclass(frozen=True, kw_only=True)
class Library:
    """Differences between array libraries, as data.

    Attributes
    ----------
    module : str
        Name of the module to import.
    owns : callable
        Takes an array; returns whether it belongs to the library.
    device : callable
        Takes the module and the user's name of a device, or None; returns a device of the library.
    device_name : callable
        Takes a device; returns the name that a user would give it.
    namespace : callable
        Takes the module; returns the namespace of its arrays.
    fetch : callable
        Takes an array; returns it as a NumPy array.
    detached : callable
        Takes an array; returns it outside of any record of gradients.
    move : callable
        Takes an array and a device; returns the array there.
    context : callable, or None
        Takes the module and a device; returns a context to enter for computing there.
    stream : callable, or None
        Takes the module and a device; returns a function that makes contexts for other threads. In these, the stream of
        the device is current that is current in this thread.
    small_blocks : callable
        Takes a device; returns whether blocks of the size of a CPU's cache save time there. They do if slices are
        views and calls are cheap.
    convert : callable
        Takes a namespace, X, a dtype, and a center or None; returns X - center in that dtype.
    fills : bool
        Whether parts of an array can be written into; a copy in pieces needs that.
    scores, combine, squares, gram : callable
        The four products of X (n_x, m), all that the math asks of X; see `xlogreg.arrays.products`.
    row_sums : callable
        Takes V (..., m) and a dtype, or None for that of V; returns the sums (...) over the last axis.
    sum_squares : callable
        Takes X (n_x, m); returns the sums (n_x, 1) of the squares of its rows.
    in_pieces : bool
        Whether squares, gram and sum_squares make no temporary of the size of X.
    tally : callable
        Takes an index (m,) of ints, V (m, p) and a size; returns the sums (size, p) of the rows of V by index.
    log1p : callable
        Takes e >= 0; returns log(1 + e), to full relative accuracy.
    log1p_folds : int
        Number of times to multiply the factors 1 + e in pairs before taking their logarithms.
    compile : callable, or None
        Takes a function of a block, arrays and one constant; returns it compiled.
    fuse : callable, or None
        Takes a function that works on its arrays element by element; returns it as one kernel. None if the library
        would not gain by one.
    free : callable
        Takes the module and a device; returns the free memory in bytes, or None where it is not known.
    trim : callable
        Takes the module and a device; gives memory that the library keeps for later back to the device.
    send : callable, or None
        Takes the module, a NumPy array and a device; returns the array on the device, copied while others compute.
    sparse : SparseProducts, or None
        The products of sparse matrices; None if the library has none.
    is_gpu_default : bool
        Whether backend="auto" moves large host data to this library.
    remedy : str
        Advice for a machine on which the library does not work.
    float64_remedy, float64_remedy_of_workers : str
        Advice if the library has no float64: here, and with the workers of a cluster. The text continues a sentence.
    """

    module: str
    owns: Callable[[Any], bool]
    device: Callable[[Any, Any], Any]
    device_name: Callable[[Any], str] = str
    namespace: Callable[[Any], Any] = lambda module: array_namespace(module.empty(0))
    fetch: Callable[[Any], np.ndarray] = np.asarray
    detached: Callable[[Any], Any] = lambda array: array
    move: Callable[[Any, Any], Any] = move
    context: Callable[[Any, Any], contextlib.AbstractContextManager] | None = None
    stream: Callable[[Any, Any], Callable[[], contextlib.AbstractContextManager]] | None = None
    small_blocks: Callable[[Any], bool] = lambda device: False
    convert: Callable[[Any, Any, Any, Any], Any] = _convert
    fills: bool = True
    scores: Callable[[Any, Any, Any], Any] = _scores
    combine: Callable[[Any, Any], Any] = _combine
    squares: Callable[..., Any] = squares
    gram: Callable[[Any, Any], Any] = _gram
    row_sums: Callable[[Any, Any], Any] = _row_sums
    sum_squares: Callable[[Any], Any] = _sum_squares
    in_pieces: bool = False
    tally: Callable[[Any, Any, int], Any] = _tally
    log1p: Callable[[Any], Any] = _log1p
    log1p_folds: int = 0
    compile: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    fuse: Callable[[Callable[..., Any]], Callable[..., Any] | None] | None = None
    free: Callable[[Any, Any], int | None] = _unknown
    trim: Callable[[Any, Any], None] = lambda module, device: None
    send: Callable[[Any, np.ndarray, Any], Any] | None = None
    sparse: SparseProducts | None = None
    is_gpu_default: bool = False
    remedy: str = ""
    float64_remedy: str = ""
    float64_remedy_of_workers: str = ""


def is_sparse(value: Any) -> bool:
    """Whether the value is a sparse matrix or tensor of any library."""
    scipy_like = hasattr(value, "tocsr") and hasattr(value, "toarray")
    return (
        scipy_like
        or str(getattr(value, "layout", "")).startswith("torch.sparse")
        or type(value).__name__ in ("BCOO", "BCSR")
    )


def is_traced(value: Any) -> bool:
    """Whether the value is a placeholder for the values that a compiled function will be called with."""
    return "Tracer" in type(value).__name__


# words of CUDA (of its two interfaces and its libraries), of PyTorch and of JAX for a device whose memory is used up
OUT_OF_MEMORY = (
    "cudaErrorMemoryAllocation",
    "ALLOC_FAILED",
    "OUT_OF_MEMORY",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "RESOURCE_EXHAUSTED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that the memory of a device is used up, in the words of any library.

    The memory of the host is another matter: a plain MemoryError tells of it.
    """
    worded = isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    return worded or "OutOfMemory" in type(error).__name__


_streams: dict[str, Any] = {}


def side_stream(device: Any, make: Callable[[], Any]) -> Any:
    """Return the stream for copies to a device, which runs beside the computing stream; all threads share it."""
    key = str(device)
    if key not in _streams:
        _streams.setdefault(key, make())  # of two threads at once, the first wins
    return _streams[key]


class HeldSetting:
    """A context that changes a setting of the whole process, also if several threads are in it.

    The first to enter changes the setting, and the last to leave undoes the change.

    Parameters
    ----------
    change : callable
        Changes the setting, and returns a function that undoes the change.
    """

    def __init__(self, change: Callable[[], Callable[[], object]]) -> None:
        self._change = change
        self._undo: Callable[[], object] = change
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._undo = self._change()
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._undo()
