"""The parameters that the user gets, and what is proved of these very parameters.

Something follows the last evaluation of a solver: a last step, minimum norm, leaving the span of wide data, rounding to
the dtype of X. Either a bound shows that it changes the cost by too little to be seen, or the cost is taken again.
"""

from typing import NamedTuple

import numpy as np

from xlogreg.arrays.place import ROUNDING
from xlogreg.fitting.problem import Problem
from xlogreg.fitting.proof import LOOSE, Known, known_of
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.descent import decrement
from xlogreg.solvers.objective import Evaluation
from xlogreg.solvers.parameters import Parameters, as_stored
from xlogreg.solvers.preconditioners import Inverse
from xlogreg.solvers.proximal import Proximal
from xlogreg.solvers.result import Result

__all__ = ["Answer", "answer_of"]

SEEN = 1e-7  # of the cost, or of a thousandth of the cost without features: smaller changes count as none
HIDDEN = 1e-6  # of the cost: rounding errors of float32 may hide a gap of this size
WIDENED = ("newton", "lbfgs", "rent-or-buy")  # solvers whose float32 answers may be taken once more in float64
CLOSER = 0.3  # of the relative gap that is asked for, where a step of the exact Hessian showed a larger one
UNIT = 1.1  # largest root mean square of a feature in the coordinates of a solver, if its spread was measured


class Answer(NamedTuple):
    """A model's parameters, and what is known of them."""

    parameters: Parameters
    here: Evaluation  # holds of the parameters
    gradient_norm: float
    gap: float
    known: str  # as `gap_known` of `FitInfo`
    passes: float
    separation: str  # as there
    direction: np.ndarray | None  # of recession (n_x + 1, 1, k)
    inverse: Inverse | None  # of the Hessian of all samples
    again: Problem | None  # a better one to solve, where rounding errors spoiled the coordinates of this


def answer_of(problem: Problem, result: Result, tol: float, dtype: str) -> Answer:
    """Make the answer that the user gets from a result, in the dtype of his X."""
    with problem.source.place.computing(), np.errstate(all="ignore"):
        return _answer(problem, result, tol, dtype)


def _answer(problem: Problem, result: Result, tol: float, dtype: str) -> Answer:
    found = known_of(problem, result, tol)
    unseen = SEEN * max(float(found.here.value[0]), -1e-3 * problem.null)  # changes of the cost
    thetas, passes = _finished(problem, found, unseen)
    for number, theta in enumerate(thetas, start=1):
        plain = _plain(problem, theta)
        parameters = as_stored(*plain, problem.coordinates.center, dtype)
        here, risen, faithful, more = _evaluated(problem, found, thetas[-1], plain, parameters, (unseen, tol))
        passes += more
        # what is left out as of no use costs nothing, or stays
        if number == len(thetas) or risen <= 0.5 * tol * float(here.value[0]):
            break
        if float(here.value[0]) <= _least_cost(problem, thetas[-1]) + unseen:
            break
    gap, known = found.gap, found.known
    if gap == gap:  # what was proved of the one holds of the other, but for that; what was estimated proves no less
        gap = max(gap + risen, 0.0) if known == "bound" else gap + max(risen, 0.0)
    if here is not found.here and gap == gap and found.inverse is not None and not problem.is_reduced:
        seen = float(decrement(here.gradient, -found.inverse.solve(here.gradient))[0])
        gap, known = (seen, "estimate") if seen > 2.0 * gap else (gap, known)
    gap = min(gap, float(here.value[0])) if gap == gap else gap  # no cost is negative
    if found.separation == "complete" and not problem.objective.penalty.active[0]:
        gap, known = float(here.value[0]), "separated"  # the infimum is zero
    return Answer(
        parameters=parameters,
        here=here,
        gradient_norm=_norm(problem, parameters, here),
        gap=gap,
        known=known if gap == gap else "",
        passes=found.passes + passes,
        separation=found.separation,
        direction=found.direction,
        inverse=found.inverse,
        again=_again(problem, result, found, theta, parameters, (gap, tol), faithful),
    )


