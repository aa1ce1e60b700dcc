"""Many models in one call beside scikit-learn fitting them one by one.

Run: python benchmarks/many.py [--case NAME ...] [--json FILE]

One process, alternately, best of several; the ratio (above 1: ours is faster) is what to read. A rival that takes
long is run once, or on some of the models, and its time multiplied; "models" says of how many. "Worse by" is the
largest excess of our cost over the rival's, of any model that it fitted (negative: ours is lower).
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
from sklearn.linear_model import LogisticRegression

import xlogreg

PAUSE = 0.2  # seconds before each contestant: the threads of the other one's BLAS spin for a while
FOLDS = 5


class Case(NamedTuple):
    """X (n_x, m); distinct targets, weights (None: ones) and the l2 of each model; how many of them the rival fits."""

    X: np.ndarray
    Ys: np.ndarray
    weights: np.ndarray | None
    l2s: np.ndarray
    rival: int
    bar: str


def labelled(n_x: int, m: int, g: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X, W = rng.standard_normal((n_x, m)), rng.standard_normal((n_x, g))
    return X, (rng.random((g, m)) < 1 / (1 + np.exp(-2 * (W / np.linalg.norm(W, axis=0)).T @ X))).astype(int)


def penalties_and_folds() -> Case:
    X, Ys = labelled(100, 50_000, 1)
    folds = np.arange(50_000) % FOLDS
    weights = np.stack([np.ones(50_000), *((folds != fold).astype(float) for fold in range(FOLDS))])
    l2s = 1 / (np.sum(weights, axis=1)[:, None] * np.logspace(-3, 3, 10))
    return Case(X, Ys, np.repeat(weights, 10, axis=0), l2s.ravel(), 60, "8 x newton-cholesky")


def targets() -> Case:
    X, _ = labelled(100, 20_000, 1)
    rng = np.random.default_rng(2)  # one against the rest of 500 classes
    W = rng.standard_normal((100, 500))
    chosen = np.argmax(W.T @ X / 5 + rng.gumbel(size=(500, 20_000)), axis=0)
    return Case(X, (chosen == np.arange(500)[:, None]).astype(int), None, np.full(500, 1 / 20_000), 25, "30 x")


def replicates() -> Case:
    X, Ys = labelled(30, 20_000, 1)
    rng = np.random.default_rng(3)
    counts = rng.multinomial(20_000, np.full(20_000, 1 / 20_000), size=200).astype(float)
    return Case(X, Ys, counts, np.full(200, 1 / 20_000), 50, "12 x")


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
    g, seconds, rival = len(case.l2s), [], []
    chosen = np.linspace(0, g - 1, case.rival).astype(int)
    for repeat in range(repeats):
        time.sleep(PAUSE)
        began = time.perf_counter()
        models = xlogreg.fit_many(case.X, case.Ys, l2s=case.l2s, sample_weights=case.weights)
        seconds.append(time.perf_counter() - began)
        if repeat == 0 or np.min(rival) < 5:
            time.sleep(PAUSE)
            began, theirs = time.perf_counter(), []
            for model in chosen:
                Y = case.Ys[model % len(case.Ys)]
                s = None if case.weights is None else case.weights[model]
                kept = slice(None) if s is None or np.ptp(s[s > 0]) > 0 else s > 0  # a fold, as a search would cut it
                total = len(Y) if s is None else float(np.sum(s))
                estimator = LogisticRegression(C=1 / (case.l2s[model] * total), solver="newton-cholesky")
                theirs.append(estimator.fit(rows[kept], Y[kept], None if s is None else s[kept]))
            rival.append((time.perf_counter() - began) * g / len(chosen))
    worse = max(
        cost(case, model, models[model].w[:, 0], models[model].b[0, 0])
        - cost(case, model, other.coef_[0], other.intercept_[0])
        for model, other in zip(chosen, theirs, strict=True)
    )
    return {
        "case": name,
        "seconds": min(seconds),
        "newton-cholesky, seconds": min(rival),
        "ratio": min(rival) / min(seconds),
        "models": f"{len(chosen)} of {g}",
        "worse by": worse,
        "passes": float(np.mean([model.fit_info.passes for model in models])),
        "together": sum(model.fit_info.solver == "batch" for model in models),
        "bar": case.bar,
    }


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
