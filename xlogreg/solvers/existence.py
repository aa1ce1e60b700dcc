"""Prove or refute, by a step of Newton's method, that the cost has a minimum without a penalty.

Let d be the step with the Hessian of all samples, v = X'd its moves of the scores, and alpha = a (1 + v - a'v), class
by class. Then X (alpha - Y) / s = gradient + H d = 0: the condition of a minimum holds with alpha in place of a. If
every alpha is inside, that is above zero, and d was free to move in every direction that changes a score, then no
direction lowers the cost for ever, and there is a minimum (Haberman, The analysis of frequency data, 1974; Albert &
Anderson, Biometrika 1984). The minimum is at most mean KL(alpha || a) below the cost, by duality (Yu, Huang & Lin,
Machine Learning 2011).

If there is no minimum, the steps end up moving the samples that can be separated by one or more, for ever, and the
other samples less and less. Without the remaining moves of the other samples, a step is a direction of recession: no
sample moves to its wrong side by more than the rounding errors of its own product.
"""

from typing import NamedTuple

import numpy as np

from xlogreg.math.moves import INSIDE
from xlogreg.math.sums import correlation_terms
from xlogreg.samples.source import Samples
from xlogreg.solvers.coordinates import Coordinates
from xlogreg.solvers.objective import DUST, Evaluation, Objective
from xlogreg.solvers.preconditioners import Inverse, curved_directions

__all__ = ["FARTHEST", "Existence", "Recession", "blur", "decide", "lone_recession", "recede"]

RANK = 1e-11  # share of the largest eigenvalue, at a unit diagonal, below which a direction counts as flat
RANK_NOISE = 1e3  # the same share in rounding errors, if that is more: on a place without float64
ROUNDS = 3  # times that moves of tied samples are taken out of a step, each to the rounding errors of the last
HALVINGS = 20  # lengths of a step that are tried, each half of the last
FAR = 256.0  # largest parameter of the point far along a direction of recession
BEYOND = 6  # steps of Newton's method that are taken from there
FARTHEST = 100.0  # in units of sqrt(m) standard deviations; no sample lies farther out than 1 if all weights are equal
SLOPE = 32.0  # rounding errors that a gradient may have in a direction without slope


class Recession(NamedTuple):
    """A direction along which the cost falls for ever."""

    direction: np.ndarray  # (n_x + 1, 1, k)
    complete: bool  # whether every sample leaves all classes but its own behind


class Existence(NamedTuple):
    """Knowledge about a minimum, and about the last theta that was looked at."""

    separation: str  # "none", "complete", "quasi-complete" or "undecided"
    theta: np.ndarray  # (n_x + 1, 1, k)
    here: Evaluation  # the objective at theta, with the Hessian
    step: np.ndarray  # the last step of Newton's method; it starts at theta if there is a minimum
    gap: float  # upper bound of J - min J; NaN if no minimum is proved
    inverse: Inverse | None  # inverse of the Hessian
    design: np.ndarray | None  # second moment of the features (n_x + 1, n_x + 1), if it was needed
    direction: np.ndarray | None  # direction of recession
    passes: int


def recede(objective: Objective, step: np.ndarray) -> tuple[Recession | None, int]:
    """Find a direction of recession next to a step (n_x + 1, 1, k), if there is one, and count the passes."""
    direction, inverse, passes = objective.endless(step), None, 0
    for left in reversed(range(ROUNDS + 1)):
        if step.shape[2] > 1:  # a part that is the same for all classes moves no class against another
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


def lone_recession(
    source: Samples, objective: Objective, coordinates: Coordinates, k: int
) -> tuple[Recession | None, int]:
    """Find a direction of recession of single features, such as levels of a category that a class lacks.

    A feature without negative values that is zero in all samples of a class tells them from the samples where it is
    not: its weight for the class can fall for ever. The direction moves all such weights. Two passes.

    Parameters
    ----------
    source : Samples
        The samples of the objective, not centred.
    objective : Objective
    coordinates : Coordinates
        Those of the objective.
    k : int
        Number of outputs.
    """
    x, xy = (np.asarray(part)[:-1] for part in source.sum(correlation_terms, np.zeros((source.n_x + 1, k))))
    by_class = np.concatenate([x - xy, xy], axis=1) if k == 1 else xy
    absent = np.sign(x) * (np.abs(by_class) <= DUST * np.abs(x))
    W = absent[:, :1] - absent[:, 1:] if k == 1 else -absent
    loose = objective.endless(np.ones((source.n_x + 1, 1, k)))[:-1, 0, :] != 0.0
    if not np.any(W * loose):
        return None, 1
    direction = coordinates.theta_of(W * loose / coordinates.scale, np.zeros((k, 1)))
    wrong, moved, tied = objective.recession(direction)
    return (Recession(direction, not tied) if moved and not wrong else None), 2


