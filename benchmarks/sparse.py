"""Sparse X, as text has it, beside scikit-learn's solvers that take it: seconds to the same cost, passes, memory.

Run: python -m benchmarks.sparse [--case TEXT ...] [--json FILE]

The texts are drawn here: words by Zipf's law, documents of Poisson length, tf-idf with rows of length one, labels
from a tenth of the words. All take X as SciPy's CSR with 32-bit indices. One process, alternately, best of three or
more. Of a rival the loosest tol counts at which its cost comes within 1e-6 of the minimum. Ours runs at that tol, which
is its relative gap, at its default of 1e-12, and at 1e-9 for the passes. scikit-learn-intelex hands sparse X to
scikit-learn, so it is no rival of its own. liblinear penalises the intercept, which is scaled by 100 so that this
hardly matters. "MB above X" is the most that NumPy and SciPy hold at a time during a fit, as tracemalloc counts it,
without X itself.
"""

import argparse
import json
import time
import tracemalloc
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

import xlogreg
from benchmarks.bars import at_least, at_most, show
from benchmarks.clock import machine

GAP = 1e-6
TOLS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
ROUNDS, LONG = 3, 20.0  # alternations, and seconds of a rival after which it is run once only
PENALTIES = 20
MB = 2**20


class Text(NamedTuple):
    """m documents of ``length`` words on average, n_x words, K classes; l2 in units of 1/m."""

    m: int
    n_x: int
    length: int
    l2: float
    K: int = 2

    def drawn(self) -> tuple[Any, np.ndarray]:
        rng = np.random.default_rng(0)
        shares = 1.0 / np.arange(1, self.n_x + 1)
        lengths = np.maximum(rng.poisson(self.length, self.m), 1)
        words = np.searchsorted(np.cumsum(shares / shares.sum()), rng.random(lengths.sum()))
        documents = np.repeat(np.arange(self.m), lengths)
        words = np.minimum(words, self.n_x - 1)
        X = scipy.sparse.csr_array((np.ones(len(words)), (documents, words)), shape=(self.m, self.n_x))
        X.sum_duplicates()
        X.data *= (np.log((1 + self.m) / (1 + np.bincount(X.indices, minlength=self.n_x))) + 1)[X.indices]
        X.data /= np.repeat(np.sqrt(X.multiply(X).sum(axis=1)), np.diff(X.indptr))
        X = scipy.sparse.csr_array((X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)), shape=X.shape)
        W = 8.0 * rng.standard_normal((self.n_x, self.K)) * (rng.random((self.n_x, 1)) < 0.1)
        Z = X @ W
        return X, np.argmax(Z - Z.mean(axis=0) + rng.gumbel(size=Z.shape), axis=1)


CASES = {
    f"{text.m // 1000}k x {text.n_x // 1000}k, {text.K} classes, l2 = {text.l2:g}/m": text
    for text in (
        Text(20_000, 50_000, 90, 1.0),
        Text(20_000, 50_000, 90, 0.01),
        Text(100_000, 30_000, 42, 1.0),
        Text(100_000, 30_000, 42, 0.01),
        Text(11_000, 60_000, 130, 1.0, 20),
    )
}
SMALL1, SMALL2, LARGE1, LARGE2, NEWS = CASES
OURS = "ours", "ours to 1e-12"
BEST = "best of scikit-learn / ours"
BARS = [
    at_most(18, SMALL1, "passes"),
    at_most(75, SMALL2, "passes"),
    at_most(18, LARGE1, "passes"),
    at_most(65, LARGE2, "passes"),
    at_least(1.5, SMALL1, BEST),
    at_least(1.5, SMALL2, BEST),
    at_least(3.0, LARGE1, BEST),
    at_least(2.0, LARGE2, BEST),
    at_least(10.0, LARGE1, "lbfgs / ours"),
    at_least(3.0, NEWS, "lbfgs / ours"),
    at_most(6.0, SMALL2, "path / one cold fit"),
    at_most(60.0, LARGE1, "MB above X"),
]


