"""The labels of a table on which a model is evaluated, if a formula says which they are."""

from typing import Any

from xlogreg.inputs.formula_columns import labels_of, refuse_gone
from xlogreg.inputs.formula_encoding import FormulaEncoding
from xlogreg.inputs.tables import open_frame

__all__ = ["labels_in"]


def labels_in(model: Any, X: Any) -> Any:
    """Return the labels (m,) that the left side of the formula of a model gives for a table.

    Raises
    ------
    TypeError
        If the model was fitted without a formula, or X is no table.
    ValueError
        If X lacks columns, or values in them.
    """
    if not isinstance(model.encoding, FormulaEncoding):
        raise TypeError("Y is missing: only a model that was fitted by a formula finds the labels in X")
    frame = open_frame(X, "rows")
    if frame is None:
        raise TypeError(f"Y is missing, and X is no table that the labels could be found in, but {type(X).__name__}")
    Y, gone = labels_of(model.encoding.labels, frame, model.encoding.context)
    refuse_gone(gone)
    return Y