def decide(
    objective: Objective,
    theta: np.ndarray,
    here: Evaluation | None = None,
    *,
    tol: float,
    steps: int,
    farthest: float = FARTHEST,
) -> Existence:
    """Take at most ``steps`` steps of Newton's method until a minimum is proved and near, or refuted.

    Parameters
    ----------
    objective : Objective
        An objective without a penalty.
    theta : ndarray (n_x + 1, 1, k)
    here : Evaluation, optional
        The evaluation at theta, with the Hessian.
    tol : float
        Relative gap at which a proved minimum is near enough.
    steps : int
    farthest : float
        How far out a sample may lie, in units of sqrt(m) standard deviations: 1 where all have the same weight.
    """
    search = _Search(objective, theta, here, farthest)
    number, before = 0, np.inf
    while True:
        if not search.looks():
            return search.found("complete" if search.separated else "undecided")
        near, last = search.divergence <= tol * float(search.here.value[0]), number >= steps
        if search.proved and (near or last):
            return search.found("none")
        if not search.proved and _worth_a_look(number):
            if separation := search.refutes():
                return search.found(separation)
            # steps that lower the cost by less than its rounding errors bring no more samples inside
            last = last or (search.outside >= before and search.divergence <= objective.noise * search.here.value[0])
            before = search.outside
        stuck = not search.proved and search.outside == 0 and near
        if last or stuck or not search.goes_on():
            return search.found("none" if search.proved else "undecided")
        number += 1


class _Search:
    """A run of Newton's method that looks for a minimum or a direction of recession, and its knowledge so far."""

    def __init__(self, objective: Objective, theta: np.ndarray, here: Evaluation | None, farthest: float) -> None:
        self.objective, self.theta, self.k, self.farthest = objective, theta, theta.shape[2], farthest
        self.here, self.passes = (objective.expand(theta), 1) if here is None else (here, 0)
        self.rank = max(RANK, RANK_NOISE * objective.precision)
        self.step = np.zeros_like(theta)
        self.solver: Inverse | None = None  # inverse of the Hessian; a softmax leaves one class out
        self.kept = np.arange(0)  # numbers of the parameters in `solver`
        self.flat: np.ndarray | None = None  # directions in which the Hessian has no curvature
        self.design: np.ndarray | None = None
        self.direction: np.ndarray | None = None
        self.proved, self.divergence, self.outside = False, np.nan, 0.0

    @property
    def separated(self) -> bool:
        """Whether theta separates the classes."""
        return bool(self.here.separated[0])

    def looks(self) -> bool:
        """Find the step, and find out if it proves a minimum; return whether there is a step."""
        objective, here, theta, k = self.objective, self.here, self.theta, self.k
        assert here.hessian is not None
        self.step, self.solver, self.flat = np.zeros_like(theta), None, None
        if self.separated:
            self.direction = theta
        if self.separated or not np.isfinite(here.hessian).all() or not np.isfinite(here.gradient).all():
            return False
        kept, H, given = _contrasts(here.hessian[0], k), here.hessian, objective.shift(theta)
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
        moved = blur(objective, here, H[0], self.solver, kept) if self.proved else np.zeros(1)
        blurs = float(moved.sum()) * self.farthest * objective.source.m**0.5 > INSIDE  # whether a sample shows it
        if blurs:
            self.outside = _outside(objective, theta, step, _in_full(moved, kept, theta))
            self.passes, self.proved = self.passes + 1, self.outside == 0
        return True

    def _is_regular(self, H: np.ndarray) -> bool:
        """Whether the Hessian is curved in all directions that the features span, and others have no slope left."""
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
        """Look for a direction of recession next to the step; return "complete", "quasi-complete", or "" for none."""
        for candidate in _candidates(self.theta, self.step if self.outside else None, self.kept, self.flat):
            recession, passes = recede(self.objective, candidate)
            self.passes += passes
            if recession is None:
                continue
            self.direction = recession.direction
            # the samples that the direction does not move may be separable, too
            further, beyond, passes = _beyond(self.objective, self.theta, recession.direction)
            self.passes += passes
            if bool(beyond.separated[0]):
                self.theta, self.here = further, beyond
            return "complete" if recession.complete or self.separated else "quasi-complete"
        return ""

    def goes_on(self) -> bool:
        """Take the step, or the part of it that lowers the cost; return whether one does."""
        there, length, passes = _further(self.objective, self.theta, self.here, self.step)
        self.passes += passes
        if there is not None:
            self.theta, self.here = self.theta + length * self.step, there
        return there is not None

    def found(self, separation: str) -> Existence:
        H, inverse = self.here.hessian, None
        if H is not None and np.isfinite(H).all():
            whole = self.k == 1 and self.solver is not None
            shift = self.objective.shift(self.theta)
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


