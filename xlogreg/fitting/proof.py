"""What is proved of the result of a solver: its gap, and without a penalty whether there is a minimum at all."""

from typing import Any, NamedTuple

import numpy as np

from xlogreg.fitting.problem import NEWTON_LIMIT, Problem
from xlogreg.solvers.certificate import EXPANSION_LIMIT, certify
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.descent import decrement
from xlogreg.solvers.existence import FARTHEST, RANK, SLOPE, Existence, decide
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.preconditioners import Inverse, grounded
from xlogreg.solvers.result import Result
from xlogreg.solvers.sampled_newton import HESSIAN_SHARE

__all__ = ["LOOSE", "Known", "known_of"]

INFERENCE_WORK = 2e9  # operations of a Hessian of all samples that a proof is always worth
SETTLED = ("sampled-newton", "spectral-lbfgs", "batch")  # solvers that stop by their own estimate of the gap
BATCH_WORK = 1e7  # operations of a Hessian that a proof is worth for each of many models
PATIENCE = 10.0  # times INFERENCE_WORK that a proof is worth if some scores have not come to rest
LARGE = 1_000_000  # entries of X, from which on float64 is avoided if float32 will do
WELL_POSED = 1e4  # condition of a Hessian, up to which rounding errors of float32 do not spoil a proof
STEPS = 40  # of Newton's method, after which the question whether there is a minimum stays open
FLAT = 1e-2  # of the cost without features: at a lower cost most samples lie where their loss is flat
DOUBTFUL = 1e8  # condition of a Hessian, from which on the decrement may mislead
LOOSE = 1e-9  # relative gap, above which a step is so long that the decrement may mislead
REST = 1e-22  # of the cost: steps that gain no more than this change the curvature in no more than the eleventh digit


class Known(NamedTuple):
    """What is known at a theta, and the last step, which needs no pass."""

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


def known_of(problem: Problem, result: Result, tol: float) -> Known:
    """Find the certificate; without a penalty also whether there is a minimum, unless that costs too much."""
    objective, p = problem.objective, result.theta.size
    unpenalised = objective.loss.curvature is not None and not objective.penalty.active.any()
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
    """Find the certificate, without the question whether there is a minimum."""
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
        inverse = Inverse.from_hessians(here.hessian, objective.precision, objective.shift(at))
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
    """Whether the decrement may mislead, so that the step has to prove the gap: if samples lie far out, for example."""
    loose = tol > LOOSE or result.reason not in ("converged", "time_limit")
    loose = loose or float(here.value[0]) < -FLAT * problem.null
    return loose or inverse.conditioning[0].condition > DOUBTFUL or problem.source.dtype == "float32"


def _proved(objective: Objective, at: np.ndarray, here: Evaluation, inverse: Inverse) -> float:
    """Bound the gap by the step of Newton's method, see `xlogreg.solvers.existence`; NaN if that proves nothing."""
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
        return np.nan
    gap = divergence + float(objective.penalty.gap_after(at, step)[0])
    return gap if np.isfinite(gap) else np.nan
