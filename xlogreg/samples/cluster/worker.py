"""What a worker of a dask cluster does: looks at blocks of a collection, makes parts of them, and passes over these.

A part is an `InMemory` on the place of its worker. All functions here are sent to the workers by name, so that these
need nothing but this library.
"""

import dataclasses
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.choice import Lack, find_place
from xlogreg.arrays.libraries.numpy import pages_kept
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.place import HOST, Array, Place, array_namespace, dtype_name, place_of, to_host
from xlogreg.arrays.stored import cut
from xlogreg.exceptions import BackendUnavailableError
from xlogreg.inputs.labels import as_weight, encode_known, encode_targets, encode_truth
from xlogreg.inputs.matrices import as_matrix, computing_dtype
from xlogreg.inputs.tables import open_table
from xlogreg.samples.memory import InMemory

__all__ = [
    "AXES",
    "Mass",
    "Refusal",
    "Request",
    "Survey",
    "Task",
    "attach",
    "columns_of",
    "contents",
    "count_samples",
    "fetch",
    "join_samples",
    "make_part",
    "merge_masses",
    "narrow",
    "ordered",
    "scale",
    "survey",
    "viewed",
    "weigh",
    "weigh_models",
]

AXES = {"columns": 1, "rows": 0}  # of the samples
REFUSED = (TypeError, ValueError, BackendUnavailableError)
View = tuple[tuple[str, tuple[Any, ...]], ...]


class Request(NamedTuple):
    """How blocks are taken: the arguments of `xlogreg.fit` of these names."""

    samples: str
    targets: str  # or "encoded", where Y is that of `Targets` already; "none" without Y
    backend: str | None
    device: Any
    fallback: bool
    names: tuple[str, ...] | None = None  # of the features, in order
    known: np.ndarray | None = None  # the classes of a model, whatever labels occur


class Survey(NamedTuple):
    """A block, before the labels of the others are known."""

    m: int
    n_x: int = 0
    dtype_given: str = ""  # of X
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


def survey(X: Any, Y: Any, weight: Any, request: Request) -> Survey | Refusal:
    """Look at a block of X and, where they are collections, at those of Y and of the weights."""
    try:
        return _surveyed(X, Y, weight, request)
    except REFUSED as error:
        return Refusal(next(kind for kind in REFUSED if isinstance(error, kind)), str(error))


def _surveyed(X: Any, Y: Any, weight: Any, request: Request) -> Survey:
    if getattr(X, "ndim", 0) == 2 and X.shape[AXES[request.samples]] == 0:
        return Survey(0)
    X, names = open_table(X, request.samples)
    X = as_matrix(X, request.samples)
    place, lack = _find(X, request)
    if place.widest != "float64":
        remedy = LIBRARIES[place.name].float64_remedy_of_workers
        raise ValueError(f"{place} has no float64, in which sums are added up{remedy}")
    m, n_x = X.shape if request.samples == "rows" else X.shape[::-1]
    classes, hard = request.known, True
    if Y is not None and classes is not None:
        hard = encode_truth(Y, X.shape, request.samples, classes, request.targets).hard
    elif Y is not None:
        targets = encode_targets(Y, X.shape, request.samples, request.targets, complete=False)
        classes, hard = targets.classes, targets.hard
    as_weight(weight, m, complete=False)
    where = place.name, place.device_name
    return Survey(m, n_x, dtype_name(X), computing_dtype(X), where, lack, names, classes, hard)


def _find(X: Array, request: Request) -> tuple[Place, Lack | None]:
    home = place_of(X)
    nbytes = int(np.prod(X.shape)) * getattr(X.dtype, "itemsize", 8)
    return find_place(home, nbytes, request.backend, request.device, request.fallback)


def count_samples(block: Any, axis: int) -> int:
    """How many samples a block of an array or of a frame holds."""
    return int(block.shape[axis])


def join_samples(blocks: list[Any], spans: list[tuple[int, int]], axis: int) -> Any:
    """The samples from start to stop of each of these blocks of Y or of the weights, one after the other."""
    framed = hasattr(blocks[0], "iloc")
    cuts = [block.iloc[a:b] if framed else cut(block, a, b, axis) for block, (a, b) in zip(blocks, spans, strict=True)]
    if len(cuts) == 1:
        return cuts[0]
    if framed:
        return importlib.import_module("dask.dataframe.dispatch").concat(cuts)
    return array_namespace(cuts[0]).concat(cuts, axis=axis)


# targets -> what makes Y (k, m) of a block of them, of the shape of X, samples, and all classes
ENCODE: dict[str, Callable[..., Array]] = {
    "labels": lambda Y, shape, samples, classes: encode_known(Y, shape[AXES[samples]], samples, classes),
    "probabilities": lambda Y, shape, samples, _: encode_targets(Y, shape, samples, "probabilities", complete=False).Y,
    "encoded": lambda Y, *_: Y,
    "none": lambda *_: None,
}


