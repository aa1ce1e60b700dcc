"""What a worker of a dask cluster does: looks at blocks of a collection, makes parts of them, and passes over these.

A part is an `InMemory` on the place of its worker. All functions here are sent to the workers by name, so that these
need nothing but this library.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xlogreg.backends import HOST, Array, Place, dtype_name, place_of, to_host
from xlogreg.data import InMemory
from xlogreg.exceptions import BackendUnavailableError
from xlogreg.labels import as_weight, encode_known, encode_targets
from xlogreg.matrices import as_matrix, computing_dtype
from xlogreg.placement import Lack, find_place
from xlogreg.tables import open_table

__all__ = [
    "AXES",
    "Intake",
    "Mass",
    "Order",
    "Refusal",
    "Survey",
    "fetch",
    "make_part",
    "ordered",
    "survey",
    "viewed",
    "weigh",
]

AXES = {"columns": 1, "rows": 0}  # of the samples
REFUSED = (TypeError, ValueError, BackendUnavailableError)
View = tuple[tuple[str, tuple[Any, ...]], ...]


class Intake(NamedTuple):
    """How blocks are taken: the arguments of `xlogreg.fit` of these names."""

    samples: str
    targets: str  # or "encoded", where Y is that of `Targets` already
    backend: str | None
    device: Any
    fallback: bool
    names: tuple[str, ...] | None = None  # of the features, in order
    known: np.ndarray | None = None  # the classes of a model, whatever labels occur


class Survey(NamedTuple):
    """A block, before the labels of the others are known."""

    m: int
    n_x: int = 0
    stored: str = ""  # the dtype of X
    computed: str = ""  # what it is computed in unless something else is asked for
    place: tuple[str, str] = ("", "")  # that computes, and its device, by name
    lack: Lack | None = None  # why it is not the one asked for
    names: tuple[str, ...] | None = None
    classes: np.ndarray | None = None  # that occur in Y, or are known; None without either
    hard: bool = True


class Refusal(NamedTuple):
    """An error of the user's, which is no failure of the task: trying again would not help."""

    kind: type[Exception]
    message: str


def survey(X: Any, Y: Any, weight: Any, intake: Intake) -> Survey | Refusal:
    """Look at a block of X and, where they are collections, at those of Y and of the weights."""
    try:
        return _surveyed(X, Y, weight, intake)
    except REFUSED as error:
        return Refusal(next(kind for kind in REFUSED if isinstance(error, kind)), str(error))


def _surveyed(X: Any, Y: Any, weight: Any, intake: Intake) -> Survey:
    if getattr(X, "ndim", 0) == 2 and X.shape[AXES[intake.samples]] == 0:
        return Survey(0)
    X, names = open_table(X, intake.samples)
    X = as_matrix(X, intake.samples)
    place, lack = _find(X, intake)
    if place.widest != "float64":
        remedy = "; set JAX_ENABLE_X64=1 where the workers are started" if place.name == "jax" else ""
        raise ValueError(f"{place} has no float64, in which sums are added up{remedy}")
    m, n_x = X.shape if intake.samples == "rows" else X.shape[::-1]
    classes, hard = intake.known, True
    if Y is not None and classes is not None:
        encode_known(Y, m, intake.samples, classes)
    elif Y is not None:
        targets = encode_targets(Y, X.shape, intake.samples, intake.targets, complete=False)
        classes, hard = targets.classes, targets.hard
    as_weight(weight, m, complete=False)
    where = place.name, place.device_name
    return Survey(m, n_x, dtype_name(X), computing_dtype(X), where, lack, names, classes, hard)


def _find(X: Array, intake: Intake) -> tuple[Place, Lack | None]:
    home = place_of(X)
    nbytes = int(np.prod(X.shape)) * getattr(X.dtype, "itemsize", 8)
    return find_place(home, nbytes, intake.backend, intake.device, intake.fallback)


# targets -> what makes Y (k, m) of a block of them, of the shape of X, samples, and all classes
ENCODE: dict[str, Callable[..., Array]] = {
    "labels": lambda Y, shape, samples, classes: encode_known(Y, shape[AXES[samples]], samples, classes),
    "probabilities": lambda Y, shape, samples, _: encode_targets(Y, shape, samples, "probabilities", complete=False).Y,
    "encoded": lambda Y, *_: Y,
}


def make_part(
    X: Any, Y: Any, weight: Any, intake: Intake, dtype: str, classes: np.ndarray, n_classes: int | None
) -> InMemory:
    """The part of a block, on the place that computes.

    Parameters
    ----------
    X, Y, weight
        Blocks; of Y and the weights also what is left of those of `labels.encode_targets` and `labels.as_weight`.
    intake : Intake
    dtype : str
        That is computed in.
    classes : ndarray (K,)
        Of all blocks.
    n_classes : int or None
        K where Y becomes numbers of classes.
    """
    X, _ = open_table(X, intake.samples, intake.names)
    X = as_matrix(X, intake.samples)
    place, _ = _find(X, intake)
    Y = ENCODE[intake.targets](Y, X.shape, intake.samples, classes)
    weight = as_weight(weight, X.shape[AXES[intake.samples]], complete=False)
    with place.computing():
        weight = None if weight is None else place.put(weight, dtype)
    Y = place.put(Y, "int32" if n_classes else dtype)
    # the sum of all weights is that of the whole, which no part knows
    return InMemory(place.put(X), Y, weight, place, dtype, 1.0, intake.samples == "rows", n_classes)


class Mass(NamedTuple):
    """The weights of a part."""

    total: float
    largest: float
    squares: float  # sum of the squares of weights, in units of the largest
    classes: np.ndarray  # weight of each class (K,)


def weigh(part: InMemory) -> Mass:
    """Of each class, and of all."""
    weight, place, masses = part.weight, part.place, part.shares()
    if part.Y.shape[0] == 1 and part.n_classes is None:  # both of two: a weight of zero is none to the bit
        with place.computing():
            opposite = dataclasses.replace(part, Y=1.0 - part.Y)
        masses = np.asarray([opposite.shares()[1], masses[1]])
    if weight is None:
        return Mass(float(part.m), 1.0, float(part.m), masses)
    with place.computing():
        xp = place.xp
        weight = xp.astype(weight, place.dtype(place.widest))
        total, largest = float(xp.sum(weight)), float(xp.max(weight))
        scaled = weight / (largest or 1.0)
        return Mass(total, largest, float(xp.sum(scaled * scaled)), masses)


class Order(NamedTuple):
    """What is to be done with a part."""

    view: View
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def ordered(part: InMemory, order: Order) -> Any:
    """function(the part in that view, *arguments)."""
    return order.function(viewed(part, order.view), *order.arguments)


def viewed(part: InMemory, view: View) -> InMemory:
    """The part after those methods of it, each with its arguments."""
    for name, arguments in view:
        part = getattr(part, name)(*arguments)
    return part


def fetch(part: InMemory, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """X (n_x, samples), Y and weight of some of the samples, by number in the part, on the host."""
    taken = part.take(part.place.put(index))
    X, Y, weight = taken.raw(0, taken.m), taken.Y, taken.weight
    return HOST.put(X), to_host(Y), None if weight is None else to_host(weight)
