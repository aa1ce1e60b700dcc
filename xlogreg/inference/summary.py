"""The table of a fit, as statisticians expect it: coefficients with their errors, and how well the model fits."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.inference.distributions import chi_squared_tail, log_two_sided, quantile, two_sided
from xlogreg.inference.sandwich import reduced
from xlogreg.inference.tabular import Shown, Tabular, bounds, p_text, structured

__all__ = ["CENTRED", "Coefficients", "Likelihoods", "Summary", "coefficient_names", "coefficients_of", "summarise"]

BIAS = "bias"  # its name in tables
CENTRED = "centred"  # the baseline that is no class, but the mean of all


class Coefficients(NamedTuple):
    """Coefficients that are shown and tested, one after another.

    Attributes
    ----------
    names : tuple of str
        Names of the features, the bias last.
    classes : tuple of str
        For a softmax, the class of each group of coefficients; () for two classes.
    values : ndarray (n_x + 1, c)
    covariance : ndarray ((n_x + 1) c, (n_x + 1) c), or None
        In the order of ``values`` flattened.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray | None

    @property
    def errors(self) -> np.ndarray:
        """Standard errors, in the shape of the values; NaN if there are none."""
        if self.covariance is None:
            return np.full(self.values.shape, math.nan)
        return np.sqrt(np.maximum(self.covariance.diagonal(), 0.0)).reshape(self.values.shape)


def coefficient_names(features: tuple[str, ...] | None, n_x: int) -> tuple[str, ...]:
    """Names of the features, x0, x1, ... if they have none, and of the bias."""
    names = features or tuple(f"x{j}" for j in range(n_x))
    bias = BIAS
    while bias in names:
        bias = f"({bias})"
    return (*names, bias)


def coefficients_of(
    names: tuple[str, ...], theta: np.ndarray, covariance: np.ndarray | None, classes: np.ndarray, baseline: Any
) -> Coefficients:
    """Turn parameters (n_x + 1, k) into those that are shown: for a softmax, contrasts to a class or to the mean.

    ``baseline`` is the label of a class, None for the first one, or "centred".

    Raises
    ------
    ValueError
        If the baseline is no class.
    """
    if theta.shape[1] == 1:
        if baseline is not None:
            raise ValueError(
                "baseline is for three classes or more; the coefficients of two belong to the second class"
            )
        return Coefficients(names, (), theta, covariance)
    labels = classes.tolist()
    if isinstance(baseline, str) and baseline == CENTRED and CENTRED not in labels:
        return Coefficients(names, tuple(map(_label, labels)), theta, covariance)
    if np.ndim(baseline) or (baseline is not None and baseline not in labels):
        raise ValueError(f"baseline must be one of the classes {labels}, or {CENTRED!r}; got {baseline!r}")
    number = 0 if baseline is None else labels.index(baseline)
    others = [j for j in range(len(labels)) if j != number]
    contrast = np.eye(len(labels))[:, others]
    contrast[number, :] = -1.0
    turned = None if covariance is None else reduced(covariance, contrast, len(theta))
    return Coefficients(names, tuple(_label(labels[j]) for j in others), theta @ contrast, turned)


def _label(label: Any) -> str:
    """Format the label of a class; whole numbers have no point, also if they are floats."""
    return str(int(label)) if isinstance(label, float) and label == int(label) else str(label)


class Likelihoods(NamedTuple):
    """Log-likelihoods of a model and of the model without features, with what they are compared by."""

    model: float
    null: float
    n: float  # observations
    parameters: float  # free ones, or the effective number under a penalty; NaN if that is not known
    of_null: int  # parameters of the model without features

    def facts(self, penalised: bool) -> dict[str, Any]:
        """Measures of the fit by name; some make no sense for a penalised model."""
        gain, p = self.model - self.null, self.parameters
        room = -math.expm1(2.0 * self.null / self.n)
        facts: dict[str, Any] = {
            "log-likelihood": self.model,
            "log-likelihood of the null model": self.null,
            "McFadden R2": 1.0 - self.model / self.null if self.null else math.nan,
            "Nagelkerke R2": -math.expm1(-2.0 * gain / self.n) / room if room else math.nan,
        }
        if not math.isnan(p):
            facts |= {"AIC": 2.0 * (p - self.model), "BIC": p * math.log(self.n) - 2.0 * self.model}
        if penalised:
            return facts | ({} if math.isnan(p) else {"effective parameters": p})
        df = round(p) - self.of_null
        facts["likelihood-ratio test"] = f"chi2 {2.0 * gain:.6g}, df {df}, p {p_text(chi_squared_tail(2.0 * gain, df))}"
        return facts


@dataclass(frozen=True, eq=False, repr=False)
class Summary(Tabular):
    """Table of a fit, with a line for each coefficient; prints as text, and as HTML in notebooks.

    Attributes
    ----------
    table : ndarray
        Structured: name, coefficient, standard_error, z, p, log_p (natural logarithm of p), lower, upper and
        odds_ratio; for three classes or more also class. NaN where there are no standard errors.
    level : float
        Coverage of the intervals from lower to upper.
    facts : dict
        What is printed below the table: samples, log-likelihoods, measures of the fit, how the covariance was made.
    baseline : str or None
        The class that contrasts are relative to.
    """

    table: np.ndarray
    level: float
    facts: dict[str, Any]
    baseline: str | None = None

    @property
    def confint(self) -> np.ndarray:
        """Intervals of the coefficients (n, 2), in the order of the table."""
        return np.stack([self.table["lower"], self.table["upper"]], axis=1)

    def _shown(self) -> Shown:
        titles = {"class": "class"} if "class" in (self.table.dtype.names or ()) else {}
        titles |= {"name": "", "coefficient": "coef", "standard_error": "std err", "z": "z", "p": "p"}
        width = max(map(len, self.facts))
        texts = ((name, f"{fact:.7g}" if isinstance(fact, float) else str(fact)) for name, fact in self.facts.items())
        below = "\n".join(f"{name.ljust(width)}  {text}" for name, text in texts)
        return Shown("", self.table, titles | bounds(self.level) | {"odds_ratio": "odds ratio"}, below)


def summarise(shown: Coefficients, level: float, facts: dict[str, Any], baseline: str | None) -> Summary:
    """Make the summary of these coefficients; ``facts`` are printed below."""
    values, errors = shown.values.T.ravel(), shown.errors.T.ravel()
    with np.errstate(all="ignore"):
        z = np.where(errors > 0.0, values / errors, math.nan)
        odds = np.exp(values)
    reach = quantile(level) * errors
    count = values.size // len(shown.names)
    columns: dict[str, Any] = {"class": np.repeat(shown.classes, len(shown.names))} if shown.classes else {}
    columns |= {"name": np.tile(np.asarray(shown.names, dtype=np.str_), count), "coefficient": values}
    columns |= {"standard_error": errors, "z": z, "p": two_sided(z), "log_p": log_two_sided(z)}
    columns |= {"lower": values - reach, "upper": values + reach, "odds_ratio": odds}
    return Summary(structured(**columns), level, facts, baseline)
