"""Intake of every fit: check the user's input, choose where to compute, and bring the samples there."""

import dataclasses
import functools
import gc
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from xlogreg.arrays.choice import Where, choose_place
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.matrix import Dense, Matrix
from xlogreg.arrays.place import HOST, ROUNDING, Array, Place, dtype_name, place_of
from xlogreg.arrays.stored import Slices
from xlogreg.arrays.traits import is_out_of_memory
from xlogreg.exceptions import PrecisionWarning, one_of, warn
from xlogreg.inputs import labels
from xlogreg.inputs.columns import PLAIN, TableOptions
from xlogreg.inputs.door import Features, learn_features, take
from xlogreg.inputs.encoding import Encoding
from xlogreg.inputs.matrices import computing_dtype
from xlogreg.inputs.offsets import as_offset
from xlogreg.inputs.options import SAMPLES, Options, dtype_option
from xlogreg.inputs.tables import is_collection
from xlogreg.samples.cluster.distributed import Shards
from xlogreg.samples.cluster.from_dask import share_out
from xlogreg.samples.files.factory import take_in
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns, Samples

__all__ = [
    "Arrival",
    "Origin",
    "Received",
    "expect_shared_features",
    "open_features",
    "receive",
    "reordered",
    "settle",
    "settle_parts",
    "within_memory",
]


ROOM = 0.8  # largest share of a device's free memory that X may take
LEFT_SHARE = 4  # a device on which X has no room is taken to have memory for this part of X, or what it says if less
Answer = TypeVar("Answer")


class Origin(NamedTuple):
    """Where the samples of a fit came from, and where they are computed."""

    samples: str  # "columns" or "rows"
    names: tuple[str, ...] | None  # of the features
    home: Place  # place of X as it was handed in, and of the parameters
    dtype_home: str  # dtype of parameters there
    dtype_given: str  # dtype of X as it was handed in
    dtype: str  # computing dtype
    backend: str
    device: str
    fallback: str | None
    encoding: Encoding | None = None  # of the columns of a table

    def settled(self, options: list[Options]) -> list[Options]:
        """Return the options of models for these features, whose columns make groups if that was asked for."""
        columns = None if self.encoding is None else self.encoding.owners
        return [option.in_columns(columns) for option in options]


class Arrival(NamedTuple):
    """Samples without targets and weights; `within_memory` brings X to the place that computes."""

    origin: Origin
    samples: Samples

    @property
    def offset(self) -> Array | None:
        """The offset (k, m) of samples in the memory of this process."""
        return self.samples.columns.offset if isinstance(self.samples, InMemory) else None

    def offsetting(self, offset: Array | None) -> "Arrival":
        """Return these samples with an offset (k, m), as from `as_offset`; unchanged if there is none."""
        samples = self.samples
        if offset is None or not isinstance(samples, InMemory):
            return self
        with samples.place.computing():  # in the widest float: in float32, rounding would change the cost
            columns = samples.columns._replace(offset=samples.place.put(offset, samples.place.widest))
        return self._replace(samples=dataclasses.replace(samples, columns=columns))


class Received(NamedTuple):
    """Input of a fit, checked."""

    arrival: Arrival
    targets: labels.Targets
    weight: Array | None  # (1, m)

    @property
    def samples(self) -> Samples:
        """The samples with their targets and weights."""
        return self.arrival.samples.holding(self.targets, self.weight)

    def within_memory(self, work: Callable[["Received"], Answer]) -> Answer:
        """Do the work, see `within_memory`."""
        return within_memory(self.arrival, lambda arrival: work(self._replace(arrival=arrival)))

    def on_host(self) -> "Received":
        """Return this input of models whose parameters are to live on the host, wherever X came from."""
        arrival = self.arrival
        return self._replace(arrival=arrival._replace(origin=arrival.origin._replace(home=HOST)))

    def refilled(self, arrival: Arrival) -> "Received":
        """Return these targets and weights with an X whose missing values were filled in anew."""
        return self._replace(arrival=arrival.offsetting(self.arrival.offset))

    def ordered(self, order: np.ndarray) -> "Received | None":
        """Copy the samples in another order (m,); None if that takes too much memory."""
        samples = self.arrival.samples.ordered(order)
        if samples is None:
            return None
        Y, weight = (None if part is None else reordered(part, order) for part in (self.targets.Y, self.weight))
        return Received(self.arrival._replace(samples=samples), self.targets._replace(Y=Y), weight)


