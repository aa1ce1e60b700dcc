"""Statistics of a fit: the Fisher information, and the model without features."""

import functools
import math
import sys

import numpy as np

from xlogreg.inference.sandwich import reduced
from xlogreg.math.penalties import Elastic
from xlogreg.solvers.coordinates import CoordinateSystem
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import Inverse

__all__ = ["AFTER_SELECTION", "covariance", "null_log_likelihood"]

AFTER_SELECTION = (
    "the features were selected by an L1 penalty on the same data, after which standard errors are too small; "
    "fit the selected features with l1=0 on other data"
)


@functools.lru_cache(maxsize=64)  # a fit asks for it several times
def null_log_likelihood(shares: tuple[float, ...], bias: bool) -> float:
    """Mean log-likelihood of a model without features: it has the shares of K classes, or equal ones without a bias."""
    if not bias:
        return -math.log(len(shares))
    *others, most = sorted(shares)
    log = math.log1p(-sum(others)) if most > 0.5 else math.log(most)
    return most * log + sum(share * math.log(max(share, sys.float_info.min)) for share in others)


def covariance(
    objective: Objective, coordinates: CoordinateSystem, inverse: Inverse | None, outputs: int, converged: bool
) -> np.ndarray | str:
    """Covariance of (w, b) for X as it came, ((n_x + 1) k, (n_x + 1) k), or the reason why there is none.

    It is the inverse of the Fisher information s H, where s is the sum of the weights and H the Hessian of the mean
    log loss (McCullagh & Nelder 1989, section 4.4). For a softmax, the parameters are centred over the classes.

    Parameters
    ----------
    objective : Objective
    coordinates : CoordinateSystem
        Coordinates of the objective's parameters.
    inverse : Inverse or None
        Inverse of the Hessian of all samples at the optimum.
    outputs : int
        Number k of outputs of each sample.
    converged : bool
    """
    if not objective.penalty.smooth:
        if isinstance(objective.penalty, Elastic) and not objective.penalty.kinks.any():
            return "the weights have bounds, at which standard errors mean nothing; fit without lower and upper"
        return AFTER_SELECTION
    if objective.penalty.active.any():
        return "the fit is penalised, and a penalty biases parameters by more than standard errors tell; use l2=0"
    if not converged:
        return "the fit did not converge"
    features = coordinates.features
    if inverse is None or features is None:
        return "the fit made no Hessian of all samples; use fit with solver='newton'"
    free = np.repeat(objective.free[:, 0, 0], outputs)
    full = (objective.free.shape[0] - 1 + int(objective.free[-1, 0, 0])) * max(1, outputs - 1)
    rank = inverse.conditioning[0].rank
    if rank < full:
        return f"features are collinear or constant: the Fisher information has the rank {rank}, not {full}"
    information = inverse.inverse[0] * free * free[:, None]
    found = features.covariance_of(information / objective.source.total_weight)
    # a pseudo-inverse is one of many that give contrasts between classes the same errors; this one is centred
    return found if outputs == 1 else reduced(found, np.eye(outputs) - 1.0 / outputs, len(found) // outputs)
