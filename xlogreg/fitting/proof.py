"""What is proved of the result of a solver: its gap, and whether there is a minimum if no penalty makes sure of it."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from xlogreg.fitting.problem import NEWTON_LIMIT, Problem
from xlogreg.math.moves import INSIDE
from xlogreg.math.penalties import Elastic, Penalty
from xlogreg.samples.products import may_pick, pick_features
from xlogreg.solvers.certificate import EXPANSION_LIMIT, certify, hides
from xlogreg.solvers.constant import log_odds
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.descent import decrement
from xlogreg.solvers.existence import FARTHEST, RANK, SLOPE, Existence, blur, decide, lone_recession
from xlogreg.solvers.kinked import prove
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.preconditioners import Inverse, grounded
from xlogreg.solvers.prices import prices_on
from xlogreg.solvers.proximal import Proximal
from xlogreg.solvers.result import Result
from xlogreg.solvers.sampled_newton import HESSIAN_SHARE

__all__ = ["LOOSE", "Known", "known_of"]

INFERENCE_WORK = 2e9  # operations of a Hessian of all samples that a proof is always worth
SETTLED = (
    "proximal",
    "sampled-newton",
    "spectral-lbfgs",
    "block-lbfgs",
    "batch",
)  # solvers that stop by their own estimate of the gap
BATCH_WORK = 1e7  # operations of a Hessian that a proof is worth for each of many models
PATIENCE = 10.0  # times INFERENCE_WORK that a proof is worth if some scores have not come to rest
ALONE_PASSES = 12  # passes that the features without a penalty take alone, in most cases
ELEMENTWISE = 100  # parameters whose Hessian takes as long as the elementwise work on a score
LARGE = 1_000_000  # entries of X, from which on float64 is avoided if float32 will do
WELL_POSED = 1e4  # condition of a Hessian, up to which rounding errors of float32 do not spoil a proof
PROOF_SHARE = 0.2  # of the time of a fit that a Hessian for the proof may take
PROOF_SHARE_OF_CLASSES = 1.0  # the same of a softmax, of whose curvature L-BFGS knows less if samples lie far out
STEPS = 40  # of Newton's method, after which the question whether there is a minimum stays open
FLAT = 1e-2  # of the cost without features: at a lower cost most samples lie where their loss is flat
DOUBTFUL = 1e8  # condition of a Hessian, from which on the decrement may mislead
LOOSE = 1e-9  # relative gap, above which a step is so long that the decrement may mislead
BLOCKED = 1e-9  # of a direction, which a bound may end without a word
MIXTURE = 10.0  # times an estimate, from which on a bound is that of rounding errors
REST = 1e-22  # of the cost: steps that gain no more than this change the curvature in no more than the eleventh digit


class Known(NamedTuple):
    """What is known at a theta, and the last step, which needs no pass."""

    at: np.ndarray
    here: Evaluation
    step: np.ndarray
    gap: float
    known: str
    passes: float
    separation: str
    direction: np.ndarray | None = None
    inverse: Inverse | None = None
    design: np.ndarray | None = None  # second moment of the features, where it was asked for
    exact: bool = False  # whether it was evaluated in the widest float

    @property
    def flat(self) -> bool:
        """Whether there are directions without curvature."""
        return self.inverse is not None and self.inverse.conditioning[0].null is not None


def known_of(problem: Problem, result: Result, tol: float) -> Known:
    """Find the certificate; also whether there is a minimum if no penalty makes sure, unless that costs too much."""
    found = _known_of(problem, result, tol)
    if not problem.objective.separable and found.separation in ("none", "undecided"):
        found = found._replace(separation="")  # of soft targets that is nothing to be told
    return found


def _known_of(problem: Problem, result: Result, tol: float) -> Known:
    objective, p, partly = problem.objective, result.theta.size, _is_partly_held(problem)
    sure = objective.loss.curvature is None or (bool(objective.penalty.active[0]) and not partly)
    if sure or result.reason in ("time_limit", "diverged"):
        return _certified(problem, result, tol)
    work = problem.source.m * p * p
    if problem.solver == "batch" and (work > BATCH_WORK or not (objective.separable or partly)):
        found = _certified(problem, result, tol)
        rests = found.separation == "undecided" and result.reason in ("converged", "precision")
        return found._replace(separation="none") if rests else found
    if partly:
        return _partly_held(problem, result, tol)
    if lacks_hessian(problem, result):
        # of many samples and many features it is enough that the last steps moved no score any more
        still = result.trend is None or not float(objective.restless(result.trend)[0])
        dear = p > NEWTON_LIMIT or work > PATIENCE * INFERENCE_WORK
        if still or dear or not objective.separable or bool(result.last.separated[0]):
            found = _certified(problem, result, tol)
            found = found._replace(passes=found.passes + (result.trend is not None))
            if found.separation == "undecided":
                found = _alone_endless(problem, found)
            if found.separation == "undecided" and still and result.reason == "converged":
                found = found._replace(separation="none")
            return found
    asked, existence, passes = _decided(problem, result, tol)
    found = _as_known(asked, existence)
    open_ended = objective.separable and found.separation == "undecided"
    if problem.solver == "gd" and open_ended and existence.design is None:
        steps = min(STEPS, int(4 * result.passes / p))  # as long as the descent took
        beside = decide(asked, result.theta, existence.here, tol=np.inf, steps=steps)
        found = found._replace(separation=beside.separation, direction=beside.direction)
        passes += beside.passes
    return found._replace(passes=passes)


def lacks_hessian(problem: Problem, result: Result) -> bool:
    """Whether the solver had no Hessian, and one would cost too much to tell by it if there is a minimum."""
    p = result.theta.size
    return result.last.hessian is None and (p > EXPANSION_LIMIT or problem.source.m * p * p > INFERENCE_WORK)


def _is_partly_held(problem: Problem) -> bool:
    """Whether a penalty, or a relaxed fit, holds some of the weights, and the penalty not all that may move."""
    some = problem.solver == "proximal" or bool(problem.objective.penalty.active[0])
    return some and not problem.objective.held[0]


def _partly_held(problem: Problem, result: Result, tol: float) -> Known:
    """Find the certificate of a fit whose penalty holds some weights, and whether the others have a minimum.

    A step of Newton's method may prove that; see `xlogreg.solvers.existence`. Otherwise, unless that costs too much,
    the features without a penalty are looked at alone: the penalised cost has a minimum where theirs has one.
    """
    objective, p, k, m = problem.finest, result.theta.size, result.theta.shape[2], problem.source.m
    rows = np.append(~objective.penalty.mask[:-1, 0, 0] & (objective.free[:-1, 0, 0] > 0), True)
    apart = may_pick(objective.source, int(np.sum(rows)))
    q = int(np.sum(rows)) * k if apart else p
    cheap = p <= EXPANSION_LIMIT and m * p * p <= INFERENCE_WORK and p * p <= ALONE_PASSES * (q * q + ELEMENTWISE * k)
    found = _certified(problem, result, tol, expand=cheap)
    if found.separation != "undecided":
        return found
    if q > NEWTON_LIMIT or m * q * q > PATIENCE * INFERENCE_WORK:
        # it is enough that the last steps moved no score any more
        still = result.trend is None or not float(problem.objective.restless(result.trend)[0])
        rests = still and result.reason == "converged"
        return found._replace(separation="none" if rests else "undecided", passes=found.passes + 1)
    alone = _loose_alone(objective, rows)
    start = np.zeros((alone.free.shape[0], 1, k))
    constant = None if problem.spread is None else problem.spread.constant
    biases = log_odds(problem.source.shares()) if constant is None else constant.bias[0]
    start[-1, 0, :] = biases * alone.free[-1, 0, 0]
    # gradient descent: as long as the descent took
    steps = STEPS if problem.solver != "gd" else min(STEPS, int(4 * result.passes / p))
    starts = [start] if objective.penalty.active[0] else [result.theta[rows if apart else slice(None)], start]
    for theta in starts:  # that of a relaxed fit is the answer; far out little is left to tell directions by
        existence = decide(alone, theta, tol=tol, steps=steps)
        found = found._replace(separation=existence.separation, passes=found.passes + existence.passes * q / p)
        if found.separation != "undecided":
            break
    if existence.direction is None:
        return found
    direction = np.zeros_like(result.theta)
    direction[rows if apart else slice(None)] = existence.direction
    return _endless(found, direction) if _is_allowed(objective.penalty, direction) else found._replace(separation="")


def _is_allowed(penalty: Penalty, direction: np.ndarray) -> bool:
    """Whether no bound ends a direction; if one does, whether another leads on is not known."""
    if not isinstance(penalty, Elastic) or penalty.lower is None or penalty.upper is None:
        return True
    blocked = np.where(direction < 0, np.isfinite(penalty.lower), np.isfinite(penalty.upper))
    return not np.any(blocked & (np.abs(direction) > BLOCKED * np.max(np.abs(direction))))


def _endless(found: Known, direction: np.ndarray) -> Known:
    """Say that the cost falls for ever along a direction."""
    return found._replace(direction=direction, step=np.zeros_like(direction), gap=np.nan, known="")


def _alone_endless(problem: Problem, found: Known) -> Known:
    """Look for single features that separate classes, where Newton's method would cost too much to tell."""
    if problem.is_reduced:
        return found
    source, objective = problem.given.uncentered(), problem.objective
    recession, passes = lone_recession(source, objective, problem.inner, found.at.shape[2])
    found = found._replace(passes=found.passes + passes)
    if recession is None:
        return found
    separation = "complete" if recession.complete else "quasi-complete"
    return _endless(found._replace(separation=separation), recession.direction)