def _plain(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn theta into w, v for X - center, with a constant over the classes such that the biases for X sum to zero.

    Without kinks the weights sum to zero, so the biases do so for any centre.
    """
    w, v = problem.coordinates.centered_parameters_of(theta)
    if v.shape[0] > 1 and not problem.full.penalty.smooth:
        v = v - np.mean(v - w.T @ problem.coordinates.center)
    return w, v


def _norm(problem: Problem, parameters: Parameters, here: Evaluation) -> float:
    """Norm of the gradient in the user's coordinates; beside the kinks of a penalty, of the shortest subgradient."""
    gradient, penalty = as_host(here.gradient), problem.full.penalty
    if not penalty.smooth:
        gradient = penalty.least_slope(parameters.theta_in(problem.inner), gradient) * problem.full.free
    return float(np.linalg.norm(problem.inner.gradient_of(gradient, problem.user)))


def _least_cost(problem: Problem, theta: np.ndarray) -> float:
    """Bound the cost at theta from above, with the rounding errors of its scores: one pass."""
    value = -np.inf if problem.is_reduced else float(problem.exact.evaluate(theta).value[0])
    return value + ROUNDING["float64"] * _reach(problem, theta) * abs(value)


def _again(
    problem: Problem,
    result: Result,
    found: Known,
    theta: np.ndarray,
    parameters: Parameters,
    gaps: tuple[float, float],
    faithful: bool,
) -> Problem | None:
    """Pose the problem once more if its coordinates or its dtype spoiled the answer; None if they did not.

    The new problem has all features in place of their span, float64, coordinates of the samples that count, or a
    smaller gap to stop at.
    """
    gap, tol = gaps
    value = float(found.here.value[0])
    if isinstance(result.method, Proximal) and result.reason == "converged" and gap > tol * value:
        closer = problem.tighten * CLOSER * tol * value / gap
        return problem._replace(start=result.at, warm=True, known=result.method.learnt(result), tighten=closer)
    if not faithful:
        return problem.unreduced(parameters.theta_in(problem.inner))
    narrow = problem.source.dtype != problem.given.place.widest and not problem.is_reduced
    if narrow and not gap <= HIDDEN * float(found.here.value[0]) and problem.solver in WIDENED:
        return problem.widened(found.at)
    short = not gap <= tol * float(found.here.value[0]) and found.known in ("bound", "")
    loose = short and (result.reason == "converged" or (found.flat and result.reason == "precision"))
    lost = (gap != gap and found.separation in ("none", "undecided", "")) or found.separation == "undecided"
    endless = found.separation in ("complete", "quasi-complete")  # no theta is nearer to a minimum
    if problem.solver == "gd" or found.here.hessian is None or endless:
        return None
    lost = lost or problem.lies_far(found.at, found.here.hessian[0])
    if not (lost or loose):
        return None
    if loose and tol * problem.tighten > LOOSE:
        return problem.tightened(theta)
    other = problem.recentered(found.at, found.here.hessian[0]) if lost else None
    return problem.tightened(theta) if loose and other is None else other


def _finished(problem: Problem, found: Known, unseen: float) -> tuple[list[np.ndarray], int]:
    """Take the last step unless that would show; return theta of minimum norm first if some directions change no score.

    And the passes that it took.
    """
    if problem.solver == "gd":  # the iterates of the notes, and nothing else
        return [found.at], 0
    theta = found.at + found.step if found.gap <= unseen else found.at
    theta = problem.objective.centered(theta) * problem.objective.free
    if not found.flat or problem.objective.held.any():
        return [theta], 0
    objective, held = problem.finest, problem.objective.penalty.mask[:, 0, :]
    design, passes = (objective.second_moment(), 1) if found.design is None else (found.design, 0)
    design = design + np.diag(held[:, 0].astype(float))  # a direction of weights that are penalised changes the cost
    null = Inverse.from_hessians(design[None, :, :], objective.precision).conditioning[0].null
    if null is None:
        return [theta], passes
    null = np.where(held, 0.0, null)
    return [theta - np.einsum("id,jd,jgk->igk", null, null, theta) * objective.free, theta], passes


def _change(problem: Problem, found: Known, moved: np.ndarray) -> float:
    """Bound how much the cost changes if theta moves by ``moved`` from ``found.at``."""
    objective, at = problem.objective, found.at
    penalty = float(objective.penalty.change(at, moved)[0])
    if moved.shape[2] > 1:
        moved = moved - np.mean(moved, axis=2, keepdims=True)
    slope = float(((as_host(found.here.gradient) - objective.penalty.slope(at)) * moved).sum())
    if found.design is not None:
        square = float(np.einsum("igk,ij,jgk->", moved, found.design, moved))
        square = max(square, 0.0) + ROUNDING["float64"] * float(np.sum(moved * moved))
    else:
        square = _reach(problem, moved) ** 2
    return abs(slope + penalty) + 0.5 * objective.loss.bound * square


def _reach(problem: Problem, theta: np.ndarray) -> float:
    """Bound the root mean square of the scores of theta; infinite if nothing is known of the features."""
    size = float(np.sqrt((theta * theta).sum(axis=2)).sum())
    known = problem.is_reduced or problem.spread is not None
    return (UNIT if known else np.inf) * size if size else 0.0


def _evaluated(
    problem: Problem,
    found: Known,
    theta: np.ndarray,
    plain: tuple[np.ndarray, np.ndarray],
    parameters: Parameters,
    allowed: tuple[float, float],
) -> tuple[Evaluation, float, bool, int]:
    """Evaluate the objective at the parameters if it may differ there; and bound how much higher it may be.

    And whether it is what the span of wide data promised, and the passes. ``theta``: after the last step, and nothing
    else; ``plain``: parameters w, v for X - center before they were rounded; ``allowed``: changes of the cost that
    count as none, and the relative gap that is asked for.
    """
    (unseen, tol), value = allowed, float(found.here.value[0])
    rounded = parameters.theta_in(problem.inner) * problem.full.free
    if problem.is_reduced:
        exact = problem.exact
        there, passes = exact.evaluate(rounded), 1
        promised, before = there, rounded
        if parameters.w.dtype != np.float64:
            before = np.concatenate([plain[0] * problem.inner.scale, plain[1].T])[:, None, :] * exact.free
            promised, passes = exact.evaluate(before), 2
        return there, float(there.value[0]) - value, _is_faithful(problem, found, before, promised, unseen), passes
    change, noise = _change(problem, found, rounded - found.at), 0.0
    if problem.source.dtype != problem.given.place.widest and not found.exact:
        size = (
            value if problem.objective.separable else 1.0
        )  # of soft targets the loss is a difference of large numbers
        noise = size * problem.objective.noise * _reach(problem, rounded) / problem.source.m**0.5
    later = 0.0  # the last step lowers the cost; what comes after it may raise it
    if parameters.w.dtype != np.float64 or found.flat or theta.shape[2] > 1:
        later = _change(problem, found, rounded - theta)
    if change + noise <= unseen and later <= 0.5 * tol * value:
        return found.here, later, True, 0
    there = problem.exact.evaluate(rounded)
    risen = float(there.value[0]) - value
    return there, risen if change > unseen or not noise else min(risen, later), True, 1


def _is_faithful(problem: Problem, found: Known, theta: np.ndarray, there: Evaluation, unseen: float) -> bool:
    """Whether cost and gradient of all features agree with the span, whose products may hide small features."""
    gap = found.gap if found.gap == found.gap else 0.0
    if not abs(float(there.value[0] - found.here.value[0])) <= unseen + gap:
        return False
    if not found.known or gap > unseen or found.separation in ("complete", "quasi-complete"):
        return True
    curvature = np.maximum(problem.full.penalty.curvature(theta), 1e-2 * problem.full.loss.bound)
    promised = float(np.sum(as_host(there.gradient) ** 2 / (2.0 * curvature)))
    return promised <= 10.0 * unseen
