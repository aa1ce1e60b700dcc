"""Many models of one dask collection: cross-validation, bootstrap, targets and weights of their own."""

import warnings

import numpy as np
import pytest
from conftest import close, cut, place_or_skip

import xlogreg
from xlogreg.samples.cluster import distributed as cluster
from xlogreg.samples.cluster.from_dask import share_out
from xlogreg.samples.folds import fold_weights

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
da = pytest.importorskip("dask.array", reason="dask.array is not installed")

L2S = [1.0, 1e-2, 1e-4]


@pytest.fixture(scope="module")
def data():
    """X (4, 900) whose means differ, Y of two classes, Y of three, weights."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((4, 900)) * [[1.0], [20.0], [1.0], [0.1]] + [[0.0], [7.0], [1.0], [0.0]]
    Z = X[0] - X[1] / 20 + 2 * X[3]
    two = (Z + rng.logistic(size=900) > 0).astype(int)
    three = np.digitize(Z + rng.logistic(size=900), [-1.0, 1.0])
    return X, two, three, rng.uniform(0.1, 2.0, 900)


def slow(value):
    """As the others, which are enough for every day."""
    return pytest.param(value, marks=pytest.mark.slow)


def blocks(values, axis=-1):
    return cut(values, 220, axis)


def same(there, here, X):
    """The same models, found in the same way."""
    for model, other in zip(there, here, strict=True):
        close(model, other, X)
        assert model.fit_info.solver == other.fit_info.solver
        assert model.fit_info.passes == other.fit_info.passes
        assert model.fit_info.device == "dask, 2 workers"


@pytest.mark.parametrize("three", [False, slow(True)], ids=["two", "three"])
@pytest.mark.parametrize("weighted", [slow(False), True], ids=["even", "weighted"])
def test_a_cross_validation_is_that_of_memory(client, data, three, weighted):
    X, weight = data[0], data[3]
    names = np.asarray(["ant", "bee", "cow"])[data[2 if three else 1]]
    there = xlogreg.fit_cv(blocks(X), blocks(names), L2S, sample_weight=blocks(weight) if weighted else None)
    here = xlogreg.fit_cv(X, names, L2S, sample_weight=weight if weighted else None)
    assert np.array_equal(there.folds, here.folds)
    assert there.chosen == here.chosen
    for name in here.scores:
        np.testing.assert_allclose(there.scores[name], here.scores[name], rtol=1e-10)
    same([there.model], [here.model], X)


@pytest.mark.slow
def test_folds_and_groups_may_be_collections_and_any_score_choose(client, data):
    X, Y = data[:2]
    folds, groups = np.arange(900) // 30 % 3 - 1, np.arange(900) // 9
    asked = (
        {"folds": folds, "scoring": "roc_auc"},
        {"groups": groups, "folds": 3},
        {"folds": folds, "standardize": True},
    )
    for options in asked:
        there = {name: blocks(value) if np.ndim(value) else value for name, value in options.items()}
        found = xlogreg.fit_cv(blocks(X), blocks(Y), L2S, **there)
        here = xlogreg.fit_cv(X, Y, L2S, **options)
        assert np.array_equal(found.folds, here.folds)
        for name in here.scores:
            np.testing.assert_allclose(found.scores[name], here.scores[name], rtol=1e-10)


@pytest.mark.parametrize("three", [False, slow(True)], ids=["two", "three"])
def test_a_bootstrap_is_that_of_memory(client, data, three):
    X, Y, weight = data[0], data[2 if three else 1], data[3]
    there = xlogreg.bootstrap(blocks(X), blocks(Y), 8, sample_weight=blocks(weight))
    here = xlogreg.bootstrap(X, Y, 8, sample_weight=weight)
    np.testing.assert_allclose(there.w, here.w, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(there.b, here.b, rtol=1e-8, atol=1e-10)
    assert there.valid.all()


def test_a_class_that_one_fold_holds_is_absent_there_as_in_memory(client, data):
    X, Y, weight = data[0], data[2], data[3]
    folds = np.where(Y == 2, 1, np.arange(900) % 3)
    with pytest.warns(xlogreg.MissingClassWarning, match="of the classes 2 where fold 1 is left out"):
        there = xlogreg.fit_cv(blocks(X), blocks(Y), L2S, folds=folds, sample_weight=blocks(weight))
    with pytest.warns(xlogreg.MissingClassWarning):
        here = xlogreg.fit_cv(X, Y, L2S, folds=folds, sample_weight=weight)
    for name in here.scores:
        np.testing.assert_allclose(there.scores[name], here.scores[name], rtol=1e-8)


CASES = {
    "targets of two and three classes": lambda two, three, s: ([two, three, 1 - two], {"l2s": 1e-2}),
    "targets": lambda two, three, s: ([two, 1 - two, two[::-1]], {}),
    "one target, weights": lambda two, three, s: ([two], {"sample_weights": [s, s[::-1].copy()], "l2s": 0.1}),
    "targets and weights": lambda two, three, s: ([three, three[::-1]], {"sample_weights": [s, 1 / s], "l2s": 0.1}),
    "penalties": lambda two, three, s: ([two], {"l2s": L2S}),
    "weights and scales": lambda two, three, s: (
        [two],
        {"sample_weights": [s, s[::-1].copy(), (s > 1) * s], "l2s": 0.1, "standardize": True},
    ),
}
EVERY_DAY = ("targets", "penalties", "weights and scales")


@pytest.mark.parametrize("case", [*EVERY_DAY, *(slow(name) for name in CASES if name not in EVERY_DAY)])
def test_models_of_one_collection_are_those_of_memory(client, data, case):
    X, two, three, weight = data
    Ys, options = CASES[case](two, three, weight)
    there = dict(options)
    if "sample_weights" in options:
        there["sample_weights"] = [blocks(values) for values in options["sample_weights"]]
    same(xlogreg.fit_many(blocks(X), [blocks(Y) for Y in Ys], **there), xlogreg.fit_many(X, Ys, **options), X)


@pytest.mark.slow
def test_targets_may_be_one_array_or_lie_with_the_client(client, data):
    X, two, three, weight = data
    Ys = np.stack([two, three == 0], axis=1).astype(int)
    here = xlogreg.fit_many(X.T, Ys, samples="rows", sample_weights=weight, l2s=1e-3)
    for given in (da.from_array(Ys, chunks=(300, 1)), Ys):
        there = xlogreg.fit_many(blocks(X.T, axis=0), given, samples="rows", sample_weights=weight, l2s=1e-3)
        same(there, here, X.T)


def test_models_that_go_on_alone_take_their_own_targets_and_weights_along(client, data):
    """One has separated classes, one lacks a class, one is well posed."""
    X, two, three, weight = data
    Ys = [two, (X[0] > 0).astype(int), (three == 1).astype(int)]
    weights = [weight, weight * (np.abs(X[0]) > 0.1), weight * (three != 1)]
    found = []
    for given in (X, blocks(X)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            models = xlogreg.fit_many(given, Ys, sample_weights=weights)
        found.append(([model.fit_info.reason for model in models], sorted(str(warning.message) for warning in caught)))
        np.testing.assert_allclose(
            models[0].predict_proba(X), xlogreg.fit(X, two, sample_weight=weight).predict_proba(X)
        )
    assert found[0] == found[1]
    assert found[0][0][1:] == ["separated", "one class"]


@pytest.mark.slow
def test_the_cross_validated_estimator_scores_folds_that_lack_a_class(client, data):
    X, Y = data[0], data[1]
    folds = np.where(Y == 1, 0, np.arange(900) % 3)
    cv = [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(3)]
    there, here = (xlogreg.LogisticRegressionCV(Cs=[0.1, 1.0], cv=cv) for _ in range(2))
    with pytest.warns(xlogreg.MissingClassWarning, match="of the classes 1 where fold 0 is left out"):
        there.fit(blocks(X.T, axis=0), blocks(Y))
    with pytest.warns(xlogreg.MissingClassWarning):
        here.fit(X.T, Y)
    np.testing.assert_allclose(there.scores_, here.scores_, rtol=1e-8)


@pytest.mark.parametrize(
    "options", [slow({}), {"class_weight": "balanced"}, slow({"cv": 3, "scoring": "roc_auc", "refit": False})]
)
def test_the_cross_validated_estimator_takes_collections(client, data, options):
    X, Y, _, weight = data
    there, here = (xlogreg.LogisticRegressionCV(Cs=[0.1, 1.0], **options) for _ in range(2))
    there.fit(blocks(X.T, axis=0), blocks(Y), sample_weight=blocks(weight))
    here.fit(X.T, Y, sample_weight=weight)
    for name in ("scores_", "coef_", "intercept_", "coefs_paths_"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), rtol=1e-9, atol=1e-12)
    assert there.C_ == here.C_
    assert there.n_features_in_ == 4


@pytest.mark.parametrize("class_weight", ["balanced", slow({0: 2.0, 1: 1.0, 2: 0.5})], ids=["balanced", "dict"])
def test_classes_are_weighted_as_in_memory(client, data, class_weight):
    X, _, Y, weight = data
    there, here = (xlogreg.LogisticRegression(C=0.1, class_weight=class_weight, tol=1e-8) for _ in range(2))
    there.fit(blocks(X.T, axis=0), blocks(Y), blocks(weight))
    here.fit(X.T, Y, weight)
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-6, atol=1e-9)
    assert there.fit_info_.cost == pytest.approx(here.fit_info_.cost, rel=1e-9)


@pytest.mark.parametrize("factor", [-1.0, np.inf])
def test_classes_of_no_possible_weight_are_refused(client, data, factor):
    X, Y = data[:2]
    estimator = xlogreg.LogisticRegression(class_weight={0: factor})
    for rows, labels in ((X.T, Y), (blocks(X.T, axis=0), blocks(Y))):
        with pytest.raises(ValueError, match="class_weight must be finite and not negative"):
            estimator.fit(rows, labels)


@pytest.mark.parametrize("name", ["array-api-strict", slow("torch"), slow("jax")])
def test_workers_hold_what_models_own_where_they_compute(client, data, name):
    place_or_skip(name)
    X, Y, _, weight = data
    there = xlogreg.fit_cv(blocks(X), Y, L2S, sample_weight=weight, backend=name)
    assert there.model.fit_info.backend == name
    np.testing.assert_allclose(
        there.scores["log_loss"], xlogreg.fit_cv(X, Y, L2S, sample_weight=weight).scores["log_loss"], rtol=1e-9
    )


def test_what_is_wrong_is_refused_in_the_users_words(client, data):
    X, Y = blocks(data[0]), data[1]
    for call, message in (
        (lambda: xlogreg.fit_many(X, [Y, Y[:-1]]), r"Ys\[1\]: Y has the shape \(899,\), but X holds 900 samples"),
        (lambda: xlogreg.fit_many(X, [Y], sample_weights=[-Y]), r"sample_weights\[0\]: sample_weight must not be neg"),
        (lambda: xlogreg.fit_cv(X, blocks(Y), L2S, folds=1), "folds must be from 2 to the number of samples, 900"),
        (lambda: xlogreg.bootstrap(X, blocks(0 * Y)), "Y holds one class only"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("fit", [xlogreg.fit, slow(lambda X, Y: xlogreg.fit_cv(X, Y, L2S)), slow(xlogreg.bootstrap)])
def test_targets_that_are_none_are_refused(client, data, fit):
    with pytest.raises(TypeError, match="Y must hold numbers or strings; got NoneType"):
        fit(blocks(data[0]), None)


def test_nothing_but_labels_and_sums_comes_to_the_client(client, data, monkeypatch):
    """What a task gives is never of the size of X, where the score is one of ours."""
    X, Y = data[:2]
    sizes, collect = [], cluster.Distributed._collect

    def counted(*arguments):
        found = collect(*arguments)
        sizes.extend(part.nbytes for answer in found for part in answer if isinstance(part, np.ndarray))
        return found

    monkeypatch.setattr(cluster.Distributed, "_collect", counted)
    xlogreg.fit_cv(blocks(X), blocks(Y), L2S)
    assert max(sizes) < 220 * 8


@pytest.mark.parametrize("fold", [-1, 1])
def test_a_source_without_a_fold_is_that_of_memory(client, data, fold):
    X, Y, _, weight = data
    numbers = np.arange(900) % 3
    whole = share_out(blocks(X), Y, weight, samples="columns").source()
    kept = whole.without_fold(numbers, fold)
    s = weight * (numbers != fold)
    assert kept.total_weight == pytest.approx(s.sum(), rel=1e-12)
    assert kept.effective_samples == pytest.approx(s.sum() ** 2 / (s @ s), rel=1e-12)
    np.testing.assert_allclose(kept.shares(), [s[Y == 0].sum() / s.sum(), s[Y == 1].sum() / s.sum()], rtol=1e-12)
    index = np.asarray([3, 4, 300, 899])
    taken = kept.centered(np.ones((4, 1))).take(index)
    np.testing.assert_allclose(taken.columns.weight[0], s[index], rtol=1e-12)
    np.testing.assert_allclose(taken.block(0, 4).X, X[:, index] - 1.0)


def test_models_keep_their_numbers(client, data):
    X, Y, _, weight = data
    numbers = np.arange(900) % 4
    source = share_out(blocks(X), Y, weight, samples="columns").source().leaving_out(numbers, np.arange(4))
    three = source.keep(np.asarray([1, 2, 3]))
    for some in (three.keep(np.asarray([0, 2])), three.narrowed().keep(np.asarray([0, 2]))):
        for position, fold in enumerate((1, 3)):
            expected = weight * (numbers != fold)
            assert some.alone(position).mass.total == pytest.approx(expected.sum(), rel=1e-6)
    assert fold_weights.__module__ == "xlogreg.samples.folds"  # by which name workers find it


def test_long_calls_tell_and_stop_as_those_in_memory(client, data):
    X, Y = data[:2]
    there, here = [], []
    xlogreg.fit_cv(blocks(X), blocks(Y), L2S, folds=3, callback=there.append)
    xlogreg.fit_cv(X, Y, L2S, folds=3, callback=here.append)
    assert [repr(state) for state in there] == [repr(state) for state in here]
    assert there[-1].best is not None
    with pytest.warns(xlogreg.ConvergenceWarning, match="fit_many: time_limit=1e-09 seconds ended 3 of 3 models"):
        xlogreg.fit_many(blocks(X), blocks(Y[None, :]), l2s=L2S, time_limit=1e-9)
