"""One model at many penalties: each is the model that `fit` alone would give, for fewer passes."""

import numpy as np
import pytest
from conftest import QUICK

import xlogreg
from xlogreg.arrays.place import to_host

L2S = [1e-1, 1e-5, 1e-3, 10.0, 1e-2, 1e-4, 1.0]


@pytest.fixture
def gradients_only(monkeypatch):
    """Small softmax models are fitted as large ones are."""
    monkeypatch.setattr("xlogreg.fitting.problem.NEWTON_WORK", 0.0)
    monkeypatch.setattr("xlogreg.solvers.rent_or_buy.FEATURES", 0)


def drawn(K, n_x=6, m=500, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)) * np.logspace(-1, 1, n_x)[:, None] + np.arange(n_x)[:, None]
    Z = (rng.standard_normal((n_x, K)) / np.logspace(-1, 1, n_x)[:, None]).T @ (X - np.arange(n_x)[:, None])
    return X, np.argmax(Z / np.std(Z) + rng.gumbel(size=Z.shape), axis=0)


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_each_model_is_the_one_that_fit_gives(where, K, gradients_only):
    X, Y = drawn(K)
    X, tol = where.asarray(X), 1e-14 if where.dtype == "float64" else 1e-9
    path = xlogreg.fit_path(X, Y, L2S, tol=tol)
    assert [model.fit_info.solver for model in path] == ["batch"] * len(L2S)
    for model, l2 in zip(path, L2S, strict=True):
        alone = xlogreg.fit(X, Y, l2=l2, tol=tol)
        near = 1e-7 if where.dtype == "float64" else 1e-3
        np.testing.assert_allclose(to_host(model.predict_proba(X)), to_host(alone.predict_proba(X)), atol=near)
    where.check(path.w, np.stack([to_host(model.w) for model in path]))


def test_folds_weights_and_targets_of_many_classes_go_together(gradients_only):
    X, Y = drawn(3)
    other = drawn(3, seed=1)[1]
    weights = np.random.default_rng(1).integers(0, 3, (4, 500))
    models = xlogreg.fit_many(X, [Y, other, Y, other], l2s=[1e-3, 1e-3, 1e-5, 1e-1], sample_weights=weights, tol=1e-14)
    assert [model.fit_info.solver for model in models] == ["batch"] * 4
    for number, model in enumerate(models):
        alone = xlogreg.fit(
            X, other if number % 2 else Y, l2=[1e-3, 1e-3, 1e-5, 1e-1][number], sample_weight=weights[number], tol=1e-14
        )
        np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), atol=1e-7)
        np.testing.assert_allclose(np.sum(model.w, axis=1), 0.0, atol=1e-12)
        assert model.fit_info.null_log_likelihood == pytest.approx(alone.fit_info.null_log_likelihood)


def test_those_before_point_to_the_next(gradients_only):
    X, Y = drawn(5, n_x=20, m=2000)
    l2s = np.logspace(0, -5, 30)
    path = xlogreg.fit_path(X, Y, l2s, tol=1e-6)
    cold = [xlogreg.fit(X, Y, l2=l2, tol=1e-6).fit_info.passes for l2 in l2s[10:].tolist()]
    assert np.mean([model.fit_info.passes for model in path[10:]]) < 0.6 * np.mean(cold)
    assert all(model.fit_info.gap <= 1e-6 * model.fit_info.cost for model in path)


def test_no_penalty_twins_and_features_of_one_value_are_part_of_a_path(gradients_only):
    X, Y = drawn(3)
    X = np.concatenate([X, np.full((1, 500), 7.0)])
    path = xlogreg.fit_path(X, Y, [0.0, 1e-3, 1e-3, 0.0], tol=1e-14)
    alone = xlogreg.fit(X, Y, tol=1e-14)
    for model in (path[0], path[3]):
        np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), atol=1e-7)
        np.testing.assert_array_equal(model.w[-1], 0.0)
    np.testing.assert_allclose(path[1].w, path[2].w, atol=1e-6)


