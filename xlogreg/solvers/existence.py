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

import itertools
from typing import NamedTuple

import numpy as np

from xlogreg.math.moves import INSIDE
from xlogreg.solvers.objective import DUST, Evaluation, Objective
from xlogreg.solvers.preconditioners import Inverse, curved_directions

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
        inverse = Inverse.from_hessians(H, objective.precision) if inverse is None else inverse
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
    search = _Search(objective, theta, here)
    for number in itertools.count():
        if not search.looks():
            return search.found("complete" if search.separated else "undecided")
        near, last = search.divergence <= tol * float(search.here.value[0]), number >= steps
        if search.proved and (near or last):
            return search.found("none")
        if not search.proved and _worth_a_look(number) and (separation := search.refutes()):
            return search.found(separation)
        stuck = not search.proved and search.outside == 0 and near
        if last or stuck or not search.goes_on():
            return search.found("none" if search.proved else "undecided")
    raise AssertionError("a count ends")


class _Search:
    """A run of Newton's method for a minimum, or a direction of recession, and what is known where it is."""

    def __init__(self, objective: Objective, theta: np.ndarray, here: Evaluation | None) -> None:
        self.objective, self.theta, self.k = objective, theta, theta.shape[2]
        self.here, self.passes = (objective.expand(theta), 1) if here is None else (here, 0)
        self.rank = max(RANK, RANK_NOISE * objective.precision)
        self.step = np.zeros_like(theta)
        self.solver: Inverse | None = None  # of the Hessian, of a softmax without the class that is left out
        self.kept = np.arange(0)  # the parameters that it is of
        self.flat: np.ndarray | None = None  # directions in which the Hessian has no curvature
        self.design: np.ndarray | None = None
        self.direction: np.ndarray | None = None
        self.proved, self.divergence, self.outside = False, np.nan, 0.0

    @property
    def separated(self) -> bool:
        """Whether theta separates the classes."""
        return bool(self.here.separated[0])

    def looks(self) -> bool:
        """Find the step, and what it proves; whether there is one."""
        objective, here, theta, k = self.objective, self.here, self.theta, self.k
        assert here.hessian is not None
        self.step, self.solver, self.flat = np.zeros_like(theta), None, None
        if self.separated:
            self.direction = theta
        if self.separated or not np.isfinite(here.hessian).all() or not np.isfinite(here.gradient).all():
            return False
        kept, H, given = _contrasts(here.hessian[0], k), here.hessian, objective.shift(k)
        if k > 1:
            H, given = (matrix[:, kept, :][:, :, kept] for matrix in (H, given))
        self.kept, self.solver = kept, Inverse.from_hessians(H, objective.precision, given)
        slopes = here.gradient.reshape(-1)[kept].reshape(len(theta), 1, -1)
        step = _in_full(-self.solver.solve(slopes).reshape(-1), kept, theta) * objective.free
        if not np.isfinite(step).all():
            return False
        self.step = step
        self.divergence, self.outside = (float(part[0]) for part in objective.proof(theta, step))
        self.passes += 1
        self.proved = self._is_regular((H - given)[0]) and self.outside == 0
        blur = _blur(objective, here, H[0], self.solver, kept) if self.proved else None
        if blur is not None:
            self.outside = _outside(objective, theta, step, _in_full(blur, kept, theta))
            self.passes, self.proved = self.passes + 1, self.outside == 0
        return True

    def _is_regular(self, H: np.ndarray) -> bool:
        """Whether the Hessian is curved in all directions that the features have, and no slope is left in others."""
        assert self.solver is not None
        full = int(np.sum(self.objective.free)) * max(1, self.k - 1)
        rank, condition, _ = self.solver.conditioning[0]
        if rank == full and condition * self.rank < 1.0:
            return True
        curved = curved_directions(H, self.rank)
        self.flat = curved.flat
        if self.outside:
            return False
        if self.design is None:
            self.design, self.passes = self.objective.second_moment(), self.passes + 1
        moving = curved_directions(self.design, self.rank)
        return curved.rank == max(1, self.k - 1) * moving.rank and self._is_level()

    def _is_level(self) -> bool:
        """Whether the step leaves no slope but rounding errors."""
        assert self.here.hessian is not None
        assert self.design is not None
        size = np.sqrt(self.design.diagonal())[:, None]
        slope = self.here.hessian[0] @ self.step.reshape(-1)
        left = np.abs(self.here.gradient[:, 0, :] + slope.reshape(-1, self.k)) * self.objective.free[:, 0, :]
        return bool((left <= SLOPE * self.objective.noise * size).all())

    def refutes(self) -> str:
        """Look for a direction of recession next to the step: "complete", "quasi-complete", or "" for none."""
        for candidate in _candidates(self.theta, self.step if self.outside else None, self.kept, self.flat):
            recession, passes = recede(self.objective, candidate)
            self.passes += passes
            if recession is None:
                continue
            self.direction = recession.direction
            # those that it does not move may be separable, too
            further, beyond, passes = _beyond(self.objective, self.theta, recession.direction)
            self.passes += passes
            if bool(beyond.separated[0]):
                self.theta, self.here = further, beyond
            return "complete" if recession.complete or self.separated else "quasi-complete"
        return ""

    def goes_on(self) -> bool:
        """Take the step, or the part of it that lowers the cost; whether there is one."""
        there, length, passes = _further(self.objective, self.theta, self.here, self.step)
        self.passes += passes
        if there is not None:
            self.theta, self.here = self.theta + length * self.step, there
        return there is not None

    def found(self, separation: str) -> Existence:
        H, inverse = self.here.hessian, None
        if H is not None and np.isfinite(H).all():
            whole = self.k == 1 and self.solver is not None
            shift = self.objective.shift(self.k)
            inverse = self.solver if whole else Inverse.from_hessians(H, self.objective.precision, shift)
        return Existence(
            separation=separation,
            theta=self.theta,
            here=self.here,
            step=self.step,
            gap=self.divergence if separation == "none" else np.nan,
            inverse=inverse,
            design=self.design,
            direction=self.direction,
            passes=self.passes,
        )


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


def _beyond(objective: Objective, theta: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, Evaluation, int]:
    """Where some steps lead from far out along a direction of recession: only what it does not move counts there."""
    theta = theta + FAR / float(np.max(np.abs(direction))) * direction
    here, passes = objective.expand(theta), 1
    while passes <= BEYOND and not bool(here.separated[0]):
        assert here.hessian is not None
        if not np.all(np.isfinite(here.hessian)):
            break
        step = Inverse.from_hessians(here.hessian, objective.precision).solve(here.gradient) * objective.free
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
