"""Memory of devices: how much is left, and copies to it while others compute. Each function is handed its library."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

__all__ = ["cupy_free", "cupy_send", "is_out_of_memory", "jax_free", "torch_free", "torch_send", "unknown"]


def cupy_free(module: Any, device: Any) -> int:
    with device:
        return module.cuda.runtime.memGetInfo()[0] + module.get_default_memory_pool().free_bytes()


def torch_free(module: Any, device: Any) -> int | None:
    if device.type != "cuda":
        return None
    unused = module.cuda.memory_reserved(device) - module.cuda.memory_allocated(device)
    return module.cuda.mem_get_info(device)[0] + unused


def jax_free(module: Any, device: Any) -> int | None:
    stats = device.memory_stats() or {}
    return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None


_streams: dict[str, Any] = {}


def _side_stream(device: Any, make: Callable[[], Any]) -> Any:
    """That for copies to the device, beside the one that computes."""
    if str(device) not in _streams:
        _streams[str(device)] = make()
    return _streams[str(device)]


def cupy_send(module: Any, host: np.ndarray, device: Any) -> Any:
    """Through pinned memory; the target is memory of the computing stream, which may still be reading it."""
    order: Literal["C", "F"] = "C" if host.flags.c_contiguous else "F"
    pinned = np.frombuffer(module.cuda.alloc_pinned_memory(host.nbytes), host.dtype, host.size)
    pinned = pinned.reshape(host.shape, order=order)
    pinned[...] = host
    stream = _side_stream(device, lambda: module.cuda.Stream(non_blocking=True))
    array = module.empty(host.shape, host.dtype, order)
    stream.wait_event(module.cuda.get_current_stream().record())
    array.set(pinned, stream=stream)
    stream.synchronize()
    return array


def torch_send(module: Any, host: np.ndarray, device: Any) -> Any:
    """As `cupy_send`."""
    across = not host.flags.c_contiguous
    given = module.from_numpy(host.T if across else host)
    pinned = module.empty(given.shape, dtype=given.dtype, pin_memory=True).copy_(given)
    stream = _side_stream(device, lambda: module.cuda.Stream(device))
    array = module.empty(given.shape, dtype=given.dtype, device=device)
    stream.wait_event(module.cuda.current_stream(device).record_event())
    with module.cuda.stream(stream):
        array.copy_(pinned, non_blocking=True)
    stream.synchronize()
    return array.T if across else array


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that an allocation failed, in the words of any library."""
    named = "OutOfMemory" in type(error).__name__ or "RESOURCE_EXHAUSTED" in str(error)
    return named or isinstance(error, MemoryError)


def unknown(module: Any, device: Any) -> None:
    """What memory the host has left is for nobody to say: others use it, too."""
