"""Fits that keep scikit-learn's promises: its rule for when to stop, and its warning if that is not met."""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import exceptions as sklearn_exceptions

from xlogreg import exceptions
from xlogreg.arrays.choice import Where
from xlogreg.arrays.place import Array, to_host
from xlogreg.exceptions import unconverged, warn
from xlogreg.fitting.absent import fit_parts, warn_of_lacking
from xlogreg.fitting.held_out import LeftOut, fit_left_out, refilled
from xlogreg.fitting.monitors import STOPPED, Following, begin
from xlogreg.fitting.plans import Plan
from xlogreg.inputs.door import Features
from xlogreg.inputs.encoding import Encoding
from xlogreg.inputs.labels import encode_targets
from xlogreg.inputs.matrices import as_matrix
from xlogreg.inputs.options import Options, options_of_models
from xlogreg.model.model import Model
from xlogreg.samples.intake import Arrival, Received, receive, settle
from xlogreg.sklearn.penalty import ElasticNet

__all__ = ["ConvergenceWarning", "fit_folds", "reach", "time_left"]

NO_TIME = 1e-9  # seconds
REFINEMENTS = 3  # most repetitions with a smaller tol, while gradients are not as small as asked for


class ConvergenceWarning(exceptions.ConvergenceWarning, sklearn_exceptions.ConvergenceWarning):
    """Warning that the tolerance was not reached: both xlogreg's and scikit-learn's, so filters for either work."""


def reach(
    gradient_tol: float, fitted: Callable[[float | None], list[Model]], time_limit: float | None = None
) -> list[Model]:
    """Fit models until no component of their gradients is above ``gradient_tol``, or rounding errors hide the rest.

    Parameters
    ----------
    gradient_tol : float
    fitted : callable
        Takes a tol, as `xlogreg.fit` does, and returns the models.
    time_limit : float, optional
        The limit that the user gave, for the warning. Models that are cut off do not replace those that were not.
    """
    with unconverged() as messages:
        models = fitted(None)
    cut = _is_cut(models)
    for _ in range(REFINEMENTS):
        tol = _tighter_tol(models, gradient_tol)
        if tol is None or cut:
            break
        with unconverged():
            closer = fitted(tol)
        cut = _is_cut(closer)
        models = models if cut else closer
    short = sum(not model.fit_info.gradient_norm <= gradient_tol for model in models)
    if short and cut and time_limit is not None:
        warn(
            f"time_limit={time_limit:g} seconds ended {short} of {len(models)} fits before they reached "
            f"tol={gradient_tol:g}; allow more time",
            ConvergenceWarning,
        )
    elif messages and short:
        some = f"{short} of {len(models)} fits ended early. The first: " if len(models) > 1 else ""
        warn(some + messages[0], ConvergenceWarning)
    return models


def _is_cut(models: list[Model]) -> bool:
    """Whether a time limit or a callback stopped some of the models."""
    return any(model.fit_info.reason in STOPPED for model in models)


def time_left(time_limit: float | None, began: float) -> float | None:
    """Seconds that are left of a time limit, at least some that are too few for a step; None without a limit."""
    return None if time_limit is None else max(began + time_limit - time.perf_counter(), NO_TIME)


