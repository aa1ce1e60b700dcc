"""Samples in memory, in blocks: what a block holds, how large it is, and where it is computed."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from xlogreg.arrays.matrix import Dense, Matrix, Range, apart
from xlogreg.arrays.place import HOST, Array, Place, dtype_name, is_array, place_of, to_host
from xlogreg.inputs.labels import Targets, erased_class, total_of
from xlogreg.math.leverages import GRAMS, TEMPORARIES
from xlogreg.math.sums import Block
from xlogreg.samples import blocks
from xlogreg.samples.folds import Folds, fold_weights, lie_in_order, weights_without
from xlogreg.samples.nonfinite import find_flaws
from xlogreg.samples.shares import class_shares
from xlogreg.samples.source import Columns, draw_subsets
from xlogreg.samples.threads import map_blocks, tree_sum, workers_for

__all__ = ["InMemory"]

GATHERED_BYTES = 16 * 2**20  # largest subset that is copied out of X once, not in every pass over it
READ_BYTES = 256 * 2**20  # the same for an X that is read, unless the host reads array files, which the system caches
ORDERED_BYTES = 2**31  # largest X, in float64, that is copied into another order
NARROWED_BYTES = 256 * 2**20  # largest X in float32 that is converted once, not in every pass

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class InMemory:
    """Samples of one process, on the place that computes.

    Attributes
    ----------
    X : Matrix
    columns : Columns
        Targets, weights and whatever else belongs to the samples.
    place, dtype : Place, str
        The place and the dtype that the blocks are computed in.
    total_weight : float, or ndarray (g,) of the models
        Sum of the weights; m without weights.
    n_classes : int or None
        Number of classes that the class numbers in Y stand for; they become one-hot columns by block. None if Y holds
        probabilities.
    center : array (n_x, 1), or None
        Subtracted from every block of X before anything is computed with it.
    target_of, weight_of : ndarray (g,), or None
        Numbers of the targets and of the weights that belong to each of g models, if there are several.
    index : array (m,), or None
        Numbers of the samples in X; they are fetched block by block. The columns hold these samples only.
    room : float
        Bytes that are free on a device, beside X; infinite on the host, and where it is not known.
    """

    X: Matrix
    columns: Columns
    place: Place
    dtype: str
    total_weight: float | np.ndarray
    n_classes: int | None = None
    center: Array | None = None
    block_bytes: int | None = None
    index: Array | None = None
    target_of: np.ndarray | None = None
    weight_of: np.ndarray | None = None
    room: float = math.inf
    is_here = True

    @property
    def n_x(self) -> int:
        return self.X.n_x

    @property
    def m(self) -> int:
        return self.X.m if self.index is None else self.index.shape[0]

    @property
    def is_read(self) -> bool:
        return self.X.is_read

    @property
    def dense(self) -> bool:
        return self.X.dense

    @property
    def shifts(self) -> bool:
        return self.X.shifts

    @property
    def has_offset(self) -> bool:
        return self.columns.offset is not None

    @property
    def ties(self) -> Sequence[np.ndarray]:
        return self.X.ties

    @property
    def has_features(self) -> bool:
        return self.X.dense and not self.X.sequential

    @functools.cached_property
    def widths(self) -> tuple[float, float]:
        """Numbers of a sample that a pass holds at a time, and one that makes products of features."""
        return self.X.width(self.place, False), self.X.width(self.place, True)

    def __sizeof__(self) -> int:
        """Bytes of the arrays. By this size dask decides what to move between workers, and what to write to disk."""
        sizes = (
            math.prod(part.shape) * getattr(part.dtype, "itemsize", 8) for part in self.columns if part is not None
        )
        return self.X.nbytes + sum(sizes)

    @property
    def converts(self) -> bool:
        """Whether blocks of X are read or converted, not just parts of it."""
        return self.center is not None or not self.X.is_ready(self.place, self.dtype)

    @functools.cached_property
    def exact(self) -> bool:
        """Whether X holds integers so large that they have to be centred before rounding to floats makes them equal."""
        wide = self.center is not None and dtype_name(self.X).endswith(("int32", "int64"))
        return wide and bool(np.max(np.abs(to_host(self.center))) * np.finfo(self.dtype).eps >= 1.0)

    def centered(self, center: Array) -> "InMemory":
        """Return these samples with X - center in place of X, if a centre can be subtracted from its blocks."""
        return dataclasses.replace(self, center=self.place.put(center, self.dtype)) if self.shifts else self

    def uncentered(self) -> "InMemory":
        """Return these samples without a centre, as X itself."""
        return self if self.center is None else self._uncentered

    @functools.cached_property
    def _uncentered(self) -> "InMemory":
        return dataclasses.replace(self, center=None)  # made once, so that its cached properties are kept

    def bare(self) -> "InMemory":
        """Return these samples without their features: the offset stands in for X."""
        return dataclasses.replace(self, X=Dense(self.columns.offset), center=None, index=None)

    def keep(self, models: np.ndarray) -> "InMemory":
        """Return these samples for some of the models only, by number."""
        total = self.total_weight if isinstance(self.total_weight, float) else self.total_weight[models]
        owned = {name: getattr(self, name) for name in ("target_of", "weight_of")}
        chosen = {name: numbers[models] for name, numbers in owned.items() if numbers is not None}
        return dataclasses.replace(self, total_weight=total, **chosen)

    def alone(self, model: int) -> "InMemory":
        """Return these samples with the targets and weights of one of the models."""
        chosen, columns = self.keep(np.asarray([model])), self.columns
        if chosen.target_of is not None and columns.Y is not None:
            columns = columns._replace(Y=columns.Y[int(chosen.target_of[0]), :, :])
        if chosen.weight_of is not None and columns.weight is not None:
            columns = columns._replace(weight=columns.weight[int(chosen.weight_of[0]), :, :])
        total = float(np.ravel(chosen.total_weight)[0])
        return dataclasses.replace(self, columns=columns, total_weight=total, target_of=None, weight_of=None)

    def weighing(self, totals: np.ndarray) -> "InMemory":
        """Return these samples with the sums of the weights (g,) of each model."""
        return dataclasses.replace(self, total_weight=totals)

    def holding(self, targets: Targets, weight: Array | None) -> "InMemory":
        """Return these samples with the targets and weights (1, m) of one model."""
        # rounding of probabilities would change the cost
        dtype = "int32" if targets.numbers else self.dtype if targets.hard else self.place.widest
        Y = self.place.put(targets.Y, dtype)
        with self.place.computing():
            weight = None if weight is None else self.place.put(weight, self.dtype)
        n_classes = len(targets.classes) if targets.numbers else None
        columns, total = self.columns._replace(Y=Y, weight=weight), total_of(weight, self.m)
        return dataclasses.replace(self, columns=columns, total_weight=total, n_classes=n_classes)

    def sharing(self, columns: Columns, target_of: np.ndarray | None, weight_of: np.ndarray | None) -> "InMemory":
        """Return these samples with targets (t, k, m) and weights (t, 1, m) of models, see `Samples.sharing`."""
        columns = Columns(*(a if b is None else b for a, b in zip(self.columns, columns.put(self.place), strict=True)))
        return dataclasses.replace(self, columns=columns, target_of=target_of, weight_of=weight_of)

    def like(self, model: "InMemory") -> "InMemory":
        """Return these samples with the targets and weights of ``model``, samples of one model of the same X."""
        columns, total = model.columns.put(self.place), model.total_weight
        return dataclasses.replace(self, columns=columns, total_weight=total, n_classes=model.n_classes)

    def leaving_out(self, numbers: np.ndarray, fold_of: np.ndarray, held_out: bool = False) -> "Folds | InMemory":
        """Return these samples for g models, each of which leaves out a fold; see `Samples.leaving_out`."""
        if self.is_read:
            own = fold_weights(self, numbers, fold_of, held_out)
            return dataclasses.replace(self, **own, total_weight=math.nan)
        stops = np.cumsum(np.bincount(numbers)).tolist()
        if np.all(numbers[1:] >= numbers[:-1]) and self.index is None:
            copies = self.place.is_device and self._has_room(8, math.inf)  # of slices, or each product copies them
            cuts = [(self.X.between(*span), self.columns.cut(*span)) for span in zip([0, *stops], stops, strict=False)]
            cuts = [(apart(X, self.place) if copies else X, columns) for X, columns in cuts]
            parts = [dataclasses.replace(self, X=X, columns=columns, total_weight=math.nan) for X, columns in cuts]
        else:
            each = (np.flatnonzero(numbers == fold) for fold in range(len(stops)))
            gathered = 0 if self.dense else NARROWED_BYTES  # a block of rows that are no array takes long to fetch
            parts = [self.take(self.place.put(index), gathered) for index in each]
        return Folds(self, numbers, tuple(parts), fold_of, self.total_weight, held_out, self.dtype)

    def without_fold(self, numbers: np.ndarray, fold: int) -> "InMemory":
        """Return these samples with a weight of zero for those in a fold; -1 changes nothing."""
        return self if fold < 0 else dataclasses.replace(self, **weights_without(self, numbers != fold))

    def grouping(self, numbers: np.ndarray) -> "InMemory":
        return dataclasses.replace(self, columns=self.columns._replace(group=self.place.put(numbers[None, :])))

    def widened(self) -> "InMemory":
        """Return these samples, computed in the widest float of the place."""
        return dataclasses.replace(self, dtype=self.place.widest)  # each block gets its weights in it, too

    @property
    def drawable(self) -> np.ndarray | None:
        return self.X.drawable if self.index is None else None

    def samples(self, counts: tuple[int, ...], shares: np.ndarray, rng: np.random.Generator) -> list["InMemory"]:
        return draw_subsets(self, counts, shares, rng)

    def gathered(self) -> "InMemory":
        return self

    def take(self, index: Array, gathered: float = GATHERED_BYTES) -> "InMemory":
        """Take some of the samples, by number: a copy up to ``gathered`` bytes (if X is read, see `READ_BYTES`).

        More are fetched block by block.
        """
        xp, place, X = self.place.xp, self.place, self.X
        with place.computing():
            columns = self.columns.take(index, xp)
            widest, weight = place.dtype(place.widest), columns.weight
            total = float(index.shape[0] if weight is None else xp.sum(weight, dtype=widest))
            index = index if self.index is None else xp.take(self.index, index, axis=0)
            part = dataclasses.replace(self, columns=columns, total_weight=total, index=index)
            once = X.is_read and gathered and not (X.concurrent and place == HOST)
            held = part.m * self.widths[0] * 8 <= min(READ_BYTES if once else gathered, self.room / blocks.ROOM_SHARE)
            return dataclasses.replace(part, X=X.take(index, place), index=None) if held else part

    def ordered(self, order: np.ndarray) -> "InMemory | None":
        has_room = not self.X.is_read and self._has_room(8, ORDERED_BYTES)
        return self.take(self.place.put(order), gathered=math.inf) if has_room else None

    def lost_class(self, targets: Targets) -> int | None:
        if self.columns.weight is None:
            return None
        with self.place.computing():
            return erased_class(targets._replace(Y=self.columns.Y), self.columns.weight)

    def host_rows(self, index: np.ndarray) -> np.ndarray:
        return self.X.host_rows(index if self.index is None else to_host(self.index)[index])

    shares, flaws = class_shares, find_flaws

    @functools.cached_property
    def effective_samples(self) -> float:
        """Effective number of samples (sum s)^2 / sum s^2, for weights s (Kish, Survey Sampling, 1965)."""
        if self.columns.weight is None:
            return float(self.m)
        with self.place.computing():
            weight = self.place.xp.astype(self.columns.weight, self.place.dtype(self.dtype), copy=False)
            scaled = weight * (self.m / self.total_weight)  # its squares neither overflow nor vanish
            return self.m**2 / float(self.place.xp.sum(scaled * scaled))

    def settled(self) -> "InMemory":
        """Convert these samples once, not in each pass, if one block holds them; return them unchanged otherwise."""
        by_block = self.shifts and (self.place.small_blocks or self.is_read)
        few = len(self.spans()) == 1 if by_block else self._has_room(4 if self.shifts else 8, NARROWED_BYTES)
        return self._converted() if self.converts and few else self

    def narrowed(self) -> "InMemory":
        """Return these samples, computed in float32; up to `NARROWED_BYTES` they are converted only once."""
        narrow = dataclasses.replace(self, dtype="float32")
        return narrow._converted() if self._has_room(4, NARROWED_BYTES) else narrow

    def _has_room(self, itemsize: int, most: float) -> bool:
        """Whether a copy of X, with numbers of that size, takes at most so many bytes, and has room on a device."""
        return self.m * self.widths[0] * itemsize <= min(most, self.room / blocks.ROOM_SHARE)

    def _converted(self) -> "InMemory":
        with self.place.computing():
            asked = self.place, self.dtype, self.center, self.exact
            X: Matrix = (
                Dense(self.place.kept(self.computed(0, self.m))) if self.dense else self.compact().astype(*asked)
            )
        return dataclasses.replace(self, X=X, center=None, index=None)

    def compact(self) -> Any:
        """X of these samples alone, if its blocks are no arrays."""
        return self.X if self.index is None else self.X.take(self.index, self.place)

    def targets(self, start: int, stop: int) -> Array:
        """Y (k, stop - start) of the samples from start to stop, in the computing dtype."""
        xp, Y = self.place.xp, self._cut(self.columns.Y, self._taken[0], start, stop)
        if self.n_classes is not None:
            Y = xp.reshape(xp.arange(self.n_classes, dtype=Y.dtype, device=self.place.device), (-1, 1)) == Y
        return xp.astype(Y, self.place.dtype(self.dtype), copy=False)

    def spans(
        self, temporaries: int = 1, outputs: int = 0, workers: int = 1, gram: bool = False, squares: bool = False
    ) -> list[Range]:
        """Start and stop of each block, for a function that makes ``temporaries`` arrays of the size of the block.

        ``outputs``: scores of a sample, if many models may make more than a block should hold. ``workers`` share all.
        ``gram`` says whether the function makes products of features, ``squares`` whether a device copies X for it.
        """
        return blocks.even_spans(self, temporaries, outputs, workers, gram, squares)

    def raw(self, start: int, stop: int) -> Any:
        """X (n_x, stop - start) of the samples from start to stop, in X's own dtype."""
        if self.index is None:
            return self.X.cut(start, stop, self.place)
        some = self.X.take(self.index[start:stop], self.place)
        return some.cut(0, some.m, self.place)

    @functools.cached_property
    def _only_block(self) -> Block | None:
        """All samples as one block, made once, if they are few, of one model, on the host, and need no conversion."""
        small = self.m * self.widths[1] * 8 * max(TEMPORARIES.values()) <= blocks.SMALL_BLOCK_BYTES
        alone = all(part is None for part in (self.index, self.block_bytes, self.target_of, self.weight_of))
        return self.block(0, self.m) if small and alone and not self.converts and self.place == HOST else None

    def block(self, start: int, stop: int, raw: Any = None) -> Block:
        """Block of the samples from start to stop, of ``raw`` if given. The thread's next block may overwrite X."""
        _, weight, offset, group = self.columns
        weight, offset = self._number(weight, self._taken[1], start, stop), self._number(offset, None, start, stop)
        group = None if group is None else self._cut(group, None, start, stop)
        # a device that has all samples in one block keeps their one-hot columns, since each operation takes a while
        kept = self.n_classes is not None and stop - start == self.m and not self.place.small_blocks
        Y = self._whole_targets if kept else self.targets(start, stop)
        return Block(self.computed(start, stop, raw), Y, weight, start, offset, group)

    @functools.cached_property
    def _whole_targets(self) -> Array:
        return self.targets(0, self.m)

    @functools.cached_property
    def _taken(self) -> list[Array | None]:
        """Numbers (g,) of the targets and of the weights on the place; None where models take them as they lie."""
        own = (self.target_of, self.columns.Y), (self.weight_of, self.columns.weight)
        return [None if of is None or lie_in_order(of, values) else self.place.put(of) for of, values in own]

    def _number(self, values: Array | None, of: Array | None, start: int, stop: int) -> Array | None:
        """Weights or offsets of the samples from start to stop, in the computing dtype."""
        if values is None:
            return None
        part = self._cut(values, of, start, stop)
        if dtype_name(part) == self.dtype:
            return part
        return self.place.xp.astype(part, self.place.dtype(self.dtype))  # of counts, folds, or widened samples

    def computed(self, start: int, stop: int, raw: Any = None) -> Any:
        """X (n_x, stop - start) of the samples, centred and in the computing dtype, see `block`."""
        raw = self.raw(start, stop) if raw is None else raw
        return self.X.converted(raw, self.place, self.dtype, self.center, self.exact)

    def _cut(self, values: Array, of: Array | None, start: int, stop: int) -> Array:
        """Targets or weights of the samples from start to stop, with an axis in front if models have their own."""
        part = values if stop - start == self.m else values[..., start:stop]
        return part if of is None else self.place.xp.take(part, of, axis=0)

    def sum(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """Sum function(block, *arguments) over all blocks in one pass, see `Source.sum`."""
        return place_of(arguments[0]).bring(self.sums(function, *arguments))

    def sums(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """Compute the sums of `sum`, and leave them on the place that computes."""
        theta, temporaries, gram = arguments[0], TEMPORARIES.get(function, 1), function in GRAMS
        workers = workers_for(self.m, self.widths[gram], theta.shape, temporaries > 1, self.dense)
        if workers == 1 and self._only_block and type(theta) is np.ndarray and math.prod(theta.shape[1:-1]) == 1:
            with HOST.computing():
                return function(self._only_block, *arguments)
        owned = self.target_of if self.weight_of is None else self.weight_of
        g = max(theta.shape[1], 1 if owned is None else len(owned)) if theta.ndim == 3 else 1
        outputs = g * theta.shape[2] if g > 1 else 0  # scores of a sample, if there are many models
        spans = self.spans(temporaries, outputs, 1 if self.is_read else workers, gram, function in blocks.SQUARING)
        with self.place.computing():
            sent = tuple(self.place.put(a, self.place.widest) if is_array(a) else a for a in arguments)
            function = self.place.compiled(function, arguments)
            if len(spans) == 1:
                return function(self.block(*spans[0]), *sent)
            return tree_sum(self.each(lambda *found: function(self.block(*found), *sent), spans, workers > 1))

    def each(self, function: Callable[..., Answer], spans: list[Range], shared: bool = True) -> Iterable[Answer]:
        """Apply function(start, stop, raw) to every span, in order; raw is None unless one thread reads all spans."""
        in_threads = self.place == HOST and (self.is_read or (shared and len(spans) > 1))
        computing = self.place.computing_elsewhere()

        def arrived(span: Range) -> Any:
            with computing():
                return self.raw(*span)

        fetched, free = self.X.fetched(spans, arrived, in_threads, self.index is None)

        def answer(item: tuple[Range, Any]) -> Answer:
            with self.place.computing():  # a thread does not inherit this context
                return function(*item[0], item[1])

        return map_blocks(answer, fetched, free) if in_threads else map(answer, fetched)
