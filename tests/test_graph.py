"""The computation graph: the notes' examples, and what it promises, on every namespace."""

import copy
import dataclasses
import itertools
import math
import operator
import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import QUICK, place_or_skip

import xlogreg
from xlogreg import graph
from xlogreg.arrays.place import to_host
from xlogreg.graph import Variable, exp, log, maximum, operations, sigmoid, variable


def example():
    """a, b, c of section 1.8, and J = 3(a + bc)."""
    a, b, c = Variable(5.0, "a"), Variable(3.0, "b"), Variable(2.0, "c")
    return a, b, c, 3 * (a + b * c)


def test_the_example_of_section_1_8():
    J = example()[-1]
    assert str(J.value) == "33.0"
    assert list(J.backward().items()) == [("da", 3.0), ("db", 6.0), ("dc", 9.0)]
    assert all(type(derivative) is float for derivative in J.backward().values())
    assert type(Variable(5).value) is float
    assert xlogreg.graph is graph


def test_steps_with_a_name_have_derivatives_too():
    a, b, c, _ = example()
    u = (b * c).named("u")
    v = (a + u).named("v")
    J = (3 * v).named("J")
    assert list(J.backward().items()) == [("da", 3.0), ("db", 6.0), ("dc", 9.0), ("du", 3.0), ("dv", 3.0), ("dJ", 1.0)]
    assert v.backward() == {"da": 1.0, "db": 2.0, "dc": 3.0, "du": 1.0, "dv": 1.0}
    assert u.backward() == {"db": 2.0, "dc": 3.0, "du": 1.0}


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_nothing_is_kept_in_the_graph(where):
    W = Variable(where.asarray([[1.0], [2.0]]), "W")
    first, second = (W * W).sum(), (3.0 * W).sum()
    for _ in range(2):
        where.check(first.backward()["dW"], [[2.0], [4.0]])
        where.check(second.backward()["dW"], [[3.0], [3.0]])
    with pytest.raises(dataclasses.FrozenInstanceError):
        W.value = 0.0


def test_derivatives_are_arrays_of_their_own(where):
    u, v = Variable(where.asarray([[1.0, 2.0]]), "u"), Variable(where.asarray([[3.0, 4.0]]), "v")
    J = (u + v).named("y").sum()
    found = J.backward()
    if where.place.name != "jax":  # whose arrays cannot be written into
        found["du"][0, 0] = 7.0
    for name in ("dv", "dy"):
        where.check(found[name], [[1.0, 1.0]])


def test_a_variable_may_be_used_more_than_once_and_in_several_outputs():
    x = Variable(3.0, "x")
    y = x * x
    assert (y * x + x).backward() == {"dx": 28.0}
    assert (y - x).backward() == {"dx": 5.0}
    assert (y - y).backward() == {"dx": 0.0}


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_the_graph_of_section_1_9_gives_the_gradients_written_by_hand(where):
    rtol = 1e-12 if where.dtype == "float64" else 1e-5
    for y in (0.0, 1.0):
        x, w = where.asarray([[1.5], [-2.0]]), Variable(where.asarray([[0.3], [0.1]]), "w")
        z = (w.T @ x + 0.2).named("z")
        a = sigmoid(z).named("a")
        L = -(y * log(a) + (1 - y) * log(1 - a))
        found, A = L.backward(), 1 / (1 + np.exp(-0.45))
        where.check(found["dz"], [[A - y]], rtol=rtol)
        where.check(found["da"], [[-y / A + (1 - y) / (1 - A)]], rtol=rtol)
        where.check(found["dw"], [[1.5 * (A - y)], [-2.0 * (A - y)]], rtol=rtol)


