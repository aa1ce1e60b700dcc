"""Snap ML: stochastic dual coordinate ascent. It penalises its constant column: intercept_scaling hides that."""

import os
from typing import Any, NamedTuple

import numpy as np

from benchmarks.contest import Answer, Competitor, binary_only, penalised_only
from benchmarks.problems import Problem


class Data(NamedTuple):
    X: np.ndarray
    y: np.ndarray
    regularizer: float


def prepare(problem: Problem) -> Data:
    """It computes in float32."""
    return Data(np.ascontiguousarray(problem.X, dtype=np.float32), problem.y, problem.l2 * problem.m)


def fit(data: Data, intercept_scaling: float = 1.0, **options: Any) -> Answer:
    from snapml import LogisticRegression

    threads = len(os.sched_getaffinity(0))
    options |= {"fit_intercept": True, "intercept_scaling": intercept_scaling, "n_jobs": threads}
    found = LogisticRegression(regularizer=data.regularizer, **options)
    found.fit(data.X, data.y)
    # intercept_ is the weight of the constant column
    return Answer(np.reshape(found.coef_, (-1, 1)), intercept_scaling * np.ravel(found.intercept_))


def handles(problem: Problem) -> str:
    return binary_only(problem) or penalised_only(problem)


TIGHTER = tuple({"tol": tol, "max_iter": 100_000, "intercept_scaling": 10.0} for tol in (1e-4, 1e-6))
COMPETITORS = [Competitor("Snap ML", "snapml", ("snapml",), prepare, fit, ({}, *TIGHTER), handles)]
