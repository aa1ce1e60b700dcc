"""Factors of the penalty: against a general optimiser, plain penalties of scaled features, and themselves."""

import dataclasses
import warnings

import numpy as np
import pytest
from conftest import QUICK, close, cut
from scipy import optimize

import xlogreg
from xlogreg.arrays.choice import Where
from xlogreg.arrays.place import to_host
from xlogreg.fitting.problem import pose
from xlogreg.graph.slopes import slope
from xlogreg.inputs.options import Options
from xlogreg.samples.intake import receive

FACTOR = np.asarray([1.0, 0.0, 4.0, 0.25])
POSITIVE = np.asarray([1.0, 9.0, 4.0, 0.25])
SOLVERS = ("auto", "newton", "lbfgs")


def several(problem, classes):
    """X (4, 60) and labels of so many classes."""
    X, Y = problem
    return X, (Y if classes == 2 else Y + (X[0] > 0) * (np.arange(60) % 3 > 0))


def judged(X, Y, l2, factor, weight=None, bias=True):
    """The cost of (w, b) and its minimum, by a general optimiser, of features with a mean of zero and one scale."""
    classes = int(Y.max()) + 1
    n_x, k = len(X), 1 if classes == 2 else classes
    weight = np.ones(len(Y)) if weight is None else weight
    mean, scale = (X.mean(axis=1) if bias else np.zeros(n_x)), X.std(axis=1)
    features, T = (X - mean[:, None]) / scale[:, None], np.eye(classes)[:, Y]

    def cost(theta):
        U, v = theta[: n_x * k].reshape(n_x, k), theta[n_x * k :] if bias else np.zeros(k)
        Z = U.T @ features + v[:, None]
        Z = np.concatenate([np.zeros_like(Z), Z]) if k == 1 else Z
        logs = np.log(np.sum(np.exp(Z - Z.max(axis=0)), axis=0)) + Z.max(axis=0)
        D = (weight * (np.exp(Z - logs) - T) / weight.sum())[-k:]
        ridge = (l2 * factor / scale**2)[:, None]
        value = np.sum(weight * (logs - np.sum(T * Z, axis=0))) / weight.sum() + 0.5 * np.sum(ridge * U * U)
        slopes = [(features @ D.T + ridge * U).ravel(), *([D.sum(axis=1)] if bias else [])]
        return value, np.concatenate(slopes)

    found = optimize.minimize(cost, np.zeros(n_x * k + k * bias), jac=True, method="BFGS", options={"gtol": 1e-9})

    def of(model):
        w, b = to_host(model.w).astype(float), to_host(model.b).astype(float)[:, 0]
        parts = [(w * scale[:, None]).ravel(), *([b + w.T @ mean] if bias else [])]
        return float(cost(np.concatenate(parts))[0])

    return of, float(found.fun)


