"""Where X holds values that cannot be computed with: looked for once the sums of a pass have shown that it does."""

import numpy as np

from xlogreg.backends import dtype_name, to_host
from xlogreg.data import InMemory
from xlogreg.stored import Stored

__all__ = ["refuse_nonfinite"]


def refuse_nonfinite(source: InMemory) -> None:
    """Say where X holds values that cannot be computed with; returns if there are none.

    Raises
    ------
    ValueError
        Names the first such value by row and column of X as it was handed in, and how many there are.
    """
    xp = source.place.xp
    dtype = source.place.dtype(source.dtype)
    count, first = 0, None
    with source.place.computing():
        for start, stop in source.spans():
            part = source.raw(start, stop)
            X = to_host(xp.astype(part, dtype, copy=False))
            bad = ~np.isfinite(X)
            here = int(np.sum(bad))
            if here and first is None:
                at = np.unravel_index(np.argmax(bad), bad.shape)
                first = int(at[0]), start + int(at[1]), float(X[at]), dtype_name(part)
            count += here
    if first is None:
        return
    feature, sample, value, stored = first
    row, column = (sample, feature) if source.rows else (feature, sample)
    where = f"the first is {value} at row {row}, column {column}"
    block = source.X.name(sample) if isinstance(source.X, Stored) and source.index is None else ""
    where += f" ({block})" if block else ""
    overflow = f" in {source.dtype}, computed from {stored}" if stored != source.dtype else ""
    raise ValueError(
        f"X holds {count} value{'s' * (count > 1)} that {'are' if count > 1 else 'is'} not finite (NaN or infinity)"
        f"{overflow}: {where}; remove or impute {'them' if count > 1 else 'it'} first"
    )
