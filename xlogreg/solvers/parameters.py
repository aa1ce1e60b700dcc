"""Parameters of a model, rounded to the dtype of X; with the centre of the features where b alone would lose digits."""

from typing import NamedTuple

import numpy as np

from xlogreg.arrays.place import ROUNDING
from xlogreg.solvers.coordinates import Coordinates

__all__ = ["Parameters", "as_stored"]

SHIFT = 1e-6  # of a score, that rounding of b may be


class Parameters(NamedTuple):
    """Of a model, in the dtype that it keeps, on the host."""

    w: np.ndarray  # (n_x, k)
    b: np.ndarray  # (k, 1)
    center: np.ndarray | None  # (n_x, 1) where rounding of b would show
    centered_b: np.ndarray | None  # (k, 1)

    def theta_in(self, coordinates: Coordinates) -> np.ndarray:
        """theta (n_x + 1, 1, k) of exactly these, as they predict."""
        w = self.w.astype(np.float64)
        if self.center is None or self.centered_b is None:
            return coordinates.theta_of(w, self.b.astype(np.float64))
        shift = w.T @ (coordinates.center - self.center)
        return np.concatenate([w * coordinates.scale, (self.centered_b + shift).T])[:, None, :]


def as_stored(w: np.ndarray, v: np.ndarray, center: np.ndarray, dtype: str) -> Parameters:
    """Parameters w (n_x, k), v (k, 1) for X - center, rounded; b makes up for what rounding of w does in the mean."""
    with np.errstate(over="ignore"):
        w = w.astype(dtype)
        exact, reach = w.astype(np.float64), float(np.abs(w * center).sum(axis=0).max())
        if not reach * ROUNDING[dtype] > SHIFT:
            return Parameters(w, (v - exact.T @ center).astype(dtype), None, None)
        kept = center.astype(dtype)
        centered_b = (v - exact.T @ (center - kept)).astype(dtype)
        return Parameters(w, (centered_b - exact.T @ kept).astype(dtype), kept, centered_b)
