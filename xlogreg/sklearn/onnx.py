"""Models, estimators and pipelines as ONNX, by skl2onnx: converters of our estimators, and one call. Samples are rows.

The graph is scores = (X - center) W + b, with a score of zero for the first of two classes, and then a softmax: both
tails of the probabilities are exact, as they are here. The label is the class of the largest score.
"""

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from xlogreg.arrays.place import is_array, to_host
from xlogreg.exceptions import one_of
from xlogreg.model.model import Model
from xlogreg.model.to_sklearn import bias_at, folded
from xlogreg.sklearn.logistic import LogisticRegression
from xlogreg.sklearn.logistic_cv import LogisticRegressionCV

__all__ = ["register_onnx", "to_onnx"]

DTYPES = ("float64", "float32")


def to_onnx(model: Any, X: Any = None, *, dtype: str = "float64", **options: Any) -> Any:
    """Convert a fitted model, an estimator, or a pipeline or search of scikit-learn that holds one, to ONNX.

    The graph takes samples as rows, also if those of the model are columns. It gives their labels (m,), which are int64
    unless they are strings, and their probabilities (m, K) in the order of the classes.

    Parameters
    ----------
    model : Model, or fitted estimator of scikit-learn's kind
    X : array or frame (m, n_features), optional
        A few samples, for the names and dtypes of the inputs. A pipeline that selects columns by their names needs it.
        Default: one input "X" of the dtype that is given.
    dtype : {"float64", "float32"}
        Of the default input, and so of the probabilities and of what lies between. float64 keeps the digits of
        predictions here. float32 is what browsers and most accelerators compute with. With X, its dtypes decide
        instead; for a pipeline with columns of strings, skl2onnx computes in float32.
    **options
        Further arguments of ``skl2onnx.to_onnx``, such as ``target_opset``. By default, ``options={"zipmap": False}``:
        probabilities are an array, and not a list with a dictionary for each sample.

    Returns
    -------
    onnx.ModelProto
        Its method ``SerializeToString`` gives the bytes of a file.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.
    ValueError, TypeError
        If the model was fitted with an offset; if it makes features of categories, missing values or a formula, which a
        pipeline should do; if its labels are neither strings nor whole numbers below 2**63; or if its parameters are
        not finite.

    Examples
    --------
    >>> import pathlib, numpy as np, xlogreg
    >>> model = xlogreg.fit(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), ["no", "yes", "no", "yes"])
    >>> found = xlogreg.to_onnx(model)  # doctest: +SKIP
    >>> pathlib.Path("model.onnx").write_bytes(found.SerializeToString())  # doctest: +SKIP
    """
    register_onnx()
    import skl2onnx

    one_of("dtype", dtype, DTYPES)
    estimator = _as_estimator(model) if isinstance(model, Model) else model
    if isinstance(model, type) or not hasattr(estimator, "fit"):
        raise TypeError(f"model must be a Model, or a fitted estimator or pipeline, not {model!r}")
    check_is_fitted(estimator)
    if is_classifier(estimator):
        options.setdefault("options", {"zipmap": False})
    if "initial_types" not in options:
        options["initial_types"] = _inputs(estimator, X, dtype)
    return skl2onnx.to_onnx(estimator, **options)


def _inputs(estimator: Any, X: Any, dtype: str) -> list[tuple[str, Any]]:
    """Name the inputs, each with its type: a matrix, or a column of each name of a frame."""
    from skl2onnx.common.data_types import guess_data_type

    if hasattr(X, "columns"):
        columns = {name: np.asarray(X[name])[:, None] for name in X.columns}
    elif X is not None:
        columns = {"X": to_host(X) if is_array(X) else np.asarray(X)}
    elif hasattr(estimator, "n_features_in_"):
        columns = {"X": np.zeros((0, estimator.n_features_in_), dtype)}
    else:
        raise ValueError(f"pass X, a few samples: {type(estimator).__name__} does not tell how many features it takes")
    types = {name: guess_data_type(values)[0][1] for name, values in columns.items()}
    for kind in types.values():
        kind.shape = [None, kind.shape[1]]  # any number of samples
    return list(types.items())


