"""Whether the cost has a minimum where there is no penalty: proved by a step of Newton's method, or refuted.

d the step with the Hessian of all samples, v = X'd its moves of the scores, and alpha = a (1 + v - a'v) class by class:
then X (alpha - Y) / s = gradient + H d = 0, the condition of a minimum, with alpha in place of a. If every alpha is
inside, above zero, and d had every direction to move in that changes a score, then no direction lowers the cost for
ever, and there is a minimum (Haberman, The analysis of frequency data, 1974; Albert & Anderson, Biometrika 1984). It is
at most mean KL(alpha || a) below the cost, by duality (Yu, Huang & Lin, Machine Learning 2011).

Where there is none, the steps end up moving the samples that can be separated by one or more, for ever, and the others
ever less. Without what is left of the latter a step is a direction of recession: no sample moves to its wrong side by
more than the rounding errors of its own product.
"""

from typing import NamedTuple

import numpy as np

from xlogreg.math.moves import INSIDE
from xlogreg.solvers.objective import DUST, Evaluation, Objective
from xlogreg.solvers.preconditioners import Curved, Inverse, curved_directions

__all__ = ["Existence", "Recession", "decide", "recede"]

RANK = 1e-11  # of the largest eigenvalue of a matrix scaled to a unit diagonal, below which a direction is none
RANK_NOISE = 1e3  # rounding errors, where these are more: of a place without float64
ROUNDS = 3  # in which what moves of tied samples is taken out of a step, each to the rounding errors of the last
HALVINGS = 20
FAR, BEYOND = 256.0, 6  # the largest parameter of a step far along a direction of recession; steps taken there
FARTHEST = 100.0  # a sample, in standard deviations that m of equal weight may have
SLOPE = 32.0  # rounding errors that a gradient may have where there is no slope


class Recession(NamedTuple):
    """A direction along which the cost falls for ever."""

    direction: np.ndarray  # (n_x + 1, 1, k)
    complete: bool  # whether every sample moves beyond all classes but its own


class Existence(NamedTuple):
    """What is known of a minimum, and of the last theta that was looked at."""

    separation: str  # "none", "complete", "quasi-complete" or "undecided"
    theta: np.ndarray  # (n_x + 1, 1, k)
    here: Evaluation  # with the Hessian
    step: np.ndarray  # of Newton's method from there
    gap: float  # J - min J at most, NaN where that is not proved
    inverse: Inverse | None  # of the Hessian
    design: np.ndarray | None  # second moment of the features (n_x + 1, n_x + 1), where it was asked for
    direction: np.ndarray | None  # of recession
    passes: int


def recede(objective: Objective, step: np.ndarray) -> tuple[Recession | None, int]:
    """A direction of recession next to a step (n_x + 1, 1, k), if there is one, and the passes that it took."""
    direction, inverse, passes = step, None, 0
    for left in reversed(range(ROUNDS + 1)):
        if step.shape[2] > 1:  # what is the same for all classes moves none against another
            direction = direction - np.mean(direction, axis=2, keepdims=True)
        direction = np.where(np.abs(direction) > DUST * np.max(np.abs(direction)), direction, 0.0)
        wrong, moved, tied = objective.recession(direction)
        passes += 1
        if not moved or (wrong and not left):
            break
        if not wrong:
            return Recession(direction, not tied), passes
        H, pull = objective.tied(step, direction)
        passes += 1
        inverse = Inverse.of(H, objective.precision) if inverse is None else inverse
        direction = direction - inverse.solve(pull)
    return None, passes


