"""Check the input of estimators as scikit-learn understands it: samples in rows, labels, weights, parameters.

Arrays are taken as they are, after a check of their shape: the fit itself finds out if X is not finite. Everything else
goes through scikit-learn's own checks, so errors have scikit-learn's words.
"""

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from xlogreg.arrays.choice import Where
from xlogreg.arrays.kinds import kind_of
from xlogreg.arrays.matrix import Dense, Matrix
from xlogreg.arrays.place import Array, Place, is_array, place_of, to_host
from xlogreg.exceptions import shown
from xlogreg.inputs import door
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.door import learn_features
from xlogreg.inputs.frames import numbers_of
from xlogreg.inputs.labels import as_weight, encode_targets
from xlogreg.inputs.matrices import as_matrix
from xlogreg.inputs.tables import column_values, is_collection, is_nullable, open_frame
from xlogreg.samples.cluster.distributed import Shards
from xlogreg.samples.cluster.from_dask import share_out

__all__ = [
    "class_factors",
    "home_of",
    "is_foreign",
    "learn_table",
    "refuse_flags",
    "refuse_number",
    "refuse_state",
    "take_collection",
    "take_features",
    "take_labels",
    "take_truth",
    "take_weight",
]


def is_foreign(value: Any) -> bool:
    """Whether ``value`` is an array of a library other than NumPy."""
    return is_array(value) and not isinstance(value, (np.ndarray, np.generic))


def home_of(X: Array | Matrix) -> Place:
    """Return the place where X lives."""
    return X.home if hasattr(X, "home") else place_of(X)


def take_collection(
    estimator: Any, X: Any, y: Any, sample_weight: Any, table: TableOptions, offset: Any = None
) -> Shards:
    """Take what belongs to samples of dask collections, on the workers; store the features in the estimator."""
    where = Where(estimator.backend, estimator.device)
    parts = share_out(X, y, sample_weight, samples="rows", where=where, table=table, offset=offset)
    estimator._encoding = parts.encoding
    names = parts.names if parts.encoding is None else parts.encoding.table_names
    estimator.n_features_in_ = parts.n_x if parts.encoding is None else len(parts.encoding.columns)
    estimator.__dict__.pop("feature_names_in_", None)
    if names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    return parts


def learn_table(estimator: Any, X: Any, sample_weight: Any, table: TableOptions) -> Array | Matrix:
    """Return X (m, n_x), see `take_features`; if the columns of a table are no plain numbers, store their encoding."""
    estimator._encoding = None
    if not table.used or is_collection(X):
        return take_features(estimator, X, reset=True)
    features = learn_features(X, "rows", table, sample_weight)
    assert features.encoding is not None
    estimator._encoding = features.encoding
    validate_data(estimator, X, reset=True, skip_check_array=True)  # which stores the names, if they are text
    return plain(features.X)


def plain(matrix: Matrix) -> Array | Matrix:
    """Return the array of a matrix that is dense."""
    return matrix.array if isinstance(matrix, Dense) else matrix


def take_features(estimator: Any, X: Any, *, reset: bool) -> Array | Matrix:
    """Return X (m, n_x) as an array of numbers, unchanged if it is one; or as a matrix of another kind.

    With ``reset``, the estimator stores the number of features and their names. Without, they are compared with those
    that it has, and the columns of a table are encoded as those of the fitted table were.
    """
    if callable(X):
        raise TypeError("X is a function: factories of blocks are for xlogreg.fit, which wants no y beside them")
    if is_collection(X):  # checked when its blocks are predicted
        return X
    if not reset and estimator._encoding is not None:
        if open_frame(X, "rows") is None:
            raise TypeError(f"X must be a table, as the fitted X was, not {type(X).__name__}")
        validate_data(estimator, X, reset=False, skip_check_array=True)  # raises if other columns are there
        return plain(door.take_features(X, "rows", encoding=estimator._encoding).X)
    odd = is_foreign(X) or isinstance(X, np.ma.MaskedArray)  # `as_matrix` refuses the last
    if odd or kind_of(X, True) is not None:
        matrix = as_matrix(X, "rows")
        X = plain(matrix)
    elif not (type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind in "fiub" and 0 not in X.shape):
        try:
            return validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32, np.int64, np.uint64])
        except ValueError as error:
            if "could not convert string" not in str(error) or open_frame(X, "rows") is None:
                raise
            raise ValueError(f"{error}; take columns of text as categories: categorical_features=[...]") from None
    if reset:
        estimator.n_features_in_ = X.shape[1]
        estimator.__dict__.pop("feature_names_in_", None)
    elif hasattr(estimator, "feature_names_in_") or X.shape[1] != getattr(estimator, "n_features_in_", X.shape[1]):
        validate_data(estimator, X, reset=False, skip_check_array=True)  # warns or raises if they differ
    return X


