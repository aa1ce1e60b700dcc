"""The default way for softmax models and for many features: gradients of all samples, curvature along a fixed basis.

L-BFGS on all samples. Its initial Hessian is diagonal in directions u_i (x) q_j: the u_i are the principal axes of the
features, from a random subset, once; the q_j those of the mean curvature of the classes, taken anew as the gap falls,
and with them the diagonal. Up to WHOLE_LIMIT features the axes are all of them and the diagonal is the true one, from
a second subset, which the first has not adapted to; beyond, they are the span of the subset, and what is outside of it
gets the curvature at which the subset's own is half noise.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np

from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.products import scores
from xlogreg.math.sums import class_terms, diagonal_terms, pair_terms
from xlogreg.samples.memory import InMemory
from xlogreg.samples.products import combine_features, link_samples, map_samples, multiply_samples
from xlogreg.samples.source import Samples, Source
from xlogreg.solvers import descent
from xlogreg.solvers.coordinates import CoordinateSystem, Spread, as_host, measure_moments
from xlogreg.solvers.kronecker import Basis, Kronecker
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.preconditioners import eigen
from xlogreg.solvers.quasi_newton import QuasiNewton
from xlogreg.solvers.result import Monitor, Result

__all__ = [
    "RENEWALS",
    "Axes",
    "axes_pay",
    "class_axes",
    "minimize",
    "pairs_that_fit",
    "principal_axes",
    "projected",
    "renew",
    "units",
]

WHOLE_LIMIT = 2500  # features, up to which their second moment is held and decomposed
RENEWALS = (1e-1, 1e-2, 1e-4)  # relative gaps at which the curvature is taken anew
AXES_SAMPLES = 10  # for each feature, in the subset that gives the axes
DIAGONAL_SAMPLES = 2000  # at least, in the subset that gives the diagonal
LEAST_SPAN = 4.0  # times the root of m: the least samples of a subset whose span stands for many features
MOST_SPAN = 14.0  # times the root of m: the most samples of that subset
SPAN_DIRECTIONS = 8  # samples in it for each direction that the data determine, against the penalty
BIAS_PENALTY = 1e-3  # on bias and features that have none: next to nothing, so that T has an inverse
MEMORY = 100  # pairs at most
LEAST_MEMORY = 20  # pairs that are held even where they take more memory than X
PAIRED_NUMBERS = 2**16  # of all pairs of classes; so many are brought to the host at once, rather than to ask twice
PROOFS = 5  # times that a fit is sent on because its gap may be larger than it looks
SLOW = 1.5  # each of three steps has to divide the gap by this, or all axes are taken
ALL_AT_ONCE = 4  # n_x^2 / (m k), up to which all axes are taken at once
ALL_AT_LAST = 250  # the same where steps are slow


def minimize(
    objective: Objective,
    source: Samples,
    start: np.ndarray,
    *,
    spread: Spread,
    coordinates: CoordinateSystem,
    rng: np.random.Generator,
    tol: float,
    max_iter: int,
    monitor: Monitor | None = None,
) -> Result:
    """Minimise the cost of one model of k outputs; theta is on the host.

    Parameters are those of `sampled_newton.minimize`, for a start (n_x + 1, 1, k), and for theta in any coordinate
    system. The passes of the result count work on subsets as its share.
    """
    k, l2 = start.shape[2], float(objective.penalty.strength[0])
    memory = pairs_that_fit(source, start.size)
    found = principal_axes if axes_pay(source, k) else _span
    axes = found(objective, source, spread, coordinates, rng)
    passes = axes.passes
    whole: Result | None = None
    theta, pairs = start, ()
    proofs: list[np.ndarray] = []
    targets = [*(gap for gap in RENEWALS if gap > tol), tol]
    while targets:
        target = targets[0]
        basis, preconditioner = axes.basis, renew(objective, axes, theta)
        method = QuasiNewton(preconditioner, pairs, memory, rescaling=0.5, patience=2 if target <= tol else 1)
        result = descent.minimize(
            objective,
            theta,
            method=method,
            tol=target,
            max_iter=max_iter - (0 if whole is None else whole.iterations),
            slow=0.0 if basis.whole or not axes_pay(source, k, ALL_AT_LAST) else SLOW,
            monitor=monitor,
        )
        theta, pairs = result.theta, result.method.pairs
        passes += axes.subset.m / source.m
        whole = result if whole is None else whole.followed_by(result)
        if result.reason == "converged":
            targets.pop(0)
            if not targets and not basis.whole and objective.held[0]:
                # outside of the span the preconditioner may hold more curvature than there is: judge by the penalty
                cautious = QuasiNewton(preconditioner.cautious(l2)).step(result.last, result.at).gap
                whole = dataclasses.replace(whole, gap=cautious)
                if cautious[0] > tol * result.last.value[0] and len(proofs) < PROOFS:
                    proofs.append(cautious)
                    targets.append(0.5 * target * float(tol * result.last.value[0] / cautious[0]))
        if whole.iterations >= max_iter or result.reason not in ("converged", "slow"):
            break
        if result.reason == "slow":  # the span of a subset says too little of these data: all axes, then
            axes = principal_axes(objective, source, spread, coordinates, rng)
            passes += axes.passes
    assert whole is not None
    reason = "max_iter" if targets and result.reason in ("converged", "slow") else result.reason
    return dataclasses.replace(whole, reason=reason, passes=whole.passes + passes)


def pairs_that_fit(source: Source, numbers: int) -> int:
    """How many pairs of so many numbers L-BFGS may hold: no more than take the memory of X."""
    return min(max(source.m * source.n_x // (2 * numbers), LEAST_MEMORY), MEMORY)


def axes_pay(source: Samples, k: int, worth: float = ALL_AT_ONCE) -> bool:
    """Whether all axes cost no more than some gradients of all samples: one where n_x^2 = 4 m k, as measured."""
    return source.n_x <= WHOLE_LIMIT and source.n_x**2 <= worth * source.effective_samples * k


def _subsets(source: Samples, shares: np.ndarray, rng: np.random.Generator) -> tuple[InMemory, InMemory]:
    """Draw two disjoint subsets, for the axes and for the diagonal; take all samples for both if they are few."""
    first = AXES_SAMPLES * (source.n_x + 1)
    second = max(DIAGONAL_SAMPLES, first // 2)
    if first + second > source.effective_samples:
        whole = source.gathered()
        return whole, whole
    axes, diagonal = source.samples((first, second), shares, rng)
    return axes, diagonal


def units(objective: Objective, l2: float) -> np.ndarray:
    """T (n_x + 1, 1), the square roots of the penalties, which need to be right only for features that count."""
    profile = objective.penalty.profile[:-1, :, 0]
    squares = np.maximum(profile, 1e-12 / l2) if l2 > 0 else np.ones_like(profile)
    squares = np.where(objective.penalty.loose[:, 0, :], BIAS_PENALTY, squares)
    return np.sqrt(np.concatenate([squares, [[BIAS_PENALTY]]]))


class Axes(NamedTuple):
    """A basis, the subset for the curvature of the classes, that subset in the basis, and the passes they took."""

    basis: Basis
    subset: InMemory
    rotated: InMemory | None
    passes: float

    def renew(self, objective: Objective, theta: np.ndarray) -> Kronecker:
        """Make the preconditioner from the curvature of the classes of each model at theta (n_x + 1, g, k)."""
        return renew(objective, self, theta)


def principal_axes(
    objective: Objective, source: Samples, spread: Spread, coordinates: CoordinateSystem, rng: np.random.Generator
) -> Axes:
    """Find all principal axes of the second moment of a subset."""
    first, second = _subsets(source, spread.shares, rng)
    T = units(objective, float(objective.penalty.strength[0]))
    S = objective.over(first).second_moment()
    if coordinates.features is not None:
        S = measure_moments(first, spread, coordinates.features).raised(S, 1.0)
    values, U = eigen(S / T / T.T)
    left = objective.over(second).in_blocks((U / T)[:, None, :] * objective.rows)[1][:, 0, :]
    return Axes(Basis(T, U, values), second, projected(second, left[:-1], left[-1:]), first.m / source.m)


def projected(source: InMemory, basis: np.ndarray, bias: np.ndarray) -> InMemory:
    """Take basis' X + bias' (r, m) as the features of the samples, for basis (n_x, r) and bias (1, r)."""
    W, b = source.place.put(basis, source.dtype), source.place.put(bias, source.dtype)
    X = map_samples(source, lambda X: scores(X, W, b.T))
    return dataclasses.replace(source, X=Dense(X), center=None, index=None)


def _span(
    objective: Objective, source: Samples, spread: Spread, coordinates: CoordinateSystem, rng: np.random.Generator
) -> Axes:
    """Find the span of a subset of as many samples as the data have directions that count against the penalty."""
    l2 = float(objective.penalty.strength[0])
    T = units(objective, l2)
    loose = np.flatnonzero(np.append(objective.penalty.loose[:, 0, 0], True))  # each has a direction of its own
    scale = objective.rows[:-1, 0, :] / T[:-1]
    scale = np.where(objective.penalty.loose[:, 0, :], 0.0, scale)
    effective = source.effective_samples
    least, most = (
        max(1, min(int(factor * math.sqrt(effective)), int(effective) // 8, source.n_x // 2))
        for factor in (LEAST_SPAN, MOST_SPAN)
    )
    count, chosen = least, 0
    while count > chosen:
        chosen = count
        (subset,) = source.samples((count,), spread.shares, rng)
        root = np.sqrt(as_host(subset.columns.weight) / subset.total_weight).T
        G = as_host(multiply_samples(subset, scale, subset.dtype)) * root * root.T
        values, V = eigen(G)
        values = np.maximum(values, 0.0)
        tail = _half_noise(values)
        # the curvature of a loss is at most its bound, so these are all that the gradient can tell from the penalty
        directions = float(np.sum(values / (values + max(l2 / objective.loss.bound, tail))))
        if chosen == least and SPAN_DIRECTIONS * directions > 1.5 * least:
            count = min(int(SPAN_DIRECTIONS * directions), most)
    kept = values > 1e-6 * values[-1]
    U = combine_features(subset, root * V[:, kept] / np.sqrt(values[kept]), scale)
    bordered = np.zeros((U.shape[0] + 1, U.shape[1] + len(loose)))
    bordered[:-1, : U.shape[1]] = U
    bordered[loose, U.shape[1] + np.arange(len(loose))] = 1.0
    values = np.append(values[kept], np.full(len(loose), 1.0 / BIAS_PENALTY))
    return Axes(Basis(T, bordered, values, tail), subset, None, subset.m / source.m)


def _half_noise(values: np.ndarray) -> float:
    """Solve sum s / (s + t) = half the number of s for t: the mean worth of the principal axes of a subset."""
    low, high = 1e-12 * float(values[-1]), float(values[-1])
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if np.sum(values / (values + middle)) > len(values) / 2 else (low, middle)
    return high


def renew(objective: Objective, axes: Axes, theta: np.ndarray) -> Kronecker:
    """Make the preconditioner from the curvature of the classes of each model at theta (n_x + 1, g, k)."""
    basis, rotated, l2s = axes.basis, axes.rotated, objective.penalty.strength.tolist()
    if rotated is None:
        a, Q = class_axes(objective, axes.subset, theta)
        D = basis.values[:, None, None] * np.maximum(a, 0.0)
    else:
        # the axes are orthonormal: these are the parameters of the rotated features, one of which is the bias
        inside = np.tensordot(basis.U.T, theta * basis.T[:, :, None], axes=1)
        inside = np.concatenate([inside, np.zeros_like(inside[:1])])
        a, Q, D = _diagonals(_soft(rotated, objective, inside), inside.shape)
    precision = max(objective.precision, objective.noise / basis.values.shape[0])
    one = functools.partial(Kronecker.from_factors, basis, precision=precision)
    return Kronecker.join([one(a[model], Q[model], D[:, model], l2=l2) for model, l2 in enumerate(l2s)])


def class_axes(objective: Objective, subset: InMemory, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curvatures (g, k) of the classes in a subset, and their axes (g, k, k), for each model of theta."""
    soft = _soft(subset, objective, objective.over(subset).in_blocks(theta * objective.factors)[1])
    (A,) = soft.sum(class_terms, np.zeros((1, *theta.shape[1:])))
    return _axes_of(A / subset.total_weight)