def _tighter_tol(models: list[Model], gradient_tol: float) -> float | None:
    """The tol that makes the gradients as small as asked for; None if they are so already, or if no tol helps."""
    infos = [model.fit_info for model in models]
    return min(
        (  # no component is larger than the norm, and the gap falls with the square of the norm
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
    penalties: list[ElasticNet],
    gradient_tol: float,
    search: dict[str, Any],
    encoding: Encoding | None = None,
    refill: Callable[[np.ndarray], Features] | None = None,
    offset: Any = None,
) -> tuple[list[Model], LeftOut | None, np.ndarray]:
    """Fit a model for each fold and each penalty.

    Parameters
    ----------
    X : array (m, n_x), or Shards
    y : array (m,)
    weight : array (1, m), or None
    folds : list of (train, test)
        Numbers of samples.
    penalties : list of ElasticNet (P,)
    gradient_tol : float
        See `reach`.
    search : dict
        Arguments of `xlogreg.fit`, by name; and the ``score`` whose best value is shown, "log_loss" or "accuracy".
    encoding : Encoding, optional
        How X was made from the columns of a table.
    refill : callable, optional
        Makes X from the table, with missing values filled in by samples drawn as often as it is told (m,).
    offset : array, optional
        As for `xlogreg.fit`; `Shards` have their own.

    Returns
    -------
    models : list of Model (F P,)
        The models of the first fold for all penalties, then those of the next.
    left : LeftOut, or None
        The models with the samples that they left out; None if `_partition` finds no fold for each sample.
    lacking : ndarray (F, K)
        Which training parts have no sample of which class.

    Raises
    ------
    ValueError
        If no training part has two classes.
    """
    m, began = X.shape[0], time.perf_counter()
    encoded = encode_targets(to_host(y), (m, 0), "rows", "labels")
    once = np.ones(m) if weight is None else to_host(weight)[0, :].astype(np.float64)
    drawn = [np.bincount(np.arange(m)[train], minlength=m) for train, _ in folds]
    weights = [counts * once for counts in drawn]
    lacking = np.stack([np.bincount(encoded.Y[0, :], part, len(encoded.classes)) == 0 for part in weights])
    warn_of_lacking("cv", dict(enumerate(lacking)), encoded.classes)
    strengths = [penalty.strengths(float(np.sum(part))) for part in weights for penalty in penalties]
    l1s, l2s = ([strength[name] for strength in strengths] for name in ("l1", "l2"))
    left: LeftOut | None = None
    numbers = _partition(folds, m)

    def fitted(tol: float | None) -> list[Model]:
        nonlocal left
        left = None  # which may hold a copy of X
        factor, bias, max_iter, rng = (search[name] for name in ("penalty_factor", "bias", "max_iter", "rng"))
        watch = {name: search[name] for name in ("callback", "verbose", "time_limit")}
        options = options_of_models(l2s, factor, bias, False, max_iter, tol, rng, l1s, **watch)
        where = Where(search["backend"], search["device"])
        given = X if encoding is None else Features(as_matrix(X, "rows"), encoding.names, encoding)
        received = receive(given, y, weight, "rows", "labels", where, options[0], offset=offset)
        with Following("fit_cv", received.arrival, options, began) as options:
            return received.within_memory(functools.partial(fitted_here, options=options, where=where))

    def fitted_here(received: Received, options: list[Options], where: Where) -> list[Model]:
        nonlocal left
        fold_of = np.repeat(np.arange(len(folds)), len(penalties))
        begin(options, len(options), search["score"])

        def arrival_of(part: np.ndarray) -> Arrival:
            assert refill is not None
            return settle(refill(part), where)

        if numbers is not None:
            left = fit_left_out(
                received, options, numbers, fold_of, lacking, began, None if refill is None else arrival_of
            )
            return left.models
        rows: list[Array | None] = [part[None, :] for part in weights]  # of weights, one for each fold

        def parts(received: Received, own: np.ndarray) -> list[Model]:
            """Fit the models of these numbers."""

            def plan(some: list[Options], row_of: np.ndarray) -> Plan:
                return Plan(received.arrival, [received.targets], rows, [0] * len(some), row_of.tolist(), some)

            chosen = [options[model] for model in own.tolist()]
            return fit_parts(received, chosen, fold_of[own], lacking, plan, weights.__getitem__, began)

        if refill is None or encoding is None or not encoding.fills:
            return parts(received, np.arange(len(options)))
        found = []
        for fold, counts in enumerate(drawn):
            own = np.flatnonzero(fold_of == fold)
            models = received.refilled(arrival_of(counts)).within_memory(functools.partial(parts, own=own))
            found += [refilled(model, encoding) for model in models]
        return found

    return reach(gradient_tol, fitted, search["time_limit"]), left, lacking


def _partition(folds: list[tuple[Any, Any]], m: int) -> np.ndarray | None:
    """Find the fold that tests each sample (m,); a sample that no fold tests gets the number of folds.

    None if a sample is tested twice, or if a fold does not train, once each, on all samples that it does not test.
    """
    numbers = np.full(m, len(folds))
    for number, (train, test) in enumerate(folds):
        again = np.any(numbers[test] != len(folds))
        numbers[test] = number
        if again or np.any(np.bincount(np.arange(m)[train], minlength=m) + (numbers == number) != 1):
            return None
    return numbers