def decide(
    objective: Objective, theta: np.ndarray, here: Evaluation | None = None, *, tol: float, steps: int
) -> Existence:
    """Go on by Newton's method until a minimum is proved and near, or refuted, for so many steps at most.

    Parameters
    ----------
    objective : Objective
        Without a penalty.
    theta : ndarray (n_x + 1, 1, k)
    here : Evaluation, optional
        That at theta, with the Hessian.
    tol : float
        Relative gap at which a proved minimum is near enough.
    steps : int
    """
    number, k, rank = 0, theta.shape[2], max(RANK, RANK_NOISE * objective.precision)
    design: np.ndarray | None = None
    at, passes = (objective.expand(theta), 1) if here is None else (here, 0)

    def found(separation: str, gap: float = np.nan, direction: np.ndarray | None = None) -> Existence:
        H, inverse = at.hessian, None
        if H is not None and np.all(np.isfinite(H)):
            inverse = (
                solver if k == 1 and solver is not None else Inverse.of(H, objective.precision, objective.shift(k))
            )
        return Existence(separation, theta, at, step, gap, inverse, design, direction, passes)

    while True:
        assert at.hessian is not None
        step, solver = np.zeros_like(theta), None
        if bool(at.separated[0]):
            return found("complete", direction=theta)
        if not np.isfinite(at.hessian).all() or not np.isfinite(at.gradient).all():
            return found("undecided")
        kept, H, given = _contrasts(at.hessian[0], k), at.hessian, objective.shift(k)
        if k > 1:
            H, given = (matrix[:, kept, :][:, :, kept] for matrix in (H, given))
        solver = Inverse.of(H, objective.precision, given)
        slopes = at.gradient.reshape(-1)[kept].reshape(len(theta), 1, -1)
        step = _in_full(-solver.solve(slopes).reshape(-1), kept, theta) * objective.free
        if not np.all(np.isfinite(step)):
            step = np.zeros_like(theta)
            return found("undecided")
        divergence, outside = (float(part[0]) for part in objective.proof(theta, step))
        passes += 1
        full = int(np.sum(objective.free)) * max(1, k - 1)
        regular, flat = solver.conditioning[0].rank == full and solver.conditioning[0].condition * rank < 1.0, None
        if not regular:
            curved = curved_directions((H - given)[0], rank)
            flat = curved.flat
            if outside == 0:
                if design is None:
                    design, passes = objective.second_moment(), passes + 1
                regular = _is_regular(objective, at, step, curved, curved_directions(design, rank), design)
        if outside == 0 and regular:
            blur = _blur(objective, at, H[0], solver, kept)
            if blur is not None:
                outside, passes = _outside(objective, theta, step, _in_full(blur, kept, theta)), passes + 1
        proved = outside == 0 and regular
        if proved and (divergence <= tol * float(at.value[0]) or number >= steps):
            return found("none", divergence)
        if not proved and _worth_a_look(number):
            for candidate in _candidates(theta, step if outside else None, kept, flat):
                recession, more = recede(objective, candidate)
                passes += more
                if recession is None:
                    continue
                # those that it does not move may be separable, too
                further, beyond, more = _beyond(objective, theta, recession.direction)
                passes += more
                if bool(beyond.separated[0]):
                    theta, at = further, beyond
                complete = recession.complete or bool(at.separated[0])
                return found("complete" if complete else "quasi-complete", direction=recession.direction)
        if number >= steps or (not proved and outside == 0 and divergence <= tol * float(at.value[0])):
            return found("none" if proved else "undecided", divergence if proved else np.nan)
        there, length, more = _further(objective, theta, at, step)
        passes, number = passes + more, number + 1
        if there is None:
            return found("none" if proved else "undecided", divergence if proved else np.nan)
        theta, at = theta + length * step, there


def _blur(
    objective: Objective, here: Evaluation, H: np.ndarray, solver: Inverse, kept: np.ndarray
) -> np.ndarray | None:
    """How far rounding errors of the gradient may have moved the step (p,); None where no sample can be told by that.

    Those of sum_i s_i |x_ij (a_i - y_i)| at most, which by Cauchy and Schwarz is about sqrt(H_jj J). A feature that
    varies in samples that are far out alone has next to no curvature, and the sums of the others drown its slope.
    """
    scale = 1.0 / np.sqrt(H.diagonal())
    blur = 2.0 * objective.noise * float(here.value[0]) ** 0.5 * solver.conditioning[0].condition * scale
    blur = blur * np.broadcast_to(objective.free, here.gradient.shape).reshape(-1)[kept]
    return blur if float(blur.sum()) * FARTHEST * objective.source.m**0.5 > INSIDE else None


