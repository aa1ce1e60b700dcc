"""Certificate of an answer: its cost, its gradient, and the largest possible gap to the minimum.

The gap J - min J is known in one of two ways:

- "decrement": half the squared Newton decrement g' H^-1 g / 2, from the Hessian of all samples;
- "bound": a proof, by duality. For any probabilities alpha of the samples whose means are those of the targets,
  min J >= mean H(alpha) - h*(-V), where H is the entropy, h* the conjugate of the penalty, and V = X (alpha - Y)' / s
  (Yu, Huang & Lin, Dual coordinate descent for maximum entropy models, Machine Learning 2011). Near the minimum the
  probabilities A of the model are nearly an alpha of this kind. A mixture with one constant distribution c is exactly
  of this kind: alpha = (1 - tau) A + tau c. An offset o of the scores adds mean (alpha - y)'o to mean H(alpha).
"""

from typing import NamedTuple

import numpy as np

from xlogreg.arrays.place import Array
from xlogreg.math.offsets import offset_terms
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.newton import Newton
from xlogreg.solvers.objective import Evaluation, Objective

__all__ = ["EXPANSION_LIMIT", "Certificate", "certify", "fading", "hides"]

EXPANSION_LIMIT = 1000  # parameters up to which a Hessian of all samples is worth its m p^2 operations

HIDDEN = 0.04  # of the curvature at the start, relative to that of the bias, below which a feature hides


class Certificate(NamedTuple):
    """The objective at theta, for g models, and the gap J - min J."""

    here: Evaluation
    gap: Array | None  # (g,); None where it is not known
    known: str  # "decrement", "bound" or ""
    passes: int


def certify(objective: Objective, theta: np.ndarray, limit: int = EXPANSION_LIMIT) -> Certificate:
    """Certify theta (n_x + 1, g, k) on the host: one pass, or two for the bound.

    Up to ``limit`` parameters the gap comes from the Hessian.
    """
    rows, _, k = theta.shape
    if objective.loss.curvature is None or not objective.penalty.smooth:
        return Certificate(objective.evaluate(theta), None, "", 1)
    if rows * k <= limit:
        newton = Newton.for_objective(objective)
        here = newton.evaluate(objective, theta)
        return Certificate(here, newton.step(here, theta).gap, "decrement", 1)
    here = objective.evaluate(theta)
    fixed = np.any(theta != objective.confined(theta))  # weights with other values than zero
    if fixed or not np.all(objective.held):
        return Certificate(here, None, "", 1)
    gap = _bound(objective, theta, here)
    return Certificate(here, gap, "bound", 2) if np.all(np.isfinite(gap)) else Certificate(here, None, "", 2)


def fading(objective: Objective, theta: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Shares (n_x, g) of the curvature along each feature that are left at theta (n_x + 1, g, k): one pass.

    Most samples in which a feature is large may be certain there, so that it is hardly curved any more. At the start it
    was, and the pairs of L-BFGS may never have found out. The share is relative to that of the bias, and the least of
    all classes. ``moment`` (n_x, 1) is the second moment of the features, in theta's coordinates.
    """
    found, penalty = as_host(objective.curvatures(theta)), as_host(objective.penalty.curvature(theta))[:-1]
    even = found[-1:] * moment[:, :, None] + penalty  # the curvature if all samples counted alike
    left = (found[:-1] + penalty) / np.where(even > 0, even, 1.0)
    return np.min(np.where((even > 0) & (objective.free[:-1] > 0), left, 1.0), axis=2)


def hides(objective: Objective, theta: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Whether a feature hides from L-BFGS at the theta of each model (g,), see `fading`: one pass."""
    return np.any(fading(objective, theta, moment) < HIDDEN, axis=0)


def _bound(objective: Objective, theta: np.ndarray, here: Evaluation) -> np.ndarray:
    """Upper bounds (g,) of J - min J: one pass, for the means of x and of x y'."""
    data = here.gradient - objective.confined(
        objective.penalty.slope(theta)
    )  # gradient of the losses alone: X (A - Y)' / s, and mean A - mean Y
    slopes = np.sum(data * theta, axis=(0, 2))
    entropy = here.loss - slopes  # mean H(A) + (A - Y)'o, since L(z, y) = H(a) + (a - y)'z
    V, constant = data[:-1], np.zeros_like(entropy)
    if objective.free[-1, 0, 0] > 0:
        means = objective.source.shares()[None, :]  # means of the targets of all classes (1, K)
        e = data[-1]
        e = np.concatenate([-e, e], axis=1) if e.shape[1] == 1 else e
        rho = np.max(e / means, axis=1)  # the least rho for which c has no negative entries
        tau = rho / (1.0 + rho)
        c = np.maximum(means - e / np.where(rho > 0, rho, 1.0)[:, None], 0.0)
        kept = c if data.shape[2] > 1 else c[:, 1:]
        constant = tau * (-np.sum(c * np.log(np.where(c > 0, c, 1.0)), axis=1) + _shifted(objective, theta, kept))
        entropy = (1.0 - tau) * entropy
        x, xy = objective.correlations()
        V = (1.0 - tau[:, None]) * V + tau[:, None] * (x * kept - xy)
    lower = entropy + constant - objective.penalty.conjugate(np.concatenate([-V, np.zeros_like(V[:1])]))
    rounding = 8.0 * objective.noise * (np.abs(here.value) + np.sum(np.abs(data * theta), axis=(0, 2)))
    return here.value - lower + rounding


def _shifted(objective: Objective, theta: np.ndarray, c: np.ndarray) -> np.ndarray | float:
    """Mean (g,) of (c - y)'o over the samples with offsets o, for one distribution c (g, k) of each model."""
    source = objective.source
    if not source.has_offset:
        return 0.0
    o, yo = (as_host(part) for part in source.bare().sum(offset_terms, theta))
    return (np.sum(c * o[0], axis=1) - yo) / source.total_weight
