"""Time limits: a fit ends in time, before a step that would take it beyond, and says what is known of its answer."""

import itertools
import time
import types

import numpy as np
import pytest

import xlogreg
from xlogreg.solvers import result
from xlogreg.solvers.objective import Objective

SOLVERS = ("auto", "newton", "lbfgs", "gd")


@pytest.fixture
def look_at(monkeypatch):
    """Says what each look at the clock finds, in seconds from now."""

    def install(seconds):
        began, looks = time.perf_counter(), iter(seconds)
        monkeypatch.setattr(result, "time", types.SimpleNamespace(perf_counter=lambda: began + next(looks)))

    return install


@pytest.fixture
def ticking(look_at):
    """Each look at the clock finds a second gone by."""
    look_at(itertools.count(1))


def draw(m=6000, n_x=10, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m))
    return X, (X[0] - X[1] + rng.logistic(size=m) > 0).astype(int)


def limited(*arguments, **options):
    with pytest.warns(xlogreg.ConvergenceWarning, match=f"time_limit={options['time_limit']:g} seconds"):
        return xlogreg.fit(*arguments, **options)


@pytest.mark.parametrize("solver", SOLVERS)
def test_no_step_is_begun_that_would_end_too_late(where, problem, ticking, solver):
    X, Y = problem
    rate = {"learning_rate": 0.01} if solver == "gd" else {}
    # looks at 1 and 2 seconds: a second step would end at 3
    model = limited(where.asarray(X), Y, solver=solver, time_limit=2.5, **rate)
    info = model.fit_info
    assert (info.reason, info.iterations, info.converged) == ("time_limit", 1, False)
    assert len(model.costs) == 1
    assert info.separation == "undecided"
    tolerance = 1e-9 if where.dtype == "float64" else 1e-4
    assert model.evaluate(where.asarray(X), Y).log_loss == pytest.approx(info.cost, rel=tolerance)
    assert info.cost < model.costs[0]
    best = xlogreg.fit(X, Y).fit_info.cost
    assert 0.0 < info.gap < 10 * (info.cost - best)
    assert info.gap_known == ("estimate" if solver == "lbfgs" else "decrement")


def test_the_first_step_is_not_judged_by_what_came_before(problem, ticking):
    assert limited(*problem, solver="newton", time_limit=1.5).fit_info.iterations == 1
    start = limited(*problem, solver="newton", time_limit=0.5)
    assert start.fit_info.iterations == 0
    np.testing.assert_allclose(start.w, 0.0, atol=1e-12)


def test_the_answer_is_where_another_fit_goes_on(problem, ticking):
    model = limited(*problem, solver="newton", time_limit=2.5)
    expected = xlogreg.fit(*problem)
    again = xlogreg.fit(*problem, initial=model)
    np.testing.assert_allclose(again.predict_proba(problem[0]), expected.predict_proba(problem[0]), atol=1e-8)


def test_steps_on_subsets_are_looked_at_too(subsets, ticking, monkeypatch):
    X, Y = draw()
    whole = xlogreg.fit(X, Y)
    assert whole.fit_info.solver == "sampled-newton"
    made = []
    monkeypatch.setattr(Objective, "expand", lambda *arguments, of=Objective.expand: made.append(1) or of(*arguments))
    model = limited(X, Y, time_limit=1.5)
    assert model.fit_info.solver == "sampled-newton"
    assert (model.fit_info.reason, model.fit_info.iterations) == ("time_limit", 0)
    assert len(made) == 2  # of the first subset; none of all samples, nor of the second subset
    assert model.fit_info.gap_known == "estimate"
    assert model.fit_info.gap > 1e-12
    assert whole.fit_info.cost < model.fit_info.cost < -whole.fit_info.null_log_likelihood / X.shape[1]


def test_time_that_a_step_on_a_subset_would_exceed_is_left_for_all_samples(subsets, look_at):
    look_at([1.0, 9.0, *np.arange(10.0, 20.0, 0.5)])  # a second step on the subset would end at 17
    model = limited(*draw(), time_limit=12.2)
    assert model.fit_info.iterations == 4  # at 10.0, 10.5, 11.0, 11.5


