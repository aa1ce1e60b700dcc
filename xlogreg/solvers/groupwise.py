"""Minimum of a convex quadratic with norms of groups: c'u + u'Bu / 2 + kink sum_g ||sizes_g o u_g||.

Where no group is zero, the function is smooth, and Newton's method finds its minimum: the Hessian of a norm ||v|| is
(I - vv' / ||v||^2) / ||v||. A group that passes through zero on the way ends there, to the bit. Groups whose slope is
beyond their kink become active together, along their steepest ray, as far as the value falls. No step raises the value.
"""

from typing import NamedTuple

import numpy as np

from xlogreg.math.groups import Grouped
from xlogreg.solvers.matrices import Matrix
from xlogreg.solvers.piecewise import (
    DIRECT,
    DUST,
    FIRST,
    PRODUCTS,
    ROUNDING,
    SETTLED,
    STEPS,
    Multiply,
    among,
    approached,
    solve,
)

__all__ = ["Groupwise", "minimize"]

WORK = 2e10  # at most, of linear systems: several times that of `piecewise`, whose functions are quadratic
BENT = (0.0, 0.1, 1.0)  # of what a norm bends sideways, that it may bend outward
SHORTER, ARMIJO = (1.0, 0.5, 0.1), 1e-4  # parts of a step, and the share of what its slope promises that it must bring


