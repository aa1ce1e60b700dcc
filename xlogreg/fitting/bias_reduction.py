"""What is concluded of a fit with Jeffreys' penalty: its parameters, the local gap, and the bias of FLIC."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from xlogreg.exceptions import warn
from xlogreg.fitting.outcome import Verdict, concluded, described, warning_of
from xlogreg.fitting.problem import Problem
from xlogreg.fitting.solving import solve
from xlogreg.inference.covariance import covariance
from xlogreg.inputs.options import Options
from xlogreg.samples.intake import Origin
from xlogreg.solvers import firth
from xlogreg.solvers.parameters import as_stored
from xlogreg.solvers.preconditioners import Inverse
from xlogreg.solvers.result import Monitor, Result

__all__ = ["conclusion_of"]

SAME = 1e-12  # relative difference of parameters that changes no cost


def conclusion_of(options: Options) -> Callable[..., tuple[Problem, Result, Verdict]]:
    """Return the function that concludes a fit with these options."""
    return concluded if options.bias_reduction is None else _reduced


def _reduced(
    origin: Origin,
    problem: Problem,
    options: Options,
    checkpoint: Monitor | None = None,
    result: Result | None = None,
    hard: bool = True,
) -> tuple[Problem, Result, Verdict]:
    """Solve a problem with Jeffreys' penalty and judge the result, see `xlogreg.fitting.outcome.concluded`."""
    result = solve(problem, options, checkpoint) if result is None else result
    objective = problem.objective
    with problem.source.place.computing(), np.errstate(all="ignore"):
        plain = problem.coordinates.centered_parameters_of(result.theta)
        parameters = as_stored(*plain, problem.coordinates.center, origin.dtype_home)
        theta = parameters.theta_in(problem.inner) * objective.free
        if not np.max(np.abs(theta - result.at)) <= SAME * np.max(np.abs(theta), initial=1.0):
            cost = firth.Jeffreys.of(objective)
            (result,) = firth.certified(cost, [dataclasses.replace(result, theta=theta, passes=result.passes + 1)])
        assert result.last.hessian is not None
        assert result.gap is not None
        gap, loss, H = float(result.gap[0]), float(result.last.loss[0]), result.last.hessian
        shift, more = 0.0, 0
        if options.bias_reduction == "flic" and gap == gap:
            shift, more = firth.refit_bias(objective, theta, float(H[0, -1, -1]))
        inverse = Inverse.from_hessians(H, objective.precision, objective.shift(theta)) if gap == gap else None
        converged = gap <= problem.goal(options) * loss
        outcome: dict[str, Any] = described(
            problem, result.last, problem.gradient_norm(theta, result.last.gradient), gap, "local"
        ) | {
            "converged": converged,
            "reason": _reason(result.reason, converged),
            "iterations": result.iterations,
            "passes": round(problem.passes + result.passes + more, 2),
            "rank": None if inverse is None else inverse.conditioning[0].rank,
            "condition": math.nan if inverse is None else inverse.conditioning[0].condition,
            "separation": "",
            "note": "",
        }
        errors = covariance(objective, problem.coordinates, inverse, 1, converged)
    verdict = Verdict(parameters, outcome, errors, shift=shift)
    verdict = verdict._replace(said=warning_of(problem, result, options, verdict, ""))
    if verdict.said is not None:
        warn(*verdict.said)
    return problem, result, verdict


def _reason(reason: str, converged: bool) -> str:
    if reason in ("converged", "precision"):
        return "converged" if converged else "precision"
    return reason