def vectorised(X, Y, W, b):
    """The cost of m samples as a graph."""
    Z = (Variable(W, "W").T @ X + Variable(b, "b")).named("Z")
    A, Y = sigmoid(Z).named("A"), Variable(Y)  # array-api-strict asks for that where Y stands at the left
    return (-(Y * log(A) + (1 - Y) * log(1 - A))).mean()


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_the_graph_of_m_samples_gives_the_gradients_of_section_2_4(where, problem):
    rng = np.random.default_rng(0)
    X, Y = where.asarray(problem[0] - problem[0].mean(axis=1, keepdims=True)), where.asarray(problem[1][None, :])
    W, b = where.asarray(rng.standard_normal((4, 1)) / 4), where.asarray([[0.3]])
    Z, A = xlogreg.forward(X, W, b)
    dW, db = xlogreg.gradients(X, A, Y)
    J = vectorised(X, Y, W, b)
    found, rtol = J.backward(), 1e-12 if where.dtype == "float64" else 1e-4
    where.check(J.value, to_host(xlogreg.cost(Z, Y)), rtol=rtol)
    where.check(found["dZ"], (to_host(A) - to_host(Y)) / 60, rtol=rtol)
    where.check(found["dW"], to_host(dW), rtol=rtol)
    where.check(found["db"], to_host(db), rtol=rtol)
    labels = vectorised(X, where.place.put(problem[1][None, :]), W, b)  # whole numbers
    where.check(labels.backward()["dW"], to_host(dW), rtol=rtol)


OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "@": operator.matmul,
}


@pytest.mark.parametrize("symbol", OPERATORS)
def test_operands_may_be_numbers_and_arrays_on_either_side(where, symbol):
    compute = OPERATORS[symbol]
    values = np.asarray([[1.0, 2.0], [0.5, 3.0]])
    array, v = where.asarray(values), Variable(where.asarray(values.T), "v")
    where.check(compute(v, array).value, compute(values.T, values))
    if where.place.name == "array-api-strict":  # which refuses all that it does not know
        with pytest.raises(TypeError):
            compute(array, v)
        array = Variable(array)
    where.check(compute(array, v).value, compute(values, values.T))
    if symbol != "@":
        for number in (2, 2.0, np.float64(2.0), np.int64(2)):
            where.check(compute(v, number).value, compute(values.T, 2.0))
            where.check(compute(number, v).value, compute(2.0, values.T))
        one = where.asarray(3.0)  # an array of no axes
        where.check(compute(v, one).value, compute(values.T, 3.0))
        assert compute(Variable(2.0), 3).value == compute(2.0, 3)
    with pytest.raises(TypeError, match="value must be a real number"):
        compute(v, "text")


def test_an_array_is_never_written_into():
    array = np.ones((2, 2))
    kept = array
    with pytest.raises(TypeError):  # NumPy's += would have to write
        array += Variable(np.ones((2, 2)))
    v = Variable(kept, "v")
    w = v
    w *= 2.0  # another variable
    assert (v.value == 1.0).all()
    assert (kept == 1.0).all()
    assert w is not v


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_broadcasting_is_undone(where):
    shapes = [(), (1, 3), (2, 1), (2, 3), (3,), (4, 2, 3)]
    for u, v in itertools.product(shapes, repeat=2):
        left, right = Variable(where.asarray(np.full(u, 2.0)), "u"), Variable(where.asarray(np.full(v, 2.0)), "v")
        y = left * right
        found, n = y.sum().backward(), math.prod(y.shape)
        where.check(found["du"], np.full(u, 2.0 * n / math.prod(u)))
        where.check(found["dv"], np.full(v, 2.0 * n / math.prod(v)))


def test_a_number_among_arrays_has_a_number_as_its_derivative(where):
    scale, W = Variable(2.0, "scale"), Variable(where.asarray([[1.0, 2.0], [3.0, 4.0]]), "W")
    found = (scale * W + scale).sum().backward()
    assert found["dscale"] == 14.0
    assert type(found["dscale"]) is float
    where.check(found["dW"], np.full((2, 2), 2.0))


def test_each_derivative_has_the_dtype_of_its_variable():
    u, v = Variable(np.ones((2, 1), dtype=np.float32), "u"), Variable(np.ones((1, 3)), "v")
    J = (u * v * 2.0).sum()
    assert J.value.dtype == np.float64
    assert {name: derivative.dtype.name for name, derivative in J.backward().items()} == {
        "du": "float32",
        "dv": "float64",
    }