def cost(X: Any, y: np.ndarray, w: np.ndarray, b: np.ndarray, l2: float) -> float:
    Z = X @ w + np.ravel(b)
    Z = np.hstack([np.zeros_like(Z), Z]) if Z.shape[1] == 1 else Z
    return float(np.mean(logsumexp(Z, axis=1) - Z[np.arange(len(y)), y]) + 0.5 * l2 * np.sum(w * w))


def theirs(X: Any, y: np.ndarray, C: float, solver: str, tol: float) -> tuple[np.ndarray, np.ndarray]:
    scaled = {"intercept_scaling": 100.0} if solver == "liblinear" else {}
    fitted = LogisticRegression(C=C, solver=solver, tol=tol, max_iter=5000, **scaled).fit(X, y)
    return fitted.coef_.T, fitted.intercept_


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    answer = run()
    return time.perf_counter() - start, answer


def measure(text: Text) -> dict[str, Any]:
    X, y = text.drawn()
    l2 = text.l2 / text.m
    fit = partial(xlogreg.fit, X, y, l2=l2, samples="rows")
    least = cost(X, y, (best := fit()).w, best.b, l2)
    runs: dict[str, Any] = dict(zip(OURS, (partial(fit, tol=GAP), fit), strict=True))
    found = {name: [timed(run)[0]] for name, run in runs.items()}
    for solver in ("newton-cg", "lbfgs", *(("liblinear",) if text.K == 2 else ())):
        for tol in TOLS:
            run = partial(theirs, X, y, 1 / text.l2, solver, tol)
            took, answer = timed(run)
            if cost(X, y, *answer, l2) <= least * (1 + GAP):
                runs[solver], found[solver] = run, [took]
                break
    for _ in range(ROUNDS):
        for name, run in runs.items():
            if found[name][0] < LONG:
                found[name].append(timed(run)[0])
    seconds = {name: min(took) for name, took in found.items()}
    theirs_of = {name: took for name, took in seconds.items() if name not in OURS}
    result: dict[str, Any] = {"numbers": int(X.nnz), "seconds": seconds}
    for ours in OURS:
        result |= {f"{name} / {ours}": took / seconds[ours] for name, took in theirs_of.items()}
        result[f"best of scikit-learn / {ours}"] = min(theirs_of.values()) / seconds[ours]
    close = fit(tol=1e-9).fit_info
    result["reached by ours"] = cost(X, y, (there := fit(tol=GAP)).w, there.b, l2) / least - 1.0
    result |= {"solver": close.solver, "passes": close.passes, "passes at the default tol": best.fit_info.passes}
    tracemalloc.start()
    fit()
    result["MB above X"] = tracemalloc.get_traced_memory()[1] / MB
    tracemalloc.stop()
    if text.K == 2:
        l2s = l2 * np.geomspace(100.0, 1.0, PENALTIES)
        path = min(timed(lambda: xlogreg.fit_path(X, y, l2s, samples="rows"))[0] for _ in range(2))
        result["path / one cold fit"] = path / seconds["ours to 1e-12"]
    return result


def run(about: str | None, cases: dict[str, Any], measured: Callable[[Any], Any], bars: Any, given: Any) -> None:
    """Measure the cases that the command line names, and show and write what was found."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", default=[""], help="parts of names of the cases to run")
    parser.add_argument("--json", help="write the results there, beside those of other cases")
    options = parser.parse_args(given)
    warnings.simplefilter("ignore")
    written = Path(options.json) if options.json else None
    results: dict[str, Any] = json.loads(written.read_text()) if written and written.exists() else {}
    here = machine()
    for name, case in cases.items():
        if any(part in name for part in options.case):
            results[name] = measured(case)
            print(name, json.dumps(results[name], indent=1), flush=True)
            if written:  # after each case, so that a run that is cut leaves what it has, and others add to it
                written.write_text(json.dumps(results | here, indent=1))
    show(bars, results)


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, CASES, measure, BARS, arguments)


if __name__ == "__main__":
    main()
