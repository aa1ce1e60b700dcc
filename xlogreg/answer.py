"""The parameters that the user gets, and what is proved of them: whatever a solver did, and whatever is done after it.

What follows the last evaluation (a last step, minimum norm, leaving the span of wide data, rounding to the dtype of X)
either changes the cost by less than can be seen, which is bounded, or is evaluated again.
"""

from typing import Any, NamedTuple

import numpy as np

from xlogreg.certificate import EXPANSION_LIMIT, certify
from xlogreg.coordinates import Coordinates, as_host
from xlogreg.engine import HESSIAN_SHARE
from xlogreg.existence import RANK, SLOPE, Existence, decide
from xlogreg.inference import null_log_likelihood
from xlogreg.objective import ROUNDING, Evaluation, Objective
from xlogreg.preconditioners import Inverse, grounded
from xlogreg.problem import Problem
from xlogreg.solvers.descent import decrement
from xlogreg.solvers.result import Result
from xlogreg.wide import Span

__all__ = ["Answer", "Parameters", "answer_of", "as_stored"]

SEEN = 1e-7  # of the cost, or of a thousandth of the cost without features: changes up to this count as none
INFERENCE_WORK = 2e9  # operations of the Hessian of all samples that a proof is worth unasked
SETTLED = ("sampled-newton", "spectral-lbfgs", "batch")  # solvers whose own estimate of the gap ends them
PATIENCE = 10.0  # such works, up to which scores that do not rest are looked into
LARGE = 1_000_000  # numbers of X, from which on float64 is avoided where float32 will do
WELL_POSED = 1e4  # condition of a Hessian up to which rounding errors of float32 do not matter to a proof
STEPS = 40  # of Newton's method, in which it shows whether there is a minimum
HIDDEN = 1e-6  # of the cost: gaps that rounding errors of float32 may hide
DOUBTFUL = 1e8  # condition of a Hessian whose decrement is worth a proof
REST = 1e-22  # of the cost: gaps that are no more leave the curvature as it is, to eleven digits
UNIT = 1.1  # root mean square of a feature in the coordinates of a solver, where its spread was measured, at most
SHIFT = 1e-6  # of a score, that rounding of b may be


class Parameters(NamedTuple):
    """Of a model, in the dtype that it keeps, on the host."""

    w: np.ndarray  # (n_x, k)
    b: np.ndarray  # (k, 1)
    center: np.ndarray | None  # (n_x, 1) where rounding of b would show
    centered_b: np.ndarray | None  # (k, 1)

    def theta_in(self, coordinates: Coordinates) -> np.ndarray:
        """theta (n_x + 1, 1, k) of exactly these, as they predict."""
        w = self.w.astype(np.float64)
        if self.center is None or self.centered_b is None:
            return coordinates.theta_of(w, self.b.astype(np.float64))
        shift = w.T @ (coordinates.center - self.center)
        return np.concatenate([w * coordinates.scale, (self.centered_b + shift).T])[:, None, :]


def as_stored(w: np.ndarray, v: np.ndarray, center: np.ndarray, dtype: str) -> Parameters:
    """Parameters w (n_x, k), v (k, 1) for X - center, rounded; b makes up for what rounding of w does in the mean."""
    with np.errstate(over="ignore"):
        w = w.astype(dtype)
        exact, reach = w.astype(np.float64), float(np.max(np.sum(np.abs(w * center), axis=0)))
        if not reach * ROUNDING[dtype] > SHIFT:
            return Parameters(w, (v - exact.T @ center).astype(dtype), None, None)
        kept = center.astype(dtype)
        centered_b = (v - exact.T @ (center - kept)).astype(dtype)
        return Parameters(w, (centered_b - exact.T @ kept).astype(dtype), kept, centered_b)


class Answer(NamedTuple):
    """A model's parameters, and what is known of them."""

    parameters: Parameters
    here: Evaluation  # holds of the parameters
    gradient_norm: float
    gap: float
    known: str  # as `gap_known` of `FitInfo`
    passes: int
    separation: str  # as there
    direction: np.ndarray | None  # of recession (n_x + 1, 1, k)
    inverse: Inverse | None  # of the Hessian of all samples
    again: Problem | None  # a better one to solve, where rounding errors spoiled the coordinates of this


class Known(NamedTuple):
    """What is known at a theta, and the step that follows without a pass."""

    at: np.ndarray
    here: Evaluation
    step: np.ndarray
    gap: float
    known: str
    passes: int
    separation: str
    direction: np.ndarray | None = None
    inverse: Inverse | None = None
    design: np.ndarray | None = None  # second moment of the features, where it was asked for
    exact: bool = False  # whether it was evaluated in the widest float

    @property
    def flat(self) -> bool:
        """Whether there are directions without curvature."""
        return self.inverse is not None and self.inverse.conditioning[0].null is not None


