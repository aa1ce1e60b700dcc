"""`fit_formula`: a fit to the columns of a table that a formula names."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xlogreg.arrays.place import is_array, to_host
from xlogreg.exceptions import one_of, shown
from xlogreg.fitting.fit import fit
from xlogreg.inputs.door import Features, matrix_of
from xlogreg.inputs.formula_columns import (
    expect_columns,
    gone_from,
    labels_of,
    names_in,
    read_columns,
    refuse_gone,
)
from xlogreg.inputs.formula_encoding import categorical_columns, learn_formula
from xlogreg.inputs.formulas import parse_formula
from xlogreg.inputs.tables import column_values, listed, open_frame
from xlogreg.model.model import Model

__all__ = ["fit_formula"]

BY_FORMULA = {
    "samples": "a table has its samples in rows",
    "bias": "write '0 +' on the right side for none",
    "categorical_features": "columns of text are categories, and C(x) takes numbers as categories",
    "drop": "a level is left out where the others and the bias have the same information",
    "reference": "write C(x, contr.treatment('level'))",
    "unseen": "levels that are new in predictions are errors",
}  # options of `fit` that the formula decides, and what to do instead
BY_NAME = ("sample_weight", "offset")  # options that may name a column


def fit_formula(
    formula: str,
    X: Any,
    *,
    missing: str = "error",
    context: Mapping[str, Any] | None = None,
    **options: Any,
) -> Model:
    """Fit a logistic regression to columns of a table, as a formula says: "died ~ age + C(ward) + age:dose".

    The left side has the labels: a column, or an expression such as ``status == "dead"`` or ``1 - survived``. The right
    side has the features. formulaic parses it, and the features have the names and the coding that formulaic gives
    them: beside a bias, the first level of a category is left out.

    - ``a + b`` adds terms, ``a:b`` is their interaction, ``a * b`` is ``a + b + a:b``, ``a / b`` is ``a + a:b``,
      ``(a + b) ** 2`` has all interactions of two; ``.`` is all columns, ``- a`` takes a term away.
    - ``0 +`` or ``- 1`` is a model without a bias.
    - Columns of text or of a dtype of categories are categories; ``C(ward)`` takes numbers as categories,
      ``C(ward, contr.treatment("B"))`` leaves out another level, ``contr.sum``, ``helmert``, ``diff`` and ``poly`` code
      the levels in other ways. Columns of bools are numbers, 0 and 1.
    - ``log(dose)`` or ``np.log(dose)`` and other functions of NumPy; ``I(age ** 2)`` for arithmetic; names that are no
      words stand in backquotes.
    - ``center``, ``scale``, ``standardize``, ``poly``, ``bs``, ``cr`` and ``cc`` of formulaic learn from the fitted
      table: predictions use the mean, the polynomials or the knots of that table.

    No formula executes Python: it holds columns, numbers, operators and the functions above, and those in ``context``.

    Parameters
    ----------
    formula : str
    X : frame of pandas, polars or Arrow
        Columns that the formula does not name are ignored. All features are made at once, in memory; a category that
        stands alone or in an interaction with categories is kept as one number for each sample.
    missing : {"error", "drop"}
        What becomes of rows that lack a value in a column that the formula names: an error, or the fit leaves them out.
        In predictions they are errors.
    context : mapping from str to object, optional
        Functions and values that the formula may name; a function takes and returns arrays (m,) of NumPy. A model that
        uses some of them cannot be saved.
    **options
        Options of `xlogreg.fit`. ``sample_weight`` and ``offset`` may be names of columns.

    Returns
    -------
    Model
        It predicts from tables that have the columns of the right side. ``model.encoding.formula`` is the formula, and
        ``model.terms`` has the rows of w of each term.

    Raises
    ------
    ImportError
        If formulaic is not installed: ``pip install "xlogreg[formula]"``.
    ValueError, TypeError
        If the formula or the table is wrong; the message names the columns.

    Examples
    --------
    >>> import pandas, xlogreg
    >>> table = pandas.DataFrame({
    ...     "died": ["no", "yes", "no", "yes", "no", "yes", "yes", "no"],
    ...     "age": [50.0, 61, 48, 55, 70, 82, 66, 69],
    ...     "ward": ["A", "B", "A", "A", "B", "B", "A", "B"],
    ... })
    >>> model = xlogreg.fit_formula("died ~ age + ward", table)
    >>> model.feature_names
    ('age', 'ward[T.B]')
    >>> model.predict(pandas.DataFrame({"ward": ["A", "B"], "age": [40, 80]})).tolist()
    ['no', 'yes']
    """
    one_of("missing", missing, ("error", "drop"))
    context = _checked(context, options)
    frame = open_frame(X, "rows")
    if frame is None:
        raise TypeError(f"X must be a frame of pandas, polars or Arrow, not {type(X).__name__}")
    by_name = {name: options[name] for name in BY_NAME if isinstance(options.get(name), str)}
    parsed = parse_formula(formula, frame.names, tuple(by_name.values()))
    expect_columns([*names_in(parsed, context), *by_name.values()], frame)
    Y, gone = labels_of(parsed.left, frame, context)
    categorical = categorical_columns(parsed, frame, context)
    columns = read_columns(frame, categorical)
    given = read_columns(frame, dict.fromkeys(by_name.values(), False))
    gone = gone_from(columns) | gone | gone_from(given)
    if missing == "error":
        refuse_gone(gone, ", or leave them out by missing='drop'")
    options |= {name: given.values[column] for name, column in by_name.items()}
    if gone:
        kept = ~np.any(np.stack(list(gone.values())), axis=0)
        if not np.any(kept):
            raise ValueError("X has no rows without missing values in the columns that the formula names")
        Y, columns = Y[kept], columns.of_rows(kept)
        options |= {name: _cut(name, options[name], kept) for name in BY_NAME if options.get(name) is not None}
    encoding = learn_formula(parsed, columns, context)
    if encoding.context and options.get("checkpoint") is not None:
        raise ValueError(
            f"checkpoint cannot hold a model whose formula uses {listed(list(encoding.context))} of context"
        )
    features = Features(matrix_of(encoding.of_values(columns), encoding, columns.m), encoding.names, encoding)
    del columns
    return fit(features, Y, samples="rows", bias=parsed.bias, **options)


def _checked(context: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return the context as a dict; raise if it is none, or if options are not for a formula."""
    for name in options:
        if name in BY_FORMULA:
            raise TypeError(f"{name} is not for a formula: {BY_FORMULA[name]}")
    if context is None:
        return {}
    if not (isinstance(context, Mapping) and all(isinstance(name, str) for name in context)):
        raise TypeError(f"context must be a dict such as {{'half': half}}, not {shown(context)}")
    return dict(context)


def _cut(name: str, value: Any, kept: np.ndarray) -> np.ndarray:
    """Leave out the samples of rows that are left out."""
    values = column_values(value, name)
    host = to_host(values) if is_array(values) else np.asarray(values)
    if host.shape[:1] != kept.shape or host.ndim > 1 + (name == "offset"):
        raise ValueError(f"{name} must have the shape {kept.shape} where rows are left out; got {host.shape}")
    return host[kept]
