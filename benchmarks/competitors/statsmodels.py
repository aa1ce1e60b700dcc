"""statsmodels: a binomial GLM by IRLS, its ridge by BFGS; MNLogit by Newton's method where there is no penalty."""

from typing import Any, NamedTuple

import numpy as np

from benchmarks.contest import Answer, Competitor
from benchmarks.problems import Problem


class Data(NamedTuple):
    X: np.ndarray  # with a constant column, as it has to be given
    y: np.ndarray
    l2: float
    K: int


def prepare(problem: Problem) -> Data:
    return Data(np.column_stack([problem.X, np.ones(problem.m)]), problem.y, problem.l2, problem.K)


def fit(data: Data, opt_method: str = "bfgs", tol: float | None = None) -> Answer:
    from statsmodels import api

    options: dict[str, Any] = {} if tol is None else {"tol": tol, "maxiter": 10_000}
    if data.K > 2:
        theta = api.MNLogit(data.y, data.X).fit(disp=0, **options).params
        theta = np.column_stack([np.zeros(len(theta)), theta])  # of the first class, which it leaves out
        return Answer(theta[:-1], theta[-1])
    model = api.GLM(data.y, data.X, family=api.families.Binomial())
    if data.l2:
        penalties = np.append(np.full(data.X.shape[1] - 1, data.l2), 0.0)
        theta = model.fit_regularized(alpha=penalties, L1_wt=0.0, opt_method=opt_method).params
    else:
        theta = model.fit(**options).params
    return Answer(np.asarray(theta)[:-1, None], np.asarray(theta)[-1:])


def handles(problem: Problem) -> str:
    if problem.K > 2 and problem.l2:
        return "no L2 penalty of more than two classes"
    return "" if problem.n_x <= 3_000 else f"its matrix of {problem.n_x} x {problem.n_x}"


SETTINGS = ({}, {"opt_method": "newton-cg", "tol": 1e-12}, {"opt_method": "L-BFGS-B", "tol": 1e-14})
COMPETITORS = [Competitor("statsmodels", "statsmodels", ("statsmodels.api",), prepare, fit, SETTINGS, handles)]
