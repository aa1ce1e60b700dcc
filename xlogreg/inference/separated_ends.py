"""Ends of profile-likelihood intervals of separated classes, where the likelihood has no maximum.

The mean loss has an infimum, which it comes near along directions of recession: steps that can be repeated for ever,
since no sample loses by them (Albert & Anderson, Biometrika 1984). The level set of an end is unbounded along them. So
an end is infinite if a direction of recession moves its coefficient that way, and finite otherwise, at the same rise of
the deviance above the infimum.
"""

import numpy as np

from xlogreg.inference.ends import Ends, evaluated, is_end, renewed
from xlogreg.inference.minimum import Minimum, inverse_of
from xlogreg.inference.sandwich import class_basis
from xlogreg.math.losses import Loss
from xlogreg.math.penalties import inner, make_penalty
from xlogreg.samples.source import Samples, host_center
from xlogreg.solvers.coordinates import measure_spread
from xlogreg.solvers.existence import recede
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.quasi_newton import QuasiNewton

__all__ = ["near_infimum", "separated_ends"]

STEPS = 200  # of Newton's method, of which each divides what is left above the infimum by e at least
INSIDE = 0.25  # share of the rise up to the level, above the infimum, at which the search for ends starts
SHORTER, SHORTEST = 0.5, 1e-12  # factor of a step that failed, and length at which an end is given up
LOOKS = 3  # steps between two searches for a direction of recession
KNOWN = 1e-3  # share of a coefficient that an inverse Hessian may leave out
TINY = 1e-300  # least curvature
ALONG = 1e-7  # cosine between a coefficient and a direction of recession, below which rounding made it


def near_infimum(samples: Samples, loss: Loss, bias: bool, rise: float) -> Minimum:
    """Find the infimum of the mean loss, and a point inside the level set of a rise of the deviance.

    Raises
    ------
    ValueError
        If features are collinear.
    """
    n_x, total = samples.n_x, float(np.ravel(samples.total_weight)[0])
    spread = measure_spread(samples)
    mean = spread.mean if bias else np.zeros((n_x, 1))
    source = samples.uncentered()
    source, inside = (source.centered(mean), None) if source.shifts else (source, mean[:, :, None])
    center = host_center(source) if inside is None else mean
    ones, free = np.ones((n_x, 1, 1)), np.ones((n_x + 1, 1, 1))
    free[-1] = bias
    k = spread.targets.shape[0]
    objective = Objective(source.settled(), loss, make_penalty(np.zeros(1), None, ones), ones, free, False, inside)
    theta, basis = np.zeros((n_x + 1, 1, k)), class_basis(k)
    found = Minimum(objective, theta, 1.0, np.zeros((0, 0)), basis, center, total, bias)
    path = list[tuple[np.ndarray, float]]()
    for number in range(STEPS):
        here = objective.expand(theta)
        inverse, rank = inverse_of(np.asarray(here.hessian)[0], basis, bias, objective.precision)
        if number == 0 and rank < (n_x + bias) * basis.shape[1]:
            raise ValueError("features are collinear or constant; leave some of them out")
        path.append((theta, float(here.value[0])))
        inside_basis = (here.gradient @ basis).reshape(-1)
        move = -((inverse @ inside_basis).reshape(n_x + 1, 1, -1) @ basis.T)
        gap = -0.5 * float(inner(here.gradient, move)[0])
        if gap <= 0.01 * found.tolerance:
            break
        length = 1.0
        while not objective.evaluate(theta + length * move).value[0] < here.value[0] and length > SHORTEST:
            length = SHORTER * length
        theta = theta + length * move
    infimum = max(path[-1][1] - 2.0 * gap, 0.0)  # of an exponential tail, half falls by the quadratic model
    level = infimum + INSIDE * 0.5 * rise / total
    start = next((point for point, value in path if value <= level), path[-1][0])
    return found._replace(theta=start, value=infimum)


def separated_ends(full: Minimum, E: np.ndarray, rise: float) -> np.ndarray:
    """Find the ends (2, n) of n coefficients with the factors E (n_x + 1, n, k); see `profile_ends`.

    Ends are infinite where a direction of recession proves it, and NaN where none was found.
    """
    target = full.value + 0.5 * rise / full.total
    ends = [
        [_end(full, Ends(E[:, [number]], np.asarray([side]), target)) for number in range(E.shape[1])]
        for side in (-1.0, 1.0)
    ]
    return np.asarray(ends)


def _end(full: Minimum, ends: Ends) -> float:
    """Find one end by steps with Hessians of its own, or a direction along which it never comes."""
    objective, length, side = full.objective, 1.0, float(ends.side[0])
    here = evaluated(objective, full.theta)
    method, H = renewed(full, objective, here.theta)
    step = ends.step(method, here)
    for number in range(STEPS):
        path = _path(ends, method, H)
        if path is None:  # far out, no curvature is left along the coefficient
            break
        gone = abs(float(inner(ends.E, here.theta - full.theta)[0]))
        if number % LOOKS == LOOKS - 1 and _recedes(objective, ends, side * gone * path):
            return side * np.inf
        if is_end(step, full.tolerance)[0]:
            return float(inner(ends.E, here.theta + step.move)[0])
        there = evaluated(objective, here.theta + length * step.move)
        new = ends.step(method, there)
        rises = step.slope[0] > 0.0
        if new.merit[0] < step.merit[0] if rises else bool(there.value[0] <= ends.target) or np.isfinite(new.merit[0]):
            here, length = there, min(length / SHORTER**2, 1.0)
            method, H = renewed(full, objective, here.theta)
            step = ends.step(method, here)
        elif (length := SHORTER * length) < SHORTEST:
            break
    far = (here.theta - full.theta, here.theta, step.move, full.theta)
    return side * np.inf if any(_recedes(objective, ends, move) for move in far) else np.nan


def _path(ends: Ends, method: QuasiNewton, H: np.ndarray) -> np.ndarray | None:
    """Return how theta moves as the coefficient grows by one and all else stays at its minimum.

    None if the coefficient lies in directions without curvature, which the inverse Hessian leaves out.
    """
    solved = method.solve(ends.E)
    scale = np.sqrt(np.maximum(H.diagonal(), TINY))
    lost = np.linalg.norm((H @ solved.ravel() - ends.E.ravel()) / scale)
    if not lost <= KNOWN * np.linalg.norm(ends.E.ravel() / scale):
        return None
    return solved / inner(ends.E, solved)[0]


def _recedes(objective: Objective, ends: Ends, move: np.ndarray) -> bool:
    """Whether there is a direction of recession next to a move, along which the coefficient goes to its side."""
    if not np.isfinite(move).all():
        return False
    found, _ = recede(objective, move)
    if found is None:
        return False
    d = found.direction
    return bool(ends.side[0] * inner(ends.E, d)[0] > ALONG * np.linalg.norm(ends.E) * np.linalg.norm(d))
