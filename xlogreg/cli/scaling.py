"""The scale on which a penalty measures the features of a table, so that it does not depend on units."""

from typing import Any

import numpy as np
import polars as pl

from xlogreg.cli.preparation import missing_in
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.door import learn_features

__all__ = ["scale_of"]

OF_COLUMNS = ("categorical_features", "missing", "unseen", "drop")  # options of `fit` for the columns of a table


def scale_of(X: Any, options: dict[str, Any], squares: bool) -> dict[str, Any]:
    """Return options of `fit` for a penalty on features of unit variance, whose indicators stay 0 and 1.

    A standardised indicator of a rare category would have almost no penalty: its weight would follow a few rows.

    Parameters
    ----------
    X : DataFrame, or anything else that `fit` takes
    options : dict
        Options of `fit`.
    squares : bool
        Whether the penalty is of squared weights alone. Beside L1, whose factors would be other ones, indicators
        are standardised, too.
    """
    if not isinstance(X, pl.DataFrame) or not squares:
        return {"standardize": True}
    if options["categorical_features"] is None and not any(map(missing_in, X.get_columns())):
        return {"standardize": True}
    encoding = learn_features(X, "rows", TableOptions(**{name: options[name] for name in OF_COLUMNS})).encoding
    if encoding is None:
        return {"standardize": True}
    factors: list[float] = []
    for column in encoding.columns:
        if column.levels is not None:
            factors += [1.0] * len(column.features)
            continue
        values = X[column.name].cast(pl.Float64).fill_nan(None)
        values = values if column.fill is None else values.fill_null(column.fill)
        with np.errstate(over="ignore", invalid="ignore"):  # too large numbers are refused in the fit
            factors += [float(np.var(values.to_numpy())) or 1.0] + [1.0] * column.indicator
    return {"penalty_factor": np.asarray(factors)} if np.all(np.isfinite(factors)) else {"standardize": True}
