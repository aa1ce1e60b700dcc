"""cuML on CUDA: L-BFGS; its C is scikit-learn's."""

from typing import Any

import numpy as np

from benchmarks.contest import Answer, Competitor, from_sklearn, penalised_only
from benchmarks.problems import Problem


def prepare(problem: Problem) -> tuple[Any, Any, float]:
    """Columns one after the other, as it keeps them."""
    import cupy

    return cupy.asarray(problem.X, order="F"), cupy.asarray(problem.y.astype(problem.X.dtype)), problem.C


def fit(data: tuple[Any, Any, float], **options: Any) -> Answer:
    import cupy
    from cuml.linear_model import LogisticRegression

    X, y, C = data
    found = LogisticRegression(C=C, output_type="cupy", **options).fit(X, y)
    coefficients, intercept = cupy.asnumpy(found.coef_), np.ravel(cupy.asnumpy(found.intercept_))
    return from_sklearn(coefficients.reshape(len(intercept), -1), intercept)


def wait() -> None:
    import cupy

    cupy.cuda.Device().synchronize()


TIGHTER = tuple({"tol": tol, "linesearch_max_iter": 100, "max_iter": 100_000} for tol in (1e-6, 1e-8, 1e-10))
COMPETITORS = [
    Competitor(
        "cuML",
        "cuml",
        ("cuml.linear_model", "cupy"),
        prepare,
        fit,
        ({}, *TIGHTER),
        penalised_only,
        "cupy",
        wait=wait,
        few=True,
    )
]
