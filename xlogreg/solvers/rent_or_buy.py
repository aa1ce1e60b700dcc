"""Gradients first, and a Hessian where it is cheaper to buy one than to go on without.

L-BFGS starts at the model without features, in coordinates in which all features are alike. There the Hessian is
p (1 - p) times the second moment of the features. Its inverse is the first metric if it costs no more than a few
gradients; else its diagonal is. At each step the rule compares two prices: that of the steps which are left at the
present rate, and that of a Hessian of all samples at the present theta, with the few steps that are left after it. So
no choice is much dearer than the best one (Karlin, Manasse, Rudolph & Sleator, Competitive snoopy caching, 1988).
"""

import dataclasses
import math
from typing import Any

import numpy as np

from xlogreg.samples.source import Samples
from xlogreg.solvers import descent
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import Diagonal, Inverse, Preconditioner
from xlogreg.solvers.prices import gradient_price, hessian_price, moment_price
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.result import Monitor, Result

__all__ = ["minimize", "renting_pays"]

FEW_GRADIENTS = 4.0  # gradients that the inverse of the second moment may cost
DEAR_HESSIAN = 4.0  # gradients that a Hessian costs, from which on gradients are tried first
RATE_STEPS = 3  # steps whose mean rate predicts the steps that are left
FASTEST, SLOWEST = 1e-4, 0.95  # rates that a prediction may use
MARGIN = 1.8  # a Hessian is bought if it saves this factor
DRIFT = 0.3  # largest rate of L-BFGS with a fresh Hessian
STILL = 3e-3  # least rate of it
MEMORY = 30  # pairs of L-BFGS


def renting_pays(source: Samples) -> bool:
    """Whether a Hessian costs so many gradients that gradients are tried first.

    The prices are those of a host that has X in memory: elsewhere a pass costs more, and a Hessian less.
    """
    priced = source.is_here and source.place.small_blocks and not source.is_read
    return priced and hessian_price(source.m, source.n_x) > DEAR_HESSIAN * gradient_price(source.m, source.n_x)


class Rent:
    """A judge that ends a run where a Hessian is cheaper than the steps that are left."""

    def __init__(self, source: Samples, tol: float) -> None:
        self.step, self.price = gradient_price(source.m, source.n_x), hessian_price(source.m, source.n_x)
        self.tol, self.gaps = tol, list[float]()

    def sees(self, gap: float, value: float) -> str:
        self.gaps = [*self.gaps[-RATE_STEPS:], gap]
        goal = max(self.tol, 1e-15) * abs(value)
        if len(self.gaps) < 2 or not goal < gap < math.inf:
            return ""
        rate = (gap / self.gaps[0]) ** (1.0 / (len(self.gaps) - 1))
        far = math.log(gap / goal)
        stay = far / -math.log(min(max(rate, FASTEST), SLOWEST)) * self.step
        after = min(max(gap / abs(value), STILL), DRIFT)
        bought = self.price + max(1.0, far / -math.log(after)) * self.step
        return "slow" if MARGIN * bought < stay else ""


def minimize(
    objective: Objective,
    source: Samples,
    start: np.ndarray,
    *,
    share: float,
    tol: float,
    max_iter: int,
    monitor: Monitor | None = None,
) -> Result:
    """Minimise the cost of one model of one output; theta is on the host.

    Parameters
    ----------
    objective : Objective
    source : Samples
        Its samples.
    start : ndarray (n_x + 1, 1, 1)
    share : float
        Share of the second class, by weight.
    tol, max_iter, monitor
        As for `descent.minimize`.
    """
    metric, passes = _first_metric(objective, source, start, share)
    method = QuasiNewton(metric, memory=MEMORY)
    run: dict[str, Any] = {"tol": tol, "monitor": monitor}
    found = descent.minimize(objective, start, method=method, max_iter=max_iter, rent=Rent(source, tol), **run)
    while found.reason == "slow" and found.iterations < max_iter:
        here = objective.expand(found.theta)
        assert here.hessian is not None
        metric, passes = (
            Inverse.from_hessians(here.hessian, objective.precision, objective.shift(found.theta)),
            passes + 1,
        )
        method = QuasiNewton(metric, memory=MEMORY, patience=1)
        steps = max_iter - found.iterations
        again = descent.minimize(objective, found.theta, method=method, max_iter=steps, rent=Rent(source, tol), **run)
        found = found.followed_by(again)
    reason = "max_iter" if found.reason == "slow" else found.reason
    return dataclasses.replace(found, passes=found.passes + passes, reason=reason)


def _first_metric(objective: Objective, source: Samples, theta: np.ndarray, share: float) -> tuple[Preconditioner, int]:
    """Build the Hessian at the model without features, or its diagonal; return it with the passes that it took."""
    curvature = max(share * (1.0 - share), 1e-3)
    if moment_price(source.m, source.n_x) > FEW_GRADIENTS * gradient_price(source.m, source.n_x):
        diagonal = np.asarray(objective.penalty.curvature(theta)) + curvature
        return Diagonal(np.where(objective.free > 0, diagonal, 1.0)), 0
    shift = objective.shift(theta)
    H = curvature * objective.second_moment()[None, :, :] + shift
    return Inverse.from_hessians(H, objective.precision, shift), 1
