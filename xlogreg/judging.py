"""Judging what a solver found: the certificate, the statistics, the warnings."""

import math
from typing import Any, NamedTuple

import numpy as np

from xlogreg.certificate import EXPANSION_LIMIT, Certificate, certify
from xlogreg.coordinates import Coordinates, as_host
from xlogreg.engine import HESSIAN_SHARE
from xlogreg.exceptions import ConvergenceWarning, DivergenceWarning, SeparationWarning, warn
from xlogreg.inference import covariance, null_log_likelihood
from xlogreg.nonfinite import refuse_nonfinite
from xlogreg.objective import Evaluation, Objective
from xlogreg.options import Options
from xlogreg.preconditioners import Conditioning, Inverse
from xlogreg.problem import Problem
from xlogreg.solvers.result import Result

MOVED = 1e-3  # a score, by what is held to change none

__all__ = ["Verdict", "described", "judge"]

INFERENCE_WORK = 2e9  # operations of the Hessian of all samples that standard errors are worth unasked


class Verdict(NamedTuple):
    """What is known of a result."""

    theta: np.ndarray  # of minimum norm among those with the same scores
    outcome: dict[str, Any]  # as part of `FitInfo`
    covariance: np.ndarray | str  # of the parameters, or why there is none


def judge(problem: Problem, result: Result, options: Options) -> Verdict:
    """How good the result is; warns where it is not what was asked for.

    Raises
    ------
    ValueError
        If the cost is not finite because X is not: names where.
    """
    reason, source = result.reason, problem.source
    if reason == "diverged":
        refuse_nonfinite(source)
    proof = _proof(problem, result)
    inverse, objective = None, problem.objective
    if proof.here.hessian is not None and np.all(np.isfinite(proof.here.hessian)):
        inverse = Inverse.of(proof.here.hessian, objective.precision, objective.shift(result.theta.shape[2]))
    conditioning = _conditioning(result, inverse)
    cost = float(proof.here.value[0])
    gap = math.nan if proof.gap is None else float(proof.gap[0])
    known, tol = proof.known if math.isfinite(gap) else "", problem.tolerance(options)
    complete = bool(proof.here.separated[0])
    theta, more, flat = _of_minimum_norm(objective, result.theta, None if conditioning is None else conditioning.null)
    if reason == "separated":
        gap, known = (cost, "separated") if complete else (math.nan, "")  # the infimum of complete separation is 0
    # the bound is a proof, but a loose one: it does not contradict the solver; an estimate is one of patience
    small = gap <= tol * cost and not (reason == "time_limit" and known == "estimate")
    converged = small or (reason == "converged" and known not in ("decrement", "estimate"))
    converged = bool(converged and not flat)
    separation = _separation(problem, reason, converged, complete)
    _warn(problem, result, options, gap / cost if cost > 0 else gap, tol, converged, separation)
    converged = bool(converged and reason != "separated")
    outcome = described(problem, proof.here, gap, known) | {
        "converged": converged,
        "reason": reason,
        "iterations": result.iterations,
        "passes": round(problem.passes + result.passes + proof.passes + more, 2),
        "rank": None if conditioning is None else conditioning.rank,
        "condition": math.nan if conditioning is None else conditioning.condition,
        "separation": separation,
    }
    return Verdict(theta * problem.objective.free, outcome, covariance(problem, inverse, converged))


