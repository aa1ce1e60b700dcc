"""Gradients first, and a Hessian where it is cheaper to buy one than to go on without."""

import time

import numpy as np
import pytest

import xlogreg
from xlogreg.solvers import rent_or_buy
from xlogreg.solvers.preconditioners import Diagonal, Inverse
from xlogreg.solvers.prices import HOST
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.rent_or_buy import Good
from xlogreg.solvers.result import Clock


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


def judge(*goods, null=0.7, tol=1e-12):
    return rent_or_buy.Rent(list(goods), 1.0, null, tol)


def said(judge, rate, value=1.0, steps=4):
    return [judge.sees(0.1 * rate**step, value) for step in range(steps)]


def test_the_judge_compares_what_is_left_with_a_hessian():
    hessian = Good(15.0, 0.0, None)
    assert said(judge(hessian), 0.9) == ["", "", "slow", "slow"]
    assert not any(said(judge(hessian), 0.02))
    assert not any(said(judge(hessian._replace(price=500.0)), 0.9))
    assert not any(said(judge(hessian), 0.9, value=0.1))  # the curvature still changes too much
    assert not any(said(judge(), 0.9))
    assert judge(hessian).sees(0.0, 1.0) == ""
    assert not any(said(judge(hessian), 0.9, value=0.0))
    rounded = judge(hessian)
    assert [rounded.sees(gap, 1.0) for gap in (1e-3, 0.0, -1e-20, 1e-4, 1e-4)] == [""] * 5
    late = judge(hessian)
    late.clock = Clock(time.perf_counter() + 60.0)
    late.clock.took = 5.0
    assert not any(said(late, 0.9))  # it takes as long as fifteen steps of five seconds
    late.clock.took = 1.0
    assert said(late, 0.9)[-1] == "slow"


def test_the_judge_chooses_the_cheapest_metric_for_all_that_is_left():
    small, large, whole = Good(1.0, 0.4, None), Good(4.0, 0.1, None), Good(60.0, 0.0, None)
    chooser = judge(small, large, whole)
    assert said(chooser, 0.9)[-1] == "slow"
    assert chooser.chosen is large
    far_out = judge(small, large, whole, null=10.0)  # few samples make up the Hessian, so a subset is all noise
    assert said(far_out, 0.93, steps=14)[-1] == "slow"
    assert far_out.chosen is whole


def test_a_dear_metric_is_bought_only_after_gradients_have_cost_a_fifth_of_it():
    assert said(judge(Good(30.0, 0.0, None)), 0.95, steps=7) == [*[""] * 5, "slow", "slow"]


def test_a_metric_is_adapted_only_where_the_cost_has_changed():
    renewal = Good(3.0, 0.0, None, adapts=True)
    assert not any(said(judge(renewal), 0.9))
    falling = judge(renewal)
    assert [falling.sees(0.1 * 0.9**step, 2.0 * 0.8**step) for step in range(4)] == ["", "", "slow", "slow"]


def test_prices_grow_with_the_work():
    for price in (HOST.gradient, HOST.moment, HOST.hessian):
        assert price(1000, 10) < price(2000, 10) < price(2000, 40)
    assert HOST.hessian(5000, 500) > 30 * HOST.gradient(5000, 500)
    assert HOST.hessian(500, 10) < 2 * HOST.gradient(500, 10)
    assert HOST.gradient(1000, 50) < HOST.gradient(1000, 50, 5) < HOST.hessian(1000, 50, 5)
    assert HOST.hessian(1000, 50) < HOST.subset(1000, 50)


def test_a_proof_that_takes_as_long_as_the_fit_is_left_out():
    X, Y = drawn(200, 2000)
    assert xlogreg.fit(X, Y, l2=0.1).fit_info.gap_known == "estimate"
    free = xlogreg.fit(X, Y)  # without a penalty it has to be known whether there is a minimum
    assert free.fit_info.separation == "none"
    assert free.fit_info.gap_known == "bound"
    assert free.standard_errors().w.shape == (200, 1)


