"""Checks of arrays that the user hands in: X must be a matrix of numbers, and some kinds of arrays are refused.

Every error names the argument, the value that came and the value that is right.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from xlogreg.arrays.kinds import kind_of
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.matrix import Dense, Matrix
from xlogreg.arrays.place import Array, dtype_name, is_array, name_of
from xlogreg.arrays.traits import is_sparse, is_traced
from xlogreg.exceptions import one_of
from xlogreg.inputs.frames import numbers_of
from xlogreg.inputs.options import SAMPLES
from xlogreg.inputs.tables import column_values

__all__ = ["as_array", "as_matrix", "computing_dtype", "other_way"]

NUMERIC = ("bool", "int", "uint", "float", "bfloat")
REFUSED: dict[Callable[[Any], bool], str] = {
    lambda value: isinstance(value, np.ma.MaskedArray): (
        "a masked array, whose masked values would be used as they are; fill or drop them"
    ),
    lambda value: isinstance(value, (str, bytes, os.PathLike)): (
        "a name, not data: hand in what it names, such as np.load('X.npy'), xlogreg.open_parts('folder') or frame['y']"
    ),
    lambda value: hasattr(value, "__next__"): (
        "a {type}, which can be read once only: hand in a list of it; for blocks, hand in the function that makes it, "
        "fit(blocks) and not fit(blocks())"
    ),
    lambda value: isinstance(value, np.matrix): "an np.matrix, which stays two-dimensional; use np.asarray({name})",
    is_sparse: "a sparse {type}, where only X may be sparse; use a dense array, such as {name}.toarray()",
    is_traced: (
        "traced by a transformation such as jit: fitting and checking look at values, so call them outside of it; "
        "forward, cost, gradients and update run inside"
    ),
}


def as_matrix(X: Any, samples: str = "columns", n_x: int | None = None) -> Matrix:
    """Return X (n_x, m), or (m, n_x) for samples="rows", as a matrix of numbers."""
    one_of("samples", samples, SAMPLES)
    expected = "(n_x, m), one sample a column" if samples == "columns" else "(m, n_x), one sample a row"
    rows = samples == "rows"
    matrix = kind_of(X, rows)
    if matrix is None:
        _refuse(X, "X")
        matrix = Dense(as_array(X, "X"), rows)
    elif matrix.rows != rows:
        held = "rows" if matrix.rows else "columns"
        raise ValueError(f"X holds samples as {held}: use samples={held!r}")
    shape = matrix.shape
    if len(shape) != 2:
        raise ValueError(f"X must have the shape {expected}; got {shape}")
    if 0 in shape:
        raise ValueError(f"X is empty: its shape is {shape}, expected {expected}")
    features, other = matrix.n_x, matrix.m
    if n_x is not None and features != n_x:
        raise ValueError(
            f"X has {features} features (shape {shape}, samples={samples!r}), the model has {n_x}"
            + (other_way(samples) if other == n_x else "")
        )
    return matrix


def computing_dtype(X: Array | Matrix) -> str:
    """Return "float32" for float32 and for types of 8 and 16 bits, which are for storage only; else "float64"."""
    name = dtype_name(X)
    return "float32" if name.startswith(("float32", "float8")) or name.endswith(("int8", "16")) else "float64"


def as_array(value: Any, name: str, text: bool = False) -> Array:
    """Return the value as an array of numbers, or of strings if ``text``; the value itself if it is one already."""
    value = value if name == "X" else column_values(value, name)
    _refuse(value, name)
    if is_array(value) and not isinstance(value, (np.ndarray, np.generic)):
        array = LIBRARIES[name_of(value)].detached(value)
        numeric = dtype_name(array).startswith(NUMERIC)
    else:
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:  # torch raises TypeError where Python asks for elements
            raise ValueError(f"{name} is ragged or otherwise no array: {error}") from None
        if array.dtype == object or (array.dtype.kind in "US" and not isinstance(value, np.ndarray)):
            array = _of_one_type(np.asarray(value, dtype=object), array, name, text)
        numeric = array.dtype.kind in "biuf" or (text and array.dtype.kind in "US")
    if not numeric:
        raise TypeError(
            f"{name} must hold numbers{' or strings' if text else ''}; got {type(value).__name__} of {array.dtype}"
        )
    return array


def _refuse(value: Any, name: str) -> None:
    for refused, reason in REFUSED.items():
        if refused(value):
            raise TypeError(f"{name} is {reason}".format(name=name, type=type(value).__name__))


def _of_one_type(objects: np.ndarray, array: np.ndarray, name: str, text: bool) -> np.ndarray:
    """Convert objects to an array of strings or of numbers; refuse a mix, which NumPy would turn into strings."""
    kinds = {type(item) for item in objects.flat}
    if all(issubclass(kind, str) for kind in kinds):
        return array.astype(str)
    found = numbers_of(objects)
    if found is not None and found.dtype == object and not text:  # decimals, or integers of more than 64 bits
        try:
            return found.astype(np.float64)
        except OverflowError:
            raise ValueError(f"{name} holds integers that are too large for a float") from None
    if found is not None:
        return found
    if len(kinds) > 1:
        raise TypeError(f"{name} mixes values of the types {', '.join(sorted(kind.__name__ for kind in kinds))}")
    return array


def other_way(samples: str) -> str:
    meant = "rows" if samples == "columns" else "columns"
    return f"; did you pass samples as {meant}? use samples={meant!r}"
