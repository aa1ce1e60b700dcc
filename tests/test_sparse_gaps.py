"""Gaps of fits on sparse X with more than a thousand parameters: never far smaller than what is left to the minimum."""

import warnings

import numpy as np
import pytest
import scipy.sparse

import xlogreg

ROWS = {"samples": "rows"}
M, FEATURES = 400, 1100


def uneven(classes, seed):
    """Features of very different scales, a few values in each, and labels that depend on fifty of them."""
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random_array((M, FEATURES), density=0.02, format="csr", rng=rng, data_sampler=rng.standard_normal)
    X = scipy.sparse.csr_array(X @ scipy.sparse.diags_array(np.exp(1.5 * rng.standard_normal(FEATURES))))
    W = rng.standard_normal((FEATURES, classes)) * (np.arange(FEATURES) < 50)[:, None]
    return X, np.argmax(X @ W + rng.gumbel(size=(M, classes)), axis=1)


@pytest.mark.parametrize(
    ("classes", "options"),
    [(2, {"l2": 1e-6, "standardize": True}), (3, {"l2": 1e-3}), (2, {"l2": 1e-3, "tol": 1e-6})],
    ids=str,
)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_gap_is_far_smaller_than_the_distance_to_the_minimum(classes, options, seed):
    X, Y = uneven(classes, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xlogreg.ConvergenceWarning)
        found = xlogreg.fit(X, Y, **options, **ROWS).fit_info
    least = xlogreg.fit(X.toarray(), Y, **options | {"tol": 1e-13}, **ROWS).fit_info  # in the span of the samples
    assert found.solver == "block-lbfgs"
    assert found.cost - least.cost <= 2.0 * found.gap + 1e-14 * found.cost