def described(problem: Problem, here: Evaluation, gap: float, known: str) -> dict[str, Any]:
    """The part of `FitInfo` that an evaluation and its gap tell."""
    source, likelihood = problem.source, problem.objective.loss.curvature is not None
    return {
        "cost": float(as_host(here.value)[0]),
        "gradient_norm": problem.gradient_norm(here.gradient),
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


def _of_minimum_norm(objective: Objective, theta: np.ndarray, null: np.ndarray | None) -> tuple[np.ndarray, int, bool]:
    """theta (n_x + 1, 1, k) without its part in the directions that change no score, and the passes that it took.

    Or theta as it is, and True, where those directions do change scores: of samples that lie so far out that the loss
    is flat, and so the Hessian, which then proves no minimum.
    """
    if null is None:
        return theta, 0, False
    flat = theta.reshape(null.shape[0], -1)
    part = (null @ (null.T @ flat)).reshape(theta.shape)
    if not objective.separable:
        return theta - part, 0, False
    moves = float(objective.recession(part)[1][0]) >= MOVED
    return (theta if moves else theta - part), 1, moves


def _separation(problem: Problem, reason: str, converged: bool, complete: bool) -> str:
    if not problem.objective.separable:
        return ""
    if complete:
        return "complete"
    if reason == "separated":
        return "quasi-complete"
    return "none" if converged else "undecided"


def _proof(problem: Problem, result: Result) -> Certificate:
    p = problem.start.size
    # where standard errors mean something they are wanted, at the answer itself; unless they cost more than the fit
    exact = result.reason == "converged" and problem.objective.separable and problem.solver != "batch"
    exact = exact and (
        problem.solver == "newton" or (p <= EXPANSION_LIMIT and problem.source.m * p * p <= INFERENCE_WORK)
    )
    if not exact and result.last.hessian is not None:  # Newton's method ends with all that a certificate needs
        return Certificate(result.last, result.gap, "decrement", 0)
    timed = result.reason == "time_limit"
    known = timed or (
        result.reason in ("converged", "precision") and problem.solver in ("sampled-newton", "spectral-lbfgs", "batch")
    )
    if not exact and known and result.gap is not None:
        return Certificate(result.last, result.gap, "estimate", 0)
    # who has no time has none for a Hessian that takes longer than all passes before
    limit = min(EXPANSION_LIMIT, int(HESSIAN_SHARE * result.passes)) if timed else EXPANSION_LIMIT
    proof = certify(problem.objective, result.theta, limit)
    if proof.gap is None and result.gap is not None:
        return proof._replace(gap=result.gap, known="estimate")
    return proof


def _warn(
    problem: Problem, result: Result, options: Options, relative: float, tol: float, converged: bool, separation: str
) -> None:
    reason, steps = result.reason, result.iterations
    undecided = ""
    if separation == "undecided":
        undecided = ". Whether the classes are separated, so that there is no minimum without l2 > 0, is undecided"
    if reason == "separated":
        how = (
            "with every sample on its own side"
            if separation == "complete"
            else "along which no sample moves to the wrong side"
        )
        direction = result.theta if separation == "complete" or result.trend is None else result.trend
        w = np.max(np.abs(direction[:-1, 0, :]), axis=1)  # of features of one variance
        strongest = np.argsort(-w)[:3].tolist() if isinstance(problem.engine, Coordinates) else []
        features = f" (strongest in the features {', '.join(map(str, strongest))})" if strongest else ""
        warn(
            "a hyperplane separates the classes, so the unpenalised cost has no minimum: the longer w, the lower. "
            f"Stopped after {steps} steps at a vector {how}{features}; use l2 > 0 for parameters that mean something",
            SeparationWarning,
        )
    elif reason == "diverged":
        remedy = "a smaller learning_rate, or 'auto'" if problem.solver == "gd" else "standardize=True, or no initial"
        warn(
            f"{problem.solver} diverged within {steps} steps: the cost grows or overflows; use {remedy}",
            DivergenceWarning,
        )
    elif reason == "max_iter" and not converged and (problem.solver != "gd" or options.tol is not None):
        warn(
            f"{problem.solver} made max_iter={steps} steps without reaching tol={tol:g}: the gap is {relative:.1e} "
            "of the cost, as far as it is known; use a larger max_iter" + _other_solver(problem) + undecided,
            ConvergenceWarning,
        )
    elif reason == "time_limit" and not converged:
        far = f"the gap is {relative:.1e} of the cost, as far as it is known"
        warn(
            f"{problem.solver} made {steps} steps within time_limit={options.time_limit:g} seconds without reaching "
            f"tol={tol:g}: {far if math.isfinite(relative) else 'how far the minimum is, is not known'}; go on with "
            f"initial=model, or allow more time{undecided}",
            ConvergenceWarning,
        )
    elif reason == "converged" and relative <= tol and not converged:
        warn(
            f"{problem.solver} stopped after {steps} steps where some samples lie so far out that their loss is flat: "
            f"the curvature there proves no minimum{undecided}",
            ConvergenceWarning,
        )
    elif reason == "converged" and not converged:
        warn(
            f"{problem.solver} stopped after {steps} steps at a gap of {relative:.1e} of the cost, as far as it is "
            f"known, above tol={tol:g}: it knows too little of the curvature; use solver='newton'{undecided}",
            ConvergenceWarning,
        )
    elif reason == "precision" and not converged and (options.tol is not None or not relative <= 1e-6):
        warn(
            f"rounding errors of {problem.source.dtype} hide any further decrease at a gap of {relative:.1e} of the "
            f"cost, above tol={tol:g}; use dtype='float64' or a larger tol{undecided}",
            ConvergenceWarning,
        )


def _other_solver(problem: Problem) -> str:
    return ", or solver='auto'" if problem.solver == "gd" and problem.objective.loss.curvature else ""
