"""Refuse an X with values that are not finite, after the sums of a pass have shown that it holds some."""

from typing import Any

from xlogreg.arrays.place import dtype_name
from xlogreg.samples.source import Flaws, Samples

__all__ = ["find_flaws", "refuse_nonfinite"]


def find_flaws(source: Any) -> Flaws:
    """Find the values of X that are not finite, in samples of one process."""
    found, X = Flaws(0), source.X
    # what is free on a device decides about the blocks there, but not about which value is told of
    by_feature = not source.place.small_blocks
    with source.place.computing():
        for start, stop in source.spans(temporaries=2):
            flaw = X.flaw(source.raw(start, stop), source.place, source.dtype)
            if flaw is None:
                continue
            if not found.values or (by_feature and flaw.feature < found.feature):
                sample, given = start + flaw.sample, (X.rows, dtype_name(X))
                part = X.name(sample) if source.index is None else ""
                found = Flaws(found.values, flaw.value, flaw.feature, sample, f" ({part})" if part else "", *given)
            found = found._replace(values=found.values + flaw.values)
    return found


def refuse_nonfinite(source: Samples) -> None:
    """Raise an error that says where X holds values that are not finite; return if there are none.

    Raises
    ------
    ValueError
        The message has the number of these values, the row and column of the first one in X as it was handed in, and
        its block of a dask collection or of an X that is read.
    """
    found = source.flaws()
    if not found.values:
        return
    row, column = (found.sample, found.feature) if found.rows else (found.feature, found.sample)
    several = found.values > 1
    overflow = f" in {source.dtype}, computed from {found.dtype_given}" if found.dtype_given != source.dtype else ""
    raise ValueError(
        f"X holds {found.values} value{'s' * several} that {'are' if several else 'is'} not finite (NaN or infinity)"
        f"{overflow}: the first is {found.value} at row {row}, column {column}{found.part}; "
        f"remove or impute {'them' if several else 'it'} first"
    )
