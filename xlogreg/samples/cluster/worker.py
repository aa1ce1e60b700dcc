"""Work of a dask worker: look at blocks of a collection, make parts of them, and compute passes over the parts.

A part is an `InMemory` on the place of its worker. All functions here are sent to the workers by name, so that the
workers need nothing but this library.
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

AXES = {"columns": 1, "rows": 0}  # axis of the samples
REFUSED = (TypeError, ValueError, BackendUnavailableError)
View = tuple[tuple[str, tuple[Any, ...]], ...]


class Request(NamedTuple):
    """Options for blocks: the arguments of `xlogreg.fit` with these names, and two more."""

    samples: str
    targets: str  # or "encoded", if Y is already the one of `Targets`; "none" without Y
    backend: str | None
    device: Any
    fallback: bool
    names: tuple[str, ...] | None = None  # names of the features, in order
    known: np.ndarray | None = None  # classes of a model, also those that do not occur in Y


class Survey(NamedTuple):
    """Facts about a block, found before the labels of the other blocks are known."""

    m: int
    n_x: int = 0
    dtype_given: str = ""  # dtype of X
    computed: str = ""  # computing dtype, unless the user asks for another
    place: tuple[str, str] = ("", "")  # names of the backend and the device that compute
    lack: Lack | None = None  # why the place is not the one asked for
    names: tuple[str, ...] | None = None
    classes: np.ndarray | None = None  # classes that occur in Y, or the known ones; None without either
    hard: bool = True


class Refusal(NamedTuple):
    """Error in the user's input. It is not a failure of the task: trying again would not help."""

    kind: type[Exception]
    message: str


def survey(X: Any, Y: Any, weight: Any, request: Request) -> Survey | Refusal:
    """Look at a block of X, and at the blocks of Y and of the weights if these are collections."""
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
    """Number of samples in a block of an array or of a frame."""
    return int(block.shape[axis])


def join_samples(blocks: list[Any], spans: list[tuple[int, int]], axis: int) -> Any:
    """Join the samples from start to stop of each of these blocks of Y or of the weights."""
    framed = hasattr(blocks[0], "iloc")
    cuts = [block.iloc[a:b] if framed else cut(block, a, b, axis) for block, (a, b) in zip(blocks, spans, strict=True)]
    if len(cuts) == 1:
        return cuts[0]
    if framed:
        return importlib.import_module("dask.dataframe.dispatch").concat(cuts)
    return array_namespace(cuts[0]).concat(cuts, axis=axis)


# for each kind of targets, a function from a block of Y, the shape of X, samples and all classes to Y (k, m)
ENCODE: dict[str, Callable[..., Array]] = {
    "labels": lambda Y, shape, samples, classes: encode_known(Y, shape[AXES[samples]], samples, classes),
    "probabilities": lambda Y, shape, samples, _: encode_targets(Y, shape, samples, "probabilities", complete=False).Y,
    "encoded": lambda Y, *_: Y,
    "none": lambda *_: None,
}


def make_part(
    X: Any, Y: Any, weight: Any, request: Request, dtype: str, classes: np.ndarray, n_classes: int | None
) -> InMemory:
    """Make the part of a block, on the place that computes.

    Parameters
    ----------
    X, Y, weight
        Blocks. Y and the weights may also be slices of the results of `labels.encode_targets` and `labels.as_weight`.
    request : Request
    dtype : str
        The computing dtype.
    classes : ndarray (K,)
        Classes of all blocks.
    n_classes : int or None
        K if Y becomes class numbers.
    """
    X, _ = open_table(X, request.samples, request.names)
    X = as_matrix(X, request.samples)
    if isinstance(X, np.ndarray):
        X = np.require(X, requirements="A")  # data from a network are seldom aligned, see `lies_ready`
    place, _ = _find(X, request)
    Y = ENCODE[request.targets](Y, X.shape, request.samples, classes)
    weight = as_weight(weight, X.shape[AXES[request.samples]], complete=False)
    with place.computing():
        weight = None if weight is None else place.put(weight, dtype)
    Y = None if Y is None else place.put(Y, "int32" if n_classes else dtype)
    # a total weight of 1.0: no part knows the sum of all weights
    return InMemory(place.put(X), Y, weight, place, dtype, 1.0, request.samples == "rows", n_classes)


