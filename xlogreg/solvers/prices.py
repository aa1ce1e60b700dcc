"""Prices of a pass and of a Hessian: what the rule behind "auto" compares. Only their ratios matter.

They are fitted to times of one core of a server, in seconds, for samples in float64 that one block or a few hold.
"""

__all__ = ["gradient_price", "hessian_price", "moment_price", "subset_price"]

CALLS = 90e-6  # of the interpreter, in a step with a gradient
HESSIAN_CALLS = 40e-6  # more of them, in a step with a Hessian
SAMPLE = 4e-9  # the loss of a sample and its slope
NUMBER = 0.19e-9  # a number of X that lies in the cache, in both products of a pass
FAR_NUMBER = 0.45e-9  # the same of an X that does not fit there
CACHED = 2e6  # numbers of X that fit
COPY = 2e-9  # a number of X in a subset, which is drawn and measured
PRODUCT = 0.023e-9  # one of m n (n + 30) operations of a Gram matrix
ALGEBRA = 0.09e-9  # one of n^3 operations of an inverse
EIGEN = 3.0  # the same of eigenvectors, in inverses
OUTPUT = 0.6  # products with k outputs take as long as this times k products with one


def gradient_price(m: int, n_x: int, k: int = 1) -> float:
    """Seconds of a pass for a gradient of a model of k outputs."""
    number = NUMBER if m * n_x <= CACHED else FAR_NUMBER
    return CALLS + m * k * SAMPLE + m * n_x * number * max(1.0, OUTPUT * k)


def moment_price(m: int, n_x: int, k: int = 1) -> float:
    """Seconds of a second moment of the features, and its inverse, or its eigenvectors if k > 1."""
    return HESSIAN_CALLS + m * n_x * (n_x + 30) * PRODUCT + n_x**3 * ALGEBRA * (1.0 if k == 1 else EIGEN)


def hessian_price(m: int, n_x: int, k: int = 1) -> float:
    """Seconds of a pass for a Hessian, and its inverse."""
    pairs = 1 if k == 1 else k * (k + 1)  # a product of two matrices takes twice as long as one with its own transpose
    grams = m * n_x * (n_x + 30) * PRODUCT * pairs
    return gradient_price(m, n_x, k) + HESSIAN_CALLS + grams + (n_x * k) ** 3 * ALGEBRA


def subset_price(m: int, n_x: int, k: int = 1) -> float:
    """Seconds of a Hessian of a subset of m samples, which has to be drawn first, for a model of k outputs."""
    return hessian_price(m, n_x, k) + 2.0 * HESSIAN_CALLS + m * n_x * COPY
