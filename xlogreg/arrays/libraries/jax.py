"""JAX: immutable arrays, and functions compiled for them."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np

from xlogreg.arrays.traits import Library, SparseProducts, array_namespace, bordered_grams

__all__ = ["JAX"]


def _device(module: Any, name: Any) -> Any:
    if name is None:
        return module.numpy.empty(0).device
    if not isinstance(name, str):
        return name
    platform, _, index = name.partition(":")
    return module.devices(platform)[int(index or 0)]


def _device_name(device: Any) -> str:
    """Name a device as the other libraries do: "cuda:0" for what JAX calls a GPU of NVIDIA."""
    maker = str(device).partition(":")[0]
    return f"{maker if device.platform == 'gpu' and maker in ('cuda', 'rocm') else device.platform}:{device.id}"


@functools.cache
def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function, anew for each shape: one launch instead of about forty, and no temporaries in memory."""
    jax = importlib.import_module("jax")
    compiled = jax.jit(lambda block, arrays, constants: function(block, *arrays, *constants), static_argnums=2)
    return lambda block, *arguments: compiled(block, arguments[:-1], arguments[-1:])


def _free(module: Any, device: Any) -> int | None:
    stats = device.memory_stats() or {}
    return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None


def _taken(X: Any, by_rows: bool) -> tuple[Any, Any, np.ndarray]:
    if X.n_batch or X.n_dense:
        raise ValueError("it must have no batch and no dense axes")
    A = X.to_bcoo() if hasattr(X, "to_bcoo") else X
    A = (A if by_rows else A.T).sum_duplicates()
    rows, features = np.asarray(A.indices[:, 0]), A.indices[:, 1]
    return A.data, features, np.searchsorted(rows, np.arange(A.shape[0] + 1))


def _made(values: Any, features: Any, starts: np.ndarray, shape: tuple[int, int]) -> Any:
    jax, sparse = importlib.import_module("jax"), importlib.import_module("jax.experimental.sparse")
    samples = jax.numpy.asarray(np.repeat(np.arange(shape[0], dtype=np.int32), np.diff(starts)), device=features.device)
    indices = jax.numpy.stack([samples, features.astype(samples.dtype)], axis=1)
    return sparse.BCOO((values, indices), shape=shape, indices_sorted=True, unique_indices=True)


def _with_values(A: Any, values: Any) -> Any:
    return type(A)((values, A.indices), shape=A.shape, indices_sorted=True, unique_indices=True)


def _tally(index: Any, V: Any, size: int) -> Any:
    return importlib.import_module("jax").ops.segment_sum(V, index, num_segments=size)


SPARSE = SparseProducts(
    owns=lambda X: type(X).__name__ in ("BCOO", "BCSR"),
    taken=_taken,
    made=_made,
    parts=lambda A: (A.data, A.indices[:, 1]),
    starts=lambda A: np.searchsorted(np.asarray(A.indices[:, 0]), np.arange(A.shape[0] + 1)),
    with_values=_with_values,
    times=lambda A, W: A @ W,
    back=lambda A, V: A.T @ V,
    gram=lambda A, C: bordered_grams(A.todense().T, C),
)
JAX = Library(
    module="jax",
    owns=array_api_compat.is_jax_array,
    device=_device,
    device_name=_device_name,
    namespace=lambda module: array_namespace(module.numpy.empty(0)),
    # by default, JAX multiplies float32 matrices on a GPU in TF32, which has three digits
    context=lambda module, device: module.default_matmul_precision("highest"),
    fills=False,
    tally=_tally,
    sparse=SPARSE,
    compile=_compile,
    free=_free,
    remedy="pip install jax, or the build for your device, see docs.jax.dev",
    float64_remedy="; jax.config.update('jax_enable_x64', True) provides it",
    float64_remedy_of_workers="; set JAX_ENABLE_X64=1 where the workers are started",
)
