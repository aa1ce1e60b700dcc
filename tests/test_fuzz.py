"""The judge of the fuzzer against answers known by hand, and a few dozen of its cases."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

import xlogreg
from tests import fuzz, fuzz_calls
from tests.existence import Whole, exists, is_balance, is_ray, pairs_of
from tests.fuzz_cases import KINDS, Case, draw, take, valid
from tests.fuzz_kinks import Kinked, kinked_faults
from tests.judge import minimise, pose

LOG2 = math.log(2.0)


def test_the_judge_computes_the_cost_of_a_worked_example():
    problem = pose([[1.0, -1.0]], [0, 1], weight=[3.0, 1.0], l2=0.5, standardize=2.0)
    w, b = np.array([[0.25]]), np.array([[0.1]])
    losses = 0.75 * math.log(1 + math.exp(0.35)) + 0.25 * math.log(1 + math.exp(0.15))
    assert problem.model_cost(w, b) == pytest.approx(losses + 0.5 * 0.5 * (2.0 * 0.25) ** 2, rel=1e-15)
    assert problem.model_cost(w, b, center=[[2.0]], centered_b=[[0.6]]) == pytest.approx(
        problem.model_cost(w, b), rel=1e-15
    )


def test_the_judge_computes_the_cost_of_three_classes_and_of_scores_that_are_huge():
    problem = pose([[1.0, 2.0, 3.0]], [0, 1, 2])
    assert problem.model_cost(np.zeros((1, 3)), np.zeros((3, 1))) == pytest.approx(math.log(3.0), rel=1e-15)
    assert problem.model_cost(np.array([[1e8, 0.0, 0.0]]), np.zeros((3, 1))) == pytest.approx(5e8 / 3, rel=1e-12)


@pytest.mark.parametrize("K", [2, 3])
def test_the_judge_finds_the_parameters_that_made_the_targets(K):
    rng = np.random.default_rng(0)
    X, k = rng.standard_normal((3, 50)), 1 if K == 2 else K
    w, b = rng.standard_normal((3, k)), rng.standard_normal((k, 1))
    Z = w.T @ X + b
    Y = 1 / (1 + np.exp(-Z)) if K == 2 else np.exp(Z) / np.exp(Z).sum(axis=0)
    problem = pose(X, Y)
    found, _ = problem.parameters(minimise(problem).theta)
    np.testing.assert_allclose((found - found.mean(axis=1, keepdims=True) * (K > 2)).astype(float),
                               w - w.mean(axis=1, keepdims=True) * (K > 2), atol=1e-12)  # fmt: skip


def test_the_judge_finds_the_minimum_where_one_sample_is_far_on_its_wrong_side():
    problem = pose([[-0.3, -0.7, 1.0]], [2, 0, 0], weight=[90.0, 0.06, 3e-7])
    assert minimise(problem).cost == pytest.approx(4.00222086e-07, rel=1e-8)


def test_a_constant_feature_is_none_where_features_are_standardised_without_a_bias():
    problem = pose(np.full((1, 5), 0.1), [2, 0, 1, 2, 1], bias=False, standardize=True)
    assert minimise(problem).cost == pytest.approx(math.log(3.0), rel=1e-15)
    assert exists(problem).kind == "exists"


def test_a_mean_that_is_a_whole_number_is_exactly_that():
    X, Y = [[2.0, 2.0, 5.0, 2.0, 2.0, 1.0, 2.0, 0.0, 2.0, 2.0]], [0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    problem = pose(X, Y, bias=False, standardize=True)
    assert problem.mean[0, 0] == 2.0
    assert exists(problem).kind == "separated"  # samples at the mean have the score zero, whatever the weight is


SETS = {
    "apart": ([[-2.0, -1.0, 1.0, 2.0]], [0, 0, 1, 1], "complete", 0.0),
    "touching": ([[-1.0, 0.0, 0.0, 1.0]], [0, 0, 1, 1], "quasi-complete", 0.5 * LOG2),
    "overlapping": ([[-1.0, 0.5, 0.0, 1.0]], [0, 0, 1, 1], "none", None),
    "overlapping by little": ([[-1.0, 1e-7, 0.0, 1.0]], [0, 0, 1, 1], "none", None),
    "apart by little": ([[-1.0, 0.0, 1e-7, 1.0]], [0, 0, 1, 1], "complete", 0.0),
    "one outlier": ([[18.0, 40.0, 30.0, 9_999_999.0]], [0, 0, 1, 1], "none", None),
    "a level that lacks a class": ([[1.0, 1.0, 0.0, 0.0]], [0, 1, 0, 2], "quasi-complete", LOG2),
    "three classes in a row": ([[1.0, 2.0, 3.0]], [0, 1, 2], "complete", 0.0),
    "three classes, overlapping": ([[1.0, 2.0, 3.0, 1.0, 2.0, 3.0]], [0, 1, 2, 1, 2, 0], "none", None),
    "collinear and overlapping": ([[0.0, 1.0, 0.0, 1.0], [0.0, 2.0, 0.0, 2.0]], [0, 0, 1, 1], "none", None),
    "torn between two classes": ([[0.0, 1.0]], [[0.5, 0.5]], "none", None),
    "one torn, two sure": ([[0.0, -1.0, 1.0]], [[0.5, 0.0, 1.0]], "quasi-complete", LOG2 / 3),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("minimum_first", [False, True])
def test_the_judge_knows_whether_there_is_a_minimum(name, minimum_first):
    X, Y, kind, infimum = SETS[name]
    problem = pose(X, Y)
    found = exists(problem, minimise(problem) if minimum_first else None)
    assert found.kind == ("exists" if kind == "none" else "separated")
    if kind != "none":
        assert found.complete == (kind == "complete")
        assert minimise(replace(problem, kept=found.left)).cost == pytest.approx(infimum, abs=1e-12)


def test_a_ray_along_which_one_sample_moves_to_the_wrong_side_by_1e_13_is_none():
    problem = pose([[-1.0, 1e-13, 0.0, 1.0]], [0, 0, 1, 1])
    pairs = pairs_of(problem)
    whole, W = Whole.of(problem, pairs), np.array([1.0, 0.0])
    moves = pairs.rows @ W
    assert np.min(moves) > -1e-12  # which a linear program takes for zero
    assert not is_ray(whole, W, moves > 1e-9)
    assert is_balance(whole, np.array([4e-14, 1.0, 1.0, 6e-14]))
    assert not is_balance(whole, np.array([1.0, -1.0, -1.0, 1.0]))


def test_a_ray_is_made_exact():
    problem = pose([[0.1, 0.1, 0.7, -0.3], [0.3, 0.3, 0.0, 0.9]], [0, 1, 1, 0])
    pairs = pairs_of(problem)
    found = exists(problem)
    assert (found.kind, found.complete, found.proof) == ("separated", False, "exact")
    assert not is_ray(Whole.of(problem, pairs), np.array([-1.0, 0.0, 0.0]), np.array([False, False, True, True]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_name_gives_the_same_case(kind):
    case, again = draw(f"{kind}:5"), draw(f"{kind}:5")
    assert valid(case)
    assert fuzz.snippet(case) == fuzz.snippet(again)
    np.testing.assert_array_equal(case.X, again.X)


def test_a_snippet_makes_the_call_of_its_case(monkeypatch):
    called = []
    monkeypatch.setattr(xlogreg, "fit", lambda X, Y, **options: called.append((X, Y, options)))
    for case in map(draw, itertools.islice(fuzz.names(0, {"tiny": 1, "weights": 1, "soft": 1}), 40)):
        if case.X.size > 600:
            continue
        exec(fuzz.snippet(case), {})
        X, Y, options = called.pop()
        given, wanted = fuzz_calls.arranged(case)
        np.testing.assert_array_equal(X, given)
        assert X.dtype == given.dtype
        np.testing.assert_array_equal(Y, fuzz_calls.targets_of(case, case.Y))
        assert options.keys() - {"sample_weight"} == wanted.keys()


def test_a_failing_case_is_shrunk_to_what_makes_it_fail():
    case = draw("normal:0")
    wanted = case.X[0, case.X.shape[1] // 2]
    small = fuzz.shrink(case, lambda other: bool(np.any(wanted == other.X)), seconds=5.0)
    assert small.X.shape == (1, 2)
    assert small.layout == "C"
    assert not small.options


WRONG = {
    "cost": lambda model: _with_info(model, cost=model.fit_info.cost * (1 + 1e-5)),
    "wrong": lambda model: replace(model, w=model.w * 1.2),
    "gap": lambda model: _with_info(model, gap=math.nan),
    "false separation": lambda model: _with_info(model, separation="quasi-complete"),
    "nan": lambda model: replace(model, w=model.w * math.nan),
    "silent": lambda model: _with_info(model, converged=False, gap=math.nan),
}


def _with_info(model, **changed):
    return replace(model, fit_info=replace(model.fit_info, **changed))


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_answer_is_found(fault, monkeypatch):
    right = xlogreg.fit
    case = draw("well:3")
    assert fault not in fuzz_calls.run(case).faults
    monkeypatch.setattr(xlogreg, "fit", lambda *given, **options: WRONG[fault](right(*given, **options)))
    assert fault in fuzz_calls.run(case).faults


def test_separation_that_is_missed_is_found(monkeypatch):
    right = xlogreg.fit
    case = Case("apart:0", np.array([[-2.0, -1.0, 1.0, 2.0]]), np.array([0, 0, 1, 1]))
    monkeypatch.setattr(
        xlogreg, "fit", lambda *given, **options: _with_info(right(*given, **options), separation="none")
    )
    assert "missed separation" in fuzz_calls.run(case).faults


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("large", "jax")])
@pytest.mark.slow
def test_the_judge_is_sure_and_never_beaten(kind):
    for number in range(4):
        outcome = fuzz_calls.run(draw(f"{kind}:{number}"))
        assert "judge" not in outcome.faults
        assert not outcome.unsure


def test_features_and_samples_are_taken_from_all_that_belongs_to_them():
    case = draw("many:1")
    some = take(case, samples=np.array([0, 2]), features=np.array([0]))
    assert some.X.shape == (1, 2)
    assert all(weight.shape == (2,) for weight in some.extra.get("sample_weights", []))


@pytest.mark.parametrize("options", [{}, {"l2": 0.1}, {"lower": -0.1, "upper": 0.5}, {"bias": False, "lower": 0.0}])
@pytest.mark.parametrize("K", [2, 3])
def test_the_judge_of_kinks_bounds_the_cost_from_both_sides(options, K):
    rng = np.random.default_rng(K)
    case = Case("kinks:0", rng.standard_normal((4, 60)), rng.integers(0, K, 60), options={"l1": 0.03} | options)
    kinked, k = Kinked.of(case), 1 if K == 2 else K
    theta = kinked.theta_of(np.zeros((4, k)), np.zeros((k, 1)), None, None)
    best = kinked.lowest(theta)
    assert kinked.cost(best) < kinked.cost(theta)
    assert kinked.cost(best) == pytest.approx(kinked.bound(best), rel=1e-12)
    assert 0 < np.count_nonzero(best) < best.size
    model = xlogreg.fit(case.X, case.Y, **case.options)
    assert kinked_faults(case, model, []) == ({}, 0)
    worse = replace(model, w=0.5 * model.w)
    assert set(kinked_faults(case, worse, [])[0]) >= {"wrong", "gap", "cost"}
