"""A table of the operations of a computation graph: how each is computed, and the rule of its derivative.

By the chain rule, a node y = f(u, v) of a graph adds du = dy df/du and dv = dy df/dv to the derivatives of the output
(notes 1.8). These are two functions of dy, y, u and v for each operation. Their results may have the shape that u and v
are broadcast to.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np  # for the arithmetic of shapes only: values are computed in their own namespace
from numpy.lib.array_utils import normalize_axis_tuple

from xlogreg.arrays.place import Array
from xlogreg.math import losses

__all__ = ["OPERATIONS", "Operation", "reduction"]


def _two_axes(*shapes: tuple[int, ...]) -> None:
    if min(map(len, shapes)) < 2:
        raise ValueError(
            f"@ and .T need two axes or more, not shapes {shapes}: (5,) is neither row nor column (notes 2.6), "
            "reshape it to (5, 1) or (1, 5)"
        )


def _product(u: tuple[int, ...], v: tuple[int, ...]) -> None:
    _two_axes(u, v)
    if u[-1] != v[-2]:
        raise ValueError(f"the columns of the first matrix must be as many as the rows of the second: {u} @ {v}")
    np.broadcast_shapes(u[:-2], v[:-2])


class Operation(NamedTuple):
    """An operation y = f(u, v), or y = f(u), as data."""

    text: str  # the expression, with {} for each operand
    value: Callable[..., Array]  # xp, u, v -> y
    du: Callable[..., Array]  # xp, dy, y, u, v -> dy times the derivative of y with respect to u
    dv: Callable[..., Array] | None = None  # the same for v
    fits: Callable[..., Any] = np.broadcast_shapes  # raises an error if the shapes of u and v do not fit


def _share(xp: Any, u: Array, v: Array) -> Array:
    """Slope of maximum(u, v) by u: 1 where u is larger, 0 where v is larger, 1/2 (the mean) where they are equal."""
    return (xp.astype(u > v, u.dtype) + xp.astype(u >= v, u.dtype)) / 2.0


def _nonzero(xp: Any, u: Array) -> Array:
    return xp.astype(u != 0, u.dtype)


def _swap(xp: Any, u: Array) -> Array:
    return xp.matrix_transpose(u)


OPERATIONS = {
    "+": Operation("{} + {}", lambda xp, u, v: u + v, lambda xp, dy, y, u, v: dy, lambda xp, dy, y, u, v: dy),
    "-": Operation("{} - {}", lambda xp, u, v: u - v, lambda xp, dy, y, u, v: dy, lambda xp, dy, y, u, v: -dy),
    "*": Operation("{} * {}", lambda xp, u, v: u * v, lambda xp, dy, y, u, v: dy * v, lambda xp, dy, y, u, v: dy * u),
    "/": Operation(
        "{} / {}", lambda xp, u, v: u / v, lambda xp, dy, y, u, v: dy / v, lambda xp, dy, y, u, v: -dy * y / v
    ),
    "**": Operation(
        "{} ** {}",
        lambda xp, u, v: u**v,
        lambda xp, dy, y, u, v: dy * v * u ** (v - _nonzero(xp, v)),  # 0, not NaN, for u ** 0 at u = 0
        lambda xp, dy, y, u, v: dy * y * xp.log(u + 1.0 - _nonzero(xp, u)),  # 0, not NaN, for 0 ** v
    ),
    "@": Operation(
        "{} @ {}",
        lambda xp, u, v: u @ v,
        lambda xp, dy, y, u, v: dy @ _swap(xp, v),
        lambda xp, dy, y, u, v: _swap(xp, u) @ dy,
        _product,
    ),
    "maximum": Operation(
        "maximum({}, {})",
        lambda xp, u, v: xp.maximum(u, v),
        lambda xp, dy, y, u, v: dy * _share(xp, u, v),
        lambda xp, dy, y, u, v: dy * _share(xp, v, u),
    ),
    "negative": Operation("-{}", lambda xp, u: -u, lambda xp, dy, y, u: -dy),
    "exp": Operation("exp({})", lambda xp, u: xp.exp(u), lambda xp, dy, y, u: dy * y),
    "log": Operation("log({})", lambda xp, u: xp.log(u), lambda xp, dy, y, u: dy / u),
    "sigmoid": Operation("sigmoid({})", lambda xp, u: losses.sigmoid(u), lambda xp, dy, y, u: dy * y * (1.0 - y)),
    "T": Operation("{}.T", _swap, lambda xp, dy, y, u: _swap(xp, dy), fits=_two_axes),
}


def reduction(name: str, shape: tuple[int, ...], axis: int | tuple[int, ...] | None, keepdims: bool) -> Operation:
    """Make the operation that takes the sum or the mean of an array of this shape over these axes."""
    axes = normalize_axis_tuple(range(len(shape)) if axis is None else axis, len(shape))
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape))
    count = float(math.prod(shape[i] for i in axes)) if name == "mean" else 1.0
    options = ("" if axis is None else f", axis={axis}") + (", keepdims=True" if keepdims else "")
    return Operation(
        f"{name}({{}}{options})",
        lambda xp, u: getattr(xp, name)(u, axis=axes, keepdims=keepdims),
        lambda xp, dy, y, u: xp.reshape(dy, kept) / count * xp.ones_like(u),
    )