def make_part(
    X: Any, Y: Any, weight: Any, request: Request, dtype: str, classes: np.ndarray, n_classes: int | None
) -> InMemory:
    """The part of a block, on the place that computes.

    Parameters
    ----------
    X, Y, weight
        Blocks; of Y and the weights also what is left of those of `labels.encode_targets` and `labels.as_weight`.
    request : Request
    dtype : str
        That is computed in.
    classes : ndarray (K,)
        Of all blocks.
    n_classes : int or None
        K where Y becomes numbers of classes.
    """
    X, _ = open_table(X, request.samples, request.names)
    X = as_matrix(X, request.samples)
    if isinstance(X, np.ndarray):
        X = np.require(X, requirements="A")  # which what came through a wire seldom is, see `host.convert`
    place, _ = _find(X, request)
    Y = ENCODE[request.targets](Y, X.shape, request.samples, classes)
    weight = as_weight(weight, X.shape[AXES[request.samples]], complete=False)
    with place.computing():
        weight = None if weight is None else place.put(weight, dtype)
    Y = None if Y is None else place.put(Y, "int32" if n_classes else dtype)
    # the sum of all weights is that of the whole, which no part knows
    return InMemory(place.put(X), Y, weight, place, dtype, 1.0, request.samples == "rows", n_classes)


class Mass(NamedTuple):
    """The weights of a part."""

    total: float
    largest: float
    squares: float  # sum of the squares of weights, in units of the largest
    classes: np.ndarray  # weight of each class (K,); () without Y

    @property
    def effective(self) -> float:
        """(sum s)^2 / sum s^2, without overflow (Kish, Survey Sampling, 1965)."""
        return (self.total / self.largest) ** 2 / self.squares


def merge_masses(masses: Sequence[Mass]) -> Mass:
    """That of all parts."""
    largest = max(mass.largest for mass in masses)
    squares = math.fsum(mass.squares * (mass.largest / (largest or 1.0)) ** 2 for mass in masses)
    return Mass(math.fsum(mass.total for mass in masses), largest, squares, np.sum([m.classes for m in masses], axis=0))


def weigh(part: InMemory) -> Mass:
    """Of each class, and of all."""
    weight, place = part.weight, part.place
    masses = np.zeros(0) if part.Y is None else part.shares()
    if weight is None:
        return Mass(float(part.m), 1.0, float(part.m), masses)
    with place.computing():
        xp = place.xp
        weight = xp.astype(weight, place.dtype(place.widest))
        total, largest = float(xp.sum(weight)), float(xp.max(weight))
        scaled = weight / (largest or 1.0)
        return Mass(total, largest, float(xp.sum(scaled * scaled)), masses)


def weigh_models(part: InMemory) -> list[Mass]:
    """Of each of the models that have targets or weights of their own."""
    columns = part.target_of if part.weight_of is None else part.weight_of
    return [weigh(part.alone(model)) for model in range(1 if columns is None else len(columns))]


class Task(NamedTuple):
    """What is to be done with a part."""

    view: View
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


Columns = dict[str, Any]  # fields of a part that models have of their own, by name


def ordered(part: InMemory, task: Task, columns: Columns | None = None) -> Any:
    """function(the part with those fields and in that view, *arguments)."""
    part = dataclasses.replace(part, **columns) if columns else part
    with pages_kept():
        return task.function(viewed(part, task.view), *task.arguments)


def columns_of(part: InMemory, task: Task, columns: Columns | None = None) -> Columns:
    """The fields that the function of the task gives, beside those that there were."""
    return (columns or {}) | ordered(part, task, columns)


def attach(part: InMemory, **fields: Any) -> Columns:
    """The fields, of which targets and weights are brought to where the part is."""
    with part.place.computing():
        put = {name: part.place.put(fields[name]) for name in ("Y", "weight") if fields.get(name) is not None}
    return fields | put


def narrow(part: InMemory) -> Columns:
    """What the part in float32 has of its own."""
    narrowed = part.narrowed()
    return {name: getattr(narrowed, name) for name in ("X", "rows", "index", "center", "dtype")}


def scale(part: InMemory, factors: np.ndarray) -> InMemory:
    """The part with weights times the factors (K,) of the samples' classes."""
    xp, place = part.place.xp, part.place
    with place.computing():
        numbers = xp.astype(xp.reshape(part.Y, (-1,)), xp.int32)
        weight = xp.take(place.put(factors, part.dtype), numbers, axis=0)[None, :]
        return dataclasses.replace(part, weight=weight if part.weight is None else weight * part.weight)


def contents(part: InMemory, dtype: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Y, in that dtype or its own, and the weights, on the host."""
    Y = to_host(part.Y)
    return Y if dtype is None else Y.astype(dtype), None if part.weight is None else to_host(part.weight)


def viewed(part: InMemory, view: View) -> InMemory:
    """The part after those methods of it, each with its arguments."""
    for name, arguments in view:
        part = getattr(part, name)(*arguments)
    return part


def fetch(part: InMemory, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, int | None]:
    """X (n_x, samples), Y and weight of some of the samples, by number in the part, on the host; and `n_classes`."""
    taken = part.take(part.place.put(index))
    Y, weight = (None if values is None else to_host(values) for values in (taken.Y, taken.weight))
    return HOST.put(taken.raw(0, taken.m)), Y, weight, part.n_classes
