"""The default solver beside scikit-learn: passes, gap and seconds of the cases that the engine was built for.

Run: python benchmarks/engine.py [--case NAME ...] [--json FILE]

One process, the two run alternately, best of several. Ours at its default tolerance, the rival at one that reaches a
gap of 1e-8 where it can. X is Gaussian with the given condition number, labels are drawn from the model. "gap after"
is J after so many passes, work on subsets and the statistics of the features included, above the lowest J known.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.linear_model import LogisticRegression

import xlogreg

REPEATS = 3


class Case(NamedTuple):
    """X (m, n_x) rows for the rival, its transpose's copy for us; l2 on the mean loss."""

    X: np.ndarray
    Y: np.ndarray
    l2: float
    rival: str
    rival_tol: float


def gaussian(m: int, n_x: int, condition: float, dtype: str = "float64", l2: float = 1.0, seed: int = 1) -> Case:
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((n_x, n_x)))
    factor = Q * np.logspace(0, -np.log10(condition), n_x)
    X = factor @ rng.standard_normal((n_x, m))
    w = rng.standard_normal(n_x)
    w *= 2 / np.linalg.norm(factor.T @ w)
    Y = (rng.random(m) < 1 / (1 + np.exp(-(w @ X)))).astype(int)
    return Case(np.ascontiguousarray(X.T.astype(dtype)), Y, l2 / m, "newton-cholesky", 1e-8)


def softmax(m: int, n_x: int, k: int, dtype: str, l2: float = 1.0) -> Case:
    """Features of the spectrum 1/i."""
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((n_x, n_x)))
    X = Q @ (rng.standard_normal((n_x, m)) / np.sqrt(np.arange(1, n_x + 1))[:, None])
    Z = 3 * rng.standard_normal((k, n_x)) @ X
    Y = np.argmax(Z + rng.gumbel(size=Z.shape), axis=0)
    return Case(np.ascontiguousarray(X.T.astype(dtype)), Y, l2 / m, "lbfgs", 1e-5)


def loaded(load: Callable, rival: str) -> Case:
    X, Y = load(return_X_y=True)
    return Case(X, Y, 1 / len(Y), rival, 1e-8)


def wide() -> Case:
    rng = np.random.default_rng(0)
    return Case(rng.random((209, 12288)), np.arange(209) % 2, 1e-2, "newton-cg", 1e-8)


CASES: dict[str, Callable[[], Case]] = {
    "500k x 100 f64, condition 1": lambda: gaussian(500_000, 100, 1),
    "500k x 100 f64, condition 100": lambda: gaussian(500_000, 100, 100),
    "100k x 500 f64, condition 10": lambda: gaussian(100_000, 500, 10),
    "100k x 100 f64, condition 1e4, l2 1e-4/m": lambda: gaussian(100_000, 100, 1e4, l2=1e-4),
    "1M x 28 f64, condition 100": lambda: gaussian(1_000_000, 28, 100),
    "1M x 28 f32, condition 100": lambda: gaussian(1_000_000, 28, 100, "float32"),
    "softmax 20k x 384 f64, K = 10": lambda: softmax(20_000, 384, 10, "float64"),
    "softmax 50k x 768 f32, K = 10": lambda: softmax(50_000, 768, 10, "float32"),
    "wide 209 x 12288 f64, l2 0.01": wide,
    "breast cancer": lambda: loaded(load_breast_cancer, "newton-cholesky"),
    "digits": lambda: loaded(load_digits, "lbfgs"),
    "iris": lambda: loaded(load_iris, "newton-cg"),
}


def judged(case: Case, w: np.ndarray, b: np.ndarray) -> float:
    """J in float64 of anybody's parameters, w (n_x, k)."""
    X = case.X.T.astype(np.float64)
    Z = w.astype(np.float64).T @ X + b.astype(np.float64).reshape(-1, 1)
    Y = case.Y[None, :] if len(Z) == 1 else (np.arange(len(Z))[:, None] == case.Y).astype(float)
    loss = float(xlogreg.cost(Z, Y, "log_loss" if len(Z) == 1 else "cross_entropy"))
    return loss + 0.5 * case.l2 * float(np.sum(w.astype(np.float64) ** 2))


def duel(case: Case) -> dict:
    """Both, alternately; seconds are the best."""
    X = np.ascontiguousarray(case.X.T)
    rival = LogisticRegression(
        C=1 / (case.l2 * len(case.Y)), solver=case.rival, tol=case.rival_tol, max_iter=1000, random_state=0
    )
    ours, theirs = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        model = xlogreg.fit(X, case.Y, l2=case.l2)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        rival.fit(case.X, case.Y)
        theirs.append(time.perf_counter() - start)
    costs = judged(case, model.w, model.b), judged(case, rival.coef_.T, rival.intercept_)
    best = xlogreg.fit(X.astype(np.float64), case.Y, l2=case.l2, tol=1e-15, initial=model)
    lowest = min(*costs, judged(case, best.w, best.b))
    info = model.fit_info
    above = np.append(model.costs[1:], costs[0]) - lowest  # costs[i + 1] is what pass i + 1 was followed by
    spent = info.passes - len(model.costs) + 1 + np.arange(len(above))
    return {
        "solver": info.solver,
        "passes": info.passes,
        "passes to 1e-4, 1e-8, 1e-12": [
            round(float(spent[np.argmax(above <= gap)]), 2) if np.any(above <= gap) else None
            for gap in (1e-4, 1e-8, 1e-12)
        ],
        "gap": costs[0] - lowest,
        "seconds": min(ours),
        "rival": case.rival,
        "rival gap": costs[1] - lowest,
        "rival seconds": min(theirs),
        "ratio": min(theirs) / min(ours),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", nargs="*", default=list(CASES), choices=list(CASES), metavar="NAME")
    parser.add_argument("--json", help="write the results there")
    arguments = parser.parse_args()
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}, {len(__import__('os').sched_getaffinity(0))} cores",
        "versions": {"xlogreg": xlogreg.__version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__},
        "cases": {},
    }
    ours = f"{'case':42}{'passes':>8}{'to 1e-4/1e-8/1e-12':>22}{'gap':>9}{'s':>8}"
    print(f"{ours}   {'rival':16}{'gap':>9}{'s':>8}{'ratio':>7}")
    for name in arguments.case:
        row = results["cases"][name] = duel(CASES[name]())
        steps = "/".join("-" if at is None else f"{at:g}" for at in row["passes to 1e-4, 1e-8, 1e-12"])
        print(
            f"{name:42}{row['passes']:8.2f}{steps:>22}{row['gap']:9.0e}{row['seconds']:8.3f}   "
            f"{row['rival']:16}{row['rival gap']:9.0e}{row['rival seconds']:8.3f}{row['ratio']:7.1f}",
            flush=True,
        )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
