"""Penalties as data: the functions of each row of the table, and a row of our own that the public functions use."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import optimize
from test_objective import make

import xlogreg
from xlogreg.arrays.place import array_namespace, to_host
from xlogreg.graph.slopes import slope
from xlogreg.math.penalties import L2, PENALTIES, Penalty, make_penalty
from xlogreg.solvers import descent
from xlogreg.solvers.descent import Step

BEND = 0.5  # the size of a weight at which `PseudoHuber` goes over from a square to an absolute value


@dataclass(frozen=True)
class PseudoHuber(Penalty):
    """strength BEND^2 sum_j factor_j (sqrt(1 + (w_j / BEND)^2) - 1): smooth and convex, and no square."""

    def _roots(self, theta):
        return array_namespace(theta).sqrt(1.0 + (self.units * theta / BEND) ** 2)

    def _weight(self):
        return self.strength[None, :, None] * self.factor

    def value(self, theta):
        terms = self._weight() * BEND**2 * (self._roots(theta) - 1.0)
        return array_namespace(theta).sum(terms, axis=(0, 2))

    def slope(self, theta):
        return self._weight() * self.units * self.units * theta / self._roots(theta)

    def curvature(self, theta):
        return self._weight() * self.units * self.units / self._roots(theta) ** 3

    def conjugate(self, V):
        weight = self._weight() * np.ones_like(V)
        most = weight * BEND * np.abs(self.units)  # the steepest slope
        share = np.abs(V) / np.where(most > 0, most, 1.0)
        inside = weight * BEND**2 * (1.0 - np.sqrt(1.0 - np.minimum(share, 1.0) ** 2))
        return np.sum(np.where(np.abs(V) <= most, inside, np.inf), axis=(0, 2))


KINDS = {"l2": L2, "pseudo-huber": PseudoHuber}


def toy(where=None, kind=L2, models=3):
    """A penalty of several models on four features, of which one is not penalised; and a theta of two outputs."""
    put = (lambda values: values) if where is None else where.asarray
    rng = np.random.default_rng(0)
    factor = np.asarray([1.0, 0.0, 2.0, 0.5, 0.0])[:, None, None]
    units = np.concatenate([rng.uniform(0.5, 2.0, (4, models, 1)), np.ones((1, models, 1))])
    theta = rng.standard_normal((5, models, 2))
    return kind(put(np.asarray([0.0, 0.3, 2.0])[:models]), put(factor), put(units)), put(theta)


@pytest.fixture
def huber(monkeypatch):
    """The table of penalties has one more row, which suits every fit."""
    monkeypatch.setitem(PENALTIES, "pseudo-huber", PseudoHuber)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_slope_and_curvature_are_central_differences_of_the_value(where64, kind):
    penalty, theta = toy(where64, kind)
    move = where64.asarray(np.random.default_rng(1).standard_normal(theta.shape))
    along = slope(lambda h: to_host(penalty.value(theta + h * move)), 0.0)
    xp = where64.xp
    where64.check(xp.sum(penalty.slope(theta) * move, axis=(0, 2)), along, atol=1e-8)
    bent = slope(lambda h: to_host(penalty.slope(theta + h * move)), 0.0)
    where64.check(penalty.curvature(theta) * move, bent, atol=1e-8)


def test_the_value_is_that_of_the_weights_in_the_users_units(where):
    penalty, theta = toy(where)
    w = to_host(penalty.units).astype(float) * to_host(theta)
    factor = to_host(penalty.factor)
    expected = 0.5 * np.asarray([0.0, 0.3, 2.0]) * np.sum(factor * w**2, axis=(0, 2))
    where.check(penalty.value(theta), expected)
    np.testing.assert_array_equal(to_host(penalty.active), [False, True, True])
    np.testing.assert_array_equal(to_host(penalty.mask)[:, 1, 0], [True, False, True, True, False])


def test_the_bias_and_models_without_strength_are_not_penalised():
    for kind in KINDS.values():
        penalty, theta = toy(kind=kind)
        assert penalty.value(theta)[0] == 0.0
        moved = theta + np.asarray([0.0, 1.0, 0.0, 0.0, 1.0])[:, None, None]
        np.testing.assert_array_equal(penalty.value(moved), penalty.value(theta))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_conjugate_is_the_supremum(kind):
    penalty = kind(
        np.asarray([0.7]), np.asarray([1.0, 2.0, 0.0])[:, None, None], np.asarray([1.0, 0.5, 1.0])[:, None, None]
    )
    V = np.asarray([0.2, -0.1, 0.0])[:, None, None]

    def below(theta):
        theta = theta[:, None, None]
        return float(penalty.value(theta)[0] - np.sum(theta * V))

    found = -optimize.minimize(below, np.zeros(3), options={"gtol": 1e-9}).fun
    assert abs(float(penalty.conjugate(V)[0]) - found) < 1e-9
    V[2] = 0.1  # no penalty holds the bias
    assert float(penalty.conjugate(V)[0]) == np.inf


def test_what_l2_knows_better_agrees_with_what_every_penalty_does():
    penalty, theta = toy()
    step = 0.1 * np.random.default_rng(2).standard_normal(theta.shape)
    step[[1, 4]] = 0.0
    theta[[1, 4]] = 0.0
    np.testing.assert_allclose(penalty.change(theta, step), Penalty.change(penalty, theta, step), atol=1e-14)
    np.testing.assert_allclose(penalty.gap_after(theta, step), Penalty.gap_after(penalty, theta, step), atol=1e-14)


def test_a_ridge_adds_its_square_to_any_penalty():
    ridge = np.asarray([0.1, 0.2, 0.3, 0.4])
    for kind in KINDS.values():
        penalty, theta = toy(kind=kind, models=1)
        penalty = penalty.of_strengths(np.asarray([0.9]))
        more, column = penalty.plus(ridge), ridge[:, None, None]
        added = 0.5 * np.sum(column * theta[:-1] ** 2)
        np.testing.assert_allclose(more.value(theta), penalty.value(theta) + added, rtol=1e-14)
        np.testing.assert_allclose(
            more.slope(theta)[:-1], (penalty.slope(theta)[:-1] + column * theta[:-1]), rtol=1e-14
        )
        bent = (more.curvature(theta) - penalty.curvature(theta))[:-1]
        np.testing.assert_allclose(bent, np.broadcast_to(column, bent.shape), rtol=1e-12)


def test_a_penalty_keeps_its_models_and_changes_its_units():
    penalty, theta = toy()
    some = np.asarray([2, 0])
    np.testing.assert_array_equal(penalty.keep(some).value(theta[:, some]), penalty.value(theta)[some])
    scaled = penalty.in_units(0.5 * penalty.units[:-1])
    np.testing.assert_allclose(scaled.value(2.0 * theta), penalty.value(theta), rtol=1e-14)


def test_the_last_row_that_suits_the_options_is_the_penalty(monkeypatch):
    class Picky(L2):
        @classmethod
        def suits(cls, l2s, factor):
            return bool(np.all(l2s == 7.0))

    monkeypatch.setitem(PENALTIES, "picky", Picky)
    units = np.ones((2, 1, 1))
    assert type(make_penalty(np.asarray([7.0]), None, units)) is Picky
    assert type(make_penalty(np.asarray([1.0]), None, units)) is L2


# the penalty of the table's new row, by the public functions


def judged(X, Y, l2, scale=1.0, bend=BEND):
    """Cost, and its minimum by a general optimiser; for labels 0, 1, ... as scikit-learn's rows would have them."""
    K = int(Y.max()) + 1
    k, n_x = (1, len(X)) if K == 2 else (K, len(X))

    def cost(theta):
        W, b = theta[: n_x * k].reshape(n_x, k), theta[n_x * k :]
        Z = W.T @ X + b[:, None]
        Z = np.concatenate([np.zeros_like(Z), Z]) if k == 1 else Z
        top = Z.max(axis=0)
        losses = top + np.log(np.sum(np.exp(Z - top), axis=0)) - Z[Y, np.arange(len(Y))]
        w = W * np.reshape(scale, (-1, 1))
        terms = np.reshape(l2, (-1, 1)) * bend**2 * (np.sqrt(1.0 + (w / bend) ** 2) - 1.0)
        return np.mean(losses) + np.sum(terms)

    found = optimize.minimize(
        cost, np.zeros(n_x * k + k), method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000}
    )
    return cost, found


