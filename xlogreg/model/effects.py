"""Effects of features on the probabilities of a model, odds ratios, and intervals of probabilities; methods of `Model`.

All of them need a covariance of the parameters: that of the fit, or a result of `Model.covariance_of`.
"""

import functools
from typing import Any

import numpy as np

from xlogreg.arrays.place import ROUNDING, Array, to_host
from xlogreg.exceptions import one_of
from xlogreg.inference.distributions import quantile
from xlogreg.inference.effects import Change, Effects, changes_of, difference_effects, slope_effects
from xlogreg.inference.estimates import Estimates, expect_level, tabulated
from xlogreg.inference.sandwich import Covariance
from xlogreg.inputs.formula_encoding import FormulaEncoding
from xlogreg.inputs.tables import is_collection
from xlogreg.math.effects import change_terms, slope_terms, value_terms
from xlogreg.math.losses import LOSSES
from xlogreg.math.sums import Block
from xlogreg.math.variances import probability_bounds, scores_and_covariance
from xlogreg.model.given import featured, source_of
from xlogreg.model.on_cluster import mapped
from xlogreg.model.significance import known, names_of
from xlogreg.model.to_sklearn import bias_at, folded
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.samples.products import map_samples
from xlogreg.samples.source import Samples, host_center
from xlogreg.solvers.preconditioners import eigen

__all__ = ["covariance_factor", "marginal_effects", "odds_ratios", "predict_interval", "theta_at"]

AT = ("overall", "mean")


def marginal_effects(
    model: Any,
    X: Any,
    at: str = "overall",
    level: float = 0.95,
    covariance: Covariance | None = None,
    *,
    discrete: bool = True,
    sample_weight: Any = None,
    offset: Any = None,
) -> Estimates:
    """Compute by how much the probabilities change with each feature, with standard errors by the delta method.

    A coefficient tells how the log-odds change. An effect tells how the probability changes, in the units of a
    probability: an effect of 0.02 adds two percent points for each unit of the feature.

    Parameters
    ----------
    X : array (n_x, m), or (m, n_x) for a model of rows
        Samples to average over, from any source: in memory, in files, sparse, a table with categories, a dask
        collection, or a factory of blocks.
    at : {"overall", "mean"}
        "overall": the mean of the effects at all samples. "mean": the effect at the mean of all samples.
    level : float
        Coverage of the intervals, between 0 and 1.
    covariance : Covariance, optional
        A result of `covariance_of`. The inverse Fisher information otherwise, if the fit has it.
    discrete : bool
        Numbers have derivatives of the probability. If ``discrete``, features of zeros and ones have differences
        instead: the probability at 1 less that at 0. The levels of a category have the difference to its level without
        a feature, or to its first level if each has one, where the features of all other levels are zero. Otherwise,
        every feature has a derivative. These are the effects of statsmodels' ``get_margeff(dummy=discrete)``, but
        statsmodels leaves the features of the other levels of a category as they are.
    sample_weight : array (m,), optional
        Weights of the samples in the means. The effects count as if the samples were fixed.
    offset : array, optional
        As for `decision_function`. At the mean of the samples, it is the mean of the offset.

    Returns
    -------
    Estimates
        A row for each feature, and for each class if there are three or more: name, class, kind ("derivative" or
        "difference"), effect, standard_error, z, p, lower and upper. For two classes, the effects are those on the
        probability of the second class.

    Raises
    ------
    ValueError, TypeError
        If there is no covariance, which the message explains, or an argument is wrong.

    Notes
    -----
    Every column of X counts as a feature of its own: an effect is not that of a variable whose square or product is
    another column of X. There are two passes over X: the first finds the features of zeros and ones, and the means.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0], [0, 1, 0, 1, 1, 0]]), [0, 1, 0, 1, 0, 1]
    >>> print(xlogreg.fit(X, Y).marginal_effects(X))
    mean effects on the probability of 1
        kind          effect  std err        z       p    [0.025   0.975]
    x0  derivative  0.066471  0.10198  0.65177  0.5145  -0.13342  0.26636
    x1  difference   0.32209  0.37668  0.85507  0.3925  -0.41619   1.0604
    """
    one_of("at", at, AT)
    level = expect_level(level)
    known(model, covariance)
    samples = featured(model, X, sample_weight, offset).widened()
    effects, on, kinds = _effects(model, samples, at, discrete)
    errors = effects.errors(model.covariance if covariance is None else covariance.matrix)
    names, k = [names_of(model)[row] for row in on], effects.values.shape[1]
    labels: dict[str, Any] = {"name": names * k, "kind": kinds * k}
    if k > 1:
        labels = {"class": np.repeat([str(label) for label in model.classes.tolist()], len(on))} | labels
    table = tabulated(labels, "effect", effects.values.T.ravel(), errors.T.ravel(), level)
    about = {"overall": "mean effects", "mean": "effects at the mean of the samples"}[at]
    of = "the probability of each class" if k > 1 else f"the probability of {model.classes.tolist()[1]}"
    notes = [] if covariance is None else [f"covariance  {covariance}"]
    products = [term.name for term in model.terms if ":" in term.name and isinstance(model.encoding, FormulaEncoding)]
    notes += [f"effects of other columns leave out what they do through {products[0]}"] if products else []
    return Estimates(f"{about} on {of}", table, level, "\n".join(notes))


