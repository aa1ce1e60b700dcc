"""Wide data: the same problem in the span of the samples, for gradient descent and for the default solver."""

import numpy as np
import pytest
from conftest import QUICK

import xlogreg
from xlogreg.fitting import plans
from xlogreg.fitting import problem as posing


def draw(n_x=240, m=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)) * rng.uniform(0.1, 3.0, (n_x, 1)) + rng.uniform(-2, 2, (n_x, 1))
    return X, (rng.random(m) < 0.5).astype(int)


@pytest.fixture
def direct(monkeypatch):
    """`fit` on all features."""

    def fit(*arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(posing, "reduction_pays", lambda *_: False)
            return xlogreg.fit(*arguments, **options)

    return fit


OPTIONS = {
    "plain": {},
    "penalty": {"l2": 0.05},
    "standardised": {"standardize": True, "l2": 0.05},
    "divided": {"standardize": 255, "l2": 1e-3},
    "no bias": {"bias": False, "l2": 0.05},
    "weights": {"sample_weight": np.linspace(0.1, 2.0, 40), "l2": 0.05},
    "rows": {"samples": "rows", "l2": 0.05},
}


@pytest.mark.filterwarnings("ignore::xlogreg.SeparationWarning")  # more features than samples separate any classes
@pytest.mark.parametrize("case", OPTIONS)
def test_gradient_descent_keeps_its_iterates(direct, case):
    X, Y = draw()
    X = X.T if case == "rows" else X
    options = {"solver": "gd", "max_iter": 300, "learning_rate": 0.01 if case != "divided" else 1.0} | OPTIONS[case]
    expected, model = direct(X, Y, **options), xlogreg.fit(X, Y, **options)
    scale = np.max(np.abs(expected.w))
    np.testing.assert_allclose(model.w, expected.w, atol=1e-10 * scale)
    np.testing.assert_allclose(model.b, expected.b, rtol=1e-8, atol=1e-10 * scale)
    np.testing.assert_allclose(model.costs, expected.costs, rtol=1e-10)
    assert model.fit_info.gap_known == ("bound" if "l2" in options else "separated")


@pytest.mark.parametrize(
    ("case", "three"), [*((case, False) for case in OPTIONS if case != "plain"), ("penalty", True)]
)
def test_the_default_solver_finds_the_same_optimum(direct, case, three):
    X, Y = draw()
    X, Y = X.T if case == "rows" else X, np.arange(40) % 3 if three else Y
    expected = direct(X, Y, solver="lbfgs", tol=1e-13, **OPTIONS[case])
    model = xlogreg.fit(X, Y, **OPTIONS[case])
    assert model.fit_info.converged
    assert model.fit_info.passes < 25
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(model.w, expected.w, atol=1e-5 * np.max(np.abs(expected.w)))


@pytest.mark.filterwarnings("ignore::xlogreg.SeparationWarning")  # more features than samples separate any classes
def test_the_automatic_rate_is_that_of_all_features(direct):
    X, Y = draw()
    options = {"solver": "gd", "max_iter": 200, "rng": 1}
    np.testing.assert_allclose(xlogreg.fit(X, Y, **options).costs, direct(X, Y, **options).costs, rtol=1e-2)


def test_repeated_samples_and_constant_features_are_no_trouble(direct):
    X, Y = draw()
    X, Y = np.concatenate([X, X[:, :10], np.zeros((240, 3))], axis=1), np.concatenate([Y, Y[:10], [0, 1, 1]])
    model = xlogreg.fit(X, Y, l2=0.05)
    np.testing.assert_allclose(model.w, direct(X, Y, l2=0.05, solver="newton").w, atol=1e-7)


def test_the_callback_sees_parameters_for_X_as_it_came():
    X, Y = draw()
    seen = []
    xlogreg.fit(X, Y, l2=0.1, solver="gd", max_iter=100, callback=lambda state: seen.append((state.w, state.b)))
    again = xlogreg.fit(X, Y, l2=0.1, solver="gd", max_iter=99)
    np.testing.assert_allclose(seen[99][0], again.w, atol=1e-10)
    assert seen[0][0].shape == (240, 1)


def test_pictures_of_uint8_are_never_a_whole_float_copy():
    import tracemalloc

    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (60_000, 300), dtype=np.uint8)
    tracemalloc.start()
    model = xlogreg.fit(X, np.arange(300) % 2, l2=0.1, standardize=255)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.fit_info.converged
    assert peak < 4 * X.nbytes  # in float64 it would be eight times X