def _axes_of(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    k = A.shape[-1]
    center = np.eye(k) - 1.0 / k if k > 1 else np.eye(1)
    # rounding must not turn the null vector into a direction
    a, Q = zip(*(eigen(center @ own @ center) for own in A), strict=True)
    return np.stack(a), np.stack(Q)


def _soft(samples: InMemory, objective: Objective, parameters: np.ndarray) -> InMemory:
    """Return the samples with the probabilities (g, k, m) at the parameters (n_x + 1, g, k) as their targets."""
    P = link_samples(samples, objective.loss.link, parameters)
    return dataclasses.replace(samples, columns=samples.columns._replace(Y=P), n_classes=None)


def _diagonals(soft: InMemory, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curvatures (g, k) and axes (g, k, k) of the classes, and the diagonals (r, g, k) of the Hessians along them."""
    (_, g, k), origin = shape, np.zeros((1, *shape[1:]))
    if soft.place.small_blocks or math.prod(shape) * k > PAIRED_NUMBERS:
        (A,) = soft.sum(class_terms, origin)
        a, Q = _axes_of(A / soft.total_weight)
        return a, Q, soft.sum(diagonal_terms, Q)[0] / soft.total_weight
    G, A = (part / soft.total_weight for part in soft.sum(pair_terms, origin))
    a, Q = _axes_of(A[0] if k == 1 else np.eye(k) * np.sum(A[0], axis=-1, keepdims=True) - A[0])
    # the curvature of a pair of classes along q is p_l p_j (q_l - q_j)^2
    apart = Q * Q if k == 1 else 0.5 * np.reshape(Q[:, :, None, :] - Q[:, None, :, :], (g, k * k, k)) ** 2
    pairs = np.reshape(G, (-1, g, k * k))
    return a, Q, np.stack([pairs[:, model] @ apart[model] for model in range(g)], axis=1)
