"""Gaps of fits on sparse X with more than a thousand parameters: never far smaller than what is left to the minimum."""

import warnings

import numpy as np
import pytest
import scipy.sparse

import xlogreg
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.result import Clock

ROWS = {"samples": "rows"}
M, FEATURES = 400, 1100


def uneven(classes, seed):
    """Features of very different scales, a few values in each, and labels that depend on fifty of them."""
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random_array((M, FEATURES), density=0.02, format="csr", rng=rng, data_sampler=rng.standard_normal)
    X = scipy.sparse.csr_array(X @ scipy.sparse.diags_array(np.exp(1.5 * rng.standard_normal(FEATURES))))
    W = rng.standard_normal((FEATURES, classes)) * (np.arange(FEATURES) < 50)[:, None]
    return X, np.argmax(X @ W + rng.gumbel(size=(M, classes)), axis=1)


@pytest.mark.parametrize(
    ("classes", "options"),
    [(2, {"l2": 1e-6, "standardize": True}), (3, {"l2": 1e-3}), (2, {"l2": 1e-3, "tol": 1e-6})],
    ids=str,
)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.slow
def test_no_gap_is_far_smaller_than_the_distance_to_the_minimum(classes, options, seed):
    X, Y = uneven(classes, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xlogreg.ConvergenceWarning)
        found = xlogreg.fit(X, Y, **options, **ROWS).fit_info
    least = xlogreg.fit(X.toarray(), Y, **options | {"tol": 1e-13}, **ROWS).fit_info  # in the span of the samples
    assert found.solver == "block-lbfgs"
    assert found.cost - least.cost <= 2.0 * found.gap + 1e-14 * found.cost


WEAK = {"l2": 1e-8}, {"l2": 1e-6, "standardize": True}, {"l2": 1e-5, "sample_weight": np.linspace(0.1, 2.0, M)}


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("options", WEAK, ids=lambda options: ",".join(options))
def test_a_weak_penalty_takes_some_hundred_passes(classes, options):
    X, Y = uneven(classes, 3)
    found, least = (xlogreg.fit(one, Y, **options, **ROWS).fit_info for one in (X, X.toarray()))
    assert (found.solver, found.reason) == ("block-lbfgs", "converged")
    assert found.passes < 1200
    assert found.gap <= 1e-12 * found.cost
    assert found.cost <= (1.0 + 2e-12) * least.cost


def test_products_of_the_hessian_count_as_steps():
    X, Y = uneven(4, 3)
    with pytest.warns(xlogreg.ConvergenceWarning, match="max_iter=60"):
        model = xlogreg.fit(X, Y, l2=1e-8, max_iter=60, **ROWS)
    found = model.fit_info
    assert (found.reason, found.iterations, len(model.costs)) == ("max_iter", 60, 60)
    assert found.passes < 80
    assert not found.converged


def test_the_clock_also_ends_products_of_the_hessian(monkeypatch):
    X, Y = uneven(4, 3)
    asked: list[str] = []
    for name in ("hessian_times", "curvatures"):
        plain = getattr(Objective, name)
        monkeypatch.setattr(Objective, name, lambda *given, plain=plain, name=name: asked.append(name) or plain(*given))
    monkeypatch.setattr(Clock, "late", True)
    with pytest.warns(xlogreg.ConvergenceWarning, match="max_iter=60"):
        xlogreg.fit(X, Y, l2=1e-8, max_iter=60, time_limit=1e3, **ROWS)
    assert asked.count("hessian_times") == asked.count("curvatures") > 1  # one product for each metric


@pytest.mark.parametrize("classes", [2, 3])
def test_features_that_a_class_lacks_are_found_to_separate(classes):
    rng = np.random.default_rng(0)
    levels = np.minimum((20.0 / rng.random(4000)).astype(int), 1299)
    X = scipy.sparse.csr_array((np.ones(4000), (np.arange(4000), levels)), shape=(4000, 1300))
    Y = rng.integers(0, classes, 4000)
    lacking = [np.unique(Y[levels == level]).size < classes for level in np.unique(levels)]
    assert any(lacking)
    with pytest.warns(xlogreg.SeparationWarning, match="some on it"):
        model = xlogreg.fit(X, Y, samples="rows")
    assert (model.fit_info.solver, model.fit_info.separation) == ("block-lbfgs", "quasi-complete")
    often = np.isin(levels, [level for level in np.unique(levels) if np.unique(Y[levels == level]).size == classes])
    rest = xlogreg.fit(X[often], Y[often], samples="rows")
    assert rest.fit_info.separation in ("none", "undecided")


def test_the_reason_is_said_why_separation_is_undecided():
    rng = np.random.default_rng(0)
    X = scipy.sparse.random_array((14_000, 6_000), density=0.004, rng=rng, format="csr")
    reason = r"is undecided: to tell takes Hessians of 6001 parameters and 14000 samples, and no single feature"
    with pytest.warns(xlogreg.ConvergenceWarning, match=reason):
        model = xlogreg.fit(X, rng.random(14_000) < 0.5, samples="rows", max_iter=3)
    assert model.fit_info.separation == "undecided"
