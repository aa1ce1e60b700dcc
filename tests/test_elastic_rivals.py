"""L1 beside the answers of glum and skglm, where they are installed."""

import numpy as np
import pytest

import xlogreg

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs


def drawn():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 15))
    Y = (X[:, :5] @ rng.standard_normal(5) + rng.logistic(size=400) > 0).astype(float)
    return X, Y, 0.1 * np.max(np.abs(X.T @ (Y - Y.mean()))) / 400


@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_glum_finds_the_same(ratio):
    glum = pytest.importorskip("glum")
    X, Y, penalty = drawn()
    other = glum.GeneralizedLinearRegressor(family="binomial", alpha=penalty, l1_ratio=ratio, gradient_tol=1e-9)
    other.fit(X, Y)
    model = xlogreg.fit(X, Y, l1=penalty * ratio, l2=penalty * (1 - ratio), samples="rows")
    np.testing.assert_allclose(model.w[:, 0], other.coef_, atol=1e-6)
    np.testing.assert_allclose(model.b[0, 0], other.intercept_, atol=1e-6)


def test_skglm_finds_the_same():
    skglm = pytest.importorskip("skglm")
    X, Y, l1 = drawn()
    other = skglm.SparseLogisticRegression(alpha=l1, tol=1e-10).fit(X, Y)
    model = xlogreg.fit(X, Y, l1=l1, samples="rows")
    np.testing.assert_allclose(model.w, other.coef_.T, atol=1e-6)
