"""Samples of models that each leave out one part, the folds of a cross-validation, as a `Source`.

Folds are stored as a number for each sample, not as a row of weights for each model. So nothing is computed for the
samples that a model leaves out. Folds that lie one after the other are used in place. The samples of other folds are
fetched block by block in each pass.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from xlogreg.arrays.place import HOST, Array, Place
from xlogreg.samples.source import Samples

__all__ = ["Folds", "fold_weights", "weights_without"]

SCORES_SHARE = 2  # the scores of a few models take half of the memory of X at most


class Part(Samples, Protocol):
    """Samples of one fold, in memory."""

    def sums(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """Compute the sums of `sum`, and leave them on the place that computes."""
        ...


@dataclass(frozen=True)
class Folds:
    """Samples of g models, each of which leaves out one fold or none.

    Attributes
    ----------
    whole : Samples
        All samples, not split into folds.
    numbers : ndarray (m,)
        The fold of each sample.
    parts : tuple of Part
        The samples of each fold.
    fold_of : ndarray (g,)
        The fold that each model leaves out; -1 for none.
    total_weight : float or ndarray (g,)
        Weight of all samples, or of those that each model keeps.
    held_out : bool
        Whether sums are over the samples that the models leave out, not over those that they keep.
    dtype : str
        The computing dtype.
    """

    whole: Samples
    numbers: np.ndarray
    parts: tuple[Part, ...]
    fold_of: np.ndarray
    total_weight: float | np.ndarray
    held_out: bool
    dtype: str

    @property
    def n_x(self) -> int:
        return self.whole.n_x

    @property
    def dense(self) -> bool:
        return self.whole.dense

    @property
    def shifts(self) -> bool:
        return self.whole.shifts

    @property
    def has_offset(self) -> bool:
        return self.whole.has_offset

    @property
    def m(self) -> int:
        return self.whole.m

    @property
    def place(self) -> Place:
        return self.whole.place

    def keep(self, models: np.ndarray) -> "Folds":
        """Return these folds for some of the models only, by number."""
        total = self.total_weight if isinstance(self.total_weight, float) else self.total_weight[models]
        return dataclasses.replace(self, fold_of=self.fold_of[models], total_weight=total)

    def bare(self) -> "Folds":
        """Return these folds without their features."""
        return dataclasses.replace(self, whole=self.whole.bare(), parts=tuple(part.bare() for part in self.parts))

    def uncentered(self) -> "Folds":
        """Return these folds without a centre, as X itself."""
        return self._uncentered

    @functools.cached_property
    def _uncentered(self) -> "Folds":
        parts = tuple(part.uncentered() for part in self.parts)
        return dataclasses.replace(self, whole=self.whole.uncentered(), parts=parts)

    def widened(self) -> "Folds":
        """Return these folds, computed in the widest float of the place."""
        parts = tuple(part.widened() for part in self.parts)
        return dataclasses.replace(self, whole=self.whole.widened(), parts=parts, dtype=self.place.widest)

    def narrowed(self) -> "Folds":
        """Return these folds, computed in float32."""
        return dataclasses.replace(self, dtype="float32", parts=tuple(part.narrowed() for part in self.parts))

    def shares(self) -> np.ndarray:
        """Share of each class (K,) in all samples, by weight; of both classes if there are two."""
        return self.whole.shares()

    def alone(self, model: int) -> Samples:
        """All samples, with the weights of one of the models."""
        fold = int(self.fold_of[model])
        if fold not in self._last:  # models of one fold come one after the other, and the weights of one are kept
            self._last.clear()
            self._last[fold] = self.whole.without_fold(self.numbers, fold)
        return self._last[fold]

    @functools.cached_property
    def _last(self) -> dict[int, Samples]:
        return {}

    def weighing(self, totals: np.ndarray) -> "Folds":
        """Return these folds with the sums of the weights (g,) of each model."""
        return dataclasses.replace(self, total_weight=totals)

    def sum(self, function: Callable[..., tuple[np.ndarray, ...]], *arguments: Any) -> tuple[np.ndarray, ...]:
        """Sum over the samples of each model in one pass, see `Source.sum`; theta is on the host.

        Each part is computed only for the models that use it. A theta of one model stands for all models: then the sum
        of a model is the sum of all parts, less the part that the model leaves out.
        """
        theta, *others = arguments
        if self._wants_weights and SCORES_SHARE * theta[0].size <= self.n_x and theta.shape[1] == self.fold_of.size:
            return self._weighted.sum(function, *arguments)
        if theta.shape[1] == 1 < self.fold_of.size:
            each = self._sums(function, self.parts, [theta] * len(self.parts), *others)
            terms = [np.concatenate(term, axis=_axis(term[0])) for term in zip(*each, strict=True)]
            return tuple(self._spread(term) for term in terms)
        users = [np.flatnonzero((self.fold_of == fold) == self.held_out) for fold in range(len(self.parts))]
        parts = [part for part, models in zip(self.parts, users, strict=True) if models.size]
        users = [models for models in users if models.size]
        each = self._sums(function, parts, [theta[:, models, :] for models in users], *others)
        sums = tuple(np.zeros(_shape(term, self.fold_of.size), term.dtype) for term in each[0])
        for models, found in zip(users, each, strict=True):
            for total, term in zip(sums, found, strict=True):
                at: tuple[Any, ...] = (slice(None),) * _axis(term) + (models,)
                total[at] += term
        return sums

    def _sums(
        self, function: Callable[..., Any], parts: Sequence[Part], thetas: list[np.ndarray], *others: Any
    ) -> list[tuple[np.ndarray, ...]]:
        """Sum over each part at its own theta. On a device, all parts take one transfer there and one back."""
        sent = self.place.bring(tuple(thetas))
        found = [part.sums(function, theta, *others) for part, theta in zip(parts, sent, strict=True)]
        home = iter(HOST.bring(tuple(itertools.chain(*found))))
        return [tuple(itertools.islice(home, len(sums))) for sums in found]

    @property
    def _wants_weights(self) -> bool:
        """Whether calls cost more here than sums over the samples that models leave out."""
        return not (self.place.small_blocks or self.held_out) and self.whole.dtype == self.dtype

    @functools.cached_property
    def _weighted(self) -> Samples:
        """All samples, with a weight of zero for those that each model leaves out."""
        whole: Any = self.whole
        weighted: Samples = dataclasses.replace(whole, **fold_weights(whole, self.numbers, self.fold_of, False))
        return weighted

    def _spread(self, term: np.ndarray) -> np.ndarray:
        """Turn the sums of each part into the sums of each model."""
        axis = _axis(term)
        none = np.zeros_like(np.take(term, [0], axis))
        own = np.take(np.concatenate([term, none], axis), self.fold_of, axis)  # -1 takes the zeros
        return own if self.held_out else np.sum(term, axis, keepdims=True) - own


def fold_weights(source: Any, numbers: np.ndarray, fold_of: np.ndarray, held_out: bool) -> dict[str, Any]:
    """Fields of `InMemory` with a weight of zero for the samples that each model leaves out, or keeps if ``held_out``.

    If X is read block by block, one reading has to serve all folds.
    """
    used, weight_of = np.unique(fold_of, return_inverse=True)
    place, known = source.place, source.columns.weight
    with place.computing():
        weight = place.put(((numbers == used[:, None]) == held_out).astype(np.uint8)[:, None, :])
        if known is not None:
            weight = known * place.xp.astype(weight, known.dtype)
    return {"columns": source.columns._replace(weight=weight), "weight_of": weight_of}


def lie_in_order(of: np.ndarray, values: Array) -> bool:
    """Whether each model has the row of its own number in the values (t, ...), and no row is left."""
    return np.array_equal(of, np.arange(values.shape[0]))


def weights_without(source: Any, kept: np.ndarray) -> dict[str, Any]:
    """Fields of `InMemory` with a weight of zero for the samples that are not ``kept`` (m,)."""
    place, known = source.place, source.columns.weight
    weight = place.put(kept[None, :], source.dtype)
    if known is None:
        return {"columns": source.columns._replace(weight=weight), "total_weight": float(np.count_nonzero(kept))}
    with place.computing():
        weight = known * weight
        total = float(place.xp.sum(weight, dtype=place.dtype(place.widest)))
    return {"columns": source.columns._replace(weight=weight), "total_weight": total}


def _axis(term: np.ndarray) -> int:
    """Axis of the models: sums are (g, ...), gradients (n_x + 1, g, k)."""
    return 1 if term.ndim == 3 else 0


def _shape(term: np.ndarray, g: int) -> tuple[int, ...]:
    axis = _axis(term)
    return (*term.shape[:axis], g, *term.shape[axis + 1 :])
