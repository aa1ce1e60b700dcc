"""Arrays of a device."""

import functools
import sys

import numpy as np

from cupy._core.kernels import kernel, use
from cupy._core.ufuncs import SCALARS, UFUNCS, refuse
from cupy._counts import counts, lock
from cupy.cuda import runtime
from cupy.cuda.device import Device
from cupy.cuda.memory import Memory
from cupy.cuda.pinned_memory import pinned
from cupy.cuda.stream import current_timeline, get_current_stream

__all__ = ["array", "is_view", "ndarray", "wrap"]

DTYPES = "?bhilqBHILQefdFD"


class ndarray:  # noqa: N801 - the name in CuPy
    """An array of a device: a NumPy array that NumPy must not see, and its memory."""

    __slots__ = ("__weakref__", "_a", "_memory")
    __hash__ = None
    __array_priority__ = 100

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("memory of another array")  # which xlogreg never asks for
        self._a = np.empty(shape, _checked(np.dtype(dtype)), order or "C")
        self._memory = Memory(self._a.nbytes)
        self._a.fill(_rubbish(self._a.dtype))

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    strides = property(lambda self: self._a.strides)
    flags = property(lambda self: self._a.flags)
    device = property(lambda self: Device(self._memory.device))
    T = property(lambda self: wrap(self._a.T, self))
    mT = property(lambda self: wrap(self._a.mT, self))  # noqa: N815 - the name in CuPy
    real = property(lambda self: wrap(self._a.real, self))

    # to the host

    def __array__(self, dtype=None, copy=None):
        text = "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array"
        raise TypeError(f"{text} explicitly.")

    def get(self, stream=None, order="C", out=None, blocking=True):
        stream = stream or get_current_stream()  # of the current device, whatever the device of the array
        with self.device:
            if out is None:
                order = ("F" if self.flags.fnc else "C") if order == "A" else order
                out = np.empty(self.shape, self.dtype, order)
            elif out.dtype != self.dtype:
                raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
            elif out.shape != self.shape:
                raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
            if self.size:
                _download(self, out, stream, blocking)
        return out

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def __bool__(self):
        return bool(self.get())

    def __int__(self):
        return int(self.get())

    def __float__(self):
        return float(self.get())

    def __complex__(self):
        return complex(self.get())

    def __repr__(self):
        return repr(self.get())

    def __str__(self):
        return str(self.get())

    def __format__(self, specification):
        return format(self.get(), specification)

    def __reduce__(self):
        return array, (self.get(),)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        raise BufferError("there is no GPU whose memory another library could see")

    def __dlpack_device__(self):
        return 2, self._memory.device

    # from the host

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self._a.flags.forc:
            raise RuntimeError("Cannot set to non-contiguous array")
        source = np.asarray(arr, order="C" if self._a.flags.c_contiguous else "F")
        stream = stream or get_current_stream()  # of the current device, whatever the device of the array
        with self.device:
            _upload(source, self, stream)

    # indices

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[number] for number in range(len(self)))

    def __getitem__(self, key):
        key, indices = _key(self, key)
        if not indices:
            return wrap(self._a[key], self)
        return wrap(kernel("getitem", lambda: np.asarray(self._a[key]), [self, *indices], gathers=True))

    def __setitem__(self, key, value):
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if not isinstance(value, (ndarray, np.ndarray, *SCALARS)):
            refuse(value)
        key, indices = _key(self, key)
        reads = [*indices, *([value] if isinstance(value, ndarray) else [])]
        raw = value._a if isinstance(value, ndarray) else value
        target = self if indices else wrap(self._a[key], self)
        scattered = self._a[key].size * self.itemsize if indices else None
        kernel("setitem", lambda: self._a.__setitem__(key, raw), reads, [target], wrote=scattered)

    # copies

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        dtype = _checked(np.dtype(dtype))
        keeps = order in ("K", "A") or self._a.flags[f"{order}_CONTIGUOUS"]
        if not copy and dtype == self.dtype and keeps:
            return self
        return wrap(kernel("astype", lambda: self._a.astype(dtype, order), [self]), kept=True)

    def copy(self, order="C"):
        if self._memory.device != runtime.getDevice():
            return _from_device(self)
        return wrap(kernel("copy", lambda: self._a.copy(order), [self]), kept=True)

    __copy__ = copy

    def __deepcopy__(self, memo):
        with self.device:
            return self.copy()

    def fill(self, value):
        self[...] = value

    def view(self, dtype=None, type=None):
        return wrap(self._a.view() if dtype is None else self._a.view(dtype), self)

    def reshape(self, *shape, order="C", copy=None):
        shape = shape[0] if len(shape) == 1 else shape
        return sys.modules["cupy"].reshape(self, shape, order, copy=copy)

    def ravel(self, order="C"):
        return self.reshape(-1, order=order)

    def flatten(self, order="C"):
        return self.ravel(order).copy()

    def transpose(self, *axes):
        return wrap(self._a.transpose(*axes), self)

    def conj(self):
        return UFUNCS["conj"](self) if self.dtype.kind == "c" else self

    # NumPy's functions, given arrays of a device, are those of CuPy

    def __array_ufunc__(self, function, method, *inputs, **options):
        if method != "__call__" or function.__name__ not in UFUNCS:
            return NotImplemented
        if "out" in options:
            (options["out"],) = options["out"]
        return UFUNCS[function.__name__](*inputs, **options)

    def __array_function__(self, function, types, args, options):
        names = (function.__module__.replace("numpy", "cupy", 1) + "." + function.__name__).split(".")[1:]
        try:
            ours = functools.reduce(getattr, names, sys.modules["cupy"])
        except AttributeError:
            return NotImplemented
        return ours(*args, **options)


