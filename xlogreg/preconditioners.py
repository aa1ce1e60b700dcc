"""The approximate inverse Hessian that a solver steps with."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from xlogreg.backends import Array, array_namespace, cholesky

__all__ = ["Basis", "Conditioning", "Dense", "Diagonal", "Inverse", "Kronecker", "Preconditioner"]


class Conditioning(NamedTuple):
    """What the decomposition of a Hessian tells of the problem.

    Attributes
    ----------
    rank : int
        Directions that the Hessian determines.
    condition : float
        Of the Hessian scaled to a unit diagonal; an upper estimate.
    null : array (n_x + 1, d) or ((n_x + 1) k, d), or None
        An orthonormal basis of the directions of each column of theta, or of theta flattened, that change no score.
    """

    rank: int
    condition: float
    null: Array | None


class Preconditioner(Protocol):
    """M^-1 times a gradient, model by model."""

    def solve(self, gradient: Array) -> Array:
        """M^-1 gradient, for a gradient (n_x + 1, g, k)."""
        ...


@dataclass(frozen=True)
class Diagonal:
    """M = diag(curvature), curvature broadcastable to theta."""

    curvature: Array

    def solve(self, gradient: Array) -> Array:
        return gradient / self.curvature


@dataclass(frozen=True)
class Inverse:
    """M^-1 = inverse (g, p, p), p = (n_x + 1) k, held whole: for one Hessian that many gradients meet."""

    inverse: Array
    conditioning: tuple[Conditioning, ...]  # of each model

    @classmethod
    def of(cls, hessian: Array, precision: float) -> "Inverse":
        """The inverse of symmetric positive Hessians (g, p, p), the pseudo-inverse of those that are singular."""
        found = [_invert(hessian[j, :, :], precision) for j in range(hessian.shape[0])]
        inverses, conditioning = zip(*found, strict=True)
        return cls(array_namespace(hessian).stack(inverses), conditioning)

    def solve(self, gradient: Array) -> Array:
        xp = array_namespace(gradient)
        rows, g, k = gradient.shape
        R = xp.reshape(xp.permute_dims(gradient, (1, 0, 2)), (g, rows * k, 1))
        return xp.permute_dims(xp.reshape(self.inverse @ R, (g, rows, k)), (1, 0, 2))


class Basis(NamedTuple):
    """Orthonormal directions of theta's rows, in units of T: T^-1 S T^-1 = U diag(values) U' + tail.

    Attributes
    ----------
    T : array (n_x + 1, 1)
    U : array (n_x + 1, r)
    values : array (r,)
    tail : float
        What is assumed of the second moment in all directions outside of U.
    """

    T: Array
    U: Array
    values: Array
    tail: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether there is nothing outside of U."""
        return self.U.shape[0] == self.U.shape[1]


@dataclass(frozen=True)
class Kronecker:
    """M = the diagonal of the Hessian in the coordinates of a basis U and of the classes' Q, for one model.

    M^-1 G = T^-1 {U [(U' T^-1 G Q) / spectrum] + (1 - U U') T^-1 G Q / tail} Q'. With spectrum = s a' + l2 that is the
    inverse of A (x) S + l2 T^2, A = Q diag(a) Q'; with the true diagonal it is closer to the Hessian's than that
    (the eigenvalue correction of George et al., NeurIPS 2018).

    Attributes
    ----------
    basis : Basis
    right : array (k, k)
        Q.
    spectrum : array (r, k)
        Infinite where there is nothing to solve for: along the constant over the classes, which changes no
        probability, and where features are collinear.
    tail : array (1, k)
        The same outside of U.
    conditioning : tuple of Conditioning
    """

    basis: Basis
    right: Array
    spectrum: Array
    tail: Array
    conditioning: tuple[Conditioning, ...]

    @classmethod
    def of(cls, basis: Basis, a: Array, Q: Array, diagonal: Array, l2: float, precision: float) -> "Kronecker":
        """From the diagonal (r, k) of the losses' Hessian, and the mean curvatures a (k,) of the classes Q (k, k)."""
        xp = array_namespace(a)
        k, a = a.shape[0], xp.maximum(a, 0.0)
        null = (
            xp.reshape(a <= k * precision * float(xp.max(a)), (1, k))
            if k > 1
            else xp.zeros_like(xp.reshape(a, (1, k)), dtype=xp.bool)
        )
        collinear = basis.values <= basis.values.shape[0] * precision * float(xp.max(basis.values))
        tail = xp.maximum(xp.reshape(a, (1, k)) * basis.tail, l2)
        spectrum = diagonal + tail
        dead = xp.reshape(collinear, (-1, 1)) & (spectrum <= l2 + precision * float(xp.max(diagonal)))
        spectrum = xp.where(null | dead | (spectrum <= 0), xp.inf, spectrum)
        finite = xp.isfinite(spectrum)
        smallest, largest = float(xp.min(spectrum)), float(xp.max(xp.where(finite, spectrum, 0.0)))
        rank = int(xp.sum(xp.astype(finite, xp.int64)))
        directions = None
        if l2 == 0 and bool(xp.any(collinear)):
            directions, _ = xp.linalg.qr((basis.U / basis.T)[:, : int(xp.sum(xp.astype(collinear, xp.int64)))])
        conditioning = (Conditioning(rank, largest / smallest, directions),) if basis.whole else ()
        return cls(basis, Q, spectrum, xp.where(null | (tail <= 0), xp.inf, tail), conditioning)

    def solve(self, gradient: Array) -> Array:
        T, U, _, _ = self.basis
        R = (gradient[:, 0, :] / T) @ self.right
        C = U.T @ R
        R = U @ (C / self.spectrum) if self.basis.whole else R / self.tail + U @ (C / self.spectrum - C / self.tail)
        return array_namespace(gradient).expand_dims((R @ self.right.T) / T, axis=1)


