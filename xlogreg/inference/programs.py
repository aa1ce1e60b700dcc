"""Linear programs over the recession cone, with the rows that matter only, and rays that are checked row by row.

A program starts with few rows. Those that its answer moves to the wrong side join it, until there are none: the answer
is then that of all rows. An answer is a vertex only within the tolerance of the solver. It counts as a ray if no row
moves to its wrong side by more than the rounding errors of its own sum. If some do, they are moved back, or taken to be
still exactly; if that fails, they get more weight in the program.
"""

from typing import Any

import numpy as np

from xlogreg.inference.recession import Cone, dusted

__all__ = ["Programs"]

ADDED = 5  # rows for each variable that join a program at a time
ROUNDS = 200  # programs that are solved for one answer, at most
STRICTER = 4  # times that rows get more weight, because the answer is none within rounding errors
HEAVIER = 1e3  # factor of their weight each time
TOLERANCE = 1e-9  # of the first programs
LEAST = 1e-10  # tolerance that HiGHS allows
FARTHER = 10.0  # moves of up to so many times the worst one to a wrong side, or the tolerance, are taken for zero
LIFT = 1.0 + 1e-6  # times what would move the last of the rows that are wrong to its hyperplane
INSIDE = 0.5  # an answer within this share of the box is zero: a better one would lie on its border
RISES = 1e-8  # what a cost, of a largest coefficient of one, has to grow by: less is within the tolerance
DENSE = 0.3  # share of numbers that are not zero from which on a program is handed over as an array


