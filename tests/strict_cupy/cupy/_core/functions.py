"""The functions of the namespace, by the signatures of the real ones.

Each is one kernel unless it says otherwise, and computes by NumPy's function of the same name.
"""

import inspect
import sys

import numpy as np

from cupy._core import core, kernels
from cupy._core.core import ndarray, wrap
from cupy._core.table import TABLE
from cupy._core.ufuncs import SCALARS, UFUNCS, refuse, tracing
from cupy._counts import counts

__all__ = ["NAMES", "made"]

REDUCTIONS = {"all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "max", "mean", "min", "norm", "prod"}
REDUCTIONS |= {"std", "sum", "var"}
VIEWS = {"broadcast_arrays", "broadcast_to", "diagonal", "expand_dims", "flip", "imag", "matrix_transpose", "meshgrid"}
VIEWS |= {"moveaxis", "permute_dims", "real", "reshape", "squeeze", "swapaxes", "transpose"}  # where strides allow it
VALUES_UNREAD = {"full_like", "ones_like", "zeros_like"}
GATHERS = {"take", "take_along_axis"}
ON_HOST = {"can_cast", "isscalar", "ndim", "shape"}
HOST_INDICES = {"indices", "repeats"}  # parameters that are copied to the device if they lie on the host
ARRAYS = {"a", "a1", "a2", "b", "x", "x1", "x2", "ar", "m", "A", "v", "element", "test_elements", "condition"}
SYNCS = {"nonzero": 1, "bincount": 2, "unique": 1, "unique_all": 1, "unique_counts": 1, "unique_inverse": 1}
SYNCS |= {"unique_values": 1}
SYNCS |= {name: 1 for name in TABLE["linalg"] if name not in ("cross", "matrix_power", "matrix_transpose", "norm")}
MORE_KERNELS = {"nonzero": 2, "bincount": 4, "unique": 4, "unique_all": 4, "unique_counts": 4, "unique_inverse": 4}
MORE_KERNELS |= {"unique_values": 4, "eye": 1, "var": 2, "std": 3}
EXTRA = {"take": {"mode": "wrap"}}  # indices out of range wrap around, without an error
FEW = 3  # so many arrays are joined by a kernel each; of more, where they lie is copied to the device


def made(name, signature, module=np):
    """Make a function of that signature, which Python itself checks; it computes by NumPy's one."""
    space = {}
    source = f"def {name}({signature}):\n    return run(locals())"
    exec(compile(source, __file__, "exec"), space)
    parameters = inspect.signature(space[name]).parameters.values()
    space["run"] = lambda values: _run(name, getattr(module, name), parameters, values)
    return space[name]


def _run(name, function, parameters, values):
    if tracing.history is not None:
        raise TypeError(f"cupy.{name} cannot be fused")
    args, options, arrays, out = [], dict(EXTRA.get(name, {})), [], None
    for parameter in parameters:
        value = values[parameter.name]
        if parameter.name in ARRAYS and name not in ON_HOST and not isinstance(value, ndarray):
            refuse(value)
        if parameter.name == "out":
            out = value
            continue
        raw = _raw(value, arrays, parameter.name in HOST_INDICES)
        if parameter.kind is parameter.VAR_POSITIONAL:
            args.extend(raw)
        elif parameter.kind is parameter.VAR_KEYWORD:
            options |= raw
        elif parameter.default is parameter.empty:
            args.append(raw)
        elif not (value is parameter.default or (isinstance(value, bool | int | str) and value == parameter.default)):
            options[parameter.name] = raw
    if name in REDUCTIONS:
        kernels.count_reduction(name, arrays[0].shape, values.get("axis"))
    if out is not None:
        kernels.kernel(name, lambda: function(*args, out=out._a, **options), arrays, [out])
        return out
    return _computed(name, lambda: function(*args, **options), arrays)


def _raw(value, arrays, host_too):
    """Return an argument for NumPy; add the arrays of the device in it to the list."""
    if isinstance(value, ndarray):
        arrays.append(value)
        return value._a
    if isinstance(value, np.ndarray) or (host_too and isinstance(value, list)):
        if not host_too:
            refuse(value)
        return _raw(core.array(value), arrays, host_too)
    if isinstance(value, list | tuple):
        return type(value)([_raw(part, arrays, host_too) for part in value])
    return value


def _computed(name, function, arrays):
    """Compute by NumPy: a view costs nothing, anything else is a kernel."""
    if name in ON_HOST:
        return function()
    if name in VIEWS:
        found = function()
        if core.is_view(found, arrays):
            return wrap(found, *arrays)
    for _ in range(SYNCS.get(name, 0)):
        counts.add("syncs", name)
    for _ in range(MORE_KERNELS.get(name, 0)):
        counts.add("kernels", name)
    reads = [] if name in VALUES_UNREAD else arrays
    return wrap(kernels.kernel(name, lambda: _as_arrays(function()), reads, gathers=name in GATHERS))


def _as_arrays(result):
    if isinstance(result, tuple | list):
        return result
    return np.asarray(result)


# what is not one call of NumPy


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return core.array(a, dtype, bool(copy), order, blocking=blocking)


def ascontiguousarray(a, dtype=None):
    return core.array(a, dtype, False, "C")


def asfortranarray(a, dtype=None):
    return core.array(a, dtype, False, "F")


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)


