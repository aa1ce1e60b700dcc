"""CuPy: arrays on NVIDIA GPUs."""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import array_api_compat
import numpy as np

from xlogreg.arrays.libraries.compressed import compressed
from xlogreg.arrays.libraries.cupy_kernels import STAND_INS, fuse, gram, row_sums, squares, sum_squares
from xlogreg.arrays.traits import HeldSetting, Library, counted, is_out_of_memory, side_stream

__all__ = ["CUPY"]

PER_THREAD = 2  # CUDA's number for the stream that each thread has, with CUPY_CUDA_PER_THREAD_DEFAULT_STREAM=1


def _device(module: Any, name: Any) -> Any:
    if name is None or isinstance(name, module.cuda.Device):
        return name or module.cuda.Device()
    return module.cuda.Device(int(str(name).removeprefix("cuda").removeprefix(":") or 0))


def _free(module: Any, device: Any) -> int:
    with device:
        return module.cuda.runtime.memGetInfo()[0] + module.get_default_memory_pool().free_bytes()


def _fetch(array: Any) -> np.ndarray:
    with array.device:  # CuPy copies on the current stream of the current device, whatever the device of the array
        return array.get()


def _taken(X: Any, by_rows: bool) -> tuple[Any, Any, np.ndarray]:
    with X.data.device:
        return COMPRESSED.taken(X, by_rows)


def _move(array: Any, device: Any) -> Any:
    """Copy to another device, after the work that is queued on the first."""
    cuda = importlib.import_module("cupy").cuda
    with array.device:
        ready = cuda.get_current_stream().record()
    with device:
        stream = cuda.get_current_stream()
        stream.wait_event(ready)
        moved = array_api_compat.to_device(array, device)
        stream.synchronize()  # the memory of the array may be used anew after this
        return moved


def _trim(module: Any, device: Any) -> None:
    with device:
        module.get_default_memory_pool().free_all_blocks()


def _send(module: Any, host: np.ndarray, device: Any) -> Any:
    """Copy to the device on a side stream, through pinned memory.

    The target is memory of the computing stream. That stream may still be reading it, so the copy waits for it.
    """
    order: Literal["C", "F"] = "C" if host.flags.c_contiguous else "F"
    with device:
        pinned = _pinned(module, host, order)
        stream = side_stream(device, lambda: module.cuda.Stream(non_blocking=True))
        array = module.empty(host.shape, host.dtype, order)
        computing = module.cuda.get_current_stream()
        if computing.ptr == PER_THREAD:  # the thread that computes has another one, which cannot be named here
            module.cuda.runtime.deviceSynchronize()
        stream.wait_event(computing.record())
        array.set(pinned, stream=stream)
        stream.synchronize()
    return array


def _pinned(module: Any, host: np.ndarray, order: Literal["C", "F"]) -> np.ndarray:
    """Copy to pinned memory; return the array itself if the host has no more memory to pin."""
    try:
        memory = module.cuda.alloc_pinned_memory(host.nbytes)
    except Exception as error:  # of CUDA's own class
        if not is_out_of_memory(error):
            raise
        return host
    pinned = np.frombuffer(memory, host.dtype, host.size).reshape(host.shape, order=order)
    pinned[...] = host
    return pinned


def _change_precision() -> Callable[[], object]:
    """Let CuPy multiply matrices of float32 in float32, also if CUPY_TF32=1 or the user asks for fewer digits."""
    try:
        linalg = importlib.import_module("cupy._core._routines_linalg")
    except ImportError:  # it is not public, and may go
        return lambda: None
    before = linalg.get_compute_type(np.float32)
    if before not in (linalg.COMPUTE_TYPE_TF32, linalg.COMPUTE_TYPE_BF16, linalg.COMPUTE_TYPE_FP16):
        return lambda: None
    linalg.set_compute_type(np.float32, linalg.COMPUTE_TYPE_DEFAULT)
    return lambda: linalg.set_compute_type(np.float32, before)


_float32 = HeldSetting(_change_precision)


@contextlib.contextmanager
def _computing(module: Any, device: Any) -> Iterator[None]:
    with device, _float32:
        yield


def _stream(module: Any, device: Any) -> Callable[[], Any]:
    stream = module.cuda.get_current_stream(device.id)
    return lambda: stream


COMPRESSED = compressed("cupyx.scipy.sparse", "cupyx.")
CUPY = Library(
    module="cupy",
    owns=lambda array: array_api_compat.is_cupy_array(array) or type(array).__module__ == STAND_INS,
    device=_device,
    device_name=lambda device: f"cuda:{device.id}",
    fetch=_fetch,
    move=_move,
    context=_computing,
    stream=_stream,
    free=_free,
    trim=_trim,
    send=_send,
    squares=squares,
    gram=gram,
    row_sums=row_sums,
    sum_squares=sum_squares,
    in_pieces=True,
    tally=counted,
    fuse=fuse,
    sparse=COMPRESSED._replace(taken=_taken),
    is_gpu_default=True,
    remedy="pip install 'xlogreg[cuda12]' or 'xlogreg[cuda13]', on a machine with an NVIDIA GPU and its driver",
)
