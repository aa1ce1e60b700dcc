"""L1 and elastic-net penalties of the estimators beside scikit-learn's: optima, choices, warnings, tools, export."""

import math
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse
from conftest import AS_IN_1_9, QUICK
from sklearn import linear_model
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.svm import l1_min_c
from sklearn.utils.estimator_checks import parametrize_with_checks

import xlogreg
from xlogreg import LogisticRegression, LogisticRegressionCV
from xlogreg.model.to_sklearn import _penalty_of

pytestmark = AS_IN_1_9

SAGA = {"random_state": 0, "solver": "saga", "tol": 1e-9, "max_iter": 100_000}
NEW = {"use_legacy_attributes": False, "scoring": "neg_log_loss"}


@parametrize_with_checks([LogisticRegression(l1_ratio=ratio) for ratio in (0.5, 1.0)])
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([LogisticRegressionCV(Cs=2, cv=3, l1_ratios=(0.0, ratio)) for ratio in (0.5, 1.0)])
def test_every_check_of_scikit_learn_passes_when_ratios_are_chosen(estimator, check):
    check(estimator)


# optima -----------------------------------------------------------------------------------------------------------


def close(ours, theirs, atol=1e-5):
    for name in ("coef_", "intercept_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=atol, err_msg=name)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize("parameters", [{"C": 0.1}, {"fit_intercept": False}, {"class_weight": "balanced"}], ids=str)
@pytest.mark.parametrize("data", ["two_rows", "three_rows"])
def test_the_optimum_is_that_of_scikit_learn(request, data, parameters, l1_ratio):
    X, y = request.getfixturevalue(data)
    parameters = {"C": 0.3, "l1_ratio": l1_ratio} | parameters
    for weight in (None, np.linspace(0.0, 2.0, len(y))):
        ours = LogisticRegression(**parameters).fit(X, y, weight)
        theirs = linear_model.LogisticRegression(**parameters, **SAGA).fit(X, y, weight)
        close(ours, theirs)
        np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
        assert ours.fit_info_.converged
    model = xlogreg.fit(X, y, samples="rows", l1=0.02, l2=0.01)
    same = LogisticRegression(C=1 / (0.03 * len(y)), l1_ratio=2 / 3).fit(X, y)
    np.testing.assert_allclose(same.coef_, model.w.T, atol=1e-6)


def test_intercepts_of_features_with_large_means_are_those_of_scikit_learn():
    X, y = load_iris(return_X_y=True)
    ours = LogisticRegression(l1_ratio=0.5, C=0.1).fit(X, y)
    assert abs(np.sum(ours.intercept_)) < 1e-12
    close(ours, linear_model.LogisticRegression(l1_ratio=0.5, C=0.1, **SAGA).fit(X, y), atol=1e-4)


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_no_component_of_the_shortest_subgradient_exceeds_tol(tol):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 40)) * np.geomspace(1e-2, 1e2, 40)
    y = np.argmax(X[:, 18:22] + rng.gumbel(size=(500, 4)), axis=1)
    ours = LogisticRegression(tol=tol, l1_ratio=0.7).fit(X, y)
    assert 0 < np.sum(ours.coef_ == 0) < ours.coef_.size
    error = ours.predict_proba(X) - (y[:, None] == np.arange(4))
    gradient, kink = error.T @ X / 500 + 0.3 * ours.coef_ / 500, 0.7 / 500
    beside = np.maximum(np.abs(gradient) - kink, 0.0)
    left = np.where(ours.coef_ == 0, beside, np.abs(gradient + kink * np.sign(ours.coef_)))
    assert max(np.max(left), np.max(np.abs(np.mean(error, axis=0)))) <= tol


