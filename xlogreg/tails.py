"""Losses whose derivatives keep their digits where a probability rounds to one: for classes of next to no weight.

A sample on its own side has the residual a - y = -(1 - a), which is lost where a rounds to one. That is nothing beside
what it is where a does not, unless the weights of the classes differ as much: then the sums of both have the same size.
The derivatives that Newton's method takes keep them in any case, see `xlogreg.losses`.
"""

from xlogreg.backends import Array, array_namespace
from xlogreg.losses import LOSSES

__all__ = ["PRECISE", "RARE"]

# share of a class, below which rounding of the residuals of the others would show in the sum of its own
RARE = {"float32": 1e-5, "float64": 1e-8}


def _first_log_loss(Z: Array, Y: Array) -> tuple[Array, Array, Array]:
    return _kept(Z, Y, *LOSSES["log_loss"].first(Z, Y))


def _first_cross_entropy(Z: Array, Y: Array) -> tuple[Array, Array, Array]:
    return _kept(Z, Y, *LOSSES["cross_entropy"].first(Z, Y))


def _kept(Z: Array, Y: Array, excess: Array, tail: Array, dZ: Array) -> tuple[Array, Array, Array]:
    """The same with dZ = (1 - y) - (1 - a) for the most probable class, where 1 - a = tail / (1 + tail) is exact."""
    xp = array_namespace(Z)
    top = Z >= 0 if Z.shape[-2] == 1 else xp.max(Z, axis=-2, keepdims=True) == Z
    return excess, tail, xp.where(top, (1.0 - Y) - tail / (1.0 + tail), dZ)


PRECISE = {
    "log_loss": LOSSES["log_loss"]._replace(first=_first_log_loss),
    "cross_entropy": LOSSES["cross_entropy"]._replace(first=_first_cross_entropy),
}
