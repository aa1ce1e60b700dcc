"""Models of folds, fitted together and scored on the samples that they left out."""

import dataclasses
import functools
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import HOST, Array, dtype_name, place_of, to_host
from xlogreg.exceptions import shown
from xlogreg.fitting.absent import fit_parts
from xlogreg.fitting.monitors import STOPPED
from xlogreg.fitting.moving import move_models
from xlogreg.fitting.plans import Plan
from xlogreg.inputs.encoding import Encoding
from xlogreg.inputs.labels import Targets
from xlogreg.inputs.matrices import as_array
from xlogreg.inputs.options import Options
from xlogreg.math.losses import LOSSES
from xlogreg.math.scores import clipped_terms, score_terms
from xlogreg.model.model import Model
from xlogreg.samples.intake import Arrival, Origin, Received, reordered
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.samples.threads import holds_threads

__all__ = ["LeftOut", "fit_left_out", "lacking_classes", "number_folds", "refilled", "split"]


class LeftOut(NamedTuple):
    """g models, each fitted without the samples of one fold."""

    models: list[Model]
    received: Received  # in the order of the folds
    order: np.ndarray  # (m,) numbers that the samples have in the user's order
    numbers: np.ndarray  # (m,) the fold of each sample
    fold_of: np.ndarray  # (g,) the fold that each model left out
    lacking: np.ndarray  # (g,) whether a model had no sample of some class

    @property
    def done(self) -> np.ndarray:
        """Which models (g,) nothing stopped."""
        return np.asarray([model.fit_info.reason not in STOPPED for model in self.models])

    def by_penalty(self, origin: Origin) -> tuple[tuple[Model, ...], ...]:
        """Return the models of each penalty (P, F), with their parameters where X came from."""
        models = move_models(self.models, origin.home, origin.dtype_home)
        penalties = len(models) // len(np.unique(self.fold_of))
        return tuple(tuple(models[number::penalties]) for number in range(penalties))

    def near(self, number: int) -> Model | None:
        """Return a model of some fold with the penalty of this number, or None if no such model began."""
        penalties = len(self.models) // len(np.unique(self.fold_of))
        begun = (model for model in self.models[number::penalties] if not np.isnan(model.fit_info.cost))
        return next(begun, None)

    def scores(self, weight: Array | None) -> dict[str, np.ndarray]:
        """Log loss and accuracy of each model (g,) on the fold that it left out, by weight (1, m): one pass."""
        weight = None if weight is None else reordered(weight, self.order)
        source = self.received._replace(weight=weight).samples
        center = next((model.center for model in self.models if model.center is not None), None)
        center = center if source.shifts else None
        source = source if center is None else source.centered(center)
        host = None if center is None else to_host(center)
        theta = np.stack([_theta(model, host) for model in move_models(self.models, HOST, "float64")], axis=1)
        sums = np.empty((3, len(self.models)))
        for models, terms in ((~self.lacking, score_terms), (self.lacking, clipped_terms)):
            if np.any(models):
                held = source.leaving_out(self.numbers, self.fold_of[models], held_out=True)
                sums[:, models] = held.sum(terms, theta[:, models], LOSSES[self.models[0].loss])
        losses, right, mass = sums
        with np.errstate(invalid="ignore"):
            unknown = np.where(np.isfinite(losses), 1.0, np.nan)
            return {"log_loss": losses / mass, "accuracy": unknown * right / mass}


