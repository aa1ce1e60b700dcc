"""Tails of the normal and of the chi-squared distribution, and quantiles: elementary functions, exact in far tails."""

import math
import statistics

import numpy as np

__all__ = ["chi_squared_tail", "log_two_sided", "quantile", "two_sided"]

FAR = 25.0  # a deviate above it has a tail that the asymptotic series gives to sixteen digits
TERMS = 12  # of that series


def quantile(level: float) -> float:
    """Return z > 0 such that a standard normal deviate lies in (-z, z) with the probability ``level``."""
    return -statistics.NormalDist().inv_cdf(0.5 * (1.0 - level))


def two_sided(z: np.ndarray) -> np.ndarray:
    """Probability that a standard normal deviate is as far from zero as each z, in the shape of z."""
    return np.reshape([math.erfc(abs(value) / math.sqrt(2.0)) for value in np.ravel(z).tolist()], np.shape(z))


def log_two_sided(z: np.ndarray) -> np.ndarray:
    """Logarithm of `two_sided`; it is exact where the probability itself is too small for a float."""
    return np.reshape([_log_tail(abs(value)) for value in np.ravel(z).tolist()], np.shape(z))


def _log_tail(z: float) -> float:
    if not z > FAR:  # NaN stays NaN
        return math.log(math.erfc(z / math.sqrt(2.0)))
    if math.isinf(z):
        return -math.inf
    # erfc by its asymptotic series, Abramowitz & Stegun 7.1.23
    series, term = 1.0, 1.0
    for n in range(1, TERMS):
        term *= -(2 * n - 1) / (z * z)
        series += term
    return -0.5 * z * z + math.log(series * math.sqrt(2.0 / math.pi) / z)


def chi_squared_tail(x: float, df: int) -> float:
    """Probability that a chi-squared deviate of ``df`` degrees of freedom exceeds x >= 0.

    It is a finite sum for whole ``df``: of Poisson terms for even ones, of the same about erfc for odd ones
    (Abramowitz & Stegun 26.4.4 and 26.4.5).
    """
    if df == 0 or math.isnan(x):
        return math.nan if math.isnan(x) else float(x <= 0.0)
    if x <= 0.0:
        return 1.0
    if math.isinf(x):
        return 0.0
    half = 0.5 * x
    if df == 1:  # the most common case, without arrays
        return math.erfc(math.sqrt(half))
    # term j is half^a e^-half / Gamma(a + 1), a = j for even df and j + 1/2 for odd ones
    powers = np.arange(df // 2) + (0.5 if df % 2 else 0.0)
    logs = [power * math.log(half) - half - math.lgamma(power + 1.0) for power in powers.tolist()]
    return math.fsum([math.erfc(math.sqrt(half)) if df % 2 else 0.0, *(math.exp(log) for log in logs)])
