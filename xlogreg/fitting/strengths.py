"""How strong elastic-net penalties are: given ones, or a sequence from the strongest that matters."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xlogreg.exceptions import shown
from xlogreg.fitting.problem import pose
from xlogreg.fitting.solving import solve
from xlogreg.inputs.options import Options, options_of_models, penalties_of
from xlogreg.math.penalties import Elastic
from xlogreg.samples.intake import Received
from xlogreg.samples.threads import holds_threads
from xlogreg.solvers.coordinates import as_host

__all__ = ["COUNT", "Strengths"]

COUNT = 100  # penalties of a sequence
WEAKEST, WEAKEST_WIDE = 1e-4, 1e-2  # the last one, relative to the first; the second if there are more features
SLACK = 1e-7  # by which rounding may hide the largest slope
ENDLESS = 1e100  # an L1 penalty that no slope overcomes


class Strengths(NamedTuple):
    """The penalties of several models, as asked for; create it by `of`.

    Attributes
    ----------
    l2s : object
        As handed in; None if there are ``penalties``.
    penalties : list of float, or "auto", or None
    ratios : list of float
        Shares of a penalty that are l1; the rest is l2.
    """

    l2s: Any
    penalties: list[float] | str | None
    ratios: list[float]

    @classmethod
    def of(cls, l2s: Any, penalties: Any, l1_ratio: Any, several: bool = False) -> "Strengths":
        """Check what was asked for; ``several`` says whether there may be more than one ratio."""
        if l2s is None and penalties is None:
            raise ValueError("give the penalties to fit with: l2s=[1.0, 0.1, 0.01], or penalties='auto' for L1")
        if l2s is not None and penalties is not None:
            raise ValueError("give either l2s or penalties, not both")
        if penalties is None and l1_ratio is not None:
            raise ValueError("l1_ratio is a share of penalties, and l2s have no L1: give penalties= in place of l2s")
        l1_ratio = 1.0 if l1_ratio is None else l1_ratio
        ratios = penalties_of("l1_ratio", l1_ratio)
        if not several and np.ndim(l1_ratio) > 0:
            raise TypeError(f"l1_ratio must be a number from 0 to 1, not {shown(l1_ratio)}; fit_cv takes several")
        for ratio in ratios:
            if ratio > 1.0:
                raise ValueError(f"l1_ratio must be from 0 to 1, not {shown(ratio)}")
        if len(set(ratios)) < len(ratios):
            raise ValueError(f"l1_ratio holds a number twice: {shown(l1_ratio)}")
        if isinstance(penalties, str):
            if penalties != "auto":
                raise ValueError(f"penalties must be 'auto' or numbers, not {shown(penalties)}")
            if not min(ratios) > 0.0:
                raise ValueError(
                    "penalties='auto' needs l1_ratio > 0: without L1, no penalty is so strong that all weights are 0"
                )
            return cls(None, penalties, ratios)
        return cls(l2s, None if penalties is None else penalties_of("penalties", penalties), ratios)

    def provisional(self, **same: Any) -> list[Options]:
        """Make the options as far as they are known without the data."""
        if self.l2s is not None:
            return options_of_models(self.l2s, **same)
        penalties = [1.0] if isinstance(self.penalties, str) else self.penalties
        return self._options(penalties or [], **same)

    def _options(self, penalties: Sequence[float], **same: Any) -> list[Options]:
        pairs = [(penalty * ratio, penalty * (1.0 - ratio)) for ratio in self.ratios for penalty in penalties]
        l1s, l2s = zip(*pairs, strict=True)
        return options_of_models(list(l2s), l1s=list(l1s), **same)

    def settled(self, received: Received, options: list[Options]) -> list[Options]:
        """Return the options of all models, ratio by ratio; "auto" asks the data for the strongest penalty."""
        if not self.auto:
            return options
        samples = received.arrival.samples
        last = WEAKEST if samples.m >= samples.n_x else WEAKEST_WIDE
        largest = _largest(received, options[0])
        found: list[Options] = []
        for ratio in self.ratios:
            for penalty in np.geomspace(largest / ratio, last * largest / ratio, COUNT).tolist():
                found.append(dataclasses.replace(options[0], l1=penalty * ratio, l2=penalty * (1.0 - ratio)))
        return found

    @property
    def auto(self) -> bool:
        return isinstance(self.penalties, str)


@holds_threads
def _largest(received: Received, options: Options) -> float:
    """Find the smallest l1 with which all weights that it penalises are zero (Friedman, Hastie & Tibshirani 2010)."""
    arrival, targets, weight = received
    endless = dataclasses.replace(options, l1=ENDLESS, l2=0.0, tol=None)

    problem = pose(arrival.samples.holding(targets, weight), targets, None, endless)
    with problem.source.place.computing():
        theta = solve(problem, endless).theta
        slopes = as_host(problem.objective.evaluate(theta).gradient)
    penalty = problem.objective.penalty
    if not isinstance(penalty, Elastic):
        raise ValueError("penalties='auto' needs a feature with a penalty_factor above zero")
    largest = float(penalty.strongest(slopes * problem.objective.free)[0]) * (endless.l1 / endless.l1_strength)
    if not (largest > 0.0 and math.isfinite(largest)):
        raise ValueError("penalties='auto' found no feature that tells the classes apart; give numbers instead")
    return largest * (1.0 + SLACK)
