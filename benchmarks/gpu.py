"""Fits and predictions on a GPU: every array library, data on the device and on the host, beside scikit-learn.

Run: benchmarks/gpu_check.sh timings, or python benchmarks/gpu.py [--libraries NAME ...] [--shapes MxN ...]
[--budget SECONDS] [--json FILE] [--allow-cpu]; the last runs the same code on the CPU, to see that it runs.

X (n_x, m) float32 of independent standard normal features, labels from a model whose scores have the standard deviation
2, l2 = 1/m; of one seed, drawn on the device. "resident": X and Y lie on the device; "host": both are NumPy, `backend`
says where to compute. "first" is the first call with that shape in this process, "seconds" the best of several; every
timing waits for the device. "difference": of the weights, from NumPy's in float64 where X is small, else from the first
fit of that shape. A pair of shape and library that fails is recorded and the others go on (exit code 1); one for which
the time is not left is recorded as skipped. Capitals stand for matrices.
"""

import argparse
import functools
import gc
import importlib
import importlib.util
import itertools
import json
import math
import os
import platform
import shutil
import subprocess
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import xlogreg
from xlogreg.arrays.place import Place, place_on, to_host, why_unusable

SHAPES = ("50000x128", "1560000x16", "500000x128", "244000x1024", "5000000x128")
SEED = 0
REPEATS = 5
WARM_SECONDS = 5.0  # after which no further repeat of a fit is begun
SMALL = 30_000_000  # numbers in X up to which weights are compared with those of NumPy in float64
PUBLISHED = {
    "source": "cuML's published benchmark page: fit of LogisticRegression, float32, NumPy in, on an RTX PRO 6000",
    "seconds": dict(zip(SHAPES, (0.0063, 0.018, 0.0296, 0.0966, 0.266), strict=True)),
}


# what differs between the libraries: the GPU as `fit` takes it, None where that is the default device;
DEVICES = {"cupy": None, "torch": "cuda", "jax": None, "numpy": None}
# module, array -> returns once the array is computed;
WAIT: dict[str, Callable[[Any, Any], Any]] = {
    "cupy": lambda module, array: array.device.synchronize(),
    "torch": lambda module, array: array.is_cuda and module.cuda.synchronize(array.device),
    "jax": lambda module, array: module.block_until_ready(array),
    "numpy": lambda module, array: None,
}
# module -> unused memory goes back, for the other libraries
RELEASE: dict[str, Callable[[Any], Any]] = {
    "cupy": lambda module: [
        pool().free_all_blocks() for pool in (module.get_default_memory_pool, module.get_default_pinned_memory_pool)
    ],
    "torch": lambda module: module.cuda.empty_cache(),
}


class Bench(NamedTuple):
    """A library on a device, ready to be timed."""

    name: str
    device: str | None
    place: Place
    module: Any

    @property
    def on_gpu(self) -> bool:
        return self.name == "cupy" or "cuda" in self.place.device_name.lower()

    def timed(self, function: Callable[[], Any], calls: int = 1, made: Callable[[Any], Any] | None = None) -> tuple:
        """Seconds of so many calls in a row, and what the last returned; ``made`` picks the array to wait for."""
        start = time.perf_counter()
        for _ in range(calls):
            value = function()
        array = value if made is None else made(value)
        if not isinstance(array, np.ndarray):
            WAIT[self.name](self.module, array)
        return time.perf_counter() - start, value

    def best(self, function: Callable[[], Any]) -> float:
        """Seconds a call, the best of several rounds; of many calls where they are short, as in a fit."""
        self.timed(function)
        once, _ = self.timed(function)
        calls = int(np.clip(0.02 / once, 1, 50))
        return min(once, *(self.timed(function, calls)[0] / calls for _ in range(REPEATS)))

    def release(self) -> None:
        gc.collect()
        if self.name in RELEASE:
            RELEASE[self.name](self.module)


def open_bench(name: str, allow_cpu: bool) -> Bench | str:
    """The library on its GPU, or why there is none."""
    for device in dict.fromkeys([DEVICES[name], *([None] if allow_cpu else [])]):
        reason = why_unusable(name, device)
        if not reason:
            bench = Bench(name, device, place_on(name, device), importlib.import_module(name))
            if bench.on_gpu or allow_cpu or name == "numpy":
                return bench
            reason = f"its default device is {bench.place.device_name}"
    return reason


