"""The objective of the engine: its derivatives, its blocks, its batches of models."""

import dataclasses

import numpy as np
import pytest
from conftest import QUICK
from scipy import optimize

from xlogreg.arrays import matrix
from xlogreg.arrays.place import HOST, to_host
from xlogreg.graph.slopes import slope
from xlogreg.math.losses import LOSSES
from xlogreg.math.penalties import make_penalty
from xlogreg.math.sums import pass_terms
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns
from xlogreg.samples.threads import tree_sum
from xlogreg.solvers import descent
from xlogreg.solvers.certificate import certify
from xlogreg.solvers.newton import Newton
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import Dense, Diagonal, eigen
from xlogreg.solvers.quasi_newton import QuasiNewton


def make(X, Y, place=HOST, dtype="float64", *, weight=None, l2=(0.3,), bias=True, center=None, scale=None, **source):
    """An objective of g = len(l2) models, theta on the host."""
    Y = np.asarray(Y, dtype=float)
    k = Y.shape[0]
    samples = InMemory(
        matrix.Dense(place.put(X, dtype)),
        Columns(place.put(Y, dtype), None if weight is None else place.put(weight, dtype)),
        place,
        dtype,
        float(X.shape[1]) if weight is None else float(np.sum(weight)),
        **source,
    )
    samples = samples if center is None else samples.centered(center)
    n_x = X.shape[0]
    scale = np.ones((n_x, 1, 1)) if scale is None else np.reshape(scale, (n_x, 1, 1))
    free = np.ones((n_x + 1, 1, 1))
    free[-1] = bias
    loss = LOSSES["log_loss" if k == 1 else "cross_entropy"]
    return Objective(samples, loss, make_penalty(np.asarray(l2, dtype=float), None, 1 / scale), 1 / scale, free, False)


SETTINGS = {
    "plain": {},
    "no penalty": {"l2": (0.0,)},
    "weights": {"weight": np.linspace(0.0, 2.0, 60)[None, :]},
    "centred and scaled": {"center": np.full((4, 1), 1.5), "scale": np.asarray([1.0, 2.0, 0.5, 3.0])},
    "no bias": {"bias": False},
    "small blocks": {"block_bytes": 500},
    "three models": {"l2": (0.0, 0.1, 1.0)},
}


def targets(problem, k):
    X, Y = problem
    return X, (np.eye(3)[:, (Y + (X[0] > 0)).astype(int)] if k == 3 else Y[None, :])


