"""Where a fit starts: at the parameters that the user hands in, or at the constant model."""

from typing import Any

import numpy as np

from xlogreg.model.model import Model
from xlogreg.solvers.coordinates import as_host

__all__ = ["given_parameters", "log_odds"]

TINY = np.finfo(float).tiny  # takes the place of a share that rounds to zero beside other classes


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


def log_odds(shares: np.ndarray) -> np.ndarray:
    """The best biases (..., k) beside weights of zero, for shares of all classes (..., K) or of the second class."""
    shares = np.concatenate([1.0 - shares, shares], axis=-1) if shares.shape[-1] == 1 else shares
    logs = np.log(np.maximum(shares, TINY))
    return logs[..., 1:] - logs[..., :1] if logs.shape[-1] == 2 else logs - np.mean(logs, axis=-1, keepdims=True)
