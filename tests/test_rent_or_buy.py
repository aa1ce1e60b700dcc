"""Gradients first, and a Hessian where it is cheaper to buy one than to go on without."""

import numpy as np
import pytest

import xlogreg
from xlogreg.solvers import rent_or_buy
from xlogreg.solvers.preconditioners import Diagonal, Inverse
from xlogreg.solvers.prices import gradient_price, hessian_price, moment_price
from xlogreg.solvers.quasi_newton import QuasiNewton


def drawn(n_x, m, condition=1.0, signal=1.0, seed=0):
    """X (n_x, m) of that condition, and labels whose scores have the deviation ``signal``."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m))
    if condition > 1.0:
        X = (np.linalg.qr(rng.standard_normal((n_x, n_x)))[0] * np.geomspace(1.0, 1.0 / condition, n_x)) @ X
    z = rng.standard_normal(n_x) @ X
    return X, (signal * z / z.std() + rng.logistic(size=m) > 0).astype(int)


@pytest.mark.parametrize("l2", [0.0, 1e-4, 1e-1])
@pytest.mark.parametrize("condition", [1.0, 100.0])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"standardize": True}], ids=str)
def test_the_optimum_is_that_of_newtons_method(l2, condition, options):
    X, Y = drawn(60, 2500, condition, 2.0)
    found, expected = (xlogreg.fit(X, Y, l2=l2, solver=solver, **options) for solver in ("auto", "newton"))
    assert found.fit_info.solver == "rent-or-buy"
    assert found.fit_info.converged
    assert abs(found.fit_info.cost - expected.fit_info.cost) <= 1e-11 * expected.fit_info.cost
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), atol=1e-5)


def test_it_computes_on_every_namespace(where):
    X, Y = drawn(60, 1500)
    found = xlogreg.fit(where.asarray(X), Y, l2=1e-3)
    expected = xlogreg.fit(X, Y, l2=1e-3, solver="newton")
    assert found.fit_info.solver == ("rent-or-buy" if where.place.small_blocks else "newton")
    assert found.fit_info.converged
    tolerance = 1e-9 if where.dtype == "float64" else 1e-6
    assert abs(found.fit_info.cost - expected.fit_info.cost) <= tolerance * expected.fit_info.cost


def test_a_hessian_is_bought_where_gradients_are_slow(monkeypatch):
    X, Y = drawn(60, 2000, condition=1e4, signal=6.0)
    bought = []
    make = Inverse.from_hessians
    monkeypatch.setattr(
        rent_or_buy.Inverse, "from_hessians", classmethod(lambda cls, *given: bought.append(1) or make(*given))
    )
    model = xlogreg.fit(X, Y, l2=1e-6)
    assert model.fit_info.converged
    assert bought
    easy, labels = drawn(300, 1000)
    bought.clear()
    assert xlogreg.fit(easy, labels, l2=0.1).fit_info.converged
    assert not bought


def test_the_judge_compares_what_is_left_with_a_hessian():
    arrival = type("Samples", (), {"m": 2000, "n_x": 100})()
    slow, quick = rent_or_buy.Rent(arrival, 1e-12), rent_or_buy.Rent(arrival, 1e-12)
    said = [slow.sees(0.5 * 0.9**step, 1.0) for step in range(4)]
    assert said[0] == ""
    assert said[-1] == "slow"
    assert not any(quick.sees(0.5 * 0.02**step, 1.0) for step in range(6))
    assert rent_or_buy.Rent(arrival, 0.0).sees(0.0, 1.0) == ""


def test_prices_grow_with_the_work():
    for price in (gradient_price, moment_price, hessian_price):
        assert price(1000, 10) < price(2000, 10) < price(2000, 40)
    assert hessian_price(5000, 500) > 40 * gradient_price(5000, 500)
    assert hessian_price(500, 10) < 5 * gradient_price(500, 10)


def test_a_proof_that_takes_as_long_as_the_fit_is_left_out():
    X, Y = drawn(200, 2000)
    assert xlogreg.fit(X, Y, l2=0.1).fit_info.gap_known == "estimate"
    free = xlogreg.fit(X, Y)  # without a penalty it has to be known whether there is a minimum
    assert free.fit_info.separation == "none"
    assert free.fit_info.gap_known == "bound"
    assert free.standard_errors().w.shape == (200, 1)


@pytest.mark.parametrize("count", [4, 9, 30])
@pytest.mark.parametrize("rescaling", [0.5, 1.0])
def test_pairs_taken_together_are_pairs_taken_in_turn(count, rescaling):
    rng = np.random.default_rng(count)
    A = rng.standard_normal((40, 40))
    A = A @ A.T / 40 + np.eye(40)
    method = QuasiNewton(Diagonal(np.diag(A)[:, None, None].copy()), memory=25, rescaling=rescaling)
    for _ in range(count):
        move = rng.standard_normal((40, 1, 1))
        method = method.learn(move, (A @ move[:, 0, 0])[:, None, None])
    gradient = rng.standard_normal((40, 1, 1))
    together, in_turn = method._solve_together(gradient), method._solve_in_turn(gradient)
    np.testing.assert_allclose(together, in_turn, rtol=1e-10, atol=1e-12)
