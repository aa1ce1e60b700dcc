"""What a fit minimises: the objective, the coordinates that its solver works in, and where it starts."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import ROUNDING, Array
from xlogreg.fitting.penalty import penalty_of
from xlogreg.fitting.start import constant_biases, given_parameters, nearer, null_of, with_constant
from xlogreg.inputs.labels import Targets
from xlogreg.inputs.options import Options
from xlogreg.math.losses import LOSSES, PRECISE, RARE, Loss
from xlogreg.math.one_hot import ONE_HOT
from xlogreg.math.penalties import Penalty, make_penalty
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Samples, host_center
from xlogreg.solvers import block_lbfgs
from xlogreg.solvers.certificate import EXPANSION_LIMIT
from xlogreg.solvers.coordinates import (
    Coordinates,
    CoordinateSystem,
    Spread,
    engine_coordinates,
    gradient_norm,
    measure_spread,
    refuse_drowned,
    user_coordinates,
)
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.proximal import begins_small
from xlogreg.solvers.rent_or_buy import renting_pays
from xlogreg.solvers.sampled_newton import subset_pays
from xlogreg.solvers.span import Span, is_even, reduce_wide, reduction_pays, turns_alike
from xlogreg.solvers.spectral_lbfgs import axes_pay

__all__ = ["Problem", "choose_solver", "pose", "start_of"]

TOL = {"float64": 1e-12, "float32": 1e-9}  # relative gap that a fit ends at unless the user asks for another
NEWTON_LIMIT = 5000  # parameters; beyond them the Hessian takes 200 MB and each factorisation seconds
# means, in standard deviations, that may be subtracted from the score instead of from X
FOLD = {"float64": 1e4, "float32": 2.0}
HESSIAN_FOLD = 10.0  # the same for Hessians, in which squares of means are subtracted from squares
SHIFT = 1.0  # rounding errors, in standard deviations, by which a centre may be off if no bias makes up for it
SPAN_TOL = 1e-9  # relative gap in the span of wide data, at which it shows whether the span tells all of X
TIGHTER = 1e-4  # factor of the gap to stop at, after a gap that turned out larger than it looked
FAR_OUT = 1e5  # standard deviations, from which on samples far out are certain to spoil the coordinates
RECENTER = 10.0  # standard deviations by which samples far out must have moved the mean of those that count
FEW_LOOSE = 200  # features without a penalty, up to which the span of the other features tells the curvature
NEWTON_WORK = 2e8  # operations of one Hessian, below which Newton's method is always quick enough


class Problem(NamedTuple):
    """An objective for a theta on the host, in coordinates that suit the solver, and how to minimise it."""

    source: Samples
    objective: Objective
    user: Coordinates  # those of the penalty, and of gradient descent
    coordinates: CoordinateSystem
    spread: Spread | None  # in the coordinates of X; None where it was not measured
    start: np.ndarray  # (n_x + 1, 1, k)
    warm: bool  # whether the start is the user's
    solver: str
    passes: float  # made so far
    given: Samples  # as they came
    inner: Coordinates  # the engine's, were they not those of a span
    full: Objective  # that of all features there
    columns: Samples  # its samples
    tighten: float = 1.0  # what the gap to stop at is multiplied by
    known: Any = None  # what a proximal method has learnt of the curvature, of the same samples

    def unreduced(self, theta: np.ndarray) -> "Problem":
        """Pose the problem of all features, not of the span of wide data, from their theta (n_x + 1, 1, k) on."""
        source, objective, descends = self.columns, self.full, self.solver == "gd"
        if not descends:
            source, objective = _settled(source, objective)
        asked = self.solver if self.solver in ("gd", "lbfgs") else "auto"
        solver = choose_solver(source, theta.shape[2], asked, None, objective.penalty)
        changed: dict[str, Any] = {"coordinates": self.inner, "full": objective, "columns": source}
        changed |= {"solver": solver, "warm": True}
        start = np.zeros_like(theta) if descends else objective.confined(theta)
        return self._replace(source=source, objective=objective, start=start, **changed)

    def with_strengths(self, l1: float, l2: float) -> "Problem":
        """Pose the problem with an elastic net of other strengths."""
        penalty = self.full.penalty.of_both(np.asarray([l1]), np.asarray([l2]))
        changed = dataclasses.replace(self.objective, penalty=penalty)
        full = changed if self.objective is self.full else dataclasses.replace(self.full, penalty=penalty)
        return self._replace(full=full, objective=changed)

    def tightened(self, theta: np.ndarray) -> "Problem":
        """Ask for a smaller gap by Newton's method, from a theta (n_x + 1, 1, k) on."""
        return self._replace(start=theta, warm=True, solver="newton", tighten=TIGHTER * self.tighten)

    def widened(self, theta: np.ndarray) -> "Problem":
        """Compute in the widest float of the place, from a theta (n_x + 1, 1, k) on."""
        full = self.exact
        changed: dict[str, Any] = {"objective": full, "full": full, "source": full.source, "columns": full.source}
        return self._replace(start=theta, warm=True, known=None, **changed)

    def recentered(self, theta: np.ndarray, hessian: np.ndarray) -> "Problem | None":
        """Take the coordinates from the samples that count at theta: if others lie far out, these may be few.

        The curvature of each sample weights means and scales; the Hessian (p, p) holds it. None if that would change
        nothing.
        """
        rows, here = theta.shape[0], self.inner
        if self.is_reduced or not here.center.any() or theta.size > NEWTON_LIMIT or not self.given.shifts:
            return None
        mean, scale = self._of_those_that_count(theta, hessian)
        if not np.all(np.isfinite(mean)) or not np.max(np.abs(mean)) > RECENTER * np.nanmin(scale, initial=np.inf):
            return None
        center = here.center + here.scale * mean[:, None]
        source = self.given.centered(center)
        scale = here.scale * np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)[:, None]
        inner = Coordinates(host_center(source), scale)
        column = (rows - 1, 1, 1)
        full = dataclasses.replace(
            self.full,
            source=source,
            inverse_scale=np.reshape(1.0 / scale, column),
            penalty=self.full.penalty.in_units(np.reshape(self.user.scale / scale, column)),
            center=None,
            folded=False,
        )
        w, v = here.centered_parameters_of(theta)
        v = v + w.T @ (inner.center - here.center)
        start = np.concatenate([w * scale, v.T])[:, None, :] * full.free
        changed: dict[str, Any] = {"objective": full, "full": full, "source": source, "columns": source}
        changed |= {"coordinates": inner, "inner": inner, "spread": None, "solver": "newton", "warm": True}
        return self._replace(start=start, **changed)

    def lies_far(self, theta: np.ndarray, hessian: np.ndarray) -> bool:
        """Whether some samples lie so far out that the coordinates hardly tell apart those that count at theta."""
        if self.is_reduced or not self.inner.center.any():
            return False
        mean, scale = self._of_those_that_count(theta, hessian)
        distance = np.abs(mean) * self.objective.free[:-1, 0, 0]
        near = distance <= FAR_OUT * scale  # not where the scale is NaN, lost in rounding errors
        return bool((~near & (distance > 0.0) & (distance < np.inf)).any())

    def _of_those_that_count(self, theta: np.ndarray, hessian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale of the features (n_x,), weighted by the curvature of each sample; NaN if lost in rounding."""
        rows, k = theta.shape[0], theta.shape[2]
        S = hessian - self.objective.shift(theta)[0]
        S = S if k == 1 else np.trace(S.reshape(rows, k, rows, k), axis1=1, axis2=3)
        with np.errstate(all="ignore"):
            mean = S[:-1, -1] / S[-1, -1]
            return mean, np.sqrt(S.diagonal()[:-1] / S[-1, -1] - mean * mean)

    @property
    def is_reduced(self) -> bool:
        """Whether theta is in the span of the samples, so that no row of it is a feature."""
        return self.coordinates.features is None

    @property
    def moment(self) -> np.ndarray:
        """Second moment (n_x, 1) of the features in the coordinates of theta."""
        assert self.spread is not None
        return self.spread.moment(self.inner)

    @property
    def finest(self) -> Objective:
        """The objective with the least rounding errors for a theta of this problem."""
        return self.objective if self.is_reduced else self.exact

    @property
    def exact(self) -> Objective:
        """The objective of all features in the widest float of the place, of X itself and not of rounded blocks."""
        place = self.given.place
        if self.source.dtype == place.widest and self.full is self.objective:
            return self.full
        source, folded = self.given.widened(), _far(self.inner) < HESSIAN_FOLD
        if self.inner.center.any():
            source = source.centered(self.inner.center)
        folded = (folded and source.center is not None) or not source.shifts
        center = np.reshape(self.inner.center, (-1, 1, 1)) if folded else None
        return dataclasses.replace(self.full, source=source, center=center, folded=center is not None)

    @property
    def null(self) -> float:
        """Mean log-likelihood of the model without features."""
        return null_of(self.source, self.spread, self.start.shape[2], bool(self.objective.free[-1, 0, 0]))

    def goal(self, options: Options) -> float:
        """The relative gap that the user asks for, or the default."""
        return self.default_tolerance if options.tol is None else float(options.tol)

    def tolerance(self, options: Options) -> float:
        """The relative gap to stop at. It is always small in the span of wide data, where steps cost little."""
        tol = self.tighten * self.goal(options)
        return min(tol, SPAN_TOL) if self.is_reduced and self.solver != "gd" else tol

    @property
    def default_tolerance(self) -> float:
        """The relative gap for the dtype that computes, unless the user asks for another."""
        return TOL[self.source.dtype]

    def gradient_norm(self, theta: Array, gradient: Array) -> float:
        return gradient_norm(self.objective.penalty, self.coordinates, self.user, theta, gradient)


def choose_solver(source: Samples, outputs: int, asked: str, spread: Spread | None, penalty: Penalty) -> str:
    """Choose a solver, a key of `solving.SOLVERS`: the one place that decides what "auto" means."""
    parameters = (source.n_x + 1) * outputs
    if asked == "newton" and parameters > NEWTON_LIMIT:
        raise ValueError(
            f"solver='newton' holds a Hessian of {parameters} x {parameters} parameters; "
            f"beyond {NEWTON_LIMIT} use solver='auto' or 'lbfgs'"
        )
    if asked != "auto" or not penalty.smooth:
        return asked if penalty.smooth else "proximal"  # options refuse the others
    block = spread is not None and penalty.quadratic and not source.dense
    if block and source.n_x > block_lbfgs.FEATURES and parameters > EXPANSION_LIMIT:
        return "block-lbfgs"
    subset = spread is not None and outputs == 1 and parameters <= NEWTON_LIMIT
    subset = subset and spread is not None and subset_pays(source, spread, parameters)
    if (outputs == 1 or penalty.quadratic) and renting_pays(source, outputs, subset):
        return "rent-or-buy"
    if subset:
        return "sampled-newton"
    # Newton's method takes m p^2 operations a step, a gradient 4 m p
    if parameters > EXPANSION_LIMIT or (outputs > 1 and source.m * parameters**2 > NEWTON_WORK):
        # blocks that are no arrays have no products between samples, which tell the span of many features; a feature
        # without a penalty needs a direction of its own beside that span
        span = source.dense and np.sum(penalty.loose) <= FEW_LOOSE
        spectral = penalty.quadratic and (span or axes_pay(source, outputs))
        return "spectral-lbfgs" if spectral else "block-lbfgs" if block else "lbfgs"
    return "newton"


def pose(source: Samples, targets: Targets, initial: Any, options: Options) -> Problem:
    """Pose the problem of fitting ``targets`` to ``source``; measure the spread of the features if that helps."""
    k = 1 if len(targets.classes) == 2 else len(targets.classes)
    options.expect_classes(len(targets.classes), source.n_x)
    given = None if initial is None else given_parameters(initial, source.n_x, k)
    problem = _of_all_features(source, targets, k, options)
    turns = options.bias_reduction is None and turns_alike(problem.objective.penalty, options.solver == "gd")
    if given is None and turns and reduction_pays(problem.source, options.steps):
        problem = _of_their_span(problem, problem.source, options)
    spread = None if problem.is_reduced else problem.spread
    solver = choose_solver(problem.source, k, options.asked, spread, problem.objective.penalty)
    if problem.spread is not None and options.bias and solver != "gd":
        problem.start[-1, 0, :] = constant_biases(problem.spread)
    if options.solver != "gd":  # which meets X here for the first time, and has to say where it is not finite
        source, objective = _settled(problem.source, problem.objective)
        problem = problem._replace(source=source, objective=objective)
        problem = problem if problem.is_reduced else problem._replace(full=objective, columns=source)
    return _started(problem._replace(solver=solver), given)


def _of_all_features(source: Samples, targets: Targets, k: int, options: Options) -> Problem:
    """Pose the problem in coordinates in which all features are alike, without a solver and from zero."""
    exact = options.standardize is True  # whose scale the user sees, in the penalty and in the steps
    crossed = options.l1 > 0 and not begins_small(source, (source.n_x + 1) * k)
    spread = measure_spread(source, exact, crossed) if options.solver != "gd" or exact else None
    spread = with_constant(spread, source, options.bias)
    if spread is not None and not np.isfinite(spread.variance).all():
        raise ValueError("X is too large to compute with: the squares of its values overflow; divide it by a number")
    if spread is not None and options.bias and not source.shifts:
        refuse_drowned(source, spread)
    loss = LOSSES["cross_entropy" if k > 1 else options.loss]
    if targets.numbers:
        loss = ONE_HOT
    elif spread is not None and np.min(spread.shares) < RARE[source.dtype]:
        loss = PRECISE.get(loss.name, loss)
    user = user_coordinates(source.n_x, options.standardize, spread)
    given, inner = source, user  # gradient descent: exactly the notes' iterates
    if options.solver != "gd" and spread is not None:
        farthest = np.inf if source.shifts else HESSIAN_FOLD  # of means that nothing can be subtracted from X for
        ridge = options.strength / loss.bound * (1.0 if options.factor is None else options.factor[:, None])
        inner = engine_coordinates(user, spread, ridge, options.bias, farthest)
    if inner.center.any():
        source, inner = _centered(source, inner, options.bias)
    moving = np.ones(source.n_x)
    if spread is not None:  # a feature that is constant has the weight zero, to the bit
        shifted = 0.0 if options.bias else (spread.mean - inner.center) ** 2
        moving = (spread.variance + shifted > 0)[:, 0].astype(float)
    far = _far(inner)
    folds = (source.center is not None and far < FOLD[source.dtype]) or not source.shifts
    objective = _objective(
        source,
        loss,
        penalty_of([options], (user.scale / inner.scale)[:, :, None], inner.scale[:, :, None], k),
        inner.scale,
        np.append(moving, float(options.bias)),
        separable=targets.hard and loss.curvature is not None and options.bias_reduction is None,
        center=inner.center[:, :, None] if folds else None,
        folded=folds and (far < HESSIAN_FOLD or not source.shifts),
    )
    return Problem(
        source=source,
        objective=objective,
        user=user,
        coordinates=inner,
        spread=spread,
        start=np.zeros((source.n_x + 1, 1, k)),
        warm=False,
        solver="",
        passes=0 if spread is None else spread.passes,
        given=given,
        inner=inner,
        full=objective,
        columns=source,
    )


def _of_their_span(problem: Problem, source: InMemory, options: Options) -> Problem:
    """Pose the problem in the span of its samples, wide data, unless one feature dwarfs the others there."""
    descends, inner = options.solver == "gd", problem.inner
    unit = Coordinates(inner.center, problem.user.scale * options.roots)
    if not is_even((problem.spread or measure_spread(problem.given)).variance, unit):
        return problem
    reduced, basis, spectrum, means = reduce_wide(source, unit, not descends and options.bias, alone=True)
    passes = problem.passes + 2  # one to leave it
    if not len(spectrum):  # none of features that are all constant
        return problem._replace(passes=passes)
    loss, scale = problem.objective.loss, np.ones_like(spectrum)
    if not descends:
        scale = np.sqrt(spectrum / source.total_weight + options.strength / loss.bound)
    lying = (source.uncentered() if problem.full.center is not None else source).widened()
    span = Span(lying, basis, scale[:, None], unit, means)
    penalty = make_penalty(np.asarray([options.strength]), None, (1.0 / span.scale)[:, :, None])
    moving = np.append(np.ones(reduced.n_x), float(options.bias))
    objective = _objective(reduced, loss, penalty, span.scale, moving, problem.objective.separable)
    start = np.zeros((reduced.n_x + 1, 1, problem.start.shape[2]))
    return problem._replace(source=reduced, objective=objective, coordinates=span, start=start, passes=passes)


def _started(problem: Problem, given: tuple[np.ndarray, np.ndarray] | None) -> Problem:
    """Let the problem start at the user's parameters, unless the constant model has a lower cost."""
    objective, (plain, spread, passes) = problem.objective, nearer(problem)
    start, warm, passes = plain, given is not None, problem.passes + passes
    if given is not None:
        start = problem.inner.theta_of(*given)
        if problem.solver != "gd":  # far out the curvature vanishes; the constant model is never that bad
            costs = [float(objective.evaluate(theta * objective.free).value[0]) for theta in (start, plain)]
            warm, passes = costs[0] <= costs[1], passes + 2
            start = start if warm else plain
    return problem._replace(start=start * objective.free, warm=warm, passes=passes, spread=spread)


def _centered(source: Samples, inner: Coordinates, bias: bool) -> tuple[Samples, Coordinates]:
    """Subtract the centre of the coordinates from the samples; return both, with the centre as its dtype rounds it.

    Without a bias nothing makes up for that rounding: if it would show, the samples are computed in float64.
    """
    if not source.shifts:  # where the parameters hold the centre, to its last bit
        return source, inner
    center = inner.center.astype(source.dtype)
    if not bias and np.max(np.abs(center - inner.center) / inner.scale) > SHIFT * ROUNDING[source.dtype]:
        source = source.widened()
        center = inner.center.astype(source.dtype)
    return source.centered(center), inner._replace(center=center.astype(np.float64))


def _objective(
    source: Samples,
    loss: Loss,
    penalty: Penalty,
    scale: np.ndarray,
    moving: np.ndarray,
    separable: bool,
    **folding: Any,
) -> Objective:
    """Make the objective of one model; ``scale`` is (n_x, 1), ``moving`` is (n_x + 1,).

    ``separable`` says whether separated classes would leave it without a minimum but for the penalty.
    """
    free = moving[:, None, None]
    separable = separable and not penalty.holds(free)[0]
    return Objective(source, loss, penalty, (1.0 / scale)[:, :, None], free, separable, **folding)


def _settled(source: Samples, objective: Objective) -> tuple[Samples, Objective]:
    """Convert the samples once, for all passes; leave float32 uncentred where centring would round it."""
    if objective.folded and source.dtype == "float32":
        settled = source.uncentered().settled()
        settled = settled if source.center is None else settled.centered(source.center)
        return settled, dataclasses.replace(objective, source=settled)
    settled = source.settled()
    freed: dict[str, Any] = {"center": None, "folded": False} if settled.center is None and settled.shifts else {}
    return settled, dataclasses.replace(objective, source=settled, **freed)


def _far(inner: Coordinates) -> float:
    """The largest mean of a feature, in units of its scale."""
    return float(np.max(np.abs(inner.center) / inner.scale))


def start_of(problem: Problem, initial: Any) -> np.ndarray:
    """The theta (n_x + 1, 1, k) at which the user wants to start."""
    assert not problem.is_reduced, "a problem posed with a start is not reduced"
    w, b = given_parameters(initial, problem.inner.scale.shape[0], problem.start.shape[2])
    return problem.inner.theta_of(w, b) * problem.objective.free
