"""``standardize=True`` for many models: each in the scale of its own samples, as `fit` would of these alone."""

import numpy as np
import pytest
from conftest import QUICK

import xlogreg
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, to_host
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns
from xlogreg.solvers.coordinates import measure_spread, measure_spreads

TIGHT = {"float64": 1e-14, "float32": 1e-7}
M = 400
RARE, HEAVY = 3, 4  # features


def drawn(K, m=M, n_x=5, seed=3):
    """X (n_x, m) of unequal scales, one feature hardly ever there and one with long tails; Y of K classes."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)) * np.logspace(-1, 1, n_x)[:, None] + np.arange(n_x)[:, None]
    X[RARE] = np.arange(m) % 40 == 0
    X[HEAVY] = np.exp(1.5 * rng.standard_normal(m))
    Z = (rng.standard_normal((n_x, K)) / np.std(X, axis=1)[:, None]).T @ (X - np.mean(X, axis=1, keepdims=True))
    return X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=0)


def weights_of(X):
    """Of six models: resampled, without the samples that have the rare feature, without the longest of the tails."""
    rng = np.random.default_rng(0)
    drawn = [rng.multinomial(X.shape[1], np.full(X.shape[1], 1 / X.shape[1])).astype(float) for _ in range(4)]
    return np.stack([*drawn, 1.0 - X[RARE], 1.0 * (X[HEAVY] < np.quantile(X[HEAVY], 0.9))])


def alone(X, Y, weight, samples=None, **options):
    """The model of the samples that have a weight, as an array of those alone."""
    kept = np.flatnonzero(weight > 0)
    return xlogreg.fit(X[:, kept], Y[kept], sample_weight=weight[kept], standardize=True, **options)


def check(model, single, X, near=1e-6):
    """The same parameters, in units of the features."""
    scale = np.std(X, axis=1)[:, None]
    np.testing.assert_allclose(to_host(model.w) * scale, to_host(single.w) * scale, rtol=near, atol=near)
    np.testing.assert_allclose(to_host(model.predict_proba(X)), to_host(single.predict_proba(X)), atol=near)
    assert model.fit_info.cost == pytest.approx(single.fit_info.cost, rel=1e-3 * near + 1e-10)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_models_of_weights_of_their_own_are_those_of_fit(where, K):
    X, Y = drawn(K)
    X, weights, options = X.astype(where.dtype), weights_of(X), {"l2": 0.1, "tol": TIGHT[where.dtype]}
    models = xlogreg.fit_many(
        where.asarray(X), [Y], sample_weights=weights, l2s=0.1, tol=options["tol"], standardize=True
    )
    for model, weight in zip(models, weights, strict=True):
        check(model, alone(X, Y, weight, **options), X, 1e-6 if where.dtype == "float64" else 1e-3)
    assert models[4].w[RARE, 0] == 0  # constant there: to the bit
    solvers = [model.fit_info.solver for model in models]
    assert K > 2 or solvers[:5] == ["batch"] * 5  # and the last where its scale is not too far from that of all


@pytest.mark.parametrize("K", [2, 3])
def test_models_of_many_samples_and_classes_are_those_of_fit(K):
    X, Y = drawn(K, m=6500, n_x=60)
    weights = weights_of(X)[2:5]
    for model, weight in zip(
        xlogreg.fit_many(X, [Y], sample_weights=weights, l2s=0.1, tol=1e-15, standardize=True), weights, strict=True
    ):
        check(model, alone(X, Y, weight, l2=0.1, tol=1e-15), X)
        assert model.fit_info.solver == "batch"
        assert model.fit_info.gradient_norm < 1e-6


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("kind", ["spread", "given", "groups", "weighted", "rows", "file", "factory"])
def test_no_fold_that_is_held_out_leaks_into_the_scale(K, kind, tmp_path):
    X, Y = drawn(K)
    X, weight = X[:, np.argsort(X[HEAVY])], np.ones(M)
    given, options = X, {"tol": 1e-14, "standardize": True}
    if kind == "given":
        options["folds"] = np.arange(M) * 3 // M  # the tails lie in one of them
    elif kind == "groups":
        options |= {"groups": np.arange(M) // 40, "folds": 3}
    elif kind == "weighted":
        weight = options["sample_weight"] = np.random.default_rng(0).integers(0, 3, M).astype(float)
    elif kind == "rows":
        given, options["samples"] = np.ascontiguousarray(X.T), "rows"
    elif kind == "file":
        np.save(tmp_path / "X.npy", X)
        given = np.load(tmp_path / "X.npy", mmap_mode="r")
    elif kind == "factory":

        def given():
            return ((X[:, i : i + 90], Y[i : i + 90]) for i in range(0, M, 90))

    l2s = [1.0, 0.03]
    found = xlogreg.fit_cv(given, None if kind == "factory" else Y, l2s, **options)
    for fold in range(found.folds.max() + 1):
        for number, l2 in enumerate(l2s):
            single = alone(X, Y, weight * (found.folds != fold), l2=l2, tol=1e-14)
            held = found.folds == fold
            report = single.evaluate(X[:, held], Y[held], sample_weight=weight[held])
            assert found.scores["log_loss"][fold, number] == pytest.approx(report.log_loss, rel=1e-6)


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_replicates_are_those_of_fit(l2, weighted):
    X, Y = drawn(2)
    own = np.random.default_rng(1).uniform(0.5, 2.0, M) if weighted else np.ones(M)
    found = xlogreg.bootstrap(X, Y, 8, l2=l2, sample_weight=own if weighted else None, tol=1e-14, standardize=True)
    rng = np.random.default_rng(0)
    for number in range(8):
        counts = np.bincount(rng.integers(M, size=M), minlength=M)
        single = alone(X, Y, counts * own, l2=l2, tol=1e-14)
        np.testing.assert_allclose(found.w[number], single.w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", ["wide", "no bias", "outlier"])
def test_what_cannot_share_its_coordinates_is_fitted_alone(case):
    X, Y = drawn(2, m=90, n_x=300 if case == "wide" else 5)
    X[0, 7] = 1e5 if case == "outlier" else X[0, 7]
    options, weights = {"tol": 1e-15, "bias": case != "no bias"}, weights_of(X)
    models = xlogreg.fit_many(X, [Y], sample_weights=weights, l2s=0.1, standardize=True, **options)
    for model, weight in zip(models, weights, strict=True):
        check(model, alone(X, Y, weight, l2=0.1, **options), X)
        assert model.fit_info.solver != "batch" or (case == "outlier" and weight[7] > 0)


@pytest.mark.parametrize("settled", [False, True])
def test_spreads_are_those_of_each_models_samples(settled):
    X, Y = drawn(2)
    X = X + 1e6 * np.arange(5)[:, None]
    numbers = np.arange(M) * 3 // M
    X[1] = 1e6 + 1e-3 * X[1] + 100.0 * numbers  # each fold but for its mean a thousandth as wide as all
    X[2] = np.where(numbers == 2, X[2], 7.0)  # constant where the last is left out
    source = InMemory(Dense(X), Columns(Y[None, :] * 1.0), HOST, "float64", float(M))
    centered = source.centered(measure_spread(source, exact=True).mean)
    centered = centered.settled() if settled else centered
    masks = np.stack([numbers != fold for fold in range(3)] + [numbers == 0]).astype(float)
    shared = centered.sharing(Columns(weight=masks[:, None, :]), None, np.arange(4)).weighing(masks.sum(axis=1))
    folds = centered.leaving_out(numbers, np.arange(3)).weighing(masks[:3].sum(axis=1))
    for many, g in ((shared, 4), (folds, 3)):
        found = measure_spreads(many, np.zeros((1, g)))
        for model in range(g):
            part = X[:, masks[model] > 0]
            np.testing.assert_allclose(found.variance[:, model], np.var(part, axis=1), rtol=1e-8, atol=1e-20)
            np.testing.assert_allclose(
                found.mean[:, model], np.mean(part, axis=1) - np.mean(X, axis=1), rtol=1e-6, atol=1e-6
            )
            assert (found.variance[2, model] == 0) == (model >= 2)


def test_without_a_bias_the_centre_is_the_mean_as_float64_has_it(where):
    rng = np.random.default_rng(0)
    X = (1e6 + rng.standard_normal((3, 200))).astype(np.float32)
    Y = np.asarray(rng.random(200) < 1 / (1 + np.exp(-2 * (X[0] - 1e6))), dtype=np.int64)
    options = {"l2": 1e-3, "bias": False, "standardize": True}
    right = xlogreg.fit(X.astype(np.float64), Y, **options).fit_info.cost
    found = xlogreg.fit(where.asarray(X), where.place.put(Y), **options).fit_info.cost
    assert found == pytest.approx(right, rel=1e-6 if where.place.widest == "float64" else 1e-2)
