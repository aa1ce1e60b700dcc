"""What NumPy's functions, and habits from other libraries, mean for variables: an operation of the graph, or advice."""

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

__all__ = ["COMPARE", "FUNCTIONS", "UFUNCS", "NoNamespace", "advice", "refusal"]

UFUNCS = {  # keys into the table of operations
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.divide: "/",
    np.power: "**",
    np.matmul: "@",
    np.negative: "negative",
    np.maximum: "maximum",
    np.exp: "exp",
    np.log: "log",
}
COMPARE = "v.value > 0, which compares values"
INSTEAD = {  # by the name of a function or an attribute
    "absolute": "xlogreg.graph.maximum(v, -v)",
    "minimum": "-xlogreg.graph.maximum(-u, -v)",
    "relu": "xlogreg.graph.maximum(v, 0)",
    "expm1": "xlogreg.graph.exp(v) - 1",
    "log1p": "xlogreg.graph.log(1 + v)",
    "sqrt": "v ** 0.5",
    "square": "v ** 2",
    "tanh": "2 * xlogreg.graph.sigmoid(2 * v) - 1",
    "dot": "u @ v",
    "grad": "J.backward(), which returns all derivatives of J by name, such as J.backward()['dv']",
    "data": "v.value; it cannot be changed, so make a new Variable for each step",
    "item": "v.value",
    **{name: f"xlogreg.graph.{name}(v)" for name in ("exp", "log", "sigmoid")},
    **dict.fromkeys(("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"), COMPARE),
}
OTHERWISE = "an expression of + - * / ** @ and xlogreg.graph.sigmoid, exp, log, maximum; or take v.value"


def advice(name: str) -> str:
    """Tell what to write in place of a function or an attribute that variables do not have."""
    return f"write {INSTEAD.get(name, OTHERWISE)}"


def refusal(what: str, instead: str) -> Callable[..., NoReturn]:
    """Make a method that raises an error with advice."""

    def refuse(*_: Any) -> NoReturn:
        raise TypeError(f"a Variable {what}: {instead}")

    return refuse


class NoNamespace:
    """The namespace of variables for functions of arrays: every name of it raises an error with advice."""

    def __getattr__(self, name: str) -> NoReturn:
        raise TypeError(f"this function takes arrays, and a Variable is none: write {OTHERWISE}")


def _dot(u: Any, v: Any) -> Any:
    axes = len(np.shape(u)), len(np.shape(v))
    if max(axes) > 2:
        raise TypeError(f"np.dot takes variables of two axes at most, not {axes}: write u @ v")
    return u * v if 0 in axes else u @ v


def _reduction(name: str) -> Callable[..., Any]:
    def reduce(v: Any, axis: Any = None, *others: Any, keepdims: bool = False) -> Any:
        if others:  # the third of NumPy is a dtype
            raise TypeError(f"np.{name} of a Variable takes axis and keepdims, and no other option")
        return getattr(v, name)(axis, keepdims)

    return reduce


def _transpose(v: Any, axes: Any = None) -> Any:
    if axes is not None or len(np.shape(v)) > 2:  # NumPy's reverses all axes
        raise TypeError("np.transpose of a Variable is for two axes: write v.T, which exchanges the last two")
    return v.T


FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: _reduction("sum"),
    np.mean: _reduction("mean"),
    np.dot: _dot,
    np.transpose: _transpose,
    np.matrix_transpose: lambda v: v.T,
    np.shape: lambda v: v.shape,
    np.ndim: lambda v: len(v.shape),
    np.size: lambda v: math.prod(v.shape),
}
