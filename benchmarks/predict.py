"""Predictions beside NumPy's own two lines: Z = w.T @ X + b; A = 1 / (1 + exp(-Z)).

Run: python -m benchmarks.predict [--case NAME ...] [--json FILE]

One process, the two run alternately, best of several; the ratio (above 1: ours is faster) is what to read, the
seconds are this machine's. `decision_function` runs beside the first line, the others beside both. Ours also checks
that X is finite and gives a row for each of the two classes. "MB" is the peak of what NumPy allocates, by
tracemalloc, the result included.
"""

import argparse
import json
import os
import platform
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer

import xlogreg

SECONDS = 2.0  # that a pair of contestants runs for, at the least five times
CHUNK = 10_000


class Case(NamedTuple):
    """X (n_x, m), or (m, n_x) for rows, and a model of it."""

    X: np.ndarray
    model: xlogreg.Model


def gaussian(m: int, n_x: int, dtype: str, rows: bool) -> Case:
    rng = np.random.default_rng(0)
    X = np.empty((m, n_x) if rows else (n_x, m), dtype=dtype)
    for start in range(0, m, CHUNK):
        part = rng.standard_normal((n_x, min(CHUNK, m - start)))
        if rows:
            X[start : start + CHUNK] = part.T
        else:
            X[:, start : start + CHUNK] = part
    few = np.ascontiguousarray(X[:CHUNK] if rows else X[:, :CHUNK])
    Z = few @ np.ones(n_x) if rows else np.ones(n_x) @ few
    Y = rng.random(len(Z)) < 1 / (1 + np.exp(-Z / n_x**0.5))
    return Case(X, xlogreg.fit(few, Y, samples="rows" if rows else "columns", l2=1e-3))


def breast_cancer(rows: bool) -> Case:
    X, Y = load_breast_cancer(return_X_y=True)
    X = X if rows else np.ascontiguousarray(X.T)
    return Case(X, xlogreg.fit(X, Y, samples="rows" if rows else "columns", l2=1 / len(Y)))


CASES: dict[str, Callable[[], Case]] = {
    "100 x 500k f64": lambda: gaussian(500_000, 100, "float64", rows=False),
    "500k x 100 f64, rows": lambda: gaussian(500_000, 100, "float64", rows=True),
    "28 x 1M f32": lambda: gaussian(1_000_000, 28, "float32", rows=False),
    "1M x 28 f32, rows": lambda: gaussian(1_000_000, 28, "float32", rows=True),
    "30 x 569 f64": lambda: breast_cancer(rows=False),
    "569 x 30 f64, rows": lambda: breast_cancer(rows=True),
}


def linear(case: Case) -> np.ndarray:
    """The first line."""
    w, b = case.model.w, case.model.b
    return case.X @ w + b if case.model.samples == "rows" else w.T @ case.X + b


def by_hand(case: Case) -> np.ndarray:
    """Both lines."""
    Z = linear(case)
    return 1 / (1 + np.exp(-Z))


CONTESTS: dict[str, tuple[Callable, Callable]] = {
    "decision_function": (lambda case: case.model.decision_function(case.X), linear),
    "predict_proba": (lambda case: case.model.predict_proba(case.X), by_hand),
    "predict": (lambda case: case.model.predict(case.X), by_hand),
}


def timed(function: Callable, case: Case) -> float:
    start = time.perf_counter()
    function(case)
    return time.perf_counter() - start


def megabytes(function: Callable, case: Case) -> float:
    """Peak of what is allocated."""
    tracemalloc.start()
    result = function(case)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result is not None
    return peak / 2**20


def duel(case: Case, ours: Callable, hand: Callable) -> dict:
    """Both, alternately, after one run to warm up."""
    ours(case), hand(case)
    times, began = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - began < SECONDS:
        times.append((timed(ours, case), timed(hand, case)))
    seconds = np.min(times, axis=0)
    return {
        "seconds": float(seconds[0]),
        "by hand": float(seconds[1]),
        "ratio": float(seconds[1] / seconds[0]),
        "MB": megabytes(ours, case),
        "by hand MB": megabytes(hand, case),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", nargs="*", default=list(CASES), choices=list(CASES), metavar="NAME")
    parser.add_argument("--json", help="write the results there")
    arguments = parser.parse_args()
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}, {len(os.sched_getaffinity(0))} cores",
        "versions": {"xlogreg": xlogreg.__version__, "numpy": np.__version__},
        "cases": {},
    }
    print(f"{'case':24}{'':20}{'ms':>9}{'by hand ms':>12}{'ratio':>7}{'MB':>9}{'by hand MB':>12}")
    for name in arguments.case:
        case = CASES[name]()
        rows = results["cases"][name] = {}
        for contest, contestants in CONTESTS.items():
            row = rows[contest] = duel(case, *contestants)
            print(
                f"{name:24}{contest:20}{1e3 * row['seconds']:9.3f}{1e3 * row['by hand']:12.3f}{row['ratio']:7.2f}"
                f"{row['MB']:9.2f}{row['by hand MB']:12.2f}",
                flush=True,
            )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
