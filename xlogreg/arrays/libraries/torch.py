"""PyTorch: tensors on the host and on devices."""

from typing import Any

import array_api_compat
import numpy as np

from xlogreg.arrays.traits import Library, side_stream

__all__ = ["TORCH"]


def _device(module: Any, name: Any) -> Any:
    # a tensor's own device always has an index ("cuda:0"), so compare with that
    return module.empty(0, device=name).device


def _fetch(array: Any) -> np.ndarray:
    tensor = array.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _free(module: Any, device: Any) -> int | None:
    if device.type != "cuda":
        return None
    unused = module.cuda.memory_reserved(device) - module.cuda.memory_allocated(device)
    return module.cuda.mem_get_info(device)[0] + unused


def _send(module: Any, host: np.ndarray, device: Any) -> Any:
    """Copy to the device on a side stream, through pinned memory."""
    across = not host.flags.c_contiguous
    given = module.from_numpy(host.T if across else host)
    pinned = module.empty(given.shape, dtype=given.dtype, pin_memory=True).copy_(given)
    stream = side_stream(device, lambda: module.cuda.Stream(device))
    array = module.empty(given.shape, dtype=given.dtype, device=device)
    stream.wait_event(module.cuda.current_stream(device).record_event())
    with module.cuda.stream(stream):
        array.copy_(pinned, non_blocking=True)
    stream.synchronize()
    return array.T if across else array


TORCH = Library(
    module="torch",
    owns=array_api_compat.is_torch_array,
    device=_device,
    fetch=_fetch,
    detached=lambda tensor: tensor.detach(),
    context=lambda module, device: module.no_grad(),
    small_blocks=lambda device: device.type == "cpu",
    free=_free,
    send=_send,
    remedy="install the PyTorch build for your device, see pytorch.org",
)
