"""Prices of a pass and of a Hessian: what the rule behind "auto" compares. Only their ratios matter.

They are fitted to times of one core of a server, in seconds, for samples in float64 that one block or a few hold.
"""

__all__ = ["gradient_price", "hessian_price", "moment_price"]

CALLS = 25e-6  # of the interpreter, in a pass for a gradient
HESSIAN_CALLS = 60e-6  # the same in a pass for a Hessian, and a step with it
SAMPLE = 4e-9  # the loss of a sample and its slope
NUMBER = 0.19e-9  # a number of X that lies in the cache, in both products of a pass
FAR_NUMBER = 0.45e-9  # the same of an X that does not fit there
CACHED = 2e6  # numbers of X that fit
PRODUCT = 0.023e-9  # one of m n (n + 30) operations of a Gram matrix
ALGEBRA = 0.15e-9  # one of n^3 operations of an inverse


def gradient_price(m: int, n_x: int) -> float:
    """Seconds of a pass for a gradient."""
    number = NUMBER if m * n_x <= CACHED else FAR_NUMBER
    return CALLS + m * SAMPLE + m * n_x * number


def moment_price(m: int, n_x: int) -> float:
    """Seconds of a second moment of the features, and its inverse."""
    return HESSIAN_CALLS + m * n_x * (n_x + 30) * PRODUCT + n_x**3 * ALGEBRA


def hessian_price(m: int, n_x: int) -> float:
    """Seconds of a pass for a Hessian, and its inverse."""
    return gradient_price(m, n_x) + moment_price(m, n_x)
