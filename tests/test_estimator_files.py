"""Estimators are saved as models, which predict the same."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import xlogreg
from xlogreg import LogisticRegression, LogisticRegressionCV

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 3)) + 2020.0
y = np.asarray(["no", "yes"], dtype=object)[(X[:, 0] + RNG.standard_normal(90) > 2020.0).astype(int)]


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), LogisticRegression(fit_intercept=False), LogisticRegressionCV(Cs=[0.1, 1.0], cv=2)],
)
def test_a_saved_estimator_is_a_model_of_rows_that_predicts_the_same(estimator, tmp_path):
    estimator.fit(X, y).save(tmp_path / "classifier")
    model = xlogreg.load(tmp_path / "classifier")
    assert type(model) is xlogreg.Model
    assert model.samples == "rows"
    for method in ("predict", "predict_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(model, method)(X), getattr(estimator, method)(X))
    assert model.fit_info == estimator.fit_info_


def test_the_names_and_categories_of_a_frame_are_saved(tmp_path):
    polars = pytest.importorskip("polars", reason="polars makes the frame (the extra cli)")
    frame = polars.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    plain = LogisticRegression().fit(frame, y)
    plain.save(tmp_path / "plain")
    assert xlogreg.load(tmp_path / "plain").feature_names == ("a", "b")
    frame = frame.with_columns(city=np.asarray(["P", "L", "R"])[RNG.integers(0, 3, 90)])
    coded = LogisticRegression(categorical_features=["city"]).fit(frame, y)
    coded.save(tmp_path / "coded")
    model = xlogreg.load(tmp_path / "coded")
    np.testing.assert_array_equal(model.predict_proba(frame), coded.predict_proba(frame))
    assert model.terms == coded.terms_


def test_only_a_fit_can_be_saved(tmp_path):
    with pytest.raises(NotFittedError):
        LogisticRegression().save(tmp_path / "none")
    mean = LogisticRegressionCV(Cs=[1.0], cv=2, refit=False).fit(X, y)
    with pytest.raises(ValueError, match=r"coef_ are not of one fit, .*a mean \(refit=False\)"):
        mean.save(tmp_path / "none")
    assert not list(tmp_path.iterdir())
