"""`xlogreg.LogisticRegressionCV` beside scikit-learn's: the same folds, choices, attributes and routing."""

import copy
import pickle

import numpy as np
import pytest
import sklearn
from conftest import AS_IN_1_9, QUICK
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, make_scorer, roc_auc_score
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_estimators import run_array_api_checks

import xlogreg
from xlogreg import LogisticRegressionCV
from xlogreg.arrays.place import to_host

pytestmark = AS_IN_1_9

CS = [0.01, 1.0, 100.0]


def reference(**parameters):
    announced = {"l1_ratios": (0.0,), "scoring": "neg_log_loss", "use_legacy_attributes": False}
    solver = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 1000}
    return linear_model.LogisticRegressionCV(**{"Cs": CS, **announced, **solver, **parameters})


def same(ours, theirs, X, y):
    for name in ("coef_", "intercept_", "Cs_", "scores_", "coefs_paths_", "n_iter_", "l1_ratios_", "C_", "l1_ratio_"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert type(one) is type(other), name
        if isinstance(one, np.ndarray):
            assert one.shape == other.shape, name
            assert one.dtype == other.dtype, name
        if name != "n_iter_":
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-6)


@parametrize_with_checks([LogisticRegressionCV(Cs=2, cv=3)])
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_every_check_of_array_api_passes():
    pytest.importorskip("array_api_strict")
    run_array_api_checks("LogisticRegressionCV", cv=3)  # one check has three samples of each class


@pytest.mark.parametrize("data", ["two_rows", "three_rows"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"refit": False},
        {"fit_intercept": False, "cv": KFold(4, shuffle=True, random_state=0)},
        {"scoring": "accuracy", "class_weight": "balanced"},
        {"scoring": None, "cv": 3, "refit": False},
        {"scoring": "balanced_accuracy", "Cs": 4},
        {"scoring": lambda estimator, X, y: float(np.ravel(estimator.coef_)[0]), "Cs": [np.inf]},
    ],
    ids=lambda parameters: ", ".join(parameters) or "defaults",
)
def test_choices_and_attributes_are_those_of_scikit_learn(request, data, parameters):
    X, y = request.getfixturevalue(data)
    same(LogisticRegressionCV(**{"Cs": CS} | parameters).fit(X, y), reference(**parameters).fit(X, y), X, y)


def test_weights_count_in_fits_and_in_scores(two_rows):
    X, y = two_rows
    weight = np.linspace(0.0, 2.0, len(y))
    for scoring in ("neg_log_loss", "accuracy", "roc_auc"):
        ours = LogisticRegressionCV(Cs=CS, scoring=scoring).fit(X, y, weight)
        same(ours, reference(scoring=scoring).fit(X, y, weight), X, y)


def test_folds_may_be_given_as_indices_that_repeat_samples(two_rows):
    X, y = two_rows
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, 60, 60) for _ in range(3)]
    folds = [(draw, np.setdiff1d(np.arange(60), draw)) for draw in draws]
    same(LogisticRegressionCV(Cs=CS, cv=folds).fit(X, y), reference(cv=folds).fit(X, y), X, y)


def test_scores_and_splitters_get_their_metadata(two_rows):
    X, y = two_rows
    groups, weight = np.arange(60) // 6, np.linspace(0.5, 1.5, 60)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
        fitted = []
        for make in (lambda **parameters: LogisticRegressionCV(Cs=CS, **parameters), reference):
            estimator = make(cv=GroupKFold(3), scoring=scorer).set_fit_request(sample_weight=True)
            fitted.append(estimator.fit(X, y, sample_weight=weight, groups=groups))
            assert estimator.score(X, y, sample_weight=weight) != estimator.score(X, y)
        same(*fitted, X, y)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), fitted[0])
        pipeline.fit(X, y, sample_weight=weight, groups=groups)
        with pytest.raises(TypeError, match="unknown"):
            fitted[0].fit(X, y, unknown=weight)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        LogisticRegressionCV().fit(X, y, groups=groups)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_arrays_of_any_library_stay_where_they_are(where, two_rows, three_rows):
    cases = [(*two_rows, "neg_log_loss"), (*three_rows, "roc_auc_ovr")]
    for X, y, scoring in cases if where.place.name in ("numpy", "array-api-strict") else cases[:1]:
        parameters = {"Cs": CS, "cv": 3, "scoring": scoring}
        host = LogisticRegressionCV(**parameters).fit(X, y)
        Z = where.asarray(X)
        ours = LogisticRegressionCV(**parameters).fit(Z, y if y.dtype.kind == "U" else where.asarray(y, "int32"))
        rtol = 1e-6 if where.dtype == "float64" else 2e-3
        where.check(ours.coef_, host.coef_, rtol=rtol)
        where.check(ours.predict_proba(Z), host.predict_proba(X), rtol=rtol)
        np.testing.assert_allclose(to_host(ours.scores_), host.scores_, rtol=rtol)
        weight = np.linspace(0.5, 1.5, len(y))
        scores = ours.score(Z, y, sample_weight=where.asarray(weight)), host.score(X, y, sample_weight=weight)
        np.testing.assert_allclose(*scores, rtol=rtol)
        assert ours.C_ == host.C_
        np.testing.assert_allclose(ours.to("numpy").predict_proba(X), host.predict_proba(X), rtol=rtol, atol=1e-6)


def test_frames_keep_the_names_of_their_columns(two_rows):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(two_rows[0], columns=list("abcd"))
    for scoring in ("neg_log_loss", "roc_auc"):
        ours = LogisticRegressionCV(Cs=CS, scoring=scoring).fit(frame, two_rows[1])
        assert ours.feature_names_in_.tolist() == list("abcd")
        assert ours.score(frame, two_rows[1]) != 0.0


def test_what_is_not_offered_is_refused_by_name(two_rows, three_rows):
    for parameters, message in (
        ({"penalty": "l0"}, "penalty must be 'l1', 'l2', 'elasticnet' or None, not 'l0'"),
        ({"penalty": None}, "use Cs="),
        ({"use_legacy_attributes": True}, "use_legacy_attributes must be False"),
        ({"Cs": [1.0, 0.0]}, "Cs must be a list"),
        ({"Cs": 0}, "Cs must be a list"),
        ({"scoring": "beauty"}, "beauty"),
    ):
        with pytest.raises(ValueError, match=message):
            LogisticRegressionCV(**parameters).fit(*two_rows)
    X, y = three_rows
    with pytest.raises(ValueError, match="cv: no training part has samples of two classes"):
        LogisticRegressionCV(cv=[(np.flatnonzero(y == "ant"), np.flatnonzero(y != "ant"))]).fit(X, y)


def test_folds_that_do_not_converge_warn_once(two_rows):
    with pytest.warns(ConvergenceWarning) as caught:
        LogisticRegressionCV(Cs=CS, max_iter=1).fit(*two_rows)
    assert all(issubclass(warning.category, xlogreg.ConvergenceWarning) for warning in caught)
    assert len(caught) == 2  # of the folds, and of the fit of all samples


def test_a_function_can_score_and_the_estimator_be_pickled(two_rows):
    X, y = two_rows
    scorer = make_scorer(roc_auc_score, response_method="decision_function")
    ours = LogisticRegressionCV(Cs=CS, scoring=scorer, cv=ShuffleSplit(2, random_state=0)).fit(X, y)
    for other in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        assert other.score(X, y) == ours.score(X, y)
    np.testing.assert_allclose(ours.to_sklearn().predict_proba(X), ours.predict_proba(X), atol=1e-12)
