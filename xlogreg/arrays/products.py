"""The four products of X (n_x, m) with which all sums of a fit are made, sums of rows and by group, and fused kernels.

Each kind of X has products of its own. An array has those of its library, which are fields of the library's row. A
block of any other kind is a named tuple of arrays, so that JAX can compile it, with four methods of these names, and
`shape`, `dtype` and `__abs__`.
"""

import functools
from collections.abc import Callable
from typing import Any

from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.place import Array, is_array, name_of

__all__ = ["combine", "elementwise", "fused", "gram", "row_sums", "scores", "squares", "sum_squares", "tally"]

_products: dict[type, Any] = {}  # keys are types of X
_fuses: dict[type, Any] = {}  # keys are types of arrays


def _products_of(X: Any) -> Any:
    """Return the row of an array's library, or else the class of X: its four products take X first."""
    kind = type(X)
    if kind not in _products:
        _products[kind] = LIBRARIES[name_of(X)] if is_array(X) else kind
    return _products[kind]


def scores(X: Any, W: Array, b: Array) -> Array:
    """Compute W'X + b (k, m) for W (n_x, k) and b (k, 1): the linear part of the forward pass (notes 2.3)."""
    return _products_of(X).scores(X, W, b)


def combine(X: Any, V: Array) -> Array:
    """Compute X V (n_x, k) for V (m, k): the linear part of the backward pass (notes 2.4)."""
    return _products_of(X).combine(X, V)


def squares(X: Any, V: Array, scale: Array | None = None, twice: bool = False) -> Array:
    """Compute (S o S) V (n_x, k) for V (m, k) and S = X, or S = X * scale for a scale (n_x, 1).

    With ``twice``, the result is (n_x, 2 k): beside them are the sums of the squares of the squares.
    """
    return _products_of(X).squares(X, V, scale, twice)


def gram(X: Any, C: Array) -> Array:
    """Sum the Kronecker products [x; 1] [x; 1]' (x) C over the samples, for C (k, k, m), in the dtype of C.

    The result is ((n_x + 1) k, (n_x + 1) k); for k = 1 it is [X; 1] diag(C) [X; 1]'.
    """
    return _products_of(X).gram(X, C)


def tally(index: Array, V: Array, size: int) -> Array:
    """Sum the rows of V (m, p) by index (m,), whole numbers from 0 to size - 1: (size, p)."""
    return LIBRARIES[name_of(V)].tally(index, V, size)


def row_sums(V: Array, dtype: Any) -> Array:
    """Sum V (..., m) over the samples, added up in a dtype: (...)."""
    return _products_of(V).row_sums(V, dtype)


def sum_squares(X: Array) -> Array:
    """Sum the squares of the rows of an array X (n_x, m): (n_x, 1)."""
    return _products_of(X).sum_squares(X)


def fused(array: Array, make: Callable[..., Any], *options: Any) -> Callable[..., Any] | None:
    """Return make(*options), a function that works element by element, as one kernel of the array's library.

    None if the library makes no kernels of functions. For the same options, ``make`` returns the same function.
    """
    fuse = _fuse_of(array)
    return None if fuse is None else fuse(make(*options))


def elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function that works on its arrays element by element be one kernel, where the library makes one of it."""

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        fuse = None if named else _fuse_of(arguments[0])
        return ((fuse and fuse(function)) or function)(*arguments, **named)

    return called


def _fuse_of(value: Any) -> Callable[..., Any] | None:
    """Return what makes one kernel of a function, if the value is an array of a library that does so."""
    kind = type(value)
    if kind not in _fuses:
        _fuses[kind] = next((row.fuse for row in LIBRARIES.values() if row.fuse and row.owns(value)), None)
    return _fuses[kind]
