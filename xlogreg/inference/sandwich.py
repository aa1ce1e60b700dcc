"""Covariance of the parameters of a fit: by the Fisher information, robust, by clusters, or under a penalty.

One pass over the samples gives all sums. F denotes the Hessian of the summed loss, F_l that of the summed loss and
penalty, M the sum of the outer products of scores ("meat"). Then the covariance is

- "fisher": F^-1, if the model is right (McCullagh & Nelder 1989, section 4.4);
- "HC0": F^-1 M F^-1, also if it is not (White 1982); "HC1": that times n / (n - p);
- "cluster": the same with the scores of each cluster added up first, times G / (G - 1) (n - 1) / (n - p), where the
  samples of one cluster may depend on each other (Liang & Zeger 1986);
- "penalised": F_l^-1 F F_l^-1, the sampling variance of a penalised estimate;
- "posterior": F_l^-1, the curvature of the posterior whose prior is the penalty (Laplace's approximation);
- "augmented": after Firth's bias reduction, the inverse information of samples of the weights s + h, whose score is
  that of Firth for leverages h that are taken for constants (Heinze & Schemper 2002). It is smaller than F^-1.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import ROUNDING
from xlogreg.math.information import cluster_terms, frequency_terms, importance_terms
from xlogreg.math.leverages import augmented_terms
from xlogreg.math.losses import Loss
from xlogreg.math.sums import hessian_terms
from xlogreg.samples.source import Samples, host_center
from xlogreg.solvers.coordinates import Coordinates
from xlogreg.solvers.preconditioners import Inverse, eigen

__all__ = [
    "KINDS",
    "LARGEST",
    "Covariance",
    "Sums",
    "class_basis",
    "covariance_from",
    "expanded",
    "reduced",
    "sum_information",
]

LARGEST = 5000  # parameters beside the bias; beyond, a covariance takes 200 MB and its inverse minutes
FAR = 1e3  # squared mean over the variance; above it, three digits of a Hessian are lost when the mean is subtracted

KINDS = {  # kind -> what it is, for a reader of the table
    "fisher": "inverse information; it holds if the model is right",
    "HC0": "robust, also if the model is wrong; it takes samples for independent",
    "HC1": "robust, HC0 times n / (n - p); it takes samples for independent",
    "cluster": "robust; samples of one cluster may depend on each other",
    "penalised": "sampling variance under the penalty; it leaves out the bias that the penalty makes",
    "posterior": "Laplace's approximation with the penalty as prior; it is as right as that prior",
    "augmented": "inverse information of samples with the weights 1 + leverage, which is smaller than that of the data",
}


@dataclass(frozen=True, eq=False)
class Covariance:
    """Covariance of the parameters of a model, and how it was made.

    Attributes
    ----------
    matrix : ndarray ((n_x + 1) k, (n_x + 1) k)
        Feature by feature, the bias last; the k outputs of a softmax are centred over the classes.
    kind : {"fisher", "HC0", "HC1", "cluster", "penalised", "posterior", "augmented"}
    weights : {"frequency", "importance"}, or None
        What the sample weights mean; None without weights.
    n : float
        Number of observations: the sum of weights that count samples, else the number m of samples.
    parameters : int
        Number p of free parameters.
    effective_parameters : float
        trace(F_l^-1 F): p without a penalty, fewer with one.
    groups : int or None
        Number G of clusters.
    """

    matrix: np.ndarray
    kind: str
    weights: str | None
    n: float
    parameters: int
    effective_parameters: float
    groups: int | None = None

    def __str__(self) -> str:
        about = f"{self.kind}: {KINDS[self.kind]}"
        about += f"; {self.groups} clusters" if self.groups else ""
        return about + (f"; {self.weights} weights" if self.weights else "")

    def __repr__(self) -> str:
        return f"Covariance({len(self.matrix)} parameters, {self})"


class Sums(NamedTuple):
    """Sums of one pass over the samples, in the coordinates X - center."""

    loss: float
    hessian: np.ndarray  # (p, p), p = (n_x + 1) k
    meat: np.ndarray | None  # (p, p)
    center: np.ndarray  # (n_x, 1)
    precision: float  # relative rounding error of the sums
    groups: int  # number of clusters that have weight


def sum_information(
    samples: Samples, theta: Any, loss: Loss, kind: str, importance: bool, groups: int, bias: bool
) -> Sums:
    """Sum losses, Hessian and meat in one pass; in two if the means of features are far larger than their spread.

    Parameters
    ----------
    samples : Samples
        In the widest float, with the number of each sample's cluster if ``kind`` is "cluster".
    theta : callable
        Returns the parameters (n_x + 1, 1, k) for a centre (n_x, 1) that is subtracted from X.
    loss : Loss
    kind : str
    importance : bool
        Whether weights multiply the scores of samples, instead of counting them.
    groups : int
        Number of clusters.
    bias : bool
        Whether there is a bias, so that a centre may be subtracted.
    """
    start = host_center(samples)
    sums = _summed(samples, theta(start), loss, kind, importance, groups, bias)
    if not bias:
        return sums._replace(center=start)
    k = len(sums.hessian) // (samples.n_x + 1)
    mean, variance = _curved_spread(sums.hessian, k)
    if samples.shifts and np.any(mean**2 > FAR * np.maximum(variance, 0.0)) and np.all(np.isfinite(mean)):
        samples = samples.uncentered().centered(start + mean)
        start = host_center(samples)
        sums = _summed(samples, theta(start), loss, kind, importance, groups, bias)
        mean, _ = _curved_spread(sums.hessian, k)
    hessian, meat = (None if part is None else _shifted(part, mean, k) for part in (sums.hessian, sums.meat))
    assert hessian is not None
    return sums._replace(hessian=hessian, meat=meat, center=start + mean)


def _root(H: np.ndarray, precision: float, bias: bool) -> np.ndarray:
    """Return R (p, p), R R' the inverse of H; a bias that is not free has zeros in the last row and column."""
    free = len(H) if bias else len(H) - 1
    values, Q = eigen(Inverse.from_hessians(H[None, :free, :free], precision).inverse[0])
    return np.pad(Q * np.sqrt(np.maximum(values, 0.0)), (0, len(H) - free))


