"""Estimators take an offset in fit and in predictions, and scikit-learn's metadata routing passes it on."""

import pickle

import numpy as np
import pytest
from conftest import cut
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_offset import K, M, draw, some_offset

import xlogreg
from xlogreg import LogisticRegression, LogisticRegressionCV
from xlogreg.arrays.place import to_host

METHODS = ("decision_function", "predict_proba", "predict_log_proba", "predict")


def rows(k=1):
    """X (m, n_x), y (m,), and an offset in the shape of the scores."""
    X, Y, _ = draw(k)
    offset = some_offset(k)
    return X.T, Y, offset[0] if k == 1 else offset.T


@pytest.mark.parametrize("k", [1, K])
def test_an_estimator_is_the_model_with_the_offset(k):
    X, y, offset = rows(k)
    estimator = LogisticRegression(C=2.0, tol=1e-9).fit(X, y, offset=offset)
    model = xlogreg.fit(X, y, l2=1 / (2.0 * M), samples="rows", offset=offset)
    np.testing.assert_allclose(estimator.coef_, model.w.T, atol=1e-6)
    for name in METHODS:
        wanted = getattr(model, name)(X, offset)
        np.testing.assert_allclose(getattr(estimator, name)(X, offset=offset), wanted, atol=1e-5)
        with pytest.raises(ValueError, match="fitted with an offset"):
            getattr(pickle.loads(pickle.dumps(estimator)), name)(X)
    assert estimator.score(X, y, offset=offset) == model.evaluate(X, y, offset=offset).accuracy
    with pytest.raises(ValueError, match="fitted with an offset"):
        estimator.to_sklearn()


def test_a_fit_without_an_offset_forgets_the_last_one():
    X, y, offset = rows()
    estimator = LogisticRegression().fit(X, y, offset=offset)
    np.testing.assert_array_equal(estimator.fit(X, y).predict(X), LogisticRegression().fit(X, y).predict(X))


def test_a_warm_start_begins_at_the_last_weights_beside_the_offset():
    X, y, offset = rows()
    estimator = LogisticRegression(warm_start=True).fit(X, y, offset=offset)
    first = estimator.coef_
    np.testing.assert_allclose(estimator.fit(X, y, offset=offset).coef_, first, atol=1e-6)


@pytest.mark.parametrize("offset", [np.zeros(3), np.full(M, np.nan)])
def test_bad_offsets_are_named(offset):
    X, y, _ = rows()
    for estimator in (LogisticRegression(), LogisticRegressionCV(cv=3)):
        with pytest.raises(ValueError, match="offset h"):
            estimator.fit(X, y, offset=offset)


def test_estimators_take_offsets_of_every_namespace(where):
    X, y, offset = rows()
    wanted = LogisticRegression().fit(X, y, offset=offset)
    found = LogisticRegression().fit(where.asarray(X), where.asarray(y, "int32"), offset=where.asarray(offset))
    where.check(found.coef_, wanted.coef_, rtol=1e-3)
    scores = found.decision_function(where.asarray(X), where.asarray(offset))
    np.testing.assert_allclose(to_host(scores), wanted.decision_function(X, offset), atol=5e-3)


def test_routing_passes_the_offset_through_searches_and_pipelines():
    X, y, offset = rows()
    with config_context(enable_metadata_routing=True):
        asked = LogisticRegression().set_fit_request(offset=True).set_score_request(offset=True)
        search = GridSearchCV(asked, {"C": [0.01, 1.0]}, cv=KFold(3)).fit(X, y, offset=offset)
        for number, C in enumerate([0.01, 1.0]):
            for fold, (train, test) in enumerate(KFold(3).split(X)):
                alone = LogisticRegression(C=C).fit(X[train], y[train], offset=offset[train])
                score = alone.score(X[test], y[test], offset=offset[test])
                assert search.cv_results_[f"split{fold}_test_score"][number] == pytest.approx(score)
        found = cross_validate(asked, X, y, cv=KFold(3), params={"offset": offset})
        assert np.all(np.isfinite(found["test_score"]))
        last = LogisticRegression().set_fit_request(offset=True).set_predict_request(offset=True)
        pipeline = make_pipeline(StandardScaler(), last).fit(X, y, offset=offset)
        labels = pipeline.predict(X, offset=offset)
    scaled = StandardScaler().fit_transform(X)
    alone = LogisticRegression().fit(scaled, y, offset=offset)
    np.testing.assert_array_equal(labels, alone.predict(scaled, offset))


@pytest.mark.parametrize("k", [1, K])
@pytest.mark.parametrize("cv", [KFold(3), ShuffleSplit(3, random_state=0)])
@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy"])
def test_the_cross_validating_estimator_cuts_the_offset(k, cv, scoring):
    X, y, offset = rows(k)
    found = LogisticRegressionCV(Cs=[0.01, 1.0], cv=cv, scoring=scoring, tol=1e-8).fit(X, y, offset=offset)
    for fold, (train, test) in enumerate(cv.split(X)):
        for number, C in enumerate([0.01, 1.0]):
            alone = xlogreg.fit(X[train], y[train], l2=1 / (C * len(train)), samples="rows", offset=offset[train])
            report = alone.evaluate(X[test], y[test], offset=offset[test])
            wanted = -report.log_loss if scoring == "neg_log_loss" else report.accuracy
            assert found.scores_[fold, 0, number] == pytest.approx(wanted, rel=1e-4)
    report = found._model().evaluate(X, y, offset=offset)
    wanted = -report.log_loss if scoring == "neg_log_loss" else report.accuracy
    assert found.score(X, y, offset=offset) == pytest.approx(wanted)
    with pytest.raises(ValueError, match="fitted with an offset"):
        found.predict(X)


def test_scorers_of_scikit_learn_are_refused_with_an_offset():
    X, y, offset = rows()
    with pytest.raises(ValueError, match="scoring='roc_auc' takes no offset; with one, use 'neg_log_loss', 'accuracy'"):
        LogisticRegressionCV(scoring="roc_auc").fit(X, y, offset=offset)


@pytest.mark.parametrize("estimator", [LogisticRegression(), LogisticRegressionCV(Cs=3, cv=3)])
def test_workers_fit_estimators_with_an_offset(client, estimator):
    X, y, offset = rows()
    given = cut(X, 90, axis=0), cut(y, 90)
    there = type(estimator)(**estimator.get_params()).fit(*given, offset=cut(offset, 90))
    here = estimator.fit(X, y, offset=offset)
    np.testing.assert_allclose(there.coef_, here.coef_, atol=1e-4)
    found = there.predict_proba(given[0], offset=cut(offset, 90)).compute()
    np.testing.assert_allclose(found, here.predict_proba(X, offset), atol=1e-4)
