"""scikit-learn-intelex: the same solvers over oneDAL's losses."""

from functools import partial

from benchmarks.competitors.sklearn import SETTINGS, fit, prepare
from benchmarks.contest import Competitor

NAME, MODULES = "scikit-learn-intelex", ("sklearnex.linear_model", "sklearn")
COMPETITORS = [
    Competitor(f"{NAME} {solver}", NAME, MODULES, prepare, partial(fit, solver=solver, package="sklearnex"), settings)
    for solver, settings in SETTINGS.items()
    if solver in ("lbfgs", "newton-cg")
]
COMPETITORS[0] = COMPETITORS[0]._replace(few=True)
