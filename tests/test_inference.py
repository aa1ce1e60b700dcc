"""Likelihood, deviance and standard errors, against published and independently computed values."""

import numpy as np
import pytest
import reference_data

import xlogreg


@pytest.fixture(scope="module")
def spector():
    return reference_data.spector()


@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
def test_spector_has_the_coefficients_of_fifty_digits(spector, solver):
    model = xlogreg.fit(*spector, solver=solver, tol=1e-15)
    expected = [2.8261125948893214, 0.095157661317909301, 2.3786876550933542]
    np.testing.assert_allclose(model.w[:, 0], expected, rtol=1e-7 if solver == "lbfgs" else 1e-12)
    np.testing.assert_allclose(model.b, [[-13.021346858115691]], rtol=1e-7 if solver == "lbfgs" else 1e-12)
    assert model.log_likelihood == pytest.approx(-12.889634222131414, rel=1e-12)


def test_spector_has_the_published_standard_errors(spector):
    errors = xlogreg.fit(*spector).standard_errors()
    np.testing.assert_allclose(errors.w[:, 0], [1.26294107562909, 0.141554205673695, 1.06456425449713], rtol=1e-8)
    np.testing.assert_allclose(errors.b, [[4.93132421360276]], rtol=1e-8)


def test_the_o_ring_data_have_the_coefficients_of_fifty_digits():
    model = xlogreg.fit(*reference_data.o_rings())
    np.testing.assert_allclose(model.b, [[15.042901647702441]], rtol=1e-12)
    np.testing.assert_allclose(model.w, [[-0.23216274421859647]], rtol=1e-12)


def test_standard_errors_do_not_depend_on_the_coordinates_that_the_fit_chose(spector):
    X, Y = spector
    plain = xlogreg.fit(X, Y).standard_errors()
    for options in ({"standardize": True}, {"standardize": 10.0}, {"sample_weight": np.ones(32)}):
        errors = xlogreg.fit(X, Y, **options).standard_errors()
        np.testing.assert_allclose(errors.w, plain.w, rtol=1e-9)
        np.testing.assert_allclose(errors.b, plain.b, rtol=1e-9)
    np.testing.assert_allclose(xlogreg.fit(X + 2020, Y).standard_errors().w, plain.w, rtol=1e-8)
    twice = xlogreg.fit(X, Y, sample_weight=np.full(32, 2.0)).standard_errors()
    np.testing.assert_allclose(twice.w, plain.w / np.sqrt(2), rtol=1e-9)


def test_standard_errors_without_a_bias_are_the_inverse_information(spector):
    X, Y = spector
    model = xlogreg.fit(X, Y, bias=False)
    a = model.predict_proba(X)[1]
    information = (X * a * (1 - a)) @ X.T
    np.testing.assert_allclose(model.standard_errors().w[:, 0] ** 2, np.diag(np.linalg.inv(information)), rtol=1e-9)
    assert model.standard_errors().b == 0.0


def test_standard_errors_of_a_softmax_are_those_of_differences_between_classes(three_classes):
    X, Y = three_classes
    two = Y < 2
    model = xlogreg.fit(X, Y)
    k = 3
    covariance = model.covariance.reshape(4, k, 4, k)
    # the contrast of classes 1 and 0 has an error that no centring can change: from the information by hand
    P = model.predict_proba(X)
    rows = np.concatenate([X, np.ones((1, 90))])
    C = -P[:, None, :] * P[None, :, :] + np.eye(3)[:, :, None] * P[:, None, :]
    information = np.einsum("am,bm,ijm->aibj", rows, rows, C)[:, 1:, :, 1:].reshape(8, 8)  # class 0 held at zero
    reference = np.linalg.inv(information).reshape(4, 2, 4, 2)
    for a in range(4):
        contrast = covariance[a, 1, a, 1] + covariance[a, 0, a, 0] - 2 * covariance[a, 0, a, 1]
        assert contrast == pytest.approx(reference[a, 0, a, 0], rel=1e-8)
    assert two.any()


def test_the_deviance_is_that_of_the_likelihood(where, problem):
    X, Y = problem
    model = xlogreg.fit(where.asarray(X), Y)
    a = model.to("numpy").predict_proba(X)[1]
    expected = float(np.sum(Y * np.log(a) + (1 - Y) * np.log(1 - a)))
    rel = 1e-9 if where.dtype == "float64" else 1e-5
    assert model.log_likelihood == pytest.approx(expected, rel=rel)
    assert model.deviance == pytest.approx(-2 * expected, rel=rel)
    share = Y.mean()
    null = len(Y) * (share * np.log(share) + (1 - share) * np.log(1 - share))
    assert model.null_deviance == pytest.approx(-2 * null, rel=rel)


def test_the_penalty_is_no_part_of_the_likelihood(problem, three_classes):
    for X, Y in (problem, three_classes):
        for options in ({"l2": 0.1}, {"l2": 0.1, "solver": "gd"}, {"l2": 0.1, "solver": "lbfgs"}):
            model = xlogreg.fit(X, Y, **options)
            logs = model.predict_log_proba(X)
            assert model.log_likelihood == pytest.approx(np.sum(logs[Y, np.arange(len(Y))]), rel=1e-5)
    assert xlogreg.fit(*problem, bias=False).null_deviance == pytest.approx(2 * 60 * np.log(2))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"l2": 0.1}, "penalised"),
        ({"solver": "gd", "max_iter": 5}, "did not converge"),
        ({"solver": "gd", "loss": "squared_error", "learning_rate": 0.1}, "did not converge"),
    ],
)
def test_standard_errors_are_refused_with_the_reason(problem, options, reason):
    with pytest.raises(ValueError, match=f"no standard errors: .*{reason}"):
        xlogreg.fit(*problem, **options).standard_errors()


def test_collinear_features_have_no_standard_errors(problem):
    X, Y = problem
    with pytest.raises(ValueError, match="collinear or constant: the Fisher information has the rank 5, not 6"):
        xlogreg.fit(np.concatenate([X, X[:1]]), Y).standard_errors()


def test_statsmodels_agrees(problem):
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    X, Y = problem
    expected = statsmodels.Logit(Y, statsmodels.add_constant(X.T)).fit(disp=0, tol=1e-14)
    errors = xlogreg.fit(X, Y).standard_errors()
    np.testing.assert_allclose(np.append(errors.b[0], errors.w[:, 0]), expected.bse, rtol=1e-8)
