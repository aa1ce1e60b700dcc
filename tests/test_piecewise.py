"""The quadratic function with kinks and bounds that each proximal step minimises."""

import numpy as np
import pytest

from xlogreg.solvers.piecewise import Piecewise, minimize, slopes


def drawn(seed):
    rng = np.random.default_rng(seed)
    p, m = int(rng.integers(1, 60)), int(rng.integers(2, 120))
    A = rng.standard_normal((m, p)) * np.exp(rng.standard_normal(p)) + rng.choice([0, 3]) * rng.standard_normal((m, 1))
    B, c = A.T @ A / m + 1e-6 * np.eye(p), rng.standard_normal(p) * rng.choice([0.1, 1, 10])
    kink = np.abs(rng.standard_normal(p)) * (rng.random(p) > 0.1)
    lower, upper = np.full(p, -np.inf), np.full(p, np.inf)
    if seed % 3 == 0:
        lower[rng.random(p) < 0.5] = 0.0
    if seed % 5 == 0:
        upper[rng.random(p) < 0.3], lower[rng.random(p) < 0.3] = 0.1, -0.2
    return B, Piecewise(lambda u: B @ u, lambda index: B[np.ix_(index, index)], c, kink, lower, upper)


def wanted(problem, u):
    grows, falls = slopes(problem.linear + problem.times(u), u, problem)
    return np.maximum(np.maximum(-grows, falls), 0.0)


@pytest.mark.parametrize("seed", range(60))
def test_no_coordinate_would_move_from_the_minimum(seed):
    B, problem = drawn(seed)
    start = np.clip(np.zeros(len(B)), problem.lower, problem.upper)
    before = start.copy()
    u, left = minimize(problem, start, 1e-9)
    assert wanted(problem, u).max() <= 1e-4 * max(wanted(problem, start).max(), 1e-300)
    np.testing.assert_array_equal(start, before)
    np.testing.assert_allclose(left, wanted(problem, u))
    assert np.all((problem.lower <= u) & (u <= problem.upper))
    again, _ = minimize(problem, u, 1e-9)
    assert problem.value(again, B @ again) <= problem.value(u, B @ u)


@pytest.mark.parametrize("seed", range(20))
def test_the_value_never_rises_and_ends_below_that_of_coordinate_descent(seed):
    B, problem = drawn(seed)
    v = np.clip(np.zeros(len(B)), problem.lower, problem.upper)
    for _ in range(100):
        for j in range(len(v)):
            z = v[j] - (problem.linear[j] + B[j] @ v) / B[j, j]
            z = np.sign(z) * max(abs(z) - problem.kink[j] / B[j, j], 0.0)
            v[j] = np.clip(z, problem.lower[j], problem.upper[j])
    u, _ = minimize(problem, np.clip(np.zeros(len(B)), problem.lower, problem.upper), 1e-9)
    assert problem.value(u, B @ u) <= problem.value(v, B @ v) + 1e-10 * (1 + abs(problem.value(v, B @ v)))


def test_more_coordinates_than_curvature_end_in_few_steps():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((12, 150))
    B, steps = A.T @ A / 12, 0

    def times(u):
        nonlocal steps
        steps += 1
        return B @ u

    free = np.full(150, np.inf)
    part = lambda index: B[np.ix_(index, index)] + 1e-9 * np.eye(len(index))  # noqa: E731  # as a method hands it over
    problem = Piecewise(times, part, rng.standard_normal(12) @ A / 12, np.full(150, 1e-3), -free, free)
    u, _ = minimize(problem, np.zeros(150), 1e-3)
    assert steps < 150
    assert np.count_nonzero(u) <= 20
    assert wanted(problem, u).max() <= 2e-3 * wanted(problem, np.zeros(150)).max()