def draw(m: int, n_x: int, module: Any) -> tuple[np.ndarray, np.ndarray]:
    """X (n_x, m) and Y (m,) on the host, drawn by CuPy or NumPy."""
    rng = module.random.default_rng(SEED)
    w = rng.standard_normal((1, n_x), dtype=np.float32)
    w = w * (2.0 / math.sqrt(float((w * w).sum())))
    X = rng.standard_normal((n_x, m), dtype=np.float32)
    Y = rng.random(m, dtype=np.float32) < xlogreg.sigmoid((w @ X)[0])
    return to_host(X), to_host(Y).astype(np.int32)


def repeated(bench: Bench, fit: Callable[[], Any], weights: Callable[[Any], Any]) -> tuple[dict, Any]:
    """Seconds of the first call and the best of those after it, what was warned of, and the last model."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first, model = bench.timed(fit, made=weights)
        again, until = [], time.perf_counter() + WARM_SECONDS
        while len(again) < REPEATS and (not again or time.perf_counter() < until):
            seconds, model = bench.timed(fit, made=weights)
            again.append(seconds)
    named = sorted({f"{warning.category.__name__}: {warning.message}" for warning in caught})
    return {"seconds": min(again), "first": first, "warnings": named}, model


def one_fit(bench: Bench, X: Any, Y: Any, expected: np.ndarray | None, **where: Any) -> tuple[dict, Any]:
    """Times of one way to fit, what the fit says of itself, and how far its weights are from the expected ones."""
    row, model = repeated(bench, lambda: xlogreg.fit(X, Y, l2=1.0 / X.shape[1], **where), lambda model: model.w)
    for name in ("solver", "device", "passes", "iterations", "reason", "converged", "gap", "cost"):
        value = getattr(model.fit_info, name)
        row[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return row | {"difference": difference(to_host(model.w), expected)}, model


def difference(w: np.ndarray, expected: np.ndarray | None) -> float | None:
    return None if expected is None else float(np.max(np.abs(w - expected)) / np.max(np.abs(expected)))


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
    w = to_host(model.w)
    if bench.name != "numpy":
        del there, labels, model  # or the device would hold X twice
        bench.release()
        where = {"backend": bench.name, "device": bench.device, "fallback": False}
        row["host"], model = one_fit(bench, X, Y, w if expected is None else expected, **where)
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


def shown(row: dict) -> str:
    """A row as a line of progress."""
    parts = [f"{name}: {row[name]}" for name in ("skipped", "error") if name in row]
    for name in sorted({"resident", "host"} & row.keys(), reverse=True):
        fit = row[name]
        parts.append(f"{name} {fit['seconds']:.4f} s (first {fit['first']:.3f}, predict {fit.get('predict', 0):.5f})")
        parts += [f"{key} {fit[key]:.3g}" for key in ("iterations", "passes", "gap", "difference") if fit.get(key)]
    return ", ".join(parts + [f"{name} {value:.0f} GB/s" for name, value in row.get("GB/s", {}).items()])


def machine(benches: dict[str, Bench]) -> dict:
    """What the numbers were measured on."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    gpus = subprocess.run(query, capture_output=True, text=True, check=False).stdout if shutil.which(query[0]) else ""
    cuda = benches["cupy"].module.cuda.runtime if "cupy" in benches else None
    modules = [bench.module for bench in benches.values()]
    modules += [importlib.import_module(name) for name in ("scipy", "sklearn") if importlib.util.find_spec(name)]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}, {len(os.sched_getaffinity(0))} cores",
        "gpu, driver, memory": gpus.splitlines(),
        "cuda runtime, driver": [cuda.runtimeGetVersion(), cuda.driverGetVersion()] if cuda else [],
        "versions": {module.__name__: module.__version__ for module in (xlogreg, *modules)},
        "devices": {name: bench.place.device_name for name, bench in benches.items()},
        "sums in": {name: bench.place.widest for name, bench in benches.items()},
    }


