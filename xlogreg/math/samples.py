"""All that one sample adds to the sums of a model of two classes, for libraries that make one kernel of it."""

import functools
from collections.abc import Callable
from typing import Any

from xlogreg.arrays.place import Array, array_namespace, log1p

__all__ = ["sample_terms"]

Elements = Callable[[Array, Array], tuple[Array, ...]]


@functools.cache
def sample_terms(
    elements: Elements, dtype: Any, proves: bool, curves: bool, widens: bool
) -> Callable[..., tuple[Array, ...]]:
    """Return a function of scores W'x, bias, offset, targets and weights that works element by element.

    Its results are the weighted derivatives in the dtype of the scores, and the weighted losses in ``dtype``. If it
    ``widens``, the derivatives follow once more in ``dtype``, which takes memory. If it ``proves``, a 1 follows for
    each sample that may be on the wrong side without its offset, and a 0 for the others. If it ``curves``, the weighted
    curvatures follow in ``dtype``. Offset and weights may be None. ``elements`` are those of a `Loss`.
    """

    def terms(Z: Array, b: Array, offset: Array | None, Y: Array, weight: Array | None) -> tuple[Array, ...]:
        xp, moves = array_namespace(Z), Z + b
        excess, tail, dZ, C = elements(moves if offset is None else moves + offset, Y)
        losses, found = excess + log1p(tail), []
        dZ = dZ if weight is None else weight * dZ
        if widens:
            found.append(xp.astype(dZ, dtype))
        if proves:
            wrong, near = (excess, tail) if offset is None else elements(moves, Y)[:2]
            open = (wrong > 0.0) | (near >= 1.0)
            found.append(xp.astype(open if weight is None else open & (weight > 0.0), dtype if widens else xp.uint8))
        if curves:
            found.append(xp.astype(C if weight is None else weight * C, dtype))
        return (dZ, xp.astype(losses if weight is None else weight * losses, dtype), *found)

    return terms
