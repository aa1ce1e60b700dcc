"""`LogisticRegressionCV` as scikit-learn will have it; all folds and all penalties are fitted together."""

import copy
import math
import numbers
import time
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn import get_config
from sklearn.metrics import get_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, metadata_routing
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import _check_method_params

from xlogreg.arrays.place import HOST, Array, place_of, to_host
from xlogreg.exceptions import shown
from xlogreg.fitting.monitors import STOPPED
from xlogreg.fitting.selection import choose
from xlogreg.inputs.door import Features, learn_features
from xlogreg.inputs.labels import as_weight, total_of
from xlogreg.inputs.tables import is_collection
from xlogreg.model.model import Model
from xlogreg.model.to_sklearn import folded, with_labels
from xlogreg.sklearn.checks import (
    home_of,
    is_foreign,
    learn_table,
    take_collection,
    take_labels,
    take_weight,
)
from xlogreg.sklearn.fits import fit_folds, time_left
from xlogreg.sklearn.logistic import LogisticRegression, classes_of
from xlogreg.sklearn.penalty import ElasticNet, asked_ratios
from xlogreg.sklearn.settings import search_of, table_of

__all__ = ["LogisticRegressionCV"]


class Known(NamedTuple):
    """A score that takes one pass over the test samples, wherever they live."""

    name: str  # as in `Report` and in `LeftOut.scores`
    sign: float  # -1 for a loss: scikit-learn's scores are better when larger


SCORES = {"neg_log_loss": Known("log_loss", -1.0), "accuracy": Known("accuracy", 1.0)}


