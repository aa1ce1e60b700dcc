"""Fused functions: traced once with stand-ins for each kind of arguments, then run as one kernel.

These are the rules of CuPy's first way of fusing. Where a function breaks them, the real one falls back to a second way
that knows a little more; here that is an error.
"""

import functools

import numpy as np

from cupy._core.core import BOTH, COMPARE, ndarray, wrap
from cupy._core.kernels import kernel
from cupy._core.ufuncs import SCALARS, UFUNCS, tracing
from cupy._counts import counts

__all__ = ["Fusion", "fuse"]

WEAK = {bool: False, int: 0, float: 0.0, complex: 0j}  # numbers of Python, which take the dtype of the others


class _FusionVarScalar:
    """A stand-in for a number."""

    __hash__ = None

    def __init__(self, number, dtype, ndim=-1, weak=None):
        self._number, self.dtype, self.ndim, self._weak = number, np.dtype(dtype), ndim, weak

    def __bool__(self):
        raise Exception("Can't cast to bool")

    def copy(self):
        return UFUNCS["positive"](self)

    def astype(self, dtype, order=None, casting=None, subok=None, copy=True):
        for name, value in (("order", order), ("casting", casting), ("subok", subok)):
            if value is not None:
                raise TypeError(f"{name} is not supported yet")
        if not copy and self.dtype == np.dtype(dtype):
            return self
        return tracing.history.call(np.dtype(dtype), (self,), {})


class _FusionVarArray(_FusionVarScalar):
    """A stand-in for an array: it has a dtype and a number of axes, but no shape."""


def _operator(name, swapped=False):
    function = UFUNCS[name]
    return lambda self, other: function(other, self) if swapped else function(self, other)


def _no_writing(self, other):
    raise TypeError("a fused function of the strict CuPy writes into no argument")


for _name, _function in (BOTH | COMPARE).items():
    if _name != "matmul":
        setattr(_FusionVarScalar, f"__{_name}__", _operator(_function))
for _name, _function in BOTH.items():
    if _name not in ("matmul", "pow"):  # the real ones have neither 2 ** x nor a matrix product
        setattr(_FusionVarScalar, f"__r{_name}__", _operator(_function, swapped=True))
    setattr(_FusionVarArray, f"__i{_name}__", _no_writing)
_FusionVarScalar.__hash__ = None
_FusionVarScalar.__neg__ = lambda self: UFUNCS["negative"](self)
_FusionVarScalar.__invert__ = lambda self: UFUNCS["invert"](self)


class _History:
    """What a function does with its arguments."""

    def __init__(self, args):
        self.steps, self.constants = [], {}  # (function, numbers of its arguments), number: value
        self.count = 0
        self.given = tuple(self._stand_in(value) for value in args)

    def _stand_in(self, value):
        if value is None:
            return None
        number, self.count = self.count, self.count + 1
        if isinstance(value, ndarray):
            return _FusionVarArray(number, value.dtype, value.ndim)
        return _FusionVarScalar(number, np.dtype(type(value)), weak=type(value) if type(value) in WEAK else None)

    def variable(self, value):
        if isinstance(value, _FusionVarScalar):
            return value
        if not isinstance(value, SCALARS):
            raise TypeError(f"Unsupported type {type(value)}")
        found = self._stand_in(value)
        self.constants[found._number] = value
        return found

    def call(self, function, args, options):
        """Note a step down; return a stand-in for its result."""
        if options:
            raise TypeError(f"Wrong arguments {options}")
        found = [self.variable(value) for value in args]
        nin = getattr(function, "nin", len(found))
        if len(found) != nin:
            raise ValueError("invalid number of arguments")
        number, self.count = self.count, self.count + 1
        self.steps.append((function, [part._number for part in found]))
        ndim = max(part.ndim for part in found)
        dtype = _dtype_of(function, found)
        return _FusionVarScalar(number, dtype) if ndim == -1 else _FusionVarArray(number, dtype, ndim)


def _dtype_of(function, found):
    if isinstance(function, np.dtype):
        return function
    if getattr(function, "nout", 1) != 1:
        raise TypeError(f"{function!r} has more than one result")
    if hasattr(function, "numpy"):
        kinds = [part.dtype if part._weak is None else part._weak for part in found]
        kinds = [np.dtype(bool) if kind is bool else kind for kind in kinds]
        return function.numpy.resolve_dtypes((*kinds, None))[-1]
    condition, *values = found  # of `where`
    if condition.dtype != bool:
        raise TypeError(f"Invalid type cast in 'cupy_where': {condition.dtype} -> bool")
    return np.result_type(*[part.dtype if part._weak is None else WEAK[part._weak] for part in values])


class Fusion:
    """A function that runs as one kernel."""

    def __init__(self, func, name=None):
        self.func, self.name = func, name or func.__name__
        self._traced = {}

    def __repr__(self):
        return f"<Fusion {self.name!r}>"

    def __call__(self, *args):
        if tracing.history is not None or not any(isinstance(value, ndarray) for value in args):
            return self.func(*args)
        for value in args:
            if not (value is None or isinstance(value, (ndarray, *SCALARS))):
                raise TypeError(f"Invalid argument type for {self.name!r}: ({type(value)})")
        key = tuple((value.dtype, value.ndim) if isinstance(value, ndarray) else type(value) for value in args)
        if key not in self._traced:
            self._traced[key] = self._trace(args)
        history, results, is_tuple = self._traced[key]
        arrays = [value for value in args if isinstance(value, ndarray)]
        found = kernel(self.name, lambda: self._replay(history, results, args), arrays)
        counts.add("fused", self.name)
        found = wrap(found)
        return found if is_tuple else found[0]

    def _trace(self, args):
        history = _History(args)
        tracing.history = history
        try:
            found = self.func(*history.given)
        finally:
            tracing.history = None
        results = found if isinstance(found, tuple) else (found,)
        for result in results:
            if not isinstance(result, _FusionVarScalar):
                raise TypeError(f"Fusion function can't return {type(result)}")
        return history, [(result._number, result.dtype) for result in results], isinstance(found, tuple)

    @staticmethod
    def _replay(history, results, args):
        """Compute on the host; each result has the shape of all arrays together, also of those that it does not use."""
        raw = [value._a if isinstance(value, ndarray) else value for value in args if value is not None]
        shape = np.broadcast_shapes(*[value.shape for value in raw if isinstance(value, np.ndarray)])
        values = dict(enumerate(raw)) | history.constants
        steps = iter(history.steps)
        for number in range(len(raw), history.count):
            if number in values:
                continue
            function, numbers = next(steps)
            given = [values[number] for number in numbers]
            if isinstance(function, np.dtype):
                values[number] = np.asarray(given[0]).astype(function)[()]
            else:
                values[number] = getattr(function, "numpy", np.where)(*given)
        made = [np.broadcast_to(np.asarray(values[number], dtype), shape) for number, dtype in results]
        return tuple(np.array(part, order="C") for part in made)


def fuse(*args, **kwargs):
    """Fuse a function; or return a decorator that does, given the name of the kernel."""
    if len(args) == 1 and not kwargs and callable(args[0]):
        return functools.update_wrapper(Fusion(args[0]), args[0])

    def wrapper(func, kernel_name=None):
        return functools.update_wrapper(Fusion(func, kernel_name), func)

    return lambda func: wrapper(func, *args, **kwargs)