@holds_threads
def fit_left_out(
    received: Received,
    options: list[Options],
    numbers: np.ndarray,
    fold_of: np.ndarray,
    lacking: np.ndarray,
    began: float,
    refill: Callable[[np.ndarray], Arrival] | None = None,
) -> LeftOut:
    """Fit g models, each without its fold ``fold_of`` (g,); ``numbers`` (m,) are the folds of the samples, from 0 on.

    ``lacking`` (F, K) says which classes have all their samples in one fold: see `xlogreg.fitting.absent`. Unless X is
    too large, the samples are copied into the order of the folds: samples that a model leaves out then cost nothing.

    ``refill`` gives the samples with missing values filled in by some of them: by the training part (m,) of a fold. The
    models that come back are for the samples as they were received.
    """
    encoding = received.arrival.origin.encoding
    if refill is not None and encoding is not None and encoding.fills:
        models = _of_own_fills(received, options, numbers, fold_of, lacking, began, refill)
        return LeftOut(models, received, np.arange(len(numbers)), numbers, fold_of, np.any(lacking[fold_of], axis=1))
    order = np.argsort(numbers, kind="stable")
    arranged = received.ordered(order)
    if arranged is None:
        arranged, order = received, np.arange(len(numbers))
    numbers = numbers[order]
    try:
        models = fit_parts(
            arranged,
            options,
            fold_of,
            lacking,
            lambda some, fold_of: Plan.of_one(arranged, some, numbers, fold_of.tolist()),
            lambda fold: _once(arranged.weight) * (numbers != fold),
            began,
        )
    except ValueError:
        refuse_nonfinite(received.samples)  # its message counts the samples in the user's order
        raise
    return LeftOut(models, arranged, order, numbers, fold_of, np.any(lacking[fold_of], axis=1))


def _once(weight: Array | None) -> Any:
    """Weights (m,) of the samples on the host; 1.0 if there are none."""
    return 1.0 if weight is None else to_host(weight)[0].astype(np.float64)


def _of_own_fills(
    received: Received,
    options: list[Options],
    numbers: np.ndarray,
    fold_of: np.ndarray,
    lacking: np.ndarray,
    began: float,
    refill: Callable[[np.ndarray], Arrival],
) -> list[Model]:
    """Fit the models fold by fold, each to samples that its own training part filled in."""
    found: dict[int, Model] = {}
    encoding = received.arrival.origin.encoding
    assert encoding is not None
    for fold in np.unique(fold_of).tolist():
        own = np.flatnonzero(fold_of == fold)
        fit = functools.partial(
            fit_left_out,
            options=[options[model] for model in own],
            numbers=numbers,
            fold_of=fold_of[own],
            lacking=lacking,
            began=began,
        )
        models = received.refilled(refill(numbers != fold)).within_memory(fit).models
        found |= zip(own.tolist(), [refilled(model, encoding) for model in models], strict=True)
    return [found[model] for model in range(len(options))]


def refilled(model: Model, encoding: Encoding) -> Model:
    """Return a model with the same predictions that fills in missing numbers as ``encoding`` does.

    The weight of the indicator of missing values makes up for the difference.
    """
    assert model.encoding is not None
    own, place, dtype = model.encoding.fills, place_of(model.w), dtype_name(model.w)
    w = to_host(model.w).astype(np.float64)
    moved = np.zeros_like(w)
    for row, (number, fill) in encoding.fills.items():
        moved[row] = (own[row][1] - fill) * w[number]
    changed: dict[str, Any] = {"w": place.put(w + moved, dtype), "encoding": encoding}
    if model.center is not None:
        b = to_host(model.centered_b) + moved.T @ to_host(model.center)
        changed["centered_b"] = place.put(b, dtype)
    return dataclasses.replace(model, **changed, covariance="missing values were filled in anew")


def _theta(model: Model, center: np.ndarray | None) -> np.ndarray:
    """Return the parameters (n_x + 1, k) of a model on the host for X - center, in float64."""
    b = model.b if model.center is None or center is None else model.centered_b
    w, b = (np.asarray(part, dtype=np.float64) for part in (model.w, b))
    if center is not None:
        b = b + w.T @ (center - (0.0 if model.center is None else model.center))
    return np.concatenate([w, b.T])


