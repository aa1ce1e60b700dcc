"""Kinds of X that are no arrays. A new kind needs a file with its `Matrix`, and a line here."""

from collections.abc import Callable
from typing import Any

from xlogreg.arrays.matrix import Matrix
from xlogreg.arrays.side_by_side import beside
from xlogreg.arrays.sparse import sparse
from xlogreg.arrays.stored import stored

__all__ = ["KINDS", "kind_of"]

# each takes X as the user handed it in, and whether its samples are rows; it returns None if X is of another kind
KINDS: list[Callable[[Any, bool], Matrix | None]] = [stored, sparse, beside]


def kind_of(X: Any, rows: bool) -> Matrix | None:
    """Return X, with its samples in rows or columns, as the matrix of the first kind that it is of; None for arrays."""
    for kind in KINDS:
        if (matrix := kind(X, rows)) is not None:
            return matrix
    return None