def answer_of(problem: Problem, result: Result, tol: float, dtype: str) -> Answer:
    """What the user gets of a result, in the dtype of his X."""
    with problem.source.place.computing(), np.errstate(all="ignore"):
        return _answer(problem, result, tol, dtype)


def _answer(problem: Problem, result: Result, tol: float, dtype: str) -> Answer:
    found = _known(problem, result, tol)
    unseen = SEEN * max(float(found.here.value[0]), -1e-3 * null_log_likelihood(problem))  # changes of the cost
    thetas, passes = _finished(problem, found, unseen)
    for number, theta in enumerate(thetas, start=1):
        parameters = as_stored(*problem.engine.centered_parameters_of(theta), problem.engine.center, dtype)
        here, change, faithful, more = _evaluated(problem, found, parameters, unseen)
        passes += more
        risen = min(float(here.value[0] - found.here.value[0]), change)  # of which rounding may be a part
        if risen <= unseen or number == len(thetas):
            break
    gap, known = found.gap, found.known
    if here is not found.here and gap == gap:  # what was proved of the one holds of the other, but for the difference
        gap = max(gap + risen, 0.0)
        if found.inverse is not None and not isinstance(problem.engine, Span):
            seen = float(decrement(here.gradient, -found.inverse.solve(here.gradient))[0])
            gap, known = (seen, "decrement") if seen > 2.0 * gap else (gap, known)
    if found.separation == "complete":
        gap, known = float(here.value[0]), "separated"  # the infimum is zero
    coordinates = problem.inner if isinstance(problem.engine, Span) else problem.engine
    return Answer(
        parameters=parameters,
        here=here,
        gradient_norm=float(np.linalg.norm(coordinates.gradient_of(as_host(here.gradient), problem.user))),
        gap=gap,
        known=known if gap == gap else "",
        passes=found.passes + passes,
        separation=found.separation,
        direction=found.direction,
        inverse=found.inverse,
        again=_again(problem, found, parameters, gap, faithful),
    )


def _again(problem: Problem, found: Known, parameters: Parameters, gap: float, faithful: bool) -> Problem | None:
    """The problem from there on: of all features, not their span; in float64; in coordinates of samples that count."""
    if not faithful:
        return problem.unreduced(parameters.theta_in(problem.inner))
    narrow = problem.source.dtype != problem.given.place.widest and not isinstance(problem.engine, Span)
    if narrow and not gap <= HIDDEN * float(found.here.value[0]) and problem.solver in ("newton", "lbfgs"):
        return problem.widened(found.at)
    lost = (gap != gap and found.separation in ("none", "undecided", "")) or found.separation == "undecided"
    if not lost or found.here.hessian is None or problem.solver == "gd":
        return None
    return problem.recentered(found.at, found.here.hessian[0])


def _known(problem: Problem, result: Result, tol: float) -> Known:
    """The certificate; without a penalty also whether there is a minimum, where that costs no more than it is worth."""
    objective, p = problem.objective, result.theta.size
    unpenalised = objective.loss.curvature is not None and not np.any(objective.l2 > 0)
    if not unpenalised or problem.solver == "batch" or result.reason in ("time_limit", "diverged"):
        return _certified(problem, result)
    work = problem.source.m * p * p
    if result.last.hessian is None and (p > EXPANSION_LIMIT or work > INFERENCE_WORK):
        # of many samples and many features it is enough that the last steps moved no score any more
        still = result.trend is None or not float(objective.restless(result.trend)[0])
        if still or work > PATIENCE * INFERENCE_WORK or not objective.separable or bool(result.last.separated[0]):
            found = _certified(problem, result)
            if found.separation == "undecided" and still and result.reason == "converged":
                found = found._replace(separation="none")
            return found._replace(passes=found.passes + (result.trend is not None))
    asked, existence, passes = _decided(problem, result, tol)
    found = _as_known(asked, existence)
    if problem.solver == "gd" and found.separation == "undecided":
        steps = min(STEPS, int(4 * result.passes / p))  # as long as the descent took
        beside = decide(asked, result.theta, existence.here, tol=np.inf, steps=steps)
        found = found._replace(separation=beside.separation, direction=beside.direction)
        passes += beside.passes
    return found._replace(passes=passes)


