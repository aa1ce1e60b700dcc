"""Random expressions: values against NumPy, derivatives against slopes, on every namespace."""

import math

import numpy as np
import pytest
from conftest import QUICK

import xlogreg
from xlogreg import graph
from xlogreg.graph import Variable

hypothesis = pytest.importorskip("hypothesis")
given, settings, st = hypothesis.given, hypothesis.settings, hypothesis.strategies


def _square(u):
    return u * u


def _matrix(u):
    if len(u.shape) < 2:
        raise ValueError("no matrix")
    return u


STEPS = {
    "add": lambda F, u, v: u + v,
    "subtract": lambda F, u, v: u - v,
    "from a number": lambda F, u, v: 2 - u * 0.5 + 1 / (_square(v) + 2),
    "multiply": lambda F, u, v: u * v * 0.5,
    "divide": lambda F, u, v: u / (_square(v) + 1.0),
    "power": lambda F, u, v: (_square(u) + 0.5) ** F.sigmoid(v),
    "square": lambda F, u, v: F.sigmoid(u) ** 2 - (_square(v) + 1.0) ** -0.5,
    "number to a power": lambda F, u, v: 2.0 ** F.sigmoid(u - v),
    "negative": lambda F, u, v: -u,
    "exp": lambda F, u, v: F.exp(-_square(u)),
    "log": lambda F, u, v: F.log(_square(u) + 0.5),
    "maximum": lambda F, u, v: F.maximum(u, v),
    "maximum of a number": lambda F, u, v: F.maximum(u, 0.25),
    "sigmoid": lambda F, u, v: F.sigmoid(u),
    "matmul": lambda F, u, v: _matrix(u) @ _matrix(v) * 0.5,
    "transpose": lambda F, u, v: _matrix(u).T,
    "sum": lambda F, u, v: u.sum() * 0.2,
    "sum of columns": lambda F, u, v: _matrix(u).sum(axis=0, keepdims=True) * 0.5,
    "sum of rows": lambda F, u, v: _matrix(u).sum(axis=-1) * v * 0.5,
    "mean": lambda F, u, v: _matrix(u).mean(axis=(0, 1)) + v,
    "mean of rows": lambda F, u, v: _matrix(u).mean(axis=1, keepdims=True),
}
SHAPES = [(2, 3), (1, 3), (2, 1), (), (3, 2)]


class NumPy:
    """What the expressions call, in NumPy."""

    exp, log, maximum = np.exp, np.log, np.maximum
    sigmoid = staticmethod(lambda z: 1 / (1 + np.exp(-z)))


def evaluate(F, steps, leaves):
    """The output of an expression, and how near the operands of a maximum came to each other."""
    pool, nearest = list(leaves), [math.inf]

    class Watched:
        exp, log, sigmoid = F.exp, F.log, F.sigmoid

        @staticmethod
        def maximum(u, v):
            nearest.append(np.min(np.abs(u - v)) if F is NumPy else 0.0)
            return F.maximum(u, v)

    for name, i, j in steps:
        try:
            pool.append(STEPS[name](Watched, pool[i % len(pool)], pool[j % len(pool)]))
        except ValueError:  # shapes that do not fit, in both alike
            continue
    total = pool[-1] if pool[-1].shape == () else pool[-1].mean()
    for one in pool:
        total = total + 0.1 * (one if one.shape == () else one.mean())
    return total, min(nearest)


programs = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=8
)


def agrees_with_slopes(where, steps, seed):
    rng = np.random.default_rng(seed)
    host = [rng.uniform(-1.5, 1.5, shape) for shape in SHAPES]
    leaves = [where.asarray(values) for values in host]
    leaves = [*leaves, 0.7]  # and a number
    expected, nearest = evaluate(NumPy, steps, [*host, np.float64(0.7)])
    hypothesis.assume(nearest > (1e-3 if where.dtype == "float64" else 0.1))

    def build(*values):
        return evaluate(graph, steps, [Variable(value, f"v{i}") for i, value in enumerate(values)])[0]

    J = build(*leaves)
    where.check(J.value, expected, rtol=100 * where.tolerance)
    check = xlogreg.check_gradients(
        lambda *at: build(*at).value, lambda *at: tuple(build(*at).backward().values()), *leaves
    )
    assert check.passed, (check, steps)
    for derivative, values in zip(J.backward().values(), [*host, None], strict=True):
        if values is None:
            assert type(derivative) is float
        else:
            where.check(derivative, np.zeros_like(values), atol=1e9)  # where it lives, its dtype and shape


# each example takes a hundred evaluations: a failure is shown as it was found, not as it could be
expressions = settings(
    phases=[hypothesis.Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],  # `where` is the same for all examples
)


@pytest.mark.slow
@pytest.mark.parametrize("where", QUICK, indirect=True)
@settings(expressions, max_examples=8)
@given(programs, st.integers(0, 10**6))
def test_random_expressions_agree_with_slopes(where, steps, seed):
    agrees_with_slopes(where, steps, seed)


@pytest.mark.slow
@pytest.mark.parametrize("where", QUICK, indirect=True)
@settings(expressions, max_examples=25, derandomize=False)
@given(programs, st.integers(0, 10**6))
def test_many_random_expressions_agree_with_slopes(where, steps, seed):
    agrees_with_slopes(where, steps, seed)
