"""The inverse Hessian of few samples with many features, found between samples.

The Hessian is R + X D X', with the penalty R, a diagonal, and the curvature D = F F' of each sample. By Woodbury's
identity its inverse is R^-1 - R^-1 X F (I + F' X' R^-1 X F)^-1 F' X' R^-1, and the matrix in between has m k rows.
"""

from typing import NamedTuple, TypeGuard

import numpy as np

from xlogreg.math.sums import combine_terms
from xlogreg.samples.memory import InMemory
from xlogreg.samples.products import link_samples, may_pick
from xlogreg.samples.source import Samples
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.objective import Objective

__all__ = ["Few", "are_few"]

MOST_ROWS = 1000  # of the matrix between samples: its inverse takes 0.1 s
MOST_NUMBERS = 2**23  # of X, which becomes dense: 64 MB
MOST_WORK = 2e9  # operations of the products of samples
LOOSE = 1e-6  # of the mean curvature, in place of a penalty on the bias


def are_few(source: Samples, k: int) -> TypeGuard[InMemory]:
    """Whether the samples are so few that their Hessian is best inverted between them."""
    m, numbers = source.m, source.m * source.n_x
    small = m * k <= MOST_ROWS and numbers <= MOST_NUMBERS and numbers * m <= MOST_WORK
    return small and m < source.n_x and may_pick(source, source.n_x)


class Between(NamedTuple):
    """Preconditioner that is a Hessian of one model with k outputs."""

    X: np.ndarray  # (n_x + 1, m) in the coordinates of theta, around its mean; with a row of ones
    mean: np.ndarray  # (n_x, 1)
    ridge: np.ndarray  # (n_x + 1, 1)
    F: np.ndarray  # (m, k, k)
    inverse: np.ndarray  # (m k, m k)

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        G = gradient[:, 0, :]
        G = np.concatenate([G[:-1] - self.mean * G[-1:], G[-1:]]) / self.ridge
        moves = np.einsum("mij,mi->mj", self.F, self.X.T @ G)
        moves = (self.inverse @ moves.reshape(-1)).reshape(moves.shape)
        step = G - self.X @ np.einsum("mij,mj->mi", self.F, moves) / self.ridge
        return np.concatenate([step[:-1], step[-1:] - self.mean.T @ step[:-1]])[:, None, :]


class Few:
    """Few samples, as a dense array on the host, and the Hessians of a model at any theta."""

    def __init__(self, objective: Objective, source: InMemory) -> None:
        place, self.objective, self.source = source.place, objective, source.uncentered()
        with place.computing():
            ones = place.put(np.eye(source.m), place.widest)
            X = as_host(self.source.sum(combine_terms, ones)[0])
        X = X if objective.center is None else X - objective.center[:, :, 0]
        X = X * objective.rows[:-1, 0, :]
        # where the bias can make up for it, products of samples are more precise around the mean
        self.mean = np.mean(X, axis=1, keepdims=True) * objective.free[-1, 0]
        self.X = np.concatenate([X - self.mean, np.ones((1, source.m)) * objective.free[-1, 0]])
        weight = self.source.columns.weight
        self.weight = np.ones(source.m) if weight is None else as_host(weight)[0]

    def probabilities(self, theta: np.ndarray) -> np.ndarray:
        """Compute A (k, m) at theta (n_x + 1, 1, k)."""
        _, parameters = self.objective.in_blocks(theta * self.objective.factors)
        return as_host(link_samples(self.source, self.objective.loss.link, parameters))[0]

    def at(self, theta: np.ndarray) -> Between:
        """Invert the Hessian at theta (n_x + 1, 1, k)."""
        A, k = self.probabilities(theta).T, theta.shape[2]
        if k == 1:
            F = np.sqrt(A * (1.0 - A))[:, :, None]
        else:  # F F' = diag(a) - a a'
            root = np.sqrt(A)
            F = np.eye(k) * root[:, :, None] - A[:, :, None] * root[:, None, :]
        F = F * np.sqrt(self.weight / self.objective.total)[:, None, None]
        free = self.objective.free[:, 0]
        curvature = float(np.sum(F * F)) / k
        ridge = np.asarray(self.objective.penalty.curvature(theta))[:, 0] * free + (1.0 - free)
        ridge[-1] = max(LOOSE * curvature, np.finfo(float).tiny) if free[-1, 0] > 0 else 1.0
        rows = F.transpose(0, 2, 1).reshape(-1, k)
        K = np.repeat(np.repeat(self.X.T @ (self.X / ridge), k, axis=0), k, axis=1)
        inverse = np.linalg.inv(np.eye(len(rows)) + K * (rows @ rows.T))
        return Between(self.X, self.mean, ridge, F, inverse)
