"""Classes without a sample in a training part: the model of the other classes gives them no probability.

If a class has no sample, the cost has no minimum: the lower the bias of the class, the lower the cost. In the limit,
its weights and its probability are zero, and the other classes are the model of their own samples. So that model is
fitted, and the bias of the class without samples is set so low that its probability is a rounding error. It is below
eps for any scores, since the scores of the other classes sum to zero.
"""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

from xlogreg.arrays.place import Array, to_host
from xlogreg.exceptions import MissingClassWarning, warn
from xlogreg.fitting.fit_many import build_models
from xlogreg.fitting.outcome import asked_for
from xlogreg.fitting.plans import Plan
from xlogreg.inputs.labels import Targets
from xlogreg.inputs.options import Options
from xlogreg.model.model import Model
from xlogreg.model.reports import FitInfo
from xlogreg.samples.intake import Origin, Received

__all__ = ["fit_parts", "warn_of_lacking"]


def warn_of_lacking(argument: str, lacking: dict[int, np.ndarray], classes: np.ndarray) -> None:
    """Warn once, and name the classes (K,) without a sample in the training part of each fold.

    Raises
    ------
    ValueError
        If no training part has two classes, or if a training part has no sample.
    """
    empty = [fold for fold, row in lacking.items() if np.all(row)]
    if empty:
        raise ValueError(f"{argument}: the training part of fold {empty[0]} has no sample, or none of weight")
    if all(np.sum(~row) < 2 for row in lacking.values()):
        raise ValueError(
            f"{argument}: no training part has samples of two classes, so there is nothing to compare; use fewer folds"
        )
    lost = [
        f"{', '.join(map(repr, classes[row].tolist()))} where fold {fold} is left out"
        for fold, row in lacking.items()
        if np.any(row)
    ]
    if lost:
        warn(
            f"{argument}: there is no sample to train on, or none of weight, of the classes {'; '.join(lost)}. "
            "The models of these folds give them the probability 0, which counts as eps in the log loss; "
            "use fewer folds, or folds that share the classes evenly",
            MissingClassWarning,
        )


def fit_parts(
    received: Received,
    options: list[Options],
    fold_of: np.ndarray,
    lacking: np.ndarray,
    plan: Callable[[list[Options], np.ndarray], Plan],
    weight: Callable[[int], np.ndarray],
    began: float,
) -> list[Model]:
    """Fit g models to the training parts of folds: models of all classes together, models of fewer fold by fold.

    Parameters
    ----------
    received : Received
    options : list of Options
        The options of each model.
    fold_of : ndarray (g,)
        The fold of each model.
    lacking : ndarray (F, K)
        Whether a training part has no sample of a class.
    plan : callable
        Makes the plan of some models from their options and folds.
    weight : callable
        Gives the weights (m,) of the training part of a fold.
    began : float

    Raises
    ------
    ValueError
        If a training part has no sample of a class, and the samples have an offset: it moves the scores of that class.
    """
    short = np.any(lacking, axis=1)[fold_of]
    if received.arrival.samples.has_offset and np.any(short):
        fold = int(fold_of[short][0])
        label = received.targets.classes.tolist()[int(np.argmax(lacking[fold]))]
        raise ValueError(
            f"where fold {fold} is left out, there is no sample of class {label!r}, or none of weight: with an offset "
            "no model is made of the other classes; use fewer folds, or folds that share the classes evenly"
        )
    whole, found = np.flatnonzero(~short).tolist(), dict[int, Model]()
    if whole:
        found |= zip(whole, build_models(plan([options[model] for model in whole], fold_of[whole]), began), strict=True)
    for fold in np.unique(fold_of[short]).tolist():
        own = np.flatnonzero(fold_of == fold).tolist()
        chosen = [options[model] for model in own]
        found |= zip(own, _fit_present(received, weight(fold), lacking[fold], chosen, began), strict=True)
    return [found[model] for model in range(len(options))]


