"""The door for samples: X, labels and weights are checked here together, in the same order wherever they come in."""

from collections.abc import Callable
from typing import Any, NamedTuple

from xlogreg.arrays.matrix import Dense, Matrix
from xlogreg.arrays.place import Array, to_host
from xlogreg.arrays.side_by_side import side_by_side
from xlogreg.inputs.columns import TableOptions, look
from xlogreg.inputs.encoding import Arranged, Encoding
from xlogreg.inputs.labels import Targets, as_weight
from xlogreg.inputs.matrices import as_matrix
from xlogreg.inputs.tables import not_numbers, open_frame, open_table

__all__ = ["Features", "Taken", "learn_features", "matrix_of", "take", "take_features"]

Encode = Callable[[Any, tuple[int, ...], str], Targets]  # takes Y, the shape of X and samples


class Features(NamedTuple):
    """X that is checked."""

    X: Matrix
    names: tuple[str, ...] | None  # of the features
    encoding: Encoding | None = None  # of the columns of a table, if they are not plain numbers


class Taken(NamedTuple):
    """Samples that are checked."""

    features: Features
    targets: Targets
    weight: Array | None  # (1, m)


def take_features(
    X: Any,
    samples: str,
    wanted: tuple[str, ...] | None = None,
    n_x: int | None = None,
    encoding: Encoding | None = None,
    m: int | None = None,
) -> Features:
    """Check X, and return it as a matrix with the names of its features.

    Parameters
    ----------
    X : object
        X as the user handed it in: an array, a table, or another kind of matrix.
    samples : {"columns", "rows"}
    wanted : tuple of str, optional
        Names of features that a table must have; they come in this order.
    n_x : int, optional
        Number of features that X must have.
    encoding : Encoding, optional
        How the columns of a table become features.
    m : int, optional
        Rows of the whole table, if X is a part of it.
    """
    if encoding is not None and hasattr(X, "with_encoding"):
        X = X.with_encoding(encoding)
    elif encoding is not None:
        frame = encoding.open(X, samples)
        if frame is not None and not frame.m:
            raise ValueError(f"X is empty: its shape is {(0, len(frame.names))}, expected (m, {len(frame.names)})")
        if frame is not None:
            arranged = encoding.arrange(frame, apart=m is None)
            return Features(matrix_of(arranged, encoding, m or frame.m), encoding.names, encoding)
    if getattr(X, "text", ()):
        raise not_numbers(dict.fromkeys(X.text, "text"))
    table, names = open_table(X, samples, wanted)
    matrix = as_matrix(table, samples, n_x)
    return Features(matrix, names if matrix.names is None else matrix.names)


def learn_features(X: Any, samples: str, asked: TableOptions, weight: Any = None) -> Features:
    """Check X, and decide what becomes of the columns of a table; X may also be checked already.

    ``weight`` is that of the samples, unchecked.
    """
    if isinstance(X, Features):
        return X
    if not asked.used:
        return take_features(X, samples)
    if hasattr(X, "encoded"):
        return X.encoded(asked, weight)
    frame = open_frame(X, samples)
    if frame is None:
        raise asked.refusal(X)
    known = None if asked.missing == "error" else as_weight(weight, frame.m)
    found, columns = look(frame, asked, None if known is None else to_host(known)[0])
    encoding = Encoding.of(found, asked, frame.m)
    return Features(matrix_of(encoding.arranged(columns), encoding, frame.m), encoding.names, encoding)


def matrix_of(arranged: Arranged, encoding: Encoding, m: int) -> Matrix:
    """Make X of a table, a part of one that has m rows."""
    if arranged.stored is not None:
        return as_matrix(arranged.sparse(encoding.n_x), "rows")
    if encoding.is_narrow(m):
        return Dense(arranged.dense(encoding.n_x), rows=True)
    return side_by_side(arranged.numbers, arranged.at, arranged.codes, arranged.features)


def take(
    X: Any,
    Y: Any,
    weight: Any,
    *,
    samples: str,
    encode: Encode,
    asked: TableOptions | None = None,
    encoding: Encoding | None = None,
    wanted: tuple[str, ...] | None = None,
    m: int | None = None,
    complete: bool = True,
) -> Taken:
    """Check samples: X first, then Y, then the weights.

    Parameters
    ----------
    X, samples, wanted, encoding, m
        As for `take_features`.
    Y, weight : object
        As the user handed them in; ``weight`` may be None.
    encode : callable
        Makes the targets from Y, the shape of X and ``samples``.
    asked : TableOptions, optional
        How the columns of a table become features, if there is no encoding yet.
    complete : bool
        Whether these are all samples, so that some must have weight.
    """
    if asked is None:
        features = take_features(X, samples, wanted, encoding=encoding, m=m)
    else:
        features = learn_features(X, samples, asked, weight)
    targets = encode(Y, features.X.shape, samples)
    return Taken(features, targets, as_weight(weight, features.X.m, complete))