def _effects(model: Any, samples: Samples, at: str, discrete: bool) -> tuple[Effects, list[int], list[str]]:
    """Effects in the order of the features, with the number of the feature and the kind of each."""
    weight, first, values, offset = _host(samples.uncentered().sum(value_terms, np.zeros((1, 1))))
    if not np.all(np.isfinite(values)):
        refuse_nonfinite(samples)
    total = float(weight[0, 0])
    numbers, changes = _kinds(model, values, ROUNDING[samples.place.widest], discrete)
    center, w = host_center(samples), folded(model)[0]
    theta, loss = theta_at(model, center, shifted=True)[:, None, :], LOSSES[model.loss]
    if at == "mean":
        point = Block(first / total - center, np.zeros((1, 1)), None, 0, offset / total)
        summed, total = lambda function, *arguments: function(point, *arguments), 1.0
    else:
        summed = samples.sum
    parts: list[Effects] = []
    if numbers:
        slopes, moves = _host(summed(slope_terms, theta, loss))
        parts.append(slope_effects(numbers, w, total, slopes, moves, center))
    if changes:
        sums = _host(summed(change_terms, changes_of(changes, w, center), theta, loss))
        parts.append(difference_effects(changes, total, sums, center))
    on = [*numbers, *(change.on for change in changes)]
    kinds = ["derivative"] * len(numbers) + ["difference"] * len(changes)
    order = np.argsort(on).tolist()
    joined = Effects(*(np.concatenate(arrays)[order] for arrays in zip(*parts, strict=True)))
    return joined, [on[i] for i in order], [kinds[i] for i in order]


def _host(arrays: tuple[Array, ...]) -> list[np.ndarray]:
    return [to_host(array).astype(np.float64) for array in arrays]


def _kinds(model: Any, values: np.ndarray, rounding: float, discrete: bool) -> tuple[list[int], list[Change]]:
    """Features that have derivatives, and the changes of those that have differences.

    ``values`` are those of `value_terms`. The sums of abs(x), x^2 and x^4 are equal only if every abs(x) is 0 or 1, for
    log sum abs(x)^p is strictly convex in p otherwise; and no x is negative if the sum of x is the same.
    """
    size = values[:, 1:2]
    flags = np.all(np.abs(values - size) <= 16.0 * rounding * size, axis=1)
    numbers: list[int] = []
    changes: list[Change] = []
    for _, levels, places in model.terms or [("", None, (row,)) for row in range(len(values))]:
        rows = tuple(row for row in places if row is not None)
        if not discrete:
            numbers += rows
        elif levels is None:
            numbers += [row for row in rows if not flags[row]]
            changes += [Change(row, (row,)) for row in rows if flags[row]]
        else:
            off = rows[0] if len(rows) == len(places) else None
            changes += [Change(row, rows, off) for row in rows if row != off]
    return numbers, changes


def theta_at(model: Any, center: np.ndarray, shifted: bool) -> np.ndarray:
    """Parameters (n_x + 1, k) for X - center, center (n_x, 1), in float64 on the host.

    If ``shifted``, they have the shift of the scores, as predictions do.
    """
    b = bias_at(model, center).T
    return np.concatenate([folded(model)[0], b + model.score_shift if shifted and model.score_shift is not None else b])


def covariance_factor(model: Any, covariance: Covariance | None, center: np.ndarray) -> np.ndarray:
    """Return L (n_x + 1, k, r) with L L' the covariance of the parameters for X - center, center (n_x, 1)."""
    V = model.covariance if covariance is None else covariance.matrix
    scale = np.sqrt(np.maximum(V.diagonal(), 0.0))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0.0)
    values, Q = eigen(V * inverse * inverse[:, None])
    kept = values > len(V) * ROUNDING["float64"] * values[-1]
    factor = (scale[:, None] * Q[:, kept] * np.sqrt(values[kept])).reshape(len(center) + 1, model.w.shape[1], -1)
    moved = np.tensordot(center, factor[:-1], axes=(0, 0))
    return np.concatenate([factor[:-1], factor[-1:] + moved])


