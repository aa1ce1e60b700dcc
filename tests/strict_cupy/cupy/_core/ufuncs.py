"""Functions of elements, one kernel each; inside a fused function they are only noted down."""

import threading

import numpy as np

from cupy._core.kernels import kernel
from cupy._core.table import TABLE

__all__ = ["SCALARS", "UFUNCS", "refuse", "tracing", "ufunc"]

SCALARS = (bool, int, float, complex, np.number, np.bool)


class _Tracing(threading.local):
    history = None  # of the function that is being fused


tracing = _Tracing()


def refuse(value):
    raise TypeError(f"Unsupported type {type(value)}")


class ufunc:  # noqa: N801 - the name in CuPy
    """A function of elements, like `numpy.ufunc`, with fewer keywords."""

    def __init__(self, name):
        self.__name__ = name
        self.numpy = getattr(np, name)
        self.nin, self.nout = self.numpy.nin, self.numpy.nout

    def __repr__(self):
        return f"<ufunc 'cupy_{self.__name__}'>"

    def __call__(self, *args, out=None, dtype=None, casting="same_kind", **wrong):
        if tracing.history is not None:
            given = {"out": out, "dtype": dtype, **wrong}
            return tracing.history.call(self, args, {name: value for name, value in given.items() if value is not None})
        if wrong:
            raise TypeError(f"Wrong arguments {wrong}")
        if len(args) == self.nin + 1 and self.nout == 1 and out is None:
            *args, out = args
        if len(args) != self.nin:
            raise TypeError(f"Wrong number of arguments for {self!r}")
        return _elementwise(self.__name__, self.numpy, args, out, dtype, casting)


def _elementwise(name, function, args, out, dtype, casting):
    from cupy._core.core import ndarray, wrap

    reads = [value for value in args if isinstance(value, ndarray)]
    for value in args:
        if not isinstance(value, (ndarray, *SCALARS)):
            refuse(value)
    raw = [value._a if isinstance(value, ndarray) else value for value in args]
    options = {"casting": casting} | ({} if dtype is None else {"dtype": dtype})
    if out is None:
        return wrap(kernel(name, lambda: function(*raw, order="C", **options), reads))
    if not isinstance(out, ndarray):
        raise TypeError("return arrays must be of ArrayType")
    kernel(name, lambda: function(*raw, out=out._a, **options), reads, [out])
    return out


UFUNCS = {name: ufunc(name) for name in TABLE["ufuncs"].split()}
