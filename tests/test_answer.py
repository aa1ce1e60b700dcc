"""Cost, gap and separation hold for the model that comes back: its own parameters, as it predicts, in its own dtype."""

import warnings

import numpy as np
import pytest

import xlogreg
from xlogreg.fitting import answer


def fit(X, Y, **options):
    """The model, and the names of the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = xlogreg.fit(np.asarray(X), np.asarray(Y), **options)
    return model, {warning.category.__name__ for warning in caught}


def cost_of(model, X, Y, l2=0.0):
    """J in extended precision, of labels (m,) or probabilities (K, m)."""
    X, w = np.asarray(X).astype(np.longdouble), model.w.astype(np.longdouble)
    Z = w.T @ X + model.b if model.center is None else w.T @ (X - model.center) + model.centered_b
    Z = np.concatenate([0 * Z, Z]) if len(Z) == 1 else Z
    Y = np.asarray(Y)
    if Y.ndim == 1:
        Y = (model.classes[:, None] == Y).astype(float)
    Y = np.concatenate([1 - Y, Y]) if len(Y) == 1 else Y
    S = Z - Z.max(axis=0)
    return float(np.mean(np.log(np.exp(S).sum(axis=0)) - np.sum(Y * S, axis=0)) + l2 / 2 * np.sum(w**2))


def check(model, X, Y, l2=0.0):
    """The cost said is that of the model."""
    true = cost_of(model, X, Y, l2)
    null = -model.fit_info.null_log_likelihood / np.asarray(X).shape[1]
    assert model.fit_info.cost == pytest.approx(true, abs=1e-6 * max(true, 1e-3 * null))
    return true


RANDOM = np.random.default_rng(3)
AGE = RANDOM.integers(18, 90, 400).astype(float)
OLDER = (RANDOM.random(400) < 1 / (1 + np.exp(-0.05 * (AGE - 50)))).astype(int)


def with_outlier(value, label):
    age = AGE.copy()
    age[np.argmax(label == OLDER)] = value
    return age[None, :]


def levels(dtype):
    """A full one-hot of three levels, and labels that the middle one has in common."""
    level = np.repeat([2, 2, 1, 0], [10, 46, 20, 2])
    return np.eye(3, dtype=dtype)[:, level], np.repeat([0, 1], [10, 68])


def lacking(m, classes, absent):
    """Features, an indicator that never occurs with some of the classes, and labels."""
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((3, m)), rng.integers(0, classes, m)
    return np.concatenate([X, ((rng.random(m) < 0.1) & ~np.isin(Y, absent))[None, :]]), Y


QUASI = {
    "six samples": ([[-1.15, -2.19, 0.91, 0.11, 1.87, 0.06]], [2, 3, 0, 1, 1, 3]),
    "seven samples": ([[2.0, -1, -1, 1, 0, 3, 0]], [1, 2, 4, 0, 3, 0, 4]),
    "an indicator of two classes each": ([[1.0, 1, 0, 0]], [0, 1, 0, 2]),
    "an indicator that one of three classes lacks": lacking(500, 3, [2]),
    "an indicator that two of five classes lack": lacking(2000, 5, [2, 4]),
    "float32": (np.asarray([[0, 0, 0, 1, 0, 1, 1]], dtype="float32"), [0, 0, 1, 0, 0, 0, 0]),
    "one-hot": levels("float64"),
    "one-hot float32": levels("float32"),
    "no bias": ([[0.3, -0.2, 0.4, -0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]], [1, 0, 0, 1, 1, 1]),
}


@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
@pytest.mark.parametrize("case", QUASI)
def test_quasi_separated_classes_are_called_so(case, solver):
    X, Y = QUASI[case]
    model, warned = fit(X, Y, solver=solver, bias=case != "no bias")
    assert model.fit_info.separation == "quasi-complete"
    assert model.fit_info.reason == "separated"
    assert not model.fit_info.converged
    assert warned == {"SeparationWarning"}
    with pytest.raises(ValueError, match="standard errors"):
        model.standard_errors()
    check(model, X, Y)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
@pytest.mark.parametrize("m", [20_000, 100_000])
def test_an_indicator_that_a_class_lacks_is_found_among_many_samples(m, solver):
    model, warned = fit(*lacking(m, 3, [2]), solver=solver)
    assert model.fit_info.separation == "quasi-complete"
    assert warned == {"SeparationWarning"}


MINIMA = {
    "an outlier on its side": (with_outlier(9999999.0, 1), OLDER, 0.04448, 0.0058, 0.6017),
    "one that is farther": (with_outlier(1e9, 1), OLDER, 0.04448, 0.0058, 0.6017),
    "an outlier on the wrong side": (with_outlier(9999999.0, 0), OLDER, None, None, 0.688003),
    "a small overlap": (
        np.insert(np.linspace(-3, 3, 198), 99, [5e-5, -5e-5])[None, :],
        np.repeat([0, 1], 100),
        None,
        None,
        None,
    ),
}


@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
@pytest.mark.parametrize("case", MINIMA)
def test_what_lies_far_out_is_no_separation(case, solver):
    X, Y, w, error, cost = MINIMA[case]
    model, warned = fit(X, Y, solver=solver)
    info = model.fit_info
    assert (info.separation, info.converged, info.gap_known, warned) == ("none", True, "bound", set())
    if w is not None:
        np.testing.assert_allclose((model.w[0, 0], model.standard_errors().w[0, 0]), (w, error), rtol=5e-3)
    if cost is not None:
        assert info.cost == pytest.approx(cost, rel=1e-4)
    check(model, X, Y)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("far", [1e3, 1e5, 1e7])
def test_a_subset_without_the_outlier_does_not_end_the_fit(far, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 40_000))
    Y = X[0] + X[1] + rng.logistic(size=40_000) > 0
    X[0, 7] = far
    model, newton = (xlogreg.fit(X.astype(dtype), Y, l2=1e-3, solver=solver) for solver in ("auto", "newton"))
    assert model.fit_info.cost == pytest.approx(newton.fit_info.cost, rel=1e-7)
    assert model.fit_info.converged


def test_replicates_and_estimators_are_not_misled_by_an_outlier():
    found = xlogreg.bootstrap(MINIMA["an outlier on its side"][0], OLDER, 20)
    assert np.sum(found.valid) == 20
    LogisticRegression = pytest.importorskip("sklearn") and xlogreg.LogisticRegression
    model = LogisticRegression(C=np.inf).fit(MINIMA["an outlier on its side"][0].T, OLDER)
    assert model.coef_[0, 0] == pytest.approx(0.04448, rel=5e-3)


@pytest.mark.parametrize("seed", range(6))
def test_soft_targets_of_flat_curvature_keep_their_minimum(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((4, 5)), np.full((5, 5), 0.001)
    Y[rng.permutation(5), np.arange(5)] = 0.996
    model, warned = fit(X, Y, targets="probabilities")
    assert (model.fit_info.converged, warned) == (True, set())
    entropy = -np.mean(np.sum(Y * np.log(Y), axis=0))  # five samples and five parameters a class fit any targets
    assert check(model, X, Y) == pytest.approx(entropy, rel=1e-9)


@pytest.mark.parametrize("soft", [False, True])
def test_wide_float32_data_are_what_their_certificate_says(soft):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        m = int(rng.integers(3, 12))
        X = rng.standard_normal((m + int(rng.integers(1, 30)), m)).astype("float32")
        Y = np.arange(m) % 2
        targets = np.where(Y, 0.95, 0.05)[None, :]
        model, _ = fit(X, targets if soft else Y, **({"targets": "probabilities"} if soft else {}))
        true = check(model, X, targets if soft else Y)
        if soft:
            assert true == pytest.approx(0.198515, rel=1e-4)
        else:
            assert model.fit_info.separation == "complete"
            assert np.all(model.predict(X)[0] == Y)


@pytest.mark.parametrize("factor", [1.0, 1e7, 3e7, 1e8, 1e12])
def test_a_feature_that_dwarfs_the_others_does_not_hide_them(factor):
    X = np.random.default_rng(0).standard_normal((60, 30))
    Y = (X[1] + X[2] > 0).astype(int)
    X[0] *= factor
    model, warned = fit(X, Y, l2=0.1)
    assert (model.fit_info.converged, warned) == (True, set())
    assert check(model, X, Y, 0.1) == pytest.approx(fit(X, Y, l2=0.1, initial=model)[0].fit_info.cost, rel=1e-9)
    if factor > 1:
        assert model.fit_info.cost == pytest.approx(0.20299, rel=1e-4)
    apart, warned = fit(X, Y)
    assert apart.fit_info.separation == "complete"
    assert warned == {"SeparationWarning"}
    assert np.all(apart.predict(X)[0] == Y)
    many = xlogreg.fit_many(X, [Y, 1 - Y], l2s=0.1)
    for each in many:
        assert each.fit_info.cost == pytest.approx(model.fit_info.cost, rel=1e-9)


def test_nearly_collinear_features_are_not_called_converged():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(50)
    X = np.stack([x, x * (1 + 1e-9 * rng.standard_normal(50))])
    Y = (rng.random(50) < 1 / (1 + np.exp(-x))).astype(int)
    model, warned = fit(X, Y)
    assert not model.fit_info.converged
    assert np.isnan(model.fit_info.gap)
    assert warned == {"ConvergenceWarning"}
    with pytest.warns(xlogreg.ConvergenceWarning, match="nearly collinear"):
        xlogreg.fit(X, Y)


def test_float32_columns_that_differ_by_a_thousandth_are_told_apart():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X = (rng.standard_normal((1, 8)) + 1e-3 * rng.standard_normal((6, 8))).astype("float32")
        Y = rng.permutation(np.arange(8) % 2)
        model, _ = fit(X, Y)
        check(model, X, Y)
        assert model.fit_info.separation == "complete"  # eight samples in six dimensions: nearly always
        assert np.all(model.predict(X)[0] == Y)


def test_a_loose_tolerance_is_answered_by_a_model_of_that_cost(problem):
    X, Y = problem
    for options in ({}, {"l2": 1e-3}, {"solver": "lbfgs"}, {"solver": "lbfgs", "l2": 1e-3}):
        for tol in (1e-1, 1e-3, 1e-6):
            model, _ = fit(X, Y, tol=tol, **options)
            true = check(model, X, Y, options.get("l2", 0.0))
            best = xlogreg.fit(X, Y, **options).fit_info.cost
            assert true - best <= tol * true
            assert 0.7 * (true - best) - 1e-12 <= model.fit_info.gap <= tol * true


def test_a_model_whose_cost_changed_is_evaluated_again(problem, monkeypatch):
    X, Y = problem
    expected = xlogreg.fit(X, Y).fit_info
    monkeypatch.setattr(answer, "_change", lambda *_: np.inf)
    info = xlogreg.fit(X, Y).fit_info
    assert info.passes > expected.passes
    assert info.cost == pytest.approx(expected.cost, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_gradient_descent_on_separated_data_warns_and_keeps_its_iterates(classes):
    rng = np.random.default_rng(classes)
    X = rng.standard_normal((2, 30))
    Y = np.argmax(rng.standard_normal((classes, 2)) @ X, axis=0)
    costs = []
    model, warned = fit(X, Y, solver="gd", max_iter=50, learning_rate=0.1, callback=lambda state: costs.append(state.w))
    assert warned == {"SeparationWarning"}
    assert (model.fit_info.separation, model.fit_info.reason) == ("complete", "max_iter")
    assert (model.fit_info.gap, model.fit_info.gap_known) == (model.fit_info.cost, "separated")
    check(model, X, Y)
    step = np.linalg.norm(model.w - costs[-1])
    assert 0 < step < np.linalg.norm(costs[-1] - costs[-2])  # one step of the notes from the last that was seen
