"""Ends of profile-likelihood intervals: the extreme values of coefficients where the deviance has not risen too far.

The end of a coefficient e'theta maximises (or minimises) it where the mean loss f is at most its minimum plus a rise.
There the gradient of f is parallel to e. Venzon & Moolgavkar (Applied Statistics 1988) solve both equations at once,
by Newton's method. With the inverse Hessian V, f is a quadratic function whose gradient is slope * e after the step

    V (slope e - gradient),    slope^2 e'Ve = 2 (target - f + decrement) + old slope^2 e'Ve,

where the old slope is e'Vg / e'Ve, and the decrement r'Vr / 2 of what is left of the gradient, r = g - old slope e, is
what f would fall if all else moved to its minimum. All ends take steps at once, with the V of the fit, and each learns
by L-BFGS where its Hessian differs.
"""

from typing import NamedTuple

import numpy as np

from xlogreg.inference.minimum import MEMORY, Minimum, batches, inverse_of
from xlogreg.math.penalties import inner
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.restricted import Restricted

__all__ = ["Ends", "Here", "Step", "evaluated", "is_end", "profile_ends", "renewed"]

STEPS = 40  # of all ends at once, which take about eight
OWN_STEPS = 200  # of an end that goes on alone, with Hessians of its own
SHORTER, LONGER = 0.5, 4.0  # factors of a step's length, after it failed and after it served
SHORTEST = 1e-12  # length of a step, of that of the model, at which an end is given up


class Here(NamedTuple):
    """Values and gradients of g models."""

    theta: np.ndarray  # (n_x + 1, g, k)
    value: np.ndarray  # (g,)
    gradient: np.ndarray  # (n_x + 1, g, k)

    def keep(self, models: np.ndarray) -> "Here":
        return Here(self.theta[:, models], self.value[models], self.gradient[:, models])

    def where(self, mask: np.ndarray, other: "Here") -> "Here":
        wide = mask[:, None]
        return Here(
            np.where(wide, self.theta, other.theta),
            np.where(mask, self.value, other.value),
            np.where(wide, self.gradient, other.gradient),
        )


class Step(NamedTuple):
    """A step of g models towards their ends, and how far they are from them."""

    move: np.ndarray  # (n_x + 1, g, k)
    short: np.ndarray  # (g,) rise of the profile that is missing; negative beyond the end
    decrement: np.ndarray  # (g,) what the value would fall if all else moved to its minimum
    slope: np.ndarray  # (g,) of the profile, times the side

    @property
    def merit(self) -> np.ndarray:
        """Distance (g,) to the end, in mean losses; infinite where the profile does not rise."""
        with np.errstate(all="ignore"):
            merit = np.abs(self.short) + self.decrement
            return np.where(np.isfinite(merit) & (self.slope > 0.0), merit, np.inf)


class Ends(NamedTuple):
    """Ends to find: coefficients E (n_x + 1, g, k), their sides (g,), 1 or -1, and the target of all values."""

    E: np.ndarray
    side: np.ndarray
    target: float

    def keep(self, models: np.ndarray) -> "Ends":
        return Ends(self.E[:, models], self.side[models], self.target)

    def step(self, method: QuasiNewton, here: Here) -> Step:
        """Make the step of Venzon & Moolgavkar."""
        E, G = self.E, here.gradient
        with np.errstate(all="ignore"):
            VE, VG = method.solve(E), method.solve(G)
            curvature, crossed = inner(E, VE), inner(E, VG)
            old = crossed / curvature
            decrement = np.maximum(0.5 * (inner(G, VG) - crossed * old), 0.0)
            short = self.target - here.value + decrement
            slope = self.side * np.sqrt(np.maximum(2.0 * short / curvature + old * old, 0.0))
            move = slope[:, None] * VE - VG
        return Step(move, short, decrement, self.side * old)


