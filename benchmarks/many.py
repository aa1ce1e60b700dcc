"""Many models in one call beside scikit-learn: LogisticRegressionCV, or LogisticRegression one by one.

Run: python benchmarks/many.py [--case NAME ...] [--json FILE]

One process, alternately, best of several; the ratio (above 1: ours is faster) is what to read. A rival that takes
long is run once, or on some of the models, and its time multiplied: "models compared" says of how many. "Worse by" is
the largest excess of our cost over the rival's, of any model compared (negative: ours is lower). Passes count what
prepared the batch. We fit the models of all samples at every penalty, LogisticRegressionCV one of them only.
"""

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import PredefinedSplit

import xlogreg

LONG = 10.0  # seconds after which a rival runs once only
PAUSE = 0.2  # seconds before each contestant: the threads of the other one's BLAS spin for a while
FOLDS = 5
CS = np.logspace(-3, 3, 10)
Fitted = tuple[dict[int, tuple[np.ndarray, float]], float]


class Case(NamedTuple):
    """X (n_x, m); distinct targets, weights (None: ones) and the l2 of each model; the rivals, by name."""

    X: np.ndarray
    Ys: np.ndarray
    weights: np.ndarray | None
    l2s: np.ndarray
    rivals: dict[str, Callable]
    bar: str


def cross_validated(solver: str) -> Callable:
    """LogisticRegressionCV: all folds at all penalties, and one refit."""

    def run(case: Case, rows: np.ndarray) -> Fitted:
        folds = PredefinedSplit(np.arange(len(rows)) % FOLDS)
        estimator = LogisticRegressionCV(Cs=CS, cv=folds, solver=solver, scoring="neg_log_loss", max_iter=1000)
        paths = np.asarray(estimator.fit(rows, case.Ys[0]).coefs_paths_[1])
        found = {len(CS) * (1 + f) + c: paths[f, c] for f in range(FOLDS) for c in range(len(CS))}
        return {number: (theta[:-1], theta[-1]) for number, theta in found.items()}, 1.0

    return run


def one_by_one(count: int) -> Callable:
    """So many of the models by newton-cholesky, the fastest here, and how many times that is all of them."""

    def run(case: Case, rows: np.ndarray) -> Fitted:
        found = {}
        for model in np.linspace(0, len(case.l2s) - 1, count).astype(int).tolist():
            Y, s = case.Ys[model % len(case.Ys)], None if case.weights is None else case.weights[model]
            total = len(Y) if s is None else float(np.sum(s))
            estimator = LogisticRegression(C=1 / (case.l2s[model] * total), solver="newton-cholesky").fit(rows, Y, s)
            found[model] = estimator.coef_[0], estimator.intercept_[0]
        return found, len(case.l2s) / count

    return run


def labelled(n_x: int, m: int, g: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X, W = rng.standard_normal((n_x, m)), rng.standard_normal((n_x, g))
    return X, (rng.random((g, m)) < 1 / (1 + np.exp(-2 * (W / np.linalg.norm(W, axis=0)).T @ X))).astype(int)


def penalties_and_folds() -> Case:
    X, Ys = labelled(100, 50_000, 1)
    folds = np.arange(50_000) % FOLDS
    weights = np.stack([np.ones(50_000), *((folds != fold).astype(float) for fold in range(FOLDS))])
    l2s = 1 / (np.sum(weights, axis=1)[:, None] * CS)
    rivals = {f"LogisticRegressionCV, {solver}": cross_validated(solver) for solver in ("newton-cholesky", "lbfgs")}
    return Case(X, Ys, np.repeat(weights, len(CS), axis=0), l2s.ravel(), rivals, "8 x newton-cholesky, 20 x lbfgs")


def targets() -> Case:
    X, _ = labelled(100, 20_000, 1)
    rng = np.random.default_rng(2)  # one against the rest of 500 classes
    W = rng.standard_normal((100, 500))
    chosen = np.argmax(W.T @ X / 5 + rng.gumbel(size=(500, 20_000)), axis=0)
    return Case(
        X,
        (chosen == np.arange(500)[:, None]).astype(int),
        None,
        np.full(500, 1 / 20_000),
        {"one by one": one_by_one(25)},
        "30 x",
    )


def replicates() -> Case:
    X, Ys = labelled(30, 20_000, 1)
    rng = np.random.default_rng(3)
    counts = rng.multinomial(20_000, np.full(20_000, 1 / 20_000), size=200).astype(float)
    return Case(X, Ys, counts, np.full(200, 1 / 20_000), {"one by one": one_by_one(50)}, "12 x")


CASES: dict[str, Callable[[], Case]] = {
    "10 penalties x (5 folds + all), 50k x 100": penalties_and_folds,
    "500 targets, 20k x 100": targets,
    "200 bootstrap replicates, 20k x 30": replicates,
}


def cost(case: Case, model: int, w: np.ndarray, b: float) -> float:
    Y = case.Ys[model % len(case.Ys)]
    s = np.ones(case.X.shape[1]) if case.weights is None else case.weights[model]
    z = w @ case.X + b
    return float(np.sum(s * (np.logaddexp(0, z) - Y * z)) / np.sum(s) + 0.5 * case.l2s[model] * w @ w)


def measure(name: str, repeats: int = 3) -> dict[str, object]:
    case = CASES[name]()
    rows = np.ascontiguousarray(case.X.T)
    seconds: dict[str, list[float]] = {"ours": []} | {rival: [] for rival in case.rivals}
    fitted = {}
    for _ in range(repeats):
        time.sleep(PAUSE)
        began = time.perf_counter()
        models = xlogreg.fit_many(case.X, case.Ys, l2s=case.l2s, sample_weights=case.weights)
        seconds["ours"].append(time.perf_counter() - began)
        for rival, run in case.rivals.items():
            if not seconds[rival] or min(seconds[rival]) < LONG:
                time.sleep(PAUSE)
                began = time.perf_counter()
                fitted[rival], times = run(case, rows)
                seconds[rival].append((time.perf_counter() - began) * times)
    found: dict[str, object] = {"case": name, "seconds": min(seconds["ours"])}
    for rival, theirs in fitted.items():
        ours = {number: (models[number].w[:, 0], models[number].b[0, 0]) for number in theirs}
        found[f"{rival}, ratio"] = min(seconds[rival]) / min(seconds["ours"])
        found[f"{rival}, worse by"] = max(cost(case, n, *ours[n]) - cost(case, n, *theirs[n]) for n in theirs)
        found[f"{rival}, models compared"] = len(theirs)
    found["passes"] = float(np.mean([model.fit_info.passes for model in models]))
    found["together"] = f"{sum(model.fit_info.solver == 'batch' for model in models)} of {len(models)}"
    return found | {"bar": case.bar}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="*", default=list(CASES))
    parser.add_argument("--json")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    found = []
    for name in (name for name in CASES if any(part in name for part in arguments.case)):
        found.append(measure(name))
        print(
            ", ".join(
                f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in found[-1].items()
            )
        )
    if arguments.json:
        versions = {"xlogreg": xlogreg.__version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__}
        machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        with open(arguments.json, "w") as file:
            json.dump({"versions": versions, **machine, "cases": found}, file, indent=1)


if __name__ == "__main__":
    main()
