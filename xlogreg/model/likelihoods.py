"""Tests by likelihood ratios, and intervals from the profile of the likelihood; methods of `Model`."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xlogreg.exceptions import ConvergenceWarning, shown, warn
from xlogreg.inference import firth, sandwich
from xlogreg.inference.distributions import quantile
from xlogreg.inference.ends import profile_ends
from xlogreg.inference.estimates import Estimates, expect_level
from xlogreg.inference.minimum import Minimum, find_minimum
from xlogreg.inference.omission import drop_tests
from xlogreg.inference.separated_ends import near_infimum, separated_ends
from xlogreg.inference.significance import Tests
from xlogreg.inference.summary import coefficients_of
from xlogreg.inference.tabular import structured
from xlogreg.math.losses import LOSSES
from xlogreg.math.sums import gradient_terms
from xlogreg.model.covariances import expect_converged, expect_estimable, is_separated
from xlogreg.model.given import expect_likelihood, fitted_samples
from xlogreg.model.significance import coefficients, term_rows
from xlogreg.model.to_sklearn import bias_at, folded, has_bias
from xlogreg.samples.source import Samples, host_center
from xlogreg.samples.threads import holds_threads

__all__ = ["drop_one", "expect_plain", "parameters_at", "profile_interval", "sums_at_fit"]


class Likelihood(NamedTuple):
    """How to test and to profile the likelihood that a model maximises.

    Attributes
    ----------
    name : str
        What is said of the likelihood before "likelihood-ratio tests".
    drops : callable
        Takes the model, its samples and the rows of each term; returns the statistics and the degrees of freedom.
    ends : callable
        Takes the model, its samples, rows of coefficients, contrasts (k, c) of the classes, and a level; returns the
        lower and the upper ends, class by class.
    """

    name: str
    drops: Callable[[Any, Samples, list[np.ndarray]], tuple[np.ndarray, np.ndarray]]
    ends: Callable[[Any, Samples, list[int], np.ndarray, float], tuple[np.ndarray, np.ndarray]]


def _likelihood_of(model: Any, what: str, separated: bool = False) -> Likelihood:
    """Return the functions for the likelihood that the model maximises, and raise if it maximises none.

    ``separated`` says whether classes may be separated.
    """
    if model.bias_reduction is not None:
        expect_converged(model, what)
        rank, free = model.fit_info.rank, model.w.shape[0] + has_bias(model)
        if rank is not None and rank < free:
            raise ValueError(
                f"no {what}: features are collinear or constant, and determine {rank} of {free} parameters"
            )
        return PENALISED
    expect_plain(model, what, separated)
    return SEPARATED if is_separated(model) else PLAIN


def expect_plain(model: Any, what: str, separated: bool = False) -> None:
    """Raise unless the model is at the maximum of the plain likelihood, or ``separated`` classes leave it none."""
    info, no = model.fit_info, f"no {what}"
    expect_estimable(model, what)
    if model.l1 or model.l2 or model.relax is not None:
        raise ValueError(
            f"{no}: the model is penalised, so it does not maximise the likelihood; fit with l1=0 and l2=0"
        )
    if model.bias_reduction is not None:
        raise ValueError(f"{no}: the bias is reduced, so the model does not maximise the likelihood; fit without that")
    if is_separated(model) and not separated:
        raise ValueError(f"{no}: the classes are separated ({info.separation}), so the likelihood has no maximum")
    if not is_separated(model):
        expect_converged(model, what)


def parameters_at(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from a centre (n_x, 1) to the parameters (n_x + 1, 1, k) for X - center."""
    w = folded(model)[0]
    return lambda center: np.concatenate([w, bias_at(model, center).T])[:, None, :]


def sums_at_fit(model: Any, samples: Samples) -> sandwich.Sums:
    """Sum losses and Hessian at the fit, and check that its samples are these."""
    loss = LOSSES[model.loss]
    sums = sandwich.sum_information(samples, parameters_at(model), loss, "fisher", False, 0, has_bias(model))
    expect_likelihood(model, samples, -sums.loss)
    return sums


def _minimum(model: Any, samples: Samples) -> Minimum:
    sums = sums_at_fit(model, samples)
    return find_minimum(samples, sums, parameters_at(model), LOSSES[model.loss], has_bias(model))


