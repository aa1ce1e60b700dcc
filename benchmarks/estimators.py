"""The estimators beside scikit-learn's, as a user calls them: checks, fit, attributes.

Run: python -m benchmarks.estimators [--case NAME ...] [--json FILE]

One process, alternately; the ratio of the medians (above 1: ours is faster) is what to read. "Worse by" is the excess
of our cost over theirs at the parameters returned (negative: ours is lower). On a machine that does other things the
small case wants OPENBLAS_NUM_THREADS=1: its products are so small that waiting for a second thread is most of them.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn import linear_model
from sklearn.datasets import load_breast_cancer

import xlogreg
from benchmarks.bars import at_least
from benchmarks.cases import report

ROUNDS = 5
PAUSE = 0.2  # seconds before each contestant: the threads of the other one's BLAS spin for a while


class Case(NamedTuple):
    """Samples X (m, n_x) with labels y (m,), the estimators, and how often each is fitted in one go."""

    X: np.ndarray
    y: np.ndarray
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    fits: int


def small() -> Case:
    X, y = load_breast_cancer(return_X_y=True)
    theirs = {"solver": "newton-cholesky"}
    return Case(X, y, xlogreg.LogisticRegression, lambda: linear_model.LogisticRegression(**theirs), 50)


def cross_validated() -> Case:
    rng = np.random.default_rng(1)
    X, w = rng.standard_normal((50_000, 100)), rng.standard_normal(100)
    y = (rng.random(50_000) < xlogreg.sigmoid(2 * X @ w / np.linalg.norm(w))).astype(int)
    shared = {"Cs": np.logspace(-3, 3, 10), "l1_ratios": (0.0,), "scoring": "neg_log_loss"}
    theirs = {"solver": "newton-cholesky", "use_legacy_attributes": False, **shared}
    return Case(
        X,
        y,
        lambda: xlogreg.LogisticRegressionCV(**shared),
        lambda: linear_model.LogisticRegressionCV(**theirs),
        1,
    )


CASES: dict[str, Callable[[], Case]] = {
    "LogisticRegression, breast cancer 569 x 30 raw": small,
    "LogisticRegressionCV, 10 C x 5 folds + refit, 50k x 100": cross_validated,
}
BARS = [at_least(limit, "cases", name, "ratio") for name, limit in zip(CASES, (1.5, 8.0), strict=True)]


def cost(case: Case, fitted: Any) -> float:
    z = case.X @ fitted.coef_[0] + fitted.intercept_[0]
    penalty = np.sum(fitted.coef_**2) / (2 * getattr(fitted, "C_", 1.0) * len(case.y))
    return float(np.mean(np.logaddexp(0, z) - case.y * z) + penalty)


def measure(name: str) -> dict[str, object]:
    case = CASES[name]()
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    fitted = {}
    for _ in range(ROUNDS):
        for who, times in seconds.items():
            time.sleep(PAUSE)
            getattr(case, who)().fit(case.X[:100], case.y[:100])  # wakes its threads
            for _ in range(case.fits):
                estimator = getattr(case, who)()
                began = time.perf_counter()
                fitted[who] = estimator.fit(case.X, case.y)
                times.append(time.perf_counter() - began)
    ours, theirs = (statistics.median(times) for times in seconds.values())
    worse = cost(case, fitted["ours"]) - cost(case, fitted["theirs"])
    return {"case": name, "seconds": ours, "ratio": theirs / ours, "worse by": worse}


if __name__ == "__main__":
    report(__doc__, CASES, measure, BARS)