def _summed(
    samples: Samples, theta: np.ndarray, loss: Loss, kind: str, importance: bool, groups: int, bias: bool
) -> Sums:
    meat = None
    if kind == "cluster":
        losses, _, H, scores = samples.sum(cluster_terms, theta, np.arange(groups, dtype=np.float64), loss)
        scores, mass = np.asarray(scores, np.float64)[:-1], np.asarray(scores)[-1]
        meat, groups = scores @ scores.T, int(np.sum(mass > 0.0))
        if groups < 2:
            raise ValueError(f"groups holds {groups} cluster whose samples have weight; there must be two or more")
    elif kind in ("HC0", "HC1"):
        terms = importance_terms if importance else frequency_terms
        losses, _, H, meat = samples.sum(terms, theta, loss)
    else:
        losses, _, H = samples.sum(hessian_terms, theta, loss)
    H = np.asarray(H[0], np.float64)
    if kind == "augmented":
        _, more = samples.sum(augmented_terms, theta, _root(H, ROUNDING[samples.place.widest], bias)[:, None, :], loss)
        H = H + np.asarray(more[0], np.float64)
    return Sums(float(losses[0]), H, meat, np.zeros((samples.n_x, 1)), ROUNDING[samples.place.widest], groups)


def _curved_spread(H: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (n_x, 1) of the features, weighted by the curvature of each sample."""
    rows = len(H) // k
    S = H if k == 1 else np.trace(H.reshape(rows, k, rows, k), axis1=1, axis2=3)
    with np.errstate(all="ignore"):
        mean = S[:-1, -1:] / S[-1, -1]
        return mean, S.diagonal()[:-1, None] / S[-1, -1] - mean * mean


def _shifted(A: np.ndarray, mean: np.ndarray, k: int) -> np.ndarray:
    """Turn sums (p, p) over [X; 1] [X; 1]' (x) C into sums over [X - mean; 1]."""
    if not np.all(np.isfinite(mean)):
        return A
    for _ in range(2):
        rows = A.reshape(len(mean) + 1, k, -1)
        A = np.concatenate([rows[:-1] - mean[:, :, None] * rows[-1:], rows[-1:]]).reshape(A.shape).T
    return A


def class_basis(k: int) -> np.ndarray:
    """Orthonormal basis (k, k - 1) of what is centred over the classes; [[1]] for two classes, of one output."""
    return np.eye(1) if k == 1 else np.linalg.qr((np.eye(k) - 1.0 / k)[:, 1:])[0]


def reduced(A: np.ndarray, basis: np.ndarray, rows: int) -> np.ndarray:
    """Turn A (p, p), p = (n_x + 1) k, into the coordinates of a basis (k, c) of the classes, of the first rows only."""
    k, c = basis.shape
    inner = A.reshape(-1, k, len(A) // k, k)[:rows, :, :rows, :]
    turned = np.tensordot(np.tensordot(inner, basis, axes=(1, 0)), basis, axes=(2, 0))  # (rows, rows, c, c)
    return turned.transpose(0, 2, 1, 3).reshape(rows * c, rows * c)


def expanded(A: np.ndarray, basis: np.ndarray, rows: int) -> np.ndarray:
    """Turn a covariance in the coordinates of a basis (k, c) of the classes back; rows that are missing get zeros."""
    held = len(A) // basis.shape[1]
    A = reduced(A, basis.T, held)
    missing = (rows - held) * len(basis)
    return np.pad(A, (0, missing)) if missing else A


def covariance_from(sums: Sums, kind: str, ridge: np.ndarray, bias: bool, n: float, weights: str | None) -> Covariance:
    """Compute the covariance of (w, b) from sums over the samples.

    Parameters
    ----------
    sums : Sums
    kind : str
    ridge : ndarray (n_x,)
        Curvature of the summed penalty in the weights of each feature, for X as handed in.
    bias : bool
    n : float
        Number of observations.
    weights : {"frequency", "importance"}, or None

    Raises
    ------
    ValueError
        If the data do not determine the parameters, or n is not larger than their number.
    """
    n_x, groups = len(ridge), sums.groups or None
    k = len(sums.hessian) // (n_x + 1)
    basis, rows = class_basis(k), n_x + bias
    F = reduced(sums.hessian, basis, rows)
    full = len(F)
    curved = F + np.diag(np.repeat(np.append(ridge, 0.0)[:rows], basis.shape[1]))
    found = Inverse.from_hessians(curved[None, :, :], sums.precision)
    rank = found.conditioning[0].rank
    if rank < full:
        raise ValueError(
            f"no covariance: features are collinear or constant, and the information has the rank {rank}, not {full}; "
            "leave some of them out"
        )
    V, correction = found.inverse[0], 1.0
    if kind in ("HC1", "cluster"):
        if n <= full:
            raise ValueError(f"kind={kind!r} needs more observations than parameters; there are {n:g} and {full}")
        correction = n / (n - full)
        if groups is not None:
            correction = groups / (groups - 1.0) * (n - 1.0) / (n - full)
    effective = float(full) if not ridge.any() else float(np.sum(V * F))
    if kind in ("HC0", "HC1", "cluster"):
        assert sums.meat is not None
        V = V @ reduced(sums.meat, basis, rows) @ V * correction
    elif kind == "penalised":
        V = V @ F @ V
    V = expanded(0.5 * (V + V.T), basis, n_x + 1)
    V = Coordinates(sums.center, np.ones((n_x, 1))).covariance_of(V)
    return Covariance(V, kind, weights, n, full, effective, groups)
