"""JAX: immutable arrays, and functions compiled for them."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import array_api_compat

from xlogreg.arrays.traits import Library, array_namespace

__all__ = ["JAX"]


def _device(module: Any, name: Any) -> Any:
    if name is None:
        return module.numpy.empty(0).device
    if not isinstance(name, str):
        return name
    platform, _, index = name.partition(":")
    return module.devices(platform)[int(index or 0)]


@functools.cache
def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function, anew for each shape: one launch instead of about forty, and no temporaries in memory."""
    jax = importlib.import_module("jax")
    compiled = jax.jit(lambda block, arrays, constants: function(block, *arrays, *constants), static_argnums=2)
    return lambda block, *arguments: compiled(block, arguments[:-1], arguments[-1:])


def _free(module: Any, device: Any) -> int | None:
    stats = device.memory_stats() or {}
    return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None


JAX = Library(
    module="jax",
    owns=array_api_compat.is_jax_array,
    device=_device,
    device_name=lambda device: f"{device.platform}:{device.id}",
    namespace=lambda module: array_namespace(module.numpy.empty(0)),
    # by default, JAX multiplies float32 matrices on a GPU in TF32, which has three digits
    context=lambda module, device: module.default_matmul_precision("highest"),
    fills=False,
    compile=_compile,
    free=_free,
    remedy="pip install jax, or the build for your device, see docs.jax.dev",
    float64_remedy="; jax.config.update('jax_enable_x64', True) provides it",
    float64_remedy_of_workers="; set JAX_ENABLE_X64=1 where the workers are started",
)
