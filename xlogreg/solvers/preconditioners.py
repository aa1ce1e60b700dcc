"""Approximate inverse Hessians for the steps of a solver; all on the host, where second-order solvers keep theta."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

__all__ = [
    "Bordered",
    "Conditioning",
    "Curved",
    "Dense",
    "Diagonal",
    "Inverse",
    "Preconditioner",
    "Shared",
    "curved_directions",
    "eigen",
    "grounded",
    "turned",
]

LEAST_INVERSES = 8  # so many inverse Hessians may always be held for many models
INVERTED_NUMBERS = 2**20  # more inverses may be held while they have at most so many entries in all


class Conditioning(NamedTuple):
    """Facts about the problem that the decomposition of a Hessian shows.

    Attributes
    ----------
    rank : int
        Number of directions that the data determine.
    condition : float
        Condition number of the Hessian scaled to a unit diagonal; an upper estimate.
    null : array (n_x + 1, d) or ((n_x + 1) k, d), or None
        An orthonormal basis of the directions of each column of theta, or of theta flattened, that change no score.
    """

    rank: int
    condition: float
    null: np.ndarray | None


class Preconditioner(Protocol):
    """An approximate Hessian M whose inverse is applied to gradients, model by model."""

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        """Return M^-1 gradient for a gradient (n_x + 1, g, k)."""
        ...


@dataclass(frozen=True)
class Diagonal:
    """Diagonal preconditioner M = diag(curvature); curvature is broadcastable to theta."""

    curvature: np.ndarray

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        return gradient / self.curvature


@dataclass(frozen=True)
class Inverse:
    """Full inverse M^-1 = inverse (g, p, p), p = (n_x + 1) k, for one Hessian and many gradients."""

    inverse: np.ndarray
    conditioning: tuple[Conditioning, ...]  # one for each model

    @classmethod
    def from_hessians(cls, hessian: np.ndarray, precision: float, shift: np.ndarray | None = None) -> "Inverse":
        """Invert symmetric positive Hessians (g, p, p); a singular one gets a pseudo-inverse.

        ``shift`` (g, p, p) is the part of the Hessians that does not come from the data. It does not count in the rank.
        """
        inverses, conditioning = zip(*(_invert(H, precision) for H in hessian), strict=True)
        if shift is not None and shift.any():
            parts = zip(conditioning, hessian, shift, strict=True)
            conditioning = tuple(
                c if _is_small(S, H, c) else c._replace(rank=_rank(H - S, precision)) for c, H, S in parts
            )
        return cls(inverses[0][None, :, :] if len(inverses) == 1 else np.stack(inverses), conditioning)

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        rows, g, k = gradient.shape
        R = gradient.transpose(1, 0, 2).reshape(g, rows * k, 1)
        return (self.inverse @ R).reshape(g, rows, k).transpose(1, 0, 2)


@dataclass(frozen=True)
class Shared:
    """Preconditioners M_j = curvature_j (S + rho_j diag(penalty)) of g models of one output, with few different rho_j.

    Attributes
    ----------
    inverse : array (u, n_x + 1, n_x + 1)
        Inverse of S + rho diag(penalty), for each rho.
    group : array (g,)
        Number of the inverse that belongs to each model.
    curvature : array (g,)
    regular : array (g,)
        Whether each model has a true inverse. A pseudo-inverse knows nothing of some directions.
    """

    inverse: np.ndarray
    group: np.ndarray
    curvature: np.ndarray
    regular: np.ndarray

    @property
    def models(self) -> int:
        return self.group.shape[0]

    @classmethod
    def from_moment(
        cls, S: np.ndarray, penalty: np.ndarray, curvature: np.ndarray, l2: np.ndarray, precision: float
    ) -> "Shared":
        """Build the inverses from the second moment S (n_x + 1, n_x + 1), and the curvature and l2 (g,) of the models.

        ``penalty`` (n_x + 1, 1) has the factor of l2 for each row of theta. If there are more different values of
        l2 / curvature than can be inverted, values within a factor of two, or more, share one inverse.
        """
        rho, base = l2 / curvature, 1.0
        values, group = np.unique(rho, return_inverse=True)
        while len(values) > max(LEAST_INVERSES, INVERTED_NUMBERS // S.size):
            base += base
            near = base ** np.round(np.log(np.where(rho > 0, rho, 1.0)) / math.log(base))
            values, group = np.unique(np.where(rho > 0, near, 0.0), return_inverse=True)
        whole = Inverse.from_hessians(np.stack([S + np.diag(value * penalty[:, 0]) for value in values]), precision)
        present = int(np.sum(S.diagonal() > 0))
        regular = np.asarray([conditioning.rank >= present for conditioning in whole.conditioning])
        return cls(whole.inverse, group, curvature, regular[group])

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        solution = np.empty_like(gradient)
        for number in np.unique(self.group).tolist():
            models = self.group == number
            solution[:, models, 0] = self.inverse[number] @ gradient[:, models, 0]
        return solution / self.curvature[:, None]

    def keep(self, models: np.ndarray) -> "Shared":
        """Return the preconditioner of some models, given by number."""
        parts = {name: getattr(self, name)[models] for name in ("group", "curvature", "regular")}
        return dataclasses.replace(self, **parts)


@dataclass(frozen=True)
class Bordered:
    """Preconditioners of g models: full matrices in some rows of theta, and a diagonal in the others.

    Attributes
    ----------
    right : array (g, k, k)
        The axes Q of each model's classes: theta Q has one column for each.
    rows : array (r,)
        Numbers of the rows with full matrices.
    inverse : array (g, k, r, r)
    diagonal : array (n_x + 1, g, k)
    ties : Ties, or None
        Sums of each step that are zero.
    """

    right: np.ndarray
    rows: np.ndarray
    inverse: np.ndarray
    diagonal: np.ndarray
    ties: "Ties | None" = None

    @property
    def models(self) -> int:
        return self.right.shape[0]

    @classmethod
    def from_blocks(
        cls, right: np.ndarray, rows: np.ndarray, blocks: np.ndarray, diagonal: np.ndarray, precision: float
    ) -> "Bordered":
        """Invert the blocks (g, k, r, r)."""
        inverse = Inverse.from_hessians(blocks.reshape(-1, *blocks.shape[2:]), precision).inverse
        return cls(right, rows, inverse.reshape(blocks.shape), diagonal)

    def keep(self, models: np.ndarray) -> "Bordered":
        """Return the preconditioners of some models, given by number."""
        ties = None if self.ties is None else self.ties.keep(models)
        return Bordered(self.right[models], self.rows, self.inverse[models], self.diagonal[:, models], ties)

    def tied(self, Q: np.ndarray) -> "Bordered":
        """Return these preconditioners with steps d for which Q'd = 0, for Q (n_x + 1, c)."""
        solved = np.stack([self._untied(np.broadcast_to(q[:, None, None], self.diagonal.shape)) for q in Q.T])
        inner = np.linalg.inv(np.einsum("nc,dngk->gkcd", Q, solved))
        return dataclasses.replace(self, ties=Ties(Q, solved, inner))

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        solution = self._untied(turned(gradient, self.right))
        if self.ties is not None:
            Q, solved, inner = self.ties
            sums = np.einsum("nc,ngk->gkc", Q, solution)[:, :, :, None]
            solution = solution - np.einsum("cngk,gkc->ngk", solved, (inner @ sums)[:, :, :, 0])
        return turned(solution, self.right.transpose(0, 2, 1))

    def _untied(self, R: np.ndarray) -> np.ndarray:
        solution = R / self.diagonal
        some = R[self.rows].transpose(1, 2, 0)[:, :, :, None]
        solution[self.rows] = (self.inverse @ some)[:, :, :, 0].transpose(2, 0, 1)
        return solution


