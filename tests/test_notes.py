"""The course notes, section by section: what each says holds, on every library where it is about arrays.

Each test is named after its section, and the tutorial has a heading for it: the last test counts both.
"""

import ast
import math
import re
from pathlib import Path

import numpy as np
import pytest
from reference import loop_descent, loop_gradients

import xlogreg
from xlogreg import graph, images
from xlogreg.arrays.place import to_host
from xlogreg.cli.demo import load_pictures
from xlogreg.graph import Variable

ROOT = Path(__file__).parent.parent
SECTIONS = [f"1.{i}" for i in range(1, 11)] + [f"2.{i}" for i in range(1, 10)]


def two_by_six(where):
    """X (2, 6), Y (1, 6), w (2, 1), b (1, 1)."""
    rng = np.random.default_rng(3)
    values = rng.standard_normal((2, 6)), [[0, 1, 1, 0, 1, 0]], rng.standard_normal((2, 1)), [[0.25]]
    return tuple(where.asarray(value) for value in values)


def test_section_1_1_a_picture_is_a_column_and_samples_stand_side_by_side(where):
    pictures = where.asarray(np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3)))
    X = images.flatten(pictures)
    where.check(X, to_host(pictures).reshape(5, -1).T, shape=(12288, 5))


def test_section_1_2_y_hat_is_the_sigmoid_of_a_linear_score(where):
    X, _, w, b = two_by_six(where)
    _, A = xlogreg.forward(X, w, b)
    z = to_host(w)[:, 0] @ to_host(X) + 0.25
    where.check(A, 1 / (1 + np.exp(-z[None, :])))


def test_section_1_3_losses_of_a_sample_and_their_mean(where):
    z, y = np.asarray([[2.0, -1.0, 0.5]]), np.asarray([[1.0, 0.0, 0.0]])
    a = 1 / (1 + np.exp(-z))
    log_loss = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    where.check(xlogreg.log_loss(where.asarray(z), where.asarray(y)), log_loss)
    where.check(xlogreg.squared_error(where.asarray(z), where.asarray(y)), 0.5 * (a - y) ** 2)
    where.check(xlogreg.cost(where.asarray(z), where.asarray(y)), log_loss.mean(), shape=())


def test_section_1_4_gradient_descent_from_zero_is_fit_with_gd(problem):
    X, Y = problem
    w, b, costs = loop_descent(X.tolist(), Y.tolist(), 0.1, 25)
    model = xlogreg.fit(X, Y, solver="gd", learning_rate=0.1, max_iter=25)
    np.testing.assert_allclose(model.w[:, 0], w, rtol=1e-11)
    np.testing.assert_allclose(model.b.item(), b, rtol=1e-11)
    np.testing.assert_allclose(model.costs, costs, rtol=1e-11)


def test_section_1_4_the_cost_is_convex_and_that_of_the_squared_error_is_not():
    x, y, w = np.asarray([[1.0, -0.3]]), np.ones((1, 2)), np.linspace(-30, 30, 201)
    costs = {loss: np.asarray([xlogreg.cost(v * x, y, loss) for v in w]) for loss in ("log_loss", "squared_error")}
    assert np.min(np.diff(costs["log_loss"], 2)) > 0
    assert np.min(np.diff(costs["squared_error"], 2)) < -1e-4


@pytest.mark.parametrize(("f", "at", "expected"), [(lambda a: 3 * a, 5.0, 3.0), (lambda a: a**2, 5.0, 10.0)])
def test_section_1_5_a_derivative_is_a_slope(f, at, expected):
    assert xlogreg.slope(f, at) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("a", [0.5, 2.0, 10.0])
def test_section_1_6_the_derivative_of_the_logarithm_is_one_over_a(a):
    assert xlogreg.slope(math.log, a) == pytest.approx(1 / a, rel=1e-9)
    variable = Variable(a, name="a")
    assert graph.log(variable).backward()["da"] == pytest.approx(1 / a, rel=1e-15)


