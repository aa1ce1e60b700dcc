"""Models on collections of dask: predictions are collections again, and the workers do the evaluation."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from xlogreg.arrays.kinds import kind_of
from xlogreg.arrays.place import place_of, to_host
from xlogreg.inputs.matrices import computing_dtype
from xlogreg.inputs.tables import is_collection, open_table
from xlogreg.samples.cluster.distributed import Distributed
from xlogreg.samples.cluster.from_dask import share_out

__all__ = ["also_on_dask", "samples_on_dask"]

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
    def of_any(self: Any, X: Any) -> Any:
        return _mapped(self, method.__name__, X) if is_collection(X) else method(self, X)

    return of_any  # type: ignore[return-value]  # the wrapper has the same signature


def _mapped(model: Any, name: str, X: Any) -> Any:
    """Apply the method ``name`` of the model to every block of X; nothing is computed yet."""
    predict, values, rows = getattr(model, name), VALUES[name](model), model.samples == "rows"
    flat = rows and values < 2
    axis = 0 if rows else 1
    if hasattr(X, "columns"):
        like = _features(model, X._meta)
        return X.map_partitions(predict, meta=_empty((0,) if flat else (0, values), like, model.classes, values))
    _refuse_other(model, X)
    X, meta = X.rechunk({1 - axis: -1}), _empty((0,) if flat else (0, 0), X._meta, model.classes, values)
    if flat:
        return X.map_blocks(predict, drop_axis=1, dtype=meta.dtype, meta=meta)
    chunks = [(max(values, 1),), (max(values, 1),)]
    chunks[axis] = X.chunks[axis]
    return X.map_blocks(predict, chunks=tuple(chunks), dtype=meta.dtype, meta=meta)


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


def samples_on_dask(model: Any, X: Any, Y: Any, sample_weight: Any, targets: str) -> Distributed:
    """Put a collection on the workers, with labels among those of the model, and centred as in its fit."""
    if not hasattr(X, "columns"):
        _refuse_other(model, X)
    elif model.feature_names is not None:
        _features(model, X._meta)
        encoding = model.encoding
        X = X[list(model.feature_names if encoding is None else encoding.table_names)]
    known = {"classes": model.classes, "encoding": model.encoding}
    parts = share_out(X, Y, sample_weight, samples=model.samples, targets=targets, **known)
    return parts.source() if model.center is None else parts.source().centered(to_host(model.center))
