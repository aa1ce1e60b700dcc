"""Find the values of X that are not finite, after the sums of a pass have shown that X holds some."""

from typing import NamedTuple

import numpy as np

from xlogreg.arrays.place import dtype_name, to_host
from xlogreg.arrays.stored import Stored
from xlogreg.samples.cluster.distributed import Distributed
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Samples

__all__ = ["refuse_nonfinite"]


class Found(NamedTuple):
    """Number of values that are not finite, and the first of them."""

    values: int
    feature: int
    sample: int
    value: float
    dtype_given: str  # dtype of X


def refuse_nonfinite(source: Samples) -> None:
    """Raise an error that says where X holds values that are not finite; return if there are none.

    Raises
    ------
    ValueError
        The message has the number of these values, the row and column of the first one in X as it was handed in, and
        its block of a dask collection or of a stored X.
    """
    found, block = _everywhere(source)
    if not found:
        return
    count, first = sum(part.values for part in found), found[0]
    row, column = (first.sample, first.feature) if source.rows else (first.feature, first.sample)
    where = f"the first is {first.value} at row {row}, column {column}{block}"
    overflow = f" in {source.dtype}, computed from {first.dtype_given}" if first.dtype_given != source.dtype else ""
    raise ValueError(
        f"X holds {count} value{'s' * (count > 1)} that {'are' if count > 1 else 'is'} not finite (NaN or infinity)"
        f"{overflow}: {where}; remove or impute {'them' if count > 1 else 'it'} first"
    )


def _everywhere(source: Samples) -> tuple[list[Found], str]:
    """Return what was found in each part, in order, and a text that names the block of the first value."""
    if not isinstance(source, Distributed):
        assert isinstance(source, InMemory)
        found = find_nonfinite(source)
        block = source.X.name(found.sample) if found and isinstance(source.X, Stored) and source.index is None else ""
        return [] if found is None else [found], f" ({block})" if block else ""
    pairs = zip(source.each(find_nonfinite), source.parts.pieces, strict=True)
    there = [(found._replace(sample=found.sample + piece.start), piece.name) for found, piece in pairs if found]
    return [found for found, _ in there], f", in {there[0][1]}" if there else ""


def find_nonfinite(source: InMemory) -> Found | None:
    """Count the values that are not finite among samples in memory, and find the first; None if there are none."""
    xp = source.place.xp
    dtype = source.place.dtype(source.dtype)
    first: Found | None = None
    with source.place.computing():
        for start, stop in source.spans():
            part = source.raw(start, stop)
            X = to_host(xp.astype(part, dtype, copy=False))
            bad = ~np.isfinite(X)
            here = int(np.sum(bad))
            if here and first is None:
                at = np.unravel_index(np.argmax(bad), bad.shape)
                first = Found(0, int(at[0]), start + int(at[1]), float(X[at]), dtype_name(part))
            if first is not None:
                first = first._replace(values=first.values + here)
    return first
