"""Influence of single samples on a fit."""

from dataclasses import dataclass

import numpy as np

from xlogreg.arrays.place import Array, to_host

__all__ = ["Influence"]

SHOWN = 5  # samples with the largest Cook's distances that are printed


@dataclass(frozen=True, eq=False)
class Influence:
    """How far each sample lies from the fit, and how much it moves the parameters; prints the most influential ones.

    Each attribute is an array (1, m), or (m,) for a model of rows, where X lives.

    Attributes
    ----------
    leverage : array
        Diagonal h of the hat matrix: how much the sample's own label decides its probability. Their sum is the number
        of parameters.
    pearson : array
        Pearson's residuals (y - a) sqrt(s / (a (1 - a))), for weights s.
    deviance : array
        Deviance residuals, whose squares add up to the deviance of the fit.
    studentised : array
        Pearson's residuals divided by sqrt(1 - h), so that their variance is about one.
    cooks_distance : array
        How far the parameters move without the sample, in units of their covariance, by one Newton step.
    probability : array
        Probability a of the second class.
    """

    leverage: Array
    pearson: Array
    deviance: Array
    studentised: Array
    cooks_distance: Array
    probability: Array

    def __str__(self) -> str:
        columns = {
            "leverage": self.leverage,
            "deviance residual": self.deviance,
            "studentised residual": self.studentised,
            "Cook's distance": self.cooks_distance,
        }
        values = {name: np.ravel(to_host(column)) for name, column in columns.items()}
        cooks = values["Cook's distance"]
        order = np.argsort(-np.where(np.isnan(cooks), np.inf, cooks), kind="stable")[:SHOWN]
        lines = [f"{'sample':>10}" + "".join(f"{name:>22}" for name in values)]
        lines += [f"{i:>10}" + "".join(f"{column[i]:>22.5g}" for column in values.values()) for i in order.tolist()]
        return "\n".join([f"most influential of {len(cooks)} samples:", *lines])

    __repr__ = __str__
