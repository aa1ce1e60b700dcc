"""The functions of the notes, on every namespace."""

import functools

import numpy as np
import pytest
from reference import loop_descent, loop_gradients

import xlogreg
from xlogreg.arrays.place import to_host
from xlogreg.math.losses import LOSSES, sum_losses
from xlogreg.math.one_hot import ONE_HOT


def test_sigmoid_is_the_logistic_function(where):
    z = np.asarray([[-700.0, -3.0, 0.0, 1.5, 80.0]])
    z = z if where.dtype == "float64" else np.clip(z, -80, 80)
    where.check(xlogreg.sigmoid(where.asarray(z)), 1 / (1 + np.exp(-z)), atol=0)


def test_sigmoid_is_exact_in_both_tails(where):
    tail = to_host(xlogreg.sigmoid(where.asarray([[-80.0]])))[0, 0]
    assert abs(tail / np.exp(-80.0) - 1) < 1e-5
    assert to_host(xlogreg.sigmoid(where.asarray([[-1e4, 1e4]]))).tolist() == [[0.0, 1.0]]


def test_the_equations_take_keywords_numbers_and_arrays_of_other_libraries(where):
    Z, ones = where.asarray([[0.0, 1.0]]), where.asarray([[1.0], [1.0]])
    where.check(xlogreg.sigmoid(Z=Z), 1 / (1 + np.exp([[0.0, -1.0]])))
    where.check(xlogreg.log_loss(Z, Y=where.asarray([[1.0, 1.0]])), np.log1p(np.exp([[0.0, -1.0]])))
    where.check(xlogreg.update(ones, ones, learning_rate=0.25), [[0.75], [0.75]])
    assert xlogreg.update(1.0, 2.0, 0.25) == 0.5
    da = pytest.importorskip("dask.array")
    np.testing.assert_array_equal(xlogreg.sigmoid(da.zeros((1, 4))).compute(), np.full((1, 4), 0.5))


def test_softmax_columns_sum_to_one_and_do_not_overflow(where):
    Z = np.asarray([[0.0, 1e4, -1e4], [1.0, 0.0, -1e4], [2.0, -1e4, -1e4]])
    e = np.exp(np.asarray([0.0, 1.0, 2.0]))
    expected = np.stack([e / e.sum(), [1.0, 0.0, 0.0], np.full(3, 1 / 3)], axis=1)
    where.check(xlogreg.softmax(where.asarray(Z)), expected)


def test_forward_is_the_linear_part_and_the_link(where):
    rng = np.random.default_rng(0)
    X, W, b = rng.standard_normal((3, 7)), rng.standard_normal((3, 2)), rng.standard_normal((2, 1))
    Z, A = xlogreg.forward(*map(where.asarray, (X, W, b)), link=xlogreg.softmax)
    expected = W.T @ X + b
    where.check(Z, expected)
    where.check(A, np.exp(expected) / np.exp(expected).sum(axis=0))


def test_losses_are_those_of_section_1_3(where):
    z, y = np.asarray([[-2.0, 0.5, 3.0]]), np.asarray([[0.0, 1.0, 0.25]])
    a = 1 / (1 + np.exp(-z))
    Z, Y = where.asarray(z), where.asarray(y)
    where.check(xlogreg.log_loss(Z, Y), -(y * np.log(a) + (1 - y) * np.log(1 - a)))
    where.check(xlogreg.squared_error(Z, Y), (a - y) ** 2 / 2)
    where.check(xlogreg.cost(Z, Y), -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a)), shape=())
    where.check(xlogreg.cost(Z, Y, loss="squared_error"), np.mean((a - y) ** 2 / 2), shape=())


def test_cross_entropy_is_minus_the_log_of_the_probability(where):
    rng = np.random.default_rng(1)
    Z = rng.standard_normal((4, 6))
    Y = np.eye(4)[:, [0, 1, 2, 3, 0, 1]] * 0.7 + 0.075
    expected = -np.sum(Y * np.log(np.exp(Z) / np.exp(Z).sum(axis=0)), axis=0, keepdims=True)
    where.check(xlogreg.cross_entropy(where.asarray(Z), where.asarray(Y)), expected)


