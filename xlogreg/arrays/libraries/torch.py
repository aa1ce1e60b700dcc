"""PyTorch: tensors on the host and on devices."""

import contextlib
import functools
import importlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import array_api_compat
import numpy as np

from xlogreg.arrays.traits import (
    HeldSetting,
    Library,
    SparseProducts,
    bordered_grams,
    is_out_of_memory,
    side_stream,
)

__all__ = ["TORCH"]


@functools.cache
def _torch() -> Any:
    """Return the module, after its one warning that sparse tensors are new."""
    torch = importlib.import_module("torch")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        torch.eye(1).to_sparse_csr()
    return torch


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
    pinned = _pinned(module, given)
    stream = side_stream(device, lambda: module.cuda.Stream(device))
    array = module.empty(given.shape, dtype=given.dtype, device=device)
    stream.wait_event(module.cuda.current_stream(device).record_event())
    with module.cuda.stream(stream):
        array.copy_(pinned, non_blocking=True)
    stream.synchronize()
    return array.T if across else array


def _pinned(module: Any, given: Any) -> Any:
    """Copy to pinned memory; return the tensor itself if the host has no more memory to pin."""
    try:
        pinned = module.empty(given.shape, dtype=given.dtype, device="cpu", pin_memory=True)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return given
    return pinned.copy_(given)


@functools.cache
def _settings() -> tuple[Any, ...]:
    """Return the settings of products on GPUs and on the host; none before PyTorch 2.9."""
    backends = importlib.import_module("torch").backends
    found = backends.cuda.matmul, getattr(backends.mkldnn, "matmul", None)
    return found if all(hasattr(products, "fp32_precision") for products in found) else ()


def _change_precision() -> Callable[[], object]:
    """Let PyTorch multiply matrices of float32 in float32, and not in TF32 or bfloat16."""
    if not _settings():
        torch = importlib.import_module("torch")
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        return lambda: torch.set_float32_matmul_precision(precision)
    # older settings are not asked: they raise where the user has made both kinds
    undo = []
    for products in _settings():
        before = products.fp32_precision
        if before in ("ieee", "none"):
            continue
        products.fp32_precision = "none"  # it then has the value of the setting above it
        undo.append((products, "none" if products.fp32_precision == before else before))
        products.fp32_precision = "ieee"

    def undone() -> None:
        for products, before in undo:
            products.fp32_precision = before

    return undone


_float32 = HeldSetting(_change_precision)


@contextlib.contextmanager
def _computing(module: Any, device: Any) -> Iterator[None]:
    """Compute without records of gradients, autocast and TF32."""
    with module.no_grad(), _float32:
        if module.is_autocast_enabled(device.type):
            with module.autocast(device.type, enabled=False):
                yield
        else:
            yield


def _stream(module: Any, device: Any) -> Callable[[], Any]:
    if device.type != "cuda":
        return contextlib.nullcontext
    stream = module.cuda.current_stream(device)
    return lambda: module.cuda.stream(stream)


def _taken(X: Any, by_rows: bool) -> tuple[Any, Any, np.ndarray]:
    coo = X.detach()
    coo = coo if coo.layout == _torch().sparse_coo else coo.to_sparse_coo()
    rows = (coo if by_rows else coo.t()).coalesce().to_sparse_csr()  # which adds up duplicates
    return rows.values(), rows.col_indices(), rows.crow_indices().cpu().numpy()


def _made(values: Any, features: Any, starts: np.ndarray, shape: tuple[int, int]) -> Any:
    torch = _torch()
    crow = torch.as_tensor(starts, dtype=features.dtype, device=features.device)
    return torch.sparse_csr_tensor(crow, features, values, shape, check_invariants=False)


def _back(A: Any, V: Any) -> Any:
    """Compute A'V feature by feature: PyTorch would transpose A first, which takes twenty times as long."""
    torch, crow = _torch(), A.crow_indices()
    samples = torch.repeat_interleave(torch.arange(A.shape[0], device=V.device), crow[1:] - crow[:-1])
    columns = [
        torch.zeros(A.shape[1], dtype=V.dtype, device=V.device).index_add_(
            0, A.col_indices(), A.values() * V[samples, output]
        )
        for output in range(V.shape[1])
    ]
    return torch.stack(columns, dim=1)


def _tally(index: Any, V: Any, size: int) -> Any:
    columns = [V.new_zeros(size).index_add_(0, index, V[:, column]) for column in range(V.shape[1])]
    return _torch().stack(columns, dim=1)


SPARSE = SparseProducts(
    owns=lambda X: str(getattr(X, "layout", "")).startswith("torch.sparse"),
    taken=_taken,
    made=_made,
    parts=lambda A: (A.values(), A.col_indices()),
    starts=lambda A: A.crow_indices().cpu().numpy(),
    with_values=lambda A, values: _torch().sparse_csr_tensor(
        A.crow_indices(), A.col_indices(), values, A.shape, check_invariants=False
    ),
    times=lambda A, W: A @ W,
    back=_back,
    gram=lambda A, C: bordered_grams(A.to_dense().T, C),
)
TORCH = Library(
    module="torch",
    owns=array_api_compat.is_torch_array,
    device=_device,
    fetch=_fetch,
    detached=lambda tensor: tensor.detach(),
    context=_computing,
    stream=_stream,
    small_blocks=lambda device: device.type == "cpu",
    free=_free,
    trim=lambda module, device: module.cuda.empty_cache() if device.type == "cuda" else None,
    send=_send,
    tally=_tally,
    sparse=SPARSE,
    remedy="install the PyTorch build for your device, see pytorch.org",
)
