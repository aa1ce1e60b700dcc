"""One inverse Hessian for many models of the same samples, each with some parameters that are held."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Restricted"]


@dataclass(frozen=True)
class Restricted:
    """Preconditioners of g models that share an inverse Hessian V and hold some rows of theta.

    Without the parameters T, the inverse of the Hessian is V - V[:, T] V[T, T]^-1 V[T, :]. So a solution is V times a
    gradient, of all models in one product, minus a few columns of V; nothing of the size g p^2 is kept.

    Attributes
    ----------
    inverse : ndarray (q, q)
        In the coordinates of the basis, row by row: q = (n_x + 1) c. Rows that no model moves are zero.
    basis : ndarray (k, c)
        Orthonormal basis of the classes, see `xlogreg.inference.sandwich.class_basis`.
    held : tuple of ndarray
        For each model the numbers of the rows of theta that it holds.
    """

    inverse: np.ndarray
    basis: np.ndarray
    held: tuple[np.ndarray, ...]

    @property
    def models(self) -> int:
        return len(self.held)

    def keep(self, models: np.ndarray) -> "Restricted":
        """Return the preconditioners of some models, given by number."""
        return Restricted(self.inverse, self.basis, tuple(self.held[model] for model in models.tolist()))

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        solution = self.inverse @ self._inside(gradient)
        return self._outside(self._less(solution, solution), gradient.shape)

    def projected(self, theta: np.ndarray) -> np.ndarray:
        """Minimise the quadratic model about theta (n_x + 1, 1, k) for each model, its held parameters at zero.

        This is theta - V[:, T] V[T, T]^-1 theta[T], (n_x + 1, g, k).
        """
        shape = (theta.shape[0], self.models, theta.shape[2])
        inside = np.repeat(self._inside(theta), self.models, axis=1)
        return self._outside(self._less(inside, inside), shape)

    def _less(self, solution: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Subtract V[:, T] V[T, T]^-1 values[T] from each model's column of a solution (q, g); what is held is zero."""
        V, c, found = self.inverse, self.basis.shape[1], solution.copy()
        alone = [model for model, rows in enumerate(self.held) if len(rows) * c == 1]
        numbers = np.asarray([self.held[model][0] for model in alone], dtype=np.intp)
        if alone:
            found[:, alone] -= V[:, numbers] * (values[numbers, alone] / V[numbers, numbers])
            found[numbers, alone] = 0.0
        for model, rows in enumerate(self.held):
            if len(rows) * c > 1:
                T = (np.asarray(rows)[:, None] * c + np.arange(c)).ravel()
                found[:, model] -= V[:, T] @ np.linalg.solve(V[np.ix_(T, T)], values[T, model])
                found[T, model] = 0.0
        return found

    def _inside(self, theta: np.ndarray) -> np.ndarray:
        """Turn theta (n_x + 1, g, k) into the coordinates of the basis (q, g)."""
        rows, g, _ = theta.shape
        return (theta @ self.basis).transpose(0, 2, 1).reshape(rows * self.basis.shape[1], g)

    def _outside(self, inside: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        rows, g, _ = shape
        return inside.reshape(rows, self.basis.shape[1], g).transpose(0, 2, 1) @ self.basis.T
