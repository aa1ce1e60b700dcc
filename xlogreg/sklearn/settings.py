"""What the parameters of an estimator mean for its fit; they are checked here."""

import numbers
from typing import Any

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.exceptions import one_of
from xlogreg.inputs.columns import TableOptions
from xlogreg.sklearn.checks import refuse_flags, refuse_number, refuse_state

__all__ = ["last_of", "search_of", "table_of"]

SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")


def table_of(estimator: Any, unpenalised: bool) -> TableOptions:
    """Check the options for tables; ``unpenalised`` says that no model has a penalty."""
    return TableOptions(
        categorical_features=estimator.categorical_features,
        drop=estimator.drop,
        reference=estimator.reference,
        unseen=estimator.unseen,
        missing=estimator.missing,
        unpenalised=unpenalised and bool(estimator.fit_intercept),
    )


def search_of(estimator: Any) -> dict[str, Any]:
    """Check the options of the search for the optimum; return them as arguments of `xlogreg.fit`."""
    one_of("solver", estimator.solver, SOLVERS)
    refuse_flags(estimator)
    refuse_number("tol", estimator.tol, zero=True)
    if estimator.time_limit is not None:
        refuse_number("time_limit", estimator.time_limit)
    refuse_state(estimator.random_state)
    rng = int(estimator.random_state) if isinstance(estimator.random_state, numbers.Integral) else 0
    same = ("max_iter", "verbose", "callback", "time_limit", "penalty_factor", "backend", "device")
    return {"bias": estimator.fit_intercept, "rng": rng} | {name: getattr(estimator, name) for name in same}


def last_of(estimator: Any, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the parameters of the last fit as ``initial`` of `xlogreg.fit`, for samples of these classes."""
    n_x = estimator.n_features_in_ if estimator._encoding is None else estimator._encoding.n_x
    coef, wanted = to_host(estimator._dense()), (1 if len(classes) == 2 else len(classes), n_x)
    if coef.shape != wanted:
        raise ValueError(
            f"warm_start=True starts at the coef_ of the last fit, shape {coef.shape}, but these samples need "
            f"{wanted}: they have other features or another number of classes; use warm_start=False"
        )
    return coef.T, to_host(estimator.intercept_)[:, None]