def notes_graph():
    a, b, c = Variable(5.0, name="a"), Variable(3.0, name="b"), Variable(2.0, name="c")
    u = (b * c).named("u")
    v = (a + u).named("v")
    return u, v, (3 * v).named("J")


def test_section_1_7_the_forward_pass_gives_33():
    u, v, J = notes_graph()
    assert (u.value, v.value, J.value) == (6.0, 11.0, 33.0)


def test_section_1_8_the_backward_pass_gives_3_6_and_9():
    derivatives = notes_graph()[2].backward()
    assert {name: derivatives[name] for name in ("da", "db", "dc", "du", "dv")} == {
        "da": 3.0,
        "db": 6.0,
        "dc": 9.0,
        "du": 3.0,
        "dv": 3.0,
    }


def test_section_1_9_dz_is_a_minus_y(where64):
    X, Y, w, b = two_by_six(where64)
    W, B = Variable(w, name="w"), Variable(b, name="b")
    Z = (W.T @ X + B).named("Z")
    A = graph.sigmoid(Z).named("A")
    J = -(graph.log(A) * Y + graph.log(1 - A) * (1 - Y)).mean()
    derivatives = J.backward()
    a = xlogreg.forward(X, w, b)[1]
    dw, db = xlogreg.gradients(X, a, Y)
    where64.check(derivatives["dZ"], to_host(a - Y) / 6, rtol=1e-12)
    where64.check(derivatives["dw"], to_host(dw), rtol=1e-12)
    where64.check(derivatives["db"], to_host(db), rtol=1e-12)


def test_section_1_10_derivatives_of_the_cost_are_means_over_the_samples(where):
    X, Y, w, b = two_by_six(where)
    J, dw, db = loop_gradients(to_host(X).tolist(), to_host(Y)[0].tolist(), to_host(w)[:, 0].tolist(), 0.25)
    Z, A = xlogreg.forward(X, w, b)
    where.check(xlogreg.cost(Z, Y), J, shape=())
    where.check(xlogreg.gradients(X, A, Y)[0], np.asarray(dw)[:, None])
    where.check(xlogreg.gradients(X, A, Y)[1], [[db]])


def test_section_2_1_a_dot_product_is_the_loop_over_its_elements(where):
    rng = np.random.default_rng(0)
    p, q = rng.standard_normal((100, 1)), rng.standard_normal((100, 1))
    z = 0.0
    for i in range(100):
        z += p[i, 0] * q[i, 0]
    where.check(where.asarray(p).T @ where.asarray(q), [[z]], atol=1e-4 if where.dtype == "float32" else None)


def test_section_2_2_functions_of_vectors_need_no_loop(where):
    xp, v = where.xp, where.asarray([[1.0], [-2.0], [0.5]])
    A = where.asarray(np.arange(6.0).reshape(2, 3))
    where.check(A @ v, [[sum(row[j] * x for j, x in enumerate((1.0, -2.0, 0.5)))] for row in to_host(A)])
    where.check(xp.exp(v), [[math.exp(x)] for x in (1.0, -2.0, 0.5)])
    where.check(1 / v + v**2 + xp.abs(v), [[3.0], [5.5], [2.75]])


def test_section_2_3_all_scores_are_one_product(where):
    X, _, w, b = two_by_six(where)
    Z, A = xlogreg.forward(X, w, b)
    where.check(Z, [[to_host(w)[:, 0] @ to_host(X)[:, i] + 0.25 for i in range(6)]])
    assert A.shape == (1, 6)


def test_section_2_4_the_vectorised_loop_is_the_loop_over_samples(where64):
    X, Y, w, b = two_by_six(where64)
    expected = loop_descent(to_host(X).tolist(), to_host(Y)[0].tolist(), 0.5, 30, to_host(w)[:, 0].tolist(), 0.25)
    for _ in range(30):
        _, A = xlogreg.forward(X, w, b)
        dw, db = xlogreg.gradients(X, A, Y)
        w, b = xlogreg.update(w, dw, 0.5), xlogreg.update(b, db, 0.5)
    where64.check(w, np.asarray(expected[0])[:, None], rtol=1e-11)
    where64.check(b, [[expected[1]]], rtol=1e-11)


