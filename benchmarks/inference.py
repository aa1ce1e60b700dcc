"""What a table of coefficients costs: robust errors, score tests, profiles and Firth's bias reduction, beside rivals.

Run: python -m benchmarks.inference [covariance scores profile firth] [--small] [--json FILE]

One process, alternately, the shortest of three rounds; what takes longer than 30 seconds runs once. All take the same
rows in C order. statsmodels and firthmodels take part where they are installed, with all threads and with one, of which
the faster counts: on a busy machine, BLAS may wait very long for its other threads where matrices are small.

- covariance: a fit and its table with HC0 errors, beside Logit.fit(cov_type="HC0") of statsmodels and its summary().
  "MB above X" is the peak of the resident memory of a process of its own above that of one that makes the same X and a
  table of few samples. The column of ones that statsmodels wants counts as its X, and is there when the clock starts.
- scores: one score test for each of many candidates, none of which is in the model, beside one pass of NumPy's max over
  the same candidates. statsmodels tests a few of them for the difference.
- profile: ends of 95 % profile intervals of all features, beside a loop that searches each end by Brent's method, with
  a fit of ours for each trial that holds the feature by an offset.
- firth: fits by Firth's method, then profiles and penalised likelihood-ratio tests of all features, beside firthmodels
  with Numba, compiled before the clock starts.

What the installed version of xlogreg cannot do is said to be missing, and the rest goes on.
"""

import argparse
import copy
import inspect
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

import xlogreg
from benchmarks.bars import at_least, at_most, show
from benchmarks.clock import machine, peak_memory, timed

ROUNDS, LONG = 3, 30.0  # alternations, and seconds of a run after which it is not repeated
CHECKED = 20  # candidates that statsmodels tests, too
CHI_SQUARED = 3.841458820694124  # 95 % quantile with one degree of freedom
CHUNK, FEW = 10_000, 2_000  # samples drawn at a time, and of a small table


class Size(NamedTuple):
    """Samples, features, and candidates for score tests."""

    m: int
    n_x: int
    candidates: int = 0


FULL = {
    "covariance": Size(1_000_000, 50),
    "scores": Size(50_000, 10, 10_000),
    "profile": Size(20_000, 20),
    "firth": Size(1_000, 50),
}
SMALL = {
    "covariance": Size(5_000, 10),
    "scores": Size(2_000, 5, 100),
    "profile": Size(1_000, 4),
    "firth": Size(300, 6),
}
BARS = [
    at_least(10.0, "covariance", "statsmodels / ours"),
    at_most(100.0, "covariance", "MB above X of ours"),
    at_most(1e-6, "covariance", "difference of errors"),
    at_most(3.0, "scores", "float64", "ours / one reading"),
    at_most(1e-8, "scores", "float64", "difference of statistics"),
    at_least(10.0, "profile", "refits / ours"),
    at_least(1.0, "firth", "fit: firthmodels / ours"),
    at_least(50.0, "firth", "profiles and tests: firthmodels / ours"),
]