def test_separated_classes_without_a_penalty_are_fitted_alone(gradients_only):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((3, 200)), np.arange(200) % 3
    X += 8.0 * np.eye(3)[:, Y]
    with pytest.warns(xlogreg.SeparationWarning):
        path = xlogreg.fit_path(X, Y, [0.1, 0.0])
    assert [model.fit_info.reason for model in path] == ["converged", "separated"]


def test_many_features_of_two_classes_are_fitted_along_the_penalties(monkeypatch):
    monkeypatch.setattr("xlogreg.fitting.batch.EXPANSION_LIMIT", 10)
    monkeypatch.setattr("xlogreg.fitting.problem.EXPANSION_LIMIT", 10)
    monkeypatch.setattr("xlogreg.solvers.rent_or_buy.FEATURES", 0)
    X, Y = drawn(2, n_x=40, m=1500)
    path = xlogreg.fit_path(X, Y, [1e-1, 1e-2, 1e-3], tol=1e-14)
    assert [model.fit_info.solver for model in path] == ["batch"] * 3
    for model, l2 in zip(path, [1e-1, 1e-2, 1e-3], strict=True):
        np.testing.assert_allclose(
            model.predict_proba(X), xlogreg.fit(X, Y, l2=l2, tol=1e-14).predict_proba(X), atol=1e-7
        )


@pytest.mark.parametrize("K", [2, 3])
def test_models_may_have_a_start_of_their_own(K, gradients_only):
    X, Y = drawn(K)
    cold = xlogreg.fit_many(X, [Y], l2s=[1e-2, 1e-3])
    warm = xlogreg.fit_many(X, [Y], l2s=[1e-2, 1e-3], initials=cold)
    for one, other in zip(cold, warm, strict=True):
        np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-7)
        assert other.fit_info.iterations < one.fit_info.iterations
    mixed = xlogreg.fit_many(X, [Y], l2s=[1e-2, 1e-3], initials=[None, (cold[1].w, cold[1].b)])
    np.testing.assert_allclose(mixed[1].w, cold[1].w, rtol=1e-4)
    with pytest.raises(ValueError, match="l2s holds 2 entries; Ys, l2s, sample_weights, initials must hold 1 or g=3"):
        xlogreg.fit_many(X, [Y], l2s=[1e-2, 1e-3], initials=[None] * 3)


def test_a_path_is_a_sequence_in_the_order_of_its_penalties():
    X, Y = drawn(2)
    path = xlogreg.fit_path(X, Y, [1.0, 1e-3, 1e-1], sample_weight=np.ones(500))
    assert len(path) == 3
    assert list(path)[1] is path[1]
    np.testing.assert_array_equal(path.l2, [1.0, 1e-3, 1e-1])
    np.testing.assert_array_equal(path[::2].l2, [1.0, 1e-1])
    assert path.w.shape == (3, 6, 1)
    assert path.b.shape == (3, 1, 1)
    assert path.costs[0] > path.costs[2] > path.costs[1]
    assert np.linalg.norm(path.w[0]) < np.linalg.norm(path.w[2]) < np.linalg.norm(path.w[1])


def test_a_path_is_drawn_over_its_penalties():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed").use("agg")
    X, Y = drawn(2)
    for l2s, scale in (([1.0, 1e-2], "log"), ([1.0, 0.0], "symlog")):
        axes = xlogreg.fit_path(X, Y, l2s).plot().ax_
        assert axes.get_xscale() == scale
        assert len(axes.lines) == 7
        assert axes.lines[0].get_xdata().tolist() == sorted(l2s)
    assert xlogreg.fit_path(X, Y, [1.0]).plot(axes).ax_ is axes


@pytest.mark.parametrize(
    ("l2s", "error", "message"),
    [
        ([], ValueError, "l2s is empty"),
        (["strong"], TypeError, "l2s must hold numbers"),
        ([1.0, -1.0], ValueError, r"l2s\[1\] must be a finite number >= 0, not -1.0"),
    ],
)
def test_penalties_that_are_none_are_refused(l2s, error, message):
    X, Y = drawn(2)
    with pytest.raises(error, match=message):
        xlogreg.fit_path(X, Y, l2s)
