"""A class of which a training part has no sample: scored as scikit-learn would, with the probability 0."""

import warnings

import numpy as np
import pytest
from conftest import AS_IN_1_9, QUICK
from sklearn import linear_model
from sklearn.metrics import brier_score_loss, log_loss

import xlogreg
from xlogreg import LogisticRegressionCV, MissingClassWarning

L2S = [1.0, 0.1, 0.01]
M = 120


def drawn(K, m=M, seed=0):
    """X (4, m), Y (m,) of K classes."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((4, m)) + np.asarray([[3.0], [0.0], [0.0], [0.0]])
    return X, np.argmax(rng.standard_normal((4, K)).T @ X + 2 * rng.gumbel(size=(K, m)), axis=0)


def expected(X, Y, kept, held, l2, weight, eps):
    """Log loss and accuracy by scikit-learn's definitions, of the model of the classes that are there."""
    K, there = int(Y.max()) + 1, np.unique(Y[kept & (weight > 0)])
    P = np.zeros((np.sum(held), K))
    if len(there) == 1:
        P[:, there] = 1.0
    else:
        l2 = l2 / 2 if len(there) == 2 < K else l2
        used = kept & (weight > 0)
        model = xlogreg.fit(X[:, used], Y[used], l2=l2, sample_weight=weight[used], tol=1e-14)
        P[:, there] = model.predict_proba(X[:, held]).T
    right = np.average(np.argmax(P, axis=1) == Y[held], weights=weight[held])
    P = np.clip(P, eps, 1.0)
    return np.average(-np.log(P[np.arange(len(P)), Y[held]]), weights=weight[held]), right


def check(found, X, Y, weight=None, near=1e-6, eps=2.0**-52):
    weight = np.ones(len(Y)) if weight is None else weight
    for fold in range(len(found.scores["log_loss"])):
        held = found.folds == fold
        for number, l2 in enumerate(found.l2):
            loss, right = expected(X, Y, ~held, held, l2, weight, eps)
            assert found.scores["log_loss"][fold, number] == pytest.approx(loss, rel=near)
            assert found.scores["accuracy"][fold, number] == pytest.approx(right, abs=1e-9)
    assert found.model.fit_info.converged


@pytest.mark.parametrize("K", [2, 3, 4])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_a_class_that_one_fold_holds_has_the_probability_zero_there(where, K):
    X, Y = drawn(K)
    X = X.astype(where.dtype)
    folds = np.where(Y == K - 1, 0, np.arange(M) % 3)
    with pytest.warns(MissingClassWarning, match=rf"of the classes {K - 1} where fold 0 is left out") as caught:
        found = xlogreg.fit_cv(where.asarray(X), Y, L2S, folds=folds)
    assert len(caught) == 1
    single = where.dtype == "float32"
    check(found, X, Y, near=1e-3 if single else 1e-5, eps=2.0**-23 if single else 2.0**-52)


@pytest.mark.parametrize("kind", ["weights", "groups", "rows", "strings", "factory", "standardize", "three of five"])
def test_it_does_not_matter_how_the_fold_came_by_all_of_a_class(kind, tmp_path):
    K = 5 if kind == "three of five" else 4
    X, Y = drawn(K, m=300)
    m, weight, options, given, labels = 300, None, {}, X, Y
    options["folds"] = np.where(Y == 1, 2, np.where((Y == 3) & (K == 5), 0, np.arange(m) % 3))
    if kind == "weights":
        options["folds"] = np.arange(m) % 3
        weight = options["sample_weight"] = np.where((Y == 2) & (np.arange(m) % 3 != 1), 0.0, 1.5)
    elif kind == "groups":
        options = {"folds": 3, "groups": np.where(Y == 1, 0, 1 + np.arange(m) % 7)}
    elif kind == "rows":
        given, options["samples"] = X.T, "rows"
    elif kind == "strings":
        labels = np.asarray(["ant", "bee", "cow", "dog"])[Y]
    elif kind == "factory":
        given, labels = (lambda: ((X[:, i : i + 90], Y[i : i + 90]) for i in range(0, m, 90))), None
    with pytest.warns(MissingClassWarning, match="'bee' where" if kind == "strings" else "where fold"):
        found = xlogreg.fit_cv(given, labels, L2S, **options)
    check(found, X, Y, weight, near=1e-5)


