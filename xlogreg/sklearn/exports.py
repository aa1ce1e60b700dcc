"""What a fitted estimator becomes for others: an estimator of scikit-learn, and a file of a model."""

import dataclasses
import os
from typing import Any

from xlogreg.model.model import Model

__all__ = ["save", "to_sklearn"]


def _with_names(estimator: Any) -> Model:
    """Make the model of an estimator, with the names of its features."""
    model, names = estimator._model(), getattr(estimator, "feature_names_in_", None)
    return model if model.encoding or names is None else dataclasses.replace(model, feature_names=tuple(names.tolist()))


def to_sklearn(self: Any) -> Any:
    """Export a fitted `sklearn.linear_model.LogisticRegression` with the same predictions, as skops needs."""
    exported = _with_names(self).to_sklearn()
    exported.classes_ = self.classes_
    return exported


def save(self: Any, path: str | os.PathLike) -> None:
    """Write the fitted model to a file, which `xlogreg.load` reads as an `xlogreg.Model`.

    The model takes samples as rows, and its predictions are those of the estimator. Parameters of the estimator that
    tell how to fit, such as ``C`` and ``solver``, are not in the file: to fit again, pickle the estimator.

    Parameters
    ----------
    path : str or path
        The whole name of the file; no suffix is appended. An older file there stays whole if anything goes wrong.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``coef_`` are not of one fit: if they were set by hand, or are a mean over folds, with ``refit=False``.

    Examples
    --------
    >>> import os, tempfile, numpy as np, xlogreg
    >>> X, y = np.asarray([[-2.0], [-1.0], [1.0], [2.0]]), ["no", "yes", "no", "yes"]
    >>> classifier = xlogreg.LogisticRegression().fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     classifier.save(os.path.join(folder, "classifier.model"))
    ...     model = xlogreg.load(os.path.join(folder, "classifier.model"))
    >>> bool(np.all(model.predict_proba(X) == classifier.predict_proba(X)))
    True
    """
    model = _with_names(self)
    if model.fit_info is None:
        raise ValueError("coef_ are not of one fit, which a file records: they were set, or are a mean (refit=False)")
    model.save(path)
