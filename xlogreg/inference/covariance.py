"""Statistics of a fit: the Fisher information, and the model without features."""

import math

import numpy as np

from xlogreg.fitting.problem import TINY, Problem
from xlogreg.solvers.coordinates import Coordinates
from xlogreg.solvers.preconditioners import Inverse

__all__ = ["covariance", "null_log_likelihood"]


def null_log_likelihood(problem: Problem) -> float:
    """Mean log-likelihood of the model without features: of the classes' shares, or of equal ones without a bias."""
    shares = (problem.source.shares() if problem.spread is None else problem.spread.shares).tolist()
    if not problem.objective.free[-1, 0, 0]:
        return -math.log(len(shares))
    *others, most = sorted(shares)
    log = math.log1p(-sum(others)) if most > 0.5 else math.log(most)
    return most * log + sum(share * math.log(max(share, TINY)) for share in others)


def covariance(problem: Problem, inverse: Inverse | None, converged: bool) -> np.ndarray | str:
    """Covariance of (w, b) for X as it came, ((n_x + 1) k, (n_x + 1) k), or why there is none.

    The inverse of the Fisher information s H, H the Hessian of the mean log loss (McCullagh & Nelder 1989,
    section 4.4). For a softmax that of the parameters centred over the classes.

    Parameters
    ----------
    problem : Problem
    inverse : Inverse or None
        Of the Hessian of all samples at the optimum.
    converged : bool
    """
    objective, k = problem.objective, problem.start.shape[2]
    if np.any(objective.l2 > 0):
        return "the fit is penalised, and a penalty biases parameters by more than standard errors tell; use l2=0"
    if not converged:
        return "the fit did not converge"
    if inverse is None or not isinstance(problem.engine, Coordinates):
        return "the fit made no Hessian of all samples; use fit with solver='newton'"
    free = np.repeat(objective.free[:, 0, 0], k)
    full = (objective.free.shape[0] - 1 + int(objective.free[-1, 0, 0])) * max(1, k - 1)
    rank = inverse.conditioning[0].rank
    if rank < full:
        return f"features are collinear or constant: the Fisher information has the rank {rank}, not {full}"
    information = inverse.inverse[0] * free * free[:, None]
    return problem.engine.covariance_of(information / problem.source.total_weight)