def test_probabilities_are_clipped_class_by_class():
    X, Y = drawn(3)
    P = np.eye(3)[:, Y] * 0.8 + 0.1
    folds = np.arange(M) % 3
    P[2, folds != 1] = 0.0
    P /= P.sum(axis=0)
    with pytest.warns(MissingClassWarning):
        found = xlogreg.fit_cv(X, P, [0.1], folds=folds, targets="probabilities")
    held = folds == 1
    model = xlogreg.fit(X[:, ~held], P[1:2, ~held], l2=0.05, targets="probabilities", tol=1e-14)
    A = np.clip(np.concatenate([model.predict_proba(X[:, held]), np.zeros((1, np.sum(held)))]), 2.0**-52, 1.0)
    assert found.scores["log_loss"][1, 0] == pytest.approx(-np.mean(np.sum(P[:, held] * np.log(A), axis=0)), rel=1e-6)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (lambda Y: Y, "folds: no training part has samples of two classes"),
        (lambda Y: np.where(Y < 9, 0, 1), "folds must hold two folds or more"),
    ],
)
def test_folds_that_leave_nothing_to_compare_are_refused(folds, message):
    X, Y = drawn(2)
    with pytest.raises(ValueError, match=message):
        xlogreg.fit_cv(X, Y, L2S, folds=folds(Y))
    with pytest.raises(ValueError, match="the training part of fold 1 has no sample, or none of weight"):
        xlogreg.fit_cv(X, Y, L2S, folds=np.arange(M) % 2, sample_weight=np.arange(M) % 2)


def parts(folds):
    return [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(3)]


@AS_IN_1_9
@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("scoring", ["accuracy", "neg_brier_score", "neg_log_loss"])
@pytest.mark.slow
def test_the_estimator_scores_what_scikit_learn_scores(K, again, scoring):
    X, Y = drawn(K)
    cv = parts(np.where(Y == 0, 1, np.arange(M) % 3))
    cv = [*cv, cv[1]] if again else cv  # no partition any more
    options = {"Cs": [0.1, 1.0, 10.0], "cv": cv, "scoring": scoring, "tol": 1e-8}
    with pytest.warns(MissingClassWarning, match="^cv: .* of the classes 0 where fold 1 is left out") as caught:
        ours = LogisticRegressionCV(**options).fit(X.T, Y)
    assert len(caught) == 1
    options |= {"use_legacy_attributes": False, "l1_ratios": (0,), "tol": 1e-6, "max_iter": 300}
    theirs = linear_model.LogisticRegressionCV(**options).fit(X.T, Y)
    assert ours.coefs_paths_.shape == theirs.coefs_paths_.shape
    np.testing.assert_allclose(ours.coefs_paths_[..., :-1], theirs.coefs_paths_[..., :-1], atol=1e-3)
    if scoring != "neg_log_loss":
        np.testing.assert_allclose(ours.scores_, theirs.scores_, atol=1e-3)
        assert ours.C_ == theirs.C_
        return
    whole = np.arange(len(cv)) % 2 == 0  # of the others theirs depends on where the solver stopped
    np.testing.assert_allclose(ours.scores_[whole], theirs.scores_[whole], atol=1e-3)
    test, model = cv[1][1], ours.coefs_paths_[1, 0, 1]
    Z = X.T[test] @ model[:, :-1].T + model[:, -1]
    Z = Z if K > 2 else np.concatenate([-Z, np.zeros_like(Z)], axis=1)
    P = np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)
    assert np.all(P[:, 0] < 2.0**-52)
    assert ours.scores_[1, 0, 1] == pytest.approx(-log_loss(Y[test], P, labels=np.arange(K)), rel=1e-6)


def test_parameters_without_an_intercept_keep_none(three_rows):
    X, y = three_rows
    cv = parts(np.where(y == "ant", 0, np.arange(len(y)) % 3))
    with pytest.warns(MissingClassWarning, match="'ant'"):
        found = LogisticRegressionCV(cv=cv, fit_intercept=False, refit=False).fit(X, y)
    assert np.all(found.intercept_ == 0)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score"])
def test_a_class_that_a_held_out_fold_lacks_is_no_problem_for_scorers(scoring):
    X, Y = drawn(3)
    folds = np.where((Y == 2) & (np.arange(M) % 3 == 0), 1, np.arange(M) % 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xlogreg.fit_cv(X, Y, [0.1], folds=folds, scoring=scoring)
        chosen = LogisticRegressionCV(Cs=[10 / 80], cv=parts(folds), scoring=scoring).fit(X.T, Y)
    assert np.all(np.isfinite(found.scores[scoring]))
    assert np.all(np.isfinite(chosen.scores_))
    if scoring == "neg_log_loss":
        np.testing.assert_allclose(found.scores[scoring], -found.scores["log_loss"], rtol=1e-9)
    else:
        kept = folds != 0
        model = xlogreg.fit(X[:, kept], Y[kept], l2=0.1, tol=1e-14)
        P = model.predict_proba(X[:, ~kept]).T
        assert found.scores[scoring][0, 0] == pytest.approx(-brier_score_loss(Y[~kept], P, labels=range(3)), rel=1e-5)
