"""What a model knows of its fit: its penalty, its scale, its samples and what they weigh; by every way to a model."""

import dataclasses
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from conftest import AS_IN_1_9, QUICK, cut

import xlogreg
from xlogreg.arrays.choice import Where
from xlogreg.fitting import plans
from xlogreg.fitting.held_out import fit_left_out, lacking_classes
from xlogreg.inputs.options import options_of_models
from xlogreg.model.model import Model
from xlogreg.samples.intake import receive

L2S = [0.3, 0.01, 0.1]
RNG = np.random.default_rng(3)
WEIGHT = RNG.uniform(0.5, 2.0, 60)


def knows(model, l2, standardize=False, n_samples=60, total_weight=None, factor=None):
    assert model.l2 == l2
    assert type(model.l2) is float
    np.testing.assert_array_equal(model.penalty_factor, factor)
    assert type(model.standardize) is type(standardize)
    assert model.standardize == standardize
    assert model.fit_info.n_samples == n_samples
    assert type(model.fit_info.n_samples) is int
    assert type(model.fit_info.total_weight) is float
    assert model.fit_info.total_weight == pytest.approx(total_weight or n_samples, rel=1e-5)


@pytest.mark.parametrize("where", QUICK, indirect=True)
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs", "gd"])
def test_a_fit_knows_what_it_was_asked_for(where, problem, solver):
    X, Y = where.asarray(problem[0]), problem[1]
    options = {"solver": solver, "max_iter": 20}
    knows(xlogreg.fit(X, Y, l2=0.2, **options), 0.2)
    weighted = xlogreg.fit(X, Y, l2=0.2, standardize=True, sample_weight=where.asarray(WEIGHT), **options)
    knows(weighted, 0.2, True, total_weight=np.sum(WEIGHT))
    knows(xlogreg.fit(X, Y, l2=0.2, standardize=2, **options), 0.2, 2.0)


@pytest.mark.parametrize("l2", [1, np.float32(0.5), Fraction(1, 4)], ids=repr)
def test_numbers_of_any_kind_become_floats(problem, l2):
    model = xlogreg.fit(*problem, l2=l2, standardize=l2)
    knows(model, float(l2), float(l2))


def test_samples_of_weight_zero_are_samples_that_weigh_nothing(problem):
    weight = np.where(np.arange(60) % 5 == 0, 0, 3)
    knows(xlogreg.fit(*problem, sample_weight=weight), 0.0, total_weight=144.0)


@pytest.mark.parametrize("three", [False, True])
@pytest.mark.parametrize("standardize", [False, True, 3.0])
def test_each_of_many_models_knows_its_own_penalty_and_weights(three, standardize):
    X = RNG.standard_normal((3, 600))
    Y = np.argmax(X[: 3 if three else 2] + RNG.gumbel(size=(3 if three else 2, 600)), axis=0)
    weights = RNG.uniform(0.5, 2.0, (3, 600))
    same = {"standardize": standardize}
    for l2, model in zip(L2S, xlogreg.fit_many(X, [Y], l2s=L2S, **same), strict=True):
        knows(model, l2, standardize, 600)
    models = xlogreg.fit_many(X, [Y], l2s=L2S, sample_weights=weights, **same)
    assert three or {model.fit_info.solver for model in models} == {"batch"}
    for l2, weight, model in zip(L2S, weights, models, strict=True):
        knows(model, l2, standardize, 600, np.sum(weight))
    for l2, model in zip(L2S, xlogreg.fit_path(X, Y, L2S, sample_weight=weights[0], **same), strict=True):
        knows(model, l2, standardize, 600, np.sum(weights[0]))
    found = xlogreg.fit_cv(X, Y, L2S, folds=3, **same)
    knows(found.model, found.l2[found.chosen], standardize, 600)
    knows(
        xlogreg.bootstrap(X, Y, 3, l2=0.1, sample_weight=weights[0], **same).model,
        0.1,
        standardize,
        600,
        weights[0].sum(),
    )


@pytest.mark.filterwarnings("ignore::xlogreg.ConvergenceWarning")
def test_a_model_whose_weights_leave_a_class_without_a_sample_knows_these_weights(problem):
    X, Y = problem
    weights = np.stack([np.ones(60), np.where(Y == 0, 0.0, 2.0)])
    models = xlogreg.fit_many(X, [Y], l2s=0.1, sample_weights=weights)
    assert models[1].fit_info.reason == "one class"
    for model, weight in zip(models, weights, strict=True):
        knows(model, 0.1, total_weight=np.sum(weight))


