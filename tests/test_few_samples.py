"""The Hessian of few samples with many features, inverted between samples."""

import dataclasses

import numpy as np
import pytest

from tests.test_objective import make
from xlogreg.solvers.few_samples import Few, are_few

M, FEATURES = 12, 30
SETTINGS = {
    "plain": {},
    "weights": {"weight": np.linspace(0.0, 2.0, M)[None, :]},
    "no bias": {"bias": False},
    "scaled": {"scale": np.linspace(0.5, 3.0, FEATURES)},
    "a centre in the parameters": {"center": np.linspace(-1.0, 2.0, FEATURES)[:, None]},
}


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("setting", SETTINGS)
def test_it_is_the_inverse_of_the_hessian(setting, k):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((FEATURES, M)) * (rng.random((FEATURES, M)) < 0.5)
    X[3] = 2020.0 + 5.0 * rng.standard_normal(M)  # a year
    Y = np.eye(k + (k == 1))[rng.integers(0, k + (k == 1), M)].T[-k:]
    objective = make(X, Y, l2=(0.1,), **SETTINGS[setting])
    if "center" in SETTINGS[setting]:
        center = SETTINGS[setting]["center"][:, :, None]
        source = dataclasses.replace(objective.source, center=None)
        objective = dataclasses.replace(objective, source=source, center=center, folded=True)
    theta, gradient = 0.1 * rng.standard_normal((2, FEATURES + 1, 1, k))
    theta[3] *= 1e-3
    gradient = objective.centered(gradient) * objective.free
    assert are_few(objective.source, k)
    step = Few(objective, objective.source).at(theta).solve(gradient)
    H = objective.expand(theta).hessian[0]
    expected = np.linalg.lstsq(H, gradient.ravel(), rcond=1e-15)[0]
    error = step.ravel() - expected
    assert error @ H @ error <= 1e-3 * (expected @ H @ expected)  # the bias is held a little
