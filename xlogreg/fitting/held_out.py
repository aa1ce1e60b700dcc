"""The models of folds: fitted together, and scored on the samples that they left out."""

import math
from typing import NamedTuple

import numpy as np

from xlogreg.arrays.place import Array, to_host
from xlogreg.arrays.stored import Stored
from xlogreg.fitting.absent import fit_parts
from xlogreg.fitting.plans import Plan
from xlogreg.inputs.options import Options
from xlogreg.math.losses import LOSSES
from xlogreg.math.scores import clipped_terms, score_terms
from xlogreg.model.model import Model
from xlogreg.samples.cluster.distributed import Parts
from xlogreg.samples.folds import split_folds
from xlogreg.samples.intake import Received, gather, reorder, reordered
from xlogreg.samples.nonfinite import refuse_nonfinite

__all__ = ["LeftOut", "fit_left_out"]

GATHERED_BYTES = 2**31  # of X that is copied into the order of its folds


class LeftOut(NamedTuple):
    """g models of which each left out a fold."""

    models: list[Model]
    received: Received  # in the order of the folds
    order: np.ndarray  # (m,) of the samples there
    numbers: np.ndarray  # (m,) the fold of each
    fold_of: np.ndarray  # (g,)
    lacking: np.ndarray  # (g,) which of them had no sample of some class

    def scores(self, weight: Array | None) -> dict[str, np.ndarray]:
        """Log loss and accuracy of each model (g,) on the fold that it left out, by weight (1, m): one pass."""
        source = gather(*self.received._replace(weight=None if weight is None else reordered(weight, self.order)))
        center = next((model.center for model in self.models if model.center is not None), None)
        source = source if center is None else source.centered(center)
        theta = np.stack([_theta(model, center) for model in self.models], axis=1)
        sums = np.empty((3, len(self.models)))
        for models, terms in ((~self.lacking, score_terms), (self.lacking, clipped_terms)):
            if np.any(models):
                held = split_folds(source, self.numbers, self.fold_of[models], held_out=True)
                sums[:, models] = held.sum(terms, theta[:, models], LOSSES[self.models[0].loss])
        losses, right, mass = sums
        with np.errstate(invalid="ignore"):
            unknown = np.where(np.isfinite(losses), 1.0, np.nan)
            return {"log_loss": losses / mass, "accuracy": unknown * right / mass}


def fit_left_out(
    received: Received,
    options: list[Options],
    numbers: np.ndarray,
    fold_of: np.ndarray,
    lacking: np.ndarray,
    began: float,
) -> LeftOut:
    """Fit g models, each without the samples of the fold ``fold_of`` (g,) of ``numbers`` (m,), from 0 on.

    ``lacking`` (F, K) says which classes have no other samples than those of a fold: see `xlogreg.fitting.absent`.
    The samples are copied into the order of the folds, up to a size: then what a model leaves out costs nothing.
    """
    arranged, order = received, np.arange(len(numbers))
    X = received.setting.X
    if not isinstance(X, (Stored, Parts)) and math.prod(X.shape) * 8 <= GATHERED_BYTES:
        order = np.argsort(numbers, kind="stable")
        arranged, numbers = reorder(received, order), numbers[order]
    try:
        once = 1.0 if arranged.weight is None else to_host(arranged.weight)[0].astype(np.float64)
        models = fit_parts(
            arranged,
            options,
            fold_of,
            lacking,
            lambda some, fold_of: Plan.of_one(arranged, some, numbers, fold_of.tolist()),
            lambda fold: once * (numbers != fold),
            began,
        )
    except ValueError:
        refuse_nonfinite(gather(*received))  # says where, in the order of the user
        raise
    return LeftOut(models, arranged, order, numbers, fold_of, np.any(lacking[fold_of], axis=1))


def _theta(model: Model, center: Array | None) -> np.ndarray:
    """The parameters (n_x + 1, k) for X - center, in float64."""
    own = (model.w, model.b) if model.center is None else (model.w, model.centered_b)
    w, b = (to_host(part).astype(np.float64) for part in own)
    if center is not None:
        b = b + w.T @ (to_host(center) - (0.0 if model.center is None else to_host(model.center)))
    return np.concatenate([w, b.T])