@pytest.mark.parametrize("standardize", [False, 255, True])
def test_models_of_the_span_of_wide_data_know_what_the_user_asked_for(monkeypatch, standardize):
    X, Y = RNG.standard_normal((240, 40)), np.arange(40) % 2
    reduced = []
    reduce_wide = plans.reduce_wide
    monkeypatch.setattr(plans, "reduce_wide", lambda *given: reduced.append(1) or reduce_wide(*given))
    told = float(standardize) if standardize == 255 else standardize
    for l2, model in zip(L2S, xlogreg.fit_path(X, Y, L2S, standardize=standardize), strict=True):
        knows(model, l2, told, 40)
    assert len(reduced) == (standardize is not True)  # which has a span for each model
    knows(xlogreg.fit(X, Y, l2=0.1, standardize=standardize), 0.1, told, 40)
    found = xlogreg.fit_cv(X, Y, L2S, folds=4, standardize=standardize)
    knows(found.model, found.l2[found.chosen], told, 40)


@pytest.mark.parametrize("K", [2, 3, 4])
def test_models_of_fewer_classes_know_the_penalty_of_all(K):
    """Which is half as large inside where two of the classes are left."""
    X, Y = RNG.standard_normal((3, 120)), np.arange(120) % K
    folds = np.where(Y > 1, 0, np.arange(120) // K % 2) if K > 2 else Y
    where = Where(None, None, None, True)
    factor = np.asarray([1.0, 2.0, 0.0])
    options = options_of_models(L2S * 2, factor, True, 7.0, None, None, 0)
    received = receive(X, Y, WEIGHT.repeat(2), "columns", "labels", where, options[0])
    lacking = lacking_classes(received.targets, received.weight, folds)
    assert np.sum(~lacking[0]) == (1 if K == 2 else 2)
    left = fit_left_out(received, options, folds, np.repeat([0, 1], 3), lacking, 0.0)
    for l2, fold, model in zip(L2S * 2, np.repeat([0, 1], 3), left.models, strict=True):
        total = np.sum(WEIGHT.repeat(2)[folds != fold])
        knows(model, l2, 7.0, 120, total, factor)


def test_a_checkpoint_knows_it(problem, tmp_path):
    def stop(state):
        if state.iteration == 2:
            raise KeyboardInterrupt

    options = {"l2": 0.1, "standardize": 5, "sample_weight": WEIGHT, "checkpoint": tmp_path / "fit.model"}
    with pytest.raises(KeyboardInterrupt):
        xlogreg.fit(*problem, callback=stop, **options)
    half = xlogreg.load(tmp_path / "fit.model")
    assert half.fit_info.reason == "checkpoint"
    knows(half, 0.1, 5.0, total_weight=np.sum(WEIGHT))
    xlogreg.fit(*problem, initial=half, **options)
    knows(xlogreg.load(tmp_path / "fit.model"), 0.1, 5.0, total_weight=np.sum(WEIGHT))


def test_a_fit_of_a_factory_or_a_memory_map_knows_it(problem, tmp_path):
    X, Y = problem
    parts = [slice(0, 25), slice(25, 60)]
    knows(xlogreg.fit(lambda: ((X[:, part], Y[part]) for part in parts), l2=0.1), 0.1)
    weighted = xlogreg.fit(lambda: ((X[:, part], Y[part], WEIGHT[part]) for part in parts), l2=0.1, standardize=True)
    knows(weighted, 0.1, True, total_weight=np.sum(WEIGHT))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    knows(xlogreg.fit(mapped, Y, l2=0.1, sample_weight=WEIGHT), 0.1, total_weight=np.sum(WEIGHT))
    for l2, model in zip(L2S, xlogreg.fit_many(mapped, [Y], l2s=L2S, sample_weights=[WEIGHT] * 3), strict=True):
        knows(model, l2, total_weight=np.sum(WEIGHT))


def test_fits_by_the_workers_of_a_cluster_know_it(client):
    X = RNG.standard_normal((3, 900))
    Y = (X[0] + RNG.logistic(size=900) > 0).astype(int)
    weights = RNG.uniform(0.5, 2.0, (3, 900))
    for s, total in ((None, 900.0), (cut(weights[0], 400), np.sum(weights[0]))):
        model = xlogreg.fit(cut(X, 400), cut(Y, 400), l2=0.1, standardize=True, sample_weight=s)
        assert model.fit_info.device == "dask, 2 workers"
        knows(model, 0.1, True, 900, total)
    for l2, weight, model in zip(
        L2S, weights, xlogreg.fit_many(cut(X, 400), [Y], l2s=L2S, sample_weights=weights), strict=True
    ):
        knows(model, l2, False, 900, np.sum(weight))
    found = xlogreg.fit_cv(cut(X, 400), cut(Y, 400), L2S, folds=3, sample_weight=cut(weights[0], 400))
    knows(found.model, found.l2[found.chosen], False, 900, np.sum(weights[0]))


def test_a_model_keeps_what_it_knows_wherever_it_goes(problem, where):
    model = xlogreg.fit(where.asarray(problem[0]), problem[1], l2=0.1, standardize=2)
    model = dataclasses.replace(model, penalty_factor=np.arange(4.0))
    for moved in (pickle.loads(pickle.dumps(model)), model.to("numpy")):
        assert (moved.l2, moved.standardize, moved.fit_info) == (model.l2, model.standardize, model.fit_info)
        assert type(moved.penalty_factor) is np.ndarray
        np.testing.assert_array_equal(moved.penalty_factor, model.penalty_factor)


def test_a_pickle_of_an_earlier_version_does_not_know_it(problem):
    model = xlogreg.fit(*problem, l2=0.1)
    info = object.__new__(type(model.fit_info))
    older = object.__new__(Model)
    for new, old, lost in (
        (model.fit_info, info, ("n_samples", "total_weight")),
        (model, older, ("l2", "penalty_factor", "standardize")),
    ):
        old.__dict__.update({name: value for name, value in vars(new).items() if name not in lost})
    older.__dict__["fit_info"] = info
    older = pickle.loads(pickle.dumps(older))
    assert "l2" not in vars(older)
    assert (older.l2, older.penalty_factor, older.standardize) == (None, None, None)
    assert (older.fit_info.n_samples, older.fit_info.total_weight) == (None, None)
    assert repr(older) == repr(model).replace(" l2=0.1,", "")
    assert "total_weight        None" in str(older.fit_info)
    np.testing.assert_array_equal(older.predict_proba(problem[0]), model.predict_proba(problem[0]))
    pytest.importorskip("sklearn")
    assert exported(older) == 1.0  # scikit-learn's default


def test_a_penalty_is_printed(problem):
    assert "classes=[0, 1], numpy," in repr(xlogreg.fit(*problem))
    assert "classes=[0, 1], l2=0.1235, numpy," in repr(xlogreg.fit(*problem, l2=0.12345678))


# scikit-learn -----------------------------------------------------------------------------------------------------


def exported(model):
    """The inverse penalty that scikit-learn's estimator gets."""
    return model.to_sklearn().C


@pytest.mark.parametrize("data", ["problem", "three_classes"])
@pytest.mark.parametrize("l2", [0.0, 0.02])
def test_scikit_learn_finds_the_same_model_with_the_penalty_that_is_exported(data, l2, request):
    pytest.importorskip("sklearn")
    X, Y = request.getfixturevalue(data)
    weight = np.linspace(0.5, 2.0, len(Y))
    model = xlogreg.fit(X, Y, l2=l2, sample_weight=weight)
    assert exported(model) == (pytest.approx(1 / (l2 * np.sum(weight))) if l2 else math.inf)
    theirs = model.to_sklearn().set_params(solver="newton-cg", tol=1e-10, max_iter=1000)
    theirs.fit(X.T, Y, weight)
    np.testing.assert_allclose(theirs.predict_proba(X.T).T, model.predict_proba(X), atol=1e-6)


def test_a_penalty_too_small_for_a_product_is_none(problem):
    pytest.importorskip("sklearn")
    model = xlogreg.fit(*problem)
    assert exported(dataclasses.replace(model, l2=5e-324)) == math.inf
    for unknown in ({"l2": None}, {"fit_info": dataclasses.replace(model.fit_info, total_weight=None)}):
        assert exported(dataclasses.replace(model, **unknown)) == 1.0


@AS_IN_1_9
def test_estimators_export_the_penalty_of_their_fit(two_rows):
    X, y = two_rows
    ours = xlogreg.LogisticRegression(C=0.3).fit(X, y, WEIGHT)
    knows(ours._model(), 1 / (0.3 * np.sum(WEIGHT)), False, 60, np.sum(WEIGHT))
    ours.set_params(C=7.0)  # for the next fit
    for same in (ours, pickle.loads(pickle.dumps(ours)), ours.to("numpy")):
        assert exported(same) == pytest.approx(0.3)
    assert exported(xlogreg.LogisticRegression(C=math.inf).fit(X, y)) == math.inf
    balanced = xlogreg.LogisticRegression(class_weight={0: 1.0, 1: 3.0}).fit(X, y)
    assert balanced.fit_info_.total_weight == np.sum(y == 0) + 3 * np.sum(y == 1)
    assert exported(balanced) == pytest.approx(1.0)

    set_by_hand = xlogreg.LogisticRegression()
    set_by_hand.coef_, set_by_hand.intercept_, set_by_hand.classes_ = np.ones((1, 4)), np.zeros(1), np.asarray([0, 1])
    assert set_by_hand._model().l2 is None
    assert exported(set_by_hand) == 1.0


@AS_IN_1_9
def test_the_estimator_that_chooses_C_exports_its_choice(two_rows):
    X, y = two_rows
    ours = xlogreg.LogisticRegressionCV(Cs=[0.1, 10.0], cv=3).fit(X, y, WEIGHT)
    knows(ours._model(), 1 / (ours.C_ * np.sum(WEIGHT)), False, 60, np.sum(WEIGHT))
    assert exported(ours) == pytest.approx(ours.C_)
    mean = ours.set_params(refit=False).fit(X, y)
    assert mean._model().l2 is None  # a mean of models has none
    assert exported(mean) == 1.0
