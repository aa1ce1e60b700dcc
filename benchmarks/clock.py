"""How seconds, bytes and cores are measured: medians with their range, peak memory, bandwidth, pinned threads."""

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ENOUGH",
    "Limits",
    "Timing",
    "bandwidth",
    "cores",
    "environment",
    "machine",
    "peak_memory",
    "pinned",
    "repeat",
    "timed",
]

LEAST, ENOUGH = 3, 0.5  # repetitions, and the seconds after which more of them say nothing new
MB = 2**20


class Limits(NamedTuple):
    """Seconds: of one fit, and of all fits of a pair, after which none is begun."""

    cap: float = 30.0
    budget: float = 3.0


class Timing(NamedTuple):
    """Seconds."""

    median: float
    lowest: float
    highest: float
    count: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Timing":
        return cls(statistics.median(seconds), min(seconds), max(seconds), len(seconds))


def timed(function: Callable[[], Any], wait: Callable[[], Any] = lambda: None) -> tuple[float, Any]:
    """Seconds and value; the device has nothing left to do before both readings."""
    wait()
    start = time.perf_counter()
    value = function()
    wait()
    return time.perf_counter() - start, value


def repeat(
    function: Callable[[], Any], wait: Callable[[], Any], left: float, enough: float = ENOUGH
) -> Iterator[tuple[float, Any]]:
    """Seconds and value of run after run: three, or as many as ``enough`` seconds hold; one if no time is ``left``."""
    spent, count, last = 0.0, 0, 0.0
    while count == 0 or ((count < LEAST or spent < enough) and spent + last <= left):
        last, value = timed(function, wait)
        spent, count = spent + last, count + 1
        yield last, value


def peak_memory() -> float:
    """Of this process so far, in MB."""
    try:
        status = Path("/proc/self/status").read_text()  # Linux: getrusage there starts at the parent's peak
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MB if sys.platform == "darwin" else 1024)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """For a process that computes with so many threads, whichever library it loads."""
    names = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA", "VECLIB_MAXIMUM", "RAYON")
    return {**os.environ, **{f"{name}_NUM_THREADS": str(threads) for name in names}}


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Processes begun in here run on so many cores, for libraries that ask no variable."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def bandwidth() -> float:
    """GB/s of reading an array of 512 MB, far more than a cache holds, for a product with a vector."""
    X, v = np.ones((64, 2**20)), np.ones(64)
    return X.nbytes / min(timed(lambda: v @ X)[0] for _ in range(7)) / 1e9


def machine() -> dict[str, Any]:
    """What the numbers are measured on."""
    named = [line for line in cpuinfo() if line.startswith("model name")]
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        gpus = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        gpus = []
    return {
        "machine": f"{platform.machine()}, {platform.system()}, {cores()} cores",
        "processor": named[0].partition(":")[2].strip() if named else platform.processor(),
        "gpus": gpus,
        "python": platform.python_version(),
    }


def cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":  # a process of its own, whose BLAS has just the threads that it was begun with
    print(json.dumps({"GB/s": bandwidth()}))
