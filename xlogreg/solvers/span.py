"""Wide data, n_x > m: everything that starts at zero stays in the span of the samples.

With X~ = (X - c) / s the user's features and X~'X~ = V diag(lambda) V' (m, m), w~ = X~ V diag(lambda)^-1/2 u is an
orthonormal change of variables on that span: the scores are those of the r <= m features
R = diag(lambda)^1/2 V', and ||w~|| = ||u||. So fitting R is fitting X: gradient descent keeps its iterates, penalty
and all, and a second-order method has r parameters instead of n_x.
"""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

import numpy as np

from xlogreg.arrays.place import Array
from xlogreg.math.sums import combine_terms
from xlogreg.samples.memory import InMemory, multiply_samples
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.samples.source import Samples
from xlogreg.solvers.coordinates import Coordinates, as_host

__all__ = ["Span", "is_even", "reduce_wide", "reduction_pays"]

UNEVEN = 1e8  # variance of a feature, in those of the others, that products of samples still stand
MOST_SAMPLES = 5000  # whose products take 200 MB


@dataclass(frozen=True)
class Span:
    """Coordinates of theta (r + 1, 1, k) in the span of the samples.

    Attributes
    ----------
    source : InMemory
        The samples as they came, centred; or not, where the mean may as well be subtracted from their combinations.
    basis : array (m, r)
        V diag(lambda)^-1/2, where the samples are.
    scale : ndarray (r, 1)
        u = theta / scale.
    user : Coordinates
        Those of X~; its scale, and the centre that the source really has.
    means : ndarray (r,)
        What was subtracted from the features R, so that their means are zero to the last bit.
    """

    source: InMemory
    basis: Array
    scale: np.ndarray
    user: Coordinates
    means: np.ndarray

    @property
    def center(self) -> np.ndarray:
        """What X is shifted by (n_x, 1)."""
        return self.user.center

    def parameters_of(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """w (n_x, k) and b (k, 1) for X as it came: one pass."""
        w, v = self.centered_parameters_of(theta)
        return w, v - w.T @ self.center

    def centered_parameters_of(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """w (n_x, k) and v (k, 1) for X - center: one pass."""
        place = self.source.place
        with place.computing():
            alpha = self.basis @ place.put(theta[:-1, 0, :] / self.scale, place.widest)
        combined = as_host(self.source.sum(combine_terms, alpha)[0])
        if self.source.center is None:
            combined = combined - self.center * np.sum(as_host(alpha), axis=0)
        means = (theta[:-1, 0, :] / self.scale).T @ self.means[:, None]
        return combined / self.user.scale**2, theta[-1:, 0, :].T - means

    def gradient_of(self, dTheta: np.ndarray, other: object) -> np.ndarray:
        """The gradient for u, which is as long as that for w~."""
        return np.concatenate([dTheta[:-1] * self.scale[:, :, None], dTheta[-1:]])


def reduction_pays(source: Samples, iterations: int) -> TypeGuard[InMemory]:
    """Whether so many passes over the n_x features cost more time than the m^2 products of the samples.

    Measured: the products take the time of 0.04 m passes, their eigenvalues that of 0.5 m^2 / n_x.
    """
    m, n_x = source.m, source.n_x
    if not isinstance(source, InMemory):  # whose products would have to meet
        return False
    if n_x < 2 * m or m > MOST_SAMPLES or source.place.widest != "float64" or (source.is_read and source.X.sequential):
        return False
    return iterations * (1.0 - m / n_x) > 0.04 * m + 0.5 * m * m / n_x


class Reduced(NamedTuple):
    """Samples with r <= m features."""

    source: InMemory
    basis: Array  # (m, r)
    spectrum: np.ndarray  # (r,) the eigenvalues
    means: np.ndarray  # (r,)


def is_even(variance: np.ndarray, user: Coordinates) -> bool:
    """Whether no feature dwarfs the others, of which rounding of the products would leave nothing; (n_x, 1)."""
    sizes = variance / user.scale**2
    return bool(np.max(sizes) <= UNEVEN * np.median(sizes[sizes > 0.0])) if np.any(sizes > 0.0) else False


def reduce_wide(source: InMemory, user: Coordinates, centered: bool) -> Reduced:
    """The same samples with r <= m features: one pass.

    Parameters
    ----------
    source : InMemory
        Centred as the user's features, or at their mean where there is a bias.
    user : Coordinates
        Of the features that are penalised.
    centered : bool
        Whether the bias takes the means of the features: what rounding left of them would pass for a feature.
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
        reduced = dataclasses.replace(source, X=R, dtype=place.widest, rows=False, center=None, index=None)
        return Reduced(reduced, V / root, spectrum[first:], as_host(means @ (V / root))[0])
