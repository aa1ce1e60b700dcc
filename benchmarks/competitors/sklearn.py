"""scikit-learn's solvers on NumPy. liblinear penalises its constant column: a large intercept_scaling hides that."""

import importlib
from functools import partial
from typing import Any

import numpy as np

from benchmarks.contest import Answer, Competitor, binary_only, from_sklearn, penalised_only
from benchmarks.problems import Problem

LARGE = 5_000  # parameters whose Hessian no longer pays


def prepare(problem: Problem, dtype: str | None = None) -> tuple[np.ndarray, np.ndarray, float]:
    return np.ascontiguousarray(problem.X, dtype=dtype), problem.y, problem.C


def fit(data: tuple[np.ndarray, np.ndarray, float], solver: str, package: str = "sklearn", **options: Any) -> Answer:
    X, y, C = data
    kind = importlib.import_module(f"{package}.linear_model").LogisticRegression
    found = kind(C=C, solver=solver, **options).fit(X, y)
    return from_sklearn(found.coef_, found.intercept_, int(np.max(found.n_iter_)))


def handles(solver: str, referee: bool, problem: Problem) -> str:
    parameters = problem.n_x * (1 if problem.K == 2 else problem.K)
    if solver == "newton-cholesky":
        return f"its Hessian of {parameters} parameters" if parameters > LARGE else ""
    if solver == "liblinear":
        return binary_only(problem) or penalised_only(problem)
    return "newton-cholesky is the referee" if referee and parameters <= LARGE else ""


def tightening(*tols: float, **more: float) -> tuple[dict[str, Any], ...]:
    return ({}, *({"tol": tol, "max_iter": 100_000, **more} for tol in tols))


SETTINGS = {
    "lbfgs": tightening(1e-4, 1e-6, 1e-8),
    "newton-cholesky": tightening(1e-7, 1e-10),
    "newton-cg": tightening(1e-6, 1e-8, 1e-10),
    "liblinear": tightening(1e-6, 1e-8, intercept_scaling=100.0),
    "saga": tightening(1e-4, 1e-7),
}
FEW = ("lbfgs", "newton-cholesky")


def competitor(solver: str, settings: tuple[dict[str, Any], ...], dtype: str | None = None) -> Competitor:
    name, double = f"scikit-learn {solver}" + (f" {dtype}" if dtype else ""), partial(prepare, dtype=dtype)
    run, can = partial(fit, solver=solver), partial(handles, solver, bool(dtype))
    rest = {"referee": bool(dtype), "few": solver in FEW or dtype is not None}
    return Competitor(name, "scikit-learn", ("sklearn.linear_model",), double, run, settings, can, **rest)


COMPETITORS = [competitor(solver, settings) for solver, settings in SETTINGS.items()]
TIGHTEST = ({"tol": 1e-12, "max_iter": 10_000},)
COMPETITORS += [competitor(solver, TIGHTEST, "float64") for solver in ("newton-cholesky", "newton-cg")]
