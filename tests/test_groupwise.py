"""The quadratic function with norms of groups that each proximal step minimises."""

import numpy as np
import pytest

from xlogreg.solvers import groupwise, piecewise
from xlogreg.solvers.groupwise import Groupwise, minimize
from xlogreg.solvers.matrices import Whole
from xlogreg.solvers.piecewise import Piecewise


def drawn(seed):
    """Groups of several sizes, some features the same, some without a kink, and often more of them than curvature."""
    rng = np.random.default_rng(seed)
    p, m = int(rng.integers(1, 80)), int(rng.integers(2, 150))
    A = rng.standard_normal((m, p)) * np.exp(rng.standard_normal(p)) + rng.choice([0, 3]) * rng.standard_normal((m, 1))
    if seed % 4 == 0:
        A[:, p // 2 :] = A[:, : p - p // 2]
    B, c = A.T @ A / m, rng.choice([0.1, 1, 10]) * rng.standard_normal(m) @ A / m
    B += 1e-9 * np.diag(B.diagonal())
    group, sizes = rng.integers(0, max(1, p // 4), p), np.exp(rng.standard_normal(p)) * (rng.random(p) > 0.1)
    dual = np.where(sizes > 0, c / np.where(sizes > 0, sizes, 1.0), 0.0)
    most = np.sqrt(np.bincount(group, weights=dual * dual)).max()
    kink = np.full(group.max() + 1, most * rng.choice([0.9, 0.3, 0.03, 0.003]))
    start = rng.standard_normal(p) * (rng.random(p) < 0.5) * (seed % 2)
    return B, Groupwise(lambda u: B @ u, lambda index: B[np.ix_(index, index)], c, sizes, group, kink), start


def wanted(problem, u):
    """The shortest slope of each group (p,), with respect to sizes o u where these are not zero."""
    r, found = problem.linear + problem.times(u), np.zeros_like(u)
    for number, kink in enumerate(problem.kink):
        own = np.flatnonzero((problem.group == number) & (problem.sizes > 0))
        g, v = r[own] / problem.sizes[own], problem.sizes[own] * u[own]
        if v.any():
            found[own] = g + kink * v / np.linalg.norm(v)
        elif np.linalg.norm(g) > kink:
            found[own] = g * (1.0 - kink / np.linalg.norm(g))
    return np.where(problem.sizes > 0, found, r)


@pytest.mark.parametrize("seed", range(80))
def test_no_group_would_move_from_the_minimum(seed):
    B, problem, start = drawn(seed)
    before = start.copy()
    u, left = minimize(problem, start, 1e-9, B.diagonal())
    assert np.abs(wanted(problem, u)).max() <= 1e-6 * np.abs(wanted(problem, start)).max()
    np.testing.assert_array_equal(start, before)
    near, left = minimize(problem, start, 1e-2, B.diagonal())
    expected = np.abs(wanted(problem, near)) * np.where(problem.sizes > 0, problem.sizes, 1.0)
    np.testing.assert_allclose(left, expected, atol=1e-9 * np.abs(problem.linear).max())
    for number in range(len(problem.kink)):
        own = u[(problem.group == number) & (problem.sizes > 0)]
        assert own.all() or not own.any()
    again, _ = minimize(problem, u, 1e-9, B.diagonal())
    assert problem.value(again, B @ again) <= problem.value(u, B @ u) + 1e-13 * abs(problem.value(u, B @ u))  # rounding


@pytest.mark.parametrize("seed", range(0, 40, 3))
def test_groups_of_one_are_kinks(seed):
    B, problem, start = drawn(seed)
    B = B + 1e-2 * np.diag(B.diagonal())
    p, free = len(B), np.full(len(B), np.inf)
    kink = problem.kink[0] * problem.sizes
    whole = Whole(B)
    one = Groupwise(whole.times, whole.part, problem.linear, problem.sizes, np.arange(p), np.full(p, problem.kink[0]))
    expected, _ = piecewise.minimize(Piecewise(whole, one.linear, kink, -free, free), start, 1e-12)
    u, _ = minimize(one, start, 1e-12, B.diagonal())
    np.testing.assert_allclose(u, expected, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_array_equal(u == 0, expected == 0)


@pytest.mark.parametrize("m", [150, 900])
@pytest.mark.slow
def test_many_groups_take_few_products_by_every_way(m, monkeypatch):
    rng, steps = np.random.default_rng(0), 0
    A = rng.standard_normal((m, 600)) + 0.5 * rng.standard_normal((m, 1))
    B, c, group = A.T @ A / m, rng.standard_normal(m) @ A / m, np.arange(600) // 3
    B += 1e-9 * np.diag(B.diagonal())

    def times(u):
        nonlocal steps
        steps += 1
        return B @ u

    kink = np.full(200, 0.03 * np.sqrt(np.bincount(group, weights=c * c)).max())
    problem = Groupwise(times, lambda index: B[np.ix_(index, index)], c, np.ones(600), group, kink)
    values = []
    for direct, most in ((1000, 1000), (10, 5000)):
        monkeypatch.setattr(groupwise, "DIRECT", direct)
        steps = 0
        u, _ = minimize(problem, np.zeros(600), 1e-6, B.diagonal())
        assert steps < most
        assert np.abs(wanted(problem, u)).max() <= 1e-5 * np.abs(wanted(problem, np.zeros(600))).max()
        values.append(problem.value(u, B @ u))
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def test_a_start_at_the_minimum_stays_to_the_bit():
    B, problem, _ = drawn(5)
    problem = problem._replace(kink=1e100 * problem.kink, sizes=np.maximum(problem.sizes, 0.1))
    u, left = minimize(problem, np.zeros(len(B)), 1e-2, B.diagonal())
    assert not u.any()
    assert not left.any()