class LogisticRegressionCV(LogisticRegression):
    """`LogisticRegression` that chooses C and l1_ratio by cross-validation, as scikit-learn's does.

    If scikit-learn 1.9 announces a change, the new meaning holds here: ``scoring`` is the log loss by default, and the
    attributes are those of ``use_legacy_attributes=False``.

    Parameters
    ----------
    Cs : int or list of float
        Inverse penalties; an integer stands for that many values from 1e-4 to 1e4. The sum s in the penalties, see
        `LogisticRegression`, is that of the weights of a fold's training part.
    cv : int, splitter or iterable of (train, test), optional
        None means five stratified folds.
    scoring : str, callable or None
        None means the accuracy. "neg_log_loss" and "accuracy" are computed where X lives, other scores on the host.
    refit : bool
        Whether to fit all samples with the penalty whose mean score is best. If False, the parameters, C and l1_ratio
        are means over the folds, of those that are best in each fold.
    l1_ratios : list of float, or None
        Each is tried with all Cs. None means (0.0,).
    use_legacy_attributes : False
    fit_intercept, dual, penalty, solver, tol, max_iter, class_weight, n_jobs, verbose, intercept_scaling, random_state
        As for `LogisticRegression`. If ``penalty`` is "l1" or "l2", that stands for ``l1_ratios``.
    penalty_factor, categorical_features, drop, reference, unseen, missing, backend, device : optional
        As for `LogisticRegression`. Missing numbers are filled in by the training part of each fold.
    callback, time_limit : optional
        As in `xlogreg.fit_cv`, and then in `xlogreg.fit`, for the fit to all samples. Penalties whose models are not
        done are not chosen, unless no other can be.

    Attributes
    ----------
    coef_, intercept_, classes_, n_features_in_, feature_names_in_
        As for `LogisticRegression`. These and the arrays below live where X lived.
    Cs_ : array (n_cs,)
    C_, l1_ratio_ : float
    scores_ : array (n_folds, n_l1_ratios, n_cs)
    coefs_paths_ : array (n_folds, n_l1_ratios, n_cs, 1 or n_classes, n_features + 1)
        The last column is missing for fit_intercept=False. A class that the training part lacks has the weights 0, and
        an intercept so low that its probability is below eps.
    n_iter_ : array (n_folds, n_l1_ratios, n_cs)
    l1_ratios_ : array (n_l1_ratios,)
    fit_info_ : FitInfo
        A record of the fit to all samples; only with ``refit``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from xlogreg import LogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegressionCV(Cs=[0.1, 1.0, 10.0, 100.0]).fit(X, y)
    >>> classifier.C_, classifier.scores_.shape
    (100.0, (5, 1, 4))
    """

    __metadata_request__score = {"sample_weight": metadata_routing.UNUSED}  # noqa: RUF012  the scorer asks for it

    def __init__(
        self,
        *,
        Cs: Any = 10,
        l1_ratios: Any = (0.0,),
        fit_intercept: bool = True,
        cv: Any = None,
        dual: bool = False,
        penalty: Any = "deprecated",
        scoring: Any = "neg_log_loss",
        solver: str = "lbfgs",
        tol: float = 1e-4,
        max_iter: int = 100,
        class_weight: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        refit: bool = True,
        intercept_scaling: float = 1.0,
        random_state: Any = None,
        use_legacy_attributes: bool = False,
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
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.dual = dual
        self.penalty = penalty
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.intercept_scaling = intercept_scaling
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None, **params: Any) -> Self:
        """Choose C and l1_ratio on folds of the samples X (m, n_features) with the labels y (m,), and fit.

        Parameters
        ----------
        X : array or frame (m, n_features)
            A dask collection is fitted by the workers of the client that was started last.
        y : array (m,)
        sample_weight : array (m,), optional
            Weights for the fits, and for the scores of the folds.
        offset : array (m,), or (m, n_classes) for more than two classes, optional
            A known term that is added to the scores, as for `xlogreg.fit`. It counts in the fits and in the scores of
            the folds, which scorers of scikit-learn cannot take.
        **params
            Parameters that metadata routing passes on to the splitter and the scorer.
        """
        began = time.perf_counter()
        ratios = asked_ratios(self.penalty, self.l1_ratios)
        if self.use_legacy_attributes:
            raise ValueError("use_legacy_attributes must be False: only the new attributes of scikit-learn are here")
        Cs = self._grid()
        penalties = [ElasticNet(C, ratio) for C in Cs.tolist() for ratio in ratios.tolist()]
        table = table_of(self, bool(np.all(Cs == np.inf)))
        given = X
        self._expect_no_scorer(offset)
        X, y, sample_weight, home = self._taken(X, y, sample_weight, table, offset)
        offset = None if is_collection(given) else offset  # which is with the parts
        labels = to_host(y)
        if sample_weight is not None:
            params = {"sample_weight": sample_weight} | params
        routed = self._routed("fit", _on_host(params))
        seen = labels if hasattr(X, "host_rows") else X  # splitters need only the length
        folds = list(check_cv(self.cv, labels, classifier=True).split(seen, labels, **routed.splitter.split))
        weight = take_weight(sample_weight, self.class_weight, y, home)

        def refill(counts: np.ndarray) -> Features:
            own = None if sample_weight is None else to_host(as_weight(sample_weight, len(counts)))[0]
            return learn_features(given, "rows", table, counts if own is None else counts * own)

        refills = None if self._encoding is None or is_collection(given) else refill
        own = None if refills is None else self._encoding
        known = self._known(routed.scorer.score)
        search = search_of(self) | {"score": "log_loss" if known is None else known.name}
        flat, left, lacking = fit_folds(X, y, weight, folds, penalties, self.tol, search, own, refills, offset)
        models = [flat[start : start + len(penalties)] for start in range(0, len(flat), len(penalties))]
        self.classes_ = classes_of(flat[0], y)
        self.Cs_, self.l1_ratios_ = home.put(Cs), home.put(ratios)
        if left is not None and known is not None:
            by = as_weight(routed.scorer.score.get("sample_weight"), X.shape[0])
            scores = known.sign * left.scores(by)[known.name].reshape(len(folds), -1)
        else:
            # known scores do not clip the probability of a class that a fold lacks, as scikit-learn's scorers do
            known = None if np.any(lacking) else known
            rows = zip(folds, models, strict=True)
            beside = routed.scorer.score | ({} if offset is None else _on_host({"offset": offset}))
            scores = np.asarray([self._scores(X, y, test, row, beside, known) for (_, test), row in rows])
        found = [[folded(model) for model in row] for row in models]
        paths = np.asarray([[np.vstack([w, b])[: len(w) + self.fit_intercept].T for w, b in row] for row in found])
        steps = np.asarray([[model.fit_info.iterations for model in row] for row in models], dtype=np.int32)

        def by_ratio(values: np.ndarray) -> Array:
            """Arrange values (n_folds, n_cs n_l1_ratios, ...) as (n_folds, n_l1_ratios, n_cs, ...), on ``home``."""
            return home.put(values.reshape(len(folds), len(Cs), len(ratios), *values.shape[2:]).swapaxes(1, 2))

        self.scores_, self.coefs_paths_ = by_ratio(scores), by_ratio(paths)
        if self.refit:
            number = _best(scores, models)
            self.C_, self.l1_ratio_ = penalties[number]
            total, time_limit = total_of(weight, X.shape[0]), time_left(self.time_limit, began)
            near = _begun_once_stopped([row[number] for row in models], flat)
            self._fit_all(X, y, weight, penalties[number], total, offset, time_limit=time_limit, **near)
        else:
            self._adopt_folds(scores, models, penalties)
        self.n_iter_ = by_ratio(steps)
        return self

    def _adopt_folds(self, scores: np.ndarray, models: list[list[Model]], penalties: list[ElasticNet]) -> None:
        """Take the mean of what is best on each fold, of its penalties and of its parameters."""
        begun = [fold for fold, row in enumerate(models) if any(map(_has_begun, row))]
        chosen = [(fold, _best(scores[[fold]], [models[fold]])) for fold in begun]
        self.C_, self.l1_ratio_ = np.mean([penalties[number] for _, number in chosen], axis=0).tolist()
        self._adopt([models[fold][number] for fold, number in chosen])
        if not self.fit_intercept:  # a class that a fold lacks has a bias even then
            self.intercept_ = self.intercept_ * 0.0
        self.__dict__.pop("fit_info_", None)  # left by an earlier fit

    def _expect_no_scorer(self, offset: Any) -> None:
        """Raise if there is an offset, and a scorer of scikit-learn would have to take it."""
        if offset is not None and self._known({}) is None:
            known = ", ".join(map(repr, SCORES))
            raise ValueError(f"scoring={shown(self.scoring)} takes no offset; with one, use {known} or None")

    def _taken(self, X: Any, y: Any, sample_weight: Any, table: Any, offset: Any) -> tuple[Any, Any, Any, Any]:
        """Take X, y and the weights, on this machine or on a cluster; return them, and the place of the attributes."""
        if not is_collection(X):
            X = learn_table(self, X, sample_weight, table)
            return X, take_labels(self, y, X.shape[0]), sample_weight, home_of(X)
        if table.missing != "error":
            raise ValueError(f"missing={self.missing!r} needs X in memory: each fold fills in its own values")
        X = take_collection(self, X, y, sample_weight, table, offset).with_targets()
        return X, X.labels, None if X.weight is None else X.weight[0], HOST

    def _grid(self) -> np.ndarray:
        try:
            count = isinstance(self.Cs, numbers.Integral)
            Cs = np.logspace(-4, 4, max(self.Cs, 0)) if count else np.asarray(self.Cs, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            Cs = np.zeros(0)
        if Cs.ndim != 1 or Cs.shape[0] == 0 or not np.all(Cs > 0):
            raise ValueError(f"Cs must be a list of numbers above 0, or how many of them to try, not {shown(self.Cs)}")
        return Cs

    def _scores(
        self, X: Array, y: Array, test: Any, models: list[Model], params: dict[str, Any], known: "Known | None"
    ) -> list[float]:
        """Score models on the test samples of a fold."""
        test = np.arange(X.shape[0])[test]
        params = _check_method_params(X, params, indices=test)
        X, y = (_rows(value, test) for value in (X, y))
        fold, scored = copy.copy(self), []
        fold.__dict__.pop("feature_names_in_", None)  # X has no names any more
        fold._encoding, fold.n_features_in_ = None, X.shape[1]
        for model in models:
            if not _has_begun(model):
                scored.append(math.nan)
                continue
            fold._adopt([model])
            scored.append(fold._score(X, y, params, known, with_labels(self._scorer(), self.classes_)))
        return scored

    def _score(self, X: Any, y: Any, params: dict[str, Any], known: "Known | None", scorer: Any) -> float:
        """Score samples, by a known score or else by the scorer with the parameters that are passed on to it."""
        if known is not None:
            return known.sign * getattr(self._take(X, "score")[0].evaluate(X, y, **params), known.name)
        if is_foreign(X):
            return scorer(self.to(HOST.name), to_host(X), to_host(y) if is_foreign(y) else y, **params)
        return scorer(self, X, y, **params)

    def score(  # type: ignore[override]  # as scikit-learn's does
        self, X: Any, y: Any, *, sample_weight: Any = None, offset: Any = None, **score_params: Any
    ) -> float:
        """Score samples X (m, n_features) with the labels y (m,), and their offset, as ``scoring`` says."""
        self._expect_no_scorer(offset)
        if sample_weight is not None:
            score_params["sample_weight"] = sample_weight
        params = self._routed("score", _on_host(score_params)).scorer.score
        # the accuracy takes labels, too, that the fit did not see
        if self.scoring is None or self._known({}) is SCORES["accuracy"]:
            return super().score(X, y, offset=offset, **params)
        known, beside = self._known(params), {} if offset is None else {"offset": offset}
        return self._score(X, y, params | beside, known, self._scorer())

    def _known(self, params: dict[str, Any]) -> "Known | None":
        """The score if it needs no scorer of scikit-learn; otherwise None."""
        name = "accuracy" if self.scoring is None else self.scoring
        return SCORES.get(name) if isinstance(name, str) and params.keys() <= {"sample_weight"} else None

    def _scorer(self) -> Any:
        return get_scorer("accuracy" if self.scoring is None else self.scoring)

    def _routed(self, method: str, params: dict[str, Any]) -> Bunch:
        """Sort the parameters of fit or score into those for the splitter and those for the scorer."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, method, **params)
        if params.keys() - {"sample_weight"}:
            raise ValueError(f"{', '.join(params)} need sklearn.set_config(enable_metadata_routing=True)")
        return Bunch(splitter=Bunch(split={}), scorer=Bunch(score=params))

    def get_metadata_routing(self) -> MetadataRouter:
        """Tell scikit-learn's metadata routing what fit and score ask for and pass on."""
        scoring = MethodMapping().add(caller="score", callee="score").add(caller="fit", callee="score")
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
            .add(scorer=self._scorer(), method_mapping=scoring)
        )


