"""Slopes and checked gradients: against derivatives that are known, on every namespace."""

import dataclasses
import math

import numpy as np
import pytest
from conftest import QUICK, Where

import xlogreg
from xlogreg.arrays.place import HOST, to_host

FUNCTIONS = {  # f, its derivative, where
    "square": (lambda x: x * x, lambda x: 2 * x, 3.0),
    "logarithm": (math.log, lambda x: 1 / x, 2.0),
    "exponential": (math.exp, math.exp, -40.0),
    "cube at 0": (lambda x: x**3, lambda x: 3 * x * x, 0.0),
    "constant": (lambda x: 5.0, lambda x: 0.0, 1.0),
    "far out": (lambda x: x * x, lambda x: 2 * x, 1e9),
    "large value": (lambda x: 1e6 + x, lambda x: 1.0, 0.5),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_slopes_are_the_derivatives_of_known_functions(case):
    f, derivative, x = FUNCTIONS[case]
    assert xlogreg.slope(f, x) == pytest.approx(derivative(x), rel=1e-9, abs=1e-4 if case == "large value" else 1e-10)
    assert xlogreg.check_gradients(f, derivative, x)
    wrong = xlogreg.check_gradients(f, lambda x: derivative(x) + 1e-3 * max(1.0, abs(derivative(x))), x)
    assert not wrong
    assert wrong.worst.derivative != wrong.worst.slope


def test_the_slope_of_an_array_is_taken_number_by_number(where):
    x = where.asarray([[1.0, 2.0], [4.0, 1000.0]])
    slopes = xlogreg.slope(lambda x: 1.0 / x, x)
    rtol = 1e-9 if where.dtype == "float64" else 1e-3
    where.check(slopes, [[-1.0, -1 / 4], [-1 / 16, -1e-6]], rtol=rtol, atol=rtol * 1e-3)


def test_a_slope_along_a_direction_is_an_array():
    W = np.asarray([[1.0], [2.0]])
    E = np.asarray([[0.0], [1.0]])
    np.testing.assert_allclose(xlogreg.slope(lambda h: (W + h * E) ** 2, 0.0), [[0.0], [4.0]], rtol=1e-9)
    assert xlogreg.slope(abs, 0.0) == 0.0  # from both sides
    assert xlogreg.slope(lambda x: x * x, 3, step=0.5) == 6.0


def pose(where):
    """Cost and gradients of a logistic regression as functions of W and b, and where to look at them."""
    rng = np.random.default_rng(0)
    X, Y = where.asarray(rng.standard_normal((3, 8))), where.asarray([[0, 1, 1, 0, 1, 0, 0, 1]])

    def cost(W, b):
        return xlogreg.cost(W.T @ X + b, Y)

    def gradients(W, b):
        return xlogreg.gradients(X, xlogreg.sigmoid(W.T @ X + b), Y)

    return cost, gradients, where.asarray(rng.standard_normal((3, 1))), where.asarray([[0.2]])


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_the_gradients_of_the_cost_agree_and_every_wrong_coordinate_is_found(where):
    cost, gradients, W, b = pose(where)
    before = [to_host(array).copy() for array in (W, b)]
    check = xlogreg.check_gradients(cost, gradients, W, b)
    assert check.passed, check
    for errors, array, kept in zip(check.errors, (W, b), before, strict=True):
        where.check(errors, np.zeros(kept.shape), atol=check.tolerance)
        np.testing.assert_array_equal(to_host(array), kept)
    for wrong in range(3):
        factor = where.asarray(np.where(np.arange(3) == wrong, 1.5, 1.0)[:, None])
        spoiled = xlogreg.check_gradients(
            cost, lambda W, b, f=factor: (gradients(W, b)[0] * f, gradients(W, b)[1]), W, b
        )
        assert not spoiled.passed
        assert spoiled.worst[:2] == (0, (wrong, 0))
        assert spoiled.worst.error == pytest.approx(1 / 3, rel=0.05)
        assert to_host(spoiled.errors[0] > spoiled.tolerance).sum() == 1
    assert not xlogreg.check_gradients(cost, lambda W, b: (gradients(W, b)[0], -gradients(W, b)[1]), W, b)


def test_the_gradient_may_be_computed_already(where):
    cost, gradients, W, b = pose(where)
    dW, db = gradients(W, b)
    assert xlogreg.check_gradients(cost, (dW, db), W, b)
    assert xlogreg.check_gradients(lambda W: cost(W, b), dW, W)
    assert not xlogreg.check_gradients(cost, [dW, 2.0 * db], W, b)
    assert xlogreg.check_gradients(lambda w: w * w, 6, 3.0)


def test_the_coarsest_dtype_sets_step_and_tolerance():
    cost, gradients, W, b = pose(Where("numpy", HOST, "float32"))
    fine = xlogreg.check_gradients(lambda W: float(np.sum(W**3)), lambda W: 3 * W * W, np.asarray(W, dtype=float))
    assert fine.tolerance == pytest.approx(6.06e-5, rel=1e-2)
    for argument in (W, np.asarray(W, dtype=float)):  # a float64 W, computed with in float32
        check = xlogreg.check_gradients(
            lambda W: cost(np.float32(W), b), lambda W: gradients(np.float32(W), b)[0], argument
        )
        assert check
        assert check.tolerance == pytest.approx(4.92e-2, rel=1e-2)


def test_a_derivative_that_is_zero_is_no_special_case():
    at = np.asarray([0.0, 1.0, -2.0])
    check = xlogreg.check_gradients(lambda x: np.sum(np.cos(x[1:])) + x[0] ** 3, lambda x: -np.sin(x) * [0, 1, 1], at)
    assert check
    assert not xlogreg.check_gradients(
        lambda x: np.sum(np.cos(x[1:])), lambda x: -np.sin(x) * [0, 1, 1] + [1e-6, 0, 0], at
    )


def test_a_gradient_that_is_not_finite_never_passes():
    for value in (np.nan, np.inf):
        at = np.asarray([1.0, 2.0, 3.0])
        check = xlogreg.check_gradients(lambda x: x.sum(), lambda x, v=value: np.asarray([1.0, v, 2.0]), at)
        assert not check
        assert check.worst.position == (1,)
    assert not xlogreg.check_gradients(lambda x: math.inf, lambda x: 0.0, 1.0)
    assert xlogreg.check_gradients(lambda x, y: x + y, lambda x, y: (1.0, math.nan), 1.0, 2.0).worst.argument == 1


def test_whole_numbers_are_differentiated_as_floats():
    seen = []
    assert xlogreg.check_gradients(lambda w: seen.append(w) or (w * w).sum(), lambda w: 2 * w, np.asarray([[1, 2]]))
    assert {array.dtype.name for array in seen} == {"float64"}
    assert xlogreg.check_gradients(lambda x, y: x * y, lambda x, y: (y, x), 2, np.float32(3))


def test_a_check_prints_as_a_sentence_and_cannot_be_changed():
    check = xlogreg.check_gradients(lambda w: w[1, 0] ** 2, lambda w: 3 * w * [[0], [1]], np.asarray([[1.0], [2.0]]))
    assert str(check) == repr(check)
    assert str(check).startswith(
        "gradient DISAGREES with the slopes: largest relative error 3.3e-01 (tolerance 6.1e-05)"
    )
    assert str(check).endswith("at argument 0[1, 0]: derivative 6, slope 4")
    with pytest.raises(dataclasses.FrozenInstanceError):
        check.tolerance = 1.0
    assert "agrees with" in str(xlogreg.check_gradients(lambda w: w, lambda w: 1.0, 2.0))
    loose = xlogreg.check_gradients(lambda w: w * w, lambda w: 3 * w, 1.0, tolerance=0.5)
    assert loose.passed


BAD = {
    "complex": (lambda: xlogreg.slope(abs, 1j), TypeError, "x must be a real number or an array of real numbers"),
    "list": (lambda: xlogreg.slope(abs, [1.0]), TypeError, "not list"),
    "complex array": (lambda: xlogreg.slope(abs, np.asarray([1j])), TypeError, "not ndarray of complex128"),
    "masked": (lambda: xlogreg.slope(abs, np.ma.ones(2)), TypeError, "not MaskedArray"),
    "matrix": (lambda: xlogreg.slope(abs, np.asmatrix([[1.0]])), TypeError, "not matrix"),
    "step": (lambda: xlogreg.slope(abs, 1.0, step=0.0), ValueError, "step must be a positive number, not 0.0"),
    "nothing": (lambda: xlogreg.check_gradients(abs, abs), TypeError, "at least one number"),
    "empty": (lambda: xlogreg.check_gradients(abs, abs, np.ones((0, 1))), TypeError, "at least one number"),
    "text": (lambda: xlogreg.check_gradients(abs, abs, 1.0, "w"), TypeError, "argument 1 must be a real number"),
    "no scalar": (
        lambda: xlogreg.check_gradients(abs, abs, np.ones(2)),
        ValueError,
        r"function must give one number, not an array of shape \(2,\)",
    ),
    "shape": (
        lambda: xlogreg.check_gradients(np.sum, lambda w: w[:, 0], np.ones((2, 1))),
        ValueError,
        r"of shape \(2, 1\); it gave \(2,\)",
    ),
    "rank 1": (
        lambda: xlogreg.check_gradients(np.sum, np.ones(2), np.ones((2, 1))),
        ValueError,
        r"\(2, 1\); it gave \(2,\); \(2,\) is neither row nor column .*reshape it to \(2, 1\)",
    ),
    "dict": (
        lambda: xlogreg.check_gradients(abs, {"dw": 1.0}, 1.0),
        TypeError,
        "derivative 0 of the gradient must be a real number .*not dict",
    ),
    "one too few": (
        lambda: xlogreg.check_gradients(lambda w, b: w + b, lambda w, b: 1.0, 1.0, 2.0),
        ValueError,
        r"of shape \(\), \(\); it gave \(\)",
    ),
    "tolerance": (
        lambda: xlogreg.check_gradients(abs, abs, 1.0, tolerance=-1),
        ValueError,
        "tolerance must be a positive",
    ),
    "no number": (lambda: xlogreg.check_gradients(lambda w: "J", abs, 1.0), TypeError, "J must be a real number"),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_differentiated_is_refused_by_name(case):
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()