def _plain_drops(model: Any, samples: Samples, held: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    full = _minimum(model, samples)
    return drop_tests(full, held), np.asarray([len(rows) * full.basis.shape[1] for rows in held])


def _plain_ends(
    model: Any, samples: Samples, rows: list[int], contrast: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    full = _minimum(model, samples)
    (lower, upper), _ = profile_ends(full, _factors(full, rows, contrast), quantile(level) ** 2)
    return lower, upper


def _separated_ends(
    model: Any, samples: Samples, rows: list[int], contrast: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    loss, rise = LOSSES[model.loss], quantile(level) ** 2
    (found,) = samples.sum(gradient_terms, parameters_at(model)(host_center(samples)), loss)[:1]
    expect_likelihood(model, samples, -float(np.asarray(found)[0]))
    full = near_infimum(samples, loss, has_bias(model), rise)
    lower, upper = separated_ends(full, _factors(full, rows, contrast), rise)
    return lower, upper


def _refitted(model: Any, samples: Samples) -> firth.Fitted:
    sums = sums_at_fit(model, samples)
    w, v = folded(model)[0], bias_at(model, sums.center)
    return firth.refitted(samples, w, v, sums.center, has_bias(model))


def _penalised_drops(model: Any, samples: Samples, held: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    statistics, df, _ = firth.drop_tests(_refitted(model, samples), held)
    return statistics, df


def _penalised_ends(
    model: Any, samples: Samples, rows: list[int], contrast: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    return firth.profile_ends(_refitted(model, samples), np.asarray(rows, np.intp), level)


PLAIN = Likelihood("", _plain_drops, _plain_ends)
SEPARATED = Likelihood("", _plain_drops, _separated_ends)
PENALISED = Likelihood("penalised ", _penalised_drops, _penalised_ends)  # by Jeffreys' penalty, for two classes


@holds_threads
def drop_one(
    model: Any, X: Any, Y: Any = None, sample_weight: Any = None, targets: str = "labels", offset: Any = None
) -> Tests:
    """Test each column of the fitted table by the likelihood ratio of the models with it and without it.

    The models that lack a column are fitted together: one pass over the samples serves all of them, and they share the
    inverse Hessian of the fit. A categorical column is left out as a whole. After Firth's bias reduction, the tests are
    of the penalised likelihood (Heinze & Schemper 2002).

    Parameters
    ----------
    X, Y, sample_weight, targets, offset
        The samples that the model was fitted to, as for `xlogreg.fit`: in memory, in files, sparse, a table with
        categories, a dask collection, or a factory.

    Returns
    -------
    Tests
        A row for each column: the rise of the deviance without it, and its degrees of freedom.

    Raises
    ------
    ValueError
        If these are not the samples of the fit, as far as their number, their weights and their log-likelihood tell; if
        the model is penalised, not converged, or its classes are separated; or if features are collinear.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> print(xlogreg.fit(X, Y).drop_one(X, Y))
    likelihood-ratio tests
           chi2  df       p
    x0  0.37008   1  0.5430
    """
    likelihood = _likelihood_of(model, "likelihood-ratio test")
    held = {name: np.asarray(rows) for name, rows in term_rows(model).items() if rows}
    samples = fitted_samples(model, X, Y, sample_weight, targets, offset)
    statistics, df = likelihood.drops(model, samples, list(held.values()))
    lost = [name for name, statistic in zip(held, statistics.tolist(), strict=True) if math.isnan(statistic)]
    if lost:
        warn(f"the models without {', '.join(lost)} did not converge; their tests are NaN", ConvergenceWarning)
    return Tests.of(f"{likelihood.name}likelihood-ratio tests", list(held), statistics, df)


@holds_threads
def profile_interval(
    model: Any,
    X: Any,
    Y: Any = None,
    features: Any = None,
    level: float = 0.95,
    sample_weight: Any = None,
    targets: str = "labels",
    baseline: Any = None,
    offset: Any = None,
) -> Estimates:
    """Compute profile-likelihood intervals: values of a coefficient that a likelihood-ratio test does not reject.

    Unlike the intervals of `summary`, they need not be symmetric, and they are the same if the coefficient is expressed
    in another way, such as by its odds ratio. Prefer them with few samples. All ends are found at once by the method of
    Venzon & Moolgavkar (Applied Statistics 1988): in each pass over the samples, each end takes a step with the inverse
    Hessian of the fit. An end is reported only if the deviance there has risen by the quantile of the chi-squared
    distribution, and no other coefficients lower it. After Firth's bias reduction, the ends are those of the penalised
    likelihood (Heinze & Schemper 2002).

    Parameters
    ----------
    X, Y, sample_weight, targets, offset
        The samples that the model was fitted to, as for `xlogreg.fit`: in memory, in files, sparse, a table with
        categories, a dask collection, or a factory.
    features : str, or list of str and int, optional
        Names of coefficients, "bias" among them, or numbers of features; the name of a categorical column stands for
        all of its levels. All coefficients if not given.
    level : float
        Coverage of the intervals, between 0 and 1.
    baseline : optional
        For three classes or more: the class that coefficients are relative to, as for `summary`.

    Returns
    -------
    Estimates
        For X as handed in, the bias included. Where the classes are separated, an end is infinite if the coefficient
        can go on for ever to that side without a loss, which a direction of recession proves; the other ends are
        finite.

    Raises
    ------
    ValueError, TypeError
        If these are not the samples of the fit, as far as their number, their weights and their log-likelihood tell; if
        the model is penalised or not converged; if features are collinear; or if a name is no coefficient.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> print(xlogreg.fit(X, Y).profile_interval(X, Y))
    profile-likelihood intervals
              coef    [0.025  0.975]
    x0     0.30182  -0.67341  1.5377
    bias  -0.17763   -2.2306  1.5963
    """
    level = expect_level(level)
    likelihood = _likelihood_of(model, "profile of the likelihood", separated=True)
    known = coefficients(model, baseline=baseline)
    rows = _rows_of(model, features, known.names)
    samples = fitted_samples(model, X, Y, sample_weight, targets, offset)
    contrast = coefficients_of((), np.eye(model.w.shape[1]), None, model.classes, baseline).values
    lower, upper = likelihood.ends(model, samples, rows, contrast, level)
    names = np.asarray([known.names[row] for row in rows], dtype=np.str_)
    columns: dict[str, Any] = {"class": np.repeat(known.classes, len(rows))} if known.classes else {}
    columns |= {"name": np.tile(names, contrast.shape[1]), "lower": lower, "upper": upper}
    lost = int(np.isnan(lower).sum() + np.isnan(upper).sum())
    if lost:
        warn(f"{lost} ends of intervals were not found to the tolerance, and are NaN", ConvergenceWarning)
    values, note = known.values[rows].T.ravel(), ""
    if likelihood is SEPARATED:
        values = np.where(np.isinf(lower) | np.isinf(upper), np.nan, values)
        note = "the classes are separated: no coefficient that an infinite end belongs to has an estimate"
    table = structured(**columns, coefficient=values)
    return Estimates(f"{likelihood.name}profile-likelihood intervals", table, level, note)


def _factors(full: Minimum, rows: list[int], contrast: np.ndarray) -> np.ndarray:
    """Factors (n_x + 1, n, k) of theta for the coefficients in these rows, class by class, for X as handed in."""
    if len(contrast) > 1:
        contrast = contrast - contrast.mean(axis=0)
    E = np.zeros((len(full.theta), len(rows) * contrast.shape[1], len(contrast)))
    for number, (row, part) in enumerate((row, part) for part in contrast.T for row in rows):
        E[row, number] = part
        if row == len(full.center):  # b = v - w'center
            E[:-1, number] = -full.center * part
    return E


def _rows_of(model: Any, features: Any, names: tuple[str, ...]) -> list[int]:
    """Rows of theta of the coefficients that were asked for, in their order."""
    if features is None:
        return list(range(len(names)))
    terms, rows = term_rows(model), list[int]()
    listed = [features] if isinstance(features, (str, int, np.integer)) else list(features)
    for item in listed:
        if isinstance(item, str) and item in names:
            rows.append(names.index(item))
        elif isinstance(item, str) and item in terms:
            rows += terms[item]
        elif isinstance(item, (int, np.integer)) and not isinstance(item, bool) and 0 <= item < model.w.shape[0]:
            rows.append(int(item))
        else:
            few = ", ".join(repr(name) for name in names[:8]) + (", ..." if len(names) > 8 else "")
            raise ValueError(
                f"features must name coefficients, or number features from 0; got {shown(item)}; known: {few}"
            )
    return list(dict.fromkeys(rows))
