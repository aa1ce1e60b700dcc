"""Models that share X: each is the model that `fit` alone would give."""

import dataclasses

import numpy as np
import pytest
from conftest import QUICK

import xlogreg
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, to_host
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns
from xlogreg.solvers import simultaneous
from xlogreg.solvers.objective import Evaluation
from xlogreg.solvers.preconditioners import Shared
from xlogreg.solvers.quasi_newton import QuasiNewton

TIGHT = {"float64": 1e-14, "float32": 1e-9}


def drawn(g, m=400, n_x=5, seed=3):
    """X (n_x, m) of unequal features, and labels (g, m) of g models."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)) * np.logspace(-1, 1, n_x)[:, None] + np.arange(n_x)[:, None]
    W = rng.standard_normal((n_x, g)) / np.logspace(-1, 1, n_x)[:, None]
    return X, (rng.random((g, m)) < 1 / (1 + np.exp(-W.T @ (X - np.arange(n_x)[:, None])))).astype(int)


def probabilities(models, X):
    return np.stack([to_host(model.predict_proba(X)) for model in models])


@pytest.mark.parametrize("where", QUICK, indirect=True)
@pytest.mark.parametrize("l2s", [0.0, 1e-2])
def test_each_target_is_fitted_as_it_would_be_alone(where, l2s):
    X, Ys = drawn(6)
    X, options = where.asarray(X), {"tol": TIGHT[where.dtype]}
    models = xlogreg.fit_many(X, Ys, l2s=l2s, **options)
    alone = [xlogreg.fit(X, Y, l2=l2s, **options) for Y in Ys]
    near = 1e-7 if where.dtype == "float64" else 1e-4
    np.testing.assert_allclose(probabilities(models, X), probabilities(alone, X), atol=near)
    assert {model.fit_info.solver for model in models} == {"batch"}
    for model, single in zip(models, alone, strict=True):
        where.check(model.w, to_host(single.w), rtol=1e3 * near)
        assert model.fit_info.cost == pytest.approx(single.fit_info.cost, rel=1e-9 if near == 1e-7 else 1e-5)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_penalties_and_folds_of_one_target_are_fitted_as_they_would_be_alone(where):
    X, Ys = drawn(1)
    folds, X = np.arange(400) % 4, where.asarray(X)
    weights = [None, *((folds != fold).astype(float) for fold in range(4))]
    l2s = np.logspace(-5, 0, 4)
    models = xlogreg.fit_many(
        X, Ys, l2s=np.tile(l2s, 5), sample_weights=[w for w in weights for _ in l2s], tol=TIGHT[where.dtype]
    )
    near = 1e-7 if where.dtype == "float64" else 1e-4
    for number, model in enumerate(models):
        kept = np.flatnonzero(np.ones(400) if number < 4 else weights[number // 4])
        part = where.asarray(to_host(X)[:, kept])
        alone = xlogreg.fit(part, Ys[0, kept], l2=float(l2s[number % 4]), tol=TIGHT[where.dtype])
        np.testing.assert_allclose(to_host(model.predict_proba(X)), to_host(alone.predict_proba(X)), atol=near)
        assert model.fit_info.log_likelihood == pytest.approx(alone.fit_info.log_likelihood, rel=1e-5)
        assert model.fit_info.null_log_likelihood == pytest.approx(alone.fit_info.null_log_likelihood, rel=1e-5)


@pytest.mark.parametrize("same", [True, False])
def test_scales_of_features_do_not_matter_with_and_without_a_penalty(same):
    X, Ys = drawn(1 if same else 4)
    X = X * np.asarray([[1e-6], [1e6], [1.0], [1e3], [1e-3]])
    l2s = [0.0, 1e-6, 1e-3, 10.0]
    models = xlogreg.fit_many(X, Ys, l2s=l2s, tol=1e-14)
    assert [model.fit_info.solver for model in models] == ["batch"] * 4
    alone = [xlogreg.fit(X, Ys[n % len(Ys)], l2=l2, solver="newton", tol=1e-14) for n, l2 in enumerate(l2s)]
    np.testing.assert_allclose(probabilities(models, X), probabilities(alone, X), atol=1e-7)


def test_collinear_features_give_the_parameters_of_minimum_norm():
    X, Ys = drawn(2)
    X = np.concatenate([X, X[:1]])
    for model, Y in zip(xlogreg.fit_many(X, Ys, tol=1e-14), Ys, strict=True):
        np.testing.assert_allclose(model.w, xlogreg.fit(X, Y, tol=1e-14).w, rtol=1e-5)


def test_penalties_within_a_factor_share_an_inverse_where_there_are_many():
    S, l2 = np.diag(np.full(600, 2.0)), np.logspace(-3, 3, 200)
    shared = Shared.from_moment(S, np.ones((600, 1)), np.ones(200), l2, 1e-16)
    assert shared.inverse.shape[0] <= 8
    solved = shared.solve(np.ones((600, 200, 1)))[0, :, 0]
    assert np.all(np.abs(np.log(solved * (2.0 + l2))) < np.log(8.0))
    few = Shared.from_moment(S, np.ones((600, 1)), np.ones(2), np.asarray([0.0, 1.0]), 1e-16).keep(np.asarray([1]))
    np.testing.assert_allclose(few.solve(np.ones((600, 1, 1))), 1.0 / 3.0)


def test_rows_and_columns_are_the_same_models():
    X, Ys = drawn(3)
    columns = xlogreg.fit_many(X, Ys, l2s=0.1)
    rows = xlogreg.fit_many(np.ascontiguousarray(X.T), Ys.T, l2s=0.1, samples="rows")
    for one, other in zip(columns, rows, strict=True):
        np.testing.assert_allclose(one.w, other.w, rtol=1e-9)


def test_whole_weights_are_repeats():
    X, Ys = drawn(2)
    counts = np.random.default_rng(0).poisson(1.0, 400)
    weighted = xlogreg.fit_many(X, Ys, l2s=0.01, sample_weights=counts, tol=1e-14)
    again = np.repeat(np.arange(400), counts)
    repeated = xlogreg.fit_many(X[:, again], Ys[:, again], l2s=0.01, tol=1e-14)
    np.testing.assert_allclose(probabilities(weighted, X), probabilities(repeated, X), atol=1e-7)


@pytest.mark.parametrize("options", [{"bias": False}, {"standardize": True}, {"standardize": 255.0}])
def test_options_mean_what_they_mean_alone(options):
    X, Ys = drawn(3)
    models = xlogreg.fit_many(X, Ys, l2s=[0.1, 0.01, 0.0], tol=1e-14, **options)
    alone = [xlogreg.fit(X, Y, l2=l2, tol=1e-14, **options) for Y, l2 in zip(Ys, (0.1, 0.01, 0.0), strict=True)]
    np.testing.assert_allclose(probabilities(models, X), probabilities(alone, X), atol=1e-7)


def test_soft_targets_are_fitted_together():
    X, _ = drawn(1)
    rng = np.random.default_rng(1)
    W = 0.1 * rng.standard_normal((5, 3))
    P = 1 / (1 + np.exp(-(W.T @ X + 0.2)))
    models = xlogreg.fit_many(X, P, targets="probabilities", tol=1e-14)
    for number, model in enumerate(models):  # soft targets of a model make it the exact optimum
        np.testing.assert_allclose(model.w[:, 0], W[:, number], atol=1e-6)


def test_wide_data_are_fitted_together():
    rng = np.random.default_rng(0)
    X, Ys = rng.standard_normal((300, 40)), rng.integers(0, 2, (3, 40))
    models = xlogreg.fit_many(X, Ys, l2s=0.1, tol=1e-14)
    alone = [xlogreg.fit(X, Y, l2=0.1, tol=1e-14) for Y in Ys]
    np.testing.assert_allclose(probabilities(models, X), probabilities(alone, X), atol=1e-7)


def test_separated_hopeless_and_many_classed_models_do_not_hold_up_the_others():
    X, Ys = drawn(2)
    separated = (X[0] > 0.05).astype(int)
    three = np.arange(400) % 3
    only = Ys[0].astype(float)  # weights that erase a class of the first target
    with pytest.warns(xlogreg.XlogregWarning) as warned:
        models = xlogreg.fit_many(
            X,
            [Ys[0], separated, Ys[1], three, Ys[0]],
            l2s=[0.0, 0.0, 0.0, 0.1, 0.0],
            sample_weights=[None, None, None, None, only],
        )
    assert sorted(type(w.message).__name__ for w in warned) == ["ConvergenceWarning", "SeparationWarning"]
    assert [m.fit_info.reason for m in models] == ["converged", "separated", "converged", "converged", "one class"]
    assert models[1].fit_info.separation == "complete"
    assert len(models[3].classes) == 3
    assert np.isnan(models[4].w).all()
    for number in (0, 2):
        alone = xlogreg.fit(X, [Ys[0], None, Ys[1]][number])
        np.testing.assert_allclose(models[number].w, alone.w, rtol=1e-5)


def test_nearly_separated_models_end_as_they_would_alone():
    X, Ys = drawn(1)
    near = (X[0] > 0.05).astype(int)
    near[np.argmax(X[0])] = 0  # one sample far on the wrong side
    models = xlogreg.fit_many(X, [Ys[0], near], tol=1e-12)
    assert models[1].fit_info.separation == "none"
    np.testing.assert_allclose(models[1].w, xlogreg.fit(X, near, tol=1e-14).w, rtol=1e-4)


def test_a_limit_of_steps_holds_for_every_model():
    X, Ys = drawn(3)
    with pytest.warns(xlogreg.ConvergenceWarning, match="max_iter=1") as warned:
        models = xlogreg.fit_many(X, Ys, l2s=1e-3, max_iter=1)
    assert len(warned) == 3
    assert {model.fit_info.reason for model in models} == {"max_iter"}


def test_a_penalised_model_of_separated_classes_stays_among_the_others():
    X, Ys = drawn(1)
    separated = (X[0] > 0.05).astype(int)
    models = xlogreg.fit_many(X, [Ys[0], separated], l2s=[0.0, 1e-3])
    assert [model.fit_info.solver for model in models] == ["batch", "batch"]
    assert [model.fit_info.separation for model in models] == ["none", ""]


def test_the_same_call_gives_the_same_bits():
    X, Ys = drawn(4)
    first, second = (xlogreg.fit_many(X, Ys, l2s=1e-3) for _ in range(2))
    assert all((a.w == b.w).all() and (a.b == b.b).all() for a, b in zip(first, second, strict=True))


def test_a_model_of_a_batch_says_why_it_has_no_standard_errors(monkeypatch):
    X, Ys = drawn(2)
    assert xlogreg.fit_many(X, Ys)[0].standard_errors().w.shape == (len(X), 1)  # of little data
    monkeypatch.setattr("xlogreg.fitting.proof.BATCH_WORK", 0.0)
    with pytest.raises(ValueError, match="no Hessian of all samples"):
        xlogreg.fit_many(X, Ys)[0].standard_errors()


def test_scores_of_a_batch_stay_within_a_block():
    X = np.zeros((3, 100_000))
    source = InMemory(Dense(X), Columns(), HOST, "float64", 1e5)
    longest = max(stop - start for start, stop in source.spans(outputs=500))
    assert longest * 500 * 8 <= 2 * 2**20
    assert len(source.spans()) == 1


class Quadratics:
    """g functions (theta_j - target_j)^2 of different curvatures, behind the face of an objective."""

    noise = 1e-16

    def __init__(self, curvature, target):
        self.curvature, self.target, self.evaluations = curvature, target, []

    def evaluate(self, theta):
        self.evaluations.append(theta.shape[1])
        D = theta - self.target
        value = 0.5 * np.sum(self.curvature * D * D, axis=(0, 2)) + 1.0
        return Evaluation(value, value, self.curvature * D, np.zeros(theta.shape[1], dtype=bool))

    def confined(self, move):
        return move

    def keep(self, models):
        kept = Quadratics(self.curvature[:, models], self.target[:, models])
        kept.evaluations = self.evaluations
        return kept


def test_models_that_are_done_leave_and_those_that_run_away_are_let_go():
    curvature = np.ones((3, 3, 1))
    curvature[:, 1, 0] = [1.0, 2.0, 3.0]
    curvature[:, 2, 0] = np.nan
    target = np.arange(9.0).reshape(3, 3, 1) + 1.0
    method = QuasiNewton(Shared.from_moment(np.eye(3), np.ones((3, 1)), np.ones(3), np.zeros(3), 1e-16), patience=1)
    objective = Quadratics(curvature, target)
    results = simultaneous.minimize(objective, np.zeros((3, 3, 1)), method=method, tol=1e-14, max_iter=30)
    assert [result.reason for result in results] == ["converged", "converged", "left"]
    for number in (0, 1):
        np.testing.assert_allclose(results[number].theta, target[:, [number], :], rtol=1e-6)
        assert results[number].costs.shape == (results[number].iterations, 1)
    assert objective.evaluations[0] == 3
    assert objective.evaluations[-1] == 1
    assert max(result.passes for result in results) == len(objective.evaluations)


def test_models_in_float32_learn_below_the_rounding_errors_of_their_values():
    X = np.random.default_rng(0).standard_normal((28, 50_000)).astype(np.float32)
    models = xlogreg.fit_many(X, X[:20] > 0, l2s=1e-3)
    assert {(model.fit_info.solver, model.fit_info.reason) for model in models} == {("batch", "converged")}


def test_changes_of_the_gradient_that_rounding_may_have_made_are_not_believed():
    flat = Quadratics(np.full((1, 1, 1), 1e-6), np.full((1, 1, 1), -1e-2))
    flat.noise = 1e-7  # of values about one: a gap of 5e-17 is far below it
    method = QuasiNewton(Shared.from_moment(np.eye(1), np.ones((1, 1)), np.ones(1), np.zeros(1), 1e-16), patience=1)
    (result,) = simultaneous.minimize(flat, np.zeros((1, 1, 1)), method=method, tol=1e-18, max_iter=30)
    assert result.reason == "precision"
    assert abs(float(result.theta[0, 0, 0])) < 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Ys": []}, "Ys is empty"),
        ({"Ys": np.zeros(400)}, "Ys must be a list of targets, a table of them, or an array"),
        ({"Ys": np.zeros((2, 400))}, r"Ys\[0\]: Y holds one class only"),
        ({"Ys": [[0, 1] * 200, [0, 1] * 199]}, r"Ys\[1\]: Y has the shape \(398,\)"),
        ({"l2s": [0.1, 0.2, 0.3]}, "must hold 1 or g=3"),
        ({"l2s": [0.1, -0.2]}, r"l2s\[1\] must be a finite number >= 0"),
        ({"l2s": "strong"}, "l2s must hold numbers"),
        ({"sample_weights": np.ones((3, 400))}, "sample_weights holds|Ys holds"),
        ({"sample_weights": [np.ones(400), -np.ones(400)]}, r"sample_weights\[1\]: sample_weight must not be negative"),
        ({"sample_weights": np.ones(399)}, "sample_weight must have the shape"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    X, Ys = drawn(2)
    with pytest.raises((ValueError, TypeError), match=message):
        xlogreg.fit_many(X, **({"Ys": Ys} | change))


def test_one_model_of_a_batch_has_its_own_targets_and_weights():
    Y, weight = np.arange(12.0).reshape(2, 1, 6), 1.0 + np.arange(18.0).reshape(3, 1, 6)
    source = InMemory(Dense(np.zeros((2, 6))), Columns(Y, weight), HOST, "float64", np.arange(4.0))
    source = dataclasses.replace(source, target_of=np.asarray([0, 1, 0, 1]), weight_of=np.asarray([2, 1, 0, 2]))
    for alone in (source.alone(3), source.keep(np.asarray([1, 3])).alone(1)):
        assert (Y[1] == alone.columns.Y).all()
        assert (alone.columns.weight == weight[2]).all()
        assert alone.total_weight == 3.0
        assert alone.effective_samples == pytest.approx(3.0**2 / np.sum(weight[2] ** 2))


@pytest.mark.parametrize("l2s", [1e-4, 0.0])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_a_stage_in_float32_changes_nothing(monkeypatch, l2s, shift):
    X, Ys = drawn(6, m=600)
    X = X + shift
    wide = xlogreg.fit_many(X, Ys, l2s=l2s, tol=1e-14)
    monkeypatch.setattr("xlogreg.fitting.batch.NARROW_WORK", 0.0)
    passes = []
    narrowed = InMemory.narrowed
    monkeypatch.setattr(InMemory, "narrowed", lambda source: passes.append(1) or narrowed(source))
    models = xlogreg.fit_many(X, Ys, l2s=l2s, tol=1e-14)
    assert len(passes) == (l2s > 0 and shift == 0.0)  # float32 tells nothing of such means, and separation not at all
    np.testing.assert_allclose(probabilities(models, X), probabilities(wide, X), atol=1e-7)
    assert all(model.fit_info.solver == "batch" and model.fit_info.converged for model in models)
    assert all(len(model.costs) == model.fit_info.iterations for model in models)


def test_a_batch_whose_models_all_lack_a_class_says_so_of_each():
    X, Ys = drawn(1)
    weights = [Ys[0].astype(float), Ys[0] * 2.0]
    with pytest.warns(xlogreg.ConvergenceWarning, match=r"sample_weights\[[01]\] is zero for every sample of class 0"):
        models = xlogreg.fit_many(X, Ys, sample_weights=weights)
    assert [model.fit_info.reason for model in models] == ["one class"] * 2
