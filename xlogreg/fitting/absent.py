"""Classes of which a training part has no sample: the models of those that are there, which give them no probability.

Where a class has no sample, the cost has no minimum: the lower its bias, the better. In the limit its weights are zero
and its probability is, and the others are the model of their own samples. So that is fitted, and the bias of the class
set so low that its probability is rounding: below eps, whatever the scores, since those of the others sum to zero.
"""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

from xlogreg.arrays.place import Array, to_host
from xlogreg.exceptions import MissingClassWarning, warn
from xlogreg.fitting.fit_many import build_models
from xlogreg.fitting.plans import Plan
from xlogreg.inputs.labels import Targets
from xlogreg.inputs.options import Options
from xlogreg.model.model import Model
from xlogreg.model.reports import FitInfo
from xlogreg.samples.intake import Received, Setting

__all__ = ["fit_parts", "warn_of_lacking"]


def warn_of_lacking(argument: str, lacking: dict[int, np.ndarray], classes: np.ndarray) -> None:
    """Say once which classes (K,) have no sample in the training part of which fold.

    Raises
    ------
    ValueError
        Where no training part has two classes, or one has no sample.
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
    """Fit g models to the training parts of folds: together those of all classes, and fold by fold those of fewer.

    Parameters
    ----------
    received : Received
    options : list of Options
        Of each model.
    fold_of : ndarray (g,)
        The fold of each.
    lacking : ndarray (F, K)
        Which training part has no sample of which class.
    plan : callable
        From options and folds of some models to their plan.
    weight : callable
        From a fold to the weights (m,) of its training part.
    began : float
    """
    short = np.any(lacking, axis=1)[fold_of]
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
    """Models of all classes, fitted to those that have samples; lacking (K,) by the weight (m,).

    Where one class only has samples, it has the probability 1 everywhere, and the reason is "one class".
    """
    setting, targets, _ = received
    present = np.flatnonzero(~lacking)
    if len(present) == 1:
        return [_constant(setting, targets.classes, int(present[0]), began)] * len(options)
    if len(present) == 2:  # the weights of each class are half of a sigmoid's: their squares half of its penalty
        options = [dataclasses.replace(option, l2=0.5 * option.l2) for option in options]
    few = Received(setting, _restricted(targets, present), weight[None, :])
    models = build_models(Plan.of_one(few, options), began)
    return [_of_all(setting, model, targets.classes, present) for model in models]


def _restricted(targets: Targets, present: np.ndarray) -> Targets:
    """The targets of the classes that are present, by number; samples of the others have no weight, and any target."""
    Y, classes = to_host(targets.Y), targets.classes[present]
    if targets.numbers:
        Y = np.minimum(np.searchsorted(present, Y), len(present) - 1)
        return Targets(Y, classes, len(present) > 2, True)
    return Targets(Y[present] if len(present) > 2 else Y[present[1:]], classes, False, targets.hard)


def _low(setting: Setting) -> float:
    """The bias of a class that is absent."""
    return math.log(np.finfo(setting.dtype).eps) - 1.0


def _of_all(setting: Setting, model: Model, classes: np.ndarray, present: np.ndarray) -> Model:
    """The model of some of the classes as one of all K, three or more."""

    def put(values: Array, absent: float) -> Array:
        """Those of all classes (K, n), where X came from, of values (k, n)."""
        found = to_host(values).astype(np.float64)
        full = np.full((len(classes), found.shape[1]), absent)
        full[present] = found if found.shape[0] > 1 else found * [[-0.5], [0.5]]
        return setting.home.put(full, setting.dtype_home)

    xp = setting.home.xp
    return dataclasses.replace(
        model,
        w=xp.matrix_transpose(put(xp.matrix_transpose(model.w), 0.0)),
        b=put(model.b, _low(setting)),
        centered_b=None if model.centered_b is None else put(model.centered_b, _low(setting)),
        classes=classes,
        loss="cross_entropy",
        covariance="classes have no sample",
    )


def _constant(setting: Setting, classes: np.ndarray, present: int, began: float) -> Model:
    """The model that gives one of the classes the probability 1."""
    K, n_x = len(classes), setting.X.shape[1 if setting.samples == "rows" else 0]
    b = np.full((K, 1), _low(setting))
    b[present] = 0.0
    b = b if K > 2 else b[1:] - b[:1]
    backend, device = setting.computed_by
    zero = float(np.finfo(setting.dtype).eps)
    info = FitInfo(
        solver="auto",
        backend=backend,
        device=device,
        dtype=setting.dtype,
        fallback=setting.fallback,
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
    )
    return Model(
        w=setting.home.put(np.zeros((n_x, b.shape[0])), setting.dtype_home),
        b=setting.home.put(b, setting.dtype_home),
        classes=classes,
        samples=setting.samples,
        loss="cross_entropy" if K > 2 else "log_loss",
        costs=np.zeros(0),
        fit_info=info,
        covariance="classes have no sample",
        feature_names=setting.names,
    )
