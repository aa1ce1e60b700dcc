"""What a model says about the population: its summary, and Wald's tests; methods of `Model`."""

import math
from typing import Any

import numpy as np

from xlogreg.exceptions import shown
from xlogreg.inference import sandwich
from xlogreg.inference.estimates import expect_level
from xlogreg.inference.hypotheses import equations_of, wald
from xlogreg.inference.sandwich import Covariance
from xlogreg.inference.significance import Test, Tests
from xlogreg.inference.summary import Coefficients, Likelihoods, Summary, coefficient_names, coefficients_of, summarise
from xlogreg.model.covariances import is_separated
from xlogreg.model.to_sklearn import folded, has_bias

__all__ = [
    "coefficients",
    "known",
    "names_of",
    "summary",
    "term_rows",
    "wald_test",
    "wald_test_terms",
]


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
        apart = f"the classes are separated ({model.fit_info.separation}), so there is no minimum"
        why = apart if is_separated(model) else model.covariance
        raise ValueError(f"no covariance of the parameters: {why}. Where it can be had, covariance_of(X, Y) makes one")
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
        free = math.nan if covariance is None or model.bias_reduction else covariance.effective_parameters
    n = info.total_weight  # that of the likelihood; robust errors may count other observations
    at_minimum = not is_separated(model) and (info.converged or info.parameter_error < 0.1)
    if n and not math.isnan(info.log_likelihood) and not at_minimum:
        facts["log-likelihood"] = f"{info.log_likelihood:.7g} where the fit stopped, which is no maximum"
    elif n and not math.isnan(info.log_likelihood):
        of_null = outputs * has_bias(model)
        known = Likelihoods(info.log_likelihood, info.null_log_likelihood, n, free, of_null)
        facts |= known.facts(penalised)
    made = f"none: {model.covariance}" if isinstance(model.covariance, str) else f"fisher: {sandwich.KINDS['fisher']}"
    made = "none: the classes are separated, so there is no minimum" if is_separated(model) else made
    facts["covariance"] = made if covariance is None else str(covariance)
    facts |= {} if info.rank is None else {"rank of the information": info.rank}
    facts |= {"separation": info.separation} if info.separation else {}
    facts |= {"bias reduction": model.bias_reduction} if model.bias_reduction is not None else {}
    if model.score_shift is not None:
        facts["shift of the scores"] = ", ".join(f"{value:.6g}" for value in model.score_shift) + ", not in the table"
    return facts | {"fit": f"{info.reason}, {info.solver}"}


def _symbols(model: Any, found: Coefficients) -> dict[str, np.ndarray]:
    """Rows (r, n) of the coefficients, in the order of the summary's table, that each name stands for.

    A name of a coefficient of one class that is also the name of a feature has none: it is ambiguous.
    """
    units = _units(found)
    symbols = {name: units[:, row, :] for row, name in enumerate(found.names)}
    single: dict[str, np.ndarray] = {}
    for number, label in enumerate(found.classes):
        single |= {f"{name}[{label}]": units[number : number + 1, row, :] for row, name in enumerate(found.names)}
    both = {name: rows[:0] for name, rows in single.items() if name in symbols}
    symbols |= single | both
    for term, numbers in term_rows(model).items():
        symbols.setdefault(term, _of_rows(units, numbers))
    return symbols


def _units(found: Coefficients) -> np.ndarray:
    """Unit vectors (c, n_x + 1, n) of the coefficients of each class."""
    count, outputs = found.values.shape
    return np.eye(count * outputs).reshape(outputs, count, -1)


def _of_rows(units: np.ndarray, rows: list[int]) -> np.ndarray:
    return np.concatenate([units[:, row, :] for row in rows]) if rows else units[0, :0, :]


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
    (beta, V), units = _in_table(found), _units(found)
    terms = {name: _of_rows(units, rows) for name, rows in term_rows(model).items() if rows}
    tests = [wald(L, np.zeros(len(L)), beta, V, name) for name, L in terms.items()]
    return Tests.of("Wald tests", list(terms), [test.statistic for test in tests], [test.df for test in tests])
