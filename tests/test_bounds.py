"""Bounds of the weights: the minimum within them, as an independent solver finds it, and never outside."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from test_elastic_net import ROWS, drawn

import xlogreg

N = 8
OPTIONS = {
    "not negative": {"lower": 0},
    "a box": {"lower": -0.05, "upper": 0.3, "l2": 0.01},
    "with L1": {"lower": -0.2, "l1": 0.01},
    "some": {"upper": np.where(np.arange(N) < 4, 0.1, np.inf), "l1": 0.02, "l2": 0.01, "standardize": True},
    "no bias": {"lower": 0.0, "bias": False},
    "fixed": {"lower": 0.0, "upper": 0.0},
}


def least(X, y, *, l1=0.0, l2=0.0, lower=-np.inf, upper=np.inf, standardize=False, bias=True):
    """The cost function of w and b, and its minimum, with L1 as a sum of positive and negative parts."""
    n, scale = X.shape[1], X.std(axis=0) if standardize else 1.0

    def cost(parts):
        w = parts[:n] - parts[n : 2 * n]
        z = X @ w + parts[-1]
        r = (expit(z) - y) / len(y)
        slope = X.T @ r + l2 * scale**2 * w
        value = np.mean(np.logaddexp(0, z) - y * z) + 0.5 * l2 * np.sum((scale * w) ** 2)
        value += l1 * np.sum(scale * (parts[:n] + parts[n : 2 * n]))
        return value, np.concatenate([slope + l1 * scale, -slope + l1 * scale, [r.sum()]])

    ends = [(0, end) for end in (*np.broadcast_to(upper, n), *-np.broadcast_to(lower, n))]
    ends.append((None, None) if bias else (0, 0))
    tight = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000, "maxfun": 100_000}
    found = minimize(cost, np.zeros(2 * n + 1), jac=True, bounds=ends, method="L-BFGS-B", options=tight)
    return lambda w, b: cost(np.concatenate([np.maximum(w, 0), np.maximum(-w, 0), [b]]))[0], found.fun


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_the_minimum_within_bounds(options, seed):
    X, Y = drawn(300, N, seed=seed, shift=1.0)
    model = xlogreg.fit(X, Y, **options, **ROWS)
    w, b = model.w[:, 0], model.b[0, 0]
    cost, minimum = least(X, Y, **options)
    assert model.fit_info.converged
    assert cost(w, b) <= minimum + 1e-10
    assert model.fit_info.cost == pytest.approx(cost(w, b), rel=1e-12)
    assert np.all(w >= options.get("lower", -np.inf))
    assert np.all(w <= options.get("upper", np.inf))
    assert model.fit_info.gradient_norm < 1e-5


def test_a_weight_that_is_at_its_bound_but_for_rounding_does_not_end_the_fit():
    X = np.asarray(
        [[0.3, -1.4], [-0.4, -0.3], [-0.1, 0.1], [1.6, 0.1], [0.1, 0.0], [-1.0, -0.6], [0.9, 1.7], [1.2, 1.3]]
    )
    Y = [2, 1, 2, 0, 0, 1, 2, 3]
    options = {"standardize": 0.01, "l1": 0.024943593333521027, "lower": -0.015222262411090723, **ROWS}
    model = xlogreg.fit(X.astype(np.float32).astype(float), Y, **options)
    assert model.fit_info.converged
    assert model.fit_info.cost < 0.417


def test_bounds_for_three_classes_and_many_features():
    X, Y = drawn(200, 400, classes=3)
    model = xlogreg.fit(X, Y, l1=0.01, lower=0.0, **ROWS)
    assert model.fit_info.converged
    assert model.w.min() == 0.0
    assert model.w.max() > 0.0
    with pytest.raises(ValueError, match="selected by an L1 penalty"):
        model.standard_errors()


def test_paths_many_models_and_cross_validation_keep_bounds():
    X, Y = drawn(200, 6)
    path = xlogreg.fit_path(X, Y, penalties="auto", lower=0.0, tol=1e-7, **ROWS)
    assert path.w.min() == 0.0
    assert not path[0].w.any()
    assert path[1].w.any()
    alone = xlogreg.fit(X, Y, l1=path.l1[20], lower=0.0, tol=1e-7, **ROWS)
    np.testing.assert_allclose(path[20].w, alone.w, atol=1e-3)
    assert xlogreg.fit_cv(X, Y, penalties=[0.01, 0.1], lower=0.0, **ROWS).model.w.min() >= 0.0
    for model in xlogreg.fit_many(X, [Y, 1 - Y], lower=-0.1, upper=0.1, **ROWS):
        assert np.abs(model.w).max() == pytest.approx(0.1)
    start = xlogreg.fit(X, Y, **ROWS)
    np.testing.assert_allclose(
        xlogreg.fit(X, Y, lower=0.0, initial=start, **ROWS).w, xlogreg.fit(X, Y, lower=0.0, **ROWS).w, atol=1e-6
    )


def test_what_are_no_bounds_is_refused():
    X, Y = drawn(40, 2)
    for options, error, message in (
        ({"lower": 0.5}, ValueError, "lower must be a number <= 0, or one for each feature, not 0.5"),
        ({"upper": -1}, ValueError, "upper must be a number >= 0"),
        ({"upper": np.nan}, ValueError, "upper must be a number >= 0"),
        ({"lower": "0"}, TypeError, "lower must be a number <= 0"),
        ({"lower": True}, TypeError, "lower must be a number <= 0"),
        ({"lower": []}, ValueError, "lower must be a number <= 0"),
        ({"lower": [[0.0, 0.0]]}, TypeError, "lower must be a number <= 0"),
        ({"lower": [0.0, 0.0, 0.0]}, ValueError, "lower holds 3 bounds, but X has 2 features"),
        ({"lower": 0, "solver": "newton"}, ValueError, "lower needs solver='auto', not 'newton'"),
    ):
        with pytest.raises(error, match=message):
            xlogreg.fit(X, Y, **options, **ROWS)
    with pytest.raises(ValueError, match="the weights have bounds"):
        xlogreg.fit(X, Y, lower=-1.0, **ROWS).standard_errors()


SEPARATING = {"l1": 0.01, "penalty_factor": [1, 1, 1, 0]}


@pytest.mark.parametrize("bounds", [{"lower": 0}, {"lower": -1.0}, {"upper": 1.0}, {"lower": -1, "upper": 1}])
@pytest.mark.parametrize("others", [{}, SEPARATING], ids=["bounds alone", "with l1"])
def test_a_bound_holds_a_feature_that_separates_only_on_its_side(bounds, others):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal((300, 3)), rng.random(300) < 0.2])
    Y = (X[:, 0] + rng.logistic(size=300) > 0) | (X[:, 3] > 0)
    if "upper" in bounds:
        model = xlogreg.fit(X, Y, samples="rows", **bounds, **others)
        assert model.fit_info.converged
        assert model.w[3, 0] == pytest.approx(1.0)
    else:
        with pytest.warns(xlogreg.SeparationWarning, match="3"):
            model = xlogreg.fit(X, Y, samples="rows", **bounds, **others)
        assert model.fit_info.separation == "quasi-complete"
