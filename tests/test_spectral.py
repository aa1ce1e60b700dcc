"""Many features, and softmax models: L-BFGS along the axes of a subset."""

import numpy as np
import pytest
from conftest import QUICK

import xlogreg
from xlogreg.arrays.matrix import Dense
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns
from xlogreg.solvers import spectral_lbfgs as spectral
from xlogreg.solvers.spectral_lbfgs import _half_noise


@pytest.fixture
def few(monkeypatch):
    """Few features count as many, so that small problems go the way of large ones."""
    monkeypatch.setattr(spectral, "WHOLE_LIMIT", 20)
    monkeypatch.setattr("xlogreg.fitting.problem.EXPANSION_LIMIT", 20)
    monkeypatch.setattr("xlogreg.solvers.rent_or_buy.FEATURES", 0)
    monkeypatch.setattr("xlogreg.fitting.proof.EXPANSION_LIMIT", 20)


def draw(m=3000, n_x=60, k=1, seed=0):
    """Features of the singular values 1/i, shifted and scaled; m > n_x, too few samples for subsets of 60 n_x."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((n_x, n_x)))
    X = (Q / np.arange(1, n_x + 1)) @ rng.standard_normal((n_x, m))
    Z = rng.standard_normal((k, n_x)) @ X
    Z *= 2 / Z.std(axis=1, keepdims=True)
    Y = rng.random(m) < 1 / (1 + np.exp(-Z[0])) if k == 1 else np.argmax(Z + rng.gumbel(size=Z.shape), axis=0)
    return X * 10.0 ** rng.uniform(-3, 3, (n_x, 1)) + 5.0, Y.astype(int)


OPTIONS = {
    "no penalty": {},
    "penalty": {"l2": 1e-3},
    "standardised": {"l2": 1e-3, "standardize": True},
    "no bias": {"l2": 1e-3, "bias": False, "standardize": True},
    "weights": {"l2": 1e-3, "standardize": True, "sample_weight": np.linspace(0.0, 2.0, 3000)},
    "rows": {"l2": 1e-3, "standardize": True, "samples": "rows"},
}


@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.slow
def test_many_features_have_the_optimum_of_newton(case, k, few):
    X, Y = draw(k=k)
    X = X.T if case == "rows" else X
    model, expected = xlogreg.fit(X, Y, **OPTIONS[case]), xlogreg.fit(X, Y, solver="newton", **OPTIONS[case])
    assert model.fit_info.solver == "spectral-lbfgs"
    assert model.fit_info.converged
    assert model.fit_info.passes < 250  # of features whose penalties differ by 1e12; the span holds two thirds of them
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_many_features_are_the_same_on_every_namespace(where, few):
    X, Y = draw()
    X = (X - 5.0) / X.std(axis=1, keepdims=True)
    expected = xlogreg.fit(X, Y, l2=1e-3, solver="newton")
    model = xlogreg.fit(where.asarray(X), where.place.put(Y, "int32"), l2=1e-3)
    assert model.fit_info.solver == "spectral-lbfgs"
    tolerance = 1e-5 if where.dtype == "float64" else 1e-3
    where.check(model.predict_proba(where.asarray(X)), expected.predict_proba(X), rtol=tolerance)


@pytest.mark.slow
def test_where_the_span_of_a_subset_says_too_little_all_axes_are_taken(monkeypatch):
    monkeypatch.setattr("xlogreg.solvers.rent_or_buy.FEATURES", 0)
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((1100, 1100)))
    X = (Q * np.logspace(0, -2, 1100)) @ rng.standard_normal((1100, 5000))
    w = rng.standard_normal(1100) @ X
    Y = (rng.random(5000) < 1 / (1 + np.exp(-2 * w / w.std()))).astype(int)
    taken = []
    axes = spectral.principal_axes
    monkeypatch.setattr(spectral, "principal_axes", lambda *arguments: taken.append(1) or axes(*arguments))
    model = xlogreg.fit(X, Y, l2=1 / 5000)
    assert model.fit_info.solver == "spectral-lbfgs"
    assert model.fit_info.converged
    assert taken == [1]
    assert model.fit_info.passes < 60
    assert model.fit_info.iterations == len(model.costs)


def test_half_of_the_axes_are_noise_above_the_tail():
    values = np.logspace(-4, 2, 200)
    t = _half_noise(values)
    assert np.sum(values / (values + t)) == pytest.approx(100, rel=1e-6)


def test_the_last_step_may_be_the_one_that_converges(monkeypatch):
    monkeypatch.setattr("xlogreg.solvers.rent_or_buy.FEATURES", 0)
    X, Y = draw(k=4, m=4000)
    model = xlogreg.fit(X, Y, l2=1e-2)
    assert model.fit_info.solver == "spectral-lbfgs"
    again = xlogreg.fit(X, Y, l2=1e-2, max_iter=model.fit_info.iterations)
    assert again.fit_info.converged


@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize(("k", "m", "span"), [(4, 4000, False), (4, 4000, True), (1, 40_000, False), (1, 3000, True)])
@pytest.mark.slow
def test_subsets_are_gathered_or_fetched_block_by_block(request, monkeypatch, k, m, span, samples):
    if span:
        request.getfixturevalue("few")
    X, Y = draw(k=k, m=m)
    options = {"l2": 1e-2, "standardize": True, "samples": samples}
    X = X.T if samples == "rows" else X
    gathered = xlogreg.fit(X, Y, **options)
    monkeypatch.setattr("xlogreg.samples.memory.GATHERED_BYTES", 0)
    monkeypatch.setattr("xlogreg.samples.blocks.SMALL_BLOCK_BYTES", 2**18)
    fetched = xlogreg.fit(X, Y, **options)
    assert gathered.fit_info.solver == fetched.fit_info.solver
    np.testing.assert_allclose(fetched.predict_proba(X), gathered.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("where", QUICK, indirect=True)
@pytest.mark.parametrize("k", [1, 4])
def test_sums_of_pairs_of_classes_hold_both_the_axes_and_the_diagonal(where, k, monkeypatch):
    rng = np.random.default_rng(0)
    X, P = rng.standard_normal((20, 2000)), rng.dirichlet(np.arange(1.0, max(k, 2) + 1), (2, 2000))
    P = where.asarray(np.moveaxis(P[..., :k], 2, 1))
    soft = InMemory(Dense(where.asarray(X)), Columns(P), where.place, where.dtype, 2000.0)
    a, Q, D = spectral._diagonals(soft, (21, 2, k))
    monkeypatch.setattr(spectral, "PAIRED_NUMBERS", 0)
    expected = spectral._diagonals(soft, (21, 2, k))
    tolerance = 1e-12 if where.dtype == "float64" else 1e-5
    for found, other in zip((a, np.abs(Q), D), (expected[0], np.abs(expected[1]), expected[2]), strict=True):
        np.testing.assert_allclose(found, other, rtol=100 * tolerance, atol=tolerance)
