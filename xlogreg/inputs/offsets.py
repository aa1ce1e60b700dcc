"""Check of an offset: a known term that the user wants added to the scores of every sample."""

from typing import Any

from xlogreg.arrays.place import Array, array_namespace, computes_there, dtype_name
from xlogreg.inputs.labels import expect_finite
from xlogreg.inputs.matrices import as_array

__all__ = ["as_offset", "expect_outputs"]


@computes_there
def as_offset(offset: Any, m: int, samples: str, n_classes: int | None = None) -> Array | None:
    """Return the offset of m samples as an array (k, m), or None; k = 1 for two classes, K for more.

    Parameters
    ----------
    offset : object
        As the user handed it in: (m,) or (1, m), or (K, m), which is (m, K) for samples="rows".
    m : int
    samples : {"columns", "rows"}
    n_classes : int, optional
        Number K of classes, if it is known.

    Raises
    ------
    TypeError
        If it does not hold numbers.
    ValueError
        If it has another shape, or values that are not finite.
    """
    if offset is None:
        return None
    offset = as_array(offset, "offset")
    xp = array_namespace(offset)
    offset = xp.astype(offset, xp.uint8) if dtype_name(offset) == "bool" else offset
    shape = tuple(offset.shape)
    if shape in ((m,), (1, m)):  # with one sample, that of K = 1
        values = xp.reshape(offset, (1, m))
    elif len(shape) == 2 and shape[1 if samples == "columns" else 0] == m:
        values = offset if samples == "columns" else xp.matrix_transpose(offset)
    else:
        raise ValueError(f"offset has the shape {shape}, but X holds {m} samples: expected {_expected(m, samples)}")
    if n_classes is not None:
        expect_outputs(values.shape[0], n_classes, m, samples)
    expect_finite(values, "offset")
    return values


def expect_outputs(given: int, n_classes: int, m: int, samples: str) -> None:
    """Raise unless an offset holds as many numbers for each sample as a model of these classes has scores."""
    outputs = 1 if n_classes == 2 else n_classes
    if given != outputs:
        why = "; one number for each sample would move all classes alike, and change nothing" if given == 1 else ""
        raise ValueError(
            f"offset holds {given} number{'s' * (given > 1)} for each sample, but a model of {n_classes} classes has "
            f"{outputs} score{'s' * (outputs > 1)}: expected {_expected(m, samples, outputs)}{why}"
        )


def _expected(m: int, samples: str, outputs: int | None = None) -> str:
    shapes = {1: f"({m},)", 2: f"({outputs or 'K'}, {m})" if samples == "columns" else f"({m}, {outputs or 'K'})"}
    if outputs is not None:
        return shapes[1 if outputs == 1 else 2]
    return f"{shapes[1]} for two classes, {shapes[2]} for more"
