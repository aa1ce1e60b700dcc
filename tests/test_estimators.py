"""`xlogreg.LogisticRegression` beside scikit-learn's, inside scikit-learn's tools, and on arrays that those refuse."""

import json
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from conftest import AS_IN_1_9
from sklearn import linear_model
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import xlogreg
from xlogreg import LogisticRegression, LogisticRegressionCV

pytestmark = AS_IN_1_9

OURS = {"categorical_features", "drop", "reference", "unseen", "missing", "penalty_factor", "backend", "device"}
OURS |= {"callback", "time_limit"}


def exact(**parameters):
    return linear_model.LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=1000, **parameters)


def same_attributes(ours, theirs):
    for name in ("coef_", "intercept_", "classes_", "n_iter_"):
        assert getattr(ours, name).shape == getattr(theirs, name).shape, name
        assert getattr(ours, name).dtype == getattr(theirs, name).dtype, name
    assert ours.n_features_in_ == theirs.n_features_in_
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-5)


def same_predictions(ours, theirs, X, y):
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        np.testing.assert_allclose(getattr(ours, method)(X), getattr(theirs, method)(X), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, y) == theirs.score(X, y)


@parametrize_with_checks([LogisticRegression()])
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_every_check_of_array_api_passes():
    pytest.importorskip("array_api_strict")
    run_array_api_checks("LogisticRegression")


def run_array_api_checks(name, **parameters):
    """In an interpreter of its own: SciPy looks at the variable once, when it is imported."""
    program = (
        "import json, sys, warnings, xlogreg\n"
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "warnings.simplefilter('ignore')\n"
        "model = getattr(xlogreg, sys.argv[1])(**json.loads(sys.argv[2]))\n"
        "found = check_estimator(model, on_skip=None, on_fail=None)\n"
        "wrong = [one['check_name'] for one in found if one['status'] == 'failed']\n"
        "ran = [one for one in found if 'array_api' in one['check_name'] and one['status'] == 'passed']\n"
        "assert not wrong, wrong\n"
        "assert len(ran) >= 4, ran"
    )
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    call = [sys.executable, "-c", program, name, json.dumps(parameters)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("parameters", [{}, {"C": 0.03}, {"fit_intercept": False}, {"C": np.inf}], ids=str)
@pytest.mark.parametrize("weights", [None, "balanced", "of samples", "both"])
@pytest.mark.parametrize("data", ["two_rows", "three_rows"])
def test_the_optimum_is_that_of_scikit_learn(request, data, weights, parameters):
    X, y = request.getfixturevalue(data)
    sample_weight = np.linspace(0.0, 2.0, len(y)) if weights in ("of samples", "both") else None
    if weights in ("balanced", "both"):
        parameters = parameters | {"class_weight": "balanced"}
    ours = LogisticRegression(**parameters).fit(X, y, sample_weight)
    theirs = exact(**parameters).fit(X, y, sample_weight)
    same_attributes(ours, theirs)
    same_predictions(ours, theirs, X, y)
    assert ours.fit_info_.converged


def test_weights_of_classes_by_name_are_those_of_scikit_learn(three_rows):
    X, y = three_rows
    weight = {"ant": 3.0, "cow": 0.5}
    same_predictions(LogisticRegression(class_weight=weight).fit(X, y), exact(class_weight=weight).fit(X, y), X, y)
    with pytest.raises(ValueError, match="class_weight"):
        LogisticRegression(class_weight={"ant": 3.0, "dog": 1.0}).fit(X, y)


@pytest.mark.parametrize("name", ["LogisticRegression", "LogisticRegressionCV"])
def test_parameters_have_the_names_order_and_defaults_of_scikit_learn(name):
    theirs = getattr(linear_model, name)().get_params()
    ours = getattr(xlogreg, name)().get_params()
    assert set(ours) == set(theirs) | OURS
    announced = {"l1_ratios": (0.0,), "scoring": "neg_log_loss", "use_legacy_attributes": False}
    assert {key: ours[key] for key in theirs} == theirs | {key: announced[key] for key in announced if key in theirs}
    code = [getattr(module, name).__init__.__code__ for module in (xlogreg, linear_model)]
    named = [one.co_varnames[: one.co_argcount + one.co_kwonlyargcount] for one in code]
    assert named[0][: len(named[1])] == named[1]


def test_the_sum_of_the_weights_is_in_the_penalty(two_rows):
    X, y = two_rows
    ours = LogisticRegression(C=0.5).fit(X, y)
    model = xlogreg.fit(X, y, samples="rows", l2=1 / (0.5 * len(y)))
    np.testing.assert_array_equal(ours.coef_, model.w.T)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
@pytest.mark.parametrize("tol", [1e-4, 1e-9])
def test_no_component_of_the_gradient_exceeds_tol(scale, tol):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 150)) * scale
    y = np.argmax(X[:, :4] / scale + rng.gumbel(size=(3000, 4)), axis=1)
    ours = LogisticRegression(tol=tol, C=10.0).fit(X, y)
    error = ours.predict_proba(X) - (y[:, None] == np.arange(4))
    gradient = error.T @ X / len(y) + ours.coef_ / (10.0 * len(y))
    assert max(np.max(np.abs(gradient)), np.max(np.abs(np.mean(error, axis=0)))) <= tol


