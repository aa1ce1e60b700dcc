"""Likelihood-ratio tests of each term of a model: all models that lack one of them, at once."""

import numpy as np

from xlogreg.inference.minimum import MEMORY, NEARER, STEPS, Minimum, batches
from xlogreg.solvers import descent, simultaneous
from xlogreg.solvers.newton import Newton
from xlogreg.solvers.quasi_newton import QuasiNewton

__all__ = ["drop_tests"]


def drop_tests(full: Minimum, held: list[np.ndarray]) -> np.ndarray:
    """Compute the likelihood-ratio statistic of each term (n,): how much the deviance rises without it.

    Each model starts at the minimum of the full model's quadratic expansion, without its term. The distance to the
    minimum is of second order there. All models take steps with the inverse Hessian of the full model.

    Parameters
    ----------
    full : Minimum
    held : list of ndarray
        The rows of theta that belong to each term.

    Returns
    -------
    ndarray (n,)
        NaN for a model that did not reach its minimum.
    """
    statistics, tol = np.full(len(held), np.nan), NEARER * full.tolerance / full.value
    for batch in batches(len(held), full.theta.size):
        objective, inverse = full.models([held[term] for term in batch])
        method = QuasiNewton(inverse, memory=MEMORY, rescaling=0.0)
        start = inverse.projected(full.theta)
        found = simultaneous.minimize(objective, start, method=method, tol=tol, max_iter=STEPS)
        for number, result in enumerate(found):
            if result.reason == "left":
                alone = objective.keep(np.asarray([number]))
                newton = Newton.for_objective(alone)
                result = descent.minimize(alone, result.theta, method=newton, tol=tol, max_iter=STEPS)
            if result.reason in ("converged", "precision") and result.gap is not None:
                least = float(result.last.value[0]) - max(float(result.gap[0]), 0.0)
                statistics[batch[number]] = max(2.0 * full.total * (least - full.value), 0.0)
    return statistics