def profile_ends(full: Minimum, E: np.ndarray, rise: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the least and the largest value of coefficients where the deviance has risen by no more than ``rise``.

    Parameters
    ----------
    full : Minimum
    E : ndarray (n_x + 1, n, k)
        Factors of theta, whose sums are the n coefficients; for a softmax they are centred over the classes.
    rise : float
        A quantile of the chi-squared distribution with one degree of freedom.

    Returns
    -------
    ends : ndarray (2, n)
        NaN where no end was found.
    reached : ndarray (2, n)
        The rise of the deviance at each end, by the last evaluation.
    """
    n = E.shape[1]
    both, side = np.concatenate([E, E], axis=1), np.repeat([-1.0, 1.0], n)
    target = full.value + 0.5 * rise / full.total
    found, reached = np.full((2, 2 * n), np.nan)
    for batch in batches(2 * n, full.theta.size):
        ends = Ends(both[:, batch], side[batch], target)
        found[batch], reached[batch] = _batch(full, ends)
    return found.reshape(2, n), 2.0 * full.total * (reached.reshape(2, n) - full.value)


def _batch(full: Minimum, ends: Ends) -> tuple[np.ndarray, np.ndarray]:
    """Find the ends of one batch (g,), and the mean losses there."""
    g, tolerance = len(ends.side), full.tolerance
    objective, inverse = full.models([np.zeros(0, np.intp)] * g)
    method = QuasiNewton(inverse, memory=MEMORY, rescaling=0.0)
    start = np.repeat(full.theta, g, axis=1)
    here = Here(start, np.full(g, full.value), np.zeros_like(start))
    step, alive, length = ends.step(method, here), np.arange(g), np.ones(g)
    found, reached = np.full((2, g), np.nan)
    for _ in range(STEPS):
        there = evaluated(objective, here.theta + length[:, None] * step.move)
        method = _taught(method, here, there)
        old, new = ends.step(method, here), ends.step(method, there)
        taken = new.merit < np.where(old.slope > 0.0, old.merit, np.inf)
        here, step = there.where(taken, here), _chosen(taken, new, old)
        length = np.where(taken, np.minimum(LONGER * length, 1.0), SHORTER * length)
        done = is_end(step, tolerance)
        if done.any():
            at = _values(ends, here.theta + step.move)
            found[alive[done]], reached[alive[done]] = at[done], here.value[done]
            left = np.flatnonzero(~done)
            alive, length, here, ends = alive[left], length[left], here.keep(left), ends.keep(left)
            if not len(left):
                return found, reached
            objective, method, step = objective.keep(left), method.keep(left), _kept(step, left)
    for number, model in enumerate(alive.tolist()):
        only = np.asarray([number])
        found[model], reached[model] = _alone(full, ends.keep(only), here.keep(only))
    return found, reached


def _alone(full: Minimum, ends: Ends, here: Here) -> tuple[float, float]:
    """Find one end with a Hessian of its own in each step: it is far from the fit, where few samples count."""
    objective, _ = full.models([np.zeros(0, np.intp)])
    (method, _), length = renewed(full, objective, here.theta), 1.0
    step = ends.step(method, here)
    for _ in range(OWN_STEPS):
        if is_end(step, full.tolerance)[0]:
            return float(_values(ends, here.theta + step.move)[0]), float(here.value[0])
        there = evaluated(objective, here.theta + length * step.move)
        new = ends.step(method, there)
        if new.merit[0] < step.merit[0] or (step.slope[0] <= 0.0 and np.isfinite(new.merit[0])):
            here, length = there, min(LONGER * length, 1.0)
            method, _ = renewed(full, objective, here.theta)
            step = ends.step(method, here)
        elif (length := SHORTER * length) < SHORTEST:
            break
    return np.nan, float(here.value[0])


def renewed(full: Minimum, objective: Objective, theta: np.ndarray) -> tuple[QuasiNewton, np.ndarray]:
    """Make a method of the Hessian of one model at theta; return the Hessian (p, p), too."""
    H = np.asarray(objective.expand(theta).hessian)[0]
    inverse, _ = inverse_of(H, full.basis, full.bias, objective.precision)
    return QuasiNewton(Restricted(inverse, full.basis, (np.zeros(0, np.intp),)), rescaling=0.0), H


def evaluated(objective: Objective, theta: np.ndarray) -> Here:
    found = objective.evaluate(theta)
    return Here(theta, found.value, found.gradient)


def _taught(method: QuasiNewton, here: Here, there: Here) -> QuasiNewton:
    """Learn how the gradient changed between two points, unless it is not finite."""
    finite = (np.isfinite(there.value) & np.isfinite(there.gradient).all(axis=(0, 2)))[:, None]
    moved = np.where(finite, there.theta - here.theta, 0.0)
    return method.learn(moved, np.where(finite, there.gradient - here.gradient, 0.0))


def is_end(step: Step, tolerance: float) -> np.ndarray:
    """Whether each model (g,) is at its end: the value is the target, and all else is at its minimum."""
    with np.errstate(all="ignore"):
        near = (np.abs(step.short - step.decrement) <= tolerance) & (step.decrement <= tolerance)
    return near & (step.slope > 0.0)


def _chosen(mask: np.ndarray, a: Step, b: Step) -> Step:
    wide = mask[:, None]
    return Step(np.where(wide, a.move, b.move), *(np.where(mask, x, y) for x, y in zip(a[1:], b[1:], strict=True)))


def _kept(step: Step, models: np.ndarray) -> Step:
    return Step(step.move[:, models], *(part[models] for part in step[1:]))


def _values(ends: Ends, theta: np.ndarray) -> np.ndarray:
    return inner(ends.E, theta)
