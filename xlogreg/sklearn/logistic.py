"""`LogisticRegression` as scikit-learn has it, on any array library. Samples are rows here, parameters theirs."""

import copy
import dataclasses
import math
import numbers
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from xlogreg.arrays.choice import usable_place
from xlogreg.arrays.library import is_sparse
from xlogreg.arrays.place import Array, dtype_name, is_array, place_of, to_host
from xlogreg.exceptions import one_of
from xlogreg.fitting.fit import fit
from xlogreg.inputs.labels import encode_targets, total_of
from xlogreg.inputs.tables import column_values, is_collection, is_nullable
from xlogreg.model.model import Model
from xlogreg.model.to_sklearn import bias_at, folded
from xlogreg.sklearn.checks import (
    class_factors,
    refuse_flags,
    refuse_l1,
    refuse_number,
    refuse_state,
    take_collection,
    take_features,
    take_labels,
    take_truth,
    take_weight,
)
from xlogreg.sklearn.fits import reach

__all__ = ["LogisticRegression", "classes_of"]

SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")


class LogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic regression with the parameters and attributes of `sklearn.linear_model.LogisticRegression`.

    Minimises C sum_i s_i L(a_i, y_i) + ||w||^2 / 2: two classes by sigmoid, more by softmax; the bias is not penalised.
    Arrays of CuPy, PyTorch and JAX go straight in, without a setting. L1 and elastic-net penalties are refused.

    Parameters
    ----------
    penalty : {"l2", None}, optional
        None is C=inf; deprecated in scikit-learn.
    C : float
        Inverse of the penalty: l2 = 1 / (C s), s the sum of the weights. Infinity for none.
    l1_ratio : {0, None}
    tol : float
        No component of the gradient of the mean loss is larger where a fit ends. Most are far smaller.
    fit_intercept : bool
    class_weight : {dict, "balanced", None}
    random_state : int, optional
        Of the subsets of samples that curvature is taken from.
    solver : {"lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"}
        Accepted for the sake of those who switch: each means `xlogreg.fit`.
    max_iter : int
    verbose : int
    warm_start : bool
        Whether to start where the last fit ended.
    dual, intercept_scaling, n_jobs
        Without effect.
    backend, device : optional
        Where to compute, as `xlogreg.fit` takes them. None: where X lives.

    Attributes
    ----------
    coef_ : array (1, n_features), or (n_classes, n_features)
        These three live where the training X lived: library, device, and dtype of the first two.
    intercept_ : array (1,), or (n_classes,)
    n_iter_ : array (1,)
    classes_ : ndarray (n_classes,)
    fit_info_ : FitInfo
        What the fit did and what is proved of its result.
    n_features_in_ : int
    feature_names_in_ : ndarray (n_features,)
        Where X had names.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from xlogreg import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression().fit(X, y)
    >>> classifier.predict(X[:2]), classifier.fit_info_.converged
    (array([0, 0]), True)
    """

    _offset: tuple[Array, np.ndarray] | None = None  # see `_adopt`

    def __init__(
        self,
        penalty: Any = "deprecated",
        *,
        C: float = 1.0,
        l1_ratio: float | None = 0.0,
        dual: bool = False,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        intercept_scaling: float = 1,
        class_weight: Any = None,
        random_state: Any = None,
        solver: str = "lbfgs",
        max_iter: int = 100,
        verbose: int = 0,
        warm_start: bool = False,
        n_jobs: int | None = None,
        backend: str | None = None,
        device: Any = None,
    ) -> None:
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.backend = backend
        self.device = device

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to samples X (m, n_features) with the labels y (m,).

        Parameters
        ----------
        X : array or frame (m, n_features)
            Of dask, too: fitted by the workers of the client that was started last.
        y : array (m,)
            Numbers, bools or strings; may live elsewhere than X.
        sample_weight : array (m,), optional
        """
        C = math.inf if self.penalty is None else self.C
        refuse_l1(self.penalty, "l1_ratio", self.l1_ratio)
        refuse_number("C", C)
        if is_collection(X):
            parts = take_collection(self, X, y, sample_weight)
            if self.class_weight is not None:
                mass, classes = parts.mass, parts.targets.classes
                parts = parts.scaled(class_factors(self.class_weight, classes, lambda: mass.classes))
            self._fit_all(parts, None, None, C, parts.mass.total)
            return self
        X = take_features(self, X, reset=True)
        y = take_labels(self, y, X.shape[0])
        weight = take_weight(sample_weight, self.class_weight, y, place_of(X))
        self._fit_all(X, y, weight, C, total_of(weight, X.shape[0]))
        return self

    def _fit_all(self, X: Any, y: Any, weight: Array | None, C: float, total: float) -> None:
        """Fit samples whose weights (1, m), of that sum, count their classes, too; or parts, which have theirs."""
        options = self._search()
        options |= {"l2": 1.0 / (C * total), "sample_weight": weight, "samples": "rows"}
        if getattr(self, "warm_start", False) and hasattr(self, "coef_"):
            targets = X.targets if y is None else encode_targets(y, (y.shape[0], 0), "rows", "labels")
            options["initial"] = self._last(targets.classes)
        (model,) = reach(self.tol, lambda tol: [fit(X, y, tol=tol, **options)])
        self.classes_, self.fit_info_ = classes_of(model, y), model.fit_info
        self._adopt([model])
        self.n_iter_ = place_of(model.w).put(np.asarray([model.fit_info.iterations], dtype=np.int32))

    def _last(self, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the last fit ended, as `xlogreg.fit` takes a start, for samples of these classes."""
        coef, wanted = to_host(self._dense()), (1 if len(classes) == 2 else len(classes), self.n_features_in_)
        if coef.shape != wanted:
            raise ValueError(
                f"warm_start=True starts at the coef_ of the last fit, shape {coef.shape}, but these samples need "
                f"{wanted}: they have other features or another number of classes; use warm_start=False"
            )
        return coef.T, to_host(self.intercept_)[:, None]

    def _search(self) -> dict[str, Any]:
        """How to look for the optimum, as `xlogreg.fit` takes it."""
        one_of("solver", self.solver, SOLVERS)
        refuse_flags(self)
        refuse_number("tol", self.tol, zero=True)
        refuse_state(self.random_state)
        rng = int(self.random_state) if isinstance(self.random_state, numbers.Integral) else 0
        search = {"bias": self.fit_intercept, "max_iter": self.max_iter, "rng": rng, "verbose": self.verbose}
        return search | {"backend": self.backend, "device": self.device}

    def _adopt(self, models: list[Model]) -> None:
        """Take the mean parameters of models, in the dtype and on the place of the first, and with its centre."""
        like = models[0]
        place, dtype = place_of(like.w), dtype_name(like.w)
        w, b = (np.mean(part, axis=0) for part in zip(*map(folded, models), strict=True))
        self.coef_, self.intercept_ = place.put(np.ascontiguousarray(w.T), dtype), place.put(b, dtype)
        self._offset = None
        if like.center is not None:  # what rounding took from the scores there, and is given back by `_model`
            centered_b = np.mean([bias_at(model, to_host(like.center)) for model in models], axis=0)
            self._offset = like.center, centered_b - self._centered_b(like.center)

    def _centered_b(self, center: Array) -> np.ndarray:
        """The bias (k, 1) for X - center of coef_ and intercept_ as they are."""
        w, b = (to_host(part).astype(np.float64) for part in (self._dense(), self.intercept_))
        return w @ to_host(center) + b[:, None]

    def _model(self) -> Model:
        """The model of coef_ and intercept_ as they are, whoever set them."""
        check_is_fitted(self)
        coef = self._dense()
        place = place_of(coef)
        model = Model(
            w=coef.T,
            b=place.xp.reshape(self.intercept_, (-1, 1)),
            classes=self.classes_.astype(str) if self.classes_.dtype == object else self.classes_,
            samples="rows",
            loss="log_loss" if len(self.classes_) == 2 else "cross_entropy",
            costs=np.zeros(0),
            fit_info=getattr(self, "fit_info_", None),  # type: ignore[arg-type]  # predictions ask for none
        )
        if self._offset is None:
            return model
        center, lost = self._offset
        centered_b = place.put(self._centered_b(center) + lost, dtype_name(coef))
        return dataclasses.replace(model, center=center, centered_b=centered_b)

    def _take(self, X: Any, method: str) -> tuple[Model, Array]:
        model = self._model()
        X = take_features(self, X, reset=False)
        if is_collection(X):
            names = getattr(self, "feature_names_in_", None)
            return dataclasses.replace(model, feature_names=None if names is None else tuple(names)), X
        if get_config()["array_api_dispatch"] and place_of(X) != place_of(model.w):
            raise ValueError(
                f"Inputs passed to {type(self).__name__}.{method}() must use the same namespace and the same device as "
                f"those passed to fit() while array_api_dispatch is set: got {place_of(X)}, not {place_of(model.w)}; "
                "use .to(...) to move the estimator"
            )
        return model, X

    def decision_function(self, X: Any) -> Array:
        """Scores of samples X (m, n_features): (m,) with two classes, else (m, n_classes); where X lives."""
        model, X = self._take(X, "decision_function")
        return model.decision_function(X)

    def predict(self, X: Any) -> Array:
        """The most probable label of each sample (m,): where X lives, unless it is a string."""
        model, X = self._take(X, "predict")
        labels = model.predict(X)
        return labels.astype(object) if self.classes_.dtype == object else labels

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (m, n_classes), in the order of `classes_`, where X lives."""
        model, X = self._take(X, "predict_proba")
        return model.predict_proba(X)

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities, accurate where these vanish; 0 of those that round to one."""
        model, X = self._take(X, "predict_log_proba")
        logs = model.predict_log_proba(X)
        if is_collection(logs):
            return logs
        xp = place_of(logs).xp
        return xp.where(1.0 - logs == 1.0, xp.zeros_like(logs), logs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of the samples, by weight, whose label is predicted."""
        if is_collection(X):
            return self._take(X, "score")[0].evaluate(X, y, sample_weight).accuracy
        y = column_values(y, "y") if is_nullable(y) else y
        host = [take_truth(value) for value in (y, self.predict(X), sample_weight)]
        return float(accuracy_score(host[0], host[1], sample_weight=host[2]))

    def to(self, backend: str, device: Any = None) -> Self:
        """A copy with its arrays on another backend, and a device of it: ``to("numpy")`` to leave the GPU."""
        place = usable_place(backend, device)
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if name.endswith("_") and name not in ("classes_", "feature_names_in_") and is_array(value):
                setattr(moved, name, place.put(value))
        if self._offset is not None:
            moved._offset = place.put(self._offset[0]), self._offset[1]
        return moved

    def sparsify(self) -> Self:
        """Make ``coef_`` a sparse matrix of SciPy, on the host, as scikit-learn does; predictions live where X does."""
        self.coef_ = scipy.sparse.csr_array(to_host(self._dense()))
        return self

    def densify(self) -> Self:
        """Make ``coef_`` an array again, where the training X lived."""
        self.coef_ = self._dense()
        return self

    def _dense(self) -> Array:
        """coef_ as an array, whichever it is."""
        check_is_fitted(self)
        return place_of(self.intercept_).put(self.coef_.toarray()) if is_sparse(self.coef_) else self.coef_

    def to_sklearn(self) -> Any:
        """A fitted `sklearn.linear_model.LogisticRegression` with the same predictions: the road to ONNX and skops."""
        names = getattr(self, "feature_names_in_", None)
        exported = dataclasses.replace(self._model(), feature_names=names).to_sklearn()
        exported.classes_ = self.classes_
        return exported

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        return tags


def classes_of(model: Model, y: Any) -> np.ndarray:
    """The labels of a model as scikit-learn has them: strings as objects where they came as such."""
    return model.classes.astype(object) if getattr(getattr(y, "dtype", None), "kind", "") == "O" else model.classes
