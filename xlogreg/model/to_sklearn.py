"""Models in the form that other libraries use: on the host, in float64, for X as it is handed in."""

import inspect
import math
from typing import Any

import numpy as np

from xlogreg.arrays.place import to_host

__all__ = ["bias_at", "folded", "has_bias", "to_sklearn", "with_labels"]


def folded(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return W (n_x, k) and b (k,) with the centre of the model folded into b, without rounding to its dtype.

    The shift of the scores is not in b.
    """
    w, b = to_host(model.w).astype(np.float64), to_host(model.b).astype(np.float64)
    if model.center is not None:
        b = to_host(model.centered_b).astype(np.float64) - w.T @ to_host(model.center).astype(np.float64)
    return w, b[:, 0]


def bias_at(model: Any, center: np.ndarray) -> np.ndarray:
    """Return the bias (k, 1) of a model for X - center, center (n_x, 1), without computing the bias for X first."""
    own = (model.b, 0.0) if model.center is None else (model.centered_b, to_host(model.center))
    return to_host(own[0]).astype(np.float64) + to_host(model.w).astype(np.float64).T @ (center - own[1])


def has_bias(model: Any) -> bool:
    """Whether the model was fitted with a bias; files of earlier versions tell it only by a covariance of zeros."""
    k = model.w.shape[1]
    held = not isinstance(model.covariance, str) and not model.covariance[-k:, -k:].any()
    return bool(model.bias) and not held


def to_sklearn(model: Any) -> Any:
    """Return a fitted `sklearn.linear_model.LogisticRegression` with the same predictions.

    skops and other tools ask for that class. For ONNX there is `xlogreg.to_onnx`.

    Its parameters are on the host, in float64; its samples are rows, also if those of the model are columns. Its C is
    1 / ((l1 + l2) s), and infinite without a penalty; its l1_ratio is l1 / (l1 + l2), and its solver "saga" if there is
    L1. They are scikit-learn's defaults if the model does not know its penalty, if the factors of features differ, or
    if it is relaxed. After ``standardize``, C is for the standardised features. Its intercept has ``score_shift``, too.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    ValueError
        If parameters of the model are not finite, or if it was fitted with an offset, which scikit-learn's has not.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> model = xlogreg.fit(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), ["no", "yes", "no", "yes"])
    >>> model.to_sklearn().predict([[-3.0], [3.0]])
    array(['no', 'yes'], dtype='<U3')
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError as error:
        raise ImportError('to_sklearn needs scikit-learn: pip install "xlogreg[sklearn]"') from error
    if model.offset:
        raise ValueError("the model was fitted with an offset, which LogisticRegression of scikit-learn cannot take")
    w, b = folded(model)
    if not (np.all(np.isfinite(w)) and np.all(np.isfinite(b))):
        raise ValueError("the model has no parameters to export: they are not finite")
    estimator = LogisticRegression(**_penalty_of(model, LogisticRegression().get_params()))
    shift = 0.0 if model.score_shift is None else model.score_shift
    estimator.coef_, estimator.intercept_ = np.ascontiguousarray(w.T), b + shift
    estimator.classes_, estimator.n_features_in_ = model.classes, w.shape[0]
    # fit_info is None if the parameters of an estimator were set, not fitted
    estimator.n_iter_ = np.asarray([0 if model.fit_info is None else model.fit_info.iterations], dtype=np.int32)
    if model.feature_names is not None:
        estimator.feature_names_in_ = np.asarray(model.feature_names, dtype=object)
    return estimator


def _penalty_of(model: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    """Make the arguments of scikit-learn's estimator; none if they are not known, or if features have different ones.

    ``defaults`` are those of the estimator.
    """
    total = None if model.fit_info is None else model.fit_info.total_weight
    if model.l1 is None or model.l2 is None or total is None or not (model.relax is None is model.bias_reduction):
        return {}
    both = model.l1 + model.l2
    strengths = both * total * np.unique(1.0 if model.penalty_factor is None else model.penalty_factor)
    if len(set(strengths.tolist())) > 1:
        return {}
    strength = float(strengths[0])
    if not strength > 0.0:
        return {"C": math.inf}
    if not model.l1:
        return {"C": 1.0 / strength}
    # before version 1.8, l1_ratio does nothing without this name
    named = {"penalty": "elasticnet"} if defaults.get("penalty") == "l2" else {}
    return {"C": 1.0 / strength, "l1_ratio": model.l1 / both, "solver": "saga"} | named


def with_labels(scorer: Any, classes: np.ndarray) -> Any:
    """Return the scorer of scikit-learn, told all classes if it asks for labels, since a fold may lack some.

    `LogisticRegressionCV` of scikit-learn does the same.
    """
    function = getattr(scorer, "_score_func", None)
    asked = {} if function is None else inspect.signature(function).parameters
    if "labels" not in asked or not hasattr(scorer, "_response_method"):
        return scorer
    from sklearn.metrics import make_scorer

    positive = {"pos_label": classes[-1]} if len(classes) == 2 and "pos_label" in asked else {}
    options = {"labels": classes} | positive | scorer._kwargs
    return make_scorer(
        function, response_method=scorer._response_method, greater_is_better=scorer._sign == 1, **options
    )