class Groupwise(NamedTuple):
    """The function of u (p,).

    Attributes
    ----------
    times : callable
        u -> B u.
    part : callable
        Numbers (q,) of coordinates -> these rows and columns (q, q) of B.
    linear : ndarray (p,)
        c.
    sizes : ndarray (p,)
        Not negative; a coordinate of size zero is in no norm.
    group : ndarray (p,)
        The number of the group of each coordinate, from 0 on.
    kink : ndarray (G,)
        Of each group.
    operations : int
        Of a product B u.
    """

    times: Multiply
    part: Multiply
    linear: np.ndarray
    sizes: np.ndarray
    group: np.ndarray
    kink: np.ndarray
    operations: int = 0

    @classmethod
    def of(
        cls,
        penalty: Grouped,
        k: int,
        B: Matrix,
        linear: np.ndarray,
    ) -> "Groupwise":
        """Make the function of a theta (q, 1, k), flattened, from the penalty of its rows."""
        row = np.unique(penalty.group, return_inverse=True)[1][:, None]
        group = np.repeat(row, k, axis=1) if penalty.joint else k * row + np.arange(k)
        sizes, kink = np.repeat(penalty.sizes[:, 0, 0], k), np.full(int(group.max()) + 1, float(penalty.l1[0]))
        return cls(B.times, B.part, linear, sizes, group.ravel(), kink, B.operations)

    @property
    def held(self) -> np.ndarray:
        """Coordinates (p,) that are in a norm with a kink."""
        return (self.sizes > 0) & (self.kink[self.group] > 0)

    def norms(self, u: np.ndarray) -> np.ndarray:
        """Norms (G,) of the groups."""
        v = self.sizes * u
        return np.sqrt(np.bincount(self.group, weights=v * v, minlength=len(self.kink)))

    def value(self, u: np.ndarray, Bu: np.ndarray) -> float:
        return float(self.linear @ u + 0.5 * (u @ Bu) + self.kink @ self.norms(u))

    def slopes(self, r: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Shortest slope of each group (p,), where ``r`` is that of the quadratic; for sizes of zero and one."""
        norms = self.norms(u)
        zero, steep = self.held & (norms == 0)[self.group], self.norms(r)
        outward = (self.kink / np.where(norms > 0, norms, 1.0))[self.group] * self.sizes * u
        beyond = np.maximum(1.0 - self.kink / np.where(steep > 0, steep, 1.0), 0.0)[self.group]
        return np.where(zero, beyond * r, r + outward)

    def change(self, u: np.ndarray, r: np.ndarray, move: np.ndarray, B_move: np.ndarray) -> float:
        """Change of the value if u moves, accurate where it is small; for sizes of zero and one."""
        both = self.norms(u) + self.norms(u + move)
        turned = np.bincount(self.group, weights=self.sizes * move * (2.0 * u + move), minlength=len(self.kink))
        longer = turned / np.where(both > 0, both, 1.0)
        return float(r @ move + 0.5 * (move @ B_move) + self.kink @ longer)

    def scaled(self, diagonal: np.ndarray) -> tuple["Groupwise", np.ndarray]:
        """Return the function of v = scale o u, and the scale (p,): sizes are zero and one, and groups are alike.

        ``diagonal`` is that of B.
        """
        held, groups = self.held, len(self.kink)
        own = np.where(held, self.sizes, 1.0)
        curvature = diagonal / (own * own)
        counts = np.bincount(self.group, weights=held, minlength=groups)
        mean = np.bincount(self.group, weights=held * curvature, minlength=groups) / np.maximum(counts, 1.0)
        root = np.sqrt(np.where(mean > 0, mean, 1.0))
        scale = np.where(held, own * root[self.group], np.sqrt(np.where(diagonal > 0, diagonal, 1.0)))
        kink = np.where(counts > 0, self.kink / root, 0.0)
        times, part = self.times, self.part
        inner = Groupwise(
            lambda v: times(v / scale) / scale,
            lambda index: part(index) / np.outer(scale[index], scale[index]),
            self.linear / scale,
            held.astype(float),
            self.group,
            kink,
            self.operations,
        )
        return inner, scale


def minimize(
    problem: Groupwise, start: np.ndarray, share: float, diagonal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise from a start, until no slope is larger than a share of the largest one there.

    Parameters
    ----------
    problem : Groupwise
    start : ndarray (p,)
    share : float
    diagonal : ndarray (p,)
        That of B, or about so: it makes the groups alike.

    Returns
    -------
    u : ndarray (p,)
    left : ndarray (p,)
        The slope with which each coordinate would still fall.
    """
    inner, scale = problem.scaled(diagonal)
    before = start * scale
    v, left = _minimize(inner, before, share)
    return np.where(v == before, start, v / scale), np.abs(left) * scale


def _minimize(problem: Groupwise, u: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    Bu, limit, held, work = problem.times(u), 0.0, problem.held, 0
    wanted = np.zeros_like(u)
    for step in range(STEPS + 1):
        r = problem.linear + Bu
        wanted = problem.slopes(r, u)
        noise = ROUNDING * (np.abs(problem.linear) + np.abs(Bu) + (held * problem.kink[problem.group]))
        limit = limit if step else share * float(np.max(np.abs(wanted), initial=0.0))
        moving = np.abs(wanted) > np.maximum(noise, limit)
        if not moving.any() or step == STEPS or work > WORK:  # the caller counts what is left
            break
        outside = held & (problem.norms(u) == 0)[problem.group]
        inside, beyond = (float(np.max(np.abs(wanted[some]), initial=0.0)) for some in (~outside, outside))
        ways = [_inside, _enter] if inside > SETTLED * beyond else [_enter, _inside]
        for way in ways:
            further = way(problem, u, r, wanted, outside)
            if further is not None:
                u, Bu = further, problem.times(further)
                break
        else:
            break
        active = int(np.sum(~outside))
        work += active**3 if active <= DIRECT else PRODUCTS * problem.operations
    return u, wanted


def _inside(
    problem: Groupwise, u: np.ndarray, r: np.ndarray, wanted: np.ndarray, outside: np.ndarray
) -> np.ndarray | None:
    """Take a step of Newton's method with the groups that are not zero; None if none lowers the value.

    Where that step is too long, since a norm hardly bends outward, the curvature of a norm takes its place that it has
    along its group: with all of it the step cannot raise the value (Hunter & Lange, A tutorial on MM algorithms, 2004).
    """
    active, norms = np.flatnonzero(~outside), problem.norms(u)
    for share in BENT:
        move = np.zeros_like(u)
        move[active] = _toward(problem, u, wanted[active], active, share)
        slope = float(wanted @ move)
        shift = np.bincount(problem.group, weights=problem.sizes * u * move, minlength=len(norms))
        crossing = np.where(shift < 0, norms * norms / np.where(shift < 0, -shift, 1.0), np.inf)
        for length in sorted({min(float(np.min(crossing)), 1.0), *SHORTER}, reverse=True):
            straight = u + length * move
            gone = problem.held & ((1.0 - DUST) * crossing <= length)[problem.group]
            for further in [np.where(gone, 0.0, straight), straight] if gone.any() else [straight]:
                moved = further - u
                if problem.change(u, r, moved, problem.times(moved)) < ARMIJO * length * slope:
                    return further
    return None


def _toward(problem: Groupwise, u: np.ndarray, slope: np.ndarray, active: np.ndarray, share: float) -> np.ndarray:
    """Solve for the step of the active coordinates; norms bend outward by a share of what they bend sideways."""
    group, held, norms = problem.group[active], problem.held[active], problem.norms(u)
    length = np.where(norms > 0, norms, 1.0)
    bend = np.where(held, (problem.kink / length)[group], 0.0)
    unit = np.where(held, u[active] / length[group], 0.0)
    if len(active) <= DIRECT:
        H = problem.part(active)
        H = H - (1.0 - share) * np.where(group[:, None] == group, np.outer(bend * unit, unit), 0.0)
        H[np.diag_indices_from(H)] += bend
        return -solve(H, slope)
    times = among(problem.times, active, len(u))

    def outward(p: np.ndarray) -> np.ndarray:
        return (1.0 - share) * np.bincount(group, weights=unit * p)[group] * unit

    def metric(p: np.ndarray) -> np.ndarray:  # the inverse, were B the identity
        return (p + bend / (1.0 + share * bend) * outward(p)) / (1.0 + bend)

    return -approached(lambda p: times(p) + bend * (p - outward(p)), slope, metric)


def _enter(
    problem: Groupwise, u: np.ndarray, r: np.ndarray, wanted: np.ndarray, outside: np.ndarray
) -> np.ndarray | None:
    """Let the groups that are beyond their kinks the most leave zero, as far as the value falls; None if none would."""
    beyond = problem.norms(wanted * outside)
    most = max(FIRST, int(np.count_nonzero(problem.norms(u))))
    if np.count_nonzero(beyond) > most:
        beyond = np.where(beyond >= np.partition(beyond, -most)[-most], beyond, 0.0)
    move = -np.where(outside & (beyond > 0)[problem.group], wanted, 0.0)
    curvature, fall = float(move @ problem.times(move)), float(beyond @ beyond)
    return u + fall / curvature * move if curvature > 0 and fall > 0 else None
