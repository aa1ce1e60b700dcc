"""Whether xlogreg works on this GPU, and how fast it fits, within a minute: what matters most comes first.

Run: benchmarks/gpu_check.sh smoke, or python -m benchmarks.gpu_smoke [--libraries NAME ...] [--shapes MxN ...]
[--budget SECONDS] [--json FILE] [--allow-cpu]; the last runs the same code on the CPU, to see that it runs.

First the demo, then a small fit of every library beside NumPy's in float64, then the shapes of cuML's page, float32,
data as in gpu.py: CuPy, then the others, then scikit-learn on the CPU. "resident": X and Y lie on the device; "host":
both are NumPy. "cold" is the first call with that shape in this process, "warm" the best of at most three more; "GB/s":
X times the passes, by the seconds of the warm one. Each line is printed, and the results are written, as soon as it is
known. A line for which no time is left is recorded as skipped, the one that the time ends as stopped. Exit code 1: a
line failed, did not come to the minimum, or has wrong weights; 3: there is no GPU.
"""

import functools
import importlib
import importlib.util
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import xlogreg
from benchmarks.gpu_bench import (
    PUBLISHED,
    SHAPES,
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
from xlogreg.arrays.place import to_host

ROOT = Path(__file__).parent.parent
OFTEN = {"repeats": 3, "enough": 0.5}
DEMO_SECONDS = 25.0  # after which the demo is stopped
CLOSE = 1e-3  # largest difference of weights in float32, relative to the largest weight
Line = tuple[str, Callable[[dict], Any]]  # name; fills the row


def demo(row: dict, backend: str) -> None:
    """The demo of the command line, in a process of its own."""
    command, began = [sys.executable, "-m", "xlogreg", "demo", "--backend", backend], time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEMO_SECONDS, cwd=ROOT)
    except subprocess.TimeoutExpired:
        row["stopped"] = f"after {DEMO_SECONDS:.0f} s"
        return
    row |= {"first": time.perf_counter() - began, "output": done.stdout.splitlines()}
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        row["skipped" if " needs " in reason else "error"] = reason


def small(row: dict, bench: Bench) -> None:
    """A fit from the host, whose first call loads what the library needs."""
    X, Y = draw(2_000, 16, np)
    expected = xlogreg.fit(X.astype(np.float64), Y, l2=1.0 / 2_000).w
    row |= one_fit(bench, X, Y, expected, OFTEN, **bench.where)[0]


class Shapes:
    """Fits of every shape, and the weights of the first of each to compare the others with."""

    def __init__(self, source: Any) -> None:
        self.drawn = functools.lru_cache(maxsize=1)(functools.partial(draw, module=source))
        self.weights: dict[str, np.ndarray] = {}

    def fit(self, row: dict, shape: str, bench: Bench, resident: bool) -> None:
        X, Y = self.drawn(*map(int, shape.split("x")))
        bench.release()
        there = (bench.place.put(X), bench.place.put(Y)) if resident else (X, Y)
        often = {} if resident else bench.where
        found, model = one_fit(bench, *there, self.weights.get(shape), OFTEN, **often)
        self.weights.setdefault(shape, to_host(model.w))
        row |= found | {"GB/s": found["passes"] * X.nbytes / found["seconds"] / 1e9}

    def judge(self, row: dict, shape: str, bench: Bench) -> None:
        X, Y = self.drawn(*map(int, shape.split("x")))
        rows = np.ascontiguousarray(X.T)
        judge = importlib.import_module("sklearn.linear_model").LogisticRegression(C=1.0, max_iter=1000)
        found, _ = repeated(bench, lambda: judge.fit(rows, Y), lambda judge: judge.coef_, **OFTEN)
        # at its default tolerance: how far it is, but no failure
        far = difference(judge.coef_.T, self.weights.get(shape))
        row |= found | {"iterations": int(judge.n_iter_[0]), "far": far}


def lines(benches: dict[str, Bench], shapes: list[str]) -> Iterator[Line]:
    """What there is to do, in this order."""
    ours = {name: bench for name, bench in benches.items() if name != "numpy"} or benches
    first = next(iter(ours))
    yield f"demo, {first}", functools.partial(demo, backend=first)
    for name, bench in ours.items():
        yield f"2000x16, {name}, host", functools.partial(small, bench=bench)
    every = Shapes(benches.get("cupy", benches["numpy"]).module)
    several = [[name for name in ours if name == first], [name for name in ours if name != first]]
    for names in several:
        for shape, name, resident in itertools.product(shapes, names, (True, False)):
            if resident or name != "numpy":
                of = {"shape": shape, "bench": ours[name], "resident": resident}
                yield f"{shape}, {name}, {'resident' if resident else 'host'}", functools.partial(every.fit, **of)
    if importlib.util.find_spec("sklearn"):
        for shape in shapes:
            of = {"shape": shape, "bench": benches["numpy"]}
            yield f"{shape}, scikit-learn, CPU", functools.partial(every.judge, **of)


def shown(name: str, row: dict) -> str:
    """A row of the table."""
    numbers = [f"{row[key]:10.4f}" if key in row else " " * 10 for key in ("first", "seconds")]
    published = PUBLISHED["seconds"].get(name.partition(",")[0])
    numbers.append(f"{published:8.4f}" if published and "seconds" in row else " " * 8)
    numbers += [f"{row[key]:8.3g}" if row.get(key) is not None else " " * 8 for key in ("passes", "GB/s")]
    apart = row.get("difference", row.get("far"))
    numbers.append(f"{apart:9.1e}" if apart is not None else " " * 9)
    words = [row["reason"]] if "reason" in row else []
    words += [f"{key}: {row[key]}" for key in ("skipped", "stopped", "error", "wrong") if key in row]
    return f"{name:32}{''.join(numbers)}  {', '.join(words)}"


HEAD = f"{'seconds':32}{'cold':>10}{'warm':>10}{'cuML *':>8}{'passes':>8}{'GB/s':>8}{'apart':>9}"


def wrong(row: dict) -> str:
    """What is wrong with a fit that came to its end; "" if nothing is."""
    if row.get("reason", "converged") not in ("converged", "precision"):
        return "no minimum"
    apart = row.get("difference")
    return f"weights differ by {apart:.1e}" if apart is not None and not apart < CLOSE else ""


def main() -> int:
    began = time.perf_counter()
    arguments = arguments_of(__doc__, 60.0, ["cupy", "torch", "jax"])
    deadline = began + arguments.budget
    benches, missing = open_benches(arguments.libraries, arguments.allow_cpu)
    has_gpu = any(bench.on_gpu for bench in benches.values())
    if not has_gpu and not arguments.allow_cpu:
        print("No GPU; --allow-cpu runs this on the CPU.")
        return 3
    path = result_path("gpu-smoke", arguments.json, has_gpu)
    results = machine(benches)
    print(*(f"{name}: {value}" for name, value in results.items()), HEAD, sep="\n", flush=True)
    results |= {"missing": missing, "published": PUBLISHED, "rows": {}}
    failures = 0
    for name, fill in lines(benches, list(arguments.shapes or SHAPES)):
        row: dict[str, Any] = {}
        if time.perf_counter() >= deadline:
            row["skipped"] = "no time is left"
        else:
            attempt(row, deadline, fill, row)
        if wrong(row):
            row["wrong"] = wrong(row)
        results["rows"][name] = row
        failures += "error" in row or "wrong" in row
        print(shown(name, row), flush=True)
        write(path, results)
    print(f"* {PUBLISHED['source']}; {failures} failed; {time.perf_counter() - began:.0f} s", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
