"""`fit` as a user calls it: what it finds, what it reports, what it warns of."""

import warnings

import numpy as np
import pytest
from conftest import place_or_skip
from reference import loop_descent
from sklearn.datasets import load_breast_cancer

import xlogreg
from xlogreg.arrays.place import to_host

SOLVERS = ("auto", "newton", "lbfgs")


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_same_fit_on_every_namespace(where, problem, solver):
    X, Y = problem
    expected = xlogreg.fit(X, Y, tol=1e-15)
    features = where.asarray(X)
    model = xlogreg.fit(features, Y, solver=solver, **({"tol": 1e-15} if where.dtype == "float64" else {}))
    tolerance = 1e-9 if where.dtype == "float64" else 1e-4
    where.check(model.predict_proba(features), expected.predict_proba(X), rtol=tolerance)
    where.check(model.w, expected.w, rtol=1e-7 if where.dtype == "float64" else 1e-3)
    where.check(model.b, expected.b, rtol=1e-7 if where.dtype == "float64" else 1e-3)
    np.testing.assert_array_equal(to_host(features), X.astype(where.dtype))
    assert model.fit_info.backend == where.place.name
    assert model.fit_info.dtype == where.dtype
    assert model.fit_info.fallback is None
    assert model.fit_info.converged


def test_softmax_on_every_namespace(where, three_classes):
    X, Y = three_classes
    expected = xlogreg.fit(X, Y, l2=1e-3)
    features = where.asarray(X)
    model = xlogreg.fit(features, where.place.put(Y), l2=1e-3)
    tolerance = 1e-9 if where.dtype == "float64" else 1e-4
    where.check(model.predict_proba(features), expected.predict_proba(X), rtol=tolerance)
    assert model.w.shape == (3, 3)
    assert model.b.shape == (3, 1)


def test_gd_is_the_explicit_loop_on_every_namespace(where, problem):
    X, Y = problem[0][:, :20], problem[1][:20]
    w, b, costs = loop_descent(X.tolist(), Y.tolist(), 0.05, 300)
    model = xlogreg.fit(where.asarray(X), Y, solver="gd", learning_rate=0.05, max_iter=300)
    rtol = 1e-11 if where.dtype == "float64" else 1e-4
    where.check(model.w, np.asarray(w)[:, None], rtol=rtol, atol=0)
    where.check(model.b, [[b]], rtol=rtol, atol=0)
    np.testing.assert_allclose(model.costs, costs, rtol=rtol)  # costs[i] is J before update i
    assert model.fit_info.iterations == 300
    assert model.fit_info.reason == "max_iter"


