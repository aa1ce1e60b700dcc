"""Running the solver of a problem."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from xlogreg.arrays.place import Array
from xlogreg.fitting.monitors import Watch, watch_over
from xlogreg.fitting.problem import Problem
from xlogreg.inputs.options import Options
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.solvers import (
    block_lbfgs,
    descent,
    firth,
    gradient_descent,
    proximal,
    rent_or_buy,
    sampled_newton,
    spectral_lbfgs,
)
from xlogreg.solvers.certificate import EXPANSION_LIMIT, certify
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.newton import Newton
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import Diagonal
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.result import Clock, Monitor, Result

__all__ = ["centered", "largest_curvature", "solve"]

POWER_STEPS = 30  # of the power iteration, at most
SURE = 1e-7  # relative gap, above which pairs of L-BFGS may not tell how large the gap is
PROOFS = 5  # times that a fit is sent on because its Hessian does not confirm the gap


def solve(problem: Problem, options: Options, checkpoint: Monitor | None = None) -> Result:
    """Minimise the objective of a problem; theta and the costs of the result are on the host.

    ``checkpoint``: one more monitor beside those of the call.
    """
    watch = watch_over(problem, options.course, checkpoint)
    with problem.source.place.computing():
        result = SOLVERS[problem.solver](problem, options, watch)
    theta, at = (as_host(theta) * problem.objective.free for theta in (result.theta, result.at))
    return dataclasses.replace(result, theta=theta, at=at, costs=as_host(result.costs)[:, 0])


def _gd(problem: Problem, options: Options, watch: Watch) -> Result:
    objective, place = problem.objective, problem.source.place
    rate, passes = options.learning_rate, 0
    if isinstance(rate, str):
        curvature, passes = largest_curvature(objective, problem.start, np.random.default_rng(options.rng), watch.clock)
        if not math.isfinite(curvature):
            refuse_nonfinite(problem.source)
            raise ValueError("X is too large for learning_rate='auto': its squares overflow; use standardize=True")
        rate = 1.0 / curvature

    def enough(theta: Array) -> bool:
        nonlocal passes
        proof = certify(objective, as_host(theta))
        passes += proof.passes
        return proof.gap is not None and float(proof.gap[0]) <= problem.tolerance(options) * float(proof.here.value[0])

    # theta stays on the device, where nothing has to wait for it; whether classes are separated is found out at the end
    result = gradient_descent.minimize(
        dataclasses.replace(objective, separable=False).on(place),
        place.put(problem.start, place.widest),
        learning_rate=float(rate),
        max_iter=options.steps,
        enough=None if options.tol is None else enough,
        monitor=watch.monitor,
    )
    return dataclasses.replace(result, passes=result.passes + passes)


def _newton(problem: Problem, options: Options, watch: Watch) -> Result:
    return _second_order(problem, options, watch, Newton.for_objective(problem.objective))


def _run(minimize: Callable[..., Result], problem: Problem, options: Options, watch: Watch, **own: Any) -> Result:
    """Run a solver that knows the samples and their spread, with arguments of its ``own``."""
    assert problem.spread is not None
    shared = {
        "spread": problem.spread,
        "coordinates": problem.inner,
        "rng": np.random.default_rng(options.rng),
        "tol": problem.tolerance(options),
        "max_iter": options.steps,
        "monitor": watch.monitor,
    }
    result = minimize(problem.objective, problem.source, problem.start, **(shared | own))
    return centered(problem.objective, result)


def _sampled_newton(problem: Problem, options: Options, watch: Watch) -> Result:
    assert not problem.is_reduced
    tol = problem.tolerance(options)
    if problem.objective.separable:  # steps that come to rest show that there is a minimum: sooner than Newton's would
        tol = min(tol, problem.default_tolerance)
    return _run(sampled_newton.minimize, problem, options, watch, tol=tol, warm=problem.warm, clock=watch.clock)


def _rent_or_buy(problem: Problem, options: Options, watch: Watch) -> Result:
    tol = min(problem.tolerance(options), SURE)
    return _run(rent_or_buy.minimize, problem, options, watch, tol=tol, clock=watch.clock)


def _spectral(problem: Problem, options: Options, watch: Watch) -> Result:
    return _run(spectral_lbfgs.minimize, problem, options, watch, coordinates=problem.coordinates)


def _block(problem: Problem, options: Options, watch: Watch) -> Result:
    strict = min(problem.tolerance(options), problem.default_tolerance)
    return _run(block_lbfgs.minimize, problem, options, watch, strict=strict, clock=watch.clock)


def _proximal(problem: Problem, options: Options, watch: Watch) -> Result:
    objective, penalty = problem.objective, problem.objective.penalty
    if penalty.smooth:  # that of a relaxed fit
        kinked = dataclasses.replace(objective, penalty=penalty.of_both(np.zeros(1), penalty.strength))
        problem = problem._replace(objective=kinked)
    own = {"warm": problem.warm, "known": problem.known, "clock": watch.clock}
    result = _run(proximal.minimize, problem, options, watch, tol=problem.tolerance(options), **own)
    return centered(objective, result)


def _lbfgs(problem: Problem, options: Options, watch: Watch) -> Result:
    objective, tol, max_iter = problem.objective, problem.tolerance(options), options.steps
    # in the engine's coordinates no feature is curved by more than the loss allows
    method = QuasiNewton(Diagonal(np.full((1, 1, 1), objective.loss.bound)))
    result = _second_order(problem, options, watch, method)
    # what the pairs know of the curvature is no proof: go on until the Hessian of all samples says so, too
    for _ in range(PROOFS):
        if (
            result.reason != "converged"
            or result.gap is None
            or result.theta.size > EXPANSION_LIMIT
            or result.iterations >= max_iter
        ):
            break
        proof = certify(objective, result.theta)
        relative = float(proof.gap[0] / proof.here.value[0]) if proof.gap is not None else 0.0
        result = dataclasses.replace(result, passes=result.passes + 1)
        if not relative > tol:
            break
        last = float(as_host(result.gap)[0] / result.last.value[0])
        further = descent.minimize(
            objective,
            result.theta,
            method=result.method,
            tol=0.1 * last * tol / relative,
            max_iter=max_iter - result.iterations,
            monitor=watch.monitor,
        )
        result = result.followed_by(further)
    return centered(objective, result)


def _second_order(problem: Problem, options: Options, watch: Watch, method: Any) -> Result:
    result = descent.minimize(
        problem.objective,
        problem.start,
        method=method,
        tol=problem.tolerance(options),
        max_iter=options.steps,
        monitor=watch.monitor,
    )
    return centered(problem.objective, result)


def _firth(problem: Problem, options: Options, watch: Watch) -> Result:
    cost = firth.Jeffreys.of(problem.objective)
    (result,) = firth.minimize(
        cost, problem.start, tol=problem.tolerance(options), max_iter=options.steps, monitor=watch.monitor
    )
    (result,) = firth.certified(cost, [result])
    return dataclasses.replace(result, passes=result.passes + 1)


def centered(objective: Objective, result: Result) -> Result:
    """Centre theta over the classes of a softmax."""
    return dataclasses.replace(result, theta=objective.centered(result.theta)) if result.theta.shape[2] > 1 else result


SOLVERS = {
    "gd": _gd,
    "newton": _newton,
    "lbfgs": _lbfgs,
    "sampled-newton": _sampled_newton,
    "rent-or-buy": _rent_or_buy,
    "spectral-lbfgs": _spectral,
    "block-lbfgs": _block,
    "proximal": _proximal,
    "firth": _firth,
}


def largest_curvature(
    objective: Objective, start: np.ndarray, rng: np.random.Generator, clock: Clock | None = None
) -> tuple[float, int]:
    """Estimate L, the largest eigenvalue that the Hessian of J can have; return it and the passes that it took.

    The bound of the loss's curvature times the largest eigenvalue of [X; 1] [X; 1]' / s, plus that of the penalty; the
    eigenvalue by power iteration, from below to about one part in a thousand: gradient descent decreases
    J for any rate under 2/L, so 1/L leaves room for that. Stops when the clock says that no step will follow.
    """
    V = rng.standard_normal((objective.inverse_scale.shape[0] + 1, 1, 1))
    largest, passes = 0.0, 0
    while passes < POWER_STEPS:
        V = objective.second_moment_times(V / np.linalg.norm(V))
        previous, largest, passes = largest, float(np.linalg.norm(V)), passes + 1
        known = not largest > 0.0 or abs(largest - previous) <= 1e-3 * largest
        if known or (clock is not None and clock.late):
            break
    curvature = objective.loss.bound * largest + float(np.max(objective.penalty.curvature(start)))
    return (curvature if curvature != 0.0 else 1.0), passes
