"""Covariances of a fitted model from the samples of its fit; a method of `Model`."""

from typing import Any

import numpy as np

from xlogreg.exceptions import one_of
from xlogreg.inference import sandwich
from xlogreg.inference.covariance import AFTER_SELECTION
from xlogreg.inference.sandwich import Covariance
from xlogreg.math.losses import LOSSES
from xlogreg.model.given import expect_likelihood, fitted_samples, group_numbers
from xlogreg.model.to_sklearn import bias_at, folded, has_bias
from xlogreg.samples.source import Samples
from xlogreg.solvers.coordinates import measure_spread

__all__ = ["covariance_of", "expect_converged", "expect_estimable", "is_separated"]

WEIGHTS = ("frequency", "importance")
INVERSES = ("fisher", "penalised", "posterior", "augmented")  # kinds that take the weights for numbers of samples


def covariance_of(
    model: Any,
    X: Any,
    Y: Any = None,
    *,
    kind: str = "fisher",
    groups: Any = None,
    sample_weight: Any = None,
    weights: str = "frequency",
    targets: str = "labels",
    offset: Any = None,
) -> Covariance:
    """Compute the covariance of the parameters from the samples of the fit, in one pass.

    Pass it to `summary`, `wald_test` and all other methods that take ``covariance=``.

    Parameters
    ----------
    X, Y, sample_weight, targets, offset
        The samples that the model was fitted to, as for `xlogreg.fit`: in memory, in files, sparse, a table with
        categories, a dask collection, or a factory. The pass runs where X lives, in float64 if there is one.
    kind : {"fisher", "HC0", "HC1", "cluster", "penalised", "posterior", "augmented"}
        F is the Hessian of the summed loss, F_l that of the summed loss and penalty, M the sum of the outer products of
        the samples' scores, n the number of observations, p that of free parameters.

        - "fisher": F^-1. Right if the model is.
        - "HC0": F^-1 M F^-1 (White 1982), also if the model is wrong; cov_type="HC0" of statsmodels.
        - "HC1": HC0 times n / (n - p), as vcovHC of R's sandwich has it. cov_type="HC1" of statsmodels' discrete models
          is HC0 without that factor.
        - "cluster": M adds up scores within each of G clusters first, times G / (G - 1) (n - 1) / (n - p) (Liang &
          Zeger 1986); as statsmodels has it, with the normal distribution.
        - "penalised": F_l^-1 F F_l^-1, the sampling variance of the penalised estimate. It leaves out its bias.
        - "posterior": F_l^-1, if the penalty is a prior (Laplace's approximation).
        - "augmented": after Firth's bias reduction, the inverse information of samples of the weights s + h, h their
          leverages, in a second pass; what firthmodels reports. It is smaller than "fisher".
    groups : array (m,), optional
        The cluster of each sample, of numbers or strings; for kind="cluster".
    weights : {"frequency", "importance"}
        What sample_weight means. "frequency": a weight s is as good as s samples, and n is the sum of the weights.
        "importance": it multiplies the score of one sample, as a sampling weight does; n = m, M has s^2, and "fisher"
        is refused.

    Returns
    -------
    Covariance

    Raises
    ------
    ValueError
        If these are not the samples of the fit, as far as their number, their weights and their log-likelihood tell; if
        the model is selected by L1, bounded, not converged, or its classes are separated; if n_x is beyond 5,000; or if
        kind and penalty, weights or groups do not fit together.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> model = xlogreg.fit(X, Y)
    >>> robust = model.covariance_of(X, Y, kind="HC0")
    >>> robust.matrix.round(4)
    array([[ 0.2044, -0.1288],
           [-0.1288,  0.7937]])
    """
    _expect_kind(model, kind, groups, sample_weight, weights)
    samples = fitted_samples(model, X, Y, sample_weight, targets, offset)
    count = 0
    if groups is not None:
        numbers, count = group_numbers(groups, samples.m)
        samples = samples.grouping(numbers)
    w, bias = folded(model)[0], has_bias(model)

    def theta(center: np.ndarray) -> np.ndarray:
        return np.concatenate([w, bias_at(model, center).T])[:, None, :]

    importance = sample_weight is not None and weights == "importance"
    loss = LOSSES[model.loss]
    sums = sandwich.sum_information(samples, theta, loss, kind, importance, count, bias)
    expect_likelihood(model, samples, -sums.loss)
    total = float(np.ravel(samples.total_weight)[0])
    n = float(samples.m) if importance else total
    named = None if sample_weight is None else weights
    ridge = total * _ridge(model, samples)
    return sandwich.covariance_from(sums, kind, ridge, bias, n, named)