@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs", "gd"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_penalty_of_the_table_is_minimised_by_every_solver(huber, problem, three_classes, solver, classes):
    X, Y = problem if classes == 2 else three_classes
    options = {"max_iter": 5000, "tol": 1e-9} if solver == "gd" else {}
    model = xlogreg.fit(X, Y, l2=0.3, solver=solver, standardize=True, **options)
    cost, found = judged(X, Y, 0.3, X.std(axis=1))
    assert model.fit_info.converged
    assert model.fit_info.separation == ""
    assert abs(model.fit_info.cost - found.fun) < 1e-8
    assert abs(cost(np.concatenate([model.w.ravel(), model.b.ravel()])) - model.fit_info.cost) < 1e-12
    assert abs(model.fit_info.cost - xlogreg.fit(X, Y, l2=0.3, standardize=True).fit_info.cost) < 1e-8


def test_a_penalty_of_the_table_is_minimised_everywhere(huber, where, problem):
    X, Y = problem
    model = xlogreg.fit(where.asarray(X), Y, l2=0.1)
    assert model.fit_info.converged
    assert abs(model.fit_info.cost - judged(X, Y, 0.1)[1].fun) < (1e-8 if where.dtype == "float64" else 1e-5)
    assert np.mean(to_host(model.predict(where.asarray(X))) == Y) > 0.6


