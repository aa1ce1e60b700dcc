"""Fits as scikit-learn promises them: its rule for when to stop, and its warning where that is not met."""

from collections.abc import Callable

from sklearn import exceptions as sklearn_exceptions

from xlogreg import exceptions
from xlogreg.exceptions import unconverged, warn
from xlogreg.model.model import Model

__all__ = ["ConvergenceWarning", "reach"]

REFINEMENTS = 3  # of fits whose gradients are not yet as small as asked for


class ConvergenceWarning(exceptions.ConvergenceWarning, sklearn_exceptions.ConvergenceWarning):
    """The tolerance was not reached: of xlogreg and of scikit-learn at once, so that filters for either work."""


def reach(gradient_tol: float, fitted: Callable[[float | None], list[Model]]) -> list[Model]:
    """Models whose gradients have no component above ``gradient_tol``, or rounding errors hide the rest.

    Parameters
    ----------
    gradient_tol : float
    fitted : callable
        From a tol as `xlogreg.fit` takes it to the models.
    """
    with unconverged() as messages:
        models = fitted(None)
    for _ in range(REFINEMENTS):
        tol = _tighter_tol(models, gradient_tol)
        if tol is None:
            break
        with unconverged():
            models = fitted(tol)
    short = sum(not model.fit_info.gradient_norm <= gradient_tol for model in models)
    if messages and short:
        some = f"{short} of {len(models)} fits ended early. The first: " if len(models) > 1 else ""
        warn(some + messages[0], ConvergenceWarning)
    return models


def _tighter_tol(models: list[Model], gradient_tol: float) -> float | None:
    """The tol that makes the gradients as small as asked for; None where they are, or where no tol does."""
    infos = [model.fit_info for model in models]
    return min(
        (  # the norm is no less than any component, and the gap falls with its square
            0.1 * info.gap / info.cost * (gradient_tol / info.gradient_norm) ** 2
            for info in infos
            if info.reason == "converged" and info.gap > 0.0 and info.gradient_norm > gradient_tol
        ),
        default=None,
    )