def test_a_warm_start_begins_where_the_last_fit_ended(two_rows, three_rows):
    for X, y in (two_rows, three_rows):
        ours = LogisticRegression(warm_start=True).fit(X, y)
        cold = ours.n_iter_[0]
        coef = ours.coef_
        assert ours.fit(X, y).n_iter_[0] < cold
        np.testing.assert_allclose(ours.coef_, coef, rtol=1e-6)
    with pytest.raises(ValueError, match=r"^warm_start=True starts at the coef_ .* \(3, 3\), .* need \(3, 2\)"):
        ours.fit(X[:, :2], y)
    with pytest.raises(ValueError, match=r"^warm_start=True .* need \(1, 3\)"):
        ours.fit(X, y == y[0])
    ours.fit(X, np.char.upper(y))  # as many classes of other names, as scikit-learn takes them


def test_too_few_iterations_warn_as_both_libraries_do(two_rows):
    X, y = two_rows
    with pytest.warns(ConvergenceWarning, match="max_iter=1") as caught:
        ours = LogisticRegression(max_iter=1).fit(X, y)
    assert len(caught) == 1
    assert issubclass(caught[0].category, xlogreg.ConvergenceWarning)
    assert caught[0].filename == __file__
    assert ours.n_iter_.tolist() == [1]


def test_separated_classes_without_a_penalty_warn_and_with_one_do_not():
    X, y = np.asarray([[-2.0], [-1.0], [1.0], [2.0]]), [0, 0, 1, 1]
    with pytest.warns(xlogreg.SeparationWarning):
        LogisticRegression(C=np.inf).fit(X, y)
    LogisticRegression().fit(X, y)


