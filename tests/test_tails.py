"""Classes of next to no weight: the minimum is where their few residuals are as large as the many of the others.

As the share of a class vanishes, its mean comes to be that of the other samples, each counted exp(w'x) times (Owen,
Infinitely imbalanced logistic regression, JMLR 2007): so a class of one sample there has its optimum at w.
"""

import warnings

import numpy as np
import pytest

import xlogreg
from tests.conftest import cut
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, to_host
from xlogreg.math.losses import LOSSES, PRECISE
from xlogreg.math.one_hot import ONE_HOT
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns

SHARE = 1e-18
W = np.asarray([[1.0, -0.5], [0.3, 0.8]])  # of the rare classes against the others (classes, n_x)


def imbalanced(rare, first=True, m=40):
    """X, Y and weights, and w (rare, n_x): the rare classes are the first ones, or the last."""
    X = np.random.default_rng(0).standard_normal((2, m))
    tilts = np.exp(W[:rare] @ X)
    centers = (tilts @ X.T / tilts.sum(axis=1, keepdims=True)).T
    numbers = np.arange(rare) if first else np.arange(1, rare + 1)
    Y = np.append(np.full(m, rare if first else 0), numbers)
    weight = np.append(np.ones(m), np.full(rare, SHARE * m))
    bias = np.log(SHARE * m / tilts.sum(axis=1))
    return np.concatenate([X, centers], axis=1), Y, weight, (W[:rare], bias)


def against(model, rare, first):
    """The parameters of the rare classes less those of the common one."""
    w, b = to_host(model.w).T, to_host(model.b)[:, 0]
    if rare == 1:
        return (-w, -b) if first else (w, b)
    common, others = (rare, slice(0, rare)) if first else (0, slice(1, None))
    return w[others] - w[common], b[others] - b[common]


def expected_cost(X, Y, weight, model):
    Z = (to_host(model.w).T @ X + to_host(model.b)).astype(np.longdouble)
    Z = np.concatenate([np.zeros_like(Z), Z]) if len(Z) == 1 else Z
    apart = Z - Z[Y, np.arange(len(Y))]
    apart[Y, np.arange(len(Y))] = -np.inf
    reach = np.maximum(np.max(apart, axis=0), 0)
    losses = reach + np.log1p(np.sum(np.exp(apart - reach), axis=0) + np.expm1(-reach))
    return float(np.sum(weight * losses) / np.sum(weight))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["auto", "newton"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("rare", [1, 2])
def test_classes_of_no_weight_have_their_minimum(rare, first, solver):
    X, Y, weight, (w, b) = imbalanced(rare, first)
    model = xlogreg.fit(X, Y, sample_weight=weight, solver=solver)
    found = against(model, rare, first)
    np.testing.assert_allclose(found[0], w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1], b, rtol=1e-7)
    np.testing.assert_allclose(model.fit_info.cost, expected_cost(X, Y, weight, model), rtol=1e-10)
    assert model.fit_info.converged
    others = np.append(np.ones(40), np.zeros(rare))
    shares = np.asarray([np.sum(weight[k == Y]) for k in range(rare + 1)]) / np.sum(weight)
    null = np.sum(weight) * np.sum(shares * np.log(np.where(shares > 0.5, 1.0, shares))) - np.sum(weight * (1 - others))
    np.testing.assert_allclose(model.fit_info.null_log_likelihood, null, rtol=1e-6)


