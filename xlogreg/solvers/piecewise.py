"""Minimum of a convex quadratic with kinks: c'u + u'Bu / 2 + sum_j kink_j |u_j|, within bounds of each u_j.

Some coordinates are active, and each of these is on one side of zero; there the function is a plain quadratic, with one
linear system for its minimum. Coordinates that cross zero or a bound on the way end there; others become active where
that lowers the value (Lee, Battle, Raina & Ng, Efficient sparse coding algorithms, 2007). Many change at a time, as in
the primal-dual active set method (Hintermueller, Ito & Kunisch 2002), but no step raises the value.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from xlogreg.math.penalties import INSIDE
from xlogreg.solvers.matrices import TINY, Matrix

__all__ = [
    "DIRECT",
    "DUST",
    "FIRST",
    "PRODUCTS",
    "ROUNDING",
    "SETTLED",
    "STEPS",
    "Multiply",
    "Piecewise",
    "among",
    "approached",
    "minimize",
    "solve",
]

STEPS, WORK = 200, 2e9  # at most; the work is that of linear systems
FIRST = 16  # coordinates that become active at first; then as many as are active already
WRONG = 10  # times that coordinates which would move to the wrong side are left out
ROUNDING = 1e-13  # of the terms of a slope, below which it counts as zero
SETTLED = 0.1  # of the largest slope outside, that the active coordinates may have when others become active
DUST = 1e-15  # of a coordinate: what is left of it after it moved to zero
DIRECT = 1000  # active coordinates, up to which their linear system is solved directly
PRODUCTS, NEAR = 100, 1e-3  # of conjugate gradients beyond: how many, and what they may leave
MANY = 300  # coordinates that move or are active, from which on gradient steps come first
EVERY, ROUNDS, POWERS, SAFE = 10, 100, 8, 1.05  # how often, how many, steps to their size, and its safety
RIDGE = 1e-11  # of each diagonal element, added where a linear system is singular

Multiply = Callable[[np.ndarray], np.ndarray]  # a matrix by a vector


class Piecewise(NamedTuple):
    """The function of u (p,).

    Attributes
    ----------
    B : Matrix (p, p)
    linear : ndarray (p,)
        c.
    kink : ndarray (p,)
        Not negative.
    lower, upper : ndarray (p,)
        Bounds: lower <= 0 <= upper; may be infinite.
    """

    B: Matrix
    linear: np.ndarray
    kink: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def may_fall(self, u: np.ndarray) -> np.ndarray:
        """Whether each coordinate is above its lower bound, and not by a rounding error only."""
        return u > np.where(self.lower < 0, INSIDE, 1.0) * self.lower

    def may_grow(self, u: np.ndarray) -> np.ndarray:
        """Whether each coordinate is below its upper bound, see `may_fall`."""
        return u < np.where(self.upper > 0, INSIDE, 1.0) * self.upper

    def value(self, u: np.ndarray, Bu: np.ndarray) -> float:
        return float(self.linear @ u + 0.5 * (u @ Bu) + self.kink @ np.abs(u))


def slopes(r: np.ndarray, u: np.ndarray, problem: Piecewise) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of the function if each coordinate grows, and if it falls; ``r`` is the slope of the smooth part."""
    grows = np.where(problem.may_grow(u), r + np.where(u >= 0, problem.kink, -problem.kink), np.inf)
    falls = np.where(problem.may_fall(u), r + np.where(u > 0, problem.kink, -problem.kink), -np.inf)
    return grows, falls


