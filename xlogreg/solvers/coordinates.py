"""Coordinates of the parameters, X~ = (X - center) / scale, and conversions to them and back.

The score is the same in all coordinates: z = w'x + b = u'x~ + v with w = u / scale, b = v - w'center.
Everything here is on the host in float64.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from xlogreg.arrays.place import HOST, Array, to_host
from xlogreg.math.losses import RARE
from xlogreg.math.penalties import Penalty
from xlogreg.math.sums import crossed_terms, size_terms, spread_terms, spreads_terms
from xlogreg.samples.folds import Folds
from xlogreg.samples.memory import InMemory
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.samples.products import may_pick, pick_features
from xlogreg.samples.source import Samples, host_center
from xlogreg.solvers.constant import Constant

__all__ = [
    "CoordinateSystem",
    "Coordinates",
    "Moments",
    "Spread",
    "as_host",
    "engine_coordinates",
    "gradient_norm",
    "measure_moments",
    "measure_spread",
    "measure_spreads",
    "user_coordinates",
]


DROWNING = {"float32": 1e2, "float64": 1e8}  # square of a mean over the variance; above it rounding drowns the variance
ROUNDED = 1e-10  # a variance up to this share of the second moment is a rounding error
LACKING = 0.1  # share of the second moment in all samples, below which a subset has next to nothing of a feature
SEEN = 100  # at least so many samples must make up the second moment of a feature before its curvature is known


class CoordinateSystem(Protocol):
    """What theta is in: coordinates of the features (`Coordinates`), or of the span of the samples (`Span`)."""

    @property
    def center(self) -> np.ndarray:
        """Centre that is subtracted from X (n_x, 1)."""
        ...

    @property
    def features(self) -> "Coordinates | None":
        """The coordinates of the features, if each has its row of theta; None in the span of the samples."""
        ...

    def parameters_of(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn theta into w (n_x, k) and b (k, 1) for X."""
        ...

    def centered_parameters_of(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn theta into w (n_x, k) and v (k, 1) for X - center."""
        ...

    def gradient_of(self, dTheta: np.ndarray, other: "Coordinates") -> np.ndarray:
        """Turn the gradient dTheta into a gradient of the same norm as that in the ``other`` coordinates."""
        ...


class Coordinates(NamedTuple):
    """Coordinates X~ = (X - center) / scale; center and scale are (n_x, 1)."""

    center: np.ndarray
    scale: np.ndarray

    @property
    def features(self) -> "Coordinates":
        """These coordinates: each feature has its row of theta."""
        return self

    def theta_of(self, w: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Turn parameters w (n_x, k), b (k, 1) for X into theta (n_x + 1, 1, k)."""
        return np.concatenate([w * self.scale, (b + w.T @ self.center).T])[:, None, :]

    def parameters_of(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn theta (n_x + 1, 1, k) into w (n_x, k) and b (k, 1) for X."""
        w = theta[:-1, 0, :] / self.scale
        return w, theta[-1:, 0, :].T - w.T @ self.center

    def centered_parameters_of(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn theta (n_x + 1, 1, k) into w (n_x, k) and v (k, 1) for X - center."""
        return theta[:-1, 0, :] / self.scale, theta[-1:, 0, :].T

    def covariance_of(self, covariance: np.ndarray) -> np.ndarray:
        """Turn the covariance ((n_x + 1) k, (n_x + 1) k) of theta into the covariance of (w, b) for X."""
        n_x = self.scale.shape[0]
        k = covariance.shape[0] // (n_x + 1)
        jacobian = np.diag(np.append(1.0 / self.scale[:, 0], 1.0))
        jacobian[-1, :-1] = -self.center[:, 0] / self.scale[:, 0]
        jacobian = np.kron(jacobian, np.eye(k)) if k > 1 else jacobian
        return jacobian @ covariance @ jacobian.T

    def gradient_of(self, dTheta: np.ndarray, other: "Coordinates") -> np.ndarray:
        """Turn the gradient dTheta (n_x + 1, 1, k) into the gradient in the ``other`` coordinates."""
        dU, dv = dTheta[:-1, 0, :], dTheta[-1:, 0, :]
        shift = (self.center - other.center) / other.scale
        return np.concatenate([dU * self.scale / other.scale + shift * dv, dv])[:, None, :]


class Spread(NamedTuple):
    """Weighted mean and variance of the features (n_x, 1), mean of the targets (k, 1), and number of passes.

    ``opposite`` is the share of the first of two classes, if one minus the share of the second loses its digits;
    ``covariance`` that of the features with the targets (n_x, k), where it was measured; ``constant`` the model without
    features, if the samples have an offset.
    """

    mean: np.ndarray
    variance: np.ndarray
    targets: np.ndarray
    passes: int
    opposite: float | None = None
    covariance: np.ndarray | None = None
    constant: Constant | None = None

    def moment(self, coordinates: Coordinates) -> np.ndarray:
        """Second moment of the features (n_x, 1) in other coordinates."""
        return (self.variance + (self.mean - coordinates.center) ** 2) / coordinates.scale**2

    @property
    def shares(self) -> np.ndarray:
        """Share of every class (K,) by weight; both classes if there are two."""
        if self.targets.shape[0] > 1:
            return self.targets[:, 0]
        share = float(self.targets[0, 0])
        return np.asarray([1.0 - share if self.opposite is None else self.opposite, share])

    @property
    def null(self) -> float:
        """Mean loss of the model without features."""
        if self.constant is not None:
            return float(self.constant.loss[0])
        return -float(np.sum(self.shares * np.log(np.maximum(self.shares, 1e-300))))

    @property
    def curvature(self) -> np.ndarray:
        """Mean curvature (k, k) of the scores' losses at the model without features."""
        if self.constant is not None:
            return self.constant.curvature[0]
        shares = self.shares
        return np.diag(shares) - np.outer(shares, shares) if len(shares) > 2 else np.prod(shares)[None, None]


def measure_spread(source: Samples, exact: bool = False, crossed: bool = False) -> Spread:
    """Measure the spread of all samples in one pass; in two if a mean drowns a variance, or a square is out of range.

    Values of X that are not finite raise an error. The spread is NaN or infinite if the squares of X are not finite.
    The first pass may be off by a tenth in float32. That is good enough for a scale that only the engine sees; with
    ``exact`` the second pass is always made. ``crossed``: measure the covariance with the targets, too.
    """
    spread = _spread_about(source, np.zeros((source.n_x, 1)), crossed)
    with np.errstate(all="ignore"):
        finite = np.isfinite(spread.variance)
        told = finite & (spread.mean**2 <= DROWNING[source.dtype] * spread.variance)
    if not finite.all():
        refuse_nonfinite(source)  # this raises if X is not finite in the computing dtype; otherwise its squares are not
    if exact or not told.all():
        wide = source.widened()  # rounding errors would look like variance
        wide = wide.centered(np.where(np.isfinite(spread.mean), spread.mean, 0.0))
        spread = _spread_about(wide, host_center(wide), crossed)._replace(passes=2)
    if spread.targets.shape[0] == 1 and spread.targets[0, 0] > 1.0 - RARE[source.dtype]:
        spread = spread._replace(opposite=float(source.shares()[0]))
    return spread


def refuse_drowned(source: Samples, spread: Spread) -> None:
    """Raise if rounding makes a feature of a sparse X look constant that is not: no centre can be subtracted from X."""
    numbers = np.flatnonzero((spread.variance == 0.0) & (spread.mean != 0.0))
    if not len(numbers) or not may_pick(source, len(numbers)):
        return
    X: Any = pick_features(source, numbers).X
    values, features = to_host(X.values), to_host(X.features)
    for place, number in enumerate(numbers.tolist()):
        own = values[features == place]
        if len(own) < source.m or np.any(own != own[0]):
            raise ValueError(
                f"X is sparse, and its feature {number} varies by less than 1e-5 of its mean, "
                f"{spread.mean[number, 0]:.6g}, which cannot be told from rounding; "
                "subtract a constant from that feature first, or pass a dense X"
            )


def _spread_about(source: Samples, origin: np.ndarray, crossed: bool) -> Spread:
    terms = crossed_terms if crossed else spread_terms
    D, D2, Y, *DY = (np.asarray(total) / source.total_weight for total in source.sum(terms, HOST.put(origin)))
    with np.errstate(all="ignore"):  # the caller looks whether the variance is finite
        covariance = DY[0] - D * Y.T if crossed else None
    return Spread(origin + D, _variance(D, D2), Y, 1, covariance=covariance)


def _variance(D: np.ndarray, D2: np.ndarray) -> np.ndarray:
    """Variance for the mean D and the second moment D2; 0 where it is only a rounding error."""
    with np.errstate(all="ignore"):
        variance = D2 - D * D
        return np.where((variance <= ROUNDED * D2) & np.isfinite(D2), 0.0, variance)


def measure_spreads(source: Samples | Folds, targets: np.ndarray) -> Spread:
    """Measure mean, relative to the centre of the source, and variance (n_x, g) of g models over their own samples.

    ``targets`` (k, g) are the weighted means of the targets. This takes one pass about the centre, and two more for a
    model whose mean is so far from the centre that it drowns a variance. An example is a feature that is constant only
    in the samples of that model.
    """
    wide = source.widened()
    origin = np.zeros((wide.n_x, targets.shape[1], 1))
    with np.errstate(all="ignore"):
        D, D2 = (np.asarray(total)[:, :, 0] / source.total_weight for total in wide.sum(spreads_terms, origin))
        variance, passes = _variance(D, D2), 1
        drowned = np.any(DROWNING[wide.dtype] * variance < D**2, axis=0)
    for model in np.flatnonzero(drowned).tolist():
        own = source.alone(model)
        spread = measure_spread(own.uncentered(), exact=True)
        D[:, [model]], variance[:, [model]] = spread.mean - host_center(own), spread.variance
        passes += spread.passes
    return Spread(D, variance, targets, passes)


def user_coordinates(n_x: int, standardize: bool | float, spread: Spread | None) -> Coordinates:
    """Return the coordinates in which the user wants the penalty and the iterates of gradient descent.

    ``standardize=True`` needs the spread.
    """
    if standardize is True and spread is not None:
        return Coordinates(spread.mean, np.where(spread.variance > 0, np.sqrt(spread.variance), 1.0))
    return Coordinates(np.zeros((n_x, 1)), np.full((n_x, 1), float(standardize or 1.0)))


def engine_coordinates(
    user: Coordinates, spread: Spread, ridge: float | np.ndarray, bias: bool, farthest: float = np.inf
) -> Coordinates:
    """Return coordinates in which every feature has the mean zero and about the same curvature.

    Without a bias the score may not be shifted, so the centre stays the user's. ``ridge`` is l2 over the
    bound of the loss's curvature, or that of each feature (n_x, 1): a feature that hardly varies gets its curvature
    from the penalty alone. A mean of more than ``farthest`` standard deviations stays.
    """
    near = np.abs(spread.mean) <= farthest * np.sqrt(spread.variance) if farthest < np.inf else True
    center = np.where(near, spread.mean, 0.0) if bias else user.center
    curvature = spread.variance + (spread.mean - center) ** 2 + ridge * user.scale**2
    return Coordinates(center, np.where(curvature > 0, np.sqrt(curvature), 1.0))


class Moments(NamedTuple):
    """Moments of each feature (n_x,) in a subset, in engine coordinates; there the second moment is about one."""

    samples: int  # number of samples in the subset
    second: np.ndarray  # second moment in the subset
    whole: np.ndarray  # second moment in all samples
    size: np.ndarray  # sum x^4 / sum x^2: x^2 where it matters. 3 for a normal x, m / n for x not zero in n of m

    @property
    def unseen(self) -> np.ndarray:
        """Mask of features whose second moment is too small in the subset, or comes from too few of its samples.

        These features are rare or heavy-tailed.
        """
        return (self.second < LACKING * self.whole) | (SEEN * self.size > self.samples)

    def raised(self, H: np.ndarray, curvature: float) -> np.ndarray:
        """Raise the diagonal of H (n_x + 1, n_x + 1) to its value in all samples for unseen features, if that is more.

        In a subset an unseen feature may be constant, or so far out that the loss is flat. The other features are not
        raised: additions by chance would hide the small eigenvalues of correlated features.
        """
        floor = np.where(self.unseen, curvature * self.whole, 0.0)
        return H + np.diag(np.append(np.maximum(floor - np.diagonal(H)[:-1], 0.0), 0.0))


def measure_moments(subset: InMemory, spread: Spread, coordinates: Coordinates) -> Moments:
    """Measure the moments of the features in one pass over the subset."""
    totals = subset.sum(size_terms, HOST.put(1.0 / coordinates.scale))
    second, fourth = (np.asarray(total)[:, 0] / subset.total_weight for total in totals)
    center = coordinates.center if subset.shifts else 0.0
    whole = ((spread.variance + (spread.mean - center) ** 2) / coordinates.scale**2)[:, 0]
    return Moments(subset.m, second, whole, np.where(second > 0, fourth / np.where(second > 0, second, 1.0), 1.0))


def as_host(array: Array) -> np.ndarray:
    """Return a small array as float64 on the host."""
    ready = type(array) is np.ndarray and array.dtype == np.float64
    return array if ready else HOST.put(array, "float64")


def gradient_norm(
    penalty: Penalty, coordinates: CoordinateSystem, user: Coordinates, theta: Array, gradient: Array
) -> float:
    """Norm of dJ/dw and dJ/db together, of the shortest subgradient, in the user's coordinates."""
    gradient = penalty.least_slope(as_host(theta), as_host(gradient))
    return float(np.linalg.norm(coordinates.gradient_of(gradient, user)))