def _operator(name, swapped=False, in_place=False):
    def operate(self, other):
        if not isinstance(other, (ndarray, np.ndarray, *SCALARS)):
            return NotImplemented
        pair = (other, self) if swapped else (self, other)
        function = getattr(sys.modules["cupy"], name)
        return function(*pair, out=self) if in_place else function(*pair)

    return operate


BOTH = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide"}
BOTH |= {"mod": "remainder", "pow": "power", "matmul": "matmul", "lshift": "left_shift", "rshift": "right_shift"}
BOTH |= {"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"}
COMPARE = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal"}
ALONE = {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "invert"}
for _name, _function in (BOTH | COMPARE).items():
    setattr(ndarray, f"__{_name}__", _operator(_function))
for _name, _function in BOTH.items():
    setattr(ndarray, f"__r{_name}__", _operator(_function, swapped=True))
    if _name != "matmul":
        setattr(ndarray, f"__i{_name}__", _operator(_function, in_place=True))
for _name, _function in ALONE.items():
    setattr(ndarray, f"__{_name}__", lambda self, function=UFUNCS[_function]: function(self))


def _checked(dtype):
    if dtype.char not in DTYPES:
        raise ValueError(f"Unsupported dtype {dtype}")
    if not dtype.isnative:
        raise ValueError(f"Unsupported byte order of {dtype}")
    return dtype


def _rubbish(dtype):
    """Return what memory holds before anybody has written it."""
    return np.nan if dtype.kind in "fc" else True if dtype.kind == "b" else np.iinfo(dtype).max


def _root(a):
    return a if a.base is None else a.base


def is_view(result, sources):
    """Whether what NumPy made lies in the memory of the sources."""
    parts = result if isinstance(result, tuple | list) else (result,)
    return all(any(_root(part) is _root(source._a) for source in sources) for part in parts)


