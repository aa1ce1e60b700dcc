"""scikit-learn's `LogisticRegression`, with its parameters, on any array library. Samples are rows here."""

import copy
import dataclasses
import math
import time
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from xlogreg.arrays.choice import usable_place
from xlogreg.arrays.place import Array, dtype_name, is_array, place_of, to_host
from xlogreg.arrays.traits import is_sparse
from xlogreg.fitting.fit import fit
from xlogreg.inputs.encoding import Encoding, Term
from xlogreg.inputs.labels import encode_targets, total_of
from xlogreg.inputs.tables import column_values, is_collection, is_nullable
from xlogreg.model.model import Model
from xlogreg.model.to_sklearn import bias_at, folded
from xlogreg.sklearn.checks import (
    class_factors,
    home_of,
    learn_table,
    take_collection,
    take_features,
    take_labels,
    take_truth,
    take_weight,
)
from xlogreg.sklearn.exports import save, to_sklearn
from xlogreg.sklearn.fits import reach, time_left
from xlogreg.sklearn.penalty import ElasticNet, asked_penalty
from xlogreg.sklearn.settings import last_of, search_of, table_of

__all__ = ["LogisticRegression", "classes_of"]


class LogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic regression with the parameters and attributes of `sklearn.linear_model.LogisticRegression`.

    It minimises C sum_i s_i L(a_i, y_i) + l1_ratio ||w||_1 + (1 - l1_ratio) ||w||^2 / 2, with the sigmoid for two
    classes and the softmax for more. The bias is not penalised. Arrays of CuPy, PyTorch and JAX need no setting.

    Parameters
    ----------
    penalty : {"l1", "l2", "elasticnet", None}, optional
        "l1" means l1_ratio=1, "l2" l1_ratio=0, and None C=inf. The parameter is deprecated in scikit-learn.
    C : float
        Inverse of the penalty: l1 = l1_ratio / (C s) and l2 = (1 - l1_ratio) / (C s), where s is the sum of the
        weights. Infinity means no penalty.
    l1_ratio : float
        From 0 (L2) to 1 (L1, the lasso). Above 0, some weights are exactly zero. None means 0.
    tol : float
        At the end of a fit, no component of the gradient of J, see `xlogreg.fit`, is larger. Most are far smaller.
        With L1 this is the shortest subgradient.
    fit_intercept : bool
    class_weight : {dict, "balanced", None}
    random_state : int, optional
        Seed of the random subsets of samples that curvature is computed from.
    solver : {"lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"}
        Accepted for compatibility with scikit-learn: each one means `xlogreg.fit`.
    max_iter : int
    verbose : int
        1 shows a progress line, as in `xlogreg.fit`.
    warm_start : bool
        Whether to start where the last fit ended.
    dual, intercept_scaling, n_jobs
        These have no effect.
    penalty_factor : array (n_features,), optional
        Factors f_j of the penalty of each feature: the sums above become
        ``sum_j f_j |w_j|`` and ``sum_j f_j w_j^2 / 2``. A feature of factor 0 is not penalised.
    categorical_features, drop, reference, unseen, missing : optional
        How columns of a frame become features, as in `xlogreg.fit`.
    callback, time_limit : optional
        As in `xlogreg.fit`: a function that sees each step and may stop the fit, and the seconds that it may take.
    backend, device : optional
        Where to compute, as in `xlogreg.fit`. None means where X lives.

    Attributes
    ----------
    coef_ : array (1, n_features), or (n_classes, n_features)
        ``coef_``, ``intercept_`` and ``n_iter_`` live where the training X lived; the first two have its dtype, too.
    intercept_ : array (1,), or (n_classes,)
    n_iter_ : array (1,)
    classes_ : ndarray (n_classes,)
    fit_info_ : FitInfo
        A record of what the fit did, and of what is proved about its result.
    n_features_in_ : int
    feature_names_in_ : ndarray (n_features,)
        Only if X had names.
    terms_ : tuple of Term
        The columns of a frame with ``categorical_features`` or ``missing``, each with its levels and its columns of
        ``coef_``; empty otherwise.

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
    _l1: float | None = 0.0  # of the fit; None if coef_ is a mean of models
    _l2: float | None = None  # the same, and None without a fit
    _factor: np.ndarray | None = None  # of the fit
    _with_offset: bool = False  # whether the fit had an offset
    _encoding: Encoding | None = None  # of the columns of the fitted table, if they are not plain numbers

    penalty_factor: Any = None  # these are for estimators that were pickled before they had them
    categorical_features: Any = None
    drop: str | None = "auto"
    reference: dict[str, Any] | None = None
    unseen: str = "error"
    missing: str = "error"
    callback: Any = None
    time_limit: float | None = None

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
        penalty_factor: Any = None,
        categorical_features: Any = None,
        drop: str | None = "auto",
        reference: dict[str, Any] | None = None,
        unseen: str = "error",
        missing: str = "error",
        callback: Any = None,
        time_limit: float | None = None,
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
        self.penalty_factor = penalty_factor
        self.categorical_features = categorical_features
        self.drop = drop
        self.reference = reference
        self.unseen = unseen
        self.missing = missing
        self.callback = callback
        self.time_limit = time_limit
        self.backend = backend
        self.device = device

    def fit(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> Self:
        """Fit to samples X (m, n_features) with the labels y (m,).

        Parameters
        ----------
        X : array, sparse matrix or frame (m, n_features)
            A dask collection is fitted by the workers of the client that was started last.
        y : array (m,)
            Numbers, bools or strings; y may live elsewhere than X.
        sample_weight : array (m,), optional
        offset : array (m,), or (m, n_classes) for more than two classes, optional
            A known term that is added to the scores, as for `xlogreg.fit`; predictions then need that of their samples.
        """
        penalty = asked_penalty(self.penalty, self.C, self.l1_ratio)
        table = table_of(self, math.inf == penalty.C)
        if is_collection(X):
            parts = take_collection(self, X, y, sample_weight, table, offset)
            if self.class_weight is not None:
                mass, classes = parts.mass, parts.targets.classes
                parts = parts.scaled(class_factors(self.class_weight, classes, lambda: mass.classes))
            self._fit_all(parts, None, None, penalty, parts.mass.total)
            return self
        X = learn_table(self, X, sample_weight, table)
        y = take_labels(self, y, X.shape[0])
        weight = take_weight(sample_weight, self.class_weight, y, home_of(X))
        self._fit_all(X, y, weight, penalty, total_of(weight, X.shape[0]), offset)
        return self

    def _fit_all(
        self,
        X: Any,
        y: Any,
        weight: Array | None,
        penalty: ElasticNet,
        total: float,
        offset: Any = None,
        **known: Any,
    ) -> None:
        """Fit samples with weights (1, m) that sum to ``total`` and include class weights; or parts that hold them.

        ``known``: arguments of `xlogreg.fit` in place of those of the estimator.
        """
        began, options = time.perf_counter(), search_of(self)
        options |= penalty.strengths(total) | {"sample_weight": weight, "offset": offset, "samples": "rows"}
        if getattr(self, "warm_start", False) and hasattr(self, "coef_"):
            targets = X.targets if y is None else encode_targets(y, (y.shape[0], 0), "rows", "labels")
            options["initial"] = last_of(self, targets.classes)
        options |= known
        limit = options.pop("time_limit")
        (model,) = reach(
            self.tol, lambda tol: [fit(X, y, tol=tol, time_limit=time_left(limit, began), **options)], self.time_limit
        )
        self.classes_, self.fit_info_ = classes_of(model, y), model.fit_info
        self._adopt([model])
        self.n_iter_ = place_of(model.w).put(np.asarray([model.fit_info.iterations], dtype=np.int32))

    @property
    def terms_(self) -> tuple[Term, ...]:
        """The columns of the fitted table, each with its levels and its columns of ``coef_``; () if they are plain."""
        check_is_fitted(self)
        return self._model().terms

    def _adopt(self, models: list[Model]) -> None:
        """Store the mean of the parameters of models, in the dtype, on the place and with the centre of the first."""
        like = models[0]
        place, dtype = place_of(like.w), dtype_name(like.w)
        w, b = (np.mean(part, axis=0) for part in zip(*map(folded, models), strict=True))
        self.coef_, self.intercept_ = place.put(np.ascontiguousarray(w.T), dtype), place.put(b, dtype)
        self._offset, self._factor, self._with_offset = None, like.penalty_factor, like.offset
        self._l1, self._l2 = (like.l1, like.l2) if len(models) == 1 else (None, None)
        if like.center is not None:  # keep what rounding takes from the scores there; `_model` adds it back
            centered_b = np.mean([bias_at(model, to_host(like.center)) for model in models], axis=0)
            self._offset = like.center, centered_b - self._centered_b(like.center)

    def _centered_b(self, center: Array) -> np.ndarray:
        """Compute the bias (k, 1) for X - center from the present coef_ and intercept_."""
        w, b = (to_host(part).astype(np.float64) for part in (self._dense(), self.intercept_))
        return w @ to_host(center) + b[:, None]

    def _model(self) -> Model:
        """Make a model of the present coef_ and intercept_, whether `fit` or the user set them."""
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
            fit_info=getattr(self, "fit_info_", None),  # type: ignore[arg-type]  # predictions do not need it
            l1=None if self._l2 is None else self._l1,
            l2=self._l2,
            penalty_factor=self._factor,
            standardize=None if self._l2 is None else False,
            feature_names=None if self._encoding is None else self._encoding.names,
            encoding=self._encoding,
            offset=self._with_offset,
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
            named = None if names is None else tuple(names)
            return (model if model.encoding else dataclasses.replace(model, feature_names=named)), X
        if get_config()["array_api_dispatch"] and home_of(X) != place_of(model.w):
            raise ValueError(
                f"Inputs passed to {type(self).__name__}.{method}() must use the same namespace and the same device as "
                f"those passed to fit() while array_api_dispatch is set: got {home_of(X)}, not {place_of(model.w)}; "
                "use .to(...) to move the estimator"
            )
        return model, X

    def decision_function(self, X: Any, offset: Any = None) -> Array:
        """Scores of samples X (m, n_features): (m,) with two classes, else (m, n_classes); where X lives.

        The ``offset`` of the samples has the shape of the scores. It is added to them, here and in all predictions.
        """
        model, X = self._take(X, "decision_function")
        return model.decision_function(X, offset)

    def predict(self, X: Any, offset: Any = None) -> Array:
        """The most probable label of each sample (m,); labels live where X lives, unless they are strings."""
        model, X = self._take(X, "predict")
        labels = model.predict(X, offset)
        return labels.astype(object) if self.classes_.dtype == object else labels

    def predict_proba(self, X: Any, offset: Any = None) -> Array:
        """Probabilities (m, n_classes), in the order of `classes_`, where X lives."""
        model, X = self._take(X, "predict_proba")
        return model.predict_proba(X, offset)

    def predict_log_proba(self, X: Any, offset: Any = None) -> Array:
        """Logarithms of the probabilities, accurate for tiny ones, too; 0 for a probability that rounds to one."""
        model, X = self._take(X, "predict_log_proba")
        logs = model.predict_log_proba(X, offset)
        if is_collection(logs):
            return logs
        place, xp = place_of(logs), place_of(logs).xp
        with place.computing():
            return xp.where(1.0 - logs == 1.0, xp.zeros_like(logs), logs)

    def score(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> float:
        """Share of the samples, by weight, whose label is predicted correctly."""
        if is_collection(X):
            return self._take(X, "score")[0].evaluate(X, y, sample_weight, offset=offset).accuracy
        y = column_values(y, "y") if is_nullable(y) else y
        host = [take_truth(value) for value in (y, self.predict(X, offset), sample_weight)]
        return float(accuracy_score(host[0], host[1], sample_weight=host[2]))

    def to(self, backend: str, device: Any = None) -> Self:
        """Copy the estimator with its arrays on another backend and device; ``to("numpy")`` leaves the GPU."""
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
        """Return coef_ as a dense array, also after `sparsify`."""
        check_is_fitted(self)
        return place_of(self.intercept_).put(self.coef_.toarray()) if is_sparse(self.coef_) else self.coef_

    to_sklearn = to_sklearn
    save = save

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        return tags


def classes_of(model: Model, y: Any) -> np.ndarray:
    """The classes of a model as scikit-learn has them: of dtype object if the labels ``y`` have that dtype."""
    return model.classes.astype(object) if getattr(getattr(y, "dtype", None), "kind", "") == "O" else model.classes