def _loose_alone(objective: Objective, rows: np.ndarray) -> Objective:
    """Make the objective of the features without a penalty alone, whose ``rows`` (n_x + 1,) of theta are marked.

    If these features cannot be copied, the other rows are fixed at zero.
    """
    source, penalty = objective.source, objective.penalty.of_strengths(np.zeros(1))
    if not may_pick(source, int(np.sum(rows))):
        return dataclasses.replace(objective, penalty=penalty, free=objective.free * rows[:, None, None])
    some = pick_features(source, np.flatnonzero(rows[:-1]))
    return dataclasses.replace(objective, penalty=penalty).of_features(some, np.flatnonzero(rows))


def _decided(problem: Problem, result: Result, tol: float) -> tuple[Objective, Existence, int]:
    """Decide whether there is a minimum; return the objective that was asked, the answer and the passes.

    The objective is that of X as it was given, unless a well-posed problem shows the answer in float32.
    """
    ended = result.reason in ("converged", "separated", "precision")
    exact = problem.finest
    if exact is not problem.objective and problem.source.m * problem.source.n_x > LARGE:
        even = problem.source.effective_samples >= (1.0 - 1e-12) * problem.source.m  # all weights are equal
        farthest = 1.0 if even else FARTHEST
        narrow = decide(problem.objective, result.theta, tol=tol, steps=0, farthest=farthest)
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
    if direction is not None:  # which leads nowhere
        step = np.zeros_like(at)
    exact = objective.source.dtype == objective.source.place.widest
    return Known(at, here, step, gap, known, passes, separation, direction, inverse, design, exact)


