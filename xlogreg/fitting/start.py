"""Where a fit starts: at the parameters that the user hands in, or at the constant model."""

from typing import Any

import numpy as np

from xlogreg.inference.covariance import null_log_likelihood
from xlogreg.model.model import Model
from xlogreg.samples.source import Samples
from xlogreg.solvers.constant import fit_constants, log_odds
from xlogreg.solvers.coordinates import Spread, as_host

__all__ = ["constant_biases", "given_parameters", "null_of", "with_constant"]


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
