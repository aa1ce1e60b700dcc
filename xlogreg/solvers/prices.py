"""Prices of a pass and of a Hessian: what the rule behind "auto" compares. Only their ratios matter."""

from typing import NamedTuple

from xlogreg.arrays.place import Place

__all__ = ["DEVICE", "HOST", "Prices", "prices_on"]

ALGEBRA = 0.09e-9  # seconds of one of n^3 operations of an inverse, which is made on the host
EIGEN = 3.0  # the same of eigenvectors, in inverses
OUTPUT = 0.6  # products with k outputs take as long as this times k products with one


class Prices(NamedTuple):
    """Seconds that parts of a pass take on one kind of machine, for samples that lie in its memory."""

    calls: float  # of the interpreter, in a step with a gradient
    hessian_calls: float  # more of them, in a step with a Hessian
    sample: float  # the loss of a sample and its slope
    number: float  # a number of X that lies in the cache, in both products of a pass
    far_number: float  # the same of an X that does not fit there
    cached: float  # numbers of X that fit
    copy: float  # a number of X in a subset, which is drawn and measured
    product: float  # one of m n (n + 30) operations of a Gram matrix

    def gradient(self, m: int, n_x: int, k: int = 1) -> float:
        """Seconds of a pass for a gradient of a model of k outputs."""
        number = self.number if m * n_x <= self.cached else self.far_number
        return self.calls + m * k * self.sample + m * n_x * number * max(1.0, OUTPUT * k)

    def moment(self, m: int, n_x: int, k: int = 1) -> float:
        """Seconds of a second moment of the features, and its inverse, or its eigenvectors if k > 1."""
        algebra = n_x**3 * ALGEBRA * (1.0 if k == 1 else EIGEN)
        return self.hessian_calls + m * n_x * (n_x + 30) * self.product + algebra

    def hessian(self, m: int, n_x: int, k: int = 1) -> float:
        """Seconds of a pass for a Hessian, and its inverse."""
        pairs = 1 if k == 1 else k * (k + 1)  # a product of two matrices takes twice as long as one with its transpose
        grams = m * n_x * (n_x + 30) * self.product * pairs
        return self.gradient(m, n_x, k) + self.hessian_calls + grams + (n_x * k) ** 3 * ALGEBRA

    def subset(self, m: int, n_x: int, k: int = 1) -> float:
        """Seconds of a Hessian of a subset of m samples, which has to be drawn first, for a model of k outputs."""
        return self.hessian(m, n_x, k) + 2.0 * self.hessian_calls + m * n_x * self.copy


# fitted to times of one core of a server, for float64
HOST = Prices(90e-6, 40e-6, 4e-9, 0.19e-9, 0.45e-9, 2e6, 2e-9, 0.023e-9)
# of an H200, for float32 samples and Hessians in float64 of some hundred features; the calls are most of each pass; the
# prices of a sample and of a copy are estimates
DEVICE = Prices(900e-6, 1200e-6, 2e-11, 2e-12, 2e-12, 0.0, 1e-11, 0.15e-12)


def prices_on(place: Place) -> Prices:
    """Prices of passes over samples that lie at a place."""
    return DEVICE if place.is_device else HOST
