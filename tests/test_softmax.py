"""Softmax with the Kronecker preconditioner."""

import numpy as np
import pytest

import xlogreg
from xlogreg.fitting import problem as posing
from xlogreg.solvers import rent_or_buy
from xlogreg.solvers.kronecker import Basis, Kronecker


@pytest.fixture
def always(monkeypatch):
    """Chosen however small the problem."""
    monkeypatch.setattr(posing, "NEWTON_WORK", 0.0)
    monkeypatch.setattr(rent_or_buy, "FEATURES", 0)


def draw(m=4000, n_x=12, k=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)) * 10.0 ** rng.uniform(-3, 3, (n_x, 1)) + 100.0
    Z = rng.standard_normal((k, n_x)) @ ((X - 100.0) / X.std(axis=1, keepdims=True))
    return X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=0)


OPTIONS = {
    "no penalty": {},
    "penalty": {"l2": 1e-2},
    "standardised": {"l2": 1e-2, "standardize": True},
    "no bias": {"l2": 1e-2, "bias": False},
    "weights": {"l2": 1e-2, "sample_weight": np.linspace(0.0, 2.0, 4000)},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_it_finds_the_optimum_of_newton(case, always):
    X, Y = draw()
    model, expected = xlogreg.fit(X, Y, **OPTIONS[case]), xlogreg.fit(X, Y, solver="newton", **OPTIONS[case])
    assert model.fit_info.solver == "spectral-lbfgs"
    assert model.fit_info.converged
    assert model.fit_info.passes < 80
    assert model.fit_info.cost == pytest.approx(expected.fit_info.cost, rel=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-5)
    assert np.max(np.abs(np.sum(model.w, axis=1))) <= 1e-9 * np.max(np.abs(model.w))  # centred over the classes


def test_it_is_the_same_on_every_namespace(where, three_classes, always):
    X, Y = three_classes
    expected = xlogreg.fit(X, Y, l2=1e-3, solver="newton")
    model = xlogreg.fit(
        where.asarray(X), where.place.put(Y, "int32"), l2=1e-3, tol=1e-14 if where.dtype == "float64" else None
    )
    assert model.fit_info.solver == "spectral-lbfgs"
    tolerance = 1e-6 if where.dtype == "float64" else 1e-3
    where.check(model.predict_proba(where.asarray(X)), expected.predict_proba(X), rtol=tolerance)


def test_collinear_and_constant_features_are_left_at_the_minimum_norm(always):
    X, Y = draw(m=2000, n_x=4, k=3)
    spoiled = np.concatenate([X, X[:1], np.full((1, 2000), 7.0)])
    model, expected = xlogreg.fit(spoiled, Y), xlogreg.fit(X, Y)
    assert model.fit_info.converged
    np.testing.assert_allclose(model.predict_proba(spoiled), expected.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(model.w[0], model.w[4], atol=1e-6 * np.max(np.abs(model.w)))
    assert np.all(model.w[5] == 0.0)


def test_the_rarest_class_may_be_rare(always):
    X, Y = draw(k=3)
    Y[Y == 2] = 1
    Y[[3, 1000, 3999]] = 2
    assert xlogreg.fit(X, Y, l2=1e-3).fit_info.converged


def test_the_iterations_of_all_stages_are_counted_and_limited(always):
    X, Y = draw()
    with pytest.warns(xlogreg.ConvergenceWarning):
        model = xlogreg.fit(X, Y, max_iter=9)
    assert model.fit_info.iterations == len(model.costs) == 9
    assert model.fit_info.reason == "max_iter"


def test_solve_inverts_the_kronecker_product():
    rng = np.random.default_rng(0)
    P = rng.dirichlet(np.ones(4), 50).T
    A = np.diag(P.mean(axis=1)) - P @ P.T / 50
    F = rng.standard_normal((6, 30))
    S, T2, l2 = F @ F.T / 30, np.append(rng.uniform(0.5, 2.0, 5), 1e-3)[:, None], 0.1
    G = rng.standard_normal((6, 1, 4))
    G = G - G.mean(axis=2, keepdims=True)  # as every gradient of a softmax is
    values, U = np.linalg.eigh(S / np.sqrt(T2 * T2.T))
    a, Q = np.linalg.eigh(A)
    solver = Kronecker.from_factors(Basis(np.sqrt(T2), U, values), a, Q, values[:, None] * a, l2, 2e-16)
    x = solver.solve(G)[:, 0, :]
    np.testing.assert_allclose(S @ x @ A + l2 * T2 * x, G[:, 0, :], atol=1e-11)
    assert solver.conditioning[0].rank == 18
    kept, tail = U[:, 3:], 0.05
    truncated = Kronecker.from_factors(
        Basis(np.sqrt(T2), kept, values[3:], tail), a, Q, values[3:, None] * a, l2, 2e-16
    )
    x = truncated.solve(G)[:, 0, :]
    S = np.sqrt(T2 * T2.T) * ((kept * values[3:]) @ kept.T)
    np.testing.assert_allclose(S @ x @ A + l2 * T2 * x, G[:, 0, :], atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_penalty_curves_every_direction_however_the_units_differ(dtype, always):
    rng = np.random.default_rng(0)
    S = rng.standard_normal((30, 15_000))
    Y = np.argmax(rng.standard_normal((5, 30)) @ S / 3 + rng.gumbel(size=(5, 15_000)), axis=0)
    X = (S * np.logspace(-2, 3, 30)[:, None] + 2020.0).astype(dtype)
    model, expected = xlogreg.fit(X, Y, l2=1e-4), xlogreg.fit(X.astype("float64"), Y, l2=1e-4, solver="newton")
    assert model.fit_info.solver == "spectral-lbfgs"
    assert model.fit_info.cost == pytest.approx(expected.fit_info.cost, rel=1e-6 if dtype == "float32" else 1e-10)


def test_newton_steps_of_a_softmax_need_no_eigenvalues(monkeypatch):
    calls = []
    eigh = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda H: calls.append(H.shape) or eigh(H))
    X, Y = draw(m=400, n_x=5, k=3)
    for l2 in (1e-2, 0.0):
        calls.clear()
        model = xlogreg.fit(X, Y, l2=l2)
        assert model.fit_info.solver == "newton"
        assert model.fit_info.iterations > 3
        assert len(calls) <= 2  # those of the certificate, for the rank
        assert np.max(np.abs(np.sum(model.w, axis=1))) < 1e-12 * np.max(np.abs(model.w))
