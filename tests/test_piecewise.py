"""The quadratic function with kinks and bounds that each proximal step minimises."""

import numpy as np
import pytest

from xlogreg.solvers.matrices import Model, Mostly, Product, Whole
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
    return B, Piecewise(Whole(B), c, kink, lower, upper)


def wanted(problem, u):
    grows, falls = slopes(problem.linear + problem.B.times(u), u, problem)
    return np.maximum(np.maximum(-grows, falls), 0.0)


@pytest.mark.parametrize("seed", range(60))
def test_no_coordinate_would_move_from_the_minimum(seed):
    B, problem = drawn(seed)
    start = np.clip(np.zeros(len(B)), problem.lower, problem.upper)
    before = start.copy()
    u, left = minimize(problem, start, 1e-9)
    assert wanted(problem, u).max() <= 1e-4 * max(wanted(problem, start).max(), 1e-300)
    np.testing.assert_array_equal(start, before)
    assert np.all(left <= wanted(problem, u) * (1 + 1e-12))
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

    class Counting(Whole):
        def times(self, u):
            nonlocal steps
            steps += 1
            return B @ u

    free = np.full(150, np.inf)
    damped = Counting(B + 1e-9 * np.eye(150))
    problem = Piecewise(damped, rng.standard_normal(12) @ A / 12, np.full(150, 1e-3), -free, free)
    u, _ = minimize(problem, np.zeros(150), 1e-3)
    assert steps < 150
    assert np.count_nonzero(u) <= 20
    assert wanted(problem, u).max() <= 2e-3 * wanted(problem, np.zeros(150)).max()


def test_dust_beside_zero_is_nothing_that_the_value_could_fall_by():
    B, free = np.diag([1.0, 1.0, 1e-6]), np.full(3, np.inf)
    problem = Piecewise(Whole(B), np.asarray([-1.0, 0.2, 0.3]), np.full(3, 0.5), -free, free)
    start = np.asarray([0.0, 1e-18, 1e-18])
    u, left = minimize(problem, start, 0.1)
    assert np.sum(left**2 / B.diagonal()) < 1e-15
    assert u[0] == pytest.approx(0.5)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("pairs", [0, 4])
def test_a_mostly_diagonal_matrix_is_the_dense_one(k, pairs):
    rng = np.random.default_rng(pairs)
    q, inside = 30, np.asarray([2, 3, 11, 29])
    C = rng.standard_normal((4, 4))
    S = Mostly(inside, C @ C.T + np.eye(4), np.where(np.isin(np.arange(q), inside), 0.0, 0.5 + rng.random(q)))
    whole = np.diag(S.rest)
    whole[np.ix_(inside, inside)] += S.block
    A = np.diag(rng.random(k) + 0.5)
    added = rng.random(q * k)
    B = Product(S, A, added)
    dense = np.kron(whole, A) + np.diag(added)
    moves = rng.standard_normal((pairs, q * k))
    changes = moves @ dense + 0.1 * moves
    B, dense = Model(B, moves, changes), Model(Whole(dense), moves, changes)
    u, index = rng.standard_normal(q * k), np.flatnonzero(rng.random(q * k) < 0.6)
    np.testing.assert_allclose(B.times(u), dense.times(u), rtol=1e-12)
    np.testing.assert_allclose(B.part(index), dense.part(index), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(B.diagonal(), dense.part(np.arange(q * k)).diagonal(), rtol=1e-12)
    assert B.quick == (k == 1)
    if B.quick:
        slopes = rng.standard_normal((len(index), 2))
        np.testing.assert_allclose(B.solve(index, slopes), np.linalg.solve(dense.part(index), slopes), rtol=1e-9)
    if pairs:
        np.testing.assert_allclose(B.times(moves[-1]), changes[-1], rtol=1e-9, atol=1e-12)  # the secant equation
    some = np.flatnonzero(rng.random(q) < 0.7)
    chosen = B.B.model(some, np.full(len(some) * k, 0.25), k).part(np.arange(len(some) * k))
    rows = (some[:, None] * k + np.arange(k)).ravel()
    expected = np.kron(whole, A)[np.ix_(rows, rows)] + np.diag(added[rows] + 0.25)
    np.testing.assert_allclose(chosen, expected, rtol=1e-6, atol=1e-6)
