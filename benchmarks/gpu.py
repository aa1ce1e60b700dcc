"""Fits and predictions on a GPU: every array library, data on the device and on the host, beside other libraries.

Run: benchmarks/gpu_check.sh timings, or python -m benchmarks.gpu [--libraries NAME ...] [--shapes MxN ...]
[--budget SECONDS] [--json FILE] [--allow-cpu]; the last runs the same code on the CPU, to see that it runs.

X (n_x, m) float32 of independent standard normal features, labels from a model whose scores have the standard deviation
2, l2 = 1/m; of one seed, drawn on the device. "resident": X and Y lie on the device; "host": both are NumPy, `backend`
says where to compute. "first" is the first call with that shape in this process, "seconds" the best of several; every
timing waits for the device. "difference": of the weights, from NumPy's in float64 where X is small, else from the first
fit of that shape. "profile": see gpu_profile.py. After ours come scikit-learn's lbfgs on the CPU and by its array API,
cuML, and a loop of PyTorch's L-BFGS, at their defaults. A pair of shape and library that fails is recorded and the
others go on (exit code 1); one for which the time is not left is recorded as skipped, one that the time ends as
stopped. Capitals stand for matrices.
"""

import functools
import importlib
import importlib.util
import itertools
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import xlogreg
from benchmarks.competitors import COMPETITORS
from benchmarks.gpu_bench import (
    DEVICES,
    PUBLISHED,
    Bench,
    arguments_of,
    attempt,
    difference,
    draw,
    machine,
    one_fit,
    open_benches,
    repeated,
    result_path,
    write,
)
from benchmarks.gpu_profile import profile, shown_profile
from benchmarks.problems import Problem
from xlogreg.arrays.place import to_host

SMALL = 30_000_000  # numbers in X up to which weights are compared with those of NumPy in float64
GRACE = 25.0  # seconds after the budget in which the last fits may end
SLOW = 2.0  # seconds of a fit from which on it is not profiled


def rate(array: Any, seconds: float) -> float:
    """GB/s of reading an array of float32 once."""
    return math.prod(array.shape) * 4 / seconds / 1e9


def products(bench: Bench, X: Any) -> dict[str, float]:
    """GB/s at which w'X and X r read X, as a pass computes them, for samples that are columns (C) and rows (F)."""
    place, xp = bench.place, bench.place.xp
    (n_x, m), T = X.shape, place.xp.matrix_transpose
    with place.computing():
        rows = xp.reshape(xp.reshape(T(X), (-1,)), (m, n_x))  # a copy, whatever the library
        w, r = (xp.ones(shape, dtype=X.dtype, device=place.device) for shape in ((n_x, 1), (1, m)))
        return {
            "w'X C": rate(X, bench.best(lambda: T(w) @ X)),
            "w'X F": rate(X, bench.best(lambda: T(w) @ T(rows))),
            "X r C": rate(X, bench.best(lambda: X @ T(r))),
            "X r F": rate(X, bench.best(lambda: T(rows) @ T(r))),
        }


