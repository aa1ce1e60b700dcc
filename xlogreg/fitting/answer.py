"""The parameters that the user gets, and what is proved of them: whatever a solver did, and whatever is done after it.

What follows the last evaluation (a last step, minimum norm, leaving the span of wide data, rounding to the dtype of X)
either changes the cost by less than can be seen, which is bounded, or is evaluated again.
"""

from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import ROUNDING
from xlogreg.fitting.problem import NEWTON_LIMIT, Problem
from xlogreg.solvers.certificate import EXPANSION_LIMIT, certify
from xlogreg.solvers.coordinates import Coordinates, as_host
from xlogreg.solvers.descent import decrement
from xlogreg.solvers.existence import RANK, SLOPE, Existence, decide
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.parameters import Parameters, as_stored
from xlogreg.solvers.preconditioners import Inverse, grounded
from xlogreg.solvers.result import Result
from xlogreg.solvers.sampled_newton import HESSIAN_SHARE
from xlogreg.solvers.span import Span

__all__ = ["Answer", "answer_of"]

SEEN = 1e-7  # of the cost, or of a thousandth of the cost without features: changes up to this count as none
INFERENCE_WORK = 2e9  # operations of the Hessian of all samples that a proof is worth unasked
SETTLED = ("sampled-newton", "spectral-lbfgs", "batch")  # solvers whose own estimate of the gap ends them
BATCH_WORK = 1e7  # operations of a Hessian, which each of many models is given
PATIENCE = 10.0  # such works, up to which scores that do not rest are looked into
LARGE = 1_000_000  # numbers of X, from which on float64 is avoided where float32 will do
WELL_POSED = 1e4  # condition of a Hessian up to which rounding errors of float32 do not matter to a proof
STEPS = 40  # of Newton's method, in which it shows whether there is a minimum
HIDDEN = 1e-6  # of the cost: gaps that rounding errors of float32 may hide
FLAT = 1e-2  # of the cost without features: below, most samples are on the flat side of their loss
DOUBTFUL = 1e8  # condition of a Hessian whose decrement is worth a proof
LOOSE = 1e-9  # relative gap, above which a step is long enough for a decrement to mislead
REST = 1e-22  # of the cost: gaps that are no more leave the curvature as it is, to eleven digits
UNIT = 1.1  # root mean square of a feature in the coordinates of a solver, where its spread was measured, at most


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
    unseen = SEEN * max(float(found.here.value[0]), -1e-3 * problem.null)  # changes of the cost
    thetas, passes = _finished(problem, found, unseen)
    for number, theta in enumerate(thetas, start=1):
        plain = problem.engine.centered_parameters_of(theta)
        parameters = as_stored(*plain, problem.engine.center, dtype)
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
    if here is not found.here and gap == gap and found.inverse is not None and not isinstance(problem.engine, Span):
        seen = float(decrement(here.gradient, -found.inverse.solve(here.gradient))[0])
        gap, known = (seen, "estimate") if seen > 2.0 * gap else (gap, known)
    gap = min(gap, float(here.value[0])) if gap == gap else gap  # no cost is negative
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
        again=_again(problem, result, found, theta, parameters, (gap, tol), faithful),
    )


def _least_cost(problem: Problem, theta: np.ndarray) -> float:
    """The cost at theta, as far as rounding errors of its scores tell: one pass."""
    value = float(problem.exact.evaluate(theta).value[0]) if isinstance(problem.engine, Coordinates) else -np.inf
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
    """The problem from there on: of all features, not their span; in float64; in coordinates of samples that count.

    Or to a smaller gap, where the one that was asked for turned out to be larger than it looked.
    """
    gap, tol = gaps
    if not faithful:
        return problem.unreduced(parameters.theta_in(problem.inner))
    narrow = problem.source.dtype != problem.given.place.widest and not isinstance(problem.engine, Span)
    if narrow and not gap <= HIDDEN * float(found.here.value[0]) and problem.solver in ("newton", "lbfgs"):
        return problem.widened(found.at)
    short = not gap <= tol * float(found.here.value[0]) and found.known in ("bound", "")
    loose = short and (result.reason == "converged" or (found.flat and result.reason == "precision"))
    lost = (gap != gap and found.separation in ("none", "undecided", "")) or found.separation == "undecided"
    if problem.solver == "gd" or found.here.hessian is None:
        return None
    lost = lost or problem.lies_far(found.at, found.here.hessian[0])
    if not (lost or loose):
        return None
    if loose and tol * problem.tighten > LOOSE:
        return problem.tightened(theta)
    other = problem.recentered(found.at, found.here.hessian[0]) if lost else None
    return problem.tightened(theta) if loose and other is None else other


