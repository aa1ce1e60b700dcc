"""The gap that a fit reports against the gap that it has: optima known to thirty digits, or by a much tighter fit."""

import math

import numpy as np
import pytest
from reference_data import DATA, cost_of, optimum
from test_objective import make

import xlogreg
from xlogreg.solvers import descent
from xlogreg.solvers.certificate import _bound, certify
from xlogreg.solvers.newton import Newton

hypothesis = pytest.importorskip("hypothesis")
example, given, settings, st = hypothesis.example, hypothesis.given, hypothesis.settings, hypothesis.strategies

LOOSE = [1e-2, 1e-4, 1e-6]
ROUNDING = 1e-15  # of a mean of losses below 1


def fit_reference(name, **options):
    """The model, and J - min J where the model's certificate was made."""
    load, l2_times_m = DATA[name]
    X, Y = load()
    model = xlogreg.fit(X, Y, l2=l2_times_m / len(Y), **options)
    return model, model.fit_info.cost - float(optimum(name)[2]["cost"])


@pytest.mark.parametrize("tol", LOOSE)
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
@pytest.mark.parametrize("name", DATA)
def test_the_bound_is_the_true_gap_within_a_tenth(name, solver, tol):
    model, true = fit_reference(name, solver=solver, tol=tol)
    assert model.fit_info.gap_known == "bound"
    assert model.fit_info.gap == pytest.approx(true, rel=0.1, abs=1e-12 * model.fit_info.cost)


@pytest.mark.parametrize("name", ["spector", "o_rings"])
def test_gradient_descent_reports_the_true_gap_within_a_tenth(name):
    for options in ({"max_iter": 40}, {"tol": 1e-4}):
        model, true = fit_reference(name, solver="gd", standardize=True, **options)
        assert model.fit_info.gap_known == "bound"
        assert model.fit_info.gap == pytest.approx(true, rel=0.1, abs=ROUNDING)


@pytest.mark.parametrize("tol", LOOSE)
@pytest.mark.parametrize(
    ("name", "solver"),
    [(name, solver) for name in DATA for solver in ("auto", "newton", "lbfgs")],
)
def test_converged_means_that_the_true_gap_is_below_tol(name, solver, tol):
    model, true = fit_reference(name, solver=solver, tol=tol)
    assert model.fit_info.converged
    assert true <= tol * model.fit_info.cost + ROUNDING


@pytest.mark.parametrize("tol", LOOSE)
@pytest.mark.parametrize("name", DATA)
def test_the_answer_is_no_worse_than_what_was_certified(name, tol):
    load, l2_times_m = DATA[name]
    X, Y = load()
    model, _ = fit_reference(name, tol=tol)
    assert cost_of(model.w, model.b, X, Y, l2_times_m / len(Y)) <= model.fit_info.cost + ROUNDING


def estimated(X, Y, tol):
    """Report of a fit that must stop by an estimate, and its true gap."""
    l2 = 1 / X.shape[1]
    lowest = xlogreg.fit(X, Y, l2=l2, solver="newton", tol=1e-15).fit_info.cost
    info = xlogreg.fit(X, Y, l2=l2, tol=tol).fit_info
    assert info.solver in ("newton", "rent-or-buy", "sampled-newton", "spectral-lbfgs")
    return info, info.cost - lowest


@pytest.mark.parametrize("tol", LOOSE)
def test_an_estimate_from_a_subset_is_the_true_gap_within_a_factor_of_two(tol):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 12_000)) * np.logspace(0, -2, 12)[:, None]
    Y = rng.random(12_000) < 1 / (1 + np.exp(-2 * X[0] - 20 * X[6]))
    info, true = estimated(X, Y, tol)
    assert info.gap_known == "estimate"
    assert true / 2 <= info.gap <= 2 * true
    assert true <= tol * info.cost


@pytest.mark.slow
@pytest.mark.parametrize("tol", LOOSE)
def test_an_estimate_of_a_softmax_is_the_true_gap_within_a_factor_of_five(tol):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 20_000))
    Y = np.argmax(0.4 * rng.standard_normal((5, 20)) @ X + rng.gumbel(size=(5, 20_000)), axis=0)
    info, true = estimated(X, Y, tol)
    assert info.gap_known == "estimate"
    assert true / 5 <= info.gap <= 5 * true


def skewed(seed):
    """X (n_x, m) of lognormal features, whose few largest samples are all on their own side; Y (m,)."""
    rng = np.random.default_rng(seed)
    n_x, m, sigma = int(rng.integers(3, 12)), int(rng.integers(4000, 20_000)), rng.uniform(0.5, 2.2)
    X = np.exp(sigma * rng.standard_normal((n_x, m)))
    Z = rng.standard_normal(n_x) * rng.uniform(0.1, 0.6) @ X
    Z = Z - np.median(Z)
    return X, rng.random(m) < np.exp(np.minimum(Z, 0.0)) / (1 + np.exp(-np.abs(Z)))


@pytest.mark.parametrize("tol", [1e-4, 1e-5])
def test_heavy_tails_do_not_make_a_fit_believe_that_it_has_converged(tol, subsets):
    for seed in (1, 12, 34):
        info, true = estimated(*skewed(seed), tol)
        assert info.converged
        assert true <= 3 * tol * info.cost


def test_heavy_tails_end_within_the_default_tolerance(subsets):
    for seed in (1, 12, 34):
        info, true = estimated(*skewed(seed), None)
        assert info.converged
        assert true <= 1e-12 * info.cost + ROUNDING


# shapes are fixed and values drawn
N_X, M = 3, 40
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=50, deadline=None, derandomize=True)


