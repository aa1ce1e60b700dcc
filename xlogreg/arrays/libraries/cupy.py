"""CuPy: arrays on NVIDIA GPUs."""

from typing import Any, Literal

import array_api_compat
import numpy as np

from xlogreg.arrays.libraries.compressed import compressed
from xlogreg.arrays.traits import Library, counted, side_stream

__all__ = ["CUPY"]


def _device(module: Any, name: Any) -> Any:
    if name is None or isinstance(name, module.cuda.Device):
        return name or module.cuda.Device()
    return module.cuda.Device(int(str(name).removeprefix("cuda").removeprefix(":") or 0))


def _free(module: Any, device: Any) -> int:
    with device:
        return module.cuda.runtime.memGetInfo()[0] + module.get_default_memory_pool().free_bytes()


def _trim(module: Any, device: Any) -> None:
    with device:
        module.get_default_memory_pool().free_all_blocks()


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


CUPY = Library(
    module="cupy",
    owns=array_api_compat.is_cupy_array,
    device=_device,
    device_name=lambda device: f"cuda:{device.id}",
    fetch=lambda array: array.get(),
    context=lambda module, device: device,
    free=_free,
    trim=_trim,
    send=_send,
    tally=counted,
    sparse=compressed("cupyx.scipy.sparse", "cupyx."),
    is_gpu_default=True,
    remedy="pip install 'xlogreg[cuda12]' or 'xlogreg[cuda13]', on a machine with an NVIDIA GPU and its driver",
)
