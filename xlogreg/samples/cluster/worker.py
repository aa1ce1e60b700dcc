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

from xlogreg.arrays.choice import Lack, Where, find_place
from xlogreg.arrays.libraries.numpy import pages_kept
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.matrix import Dense, Matrix
from xlogreg.arrays.place import HOST, Array, Place, array_namespace, dtype_name, to_host
from xlogreg.arrays.stored import cut
from xlogreg.exceptions import BackendUnavailableError
from xlogreg.inputs.columns import Found, TableOptions, look
from xlogreg.inputs.door import Features, take, take_features
from xlogreg.inputs.encoding import Encoding
from xlogreg.inputs.labels import Targets, as_weight, encode_known, encode_targets, encode_truth
from xlogreg.inputs.matrices import computing_dtype
from xlogreg.inputs.offsets import as_offset
from xlogreg.inputs.tables import open_frame
from xlogreg.samples.folds import fold_weights
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns

__all__ = [
    "AXES",
    "Mass",
    "Refusal",
    "Request",
    "Survey",
    "Task",
    "contents",
    "count_samples",
    "fetch",
    "fields_of",
    "group",
    "hold",
    "join_samples",
    "make_part",
    "mask",
    "merge_masses",
    "narrow",
    "ordered",
    "scale",
    "share",
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
    where: Where
    names: tuple[str, ...] | None = None  # names of the features, in order
    known: np.ndarray | None = None  # classes of a model, also those that do not occur in Y
    table: TableOptions | None = None  # what becomes of the columns of tables, before their encoding is known
    encoding: Encoding | None = None
    m: int | None = None  # rows of all blocks of a table


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
    dense: bool = True  # whether X is an array
    shifts: bool = True  # whether a centre can be subtracted from it
    found: tuple[Found, ...] | None = None  # what the columns of a table hold, if they are not plain numbers
    outputs: int = 0  # numbers of a sample in the offset; 0 if there is none


class Refusal(NamedTuple):
    """Error in the user's input. It is not a failure of the task: trying again would not help."""

    kind: type[Exception]
    message: str


def survey(X: Any, Y: Any, weight: Any, offset: Any, request: Request) -> Survey | Refusal:
    """Look at a block of X, and at the blocks of Y, weights and offset if these are collections."""
    try:
        return _surveyed(X, Y, weight, offset, request)
    except REFUSED as error:
        return Refusal(next(kind for kind in REFUSED if isinstance(error, kind)), str(error))


def _surveyed(X: Any, Y: Any, weight: Any, offset: Any, request: Request) -> Survey:
    if getattr(X, "ndim", 0) == 2 and X.shape[AXES[request.samples]] == 0:
        return Survey(0)
    features, found = _look(X, weight, request)
    matrix = features.X
    place, lack = _find(matrix, request)
    if place.widest != "float64":
        remedy = LIBRARIES[place.name].float64_remedy_of_workers
        raise ValueError(f"{place} has no float64, in which sums are added up{remedy}")
    classes, hard = request.known, True
    if Y is not None and classes is not None:
        hard = encode_truth(Y, matrix.shape, request.samples, classes, request.targets).hard
    elif Y is not None:
        targets = encode_targets(Y, matrix.shape, request.samples, request.targets, complete=False)
        classes, hard = targets.classes, targets.hard
    as_weight(weight, matrix.m, complete=False)
    offset = as_offset(offset, matrix.m, request.samples)
    where = place.name, place.device_name
    return Survey(
        matrix.m,
        matrix.n_x,
        dtype_name(matrix),
        computing_dtype(matrix),
        where,
        lack,
        features.names,
        classes,
        hard,
        matrix.dense,
        matrix.shifts,
        found,
        0 if offset is None else offset.shape[0],
    )


def _look(X: Any, weight: Any, request: Request) -> tuple[Features, tuple[Found, ...] | None]:
    """Check a block of X; if its columns are not plain numbers, tell what they hold."""
    table = request.table
    if request.encoding is not None or table is None or not table.used:
        m = X.shape[AXES[request.samples]]  # as parts of all samples, all blocks become matrices of one kind
        return take_features(X, request.samples, encoding=request.encoding, m=m), None
    frame = open_frame(X, request.samples)
    if frame is None:
        raise table.refusal(X)
    own = None if weight is None else to_host(as_weight(weight, frame.m, complete=False))[0]
    found, columns = look(frame, table, own)
    kind = np.float64 if columns.numbers is None else columns.numbers.dtype
    return Features(Dense(np.broadcast_to(np.zeros(1, kind), (frame.m, 1)), True), frame.names), found


def _find(X: Matrix, request: Request) -> tuple[Place, Lack | None]:
    return find_place(X.home, X.nbytes, request.where)


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
    X: Any, Y: Any, weight: Any, offset: Any, request: Request, dtype: str, classes: np.ndarray, n_classes: int | None
) -> InMemory:
    """Make the part of a block, on the place that computes.

    Parameters
    ----------
    X, Y, weight, offset
        Blocks. Y and the weights may also be slices of the results of `labels.encode_targets` and `labels.as_weight`.
    request : Request
    dtype : str
        The computing dtype.
    classes : ndarray (K,)
        Classes of all blocks.
    n_classes : int or None
        K if Y becomes class numbers.
    """
    if isinstance(X, np.ndarray):
        X = np.require(X, requirements="A")  # data from a network are seldom aligned, see `lies_ready`

    def encode(Y: Any, shape: tuple[int, ...], samples: str) -> Targets:
        return Targets(ENCODE[request.targets](Y, shape, samples, classes), classes, bool(n_classes), True)

    samples, encoding, names, m = request.samples, request.encoding, request.names, request.m
    taken = take(X, Y, weight, samples=samples, encode=encode, encoding=encoding, wanted=names, m=m, complete=False)
    matrix = taken.features.X
    place, _ = _find(matrix, request)
    Y, weight = taken.targets.Y, taken.weight
    with place.computing():
        weight = None if weight is None else place.put(weight, dtype)
    Y = None if Y is None else place.put(Y, "int32" if n_classes else dtype)
    offset = as_offset(offset, matrix.m, samples)
    with place.computing():
        offset = None if offset is None else place.put(offset, place.widest)
    # a total weight of 1.0: no part knows the sum of all weights
    return InMemory(matrix.put(place), Columns(Y, weight, offset), place, dtype, 1.0, n_classes)


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
    weight, place = part.columns.weight, part.place
    masses = np.zeros(0) if part.columns.Y is None else part.shares()
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
    of_models = part.target_of if part.weight_of is None else part.weight_of
    return [weigh(part.alone(model)) for model in range(1 if of_models is None else len(of_models))]