def _outside(objective: Objective, theta: np.ndarray, step: np.ndarray, blur: np.ndarray) -> float:
    """Number of samples whose alpha is not inside where the step is off by that: one pass."""
    both = np.concatenate([step - blur, step + blur], axis=1)
    return float(np.max(objective.proof(np.concatenate([theta, theta], axis=1), both)[1]))


def _contrasts(H: np.ndarray, k: int) -> np.ndarray:
    """Numbers of the parameters (p,) that count: of a softmax those of all classes but the most curved one.

    What is the same for all classes changes nothing; left in, it would be a direction of rounding errors.
    """
    numbers = np.arange(len(H))
    return numbers if k == 1 else numbers[numbers % k != int(np.argmax(np.diagonal(H).reshape(-1, k).sum(axis=0)))]


def _in_full(part: np.ndarray, kept: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Those parameters as all of them, like theta (n_x + 1, 1, k), zero for the others."""
    whole = np.zeros(theta.size)
    whole[kept] = part
    return whole.reshape(theta.shape)


def _is_regular(
    objective: Objective, here: Evaluation, step: np.ndarray, curved: Curved, moving: Curved, design: np.ndarray
) -> bool:
    """Whether the Hessian is curved in all directions that the features have, and no slope is left in others."""
    k, size = step.shape[2], np.sqrt(np.diagonal(design))[:, None]
    assert here.hessian is not None
    left = np.abs(here.gradient[:, 0, :] + (here.hessian[0] @ step.reshape(-1)).reshape(-1, k))
    even = bool(np.all(left * objective.free[:, 0, :] <= SLOPE * objective.noise * size))
    return even and curved.rank == max(1, k - 1) * moving.rank


def _beyond(objective: Objective, theta: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, Evaluation, int]:
    """Where some steps lead from far out along a direction of recession: only what it does not move counts there."""
    theta = theta + FAR / float(np.max(np.abs(direction))) * direction
    here, passes = objective.expand(theta), 1
    while passes <= BEYOND and not bool(here.separated[0]):
        assert here.hessian is not None
        if not np.all(np.isfinite(here.hessian)):
            break
        step = Inverse.of(here.hessian, objective.precision).solve(here.gradient) * objective.free
        if not np.max(np.abs(step)) <= FAR:  # out of what rounding left of the curvature
            break
        theta = theta - step
        here, passes = objective.expand(theta), passes + 1
    return theta, here, passes


def _worth_a_look(number: int) -> bool:
    """At steps 0, 1, 3, 6, 10, ...: a look takes as long as some steps."""
    root = int((8 * number + 1) ** 0.5)
    return root * root == 8 * number + 1


def _candidates(
    theta: np.ndarray, step: np.ndarray | None, kept: np.ndarray, flat: np.ndarray | None
) -> list[np.ndarray]:
    """The step; and what theta has in directions in which the loss is flat, as where samples lie far out."""
    candidates = [] if step is None else [step]
    if flat is not None and flat.size:
        if theta.shape[2] > 1:  # of each class against the one that is left out
            left_out = np.setdiff1d(np.arange(theta.shape[2]), kept % theta.shape[2])
            theta = theta - theta[:, :, left_out]
        candidates.append(_in_full(flat @ (flat.T @ theta.reshape(-1)[kept]), kept, theta))
    return candidates


def _further(
    objective: Objective, theta: np.ndarray, here: Evaluation, step: np.ndarray
) -> tuple[Evaluation | None, float, int]:
    """The evaluation after the step, or the first half of it that lowers the cost, the length, and the passes."""
    value = float(here.value[0])
    slack = 8.0 * objective.noise * abs(value)
    for halving in range(HALVINGS):
        length = 0.5**halving
        there = objective.expand(theta + length * step)
        if float(there.value[0]) <= value + slack:
            return there, length, halving + 1
    return None, 0.0, HALVINGS
