"""Separated classes, complete and quasi-complete, are told from optima that are merely far."""

import warnings

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.datasets import load_iris

import xlogreg


def separated_by_linear_programming(X, Y):
    """Whether some hyperplane has no sample strictly on its wrong side and some sample strictly off it."""
    rows = np.concatenate([X, np.ones((1, X.shape[1]))]).T * (2 * Y - 1)[:, None]
    answer = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(Y)), bounds=[(-1, 1)] * rows.shape[1])
    return -answer.fun > 1e-7


def small_sets(count, seed):
    """Few samples of few whole numbers: ties, collinear features and both kinds of separation are common."""
    rng = np.random.default_rng(seed)
    while count:
        n_x, m = int(rng.integers(1, 4)), int(rng.integers(6, 25))
        X = rng.integers(-3, 4, (n_x, m)).astype(float) if rng.random() < 0.7 else rng.standard_normal((n_x, m))
        z = rng.standard_normal(n_x) @ X * rng.choice([0.5, 2.0, 20.0]) + rng.standard_normal()
        Y = (rng.random(m) < 1 / (1 + np.exp(-z))).astype(int)
        if 0 < Y.sum() < m:
            count -= 1
            yield X, Y


@pytest.mark.parametrize("seed", range(4))
def test_the_verdict_is_that_of_linear_programming(seed):
    verdicts = []
    for X, Y in small_sets(100, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xlogreg.SeparationWarning)
            model = xlogreg.fit(X, Y)
        verdicts.append((model.fit_info.reason == "separated", separated_by_linear_programming(X, Y)))
    false_alarms = sum(ours and not true for ours, true in verdicts)
    missed = sum(true and not ours for ours, true in verdicts)
    assert (false_alarms, missed) == (0, 0)
    assert 20 < sum(true for _, true in verdicts) < 80


def test_quasi_separation_names_the_feature_and_stops(problem):
    X, Y = problem
    indicator = ((np.arange(60) % 7 == 0) & (Y == 1)).astype(float)  # seen with one class only
    with pytest.warns(
        xlogreg.SeparationWarning, match=r"no sample moves to the wrong side \(strongest in the features 4"
    ):
        model = xlogreg.fit(np.concatenate([X, indicator[None, :]]), Y)
    assert model.fit_info.reason == "separated"
    assert np.isnan(model.fit_info.gap)
    assert model.w[4, 0] > 3 * np.max(np.abs(model.w[:4]))


def test_quasi_separation_is_found_for_three_classes(three_classes):
    X, Y = three_classes
    indicator = ((np.arange(90) % 5 == 0) & (Y == 2)).astype(float)
    with pytest.warns(xlogreg.SeparationWarning):
        assert xlogreg.fit(np.concatenate([X, indicator[None, :]]), Y).fit_info.reason == "separated"


def test_nearly_separated_classes_have_an_optimum():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, 200))
    Y = (X[0] > 0).astype(int)
    Y[np.argsort(np.abs(X[0]))[:6]] ^= 1  # six samples on the wrong side, hardly
    assert not separated_by_linear_programming(X, Y)
    model = xlogreg.fit(X, Y)
    assert model.fit_info.converged
    assert np.max(np.abs(model.w)) > 10


def test_overlapping_irises_are_not_called_separated():
    X, Y = load_iris(return_X_y=True)
    assert xlogreg.fit(X[Y > 0].T, Y[Y > 0]).fit_info.converged
    with pytest.warns(xlogreg.SeparationWarning):
        xlogreg.fit(X.T, Y == 0)


def test_soft_targets_are_never_called_separated():
    X = np.asarray([[-2.0, -1.0, 1.0, 2.0]])
    model = xlogreg.fit(X, [[0.01, 0.02, 0.98, 0.99]], targets="probabilities")
    assert model.fit_info.converged