def slopes(objective, theta, row, output):
    """Of J (g,) and of its gradient (n_x + 1, g, k), along one parameter of every model."""
    E = np.zeros_like(theta)
    E[row, :, output] = 1.0
    value = slope(lambda h: objective.evaluate(theta + h * E).value, 0.0)
    return value, slope(lambda h: objective.evaluate(theta + h * E).gradient, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("k", [1, 3])
def test_gradient_and_hessian_are_central_differences(where64, problem, setting, k):
    X, Y = targets(problem, k)
    objective = make(X, Y, where64.place, **SETTINGS[setting])
    g = objective.models
    theta = np.random.default_rng(0).standard_normal((5, g, k)) * 0.2
    here = objective.expand(theta)
    np.testing.assert_allclose(here.gradient, objective.evaluate(theta).gradient, rtol=1e-12, atol=1e-14)
    for row in range(5):
        for output in range(k):
            if row == 4 and SETTINGS[setting].get("bias") is False:
                assert np.all(here.gradient[row] == 0)
                continue
            change, change_of_gradient = slopes(objective, theta, row, output)
            np.testing.assert_allclose(change, here.gradient[row, :, output], atol=1e-8)
            column = here.hessian[:, :, row * k + output].reshape(g, 5, k).transpose(1, 0, 2)
            np.testing.assert_allclose(column, change_of_gradient, atol=1e-8)


def test_each_model_of_a_batch_is_the_model_alone(where64, problem):
    X, Y = targets(problem, 3)
    l2 = (0.0, 0.1, 1.0)
    theta = np.random.default_rng(1).standard_normal((5, 3, 3))
    together = make(X, Y, where64.place, l2=l2).expand(theta)
    for j in range(3):
        alone = make(X, Y, where64.place, l2=l2[j : j + 1]).expand(theta[:, j : j + 1, :])
        np.testing.assert_allclose(together.value[j], alone.value[0], rtol=1e-12)
        np.testing.assert_allclose(together.gradient[:, j], alone.gradient[:, 0], rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(together.hessian[j], alone.hessian[0], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    "method", [Newton.for_objective, lambda objective: QuasiNewton(Diagonal(np.full((1, 1, 1), 0.25)))]
)
def test_a_batch_is_minimised_like_its_models(problem, method):
    X, Y = targets(problem, 1)
    l2 = (0.01, 0.1, 1.0)
    run = {"tol": 1e-13, "max_iter": 500}
    objective = make(X, Y, l2=l2)
    batch = descent.minimize(objective, np.zeros((5, 3, 1)), method=method(objective), **run)
    assert batch.reason == "converged"
    for j in range(3):
        objective = make(X, Y, l2=l2[j : j + 1])
        alone = descent.minimize(objective, np.zeros((5, 1, 1)), method=method(objective), **run)
        np.testing.assert_allclose(batch.theta[:, j], alone.theta[:, 0], atol=1e-5)


def test_the_size_of_the_blocks_does_not_matter(where, problem):
    X, Y = targets(problem, 3)
    theta = np.random.default_rng(2).standard_normal((5, 1, 3))
    options = {"weight": np.linspace(0.5, 2.0, 60)[None, :], "center": np.full((4, 1), 0.5)}
    whole = make(X, Y, where.place, where.dtype, **options).expand(theta)
    tolerance = 1e-12 if where.dtype == "float64" else 1e-5
    for block_bytes in (1000,) if where.place.name == "jax" else (1, 300, 1000):  # which compiles for each size
        cut = make(X, Y, where.place, where.dtype, block_bytes=block_bytes, **options).expand(theta)
        np.testing.assert_allclose(cut.value, whole.value, rtol=tolerance)
        np.testing.assert_allclose(cut.gradient, whole.gradient, atol=tolerance)
        np.testing.assert_allclose(cut.hessian, whole.hessian, atol=tolerance)


def test_class_numbers_become_one_hot_columns(where, three_classes):
    X, Y = three_classes
    theta = np.random.default_rng(3).standard_normal((4, 1, 3))
    numbers = make(X, np.eye(3)[:, Y], where.place, where.dtype)
    columns = Columns(where.place.put(Y[None, :].astype("int32")))
    coded = dataclasses.replace(numbers.source, columns=columns, n_classes=3)
    one_hot, by_number = numbers.evaluate(theta), dataclasses.replace(numbers, source=coded).evaluate(theta)
    np.testing.assert_array_equal(one_hot.value, by_number.value)
    np.testing.assert_array_equal(one_hot.gradient, by_number.gradient)


def test_the_sums_of_a_pass_run_under_jit(problem):
    jax = pytest.importorskip("jax")
    X, Y = targets(problem, 1)
    source = make(X, Y).source
    theta = np.random.default_rng(4).standard_normal((5, 2, 1))
    block = source.block(0, 60)
    compiled = jax.jit(lambda X, Y, theta: pass_terms(block._replace(X=X, Y=Y), theta, LOSSES["log_loss"]))
    for ours, expected in zip(
        compiled(block.X, block.Y, theta), source.sum(pass_terms, theta, LOSSES["log_loss"]), strict=True
    ):
        np.testing.assert_allclose(np.asarray(ours), expected, rtol=1e-12)


def test_float32_losses_are_summed_in_float64():
    m = 200_000
    X = np.zeros((1, m), dtype=np.float32)
    objective = make(X, np.zeros((1, m)), dtype="float32", l2=(0.0,))
    theta = np.asarray([[[0.0]], [[np.float32(-3.0)]]], dtype=float)
    expected = np.float64(np.log1p(np.exp(np.float32(-3.0)), dtype=np.float32))
    assert abs(float(objective.evaluate(theta).value[0]) / expected - 1) < 1e-7


def test_the_tree_adds_in_pairs():
    merged = tree_sum(([f"{n}"],) for n in range(5))
    assert merged == (["0", "1", "2", "3", "4"],)
    exact = sum(range(1000))
    assert tree_sum((float(n), n) for n in range(1000)) == (exact, exact)


def test_dense_gives_the_solution_of_minimum_norm_where_the_hessian_is_singular():
    H = np.asarray([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])[None]
    solve = Dense(H, 2e-16, 2e-16).solve
    np.testing.assert_allclose(solve(np.reshape([4.0, 4.0, 0.0], (3, 1, 1)))[:, 0, 0], [1.0, 1.0, 0.0], atol=1e-14)


def test_dense_has_no_solution_where_the_curvature_vanished_and_the_gradient_did_not():
    H = np.asarray([[1.0, 0.0], [0.0, 0.0]])[None]
    assert np.all(np.isnan(Dense(H, 2e-16, 2e-16).solve(np.reshape([0.5, 0.5], (2, 1, 1)))))


def test_eigenvalues_are_found_where_lapack_gives_up_on_one_half_of_the_matrix(monkeypatch):
    given_up, plain = [], np.linalg.eigh

    def eigh(A, UPLO="L"):
        if UPLO == "L":
            given_up.append(A)
            raise np.linalg.LinAlgError("Eigenvalues did not converge")
        return plain(A, UPLO)

    monkeypatch.setattr(np.linalg, "eigh", eigh)
    A = np.asarray([[2.0, 1.0], [1.0, 2.0]])
    values, Q = eigen(A)
    assert len(given_up) == 1
    np.testing.assert_allclose(values, [1.0, 3.0], rtol=1e-14)
    np.testing.assert_allclose(A @ Q, Q * values, atol=1e-14)


def test_the_bound_is_never_below_the_true_gap(where64):
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((1100, 40)), (np.arange(40) % 2)[None, :].astype(float)
    objective = make(X, Y, where64.place, l2=(0.05,))
    method = QuasiNewton(Diagonal(np.full((1, 1, 1), 0.25)))
    optimum = descent.minimize(objective, np.zeros((1101, 1, 1)), method=method, tol=1e-15, max_iter=500)
    lowest = float(objective.evaluate(optimum.theta).value[0])
    for size in (1e-3, 1e-2, 1.0):
        theta = optimum.theta + size * rng.standard_normal(optimum.theta.shape) / 30
        proof = certify(objective, theta)
        true = float(proof.here.value[0]) - lowest
        assert proof.known == "bound"
        assert true <= float(proof.gap[0]) < 1e3 * true


def test_the_decrement_is_close_to_the_true_gap_near_the_optimum(problem):
    X, Y = targets(problem, 1)
    objective = make(X, Y, l2=(0.01,))
    optimum = descent.minimize(
        objective, np.zeros((5, 1, 1)), method=Newton.for_objective(objective), tol=1e-15, max_iter=50
    )
    lowest = float(objective.evaluate(optimum.theta).value[0])
    theta = optimum.theta + 0.02
    proof = certify(objective, theta)
    true = float(proof.here.value[0]) - lowest
    assert abs(float(to_host(proof.gap)[0]) / true - 1) < 0.05


SUMS = {
    "value and gradient": lambda objective, theta, step: objective.evaluate(theta)[:3],
    "Hessian": lambda objective, theta, step: (objective.expand(theta).hessian, objective.expand(theta).gradient),
    "correlations": lambda objective, theta, step: objective.correlations(),
    "second moment": lambda objective, theta, step: (objective.second_moment(),),
    "second moment times": lambda objective, theta, step: (objective.second_moment_times(theta[:, :, :1]),),
    "Hessian times": lambda objective, theta, step: (objective.hessian_times(theta, step),),
    "proof": lambda objective, theta, step: objective.proof(theta, step),
    "recession": lambda objective, theta, step: tuple(map(np.asarray, objective.recession(step))),
    "restless": lambda objective, theta, step: (objective.restless(step),),
    "tied": lambda objective, theta, step: objective.tied(theta, step),
}


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_a_centre_in_the_parameters_is_one_that_is_subtracted(where, problem, k, name):
    """[X - c; 1] = T [X; 1], so that every sum is the same over X itself; blocks are never shifted."""
    X, Y = targets(problem, k)
    center, scale = np.asarray([[1.5], [-2.0], [0.0], [7.0]]), np.asarray([1.0, 2.0, 0.5, 3.0])
    weight = np.linspace(0.1, 2.0, X.shape[1])[None, :]
    options = {"weight": weight, "center": center, "scale": scale, "block_bytes": 600}
    shifted = make(X, Y, where.place, where.dtype, **options)
    held = dataclasses.replace(shifted, center=center[:, :, None], folded=True)

    class Unshifted:
        """Samples that may not be asked for blocks with a centre."""

        def __getattr__(self, name):
            return getattr(shifted.source, name)

        def sum(self, *arguments):
            raise AssertionError("these sums are over centred blocks")

    held = dataclasses.replace(held, source=Unshifted())
    rng = np.random.default_rng(5)
    theta, step = rng.standard_normal((2, 5, 1, k))
    found, expected = (SUMS[name](objective, theta, step) for objective in (held, shifted))
    tolerance = 1e-10 if where.dtype == "float64" else 2e-4
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * max(1.0, np.max(np.abs(other))))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_a_product_of_the_hessian_needs_no_hessian(where, problem, k, setting):
    X, Y = targets(problem, k)
    objective = make(X, Y, where.place, where.dtype, **SETTINGS[setting])
    rng = np.random.default_rng(7)
    theta, move = rng.standard_normal((2, 5, objective.models, k))
    move = objective.confined(move)
    found, H = objective.hessian_times(theta, move), objective.expand(theta).hessian
    expected = np.stack([(H[j] @ move[:, j].ravel()).reshape(5, k) for j in range(objective.models)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 if where.dtype == "float64" else 1e-4)


def profiles(X, Y, place=HOST, **options):
    """Models of which each has one weight, or the bias, fixed at a value of its own; and where they are."""
    objective = make(X, Y, place, l2=(0.2,) * 5, **options)
    free, theta = np.ones((5, 5, 1)), 0.3 * np.random.default_rng(6).standard_normal((5, 5, Y.shape[0]))
    free[np.arange(5), np.arange(5)] = 0.0
    return dataclasses.replace(objective, free=free), theta


@pytest.mark.parametrize("setting", ["plain", "weights", "centred and scaled", "small blocks"])
@pytest.mark.parametrize("k", [1, 3])
def test_each_model_may_have_its_own_fixed_rows(problem, setting, k):
    X, Y = targets(problem, k)
    options = {key: value for key, value in SETTINGS[setting].items() if key != "l2"}
    objective, theta = profiles(X, Y, **options)
    whole = make(X, Y, l2=(0.2,) * 5, **options).expand(theta)
    here = objective.expand(theta)
    np.testing.assert_allclose(here.value, whole.value, rtol=1e-14)  # a fixed row counts, at its value
    np.testing.assert_allclose(objective.evaluate(theta).gradient, here.gradient, rtol=1e-12, atol=1e-14)
    for row in range(5):
        free = objective.free[row, :, 0] == 1
        for output in range(k):
            change, change_of_gradient = slopes(objective, theta, row, output)
            np.testing.assert_allclose(here.gradient[row, :, output], np.where(free, change, 0.0), atol=1e-8)
            column = here.hessian[:, :, row * k + output].reshape(5, 5, k).transpose(1, 0, 2)
            unit = np.zeros((5, 5, k))
            unit[row, :, output] = 1.0
            np.testing.assert_allclose(column, np.where(free[:, None], change_of_gradient, unit), atol=1e-8)


@pytest.mark.parametrize("k", [1, 3])
def test_fixed_rows_are_the_same_everywhere(where64, problem, k):
    X, Y = targets(problem, k)
    here, there = (profiles(X, Y, place)[0].expand(profiles(X, Y)[1]) for place in (HOST, where64.place))
    for ours, expected in zip(
        (there.value, there.gradient, there.hessian), here[:1] + here[2:3] + here[4:], strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("keep", [np.arange(5), np.asarray([3, 1])])
def test_profiles_are_minimised_like_single_models(problem, k, keep):
    X, Y = targets(problem, k)
    objective, theta = profiles(X, Y, center=np.full((4, 1), 1.5))
    objective, theta = objective.keep(keep), theta[:, keep]
    run = {"tol": 1e-14, "max_iter": 50}
    together = descent.minimize(objective, theta, method=Newton.for_objective(objective), **run)
    assert together.reason == "converged"
    free = np.broadcast_to(objective.free, theta.shape) == 1
    np.testing.assert_array_equal(together.theta[~free], theta[~free])
    for model in range(len(keep)):
        alone = objective.keep(np.asarray([model]))
        start = theta[:, [model]]
        found = descent.minimize(alone, start, method=Newton.for_objective(alone), **run)
        np.testing.assert_allclose(together.theta[:, [model]], found.theta, atol=1e-7)
        np.testing.assert_allclose(objective.evaluate(found.theta).value[model], found.last.value[0], rtol=1e-12)
        moves = free[:, model].ravel()

        def cost(part, moves=moves, start=start, alone=alone):
            point = start.copy().ravel()
            point[moves] = part
            return float(alone.evaluate(point.reshape(start.shape)).value[0])

        judged = optimize.minimize(cost, start.ravel()[moves], options={"gtol": 1e-7})
        assert float(alone.evaluate(found.theta).value[0]) <= judged.fun + 1e-12
        np.testing.assert_allclose(cost(found.theta.ravel()[moves]), judged.fun, rtol=1e-9)


def test_weights_that_are_fixed_at_other_values_than_zero_are_certified_by_a_hessian_only():
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((1100, 40)), (np.arange(40) % 2)[None, :].astype(float)
    objective = make(X, Y, l2=(0.05,))
    free, theta = np.ones((1101, 1, 1)), np.zeros((1101, 1, 1))
    free[3] = 0.0
    objective = dataclasses.replace(objective, free=free)
    assert certify(objective, theta).known == "bound"
    theta[3] = 1.0
    assert certify(objective, theta).known == ""
    assert certify(objective, theta, limit=2000).known == "decrement"
