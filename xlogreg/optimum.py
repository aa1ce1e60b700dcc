"""A fit as scikit-learn promises it: its rule for when to stop, and its warning where that is not met."""

from typing import Any

from sklearn import exceptions as sklearn_exceptions

from xlogreg import exceptions
from xlogreg.backends import Array
from xlogreg.exceptions import unconverged, warn
from xlogreg.fitting import fit
from xlogreg.model import Model

__all__ = ["ConvergenceWarning", "find_optimum"]

REFINEMENTS = 3  # of a fit whose gradient is not yet as small as asked for


class ConvergenceWarning(exceptions.ConvergenceWarning, sklearn_exceptions.ConvergenceWarning):
    """The tolerance was not reached: of xlogreg and of scikit-learn at once, so that filters for either work."""


def find_optimum(X: Array, y: Array, gradient_tol: float, **options: Any) -> Model:
    """`fit` of rows until no component of the gradient exceeds ``gradient_tol``, or rounding errors hide the rest."""
    with unconverged() as messages:
        model = fit(X, y, samples="rows", **options)
    for _ in range(REFINEMENTS):
        info = model.fit_info
        # the norm is no less than any component
        if info.gradient_norm <= gradient_tol or not (info.reason == "converged" and info.gap > 0.0):
            break
        # the gap falls with the square of the gradient
        tol = 0.1 * info.gap / info.cost * (gradient_tol / info.gradient_norm) ** 2
        with unconverged():
            model = fit(X, y, samples="rows", tol=tol, **options)
    if messages and not model.fit_info.gradient_norm <= gradient_tol:
        warn(messages[0], ConvergenceWarning)
    return model