class Programs:
    """Programs over a cone or a part of it: d = T z with z in the unit box, or d itself in it.

    Parameters
    ----------
    cone : Cone
    T : ndarray (q, r), optional
    level : ndarray (q, n), optional
        Directions that d must be orthogonal to; those that move nothing, unless T leaves them out.
    among : ndarray of bool, optional
        The rows that count; None for all.
    inner : ndarray (q,), optional
        A ray that moves all rows that can move.
    """

    def __init__(
        self,
        cone: Cone,
        T: np.ndarray | None = None,
        level: np.ndarray | None = None,
        among: np.ndarray | None = None,
        inner: np.ndarray | None = None,
    ) -> None:
        self.cone, self.T, self.level, self.among, self.inner = cone, T, level, among, inner
        self.working = np.zeros(0, dtype=np.int64)  # rows of the program
        self.weight = np.zeros(0)  # of these
        self._matrix: Any = None

    def ascend(self, cost: np.ndarray) -> tuple[np.ndarray | None, bool]:
        """Find a ray d (q,) along which ``cost`` (q,) grows; None if there is none. The bool: whether that is known."""
        goal = cost if self.T is None else self.T.T @ cost
        if self.level is not None:
            goal = goal - self.level @ (self.level.T @ goal)
        top = float(np.max(np.abs(goal), initial=0.0))
        if top == 0.0:
            return None, True
        goal, stricter, tolerance = goal / top, 0, TOLERANCE
        z: np.ndarray | None = goal  # which often is good enough once it is lifted
        for round in range(ROUNDS):
            if z is None:
                return None, False
            if np.max(np.abs(z)) < INSIDE:
                return None, True
            d = self._cleaned(z if self.T is None else self.T @ z)
            wrong = self.wrong(d)
            ray = self._lifted(d, wrong)
            if ray is not None and cost @ ray > RISES * (np.abs(cost) @ np.abs(ray)):
                return ray / np.max(np.abs(ray)), True
            if not round and len(self.working):
                z = self._solved(goal, tolerance)
                continue
            new = self._joining(wrong)
            if not len(new):
                ray, new = self._straightened(d) if np.any(wrong) else (d, new)
                if ray is not None and cost @ ray > 0.0:
                    return ray / np.max(np.abs(ray)), True
                if goal @ z <= RISES:
                    return None, True
            if not len(new):
                if stricter == STRICTER:
                    return None, False
                stricter, tolerance = stricter + 1, LEAST
                self.weight[wrong[self.working] > 0.0] *= HEAVIER
            self._join(new)
            z = self._solved(goal, tolerance)
        return None, False

    def wrong(self, d: np.ndarray) -> np.ndarray:
        """Return how far each row moves to its wrong side, or zero if that is within its rounding errors."""
        moves = self.cone.moves(d)
        wrong = np.where(moves < -self.cone.blur(d), -moves, 0.0)
        return wrong if self.among is None else wrong * self.among

    def _cleaned(self, d: np.ndarray) -> np.ndarray:
        """Leave out what rounding left of zeros, unless that moves rows to their wrong side."""
        clean = dusted(d)
        return d if np.max(self.wrong(clean)) > np.max(self.wrong(d)) else clean

    def _joining(self, wrong: np.ndarray) -> np.ndarray:
        """Choose the rows that join the program: those farthest on their wrong side."""
        outside = wrong.copy()
        outside[self.working] = 0.0
        variables = self.cone.size if self.T is None else self.T.shape[1]
        order = np.argsort(-outside, kind="stable")[: ADDED * variables]
        return order[outside[order] > 0.0]

    def _join(self, new: np.ndarray) -> None:
        if not len(new):
            return
        rows = self.cone.rows(new)
        if self.T is not None:
            rows = rows @ self.T
            rows = rows / np.maximum(np.max(np.abs(rows), axis=1, keepdims=True), np.finfo(float).tiny)
        if self._matrix is None:
            self._matrix = rows
        elif isinstance(rows, np.ndarray):
            self._matrix = np.concatenate([self._matrix, rows])
        else:
            from scipy.sparse import vstack

            self._matrix = vstack([self._matrix, rows], format="csr")
        self.working = np.concatenate([self.working, new])
        self.weight = np.concatenate([self.weight, np.ones(len(new))])

    def _solved(self, goal: np.ndarray, tolerance: float) -> np.ndarray | None:
        """Solve the program: maximise goal'z, where no row of it moves to the wrong side; None if that fails."""
        from scipy.optimize import linprog
        from scipy.sparse import csr_array, diags_array

        matrix = self._matrix
        if isinstance(matrix, np.ndarray) and np.count_nonzero(matrix) >= DENSE * matrix.size:
            weighted = -self.weight[:, None] * matrix
        else:
            weighted = diags_array(-self.weight) @ csr_array(matrix)
        found = linprog(
            -goal,
            A_ub=weighted,
            b_ub=np.zeros(len(self.working)),
            A_eq=None if self.level is None else csr_array(self.level.T),
            b_eq=None if self.level is None else np.zeros(self.level.shape[1]),
            bounds=(-1.0, 1.0),
            method="highs-ds",
            options={"primal_feasibility_tolerance": tolerance, "dual_feasibility_tolerance": tolerance},
        )
        return np.asarray(found.x) if found.status == 0 else None

    def _lifted(self, d: np.ndarray, wrong: np.ndarray) -> np.ndarray | None:
        """Add as much of the inner ray to d as it takes to move no row to its wrong side; None if that fails."""
        back = wrong > 0.0
        if self.inner is None or not np.any(back):
            return None
        moves = self.cone.moves(self.inner)[back]
        if np.any(moves <= 0.0):
            return None
        ray = d + LIFT * float(np.max(wrong[back] / moves)) * self.inner
        return None if np.any(self.wrong(ray)) else ray

    def _straightened(self, d: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """Make the moves exactly zero that are so but for the tolerance; return a ray, or rows that have to join."""
        from scipy.linalg import lstsq

        moves, start = self.cone.moves(d)[self.working], d
        new = self.working[:0]
        for small in (FARTHER * float(-np.min(moves)), FARTHER * TOLERANCE):
            tight = self.working[moves <= small]
            rows = self.cone.dense(tight)
            rows, d = rows if self.T is None else rows @ self.T, start
            for _ in range(2):  # the second time for the rounding errors of the first
                step = lstsq(rows, self.cone.moves(d)[tight], cond=1e-12, lapack_driver="gelsy")[0]
                d = d - (step if self.T is None else self.T @ step)
            if np.max(np.abs(d)) < INSIDE * np.max(np.abs(start)):
                continue
            d = self._cleaned(d)
            wrong = self.wrong(d)
            if not np.any(wrong):
                return d, new
            new = self._joining(wrong)
        return None, new