REFUSED = {
    "penalty must be 'l1', 'l2', 'elasticnet' or None, not 'l0'": {"penalty": "l0"},
    "l1_ratio must be a number from 0 to 1, not 2": {"l1_ratio": 2},
    "l1_ratio must be a number from 0 to 1, not True": {"l1_ratio": True},
    "C must be above 0": {"C": 0.0},
    "C must be a number": {"C": "1"},
    "tol must be 0 or more": {"tol": -1.0},
    "solver must be one of 'lbfgs'": {"solver": "auto"},
    "max_iter must be 1 or more": {"max_iter": 0},
    "backend 'abacus' is unknown": {"backend": "abacus"},
    "class_weight": {"class_weight": "even"},
    "class_weight is 0 for the class 1,.* leave it out": {"class_weight": {0: 1, 1: 0}},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_offered_is_refused_by_name(two_rows, message):
    with pytest.raises((ValueError, TypeError), match=message):
        LogisticRegression(**REFUSED[message]).fit(*two_rows)


@pytest.mark.parametrize("solver", ["lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"])
@pytest.mark.parametrize("penalty", ["l2", None, "deprecated"])
def test_every_solver_of_scikit_learn_means_the_same_fit(three_rows, solver, penalty):
    X, y = three_rows
    ours = LogisticRegression(penalty, solver=solver, dual=solver == "liblinear", n_jobs=2, l1_ratio=None).fit(X, y)
    same = LogisticRegression(C=np.inf if penalty is None else 1.0).fit(X, y)
    np.testing.assert_array_equal(ours.coef_, same.coef_)


@pytest.mark.parametrize("kind", [int, bool, np.int64, np.bool_])
def test_labels_that_are_numbers_in_objects_are_numbers(two_rows, kind):
    X, y = two_rows
    objects, plain = np.empty(len(y), dtype=object), LogisticRegression().fit(X, y)
    objects[:] = [kind(value) for value in y]
    for estimator in (LogisticRegression(), LogisticRegressionCV(Cs=[1.0], scoring="accuracy")):
        ours = estimator.fit(X, objects)
        np.testing.assert_array_equal(ours.coef_, plain.coef_)
        assert ours.classes_.dtype == np.asarray([kind(1)]).dtype
        assert ours.score(X, objects) == plain.score(X, y)


def test_input_that_is_wrong_is_refused(two_rows):
    X, y = two_rows
    with pytest.raises(TypeError, match=r"factories of blocks are for xlogreg\.fit"):
        LogisticRegression().fit(lambda: iter([]), [0, 1])
    with pytest.raises(TypeError, match="masked"):
        LogisticRegression().fit(np.ma.masked_less(X, 0), y)
    with pytest.raises(ValueError, match="one class"):
        LogisticRegression().fit(X, np.ones(len(y)))
    with pytest.raises(ValueError, match="continuous"):
        LogisticRegression().fit(X, y + 0.5)
    with pytest.raises(ValueError, match=r"y must have the shape \(60,\)"):
        LogisticRegression().fit(X, y[:-1])
    with pytest.raises(NotFittedError):
        LogisticRegression().predict(X)


def test_it_works_inside_the_tools_of_scikit_learn(two_rows):
    X, y = two_rows
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    grid = {"logisticregression__C": [0.1, 1.0]}
    theirs = GridSearchCV(make_pipeline(StandardScaler(), exact()), grid).fit(X, y)
    search = GridSearchCV(pipeline, grid).fit(X, y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    calibrated = CalibratedClassifierCV(LogisticRegression(), ensemble=False, cv=3).fit(X, y)
    assert calibrated.predict_proba(X).shape == (60, 2)
    assert cross_val_score(LogisticRegression(), X, y).shape == (5,)
    assert clone(LogisticRegression(C=3.0, backend="numpy")).get_params()["C"] == 3.0
    assert "LogisticRegression" in LogisticRegression()._repr_html_()


@pytest.mark.slow
def test_processes_give_the_same(two_rows):
    X, y = two_rows
    grid = {"C": [0.1, 1.0]}
    found = [GridSearchCV(LogisticRegression(), grid, n_jobs=jobs).fit(X, y) for jobs in (None, 2)]
    np.testing.assert_array_equal(found[0].predict_proba(X), found[1].predict_proba(X))


def test_an_estimator_that_was_pickled_before_it_had_factors_is_fitted_again(two_rows):
    X, y = two_rows
    old = LogisticRegression().fit(X, y)
    del old.__dict__["penalty_factor"]
    again = pickle.loads(pickle.dumps(old))
    expected = again.predict_proba(X)
    assert clone(again).penalty_factor is None
    np.testing.assert_array_equal(again.fit(X, y).predict_proba(X), expected)


def test_threads_and_pickles_give_the_same(two_rows):
    joblib = pytest.importorskip("joblib")
    X, y = two_rows
    ours = LogisticRegression().fit(X, y)
    fits = joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(clone(ours).fit)(X, y) for _ in range(4))
    for same in (*fits, pickle.loads(pickle.dumps(ours))):
        np.testing.assert_array_equal(same.predict_proba(X), ours.predict_proba(X))


def test_scikit_learn_that_is_missing_is_named_with_its_remedy():
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import xlogreg\n"
        "try:\n    xlogreg.LogisticRegression\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (
        done.stdout == 'xlogreg.LogisticRegression needs scikit-learn, 1.6 or later: pip install "xlogreg[sklearn]"\n'
    )
    with pytest.raises(AttributeError, match="no attribute 'LinearRegression'"):
        _ = xlogreg.LinearRegression
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xlogreg.LogisticRegressionCV(penalty="l2", l1_ratios=None)