def test_cross_entropy_of_two_classes_is_the_log_loss_tails_included(where):
    z = np.asarray([[-60.0, -1.0, 0.0, 2.0, 60.0]])
    Z2 = where.asarray(np.concatenate([np.zeros_like(z), z]))
    for label in (0.0, 1.0):
        one_hot = where.asarray(np.concatenate([np.full_like(z, 1 - label), np.full_like(z, label)]))
        expected = to_host(xlogreg.log_loss(where.asarray(z), where.asarray(np.full_like(z, label))))
        where.check(xlogreg.cross_entropy(Z2, one_hot), expected, atol=0)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("own_side", [True, False])
@pytest.mark.parametrize("loss", ["log_loss", "cross_entropy", "one-hot", "squared_error"])
def test_the_sum_of_many_losses_is_as_accurate_as_each_of_them(where, loss, own_side, weighted):
    rng = np.random.default_rng(2)
    Y = rng.integers(0, 2, (1, 9001)).astype(where.dtype)
    Z = rng.uniform(-30, 30, (2, 1, 9001))  # two models
    Z = (Z if not own_side else np.abs(Z) * (2 * Y - 1)).astype(where.dtype)
    exact = {"squared_error": 0.5 * (1 / (1 + np.exp(-Z)) - Y) ** 2}
    exact = exact.get(loss, np.maximum(Z, 0.0) - Y * Z + np.log1p(np.exp(-np.abs(Z.astype(np.float64)))))
    weight = rng.random((1, 9001)).astype(where.dtype) if weighted else None
    expected = np.sum(exact if weight is None else weight * exact, axis=(1, 2))
    if loss in ("cross_entropy", "one-hot"):
        Z, Y = np.concatenate([0 * Z, Z], axis=1), np.concatenate([1 - Y, Y])
    excess, tail, _ = (LOSSES | {"one-hot": ONE_HOT})[loss].first(where.asarray(Z), where.asarray(Y))
    weight = None if weight is None else where.asarray(weight)
    where.check(sum_losses(excess, tail, weight, where.place.dtype(where.dtype)), expected, atol=0)


@pytest.mark.parametrize("loss", ["log_loss", "cross_entropy"])
def test_scores_of_ten_thousand_stay_finite_in_cost_and_gradient(where, loss):
    z = np.asarray([[-1e4, 1e4, -1e4, 1e4]])
    y = np.asarray([[0.0, 0.0, 1.0, 1.0]])
    Z, Y = (z, y) if loss == "log_loss" else (np.concatenate([0 * z, z]), np.concatenate([1 - y, y]))
    link = xlogreg.sigmoid if loss == "log_loss" else xlogreg.softmax
    where.check(xlogreg.cost(where.asarray(Z), where.asarray(Y), loss=loss), 5e3, shape=())
    X = where.asarray(np.ones((2, 4)))
    dW, db = xlogreg.gradients(X, link(where.asarray(Z)), where.asarray(Y), loss=loss)
    where.check(dW, np.zeros((2, len(Z))))
    where.check(db, np.zeros((len(Z), 1)))


def test_gradients_and_update_are_those_of_the_explicit_loops(where, problem):
    X, Y = problem
    w, b = [0.1, -0.2, 0.3, 0.05], 0.4
    J, dw, db = loop_gradients(X.tolist(), Y.tolist(), w, b)
    arrays = where.asarray(X), where.asarray(np.asarray(w)[:, None]), where.asarray([[b]])
    Z, A = xlogreg.forward(*arrays)
    targets = where.asarray(Y[None, :])
    where.check(xlogreg.cost(Z, targets), J, shape=())
    dW, dB = xlogreg.gradients(arrays[0], A, targets)
    where.check(dW, np.asarray(dw)[:, None])
    where.check(dB, [[db]])
    where.check(xlogreg.update(arrays[1], dW, 0.1), np.asarray(w)[:, None] - 0.1 * np.asarray(dw)[:, None])


