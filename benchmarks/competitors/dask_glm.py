"""dask-glm: lbfgs with a penalty, newton without. It penalises its constant column: a large one hides that."""

import os
from typing import Any, NamedTuple

import numpy as np

from benchmarks.contest import Answer, Competitor, binary_only
from benchmarks.problems import Problem


class Data(NamedTuple):
    X: np.ndarray
    y: np.ndarray
    lamduh: float


def prepare(problem: Problem) -> Data:
    return Data(problem.X, problem.y.astype(problem.X.dtype), problem.l2 * problem.m)


def fit(data: Data, constant: float = 1.0, **options: Any) -> Answer:
    """Chunks for every core."""
    import dask.array
    from dask_glm.algorithms import lbfgs, newton

    column = np.full((len(data.y), 1), constant, dtype=data.X.dtype)
    chunk = -(-len(data.y) // len(os.sched_getaffinity(0)))
    X = dask.array.from_array(np.hstack([data.X, column]), chunks=(chunk, -1))
    y = dask.array.from_array(data.y, chunks=chunk)
    # without normalize, which would penalise other numbers, and wants a constant of one
    penalty = {"lamduh": data.lamduh, "regularizer": "l2", **options}
    theta = lbfgs(X, y, normalize=False, **penalty) if data.lamduh else newton(X, y, normalize=False)
    return Answer(theta[:-1, None], constant * theta[-1:])


SETTINGS = ({}, {"constant": 10.0, "tol": 1e-10, "max_iter": 10_000})
COMPETITORS = [
    Competitor("dask-glm", "dask-glm", ("dask_glm.algorithms", "dask.array"), prepare, fit, SETTINGS, binary_only)
]
