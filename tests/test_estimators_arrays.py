"""Estimators on arrays of any library and on tables, and models as estimators of scikit-learn."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from conftest import AS_IN_1_9, QUICK, place_or_skip
from sklearn import linear_model
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import xlogreg
from xlogreg import LogisticRegression
from xlogreg.arrays.place import dtype_name, name_of, place_of, to_host

pytestmark = AS_IN_1_9


def test_arrays_of_any_library_go_through_a_pipeline(where, two_rows):
    X, y = two_rows
    predicted = through_a_pipeline(where, X, y, where.asarray(y, "int32"))
    assert name_of(predicted) == where.place.name


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_sparse_parameters_predict_as_dense_ones_do(where, three_rows):
    X, y = three_rows
    ours = LogisticRegression().fit(where.asarray(X), y)
    dense, expected = ours.coef_, to_host(ours.predict_proba(where.asarray(X)))
    assert ours.sparsify() is ours
    assert scipy.sparse.issparse(ours.coef_)
    np.testing.assert_array_equal(ours.coef_.toarray(), to_host(dense))
    np.testing.assert_array_equal(to_host(ours.predict_proba(where.asarray(X))), expected)
    assert ours.densify() is ours.densify() is ours
    assert place_of(ours.coef_) == place_of(dense)
    np.testing.assert_array_equal(to_host(ours.coef_), to_host(dense))
    ours.set_params(warm_start=True).sparsify().fit(where.asarray(X), y)
    assert place_of(ours.coef_) == place_of(dense)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_labels_may_be_strings_whatever_X_is(where, three_rows):
    X, y = three_rows
    assert isinstance(through_a_pipeline(where, X, y, y), np.ndarray)


def through_a_pipeline(where, X, y, labels):
    host = LogisticRegression().fit(X, y)
    Z = where.asarray(X)
    pipeline = make_pipeline(FunctionTransformer(), LogisticRegression()).fit(Z, labels)
    ours = pipeline[-1]
    rtol = 1e-6 if where.dtype == "float64" else 1e-3
    where.check(ours.coef_, host.coef_, rtol=rtol)
    where.check(ours.intercept_, host.intercept_, rtol=rtol)
    where.check(pipeline.predict_proba(Z), host.predict_proba(X), rtol=rtol)
    where.check(pipeline.predict_log_proba(Z), host.predict_log_proba(X), rtol=rtol)
    where.check(pipeline.decision_function(Z), host.decision_function(X), rtol=rtol)
    np.testing.assert_array_equal(to_host(pipeline.predict(Z)), host.predict(X))
    assert pipeline.score(Z, labels) == host.score(X, y)
    assert isinstance(ours.classes_, np.ndarray)
    moved = ours.to("numpy")
    assert name_of(ours.coef_) == where.place.name
    assert isinstance(moved.coef_, np.ndarray)
    np.testing.assert_allclose(moved.predict_proba(X), host.predict_proba(X), rtol=rtol, atol=1e-6)
    return pipeline.predict(Z)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_weights_may_live_on_the_host_and_X_elsewhere(where, two_rows):
    X, y = two_rows
    weight = np.linspace(0.1, 2.0, len(y))
    ours = LogisticRegression(class_weight="balanced").fit(where.asarray(X), y, weight)
    host = LogisticRegression(class_weight="balanced").fit(X, y, weight)
    where.check(ours.coef_, host.coef_, rtol=1e-6 if where.dtype == "float64" else 1e-3)
    assert ours.score(where.asarray(X), y, weight) == pytest.approx(host.score(X, y, weight))


def test_float32_of_large_means_predicts_with_what_rounding_took():
    place_or_skip("array-api-strict")
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((500, 3)) + 2020).astype(np.float32)
    y = (X[:, 0] - X[:, 1] > rng.logistic(size=500)).astype(int)
    ours, wide = LogisticRegression().fit(X, y), LogisticRegression().fit(X.astype(float), y)
    assert dtype_name(ours.coef_) == dtype_name(ours.intercept_) == "float32"
    expected = wide.predict_proba(X.astype(float))
    for same in (ours, pickle.loads(pickle.dumps(ours)), ours.to("array-api-strict").to("numpy"), ours.to_sklearn()):
        np.testing.assert_allclose(same.predict_proba(X), expected, atol=2e-5)
    ours.intercept_ = ours.intercept_ + np.float32(1.0)  # and what a user sets, counts
    moved = wide.decision_function(X.astype(float)) + 1.0
    np.testing.assert_allclose(ours.decision_function(X), moved, atol=1e-3)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_keep_the_names_of_their_columns(library, two_rows):
    X, y = two_rows
    module = pytest.importorskip(library)
    columns = {name: X[:, number] for number, name in enumerate("abcd")}
    frame = (module.table if library == "pyarrow" else module.DataFrame)(columns)
    other = (module.table if library == "pyarrow" else module.DataFrame)({n: columns[n] for n in "bacd"})
    ours = LogisticRegression().fit(frame, y)
    assert ours.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(ours.predict(frame), LogisticRegression().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        ours.predict(other)
    with pytest.warns(UserWarning, match="fitted with feature names"):
        ours.predict(X)
    assert ours.to_sklearn().feature_names_in_.tolist() == list("abcd")
    assert not hasattr(ours.fit(X, y), "feature_names_in_")


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_a_model_becomes_an_estimator_of_scikit_learn(where, problem, three_classes):
    for X, Y in (problem, three_classes):
        becomes_an_estimator(xlogreg.fit(where.asarray(X), Y, l2=1e-2), X)


@pytest.mark.parametrize(
    "options",
    [
        {"bias": False},
        {"standardize": True, "l2": 0.1},
        {"solver": "gd", "loss": "squared_error", "standardize": True},
        {"targets": "probabilities"},
    ],
    ids=str,
)
def test_models_of_any_kind_become_estimators(problem, options):
    X, Y = problem
    becomes_an_estimator(xlogreg.fit(X, Y * 0.8 + 0.1 if "targets" in options else Y, **options), X)


def becomes_an_estimator(model, X):
    theirs = model.to_sklearn()
    assert type(theirs) is linear_model.LogisticRegression
    assert theirs.coef_.dtype == np.float64
    assert theirs.coef_.shape == model.w.shape[::-1]
    np.testing.assert_allclose(theirs.predict_proba(X.T).T, to_host(model.predict_proba(X)), atol=1e-6)
    np.testing.assert_array_equal(theirs.predict(X.T), to_host(model.predict(X))[0])


def test_parameters_that_a_user_sets_predict(three_rows):
    X, y = three_rows
    theirs = linear_model.LogisticRegression().fit(X, y)
    ours = LogisticRegression()
    ours.coef_, ours.intercept_, ours.classes_ = theirs.coef_, theirs.intercept_, theirs.classes_
    for same in (ours, ours.to_sklearn()):
        np.testing.assert_allclose(same.predict_proba(X), theirs.predict_proba(X), rtol=1e-10)


def test_a_model_without_parameters_becomes_no_estimator(two_rows):
    X, y = two_rows
    with pytest.warns(xlogreg.ConvergenceWarning):
        models = xlogreg.fit_many(X, [y], l2s=0.1, sample_weights=[y, y * 0 + 1], samples="rows")
    with pytest.raises(ValueError, match="not finite"):
        models[0].to_sklearn()