def astype(x, dtype, /, *, copy=True):
    return x.astype(dtype, copy=copy)


def copy(a, order="K"):
    return a.copy(order)


def empty(shape, dtype=float, order="C"):
    return ndarray(shape, dtype, order=order)


def empty_like(prototype, dtype=None, order="K", subok=None, shape=None):
    like = np.empty_like(prototype._a, dtype, order, shape=shape)
    return ndarray(like.shape, like.dtype, order="F" if like.flags.fnc else "C")


def get_array_module(*args):
    return sys.modules["cupy"] if any(isinstance(value, ndarray) for value in args) else np


def where(condition, x=None, y=None):
    if x is None and y is None:
        return NAMES["nonzero"](condition)
    if tracing.history is not None:
        return tracing.history.call(where, (condition, x, y), {})
    condition = condition.astype("?", copy=False)
    for value in (x, y):
        if not isinstance(value, (ndarray, *SCALARS)):
            refuse(value)
    reads = [value for value in (condition, x, y) if isinstance(value, ndarray)]
    raw = [value._a if isinstance(value, ndarray) else value for value in (condition, x, y)]
    return wrap(kernels.kernel("where", lambda: np.asarray(np.where(*raw), order="C"), reads))


def concatenate(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return _joined(np.concatenate, tup, axis, dtype, casting)


def stack(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return _joined(np.stack, tup, axis, dtype, casting)


def _joined(function, tup, axis, dtype, casting):
    for part in tup:
        if not isinstance(part, ndarray):
            raise TypeError("Only cupy arrays can be concatenated")
    parts = list(tup)
    if len(parts) > FEW and len({part.dtype for part in parts}) == 1:
        regular = len({part.shape for part in parts}) == 1 and all(part.flags.c_contiguous for part in parts)
        for name, numbers in {"addresses": 1, "sizes": 1, "strides": parts[0].ndim}.items():
            if name == "addresses" or not regular:
                counts.add("uploads", name, 8 * numbers * len(parts))
    else:
        for _ in parts[1:]:
            counts.add("kernels", "concatenate")
    raw = [part._a for part in parts]
    return wrap(kernels.kernel("concatenate", lambda: function(raw, axis=axis, dtype=dtype, casting=casting), parts))


def matmul(
    *args, axes=None, axis=None, keepdims=False, casting="same_kind", dtype=None, signature=None, order="K", out=None
):
    """Multiply by cuBLAS, which takes two matrices of one dtype, each contiguous one way or the other."""
    if len(args) == 3 and out is None:
        *args, out = args
    a, b = args
    for value in (a, b):
        if not isinstance(value, ndarray):
            refuse(value)
    if not (a.ndim and b.ndim):
        raise ValueError("Scalar operands are not allowed, use '*' instead")
    kernels.check_devices(a, b)
    wide = np.promote_types(a.dtype, b.dtype) if dtype is None else np.dtype(dtype)
    if max(a.ndim, b.ndim) > 2:  # in batches, which are in the order C
        a, b = ascontiguousarray(a, wide), ascontiguousarray(b, wide)
    else:
        rows, columns = (a.shape[0] if a.ndim == 2 else 1), (b.shape[1] if b.ndim == 2 else 1)
        if rows == columns == 1 and a.size:  # a sum of products
            result = (a.ravel() * b.ravel()).sum(out=None if out is None else out.reshape(()))
            return result.reshape(a.shape[:-1] + b.shape[1:]) if out is None else out
        a, b = (part.astype(wide, copy=False) for part in (a, b))
        a, b = (part if part.flags.forc else part.copy() for part in (a, b))
    if out is not None and out.flags.c_contiguous and out.dtype == wide:
        kernels.kernel("matmul", lambda: np.matmul(a._a, b._a, out=out._a), [a, b], [out])
        return out
    found = wrap(kernels.kernel("matmul", lambda: np.asarray(np.matmul(a._a, b._a)), [a, b]))
    if out is None:
        return found
    out[...] = found
    return out


def dot(a, b, out=None):
    return matmul(a, b, out=out)


def result_type(*arrays_and_dtypes):
    return np.result_type(*[part._a if isinstance(part, ndarray) else part for part in arrays_and_dtypes])


OWN = (asarray, ascontiguousarray, asfortranarray, asnumpy, astype, copy, empty, empty_like, get_array_module, where)
OWN += (concatenate, stack, matmul, dot, result_type)
NAMES = {name: getattr(np, name) for name in TABLE["same as NumPy"].split()} | UFUNCS
NAMES |= {name: made(name, signature) for name, signature in TABLE["functions"].items() if hasattr(np, name)}
NAMES |= {function.__name__: function for function in OWN} | {"array": core.array, "concat": concatenate}
METHODS = ("all", "any", "argmax", "argmin", "argsort", "clip", "cumprod", "cumsum", "diagonal", "dot", "max", "mean")
METHODS += ("min", "nonzero", "prod", "repeat", "round", "searchsorted", "squeeze", "std", "sum", "swapaxes", "take")
METHODS += ("trace", "var")
for _name in METHODS:
    setattr(ndarray, _name, NAMES[_name])
