"""Coordinates of the parameters: X~ = (X - center) / scale, and the way there and back.

The score is one number in any of them: z = w'x + b = u'x~ + v with w = u / scale, b = v - w'center.
All on the host in float64.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from xlogreg.backends import HOST, Array
from xlogreg.data import InMemory, host_center
from xlogreg.terms import spread_terms

__all__ = ["Coordinates", "Spread", "lacking_variance", "measure_spread"]


DROWNING = {"float32": 1e4, "float64": 1e8}  # squares of means against variances
LACKING = 0.1  # of the variance: heavy tails lack half of it in most subsets, but are saturated there


class Coordinates(NamedTuple):
    """X~ = (X - center) / scale; both (n_x, 1)."""

    center: np.ndarray
    scale: np.ndarray

    def theta_of(self, w: np.ndarray, b: np.ndarray) -> np.ndarray:
        """theta (n_x + 1, 1, k) of parameters w (n_x, k), b (k, 1) for X."""
        return np.concatenate([w * self.scale, (b + w.T @ self.center).T])[:, None, :]

    def parameters_of(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """w (n_x, k) and b (k, 1) for X, of theta (n_x + 1, 1, k)."""
        w = theta[:-1, 0, :] / self.scale
        return w, theta[-1:, 0, :].T - w.T @ self.center

    def covariance_of(self, covariance: np.ndarray) -> np.ndarray:
        """Covariance of (w, b) for X, of that of theta ((n_x + 1) k, (n_x + 1) k)."""
        n_x = self.scale.shape[0]
        k = covariance.shape[0] // (n_x + 1)
        jacobian = np.diag(np.append(1.0 / self.scale[:, 0], 1.0))
        jacobian[-1, :-1] = -self.center[:, 0] / self.scale[:, 0]
        jacobian = np.kron(jacobian, np.eye(k))
        return jacobian @ covariance @ jacobian.T

    def gradient_of(self, dTheta: np.ndarray, other: "Coordinates") -> np.ndarray:
        """The gradient dTheta (n_x + 1, 1, k) in the ``other`` coordinates."""
        dU, dv = dTheta[:-1, 0, :], dTheta[-1:, 0, :]
        shift = (self.center - other.center) / other.scale
        return np.concatenate([dU * self.scale / other.scale + shift * dv, dv])[:, None, :]


class Spread(NamedTuple):
    """Weighted mean and variance of the features (n_x, 1), mean of the targets (k, 1), and the passes that took."""

    mean: np.ndarray
    variance: np.ndarray
    targets: np.ndarray
    passes: int

    @property
    def shares(self) -> np.ndarray:
        """Share of every class (K,), both of two, by weight."""
        shares = self.targets[:, 0]
        return np.concatenate([1.0 - shares, shares]) if shares.shape[0] == 1 else shares


def measure_spread(source: InMemory, exact: bool = False) -> Spread:
    """From all samples, in one pass, or in two where a mean is so large that it drowns the variance.

    NaN where X holds values that are not finite. Without ``exact`` variances may be off by 1e-3 in float32, which is
    as good as any for a scale that only the engine sees.
    """
    spread = _spread_about(source, np.zeros((source.n_x, 1)))
    with np.errstate(all="ignore"):
        drowning = spread.mean**2 > DROWNING[source.dtype] * spread.variance
    if np.any(drowning) or exact:
        centered = source.centered(spread.mean)
        spread = _spread_about(centered, host_center(centered))
        spread = spread._replace(passes=2)
    return spread


def _spread_about(source: InMemory, origin: np.ndarray) -> Spread:
    D, D2, Y = (np.asarray(total) / source.total_weight for total in source.sum(spread_terms, HOST.put(origin)))
    with np.errstate(all="ignore"):
        return Spread(origin + D, np.maximum(D2 - D * D, 0.0), Y, 1)


def user_coordinates(n_x: int, standardize: bool | float, spread: Spread | None) -> Coordinates:
    """Those in which the user wants the penalty, and the iterates of gradient descent.

    ``standardize=True`` needs the spread.
    """
    if standardize is True and spread is not None:
        return Coordinates(spread.mean, np.where(spread.variance > 0, np.sqrt(spread.variance), 1.0))
    return Coordinates(np.zeros((n_x, 1)), np.full((n_x, 1), float(standardize or 1.0)))


def engine_coordinates(user: Coordinates, spread: Spread, ridge: float, bias: bool) -> Coordinates:
    """Those in which every feature has the mean zero and about the same curvature.

    Without a bias the score may not be shifted, so the centre stays the user's. ``ridge`` is l2 over the
    bound of the loss's curvature: a feature that hardly varies is curved by its penalty alone.
    """
    center = spread.mean if bias else user.center
    curvature = spread.variance + (spread.mean - center) ** 2 + ridge * user.scale**2
    return Coordinates(center, np.where(curvature > 0, np.sqrt(curvature), 1.0))


def lacking_variance(subset: InMemory, spread: Spread, engine: Coordinates) -> np.ndarray:
    """What a subset lacks of the second moment of each feature (n_x,), in engine coordinates.

    A feature that differs from its mean in a few samples only may be constant in the subset. Of the others nothing:
    what chance adds would hide the small eigenvalues of correlated features.
    """
    seen = measure_spread(dataclasses.replace(subset, center=None))
    moments = (s.variance + (s.mean - engine.center) ** 2 for s in (spread, seen))
    whole, part = ((moment / engine.scale**2)[:, 0] for moment in moments)
    return np.where(part < LACKING * whole, whole - part, 0.0)


def as_host(array: Array) -> np.ndarray:
    """A small array as float64 on the host."""
    return HOST.put(array, "float64")