def bounded(seed, distance, k, weighted, bias, scaled):
    """The bound at a random point so far from the optimum, and the true gap there."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N_X, M)) * rng.uniform(0.1, 10, (N_X, 1)) + rng.uniform(-5, 5, (N_X, 1))
    Y = rng.dirichlet(np.full(k, 0.3), M).T if k > 1 else rng.random((1, M)).round(int(rng.integers(0, 3)))
    options = {"l2": (10 ** rng.uniform(-4, 1),), "bias": bias}
    options |= {"weight": rng.integers(0, 4, (1, M)) + 0.1} if weighted else {}
    options |= {"center": np.mean(X, axis=1, keepdims=True), "scale": np.std(X, axis=1)} if scaled else {}
    objective = make(X, Y, **options)
    start = np.zeros((N_X + 1, 1, k))
    best = descent.minimize(objective, start, method=Newton.for_objective(objective), tol=1e-15, max_iter=100)
    lowest = float(objective.evaluate(best.theta).value[0])
    theta = best.theta + distance * rng.standard_normal(start.shape) * objective.free
    with np.errstate(all="ignore"):
        here = objective.evaluate(theta)
        bound = float(_bound(objective, theta, here)[0])
    value = float(here.value[0])
    return bound, value - lowest, 1e-13 * (1.0 + value)


flags = [st.sampled_from([1, 3]), st.booleans(), st.booleans(), st.booleans()]


@quick
@given(seeds, st.floats(-4, 0), *flags)
def test_the_bound_is_never_below_the_true_gap(seed, exponent, k, weighted, bias, scaled):
    bound, true, rounding = bounded(seed, 10.0**exponent, k, weighted, bias, scaled)
    assert bound >= true - rounding


@settings(quick, max_examples=20)
@given(seeds, st.floats(0, 4), *flags)
@example(688, math.log10(112.7), 1, False, True, True)
def test_the_bound_is_never_below_the_true_gap_where_samples_saturate(seed, exponent, k, weighted, bias, scaled):
    bound, true, rounding = bounded(seed, 10.0**exponent, k, weighted, bias, scaled)
    assert bound >= true - rounding


def test_a_fit_reports_no_bound_below_the_true_gap():
    rng = np.random.default_rng(57)
    X = rng.standard_normal((1001, 40)) * rng.uniform(0.1, 3, (1001, 1))
    Y, l2 = rng.random(40) < 0.5, 10 ** rng.uniform(-1, 2)
    lowest = xlogreg.fit(X, Y, l2=l2, tol=1e-15).fit_info.cost
    far = (
        rng.standard_normal((1001, 1)) * 10 ** rng.uniform(-1, 3),
        rng.standard_normal((1, 1)) * 10 ** rng.uniform(-1, 3),
    )
    info = xlogreg.fit(X, Y, l2=l2, solver="gd", learning_rate=1e-9, max_iter=1, initial=far).fit_info
    assert info.gap_known == "bound"
    assert info.gap >= info.cost - lowest


def test_many_parameters_are_certified_by_the_bound():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((1001, 40)), (np.arange(40) % 2)[None, :].astype(float)
    assert certify(make(X, Y, l2=(0.1,)), np.zeros((1002, 1, 1))).known == "bound"
    assert certify(make(X[:900], Y, l2=(0.1,)), np.zeros((901, 1, 1))).known == "decrement"
    assert certify(make(X, Y, l2=(0.0,)), np.zeros((1002, 1, 1))).known == ""


# what the parameters of the optimum are turned into: far out, saturated, on the wrong side
STARTS = {
    "1e3": lambda w, b, rng: (1e3 * rng.standard_normal(w.shape), 1e3 * rng.standard_normal(b.shape)),
    "1e6": lambda w, b, rng: (1e6 * rng.standard_normal(w.shape), 1e6 * rng.standard_normal(b.shape)),
    "saturated on the right side": lambda w, b, rng: (20 * w, 20 * b),
    "saturated on the wrong side": lambda w, b, rng: (-1e3 * w, -1e3 * b),
    "twice the optimum": lambda w, b, rng: (2 * w, 2 * b),
    "bias alone": lambda w, b, rng: (0 * w, b + 1e4 * np.arange(1, len(b) + 1)[:, None]),
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
def test_a_start_far_away_ends_at_the_same_optimum(problem, three_classes, solver, start):
    rng = np.random.default_rng(0)
    large = rng.standard_normal((10, 3000))  # of samples that "auto" draws subsets from
    many = large, rng.random(3000) < 1 / (1 + np.exp(-large[0] - large[1]))
    for X, Y in (problem, three_classes, many):
        for l2 in (0.0, 0.01):
            best = xlogreg.fit(X, Y, l2=l2, tol=1e-14)
            model = xlogreg.fit(X, Y, l2=l2, solver=solver, initial=STARTS[start](best.w, best.b, rng))
            assert model.fit_info.converged
            np.testing.assert_allclose(model.predict_proba(X), best.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("solver", ["auto", "newton"])
def test_a_start_far_away_on_raw_features_ends_at_the_same_optimum(solver):
    X, Y = DATA["breast_cancer"][0]()
    w, b, entry = optimum("breast_cancer")
    for start in STARTS.values():
        initial = start(w, b, np.random.default_rng(0))
        model = xlogreg.fit(X, Y, l2=1 / len(Y), solver=solver, initial=initial)
        assert cost_of(model.w, model.b, X, Y, 1 / len(Y)) == pytest.approx(float(entry["cost"]), rel=1e-13)
