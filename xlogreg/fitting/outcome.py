"""Judging what a solver found: the certificate, the statistics, the warnings."""

import math
from typing import Any, NamedTuple

import numpy as np

from xlogreg.exceptions import ConvergenceWarning, DivergenceWarning, SeparationWarning, XlogregWarning
from xlogreg.fitting.answer import Answer, answer_of
from xlogreg.fitting.problem import Problem
from xlogreg.inference.covariance import covariance, null_log_likelihood
from xlogreg.inputs.options import Options
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.solvers.coordinates import Coordinates, as_host
from xlogreg.solvers.objective import Evaluation
from xlogreg.solvers.parameters import Parameters
from xlogreg.solvers.preconditioners import Conditioning, Inverse
from xlogreg.solvers.result import Result
from xlogreg.solvers.span import Span

__all__ = ["Verdict", "described", "judge"]


NAMED = 1e-2  # of the largest part in a direction, which a feature needs to be named
Said = tuple[str, type[XlogregWarning]]  # a warning


class Verdict(NamedTuple):
    """What is known of a result."""

    parameters: Parameters
    outcome: dict[str, Any]  # as part of `FitInfo`
    covariance: np.ndarray | str  # of the parameters, or why there is none
    again: Problem | None = None  # one that is to be solved instead, in coordinates that rounding errors spoil less
    said: Said | None = None  # of what is not as it was asked for


def judge(
    problem: Problem, result: Result, options: Options, dtype: str, names: tuple[str, ...] | None, final: bool
) -> Verdict:
    """How good the result is, for parameters of that dtype, and what is to be said where it is not what was asked for.

    ``names``: those of the features, where they have some. ``final``: whether no other coordinates are to be tried.

    Raises
    ------
    ValueError
        If the cost is not finite because X is not: names where.
    """
    if result.reason == "diverged":
        refuse_nonfinite(problem.source)
    tol = problem.goal(options)
    answer = answer_of(problem, result, tol, dtype)
    cost, gap, separation = float(answer.here.value[0]), answer.gap, answer.separation
    # an estimate is one of patience; the bound by the penalty is a loose one, and does not contradict the solver
    small = gap <= tol * cost and not (result.reason == "time_limit" and answer.known == "estimate")
    small = small or (result.reason == "converged" and answer.known == "bound" and answer.inverse is None)
    converged = bool(small and separation in ("none", ""))
    reason = _reason(result.reason, answer, converged)
    ended = result.reason in ("converged", "precision", "separated", "diverged")
    ended = ended or (result.reason == "max_iter" and isinstance(problem.engine, Span))
    again = answer.again if ended and not final else None
    conditioning = _conditioning(result, answer.inverse)
    outcome = described(problem, answer.here, answer.gradient_norm, gap, answer.known) | {
        "converged": converged,
        "reason": reason,
        "iterations": result.iterations,
        "passes": round(problem.passes + result.passes + answer.passes, 2),
        "rank": None if conditioning is None else conditioning.rank,
        "condition": math.nan if conditioning is None else conditioning.condition,
        "separation": separation,
    }
    verdict = Verdict(answer.parameters, outcome, covariance(problem, answer.inverse, converged), again)
    return verdict._replace(
        said=_warning(problem, result, options, verdict, _strongest(problem, answer.direction, names))
    )


def _reason(reason: str, answer: Answer, converged: bool) -> str:
    """Why the fit ended, as far as what was found afterwards does not say otherwise."""
    separated = answer.separation in ("complete", "quasi-complete")
    if separated and reason in ("converged", "precision"):
        return "separated"
    if reason in ("converged", "precision", "separated") and not separated:
        return "converged" if converged else "precision"
    return reason


def described(problem: Problem, here: Evaluation, norm: float, gap: float, known: str) -> dict[str, Any]:
    """The part of `FitInfo` that an evaluation, the norm of its gradient and its gap tell."""
    source, likelihood = problem.source, problem.objective.loss.curvature is not None
    return {
        "cost": float(as_host(here.value)[0]),
        "gradient_norm": norm,
        "gap": gap,
        "gap_known": known if math.isfinite(gap) else "",
        "parameter_error": math.sqrt(2.0 * max(gap, 0.0) * source.effective_samples),
        "log_likelihood": -source.total_weight * float(as_host(here.loss)[0]) if likelihood else math.nan,
        "null_log_likelihood": source.total_weight * null_log_likelihood(problem),
    }