def _decided(problem: Problem, result: Result, tol: float) -> tuple[Objective, Existence, int]:
    """Whether there is a minimum, of which objective, and the passes.

    Of X as it was given, unless a well-posed problem shows it in float32.
    """
    ended = result.reason in ("converged", "separated", "precision")
    exact = problem.objective if isinstance(problem.engine, Span) else problem.exact
    if exact is not problem.objective and problem.source.m * problem.source.n_x > LARGE:
        narrow = decide(problem.objective, result.theta, tol=tol, steps=0)
        condition = np.inf if narrow.inverse is None else narrow.inverse.conditioning[0].condition
        small = narrow.gap <= tol * float(narrow.here.value[0]) or not ended
        if narrow.separation == "none" and narrow.design is None and condition <= WELL_POSED and small:
            return problem.objective, narrow, narrow.passes
    start: dict[str, Any] = {"theta": result.theta}
    resting = result.gap is not None and float(result.gap[0]) <= REST * float(result.last.value[0])
    resting = resting or not np.any(result.theta - result.at)
    if resting and result.last.hessian is not None and exact is problem.objective:
        start = {"theta": result.at, "here": result.last}
    existence = decide(exact, **start, tol=tol, steps=STEPS if ended else 0)
    passes = existence.passes
    if ended and existence.separation == "undecided" and problem.solver != "gd":
        # far out little is left to tell directions by: once more, from the start
        anew = decide(exact, problem.start, tol=tol, steps=STEPS)
        passes += anew.passes
        if anew.separation in ("undecided", "quasi-complete"):  # the cost is as low as it was where the solver stopped
            anew = existence._replace(separation=anew.separation, direction=anew.direction)
        existence = anew
    return exact, existence, passes


def _as_known(objective: Objective, existence: Existence) -> Known:
    separation, at, here, step, gap, inverse, design, direction, passes = existence
    known = "bound"
    if gap != gap and separation in ("none", "undecided"):
        left = np.abs(here.gradient + _times(here, step))
        if np.max(left) <= 1e-3 * np.max(np.abs(here.gradient)):
            gap, known = float(decrement(here.gradient, step)[0]), "decrement"
    if not objective.separable and separation in ("none", "undecided"):
        separation = ""  # of soft targets that is nothing to be told
    exact = objective.source.dtype == objective.source.place.widest
    return Known(at, here, step, gap, known, passes, separation, direction, inverse, design, exact)


def _times(here: Evaluation, step: np.ndarray) -> np.ndarray:
    assert here.hessian is not None
    return (here.hessian[0] @ step.reshape(-1)).reshape(step.shape)


def _certified(problem: Problem, result: Result) -> Known:
    """What is known without a look for a minimum that may not exist."""
    objective, timed = problem.objective, result.reason == "time_limit"
    settled = result.reason in ("converged", "precision") and problem.solver in SETTLED
    if result.last.hessian is not None or ((timed or settled) and result.gap is not None):
        known = "estimate" if result.last.hessian is None else "decrement"
        gap = np.nan if result.gap is None else float(as_host(result.gap)[0])
        at, passes, here = as_host(result.at), 0, result.last
    else:
        # after a time limit, skip a Hessian that takes longer than all passes before
        limit = min(EXPANSION_LIMIT, int(HESSIAN_SHARE * result.passes)) if timed else EXPANSION_LIMIT
        at = result.theta
        here, gaps, known, passes = certify(objective, at, limit)
        if gaps is None and result.gap is not None:
            gaps, known = result.gap, "estimate"
        gap = np.nan if gaps is None else float(gaps[0])
    separation = "undecided" if objective.separable else ""
    if bool(here.separated[0]):
        separation = "complete"
    elif objective.separable and problem.solver == "batch" and result.reason in ("converged", "precision"):
        separation = "none"  # its scores have come to rest
    inverse = None
    if here.hessian is not None and np.all(np.isfinite(here.hessian)):
        inverse = Inverse.of(here.hessian, objective.precision, objective.shift(at.shape[2]))
        doubtful = result.reason == "precision" or inverse.conditioning[0].condition > DOUBTFUL
        doubtful = doubtful or (result.reason == "converged" and problem.source.dtype == "float32")
        if doubtful and separation == "" and objective.loss.curvature is not None:
            # the decrement may mislead where samples lie far out
            gap, known, passes = *_proved(objective, at, here), passes + 1
    return Known(at, here, result.theta - at, gap, known, passes, separation, None, inverse)