def ceilings(rates: dict, bench: Bench) -> None:
    """GB/s that no fit can exceed: of the device's memory, reads and writes counted, and of the way to it."""
    host = np.ones((2**30 if bench.on_gpu else 2**26) // 4, dtype=np.float32)
    array, xp = bench.place.put(host), bench.place.xp
    rates["device copy"] = 2 * rate(host, bench.best(lambda: xp.asarray(array, copy=True)))
    if bench.name != "numpy":
        rates["host to device"] = rate(host, bench.best(lambda: bench.place.put(host)))
        rates["device to host"] = rate(host, bench.best(lambda: to_host(array)))
    if bench.name == "cupy":
        pinned = importlib.import_module("cupyx").empty_pinned(host.shape, host.dtype)
        pinned[...] = host
        rates["page-locked host to device"] = rate(host, bench.best(lambda: (array.set(pinned), array)[1]))


def ours(row: dict, bench: Bench, X: np.ndarray, Y: np.ndarray, expected: np.ndarray | None) -> np.ndarray:
    """All of one shape and one library; returns the weights of its resident fit."""
    there, labels = bench.place.put(X), bench.place.put(Y)
    row["resident"], model = one_fit(bench, there, labels, expected)
    row["resident"]["predict"] = bench.best(lambda: model.predict(there))
    row["GB/s"] = products(bench, there)
    if row["resident"]["seconds"] < SLOW:
        row["profile"] = profile(bench, there, labels)
    w = to_host(model.w)
    if bench.name != "numpy":
        del there, labels, model  # or the device would hold X twice
        bench.release()
        row["host"], model = one_fit(bench, X, Y, w if expected is None else expected, **bench.where)
        row["host"]["predict"] = bench.best(lambda: model.predict(X))
    return w


def rival(row: dict, bench: Bench, X: np.ndarray, Y: np.ndarray, expected: np.ndarray | None) -> np.ndarray:
    """scikit-learn's lbfgs at its default tolerance; on arrays that are not NumPy's by its array API dispatch."""
    sklearn = importlib.import_module("sklearn")
    there, labels = bench.place.put(np.ascontiguousarray(X.T)), bench.place.put(Y)
    judge = importlib.import_module("sklearn.linear_model").LogisticRegression(C=1.0, max_iter=1000)  # C = 1 / (l2 m)
    with sklearn.config_context(array_api_dispatch=bench.name != "numpy"):
        row["resident"], _ = repeated(bench, lambda: judge.fit(there, labels), lambda judge: judge.coef_)
        row["resident"]["predict"] = bench.best(lambda: judge.predict(there))
    w = to_host(judge.coef_).T
    row["resident"] |= {"iterations": int(judge.n_iter_[0]), "difference": difference(w, expected)}
    return w


def competitor(
    row: dict, bench: Bench, X: np.ndarray, Y: np.ndarray, expected: np.ndarray | None, name: str
) -> np.ndarray:
    """One of the league's competitors at its defaults; its answer is on the host."""
    entry, problem = COMPETITORS[name], Problem("", np.ascontiguousarray(X.T), Y, 1.0 / X.shape[1], "", None, ())
    fit = functools.partial(entry.fit, entry.prepare(problem))
    entry.wait()
    row["resident"], answer = repeated(bench, fit, lambda answer: answer.w)
    row["resident"] |= {"iterations": answer.iterations, "difference": difference(answer.w, expected)}
    del fit
    row["host"], _ = repeated(bench, lambda: entry.fit(entry.prepare(problem)), lambda answer: answer.w)
    return answer.w


def rivals(timed: list[Bench], missing: dict[str, str]) -> Iterator[tuple[str, Callable, Bench]]:
    """Label, function and library of each rival that is here; of the others, ``missing`` gets the reason."""
    if importlib.util.find_spec("sklearn"):
        for bench in [b for b in timed if b.name == "numpy"] + [b for b in timed if b.name in ("cupy", "torch")][:1]:
            yield f"scikit-learn on {bench.name}", rival, bench
    on_gpu = {bench.name for bench in timed if bench.on_gpu}
    torch = [bench for bench in timed if bench.name == "torch"]
    names = ["cuML"] * ("cupy" in on_gpu) + ["PyTorch L-BFGS" + ", cuda" * ("torch" in on_gpu)] * len(torch)
    for name in names:
        reason = COMPETITORS[name].missing()
        if reason:
            missing[name] = reason
            print(f"{name}: {reason}", flush=True)
        else:
            backend = COMPETITORS[name].backend or "torch"
            bench = next(bench for bench in timed if bench.name == backend)
            yield name, functools.partial(competitor, name=name), bench


def shown(row: dict) -> str:
    """A row as a line of progress."""
    parts = [f"{name}: {row[name]}" for name in ("skipped", "stopped", "error") if name in row]
    for name in sorted({"resident", "host"} & row.keys(), reverse=True):
        fit = row[name]
        parts.append(f"{name} {fit['seconds']:.4f} s (first {fit['first']:.3f}, predict {fit.get('predict', 0):.5f})")
        parts += [f"{key} {fit[key]:.3g}" for key in ("iterations", "passes", "gap", "difference") if fit.get(key)]
    line = ", ".join(parts + [f"{name} {value:.0f} GB/s" for name, value in row.get("GB/s", {}).items()])
    return "\n".join([line, *([shown_profile(row["profile"])] if "profile" in row else [])])


def compare(
    entries: list[tuple[str, Callable, Bench]], source: Any, shapes: list[str], deadline: float
) -> Iterator[tuple[str, str, dict]]:
    """Shape, name and row of each pair, entry by entry, in what time is left; ``source`` draws the data."""
    drawn = functools.lru_cache(maxsize=1)(functools.partial(draw, module=source))
    weights: dict[str, np.ndarray] = {}

    def measure(row: dict, how: Callable, bench: Bench, shape: str, m: int, n_x: int) -> None:
        for _, _, other in entries:
            other.release()
        X, Y = drawn(m, n_x)
        if m * n_x <= SMALL and shape not in weights:
            weights[shape] = xlogreg.fit(X.astype(np.float64), Y, l2=1.0 / m).w
        weights.setdefault(shape, how(row, bench, X, Y, weights.get(shape)))

    # ours shape by shape, so that data are drawn once; then the rivals, each as far as it gets
    own = [entry for entry in entries if entry[1] is ours]
    others = [entry for entry in entries if entry[1] is not ours]
    for shape, (name, how, bench) in [*itertools.product(shapes, own), *itertools.product(shapes, others)]:
        m, n_x = map(int, shape.split("x"))
        row: dict[str, Any] = {}
        if time.perf_counter() < deadline:
            attempt(row, deadline + GRACE, measure, row, how, bench, shape, m, n_x)
        else:
            row["skipped"] = "no time is left"
        yield shape, name, row


def main() -> int:
    arguments = arguments_of(__doc__, 420.0, list(DEVICES))
    deadline = time.perf_counter() + arguments.budget
    benches, missing = open_benches(arguments.libraries, arguments.allow_cpu)
    timed = [benches[name] for name in arguments.libraries if name in benches]
    has_gpu = any(bench.on_gpu for bench in timed)
    if not has_gpu and not arguments.allow_cpu:
        print("No GPU to time; --allow-cpu runs this on the CPU.")
        return 3
    path = result_path("gpu", arguments.json, has_gpu)
    results = machine(benches)
    print(*(f"{name}: {value}" for name, value in results.items()), sep="\n", flush=True)
    results |= {"missing": missing, "ceilings GB/s": {}, "fits": {}, "published": PUBLISHED}
    failures = 0
    for bench in timed:
        rates = results["ceilings GB/s"][bench.name] = {}
        attempt(rates, deadline, ceilings, rates, bench)
        print(f"{bench.name:13}{rates}", flush=True)
        failures += "error" in rates
        write(path, results)
    source = benches.get("cupy", benches["numpy"]).module  # NumPy takes ten seconds for the largest shape
    entries = [(bench.name, ours, bench) for bench in timed] + list(rivals(timed, missing))
    for shape, name, row in compare(entries, source, arguments.shapes, deadline):
        results["fits"].setdefault(shape, {})[name] = row
        print(f"{shape:13}{name:23}{shown(row)}", flush=True)
        failures += "error" in row
        write(path, results)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