def test_a_penalty_of_the_table_is_minimised_from_a_subset(huber, subsets):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((5, 4000))
    Y = (X[0] - X[1] > rng.logistic(size=4000)).astype(int)
    model = xlogreg.fit(X, Y, l2=0.05)
    assert model.fit_info.solver == "sampled-newton"
    assert model.fit_info.converged
    assert abs(model.fit_info.cost - judged(X, Y, 0.05)[1].fun) < 1e-9


def test_features_are_not_rotated_under_a_penalty_that_would_change(huber, monkeypatch):
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((60, 25)), np.arange(25) % 2
    wide = xlogreg.fit(X, Y, l2=0.1, bias=False)
    many = xlogreg.fit_path(X, Y, [0.2, 0.1], bias=False)
    for model in (wide, many[1]):
        assert abs(model.fit_info.cost - xlogreg.fit(X, Y, l2=0.1, bias=False, solver="newton").fit_info.cost) < 1e-10
    monkeypatch.setattr("xlogreg.fitting.problem.EXPANSION_LIMIT", 20)
    monkeypatch.setattr("xlogreg.solvers.rent_or_buy.FEATURES", 0)
    found = xlogreg.fit(X, Y, l2=0.1, bias=False)
    assert found.fit_info.solver == "lbfgs"
    assert abs(found.fit_info.cost - wide.fit_info.cost) < 1e-9


def test_a_penalty_of_the_table_has_the_factors_of_features(huber, problem):
    X, Y = problem
    factor = np.asarray([1.0, 0.0, 4.0, 0.25])
    model = xlogreg.fit(X, Y, l2=0.1, penalty_factor=factor)
    assert (model.fit_info.converged, model.fit_info.separation) == (True, "none")
    assert abs(model.fit_info.cost - judged(X, Y, 0.1 * factor)[1].fun) < 1e-8


def test_many_models_are_fitted_and_chosen_with_a_penalty_of_the_table(huber, problem):
    X, Y = problem
    l2s = [1.0, 0.1, 0.01]
    path = xlogreg.fit_path(X, Y, l2s, standardize=True)
    for model, l2 in zip(path, l2s, strict=True):
        assert abs(model.fit_info.cost - judged(X, Y, l2, X.std(axis=1))[1].fun) < 1e-8
    selection = xlogreg.fit_cv(X, Y, l2s, folds=3, standardize=True)
    expected = path[selection.chosen]
    np.testing.assert_allclose(selection.model.w, expected.w, atol=1e-8)
    np.testing.assert_array_equal(selection.model.predict(X), expected.predict(X))
    assert selection.scores["log_loss"].shape == (3, 3)