def of_classes(K, n_x, m, signal=2.0, seed=0):
    """X (n_x, m), and labels of K classes whose scores have the deviation ``signal``."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)) * np.geomspace(1.0, 0.1, n_x)[:, None]
    Z = rng.standard_normal((K, n_x)) @ X
    return X, np.argmax(signal * Z / Z.std() + rng.gumbel(size=Z.shape), axis=0)


@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"standardize": True}], ids=str)
def test_a_softmax_has_the_optimum_of_newtons_method(l2, options):
    X, Y = of_classes(4, 30, 2000)
    found, expected = (xlogreg.fit(X, Y, l2=l2, solver=solver, **options) for solver in ("auto", "newton"))
    assert found.fit_info.solver == "rent-or-buy"
    assert found.fit_info.converged
    assert abs(found.fit_info.cost - expected.fit_info.cost) <= 1e-11 * expected.fit_info.cost
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), atol=1e-5)
    assert np.max(np.abs(np.sum(found.w, axis=1))) <= 1e-9 * np.max(np.abs(found.w))


def test_a_softmax_with_strong_signals_adapts_its_metric_and_buys_a_hessian(monkeypatch):
    X, Y = of_classes(4, 40, 1200, signal=30.0)
    calls = {"renew": 0, "_of_all": 0}
    for name in calls:
        made = getattr(rent_or_buy, name)

        def counted(*given, name=name, made=made):
            calls[name] += 1
            return made(*given)

        monkeypatch.setattr(rent_or_buy, name, counted)
    found = xlogreg.fit(X, Y, l2=1e-4)
    expected = xlogreg.fit(X, Y, l2=1e-4, solver="newton")
    assert found.fit_info.converged
    assert abs(found.fit_info.cost - expected.fit_info.cost) <= 1e-10 * expected.fit_info.cost
    assert calls["renew"] >= 1
    assert calls["_of_all"] >= 1


def test_a_hessian_of_a_subset_is_bought_where_features_correlate(monkeypatch):
    X, Y = drawn(100, 15_000, condition=100.0)
    bought = []
    make = rent_or_buy._of_subset
    monkeypatch.setattr(rent_or_buy, "_of_subset", lambda *given: bought.append(given[5]) or make(*given))
    found, expected = (xlogreg.fit(X, Y, l2=1e-5, solver=solver) for solver in ("auto", "newton"))
    assert found.fit_info.solver == "rent-or-buy"
    assert bought
    assert abs(found.fit_info.cost - expected.fit_info.cost) <= 1e-11 * expected.fit_info.cost
    assert found.fit_info.passes != int(found.fit_info.passes)  # the subset counts as its share
    bought.clear()
    assert xlogreg.fit(*drawn(100, 15_000), l2=1e-2).fit_info.converged
    assert not bought


def test_max_iter_limits_the_steps_of_all_metrics_together():
    X, Y = of_classes(4, 40, 1200, signal=30.0)
    with pytest.warns(xlogreg.ConvergenceWarning):
        model = xlogreg.fit(X, Y, l2=1e-4, max_iter=9)
    assert model.fit_info.iterations == len(model.costs) == 9
    assert model.fit_info.reason == "max_iter"


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


@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_a_subset_that_lacks_an_outlier_is_bought_once(l2):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 6000))
    Y = rng.random(6000) < 1 / (1 + np.exp(-X[0]))
    X[rng.integers(100), rng.integers(6000)] *= 1e4
    info = xlogreg.fit(X, Y, l2=l2).fit_info
    assert info.solver == "rent-or-buy"
    assert info.converged
    assert info.iterations <= 40


@pytest.mark.filterwarnings("ignore::xlogreg.ConvergenceWarning")
@pytest.mark.parametrize("tol", [None, 1e-6])
@pytest.mark.parametrize("size", [1e6, 1e8])
@pytest.mark.slow
def test_a_softmax_is_not_believed_to_have_converged_where_a_sample_is_far_out(size, tol):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((45, 1500))
        X[0, 5] = size
        Z = rng.standard_normal((3, 45)) @ X / np.sqrt(45)
        Y = np.argmax(Z + rng.gumbel(size=Z.shape), axis=0)
        Y[5] = seed % 3
        found, expected = (xlogreg.fit(X, Y, l2=1e-3, tol=tol, solver=solver).fit_info for solver in ("auto", "newton"))
        if found.converged:
            assert found.cost - expected.cost <= 10 * max(found.gap, (tol or 1e-12) * expected.cost)


def far_out(classes, n_x, m):
    """Samples of which three hold nearly all of the variance of a feature, and become certain."""
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((n_x, m)), rng.standard_normal((n_x, classes))
    Y = np.argmax(W.T @ X / 5 + rng.gumbel(size=(classes, m)), axis=0)
    X += 2020.0
    X[[0, 1, 2], [3, 4, 5]] *= 1e4
    return X, Y


SEVERAL = [(2, 100, 6000), (3, 90, 1300)]


@pytest.mark.parametrize(("classes", "n_x", "m"), SEVERAL)
def test_a_few_values_far_out_hide_no_gap(classes, n_x, m):
    X, Y = far_out(classes, n_x, m)
    info = xlogreg.fit(X, Y, l2=0.1, tol=1e-6).fit_info
    least = xlogreg.fit(X, Y, l2=0.1, tol=1e-12, solver="newton").fit_info.cost
    assert info.converged
    assert info.cost - least <= 1e-6 * least


@pytest.mark.parametrize(("classes", "n_x", "m"), SEVERAL)
def test_nor_do_they_in_models_that_are_fitted_together(classes, n_x, m):
    X, Y = far_out(classes, n_x, m // 2)
    l2s = [0.1, 0.01]
    together = [*xlogreg.fit_path(X, Y, l2s, tol=1e-6), *xlogreg.fit_many(X, [Y == 0, Y == 1], l2s=l2s, tol=1e-6)]
    for model, targets, l2 in zip(together, (Y, Y, Y == 0, Y == 1), l2s * 2, strict=True):
        least = xlogreg.fit(X, targets, l2=l2, solver="newton").fit_info.cost
        assert model.fit_info.cost - least <= 1e-6 * least
