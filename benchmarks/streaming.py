"""X in a file, larger than the memory that the process may have: readings, and seconds beside reading it at all.

Run: python -m benchmarks.streaming [--case NAME ...] [--json FILE]

Each case makes a table of float32 in a temporary file, and fits it in a fresh process whose data (RLIMIT_DATA) may take
a quarter of its bytes. "reads" is what was read of the file over its size. "speed" is the time of reading the file as
often, in blocks of 8 MB, with one product X w each, over that of the fit: both in that process, alternately, the
fastest of five each: disturbance only adds. "cold" says that the file was dropped from the page cache before both.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import xlogreg
from benchmarks.bars import at_least, at_most
from benchmarks.cases import report
from xlogreg.arrays.stored import FileRange

BLOCK_BYTES = 8 * 2**20
CHUNK = 100_000  # samples made at a time
ROUNDS = 5
LIMIT = 0.25  # of the file, that the data of the process may take
SPARE = 2.0  # times the file, that the disk has to have


class Shape(NamedTuple):
    """X (m, n_x) float32."""

    m: int
    n_x: int
    cold: bool = False


def make(shape: Shape, folder: Path) -> None:
    """X.npy and Y.npy: labels from scores of the deviation 2, features of deviations from 0.1 to 10."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(shape.n_x)
    w *= 2.0 / np.linalg.norm(w)
    Y = np.empty(shape.m, dtype=bool)
    with open(folder / "X.npy", "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape[:2]}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, shape.m, CHUNK):
            X = rng.standard_normal((min(CHUNK, shape.m - start), shape.n_x), dtype=np.float32)
            Y[start : start + CHUNK] = X @ w + rng.logistic(size=len(X)) > 0
            (X * np.logspace(-1, 1, shape.n_x, dtype=np.float32)).tofile(file)
        file.flush()
        os.fsync(file.fileno())
    np.save(folder / "Y.npy", Y)


def read_through(path: Path, shape: Shape, times: float) -> None:
    """The file, so often, and X w of it."""
    w, size = np.ones(shape.n_x, dtype=np.float32), BLOCK_BYTES // (4 * shape.n_x)
    block = np.empty((size, shape.n_x), dtype=np.float32)
    offset = path.stat().st_size - 4 * shape.m * shape.n_x
    left = round(times * shape.m)
    while left > 0:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            for start in range(0, min(left, shape.m), size):
                part = block[: min(size, shape.m - start)]
                file.readinto(memoryview(part).cast("B"))
                part @ w
        left -= shape.m


def drop(path: Path) -> None:
    """The file from the page cache."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def seconds_of(function: Callable[[], Any], path: Path, cold: bool) -> tuple[float, Any]:
    if cold:
        drop(path)
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def fitted(shape: Shape, folder: Path) -> dict[str, float]:
    """In the process of its own."""
    path = folder / "X.npy"
    limit = int(LIMIT * path.stat().st_size)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    X, Y = np.load(path, mmap_mode="r"), np.load(folder / "Y.npy")
    numbers: list[int] = []

    def counted(read: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        def counting(*arguments: Any) -> np.ndarray:
            part = read(*arguments)
            numbers.append(part.size)
            return part

        return counting

    for name in ("read", "take"):  # of samples that are contiguous, neither does the other's work
        setattr(FileRange, name, counted(getattr(FileRange, name)))
    ours, plain, passes = [], [], 0.0
    for _ in range(ROUNDS):
        numbers.clear()
        seconds, model = seconds_of(lambda: xlogreg.fit(X, Y, samples="rows"), path, shape.cold)
        assert model.fit_info.converged, model.fit_info
        reads, passes = sum(numbers) / X.size, model.fit_info.passes
        ours.append(seconds)
        plain.append(seconds_of(lambda reads=reads: read_through(path, shape, reads), path, shape.cold)[0])
    seconds, reading = min(ours), min(plain)  # what disturbs the one or the other only adds to it
    return {"seconds": seconds, "reading": reading, "reads": reads, "passes": passes, "speed": reading / seconds}


def measure(name: str) -> dict[str, object]:
    """What the process says of itself, and the size of the file."""
    shape = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        room = os.statvfs(folder)
        shape = shape._replace(m=min(shape.m, int(room.f_bavail * room.f_frsize / SPARE) // (4 * shape.n_x)))
        make(shape, Path(folder))
        command = [sys.executable, "-m", "benchmarks.streaming", "--child", folder, json.dumps(shape)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {"case": name, "m": shape.m, "gigabytes": 4 * shape.m * shape.n_x / 1e9} | json.loads(found.stdout)


CASES = {"10M x 100": Shape(10_000_000, 100), "10M x 100, cold": Shape(10_000_000, 100, cold=True)}
BARS = [
    *(at_most(7.0, "cases", case, "reads") for case in CASES),
    *(at_least(0.8, "cases", case, "speed") for case in CASES),
]


if __name__ == "__main__":
    if "--child" in sys.argv:
        folder, shape = sys.argv[-2:]
        print(json.dumps(fitted(Shape(*json.loads(shape)), Path(folder))))
    else:
        report(__doc__, CASES, measure, BARS)
