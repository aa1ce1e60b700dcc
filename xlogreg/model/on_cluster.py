"""Models on collections of dask: predictions are collections again, and the workers do the evaluation."""

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from xlogreg.arrays.kinds import kind_of
from xlogreg.arrays.place import place_of, to_host
from xlogreg.inputs.matrices import as_array, computing_dtype
from xlogreg.inputs.tables import is_collection, open_table
from xlogreg.samples.cluster.distributed import Distributed
from xlogreg.samples.cluster.from_dask import share_out

__all__ = ["also_on_dask", "expect_usable", "mapped", "samples_on_dask"]

ModelMethod = TypeVar("ModelMethod", bound=Callable[..., Any])

# the number of values that each method of a model gives per sample; 0 stands for a label
VALUES: dict[str, Callable[[Any], int]] = {
    "predict": lambda model: 0,
    "decision_function": lambda model: model.w.shape[1],
    "predict_proba": lambda model: len(model.classes),
    "predict_log_proba": lambda model: len(model.classes),
}


def also_on_dask(method: ModelMethod) -> ModelMethod:
    """Let a method of a model take collections, too; the result is a collection, predicted when it is asked for."""

    @functools.wraps(method)
    def of_any(self: Any, X: Any, offset: Any = None) -> Any:
        name = method.__name__
        if is_collection(X):
            return mapped(self, getattr(self, name), VALUES[name](self), X, offset)
        return method(self, X, offset)

    return of_any  # type: ignore[return-value]  # the wrapper has the same signature


def expect_usable(model: Any, offset: Any) -> None:
    """Raise if the model has no parameters, or if it was fitted with an offset, and there is none."""
    info = model.fit_info  # None if the parameters of an estimator were set
    if info is not None and math.isnan(info.cost) and np.all(np.isnan(to_host(model.w))):
        raise ValueError(f"the model has no parameters, they are NaN: its fit ended with {info.reason!r}")
    if model.offset and offset is None:
        raise ValueError(
            "the model was fitted with an offset: offset= must hold that of these samples; zeros leave it out"
        )


def mapped(model: Any, predict: Callable[..., Any], values: int, X: Any, offset: Any = None) -> Any:
    """Apply a function that predicts ``values`` for each sample to every block of X, and of the offset if there is one.

    Nothing is computed yet.
    """
    expect_usable(model, offset)
    rows = model.samples == "rows"
    flat = rows and values < 2
    axis = 0 if rows else 1
    if hasattr(X, "columns"):
        like = _features(model, X._meta)
        beside = [] if offset is None else [_partitioned(offset, X)]
        meta = _empty((0,) if flat else (0, values), like, model.classes, values)
        return X.map_partitions(predict, *beside, meta=meta)
    _refuse_other(model, X)
    X, meta = X.rechunk({1 - axis: -1}), _empty((0,) if flat else (0, 0), X._meta, model.classes, values)
    arrays = [X] if offset is None else [X, _chunked(offset, X, axis)]
    made: dict[str, Any] = {"dtype": meta.dtype, "meta": meta}
    if flat:
        return arrays[0].map_blocks(predict, *arrays[1:], drop_axis=1, **made)
    chunks = [(max(values, 1),), (max(values, 1),)]
    chunks[axis] = X.chunks[axis]
    return arrays[0].map_blocks(predict, *arrays[1:], chunks=tuple(chunks), **made)


def _chunked(offset: Any, X: Any, axis: int) -> Any:
    """Return the offset as a dask array whose blocks have the samples of those of X."""
    m, counts = X.shape[axis], X.chunks[axis]
    if not is_collection(offset):
        if math.isnan(m):
            raise ValueError("X is a dask array of unknown length: the offset must be one, too, with the same blocks")
        offset = importlib.import_module("dask.array").from_array(np.asarray(to_host(as_array(offset, "offset"))))
    if hasattr(offset, "to_dask_array"):
        offset = offset.to_dask_array()
    if offset.ndim == 1:
        offset = offset[:, None] if axis == 0 else offset[None, :]
    elif axis == 0 and offset.shape[0] == 1 != m:
        offset = offset.T
    if offset.ndim != 2 or not (offset.shape[axis] == m or math.isnan(m) or math.isnan(offset.shape[axis])):
        raise ValueError(f"offset has the shape {offset.shape}, but X holds {m} samples")
    known = not (math.isnan(m) or math.isnan(offset.shape[axis]))
    offset = offset.rechunk({axis: counts, 1 - axis: -1} if known else {1 - axis: -1})
    if len(offset.chunks[axis]) != len(counts):
        raise ValueError(f"offset has {len(offset.chunks[axis])} blocks, X has {len(counts)}; they must agree")
    return offset


def _partitioned(offset: Any, X: Any) -> Any:
    """Return the offset of a dataframe of dask, which must be a column or a frame of the same partitions."""
    if not hasattr(offset, "map_partitions"):
        raise TypeError(
            f"X is a dask DataFrame, so offset must be one of its columns, or a dask frame of the same rows, not "
            f"{type(offset).__name__}"
        )
    if offset.npartitions != X.npartitions:
        raise ValueError(f"offset has {offset.npartitions} partitions, X has {X.npartitions}; they must agree")
    return offset


def _features(model: Any, table: Any) -> Any:
    """Check the columns of a table without rows, and make its features."""
    if model.encoding is None:
        return open_table(table, model.samples, model.feature_names)[0]
    return model.encoding.dense(table, model.samples)


def _refuse_other(model: Any, X: Any) -> None:
    n_x, rows = model.w.shape[0], model.samples == "rows"
    if X.ndim != 2 or X.shape[1 if rows else 0] != n_x:
        expected = f"(m, {n_x})" if rows else f"({n_x}, m)"
        raise ValueError(f"X must have the shape {expected}; got a dask array of the shape {X.shape}")


def _empty(shape: tuple[int, ...], like: Any, classes: np.ndarray, values: int) -> Any:
    """Make the prediction for no samples: where the blocks live, or in NumPy if the labels are strings."""
    empty = np.empty(shape, computing_dtype(like) if values else classes.dtype)
    matrix = kind_of(like, True)  # dask knows a block of a sparse X as its library has it
    home = place_of(like) if matrix is None else matrix.home
    return empty if empty.dtype.kind in "US" else home.put(empty)


def samples_on_dask(model: Any, X: Any, Y: Any, sample_weight: Any, targets: str, offset: Any = None) -> Distributed:
    """Put a collection on the workers, with labels among those of the model, and centred as in its fit."""
    expect_usable(model, offset)
    if not hasattr(X, "columns"):
        _refuse_other(model, X)
    elif model.feature_names is not None:
        _features(model, X._meta)
        encoding = model.encoding
        X = X[list(model.feature_names if encoding is None else encoding.table_names)]
    known = {"classes": model.classes, "encoding": model.encoding, "offset": offset}
    parts = share_out(X, Y, sample_weight, samples=model.samples, targets=targets, **known)
    return parts.source() if model.center is None else parts.source().centered(to_host(model.center))
