"""Transfers between the host and a device: one for many models, and one for all folds."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from conftest import place_or_skip

import xlogreg
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, Place, place_of
from xlogreg.fitting import batch
from xlogreg.fitting.moving import move_models
from xlogreg.math.losses import LOSSES
from xlogreg.math.scores import score_terms
from xlogreg.math.sums import gradient_terms
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns

STRICT = "array-api-strict"
N_X, M, G = 3, 90, 6
rng = np.random.default_rng(7)
X = rng.standard_normal((N_X, M))
Y = (X[:1] + rng.logistic(size=(1, M)) > 0).astype(float)
THETA = rng.standard_normal((N_X + 1, G, 1))


@pytest.fixture
def device(monkeypatch):
    """Return a place with a memory of its own, and counts of the arrays that go there and that come back."""
    counts, row, copied = Counter(), LIBRARIES[STRICT], Place._copied

    def fetch(array):
        counts["back"] += 1
        return row.fetch(array)

    def copy(self, host):
        counts["there"] += 1
        return copied(self, host)

    monkeypatch.setitem(LIBRARIES, STRICT, dataclasses.replace(row, fetch=fetch, small_blocks=lambda device: False))
    monkeypatch.setattr(Place, "_copied", copy)
    place = place_or_skip(STRICT, "device1")
    counts.clear()
    return place, counts


def on(place, **more):
    with place.computing():
        return InMemory(Dense(place.put(X)), Columns(place.put(Y), **more), place, "float64", float(M))


@pytest.mark.parametrize("theta", [THETA, THETA[:, :1]], ids=["each", "all"])
@pytest.mark.parametrize("held_out", [False, True])
def test_sums_of_all_folds_take_one_transfer_there_and_one_back(device, theta, held_out):
    place, counts = device
    folds = on(place).leaving_out(np.arange(M) * 5 // M, np.arange(G) % 5, held_out)
    counts.clear()
    losses, gradients = folds.sum(gradient_terms, theta, LOSSES["log_loss"])
    assert counts == {"there": 1, "back": 1}
    for model in range(G):
        kept = (np.arange(M) * 5 // M == model % 5) == held_out
        at = X[:, kept], Y[:, kept]
        Z = theta[:-1, min(model, theta.shape[1] - 1), 0] @ at[0] + theta[-1, min(model, theta.shape[1] - 1), 0]
        assert losses[model] == pytest.approx(np.sum(np.logaddexp(0, Z) - at[1] * Z))
        slope = 1 / (1 + np.exp(-Z)) - at[1][0]
        np.testing.assert_allclose(gradients[:, model, 0], [*(at[0] @ slope), slope.sum()], atol=1e-12)


def test_numbers_of_the_targets_go_there_once_for_all_passes(device):
    place, counts = device
    several = on(place).sharing(Columns(Y=place.put(np.stack([Y, 1.0 - Y]))), np.asarray([1, 0, 1]), None)
    counts.clear()
    for _ in range(3):
        several.sum(gradient_terms, THETA[:, :3], LOSSES["log_loss"])
    assert counts == {"there": 4, "back": 3}
    both = several.keep(np.asarray([1, 0]))  # each has the row of its own number
    counts.clear()
    losses, _ = both.sum(gradient_terms, THETA[:, :2], LOSSES["log_loss"])
    assert counts == {"there": 1, "back": 1}
    Z = THETA[:-1, :2, 0].T @ X + THETA[-1, :2]
    np.testing.assert_allclose(losses, np.sum(np.logaddexp(0, Z) - np.stack([Y[0], 1.0 - Y[0]]) * Z, axis=1))


def test_parameters_of_many_models_take_one_transfer(device):
    place, counts = device
    shifted = X + 1e6 * np.ones((1, M))  # so that the models keep their centre
    models = xlogreg.fit_path(shifted.astype(np.float32), Y, l2s=[1.0, 0.1, 0.01])
    assert all(model.center is not None for model in models)
    there = move_models(list(models), place, "float32")
    assert counts == {"there": 1}
    back = move_models(there, HOST, "float32")
    assert counts == {"there": 1, "back": 1}
    for model, moved, other in zip(models, there, back, strict=True):
        for name in ("w", "b", "center", "centered_b"):
            assert place_of(getattr(moved, name)) == place
            np.testing.assert_array_equal(getattr(other, name), getattr(model, name), strict=True)
        assert moved.fit_info is model.fit_info


def test_scores_of_left_out_folds_need_no_parameters_from_the_device(device):
    place, counts = device
    back = []
    for l2s in ([0.1, 0.01], [0.1, 0.05, 0.02, 0.01]):
        counts.clear()
        xlogreg.fit_cv(place.put(X), Y, l2s=l2s, folds=3)
        back.append(counts["back"])
    assert back[1] - back[0] < 6  # as many models more


def test_weights_of_one_change_no_score():
    source = InMemory(Dense(X), Columns(Y), HOST, "float64", float(M))
    weighted = dataclasses.replace(source, columns=Columns(Y, np.ones((1, M))))
    own = dataclasses.replace(source, columns=Columns(Y, np.ones((1, 1, M))), weight_of=np.zeros(G, int))
    found, *others = (part.sum(score_terms, THETA, LOSSES["log_loss"]) for part in (source, weighted, own))
    right = (THETA[:-1, :, 0].T @ X + THETA[-1] > 0) == (Y > 0.5)
    np.testing.assert_array_equal(found[1], np.sum(right, axis=1))
    np.testing.assert_array_equal(found[2], np.full(G, M))
    for other in others:
        for one, same in zip(found, other, strict=True):
            np.testing.assert_allclose(one, same, rtol=1e-12)


def test_replicates_start_at_the_model_of_the_samples(monkeypatch):
    found = []
    monkeypatch.setattr(batch, "solve", lambda *arguments: found.append(arguments))
    many = rng.standard_normal((N_X, 2000))
    labels = many[0] + rng.logistic(size=2000) > 0
    replicates = xlogreg.bootstrap(many, labels, 5)
    assert np.all(replicates.valid)
    assert not found  # no other model was fitted for them to start at
    assert np.max(np.abs(replicates.w[:, :, 0] - replicates.model.w[:, 0])) < 0.5


def test_an_error_says_which_weights_are_too_small():
    weights = [np.ones(M), np.full(M, 1e-310)]
    with pytest.raises(ValueError, match=r"sample_weights\[1\]: the sum of sample_weight is .* too small or too large"):
        xlogreg.fit_many(X, [Y[0]], l2s=0.1, sample_weights=weights)
