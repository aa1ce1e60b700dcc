"""The door for samples: X, labels and weights are checked here together, in the same order wherever they come in."""

from collections.abc import Callable
from typing import Any, NamedTuple

from xlogreg.arrays.matrix import Matrix
from xlogreg.arrays.place import Array
from xlogreg.inputs.labels import Targets, as_weight
from xlogreg.inputs.matrices import as_matrix
from xlogreg.inputs.tables import open_table

__all__ = ["Taken", "take", "take_features"]

Encode = Callable[[Any, tuple[int, ...], str], Targets]  # takes Y, the shape of X and samples


class Taken(NamedTuple):
    """Samples that are checked."""

    X: Matrix
    names: tuple[str, ...] | None  # of the features
    targets: Targets
    weight: Array | None  # (1, m)


def take_features(
    X: Any, samples: str, wanted: tuple[str, ...] | None = None, n_x: int | None = None
) -> tuple[Matrix, tuple[str, ...] | None]:
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
    """
    table, names = open_table(X, samples, wanted)
    matrix = as_matrix(table, samples, n_x)
    return matrix, names if matrix.names is None else matrix.names


def take(
    X: Any,
    Y: Any,
    weight: Any,
    *,
    samples: str,
    encode: Encode,
    wanted: tuple[str, ...] | None = None,
    n_x: int | None = None,
    complete: bool = True,
) -> Taken:
    """Check samples: X first, then Y, then the weights.

    Parameters
    ----------
    X, samples, wanted, n_x
        As for `take_features`.
    Y, weight : object
        As the user handed them in; ``weight`` may be None.
    encode : callable
        Makes the targets from Y, the shape of X and ``samples``.
    complete : bool
        Whether these are all samples, so that some must have weight.
    """
    matrix, names = take_features(X, samples, wanted, n_x)
    targets = encode(Y, matrix.shape, samples)
    return Taken(matrix, names, targets, as_weight(weight, matrix.m, complete))
