"""What the timings on a GPU share: libraries on their devices, data, clocks, and results that outlive a killed run."""

import argparse
import contextlib
import gc
import importlib
import importlib.util
import json
import math
import os
import platform
import shutil
import signal
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

__all__ = [
    "DEVICES",
    "PUBLISHED",
    "SHAPES",
    "WAIT",
    "Bench",
    "arguments_of",
    "attempt",
    "difference",
    "draw",
    "machine",
    "one_fit",
    "open_benches",
    "repeated",
    "result_path",
    "write",
]

SHAPES = ("50000x128", "1560000x16", "500000x128", "244000x1024", "5000000x128")
SEED = 0
REPEATS = 5
WARM_SECONDS = 5.0  # after which no further repeat of a fit is begun
PUBLISHED = {
    "source": "cuML's published benchmark page: fit of LogisticRegression, float32, NumPy in, on an RTX PRO 6000",
    "seconds": dict(zip(SHAPES, (0.0063, 0.018, 0.0296, 0.0966, 0.266), strict=True)),
}


# what differs between the libraries: the GPU as `fit` takes it, None where that is the default device;
DEVICES = {"cupy": None, "torch": "cuda", "jax": None, "numpy": None}
# device -> "cpu" or the name of something else;
PLATFORM: dict[str, Callable[[Any], str]] = {
    "cupy": lambda device: "cuda",
    "torch": lambda device: device.type,
    "jax": lambda device: device.platform,
    "numpy": lambda device: "cpu",
}
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


class TimeUp(BaseException):
    """The time is over; no Exception, so that nobody takes it for a failure of a library."""


class Bench(NamedTuple):
    """A library on a device, ready to be timed."""

    name: str
    device: str | None
    place: Place
    module: Any

    @property
    def on_gpu(self) -> bool:
        return PLATFORM[self.name](self.place.device) != "cpu"

    @property
    def where(self) -> dict[str, Any]:
        """Options of a fit of data on the host."""
        return {"backend": self.name, "device": self.device, "fallback": False}

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


def open_benches(names: list[str], allow_cpu: bool) -> tuple[dict[str, Bench], dict[str, str]]:
    """The libraries that can be timed, NumPy always, and why the others cannot."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the GPU's memory is for all libraries
    os.environ.setdefault("SCIPY_ARRAY_API", "1")  # scikit-learn's dispatch needs it before SciPy is imported
    opened = {name: open_bench(name, allow_cpu) for name in dict.fromkeys([*names, "numpy"])}
    missing = {name: reason for name, reason in opened.items() if isinstance(reason, str)}
    for name, reason in missing.items():
        print(f"{name}: {reason}", flush=True)
    return {name: bench for name, bench in opened.items() if isinstance(bench, Bench)}, missing


def draw(m: int, n_x: int, module: Any) -> tuple[np.ndarray, np.ndarray]:
    """X (n_x, m) and Y (m,) on the host, drawn by CuPy or NumPy."""
    rng = module.random.default_rng(SEED)
    w = rng.standard_normal((1, n_x), dtype=np.float32)
    w = w * (2.0 / math.sqrt(float((w * w).sum())))
    X = rng.standard_normal((n_x, m), dtype=np.float32)
    Y = rng.random(m, dtype=np.float32) < xlogreg.sigmoid((w @ X)[0])
    return to_host(X), to_host(Y).astype(np.int32)


def repeated(
    bench: Bench,
    fit: Callable[[], Any],
    weights: Callable[[Any], Any],
    repeats: int = REPEATS,
    enough: float = WARM_SECONDS,
) -> tuple[dict, Any]:
    """Seconds of the first call and the best of those after it, what was warned of, and the last model."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first, model = bench.timed(fit, made=weights)
        again, until = [], time.perf_counter() + enough
        while len(again) < repeats and (not again or time.perf_counter() < until):
            seconds, model = bench.timed(fit, made=weights)
            again.append(seconds)
    named = sorted({f"{warning.category.__name__}: {warning.message}" for warning in caught})
    return {"seconds": min(again), "first": first, "warnings": named}, model


def one_fit(
    bench: Bench, X: Any, Y: Any, expected: np.ndarray | None, often: dict[str, Any] | None = None, **where: Any
) -> tuple[dict, Any]:
    """Times of one way to fit, what the fit says of itself, and how far its weights are from the expected ones."""

    def fit() -> Any:
        return xlogreg.fit(X, Y, l2=1.0 / X.shape[1], **where)

    row, model = repeated(bench, fit, lambda model: model.w, **(often or {}))
    for name in ("solver", "device", "passes", "iterations", "reason", "converged", "gap", "cost"):
        value = getattr(model.fit_info, name)
        row[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return row | {"difference": difference(to_host(model.w), expected)}, model


def difference(w: np.ndarray, expected: np.ndarray | None) -> float | None:
    return None if expected is None else float(np.max(np.abs(w - expected)) / np.max(np.abs(expected)))


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


@contextlib.contextmanager
def ending_at(deadline: float) -> Iterator[None]:
    """Raise TimeUp at that reading of time.perf_counter, as soon as Python runs again."""

    def stop(*_: Any) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, stop)
    try:
        # again every second, for Python prints and forgets what is raised while it frees an object
        signal.setitimer(signal.ITIMER_REAL, max(deadline - time.perf_counter(), 1e-3), 1.0)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(row: dict, until: float, measure: Callable, *arguments: Any) -> Any:
    """What it returns; None where it fails, or at that reading of the clock is stopped, and the row says so."""
    try:
        with ending_at(until):
            return measure(*arguments)
    except TimeUp:
        row["stopped"] = "the time is up"
    except Exception as error:  # each library has classes of its own
        traceback.print_exc()
        row["error"] = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
    return None


def arguments_of(about: str, budget: float, libraries: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--libraries", nargs="+", default=libraries, choices=list(DEVICES), metavar="NAME")
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="MxN", help="samples x features")
    parser.add_argument("--budget", type=float, default=budget, help="seconds after which nothing is begun")
    parser.add_argument("--json", type=Path, help="write there, not into $OUT or, on a GPU, benchmarks/results")
    parser.add_argument("--allow-cpu", action="store_true", help="time on the CPU where a library has no GPU")
    return parser.parse_args()


def result_path(name: str, given: Path | None, has_gpu: bool) -> Path | None:
    """Where results go: what was given, else a file of today in the folder $OUT or, on a GPU, benchmarks/results."""
    folder = os.environ.get("OUT") or (Path(__file__).parent / "results" if has_gpu else None)
    return given if given or folder is None else Path(folder) / f"{name}-{time.strftime('%Y-%m-%d')}.json"


def write(path: Path | None, results: dict) -> None:
    """Replace the file at once, so that a run that is killed leaves a whole one."""
    if path is not None:
        beside = path.with_name(f"{path.name}.part")
        beside.write_text(json.dumps(results, indent=1) + "\n")
        beside.replace(path)