def test_factors_multiply_both_parts_of_the_penalty(two_rows):
    X, y = two_rows
    factor = np.asarray([0.5, 0.0, 1.0, 8.0])
    ours = LogisticRegression(C=0.2, l1_ratio=0.5, penalty_factor=factor).fit(X, y)
    model = xlogreg.fit(X, y, samples="rows", l1=0.5 / 12, l2=0.5 / 12, penalty_factor=factor)
    np.testing.assert_allclose(ours.coef_, model.w.T, atol=1e-8)
    assert ours.coef_[0, 3] == 0.0
    twice = LogisticRegression(C=0.4, l1_ratio=0.5, penalty_factor=2 * factor).fit(X, y)
    np.testing.assert_allclose(twice.coef_, ours.coef_, atol=1e-6)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_arrays_of_any_library_stay_where_they_are(where, three_rows):
    X, y = three_rows
    host = LogisticRegression(C=0.1, l1_ratio=0.8).fit(X, y)
    ours = LogisticRegression(C=0.1, l1_ratio=0.8).fit(where.asarray(X), y)
    where.check(ours.coef_, host.coef_, rtol=1e-5 if where.dtype == "float64" else 2e-3)
    np.testing.assert_array_equal(ours.to("numpy").coef_ == 0, host.coef_ == 0)


def test_sparse_samples_have_the_same_optimum_and_weights_can_be_sparse(three_rows):
    X, y = three_rows
    dense = LogisticRegression(C=0.1, l1_ratio=1.0).fit(X, y)
    ours = LogisticRegression(C=0.1, l1_ratio=1.0).fit(scipy.sparse.csr_array(X), y)
    np.testing.assert_allclose(ours.coef_, dense.coef_, atol=1e-6)
    expected, weights = ours.predict_proba(X), np.count_nonzero(ours.coef_)
    assert ours.sparsify().coef_.nnz == weights < dense.coef_.size
    np.testing.assert_array_equal(ours.predict_proba(X), expected)
    assert ours.densify().coef_.shape == dense.coef_.shape


# warnings and errors ----------------------------------------------------------------------------------------------

ASKED = [
    {},
    {"l1_ratio": 0.5},
    {"l1_ratio": 1},
    {"penalty": "l1"},
    {"penalty": "l1", "l1_ratio": 1},
    {"penalty": "l1", "l1_ratio": 0.5},
    {"penalty": "l2"},
    {"penalty": "l2", "l1_ratio": 0.5},
    {"penalty": "l2", "l1_ratio": 1.0},
    {"penalty": "elasticnet", "l1_ratio": 0.3},
    {"penalty": "elasticnet", "l1_ratio": 1},
    {"penalty": "elasticnet"},
    {"penalty": "elasticnet", "l1_ratio": None},
    {"penalty": None},
    {"penalty": None, "C": 3.0},
    {"penalty": None, "l1_ratio": 0.5},
    {"C": np.inf, "l1_ratio": 0.5},
    {"C": np.inf, "l1_ratio": 1},
    {"l1_ratio": None},
    {"l1_ratio": 1.5},
    {"l1_ratio": -0.5},
    {"l1_ratio": math.nan},
    {"l1_ratio": "0.5"},
    {"penalty": "l0"},
]