def _proved(objective: Objective, at: np.ndarray, here: Evaluation) -> tuple[float, str]:
    """The gap by the step of Newton's method where it proves it, see `xlogreg.existence`, and how it is known."""
    assert here.hessian is not None
    k = at.shape[2]
    # constants over the classes change no score, and no penalty wants them
    H = grounded(here.hessian, k, np.inf) if k > 1 else here.hessian
    inverse = Inverse.of(H, objective.precision)
    step = -inverse.solve(here.gradient)
    divergence, outside = (float(part[0]) for part in objective.proof(at, step))
    left = np.max(np.abs(here.gradient + _times(here, step)))  # a slope in a direction that seems to have no curvature
    if outside or inverse.conditioning[0].condition * RANK > 1.0 or left > SLOPE * objective.noise:
        return np.nan, ""
    return divergence + 0.5 * float(np.sum(objective.ridge * step * step)), "bound"


def _finished(problem: Problem, found: Known, unseen: float) -> tuple[list[np.ndarray], int]:
    """theta after the last step, unless that would show; of minimum norm first where directions change no score.

    And the passes that it took.
    """
    if problem.solver == "gd":  # the iterates of the notes, and nothing else
        return [found.at], 0
    theta = found.at if unseen < found.gap else found.at + found.step
    if theta.shape[2] > 1:  # of all with the same probabilities the shortest
        theta = theta - np.mean(theta, axis=2, keepdims=True)
    theta = theta * problem.objective.free
    if not found.flat or np.any(problem.objective.l2 > 0):
        return [theta], 0
    objective = problem.objective if isinstance(problem.engine, Span) else problem.exact
    design, passes = (objective.second_moment(), 1) if found.design is None else (found.design, 0)
    null = Inverse.of(design[None, :, :], objective.precision).conditioning[0].null
    if null is None:
        return [theta], passes
    return [theta - np.einsum("id,jd,jgk->igk", null, null, theta) * objective.free, theta], passes


def _change(problem: Problem, found: Known, moved: np.ndarray) -> float:
    """A bound of how much the cost changes where theta moves so from ``found.at``."""
    objective, at = problem.objective, found.at
    penalty = float(np.sum(objective.ridge * moved * (at + 0.5 * moved)))
    if moved.shape[2] > 1:
        moved = moved - np.mean(moved, axis=2, keepdims=True)
    slope = float(np.sum((as_host(found.here.gradient) - objective.ridge * at) * moved))
    if found.design is not None:
        square = float(np.einsum("igk,ij,jgk->", moved, found.design, moved))
        square = max(square, 0.0) + ROUNDING["float64"] * float(np.sum(moved * moved))
    else:
        square = _reach(problem, moved) ** 2
    return abs(slope + penalty) + 0.5 * objective.loss.bound * square


def _reach(problem: Problem, theta: np.ndarray) -> float:
    """A bound of the root mean square of the scores of theta; infinite where nothing is known of the features."""
    size = float(np.sum(np.linalg.norm(theta[:, 0, :], axis=1)))
    known = isinstance(problem.engine, Span) or problem.spread is not None
    return (UNIT if known else np.inf) * size if size else 0.0


def _evaluated(
    problem: Problem, found: Known, parameters: Parameters, unseen: float
) -> tuple[Evaluation, float, bool, int]:
    """The objective at the parameters, anew where it may differ, and by how much the cost may have risen.

    And whether it is what the span of wide data promised, and the passes.
    """
    exact = problem.exact
    rounded = parameters.theta_in(problem.inner) * exact.free
    if isinstance(problem.engine, Span):
        there = exact.evaluate(rounded)
        return there, np.inf, _is_faithful(problem, found, there, unseen), 1
    with np.errstate(invalid="ignore", over="ignore"):
        change, noise = _change(problem, found, rounded - found.at), 0.0
        if problem.source.dtype != problem.given.place.widest and not found.exact:
            noise = problem.objective.noise * _reach(problem, rounded) / problem.source.m**0.5
    if change + noise * float(found.here.value[0]) <= unseen:
        return found.here, change, True, 0
    return exact.evaluate(rounded), change, True, 1


def _is_faithful(problem: Problem, found: Known, there: Evaluation, unseen: float) -> bool:
    """Whether cost and gradient of all features are those in the span: rounding of products hides small features."""
    gap = found.gap if found.gap == found.gap else 0.0
    if not abs(float(there.value[0] - found.here.value[0])) <= unseen + gap:
        return False
    if not found.known or gap > unseen or found.separation in ("complete", "quasi-complete"):
        return True
    curvature = np.maximum(problem.full.ridge, 1e-2 * problem.full.loss.bound)
    promised = float(np.sum(as_host(there.gradient) ** 2 / (2.0 * curvature)))
    return promised <= 10.0 * unseen