def split(labels: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Choose at random the samples to train on and to test with, by number: the same share of each class."""
    test = []
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        test.append(own[: min(round(share * len(own)), len(own) - 1)])  # at least one is left to train on
    chosen = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def number_folds(folds: Any, groups: Any, targets: Targets, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the fold of each sample (m,), from 0 on, and the folds that are held out (F,).

    Parameters
    ----------
    folds : int, or array (m,)
        The number of folds, or the folds themselves: any labels; samples of a negative fold are never held out.
    groups : array (m,), or None
        Samples of one group stay in one fold.
    targets : Targets
        Their classes are spread evenly over the folds.
    rng : numpy.random.Generator
    """
    m = targets.Y.shape[1]
    if not isinstance(folds, numbers.Integral) or isinstance(folds, bool):
        if groups is not None:
            raise ValueError("groups says how to make folds; it cannot be given with the folds themselves")
        return _given(folds, m)
    count = int(folds)
    if not 2 <= count <= m:
        raise ValueError(
            f"folds must be from 2 to the number of samples, {m}, or the fold of each sample; not {shown(folds)}"
        )
    found = _stratified(count, targets, rng) if groups is None else _grouped(count, _column("groups", groups, m), rng)
    return found, np.arange(count)


def lacking_classes(targets: Targets, weight: Array | None, numbers: np.ndarray) -> np.ndarray:
    """Return which classes (F, K) have no sample of weight (1, m) outside of a fold; ``numbers`` (m,) are the folds."""
    once = np.ones(len(numbers)) if weight is None else to_host(weight)[0].astype(np.float64)
    K, folds, Y = len(targets.classes), int(numbers.max()) + 1, to_host(targets.Y)
    if targets.numbers:
        masses = np.bincount(numbers * K + Y[0], once, folds * K).reshape(folds, K)
    else:
        rows = Y if K > 2 else (1.0 - Y[0], Y[0])
        masses = np.stack([np.bincount(numbers, once * row, folds) for row in rows], axis=1)
    return np.sum(masses > 0, axis=0) == (masses > 0)


def _given(folds: Any, m: int) -> tuple[np.ndarray, np.ndarray]:
    labels, found = np.unique(_column("folds", folds, m), return_inverse=True)
    held = np.ones(len(labels), dtype=bool) if labels.dtype.kind in "US" else labels >= 0
    if not np.any(held) or len(labels) < 2:
        raise ValueError("folds must hold two folds or more; a fold that is to be held out has a number of 0 or more")
    places = np.argsort(np.argsort(~held, kind="stable"))  # those that are held out come first, as in the scores
    return places[found], np.arange(int(np.sum(held)))


def _stratified(count: int, targets: Targets, rng: np.random.Generator) -> np.ndarray:
    """Make folds that each have their share of every class, and of all samples."""
    m = targets.Y.shape[1]
    order = rng.permutation(m)
    if targets.hard and targets.Y.shape[0] == 1:
        order = order[np.argsort(to_host(targets.Y)[0, order], kind="stable")]
    found = np.empty(m, dtype=np.int64)
    found[order] = np.arange(m) % count
    return found


def _grouped(count: int, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put each group, the largest first, into the fold that is the smallest so far."""
    labels, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(labels) < count:
        raise ValueError(f"groups holds {len(labels)} groups, too few for folds={count}")
    order = rng.permutation(len(labels))
    filled, fold_of = np.zeros(count), np.empty(len(labels), dtype=np.int64)
    for group in order[np.argsort(-sizes[order], kind="stable")].tolist():
        fold_of[group] = np.argmin(filled)
        filled[fold_of[group]] += sizes[group]
    return fold_of[group_of]


def _column(name: str, values: Any, m: int) -> np.ndarray:
    values = np.ravel(to_host(as_array(values, name, text=True)))
    if values.shape != (m,) or values.dtype.kind not in "biuUS":
        raise ValueError(
            f"{name} must hold a whole number or a string for each of the {m} samples; got {values.dtype} of the shape "
            f"{values.shape}"
        )
    return values
