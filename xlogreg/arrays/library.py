"""The array libraries by name, and what differs between them, as data: the only file that names them."""

import contextlib
import functools
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from xlogreg.arrays import devices, host

__all__ = [
    "LIBRARIES",
    "Library",
    "array_namespace",
    "center_integers",
    "device_name",
    "device_of",
    "is_array",
    "is_sparse",
    "is_traced",
    "move",
    "namespace_of",
]

device_of = array_api_compat.device  # None for an array traced by jax.jit
is_array = array_api_compat.is_array_api_obj
move = array_api_compat.to_device


_namespaces: dict[type, Any] = {np.ndarray: host.NumPy()}


def array_namespace(array: Any) -> Any:
    """The namespace of an array, by its type: asked for dozens of times in each step of a small fit."""
    kind = type(array)
    if kind not in _namespaces:
        xp = array_api_compat.array_namespace(array)
        _namespaces[kind] = _namespaces[np.ndarray] if array_api_compat.is_numpy_namespace(xp) else xp
    return _namespaces[kind]


class Library(NamedTuple):
    """What differs between array libraries, as data."""

    module: str
    owns: Callable[[Any], bool]
    device: Callable[[Any, Any], Any]  # module, what the user named (or None) -> a device of the library
    fetch: Callable[[Any], np.ndarray]  # array -> NumPy
    context: Callable[[Any, Any], contextlib.AbstractContextManager] | None  # module, device -> entered to compute
    # device -> whether blocks of the size of a CPU's cache pay: slices are views there, and calls cheap
    small_blocks: Callable[[Any], bool]
    convert: Callable[[Any, Any, Any, Any], Any]  # namespace, X, dtype, center or None -> X - center in that dtype
    fills: bool  # whether parts of an array can be written into, as a copy in pieces does
    squares: Callable[[Any, Any], Any]  # X (n_x, m), weight (1, m) -> weighted sums of squares (n_x, 1)
    gram: Callable[[Any, Any], Any]  # X (n_x, m), C (1, m) -> [X; 1] diag(C) [X; 1]' (n_x + 1, n_x + 1), in C's dtype
    log1p: Callable[[Any], Any]  # log(1 + e) of e >= 0, to full relative accuracy
    log1p_folds: int  # how often to multiply factors in pairs before their logarithm is taken
    # function of a block, arrays and one constant -> the same function, compiled; None where that cannot be
    compile: Callable[[Callable[..., Any]], Callable[..., Any]] | None
    free: Callable[[Any, Any], int | None]  # module, device -> bytes of memory that are left; None where nobody knows
    # module, NumPy array, device -> the same there, copied while others compute; None where that cannot be
    send: Callable[[Any, np.ndarray, Any], Any] | None
    remedy: str


def _numpy_device(module: Any, name: Any) -> str:
    if name not in (None, "cpu"):
        raise ValueError(f"NumPy has the device 'cpu' only, not {name!r}")
    return "cpu"


def _cupy_device(module: Any, name: Any) -> Any:
    if name is None or isinstance(name, module.cuda.Device):
        return name or module.cuda.Device()
    return module.cuda.Device(int(str(name).removeprefix("cuda").removeprefix(":") or 0))


def _torch_device(module: Any, name: Any) -> Any:
    # a tensor's own device always has an index ("cuda:0"), so compare with that
    return module.empty(0, device=name).device


def _torch_fetch(array: Any) -> np.ndarray:
    tensor = array.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _jax_device(module: Any, name: Any) -> Any:
    if name is None:
        return module.numpy.empty(0).device
    if not isinstance(name, str):
        return name
    platform, _, index = name.partition(":")
    return module.devices(platform)[int(index or 0)]


def _strict_device(module: Any, name: Any) -> Any:
    return module.Device("CPU_DEVICE" if name is None else name) if not isinstance(name, module.Device) else name


def _strict_fetch(array: Any) -> np.ndarray:
    module = importlib.import_module("array_api_strict")
    return np.asarray(array.to_device(module.Device("CPU_DEVICE")))


def _convert(xp: Any, X: Any, dtype: Any, center: Any) -> Any:
    X = xp.astype(X, dtype, copy=False)
    return X if center is None else X - center