CASES = {
    "plain": {},
    "standardised": {"standardize": True},
    "divided": {"standardize": 3.0},
    "no bias": {"bias": False},
    "weights": {"sample_weight": np.linspace(0.2, 2.0, 60)},
    "rows": {"samples": "rows"},
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_the_minimum_is_that_of_a_general_optimiser(problem, case, classes, solver):
    X, Y = several(problem, classes)
    options = CASES[case]
    model = xlogreg.fit(X.T if case == "rows" else X, Y, l2=0.05, penalty_factor=FACTOR, solver=solver, **options)
    scale = {True: X.std(axis=1), False: 1.0}.get(options.get("standardize", False), 3.0)
    cost, least = judged(X, Y, 0.05, FACTOR * scale**2, options.get("sample_weight"), options.get("bias", True))
    assert model.fit_info.converged
    assert model.fit_info.separation == "none"
    assert abs(model.fit_info.cost - least) < 1e-9
    assert abs(cost(model) - model.fit_info.cost) < 1e-12
    np.testing.assert_array_equal(model.penalty_factor, FACTOR)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_factor_is_a_plain_penalty_of_a_feature_divided_by_its_root(problem, classes, solver):
    X, Y = several(problem, classes)
    roots = np.sqrt(POSITIVE)[:, None]
    model = xlogreg.fit(X, Y, l2=0.05, penalty_factor=POSITIVE, solver=solver)
    plain = xlogreg.fit(X / roots, Y, l2=0.05, solver=solver)
    assert model.fit_info.converged
    assert model.fit_info.separation == ""
    np.testing.assert_allclose(model.w, plain.w / roots, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.fit_info.cost, plain.fit_info.cost, rtol=1e-11)


@pytest.mark.parametrize("where", QUICK, indirect=True)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_minimum_is_the_same_everywhere(where, problem, classes):
    X, Y = several(problem, classes)
    model = xlogreg.fit(where.asarray(X), Y, l2=0.05, penalty_factor=where.asarray(FACTOR))
    expected = xlogreg.fit(X, Y, l2=0.05, penalty_factor=FACTOR.tolist())
    assert model.fit_info.converged
    near = 1e-8 if where.dtype == "float64" else 1e-3
    where.check(model.w, expected.w, rtol=near)
    assert abs(model.fit_info.cost - expected.fit_info.cost) < near**1.5


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_gradient_descent_takes_the_steps_of_the_notes_in_the_features_themselves(where, problem):
    X, Y = problem
    features = where.asarray(X)
    model = xlogreg.fit(features, Y, l2=0.3, penalty_factor=FACTOR, solver="gd", learning_rate=0.02, max_iter=40)
    W, b = np.zeros((4, 1)), np.zeros((1, 1))
    for _ in range(40):
        dZ = 1.0 / (1.0 + np.exp(-(W.T @ X + b))) - Y
        dW, db = X @ dZ.T / 60 + 0.3 * FACTOR[:, None] * W, np.sum(dZ) / 60
        W, b = W - 0.02 * dW, b - 0.02 * db
    where.check(model.w, W, rtol=1e-9 if where.dtype == "float64" else 1e-4)
    assert model.fit_info.iterations == 40


def test_gradient_descent_in_wide_data_keeps_its_iterates():
    rng = np.random.default_rng(0)
    X, Y, factor = rng.standard_normal((200, 30)), np.arange(30) % 2, rng.uniform(0.5, 2.0, 200)
    options = {"l2": 0.1, "penalty_factor": factor, "solver": "gd", "learning_rate": 0.01, "max_iter": 50}
    W, b = np.zeros((200, 1)), 0.0
    for _ in range(50):
        dZ = 1.0 / (1.0 + np.exp(-(W.T @ X + b))) - Y
        W, b = W - 0.01 * (X @ dZ.T / 30 + 0.1 * factor[:, None] * W), b - 0.01 * np.sum(dZ) / 30
    np.testing.assert_allclose(xlogreg.fit(X, Y, **options).w, W, rtol=1e-10, atol=1e-12)


def test_the_automatic_rate_of_gradient_descent_allows_for_the_largest_factor(problem):
    X, Y = problem
    options = {"l2": 1.0, "penalty_factor": [1.0, 0.0, 300.0, 1.0], "solver": "gd"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        costs = xlogreg.fit(X, Y, max_iter=200, **options).costs
    assert np.all(np.diff(costs) <= 0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("standardize", [False, True])
def test_gradient_and_hessian_are_slopes_of_the_cost(problem, classes, standardize):
    X, Y = several(problem, classes)
    options = Options(l2=0.3, penalty_factor=FACTOR, bias=True, standardize=standardize, max_iter=None, tol=None, rng=0)
    received = receive(X, Y, None, "columns", "labels", Where(), options)
    objective = pose(received.samples, received.targets, None, options).objective
    theta = 0.3 * np.random.default_rng(0).standard_normal((5, 1, 1 if classes == 2 else 3))
    here = objective.expand(theta)
    for number in range(theta.size):
        E = np.zeros(theta.size)
        E[number] = 1.0
        E = E.reshape(theta.shape)
        along = slope(lambda h, E=E: float(objective.evaluate(theta + h * E).value[0]), 0.0)
        assert abs(along - here.gradient.ravel()[number]) < 1e-8
        bent = slope(lambda h, E=E: objective.evaluate(theta + h * E).gradient, 0.0)
        np.testing.assert_allclose(here.hessian[0][:, number], bent.ravel(), atol=1e-8)


def test_the_penalty_is_half_l2_times_the_factors_times_the_squares(problem):
    X, Y = problem
    model = xlogreg.fit(X, Y, l2=0.3, penalty_factor=FACTOR)
    loss = -model.fit_info.log_likelihood / 60
    expected = 0.15 * float(np.sum(FACTOR[:, None] * model.w**2))
    assert abs(model.fit_info.cost - loss - expected) < 1e-12


# metamorphic


def calls(X, Y, **options):
    """Models of every public function, for data of two classes."""
    yield from (xlogreg.fit(X, Y, l2=0.1, solver=solver, max_iter=60, **options) for solver in (*SOLVERS, "gd"))
    yield xlogreg.fit(X, Y, l2=0.1, standardize=True, dtype="float32", **options)
    yield from xlogreg.fit_path(X, Y, [1.0, 0.1], **options)
    yield from xlogreg.fit_many(X, [Y, 1 - Y], l2s=0.1, **options)
    yield xlogreg.fit_cv(X, Y, [1.0, 0.1], folds=3, standardize=True, **options).model
    found = xlogreg.bootstrap(X, Y, 3, l2=0.1, **options)
    yield found.model
    yield dataclasses.replace(found.model, w=found.w[0], b=found.b[0])


DATA = {
    "small": lambda rng: (rng.standard_normal((4, 80)), (rng.random(80) < 0.5).astype(int)),
    "wide": lambda rng: (rng.standard_normal((150, 30)), np.arange(30) % 2),
    "many": lambda rng: (rng.standard_normal((5, 6000)), (rng.random(6000) < 0.5).astype(int)),
}


@pytest.mark.filterwarnings("ignore::xlogreg.ConvergenceWarning")
@pytest.mark.parametrize("data", DATA)
def test_factors_of_one_change_not_a_bit(data, subsets):
    X, Y = DATA[data](np.random.default_rng(1))
    for plain, model in zip(calls(X, Y), calls(X, Y, penalty_factor=np.ones(len(X))), strict=True):
        assert model.w.tobytes() == plain.w.tobytes()
        assert model.b.tobytes() == plain.b.tobytes()
        assert model.costs.tobytes() == plain.costs.tobytes()
        infos = (dataclasses.replace(one.fit_info, seconds=0.0) for one in (model, plain))
        assert len({repr(info) for info in infos}) == 1


@pytest.mark.filterwarnings("ignore::xlogreg.ConvergenceWarning")
@pytest.mark.parametrize("data", DATA)
def test_a_multiple_of_the_factors_is_one_of_l2(data):
    X, Y = DATA[data](np.random.default_rng(2))
    factor = np.linspace(0.0 if data == "small" else 0.2, 3.0, len(X))
    for c, f in ((4.0, factor), (3.0, np.ones(len(X)))):
        one = xlogreg.fit(X, Y, l2=c * 0.1, penalty_factor=f)
        other = xlogreg.fit(X, Y, l2=0.1, penalty_factor=c * f)
        np.testing.assert_allclose(other.w, one.w, rtol=1e-7, atol=1e-10)
        assert other.fit_info.passes == one.fit_info.passes


@pytest.mark.filterwarnings("ignore::xlogreg.SeparationWarning")
@pytest.mark.parametrize("options", [{}, {"solver": "newton"}, {"solver": "gd", "max_iter": 50}, {"standardize": True}])
def test_without_any_factor_above_zero_there_is_no_penalty(problem, options):
    X, Y = problem
    for target in (Y, (X[0] > 0).astype(int)):  # separated
        plain = xlogreg.fit(X, target, **options)
        model = xlogreg.fit(X, target, l2=0.7, penalty_factor=np.zeros(4), **options)
        assert model.w.tobytes() == plain.w.tobytes()
        infos = (dataclasses.replace(one.fit_info, seconds=0.0) for one in (model, plain))
        assert len({repr(info) for info in infos}) == 1
        assert type(model.covariance) is type(plain.covariance)
        np.testing.assert_array_equal(model.covariance, plain.covariance)


def test_without_l2_factors_change_not_a_bit(problem):
    X, Y = problem
    plain, model = xlogreg.fit(X, Y), xlogreg.fit(X, Y, penalty_factor=FACTOR)
    assert model.w.tobytes() == plain.w.tobytes()
    np.testing.assert_array_equal(model.standard_errors().w, plain.standard_errors().w)


def test_standard_errors_are_refused_where_a_factor_is_positive(problem):
    X, Y = problem
    model = xlogreg.fit(X, Y, l2=0.1, penalty_factor=[0.0, 0.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="the fit is penalised"):
        model.standard_errors()


# separation


def rare(classes, pure, seed=0, names=False):
    """Features of which a dummy of a rare category is not penalised; pure: its samples have one class only."""
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.standard_normal((3, 200)), (np.arange(200) < 8)[None, :]])
    Y = np.argmax(np.concatenate([X[: classes - 1], np.zeros((1, 200))]) + rng.gumbel(size=(classes, 200)), axis=0)
    Y[:8] = 0 if pure else np.arange(8) % classes
    return X, Y


@pytest.mark.parametrize("solver", [*SOLVERS, "gd"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_rare_category_without_a_penalty_that_has_one_class_has_no_minimum(classes, solver):
    X, Y = rare(classes, pure=True)
    named = {"l2": 0.1, "penalty_factor": [1.0, 1.0, 1.0, 0.0], "solver": solver}
    message = (
        r"^a hyperplane of the features without a penalty separates the classes, .* \(strongest in the features 3\)"
    )
    with pytest.warns(xlogreg.SeparationWarning, match=message) as caught:
        info = xlogreg.fit(X, Y, **named).fit_info
    assert "use a penalty_factor > 0 for these features" in str(caught[0].message)
    assert info.separation == "quasi-complete"
    assert not info.converged
    assert info.reason == ("max_iter" if solver == "gd" else "separated")
    penalised = xlogreg.fit(X, Y, l2=0.1, penalty_factor=[1.0, 1.0, 1.0, 1e-3]).fit_info
    assert penalised.converged
    assert penalised.separation == ""


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_rare_category_without_a_penalty_that_has_all_classes_has_a_minimum(classes, solver):
    X, Y = rare(classes, pure=False)
    info = xlogreg.fit(X, Y, l2=0.1, penalty_factor=[1.0, 1.0, 1.0, 0.0], solver=solver).fit_info
    assert (info.separation, info.reason, info.converged) == ("none", "converged", True)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("pure", [True, False])
def test_the_question_has_the_same_answer_where_features_cannot_be_had_apart(monkeypatch, classes, pure, subsets):
    X, Y = rare(classes, pure)
    options = {"l2": 0.1, "penalty_factor": [1.0, 1.0, 1.0, 0.0]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xlogreg.SeparationWarning)
        expected = xlogreg.fit(X, Y, **options).fit_info
        monkeypatch.setattr("xlogreg.fitting.proof._proved", lambda *_: (np.nan, False))
        apart = xlogreg.fit(X, Y, **options).fit_info
        monkeypatch.setattr("xlogreg.samples.products.PICKED_BYTES", 0)
        fixed = xlogreg.fit(X, Y, **options).fit_info
    assert {info.separation for info in (expected, apart, fixed)} == {"quasi-complete" if pure else "none"}
    assert {info.converged for info in (expected, apart, fixed)} == {not pure}
    assert expected.passes <= apart.passes < fixed.passes


@pytest.mark.parametrize("pure", [True, False])
def test_probabilities_that_are_certain_can_be_separated_too(pure):
    X, Y = rare(2, pure)
    P = Y.astype(float)
    P[100:] = 0.25 + 0.5 * P[100:]
    options = {"targets": "probabilities", "l2": 0.1, "penalty_factor": [1.0, 1.0, 1.0, 0.0]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        info = xlogreg.fit(X, P[None, :], **options).fit_info
    assert info.separation == ("quasi-complete" if pure else "")
    assert info.converged is not pure
    assert [warning.category for warning in caught] == [xlogreg.SeparationWarning] * pure


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("classes", [2, 3])
def test_classes_that_penalised_features_separate_have_a_minimum(classes, solver):
    rng = np.random.default_rng(3)
    Y = np.arange(90) % classes
    X = np.concatenate([10.0 * np.eye(classes)[:, Y] + rng.random((classes, 90)), rng.standard_normal((1, 90))])
    factor = np.append(np.ones(classes), 0.0)
    model = xlogreg.fit(X, Y, l2=0.01, penalty_factor=factor, solver=solver)
    assert np.all(model.predict(X) == Y)
    assert (model.fit_info.separation, model.fit_info.converged) == ("none", True)
    assert abs(model.fit_info.cost - judged(X, Y, 0.01, factor)[1]) < 1e-9


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.slow
def test_features_without_a_penalty_that_tell_the_classes_apart_are_named(classes, solver):
    rng = np.random.default_rng(4)
    Y = np.arange(90) % classes
    apart = 10.0 * np.eye(classes)[: classes - 1, Y] + rng.random((classes - 1, 90))
    X = np.concatenate([rng.standard_normal((1, 90)), apart])
    with pytest.warns(xlogreg.SeparationWarning, match="with every sample on its own side"):
        model = xlogreg.fit(X, Y, l2=0.01, penalty_factor=np.append(1.0, np.zeros(classes - 1)), solver=solver)
    assert model.fit_info.separation == "complete"
    assert not model.fit_info.converged
    assert np.isnan(model.fit_info.gap)


def test_features_without_a_penalty_are_told_apart_in_every_model_of_many():
    X, pure = rare(2, pure=True)
    mixed = rare(2, pure=False)[1]
    options = {"l2s": 0.1, "penalty_factor": [1.0, 1.0, 1.0, 0.0]}
    with pytest.warns(xlogreg.SeparationWarning):
        models = xlogreg.fit_many(X, [pure, mixed], **options)
    assert [model.fit_info.separation for model in models] == ["quasi-complete", "none"]
    with pytest.warns(xlogreg.SeparationWarning):
        path = xlogreg.fit_path(X, pure, [1.0, 0.1, 0.0], penalty_factor=options["penalty_factor"])
    assert {model.fit_info.separation for model in path} == {"quasi-complete"}


def test_the_question_is_left_open_where_time_is_up():
    X, Y = rare(2, pure=True)
    with pytest.warns(xlogreg.ConvergenceWarning, match="Whether a hyperplane of the features without a penalty"):
        info = xlogreg.fit(X, Y, l2=0.1, penalty_factor=[1.0, 1.0, 1.0, 0.0], time_limit=1e-9).fit_info
    assert info.separation == "undecided"


def test_collinear_features_without_a_penalty_share_their_weight(problem):
    X, Y = problem
    twice = np.concatenate([X, X[1:2]])
    model = xlogreg.fit(twice, Y, l2=0.1, penalty_factor=[1.0, 0.0, 1.0, 1.0, 0.0])
    once = xlogreg.fit(X, Y, l2=0.1, penalty_factor=[1.0, 0.0, 1.0, 1.0])
    assert model.fit_info.converged
    np.testing.assert_allclose(model.w[[1, 4], 0], once.w[1, 0] / 2, rtol=1e-6)
    np.testing.assert_allclose(model.w[[0, 2, 3]], once.w[[0, 2, 3]], rtol=1e-6, atol=1e-9)


# many features, many samples, many models


def drawn(n_x, m, seed=5, classes=2):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)) * rng.uniform(0.3, 3.0, (n_x, 1)) + rng.uniform(-2, 2, (n_x, 1))
    W = rng.standard_normal((n_x, classes)) / np.sqrt(n_x) / X.std(axis=1, keepdims=True)
    return X, np.argmax(W.T @ (X - X.mean(axis=1, keepdims=True)) + rng.gumbel(size=(classes, m)), axis=0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("least", [0.2, 0.0])
@pytest.mark.slow
def test_wide_data_have_the_same_minimum(classes, least):
    X, Y = drawn(240, 40, classes=classes)
    factor = np.random.default_rng(6).uniform(0.2, 3.0, 240)
    factor[:2] = least
    model = xlogreg.fit(X, Y, l2=0.05, penalty_factor=factor)
    expected = xlogreg.fit(X, Y, l2=0.05, penalty_factor=factor, solver="lbfgs", tol=1e-13, initial=model)
    assert model.fit_info.converged
    assert expected.fit_info.converged
    if least:  # in the span of the samples
        assert model.fit_info.passes < 30
    assert abs(model.fit_info.cost - expected.fit_info.cost) < 1e-9 * expected.fit_info.cost
    np.testing.assert_allclose(model.w, expected.w, atol=1e-4 * np.max(np.abs(expected.w)))
    path = xlogreg.fit_path(X, Y, [0.5, 0.05], penalty_factor=factor)
    assert abs(path[1].fit_info.cost - expected.fit_info.cost) < 1e-8 * expected.fit_info.cost


def test_a_subset_of_many_samples_gives_the_curvature(subsets):
    X, Y = drawn(6, 8000)
    for factor in (np.linspace(0.1, 3.0, 6), np.asarray([0.0, 1.0, 2.0, 0.0, 1.0, 1.0])):
        model = xlogreg.fit(X, Y, l2=0.02, penalty_factor=factor)
        assert model.fit_info.solver == "sampled-newton"
        assert model.fit_info.converged
        assert model.fit_info.separation == ("" if factor[0] else "none")
        assert abs(model.fit_info.cost - judged(X, Y, 0.02, factor)[1]) < 1e-10


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("least", [0.2, 0.0])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_basis_of_features_and_classes_takes_factors(monkeypatch, whole, least, classes):
    monkeypatch.setattr("xlogreg.fitting.problem.EXPANSION_LIMIT", 20)
    monkeypatch.setattr("xlogreg.solvers.rent_or_buy.FEATURES", 0)
    if not whole:
        monkeypatch.setattr("xlogreg.solvers.spectral_lbfgs.WHOLE_LIMIT", 10)
    X, Y = drawn(40, 900, classes=classes)
    factor = np.geomspace(0.1, 30.0, 40)
    factor[[3, 17]] = least
    model = xlogreg.fit(X, Y, l2=0.02, penalty_factor=factor)
    expected = xlogreg.fit(X, Y, l2=0.02, penalty_factor=factor, solver="newton")
    assert model.fit_info.solver == "spectral-lbfgs"
    assert model.fit_info.converged
    assert abs(model.fit_info.cost - expected.fit_info.cost) < 1e-10
    path = xlogreg.fit_path(X, Y, [0.3, 0.02, 0.001], penalty_factor=factor)
    assert abs(path[1].fit_info.cost - expected.fit_info.cost) < 1e-8


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("factor", [FACTOR, POSITIVE], ids=["free", "positive"])
def test_many_models_are_those_that_are_fitted_alone(problem, classes, standardize, factor):
    X, Y = several(problem, classes)
    X, Y = np.tile(X, 7) + 0.01 * np.random.default_rng(7).standard_normal((4, 420)), np.tile(Y, 7)
    options = {"penalty_factor": factor, "standardize": standardize}
    l2s, folds = [0.0, 1e-3, 0.1, 0.0, 2.0], np.arange(420) % 3
    path = xlogreg.fit_path(X, Y, l2s, **options)
    weights = [np.random.default_rng(seed).integers(0, 3, 420) for seed in range(3)]
    many = xlogreg.fit_many(X, [Y], l2s=0.1, sample_weights=weights, **options)
    selection = xlogreg.fit_cv(X, Y, l2s, folds=folds, **options)
    alone = [(path[number], {"l2": l2}) for number, l2 in enumerate(l2s)]
    alone += [(model, {"l2": 0.1, "sample_weight": weight}) for model, weight in zip(many, weights, strict=True)]
    alone += [(selection.model, {"l2": l2s[selection.chosen]})]
    for model, own in alone:
        expected = xlogreg.fit(X, Y, **own, **options)
        assert model.fit_info.converged
        np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-6)
        assert abs(model.fit_info.cost - expected.fit_info.cost) < 1e-9
        assert model.fit_info.separation == expected.fit_info.separation
    left = [xlogreg.fit(X[:, folds != fold], Y[folds != fold], l2=0.1, **options) for fold in range(3)]
    scores = [left[fold].evaluate(X[:, folds == fold], Y[folds == fold]).log_loss for fold in range(3)]
    np.testing.assert_allclose(selection.scores["log_loss"][:, 2], scores, atol=1e-7)


def test_replicates_have_the_factors_of_their_model(problem):
    X, Y = problem
    found = xlogreg.bootstrap(X, Y, 4, l2=0.1, penalty_factor=FACTOR, rng=1)
    draws = np.random.default_rng(1)
    for number in range(4):
        counts = np.bincount(draws.integers(60, size=60), minlength=60).astype(float)
        alone = xlogreg.fit(X, Y, l2=0.1, penalty_factor=FACTOR, sample_weight=counts)
        np.testing.assert_allclose(found.w[number], alone.w, atol=1e-5)


def test_classes_that_a_fold_lacks_leave_the_factors_as_they_are(three_classes):
    X, Y = three_classes
    folds = np.where(Y == 2, 0, 1 + np.arange(90) % 2)
    with pytest.warns(xlogreg.MissingClassWarning):
        found = xlogreg.fit_cv(X, Y, [0.1], folds=folds, penalty_factor=[0.0, 3.0, 1.0])
    two = Y < 2
    # weights of +-w / 2 in place of a sigmoid's w
    alone = xlogreg.fit(X[:, two], Y[two], l2=0.05, penalty_factor=[0.0, 3.0, 1.0])
    held = alone.predict_proba(X[:, ~two]).shape
    assert held == (2, 30)
    assert found.scores["log_loss"].shape == (3, 1)
    assert found.model.fit_info.converged


def test_the_bound_of_the_dual_needs_a_penalty_on_every_feature():
    X, Y = drawn(1100, 50, seed=8)
    factor = np.linspace(0.5, 2.0, 1100)
    options = {"l2": 0.05, "solver": "gd", "max_iter": 300, "standardize": True}
    assert xlogreg.fit(X, Y, penalty_factor=factor, **options).fit_info.gap_known == "bound"
    factor[5] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xlogreg.SeparationWarning)
        assert xlogreg.fit(X, Y, penalty_factor=factor, **options).fit_info.gap_known == ""


# what a fit is told, and what is kept of it


def test_a_model_file_keeps_the_factors(problem, tmp_path):
    X, Y = problem
    model = xlogreg.fit(X, Y, l2=0.1, penalty_factor=FACTOR, checkpoint=tmp_path / "checkpoint")
    model.save(tmp_path / "model")
    for name in ("model", "checkpoint"):
        again = xlogreg.load(tmp_path / name)
        np.testing.assert_array_equal(again.penalty_factor, FACTOR)
        assert again.l2 == 0.1
    assert xlogreg.fit(X, Y, l2=0.1, penalty_factor=FACTOR, initial=again).fit_info.passes <= model.fit_info.passes
    assert xlogreg.fit(X, Y).penalty_factor is None


def test_the_factors_that_are_handed_in_stay_the_users(problem):
    X, Y = problem
    given = FACTOR.copy()
    model = xlogreg.fit(X, Y, l2=0.1, penalty_factor=given)
    given[:] = 7.0
    np.testing.assert_array_equal(model.penalty_factor, FACTOR)


def test_a_callback_sees_the_penalised_cost(problem):
    X, Y = problem
    seen = []
    model = xlogreg.fit(X, Y, l2=0.1, penalty_factor=FACTOR, callback=lambda state: seen.append(state.cost))
    assert seen[-1] == pytest.approx(model.fit_info.cost, rel=1e-6)


def test_features_of_a_frame_keep_their_factors(problem):
    pandas = pytest.importorskip("pandas")
    X, Y = problem
    frame = pandas.DataFrame(X.T, columns=list("abcd"))
    model = xlogreg.fit(frame, Y, samples="rows", l2=0.1, penalty_factor=pandas.Series(FACTOR))
    np.testing.assert_allclose(model.w, xlogreg.fit(X, Y, l2=0.1, penalty_factor=FACTOR).w, rtol=1e-12)


WRONG = {
    "too few": ([1.0, 2.0], ValueError, "penalty_factor holds 2 numbers, but X has 4 features"),
    "none": ([], ValueError, "penalty_factor holds 0 numbers, but X has 4 features"),
    "negative": ([1.0, -1.0, 1.0, 1.0], ValueError, "that of feature 1 is -1"),
    "not finite": ([1.0, 1.0, np.nan, 1.0], ValueError, "that of feature 2 is nan"),
    "two axes": (np.ones((4, 1)), ValueError, r"got the shape \(4, 1\)"),
    "a number": (1.0, ValueError, r"got the shape \(\)"),
    "flags": (np.ones(4, dtype=bool), TypeError, "penalty_factor must hold one finite number >= 0 for each feature"),
    "a flag": ([True, 1.0, 1.0, 1.0], TypeError, "penalty_factor must hold one finite number >= 0 for each feature"),
    "strings": (list("abcd"), TypeError, "penalty_factor must hold one finite number >= 0 for each feature"),
    "ragged": ([[1.0], [1.0, 2.0], 1.0, 1.0], TypeError, "penalty_factor must hold one finite number"),
    "too large": ([1e308, 1.0, 1.0, 1.0], ValueError, "penalty_factor times l2 must be a finite number"),
}
FITS = {
    "fit": lambda X, Y, **options: xlogreg.fit(X, Y, l2=10.0, **options),
    "fit_many": lambda X, Y, **options: xlogreg.fit_many(X, [Y], l2s=10.0, **options),
    "fit_path": lambda X, Y, **options: xlogreg.fit_path(X, Y, [10.0], **options),
    "fit_cv": lambda X, Y, **options: xlogreg.fit_cv(X, Y, [10.0], **options),
    "bootstrap": lambda X, Y, **options: xlogreg.bootstrap(X, Y, 2, l2=10.0, **options),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("function", FITS)
def test_factors_that_are_none_are_refused_by_name_before_any_work(problem, function, wrong, monkeypatch):
    X, Y = problem
    value, kind, message = WRONG[wrong]
    monkeypatch.setattr("xlogreg.samples.memory.InMemory.sum", lambda *_: pytest.fail("X was worked on"))
    with pytest.raises(kind, match=r"^penalty_factor") as caught:
        FITS[function](X, Y, penalty_factor=value)
    assert caught.match(message)


# scikit-learn


def test_the_estimators_take_factors(two_rows, three_rows):
    from sklearn.base import clone

    for X, y in (two_rows, three_rows):
        factor = FACTOR[: X.shape[1]]
        classifier = clone(xlogreg.LogisticRegression(C=2.0, penalty_factor=factor, tol=1e-9)).fit(X, y)
        model = xlogreg.fit(X, y, samples="rows", l2=1 / (2.0 * len(y)), penalty_factor=factor)
        np.testing.assert_allclose(classifier.coef_, model.w.T, atol=1e-7)
        assert classifier.get_params()["penalty_factor"] is not None
        roots = np.sqrt(POSITIVE[: X.shape[1]])
        scaled = xlogreg.LogisticRegressionCV(Cs=[0.1, 1.0]).fit(X / roots, y)
        chosen = xlogreg.LogisticRegressionCV(Cs=[0.1, 1.0], penalty_factor=POSITIVE[: X.shape[1]]).fit(X, y)
        assert chosen.C_ == scaled.C_
        np.testing.assert_allclose(chosen.scores_, scaled.scores_, atol=1e-6)
        np.testing.assert_allclose(chosen.coef_, scaled.coef_ / roots, atol=1e-5)
        with pytest.raises(ValueError, match=r"^penalty_factor holds 1 numbers"):
            xlogreg.LogisticRegression(penalty_factor=[1.0]).fit(X, y)
        with pytest.raises(ValueError, match=r"^penalty_factor holds 1 numbers"):
            xlogreg.LogisticRegressionCV(penalty_factor=[1.0]).fit(X, y)


def test_an_exported_model_does_not_claim_a_C_that_scikit_learn_cannot_have(two_rows):
    X, y = two_rows
    plain = xlogreg.LogisticRegression(C=2.0).fit(X, y)
    own = xlogreg.LogisticRegression(C=2.0, penalty_factor=FACTOR).fit(X, y)
    assert pytest.approx(2.0) == plain.to_sklearn().C
    assert own.to_sklearn().C == 1.0
    np.testing.assert_allclose(own.to_sklearn().predict_proba(X), own.predict_proba(X), rtol=1e-12)


# dask


def test_samples_on_a_cluster_are_fitted_with_factors(client):
    X, Y = drawn(4, 2100, seed=9)
    for factor in (FACTOR, POSITIVE):
        options = {"penalty_factor": factor, "samples": "columns"}
        model = xlogreg.fit(cut(X), Y, l2=0.1, **options)
        close(model, xlogreg.fit(X, Y, l2=0.1, **options), X)
        path = xlogreg.fit_path(cut(X), Y, [0.1, 1.0], **options)
        np.testing.assert_allclose(path[0].predict_proba(X), model.predict_proba(X), atol=1e-6)
    with pytest.raises(ValueError, match=r"^penalty_factor holds 1 numbers, but X has 4 features"):
        xlogreg.fit(cut(X), Y, penalty_factor=[1.0])


def test_an_export_has_the_c_of_factors_that_are_all_the_same():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((3, 80)), rng.integers(2, size=80)
    for factor, l2, expected in ((2.0, 0.1, 1.0 / 16.0), (0.0, 0.1, np.inf), ([0.0, 1.0, 2.0], 0.0, np.inf)):
        model = xlogreg.fit(X, Y, l2=l2, penalty_factor=np.broadcast_to(factor, 3))
        assert pytest.approx(expected) == model.to_sklearn().C
    assert "l2=0.1 with factors" in repr(xlogreg.fit(X, Y, l2=0.1, penalty_factor=[0.0, 1.0, 2.0]))