def test_gd_starts_from_initial_and_stops_by_tol(problem):
    X, Y = problem
    w0, b0 = np.full((4, 1), 0.2), np.asarray([[-0.1]])
    w, b, _ = loop_descent(X.tolist(), Y.tolist(), 0.05, 30, w0[:, 0].tolist(), -0.1)
    options = {"solver": "gd", "learning_rate": 0.05}
    model = xlogreg.fit(X, Y, max_iter=30, initial=(w0, b0), **options)
    np.testing.assert_allclose(model.w[:, 0], w, rtol=1e-12)
    again = xlogreg.fit(X, Y, max_iter=10, initial=model, **options)
    np.testing.assert_allclose(again.w[:, 0], loop_descent(X.tolist(), Y.tolist(), 0.05, 10, w, b)[0], rtol=1e-11)
    stopped = xlogreg.fit(X, Y, max_iter=100_000, tol=1e-6, **options)
    assert stopped.fit_info.reason == "converged"
    assert stopped.fit_info.gap <= 1e-6 * stopped.fit_info.cost
    assert stopped.fit_info.iterations < 100_000


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("standardize", [True, 255])
def test_gd_on_standardised_features_is_gd_on_features_standardised_by_hand(problem, standardize, weighted, bias):
    X, Y = problem
    weight = np.linspace(0.0, 2.0, 60) if weighted else None
    center, scale = np.zeros((4, 1)), np.full((4, 1), 255.0)
    if standardize is True:
        center = np.average(X, axis=1, weights=weight, keepdims=True)
        scale = np.sqrt(np.average((X - center) ** 2, axis=1, weights=weight, keepdims=True))
    options = {"solver": "gd", "learning_rate": 0.3, "max_iter": 50, "sample_weight": weight, "l2": 0.1, "bias": bias}
    inside = xlogreg.fit(X, Y, standardize=standardize, **options)
    by_hand = xlogreg.fit((X - center) / scale, Y, **options)
    np.testing.assert_allclose(inside.w, by_hand.w / scale, rtol=1e-9)
    np.testing.assert_allclose(inside.b, by_hand.b - (by_hand.w / scale).T @ center, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(inside.costs, by_hand.costs, rtol=1e-11)


def test_gd_with_the_automatic_rate_always_descends(problem):
    X, Y = problem
    for scale in (1e-3, 1.0, 1e3):
        model = xlogreg.fit(X * scale, Y, solver="gd", max_iter=200)
        assert np.all(np.diff(model.costs) < 0)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("k", [1, 3])
def test_soft_targets_give_back_the_parameters_that_made_them(where64, solver, k):
    rng = np.random.default_rng(0)
    X, W, b = rng.standard_normal((3, 50)), rng.standard_normal((3, k)), rng.standard_normal((k, 1))
    W, b = (W, b) if k == 1 else (W - W.mean(axis=1, keepdims=True), b - b.mean())
    Y = (xlogreg.sigmoid if k == 1 else xlogreg.softmax)(W.T @ X + b)
    model = xlogreg.fit(where64.asarray(X), Y, targets="probabilities", solver=solver)
    where64.check(model.w, W, rtol=1e-5)
    where64.check(model.b, b, rtol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_breast_cancer_agrees_with_scikit_learn(solver):
    X, Y = pytest.importorskip("sklearn.datasets").load_breast_cancer(return_X_y=True)
    m = len(Y)
    linear_model = pytest.importorskip("sklearn.linear_model")
    judge = linear_model.LogisticRegression(C=1 / (1e-2 * m), solver="newton-cholesky", tol=1e-12)
    model = xlogreg.fit(X, Y, samples="rows", l2=1e-2, solver=solver, tol=1e-13)
    np.testing.assert_allclose(model.predict_proba(X), judge.fit(X, Y).predict_proba(X), atol=1e-6)
    Xs = (X - X.mean(axis=0)) / X.std(axis=0)
    model = xlogreg.fit(X, Y, samples="rows", l2=1e-2, standardize=True, solver=solver)
    np.testing.assert_allclose(model.predict_proba(X), judge.fit(Xs, Y).predict_proba(Xs), atol=1e-7)
    weight = np.random.default_rng(0).random(m)
    judge.C = 1 / (1e-2 * weight.sum())
    judge.fit(Xs, Y, sample_weight=weight)
    model = xlogreg.fit(Xs, Y, samples="rows", l2=1e-2, sample_weight=weight, solver=solver, tol=1e-13)
    np.testing.assert_allclose(model.predict_proba(Xs), judge.predict_proba(Xs), atol=1e-7)


@pytest.mark.parametrize("load", ["load_iris", pytest.param("load_digits", marks=pytest.mark.slow)])
def test_softmax_agrees_with_scikit_learn(load):
    X, Y = getattr(pytest.importorskip("sklearn.datasets"), load)(return_X_y=True)
    options = {"C": 1 / (1e-2 * len(Y)), "solver": "newton-cg", "tol": 1e-10, "max_iter": 1000}
    judge = pytest.importorskip("sklearn.linear_model").LogisticRegression(**options).fit(X, Y)
    for solver in ("newton", "lbfgs"):
        model = xlogreg.fit(X, Y, samples="rows", l2=1e-2, solver=solver)
        np.testing.assert_allclose(model.predict_proba(X), judge.predict_proba(X), atol=1e-5)
        assert model.evaluate(X, Y).accuracy == judge.score(X, Y)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "bool", "int32"])
