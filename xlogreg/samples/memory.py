"""Samples in memory, in blocks: the only file that tells rows from columns and knows block sizes and devices."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from xlogreg.arrays.libraries.numpy import lies_ready
from xlogreg.arrays.place import HOST, Array, Place, dtype_name, is_array, place_of, to_host
from xlogreg.arrays.stored import Stored
from xlogreg.math.moves import TEMPORARIES
from xlogreg.math.sums import Block
from xlogreg.samples.source import draw_subsets
from xlogreg.samples.threads import announce, held_threads, map_blocks, read_ahead, tree_sum

__all__ = [
    "LARGE_BLOCK_BYTES",
    "LEAST_BLOCKS",
    "SCORES_SHARE",
    "SMALL_BLOCK_BYTES",
    "InMemory",
    "combine_features",
    "map_samples",
    "multiply_samples",
]

# a block of this size stays in the last-level cache between its two readings, and needs few calls of the interpreter
SMALL_BLOCK_BYTES = 8 * 2**20
LARGE_BLOCK_BYTES = 256 * 2**20  # a block of this size keeps a GPU busy; it bounds the temporaries of a conversion
ARRIVING_BYTES = 64 * 2**20  # size of a block that is copied to a device while others are computed
GATHERED_BYTES = 16 * 2**20  # largest subset that is copied out of X once, not in every pass over it
READ_BYTES = 256 * 2**20  # the same for a stored X, unless the host reads array files, which the system caches
NARROWED_BYTES = 256 * 2**20  # largest X in float32 that is converted once, not in every pass
SCORES_SHARE = 8  # the scores of many models may take one eighth of a block
LEAST_BLOCKS = 4  # fewer blocks are not worth the threads

Answer = TypeVar("Answer")
Range = tuple[int, int]  # start and stop of a block


@dataclass(frozen=True)
class InMemory:
    """Samples in one array, on the place that computes.

    Attributes
    ----------
    X : array (n_x, m), or (m, n_x) when ``rows``
        Any real dtype, any layout; converted block by block, never written into. Or `Stored`: each block is read and
        brought to the place when it is computed.
    Y : array (k, m) of probabilities, or (1, m) of class numbers when ``n_classes`` is not None
        If models that share X have targets of their own, (t, k, m) or (t, 1, m). None only if nothing but X is used.
    weight : array (1, m), or (t, 1, m), or None
    place, dtype : Place, str
        The place and the dtype that the blocks are computed in.
    total_weight : float, or ndarray (g,) of the models
        Sum of the weights; m without weights.
    rows : bool
        Whether the samples are the rows of X.
    n_classes : int or None
        Number of classes that the class numbers in Y stand for; they become one-hot columns by block.
    center : array (n_x, 1), or None
        Subtracted from every block of X before anything is computed with it.
    target_of, weight_of : ndarray (g,), or None
        Numbers of the targets and of the weights that belong to each of g models, if there are several.
    index : array (m,), or None
        Numbers of the samples in X; they are fetched block by block. Y and weight hold these samples only.
    """

    X: Array
    Y: Array
    weight: Array | None
    place: Place
    dtype: str
    total_weight: float | np.ndarray
    rows: bool = False
    n_classes: int | None = None
    center: Array | None = None
    block_bytes: int | None = None
    index: Array | None = None
    target_of: np.ndarray | None = None
    weight_of: np.ndarray | None = None

    @property
    def n_x(self) -> int:
        return self.X.shape[1] if self.rows else self.X.shape[0]

    @property
    def m(self) -> int:
        return (self.X.shape[0] if self.rows else self.X.shape[1]) if self.index is None else self.index.shape[0]

    def __sizeof__(self) -> int:
        """Bytes of the arrays. By this size dask decides what to move between workers, and what to write to disk."""
        arrays = [array for array in (self.X, self.Y, self.weight) if array is not None]
        return sum(math.prod(array.shape) * getattr(array.dtype, "itemsize", 8) for array in arrays)

    @property
    def converts(self) -> bool:
        """Whether blocks of X are read or converted, not just slices of it."""
        return self.is_read or self.center is not None or not lies_ready(self.X, self.place.dtype(self.dtype))

    @property
    def is_read(self) -> bool:
        """Whether X is read block by block."""
        return isinstance(self.X, Stored)

    @functools.cached_property
    def exact(self) -> bool:
        """Whether X holds integers so large that they have to be centred before rounding to floats makes them equal."""
        wide = self.center is not None and dtype_name(self.X).endswith(("int32", "int64"))
        return wide and bool(np.max(np.abs(to_host(self.center))) * np.finfo(self.dtype).eps >= 1.0)

    def centered(self, center: Array) -> "InMemory":
        """Return these samples with X - center in place of X."""
        return dataclasses.replace(self, center=self.place.put(center, self.dtype))

    def uncentered(self) -> "InMemory":
        """Return these samples without a centre, as X itself."""
        return self if self.center is None else self._uncentered

    @functools.cached_property
    def _uncentered(self) -> "InMemory":
        return dataclasses.replace(self, center=None)  # made once, so that its cached properties are kept

    def keep(self, models: np.ndarray) -> "InMemory":
        """Return these samples for some of the models only, by number."""
        total = self.total_weight if isinstance(self.total_weight, float) else self.total_weight[models]
        chosen = {
            name: getattr(self, name)[models] for name in ("target_of", "weight_of") if getattr(self, name) is not None
        }
        return dataclasses.replace(self, total_weight=total, **chosen)

    def alone(self, model: int) -> "InMemory":
        """Return these samples with the targets and weights of one of the models."""
        chosen = self.keep(np.asarray([model]))
        Y = self.Y if chosen.target_of is None else self.Y[int(chosen.target_of[0]), :, :]
        weight = self.weight
        if weight is not None and chosen.weight_of is not None:
            weight = weight[int(chosen.weight_of[0]), :, :]
        total = float(np.ravel(chosen.total_weight)[0])
        return dataclasses.replace(self, Y=Y, weight=weight, total_weight=total, target_of=None, weight_of=None)

    def widened(self) -> "InMemory":
        """Return these samples, computed in the widest float of the place."""
        return dataclasses.replace(self, dtype=self.place.widest)  # each block gets its weights in it, too

    @property
    def drawable(self) -> np.ndarray | None:
        """Numbers (n,) of the samples that a subset may contain; None for all."""
        return self.X.drawable if isinstance(self.X, Stored) and self.index is None else None

    def samples(self, counts: tuple[int, ...], shares: np.ndarray, rng: np.random.Generator) -> list["InMemory"]:
        """Draw disjoint random subsets of about ``counts`` samples each, see `draw_subsets`."""
        return draw_subsets(self, counts, shares, rng)

    def take(self, index: Array, gathered: int = GATHERED_BYTES) -> "InMemory":
        """Take some of the samples, by number.

        They are copied out of X up to ``gathered`` bytes (for a stored X see `READ_BYTES`), and fetched block by block
        otherwise.
        """
        xp, place = self.place.xp, self.place
        with place.computing():
            Y, weight = (None if a is None else xp.take(a, index, axis=1) for a in (self.Y, self.weight))
            widest = place.dtype(place.widest)
            total = float(index.shape[0] if weight is None else xp.sum(weight, dtype=widest))
            part = dataclasses.replace(self, Y=Y, weight=weight, total_weight=total, index=index)
            once = self.is_read and gathered and not (self.X.concurrent and place == HOST)
            held = part.m * part.n_x * 8 <= (READ_BYTES if once else gathered)
            return dataclasses.replace(part, X=self._fetched(index), index=None) if held else part

    def _fetched(self, index: Array) -> Array:
        """Fetch samples of X, by number, in the orientation of X."""
        if isinstance(self.X, Stored):
            return self.place.put(self.X.take(to_host(index)))
        return self.place.take(self.X, index, axis=0 if self.rows else 1)

    @functools.cached_property
    def effective_samples(self) -> float:
        """Effective number of samples (Kish, Survey Sampling, 1965).

        It is (sum s)^2 / sum s^2 of the weights s; m without weights.
        """
        if self.weight is None:
            return float(self.m)
        with self.place.computing():
            scaled = self.weight * (self.m / self.total_weight)  # its squares neither overflow nor vanish
            return self.m**2 / float(self.place.xp.sum(scaled * scaled))

    def settled(self) -> "InMemory":
        """Convert these samples once, not in each pass, if one block holds them; return them unchanged otherwise."""
        return self if not self.converts or len(self.spans()) > 1 else self._converted()

    def narrowed(self) -> "InMemory":
        """Return these samples, computed in float32; up to `NARROWED_BYTES` they are converted only once."""
        narrow = dataclasses.replace(self, dtype="float32")
        return narrow._converted() if self.m * self.n_x * 4 <= NARROWED_BYTES else narrow

    def _converted(self) -> "InMemory":
        with self.place.computing():
            X = self.place.xp.asarray(self.computed(0, self.m), copy=True)
        return dataclasses.replace(self, X=X, rows=False, center=None, index=None)

    def targets(self, start: int, stop: int) -> Array:
        """Y (k, stop - start) of the samples from start to stop, in the computing dtype."""
        xp, Y = self.place.xp, self._cut(self.Y, self.target_of, start, stop)
        if self.n_classes is not None:
            Y = xp.reshape(xp.arange(self.n_classes, dtype=Y.dtype, device=self.place.device), (-1, 1)) == Y
        return xp.astype(Y, self.place.dtype(self.dtype), copy=False)

    def shares(self) -> np.ndarray:
        """Share of each class (K,) by weight, of both classes if there are two; X is not read."""
        xp = self.place.xp
        with self.place.computing():
            widest = self.place.dtype(self.place.widest)
            weight = xp.ones((1, self.m), dtype=widest, device=self.place.device)
            weight = weight if self.weight is None else xp.astype(self.weight, widest)
            mass = tree_sum((self._hot(*span) @ weight[:, span[0] : span[1]].T,) for span in self.spans())[0]
        return to_host(mass)[:, 0].astype(np.float64) / self.total_weight

    def _hot(self, start: int, stop: int) -> Array:
        """Targets (K, stop - start) of all classes, of both if there are two, in the widest float."""
        Y, xp = self.place.xp.astype(self.targets(start, stop), self.place.dtype(self.place.widest)), self.place.xp
        return xp.concat([1.0 - Y, Y], axis=0) if Y.shape[0] == 1 else Y

    def spans(self, temporaries: int = 1, outputs: int = 0) -> list[Range]:
        """Start and stop of each block, for a function that makes ``temporaries`` arrays of the size of the block.

        ``outputs`` is the number of scores of a sample, if many models may make more scores than a block should hold.
        """
        itemsize = 8 if self.dtype == "float64" or temporaries > 1 else 4  # temporaries are in the widest dtype
        temporaries += self.index is not None  # the fetched samples are one more
        large = ARRIVING_BYTES if self.is_read else LARGE_BLOCK_BYTES
        limit = self.block_bytes or (SMALL_BLOCK_BYTES if self.place.small_blocks else large)
        count = math.ceil(self.m * self.n_x * itemsize * temporaries / limit)  # blocks are as equal as possible
        if not self.place.small_blocks and not self.converts:
            count = 1  # slices are copies on this device, and nothing has to be converted
        count = max(count, math.ceil(self.m * outputs * itemsize * SCORES_SHARE / limit))
        size = math.ceil(self.m / max(1, min(count, self.m)))
        return [(start, min(start + size, self.m)) for start in range(0, self.m, size)]

    def raw(self, start: int, stop: int) -> Array:
        """X (n_x, stop - start) of the samples from start to stop, in X's own dtype."""
        if self.index is not None:
            X = self._fetched(self.index[start:stop])
        elif isinstance(self.X, Stored):
            X = self.place.send(self.X.read(start, stop))
        elif self.rows:  # cut first: some libraries copy an array when they transpose it
            X = self.X[start:stop, :]
        else:
            X = self.X if stop - start == self.m else self.X[:, start:stop]
        return X.T if self.rows else X

    def features(self, part: slice) -> Array:
        """X (n, m) of some of the features, in X's own dtype."""
        if isinstance(self.X, Stored):
            X = self.place.put(self.X.read(0, self.X.m, part))
        else:
            X = self.X[:, part] if self.rows else self.X[part, :]
        X = X.T if self.rows else X
        return X if self.index is None else self.place.take(X, self.index, axis=1)

    @functools.cached_property
    def _only_block(self) -> Block | None:
        """All samples as a block, if they are few and need no conversion: made once for many passes. Else None."""
        small = self.m * self.n_x * 8 * max(TEMPORARIES.values()) <= SMALL_BLOCK_BYTES
        if not small or self.converts or self.index is not None or self.block_bytes is not None:
            return None
        return self.block(0, self.m)

    def block(self, start: int, stop: int, raw: Array | None = None) -> Block:
        """Block of the samples from start to stop, of ``raw`` if given. The thread's next block may overwrite X."""
        weight = None if self.weight is None else self._cut(self.weight, self.weight_of, start, stop)
        if weight is not None and dtype_name(weight) != self.dtype:  # of counts, folds, or widened samples
            weight = self.place.xp.astype(weight, self.place.dtype(self.dtype))
        return Block(self.computed(start, stop, raw), self.targets(start, stop), weight, start)

    def computed(self, start: int, stop: int, raw: Array | None = None) -> Array:
        """X (n_x, stop - start) of the samples, centred and in the computing dtype, see `block`."""
        raw = self.raw(start, stop) if raw is None else raw
        return self.place.convert(raw, self.dtype, self.center, self.exact)

    def _cut(self, values: Array, of: np.ndarray | None, start: int, stop: int) -> Array:
        """Targets or weights of the samples from start to stop, with an axis in front if models have their own."""
        part = values if stop - start == self.m else values[..., start:stop]
        return part if of is None else self.place.xp.take(part, self.place.put(of), axis=0)

    def sum(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """Sum function(block, *arguments) over all blocks in one pass, see `Source.sum`."""
        theta = arguments[0]
        owned = self.target_of if self.weight_of is None else self.weight_of
        g = max(theta.shape[1], 1 if owned is None else len(owned)) if theta.ndim == 3 else 1
        outputs = g * theta.shape[2] if g > 1 else 0  # scores of a sample, if there are many models
        if self.place == HOST and not outputs and type(theta) is np.ndarray and self._only_block is not None:
            with HOST.computing():
                return function(self._only_block, *arguments)
        home = next((place_of(argument) for argument in arguments if is_array(argument)), HOST)
        spans = self.spans(TEMPORARIES.get(function, 1), outputs)
        with self.place.computing():
            sent = tuple(self.place.put(a, self.place.widest) if is_array(a) else a for a in arguments)
            function = self.place.compiled(function, arguments)
            if len(spans) == 1:
                return home.bring(function(self.block(*spans[0]), *sent))
            # for one softmax model and blocks that need no conversion BLAS alone keeps the cores as busy as threads do
            busy = self.converts or outputs > 0 or held_threads() > 0
            return home.bring(tree_sum(self.each(lambda *found: function(self.block(*found), *sent), spans, busy)))

    def each(self, function: Callable[..., Answer], spans: list[Range], threads: bool = True) -> Iterable[Answer]:
        """Apply function(start, stop, raw) to every span, in order; raw is None unless one thread reads all spans."""
        in_threads = self.place == HOST and threads and (self.is_read or len(spans) >= LEAST_BLOCKS)
        fetched: Iterable[tuple[Range, Array | None]] = ((span, None) for span in spans)
        alone = self.is_read and in_threads and self.X.concurrent
        if alone and self.index is None:
            fetched = announce(self.X.expect, spans)  # each thread reads its own blocks and finds them in its cache
        elif self.is_read and not alone:
            fetched = read_ahead(self._arrived, spans)

        def answer(item: tuple[Range, Array | None]) -> Answer:
            with self.place.computing():  # a thread does not inherit this context
                return function(*item[0], item[1])

        return map_blocks(answer, fetched, len(spans) if alone else 0) if in_threads else map(answer, fetched)

    def _arrived(self, span: Range) -> Array:
        with self.place.computing():
            return self.raw(*span)


def map_samples(source: InMemory, function: Callable[[Array], Array]) -> Array:
    """Apply a function from X (n_x, samples) to (k, samples) to every block, and join the results to (k, m)."""
    parts = list(source.each(lambda *found: function(source.computed(*found)), source.spans()))
    if len(parts) == 1:
        return parts[0]
    with source.place.computing():
        return source.place.xp.concat(parts, axis=-1)


def multiply_samples(source: InMemory, inverse_scale: np.ndarray, dtype: str | None = None) -> Array:
    """Compute X~'X~ (m, m) of X~ = (X - center) * inverse_scale in one pass, in dtype or the widest float of the place.

    It takes some features at a time, so that wide data of a small dtype never become a whole float copy.
    """
    parts = _scaled_features(source, inverse_scale, dtype or source.place.widest)
    return tree_sum((X.T @ X,) for X in parts)[0]


def combine_features(source: InMemory, alpha: np.ndarray, inverse_scale: np.ndarray) -> np.ndarray:
    """Compute X~ alpha (n_x, r) for alpha (m, r) in one pass, see `multiply_samples`; the result is on the host."""
    alpha = source.place.put(alpha, source.dtype)
    return np.concatenate([to_host(X @ alpha) for X in _scaled_features(source, inverse_scale, source.dtype)])


def _scaled_features(source: InMemory, inverse_scale: np.ndarray, dtype: str) -> Iterator[Array]:
    """Yield (X - center) * inverse_scale, some features at a time, (n, m) each."""
    place, xp = source.place, source.place.xp
    scale, scaled = place.put(inverse_scale, dtype), bool(np.any(inverse_scale != 1.0))
    step = max(1, (SMALL_BLOCK_BYTES if place.small_blocks else LARGE_BLOCK_BYTES) // (8 * source.m))
    for start in range(0, source.n_x, step):
        part = slice(start, min(start + step, source.n_x))
        center = None if source.center is None else xp.astype(source.center[part, :], place.dtype(dtype), copy=False)
        X = place.convert(source.features(part), dtype, center, source.exact)
        yield X * scale[part, :] if scaled else X