def _known(problem: Problem, result: Result, tol: float) -> Known:
    """The certificate; without a penalty also whether there is a minimum, where that costs no more than it is worth."""
    objective, p = problem.objective, result.theta.size
    unpenalised = objective.loss.curvature is not None and not np.any(objective.l2 > 0)
    if not unpenalised or result.reason in ("time_limit", "diverged"):
        return _certified(problem, result, tol)
    work = problem.source.m * p * p
    if problem.solver == "batch" and (work > BATCH_WORK or not objective.separable):
        return _certified(problem, result, tol)
    if result.last.hessian is None and (p > EXPANSION_LIMIT or work > INFERENCE_WORK):
        # of many samples and many features it is enough that the last steps moved no score any more
        still = result.trend is None or not float(objective.restless(result.trend)[0])
        dear = p > NEWTON_LIMIT or work > PATIENCE * INFERENCE_WORK
        if still or dear or not objective.separable or bool(result.last.separated[0]):
            found = _certified(problem, result, tol)
            if found.separation == "undecided" and still and result.reason == "converged":
                found = found._replace(separation="none")
            return found._replace(passes=found.passes + (result.trend is not None))
    asked, existence, passes = _decided(problem, result, tol)
    found = _as_known(asked, existence)
    if problem.solver == "gd" and found.separation == "undecided" and existence.design is None:
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
    descends = problem.solver == "gd"
    existence = decide(exact, **start, tol=tol, steps=STEPS if ended and not descends else 0)
    passes = existence.passes
    if descends and np.any(existence.theta - result.theta):  # which keeps its iterates
        existence = existence._replace(theta=result.theta, here=exact.expand(result.theta))
        passes += 1
    if descends and existence.separation == "none" and existence.design is not None:
        existence = existence._replace(separation="undecided", gap=np.nan)  # its coordinates may hide directions
    if ended and existence.separation == "undecided" and not descends:
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
            gap, known = float(decrement(here.gradient, step)[0]), "estimate"
    if not objective.separable and separation in ("none", "undecided"):
        separation = ""  # of soft targets that is nothing to be told
    if direction is not None:  # which leads nowhere
        step = np.zeros_like(at)
    exact = objective.source.dtype == objective.source.place.widest
    return Known(at, here, step, gap, known, passes, separation, direction, inverse, design, exact)


def _times(here: Evaluation, step: np.ndarray) -> np.ndarray:
    assert here.hessian is not None
    return (here.hessian[0] @ step.reshape(-1)).reshape(step.shape)


def _certified(problem: Problem, result: Result, tol: float) -> Known:
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
    if here.hessian is not None and np.isfinite(here.hessian).all():
        inverse = Inverse.of(here.hessian, objective.precision, objective.shift(at.shape[2]))
        if (
            separation == ""
            and objective.loss.curvature is not None
            and _is_doubtful(problem, result, here, inverse, tol)
        ):
            passes += 1
            proved = _proved(objective, at, here, inverse)
            if proved == proved:
                gap, known = proved, "bound"
            elif result.reason in ("converged", "precision"):
                gap, known = np.nan, ""
            else:
                known = "estimate"
    return Known(at, here, result.theta - at, gap, known, passes, separation, None, inverse)


