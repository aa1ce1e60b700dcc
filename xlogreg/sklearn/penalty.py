"""Penalties of estimators: what C, penalty and l1_ratio ask for together, with scikit-learn's warnings.

scikit-learn 1.8 deprecated ``penalty``. Here it is accepted without a warning, unless it contradicts the others.
"""

import math
import numbers
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import is_array, to_host
from xlogreg.exceptions import XlogregWarning, shown, warn
from xlogreg.sklearn.checks import refuse_number

__all__ = ["ElasticNet", "asked_penalty", "asked_ratios"]

NAMED = {"l1": 1.0, "l2": 0.0}  # the l1_ratio of penalties that have but one
DEFAULT = (0.0,)  # of l1_ratios


class ElasticNet(NamedTuple):
    """The penalty (l1_ratio ||w||_1 + (1 - l1_ratio) ||w||^2 / 2) / C on the scale of the summed loss."""

    C: float
    l1_ratio: float

    def strengths(self, total: float) -> dict[str, float]:
        """Return l1 and l2 of `xlogreg.fit`, for weights that sum to ``total``."""
        strength = 1.0 / (self.C * total)
        return {"l1": self.l1_ratio * strength, "l2": (1.0 - self.l1_ratio) * strength}


def asked_penalty(penalty: Any, C: Any, l1_ratio: Any) -> ElasticNet:
    """Return the penalty of `LogisticRegression`; warn where its parameters contradict each other.

    Raises
    ------
    ValueError, TypeError
        If one of them is wrong.
    """
    _refuse_penalty(penalty)
    refuse_number("C", C)
    if l1_ratio is not None and not _is_ratio(l1_ratio):
        kind = ValueError if isinstance(l1_ratio, numbers.Real) else TypeError
        raise kind(f"l1_ratio must be a number from 0 to 1, not {shown(l1_ratio)}")
    ratio = 0.0 if l1_ratio is None else float(l1_ratio)
    used = penalty
    if penalty == "deprecated":
        mixed = "elasticnet" if 0.0 < ratio < 1.0 else "l1" if ratio else "l2"
        used = None if math.inf == C else mixed
    if used == "elasticnet" and l1_ratio is None:
        raise ValueError("l1_ratio must be specified when penalty is elasticnet.")
    if used != "elasticnet" and 0.0 < ratio < 1.0:
        warn(f"l1_ratio parameter is only used when penalty is 'elasticnet'. Got (penalty={used})", XlogregWarning)
    if penalty in NAMED and l1_ratio is not None and ratio != NAMED[penalty]:
        warn(
            f"Inconsistent values: penalty={penalty} with l1_ratio={l1_ratio}. penalty is deprecated. "
            "Please use l1_ratio only.",
            XlogregWarning,
        )
    if penalty is None and C != 1.0:
        warn("Setting penalty=None will ignore the C and l1_ratio parameters", XlogregWarning)
    return ElasticNet(math.inf if penalty is None else C, NAMED.get(penalty, ratio))


def asked_ratios(penalty: Any, l1_ratios: Any) -> np.ndarray:
    """Return the L1 ratios (R,) of `LogisticRegressionCV`; warn if its penalty contradicts them.

    Raises
    ------
    ValueError
        If one of them is wrong.
    """
    if penalty is None:
        raise ValueError("penalty=None is not supported: there is no C to choose; use Cs=[numpy.inf]")
    _refuse_penalty(penalty)
    ratios = list(DEFAULT) if l1_ratios is None else _listed(l1_ratios)
    if not ratios or not all(map(_is_ratio, ratios)) or (l1_ratios is None and penalty == "elasticnet"):
        got = f"got (l1_ratios={shown(l1_ratios)})"
        raise ValueError(f"l1_ratios must be an array-like of numbers between 0 and 1; {got}")
    if penalty not in NAMED:
        return np.asarray(ratios, dtype=np.float64)
    if tuple(ratios) not in (DEFAULT, (NAMED[penalty],)):
        warn(f"l1_ratios parameter is only used when penalty is 'elasticnet'. Got (penalty={penalty})", XlogregWarning)
    return np.asarray([NAMED[penalty]])


def _refuse_penalty(penalty: Any) -> None:
    if not (penalty is None or (isinstance(penalty, str) and penalty in ("deprecated", "elasticnet", *NAMED))):
        raise ValueError(f"penalty must be 'l1', 'l2', 'elasticnet' or None, not {shown(penalty)}")


def _listed(l1_ratios: Any) -> list[Any]:
    """List the numbers of an array of one axis; none if there is no such array."""
    values = to_host(l1_ratios) if is_array(l1_ratios) else l1_ratios
    return [] if isinstance(values, str) or np.ndim(values) != 1 else list(values)


def _is_ratio(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0.0 <= float(value) <= 1.0
