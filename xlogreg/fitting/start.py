"""Where a fit starts: at the parameters that the user hands in, or at the constant model."""

from typing import Any, NamedTuple

import numpy as np

from xlogreg.inference.covariance import null_log_likelihood
from xlogreg.math.offsets import correlation_terms, offset_terms
from xlogreg.model.model import Model
from xlogreg.samples.source import Samples
from xlogreg.solvers.certificate import EXPANSION_LIMIT
from xlogreg.solvers.constant import fit_constants, log_odds
from xlogreg.solvers.coordinates import Spread, as_host

__all__ = ["constant_biases", "given_parameters", "nearer", "null_of", "with_constant"]

FAR_OUT = 0.3  # of a feature's curvature without an offset: if less is left, steps from the constant model go astray
LOST = 0.03  # the same: if less is left, a higher cost with curvature is the better start


def given_parameters(initial: Any, n_x: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Take w (n_x, k) and b (k, 1) for X from the model or the pair that the user hands in to start at."""
    pair = (initial.w, initial.b) if isinstance(initial, Model) else initial
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"initial must be a Model or a pair (w, b), not {type(initial).__name__}")
    try:
        w, b = (np.asarray(as_host(part), dtype=np.float64) for part in pair)
    except (TypeError, ValueError, OverflowError):
        raise TypeError("initial must hold w and b as arrays of numbers") from None
    if w.shape != (n_x, k) or b.shape != (k, 1):
        raise ValueError(f"initial must hold w {(n_x, k)} and b {(k, 1)}; got {w.shape} and {b.shape}")
    if not (np.all(np.isfinite(w)) and np.all(np.isfinite(b))):
        raise ValueError("initial holds values that are not finite (NaN or infinity)")
    if isinstance(initial, Model) and initial.center is not None:  # where b is rounded
        b = as_host(initial.centered_b) - w.T @ as_host(initial.center)
    return w, b


def constant_biases(spread: Spread) -> np.ndarray:
    """The best biases (k,) beside weights of zero."""
    return log_odds(spread.shares) if spread.constant is None else spread.constant.bias[0]


class Begin(NamedTuple):
    """A start, the spread of the samples as seen from there, and the passes that it took."""

    theta: np.ndarray  # (n_x + 1, 1, k)
    spread: Spread | None
    passes: float


def nearer(problem: Any) -> Begin:
    """Find a better start than the constant model, if an offset takes samples so far out that they have no curvature.

    There the features cancel as much of the offset as they can, by least squares.

    Parameters
    ----------
    problem : Problem
        One that starts at the constant model.
    """
    objective, spread, constant = problem.objective, problem.spread, problem.start
    penalty, alone = objective.penalty, Begin(constant, spread, 0.0)
    if problem.solver == "gd" or len(constant) > EXPANSION_LIMIT or not penalty.smooth:
        return alone
    if spread is None or spread.constant is None:
        return alone
    even = spread._replace(constant=None).curvature
    moments = np.append(np.ones((0, 1)) if problem.is_reduced else problem.moment, [[1.0]], axis=0)
    found = as_host(objective.curvatures(constant))[-len(moments) :, 0, :]
    moving, even_along = objective.free[-len(moments) :, 0, :] > 0, moments * even.diagonal()
    left = float(np.min(np.where(moving, found / np.where(even_along > 0, even_along, 1.0), 1.0), initial=1.0))
    if left >= FAR_OUT:
        return alone._replace(passes=1.0)
    o, _ = objective.source.bare().sum(offset_terms, constant)
    _, xo = objective.correlations(correlation_terms)
    slopes = np.concatenate([as_host(xo), as_host(o) / objective.total])[:, 0, :] * objective.free[:, 0, :]
    held = np.asarray(penalty.curvature(constant))[:, 0, :1] / objective.loss.bound + 1.0 - objective.free[:, 0, :]
    design = as_host(objective.second_moment()) + np.diag(held[:, 0])
    start = -(np.linalg.pinv(design, hermitian=True) @ slopes)[:, None, :] * objective.free
    costs = [float(objective.evaluate(theta).value[0]) for theta in (start, constant)]
    if not (costs[0] < costs[1] or left < LOST):
        return alone._replace(passes=5.0)
    return Begin(start, spread._replace(constant=spread.constant._replace(curvature=even[None, :, :])), 5.0)


def null_of(source: Samples, spread: Spread | None, outputs: int, bias: bool) -> float:
    """Mean log-likelihood of the model without features, with k outputs and perhaps a bias."""
    if source.has_offset:
        found = None if spread is None else spread.constant
        found = fit_constants(source, _means(source.shares(), outputs), bias) if found is None else found
        return -float(found.loss[0])
    shares = source.shares() if spread is None else spread.shares
    return null_log_likelihood(tuple(shares.tolist()), bias)


def with_constant(spread: Spread | None, source: Samples, bias: bool) -> Spread | None:
    """Add the model without features to the spread of samples that have an offset."""
    if spread is None or not source.has_offset:
        return spread
    return spread._replace(constant=fit_constants(source, spread.targets.T, bias))


def _means(shares: np.ndarray, outputs: int) -> np.ndarray:
    """Take the means of the targets (1, k) from the shares (K,) of all classes, of both if there are two."""
    return shares[None, 1:] if outputs == 1 else shares[None, :]