def test_values_that_are_not_finite_are_located_in_wide_data(where64):
    X, Y = draw()
    X[200, 7] = np.inf
    for options in ({}, {"solver": "gd", "learning_rate": 0.1}):
        with pytest.raises(ValueError, match="inf at row 200, column 7"):
            xlogreg.fit(where64.asarray(X), Y, **options)


@pytest.mark.filterwarnings("ignore::xlogreg.SeparationWarning")  # more features than samples separate any classes
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_every_namespace_does_the_same_with_wide_data(where):
    X, Y = draw()
    features = where.asarray(X)
    for options in ({"l2": 0.05}, {"solver": "gd", "max_iter": 30, "learning_rate": 0.01}):
        expected, model = xlogreg.fit(X, Y, **options), xlogreg.fit(features, Y, **options)
        tolerance = 1e-9 if where.dtype == "float64" else 1e-3
        where.check(model.predict_proba(features), expected.predict_proba(X), rtol=tolerance)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_every_namespace_does_the_same_with_many_models_of_wide_data(where):
    X, Y = draw()
    features, weights = where.asarray(X), [None, np.linspace(0.1, 2.0, 40)]
    tolerance = 1e-6 if where.dtype == "float64" else 1e-3  # of parameters, about the root of the gap
    for own in ({}, {"standardize": True}, {"sample_weights": weights}, {"standardize": True, "initials": [None, 0]}):
        options = {"l2s": 0.05, "tol": 1e-12 if where.dtype == "float64" else None} | own
        if "initials" in own:
            start = xlogreg.fit(X, Y, l2=0.1)
            options["initials"] = [None, (start.w, start.b)]
        expected, models = (xlogreg.fit_many(x, [Y, 1 - Y], **options) for x in (X, features))
        for model, other in zip(models, expected, strict=True):
            where.check(model.predict_proba(features), other.predict_proba(X), rtol=tolerance)


@pytest.mark.parametrize("case", [case for case in OPTIONS if case not in ("plain", "weights")])
def test_models_of_one_wide_x_are_reduced_once(case, monkeypatch):
    X, Y = draw()
    X = X.T if case == "rows" else X
    options = {key: value for key, value in OPTIONS[case].items() if key != "l2"} | {"tol": 1e-14}
    calls = []
    for module in (posing, plans):
        reduce_wide = module.reduce_wide
        monkeypatch.setattr(module, "reduce_wide", lambda *a, f=reduce_wide, **b: calls.append(1) or f(*a, **b))
    l2s = [0.01, 0.1, 1.0]
    models = xlogreg.fit_many(X, [Y, np.arange(40) % 3, 1 - Y], l2s=l2s, **options)
    assert (len(calls) == 1) == (case != "standardised")  # whose scale is that of each model
    for model, target, l2 in zip(models, (Y, np.arange(40) % 3, 1 - Y), l2s, strict=True):
        alone = xlogreg.fit(X, target, l2=l2, **options)
        assert model.samples == alone.samples
        np.testing.assert_allclose(model.w, alone.w, atol=1e-8 * np.max(np.abs(alone.w)))
        np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), atol=1e-8)


def test_folds_of_wide_float32_data_of_large_means_keep_their_centre():
    X, Y = draw()
    X = (X + 2020.0).astype(np.float32)
    chosen, expected = (xlogreg.fit_cv(x, Y, [0.1, 1.0], folds=4) for x in (X, X.astype(np.float64)))
    np.testing.assert_allclose(chosen.scores["log_loss"], expected.scores["log_loss"], rtol=1e-4)
    path = xlogreg.fit_path(X, Y, [0.1, 1.0])
    assert path[0].w.dtype == np.float32
    assert path[0].center is not None
    np.testing.assert_allclose(path[0].predict_proba(X), xlogreg.fit(X, Y, l2=0.1).predict_proba(X), atol=1e-5)


def test_a_penalty_of_zero_among_others_still_names_the_features_that_separate():
    X, Y = draw()
    X[7] = Y
    with pytest.warns(xlogreg.SeparationWarning):
        models = xlogreg.fit_path(X, Y, [0.1, 0.0])
    assert models[1].fit_info.separation == "complete"