@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_storage_types_are_computed_in_float(dtype, backend):
    place_or_skip(backend)
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2 if dtype == "bool" else 30, (3, 80)).astype(dtype)
    Y = rng.random(80) < 1 / (1 + np.exp(-(X[0].astype(float) - X[1])))
    computed = "float64" if dtype in ("bool", "int32") else "float32"
    expected = xlogreg.fit(X.astype(computed), Y, l2=0.1)
    from xlogreg.arrays.place import dtype_name, place_on

    model = xlogreg.fit(place_on(backend).put(X), Y, l2=0.1)
    assert model.fit_info.dtype == dtype_name(model.w) == computed
    np.testing.assert_allclose(to_host(model.w), expected.w, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_large_uint8_X_never_becomes_a_float_copy():
    import tracemalloc

    X = np.random.default_rng(0).integers(0, 256, (100, 800_000), dtype=np.uint8)
    Y = X[0] > X[1]
    tracemalloc.start()
    xlogreg.fit(X, Y, solver="gd", learning_rate=1.0, max_iter=2, standardize=255)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.0 * X.nbytes  # in float32 it would be four times X


@pytest.mark.parametrize("solver", SOLVERS)
def test_separated_classes_are_proved_and_warned_of(problem, three_classes, solver):
    for X, Y in ((problem[0], problem[0][0] > 0.1), (three_classes[0], np.argmax(three_classes[0], axis=0))):
        with pytest.warns(xlogreg.SeparationWarning, match="hyperplane"):
            model = xlogreg.fit(X, Y, solver=solver)
        assert model.fit_info.reason == "separated"
        assert not model.fit_info.converged
        assert model.evaluate(X, Y).accuracy == 1.0
        assert xlogreg.fit(X, Y, solver=solver, l2=1e-3).fit_info.converged


def test_gd_never_stops_for_separation(problem):
    with pytest.warns(xlogreg.SeparationWarning, match="every sample on its own side"):
        model = xlogreg.fit(problem[0], problem[0][0] > 0.1, solver="gd", max_iter=500)
    assert model.fit_info.iterations == 500
    assert model.fit_info.separation == "complete"
    assert (model.fit_info.gap, model.fit_info.gap_known) == (model.fit_info.cost, "separated")


def test_a_rate_too_large_is_called_divergence(problem):
    with pytest.warns(xlogreg.DivergenceWarning, match="learning_rate"):
        model = xlogreg.fit(*problem, solver="gd", learning_rate=1e200, max_iter=500)
    assert model.fit_info.reason == "diverged"
    assert not model.fit_info.converged


def test_too_few_steps_are_warned_of(problem):
    with pytest.warns(xlogreg.ConvergenceWarning, match="max_iter=2"):
        model = xlogreg.fit(*problem, max_iter=2)
    assert model.fit_info.reason == "max_iter"
    assert not model.fit_info.converged


@pytest.mark.parametrize("solver", [*SOLVERS, "gd"])
def test_the_callback_sees_the_state_and_stops_the_fit(where, problem, solver):
    X, Y = problem
    seen = []

    def callback(state):
        seen.append((state.iteration, state.cost, state.gradient_norm, state.w.shape, state.b.shape))
        return state.iteration == 2

    model = xlogreg.fit(where.asarray(X), Y, solver=solver, callback=callback)
    assert [entry[0] for entry in seen] == [0, 1, 2]
    assert all(np.isfinite(entry[1]) and entry[2] > 0 for entry in seen)
    assert seen[0][3:] == ((4, 1), (1, 1))
    assert model.fit_info.reason == "callback"
    assert model.fit_info.iterations == 2


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_verbose_shows_a_line_on_standard_error(problem, capsys, monkeypatch, with_tqdm):
    if not with_tqdm:
        monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    xlogreg.fit(*problem, solver="gd", max_iter=30, verbose=1)
    shown = capsys.readouterr()
    assert "fit" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_a_line_that_is_broken_off_is_ended(problem, capsys, monkeypatch, with_tqdm):
    if not with_tqdm:
        monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)

    def interrupt(state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        xlogreg.fit(*problem, solver="gd", verbose=1, callback=interrupt)
    assert capsys.readouterr().err.endswith("\n")


def test_a_start_far_out_leads_to_the_same_optimum(problem):
    expected = xlogreg.fit(*problem)
    for size in (1e3, 1e8, 1e200):
        model = xlogreg.fit(*problem, initial=(np.full((4, 1), size), np.zeros((1, 1))))
        assert model.fit_info.converged
        np.testing.assert_allclose(model.w, expected.w, rtol=1e-6)


def test_constant_and_duplicate_features_do_no_harm(problem):
    X, Y = problem
    expected = xlogreg.fit(X, Y).predict_proba(X)
    spoiled = np.concatenate([X, X[:2], np.full((1, 60), 7.0), X[:1] + X[1:2]])
    for solver in SOLVERS:
        model = xlogreg.fit(spoiled, Y, solver=solver)
        assert model.fit_info.converged
        np.testing.assert_allclose(model.predict_proba(spoiled), expected, atol=1e-6)
        assert model.w[6, 0] == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["rent-or-buy", "spectral-lbfgs"])
