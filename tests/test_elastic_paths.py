"""Paths, many models and cross-validation with L1: as if each model had been fitted alone."""

import numpy as np
import pytest
from kinks import beyond, largest
from test_elastic_net import ROWS, drawn

import xlogreg


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ratio", [1.0, 0.4])
def test_the_models_of_a_path_are_those_of_single_fits(classes, ratio):
    X, Y = drawn(classes=classes)
    penalties = np.asarray([0.01, 0.3, 0.1]) * largest(X, Y) / ratio
    path = xlogreg.fit_path(X, Y, penalties=penalties, l1_ratio=ratio, **ROWS)
    np.testing.assert_allclose(path.penalties, penalties)
    np.testing.assert_allclose(path.l1, ratio * penalties)
    np.testing.assert_allclose(path.l2, (1 - ratio) * penalties, atol=1e-15)
    for model, l1, l2 in zip(path, path.l1, path.l2, strict=True):
        alone = xlogreg.fit(X, Y, l1=l1, l2=l2, **ROWS)
        np.testing.assert_allclose(model.w, alone.w, atol=1e-6)
        np.testing.assert_array_equal(model.w == 0, alone.w == 0)
        assert model.fit_info.converged
    assert path.selected.tolist() == [np.any(model.w != 0, axis=1).sum() for model in path]
    assert np.all(np.diff(path.deviance_explained[[1, 2, 0]]) > 0)
    assert f"l1 from {path.l1.max():.3g}" in repr(path)
    assert (" l2 from" in repr(path)) == (ratio < 1)


FACTORS = [{"penalty_factor": np.arange(12) % 3}, {"penalty_factor": np.full(12, 3.0)}]


@pytest.mark.parametrize("options", [{}, {"standardize": True}, {"bias": False}, *FACTORS])
@pytest.mark.slow
def test_auto_begins_where_the_first_weight_appears(options):
    X, Y = drawn()
    path = xlogreg.fit_path(X, Y, penalties="auto", l1_ratio=0.5, **options, **ROWS)
    assert 20 < len(path) <= 100
    loose = np.asarray(options.get("penalty_factor", np.ones(12))) == 0
    assert not path[0].w[~loose].any()
    assert path[1].w[~loose].any()
    if not loose.any():
        np.testing.assert_allclose(path.l1[0], largest(X, Y, **options), rtol=1e-5)
    np.testing.assert_allclose(np.diff(np.log(path.penalties)), np.log(1e-4) / 99, rtol=1e-6)
    last = path[-1]
    assert beyond(last, X, Y, last.l1, l2=last.l2, **options)[1] < 1e-3
    gained = np.diff(path.deviance_explained)[:-1]
    assert np.all((gained > 1e-5 * path.deviance_explained[1:-1]) | (path.deviance_explained[1:-1] < 1e-9))


def test_auto_ends_sooner_for_more_features_than_samples():
    X, Y = drawn(60, 200)
    path = xlogreg.fit_path(X, Y, penalties="auto", tol=1e-6, **ROWS)
    assert path.penalties[-1] >= 0.0099 * path.penalties[0]


@pytest.mark.slow
def test_what_a_path_carries_along_saves_passes():
    X, Y = drawn(20_000, 40)
    penalties = np.geomspace(0.3, 0.01, 20) * largest(X, Y)
    path = xlogreg.fit_path(X, Y, penalties=penalties, tol=1e-6, **ROWS)
    cold = [xlogreg.fit(X, Y, l1=l1, tol=1e-6, **ROWS).fit_info.passes for l1 in penalties]
    assert sum(model.fit_info.passes for model in path) < 0.8 * sum(cold)


def test_many_models_have_penalties_of_their_own():
    X, Y = drawn()
    other = 1 - Y
    l1 = 0.1 * largest(X, Y)
    models = xlogreg.fit_many(X, [Y, Y, other, Y], l1s=[l1, 0.0, l1, 0.5 * l1], l2s=[0.0, 0.01, 0.0, 0.01], **ROWS)
    for model, (target, l1s, l2s) in zip(
        models, [(Y, l1, 0.0), (Y, 0.0, 0.01), (other, l1, 0.0), (Y, 0.5 * l1, 0.01)], strict=True
    ):
        np.testing.assert_allclose(model.w, xlogreg.fit(X, target, l1=l1s, l2=l2s, **ROWS).w, atol=1e-6)
    with pytest.raises(ValueError, match="l1s holds 2 penalties, but there are 3 models"):
        xlogreg.fit_many(X, Y[None, :], l1s=[0.1, 0.2], l2s=[0.0, 0.1, 0.2], **ROWS)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.slow