def _has_begun(model: Model) -> bool:
    """Whether a model has parameters: those that a time limit or a callback kept from beginning have none."""
    return not (model.fit_info.reason in STOPPED and math.isnan(model.fit_info.cost))


def _best(scores: np.ndarray, models: list[list[Model]]) -> int:
    """Return the number of the penalty with the best scores (F, P) of the models of folds (F, P)."""
    done = np.asarray([[model.fit_info.reason not in STOPPED for model in row] for row in models])
    if np.all(done):
        return int(np.argmax(np.sum(scores, axis=0)))
    zeros = np.zeros(scores.shape[1])
    return choose(zeros, zeros, scores, "best", np.all(done, axis=0))


def _begun_once_stopped(near: list[Model], models: list[Model]) -> dict[str, Any]:
    """Return arguments of a fit to all samples after the models of the folds were stopped: it begins near its end."""
    start = next(filter(_has_begun, near), None)
    reasons = {model.fit_info.reason for model in models}
    if start is None or not reasons & set(STOPPED):
        return {}
    return {"initial": (start.w, start.b)} | ({"callback": lambda state: True} if "callback" in reasons else {})


def _rows(values: Any, indices: np.ndarray) -> Array:
    if hasattr(values, "host_rows"):
        ascending, back = np.unique(indices, return_inverse=True)
        return values.host_rows(ascending)[back]
    place = place_of(values)
    with place.computing():
        return values[indices] if place == HOST else place.xp.take(values, place.put(indices), axis=0)


def _on_host(params: dict[str, Any]) -> dict[str, Any]:
    return {name: to_host(value) if is_foreign(value) else value for name, value in params.items()}
