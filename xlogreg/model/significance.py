"""What a model says about the population: its covariance, its summary, and Wald's tests; methods of `Model`."""

import math
from typing import Any

import numpy as np

from xlogreg.exceptions import one_of, shown
from xlogreg.inference import sandwich
from xlogreg.inference.covariance import AFTER_SELECTION
from xlogreg.inference.estimates import expect_level
from xlogreg.inference.hypotheses import equations_of, wald
from xlogreg.inference.sandwich import Covariance
from xlogreg.inference.significance import Test, Tests
from xlogreg.inference.summary import Coefficients, Likelihoods, Summary, coefficient_names, coefficients_of, summarise
from xlogreg.math.losses import LOSSES
from xlogreg.model.given import expect_likelihood, fitted_samples, group_numbers
from xlogreg.model.to_sklearn import bias_at, folded, has_bias
from xlogreg.samples.source import Samples
from xlogreg.solvers.coordinates import measure_spread

__all__ = [
    "coefficients",
    "covariance_of",
    "known",
    "names_of",
    "summary",
    "term_rows",
    "wald_test",
    "wald_test_terms",
]

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
    return sandwich.covariance_from(sums, kind, ridge, bias, n, named, count or None)


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
    n_x, k = model.w.shape
    if n_x * k > sandwich.LARGEST:
        raise ValueError(
            f"no covariance: it would have {n_x * k} x {n_x * k} numbers, for {n_x} features; beyond "
            f"{sandwich.LARGEST} its inverse takes too much memory and time"
        )
    if model.loss == "squared_error":
        raise ValueError("no covariance: the model minimises the squared error, which is no likelihood")
    if model.l1 or model.relax is not None:
        raise ValueError(f"no covariance: {AFTER_SELECTION}")
    if isinstance(model.covariance, str) and "bounds" in model.covariance:
        raise ValueError(f"no covariance: {model.covariance}")
    if sample_weight is not None and weights == "importance" and kind in INVERSES:
        raise ValueError(f"kind={kind!r} takes weights for numbers of samples; for importance weights use kind='HC0'")
    _expect_minimum(model)
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


def _expect_minimum(model: Any) -> None:
    """Raise unless the parameters are at the minimum, within a tenth of their statistical error."""
    info = model.fit_info
    if info.separation in ("complete", "quasi-complete"):
        raise ValueError(f"no covariance: the classes are separated ({info.separation}), so there is no minimum")
    if not info.converged and not info.parameter_error < 0.1:
        raise ValueError(
            f"no covariance: the fit did not converge ({info.reason}); give it more steps, or another solver"
        )


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


def names_of(model: Any) -> tuple[str, ...]:
    """Names of the features, x0, x1, ... if they have none, and of the bias."""
    return coefficient_names(model.feature_names, model.w.shape[0])


def coefficients(model: Any, covariance: Covariance | None = None, baseline: Any = None) -> Coefficients:
    """Coefficients of the model that are shown and tested, with the covariance given, or else that of the fit.

    Raises
    ------
    ValueError, TypeError
        If the baseline is no class, or the covariance is none of this model.
    """
    if covariance is not None and not isinstance(covariance, Covariance):
        raise TypeError(f"covariance must be a result of covariance_of; got {shown(covariance)}")
    w, b = folded(model)
    theta = np.concatenate([w, b[None, :]])
    matrix = model.covariance if covariance is None else covariance.matrix
    if not isinstance(matrix, str) and matrix.shape != (theta.size, theta.size):
        raise ValueError(f"covariance is of {len(matrix)} parameters; the model has {theta.size}")
    names, bias = names_of(model), has_bias(model)
    matrix = None if isinstance(matrix, str) else matrix
    if not bias:  # a bias that is held at zero is no coefficient
        rows = theta.shape[0] - 1
        names, theta = names[:-1], theta[:-1]
        matrix = None if matrix is None else matrix[: rows * theta.shape[1], : rows * theta.shape[1]]
    return coefficients_of(names, theta, matrix, model.classes, baseline)


def known(model: Any, covariance: Covariance | None, baseline: Any = None) -> Coefficients:
    """Coefficients with a covariance.

    Raises
    ------
    ValueError
        If there is none; the message says why.
    """
    found = coefficients(model, covariance, baseline)
    if found.covariance is None:
        raise ValueError(
            f"no covariance of the parameters: {model.covariance}; model.covariance_of(X, Y, ...) makes one"
        )
    return found


def summary(model: Any, level: float = 0.95, covariance: Covariance | None = None, baseline: Any = None) -> Summary:
    """Make the table of the fit: coefficients, standard errors, tests, intervals, odds ratios, and measures of the fit.

    Parameters
    ----------
    level : float
        Coverage of the intervals, between 0 and 1. They are coefficient +- quantile times standard error (Wald).
    covariance : Covariance, optional
        A result of `covariance_of`, such as a robust one. The inverse Fisher information otherwise, if the fit has it.
    baseline : optional
        For three classes or more: the class that coefficients are relative to, the first one if not given; or
        "centred", for coefficients relative to the mean of all classes.

    Returns
    -------
    Summary
        If there is no covariance, errors and what follows from them are NaN, and the facts below say why. Under a
        penalty there is no likelihood-ratio test, and AIC and BIC count effective parameters, if those are known.

    Raises
    ------
    ValueError, TypeError
        If the level is not between 0 and 1, the baseline is no class, or the covariance is of other parameters.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> summary = xlogreg.fit(X, Y).summary()
    >>> print(summary)  # doctest: +ELLIPSIS
              coef  std err         z       p    [0.025  0.975]  odds ratio
    x0     0.30182  0.51054   0.59117  0.5544  -0.69882  1.3025      1.3523
    bias  -0.17763  0.89615  -0.19822  0.8429   -1.9341  1.5788     0.83725
    ...
    >>> summary.confint.round(3)
    array([[-0.699,  1.302],
           [-1.934,  1.579]])
    """
    level = expect_level(level)
    found = coefficients(model, covariance, baseline)
    classes = model.classes.tolist()
    name = None
    if found.classes:
        name = str(classes[0]) if baseline is None else str(baseline)
    return summarise(found, level, _facts(model, covariance, found, name), name)


