"""What is proved of an answer: its cost, its gradient, and how far from the minimum it is at most.

The gap J - min J is known in one of two ways:

- "decrement": half the squared Newton decrement g' H^-1 g / 2, from the Hessian of all samples;
- "bound": ||dJ/dw||^2 / (2 l2), a proof, for J is l2-strongly convex in w once b is minimised out
  (Boyd & Vandenberghe, Convex Optimization (2004), equation 9.9). So b is moved to its minimum first, and
  what that gains is added.
"""

from typing import NamedTuple

from xlogreg.backends import Array, array_namespace
from xlogreg.objective import Evaluation, Objective
from xlogreg.preconditioners import Dense
from xlogreg.solvers.descent import decrement
from xlogreg.solvers.newton import Newton

__all__ = ["EXPANSION_LIMIT", "Certificate", "certify"]

EXPANSION_LIMIT = 1000  # parameters up to which a Hessian of all samples is worth its m p^2 operations
BIAS_STEPS = 5


class Certificate(NamedTuple):
    """The objective at theta, of g models, and the gap."""

    here: Evaluation
    gap: Array | None  # (g,); None where it is not known
    known: str  # "decrement", "bound" or ""
    passes: int


def certify(objective: Objective, theta: Array) -> Certificate:
    """Certificate of theta (n_x + 1, g, k): one pass, or a few for the bound."""
    rows, _, k = theta.shape
    xp = array_namespace(theta)
    if objective.loss.curvature is None:
        return Certificate(objective.evaluate(theta), None, "", 1)
    if rows * k <= EXPANSION_LIMIT:
        newton = Newton.of(objective)
        here = newton.evaluate(objective, theta)
        return Certificate(here, decrement(here.gradient, newton.step(here)), "decrement", 1)
    if not bool(xp.all(objective.l2 > 0)):
        return Certificate(objective.evaluate(theta), None, "", 1)
    return _bound(objective, theta)


def _bound(objective: Objective, theta: Array) -> Certificate:
    xp = array_namespace(theta)
    here = first = objective.expand_bias(theta)
    passes = 1
    while True:
        pull = here.gradient[:-1, :, :]
        slope = here.gradient[-1:, :, :]
        proved = xp.sum(pull * pull / (2.0 * objective.l2 * objective.penalty), axis=(0, 2))
        step = -Dense(here.hessian, objective.precision, objective.noise).solve(slope)
        left = decrement(slope, step)  # what b could still gain
        if passes > BIAS_STEPS or bool(xp.all(left <= 1e-2 * proved)):
            return Certificate(first, first.value - here.value + left + proved, "bound", passes)
        theta = xp.concat([theta[:-1, :, :], theta[-1:, :, :] + step], axis=0)
        here, passes = objective.expand_bias(theta), passes + 1