def attempt(row: dict, measure: Callable, *arguments: Any) -> Any:
    """What it returns; where it fails, None, and the error is in the row."""
    try:
        return measure(*arguments)
    except Exception as error:  # each library has classes of its own
        traceback.print_exc()
        row["error"] = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        return None


def compare(timed: list[Bench], source: Any, shapes: list[str], deadline: float) -> Iterator[tuple[str, str, dict]]:
    """Shape, name and row of each pair, ours first and scikit-learn's in what time is left; ``source`` draws."""
    drawn = functools.lru_cache(maxsize=1)(functools.partial(draw, module=source))
    weights: dict[str, np.ndarray] = {}
    slowness: dict[str, float] = {}  # seconds for each number in X, with the last shape

    def measure(row: dict, how: Callable, bench: Bench, shape: str, m: int, n_x: int) -> None:
        for other in timed:
            other.release()
        X, Y = drawn(m, n_x)
        if m * n_x <= SMALL and shape not in weights:
            weights[shape] = xlogreg.fit(X.astype(np.float64), Y, l2=1.0 / m).w
        weights.setdefault(shape, how(row, bench, X, Y, weights.get(shape)))

    rivals = [b for b in timed if b.name == "numpy"] + [b for b in timed if b.name in ("cupy", "torch")][:1]
    rivals = rivals if importlib.util.find_spec("sklearn") else []
    for how, group, label in ((ours, timed, "{}"), (rival, rivals, "scikit-learn on {}")):
        for shape, bench in itertools.product(shapes, group):
            m, n_x = map(int, shape.split("x"))
            name, began, row = label.format(bench.name), time.perf_counter(), {}
            if began + slowness.get(name, 0.0) * m * n_x < deadline:
                attempt(row, measure, row, how, bench, shape, m, n_x)
                slowness[name] = (time.perf_counter() - began) / (m * n_x)
            else:
                row["skipped"] = "too little time is left"
            yield shape, name, row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--libraries", nargs="+", default=list(DEVICES), choices=list(DEVICES), metavar="NAME")
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="MxN", help="samples x features")
    parser.add_argument("--budget", type=float, default=420.0, help="seconds after which nothing is begun")
    parser.add_argument("--json", type=Path, help="write there; on a GPU else benchmarks/results/gpu-<date>.json")
    parser.add_argument("--allow-cpu", action="store_true", help="time on the CPU where a library has no GPU")
    arguments = parser.parse_args()
    deadline = time.perf_counter() + arguments.budget
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the GPU's memory is for all libraries
    os.environ.setdefault("SCIPY_ARRAY_API", "1")  # scikit-learn's dispatch needs it before SciPy is imported
    opened = {name: open_bench(name, arguments.allow_cpu) for name in dict.fromkeys([*arguments.libraries, "numpy"])}
    benches = {name: bench for name, bench in opened.items() if isinstance(bench, Bench)}
    missing = {name: reason for name, reason in opened.items() if isinstance(reason, str)}
    for name, reason in missing.items():
        print(f"{name}: {reason}")
    timed = [benches[name] for name in arguments.libraries if name in benches]
    has_gpu = any(bench.on_gpu for bench in timed)
    if not has_gpu and not arguments.allow_cpu:
        print("No GPU to time; --allow-cpu runs this on the CPU.")
        return 3
    path = arguments.json
    if path is None and has_gpu:
        path = Path(__file__).parent / "results" / f"gpu-{time.strftime('%Y-%m-%d')}.json"
    results = machine(benches) | {"missing": missing, "ceilings GB/s": {}, "fits": {}, "published": PUBLISHED}
    print(*(f"{name}: {results[name]}" for name in list(results)[:7]), sep="\n", flush=True)
    failures = 0
    for bench in timed:
        rates = results["ceilings GB/s"][bench.name] = {}
        attempt(rates, ceilings, rates, bench)
        print(f"{bench.name:13}{rates}", flush=True)
        failures += "error" in rates
    source = benches.get("cupy", benches["numpy"]).module  # NumPy takes ten seconds for the largest shape
    for shape, name, row in compare(timed, source, arguments.shapes, deadline):
        results["fits"].setdefault(shape, {})[name] = row
        print(f"{shape:13}{name:23}{shown(row)}", flush=True)
        failures += "error" in row
        if path is not None:
            path.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