def _times(here: Evaluation, step: np.ndarray) -> np.ndarray:
    assert here.hessian is not None
    return (here.hessian[0] @ step.reshape(-1)).reshape(step.shape)


def _certified(problem: Problem, result: Result, tol: float, expand: bool = False) -> Known:
    """Find the certificate; the question whether there is a minimum stays open unless a step answers it.

    ``expand``: whether to take a Hessian of all samples although the solver has an estimate of the gap.
    """
    objective, timed = problem.objective, result.reason == "time_limit"
    settled = result.reason in ("converged", "precision") and not expand
    rented = problem.solver == "rent-or-buy"
    settled = settled and (problem.solver in SETTLED or (rented and _is_dear(problem, result)))
    looks = settled and (rented or result.unseen) and not problem.is_reduced
    hidden = looks and bool(hides(objective, result.theta, problem.moment)[0])
    settled = settled and not hidden
    if result.last.hessian is not None or ((timed or settled) and result.gap is not None):
        known = "estimate" if result.last.hessian is None else "decrement"
        gap = np.nan if result.gap is None else float(as_host(result.gap)[0])
        at, passes, here = as_host(result.at), 0.0, result.last
    else:
        # after a time limit, skip a Hessian that takes longer than all passes before
        limit = min(EXPANSION_LIMIT, int(HESSIAN_SHARE * result.passes)) if timed else EXPANSION_LIMIT
        at = result.theta
        here, gaps, known, passes = certify(objective, at, limit)
        if gaps is None and result.gap is not None:
            gaps, known = result.gap, "estimate"
        gap = np.nan if gaps is None else float(gaps[0])
    if settled and not expand and _is_small_and_kinked(problem, result):
        proved, promise, more = prove(objective, at, here, result.method.curvature)
        passes += more
        gap = float(np.fmax(gap, promise))
        if proved <= max(tol * float(here.value[0]), MIXTURE * gap):  # above, it tells of rounding errors
            gap, known = proved, "bound"
    partly = objective.loss.curvature is not None and _is_partly_held(problem) and not timed
    separation = "undecided" if objective.separable or partly else ""
    if bool(here.separated[0]):
        separation = "complete"
    inverse = None
    if here.hessian is not None and np.isfinite(here.hessian).all():
        inverse = Inverse.from_hessians(here.hessian, objective.precision, objective.shift(at))
        asked = objective.loss.curvature is not None and (separation == "" or partly)
        doubtful = hidden or (asked and _is_doubtful(problem, result, here, inverse, tol))
        if doubtful or partly:
            passes += 1
            proved, steady = _proved(objective, at, here, inverse)
            separation = "none" if steady and partly else separation
            if proved == proved and (doubtful or proved <= gap):
                gap, known = proved, "bound"
            elif doubtful and proved != proved:
                settled = result.reason in ("converged", "precision")
                gap, known = (np.nan, "") if settled else (gap, "estimate")
    return Known(at, here, result.theta - at, gap, known, passes + looks, separation, None, inverse)


