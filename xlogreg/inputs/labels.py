"""Checks of the labels and weights that the user hands in, and the encoding of labels as targets.

Every error names the argument, the value that came and the value that is right. Nothing below this file checks again.
"""

from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import Array, array_namespace, computes_there, device_of, dtype_name, place_of, to_host
from xlogreg.exceptions import one_of
from xlogreg.inputs.matrices import as_array, other_way
from xlogreg.inputs.options import TARGETS
from xlogreg.math.scores import class_numbers

__all__ = [
    "Targets",
    "as_row",
    "as_targets",
    "as_weight",
    "encode_known",
    "encode_targets",
    "encode_truth",
    "erased_class",
    "expect_finite",
    "expect_total",
    "total_of",
    "totals_of",
]


SOFT = "; of probabilities use targets='probabilities'"


class Targets(NamedTuple):
    """Targets in the form that the engine takes."""

    Y: Array  # (1, m) in {0, 1} or [0, 1]; (1, m) class numbers where `numbers`; else (K, m) probabilities
    classes: np.ndarray  # the user's labels, in order
    numbers: bool  # whether Y holds the numbers of three or more classes
    hard: bool  # whether every target is 0 or 1


def as_targets(Y: Any, m: int, samples: str) -> Array:
    """Return labels, one-hot columns or probabilities of m samples in the shape (k, m), with unchanged values."""
    return _shaped(as_array(Y, "Y", text=True), m, samples)


@computes_there
def encode_targets(Y: Any, shape: tuple[int, ...], samples: str, kind: str, complete: bool = True) -> Targets:
    """Encode labels or probabilities, for an X of that shape, as `Targets` on the place of Y.

    If ``complete``, Y holds all samples, so that each class must have some.
    """
    one_of("targets", kind, TARGETS)
    m, n_x = shape[::-1] if samples == "columns" else shape
    Y = as_array(Y, "Y", text=kind == "labels")
    try:
        Y = _shaped(Y, m, samples)
    except ValueError as error:
        if n_x in Y.shape:
            raise ValueError(f"{error}{other_way(samples)}") from None
        raise
    if isinstance(Y, np.ndarray) and Y.dtype.kind in "US":
        if Y.shape[0] > 1:
            raise ValueError(f"Y holds {Y.shape[0]} strings for each sample; it must hold one label")
        return _from_values(*_numbered(Y), complete)
    xp = array_namespace(Y)
    if dtype_name(Y) == "bool":
        encoded = encode_targets(xp.astype(Y, xp.uint8), (n_x, m), "columns", kind, complete)
        return encoded._replace(classes=encoded.classes.astype(bool)) if Y.shape[0] == 1 else encoded
    expect_finite(Y, "Y")
    return (_from_probabilities if kind == "probabilities" else _from_labels)(Y, complete)


@computes_there
def encode_known(Y: Any, m: int, samples: str, classes: np.ndarray) -> Array:
    """Return the class numbers (1, m) of labels, on the place of Y; refuse labels that the model does not have."""
    Y = as_targets(Y, m, samples)
    xp = array_namespace(Y)
    text = isinstance(Y, np.ndarray) and Y.dtype.kind in "US"
    if text != (classes.dtype.kind in "US"):
        raise ValueError(
            f"Y holds {'strings' if text else 'numbers'}, the labels of the model are {classes.tolist()[:6]}"
        )
    if Y.shape[0] == len(classes) and Y.shape[0] > 1 and not text:
        return _from_labels(Y, complete=False).Y
    if Y.shape[0] > 1:
        raise ValueError(f"Y holds {Y.shape[0]} values for each sample, but the model has {len(classes)} classes")
    if dtype_name(Y) == "bool":
        Y = xp.astype(Y, xp.uint8)
    floats = not text and xp.isdtype(Y.dtype, "real floating")
    reach = None if text or floats else xp.iinfo(Y.dtype)
    numbers, known = xp.zeros(Y.shape, dtype=xp.int32, device=device_of(Y)), 0
    for number, label in enumerate(classes.tolist()):
        # labels are whole numbers, also where they came as bools or floats
        wanted = label if text else float(label) if floats else int(label)
        if reach is not None and not reach.min <= wanted <= reach.max:  # some libraries would wrap it around
            continue
        same = wanted == Y
        numbers = numbers + number * xp.astype(same, xp.int32)
        known = known + xp.astype(same, xp.int32)
    if not bool(xp.all(known == 1)):
        first = int(np.argmax(to_host(known)[0, :] == 0))
        label = to_host(Y)[0, first].item()
        soft = floats and 0 < label < 1
        raise ValueError(f"Y holds the label {label!r} (sample {first}), which the model does not have{SOFT * soft}")
    return numbers