class Mass(NamedTuple):
    """Sums of the weights of a part, or of all samples."""

    total: float
    largest: float
    squares: float  # sum of the squares of weights, in units of the largest
    classes: np.ndarray  # weight of each class (K,); () without Y

    @property
    def effective(self) -> float:
        """Effective number of samples (sum s)^2 / sum s^2, without overflow (Kish, Survey Sampling, 1965)."""
        return (self.total / self.largest) ** 2 / self.squares


def merge_masses(masses: Sequence[Mass]) -> Mass:
    """Merge the masses of all parts into one."""
    largest = max(mass.largest for mass in masses)
    squares = math.fsum(mass.squares * (mass.largest / (largest or 1.0)) ** 2 for mass in masses)
    return Mass(math.fsum(mass.total for mass in masses), largest, squares, np.sum([m.classes for m in masses], axis=0))


def weigh(part: InMemory) -> Mass:
    """Sum the weights of each class, and of all samples."""
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
    """Weigh the part for each of the models that have targets or weights of their own."""
    columns = part.target_of if part.weight_of is None else part.weight_of
    return [weigh(part.alone(model)) for model in range(1 if columns is None else len(columns))]


class Task(NamedTuple):
    """Function to call with a view of a part, and its other arguments."""

    view: View
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


Columns = dict[str, Any]  # fields of a part that models have of their own, by name


def ordered(part: InMemory, task: Task, columns: Columns | None = None) -> Any:
    """Call the function of the task with the part, after setting the fields in ``columns`` and applying the view."""
    part = dataclasses.replace(part, **columns) if columns else part
    with pages_kept():
        return task.function(viewed(part, task.view), *task.arguments)


def columns_of(part: InMemory, task: Task, columns: Columns | None = None) -> Columns:
    """Add the fields that the function of the task returns to those in ``columns``."""
    return (columns or {}) | ordered(part, task, columns)


def attach(part: InMemory, **fields: Any) -> Columns:
    """Return the fields, with targets and weights brought to the place of the part."""
    with part.place.computing():
        put = {name: part.place.put(fields[name]) for name in ("Y", "weight") if fields.get(name) is not None}
    return fields | put


def narrow(part: InMemory) -> Columns:
    """Fields that differ when the part is computed in float32."""
    narrowed = part.narrowed()
    return {name: getattr(narrowed, name) for name in ("X", "rows", "index", "center", "dtype")}


def scale(part: InMemory, factors: np.ndarray) -> InMemory:
    """Return the part with its weights multiplied by the factors (K,) of the samples' classes."""
    xp, place = part.place.xp, part.place
    with place.computing():
        numbers = xp.astype(xp.reshape(part.Y, (-1,)), xp.int32)
        weight = xp.take(place.put(factors, part.dtype), numbers, axis=0)[None, :]
        return dataclasses.replace(part, weight=weight if part.weight is None else weight * part.weight)


def contents(part: InMemory, dtype: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Bring Y, in ``dtype`` or its own dtype, and the weights to the host."""
    Y = to_host(part.Y)
    return Y if dtype is None else Y.astype(dtype), None if part.weight is None else to_host(part.weight)


def viewed(part: InMemory, view: View) -> InMemory:
    """Apply the methods of a view, each with its arguments, to the part."""
    for name, arguments in view:
        part = getattr(part, name)(*arguments)
    return part


def fetch(part: InMemory, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, int | None]:
    """Bring X (n_x, samples), Y and weight of some samples, by number in the part, to the host; add `n_classes`."""
    taken = part.take(part.place.put(index))
    Y, weight = (None if values is None else to_host(values) for values in (taken.Y, taken.weight))
    return HOST.put(taken.raw(0, taken.m)), Y, weight, part.n_classes