def drawn(size: Size, rare: float = 0.0, ones: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """X (m, n_x) in C order, a column of ones behind it or not, and labels (m,) that its features tell a little.

    Block by block: nothing larger than X is ever held.
    """
    rng = np.random.default_rng(0)
    X, Y = np.ones((size.m, size.n_x + ones)), np.empty(size.m)
    w = rng.standard_normal(size.n_x) / size.n_x**0.5
    for start in range(0, size.m, CHUNK):
        block = slice(start, start + CHUNK)
        part = rng.standard_normal((len(Y[block]), size.n_x))
        X[block, : size.n_x] = part
        Y[block] = rng.random(len(part)) < 1 / (1 + np.exp(rare - part @ w))
    return X, Y


def with_ones(X: np.ndarray) -> np.ndarray:
    return np.hstack([X, np.ones((len(X), 1))])


def installed(name: str) -> Any:
    """Import a module, or return None if it is not there."""
    try:
        return __import__(name, fromlist=["api"])
    except ImportError:
        return None


def on_one_thread(run: Callable[[], Any]) -> Any:
    with threadpool_limits(1):
        return run()


def shortest(runs: dict[str, Callable[[], Any]], rival: str = "") -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds of each run, alternately, and what each returned; the rival has an entry for one thread, too."""
    runs = dict(runs)
    alone = f"{rival}, one thread"
    if rival in runs:
        runs[alone] = partial(on_one_thread, runs[rival])
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    values = {}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            if not seconds[name] or seconds[name][-1] < LONG:
                took, values[name] = timed(run)
                seconds[name].append(took)
    found = {name: min(took) for name, took in seconds.items()}
    if rival in runs:
        found = {**found, f"{rival}, all threads": found[rival], rival: min(found[rival], found[alone])}
    return found, values


def apart(ours: Any, theirs: Any) -> float:
    """Largest relative difference."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    return float(np.max(np.abs(ours - theirs) / np.abs(theirs)))


# a fit and its table with robust errors


def robust_table(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Standard errors of ours."""
    model = xlogreg.fit(X, Y, samples="rows")
    summary = model.summary(covariance=model.covariance_of(X, Y, kind="HC0"))
    assert str(summary)
    return summary.table["standard_error"]


def robust_statsmodels(rows: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Standard errors of statsmodels; rows end in a 1."""
    fitted = installed("statsmodels.api").Logit(Y, rows).fit(cov_type="HC0", disp=0)
    assert str(fitted.summary())
    return np.asarray(fitted.bse)


def child(which: str, m: int, n_x: int, samples: int) -> None:
    """What a process of its own does: make X and a table of so many of its samples, and print its peak memory."""
    ones = which == "statsmodels"
    X, Y = drawn(Size(m, n_x), ones=ones)
    (robust_statsmodels if ones else robust_table)(X[:samples], Y[:samples])
    print(peak_memory())


def memory(which: str, size: Size) -> float:
    """MB that a table of all samples takes above one of few, which loads all that is loaded once."""

    def peak(samples: int) -> float:
        given = (which, size.m, size.n_x, samples)
        command = [sys.executable, "-m", "benchmarks.inference", "--child", *map(str, given)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return peak(size.m) - peak(min(FEW, size.m // 2))


def covariance(size: Size) -> dict[str, Any]:
    X, Y = drawn(size)
    runs: dict[str, Callable[[], Any]] = {"ours": partial(robust_table, X, Y)}
    rival = installed("statsmodels.api") is not None
    if rival:
        runs["statsmodels"] = partial(robust_statsmodels, with_ones(X), Y)
    seconds, errors = shortest(runs, "statsmodels")
    result: dict[str, Any] = {"seconds": seconds, "MB of X": X.nbytes / 2**20}
    del X, Y, runs  # so that there is room for the processes that are measured
    result["MB above X of ours"] = memory("ours", size)
    if not rival:
        return result | {"missing: statsmodels": "not installed"}
    result["statsmodels / ours"] = seconds["statsmodels"] / seconds["ours"]
    result["difference of errors"] = apart(errors["ours"], errors["statsmodels"])
    return result | {"MB above X of statsmodels": memory("statsmodels", size)}


# score tests of many candidates


def scores(size: Size) -> dict[str, Any]:
    X, Y = drawn(size)
    model = xlogreg.fit(X, Y, samples="rows")
    if not hasattr(model, "score_test"):
        return {"missing: score_test": "not in this version"}
    result: dict[str, Any] = {}
    rng = np.random.default_rng(1)
    genes = rng.integers(0, 3, (size.m, size.candidates), dtype=np.int8)
    for dtype in ("float64", "int8"):
        candidates = genes.astype(dtype)
        runs = {"ours": partial(model.score_test, X, Y, candidates), "one reading": candidates.max}
        seconds, values = shortest(runs)
        found = {"seconds": seconds, "ours / one reading": seconds["ours"] / seconds["one reading"]}
        api = installed("statsmodels.api")
        if api is None:
            found["missing: statsmodels"] = "not installed"
        else:
            fitted = api.GLM(Y, with_ones(X), family=api.families.Binomial()).fit(tol=1e-12)
            tested = [fitted.score_test(exog_extra=candidates[:, [j]].astype(float)) for j in range(CHECKED)]
            theirs = [np.ravel(test.statistic)[0] for test in tested]
            found["difference of statistics"] = apart(values["ours"].table["statistic"][:CHECKED], theirs)
        result[dtype] = found
    return result


# ends of profile intervals


def refits(X: np.ndarray, Y: np.ndarray, model: Any) -> np.ndarray:
    """Ends (n_x, 2) of profile intervals, by a search for each with a fit for each trial."""
    from scipy.optimize import brentq

    best, errors = model.w[:, 0], model.standard_errors().w[:, 0]
    ends = np.empty((len(best), 2))
    for j in range(len(best)):
        others = np.delete(X, j, axis=1)

        def excess(value: float, j: int = j, others: np.ndarray = others) -> float:
            held = xlogreg.fit(others, Y, samples="rows", offset=value * X[:, j])
            return 2.0 * (model.log_likelihood - held.log_likelihood) - CHI_SQUARED

        for end, sign in enumerate((-1.0, 1.0)):
            near, far = (best[j] + sign * reach * errors[j] for reach in (1.0, 4.0))
            ends[j, end] = brentq(excess, near, far, xtol=1e-8 * errors[j])
    return ends


def profile(size: Size) -> dict[str, Any]:
    X, Y = drawn(size)
    model = xlogreg.fit(X, Y, samples="rows")
    if not hasattr(model, "profile_interval"):
        return {"missing: profile_interval": "not in this version"}
    runs: dict[str, Callable[[], Any]] = {"ours": partial(model.profile_interval, X, Y)}
    searched = "offset" in inspect.signature(xlogreg.fit).parameters
    if searched:
        runs["refits"] = partial(refits, X, Y, model)
    seconds, ends = shortest(runs)
    if not searched:
        return {"seconds": seconds, "missing: refits": "fit takes no offset in this version"}
    ours = ends_of(ends["ours"])[: size.n_x]  # without the bias
    ratio = seconds["refits"] / seconds["ours"]
    return {"seconds": seconds, "refits / ours": ratio, "difference of ends": apart(ours, ends["refits"])}


def ends_of(found: Any) -> np.ndarray:
    """Ends (n, 2) of a result of profile_interval."""
    return np.stack([found.table["lower"], found.table["upper"]], axis=1)


# Firth's bias reduction


def firth(size: Size) -> dict[str, Any]:
    X, Y = drawn(size, rare=1.5)
    if "bias_reduction" not in inspect.signature(xlogreg.fit).parameters:
        return {"missing: bias_reduction": "not in this version"}
    fits: dict[str, Callable[[], Any]] = {"ours": partial(xlogreg.fit, X, Y, samples="rows", bias_reduction="firth")}
    rival = installed("firthmodels") is not None
    if rival:
        inferred(fit_firthmodels(X[:100, :2], Y[:100]))  # compiles
        fits["firthmodels"] = partial(fit_firthmodels, X, Y)
    seconds, models = shortest(fits, "firthmodels")
    model, result = models["ours"], {"seconds of fits": seconds}
    if rival:
        result["fit: firthmodels / ours"] = seconds["firthmodels"] / seconds["ours"]
        theirs = np.append(models["firthmodels"].coef_, models["firthmodels"].intercept_)
        result["difference of coefficients"] = apart(np.append(model.w, model.b), theirs)
    else:
        result["missing: firthmodels"] = "not installed"
    if not (hasattr(model, "profile_interval") and hasattr(model, "drop_one")):
        return result | {"missing: profiles and tests": "not in this version"}
    return result | after_firth(model, X, Y, rival)


def after_firth(model: Any, X: np.ndarray, Y: np.ndarray, rival: bool) -> dict[str, Any]:
    """Profiles and penalised likelihood-ratio tests; those of firthmodels keep what they find, so each run copies."""
    runs: dict[str, Callable[[], Any]] = {"ours": lambda: (model.profile_interval(X, Y), model.drop_one(X, Y))}
    if rival:
        fitted = fit_firthmodels(X, Y)
        runs["firthmodels"] = lambda: inferred(copy.deepcopy(fitted))
    seconds, found = shortest(runs, "firthmodels")
    result: dict[str, Any] = {"seconds of profiles and tests": seconds}
    if rival:
        result["profiles and tests: firthmodels / ours"] = seconds["firthmodels"] / seconds["ours"]
        result["difference of ends"] = apart(ends_of(found["ours"][0]), found["firthmodels"])
    return result


def fit_firthmodels(X: np.ndarray, Y: np.ndarray) -> Any:
    return installed("firthmodels").FirthLogisticRegression(gtol=1e-6, xtol=1e-6, max_iter=100).fit(X, Y)


def inferred(model: Any) -> np.ndarray:
    """Ends (n_x + 1, 2) of its profiles, after its tests."""
    model.lrt()
    return model.conf_int(method="pl", tol=1e-6, max_iter=200)


PARTS: dict[str, Callable[[Size], dict[str, Any]]] = {
    "covariance": covariance,
    "scores": scores,
    "profile": profile,
    "firth": firth,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}; all unless given")
    parser.add_argument("--small", action="store_true", help="sizes that take seconds, to see that all runs")
    parser.add_argument("--json", help="write the results there, beside those of other parts")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if options.child:
        which, *numbers = options.child
        child(which, *map(int, numbers))
        return
    if unknown := set(options.part) - PARTS.keys():
        parser.error(f"no part is named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    written = Path(options.json) if options.json else None
    results: dict[str, Any] = json.loads(written.read_text()) if written and written.exists() else {}
    here = machine()
    for name in options.part:
        size = (SMALL if options.small else FULL)[name]
        results[name] = {"size": size._asdict(), **PARTS[name](size)}
        print(name, json.dumps(results[name], indent=1), flush=True)
        if written:  # after each part, so that a run that is cut leaves what it has
            written.write_text(json.dumps(results | here, indent=1))
    show(BARS, results)


if __name__ == "__main__":
    main()
