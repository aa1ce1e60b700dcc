"""Residuals of samples, and how much each sample moves the parameters; element by element, for two classes."""

from xlogreg.arrays.place import Array, array_namespace
from xlogreg.math.losses import LOSSES, PRECISE, share_and_curvature

__all__ = ["influences", "sample_losses"]


def sample_losses(Z: Array, Y: Array, weight: Array) -> Array:
    """Weighted log losses of the samples, in the shape of Z."""
    xp = array_namespace(Z)
    return xp.where(weight > 0, weight * LOSSES["log_loss"].value(Z, Y), 0.0)


def influences(Z: Array, variance: Array, Y: Array, weight: Array, parameters: float) -> Array:
    """Compute five diagnostics of each sample, one in each row (5, m).

    With weights s, probabilities a, and c = a (1 - a), they are (Pregibon 1981):

    - leverage h = s c v, where v is the variance of the score: the diagonal of the hat matrix;
    - Pearson's residual r = (y - a) sqrt(s / c);
    - the deviance residual, the root of twice the weighted divergence of y from a, with the sign of y - a;
    - the studentised residual r / sqrt(1 - h);
    - Cook's distance r^2 h / ((1 - h)^2 p) for p parameters.

    Parameters
    ----------
    Z, variance, Y, weight : arrays (1, m)
    parameters : float
    """
    xp = array_namespace(Z)
    A, C = share_and_curvature(Z)
    _, tail, dZ = PRECISE["log_loss"].first(Z, Y)
    # sqrt(c) = exp(-|z| / 2) / (1 + exp(-|z|)), which is above zero for all |z| up to 1490
    root = xp.exp(-0.5 * xp.abs(Z))
    D = -xp.where(dZ == 0.0, 0.0, dZ * (1.0 + tail) / root)
    pearson = xp.where(weight > 0, xp.sqrt(weight) * D, 0.0)
    # y log(y / a) + (1 - y) log((1 - y) / (1 - a)), for shares y that may be as good as a
    soft = Y * xp.log1p((Y - A) / A) + (1.0 - Y) * xp.log1p((A - Y) / (1.0 - A))
    hard = (Y == 0.0) | (Y == 1.0)
    divergence = xp.where(hard, LOSSES["log_loss"].value(Z, Y), xp.maximum(soft, 0.0))
    deviance = -xp.sign(dZ) * xp.sqrt(2.0 * xp.where(weight > 0, weight * divergence, 0.0))
    leverage = weight * C * variance
    studentised = pearson / xp.sqrt(1.0 - leverage)
    cooks = studentised**2 * leverage / (1.0 - leverage) / parameters
    return xp.concat([leverage, pearson, deviance, studentised, cooks], axis=0)