def receive(
    X: Any,
    Y: Any,
    sample_weight: Any,
    samples: str,
    targets: str,
    where: Where,
    options: Options,
    table: TableOptions = PLAIN,
    apart: bool = False,
    offset: Any = None,
) -> Received:
    """Check the user's input, and bring X to the place that computes.

    X may be a dask collection, which stays with the workers; ``apart`` says that Y and the weights may stay there, too.
    X may also be `Shards`: they have targets and offset already, and ``sample_weight`` replaces their weights. The
    options are those of any model; ``table`` tells what becomes of the columns of a table.
    """
    if is_collection(X):
        expect_shared_features(options, X, samples)
        given = {"samples": samples, "targets": targets, "where": where, "table": table, "offset": offset}
        parts = share_out(X, Y, sample_weight, **given)
        options.expect_features(parts.n_x)
        parts = parts if apart else parts.with_targets()
        return Received(settle_parts(parts), parts.targets, parts.weight)
    if isinstance(X, Shards):
        options.expect_features(X.n_x)
        weight = X.weight if sample_weight is None else labels.as_weight(sample_weight, X.m)
        return Received(settle_parts(X), X.targets, weight)
    X, Y, sample_weight = _made(X, Y, sample_weight, samples, table)
    encode = functools.partial(labels.encode_targets, kind=targets)
    taken = take(X, Y, sample_weight, samples=samples, encode=encode, asked=table)
    options.expect_features(taken.features.X.n_x)
    offset = as_offset(offset, taken.features.X.m, samples, len(taken.targets.classes))
    return Received(settle(taken.features, where).offsetting(offset), taken.targets, taken.weight)


def expect_shared_features(options: Options, X: Any, samples: str) -> None:
    """Raise before the workers look at a collection of dask, if it has other features than an option says."""
    shape = getattr(X, "shape", ())
    n_x = shape[1 if samples == "rows" else 0] if len(shape) == 2 else None
    if isinstance(n_x, int):
        options.expect_features(n_x)


def _made(X: Any, Y: Any, sample_weight: Any, samples: str, table: TableOptions) -> tuple[Any, Any, Any]:
    """Return the samples of a factory, which brings its own Y and weights; any other input as it is."""
    one_of("samples", samples, SAMPLES)
    if not callable(X):
        return X, Y, sample_weight
    if Y is not None or sample_weight is not None:
        raise ValueError("X is a factory of blocks, which hold Y and the weights: leave Y and sample_weight out")
    X, Y, sample_weight = take_in(X, samples, table)
    return X, Y.T if samples == "rows" and Y.shape[0] > 1 else Y, sample_weight


def open_features(X: Any, Y: Any, sample_weight: Any, samples: str, table: TableOptions) -> tuple[Features, Any, Any]:
    """Check X; return it with Y and weights. A factory brings its own Y and weights."""
    X, Y, sample_weight = _made(X, Y, sample_weight, samples, table)
    return learn_features(X, samples, table), Y, sample_weight


def reordered(part: Array, order: np.ndarray) -> Array:
    """Copy the columns of targets or weights in another order."""
    place = place_of(part)
    with place.computing():
        return place.xp.take(part, place.put(order), axis=1)


def settle(features: Features, where: Where) -> Arrival:
    """Choose the place and the dtype to compute in; X stays where it is, see `within_memory`."""
    X, names, encoding = features
    home = X.home
    place, reason = choose_place(home, X.nbytes, where)
    computed = _computing_dtype(X, where.dtype, place)
    origin = Origin(
        samples="rows" if X.rows else "columns",
        names=names,
        home=home,
        dtype_home=_dtype_home(dtype_name(X), computed),
        dtype_given=dtype_name(X),
        dtype=computed,
        backend=place.name,
        device=place.device_name,
        fallback=reason,
        encoding=encoding,
    )
    return Arrival(origin, InMemory(X, Columns(), place, computed, 0.0))


