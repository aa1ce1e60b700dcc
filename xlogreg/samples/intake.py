"""Intake of every fit: check the user's input, choose where to compute, and bring the samples there."""

import contextlib
import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from xlogreg.arrays.choice import choose_place
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.place import HOST, ROUNDING, Array, Place, dtype_name, place_of, to_host
from xlogreg.arrays.stored import Slices, Stored
from xlogreg.arrays.traits import is_out_of_memory
from xlogreg.exceptions import PrecisionWarning, one_of, warn
from xlogreg.inputs import labels
from xlogreg.inputs.matrices import as_matrix, computing_dtype
from xlogreg.inputs.options import SAMPLES, dtype_option
from xlogreg.inputs.tables import is_collection, open_table
from xlogreg.samples.cluster.distributed import Distributed, Shards
from xlogreg.samples.cluster.from_dask import share_out
from xlogreg.samples.cluster.worker import attach
from xlogreg.samples.files.factory import take_in
from xlogreg.samples.memory import LEAST_BLOCKS, SCORES_SHARE, SMALL_BLOCK_BYTES, InMemory
from xlogreg.samples.threads import hold_threads

__all__ = [
    "Setting",
    "at_work",
    "erased_class",
    "gather",
    "open_samples",
    "receive",
    "reorder",
    "reordered",
    "settle",
    "settle_parts",
    "within_memory",
]


FEW_FEATURES = 64  # for one model with at most so many, the algebra between passes takes next to no time
FEW_FEATURES_OF_MANY = 128  # the same for many models, whose passes take longer
ROOM = 0.8  # largest share of a device's free memory that X may take
Answer = TypeVar("Answer")


class Setting(NamedTuple):
    """X of a fit, and the place that computes."""

    X: Any  # an array on the place that computes, a `Stored` that is read, or the `Shards` of a cluster
    samples: str
    names: tuple[str, ...] | None
    home: Place  # place that X came from, and that parameters go to
    dtype_home: str  # dtype of parameters there
    place: Place
    dtype: str  # computing dtype
    fallback: str | None
    given: np.ndarray | None = None  # X on the host, if it was copied to a device

    @property
    def computed_by(self) -> tuple[str, str]:
        """Names of the backend and the device that compute."""
        X, place = self.X, self.place
        return (X.backend, X.device) if isinstance(X, Shards) else (place.name, place.device_name)


class Received(NamedTuple):
    """Input of a fit, checked."""

    setting: Setting
    targets: labels.Targets
    weight: Array | None  # (1, m)


def receive(
    X: Any,
    Y: Any,
    sample_weight: Any,
    *,
    samples: str,
    targets: str,
    backend: Any,
    device: Any,
    dtype: Any,
    fallback: bool,
    apart: bool = False,
) -> Received:
    """Check the user's input, and bring X to the place that computes.

    X may be a dask collection, which stays with the workers; ``apart`` says that Y and the weights may stay there, too.
    X may also be `Shards`: they have targets already, and ``sample_weight`` replaces their weights.
    """
    if is_collection(X):
        where: dict[str, Any] = {"backend": backend, "device": device, "dtype": dtype, "fallback": fallback}
        parts = share_out(X, Y, sample_weight, samples=samples, targets=targets, **where)
        parts = parts if apart else parts.with_targets()
        return Received(settle_parts(parts), parts.targets, parts.weight)
    if isinstance(X, Shards):
        weight = X.weight if sample_weight is None else labels.as_weight(sample_weight, X.m)
        return Received(settle_parts(X), X.targets, weight)
    X, Y, sample_weight, names = open_samples(X, Y, sample_weight, samples)
    encoded = labels.encode_targets(Y, X.shape, samples, targets)
    weight = labels.as_weight(sample_weight, encoded.Y.shape[1])
    return Received(settle(X, names, samples, backend, device, dtype, fallback), encoded, weight)


def open_samples(X: Any, Y: Any, sample_weight: Any, samples: str) -> tuple[Array, Any, Any, tuple[str, ...] | None]:
    """Open X as numbers; return it with Y, weights and feature names. A factory brings its own Y and weights."""
    one_of("samples", samples, SAMPLES)
    if callable(X):
        if Y is not None or sample_weight is not None:
            raise ValueError("X is a factory of blocks, which hold Y and the weights: leave Y and sample_weight out")
        X, Y, sample_weight = take_in(X, samples)
        return X, Y.T if samples == "rows" and Y.shape[0] > 1 else Y, sample_weight, X.names
    X, names = open_table(X, samples)
    X = as_matrix(X, samples)
    return X, Y, sample_weight, X.names if isinstance(X, Stored) else names


def reorder(received: Received, order: np.ndarray) -> Received:
    """Copy the samples in another order (m,)."""
    setting, targets, weight = received
    place, axis = setting.place, 0 if setting.samples == "rows" else 1
    with place.computing():
        X = place.take(setting.X, place.put(order), axis)
    Y, weight = (None if part is None else reordered(part, order) for part in (targets.Y, weight))
    return Received(setting._replace(X=X), targets._replace(Y=Y), weight)


def reordered(part: Array, order: np.ndarray) -> Array:
    """Copy the columns of targets or weights in another order."""
    place = place_of(part)
    with place.computing():
        return place.xp.take(part, place.put(order), axis=1)