def test_section_2_5_broadcasting_stretches_ones_and_the_graph_sums_over_them(where):
    T = where.asarray([[1.0, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6]])
    columns = where.xp.sum(T, axis=0, keepdims=True)
    where.check(where.xp.sum(T / columns, axis=0), np.ones(4))
    C = Variable(columns, name="C")
    dC = (Variable(T) / C).sum().backward()["dC"]
    where.check(dC, -1 / to_host(columns), shape=(1, 4))  # sum_i T_ij = C_j, so d/dC_j of sum_i T_ij / C_j is -1/C_j


def test_section_2_6_a_rank_1_y_is_a_row_and_no_other_shape_passes(where64, problem):
    X, Y = problem
    one, two = (xlogreg.fit(where64.asarray(X), where64.asarray(y)) for y in (Y, Y[None, :]))
    where64.check(one.w, to_host(two.w), shape=(4, 1))
    for wrong in (Y[:, None], Y[:-1]):
        with pytest.raises(ValueError, match=r"^Y "):
            xlogreg.fit(where64.asarray(X), where64.asarray(wrong))


def test_section_2_7_the_tutorial_is_a_notebook():
    jupytext = pytest.importorskip("jupytext", reason="jupytext reads the tutorial (the extra docs)")
    source = jupytext.read(ROOT / "docs" / "tutorial.md")
    notebook = jupytext.read(ROOT / "docs" / "tutorial.ipynb")
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))  # from scratch, in order
    for cell in code:
        ast.parse(cell.source)
        assert not [output for output in cell.outputs if output.output_type == "error"]


def test_section_2_8_the_minimum_of_the_cost_is_the_maximum_of_the_likelihood(problem):
    X, Y = problem
    model = xlogreg.fit(X, Y)

    def likelihood(w, b):
        a = xlogreg.forward(X, w, b)[1][0]
        return math.prod(a**Y * (1 - a) ** (1 - Y))

    best = likelihood(model.w, model.b)
    assert math.log(best) == pytest.approx(model.log_likelihood, rel=1e-12)
    assert model.log_likelihood == pytest.approx(-len(Y) * model.fit_info.cost, rel=1e-12)
    for step in np.random.default_rng(0).standard_normal((20, 5, 1)) * 0.05:
        assert likelihood(model.w + step[:4], model.b + step[4:]) < best


def test_section_2_9_pictures_are_flattened_divided_by_255_and_classified():
    pytest.importorskip("PIL", reason="Pillow is not installed, with which scikit-learn reads its photographs")
    problem = load_pictures()
    pictures = images.unflatten(problem.X_train, (64, 64, 3))
    assert pictures.shape == (209, 64, 64, 3)
    assert np.squeeze(pictures[:1]).shape == (64, 64, 3)
    assert np.array_equal(pictures.reshape(209, -1).T, images.flatten(pictures))
    by_hand, here = (
        xlogreg.fit(X, problem.Y_train, l2=1e-2, dtype="float64", **options)
        for X, options in ((problem.X_train / 255, {}), (problem.X_train, {"standardize": 255}))
    )
    np.testing.assert_allclose(here.w * 255, by_hand.w, rtol=1e-6, atol=1e-9)
    assert here.evaluate(problem.X_train, problem.Y_train).accuracy == 1.0
    assert here.evaluate(problem.X_test, problem.Y_test).accuracy > 0.8


def test_every_section_has_a_test_and_a_heading_in_the_tutorial():
    tutorial = (ROOT / "docs" / "tutorial.md").read_text()
    assert re.findall(r"^### (\d+\.\d+) ", tutorial, flags=re.MULTILINE) == SECTIONS
    named = {re.match(r"test_section_(\d+)_(\d+)_", name) for name in globals()}
    assert {f"{match[1]}.{match[2]}" for match in named if match} == set(SECTIONS)
