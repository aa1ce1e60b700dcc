"""The default way to the minimum: curvature from a few samples, gradients from all.

1. Newton's method on a random subset, then on a larger one: a start within its sampling error, and a
   Hessian there, for the price of a fraction of a pass.
   Of many features, whose Hessians are dear, L-BFGS on one subset, and a Hessian where that is not enough.
2. L-BFGS on all samples with that Hessian as its initial one: each pass divides the gap by about m' / p, m'
   the samples of the Hessian and p its parameters.
3. Where that is slow, the Hessian of all samples: Newton's method.

Sub-sampled Newton as a preconditioner: Frangella, Rathore, Zhao & Udell, PROMISE (JMLR 2024). Small data, rare
classes and start values of the user go to Newton's method at once.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import Array
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Samples
from xlogreg.solvers import descent
from xlogreg.solvers.coordinates import Coordinates, Spread, measure_moments
from xlogreg.solvers.newton import Newton
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import Diagonal, Inverse
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.result import Clock, Monitor, Result

__all__ = ["minimize", "subset_pays"]

SMALL_DATA = 200_000  # entries of X, up to which subsets save nothing
FEWEST_FEATURES = 20  # X counts as at least this wide there: a pass costs its calls, too
DEAR = 300  # parameters, from which a Hessian of the first subset takes longer than a gradient of all samples
START_SAMPLES = 30  # for each parameter, in the subset that gives the start
START_SAMPLES_DEAR = 12  # the same where a Hessian is dear: more samples would cost more than the passes that they save
MOST_HESSIAN_SAMPLES = 2000  # for each parameter, in the subset that gives the Hessian
LEAST_HESSIAN_SAMPLES = 300  # for each parameter, which that subset may have however many parameters there are
HESSIAN_WORK = 2e6  # samples times parameters that a Hessian is worth
READ_WORK = 2e7  # the same where each pass has to read X, and takes ten times as long
HESSIAN_SHARE = 32  # that subset has at most this share of all samples, by parameters: the time of a gradient or two
RARE = 10  # samples of the rarest class for each parameter, below which all samples are needed
SUBSET_STEPS = 20  # steps on a subset, at most
NEAR = 0.1  # gap, in costs, of which the last step of Newton's method leaves little
RIDGE = 0.1  # penalty, in samples of the usual size of a feature: far below what its sampling error amounts to
SLOW = 3.0  # each of three steps has to divide the gap by this, or Newton's method on all samples takes over
SLOW_DEAR = 1.5  # the same where a Hessian is dear
QUICK = 3.0  # L-BFGS on a subset does without a Hessian as long as its steps divide the gap by this
QUICK_GAP = 1e-2  # and goes on to this share of the gap that the subset is worth, to show that it can


def subset_pays(source: Samples, spread: Spread, parameters: int) -> bool:
    """Whether the samples are many enough, of every class, for a subset to stand for them and to save time.

    Measured: up to twice the time of Newton's method where X has 100,000 numbers, and a third where it has millions.
    """
    if source.m * max(source.n_x, FEWEST_FEATURES) <= SMALL_DATA:
        return False
    rarest = float(np.min(spread.shares)) * source.effective_samples
    return source.effective_samples >= 2 * _least(parameters) * parameters and rarest >= RARE * parameters


def minimize(
    objective: Objective,
    source: Samples,
    start: np.ndarray,
    *,
    spread: Spread,
    coordinates: Coordinates,
    warm: bool,
    rng: np.random.Generator,
    tol: float,
    max_iter: int,
    monitor: Monitor | None = None,
    clock: Clock | None = None,
) -> Result:
    """Minimise the cost of one model of one output, first on subsets, then on all samples; theta is on the host.

    Parameters
    ----------
    objective : Objective
    source : Samples
        Its samples.
    start : ndarray (n_x + 1, 1, 1)
    spread : Spread
        Of all samples, in the coordinates of X.
    coordinates : Coordinates
        Those of theta.
    warm : bool
        Whether the start is better than a subset's answer: then only a Hessian is taken from one.
    rng : numpy.random.Generator
    tol, max_iter, monitor
        As for `descent.minimize`.
    clock : Clock, optional
        Looks at the steps on subsets, and whether there is time for Newton's method.

    Returns
    -------
    Result
        ``passes`` counts work on subsets as its share.
    """
    begun = _from_subsets(objective, source, start, spread, coordinates, warm, rng, clock)
    run: dict[str, Any] = {"tol": tol, "monitor": monitor}
    theta, newton, parameters = begun.theta, Newton.for_objective(objective), start.shape[0]
    if begun.method is None:
        whole = descent.minimize(objective, theta, method=newton, max_iter=max_iter, **run)
        return dataclasses.replace(whole, passes=whole.passes + begun.passes)
    slow = SLOW_DEAR if parameters >= DEAR else SLOW
    before = descent.minimize(objective, theta, method=begun.method, max_iter=max_iter, slow=slow, **run)
    before = dataclasses.replace(before, passes=before.passes + begun.passes, unseen=begun.unseen)
    if before.reason != "slow":
        return before
    late = clock is not None and not clock.allows(parameters / HESSIAN_SHARE)
    final: descent.Method = before.method if late else newton
    steps = max_iter - before.iterations
    return before.followed_by(descent.minimize(objective, before.theta, method=final, max_iter=steps, **run))


class Start(NamedTuple):
    """What a run on all samples takes over from subsets."""

    theta: np.ndarray
    method: QuasiNewton | None  # None where no subset told the curvature
    passes: float
    unseen: bool = False  # whether the last subset has next to nothing of some feature


def _from_subsets(
    objective: Objective,
    source: Samples,
    start: np.ndarray,
    spread: Spread,
    coordinates: Coordinates,
    warm: bool,
    rng: np.random.Generator,
    clock: Clock | None,
) -> Start:
    """Minimise on one subset or two, and take the curvature from the last; parameters as for `minimize`."""
    parameters = start.shape[0]
    theta, passes, hessian, known, method, unseen = start, 0.0, None, None, None, False
    for count in _counts(source, parameters, warm):
        (subset,) = source.samples((count,), spread.shares, rng)
        moments = measure_moments(subset, spread, coordinates)
        unseen = bool(np.any(moments.unseen))
        ridge = RIDGE * moments.size / subset.m
        part = _part(objective, subset, ridge)
        rough = math.inf if warm else parameters / count
        if parameters >= DEAR and not warm:
            found = _by_gradients(part, theta, rough, unique=bool(objective.held[0]), clock=clock)
        else:
            found = _by_newton(part, theta, known, rough, clock)
        passes += found.passes * subset.m / source.m
        if found.reason not in ("converged", "max_iter", "time_limit"):
            return Start(start, method, passes, unseen)
        theta = theta if warm else found.theta
        if found.last.hessian is None:  # L-BFGS goes on with the pairs of the subset
            method = dataclasses.replace(found.method, patience=2)
            continue
        H = np.asarray(found.last.hessian)[0]
        # where a feature is unseen, a step with it into a subset that sees more would go too far
        known = None if np.any(moments.unseen) else H[None, ...]
        hessian = moments.raised(H - np.diag(np.append(ridge, 0.0)), curvature=H[-1, -1])[None, ...]
        if found.reason == "time_limit":  # what is left of the time belongs to all samples
            break
    return Start(theta, method if hessian is None else _stepping(objective, theta, hessian), passes, unseen)


def _counts(source: Samples, parameters: int, warm: bool) -> list[int]:
    """Choose how many samples each subset has: one for the start, and a larger one for the Hessian where that pays."""
    large = _hessian_samples(source.m, parameters, READ_WORK if source.is_read else HESSIAN_WORK)
    small = int(np.clip(large // 5, START_SAMPLES * parameters, 2 * START_SAMPLES * parameters))
    return [large] if warm or parameters >= DEAR or large <= 1.5 * small else [small, large]


def _part(objective: Objective, subset: InMemory, ridge: np.ndarray) -> Objective:
    """Make the objective of a subset, with a penalty (n_x,) against features that it happens to see too little of."""
    penalty = objective.penalty.plus(ridge)
    return dataclasses.replace(objective.over(subset), penalty=penalty, separable=False)


def _by_newton(part: Objective, theta: np.ndarray, hessian: Array | None, tol: float, clock: Clock | None) -> Result:
    """Run Newton's method on a subset.

    If the Hessian of a smaller subset is known, it makes the first step: a new Hessian is worth more near the minimum.
    """
    newton: dict[str, Any] = {"method": Newton.for_objective(part), "max_iter": SUBSET_STEPS, "monitor": clock}
    if hessian is None:
        return descent.minimize(part, theta, tol=tol, **newton)
    nearer = descent.minimize(part, theta, method=_stepping(part, theta, hessian), tol=math.inf, max_iter=1)
    return nearer.followed_by(descent.minimize(part, nearer.theta, tol=NEAR, **newton))


def _by_gradients(part: Objective, theta: np.ndarray, tol: float, unique: bool, clock: Clock | None) -> Result:
    """Run L-BFGS on a subset; if it is not quick, take the Hessian of the subset where it slowed down.

    The result has no Hessian if none was needed: the features hardly correlate, and the minimum is unique. If there are
    several minima, only a Hessian tells the one of minimum norm.
    """
    run: dict[str, Any] = {"max_iter": SUBSET_STEPS, "monitor": clock}
    found = descent.minimize(part, theta, method=_stepping(part, theta, None), tol=QUICK_GAP * tol, slow=QUICK, **run)
    if found.reason not in ("converged", "slow", "max_iter") or (unique and found.reason == "converged"):
        return found
    last = part.expand(found.theta)
    if found.reason != "converged":
        method = _stepping(part, found.theta, last.hessian)
        found = found.followed_by(descent.minimize(part, found.theta, method=method, tol=tol, **run))
    return dataclasses.replace(found, passes=found.passes + 1, last=last)


def _stepping(objective: Objective, theta: np.ndarray, hessian: Array | None) -> QuasiNewton:
    """L-BFGS from a Hessian at theta, or from none: in these coordinates all features have about the same curvature."""
    if hessian is None:
        return QuasiNewton(Diagonal(np.full((1, 1, 1), objective.loss.bound)), patience=1)
    return QuasiNewton(Inverse.from_hessians(hessian, objective.precision, objective.shift(theta)), patience=1)


def _least(parameters: int) -> int:
    """The least number of samples that a subset has for each parameter."""
    return START_SAMPLES if parameters < DEAR else START_SAMPLES_DEAR


def _hessian_samples(m: int, parameters: int, work: float) -> int:
    """How many samples a Hessian may have to cost about as much as a gradient or two of all samples."""
    most = int(np.clip(work / parameters**2, LEAST_HESSIAN_SAMPLES, MOST_HESSIAN_SAMPLES)) * parameters
    return min(max(_least(parameters) * parameters, HESSIAN_SHARE * m // parameters), most, m // 2)
