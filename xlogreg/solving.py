"""Running the solver of a problem, and judging what it found."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from xlogreg import engine
from xlogreg.backends import Array
from xlogreg.certificate import Certificate, certify
from xlogreg.coordinates import Coordinates, as_host
from xlogreg.data import refuse_nonfinite
from xlogreg.exceptions import ConvergenceWarning, DivergenceWarning, SeparationWarning, warn
from xlogreg.inference import covariance, null_log_likelihood
from xlogreg.objective import Evaluation, Objective
from xlogreg.options import Options
from xlogreg.preconditioners import Diagonal
from xlogreg.problem import Problem
from xlogreg.progress import ProgressLine, State
from xlogreg.solvers import descent, gradient_descent
from xlogreg.solvers.newton import Newton
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.result import Monitor, Result

__all__ = ["judge", "largest_curvature", "solve"]

TOL = {"float64": 1e-12, "float32": 1e-9}
POWER_STEPS = 30


def solve(problem: Problem, options: Options) -> Result:
    """Minimise; theta and the costs of the result are on the host."""
    max_iter = options.steps
    line = ProgressLine(max_iter) if options.verbose else None
    monitor = _monitor(problem, options.callback, line)
    with problem.source.place.computing():
        result = SOLVERS[problem.solver](problem, options, max_iter, monitor)
    if line is not None:
        line.close(result.iterations)
    theta = as_host(result.theta) * problem.objective.free
    return dataclasses.replace(result, theta=theta, costs=as_host(result.costs)[:, 0])


def _gd(problem: Problem, options: Options, max_iter: int, monitor: Monitor | None) -> Result:
    objective, place = problem.objective, problem.source.place
    rate, passes = options.learning_rate, 0
    if isinstance(rate, str):
        curvature, passes = largest_curvature(objective, np.random.default_rng(options.rng))
        if not math.isfinite(curvature):
            refuse_nonfinite(problem.source)
            raise ValueError("X is too large for learning_rate='auto': its squares overflow; use standardize=True")
        rate = 1.0 / curvature

    def enough(theta: Array) -> bool:
        nonlocal passes
        proof = certify(objective, as_host(theta))
        passes += proof.passes
        return proof.gap is not None and float(proof.gap[0]) <= _tol(problem, options) * float(proof.here.value[0])

    result = gradient_descent.minimize(
        objective.on(place),  # theta stays on the device, where nothing has to wait for it
        place.put(problem.start, place.widest),
        learning_rate=float(rate),
        max_iter=max_iter,
        enough=None if options.tol is None else enough,
        monitor=monitor,
    )
    return dataclasses.replace(result, passes=result.passes + passes)


def _newton(problem: Problem, options: Options, max_iter: int, monitor: Monitor | None) -> Result:
    return _second_order(problem, options, max_iter, monitor, Newton.of(problem.objective))


def _sampled_newton(problem: Problem, options: Options, max_iter: int, monitor: Monitor | None) -> Result:
    assert problem.spread is not None
    assert isinstance(problem.engine, Coordinates)
    return engine.minimize(
        problem.objective,
        problem.source,
        problem.start,
        spread=problem.spread,
        engine=problem.engine,
        warm=problem.warm,
        rng=np.random.default_rng(options.rng),
        tol=_tol(problem, options),
        max_iter=max_iter,
        monitor=monitor,
    )


def _kronecker(problem: Problem, options: Options, max_iter: int, monitor: Monitor | None) -> Result:
    result = engine.minimize_classes(
        problem.objective,
        problem.source,
        problem.start,
        shares=None if problem.spread is None else engine.class_shares(problem.spread),
        rng=np.random.default_rng(options.rng),
        tol=_tol(problem, options),
        max_iter=max_iter,
        monitor=monitor,
    )
    return _centered(result)


def _lbfgs(problem: Problem, options: Options, max_iter: int, monitor: Monitor | None) -> Result:
    # in the engine's coordinates no feature is curved by more than the loss allows
    method = QuasiNewton(Diagonal(np.full((1, 1, 1), problem.objective.loss.bound)))
    return _second_order(problem, options, max_iter, monitor, method)


def _second_order(problem: Problem, options: Options, max_iter: int, monitor: Monitor | None, method: Any) -> Result:
    result = descent.minimize(
        problem.objective,
        problem.start,
        method=method,
        tol=_tol(problem, options),
        max_iter=max_iter,
        monitor=monitor,
    )
    return result if result.theta.shape[2] == 1 else _centered(result)


def _centered(result: Result) -> Result:
    # adding a number to all scores of a sample changes no probability: of all such answers the centred one
    return dataclasses.replace(result, theta=result.theta - np.mean(result.theta, axis=2, keepdims=True))


SOLVERS = {
    "gd": _gd,
    "newton": _newton,
    "lbfgs": _lbfgs,
    "sampled-newton": _sampled_newton,
    "kronecker-lbfgs": _kronecker,
}


def _tol(problem: Problem, options: Options) -> float:
    return TOL[problem.source.dtype] if options.tol is None else float(options.tol)


def largest_curvature(objective: Objective, rng: np.random.Generator) -> tuple[float, int]:
    """L, the largest eigenvalue that the Hessian of J can have, and the passes that it took.

    The bound of the loss's curvature times the largest eigenvalue of [X; 1] [X; 1]' / s, plus l2; the
    eigenvalue by power iteration, from below to about one part in a thousand: gradient descent decreases
    J for any rate under 2/L, so 1/L leaves room for that.
    """
    V = rng.standard_normal((objective.inverse_scale.shape[0] + 1, 1, 1))
    largest, passes = 0.0, 0
    while passes < POWER_STEPS:
        V = objective.second_moment_times(V / np.linalg.norm(V))
        previous, largest, passes = largest, float(np.linalg.norm(V)), passes + 1
        if not largest > 0.0 or abs(largest - previous) <= 1e-3 * largest:
            break
    curvature = objective.loss.bound * largest + float(objective.l2[0, 0, 0])
    return (curvature if curvature != 0.0 else 1.0), passes


def _monitor(problem: Problem, callback: Callable[[State], Any] | None, line: ProgressLine | None) -> Monitor | None:
    if callback is None and line is None:
        return None

    def monitor(iteration: int, theta: Array, here: Evaluation) -> bool:
        state = State(
            iteration,
            theta,
            here,
            parameters=lambda theta: problem.engine.parameters_of(as_host(theta)),
            norm=lambda gradient: _norm(problem, gradient),
        )
        if line is not None:
            line.show(state)
        return callback is not None and bool(callback(state))

    return monitor


def _norm(problem: Problem, gradient: Array) -> float:
    return float(np.linalg.norm(problem.engine.gradient_of(as_host(gradient), problem.user)))


def judge(problem: Problem, result: Result, options: Options) -> tuple[dict[str, Any], np.ndarray | str]:
    """How good the result is, as part of `FitInfo`, and the covariance of the parameters, or why there is none.

    Warns where the result is not what was asked for.

    Raises
    ------
    ValueError
        If the cost is not finite because X is not: names where.
    """
    reason = result.reason
    if reason == "diverged":
        refuse_nonfinite(problem.source)
    proof = _proof(problem, result)
    cost = float(proof.here.value[0])
    gap = math.nan if proof.gap is None else float(proof.gap[0])
    known, tol = proof.known if math.isfinite(gap) else "", _tol(problem, options)
    complete = bool(proof.here.separated[0])
    if reason == "separated":
        gap, known = (cost, "separated") if complete else (math.nan, "")  # the infimum of complete separation is 0
    converged = reason == "converged" or gap <= tol * cost
    _warn(problem, result, options, gap / cost if cost > 0 else gap, tol, converged, complete)
    total = problem.source.total_weight
    converged = bool(converged and reason != "separated")
    outcome = {
        "converged": converged,
        "reason": reason,
        "iterations": result.iterations,
        "passes": round(problem.passes + result.passes + proof.passes, 2),
        "cost": cost,
        "gradient_norm": _norm(problem, proof.here.gradient),
        "gap": gap,
        "gap_known": known,
        "log_likelihood": -total * float(proof.here.loss[0]) if problem.objective.loss.curvature else math.nan,
        "null_log_likelihood": total * null_log_likelihood(problem),
    }
    return outcome, covariance(problem, proof.here, converged)


def _proof(problem: Problem, result: Result) -> Certificate:
    exact = result.reason == "converged" and problem.objective.separable  # for standard errors: at the answer itself
    if result.last.hessian is not None and not exact:  # Newton's method ends with all that a certificate needs
        return Certificate(result.last, result.gap, "decrement", 0)
    if (
        problem.solver in ("sampled-newton", "kronecker-lbfgs") and result.gap is not None
    ):  # a Hessian of all samples would cost more
        return Certificate(result.last, result.gap, "estimate", 0)  # than the fit did
    proof = certify(problem.objective, result.theta)
    if proof.gap is None and result.gap is not None:
        return proof._replace(gap=result.gap, known="estimate")
    return proof


def _warn(
    problem: Problem, result: Result, options: Options, relative: float, tol: float, converged: bool, complete: bool
) -> None:
    reason, steps = result.reason, result.iterations
    if reason == "separated":
        how = "with every sample on its own side" if complete else "along which no sample moves to the wrong side"
        w = np.max(np.abs(result.theta[:-1, 0, :]), axis=1)  # of features of one variance
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
            "of the cost, as far as it is known; use a larger max_iter" + _other_solver(problem),
            ConvergenceWarning,
        )
    elif reason == "precision" and not converged and (options.tol is not None or relative > 1e-6):
        warn(
            f"rounding errors of {problem.source.dtype} hide any further decrease at a gap of {relative:.1e} of the "
            f"cost, above tol={tol:g}; use dtype='float64' or a larger tol",
            ConvergenceWarning,
        )


def _other_solver(problem: Problem) -> str:
    return ", or solver='auto'" if problem.solver == "gd" and problem.objective.loss.curvature else ""