def told(estimator, X, y):
    """The messages of a fit, but for those of what is deprecated only; or the error. And the fitted estimator."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(X, y)
        except (ValueError, TypeError) as error:
            return [str(error) if "must be specified" in str(error) else "an error"], None
    return [str(one.message) for one in caught if not issubclass(one.category, FutureWarning)], estimator


@pytest.mark.parametrize("parameters", ASKED, ids=str)
def test_contradictions_are_told_in_the_words_of_scikit_learn(two_rows, parameters):
    ours, fitted = told(LogisticRegression(**parameters), *two_rows)
    theirs, reference = told(linear_model.LogisticRegression(**parameters, **SAGA), *two_rows)
    assert ours == theirs
    if reference is not None:
        close(fitted, reference, atol=1e-5)


def test_a_ratio_that_is_not_given_contradicts_nothing(two_rows):
    ours = LogisticRegression("l1", C=0.1, l1_ratio=None).fit(*two_rows)
    np.testing.assert_array_equal(ours.coef_, LogisticRegression(C=0.1, l1_ratio=1).fit(*two_rows).coef_)


def test_a_contradiction_is_told_at_the_line_of_the_caller(two_rows):
    with pytest.warns(xlogreg.XlogregWarning, match="Inconsistent values") as caught:
        LogisticRegression("l1").fit(*two_rows)
    assert [one.filename for one in caught] == [__file__]


CHOICES = [
    {"l1_ratios": (0.0,)},
    {"l1_ratios": (1.0,)},
    {"l1_ratios": [0.0, 1.0]},
    {"l1_ratios": np.asarray([0.25])},
    {"l1_ratios": []},
    {"l1_ratios": 0.5},
    {"l1_ratios": "half"},
    {"l1_ratios": [0.5, 2.0]},
    {"l1_ratios": [0.5, None]},
    {"l1_ratios": None, "penalty": "elasticnet"},
    {"l1_ratios": [0.5], "penalty": "elasticnet"},
    {"l1_ratios": None, "penalty": "l1"},
    {"l1_ratios": [0.5], "penalty": "l1"},
    {"l1_ratios": [0.5], "penalty": "l2"},
    {"l1_ratios": [0.5], "penalty": None},
]


@pytest.mark.parametrize("parameters", CHOICES, ids=str)
def test_contradictions_of_choices_are_told_in_the_words_of_scikit_learn(two_rows, parameters):
    parameters = {"Cs": [0.1, 1.0], "cv": 2} | parameters
    ours, _ = told(LogisticRegressionCV(**parameters), *two_rows)
    theirs, _ = told(linear_model.LogisticRegressionCV(**parameters, **NEW, **SAGA), *two_rows)
    assert ours == theirs


# cross-validation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["two_rows", "three_rows"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"refit": False},
        {"scoring": "accuracy"},
        {"fit_intercept": False, "scoring": "roc_auc_ovr"},
        {"l1_ratios": (1.0,)},
        {"l1_ratios": None, "penalty": "l1"},
    ],
    ids=str,
)
@pytest.mark.slow
def test_choices_and_attributes_are_those_of_scikit_learn(request, data, parameters):
    X, y = request.getfixturevalue(data)
    parameters = {"Cs": [0.3, 1.0, 3.0], "cv": 3, "l1_ratios": np.asarray([0.0, 0.5, 1.0])} | parameters
    ours = LogisticRegressionCV(**parameters).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = linear_model.LogisticRegressionCV(**NEW | SAGA | parameters).fit(X, y)
    assert (ours.C_, ours.l1_ratio_) == (theirs.C_, theirs.l1_ratio_)
    assert type(ours.C_) is type(ours.l1_ratio_) is float
    for name in ("coef_", "intercept_", "Cs_", "scores_", "coefs_paths_", "n_iter_"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert (one.shape, one.dtype) == (other.shape, other.dtype), name
        if name != "n_iter_":
            np.testing.assert_allclose(one, other, atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(ours.l1_ratios_, theirs.l1_ratios_ if theirs.l1_ratios_[0] is not None else [1.0])


def test_scores_that_tie_choose_the_penalty_that_scikit_learn_chooses(two_rows):
    def first(estimator, X, y):
        return 0.5

    parameters = {"Cs": [0.1, 1.0], "l1_ratios": [0.5, 1.0], "cv": 2}
    for scoring in (first, lambda estimator, X, y: float(np.sum(estimator.coef_ == 0) == 2)):
        ours = LogisticRegressionCV(**parameters, scoring=scoring).fit(*two_rows)
        theirs = linear_model.LogisticRegressionCV(**NEW | SAGA | parameters | {"scoring": scoring}).fit(*two_rows)
        assert (ours.C_, ours.l1_ratio_) == (theirs.C_, theirs.l1_ratio_)


@pytest.mark.filterwarnings("ignore:cv")
def test_a_fold_that_lacks_a_class_has_the_penalty_of_the_others(three_rows):
    X, y = three_rows
    train, test = np.flatnonzero(y != "ant"), np.flatnonzero(y == "ant")
    folds = [(train, test), (np.arange(0, 90, 2), np.arange(1, 90, 2))]
    ours = LogisticRegressionCV(Cs=[0.2], l1_ratios=[0.0, 0.6, 1.0], cv=folds).fit(X, y)
    for ratio, path in zip(ours.l1_ratios_, ours.coefs_paths_[0, :, 0], strict=True):
        w = path[2, :-1] - path[1, :-1]
        model = LogisticRegression(C=0.2, l1_ratio=ratio).fit(X[train], y[train])
        if ratio == 1.0:  # any split of w over both classes has the same L1 norm
            np.testing.assert_allclose(w, model.coef_[0], atol=1e-5)
        np.testing.assert_array_equal(path[0, :-1], 0.0)


# the tools of scikit-learn ----------------------------------------------------------------------------------------


def test_a_grid_search_finds_the_ratio_that_scikit_learn_finds(two_rows):
    grid = {"l1_ratio": [0.0, 0.4, 1.0], "C": [0.1, 1.0]}
    ours = GridSearchCV(LogisticRegression(), grid, scoring="neg_log_loss").fit(*two_rows)
    theirs = GridSearchCV(linear_model.LogisticRegression(**SAGA), grid, scoring="neg_log_loss").fit(*two_rows)
    assert ours.best_params_ == theirs.best_params_
    scores = (search.cv_results_["mean_test_score"] for search in (ours, theirs))
    np.testing.assert_allclose(*scores, atol=1e-6)


def test_the_path_in_the_documentation_of_scikit_learn_needs_one_changed_import():
    X, y = load_iris(return_X_y=True)
    X, y = X[y != 2], y[y != 2]
    X /= X.max()
    cs = l1_min_c(X, y, loss="log") * np.logspace(0, 1, 16)
    paths = []
    for library in (xlogreg, linear_model):
        clf = library.LogisticRegression(
            l1_ratio=1, solver="liblinear", tol=1e-6, max_iter=int(1e6), warm_start=True, intercept_scaling=10000.0
        )
        coefs_ = []
        for c in cs:
            clf.set_params(C=c)
            clf.fit(X, y)
            coefs_.append(clf.coef_.ravel().copy())
        paths.append(np.array(coefs_))
    np.testing.assert_allclose(*paths, atol=1e-3)
    np.testing.assert_array_equal(paths[0] == 0, paths[1] == 0)


def test_a_warm_start_takes_fewer_steps_and_ends_at_the_same_model(three_rows):
    X, y = three_rows
    ours = LogisticRegression(C=0.3, l1_ratio=0.9, warm_start=True).fit(X, y)
    cold, coef = ours.n_iter_[0], ours.coef_
    assert ours.fit(X, y).n_iter_[0] < cold
    np.testing.assert_allclose(ours.coef_, coef, atol=1e-6)
    other = ours.set_params(C=0.1, l1_ratio=1.0).fit(X, y)
    np.testing.assert_allclose(other.coef_, LogisticRegression(C=0.1, l1_ratio=1.0).fit(X, y).coef_, atol=1e-6)


def test_an_export_has_the_penalty_and_fits_the_same_model(three_rows):
    X, y = three_rows
    for C, ratio in ((0.2, 0.7), (0.2, 1.0), (0.2, 0.0), (np.inf, 0.0)):
        ours = LogisticRegression(C=C, l1_ratio=ratio).fit(X, y)
        for same in (ours, pickle.loads(pickle.dumps(ours))):
            exported = same.to_sklearn()
            assert (exported.C, exported.l1_ratio) == (pytest.approx(C), pytest.approx(ratio))
        expected = exported.predict_proba(X)
        np.testing.assert_allclose(expected, ours.predict_proba(X), atol=1e-12)
        again = exported.set_params(tol=1e-9, max_iter=100_000).fit(X, y)
        np.testing.assert_allclose(again.predict_proba(X), expected, atol=1e-4)
    mean = LogisticRegressionCV(Cs=[0.1, 1.0], l1_ratios=[1.0], refit=False).fit(X, y).to_sklearn()
    assert (mean.C, mean.l1_ratio) == (1.0, 0.0)  # scikit-learn's defaults


def test_earlier_versions_of_scikit_learn_get_the_name_of_the_penalty(two_rows):
    model = xlogreg.fit(*two_rows, samples="rows", l1=0.1)
    assert "penalty" not in _penalty_of(model, {"penalty": "deprecated"})
    assert _penalty_of(model, {"penalty": "l2"})["penalty"] == "elasticnet"


def test_an_estimator_that_was_pickled_before_it_had_l1_has_none(two_rows):
    ours = LogisticRegression(C=0.5).fit(*two_rows)
    del ours.__dict__["_l1"]
    exported = pickle.loads(pickle.dumps(ours)).to_sklearn()
    assert (pytest.approx(exported.C), exported.l1_ratio) == (0.5, 0.0)
