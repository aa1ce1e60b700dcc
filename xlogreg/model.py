"""The result of a fit: parameters that apply to X as it was handed in, and what they predict."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.backends import Array, name_of, place_of, place_on, to_host
from xlogreg.data import InMemory, map_samples, refuse_nonfinite, total_of
from xlogreg.labels import as_matrix, as_weight, computing_dtype, encode_known
from xlogreg.logistic import LOSSES, scores
from xlogreg.terms import class_numbers, report_terms

__all__ = ["FitInfo", "Model", "Report"]


@dataclass(frozen=True)
class FitInfo:
    """What a fit did and what is proved of its result; prints as a list.

    Attributes
    ----------
    solver, backend, device, dtype : str
        What really computed, and in which floating-point type.
    fallback : str or None
        Why it is not the backend that was asked for.
    converged : bool
        Whether the gap was driven below tol * cost.
    reason : {"converged", "max_iter", "precision", "separated", "callback", "diverged"}
    iterations : int
        Steps of the solver.
    passes : float
        How often every sample was visited; work on a subset counts as its share.
    cost : float
        J where it was last evaluated: for gd at the parameters returned, else one Newton step before them.
    gradient_norm : float
        Of dJ/dw and dJ/db together, there; for standardised X if ``standardize`` was given.
    gap : float
        Estimate or bound of J - min J there; NaN where it is not known.
    gap_known : {"decrement", "bound", "estimate", "separated", ""}
        How the gap is known: half the squared Newton decrement; a proof from the penalty; the decrement
        by the curvature that the solver has gathered; the infimum 0 of separated classes; not at all.
    seconds : float
        Wall time of the fit, checks and transfers included.
    """

    solver: str
    backend: str
    device: str
    dtype: str
    fallback: str | None
    converged: bool
    reason: str
    iterations: int
    passes: float
    cost: float
    gradient_norm: float
    gap: float
    gap_known: str
    seconds: float

    def __str__(self) -> str:
        fields = dataclasses.asdict(self)
        texts = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in fields.items()}
        return "\n".join(f"{name:14}{text}" for name, text in texts.items())


@dataclass(frozen=True)
class Report:
    """How a model does on some samples; prints as a table.

    Attributes
    ----------
    accuracy : float
        Share of the samples (by weight) whose class is predicted.
    log_loss : float
        Mean of the losses -log a of the true class (of a model fitted by squared error: of that).
    confusion : ndarray (K, K)
        Samples (by weight) of the true class in the row, predicted as the class of the column.
    classes : ndarray (K,)
    """

    accuracy: float
    log_loss: float
    confusion: np.ndarray
    classes: np.ndarray

    def __str__(self) -> str:
        names = [str(name) for name in self.classes.tolist()]
        table = [["", *names]]
        for name, row in zip(names, self.confusion.tolist(), strict=True):
            table.append([name, *(f"{value:.6g}" for value in row)])
        width = max(len(text) for row in table for text in row)
        head = f"accuracy {self.accuracy:.4f}, log loss {self.log_loss:.4f}\ntrue class (row), predicted (column):"
        return "\n".join([head, *("  ".join(text.rjust(width) for text in row) for row in table)])


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A fitted logistic regression.

    Attributes
    ----------
    w : array (n_x, k)
        k = 1 for two classes, K for more. With the library, the device and the dtype of X as it was handed
        in (the computing dtype if X is not of float32 or float64).
    b : array (k, 1)
    classes : ndarray (K,)
        The user's labels, in order. For two classes, a score above 0 means the second.
    samples : {"columns", "rows"}
        How `fit` took its samples; predictions take and give them likewise.
    loss : str
    costs : ndarray (iterations,)
        J before each update.
    fit_info : FitInfo

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X = np.asarray([[-2.0, -1.0, 1.0, 2.0]])
    >>> model = xlogreg.fit(X, ["no", "yes", "no", "yes"])
    >>> model
    Model(n_x=1, classes=['no', 'yes'], numpy, converged: cost 0.641953)
    >>> model.predict(np.asarray([[-3.0, 3.0]]))
    array([['no', 'yes']], dtype='<U3')
    """

    w: Array
    b: Array
    classes: np.ndarray
    samples: str
    loss: str
    costs: np.ndarray
    fit_info: FitInfo

    def __repr__(self) -> str:
        info = self.fit_info
        return (
            f"Model(n_x={self.w.shape[0]}, classes={_abridged(self.classes)}, {name_of(self.w)}, "
            f"{info.reason}: cost {info.cost:.6g})"
        )

    def decision_function(self, X: Any) -> Array:
        """Scores Z = W'X + b.

        Parameters
        ----------
        X : array (n_x, m), or (m, n_x) for a model of rows
            Of any library.

        Returns
        -------
        array (k, m), or for a model of rows (m,) with two classes, else (m, K)
            Lives where X lives.

        Raises
        ------
        ValueError
            For another number of features, or values that are not finite.
        """
        Z = self._scores(X)
        if self.samples == "columns":
            return Z
        return Z[0, :] if Z.shape[0] == 1 else place_of(Z).xp.matrix_transpose(Z)

    def predict_proba(self, X: Any) -> Array:
        """Probability of each class, in the order of `classes`.

        Parameters
        ----------
        X : array (n_x, m), or (m, n_x) for a model of rows

        Returns
        -------
        array (K, m), or (m, K) for a model of rows
            K = 2 for two classes: 1 - a and a.

        Examples
        --------
        >>> import numpy as np, xlogreg
        >>> model = xlogreg.fit(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1])
        >>> model.predict_proba(np.asarray([[0.0]]))
        array([[0.5],
               [0.5]])
        """
        return self._per_class(X, LOSSES[self.loss].link)

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithm of `predict_proba`, accurate where a probability is too small for its dtype."""
        loss = LOSSES["log_loss" if self.loss == "squared_error" else self.loss]

        def log_probability(Z: Array) -> Array:
            # -log of the probability of class j is the loss of a sample labelled j
            xp = place_of(Z).xp
            if Z.shape[0] == 1:
                return -loss.value(Z, xp.ones_like(Z))
            top = xp.max(Z, axis=0, keepdims=True)
            return Z - top - xp.log(xp.sum(xp.exp(Z - top), axis=0, keepdims=True))

        return self._per_class(X, log_probability)

    def predict(self, X: Any) -> Array:
        """The most probable label of each sample, in the user's own values.

        Parameters
        ----------
        X : array (n_x, m), or (m, n_x) for a model of rows

        Returns
        -------
        array (1, m), or (m,) for a model of rows
            Where X lives; labels that are strings, in NumPy.
        """
        Z = self._scores(X)
        place = place_of(Z)
        numbers = class_numbers(Z)[0, :]
        if self.classes.dtype.kind == "U":
            labels = self.classes[to_host(numbers)]
        else:
            labels = place.xp.take(place.put(self.classes), numbers, axis=0)
        return labels if self.samples == "rows" else labels[None, :]

    def evaluate(self, X: Any, Y: Any, sample_weight: Any = None) -> Report:
        """Accuracy, mean loss and confusion matrix on samples whose labels are known.

        Parameters
        ----------
        X : array (n_x, m), or (m, n_x) for a model of rows
        Y : array (m,), (1, m) or one-hot (K, m)
            Labels; all must be among `classes`.
        sample_weight : array (m,), optional
        """
        source = self._source(X)
        m, place = source.m, source.place
        weight = as_weight(sample_weight, m)
        weight = None if weight is None else place.put(weight, source.dtype)
        numbers = place.put(encode_known(Y, m, self.samples, self.classes))
        n_classes = len(self.classes) if len(self.classes) > 2 else None
        total = total_of(weight, m)
        source = dataclasses.replace(source, Y=numbers, weight=weight, n_classes=n_classes, total_weight=total)
        losses, confusion = (to_host(part) for part in source.sum(report_terms, self._theta(), LOSSES[self.loss]))
        return Report(float(np.trace(confusion)) / total, float(losses[0]) / total, confusion, self.classes)

    def to(self, backend: str, device: Any = None) -> "Model":
        """The same model with its parameters on another backend.

        Parameters
        ----------
        backend : str
            "numpy", "cupy", "torch", "jax" or "array-api-strict".
        device : optional
            As `fit` takes it; the library's default without.
        """
        place = place_on(backend, device)
        return dataclasses.replace(self, w=place.put(self.w), b=place.put(self.b))

    def _theta(self) -> np.ndarray:
        return np.concatenate([to_host(self.w), to_host(self.b).T]).astype(np.float64)

    def _source(self, X: Any) -> InMemory:
        X = as_matrix(X, self.samples, self.w.shape[0])
        rows = self.samples == "rows"
        return InMemory(X, None, None, place_of(X), computing_dtype(X), 0.0, rows)

    def _scores(self, X: Any) -> Array:
        source = self._source(X)
        w, b = source.place.put(self.w, source.dtype), source.place.put(self.b, source.dtype)
        Z = map_samples(source, lambda part: scores(part, w, b))
        xp = source.place.xp
        if not bool(xp.all(xp.isfinite(Z))):
            refuse_nonfinite(source)
        return Z

    def _per_class(self, X: Any, function: Any) -> Array:
        Z = self._scores(X)
        place = place_of(Z)
        with place.computing():
            A = place.xp.concat([function(-Z), function(Z)], axis=0) if Z.shape[0] == 1 else function(Z)
        return place.xp.matrix_transpose(A) if self.samples == "rows" else A


def _abridged(classes: np.ndarray) -> str:
    shown = [repr(label) for label in classes[:6].tolist()]
    return f"[{', '.join(shown)}{f', ... {len(classes)} in all' if len(classes) > 6 else ''}]"