def encode_truth(Y: Any, shape: tuple[int, ...], samples: str, classes: np.ndarray, kind: str) -> Targets:
    """Encode labels or probabilities, as ``kind`` says, to judge a model of these classes on an X of that shape."""
    if kind == "labels":
        numbers = encode_known(Y, shape[0 if samples == "rows" else 1], samples, classes)
        return Targets(numbers, classes, len(classes) > 2, True)
    found = encode_targets(Y, shape, samples, kind, complete=False)
    if len(found.classes) != len(classes):
        raise ValueError(f"Y holds probabilities of {len(found.classes)} classes, the model has {len(classes)}")
    return found._replace(classes=classes)


@computes_there
def as_weight(weight: Any, m: int, complete: bool = True) -> Array | None:
    """Return sample_weight as an array (1, m), or None; if ``complete``, for all samples: some must be above 0."""
    if weight is None:
        return None
    weight = as_row(weight, m)
    xp = array_namespace(weight)
    expect_finite(weight, "sample_weight")
    if bool(xp.any(weight < 0)):
        raise ValueError(f"sample_weight must not be negative; its smallest value is {float(xp.min(weight))}")
    if complete and not bool(xp.any(weight > 0)):
        raise ValueError("sample_weight is zero for every sample")
    return weight


def as_row(weight: Any, m: int) -> Array:
    """Return sample_weight as an array (1, m) of numbers."""
    weight = as_array(weight, "sample_weight")
    if tuple(weight.shape) not in ((m,), (1, m)):
        raise ValueError(f"sample_weight must have the shape ({m},), one for each sample; got {tuple(weight.shape)}")
    xp = array_namespace(weight)
    return xp.reshape(xp.astype(weight, xp.uint8) if dtype_name(weight) == "bool" else weight, (1, m))


def total_of(weight: Array | None, m: int) -> float:
    """Sum the sample weights in the widest float of their place; without weights, the sum is m."""
    if weight is None:
        return float(m)
    place = place_of(weight)
    with place.computing():  # without a warning for a sum that overflows
        return expect_total(float(place.xp.sum(weight, dtype=place.dtype(place.widest))), dtype_name(weight))


def totals_of(weights: Array) -> list[float]:
    """Sum each of the weights (t, 1, m) in the widest float of their place: one transfer for all."""
    place = place_of(weights)
    with place.computing():
        return to_host(place.xp.sum(weights, axis=(1, 2), dtype=place.dtype(place.widest))).tolist()


def expect_total(total: float, dtype: str) -> float:
    """Return the sum of weights of that dtype; raise if nothing can be computed with it."""
    if not 1e-300 < total < 1e300:
        raise ValueError(
            f"the sum of sample_weight is {total:g} in {dtype}, too small or too large to compute with; "
            "multiply sample_weight by a number"
        )
    return total


def erased_class(targets: Targets, weight: Array) -> int | None:
    """Number of a class whose samples all have weight zero, or None; both arguments are on one place."""
    xp = array_namespace(targets.Y)
    for number in range(len(targets.classes)):
        if targets.numbers:
            present = number == targets.Y
        elif targets.Y.shape[0] == 1:
            present = targets.Y > 0 if number else targets.Y < 1
        else:
            present = targets.Y[number : number + 1, :] > 0
        if not bool(xp.any(xp.logical_and(present, weight > 0))):
            return number
    return None


def expect_finite(values: Array, name: str) -> None:
    """Raise if any of the values (k, m) is not finite; say how many are not, and which sample has the first."""
    xp = array_namespace(values)
    if bool(xp.all(xp.isfinite(values))):
        return
    bad = ~np.isfinite(to_host(values))
    count, first = int(np.sum(bad)), int(np.argmax(np.any(bad, axis=0)))
    values_are = "values that are" if count > 1 else "value that is"
    raise ValueError(
        f"{name} holds {count} {values_are} not finite (NaN or infinity): the first is that of sample {first}"
    )


def _shaped(Y: Array, m: int, samples: str) -> Array:
    """Return Y in the shape (k, m)."""
    xp = array_namespace(Y)
    expected = f"({m},), (1, {m}) or (K, {m})" if samples == "columns" else f"({m},), ({m}, 1) or ({m}, K)"
    if Y.ndim == 1 and Y.shape[0] == m:
        return xp.reshape(Y, (1, m))
    if Y.ndim == 2:
        across = xp.matrix_transpose(Y) if samples == "rows" else Y
        if across.shape[1] == m and across.shape[0] > 0:
            return across
        if samples == "rows" and tuple(Y.shape) == (1, m):
            return Y
    raise ValueError(f"Y has the shape {tuple(Y.shape)}, but X holds {m} samples: expected {expected}")


