"""CuPy: arrays on NVIDIA GPUs."""

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import array_api_compat
import numpy as np

from xlogreg.arrays.libraries.compressed import compressed
from xlogreg.arrays.traits import NAMESPACES, Library, array_namespace, bordered_grams, counted, side_stream

__all__ = ["CUPY"]

# temporaries of a product take a quarter of X, but not more than keeps a GPU busy, nor less than is worth a launch
PIECE_SHARE, PIECE_BYTES, LEAST_PIECE_BYTES = 4, 64 * 2**20, 2**20
MANY_ROWS = 64  # sums of so many rows keep a GPU busy, where each row is summed by one block of threads
STAND_INS = "cupy._core.fusion"  # module of the objects that stand for arrays while CuPy traces a function


def _device(module: Any, name: Any) -> Any:
    if name is None or isinstance(name, module.cuda.Device):
        return name or module.cuda.Device()
    return module.cuda.Device(int(str(name).removeprefix("cuda").removeprefix(":") or 0))


def _free(module: Any, device: Any) -> int:
    with device:
        return module.cuda.runtime.memGetInfo()[0] + module.get_default_memory_pool().free_bytes()


def _send(module: Any, host: np.ndarray, device: Any) -> Any:
    """Copy to the device on a side stream, through pinned memory.

    The target is memory of the computing stream. That stream may still be reading it, so the copy waits for it.
    """
    order: Literal["C", "F"] = "C" if host.flags.c_contiguous else "F"
    pinned = np.frombuffer(module.cuda.alloc_pinned_memory(host.nbytes), host.dtype, host.size)
    pinned = pinned.reshape(host.shape, order=order)
    pinned[...] = host
    stream = side_stream(device, lambda: module.cuda.Stream(non_blocking=True))
    array = module.empty(host.shape, host.dtype, order)
    stream.wait_event(module.cuda.get_current_stream().record())
    array.set(pinned, stream=stream)
    stream.synchronize()
    return array


class Fused:
    """Namespace of the objects that stand for arrays while CuPy traces a function that it makes one kernel of."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("cupy"), name)

    @staticmethod
    def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
        return x.astype(dtype, copy=copy)


@functools.cache
def _fuse(function: Callable[..., Any]) -> Callable[..., Any] | None:
    def traced(*arguments: Any) -> Any:
        for argument in arguments:
            if type(argument).__module__ == STAND_INS:
                NAMESPACES.setdefault(type(argument), Fused())
        return function(*arguments)

    fuse = getattr(importlib.import_module("cupy"), "fuse", None)
    return None if fuse is None else fuse(kernel_name=f"xlogreg_{function.__name__}")(traced)


def _row_sums(V: Any, dtype: Any) -> Any:
    """Sum in the dtype of the terms: CuPy sums with all threads then, but only if no axis is left."""
    V = V if dtype is None else V.astype(dtype, copy=False)
    if V.size == V.shape[-1]:
        return V.sum().reshape(V.shape[:-1])
    if V.size >= MANY_ROWS * V.shape[-1]:
        return V.sum(axis=-1)
    return V @ array_namespace(V).ones(V.shape[-1], dtype=V.dtype)


def _sum_squares(X: Any) -> Any:
    return array_namespace(X).linalg.vector_norm(X, axis=1, keepdims=True) ** 2  # without a temporary of the size of X


def _pieces(X: Any, itemsize: int) -> Iterator[slice]:
    """Cut the samples into pieces, whose temporaries take little memory and lie in the cache of a GPU."""
    rows, m = X.shape
    held = min(max(X.nbytes // PIECE_SHARE, LEAST_PIECE_BYTES), PIECE_BYTES)
    size = -(-m // -(-rows * m * itemsize // held))
    return (slice(start, min(start + size, m)) for start in range(0, m, size))


def _squares(X: Any, V: Any, scale: Any = None, twice: bool = False) -> Any:
    xp, pieces = array_namespace(X), list(_pieces(X, X.itemsize))
    parts = xp.empty((len(pieces), 1 + twice, X.shape[0], V.shape[1]), dtype=X.dtype)
    for number, piece in enumerate(pieces):
        S = X[:, piece] if scale is None else X[:, piece] * scale
        for power in range(1 + twice):
            S = S * S
            xp.matmul(S, V[piece, :], out=parts[number, power, :, :])
    sums = parts[0, :, :, :] if len(pieces) == 1 else xp.sum(parts, axis=0)
    return xp.concat([sums[0, :, :], sums[1, :, :]], axis=1) if twice else sums[0, :, :]


def _gram(X: Any, C: Any) -> Any:
    if C.shape[0] > 1:
        return bordered_grams(X, C)
    xp, n_x, half = array_namespace(X), X.shape[0], None
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


CUPY = Library(
    module="cupy",
    owns=lambda array: array_api_compat.is_cupy_array(array) or type(array).__module__ == STAND_INS,
    device=_device,
    device_name=lambda device: f"cuda:{device.id}",
    fetch=lambda array: array.get(),
    context=lambda module, device: device,
    free=_free,
    send=_send,
    squares=_squares,
    gram=_gram,
    row_sums=_row_sums,
    sum_squares=_sum_squares,
    tally=counted,
    fuse=_fuse,
    sparse=compressed("cupyx.scipy.sparse", "cupyx."),
    is_gpu_default=True,
    remedy="pip install 'xlogreg[cuda12]' or 'xlogreg[cuda13]', on a machine with an NVIDIA GPU and its driver",
)
