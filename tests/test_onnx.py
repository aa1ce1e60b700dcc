"""ONNX: what onnxruntime predicts from an exported model, estimator or pipeline is what is predicted here."""

import sys

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import xlogreg
from xlogreg import LogisticRegression, LogisticRegressionCV

skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx converts estimators (the extra onnx)")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime runs ONNX (the extra test)")

CLOSE = {"float64": 1e-12, "float32": 1e-6}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
NUMBERS = np.argmax(X[:, :3] + RNG.gumbel(size=(120, 3)), axis=1)
LABELS = {
    "two": (NUMBERS > 0).astype(int),
    "three": NUMBERS - 1,
    "strings": np.asarray(["no", "yés"])[(NUMBERS > 0).astype(int)],
    "objects": np.asarray(["a", "b", "ccc"], dtype=object)[NUMBERS],
    "bools": NUMBERS > 0,
}


def run(onnx_model, X):
    """Labels and probabilities from onnxruntime."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(onnx_model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, X if isinstance(X, dict) else {"X": X})


def check(fitted, onnx_model, X, given=None):
    """Predictions of an estimator for X, and from its ONNX, are the same."""
    labels, probabilities = run(onnx_model, X if given is None else given)
    np.testing.assert_array_equal(labels, fitted.predict(X))
    wanted = fitted.predict_proba(X)
    assert probabilities.shape == wanted.shape
    atol = CLOSE[probabilities.dtype.name]
    np.testing.assert_allclose(probabilities, wanted, rtol=0.0, atol=atol)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("labels", LABELS)
def test_estimators_predict_the_same_from_onnx(labels, dtype):
    fitted = LogisticRegression().fit(X, LABELS[labels])
    check(fitted, xlogreg.to_onnx(fitted, dtype=dtype), X.astype(dtype))
    without = LogisticRegression(fit_intercept=False, C=10.0).fit(X, LABELS[labels])
    check(without, xlogreg.to_onnx(without, dtype=dtype), X.astype(dtype))


COMPOSED = {
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "search": lambda: GridSearchCV(make_pipeline(LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2),
    "cross-validated": lambda: LogisticRegressionCV(Cs=[0.1, 1.0], cv=2),
    "calibrated": lambda: CalibratedClassifierCV(LogisticRegression(), cv=2),
    "one versus rest": lambda: OneVsRestClassifier(LogisticRegression()),
}


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("kind", COMPOSED)
def test_whatever_holds_an_estimator_converts_as_it_is(kind, dtype):
    for labels in ("two", "three"):
        fitted = COMPOSED[kind]().fit(X, LABELS[labels])
        check(fitted, xlogreg.to_onnx(fitted, dtype=dtype), X.astype(dtype))


MODELS = {  # options of a fit, and whether they need columns
    "columns": {"samples": "columns"},
    "standardised": {"standardize": True, "l2": 0.01},
    "prior": {"prior": [0.9, 0.1]},
    "firth": {"bias_reduction": "flic"},
    "no bias": {"bias": False, "l2": 0.01},
}


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("case", MODELS)
def test_models_take_rows_in_onnx(case, dtype):
    options = {"samples": "rows"} | MODELS[case]
    columns = options["samples"] == "columns"
    model = xlogreg.fit(X.T if columns else X, LABELS["two"], **options)
    labels, probabilities = run(xlogreg.to_onnx(model, dtype=dtype), X.astype(dtype))
    same = X.T if columns else X
    wanted = model.predict_proba(same.astype(dtype))
    np.testing.assert_array_equal(labels, np.ravel(model.predict(same)))
    np.testing.assert_allclose(probabilities, wanted.T if columns else wanted, rtol=0.0, atol=CLOSE[dtype])


def test_a_centre_keeps_the_digits_of_features_with_large_means():
    far = (X + 2020.0).astype(np.float32)
    model = xlogreg.fit(far, LABELS["two"], samples="rows")
    assert model.center is not None
    _, probabilities = run(xlogreg.to_onnx(model, dtype="float32"), far)
    np.testing.assert_allclose(probabilities, model.predict_proba(far), rtol=0.0, atol=CLOSE["float32"])


@pytest.mark.parametrize("dtype", CLOSE)
def test_both_tails_are_exact(dtype):
    model = xlogreg.fit(np.asarray([[-1.0], [1.0], [-2.0], [2.0]]), [0, 1, 1, 0], samples="rows", l2=0.1)
    scaled = LogisticRegression().fit(X[:, :1], LABELS["two"])
    scaled.coef_, scaled.intercept_ = np.asarray([[1.0]]), np.asarray([0.0])
    far = np.asarray([[-60.0], [60.0], [0.0]], dtype=dtype)
    labels, probabilities = run(xlogreg.to_onnx(scaled, dtype=dtype), far)
    np.testing.assert_allclose(probabilities, scaled.predict_proba(far), rtol=1e-12 if dtype == "float64" else 1e-5)
    assert labels.tolist() == [0, 1, 0]  # the first class has a score of exactly 0
    assert run(xlogreg.to_onnx(model), np.zeros((0, 1)))[1].shape == (0, 2)


def test_frames_with_text_convert_by_their_columns():
    polars = pytest.importorskip("polars", reason="polars makes the frame (the extra cli)")
    frame = polars.DataFrame({"a": X[:, 0], "b": X[:, 1], "city": np.asarray(["P", "L", "R"])[NUMBERS]})
    columns = ColumnTransformer([("numbers", StandardScaler(), ["a", "b"]), ("city", OneHotEncoder(), ["city"])])
    fitted = make_pipeline(columns, LogisticRegression()).fit(frame, LABELS["two"])
    given = {"a": X[:, :1], "b": X[:, 1:2], "city": frame["city"].to_numpy().astype(object)[:, None]}
    check(fitted, xlogreg.to_onnx(fitted, frame.head(1)), frame, given)


def test_after_the_registration_skl2onnx_converts_with_its_options():
    xlogreg.register_onnx()
    xlogreg.register_onnx()  # more than once changes nothing
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, LABELS["two"])
    few = X.astype(np.float32)[:3]
    check(fitted, skl2onnx.to_onnx(fitted, few, options={"zipmap": False}), few)
    initial = [("X", skl2onnx.common.data_types.DoubleTensorType([None, 4]))]
    check(fitted, skl2onnx.convert_sklearn(fitted, initial_types=initial, options={"zipmap": False}), X)
    dictionaries = run(skl2onnx.to_onnx(fitted, few), few)[1]
    assert [list(one) for one in dictionaries] == [[0, 1]] * 3
    last = fitted[-1]
    scores = run(skl2onnx.to_onnx(last, X[:3], options={"zipmap": False, "raw_scores": True}), X[:3])[1]
    np.testing.assert_allclose(scores, np.outer(last.decision_function(X[:3]), [-1.0, 1.0]), rtol=1e-12)
    numbered = LogisticRegression().fit(X, LABELS["strings"])
    labels = run(skl2onnx.to_onnx(numbered, X[:3], options={"zipmap": False, "nocl": True}), X[:3])[0]
    np.testing.assert_array_equal(numbered.classes_[labels], numbered.predict(X[:3]))
    options = {"zipmap": False, "output_class_labels": True}
    assert run(skl2onnx.to_onnx(last, X[:3], options=options), X[:3])[2].tolist() == [0, 1]
    whole = np.rint(X[:3]).astype(np.int64)
    check(last, skl2onnx.to_onnx(last, whole, options={"zipmap": False}), whole)


def test_arrays_of_other_libraries_tell_the_inputs(where):
    fitted = LogisticRegression().fit(where.asarray(X), LABELS["two"])
    onnx_model = xlogreg.to_onnx(fitted, where.asarray(X[:2]))
    probabilities = run(onnx_model, X.astype(where.dtype))[1]
    assert probabilities.dtype == where.dtype
    host = fitted.to("numpy")
    np.testing.assert_allclose(
        probabilities, host.predict_proba(X.astype(where.dtype)), rtol=0.0, atol=CLOSE[where.dtype]
    )


def frame():
    polars = pytest.importorskip("polars", reason="polars makes the frame (the extra cli)")
    return polars.DataFrame({"a": X[:, 0], "city": np.asarray(["P", "L", "R"])[NUMBERS]})


def far_too_large():
    fitted = LogisticRegression().fit(X, LABELS["two"])
    fitted.coef_ = fitted.coef_ * 1e60
    return fitted


BAD = {
    "offset": (
        lambda: xlogreg.fit(X, LABELS["two"], samples="rows", offset=X[:, 0]),
        ValueError,
        "fitted with an offset, which is no input",
    ),
    "offset of an estimator": (
        lambda: LogisticRegression().fit(X, LABELS["two"], offset=X[:, 0]),
        ValueError,
        "fitted with an offset",
    ),
    "categories": (
        lambda: xlogreg.fit(frame(), LABELS["two"], samples="rows", categorical_features=["city"], l2=0.1),
        ValueError,
        "put OneHotEncoder or SimpleImputer",
    ),
    "labels": (
        lambda: xlogreg.fit(X, np.asarray([1, 2**63], dtype=np.uint64)[LABELS["two"]], samples="rows"),
        ValueError,
        r"strings or whole numbers below 2\*\*63, not \[1, 9223372036854775808\]",
    ),
    "not fitted": (LogisticRegression, NotFittedError, "not fitted yet"),
    "no estimator": (lambda: 3, TypeError, "model must be a Model, or a fitted estimator or pipeline, not 3"),
    "a class": (lambda: LogisticRegression, TypeError, "model must be a Model"),
    "too large": (far_too_large, ValueError, "not finite in float32"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_onnx_is_refused_by_name(case):
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        xlogreg.to_onnx(make(), dtype="float32")


def test_the_dtype_is_one_of_two():
    with pytest.raises(ValueError, match="dtype must be 'float64' or 'float32'"):
        xlogreg.to_onnx(LogisticRegression().fit(X, LABELS["two"]), dtype="float16")


def test_without_skl2onnx_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "xlogreg\[onnx\]"'):
        xlogreg.to_onnx(LogisticRegression().fit(X, LABELS["two"]))