def register_onnx() -> None:
    """Let skl2onnx convert our estimators, wherever they stand in a pipeline; `to_onnx` does this by itself.

    After it, call ``skl2onnx.to_onnx`` or ``skl2onnx.convert_sklearn`` as for estimators of scikit-learn. Options are
    "zipmap", "nocl", "output_class_labels" and "raw_scores".

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    """
    try:
        import skl2onnx
    except ModuleNotFoundError as error:
        raise ImportError('ONNX needs skl2onnx: pip install "xlogreg[onnx]"') from error
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    switch = [True, False]
    options = {"zipmap": [True, False, "columns"], "nocl": switch, "output_class_labels": switch, "raw_scores": switch}
    for kind in (LogisticRegression, LogisticRegressionCV):
        skl2onnx.update_registered_converter(
            kind, f"Xlogreg{kind.__name__}", calculate_linear_classifier_output_shapes, _convert, options=options
        )


def _as_estimator(model: Model) -> LogisticRegression:
    """Make an estimator with the predictions of a model."""
    _expect_plain(model)
    estimator = LogisticRegression()
    estimator.classes_, estimator.n_features_in_ = model.classes, model.w.shape[0]
    estimator._adopt([model])
    if model.score_shift is not None:
        estimator.intercept_ = to_host(estimator.intercept_) + model.score_shift
    return estimator


def _expect_plain(model: Model) -> None:
    if model.offset:
        raise ValueError("the model was fitted with an offset, which is no input of its ONNX: fit without an offset")
    if model.encoding is not None:
        raise ValueError(
            "the model makes features of categories, missing values or a formula; ONNX gets them from a pipeline: put "
            "OneHotEncoder or SimpleImputer of scikit-learn before LogisticRegression"
        )


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a fitted estimator to a graph of skl2onnx."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import DoubleTensorType, guess_proto_type
    from skl2onnx.common.utils_classifier import get_label_classes

    def node(kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or scope.get_unique_variable_name(kind.lower())
        container.add_node(kind, inputs, output, name=scope.get_unique_operator_name(kind), **attributes)
        return output

    def constant(name: str, kind: int, values: np.ndarray) -> str:
        name = scope.get_unique_variable_name(name)
        flat = values.ravel().tolist()
        container.add_initializer(name, kind, values.shape, flat)
        return name

    estimator = operator.raw_operator
    raw = container.get_options(estimator, {"raw_scores": False})["raw_scores"]
    proto = guess_proto_type(operator.outputs[1].type)
    dtype = np.float64 if isinstance(operator.outputs[1].type, DoubleTensorType) else np.float32
    W, b, center = _parameters(estimator._model(), dtype, mirrored=raw)

    X = operator.inputs[0].full_name
    if guess_proto_type(operator.inputs[0].type) != proto:
        X = node("Cast", [X], to=proto)
    if center is not None:
        X = node("Sub", [X, constant("center", proto, center)])
    Z = node("MatMul", [X, constant("W", proto, W)])
    labels, probabilities = (output.full_name for output in operator.outputs)
    Z = node("Add", [Z, constant("b", proto, b)], probabilities if raw else None)
    if not raw:
        node("Softmax", [Z], probabilities, axis=1)
    classes = _labels(get_label_classes(scope, estimator))
    kind = TensorProto.STRING if classes.dtype == object else TensorProto.INT64
    number = node("ArgMax", [Z], axis=1, keepdims=0)  # the first of equal ones, as here
    node("Gather", [constant("classes", kind, classes), number], labels)


def _parameters(model: Model, dtype: Any, mirrored: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return W (n_x, K), b (1, K) and the centre (1, n_x), or None, for rows; the two classes have a score each.

    These are 0 and z, or -z and z with ``mirrored``, as scikit-learn's raw scores are in skl2onnx.
    """
    _expect_plain(model)
    center = None if model.center is None else to_host(model.center).astype(np.float64)
    W, b = folded(model)
    b = b[None, :] if center is None else bias_at(model, center).T
    if len(model.classes) == 2:
        first = -1.0 if mirrored else 0.0
        W, b = (np.concatenate([first * part, part], axis=1) for part in (W, b))
    with np.errstate(over="ignore"):
        W, b = W.astype(dtype), b.astype(dtype)
    if not (np.all(np.isfinite(W)) and np.all(np.isfinite(b))):
        raise ValueError(f"the model has no parameters to export: they are not finite in {np.dtype(dtype).name}")
    return W, b, None if center is None else center.T.astype(dtype)


def _labels(classes: Any) -> np.ndarray:
    """Return labels as encoded strings, of dtype object, or as whole numbers of int64."""
    if all(isinstance(label, str) for label in classes):
        return np.asarray([label.encode() for label in classes], dtype=object)
    classes = np.asarray(classes)
    with np.errstate(invalid="ignore"):
        whole = classes.astype(np.int64)
    if not np.array_equal(whole, classes):
        raise ValueError(f"labels in ONNX are strings or whole numbers below 2**63, not {classes.tolist()[:3]}")
    return whole