def settle_parts(parts: Shards) -> Arrival:
    """Arrival of parts: the workers compute; theta, sums and models are on the host of the client."""
    origin = Origin(
        samples=parts.samples,
        names=parts.names,
        home=HOST,
        dtype_home=_dtype_home(parts.dtype_given, parts.dtype),
        dtype_given=parts.dtype_given,
        dtype=parts.dtype,
        backend=parts.backend,
        device=parts.device,
        fallback=parts.fallback,
        encoding=parts.encoding,
    )
    return Arrival(origin, parts.source())


def within_memory(arrival: Arrival, work: Callable[[Arrival], Answer]) -> Answer:
    """Do the work with X on the place that computes; where X has no room there, with X read block by block.

    Only the work holds the copy of X. So if the device runs out of memory, nothing is left of the first attempt when
    the second begins.
    """
    samples = arrival.samples
    if not isinstance(samples, InMemory):
        return work(arrival)
    if samples.place == HOST:
        return work(_moved(arrival, samples))
    place, X = samples.place, samples.X
    on_host = X.array if isinstance(X, Dense) and isinstance(X.array, np.ndarray) else None
    free = None if on_host is None else place.free_bytes
    if on_host is not None and free is not None and X.nbytes > ROOM * free:
        return work(_stay(arrival, on_host, f"{place} has {free / 2**30:.3g} GiB of memory left"))
    try:
        return work(_moved(arrival, samples))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if X.home == place:
            remedy = "hand X in as a NumPy array; if it has no room on the device, it is read block by block"
            raise MemoryError(f"{place} ran out of memory: {remedy} ({error})") from error
        if on_host is None:
            raise
    gc.collect()  # an error and the frames that raised it may refer to each other, and the frames to the copy of X
    place.trim()
    return work(_stay(arrival, on_host, f"{place} ran out of memory"))


def _moved(arrival: Arrival, samples: InMemory) -> Arrival:
    """Bring X to the place that computes, and ask for the memory that is left beside it."""
    X = samples.X if samples.X.home == samples.place else samples.X.put(samples.place)
    return arrival._replace(samples=dataclasses.replace(samples, X=X, room=_room(samples.place)))


def _room(place: Place) -> float:
    """Free memory of a device in bytes, at least one; infinite where it is not known."""
    free = place.free_bytes
    return math.inf if free is None else max(float(free), 1.0)


def _stay(arrival: Arrival, X: np.ndarray, why: str) -> Arrival:
    """Leave X on the host, so that it is read block by block, and say why."""
    origin, samples = arrival
    assert isinstance(samples, InMemory)
    size = f"X of {X.nbytes / 2**30:.3g} GiB stays on the host, and is copied block by block in each pass"
    read = Slices(X, 0 if origin.samples == "rows" else 1)
    # X has no room there, so less than its size is free, whatever the device says
    room = min(_room(samples.place), X.nbytes / LEFT_SHARE)
    return Arrival(origin._replace(fallback=f"{why}: {size}"), dataclasses.replace(samples, X=read, room=room))


def _dtype_home(dtype: str, computed: str) -> str:
    """Dtype of parameters, from the dtype of X and the computing dtype."""
    return dtype if dtype in ROUNDING else computed


def _computing_dtype(X: Matrix, dtype: Any, place: Place) -> str:
    asked, natural = dtype_option(dtype), computing_dtype(X)
    if (asked or natural) == "float32" or place.widest == "float64":
        return asked or natural
    remedy = LIBRARIES[place.name].float64_remedy
    if asked:
        raise ValueError(f"dtype='float64' is not available on {place}{remedy}")
    if dtype_name(X) == "float64":
        warn(f"X is float64, but {place} has no float64: computing in float32{remedy}", PrecisionWarning)
    return "float32"