def test_constants_cost_no_derivatives(monkeypatch):
    rules = operations.OPERATIONS["@"]
    seen = []
    watched = rules._replace(dv=lambda xp, dy, y, u, v: seen.append("dv") or rules.dv(xp, dy, y, u, v))
    monkeypatch.setitem(operations.OPERATIONS, "@", watched)
    X = np.ones((3, 5))
    W = Variable(np.ones((1, 3)), "W")
    product = variable._binary("@")[0]
    np.testing.assert_array_equal(product(W, X).sum().backward()["dW"], np.full((1, 3), 5.0))
    assert not seen
    assert set(product(W, Variable(X, "X")).sum().backward()) == {"dW", "dX"}
    assert seen == ["dv"]


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_the_slope_of_a_maximum_is_shared_where_both_are_equal(where):
    u, v = Variable(where.asarray([[1.0, 2.0, 3.0]]), "u"), Variable(where.asarray([[2.0, 2.0, 2.0]]), "v")
    found = maximum(u, v).sum().backward()
    where.check(found["du"], [[0.0, 0.5, 1.0]])
    where.check(found["dv"], [[1.0, 0.5, 0.0]])
    x = Variable(0.0, "x")
    assert maximum(x, 0).backward()["dx"] == 0.5 == xlogreg.slope(lambda x: max(x, 0.0), 0.0)


POWERS = {  # u, v, d(u ** v)/du, /dv; each is the limit, or 0
    "square of zero": (0.0, 2.0, 0.0, 0.0),
    "zeroth power of zero": (0.0, 0.0, 0.0, 0.0),
    "first power of zero": (0.0, 1.0, 1.0, 0.0),
    "cube of a negative number": (-2.0, 3.0, 12.0, math.nan),
    "root": (4.0, 0.5, 0.25, 2.0 * math.log(4.0)),
}


@pytest.mark.parametrize("case", POWERS)
def test_powers_have_derivatives_where_they_can(case):
    u, v, du, dv = POWERS[case]
    assert (Variable(u, "u") ** v).backward() == {"du": du}
    np.testing.assert_allclose((Variable(u) ** Variable(v, "v")).backward()["dv"], dv)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_the_sigmoid_of_large_scores_does_not_overflow(where):
    z = Variable(where.asarray([[-1e4, 0.0, 1e4]]), "z")
    a = sigmoid(z)
    where.check(a.value, [[0.0, 0.5, 1.0]])
    where.check(a.sum().backward()["dz"], [[0.0, 0.25, 0.0]])


def test_what_is_not_finite_passes_without_a_warning():
    x = Variable(0.0, "x")
    assert log(x).value == -math.inf
    assert (1 / x).backward() == {"dx": -math.inf}
    X = Variable(np.zeros((1, 2)), "X")
    assert np.isnan((X / X).sum().backward()["dX"]).all()
    assert math.isnan((np.asarray([[1.0, -1.0]]) / x).sum().backward()["dx"])


def test_tensors_that_require_gradients_leave_no_trace():
    torch = pytest.importorskip("torch")
    W = torch.ones((2, 1), requires_grad=True)
    J = (Variable(W, "W") ** 2).sum()
    assert not J.value.requires_grad
    assert not J.backward()["dW"].requires_grad
    assert "array" not in repr(J)