@dataclass(frozen=True)
class Dense:
    """M = a Hessian (g, p, p), p = (n_x + 1) k, held whole.

    Where it is singular (collinear features, the constant over the classes of a softmax) the solution
    of minimum norm is given, in coordinates that make its diagonal one; NaN where there is none: at scores
    so large that the curvature has vanished and the gradient has not.

    Attributes
    ----------
    hessian : array (g, p, p)
    precision : float
        Relative rounding error of the Hessian's entries.
    noise : float
        Relative rounding error of the gradient's.
    """

    hessian: Array
    precision: float
    noise: float

    def solve(self, gradient: Array) -> Array:
        xp = array_namespace(gradient)
        rows, g, k = gradient.shape
        R = [self._solve_one(self.hessian[j, :, :], xp.reshape(gradient[:, j, :], (rows * k, 1))) for j in range(g)]
        return xp.stack([xp.reshape(r, (rows, k)) for r in R], axis=1)

    def _solve_one(self, H: Array, r: Array) -> Array:
        xp = array_namespace(H)
        scale, scaled, definite = _scaled(H, self.precision)
        if definite:
            return scale * xp.linalg.solve(scaled, scale * r)
        if not bool(xp.all(xp.isfinite(H))):  # an overflow: there is no step, and eigh would raise
            return r * xp.nan
        values, Q = xp.linalg.eigh(scaled)
        inverse = _pseudo_inverse(values, self.precision)
        solution = scale * (Q @ (xp.expand_dims(inverse, axis=-1) * (Q.T @ (scale * r))))
        left = float(xp.max(xp.abs(r - H @ solution)))
        rounding = 64.0 * self.noise * max(1.0, 2.0 * float(xp.max(xp.linalg.diagonal(H))) ** 0.5)
        return solution if left <= 1e-3 * float(xp.max(xp.abs(r))) + rounding else r * xp.nan


def _scaled(H: Array, precision: float) -> tuple[Array, Array, bool]:
    """The scale (p, 1) that gives H a unit diagonal, H so scaled, and whether that is safely positive definite."""
    xp = array_namespace(H)
    diagonal = xp.linalg.diagonal(H)
    # rows of zeros (constant features) stay zeros; the others get a unit diagonal before rank is judged
    scale = xp.reshape(1.0 / xp.sqrt(xp.where(diagonal > 0, diagonal, xp.inf)), (-1, 1))
    scaled = H * scale * scale.T
    L = cholesky(scaled)
    # a pivot is the part of a feature that the others do not explain
    definite = L is not None and float(xp.min(xp.linalg.diagonal(L))) ** 2 > 1e4 * H.shape[0] * precision
    return scale, scaled, definite


def _pseudo_inverse(values: Array, precision: float) -> Array:
    """1 / values of the eigenvalues that are more than rounding errors, 0 of the others."""
    xp = array_namespace(values)
    cutoff = values.shape[0] * precision * float(xp.max(values))
    return xp.where(values > cutoff, 1.0 / xp.where(values > cutoff, values, xp.ones_like(values)), 0.0)


def _invert(H: Array, precision: float) -> tuple[Array, Conditioning]:
    xp = array_namespace(H)
    scale, scaled, definite = _scaled(H, precision)
    if definite:
        inverse = xp.linalg.inv(scaled)
        norms = [float(xp.max(xp.sum(xp.abs(A), axis=0))) for A in (scaled, inverse)]  # 1-norms, as LAPACK's estimate
        return scale * inverse * scale.T, Conditioning(H.shape[0], norms[0] * norms[1], None)
    values, Q = xp.linalg.eigh(scaled)
    kept = _pseudo_inverse(values, precision)
    inverse = (Q * xp.expand_dims(kept, axis=0)) @ Q.T
    rank = int(xp.sum(xp.astype(kept > 0, xp.int64)))
    null = None
    if rank < H.shape[0]:
        null, _ = xp.linalg.qr(xp.where(scale > 0, scale, 1.0) * Q[:, : H.shape[0] - rank])
    conditioning = Conditioning(rank, float(xp.max(values)) * float(xp.max(kept)), null)
    return scale * inverse * scale.T, conditioning