@pytest.mark.filterwarnings("error")
def test_classes_of_no_weight_have_their_minimum_on_every_library(where64):
    for rare in (1, 2):
        X, Y, weight, (w, _) = imbalanced(rare)
        model = xlogreg.fit(where64.asarray(X), Y, sample_weight=weight)
        np.testing.assert_allclose(against(model, rare, True)[0], w, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_classes_of_no_weight_have_their_minimum_beside_other_models():
    X, Y, weight, (w, _) = imbalanced(1)
    plain = np.where(Y == 1, 1.0, 20.0)
    plain[:20] = 0.5
    Ys = [Y, np.append(np.arange(40) % 2, 0)]
    alone = xlogreg.fit(X, Ys[1], l2=1e-9, sample_weight=plain)
    models = xlogreg.fit_many(X, Ys, l2s=[0.0, 1e-9], sample_weights=[weight, plain])
    np.testing.assert_allclose(against(models[0], 1, True)[0], w, rtol=1e-5)
    np.testing.assert_allclose(models[1].w, alone.w, rtol=1e-5)
    both = xlogreg.fit_many(X, [Y, Y], l2s=[0.0, 1e-25], sample_weights=weight)
    for model in both:
        np.testing.assert_allclose(against(model, 1, True)[0], w, rtol=1e-4)


@pytest.mark.filterwarnings("error")
def test_workers_find_the_minimum_of_classes_of_no_weight(client):
    X, Y, weight, (w, _) = imbalanced(1)
    model = xlogreg.fit(cut(X, 20), cut(Y, 20), sample_weight=cut(weight, 20))
    np.testing.assert_allclose(against(model, 1, True)[0], w, rtol=1e-5)


# weights of the samples -> the minimum of J with l2 = 0.34, by Newton's method in 60 digits
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
@pytest.mark.parametrize("side", [1, -1])
def test_weights_over_nineteen_orders_of_magnitude_have_their_minimum(solver, side):
    X, Y, weight = np.asarray([[0, 1, 0, 0, 1]]), np.asarray([1, 1, 0, 1, 1]), [119.4, 5e-17, 3.4e-17, 1.6e-16, 2.2e-14]
    model = xlogreg.fit(X, Y if side > 0 else 1 - Y, sample_weight=weight, l2=0.34, solver=solver)
    np.testing.assert_allclose(model.w * side, [[1.5466781e-34]], rtol=1e-6)
    np.testing.assert_allclose(model.b * side, [[42.70265035]], rtol=1e-9)
    np.testing.assert_allclose(model.fit_info.cost, 1.24446408e-17, rtol=1e-8)
    assert model.fit_info.converged


@pytest.mark.slow
@pytest.mark.parametrize("K", [2, 3])
def test_nothing_is_nan_whatever_the_weights(K):
    """Not alone, not in batches, not in folds and replicates; and with no warning but ours."""
    rng = np.random.default_rng(K)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", xlogreg.XlogregWarning)
        for l2 in (0.34, 0.0):
            X, Y = rng.standard_normal((2, 30)), np.arange(30) % K
            weights = [10.0 ** rng.uniform(-19, 2, 30), np.where(Y == 0, 1e-17, 1.0), np.where(Y == 1, 1.0, 1e-300)]
            models = xlogreg.fit_many(X, [Y], l2s=l2, sample_weights=[*weights, np.ones(30)])
            for weight in weights:
                models.append(xlogreg.fit(X, Y, l2=l2, sample_weight=weight))
                models.append(xlogreg.fit_cv(X, Y, l2s=[0.1, 1.0], sample_weight=weight, folds=3).model)
                xlogreg.bootstrap(X, Y, l2=l2, sample_weight=weight, replicates=5)
            for model in models:
                info = model.fit_info
                found = (*model.w.ravel(), *model.b.ravel(), info.cost, info.null_log_likelihood)
                assert np.all(np.isfinite(found)), model


def test_shares_of_both_classes_keep_their_digits():
    Y, weight = np.asarray([[1.0, 0.0, 1.0, 0.25]]), np.asarray([[100.0, 1e-30, 2.0, 1e-30]])
    shares = InMemory(Dense(np.ones((1, 4))), Columns(Y, weight), HOST, "float64", 102.0).shares()
    np.testing.assert_allclose(shares, [1.75e-30 / 102.0, 1.0], rtol=1e-14)


@pytest.mark.parametrize("name", PRECISE)
def test_precise_residuals_are_the_others_to_rounding(where, name):
    k = 1 if name == "log_loss" else 3
    rng = np.random.default_rng(4)
    Z = 3.0 * rng.standard_normal((2, k, 50))
    Z[..., :10] = np.round(Z[..., :10])
    Z[..., 0] = 0.0
    Y = rng.random((2, 1, 50)) if k == 1 else np.moveaxis(rng.dirichlet(np.ones(k), (2, 50)), 2, 1)
    Z, Y = where.asarray(Z), where.asarray(Y)
    for kind in ("first", "second"):
        pairs = zip(getattr(PRECISE[name], kind)(Z, Y), getattr(LOSSES[name], kind)(Z, Y), strict=True)
        for precise, plain in pairs:
            where.check(precise, to_host(plain))


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0, 8.0])
def test_losses_and_residuals_of_labels_are_exact_in_both_tails(where, spread):
    K, m = 4, 40
    rng = np.random.default_rng(5)
    Z, labels = np.round(spread * rng.standard_normal((2, K, m)), 1), rng.integers(0, K, m)
    Z[:, :, :5] = np.round(Z[:, :, :5])  # some scores are equal
    Y = (np.arange(K)[:, None] == labels).astype(float)
    Z = Z.astype(where.dtype).astype(float)
    margins = Z - Z[:, labels, np.arange(m)][:, None, :]
    top = margins.max(axis=1, keepdims=True)
    others = np.sum((1.0 - Y) * np.exp(margins - top), axis=1, keepdims=True)
    total = others + np.exp(-top)
    residuals = np.where(Y > 0, -others, np.exp(margins - top)) / total
    losses = np.where(top > 0, top + np.log(total), np.log1p(others))
    excess, tail, dZ, C = (to_host(part) for part in ONE_HOT.second(where.asarray(Z), where.asarray(Y)))
    where.check(where.asarray(excess + np.log1p(tail)), losses, atol=0)
    where.check(where.asarray(dZ), residuals, atol=0)
    A = np.exp(margins - top) / total
    where.check(where.asarray(C), A[:, :, None] * (np.eye(K)[:, :, None] - A[:, None]))
    for found, first in zip(ONE_HOT.first(where.asarray(Z), where.asarray(Y)), (excess, tail, dZ), strict=True):
        where.check(found, first, atol=0)