def wrap(result, *sources, kept=False):
    """Return what NumPy made, as arrays of the device: views of the sources, or new ones.

    New arrays are in the order C, unless the layout of a source is kept.
    """
    if isinstance(result, tuple | list):
        parts = [wrap(part, *sources, kept=kept) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    if not isinstance(result, np.ndarray | np.generic):
        return result
    made = ndarray.__new__(ndarray)
    made._a = np.asarray(result, order="K" if kept else None)
    for source in sources:
        if made._a is source._a:
            return source
        if _root(made._a) is _root(source._a):
            made._memory = source._memory
            return made
    if not kept or made._a.base is not None:
        made._a = np.array(made._a, order="K" if kept else "C", copy=None if made._a.base is None else True)
    made._memory = Memory(made._a.nbytes)
    return made


def _key(target, key):
    """Return a key for NumPy, and the arrays of the device among its indices.

    Indices out of range wrap around, without an error. Indices of the host are copied to the device.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    found, axis = [], 0
    used = sum(_axes(part) for part in parts)
    for position, part in enumerate(parts):
        if part is Ellipsis:
            axis += target.ndim - used
        if isinstance(part, list | np.ndarray):
            part = array(part if len(part) else np.empty(0, int))
        if isinstance(part, ndarray):
            found.append(part)
            if part.dtype == bool:
                counts.add("syncs", "boolean index")
                parts[position] = part._a
            elif part.dtype.kind in "iu":
                size = target.shape[axis] if axis < target.ndim else 0
                parts[position] = part._a % size if size else part._a
            else:
                raise IndexError("arrays used as indices must be of integer (or boolean) type")
        elif not (part is None or part is Ellipsis or isinstance(part, int | np.integer | slice)):
            raise IndexError("Only integers, slices, ellipsis, newaxis and integer or boolean arrays are valid indices")
        axis += _axes(part)
    return tuple(parts if any(part is Ellipsis for part in parts) else [*parts, ...]), found


def _axes(part):
    """Return the number of axes of an array that a part of a key is for."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if getattr(part, "dtype", None) == np.dtype(bool) else 1


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """Make an array on the current device."""
    order = order or "K"
    if isinstance(obj, ndarray):
        found = obj if obj._memory.device == runtime.getDevice() else _from_device(obj)
        return found.astype(found.dtype if dtype is None else dtype, order, copy=bool(copy) and found is obj)
    if isinstance(obj, list | tuple) and any(isinstance(part, ndarray) for part in obj):
        if not all(isinstance(part, ndarray) for part in obj):
            raise TypeError("Implicit conversion to a NumPy array is not allowed.")
        return sys.modules["cupy"].stack(obj)
    host = np.asarray(obj, dtype=dtype, order=order)
    _checked(host.dtype)
    host = host.reshape((1,) * (ndmin - host.ndim) + host.shape)
    made = ndarray(host.shape, host.dtype, order="F" if host.flags.fnc else "C")
    if host.ndim == 0:
        made.fill(host)
    elif host.size:
        with lock:
            use([], [made])
            counts.add("uploads", "array", host.nbytes)
            made._a[...] = host
    if blocking:
        current_timeline().synchronize("array(blocking=True)")
    return made


def _from_device(source):
    """Copy from another device to the current one."""
    made = ndarray(source.shape, source.dtype, order="F" if source._a.flags.fnc else "C")
    with source.device:
        use([source], [])
    kernel("copy between devices", lambda: made._a.__setitem__(..., source._a), [], [made])
    return made


def _upload(source, target, side):
    """Copy to memory of the device: from pinned memory as late as the stream allows, from other memory at once."""
    fixed = pinned(source)
    with lock, side:
        use([], [target])
        counts.add("uploads", "set", source.nbytes)
        if fixed is None:
            target._a[...] = source
        else:
            waiting = side.timeline.waiting
            waiting.append((side.timeline.number, lambda: target._a.__setitem__(..., fixed)))


def _download(source, out, side, blocking):
    with lock, side:
        order = "C" if out.flags.c_contiguous else "F"
        if not source.flags[f"{order}_CONTIGUOUS"]:
            source = source.copy(order)  # on the device
        use([source], [])
        counts.add("downloads", "get", source.nbytes)
        if blocking:
            out[...] = source._a
            side.timeline.synchronize("get")
        else:
            out.fill(_rubbish(out.dtype))
            side.timeline.waiting.append((side.timeline.number, lambda: out.__setitem__(..., source._a)))
