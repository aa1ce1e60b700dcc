"""The preconditioner for softmax models and for many features: diagonal in a basis of features times classes."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xlogreg.solvers.preconditioners import Conditioning, turned

__all__ = ["Basis", "Kronecker"]


class Basis(NamedTuple):
    """Orthonormal directions of theta's rows, in units of T: T^-1 S T^-1 = U diag(values) U' + tail.

    Attributes
    ----------
    T : array (n_x + 1, 1)
    U : array (n_x + 1, r)
    values : array (r,)
    tail : float
        The second moment that is assumed in all directions outside of U.
    """

    T: np.ndarray
    U: np.ndarray
    values: np.ndarray
    tail: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether U spans all directions."""
        return self.U.shape[0] == self.U.shape[1]


@dataclass(frozen=True)
class Kronecker:
    """Preconditioner M of g models: the Hessian's diagonal in the coordinates of a basis U and of the classes' Q.

    M^-1 G = T^-1 {U [(U' T^-1 G Q) / spectrum] + (1 - U U') T^-1 G Q / tail} Q'. With a whole basis and the spectrum
    s a' + l2 this is the inverse of A (x) S + l2 T^2, where A = Q diag(a) Q'. With the true diagonal it is closer to
    the inverse of the Hessian (the eigenvalue correction of George et al., NeurIPS 2018).

    Attributes
    ----------
    basis : Basis
    right : array (g, k, k)
        The matrix Q of each model.
    spectrum : array (r, g, k)
        The diagonal in the directions of U. It is infinite where there is nothing to solve for: along the constant over
        the classes, which changes no probability, and where features are collinear.
    tail : array (1, g, k)
        The diagonal in the directions outside of U.
    conditioning : tuple of Conditioning
        One for each model, or empty.
    """

    basis: Basis
    right: np.ndarray
    spectrum: np.ndarray
    tail: np.ndarray
    conditioning: tuple[Conditioning, ...]

    @property
    def models(self) -> int:
        return self.right.shape[0]

    @classmethod
    def from_factors(
        cls, basis: Basis, a: np.ndarray, Q: np.ndarray, diagonal: np.ndarray, l2: float, precision: float
    ) -> "Kronecker":
        """Build that of one model from the losses' Hessian: its diagonal (r, k), and its curvatures a (k,) along Q."""
        k, a = a.shape[0], np.maximum(a, 0.0)
        null = (a <= k * precision * a.max())[None, :] if k > 1 else np.zeros((1, 1), dtype=bool)
        collinear = basis.values <= basis.values.shape[0] * precision * basis.values.max()
        tail = np.maximum(a[None, :] * basis.tail, l2)
        spectrum = diagonal + tail
        dead = collinear[:, None] & (spectrum <= l2 + precision * diagonal.max())
        known = ~(null | dead)
        # with a penalty every direction is curved, even if the data hardly determine it
        spectrum = np.where(null | (dead & (l2 == 0)) | (spectrum <= 0), np.inf, spectrum)
        conditioning: tuple[Conditioning, ...] = ()
        if basis.whole:
            finite = spectrum[np.isfinite(spectrum)]
            directions = (basis.U / basis.T)[:, collinear] if l2 == 0 and collinear.any() else None
            axes = None if directions is None else np.linalg.qr(directions)[0]
            conditioning = (
                Conditioning(int(known.sum()), float(finite.max(initial=0.0) / finite.min(initial=np.inf)), axes),
            )
        tail = np.where(null | (tail <= 0), np.inf, tail)
        return cls(basis, Q[None, :, :], spectrum[:, None, :], tail[:, None, :], conditioning)

    @classmethod
    def join(cls, parts: Sequence["Kronecker"]) -> "Kronecker":
        """Join preconditioners of single models that share their basis."""
        if len(parts) == 1:
            return parts[0]
        axes = {"right": 0, "spectrum": 1, "tail": 1}
        joined = {name: np.concatenate([getattr(part, name) for part in parts], axis) for name, axis in axes.items()}
        return cls(parts[0].basis, **joined, conditioning=tuple(part.conditioning[0] for part in parts))

    def keep(self, models: np.ndarray) -> "Kronecker":
        """Return the preconditioner of some models, given by number."""
        conditioning = tuple(self.conditioning[model] for model in models.tolist()) if self.conditioning else ()
        return Kronecker(self.basis, self.right[models], self.spectrum[:, models], self.tail[:, models], conditioning)

    def cautious(self, l2: float) -> "Kronecker":
        """Return the preconditioner with no more curvature than l2 outside of U."""
        added = np.where(np.isfinite(self.tail), self.tail, 0.0)
        lower = np.where(np.isfinite(self.tail), l2, np.inf)
        return dataclasses.replace(self, spectrum=self.spectrum - added + l2, tail=lower)

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        T, U, _, _ = self.basis
        rows, g, k = gradient.shape
        R = turned(gradient / T[:, :, None], self.right)
        C = (U.T @ R.reshape(rows, g * k)).reshape(-1, g, k)
        inside = C / self.spectrum if self.basis.whole else C / self.spectrum - C / self.tail
        solution = (U @ inside.reshape(-1, g * k)).reshape(rows, g, k)
        solution = solution if self.basis.whole else R / self.tail + solution
        return turned(solution, self.right.transpose(0, 2, 1)) / T[:, :, None]
