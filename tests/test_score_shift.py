"""Scores that move after the minimum: the bias of FLIC, and the prior correction."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
from make_firth_reference import firth_set
from scipy import optimize, special

import xlogreg
from xlogreg.arrays.place import to_host


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((400, 2))
    return X, (rng.random(400) < special.expit(X @ [1.0, -0.5] - 1.0)).astype(int)


def test_flic_makes_the_mean_probability_the_share_of_the_second_class():
    for seed in range(0, 50, 7):
        X, y = firth_set(seed)
        firth, flic = (xlogreg.fit(X, y, samples="rows", bias_reduction=name) for name in ("firth", "flic"))
        np.testing.assert_array_equal(flic.w, firth.w)
        np.testing.assert_array_equal(flic.b, firth.b)
        assert flic.fit_info.cost == firth.fit_info.cost
        z = firth.decision_function(X)
        shift = optimize.brentq(lambda d, z=z, y=y: np.sum(special.expit(z + d) - y), -20, 20, xtol=1e-13)
        assert flic.score_shift[0] == pytest.approx(shift, abs=1e-7)
        assert flic.predict_proba(X)[:, 1].mean() == pytest.approx(y.mean(), abs=1e-8)


def test_flic_by_weights_and_for_many_targets():
    X, y = firth_set(8)
    weight = np.random.default_rng(1).random(len(y)) + 0.5
    models = xlogreg.fit_many(X, [y, 1 - y], samples="rows", bias_reduction="flic", sample_weights=weight)
    mean = np.average(models[0].predict_proba(X)[:, 1], weights=weight)
    assert mean == pytest.approx(np.average(y, weights=weight), abs=1e-8)
    np.testing.assert_allclose(models[0].score_shift, -models[1].score_shift, rtol=1e-6)


def test_flic_on_every_place(where):
    X, y = firth_set(9)
    model = xlogreg.fit(where.asarray(X.T), where.asarray(y, dtype="int32"), bias_reduction="flic")
    P = model.predict_proba(where.asarray(X.T))
    assert abs(float(to_host(P)[1].mean()) - y.mean()) < (1e-7 if where.dtype == "float64" else 1e-4)


def test_all_predictions_have_the_shift(samples):
    X, y = samples
    model = xlogreg.fit(X, y, samples="rows", prior=0.02)
    moved = dataclasses.replace(model, score_shift=None, b=model.b + model.score_shift[:, None])
    for method in ("decision_function", "predict_proba", "predict_log_proba", "predict"):
        np.testing.assert_allclose(getattr(model, method)(X), getattr(moved, method)(X), rtol=1e-12)
    assert model.evaluate(X, y).log_loss == pytest.approx(moved.evaluate(X, y).log_loss, rel=1e-12)
    other = model.to_sklearn()
    np.testing.assert_allclose(other.predict_proba(X), model.predict_proba(X), rtol=1e-10)
    assert float(other.intercept_[0]) == pytest.approx(float(moved.b[0, 0]), rel=1e-12)


def test_predictions_from_a_centre_have_the_shift_too():
    rng = np.random.default_rng(0)
    X = (1e6 + rng.standard_normal((60, 1))).astype(np.float32)
    y = (rng.random(60) < special.expit(X[:, 0].astype(float) - 1e6)).astype(int)
    plain, model = (xlogreg.fit(X, y, samples="rows", prior=prior) for prior in (None, 0.1))
    assert model.center is not None
    difference = model.decision_function(X) - plain.decision_function(X)
    np.testing.assert_allclose(difference, float(model.score_shift[0]), atol=1e-5)


def test_the_prior_correction_is_the_difference_of_log_odds(samples):
    X, y = samples
    plain, model = xlogreg.fit(X, y, samples="rows"), xlogreg.fit(X, y, samples="rows", prior=0.02)
    expected = special.logit(0.02) - special.logit(y.mean())
    np.testing.assert_allclose(model.score_shift, [expected], rtol=1e-12)
    np.testing.assert_array_equal(model.w, plain.w)
    np.testing.assert_array_equal(model.b, plain.b)
    np.testing.assert_array_equal(model.covariance, plain.covariance)
    assert (model.fit_info.cost, model.fit_info.gap) == (plain.fit_info.cost, plain.fit_info.gap)
    both = xlogreg.fit(X, y, samples="rows", prior=[0.98, 0.02])
    np.testing.assert_allclose(both.score_shift, [expected], rtol=1e-12)


def test_case_control_samples_predict_the_population():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((200_000, 1))
    y = (rng.random(len(X)) < special.expit(1.5 * X[:, 0] - 5.0)).astype(int)
    cases, controls = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    some = np.concatenate([cases, controls[: len(cases)]])
    model = xlogreg.fit(X[some], y[some], samples="rows", prior=float(y.mean()))
    assert float(model.b[0, 0] + model.score_shift[0]) == pytest.approx(-5.0, abs=0.2)
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(y.mean(), rel=0.05)


def test_shares_are_by_weight(samples):
    X, y = samples
    balanced = len(y) / (2.0 * np.bincount(y))[y]
    model = xlogreg.fit(X, y, samples="rows", sample_weight=balanced, prior=float(y.mean()))
    np.testing.assert_allclose(model.score_shift, [special.logit(y.mean())], rtol=1e-9)


def test_each_of_three_classes_has_its_own_correction(three_classes):
    X, y = three_classes
    weight, prior = 1.0 + (y == 2), np.asarray([0.7, 0.2, 0.1])
    model = xlogreg.fit(X, y, sample_weight=weight, prior=prior)
    shares = np.bincount(y, weights=weight) / weight.sum()
    np.testing.assert_allclose(model.score_shift, np.log(prior / shares), rtol=1e-12)
    odds = xlogreg.fit(X, y, sample_weight=weight).predict_proba(X) * (prior / shares)[:, None]
    np.testing.assert_allclose(model.predict_proba(X), odds / odds.sum(axis=0), rtol=1e-6)


def test_paths_selections_and_many_models_take_a_prior(samples):
    X, y = samples
    expected = special.logit(0.02) - special.logit(y.mean())
    models = [
        *xlogreg.fit_path(X, y, [0.1, 0.01], samples="rows", prior=0.02),
        *xlogreg.fit_many(X, [y], l2s=[0.1, 0.01], samples="rows", prior=0.02),
        xlogreg.fit_cv(X, y, [0.1, 0.01], samples="rows", prior=0.02).model,
        xlogreg.fit(X, y, samples="rows", prior=0.02, l1=0.01),
    ]
    for model in models:
        np.testing.assert_allclose(model.score_shift, [expected], rtol=1e-9)
    scores = [xlogreg.fit_cv(X, y, [0.1, 0.01], samples="rows", prior=prior).scores for prior in (None, 0.02)]
    np.testing.assert_array_equal(scores[0]["log_loss"], scores[1]["log_loss"])


def test_flic_and_a_prior_add_up():
    X, y = firth_set(10)
    flic = xlogreg.fit(X, y, samples="rows", bias_reduction="flic")
    both = xlogreg.fit(X, y, samples="rows", bias_reduction="flic", prior=0.1)
    np.testing.assert_allclose(both.score_shift - flic.score_shift, special.logit(0.1) - special.logit(y.mean()))


def test_files_keep_the_shift_and_only_those_that_have_one_name_it(samples, tmp_path):
    X, y = samples
    for prior in (None, 0.02):
        model = xlogreg.fit(X, y, samples="rows", prior=prior)
        model.save(tmp_path / "model")
        again = xlogreg.load(tmp_path / "model")
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
        with zipfile.ZipFile(tmp_path / "model") as archive:
            header = json.loads(archive.read("header.json"))
        assert ("score_shift" in header) == (prior is not None)  # a library that does not know it refuses the file
        assert "bias_reduction" not in header


@pytest.mark.parametrize("shift", [[0.0, 1.0], [float("1e400")], "x", [True], 0.5])
def test_a_damaged_shift_is_refused(samples, tmp_path, shift):
    X, y = samples
    xlogreg.fit(X, y, samples="rows", prior=0.02).save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    header = json.loads(members["header.json"]) | {"score_shift": shift}
    members["header.json"] = json.dumps(header).encode()
    with zipfile.ZipFile(tmp_path / "model", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(xlogreg.ModelFileError, match="score_shift"):
        xlogreg.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("prior", "error", "said"),
    [
        (0.0, ValueError, "between 0 and 1"),
        (1.0, ValueError, "between 0 and 1"),
        (np.nan, ValueError, "between 0 and 1"),
        ([0.5, 0.6], ValueError, "sum to one"),
        ([0.2, 0.3, 0.5], ValueError, "holds 3 numbers, but Y has 2 classes"),
        ("rare", TypeError, "prior must be a share"),
        (True, TypeError, "prior must be a share"),
        ([[0.5, 0.5]], TypeError, "prior must be a share"),
    ],
)
def test_other_priors_are_refused(samples, prior, error, said):
    X, y = samples
    with pytest.raises(error, match=said):
        xlogreg.fit(X, y, samples="rows", prior=prior)


def test_a_prior_needs_a_bias_and_shares_of_all_classes(samples, three_classes):
    with pytest.raises(ValueError, match="bias=False"):
        xlogreg.fit(samples[0], samples[1], samples="rows", prior=0.1, bias=False)
    with pytest.raises(ValueError, match="the share of each class"):
        xlogreg.fit(*three_classes, prior=0.1)
