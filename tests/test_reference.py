"""Fits against optima of fifty digits, which make_reference.py computes with nothing of ours."""

from decimal import localcontext

import make_reference
import numpy as np
import pytest
from reference_data import DATA, cost_of, optimum

import xlogreg
from xlogreg.arrays.place import to_host

# relative errors of coefficients and cost, error of probabilities; L-BFGS stops by its own estimate of the gap
TOLERANCE = {
    ("float64", "auto"): (1e-11, 1e-14, 1e-12),
    ("float64", "newton"): (1e-11, 1e-14, 1e-12),
    ("float64", "lbfgs"): (1e-6, 1e-12, 1e-7),
    ("float32", "auto"): (2e-5, 1e-11, 1e-5),
    ("float32", "newton"): (2e-5, 1e-11, 1e-5),
    ("float32", "lbfgs"): (2e-5, 1e-10, 1e-5),
}


def check(where, name, solver, tolerance):
    load, l2_times_m = DATA[name]
    X, Y = load()
    l2 = l2_times_m / len(Y)
    w, b, entry = optimum(name)
    parameters, cost, probability = tolerance
    model = xlogreg.fit(where.asarray(X), Y, l2=l2, solver=solver)
    assert model.fit_info.converged
    where.check(model.w, w, rtol=parameters)
    where.check(model.b, b, rtol=parameters)
    ours = cost_of(to_host(model.w).astype(float), to_host(model.b).astype(float), X, Y, l2)
    assert ours == pytest.approx(float(entry["cost"]), rel=cost)
    a = 1 / (1 + np.exp(-(w.T @ X + b)))
    where.check(model.predict_proba(where.asarray(X)), np.concatenate([1 - a, a]), rtol=0, atol=probability)


@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
def test_spector_has_the_coefficients_of_fifty_digits(where, solver):
    check(where, "spector", solver, TOLERANCE[where.dtype, solver])


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
def test_the_o_rings_have_the_coefficients_of_fifty_digits(where, solver):
    check(where, "o_rings", solver, TOLERANCE[where.dtype, solver])


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["auto", "newton"])
def test_breast_cancer_has_the_coefficients_of_fifty_digits(where64, solver):
    check(where64, "breast_cancer", solver, TOLERANCE["float64", solver])


@pytest.mark.slow
def test_breast_cancer_has_its_cost_by_gradients_alone(where64):
    # features from 1e-3 to 4e3 that nearly repeat one another: the cost is flat where the coefficients still move
    check(where64, "breast_cancer", "lbfgs", (1e-2, 1e-9, 1e-4))


@pytest.mark.parametrize("solver", ["auto", "newton"])
def test_breast_cancer_in_float32_has_the_coefficients_of_fifty_digits(solver):
    X, Y = DATA["breast_cancer"][0]()
    w, b, entry = optimum("breast_cancer")
    X = X.astype(np.float32)
    model = xlogreg.fit(X, Y, l2=1 / len(Y), solver=solver)
    np.testing.assert_allclose(model.w, w, rtol=1e-4)
    np.testing.assert_allclose(model.b, b, rtol=1e-4)
    assert model.fit_info.cost == pytest.approx(float(entry["cost"]), rel=1e-6)


@pytest.mark.parametrize("name", ["spector", "o_rings"])
def test_coefficients_errors_and_likelihood_are_those_of_fifty_digits(name):
    w, b, entry = optimum(name)
    model = xlogreg.fit(*DATA[name][0]())
    np.testing.assert_allclose(model.w, w, rtol=1e-12)
    np.testing.assert_allclose(model.b, b, rtol=1e-12)
    errors = model.standard_errors()
    np.testing.assert_allclose(errors.w[:, 0], np.asarray(entry["w_errors"], dtype=float), rtol=1e-11)
    np.testing.assert_allclose(errors.b, [[float(entry["b_error"])]], rtol=1e-11)
    assert model.log_likelihood == pytest.approx(float(entry["log_likelihood"]), rel=1e-13)
    assert model.fit_info.cost == pytest.approx(float(entry["cost"]), rel=1e-13)


@pytest.mark.parametrize("solver", ["auto", "newton"])
def test_breast_cancer_has_the_cost_of_fifty_digits(solver):
    X, Y = DATA["breast_cancer"][0]()
    w, b, entry = optimum("breast_cancer")
    model = xlogreg.fit(X, Y, l2=1 / len(Y), solver=solver)
    assert cost_of(model.w, model.b, X, Y, 1 / len(Y)) == pytest.approx(float(entry["cost"]), rel=1e-14)
    a = 1 / (1 + np.exp(-(w.T @ X + b)))
    np.testing.assert_allclose(model.predict_proba(X)[1:], a, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["spector", "o_rings"])
def test_the_reference_is_what_its_script_computes(name):
    with localcontext(prec=make_reference.DIGITS):
        entry = {key: make_reference.written(value) for key, value in make_reference.reference(name).items()}
    assert entry == optimum(name)[2]