def settle(
    X: Array, names: tuple[str, ...] | None, samples: str, backend: Any, device: Any, dtype: Any, fallback: bool
) -> Setting:
    """Choose the place and the dtype to compute in, and bring X there."""
    home = place_of(X)
    nbytes = math.prod(X.shape) * getattr(X.dtype, "itemsize", 8)
    place, reason = choose_place(home, nbytes, backend, device, fallback)
    free = place.free_bytes if isinstance(X, np.ndarray) else None
    if free is not None and nbytes > ROOM * free:
        X, reason = _stay(X, samples, f"{place} has {free / 2**30:.3g} GiB of memory left")
    computed = _computing_dtype(X, dtype, place)
    dtype_home = _dtype_home(dtype_name(X), computed)
    setting = Setting(X, samples, names, home, dtype_home, place, computed, reason)
    if isinstance(X, Stored) or home == place:
        return setting
    moving = setting._replace(given=X if isinstance(X, np.ndarray) else None)
    return within_memory(
        moving, lambda setting: setting if isinstance(setting.X, Stored) else setting._replace(X=place.put(X))
    )


def settle_parts(parts: Shards) -> Setting:
    """Setting for parts: the workers compute; theta, sums and models are on the host of the client."""
    dtype_home = _dtype_home(parts.dtype_given, parts.dtype)
    return Setting(parts, parts.samples, parts.names, HOST, dtype_home, HOST, parts.dtype, parts.fallback)


def at_work(
    setting: Setting, targets: list[labels.Targets], models: int = 1
) -> contextlib.AbstractContextManager[None]:
    """Hold the worker threads of the host for all passes of a fit, if the passes take most of its time.

    With many features, or many classes, the algebra between the passes takes most of the time, and BLAS needs its
    threads for it. Measured: this saves up to a third of the time, for one model and for many.
    """
    m, n_x = setting.X.shape if setting.samples == "rows" else setting.X.shape[::-1]
    scores = models * SCORES_SHARE if models > 1 else 0
    large = m * max(n_x, scores) * 8 >= LEAST_BLOCKS * SMALL_BLOCK_BYTES
    few = n_x <= (FEW_FEATURES_OF_MANY if models > 1 else FEW_FEATURES) and all(
        len(target.classes) == 2 for target in targets
    )
    there = setting.place == HOST and not isinstance(setting.X, Shards)
    return hold_threads() if large and few and there else contextlib.nullcontext()


def within_memory(setting: Setting, work: Callable[[Setting], Answer]) -> Answer:
    """Do the work; if the device runs out of memory, do it once more with X left on the host."""
    try:
        return work(setting)
    except Exception as error:
        if setting.given is None or not is_out_of_memory(error):
            raise
    X, reason = _stay(setting.given, setting.samples, f"{setting.place} ran out of memory")
    return work(setting._replace(X=X, fallback=reason, given=None))


def _stay(X: np.ndarray, samples: str, why: str) -> tuple[Stored, str]:
    """Wrap X so that it is read from the host block by block; return it with the reason."""
    size = f"X of {X.nbytes / 2**30:.3g} GiB stays on the host, and is copied block by block in each pass"
    return Slices(X, 0 if samples == "rows" else 1), f"{why}: {size}"


def _dtype_home(dtype: str, computed: str) -> str:
    """Dtype of parameters, from the dtype of X and the computing dtype."""
    return dtype if dtype in ROUNDING else computed


def gather(setting: Setting, encoded: labels.Targets, weight: Array | None) -> InMemory | Distributed:
    """Put together the training samples, with a weight (1, m) from `labels.as_weight`."""
    if isinstance(setting.X, Shards):
        return _held(setting.X, encoded, weight)
    # probabilities keep all their digits: rounding would change the cost
    dtype = "int32" if encoded.numbers else setting.dtype if encoded.hard else setting.place.widest
    Y = setting.place.put(encoded.Y, dtype)
    with setting.place.computing():
        weight = None if weight is None else setting.place.put(weight, setting.dtype)
    total = labels.total_of(weight, encoded.Y.shape[1])
    n_classes = len(encoded.classes) if encoded.numbers else None
    return InMemory(setting.X, Y, weight, setting.place, setting.dtype, total, setting.samples == "rows", n_classes)


def _held(parts: Shards, encoded: labels.Targets, weight: Array | None) -> Distributed:
    """Samples of parts, after sending them the targets and weights that they do not have."""
    own: dict[str, Any] = {} if encoded.Y is parts.targets.Y else {"Y": to_host(encoded.Y)}
    if not own and weight is parts.weight:
        return parts.source()
    fields: dict[str, Any] = {"n_classes": len(encoded.classes) if encoded.numbers else None}
    if weight is None:
        fields["weight"] = None
    else:
        own["weight"] = to_host(weight)
    held = parts.source().with_columns(attach, own, **fields)
    return dataclasses.replace(held, total_weight=labels.total_of(weight, parts.m))


def erased_class(source: InMemory | Distributed, encoded: labels.Targets) -> int | None:
    """Number of a class whose samples all have the weight zero; None if every class has weight."""
    if isinstance(source, Distributed):
        lost = np.flatnonzero(source.mass.classes == 0)
        return int(lost[0]) if lost.size else None
    if source.weight is None:
        return None
    with source.place.computing():
        return labels.erased_class(encoded._replace(Y=source.Y), source.weight)


def _computing_dtype(X: Array, dtype: Any, place: Place) -> str:
    asked, natural = dtype_option(dtype), computing_dtype(X)
    if (asked or natural) == "float32" or place.widest == "float64":
        return asked or natural
    remedy = LIBRARIES[place.name].float64_remedy
    if asked:
        raise ValueError(f"dtype='float64' is not available on {place}{remedy}")
    if dtype_name(X) == "float64":
        warn(f"X is float64, but {place} has no float64: computing in float32{remedy}", PrecisionWarning)
    return "float32"
