"""Models without features: their scores are a bias, and the offset of the samples if they have one.

Fits start there, and are compared with them. Without an offset the best bias follows from the shares of the classes.
With one, Newton's method finds it, from the targets and the offset alone: X is not read.
"""

from typing import NamedTuple

import numpy as np

from xlogreg.math.losses import PRECISE
from xlogreg.math.offsets import constant_terms
from xlogreg.samples.folds import Folds
from xlogreg.samples.source import Samples

__all__ = ["Constant", "fit_constants", "log_odds"]

TINY = np.finfo(float).tiny  # takes the place of a share that rounds to zero beside other classes
STEPS = 100  # of Newton's method, at most
NEAR = 1e-14  # gap, relative to the loss, that a last step of Newton's method leaves nothing of
STRIDE = 4.0  # longest first step of a bias: far out the curvature is next to zero, and steps would be endless
FLAT = 1e-12  # of the largest curvature: a constant over the classes has none
LEAST = 1e-280  # curvature that counts as none


class Constant(NamedTuple):
    """The best models without features, of g models."""

    bias: np.ndarray  # (g, k)
    loss: np.ndarray  # (g,) mean loss
    curvature: np.ndarray  # (g, k, k) mean second derivative of the loss by the scores

    def of(self, model: int) -> "Constant":
        """Return the one of a model, by number."""
        return Constant(*(part[model : model + 1] for part in self))


def log_odds(shares: np.ndarray) -> np.ndarray:
    """The best biases (..., k) beside weights of zero, for shares of all classes (..., K) or of the second class."""
    shares = np.concatenate([1.0 - shares, shares], axis=-1) if shares.shape[-1] == 1 else shares
    logs = np.log(np.maximum(shares, TINY))
    return logs[..., 1:] - logs[..., :1] if logs.shape[-1] == 2 else logs - np.mean(logs, axis=-1, keepdims=True)


def fit_constants(source: Samples | Folds, shares: np.ndarray, bias: bool = True) -> Constant:
    """Fit models without features to samples with an offset; the biases of a softmax sum to zero.

    Parameters
    ----------
    source : Samples or Folds
    shares : ndarray (g, k)
        Mean of the targets of each model, by weight.
    bias : bool
        Whether there is a bias; without one, the scores are the offset.
    """
    g, k = shares.shape
    bare, total = source.bare().widened(), np.broadcast_to(np.asarray(source.total_weight, dtype=np.float64), (g,))
    loss = PRECISE["log_loss" if k == 1 else "cross_entropy"]

    def at(biases: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        losses, db, C = (np.asarray(part) for part in bare.sum(constant_terms, biases[None, :, :], loss))
        return losses / total, db[0] / total[:, None], C.transpose(1, 0, 2) / total[:, None, None]

    with np.errstate(all="ignore"):
        b = np.clip(np.nan_to_num(log_odds(shares)), -700.0, 700.0) if bias else np.zeros((g, k))
        value, slope, C = at(b)
        stride = np.full((g, 1), STRIDE)
        for _ in range(STEPS if bias else 0):
            step = _newton(slope, C)
            small = -0.5 * np.sum(slope * step, axis=1) <= NEAR * value
            longest = np.max(np.abs(step), axis=1, keepdims=True)
            taken = step * np.minimum(1.0, stride / np.where(longest > 0, longest, 1.0))
            if np.all(small):
                return Constant(b + taken, value, C)
            there, *rest = at(b + taken)
            lower = there <= value * (1.0 + NEAR)
            stride = np.where(lower[:, None], 2.0 * stride, 0.5 * np.minimum(longest, stride))
            b, value = np.where(lower[:, None], b + taken, b), np.where(lower, there, value)
            slope, C = np.where(lower[:, None], rest[0], slope), np.where(lower[:, None, None], rest[1], C)
    return Constant(b, value, C)


def _newton(slope: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Steps (g, k) of Newton's method for slopes (g, k) and curvatures (g, k, k); without curvature, down the slope."""
    if slope.shape[1] == 1:
        return -slope / np.maximum(C[:, :, 0], LEAST)
    values, Q = np.linalg.eigh(C)
    largest = values[:, -1:]
    inverse = np.where(values > FLAT * largest, 1.0 / np.maximum(values, LEAST), 0.0)
    inverse = np.where(largest > LEAST, inverse, 1.0 / LEAST)
    return -np.einsum("gij,gj,glj,gl->gi", Q, inverse, Q, slope)