def _expect_kind(model: Any, kind: str, groups: Any, sample_weight: Any, weights: str) -> None:
    """Raise unless there is such a covariance for this model and these arguments."""
    one_of("kind", kind, tuple(sandwich.KINDS))
    one_of("weights", weights, WEIGHTS)
    if (kind == "cluster") != (groups is not None):
        raise ValueError(
            "kind='cluster' needs groups, the cluster of each sample"
            if groups is None
            else f"groups are for kind='cluster'; kind is {kind!r}"
        )
    expect_estimable(model, "covariance")
    if model.l1 or model.relax is not None:
        raise ValueError(f"no covariance: {AFTER_SELECTION}")
    if sample_weight is not None and weights == "importance" and kind in INVERSES:
        raise ValueError(f"kind={kind!r} takes weights for numbers of samples; for importance weights use kind='HC0'")
    if is_separated(model):
        how = model.fit_info.separation
        raise ValueError(f"no covariance: the classes are separated ({how}), so there is no minimum")
    expect_converged(model, "covariance")
    penalised = bool(model.l2)
    if penalised and kind not in ("penalised", "posterior"):
        raise ValueError(
            f"kind={kind!r} is for a fit without a penalty, which biases parameters; use kind='penalised' or "
            "'posterior', or fit with l2=0"
        )
    if not penalised and kind in ("penalised", "posterior"):
        raise ValueError(f"kind={kind!r} is for a fit with l2 > 0; without a penalty use kind='fisher'")
    if kind == "augmented" and model.bias_reduction is None:
        raise ValueError("kind='augmented' is for a fit with bias_reduction; without one use kind='fisher'")


def is_separated(model: Any) -> bool:
    """Whether the fit found that its classes are separated, so that the unpenalised cost has no minimum."""
    return model.fit_info.separation in ("complete", "quasi-complete")


def expect_estimable(model: Any, what: str) -> None:
    """Raise unless the model is one whose likelihood may be expanded about its parameters."""
    n_x, k = model.w.shape
    if model.loss == "squared_error":
        raise ValueError(f"no {what}: the model minimises the squared error, which is no likelihood")
    if isinstance(model.covariance, str) and "bounds" in model.covariance:
        raise ValueError(f"no {what}: {model.covariance}")
    if n_x * k > sandwich.LARGEST:
        raise ValueError(
            f"no {what}: it needs the inverse of a matrix of {n_x * k} x {n_x * k} numbers, for {n_x} features; beyond "
            f"{sandwich.LARGEST} that takes too much memory and time"
        )


def expect_converged(model: Any, what: str) -> None:
    """Raise unless the parameters are at the minimum, within a tenth of their statistical error."""
    info = model.fit_info
    if not info.converged and not info.parameter_error < 0.1:
        raise ValueError(f"no {what}: the fit did not converge ({info.reason}); give it more steps, or another solver")


def _ridge(model: Any, samples: Samples) -> np.ndarray:
    """Curvature (n_x,) of the penalty of the mean loss in the weights, for X as handed in."""
    n_x = model.w.shape[0]
    if not model.l2:
        return np.zeros(n_x)
    factor = np.ones(n_x) if model.penalty_factor is None else np.asarray(model.penalty_factor, np.float64)
    scale: Any = float(model.standardize or 1.0)
    if model.standardize is True:
        spread = measure_spread(samples, exact=True)
        scale = np.where(spread.variance > 0, np.sqrt(spread.variance), 1.0)[:, 0]
    return float(model.l2) * factor * scale**2
