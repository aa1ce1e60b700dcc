"""Infinite coefficients of a maximum likelihood estimate: signs of the directions of recession.

On all sequences of parameters whose likelihood approaches its supremum, each coefficient does as follows. It tends to a
finite value if no direction of recession changes it. It grows for ever if some of them raise it and none lowers it: it
is then a sum, with weights that are not negative, of moves that all have to grow. If some raise it and others lower
it, the data leave open what it does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xlogreg.inference.programs import Programs
from xlogreg.inference.recession import Cone, dusted, null_space, reduced_to
from xlogreg.inference.rectifier import rectify

__all__ = ["EITHER", "FALLS", "FINITE", "RISES", "UNDECIDED", "Finding", "find_infinite", "find_rectified"]

FINITE, RISES, FALLS, EITHER, UNDECIDED = "finite", "+inf", "-inf", "either", "undecided"
SHOWS = 1e-9  # share of its parts from which on a change of a coefficient is no rounding error
Look = Callable[[np.ndarray], tuple[np.ndarray | None, bool]]  # finds a ray that moves some of the rows that count


class Finding(NamedTuple):
    """Directions of recession, and what they do.

    Attributes
    ----------
    direction : ndarray (q,), or None
        One that moves every row that some direction moves.
    moved : ndarray (m (K - 1),) of bool
        The rows that it moves.
    status : list of str
        One for each coefficient.
    settled : bool
        Whether it is known that no direction moves the other rows.
    """

    direction: np.ndarray | None
    moved: np.ndarray
    status: list[str]
    settled: bool


def find_infinite(cone: Cone, coefficients: Any) -> Finding:
    """Find a direction of recession, and the status of each coefficient.

    Parameters
    ----------
    cone : Cone
    coefficients : csr_array (c, q)
        Each coefficient as a sum over the parameters of the cone.
    """
    rng = np.random.default_rng(0)  # draws rows; the answer does not depend on it
    level, part = null_space(cone, np.arange(cone.count), rng)
    if level.shape[1] == cone.size:  # all features are constant
        return Finding(None, np.zeros(cone.count, dtype=bool), [FINITE] * coefficients.shape[0], True)
    # a direction that moves nothing changes no coefficient: of all parameters with the same scores, the shortest count
    T = reduced_to(cone, None, part)
    fixed = level if T is None and level.shape[1] else None
    rays, moved, settled = _rays(cone, lambda chosen: _program(cone, T, fixed, chosen))
    if not rays:
        return Finding(None, moved, [FINITE if settled else UNDECIDED] * coefficients.shape[0], settled)
    signs = _Signs(cone, coefficients, rays)
    if not settled:
        return Finding(signs.middle, moved, signs.known, False)
    free, _ = null_space(cone, np.flatnonzero(~moved), rng)
    if level.shape[1]:
        apart = np.linalg.qr(free.T @ level, mode="complete")[0][:, level.shape[1] :]
        free = dusted(free @ apart)
    if free.shape[1] < cone.size:
        T = reduced_to(cone, free, part)
    status = signs.settled(free, Programs(cone, T, inner=signs.middle))
    return Finding(signs.middle, moved, status, True)


def find_rectified(cone: Cone, coefficients: Any) -> Finding:
    """Find a direction of recession by the rectifier; of coefficients only what is known without programs."""
    rays, moved, settled = _rays(cone, lambda chosen: rectify(cone, chosen))
    if not rays:
        return Finding(None, moved, [FINITE if settled else UNDECIDED] * coefficients.shape[0], settled)
    signs = _Signs(cone, coefficients, rays)
    return Finding(signs.middle, moved, signs.known, settled)


def _rays(cone: Cone, look: Look) -> tuple[list[np.ndarray], np.ndarray, bool]:
    """Find rays that together move every row that can move; these rows; and whether it is known that no others can.

    Rows that a ray moves do not count any more: far along the ray they stay on their side, wherever another one goes.
    """
    rays: list[np.ndarray] = []
    moved = np.zeros(cone.count, dtype=bool)
    while not np.all(moved):
        ray, known = look(~moved)
        if ray is None:
            return rays, moved, known
        moves, blur = cone.moves(ray), cone.blur(ray)
        new = (moves > blur) & ~moved
        if not np.any(new):
            return rays, moved, known
        if np.sum(moves[new]) <= np.sum(blur[~moved]):  # rounding errors of the other rows may balance these moves
            return rays, moved, False
        if rays:
            ray = _far_along(cone, rays[-1], ray)
            if ray is None:
                return rays, moved, False
        rays.append(ray)
        moved |= new
    return rays, moved, True


def _program(
    cone: Cone, T: np.ndarray | None, level: np.ndarray | None, chosen: np.ndarray
) -> tuple[np.ndarray | None, bool]:
    """Find a ray that moves some of the chosen rows the most, by a linear program."""
    cost = cone.pull(chosen.astype(float))
    if np.max(np.abs(cost)) <= np.finfo(float).eps * len(chosen):  # the rows balance each other
        return None, True
    return Programs(cone, T, level, chosen).ascend(cost)


def _far_along(cone: Cone, ray: np.ndarray, then: np.ndarray) -> np.ndarray | None:
    """Go so far along a ray that ``then`` moves no row to its wrong side; None if rounding errors hide that."""
    moves, back = cone.moves(ray), -cone.moves(then)
    off = (back > cone.blur(then)) & (moves > 0.0)
    length = 2.0 * float(np.max(back[off] / moves[off], initial=0.5))
    both = length * ray + then
    both = both / np.max(np.abs(both))
    return both if np.all(cone.moves(both) >= -cone.blur(both)) else None


class _Signs:
    """Signs that directions of recession give to each coefficient, as far as rays have been found."""

    def __init__(self, cone: Cone, coefficients: Any, rays: list[np.ndarray]) -> None:
        self.cone, self.coefficients, self.count = cone, coefficients, 0
        self.rises = np.zeros(coefficients.shape[0], dtype=bool)
        self.falls = np.zeros(coefficients.shape[0], dtype=bool)
        self.total = np.zeros(cone.size)
        for ray in rays:
            self.learn(ray)

    @property
    def middle(self) -> np.ndarray:
        """The mean of all rays: it moves all rows that one of them moves."""
        return self.total / self.count

    @property
    def known(self) -> list[str]:
        both = self.rises & self.falls
        return [EITHER if yes else UNDECIDED for yes in both.tolist()]

    def learn(self, ray: np.ndarray) -> None:
        change, parts = self.coefficients @ ray, abs(self.coefficients) @ abs(ray)
        self.rises |= change > SHOWS * parts
        self.falls |= change < -SHOWS * parts
        self.total, self.count = self.total + ray, self.count + 1

    def settled(self, free: np.ndarray, programs: Programs) -> list[str]:
        """Find the status of each coefficient; ``free`` (q, r) spans the directions of recession."""
        span = self.coefficients @ free
        parts = np.asarray(abs(self.coefficients).sum(axis=1)).reshape(-1)
        varies = np.max(np.abs(span), axis=1) > SHOWS * parts
        status = np.where(varies, UNDECIDED, FINITE).tolist()
        for number in np.flatnonzero(varies).tolist():
            change, sure = dusted(free @ span[number]), True
            for up, sign in ((self.rises, 1.0), (self.falls, -1.0)):
                if not up[number]:
                    programs.inner = self.middle
                    ray, known = programs.ascend(sign * change)
                    sure = sure and known
                    if ray is not None:
                        self.learn(ray)
            if self.rises[number] and self.falls[number]:
                status[number] = EITHER
            elif sure and (self.rises[number] or self.falls[number]):
                status[number] = RISES if self.rises[number] else FALLS
        return status
