"""The minimum of a fit and its curvature: where tests by likelihood ratios and profiles of the likelihood start."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from xlogreg.inference.sandwich import Sums, class_basis, reduced
from xlogreg.math.losses import Loss
from xlogreg.math.penalties import make_penalty
from xlogreg.samples.source import Samples, host_center
from xlogreg.solvers import simultaneous
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import Inverse
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.restricted import Restricted

__all__ = ["Minimum", "batches", "find_minimum", "inverse_of", "regular_inverse"]

BATCH_NUMBERS = 2**19  # parameters of all models that are solved at once: the pairs of L-BFGS then take 64 MB
MEMORY = 8  # pairs of L-BFGS
STEPS = 50  # of L-BFGS, which takes about ten
DEVIANCE = 1e-8  # error of a log-likelihood that shows in no interval and in no p-value
NEARER = 0.01  # share of that error up to which models are solved
NOISE = 16.0  # rounding errors of a mean loss, below which none can be told


class Minimum(NamedTuple):
    """The minimum of the mean loss, and the curvature there.

    Attributes
    ----------
    objective : Objective
        The mean loss of one model, for X - center.
    theta : ndarray (n_x + 1, 1, k)
    value : float
        The mean loss.
    inverse : ndarray (q, q)
        Inverse of its Hessian, in the coordinates of the basis.
    basis : ndarray (k, c)
        Orthonormal basis of the classes.
    center : ndarray (n_x, 1)
    total : float
        Sum of the weights.
    bias : bool
    """

    objective: Objective
    theta: np.ndarray
    value: float
    inverse: np.ndarray
    basis: np.ndarray
    center: np.ndarray
    total: float
    bias: bool

    @property
    def tolerance(self) -> float:
        """Error of a mean loss that shows in no result, or that rounding makes anyway."""
        return max(DEVIANCE / self.total, NOISE * self.objective.noise * self.value)

    def models(self, held: list[np.ndarray]) -> tuple[Objective, Restricted]:
        """Return the objective of models that hold some rows of theta each, and their inverse Hessians."""
        free = np.repeat(self.objective.free, len(held), axis=1)
        for model, rows in enumerate(held):
            free[rows, model] = 0.0
        units = np.ones((len(free) - 1, 1, 1))
        objective = dataclasses.replace(
            self.objective, free=free, penalty=make_penalty(np.zeros(len(held)), None, units)
        )
        return objective, Restricted(self.inverse, self.basis, tuple(held))


def batches(count: int, parameters: int) -> list[range]:
    """Cut ``count`` models with so many parameters each into batches."""
    size = max(1, BATCH_NUMBERS // parameters)
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def inverse_of(H: np.ndarray, basis: np.ndarray, bias: bool, precision: float) -> tuple[np.ndarray, int]:
    """Invert a Hessian (p, p) in the coordinates of a basis (k, c) of the classes, and tell its rank.

    The row of a bias that does not move is zero.
    """
    rows = len(H) // len(basis)
    F = reduced(H, basis, rows - 1 + bias)
    found = Inverse.from_hessians(F[None, :, :], precision)
    return np.pad(found.inverse[0], (0, rows * basis.shape[1] - len(F))), found.conditioning[0].rank


def regular_inverse(sums: Sums, basis: np.ndarray, bias: bool) -> np.ndarray:
    """Invert the information of a fit, see `inverse_of`.

    Raises
    ------
    ValueError
        If features are collinear.
    """
    inverse, rank = inverse_of(sums.hessian, basis, bias, sums.precision)
    full = (len(sums.center) + bias) * basis.shape[1]
    if rank < full:
        raise ValueError(
            f"features are collinear or constant, and the information has the rank {rank}, not {full}; leave some of "
            "them out"
        )
    return inverse


def find_minimum(samples: Samples, sums: Sums, theta: Any, loss: Loss, bias: bool) -> Minimum:
    """Take a few Newton steps from a fit that is near its minimum, so that rounding errors alone are left.

    Parameters
    ----------
    samples : Samples
        In the widest float.
    sums : Sums
        Of `sum_information` at the fit.
    theta : callable
        Returns the parameters (n_x + 1, 1, k) for a centre (n_x, 1) that is subtracted from X.
    loss : Loss
    bias : bool

    Raises
    ------
    ValueError
        If features are collinear.
    """
    n_x = len(sums.center)
    basis = class_basis(len(sums.hessian) // (n_x + 1))
    inverse = regular_inverse(sums, basis, bias)
    total = float(np.ravel(samples.total_weight)[0])
    if samples.shifts:
        source = samples.uncentered().centered(sums.center)
        center, inside = host_center(source), None  # as rounded there
    else:
        source, center, inside = samples.uncentered(), sums.center, sums.center[:, :, None]
    ones, free = np.ones((n_x, 1, 1)), np.ones((n_x + 1, 1, 1))
    free[-1] = bias
    objective = Objective(
        source.settled(), loss, make_penalty(np.zeros(1), None, ones), ones, free, False, center=inside
    )
    start, mean_loss = theta(center), sums.loss / total
    found = Minimum(objective, start, mean_loss, inverse * total, basis, center, total, bias)
    method = QuasiNewton(Restricted(found.inverse, basis, (np.zeros(0, np.intp),)), memory=MEMORY, rescaling=0.0)
    tol = NEARER * found.tolerance / mean_loss
    (result,) = simultaneous.minimize(objective, start, method=method, tol=tol, max_iter=STEPS)
    gap = 0.0 if result.gap is None else max(float(result.gap[0]), 0.0)
    return found._replace(theta=result.theta, value=float(result.last.value[0]) - gap)