def _is_small_and_kinked(problem: Problem, result: Result) -> bool:
    """Whether a penalty with kinks, without bounds, holds weights of data so small that a proof takes no time."""
    penalty, (m, n_x) = problem.objective.penalty, (problem.source.m, problem.source.n_x)
    kinked = isinstance(penalty, Elastic) and bool(penalty.l1[0] > 0) and penalty.lower is None
    return kinked and isinstance(result.method, Proximal) and m * n_x <= LARGE


def _is_dear(problem: Problem, result: Result) -> bool:
    """Whether a Hessian of all samples would take longer than a share of what the fit took."""
    k = result.theta.shape[2]
    size, share = (problem.source.m, problem.source.n_x, k), PROOF_SHARE if k == 1 else PROOF_SHARE_OF_CLASSES
    prices = prices_on(problem.source.place)
    return prices.hessian(*size) > share * result.passes * prices.gradient(*size)


def _is_doubtful(problem: Problem, result: Result, here: Evaluation, inverse: Inverse, tol: float) -> bool:
    """Whether the decrement may mislead, so that the step has to prove the gap: if samples lie far out, for example."""
    loose = tol > LOOSE or result.reason not in ("converged", "time_limit")
    loose = loose or float(here.value[0]) < -FLAT * problem.null
    return loose or inverse.conditioning[0].condition > DOUBTFUL or problem.source.dtype == "float32"


def _proved(objective: Objective, at: np.ndarray, here: Evaluation, inverse: Inverse) -> tuple[float, bool]:
    """Bound the gap by the step of Newton's method, see `xlogreg.solvers.existence`; NaN if that proves nothing.

    Return also whether the step proves that there is a minimum: rounding errors cannot have made it do so.
    """
    assert here.hessian is not None
    k = at.shape[2]
    if k > 1:  # constants over the classes change no score, and no quadratic penalty wants them
        flat = np.inf if objective.penalty.quadratic else objective.precision
        inverse = Inverse.from_hessians(grounded(here.hessian, k, flat), objective.precision)
    step = -inverse.solve(here.gradient)
    divergence, outside = (float(part[0]) for part in objective.proof(at, step))
    left = np.max(np.abs(here.gradient + _times(here, step)))  # a slope in a direction that seems to have no curvature
    least = max(SLOPE * objective.noise, 1e-6 * float(np.max(np.abs(here.gradient))))  # of which rounding is a part
    if outside or inverse.conditioning[0].condition * RANK > 1.0 or left > least:
        return np.nan, False
    moved = float(blur(objective, here, here.hessian[0], inverse, np.arange(at.size)).sum())
    free = inverse.conditioning[0].null is None  # whether the step was free to move in every direction
    steady = free and moved * FARTHEST * objective.source.m**0.5 <= INSIDE
    gap = divergence + float(objective.penalty.gap_after(at, step)[0])
    return gap if np.isfinite(gap) else np.nan, steady