def _conditioning(result: Result, inverse: Inverse | None) -> Conditioning | None:
    """From the Hessian of all samples, else from the one that the solver stepped with."""
    if inverse is not None:
        return inverse.conditioning[0]
    conditioning = getattr(getattr(result.method, "preconditioner", None), "conditioning", None)
    return conditioning[0] if conditioning else None


def _warning(problem: Problem, result: Result, options: Options, verdict: Verdict, strongest: str) -> Said | None:
    """What is to be said of a result that is not what was asked for, if anything."""
    outcome, steps, tol = verdict.outcome, result.iterations, problem.goal(options)
    reason, separation, cost = outcome["reason"], outcome["separation"], outcome["cost"]
    relative = outcome["gap"] / cost if cost > 0 else outcome["gap"]
    far = f"the gap is {relative:.1e} of the cost, as far as it is known"
    undecided = ""
    if separation == "undecided":
        undecided = ". Whether the classes are separated, so that there is no minimum without l2 > 0, is undecided"
    if reason == "diverged":
        remedy = "a smaller learning_rate, or 'auto'" if problem.solver == "gd" else "standardize=True, or no initial"
        return (
            f"{problem.solver} diverged within {steps} steps: the cost grows or overflows; use {remedy}",
            DivergenceWarning,
        )
    if separation in ("complete", "quasi-complete"):
        how = "every sample on its own side"
        if separation == "quasi-complete":
            how = "no sample on the wrong side, and some on it, as where a class lacks a category"
        return (
            f"a hyperplane separates the classes, with {how}{strongest}: the unpenalised cost has "
            f"no minimum, and falls for ever as w grows. Stopped after {steps} steps; use l2 > 0 for parameters that "
            "mean something",
            SeparationWarning,
        )
    if outcome["converged"]:
        return None
    if reason == "max_iter" and (problem.solver != "gd" or options.tol is not None):
        return (
            f"{problem.solver} made max_iter={steps} steps without reaching tol={tol:g}: {far}; use a larger max_iter"
            + _other_solver(problem)
            + undecided,
            ConvergenceWarning,
        )
    if reason == "time_limit":
        return (
            f"{problem.solver} made {steps} steps within time_limit={options.time_limit:g} seconds without reaching "
            f"tol={tol:g}: {far if math.isfinite(relative) else 'how far the minimum is, is not known'}; go on with "
            f"initial=model, or allow more time{undecided}",
            ConvergenceWarning,
        )
    if reason == "precision" and not math.isfinite(relative):
        return (
            f"{problem.solver} stopped after {steps} steps, and how far the minimum is cannot be told: the curvature "
            "of some combination of features is less than rounding errors. They are nearly collinear, or some samples "
            f"lie so far out that their loss is flat; use l2 > 0, or leave one of those features out{undecided}",
            ConvergenceWarning,
        )
    if reason == "precision" and (options.tol is not None or not relative <= 1e-6 or undecided):
        stored = verdict.parameters.w.dtype.name
        where = problem.source.dtype if problem.source.dtype == stored else f"{stored} parameters"
        return (
            f"rounding errors of {where} hide any further decrease at a gap of {relative:.1e} of the cost, above "
            f"tol={tol:g}; use {_wider(problem, stored)}a larger tol{undecided}",
            ConvergenceWarning,
        )
    return None


def _strongest(problem: Problem, direction: np.ndarray | None, names: tuple[str, ...] | None) -> str:
    """The features that separate the most, in words."""
    if direction is None or not isinstance(problem.engine, Coordinates):
        return ""
    sizes = np.max(np.abs(direction[:-1, 0, :]), axis=1)  # of features of one variance
    strongest = [number for number in np.argsort(-sizes)[:3].tolist() if sizes[number] > NAMED * sizes.max()]
    called = [str(number) if names is None else repr(names[number]) for number in strongest]
    return f" (strongest in the features {', '.join(called)})"


def _wider(problem: Problem, stored: str) -> str:
    """The remedy for rounding, as part of a sentence."""
    if stored == "float32":
        return "X of float64, or "
    return "dtype='float64', or " if problem.source.dtype == "float32" else ""


def _other_solver(problem: Problem) -> str:
    return ", or solver='auto'" if problem.solver == "gd" and problem.objective.loss.curvature else ""
