"""glum: iteratively reweighted least squares of a binomial model; its alpha is l2."""

import numpy as np

from benchmarks.contest import Answer, Competitor, binary_only
from benchmarks.problems import Problem

SQUARE = 3_000  # features whose Hessian no longer pays


def prepare(problem: Problem) -> tuple[np.ndarray, np.ndarray, float]:
    """Columns one after the other, which its matrices want."""
    return np.asfortranarray(problem.X), problem.y.astype(problem.X.dtype), problem.l2


def fit(data: tuple[np.ndarray, np.ndarray, float], **options: float) -> Answer:
    from glum import GeneralizedLinearRegressor

    X, y, l2 = data
    found = GeneralizedLinearRegressor(family="binomial", alpha=l2, l1_ratio=0, **options).fit(X, y)
    return Answer(found.coef_[:, None], np.atleast_1d(found.intercept_), int(found.n_iter_))


def handles(problem: Problem) -> str:
    return binary_only(problem) or ("" if problem.n_x <= SQUARE else f"its Hessian of {problem.n_x} features")


TIGHTER = tuple({"gradient_tol": tol, "max_iter": 10_000} for tol in (1e-7, 1e-10))
COMPETITORS = [Competitor("glum", "glum", ("glum",), prepare, fit, ({}, *TIGHTER), handles, few=True)]