def _from_values(values: np.ndarray, numbers: Array, complete: bool = True) -> Targets:
    if values.shape[0] < 2 and complete:
        raise ValueError(f"Y holds one class only ({values.tolist()[0]!r}); there must be two or more")
    return Targets(numbers, values, values.shape[0] > 2, True)


def _numbered(Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, numbers = np.unique(Y, return_inverse=True)
    return values, numbers.reshape(1, -1)


def _from_labels(Y: Array, complete: bool = True) -> Targets:
    xp = array_namespace(Y)
    if xp.isdtype(Y.dtype, "real floating") and not bool(xp.all(xp.round(Y) == Y)):
        raise ValueError(
            "Y holds floats that are not whole numbers, which are no labels; "
            "for probabilities in [0, 1] use targets='probabilities'"
        )
    if Y.shape[0] > 1:
        hot = bool(xp.all(xp.logical_or(Y == 0, Y == 1)))
        if not hot or not bool(xp.all(xp.sum(xp.astype(Y == 1, xp.int32), axis=0) == 1)):
            raise ValueError(
                f"Y has {Y.shape[0]} rows, one a class, but its columns are not one-hot (a single 1, else 0); "
                "for probabilities use targets='probabilities'"
            )
        classes = np.arange(Y.shape[0])
        absent = [number for number in range(Y.shape[0]) if not bool(xp.any(Y[number, :] == 1))]
        if absent and complete:
            raise ValueError(f"Y has no sample of class {absent[0]}: that row of its one-hot columns is all 0")
        return _from_values(classes, class_numbers(Y))
    low, high = xp.min(Y), xp.max(Y)
    if bool(xp.all(xp.logical_or(low == Y, high == Y))):  # two classes need no sorting
        edges = [_as_label(low)] if bool(low == high) else [_as_label(low), _as_label(high)]
        return _from_values(np.asarray(edges, dtype=_label_dtype(Y)), high == Y, complete)
    values = xp.sort(xp.unique_values(Y))  # the standard leaves the order open
    classes = np.asarray([_as_label(values[i]) for i in range(values.shape[0])], dtype=_label_dtype(Y))
    if place_of(Y).offers("int64"):
        found = xp.unique_inverse(Y)
        numbers = xp.take(xp.argsort(xp.argsort(found.values)), xp.reshape(found.inverse_indices, (-1,)))
    else:  # unique_inverse would return int64
        numbers = sum(xp.astype(values[i] < Y, xp.int32) for i in range(values.shape[0]))
    return _from_values(classes, xp.reshape(numbers, (1, -1)))


def _as_label(value: Array) -> int | float:
    xp = array_namespace(value)
    return float(value) if xp.isdtype(value.dtype, "real floating") else int(value)


def _label_dtype(Y: Array) -> str:
    name = dtype_name(Y)
    if name in (f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64)):
        return name
    return name if name in ("float16", "float32", "float64") else "float64" if "float" in name else "int64"


def _from_probabilities(Y: Array, complete: bool) -> Targets:
    xp = array_namespace(Y)
    if not xp.isdtype(Y.dtype, "real floating"):
        Y = xp.astype(Y, xp.float32, copy=False)
    if bool(xp.any(xp.logical_or(Y < 0, Y > 1))):
        reach = f"{float(xp.min(Y))} to {float(xp.max(Y))}"
        raise ValueError(f"Y must lie in [0, 1] for targets='probabilities'; it reaches from {reach}")
    if Y.shape[0] > 1:
        sums = xp.sum(Y, axis=0)
        if bool(xp.any(xp.abs(sums - 1.0) > 1e-4)):
            raise ValueError("the columns of Y must sum to one for targets='probabilities' of K classes")
        if Y.shape[0] == 2:
            Y = Y[1:, :]
    masses = [xp.sum(1.0 - Y), xp.sum(Y)] if Y.shape[0] == 1 else [xp.sum(Y[k, :]) for k in range(Y.shape[0])]
    for number, mass in enumerate(masses):
        if complete and not bool(mass > 0):
            raise ValueError(f"Y gives class {number} no probability in any sample; each class needs some")
    hard = bool(xp.all(xp.logical_or(Y == 0, Y == 1)))
    return Targets(Y, np.arange(max(2, Y.shape[0])), False, hard)