# a penalty with kinks, and a method of ours for it, in the loop of all second-order methods


@dataclass(frozen=True)
class L1(Penalty):
    """strength sum_j factor_j |w_j|: it has no smooth part."""

    def value(self, theta):
        return self.strength * np.sum(self.factor * np.abs(self.units * theta), axis=(0, 2))

    def slope(self, theta):
        return np.zeros_like(theta)

    def curvature(self, theta):
        return np.zeros_like(theta)

    def proximal(self, theta, size):
        """The theta that minimises value + sum (theta - given)^2 / (2 size)."""
        reach = size * self.strength[:, None] * self.factor * np.abs(self.units)
        return np.sign(theta) * np.maximum(np.abs(theta) - reach, 0.0)


@dataclass(frozen=True)
class ProximalNewton:
    """Steps to the minimum of a quadratic model plus the penalty, and promises ``boast`` times the gap of that step."""

    penalty: Penalty
    boast: float = 1.0
    patience: int = 1
    endurance: int = 1

    def evaluate(self, objective, theta):
        return objective.expand(theta)

    def step(self, here, theta):
        H, g, size = here.hessian[0], here.gradient, 1.0 / np.linalg.eigvalsh(here.hessian[0])[-1]
        new = theta
        for _ in range(20000):
            model = g + (H @ (new - theta).reshape(-1)).reshape(theta.shape)
            last, new = new, self.penalty.proximal(new - size * model, size)
            if np.array_equal(last, new):
                break
        move = new - theta
        bent = 0.5 * float(move.reshape(-1) @ H @ move.reshape(-1))
        rise = np.sum(g * move) + self.penalty.value(new) - self.penalty.value(theta)
        return Step(move, -self.boast * (rise + bent))

    def learn(self, moved, change):
        return self


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.slow
def test_a_proximal_method_runs_in_the_loop_of_all_methods(problem, k):
    X, Y = problem
    targets = np.eye(3)[:, (Y + (X[0] > 0)).astype(int)] if k == 3 else Y[None, :]
    plain = make(X, targets, l2=(0.08,))
    penalty = L1(plain.penalty.strength, plain.penalty.factor, plain.penalty.units)
    objective = dataclasses.replace(plain, penalty=penalty)
    found = descent.minimize(objective, np.zeros((5, 1, k)), method=ProximalNewton(penalty), tol=1e-14, max_iter=50)
    assert found.reason == "converged"
    slopes = objective.evaluate(found.theta).gradient
    zero = found.theta[:-1] == 0
    assert np.any(zero)
    assert not np.all(zero)
    assert np.all(np.abs(slopes[:-1][zero]) <= 0.08)  # no zero would rather move
    np.testing.assert_allclose(slopes[:-1][~zero], -0.08 * np.sign(found.theta[:-1][~zero]), atol=1e-7)
    np.testing.assert_allclose(slopes[-1], 0.0, atol=1e-7)
    before = objective.evaluate(np.zeros((5, 1, k))).value
    assert found.costs[0] == before
    assert float(before[0] - objective.evaluate(found.theta).value[0]) > 0


def test_a_step_that_promises_more_than_it_keeps_is_not_taken(problem):
    X, Y = problem
    plain = make(X, Y[None, :], l2=(0.08,))
    penalty = L1(plain.penalty.strength, plain.penalty.factor, plain.penalty.units)
    objective = dataclasses.replace(plain, penalty=penalty)
    method = ProximalNewton(penalty, boast=1e5)
    found = descent.minimize(objective, np.zeros((5, 1, 1)), method=method, tol=1e-14, max_iter=50)
    assert found.reason == "precision"
    np.testing.assert_array_equal(found.theta, 0.0)
