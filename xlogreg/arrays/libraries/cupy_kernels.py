"""Kernels of CuPy: functions fused into one, and products in pieces that take little memory."""

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

from xlogreg.arrays.traits import NAMESPACES, array_namespace, bordered_grams

__all__ = ["STAND_INS", "fuse", "gram", "row_sums", "squares", "sum_squares"]

# temporaries of a product take a fifth of X, but not more than keeps a GPU busy, nor less than is worth a launch
PIECE_SHARE, PIECE_BYTES, LEAST_PIECE_BYTES = 5, 64 * 2**20, 2**20
# each row may be summed by one block of threads, if it is short, or if there are rows enough to keep a GPU busy
SHORT_ROW, MANY_ROWS = 2**14, 64
STAND_INS = "cupy._core.fusion"  # module of the objects that stand for arrays while CuPy traces a function


class Fused:
    """Namespace of the objects that stand for arrays while CuPy traces a function that it makes one kernel of."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("cupy"), name)

    @staticmethod
    def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
        return x.astype(dtype, copy=copy)


@functools.cache
def fuse(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Let CuPy make one kernel of a function; None if what stands in for CuPy cannot."""

    def traced(*arguments: Any) -> Any:
        for argument in arguments:
            if type(argument).__module__ == STAND_INS:
                NAMESPACES.setdefault(type(argument), Fused())
        return function(*arguments)

    fuse = getattr(importlib.import_module("cupy"), "fuse", None)
    return None if fuse is None else fuse(kernel_name=f"xlogreg_{function.__name__}")(traced)


def row_sums(V: Any, dtype: Any) -> Any:
    """Sum long rows in the dtype of the terms: CuPy sums with all threads then, but only if no axis is left."""
    m = V.shape[-1]
    if m <= SHORT_ROW or V.size >= MANY_ROWS * m:
        return V.sum(axis=-1, dtype=dtype)
    V = V if dtype is None else V.astype(dtype, copy=False)
    return V.sum().reshape(V.shape[:-1]) if V.size == m else V @ array_namespace(V).ones(m, dtype=V.dtype)


def sum_squares(X: Any) -> Any:
    return array_namespace(X).linalg.vector_norm(X, axis=1, keepdims=True) ** 2  # without a temporary of the size of X


def _pieces(X: Any, itemsize: int) -> Iterator[slice]:
    """Cut the samples into pieces, whose temporaries take little memory and lie in the cache of a GPU."""
    rows, m = X.shape
    held = min(max(X.nbytes // PIECE_SHARE, LEAST_PIECE_BYTES), PIECE_BYTES)
    size = -(-m // max(1, -(-rows * m * itemsize // held)))
    return (slice(start, min(start + size, m)) for start in range(0, m, size))


def _square(X: Any, scale: Any) -> Any:
    S = X if scale is None else X * scale
    return S * S


def squares(X: Any, V: Any, scale: Any = None, twice: bool = False) -> Any:
    xp, pieces, square = array_namespace(X), list(_pieces(X, X.itemsize)), fuse(_square) or _square
    parts = xp.empty((len(pieces), 1 + twice, X.shape[0], V.shape[1]), dtype=xp.result_type(X, V))

    def add(number: int, piece: slice) -> None:  # a function, so that a square is gone before the next is made
        S = square(X[:, piece], scale)
        xp.matmul(S, V[piece, :], out=parts[number, 0, :, :])
        if twice:
            xp.matmul(S * S, V[piece, :], out=parts[number, 1, :, :])

    for number, piece in enumerate(pieces):
        add(number, piece)
    sums = parts[0, :, :, :] if len(pieces) == 1 else xp.sum(parts, axis=0)
    return xp.concat([sums[0, :, :], sums[1, :, :]], axis=1) if twice else sums[0, :, :]


def gram(X: Any, C: Any) -> Any:
    xp, (n_x, _), k, half = array_namespace(X), X.shape, C.shape[0], None
    if k > 1:
        parts = [bordered_grams(X[:, piece], C[:, :, piece]) for piece in _pieces(X, C.itemsize * (k + 2))]
        return parts[0] if len(parts) == 1 else xp.sum(xp.stack(parts), axis=0)
    root = xp.sqrt(C[0, :, :])
    pieces = list(_pieces(X, C.itemsize))
    parts = xp.empty((len(pieces), n_x + 1, n_x + 1), dtype=C.dtype)
    for number, piece in enumerate(pieces):
        width = piece.stop - piece.start
        if half is None or half.shape[1] != width:
            half = xp.empty((n_x + 1, width), dtype=C.dtype)
        xp.multiply(X[:, piece], root[:, piece], out=half[:-1, :])
        half[-1:, :] = root[:, piece]
        xp.matmul(half, half.T, out=parts[number, :, :])
    return parts[0, :, :] if len(pieces) == 1 else xp.sum(parts, axis=0)