def _facts(model: Any, covariance: Covariance | None, found: Coefficients, baseline: str | None) -> dict[str, Any]:
    """What is printed below the table."""
    info, classes = model.fit_info, [str(label) for label in model.classes.tolist()]
    n = info.total_weight if covariance is None else covariance.n
    about = f"{classes[1]} against {classes[0]}" if baseline is None else f"relative to {baseline}"
    facts: dict[str, Any] = {"coefficients": about}
    if info.n_samples is not None:
        facts["samples"] = info.n_samples
        if info.total_weight != info.n_samples:
            facts["sum of the weights"] = info.total_weight
    outputs = max(1, len(classes) - 1)
    free = (len(found.values) if info.rank is None else info.rank / outputs) * outputs
    penalised = bool(model.l1 or model.l2 or model.relax is not None or model.bias_reduction)
    if penalised:
        free = math.nan if covariance is None else covariance.effective_parameters
    if n and not math.isnan(info.log_likelihood):
        of_null = outputs * has_bias(model)
        known = Likelihoods(info.log_likelihood, info.null_log_likelihood, n, free, of_null)
        facts |= known.facts(penalised)
    made = f"none: {model.covariance}" if isinstance(model.covariance, str) else f"fisher: {sandwich.KINDS['fisher']}"
    facts["covariance"] = made if covariance is None else str(covariance)
    facts |= {} if info.rank is None else {"rank": info.rank}
    facts |= {"separation": info.separation} if info.separation else {}
    return facts | {"fit": f"{info.reason}, {info.solver}"}


def _symbols(model: Any, found: Coefficients) -> dict[str, np.ndarray]:
    """Rows (r, n) of the coefficients, in the order of the summary's table, that each name stands for."""
    count, outputs = found.values.shape
    units = np.eye(count * outputs).reshape(outputs, count, -1)
    symbols = {name: units[:, row, :] for row, name in enumerate(found.names)}
    for number, label in enumerate(found.classes):
        symbols |= {f"{name}[{label}]": units[number : number + 1, row, :] for row, name in enumerate(found.names)}
    for term, rows in term_rows(model).items():
        symbols.setdefault(term, np.concatenate([units[:, row, :] for row in rows]))
    return symbols


def term_rows(model: Any) -> dict[str, list[int]]:
    """Rows of w that belong to each column of the fitted table, or each feature, by name."""
    terms = {term.name: [row for row in term.rows if row is not None] for term in model.terms}
    return terms or {name: [row] for row, name in enumerate(names_of(model)[:-1])}


def _in_table(found: Coefficients) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (n,) and their covariance (n, n) in the order of the summary's table, class by class."""
    assert found.covariance is not None
    order = np.arange(found.values.size).reshape(found.values.shape).T.ravel()
    return found.values.T.ravel(), found.covariance[np.ix_(order, order)]


def wald_test(model: Any, hypothesis: Any, value: Any = 0, covariance: Covariance | None = None) -> Test:
    """Test a linear hypothesis about the coefficients by Wald's test.

    Parameters
    ----------
    hypothesis : str, list of str, or array (q, n)
        Text such as "age = 0, dose = sex" or "2 * age - dose = 1": linear equations, separated by commas, that hold
        together; without a right side it is 0. Or names of coefficients that are equal to ``value``. Or factors of the
        n coefficients in the order of the summary's table. The name of a categorical column stands for all of its
        levels; for three classes or more, "age[b]" is the coefficient of age for class b and "age" that of all classes.
        A name with unusual characters may stand between backticks.
    value : float or array (q,)
        The right side, unless the hypothesis is text.
    covariance : Covariance, optional
        As for `summary`.

    Returns
    -------
    Test

    Raises
    ------
    ValueError, TypeError
        If there is no covariance, or the hypothesis names no coefficient, is not linear, or contradicts itself.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> print(xlogreg.fit(X, Y).wald_test("x0 = 1"))
    Wald test of x0 = 1: chi2 1.87018 with 1 degree of freedom, p 0.1715
    """
    found = known(model, covariance)
    symbols, n = _symbols(model, found), found.values.size
    L, values, text = equations_of(hypothesis, value, symbols, n)
    return wald(L, values, *_in_table(found), text)


def wald_test_terms(model: Any, covariance: Covariance | None = None) -> Tests:
    """Test each column of the fitted table by Wald's test: whether all coefficients that belong to it are zero.

    Parameters
    ----------
    covariance : Covariance, optional
        As for `summary`.

    Returns
    -------
    Tests
        A row for each column; a categorical column, such as "city", is tested as a whole.

    Raises
    ------
    ValueError
        If there is no covariance.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> print(xlogreg.fit(X, Y).wald_test_terms())
    Wald tests
           chi2  df       p
    x0  0.34948   1  0.5544
    """
    found = known(model, covariance)
    symbols = _symbols(model, found)
    beta, V = _in_table(found)
    names = [term for term, rows in term_rows(model).items() if rows]
    tests = [wald(symbols[name], np.zeros(len(symbols[name])), beta, V, name) for name in names]
    return Tests.of("Wald tests", names, [test.statistic for test in tests], [test.df for test in tests])