def test_the_loop_of_section_2_4_equals_the_loops_of_section_1_10(where, problem):
    X, Y = problem[0][:, :20], problem[1][:20]
    w, b, costs = loop_descent(X.tolist(), Y.tolist(), 0.05, 300)
    features, targets = where.asarray(X), where.asarray(Y[None, :])
    W, B = where.asarray(np.zeros((4, 1))), where.asarray([[0.0]])
    for _ in range(300):
        Z, A = xlogreg.forward(features, W, B)
        last = xlogreg.cost(Z, targets)
        dW, dB = xlogreg.gradients(features, A, targets)
        W, B = xlogreg.update(W, dW, 0.05), xlogreg.update(B, dB, 0.05)
    where.check(W, np.asarray(w)[:, None], atol=0, rtol=1e-11 if where.dtype == "float64" else 1e-4)
    where.check(B, [[b]], atol=0, rtol=1e-11 if where.dtype == "float64" else 1e-4)
    where.check(last, costs[-1], shape=())


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "cross_entropy"])
def test_gradients_are_the_slopes_of_the_cost(where64, loss):
    where = where64
    rng = np.random.default_rng(2)
    k = 3 if loss == "cross_entropy" else 1
    X, W, b = rng.standard_normal((3, 8)), rng.standard_normal((3, k)), rng.standard_normal((k, 1))
    Y = np.eye(3)[:, rng.integers(0, 3, 8)] if k == 3 else rng.integers(0, 2, (1, 8)).astype(float)
    link = xlogreg.softmax if k == 3 else xlogreg.sigmoid
    features, targets = where.asarray(X), where.asarray(Y)

    def cost(W, b):
        return xlogreg.cost(xlogreg.forward(features, W, b)[0], targets, loss=loss)

    def gradients(W, b):
        return xlogreg.gradients(features, xlogreg.forward(features, W, b, link=link)[1], targets, loss=loss)

    check = xlogreg.check_gradients(cost, gradients, where.asarray(W), where.asarray(b), tolerance=1e-7)
    assert check.passed, check


@pytest.mark.parametrize("loss", ["log_loss", "cross_entropy"])
def test_curvature_is_the_slope_of_the_derivative(where, loss):
    k = 1 if loss == "log_loss" else 3
    Z = np.random.default_rng(3).standard_normal((k, 5))
    link = xlogreg.sigmoid if k == 1 else xlogreg.softmax
    C = xlogreg.curvature(link(where.asarray(Z)), loss=loss)
    along = [functools.partial(lambda E, h: link(Z + h * E), E) for E in np.eye(k)[:, :, None]]
    expected = np.stack([xlogreg.slope(function, 0.0) for function in along], axis=1)
    where.check(C, expected, rtol=1e-8 if where.dtype == "float64" else 1e-5)


def test_the_squared_error_has_no_curvature_and_says_so():
    with pytest.raises(ValueError, match="not convex"):
        xlogreg.curvature(np.asarray([[0.5]]), loss="squared_error")


def test_the_functions_run_under_jit(three_classes):
    jax = pytest.importorskip("jax")
    X, Y = three_classes
    Y, W, b = np.eye(3)[:, Y], np.full((3, 3), 0.1) * np.arange(3), np.zeros((3, 1))

    def step(X, Y, W, b):
        Z, A = xlogreg.forward(X, W, b, link=xlogreg.softmax)
        dW, db = xlogreg.gradients(X, A, Y, loss="cross_entropy")
        C = xlogreg.curvature(A, loss="cross_entropy")
        return xlogreg.cost(Z, Y, loss="cross_entropy"), xlogreg.update(W, dW, 0.1), db, C

    for ours, expected in zip(jax.jit(step)(X, Y, W, b), step(X, Y, W, b), strict=True):
        np.testing.assert_allclose(np.asarray(ours), expected, rtol=1e-12, atol=1e-14)