def test_many_features_are_fitted_without_a_hessian(solver, monkeypatch):
    monkeypatch.setattr("xlogreg.solvers.rent_or_buy.FEATURES", 0 if solver == "spectral-lbfgs" else 5000)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1200, 900))
    Y = X[0] + rng.standard_normal(900) > 0
    auto = xlogreg.fit(X, Y, l2=0.1)
    assert auto.fit_info.solver == solver
    assert auto.fit_info.gap_known == "estimate"
    assert xlogreg.fit(X, Y, l2=0.1, solver="lbfgs").fit_info.gap_known == "bound"
    newton = xlogreg.fit(X, Y, l2=0.1, solver="newton")
    np.testing.assert_allclose(auto.predict_proba(X), newton.predict_proba(X), atol=1e-6)


def test_passes_are_counted_as_they_are_made(problem, monkeypatch):
    from xlogreg.samples.memory import InMemory

    made, original = [], InMemory.sum

    def counted(self, *arguments):
        made.append(arguments[0])
        return original(self, *arguments)

    monkeypatch.setattr(InMemory, "sum", counted)
    for options in ({"solver": "gd", "max_iter": 7}, {}, {"solver": "lbfgs"}, {"solver": "gd", "standardize": True}):
        made.clear()
        assert xlogreg.fit(*problem, **options).fit_info.passes == len(made)


def test_a_converged_fit_warns_of_nothing(problem):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for solver in SOLVERS:
            xlogreg.fit(*problem, solver=solver)
            xlogreg.fit(problem[0].astype("float32"), problem[1], solver=solver)


def test_newton_steps_are_longer_where_the_curvature_falls_along_them(monkeypatch):
    X, Y = load_breast_cancer(return_X_y=True)
    longer = xlogreg.fit(X, Y, samples="rows", l2=1 / 569)
    monkeypatch.setattr("xlogreg.solvers.descent.LONGEST", 0.0)
    plain = xlogreg.fit(X, Y, samples="rows", l2=1 / 569)
    assert longer.fit_info.iterations <= plain.fit_info.iterations - 3
    np.testing.assert_allclose(longer.predict_proba(X), plain.predict_proba(X), atol=1e-9)
    assert np.all(np.diff(longer.costs) < 0.0)
