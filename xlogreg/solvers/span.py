"""Wide data, n_x > m: a solver that starts at zero stays in the span of the samples.

Let X~ = (X - c) / s be the user's features and X~'X~ = V diag(lambda) V' (m, m). Then w~ = X~ V diag(lambda)^-1/2 u is
an orthonormal change of variables on that span: the scores are those of the r <= m features
R = diag(lambda)^1/2 V', and ||w~|| = ||u||. So fitting R is fitting X: gradient descent has the same iterates and the
same penalty, and a second-order method has r parameters instead of n_x.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, Array
from xlogreg.math.penalties import Penalty
from xlogreg.math.sums import combine_terms
from xlogreg.samples.memory import InMemory
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.samples.products import multiply_samples
from xlogreg.samples.source import Samples
from xlogreg.solvers.coordinates import Coordinates, as_host

__all__ = ["Span", "is_even", "reduce_wide", "reduction_pays", "turns_alike"]

UNEVEN = 1e8  # largest variance over the median one; above it, products of samples lose the other features
MOST_SAMPLES = 5000  # the products (m, m) of so many samples take 200 MB
FEW_NUMBERS = 2**20  # of R, up to which the host fits one model in less time than a device takes to be asked


@dataclass(frozen=True)
class Span:
    """Coordinates of theta (r + 1, 1, k) in the span of the samples.

    Attributes
    ----------
    source : InMemory
        The samples in their original features, centred. They are not centred if the mean can as well be subtracted from
        combinations of them.
    basis : array (m, r)
        V diag(lambda)^-1/2, on the device of the samples.
    scale : ndarray (r, 1)
        Scale of theta: u = theta / scale.
    user : Coordinates
        Coordinates of X~: its scale, and the centre that the source really has.
    means : ndarray (r,)
        Values that were subtracted from the features R, so that their means are zero to the last bit.
    """

    source: InMemory
    basis: Array
    scale: np.ndarray
    user: Coordinates
    means: np.ndarray

    @property
    def center(self) -> np.ndarray:
        """Centre that is subtracted from X (n_x, 1)."""
        return self.user.center

    @property
    def features(self) -> None:
        """None: a row of theta is no feature of X."""
        return None

    def parameters_of(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn theta into w (n_x, k) and b (k, 1) for the original X: one pass."""
        w, v = self.centered_parameters_of(theta)
        return w, v - w.T @ self.center

    def centered_parameters_of(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn theta into w (n_x, k) and v (k, 1) for X - center: one pass."""
        place = self.source.place
        with place.computing():
            alpha = self.basis @ place.put(theta[:-1, 0, :] / self.scale, place.widest)
        combined = as_host(self.source.sum(combine_terms, alpha)[0])
        if self.source.center is None:
            combined = combined - self.center * np.sum(as_host(alpha), axis=0)
        means = (theta[:-1, 0, :] / self.scale).T @ self.means[:, None]
        return combined / self.user.scale**2, theta[-1:, 0, :].T - means

    def gradient_of(self, dTheta: np.ndarray, other: Coordinates) -> np.ndarray:
        """Turn the gradient dTheta into the gradient for u, which has the same norm as the gradient for w~."""
        return np.concatenate([dTheta[:-1] * self.scale[:, :, None], dTheta[-1:]])


def reduction_pays(source: Samples, iterations: int) -> TypeGuard[InMemory]:
    """Whether ``iterations`` passes over the n_x features cost more time than the m^2 products of the samples.

    By measurement, the products take the time of 0.04 m passes, and their eigenvalues that of 0.5 m^2 / n_x passes.
    """
    m, n_x = source.m, source.n_x
    if n_x < 2 * m or m > MOST_SAMPLES or source.place.widest != "float64" or not source.has_features:
        return False
    return iterations * (1.0 - m / n_x) > 0.04 * m + 0.5 * m * m / n_x


class Reduced(NamedTuple):
    """Samples with r <= m features, and the change of variables that made them."""

    source: InMemory
    basis: Array  # (m, r)
    spectrum: np.ndarray  # (r,) the eigenvalues lambda that are not zero
    means: np.ndarray  # (r,)


def is_even(variance: np.ndarray, user: Coordinates) -> bool:
    """Whether no feature dwarfs the others, by its variance (n_x, 1).

    Otherwise rounding errors of the products of samples would leave nothing of the other features.
    """
    sizes = variance / user.scale**2
    return bool(np.max(sizes) <= UNEVEN * np.median(sizes[sizes > 0.0])) if np.any(sizes > 0.0) else False


def reduce_wide(source: InMemory, user: Coordinates, centered: bool, alone: bool = False) -> Reduced:
    """Reduce samples to r <= m features in one pass.

    Parameters
    ----------
    source : InMemory
        Samples that are centred like the user's features, or at their mean if there is a bias.
    user : Coordinates
        Coordinates of the features that are penalised.
    centered : bool
        Whether the bias takes over the means of the features. They are then subtracted, for their rounding errors
        would look like a feature.
    alone : bool
        Whether a single model is fitted to them. A few such samples are brought to the host.
    """
    place = source.place
    with place.computing():
        xp, products = place.xp, multiply_samples(source, 1.0 / user.scale)
        if not bool(xp.all(xp.isfinite(products))):
            refuse_nonfinite(source)
        means = xp.mean(products, axis=0, keepdims=True) if centered else xp.zeros_like(products[:1, :])
        if centered:
            products = products - means
            products = products - xp.mean(products, axis=1, keepdims=True)
        values, V = xp.linalg.eigh(products)
        spectrum = as_host(values)
        first = int(np.sum(spectrum <= source.m * np.finfo(float).eps * np.max(spectrum, initial=0.0)))
        root = place.put(np.sqrt(spectrum[first:]), place.widest)
        V = V[:, first:]
        R = xp.matrix_transpose(V * root)
        home = HOST if alone and math.prod(R.shape) <= FEW_NUMBERS else place
        held: dict[str, Any] = {"X": Dense(home.put(R)), "columns": source.columns.put(home), "place": home}
        reduced = dataclasses.replace(source, dtype=place.widest, center=None, index=None, **held)
        return Reduced(reduced, V / root, spectrum[first:], as_host(means @ (V / root))[0])


def turns_alike(penalty: Penalty, descends: bool) -> bool:
    """Whether the penalty is plain in any orthonormal basis of the features, divided by the roots of their factors.

    If factors differ, gradient descent has other iterates there: it takes its steps in the features themselves.
    """
    factor = penalty.factor[:-1]
    same = penalty.plain or not penalty.active.any() or bool((factor == factor[0]).all())
    return penalty.rotates and (same or (not descends and bool((factor > 0).all())))
