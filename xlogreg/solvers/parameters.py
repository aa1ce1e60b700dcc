"""Parameters of a model, rounded to the dtype of X; with the centre of the features if b alone would lose digits."""

from typing import NamedTuple

import numpy as np

from xlogreg.arrays.place import ROUNDING
from xlogreg.solvers.coordinates import Coordinates

__all__ = ["Parameters", "as_stored"]

SHIFT = 1e-6  # largest error of a score that rounding of b may cause


class Parameters(NamedTuple):
    """Parameters of a model on the host, in the dtype in which the model keeps them."""

    w: np.ndarray  # (n_x, k)
    b: np.ndarray  # (k, 1), for X
    center: np.ndarray | None  # (n_x, 1) if rounding of b would show, else None
    centered_b: np.ndarray | None  # (k, 1), for X - center

    def theta_in(self, coordinates: Coordinates) -> np.ndarray:
        """Turn exactly these parameters, as they predict, into theta (n_x + 1, 1, k)."""
        w = self.w.astype(np.float64)
        if self.center is None or self.centered_b is None:
            return coordinates.theta_of(w, self.b.astype(np.float64))
        shift = w.T @ (coordinates.center - self.center)
        return np.concatenate([w * coordinates.scale, (self.centered_b + shift).T])[:, None, :]


def as_stored(w: np.ndarray, v: np.ndarray, center: np.ndarray, dtype: str) -> Parameters:
    """Round parameters w (n_x, k), v (k, 1) for X - center; b makes up for the mean effect of rounding w."""
    with np.errstate(over="ignore"):
        w = w.astype(dtype)
        exact, reach = w.astype(np.float64), float(np.abs(w * center).sum(axis=0).max())
        if not reach * ROUNDING[dtype] > SHIFT:
            return Parameters(w, (v - exact.T @ center).astype(dtype), None, None)
        kept = center.astype(dtype)
        centered_b = (v - exact.T @ (center - kept)).astype(dtype)
        return Parameters(w, (centered_b - exact.T @ kept).astype(dtype), kept, centered_b)