def blur(objective: Objective, here: Evaluation, H: np.ndarray, solver: Inverse, kept: np.ndarray) -> np.ndarray:
    """Bound how far rounding errors of the gradient may have moved the step (p,).

    The rounding errors are at most those of sum_i s_i |x_ij (a_i - y_i)|, which by Cauchy and Schwarz is about
    sqrt(H_jj J). A feature that varies only in samples that are far out has next to no curvature, and the sums over the
    other samples drown its slope.
    """
    scale = 1.0 / np.sqrt(H.diagonal())
    moved = 2.0 * objective.noise * float(here.value[0]) ** 0.5 * solver.conditioning[0].condition * scale
    return moved * np.broadcast_to(objective.free, here.gradient.shape).reshape(-1)[kept]


def _outside(objective: Objective, theta: np.ndarray, step: np.ndarray, off: np.ndarray) -> float:
    """Count the samples whose alpha is not inside if the step is off by ``off``: one pass."""
    both = np.concatenate([step - off, step + off], axis=1)
    return float(np.max(objective.proof(np.concatenate([theta, theta], axis=1), both)[1]))


def _contrasts(H: np.ndarray, k: int) -> np.ndarray:
    """Numbers (p,) of the parameters that count; a softmax leaves out those of its most curved class.

    A part of theta that is the same for all classes changes nothing. Left in, it would be a direction that consists of
    rounding errors.
    """
    numbers = np.arange(len(H))
    return numbers if k == 1 else numbers[numbers % k != int(np.argmax(np.diagonal(H).reshape(-1, k).sum(axis=0)))]


def _in_full(part: np.ndarray, kept: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Put the parameters numbered ``kept`` into an array like theta (n_x + 1, 1, k) that is zero elsewhere."""
    whole = np.zeros(theta.size)
    whole[kept] = part
    return whole.reshape(theta.shape)


def _beyond(objective: Objective, theta: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, Evaluation, int]:
    """Take steps from far out along a direction of recession, where only samples that it does not move count."""
    theta = theta + FAR / float(np.max(np.abs(direction))) * direction
    here, passes = objective.expand(theta), 1
    while passes <= BEYOND and not bool(here.separated[0]):
        assert here.hessian is not None
        if not np.all(np.isfinite(here.hessian)):
            break
        step = Inverse.from_hessians(here.hessian, objective.precision).solve(here.gradient) * objective.free
        if not np.max(np.abs(step)) <= FAR:  # only rounding errors are left of the curvature
            break
        theta = theta - step
        here, passes = objective.expand(theta), passes + 1
    return theta, here, passes


def _worth_a_look(number: int) -> bool:
    """Whether to look for a recession at this step: at 0, 1, 3, 6, 10, ..., as a look takes as long as some steps."""
    root = int((8 * number + 1) ** 0.5)
    return root * root == 8 * number + 1


def _candidates(
    theta: np.ndarray, step: np.ndarray | None, kept: np.ndarray, flat: np.ndarray | None
) -> list[np.ndarray]:
    """List the step, and the part of theta in directions in which the loss is flat, as it is for samples far out."""
    candidates = [] if step is None else [step]
    if flat is not None and flat.size:
        if theta.shape[2] > 1:  # take each class against the one that is left out
            left_out = np.setdiff1d(np.arange(theta.shape[2]), kept % theta.shape[2])
            theta = theta - theta[:, :, left_out]
        candidates.append(_in_full(flat @ (flat.T @ theta.reshape(-1)[kept]), kept, theta))
    return candidates


def _further(
    objective: Objective, theta: np.ndarray, here: Evaluation, step: np.ndarray
) -> tuple[Evaluation | None, float, int]:
    """Evaluate after the step, or its first halving that lowers the cost; return also the length and the passes."""
    value = float(here.value[0])
    slack = 8.0 * objective.noise * abs(value)
    for halving in range(HALVINGS):
        length = 0.5**halving
        there = objective.expand(theta + length * step)
        if float(there.value[0]) <= value + slack:
            return there, length, halving + 1
    return None, 0.0, HALVINGS