def take_labels(estimator: Any, y: Any, m: int) -> Array:
    """Check the labels (m,) of m samples, an array of any library, and return them."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    if is_nullable(y):  # scikit-learn makes floats of these, which merges large labels
        y = column_values(y, "y")
    if is_foreign(y):
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    elif not (type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biuUS"):
        y = column_or_1d(y, warn=True)
        y = _plain(y)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
    if y.ndim != 1 or y.shape[0] != m:
        raise ValueError(f"X holds {m} samples, so y must have the shape ({m},); got {tuple(y.shape)}")
    return y


def take_truth(y: Any) -> Any:
    """Convert labels or weights to what scikit-learn's metrics take."""
    return to_host(y) if is_foreign(y) else _plain(y)


def _plain(y: Any) -> Any:
    """Give numbers that came as objects a numeric dtype: scikit-learn does not know them as labels."""
    found = numbers_of(np.asarray(y)) if getattr(getattr(y, "dtype", None), "kind", "") == "O" else None
    return y if found is None else found


def take_weight(sample_weight: Any, class_weight: Any, y: Array, place: Place) -> Array | None:
    """The weights of the samples times those of their classes (1, m), on ``place``; None if neither are given."""
    m, xp = y.shape[0], place.xp
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(m, sample_weight)
    weight = as_weight(sample_weight, m)
    if class_weight is None and weight is None:
        return None
    with place.computing():
        if weight is None:
            weight = xp.ones((1, m), dtype=place.dtype(place.widest), device=place.device)
        weight = place.put(weight, place.widest)
        if class_weight is None:
            return weight
        encoded = encode_targets(y, (m, 0), "rows", "labels")
        labels, K = place.put(encoded.Y, "int32"), len(encoded.classes)

        def masses() -> np.ndarray:
            return np.asarray([float(xp.sum(weight * xp.astype(labels == k, weight.dtype))) for k in range(K)])

        factors = class_factors(class_weight, encoded.classes, masses)
        return weight * xp.take(place.put(factors, place.widest), xp.reshape(labels, (-1,)), axis=0)


def class_factors(class_weight: Any, classes: np.ndarray, weights: Callable[[], np.ndarray]) -> np.ndarray:
    """The factors (K,) for the weights of each class; ``weights`` returns the sum of the weights of each class."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        masses = weights()
        return np.sum(masses) / (len(classes) * np.where(masses > 0, masses, 1.0))
    factors = compute_class_weight(class_weight, classes=classes, y=classes)
    if not np.all(np.isfinite(factors) & (factors >= 0)):
        raise ValueError(f"class_weight must be finite and not negative; got {factors.tolist()} for {classes.tolist()}")
    if not np.all(factors):
        label = classes.tolist()[int(np.argmin(factors))]
        raise ValueError(f"class_weight is 0 for the class {label!r}, which would be fitted to no sample; leave it out")
    return factors


def refuse_number(name: str, value: Any, zero: bool = False) -> None:
    """Refuse a value that is not a number above 0 (or 0, with ``zero``); infinity is allowed."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, not {shown(value)}")
    try:
        number = float(value)
    except OverflowError:  # the integer is too large for a float
        number = math.nan
    if not (number > 0 or (zero and number == 0)):
        raise ValueError(f"{name} must be {'0 or more' if zero else 'above 0'}, as a float, not {shown(value)}")


def refuse_flags(estimator: Any) -> None:
    """Refuse an estimator whose flags are not True or False."""
    for name in ("fit_intercept", "warm_start", "refit"):
        value = getattr(estimator, name, False)
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} must be True or False, not {shown(value)}")


def refuse_state(state: Any) -> None:
    """Refuse a random_state that scikit-learn would refuse."""
    whole = isinstance(state, numbers.Integral) and int(state) >= 0
    if not (whole or state is None or isinstance(state, np.random.RandomState)):
        raise ValueError(f"random_state must be a whole number >= 0, a RandomState or None, not {shown(state)}")