class Ties(NamedTuple):
    """Sums of steps that are zero, Q'd = 0, and what keeps them so.

    M - M Q (Q'M Q)^-1 Q'M takes the place of the inverse M that a preconditioner stands for.
    """

    Q: np.ndarray  # (n_x + 1, c)
    solved: np.ndarray  # M Q (c, n_x + 1, g, k)
    inner: np.ndarray  # (Q'M Q)^-1 (g, k, c, c)

    def keep(self, models: np.ndarray) -> "Ties":
        return Ties(self.Q, self.solved[:, :, models], self.inner[models])


def turned(R: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Turn R (n, g, k) so that the classes of each model are in the coordinates of its own Q (g, k, k)."""
    return R if Q.shape[1] == 1 else (R.transpose(1, 0, 2) @ Q).transpose(1, 0, 2)


@dataclass(frozen=True)
class Dense:
    """Preconditioner M that is a full Hessian (g, p, p), p = (n_x + 1) k.

    If the Hessian is singular (collinear features, the constant over the classes of a softmax), `solve` gives the
    solution of minimum norm in coordinates that make the diagonal one. It gives NaN if there is no solution: at scores
    so large that the curvature has vanished and the gradient has not.

    Attributes
    ----------
    hessian : array (g, p, p)
    precision : float
        Relative rounding error of the Hessian's entries.
    noise : float
        Relative rounding error of the gradient's entries.
    """

    hessian: np.ndarray
    precision: float
    noise: float

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        rows, g, k = gradient.shape
        H = grounded(self.hessian, k, self.precision) if k > 1 else self.hessian
        R = [self._solve_one(H[j], gradient[:, j, :].reshape(-1, 1)).reshape(rows, k) for j in range(g)]
        return R[0][:, None, :] if g == 1 else np.stack(R, axis=1)

    def _solve_one(self, H: np.ndarray, r: np.ndarray) -> np.ndarray:
        scale, scaled, definite = _scaled(H, self.precision)
        if definite:
            return scale * np.linalg.solve(scaled, scale * r)
        if not np.isfinite(H).all():  # an overflow: there is no step, and eigh would raise
            return r * np.nan
        values, Q = eigen(scaled)
        inverse = _pseudo_inverse(values, self.precision)
        solution = scale * (Q @ (inverse[:, None] * (Q.T @ (scale * r))))
        left = np.abs(r - H @ solution).max()
        rounding = 64.0 * self.noise * max(1.0, 2.0 * float(H.diagonal().max()) ** 0.5)
        return solution if left <= 1e-3 * np.abs(r).max() + rounding else r * np.nan


def grounded(hessian: np.ndarray, k: int, precision: float) -> np.ndarray:
    """Give Hessians (g, p, p) of a softmax a curvature along constants over the classes, where they have none.

    No gradient has a part along these constants. So the steps stay the same, and no eigenvalues are needed for them.
    """
    g, p, _ = hessian.shape
    H = hessian.copy()
    blocks = np.einsum("grirj->grij", H.reshape(g, p // k, k, p // k, k))  # (g, rows, k, k): a view of H
    size = np.einsum("grii->gr", blocks) / k
    flat = np.abs(blocks.sum(axis=3)).max(axis=2) <= 4.0 * k * precision * size
    blocks += np.where(flat, size / k, 0.0)[:, :, None, None]
    return H


def _scaled(H: np.ndarray, precision: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return the scale (p, 1) that gives H a unit diagonal, scaled H, and whether it is safely positive definite."""
    diagonal = H.diagonal()
    # rows of zeros (constant features) stay zeros; the others get a unit diagonal before rank is judged
    scale = (1.0 / np.sqrt(np.where(diagonal > 0, diagonal, np.inf)))[:, None]
    scaled = H * scale * scale.T
    try:
        pivot = float(np.linalg.cholesky(scaled).diagonal().min()) ** 2
    except np.linalg.LinAlgError:
        pivot = 0.0
    # a pivot is the part of a feature that the others do not explain
    return scale, scaled, pivot > 1e4 * H.shape[0] * precision


def _pseudo_inverse(values: np.ndarray, precision: float) -> np.ndarray:
    """Invert the eigenvalues that are more than rounding errors; the others get 0."""
    return 1.0 / np.where(values > values.shape[0] * precision * values.max(), values, np.inf)


def _invert(H: np.ndarray, precision: float) -> tuple[np.ndarray, Conditioning]:
    scale, scaled, definite = _scaled(H, precision)
    if definite:
        inverse = np.linalg.inv(scaled)
        norms = [float(np.abs(A).sum(axis=0).max()) for A in (scaled, inverse)]  # 1-norms, like LAPACK's estimate
        return scale * inverse * scale.T, Conditioning(H.shape[0], norms[0] * norms[1], None)
    values, Q = eigen(scaled)
    kept = _pseudo_inverse(values, precision)
    rank = int(np.sum(kept > 0))
    null = np.linalg.qr(np.where(scale > 0, scale, 1.0) * Q[:, : H.shape[0] - rank])[0] if rank < len(H) else None
    return scale * ((Q * kept) @ Q.T) * scale.T, Conditioning(rank, float(values.max() * kept.max()), null)


def eigen(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, in ascending order, and eigenvectors of a symmetric matrix."""
    return _from_either_half(np.linalg.eigh, A)


def _from_either_half(decompose: Callable[..., Any], A: np.ndarray) -> Any:
    """Decompose a symmetric matrix; if that fails, decompose it once more from its other half.

    LAPACK's method gives up on a few sound matrices, but hardly ever on both halves of one.
    """
    try:
        return decompose(A)
    except np.linalg.LinAlgError:
        return decompose(A, UPLO="U")


class Curved(NamedTuple):
    """Number of directions in which a matrix is curved, scaled to a unit diagonal, and a basis of the flat ones."""

    rank: int
    flat: np.ndarray  # (p, p - rank) an orthonormal basis of the directions without curvature


def curved_directions(H: np.ndarray, tolerance: float) -> Curved:
    """Find the directions of H whose eigenvalues are above the share ``tolerance`` of the largest."""
    scale, scaled, _ = _scaled(H, tolerance)
    values, Q = eigen(scaled)
    flat = int(np.sum(values <= tolerance * values[-1]))
    return Curved(len(H) - flat, np.linalg.qr(np.where(scale > 0, scale, 1.0) * Q[:, :flat])[0])


def _is_small(shift: np.ndarray, H: np.ndarray, conditioning: Conditioning) -> bool:
    """Whether H has full rank and keeps half of its least eigenvalue or more, at the same scale, without ``shift``."""
    share = float((shift.diagonal() / H.diagonal()).max())
    return conditioning.null is None and 2.0 * share * conditioning.condition <= 1.0


def _rank(H: np.ndarray, precision: float) -> int:
    _, scaled, definite = _scaled(H, precision)
    return (
        len(H)
        if definite
        else int(np.sum(_pseudo_inverse(_from_either_half(np.linalg.eigvalsh, scaled), precision) > 0))
    )