@pytest.mark.parametrize(("time_limit", "known"), [(100.0, "estimate"), (1e6, "bound")])
def test_a_hessian_of_all_samples_is_only_made_where_there_is_time(subsets, ticking, monkeypatch, time_limit, known):
    monkeypatch.setattr("xlogreg.solvers.sampled_newton.SLOW", 1e9)  # three steps are too slow in any case
    monkeypatch.setattr(
        "xlogreg.solvers.sampled_newton.HESSIAN_SHARE", 1e-3
    )  # a Hessian takes the time of 11,000 steps
    monkeypatch.setattr("xlogreg.fitting.proof.INFERENCE_WORK", 0.0)
    info = xlogreg.fit(*draw(), time_limit=time_limit).fit_info
    assert info.solver == "sampled-newton"
    assert info.converged
    assert info.gap_known == known


@pytest.mark.parametrize("l2", [0.0, 1e-2])
def test_softmax_models_are_limited(monkeypatch, three_classes, ticking, l2):
    monkeypatch.setattr("xlogreg.fitting.problem.NEWTON_WORK", 0.0)
    model = limited(*three_classes, l2=l2, time_limit=3.5)
    assert model.fit_info.solver == "spectral-lbfgs"
    # at 3 a stage begins, whose first step is not judged
    assert (model.fit_info.reason, model.fit_info.iterations) == ("time_limit", 3)
    assert model.fit_info.gap_known == "estimate"


def test_wide_data_are_limited(ticking):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 40))
    model = limited(X, np.arange(40) % 2, l2=0.05, time_limit=2.5)
    assert model.fit_info.iterations == 1
    assert model.w.shape == (240, 1)


def test_the_measuring_of_a_rate_is_broken_off(problem, ticking):
    model = limited(*problem, solver="gd", time_limit=2.5)
    assert model.fit_info.iterations == 0
    assert model.fit_info.passes == 3 + 1 + 1  # for the rate, for a look at the start, for its certificate


@pytest.mark.parametrize(("l2", "known"), [(0.1, "bound"), (0.0, "")])
def test_no_hessian_is_made_that_takes_longer_than_the_steps(monkeypatch, problem, ticking, l2, known):
    monkeypatch.setattr("xlogreg.fitting.proof.HESSIAN_SHARE", 0.0)
    info = limited(*problem, solver="gd", learning_rate=0.01, l2=l2, time_limit=2.5).fit_info
    assert info.gap_known == known
    assert np.isfinite(info.gap) == (known != "")


def test_an_estimate_of_a_fit_that_was_stopped_proves_no_convergence(problem, ticking):
    info = limited(*problem, solver="lbfgs", tol=10.0, time_limit=1.5, l2=0.1).fit_info
    assert info.gap <= 10.0 * info.cost
    assert not info.converged


def test_no_time_is_spent_on_separation_once_it_is_over(problem, ticking, monkeypatch):
    X = problem[0]
    monkeypatch.setattr(Objective, "recession", None)
    info = limited(X, X[0] + 0.1 * X[1] ** 2 > 0.3, solver="lbfgs", time_limit=3.5).fit_info
    assert (info.reason, info.iterations, info.separation) == ("time_limit", 2, "undecided")


def test_a_callback_ends_a_fit_before_the_clock_does(problem, ticking):
    model = xlogreg.fit(*problem, solver="newton", time_limit=1.5, callback=lambda state: state.iteration == 1)
    assert model.fit_info.reason == "callback"


def test_callbacks_see_the_gap_where_the_solver_knows_one(problem):
    best, seen = xlogreg.fit(*problem).fit_info.cost, []
    xlogreg.fit(*problem, solver="newton", callback=lambda state: seen.append((state.gap, state.cost - best)))
    assert seen[1][0] == pytest.approx(seen[1][1], rel=0.3)
    assert seen[-1][0] < 1e-10
    xlogreg.fit(*problem, solver="gd", max_iter=1, callback=lambda state: seen.append(state.gap))
    assert np.isnan(seen[-1])


def test_a_fit_that_would_never_end_does(problem):
    X, Y = problem
    model = limited(X, Y, solver="gd", learning_rate=1e-9, max_iter=10**9, time_limit=0.05)
    assert model.fit_info.reason == "time_limit"
    assert model.fit_info.iterations > 1


def test_a_fit_that_is_done_in_time_is_as_without_a_limit(problem):
    for solver in SOLVERS:
        expected = xlogreg.fit(*problem, solver=solver)
        model = xlogreg.fit(*problem, solver=solver, time_limit=1e6)
        assert model.fit_info.reason == expected.fit_info.reason
        np.testing.assert_array_equal(model.w, expected.w)