def _fit_present(
    received: Received, weight: np.ndarray, lacking: np.ndarray, options: list[Options], began: float
) -> list[Model]:
    """Fit the classes that have samples, and return models of all classes; ``lacking`` (K,) marks those without.

    If only one class has samples, its probability is 1 everywhere, and the reason is "one class".
    """
    arrival, targets, _ = received
    origin, n_x = arrival.origin, arrival.samples.n_x
    present = np.flatnonzero(~lacking)
    if len(present) == 1:
        models = [_constant(origin, n_x, targets.classes, int(present[0]), weight, began)] * len(options)
        if options[0].course is not None:
            options[0].course.passes_over(models)
    else:
        # with two classes, weights of +-w / 2 take the place of a sigmoid's w: the sum of squares is half
        share = 0.5 if len(present) == 2 else 1.0
        scaled = [
            dataclasses.replace(option, l2=share * option.l2, relax=option.relax and share * option.relax)
            for option in options
        ]
        few = Received(arrival, _restricted(targets, present), weight[None, :])
        found = build_models(Plan.of_one(few, scaled), began)
        models = [_of_all(origin, model, targets.classes, present) for model in found]
    return [dataclasses.replace(model, **asked_for(option)) for model, option in zip(models, options, strict=True)]


def _restricted(targets: Targets, present: np.ndarray) -> Targets:
    """Return the targets of the classes ``present``, by number. Other samples have no weight, so any target will do."""
    Y, classes = to_host(targets.Y), targets.classes[present]
    if targets.numbers:
        Y = np.minimum(np.searchsorted(present, Y), len(present) - 1)
        return Targets(Y, classes, len(present) > 2, True)
    return Targets(Y[present] if len(present) > 2 else Y[present[1:]], classes, False, targets.hard)


def _low(origin: Origin) -> float:
    """Bias of a class without samples, for a probability below eps."""
    return math.log(np.finfo(origin.dtype).eps) - 1.0


def _of_all(origin: Origin, model: Model, classes: np.ndarray, present: np.ndarray) -> Model:
    """Extend the model of some classes to all K classes, three or more."""

    def put(values: Array, absent: float) -> Array:
        """Extend values (k, n) of the classes present to all classes (K, n), where X came from."""
        found = to_host(values).astype(np.float64)
        full = np.full((len(classes), found.shape[1]), absent)
        full[present] = found if found.shape[0] > 1 else found * [[-0.5], [0.5]]
        return origin.home.put(full, origin.dtype_home)

    xp = origin.home.xp
    return dataclasses.replace(
        model,
        w=xp.matrix_transpose(put(xp.matrix_transpose(model.w), 0.0)),
        b=put(model.b, _low(origin)),
        centered_b=None if model.centered_b is None else put(model.centered_b, _low(origin)),
        classes=classes,
        loss="cross_entropy",
        covariance="classes have no sample",
    )


def _constant(origin: Origin, n_x: int, classes: np.ndarray, present: int, weight: np.ndarray, began: float) -> Model:
    """Make the model that gives one of the classes the probability 1, for samples with these weights (m,)."""
    K = len(classes)
    b = np.full((K, 1), _low(origin))
    b[present] = 0.0
    b = b if K > 2 else b[1:] - b[:1]
    zero = float(np.finfo(origin.dtype).eps)
    info = FitInfo(
        solver="auto",
        backend=origin.backend,
        device=origin.device,
        dtype=origin.dtype,
        fallback=origin.fallback,
        converged=False,
        reason="one class",
        iterations=0,
        passes=0.0,
        cost=zero,
        gradient_norm=zero,
        gap=zero,
        gap_known="separated",
        parameter_error=math.nan,
        rank=None,
        condition=math.nan,
        separation="",
        log_likelihood=0.0,
        null_log_likelihood=0.0,
        seconds=time.perf_counter() - began,
        n_samples=weight.shape[0],
        total_weight=float(np.sum(weight)),
    )
    return Model(
        w=origin.home.put(np.zeros((n_x, b.shape[0])), origin.dtype_home),
        b=origin.home.put(b, origin.dtype_home),
        classes=classes,
        samples=origin.samples,
        loss="cross_entropy" if K > 2 else "log_loss",
        costs=np.zeros(0),
        fit_info=info,
        covariance="classes have no sample",
        feature_names=origin.names,
        encoding=origin.encoding,
    )
