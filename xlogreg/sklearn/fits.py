"""Fits as scikit-learn promises them: its rule for when to stop, and its warning where that is not met."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import exceptions as sklearn_exceptions

from xlogreg import exceptions
from xlogreg.arrays.place import Array, to_host
from xlogreg.exceptions import unconverged, warn
from xlogreg.fitting.absent import fit_parts, warn_of_lacking
from xlogreg.fitting.held_out import LeftOut, fit_left_out
from xlogreg.fitting.plans import Plan
from xlogreg.inputs.labels import encode_targets
from xlogreg.inputs.options import Options, options_of_models
from xlogreg.model.model import Model
from xlogreg.samples.intake import receive

__all__ = ["ConvergenceWarning", "fit_folds", "reach"]

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


def fit_folds(
    X: Any,
    y: Array,
    weight: Array | None,
    folds: list[tuple[Any, Any]],
    Cs: np.ndarray,
    gradient_tol: float,
    search: dict[str, Any],
) -> tuple[list[Model], LeftOut | None, np.ndarray]:
    """The model of each fold and each C; what they left out, where each sample is tested once at most; and which lack.

    The last (F, K): which training parts have no sample of which class.

    Parameters
    ----------
    X : array (m, n_x), or Parts
    y : array (m,)
    weight : array (1, m), or None
    folds : list of (train, test)
        Numbers of samples.
    Cs : ndarray (P,)
    gradient_tol : float
        See `optimum.reach`.
    search : dict
        The arguments of `xlogreg.fit` of these names.

    Raises
    ------
    ValueError
        Where no training part has two classes.
    """
    m, began = X.shape[0], time.perf_counter()
    encoded = encode_targets(to_host(y), (m, 0), "rows", "labels")
    once = np.ones(m) if weight is None else to_host(weight)[0, :].astype(np.float64)
    weights = [np.bincount(np.arange(m)[train], minlength=m) * once for train, _ in folds]
    lacking = np.stack([np.bincount(encoded.Y[0, :], part, len(encoded.classes)) == 0 for part in weights])
    warn_of_lacking("cv", dict(enumerate(lacking)), encoded.classes)
    l2s = [1.0 / (C * np.sum(part)) for part in weights for C in Cs]
    left: LeftOut | None = None
    numbers = _partition(folds, m)

    def fitted(tol: float | None) -> list[Model]:
        nonlocal left
        where = {"backend": search["backend"], "device": search["device"], "dtype": None, "fallback": True}
        received = receive(X, y, weight, samples="rows", targets="labels", **where)
        options = options_of_models(l2s, search["bias"], False, search["max_iter"], tol, search["rng"])
        fold_of = np.repeat(np.arange(len(folds)), len(Cs))
        if numbers is None:  # a row of weights for each fold
            rows: list[Array | None] = [part[None, :] for part in weights]

            def plan(some: list[Options], row_of: np.ndarray) -> Plan:
                return Plan(received.setting, [received.targets], rows, [0] * len(some), row_of.tolist(), some)

            return fit_parts(received, options, fold_of, lacking, plan, weights.__getitem__, began)
        left = fit_left_out(received, options, numbers, fold_of, lacking, began)
        return left.models

    return reach(gradient_tol, fitted), left, lacking


def _partition(folds: list[tuple[Any, Any]], m: int) -> np.ndarray | None:
    """The fold in which each sample is tested (m,), one number more for none; None where that is not all of it."""
    numbers = np.full(m, len(folds))
    for number, (train, test) in enumerate(folds):
        again = np.any(numbers[test] != len(folds))
        numbers[test] = number
        if again or np.any(np.bincount(np.arange(m)[train], minlength=m) + (numbers == number) != 1):
            return None
    return numbers