def center_integers(xp: Any, X: Any, dtype: Any, center: Any) -> Any:
    """X - center of integers that floats of that dtype do not tell apart: what rounding took from X is given back."""
    kind = xp.iinfo(X.dtype)
    largest = 2.0 ** (kind.bits - (kind.min < 0)) * (1.0 - 0.5 * xp.finfo(dtype).eps)  # float that is such an integer
    rounded = xp.minimum(xp.astype(X, dtype), largest)
    signed = getattr(xp, f"int{kind.bits}")
    lost = xp.astype(X, signed) - xp.astype(xp.astype(rounded, X.dtype), signed)  # small, whatever wraps around
    return (rounded - center) + xp.astype(lost, dtype)


def _log1p(E: Any) -> Any:
    return array_namespace(E).log1p(E)


def _squares(X: Any, weight: Any) -> Any:
    return (X * X) @ weight.T


def _gram(X: Any, C: Any) -> Any:
    xp = array_namespace(X)
    root = xp.sqrt(C)
    half = xp.concat([xp.astype(X, C.dtype, copy=False) * root, root], axis=0)
    return half @ half.T  # a matrix times its own transpose takes half the work, where the library sees it


@functools.cache
def _jax_compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """One launch instead of some forty, and no temporaries in memory; compiled anew for each shape."""
    jax = importlib.import_module("jax")
    compiled = jax.jit(lambda block, arrays, constants: function(block, *arrays, *constants), static_argnums=2)
    return lambda block, *arguments: compiled(block, arguments[:-1], arguments[-1:])


LIBRARIES = {
    "numpy": Library(
        "numpy",
        array_api_compat.is_numpy_array,
        _numpy_device,
        np.asarray,
        None,
        lambda device: True,
        host.convert,
        True,
        host.squares,
        host.gram,
        host.log1p,
        3,  # (1 + e)^8 overflows for 65,000 classes and more, in float32
        None,
        devices.unknown,
        None,
        "",
    ),
    "cupy": Library(
        "cupy",
        array_api_compat.is_cupy_array,
        _cupy_device,
        lambda array: array.get(),
        lambda module, device: device,
        lambda device: False,
        _convert,
        True,
        _squares,
        _gram,
        _log1p,
        0,
        None,
        devices.cupy_free,
        devices.cupy_send,
        "pip install 'xlogreg[cuda12]' or 'xlogreg[cuda13]', on a machine with an NVIDIA GPU and its driver",
    ),
    "torch": Library(
        "torch",
        array_api_compat.is_torch_array,
        _torch_device,
        _torch_fetch,
        lambda module, device: module.no_grad(),
        lambda device: device.type == "cpu",
        _convert,
        True,
        _squares,
        _gram,
        _log1p,
        0,
        None,
        devices.torch_free,
        devices.torch_send,
        "install the PyTorch build for your device, see pytorch.org",
    ),
    "jax": Library(
        "jax",
        array_api_compat.is_jax_array,
        _jax_device,
        np.asarray,
        # on a GPU the default multiplies float32 matrices in TF32: three digits
        lambda module, device: module.default_matmul_precision("highest"),
        lambda device: False,
        _convert,
        False,
        _squares,
        _gram,
        _log1p,
        0,
        _jax_compile,
        devices.jax_free,
        None,
        "pip install jax, or the build for your device, see docs.jax.dev",
    ),
    "array-api-strict": Library(
        "array_api_strict",
        lambda array: type(array).__module__.startswith("array_api_strict"),
        _strict_device,
        _strict_fetch,
        None,
        lambda device: True,
        _convert,
        True,
        _squares,
        _gram,
        _log1p,
        0,
        None,
        devices.unknown,
        None,
        "pip install array-api-strict",
    ),
}


def namespace_of(name: str) -> Any:
    """The namespace of a library that is not in sight of an array."""
    if name == "numpy":
        return _namespaces[np.ndarray]
    module = importlib.import_module(LIBRARIES[name].module)
    return array_namespace((module.numpy if name == "jax" else module).empty(0))


def is_sparse(value: Any) -> bool:
    """Whether it is a sparse matrix or tensor of any library."""
    scipy_like = hasattr(value, "tocsr") and hasattr(value, "toarray")
    return scipy_like or str(getattr(value, "layout", "")).startswith("torch.sparse") or "BCOO" in type(value).__name__


def is_traced(value: Any) -> bool:
    """Whether it stands for the values that a compiled function will be called with."""
    return "Tracer" in type(value).__name__


def device_name(name: str, device: Any) -> str:
    """The device as a user would name it."""
    if name == "cupy":
        return f"cuda:{device.id}"
    if name == "jax":
        return f"{device.platform}:{device.id}"
    return str(device._device if name == "array-api-strict" else device)