class Task(NamedTuple):
    """Function to call with a view of a part, and its other arguments."""

    view: View
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


Fields = dict[str, Any]  # fields of a part that models have of their own, by name


def ordered(part: InMemory, task: Task, fields: Fields | None = None) -> Any:
    """Call the function of the task with the part, after setting its ``fields`` and applying the view."""
    part = dataclasses.replace(part, **fields) if fields else part
    with pages_kept():
        return task.function(viewed(part, task.view), *task.arguments)


def fields_of(part: InMemory, task: Task, fields: Fields | None = None) -> Fields:
    """Add the fields that the function of the task returns to ``fields``."""
    return (fields or {}) | ordered(part, task, fields)


def hold(part: InMemory, columns: Columns, unweighted: bool, n_classes: int | None) -> Fields:
    """Fields of the part with the targets and weights of one model, as far as ``columns`` has them.

    ``unweighted`` takes the weights away that the part has.
    """
    held = share(part, columns, None, None)["columns"]
    return {"columns": held._replace(weight=None) if unweighted else held, "n_classes": n_classes}


def share(part: InMemory, columns: Columns, target_of: np.ndarray | None, weight_of: np.ndarray | None) -> Fields:
    """Fields of the part with targets and weights of several models, see `InMemory.sharing`."""
    with part.place.computing():
        shared = part.sharing(columns.put(part.place), target_of, weight_of)
    return {name: getattr(shared, name) for name in ("columns", "target_of", "weight_of")}


def mask(part: InMemory, columns: Columns, fold_of: np.ndarray, held_out: bool) -> Fields:
    """Fields of the part with weights of zero for folds, see `fold_weights`; ``columns.group`` numbers the folds."""
    assert columns.group is not None
    return fold_weights(part, columns.group[0], fold_of, held_out)


def group(part: InMemory, columns: Columns) -> Fields:
    """Fields of the part with the number of each sample's group, of ``columns.group``."""
    return {"columns": part.columns._replace(group=part.place.put(columns.group))}


def narrow(part: InMemory, columns: Columns) -> Fields:
    """Fields that differ when the part is computed in float32."""
    narrowed = part.narrowed()
    return {name: getattr(narrowed, name) for name in ("X", "index", "center", "dtype")}


def scale(part: InMemory, factors: np.ndarray) -> InMemory:
    """Return the part with its weights multiplied by the factors (K,) of the samples' classes."""
    xp, place = part.place.xp, part.place
    with place.computing():
        numbers = xp.astype(xp.reshape(part.columns.Y, (-1,)), xp.int32)
        weight = xp.take(place.put(factors, part.dtype), numbers, axis=0)[None, :]
        weight = weight if part.columns.weight is None else weight * part.columns.weight
        return dataclasses.replace(part, columns=part.columns._replace(weight=weight))


def contents(part: InMemory, dtype: Any) -> Columns:
    """Bring targets and weights to the host, Y in ``dtype`` or in its own dtype."""
    columns = part.columns._replace(offset=None).put(HOST)
    return columns if dtype is None else columns._replace(Y=to_host(columns.Y).astype(dtype))


def viewed(part: InMemory, view: View) -> InMemory:
    """Apply the methods of a view, each with its arguments, to the part."""
    for name, arguments in view:
        part = getattr(part, name)(*arguments)
    return part


def fetch(part: InMemory, index: np.ndarray) -> InMemory:
    """Bring some samples, by number in the part, to the host."""
    taken = part.take(part.place.put(index))
    X = Dense(HOST.put(taken.raw(0, taken.m))) if taken.dense else taken.compact().put(HOST)
    return dataclasses.replace(taken, X=X, columns=taken.columns.put(HOST), place=HOST, index=None, center=None)