@pytest.mark.parametrize("length", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_long_chain_is_no_harder_than_a_short_one(length):
    v = x = Variable(1.0, "x")
    for _ in range(length // 2):
        v = -v + 1.0
    assert v.backward() == {"dx": 1.0}
    left_out = f"({length + 1 - 200} nodes before these left out)"
    assert left_out in repr(v)
    assert left_out in v._repr_svg_()
    assert len(repr(v).splitlines()) == 202
    del v, x  # without recursion, too


def test_functions_of_numpy_are_operations_of_the_graph():
    u, v = Variable(np.asarray([[1.0, 2.0]]), "u"), Variable(np.asarray([[0.5], [3.0]]), "v")
    for ours, theirs in (
        (exp(u), np.exp(u)),
        (log(u), np.log(u)),
        (maximum(u, 1.5), np.maximum(1.5, u)),
        (u @ v, np.dot(u, v)),
        (v.value @ u, np.dot(v.value, u)),  # an array on the left asks the variable, too
        (v.value @ u, np.matmul(v.value, u)),
        (2.0 * u, np.dot(2.0, u)),
        (u.T, np.transpose(u)),
        (u.sum(axis=1, keepdims=True), np.sum(u, axis=1, keepdims=True)),
        (u.mean(), np.mean(u)),
        (-u, np.negative(u)),
    ):
        np.testing.assert_array_equal(ours.value, theirs.value)
        np.testing.assert_array_equal(ours.sum().backward()["du"], theirs.sum().backward()["du"], strict=True)
    assert (np.shape(u), np.ndim(u), np.size(u)) == ((1, 2), 2, 2)
    J = -np.mean(np.log(1 / (1 + np.exp(-(np.dot(u, v) + 0.1)))))
    np.testing.assert_allclose(J.backward()["du"], (1 / (1 + np.exp(-6.6)) - 1) * v.value.T)


TAUGHT = {  # what students of other libraries write, and what the error tells them
    "np.log1p": (lambda v: np.log1p(v), TypeError, r"np.log1p is no operation of a graph: write .*log\(1 \+ v\)"),
    "np.abs": (lambda v: np.abs(v), TypeError, r"write xlogreg.graph.maximum\(v, -v\)"),
    "abs": (lambda v: abs(v), TypeError, r"write xlogreg.graph.maximum\(v, -v\)"),
    "np.where": (lambda v: np.where(v, 1, 0), TypeError, r"np.where is no operation .*take v.value"),
    "out": (lambda v: np.exp(v, out=np.ones(2)), TypeError, "np.exp makes a new Variable"),
    "dtype": (lambda v: np.sum(v, dtype=float), TypeError, "takes axis and keepdims, and no"),
    "dtype by position": (lambda v: np.sum(v, 0, np.float32), TypeError, "takes axis and keepdims, and no"),
    "out of np.dot": (lambda v: np.dot(v, v, out=np.ones(2)), TypeError, "np.dot of a Variable takes axis and"),
    "all axes": (lambda v: np.transpose(Variable(np.ones((2, 3, 4)))), TypeError, "for two axes: write v.T"),
    "three axes": (lambda v: np.dot(v, np.ones((2, 2, 2))), TypeError, "two axes at most"),
    "asarray": (lambda v: np.asarray(v), TypeError, "no array of NumPy: take v.value"),
    "math.exp": (lambda v: math.exp(v), TypeError, r"write xlogreg.graph.exp\(v\)"),
    "if": (lambda v: v or 1, TypeError, "neither true nor false: write v.value > 0"),
    "above": (lambda v: v > 0, TypeError, "write v.value > 0"),
    "below an array": (lambda v: np.ones(2) > v, TypeError, "write v.value > 0"),
    "equals": (lambda v: v == 0, TypeError, "write v.value == 0"),
    "part": (lambda v: v[0], TypeError, "has no parts"),
    "grad": (lambda v: v.grad, AttributeError, r"a Variable has no 'grad': write J.backward\(\)"),
    "data": (lambda v: v.data, AttributeError, "write v.value; it cannot be changed"),
    "relu": (lambda v: v.relu(), AttributeError, r"write xlogreg.graph.maximum\(v, 0\)"),
    "sigmoid": (lambda v: xlogreg.sigmoid(v), TypeError, "write an expression of .* xlogreg.graph.sigmoid"),
    "forward": (lambda v: xlogreg.forward(np.ones((1, 3)), v, 0.0), TypeError, "xlogreg.graph.sigmoid"),
    "cost": (lambda v: xlogreg.cost(v, 1.0), TypeError, "xlogreg.graph.sigmoid"),
    "gradients": (lambda v: xlogreg.gradients(np.ones((2, 1)), v, 1.0), AttributeError, "xlogreg.graph.sigmoid"),
}


@pytest.mark.parametrize("case", TAUGHT)
def test_the_error_tells_what_to_write(case):
    call, error, message = TAUGHT[case]
    with pytest.raises(error, match=message):
        call(Variable(np.ones((1, 1)), "v"))


def test_variables_can_be_told_apart_and_copied():
    u, v = Variable(1.0, "u"), Variable(1.0, "v")
    assert u != v
    assert v in (u, v)
    assert u not in (v, None)
    assert copy.deepcopy(u).value == 1.0
    assert pickle.loads(pickle.dumps(u)).number > v.number  # steps from it come after it, also in another process
    assert copy.deepcopy(u * v + u).backward() == (u * v + u).backward()
    assert not hasattr(u, "__wrapped__")
    with pytest.raises(AttributeError, match=r"has no '_repr_png_'$"):  # which notebooks ask for
        u._repr_png_()


def test_cupy_leaves_the_operators_to_variables():
    assert Variable(1.0).__array_ufunc__ is None  # which CuPy looks for


BAD = {
    "complex": (
        lambda: Variable(1j),
        TypeError,
        "value must be a real number or an array of real numbers, not complex",
    ),
    "list": (lambda: Variable([1.0]), TypeError, "not list"),
    "none": (lambda: exp(None), TypeError, "not NoneType"),
    "strings": (lambda: Variable(np.asarray(["a"])), TypeError, "not ndarray of str"),
    "masked": (lambda: Variable(np.ma.ones(2)), TypeError, "not MaskedArray"),
    "name": (lambda: Variable(1.0, 2), TypeError, "name must be a string, not int"),
    "no name": (lambda: Variable(1.0, ""), ValueError, "name must be printable text, not ''"),
    "control character": (lambda: Variable(1.0).named("a\x00"), ValueError, "name must be printable text"),
    "shapes": (lambda: Variable(np.ones((2, 3))) + np.ones((4, 3)), ValueError, r"\(2, 3\).*\(4, 3\)"),
    "inner": (lambda: Variable(np.ones((2, 3))) @ np.ones((2, 3)), ValueError, r"as many .*\(2, 3\) @ \(2, 3\)"),
    "rank 1": (lambda: Variable(np.ones(3)) @ np.ones((3, 1)), ValueError, r"notes 2.6"),
    "number": (lambda: Variable(np.ones((3, 1))) @ 2.0, ValueError, r"two axes or more, not shapes \(\(3, 1\), \(\)\)"),
    "transpose": (lambda: Variable(np.ones(3)).T, ValueError, "neither row nor column"),
    "axis": (lambda: Variable(np.ones((3, 2))).sum(axis=2), ValueError, "axis 2 is out of bounds"),
    "not a scalar": (lambda: Variable(np.ones((1, 3)), "X").backward(), ValueError, r"not shape \(1, 3\)"),
    "nothing": (lambda: (Variable(2.0) * 3).backward(), ValueError, "no variable with a name"),
    "same name": (
        lambda: (Variable(2.0, "a") * Variable(3.0, "a")).backward(),
        ValueError,
        "two variables are named 'a'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_expression_is_refused_by_name(case):
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()


def test_arrays_of_two_places_do_not_mix():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="one place, not torch on cpu and numpy on cpu: move one"):
        Variable(torch.ones(2)) + np.ones(2)
    strict = [place_or_skip("array-api-strict", device).put(np.ones((2, 2))) for device in ("CPU_DEVICE", "device1")]
    with pytest.raises(TypeError, match="one place"):
        Variable(strict[0]) @ strict[1]


def test_an_array_of_one_number_can_be_differentiated():
    W = Variable(np.asarray([[1.0], [2.0]]), "W")
    J = W.T @ W
    assert J.shape == (1, 1)
    np.testing.assert_array_equal(J.backward()["dW"], [[2.0], [4.0]])


def test_the_names_of_the_graph_are_listed_before_they_are_imported():
    program = (
        "import xlogreg.graph, sys; assert 'xlogreg.graph.variable' not in sys.modules; print(*dir(xlogreg.graph))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert {"Variable", "exp", "log", "maximum", "sigmoid"} <= set(found.split())
    assert "backward pass" in graph.__doc__