def minimize(problem: Piecewise, start: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Minimise from a start within the bounds, until no slope is larger than a share of the largest one there.

    Returns
    -------
    u : ndarray (p,)
    left : ndarray (p,)
        The slope with which each coordinate would still fall; less if it ends at a zero that is near.
    """
    u, Bu, limit = start, problem.B.times(start), 0.0
    wanted, work, root = np.zeros_like(u), 0, np.sqrt(np.maximum(problem.B.diagonal(), TINY))
    for step in range(STEPS + 1):
        r = problem.linear + Bu
        grows, falls = slopes(r, u, problem)
        wanted = np.maximum(np.maximum(-grows, falls), 0.0)
        noise = ROUNDING * (np.abs(problem.linear) + np.abs(Bu) + problem.kink)
        direction = np.where(-grows >= falls, 1.0, -1.0)
        # half its square is what the value may still fall; towards a zero that is near that is less
        near = np.where((u * direction < 0) & (np.abs(r) <= problem.kink), 2.0 * np.abs(u) * wanted, np.inf)
        scaled = np.where(wanted > noise, np.sqrt(np.minimum((wanted / root) ** 2, near)), 0.0)
        left = float(np.linalg.norm(scaled))
        limit = limit if step else share * left
        moving = scaled > 0.0
        if left <= limit or step == STEPS or work > WORK:  # the caller counts what is left
            break
        if not problem.B.quick and np.sum(moving | (u != 0)) > MANY and step % EVERY == 0:
            u, Bu = _accelerated(problem, u, Bu)  # so many sides of zero are found faster together
            work += ROUNDS * problem.B.operations
            continue
        alone = np.arange(len(u)) == np.argmax(scaled)
        further = _further(problem, u, Bu, moving, direction, scaled) or _one_further(problem, u, Bu, alone)
        if further is None:
            break
        u, Bu = further
        active = int(np.count_nonzero(u))
        work += 0 if problem.B.quick else active**3 if active <= DIRECT else PRODUCTS * problem.B.operations
    return u, scaled * root


def _accelerated(problem: Piecewise, u: np.ndarray, Bu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take proximal gradient steps with momentum, which starts anew where it leads uphill (Beck & Teboulle 2009).

    O'Donoghue & Candes, Adaptive restart for accelerated gradient schemes, 2015.
    """
    root = np.sqrt(problem.B.diagonal())
    v = np.where(u != 0, u, 1e-3 * np.ones_like(u))
    for _ in range(POWERS):
        v = problem.B.times(v / root) / root
        largest = float(np.linalg.norm(v))
        v = v / largest
    size, value, momentum = 1.0 / (SAFE * largest * root * root), problem.value(u, Bu), 1.0
    best, y, By = (u, Bu), u, Bu
    for _ in range(ROUNDS):
        z = y - size * (problem.linear + By)
        z = np.sign(z) * np.maximum(np.abs(z) - size * problem.kink, 0.0)
        z = np.clip(z, problem.lower, problem.upper)
        Bz = problem.B.times(z)
        found = problem.value(z, Bz)
        if found >= value:  # the momentum led uphill
            if momentum == 1.0:
                break
            momentum, (y, By) = 1.0, best
            continue
        after = 0.5 * (1.0 + (1.0 + 4.0 * momentum**2) ** 0.5)
        share = (momentum - 1.0) / after
        y, By = z + share * (z - best[0]), Bz + share * (Bz - best[1])
        best, value, momentum = (z, Bz), found, after
    return best


def _further(
    problem: Piecewise, u: np.ndarray, Bu: np.ndarray, moving: np.ndarray, direction: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Step to the minimum among the active coordinates, or as far as the value falls; None if it does not."""
    inside = (u != 0) & problem.may_fall(u) & problem.may_grow(u)
    inside |= (u == 0) & (problem.kink == 0) & (problem.lower < 0) & (problem.upper > 0)
    if np.max(wanted * inside, initial=0.0) > SETTLED * np.max(wanted * ~inside, initial=0.0):
        moving = inside  # nothing enters before these are at rest
    elif np.sum(moving & ~inside) > (most := max(FIRST, int(np.sum(inside)))):
        entering = np.where(moving & ~inside, wanted, 0.0)
        moving = moving & (inside | (entering >= np.partition(entering, -most)[-most]))
    active, value = np.flatnonzero(inside | moving), problem.value(u, Bu)
    new = (moving & ~inside)[active]
    side = np.where(u[active] != 0, np.sign(u[active]), direction[active])
    for _ in range(WRONG):
        slope = (problem.linear + Bu)[active] + side * problem.kink[active]
        move = -_solved(problem, active, slope)
        wrong = new & (move * direction[active] <= 0)
        if not wrong.any():
            break
        active, new, side = active[~wrong], new[~wrong], side[~wrong]
        if not len(active):
            return None
    there = u[active] + move
    crossed = (there * side < 0) & (problem.kink[active] > 0)
    ended = np.clip(np.where(crossed, 0.0, there), problem.lower[active], problem.upper[active])
    candidates = [ended]
    if np.any(ended != there):
        candidates.append(_along(problem, u, Bu, active, move))
    return _best(problem, u, value, active, candidates)


def _one_further(
    problem: Piecewise, u: np.ndarray, Bu: np.ndarray, alone: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Minimise along one coordinate; that lowers the value unless rounding errors hide it."""
    (number,) = active = np.flatnonzero(alone)
    curvature = float(problem.B.part(active)[0, 0])
    if not curvature > 0:
        return None
    plain = u[number] - (problem.linear[number] + Bu[number]) / curvature
    there = np.sign(plain) * max(abs(plain) - problem.kink[number] / curvature, 0.0)
    there = np.clip(there, problem.lower[number], problem.upper[number])
    return _best(problem, u, problem.value(u, Bu), active, [np.asarray([there])])


def _best(
    problem: Piecewise, u: np.ndarray, value: float, active: np.ndarray, candidates: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the best candidate for the active coordinates, and B times it; None if no value is below ``value``."""
    best = None
    for candidate in candidates:
        further = u.copy()
        further[active] = candidate
        B_further = problem.B.times(further)
        found = problem.value(further, B_further)
        if found < value:
            best, value = (further, B_further), found
    return best


def _solved(problem: Piecewise, active: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Solve the equations of the active coordinates, the cheapest way."""
    if problem.B.quick:
        found = problem.B.solve(active, slope[:, None])[:, 0]
        if np.isfinite(found).all() and found @ slope > 0:
            return found
    if len(active) > DIRECT:
        return approached(among(problem.B.times, active, len(problem.linear)), slope)
    return solve(problem.B.part(active), slope)


def solve(B: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Solve a linear system, with a small ridge if it is singular."""
    for ridge in (0.0, RIDGE, 1e4 * RIDGE):
        try:
            found = np.linalg.solve(B + np.diag(ridge * B.diagonal()) if ridge else B, slope)
        except np.linalg.LinAlgError:
            continue
        if np.isfinite(found).all() and found @ slope >= 0:
            return found
    return slope / np.where(B.diagonal() > 0, B.diagonal(), 1.0)


def among(times: Multiply, active: np.ndarray, size: int) -> Multiply:
    """Return the function that multiplies the rows and columns of the active coordinates, of ``size``, by a vector."""

    def product(p: np.ndarray) -> np.ndarray:
        whole = np.zeros(size)
        whole[active] = p
        return times(whole)[active]

    return product


def approached(times: Multiply, slope: np.ndarray, metric: Multiply = np.copy) -> np.ndarray:
    """Solve for a slope by conjugate gradients, roughly: any of their results points downhill.

    ``metric`` multiplies by an approximate inverse of the matrix.
    """
    found, left = np.zeros_like(slope), slope.copy()
    p = metric(left)
    square = first = float(left @ p)
    for _ in range(PRODUCTS):
        q = times(p)
        curved = float(p @ q)
        if not curved > 0:
            break
        found, left = found + square / curved * p, left - square / curved * q
        near = metric(left)
        before, square = square, float(left @ near)
        if square <= NEAR**2 * first:
            break
        p = near + square / before * p
    return found if found.any() else slope / max(float(slope @ slope), 1e-300)


def _along(problem: Piecewise, u: np.ndarray, Bu: np.ndarray, active: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Find the lowest point on the way from u along the move, past kinks and up to the first bound."""
    own, kink = u[active], problem.kink[active]
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.where(move > 0, problem.upper[active] - own, problem.lower[active] - own) / move
        crossings = np.where((own * move < 0) & (kink > 0), -own / move, np.inf)
    longest = min(1.0, float(np.min(ends, initial=1.0)))
    whole = np.zeros_like(u)
    whole[active] = move
    curvature = float(move @ problem.B.times(whole)[active])
    order = np.argsort(crossings)
    stops = np.append(crossings[order], np.inf)
    slope = float((problem.linear + Bu)[active] @ move)
    slope += float(kink @ (np.where(own != 0, np.sign(own), np.sign(move)) * move))
    length, before = longest, 0.0
    for number, stop in enumerate(stops):
        end = min(float(stop), longest)
        if slope + curvature * end >= 0 or end >= longest:
            length = min(max(-slope / curvature, before), end) if curvature > 0 else end
            break
        slope += 2.0 * float(kink[order[number]] * abs(move[order[number]]))  # past its kink
        before = end
        if slope + curvature * end >= 0:
            length = end
            break
    there = own + length * move
    there = np.where((crossings == length) | (np.abs(there) <= DUST * np.abs(own)), 0.0, there)
    bound = np.where(move > 0, problem.upper[active], problem.lower[active])
    return np.where(ends <= length, bound, there)  # to the bit
