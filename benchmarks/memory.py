"""Memory beside X: the peak of `fit` and of the predictions above that of a process that only makes X.

Run: python -m benchmarks.memory [--case NAME ...] [--json FILE]

Each number is the difference of two fresh processes: both make X, Y and a small fit that loads all that is loaded
once, one of them also does what is measured. "resident" is the peak of the resident memory, which is what a machine
has to have; "arrays" the peak of what NumPy allocates, by tracemalloc, in a process of its own. What a call returns is
counted: the probabilities of two classes are two rows of m numbers. The budget is two blocks for each thread, a few
(n_x + 1)^2, one row of m numbers (the targets, the scores), and what is returned.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import xlogreg
from benchmarks.bars import at_most, show
from benchmarks.clock import peak_memory
from xlogreg.samples.blocks import SMALL_BLOCK_BYTES
from xlogreg.samples.threads import thread_count

MB = 2**20
CHUNK = 1000  # samples made at a time
SQUARES = 8  # of (n_x + 1)^2 float64: Hessian, its scaled copy, its factor and inverse, sums of two blocks in a thread


class Case(NamedTuple):
    """X (n_x, m), or (m, n_x) for rows."""

    m: int
    n_x: int
    dtype: str
    rows: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes of a number that is computed with: types of 8 bits only store."""
        return 8 if self.dtype == "float64" else 4

    @property
    def megabytes(self) -> float:
        """Of X."""
        return self.m * self.n_x * np.dtype(self.dtype).itemsize / MB


CASES = {
    "500k x 100 f64": Case(500_000, 100, "float64"),
    "500k x 100 f64, rows": Case(500_000, 100, "float64", rows=True),
    "1M x 28 f32": Case(1_000_000, 28, "float32"),
    "200k x 100 uint8": Case(200_000, 100, "uint8"),
    "100k x 500 f64": Case(100_000, 500, "float64"),
}
ACTIONS: dict[str, Callable] = {
    "fit": lambda model, X, Y, options: xlogreg.fit(X, Y, **options),
    "predict": lambda model, X, Y, options: model.predict(X),
    "predict_proba": lambda model, X, Y, options: model.predict_proba(X),
    "decision_function": lambda model, X, Y, options: model.decision_function(X),
}
BARS = [
    at_most("budget", "cases", name, action, by)
    for name in CASES
    for action in ACTIONS
    for by in ("resident", "arrays")
]
RETURNED = {"fit": 0, "predict": 8, "predict_proba": 2, "decision_function": 1}  # bytes a label, else numbers a sample


def made(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """X and Y, block by block: nothing larger than X is ever held."""
    rng = np.random.default_rng(0)
    X = np.empty((case.m, case.n_x) if case.rows else (case.n_x, case.m), dtype=case.dtype)
    Y = np.empty(case.m, dtype=np.int64)
    w = rng.standard_normal(case.n_x) / case.n_x**0.5
    for start in range(0, case.m, CHUNK):
        part = rng.standard_normal((case.n_x, min(CHUNK, case.m - start)))
        Y[start : start + CHUNK] = rng.random(part.shape[1]) < 1 / (1 + np.exp(-2 * w @ part))
        part = 40 * (part + 3).clip(0, 6) if case.dtype == "uint8" else part
        if case.rows:
            X[start : start + CHUNK] = part.T
        else:
            X[:, start : start + CHUNK] = part
    return X, Y


def child(name: str, action: str, measure: str) -> None:
    """What a fresh process does: prints a peak in MB."""
    case = CASES[name]
    options = {"l2": 1 / case.m, "samples": "rows" if case.rows else "columns"}
    X, Y = made(case)
    head = slice(0, CHUNK)  # for the buffers of BLAS
    few = np.ascontiguousarray(X[head] if case.rows else X[:, head])
    model = xlogreg.fit(few, Y[head], **options)
    model.predict(few)
    if measure == "arrays":
        tracemalloc.start()
    if action != "nothing":
        result = ACTIONS[action](model, X, Y, options)
        assert result is not None
    print(tracemalloc.get_traced_memory()[1] / MB if measure == "arrays" else peak_memory())


def peak(name: str, action: str, measure: str) -> float:
    """In MB, of a fresh process."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", name, action, measure]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def budget(case: Case, action: str) -> float:
    """In MB."""
    returned = RETURNED[action] * case.m * (1 if action == "predict" else case.itemsize)
    squares = SQUARES * 8 * (case.n_x + 1) ** 2 if action == "fit" else 0
    return (thread_count() * 2 * SMALL_BLOCK_BYTES + squares + case.m * case.itemsize + returned) / MB


def measured(name: str) -> dict:
    """Excess of every action, in MB."""
    plain = peak(name, "nothing", "resident")
    return {
        action: {
            "resident": peak(name, action, "resident") - plain,
            "arrays": peak(name, action, "arrays"),
            "budget": budget(CASES[name], action),
        }
        for action in ACTIONS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", nargs="*", default=list(CASES), choices=list(CASES), metavar="NAME")
    parser.add_argument("--json", help="write the results there")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}, {thread_count()} threads",
        "versions": {"xlogreg": xlogreg.__version__, "numpy": np.__version__},
        "cases": {},
    }
    print(f"{'MB above X':24}{'X':>8}  {'action':20}{'resident':>10}{'arrays':>9}{'budget':>9}")
    for name in arguments.case:
        results["cases"][name] = rows = {"X": CASES[name].megabytes, **measured(name)}
        for action in ACTIONS:
            row = rows[action]
            over = "  over" if max(row["resident"], row["arrays"]) > row["budget"] else ""
            print(
                f"{name:24}{rows['X']:8.1f}  {action:20}{row['resident']:10.1f}{row['arrays']:9.1f}"
                f"{row['budget']:9.1f}{over}",
                flush=True,
            )
    show(BARS, results)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