def test_cross_validation_is_that_of_a_loop(classes):
    X, Y = drawn(240, 6, classes=classes)
    folds = np.arange(240) % 3
    penalties = np.asarray([0.2, 0.05, 0.01])
    found = xlogreg.fit_cv(X, Y, penalties=penalties, l1_ratio=[1.0, 0.3], folds=folds, **ROWS)
    np.testing.assert_allclose(found.l1, np.concatenate([penalties, 0.3 * penalties]))
    np.testing.assert_allclose(found.l2, np.concatenate([0 * penalties, 0.7 * penalties]))
    for fold in range(3):
        train = folds != fold
        for number, (l1, l2) in enumerate(zip(found.l1, found.l2, strict=True)):
            model = xlogreg.fit(X[train], Y[train], l1=l1, l2=l2, **ROWS)
            report = model.evaluate(X[~train], Y[~train])
            assert found.scores["log_loss"][fold, number] == pytest.approx(report.log_loss, rel=1e-6)
    assert found.chosen == np.argmin(found.scores["log_loss"].mean(axis=0))
    assert (found.model.l1, found.model.l2) == (found.l1[found.chosen], found.l2[found.chosen])
    careful = xlogreg.fit_cv(
        X, Y, penalties=penalties, l1_ratio=[1.0, 0.3], folds=folds, rule="one standard error", **ROWS
    )
    assert careful.penalties[careful.chosen] >= found.penalties[found.chosen]
    assert careful.chosen // 3 == found.chosen // 3
    assert "l1" in str(found)
    assert "l2" in str(found)


@pytest.mark.slow
def test_cross_validation_over_an_automatic_path():
    X, Y = drawn()
    found = xlogreg.fit_cv(X, Y, penalties="auto", folds=3, tol=1e-6, **ROWS)
    path = xlogreg.fit_path(X, Y, penalties="auto", tol=1e-6, **ROWS)
    np.testing.assert_allclose(found.penalties, path.penalties)
    np.testing.assert_array_equal(found.model.w, path[found.chosen].w)
    assert found.scores["log_loss"].shape == (3, len(path))


def test_what_is_no_grid_is_refused():
    X, Y = drawn(40, 2)
    for options, message in (
        ({}, r"give the penalties to fit with: l2s=\[1.0"),
        ({"l2s": [0.1], "l1_ratio": 0.5}, "l1_ratio is a share of penalties, and l2s have no L1"),
        ({"l2s": [1.0], "penalties": [1.0]}, "not both"),
        ({"penalties": "many"}, "penalties must be 'auto' or numbers"),
        ({"penalties": []}, "penalties is empty"),
        ({"penalties": [-1.0]}, r"penalties\[0\] must be a finite number >= 0"),
        ({"penalties": [1.0], "l1_ratio": 1.5}, "l1_ratio must be from 0 to 1"),
        ({"penalties": [1.0], "l1_ratio": -0.5}, r"l1_ratio.* must be a finite number >= 0"),
        ({"penalties": "auto", "l1_ratio": 0.0}, "penalties='auto' needs l1_ratio > 0"),
    ):
        for function in (xlogreg.fit_path, xlogreg.fit_cv):
            with pytest.raises(ValueError, match=message):
                function(X, Y, **options, **ROWS)
    with pytest.raises(TypeError, match="l1_ratio must be a number from 0 to 1"):
        xlogreg.fit_path(X, Y, penalties=[1.0], l1_ratio=[0.5, 1.0], **ROWS)
    with pytest.raises(ValueError, match="l1_ratio holds a number twice"):
        xlogreg.fit_cv(X, Y, penalties=[1.0], l1_ratio=[0.5, 0.5], **ROWS)


@pytest.mark.slow
def test_scales_and_near_ratios_do_not_mix_paths():
    X, Y = drawn(120, 4)
    for scale in (1.0, 1e-6):
        found = xlogreg.fit_cv(scale * X, Y, penalties="auto", l1_ratio=[0.5, 0.500001], folds=2, tol=1e-4, **ROWS)
        assert len({*zip(found.l1, found.l2, strict=True)}) == len(found.l1)
        assert len(found.l1) == sum(
            len(xlogreg.fit_path(scale * X, Y, penalties="auto", l1_ratio=ratio, tol=1e-4, **ROWS))
            for ratio in (0.5, 0.500001)
        )


def test_auto_without_a_penalised_feature_is_refused():
    X, Y = drawn(60, 3)
    for factor, message in ((np.zeros(3), "needs a feature with a penalty_factor above zero"), (None, "no feature")):
        with pytest.raises(ValueError, match=message):
            xlogreg.fit_path(X * (factor is not None), Y, penalties="auto", penalty_factor=factor, **ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_models_of_few_features_share_passes(classes):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((30_000, 400))
    Z = X @ (rng.standard_normal((400, classes)) * (np.arange(400) < 12)[:, None])
    Y = np.argmax(3 * Z / Z.std() + rng.gumbel(size=Z.shape), axis=1)
    penalties = largest(X, Y) * np.geomspace(0.9, 0.3, 16)
    path = xlogreg.fit_path(X, Y, penalties=penalties, l1_ratio=0.9, tol=1e-9, samples="rows")
    assert sum(model.fit_info.passes for model in path) < len(path)
    for number in (0, 7, 15):
        alone = xlogreg.fit(X, Y, l1=path[number].l1, l2=path[number].l2, samples="rows")
        assert path[number].fit_info.converged
        assert 0 <= path[number].fit_info.cost - alone.fit_info.cost <= 2e-9 * alone.fit_info.cost
        np.testing.assert_array_equal(path[number].w != 0, alone.w != 0)
