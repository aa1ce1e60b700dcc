"""Samples of models that each leave out one part, the folds of a cross-validation, as a `Source`.

Folds are stored as a number for each sample, not as a row of weights for each model. So nothing is computed for the
samples that a model leaves out. Folds that lie one after the other are used in place. The samples of other folds are
fetched block by block in each pass.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.arrays.place import Place
from xlogreg.samples.cluster.distributed import Distributed
from xlogreg.samples.memory import InMemory

__all__ = ["Folds", "split_folds", "without_fold"]


@dataclass(frozen=True)
class Folds:
    """Samples of g models, each of which leaves out one fold or none.

    Attributes
    ----------
    whole : InMemory
        All samples, not split into folds.
    numbers : ndarray (m,)
        The fold of each sample.
    parts : tuple of InMemory
        The samples of each fold.
    fold_of : ndarray (g,)
        The fold that each model leaves out; -1 for none.
    total_weight : float or ndarray (g,)
        Weight of all samples, or of those that each model keeps.
    held_out : bool
        Whether sums are over the samples that the models leave out, not over those that they keep.
    """

    whole: InMemory
    numbers: np.ndarray
    parts: tuple[InMemory, ...]
    fold_of: np.ndarray
    total_weight: float | np.ndarray
    held_out: bool = False

    @property
    def n_x(self) -> int:
        return self.whole.n_x

    @property
    def m(self) -> int:
        return self.whole.m

    @property
    def place(self) -> Place:
        return self.whole.place

    @property
    def dtype(self) -> str:
        return self.whole.dtype

    def keep(self, models: np.ndarray) -> "Folds":
        """Return these folds for some of the models only, by number."""
        total = self.total_weight if isinstance(self.total_weight, float) else self.total_weight[models]
        return dataclasses.replace(self, fold_of=self.fold_of[models], total_weight=total)

    def uncentered(self) -> "Folds":
        """Return these folds without a centre, as X itself."""
        return dataclasses.replace(self, parts=tuple(part.uncentered() for part in self.parts))

    def widened(self) -> "Folds":
        """Return these folds, computed in the widest float of the place."""
        parts = tuple(part.widened() for part in self.parts)
        return dataclasses.replace(self, whole=self.whole.widened(), parts=parts)

    def narrowed(self) -> "Folds":
        """Return these folds, computed in float32."""
        whole = dataclasses.replace(self.whole, dtype="float32")
        return dataclasses.replace(self, whole=whole, parts=tuple(part.narrowed() for part in self.parts))

    def shares(self) -> np.ndarray:
        """Share of each class (K,) in all samples, by weight; of both classes if there are two."""
        return self.whole.shares()

    def alone(self, model: int) -> InMemory:
        """All samples, with the weights of one of the models."""
        found = without_fold(self.whole, self.numbers, int(self.fold_of[model]))
        assert isinstance(found, InMemory)
        return found

    def sum(self, function: Callable[..., tuple[np.ndarray, ...]], *arguments: Any) -> tuple[np.ndarray, ...]:
        """Sum over the samples of each model in one pass, see `Source.sum`; theta is on the host.

        Each part is computed only for the models that use it. A theta of one model stands for all models: then the sum
        of a model is the sum of all parts, less the part that the model leaves out.
        """
        theta, *others = arguments
        if theta.shape[1] == 1 < self.fold_of.size:
            each = [part.sum(function, theta, *others) for part in self.parts]
            terms = [np.concatenate(term, axis=_axis(term[0])) for term in zip(*each, strict=True)]
            return tuple(self._spread(term) for term in terms)
        sums: list[np.ndarray] = []
        for fold, part in enumerate(self.parts):
            models = np.flatnonzero((self.fold_of == fold) == self.held_out)
            if models.size == 0:
                continue
            found = part.sum(function, theta[:, models, :], *others)
            if not sums:
                sums = [np.zeros(_shape(term, self.fold_of.size), term.dtype) for term in found]
            for total, term in zip(sums, found, strict=True):
                np.moveaxis(total, _axis(term), 0)[models] += np.moveaxis(term, _axis(term), 0)
        return tuple(sums)

    def _spread(self, term: np.ndarray) -> np.ndarray:
        """Turn the sums of each part into the sums of each model."""
        axis = _axis(term)
        none = np.zeros_like(np.take(term, [0], axis))
        own = np.take(np.concatenate([term, none], axis), self.fold_of, axis)  # -1 takes the zeros
        return own if self.held_out else np.sum(term, axis, keepdims=True) - own


def split_folds(
    source: InMemory | Distributed, numbers: np.ndarray, fold_of: np.ndarray, *, held_out: bool = False
) -> Folds | InMemory | Distributed:
    """Split the samples for g models, each of which leaves out a fold.

    ``numbers`` (m,) holds the fold of each sample, from 0 on; ``fold_of`` (g,) the fold that each model leaves out, -1
    for none.
    """
    if isinstance(source, Distributed):
        return _masked(source, numbers, fold_of, held_out)
    if source.is_read:
        own = fold_weights(source, numbers, fold_of, held_out)
        return dataclasses.replace(source, **own, total_weight=math.nan)
    stops = np.cumsum(np.bincount(numbers)).tolist()
    if np.all(numbers[1:] >= numbers[:-1]):
        parts = [_slice(source, start, stop) for start, stop in itertools.pairwise([0, *stops])]
    else:
        parts = [
            source.take(source.place.put(np.flatnonzero(numbers == fold)), gathered=0) for fold in range(len(stops))
        ]
    return Folds(source, numbers, tuple(parts), fold_of, source.total_weight, held_out)


def _masked(source: Distributed, numbers: np.ndarray, fold_of: np.ndarray, held_out: bool) -> Distributed:
    small = numbers.astype(np.min_scalar_type(int(numbers.max())))
    return source.with_columns(fold_weights, {"numbers": small}, fold_of=fold_of, held_out=held_out)


def fold_weights(source: InMemory, numbers: np.ndarray, fold_of: np.ndarray, held_out: bool) -> dict[str, Any]:
    """Fields of `InMemory` with a weight of zero for the samples that each model leaves out, or keeps if ``held_out``.

    If X is read block by block, one reading has to serve all folds.
    """
    used, weight_of = np.unique(fold_of, return_inverse=True)
    place = source.place
    with place.computing():
        weight = place.put(((numbers == used[:, None]) == held_out).astype(np.uint8)[:, None, :])
        if source.weight is not None:
            weight = source.weight * place.xp.astype(weight, source.weight.dtype)
    return {"weight": weight, "weight_of": weight_of}


def _slice(source: InMemory, start: int, stop: int) -> InMemory:
    weight = None if source.weight is None else source.weight[:, start:stop]
    return dataclasses.replace(
        source, X=source.raw(start, stop), Y=source.Y[:, start:stop], weight=weight, rows=False, total_weight=math.nan
    )


def without_fold(source: InMemory | Distributed, numbers: np.ndarray, fold: int) -> InMemory | Distributed:
    """Set the weight of the samples in one fold to zero; -1 changes nothing."""
    if fold < 0:
        return source
    if isinstance(source, Distributed):
        masked = _masked(source, numbers, np.asarray([fold]), held_out=False).alone(0)
        return dataclasses.replace(masked, total_weight=masked.mass.total)
    kept = source.place.put((numbers != fold)[None, :], source.dtype)
    with source.place.computing():
        weight = kept if source.weight is None else source.weight * kept
        widest = source.place.dtype(source.place.widest)
        return dataclasses.replace(source, weight=weight, total_weight=float(source.place.xp.sum(weight, dtype=widest)))


def _axis(term: np.ndarray) -> int:
    """Axis of the models: sums are (g, ...), gradients (n_x + 1, g, k)."""
    return 1 if term.ndim == 3 else 0


def _shape(term: np.ndarray, g: int) -> tuple[int, ...]:
    axis = _axis(term)
    return (*term.shape[:axis], g, *term.shape[axis + 1 :])
