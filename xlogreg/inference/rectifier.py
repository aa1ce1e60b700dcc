"""The iterative rectifier: a direction of recession by least squares, where linear programs would take too long.

Moves u that are wanted, at first one for each row, are regressed on the rows; the negative ones among the moves that
come out are set to zero, and so on (Correia, Guimaraes & Zylkin, Verifying the existence of maximum likelihood
estimates for generalized linear models, arXiv 1903.01633, 2021). For the moves z of any direction of recession, u'z
never falls: a regression leaves it as it is, and a rectification adds numbers that are not negative. At first u'z is
the sum of z; so once no u is as large as one, there is no such z.
"""

from typing import Any

import numpy as np

from xlogreg.inference.recession import Cone, dusted

__all__ = ["rectify"]

STEPS = 1000  # regressions for one direction, at most
BELOW = 0.999  # a largest move below which there is no direction; one leaves no room for rounding errors
SETTLED = 1e-6  # share of the largest move from which on the moves to the wrong side are taken for zero
LEAST_SQUARES = {"atol": 1e-14, "btol": 1e-14, "conlim": 0.0}
REGRESSION = 2000  # steps of a regression, at most


def rectify(cone: Cone, chosen: np.ndarray) -> tuple[np.ndarray | None, bool]:
    """Find a ray d (q,) that moves some of the rows that count, (count,) of bool, and none of these to its wrong side.

    Returns None if there is none. The bool: whether that is known.
    """
    from scipy.sparse.linalg import LinearOperator, lsmr

    def operator(rows: np.ndarray) -> Any:
        return LinearOperator(
            (cone.count, cone.size),
            matvec=lambda d: np.where(rows, cone.moves(d.reshape(-1)), 0.0),
            rmatvec=lambda u: cone.pull(np.where(rows, u.reshape(-1), 0.0)),
            dtype=np.float64,
        )

    A, u, d = operator(chosen), chosen.astype(float), np.zeros(cone.size)
    for _ in range(STEPS):
        d = lsmr(A, u, x0=d, maxiter=REGRESSION, **LEAST_SQUARES)[0]
        moves = np.where(chosen, cone.moves(d), 0.0)
        top = float(np.max(moves))
        if top < BELOW:
            return None, True
        if np.min(moves) >= -SETTLED * top:
            still = chosen & (moves <= SETTLED * top)
            ray = d - lsmr(operator(still), np.where(still, moves, 0.0), maxiter=REGRESSION, **LEAST_SQUARES)[0]
            ray = dusted(ray) / np.max(np.abs(ray))
            found = cone.moves(ray)
            if np.all((found >= -cone.blur(ray)) | ~chosen) and np.any((found > cone.blur(ray)) & chosen):
                return ray, True
        u = np.maximum(moves, 0.0)
    return None, False
