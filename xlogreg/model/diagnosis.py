"""Diagnosis of a model on samples: influence of single samples, the ROC curve, and calibration; methods of `Model`."""

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from xlogreg.arrays.place import Array, to_host
from xlogreg.exceptions import shown
from xlogreg.inference.calibration import Calibration, calibration_of
from xlogreg.inference.influence import Influence
from xlogreg.inference.roc import Roc, roc_of
from xlogreg.inference.sandwich import Covariance
from xlogreg.math.losses import sigmoid
from xlogreg.math.residuals import influences, sample_losses
from xlogreg.math.sums import split
from xlogreg.math.variances import class_logits, scores_and_covariance
from xlogreg.model.covariances import covariance_of
from xlogreg.model.effects import covariance_factor, theta_at
from xlogreg.model.given import are_fitted, expect_likelihood, fitted_samples, labelled
from xlogreg.model.overflow import score_samples
from xlogreg.model.significance import known
from xlogreg.model.to_sklearn import has_bias
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.samples.products import map_samples
from xlogreg.samples.source import host_center

__all__ = ["calibration", "influence", "roc"]

INVERSES = ("fisher", "posterior")  # kinds of covariance that are an inverse Hessian, as leverages need it


def influence(
    model: Any,
    X: Any,
    Y: Any = None,
    sample_weight: Any = None,
    *,
    covariance: Covariance | None = None,
    targets: str = "labels",
    offset: Any = None,
) -> Influence:
    """Compute leverages, residuals and Cook's distances of the samples of the fit, for two classes.

    Parameters
    ----------
    X, Y, sample_weight, targets, offset
        The samples that the model was fitted to, as for `xlogreg.fit`, from any source. With targets="probabilities"
        and numbers of trials as weights, a sample is a group of a binomial model.
    covariance : Covariance, optional
        A result of `covariance_of` of the kind "fisher", or "posterior" for a fit with l2. Otherwise it is the inverse
        Fisher information of the fit; if the fit has none, one more pass computes it, or that of the kind "posterior".

    Returns
    -------
    Influence
        Arrays in the widest float of the place where X lives; for a dask collection or files, on the host.

    Raises
    ------
    ValueError, TypeError
        If the model has three classes or more, there is no covariance, or these are not the samples of the fit.

    Notes
    -----
    The formulas are those of Pregibon (1981), as ``get_influence`` of statsmodels' GLM has them. They are about (w, b)
    of the fit, without ``score_shift``.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> influence = xlogreg.fit(X, Y).influence(X, Y)
    >>> influence.leverage.round(3)
    array([[0.532, 0.325, 0.178, 0.187, 0.292, 0.486]])
    >>> round(float(np.sum(influence.leverage)), 9)
    2.0
    """
    _expect_two(model, "influence")
    if covariance is None and isinstance(model.covariance, str):
        kind = "posterior" if model.l2 else "fisher"
        given = {"sample_weight": sample_weight, "targets": targets, "offset": offset}
        covariance = covariance_of(model, X, Y, kind=kind, **given)
    known(model, covariance)
    if covariance is not None and covariance.kind not in INVERSES:
        raise ValueError(f"covariance must be of the kind 'fisher' or 'posterior', not {covariance.kind!r}")
    samples = fitted_samples(model, X, Y, sample_weight, targets, offset)
    center = host_center(samples)
    parameters = float(model.w.shape[0] + has_bias(model))
    parameters = parameters if covariance is None else covariance.effective_parameters
    theta, factor = theta_at(model, center, shifted=False), covariance_factor(model, covariance, center)
    found = _of_each(samples, _influences, theta, factor, parameters)
    found, losses = found[:-1, :], to_host(found[-1, :])
    total = -float(np.sum(losses, dtype=np.float64))
    if not np.isfinite(total):
        refuse_nonfinite(samples)
    expect_likelihood(model, samples, total)
    flat = model.samples == "rows"
    return Influence(*(found[row, :] if flat else found[row : row + 1, :] for row in range(found.shape[0])))


def _influences(part: Any, theta: np.ndarray, factor: np.ndarray, parameters: float) -> Array:
    """Compute the rows of `influences`, the probability and the weighted loss of each sample: (7, m)."""
    place = part.place
    theta, factor = place.put(theta, place.widest), place.put(factor, place.widest)
    both = map_samples(part, lambda X: scores_and_covariance(X, theta, factor))
    with place.computing():
        Y, weight = part.targets(0, part.m), _weights(part)
        Z = both[:1, :] if part.columns.offset is None else both[:1, :] + part.columns.offset
        rows = influences(Z, both[1:, :], Y, weight, parameters), sigmoid(Z), sample_losses(Z, Y, weight)
        return place.xp.concat(list(rows), axis=0)


def _weights(part: Any) -> Array:
    """Weights (1, m) of the samples, ones if there are none, in the computing dtype."""
    place, weight = part.place, part.columns.weight
    dtype = place.dtype(part.dtype)
    if weight is None:
        return place.xp.ones((1, part.m), dtype=dtype, device=place.device)
    return place.xp.astype(weight, dtype, copy=False)