def odds_ratios(
    model: Any, level: float = 0.95, covariance: Covariance | None = None, baseline: Any = None
) -> Estimates:
    """Compute the odds ratio exp(w) of each feature, with its interval.

    Where a feature is larger by one, the odds of the second class are that many times as large. The interval is that of
    the coefficient, with exp applied to its ends. The bias has no row: its exponential is no ratio, but the odds where
    all features are zero.

    Parameters
    ----------
    level : float
        Coverage of the intervals, between 0 and 1.
    covariance : Covariance, optional
        As for `summary`.
    baseline : optional
        For three classes or more: the class that the odds of all others are relative to, the first one if not given;
        or "centred", for odds relative to the geometric mean of all classes.

    Returns
    -------
    Estimates
        A row for each feature, and for each class if there are three or more: name, class, odds_ratio, z and p of the
        coefficient, lower and upper.

    Raises
    ------
    ValueError, TypeError
        If there is no covariance, which the message explains, or an argument is wrong.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> print(xlogreg.fit(X, Y).odds_ratios())
    odds ratios of 1 against 0
        odds ratio        z       p   [0.025  0.975]
    x0      1.3523  0.59117  0.5544  0.49717  3.6783
    """
    level = expect_level(level)
    found = known(model, covariance, baseline)
    n_x, count = model.w.shape[0], found.values.shape[1]
    labels: dict[str, Any] = {"class": np.repeat(found.classes, n_x)} if found.classes else {}
    labels["name"] = list(found.names[:n_x]) * count
    values, errors = found.values[:n_x].T.ravel(), found.errors[:n_x].T.ravel()
    table = tabulated(labels, "odds_ratio", values, errors, level)
    with np.errstate(over="ignore"):
        for name in ("odds_ratio", "lower", "upper"):
            table[name] = np.exp(table[name])
    classes = [str(label) for label in model.classes.tolist()]
    to = f"relative to {classes[0] if baseline is None else baseline}"
    title = f"odds ratios {to}" if found.classes else f"odds ratios of {classes[1]} against {classes[0]}"
    kept = [name for name in table.dtype.names or () if name != "standard_error"]
    note = "" if covariance is None else f"covariance  {covariance}"
    return Estimates(title, _fields(table, kept), level, note)


def _fields(table: np.ndarray, names: list[str]) -> np.ndarray:
    """Copy some of the fields of a structured array."""
    found = np.empty(len(table), [(name, table.dtype[name]) for name in names])
    for name in names:
        found[name] = table[name]
    return found


def predict_interval(
    model: Any, X: Any, level: float = 0.95, covariance: Covariance | None = None, offset: Any = None
) -> tuple[Array, Array]:
    """Compute intervals of the probabilities of each class, which tell how well the samples of the fit determine them.

    An interval is made where the distribution of an estimate is close to normal, and its ends are then turned into
    probabilities, so that they stay between 0 and 1. For two classes this is the score z, with the standard error
    sqrt([x; 1]' V [x; 1]); for three or more, it is the log-odds log(p / (1 - p)) of each class, with the standard
    error by the delta method.

    Parameters
    ----------
    X : array (n_x, m), or (m, n_x) for a model of rows
        A dask collection gives two dask arrays, which are computed when they are asked for.
    level : float
        Coverage of each interval, between 0 and 1. It is that of one probability, not of all of them together.
    covariance : Covariance, optional
        As for `summary`.
    offset : array, optional
        As for `decision_function`. It counts as known, and so does ``score_shift``.

    Returns
    -------
    lower, upper : arrays, each in the shape of `predict_proba`
        They live where X lives.

    Raises
    ------
    ValueError, TypeError
        If there is no covariance, which the message explains, or an argument is wrong.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> lower, upper = xlogreg.fit(X, Y).predict_interval(np.asarray([[0.0]]))
    >>> np.stack([lower[1], upper[1]]).round(3)
    array([[0.126],
           [0.829]])
    """
    level = expect_level(level)
    known(model, covariance)
    if is_collection(X):
        options = {"level": level, "covariance": covariance}
        ends = (functools.partial(_one_end, model, end, options) for end in (0, 1))
        lower, upper = (mapped(model, end, len(model.classes), X, offset) for end in ends)
        return lower, upper
    source = source_of(model, X, offset)
    place, dtype, center = source.place, source.dtype, host_center(source)
    wide = source.widened()
    theta = place.put(theta_at(model, center, shifted=True), place.widest)
    factor = place.put(covariance_factor(model, covariance, center), place.widest)
    reach = place.put(np.asarray([quantile(level)]), place.widest)

    def bounds(both: Array, known: Array | float = 0.0) -> Array:
        k = theta.shape[1]
        return place.xp.astype(probability_bounds(both[:k, :] + known, both[k:, :], reach), place.dtype(dtype))

    if source.columns.offset is None:
        A = map_samples(wide, lambda block: bounds(scores_and_covariance(block, theta, factor)))
    else:
        both = map_samples(wide, lambda block: scores_and_covariance(block, theta, factor))
        with place.computing():
            A = bounds(both, source.columns.offset)
    with place.computing():
        if not bool(place.xp.all(place.xp.isfinite(A))):
            refuse_nonfinite(source)
        K = len(model.classes)
        lower, upper = A[:K, :], A[K:, :]
        return (lower.T, upper.T) if model.samples == "rows" else (lower, upper)


def _one_end(model: Any, end: int, options: dict[str, Any], X: Any, offset: Any = None) -> Array:
    """Lower or upper ends of the intervals of a block of a collection."""
    return predict_interval(model, X, **options, offset=offset)[end]
