"""The result of a fit: parameters for X as it was handed in, and predictions with them."""

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.arrays.choice import usable_place
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, Array, dtype_name, name_of, place_of, to_host
from xlogreg.inputs.encoding import Encoding, Term
from xlogreg.math.losses import LOSSES, both_classes
from xlogreg.math.scores import class_numbers
from xlogreg.model import candidates, covariances, diagnosis, effects, likelihoods, significance, to_sklearn
from xlogreg.model.file import read_model, write_model
from xlogreg.model.given import labelled, source_of
from xlogreg.model.on_cluster import also_on_dask
from xlogreg.model.overflow import report_sums, score_samples
from xlogreg.model.reports import FitInfo, Report, StandardErrors, abridged
from xlogreg.samples.memory import InMemory
from xlogreg.samples.products import map_samples
from xlogreg.samples.source import Columns, Samples

__all__ = ["Model", "load"]

SCORES_BYTES = 2**19  # size of a block of scores: its temporaries then stay in the cache of a core


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A fitted logistic regression.

    Attributes
    ----------
    w : array (n_x, k)
        k = 1 for two classes, K for more. Library, device and dtype are those of X as it was handed in (the
        computing dtype if X is not of float32 or float64).
    b : array (k, 1)
    classes : ndarray (K,)
        The user's labels, in order. For two classes, a score above 0 means the second class.
    samples : {"columns", "rows"}
        The layout that `fit` was given; predictions take and give samples in the same layout.
    loss : str
    costs : ndarray (iterations,)
        J before each update.
    fit_info : FitInfo
    covariance : ndarray ((n_x + 1) k, (n_x + 1) k), or str
        Covariance of the parameters from the Fisher information, feature by feature and the bias last; or a text that
        says why there is none.
    center, centered_b : array (n_x, 1), (k, 1), or None
        Kept where rounding of b would show in predictions: these then use the scores W'(X - center) + centered_b.
    feature_names : tuple of str, or None
        Names of the features: of the columns of the fitted table, or such as "city=Paris" for a level of a category. A
        table to predict on may have its columns in another order.
    l1, l2 : float, or None
        Penalties that were asked for; None if they are not known, for models of earlier versions.
    penalty_factor : ndarray (n_x,), or None
        Factors of the penalty that were asked for, one for each feature; None if there were none.
    standardize : bool or float, or None
        As it was asked for; None if not known.
    relax : float or None
        The l2 of a second fit, on the features that L1 had selected, if it was asked for.
    multinomial : {"ungrouped", "grouped"}
    penalty : {"each", "group"}, or ndarray (n_x,) of whole numbers
        Groups of weights that were asked for; they mean something beside ``l1`` only.
    bias : bool
        Whether b was fitted; it is zero otherwise.
    offset : bool
        Whether it was fitted with an offset; predictions then need the offset of their samples.
    bias_reduction : {"firth", "flic"}, or None
        As it was asked for.
    score_shift : ndarray (k,), or None
        Added to all scores after the fit, by FLIC or for a ``prior``. Predictions and `evaluate` have it; b, the cost,
        the gap and standard errors are those before.
    encoding : Encoding, or None
        How the columns of the fitted table became features, if they are not plain numbers.
    terms : tuple of Term
        The columns of the fitted table, each with its levels and its rows of w; () if the features have no names.

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
    covariance: np.ndarray | str = "it was not computed"
    center: Array | None = None
    centered_b: Array | None = None
    feature_names: tuple[str, ...] | None = None
    l1: float | None = None
    l2: float | None = None
    penalty_factor: np.ndarray | None = None
    standardize: bool | float | None = None
    relax: float | None = None
    encoding: Encoding | None = None
    multinomial: str = "ungrouped"
    penalty: str | np.ndarray = "each"
    bias: bool = True
    offset: bool = False
    bias_reduction: str | None = None
    score_shift: np.ndarray | None = None

    def __repr__(self) -> str:
        info, asked = self.fit_info, {"l1": self.l1, "l2": self.l2}
        penalty = "".join(f", {name}={value:.4g}" for name, value in asked.items() if value)
        penalty += "" if self.bias_reduction is None else f", {self.bias_reduction}"
        penalty += "" if self.relax is None else f", relax={self.relax:.4g}"
        penalty += " with factors" if penalty and self.penalty_factor is not None else ""
        grouped = self.multinomial == "grouped" or not (isinstance(self.penalty, str) and self.penalty == "each")
        penalty += " in groups" if self.l1 and grouped else ""
        about = f"n_x={self.w.shape[0]}, classes={abridged(self.classes)}{penalty}, {name_of(self.w)}"
        return f"Model({about}, {info.reason}: cost {info.cost:.6g})"

    @also_on_dask
    def decision_function(self, X: Any, offset: Any = None) -> Array:
        """Scores Z = W'X + b, with the offset of the samples, and ``score_shift`` if the model has one.

        Parameters
        ----------
        X : array (n_x, m), or (m, n_x) for a model of rows
            An array or a sparse matrix of any library. A dask collection gives a dask array, which is computed when it
            is asked for.
        offset : array (m,), or (K, m) for K classes, optional
            Added to the scores; (m, K) for a model of rows. A model that was fitted with an offset needs one, and any
            other model takes one, too. Beside a dask collection it may be another one of the same samples.

        Returns
        -------
        array (k, m), or for a model of rows (m,) with two classes, else (m, K)
            Lives where X lives. Infinite where a score is too large for its dtype.

        Raises
        ------
        ValueError
            If X has another number of features, or values that are not finite; if there is no offset, but there was
            one in the fit.
        """
        Z = self._scores(X, offset)
        if self.samples == "columns":
            return Z
        return Z[0, :] if Z.shape[0] == 1 else place_of(Z).xp.matrix_transpose(Z)

    @also_on_dask
    def predict_proba(self, X: Any, offset: Any = None) -> Array:
        """Probability of each class, in the order of `classes`.

        Parameters
        ----------
        X : array (n_x, m), or (m, n_x) for a model of rows
        offset : array, optional
            As for `decision_function`.

        Returns
        -------
        array (K, m), or (m, K) for a model of rows
            K = 2 for two classes: 1 - a and a. Where scores are infinite, their limits: 1 for the class with the
            largest score.

        Examples
        --------
        >>> import numpy as np, xlogreg
        >>> model = xlogreg.fit(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1])
        >>> model.predict_proba(np.asarray([[0.0]]))
        array([[0.5],
               [0.5]])
        """
        link = LOSSES[self.loss].link
        return self._per_class(X, offset, lambda Z: both_classes(Z) if Z.shape[0] == 1 else link(Z))

    @also_on_dask
    def predict_log_proba(self, X: Any, offset: Any = None) -> Array:
        """Logarithm of `predict_proba`, accurate where a probability is too small for its dtype."""
        loss = LOSSES["log_loss" if self.loss == "squared_error" else self.loss]

        def log_probability(Z: Array) -> Array:
            # -log of the probability of class j is the loss of a sample labelled j
            xp = place_of(Z).xp
            if Z.shape[0] == 1:
                return -xp.concat([loss.value(Z, xp.zeros_like(Z)), loss.value(Z, xp.ones_like(Z))], axis=0)
            top = xp.max(Z, axis=0, keepdims=True)
            return Z - top - xp.log(xp.sum(xp.exp(Z - top), axis=0, keepdims=True))

        return self._per_class(X, offset, log_probability)

    @also_on_dask
    def predict(self, X: Any, offset: Any = None) -> Array:
        """The most probable label of each sample, in the user's own values.

        Parameters
        ----------
        X : array (n_x, m), or (m, n_x) for a model of rows
        offset : array, optional
            As for `decision_function`.

        Returns
        -------
        array (1, m), or (m,) for a model of rows
            Lives where X lives, but in NumPy if the library cannot hold the labels: strings, or numbers too large
            for it.
        """
        Z = self._scores(X, offset, relative=True)
        place = place_of(Z)
        with place.computing():
            numbers = class_numbers(Z)[0, :]
            known = None if self.classes.dtype.kind in "US" else place.put(self.classes)
            if known is None or not np.array_equal(to_host(known), self.classes):
                labels = self.classes[to_host(numbers)]
            else:
                labels = place.xp.take(known, numbers, axis=0)
        return labels if self.samples == "rows" else labels[None, :]

    def evaluate(
        self, X: Any, Y: Any = None, sample_weight: Any = None, targets: str = "labels", offset: Any = None
    ) -> Report:
        """Compute accuracy, mean loss and confusion matrix on samples with known labels, or known probabilities.

        Parameters
        ----------
        X : array (n_x, m), or (m, n_x) for a model of rows
            A dask collection is evaluated by the workers of the client that was started last.
        Y : array (m,), (1, m) or one-hot (K, m)
            Labels, which must all be among `classes`, or probabilities, as ``targets`` says. Both as for `fit`. A model
            of a formula finds them in X if they are left out.
        sample_weight : array (m,), optional
        offset : array, optional
            As for `decision_function`.
        """
        samples = labelled(self, X, Y, sample_weight, targets, offset)
        losses, confusion = report_sums(samples, self._theta(samples), LOSSES[self.loss])
        total = float(samples.total_weight)
        return Report(float(np.trace(confusion)) / total, float(losses[0]) / total, confusion, self.classes)

    @property
    def terms(self) -> tuple[Term, ...]:
        names = self.feature_names or ()
        plain = (Term(name, None, (row,)) for row, name in enumerate(names))
        return tuple(plain) if self.encoding is None else self.encoding.terms

    @property
    def log_likelihood(self) -> float:
        """Logarithm of the probability of the training labels, sum_i s_i log p(y_i | x_i) (notes 2.8)."""
        return self.fit_info.log_likelihood

    @property
    def deviance(self) -> float:
        """-2 log-likelihood: for hard labels the distance to a model that is sure and right about each sample."""
        return -2.0 * self.fit_info.log_likelihood

    @property
    def null_deviance(self) -> float:
        """Deviance of the model without features."""
        return -2.0 * self.fit_info.null_log_likelihood

    def standard_errors(self) -> StandardErrors:
        """Standard errors of w (n_x, k) and b (k, 1), in NumPy, from the inverse of the Fisher information.

        Raises
        ------
        ValueError
            If they would mean nothing, or were not computed; the message says why.

        Examples
        --------
        >>> import numpy as np, xlogreg
        >>> model = xlogreg.fit(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1])
        >>> model.standard_errors().w.round(4)
        array([[0.6798]])
        """
        if isinstance(self.covariance, str):
            raise ValueError(f"no standard errors: {self.covariance}")
        errors = np.sqrt(np.diag(self.covariance)).reshape(-1, self.w.shape[1])
        return StandardErrors(errors[:-1], errors[-1:].T)

    def to(self, backend: str, device: Any = None) -> "Model":
        """Return the model with its parameters on another backend or device, both named as for `fit`.

        Raises
        ------
        ValueError, BackendUnavailableError
            If the backend does not exist, or does not work here.
        """
        place = usable_place(backend, device)
        names = [name for name in ("w", "b", "center", "centered_b") if getattr(self, name) is not None]
        return dataclasses.replace(self, **{name: place.put(getattr(self, name)) for name in names})

    to_sklearn = to_sklearn.to_sklearn
    covariance_of = covariances.covariance_of
    summary = significance.summary
    wald_test = significance.wald_test
    wald_test_terms = significance.wald_test_terms
    drop_one = likelihoods.drop_one
    profile_interval = likelihoods.profile_interval
    score_test = candidates.score_test
    marginal_effects = effects.marginal_effects
    odds_ratios = effects.odds_ratios
    predict_interval = effects.predict_interval
    influence = diagnosis.influence
    roc = diagnosis.roc
    calibration = diagnosis.calibration

    def save(self, path: str | os.PathLike) -> None:
        """Write the model to a file that `xlogreg.load` reads: a .npz archive of plain arrays and a JSON header.

        The file is written under another name and then moved to ``path``: if anything goes wrong, an older model there
        stays whole.

        Parameters
        ----------
        path : str or path
            The whole name of the file; no suffix is appended.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If parameters are not finite, or names of features or labels too long.

        Examples
        --------
        >>> import os, tempfile, numpy as np, xlogreg
        >>> model = xlogreg.fit(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "model.npz"))
        ...     again = xlogreg.load(os.path.join(folder, "model.npz"))
        >>> bool(again.w == model.w)
        True
        """
        model = self.to(HOST.name)
        write_model(path, {field.name: getattr(model, field.name) for field in dataclasses.fields(model)})

    def _b(self, samples: Samples) -> Array:
        """Return the bias for samples, which are centred or not, with the shift of the scores."""
        b = self.b if samples.center is None or self.centered_b is None else self.centered_b
        if self.score_shift is None:
            return b
        with place_of(b).computing():
            return b + place_of(b).put(self.score_shift[:, None], dtype_name(b))

    def _theta(self, samples: Samples) -> np.ndarray:
        return np.concatenate([to_host(self.w), to_host(self._b(samples)).T]).astype(np.float64)

    def _scores(self, X: Any, offset: Any, relative: bool = False) -> Array:
        source = source_of(self, X, offset)
        w, b = source.place.put(self.w, source.dtype), source.place.put(self._b(source), source.dtype)
        return score_samples(source, w, b, relative)

    def _per_class(self, X: Any, offset: Any, function: Callable[[Array], Array]) -> Array:
        """Apply the function to the scores Z (k, samples), block by block."""
        Z = self._scores(X, offset, relative=True)
        place = place_of(Z)
        scores = InMemory(Dense(Z), Columns(), place, dtype_name(Z), 0.0, block_bytes=SCORES_BYTES)
        A = map_samples(scores, function)
        return A.T if self.samples == "rows" else A


def load(path: str | os.PathLike) -> Model:
    """Load a model that `Model.save` wrote, with its parameters in NumPy; `Model.to` moves them.

    Nothing in the file is executed, and no more memory is allocated than its size allows: see SECURITY.md.

    Raises
    ------
    ModelFileError
        If the file is no model, is damaged, or is of a newer version.
    OSError
        If there is no file to read.
    """
    return Model(**read_model(path))
