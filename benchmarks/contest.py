"""What a competitor is, and what it answers. Everything else of the league sees only this."""

import importlib.util
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from benchmarks.problems import Problem

__all__ = ["Answer", "Competitor", "binary_only", "from_sklearn", "penalised_only"]

ALONE = 500_000  # numbers of X, up to which all run on one core


class Answer(NamedTuple):
    """Parameters on the host, and what they took: passes where the library counts them, else iterations."""

    w: Any  # (n_x, k), k = 1 of two classes
    b: Any  # (k,)
    iterations: float | None = None
    passes: float | None = None


class Competitor(NamedTuple):
    """One way to fit.

    Attributes
    ----------
    name, package : str
        What it is called, and where it is from: two packages are needed to confirm a minimum.
    modules : tuple of str
        Without them it is missing; their import is no part of the first call.
    prepare : callable, Problem -> data
        In the layout, dtype and place that it wants; inside the clock of rows as they come, outside that of resident
        data.
    fit : callable, (data, **setting) -> Answer
        The answer is on the host, so that whatever computes has finished when it is there.
    settings : tuple of dict
        First its defaults, then what tightens them.
    handles : callable, Problem -> str
        Why it cannot; "" where it can.
    backend, device : str
        What has to work besides the modules being there.
    wait : callable
        Returns when the device has nothing left to do.
    environment : dict
        Variables that its process needs before anything is imported.
    referee : bool
        In another dtype than the problem's: helps to find the minimum, and is not ranked.
    few : bool
        Whether it runs where only some do: large problems, families, and on one core if they are not small.
    looser : tuple of dict
        Settings that only draw its curve, and are not ranked.
    """

    name: str
    package: str
    modules: tuple[str, ...]
    prepare: Callable[[Problem], Any]
    fit: Callable[..., Answer]
    settings: tuple[dict[str, Any], ...] = ({},)
    handles: Callable[[Problem], str] = lambda problem: ""
    backend: str = ""
    device: str = ""
    wait: Callable[[], Any] = lambda: None
    environment: Mapping[str, str] = MappingProxyType({})
    referee: bool = False
    few: bool = False
    looser: tuple[dict[str, Any], ...] = ()

    def missing(self) -> str:
        """Why it is not here; "" where it is."""
        roots = dict.fromkeys(module.partition(".")[0] for module in self.modules)
        absent = [root for root in roots if importlib.util.find_spec(root) is None]
        if absent:
            return f"{', '.join(absent)} not installed"
        if not self.backend:
            return ""
        from xlogreg.arrays.place import why_unusable

        return why_unusable(self.backend, self.device or None)

    def refuses(self, problem: Problem, alone: bool = False) -> str:
        """Why it does not fit this problem, or not on one core; "" where it does."""
        large = {"large", "family"} & set(problem.tags) or (alone and problem.m * problem.n_x > ALONE)
        if not self.few and large:
            return "left to the fastest"
        if self.referee and problem.dtype == "float64":
            return "a referee of float32 problems"
        return self.handles(problem)


def binary_only(problem: Problem) -> str:
    return "" if problem.K == 2 else "two classes only"


def penalised_only(problem: Problem) -> str:
    return "" if problem.l2 else "not without a penalty"


def from_sklearn(coefficients: np.ndarray, intercept: np.ndarray, *counts: float) -> Answer:
    """The answer from coef_ (k, n_x) and intercept_ (k,), as scikit-learn has them."""
    return Answer(np.asarray(coefficients).T, np.atleast_1d(np.asarray(intercept)), *counts)