def _of_each(samples: Any, function: Callable[..., Array], *arguments: Any) -> Array:
    """Apply a function of samples in memory; for those of workers to each part, and join the results on the host."""
    if samples.is_here:
        return function(samples, *arguments)
    return np.concatenate([to_host(part) for part in samples.each(function, *arguments)], axis=-1)


def _expect_two(model: Any, name: str) -> None:
    if len(model.classes) > 2:
        raise ValueError(f"{name} is for two classes; the model has {len(model.classes)}")


def roc(
    model: Any,
    X: Any,
    Y: Any = None,
    sample_weight: Any = None,
    *,
    positive: Any = None,
    targets: str = "labels",
    offset: Any = None,
) -> Roc:
    """Compute the ROC curve and the area under it, with its standard error by DeLong.

    Parameters
    ----------
    X, Y, sample_weight, targets, offset
        Samples with labels, or shares of each class, as for `evaluate`, from any source.
    positive : optional
        The label of the class that the curve is about; the second one if there are two classes. With three classes or
        more it is compared with all others together, by its log-odds.

    Returns
    -------
    Roc
        On the host.

    Raises
    ------
    ValueError
        If there are three classes or more and ``positive`` is missing, it is no class, or Y lacks one of the sides.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> xlogreg.fit(X, Y).roc(X, Y)
    AUC 0.666667 of 1, standard error 0.2722, 95 % interval 0.153513 to 0.956628
    """
    labels = model.classes.tolist()
    if positive is None and len(labels) > 2:
        raise ValueError(f"positive must say which of the classes {labels} is compared with the others")
    if positive is not None and positive not in labels:
        raise ValueError(f"positive must be one of the classes {labels}; got {shown(positive)}")
    number = 1 if positive is None else labels.index(positive)
    z, y, weight = _judged(model, labelled(model, X, Y, sample_weight, targets, offset), number).astype(np.float64)
    if targets == "probabilities":  # a share of y stands for samples of both sides
        z, weight = np.tile(z, 2), np.concatenate([weight * y, weight * (1.0 - y)])
        y = np.repeat([1.0, 0.0], len(y))
    return roc_of(z, y > 0.5, weight, labels[number])


def _judged(model: Any, samples: Any, number: int) -> np.ndarray:
    """Return log-odds of a class, whether samples have it, and their weights (3, m) on the host."""
    return _of_each(samples, _log_odds, theta_at(model, host_center(samples), shifted=True), number)


def _log_odds(part: Any, theta: np.ndarray, number: int) -> np.ndarray:
    place = part.place
    Z = score_samples(part, *split(place.put(theta, part.dtype)))
    with place.computing():
        Y = part.targets(0, part.m)
        if Z.shape[0] == 1:
            L, own = (Z, Y) if number == 1 else (-Z, 1.0 - Y)
        else:
            L, own = class_logits(Z)[0][number : number + 1, :], Y[number : number + 1, :]
        return to_host(place.xp.concat([L, own, _weights(part)], axis=0))


def calibration(
    model: Any,
    X: Any,
    Y: Any = None,
    groups: int = 10,
    *,
    sample_weight: Any = None,
    new_data: bool | None = None,
    targets: str = "labels",
    offset: Any = None,
) -> Calibration:
    """Judge whether the probabilities of a model of two classes are as large as the shares that come true.

    Parameters
    ----------
    X, Y, sample_weight, targets, offset
        Samples with labels, or shares, as for `evaluate`, from any source; a weight counts as that many samples.
        Samples that the model was not fitted to say more.
    groups : int
        Number of groups of about the same size, by predicted probability. Equal probabilities stay together, so that
        there may be fewer.
    new_data : bool, optional
        Whether the samples are others than those of the fit. If not given, their number, weight and log-likelihood
        tell. The Hosmer-Lemeshow test has as many degrees of freedom as groups on new data, two fewer on the samples of
        the fit.

    Returns
    -------
    Calibration
        Table of the groups, Hosmer-Lemeshow test, calibration slope and intercept.

    Raises
    ------
    ValueError
        If the model has three classes or more, Y holds one class only, or ``groups`` is no whole number above one.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> found = xlogreg.fit(X, Y).calibration(X, Y, groups=3)
    >>> found.table["expected"].round(4)
    array([0.6964, 1.0243, 1.2792])
    >>> round(found.line.slope, 6)
    1.0
    """
    _expect_two(model, "calibration")
    if isinstance(groups, bool) or not isinstance(groups, numbers.Integral) or groups < 2:
        raise ValueError(f"groups must be a whole number of two or more; got {shown(groups)}")
    samples = labelled(model, X, Y, sample_weight, targets, offset).widened()
    z, y, weight = _judged(model, samples, 1).astype(np.float64)
    if new_data is None:
        fitted = z if model.score_shift is None else z - model.score_shift[0]
        losses = sample_losses(fitted[None, :], y[None, :], weight[None, :])
        new_data = not are_fitted(model, samples, float(np.sum(weight)), -float(np.sum(losses)))
    return calibration_of(z, y, weight, int(groups), bool(new_data))