def _is_doubtful(problem: Problem, result: Result, here: Evaluation, inverse: Inverse, tol: float) -> bool:
    """Whether the decrement may mislead, as where samples lie far out: then the step has to prove the gap."""
    loose = tol > LOOSE or result.reason not in ("converged", "time_limit")
    loose = loose or float(here.value[0]) < -FLAT * problem.null
    return loose or inverse.conditioning[0].condition > DOUBTFUL or problem.source.dtype == "float32"


def _proved(objective: Objective, at: np.ndarray, here: Evaluation, inverse: Inverse) -> float:
    """The gap by the step of Newton's method, see `xlogreg.solvers.existence`; NaN where it proves none."""
    assert here.hessian is not None
    k = at.shape[2]
    if k > 1:  # constants over the classes change no score, and no penalty wants them
        inverse = Inverse.of(grounded(here.hessian, k, np.inf), objective.precision)
    step = -inverse.solve(here.gradient)
    divergence, outside = (float(part[0]) for part in objective.proof(at, step))
    left = np.max(np.abs(here.gradient + _times(here, step)))  # a slope in a direction that seems to have no curvature
    least = max(SLOPE * objective.noise, 1e-6 * float(np.max(np.abs(here.gradient))))  # of which rounding is a part
    if outside or inverse.conditioning[0].condition * RANK > 1.0 or left > least:
        return np.nan
    return divergence + 0.5 * float(np.sum(objective.ridge * step * step))


def _finished(problem: Problem, found: Known, unseen: float) -> tuple[list[np.ndarray], int]:
    """theta after the last step, unless that would show; of minimum norm first where directions change no score.

    And the passes that it took.
    """
    if problem.solver == "gd":  # the iterates of the notes, and nothing else
        return [found.at], 0
    theta = found.at + found.step if found.gap <= unseen else found.at
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
    penalty = float((objective.ridge * moved * (at + 0.5 * moved)).sum())
    if moved.shape[2] > 1:
        moved = moved - np.mean(moved, axis=2, keepdims=True)
    slope = float(((as_host(found.here.gradient) - objective.ridge * at) * moved).sum())
    if found.design is not None:
        square = float(np.einsum("igk,ij,jgk->", moved, found.design, moved))
        square = max(square, 0.0) + ROUNDING["float64"] * float(np.sum(moved * moved))
    else:
        square = _reach(problem, moved) ** 2
    return abs(slope + penalty) + 0.5 * objective.loss.bound * square


def _reach(problem: Problem, theta: np.ndarray) -> float:
    """A bound of the root mean square of the scores of theta; infinite where nothing is known of the features."""
    size = float(np.sqrt((theta * theta).sum(axis=2)).sum())
    known = isinstance(problem.engine, Span) or problem.spread is not None
    return (UNIT if known else np.inf) * size if size else 0.0


def _evaluated(
    problem: Problem,
    found: Known,
    theta: np.ndarray,
    plain: tuple[np.ndarray, np.ndarray],
    parameters: Parameters,
    allowed: tuple[float, float],
) -> tuple[Evaluation, float, bool, int]:
    """The objective at the parameters, anew where it may differ; how much higher it may be than where it was known.

    And whether it is what the span of wide data promised, and the passes. ``theta``: after the last step, and nothing
    else; ``plain``: parameters w, v for X - center before they were rounded; ``allowed``: changes of the cost that
    count as none, and the relative gap that is asked for.
    """
    exact, (unseen, tol), value = problem.exact, allowed, float(found.here.value[0])
    rounded = parameters.theta_in(problem.inner) * exact.free
    if isinstance(problem.engine, Span):
        there, passes = exact.evaluate(rounded), 1
        promised = there
        if parameters.w.dtype != np.float64:
            before = np.concatenate([plain[0] * problem.inner.scale, plain[1].T])[:, None, :] * exact.free
            promised, passes = exact.evaluate(before), 2
        return there, float(there.value[0]) - value, _is_faithful(problem, found, promised, unseen), passes
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
    there = exact.evaluate(rounded)
    risen = float(there.value[0]) - value
    return there, risen if change > unseen or not noise else min(risen, later), True, 1


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
